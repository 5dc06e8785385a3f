//! Owns the sweep over crash states: a scenario's log, every cut of it, cuts during the recovery,
//! and what came of them.
//! Promises: every effect of the log at least once with every plain outcome; distinct states
//! counted by hash; repeatable by seed.
//! Never judges: that is [`Judge`](crate::judge::Judge).

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Instant;

use crate::by_operator::{kept, left};
use crate::dump::Album;
use crate::judge::{self, ends_short, After, Judge, Start};
use crate::logged::{first_of, logged, Logged};
use crate::scenario::Scenario;
use crate::sim::hash::Random;
use crate::sim::outcome::Data;
use crate::sim::{CrashPoint, Enumerator, Order, OutcomePlan, Replay, SeenStates, State};
use crate::tally::Tally;

/// Random outcomes at each cut of a later pass.
const LATER_RANDOM: u64 = 48;
/// Passes of random outcomes at most: a small log has few states.
const PASSES_MAX: u64 = 40;
/// This often the random outcomes of a second cut are doubled.
const SECOND_DOUBLED_MAX: u32 = 5;
/// Every cut with the outcomes that are not random.
pub(crate) const PLAIN: OutcomePlan =
    OutcomePlan { random: 0, seed: 0, single: false, exhaustive_up_to: 0 };

/// How much, and which part of it.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Distinct states of one scenario; the plain outcomes are all visited even where they are
    /// more.
    pub states: u64,
    /// Boots that are really carried out; after the plain outcomes the sweep ends when it has had
    /// this many.
    pub boots: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// Stop at the first bad state.
    pub stop: bool,
}

/// Which cut of how many.
#[derive(Clone, Copy)]
struct Cuts {
    /// The second one.
    second: bool,
    /// The newest update of the record that was durable before it.
    synced: u64,
    /// The run that it cuts had ended, and well.
    after_success: bool,
}

impl Cuts {
    /// This cut of a logged run.
    fn of(run: &Logged, cut: usize, second: bool) -> Cuts {
        let synced = run.synced.get(cut).copied().unwrap_or(0);
        let after_success = cut == run.log.len() && run.booted.report.usable;
        Cuts { second, synced, after_success }
    }
}

struct Sweep<'a> {
    scenario: &'a Scenario,
    extent: Extent,
    judge: Judge,
    album: Album,
    seen: SeenStates,
    tally: Tally,
}

/// A cut of this run, not before effect `from`, with one of its outcomes.
pub(crate) fn draw(run: &Logged, from: u64, random: &mut Random) -> CrashPoint {
    let order = Order::ALL[random.below(2) as usize];
    let cut = (from + random.below(run.log.len() as u64 + 1 - from)) as usize;
    let replay = Replay::at(&run.initial, order, &run.log[..cut]);
    let plan = OutcomePlan { random: 6, seed: random.draw(), ..OutcomePlan::default() };
    let outcomes = plan.outcomes(&replay, cut);
    CrashPoint { cut, order, outcome: outcomes[random.below(outcomes.len() as u64) as usize] }
}

/// Sweeps one scenario.
pub fn sweep(scenario: &Scenario, extent: Extent) -> Tally {
    let began = Instant::now();
    let tally = Tally::new(scenario.name, "states", &["effects", "second cuts", "boots"]);
    let album = Album::leaving_out(scenario.left_out.clone());
    let mut sweep = Sweep {
        scenario,
        extent,
        judge: Judge::of(scenario),
        album,
        seen: SeenStates::default(),
        tally,
    };
    let first = first_of(scenario);
    sweep.tally.count("effects", first.log.len() as u64);
    sweep.without_a_cut(&first);
    sweep.first_cuts(&first, PLAIN, u64::MAX);
    let ordinary = OutcomePlan { seed: extent.seed, ..OutcomePlan::default() };
    sweep.first_cuts(&first, ordinary, extent.states);
    let rest = extent.states.saturating_sub(sweep.tally.judged);
    sweep.second_cuts(&first, sweep.tally.judged + rest / 2);
    for pass in 0..PASSES_MAX {
        let before = sweep.tally.judged;
        let seed = extent.seed.wrapping_add(1000 + pass);
        sweep.first_cuts(
            &first,
            OutcomePlan { random: LATER_RANDOM, seed, single: false, exhaustive_up_to: 10 },
            extent.states,
        );
        if sweep.has_enough(extent.states) || sweep.tally.judged == before {
            break;
        }
    }
    sweep.second_cuts(&first, extent.states);
    sweep.tally.count("boots", sweep.judge.booted);
    sweep.tally.seconds = began.elapsed().as_secs_f64();
    sweep.tally
}

