//! Owns the answers to a database that newer firmware wrote: `on_newer`, in the owner's order.
//! Promises: each answer is possible before it is chosen; what keeps the rows comes before what
//! loses them.
//! Never purges precious data, and never takes a snapshot of before the last `mark-good`.

use crate::config::OnNewer;
use crate::decide::asked::ROLLBACK_ASKED;
use crate::decide::facts::{Facts, Request, Snapshot, WayBack};
use crate::decide::limits::{by_snapshot, replace_fresh, worn_out};
use crate::decide::plan::{refuse, Plan};
use crate::decide::policy::{Policy, FAILED_MAX};
use crate::decide::record::OperationKind;
use crate::decide::replacement::Replacement;
use crate::decide::space::{no_room, refuse_until_free};
use crate::error::Class;

/// What is done with a database that newer firmware wrote.
pub fn newer(
    facts: &Facts,
    policy: &Policy,
    version: i64,
    compatible_from: Option<i64>,
    way_back: &WayBack,
) -> Plan {
    let why = reason(facts, version);
    // What was tried or is not there, for the sentence of a refusal.
    let mut missing = None;
    for answer in &policy.on_newer {
        match answer {
            OnNewer::Compatible if compatible_from.is_some_and(|oldest| oldest <= facts.target) => {
                return Plan::UseNewer { version, known: facts.target };
            }
            OnNewer::Downgrade => match downgrade(facts, policy, version, way_back) {
                Ok(plan) => return plan,
                Err(not) => missing = Some(not),
            },
            OnNewer::TrialSnapshot => {
                if let Some(snapshot) = trial_snapshot(facts) {
                    return in_its_place(facts, policy, &why)
                        .unwrap_or_else(|| by_snapshot(snapshot, &why));
                }
            }
            // Rebuildable data: the newer files are set aside, not destroyed.
            OnNewer::Purge => return replace_fresh(facts, policy, why),
            // Not possible here: the next entry.
            OnNewer::Compatible => {}
        }
    }
    let missing = missing.map_or_else(String::new, |missing| format!("; {missing}"));
    let what = match facts.request {
        // The operator who asked knows the version.
        Request::Rollback => missing.trim_start_matches("; ").to_owned(),
        _ => format!(
            "the database is at version {version}, this firmware knows {}{missing}",
            facts.target
        ),
    };
    refuse(Class::Newer, &what, "boot the newer firmware")
}

/// Why it goes back.
fn reason(facts: &Facts, version: i64) -> String {
    match facts.request {
        Request::Rollback => ROLLBACK_ASKED.to_owned(),
        _ => format!("it is at version {version} and this firmware knows {}", facts.target),
    }
}

/// The way back that the newer firmware stored; else why there is none, and the next entry of
/// `on_newer` counts.
fn downgrade(
    facts: &Facts,
    policy: &Policy,
    version: i64,
    way_back: &WayBack,
) -> Result<Plan, String> {
    let migrations = match way_back {
        WayBack::Stored(migrations) => migrations,
        WayBack::Missing(what) => return Err(what.clone()),
    };
    // It was run and did not lead here: it will not the next time either.
    if facts.has_tried(OperationKind::Downgrade)
        || (facts.tries.failed >= FAILED_MAX && !facts.request.forgets_tries())
    {
        return Err(format!("its stored down SQL failed{}", facts.last_time()));
    }
    if facts.own_mount {
        return Err(
            "going back needs a copy that is swapped in, and the database file is a mount of its \
             own"
            .to_owned(),
        );
    }
    // An operator has said that a fresh database will do.
    let may_purge =
        facts.request == Request::PurgeAndRetry && policy.on_newer.contains(&OnNewer::Purge);
    if may_purge && !facts.room.fits(0) {
        return Err("there is no room for a copy that goes back".to_owned());
    }
    let why = match facts.request {
        Request::Rollback => reason(facts, version),
        _ => format!("it is at version {version} and must go back to {}", facts.target),
    };
    let by =
        Replacement::Downgraded { from: version, to: facts.target, migrations: migrations.clone() };
    let plan = Plan::Replace { by, why: reason(facts, version), loss: false };
    Ok(in_its_place(facts, policy, &why).unwrap_or(plan))
}

/// Until `mark-good` the slot that came back may have its own version again.
pub(super) fn trial_snapshot(facts: &Facts) -> Option<&Snapshot> {
    let on_trial = |snapshot: &&Snapshot| {
        snapshot.version == facts.target && snapshot.operation > facts.good_operation
    };
    facts.snapshots.iter().filter(on_trial).find(|snapshot| !facts.has_tried_snapshot(snapshot))
}

/// What stops a replacement of a healthy, newer database.
fn in_its_place(facts: &Facts, policy: &Policy, why: &str) -> Option<Plan> {
    if !facts.writable {
        return Some(refuse(
            Class::Storage,
            &format!("{why}, and {}", facts.read_only),
            "make it writable, or boot the newer firmware",
        ));
    }
    if facts.own_mount {
        return Some(refuse(
            Class::NotOurs,
            &format!("{why}, and the database file is a mount of its own"),
            "mount its folder instead",
        ));
    }
    if let Some(refusal) = refuse_until_free(facts, policy, &format!("{why}; for that ")) {
        return Some(refusal);
    }
    if !facts.room.fits(0) {
        return Some(no_room(facts));
    }
    worn_out(facts, policy)
}
