//! Owns opening a database file that must only be read: a copy of it and of what stands beside it.
//! Promises: nothing is written beside the original, not even a -shm; the copy is gone with the
//! value.
//! Never takes an original's lock.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rusqlite::Connection;

/// An open copy.
pub struct Copied {
    pub connection: Connection,
    /// Where there is room for more.
    pub folder: tempfile::TempDir,
}

/// Copies a database and opens the copy.
///
/// # Errors
/// It cannot be read.
pub fn open(file: &Path) -> Result<Copied> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("copy.db");
    for side in ["", "-wal", "-journal"] {
        let (from, to) = (beside(file, side), beside(&copy, side));
        if side.is_empty() || from.exists() {
            fs::copy(&from, &to).with_context(|| format!("{} cannot be read", from.display()))?;
        }
    }
    Ok(Copied { connection: Connection::open(&copy)?, folder })
}

fn beside(path: &Path, side: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(side);
    PathBuf::from(name)
}
