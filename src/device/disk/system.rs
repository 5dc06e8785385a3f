//! Owns [`SystemDisk`]: the kernel's file system behind the trait [`Disk`].
//! Promises: one verb is the walk to a folder, one system call (or one loop of the same call)
//! relative to that folder's descriptor, and a look at what is opened.
//! Never retries a failed fsync, never follows a symbolic link that somebody else may have put
//! there.
#![allow(clippy::disallowed_methods)] // The one place for std::fs.

mod file;

use std::cell::{Cell, OnceCell, RefCell};
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rustix::fs::{accessat, fstat, linkat, mkdirat, renameat, renameat_with, statat, unlinkat};
use rustix::fs::{Access, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, CWD};
use rustix::io::Errno;
use rustix::process::geteuid;

use file::SystemFile;

use super::folders::{Folders, Held};
use super::rights::{Owned, Rights, UserAndGroup};
use super::{
    extended, remove, walk, written, Disk, Extended, File, FileKind, Op, Open, Rename, Space, Stat,
    WrongKind,
};
use crate::error::kind::{Untrusted, Why, FOLDER};

/// The kernel's file system, as one run sees it: a folder that it has walked to is held until the
/// run is over, or it has walked to some more.
#[derive(Debug, Default)]
pub struct SystemDisk {
    folders: Folders,
    is_root: OnceCell<bool>,
    /// A database was worked on.
    has_begun: Cell<bool>,
    /// Of the databases that were worked on.
    owned: RefCell<Vec<Owned>>,
}

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
        let _rights = self.rights(path, &held);
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

    fn begin_in(&self, folder: &Path) {
        if self.has_begun.replace(true) {
            self.walk_anew(folder);
        }
    }

    fn act_for(&self, owned: Owned) {
        if self.is_root() {
            let mut known = self.owned.borrow_mut();
            known.retain(|one| one.state != owned.state);
            known.push(owned);
        }
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
                // What is none of its files hands over nothing, or an error.
                let read = fs::File::from(opened).read(&mut bytes)?;
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
                // Where something has the name, the call fails.
                SystemFile { file: self.create(path, OFlags::EXCL, mode, || None)?, opened: None }
            }
            Open::Create { mode } => {
                let found = self.stat(path)?;
                found.map_or(Ok(()), |stat| WrongKind::unless_file(path, stat.kind))?;
                let owner = || found.map(|stat| stat.uid);
                regular(path, self.create(path, OFlags::empty(), mode, owner)?)?
            }
        };
        Ok(Box::new(file))
    }

    fn make_folder(&self, _op: Op, path: &Path, mode: u32) -> io::Result<()> {
        self.folders.forget(path);
        let held = self.folders.hold(path)?;
        let owner = self.owner_at(path, &held);
        let rights = Rights::of(owner);
        mkdirat(&held.folder, &held.name, Mode::from_raw_mode(mode))?;
        drop(rights);
        // A mask, or the folder's default list, may have kept its owner out.
        let made = held.open(OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let found = fstat(&made)?;
        let ours = owner.map_or(geteuid().as_raw(), |owner| owner.uid) == found.st_uid;
        if ours && (found.st_mode ^ mode) & 0o700 != 0 {
            rustix::fs::fchmod(made, Mode::from_raw_mode(mode))?;
        }
        Ok(())
    }

    fn set_owner(&self, _op: Op, path: &Path, uid: u32, gid: u32) -> io::Result<()> {
        self.folders.forget(path);
        let folder = self.folders.open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let file = fs::File::from(folder.try_clone()?);
        let now = file.metadata()?;
        if (now.uid(), now.gid()) == (uid, gid) {
            return Ok(());
        }
        // Whoever owns the folder above may have put another one in its place: what has an owner or
        // a content is not given away.
        if !names_in(folder)?.is_empty() {
            return Err(Untrusted { path: path.to_owned(), why: Why::Another }.into());
        }
        // Also the answer of file systems that decide themselves whose a new folder is (vfat, NFS).
        if ![geteuid().as_raw(), uid].contains(&now.uid()) {
            return Err(Errno::PERM.into());
        }
        std::os::unix::fs::fchown(&file, Some(uid), Some(gid))
    }

    fn rename(&self, _op: Op, from: &Path, to: &Path, how: Rename) -> io::Result<()> {
        let names = (from, to);
        let (from, to) = (self.folders.hold(from)?, self.folders.hold(to)?);
        self.folders.forget(names.0);
        self.folders.forget(names.1);
        let _rights = self.rights_of_both(names, (&from, &to));
        let flags = match how {
            Rename::Replace => {
                return Ok(renameat(&from.folder, &from.name, &to.folder, &to.name)?)
            }
            Rename::NoReplace => RenameFlags::NOREPLACE,
        };
        match renameat_with(&from.folder, &from.name, &to.folder, &to.name, flags) {
            // A file system without RENAME_NOREPLACE: a link fails in the same way where the name
            // is taken.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(&from.folder, &from.name, &to.folder, &to.name, AtFlags::empty())?;
                Ok(unlinkat(&from.folder, &from.name, AtFlags::empty())?)
            }
            other => Ok(other?),
        }
    }

    fn link(&self, _op: Op, from: &Path, to: &Path) -> io::Result<()> {
        let names = (from, to);
        let (from, to) = (self.folders.hold(from)?, self.folders.hold(to)?);
        let _rights = self.rights_of_both(names, (&from, &to));
        Ok(linkat(&from.folder, &from.name, &to.folder, &to.name, AtFlags::empty())?)
    }

    fn unlink(&self, _op: Op, path: &Path) -> io::Result<()> {
        let held = self.folders.hold(path)?;
        let _rights = self.rights(path, &held);
        Ok(unlinkat(&held.folder, &held.name, AtFlags::empty())?)
    }

    fn remove_folder(&self, _op: Op, path: &Path) -> io::Result<()> {
        self.folders.forget(path);
        let held = self.folders.hold(path)?;
        let _rights = self.rights(path, &held);
        Ok(unlinkat(&held.folder, &held.name, AtFlags::REMOVEDIR)?)
    }

    fn remove_tree(&self, op: Op, path: &Path, stop: &AtomicBool) -> io::Result<()> {
        match self.stat(path)?.map(|stat| stat.kind) {
            Some(FileKind::Folder) => {}
            Some(_) => return self.unlink(op, path),
            None => return Ok(()),
        }
        self.folders.forget(path);
        remove::tree(&self.folders.hold(path)?, self.owner_of(path), stop)
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
        let found = self.stat(path)?;
        found.map_or(Ok(()), |stat| WrongKind::unless_file(path, stat.kind))?;
        let held = self.folders.hold(path)?;
        let _rights = Rights::of(self.owner_of_found(path, &held, || found.map(|stat| stat.uid)));
        regular(path, held.open(flags | OFlags::NONBLOCK, Mode::empty())?.into())
    }

    fn create(
        &self,
        path: &Path,
        how: OFlags,
        mode: u32,
        found: impl FnOnce() -> Option<u32>,
    ) -> io::Result<fs::File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK | how;
        let held = self.folders.hold(path)?;
        let _rights = Rights::of(self.owner_of_found(path, &held, found));
        Ok(held.open(flags, Mode::from_raw_mode(mode))?.into())
    }

    fn rights(&self, path: &Path, held: &Held) -> Rights {
        Rights::of(self.owner_at(path, held))
    }

    /// Root's where one of the two is not the owner's.
    fn rights_of_both(&self, paths: (&Path, &Path), held: (&Held, &Held)) -> Rights {
        let owner = self.owner_at(paths.0, held.0);
        Rights::of(owner.filter(|_| owner == self.owner_at(paths.1, held.1)))
    }

    /// Whose this place is, as far as a database that is worked on there says.
    pub fn owner_of(&self, path: &Path) -> Option<UserAndGroup> {
        self.owned.borrow().iter().find(|one| one.has(path)).map(|one| one.owner)
    }

    /// A state folder of this owner, where nobody else may write.
    pub fn state_folder(&self, state: &Path, owner: UserAndGroup) -> Option<OwnedFd> {
        let folder = self.folders.folder(state).ok()?;
        let found = fstat(&*folder).ok()?;
        let is_his = found.st_uid == owner.uid && found.st_mode & 0o022 == 0;
        is_his.then(|| rustix::io::fcntl_dupfd_cloexec(&*folder, 0).ok()).flatten()
    }

    /// Whose rights are enough for a call on this name: of a place of his, where the folder is his,
    /// and what has the name, if anything has. What is root's in a folder of his (as a hard link of
    /// his may be) needs root's rights, and is looked at as everything is.
    pub(super) fn owner_at(&self, path: &Path, held: &Held) -> Option<UserAndGroup> {
        // Whatever else keeps it from being looked at, keeps the owner from it too.
        self.owner_of_found(path, held, || held.stat().ok().map(|found| found.st_uid))
    }

    /// The same of what has just been looked at, by its user.
    fn owner_of_found(
        &self,
        path: &Path,
        held: &Held,
        found: impl FnOnce() -> Option<u32>,
    ) -> Option<UserAndGroup> {
        let owned = self.owned.borrow();
        let owner = owned.iter().find(|one| one.has(path))?.owner;
        let is_his =
            held.is_in_a_folder_of(owner.uid) && found().is_none_or(|uid| uid == owner.uid);
        is_his.then_some(owner)
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
