//! Owns the kernel's mount table: what is mounted at a path.
//! Promises: a folder that a sandbox mounted on itself is told from the partition that belongs
//! there.
//! Never mounts, and never looks outside `/proc`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::device::disk::Disk;

/// Bytes of the table that are read at most.
const TABLE_BYTES_MAX: usize = 1 << 20;

/// What a mount point shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounted {
    /// Something else than what lies below it: a partition.
    Another,
    /// What would be seen there without it. systemd's ReadWritePaths= and StateDirectory= do that
    /// to make a folder writable; a rename over it is refused all the same.
    Itself,
}

/// The kernel's table of mounts.
const TABLE: &str = "/proc/self/mountinfo";

/// The table as text.
///
/// # Errors
/// It cannot be read: in a chroot without its `/proc` nobody can say what is mounted.
pub fn table(disk: &dyn Disk) -> io::Result<String> {
    let table = disk.read(Path::new(TABLE), TABLE_BYTES_MAX)?;
    Ok(String::from_utf8_lossy(&table).into_owned())
}

/// Why a partition that must be there is taken for missing.
#[derive(Debug)]
pub enum MissingMount {
    /// Nothing is mounted there, or the folder on itself.
    NotMounted(PathBuf),
    /// There is no table to look in: a root of its own (chroot) without its `/proc`.
    Unseen(PathBuf, io::Error),
}

impl fmt::Display for MissingMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MissingMount::NotMounted(path) => write!(f, "{} is not mounted", path.display()),
            MissingMount::Unseen(path, error) => {
                write!(
                    f,
                    "whether {} is mounted cannot be seen without /proc ({TABLE}: {error})",
                    path.display()
                )
            }
        }
    }
}

/// What is mounted at this path; `None` where it is no mount point, or where there is no table.
pub fn mounted(disk: &dyn Disk, path: &Path) -> Option<Mounted> {
    let table = table(disk).unwrap_or_default();
    let mounts: Vec<MountLine> = table.lines().filter_map(MountLine::read).collect();
    let below = |mount: &MountLine| {
        mounts.iter().find(|other| other.id == mount.parent && other.id != mount.id)
    };
    let mut here = mounts.iter().filter(|mount| mount.point == path).peekable();
    here.peek()?;
    let itself =
        here.all(|mount| below(mount).is_some_and(|below| mount.shows_what_is_below(below)));
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
        Some(MountLine {
            id: next()?,
            parent: next()?,
            device: next()?,
            shown: next()?.into(),
            point: next()?.into(),
        })
    }

    /// The same folder of the same file system that would be seen here without this mount.
    fn shows_what_is_below(&self, below: &MountLine) -> bool {
        let Ok(rest) = self.point.strip_prefix(&below.point) else { return false };
        self.device == below.device && self.shown == below.shown.join(rest)
    }
}
