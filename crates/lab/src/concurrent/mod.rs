//! Owns the sweep over concurrent processes: at every effect of a scenario's run, a boot or a
//! command, an application or a second bootmigrate comes in between; at every look of our own code
//! an application comes or goes.
//! Promises: no row that SQLite acknowledged is lost, without and with a cut after it; never two
//! migrators at once.
//! Never lets the concurrent process's rows decide what the scenario must come to.

mod application;
mod beside;
mod migrator;

use std::collections::{HashMap, HashSet};

use self::application::Manner;
use self::beside::{in_the_snapshot, Beside};
use crate::by_operator::{beside, carry_out};
use crate::device::{switch_on, Booted};
use crate::dump::guests;
use crate::finding::Bad;
use crate::firmware::{MAIN, STATE};
use crate::judge::{After, Judge, Start};
use crate::logged::first_of;
use crate::power_cuts::{draw, PLAIN};
use crate::scenario::Run;
use crate::scenario::Scenario;
use crate::share::Share;
use crate::sim::hash::Random;
use crate::sim::state::STORAGE;
use crate::sim::{CrashPoint, Enumerator, Options, Sim, State};
use crate::tally::Tally;

/// A boot that ends with 13 because of a concurrent process is one more before it is quiet.
const MORE_BOOTS: u32 = 1;

/// Of the runs: beside an application, with rows that were acknowledged in them; states after a cut
/// of such a run; and beside a second bootmigrate.
const COUNTS: [&str; 5] =
    ["effects", "beside an application", "acknowledged rows", "after a cut", "beside a migrator"];

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Cuts of each run beside an application.
    pub cuts: u64,
    /// Which runs.
    pub share: Share,
}

/// Where acknowledged rows are when the device is at rest.
type Rows = (HashSet<i64>, HashSet<i64>);

struct Sweep {
    scenario: Scenario,
    /// How the run ends without a concurrent process.
    alone: u8,
    judge: Judge,
    at_rest: HashMap<u128, Rows>,
    seen: HashSet<u128>,
    tally: Tally,
}

/// Every effect, every concurrent process; or a share of them.
pub fn sweep(scenario: &Scenario, extent: Extent) -> Tally {
    let alone = first_of(scenario);
    let effects = alone.log.len() as u64;
    let mut sweep = Sweep::new(scenario, alone.booted.report.exit);
    sweep.tally.count("effects", effects);
    if !scenario.options.links {
        // Where a file has one name a swap cannot be undone (docs/design.md, "Residues"): only unit
        // order keeps the application out.
        return sweep.tally;
    }
    let mut random = Random::new(extent.share.seed);
    let mut chosen = extent.share.of(scenario.name);
    // Only where nothing stands can an application make the file.
    let stands = scenario.initial.follow(MAIN).is_ok();
    for effect in 0..effects {
        for manner in
            Manner::AT_EFFECTS.into_iter().filter(|manner| *manner != Manner::Founds || !stands)
        {
            if chosen() {
                sweep.beside_application(effect, manner, extent.cuts, &mut random);
            }
        }
        for waits in [false, true] {
            if chosen() {
                sweep.beside_migrator(effect, waits);
            }
        }
    }
    for look in 0..alone.sim.looks() {
        for manner in Manner::AT_LOOKS {
            if chosen() {
                sweep.beside_application(look, manner, extent.cuts, &mut random);
            }
        }
    }
    sweep.tally
}

impl Sweep {
    fn new(scenario: &Scenario, alone: u8) -> Sweep {
        let tally = Tally::new(scenario.name, "runs and states", &COUNTS);
        let mut scenario = scenario.clone();
        scenario.quiet_by += MORE_BOOTS;
        let (at_rest, seen) = (HashMap::new(), HashSet::new());
        Sweep { scenario, alone, judge: Judge::beside_guests(), at_rest, seen, tally }
    }

    fn note(&mut self, name: String, judged: Result<(), Bad>) {
        if let Err(bad) = judged {
            self.tally.note(name, bad);
        }
    }

    fn beside_application(&mut self, number: u64, manner: Manner, cuts: u64, random: &mut Random) {
        let run = Beside::run(&self.scenario, number, manner);
        self.tally.judged += 1;
        self.tally.count("beside an application", 1);
        self.tally.count("acknowledged rows", run.acknowledged.len() as u64);
        self.tally.by(&format!("{manner:?}, exit"), run.logged.booted.report.exit);
        let name = format!("{}@application:{number}:{manner:?}", self.scenario.name);
        let judged = self.judge_run(&run, &mut |_| {});
        self.note(name.clone(), judged);
        for _ in 0..cuts {
            if run.founded || run.logged.log.is_empty() {
                break;
            }
            // Where a look was is not in the log: the cut may be anywhere.
            let from = if Manner::AT_LOOKS.contains(&manner) {
                0
            } else {
                number.min(run.logged.log.len() as u64 - 1)
            };
            let point = draw(&run.logged, from, random);
            let judged = self.judge_cut(&run, point, &mut |_| {});
            self.note(format!("{name}:{point}"), judged);
        }
    }

