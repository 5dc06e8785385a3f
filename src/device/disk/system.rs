//! Owns [`SystemDisk`]: the kernel's file system behind the trait [`Disk`].
//! Promises: one verb is the walk to a folder, one system call (or one loop of the same call) relative to that folder's descriptor, and a
//!   look at what is opened.
//! Never retries a failed fsync, never follows a symbolic link that somebody else may have put there.
#![allow(clippy::disallowed_methods)] // The one place for std::fs.

use std::cell::OnceCell;
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use fs2::FileExt;
use rustix::fs::{accessat, fstat, linkat, mkdirat, renameat, renameat_with, statat, unlinkat};
use rustix::fs::{Access, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, CWD};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::folders::{Folders, Held};
use super::{
    extended, go_on, lease, walk, written, Disk, Extended, File, FileKind, Lease, Op, Open, Rename,
    Space, Stat, WrongKind,
};
use crate::error::kind::{Untrusted, Why, FOLDER};

/// The kernel's file system, as one run sees it: a folder that it has walked to is held until the run is over, or it has walked to some more.
#[derive(Debug, Default)]
pub struct SystemDisk {
    folders: Folders,
    is_root: OnceCell<bool>,
}

struct SystemFile {
    file: fs::File,
    /// `None` of one that this run has made.
    opened: Option<Stat>,
}

/// Bytes of a file that are copied between two looks at the stop signal: less than a second of a slow flash card.
const COPIED_AT_ONCE_BYTES: u64 = 4 << 20;

/// `f_type` of FAT, exFAT and NTFS (by either driver), as linux/magic.h and their sources have it.
const WITHOUT_MODES: [rustix::fs::FsWord; 4] = [0x4d44, 0x2011_bab0, 0x5346_544e, 0x7366_746e];
/// There where the kernel counts what a process writes.
const COUNTED: &str = "/proc/self/io";
/// Whose files and folders the kernel makes, and nobody else.
const KERNELS: &str = "/proc";
/// Room for a file whose size is not known.
const PAGE_BYTES: usize = 4096;

/// The kernel's numbers have another width on each processor.
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
pub(super) fn stat_of(found: &rustix::fs::Stat) -> Stat {
    let kind = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Folder,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    };
    Stat {
        kind,
        device: u64::from(found.st_dev),
        inode: u64::from(found.st_ino),
        links: u64::from(found.st_nlink),
        size: u64::try_from(found.st_size).unwrap_or(0),
        uid: found.st_uid,
        gid: found.st_gid,
        mode: found.st_mode & 0o7777,
        modified_ns: i128::from(found.st_mtime) * 1_000_000_000 + i128::from(found.st_mtime_nsec),
        changed_ns: i128::from(found.st_ctime) * 1_000_000_000 + i128::from(found.st_ctime_nsec),
    }
}

/// What is open there.
fn stat_of_open(file: &fs::File) -> io::Result<Stat> {
    Ok(stat_of(&fstat(file)?))
}

