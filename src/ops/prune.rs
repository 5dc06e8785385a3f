//! Owns what is kept: snapshots and quarantine, by count.
//! Promises: the newest snapshot stays, with two slots the one that the other slot needs, beside a
//! live file that no check includes the newest that was checked, and whatever is older than an
//! operation that lost rows; of quarantine the first, the newest, the newest of an operation that
//! lost rows, and whatever holds rows whose loss no run has reported.
//! Never fails a run: what cannot be removed is said, and removed another time.

use std::io;
use std::path::Path;

use crate::config::Slots;
use crate::decide::asked::{by_an_operator, QUARANTINE_RESTORE_ASKED};
use crate::device::disk::{read_own_start, Op};
use crate::device::files::{SnapshotName, NOTE};
use crate::device::Device;
use crate::ops::quarantine::{remove, ReasonFile};
use crate::ops::store::RecordStore;
use crate::ops::verify::within_budget;

const OP: Op = Op("prune");
/// Bytes of a reason.txt that are read.
const NOTE_BYTES_MAX: usize = 4096;

/// Removes what the configuration does not keep.
pub fn prune(device: &Device<'_>, store: &RecordStore) {
    let pruned = last_loss(device, store).and_then(|loss| {
        snapshots(device, store, loss, false)?;
        // Who is told of a loss must find its rows.
        let spared: Vec<u64> = loss.into_iter().chain(untold(device, store)).collect();
        quarantine(device, &spared)
    });
    say(device, pruned);
}

/// The same, also of snapshots that hold rows which the database no longer has, or that alone were
/// checked: an operator said so.
pub fn prune_by_hand(device: &Device<'_>, store: &RecordStore) {
    let spared: Vec<u64> = untold(device, store).collect();
    say(device, snapshots(device, store, None, true).and_then(|()| quarantine(device, &spared)));
}

/// The newest operation since `mark-good` that lost rows, not by an operator's own word: snapshots
/// from before it may be the only home of those rows.
///
/// # Errors
/// As `readdir`.
pub fn last_loss(device: &Device<'_>, store: &RecordStore) -> io::Result<Option<u64>> {
    let good_operation = store.record().good_operation;
    let set_aside = device
        .state
        .list_quarantine(device.disk())?
        .into_iter()
        .filter(|operation| *operation > good_operation);
    let quarantined = set_aside.filter(|operation| gave_up_rows(device, *operation)).max();
    let open = untold(device, store).max().filter(|operation| *operation > good_operation);
    Ok(quarantined.max(open))
}

/// Operations whose losses no run has reported yet, and that no operator asked for.
fn untold<'s>(device: &'s Device<'_>, store: &'s RecordStore) -> impl Iterator<Item = u64> + 's {
    let unreported = store.record().losses.iter().map(|loss| loss.operation);
    unreported.filter(|operation| gave_up_rows(device, *operation))
}

/// As its reason.txt says. One that cannot be read counts as a loss, but for a folder whose removal
/// was cut off at its very end.
fn gave_up_rows(device: &Device<'_>, operation: u64) -> bool {
    let folder = device.state.quarantined(operation);
    if device.disk().list(&folder).is_ok_and(|names| names.is_empty()) {
        return false;
    }
    let Ok(note) = note_of(device, operation) else { return true };
    !by_an_operator(line_of(&note, "reason: ")) && line_of(&note, "data lost: ") != "nothing"
}

fn note_of(device: &Device<'_>, operation: u64) -> io::Result<String> {
    let note = device.state.quarantined(operation).join(NOTE);
    read_own_start(device.disk(), OP, &note, NOTE_BYTES_MAX)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn line_of<'n>(note: &'n str, begin: &str) -> &'n str {
    note.lines().find_map(|line| line.strip_prefix(begin)).unwrap_or("")
}

/// An operator has put another set in its place: the only way back from a mistake, whatever is
/// configured, until the next operation.
fn is_of_a_restore(device: &Device<'_>, operation: u64) -> bool {
    note_of(device, operation)
        .is_ok_and(|note| line_of(&note, "reason: ") == QUARANTINE_RESTORE_ASKED)
}

