//! Owns the place of a rehearsal: a copy of the live database, with its record and its snapshots,
//! in a folder that is thrown away.
//! Promises: damage is copied as it lies; the live database is only read, as an application reads
//! it; room is asked for before it is used, for applications run; a rehearsal that was cut off is
//! removed by the next run.
//! Never leaves a name that a boot would trust.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::device::disk::{
    make_folder_durably, parent, read_own_start, Disk, FileKind, Op, Open, Stat,
};
use crate::device::files::{side, DatabaseFiles, SnapshotName, StateFolder};
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::backup::{back_up, room_for};
use crate::ops::lock::Locked;
use crate::ops::room::explained;
use crate::ops::swap::links_are_refused;

const OP: Op = Op("rehearse");
/// What is copied of the record, whose two slots are that long, and of a scrub's note: the copy has
/// the tries of the live one, and what there is to look for.
const FILE_BYTES_MAX: usize = 8192;
/// Copies of a file into which somebody writes.
const COPIES_MAX: u32 = 3;

/// A folder with a copy, removed when it is dropped.
pub struct Stage<'d> {
    device: &'d Device<'d>,
    /// The copy's main file; absent where the live one is.
    pub main: PathBuf,
}

/// What the next boot finds, and will do.
pub struct NextBoot {
    /// It is damaged, lost or empty, and must be so on the copy: SQLite would copy a part of it, or
    /// nothing.
    pub as_it_lies: bool,
    /// The snapshot that takes its place; where links are refused, no other one is copied.
    pub snapshot: Option<SnapshotName>,
    /// A database as large as it is made beside it, and no plan has asked for the room.
    pub another: bool,
}

/// Makes the copy.
///
/// # Errors
/// In use, no space, or storage.
pub fn stage<'d>(
    device: &'d Device<'d>,
    locked: &Locked,
    next: &NextBoot,
) -> Result<Stage<'d>, Failure> {
    let disk = device.disk();
    let folder = device.state.rehearsal();
    let failed = |error: io::Error| Failure::io(OP, &folder, &error);
    disk.remove_tree(OP, &folder, &device.environment.stop).map_err(failed)?;
    let main = disk.stat(&device.files.main).map_err(failed)?;
    let size =
        |path: &Path| disk.stat(path).map(|stat| stat.map_or(0, |stat| stat.size)).map_err(failed);
    let beside = match &next.snapshot {
        Some(name) => size(&device.state.snapshot(name))?,
        None if next.another => size(&device.files.main)?,
        None => 0,
    };
    if beside > 0 {
        // At the boot no application is there to miss it.
        room_for(device, size(&device.files.main)?.saturating_add(beside), OP)?;
    }
    let stage = Stage { device, main: folder.join(device.files.file_name()) };
    // What there was too little of, before it is given back.
    fill(device, locked, next, &stage, main).map_err(|failure| explained(device, failure))?;
    Ok(stage)
}

/// Copies what a boot would meet.
fn fill(
    device: &Device<'_>,
    locked: &Locked,
    next: &NextBoot,
    stage: &Stage<'_>,
    main: Option<Stat>,
) -> Result<(), Failure> {
    let disk = device.disk();
    let folder = parent(&stage.main);
    let failed = |error: io::Error| Failure::io(OP, folder, &error);
    let copy = StateFolder::of(&DatabaseFiles { main: stage.main.clone() });
    let folders =
        [folder.to_owned(), folder.join(".bootmigrate"), copy.root.clone(), copy.snapshots()];
    for made in &folders {
        make_folder_durably(disk, OP, made, 0o700, locked.ownership.ids()).map_err(failed)?;
    }
    for (from, to) in [(device.state.record(), copy.record()), (device.state.scrub(), copy.scrub())]
    {
        if disk.stat(&from).map_err(failed)?.is_some() {
            let bytes = read_own_start(disk, OP, &from, FILE_BYTES_MAX).map_err(failed)?;
            let made = disk.open(OP, &to, Open::CreateNew { mode: 0o600 }).map_err(failed)?;
            made.write_at(OP, 0, &bytes).map_err(failed)?;
        }
    }
    for name in device.state.list_snapshots(disk).map_err(failed)? {
        let snapshot = device.state.snapshot(&name);
        let found = disk.stat(&snapshot).map_err(failed)?;
        // One that is main's own file is swept away by a boot.
        let identity = |stat: &Stat| (stat.device, stat.inode);
        if found.as_ref().map(identity) != main.as_ref().map(identity) {
            second_name(
                device,
                &snapshot,
                &copy.snapshot(&name),
                next.snapshot.as_ref() == Some(&name),
            )?;
        }
    }
    if next.as_it_lies {
        return as_it_lies(device, &stage.main);
    }
    match back_up(device, locked, &stage.main) {
        Err(failure) if failure.class == Class::Damaged => as_it_lies(device, &stage.main),
        copied => copied,
    }
}

