//! Owns what a judge sees of a device as real files: names, footprints, and databases by plain
//! SQLite.
//! Promises: changes nothing; a database is looked at on a private copy.
//! Never decides what is right.

// The lab's own files, not a device's.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::dump::{take, Stands};
use crate::sim::hash::Hash128;

/// Every name in this folder and below, parents first.
pub fn below(folder: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        for path in paths {
            let Ok(data) = fs::symlink_metadata(&path) else { continue };
            if data.is_dir() {
                folders.push(path.clone());
            }
            found.push((path, data));
        }
    }
    found
}

/// The bytes of a file; `None` where there is none.
pub fn bytes(path: &Path) -> Option<Vec<u8>> {
    fs::read(path).ok()
}

/// What a boot that does nothing leaves as it is: names, modes, owners, times and contents.
pub type Footprint = BTreeMap<PathBuf, (u32, u32, i64, i64, u128)>;

/// The footprint of a folder.
pub fn footprint(folder: &Path) -> Footprint {
    let print = |(path, data): (PathBuf, fs::Metadata)| {
        let content =
            if data.is_file() { Hash128::of(&fs::read(&path).unwrap_or_default()) } else { 0 };
        (path, (data.mode(), data.uid(), data.mtime(), data.mtime_nsec(), content))
    };
    below(folder).into_iter().map(print).collect()
}

/// Copies the files of a database into a folder (never `-shm`: SQLite makes it again); gives the
/// copy's main file.
pub fn copied(main: &Path, folder: &Path) -> PathBuf {
    let name = main.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for side in ["", "-wal", "-journal"] {
        let _ = fs::copy(format!("{}{side}", main.display()), folder.join(format!("{name}{side}")));
    }
    folder.join(name)
}

/// What plain SQLite sees under this name, on a private copy.
pub fn look(main: &Path) -> Stands {
    if fs::symlink_metadata(main).is_err() {
        return Stands::Absent;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = copied(main, folder.path());
    let taken =
        Connection::open(&copy).map_err(|error| error.to_string()).and_then(|open| take(&open));
    match taken {
        Ok(dump) => Stands::Whole(dump),
        Err(why) => Stands::Broken(Hash128::of(&fs::read(main).unwrap_or_default()), why),
    }
}