impl Sweep<'_> {
    /// The run itself keeps the rules too, and so does the boot after it.
    fn without_a_cut(&mut self, first: &Logged) {
        let state = first.sim.state().swept();
        let mut said = false;
        let used = first.initial.used_bytes(crate::sim::state::STORAGE);
        let judged = if self.scenario.run.is_boot() {
            self.judge.after_boot(
                self.scenario,
                After { sim: &first.sim, state: &state, used_before: used },
                &first.booted,
                &mut said,
            )
        } else {
            left(self.scenario, &first.sim, first.booted.report.exit, &mut self.album)
        };
        let judged = judged.and_then(|()| ends_short(self.scenario, &first.booted));
        let judged = judged
            .and_then(|()| self.judge.judge(self.scenario, &state, said, &mut |_| {}).map(|_| ()));
        if let Err(bad) = judged {
            self.tally.note(format!("{}@whole", self.scenario.name), bad);
        }
    }

    /// Enough states, or as much work as was asked for, or a bad one where that is the end.
    fn has_enough(&self, states: u64) -> bool {
        let worked = states != u64::MAX && self.judge.booted >= self.extent.boots;
        self.tally.judged >= states || worked || self.extent.stop && self.tally.bad > 0
    }

    fn first_cuts(&mut self, first: &Logged, plan: OutcomePlan, states: u64) {
        for order in Order::ALL {
            let enumerator = Enumerator { initial: &first.initial, log: &first.log, order, plan };
            enumerator.each(|point, state| {
                let kept = kept(
                    self.scenario,
                    &first.initial,
                    first.ended(point.cut),
                    &state,
                    &mut self.album,
                );
                if let Err(bad) = kept {
                    self.tally.note(format!("{}@{point}", self.scenario.name), bad);
                }
                self.visit(
                    |name| format!("{name}@{point}"),
                    point,
                    &state,
                    first.said(point.cut),
                    Cuts::of(first, point.cut, false),
                );
                if self.has_enough(states) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
        }
    }

    /// Cuts during the first boot after a cut, from cuts that the seed chooses.
    fn second_cuts(&mut self, first: &Logged, states: u64) {
        if first.log.is_empty() {
            return;
        }
        let mut random = Random::new(self.extent.seed ^ states);
        let mut drawn = HashMap::new();
        let mut window = Window::default();
        while !self.has_enough(states) && !window.is_in_vain() {
            let (before, mut offered) = (self.tally.judged, 0);
            let outer = draw(first, 0, &mut random);
            let enumerator = Enumerator {
                initial: &first.initial,
                log: &first.log,
                order: outer.order,
                plan: PLAIN,
            };
            let state = enumerator.state_at(outer);
            let recovery =
                logged(self.scenario, self.scenario.then(), &state, &self.scenario.again);
            let said = first.said(outer.cut);
            // A state that is drawn again has shown its plain outcomes: more of the others.
            let before_now = drawn.entry(state.hash()).or_insert(0);
            let plan = OutcomePlan {
                random: 3 << *before_now,
                seed: random.draw(),
                single: false,
                exhaustive_up_to: 3,
            };
            *before_now = (*before_now + 1).min(SECOND_DOUBLED_MAX);
            let enumerator = Enumerator {
                initial: &recovery.initial,
                log: &recovery.log,
                order: outer.order,
                plan,
            };
            enumerator.each(|point, state| {
                let said = said || recovery.said(point.cut);
                offered += 1;
                self.visit(
                    |name| format!("{name}@{outer}>{point}"),
                    point,
                    &state,
                    said,
                    Cuts::of(&recovery, point.cut, true),
                );
                ControlFlow::Continue(())
            });
            window.note(offered, self.tally.judged - before);
        }
    }

    fn visit(
        &mut self,
        name: impl Fn(&str) -> String,
        point: CrashPoint,
        state: &State,
        said: bool,
        cuts: Cuts,
    ) {
        if !self.seen.insert(state.hash() ^ u128::from(said)) {
            return;
        }
        self.tally.judged += 1;
        self.tally.count("second cuts", u64::from(cuts.second));
        let outcome = format!("{}/{}", point.outcome.data.kind(), point.outcome.names.kind());
        self.tally.by("data/names", outcome);
        self.judge.cuts = 1 + u32::from(cuts.second);
        let kept = judge::record_kept(state, cuts.synced);
        let stands =
            if cuts.after_success { self.judge.stands(self.scenario, state) } else { Ok(()) };
        match kept
            .and(stands)
            .and_then(|()| self.judge.judge(self.scenario, state, said, &mut |_| {}))
        {
            Ok(good) => self.tally.by("end", good.end),
            Err(bad) => self.tally.note(name(self.scenario.name), bad),
        }
    }
}

/// Shows one state step by step: the effects before the cut, what is on the disk then, and every
/// boot after it.
///
/// # Errors
/// The name is not known.
pub fn replay(
    scenario: &Scenario,
    points: &str,
    out: &mut dyn FnMut(&str),
) -> Result<bool, String> {
    let mut state = scenario.initial.clone();
    let (mut firmware, mut asked, mut said, mut first) =
        (scenario.firmware, &scenario.asked, false, true);
    if points != "whole" {
        for name in points.split('>') {
            let point: CrashPoint = name.parse()?;
            let run =
                if first { first_of(scenario) } else { logged(scenario, firmware, &state, asked) };
            first = false;
            if !is_of(&run, point) {
                return Err(format!(
                    "{name} is no instant of this run, which has {} effects",
                    run.log.len()
                ));
            }
            out(&format!(
                "this boot would end with exit {}: {}",
                run.booted.report.exit, run.booted.report.sentence
            ));
            for (number, effect) in run.log.iter().enumerate().take(point.cut + 3) {
                let mark = if number < point.cut { "done" } else { "cut " };
                out(&format!("{mark} {number:>4} {effect}"));
            }
            said |= run.said(point.cut);
            state = Enumerator {
                initial: &run.initial,
                log: &run.log,
                order: point.order,
                plan: PLAIN,
            }
            .state_at(point);
            (firmware, asked) = (scenario.then(), &scenario.again);
            out(&format!("the power goes, {name}; what is left:\n{}", state.describe()));
        }
    }
    let cuts = if points == "whole" { 0 } else { points.split('>').count() as u32 };
    let mut judge = Judge::of(scenario);
    judge.cuts = cuts;
    let judged =
        judge.judge_from(scenario, &state, Start { said, number: 1, asked }, &mut |line| out(line));
    match judged {
        Ok((good, _)) => out(&format!("good: {}, quiet at boot {}", good.end, good.boots)),
        Err(bad) => {
            out(&format!("bad: {}: {}", bad.rule, bad.what));
            return Ok(false);
        }
    }
    Ok(true)
}

/// So many effects, and pending changes, does this run have.
fn is_of(run: &Logged, point: CrashPoint) -> bool {
    let Some(done) = run.log.get(..point.cut) else { return false };
    let pending = Replay::at(&run.initial, point.order, done).data.len();
    match point.outcome.data {
        Data::Without(index)
        | Data::Only(index)
        | Data::TornFirst(index, _)
        | Data::TornLast(index, _) => (index as usize) < pending,
        Data::Lost | Data::Kept | Data::Sizes | Data::Random(_) | Data::Bits(_) => true,
    }
}

/// The last draws of a search: a small scenario has few states, and to find the last of them would
/// take very long.
#[derive(Default)]
struct Window {
    draws: u32,
    offered: u64,
    new: u64,
    in_vain: bool,
}

impl Window {
    /// Draws that are counted together.
    const DRAWS: u32 = 200;
    /// One new state in this many draws is still worth it.
    const NEW_IN: u64 = 100;

    fn note(&mut self, offered: u64, new: u64) {
        self.draws += 1;
        self.offered += offered;
        self.new += new;
        if self.draws == Window::DRAWS {
            *self =
                Window { in_vain: self.new * Window::NEW_IN < self.offered, ..Window::default() };
        }
    }

    fn is_in_vain(&self) -> bool {
        self.in_vain
    }
}
