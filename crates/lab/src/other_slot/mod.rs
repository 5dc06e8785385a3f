//! Owns the sweep over two slots of different releases: today's run is cut, an earlier commit's
//! program wakes up on what is left.
//! Promises: half-done states of the simulated disk as real files; both programs are processes; a
//! state comes back by its name.
//! Never cuts the earlier program: its states cannot be simulated.

// The lab's own files, not a device's.
#![allow(clippy::disallowed_methods)]

mod built;
mod device;
mod judge;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::finding::Bad;
use crate::firmware::Firmware;
use crate::logged::{logged, Logged};
use crate::power_cuts::{draw, PLAIN};
use crate::scenario::plain;
use crate::scenarios::situations::empty;
use crate::scenarios::slots::{named, Made, Slots};
use crate::sim::hash::Random;
use crate::sim::{CrashPoint, Enumerator, SeenStates, State};
use crate::tally::Tally;
use crate::workers::{by_shares, Part};
use device::{materialise, read_back, Slot};
use judge::{Judge, Who};

/// Exit code where the earlier release cannot be had: nothing was run.
const NOT_RUN: u8 = 3;
/// Draws for each state that is wanted, at most: a small log has only a few.
const DRAWS_MAX: u64 = 20;

/// What is run.
#[derive(Debug, Clone, Args)]
pub struct Wanted {
    /// Distinct states in all, over every earlier commit and every situation
    #[arg(long, default_value_t = 400)]
    states: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only situations with this in their name
    #[arg(long)]
    scenario: Option<String>,
    /// Show one state step by step: its name as a bad state is printed
    #[arg(long)]
    replay: Option<String>,
    /// One JSON object a situation
    #[arg(long)]
    json: bool,
    /// Another program in today's place (a control)
    #[arg(long)]
    today: Option<PathBuf>,
    /// Where the files of the devices lie: a tmpfs
    #[arg(long, default_value = "/dev/shm")]
    work: PathBuf,
    /// Worker processes
    #[arg(long, default_value_t = 2)]
    workers: u64,
    /// Which of them this is
    #[arg(long, hide = true)]
    worker: Option<u64>,
}

/// One situation, made, with both programs.
struct Trial {
    slots: Slots,
    earlier: Slot,
    today: Slot,
    root: PathBuf,
}

