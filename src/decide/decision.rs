//! Owns [`decide`]: one exhaustive match on the facts, with a reason above every arm.
//! Promises: total; the same facts give the same plan.
//! Never guesses: what is not proven is refused, untouched.

use crate::config::SnapshotPolicy;
use crate::decide::asked::PURGE_ASKED;
use crate::decide::damage::{damaged, lost};
use crate::decide::facts::{Adoption, DatabaseState, EarlierOperation, Facts, Request, Snapshot};
use crate::decide::limits::{by_snapshot, replace_fresh, worn_out};
use crate::decide::newer::newer;
use crate::decide::pending::PendingMigration;
use crate::decide::plan::{refuse, Plan, Refusal, RefusalClass, SnapshotPlan};
use crate::decide::policy::{Policy, FAILED_MAX, INTERRUPTED_MAX};
use crate::decide::record::OperationKind;
use crate::decide::replacement::Replacement;
use crate::decide::space::{less_than_asked, no_room, refuse_until_free};
use crate::error::Class;

/// Facts and policy in, a plan out.
pub fn decide(facts: &Facts, policy: &Policy) -> Plan {
    if let Some(plan) = whatever_there_is(facts, policy) {
        return plan;
    }
    match by_state(facts, policy) {
        // The application could not open a WAL on a disk this full; we can.
        Plan::Quiet { .. } | Plan::UseNewer { .. } if facts.recover => {
            recover(facts, "a WAL was left and the disk is nearly full")
        }
        plan => plan,
    }
}

/// By what stands there, and by what was begun.
fn by_state(facts: &Facts, policy: &Policy) -> Plan {
    match (&facts.database, &facts.open_operation) {
        // A link, a folder, a second name: whatever it is, it is not only ours.
        (DatabaseState::NotOurs { what }, _) => not_ours(what),
        // Reading would need a write; a file system that takes none is the storage's matter, not
        // the database's.
        (DatabaseState::Unreadable { what }, _) => {
            refuse(Class::Storage, what, "make it writable, then run again")
        }
        // Corruption is what an old SQLite sees in a new schema: never a reason for a fallback.
        (DatabaseState::NewerSqlite { what }, _) => {
            refuse(Class::Newer, what, "boot the newer firmware")
        }
        // What a hot journal hides decides everything else.
        (DatabaseState::NeedsRecovery, _) => {
            recover(facts, "a hot journal was left by a power cut")
        }
        (DatabaseState::Current { version }, _) => Plan::Quiet { version: *version },
        // A replacement that this firmware began, the old files still untouched: its reason lives
        // only in the record.
        (
            DatabaseState::Behind { .. },
            EarlierOperation::Interrupted {
                kind: OperationKind::ReplaceFresh | OperationKind::ReplaceCarried,
                ours: true,
                reason,
                ..
            },
        ) => {
            worn_out(facts, policy).unwrap_or_else(|| replace_fresh(facts, policy, reason.clone()))
        }
        (DatabaseState::Behind { version, pending, half_done }, _) => {
            behind(facts, policy, *version, pending, *half_done)
        }
        (DatabaseState::Newer { version, compatible_from, way_back }, _) => {
            newer(facts, policy, *version, *compatible_from, way_back)
        }
        (DatabaseState::Mismatch { what }, _) => refuse(
            Class::Catalogue,
            what,
            "build the firmware with the migrations that this database was made by",
        ),
        // A migration without its code would be recorded as done.
        (DatabaseState::WithoutCode { what, .. }, _) => refuse(
            Class::Catalogue,
            what,
            "install the firmware's own program, which registers it (`Migrator::code_migration`)",
        ),
        (DatabaseState::Unfit { what, .. }, _) => {
            refuse(Class::Catalogue, what, "take it out of the schema, then run again")
        }
        (DatabaseState::NoHistory { tables, application_id, adoption }, _) => {
            no_history(facts, policy, *tables, *application_id, adoption)
        }
        // Nothing is there and nothing ever was.
        (DatabaseState::Absent, _) => first_boot(facts, policy),
        // There was data: a first boot would hide that, so the repairs come first.
        (DatabaseState::Lost { what, remains }, _) => lost(facts, policy, what, *remains),
        (DatabaseState::Damaged { what, tables_whole, version }, _) => {
            damaged(facts, policy, what, *tables_whole, *version)
        }
    }
}

