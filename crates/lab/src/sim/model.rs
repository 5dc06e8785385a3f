//! Owns the running system: the tree as readers see it, the log, the counters, and the primitive
//! changes.
//! Promises: a change is applied and logged together, or neither; space is accounted for before it
//! is used.
//! Never decides what survives a cut: that is made from the log.

mod names;

use std::collections::BTreeMap;
use std::sync::Arc;

use bootmigrate::device::disk::Op;

use super::content::{Payload, BLOCK, BLOCK_BYTES};
use super::effect::{Change, Effect};
use super::fault::{Call, Fault, FaultKind};
use super::handles::{Handle, HandleId};
use super::hash::Random;
use super::options::Options;
use super::reads::Reads;
use super::shared_memory::SharedMemory;
use super::simulation::{Sim, Target};
use super::state::{Errno, NodeId, State, STORAGE, VOLATILE};

/// No file is larger: a journal or header that says so must not make the lab hold it.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// How far one call moves the clock.
const CALL_NS: i128 = 50_000;
/// Time stamps are multiples of this: a kernel's tick.
const STAMP_NS: i128 = 4_000_000;

pub(super) type Guest = Box<dyn FnOnce(&Sim) + Send>;

/// When a guest's step is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Before the call that would make this effect.
    Effect(u64),
    /// Before this look of the first process's own code.
    Look(u64),
}

/// A fault, who meets it, and whether it is over.
pub(super) struct Planned {
    pub fault: Fault,
    pub process: u32,
    pub spent: bool,
}

/// Who calls, from which op, with which path: for the log.
#[derive(Clone)]
pub(super) struct Caller<'a> {
    pub process: u32,
    pub op: Op,
    pub path: &'a str,
}

pub(super) struct Model {
    pub state: State,
    pub initial: State,
    pub log: Vec<Effect>,
    pub effects: u64,
    pub calls: u64,
    pub looks: u64,
    pub bytes_written: u64,
    pub options: Options,
    pub faults: Vec<Planned>,
    pub guests: Vec<(Due, Guest)>,
    pub fired: Vec<String>,
    /// A file's page that the medium has lost, by its first byte.
    pub lost_page: Option<(NodeId, u64)>,
    pub hazards: Vec<String>,
    pub clock_ns: i128,
    pub random: Random,
    pub handles: BTreeMap<HandleId, Handle>,
    pub next_handle: HandleId,
    pub memory: BTreeMap<NodeId, SharedMemory>,
    pub waiting: Vec<(u32, String, NodeId)>,
    pub reads: Reads,
    pub dead: Vec<u32>,
    processes: u32,
    pub(super) used_blocks: u64,
    used_blocks_max: u64,
}

impl Model {
    pub fn new(state: State, options: Options) -> Model {
        let used_blocks = state.used_bytes(STORAGE) / BLOCK_BYTES as u64;
        Model {
            initial: state.clone(),
            state,
            log: Vec::new(),
            effects: 0,
            calls: 0,
            looks: 0,
            bytes_written: 0,
            clock_ns: options.clock_ns,
            random: Random::new(options.seed),
            options,
            faults: Vec::new(),
            guests: Vec::new(),
            fired: Vec::new(),
            lost_page: None,
            hazards: Vec::new(),
            handles: BTreeMap::new(),
            next_handle: 1,
            memory: BTreeMap::new(),
            waiting: Vec::new(),
            reads: Reads::default(),
            dead: Vec::new(),
            processes: 0,
            used_blocks,
            used_blocks_max: used_blocks,
        }
    }

    pub fn next_process(&mut self) -> u32 {
        self.processes += 1;
        self.processes
    }

    pub fn prepare(&mut self, change: impl FnOnce(&mut State)) {
        assert!(self.effects == 0, "a state is prepared before the first effect");
        change(&mut self.state);
        self.initial = self.state.clone();
        self.used_blocks = self.state.used_bytes(STORAGE) / BLOCK_BYTES as u64;
        self.used_blocks_max = self.used_blocks;
    }

    pub fn used_bytes(&self) -> u64 {
        self.used_blocks * BLOCK_BYTES as u64
    }

    pub fn used_bytes_max(&self) -> u64 {
        self.used_blocks_max * BLOCK_BYTES as u64
    }

