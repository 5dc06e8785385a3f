//! Owns the sweep over damaged files: every kind of file in every situation, damaged in every way,
//! and what the boots make of it.
//! Promises: a case is named by seed and number, and comes back the same; kinds and ways are
//! visited in turn, none is left out.
//! Never judges: that is [`verdict`].

mod contents;
mod fields;
mod mutation;
pub(crate) mod situations;
mod verdict;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use mutation::Mutation;
pub use situations::{plain, Kind, Situation};

use crate::finding::Bad;
use crate::sim::hash::Random;
use crate::sim::{seed_sqlite, State};
use crate::workers::by_shares;
use mutation::damage;
use verdict::{CaseEnd, Verdict};

/// Bad cases that are described.
const DESCRIBED_MAX: usize = 12;
/// Seconds after which a case that makes no call any more is called a hang.
const HANG_SECONDS: u64 = 60;

/// How many, and which of them.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Cases of all workers together.
    pub count: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// This worker.
    pub worker: u64,
    /// Of this many.
    pub workers: u64,
}

/// One damaged file.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Which situation.
    situation: usize,
    /// Which of its files.
    file: usize,
    /// What it is.
    pub kind: Kind,
    /// How it is damaged.
    pub mutation: Mutation,
}

/// What came of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Cases judged.
    pub cases: u64,
    /// Boots carried out.
    pub boots: u64,
    /// By kind of file, then by kind of damage.
    pub by_kind: BTreeMap<String, BTreeMap<String, u64>>,
    /// By the exit code of the last boot.
    pub by_exit: BTreeMap<u8, u64>,
    /// Boots that wrote nothing said 0 of a file whose depths they do not look into; a technician's
    /// run found each.
    pub unlooked: u64,
    /// Cases that broke a rule.
    pub bad: u64,
    /// By rule.
    pub by_rule: BTreeMap<String, u64>,
    /// The first of them: name, rule, what was seen.
    pub described: Vec<(String, String, String)>,
    /// Seconds of the slowest worker.
    pub seconds: f64,
}

impl Tally {
    /// Adds what another worker found.
    pub fn add(&mut self, other: Tally) {
        self.cases += other.cases;
        self.boots += other.boots;
        self.unlooked += other.unlooked;
        self.bad += other.bad;
        self.seconds = self.seconds.max(other.seconds);
        for (kind, counts) in other.by_kind {
            let kind = self.by_kind.entry(kind).or_default();
            counts.into_iter().for_each(|(how, count)| *kind.entry(how).or_default() += count);
        }
        other
            .by_exit
            .into_iter()
            .for_each(|(exit, count)| *self.by_exit.entry(exit).or_default() += count);
        other
            .by_rule
            .into_iter()
            .for_each(|(rule, count)| *self.by_rule.entry(rule).or_default() += count);
        self.described.extend(other.described);
        self.described.truncate(DESCRIBED_MAX);
    }

    fn note(&mut self, name: String, bad: Bad) {
        self.bad += 1;
        let described = self.described.iter().filter(|(_, rule, _)| *rule == bad.rule).count();
        *self.by_rule.entry(bad.rule.to_owned()).or_default() += 1;
        if described < DESCRIBED_MAX / 3 {
            self.described.push((name, bad.rule.to_owned(), bad.what));
        }
    }
}

/// Every situation, and every way in which one of its files can be damaged.
struct Sweep {
    situations: Vec<Situation>,
    cases: Vec<Case>,
}

impl Sweep {
    fn over(situations: Vec<Situation>) -> Sweep {
        let mut cases = Vec::new();
        for (number, situation) in situations.iter().enumerate() {
            for (file, (kind, _)) in situation.files.iter().enumerate() {
                let ways = Mutation::of(*kind).iter();
                cases.extend(ways.map(|mutation| Case {
                    situation: number,
                    file,
                    kind: *kind,
                    mutation: *mutation,
                }));
            }
        }
        Sweep { situations, cases }
    }

