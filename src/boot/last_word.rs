//! Owns asking the product's hooks what follows a migration that failed.
//! Promises: without hooks the policy's answer, unread; an answer is asked for once a failure, and
//! bounded by `decide`.
//! Never asks for a copy of a database that will be thrown away.

use crate::decide::facts::{DatabaseState, Facts};
use crate::decide::fallback::{answered, answers, NextPlan, Stop};
use crate::decide::plan::Plan;
use crate::decide::policy::Policy;
use crate::decide::replacement::Replacement;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::hooks::FailureInfo;
use crate::ops::inspect::good_snapshots;

/// What follows, by the policy or by the product's word.
pub fn last_word(
    device: &Device<'_>,
    (plan, failure): (&Plan, &Failure),
    by_policy: NextPlan,
    facts: &Facts,
) -> NextPlan {
    let Some(product) =
        device.environment.code.filter(|product| product.has_hooks() && !device.is_copy)
    else {
        return by_policy;
    };
    // The snapshot that the product asked for does not come forward either: the migration would
    // only fail once more.
    let behind = matches!(facts.database, DatabaseState::Behind { .. });
    if behind && matches!(plan, Plan::Replace { by: Replacement::Snapshot { .. }, .. }) {
        return NextPlan::Stop(Stop::AsItFailed);
    }
    if failure.class != Class::Failed
        || !matches!(plan, Plan::Migrate { .. } | Plan::MigrateCopy { .. })
    {
        return by_policy;
    }
    let mut snapshots = good_snapshots(device).unwrap_or_default();
    let version = match &facts.database {
        DatabaseState::Behind { version, .. } => Some(*version),
        _ => None,
    };
    // The copies that were made for this try, and for those that were cut off, have the rows that
    // it fails on.
    snapshots.retain(|snapshot| version.is_some_and(|version| snapshot.version < version));
    let facts = &Facts { snapshots, ..facts.clone() };
    let policy = Policy::of(device.settings);
    let Some((answer, allowed)) = answers(&by_policy, facts, &policy) else { return by_policy };
    let sentence = failure.to_string();
    let asked = FailureInfo {
        database: &device.settings.name,
        version,
        sentence: &sentence,
        place: failure.place.as_ref(),
        policy: answer,
        allowed: &allowed,
    };
    match product.ask(&asked) {
        same if same == answer => by_policy,
        other => answered(other, by_policy, &sentence, facts, &policy),
    }
}
