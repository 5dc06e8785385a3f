//! Owns what the reference knows of one database: its content on plain SQLite in memory, and which
//! migrations are in it.
//! Promises: every file of a migration runs on a connection of its own, as the team wrote it; a
//! failure leaves the replica as it was.
//! Never calls the device's code.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use rusqlite::Connection;

use crate::lives::content::{answer, copied, counts, dump, structure, violations, Violations};
use crate::lives::product::Migration;
use crate::lives::tables::usable;

/// One migration that is in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// Its text with LF.
    pub text: String,
    /// It was written with CRLF.
    pub crlf: bool,
    /// The way back that was stored with it; `None` where it was not recorded by us, or there is
    /// none.
    pub down: Option<String>,
    /// The oldest schema whose firmware can use its result.
    pub compatible_from: Option<i64>,
}

impl Entry {
    /// Of a migration that the device applies.
    pub fn of(migration: &Migration) -> Entry {
        Entry {
            version: migration.version,
            name: migration.name.clone(),
            text: migration.text().replace("\r\n", "\n"),
            crlf: migration.crlf,
            down: migration.down_text(),
            compatible_from: migration
                .directive("compatible-from")
                .and_then(|value| value.parse().ok()),
        }
    }

    /// They are the same migration.
    pub fn is(&self, other: &Entry) -> bool {
        self.version == other.version && self.name == other.name && self.text == other.text
    }
}

/// Why a migration fails.
#[derive(Debug, Clone)]
pub struct Failed(pub String);

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Failed {
        Failed(error.to_string())
    }
}

/// refinery's checksums of a text, over a version of 32 bits and, with `int8-versions`, of 64:
/// SipHash-1-3 without a key.
pub fn checksums(version: i64, name: &str, text: &str) -> [u64; 2] {
    let short = refinery_core::Migration::unapplied(&format!("V{version}__{name}"), text)
        .map_or(0, |migration| migration.checksum());
    let mut long = DefaultHasher::new();
    (name, version, text).hash(&mut long);
    [short, long.finish()]
}

/// A database.
pub struct Replica {
    connection: Connection,
    /// Made once, until rows change.
    dump: RefCell<Option<Rc<str>>>,
    /// Oldest first.
    pub entries: Vec<Entry>,
}

impl Clone for Replica {
    fn clone(&self) -> Replica {
        let connection =
            copied(&self.connection).unwrap_or_else(|error| panic!("a copy in memory: {error}"));
        Replica { connection, dump: self.dump.clone(), entries: self.entries.clone() }
    }
}

impl Replica {
    /// Nothing in it.
    pub fn empty() -> Replica {
        let connection = Connection::open_in_memory()
            .unwrap_or_else(|error| panic!("a database in memory: {error}"));
        connection
            .execute_batch("PRAGMA foreign_keys = OFF")
            .unwrap_or_else(|error| panic!("{error}"));
        Replica { connection, dump: RefCell::default(), entries: Vec::new() }
    }

    /// What an observed database holds.
    pub fn observed(connection: Connection, entries: Vec<Entry>) -> Replica {
        Replica { connection, dump: RefCell::default(), entries }
    }

