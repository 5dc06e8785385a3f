//! Owns when another database may take the old one's place, and how often.
//! Promises: a replacement that was cut off too often, and one purge too many, are refused with
//! what lifts the bound.
//! Never decides that one is needed.

use crate::decide::facts::{DatabaseState, EarlierOperation, Facts, Snapshot};
use crate::decide::plan::{refuse, Plan, Refusal, RefusalClass};
use crate::decide::policy::{Policy, FAILED_MAX, PURGES_MAX, REPLACE_STARTS_MAX};
use crate::decide::replacement::{Carry, Least, Replacement};
use crate::error::Class;

/// A replacement that was begun and cut off that often is left alone. A power cut is nobody's
/// fault: it never leads to a worse repair, and what is refused here still has its old files and
/// its snapshots.
pub(super) fn worn_out(facts: &Facts, policy: &Policy) -> Option<Plan> {
    let EarlierOperation::Interrupted { starts, reason, .. } = &facts.open_operation else {
        return None;
    };
    if !is_worn_out(&facts.open_operation) || facts.request.forgets_tries() {
        return None;
    }
    let what = format!("replacing it was interrupted {starts} times ({reason})");
    let next = format!("run `bootmigrate run --retry --db {}` to try once more", policy.name);
    Some(Plan::Refuse(Refusal { class: RefusalClass::TriesUsedUp, what, next }))
}

/// A replacement of this firmware's that was begun as often as it may be, and cut off each time.
pub fn is_worn_out(open: &EarlierOperation) -> bool {
    matches!(
        open,
        EarlierOperation::Interrupted { kind, ours: true, starts, .. }
            if kind.replaces() && *starts >= REPLACE_STARTS_MAX
    )
}

pub(super) fn by_snapshot(snapshot: &Snapshot, what: &str) -> Plan {
    Plan::Replace { by: snapshot.replacement(), why: what.to_owned(), loss: true }
}

/// A fresh database in place of the old one, within the bound on purges that nobody can lift.
pub fn replace_fresh(facts: &Facts, policy: &Policy, why: String) -> Plan {
    if let Some(refusal) = worn_out(facts, policy) {
        return refusal;
    }
    if facts.own_mount {
        return refuse(
            Class::NotOurs,
            &format!("{why}, and the database file is a mount of its own"),
            "mount its folder instead",
        );
    }
    if !facts.writable {
        return refuse(
            Class::Storage,
            &format!("{why}, and {}", facts.read_only),
            "make it writable, then run again",
        );
    }
    let going_on = matches!(
        &facts.open_operation,
        EarlierOperation::Interrupted { kind, ours: true, .. } if kind.purges()
    );
    // Where the file is gone, a fresh one loses nothing more, and nobody could start without it.
    if facts.tries.purges >= PURGES_MAX && !going_on && !facts.nothing_is_left() {
        let what = format!(
            "{why}, and this firmware has built a fresh database {} times already",
            facts.tries.purges
        );
        let next = format!(
            "install other firmware, or run `bootmigrate purge --db {} --yes`",
            policy.name
        );
        return Plan::Refuse(Refusal { class: RefusalClass::TriesUsedUp, what, next });
    }
    // A migration that does not work on an empty database will not work at the next boot either.
    if !facts.request.forgets_tries()
        && facts.tries.failed >= FAILED_MAX
        && facts.fresh_build_failed()
    {
        let what =
            format!("{why}, and a fresh database cannot be built either{}", facts.last_time());
        let next = format!(
            "install other firmware, then run `bootmigrate run --retry --db {}`",
            policy.name
        );
        return Plan::Refuse(Refusal { class: RefusalClass::TriesUsedUp, what, next });
    }
    let from = version_of_rows(&facts.database);
    let (unknown, from) =
        (from.is_none() && facts.loose_rows, from.or(facts.loose_rows.then_some(facts.target)));
    match from {
        Some(version) if !policy.carry_over.is_empty() => {
            let carry = Carry {
                version,
                tables: policy.carry_over.clone(),
                all_aside: unknown || version > facts.target,
                least: Least::Nothing,
                damaged: matches!(facts.database, DatabaseState::Damaged { .. }),
            };
            // Only the build knows which rows could not be carried over.
            Plan::Replace { by: Replacement::Carried(carry), why, loss: false }
        }
        _ => Plan::Replace { by: Replacement::Fresh, why, loss: true },
    }
}

/// The version of the rows that are there. Rows whose version is not known belong to no table of
/// this firmware's.
fn version_of_rows(database: &DatabaseState) -> Option<i64> {
    match database {
        DatabaseState::Behind { half_done: Some(version), .. } => Some(*version),
        DatabaseState::Behind { version, .. } | DatabaseState::Newer { version, .. } => {
            Some(*version)
        }
        DatabaseState::Damaged { version, .. } | DatabaseState::Unfit { version, .. } => *version,
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
    }
}
