//! Owns making a snapshot of a database in quarantine: its files are copied, SQLite recovers the
//! copy, and it is checked.
//! Promises: the copy has its name only when it is whole, checked and synced; a cut leaves a
//! temporary name, swept at boot.
//! Never writes to the files in quarantine, and never joins a WAL to a main file that it does not
//! belong to.

use std::io;
use std::path::Path;

use crate::device::disk::{unlink_durably, Op, Open};
use crate::device::files::{side, DatabaseFiles, MainFile, SnapshotName};
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::backup::{make, name_it, remove, room_for_two, whole};
use crate::ops::lock::{lock, Locked};
use crate::ops::probe::{in_use, probe};
use crate::ops::room::explain;
use crate::ops::store::RecordStore;
use crate::ops::trust::Trust;
use crate::ops::wal::misfit;

const OP: Op = Op("copy the files in quarantine");

/// Nobody has the live database open: asked before anything is copied, so that a refusal costs
/// nothing.
///
/// # Errors
/// In use (13); else as `open`.
pub fn may_take_in(device: &Device<'_>) -> Result<(), Failure> {
    let there = device
        .disk()
        .stat(&device.files.main)
        .map_err(|error| Failure::io(OP, &device.files.main, &error))?;
    if there.is_none() {
        return Ok(());
    }
    let main = device.open_main(OP, device.busy_limit())?;
    probe(device, Some(&main)).map(drop)
}

/// Makes a snapshot of what operation `operation` set aside.
///
/// # Errors
/// Damaged where it is no good copy, no space, not ours; what was being made is removed.
pub fn take_in(
    device: &Device<'_>,
    locked: &Locked,
    store: &RecordStore,
    operation: u64,
) -> Result<SnapshotName, Failure> {
    let set = device.copied_to(device.state.quarantined(operation).join(device.files.file_name()));
    let temporary = device.state.snapshots().join("tmp-quarantine.db");
    remove(device, &temporary)?;
    let made = copy(device, locked, &set.files, &temporary).and_then(|size| {
        fits(&set)?;
        recover(device, &temporary, size)?;
        let version = whole(device, &temporary, OP)?;
        name_it(device, store, (&temporary, version), OP)
    });
    made.map_err(|failure| {
        let _ = remove(device, &temporary);
        match failure.class {
            Class::Damaged => failure.at(&set.files.main),
            _ => failure,
        }
    })
}

/// Its bytes, with those of its WAL.
fn copy(
    device: &Device<'_>,
    locked: &Locked,
    files: &DatabaseFiles,
    temporary: &Path,
) -> Result<u64, Failure> {
    let failed = |error: io::Error| Failure::io(OP, &files.main, &error);
    let state = files.look(device.disk()).map_err(failed)?;
    if state.main_is_empty() {
        return Err(Failure::new(Class::Damaged, OP, "it has no main file with content"));
    }
    let mut parts = vec![(files.main.clone(), temporary.to_path_buf(), state.main)];
    if state.wal_has_content() {
        parts.push((files.wal(), side(temporary, "-wal"), state.wal));
    }
    if state.journal_has_content {
        parts.push((files.journal(), side(temporary, "-journal"), state.journal));
    }
    let bytes = parts
        .iter()
        .filter_map(|(.., stat)| *stat)
        .map(|stat| stat.size)
        .fold(0, u64::saturating_add);
    room_for_two(device, bytes, OP)?;
    let trust = Trust::of(device)?;
    for (from, to, _) in &parts {
        let one = || {
            let source = device.disk().open(OP, from, Open::Read)?;
            trust.accept(device, from, &source.stat_when_opened()?)?;
            let copy = make(device, locked, to)?;
            copy.copy_from(OP, &*source, &device.environment.stop).map(drop)
        };
        one().map_err(|error| explain(device, Failure::io(OP, from, &error), bytes))?;
    }
    Ok(bytes)
}

/// A WAL of another version of the file would be written into it page by page.
fn fits(set: &Device<'_>) -> Result<(), Failure> {
    let main = MainFile::open(set.disk(), &set.files.main)
        .map_err(|error| Failure::io(OP, &set.files.main, &error))?;
    match misfit(set, &main)? {
        Some(why) => Err(Failure::new(Class::Damaged, OP, why)),
        None => Ok(()),
    }
}

/// What the application's first read would do; then the copy is one file, and synced.
fn recover(device: &Device<'_>, temporary: &Path, size: u64) -> Result<(), Failure> {
    let disk = device.disk();
    let failed = |error: io::Error| Failure::io(OP, temporary, &error);
    // Open until SQLite has closed: to close it would drop SQLite's locks.
    let file = disk.open(OP, temporary, Open::ReadWrite).map_err(failed)?;
    let copied = DatabaseFiles { main: temporary.to_path_buf() };
    let before = copied.look(disk).map_err(failed)?;
    if before.wal_has_content() || before.journal_has_content {
        let (database, _) = device.sqlite().work(OP, temporary, size)?;
        let recovered = database
            .begin_exclusive(OP)
            .and_then(|()| database.commit(OP))
            .and_then(|()| database.checkpoint(OP));
        database.close(OP)?;
        if !recovered? {
            return Err(in_use(device));
        }
        let after = copied.look(disk).map_err(failed)?;
        if after.wal_has_content() || after.journal_has_content {
            return Err(Failure::new(
                Class::Storage,
                OP,
                "SQLite left a journal or a WAL that it should have recovered",
            )
            .at(temporary));
        }
    }
    let sides = [copied.wal(), copied.shm(), copied.journal()];
    let sides: Vec<&Path> = sides.iter().map(std::path::PathBuf::as_path).collect();
    unlink_durably(disk, OP, &device.state.snapshots(), &sides).map_err(failed)?;
    file.sync(OP).map_err(failed)
}

/// Removes the copy again, where it did not take the database's place.
pub fn take_back(device: &Device<'_>, name: &SnapshotName) {
    let (path, note) = (device.state.snapshot(name), device.state.checked(name.operation));
    let gone = lock(device).and_then(|_locked| {
        unlink_durably(device.disk(), OP, &device.state.snapshots(), &[&note, &path])
            .map_err(|error| Failure::io(OP, &path, &error))
    });
    if let Err(failure) = gone {
        log::warn!("{}: {} is left there: {failure}.", device.settings.name, path.display());
    }
}
