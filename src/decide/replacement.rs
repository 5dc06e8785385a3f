//! Owns [`Replacement`]: what takes a database's place.
//! Promises: a repair, a purge, a restore and a downgrade differ in this alone; one more is a
//! variant here, and an arm where it is chosen, built and reported.
//! Never decides which one is taken.

use crate::decide::pending::{Names, PendingMigration};
use crate::decide::record::OperationKind;

/// What takes a database's place; the old files go to quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// A fresh database, migrated from zero.
    Fresh,
    /// The same, with rows of the old one.
    Carried(Carry),
    /// This snapshot, migrated forward.
    Snapshot {
        /// Its version.
        version: i64,
        /// The operation that made it.
        operation: u64,
    },
    /// A copy of the old one with new indexes.
    Reindexed,
    /// A fresh database of the old one's version, with what can be read of it.
    Salvaged(Carry),
    /// A copy of the newer one, gone back by the down SQL that is stored in it.
    Downgraded {
        /// From this version.
        from: i64,
        /// To this one, which is the firmware's.
        to: i64,
        /// Undone, newest first.
        migrations: Vec<PendingMigration>,
    },
}

/// Which rows of the old database come into the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carry {
    /// The old version: rows are brought into a schema of this version.
    pub version: i64,
    /// Tables, or `*` for all.
    pub tables: Vec<String>,
    /// Every row goes aside: this firmware does not know their version.
    pub all_aside: bool,
    /// How much must be readable.
    pub least: Least,
    /// The old file is damaged: its indexes may know more rows than its tables.
    pub damaged: bool,
}

/// When what can be read is too little to be worth it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Least {
    /// Whatever there is: without it there would be nothing.
    Nothing,
    /// A row of any table.
    Row,
    /// Of every table that has a corrupt page at least a row: something better is there.
    RowOfEach,
}

impl Carry {
    /// All that can be read of a damaged database of this version.
    pub fn all_readable(version: i64, least: Least) -> Carry {
        Carry { version, tables: vec!["*".to_owned()], all_aside: false, least, damaged: true }
    }
}

impl Replacement {
    /// The operation that puts it in place.
    pub fn operation(&self) -> OperationKind {
        match self {
            Replacement::Fresh => OperationKind::ReplaceFresh,
            Replacement::Carried(_) => OperationKind::ReplaceCarried,
            Replacement::Snapshot { .. } => OperationKind::ReplaceSnapshot,
            Replacement::Reindexed => OperationKind::Reindex,
            Replacement::Salvaged(_) => OperationKind::Salvage,
            Replacement::Downgraded { .. } => OperationKind::Downgrade,
        }
    }

    /// It restores what is there, at its version; what is pending comes after it.
    pub fn is_repair(&self) -> bool {
        match self {
            Replacement::Reindexed | Replacement::Salvaged(_) => true,
            Replacement::Fresh
            | Replacement::Carried(_)
            | Replacement::Snapshot { .. }
            | Replacement::Downgraded { .. } => false,
        }
    }

    /// This firmware's migration of this version is run on it.
    pub fn runs(&self, version: i64) -> bool {
        match self {
            Replacement::Fresh | Replacement::Carried(_) => true,
            Replacement::Snapshot { version: its, .. } => version > *its,
            Replacement::Salvaged(carry) => version <= carry.version,
            Replacement::Reindexed | Replacement::Downgraded { .. } => false,
        }
    }

    /// What replacing by it means, for a plan.
    pub(super) fn sentence(&self, why: &str) -> String {
        match self {
            Replacement::Fresh => replaced_by("a fresh database", why),
            Replacement::Carried(carry) => {
                let tables = if carry.tables.iter().any(|table| table == "*") {
                    "every table".to_owned()
                } else {
                    carry.tables.join(", ")
                };
                let aside = if carry.all_aside { " put aside in it" } else { "" };
                replaced_by(&format!("a fresh database with the rows of {tables}{aside}"), why)
            }
            Replacement::Snapshot { version, operation } => {
                replaced_by(&format!("the snapshot v{version}-{operation} migrated forward"), why)
            }
            Replacement::Reindexed => {
                format!("rebuild the indexes on a copy, then put it in place: {why}")
            }
            Replacement::Salvaged(carry) => format!(
                "rebuild version {} with what can be read of the old one, then put it in place: \
                 {why}",
                carry.version
            ),
            Replacement::Downgraded { from, to, migrations } => format!(
                "go back from {from} to {to} on a copy, by the down SQL stored for {}, then put \
                 it in place",
                Names(migrations)
            ),
        }
    }
}

fn replaced_by(what: &str, why: &str) -> String {
    format!("replace by {what}, the old files go to quarantine: {why}")
}
