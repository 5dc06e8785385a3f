//! Owns the error of a name under which something else stands than what belongs there.
//! Promises: says what it is; a FIFO, a device or a socket is never opened, which could wait for ever or have an effect.
//! Never removes what it finds.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::{FileKind, Stat};

const FILE: &str = "a regular file";
pub(super) const FOLDER: &str = "a folder";

/// No regular file, or no folder, stands where one belongs.
#[derive(Debug)]
pub struct WrongKind {
    /// Where.
    pub path: PathBuf,
    pub(super) found: FileKind,
    pub(super) wanted: &'static str,
}

impl WrongKind {
    /// # Errors
    /// It is no regular file.
    pub fn unless_file(path: &Path, stat: &Stat) -> io::Result<()> {
        if stat.kind == FileKind::File {
            return Ok(());
        }
        Err(WrongKind { path: path.to_owned(), found: stat.kind, wanted: FILE }.into())
    }

    /// # Errors
    /// It is neither a folder nor a link, which may lead to one.
    pub fn unless_folder(path: &Path, stat: &Stat) -> io::Result<()> {
        if matches!(stat.kind, FileKind::Folder | FileKind::Symlink) {
            return Ok(());
        }
        Err(WrongKind { path: path.to_owned(), found: stat.kind, wanted: FOLDER }.into())
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
