//! Owns the answers to a damaged or lost database: `on_damage`, in the owner's order.
//! Promises: what keeps rows comes before what loses them, as the owner wrote it; each repair is
//! tried once a run.
//! Never abandons a repair for a power cut, and never purges where neither the owner nor an
//! operator said so.

use crate::config::{OnNewer, Repair};
use crate::decide::facts::{Facts, Request, Snapshot};
use crate::decide::limits::{by_snapshot, replace_fresh, worn_out};
use crate::decide::newer::trial_snapshot;
use crate::decide::plan::{refuse, Plan, Refusal, RefusalClass};
use crate::decide::policy::{Policy, FAILED_MAX};
use crate::decide::record::OperationKind;
use crate::decide::replacement::{Carry, Least, Replacement};
use crate::decide::space::refuse_until_free;
use crate::error::Class;

/// What is done where nothing is left of a database that was there.
pub fn lost(facts: &Facts, policy: &Policy, what: &str, remains: bool) -> Plan {
    let plan = damaged(facts, policy, what, false, None);
    match plan {
        // A boot knows the copies that may take its place.
        Plan::Refuse(Refusal { class: RefusalClass::As(Class::Damaged), .. })
            if facts.request == Request::Migrate =>
        {
            let next = format!("run `bootmigrate run --db {}`, as a boot does", policy.name);
            refuse(Class::Damaged, what, next)
        }
        // Nothing is left that could be lost once more: the device may as well start.
        Plan::Refuse(Refusal { class: RefusalClass::As(Class::Damaged), .. }) if !remains => {
            replace_fresh(facts, policy, what.to_owned())
        }
        other => other,
    }
}

/// What is done with a file that is proven corrupt.
pub fn damaged(
    facts: &Facts,
    policy: &Policy,
    what: &str,
    tables_whole: bool,
    version: Option<i64>,
) -> Plan {
    if let Some(refusal) = obstacle(facts, policy, what) {
        return refusal;
    }
    if let Some(newer) = version.filter(|version| *version > facts.target) {
        return damaged_newer(facts, policy, what, newer);
    }
    let hopeful = facts.request.forgets_tries() || failed_before(facts) < FAILED_MAX;
    let consent =
        facts.request == Request::PurgeAndRetry && !policy.on_damage.contains(&Repair::Purge);
    let better = better_snapshot(facts, policy).filter(|_| hopeful);
    for repair in policy.on_damage.iter().copied().chain(consent.then_some(Repair::Purge)) {
        match repair {
            // Both would lose rows that this copy has.
            Repair::Reindex | Repair::Salvage if better.is_some() => {
                if let Some(snapshot) = better {
                    return by_snapshot(snapshot, what);
                }
            }
            // Tables are whole: only what is derived from them is rebuilt, unless that was in vain
            // that often.
            Repair::Reindex
                if tables_whole && hopeful && !facts.has_tried(OperationKind::Reindex) =>
            {
                return repair_by(Replacement::Reindexed, what);
            }
            // What was written last is worth more than a copy of before, as far as it can be read.
            Repair::Salvage if hopeful => {
                if let Some(salvaged) = salvaged(facts, policy, version) {
                    return repair_by(salvaged, what);
                }
            }
            // A copy that this firmware could not bring forward that often will not come forward
            // now.
            Repair::Snapshot if hopeful => {
                if let Some(snapshot) = facts.copy_left() {
                    return by_snapshot(snapshot, what);
                }
            }
            Repair::Purge => return replace_fresh(facts, policy, what.to_owned()),
            // Not possible here, or tried: the next one.
            Repair::Reindex | Repair::Salvage | Repair::Snapshot => {}
        }
    }
    no_repair_left(facts, policy, what)
}

/// It is newer firmware's, which knows its schema: what this one could do would lose rows that the
/// other keeps. Its own answers are those to a newer database.
fn damaged_newer(facts: &Facts, policy: &Policy, what: &str, version: i64) -> Plan {
    if facts.request == Request::PurgeAndRetry || policy.on_newer.contains(&OnNewer::Purge) {
        return replace_fresh(facts, policy, what.to_owned());
    }
    let on_trial = policy.on_newer.contains(&OnNewer::TrialSnapshot);
    if let Some(snapshot) = trial_snapshot(facts).filter(|_| on_trial) {
        return by_snapshot(snapshot, what);
    }
    let what = format!(
        "{what}; the database is at version {version}, this firmware knows {}",
        facts.target
    );
    refuse(Class::Newer, &what, "boot the newer firmware, which repairs it")
}

/// Repairs that failed before this run, which tries each of its own once.
fn failed_before(facts: &Facts) -> u8 {
    let of_this_run = u8::try_from(facts.tried.len()).unwrap_or(u8::MAX);
    facts.failed_repairs.saturating_sub(of_this_run)
}

/// What can be read, where that was not tried: asked for more while a copy is left to fall back on,
/// and once more without it.
fn salvaged(facts: &Facts, policy: &Policy, version: Option<i64>) -> Option<Replacement> {
    let has_copy = policy.on_damage.contains(&Repair::Snapshot) && facts.copy_left().is_some();
    let least = if has_copy { Least::RowOfEach } else { Least::Row };
    let salvaged = Replacement::Salvaged(Carry::all_readable(version?, least));
    (!facts.tried.contains(&salvaged)).then_some(salvaged)
}

/// Only the build knows what could not be repaired.
fn repair_by(by: Replacement, what: &str) -> Plan {
    Plan::Replace { by, why: what.to_owned(), loss: false }
}

/// What stops any repair before it begins.
fn obstacle(facts: &Facts, policy: &Policy, what: &str) -> Option<Plan> {
    if !facts.writable {
        return Some(refuse(
            Class::Storage,
            &format!("{what}, and {}", facts.read_only),
            "make it writable, then run again",
        ));
    }
    if facts.own_mount {
        let next = "mount its folder instead, so that another file can take its place";
        return Some(refuse(
            Class::NotOurs,
            &format!("{what}, and the database file is a mount of its own"),
            next,
        ));
    }
    refuse_until_free(facts, policy, &format!("{what}; to repair it "))
        .or_else(|| worn_out(facts, policy))
}

/// None of the owner's repairs is possible here, or all were tried.
fn no_repair_left(facts: &Facts, policy: &Policy, what: &str) -> Plan {
    let vain = match facts.last_time() {
        last if facts.failed_repairs >= FAILED_MAX && !last.is_empty() => {
            format!("; what was tried for it failed {} times{last}", facts.failed_repairs)
        }
        _ => String::new(),
    };
    let empty = format!(
        "keep the file for support, then run `bootmigrate run --purge-and-retry --db {}` to start \
         with an empty one",
        policy.name
    );
    let has_copy = policy.on_damage.contains(&Repair::Snapshot) && facts.copy_left().is_some();
    let next = if has_copy && failed_before(facts) >= FAILED_MAX {
        format!(
            "run `bootmigrate run --retry --db {}`, which tries once more, also with the snapshot \
             that is left; else {empty}",
            policy.name
        )
    } else {
        empty
    };
    refuse(Class::Damaged, &format!("{what}{vain}"), next)
}

/// The newest copy that loses fewer rows than a repair of the file itself: it has more of those
/// that only indexes know than it lacks of what was written since.
fn better_snapshot<'a>(facts: &'a Facts, policy: &Policy) -> Option<&'a Snapshot> {
    let better = |snapshot: &&Snapshot| {
        snapshot.holds > snapshot.lacks && !facts.has_tried_snapshot(snapshot)
    };
    facts.snapshots.iter().find(better).filter(|_| policy.on_damage.contains(&Repair::Snapshot))
}
