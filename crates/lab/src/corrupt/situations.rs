//! Owns the situations whose files are damaged: a device at rest, in the middle of something, or
//! with something left over.
//! Promises: each is made by the product's own boots and by plain SQLite; each file in it has a
//! kind.
//! Never damages anything itself.

use std::rc::Rc;

use bootmigrate::boot::BootRequest;
use bootmigrate::config::{OnFailure, Repair};
use bootmigrate::decide::facts::Request;
use serde::{Deserialize, Serialize};

use crate::device::switch_on;
use crate::firmware::{Firmware, MAIN, STATE};
use crate::scenarios::catalogues::{firmware, Version};
use crate::scenarios::situations::{
    applied, booted, cut_off, empty, managed, of_refinery, AUTO_VACUUM, LATER,
};
use crate::sim::{Fault, FaultKind, Sim, State};

/// Data that can be built again.
const REBUILDABLE: &str = "kind = \"rebuildable\"\nsnapshot = \"auto\"";
/// Precious data whose owner rather starts empty than not at all.
const PURGE_LAST: &str = "on_damage = [\"reindex\", \"snapshot\", \"purge\"]";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// The main file.
    Database,
    /// The rollback journal.
    Journal,
    /// The write-ahead log.
    Wal,
    /// The shared memory of the write-ahead log.
    SharedMemory,
    /// A snapshot.
    Snapshot,
    /// The durable record.
    Record,
    /// The rows of the history and of our own tables, in a database that is whole.
    History,
    /// A database that must take main's name.
    Ready,
    /// A database that was being built.
    Staging,
    /// Anything in quarantine.
    Quarantine,
}

impl Kind {
    /// Pages of SQLite's own format.
    pub fn is_database(self) -> bool {
        match self {
            Kind::Database | Kind::Snapshot | Kind::Ready | Kind::Staging => true,
            Kind::Journal
            | Kind::Wal
            | Kind::SharedMemory
            | Kind::Record
            | Kind::History
            | Kind::Quarantine => false,
        }
    }

    fn of(path: &str) -> Option<Kind> {
        if let Some(side) = path.strip_prefix(MAIN) {
            return match side {
                "" => Some(Kind::Database),
                "-journal" => Some(Kind::Journal),
                "-wal" => Some(Kind::Wal),
                _ => None,
            };
        }
        let inside = path.strip_prefix(STATE)?.trim_start_matches('/');
        match inside.split_once('/').map_or(inside, |(folder, _)| folder) {
            "record" => Some(Kind::Record),
            "snapshots" => Some(Kind::Snapshot),
            "quarantine" => Some(Kind::Quarantine),
            name if name.starts_with("ready-") => Some(Kind::Ready),
            name if name.starts_with("staging-") => Some(Kind::Staging),
            _ => None,
        }
    }
}

/// A table whose rows are compared before and after a boot.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its name.
    pub table: String,
    /// SQL of what a row says.
    pub text: String,
    /// The column that is the row's number, and an index that has every row; `None` where it has
    /// none.
    pub key: Option<(String, String)>,
}

impl Watched {
    fn of_the_lab() -> Rc<[Watched]> {
        let one = |table: &str, column: &str, index: &str| Watched {
            table: table.to_owned(),
            text: format!("coalesce(CAST({column} AS TEXT), 'NULL')"),
            key: Some(("id".to_owned(), index.to_owned())),
        };
        [
            one("sensor", "name", "sqlite_autoindex_sensor_1"),
            one("reading", "note", "reading_by_value"),
        ]
        .into()
    }
}

/// One situation.
pub struct Situation {
    /// In some words.
    pub name: &'static str,
    /// What boots.
    pub firmware: Firmware,
    /// What stands on the disk before the damage.
    pub state: State,
    /// An earlier one, for files that are half of each.
    pub earlier: State,
    /// The files that can be damaged, by name.
    pub files: Vec<(Kind, String)>,
    /// Whose rows are compared.
    pub watched: Rc<[Watched]>,
    /// It is of the lab's own migrations.
    pub of_the_lab: bool,
}

impl Situation {
    fn new(name: &'static str, firmware: Firmware, state: State) -> Situation {
        let earlier = managed(self::firmware(Version::One, ""), "delete");
        Situation {
            of_the_lab: true,
            watched: Watched::of_the_lab(),
            ..Situation::of(name, firmware, state, earlier)
        }
    }

