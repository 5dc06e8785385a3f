//! Owns [`decide`]: one exhaustive match on the facts, with a reason above every arm; and the plan's words.
//! Promises: total; the same facts give the same plan; its Display is what `bootmigrate plan` prints and `run` does.
//! Never guesses: what is not proven is refused, untouched.

use std::fmt;

use crate::config::{ChangedText, CopyPolicy};
use crate::decide::damage::{damaged, lost};
use crate::decide::facts::{Adoption, DatabaseState, Facts, OpenOperation, PendingMigration, Request, Snapshot};
use crate::decide::newer::newer;
use crate::decide::policy::{Policy, FAILED_MAX, INTERRUPTED_MAX, PURGES_MAX, REPLACE_STARTS_MAX};
use crate::decide::record::OperationKind;
use crate::decide::space::{less_than_asked, no_room, refuse_until_free};
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

/// Why an operator's `snapshot restore` replaces what is there.
pub const RESTORE_ASKED: &str = "`snapshot restore` was asked for";
/// Why an operator's `purge` replaces what is there.
pub const PURGE_ASKED: &str = "`purge` was asked for";

/// Facts and policy in, a plan out.
pub fn decide(facts: &Facts, policy: &Policy) -> Plan {
    match &facts.request {
        Request::Purge => return purge(facts, policy),
        Request::Restore(snapshot) => return restore(facts, snapshot),
        Request::Boot | Request::Retry | Request::PurgeAndRetry | Request::Rollback => {}
    }
    match (&facts.database, &facts.open_operation) {
        // A link, a folder, a second name: whatever it is, it is not only ours.
        (DatabaseState::NotOurs { what }, _) => refuse(Class::NotOurs, what, "give bootmigrate a plain file of its own in `path`"),
        // Reading would need a write; a file system that takes none is the storage's matter, not the database's.
        (DatabaseState::Unreadable { what }, _) => refuse(Class::Storage, what, "make it writable, then run again"),
        // Corruption is what an old SQLite sees in a new schema: never a reason for a fallback.
        (DatabaseState::NewerSqlite { what }, _) => refuse(Class::Newer, what, "boot the newer firmware"),
        // What a hot journal hides decides everything else.
        (DatabaseState::NeedsRecovery, _) => recover(facts, "a hot journal was left by a power cut"),
        // The application could not open a WAL on a disk this full; we can.
        (DatabaseState::Current { recover: true, .. }, _) => recover(facts, "a WAL was left and the disk is nearly full"),
        (DatabaseState::Current { version, recover: false }, _) => Plan::Quiet { version: *version },
        // A replacement that this firmware began, the old files still untouched: its reason lives only in the record.
        (
            DatabaseState::Behind { .. },
            OpenOperation::Interrupted { kind: OperationKind::ReplaceFresh | OperationKind::ReplaceCarried, ours: true, reason, .. },
        ) => worn_out(facts, policy).unwrap_or_else(|| replace_fresh(facts, policy, reason.clone())),
        (DatabaseState::Behind { version, pending, half_done }, _) => behind(facts, policy, *version, pending, *half_done),
        (DatabaseState::Newer { version, compatible_from, way_back }, _) => newer(facts, policy, *version, *compatible_from, way_back),
        // The team said that a changed text is not worth a device.
        (DatabaseState::Mismatch { text_only: true, .. }, _) if policy.changed_text == ChangedText::Warn => {
            Plan::Quiet { version: facts.target }
        }
        (DatabaseState::Mismatch { what, .. }, _) => {
            refuse(Class::Catalogue, what, "build the firmware with the migrations that this database was made by")
        }
        // A migration without its code would be recorded as done.
        (DatabaseState::WithoutCode { what, .. }, _) => {
            refuse(Class::Catalogue, what, "install the firmware's own program, which registers it (`Migrator::code_migration`)")
        }
        (DatabaseState::NoHistory { tables, application_id, adoption }, _) => no_history(facts, policy, *tables, *application_id, adoption),
        // Nothing is there and nothing ever was.
        (DatabaseState::Absent, _) => first_boot(facts, policy),
        // There was data: a first boot would hide that, so the repairs come first.
        (DatabaseState::Lost { what, remains }, _) => lost(facts, policy, what, *remains),
        (DatabaseState::Damaged { what, tables_whole, version }, _) => damaged(facts, policy, what, *tables_whole, *version),
    }
}

