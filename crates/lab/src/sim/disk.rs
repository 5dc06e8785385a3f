//! Owns our own side of the simulation: [`Disk`] for [`Sim`], and [`File`] for what it opens.
//! Promises: each call is one call of the model, with the product's op in the log.
//! Never adds a sync or a retry that the product did not ask for.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use bootmigrate::device::disk::{Disk, File, FileKind, Lease, Op, Open, Rename, Space, Stat};

use super::content::Payload;
use super::fault::Call;
use super::handles::{HandleId, OpenHow};
use super::model::{Caller, Model};
use super::simulation::{text, Sim, Target};
use super::state::{Body, Errno, NodeId, STORAGE};

/// A call that has no op of its own.
const LOOK: Op = Op("look");
/// Bytes that one round of a copy moves.
const COPY_ROUND_BYTES: u64 = 64 * 1024;
/// The size shown of a file system that is not simulated as limited.
const UNLIMITED_BYTES: u64 = 1 << 40;

/// One open file of ours.
struct SimFile {
    sim: Sim,
    handle: HandleId,
    path: Box<str>,
}

fn answer<T>(result: Result<T, Errno>) -> io::Result<T> {
    result.map_err(io::Error::from_raw_os_error)
}

fn stat_of(model: &Model, id: NodeId) -> Result<Stat, Errno> {
    let node = model.state.node(id)?;
    let (kind, size, links) = match &node.body {
        Body::File(content) => (FileKind::File, content.size(), model.state.links(id)),
        Body::Folder(_) => (FileKind::Folder, 4096, 2),
        Body::Symlink(target) => (FileKind::Symlink, target.len() as u64, 1),
    };
    Ok(Stat {
        kind,
        device: u64::from(node.device),
        inode: node.number,
        links,
        size,
        uid: node.uid,
        gid: node.gid,
        mode: node.mode,
        modified_ns: node.modified_ns,
        changed_ns: node.changed_ns,
    })
}

