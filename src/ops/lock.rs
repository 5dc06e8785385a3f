//! Owns the lock: one migrator per database, and the state folder it lies in.
//! Promises: [`Locked`] is the right to write state; on a file system that takes no writes there is
//! none and nothing is made.
//! Never deletes the lock file, never waits longer than `busy_timeout_s`.

mod refused;

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::path::{Path, PathBuf};

use crate::device::disk::{
    make_folder_durably, parent, rename_durably, Extended, File, FileKind, Op, Open, Owned, Rename,
    Space, Stat, Untrusted, UserAndGroup,
};
use crate::device::files::ready_among;
use crate::device::supervisor::RunFolder;
use crate::device::{Device, Ownership};
use crate::error::{Class, Failure};
use crate::ops::state_folder::{fill, make_root};
use crate::ops::trust::{check, check_everything, configured_owner, Trust};
use refused::refused;

const OP: Op = Op("take the lock");
const MAKE: Op = Op("make the state folder");
/// Of a folder that is made for a database.
const FOLDER_MODE: u32 = 0o755;
/// Of the lock file.
const LOCK_MODE: u32 = 0o600;
const TOUCH: Op = Op("read the file system's clock");

/// This process is the only migrator of this database. Made only by [`lock`].
pub struct Locked {
    /// Held until dropped; `None` where nothing can be written or a look was all that was asked
    /// for.
    file: Option<Box<dyn File>>,
    /// Why nothing may be written; `None` where it may.
    pub read_only: Option<String>,
    /// Who owns what is made.
    pub ownership: Ownership,
    /// The extended attributes of a file that may take the database's name; read when the first one
    /// is made, or the database goes.
    extended: OnceCell<Vec<Extended>>,
    /// Who may own what lies here.
    pub trust: Trust,
    /// Room when the lock was taken; `None` once this run may have used some.
    space: Cell<Option<Space>>,
    /// What lay in the state folder when the lock was taken; `None` once this run may have changed
    /// it.
    names: RefCell<Option<Vec<String>>>,
}

impl Locked {
    /// State may be written.
    pub fn writable(&self) -> bool {
        self.read_only.is_none()
    }

    /// Owner, group, mode and extended attributes of the database, for a file that is still empty
    /// and may take its name.
    ///
    /// # Errors
    /// As `chown` and `chmod`.
    pub fn give_attributes(&self, device: &Device<'_>, op: Op, file: &dyn File) -> io::Result<()> {
        let Ownership { uid, gid, mode } = self.ownership;
        file.take_owner(op, uid, gid, mode)?;
        file.set_extended(op, self.remember_attributes(device))
    }

    /// From now on what the database has is known, whatever becomes of it.
    pub fn remember_attributes(&self, device: &Device<'_>) -> &[Extended] {
        self.extended.get_or_init(|| match &self.trust.main {
            Some(main) if main.kind == FileKind::File => device.disk().extended(&device.files.main),
            _ => Vec::new(),
        })
    }

    /// Operations whose ready file waits, oldest first.
    ///
    /// # Errors
    /// As `readdir`.
    pub fn ready_operations(&self, device: &Device<'_>) -> io::Result<Vec<u64>> {
        match &*self.names.borrow() {
            Some(names) => Ok(ready_among(names)),
            None => device.state.ready_operations(device.disk()),
        }
    }

    /// What lies in the state folder: as it was when the lock was taken for the first who asks, who
    /// may then change it.
    ///
    /// # Errors
    /// As `readdir`.
    pub fn names(&self, device: &Device<'_>) -> io::Result<Vec<String>> {
        self.names.take().map_or_else(|| device.disk().list(&device.state.root), Ok)
    }

    /// The state folder has this name.
    ///
    /// # Errors
    /// As `readdir`.
    pub fn has(&self, device: &Device<'_>, name: &str) -> io::Result<bool> {
        let names = self.names(device)?;
        let has = names.iter().any(|one| one == name);
        self.names.replace(Some(names));
        Ok(has)
    }

    /// From now on there are other names, and there is other room.
    pub fn changes(&self) {
        self.names.take();
        self.space.take();
    }

    /// Room where the database lies.
    ///
    /// # Errors
    /// As `statvfs`.
    pub fn space(&self, device: &Device<'_>) -> io::Result<Space> {
        self.space.take().map_or_else(|| device.space(), Ok)
    }

