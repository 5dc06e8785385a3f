//! Owns the WAL index that connections of one database share, and its eight locks.
//! Promises: regions stay where they are while any connection uses them; the `-shm` file exists and
//! has a size as with the unix VFS.
//! Never survives a cut: only the file's name and size may.

use std::sync::atomic::AtomicU64;

use super::content::Payload;
use super::effect::{Change, SQLITE};
use super::handles::{HandleId, OpenHow};
use super::model::{Caller, Model};
use super::state::{Errno, NodeId};

/// What a process's connection holds: bits of the eight locks.
#[derive(Clone, Copy, Default)]
pub(super) struct SharedLocks {
    pub shared: u16,
    pub exclusive: u16,
}

/// The memory of one database, and the handle of its file.
pub(super) struct SharedMemory {
    regions: Vec<Box<[AtomicU64]>>,
    file: HandleId,
    path: String,
}

impl Model {
    /// The `-shm` file that must be opened before the first mapping, if it is not open yet.
    pub fn shared_path(&self, id: HandleId) -> Result<Option<String>, Errno> {
        let handle = self.handle(id)?;
        let missing = !self.memory.contains_key(&handle.node);
        Ok(missing.then(|| format!("{}-shm", handle.path)))
    }

    /// The first connection opens the file and empties it. `false`: it can only be read.
    pub fn open_shared(&mut self, id: HandleId, caller: &Caller<'_>) -> Result<bool, Errno> {
        let node = self.handle(id)?.node;
        // Another process has come first, just before this call.
        if self.memory.contains_key(&node) {
            return Ok(true);
        }
        let how =
            OpenHow { writable: true, create: true, exclusive: false, sqlite: true, mode: 0o644 };
        let file = match self.open(caller, how) {
            Ok(file) => file,
            Err(errno) => {
                let readable = self.state.follow(caller.path).is_ok();
                return if readable { Ok(false) } else { Err(errno) };
            }
        };
        if self.state.content(self.handle(file)?.node)?.size() > 0 {
            self.truncate(caller, file, 3)?;
        }
        // What is in it is never looked at after a cut: only its name and its size are logged.
        self.handle_mut(file)?.durable = false;
        self.memory
            .insert(node, SharedMemory { regions: Vec::new(), file, path: caller.path.to_owned() });
        Ok(true)
    }

    /// The region, if there is one; the connection uses the memory from now on.
    pub fn map_shared(
        &mut self,
        id: HandleId,
        index: usize,
    ) -> Result<Option<*const AtomicU64>, Errno> {
        let handle = self.handle_mut(id)?;
        handle.shared.get_or_insert_default();
        let node = handle.node;
        let memory = self.memory.get(&node).ok_or(libc::EIO)?;
        Ok(memory.regions.get(index).map(|region| region.as_ptr()))
    }

    /// Lengthens file and memory up to this region.
    pub fn extend_shared(&mut self, id: HandleId, index: usize, bytes: usize) -> Result<(), Errno> {
        let node = self.handle(id)?.node;
        let memory = self.memory.get(&node).ok_or(libc::EIO)?;
        let (file, path) = (memory.file, memory.path.clone());
        let caller = Caller { process: self.handle(id)?.process, op: SQLITE, path: &path };
        let from = self.state.content(self.handle(file)?.node)?.size() / 4096 * 4096;
        let zeros = vec![0; ((index + 1) * bytes).saturating_sub(from as usize)];
        self.write(&caller, file, from, Payload::new(from, &zeros))?;
        let durable = self.handle(id)?.durable;
        let (node_of_file, size) = (self.handle(file)?.node, from + zeros.len() as u64);
        self.record(&caller, durable, || Change::Truncate { node: node_of_file, size });
        let memory = self.memory.get_mut(&node).ok_or(libc::EIO)?;
        while memory.regions.len() <= index {
            memory.regions.push((0..bytes / 8).map(|_| AtomicU64::new(0)).collect());
        }
        Ok(())
    }

    /// Takes locks `first..first + count`. `false`: busy.
    pub fn lock_shared(
        &mut self,
        id: HandleId,
        first: u16,
        count: u16,
        exclusive: bool,
    ) -> Result<bool, Errno> {
        let mask = ((1 << count) - 1) << first;
        let node = self.handle(id)?.node;
        let others =
            self.handles.iter().filter(|(other, handle)| **other != id && handle.node == node);
        let busy = others.filter_map(|(_, handle)| handle.shared).any(|locks| {
            let conflicting =
                if exclusive { locks.shared | locks.exclusive } else { locks.exclusive };
            conflicting & mask != 0
        });
        if busy {
            return Ok(false);
        }
        let locks = self.handle_mut(id)?.shared.as_mut().ok_or(libc::EBADF)?;
        if exclusive {
            locks.exclusive |= mask;
        } else {
            locks.shared |= mask;
        }
        Ok(true)
    }

    pub fn unlock_shared(&mut self, id: HandleId, first: u16, count: u16) -> Result<(), Errno> {
        let mask: u16 = ((1 << count) - 1) << first;
        let locks = self.handle_mut(id)?.shared.as_mut().ok_or(libc::EBADF)?;
        locks.exclusive &= !mask;
        locks.shared &= !mask;
        Ok(())
    }

    /// A connection lets go; the last one frees the memory. Says which file the last one shall
    /// unlink, if it shall.
    pub fn unmap_shared(&mut self, id: HandleId) -> Result<Option<String>, Errno> {
        let handle = self.handle_mut(id)?;
        let node = handle.node;
        if handle.shared.take().is_none() {
            return Ok(None);
        }
        let path = self.memory.get(&node).map(|memory| memory.path.clone());
        self.forget_shared(node);
        Ok(path.filter(|_| !self.memory.contains_key(&node)))
    }

    /// Frees the memory when no connection uses it any more.
    pub fn forget_shared(&mut self, node: NodeId) {
        if self.handles.values().any(|handle| handle.node == node && handle.shared.is_some()) {
            return;
        }
        if let Some(memory) = self.memory.remove(&node) {
            self.close(memory.file);
        }
    }
}
