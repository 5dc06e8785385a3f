//! Owns a storage that lies: one lie a process, told through [`Disk`] or through SQLite's VFS.
//! Promises: every call but the one that the lie is about goes through unchanged; without a lie
//! nothing is wrapped.
//! Never part of an ordinary run: the suite must notice each of these.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::OnceLock;

use bootmigrate::device::disk::{Disk, File, Lease, Op, Open, Rename, Space, Stat};

use super::simulation::Sim;

/// What the storage lies about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// `fsync` of a folder returns at once.
    FolderSyncs,
    /// `fsync` of a note in quarantine returns at once.
    NoteSyncs,
    /// A rename over another file is an unlink and a rename.
    RenamesInTwoSteps,
    /// A copy ends after the first page and says that it is whole.
    ShortCopies,
    /// A ready file that was unlinked is still there.
    ReadyUnlinks,
    /// The sync of SQLite's rollback journal returns at once.
    JournalSyncs,
    /// The sync of the folder that a new rollback journal lies in returns at once.
    JournalNames,
    /// SQLite's sync of a main file returns at once.
    MainSyncs,
    /// The sync of a WAL returns at once.
    WalSyncs,
}

/// Every lie, and the scenario that should notice it first.
pub const ALL: &[(Flaw, &str)] = &[
    (Flaw::FolderSyncs, "failing-purge"),
    (Flaw::NoteSyncs, "restore"),
    (Flaw::RenamesInTwoSteps, "no-transaction"),
    (Flaw::ShortCopies, "upgrade-delete"),
    (Flaw::ReadyUnlinks, "purge"),
    (Flaw::JournalSyncs, "upgrade-delete"),
    (Flaw::JournalNames, "upgrade-delete"),
    (Flaw::MainSyncs, "upgrade-delete"),
    (Flaw::WalSyncs, "upgrade-wal"),
];

impl Flaw {
    /// Its name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Flaw::FolderSyncs => "lying-folder-syncs",
            Flaw::NoteSyncs => "lying-note-syncs",
            Flaw::RenamesInTwoSteps => "lying-renames",
            Flaw::ShortCopies => "lying-copies",
            Flaw::ReadyUnlinks => "lying-ready-unlinks",
            Flaw::JournalSyncs => "lying-journal-syncs",
            Flaw::JournalNames => "lying-journal-names",
            Flaw::MainSyncs => "lying-main-syncs",
            Flaw::WalSyncs => "lying-wal-syncs",
        }
    }

    /// The lie with this name.
    pub fn named(name: &str) -> Option<Flaw> {
        ALL.iter().map(|(flaw, _)| *flaw).find(|flaw| flaw.name() == name)
    }

    /// SQLite's sync of this file shall do nothing.
    pub(super) fn swallows_sqlite_sync(self, path: &str) -> bool {
        match self {
            Flaw::JournalSyncs => path.ends_with("-journal"),
            Flaw::WalSyncs => path.ends_with("-wal"),
            Flaw::MainSyncs => !path.ends_with("-journal") && !path.ends_with("-wal"),
            _ => false,
        }
    }
}

static CHOSEN: OnceLock<Flaw> = OnceLock::new();

/// From now on every simulated storage of this process tells this lie.
pub fn choose(flaw: Flaw) {
    let _ = CHOSEN.set(flaw);
}

/// The lie of this process.
pub fn chosen() -> Option<Flaw> {
    CHOSEN.get().copied()
}

/// Our own verbs on a storage that lies.
pub struct LyingStorage {
    /// The honest one.
    pub sim: Sim,
    /// The lie.
    pub flaw: Flaw,
}

struct LyingFile {
    file: Box<dyn File>,
    path: PathBuf,
    flaw: Flaw,
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or("")
}

impl Disk for LyingStorage {
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.sim.stat(path)
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.sim.list(folder)
    }
    fn read_start(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        self.sim.read_start(path, max)
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        self.sim.space(path)
    }
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.sim.resolve(path)
    }
    fn open(&self, op: Op, path: &Path, how: Open) -> io::Result<Box<dyn File>> {
        let file = Disk::open(&self.sim, op, path, how)?;
        Ok(Box::new(LyingFile { file, path: path.to_path_buf(), flaw: self.flaw }))
    }
    fn make_folder(&self, op: Op, path: &Path, mode: u32) -> io::Result<()> {
        self.sim.make_folder(op, path, mode)
    }
    fn set_owner(&self, op: Op, path: &Path, uid: u32, gid: u32) -> io::Result<()> {
        self.sim.set_owner(op, path, uid, gid)
    }
    fn rename(&self, op: Op, from: &Path, to: &Path, how: Rename) -> io::Result<()> {
        if self.flaw == Flaw::RenamesInTwoSteps
            && how == Rename::Replace
            && self.sim.stat(to)?.is_some()
        {
            self.sim.unlink(op, to)?;
        }
        self.sim.rename(op, from, to, how)
    }
    fn link(&self, op: Op, from: &Path, to: &Path) -> io::Result<()> {
        self.sim.link(op, from, to)
    }
    fn unlink(&self, op: Op, path: &Path) -> io::Result<()> {
        if self.flaw == Flaw::ReadyUnlinks && name_of(path).starts_with("ready-") {
            return Ok(());
        }
        self.sim.unlink(op, path)
    }
    fn remove_folder(&self, op: Op, path: &Path) -> io::Result<()> {
        self.sim.remove_folder(op, path)
    }
    fn sync_folder(&self, op: Op, path: &Path) -> io::Result<()> {
        if self.flaw == Flaw::FolderSyncs {
            return Ok(());
        }
        self.sim.sync_folder(op, path)
    }
}

impl File for LyingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }
    fn write_at(&self, op: Op, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(op, offset, bytes)
    }
    fn sync(&self, op: Op) -> io::Result<()> {
        if self.flaw == Flaw::NoteSyncs && name_of(&self.path).starts_with("reason.") {
            return Ok(());
        }
        self.file.sync(op)
    }
    fn sync_data(&self, op: Op) -> io::Result<()> {
        self.file.sync_data(op)
    }
    fn stat(&self) -> io::Result<Stat> {
        self.file.stat()
    }
    fn copy_from(&self, op: Op, source: &dyn File, stop: &AtomicBool) -> io::Result<u64> {
        let size = source.stat()?.size;
        if self.flaw == Flaw::ShortCopies {
            let mut page = [0; 4096];
            let read = source.read_at(0, &mut page)?;
            return self.file.write_at(op, 0, &page[..read]).map(|()| size);
        }
        match source.as_any().downcast_ref::<LyingFile>() {
            Some(source) => self.file.copy_from(op, &*source.file, stop),
            None => self.file.copy_from(op, source, stop),
        }
    }
    fn take_owner(&self, op: Op, uid: u32, gid: u32, mode: u32) -> io::Result<()> {
        self.file.take_owner(op, uid, gid, mode)
    }
    fn lease(&self) -> io::Result<Lease> {
        self.file.lease()
    }
    fn lease_state(&self) -> io::Result<Lease> {
        self.file.lease_state()
    }
    fn release_lease(&self) -> io::Result<()> {
        self.file.release_lease()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
