//! Owns the second bootmigrate: started in the middle of the first one's run, in a process of its
//! own.
//! Promises: it runs to its end there and then, or waits for the lock until the first one has
//! ended.
//! Never runs at the same instant as the first: one of the two always waits, so that a run can be
//! repeated.

use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bootmigrate::boot::BootRequest;
use bootmigrate::device::clock::Clock;

use crate::device::{switch_on, switch_on_with, Booted};
use crate::firmware::{Firmware, STATE};
use crate::sim::Sim;

/// What came of the second one.
pub struct Second {
    /// Its run.
    pub booted: Booted,
    /// The first one held the lock when the second one started.
    pub locked: bool,
}

/// The second one, which may still wait.
#[derive(Clone, Default)]
pub struct Started(Arc<Mutex<Option<Running>>>);

enum Running {
    Ended(Box<Second>),
    Waits { thread: JoinHandle<Booted>, go: Sender<()>, locked: bool },
}

fn is_locked(boot: &Sim) -> bool {
    boot.is_locked(format!("{STATE}/lock"))
}

/// Starts at this effect; `waits`: its first pause lasts until the first one has ended.
pub fn start(
    boot: &Sim,
    effect: u64,
    firmware: Firmware,
    asked: BootRequest,
    waits: bool,
) -> Started {
    let started = Started::default();
    let here = started.clone();
    let sim = boot.process();
    boot.at_effect(effect, move |boot| {
        let locked = is_locked(boot);
        let running = if waits {
            patient(sim, firmware, asked, locked)
        } else {
            Running::Ended(Box::new(Second { booted: switch_on(firmware, &sim, &asked), locked }))
        };
        *here.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    });
    started
}

fn patient(sim: Sim, firmware: Firmware, asked: BootRequest, locked: bool) -> Running {
    let (pauses, paused) = channel();
    let (go, may_go) = channel();
    let ended = pauses.clone();
    let thread = std::thread::spawn(move || {
        let clock = Patient { sim: sim.clone(), pauses, may_go: Mutex::new(Some(may_go)) };
        let booted = switch_on_with(firmware, &sim, &asked, &clock);
        let _ = ended.send(());
        booted
    });
    let _ = paused.recv();
    Running::Waits { thread, go, locked }
}

impl Started {
    /// The first one has ended: the second one goes on to its end. `None`: it was never started.
    pub fn finish(self) -> Option<Second> {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(match running {
            Running::Ended(second) => *second,
            Running::Waits { thread, go, locked } => {
                // It may have ended without a pause.
                let _ = go.send(());
                Second {
                    booted: thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                    locked,
                }
            }
        })
    }
}

/// The first pause lasts until it is told to go on.
struct Patient {
    sim: Sim,
    pauses: Sender<()>,
    may_go: Mutex<Option<Receiver<()>>>,
}

impl Clock for Patient {
    fn sleep(&self, time: Duration) {
        if let Some(may_go) = self.may_go.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = self.pauses.send(());
            let _ = may_go.recv();
        }
        self.sim.sleep_ns(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn unix_seconds(&self) -> i64 {
        i64::try_from(self.sim.now_ns() / 1_000_000_000).unwrap_or(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.sim.now_ns()).unwrap_or(0))
    }
}
