//! Owns the way to a file: from the root down, each step relative to the descriptor of the folder before it.
//! Promises: a symbolic link is followed only out of a folder that nobody may write to but root and the user that this process is.
//! Never follows the last name of a path, unless the caller asks what it leads to.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{fstat, openat, openat2, readlinkat, statat, AtFlags, FileType, Mode, OFlags, ResolveFlags, CWD};
use rustix::io::{retry_on_intr, Errno};

use super::kind::Untrusted;

/// Links on one way; the kernel's own limit.
const LINKS_MAX: u32 = 40;
/// Writable by the group or by everybody.
const SHARED: u32 = 0o022;

/// A name in a folder that is held open: whatever takes the folder's place meanwhile, the name is looked up in this one.
pub(super) struct Held {
    /// Opened with O_PATH.
    pub folder: OwnedFd,
    /// One component; `.` for the folder itself.
    pub name: OsString,
}

impl Held {
    /// For a call that takes nothing but a path: through the descriptor where there is a `/proc`, else `path`, as it was written.
    pub fn path(&self, path: &Path) -> PathBuf {
        let folder = PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_raw_fd()));
        let seen = statat(CWD, &folder, AtFlags::empty()).ok().zip(fstat(&self.folder).ok());
        let is_it = seen.is_some_and(|(shown, held)| (shown.st_dev, shown.st_ino) == (held.st_dev, held.st_ino));
        if is_it {
            folder.join(&self.name)
        } else {
            path.to_owned()
        }
    }
}

/// Opens what the path names, without following a link in its last place.
pub(super) fn open(path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let held = hold(path)?;
    Ok(retry_on_intr(|| openat(&held.folder, &held.name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode))?)
}

/// What the path names, a link in its last place included, to be looked at and no more.
pub(super) fn look(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match retry_on_intr(|| openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)) {
        // A link on the way; or a kernel, or a filter of system calls, without this one.
        Err(Errno::LOOP | Errno::NOSYS | Errno::PERM) => open(path, OFlags::PATH, Mode::empty()),
        opened => Ok(opened?),
    }
}

/// Opens the folder at this path; a link in its last place is followed where its own folder allows it.
pub(super) fn folder(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match retry_on_intr(|| openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)) {
        Err(Errno::LOOP | Errno::NOTDIR | Errno::NOSYS | Errno::PERM) => {
            let held = by_steps(path, true)?.held;
            Ok(retry_on_intr(|| openat(&held.folder, &held.name, flags, Mode::empty()))?)
        }
        opened => Ok(opened?),
    }
}

/// The folder that holds the last name of this path.
pub(super) fn hold(path: &Path) -> io::Result<Held> {
    let (above, name) = match (path.parent(), path.file_name()) {
        (Some(above), Some(name)) => (above, name),
        // `/`, and what ends in `..`.
        _ => (path, OsStr::new(".")),
    };
    let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
    Ok(Held { folder: folder(above, OFlags::PATH)?, name: name.to_owned() })
}

/// The path without a link in it, each followed where its folder allows it.
pub(super) fn resolved(path: &Path) -> io::Result<PathBuf> {
    if path.is_absolute() && !path.components().any(|component| component == Component::ParentDir) {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match retry_on_intr(|| openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)) {
            Err(Errno::LOOP | Errno::NOSYS | Errno::PERM) => {}
            // There is no link in it.
            found => return Ok(found.map(|_| path.components().collect())?),
        }
    }
    by_steps(path, true).map(|way| way.text)
}

/// Nobody but root and this process's own user can put a name into this folder.
pub(super) fn is_private(folder: impl AsFd) -> io::Result<bool> {
    let found = fstat(folder)?;
    let ours = [0, rustix::process::geteuid().as_raw()].contains(&found.st_uid);
    // Nobody but root is in root's group.
    let shared = if found.st_gid == 0 { SHARED & !0o020 } else { SHARED };
    Ok(ours && found.st_mode & shared == 0)
}

/// Where a walk has ended.
struct Way {
    held: Held,
    /// What the walk went through, as a path.
    text: PathBuf,
}

/// Component by component, with O_NOFOLLOW. `..` is looked up by the kernel in the folder that is held.
fn by_steps(path: &Path, follow_last: bool) -> io::Result<Way> {
    let op = |folder: &OwnedFd, name: &OsStr| {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // An automount is made for who asks for a folder; else its empty place would be opened.
        match retry_on_intr(|| openat(folder, name, flags | OFlags::DIRECTORY, Mode::empty())) {
            Err(Errno::NOTDIR | Errno::LOOP) => retry_on_intr(|| openat(folder, name, flags, Mode::empty())),
            opened => opened,
        }
    };
    let start = |at: &str| retry_on_intr(|| openat(CWD, at, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()));
    // The same folder; an emulator that has a tree of its own in the place of `/` leaves /proc alone.
    let root = || start("/proc/self/root").or_else(|_| start("/"));
    let (mut folder, mut text) = if path.is_relative() { (start(".")?, std::env::current_dir()?) } else { (root()?, PathBuf::from("/")) };
    // What is still to be walked, the next component last.
    let mut ahead: Vec<OsString> = components(path);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == "/" {
            (folder, text) = (root()?, PathBuf::from("/"));
            continue;
        }
        if ahead.is_empty() && !follow_last && name != ".." {
            text.push(&name);
            return Ok(Way { held: Held { folder, name }, text });
        }
        let next = op(&folder, &name)?;
        let kind = FileType::from_raw_mode(fstat(&next)?.st_mode);
        if kind == FileType::Symlink {
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::LOOP.into());
            }
            if !is_private(&folder)? {
                return Err(Untrusted::link(&text.join(&name), fstat(&folder)?.st_uid).into());
            }
            let target = readlinkat(&folder, &name, Vec::new())?;
            ahead.append(&mut components(Path::new(&OsString::from_vec(target.into_bytes()))));
            continue;
        }
        if name == ".." {
            text.pop();
        } else {
            text.push(&name);
        }
        if kind != FileType::Directory {
            return if ahead.is_empty() { Ok(Way { held: Held { folder, name }, text }) } else { Err(Errno::NOTDIR.into()) };
        }
        folder = next;
    }
    Ok(Way { held: Held { folder, name: ".".into() }, text })
}

/// The components of a path, the first one last.
fn components(path: &Path) -> Vec<OsString> {
    let kept = path.components().filter(|component| *component != Component::CurDir);
    let mut names: Vec<OsString> = kept.map(|component| component.as_os_str().to_owned()).collect();
    names.reverse();
    names
}
