//! Owns the folder of a file that SQLite opens by itself, held open for as long as SQLite may open
//! another file beside it.
//! Promises: a file that is opened through the anchor's path lies in the folder that was walked to,
//! whatever takes that folder's place meanwhile; and it is the file that was looked at.
//! Never used where nobody but this user could put another folder or file there, nor where there is
//! no `/proc`.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::fcntl_dupfd_cloexec;

use super::folders::Folder;
use super::rights::{Rights, UserAndGroup};
use super::super_journal::SuperJournal;
use super::system::{stat_of, SystemDisk};
use super::walk::is_private;
use super::Disk;
use crate::config::names::side;
use crate::error::kind::{Untrusted, Why, WrongKind};

/// Device and inode.
pub type Inode = (u64, u64);

/// The descriptors of this process, as links.
const OPEN: &str = "/proc/self/fd";
/// SQLite takes no descriptor below this one.
const LOWEST: i32 = 3;

/// A descriptor's number, and what it is open on.
type Opened = (String, Option<Inode>);

/// How it is found out what SQLite has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchoring {
    /// By the one descriptor that it must have got, the lowest that was free: enough but for other
    /// threads, and for a file that SQLite had kept open.
    Quick,
    /// By all descriptors of this process, before and after.
    Everything,
}

/// What was open before.
enum Before {
    /// Nothing on this one.
    Free(String),
    All(Vec<Opened>),
}

/// A folder that is held, and a path through its descriptor.
pub struct Anchor {
    /// For whoever takes nothing but a path: its folder is the descriptor.
    pub path: PathBuf,
    named: PathBuf,
    file: Option<Inode>,
    before: Before,
    /// Of the journal that SQLite may roll back: it would know its own journal's name only by the
    /// application's path.
    left: Option<SuperJournal>,
    /// Whose rights SQLite needs; `None` for this process's own.
    pub owner: Option<UserAndGroup>,
    folder: Rc<Folder>,
    name: OsString,
}

impl Anchor {
    /// Looks at the file in its folder. `None`: the path itself is as good, or nothing better is
    /// there.
    ///
    /// # Errors
    /// As the walk; [`WrongKind`] where the file is not a regular one; [`Untrusted`] where it is
    /// not `known`.
    pub fn of(
        disk: &SystemDisk,
        path: &Path,
        known: Option<Inode>,
        closeness: Anchoring,
    ) -> io::Result<Option<Anchor>> {
        let held = disk.hold(path)?;
        if !disk.is_root() && is_private(&*held.folder)? {
            return Ok(None);
        }
        let through = held.path(path);
        if through == path {
            return Ok(None);
        }
        let file = match held.stat() {
            Ok(found) => {
                let stat = stat_of(&found);
                WrongKind::unless_file(path, stat.kind)?;
                Some((stat.device, stat.inode))
            }
            // SQLite says so, in its own words.
            Err(_) => None,
        };
        if known.is_some_and(|known| file.is_some_and(|file| file != known)) {
            return Err(Anchor::another(path));
        }
        let before = match closeness {
            Anchoring::Quick => {
                Before::Free(fcntl_dupfd_cloexec(&*held.folder, LOWEST)?.as_raw_fd().to_string())
            }
            Anchoring::Everything => Before::All(descriptors()?),
        };
        // A side file of root's, or of who shares the database's group, needs this process's own
        // rights.
        let beside = ["-journal", "-wal", "-shm"].map(|suffix| side(path, suffix));
        let owner = disk.owner_at(path, &held).filter(|owner| {
            let is_his = |path: &PathBuf| {
                disk.stat(path).is_ok_and(|found| found.is_none_or(|found| found.uid == owner.uid))
            };
            beside.iter().all(is_his)
        });
        Ok(Some(Anchor {
            path: through,
            named: path.to_owned(),
            file,
            before,
            left: None,
            owner,
            folder: held.folder,
            name: held.name,
        }))
    }

    /// SQLite may roll back the journal that lies beside the file.
    pub fn keep_super_journal(&mut self) {
        let journal = [self.name.as_encoded_bytes(), b"-journal"].concat();
        self.left = SuperJournal::named_by(self.folder.as_fd(), &journal);
    }

    /// The file was opened by the anchor's path: it is the one that was looked at. `false` where a
    /// quick look cannot tell.
    ///
    /// # Errors
    /// [`Untrusted`] where it is not; else as `readdir`.
    pub fn opened(&self) -> io::Result<bool> {
        let before = match &self.before {
            Before::Free(number) => {
                return Ok(self.file.is_some() && opened_on(number) == self.file)
            }
            Before::All(before) => before,
        };
        // Another thread may have closed one whose number SQLite got.
        let new: Vec<Opened> =
            descriptors()?.into_iter().filter(|opened| !before.contains(opened)).collect();
        // SQLite keeps a descriptor of a file whose locks it still needs, and uses it again.
        if new.is_empty() || new.iter().any(|(_, inode)| inode.is_some() && *inode == self.file) {
            return Ok(true);
        }
        Err(Anchor::another(&self.named))
    }

    /// Something else has this name than what was looked at.
    pub fn another(path: &Path) -> io::Error {
        Untrusted { path: path.to_owned(), why: Why::Another }.into()
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        if let Some(left) = &self.left {
            let _rights = Rights::of(self.owner);
            left.remove_if_done(self.folder.as_fd());
        }
    }
}

/// What this descriptor is open on; `None` where it is not.
fn opened_on(number: &str) -> Option<Inode> {
    let opened = std::fs::metadata(Path::new(OPEN).join(number)).ok()?;
    Some((opened.dev(), opened.ino()))
}

/// This process's open descriptors, but that of the folder which lists them.
fn descriptors() -> io::Result<Vec<Opened>> {
    let folder = rustix::fs::open(
        OPEN,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let own = folder.as_raw_fd().to_string();
    let mut open = Vec::new();
    for entry in Dir::new(folder)? {
        let number = entry?.file_name().to_string_lossy().into_owned();
        if !number.starts_with('.') && number != own {
            let inode = opened_on(&number);
            open.push((number, inode));
        }
    }
    Ok(open)
}
