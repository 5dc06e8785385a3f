//! Owns the second try of a migration that found no room beside its snapshot.
//! Promises: in the same run, and only where `snapshot = "auto"` allows to go without.
//! Never tries where nothing is known to be short.

use super::{open_exclusive, transaction, Committed, Job, Work};
use crate::config::SnapshotPolicy;
use crate::device::files::SnapshotName;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::apply::APPLY;
use crate::ops::prune::remove_snapshot;
use crate::ops::run::Run;

/// The same without a snapshot, and the snapshots that may have the room it needs: those of the
/// version that the live file still is at, this try's and earlier ones'. The live file has all that
/// they have.
pub(super) fn without_a_snapshot<'j>(
    device: &Device<'_>,
    work: &Work<'j>,
    failure: &Failure,
) -> Option<(Vec<SnapshotName>, Job<'j>)> {
    let Work { job, seen, .. } = *work;
    // Where nothing is known to be short, the same try may have room at the next boot.
    let may = failure.class == Class::NoSpace
        && failure.lack.is_some()
        && device.settings.snapshot == SnapshotPolicy::Auto;
    if !may {
        return None;
    }
    let (version, committed) = seen
        .history
        .as_ref()
        .map_or((0, 0), |history| (history.version(), history.operation.unwrap_or(0)));
    let mut names = device.state.list_snapshots(device.disk()).unwrap_or_default();
    names.retain(|name| name.version == version && name.operation > committed);
    (job.snapshot || !names.is_empty()).then(|| {
        let (migrations, recorded) = (job.migrations.clone(), job.recorded.clone());
        (names, Job { migrations, snapshot: false, prune_first: false, recorded, order: job.order })
    })
}

/// Once more, with this job, and without these snapshots.
///
/// # Errors
/// As a migration, and `unlink`.
pub(super) fn again(
    run: &Run<'_>,
    work: &Work<'_>,
    (snapshots, failure): (&[SnapshotName], &Failure),
) -> Result<Committed, Failure> {
    let device = run.device;
    log::warn!("{}: {failure}; once more, without a snapshot.", device.settings.name);
    for name in snapshots {
        remove_snapshot(device, APPLY, name)
            .map_err(|error| Failure::io(APPLY, &device.state.snapshot(name), &error))?;
    }
    let (database, _) = open_exclusive(device, work.main.stat.size)?;
    transaction(run, work, database)
}