    /// Its version; 0 where no migration is in it.
    pub fn version(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.version)
    }

    /// For who only looks.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The dump that stands for all of it.
    pub fn dump(&self) -> Rc<str> {
        let made =
            || dump(&self.connection).unwrap_or_else(|error| format!("unreadable: {error}")).into();
        self.dump.borrow_mut().get_or_insert_with(made).clone()
    }

    /// These migrations, all or none.
    pub fn migrated(&self, migrations: &[&Migration]) -> Result<Replica, Failed> {
        let before = violations(&self.connection)?;
        let mut replica = self.clone();
        for migration in migrations {
            replica = replica.file(migration, &before)?;
        }
        grown(&before, &replica.connection)?;
        // What did not work before is no fault of theirs.
        if usable(&self.connection).is_ok() {
            usable(&replica.connection)?;
        }
        Ok(replica)
    }

    fn file(&self, migration: &Migration, before: &Violations) -> Result<Replica, Failed> {
        let mut replica = self.clone();
        replica.dump.take();
        run(&replica.connection, &migration.text(), migration)?;
        for query in migration.directives.iter().filter_map(|line| line.strip_prefix("expect = ")) {
            if replica.connection.prepare(query)?.exists([])? {
                return Err(Failed(format!("expect: {query}")));
            }
        }
        if matches!(migration.directive("foreign-keys"), Some("on" | "deferred" | "enforced")) {
            grown(before, &replica.connection)?;
        }
        replica.entries.push(Entry::of(migration));
        // What a connection keeps for itself ends with it.
        Ok(replica.clone())
    }

    /// Back to this many migrations by the stored down SQL, newest first; `None` where one is
    /// missing.
    pub fn gone_back(&self, to: usize) -> Option<Result<Replica, Failed>> {
        if self.entries[to..].iter().any(|entry| entry.down.is_none()) {
            return None;
        }
        let back = || {
            let before = violations(&self.connection)?;
            let mut replica = self.clone();
            while replica.entries.len() > to {
                let down = replica.entries.pop().and_then(|entry| entry.down).unwrap_or_default();
                replica.dump.take();
                replica.connection.execute_batch(&format!("BEGIN; {down}"))?;
                replica.connection.execute_batch("COMMIT")?;
                replica = replica.clone();
            }
            grown(&before, &replica.connection)?;
            Ok(replica)
        };
        Some(back())
    }

    /// As another tool has left it, whose history these statements write.
    pub fn taken_from(&mut self, history: &[String]) -> Result<(), Failed> {
        self.entries.clear();
        self.dump.take();
        history.iter().try_for_each(|statement| Ok(self.connection.execute_batch(statement)?))
    }

    /// As plain refinery has left it: no way back is stored.
    pub fn of_refinery(mut self) -> Replica {
        self.entries
            .iter_mut()
            .for_each(|entry| (entry.down, entry.compatible_from) = (None, None));
        self
    }

    /// A row names a parent that is not there.
    pub fn has_orphans(&self) -> bool {
        violations(&self.connection).is_ok_and(|found| !found.is_empty())
    }

    /// The application's number in the header.
    pub fn user_version(&self) -> i64 {
        self.connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap_or(0)
    }

    /// One statement of an application, as SQLite answers it.
    pub fn application(&self, statement: &str, careless: bool) -> Result<u64, String> {
        self.dump.take();
        answer(&self.connection, statement, careless)
    }

    /// Rows of each table.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        counts(&self.connection).unwrap_or_default()
    }

    /// Its structure: what is compared after a way back.
    pub fn structure(&self) -> String {
        structure(&self.connection).unwrap_or_else(|error| format!("unreadable: {error}"))
    }
}

fn run(connection: &Connection, text: &str, migration: &Migration) -> Result<(), Failed> {
    if migration.directive("no-transaction").is_some() {
        return Ok(connection.execute_batch(text)?);
    }
    if migration.directive("foreign-keys") == Some("enforced") {
        connection.execute_batch("PRAGMA foreign_keys = ON")?;
    }
    connection.execute_batch("BEGIN")?;
    connection.execute_batch(text)?;
    Ok(connection.execute_batch("COMMIT")?)
}

fn grown(before: &Violations, now: &Connection) -> Result<(), Failed> {
    let there = |name: &str| {
        now.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?1")
            .and_then(|mut found| found.exists([name]))
    };
    for (key, count) in violations(now)? {
        // A table that has another name now has its violations still.
        let mut known = 0;
        for (old, count) in before {
            let same = |then: &String, now: &String| {
                Ok::<bool, rusqlite::Error>(then == now || !there(then)?)
            };
            if same(&old.0, &key.0)? && same(&old.1, &key.1)? {
                known = known.max(*count);
            }
        }
        if count > known {
            return Err(Failed(format!(
                "foreign keys: {} of {} name no row of {}",
                count, key.0, key.1
            )));
        }
    }
    Ok(())
}
