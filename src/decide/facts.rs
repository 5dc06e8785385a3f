//! Owns what inspection saw, as enums: the whole input of a decision besides the policy.
//! Promises: a new kind of fact fails to compile wherever it is not decided.
//! Never holds a handle, a path to open, or a guess.

use crate::decide::asked::{QUARANTINE_RESTORE_ASKED, RESTORE_ASKED};
use crate::decide::pending::PendingMigration;
use crate::decide::record::{Counts, Loss, OperationKind, RecordedFailure};
use crate::decide::replacement::Replacement;
use crate::error::Class;

/// Everything a decision may look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What stands under the database's name.
    pub database: DatabaseState,
    /// The version that this firmware expects.
    pub target: i64,
    /// All migrations of this firmware, oldest first: what a fresh database is built from.
    pub catalog: Vec<PendingMigration>,
    /// Who asks.
    pub request: Request,
    /// Tries of this catalogue, an operation that is open and not done already counted.
    pub tries: Counts,
    /// Repairs of a damaged or lost database by this catalogue that failed, those of this run among
    /// them.
    pub failed_repairs: u8,
    /// An operation of an earlier run that did not end.
    pub open_operation: EarlierOperation,
    /// Snapshots that were looked at and found good, newest first; looked for only where the file
    /// is damaged, lost or newer.
    pub snapshots: Vec<Snapshot>,
    /// The operation that was current at the last `mark-good`; snapshots of later operations are
    /// the way back of a slot on trial.
    pub good_operation: u64,
    /// Room on the file system.
    pub room: Room,
    /// What of ours takes room there and may go when an operator says so; looked for only where
    /// something is to be done.
    pub kept: Vec<OwnCopies>,
    /// The file system takes writes.
    pub writable: bool,
    /// Why it takes none, in words.
    pub read_only: String,
    /// The database file is a mount of its own: nothing can be renamed over it.
    pub own_mount: bool,
    /// The WAL's content must be moved into main before an application opens it: none could on a
    /// disk this full, and none has it open.
    pub recover: bool,
    /// A database with content has stood under this name.
    pub held_data: bool,
    /// Nothing says which version it is at, and its pages have rows all the same; looked for only
    /// where its schema or history is gone.
    pub loose_rows: bool,
    /// Data that was lost by operations that are done and that no run has reported, oldest first.
    pub losses: Vec<Loss>,
    /// Why the last operation that failed did so, where none has ended well since.
    pub last_failure: Option<RecordedFailure>,
    /// Repairs that this run tried and that did not help.
    pub tried: Vec<Replacement>,
}

impl Facts {
    /// The file is gone or empty and no side file has content: a fresh database loses nothing more.
    pub fn nothing_is_left(&self) -> bool {
        matches!(self.database, DatabaseState::Lost { remains: false, .. })
    }
}

/// What stands under the database's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseState {
    /// Nothing, and nothing was ever there.
    Absent,
    /// Empty or absent, though the record or a side file says that there was data.
    Lost {
        /// In words.
        what: String,
        /// A side file still holds something.
        remains: bool,
    },
    /// A hot journal: what it holds cannot be read before SQLite has rolled it back.
    NeedsRecovery,
    /// A WAL or hot journal that only a writer can read, on a file system that takes no writes.
    Unreadable {
        /// In words.
        what: String,
    },
    /// The history equals the catalogue.
    Current {
        /// The version.
        version: i64,
    },
    /// Migrations are pending.
    Behind {
        /// The version it is at; 0 for a database without any table.
        version: i64,
        /// What is to be done, oldest first.
        pending: Vec<PendingMigration>,
        /// plain refinery did this one and was cut off before its history row: the schema is
        /// exactly this version's.
        half_done: Option<i64>,
    },
    /// Written by newer firmware.
    Newer {
        /// The version it is at.
        version: i64,
        /// The oldest version that can use it, where the newer firmware said so for every
        /// migration.
        compatible_from: Option<i64>,
        /// The down SQL that the newer firmware stored in it.
        way_back: WayBack,
    },
    /// The history and the catalogue contradict each other.
    Mismatch {
        /// Which rows, in words.
        what: String,
    },
    /// What is to be done asks for Rust code that this binary does not have.
    WithoutCode {
        /// The version it is at; 0 for none.
        version: i64,
        /// Which migration, in words.
        what: String,
    },
    /// Its schema has what no migration may run beside.
    Unfit {
        /// The version it is at; `None` where that was not read.
        version: Option<i64>,
        /// What, in words.
        what: String,
    },
    /// Tables, but no history.
    NoHistory {
        /// How many tables.
        tables: u64,
        /// `application_id`, which is another application's when it is not 0.
        application_id: i64,
        /// What the configuration says of the tool that made it, compared with what is there.
        adoption: Adoption,
    },
    /// A schema or file format that this SQLite is too old for.
    NewerSqlite {
        /// In words, with both versions.
        what: String,
    },
    /// Not a file of ours to touch: a folder, a dangling link, a file with other names.
    NotOurs {
        /// In words.
        what: String,
    },
    /// Proven: not a database, or corrupt.
    Damaged {
        /// In words.
        what: String,
        /// Every table can be read and is whole: only indexes or lists of free pages are damaged.
        tables_whole: bool,
        /// The version, where the history could be read and is the beginning of this firmware's:
        /// rows can be brought from it.
        version: Option<i64>,
    },
}