    /// Of any product; no rows are compared.
    pub fn of(name: &'static str, firmware: Firmware, state: State, earlier: State) -> Situation {
        let mut files: Vec<(Kind, String)> = Vec::new();
        for (path, id) in state.walk() {
            let (Some(kind), Ok(content)) = (Kind::of(&path), state.content(id)) else { continue };
            if content.size() > 0 {
                files.push((kind, path));
            }
        }
        if files.iter().any(|(kind, _)| *kind == Kind::Wal) {
            files.push((Kind::SharedMemory, format!("{MAIN}-shm")));
        }
        let recovered = !files.iter().any(|(kind, _)| matches!(kind, Kind::Wal | Kind::Journal));
        if recovered && files.iter().any(|(kind, _)| *kind == Kind::Database) {
            files.push((Kind::History, MAIN.to_owned()));
        }
        Situation { name, firmware, state, earlier, files, watched: [].into(), of_the_lab: false }
    }

    /// The owner allows a fresh database in place of a damaged one.
    pub fn purges_damage(&self) -> bool {
        self.firmware.settings.on_damage.contains(&Repair::Purge)
    }

    /// The owner allows a fresh database where a migration fails.
    pub fn purges_failure(&self) -> bool {
        self.firmware.settings.on_failure == OnFailure::Purge
    }
}

/// A boot as the unit does it.
pub fn plain() -> BootRequest {
    BootRequest::of(Request::Boot)
}

/// Upgraded once, so that there is a snapshot; the application went on.
fn upgraded(journal: &str) -> State {
    let before = managed(firmware(Version::One, ""), journal);
    booted(&before, firmware(Version::Two, ""), &plain(), 1, 0)
}

/// The process dies at the first effect after which this holds.
fn killed(state: &State, firmware: Firmware, found: impl Fn(&State) -> bool) -> State {
    killed_where(state, firmware, found).expect("this boot never leaves that behind")
}

/// The same; `None` where it never does.
pub fn killed_where(
    state: &State,
    firmware: Firmware,
    found: impl Fn(&State) -> bool,
) -> Option<State> {
    for effect in 0..10_000 {
        let sim = Sim::from_state(state);
        sim.inject(Fault::at_effect(effect, FaultKind::Kill, true));
        switch_on(firmware, &sim, &plain());
        let left = sim.state().swept();
        if found(&left) {
            return Some(left);
        }
        if sim.fired().is_empty() {
            return None;
        }
    }
    None
}

/// A file of the state folder whose name begins so, and that holds something.
pub fn has(state: &State, name: &str) -> bool {
    let prefix = format!("{STATE}/{name}");
    state.walk().into_iter().any(|(path, id)| {
        path.starts_with(&prefix) && state.content(id).is_ok_and(|content| content.size() > 0)
    })
}

fn changed(state: &State, change: impl FnOnce(&mut Vec<u8>)) -> State {
    let mut bytes = state.read_file(MAIN).unwrap_or_default();
    change(&mut bytes);
    let mut state = state.clone();
    state.put_file(MAIN, &bytes);
    state
}

fn broken_header(state: &State) -> State {
    changed(state, |bytes| bytes.iter_mut().take(64).for_each(|byte| *byte ^= 0x5a))
}

/// An index whose only page is not one.
fn broken_index(state: &State) -> State {
    let sim = Sim::from_state(state);
    let connection = rusqlite::Connection::open_with_flags_and_vfs(
        MAIN,
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        sim.vfs_name(),
    );
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'reading_by_value'";
    let root: i64 =
        connection.and_then(|connection| connection.query_row(sql, [], |row| row.get(0))).unwrap();
    changed(state, |bytes| bytes[(root as usize - 1) * 4096] = 0x77)
}

/// Trees of every kind, deep enough to have interior pages, with overflow pages and free ones.
const TREES: &str = "CREATE TABLE dropped(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i \
                     + 1 FROM n WHERE i < 90) INSERT INTO dropped SELECT printf('%0300d', i) FROM \
                     n; WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < \
                     600) INSERT INTO reading(id, sensor, value, note) SELECT i, 1 + i % 4, 100000 \
                     + i * 7, printf('%090d', i) FROM n; INSERT INTO reading(id, sensor, value, \
                     note) VALUES (900, 1, 1, printf('%09000d', 1)), (901, 1, 2, printf('%09000d', \
                     2)); CREATE INDEX reading_by_end ON reading(substr(note, -9)) WHERE sensor = \
                     2; CREATE TABLE kept(k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE INDEX \
                     kept_by_v ON kept(v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 \
                     FROM n WHERE i < 150) INSERT INTO kept SELECT printf('%060d', i), -i FROM n;";
