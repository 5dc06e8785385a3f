//! Owns the sweep over missing memory: every allocation that SQLite makes during a scenario's run,
//! a boot or a command, is refused, once and for ever.
//! Promises: no panic; the exit is one that missing memory explains; nothing is lost, and the next
//! boots end well.
//! Never lets missing memory lead to a purge or a restore.

use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::by_operator::{carry_out, left};
use crate::dump::Album;
use crate::finding::Bad;
use crate::judge::{Judge, Trial};
use crate::scenario::Scenario;
use crate::sim::{allocator, Options, Sim};
use crate::tally::Tally;

/// Every `stride`-th allocation, from one that the seed chooses.
pub fn sweep(scenario: &Scenario, stride: u64, seed: u64) -> Tally {
    let mut judge = Judge::default();
    allocator::refuse(u64::MAX, false);
    let (_, undisturbed) = run(scenario);
    let (allocations, _) = allocator::stop();
    let mut tally = Tally::new(scenario.name, "runs without memory", &["allocations"]);
    tally.count("allocations", allocations);
    let undisturbed = undisturbed.map_or(1, |booted| booted.report.exit);
    for at in (seed % stride.max(1)..allocations).step_by(stride.max(1) as usize) {
        for for_ever in [false, true] {
            let trial = &mut Trial { scenario, undisturbed, judge: &mut judge, tell: &mut |_| {} };
            let Some((exit, judged)) = one(trial, at, for_ever) else { continue };
            tally.judged += 1;
            let many = if for_ever { "for-ever" } else { "once" };
            tally.by(&format!("{many}, exit"), exit);
            if let Err(bad) = judged {
                tally.note(format!("{}@memory:{at}:{many}", scenario.name), bad);
            }
        }
    }
    tally
}

/// The scenario's run. `Err`: it panicked, with what.
fn run(scenario: &Scenario) -> (Sim, Result<crate::device::Booted, String>) {
    let sim = Sim::with(&scenario.initial, Options { log: false, ..scenario.options.clone() });
    let booted = catch_unwind(AssertUnwindSafe(|| {
        carry_out(scenario.run, scenario.firmware, &sim, &scenario.asked)
    }));
    let booted = booted.map_err(|panic| match panic.downcast::<String>() {
        Ok(words) => *words,
        Err(panic) => panic
            .downcast_ref::<&str>()
            .map_or_else(|| "a panic".to_owned(), |words| (*words).to_owned()),
    });
    (sim, booted)
}

/// The exit, and whether the rules held; `None` where nothing was refused.
fn one(trial: &mut Trial<'_>, at: u64, for_ever: bool) -> Option<(u8, Result<(), Bad>)> {
    let Trial { scenario, undisturbed, judge, tell } = trial;
    let (scenario, undisturbed) = (*scenario, *undisturbed);
    allocator::refuse(at, for_ever);
    let (sim, booted) = run(scenario);
    let (_, refused) = allocator::stop();
    if refused == 0 {
        return None;
    }
    let booted = match booted {
        Ok(booted) => booted,
        Err(what) => return Some((101, Err(Bad { rule: "no panic", what }))),
    };
    let exit = booted.report.exit;
    tell(&format!("{refused} allocations refused; exit {exit}: {}", booted.report.sentence));
    if exit != undisturbed
        && exit != 15
        && (!scenario.exits.contains(&exit) || exit == 0 || exit == 11)
    {
        let what = format!("missing memory led to exit {exit}: {}", booted.report.sentence);
        return Some((exit, Err(Bad { rule: "the failure's own exit", what })));
    }
    let state = sim.state().swept();
    let judged = left(scenario, &sim, exit, &mut Album::default());
    Some((
        exit,
        judged.and_then(|()| {
            judge.judge(scenario, &state, booted.loss_said_at.is_some(), tell).map(|_| ())
        }),
    ))
}

/// Shows one run and the boots after it: `ALLOCATION:once` or `ALLOCATION:for-ever`.
///
/// # Errors
/// The name is not known.
pub fn replay(scenario: &Scenario, name: &str, out: &mut dyn FnMut(&str)) -> Result<bool, String> {
    let wrong =
        || format!("{name} is no allocation; write memory:NUMBER:once or memory:NUMBER:for-ever");
    let (at, many) = name.split_once(':').ok_or_else(wrong)?;
    let at = at.parse().map_err(|_| wrong())?;
    let (_, undisturbed) = run(scenario);
    let undisturbed = undisturbed.map_or(1, |booted| booted.report.exit);
    let trial =
        &mut Trial { scenario, undisturbed, judge: &mut Judge::default().by_booting(), tell: out };
    match one(trial, at, many == "for-ever") {
        None => out("this run asked for less memory"),
        Some((_, Ok(()))) => out("good"),
        Some((_, Err(bad))) => {
            out(&format!("bad: {}: {}", bad.rule, bad.what));
            return Ok(false);
        }
    }
    Ok(true)
}