pub(super) fn refuse(class: Class, what: &str, next: impl Into<String>) -> Plan {
    Plan::Refuse(Refusal { class: RefusalClass::As(class), what: what.to_owned(), next: next.into() })
}

fn recover(facts: &Facts, why: &'static str) -> Plan {
    // Rolling back writes.
    if facts.writable {
        Plan::Recover { why }
    } else {
        refuse(Class::Storage, &format!("{why}, and {}", facts.read_only), "make it writable, then run again")
    }
}

/// What stops any operation before it begins, in the order of what an operator can repair.
fn obstacle(facts: &Facts, policy: &Policy) -> Option<Plan> {
    if !facts.writable {
        return Some(refuse(Class::Storage, &format!("work is pending and {}", facts.read_only), "make it writable, then run again"));
    }
    // "Full" was met before: one read tells that nothing has changed.
    if let Some(refusal) = refuse_until_free(facts, policy, "") {
        return Some(refusal);
    }
    if facts.request != Request::Boot {
        return None;
    }
    let used_up = |what: String| {
        let next = format!("run `bootmigrate run --retry --db {}` to try once more", policy.name);
        Some(Plan::Refuse(Refusal { class: RefusalClass::TriesUsedUp, what, next }))
    };
    // Three failures prove that it is no accident; five interruptions, that it is not the weather.
    if facts.tries.failed >= FAILED_MAX {
        return used_up(format!("this firmware's migrations failed {} times{}", facts.tries.failed, facts.last_time()));
    }
    if facts.tries.interrupted >= INTERRUPTED_MAX {
        return used_up(format!("this firmware's migrations were interrupted {} times", facts.tries.interrupted));
    }
    None
}

fn first_boot(facts: &Facts, policy: &Policy) -> Plan {
    if let Some(refusal) = obstacle(facts, policy) {
        return refusal;
    }
    Plan::FirstBoot { to: facts.target }
}

fn behind(facts: &Facts, policy: &Policy, version: i64, pending: &[PendingMigration], half_done: Option<i64>) -> Plan {
    if let Some(refusal) = obstacle(facts, policy) {
        return refusal;
    }
    let migrations: Vec<PendingMigration> = pending.iter().filter(|migration| Some(migration.version) != half_done).cloned().collect();
    if migrations.iter().any(|migration| migration.no_transaction) {
        return migrate_copy(facts, version, migrations);
    }
    let snapshot = match (policy.copy, facts.room.fits(0), facts.room.fits(facts.room.reclaimable)) {
        // An empty file needs no way back.
        _ if version == 0 && facts.room.size == 0 => SnapshotPlan::NothingInIt,
        (CopyPolicy::Never, _, _) => SnapshotPlan::Never,
        (CopyPolicy::Auto | CopyPolicy::Always, true, _) => SnapshotPlan::Take,
        (CopyPolicy::Auto | CopyPolicy::Always, false, true) => SnapshotPlan::TakeAfterPruning,
        // The transaction alone keeps the old database whole.
        (CopyPolicy::Auto, false, false) => SnapshotPlan::NoRoom,
        (CopyPolicy::Always, false, false) => return no_room(facts),
    };
    // A copy leaves what is asked for; without one it must be there all the same.
    if facts.room.available < facts.room.asked && snapshot != SnapshotPlan::TakeAfterPruning {
        return less_than_asked(facts);
    }
    Plan::Migrate { from: version, migrations, snapshot, half_done }
}

fn migrate_copy(facts: &Facts, version: i64, migrations: Vec<PendingMigration>) -> Plan {
    // Nothing can be renamed over a mount.
    if facts.own_mount {
        let what = "a migration needs a copy that is swapped in, and the database file is a mount of its own";
        return refuse(Class::NotOurs, what, "mount its folder instead");
    }
    if !facts.room.fits(0) {
        return no_room(facts);
    }
    Plan::MigrateCopy { from: version, migrations }
}