impl Disk for SystemDisk {
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        match self.folders.look(path) {
            Ok(found) => Ok(Some(stat_of(&found))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn check_access(&self, path: &Path) -> io::Result<()> {
        let held = self.folders.hold(path)?;
        Ok(accessat(
            &held.folder,
            &held.name,
            Access::READ_OK | Access::WRITE_OK,
            AtFlags::EACCESS,
        )?)
    }

    fn is_root(&self) -> bool {
        *self.is_root.get_or_init(|| geteuid().is_root())
    }

    fn keeps_modes(&self, path: &Path) -> bool {
        rustix::fs::statfs(path).map_or(true, |found| !WITHOUT_MODES.contains(&found.f_type))
    }

    fn walk_to(&self, folder: &Path) -> io::Result<bool> {
        match self.folders.folder(folder) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn walk_anew(&self, folder: &Path) {
        self.folders.forget_way_to(folder);
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let opened = match self.folders.listing(folder) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(no_folder(folder).unwrap_or(error))
            }
            Err(error) => return Err(error),
        };
        let mut names = names_in(opened)?;
        names.sort();
        Ok(names)
    }

    fn read_start(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        let kernels = if path.starts_with(KERNELS) { walk::opened_at_once(path)? } else { None };
        let SystemFile { mut file, .. } = match kernels {
            // What is no longer than a page the kernel hands over at once.
            Some(opened) if max <= PAGE_BYTES + 1 => {
                let mut bytes = vec![0; max];
                let read = regular(path, opened.into())?.file.read(&mut bytes)?;
                bytes.truncate(read);
                return Ok(bytes);
            }
            Some(opened) => regular(path, opened.into())?,
            None => match self.stat(path)?.map(|stat| stat.kind) {
                Some(FileKind::Symlink) => {
                    self.open_file(&self.folders.resolved(path)?, OFlags::RDONLY)?
                }
                Some(_) => self.open_file(path, OFlags::RDONLY)?,
                None => return Err(Errno::NOENT.into()),
            },
        };
        // A file of /proc says no size: without room it is read in small parts.
        let mut bytes = Vec::with_capacity(max.min(PAGE_BYTES));
        file.by_ref().take(max as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn extended(&self, path: &Path) -> Vec<Extended> {
        self.folders.hold(path).map(|held| extended::of(&held.path(path))).unwrap_or_default()
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let room = rustix::fs::fstatvfs(self.folders.folder(path)?)?;
        let read_only = room.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
        Ok(Space::of(
            room.f_frsize,
            (room.f_blocks, room.f_bavail),
            (room.f_files, room.f_favail),
            read_only,
        ))
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.folders.resolved(path)
    }

    fn open(&self, _op: Op, path: &Path, how: Open) -> io::Result<Box<dyn File>> {
        let file = match how {
            Open::Read => self.open_file(path, OFlags::RDONLY)?,
            Open::ReadWrite => self.open_file(path, OFlags::RDWR)?,
            Open::CreateNew { mode } => {
                SystemFile { file: self.create(path, OFlags::EXCL, mode)?, opened: None }
            }
            Open::Create { mode } => {
                self.stat(path)?.map_or(Ok(()), |stat| WrongKind::unless_file(path, stat.kind))?;
                regular(path, self.create(path, OFlags::empty(), mode)?)?
            }
        };
        Ok(Box::new(file))
    }

    fn make_folder(&self, _op: Op, path: &Path, mode: u32) -> io::Result<()> {
        self.folders.forget(path);
        let held = self.folders.hold(path)?;
        Ok(mkdirat(&held.folder, &held.name, Mode::from_raw_mode(mode))?)
    }

    fn set_owner(&self, _op: Op, path: &Path, uid: u32, gid: u32) -> io::Result<()> {
        self.folders.forget(path);
        let folder = self.folders.open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
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
        let names = (from, to);
        let (from, to) = (self.folders.hold(from)?, self.folders.hold(to)?);
        self.folders.forget(names.0);
        self.folders.forget(names.1);
        let flags = match how {
            Rename::Replace => {
                return Ok(renameat(&from.folder, &from.name, &to.folder, &to.name)?)
            }
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
        let (from, to) = (self.folders.hold(from)?, self.folders.hold(to)?);
        Ok(linkat(&from.folder, &from.name, &to.folder, &to.name, AtFlags::empty())?)
    }

    fn unlink(&self, _op: Op, path: &Path) -> io::Result<()> {
        let held = self.folders.hold(path)?;
        Ok(unlinkat(&held.folder, &held.name, AtFlags::empty())?)
    }

    fn remove_folder(&self, _op: Op, path: &Path) -> io::Result<()> {
        self.folders.forget(path);
        let held = self.folders.hold(path)?;
        Ok(unlinkat(&held.folder, &held.name, AtFlags::REMOVEDIR)?)
    }

    fn sync_folder(&self, _op: Op, path: &Path) -> io::Result<()> {
        fs::File::from(self.folders.listing(path)?).sync_all()
    }

    fn bytes_written(&self) -> u64 {
        written::bytes()
    }

    fn counts_bytes_written(&self) -> bool {
        fs::exists(COUNTED).unwrap_or(false)
    }

    fn openers(&self, path: &Path) -> Vec<String> {
        let Ok(Some(wanted)) = self.stat(path) else { return Vec::new() };
        let own = std::process::id().to_string();
        let processes = self.list(Path::new("/proc")).unwrap_or_default();
        let numbers = processes
            .into_iter()
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && *name != own);
        numbers
            .filter(|process| has_open(process, &wanted))
            .map(|process| describe(&process))
            .collect()
    }
}

impl SystemDisk {
    /// The folder that holds this file, for whoever has to make calls of his own.
    pub(super) fn hold(&self, path: &Path) -> io::Result<Held> {
        self.folders.hold(path)
    }

    /// Opens a file that is there, without waiting for whoever is at a pipe's other end.
    fn open_file(&self, path: &Path, flags: OFlags) -> io::Result<SystemFile> {
        // To open a device may already have an effect.
        self.stat(path)?.map_or(Ok(()), |stat| WrongKind::unless_file(path, stat.kind))?;
        regular(path, self.folders.open(path, flags | OFlags::NONBLOCK, Mode::empty())?.into())
    }

    fn create(&self, path: &Path, how: OFlags, mode: u32) -> io::Result<fs::File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK | how;
        Ok(self.folders.open(path, flags, Mode::from_raw_mode(mode))?.into())
    }
}

fn regular(path: &Path, file: fs::File) -> io::Result<SystemFile> {
    let opened = stat_of_open(&file)?;
    WrongKind::unless_file(path, opened.kind)?;
    Ok(SystemFile { file, opened: Some(opened) })
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
    let stat = stat_of(&statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()?);
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
            match self.file.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, _op: Op, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self, _op: Op) -> io::Result<()> {
        self.file.sync_all()
    }

    fn sync_data(&self, _op: Op) -> io::Result<()> {
        self.file.sync_data()
    }

    fn stat(&self) -> io::Result<Stat> {
        stat_of_open(&self.file)
    }

    fn stat_when_opened(&self) -> io::Result<Stat> {
        self.opened.map_or_else(|| self.stat(), Ok)
    }

    fn copy_from(&self, _op: Op, source: &dyn File, stop: &AtomicBool) -> io::Result<u64> {
        let Some(source) = source.as_any().downcast_ref::<SystemFile>() else {
            return Err(io::Error::other("two kinds of disk"));
        };
        let size = source.file.metadata()?.len();
        let (mut from, mut to) = (0u64, 0u64);
        while from < size {
            go_on(stop)?;
            let part = (size - from).min(COPIED_AT_ONCE_BYTES);
            match rustix::fs::copy_file_range(
                &source.file,
                Some(&mut from),
                &self.file,
                Some(&mut to),
                usize::try_from(part).unwrap_or(usize::MAX),
            ) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the file became shorter while it was copied",
                    ))
                }
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
        extended::set(&self.file, wanted)
    }

    fn take_owner(&self, _op: Op, uid: u32, gid: u32, mode: u32) -> io::Result<()> {
        let now = self.file.metadata()?;
        if (now.uid(), now.gid()) != (uid, gid) {
            std::os::unix::fs::fchown(&self.file, Some(uid), Some(gid))?;
        }
        self.file.set_permissions(fs::Permissions::from_mode(mode))
    }

    fn lease(&self) -> io::Result<Lease> {
        lease::take(&self.file, self.file.metadata()?.uid())
    }

    fn lease_state(&self) -> io::Result<Lease> {
        lease::state(&self.file)
    }

    fn release_lease(&self) -> io::Result<()> {
        lease::give_up(&self.file)
    }

    fn try_lock(&self) -> io::Result<bool> {
        match FileExt::try_lock_exclusive(&self.file) {
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
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was copied",
                ));
            };
            self.file.write_all_at(bytes, done)?;
            done += count as u64;
        }
        Ok(done)
    }
}
