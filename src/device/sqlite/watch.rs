//! Owns what ends a statement before it is done: a stop signal, and `statement_timeout_s`; and the
//! bound of SQLite's memory.
//! Promises: asked every few steps of SQLite's machine, on every connection; beside a checkpoint,
//! which has no steps, by a thread.
//! Never ends a statement by the clock where nobody has configured it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::device::disk::{Disk, SystemDisk};
use crate::device::files::side;
use crate::device::sqlite::stuck::{self, Evaluating};
use crate::device::sqlite::Database;
use crate::device::{memory, progress};
use crate::error::{Class, Failure};

/// Steps of SQLite's machine between two looks. One that builds a text of megabytes takes a
/// millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 100;
/// Looks between two signs of life for who watches.
const LOOKS_BETWEEN_SIGNS: u32 = 200;
/// A smaller WAL is in main before anybody could look.
const WATCHED_WAL_BYTES: u64 = 4 << 20;
/// Between two looks of the thread beside a checkpoint.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What ends a statement before it is done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits<'a> {
    /// Raised by SIGTERM and SIGINT.
    pub stop: Option<&'a Arc<AtomicBool>>,
    /// `statement_timeout_s`, for a migration's own statements.
    pub statement: Option<Duration>,
    /// Steps of SQLite's machine that a database in memory may take.
    pub scratch_work: Option<u64>,
}

/// What migrations may take on an empty database while we look and nobody counts a try: some
/// seconds on a slow device, and a thousand times what a product's usual migrations take.
pub const SCRATCH_STEPS_MAX: u64 = 200_000_000;

/// The limits of one connection.
pub(super) struct ConnectionLimits {
    stop: Option<Arc<AtomicBool>>,
    limit: Option<Duration>,
    deadline: Mutex<Option<Instant>>,
    timed_out: AtomicBool,
    looks_left: Option<AtomicU64>,
}

impl ConnectionLimits {
    pub fn new(limits: Limits<'_>, steps_max: Option<u64>) -> Arc<ConnectionLimits> {
        let looks_left = steps_max.map(|migrations| {
            AtomicU64::new(migrations / u64::from(STEPS_BETWEEN_LOOKS.unsigned_abs()))
        });
        Arc::new(ConnectionLimits {
            stop: limits.stop.map(Arc::clone),
            limit: limits.statement,
            deadline: Mutex::new(None),
            timed_out: AtomicBool::new(false),
            looks_left,
        })
    }

    /// Looks from now on.
    pub fn begin(
        self: &Arc<ConnectionLimits>,
        connection: &mut Connection,
    ) -> rusqlite::Result<()> {
        let watch = Arc::clone(self);
        let mut looks = 0u32;
        connection.progress_handler(
            STEPS_BETWEEN_LOOKS,
            Some(move || {
                looks = looks.wrapping_add(1);
                if looks.is_multiple_of(LOOKS_BETWEEN_SIGNS) {
                    progress::tick();
                }
                let must_end = watch.must_end();
                stuck::looked(must_end);
                must_end
            }),
        )
    }

    fn must_end(&self) -> bool {
        if self.stopped() {
            return true;
        }
        if let Some(left) = &self.looks_left {
            let used_up = left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_err();
            if used_up {
                return true;
            }
        }
        let Some(deadline) =
            self.limit.and_then(|_| *self.deadline.lock().unwrap_or_else(PoisonError::into_inner))
        else {
            return false;
        };
        let over = Instant::now() >= deadline;
        if over {
            self.timed_out.store(true, Ordering::Relaxed);
        }
        over
    }

