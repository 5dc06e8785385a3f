//! Owns the words for what keeps this user from the state folder and its lock.
//! Promises: the file or the folder that is meant is named, with its owner and mode and who may
//! not.
//! Never opens anything.

use std::path::Path;

use crate::device::disk::FileKind;
use crate::device::Device;

/// What refused `path`: itself, or the folder in which it, or the first folder that is missing on
/// the way to it, was to be made.
pub(super) fn refused(device: &Device<'_>, path: &Path) -> String {
    let us = rustix::process::geteuid().as_raw();
    let known = |path: &Path| device.disk().stat(path).ok().flatten();
    for meant in path.ancestors() {
        let Some(stat) = known(meant) else { continue };
        let what = if stat.kind == FileKind::File { "read and write" } else { "write in" };
        return format!(
            "uid {us} may not {what} {} (owner {}:{}, mode {:04o})",
            meant.display(),
            stat.uid,
            stat.gid,
            stat.mode
        );
    }
    format!("uid {us} may not write in {}", device.files.folder().display())
}
