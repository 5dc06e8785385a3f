//! Owns [`Plan`]: what will be done, and its words.
//! Promises: its Display is what `bootmigrate plan` prints and `run` does.
//! Never decides.

use std::fmt;

use crate::decide::pending::{Names, PendingMigration};
use crate::decide::replacement::Replacement;
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
        /// The old file, as a snapshot.
        snapshot: SnapshotPlan,
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
    /// Another database takes the old one's place.
    Replace {
        /// Which one.
        by: Replacement,
        /// Why, in words.
        why: String,
        /// It loses rows, whatever the build finds.
        loss: bool,
    },
    /// Nothing can or may be done.
    Refuse(Refusal),
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
    /// There is room for the migrations alone, once our own older snapshots are gone.
    NoneAfterPruning,
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
                write!(
                    f,
                    "use it as it is: at version {version}, which firmware of version {known} can \
                     use"
                )
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
            Plan::MigrateCopy { from, migrations, snapshot } => {
                write!(
                    f,
                    "migrate a copy {from} to {}: {}, then put it in place",
                    target(*from, migrations, None),
                    Names(migrations)
                )?;
                match snapshot {
                    // The old file itself becomes it.
                    SnapshotPlan::Take => Ok(()),
                    other => write!(f, ", {other}"),
                }
            }
            Plan::Adopt { version, by, pending } => adoption(f, *version, by, pending),
            Plan::Replace { by, why, .. } => f.write_str(&by.sentence(why)),
            Plan::Refuse(refusal) => write!(f, "refuse: {}", refusal.what),
        }
    }
}

fn adoption(
    f: &mut fmt::Formatter<'_>,
    version: i64,
    by: &str,
    pending: &[PendingMigration],
) -> fmt::Result {
    write!(f, "adopt what {by} left at version {version}, whose schema it has")?;
    match pending.last() {
        None => Ok(()),
        Some(last) => {
            write!(f, ", then migrate {version} to {}: {}", last.version, Names(pending))
        }
    }
}

fn target(from: i64, migrations: &[PendingMigration], half_done: Option<i64>) -> i64 {
    migrations.last().map(|migration| migration.version).or(half_done).unwrap_or(from)
}

impl fmt::Display for SnapshotPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SnapshotPlan::Take => "after a snapshot",
            SnapshotPlan::TakeAfterPruning => "after a snapshot for which older ones go",
            SnapshotPlan::Never => "without a snapshot (snapshot = \"never\")",
            SnapshotPlan::NoRoom => "without a snapshot (no room)",
            SnapshotPlan::NoneAfterPruning => "without a snapshot, and older ones go (no room)",
            SnapshotPlan::NothingInIt => "without a snapshot (nothing in it)",
        })
    }
}
