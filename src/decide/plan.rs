//! Owns [`Plan`]: what will be done, and its words.
//! Promises: its Display is what `bootmigrate plan` prints and `run` does.
//! Never decides.

use std::fmt;

use crate::decide::facts::PendingMigration;
use crate::error::Class;

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: the schema is this firmware's.
    Quiet {
        /// The version.
        version: i64,
    },
    /// Nothing: newer firmware said that this one can use its schema.
    UseNewer {
        /// The version found.
        version: i64,
        /// This firmware's.
        known: i64,
    },
    /// Let SQLite recover a journal or WAL, then look again.
    Recover {
        /// Why, in words.
        why: &'static str,
    },
    /// Build the first database beside, then give it its name.
    FirstBoot {
        /// Its version.
        to: i64,
    },
    /// The transaction mode.
    Migrate {
        /// From this version.
        from: i64,
        /// These, oldest first.
        migrations: Vec<PendingMigration>,
        /// The snapshot before.
        snapshot: SnapshotPlan,
        /// Recorded without running: plain refinery had done it.
        half_done: Option<i64>,
    },
    /// A copy is migrated and swapped in, because a migration cannot run in a transaction.
    MigrateCopy {
        /// From this version.
        from: i64,
        /// These, oldest first.
        migrations: Vec<PendingMigration>,
    },
    /// The history of what another tool did is written; nothing else changes.
    Adopt {
        /// Our version of its schema.
        version: i64,
        /// Whose history said so.
        by: String,
        /// What comes after it, oldest first.
        pending: Vec<PendingMigration>,
    },
    /// A copy of the newer database goes back by the down SQL that is stored in it, and is swapped in.
    Downgrade {
        /// From this version.
        from: i64,
        /// To this one, which is the firmware's.
        to: i64,
        /// Undone, newest first.
        migrations: Vec<PendingMigration>,
    },
    /// A copy gets new indexes and is swapped in.
    Reindex {
        /// What is wrong, in words.
        why: String,
    },
    /// A fresh database of the same version gets what can be read of the damaged one, and is swapped in.
    Salvage {
        /// Its version.
        version: i64,
        /// What is wrong, in words.
        why: String,
        /// A table of which nothing can be read is too little: there is a snapshot to fall back on.
        each: bool,
    },
    /// Another database takes the old one's place; the old files go to quarantine.
    Replace {
        /// By what.
        by: Replacement,
        /// Why, in words.
        why: String,
        /// It loses rows.
        loss: bool,
    },
    /// Nothing can or may be done.
    Refuse(Refusal),
}

/// What takes the old database's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// A fresh database, migrated from zero.
    Fresh {
        /// Tables whose rows are carried over, `*` for all; empty for none.
        carry: Vec<String>,
        /// The version of these rows.
        from: i64,
        /// They are of newer firmware: they are kept beside the tables, not in them.
        aside: bool,
    },
    /// This snapshot, migrated forward.
    Snapshot {
        /// Its version.
        version: i64,
        /// The operation that made it.
        operation: u64,
    },
}

/// The snapshot before migrating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotPlan {
    /// There is room.
    Take,
    /// There is room once our own older snapshots are gone.
    TakeAfterPruning,
    /// The policy asks for no snapshot.
    Never,
    /// There is no room, and policy goes on without.
    NoRoom,
    /// There is nothing in it yet.
    NothingInIt,
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Decides the exit code.
    pub class: RefusalClass,
    /// What is the matter, in words.
    pub what: String,
    /// What an operator can do about it.
    pub next: String,
}

/// The exit code of a refusal, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// A class that failures have too.
    As(Class),
    /// The tries are used up: 19.
    TriesUsedUp,
}

