//! Owns the making of folders and small files.
//! Promises: the durable ones are there after a power cut, whole, with their owner.
//! Never changes what is there already.

use std::io;
use std::path::Path;

use super::{parent, Disk, Op, Open, WrongKind};

/// Makes a folder and gives it to its owner; `false` where it is there, which is left alone.
///
/// # Errors
/// As `mkdir` and `chown`; the name belongs to a file.
pub fn make_folder(
    disk: &dyn Disk,
    op: Op,
    folder: &Path,
    mode: u32,
    owner: Option<(u32, u32)>,
) -> io::Result<bool> {
    match disk.make_folder(op, folder, mode) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = disk.stat(folder)?;
            return there
                .map_or(Ok(()), |stat| WrongKind::unless_folder(folder, stat.kind))
                .map(|()| false);
        }
        Err(error) => return Err(error),
    }
    if let Some((uid, gid)) = owner {
        disk.set_owner(op, folder, uid, gid)?;
    }
    Ok(true)
}

/// The same; after return a power cut leaves it there.
///
/// # Errors
/// As [`make_folder`], and as `fsync`.
pub fn make_folder_durably(
    disk: &dyn Disk,
    op: Op,
    folder: &Path,
    mode: u32,
    owner: Option<(u32, u32)>,
) -> io::Result<()> {
    if make_folder(disk, op, folder, mode, owner)? {
        disk.sync_folder(op, folder)?;
        disk.sync_folder(op, parent(folder))?;
    }
    Ok(())
}

/// Makes a small file with this content; after return a power cut leaves it whole. A file of that
/// name must not be there.
///
/// # Errors
/// As `open`, `write` and `fsync`; the name may then be there with less content.
pub fn write_new_durably(
    disk: &dyn Disk,
    op: Op,
    path: &Path,
    bytes: &[u8],
    owner: Option<(u32, u32)>,
) -> io::Result<()> {
    let file = disk.open(op, path, Open::CreateNew { mode: 0o600 })?;
    file.write_at(op, 0, bytes)?;
    if let Some((uid, gid)) = owner {
        file.take_owner(op, uid, gid, 0o600)?;
    }
    file.sync(op)?;
    disk.sync_folder(op, parent(path))
}
