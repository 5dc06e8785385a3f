//! Owns removing files from quarantine, by a person's word or because there are too many.
//! Promises: a power cut leaves a set whole, or without its main file: never a main file without
//! the WAL that has a part of it.
//! Never touches the live files.

mod export;
mod readable;
mod take_in;

use std::io;
use std::path::PathBuf;

use crate::device::disk::{unlink_durably, FileKind, Op};
use crate::device::files::NOTE;
use crate::device::Device;
use crate::error::Failure;
use crate::ops::lock::Locked;
pub use export::{export_files, files_of};
pub use readable::{readable, Readable, Reading};
pub use take_in::{may_take_in, take_back, take_in};

const OP: Op = Op("remove files from quarantine");

/// What becomes of reason.txt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonFile {
    /// It goes with the files.
    Goes,
    /// It stays: snapshots from before this loss are kept because of it.
    Stays,
}

/// Removes what operation `operation` set aside; after return a power cut does not bring it back.
///
/// # Errors
/// As `unlink` and `fsync`: what is left is listed, and can be deleted again.
pub fn delete(
    device: &Device<'_>,
    _locked: &Locked,
    operation: u64,
    note: ReasonFile,
) -> Result<(), Failure> {
    remove(device, operation, note)
        .map_err(|error| Failure::io(OP, &device.state.quarantined(operation), &error))
}

/// As [`delete`].
///
/// # Errors
/// As `unlink` and `fsync`.
pub fn remove(device: &Device<'_>, operation: u64, note: ReasonFile) -> io::Result<()> {
    let (disk, folder) = (device.disk(), device.state.quarantined(operation));
    if disk.stat(&folder)?.is_none_or(|stat| stat.kind != FileKind::Folder) {
        // Whatever else has such a name is not ours.
        return Ok(());
    }
    unlink_durably(disk, OP, &folder, &[&folder.join(device.files.file_name())])?;
    // As long as anything is left, what says why is there too.
    let names = disk.list(&folder)?;
    let others: Vec<PathBuf> =
        names.iter().filter(|name| *name != NOTE).map(|name| folder.join(name)).collect();
    for path in &others {
        disk.remove_tree(OP, path, &device.environment.stop)?;
    }
    if !others.is_empty() {
        disk.sync_folder(OP, &folder)?;
    }
    if note == ReasonFile::Stays {
        return Ok(());
    }
    unlink_durably(disk, OP, &folder, &[&folder.join(NOTE)])?;
    disk.remove_folder(OP, &folder)?;
    disk.sync_folder(OP, &device.state.quarantine())
}
