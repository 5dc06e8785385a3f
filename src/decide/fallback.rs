//! Owns the fallbacks: what comes after a plan that failed.
//! Promises: total; a fallback follows only a migration that failed or proven damage; the loop
//! above it is bounded.
//! Never looks at the text of an error, only at its class.

use crate::config::{OnFailure, Repair};
use crate::decide::facts::{Facts, Request};
use crate::decide::limits::{by_snapshot, replace_fresh};
use crate::decide::plan::Plan;
use crate::decide::policy::Policy;
use crate::decide::replacement::Replacement;
use crate::error::{without_row, Class};
use crate::hooks::AfterFailure;

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextPlan {
    /// This run ends with the failure.
    Stop(Stop),
    /// Another plan.
    Plan(Plan),
    /// Look once more, over a fresh locked connection: SQLite spoke of corruption.
    LookForDamage,
    /// This repair did not help: decide again without it.
    Without(Replacement),
}

/// How a run that ends with a failure ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// With the failure's own exit code.
    AsItFailed,
    /// The fresh build failed too: 19, the old files in its place.
    FreshBuildFailed,
}

/// The plan that follows a failure, by its class.
pub fn after_failure(
    plan: &Plan,
    class: Class,
    cause: &str,
    facts: &Facts,
    policy: &Policy,
) -> NextPlan {
    match (class, plan) {
        // The migrations themselves do not work on this data.
        (Class::Failed, Plan::Migrate { .. } | Plan::MigrateCopy { .. }) => {
            failed_migration(cause, facts, policy)
        }
        (Class::Failed | Class::Damaged, Plan::Replace { by, .. }) => {
            failed_replacement(class, by, facts)
        }
        // One connection's word is no proof.
        (
            Class::Damaged,
            Plan::Migrate { .. } | Plan::MigrateCopy { .. } | Plan::Recover { .. },
        ) => NextPlan::LookForDamage,
        // First boot: there is no old database to go back to.
        (Class::Failed | Class::Damaged, _) => NextPlan::Stop(Stop::AsItFailed),
        // Never locked, full, read-only, I/O error, newer, not ours, waiting, interrupted or
        // unknown.
        (
            Class::InUse
            | Class::NoSpace
            | Class::Storage
            | Class::NotOurs
            | Class::Missing
            | Class::Newer
            | Class::Catalogue
            | Class::Waits
            | Class::Interrupted
            | Class::Configuration
            | Class::Defect,
            _,
        ) => NextPlan::Stop(Stop::AsItFailed),
    }
}

/// What follows a replacement that could not be built.
fn failed_replacement(class: Class, by: &Replacement, facts: &Facts) -> NextPlan {
    match by {
        // Not even on an empty database: nothing that we could build would work.
        Replacement::Fresh | Replacement::Carried(_) if class == Class::Failed => {
            NextPlan::Stop(Stop::FreshBuildFailed)
        }
        Replacement::Fresh | Replacement::Carried(_) => NextPlan::Stop(Stop::AsItFailed),
        // An operator named this copy: no other is taken in its place.
        Replacement::Snapshot { .. } if matches!(facts.request, Request::Restore(_)) => {
            NextPlan::Stop(Stop::AsItFailed)
        }
        // One connection's word is no proof.
        Replacement::Downgraded { .. } if class == Class::Damaged => NextPlan::LookForDamage,
        // This copy cannot be brought forward, or is not a good one; too little can be read, or
        // what was read fits no table; the stored way back does not lead here: the next entry of
        // the owner's list.
        Replacement::Snapshot { .. }
        | Replacement::Reindexed
        | Replacement::Salvaged(_)
        | Replacement::Downgraded { .. } => NextPlan::Without(by.clone()),
    }
}

/// What the policy answers to a migration that failed, and what a product may answer in its place;
/// `None` where it has no word.
///
/// A purge is never offered where the policy has none. A snapshot loses less than a purge, but
/// loses what the policy would keep: it needs a copy, and an owner who counts on copies.
pub fn answers(
    next: &NextPlan,
    facts: &Facts,
    policy: &Policy,
) -> Option<(AfterFailure, Vec<AfterFailure>)> {
    let answer = match next {
        NextPlan::Stop(Stop::AsItFailed) => AfterFailure::Keep,
        NextPlan::Plan(Plan::Replace {
            by: Replacement::Fresh | Replacement::Carried(_), ..
        }) => AfterFailure::Purge,
        NextPlan::Stop(Stop::FreshBuildFailed)
        | NextPlan::Plan(_)
        | NextPlan::LookForDamage
        | NextPlan::Without(_) => return None,
    };
    let mut allowed = vec![AfterFailure::Keep, AfterFailure::Stop];
    if answer == AfterFailure::Purge {
        allowed.push(AfterFailure::Purge);
    }
    if back(facts, policy, "").is_some() {
        allowed.push(AfterFailure::Restore);
    }
    Some((answer, allowed))
}

/// What follows, by an answer that was allowed.
pub fn answered(
    answer: AfterFailure,
    next: NextPlan,
    cause: &str,
    facts: &Facts,
    policy: &Policy,
) -> NextPlan {
    match answer {
        AfterFailure::Keep | AfterFailure::Stop => NextPlan::Stop(Stop::AsItFailed),
        AfterFailure::Restore => back(facts, policy, cause).map_or(next, NextPlan::Plan),
        AfterFailure::Purge => next,
    }
}

fn back(facts: &Facts, policy: &Policy, cause: &str) -> Option<Plan> {
    let possible =
        facts.writable && !facts.own_mount && policy.on_damage.contains(&Repair::Snapshot);
    let snapshot = facts.snapshots.first().filter(|_| possible)?;
    Some(by_snapshot(snapshot, &why(cause)))
}

/// It is kept in the record and beside the old files.
fn why(cause: &str) -> String {
    format!("its migration failed: {}", without_row(cause))
}

fn failed_migration(cause: &str, facts: &Facts, policy: &Policy) -> NextPlan {
    match (policy.on_failure, &facts.request) {
        // The data can be built again, or a person has just said that it may go.
        (OnFailure::Purge, _) | (OnFailure::Restore, Request::PurgeAndRetry) => {
            NextPlan::Plan(replace_fresh(facts, policy, why(cause)))
        }
        (
            OnFailure::Restore,
            Request::Boot
            | Request::Migrate
            | Request::Retry
            | Request::Rollback
            | Request::Purge
            | Request::Restore(_),
        ) => NextPlan::Stop(Stop::AsItFailed),
    }
}