    /// Changes the lock file's modification time; what the file system's clock says now, in
    /// nanoseconds.
    ///
    /// # Errors
    /// As `write` and `fstat`.
    pub fn touch(&self) -> io::Result<Option<i128>> {
        let Some(file) = &self.file else { return Ok(None) };
        file.write_at(TOUCH, 0, b"\n")?;
        Ok(Some(file.stat()?.modified_ns))
    }
}

/// The view of somebody who only looks: nothing is made, nobody is waited for.
///
/// # Errors
/// The folder is missing, a COMMIT of this boot is in doubt (15), or as `lstat`.
pub fn look_only(device: &Device<'_>) -> Result<Locked, Failure> {
    check_confirmed(device)?;
    check_mount(device)?;
    check_above(device)?;
    let trust = check_everything(device)?;
    trust.main.iter().for_each(|main| act_for(device, Ownership::of(main)));
    // Nothing is made, so it does not matter who would own it.
    let ownership = Ownership { uid: 0, gid: 0, mode: device.settings.mode };
    let space = device.space().map_err(|error| Failure::io(OP, device.files.folder(), &error))?;
    let read_only = space.read_only.then(|| "the file system is read-only".to_owned());
    Ok(Locked {
        file: None,
        read_only,
        ownership,
        extended: OnceCell::new(),
        trust,
        space: Cell::new(Some(space)),
        names: RefCell::default(),
    })
}

/// Makes the state folder where it is missing, and takes the lock.
///
/// # Errors
/// Missing (18) for a mount or folder that is not there, in use (13) after `busy_timeout_s`,
/// storage, or a COMMIT of this boot is in doubt (15).
pub fn lock(device: &Device<'_>) -> Result<Locked, Failure> {
    check_confirmed(device)?;
    check_mount(device)?;
    let trust = check(device)?;
    make_database_folder(device)?;
    let (ownership, extended) = ownership(device, trust.main)?;
    act_for(device, ownership);
    let space = device.space().map_err(|error| Failure::io(OP, device.files.folder(), &error))?;
    let taken = if space.read_only {
        Err(Take::Unwritable("the file system is read-only".into()))
    } else {
        take(device, ownership, &trust)
    };
    let mut space = Some(space);
    let (file, read_only) = match taken {
        Ok((file, waited)) => {
            // Whoever had the lock may have filled the storage, or made room.
            space = space.filter(|_| !waited);
            (Some(file), None)
        }
        Err(Take::Unwritable(why)) => (None, Some(why)),
        Err(Take::Failed(failure)) => return Err(failure),
    };
    let names = device
        .disk()
        .list(&device.state.root)
        .map_err(|error| Failure::io(OP, &device.state.root, &error))?;
    trust.ready_files(device, &names)?;
    Ok(Locked {
        file,
        read_only,
        ownership,
        extended,
        trust,
        space: Cell::new(space),
        names: RefCell::new(Some(names)),
    })
}

/// Root has its owner's rights alone for what is his: a fault of ours in a folder of his costs what
/// he could do himself.
fn act_for(device: &Device<'_>, Ownership { uid, gid, .. }: Ownership) {
    let files = &device.files;
    let names = vec![
        parent(&device.state.root).to_owned(),
        files.main.clone(),
        files.wal(),
        files.shm(),
        files.journal(),
        files.beside(),
    ];
    if uid != 0 {
        device.disk().act_for(Owned {
            files: names,
            state: device.state.root.clone(),
            owner: UserAndGroup { uid, gid },
        });
    }
}

enum Take {
    Unwritable(String),
    Failed(Failure),
}

/// The lock, and whether it was another's first.
fn take(
    device: &Device<'_>,
    ownership: Ownership,
    trust: &Trust,
) -> Result<(Box<dyn File>, bool), Take> {
    let disk = device.disk();
    let not_made = |error: io::Error| unwritable_or(device, MAKE, &device.state.root, &error);
    if !trust.has_state {
        make_root(device, ownership).map_err(not_made)?;
    }
    same_file_system(device)?;
    let path = device.state.lock();
    let file = disk
        .open(OP, &path, Open::Create { mode: LOCK_MODE })
        .map_err(|error| unwritable_or(device, OP, &path, &error))?;
    given(device, &*file, ownership, trust)?;
    let mut asked = 0u32;
    let ask = || {
        asked = asked.saturating_add(1);
        file.try_lock()
            .map(|held| held.then_some(()))
            .map_err(|error| Failure::io(OP, &path, &error))
    };
    match device.wait().until(OP, ask).map_err(Take::Failed)? {
        Some(()) => {
            if !trust.has_state {
                fill(device, ownership).map_err(not_made)?;
            }
            Ok((file, asked > 1))
        }
        None => {
            let cause = format!(
                "another bootmigrate works on it, and did not end in {} s",
                device.settings.busy_timeout_s
            );
            Err(Take::Failed(
                Failure::new(Class::InUse, OP, cause).at(&path).details(disk.openers(&path)),
            ))
        }
    }
}

