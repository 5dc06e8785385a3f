//! Owns the kernel's mount table: what is mounted at a path.
//! Promises: a folder that a sandbox mounted on itself is told from the partition that belongs there.
//! Never mounts, and never looks outside `/proc`.

use std::path::{Path, PathBuf};

use crate::device::disk::Disk;

/// Bytes of the table that are read at most.
const TABLE_BYTES_MAX: usize = 1 << 20;

/// What a mount point shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounted {
    /// Something else than what lies below it: a partition.
    Another,
    /// What would be seen there without it. systemd's ReadWritePaths= and StateDirectory= do that to make a folder writable;
    /// a rename over it is refused all the same.
    Itself,
}

/// What is mounted at this path; `None` where it is no mount point.
pub fn mounted(disk: &dyn Disk, path: &Path) -> Option<Mounted> {
    let table = disk.read(Path::new("/proc/self/mountinfo"), TABLE_BYTES_MAX).unwrap_or_default();
    let table = String::from_utf8_lossy(&table);
    let mounts: Vec<MountLine> = table.lines().filter_map(MountLine::read).collect();
    let below = |mount: &MountLine| mounts.iter().find(|other| other.id == mount.parent && other.id != mount.id);
    let mut here = mounts.iter().filter(|mount| mount.point == path).peekable();
    here.peek()?;
    let itself = here.all(|mount| below(mount).is_some_and(|below| mount.shows_what_is_below(below)));
    Some(if itself { Mounted::Itself } else { Mounted::Another })
}

/// One line of the table.
struct MountLine {
    id: String,
    parent: String,
    /// major:minor
    device: String,
    /// The folder of the file system that is shown.
    shown: PathBuf,
    point: PathBuf,
}

impl MountLine {
    fn read(line: &str) -> Option<MountLine> {
        let mut fields = line.split(' ');
        let mut next = || fields.next().map(|field| field.replace("\\040", " "));
        Some(MountLine { id: next()?, parent: next()?, device: next()?, shown: next()?.into(), point: next()?.into() })
    }

    /// The same folder of the same file system that would be seen here without this mount.
    fn shows_what_is_below(&self, below: &MountLine) -> bool {
        let Ok(rest) = self.point.strip_prefix(&below.point) else { return false };
        self.device == below.device && self.shown == below.shown.join(rest)
    }
}
