//! Owns what is kept: snapshots and quarantine, by count.
//! Promises: the newest snapshot stays, with two slots the first since `mark-good`, and whatever is older than an operation that lost
//! rows; of quarantine the first, the newest, and the newest of an operation that lost rows.
//! Never fails a run: what cannot be removed is said, and removed another time.

use std::io;

use crate::config::Slots;
use crate::decide::asked::by_a_person;
use crate::device::disk::{read_own_start, Op};
use crate::device::files::NOTE;
use crate::device::Device;
use crate::ops::quarantine::{remove, Note};
use crate::ops::store::RecordStore;

const OP: Op = Op("prune");
/// Bytes of a reason.txt that are read.
const NOTE_BYTES_MAX: usize = 4096;

/// Removes what the configuration does not keep.
pub fn prune(device: &Device<'_>, store: &RecordStore) {
    let pruned = last_loss(device, store)
        .and_then(|loss| snapshots(device, store, loss).and_then(|()| quarantine(device, loss)));
    say(device, pruned);
}

/// The same, also of snapshots that hold rows which the database no longer has: an operator said so.
pub fn prune_by_hand(device: &Device<'_>, store: &RecordStore) {
    say(device, snapshots(device, store, None).and_then(|()| quarantine(device, None)));
}

/// The newest operation since `mark-good` that lost rows, not by an operator's own word: snapshots from before it may be the only
/// home of those rows.
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
    let open = store
        .record()
        .loss
        .as_ref()
        .map(|loss| loss.operation)
        .filter(|operation| *operation > good_operation);
    Ok(quarantined.max(open))
}

/// As its reason.txt says. One that cannot be read counts as a loss, but for a folder whose removal was cut off at its very end.
fn gave_up_rows(device: &Device<'_>, operation: u64) -> bool {
    let folder = device.state.quarantined(operation);
    if device.disk().list(&folder).is_ok_and(|names| names.is_empty()) {
        return false;
    }
    let note = folder.join(NOTE);
    let text = match read_own_start(device.disk(), OP, &note, NOTE_BYTES_MAX) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => return true,
    };
    let line = |begin: &str| text.lines().find_map(|line| line.strip_prefix(begin)).unwrap_or("");
    !by_a_person(line("reason: ")) && line("data lost: ") != "nothing"
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

fn snapshots(device: &Device<'_>, store: &RecordStore, loss: Option<u64>) -> io::Result<()> {
    let names = device.state.list_snapshots(device.disk())?;
    let since_good = names.iter().filter(|name| name.operation > store.record().good_operation);
    let first = since_good.map(|name| name.operation).min().filter(|_| device.slots == Slots::Ab);
    // On trial the newest and the first are kept, whatever is configured for the time after it.
    let keep_newest = if first.is_some() { 1 } else { device.settings.snapshots_max as usize };
    for name in names
        .iter()
        .skip(keep_newest)
        .filter(|name| Some(name.operation) != first && !is_older(name.operation, loss))
    {
        device.disk().unlink(OP, &device.state.snapshot(name))?;
    }
    Ok(())
}

/// It was made before rows were lost.
pub fn is_older(operation: u64, loss: Option<u64>) -> bool {
    loss.is_some_and(|loss| operation < loss)
}

fn quarantine(device: &Device<'_>, loss: Option<u64>) -> io::Result<()> {
    let operations = device.state.list_quarantine(device.disk())?;
    let max = device.settings.quarantine_max as usize;
    let excess = operations.len().saturating_sub(max);
    // The first shows how it began, the newest how it is. What is in them is not read at a boot: that could take minutes, or fail.
    let skip = usize::from(max > 1);
    for operation in
        operations.iter().skip(skip).take(excess).filter(|operation| Some(**operation) != loss)
    {
        remove(device, *operation, Note::Goes)?;
    }
    Ok(())
}
