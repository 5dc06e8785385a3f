//! Owns the question what there was too little of: bytes, inodes or a quota; and the list of what
//! bootmigrate itself keeps.
//! Promises: bytes are called short, and remembered, only where the file system itself shows fewer
//! free than were needed.
//! Never takes SQLite's "full" for the disk's: SQLite says it of its own limits too, and hides a
//! quota behind an I/O error.

use std::io;

use crate::decide::facts::OwnCopies;
use crate::device::disk::{FileKind, Op, Open, Space};
use crate::device::files::SnapshotName;
use crate::device::Device;
use crate::error::{Class, Failure, Lack};

const PROBE: Op = Op("ask the file system for room");

/// A migration that rewrites every page writes the file once more, and once its journal.
const WRITES_OF_A_MIGRATION: u64 = 2;
/// Tables that a migration of a small file brings along.
const LEAST_BYTES: u64 = 1 << 20;
/// At least this much more must be free before another try: on a small partition with little beside
/// a small file more may never be.
const MORE_BYTES: u64 = 1 << 16;
/// One try needs a copy, a journal, a temporary file and the folder of a replaced database with its
/// note: fewer free inodes than that.
const INODES_FEW: u64 = 6;
/// Written to a file that is made to see whether one can be.
const BLOCK_BYTES: usize = 1 << 16;
/// `SQLITE_FULL`, `SQLITE_CANTOPEN`: of the second, SQLite's own second attempt has overwritten the
/// system's error.
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
/// `SQLITE_IOERR_WRITE`, `SQLITE_IOERR_FSYNC`, `SQLITE_IOERR_SHMSIZE`.
const REFUSED_WRITES: [i32; 3] = [778, 1034, 4874];

/// Bytes that a migration of a file of this size may write.
pub fn may_write(size: u64) -> u64 {
    size.saturating_mul(WRITES_OF_A_MIGRATION).saturating_add(LEAST_BYTES)
}

/// [`explain`], of a command that may have needed another copy.
pub fn explained(device: &Device<'_>, failure: Failure) -> Failure {
    let size = device.disk().stat(&device.files.main).ok().flatten().map_or(0, |main| main.size);
    explain(device, failure, size)
}

/// Says of a failure what there was too little of. `wanted`: bytes that the op may have needed
/// beside what is there now.
pub fn explain(device: &Device<'_>, mut failure: Failure, wanted: u64) -> Failure {
    if failure.class == Class::Storage && failure.sqlite_code.is_some_and(may_hide_a_lack) {
        match probe(device) {
            Err(error) if is_full(&error) => {
                let quota = error.kind() == io::ErrorKind::QuotaExceeded;
                (failure.class, failure.lack) = (Class::NoSpace, quota.then_some(Lack::Quota));
            }
            _ => return failure,
        }
    }
    if failure.class != Class::NoSpace || failure.bytes_needed.is_some() || failure.lack.is_some() {
        return failure;
    }
    let Ok(space) = device.space() else { return failure };
    let size = device.disk().stat(&device.files.main).ok().flatten().map_or(0, |main| main.size);
    let by_sqlite = failure.sqlite_code.is_some_and(|code| code & 0xff == FULL);
    match failure.size_limit {
        // The limit would have been reached before the disk was full.
        Some(limit) if by_sqlite && limit.saturating_sub(size) < space.available => {
            return failure.of_its_limit();
        }
        _ if space.is_known() && space.available < wanted => {
            failure.lack = Some(if space.inodes == Some(0) { Lack::Inodes } else { Lack::Bytes });
            if failure.lack == Some(Lack::Bytes) {
                failure = failure.needs(more_than_now(&space, size));
            }
        }
        _ if space.inodes.is_some_and(|inodes| inodes < INODES_FEW) => {
            failure.lack = Some(Lack::Inodes)
        }
        _ => {}
    }
    failure
}

