//! Owns the judge that makes what nobody thought of: products and lives drawn from a seed, each
//! compared with an independent reference.
//! Promises: a life is named by seed and number and comes back the same; a finding names the
//! promise that is broken, and is made smaller.
//! Never asks the device's code what is right.

mod content;
mod cuts;
mod damage;
mod firmware;
mod generate;
mod grammar;
mod interventions;
mod metrics;
mod operator;
mod policies;
mod product;
mod promise;
mod reference;
mod rng;
mod run;
mod shrink;
mod simulated;
mod tables;
mod tools;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::finding::Bad;
use crate::workers::by_shares;
use run::Ended;

/// Bad lives that are described.
const DESCRIBED_MAX: usize = 12;

/// How many, and which of them.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Lives of all workers together.
    pub count: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// Power cuts of each boot that changes something.
    pub cuts: u64,
    /// This worker.
    pub worker: u64,
    /// Of this many.
    pub workers: u64,
}

/// What came of them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Lives judged.
    pub lives: u64,
    /// Boots and commands.
    pub boots: u64,
    /// Boots by exit code.
    pub by_exit: BTreeMap<u8, u64>,
    /// Images that the build refuses.
    pub unbuilt: u64,
    /// The first of them, in the build's words.
    pub refused: Vec<String>,
    /// Lives that broke a promise.
    pub bad: u64,
    /// By promise.
    pub by_promise: BTreeMap<String, u64>,
    /// The first of them: name, promise, what was seen.
    pub described: Vec<(String, String, String)>,
    /// Seconds of the slowest worker.
    pub seconds: f64,
}

impl Tally {
    /// Adds what another worker found.
    pub fn add(&mut self, other: Tally) {
        self.lives += other.lives;
        self.boots += other.boots;
        self.unbuilt += other.unbuilt;
        self.bad += other.bad;
        self.seconds = self.seconds.max(other.seconds);
        other
            .by_exit
            .into_iter()
            .for_each(|(exit, count)| *self.by_exit.entry(exit).or_default() += count);
        other
            .by_promise
            .into_iter()
            .for_each(|(rule, count)| *self.by_promise.entry(rule).or_default() += count);
        self.refused.extend(other.refused);
        self.refused.truncate(DESCRIBED_MAX);
        self.described.extend(other.described);
        self.described.truncate(DESCRIBED_MAX);
    }

    fn take(&mut self, name: &str, ended: Ended) {
        self.lives += 1;
        self.boots += ended.boots;
        self.unbuilt += ended.unbuilt.len() as u64;
        if self.refused.len() < DESCRIBED_MAX {
            self.refused.extend(ended.unbuilt);
        }
        ended.exits.iter().for_each(|exit| *self.by_exit.entry(*exit).or_default() += 1);
        if let Some((number, Bad { rule, what })) = ended.bad {
            self.bad += 1;
            *self.by_promise.entry(rule.to_owned()).or_default() += 1;
            let of_this = self.described.iter().filter(|(_, known, _)| known == rule).count();
            if of_this < DESCRIBED_MAX / 3 {
                self.described.push((
                    name.to_owned(),
                    rule.to_owned(),
                    format!("event {number}: {what}"),
                ));
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exits: Vec<String> =
            self.by_exit.iter().map(|(exit, count)| format!("{exit}: {count}")).collect();
        writeln!(
            f,
            "{} lives, {} boots (by exit: {}), {} images not built",
            self.lives,
            self.boots,
            exits.join(", "),
            self.unbuilt
        )?;
        for why in self.refused.iter().take(3) {
            writeln!(f, "    not built: {why}")?;
        }
        for (rule, count) in &self.by_promise {
            writeln!(f, "    {count} break promise {rule}")?;
        }
        for (name, rule, what) in &self.described {
            writeln!(f, "    BAD {rule}: {what}\n        --replay {name}")?;
        }
        Ok(())
    }
}

/// The life with this number.
fn seed_of(seed: u64, number: u64) -> u64 {
    seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Lives it; a panic is a finding.
fn lived(life: &product::Life, cuts: u64, tell: &mut dyn FnMut(&str)) -> Ended {
    catch_unwind(AssertUnwindSafe(|| run::run(life, cuts, tell))).unwrap_or_else(|panic| {
        let words = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
        let what = words.unwrap_or_else(|| "a panic".to_owned());
        Ended { bad: Some((0, Bad { rule: promise::NO_PANIC, what })), ..Ended::default() }
    })
}

/// Judges this worker's part.
pub fn sweep(extent: Extent) -> Tally {
    let began = Instant::now();
    std::panic::set_hook(Box::new(|_| {}));
    let mut tally = Tally::default();
    for number in (extent.worker..extent.count).step_by(extent.workers.max(1) as usize) {
        let life = generate::life(seed_of(extent.seed, number));
        let ended = lived(&life, extent.cuts, &mut |_| {});
        let cuts = if extent.cuts > 0 { format!(" --cuts {}", extent.cuts) } else { String::new() };
        tally.take(&format!("{}/{number}{cuts}", extent.seed), ended);
    }
    tally.seconds = began.elapsed().as_secs_f64();
    tally
}

/// Processes, not threads: SQLite's generator of random numbers is one a process, and catalogues
/// are constants until it ends.
pub fn by_workers(count: u64, seed: u64, cuts: u64, workers: u64) -> Tally {
    let mut tally = Tally::default();
    for part in
        by_shares("lives", &[("--count", count), ("--seed", seed), ("--cuts", cuts)], workers)
    {
        match part {
            Ok(part) => tally.add(part),
            Err(what) => {
                tally.bad += 1;
                tally.described.push(("a worker".to_owned(), promise::NO_PANIC.to_owned(), what));
            }
        }
    }
    tally
}

/// Shows one life step by step.
///
/// # Errors
/// The name is not known.
pub fn replay(name: &str, cuts: u64, out: &mut dyn FnMut(&str)) -> Result<bool, String> {
    let parsed = name
        .split_once('/')
        .and_then(|(seed, number)| Some((seed.parse().ok()?, number.parse().ok()?)));
    let (seed, number) = parsed.ok_or_else(|| format!("{name} is no life; write SEED/NUMBER"))?;
    let life = generate::life(seed_of(seed, number));
    std::panic::set_hook(Box::new(|_| {}));
    out(&life.script());
    let ended = lived(&life, cuts, out);
    if ended.bad.is_none() {
        out("good");
        return Ok(true);
    }
    if let Some((smaller, _, _)) = shrink::shrunk(&life, cuts) {
        out("\nThe smallest that is bad in the same way:");
        out(&smaller.script());
        lived(&smaller, cuts, out);
    }
    Ok(false)
}
