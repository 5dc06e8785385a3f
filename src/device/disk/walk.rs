//! Owns the way to a folder: from the root down, or from a folder that is held, each step relative
//! to the descriptor of the one before it.
//! Promises: a symbolic link is followed only out of a folder that nobody may write to but root and
//! the user that this process is.
//! Never goes through a folder's name twice: what was opened is what is used.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{fstat, openat, openat2, readlinkat, FileType, Mode, OFlags, ResolveFlags, CWD};
use rustix::io::{retry_on_intr, Errno};

use crate::error::kind::Untrusted;

/// Links on one way; the kernel's own limit.
const LINKS_MAX: u32 = 40;
/// Writable by the group or by everybody.
const SHARED: u32 = 0o022;

/// Opens the folder at `path`: `below` this one, or where a link is on the way from the root; and
/// whether there was none. A link in its last place is followed where its own folder allows it.
pub(super) fn folder(
    above: BorrowedFd<'_>,
    below: &Path,
    path: &Path,
    flags: OFlags,
) -> io::Result<(OwnedFd, bool)> {
    let flags = flags | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match retry_on_intr(|| openat2(above, below, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)) {
        // A link on the way; or a kernel, or a filter of system calls, without this one.
        Err(Errno::LOOP | Errno::NOTDIR | Errno::NOSYS | Errno::PERM) => {
            let way = by_steps(path)?;
            let opened = retry_on_intr(|| openat(&way.folder, &way.name, flags, Mode::empty()))?;
            Ok((opened, !way.followed_links))
        }
        opened => Ok((opened?, true)),
    }
}

/// Opens a file for reading, in one call; `None` where a link is on the way, or the kernel cannot
/// do so. Only where nobody can have put a device there, whose opening may have an effect.
pub(super) fn opened_at_once(path: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match retry_on_intr(|| openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)) {
        Err(Errno::LOOP | Errno::NOSYS | Errno::PERM) => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

/// The path without a link in it, each followed where its folder allows it.
pub(super) fn resolved(path: &Path) -> io::Result<PathBuf> {
    by_steps(path).map(|way| way.text)
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
    folder: OwnedFd,
    /// One component; `.` for the folder itself.
    name: OsString,
    /// What the walk went through, as a path.
    text: PathBuf,
    followed_links: bool,
}

/// Component by component, with O_NOFOLLOW. `..` is looked up by the kernel in the folder that is
/// held.
fn by_steps(path: &Path) -> io::Result<Way> {
    let op = |folder: &OwnedFd, name: &OsStr| {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // An automount is made for who asks for a folder; else its empty place would be opened.
        match retry_on_intr(|| openat(folder, name, flags | OFlags::DIRECTORY, Mode::empty())) {
            Err(Errno::NOTDIR | Errno::LOOP) => {
                retry_on_intr(|| openat(folder, name, flags, Mode::empty()))
            }
            opened => opened,
        }
    };
    let start = |at: &str| {
        retry_on_intr(|| {
            openat(CWD, at, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        })
    };
    // The same folder; an emulator that has a tree of its own in the place of `/` leaves /proc
    // alone.
    let root = || start("/proc/self/root").or_else(|_| start("/"));
    let (mut folder, mut text) = if path.is_relative() {
        (start(".")?, std::env::current_dir()?)
    } else {
        (root()?, PathBuf::from("/"))
    };
    // What is still to be walked, the next component last.
    let mut ahead: Vec<OsString> = components(path);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == "/" {
            (folder, text) = (root()?, PathBuf::from("/"));
            continue;
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
            return if ahead.is_empty() {
                Ok(Way { folder, name, text, followed_links: links > 0 })
            } else {
                Err(Errno::NOTDIR.into())
            };
        }
        folder = next;
    }
    Ok(Way { folder, name: ".".into(), text, followed_links: links > 0 })
}

/// The components of a path, the first one last.
fn components(path: &Path) -> Vec<OsString> {
    let kept = path.components().filter(|component| *component != Component::CurDir);
    let mut names: Vec<OsString> = kept.map(|component| component.as_os_str().to_owned()).collect();
    names.reverse();
    names
}
