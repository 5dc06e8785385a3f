//! Owns [`Device`]: one database's place on this device, and the effects that reach it.
//! Promises: knows how, never whether; every effect goes through the trait [`Disk`] or SQLite's
//! VFS.
//! Never imports `decide`.

pub mod clock;
pub mod descriptors;
pub mod disk;
pub mod files;
pub mod history;
pub mod logging;
pub mod memory;
pub mod mounts;
pub mod notify;
pub mod output;
pub mod pages;
pub mod progress;
pub mod signals;
pub mod sqlite;
pub mod supervisor;
pub mod wal;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::catalog::Catalog;
use crate::config::{names, DatabaseSettings, Slots};
use crate::error::{Class, Failure};
use crate::hooks::Hooks;
use clock::{Clock, Wait};
use disk::{Disk, Inode, Op, Space, Stat};
use files::{DatabaseFiles, MainFile, StateFolder};
use mounts::{mounted, MissingMount, Mounted};
use sqlite::registered::Registered;
use sqlite::watch::{Limits, SCRATCH_STEPS_MAX};
use sqlite::Sqlite;

/// SQLite's variable for the folder of its temporary files.
pub const TEMPORARY_FOLDER: &str = "SQLITE_TMPDIR";

/// A run has told SQLite to put its temporary files into a state folder. SQLite reads the variable
/// once; each database's own go into its own.
pub fn are_temporary_files_beside() -> bool {
    let folder = std::env::var_os(TEMPORARY_FOLDER).map(PathBuf::from);
    folder.is_some_and(|folder| {
        folder.parent().and_then(Path::file_name).is_some_and(|name| name == names::STATE_FOLDER)
    })
}

/// The effects that all databases of one run share.
#[derive(Clone)]
pub struct Environment<'a> {
    /// Our own files.
    pub disk: &'a dyn Disk,
    /// SQLite's files.
    pub sqlite: Sqlite<'a>,
    /// Waiting and the date.
    pub clock: &'a dyn Clock,
    /// Raised by SIGTERM and SIGINT.
    pub stop: Arc<AtomicBool>,
    /// `--root`; empty for none.
    pub root: PathBuf,
    /// The firmware's version, as os-release names it; for the history.
    pub firmware: String,
    /// The product's migrations in Rust; `None` for none.
    pub code: Option<&'a Registered>,
}

/// One database on this device.
#[derive(Clone)]
pub struct Device<'a> {
    /// The effects.
    pub environment: &'a Environment<'a>,
    /// Its settings.
    pub settings: &'a DatabaseSettings,
    /// What this firmware carries for it.
    pub catalog: &'a Catalog,
    /// How many slots share it.
    pub slots: Slots,
    /// Its four files, symbolic links followed.
    pub files: DatabaseFiles,
    /// D.
    pub state: StateFolder,
    /// A copy of the database that will be thrown away: its place is no mount of its own, and
    /// nothing is told of it to other runs.
    pub is_copy: bool,
    /// The main file that this run has looked at and opened; `None` before, and when another one
    /// has taken its name.
    opened: Arc<Mutex<Option<Inode>>>,
}

