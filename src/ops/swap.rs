//! Owns the swap: another file takes main's name.
//! Promises: at every instant main is the old file or the new one, whole; no stale side file ever
//! stands beside the new one.
//! Never goes on when somebody opened main: the write lease is looked at before and after the
//! rename, and the rename is undone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::device::disk::{
    parent, rename_durably, same_bytes, sync_parents, unlink_durably, Disk, Lease, Op, Open,
    Rename, Stat,
};
use crate::device::files::{number_in_a_name, side, MainFile};
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::lock::Locked;
use crate::ops::probe::in_use;

const LEASE: Op = Op("keep the application out during the swap");
const SECOND_NAME: Op = Op("give the old file its second name");
const SIDE_FILES: Op = Op("remove the old side files");
const RENAME: Op = Op("put the new file in place");
const UNDO: Op = Op("undo the swap");

/// A swap that has begun is not ended by a stop signal: what it copies (where links are refused)
/// stands between two names.
static TO_ITS_END: AtomicBool = AtomicBool::new(false);

/// Where the old file stays reachable while the new one takes its name.
pub enum SecondName {
    /// There is no old file.
    None,
    /// It gets this name now (a snapshot).
    Make(PathBuf),
    /// It has this name already, in quarantine, where its WAL and its journal go, too; also where
    /// only they are left.
    Has(PathBuf),
}

/// What is swapped in.
pub struct New<'a> {
    /// The file.
    pub path: &'a Path,
    /// What main must still look like, where the new file was made from it.
    pub made_from: Option<MadeFrom>,
}

/// What a new file was made from.
#[derive(Debug, Clone, Copy)]
pub struct MadeFrom {
    /// Main.
    pub main: Stat,
    /// The WAL that was read with it; `None` where none had content.
    pub wal: Option<Stat>,
}

/// The new file is main, durably. Made only by [`swap`].
#[derive(Debug)]
pub struct SwapProof(());

/// Gives main's name to the new file.
///
/// # Errors
/// In use where somebody opened main meanwhile (undone), or the storage's.
pub fn swap(
    device: &Device<'_>,
    _locked: &Locked,
    main: Option<&MainFile>,
    new: &New<'_>,
    second: &SecondName,
) -> Result<SwapProof, Failure> {
    // From here on another file may have the name.
    device.opens(None);
    let Some(main) = main else {
        return first_name(device, new.path, second);
    };
    let leased = keep_out(device, main)?;
    let result = under_lease(device, main, leased, new, second);
    if leased {
        if let Err(error) = main.file.release_lease() {
            log::debug!("{}: giving the lease up said: {error}.", device.settings.name);
        }
    }
    result
}