fn not_ours(what: &str) -> Plan {
    refuse(Class::NotOurs, what, "give bootmigrate a plain file of its own in `path`")
}

/// What an operator asks for whatever stands there.
fn whatever_there_is(facts: &Facts, policy: &Policy) -> Option<Plan> {
    match &facts.request {
        Request::Purge => Some(purge(facts, policy)),
        Request::Restore(snapshot) => Some(restore(facts, snapshot)),
        Request::Boot
        | Request::Migrate
        | Request::Retry
        | Request::PurgeAndRetry
        | Request::Rollback => None,
    }
}

fn recover(facts: &Facts, why: &'static str) -> Plan {
    // Rolling back writes.
    if facts.writable {
        Plan::Recover { why }
    } else {
        refuse(
            Class::Storage,
            &format!("{why}, and {}", facts.read_only),
            "make it writable, then run again",
        )
    }
}

/// What stops any operation before it begins, in the order of what an operator can repair.
fn obstacle(facts: &Facts, policy: &Policy) -> Option<Plan> {
    if !facts.writable {
        return Some(refuse(
            Class::Storage,
            &format!("work is pending and {}", facts.read_only),
            "make it writable, then run again",
        ));
    }
    // "Full" was met before: one read tells that nothing has changed.
    if let Some(refusal) = refuse_until_free(facts, policy, "") {
        return Some(refusal);
    }
    if facts.request.forgets_tries() {
        return None;
    }
    let used_up = |what: String| {
        let next = format!("run `bootmigrate run --retry --db {}` to try once more", policy.name);
        Some(Plan::Refuse(Refusal { class: RefusalClass::TriesUsedUp, what, next }))
    };
    // Three failures prove that it is no accident; five interruptions, that it is not the weather.
    if facts.tries.failed >= FAILED_MAX {
        return used_up(format!(
            "this firmware's migrations failed {} times{}",
            facts.tries.failed,
            facts.last_time()
        ));
    }
    if facts.tries.interrupted >= INTERRUPTED_MAX {
        return used_up(format!(
            "this firmware's migrations were interrupted {} times",
            facts.tries.interrupted
        ));
    }
    None
}

fn first_boot(facts: &Facts, policy: &Policy) -> Plan {
    if let Some(refusal) = obstacle(facts, policy) {
        return refusal;
    }
    Plan::FirstBoot { to: facts.target }
}

fn behind(
    facts: &Facts,
    policy: &Policy,
    version: i64,
    pending: &[PendingMigration],
    half_done: Option<i64>,
) -> Plan {
    if let Some(refusal) = obstacle(facts, policy) {
        return refusal;
    }
    let migrations: Vec<PendingMigration> =
        pending.iter().filter(|migration| Some(migration.version) != half_done).cloned().collect();
    if migrations.iter().any(|migration| migration.no_transaction) {
        return migrate_copy(facts, policy, version, migrations);
    }
    let snapshot =
        match (policy.snapshot, facts.room.fits(0), facts.room.fits(facts.room.reclaimable)) {
            // An empty file needs no way back.
            _ if version == 0 && facts.room.size == 0 => SnapshotPlan::NothingInIt,
            (SnapshotPolicy::Never, _, _) => SnapshotPlan::Never,
            (SnapshotPolicy::Auto | SnapshotPolicy::Always, true, _) => SnapshotPlan::Take,
            (SnapshotPolicy::Auto | SnapshotPolicy::Always, false, true) => {
                SnapshotPlan::TakeAfterPruning
            }
            // The transaction alone keeps the old database whole.
            (SnapshotPolicy::Auto, false, false) => SnapshotPlan::NoRoom,
            (SnapshotPolicy::Always, false, false) => return no_room(facts),
        };
    // A copy leaves what is asked for; without one it must be there all the same.
    let snapshot = match snapshot {
        SnapshotPlan::TakeAfterPruning => snapshot,
        _ if facts.room.has_asked(0) => snapshot,
        _ if facts.room.has_asked(facts.room.reclaimable) => SnapshotPlan::NoneAfterPruning,
        _ => return less_than_asked(facts),
    };
    Plan::Migrate { from: version, migrations, snapshot, half_done }
}

