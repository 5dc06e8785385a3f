//! Owns the place of a rehearsal: a copy of the live database, with its record and its snapshots, in a folder that is thrown away.
//! Promises: what a boot would find is there, damage too; the live database is only read, as an application reads it; a rehearsal
//!   that was cut off is removed by the next run.
//! Never leaves a name that a boot would trust.

use std::io;
use std::path::{Path, PathBuf};

use crate::device::disk::{make_folder_durably, unlink_durably, Disk, FileKind, Open, Stat, Step};
use crate::device::family::{side, Family, StateFolder};
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::steps::backup::{back_up, room_for};
use crate::steps::lock::Locked;
use crate::steps::swap::links_are_refused;
use crate::steps::sweep::remove_tree;

const STEP: Step = Step("rehearse");
/// Two slots: what of it is copied, so that the copy has the tries of the live one.
const RECORD_BYTES_MAX: usize = 8192;

/// A folder with a copy, removed when it is dropped.
pub struct Stage<'d> {
    device: &'d Device<'d>,
    /// The copy's main file; absent where the live one is.
    pub main: PathBuf,
}

/// Makes the copy.
///
/// # Errors
/// In use, no space, or storage.
pub fn stage<'d>(device: &'d Device<'d>, locked: &Locked) -> Result<Stage<'d>, Failure> {
    let disk = device.disk();
    let folder = device.state.rehearsal();
    let failed = |error: io::Error| Failure::io(STEP, &folder, &error);
    remove_tree(disk, &folder).map_err(failed)?;
    let stage = Stage { device, main: folder.join(device.family.file_name()) };
    let state = StateFolder::of(&Family { main: stage.main.clone() });
    make_folder_durably(disk, STEP, &folder, 0o700, locked.ownership.ids()).map_err(failed)?;
    let main = disk.stat(&device.family.main).map_err(failed)?;
    let snapshots = device.state.list_snapshots(disk).map_err(failed)?;
    if disk.stat(&device.state.record()).map_err(failed)?.is_some() || !snapshots.is_empty() {
        for made in [&folder.join(".bootmigrate"), &state.root] {
            make_folder_durably(disk, STEP, made, 0o700, locked.ownership.ids()).map_err(failed)?;
        }
    }
    if disk.stat(&device.state.record()).map_err(failed)?.is_some() {
        let record = disk.read(&device.state.record(), RECORD_BYTES_MAX).map_err(failed)?;
        let copy = disk.open(STEP, &state.record(), Open::CreateNew { mode: 0o600 }).map_err(failed)?;
        copy.write_at(STEP, 0, &record).map_err(failed)?;
    }
    if !snapshots.is_empty() {
        make_folder_durably(disk, STEP, &state.snapshots(), 0o700, locked.ownership.ids()).map_err(failed)?;
    }
    for name in snapshots {
        let snapshot = device.state.snapshot(&name);
        let found = disk.stat(&snapshot).map_err(failed)?;
        // One that is main's own file is swept away by a boot.
        let identity = |stat: &Stat| (stat.device, stat.inode);
        if found.as_ref().map(identity) != main.as_ref().map(identity) {
            second_name(device, &snapshot, &state.snapshot(&name))?;
        }
    }
    if main.is_some_and(|main| main.size > 0) {
        match back_up(device, locked, &stage.main) {
            Err(failure) if failure.class == Class::Damaged => as_it_lies(device, &stage.main)?,
            copied => copied?,
        }
    }
    Ok(stage)
}

/// Nobody writes into a snapshot: a boot copies it, or takes its name away.
fn second_name(device: &Device<'_>, from: &Path, to: &Path) -> Result<(), Failure> {
    match device.disk().link(STEP, from, to) {
        Err(error) if links_are_refused(&error) => copy(device, from, to),
        linked => linked.map_err(|error| Failure::io(STEP, to, &error)),
    }
}

/// Main and what stands beside it, byte for byte: SQLite copies no file that it does not take for a database.
fn as_it_lies(device: &Device<'_>, to: &Path) -> Result<(), Failure> {
    let disk = device.disk();
    unlink_durably(disk, STEP, &device.state.rehearsal(), &[to]).map_err(|error| Failure::io(STEP, to, &error))?;
    for suffix in ["", "-wal", "-journal"] {
        let from = side(&device.family.main, suffix);
        if disk.stat(&from).map_err(|error| Failure::io(STEP, &from, &error))?.is_some() {
            copy(device, &from, &side(to, suffix))?;
        }
    }
    Ok(())
}

fn copy(device: &Device<'_>, from: &Path, to: &Path) -> Result<(), Failure> {
    let disk = device.disk();
    let source = disk.open(STEP, from, Open::Read).map_err(|error| Failure::io(STEP, from, &error))?;
    room_for(device, source.stat().map_err(|error| Failure::io(STEP, from, &error))?.size, STEP)?;
    let made = disk.open(STEP, to, Open::CreateNew { mode: 0o600 }).and_then(|made| made.copy_from(STEP, &*source));
    made.map(drop).map_err(|error| Failure::io(STEP, to, &error))
}

impl Stage<'_> {
    /// Bytes of everything in the folder: the copy, and what the run made beside it.
    pub fn bytes(&self) -> u64 {
        bytes_below(self.device.disk(), &self.device.state.rehearsal())
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(self.device.disk(), &self.device.state.rehearsal()) {
            log::warn!("{}: the rehearsal is left for the next run to remove: {error}.", self.device.settings.name);
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
