//! Owns the question whether a write-ahead log belongs to the main file that it lies beside.
//! Promises: asked before a checkpoint writes the log into main, after which nobody could tell them
//! apart any more.
//! Never writes, and never asked at a quiet boot.

use crate::device::disk::{File, Op, Open};
use crate::device::files::MainFile;
use crate::device::{wal, Device};
use crate::error::{Class, Failure};
use crate::ops::probe::in_use;
use crate::ops::verify::{whole, within_budget};

const OP: Op = Op("check the WAL");

/// Why the log that lies beside main is not its own; `None` where it can be, or where there is
/// none.
///
/// # Errors
/// As `open` and `read`.
pub fn misfit(device: &Device<'_>, main: &MainFile) -> Result<Option<String>, Failure> {
    let path = device.files.wal();
    let failed = |error: std::io::Error| Failure::io(OP, &path, &error);
    if device.disk().stat(&path).map_err(failed)?.is_none_or(|stat| stat.size == 0) {
        return Ok(None);
    }
    let log = match device.disk().open(OP, &path, Open::Read) {
        // An application has just closed it, and brought it into main.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        log => log.map_err(failed)?,
    };
    let bytes = main.file.stat().map_err(failed)?.size;
    wal::misfit(&*log, &main.header, bytes, &device.environment.stop).map_err(failed)
}

/// The log beside main, for as long as its pages are read; `None` where there is none.
///
/// # Errors
/// As `open`.
pub fn log_of(device: &Device<'_>, op: Op) -> Result<Option<Box<dyn File>>, Failure> {
    let path = device.files.wal();
    let failed = |error: std::io::Error| Failure::io(op, &path, &error);
    if device.disk().stat(&path).map_err(failed)?.is_none_or(|stat| stat.size == 0) {
        return Ok(None);
    }
    device.disk().open(op, &path, Open::Read).map(Some).map_err(failed)
}

/// Main and the log beside it are one whole database, within `quick_check_max_mib`.
///
/// # Errors
/// Damaged where they are not; in use; as SQLite.
pub fn fits(device: &Device<'_>, main: &MainFile) -> Result<(), Failure> {
    let files = device
        .files
        .look(device.disk())
        .map_err(|error| Failure::io(OP, &device.files.main, &error))?;
    if !files.wal_has_content() {
        return Ok(());
    }
    if let Some(why) = misfit(device, main)? {
        return Err(Failure::new(Class::Damaged, OP, why).at(&device.files.wal()));
    }
    if !within_budget(device, main.stat.size) {
        return Ok(());
    }
    let ask = || match look(device) {
        Err(failure) if failure.class == Class::InUse => Ok(None),
        other => other.map(Some),
    };
    device.wait().until(OP, ask)?.ok_or_else(|| in_use(device))
}

fn look(device: &Device<'_>) -> Result<(), Failure> {
    let database = device.sqlite().look_without_writing(OP, &device.files.main)?;
    let checked = database.begin_exclusive(OP).and_then(|()| whole(&database));
    database.rollback();
    database.close(OP)?;
    checked
}