pub(super) fn refuse(class: Class, what: &str, next: impl Into<String>) -> Plan {
    Plan::Refuse(Refusal {
        class: RefusalClass::As(class),
        what: what.to_owned(),
        next: next.into(),
    })
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::Quiet { version } => write!(f, "nothing to do: at version {version}"),
            Plan::UseNewer { version, known } => {
                write!(f, "use it as it is: at version {version}, which firmware of version {known} can use")
            }
            Plan::Recover { why } => {
                write!(f, "recover, then look again: {why}; unknown until recovered")
            }
            Plan::FirstBoot { to } => {
                write!(f, "first boot: build version {to} beside, then put it in place")
            }
            Plan::Migrate { from, migrations, snapshot, half_done } => {
                if let Some(version) = half_done {
                    write!(f, "record V{version}, whose schema is there already")?;
                    if migrations.is_empty() {
                        return write!(f, ", {snapshot}");
                    }
                    f.write_str("; ")?;
                }
                write!(
                    f,
                    "migrate {from} to {}: {}, in one transaction, {snapshot}",
                    target(*from, migrations, *half_done),
                    Names(migrations)
                )
            }
            Plan::MigrateCopy { from, migrations } => {
                write!(
                    f,
                    "migrate a copy {from} to {}: {}, then put it in place",
                    target(*from, migrations, None),
                    Names(migrations)
                )
            }
            Plan::Adopt { version, by, pending } => {
                write!(f, "adopt what {by} left at version {version}, whose schema it has")?;
                match pending.last() {
                    None => Ok(()),
                    Some(last) => write!(
                        f,
                        ", then migrate {version} to {}: {}",
                        last.version,
                        Names(pending)
                    ),
                }
            }
            Plan::Downgrade { from, to, migrations } => {
                write!(f, "go back from {from} to {to} on a copy, by the down SQL stored for {}, then put it in place", Names(migrations))
            }
            Plan::Salvage { version, why, .. } => {
                write!(f, "rebuild version {version} with what can be read of the old one, then put it in place: {why}")
            }
            Plan::Reindex { why } => {
                write!(f, "rebuild the indexes on a copy, then put it in place: {why}")
            }
            Plan::Replace { by, why, .. } => {
                write!(f, "replace by {by}, the old files go to quarantine: {why}")
            }
            Plan::Refuse(refusal) => write!(f, "refuse: {}", refusal.what),
        }
    }
}

fn target(from: i64, migrations: &[PendingMigration], half_done: Option<i64>) -> i64 {
    migrations.last().map(|migration| migration.version).or(half_done).unwrap_or(from)
}

/// The names of the migrations, shortened in the middle.
struct Names<'a>(&'a [PendingMigration]);

/// Names shown of a long list.
const NAMES_SHOWN_MAX: usize = 6;

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .0
            .iter()
            .take(NAMES_SHOWN_MAX)
            .map(|migration| format!("V{} {}", migration.version, migration.name));
        f.write_str(&names.collect::<Vec<_>>().join(", "))?;
        match self.0.len().checked_sub(NAMES_SHOWN_MAX) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for SnapshotPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SnapshotPlan::Take => "after a snapshot",
            SnapshotPlan::TakeAfterPruning => "after a snapshot for which older ones go",
            SnapshotPlan::Never => "without a snapshot (copy = \"never\")",
            SnapshotPlan::NoRoom => "without a snapshot (no room)",
            SnapshotPlan::NothingInIt => "without a snapshot (nothing in it)",
        })
    }
}

impl fmt::Display for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Replacement::Fresh { carry, .. } if carry.is_empty() => f.write_str("a fresh database"),
            Replacement::Fresh { carry, aside, .. } => {
                let tables = if carry.iter().any(|table| table == "*") {
                    "every table".to_owned()
                } else {
                    carry.join(", ")
                };
                let beside = if *aside { " put aside in it" } else { "" };
                write!(f, "a fresh database with the rows of {tables}{beside}")
            }
            Replacement::Snapshot { version, operation } => {
                write!(f, "the snapshot v{version}-{operation} migrated forward")
            }
        }
    }
}
