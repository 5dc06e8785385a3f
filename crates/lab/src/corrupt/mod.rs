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

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use mutation::Mutation;
pub use situations::{plain, Kind, Situation};

use crate::finding::Bad;
use crate::sim::hash::Random;
use crate::sim::{seed_sqlite, State};
use crate::tally::Tally;
use crate::workers::{numbered, Part};
use mutation::damage;
use verdict::{CaseEnd, Verdict};

/// Seconds after which a case that makes no call any more is called a hang.
const HANG_SECONDS: u64 = 60;

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
pub fn sweep(part: Part) -> Tally {
    sweep_over(situations::all(), part)
}

/// The same of any situations.
pub fn sweep_over(situations: Vec<Situation>, part: Part) -> Tally {
    let began = Instant::now();
    let sweep = Sweep::over(situations);
    let current = watch(part.seed);
    let mut verdict = Verdict::default();
    let mut tally = Tally::new("", "damaged files", &["boots", "not looked into"]);
    for number in part.numbers() {
        current.store(number + 1, Ordering::Relaxed);
        let (case, situation, state, how) = sweep.case(part.seed, number);
        tally.judged += 1;
        tally.by(&format!("{:?}", case.kind), format!("{:?}", case.mutation));
        match verdict.judge(situation, &case, &state, &mut |_| {}) {
            Ok(CaseEnd { exit, unlooked }) => {
                tally.by("last exit", exit);
                // A boot that wrote nothing said 0 of a file whose depths it does not look into; a
                // technician's run found each.
                tally.count("not looked into", u64::from(unlooked));
            }
            Err(Bad { rule, what }) => tally.note(
                format!("{}/{number}", part.seed),
                Bad { rule, what: format!("{how}: {what}") },
            ),
        }
    }
    tally.count("boots", verdict.boots);
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
    let (seed, number) = numbered(name)?;
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