    fn stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// A statement of a migration begins; it ends when the answer is dropped.
    pub fn statement(self: &Arc<ConnectionLimits>) -> Timed {
        if let Some(limit) = self.limit {
            *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Instant::now() + limit);
        }
        Timed { watch: Arc::clone(self), _runs: self.evaluates() }
    }

    /// SQL of a migration or of the schema is evaluated until the answer is dropped: where no stop
    /// signal reaches it, the run ends.
    pub fn evaluates(&self) -> Evaluating {
        Evaluating::begin(self.stop.as_ref())
    }

    /// Why a statement was interrupted, where it was no stop signal.
    pub fn timed_out(&self) -> Option<String> {
        if self.looks_left.as_ref().is_some_and(|left| left.load(Ordering::Relaxed) == 0)
            && !self.stopped()
        {
            return Some("it takes too long on an empty database".to_owned());
        }
        let limit = self
            .limit
            .filter(|_| self.timed_out.swap(false, Ordering::Relaxed) && !self.stopped())?;
        Some(format!(
            "the statement took longer than statement_timeout_s = {} allows",
            limit.as_secs()
        ))
    }
}

/// A statement of a migration runs.
pub(super) struct Timed {
    watch: Arc<ConnectionLimits>,
    _runs: Evaluating,
}

impl Drop for Timed {
    fn drop(&mut self) {
        *self.watch.deadline.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Database {
    /// What the clock ended is a failed migration, and no stop signal.
    pub(super) fn timed_out(&self, failure: Failure) -> Failure {
        match self.watch.timed_out() {
            Some(cause) => Failure { class: Class::Failed, cause, ..failure },
            None => failure,
        }
    }

    /// Runs what brings a WAL into main: SQLite asks no handler meanwhile, but can be interrupted
    /// by another thread.
    pub(super) fn interruptible<T>(&self, work: impl FnOnce() -> T) -> T {
        let wal = SystemDisk::default().stat(&side(&self.path, "-wal")).ok().flatten();
        let Some(stop) = self
            .watch
            .stop
            .as_deref()
            .filter(|_| wal.is_some_and(|wal| wal.size > WATCHED_WAL_BYTES))
        else {
            return work();
        };
        let (handle, done) = (self.connection.get_interrupt_handle(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let look = || {
                while !done.load(Ordering::Relaxed) {
                    if stop.load(Ordering::Relaxed) {
                        handle.interrupt();
                    }
                    std::thread::park_timeout(LOOK_EVERY);
                }
            };
            // Without a thread it cannot be interrupted.
            let watcher = std::thread::Builder::new().spawn_scoped(scope, look).ok();
            let result = work();
            done.store(true, Ordering::Relaxed);
            if let Some(watcher) = watcher {
                watcher.thread().unpark();
            }
            result
        })
    }
}

/// From now on all of SQLite in this process together has no more memory than this.
///
/// # Errors
/// SQLite's words.
pub fn bound_memory(mebibytes: u32) -> Result<(), String> {
    let bytes = u64::from(mebibytes) << 20;
    memory::bound(bytes);
    super::heap::bound(i64::try_from(bytes).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::disk::{read_through, Op};
    use crate::device::sqlite::Sqlite;
    use std::path::PathBuf;

    const OP: Op = Op("test");
    const ENDLESS: &str =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

    /// A file with rows enough for many looks.
    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (a, b); CREATE INDEX i ON t (b);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)
                 INSERT INTO t SELECT i, hex(randomblob(40)) FROM n;",
            )
            .unwrap();
        (folder, path)
    }

