//! Owns the application that comes in the middle of a run: plain SQLite, as a process of its own on
//! the same device.
//! Promises: a row counts as acknowledged when SQLite said so, with the number of effects made by
//! then.
//! Never knows what the device's code is doing; never waits with a lock in its hand.

use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OpenFlags};

use crate::dump::GUESTS_FROM;
use crate::firmware::MAIN;
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
    /// Is in the middle of a transaction at one look of ours; before the next it has committed and
    /// closed.
    Passes,
    /// The same, and is gone only before the sixth look after it.
    Lingers,
    /// Was there first, and closes just before a look of ours.
    Leaves,
}

impl Manner {
    /// Those that come at an effect.
    pub const AT_EFFECTS: [Manner; 6] = [
        Manner::Closes,
        Manner::Creates,
        Manner::Founds,
        Manner::Dies,
        Manner::Stays,
        Manner::Lives,
    ];
    /// Those that come at a look.
    pub const AT_LOOKS: [Manner; 3] = [Manner::Passes, Manner::Lingers, Manner::Leaves];
}

/// One application.
pub struct Application {
    sim: Sim,
    manner: Manner,
    connection: Option<Connection>,
    waits: bool,
    gone: bool,
    /// Rows of a transaction that is not committed.
    begun: Vec<(i64, u64)>,
    /// Rows that SQLite acknowledged: id, and effects made by then.
    pub acknowledged: Vec<(i64, u64)>,
}

/// Shared with the step that runs in the middle of the boot.
pub type Shared = Arc<Mutex<Application>>;

/// Starts at this effect, or look, and comes again before later ones as long as it has something to
/// do.
pub fn start(boot: &Sim, number: u64, manner: Manner) -> Shared {
    let application = Application {
        sim: boot.process(),
        manner,
        connection: None,
        waits: false,
        gone: false,
        begun: Vec::new(),
        acknowledged: Vec::new(),
    };
    let shared = Arc::new(Mutex::new(application));
    let other = shared.clone();
    match manner {
        Manner::Passes | Manner::Lingers => {
            at_look(boot, number, &shared, Application::begin);
            let looks = if manner == Manner::Passes { 1 } else { 6 };
            at_look(boot, number + looks, &other, Application::commit_and_close);
        }
        Manner::Leaves => {
            at_look(boot, 0, &shared, |application| {
                if application.open() {
                    application.write();
                }
            });
            at_look(boot, number, &other, Application::close);
        }
        _ => come(boot, number, other),
    }
    shared
}

fn at_look(
    boot: &Sim,
    look: u64,
    shared: &Shared,
    operation: impl FnOnce(&mut Application) + Send + 'static,
) {
    let shared = shared.clone();
    boot.at_look(look, move |_| {
        // Held: the boot is over, and what comes now is its own.
        if let Ok(mut application) = shared.try_lock() {
            operation(&mut application);
        }
    });
}

fn come(boot: &Sim, effect: u64, shared: Shared) {
    boot.at_effect(effect, move |boot| {
        // Held: the boot is over, and what comes now is its own.
        let again = shared.try_lock().is_ok_and(|mut application| application.turn());
        if again {
            // After the effect that it came before.
            let next = boot.effects() + 1;
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
            Manner::Stays | Manner::Lives => {
                return self.acknowledged.len() < ROWS_MAX as usize || !written
            }
            Manner::Passes | Manner::Lingers | Manner::Leaves => {}
        }
        false
    }

    /// Opens and writes a row that nobody is told of yet.
    fn begin(&mut self) {
        let begins = |connection: &Connection| connection.execute_batch("BEGIN IMMEDIATE").is_ok();
        if self.open() && self.be_durable() && self.connection.as_ref().is_some_and(begins) {
            self.insert();
            self.begun = std::mem::take(&mut self.acknowledged);
        }
    }

    fn commit_and_close(&mut self) {
        if self
            .connection
            .as_ref()
            .is_some_and(|connection| connection.execute_batch("COMMIT").is_ok())
        {
            let now = self.sim.effects();
            self.acknowledged = self.begun.iter().map(|(id, _)| (*id, now)).collect();
        }
        self.close();
    }

    /// After the boot: who waited goes on, who stayed writes once more.
    pub fn after_the_boot(&mut self) {
        if self.gone {
            return;
        }
        if matches!(self.manner, Manner::Passes | Manner::Lingers) {
            return self.commit_and_close();
        }
        if self.open() {
            self.write();
        }
        match self.manner {
            Manner::Dies | Manner::Lives => self.die(),
            _ => self.close(),
        }
    }

    /// Turned away by a lease, it waits in the kernel, with the file that the name stood for when
    /// it asked.
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
        self.be_durable() && self.insert()
    }

    /// A commit that is acknowledged is durable, whatever the journal mode. Behind a lock this
    /// cannot be set either.
    fn be_durable(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            connection.pragma_update(None, "synchronous", "EXTRA").is_ok()
        })
    }

    fn insert(&mut self) -> bool {
        let Some(connection) = &self.connection else { return false };
        let id = GUESTS_FROM + self.acknowledged.len() as i64;
        let reading = format!("INSERT INTO reading(id, sensor, value) VALUES ({id}, 1, {id})");
        let sensor = format!("INSERT INTO sensor(id, name) VALUES ({id}, 'guest {id}')");
        if self.manner == Manner::Founds {
            let _ = connection.execute(
                "CREATE TABLE IF NOT EXISTS reading(id INTEGER PRIMARY KEY, sensor, value)",
                [],
            );
        }
        // A fresh database has no sensor yet.
        let written =
            connection.execute(&reading, []).or_else(|_| connection.execute(&sensor, [])).is_ok();
        if written {
            self.acknowledged.push((id, self.sim.effects()));
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
