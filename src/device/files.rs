//! Owns the names: the database's four files, and what stands beside them in the state folder.
//! Promises: one type for the files, so that nothing moves one of its files alone; names carry
//! version and operation.
//! Never touches a file but to look (`lstat`).

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::config::names;
pub use crate::config::names::side;
use crate::device::disk::{parent, Disk, File, Op, Open, Stat, WrongKind};

/// A database's four files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFiles {
    /// The main file.
    pub main: PathBuf,
}

/// What lies under the four names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FilesState {
    /// The main file.
    pub main: Option<Stat>,
    /// `-wal`.
    pub wal: Option<Stat>,
    /// `-shm`.
    pub shm: Option<Stat>,
    /// `-journal`.
    pub journal: Option<Stat>,
    /// The journal's first byte is not 0: SQLite may have to roll it back. (PERSIST leaves a zeroed
    /// header for ever.)
    pub journal_has_content: bool,
}

impl FilesState {
    /// The WAL holds something.
    pub fn wal_has_content(&self) -> bool {
        self.wal.is_some_and(|wal| wal.size > 0)
    }

    /// The main file is absent or has no byte.
    pub fn main_is_empty(&self) -> bool {
        self.main.is_none_or(|main| main.size == 0)
    }
}

impl DatabaseFiles {
    /// The folder that holds all four.
    pub fn folder(&self) -> &Path {
        parent(&self.main)
    }

    /// `settings.db`.
    pub fn file_name(&self) -> String {
        self.main.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The write-ahead log.
    pub fn wal(&self) -> PathBuf {
        side(&self.main, "-wal")
    }

    /// The shared memory of the write-ahead log.
    pub fn shm(&self) -> PathBuf {
        side(&self.main, "-shm")
    }

    /// The rollback journal.
    pub fn journal(&self) -> PathBuf {
        side(&self.main, "-journal")
    }

    /// Where a new main stands for the moment before it takes the name.
    pub fn beside(&self) -> PathBuf {
        names::beside(&self.main)
    }

    /// `lstat` of all four, and one byte of the journal; before SQLite opens anything.
    ///
    /// # Errors
    /// As `lstat` and `read`; [`WrongKind`] where a side file is no regular file.
    pub fn look(&self, disk: &dyn Disk) -> io::Result<FilesState> {
        let regular = |path: PathBuf| -> io::Result<Option<Stat>> {
            let stat = disk.stat(&path)?;
            stat.as_ref().map_or(Ok(()), |stat| WrongKind::unless_file(&path, stat.kind))?;
            Ok(stat)
        };
        let mut journal = regular(self.journal())?;
        let mut journal_has_content = false;
        if journal.is_some_and(|stat| stat.size > 0) {
            match disk.read_start(&self.journal(), 1) {
                Ok(first) => journal_has_content = first.first().is_some_and(|byte| *byte != 0),
                // An application has committed between the two looks.
                Err(error) if error.kind() == io::ErrorKind::NotFound => journal = None,
                Err(error) => return Err(error),
            }
        }
        Ok(FilesState {
            main: disk.stat(&self.main)?,
            wal: regular(self.wal())?,
            shm: regular(self.shm())?,
            journal,
            journal_has_content,
        })
    }
}

/// The one descriptor of main in this process: opened before its header is read, closed after
/// SQLite's last connection, because closing any descriptor of a file drops the process's POSIX
/// locks on it.
pub struct MainFile {
    /// The descriptor.
    pub file: Box<dyn File>,
    /// What `fstat` said when it was opened.
    pub stat: Stat,
    /// The first 100 bytes; fewer where the file is shorter.
    pub header: Vec<u8>,
    /// Opened for reading alone: the file system or the file's mode allowed no more.
    pub read_only: bool,
}

/// Bytes of an SQLite header.
pub const HEADER_BYTES: usize = 100;

impl MainFile {
    /// Opens main and reads its header.
    ///
    /// # Errors
    /// As `open` and `read`.
    pub fn open(disk: &dyn Disk, path: &Path) -> io::Result<MainFile> {
        const OP: Op = Op("open the database file");
        let (file, read_only) = match disk.open(OP, path, Open::ReadWrite) {
            Ok(file) => (file, false),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                ) =>
            {
                (disk.open(OP, path, Open::Read)?, true)
            }
            Err(error) => return Err(error),
        };
        let mut header = vec![0; HEADER_BYTES];
        let read = file.read_at(0, &mut header)?;
        header.truncate(read);
        Ok(MainFile { stat: file.stat_when_opened()?, file, header, read_only })
    }
}

/// D: `.bootmigrate/<file name>/` beside the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFolder {
    /// D itself.
    pub root: PathBuf,
}

/// The largest number of an operation. Nothing counts that far; a larger one was not written by a
/// bootmigrate, and is as if it were not there, so that the numbers after it do not run out.
pub const OPERATION_MAX: u64 = 1 << 53;

/// Of a replacement, in its folder in quarantine: the operation, why, and what was lost.
pub const NOTE: &str = "reason.txt";

/// Before the number in [`StateFolder::checked`].
const CHECKED: &str = "checked-";

/// `snapshots/v12-7.db`: a copy made before operation 7, of schema 12.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotName {
    /// The schema version.
    pub version: i64,
    /// The operation that made it.
    pub operation: u64,
}

impl StateFolder {
    /// The state folder of this database.
    pub fn of(files: &DatabaseFiles) -> StateFolder {
        StateFolder { root: names::state_folder(&files.main) }
    }

