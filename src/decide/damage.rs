//! Owns the answers to a damaged or lost database: `on_damage`, in the owner's order.
//! Promises: what keeps rows comes before what loses them, as the owner wrote it; each repair is tried once a run.
//! Never abandons a repair for a power cut, and never purges where neither the owner nor an operator said so.

use crate::config::Repair;
use crate::decide::facts::{Attempt, Facts, Request, Snapshot};
use crate::decide::plan::{refuse, Plan, Refusal, RefusalClass};
use crate::decide::policy::{Policy, FAILED_MAX};
use crate::decide::replacement::{by_snapshot, replace_fresh, worn_out};
use crate::decide::space::refuse_until_free;
use crate::error::Class;

/// What is done where nothing is left of a database that was there.
pub fn lost(facts: &Facts, policy: &Policy, what: &str, remains: bool) -> Plan {
    let plan = damaged(facts, policy, what, false, None);
    match plan {
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
    if !facts.writable {
        return refuse(
            Class::Storage,
            &format!("{what}, and {}", facts.read_only),
            "make it writable, then run again",
        );
    }
    if facts.own_mount {
        let next = "mount its folder instead, so that another file can take its place";
        return refuse(
            Class::NotOurs,
            &format!("{what}, and the database file is a mount of its own"),
            next,
        );
    }
    if let Some(refusal) = refuse_until_free(facts, policy, &format!("{what}; to repair it ")) {
        return refusal;
    }
    if let Some(refusal) = worn_out(facts, policy) {
        return refusal;
    }
    let hopeful = facts.tries.failed < FAILED_MAX || facts.request != Request::Boot;
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
            // Tables are whole: only what is derived from them is rebuilt, unless that was in vain that often.
            Repair::Reindex
                if tables_whole && hopeful && !facts.tried.contains(&Attempt::Reindex) =>
            {
                return Plan::Reindex { why: what.to_owned() };
            }
            // What was written last is worth more than a copy of before, as far as it can be read.
            Repair::Salvage if hopeful && !facts.tried.contains(&Attempt::Salvage) => {
                if let Some(version) = version {
                    let each = policy.on_damage.contains(&Repair::Snapshot)
                        && next_snapshot(facts).is_some();
                    return Plan::Salvage { version, why: what.to_owned(), each };
                }
            }
            // A copy that this firmware could not bring forward that often will not come forward now.
            Repair::Snapshot if hopeful => {
                if let Some(snapshot) = next_snapshot(facts) {
                    return by_snapshot(snapshot, what);
                }
            }
            Repair::Purge if !facts.tried.contains(&Attempt::Fresh) => {
                return replace_fresh(facts, policy, what.to_owned())
            }
            // Not possible here, or tried: the next one.
            Repair::Reindex | Repair::Salvage | Repair::Snapshot | Repair::Purge => {}
        }
    }
    let vain = match facts.last_time() {
        last if !hopeful && !last.is_empty() => {
            format!("; what was tried for it failed {} times{last}", facts.tries.failed)
        }
        _ => String::new(),
    };
    let next =
        format!("keep the file for support, then run `bootmigrate run --purge-and-retry --db {}` to start with an empty one", policy.name);
    refuse(Class::Damaged, &format!("{what}{vain}"), next)
}

/// The newest copy that loses fewer rows than a repair of the file itself: it has more of those that only indexes know than it
/// lacks of what was written since.
fn better_snapshot<'a>(facts: &'a Facts, policy: &Policy) -> Option<&'a Snapshot> {
    let better = |snapshot: &&Snapshot| {
        snapshot.holds > snapshot.lacks
            && !facts.tried.contains(&Attempt::Snapshot(snapshot.operation))
    };
    facts.snapshots.iter().find(better).filter(|_| policy.on_damage.contains(&Repair::Snapshot))
}

/// The newest good copy that was not tried.
fn next_snapshot(facts: &Facts) -> Option<&Snapshot> {
    facts
        .snapshots
        .iter()
        .find(|snapshot| !facts.tried.contains(&Attempt::Snapshot(snapshot.operation)))
}
