//! Owns [`Sim`], the handle by which scenarios hold one simulation, and the gate through which
//! every call goes.
//! Promises: cheap to clone; a handle stands for one process; dropping the last one frees
//! everything.
//! Never holds the model's lock while a guest's step runs.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bootmigrate::device::disk::Op;

use super::content::BLOCK;
use super::effect::{Effect, SQLITE};
use super::fault::{Call, Fault, FaultKind};
use super::handles::HandleId;
use super::model::{Due, Model, Planned};
use super::options::Options;
use super::reads::Mask;
use super::room::Lack;
use super::state::{Errno, State};
use super::vfs::VfsName;

/// One process on one simulated device.
#[derive(Clone)]
pub struct Sim {
    model: Arc<Mutex<Model>>,
    process: Arc<Process>,
}

struct Process {
    number: u32,
    vfs: OnceLock<VfsName>,
}

pub(super) enum Target<'a> {
    Path(&'a str),
    Handle(HandleId),
}

impl Sim {
    /// An empty device.
    pub fn new(options: Options) -> Sim {
        Sim::with(&State::new(), options)
    }

    /// A device that was switched on with this state: all of it is durable.
    pub fn from_state(state: &State) -> Sim {
        Sim::with(state, Options::default())
    }

    /// A device that was switched on with this state and these wishes.
    pub fn with(state: &State, options: Options) -> Sim {
        let model = Arc::new(Mutex::new(Model::new(state.clone().swept(), options)));
        Sim { model, process: Arc::new(Process { number: 0, vfs: OnceLock::new() }) }
    }

    /// Another process on the same device: its own handles, its own VFS name, its own faults.
    pub fn process(&self) -> Sim {
        let number = self.lock().next_process();
        Sim {
            model: self.model.clone(),
            process: Arc::new(Process { number, vfs: OnceLock::new() }),
        }
    }

    /// This handle's process; 0 is the first.
    pub fn process_number(&self) -> u32 {
        self.process.number
    }

