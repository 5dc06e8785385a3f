//! Owns the changes of names on the simulated disk: files and folders made, linked, renamed,
//! removed and given away.
//! Promises: what has no name and no handle is gone, and its blocks are free.
//! Never changes the bytes of a file.

use super::{Caller, Model};
use bootmigrate::device::disk::Rename;

use crate::sim::effect::Change;
use crate::sim::state::{Body, Entries, Errno, Node, NodeId, Place, STORAGE, VOLATILE};

impl Model {
    /// Makes an empty file or folder under a name that is free.
    pub fn create(
        &mut self,
        caller: &Caller<'_>,
        place: &Place,
        body: Body,
        mode: u32,
    ) -> Result<NodeId, Errno> {
        self.state.entries(place.folder)?;
        let device = self.device(place.folder)?;
        self.writable(device)?;
        if device == STORAGE {
            self.room_for_a_file()?;
        }
        let node = self.state.add(Node::new(device, mode, body.clone()));
        self.state.set_entry(place.folder, &place.name, Some(node));
        self.touch(node, true);
        self.touch(place.folder, true);
        let (folder, name) = (place.folder, place.name.clone());
        self.record(caller, device != VOLATILE, || Change::Create {
            folder,
            name,
            node,
            body,
            mode,
        });
        Ok(node)
    }

    pub fn make_folder(&mut self, caller: &Caller<'_>, mode: u32) -> Result<(), Errno> {
        let place = self.state.place(caller.path)?;
        if place.node.is_some() {
            return Err(libc::EEXIST);
        }
        self.create(caller, &place, Body::Folder(Entries::default()), mode).map(|_| ())
    }

    pub fn link(&mut self, caller: &Caller<'_>, to: &str) -> Result<(), Errno> {
        let node = self.state.place(caller.path)?.node.ok_or(libc::ENOENT)?;
        let place = self.state.place(to)?;
        let device = self.device(place.folder)?;
        if place.node.is_some() {
            return Err(libc::EEXIST);
        }
        if self.state.entries(node).is_ok() || !self.options.links {
            return Err(libc::EPERM);
        }
        if self.device(node)? != device {
            return Err(libc::EXDEV);
        }
        self.writable(device)?;
        self.state.entries(place.folder)?;
        self.state.set_entry(place.folder, &place.name, Some(node));
        self.touch(node, false);
        self.touch(place.folder, true);
        let Place { folder, name, .. } = place;
        self.record(caller, device != VOLATILE, || Change::Link { folder, name, node });
        Ok(())
    }

    /// Takes a name away: of a file, or of an empty folder.
    pub fn unlink(&mut self, caller: &Caller<'_>, wants_folder: bool) -> Result<(), Errno> {
        let place = self.state.place(caller.path)?;
        let node = place.node.ok_or(libc::ENOENT)?;
        let device = self.device(place.folder)?;
        self.may_go(caller.path, node, wants_folder)?;
        self.writable(device)?;
        self.state.set_entry(place.folder, &place.name, None);
        self.touch(node, false);
        self.touch(place.folder, true);
        self.free_if_unused(node);
        let Place { folder, name, .. } = place;
        self.record(caller, device != VOLATILE, || Change::Unlink { folder, name });
        Ok(())
    }

    fn may_go(&self, path: &str, node: NodeId, wants_folder: bool) -> Result<(), Errno> {
        if self.options.busy_paths.iter().any(|busy| busy == path) {
            return Err(libc::EBUSY);
        }
        match (self.state.entries(node), wants_folder) {
            (Ok(_), false) => Err(libc::EISDIR),
            (Err(_), true) => Err(libc::ENOTDIR),
            (Ok(entries), true) if !entries.is_empty() => Err(libc::ENOTEMPTY),
            _ => Ok(()),
        }
    }

    pub fn rename(&mut self, caller: &Caller<'_>, to_path: &str, how: Rename) -> Result<(), Errno> {
        let from = self.state.place(caller.path)?;
        let node = from.node.ok_or(libc::ENOENT)?;
        let to = self.state.place(to_path)?;
        self.state.entries(to.folder)?;
        let device = self.device(to.folder)?;
        if self.device(from.folder)? != device || self.device(node)? != device {
            return Err(libc::EXDEV);
        }
        if let Some(old) = to.node {
            if how == Rename::NoReplace {
                return Err(libc::EEXIST);
            }
            if old == node {
                return Ok(());
            }
            self.may_go(to_path, old, self.state.entries(node).is_ok())?;
        }
        if self.options.busy_paths.iter().any(|busy| busy == caller.path) {
            return Err(libc::EBUSY);
        }
        self.writable(device)?;
        self.state.set_entry(from.folder, &from.name, None);
        self.state.set_entry(to.folder, &to.name, Some(node));
        for touched in [from.folder, to.folder] {
            self.touch(touched, true);
        }
        self.touch(node, false);
        if let Some(old) = to.node {
            self.free_if_unused(old);
        }
        let (from, to) = ((from.folder, from.name), (to.folder, to.name));
        self.record(caller, device != VOLATILE, || Change::Rename { from, to, node });
        Ok(())
    }

    /// Frees an inode that has neither a name nor a handle.
    pub fn free_if_unused(&mut self, id: NodeId) {
        let waited = self.waiting.iter().any(|(_, _, node)| *node == id);
        if waited
            || self.handles.values().any(|handle| handle.node == id)
            || self.state.links(id) > 0
        {
            return;
        }
        if let Some(node) = self.state.nodes.remove(&id) {
            if node.device == STORAGE {
                self.used_blocks -= node.allocated_blocks();
            }
        }
        self.memory.remove(&id);
    }

    pub fn own(
        &mut self,
        id: NodeId,
        owner: Option<(u32, u32)>,
        mode: Option<u32>,
    ) -> Result<(), Errno> {
        self.writable(self.device(id)?)?;
        let node = self.state.node_mut(id)?;
        if let Some((uid, gid)) = owner {
            (node.uid, node.gid) = (uid, gid);
        }
        node.mode = mode.unwrap_or(node.mode);
        self.touch(id, false);
        Ok(())
    }
}