/// Builds the programs, runs every situation and prints what came of it.
pub fn run(wanted: &Wanted) -> ExitCode {
    if let Some(sentence) = built::commits().into_iter().find_map(built::missing) {
        println!("not run: {sentence}");
        return ExitCode::from(NOT_RUN);
    }
    let today = wanted.today.clone().map_or_else(built::today, Ok);
    let earlier: Result<Vec<_>, String> = built::commits()
        .into_iter()
        .map(|commit| built::earlier(commit).map(|program| (commit, program)))
        .collect();
    let (today, earlier) = match (today, earlier) {
        (Ok(today), Ok(earlier)) => (today, earlier),
        (Err(sentence), _) | (_, Err(sentence)) => {
            eprintln!("{sentence}");
            return ExitCode::from(2);
        }
    };
    if let Some(worker) = wanted.worker {
        work(wanted, worker, &today, &earlier);
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::Builder::new()
        .prefix("other-slot-")
        .tempdir_in(&wanted.work)
        .expect("a folder for the devices");
    if let Some(name) = &wanted.replay {
        return replay(name, folder.path(), &today, &earlier);
    }
    let situations = folder.path().join("situations");
    for (commit, program) in &earlier {
        for slots in named(wanted.scenario.as_deref()) {
            make_situation(
                &slots,
                program,
                &situations.join(built::short(commit)).join(slots.name),
            );
        }
    }
    by_workers(wanted, folder.path())
}

/// What the earlier release and the application left, where the situation is theirs.
fn make_situation(slots: &Slots, earlier: &Path, root: &Path) {
    let Made::ByTheEarlier(then) = slots.made else { return };
    materialise(&empty(), root);
    let slot = Slot::make(earlier, slots.earlier, root.join("firmware"));
    let ran = slot.boot(root);
    assert_eq!(ran.exit, 0, "the earlier release's first boot: {}", ran.said);
    materialise(&then(&read_back(root)), root);
}

/// Starts the workers, adds up what they print, and prints that.
fn by_workers(wanted: &Wanted, folder: &Path) -> ExitCode {
    let began = std::time::Instant::now();
    let mut command = vec!["other-slot".to_owned(), "--work".to_owned()];
    command.push(folder.display().to_string());
    for (flag, number) in [("--states", wanted.states), ("--seed", wanted.seed)] {
        command.extend([flag.to_owned(), number.to_string()]);
    }
    let scenario = wanted.scenario.iter().flat_map(|name| ["--scenario".to_owned(), name.clone()]);
    command.extend(scenario);
    let today = wanted.today.iter().map(|path| path.display().to_string());
    command.extend(today.flat_map(|path| ["--today".to_owned(), path]));
    let mut all = Tally { of: format!("seed {}", wanted.seed), ..Tally::default() };
    let mut parts: Vec<Tally> = Vec::new();
    for found in by_shares::<Vec<Tally>>(&command, wanted.workers.max(1)) {
        let found = found.unwrap_or_else(|what| {
            let mut died = Tally { of: "a worker".to_owned(), ..Tally::default() };
            died.note("a worker", Bad { rule: "no panic", what });
            vec![died]
        });
        for part in found {
            all.add(part.clone());
            match parts.iter_mut().find(|known| known.of == part.of) {
                Some(known) => known.add(part),
                None => parts.push(part),
            }
        }
    }
    all.seconds = began.elapsed().as_secs_f64();
    all.findings.clear();
    let is_bad = all.bad > 0 || all.judged == 0;
    parts.push(all);
    for part in &parts {
        match wanted.json {
            true => println!("{}", serde_json::to_string(part).unwrap()),
            false => println!("{part}"),
        }
    }
    ExitCode::from(u8::from(is_bad))
}

/// One worker: its part of the states of every situation.
fn work(wanted: &Wanted, worker: u64, today: &Path, earlier: &[(&str, PathBuf)]) {
    let situations = named(wanted.scenario.as_deref());
    let pairs = (situations.len() * earlier.len()).max(1) as u64;
    let each = wanted.states.div_ceil(pairs);
    let mut tallies = Vec::new();
    for (commit, program) in earlier {
        for slots in &situations {
            let situations =
                wanted.work.join("situations").join(built::short(commit)).join(slots.name);
            let trial = Trial::make(
                slots.clone(),
                &situations,
                &wanted.work.join(format!("worker-{worker}")),
                today,
                program,
            );
            let part = Part { count: each, seed: wanted.seed, worker, workers: wanted.workers };
            tallies.push(trial.sweep(&format!("{}/{}", built::short(commit), slots.name), part));
        }
    }
    println!("{}", serde_json::to_string(&tallies).unwrap());
}

/// Beside the states: effects of the run that is cut, states that are cut once more on the way,
/// boots of both programs, and those of the earlier one that only said that the database is newer.
const COUNTS: [&str; 4] = ["effects", "cut twice", "boots", "refused as newer"];

impl Trial {
    fn make(
        mut slots: Slots,
        situation: &Path,
        folder: &Path,
        today: &Path,
        earlier: &Path,
    ) -> Trial {
        if matches!(slots.made, Made::ByTheEarlier(_)) {
            slots.today.initial = read_back(situation);
        }
        let earlier = Slot::make(earlier, slots.earlier, folder.join("earlier"));
        let today = Slot::make(today, slots.today.firmware, folder.join("today"));
        Trial { slots, earlier, today, root: folder.join("root") }
    }

    fn today_logged(&self, firmware: Firmware, state: &State, again: bool) -> Logged {
        let asked = if again { plain() } else { self.slots.today.asked.clone() };
        logged(&self.slots.today, firmware, state, &asked)
    }

    fn sweep(&self, name: &str, part: Part) -> Tally {
        let mut tally = Tally::new(name, "states", &COUNTS);
        let first = self.today_logged(self.slots.today.firmware, &self.slots.today.initial, false);
        if part.worker == 0 {
            tally.count("effects", first.log.len() as u64);
        }
        let seen = SeenStates::default();
        let mut random = Random::new(part.seed);
        let (mut found, mut drawn) = (0, 0);
        while found < part.count && drawn < part.count * DRAWS_MAX {
            drawn += 1;
            let point = draw(&first, 0, &mut random);
            let second = random.draw();
            let state = state_at(&first, point);
            if !seen.insert(state.hash()) {
                continue;
            }
            found += 1;
            if found % part.workers.max(1) != part.worker {
                continue;
            }
            // Every other device comes back to today's slot at once, and every third of all is cut
            // once more there.
            let turns =
                Turns { patient: found % 2 == 0, second: (found % 3 == 0).then_some(second) };
            let mut counts = None;
            let judged = self.judge(&first, point, turns, &mut counts, &mut |_| {});
            tally.judged += 1;
            if let Some(Counts { boots, refusals, cuts }) = counts {
                tally.count("boots", boots);
                tally.count("refused as newer", refusals);
                tally.count("cut twice", u64::from(cuts > 1));
            }
            match judged {
                // Where the earlier slot and then today's came to.
                Ok(TrialEnd { there, here }) => tally.by("ends", format!("{there} > {here}")),
                Err(bad) => tally.note(format!("{name}@{point}{}", turns.words()), bad),
            }
        }
        tally
    }

    /// The device after this cut: the earlier slot boots, then today's until it is quiet.
    fn judge(
        &self,
        first: &Logged,
        point: CrashPoint,
        turns: Turns,
        counts: &mut Option<Counts>,
        tell: &mut dyn FnMut(&str),
    ) -> Result<TrialEnd, Bad> {
        materialise(&state_at(first, point), &self.root);
        let said = first.said(point.cut);
        let mut judge = Judge {
            slots: &self.slots,
            earlier: &self.earlier,
            today: &self.today,
            root: &self.root,
            said,
            cuts: 1,
            boots: 0,
            refusals: 0,
            tell,
        };
        let ended = self.turns(&mut judge, turns);
        *counts = Some(Counts { boots: judge.boots, refusals: judge.refusals, cuts: judge.cuts });
        ended
    }

    fn turns(&self, judge: &mut Judge<'_>, turns: Turns) -> Result<TrialEnd, Bad> {
        let earlier = |judge: &mut Judge<'_>| {
            if turns.patient {
                judge.until_quiet(Who::Earlier)
            } else {
                judge.boot(Who::Earlier).map(|(_, end)| end.map_or("refused", |end| end.name))
            }
        };
        let mut there = earlier(judge)?;
        if let Some(seed) = turns.second {
            let run = self.today_logged(self.slots.today.firmware, &read_back(&self.root), true);
            let point = draw(&run, 0, &mut Random::new(seed));
            (judge.tell)(&format!("Today's slot is cut at {point}"));
            materialise(&state_at(&run, point), &self.root);
            judge.said |= run.said(point.cut);
            judge.cuts += 1;
            there = earlier(judge)?;
        }
        Ok(TrialEnd { there, here: judge.until_quiet(Who::Today)? })
    }
}