    /// Will a change there be logged?
    pub fn is_durable(&self, target: &Target<'_>) -> bool {
        match target {
            Target::Handle(id) => self.handles.get(id).is_some_and(|handle| handle.durable),
            Target::Path(path) => {
                let place = self.state.place(path);
                place
                    .and_then(|place| self.device(place.folder))
                    .is_ok_and(|device| device != VOLATILE)
            }
        }
    }

    fn device(&self, id: NodeId) -> Result<u32, Errno> {
        self.state.node(id).map(|node| node.device)
    }

    /// The step that is due before a call which will be logged, which is a look, or neither.
    pub fn due_guest(&mut self, logged: bool, look: bool) -> Option<Guest> {
        let due = self.guests.iter().position(|(due, _)| match due {
            Due::Effect(at) => logged && *at <= self.effects,
            Due::Look(at) => look && *at <= self.looks,
        })?;
        Some(self.guests.remove(due).1)
    }

    /// Counts the call and says which fault it meets; `Err` for a dead process.
    pub fn gate(
        &mut self,
        process: u32,
        call: Call,
        op: Op,
        target: &Target<'_>,
        logged: bool,
    ) -> Result<Option<FaultKind>, Errno> {
        let number = self.calls;
        self.calls += 1;
        self.clock_ns += CALL_NS;
        if self.dead.contains(&process) {
            return Err(libc::EIO);
        }
        let effects = self.effects;
        let due = self.faults.iter_mut().find(|planned| {
            let fits =
                planned.process == process && !planned.spent && planned.fault.kind.fits(call);
            fits && planned.fault.is_due(effects, number, logged)
        });
        let Some(planned) = due else { return Ok(None) };
        planned.spent = !planned.fault.for_ever;
        let fault = planned.fault;
        match fault.kind {
            FaultKind::Kill => self.dead.push(process),
            FaultKind::ReadOnly if fault.for_ever => self.options.read_only = true,
            _ => {}
        }
        let path = match target {
            Target::Path(path) => (*path).to_owned(),
            Target::Handle(id) => {
                self.handles.get(id).map_or_else(String::new, |handle| handle.path.to_string())
            }
        };
        if let (Call::Sync, Target::Handle(id), true) =
            (call, target, fault.kind != FaultKind::Kill)
        {
            self.sync_failed(process, op, *id);
        }
        self.fired.push(format!(
            "{} for {call:?} of {path} in op {op}, effect {effects}, call {number}",
            fault.kind
        ));
        Ok(Some(fault.kind))
    }

    /// What was written is lost. Whoever else had the file open then hears of it at the next sync
    /// of a descriptor of theirs, as since Linux 4.13 (`errseq_t`); later descriptors do not.
    fn sync_failed(&mut self, process: u32, op: Op, id: HandleId) {
        let Some((node, path)) = self
            .handles
            .get(&id)
            .filter(|handle| handle.durable)
            .map(|handle| (handle.node, handle.path.clone()))
        else {
            return;
        };
        for (_, other) in
            self.handles.iter_mut().filter(|(other, handle)| **other != id && handle.node == node)
        {
            other.sync_failed = true;
        }
        if self.options.log {
            self.log.push(Effect { process, op, path, change: Change::SyncFailed { node } });
        }
    }

    /// Adds a line to the log, unless it is about a volatile device.
    pub fn record(&mut self, caller: &Caller<'_>, durable: bool, change: impl FnOnce() -> Change) {
        if !durable {
            return;
        }
        self.effects += 1;
        if self.options.log {
            let path: Arc<str> = caller.path.into();
            self.log.push(Effect {
                process: caller.process,
                op: caller.op,
                path,
                change: change(),
            });
        }
    }

    fn stamp(&self) -> i128 {
        self.clock_ns - self.clock_ns % STAMP_NS
    }

    fn touch(&mut self, id: NodeId, content: bool) {
        let stamp = self.stamp();
        if let Ok(node) = self.state.node_mut(id) {
            node.changed_ns = stamp;
            if content {
                node.modified_ns = stamp;
            }
        }
    }

    /// EROFS where the storage device is mounted read-only.
    pub fn writable(&self, device: u32) -> Result<(), Errno> {
        if self.options.read_only && device == STORAGE {
            return Err(libc::EROFS);
        }
        Ok(())
    }

    /// The medium has lost a page: EIO whenever it is read, by whomever.
    fn readable(&mut self, node: NodeId, offset: u64, length: u64) -> Result<(), Errno> {
        match self.lost_page {
            Some((lost, from))
                if lost == node && offset < from + BLOCK && from < offset + length =>
            {
                self.fired.push(format!("EIO for every read of the page at {from}"));
                Err(libc::EIO)
            }
            _ => Ok(()),
        }
    }

