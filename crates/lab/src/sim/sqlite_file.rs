//! Owns SQLite's side of the simulation without a pointer: what each VFS method does and which code
//! it returns.
//! Promises: the same system calls, in the same order and with the same codes, as SQLite's own unix
//! VFS on Linux.
//! Never is cleverer than that VFS: a sync that SQLite leaves out is left out here.

use std::sync::atomic::AtomicU64;

use rusqlite::ffi;

use super::content::Payload;
use super::effect::SQLITE;
use super::fault::Call;
use super::handles::{HandleId, OpenHow};
use super::locks::FileLock;
use super::lying::{self, Flaw};
use super::model::{Caller, Model};
use super::simulation::{Sim, Target};
use super::state::Errno;
use super::vfs::failed;

/// A code of SQLite.
pub(super) type Code = i32;

/// One file that SQLite has open.
pub(super) struct SqliteFile {
    sim: Sim,
    handle: HandleId,
    path: Box<str>,
    /// A journal or WAL that SQLite made: its folder is synced together with its first sync.
    sync_folder: bool,
    delete_on_close: bool,
}

/// What a temporary file is called in the log of faults.
const NAMELESS: &str = "(temporary)";
/// Files whose folder the unix VFS syncs with their first sync.
const JOURNALS: i32 =
    ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;

fn folder_of(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((folder, _)) => folder,
    }
}

impl Sim {
    fn sqlite_call<T>(
        &self,
        call: Call,
        path: &str,
        operation: impl FnOnce(&mut Model, &Caller<'_>) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let caller = Caller { process: self.process_number(), op: SQLITE, path };
        let entered = self.enter(call, SQLITE, Target::Path(path));
        entered.and_then(|(mut model, _)| operation(&mut model, &caller)).map_err(failed)
    }

    /// `xOpen`: the file and the flags it was really opened with.
    pub(super) fn sqlite_open(
        &self,
        path: Option<&str>,
        flags: i32,
    ) -> Result<(SqliteFile, i32), Code> {
        let delete_on_close = flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0;
        let Some(path) = path else {
            let opened =
                self.sqlite_call(Call::Open, NAMELESS, |model, caller| model.open_nameless(caller));
            let handle = opened.map_err(|_| ffi::SQLITE_CANTOPEN)?;
            let file = SqliteFile {
                sim: self.clone(),
                handle,
                path: NAMELESS.into(),
                sync_folder: false,
                delete_on_close: false,
            };
            return Ok((file, flags));
        };
        let create = flags & ffi::SQLITE_OPEN_CREATE != 0;
        let writable = flags & ffi::SQLITE_OPEN_READWRITE != 0;
        let exclusive = flags & ffi::SQLITE_OPEN_EXCLUSIVE != 0;
        let how = OpenHow { writable, create, exclusive, sqlite: true, mode: 0o644 };
        let call = if create { Call::Create } else { Call::Open };
        let journal = create && flags & JOURNALS != 0;
        let opened = self.sqlite_call(call, path, |model, caller| model.open(caller, how));
        let (handle, flags) = match opened {
            Ok(handle) => (handle, flags),
            Err(libc::EACCES) if journal && self.lock().state.follow(path).is_err() => {
                return Err(ffi::SQLITE_READONLY_DIRECTORY);
            }
            Err(errno) if errno != libc::EISDIR && writable => {
                let how = OpenHow { writable: false, create: false, exclusive: false, ..how };
                let handle =
                    self.sqlite_call(Call::Open, path, |model, caller| model.open(caller, how));
                let kept = flags & !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE);
                (handle.map_err(|_| ffi::SQLITE_CANTOPEN)?, kept | ffi::SQLITE_OPEN_READONLY)
            }
            Err(_) => return Err(ffi::SQLITE_CANTOPEN),
        };
        let file = SqliteFile {
            sim: self.clone(),
            handle,
            path: path.into(),
            sync_folder: journal,
            delete_on_close,
        };
        Ok((file, flags))
    }

