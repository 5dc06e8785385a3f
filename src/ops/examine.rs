//! Owns a close look at one database for an operator: header, pages, schema, copies, as plain
//! facts.
//! Promises: nothing is written, and running applications go on; what could not be looked at says
//! why.
//! Never says what a fact means.

use std::path::Path;

use crate::decide::record::{read_slots, RecordSlots, SLOT_BYTES};
use crate::device::disk::{read_own_start, Disk, FileKind, Open, Stat};
use crate::device::files::FilesState;
use crate::device::files::NOTE;
use crate::device::sqlite::rows::Table;
use crate::device::sqlite::schema::{Difference, How, Schema};
use crate::device::sqlite::Database;
use crate::device::{history, Device, LOOK};
use crate::error::{Class, Failure};
use crate::ops::inspect::copies::{good_copy_in_full, UnfitCopy};
use crate::ops::scratch::Scratch;

/// What 100 bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderFacts {
    /// Bytes a page.
    pub page_bytes: u64,
    /// Pages.
    pub pages: u64,
    /// Pages that hold nothing.
    pub free_pages: u64,
    /// Write-ahead log.
    pub wal: bool,
    /// Of the SQLite that wrote last, as 3054001.
    pub sqlite: u32,
    /// `application_id`.
    pub application_id: u32,
    /// `user_version`.
    pub user_version: u32,
}

/// What reading the open database told.
pub struct Inside {
    /// What is wrong with the pages; `None` where they were not read, for this reason.
    pub wrong: Result<Vec<String>, String>,
    /// What could not be checked, and what is not right and no damage, a sentence each.
    pub notes: Vec<String>,
    /// Objects that the migrations make and that are not there, or are there with another text, or
    /// are there and not made by them.
    pub drift: Vec<String>,
    /// Tables of rows that were put aside.
    pub aside: Vec<String>,
    /// The schema's own texts.
    pub schema: Vec<String>,
    /// Each row of the history in words.
    pub history: Vec<String>,
    /// Where history and catalogue say different things.
    pub contradictions: Vec<String>,
}

/// What is left of the record of operations and tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordState {
    /// No state folder: nothing was ever begun.
    NothingYet,
    /// The state folder is there, and the record is not, or neither slot is whole.
    Lost,
    /// Made, and nothing was begun since.
    Blank,
    /// Of a firmware that writes another format.
    Format(u32),
    /// Whole; the number of the last operation.
    Whole(u64),
}

/// A copy of ours.
pub struct SnapshotFile {
    /// `v40-1`.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// Its version, or why it is not good; `None` where it was not read.
    pub good: Option<Result<i64, String>>,
}

/// Files that were set aside.
pub struct Quarantined {
    /// Its operation.
    pub operation: u64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// The second line of its reason.txt.
    pub reason: String,
    /// The third line; empty where it is not written.
    pub lost: String,
    /// When reason.txt was written, as the device's clock was then; `None` where it is absent.
    pub unix_seconds: Option<i64>,
    /// Each file with its bytes.
    pub files: Vec<(String, u64)>,
}

/// What lies under the database's name.
pub struct Outside {
    /// The four files.
    pub files: FilesState,
    /// `None` where it cannot be read or is no SQLite header.
    pub header: Option<HeaderFacts>,
    /// The folder that holds it.
    pub folder: Option<Stat>,
}

/// Looks at the files without SQLite.
///
/// # Errors
/// As `lstat` and `read`.
pub fn outside(device: &Device<'_>) -> Result<Outside, Failure> {
    let failed = |error: std::io::Error| Failure::io(LOOK, &device.files.main, &error);
    let disk = device.disk();
    let files = device.files.look(disk).map_err(failed)?;
    let mut bytes = [0u8; 100];
    let header = match files.main {
        // No connection is open: closing this descriptor takes no lock away.
        Some(main) if main.kind == FileKind::File && main.size >= 100 => {
            let file = disk.open(LOOK, &device.files.main, Open::Read).map_err(failed)?;
            file.read_at(0, &mut bytes).map_err(failed)?;
            header(&bytes)
        }
        _ => None,
    };
    Ok(Outside { files, header, folder: disk.stat(device.files.folder()).map_err(failed)? })
}

fn header(bytes: &[u8; 100]) -> Option<HeaderFacts> {
    if !bytes.starts_with(b"SQLite format 3\0") {
        return None;
    }
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let number = |at: usize| {
        bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
    };
    let page_bytes = match u64::from(u16::from_be_bytes([byte(16), byte(17)])) {
        1 => 65536,
        bytes => bytes,
    };
    Some(HeaderFacts {
        page_bytes,
        pages: u64::from(number(28)),
        free_pages: u64::from(number(36)),
        wal: byte(18) == 2,
        sqlite: number(96),
        application_id: number(68),
        user_version: number(60),
    })
}