/// A database that another tool made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adoption {
    /// The configuration names no tool.
    NotAsked,
    /// It is not what the configuration says; why, in words.
    Refused(String),
    /// Its schema is that of this version.
    At {
        /// Ours.
        version: i64,
        /// Whose history said so.
        by: String,
        /// What is to be done after it, oldest first.
        pending: Vec<PendingMigration>,
    },
}

/// The way from a newer schema to this firmware's, as the database itself has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WayBack {
    /// Down SQL for every newer migration; these, newest first.
    Stored(Vec<PendingMigration>),
    /// There is none for at least one migration; which, in words.
    Missing(String),
}

/// Who asks for this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Nobody in particular: a boot.
    Boot,
    /// `--retry`: the counted tries are forgotten.
    Retry,
    /// `--purge-and-retry`: also, whatever fails or is damaged is purged.
    PurgeAndRetry,
    /// `migrate`: forward, as at a boot; but nothing takes the place of a database that is gone.
    Migrate,
    /// `rollback`: down to a version that an operator named.
    Rollback,
    /// `purge --yes`: a fresh database, whatever there is.
    Purge,
    /// `snapshot restore --yes`, `quarantine restore --yes`: this good copy, whatever there is.
    Restore(Snapshot),
}

impl Request {
    /// An operator asks once more: what was tried before does not count.
    pub fn forgets_tries(&self) -> bool {
        !matches!(self, Request::Boot | Request::Migrate)
    }
}

/// An operation of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EarlierOperation {
    /// None, or it is done: its number is in the database.
    None,
    /// Ended by a power cut, a kill or a stop signal.
    Interrupted {
        /// What it did.
        kind: OperationKind,
        /// This catalogue's own.
        ours: bool,
        /// How often it was started.
        starts: u8,
        /// Why it was begun.
        reason: String,
    },
}

/// A good copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Its version.
    pub version: i64,
    /// The operation that made it.
    pub operation: u64,
    /// How many of the damaged file's rows that only its indexes know it has.
    pub holds: u64,
    /// Rows in the damaged file's tables that this copy does not have; not counted beyond `holds`.
    pub lacks: u64,
    /// It was made of files in quarantine, for `quarantine restore`.
    pub from_quarantine: bool,
}

impl Snapshot {
    /// The reason of whoever named it.
    pub fn asked_by(&self) -> &'static str {
        if self.from_quarantine {
            QUARANTINE_RESTORE_ASKED
        } else {
            RESTORE_ASKED
        }
    }

    /// It takes the database's place.
    pub fn replacement(&self) -> Replacement {
        Replacement::Snapshot { version: self.version, operation: self.operation }
    }
}

/// Room on the database's file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Free.
    pub available: u64,
    /// In all.
    pub total: u64,
    /// The main file.
    pub size: u64,
    /// What pruning our own old snapshots would give.
    pub reclaimable: u64,
    /// What the pending migrations ask for beside the database (`needs-space`, the one that asks
    /// for most).
    pub asked: u64,
    /// What an earlier run of this catalogue found missing: this much must be free.
    pub needed: Option<u64>,
}

