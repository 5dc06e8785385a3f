//! Owns writing a file that an operator asked for, outside everything that is ours.
//! Promises: whole and synced, or not there; readable by its owner alone.
//! Never overwrites.

use std::path::Path;

use crate::device::disk::{write_new_durably, Disk, Op};
use crate::error::Failure;

const OP: Op = Op("write the file");

/// Writes a new file.
///
/// # Errors
/// As `open`, `write` and `fsync`; what was begun is removed.
pub fn export(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    match write_new_durably(disk, OP, path, bytes, None) {
        Ok(()) => Ok(()),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::AlreadyExists {
                let _ = disk.unlink(OP, path);
            }
            Err(Failure::io(OP, path, &error))
        }
    }
}
