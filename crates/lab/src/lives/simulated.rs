//! Owns the device of a life: the product's own commands on the simulated disk, its application,
//! and what a look finds afterwards.
//! Promises: a boot begins with an empty /run; what is seen is read by plain SQLite from a copy of
//! the files.
//! Never judges.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use bootmigrate::boot::PendingReport;
use bootmigrate::cli::{self, Action, Command};
use bootmigrate::commands::{self, CommandContext, Printed};
use bootmigrate::device::sqlite::Sqlite;
use bootmigrate::device::Environment;
use bootmigrate::report::RunReport;
use bootmigrate::Embedded;
use rusqlite::{Connection, OpenFlags};

use super::content;
use super::product::Database;
use crate::device::SimClock;
use crate::scenarios::situations::empty;
use crate::sim::content::Content;
use crate::sim::hash::Hash128;
use crate::sim::{seed_sqlite, Effect, Options, Sim, State};

/// What stands under a database's name.
pub enum Stands {
    /// Nothing, or an empty file without side files.
    Absent,
    /// A whole database: a copy in memory, its dump, and its history.
    Whole(Box<Whole>),
    /// Something else, and why it is not one.
    Broken(String),
}

/// See [`Stands::Whole`].
pub struct Whole {
    /// A copy, with the tables that are bootmigrate's.
    pub connection: Connection,
    /// Of the product's part.
    pub dump: String,
    /// Version, name and checksum, oldest first.
    pub history: Vec<(i64, String, String)>,
    /// `user_version`.
    pub user_version: i64,
    /// `journal_mode`.
    pub journal: String,
}

/// How a command went.
pub struct Ran {
    /// The exit code of the process.
    pub exit: u8,
    /// What it said.
    pub said: String,
    /// The report, where it was a run.
    pub report: Option<RunReport>,
    /// Effects on storage.
    pub effects: u64,
    /// Of these, before the report was out.
    pub until_said: u64,
}

/// The device.
pub struct SimulatedDevice {
    sim: Sim,
    /// What was looked at, by the bytes of the files.
    looked: RefCell<HashMap<u128, Rc<Stands>>>,
    /// Counts boots, so that none has another's nonces.
    boots: u32,
}

impl SimulatedDevice {
    /// Fresh from the factory.
    pub fn new() -> SimulatedDevice {
        SimulatedDevice::with(&empty(), false)
    }

    /// As it was left.
    pub fn with(state: &State, log: bool) -> SimulatedDevice {
        SimulatedDevice {
            sim: Sim::with(state, Options { log, ..Options::default() }),
            looked: RefCell::default(),
            boots: 0,
        }
    }

    /// Everything on its storage.
    pub fn state(&self) -> State {
        self.sim.state()
    }

    /// What it was switched on with.
    pub fn initial(&self) -> State {
        self.sim.initial()
    }

    /// Its effects since then, where they are kept.
    pub fn log(&self) -> Vec<Effect> {
        self.sim.log()
    }

    /// Switched off, changed while it is off, and on again.
    pub fn restart(&mut self, change: impl FnOnce(&mut State), log: bool) {
        let mut state = self.sim.state().swept();
        change(&mut state);
        self.sim = Sim::with(&state, Options { log, ..Options::default() });
    }

    /// Little is left free until the device is switched on again.
    pub fn leave(&self, bytes: u64) {
        self.sim.set_available_bytes(bytes);
    }

    /// There is room again.
    pub fn make_room(&self) {
        self.sim.set_total_bytes(None);
    }

    /// A command of this firmware.
    pub fn command(&mut self, embedded: &Embedded, words: &[&str]) -> Ran {
        self.boots += 1;
        seed_sqlite(self.boots);
        let before = self.sim.effects();
        let command = cli::parse(words.iter().map(Into::into))
            .unwrap_or_else(|sentence| panic!("{sentence}"));
        let ended = run(&self.sim, embedded, &command);
        let effects = self.sim.effects() - before;
        match ended {
            Ok(Ended::Run(report, said_at)) => {
                let said = report
                    .databases
                    .iter()
                    .map(|one| one.sentence.as_str())
                    .collect::<Vec<_>>()
                    .join(" | ");
                Ran {
                    exit: report.exit,
                    said,
                    report: Some(*report),
                    effects,
                    until_said: said_at - before,
                }
            }
            Ok(Ended::Printed(printed)) => Ran {
                exit: printed.exit,
                said: format!("{}{}", printed.text.as_str(), printed.sentences.as_str()),
                report: None,
                effects,
                until_said: effects,
            },
            Err(sentence) => {
                Ran { exit: 2, said: sentence, report: None, effects, until_said: effects }
            }
        }
    }

