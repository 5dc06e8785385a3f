//! Owns taking a folder away with everything in it, however deep it is.
//! Promises: each name is looked up in a folder that is held, and each folder is opened once on the
//! way down and once on the way up; a stop signal is obeyed between two names.
//! Never follows a link, and never goes up into another folder than the one that it came from.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::AtomicBool;

use rustix::fs::{fstat, openat, statat, unlinkat, AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::{retry_on_intr, Errno};

use super::folders::Held;
use super::go_on;
use super::rights::{Rights, UserAndGroup};

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder on the way down.
struct Level {
    /// Its name in the one above.
    name: OsString,
    /// Device and inode of the one above.
    above: (u64, u64),
    /// The folders in it that are still to go.
    left: Vec<OsString>,
}

/// Removes this folder. `owner`: whose rights are enough for what is his in a folder of his.
pub(super) fn tree(held: &Held, owner: Option<UserAndGroup>, stop: &AtomicBool) -> io::Result<()> {
    let mut at = held.open(FOLDER, Mode::empty())?;
    let above = identity(&fstat(&held.folder)?);
    let mut levels = vec![Level { name: held.name.clone(), above, left: files(&at, owner, stop)? }];
    while let Some(level) = levels.last_mut() {
        go_on(stop)?;
        if let Some(name) = level.left.pop() {
            let above = identity(&fstat(&at)?);
            at = retry_on_intr(|| openat(&at, &name, FOLDER, Mode::empty()))?;
            let left = files(&at, owner, stop)?;
            levels.push(Level { name, above, left });
            continue;
        }
        let Some(Level { name, above, .. }) = levels.pop() else { break };
        if levels.is_empty() {
            return unlink(&held.folder, &name, owner, AtFlags::REMOVEDIR);
        }
        let up = retry_on_intr(|| openat(&at, "..", FOLDER, Mode::empty()))?;
        if identity(&fstat(&up)?) != above {
            // Somebody has moved it meanwhile: what is there is not ours to take away.
            return Err(Errno::STALE.into());
        }
        at = up;
        unlink(&at, &name, owner, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

/// Takes away all in this folder but the folders, which are returned.
fn files(
    folder: &OwnedFd,
    owner: Option<UserAndGroup>,
    stop: &AtomicBool,
) -> io::Result<Vec<OsString>> {
    let mut folders = Vec::new();
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_bytes().to_owned();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(&name).to_owned());
        }
    }
    for name in names {
        go_on(stop)?;
        match statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Directory => {
                folders.push(name);
            }
            Ok(_) => unlink(folder, &name, owner, AtFlags::empty())?,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(folders)
}

fn unlink(
    folder: impl AsFd,
    name: &OsStr,
    owner: Option<UserAndGroup>,
    flags: AtFlags,
) -> io::Result<()> {
    let is = |found: &Stat, owner: &UserAndGroup| found.st_uid == owner.uid;
    let is_his = |owner: &UserAndGroup| {
        fstat(&folder).is_ok_and(|found| is(&found, owner))
            && statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|found| is(&found, owner))
    };
    let _rights = Rights::of(owner.filter(is_his));
    Ok(unlinkat(&folder, name, flags)?)
}

/// The kernel's numbers have another width on each processor.
#[allow(clippy::useless_conversion)]
fn identity(found: &Stat) -> (u64, u64) {
    (u64::from(found.st_dev), u64::from(found.st_ino))
}