fn no_history(facts: &Facts, policy: &Policy, tables: u64, application_id: i64, adoption: &Adoption) -> Plan {
    match adoption {
        Adoption::NotAsked => {}
        Adoption::At { version, by, pending } => {
            let adopt = Plan::Adopt { version: *version, by: by.clone(), pending: pending.clone() };
            return obstacle(facts, policy).unwrap_or(adopt);
        }
        Adoption::Refused(why) => return refuse(Class::NotOurs, &format!("it cannot be adopted: {why}"), "correct `adopt`, or `path`"),
    }
    if application_id != 0 {
        let what =
            format!("this is another application's database (application_id {application_id}, {tables} tables, no migration history)");
        return refuse(Class::NotOurs, &what, "correct `path`, or move that file away");
    }
    let what = format!("it has {tables} tables and no migration history");
    let next = format!(
        "correct `path`; or, for what another tool made, write `adopt`, or run `bootmigrate adopt --db {} --from TOOL`",
        policy.name
    );
    refuse(Class::NotOurs, &what, next)
}

/// A replacement that was begun and cut off that often is left alone. A power cut is nobody's fault: it never leads to a
/// worse repair, and what is refused here still has its old files and its snapshots.
pub(super) fn worn_out(facts: &Facts, policy: &Policy) -> Option<Plan> {
    let OpenOperation::Interrupted { starts, reason, .. } = &facts.open_operation else { return None };
    if !is_worn_out(&facts.open_operation) || facts.request != Request::Boot {
        return None;
    }
    let what = format!("replacing it was interrupted {starts} times ({reason})");
    let next = format!("run `bootmigrate run --retry --db {}` to try once more", policy.name);
    Some(Plan::Refuse(Refusal { class: RefusalClass::TriesUsedUp, what, next }))
}

/// A replacement of this firmware's that was begun as often as it may be, and cut off each time.
pub fn is_worn_out(open: &OpenOperation) -> bool {
    matches!(open, OpenOperation::Interrupted { kind, ours: true, starts, .. } if kind.replaces() && *starts >= REPLACE_STARTS_MAX)
}

pub(super) fn by_snapshot(snapshot: &Snapshot, what: &str) -> Plan {
    let by = Replacement::Snapshot { version: snapshot.version, operation: snapshot.operation };
    Plan::Replace { by, why: what.to_owned(), loss: true }
}

/// `snapshot restore --yes`: an operator named database and copy; only what cannot be done is refused.
fn restore(facts: &Facts, snapshot: &Snapshot) -> Plan {
    let why = RESTORE_ASKED;
    match &facts.database {
        DatabaseState::NotOurs { what } => refuse(Class::NotOurs, what, "give bootmigrate a plain file of its own in `path`"),
        _ if !facts.writable => refuse(Class::Storage, &facts.read_only, "make it writable, then run again"),
        _ if facts.own_mount => refuse(Class::NotOurs, "the database file is a mount of its own", "mount its folder instead"),
        _ => by_snapshot(snapshot, why),
    }
}

/// `purge --yes`: an operator named the database and said so; only what cannot be done is refused.
fn purge(facts: &Facts, policy: &Policy) -> Plan {
    match &facts.database {
        DatabaseState::NotOurs { what } => refuse(Class::NotOurs, what, "give bootmigrate a plain file of its own in `path`"),
        DatabaseState::Absent => first_boot(facts, policy),
        _ if !facts.writable => refuse(Class::Storage, &facts.read_only, "make it writable, then run again"),
        _ if facts.own_mount => refuse(Class::NotOurs, "the database file is a mount of its own", "mount its folder instead"),
        // Nothing is carried over: the rows are what the operator wants to be rid of.
        _ => Plan::Replace { by: Replacement::Fresh { carry: Vec::new(), from: 0, aside: false }, why: PURGE_ASKED.into(), loss: true },
    }
}