fn say(device: &Device<'_>, pruned: io::Result<()>) {
    if let Err(error) = pruned {
        log::warn!(
            "{}: old copies in {} could not be removed: {error}.",
            device.settings.name,
            device.state.root.display()
        );
    }
}

fn snapshots(
    device: &Device<'_>,
    store: &RecordStore,
    loss: Option<u64>,
    by_hand: bool,
) -> io::Result<()> {
    let names = device.state.list_snapshots(device.disk())?;
    let needed = before_the_trial(device, &names, store.record().good_operation);
    // On trial the newest is kept beside it, whatever is configured for the time after.
    let keep_newest = if !needed.is_empty() { 1 } else { device.settings.snapshots_max as usize };
    let mut go: Vec<&SnapshotName> = names
        .iter()
        .skip(keep_newest)
        .filter(|name| !needed.contains(&name.operation) && !is_older(name.operation, loss))
        .collect();
    if !go.is_empty() && !by_hand {
        let checked = last_checked(device, &names)?;
        go.retain(|name| Some(name.operation) != checked);
    }
    go.into_iter().try_for_each(|name| remove_snapshot(device, OP, name))
}

/// The snapshots that a slot to fall back to needs: of those since `mark-good` the newest of the
/// version at which the trial began, and the newest from before this firmware's.
pub fn before_the_trial(device: &Device<'_>, names: &[SnapshotName], good: u64) -> Vec<u64> {
    if device.slots != Slots::Ab {
        return Vec::new();
    }
    let on_trial = || names.iter().filter(|name| name.operation > good);
    let began = on_trial().min_by_key(|name| name.operation).map(|first| first.version);
    let newest = |is: &dyn Fn(i64) -> bool| {
        on_trial().filter(|name| is(name.version)).map(|name| name.operation).max()
    };
    let target = device.catalog.target();
    let kept = [newest(&|version| Some(version) == began), newest(&|version| version < target)];
    kept.into_iter().flatten().collect()
}

/// The newest snapshot that was checked when it was made, where the live file is too large for a
/// check: nobody knows of any other copy whether it is a good one.
///
/// # Errors
/// As `lstat`.
pub fn last_checked(device: &Device<'_>, names: &[SnapshotName]) -> io::Result<Option<u64>> {
    let disk = device.disk();
    let is_small = |path: &Path| -> io::Result<bool> {
        Ok(disk.stat(path)?.is_none_or(|stat| within_budget(device, stat.size)))
    };
    if is_small(&device.files.main)? {
        return Ok(None);
    }
    for name in names {
        let noted = disk.stat(&device.state.checked(name.operation))?.is_some();
        if noted || is_small(&device.state.snapshot(name))? {
            return Ok(Some(name.operation));
        }
    }
    Ok(None)
}

/// Takes a snapshot away, and what says that it was checked.
///
/// # Errors
/// As `unlink`.
pub fn remove_snapshot(device: &Device<'_>, op: Op, name: &SnapshotName) -> io::Result<()> {
    match device.disk().unlink(op, &device.state.checked(name.operation)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    device.disk().unlink(op, &device.state.snapshot(name))
}

/// It was made before rows were lost.
pub fn is_older(operation: u64, loss: Option<u64>) -> bool {
    loss.is_some_and(|loss| operation < loss)
}

fn quarantine(device: &Device<'_>, spared: &[u64]) -> io::Result<()> {
    let operations = device.state.list_quarantine(device.disk())?;
    let max = device.settings.quarantine_max as usize;
    let excess = operations.len().saturating_sub(max);
    // The first shows how it began, the newest how it is. What is in them is not read at a boot:
    // that could take minutes, or fail.
    let skip = usize::from(max > 1);
    let way_back = operations
        .last()
        .copied()
        .filter(|newest| excess > 0 && max == 0 && is_of_a_restore(device, *newest));
    for operation in operations
        .iter()
        .skip(skip)
        .take(excess)
        .filter(|operation| Some(**operation) != way_back && !spared.contains(operation))
    {
        remove(device, *operation, ReasonFile::Goes)?;
    }
    Ok(())
}