/// Nothing has the name: whoever made it meanwhile is not overwritten.
fn first_name(device: &Device<'_>, new: &Path, second: &SecondName) -> Result<SwapProof, Failure> {
    let main = &device.files.main;
    let disk = device.disk();
    let made = || Failure::new(Class::InUse, RENAME, "somebody made the file meanwhile").at(main);
    // Before anything of theirs is touched.
    if disk.stat(main).map_err(|error| Failure::io(RENAME, main, &error))?.is_some() {
        return Err(made());
    }
    if let SecondName::Has(old) = second {
        keep_side_files(device, old).map_err(|error| Failure::io(SECOND_NAME, main, &error))?;
    }
    remove_side_files(device)?;
    let named = match disk.link(RENAME, new, main) {
        Ok(()) => drop_old_name(device, new),
        Err(error) if links_are_refused(&error) => {
            rename_durably(disk, RENAME, new, main, Rename::NoReplace)
        }
        Err(error) => Err(error),
    };
    match named {
        Ok(()) => Ok(SwapProof(())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(made()),
        Err(error) => Err(Failure::io(RENAME, main, &error)),
    }
}

/// A write lease, kept. `false`: the kernel cannot give one, and only the unit's order keeps the
/// application out.
///
/// # Errors
/// In use; storage where this process may not ask for one.
pub fn keep_out(device: &Device<'_>, main: &MainFile) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::io(LEASE, &device.files.main, &error);
    let ask = || {
        Ok(match main.file.lease().map_err(failed)? {
            Lease::Held => Some(Ok(true)),
            Lease::Unsupported => Some(Ok(false)),
            Lease::Denied => Some(Err(Failure::new(
                Class::Storage,
                LEASE,
                "a swap needs a lease, and this process is neither the file's owner nor has \
                 CAP_LEASE",
            )
            .at(&device.files.main))),
            Lease::Busy => None,
        })
    };
    device.wait().until(LEASE, ask)?.unwrap_or_else(|| Err(in_use(device)))
}

fn under_lease(
    device: &Device<'_>,
    main: &MainFile,
    leased: bool,
    new: &New<'_>,
    second: &SecondName,
) -> Result<SwapProof, Failure> {
    let path = &device.files.main;
    let failed = |migration| move |error: io::Error| Failure::io(migration, path, &error);
    unchanged(device, main, new)?;
    if let SecondName::Make(name) = second {
        second_name(device, main, name).map_err(failed(SECOND_NAME))?;
    }
    let kept = match second {
        SecondName::Has(old) => keep_files(device, main, old).map_err(failed(SECOND_NAME)),
        SecondName::Make(_) | SecondName::None => Ok(()),
    };
    let removed = kept.and_then(|()| remove_side_files(device));
    let taken = removed.and_then(|()| take_the_name(device, main, leased, new, second));
    if let (Err(_), SecondName::Has(old)) = (&taken, second) {
        if let Err(error) = give_back_side_files(device, main, old) {
            log::warn!(
                "{}: its WAL or journal could not be put back: {error}; it lies in quarantine.",
                device.settings.name
            );
        }
    }
    taken
}

fn take_the_name(
    device: &Device<'_>,
    main: &MainFile,
    leased: bool,
    new: &New<'_>,
    second: &SecondName,
) -> Result<SwapProof, Failure> {
    let disk = device.disk();
    let path = &device.files.main;
    let failed = |migration| move |error: io::Error| Failure::io(migration, path, &error);
    let held = || if leased { main.file.lease_state() } else { Ok(Lease::Held) };
    let beside = put_beside(device, new.path).map_err(failed(RENAME))?;
    if held().map_err(failed(RENAME))? != Lease::Held {
        if let Some(beside) = &beside {
            unlink_durably(disk, RENAME, device.files.folder(), &[beside])
                .map_err(failed(RENAME))?;
        }
        return Err(in_use(device));
    }
    disk.rename(RENAME, beside.as_deref().unwrap_or(new.path), path, Rename::Replace)
        .map_err(failed(RENAME))?;
    if held().map_err(failed(RENAME))? != Lease::Held {
        undo(device, new.path, second).map_err(failed(UNDO))?;
        return Err(in_use(device));
    }
    match beside {
        Some(_) => drop_old_name(device, new.path),
        None => sync_parents(disk, RENAME, new.path, path),
    }
    .map_err(failed(RENAME))?;
    Ok(SwapProof(()))
}

/// Main's copy in quarantine, where links are refused, is as main is now; then the side files.
fn keep_files(device: &Device<'_>, main: &MainFile, old: &Path) -> io::Result<()> {
    if keep(device, &device.files.main, Some(main), old)? {
        device.disk().sync_folder(SECOND_NAME, parent(old))?;
    }
    keep_side_files(device, old)
}

/// The old file's WAL and journal get their names beside it, in quarantine, once the lease keeps
/// everybody out: an application that commits takes them away, and a second name of one that it has
/// done with would undo its commit.
fn keep_side_files(device: &Device<'_>, old: &Path) -> io::Result<()> {
    let disk = device.disk();
    let mut kept_more = false;
    for (name, kept) in
        [(device.files.wal(), side(old, "-wal")), (device.files.journal(), side(old, "-journal"))]
    {
        if disk.stat(&name)?.is_some_and(|live| live.size > 0) {
            kept_more |= match keep(device, &name, None, &kept) {
                // Without leases: what was in it is in main then.
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                other => other?,
            };
        }
    }
    if kept_more {
        disk.sync_folder(SECOND_NAME, parent(old))?;
    }
    Ok(())
}

/// A database file gets its name in quarantine; `false` where it has it. What else earlier starts
/// have left there is kept, each with a number of its own.
///
/// # Errors
/// As `lstat`, `read`, `link` and `rename`.
pub fn keep(
    device: &Device<'_>,
    from: &Path,
    main: Option<&MainFile>,
    to: &Path,
) -> io::Result<bool> {
    let disk = device.disk();
    if is_same(disk, from, main, to)? {
        return Ok(false);
    }
    if disk.stat(to)?.is_some() {
        disk.rename(SECOND_NAME, to, &numbered(disk, to)?, Rename::Replace)?;
    }
    link_or_copy(device, from, main, to)?;
    Ok(true)
}

/// It has a name that [`keep`] has given a file called `file`, or a side file of it.
pub fn is_numbered(name: &str, file: &str) -> bool {
    name.starts_with(file)
        && name
            .rsplit_once('.')
            .is_some_and(|(_, number)| number_in_a_name::<u64>(number).is_some())
}

/// The first free of `settings.db.1`, `settings.db.2`, …
fn numbered(disk: &dyn Disk, to: &Path) -> io::Result<PathBuf> {
    let mut number = 1u64;
    loop {
        let name = side(to, &format!(".{number}"));
        if disk.stat(&name)?.is_none() {
            return Ok(name);
        }
        number = number.saturating_add(1);
    }
}

/// The same file; or, where links are refused, a copy that is like it to the byte.
///
/// # Errors
/// As `lstat` and `read`.
pub fn is_same(
    disk: &dyn Disk,
    from: &Path,
    main: Option<&MainFile>,
    to: &Path,
) -> io::Result<bool> {
    let (Some(live), Some(there)) = (disk.stat(from)?, disk.stat(to)?) else { return Ok(false) };
    if (there.device, there.inode) == (live.device, live.inode) {
        return Ok(true);
    }
    if there.size != live.size {
        return Ok(false);
    }
    let copy = disk.open(SECOND_NAME, to, Open::Read)?;
    match main {
        // Another descriptor of it would break the lease.
        Some(main) => same_bytes(&*main.file, &*copy, &TO_ITS_END),
        None => same_bytes(&*disk.open(SECOND_NAME, from, Open::Read)?, &*copy, &TO_ITS_END),
    }
}

/// The old main stands: the WAL and the journal that it got in quarantine are its own again, and
/// its alone. `false`: something lies there that cannot be given back, because another file has the
/// name.
///
/// # Errors
/// As `lstat`, `read`, `link` and `fsync`; what was not given back lies in quarantine.
pub fn give_back_side_files(device: &Device<'_>, main: &MainFile, old: &Path) -> io::Result<bool> {
    let disk = device.disk();
    let inode = |stat: Stat| (stat.device, stat.inode);
    if disk.stat(&device.files.main)?.map(inode) != Some(inode(main.stat))
        || !is_same(disk, &device.files.main, Some(main), old)?
    {
        return Ok(false);
    }
    let wal = give_back(device, &side(old, "-wal"), &device.files.wal())?;
    let journal = give_back(device, &side(old, "-journal"), &device.files.journal())?;
    Ok(wal && journal)
}

fn give_back(device: &Device<'_>, kept: &Path, name: &Path) -> io::Result<bool> {
    let disk = device.disk();
    if disk.stat(kept)?.is_none() {
        return Ok(true);
    }
    if disk.stat(name)?.is_none() {
        match disk.link(UNDO, kept, name) {
            Err(error) if links_are_refused(&error) => {
                disk.rename(UNDO, kept, name, Rename::NoReplace)?
            }
            other => other?,
        }
        disk.sync_folder(UNDO, device.files.folder())?;
    } else if !is_same(disk, name, None, kept)? {
        return Ok(false);
    }
    unlink_durably(disk, UNDO, parent(kept), &[kept])?;
    Ok(true)
}

/// A second name for the new file in main's own folder, durable: a rename within one folder is
/// whole on every file system, and one between two may lose the file where each folder is durable
/// by itself. A copy where links are refused; `None` where there is no room for one.
fn put_beside(device: &Device<'_>, new: &Path) -> io::Result<Option<PathBuf>> {
    let disk = device.disk();
    let beside = device.files.beside();
    unlink_durably(disk, RENAME, device.files.folder(), &[&beside])?;
    match disk.link(RENAME, new, &beside) {
        Err(error) if links_are_refused(&error) => match copy_beside(disk, new, &beside) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) =>
            {
                unlink_durably(disk, RENAME, device.files.folder(), &[&beside])?;
                return Ok(None);
            }
            other => other?,
        },
        other => other?,
    }
    disk.sync_folder(RENAME, device.files.folder())?;
    Ok(Some(beside))
}

