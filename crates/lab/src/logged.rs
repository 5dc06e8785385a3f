//! Owns a run on the simulated disk with the log of its effects: what the power can be cut in.
//! Promises: the log is complete; for each cut, what of the record was durable.
//! Never cuts.

use bootmigrate::boot::BootRequest;

use crate::by_operator::carry_out;
use crate::device::{switch_on, Booted};
use crate::firmware::Firmware;
use crate::record;
use crate::scenario::Scenario;
use crate::sim::{Effect, Options, Sim, State};

/// One boot, logged.
pub struct Logged {
    /// What was durable before.
    pub initial: State,
    /// Its effects.
    pub log: Vec<Effect>,
    /// For each cut, the newest update of the record that the disk had made durable.
    pub synced: Vec<u64>,
    /// How it went.
    pub booted: Booted,
    /// The simulation, ended.
    pub sim: Sim,
}

/// Boots from this state and keeps the log.
pub fn logged(
    scenario: &Scenario,
    firmware: Firmware,
    state: &State,
    asked: &BootRequest,
) -> Logged {
    let sim = Sim::with(state, Options { log: true, ..scenario.options.clone() });
    let booted = switch_on(firmware, &sim, asked);
    Logged::of(sim, booted)
}

/// The run that is cut, from the situation before it.
pub fn first_of(scenario: &Scenario) -> Logged {
    let sim = Sim::with(&scenario.initial, Options { log: true, ..scenario.options.clone() });
    let booted = carry_out(scenario.run, scenario.firmware, &sim, &scenario.asked);
    Logged::of(sim, booted)
}

impl Logged {
    /// What a simulation was that has booted so.
    pub fn of(sim: Sim, booted: Booted) -> Logged {
        let (initial, log) = (sim.initial(), sim.log());
        Logged { synced: record::synced(&initial, &log), initial, log, booted, sim }
    }

    /// A cut here comes after its end, and it said that all was well.
    pub(crate) fn ended(&self, cut: usize) -> bool {
        cut == self.log.len() && self.booted.report.exit == 0
    }

    /// A cut here comes after the loss was reported.
    pub(crate) fn said(&self, cut: usize) -> bool {
        self.booted.loss_said_at.is_some_and(|at| cut as u64 >= at)
    }
}
