//! Owns the rules about what lies in a device's folders at rest, for every judge: simulated disk,
//! real files after a cut, and slots that took turns.
//! Promises: nothing is left over, each file has one name, and what was replaced is kept, with its
//! reason.
//! Never boots, and never looks through the code under test.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::dump::{Album, Stands};
use crate::finding::{bad, Bad};
use crate::real_files::{below, bytes, look};
use crate::scenario::Old;
use crate::sim::State;

/// The folder of the product's databases, wherever it stands. Paths are relative to it.
pub trait Observed {
    /// Every path in it and below, with how many names its file has; 1 for a folder.
    fn paths(&self) -> Vec<(String, u64)>;
    /// The bytes of a file; `None` where there is none.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
    /// The database under this name, by plain SQLite.
    fn stands(&mut self, path: &str) -> Stands;
}

/// On the simulated disk.
pub struct OnDisk<'a> {
    /// What is on it.
    pub state: &'a State,
    /// Remembers what it has looked at.
    pub album: &'a mut Album,
    /// The folder.
    pub home: &'a str,
}

impl OnDisk<'_> {
    fn full(&self, path: &str) -> String {
        format!("{}/{path}", self.home)
    }
}

impl Observed for OnDisk<'_> {
    fn paths(&self) -> Vec<(String, u64)> {
        let inside = |(path, id): (String, _)| {
            let path = path.strip_prefix(self.home)?.strip_prefix('/')?.to_owned();
            let names = if self.state.content(id).is_ok() { self.state.links(id) } else { 1 };
            Some((path, names))
        };
        self.state.walk().into_iter().filter_map(inside).collect()
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.state.read_file(&self.full(path))
    }

    fn stands(&mut self, path: &str) -> Stands {
        self.album.look(self.state, &self.full(path))
    }
}

/// As real files below this folder.
pub struct RealFiles<'a>(pub &'a Path);

impl Observed for RealFiles<'_> {
    fn paths(&self) -> Vec<(String, u64)> {
        let inside = |(path, data): (PathBuf, fs::Metadata)| {
            let path = path.strip_prefix(self.0).unwrap_or(&path).to_string_lossy().into_owned();
            (path, if data.is_file() { data.nlink() } else { 1 })
        };
        below(self.0).into_iter().map(inside).collect()
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        bytes(&self.0.join(path))
    }

    fn stands(&mut self, path: &str) -> Stands {
        look(&self.0.join(path))
    }
}

/// What stays beside databases of these files: side files, and of the state folder the lock, the
/// record, snapshots, quarantine, and the note of a scrub that found nothing.
///
/// # Errors
/// "nothing left over" or "one name each", with the path.
pub fn nothing_left_over(observed: &impl Observed, mains: &[String]) -> Result<(), Bad> {
    for (path, names) in observed.paths() {
        if !belongs(&path, mains) && !is_quiet_note(observed, &path) {
            return bad("nothing left over", format!("{path} is left"));
        }
        if names > 1 {
            return bad("one name each", format!("{path} has {names} names"));
        }
    }
    Ok(())
}

fn belongs(path: &str, mains: &[String]) -> bool {
    let Some(inside) = path.strip_prefix(".bootmigrate/") else {
        let of = |main: &String| {
            path.strip_prefix(main.as_str())
                .is_some_and(|side| ["", "-wal", "-shm", "-journal"].contains(&side))
        };
        // What `mkfs` makes.
        return path == ".bootmigrate" || path == "lost+found" || mains.iter().any(of);
    };
    let (main, inside) = inside.split_once('/').unwrap_or((inside, ""));
    mains.iter().any(|known| known == main)
        && match inside.split_once('/') {
            None => matches!(inside, "" | "lock" | "record" | "snapshots" | "quarantine"),
            Some(("quarantine", _)) => true,
            Some(("snapshots", name)) => is_snapshot(name),
            Some(_) => false,
        }
}

/// What a scrub found is looked for by the next boot, and does not stay.
fn is_quiet_note(observed: &impl Observed, path: &str) -> bool {
    let is_note = path.starts_with(".bootmigrate/") && path.ends_with("/scrub");
    let text = || observed.read(path).unwrap_or_default();
    is_note && text().starts_with(b"ended: ") && !text().windows(7).any(|part| part == b"found: ")
}

fn is_snapshot(name: &str) -> bool {
    let numbers = name.strip_prefix('v').and_then(|name| name.strip_suffix(".db"));
    numbers.and_then(|numbers| numbers.split_once('-')).is_some_and(|(version, operation)| {
        version.parse::<i64>().is_ok() && operation.parse::<u64>().is_ok()
    })
}

/// The snapshots of a database: the path of each.
pub fn snapshots(observed: &impl Observed, main: &str) -> Vec<String> {
    let folder = format!(".bootmigrate/{main}/snapshots/");
    let paths = observed.paths().into_iter().map(|(path, _)| path);
    paths.filter(|path| path.starts_with(&folder)).collect()
}

/// One folder in quarantine, and the database in it.
pub struct KeptFiles {
    /// Its path.
    pub folder: String,
    /// The database, by plain SQLite.
    pub was: Old,
}

/// What is in quarantine, each with its reason. A folder that is empty does not count: its removal
/// was cut off after the last file.
///
/// # Errors
/// "copies bounded", or "a quarantine has its reason".
pub fn quarantine(
    observed: &mut impl Observed,
    main: &str,
    most: usize,
) -> Result<Vec<KeptFiles>, Bad> {
    let inside = format!(".bootmigrate/{main}/quarantine/");
    let mut folders: Vec<String> = Vec::new();
    for (path, _) in observed.paths() {
        if let Some((folder, _)) = path.strip_prefix(&inside).and_then(|path| path.split_once('/'))
        {
            let folder = format!("{inside}{folder}");
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    if folders.len() > most {
        return bad("copies bounded", format!("{} sets of files in quarantine", folders.len()));
    }
    let mut kept = Vec::new();
    for folder in folders {
        let note = observed.read(&format!("{folder}/reason.txt")).unwrap_or_default();
        // The earlier release says `act`.
        if ![&b"operation: "[..], b"act: "].iter().any(|first| note.starts_with(first)) {
            let what = format!("{folder}/reason.txt has {} bytes", note.len());
            return bad("a quarantine has its reason", what);
        }
        let was = observed.stands(&format!("{folder}/{main}")).into();
        kept.push(KeptFiles { folder, was });
    }
    Ok(kept)
}
