//! Owns the boundary between two migration files that share a connection: each finds it as a new
//! one, whatever ran before.
//! Promises: TEMP objects, PRAGMAs, savepoints, `last_insert_rowid()` and `changes()` end with
//! their file, which is verified after it.
//! Never changes a row or an object of the database itself.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::config::DbConfig;

use crate::catalog::{ForeignKeys, Migration};
use crate::device::disk::Op;
use crate::device::sqlite::compile::lossy;
use crate::device::sqlite::refusal::Mode;
use crate::device::sqlite::{describe, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;
use crate::pragma::{Effect, PRAGMAS};

/// Settings of a connection that SQL cannot change in a migration, and a product's code can.
const SWITCHES: [DbConfig; 19] = [
    DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
    DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
    DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER,
    DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
    DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG,
    DbConfig::SQLITE_DBCONFIG_TRIGGER_EQP,
    DbConfig::SQLITE_DBCONFIG_RESET_DATABASE,
    DbConfig::SQLITE_DBCONFIG_DEFENSIVE,
    DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA,
    DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE,
    DbConfig::SQLITE_DBCONFIG_DQS_DML,
    DbConfig::SQLITE_DBCONFIG_DQS_DDL,
    DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
    DbConfig::SQLITE_DBCONFIG_LEGACY_FILE_FORMAT,
    DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
    DbConfig::SQLITE_DBCONFIG_REVERSE_SCANORDER,
    DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE,
    DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE,
    DbConfig::SQLITE_DBCONFIG_ENABLE_COMMENTS,
];

/// `case_sensitive_like` has no value that can be read; this is what it changes.
pub(super) const LIKE: &str = "case_sensitive_like";
/// The schema of temporary objects.
const TEMP: &str = "temp";
/// Inside a transaction that enforces foreign keys, turning it off forgets what is violated; the
/// commit turns it off.
const UNTIL_THE_COMMIT: &str = "defer_foreign_keys";

/// What the authorizer has noted of a file.
#[derive(Default)]
pub(super) struct Noted {
    /// Why a statement was refused.
    pub denied: Option<String>,
    /// VACUUM runs, which attaches a database and begins a transaction for itself.
    pub vacuum_runs: bool,
    savepoints: BTreeSet<String>,
    sets_next_vacuum: bool,
}

impl Noted {
    pub fn opens_savepoint(&mut self, name: &str) {
        self.savepoints.insert(name.to_owned());
    }

    pub fn sets_next_vacuum(&mut self) {
        self.sets_next_vacuum = true;
    }
}

/// What a file says of how it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// It was released before bootmigrate.
    pub adopted: bool,
    /// SQLite enforces foreign keys while it runs.
    pub enforces_foreign_keys: bool,
    /// It runs outside of a transaction.
    pub no_transaction: bool,
}

impl From<&Migration> for FileOptions {
    fn from(migration: &Migration) -> FileOptions {
        FileOptions {
            adopted: migration.adopted,
            enforces_foreign_keys: migration.directives.foreign_keys == ForeignKeys::Enforced,
            no_transaction: migration.directives.no_transaction,
        }
    }
}

/// A file that is running. Made by [`Database::file`] alone.
pub struct Session {
    pub(super) op: Op,
    pub(super) mode: Mode,
    /// It was released before bootmigrate.
    pub(super) adopted: bool,
    noted: Arc<Mutex<Noted>>,
}

/// What a connection is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    in_transaction: bool,
    schemas: Vec<String>,
    temporary: Vec<String>,
    pragmas: Vec<(&'static str, Option<i64>)>,
    switches: Vec<bool>,
}

impl Session {
    pub(super) fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn share(&self) -> Arc<Mutex<Noted>> {
        Arc::clone(&self.noted)
    }
}