/// Looks at the record.
///
/// # Errors
/// As `lstat` and `read`.
pub fn record(device: &Device<'_>) -> Result<RecordState, Failure> {
    let (disk, path) = (device.disk(), device.state.record());
    let failed = |error: std::io::Error| Failure::io(LOOK, &path, &error);
    if disk.stat(&device.state.root).map_err(failed)?.is_none() {
        return Ok(RecordState::NothingYet);
    }
    if disk.stat(&path).map_err(failed)?.is_none() {
        return Ok(RecordState::Lost);
    }
    let bytes = read_own_start(disk, LOOK, &path, 2 * SLOT_BYTES).map_err(failed)?;
    Ok(match read_slots(&bytes) {
        RecordSlots::Valid { record, .. } => RecordState::Whole(record.last_operation),
        RecordSlots::UnknownFormat(format) => RecordState::Format(format),
        RecordSlots::Nothing if bytes.iter().all(|byte| *byte == 0) => RecordState::Blank,
        RecordSlots::Nothing => RecordState::Lost,
    })
}

/// Reads schema, history and, where `check` allows that many bytes, every page; with the locks of
/// an ordinary reader.
///
/// # Errors
/// As SQLite.
pub fn inside(
    device: &Device<'_>,
    outside: &Outside,
    check_bytes_max: u64,
) -> Result<Inside, Failure> {
    let database = open(device, outside).map_err(|failure| device.naming_the_refused(failure))?;
    let read = read(device, outside, &database, check_bytes_max);
    database.close(LOOK)?;
    read.map_err(|failure| device.naming_the_refused(failure))
}

/// The way that fits what lies beside it: beside a running application with its shared memory, else
/// without writing.
fn open(device: &Device<'_>, outside: &Outside) -> Result<Database, Failure> {
    let main = &device.files.main;
    let (wal, files) = (outside.header.is_some_and(|header| header.wal), &outside.files);
    match (wal, files.shm.is_some(), files.wal_has_content()) {
        // A plain reader's locks: writers are seen.
        (false, _, _) => device.sqlite().look_beside(LOOK, main),
        (true, false, false) => device.sqlite().look_immutable(LOOK, main),
        (true, true, _) => device
            .sqlite()
            .look_beside(LOOK, main)
            .and_then(readable)
            .or_else(|_| device.sqlite().look_without_writing(LOOK, main)),
        (true, false, true) => device.sqlite().look_without_writing(LOOK, main),
    }
}

/// The first read tells whether the shared memory of somebody who is gone can be used.
fn readable(database: Database) -> Result<Database, Failure> {
    match database.texts(LOOK, "SELECT 'x' FROM sqlite_schema LIMIT 1") {
        Ok(_) => Ok(database),
        Err(failure) => {
            database.close(LOOK)?;
            Err(failure)
        }
    }
}

fn read(
    device: &Device<'_>,
    outside: &Outside,
    database: &Database,
    check_bytes_max: u64,
) -> Result<Inside, Failure> {
    let size = outside.files.main.map_or(0, |main| main.size);
    let mut notes = Vec::new();
    let wrong = if size > check_bytes_max {
        Err(format!(
            "{size} bytes are more than quick_check_max_mib allows; `doctor --full` reads them all"
        ))
    } else {
        match database.integrity_check(LOOK) {
            Ok(findings) => {
                notes = findings.notes();
                Ok(findings.damage().map(|finding| finding.text.clone()).collect())
            }
            // A page so broken that the check itself stops.
            Err(failure) if failure.class == Class::Damaged => Ok(vec![failure.cause]),
            Err(failure) => return Err(failure),
        }
    };
    let table = &device.settings.history_table;
    let history = history::read(database, LOOK, table)?;
    let version = history.version();
    let live = database.schema(LOOK, table)?;
    let tables = database.ordinary_tables(LOOK, table)?;
    let aside: Vec<String> =
        tables.into_iter().filter(Table::is_aside).map(|table| table.name).collect();
    let drift = if version > device.catalog.target() || !history.recorded {
        Vec::new()
    } else {
        Scratch::schema_at(device, version)?
            .map_or_else(Vec::new, |wanted| drift_of(&live, &wanted, &aside))
    };
    let rows = history
        .applied
        .iter()
        .map(|row| format!("V{}__{} checksum {}", row.version, row.name, row.checksum));
    let malformed = history.malformed.iter().map(|what| format!("it cannot be read: {what}"));
    let contradictions = malformed
        .chain(
            history::contradictions(device.catalog, &history.applied)
                .iter()
                .map(ToString::to_string),
        )
        .collect();
    Ok(Inside {
        wrong,
        notes,
        drift,
        aside,
        schema: database.texts(LOOK, SCHEMA)?,
        history: rows.collect(),
        contradictions,
    })
}