/// A database that was set aside, or a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCopies {
    /// Its folder or file.
    pub path: String,
    /// What its removal gives back.
    pub bytes: u64,
    /// In quarantine.
    pub quarantined: bool,
    /// The command that removes it.
    pub remove: String,
}

/// Room that must stay free after a copy: the larger of 5 % of the file system, 64 MiB at most, and
/// 10 % of the file, so that the application can go on writing and the next migration can begin. A
/// share of a large file system is more than either needs, and one that other data keeps nearly
/// full would never have it.
const FREE_OF_FILE_SYSTEM_PERCENT: u64 = 5;
/// See [`FREE_OF_FILE_SYSTEM_PERCENT`].
const FREE_OF_FILE_SYSTEM_BYTES_MAX: u64 = 64 << 20;
/// See [`FREE_OF_FILE_SYSTEM_PERCENT`].
const FREE_OF_FILE_PERCENT: u64 = 10;

impl Facts {
    /// This run replaced the database in this way, and it did not help.
    pub fn has_tried(&self, operation: OperationKind) -> bool {
        self.tried.iter().any(|by| by.operation() == operation)
    }

    /// This run restored this snapshot, and it did not help.
    pub fn has_tried_snapshot(&self, snapshot: &Snapshot) -> bool {
        self.tried.contains(&snapshot.replacement())
    }

    /// The newest good copy that a damaged database may be replaced by and that was not tried. One
    /// of version 0 has nothing in it: to restore it would be a purge.
    pub fn copy_left(&self) -> Option<&Snapshot> {
        let left =
            |snapshot: &&Snapshot| snapshot.version > 0 && !self.has_tried_snapshot(snapshot);
        self.snapshots.iter().find(left)
    }

    /// Why this firmware's last try failed, as the end of a clause; empty where that is not known.
    pub fn last_time(&self) -> String {
        let ours = self
            .last_failure
            .as_ref()
            .filter(|failure| failure.fingerprint == self.tries.fingerprint);
        ours.map_or_else(String::new, |failure| format!(", the last time with: {}", failure.what))
    }

    /// Migrations and repairs that failed.
    pub fn failed_tries(&self) -> u8 {
        self.tries.failed.saturating_add(self.failed_repairs)
    }

    /// This firmware's last try was a database made from zero, and its migrations failed on that.
    pub fn fresh_build_failed(&self) -> bool {
        let ours = self
            .last_failure
            .as_ref()
            .filter(|failure| failure.fingerprint == self.tries.fingerprint);
        ours.is_some_and(|failure| failure.from.is_none() && failure.class == Class::Failed.word())
    }
}

impl Room {
    /// Bytes that must be free before a copy of main is begun: what is asked for must fit beside
    /// it.
    pub fn for_a_copy(&self) -> u64 {
        let of_file_system =
            (self.total / 100 * FREE_OF_FILE_SYSTEM_PERCENT).min(FREE_OF_FILE_SYSTEM_BYTES_MAX);
        let of_file = self.size / 100 * FREE_OF_FILE_PERCENT;
        let of_a_failure = self.needed.unwrap_or(0);
        self.size.saturating_add(of_file_system.max(of_file).max(self.asked).max(of_a_failure))
    }

    /// What the migrations ask for is free, after pruning this many bytes of our own.
    pub fn has_asked(&self, pruned: u64) -> bool {
        self.available.saturating_add(pruned) >= self.asked
    }

    /// A copy fits, after pruning this many bytes of our own.
    pub fn fits(&self, pruned: u64) -> bool {
        self.available.saturating_add(pruned) >= self.for_a_copy()
    }
}

/// The version that the facts tell, where they tell one.
pub fn version_of(facts: &Facts) -> Option<i64> {
    match &facts.database {
        DatabaseState::Absent => Some(0),
        DatabaseState::Current { version }
        | DatabaseState::WithoutCode { version, .. }
        | DatabaseState::Behind { version, .. }
        | DatabaseState::Newer { version, .. } => Some(*version),
        DatabaseState::Unfit { version, .. } => *version,
        DatabaseState::Lost { .. }
        | DatabaseState::NeedsRecovery
        | DatabaseState::Unreadable { .. }
        | DatabaseState::Mismatch { .. }
        | DatabaseState::NoHistory { .. }
        | DatabaseState::NewerSqlite { .. }
        | DatabaseState::NotOurs { .. }
        | DatabaseState::Damaged { .. } => None,
    }
}
