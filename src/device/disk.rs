//! Owns every effect on our own files: the trait [`Disk`] (a dozen primitive verbs) and
//! [`SystemDisk`], the real one.
//! Promises: each mutating call names its [`Op`]; the durable verbs below the trait say what
//! survives a power cut.
//! Never decides whether; never opens a database file through any path but [`Disk::open`].

mod anchor;
mod extended;
mod folders;
mod lease;
mod made;
mod remove;
mod rights;
mod super_journal;
mod system;
mod walk;
mod written;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::progress;
pub use crate::error::kind::{FileKind, Untrusted, Why, WrongKind};
pub use crate::error::Op;
pub use anchor::{Anchor, Anchoring, Inode};
pub use extended::Extended;
pub use made::{make_folder, make_folder_durably, write_new_durably};
pub use rights::{Owned, Rights, UserAndGroup};
pub use system::SystemDisk;

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 16;

/// What `lstat` says. Device and inode are never identity across boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// File, folder, link or other.
    pub kind: FileKind,
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// How many names it has.
    pub links: u64,
    /// Bytes.
    pub size: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Nanoseconds since 1970; compared, or shown to a person: nothing is decided by the time.
    pub modified_ns: i128,
    /// Nanoseconds since 1970; compared, never trusted as a time.
    pub changed_ns: i128,
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that an unprivileged writer may still use; `u64::MAX` where the file system does not
    /// say.
    pub available: u64,
    /// Bytes of the whole file system; 0 where it does not say.
    pub total: u64,
    /// Files that can still be made; `None` where the file system does not say.
    pub inodes: Option<u64>,
    /// Mounted read-only.
    pub read_only: bool,
}

impl Space {
    /// From `statvfs`: 0 blocks of 0 are what a file system answers that does not know (FUSE, 9p).
    pub fn of(
        block: u64,
        (blocks, available): (u64, u64),
        (inodes, free_inodes): (u64, u64),
        read_only: bool,
    ) -> Space {
        Space {
            available: if blocks > 0 { available.saturating_mul(block) } else { u64::MAX },
            total: blocks.saturating_mul(block),
            inodes: (inodes > 0).then_some(free_inodes),
            read_only,
        }
    }

    /// The file system says how many bytes are free.
    pub fn is_known(&self) -> bool {
        self.total > 0
    }
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// Must exist; read only.
    Read,
    /// Must exist; read and write.
    ReadWrite,
    /// Must not exist; made with this mode.
    CreateNew {
        /// Permission bits.
        mode: u32,
    },
    /// Made where absent, with this mode; read and write.
    Create {
        /// Permission bits.
        mode: u32,
    },
}

/// What a rename does to a name that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rename {
    /// Takes its place.
    Replace,
    /// Fails with `AlreadyExists`.
    NoReplace,
}

/// What the kernel says of a write lease (`F_SETLEASE`, `F_GETLEASE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Held: nobody else has the file open.
    Held,
    /// Refused or broken: somebody has it open, or waits to open it.
    Busy,
    /// Not the file's owner and no CAP_LEASE.
    Denied,
    /// This file system has no leases.
    Unsupported,
}

