//! Owns the errors of a name under which something else stands than what belongs there, or what
//! somebody else has put there.
//! Promises: says what it is; a FIFO, a device or a socket is never opened, which could wait for
//! ever or have an effect.
//! Never removes what it finds.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A socket, a device, a pipe.
    Other,
}

const FILE: &str = "a regular file";
pub(crate) const FOLDER: &str = "a folder";

/// No regular file, or no folder, stands where one belongs.
#[derive(Debug)]
pub struct WrongKind {
    /// Where.
    pub path: PathBuf,
    pub(crate) found: FileKind,
    pub(crate) wanted: &'static str,
}

impl WrongKind {
    /// # Errors
    /// It is no regular file.
    pub fn unless_file(path: &Path, kind: FileKind) -> io::Result<()> {
        if kind == FileKind::File {
            return Ok(());
        }
        Err(WrongKind { path: path.to_owned(), found: kind, wanted: FILE }.into())
    }

    /// # Errors
    /// It is no folder; of a link [`Untrusted`].
    pub fn unless_folder(path: &Path, kind: FileKind) -> io::Result<()> {
        match kind {
            FileKind::Folder => return Ok(()),
            FileKind::Symlink => {
                return Err(Untrusted { path: path.to_owned(), why: Why::Link(None) }.into())
            }
            FileKind::File | FileKind::Other => {}
        }
        Err(WrongKind { path: path.to_owned(), found: kind, wanted: FOLDER }.into())
    }

    /// A folder is missing; else a file is.
    pub fn wants_folder(&self) -> bool {
        self.wanted == FOLDER
    }

    /// The one inside an error.
    pub fn of(error: &io::Error) -> Option<&WrongKind> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }
}

impl fmt::Display for WrongKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = match self.found {
            FileKind::File => "a file",
            FileKind::Folder => "a folder",
            FileKind::Symlink => "a symbolic link",
            FileKind::Other => "a FIFO, a socket or a device",
        };
        write!(f, "{found} is where {} belongs", self.wanted)
    }
}

impl std::error::Error for WrongKind {}

impl From<WrongKind> for io::Error {
    fn from(wrong: WrongKind) -> io::Error {
        io::Error::other(wrong)
    }
}

/// What stands there may be somebody else's: it is neither followed, nor read, nor changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Untrusted {
    /// Where.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// What makes a file or a folder somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A symbolic link, in a folder of this owner where others than root may write; `None` where no
    /// link belongs at all.
    Link(Option<u32>),
    /// It has this many names, of which this many are known.
    Names(u64, u64),
    /// Of this user.
    Owner(u32),
    /// Everybody may write to it: these are its permission bits.
    Writable(u32),
    /// Another file than the one that was looked at.
    Another,
}

impl Untrusted {
    /// A link that somebody else may have put there.
    pub fn link(path: &Path, folder: u32) -> Untrusted {
        Untrusted { path: path.to_owned(), why: Why::Link(Some(folder)) }
    }

    /// The one inside an error.
    pub fn of(error: &io::Error) -> Option<&Untrusted> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Why::Link(Some(owner)) => {
                write!(
                    f,
                    "it is a symbolic link in a folder where others than root may write (owner \
                     {owner}), and is not followed"
                )
            }
            Why::Link(None) => f.write_str("it is a symbolic link, and bootmigrate makes none"),
            Why::Names(all, ours) => {
                write!(f, "it has {all} names (hard links), and bootmigrate knows {ours}")
            }
            Why::Owner(uid) => {
                write!(f, "it belongs to uid {uid}, who is neither root nor the database's owner")
            }
            Why::Writable(mode) => write!(f, "everybody may write to it (mode {mode:04o})"),
            Why::Another => f.write_str("something else took its name while it was opened"),
        }
    }
}

impl std::error::Error for Untrusted {}

impl From<Untrusted> for io::Error {
    fn from(untrusted: Untrusted) -> io::Error {
        io::Error::other(untrusted)
    }
}
