//! Owns reading the live database beside running applications.
//! Promises: no byte of it is written; files that change between two calls are looked at again.
//! Never waits longer than it is told to.

use std::cell::Cell;
use std::time::Duration;

use crate::device::disk::Op;
use crate::device::files::{FilesState, MainFile};
use crate::device::history::{self as histories, History};
use crate::device::{sqlite, Device, LOOK};
use crate::error::{Class, Failure};
use crate::ops::probe::in_use;

/// The history, as far as a decision asks.
///
/// # Errors
/// As [`histories::read`].
pub fn read_here(
    device: &Device<'_>,
    database: &sqlite::Database,
    op: Op,
) -> Result<History, Failure> {
    let catalog = device.catalog;
    let mut history =
        histories::read_beside(database, op, &device.settings.history_table, catalog)?;
    if history.malformed.is_none() && history.version() < catalog.target() {
        history.unfit = database.unfit(op)?;
    }
    Ok(history)
}

/// Of the file that is open as `main`.
pub(super) fn read_history(
    device: &Device<'_>,
    limit: Duration,
    files: FilesState,
    main: Option<&MainFile>,
) -> Result<History, Failure> {
    let read = |database: &sqlite::Database| read_here(device, database, LOOK);
    if let Some(file) = main.and_then(|main| main.file.descriptor()) {
        let (sqlite, path) = (device.sqlite(), &device.files.main);
        let held = || sqlite.read_held(LOOK, path, file, read);
        if let Some(history) = (!files.wal_has_content()).then(held).flatten() {
            return history;
        }
    }
    read_as_seen(device, limit, Some(files), read)
}

/// Reads without a byte written. An application that opens and closes meanwhile makes and removes
/// the WAL and its shared memory between two of our calls: then the files are looked at again,
/// until `limit`.
///
/// # Errors
/// In use, or the reader's own.
pub fn read_quietly<T>(
    device: &Device<'_>,
    limit: Duration,
    read: impl Fn(&sqlite::Database) -> Result<T, Failure>,
) -> Result<T, Failure> {
    read_as_seen(device, limit, None, read)
}

/// The same, with what has just been seen of the files for the first look.
fn read_as_seen<T>(
    device: &Device<'_>,
    limit: Duration,
    seen: Option<FilesState>,
    read: impl Fn(&sqlite::Database) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let seen = Cell::new(seen);
    let read = |database: sqlite::Database| {
        let answer = read(&database);
        database.close(LOOK)?;
        answer
    };
    let ask = || {
        let look = || {
            device
                .files
                .look(device.disk())
                .map_err(|error| Failure::io(LOOK, &device.files.main, &error))
        };
        let files = seen.take().map_or_else(look, Ok)?;
        match open_to_look(device, &files).and_then(&read) {
            // A running application has the WAL: its own shared memory lets us read beside it.
            Err(failure) if failure.class == Class::InUse => {
                match device.sqlite().look_beside(LOOK, &device.files.main).and_then(&read) {
                    // Nothing that another look would mend.
                    Err(failure)
                        if matches!(failure.class, Class::NoSpace | Class::Interrupted) =>
                    {
                        Err(failure)
                    }
                    beside => Ok(beside.ok()),
                }
            }
            other => other.map(Some),
        }
    };
    device.wait_for(limit).until(LOOK, ask)?.ok_or_else(|| in_use(device))
}

/// Reads the live database, for one that plain refinery may have left between its two transactions.
pub(super) fn read_live<T>(
    device: &Device<'_>,
    files: &FilesState,
    read: &dyn Fn(&sqlite::Database) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let read = |database: sqlite::Database| {
        let found = read(&database);
        database.close(LOOK)?;
        found
    };
    match open_to_look(device, files).and_then(read) {
        Err(failure) if failure.class == Class::InUse => {
            device.sqlite().look_beside(LOOK, &device.files.main).and_then(read)
        }
        other => other,
    }
}

pub(super) fn open_to_look(
    device: &Device<'_>,
    files: &FilesState,
) -> Result<sqlite::Database, Failure> {
    let main = &device.files.main;
    if !files.wal_has_content() {
        return device.sqlite().look_immutable(LOOK, main);
    }
    device.sqlite().look_without_writing(LOOK, main)
}
