//! Owns the second try of a migration that found no room beside its snapshot.
//! Promises: in the same run, and only where `snapshot = "auto"` allows to go without.
//! Never tries where nothing is known to be short.

use super::{open_exclusive, transaction, Committed, Job, Work, APPLY};
use crate::config::SnapshotPolicy;
use crate::device::files::SnapshotName;
use crate::device::history::History;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::prune::remove_snapshot;
use crate::ops::run::Run;

/// The same, where a snapshot was made and may be left out: the live file is as it has it, and
/// without it there may be room enough.
pub(super) fn without_a_snapshot<'j>(
    device: &Device<'_>,
    work: &Work<'j>,
    failure: &Failure,
) -> Option<(SnapshotName, Job<'j>)> {
    let Work { job, operation, seen, .. } = *work;
    let version = seen.history.as_ref().map_or(0, History::version);
    let name = SnapshotName { version, operation: operation.number };
    let may = failure.class == Class::NoSpace
        // Where nothing is known to be short, the same try may have room at the next boot.
        && failure.lack.is_some()
        && job.snapshot
        && device.settings.snapshot == SnapshotPolicy::Auto
        && device.disk().stat(&device.state.snapshot(&name)).is_ok_and(|made| made.is_some());
    may.then(|| {
        let (migrations, recorded) = (job.migrations.clone(), job.recorded.clone());
        (name, Job { migrations, snapshot: false, prune_first: false, recorded, order: job.order })
    })
}

/// Once more, with this job, and without the snapshot that was made.
///
/// # Errors
/// As a migration, and `unlink`.
pub(super) fn again(
    run: &Run<'_>,
    work: &Work<'_>,
    (snapshot, failure): (&SnapshotName, &Failure),
) -> Result<Committed, Failure> {
    let device = run.device;
    log::warn!("{}: {failure}; once more, without a snapshot.", device.settings.name);
    remove_snapshot(device, APPLY, snapshot)
        .map_err(|error| Failure::io(APPLY, &device.state.snapshot(snapshot), &error))?;
    let (database, _) = open_exclusive(device, work.main.stat.size)?;
    transaction(run, work, database)
}
