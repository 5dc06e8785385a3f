//! Owns the application that comes in the middle of a boot: plain SQLite, as a process of its own on the same device.
//! Promises: a row counts as acknowledged when SQLite said so, with the number of operations made by then.
//! Never knows what the device's code is doing; never waits with a lock in its hand.

use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OpenFlags};

use crate::device::MAIN;
use crate::picture::GUESTS_FROM;
use crate::sim::Sim;

/// Rows that one application writes at most.
const ROWS_MAX: i64 = 4;

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Opens, writes a row, closes.
    Closes,
    /// The same, and would make the file where there is none.
    Creates,
    /// The same, and makes its table too, as an application would that knows of no migrations.
    Founds,
    /// Opens, writes a row, and is killed.
    Dies,
    /// Opens and stays: a row now and then, also after the boot; then closes.
    Stays,
    /// The same, and is there until the power goes.
    Lives,
}

impl Manner {
    /// All of them.
    pub const ALL: [Manner; 6] = [Manner::Closes, Manner::Creates, Manner::Founds, Manner::Dies, Manner::Stays, Manner::Lives];
}

/// One application.
pub struct Application {
    sim: Sim,
    manner: Manner,
    connection: Option<Connection>,
    waits: bool,
    gone: bool,
    /// Rows that SQLite acknowledged: id, and operations made by then.
    pub acknowledged: Vec<(i64, u64)>,
}

/// Shared with the step that runs in the middle of the boot.
pub type Shared = Arc<Mutex<Application>>;

/// Starts at this operation and comes again before later ones as long as it has something to do.
pub fn start(boot: &Sim, operation: u64, manner: Manner) -> Shared {
    let application = Application { sim: boot.process(), manner, connection: None, waits: false, gone: false, acknowledged: Vec::new() };
    let shared = Arc::new(Mutex::new(application));
    come(boot, operation, shared.clone());
    shared
}

fn come(boot: &Sim, operation: u64, shared: Shared) {
    boot.at_operation(operation, move |boot| {
        // Held: the boot is over, and what comes now is its own.
        let again = shared.try_lock().is_ok_and(|mut application| application.turn());
        if again {
            // After the operation that it came before.
            let next = boot.operations() + 1;
            come(boot, next, shared);
        }
    });
}

impl Application {
    /// One turn; `true` when it wants another.
    fn turn(&mut self) -> bool {
        if self.gone || !self.open() {
            return !self.gone;
        }
        let written = self.write();
        match self.manner {
            Manner::Closes | Manner::Creates | Manner::Founds => self.close(),
            // Turned away by a lock, it is killed all the same.
            Manner::Dies => self.die(),
            Manner::Stays | Manner::Lives => return self.acknowledged.len() < ROWS_MAX as usize || !written,
        }
        false
    }

    /// After the boot: who waited goes on, who stayed writes once more.
    pub fn after_the_boot(&mut self) {
        if self.gone {
            return;
        }
        if self.open() {
            self.write();
        }
        match self.manner {
            Manner::Closes | Manner::Creates | Manner::Founds | Manner::Stays => self.close(),
            Manner::Dies | Manner::Lives => self.die(),
        }
    }

    /// Turned away by a lease, it waits in the kernel, with the file that the name stood for when it asked.
    fn open(&mut self) -> bool {
        if self.connection.is_some() {
            return true;
        }
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if matches!(self.manner, Manner::Creates | Manner::Founds) {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        match Connection::open_with_flags_and_vfs(MAIN, flags, self.sim.vfs_name()) {
            Ok(connection) => {
                let _ = connection.busy_timeout(std::time::Duration::ZERO);
                self.connection = Some(connection);
                true
            }
            Err(_) => {
                if !self.waits {
                    self.waits = self.sim.begin_open(MAIN).is_ok();
                }
                // Nothing there: nothing to wait for.
                self.gone = !self.waits;
                false
            }
        }
    }

    fn write(&mut self) -> bool {
        let Some(connection) = &self.connection else { return false };
        // A commit that is acknowledged is durable, whatever the journal mode. Behind a lock this cannot be set either.
        if connection.pragma_update(None, "synchronous", "EXTRA").is_err() {
            return false;
        }
        let id = GUESTS_FROM + self.acknowledged.len() as i64;
        let reading = format!("INSERT INTO reading(id, sensor, value) VALUES ({id}, 1, {id})");
        let sensor = format!("INSERT INTO sensor(id, name) VALUES ({id}, 'guest {id}')");
        if self.manner == Manner::Founds {
            let _ = connection.execute("CREATE TABLE IF NOT EXISTS reading(id INTEGER PRIMARY KEY, sensor, value)", []);
        }
        // A fresh database has no sensor yet.
        let written = connection.execute(&reading, []).or_else(|_| connection.execute(&sensor, [])).is_ok();
        if written {
            self.acknowledged.push((id, self.sim.operations()));
        }
        written
    }

    fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection);
        }
        self.die();
    }

    /// What SQLite still holds can do nothing more.
    fn die(&mut self) {
        self.gone = true;
        self.sim.end();
        self.connection = None;
    }
}
