//! Owns copying files out of quarantine into a folder that a person names.
//! Promises: `reason.txt` is written last, once the others are synced: where it stands the copy is
//! whole; a failure leaves none of them.
//! Never overwrites, and never copies what somebody else may have put there.

use std::io;
use std::path::{Path, PathBuf};

use crate::device::disk::{parent, Disk, FileKind, Op, Open, Rename};
use crate::device::files::NOTE;
use crate::device::Device;
use crate::error::{Class, Failure, Lack};
use crate::ops::backup::room_for;
use crate::ops::trust::Trust;

const OP: Op = Op("copy files out of quarantine");
/// What `reason.txt` is called until it is whole.
const UNFINISHED: &str = "reason.tmp";

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Files.
    pub files: usize,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// The names of what operation `operation` set aside, `reason.txt` last.
///
/// # Errors
/// As `readdir`.
pub fn files_of(device: &Device<'_>, operation: u64) -> io::Result<Vec<String>> {
    let (disk, folder) = (device.disk(), device.state.quarantined(operation));
    let mut names = Vec::new();
    for name in disk.list(&folder)? {
        if disk.stat(&folder.join(&name))?.is_some_and(|stat| stat.kind == FileKind::File) {
            names.push(name);
        }
    }
    names.sort_by_key(|name| name == NOTE);
    Ok(names)
}

/// Copies them into `into`, which is made where it is absent.
///
/// # Errors
/// No space there; not ours where one may be somebody else's; else as the storage. What was begun
/// is removed.
pub fn export_files(
    device: &Device<'_>,
    operation: u64,
    names: &[String],
    into: &Path,
) -> Result<Exported, Failure> {
    let disk = device.disk();
    let failed = |error: io::Error| Failure::io(OP, into, &error);
    let made_folder = match disk.stat(into).map_err(failed)? {
        Some(_) => false,
        None => {
            room_there(device, operation, names, parent(into))?;
            disk.make_folder(OP, into, 0o700).map_err(failed)?;
            true
        }
    };
    let mut made = Vec::new();
    let copied = copy_all(device, operation, names, into, &mut made).and_then(|bytes| {
        if made_folder {
            disk.sync_folder(OP, parent(into)).map_err(failed)?;
        }
        Ok(Exported { files: names.len(), bytes })
    });
    copied.map_err(|mut failure| {
        take_back(disk, &made, made_folder.then_some(into));
        let few = disk
            .space(parent(into))
            .ok()
            .and_then(|space| space.inodes)
            .is_some_and(|left| left <= names.len() as u64 + 1);
        if failure.class == Class::NoSpace
            && failure.bytes_needed.is_none()
            && failure.lack.is_none()
            && few
        {
            failure.lack = Some(Lack::Inodes);
        }
        failure
    })
}

fn copy_all(
    device: &Device<'_>,
    operation: u64,
    names: &[String],
    into: &Path,
    made: &mut Vec<PathBuf>,
) -> Result<u64, Failure> {
    room_there(device, operation, names, into)?;
    let (disk, folder) = (device.disk(), device.state.quarantined(operation));
    let mut bytes = 0u64;
    for name in names {
        device.stop_here(OP)?;
        let (from, to) = (folder.join(name), into.join(name));
        let failed = |error: io::Error| Failure::io(OP, &to, &error);
        if name == NOTE {
            // It says that the others are whole: it has no name before its text is.
            let unfinished = into.join(UNFINISHED);
            disk.sync_folder(OP, into).map_err(failed)?;
            bytes = bytes.saturating_add(copy(device, &from, &unfinished, made).map_err(failed)?);
            disk.rename(OP, &unfinished, &to, Rename::NoReplace).map_err(failed)?;
            made.push(to);
        } else {
            bytes = bytes.saturating_add(copy(device, &from, &to, made).map_err(failed)?);
        }
    }
    disk.sync_folder(OP, into).map_err(|error| Failure::io(OP, into, &error))?;
    Ok(bytes)
}

fn copy(device: &Device<'_>, from: &Path, to: &Path, made: &mut Vec<PathBuf>) -> io::Result<u64> {
    let disk = device.disk();
    let source = disk.open(OP, from, Open::Read)?;
    let trust = Trust::of(device).map_err(|failure| io::Error::other(failure.to_string()))?;
    trust.accept(device, from, &source.stat_when_opened()?)?;
    let copy = disk.open(OP, to, Open::CreateNew { mode: 0o600 })?;
    made.push(to.to_path_buf());
    let bytes = copy.copy_from(OP, &*source, &device.environment.stop)?;
    copy.sync(OP)?;
    Ok(bytes)
}

/// Beside the database a copy leaves the reserve that every copy leaves; elsewhere it must fit.
fn room_there(
    device: &Device<'_>,
    operation: u64,
    names: &[String],
    there: &Path,
) -> Result<(), Failure> {
    let disk = device.disk();
    let failed = |error: io::Error| Failure::io(OP, there, &error);
    let mut bytes = 0u64;
    for name in names {
        let stat = disk.stat(&device.state.quarantined(operation).join(name)).map_err(failed)?;
        bytes = bytes.saturating_add(stat.map_or(0, |stat| stat.size));
    }
    let file_system =
        |path: &Path| Ok::<_, Failure>(disk.stat(path).map_err(failed)?.map(|stat| stat.device));
    if file_system(there)? == file_system(device.files.folder())? {
        return room_for(device, bytes, OP);
    }
    let space = disk.space(there).map_err(failed)?;
    if space.available >= bytes {
        return Ok(());
    }
    let cause = format!("{bytes} bytes are to be copied and {} are free there", space.available);
    Err(Failure::new(Class::NoSpace, OP, cause).at(there).needs(bytes))
}

/// None of them is left, as far as that can be done.
fn take_back(disk: &dyn Disk, made: &[PathBuf], folder: Option<&Path>) {
    // The reason first.
    for path in made.iter().rev() {
        if let Some(error) =
            disk.unlink(OP, path).err().filter(|error| error.kind() != io::ErrorKind::NotFound)
        {
            log::warn!("{} is left there, and is not whole: {error}.", path.display());
        }
    }
    if let Some(folder) = folder {
        let _ = disk.remove_folder(OP, folder);
    }
}