/// The lock file is the owner's, where this run has made it, or an earlier one that was cut off.
/// What has a content is not given away: whoever owns the folder may have put another file in its
/// place.
fn given(
    device: &Device<'_>,
    file: &dyn File,
    ownership: Ownership,
    trust: &Trust,
) -> Result<(), Take> {
    let path = device.state.lock();
    let failed = |error: io::Error| Take::Failed(Failure::io(OP, &path, &error));
    let stat = file.stat_when_opened().map_err(failed)?;
    trust.accept_alone(device, &path, &stat).map_err(failed)?;
    // A mask, or the folder's default list, may have kept its owner out for good.
    let mode = if stat.mode & LOCK_MODE == LOCK_MODE { stat.mode } else { LOCK_MODE };
    let is_given = (stat.uid, stat.gid, stat.mode) == (ownership.uid, ownership.gid, mode);
    if stat.size > 0 || is_given {
        return Ok(());
    }
    file.take_owner(OP, ownership.uid, ownership.gid, mode).map_err(failed)
}

/// A folder that refuses us is a look-only boot, with who and what in words; everything else is a
/// failure.
fn unwritable_or(device: &Device<'_>, op: Op, path: &Path, error: &io::Error) -> Take {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            Take::Unwritable("the file system is read-only".into())
        }
        io::ErrorKind::PermissionDenied => Take::Unwritable(refused(device, path)),
        _ => Take::Failed(Failure::io(op, path, error)),
    }
}

/// A state folder on another file system could be neither renamed nor linked from.
fn same_file_system(device: &Device<'_>) -> Result<(), Take> {
    let root = &device.state.root;
    let device_of = |path: &Path| {
        stat(device, path).map(|found| found.map(|stat| stat.device)).map_err(Take::Failed)
    };
    match (device_of(device.files.folder())?, device_of(root)?) {
        (Some(here), Some(there)) if here != there => {
            let cause = format!(
                "{} is on another file system than the database; mount one folder that holds both",
                root.display()
            );
            Err(Take::Failed(Failure::new(Class::Configuration, MAKE, cause).at(root)))
        }
        _ => Ok(()),
    }
}

/// After a COMMIT that failed, what is read before the next power-up proves nothing.
fn check_confirmed(device: &Device<'_>) -> Result<(), Failure> {
    if !RunFolder::new(device.disk(), &device.environment.root)
        .is_unconfirmed(&device.settings.name)
    {
        return Ok(());
    }
    let cause = "COMMIT failed since the device was switched on, and only a reboot shows what \
                 storage has kept";
    Err(Failure::new(Class::Storage, OP, cause).at(&device.files.main))
}

fn check_mount(device: &Device<'_>) -> Result<(), Failure> {
    let Some(mount) = &device.settings.require_mount else { return Ok(()) };
    let Some(why) = device.not_mounted(mount) else {
        // What was looked at before may lie below the mount.
        device.disk().walk_anew(device.files.folder());
        return Ok(());
    };
    let cause = format!("{why}, and require_mount says that it must be");
    Err(Failure::new(Class::Missing, OP, cause).at(mount))
}

/// The database's folder is made where its parent is there; below `--root` the whole way is made.
fn make_database_folder(device: &Device<'_>) -> Result<(), Failure> {
    let folder = device.files.folder();
    check_above(device)?;
    if stat(device, folder)?.is_some() {
        return Ok(());
    }
    owner_is_known(device)?;
    make_with_owner(device, folder).map_err(|error| {
        let mut failure = Failure::io(MAKE, folder, &error);
        if error.kind() == io::ErrorKind::NotFound {
            failure.class = Class::Missing;
        }
        failure
    })
}

/// Outside `--root` one level may be missing, no more: a wrong path must not grow a tree.
fn check_above(device: &Device<'_>) -> Result<(), Failure> {
    let folder = device.files.folder();
    if let Some(found) = stat(device, folder)? {
        let refused =
            device.disk().resolve(folder).err().filter(|error| Untrusted::of(error).is_some());
        if let Some(error) = refused {
            return Err(Failure::io(MAKE, folder, &error));
        }
        let cause = format!("{} is not a folder", folder.display());
        return if found.kind == FileKind::Folder {
            Ok(())
        } else {
            Err(Failure::new(Class::Missing, MAKE, cause).at(folder))
        };
    }
    if !device.environment.root.as_os_str().is_empty() || stat(device, parent(folder))?.is_some() {
        return Ok(());
    }
    let cause = format!("the folder {} is missing, and so is the one above it", folder.display());
    Err(Failure::new(Class::Missing, MAKE, cause).at(folder))
}

