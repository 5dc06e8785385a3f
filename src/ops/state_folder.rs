//! Owns the making of the state folder: its folders, and the record.
//! Promises: the folders of copies come after the record, so that one that has those and no record
//! has lost it.
//! Never makes a record where one was.

use std::io;
use std::path::Path;

use crate::decide::record::SLOT_BYTES;
use crate::device::disk::{make_folder, parent, File, Op, Open, WrongKind};
use crate::device::{Device, Ownership};

const MAKE: Op = Op("make the state folder");
const RECORD: Op = Op("make the record");

/// The folder that the lock lies in, and the one above it; durable once [`fill`] has returned.
///
/// # Errors
/// As `lstat`, `mkdir` and `chown`.
pub fn make_root(device: &Device<'_>, ownership: Ownership) -> io::Result<()> {
    let root = &device.state.root;
    for folder in [parent(root), root] {
        make_if_absent(device, folder, ownership)?;
    }
    Ok(())
}

/// What belongs into it, made under the lock; each folder is synced once, with all its names.
///
/// # Errors
/// As `readdir`, `lstat`, `mkdir`, `write` and `fsync`.
pub fn fill(device: &Device<'_>, ownership: Ownership) -> io::Result<()> {
    let (disk, root) = (device.disk(), &device.state.root);
    let copies = [device.state.snapshots(), device.state.quarantine()];
    let mut begun = disk.stat(&device.state.record())?.is_some();
    for folder in &copies {
        begun |= disk.stat(folder)?.is_some();
    }
    if !begun {
        make_record(device, ownership)?;
    }
    for folder in &copies {
        if make_if_absent(device, folder, ownership)? {
            disk.sync_folder(MAKE, folder)?;
        }
    }
    [root, parent(root), device.files.folder()]
        .into_iter()
        .try_for_each(|folder| disk.sync_folder(MAKE, folder))
}

fn make_if_absent(device: &Device<'_>, folder: &Path, ownership: Ownership) -> io::Result<bool> {
    match device.disk().stat(folder)? {
        Some(stat) => WrongKind::unless_folder(folder, stat.kind).map(|()| false),
        None => make_folder(device.disk(), MAKE, folder, 0o700, ownership.ids()),
    }
}

/// Written with zeros and synced when made, so that an update never allocates on a file system that
/// rewrites in place.
///
/// # Errors
/// As `open`, `write`, `chown` and `fsync`.
pub fn make_record(device: &Device<'_>, ownership: Ownership) -> io::Result<Box<dyn File>> {
    let disk = device.disk();
    let path = device.state.record();
    let file = disk.open(RECORD, &path, Open::CreateNew { mode: 0o600 })?;
    file.write_at(RECORD, 0, &vec![0; 2 * SLOT_BYTES])?;
    file.take_owner(RECORD, ownership.uid, ownership.gid, 0o600)?;
    file.sync(RECORD)?;
    disk.sync_folder(RECORD, parent(&path))?;
    Ok(file)
}