fn migrate_copy(
    facts: &Facts,
    policy: &Policy,
    version: i64,
    migrations: Vec<PendingMigration>,
) -> Plan {
    // Nothing can be renamed over a mount.
    if facts.own_mount {
        let what = "a migration needs a copy that is swapped in, and the database file is a mount \
                    of its own";
        return refuse(Class::NotOurs, what, "mount its folder instead");
    }
    let is_kept = policy.snapshot != SnapshotPolicy::Never;
    let snapshot = match (is_kept, facts.room.fits(0)) {
        (true, true) => SnapshotPlan::Take,
        (false, true) => SnapshotPlan::Never,
        _ if !facts.room.fits(facts.room.reclaimable) => return no_room(facts),
        (true, false) => SnapshotPlan::TakeAfterPruning,
        (false, false) => SnapshotPlan::NoneAfterPruning,
    };
    Plan::MigrateCopy { from: version, migrations, snapshot }
}

fn no_history(
    facts: &Facts,
    policy: &Policy,
    tables: u64,
    application_id: i64,
    adoption: &Adoption,
) -> Plan {
    let (what, next) = match adoption {
        Adoption::At { version, by, pending } => {
            let adopt = Plan::Adopt { version: *version, by: by.clone(), pending: pending.clone() };
            return obstacle(facts, policy).unwrap_or(adopt);
        }
        Adoption::Refused(why) => {
            (format!("it cannot be adopted: {why}"), "correct `baseline`, or `path`".to_owned())
        }
        Adoption::NotAsked if application_id != 0 => (
            format!(
                "this is another application's database (application_id {application_id}, \
                 {tables} tables, no migration history)"
            ),
            "correct `path`, or move that file away".to_owned(),
        ),
        Adoption::NotAsked => (
            format!("it has {tables} tables and no migration history"),
            format!(
                "correct `path`; or, for what another tool made, write `baseline`, or run \
                 `bootmigrate baseline --db {} --from TOOL`",
                policy.name
            ),
        ),
    };
    if !facts.held_data {
        return refuse(Class::NotOurs, &what, next);
    }
    // An application that did not find its file has made another.
    let what = format!("{what}; the migrated database that was here before is gone");
    if facts.request == Request::PurgeAndRetry
        && *adoption == Adoption::NotAsked
        && application_id == 0
    {
        return replace_fresh(facts, policy, what);
    }
    let (wish, command) = match facts.snapshots.first() {
        Some(Snapshot { version, operation, .. }) => {
            ("to have it back", format!("snapshot restore v{version}-{operation}"))
        }
        None => ("to begin with an empty one", "purge".to_owned()),
    };
    let next = format!(
        "{wish}, run `bootmigrate {command} --db {} --yes`; this file is then kept in quarantine",
        policy.name
    );
    refuse(Class::NotOurs, &what, next)
}

/// `snapshot restore --yes`, `quarantine restore --yes`: an operator named database and copy; only
/// what cannot be done is refused.
fn restore(facts: &Facts, snapshot: &Snapshot) -> Plan {
    let why = snapshot.asked_by();
    match &facts.database {
        DatabaseState::NotOurs { what } => not_ours(what),
        _ if !facts.writable => {
            refuse(Class::Storage, &facts.read_only, "make it writable, then run again")
        }
        _ if facts.own_mount => refuse(
            Class::NotOurs,
            "the database file is a mount of its own",
            "mount its folder instead",
        ),
        _ => by_snapshot(snapshot, why),
    }
}

/// `purge --yes`: an operator named the database and said so; only what cannot be done is refused.
fn purge(facts: &Facts, policy: &Policy) -> Plan {
    match &facts.database {
        DatabaseState::NotOurs { what } => not_ours(what),
        DatabaseState::Absent => first_boot(facts, policy),
        _ if !facts.writable => {
            refuse(Class::Storage, &facts.read_only, "make it writable, then run again")
        }
        _ if facts.own_mount => refuse(
            Class::NotOurs,
            "the database file is a mount of its own",
            "mount its folder instead",
        ),
        // Nothing is carried over: the rows are what the operator wants to be rid of.
        _ => Plan::Replace { by: Replacement::Fresh, why: PURGE_ASKED.into(), loss: true },
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