    /// The case with this number, its situation and its disk.
    fn case(&self, seed: u64, number: u64) -> (Case, &Situation, State, String) {
        let case = self.cases[(number % self.cases.len() as u64) as usize];
        let mut random = Random::new(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        seed_sqlite(random.draw() as u32);
        let situation = &self.situations[case.situation];
        let (_, path) = &situation.files[case.file];
        let (state, how) = damage(situation, case.kind, path, case.mutation, &mut random);
        (case, situation, state, format!("{}: {path}: {how}", situation.name))
    }
}

/// Judges this worker's part.
pub fn sweep(extent: Extent) -> Tally {
    sweep_over(situations::all(), extent)
}

/// The same of any situations.
pub fn sweep_over(situations: Vec<Situation>, extent: Extent) -> Tally {
    let began = Instant::now();
    let sweep = Sweep::over(situations);
    let current = watch(extent.seed);
    let mut verdict = Verdict::default();
    let mut tally = Tally::default();
    for number in (extent.worker..extent.count).step_by(extent.workers.max(1) as usize) {
        current.store(number + 1, Ordering::Relaxed);
        let (case, situation, state, how) = sweep.case(extent.seed, number);
        tally.cases += 1;
        let (kind, mutation) = (format!("{:?}", case.kind), format!("{:?}", case.mutation));
        *tally.by_kind.entry(kind).or_default().entry(mutation).or_default() += 1;
        match verdict.judge(situation, &case, &state, &mut |_| {}) {
            Ok(CaseEnd { exit, unlooked }) => {
                *tally.by_exit.entry(exit).or_default() += 1;
                tally.unlooked += u64::from(unlooked);
            }
            Err(Bad { rule, what }) => tally.note(
                format!("{}/{number}", extent.seed),
                Bad { rule, what: format!("{how}: {what}") },
            ),
        }
    }
    tally.boots = verdict.boots;
    tally.seconds = began.elapsed().as_secs_f64();
    tally
}

/// Ends this process where one case goes on without a call: a hang has no other end.
fn watch(seed: u64) -> Arc<AtomicU64> {
    let current = Arc::new(AtomicU64::new(0));
    let (watched, panicked) = (Arc::clone(&current), Arc::clone(&current));
    // A panic below SQLite ends the process at once: what it was about must be said before.
    std::panic::set_hook(Box::new(move |panic| {
        eprintln!(
            "case {seed}/{} panics: {panic}",
            panicked.load(Ordering::Relaxed).saturating_sub(1)
        );
    }));
    std::thread::spawn(move || {
        let mut last = u64::MAX;
        loop {
            std::thread::sleep(Duration::from_secs(HANG_SECONDS));
            let now = watched.load(Ordering::Relaxed);
            if now == last && now > 0 {
                eprintln!("case {seed}/{} has gone on for {HANG_SECONDS} seconds: a hang", now - 1);
                std::process::abort();
            }
            last = now;
        }
    });
    current
}

/// Processes, not threads: SQLite's generator of random numbers is one a process, and a worker that
/// dies must not take the rest.
pub fn by_workers(count: u64, seed: u64, workers: u64) -> Tally {
    let mut tally = Tally::default();
    for part in by_shares("corrupt-files", &[("--count", count), ("--seed", seed)], workers) {
        match part {
            Ok(part) => tally.add(part),
            Err(what) => tally.note("a worker".into(), Bad { rule: "no panic", what }),
        }
    }
    tally
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, counts) in &self.by_kind {
            let counts: Vec<String> =
                counts.iter().map(|(how, count)| format!("{how} {count}")).collect();
            writeln!(f, "{kind:<13} {}", counts.join(", "))?;
        }
        let exits: Vec<String> =
            self.by_exit.iter().map(|(exit, count)| format!("{exit}: {count}")).collect();
        writeln!(f, "last exit     {}; {} boots", exits.join(", "), self.boots)?;
        writeln!(
            f,
            "not looked at {} quiet boots did not look into a file's depths; a run that does found \
             each",
            self.unlooked
        )?;
        for (rule, count) in &self.by_rule {
            writeln!(f, "BAD {rule}: {count}")?;
        }
        for (name, rule, what) in &self.described {
            writeln!(f, "    BAD {rule}: {what}\n        --replay {name}")?;
        }
        Ok(())
    }
}

/// Shows one case step by step; `Ok(true)` where it is good.
///
/// # Errors
/// The name is not known.
pub fn replay(name: &str, out: &mut dyn FnMut(&str)) -> Result<bool, String> {
    replay_over(situations::all(), name, out)
}

/// The same of any situations.
///
/// # Errors
/// As [`replay`].
pub fn replay_over(
    situations: Vec<Situation>,
    name: &str,
    out: &mut dyn FnMut(&str),
) -> Result<bool, String> {
    let numbers = name
        .split_once('/')
        .and_then(|(seed, number)| Some((seed.parse().ok()?, number.parse().ok()?)));
    let Some((seed, number)) = numbers else {
        return Err(format!(
            "{name} is not the name of a case; write SEED/NUMBER as a bad case is printed"
        ));
    };
    let sweep = Sweep::over(situations);
    let (case, situation, state, how) = sweep.case(seed, number);
    out(&format!("{:?}, {:?}: {how}", case.kind, case.mutation));
    out(&state.describe());
    match Verdict::that_logs().judge(situation, &case, &state, out) {
        Ok(CaseEnd { exit, unlooked }) => {
            out(&format!(
                "good: exit {exit}{}",
                if unlooked { ", depths not looked into" } else { "" }
            ));
            Ok(true)
        }
        Err(bad) => {
            out(&format!("bad: {}: {}", bad.rule, bad.what));
            Ok(false)
        }
    }
}