/// An open file of ours. Closed on drop. All offsets and lengths are bytes.
pub trait File {
    /// Reads at `offset`; fewer bytes than asked for only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`. Not durable before [`File::sync`] or [`File::sync_data`].
    fn write_at(&self, op: Op, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// `fsync`: after return the file's content and size survive a power cut (its name may not).
    fn sync(&self, op: Op) -> io::Result<()>;
    /// `fdatasync`: as [`File::sync`], without times.
    fn sync_data(&self, op: Op) -> io::Result<()>;
    /// What `fstat` says.
    fn stat(&self) -> io::Result<Stat>;
    /// What it said when the file was opened.
    fn stat_when_opened(&self) -> io::Result<Stat> {
        self.stat()
    }
    /// Fills this (empty) file with the content of `source` (`copy_file_range`, so that a file
    /// system can share blocks); `Interrupted` where `stop` is raised meanwhile.
    fn copy_from(&self, op: Op, source: &dyn File, stop: &AtomicBool) -> io::Result<u64>;
    /// Gives this file these extended attributes and no others, as far as the kernel lets us; after
    /// [`File::take_owner`].
    fn set_extended(&self, _op: Op, _wanted: &[Extended]) -> io::Result<()> {
        Ok(())
    }
    /// Owner, group and permission bits of a file of ours.
    fn take_owner(&self, op: Op, uid: u32, gid: u32, mode: u32) -> io::Result<()>;
    /// Asks for a write lease and keeps it when [`Lease::Held`] comes back.
    fn lease(&self) -> io::Result<Lease>;
    /// Is the lease that [`File::lease`] gave still whole?
    fn lease_state(&self) -> io::Result<Lease>;
    /// Releases the lease.
    fn release_lease(&self) -> io::Result<()>;
    /// `flock`, exclusive, without waiting: `false` where another process holds it. Held until the
    /// file is dropped.
    fn try_lock(&self) -> io::Result<bool>;
    /// Its descriptor; `None` of a file that is none of the system's.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// For the implementations alone: lets [`File::copy_from`] see the other descriptor.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// The storage as our own code sees it: primitive verbs, each one system call (or one loop of the
/// same call).
///
/// The lab implements it together with SQLite's VFS over one simulated device.
pub trait Disk {
    /// `lstat`; `None` where nothing has this name.
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>>;
    /// Walks to this folder, for calls that follow; `false` where it is absent.
    fn walk_to(&self, folder: &Path) -> io::Result<bool> {
        Ok(self.stat(folder)?.is_some())
    }
    /// What was mounted over this folder, or over one above it, since it was walked to counts.
    fn walk_anew(&self, _folder: &Path) {}
    /// Work on a database in this folder begins: as [`Disk::walk_anew`], but for the first one of a
    /// run, before which nothing took any time.
    fn begin_in(&self, folder: &Path) {
        self.walk_anew(folder);
    }
    /// From now on what lies at these places is made, opened, renamed and removed with the rights
    /// of their owner alone, where it and its folder are his. What is open already is not asked for
    /// rights again.
    fn act_for(&self, _owned: Owned) {}
    /// Names in a folder, sorted; empty where the folder is absent.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// The first bytes of a file, at most `max`; links are followed. Never of a live database: see
    /// [`Disk::open`]. [`WrongKind`] where it is no regular file.
    fn read_start(&self, path: &Path, max: usize) -> io::Result<Vec<u8>>;
    /// All of a small file; `InvalidData` where it has more than `max` bytes: a part is never taken
    /// for the whole.
    fn read(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        no_longer_than(max, self.read_start(path, max.saturating_add(1))?)
    }
    /// This process may read and write the file, as far as owner, mode and lists of access say;
    /// looked at without opening it, because closing a descriptor would drop locks. A disk without
    /// users refuses nobody.
    fn check_access(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
    /// This process may write everybody's files: what others have put in its way is looked at more
    /// closely.
    fn is_root(&self) -> bool {
        false
    }
    /// The file system there keeps owners and modes. FAT and its kind show the same ones for
    /// everything, and have no second names or links.
    fn keeps_modes(&self, _path: &Path) -> bool {
        true
    }
    /// The extended attributes of the file with this name, as far as the kernel shows them.
    fn extended(&self, _path: &Path) -> Vec<Extended> {
        Vec::new()
    }
    /// Room where `path` lies.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// The path with every symbolic link followed; `NotFound` where one dangles, [`Untrusted`]
    /// where somebody else may have put it there.
    fn resolve(&self, path: &Path) -> io::Result<std::path::PathBuf>;
    /// Opens or makes a file, without waiting and without following a link: [`WrongKind`] where the
    /// name is that of no regular file, `WouldBlock` where another process holds a lease, which it
    /// now has to release. Made files are not durable before [`File::sync`] and
    /// [`Disk::sync_folder`].
    fn open(&self, op: Op, path: &Path, how: Open) -> io::Result<Box<dyn File>>;
    /// Makes a folder; `AlreadyExists` where the name is taken.
    fn make_folder(&self, op: Op, path: &Path, mode: u32) -> io::Result<()>;
    /// Gives a folder that this process has just made to an owner.
    fn set_owner(&self, op: Op, path: &Path, uid: u32, gid: u32) -> io::Result<()>;
    /// Renames. Durable only after [`Disk::sync_folder`] of both folders.
    fn rename(&self, op: Op, from: &Path, to: &Path, how: Rename) -> io::Result<()>;
    /// A second name for the same file. Durable only after [`Disk::sync_folder`].
    fn link(&self, op: Op, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a file's name away. Durable only after [`Disk::sync_folder`].
    fn unlink(&self, op: Op, path: &Path) -> io::Result<()>;
    /// Takes an empty folder away.
    fn remove_folder(&self, op: Op, path: &Path) -> io::Result<()>;
    /// Takes a folder of ours away with everything in it, and a link or a file in its place;
    /// nothing where it is absent. `Interrupted` where `stop` is raised meanwhile.
    fn remove_tree(&self, op: Op, folder: &Path, stop: &AtomicBool) -> io::Result<()> {
        match self.stat(folder)?.map(|stat| stat.kind) {
            Some(FileKind::Folder) => {}
            // A link leads to what is not ours to empty.
            Some(_) => return self.unlink(op, folder),
            None => return Ok(()),
        }
        for name in self.list(folder)? {
            go_on(stop)?;
            self.remove_tree(op, &folder.join(name), stop)?;
        }
        self.remove_folder(op, folder)
    }
    /// `fsync` of a folder: its entries survive a power cut.
    fn sync_folder(&self, op: Op, path: &Path) -> io::Result<()>;
    /// Bytes that this process has sent to storage; 0 where nobody counts.
    fn bytes_written(&self) -> u64 {
        0
    }
    /// Somebody counts [`Disk::bytes_written`].
    fn counts_bytes_written(&self) -> bool {
        false
    }
    /// Other processes that have this file open, as `name (pid)`; as far as this process may see
    /// them.
    fn openers(&self, _path: &Path) -> Vec<String> {
        Vec::new()
    }
}

/// Puts `new` in place of `old` (or under a name that nothing has). After return a power cut leaves
/// `new`; during the call one of the two, whole.
///
/// # Errors
/// Nothing was renamed, or the rename is not known to be durable: the caller discards what it was
/// building.
pub fn rename_durably(
    disk: &dyn Disk,
    op: Op,
    new: &Path,
    old: &Path,
    how: Rename,
) -> io::Result<()> {
    disk.rename(op, new, old, how)?;
    sync_parents(disk, op, new, old)
}

/// Makes both folders' entries durable; once where they are the same folder.
///
/// # Errors
/// As `fsync`.
pub fn sync_parents(disk: &dyn Disk, op: Op, one: &Path, other: &Path) -> io::Result<()> {
    disk.sync_folder(op, parent(other))?;
    if parent(one) != parent(other) {
        disk.sync_folder(op, parent(one))?;
    }
    Ok(())
}

/// Takes names away where they are there, then makes that durable. After return a power cut brings
/// none of them back. Without any of them nothing is written or synced.
///
/// # Errors
/// As `unlink` and `fsync`.
pub fn unlink_durably(
    disk: &dyn Disk,
    op: Op,
    folder: &Path,
    names: &[&Path],
) -> io::Result<usize> {
    let mut gone = 0;
    for name in names {
        if disk.stat(name)?.is_some() {
            disk.unlink(op, name)?;
            gone += 1;
        }
    }
    if gone > 0 {
        disk.sync_folder(op, folder)?;
    }
    Ok(gone)
}

/// The first bytes of a file of ours, at most `max`; a link in its place is not followed.
///
/// # Errors
/// As `open` and `read`.
pub fn read_own_start(disk: &dyn Disk, op: Op, path: &Path, max: usize) -> io::Result<Vec<u8>> {
    start_of(&*disk.open(op, path, Open::Read)?, max)
}

fn start_of(file: &dyn File, max: usize) -> io::Result<Vec<u8>> {
    let size = usize::try_from(file.stat()?.size).unwrap_or(usize::MAX);
    let mut bytes = vec![0; size.min(max)];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// The text of a small file of the system; empty where it is absent. What is no regular file, or
/// too long, is said and not used.
pub fn system_text(disk: &dyn Disk, path: &Path, max: usize) -> String {
    text_or_nothing(path, disk.read(path, max))
}

/// The same of a file that somebody puts where others may write: a symbolic link in its place is
/// not followed, nor is a second name of another file read, because either would show what only
/// this process may read.
pub fn put_text(disk: &dyn Disk, op: Op, path: &Path, max: usize) -> String {
    let whole = disk.open(op, path, Open::Read).and_then(|file| match file.stat()?.links {
        0 | 1 => start_of(&*file, max.saturating_add(1)),
        all => Err(Untrusted { path: path.to_owned(), why: Why::Names(all, 1) }.into()),
    });
    text_or_nothing(path, whole.and_then(|bytes| no_longer_than(max, bytes)))
}

/// A part is never taken for the whole.
fn no_longer_than(max: usize, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if bytes.len() > max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is longer than {max} bytes"),
        ));
    }
    Ok(bytes)
}

fn text_or_nothing(path: &Path, read: io::Result<Vec<u8>>) -> String {
    match read {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                log::warn!("{} is not used: {error}.", path.display());
            }
            String::new()
        }
    }
}