/// It gets its name once it is its owner's: nobody could tell one that was cut off before that from
/// one that is to be root's. What is missing above it is not the database's.
fn make_with_owner(device: &Device<'_>, folder: &Path) -> io::Result<()> {
    let disk = device.disk();
    make_parents(device, parent(folder))?;
    let Some(owner) = configured_owner(device) else {
        return make_folder_durably(disk, MAKE, folder, FOLDER_MODE, None);
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unfinished = parent(folder).join(format!(".{name}.unfinished"));
    make_folder_durably(disk, MAKE, &unfinished, FOLDER_MODE, None)?;
    disk.set_owner(MAKE, &unfinished, owner.0, owner.1)?;
    disk.sync_folder(MAKE, &unfinished)?;
    // An empty folder that somebody made meanwhile gives way, and nothing else does.
    rename_durably(disk, MAKE, &unfinished, folder, Rename::Replace)
}

fn make_parents(device: &Device<'_>, folder: &Path) -> io::Result<()> {
    if device.disk().stat(folder)?.is_some() {
        return Ok(());
    }
    make_parents(device, parent(folder))?;
    make_folder_durably(device.disk(), MAKE, folder, FOLDER_MODE, None)
}

/// A misspelt owner would leave a folder that is nobody's.
fn owner_is_known(device: &Device<'_>) -> Result<(), Failure> {
    match &device.settings.owner {
        Some(owner) if configured_owner(device).is_none() => {
            let (user, group) = (&owner.user, &owner.group);
            let written = if user == group { user.clone() } else { format!("{user}:{group}") };
            let cause = format!("owner = \"{written}\" is not in /etc/passwd and /etc/group");
            Err(Failure::new(Class::Configuration, OP, cause))
        }
        _ => Ok(()),
    }
}

fn stat(device: &Device<'_>, path: &Path) -> Result<Option<Stat>, Failure> {
    device.disk().stat(path).map_err(|error| Failure::io(OP, path, &error))
}

/// Owner, mode and extended attributes of the database; of one that is lost those of its latest
/// copy.
fn ownership(
    device: &Device<'_>,
    main: Option<Stat>,
) -> Result<(Ownership, OnceCell<Vec<Extended>>), Failure> {
    let is_file = |found: &Stat| found.kind == FileKind::File;
    if let Some(main) = main.filter(is_file) {
        return Ok((Ownership::of(&main), OnceCell::new()));
    }
    // Where the database is there, nobody asks for its copies.
    if let Some(copy) = latest_copy(device)? {
        if let Some(found) = stat(device, &copy)?.filter(is_file) {
            let extended = OnceCell::from(device.disk().extended(&copy));
            return Ok((Ownership::of(&found), extended));
        }
    }
    new_ownership(device).map(|ownership| (ownership, OnceCell::from(Vec::new())))
}

/// What waits to take the database's name, or its newest snapshot.
fn latest_copy(device: &Device<'_>) -> Result<Option<PathBuf>, Failure> {
    let (disk, state) = (device.disk(), &device.state);
    let failed = |error: io::Error| Failure::io(OP, &state.root, &error);
    let ready = state
        .ready_operations(disk)
        .map_err(failed)?
        .last()
        .map(|operation| state.ready(*operation));
    let snapshot =
        || state.list_snapshots(disk).map(|names| names.first().map(|name| state.snapshot(name)));
    ready.map_or_else(|| snapshot().map_err(failed), |ready| Ok(Some(ready)))
}

/// Of a database that was never there: the configured owner, or the folder's.
fn new_ownership(device: &Device<'_>) -> Result<Ownership, Failure> {
    let mode = device.settings.mode;
    if let Some((uid, gid)) = configured_owner(device) {
        return Ok(Ownership { uid, gid, mode });
    }
    owner_is_known(device)?;
    match stat(device, device.files.folder())? {
        Some(folder) => Ok(Ownership { uid: folder.uid, gid: folder.gid, mode }),
        None => {
            let cause = format!("the folder {} is missing", device.files.folder().display());
            Err(Failure::new(Class::Missing, OP, cause).at(device.files.folder()))
        }
    }
}
