//! Owns the snapshot: a copy of main, made under SQLite's own exclusive lock, of the bytes that
//! were just checked.
//! Promises: a power cut leaves garbage with a temporary name, or a whole copy under its own.
//! Never opens main again: the copy is made through the one descriptor.

use crate::device::disk::{rename_durably, Op, Open, Rename};
use crate::device::files::{MainFile, SnapshotName};
use crate::device::Device;
use crate::error::Failure;
use crate::ops::lock::Locked;
use crate::ops::prune::remove_snapshot;
use crate::ops::room::explain;

const COPY: Op = Op("copy the snapshot");
const NAME: Op = Op("name the snapshot");
const PRUNE: Op = Op("remove an older snapshot");

/// A whole copy of the database as it was, under its own name. Made only by [`snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyProof {
    /// Version and operation.
    pub name: SnapshotName,
}

/// The folder takes a snapshot from this user: one that does not would let every boot begin, and
/// end, an operation in the record.
///
/// # Errors
/// Storage, as `access`.
pub fn may_be_made(device: &Device<'_>) -> Result<(), Failure> {
    let folder = device.state.snapshots();
    device.disk().check_access(&folder).map_err(|error| Failure::io(COPY, &folder, &error))
}

/// Removes older snapshots, for the room that they have.
///
/// # Errors
/// As `unlink`.
pub fn remove_all(device: &Device<'_>, names: &[SnapshotName]) -> Result<(), Failure> {
    for name in names {
        remove_snapshot(device, PRUNE, name)
            .map_err(|error| Failure::io(PRUNE, &device.state.snapshot(name), &error))?;
    }
    Ok(())
}

/// Copies main to `snapshots/v{version}-{operation}.db`; `first_remove` goes before, to make room.
///
/// # Errors
/// No space, or storage; what was being made is removed.
pub fn snapshot(
    device: &Device<'_>,
    locked: &Locked,
    main: &MainFile,
    name: SnapshotName,
    first_remove: &[SnapshotName],
) -> Result<CopyProof, Failure> {
    let disk = device.disk();
    remove_all(device, first_remove)?;
    let temporary = device.state.snapshots().join(format!("tmp-{}.db", name.operation));
    let copy = || {
        let file = disk.open(COPY, &temporary, Open::CreateNew { mode: 0o600 })?;
        locked.give_attributes(device, COPY, &*file)?;
        file.copy_from(COPY, &*main.file, &device.environment.stop)?;
        file.sync(COPY)
    };
    let made = copy().and_then(|()| {
        rename_durably(disk, NAME, &temporary, &device.state.snapshot(&name), Rename::Replace)
    });
    match made {
        Ok(()) => Ok(CopyProof { name }),
        Err(error) => {
            let _ = disk.unlink(COPY, &temporary);
            Err(explain(
                device,
                Failure::io(COPY, &device.state.snapshots(), &error),
                main.file.stat().map_or(main.stat.size, |now| now.size),
            ))
        }
    }
}
