//! Owns what an earlier run left behind: unfinished copies, and second names of main.
//! Promises: nothing is unlinked that could be the last home of data; a quiet boot finds nothing
//! and writes nothing.
//! Never truncates: after a cut a left-over may be main's own inode.

use std::io;
use std::path::{Path, PathBuf};

use crate::device::disk::{Op, Stat};
use crate::device::files::checked_without_copy;
use crate::device::Device;
use crate::error::Failure;
use crate::ops::lock::Locked;

const OP: Op = Op("remove what an earlier run left");

/// Unlinks staging files, unfinished snapshots, side files of snapshots, and names in D that are
/// main's own inode; whether there was any.
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
            device.disk().remove_tree(OP, path, &device.environment.stop)
        } else {
            device.disk().unlink(OP, path)
        };
        removed.map_err(|error| Failure::io(OP, path, &error))?;
    }
    Ok(!left.is_empty())
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
    let names = disk.list(&snapshots)?;
    for name in &names {
        let path = snapshots.join(name);
        if name.starts_with("tmp-") || has_side_suffix(name) || is_main(device, main, &path)? {
            found.push(path);
        }
    }
    found.extend(checked_without_copy(&names).map(|name| snapshots.join(name)));
    // Files is linked into quarantine only after its ready file is durable, and roll-forward came
    // before this.
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
