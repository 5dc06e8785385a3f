//! Owns recovery: SQLite rolls a hot journal back, or moves a WAL into main, and closes.
//! Promises: after return no side file has content, and a power cut does not bring one back.
//! Never begins an operation: what SQLite does here it would do at the application's first read.

use crate::device::disk::Op;
use crate::device::files::MainFile;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::probe::{in_use, probe};

const OP: Op = Op("recover the journal");

/// Rolls back, checkpoints, closes, syncs the folder.
///
/// # Errors
/// In use, or as SQLite.
pub fn recover(device: &Device<'_>, main: Option<&MainFile>) -> Result<(), Failure> {
    probe(device, main)?;
    roll_back(device, main)?;
    if left_behind(device)?.is_none() {
        return Ok(());
    }
    // What SQLite had not to recover may be of an application that came meanwhile: it is there
    // (13), or has left or died.
    probe(device, main)?;
    roll_back(device, main)?;
    left_behind(device)?.map_or(Ok(()), Err)
}

/// What the application's first read would do, made durable.
fn roll_back(device: &Device<'_>, main: Option<&MainFile>) -> Result<(), Failure> {
    let size = main.map_or(0, |main| main.stat.size);
    let (database, _) = device.sqlite().work(OP, &device.files.main, size)?;
    database.begin_exclusive(OP)?;
    database.commit(OP)?;
    let finished = database.checkpoint(OP)?;
    database.close(OP)?;
    if !finished {
        return Err(in_use(device));
    }
    // SQLite does not sync its unlink of a WAL: after a cut it would be back, at full size.
    let folder = device.files.folder();
    device.disk().sync_folder(OP, folder).map_err(|error| Failure::io(OP, folder, &error))
}

/// A side file with content, as the failure that it would be. SQLite leaves no hot journal behind;
/// but one that it cannot look at it takes for absent, and half a transaction would count.
fn left_behind(device: &Device<'_>) -> Result<Option<Failure>, Failure> {
    let left = device
        .files
        .look(device.disk())
        .map_err(|error| Failure::io(OP, device.files.folder(), &error))?;
    let failure = |cause: &str, path| Failure::new(Class::Storage, OP, cause).at(path);
    Ok(if left.journal_has_content {
        Some(failure(
            "SQLite left a hot journal that it should have rolled back",
            &device.files.journal(),
        ))
    } else if left.wal_has_content() {
        Some(failure("SQLite left a WAL behind that it should have emptied", &device.files.wal()))
    } else {
        None
    })
}
