//! Owns a wipe: the database with its side files, snapshots, quarantine, and whatever else lies in
//! the state folder, for good.
//! Promises: the record says it before anything goes; a cut at any instant is finished by the next
//! boot or the next wipe; no main file is left without its WAL or journal.
//! Never opens the database with SQLite: a damaged one goes as well.

use std::io;
use std::path::{Path, PathBuf};

use crate::device::disk::{parent, FileKind, Lease, Op, Stat};
use crate::device::files::MainFile;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::by_hand::understood;
use crate::ops::lock::{lock, Locked};
use crate::ops::quarantine::{remove, ReasonFile};
use crate::ops::store::RecordStore;
use crate::ops::swap::{keep_out, remove_side_files};
use crate::ops::sweep::second_names;

const OP: Op = Op("wipe");
/// What stays in the state folder, empty or with nothing of the database in it.
const STAYS: [&str; 4] = ["lock", "record", "snapshots", "quarantine"];

/// What a wipe would remove, or has removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The database's own files, by name.
    pub files: Vec<(String, u64)>,
    /// Snapshots, and their bytes.
    pub snapshots: (u64, u64),
    /// Sets in quarantine, and their bytes.
    pub quarantine: (u64, u64),
    /// Files of other names in the state folder, and their bytes.
    pub others: (u64, u64),
    /// There is a record.
    pub has_record: bool,
}

impl Contents {
    /// Bytes of all of it.
    pub fn bytes(&self) -> u64 {
        let files = self.files.iter().map(|(_, bytes)| *bytes).fold(0, u64::saturating_add);
        [self.snapshots.1, self.quarantine.1, self.others.1]
            .into_iter()
            .fold(files, u64::saturating_add)
    }

    /// The database was never here.
    pub fn is_nothing(&self) -> bool {
        *self == Contents::default()
    }
}

/// What is there.
///
/// # Errors
/// As `lstat` and `readdir`.
pub fn contents(device: &Device<'_>) -> Result<Contents, Failure> {
    looked(device).map_err(|error| Failure::io(OP, &device.state.root, &error))
}

fn looked(device: &Device<'_>) -> io::Result<Contents> {
    let (disk, files, state) = (device.disk(), &device.files, &device.state);
    let mut found = Contents::default();
    for path in [files.main.clone(), files.wal(), files.journal(), files.shm(), files.beside()] {
        if let Some(stat) = disk.stat(&path)? {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            found.files.push((name, stat.size));
        }
    }
    let within = |folder: &Path| -> io::Result<(u64, u64)> {
        let names = disk.list(folder)?;
        let bytes = names.iter().map(|name| bytes_below(device, &folder.join(name)));
        Ok((names.len() as u64, bytes.sum::<io::Result<u64>>()?))
    };
    found.snapshots = within(&state.snapshots())?;
    found.quarantine = within(&state.quarantine())?;
    for name in disk.list(&state.root)? {
        if name == "record" {
            found.has_record = true;
        } else if !STAYS.contains(&name.as_str()) {
            let bytes = bytes_below(device, &state.root.join(&name))?;
            found.others = (found.others.0 + 1, found.others.1.saturating_add(bytes));
        }
    }
    Ok(found)
}

fn bytes_below(device: &Device<'_>, path: &Path) -> io::Result<u64> {
    let disk = device.disk();
    match disk.stat(path)? {
        Some(stat) if stat.kind == FileKind::Folder => {
            disk.list(path)?.iter().map(|name| bytes_below(device, &path.join(name))).sum()
        }
        Some(stat) => Ok(stat.size),
        None => Ok(0),
    }
}

/// A database that nobody else has open or works on. Made only by [`claim`].
pub struct Claimed {
    locked: Locked,
    store: RecordStore,
    main: Option<Main>,
}

struct Main {
    file: MainFile,
    /// A write lease keeps everybody out; where the kernel gives none, only the unit's order does.
    leased: bool,
}

/// Takes the lock and the lease; nothing is changed but for a state folder that was missing.
///
/// # Errors
/// In use, not ours (a link, a folder, a second name, a mount), storage where nothing can be
/// written, newer for a record that is not understood.
pub fn claim(device: &Device<'_>) -> Result<Claimed, Failure> {
    let locked = lock(device)?;
    if let Some(why) = &locked.read_only {
        return Err(Failure::new(Class::Storage, OP, why.clone()).at(device.files.folder()));
    }
    let store = RecordStore::open_to_begin(device, &locked)?;
    understood(device, &store)?;
    let main = main_file(device, &locked)?;
    Ok(Claimed { locked, store, main })
}

impl Claimed {
    /// Makes it durable that everything goes; where a wipe was cut off, it is.
    ///
    /// # Errors
    /// The record cannot be written: nothing is begun.
    pub fn begin(&mut self, device: &Device<'_>, present: &[String]) -> Result<(), Failure> {
        if self.store.is_wiping() {
            return Ok(());
        }
        self.store.begin_wipe(device, present)
    }

    /// Removes everything; only after [`Claimed::begin`].
    ///
    /// # Errors
    /// As `unlink` and `fsync`, or in use; the next boot or the next wipe goes on.
    pub fn carry_out(mut self, device: &Device<'_>) -> Result<(), Failure> {
        to_its_end(device, &self.locked, &mut self.store, self.main.take())
    }
}

