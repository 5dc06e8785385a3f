//! Owns the question whose the files around a database are.
//! Promises: what somebody else may have put there ends the run (16) before anything is opened,
//! made or changed; of a process that may write everybody's files also an owner, a mode or a second
//! name that nobody of us gave.
//! Never repairs what it finds.

use std::io;
use std::path::{Path, PathBuf};

use crate::device::disk::{parent, FileKind, Op, Stat, Untrusted, Why, WrongKind};
use crate::device::files::{ready_among, DatabaseFiles, StateFolder};
use crate::device::{account, supervisor, Device};
use crate::error::Failure;

const OP: Op = Op("look whose the files are");
const BY_EVERYBODY: u32 = 0o002;
const BY_THE_GROUP: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// Who may own what belongs to a database, and who may write to it.
pub struct Trust {
    /// Only a process that may write everybody's files can be made to harm somebody.
    guards: bool,
    /// The main file, when it was looked at.
    pub main: Option<Stat>,
    /// The folder is root's, or will be made.
    in_a_folder_of_root: bool,
    owners: Vec<u32>,
    /// All folders that hold state are there.
    pub has_state: bool,
}

/// Looks at the database, its side files, its folder and the folders of state; what lies in those
/// is looked at as it is opened.
///
/// # Errors
/// Not ours (16): what is somebody else's, or may be; else as `lstat`.
pub fn check(device: &Device<'_>) -> Result<Trust, Failure> {
    let mut trust = Trust::of(device)?;
    let looked = trust.database(device).and_then(|()| trust.folders(device));
    trust.has_state = looked.map_err(|error| Failure::io(OP, &device.files.main, &error))?;
    Ok(trust)
}

/// The same for whoever opens nothing: the files in the state folder too, whose names these are.
///
/// # Errors
/// As [`check`].
pub fn check_everything(device: &Device<'_>) -> Result<Trust, Failure> {
    let failed = |error| Failure::io(OP, &device.files.main, &error);
    let trust = check(device)?;
    trust.files_of_state(device).map_err(failed)?;
    let names = device.disk().list(&device.state.root).map_err(failed)?;
    trust.ready_files(device, &names)?;
    Ok(trust)
}

impl Trust {
    /// For this database.
    ///
    /// # Errors
    /// As `lstat`.
    pub fn of(device: &Device<'_>) -> Result<Trust, Failure> {
        let stat =
            |path: &Path| device.disk().stat(path).map_err(|error| Failure::io(OP, path, &error));
        let guards = device.disk().is_root();
        let (main, folder) = (stat(&device.files.main)?, stat(device.files.folder())?);
        let in_a_folder_of_root = folder.is_none_or(|folder| folder.uid == 0);
        let mut owners = vec![0];
        owners.extend(folder.map(|folder| folder.uid));
        owners.extend(configured_owner(device).filter(|_| guards).map(|(uid, _)| uid));
        if in_a_folder_of_root {
            // Whose a database is there, root has allowed; of one that is lost the state folder
            // tells it.
            let told = if main.is_some() { main } else { stat(&device.state.root)? };
            owners.extend(told.map(|told| told.uid));
        }
        Ok(Trust { guards, main, in_a_folder_of_root, owners, has_state: false })
    }

    /// A file of ours, as it lies there or as it was opened: of an owner that belongs here, with no
    /// name that we do not know.
    ///
    /// # Errors
    /// [`Untrusted`]; else as `lstat` and `readdir`.
    pub fn accept(&self, device: &Device<'_>, path: &Path, stat: &Stat) -> io::Result<()> {
        self.owned(device, path, stat)?;
        self.named(device, path, stat)
    }