    /// Reads a file's bytes at `offset`; fewer only at its end.
    pub fn read(&mut self, node: NodeId, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.readable(node, offset, buffer.len() as u64)?;
        self.reads.read(&self.initial, node, offset, buffer.len() as u64);
        Ok(self.state.content(node)?.read(offset, buffer))
    }

    /// What a copy of this range carries.
    pub fn payload(&mut self, node: NodeId, offset: u64, length: u64) -> Result<Payload, Errno> {
        self.readable(node, offset, length)?;
        self.reads.read(&self.initial, node, offset, length);
        Ok(self.state.content(node)?.payload(offset, length))
    }

    /// Writes as much as there is room for; ENOSPC after that.
    pub fn write(
        &mut self,
        caller: &Caller<'_>,
        handle: HandleId,
        offset: u64,
        payload: Payload,
    ) -> Result<(), Errno> {
        let open = self.writable_handle(handle)?;
        let (node, durable) = (open.node, open.durable);
        let device = self.device(node)?;
        self.writable(device)?;
        if payload.is_empty() {
            return Ok(());
        }
        if offset.saturating_add(payload.len()) > FILE_BYTES_MAX {
            return Err(libc::EFBIG);
        }
        let content = self.state.content(node)?;
        let missing = content.missing_blocks(offset, payload.len());
        let touched =
            (offset + payload.len()).div_ceil(BLOCK_BYTES as u64) - offset / BLOCK_BYTES as u64;
        let needed = if self.options.copy_on_write { touched } else { missing };
        let (free, errno) = self.free_blocks();
        if device == STORAGE && needed > free {
            let room = free * BLOCK_BYTES as u64;
            let kept = room.saturating_sub(offset % BLOCK_BYTES as u64).min(payload.len()) as usize;
            if kept > 0 && missing == touched {
                let part = Payload::new(offset, &payload.to_vec()[..kept]);
                self.write(caller, handle, offset, part)?;
            }
            return Err(errno);
        }
        if device == STORAGE {
            self.used_blocks += missing;
            self.used_blocks_max = self.used_blocks_max.max(self.used_blocks);
        }
        self.reads.overwritten(node, offset, payload.len());
        if let Some(content) = self.state.content_mut(node) {
            content.write(offset, &payload);
        }
        self.touch(node, true);
        if durable {
            self.bytes_written += payload.len();
        }
        self.record(caller, durable, || Change::Write { node, offset, payload });
        Ok(())
    }

    pub fn truncate(
        &mut self,
        caller: &Caller<'_>,
        handle: HandleId,
        size: u64,
    ) -> Result<(), Errno> {
        let open = self.writable_handle(handle)?;
        let (node, durable) = (open.node, open.durable);
        let device = self.device(node)?;
        self.writable(device)?;
        if size > FILE_BYTES_MAX {
            return Err(libc::EFBIG);
        }
        let before = self.state.content(node)?.allocated_blocks();
        let Some(content) = self.state.content_mut(node) else { return Err(libc::EIO) };
        content.truncate(size);
        self.reads.truncated(node, size);
        let after = content.allocated_blocks();
        if device == STORAGE {
            self.used_blocks -= before - after;
        }
        self.touch(node, true);
        self.record(caller, durable, || Change::Truncate { node, size });
        Ok(())
    }

    /// `fsync` of a file or folder by its handle.
    pub fn sync(&mut self, caller: &Caller<'_>, handle: HandleId) -> Result<(), Errno> {
        let open = self.handles.get_mut(&handle).ok_or(libc::EBADF)?;
        if std::mem::take(&mut open.sync_failed) {
            return Err(libc::EIO);
        }
        let (node, durable) = (open.node, open.durable);
        let folder = self.state.entries(node).is_ok();
        let change =
            if folder { Change::SyncFolder { folder: node } } else { Change::Sync { node } };
        self.record(caller, durable, || change);
        Ok(())
    }

    pub fn sync_folder(&mut self, caller: &Caller<'_>) -> Result<(), Errno> {
        let (folder, _) = self.state.follow(caller.path)?;
        self.state.entries(folder)?;
        let durable = self.device(folder)? != VOLATILE;
        self.record(caller, durable, || Change::SyncFolder { folder });
        Ok(())
    }
}