    fn judge_run(&mut self, run: &Beside, tell: &mut dyn FnMut(&str)) -> Result<(), Bad> {
        let booted = &run.logged.booted;
        tell(&format!(
            "the run beside it: exit {}: {}",
            booted.report.exit, booted.report.sentence
        ));
        if run.founded {
            // What stands is theirs, and no end of the scenario: it must only be left alone.
            return self.kept(&run.after, &run.acknowledged);
        }
        let mut said = false;
        self.judge.cuts = 0;
        in_the_snapshot(run)?;
        if self.scenario.run.is_boot() {
            self.first_run(&run.logged.sim, &run.after, booted, &mut said)?;
        } else {
            beside(&self.scenario, &run.logged.sim)?;
            self.command(booted)?;
            run.snapshot_made(&self.scenario)?;
        }
        let said = booted.loss_said_at.is_some();
        let (_, left) = self.judge.judge_from(
            &self.scenario,
            &run.after,
            Start::again(&self.scenario, said),
            tell,
        )?;
        self.kept(&left, &run.acknowledged)
    }

    fn judge_cut(
        &mut self,
        run: &Beside,
        point: CrashPoint,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), Bad> {
        let plan = Enumerator {
            initial: &run.logged.initial,
            log: &run.logged.log,
            order: point.order,
            plan: PLAIN,
        };
        let state = plan.state_at(point);
        let cut = point.cut as u64;
        let acknowledged: Vec<(i64, u64)> =
            run.acknowledged.iter().copied().filter(|(_, at)| *at <= cut).collect();
        let said = run.logged.booted.loss_said_at.is_some_and(|at| cut >= at);
        let hash = state.hash() ^ (acknowledged.len() as u128) ^ (u128::from(said) << 64);
        if !self.seen.insert(hash) {
            return Ok(());
        }
        self.tally.judged += 1;
        self.tally.count("after a cut", 1);
        self.judge.cuts = 1;
        tell(&format!(
            "acknowledged before the cut: {acknowledged:?}; what is left:\n{}",
            state.describe()
        ));
        let (_, left) = self.judge.judge_from(
            &self.scenario,
            &state,
            Start::again(&self.scenario, said),
            tell,
        )?;
        self.kept(&left, &acknowledged)
    }

    /// A command ends as it does alone, or says that the database is in use; what it left is judged
    /// by the boots.
    fn command(&self, booted: &Booted) -> Result<(), Bad> {
        let exit = booted.report.exit;
        if exit == self.alone || exit == 13 {
            return Ok(());
        }
        Err(Bad {
            rule: "a command's exit",
            what: format!("exit {exit}, and alone {}: {}", self.alone, booted.report.sentence),
        })
    }

    /// The rules after the run that was disturbed: in use is one more exit that it may have.
    fn first_run(
        &mut self,
        sim: &Sim,
        after: &State,
        booted: &Booted,
        said: &mut bool,
    ) -> Result<(), Bad> {
        let mut scenario = self.scenario.clone();
        if booted.report.exit == 13 {
            scenario.exits = &[13];
        }
        let used = scenario.initial.used_bytes(STORAGE);
        self.judge.after_boot(
            &scenario,
            After { sim, state: after, used_before: used },
            booted,
            said,
        )
    }

    /// Every acknowledged row is in main at rest; or in quarantine, where the scenario loses rows.
    fn kept(&mut self, state: &State, acknowledged: &[(i64, u64)]) -> Result<(), Bad> {
        if acknowledged.is_empty() {
            return Ok(());
        }
        let hash = state.hash();
        if !self.at_rest.contains_key(&hash) {
            let rows = self.rows_at_rest(state);
            self.at_rest.insert(hash, rows);
        }
        let (main, aside) = &self.at_rest[&hash];
        let gives_up = self.scenario.ends.iter().any(|end| end.loss);
        match acknowledged
            .iter()
            .find(|(id, _)| !(main.contains(id) || gives_up && aside.contains(id)))
        {
            None => Ok(()),
            Some((id, at)) => {
                let where_else = if aside.contains(id) { "only in quarantine" } else { "nowhere" };
                let what =
                    format!("row {id}, acknowledged when {at} effects were made, is {where_else}");
                Err(Bad { rule: "an acknowledged row is kept", what })
            }
        }
    }