/// How the slots take turns.
#[derive(Clone, Copy)]
struct Turns {
    /// The earlier slot boots until it is quiet.
    patient: bool,
    /// Today's next boot is cut too, by this seed.
    second: Option<u64>,
}

impl Turns {
    fn words(self) -> String {
        let second = self.second.map_or_else(String::new, |seed| format!("+cut:{seed}"));
        format!("{}{second}", if self.patient { "+until-quiet" } else { "+once" })
    }

    fn named(words: &[&str]) -> Option<Turns> {
        let patient = match *words.first()? {
            "until-quiet" => true,
            "once" => false,
            _ => return None,
        };
        let second = match words.get(1) {
            Some(word) => Some(word.strip_prefix("cut:")?.parse().ok()?),
            None => None,
        };
        Some(Turns { patient, second })
    }
}

/// Where both slots came to.
struct TrialEnd {
    there: &'static str,
    here: &'static str,
}

/// What one state took.
struct Counts {
    boots: u64,
    refusals: u64,
    cuts: u32,
}

fn state_at(run: &Logged, point: CrashPoint) -> State {
    Enumerator { initial: &run.initial, log: &run.log, order: point.order, plan: PLAIN }
        .state_at(point)
}

/// Shows one state: COMMIT/SITUATION@POINT+TURNS.
fn replay(name: &str, folder: &Path, today: &Path, earlier: &[(&str, PathBuf)]) -> ExitCode {
    let parsed = name.split_once('@').and_then(|(before, after)| {
        let (commit, situation) = before.split_once('/')?;
        let program = earlier.iter().find(|(known, _)| built::short(known) == commit)?;
        let slots = named(Some(situation)).into_iter().find(|slots| slots.name == situation)?;
        let words: Vec<&str> = after.split('+').collect();
        let (point, turns) = words.split_first()?;
        Some((slots, &program.1, point.parse::<CrashPoint>().ok()?, Turns::named(turns)?))
    });
    let Some((slots, program, point, turns)) = parsed else {
        eprintln!(
            "{name} is not the name of a state; write COMMIT/SITUATION@POINT+TURNS as a bad state \
             is printed"
        );
        return ExitCode::from(2);
    };
    let situation = folder.join("situation");
    make_situation(&slots, program, &situation);
    let trial = Trial::make(slots, &situation, folder, today, program);
    let first = trial.today_logged(trial.slots.today.firmware, &trial.slots.today.initial, false);
    println!(
        "uncut, this boot would end with exit {}: {}",
        first.booted.report.exit, first.booted.report.sentence
    );
    println!("cut at {point}; what is left:\n{}", state_at(&first, point).describe());
    match trial.judge(&first, point, turns, &mut None, &mut |line| println!("{line}")) {
        Ok(ended) => println!("good: {} there, {} here", ended.there, ended.here),
        Err(bad) => {
            println!("bad: {}: {}", bad.rule, bad.what);
            return ExitCode::from(1);
        }
    }
    ExitCode::SUCCESS
}
