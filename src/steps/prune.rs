//! Owns what is kept: snapshots and quarantine, by count.
//! Promises: the newest snapshot stays, and with two slots the first since `mark-good`; of quarantine the first and the newest.
//! Never fails a run: what cannot be removed is said, and removed another time.

use std::io;

use crate::config::Slots;
use crate::device::disk::Step;
use crate::device::Device;
use crate::steps::ledger::Ledger;

const STEP: Step = Step("prune");

/// Removes what the configuration does not keep.
pub fn prune(device: &Device<'_>, ledger: &Ledger) {
    let pruned = snapshots(device, ledger).and_then(|()| quarantine(device));
    if let Err(error) = pruned {
        log::warn!("{}: old copies in {} could not be removed: {error}.", device.settings.name, device.state.root.display());
    }
}

fn snapshots(device: &Device<'_>, ledger: &Ledger) -> io::Result<()> {
    let names = device.state.list_snapshots(device.disk())?;
    let since_good = names.iter().filter(|name| name.act > ledger.record().good_act);
    let first = since_good.map(|name| name.act).min().filter(|_| device.slots == Slots::Ab);
    // On trial the newest and the first are kept, whatever is configured for the time after it.
    let keep_newest = if first.is_some() { 1 } else { device.settings.snapshots_max as usize };
    for name in names.iter().skip(keep_newest).filter(|name| Some(name.act) != first) {
        device.disk().unlink(STEP, &device.state.snapshot(name))?;
    }
    Ok(())
}

fn quarantine(device: &Device<'_>) -> io::Result<()> {
    let acts = device.state.list_quarantine(device.disk())?;
    let max = device.settings.quarantine_max as usize;
    let excess = acts.len().saturating_sub(max);
    // The first shows how it began, the newest how it is.
    let skip = usize::from(max > 1);
    for act in acts.iter().skip(skip).take(excess) {
        let folder = device.state.quarantined(*act);
        for name in device.disk().list(&folder)? {
            device.disk().unlink(STEP, &folder.join(name))?;
        }
        device.disk().remove_folder(STEP, &folder)?;
    }
    Ok(())
}
