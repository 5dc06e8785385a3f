//! Owns a copy of the live database made beside running applications, and the import of a file that
//! an operator brings.
//! Promises: a copy has its name only when it is whole, checked and synced; a cut leaves a
//! temporary name, swept at boot.
//! Never stops an application, and never takes a file's name for what is in it.

use std::io;
use std::path::{Path, PathBuf};

use crate::decide::facts::Room;
use crate::device::disk::{
    rename_durably, unlink_durably, write_new_durably, File, Op, Open, Rename,
};
use crate::device::files::{side, SnapshotName};
use crate::device::{history, Device};
use crate::error::{Class, Failure};
use crate::ops::inspect::copies::good_copy;
use crate::ops::lock::Locked;
use crate::ops::room::explain;
use crate::ops::store::RecordStore;
use crate::ops::verify::within_budget;

const COPY: Op = Op("copy beside the applications");
const IMPORT: Op = Op("take the file in");

/// Makes a snapshot now.
///
/// # Errors
/// In use, no space, or storage; what was being made is removed.
pub fn create(
    device: &Device<'_>,
    locked: &Locked,
    store: &RecordStore,
) -> Result<SnapshotName, Failure> {
    let temporary = device.state.snapshots().join("tmp-backup.db");
    remove(device, &temporary)?;
    let made = back_up(device, locked, &temporary)
        .and_then(|()| whole(device, &temporary, COPY))
        .and_then(|version| has_content(device, store, version).map(|()| version))
        .and_then(|version| name_it(device, store, (&temporary, version), COPY))
        .inspect(|name| note_check(device, locked, name));
    made.inspect_err(|_| drop(remove(device, &temporary)))
}

/// A copy of what is left of a lost database would take the place of the one that it can be
/// restored from.
fn has_content(device: &Device<'_>, store: &RecordStore, version: i64) -> Result<(), Failure> {
    if version > 0 || !store.record().held_data {
        return Ok(());
    }
    let cause = "it has no table, but it held data before; `bootmigrate run` restores it, as a \
                 boot does";
    Err(Failure::new(Class::Damaged, COPY, cause).at(&device.files.main))
}

/// Looks at a file where it lies: may it be taken in? Nothing is written, so that a wrong file
/// costs nothing.
///
/// # Errors
/// Damaged where it is no good copy; not ours where a WAL or a journal beside it has a part of it;
/// else as the storage.
pub fn importable(device: &Device<'_>, file: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io(IMPORT, file, &error);
    let disk = device.disk();
    let beside = [side(file, "-wal"), side(file, "-journal")];
    for part in beside {
        // A journal of zeros is the header that PERSIST leaves.
        let has_content = match disk.read_start(&part, 1) {
            Ok(first) => first.first().is_some_and(|byte| *byte != 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(error)),
        };
        if has_content {
            let cause = format!(
                "{} has content that a copy of the file alone would leave out; open it with \
                 sqlite3 first",
                part.display()
            );
            return Err(Failure::new(Class::NotOurs, IMPORT, cause).at(file));
        }
    }
    good_copy(device, file, None)
        .map(drop)
        .map_err(|look| look.failure(IMPORT, file, "it is no good copy"))
}

/// Takes a file in as a snapshot.
///
/// # Errors
/// As [`importable`], or no space.
pub fn import(
    device: &Device<'_>,
    locked: &Locked,
    store: &RecordStore,
    file: &Path,
) -> Result<SnapshotName, Failure> {
    let failed = |error: io::Error| Failure::io(IMPORT, file, &error);
    let disk = device.disk();
    room_for(device, disk.stat(file).map_err(failed)?.map_or(0, |stat| stat.size), IMPORT)?;
    let temporary = device.state.snapshots().join("tmp-import.db");
    remove(device, &temporary)?;
    let copy = || {
        let source = disk.open(IMPORT, file, Open::Read)?;
        let made = make(device, locked, &temporary)?;
        made.copy_from(IMPORT, &*source, &device.environment.stop)?;
        made.sync(IMPORT)
    };
    let named = copy()
        .map_err(failed)
        .and_then(|()| whole(device, &temporary, IMPORT))
        .and_then(|version| name_it(device, store, (&temporary, version), IMPORT))
        .inspect(|name| note_check(device, locked, name));
    named.inspect_err(|_| drop(remove(device, &temporary)))
}

/// Copies the live database to `path`, whole and synced; applications go on.
///
/// # Errors
/// As [`create`].
pub fn back_up(device: &Device<'_>, locked: &Locked, path: &Path) -> Result<(), Failure> {
    let main = &device.files.main;
    let size = device
        .disk()
        .stat(main)
        .map_err(|error| Failure::io(COPY, main, &error))?
        .map_or(0, |stat| stat.size);
    room_for(device, size, COPY)?;
    let file = make(device, locked, path).map_err(|error| Failure::io(COPY, path, &error))?;
    // Without content it would only be left lying there.
    let wal = side(main, "-wal");
    let wal_stays = device
        .disk()
        .stat(&wal)
        .map_err(|error| Failure::io(COPY, &wal, &error))?
        .is_some_and(|wal| wal.size > 0);
    let source = device.sqlite().share(COPY, main, wal_stays)?;
    let mut target = device.sqlite().build(COPY, path, size)?;
    let copied = source.back_up_into(COPY, &mut target, &device.wait());
    let closed = target.close(COPY).and(source.close(COPY));
    copied.and(closed).map_err(|failure| explain(device, failure, size))?;
    file.sync(COPY).map_err(|error| Failure::io(COPY, path, &error))
}