    fn rows_at_rest(&self, state: &State) -> Rows {
        let mut state = state.clone();
        for _ in 0..=self.scenario.quiet_by {
            let sim = Sim::with(&state, Options { log: false, ..self.scenario.options.clone() });
            let effects = switch_on(self.scenario.then(), &sim, &self.scenario.again).effects;
            state = sim.state().swept();
            if effects == 0 {
                break;
            }
        }
        let prefix = format!("{STATE}/quarantine/");
        let sets = state
            .walk()
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| path.starts_with(&prefix) && path.ends_with(".db"));
        let aside = sets.flat_map(|path| guests(&state, &path)).collect();
        (guests(&state, MAIN).into_iter().collect(), aside)
    }

    fn beside_migrator(&mut self, effect: u64, waits: bool) {
        self.tally.judged += 1;
        self.tally.count("beside a migrator", 1);
        let name = format!(
            "{}@migrator:{effect}:{}",
            self.scenario.name,
            if waits { "waits" } else { "at-once" }
        );
        let judged = self.judge_migrators(effect, waits, &mut |_| {});
        self.note(name, judged);
    }

    fn judge_migrators(
        &mut self,
        effect: u64,
        waits: bool,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), Bad> {
        let scenario = self.scenario.clone();
        let sim = Sim::with(&scenario.initial, Options { log: true, ..scenario.options.clone() });
        let started =
            migrator::start(&sim, effect, scenario.firmware, scenario.again.clone(), waits);
        let first = carry_out(scenario.run, scenario.firmware, &sim, &scenario.asked);
        let Some(second) = started.finish() else { return Ok(()) };
        let log = sim.log();
        let theirs = log.iter().filter(|line| line.process != 0).count();
        tell(&format!("the first: exit {}: {}", first.report.exit, first.report.sentence));
        tell(&format!(
            "the second, {theirs} effects, {}: exit {}: {}",
            if second.locked {
                "started under the first one's lock"
            } else {
                "started before there was a lock"
            },
            second.booted.report.exit,
            second.booted.report.sentence
        ));
        let how = if waits { "second, waits" } else { "second, at once" };
        self.tally.by(&format!("{how}, exit"), second.booted.report.exit);
        if second.locked && !waits && (second.booted.report.exit != 13 || theirs > 0) {
            let what = format!(
                "beside the first the second made {theirs} effects: {}",
                second.booted.report.sentence
            );
            return Err(Bad { rule: "never two migrators", what });
        }
        let state = sim.state().swept();
        let mut said = first.loss_said_at.is_some() || second.booted.loss_said_at.is_some();
        self.judge.cuts = 0;
        // The first may find the second at work, where that one came before there was a lock.
        let turned_away = |booted: &Booted| booted.report.exit == 13 && (!waits || !second.locked);
        // A second one that came before there was a lock has left nothing to do.
        if !scenario.run.is_boot() && (second.locked || first.report.exit != 0) {
            self.command(&first)?;
        }
        // What it found is removed by now.
        let second_booted = Some(&second.booted).filter(|_| scenario.run != Run::Wipe);
        let boots = [Some(&first).filter(|_| scenario.run.is_boot()), second_booted];
        for booted in boots.into_iter().flatten().filter(|booted| !turned_away(booted)) {
            let after = After {
                sim: &sim,
                state: &state,
                used_before: scenario.initial.used_bytes(STORAGE),
            };
            self.judge.after_boot(&scenario, after, booted, &mut said)?;
        }
        self.judge.judge(&scenario, &state, said, tell).map(|_| ())
    }
}

/// Shows one run: `application:EFFECT:MANNER` (with a manner that comes at looks the number is a
/// look's), with `:CUT` one state of it, or `migrator:EFFECT:waits`.
///
/// # Errors
/// The name is not known.
pub fn replay(scenario: &Scenario, name: &str, out: &mut dyn FnMut(&str)) -> Result<bool, String> {
    let parts: Vec<&str> = name.splitn(4, ':').collect();
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{name} names no effect"));
    let mut sweep = Sweep::new(scenario, first_of(scenario).booted.report.exit);
    sweep.judge = sweep.judge.by_booting();
    let judged = match parts.as_slice() {
        ["migrator", effect, how] => sweep.judge_migrators(number(effect)?, *how == "waits", out),
        ["application", effect, manner, cut @ ..] => {
            let wanted = Manner::AT_EFFECTS
                .into_iter()
                .chain(Manner::AT_LOOKS)
                .find(|known| format!("{known:?}") == *manner);
            let manner =
                wanted.ok_or_else(|| format!("{name} names no manner of an application"))?;
            let run = Beside::run(&sweep.scenario, number(effect)?, manner);
            for (number, line) in run.logged.log.iter().enumerate() {
                out(&format!("{number:>4} {line}"));
            }
            out(&format!("acknowledged: {:?}", run.acknowledged));
            match cut {
                [point] => sweep.judge_cut(&run, point.parse()?, out),
                _ => sweep.judge_run(&run, out),
            }
        }
        _ => {
            return Err(format!(
                "{name} is no concurrent process; write application:EFFECT:MANNER or \
                 migrator:EFFECT:waits"
            ))
        }
    };
    match judged {
        Ok(()) => out("good"),
        Err(bad) => {
            out(&format!("bad: {}: {}", bad.rule, bad.what));
            return Ok(false);
        }
    }
    Ok(true)
}
