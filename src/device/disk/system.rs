//! Owns [`SystemDisk`]: the kernel's file system behind the trait [`Disk`].
//! Promises: one verb is the walk to a folder, one system call (or one loop of the same call) relative to that folder's descriptor, and a
//!   look at what is opened.
//! Never retries a failed fsync, never follows a symbolic link that somebody else may have put there.
#![allow(clippy::disallowed_methods)] // The one place for std::fs.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use fs2::FileExt;
use rustix::fs::{accessat, linkat, mkdirat, renameat, renameat_with, unlinkat, Access, AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::kind::{Untrusted, Why, FOLDER};
use super::{extended, go_on, lease, walk, Disk, Extended, File, FileKind, Lease, Op, Open, Rename, Space, Stat, WrongKind};

/// The kernel's file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemDisk;

struct SystemFile(fs::File);

/// Bytes of a file that are copied between two looks at the stop signal: less than a second of a slow flash card.
const COPIED_AT_ONCE_BYTES: u64 = 4 << 20;

/// `f_type` of FAT, exFAT and NTFS (by either driver), as linux/magic.h and their sources have it.
const WITHOUT_MODES: [rustix::fs::FsWord; 4] = [0x4d44, 0x2011_bab0, 0x5346_544e, 0x7366_746e];
/// Room for a file whose size is not known.
const SMALL_FILE_BYTES: usize = 4096;

pub(super) fn stat_of(metadata: &fs::Metadata) -> Stat {
    let kind = match metadata.file_type() {
        kind if kind.is_file() => FileKind::File,
        kind if kind.is_dir() => FileKind::Folder,
        kind if kind.is_symlink() => FileKind::Symlink,
        _ => FileKind::Other,
    };
    let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Stat {
        kind,
        device: metadata.dev(),
        inode: metadata.ino(),
        links: metadata.nlink(),
        size: metadata.size(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        mode: metadata.mode() & 0o7777,
        modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
    }
}

impl Disk for SystemDisk {
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        match walk::look(path) {
            Ok(found) => Ok(Some(stat_of(&fs::File::from(found).metadata()?))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn check_access(&self, path: &Path) -> io::Result<()> {
        let held = walk::hold(path)?;
        Ok(accessat(&held.folder, &held.name, Access::READ_OK | Access::WRITE_OK, AtFlags::EACCESS)?)
    }

    fn is_root(&self) -> bool {
        geteuid().is_root()
    }

    fn keeps_modes(&self, path: &Path) -> bool {
        rustix::fs::statfs(path).map_or(true, |found| !WITHOUT_MODES.contains(&found.f_type))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let opened = match walk::folder(folder, OFlags::RDONLY) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(no_folder(folder).unwrap_or(error)),
            Err(error) => return Err(error),
        };
        let mut names = names_in(opened)?;
        names.sort();
        Ok(names)
    }

    fn read_start(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        use io::Read;
        let file = match self.stat(path)?.map(|stat| stat.kind) {
            Some(FileKind::Symlink) => open_file(&walk::resolved(path)?, OFlags::RDONLY)?,
            Some(_) => open_file(path, OFlags::RDONLY)?,
            None => return Err(Errno::NOENT.into()),
        };
        // A file of /proc says no size: without room it is read in small parts.
        let mut bytes = Vec::with_capacity(max.min(SMALL_FILE_BYTES));
        file.take(max as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn extended(&self, path: &Path) -> Vec<Extended> {
        walk::hold(path).map(|held| extended::of(&held.path(path))).unwrap_or_default()
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let room = rustix::fs::fstatvfs(walk::folder(path, OFlags::PATH)?)?;
        let read_only = room.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
        Ok(Space::of(room.f_frsize, room.f_blocks, room.f_bavail, room.f_files, room.f_favail, read_only))
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        walk::resolved(path)
    }

    fn open(&self, _op: Op, path: &Path, how: Open) -> io::Result<Box<dyn File>> {
        let file = match how {
            Open::Read => open_file(path, OFlags::RDONLY)?,
            Open::ReadWrite => open_file(path, OFlags::RDWR)?,
            Open::CreateNew { mode } => create(path, OFlags::EXCL, mode)?,
            Open::Create { mode } => {
                self.stat(path)?.map_or(Ok(()), |stat| WrongKind::unless_file(path, &stat))?;
                create(path, OFlags::empty(), mode)?
            }
        };
        Ok(Box::new(SystemFile(file)))
    }

    fn make_folder(&self, _op: Op, path: &Path, mode: u32) -> io::Result<()> {
        let held = walk::hold(path)?;
        Ok(mkdirat(&held.folder, &held.name, Mode::from_raw_mode(mode))?)
    }

    fn set_owner(&self, _op: Op, path: &Path, uid: u32, gid: u32) -> io::Result<()> {
        let folder = walk::open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let file = fs::File::from(folder.try_clone()?);
        let now = file.metadata()?;
        if (now.uid(), now.gid()) == (uid, gid) {
            return Ok(());
        }
        // Whoever owns the folder above may have put another one in its place: what has an owner or a content is not given away.
        if !names_in(folder)?.is_empty() {
            return Err(Untrusted { path: path.to_owned(), why: Why::Another }.into());
        }
        // Also the answer of file systems that decide themselves whose a new folder is (vfat, NFS).
        if now.uid() != geteuid().as_raw() {
            return Err(Errno::PERM.into());
        }
        std::os::unix::fs::fchown(&file, Some(uid), Some(gid))
    }

    fn rename(&self, _op: Op, from: &Path, to: &Path, how: Rename) -> io::Result<()> {
        let (from, to) = (walk::hold(from)?, walk::hold(to)?);
        let flags = match how {
            Rename::Replace => return Ok(renameat(&from.folder, &from.name, &to.folder, &to.name)?),
            Rename::NoReplace => RenameFlags::NOREPLACE,
        };
        match renameat_with(&from.folder, &from.name, &to.folder, &to.name, flags) {
            // A file system without RENAME_NOREPLACE: a link fails in the same way where the name is taken.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(&from.folder, &from.name, &to.folder, &to.name, AtFlags::empty())?;
                Ok(unlinkat(&from.folder, &from.name, AtFlags::empty())?)
            }
            other => Ok(other?),
        }
    }

    fn link(&self, _op: Op, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (walk::hold(from)?, walk::hold(to)?);
        Ok(linkat(&from.folder, &from.name, &to.folder, &to.name, AtFlags::empty())?)
    }

    fn unlink(&self, _op: Op, path: &Path) -> io::Result<()> {
        let held = walk::hold(path)?;
        Ok(unlinkat(&held.folder, &held.name, AtFlags::empty())?)
    }

    fn remove_folder(&self, _op: Op, path: &Path) -> io::Result<()> {
        let held = walk::hold(path)?;
        Ok(unlinkat(&held.folder, &held.name, AtFlags::REMOVEDIR)?)
    }

    fn sync_folder(&self, _op: Op, path: &Path) -> io::Result<()> {
        fs::File::from(walk::folder(path, OFlags::RDONLY)?).sync_all()
    }

    fn openers(&self, path: &Path) -> Vec<String> {
        let Ok(Some(wanted)) = self.stat(path) else { return Vec::new() };
        let own = std::process::id().to_string();
        let processes = self.list(Path::new("/proc")).unwrap_or_default();
        let numbers = processes.into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && *name != own);
        numbers.filter(|process| has_open(process, &wanted)).map(|process| describe(&process)).collect()
    }
}

/// Opens a file that is there, without waiting for whoever is at a pipe's other end.
fn open_file(path: &Path, flags: OFlags) -> io::Result<fs::File> {
    // To open a device may already have an effect.
    SystemDisk.stat(path)?.map_or(Ok(()), |stat| WrongKind::unless_file(path, &stat))?;
    regular(path, walk::open(path, flags | OFlags::NONBLOCK, Mode::empty())?)
}

fn create(path: &Path, how: OFlags, mode: u32) -> io::Result<fs::File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK | how;
    regular(path, walk::open(path, flags, Mode::from_raw_mode(mode))?)
}

fn regular(path: &Path, opened: OwnedFd) -> io::Result<fs::File> {
    let file = fs::File::from(opened);
    WrongKind::unless_file(path, &stat_of(&file.metadata()?))?;
    Ok(file)
}

fn names_in(folder: OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::new(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// What on the way to this folder is not a folder.
fn no_folder(folder: &Path) -> Option<io::Error> {
    let stands = |path: &&Path| fs::metadata(path).is_ok_and(|metadata| !metadata.is_dir());
    let path = folder.ancestors().find(stands)?;
    let stat = stat_of(&fs::symlink_metadata(path).ok()?);
    Some(WrongKind { path: path.to_owned(), found: stat.kind, wanted: FOLDER }.into())
}

fn has_open(process: &str, wanted: &Stat) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    let files = descriptors.flatten().filter_map(|descriptor| fs::metadata(descriptor.path()).ok());
    files.into_iter().any(|file| (file.dev(), file.ino()) == (wanted.device, wanted.inode))
}

fn describe(process: &str) -> String {
    match fs::read_to_string(format!("/proc/{process}/comm")) {
        Ok(name) => format!("{} (pid {process})", name.trim_end()),
        Err(_) => format!("pid {process}"),
    }
}

impl File for SystemFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, _op: Op, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self, _op: Op) -> io::Result<()> {
        self.0.sync_all()
    }

    fn sync_data(&self, _op: Op) -> io::Result<()> {
        self.0.sync_data()
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(stat_of(&self.0.metadata()?))
    }

    fn copy_from(&self, _op: Op, source: &dyn File, stop: &AtomicBool) -> io::Result<u64> {
        let Some(source) = source.as_any().downcast_ref::<SystemFile>() else {
            return Err(io::Error::other("two kinds of disk"));
        };
        let size = source.0.metadata()?.len();
        let (mut from, mut to) = (0u64, 0u64);
        while from < size {
            go_on(stop)?;
            let part = (size - from).min(COPIED_AT_ONCE_BYTES);
            match rustix::fs::copy_file_range(
                &source.0,
                Some(&mut from),
                &self.0,
                Some(&mut to),
                usize::try_from(part).unwrap_or(usize::MAX),
            ) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was copied")),
                Ok(_) | Err(Errno::INTR) => {}
                // Another file system, or a kernel without the call: by hand.
                Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) if to == 0 => {
                    return self.copy_by_hand(source, size, stop);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(to)
    }

    fn set_extended(&self, _op: Op, wanted: &[Extended]) -> io::Result<()> {
        extended::set(&self.0, wanted)
    }

    fn take_owner(&self, _op: Op, uid: u32, gid: u32, mode: u32) -> io::Result<()> {
        let now = self.0.metadata()?;
        if (now.uid(), now.gid()) != (uid, gid) {
            std::os::unix::fs::fchown(&self.0, Some(uid), Some(gid))?;
        }
        self.0.set_permissions(fs::Permissions::from_mode(mode))
    }

    fn lease(&self) -> io::Result<Lease> {
        lease::take(&self.0, self.0.metadata()?.uid())
    }

    fn lease_state(&self) -> io::Result<Lease> {
        lease::state(&self.0)
    }

    fn release_lease(&self) -> io::Result<()> {
        lease::give_up(&self.0)
    }

    fn try_lock(&self) -> io::Result<bool> {
        match FileExt::try_lock_exclusive(&self.0) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl SystemFile {
    fn copy_by_hand(&self, source: &SystemFile, size: u64, stop: &AtomicBool) -> io::Result<u64> {
        let mut buffer = vec![0; 1 << 20];
        let mut done = 0;
        while done < size {
            go_on(stop)?;
            let count = source.read_at(done, &mut buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was copied"));
            };
            self.0.write_all_at(bytes, done)?;
            done += count as u64;
        }
        Ok(done)
    }
}