impl<'a> Device<'a> {
    /// The device's view of one database whose path has been resolved.
    pub fn new(
        environment: &'a Environment<'a>,
        settings: &'a DatabaseSettings,
        catalog: &'a Catalog,
        slots: Slots,
        main: PathBuf,
    ) -> Device<'a> {
        let files = DatabaseFiles { main };
        let state = StateFolder::of(&files);
        Device {
            environment,
            settings,
            catalog,
            slots,
            files,
            state,
            is_copy: false,
            opened: Arc::default(),
        }
    }

    /// The same database, of which this file is a copy.
    pub fn copied_to(&self, main: PathBuf) -> Device<'a> {
        let files = DatabaseFiles { main };
        Device {
            state: StateFolder::of(&files),
            files,
            is_copy: true,
            opened: Arc::default(),
            ..self.clone()
        }
    }

    /// Tells the product's hooks, but for a copy that will be thrown away.
    pub fn tell(&self, what: impl Fn(&dyn Hooks)) {
        if let Some(product) = self.environment.code.filter(|_| !self.is_copy) {
            product.tell(what);
        }
    }

    /// Our own files.
    pub fn disk(&self) -> &'a dyn Disk {
        self.environment.disk
    }

    /// SQLite's files.
    pub fn sqlite(&self) -> Sqlite<'_> {
        let statement = self
            .settings
            .statement_timeout_s
            .map(|seconds| Duration::from_secs(u64::from(seconds)));
        let main = self.opened_main().map(|inode| (self.files.main.as_path(), inode));
        Sqlite {
            limits: Limits {
                stop: Some(&self.environment.stop),
                statement,
                scratch_work: Some(SCRATCH_STEPS_MAX),
            },
            main,
            temporary: Some(&self.state.root),
            show_rows: self.settings.show_rows,
            ..self.environment.sqlite
        }
    }

    /// How long somebody who has the database open is waited for.
    pub fn busy_limit(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.busy_timeout_s))
    }

    /// The wait for whoever has it open, `busy_timeout_s` long.
    pub fn wait(&self) -> Wait<'_> {
        self.wait_for(self.busy_limit())
    }

    /// A wait of this length.
    pub fn wait_for(&self, limit: Duration) -> Wait<'_> {
        Wait { clock: self.environment.clock, limit, stop: &self.environment.stop }
    }

    /// Opens main. Whoever holds a lease on it has to release it now, and is waited for until
    /// `limit`.
    ///
    /// # Errors
    /// As [`MainFile::open`]; in use where the lease stays.
    pub fn open_main(&self, op: Op, limit: Duration) -> Result<MainFile, Failure> {
        let main = &self.files.main;
        let open = || match MainFile::open(self.disk(), main) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            opened => opened.map(Some).map_err(|error| self.cannot_open(op, &error)),
        };
        let opened = self.wait_for(limit).until(op, open)?;
        opened.ok_or_else(|| {
            Failure::new(Class::InUse, op, "another process keeps a lease on it").at(main)
        })
    }

    /// From now on SQLite opens this file under main's name, and no other.
    pub fn opens(&self, main: Option<&MainFile>) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) =
            main.map(|main| (main.stat.device, main.stat.inode));
    }

    fn opened_main(&self) -> Option<Inode> {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose file it is, for a packaging fault.
    fn cannot_open(&self, op: Op, error: &std::io::Error) -> Failure {
        let failure = Failure::io(op, &self.files.main, error);
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => self.refused(op).unwrap_or(failure),
            _ => failure,
        }
    }

    /// The first of the four files that this process may not open, and whose it is.
    pub fn refused(&self, op: Op) -> Option<Failure> {
        let files =
            [self.files.main.clone(), self.files.journal(), self.files.wal(), self.files.shm()];
        files.iter().find_map(|path| {
            let stat = self.disk().stat(path).ok().flatten()?;
            self.disk()
                .check_access(path)
                .err()
                .filter(|error| error.kind() == std::io::ErrorKind::PermissionDenied)?;
            let us = rustix::process::geteuid().as_raw();
            let (uid, gid, mode) = (stat.uid, stat.gid, stat.mode);
            let cause = format!(
                "it belongs to {uid}:{gid} with mode {mode:04o}, and uid {us} may not read and \
                 write it"
            );
            Some(Failure::new(Class::Storage, op, cause).at(path))
        })
    }

    /// SQLite and the kernel name the main file whichever of the four they were refused: this names
    /// the one, and keeps their words.
    pub fn naming_the_refused(&self, failure: Failure) -> Failure {
        if failure.class != Class::Storage
            || failure.path.as_deref() != Some(&self.files.main)
            || failure.place.is_some()
        {
            return failure;
        }
        match self.refused(failure.op).filter(|refused| refused.cause != failure.cause) {
            Some(refused) => {
                let cause = format!("{}: {}", refused.cause, failure.cause);
                Failure { cause, path: refused.path, ..failure }
            }
            None => failure,
        }
    }

    /// A stop signal came.
    pub fn must_stop(&self) -> bool {
        self.environment.stop.load(Ordering::Relaxed)
    }

    /// The end of a long step: a stop signal ends the run here.
    ///
    /// # Errors
    /// Interrupted.
    pub fn stop_here(&self, op: Op) -> Result<(), Failure> {
        if self.must_stop() {
            return Err(Failure::stopped(op));
        }
        Ok(())
    }

    /// Room where the database lies.
    ///
    /// # Errors
    /// As `statvfs`.
    pub fn space(&self) -> std::io::Result<Space> {
        // Before a first boot the folder may be missing: then where it will be made.
        let mut folder = self.files.folder();
        while self.disk().stat(folder)?.is_none() && folder != disk::parent(folder) {
            folder = disk::parent(folder);
        }
        self.disk().space(folder)
    }

    /// Room where SQLite's temporary files go.
    ///
    /// # Errors
    /// As `statvfs`.
    pub fn temporary_space(&self) -> std::io::Result<Space> {
        match std::env::var_os(TEMPORARY_FOLDER) {
            Some(folder) if !are_temporary_files_beside() => self.disk().space(Path::new(&folder)),
            _ => self.space(),
        }
    }

    /// What is mounted at this path; nothing under `--root`, where mounts are not looked at.
    pub fn mounted(&self, path: &Path) -> Option<Mounted> {
        if !self.environment.root.as_os_str().is_empty() {
            return None;
        }
        mounted(self.disk(), path)
    }

    /// Why the partition that must be mounted at this path is taken for missing; `None` where it is
    /// there, and where nobody asks: under `--root`, and for a copy.
    pub fn not_mounted(&self, path: &Path) -> Option<MissingMount> {
        if self.is_copy
            || !self.environment.root.as_os_str().is_empty()
            || self.mounted(path) == Some(Mounted::Another)
        {
            return None;
        }
        Some(match mounts::table(self.disk()) {
            Ok(_) => MissingMount::NotMounted(path.to_owned()),
            Err(error) => MissingMount::Unseen(path.to_owned(), error),
        })
    }
}

/// Who owns what we make: the database's owner, or the configured one, or the folder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits of a database file.
    pub mode: u32,
}

impl Ownership {
    /// The ids, for files and folders of ours.
    pub fn ids(&self) -> Option<(u32, u32)> {
        Some((self.uid, self.gid))
    }

    /// The owner of this file, with its mode.
    pub fn of(stat: &Stat) -> Ownership {
        Ownership { uid: stat.uid, gid: stat.gid, mode: stat.mode }
    }
}

/// Bytes of /etc/passwd and /etc/group that are read at most.
const ACCOUNTS_BYTES_MAX: usize = 1 << 20;

/// The number of a user or group: itself where it is one, else as /etc/passwd or /etc/group (under
/// `--root`) has it.
pub fn account(disk: &dyn Disk, file: &Path, name: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let text = disk::system_text(disk, file, ACCOUNTS_BYTES_MAX);
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// An op of looking, where nothing durable changes.
pub const LOOK: Op = Op("look at the database");