const SCHEMA: &str = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name";

/// What was put aside is from no migration, and nothing is wrong with that.
fn drift_of(live: &Schema, wanted: &Schema, aside: &[String]) -> Vec<String> {
    let aside: Vec<String> =
        aside.iter().map(|name| format!("table {}", name.to_ascii_lowercase())).collect();
    let said = |difference: &Difference| match difference.how {
        How::ExtraObject | How::ExtraPart => format!("{} is not from a migration", difference.what),
        How::Missing | How::Other { .. } | How::Order { .. } => difference.to_string(),
    };
    let differences = live.differences(wanted);
    differences.iter().filter(|one| !aside.contains(&one.key)).map(said).collect()
}

/// The snapshots, newest first; each read where `verify` says so.
///
/// # Errors
/// As `readdir` and `lstat`.
pub fn snapshots(device: &Device<'_>, verify: bool) -> Result<Vec<SnapshotFile>, Failure> {
    let failed = |path: &Path, error: &std::io::Error| Failure::io(LOOK, path, error);
    let names = device
        .state
        .list_snapshots(device.disk())
        .map_err(|error| failed(&device.state.snapshots(), &error))?;
    let mut found = Vec::new();
    for name in names {
        let path = device.state.snapshot(&name);
        let bytes = device
            .disk()
            .stat(&path)
            .map_err(|error| failed(&path, &error))?
            .map_or(0, |stat| stat.size);
        let good = verify
            .then(|| good_copy_in_full(device, &path, Some(name.version)).map_err(UnfitCopy::why));
        found.push(SnapshotFile {
            name: format!("v{}-{}", name.version, name.operation),
            bytes,
            good,
        });
    }
    Ok(found)
}

/// Bytes of a reason that are read at most.
const REASON_BYTES_MAX: usize = 4096;
/// Sets of files in quarantine, oldest first.
///
/// # Errors
/// As `readdir`.
pub fn quarantine(device: &Device<'_>) -> Result<Vec<Quarantined>, Failure> {
    let disk = device.disk();
    let failed = |error: std::io::Error| Failure::io(LOOK, &device.state.quarantine(), &error);
    let mut found = Vec::new();
    for operation in device.state.list_quarantine(disk).map_err(failed)? {
        let folder = device.state.quarantined(operation);
        let files = disk.list(&folder).map_err(failed)?.into_iter();
        let files: Vec<(String, Stat)> = files
            .filter_map(|name| {
                disk.stat(&folder.join(&name)).ok().flatten().map(|stat| (name, stat))
            })
            .collect();
        let bytes = files.iter().map(|(_, stat)| stat.size).fold(0, u64::saturating_add);
        let note = files
            .iter()
            .find(|(name, _)| name == NOTE)
            .map(|(_, stat)| stat.modified_ns / 1_000_000_000);
        let unix_seconds = note.map(|seconds| i64::try_from(seconds).unwrap_or(0));
        let files = files.into_iter().map(|(name, stat)| (name, stat.size)).collect();
        let (reason, lost) = reason(disk, &folder.join(NOTE));
        found.push(Quarantined { operation, bytes, reason, lost, unix_seconds, files });
    }
    Ok(found)
}

/// Why, and what was lost by it.
fn reason(disk: &dyn Disk, file: &Path) -> (String, String) {
    let (note, cut) = match read_own_start(disk, LOOK, file, REASON_BYTES_MAX + 1) {
        Ok(note) if note.len() > REASON_BYTES_MAX => (note, " (cut: reason.txt is longer)"),
        Ok(note) => (note, ""),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Vec::new(), ""),
        Err(error) => return (format!("reason.txt cannot be read: {error}"), String::new()),
    };
    let note = String::from_utf8_lossy(note.get(..REASON_BYTES_MAX).unwrap_or(&note)).into_owned();
    let reason = note.lines().find_map(|line| line.strip_prefix("reason: "));
    let lost = note
        .lines()
        .find_map(|line| line.strip_prefix("data lost: "))
        .unwrap_or_default()
        .to_owned();
    let reason = reason.map_or_else(
        || format!("no reason is written{cut}"),
        |reason| {
            let last = note.lines().last().is_some_and(|line| line.ends_with(reason));
            format!("{reason}{}", if last { cut } else { "" })
        },
    );
    (reason, lost)
}