/// What the application does after that: nearly every page changes.
const GROWN: &str =
    "DROP TABLE dropped; WITH RECURSIVE n(i) AS (SELECT 601 UNION ALL SELECT i + 1 FROM n WHERE i \
     < 700) INSERT INTO reading(id, sensor, value, note) SELECT i, 1 + i % 4, 100000 + i * 7, \
     printf('%090d', i) FROM n; DELETE FROM reading WHERE id % 11 = 5; UPDATE reading SET note = \
     note || 'later' WHERE id > 890; WITH RECURSIVE n(i) AS (SELECT 151 UNION ALL SELECT i + 1 \
     FROM n WHERE i < 200) INSERT INTO kept SELECT printf('%060d', i), -i FROM n; INSERT INTO \
     sensor VALUES (6, 'new'), (7, 'newer');";
/// Tables whose content only their modules know.
const MODULES: &str =
    "CREATE VIRTUAL TABLE words USING fts5(text); INSERT INTO words SELECT note || ' word' || id \
     FROM reading WHERE id < 400; CREATE VIRTUAL TABLE places USING rtree(id, x0, x1); INSERT INTO \
     places SELECT id, id, id + 1 FROM reading WHERE id < 400;";

/// A device whose application made trees of every kind, and changed them.
pub fn trees(name: &'static str, firmware: Firmware, texts: &[&str]) -> Situation {
    let before = applied(&upgraded("delete"), "delete", texts);
    let before = applied(&before, "delete", &[TREES]);
    let grown = applied(&before, "delete", &[GROWN]);
    Situation { earlier: before, ..Situation::new(name, firmware, grown) }
}

/// Every situation.
pub fn all() -> Vec<Situation> {
    let rest = applied(&upgraded("delete"), "delete", &[LATER]);
    let hot = |journal: &str| cut_off(&upgraded(journal), journal, &[LATER]);
    let (two, three) = (firmware(Version::Two, ""), firmware(Version::Three, ""));
    let purging = firmware(Version::ThreeFails, REBUILDABLE);
    let ready = |state: &State| has(state, "ready-");
    let no_header = broken_header(&rest);
    let journal = |state: &State| {
        has(state, "record")
            && state.read_file(&format!("{MAIN}-journal")).is_some_and(|bytes| bytes.len() > 512)
    };
    vec![
        Situation::new("current", two, rest.clone()),
        Situation::new("pending", three, rest.clone()),
        Situation::new("pending, rebuildable", firmware(Version::Three, REBUILDABLE), rest.clone()),
        Situation::new("pending, purge last", firmware(Version::Three, PURGE_LAST), rest.clone()),
        Situation::new("current, purge last", firmware(Version::Two, PURGE_LAST), rest.clone()),
        Situation::new("failing", firmware(Version::ThreeFails, ""), rest.clone()),
        Situation::new("failing, rebuildable", purging, rest.clone()),
        Situation::new("pending on a copy", firmware(Version::ThreeVacuums, ""), rest.clone()),
        Situation::new("WAL left, current", two, hot("wal")),
        Situation::new("WAL left, pending", three, hot("wal")),
        Situation::new("WAL left, rebuildable", firmware(Version::Three, REBUILDABLE), hot("wal")),
        Situation::new("hot journal, current", two, hot("delete")),
        Situation::new("hot journal, pending", three, hot("delete")),
        Situation::new("hot journal, persist", three, hot("persist")),
        Situation::new("half-done upgrade", three, killed(&rest, three, journal)),
        Situation::new(
            "half-done purge, staging",
            purging,
            killed(&rest, purging, |state| has(state, "staging-")),
        ),
        Situation::new("half-done purge, ready", purging, killed(&rest, purging, ready)),
        Situation::new("half-done restore", two, killed(&no_header, two, ready)),
        Situation::new("half-done reindex", three, killed(&broken_index(&rest), three, ready)),
        Situation::new("damaged, with a snapshot", two, no_header.clone()),
        Situation::new("damaged, behind, with a snapshot", three, no_header),
        Situation::new("taken over from refinery", three, of_refinery(Version::Three, 1, 1)),
        trees("trees, pending", three, &[]),
        trees("trees, pending, purge last", firmware(Version::Three, PURGE_LAST), &[]),
        trees("trees, with a pointer map", three, &[AUTO_VACUUM]),
        trees("trees, with virtual tables", three, &[MODULES]),
        Situation::new(
            "half-done first boot",
            two,
            killed(&empty(), two, |state| has(state, "staging-")),
        ),
    ]
}
