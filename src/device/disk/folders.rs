//! Owns the folders that a run has walked to: each is held open, and walked to once.
//! Promises: what lies below a held folder is reached through its descriptor, whatever takes the
//! folder's name meanwhile; a folder that this program renames or removes is no longer held, and
//! those of a database are walked to anew when it begins.
//! Never holds more than a few, and follows no link but those that the walk follows.

use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{fstat, openat, statat, AtFlags, FileType, Mode, OFlags, Stat, CWD};
use rustix::io::retry_on_intr;

use super::walk;

/// Folders that are held: those of one database, of /run and of /etc. A thousand databases need no
/// more descriptors than one.
const HELD_MAX: usize = 8;

/// A folder is opened again for what O_PATH does not allow.
const LISTING: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The folders of one run.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// The one used last comes last.
    held: RefCell<Vec<Rc<Folder>>>,
}

/// A folder that is held open with O_PATH.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    descriptor: OwnedFd,
    /// There is no symbolic link in its path.
    is_plain: bool,
    /// As it was first looked at: who may change that was trusted then, or nobody was.
    stat: Cell<Option<Stat>>,
    /// Its descriptor is seen in `/proc/self/fd`; `None` where nobody has looked.
    is_shown: Cell<Option<bool>>,
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Folder {
    fn stat(&self) -> io::Result<Stat> {
        if let Some(known) = self.stat.get() {
            return Ok(known);
        }
        let found = fstat(self)?;
        self.stat.set(Some(found));
        Ok(found)
    }

    /// `/proc/self/fd/N`, where that is this folder.
    fn shown(&self) -> Option<PathBuf> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()));
        let is_shown = self.is_shown.get().unwrap_or_else(|| {
            let seen = statat(CWD, &path, AtFlags::empty()).ok().zip(self.stat().ok());
            seen.is_some_and(|(shown, held)| {
                (shown.st_dev, shown.st_ino) == (held.st_dev, held.st_ino)
            })
        });
        self.is_shown.set(Some(is_shown));
        is_shown.then_some(path)
    }
}

/// A name in a folder that is held: whatever takes the folder's place meanwhile, the name is looked
/// up in this one.
pub(super) struct Held {
    pub folder: Rc<Folder>,
    /// One component; `.` for the folder itself.
    pub name: OsString,
}

impl Held {
    /// For a call that takes nothing but a path: through the descriptor where there is a `/proc`,
    /// else `path`, as it was written.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.shown().map_or_else(|| path.to_owned(), |folder| folder.join(&self.name))
    }

    /// The folder belongs to this user.
    pub fn is_in_a_folder_of(&self, uid: u32) -> bool {
        self.folder.stat().is_ok_and(|folder| folder.st_uid == uid)
    }

    /// Opens what has this name, and is no link.
    pub fn open(&self, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        Ok(retry_on_intr(|| {
            openat(&self.folder, &self.name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode)
        })?)
    }

    /// What has this name, a link included.
    pub fn stat(&self) -> io::Result<Stat> {
        Ok(retry_on_intr(|| statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW))?)
    }
}

impl Folders {
    /// Opens what the path names, without following a link in its last place.
    pub fn open(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        self.hold(path)?.open(flags, mode)
    }

    /// What the path names, a link in its last place included.
    pub fn look(&self, path: &Path) -> io::Result<Stat> {
        match self.known(path).filter(|folder| folder.is_plain) {
            Some(folder) => folder.stat(),
            None => self.hold(path)?.stat(),
        }
    }

    /// The folder at this path; a link in its last place is followed where its own folder allows
    /// it.
    pub fn folder(&self, path: &Path) -> io::Result<Rc<Folder>> {
        if let Some(known) = self.known(path) {
            return Ok(known);
        }
        let (descriptor, is_plain) = self.walk(path, OFlags::PATH)?;
        let folder = Rc::new(Folder {
            path: path.to_owned(),
            descriptor,
            is_plain,
            stat: Cell::new(None),
            is_shown: Cell::new(None),
        });
        if path.is_absolute() {
            let mut held = self.held.borrow_mut();
            if held.len() == HELD_MAX {
                held.remove(0);
            }
            held.push(Rc::clone(&folder));
        }
        Ok(folder)
    }

    /// The same, to read the names in it.
    pub fn listing(&self, path: &Path) -> io::Result<OwnedFd> {
        match self.known(path) {
            Some(folder) => Ok(retry_on_intr(|| openat(&folder, ".", LISTING, Mode::empty()))?),
            None => self.walk(path, LISTING).map(|(folder, _)| folder),
        }
    }

    /// The folder that holds the last name of this path.
    pub fn hold(&self, path: &Path) -> io::Result<Held> {
        let (above, name) = match (path.parent(), path.file_name()) {
            (Some(above), Some(name)) => (above, name),
            // `/`, and what ends in `..`.
            _ => (path, OsStr::new(".")),
        };
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        Ok(Held { folder: self.folder(above)?, name: name.to_owned() })
    }

    /// The path without a link in it, each followed where its folder allows it.
    pub fn resolved(&self, path: &Path) -> io::Result<PathBuf> {
        if path.is_relative()
            || path.components().any(|component| component == Component::ParentDir)
        {
            return walk::resolved(path);
        }
        let is_plain = match self.folder(path) {
            Ok(folder) => folder.is_plain,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let held = self.hold(path)?;
                held.folder.is_plain
                    && FileType::from_raw_mode(held.stat()?.st_mode) != FileType::Symlink
            }
            Err(error) => return Err(error),
        };
        if is_plain {
            return Ok(path.components().collect());
        }
        walk::resolved(path)
    }

    /// What is at this path, and what is below it, may be another folder from now on.
    pub fn forget(&self, path: &Path) {
        self.held.borrow_mut().retain(|folder| !folder.path.starts_with(path));
    }

    /// Something may have been mounted over this folder, or over one above it.
    pub fn forget_way_to(&self, path: &Path) {
        self.held
            .borrow_mut()
            .retain(|folder| !folder.path.starts_with(path) && !path.starts_with(&folder.path));
    }

    /// From the nearest folder that is held.
    fn walk(&self, path: &Path, flags: OFlags) -> io::Result<(OwnedFd, bool)> {
        let above = self.nearest(path);
        match above
            .as_ref()
            .and_then(|folder| Some((folder, path.strip_prefix(&folder.path).ok()?)))
        {
            // `/r/` is `/r`, written otherwise.
            Some((folder, below)) if below.as_os_str().is_empty() => {
                walk::folder(folder.as_fd(), Path::new("."), path, flags)
            }
            Some((folder, below)) => walk::folder(folder.as_fd(), below, path, flags),
            None => walk::folder(CWD, path, path, flags),
        }
    }

    fn known(&self, path: &Path) -> Option<Rc<Folder>> {
        let mut held = self.held.borrow_mut();
        // As it is written: to compare components takes twenty times as long.
        let at = held.iter().position(|folder| folder.path.as_os_str() == path.as_os_str())?;
        let folder = held.remove(at);
        held.push(Rc::clone(&folder));
        Some(folder)
    }

    /// The lowest held folder above this path to which no link leads.
    fn nearest(&self, path: &Path) -> Option<Rc<Folder>> {
        let held = self.held.borrow();
        let above = held.iter().filter(|folder| folder.is_plain && path.starts_with(&folder.path));
        above.max_by_key(|folder| folder.path.as_os_str().len()).map(Rc::clone)
    }
}
