//! Owns looking at copies: which snapshots are good, and what pruning would give.
//! Promises: a good copy is whole, of the same application, with a history that is a prefix of the
//! catalogue by checksum.
//! Never trusts a name: what a snapshot is called is compared with what is in it.

use std::io;
use std::path::Path;

use super::header::{bad_header, counted_bytes};
use crate::catalog::Migration;
use crate::config::OnChecksumMismatch;
use crate::decide::facts::{DatabaseState, Snapshot};
use crate::device::disk::{read_own_start, read_through, FileKind, Op};
use crate::device::files::{SnapshotName, HEADER_BYTES};
use crate::device::history::{self, Applied, History};
use crate::device::sqlite::findings::Findings;
use crate::device::{progress, sqlite, Device, LOOK};
use crate::error::{Class, Failure};
use crate::ops::prune::{before_the_trial, is_older, last_checked, last_loss};
use crate::ops::store::RecordStore;
use crate::ops::trust::Trust;
use crate::ops::verify::within_budget;

/// A copy would be copied whole; SQLite itself makes a file longer than its header says by some
/// pages at most.
const BEYOND_ITS_HEADER_BYTES_MAX: u64 = 64 << 20;

/// Why a copy cannot take the database's place.
#[derive(Debug)]
pub enum UnfitCopy {
    /// It is not a good one.
    NotGood(String),
    /// It could not be looked at: an I/O error or missing memory says nothing about what is in it.
    Failed(Failure),
}

impl UnfitCopy {
    /// For somebody who named this copy: a bad one is a failure too, which begins with these words.
    pub fn failure(self, op: Op, path: &Path, words: &str) -> Failure {
        match self {
            UnfitCopy::NotGood(why) => {
                Failure::new(Class::Damaged, op, format!("{words}: {why}")).at(path)
            }
            UnfitCopy::Failed(failure) => failure,
        }
    }

    /// Why, for a list.
    pub fn why(self) -> String {
        match self {
            UnfitCopy::NotGood(why) => why,
            UnfitCopy::Failed(failure) => format!("it could not be looked at: {}", failure.cause),
        }
    }
}

/// Good snapshots, newest first.
///
/// # Errors
/// As `readdir`; or a copy cannot be read now, which does not make it a bad one.
pub fn good_snapshots(device: &Device<'_>) -> Result<Vec<Snapshot>, Failure> {
    let names = list(device)?;
    let mut good = Vec::new();
    for name in names {
        let path = device.state.snapshot(&name);
        match good_copy(device, &path, Some(name.version)) {
            Ok(version) => {
                good.push(Snapshot { version, operation: name.operation, ..Snapshot::default() })
            }
            // Who looks without the lock may have been overtaken by a run that prunes.
            Err(UnfitCopy::Failed(_)) if matches!(device.disk().stat(&path), Ok(None)) => {}
            Err(UnfitCopy::Failed(failure)) => return Err(failure),
            Err(UnfitCopy::NotGood(why)) => {
                log::warn!(
                    "{}: snapshot v{}-{} is not a good copy: {why}.",
                    device.settings.name,
                    name.version,
                    name.operation
                )
            }
        }
    }
    Ok(good)
}

/// The version of a copy that may take the database's place. Within `quick_check_max_mib` its
/// indexes are compared with its tables; of a larger one every page is read and checked by itself,
/// once.
///
/// # Errors
/// Why it may not.
pub fn good_copy(
    device: &Device<'_>,
    path: &Path,
    expected: Option<i64>,
) -> Result<i64, UnfitCopy> {
    look_at_copy(device, path, expected, |database| {
        if within_budget(device, database.bytes(LOOK)?) {
            database.integrity_check(LOOK)
        } else {
            database.quick_check(LOOK)
        }
    })
}

/// The same, whatever its size.
///
/// # Errors
/// As [`good_copy`].
pub fn good_copy_in_full(
    device: &Device<'_>,
    path: &Path,
    expected: Option<i64>,
) -> Result<i64, UnfitCopy> {
    look_at_copy(device, path, expected, |database| database.integrity_check(LOOK))
}