fn copy_beside(disk: &dyn Disk, new: &Path, beside: &Path) -> io::Result<()> {
    let source = disk.open(RENAME, new, Open::Read)?;
    let like = source.stat()?;
    let copy = disk.open(RENAME, beside, Open::CreateNew { mode: 0o600 })?;
    copy.take_owner(RENAME, like.uid, like.gid, like.mode)?;
    copy.set_extended(RENAME, &disk.extended(new))?;
    copy.copy_from(RENAME, &*source, &TO_ITS_END)?;
    copy.sync(RENAME)
}

/// Main has the new file durably; only then its old name goes.
fn drop_old_name(device: &Device<'_>, new: &Path) -> io::Result<()> {
    let disk = device.disk();
    disk.sync_folder(RENAME, device.files.folder())?;
    disk.unlink(RENAME, new)?;
    disk.sync_folder(RENAME, parent(new))
}

/// This file system has no links, or none for this process.
pub fn links_are_refused(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::TooManyLinks
    )
}

/// Main is the file that was looked at, and, where the new one was made from it, nobody has written
/// since.
fn unchanged(device: &Device<'_>, main: &MainFile, new: &New<'_>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io(LEASE, &device.files.main, &error);
    let named = device.disk().stat(&device.files.main).map_err(failed)?;
    let open = main.file.stat().map_err(failed)?;
    let same_file =
        named.is_some_and(|named| (named.device, named.inode) == (open.device, open.inode));
    let files = device.files.look(device.disk()).map_err(failed)?;
    let is = |then: &Stat, now: &Stat| {
        (then.size, then.modified_ns, then.inode) == (now.size, now.modified_ns, now.inode)
    };
    let content = |wal: Option<Stat>| wal.filter(|wal| wal.size > 0);
    // In WAL mode what they wrote lies beside main.
    let same_content = new.made_from.is_none_or(|then| {
        let same_wal = match (content(then.wal), content(files.wal)) {
            (None, None) => true,
            (Some(then), Some(now)) => is(&then, &now),
            (Some(_), None) | (None, Some(_)) => false,
        };
        is(&then.main, &open) && same_wal && !files.journal_has_content
    });
    if same_file && same_content {
        return Ok(());
    }
    Err(Failure::new(Class::InUse, LEASE, "somebody wrote to it while the copy was made")
        .at(&device.files.main))
}

