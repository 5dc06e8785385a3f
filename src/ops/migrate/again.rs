//! Owns the further tries of a migration that found no room.
//! Promises: in the same run, and only where `snapshot = "auto"` allows to go without a snapshot;
//! no copy goes that anything else counts on.
//! Never tries where nothing is known to be short.

use super::{open_exclusive, transaction, Committed, Job, Work};
use crate::config::SnapshotPolicy;
use crate::device::files::SnapshotName;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::apply::APPLY;
use crate::ops::inspect::copies::expendable;
use crate::ops::run::Run;
use crate::ops::snapshot::remove_all;
use crate::ops::store::Operation;

/// Which copies may have the room that is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    /// This try's own, and expendable ones of the version that the live file still is at.
    OfThisVersion,
    /// Every one that would go where a new one is about to be made.
    Expendable,
}

/// Once more, without a snapshot and without those copies; the failure itself where none of them is
/// there, or nothing is known to be short.
///
/// # Errors
/// As a migration, and `unlink`.
pub(super) fn again(
    run: &Run<'_>,
    work: &Work<'_>,
    failure: Failure,
    copies: Copies,
) -> Result<Committed, Failure> {
    let (device, job) = (run.device, work.job);
    // Where nothing is known to be short, the same try may have room at the next boot.
    let may = failure.class == Class::NoSpace
        && failure.lack.is_some()
        && device.settings.snapshot == SnapshotPolicy::Auto;
    if !may {
        return Err(failure);
    }
    let older = older(run, work, copies)?;
    let own = own(device, work.operation)?;
    if older.is_empty() && own.is_none() && !(job.snapshot && copies == Copies::OfThisVersion) {
        return Err(failure);
    }
    log::warn!(
        "{}: {failure}; once more, without a snapshot{}.",
        device.settings.name,
        without(&older)
    );
    remove_all(device, &older)?;
    remove_all(device, own.as_slice())?;
    let job = Job {
        migrations: job.migrations.clone(),
        snapshot: false,
        prune_first: false,
        recorded: job.recorded.clone(),
        order: job.order,
    };
    let (database, _) = open_exclusive(device, work.size)?;
    transaction(run, &Work { job: &job, ..*work }, database)
}

fn older(run: &Run<'_>, work: &Work<'_>, copies: Copies) -> Result<Vec<SnapshotName>, Failure> {
    let version = work.seen.history.as_ref().map_or(0, |history| history.version());
    let mut names = expendable(run.device, run.store)?;
    names.retain(|name| copies == Copies::Expendable || name.version == version);
    names.retain(|name| name.operation != work.operation.number);
    Ok(names)
}

/// The copy that this try has made: the live file has all that it has.
fn own(device: &Device<'_>, operation: Operation) -> Result<Option<SnapshotName>, Failure> {
    let names = device.state.list_snapshots(device.disk());
    let names = names.map_err(|error| Failure::io(APPLY, &device.state.snapshots(), &error))?;
    Ok(names.into_iter().find(|name| name.operation == operation.number))
}

fn without(names: &[SnapshotName]) -> String {
    let names: Vec<String> =
        names.iter().map(|name| format!("v{}-{}", name.version, name.operation)).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(" and without {}", names.join(", ")),
    }
}