impl Sim {
    /// One call on a path.
    fn on_path<T>(
        &self,
        call: Call,
        op: Op,
        path: &Path,
        operation: impl FnOnce(&mut Model, &Caller<'_>) -> Result<T, Errno>,
    ) -> io::Result<T> {
        let path = text(path);
        let caller = Caller { process: self.process_number(), op, path };
        let entered = self.enter(call, op, Target::Path(path));
        answer(entered.and_then(|(mut model, _)| operation(&mut model, &caller)))
    }
}

impl Disk for Sim {
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.on_path(Call::Look, LOOK, path, |model, caller| match model.state.place(caller.path) {
            Ok(place) => place.node.map(|id| stat_of(model, id)).transpose(),
            Err(libc::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.on_path(Call::Look, LOOK, folder, |model, caller| {
            match model.state.follow(caller.path) {
                Ok((id, _)) => {
                    Ok(model.state.entries(id)?.keys().map(ToString::to_string).collect())
                }
                Err(libc::ENOENT) => Ok(Vec::new()),
                Err(errno) => Err(errno),
            }
        })
    }

    fn read_start(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        self.on_path(Call::Read, LOOK, path, |model, caller| {
            let (id, _) = model.state.follow(caller.path)?;
            let mut bytes = vec![0; max.min(model.state.content(id)?.size() as usize)];
            model.read(id, 0, &mut bytes)?;
            Ok(bytes)
        })
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.on_path(Call::Look, LOOK, path, |model, caller| {
            let (id, _) = model.state.follow(caller.path)?;
            if model.state.node(id)?.device != STORAGE {
                return Ok(Space {
                    available: UNLIMITED_BYTES,
                    total: UNLIMITED_BYTES,
                    inodes: None,
                    read_only: false,
                });
            }
            Ok(Space {
                available: model.available_bytes().min(UNLIMITED_BYTES),
                total: model.options.total_bytes.unwrap_or(UNLIMITED_BYTES),
                inodes: model.available_inodes(),
                read_only: model.options.read_only,
            })
        })
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.on_path(Call::Look, LOOK, path, |model, caller| {
            let (_, found) = model.state.follow(caller.path)?;
            Ok(PathBuf::from(if found.is_empty() { "/".to_owned() } else { found }))
        })
    }

    fn open(&self, op: Op, path: &Path, how: Open) -> io::Result<Box<dyn File>> {
        let (writable, create, exclusive, mode) = match how {
            Open::Read => (false, false, false, 0),
            Open::ReadWrite => (true, false, false, 0),
            Open::CreateNew { mode } => (true, true, true, mode),
            Open::Create { mode } => (true, true, false, mode),
        };
        let how = OpenHow { writable, create, exclusive, sqlite: false, mode };
        let call = if create { Call::Create } else { Call::Open };
        let handle = self.on_path(call, op, path, |model, caller| model.open(caller, how))?;
        Ok(Box::new(SimFile { sim: self.clone(), handle, path: text(path).into() }))
    }

    fn make_folder(&self, op: Op, path: &Path, mode: u32) -> io::Result<()> {
        self.on_path(Call::MakeFolder, op, path, |model, caller| model.make_folder(caller, mode))
    }

    fn set_owner(&self, op: Op, path: &Path, uid: u32, gid: u32) -> io::Result<()> {
        self.on_path(Call::Owner, op, path, |model, caller| {
            let (id, _) = model.state.follow(caller.path)?;
            model.own(id, Some((uid, gid)), None)
        })
    }

    fn rename(&self, op: Op, from: &Path, to: &Path, how: Rename) -> io::Result<()> {
        self.on_path(Call::Rename, op, from, |model, caller| model.rename(caller, text(to), how))
    }

    fn link(&self, op: Op, from: &Path, to: &Path) -> io::Result<()> {
        self.on_path(Call::Link, op, from, |model, caller| model.link(caller, text(to)))
    }

    fn unlink(&self, op: Op, path: &Path) -> io::Result<()> {
        self.on_path(Call::Unlink, op, path, |model, caller| model.unlink(caller, false))
    }

    fn remove_folder(&self, op: Op, path: &Path) -> io::Result<()> {
        self.on_path(Call::Unlink, op, path, |model, caller| model.unlink(caller, true))
    }

    fn sync_folder(&self, op: Op, path: &Path) -> io::Result<()> {
        self.on_path(Call::SyncFolder, op, path, |model, caller| model.sync_folder(caller))
    }
}

impl SimFile {
    /// One call on this file; the flag says that a write must be cut short.
    fn call<T>(
        &self,
        call: Call,
        op: Op,
        operation: impl FnOnce(&mut Model, &Caller<'_>, bool) -> Result<T, Errno>,
    ) -> io::Result<T> {
        let caller = Caller { process: self.sim.process_number(), op, path: &self.path };
        let entered = self.sim.enter(call, op, Target::Handle(self.handle));
        answer(entered.and_then(|(mut model, short)| operation(&mut model, &caller, short)))
    }
}

impl File for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.call(Call::Read, LOOK, |model, _, _| {
            let node = model.handle(self.handle)?.node;
            model.read(node, offset, buffer)
        })
    }

    fn write_at(&self, op: Op, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.call(Call::Write, op, |model, caller, short| {
            let kept = if short { &bytes[..bytes.len() / 2] } else { bytes };
            model.write(caller, self.handle, offset, Payload::new(offset, kept))?;
            if short {
                Err(libc::ENOSPC)
            } else {
                Ok(())
            }
        })
    }

    fn sync(&self, op: Op) -> io::Result<()> {
        self.call(Call::Sync, op, |model, caller, _| model.sync(caller, self.handle))
    }

    fn sync_data(&self, op: Op) -> io::Result<()> {
        self.sync(op)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.call(Call::Look, LOOK, |model, _, _| stat_of(model, model.handle(self.handle)?.node))
    }

    fn copy_from(&self, op: Op, source: &dyn File, _stop: &AtomicBool) -> io::Result<u64> {
        let Some(source) = source.as_any().downcast_ref::<SimFile>() else {
            return Err(io::Error::from_raw_os_error(libc::EXDEV));
        };
        let mut done = 0;
        loop {
            let copied = self.call(Call::Write, op, |model, caller, short| {
                let node = model.handle(source.handle)?.node;
                let round = if short { COPY_ROUND_BYTES / 2 } else { COPY_ROUND_BYTES };
                // The file's last, partial block goes in a round of its own, so that whole blocks
                // are shared.
                let left = model.state.content(node)?.size().saturating_sub(done);
                let length = if left > 4096 { left / 4096 * 4096 } else { left };
                let payload = model.payload(node, done, length.min(round))?;
                let copied = payload.len();
                model.write(caller, self.handle, done, payload)?;
                if short {
                    Err(libc::ENOSPC)
                } else {
                    Ok(copied)
                }
            })?;
            if copied == 0 {
                return Ok(done);
            }
            done += copied;
        }
    }

    fn take_owner(&self, op: Op, uid: u32, gid: u32, mode: u32) -> io::Result<()> {
        self.call(Call::Owner, op, |model, _, _| {
            let node = model.handle(self.handle)?.node;
            model.own(node, Some((uid, gid)), Some(mode))
        })
    }

    fn lease(&self) -> io::Result<Lease> {
        self.call(Call::Lock, LOOK, |model, _, _| model.take_lease(self.handle))
    }

    fn lease_state(&self) -> io::Result<Lease> {
        self.call(Call::Lock, LOOK, |model, _, _| model.lease_state(self.handle))
    }

    fn release_lease(&self) -> io::Result<()> {
        self.call(Call::Lock, LOOK, |model, _, _| model.release_lease(self.handle))
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.call(Call::Lock, LOOK, |model, _, _| model.try_flock(self.handle))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.sim.lock().close(self.handle);
    }
}