    /// `xDelete`.
    pub(super) fn sqlite_delete(&self, path: &str, sync_folder: bool) -> Code {
        match self.sqlite_call(Call::Unlink, path, |model, caller| model.unlink(caller, false)) {
            Ok(()) => {}
            Err(libc::ENOENT) => return ffi::SQLITE_IOERR_DELETE_NOENT,
            Err(_) => return ffi::SQLITE_IOERR_DELETE,
        }
        let synced = !sync_folder
            || self
                .sqlite_call(Call::SyncFolder, folder_of(path), |model, caller| {
                    model.sync_folder(caller)
                })
                .is_ok();
        if synced {
            ffi::SQLITE_OK
        } else {
            ffi::SQLITE_IOERR_DIR_FSYNC
        }
    }

    /// `xAccess`: a file exists only when it has content, as the unix VFS has it.
    pub(super) fn sqlite_access(&self, path: &str, flags: i32) -> bool {
        let looked = self.sqlite_call(Call::Look, path, |model, caller| {
            let (id, _) = model.state.follow(caller.path)?;
            let node = model.state.node(id)?;
            if flags == ffi::SQLITE_ACCESS_EXISTS {
                return Ok(model.state.content(id).map_or(true, |content| content.size() > 0));
            }
            model.writable(node.device).map(|()| true)
        });
        looked.unwrap_or(false)
    }

    /// `xFullPathname`: symbolic links followed; `true` when there were any.
    pub(super) fn sqlite_full_path(&self, path: &str) -> (String, bool) {
        let absolute = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let resolved = self.lock().state.follow(&absolute).map(|(_, path)| path);
        let resolved = resolved.unwrap_or_else(|_| absolute.clone());
        let followed = resolved != absolute;
        (resolved, followed)
    }