/// A wipe that was cut off goes on; whether there was one.
///
/// # Errors
/// As [`claim`] and [`Claimed::carry_out`].
pub fn finish(
    device: &Device<'_>,
    locked: &Locked,
    store: &mut RecordStore,
) -> Result<bool, Failure> {
    if !store.is_wiping() {
        return Ok(false);
    }
    if let Some(why) = &locked.read_only {
        let cause = format!("a wipe was cut off and cannot be finished: {why}");
        return Err(Failure::new(Class::Storage, OP, cause).at(device.files.folder()));
    }
    log::info!("{}: finishing a wipe that was cut off.", device.settings.name);
    let main = main_file(device, locked)?;
    to_its_end(device, locked, store, main)?;
    Ok(true)
}

fn to_its_end(
    device: &Device<'_>,
    locked: &Locked,
    store: &mut RecordStore,
    main: Option<Main>,
) -> Result<(), Failure> {
    locked.changes();
    // A database that is made after it is given what this one had.
    locked.remember_attributes(device);
    let failed = |path: PathBuf| move |error: io::Error| Failure::io(OP, &path, &error);
    what_was_kept(device).map_err(failed(device.state.root.clone()))?;
    database(device, main.as_ref())?;
    store.end_wipe(device)
}

/// The one descriptor of main, leased; `None` where it is absent.
fn main_file(device: &Device<'_>, locked: &Locked) -> Result<Option<Main>, Failure> {
    let path = &device.files.main;
    let failed = |error: io::Error| Failure::io(OP, path, &error);
    let not_ours = |what: String| Err(Failure::new(Class::NotOurs, OP, what).at(path));
    let Some(stat) = device.disk().stat(path).map_err(failed)? else { return Ok(None) };
    if stat.kind != FileKind::File {
        return not_ours("it is not a plain file".into());
    }
    if device.mounted(path).is_some() {
        return not_ours("it is a mount of its own".into());
    }
    if stat.links > names_of_ours(device, &stat).map_err(failed)?.saturating_add(1) {
        return not_ours(format!(
            "it has {} names (hard links), and its rows would stay under the others",
            stat.links
        ));
    }
    let file = device.open_main(OP, device.busy_limit())?;
    locked.trust.accept(device, path, &file.stat).map_err(failed)?;
    let leased = keep_out(device, &file)?;
    Ok(Some(Main { file, leased }))
}

/// Names in the state folder that are main's own inode: a swap was cut off.
fn names_of_ours(device: &Device<'_>, main: &Stat) -> io::Result<u64> {
    let mut names = second_names(device, main)?;
    for operation in device.state.ready_operations(device.disk())? {
        let ready = device.disk().stat(&device.state.ready(operation))?;
        names += u64::from(
            ready.is_some_and(|ready| (ready.device, ready.inode) == (main.device, main.inode)),
        );
    }
    Ok(names)
}

/// What could take main's name or be restored goes first: while main stands, it is the old
/// database, whole. Each folder is synced whether or not a name went now: one that was killed
/// before its sync left none to take away.
fn what_was_kept(device: &Device<'_>) -> io::Result<()> {
    let (disk, state) = (device.disk(), &device.state);
    for name in disk.list(&state.root)? {
        if !STAYS.contains(&name.as_str()) {
            disk.remove_tree(OP, &state.root.join(name), &device.environment.stop)?;
        }
    }
    disk.sync_folder(OP, &state.root)?;
    for operation in state.list_quarantine(disk)? {
        remove(device, operation, ReasonFile::Goes)?;
    }
    for folder in [state.snapshots(), state.quarantine()] {
        if disk.stat(&folder)?.is_none() {
            continue;
        }
        for name in disk.list(&folder)? {
            disk.remove_tree(OP, &folder.join(name), &device.environment.stop)?;
        }
        disk.sync_folder(OP, &folder)?;
    }
    Ok(())
}

/// Main, and only once that is durable what belongs to it.
fn database(device: &Device<'_>, main: Option<&Main>) -> Result<(), Failure> {
    let (disk, path) = (device.disk(), &device.files.main);
    let failed = |error: io::Error| Failure::io(OP, path, &error);
    device.opens(None);
    let gone = |path: &Path| match disk.unlink(OP, path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let left_alone = |main: &Main| Ok(!main.leased || main.file.file.lease_state()? == Lease::Held);
    if let Some(main) = main {
        if !left_alone(main).map_err(failed)? {
            let cause =
                "a process began to open it meanwhile; the wipe goes on once that is stopped";
            return Err(Failure::new(Class::InUse, OP, cause).at(path).details(disk.openers(path)));
        }
        gone(path).map_err(failed)?;
    }
    gone(&device.files.beside()).map_err(failed)?;
    disk.sync_folder(OP, parent(path)).map_err(failed)?;
    remove_side_files(device)?;
    match main {
        // It has the file without a name, and may leave a WAL where that was.
        Some(main) if !left_alone(main).map_err(failed)? => {
            let cause = "a process has opened it while it was removed, and may write beside it; \
                         the wipe goes on once that is stopped";
            Err(Failure::new(Class::InUse, OP, cause).at(path))
        }
        _ => Ok(()),
    }
}