    /// The content of a ready file.
    pub fn ready(&self, database: &Database) -> Option<String> {
        let bytes = self.sim.read_file(format!("/run/bootmigrate/ready/{}", database.name))?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// What the report on /run says.
    pub fn published(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.sim.read_file("/run/bootmigrate/status.json")?).ok()
    }

    /// An application opens the database, for as long as `work` takes.
    pub fn application<T>(
        &self,
        path: &str,
        work: impl FnOnce(&Connection) -> T,
    ) -> Result<T, String> {
        let process = self.sim.process();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let connection = Connection::open_with_flags_and_vfs(path, flags, process.vfs_name())
            .map_err(|error| error.to_string())?;
        let done = work(&connection);
        connection.close().map_err(|(_, error)| error.to_string())?;
        Ok(done)
    }

    /// Another program makes a new database, with a connection for each of these texts.
    pub fn written(&self, path: &str, texts: &[String]) -> Result<(), String> {
        self.sim.prepare(|state| {
            state.put_folder("/data/product");
            state.put_file(path, b"");
        });
        for text in texts {
            let work = |connection: &Connection| {
                connection.execute_batch(&format!("PRAGMA foreign_keys = OFF;{text}"))
            };
            self.application(path, work)?.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The rows of each table that plain SQLite can read, from its beginning up to what is corrupt
    /// and from its end down to it.
    pub fn readable(&self, path: &str, tables: &[String]) -> BTreeMap<String, u64> {
        let (sim, _) = copy_of(&self.sim.state(), path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let Ok(there) = Connection::open_with_flags_and_vfs("/copy/main.db", flags, sim.vfs_name())
        else {
            return BTreeMap::new();
        };
        tables
            .iter()
            .filter_map(|table| Some((table.clone(), content::readable(&there, table).ok()?)))
            .collect()
    }

    /// A ready file says something else for the length of this command.
    pub fn with_ready(&mut self, embedded: &Embedded, database: &Database, text: &str) -> u8 {
        let path = format!("/run/bootmigrate/ready/{}", database.name);
        let before = self.sim.read_file(&path);
        self.sim.put_file(&path, text.as_bytes());
        let exit = self.command(embedded, &["ready", "--db", &database.name]).exit;
        before.into_iter().for_each(|bytes| self.sim.put_file(&path, &bytes));
        exit
    }

    /// What stands under this path.
    pub fn stands(&self, path: &str) -> Rc<Stands> {
        let state = self.sim.state();
        let mut hash = Hash128::new();
        for side in ["", "-wal", "-journal"] {
            let content = state
                .follow(&format!("{path}{side}"))
                .and_then(|(node, _)| state.content(node).map(Content::hash));
            hash.wide(content.unwrap_or(0));
        }
        self.looked
            .borrow_mut()
            .entry(hash.finish())
            .or_insert_with(|| Rc::new(stands(&state, path)))
            .clone()
    }

    /// Switched on with this state; what was looked at is remembered.
    pub fn continued(&mut self, state: &State) {
        self.sim = Sim::with(state, Options::default());
    }

    /// The names of the copies, and the folders in quarantine.
    pub fn kept(&self, database: &Database) -> (Vec<String>, Vec<String>) {
        let (state, folder) = (self.sim.state(), database.state());
        let paths: Vec<String> = state.walk().into_iter().map(|(path, _)| path).collect();
        let names = |under: &str| -> Vec<String> {
            let under = format!("{folder}/{under}/");
            paths
                .iter()
                .filter_map(|path| path.strip_prefix(&under))
                .filter(|name| !name.contains('/'))
                .map(str::to_owned)
                .collect()
        };
        (names("snapshots"), names("quarantine"))
    }

    /// The bytes of main and its side files, in one number.
    pub fn bytes(&self, database: &Database) -> u128 {
        let (state, path) = (self.sim.state(), database.path());
        let mut hash = Hash128::new();
        for side in ["", "-wal", "-journal"] {
            // An empty side file is none.
            let there = state.read_file(&format!("{path}{side}")).filter(|bytes| !bytes.is_empty());
            hash.wide(there.map_or(0, |bytes| Hash128::of(&bytes)));
        }
        hash.finish()
    }
}

enum Ended {
    Run(Box<RunReport>, u64),
    Printed(Printed),
}

/// As the command line does it, on the simulated disk.
fn run(sim: &Sim, embedded: &Embedded, command: &Command) -> Result<Ended, String> {
    let settings = commands::settings(embedded, command, sim)?;
    let clock = SimClock(sim);
    let environment = Environment {
        disk: sim,
        sqlite: Sqlite { vfs: Some(sim.vfs_name()), ..Sqlite::default() },
        clock: &clock,
        stop: Arc::new(AtomicBool::new(false)),
        root: PathBuf::new(),
        firmware: "lab".into(),
        code: None,
    };
    let all = commands::devices(embedded, &settings, &environment)?;
    let devices = commands::named(&all, command.database.as_deref());
    let context = CommandContext {
        settings: &settings,
        environment: &environment,
        devices: &devices,
        all: &all,
        command,
    };
    let printed = match &command.action {
        Action::Run { request, .. } => {
            let (report, pending_reports) = commands::run::run(
                &settings,
                &environment,
                &all,
                command.database.as_deref(),
                request,
            );
            let until_said = sim.effects();
            pending_reports.into_iter().for_each(PendingReport::delivered);
            return Ok(Ended::Run(Box::new(report), until_said));
        }
        Action::Status { exit_code, format } => {
            commands::status::status(&context, *format, *exit_code)
        }
        Action::Ready => commands::ready::ready(&context),
        Action::Doctor { full } => commands::doctor::doctor(&context, *full),
        Action::Migrate(extent) => commands::migrate::migrate(&context, *extent)?,
        Action::MarkGood => commands::mark_good::mark_good(&devices, &all, false),
        Action::Rollback(extent) => commands::rollback::rollback(&context, *extent)?,
        Action::Rehearse => commands::rehearse::rehearse(&context),
        Action::Snapshot(verb) => commands::snapshot::snapshot(&context, *verb),
        other => panic!("no life asks for {other:?}"),
    };
    Ok(Ended::Printed(printed))
}

/// What stands under this path, read from a copy of main and the side files that hold data.
fn stands(state: &State, path: &str) -> Stands {
    let (copy, bytes_there) = copy_of(state, path);
    if bytes_there == 0 {
        return Stands::Absent;
    }
    match whole(&copy) {
        Ok(whole) => Stands::Whole(Box::new(whole)),
        Err(why) => Stands::Broken(why),
    }
}

/// The files alone, and their bytes.
fn copy_of(state: &State, path: &str) -> (Sim, usize) {
    let mut copy = State::new();
    copy.put_folder("/copy");
    let mut bytes_there = 0;
    for side in ["", "-wal", "-journal"] {
        if let Some(bytes) = state.read_file(&format!("{path}{side}")) {
            bytes_there += bytes.len();
            copy.put_file(&format!("/copy/main.db{side}"), &bytes);
        }
    }
    (Sim::with(&copy, Options { log: false, ..Options::default() }), bytes_there)
}

fn whole(sim: &Sim) -> Result<Whole, String> {
    let words = |error: rusqlite::Error| error.to_string();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let there = Connection::open_with_flags_and_vfs("/copy/main.db", flags, sim.vfs_name())
        .map_err(words)?;
    let checked: String =
        there.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(words)?;
    if checked != "ok" {
        return Err(format!("integrity_check says: {checked}"));
    }
    let journal = there.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(words)?;
    let connection = content::copied(&there).map_err(words)?;
    let dump = content::dump(&connection).map_err(words)?;
    let user_version =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(words)?;
    let history = history(&connection).unwrap_or_default();
    Ok(Whole { connection, dump, history, user_version, journal })
}

fn history(connection: &Connection) -> rusqlite::Result<Vec<(i64, String, String)>> {
    let table: String = connection.query_row(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND (name LIKE '%schema\\_history' \
         ESCAPE '\\' OR name IN ('transaction', 'values'))",
        [],
        |row| row.get(0),
    )?;
    let sql = format!(
        "SELECT version, name, checksum FROM \"{}\" ORDER BY version",
        table.replace('"', "\"\"")
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}