    #[test]
    fn a_stop_signal_ends_every_kind_of_connection() {
        let (_folder, path) = file();
        let stop = Arc::new(AtomicBool::new(false));
        let sqlite = Sqlite {
            limits: Limits { stop: Some(&stop), ..Limits::default() },
            ..Sqlite::default()
        };
        let open = |how: &str| match how {
            "immutable" => sqlite.look_immutable(OP, &path),
            "without writing" => sqlite.look_without_writing(OP, &path),
            "look beside" => sqlite.look_beside(OP, &path),
            "share" => sqlite.share(OP, &path, false),
            "beside" => sqlite.beside(OP, &path, 0),
            "work" => sqlite.work(OP, &path, 0).map(|(database, _)| database),
            _ => sqlite.build(OP, &path, 0),
        };
        for name in
            ["immutable", "without writing", "look beside", "share", "beside", "work", "build"]
        {
            stop.store(false, Ordering::Relaxed);
            let database = open(name).unwrap();
            stop.store(true, Ordering::Relaxed);
            let ends = [
                database.integrity_check(OP).map(drop),
                database.quick_check(OP).map(drop),
                database.run(OP, ENDLESS),
                database.texts(OP, "SELECT b FROM t ORDER BY b DESC").map(drop),
            ];
            for (number, end) in ends.into_iter().enumerate() {
                assert_eq!(end.unwrap_err().class, Class::Interrupted, "{name}, {number}");
            }
            database.close(OP).unwrap();
        }
        let database = sqlite.scratch(OP).unwrap();
        assert_eq!(database.run(OP, ENDLESS).unwrap_err().class, Class::Interrupted);
        let read = read_through(&SystemDisk::default(), OP, &path, &stop).unwrap_err();
        assert_eq!(read.kind(), std::io::ErrorKind::Interrupted);
    }

    #[test]
    fn a_checkpoint_is_interrupted_by_a_thread() {
        let (_folder, path) = file();
        let connection = Connection::open(&path).unwrap();
        let wal = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE big (a);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) INSERT \
                   INTO big SELECT randomblob(4000) FROM n;";
        connection.execute_batch(wal).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let sqlite = Sqlite {
            limits: Limits { stop: Some(&stop), ..Limits::default() },
            ..Sqlite::default()
        };
        let database = sqlite.share(OP, &path, true).unwrap();
        // The work ends when the thread has interrupted it, and not before.
        stop.store(true, Ordering::Relaxed);
        let interrupted = database.interruptible(|| loop {
            let asked = database.connection.query_row(
                "SELECT count(*) FROM big a, big b, big c, big d",
                [],
                |row| row.get::<_, i64>(0),
            );
            if let Err(error) = asked {
                return error.sqlite_error_code();
            }
        });
        assert_eq!(interrupted, Some(rusqlite::ErrorCode::OperationInterrupted));
    }

    #[test]
    fn a_database_in_memory_takes_so_many_steps() {
        let sqlite = Sqlite {
            limits: Limits { scratch_work: Some(1_000_000), ..Limits::default() },
            ..Sqlite::default()
        };
        let database = sqlite.scratch(OP).unwrap();
        assert!(database.run(OP, "CREATE TABLE t (a); INSERT INTO t VALUES (1)").is_ok());
        let failure = database.timed_out(database.run(OP, ENDLESS).unwrap_err());
        assert_eq!(
            (failure.class, failure.cause.as_str()),
            (Class::Failed, "it takes too long on an empty database")
        );
        let (_folder, path) = file();
        let database = sqlite.look_immutable(OP, &path).unwrap();
        assert_eq!(
            database.texts(OP, "SELECT 'x' FROM t a, t b WHERE a.a = 1").unwrap().len(),
            2000
        );
    }

    #[test]
    fn a_statement_ends_at_its_time_and_only_where_there_is_one() {
        let watch = |limit: Option<Duration>| {
            ConnectionLimits::new(Limits { statement: limit, ..Limits::default() }, None)
        };
        let none = watch(None);
        let _statement = none.statement();
        assert!(!none.must_end() && none.timed_out().is_none());
        let soon = watch(Some(Duration::ZERO));
        assert!(!soon.must_end(), "no statement runs");
        let statement = soon.statement();
        assert!(soon.must_end());
        drop(statement);
        assert!(!soon.must_end());
        assert_eq!(
            soon.timed_out().as_deref(),
            Some("the statement took longer than statement_timeout_s = 0 allows")
        );
        assert_eq!(soon.timed_out(), None, "said once");
    }
}