/// A fresh database in place of the old one, within the bound on purges that nobody can lift.
pub fn replace_fresh(facts: &Facts, policy: &Policy, why: String) -> Plan {
    if let Some(refusal) = worn_out(facts, policy) {
        return refusal;
    }
    if facts.own_mount {
        return refuse(Class::NotOurs, &format!("{why}, and the database file is a mount of its own"), "mount its folder instead");
    }
    if !facts.writable {
        return refuse(Class::Storage, &format!("{why}, and {}", facts.read_only), "make it writable, then run again");
    }
    let going_on = matches!(&facts.open_operation, OpenOperation::Interrupted { kind, ours: true, .. } if kind.purges());
    // Where the file is gone, a fresh one loses nothing more, and nobody could start without it.
    if facts.tries.purges >= PURGES_MAX && !going_on && !facts.nothing_is_left() {
        let what = format!("{why}, and this firmware has built a fresh database {} times already", facts.tries.purges);
        let next = format!("install other firmware, or run `bootmigrate purge --db {} --yes`", policy.name);
        return Plan::Refuse(Refusal { class: RefusalClass::TriesUsedUp, what, next });
    }
    // Rows whose version is not known belong to no table of this firmware's.
    let from = match &facts.database {
        DatabaseState::Behind { half_done: Some(version), .. } => Some(*version),
        DatabaseState::Behind { version, .. } | DatabaseState::Newer { version, .. } => Some(*version),
        DatabaseState::Damaged { version, .. } => *version,
        DatabaseState::Absent
        | DatabaseState::Lost { .. }
        | DatabaseState::NeedsRecovery
        | DatabaseState::Unreadable { .. }
        | DatabaseState::Current { .. }
        | DatabaseState::Mismatch { .. }
        | DatabaseState::WithoutCode { .. }
        | DatabaseState::NoHistory { .. }
        | DatabaseState::NewerSqlite { .. }
        | DatabaseState::NotOurs { .. } => None,
    };
    let (unknown, from) = (from.is_none() && facts.loose_rows, from.or(facts.loose_rows.then_some(facts.target)));
    let carry = from.map_or_else(Vec::new, |_| policy.carry_over.clone());
    // Where rows are carried over, only the build knows which could not be.
    let loss = carry.is_empty();
    let (from, aside) = (from.unwrap_or(0), unknown || from.is_some_and(|from| from > facts.target));
    Plan::Replace { by: Replacement::Fresh { carry, from, aside }, why, loss }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plan::Quiet { version } => write!(f, "nothing to do: at version {version}"),
            Plan::UseNewer { version, known } => {
                write!(f, "use it as it is: at version {version}, which firmware of version {known} can use")
            }
            Plan::Recover { why } => write!(f, "recover, then look again: {why}; unknown until recovered"),
            Plan::FirstBoot { to } => write!(f, "first boot: build version {to} beside, then put it in place"),
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
                write!(f, "migrate a copy {from} to {}: {}, then put it in place", target(*from, migrations, None), Names(migrations))
            }
            Plan::Adopt { version, by, pending } => {
                write!(f, "adopt what {by} left at version {version}, whose schema it has")?;
                match pending.last() {
                    None => Ok(()),
                    Some(last) => write!(f, ", then migrate {version} to {}: {}", last.version, Names(pending)),
                }
            }
            Plan::Downgrade { from, to, migrations } => {
                write!(f, "go back from {from} to {to} on a copy, by the down SQL stored for {}, then put it in place", Names(migrations))
            }
            Plan::Salvage { version, why, .. } => {
                write!(f, "rebuild version {version} with what can be read of the old one, then put it in place: {why}")
            }
            Plan::Reindex { why } => write!(f, "rebuild the indexes on a copy, then put it in place: {why}"),
            Plan::Replace { by, why, .. } => write!(f, "replace by {by}, the old files go to quarantine: {why}"),
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
        let names = self.0.iter().take(NAMES_SHOWN_MAX).map(|migration| format!("V{} {}", migration.version, migration.name));
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
                let tables = if carry.iter().any(|table| table == "*") { "every table".to_owned() } else { carry.join(", ") };
                let beside = if *aside { " put aside in it" } else { "" };
                write!(f, "a fresh database with the rows of {tables}{beside}")
            }
            Replacement::Snapshot { version, operation } => write!(f, "the snapshot v{version}-{operation} migrated forward"),
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
