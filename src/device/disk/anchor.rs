//! Owns the folder of a file that SQLite opens by itself, held open for as long as SQLite may open another file beside it.
//! Promises: a file that is opened through the anchor's path lies in the folder that was walked to, whatever takes that folder's place
//!   meanwhile; and it is the file that was looked at.
//! Never used where nobody but this user could put another folder or file there, nor where there is no `/proc`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{openat, Dir, Mode, OFlags};
use rustix::process::geteuid;

use super::kind::{Untrusted, Why, WrongKind};
use super::super_journal::SuperJournal;
use super::system::stat_of;
use super::walk::{self, is_private};

/// Device and inode.
pub type Inode = (u64, u64);

/// The descriptors of this process, as links.
const OPEN: &str = "/proc/self/fd";

/// A descriptor's number, and what it is open on.
type Opened = (String, Option<Inode>);

/// A folder that is held, and a path through its descriptor.
pub struct Anchor {
    /// For whoever takes nothing but a path: its folder is the descriptor.
    pub path: PathBuf,
    named: PathBuf,
    file: Option<Inode>,
    before: Vec<Opened>,
    /// Of the journal that SQLite may roll back: it would know its own journal's name only by the application's path.
    left: Option<SuperJournal>,
    folder: OwnedFd,
}

impl Anchor {
    /// Walks to the folder and looks at the file. `None`: the path itself is as good, or nothing better is there.
    ///
    /// # Errors
    /// As the walk; [`WrongKind`] where the file is not a regular one; [`Untrusted`] where it is not `known`.
    pub fn of(path: &Path, known: Option<Inode>) -> io::Result<Option<Anchor>> {
        let held = walk::hold(path)?;
        if !geteuid().is_root() && is_private(&held.folder)? {
            return Ok(None);
        }
        let through = held.path(path);
        if through == path {
            return Ok(None);
        }
        let file = match openat(&held.folder, &held.name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => {
                let stat = stat_of(&File::from(file).metadata()?);
                WrongKind::unless_file(path, &stat)?;
                Some((stat.device, stat.inode))
            }
            // SQLite says so, in its own words.
            Err(_) => None,
        };
        if known.is_some_and(|known| file.is_some_and(|file| file != known)) {
            return Err(another(path));
        }
        let journal = [held.name.as_encoded_bytes(), b"-journal"].concat();
        let left = SuperJournal::named_by(held.folder.as_fd(), &journal);
        let before = descriptors()?;
        Ok(Some(Anchor { path: through, named: path.to_owned(), file, before, left, folder: held.folder }))
    }

    /// The file was opened by the anchor's path: it is the one that was looked at.
    ///
    /// # Errors
    /// [`Untrusted`] where it is not; else as `readdir`.
    pub fn opened(&self) -> io::Result<()> {
        // Another thread may have closed one whose number SQLite got.
        let new: Vec<Opened> = descriptors()?.into_iter().filter(|opened| !self.before.contains(opened)).collect();
        // SQLite keeps a descriptor of a file whose locks it still needs, and uses it again.
        if new.is_empty() || new.iter().any(|(_, inode)| inode.is_some() && *inode == self.file) {
            return Ok(());
        }
        Err(another(&self.named))
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        if let Some(left) = &self.left {
            left.remove_if_done(self.folder.as_fd());
        }
    }
}

fn another(path: &Path) -> io::Error {
    Untrusted { path: path.to_owned(), why: Why::Another }.into()
}

/// This process's open descriptors, but that of the folder which lists them.
fn descriptors() -> io::Result<Vec<Opened>> {
    let folder = rustix::fs::open(OPEN, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let own = folder.as_raw_fd().to_string();
    let mut open = Vec::new();
    for entry in Dir::new(folder)? {
        let number = entry?.file_name().to_string_lossy().into_owned();
        if !number.starts_with('.') && number != own {
            let opened = std::fs::metadata(Path::new(OPEN).join(&number)).ok();
            open.push((number, opened.map(|opened| (opened.dev(), opened.ino()))));
        }
    }
    Ok(open)
}