fn look_at_copy(
    device: &Device<'_>,
    path: &Path,
    expected: Option<i64>,
    check: impl Fn(&sqlite::Database) -> Result<Findings, Failure>,
) -> Result<i64, UnfitCopy> {
    let not_good = |failure: Failure| match failure.class {
        Class::Damaged | Class::Catalogue | Class::NotOurs => UnfitCopy::NotGood(failure.cause),
        _ => UnfitCopy::Failed(failure),
    };
    if expected.is_some() {
        // One of ours, and no file that an operator has named.
        let io = |error: io::Error| not_good(Failure::io(LOOK, path, &error));
        if let Some(stat) =
            device.disk().stat(path).map_err(io)?.filter(|stat| stat.kind == FileKind::File)
        {
            Trust::of(device).map_err(not_good)?.accept(device, path, &stat).map_err(io)?;
        }
    }
    let header = read_own_start(device.disk(), LOOK, path, HEADER_BYTES)
        .map_err(|error| not_good(Failure::io(LOOK, path, &error)))?;
    // SQLite can read what it may not write: no use as a database.
    if let Some(DatabaseState::Damaged { what, .. } | DatabaseState::NewerSqlite { what }) =
        bad_header(&header, u64::MAX, false)
    {
        return Err(UnfitCopy::NotGood(what));
    }
    let size = device
        .disk()
        .stat(path)
        .map_err(|error| not_good(Failure::io(LOOK, path, &error)))?
        .map_or(0, |stat| stat.size);
    if counted_bytes(&header)
        .is_some_and(|bytes| size.saturating_sub(bytes) > BEYOND_ITS_HEADER_BYTES_MAX)
    {
        return Err(UnfitCopy::NotGood("the file is much longer than its header says".to_owned()));
    }
    let database = device.sqlite().look_immutable(LOOK, path).map_err(not_good)?;
    progress::begin(&format!("{}: checking a copy", device.settings.name));
    let checks = check(&database).and_then(|found| {
        Ok((found, history::read(&database, LOOK, &device.settings.history_table)?))
    });
    database.close(LOOK).map_err(not_good)?;
    let (findings, history) = checks.map_err(not_good)?;
    if let Some(first) = findings.first_damage() {
        // What cannot be read is not known to be bad.
        read_through(device.disk(), LOOK, path, &device.environment.stop)
            .map_err(|error| UnfitCopy::Failed(Failure::io(LOOK, path, &error)))?;
        return Err(UnfitCopy::NotGood(first.to_owned()));
    }
    if let Some(what) = history.malformed {
        return Err(UnfitCopy::NotGood(what));
    }
    if !history.recorded && history.tables > 0 {
        return Err(UnfitCopy::NotGood("it has tables and no migration history".into()));
    }
    let version = history.version();
    if expected.is_some_and(|expected| expected != version) {
        return Err(UnfitCopy::NotGood(format!(
            "it is at version {version}, not at what its name says"
        )));
    }
    if !is_beginning(device, &history) {
        return Err(UnfitCopy::NotGood(
            "its history is not the beginning of this firmware's".into(),
        ));
    }
    Ok(version)
}

/// By version, name and checksum the history is the beginning of this firmware's, or all of it.
/// Where the owner goes on with a changed text, by version and name.
pub fn is_beginning(device: &Device<'_>, history: &History) -> bool {
    agrees(device, history) && history.applied.len() <= device.catalog.migrations.len()
}

/// This firmware's is the beginning of it: newer firmware went on.
pub fn goes_on(device: &Device<'_>, history: &History) -> bool {
    agrees(device, history) && history.version() > device.catalog.target()
}

/// As far as both go.
fn agrees(device: &Device<'_>, history: &History) -> bool {
    let any_text = device.settings.on_checksum_mismatch == OnChecksumMismatch::Warn;
    let is = |(row, ours): (&Applied, &Migration)| {
        row.is(ours) || any_text && row.version == ours.version && row.name == ours.name
    };
    let same = history.applied.iter().zip(device.catalog.migrations).all(is);
    same && history.malformed.is_none()
}

/// Bytes of our own snapshots that may go once the live file has passed its check.
///
/// # Errors
/// As `readdir` and `lstat`.
pub fn reclaimable(device: &Device<'_>, store: &RecordStore) -> Result<u64, Failure> {
    let mut bytes = 0u64;
    for name in expendable(device, store)? {
        let path = device.state.snapshot(&name);
        let stat = device.disk().stat(&path).map_err(|error| Failure::io(LOOK, &path, &error))?;
        // A second name of it elsewhere would keep its bytes.
        bytes =
            bytes.saturating_add(stat.filter(|stat| stat.links == 1).map_or(0, |stat| stat.size));
    }
    Ok(bytes)
}

/// Copies that are left tell of a database that held data, whatever became of the record.
///
/// # Errors
/// As `readdir`.
pub fn speak_of_data(device: &Device<'_>) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::io(LOOK, &device.state.quarantine(), &error);
    let quarantine = device.state.list_quarantine(device.disk()).map_err(failed)?;
    Ok(!quarantine.is_empty() || list(device)?.iter().any(|name| name.version > 0))
}

/// Snapshots that may go when a new one is about to be made: all, but with two slots what the slot
/// to fall back to needs, those that may hold rows which were lost, and of a live file that is too
/// large for its check the newest that was checked.
///
/// # Errors
/// As `readdir`.
pub fn expendable(device: &Device<'_>, store: &RecordStore) -> Result<Vec<SnapshotName>, Failure> {
    let mut names = list(device)?;
    let failed = |error: io::Error| Failure::io(LOOK, &device.state.snapshots(), &error);
    let checked =
        if names.is_empty() { None } else { last_checked(device, &names).map_err(failed)? };
    names.retain(|name| Some(name.operation) != checked);
    let needed = before_the_trial(device, &names, store.record().good_operation);
    names.retain(|name| !needed.contains(&name.operation));
    let loss = last_loss(device, store)
        .map_err(|error| Failure::io(LOOK, &device.state.quarantine(), &error))?;
    names.retain(|name| !is_older(name.operation, loss));
    Ok(names)
}

fn list(device: &Device<'_>) -> Result<Vec<SnapshotName>, Failure> {
    let failed = |error: io::Error| Failure::io(LOOK, &device.state.snapshots(), &error);
    device.state.list_snapshots(device.disk()).map_err(failed)
}
