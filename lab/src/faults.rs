//! Owns the sweep over failing calls: every operation of a scenario's log fails, once and for ever, in every way that it can.
//! Promises: the run's exit is one that the failure explains, nothing is lost, and the next boots without it end well.
//! Never lets a failure lead to a purge or a restore.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::device::switch_on;
use crate::judge::{Bad, Judge};
use crate::power_cuts::logged;
use crate::scenarios::Scenario;
use crate::sim::{Fault, FaultKind, Moment, Options, Sim};

/// Free bytes of the device whose calls fail.
const ROOM_BYTES: u64 = 64 << 20;
/// Bad runs that are described.
const DESCRIBED_MAX: usize = 3;

/// What came of one scenario.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    scenario: String,
    operations: u64,
    /// Runs that met their failure.
    pub runs: u64,
    /// Runs that broke a rule.
    pub bad: u64,
    /// The first of them: name, rule, what was seen.
    pub described: Vec<(String, String, String)>,
    exits: std::collections::BTreeMap<String, u64>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<24} {:>5} operations {:>6} failing runs {:>4} bad", self.scenario, self.operations, self.runs, self.bad)?;
        for (exit, count) in &self.exits {
            write!(f, "; {exit}: {count}")?;
        }
        for (name, rule, what) in &self.described {
            write!(f, "\n    BAD {rule}: {what}\n        --replay '{name}'")?;
        }
        Ok(())
    }
}

/// Every operation, every kind, once and for ever.
pub fn sweep(scenario: &Scenario) -> Tally {
    let whole = logged(scenario, scenario.firmware, &scenario.initial, &scenario.asked);
    let operations = whole.log.len() as u64;
    let mut tally = Tally { scenario: scenario.name.to_owned(), operations, ..Tally::default() };
    let mut judge = Judge::default();
    for operation in 0..operations {
        for kind in FaultKind::ALL {
            for for_ever in [false, true] {
                let fault = Fault::at_operation(operation, kind, for_ever);
                let Some(judged) = one(scenario, fault, whole.booted.report.exit, &mut judge, &mut |_| {}) else { continue };
                tally.runs += 1;
                let (exit, judged) = judged;
                let many = if for_ever { "for-ever" } else { "once" };
                *tally.exits.entry(format!("{kind} {exit}")).or_default() += 1;
                if let Err(bad) = judged {
                    tally.bad += 1;
                    if tally.described.len() < DESCRIBED_MAX {
                        let name = format!("{}@fault:{operation}:{kind:?}:{many}", scenario.name);
                        tally.described.push((name, bad.rule.to_owned(), bad.what));
                    }
                }
            }
        }
    }
    tally
}

/// The exit of the run that met the failure, and whether the rules held; `None` where it did not meet it.
fn one(scenario: &Scenario, fault: Fault, unharmed: u8, judge: &mut Judge, tell: &mut dyn FnMut(&str)) -> Option<(u8, Result<(), Bad>)> {
    let sim = Sim::with(&scenario.initial, Options { log: false, ..scenario.options.clone() });
    if scenario.options.total_bytes.is_none() {
        // Room enough; and where it was full all the same, somebody has made more when it boots again.
        sim.set_available_bytes(ROOM_BYTES);
    }
    sim.inject(fault);
    let booted = switch_on(scenario.firmware, &sim, &scenario.asked);
    let fired = sim.fired();
    if fired.is_empty() {
        return None;
    }
    tell(&fired[0]);
    tell(&format!("exit {}: {}", booted.report.exit, booted.report.sentence));
    let exit = booted.report.exit;
    let state = sim.state().swept();
    let before_it = |at: u64| fault.kind != FaultKind::Kill || matches!(fault.at, Moment::Operation(killed) if at < killed);
    let said = booted.loss_said_at.is_some_and(before_it);
    let explained = exit == unharmed || explains(fault.kind, exit) || scenario.exits.contains(&exit) && exit != 0 && exit != 11;
    if !explained {
        let what = format!("{} led to exit {exit}: {}", fired[0], booted.report.sentence);
        return Some((exit, Err(Bad { rule: "the failure's own exit", what })));
    }
    let judged = judge.judge(scenario, &state, said, tell).map(|_| ());
    Some((exit, judged))
}

/// The exit codes that a failure of this kind may have.
fn explains(kind: FaultKind, exit: u8) -> bool {
    match kind {
        FaultKind::InputOutput | FaultKind::ReadOnly | FaultKind::Denied => exit == 15,
        // SQLite reports a journal that cannot be made as "cannot open".
        FaultKind::Full | FaultKind::ShortWrite => exit == 14 || exit == 15,
        FaultKind::Kill => true,
    }
}

/// Shows one failing run and the boots after it.
///
/// # Errors
/// The name is none.
pub fn replay(scenario: &Scenario, name: &str, out: &mut dyn FnMut(&str)) -> Result<bool, String> {
    let parts: Vec<&str> = name.split(':').collect();
    let kind = |text: &str| FaultKind::ALL.into_iter().find(|kind| format!("{kind:?}") == text);
    let ([operation, what, many], true) = (parts.as_slice().try_into().unwrap_or(["", "", ""]), parts.len() == 3) else {
        return Err(format!("{name} is no failure; write OPERATION:KIND:once or OPERATION:KIND:for-ever"));
    };
    let (Ok(operation), Some(kind)) = (operation.parse(), kind(what)) else {
        return Err(format!("{name} names no operation or no kind of failure"));
    };
    let whole = logged(scenario, scenario.firmware, &scenario.initial, &scenario.asked);
    for (number, line) in whole.log.iter().enumerate() {
        out(&format!("{number:>4} {line}"));
    }
    let fault = Fault::at_operation(operation, kind, many == "for-ever");
    match one(scenario, fault, whole.booted.report.exit, &mut Judge::default(), out) {
        None => out("this run did not meet the failure"),
        Some((_, Ok(()))) => out("good"),
        Some((_, Err(bad))) => {
            out(&format!("bad: {}: {}", bad.rule, bad.what));
            return Ok(false);
        }
    }
    Ok(true)
}
