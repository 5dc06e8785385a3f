//! Owns the fallbacks: what comes after a plan that failed.
//! Promises: total; a fallback follows only a migration that failed or proven damage; the loop above it is bounded.
//! Never looks at the text of an error, only at its class.

use crate::config::OnFailure;
use crate::decide::facts::{Attempt, Facts, Request};
use crate::decide::plan::{replace_fresh, Plan, Replacement};
use crate::decide::policy::Policy;
use crate::error::Class;

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
    Without(Attempt),
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
pub fn after_failure(plan: &Plan, class: Class, cause: &str, facts: &Facts, policy: &Policy) -> NextPlan {
    match (class, plan) {
        // The migrations themselves do not work on this data.
        (Class::Failed, Plan::Migrate { .. } | Plan::MigrateCopy { .. }) => failed_migration(cause, facts, policy),
        // Not even on an empty database: nothing that we could build would work.
        (Class::Failed, Plan::Replace { by: Replacement::Fresh { .. }, .. }) => NextPlan::Stop(Stop::FreshBuildFailed),
        // A person named this copy: no other is taken in its place.
        (Class::Failed | Class::Damaged, Plan::Replace { by: Replacement::Snapshot { .. }, .. })
            if matches!(facts.request, Request::Restore(_)) =>
        {
            NextPlan::Stop(Stop::AsItFailed)
        }
        // This copy cannot be brought forward, or is none: the next repair.
        (Class::Failed | Class::Damaged, Plan::Replace { by: Replacement::Snapshot { operation, .. }, .. }) => {
            NextPlan::Without(Attempt::Snapshot(*operation))
        }
        (Class::Failed | Class::Damaged, Plan::Reindex { .. }) => NextPlan::Without(Attempt::Reindex),
        // Too little can be read, or what was read fits no table: the next repair.
        (Class::Failed | Class::Damaged, Plan::Salvage { .. }) => NextPlan::Without(Attempt::Salvage),
        // The stored way back does not lead here: the next entry of `on_newer`.
        (Class::Failed, Plan::Downgrade { .. }) => NextPlan::Without(Attempt::Downgrade),
        // One connection's word is no proof.
        (Class::Damaged, Plan::Migrate { .. } | Plan::MigrateCopy { .. } | Plan::Downgrade { .. } | Plan::Recover { .. }) => {
            NextPlan::LookForDamage
        }
        // First boot: there is no old database to go back to.
        (Class::Failed | Class::Damaged, _) => NextPlan::Stop(Stop::AsItFailed),
        // Never locked, full, read-only, I/O error, newer, not ours, waiting, interrupted or unknown.
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

fn failed_migration(cause: &str, facts: &Facts, policy: &Policy) -> NextPlan {
    match (policy.on_failure, &facts.request) {
        // The data can be built again, or a person has just said that it may go.
        (OnFailure::Purge, _) | (OnFailure::Restore, Request::PurgeAndRetry) => {
            NextPlan::Plan(replace_fresh(facts, policy, format!("its migration failed: {cause}")))
        }
        (OnFailure::Restore, Request::Boot | Request::Retry | Request::Rollback | Request::Purge | Request::Restore(_)) => {
            NextPlan::Stop(Stop::AsItFailed)
        }
    }
}