    /// Locked by one bootmigrate at a time; never deleted.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Two 4 KiB slots.
    pub fn record(&self) -> PathBuf {
        self.root.join("record")
    }

    /// What a scrub knows.
    pub fn scrub(&self) -> PathBuf {
        self.root.join("scrub")
    }

    /// A database being built; never trusted at boot.
    pub fn staging(&self, operation: u64) -> PathBuf {
        self.root.join(format!("staging-{operation}.db"))
    }

    /// The second name of an empty main file while the first database takes its name; swept like
    /// staging.
    pub fn staging_old(&self, operation: u64) -> PathBuf {
        self.root.join(format!("staging-{operation}-old.db"))
    }

    /// A verified database that must become main: its name is the intent.
    pub fn ready(&self, operation: u64) -> PathBuf {
        self.root.join(format!("ready-{operation}.db"))
    }

    /// Where a rehearsal works on its copy; never trusted, removed by the next run.
    pub fn rehearsal(&self) -> PathBuf {
        self.root.join("rehearsal")
    }

    /// The folder of snapshots.
    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// A snapshot.
    pub fn snapshot(&self, name: &SnapshotName) -> PathBuf {
        self.snapshots().join(format!("v{}-{}.db", name.version, name.operation))
    }

    /// Says that the snapshot of this operation was checked when it was made, though it is larger
    /// than what every check of a snapshot's source includes.
    pub fn checked(&self, operation: u64) -> PathBuf {
        self.snapshots().join(format!("{CHECKED}{operation}"))
    }

    /// The folder of files that were set aside.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Files set aside, by operation.
    pub fn quarantined(&self, operation: u64) -> PathBuf {
        self.quarantine().join(operation.to_string())
    }

    /// Operations whose ready file waits, oldest first.
    ///
    /// # Errors
    /// As `readdir`.
    pub fn ready_operations(&self, disk: &dyn Disk) -> io::Result<Vec<u64>> {
        Ok(ready_among(&disk.list(&self.root)?))
    }

    /// All snapshots, newest first.
    ///
    /// # Errors
    /// As `readdir`.
    pub fn list_snapshots(&self, disk: &dyn Disk) -> io::Result<Vec<SnapshotName>> {
        let mut names: Vec<SnapshotName> =
            disk.list(&self.snapshots())?.iter().filter_map(|name| parse_snapshot(name)).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.operation));
        Ok(names)
    }

    /// Files set aside, oldest first.
    ///
    /// # Errors
    /// As `readdir`.
    pub fn list_quarantine(&self, disk: &dyn Disk) -> io::Result<Vec<u64>> {
        let mut operations: Vec<u64> =
            disk.list(&self.quarantine())?.iter().filter_map(|name| operation(name)).collect();
        operations.sort_unstable();
        Ok(operations)
    }
}

/// Among these names of `snapshots/`, those that say of a snapshot that is not there that it was
/// checked: its number may be given again.
pub fn checked_without_copy(names: &[String]) -> impl Iterator<Item = &String> {
    let there = |number: u64| {
        names.iter().filter_map(|name| parse_snapshot(name)).any(|name| name.operation == number)
    };
    let of = |name: &str| name.strip_prefix(CHECKED).map(operation);
    names.iter().filter(move |name| of(name).is_some_and(|number| !number.is_some_and(&there)))
}

/// Operations whose ready file is among these names of the state folder, oldest first.
pub fn ready_among(names: &[String]) -> Vec<u64> {
    let mut operations: Vec<u64> =
        names.iter().filter_map(|name| number_between(name, "ready-", ".db")).collect();
    operations.sort_unstable();
    operations
}

fn number_between(name: &str, before: &str, after: &str) -> Option<u64> {
    operation(name.strip_prefix(before)?.strip_suffix(after)?)
}

/// A number as we write it: with `007` or `+7` a name is not ours, and with 7 it is another file's.
pub fn number_in_a_name<N: FromStr + ToString>(text: &str) -> Option<N> {
    text.parse().ok().filter(|number: &N| number.to_string() == text)
}

/// The number of an operation, as a name has it.
fn operation(text: &str) -> Option<u64> {
    number_in_a_name(text).filter(|number| *number <= OPERATION_MAX)
}

fn parse_snapshot(name: &str) -> Option<SnapshotName> {
    let (version, number) = name.strip_prefix('v')?.strip_suffix(".db")?.rsplit_once('-')?;
    Some(SnapshotName { version: number_in_a_name(version)?, operation: operation(number)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_known_by_its_name_and_nothing_else_is_one() {
        assert_eq!(parse_snapshot("v12-7.db"), Some(SnapshotName { version: 12, operation: 7 }));
        for other in [
            "tmp-7.db",
            "v12.db",
            "v12-7.db-wal",
            "v-7.db",
            "vx-7.db",
            "v12--7.db",
            "v12-07.db",
            "v12-+7.db",
            "v12-9007199254740993.db",
            "",
        ] {
            assert_eq!(parse_snapshot(other), None, "{other}");
        }
    }

    #[test]
    fn a_number_that_we_would_write_in_another_way_is_in_no_name_of_ours() {
        for other in ["v012-7.db", "v12-07.db", "v+12-7.db", "v12-+7.db"] {
            assert_eq!(parse_snapshot(other), None, "{other}");
        }
        let names = ["ready-007.db", "ready-+8.db", "ready-9.db"].map(str::to_owned);
        assert_eq!(ready_among(&names), [9]);
    }
}
