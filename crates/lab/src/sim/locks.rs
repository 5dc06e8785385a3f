//! Owns SQLite's five file locks, between all connections of all processes.
//! Promises: grants and refuses as SQLite's unix VFS does with POSIX locks.
//! Never waits: the busy handler is SQLite's.

use super::handles::HandleId;
use super::model::Model;
use super::state::Errno;

/// SQLite's lock levels, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FileLock {
    None,
    Shared,
    Reserved,
    Pending,
    Exclusive,
}

impl FileLock {
    /// From `SQLITE_LOCK_*`.
    pub fn from_number(number: i32) -> FileLock {
        match number {
            0 => FileLock::None,
            1 => FileLock::Shared,
            2 => FileLock::Reserved,
            3 => FileLock::Pending,
            _ => FileLock::Exclusive,
        }
    }
}

impl Model {
    /// The highest lock that another connection is seen to have.
    fn highest_other(&self, id: HandleId) -> Result<FileLock, Errno> {
        let own = self.handle(id)?;
        let others = self.handles.iter().filter(|(other, handle)| {
            let seen = handle.process == own.process || handle.lock_in_kernel;
            **other != id && handle.node == own.node && seen
        });
        Ok(others.map(|(_, handle)| handle.lock).max().unwrap_or(FileLock::None))
    }

    /// `true`: granted; `false`: busy.
    pub fn lock_file(&mut self, id: HandleId, wanted: FileLock) -> Result<bool, Errno> {
        let other = self.highest_other(id)?;
        let held = self.handle(id)?.lock;
        if held >= wanted {
            return Ok(true);
        }
        let granted = match wanted {
            FileLock::None => held,
            FileLock::Shared if other >= FileLock::Pending => held,
            FileLock::Shared => FileLock::Shared,
            FileLock::Reserved | FileLock::Pending | FileLock::Exclusive
                if other >= FileLock::Reserved =>
            {
                held
            }
            FileLock::Exclusive if other >= FileLock::Shared => FileLock::Pending,
            FileLock::Reserved | FileLock::Pending | FileLock::Exclusive => wanted,
        };
        let handle = self.handle_mut(id)?;
        handle.lock = granted;
        handle.lock_in_kernel = true;
        Ok(granted >= wanted)
    }

    pub fn unlock_file(&mut self, id: HandleId, level: FileLock) -> Result<(), Errno> {
        let handle = self.handle_mut(id)?;
        handle.lock = handle.lock.min(level);
        Ok(())
    }

    /// Does any connection hold RESERVED or more?
    pub fn is_reserved(&self, id: HandleId) -> Result<bool, Errno> {
        Ok(self.highest_other(id)?.max(self.handle(id)?.lock) >= FileLock::Reserved)
    }
}