impl Database {
    /// Runs one migration file, all of it: what it leaves in the connection is gone when this
    /// returns. After an error inside a transaction nothing is taken back: a statement more could
    /// run outside the one that SQLite has ended.
    ///
    /// # Errors
    /// As `run`; a defect where the connection is not as before.
    pub fn file<T>(
        &mut self,
        op: Op,
        mode: Mode,
        options: FileOptions,
        run: impl FnOnce(&mut Database, &Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.forget_counters(op)?;
        let before = self.state(op, mode)?;
        let of_its_own =
            options.enforces_foreign_keys && mode == Mode::NoTransaction && !options.no_transaction;
        let session_mode = if of_its_own { Mode::Transaction } else { mode };
        let session =
            Session { op, mode: session_mode, adopted: options.adopted, noted: Arc::default() };
        if options.enforces_foreign_keys {
            self.enforce_foreign_keys(op)?;
        }
        // Where schemas are compared each statement would be a transaction, and no violation could
        // wait for the file's end.
        let ran = if of_its_own {
            self.in_a_transaction(op, |database| run(database, &session))
        } else {
            run(self, &session)
        };
        match ran {
            Ok(value) => self.take_back(&session, &before).map(|()| value),
            Err(failure) => {
                // Where schemas are compared, the others are still asked.
                if mode == Mode::NoTransaction && self.take_back(&session, &before).is_err() {
                    log::debug!("{op}: the connection is not as before a file that failed");
                }
                Err(failure)
            }
        }
    }

    /// The PRAGMA does nothing in a transaction; this switch does. What is violated is counted from
    /// now on.
    fn enforce_foreign_keys(&self, op: Op) -> Result<(), Failure> {
        let set = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true);
        set.map(drop).map_err(|error| self.failure(op, &error))
    }

    fn in_a_transaction<T>(
        &mut self,
        op: Op,
        run: impl FnOnce(&mut Database) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.run(op, "BEGIN")?;
        let ran = run(self).and_then(|value| self.commit(op).map(|()| value));
        ran.inspect_err(|_| self.rollback())
    }

    fn take_back(&self, session: &Session, before: &State) -> Result<(), Failure> {
        let op = session.op;
        let savepoints = std::mem::take(&mut session.noted().savepoints);
        self.release(op, &savepoints)?;
        if self.in_transaction() {
            self.recover_virtual_tables(op)?;
        }
        let left = self.state(op, session.mode)?;
        if left == *before && !session.noted().sets_next_vacuum {
            return Ok(());
        }
        self.restore(op, before, &left)?;
        self.drop_temporary_objects(op)?;
        if session.noted().sets_next_vacuum {
            self.forget_next_vacuum(op)?;
        }
        // What was just done has changed some of it.
        let left = self.state(op, session.mode)?;
        self.restore(op, before, &left)?;
        let after = self.state(op, session.mode)?;
        if after == *before {
            return Ok(());
        }
        Err(Failure::new(
            Class::Defect,
            op,
            format!("a migration left the connection changed: {before:?} became {after:?}"),
        )
        .at(&self.path))
    }

    fn state(&self, op: Op, mode: Mode) -> Result<State, Failure> {
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let named = PRAGMAS
            .iter()
            .filter(|(_, effect)| *effect == Effect::Connection)
            .map(|(name, _)| *name);
        let kept = named.filter(|name| mode != Mode::Beside || *name != UNTIL_THE_COMMIT);
        let mut pragmas = Vec::new();
        // A product's code may set how long it waits, too.
        for name in kept.chain(["busy_timeout"]) {
            let sql = if name == LIKE {
                "SELECT 'a' NOT LIKE 'A'".to_owned()
            } else {
                format!("PRAGMA {name}")
            };
            pragmas.push((name, self.first_number(&sql).map_err(failed)?));
        }
        let switches = SWITCHES
            .iter()
            .map(|switch| self.connection.db_config(*switch))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let schemas = self.schemas().map_err(failed)?;
        // To ask for what is in it would make it.
        let temporary = if schemas.iter().any(|schema| schema == TEMP) {
            self.strings(op, "SELECT name FROM temp.sqlite_schema")?
        } else {
            Vec::new()
        };
        Ok(State {
            in_transaction: self.in_transaction(),
            schemas: schemas.into_iter().filter(|schema| schema != TEMP).collect(),
            temporary,
            pragmas,
            switches,
        })
    }

    /// The names of what is attached; TEMP where something has used it.
    fn schemas(&self) -> rusqlite::Result<Vec<String>> {
        let mut statement = self.connection.prepare("PRAGMA database_list")?;
        let names = statement.query_map([], |row| lossy(row, 1))?;
        names.collect()
    }