/// Every byte of the file can be read. Its content does not matter.
///
/// # Errors
/// As `open` and `read`: EIO where the medium has lost a sector; `Interrupted` where `stop` is
/// raised meanwhile.
pub fn read_through(disk: &dyn Disk, op: Op, path: &Path, stop: &AtomicBool) -> io::Result<()> {
    let file = disk.open(op, path, Open::Read)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut offset = 0u64;
    loop {
        go_on(stop)?;
        match file.read_at(offset, &mut buffer)? {
            0 => return Ok(()),
            read => offset = offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX)),
        }
    }
}

/// Both files have the same content.
///
/// # Errors
/// As `read`; `Interrupted` where `stop` is raised meanwhile.
pub fn same_bytes(one: &dyn File, other: &dyn File, stop: &AtomicBool) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
    let mut offset = 0u64;
    loop {
        go_on(stop)?;
        let (read, as_many) = (one.read_at(offset, &mut left)?, other.read_at(offset, &mut right)?);
        if left.get(..read) != right.get(..as_many) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
        offset = offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
}

/// Whoever reads or copies a whole file asks this between two parts of it, which is shown.
///
/// # Errors
/// `Interrupted`: a stop signal came.
pub fn go_on(stop: &AtomicBool) -> io::Result<()> {
    progress::tick();
    if stop.load(Ordering::Relaxed) {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "a stop signal came"));
    }
    Ok(())
}

/// The folder that holds this name.
pub fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
