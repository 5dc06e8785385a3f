//! Owns how this program opens SQLite: a few ways, each with the one set of pragmas that
//! docs/design.md gives it.
//! Promises: a connection closes with success before anybody probes; errors carry a class from the
//! whitelist.
//! Never decides what an answer means for the database.

pub mod application;
mod as_given;
pub mod backup;
pub mod by_page;
mod cache;
pub mod changes;
pub mod checks;
pub mod code;
pub mod compare;
pub mod contents;
pub mod corrected;
mod counters;
mod distrust;
pub mod entries;
mod errors;
pub mod findings;
pub mod foreign;
pub mod given_back;
mod heap;
mod held;
pub mod late;
pub mod lost;
pub mod missing;
mod opening;
mod orphans;
mod partial;
pub mod pour;
pub mod rebuild;
pub mod registered;
pub mod rows;
pub mod script;
pub mod session;
mod stand_ins;
pub mod stuck;
pub mod survey;
pub mod unfit;
mod values;
mod virtual_rows;
pub mod virtual_tables;
pub mod watch;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use bootmigrate_model::{compile, references, refusal, schema, weight};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::catalog::Versions;
use crate::device::disk::{Anchor, Inode, Op, SystemDisk};
use crate::device::memory::{holds_temporary_data, Share};
use crate::device::pages::header::Made;
use crate::device::sqlite::missing::Missing;
use crate::device::sqlite::registered::Registered;
use crate::error::{Class, Failure};
use crate::reserved::HISTORY;
use distrust::bound;
pub use errors::is_of_too_much_text;
pub(in crate::device) use errors::system_error;
pub use errors::{class_of, describe, extended_code, is_constraint, is_of_a_statement};
use errors::{class_of_reading, is_not_utf8, is_of_another_encoding, is_out_of_memory, is_too_big};
use opening::{BESIDE, IMMUTABLE, WRITING};
use watch::{ConnectionLimits, Limits};

/// The path of a database that is no file.
const IN_MEMORY: &str = ":memory:";
/// `SQLITE_MAX_PAGE_COUNT`, which a connection begins with.
const PAGES_MAX: i64 = 0xffff_fffe;

/// How the database files are reached: the operating system's VFS, or the lab's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sqlite<'a> {
    /// Name of the VFS; `None` is SQLite's default.
    pub vfs: Option<&'a str>,
    /// What the product registers on every connection; `None` for nothing.
    pub registered: Option<&'a Registered>,
    /// What ends a statement before it is done.
    pub limits: Limits<'a>,
    /// The database's main file, where this run has it open: under its path no other one is opened.
    pub main: Option<(&'a Path, Inode)>,
    /// The folders that this run holds; `None` for one that walks to them anew.
    pub disk: Option<&'a SystemDisk>,
    /// Where temporary files go once a run has said that they go beside its databases; `None` for
    /// SQLite's own choice.
    pub temporary: Option<&'a Path>,
    /// A sentence may have the contents of a row.
    pub show_rows: bool,
}

/// Journal mode of an open database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journal {
    /// DELETE, TRUNCATE or PERSIST.
    Rollback,
    /// Write-ahead log.
    Wal,
}

/// An open connection, and what it is open on.
pub struct Database {
    pub(in crate::device) connection: Connection,
    /// Closed after the connection, which may open side files until then.
    anchor: Option<Anchor>,
    /// A VFS of ours that it was opened with.
    vfs: Option<&'static str>,
    path: PathBuf,
    watch: Arc<ConnectionLimits>,
    /// A sentence may have the contents of a row.
    pub show_rows: bool,
    /// Of the memory for page caches; `None` while it has SQLite's own.
    cache: Cell<Option<Share>>,
    /// The table that no migration may touch.
    pub(in crate::device) history_table: String,
    /// The form of the rows that are written into it.
    pub(in crate::device) history_versions: Versions,
}

impl<'a> Sqlite<'a> {
    /// Reads without any lock or write (`immutable=1`): only where no side file has content. What
    /// it says is damage is looked at again.
    ///
    /// # Errors
    /// As SQLite's open.
    pub fn look_immutable(&self, op: Op, path: &Path) -> Result<Database, Failure> {
        self.open(op, path, IMMUTABLE)
    }