    /// As [`Trust::accept`], for a file that never gets a second name.
    ///
    /// # Errors
    /// [`Untrusted`].
    pub fn accept_alone(&self, device: &Device<'_>, path: &Path, stat: &Stat) -> io::Result<()> {
        self.owned(device, path, stat)?;
        if self.may_be_a_trap(device, path, stat)? {
            return Err(Untrusted { path: path.to_owned(), why: Why::Names(stat.links, 1) }.into());
        }
        Ok(())
    }

    /// The four files, and the folder that they lie in.
    fn database(&self, device: &Device<'_>) -> io::Result<()> {
        let (disk, files) = (device.disk(), &device.files);
        if self.main.is_some_and(|main| main.kind == FileKind::Symlink) {
            if let Some(error) =
                disk.resolve(&files.main).err().filter(|error| Untrusted::of(error).is_some())
            {
                return Err(error);
            }
        }
        if let Some(folder) = disk.stat(files.folder())?.filter(|folder| folder.mode & STICKY == 0)
        {
            self.not_everybodys(device, files.folder(), &folder)?;
        }
        if let Some(main) = self.main.filter(|main| main.kind == FileKind::File) {
            self.owned(device, &files.main, &main)?;
        }
        let mut there = Vec::new();
        for path in [files.wal(), files.shm(), files.journal()] {
            let Some(stat) = disk.stat(&path)? else { continue };
            WrongKind::unless_file(&path, stat.kind)?;
            there.push((path, stat));
        }
        let beside = disk.stat(&files.beside())?.filter(|stat| stat.kind == FileKind::File);
        there.extend(beside.map(|stat| (files.beside(), stat)));
        for (path, stat) in &there {
            // A side file is of whoever was the first to write, and the group may write to the
            // database.
            let shared =
                self.main.is_some_and(|main| main.gid == stat.gid && main.mode & BY_THE_GROUP != 0);
            if shared {
                self.not_everybodys(device, path, stat)
            } else {
                self.owned(device, path, stat)
            }?;
            self.named(device, path, stat)?;
        }
        Ok(())
    }

    /// The state folder, and the folders above and below it; whether all of them are there.
    fn folders(&self, device: &Device<'_>) -> io::Result<bool> {
        let (disk, state) = (device.disk(), &device.state);
        let mut there = true;
        for folder in [parent(&state.root), &state.root, &state.snapshots(), &state.quarantine()] {
            let Some(stat) = disk.stat(folder)? else {
                there = false;
                continue;
            };
            WrongKind::unless_folder(folder, stat.kind)?;
            // In root's own folder databases of several owners share the one above.
            let shared = self.in_a_folder_of_root && folder == parent(&state.root);
            if shared {
                self.not_everybodys(device, folder, &stat)
            } else {
                self.owned(device, folder, &stat)
            }?;
        }
        Ok(there)
    }

    /// The files that a run begins with.
    fn files_of_state(&self, device: &Device<'_>) -> io::Result<()> {
        let (disk, state) = (device.disk(), &device.state);
        for path in [state.lock(), state.record()] {
            if let Some(stat) = disk.stat(&path)? {
                WrongKind::unless_file(&path, stat.kind)?;
                self.accept_alone(device, &path, &stat)?;
            }
        }
        Ok(())
    }

    /// The ready files among these names of the state folder, before one of them takes main's name.
    ///
    /// # Errors
    /// Not ours (16); else as `lstat` and `readdir`.
    pub fn ready_files(&self, device: &Device<'_>, names: &[String]) -> Result<(), Failure> {
        let look = |path: &Path| {
            let Some(stat) = device.disk().stat(path)? else { return Ok(()) };
            WrongKind::unless_file(path, stat.kind)?;
            self.accept(device, path, &stat)
        };
        let mut paths =
            ready_among(names).into_iter().map(|operation| device.state.ready(operation));
        paths
            .try_for_each(|path| look(&path))
            .map_err(|error| Failure::io(OP, &device.files.main, &error))
    }