/// A link; where the file system has none, a copy.
fn second_name(device: &Device<'_>, main: &MainFile, name: &Path) -> io::Result<()> {
    let disk = device.disk();
    if disk.stat(name)?.is_some() {
        disk.unlink(SECOND_NAME, name)?;
    }
    link_or_copy(device, &device.files.main, Some(main), name)?;
    disk.sync_folder(SECOND_NAME, parent(name))
}

/// Gives a database file another name; the copy that stands in for a link is whole or has a
/// temporary name.
fn link_or_copy(
    device: &Device<'_>,
    from: &Path,
    main: Option<&MainFile>,
    to: &Path,
) -> io::Result<()> {
    let disk = device.disk();
    match disk.link(SECOND_NAME, from, to) {
        Err(error) if links_are_refused(&error) => {}
        other => return other,
    }
    let temporary = parent(to).join("copy.tmp");
    if disk.stat(&temporary)?.is_some() {
        disk.unlink(SECOND_NAME, &temporary)?;
    }
    let copy = disk.open(SECOND_NAME, &temporary, Open::CreateNew { mode: 0o600 })?;
    // Main has one descriptor in this process, and this is it.
    let other = if main.is_none() { Some(disk.open(SECOND_NAME, from, Open::Read)?) } else { None };
    let source = other.as_deref().or(main.map(|main| &*main.file));
    if let Some(source) = source {
        let like = source.stat()?;
        copy.take_owner(SECOND_NAME, like.uid, like.gid, like.mode)?;
        copy.set_extended(SECOND_NAME, &disk.extended(from))?;
        copy.copy_from(SECOND_NAME, source, &TO_ITS_END)?;
    }
    copy.sync(SECOND_NAME)?;
    disk.rename(SECOND_NAME, &temporary, to, Rename::Replace)
}

/// Unlinks `-wal`, `-journal` and `-shm` and syncs the folder, also when SQLite has removed them
/// itself: its unlink is not synced, and a stale side file beside a new main brings the old data
/// back or corrupts the new.
///
/// # Errors
/// As `unlink` and `fsync`.
pub fn remove_side_files(device: &Device<'_>) -> Result<(), Failure> {
    let disk = device.disk();
    for path in [device.files.wal(), device.files.journal(), device.files.shm()] {
        match disk.unlink(SIDE_FILES, &path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::io(SIDE_FILES, &path, &error))
            }
            _ => {}
        }
    }
    let folder = device.files.folder();
    disk.sync_folder(SIDE_FILES, folder).map_err(|error| Failure::io(SIDE_FILES, folder, &error))
}

/// An opener waits with the old file: it gets its name back, and the new one the name it came from.
fn undo(device: &Device<'_>, new: &Path, second: &SecondName) -> io::Result<()> {
    let disk = device.disk();
    let (SecondName::Make(old) | SecondName::Has(old)) = second else { return Ok(()) };
    let main = &device.files.main;
    let again = device.state.root.join("undo-main.db");
    if disk.stat(&again)?.is_some() {
        disk.unlink(UNDO, &again)?;
    }
    if disk.stat(new)?.is_none() {
        disk.link(UNDO, main, new)?;
    }
    disk.link(UNDO, old, &again)?;
    disk.rename(UNDO, &again, main, Rename::Replace)?;
    sync_parents(disk, UNDO, &again, main)
}
