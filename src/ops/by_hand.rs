//! Owns what comes before a person's command that changes what is kept, or rows: the lock, and
//! whether anything else comes first.
//! Promises: nothing is changed while a replacement waits for its boot, or where other firmware's
//! record says more than this one knows.
//! Never waits for more than the lock.

use crate::device::disk::Op;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::lock::{lock, Locked};
use crate::ops::store::RecordStore;

const OP: Op = Op("begin what was asked for");

/// The lock, with the record; the state folder can be written.
///
/// # Errors
/// As [`lock`]; storage where nothing can be written, newer where the record is of another format,
/// waits where a boot must come first.
pub fn begin(device: &Device<'_>) -> Result<(Locked, RecordStore), Failure> {
    let locked = lock(device)?;
    if let Some(why) = &locked.read_only {
        return Err(Failure::new(Class::Storage, OP, why.clone()).at(device.files.folder()));
    }
    let store = RecordStore::open(device, &locked)?;
    understood(device, &store)?;
    nothing_waits(device, &locked)?;
    Ok((locked, store))
}

/// A record in a format of other firmware: it may know of operations that ours would break.
///
/// # Errors
/// Newer.
pub fn understood(device: &Device<'_>, store: &RecordStore) -> Result<(), Failure> {
    let Some(format) = store.unknown_format else { return Ok(()) };
    let cause = format!(
        "the record is in format {format}, written by newer firmware; this one knows format 1"
    );
    Err(Failure::new(Class::Newer, Op("read the record"), cause).at(&device.state.record()))
}

/// No replacement was cut off after its ready file: quarantine may have the only name of the old
/// files' parts. Nor was a wipe.
///
/// # Errors
/// Waits; else as `readdir`.
pub fn nothing_waits(device: &Device<'_>, locked: &Locked) -> Result<(), Failure> {
    let root = &device.state.root;
    let waiting = locked.ready_operations(device).map_err(|error| Failure::io(OP, root, &error))?;
    if waiting.is_empty() {
        return RecordStore::look(device)?.no_wipe_waits(device);
    }
    let cause = "a replacement was cut off, and `bootmigrate run` goes on with it first";
    Err(Failure::new(Class::Waits, OP, cause).at(root))
}