    /// Absent where this SQLite has no such PRAGMA.
    fn first_number(&self, sql: &str) -> rusqlite::Result<Option<i64>> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        rows.next()?.map(|row| row.get(0)).transpose()
    }

    fn restore(&self, op: Op, before: &State, now: &State) -> Result<(), Failure> {
        for ((name, was), (_, is)) in before.pragmas.iter().zip(&now.pragmas) {
            match was {
                // Of its two kinds of "on" only one is a number for SQLite.
                Some(2) if *name == "secure_delete" && was != is => {
                    self.run(op, "PRAGMA secure_delete = FAST")?
                }
                Some(was) if Some(*was) != *is => {
                    self.run(op, &format!("PRAGMA {name} = {was}"))?
                }
                _ => {}
            }
        }
        for ((switch, was), is) in SWITCHES.iter().zip(&before.switches).zip(&now.switches) {
            if was != is {
                self.connection
                    .set_db_config(*switch, *was)
                    .map_err(|error| self.failure(op, &error))?;
            }
        }
        Ok(())
    }

    /// A savepoint that is open at the end of a file ends there, as it does with a commit.
    fn release(&self, op: Op, names: &BTreeSet<String>) -> Result<(), Failure> {
        for name in names {
            loop {
                match self.connection.execute_batch(&format!("RELEASE {}", quote(name))) {
                    Ok(()) => log::warn!(
                        "{op}: the savepoint {name:?} was still open at the end of its file, and \
                         ended there."
                    ),
                    Err(error) if describe(&error).starts_with("no such savepoint") => break,
                    Err(error) => return Err(self.failure(op, &error)),
                }
            }
        }
        Ok(())
    }

    /// Everything in the TEMP schema, which would hide what the database has under the same names.
    fn drop_temporary_objects(&self, op: Op) -> Result<(), Failure> {
        let found = |which: &str| {
            self.strings(op, &format!("SELECT name FROM temp.sqlite_schema WHERE {which}"))
        };
        if found("true")?.is_empty() {
            return Ok(());
        }
        // Where foreign keys are enforced, a parent may go before its children.
        self.run(op, "PRAGMA defer_foreign_keys = ON")?;
        // A virtual table takes its own tables along.
        let kinds = [
            ("TRIGGER", "type = 'trigger'"),
            ("VIEW", "type = 'view'"),
            ("TABLE", "type = 'table' AND rootpage = 0"),
        ];
        for (kind, which) in
            kinds.into_iter().chain([("TABLE", "type = 'table' AND name <> 'sqlite_sequence'")])
        {
            for name in found(which)? {
                self.run(op, &format!("DROP {kind} temp.{}", quote(&name)))?;
            }
        }
        if found("true")?.is_empty() {
            return Ok(());
        }
        self.drop_temporary_sequence(op)
    }

    /// At a savepoint virtual tables write what they keep in memory, which must be before the
    /// schema is read again, and close what they have open: until then SQLite counts a statement as
    /// running, and takes no other `LIKE` from `case_sensitive_like`.
    pub(super) fn recover_virtual_tables(&self, op: Op) -> Result<(), Failure> {
        self.run(op, "SAVEPOINT bootmigrate_written; RELEASE bootmigrate_written")
    }

    /// AUTOINCREMENT leaves a table that SQLite lets nobody drop under its name.
    fn drop_temporary_sequence(&self, op: Op) -> Result<(), Failure> {
        let defensive = |on| {
            let set = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, on);
            set.map(drop).map_err(|error| self.failure(op, &error))
        };
        let before = self
            .connection
            .db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE)
            .map_err(|error| self.failure(op, &error))?;
        self.recover_virtual_tables(op)?;
        defensive(false)?;
        let renamed = self.run(
            op,
            "PRAGMA writable_schema = ON; UPDATE temp.sqlite_schema SET name = \
             'bootmigrate_sequence', tbl_name = 'bootmigrate_sequence', sql = 'CREATE TABLE \
             bootmigrate_sequence(name, seq)'; PRAGMA writable_schema = RESET; DROP TABLE \
             temp.bootmigrate_sequence",
        );
        defensive(before)?;
        renamed
    }

    /// What VACUUM would do is what it does without being told.
    fn forget_next_vacuum(&self, op: Op) -> Result<(), Failure> {
        let now = self
            .first_number("PRAGMA auto_vacuum")
            .map_err(|error| self.failure(op, &error))?
            .unwrap_or(0);
        self.run(op, &format!("PRAGMA page_size = 0; PRAGMA auto_vacuum = {now}"))
    }
}