    /// Reads a database that has a WAL without writing, syncing or checkpointing anything.
    ///
    /// # Errors
    /// In use where another connection is open; else as SQLite's open.
    pub fn look_without_writing(&self, op: Op, path: &Path) -> Result<Database, Failure> {
        let database = self.open(op, path, WRITING)?;
        database.leave_the_wal(op)?;
        database.run(op, "PRAGMA locking_mode = EXCLUSIVE")?;
        Ok(database)
    }

    /// Reads beside a running application, with the locks and the shared memory that it has made.
    ///
    /// # Errors
    /// As SQLite's open.
    pub fn look_beside(&self, op: Op, path: &Path) -> Result<Database, Failure> {
        // A reader would leave its mark in the application's shared memory.
        self.open(op, path, BESIDE)
    }

    /// Opens as any application would, beside the ones that run: SQLite's ordinary locks, and a hot
    /// journal that they recover. Whoever closes last brings a WAL into main; `wal_stays` leaves
    /// that to an application, whose WAL it is.
    ///
    /// # Errors
    /// As SQLite's open.
    pub fn share(&self, op: Op, path: &Path, wal_stays: bool) -> Result<Database, Failure> {
        let database = self.open(op, path, WRITING)?;
        if wal_stays {
            database.leave_the_wal(op)?;
        }
        Ok(database)
    }

    /// Opens for changing rows beside running applications: their locks, foreign keys as they have
    /// them, every commit durable.
    ///
    /// # Errors
    /// As SQLite's open.
    pub fn beside(&self, op: Op, path: &Path, size: u64) -> Result<Database, Failure> {
        let mut database = self.share(op, path, false)?;
        database.protect(op, size)?;
        database.check_cells(op)?;
        database.run(op, "PRAGMA foreign_keys = ON")?;
        database.run(op, "PRAGMA synchronous = EXTRA")?;
        Ok(database)
    }

    /// Opens for a change of the live database: EXCLUSIVE from the first statement on, EXTRA or
    /// FULL, foreign keys off.
    ///
    /// # Errors
    /// In use where another connection is open; else as SQLite's open, a hot journal's rollback
    /// included.
    pub fn work(&self, op: Op, path: &Path, size: u64) -> Result<(Database, Journal), Failure> {
        let mut database = self.open(op, path, WRITING)?;
        database.run(op, "PRAGMA locking_mode = EXCLUSIVE")?;
        database.protect(op, size)?;
        database.check_cells(op)?;
        let journal = database.journal(op)?;
        let synchronous = if journal == Journal::Wal { "FULL" } else { "EXTRA" };
        database.run(op, &format!("PRAGMA synchronous = {synchronous}"))?;
        // COMMIT would do it at once, and could not be interrupted.
        database.run(op, "PRAGMA wal_autocheckpoint = 0")?;
        Ok((database, journal))
    }

    /// Opens a file that nobody trusts before it is finished and synced as a whole: a journal in
    /// memory (of a large file beside it), no syncs.
    ///
    /// # Errors
    /// As SQLite's open.
    pub fn build(&self, op: Op, path: &Path, size: u64) -> Result<Database, Failure> {
        let mut database = self.open(op, path, WRITING)?;
        database.run(op, "PRAGMA locking_mode = EXCLUSIVE")?;
        // Pages that change are kept until the commit.
        let journal = if holds_temporary_data(size) { "MEMORY" } else { "TRUNCATE" };
        database.run(op, &format!("PRAGMA journal_mode = {journal}"))?;
        database.run(op, "PRAGMA synchronous = OFF")?;
        database.protect(op, size)?;
        database.cache(op, size)?;
        Ok(database)
    }

    /// A database in memory, for comparing schemas.
    ///
    /// # Errors
    /// No memory.
    pub fn scratch(&self, op: Op) -> Result<Database, Failure> {
        let connection = Connection::open_in_memory_with_flags(
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        );
        let connection =
            connection.map_err(|error| failure_of(op, Path::new(IN_MEMORY), &error))?;
        let mut database =
            self.watched(op, connection, Path::new(IN_MEMORY), self.limits.scratch_work)?;
        self.prepare(&mut database.connection);
        database.distrust(op)?;
        Ok(database)
    }

    fn prepare(&self, connection: &mut Connection) {
        if let Some(registered) = self.registered {
            registered.prepare(connection);
        }
    }

