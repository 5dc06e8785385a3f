//! Owns open files: who has which inode open, its lease, its `flock`, and what closing does.
//! Promises: as POSIX and the kernel have it, seen by every process of the simulation.
//! Never logs: a power cut ends every handle.

use std::sync::Arc;

use bootmigrate::device::disk::Lease;

use super::locks::FileLock;
use super::model::{Caller, Model};
use super::options::LeaseSupport;
use super::shared_memory::SharedLocks;
use super::state::{Body, Errno, Node, NodeId, STORAGE, VOLATILE};

/// Stands for a file descriptor; never used again.
pub(super) type HandleId = u64;

/// What an open file knows.
pub(super) struct Handle {
    pub node: NodeId,
    pub process: u32,
    pub path: Arc<str>,
    pub writable: bool,
    /// Its changes are logged.
    pub durable: bool,
    /// SQLite's, not our own.
    pub sqlite: bool,
    pub lock: FileLock,
    /// The kernel still knows of `lock`: no other handle of the process on this file was closed
    /// since.
    pub lock_in_kernel: bool,
    pub shared: Option<SharedLocks>,
    lease: Option<Lease>,
    flock: bool,
    /// Another descriptor's sync of this file has failed, and this one has not heard of it.
    pub sync_failed: bool,
}

/// How to open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct OpenHow {
    pub writable: bool,
    pub create: bool,
    pub exclusive: bool,
    pub sqlite: bool,
    pub mode: u32,
}

impl Model {
    pub fn handle(&self, id: HandleId) -> Result<&Handle, Errno> {
        self.handles.get(&id).ok_or(libc::EBADF)
    }

    pub fn handle_mut(&mut self, id: HandleId) -> Result<&mut Handle, Errno> {
        self.handles.get_mut(&id).ok_or(libc::EBADF)
    }

    pub fn writable_handle(&self, id: HandleId) -> Result<&Handle, Errno> {
        self.handle(id)
            .and_then(|handle| if handle.writable { Ok(handle) } else { Err(libc::EBADF) })
    }

    /// Opens a file or, for reading, a folder. The caller's path is followed through symbolic
    /// links.
    pub fn open(&mut self, caller: &Caller<'_>, how: OpenHow) -> Result<HandleId, Errno> {
        if let Some(node) = self.waited_for(caller) {
            self.break_leases(node)?;
            return Ok(self.add_handle(node, caller, how));
        }
        let found = match self.state.follow(caller.path) {
            Ok(_) if how.create && how.exclusive => return Err(libc::EEXIST),
            Ok((node, _)) => Some(node),
            Err(libc::ENOENT) if how.create => None,
            Err(errno) => return Err(errno),
        };
        let node = match found {
            Some(node) => {
                let is_folder = self.state.entries(node).is_ok();
                if how.writable {
                    if is_folder {
                        return Err(libc::EISDIR);
                    }
                    self.writable(self.state.node(node)?.device)?;
                }
                self.break_leases(node)?;
                node
            }
            None => {
                let place = self.state.place(caller.path)?;
                if place.node.is_some() {
                    return Err(libc::ELOOP);
                }
                self.create(caller, &place, Body::File(Default::default()), how.mode)?
            }
        };
        Ok(self.add_handle(node, caller, how))
    }

    /// A file without a name: gone with its handle, never logged. SQLite makes it with one, and
    /// takes that away.
    pub fn open_nameless(&mut self, caller: &Caller<'_>) -> Result<HandleId, Errno> {
        self.room_for_a_file()?;
        let node = self.state.add(Node::new(STORAGE, 0o600, Body::File(Default::default())));
        let how =
            OpenHow { writable: true, create: true, exclusive: true, sqlite: true, mode: 0o600 };
        let id = self.add_handle(node, caller, how);
        if let Some(handle) = self.handles.get_mut(&id) {
            handle.durable = false;
        }
        Ok(id)
    }

    fn add_handle(&mut self, node: NodeId, caller: &Caller<'_>, how: OpenHow) -> HandleId {
        let id = self.next_handle;
        self.next_handle += 1;
        let handle = Handle {
            node,
            process: caller.process,
            path: caller.path.into(),
            writable: how.writable,
            durable: self.state.node(node).is_ok_and(|node| node.device != VOLATILE),
            sqlite: how.sqlite,
            lock: FileLock::None,
            lock_in_kernel: false,
            shared: None,
            lease: None,
            flock: false,
            sync_failed: false,
        };
        self.handles.insert(id, handle);
        id
    }

