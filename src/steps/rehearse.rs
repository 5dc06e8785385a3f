//! Owns the place of a rehearsal: a copy of the live database, with its record, in a folder that is thrown away.
//! Promises: the live database is only read, as an application reads it; a rehearsal that was cut off is removed by the next run.
//! Never leaves a name that a boot would trust.

use std::path::{Path, PathBuf};

use crate::device::disk::{make_folder_durably, Disk, FileKind, Open, Step};
use crate::device::family::{Family, StateFolder};
use crate::device::Device;
use crate::error::Failure;
use crate::steps::backup::back_up;
use crate::steps::lock::Locked;
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
    let failed = |error: std::io::Error| Failure::io(STEP, &folder, &error);
    remove_tree(disk, &folder).map_err(failed)?;
    let stage = Stage { device, main: folder.join(device.family.file_name()) };
    let state = StateFolder::of(&Family { main: stage.main.clone() });
    make_folder_durably(disk, STEP, &folder, 0o700, locked.ownership.ids()).map_err(failed)?;
    if disk.stat(&device.state.record()).map_err(failed)?.is_some() {
        for made in [&folder.join(".bootmigrate"), &state.root] {
            make_folder_durably(disk, STEP, made, 0o700, locked.ownership.ids()).map_err(failed)?;
        }
        let record = disk.read(&device.state.record(), RECORD_BYTES_MAX).map_err(failed)?;
        let copy = disk.open(STEP, &state.record(), Open::CreateNew { mode: 0o600 }).map_err(failed)?;
        copy.write_at(STEP, 0, &record).map_err(failed)?;
    }
    if disk.stat(&device.family.main).map_err(failed)?.is_some_and(|main| main.size > 0) {
        back_up(device, locked, &stage.main)?;
    }
    Ok(stage)
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
            Some(stat) => stat.size,
            None => 0,
        })
    })
}
