//! Owns what an earlier run left behind: unfinished copies, and second names of main.
//! Promises: nothing is unlinked that could be the last home of data; a quiet boot finds nothing and writes nothing.
//! Never truncates: after a cut a left-over may be main's own inode.

use std::io;
use std::path::{Path, PathBuf};

use crate::device::disk::{Disk, FileKind, Op, Stat};
use crate::device::Device;
use crate::error::Failure;
use crate::ops::lock::Locked;

const OP: Op = Op("remove what an earlier run left");

/// Unlinks staging files, unfinished snapshots, side files of snapshots, and names in D that are main's own inode; whether there was any.
///
/// # Errors
/// As `readdir`, `lstat` and `unlink`.
pub fn sweep(device: &Device<'_>, locked: &Locked, main: Option<&Stat>) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::io(OP, &device.state.root, &error);
    let names = locked.names(device).map_err(failed)?;
    let left = leftovers(device, main, &names).map_err(failed)?;
    if !left.is_empty() {
        locked.changes();
    }
    for path in &left {
        log::info!(
            "{}: removing {}, left by an earlier run.",
            device.settings.name,
            path.display()
        );
        let removed = if *path == device.state.rehearsal() {
            remove_tree(device.disk(), path)
        } else {
            device.disk().unlink(OP, path)
        };
        removed.map_err(|error| Failure::io(OP, path, &error))?;
    }
    Ok(!left.is_empty())
}

/// Takes a folder of ours away with everything in it; nothing where it is absent.
///
/// # Errors
/// As `readdir`, `unlink` and `rmdir`.
pub fn remove_tree(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    match disk.stat(folder)?.map(|stat| stat.kind) {
        Some(FileKind::Folder) => {}
        // A link leads to what is not ours to empty.
        Some(_) => return disk.unlink(OP, folder),
        None => return Ok(()),
    }
    for name in disk.list(folder)? {
        let path = folder.join(name);
        match disk.stat(&path)?.map(|stat| stat.kind) {
            Some(FileKind::Folder) => remove_tree(disk, &path)?,
            Some(_) => disk.unlink(OP, &path)?,
            None => {}
        }
    }
    disk.remove_folder(OP, folder)
}

fn leftovers(
    device: &Device<'_>,
    main: Option<&Stat>,
    names: &[String],
) -> io::Result<Vec<PathBuf>> {
    let disk = device.disk();
    let mut found = Vec::new();
    if disk.stat(&device.files.beside())?.is_some() {
        found.push(device.files.beside());
    }
    for name in names {
        if name.starts_with("staging-") || name.starts_with("undo-") || name == "rehearsal" {
            found.push(device.state.root.join(name));
        }
    }
    let snapshots = device.state.snapshots();
    for name in disk.list(&snapshots)? {
        let path = snapshots.join(&name);
        if name.starts_with("tmp-") || has_side_suffix(&name) || is_main(device, main, &path)? {
            found.push(path);
        }
    }
    // Files is linked into quarantine only after its ready file is durable, and roll-forward came before this.
    if main.is_some_and(|main| main.links > 1) {
        for operation in device.state.list_quarantine(disk)? {
            let path = device.state.quarantined(operation).join(device.files.file_name());
            if is_main(device, main, &path)? {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// How many names of main a boot would sweep away before it looks.
///
/// # Errors
/// As `readdir` and `lstat`.
pub fn second_names(device: &Device<'_>, main: &Stat) -> io::Result<u64> {
    if main.links < 2 {
        return Ok(0);
    }
    let mut names = 0;
    for path in leftovers(device, Some(main), &device.disk().list(&device.state.root)?)? {
        names += u64::from(is_main(device, Some(main), &path)?);
    }
    Ok(names)
}

fn is_main(device: &Device<'_>, main: Option<&Stat>, path: &Path) -> io::Result<bool> {
    let Some(main) = main.filter(|main| main.links > 1) else { return Ok(false) };
    let other = device.disk().stat(path)?;
    Ok(other.is_some_and(|other| (other.device, other.inode) == (main.device, main.inode)))
}

fn has_side_suffix(name: &str) -> bool {
    ["-wal", "-shm", "-journal"].iter().any(|suffix| name.ends_with(suffix))
}