    fn watched(
        &self,
        op: Op,
        mut connection: Connection,
        path: &Path,
        steps_max: Option<u64>,
    ) -> Result<Database, Failure> {
        bound(&connection).map_err(|error| failure_of(op, path, &error))?;
        let watch = ConnectionLimits::new(self.limits, steps_max);
        watch.begin(&mut connection).map_err(|error| failure_of(op, path, &error))?;
        Ok(Database {
            connection,
            anchor: None,
            vfs: None,
            path: path.to_path_buf(),
            watch,
            show_rows: self.show_rows,
            cache: Cell::default(),
            history_table: HISTORY.to_owned(),
            history_versions: Versions::Int4,
        })
    }

    /// For a few rows that must be known, stop signal or not.
    #[must_use]
    pub fn to_the_end(self) -> Self {
        Sqlite { limits: Limits::default(), ..self }
    }
}

impl Database {
    /// A database that goes when it is closed: in memory, and in SQLITE_TMPDIR where it grows
    /// beyond SQLite's cache. What stops this one stops it too.
    ///
    /// # Errors
    /// No memory.
    pub(in crate::device) fn temporary(&self, op: Op) -> Result<Database, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let path = PathBuf::from("a temporary database");
        // With the rights that this one has.
        let opened = match self.vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs("", flags, vfs),
            None => Connection::open_with_flags("", flags),
        };
        let mut connection = opened.map_err(|error| failure_of(op, &path, &error))?;
        let watch = Arc::clone(&self.watch);
        watch.begin(&mut connection).map_err(|error| failure_of(op, &path, &error))?;
        let database = Database {
            connection,
            anchor: None,
            vfs: None,
            path,
            watch,
            show_rows: self.show_rows,
            cache: Cell::default(),
            history_table: HISTORY.to_owned(),
            history_versions: Versions::Int4,
        };
        // It is never read after a crash.
        database.run(op, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
        Ok(database)
    }

    /// Of a file without content: its pages are to be made so.
    ///
    /// # Errors
    /// As SQLite.
    pub fn make_as(&self, op: Op, made: Made) -> Result<(), Failure> {
        let Made { page_bytes, auto_vacuum } = made;
        self.run(
            op,
            &format!("PRAGMA page_size = {page_bytes}; PRAGMA auto_vacuum = {auto_vacuum}"),
        )
    }

    fn leave_the_wal(&self, op: Op) -> Result<(), Failure> {
        let set = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        set.map(drop).map_err(|error| self.failure(op, &error))
    }

    /// The journal mode; the first read of the file, which recovers a hot journal.
    fn journal(&self, op: Op) -> Result<Journal, Failure> {
        let mode: String = self
            .connection
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .map_err(|error| self.failure(op, &error))?;
        Ok(if mode.eq_ignore_ascii_case("wal") { Journal::Wal } else { Journal::Rollback })
    }

    /// The history has this name: no migration that runs from now on may touch it.
    pub fn reserve(&mut self, history_table: &str) {
        history_table.clone_into(&mut self.history_table);
    }

    /// Runs statements of ours; rows are read and dropped.
    ///
    /// # Errors
    /// As SQLite.
    pub fn run(&self, op: Op, sql: &str) -> Result<(), Failure> {
        self.connection.execute_batch(sql).map_err(|error| self.failure(op, &error))
    }

    /// Takes every lock; SQLITE_BUSY is [`Class::InUse`].
    ///
    /// # Errors
    /// As SQLite.
    pub fn begin_exclusive(&self, op: Op) -> Result<(), Failure> {
        self.run(op, "BEGIN EXCLUSIVE")
    }

    /// Takes the one place of a writer; readers go on. SQLITE_BUSY is [`Class::InUse`].
    ///
    /// # Errors
    /// As SQLite.
    pub fn begin_beside(&self, op: Op) -> Result<(), Failure> {
        self.run(op, "BEGIN IMMEDIATE")
    }

    /// The transaction becomes durable. An error has an unknown result: reopen and look.
    ///
    /// # Errors
    /// As SQLite.
    pub fn commit(&self, op: Op) -> Result<(), Failure> {
        self.run(op, "COMMIT")
    }

    /// Rolls back where a transaction is still open; after an error SQLite may have done so by
    /// itself.
    pub fn rollback(&self) {
        if self.in_transaction() {
            if let Err(error) = self.connection.execute_batch("ROLLBACK") {
                log::warn!(
                    "ROLLBACK of {} said: {error}; the next open recovers it.",
                    self.path.display()
                );
            }
        }
    }

    /// `sqlite3_get_autocommit()` is 0.
    pub fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Moves the WAL's content into main and empties it; `false` where somebody kept it from
    /// finishing.
    ///
    /// # Errors
    /// As SQLite.
    pub fn checkpoint(&self, op: Op) -> Result<bool, Failure> {
        let checkpoint =
            || self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        let busy: i64 = self.interruptible(checkpoint).map_err(|error| self.failure(op, &error))?;
        Ok(busy == 0)
    }

    /// Sets the journal mode for good; asks again where it is refused as busy is the caller's.
    ///
    /// # Errors
    /// As SQLite, or when the mode did not change.
    pub fn set_journal(&self, op: Op, wanted: Journal) -> Result<(), Failure> {
        let word = if wanted == Journal::Wal { "WAL" } else { "DELETE" };
        let sql = format!("PRAGMA journal_mode = {word}");
        let set = || self.connection.query_row(&sql, [], |row| row.get(0));
        let got: String = self.interruptible(set).map_err(|error| self.failure(op, &error))?;
        if got.eq_ignore_ascii_case(word) {
            return Ok(());
        }
        Err(Failure::new(
            Class::Storage,
            op,
            format!("journal_mode {word} was asked for and {got} came back"),
        )
        .at(&self.path))
    }

    /// Pages and bytes a page, as SQLite counts them inside the open transaction.
    ///
    /// # Errors
    /// As SQLite.
    pub fn bytes(&self, op: Op) -> Result<u64, Failure> {
        let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
        let bytes: i64 = self
            .connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(|error| self.failure(op, &error))?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// Adds the limit that a migration has set, which SQLite calls "full" too. In memory there is
    /// no disk that could be.
    pub(in crate::device) fn limited(&self, mut failure: Failure) -> Failure {
        if failure.class == Class::NoSpace {
            failure.size_limit = self.size_limit();
        }
        if self.path.as_path() == Path::new(IN_MEMORY) {
            return failure.of_its_limit();
        }
        failure
    }

    /// Bytes that the file may have at most, where something has set a limit below SQLite's own.
    fn size_limit(&self) -> Option<u64> {
        let sql =
            "SELECT max_page_count, page_size FROM pragma_max_page_count(), pragma_page_size()";
        let read: Option<(i64, i64)> =
            self.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).ok();
        let (pages, page) = read.filter(|(pages, _)| *pages < PAGES_MAX)?;
        u64::try_from(pages.saturating_mul(page)).ok()
    }

    /// Closes with success, so that no descriptor of SQLite's is left.
    ///
    /// # Errors
    /// As SQLite.
    pub fn close(self, op: Op) -> Result<(), Failure> {
        let path = self.path;
        self.connection.close().map_err(|(_, error)| failure_of(op, &path, &error))
    }

    /// What an error of this connection means.
    pub fn failure(&self, op: Op, error: &rusqlite::Error) -> Failure {
        failure_of(op, &self.path, error)
    }
}

fn failure_of(op: Op, path: &Path, error: &rusqlite::Error) -> Failure {
    let system = system_error(error);
    let mut failure = Failure::new(class_of_reading(error), op, describe(error))
        .at(path)
        .code(extended_code(error))
        .because(system);
    if Missing::of(error).is_some() {
        // The application has what this firmware's migrator does not: neither damage nor the
        // storage's fault.
        failure.class = Class::Catalogue;
    } else if is_not_utf8(error) || is_of_another_encoding(&failure) {
        // A statement of ours reads names and texts of the schema, which SQLite makes of UTF-8
        // alone: the file was changed from outside.
        failure.class = Class::Damaged;
    } else if failure.class == Class::Failed {
        // A statement of ours, not of a migration: never a reason for a fallback.
        failure.class = Class::Storage;
    }
    failure
}

/// The version of the SQLite inside this binary, as a header writes it: 3054001.
pub fn version_number() -> u32 {
    u32::try_from(rusqlite::version_number()).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "sqlite_tests.rs"]
mod tests;