    /// `xRandomness`.
    pub(super) fn sqlite_random(&self, bytes: &mut [u8]) {
        let mut model = self.lock();
        for chunk in bytes.chunks_mut(8) {
            let word = model.random.draw().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

impl SqliteFile {
    fn call<T>(
        &self,
        call: Call,
        operation: impl FnOnce(&mut Model, &Caller<'_>, bool) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let caller = Caller { process: self.sim.process_number(), op: SQLITE, path: &self.path };
        let entered = self.sim.enter(call, SQLITE, Target::Handle(self.handle));
        entered.and_then(|(mut model, short)| operation(&mut model, &caller, short)).map_err(failed)
    }

    /// `xRead`: what lies beyond the end reads as zeros, with a code that says so.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> Code {
        let done = self.call(Call::Read, |model, _, _| {
            let node = model.handle(self.handle)?.node;
            model.read(node, offset, buffer)
        });
        match done {
            Ok(done) if done == buffer.len() => ffi::SQLITE_OK,
            Ok(done) => {
                buffer[done..].fill(0);
                ffi::SQLITE_IOERR_SHORT_READ
            }
            Err(_) => ffi::SQLITE_IOERR_READ,
        }
    }

    /// `xWrite`.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Code {
        let written = self.call(Call::Write, |model, caller, short| {
            let kept = if short { &bytes[..bytes.len() / 2] } else { bytes };
            model.write(caller, self.handle, offset, Payload::new(offset, kept))?;
            if short {
                Err(libc::ENOSPC)
            } else {
                Ok(())
            }
        });
        match written {
            Ok(()) => ffi::SQLITE_OK,
            Err(libc::ENOSPC) => ffi::SQLITE_FULL,
            Err(_) => ffi::SQLITE_IOERR_WRITE,
        }
    }

    /// `xTruncate`.
    pub(super) fn truncate(&self, size: u64) -> Code {
        let done =
            self.call(Call::Truncate, |model, caller, _| model.truncate(caller, self.handle, size));
        done.map_or(ffi::SQLITE_IOERR_TRUNCATE, |()| ffi::SQLITE_OK)
    }

    /// `xSync`: the file; the first time also the folder of a journal, whose failure the unix VFS
    /// overlooks.
    pub(super) fn sync(&mut self) -> Code {
        let flaw = lying::chosen();
        if flaw == Some(Flaw::JournalNames) {
            self.sync_folder = false;
        }
        if flaw.is_some_and(|flaw| flaw.swallows_sqlite_sync(&self.path)) {
            return ffi::SQLITE_OK;
        }
        if self.call(Call::Sync, |model, caller, _| model.sync(caller, self.handle)).is_err() {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        if std::mem::take(&mut self.sync_folder) {
            let folder = folder_of(&self.path);
            let _ = self
                .sim
                .sqlite_call(Call::SyncFolder, folder, |model, caller| model.sync_folder(caller));
        }
        ffi::SQLITE_OK
    }

    /// `xFileSize`.
    pub(super) fn size(&self) -> Result<u64, Code> {
        let size = self.call(Call::Look, |model, _, _| {
            let node = model.handle(self.handle)?.node;
            Ok(model.state.content(node)?.size())
        });
        size.map_err(|_| ffi::SQLITE_IOERR_FSTAT)
    }

    /// `xLock`.
    pub(super) fn lock(&self, level: i32) -> Code {
        let wanted = FileLock::from_number(level);
        match self.call(Call::Lock, |model, _, _| model.lock_file(self.handle, wanted)) {
            Ok(true) => ffi::SQLITE_OK,
            Ok(false) => ffi::SQLITE_BUSY,
            Err(_) => ffi::SQLITE_IOERR_LOCK,
        }
    }

    /// `xUnlock`: never made to fail.
    pub(super) fn unlock(&self, level: i32) -> Code {
        let level = FileLock::from_number(level);
        self.sim
            .lock()
            .unlock_file(self.handle, level)
            .map_or(ffi::SQLITE_IOERR_UNLOCK, |()| ffi::SQLITE_OK)
    }

    /// `xCheckReservedLock`.
    pub(super) fn is_reserved(&self) -> Result<bool, Code> {
        let reserved = self.call(Call::Lock, |model, _, _| model.is_reserved(self.handle));
        reserved.map_err(|_| ffi::SQLITE_IOERR_CHECKRESERVEDLOCK)
    }

    /// `SQLITE_FCNTL_HAS_MOVED`: the name stands for another file now, or for none.
    pub(super) fn has_moved(&self) -> bool {
        let model = self.sim.lock();
        let now = model.state.follow(&self.path).ok().map(|(id, _)| id);
        model.handle(self.handle).is_ok_and(|handle| now != Some(handle.node))
    }

    /// `xShmMap`: the region, or none where it does not exist and is not to be made.
    pub(super) fn map_shared(
        &self,
        index: usize,
        bytes: usize,
        extend: bool,
    ) -> Result<Option<*const AtomicU64>, Code> {
        let path =
            self.sim.lock().shared_path(self.handle).map_err(|_| ffi::SQLITE_IOERR_SHMOPEN)?;
        if let Some(path) = path {
            let opened = self.sim.sqlite_call(Call::Create, &path, |model, caller| {
                model.open_shared(self.handle, caller)
            });
            if !opened.map_err(|_| ffi::SQLITE_CANTOPEN)? {
                return Err(ffi::SQLITE_READONLY_CANTINIT);
            }
        }
        let map =
            || self.sim.lock().map_shared(self.handle, index).map_err(|_| ffi::SQLITE_IOERR_SHMMAP);
        let region = map()?;
        if region.is_some() || !extend {
            return Ok(region);
        }
        let extended =
            self.call(Call::Write, |model, _, _| model.extend_shared(self.handle, index, bytes));
        extended.map_err(|_| ffi::SQLITE_IOERR_SHMSIZE)?;
        map()
    }

    /// `xShmLock`.
    pub(super) fn lock_shared(&self, first: u16, count: u16, flags: i32) -> Code {
        let mut model = self.sim.lock();
        let done = if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
            model.unlock_shared(self.handle, first, count).map(|()| true)
        } else {
            model.lock_shared(self.handle, first, count, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0)
        };
        match done {
            Ok(true) => ffi::SQLITE_OK,
            Ok(false) => ffi::SQLITE_BUSY,
            Err(_) => ffi::SQLITE_IOERR_SHMLOCK,
        }
    }

    /// `xShmUnmap`: the last connection unlinks the file where it shall; a failure is overlooked,
    /// as the unix VFS does.
    pub(super) fn unmap_shared(&self, delete: bool) {
        let last = self.sim.lock().unmap_shared(self.handle);
        if let (Ok(Some(path)), true) = (last, delete) {
            let _ = self
                .sim
                .sqlite_call(Call::Unlink, &path, |model, caller| model.unlink(caller, false));
        }
    }
}

impl Drop for SqliteFile {
    fn drop(&mut self) {
        if self.delete_on_close {
            let _ = self
                .sim
                .sqlite_call(Call::Unlink, &self.path, |model, caller| model.unlink(caller, false));
        }
        self.sim.lock().close(self.handle);
    }
}