    /// Closes. SQLite's locks of the same process on the same file are lost to other processes, as
    /// POSIX has it.
    pub fn close(&mut self, id: HandleId) {
        let Some(closed) = self.handles.remove(&id) else { return };
        if !closed.sqlite {
            let mut dropped = false;
            for other in self.handles.values_mut() {
                if other.node == closed.node
                    && other.process == closed.process
                    && other.lock != FileLock::None
                {
                    other.lock_in_kernel = false;
                    dropped = true;
                }
            }
            if dropped {
                self.hazards.push(format!(
                    "{} was closed while SQLite of the same process held locks on it",
                    closed.path
                ));
            }
        }
        if closed.shared.is_some() {
            self.forget_shared(closed.node);
        }
        self.free_if_unused(closed.node);
    }

    pub fn end_process(&mut self, process: u32) {
        self.dead.push(process);
        let ended = self.handles.iter().filter(|(_, handle)| handle.process == process);
        let ended: Vec<HandleId> = ended.map(|(id, _)| *id).collect();
        for id in &ended {
            if let Some(handle) = self.handles.get_mut(id) {
                handle.lock = FileLock::None;
            }
        }
        for id in ended {
            self.close(id);
        }
        let waited: Vec<NodeId> = self.waiting.iter().map(|(_, _, node)| *node).collect();
        self.waiting.retain(|(waiting, _, _)| *waiting != process);
        for node in waited {
            self.free_if_unused(node);
        }
    }

    // --- leases
    // ---------------------------------------------------------------------------------------------

    /// An opener comes: a lease on the inode is broken and the opener turned away until it is
    /// released.
    fn break_leases(&mut self, node: NodeId) -> Result<(), Errno> {
        let mut held = false;
        for handle in
            self.handles.values_mut().filter(|handle| handle.node == node && handle.lease.is_some())
        {
            handle.lease = Some(Lease::Busy);
            held = true;
        }
        if held {
            return Err(libc::EAGAIN);
        }
        Ok(())
    }

    pub fn begin_open(&mut self, process: u32, path: &str) -> Result<(), Errno> {
        let (node, _) = self.state.follow(path)?;
        self.waiting.push((process, path.to_owned(), node));
        // The answer is no surprise: this opener waits.
        let _ = self.break_leases(node);
        Ok(())
    }

    /// The inode that an opener who waited goes on with; it goes on waiting while there is a lease.
    fn waited_for(&mut self, caller: &Caller<'_>) -> Option<NodeId> {
        let waited = |(process, path, _): &(u32, String, NodeId)| {
            *process == caller.process && path == caller.path
        };
        let index = self.waiting.iter().position(waited)?;
        let node = self.waiting[index].2;
        let leased =
            self.handles.values().any(|handle| handle.node == node && handle.lease.is_some());
        if !leased {
            self.waiting.remove(index);
        }
        Some(node)
    }

    pub fn take_lease(&mut self, id: HandleId) -> Result<Lease, Errno> {
        let node = self.handle(id)?.node;
        match self.options.leases {
            LeaseSupport::Denied => return Ok(Lease::Denied),
            LeaseSupport::Unsupported => return Ok(Lease::Unsupported),
            LeaseSupport::Granted => {}
        }
        let others = self.handles.iter().any(|(other, handle)| *other != id && handle.node == node);
        if others || self.waiting.iter().any(|(_, _, waited)| *waited == node) {
            return Ok(Lease::Busy);
        }
        self.handle_mut(id)?.lease = Some(Lease::Held);
        Ok(Lease::Held)
    }

    pub fn lease_state(&self, id: HandleId) -> Result<Lease, Errno> {
        Ok(self.handle(id)?.lease.unwrap_or(Lease::Busy))
    }

    pub fn release_lease(&mut self, id: HandleId) -> Result<(), Errno> {
        self.handle_mut(id)?.lease = None;
        Ok(())
    }

    pub fn is_flocked(&self, path: &str) -> bool {
        self.state.follow(path).is_ok_and(|(node, _)| {
            self.handles.values().any(|handle| handle.node == node && handle.flock)
        })
    }

    // --- flock
    // ---------------------------------------------------------------------------------------------

    pub fn try_flock(&mut self, id: HandleId) -> Result<bool, Errno> {
        let node = self.handle(id)?.node;
        let taken = self
            .handles
            .iter()
            .any(|(other, handle)| *other != id && handle.node == node && handle.flock);
        if !taken {
            self.handle_mut(id)?.flock = true;
        }
        Ok(!taken)
    }
}