/// [`explain`], where what was written is taken back by `take_back` and would hide the lack. What
/// must be free is more than is free after that: it was too little.
pub fn explain_before(
    device: &Device<'_>,
    failure: Failure,
    wanted: u64,
    take_back: impl FnOnce(),
) -> Failure {
    let was_known = failure.bytes_needed.is_some();
    let failure = explain(device, failure, wanted);
    take_back();
    if was_known || failure.lack != Some(Lack::Bytes) {
        return failure;
    }
    let Ok(space) = device.space() else { return failure };
    let size = device.disk().stat(&device.files.main).ok().flatten().map_or(0, |main| main.size);
    failure.needs(more_than_now(&space, size))
}

/// More than there is, or each boot would try again.
fn more_than_now(space: &Space, size: u64) -> u64 {
    let wished = space.available.saturating_add((size / 10).max(MORE_BYTES));
    within_reach(wished, space, size).max(space.available.saturating_add(1))
}

/// Never more than this file system can have beside the database, of which some is taken by
/// whatever else lies there: a number that is never reached would keep every boot from trying
/// again.
fn within_reach(bytes: u64, space: &Space, size: u64) -> u64 {
    bytes.min(space.total.saturating_sub(size) / 8 * 7)
}

/// A copy of this many bytes did not fit: less than that is not worth a try.
pub fn for_a_copy_of(device: &Device<'_>, failure: Failure, bytes: u64) -> Failure {
    let (Some(Lack::Bytes), Some(needed), Ok(space)) =
        (failure.lack, failure.bytes_needed, device.space())
    else {
        return failure;
    };
    let copy = bytes.saturating_add(MORE_BYTES);
    if space.available >= copy {
        return failure;
    }
    let size = device.disk().stat(&device.files.main).ok().flatten().map_or(0, |main| main.size);
    failure.needs(within_reach(copy, &space, size).max(needed))
}

/// A write that the operating system refused may have been refused for a quota; of what cannot be
/// opened nothing is known.
fn may_hide_a_lack(code: i32) -> bool {
    code & 0xff == CANNOT_OPEN || REFUSED_WRITES.contains(&code)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes a file of ours, which goes again: the kernel's own answer.
fn probe(device: &Device<'_>) -> io::Result<()> {
    let disk = device.disk();
    // A name that every boot sweeps away.
    let path = device.state.root.join("staging-probe");
    let file = disk.open(PROBE, &path, Open::CreateNew { mode: 0o600 })?;
    let written = file.write_at(PROBE, 0, &vec![0; BLOCK_BYTES]);
    drop(file);
    disk.unlink(PROBE, &path)?;
    written
}

/// What an operator may remove, each with its bytes: databases in quarantine, then these snapshots.
///
/// # Errors
/// As `readdir` and `lstat`.
pub fn kept(device: &Device<'_>, snapshots: &[SnapshotName]) -> io::Result<Vec<OwnCopies>> {
    let disk = device.disk();
    let bytes_of = |path: &std::path::Path| -> io::Result<u64> {
        // A second name of it elsewhere would keep its bytes.
        Ok(disk.stat(path)?.filter(|stat| stat.links == 1).map_or(0, |stat| stat.size))
    };
    let mut kept = Vec::new();
    for operation in device.state.list_quarantine(disk)? {
        let folder = device.state.quarantined(operation);
        // Whatever else has such a name is not a copy of ours.
        if disk.stat(&folder)?.is_none_or(|stat| stat.kind != FileKind::Folder) {
            continue;
        }
        let mut bytes = 0u64;
        for name in disk.list(&folder)? {
            bytes = bytes.saturating_add(bytes_of(&folder.join(name))?);
        }
        let remove = format!(
            "bootmigrate quarantine delete {operation} --db {} --yes",
            device.settings.name
        );
        kept.push(OwnCopies {
            path: folder.display().to_string(),
            bytes,
            quarantined: true,
            remove,
        });
    }
    for name in snapshots {
        let path = device.state.snapshot(name);
        let (bytes, path) = (bytes_of(&path)?, path.display().to_string());
        kept.push(OwnCopies { bytes, remove: format!("rm {path}"), path, quarantined: false });
    }
    kept.retain(|kept| kept.bytes > 0);
    Ok(kept)
}