/// Nobody writes into a snapshot: a boot copies it, or takes its name away.
fn second_name(device: &Device<'_>, from: &Path, to: &Path, needed: bool) -> Result<(), Failure> {
    match device.disk().link(OP, from, to) {
        Err(error) if links_are_refused(&error) && needed => {
            let size = device
                .disk()
                .stat(from)
                .map_err(|error| Failure::io(OP, from, &error))?
                .map_or(0, |stat| stat.size);
            room_for(device, size, OP)?;
            copy(device, from, to).map_err(|error| Failure::io(OP, to, &error))
        }
        Err(error) if links_are_refused(&error) => Ok(()),
        linked => linked.map_err(|error| Failure::io(OP, to, &error)),
    }
}

/// Main and what stands beside it, byte for byte, of one instant.
fn as_it_lies(device: &Device<'_>, to: &Path) -> Result<(), Failure> {
    copy_as_it_lies(device, to, &|bytes| room_for(device, bytes, OP), &mut |from, to| {
        copy(device, from, to)
    })
}

/// Copies one file to a name that is not there.
pub type CopyFile<'c> = dyn FnMut(&Path, &Path) -> io::Result<()> + 'c;

/// The same to another place; `room` is asked before each try.
///
/// # Errors
/// In use where somebody writes whenever it is copied; else as `room`, `copied` and the storage.
pub fn copy_as_it_lies(
    device: &Device<'_>,
    to: &Path,
    room: &dyn Fn(u64) -> Result<(), Failure>,
    copied: &mut CopyFile<'_>,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io(OP, &device.files.main, &error);
    let look =
        || device.files.look(device.disk()).map(|files| [files.main, files.wal, files.journal]);
    for _ in 0..COPIES_MAX {
        let before = look().map_err(failed)?;
        room(before.iter().flatten().map(|stat| stat.size).sum())?;
        for (suffix, stat) in ["", "-wal", "-journal"].iter().zip(&before) {
            let (from, to) = (side(&device.files.main, suffix), side(to, suffix));
            remove_copy(device, &to).map_err(failed)?;
            match stat.map_or(Ok(()), |_| copied(&from, &to)) {
                // An application has ended its transaction: the next look sees it.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
                    ) => {}
                done => done.map_err(failed)?,
            }
        }
        if look().map_err(failed)? == before {
            return Ok(());
        }
    }
    Err(Failure::new(Class::InUse, OP, "somebody writes into it whenever it is copied")
        .at(&device.files.main))
}

/// Takes a copy that is not whole away.
///
/// # Errors
/// As `unlink`.
pub fn remove_copy(device: &Device<'_>, path: &Path) -> io::Result<()> {
    match device.disk().unlink(OP, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Copies one file to a name that is not there.
///
/// # Errors
/// As the storage; interrupted.
pub fn copy(device: &Device<'_>, from: &Path, to: &Path) -> io::Result<()> {
    let source = device.disk().open(OP, from, Open::Read)?;
    device
        .disk()
        .open(OP, to, Open::CreateNew { mode: 0o600 })?
        .copy_from(OP, &*source, &device.environment.stop)
        .map(drop)
}

impl Stage<'_> {
    /// Bytes of everything in the folder: the copy, and what the run made beside it.
    pub fn bytes(&self) -> u64 {
        bytes_below(self.device.disk(), &self.device.state.rehearsal())
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let folder = self.device.state.rehearsal();
        // A stop signal ends a rehearsal, and what it has made goes nevertheless.
        let to_the_end = AtomicBool::new(false);
        if let Err(error) = self.device.disk().remove_tree(OP, &folder, &to_the_end) {
            log::warn!(
                "{}: the rehearsal is left for the next run to remove: {error}.",
                self.device.settings.name
            );
        }
    }
}

fn bytes_below(disk: &dyn Disk, folder: &Path) -> u64 {
    let names = disk.list(folder).unwrap_or_default();
    names.iter().fold(0, |sum: u64, name| {
        let path = folder.join(name);
        sum.saturating_add(match disk.stat(&path).ok().flatten() {
            Some(stat) if stat.kind == FileKind::Folder => bytes_below(disk, &path),
            // A snapshot of the live one has a second name here, and takes no room for it.
            Some(stat) if stat.links == 1 => stat.size,
            Some(_) | None => 0,
        })
    })
}