    fn owned(&self, device: &Device<'_>, path: &Path, stat: &Stat) -> io::Result<()> {
        if self.guards && !self.owners.contains(&stat.uid) {
            return Err(Untrusted { path: path.to_owned(), why: Why::Owner(stat.uid) }.into());
        }
        self.not_everybodys(device, path, stat)
    }

    fn not_everybodys(&self, device: &Device<'_>, path: &Path, stat: &Stat) -> io::Result<()> {
        if self.guards && stat.mode & BY_EVERYBODY != 0 && device.disk().keeps_modes(path) {
            return Err(Untrusted { path: path.to_owned(), why: Why::Writable(stat.mode) }.into());
        }
        Ok(())
    }

    /// A second name is a trap where whoever could put it there may not write to the file. One in
    /// the folder of the file's own owner is a backup's (`cp -al`, `ln`).
    fn may_be_a_trap(&self, device: &Device<'_>, path: &Path, stat: &Stat) -> io::Result<bool> {
        if stat.links < 2 || !self.guards {
            return Ok(false);
        }
        let holder = device.disk().stat(parent(path))?;
        Ok(holder.is_none_or(|holder| {
            holder.uid != stat.uid || holder.mode & (BY_THE_GROUP | BY_EVERYBODY) != 0
        }))
    }

    /// Each of its names is one that this program gives.
    fn named(&self, device: &Device<'_>, path: &Path, stat: &Stat) -> io::Result<()> {
        if !self.may_be_a_trap(device, path, stat)? {
            return Ok(());
        }
        let mut known = 0;
        for name in names(device)? {
            let other = device.disk().stat(&name)?;
            known += u64::from(
                other.is_some_and(|other| (other.device, other.inode) == (stat.device, stat.inode)),
            );
        }
        if stat.links > known {
            return Err(
                Untrusted { path: path.to_owned(), why: Why::Names(stat.links, known) }.into()
            );
        }
        // A name that moves from one place to another while they are counted is counted twice, and
        // the move changes the file.
        let now = device.disk().stat(path)?.map(|now| (now.device, now.inode, now.changed_ns));
        if now != Some((stat.device, stat.inode, stat.changed_ns)) {
            return Err(Untrusted { path: path.to_owned(), why: Why::Another }.into());
        }
        Ok(())
    }
}

/// Every name of a file of this database that is there.
fn names(device: &Device<'_>) -> io::Result<Vec<PathBuf>> {
    let disk = device.disk();
    let within = |folder: PathBuf| -> io::Result<Vec<PathBuf>> {
        Ok(disk.list(&folder)?.into_iter().map(|name| folder.join(name)).collect())
    };
    let (files, state) = (&device.files, &device.state);
    let rehearsed =
        StateFolder::of(&DatabaseFiles { main: state.rehearsal().join(files.file_name()) });
    let mut names =
        vec![files.main.clone(), files.wal(), files.shm(), files.journal(), files.beside()];
    // The snapshots of a copy that is rehearsed on are second names of the live database's.
    let copied_from = state
        .root
        .ancestors()
        .nth(3)
        .filter(|_| device.is_copy)
        .map(|live| StateFolder { root: live.to_owned() }.snapshots());
    for folder in [state.root.clone(), state.snapshots(), rehearsed.snapshots()]
        .into_iter()
        .chain(copied_from)
    {
        names.extend(within(folder)?);
    }
    for operation in state.list_quarantine(disk)? {
        names.extend(within(state.quarantined(operation))?);
    }
    Ok(names)
}

/// The `owner` of the configuration, as this device's accounts have it.
pub fn configured_owner(device: &Device<'_>) -> Option<(u32, u32)> {
    let owner = device.settings.owner.as_ref()?;
    let file = |name: &str| supervisor::place(&device.environment.root, Path::new(name));
    let disk = device.disk();
    Some((
        account(disk, &file("/etc/passwd"), &owner.user)?,
        account(disk, &file("/etc/group"), &owner.group)?,
    ))
}