/// A copy must leave the reserve that every copy leaves.
///
/// # Errors
/// No space, or as `statvfs`.
pub fn room_for(device: &Device<'_>, size: u64, op: Op) -> Result<(), Failure> {
    room_for_copies(device, size, "a copy needs", op)
}

/// The same for a snapshot and the database that is then built from it.
///
/// # Errors
/// As [`room_for`].
pub(super) fn room_for_two(device: &Device<'_>, size: u64, op: Op) -> Result<(), Failure> {
    room_for_copies(
        device,
        size.saturating_mul(2),
        "a snapshot of it and the database that is built from that need",
        op,
    )
}

fn room_for_copies(device: &Device<'_>, size: u64, what: &str, op: Op) -> Result<(), Failure> {
    let space = device.space().map_err(|error| Failure::io(op, device.files.folder(), &error))?;
    let room = Room {
        available: space.available,
        total: space.total,
        size,
        reclaimable: 0,
        asked: 0,
        needed: None,
    };
    if room.fits(0) {
        return Ok(());
    }
    let cause = format!("{what} {} bytes free and {} are", room.for_a_copy(), room.available);
    Err(Failure::new(Class::NoSpace, op, cause).at(device.files.folder()).needs(room.for_a_copy()))
}

/// Makes an empty file that may take the database's name.
///
/// # Errors
/// As `open` and `chown`.
pub(super) fn make(device: &Device<'_>, locked: &Locked, path: &Path) -> io::Result<Box<dyn File>> {
    let file = device.disk().open(COPY, path, Open::CreateNew { mode: 0o600 })?;
    locked.give_attributes(device, COPY, &*file)?;
    Ok(file)
}

/// The version of a copy that is good.
///
/// # Errors
/// Damaged where it is none; else as the storage.
pub(super) fn whole(device: &Device<'_>, copy: &Path, op: Op) -> Result<i64, Failure> {
    good_copy(device, copy, None).map_err(|look| look.failure(op, copy, "it is no good copy"))
}

/// Version and operation come from what is in it.
///
/// # Errors
/// Damaged where it is no good copy; else as the storage.
pub(super) fn name_it(
    device: &Device<'_>,
    store: &RecordStore,
    (temporary, version): (&Path, i64),
    op: Op,
) -> Result<SnapshotName, Failure> {
    let operation = operation_in(device, temporary, op)?;
    let name = SnapshotName {
        version,
        operation: store.next_number(device)?.max(operation.saturating_add(1)),
    };
    let path = device.state.snapshot(&name);
    rename_durably(device.disk(), op, temporary, &path, Rename::NoReplace)
        .map_err(|error| Failure::io(op, &path, &error))?;
    Ok(name)
}

/// Of a snapshot this large nobody would know that it was checked. After it has its name: before,
/// the note could be taken for another's.
fn note_check(device: &Device<'_>, locked: &Locked, name: &SnapshotName) {
    let (disk, note) = (device.disk(), device.state.checked(name.operation));
    let noted = disk.stat(&device.state.snapshot(name)).and_then(|stat| {
        if stat.is_none_or(|stat| within_budget(device, stat.size)) {
            return Ok(());
        }
        write_new_durably(disk, COPY, &note, b"", locked.ownership.ids())
    });
    if let Err(error) = noted {
        log::warn!(
            "{}: it cannot be noted that this snapshot was checked: {error}; a later upgrade may \
             remove it.",
            device.settings.name
        );
    }
}

fn operation_in(device: &Device<'_>, copy: &Path, op: Op) -> Result<u64, Failure> {
    let database = device.sqlite().look_immutable(op, copy)?;
    let read = history::read(&database, op, &device.settings.history_table);
    database.close(op)?;
    Ok(read?.operation.unwrap_or(0))
}

/// Removes a copy that has no name yet, and what SQLite has left beside it.
///
/// # Errors
/// As `unlink` and `fsync`.
pub(super) fn remove(device: &Device<'_>, path: &Path) -> Result<(), Failure> {
    let names =
        [path.to_path_buf(), side(path, "-journal"), side(path, "-wal"), side(path, "-shm")];
    let names: Vec<_> = names.iter().map(PathBuf::as_path).collect();
    let removed = unlink_durably(device.disk(), COPY, &device.state.snapshots(), &names);
    removed.map(drop).map_err(|error| Failure::io(COPY, path, &error))
}