    /// The name under which SQLite reaches this device as this process. Stays valid as long as any
    /// clone lives.
    pub fn vfs_name(&self) -> &'static str {
        self.process.vfs.get_or_init(|| VfsName::take(self)).as_str()
    }

    /// What the VFS keeps, so that the name does not keep the simulation alive.
    pub(super) fn downgrade(&self) -> WeakSim {
        WeakSim { model: Arc::downgrade(&self.model), process: Arc::downgrade(&self.process) }
    }

    /// Makes or replaces a file, durable from the start; before the first effect only.
    pub fn put_file(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        self.prepare(|state| state.put_file(text(path.as_ref()), bytes));
    }

    /// Changes the state that the device is switched on with; before the first effect only.
    pub fn prepare(&self, change: impl FnOnce(&mut State)) {
        self.lock().prepare(change);
    }

    /// A file's bytes as a reader sees them now; not a call, never fails on purpose.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.lock().state.read_file(text(path.as_ref()))
    }

    /// Everything as a reader sees it now: what a process's death (not a power cut) leaves.
    pub fn state(&self) -> State {
        self.lock().state.clone()
    }

    /// The durable state that the device was switched on with.
    pub fn initial(&self) -> State {
        self.lock().initial.clone()
    }

    /// Every effect since then.
    pub fn log(&self) -> Vec<Effect> {
        self.lock().log.clone()
    }

    /// How many effects there were.
    pub fn effects(&self) -> u64 {
        self.lock().effects
    }

    /// How many calls there were, reads and looks counted too.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Bytes written to durable files.
    pub fn bytes_written(&self) -> u64 {
        self.lock().bytes_written
    }

    /// Makes something fail for this process.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.push(Planned { fault, process: self.process.number, spent: false });
    }

    /// The medium loses this page of a file, for as long as this simulation lasts.
    pub fn lose_page(&self, path: &str, page: u64) {
        let model = &mut *self.lock();
        model.lost_page = model.state.follow(path).ok().map(|(node, _)| (node, page * BLOCK));
    }

    /// [`Sim::lose_page`] was called.
    pub fn has_lost_page(&self) -> bool {
        self.lock().lost_page.is_some()
    }

    /// The failures that really happened, one sentence each.
    pub fn fired(&self) -> Vec<String> {
        self.lock().fired.clone()
    }

    /// Things that no correct program does and that no error tells, one sentence each (POSIX locks
    /// dropped by a close).
    pub fn hazards(&self) -> Vec<String> {
        self.lock().hazards.clone()
    }

    /// Runs a step of a guest just before the call that would make this effect; it gets this
    /// process's handle.
    pub fn at_effect(&self, effect: u64, op: impl FnOnce(&Sim) + Send + 'static) {
        self.lock().guests.push((Due::Effect(effect), Box::new(op)));
    }

    /// Runs a step of a guest just before this look of the first process's own code.
    pub fn at_look(&self, look: u64, op: impl FnOnce(&Sim) + Send + 'static) {
        self.lock().guests.push((Due::Look(look), Box::new(op)));
    }

    /// How often the first process's own code looked, read or opened what was there.
    pub fn looks(&self) -> u64 {
        self.lock().looks
    }

    /// The device's size from now on; `None`: never full.
    pub fn set_total_bytes(&self, total: Option<u64>) {
        self.lock().options.total_bytes = total;
    }

    /// Leaves just this many bytes free from now on.
    pub fn set_available_bytes(&self, available: u64) {
        self.leave(Lack::Bytes, available);
    }

    /// Bytes that the storage device's files use now, and the most they ever used.
    pub fn used_bytes(&self) -> (u64, u64) {
        let model = self.lock();
        (model.used_bytes(), model.used_bytes_max())
    }

    /// Mounted read-only from now on, or no longer.
    pub fn set_read_only(&self, read_only: bool) {
        self.lock().options.read_only = read_only;
    }

    /// The first half of an `open` that has to wait for a lease: looks the name up and breaks the
    /// lease.
    ///
    /// The next open of this path by this process gets what the name stood for now.
    pub fn begin_open(&self, path: impl AsRef<Path>) -> std::io::Result<()> {
        let waiting = self.lock().begin_open(self.process.number, text(path.as_ref()));
        waiting.map_err(std::io::Error::from_raw_os_error)
    }

    /// The process ends: its handles, locks and leases go; SQLite connections that are still held
    /// can do nothing more.
    pub fn end(&self) {
        self.lock().end_process(self.process.number);
    }

    /// What this run has seen, and left, of the bytes that it was switched on with.
    pub fn seen(&self) -> Mask {
        let model = &mut *self.lock();
        model.reads.mask(&model.initial, &model.state)
    }

    /// Somebody holds the `flock` of this file.
    pub fn is_locked(&self, path: impl AsRef<Path>) -> bool {
        self.lock().is_flocked(text(path.as_ref()))
    }

    /// Nanoseconds since 1970 on the simulated clock.
    pub fn now_ns(&self) -> i128 {
        self.lock().clock_ns
    }

    /// Lets time pass.
    pub fn sleep_ns(&self, nanoseconds: u64) {
        self.lock().clock_ns += i128::from(nanoseconds);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every call comes in here: the guest's step that is due runs first, then the call fails if it
    /// shall. `Ok((model, true))`: a write that must be cut short.
    pub(super) fn enter(
        &self,
        call: Call,
        op: Op,
        target: Target<'_>,
    ) -> Result<(MutexGuard<'_, Model>, bool), Errno> {
        loop {
            let mut model = self.lock();
            let logged = call.changes() && model.is_durable(&target);
            let look = self.process.number == 0
                && op != SQLITE
                && matches!(call, Call::Look | Call::Read | Call::Open);
            if let Some(guest) = model.due_guest(logged, look) {
                drop(model);
                guest(self);
                continue;
            }
            model.looks += u64::from(look);
            return match model.gate(self.process.number, call, op, &target, logged)? {
                None => Ok((model, false)),
                Some(FaultKind::ShortWrite) => Ok((model, true)),
                Some(kind) => Err(kind.errno()),
            };
        }
    }
}

/// A simulation that may be gone.
#[derive(Clone)]
pub(super) struct WeakSim {
    model: std::sync::Weak<Mutex<Model>>,
    process: std::sync::Weak<Process>,
}

impl WeakSim {
    pub(super) fn upgrade(&self) -> Option<Sim> {
        Some(Sim { model: self.model.upgrade()?, process: self.process.upgrade()? })
    }
}

/// A path as the model keeps it. Paths that are not UTF-8 do not occur in scenarios.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap_or("/not UTF-8")
}
