//! Owns sweeps in processes side by side: one for each scenario, heard of in the scenarios' order,
//! or one for each part of a row of numbered cases.
//! Promises: what is found is printed and added up; a process that died is a finding.
//! Never threads: SQLite's generator of random numbers is one a process, and a state must boot the
//! same way each time.

use std::collections::BTreeMap;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use serde::de::DeserializeOwned;

use crate::scenario::Scenario;
use crate::scenarios::{named, ALL};
use crate::tally::Tally;

/// A sweep over scenarios, as the command line has it.
#[derive(Debug, Clone, clap::Args)]
pub struct ByScenario {
    /// Only scenarios with this in their name
    #[arg(long)]
    pub scenario: Option<String>,
    /// One JSON object a scenario
    #[arg(long)]
    pub json: bool,
    /// Stop at the first bad scenario
    #[arg(long)]
    pub stop: bool,
    /// Scenarios at a time, each in a process of its own
    #[arg(long, default_value_t = 2)]
    pub workers: u64,
    /// This is such a process
    #[arg(long, hide = true)]
    pub one: bool,
}

impl ByScenario {
    /// Runs this program's `command` for each scenario, or `sweep` where this is such a process.
    ///
    /// # Errors
    /// No scenario has the name.
    pub fn run(
        &self,
        command: &[String],
        sweep: &dyn Fn(&Scenario) -> Tally,
    ) -> anyhow::Result<ExitCode> {
        let names = self.names()?;
        if self.one {
            println!("{}", serde_json::to_string(&sweep(&named(Some(names[0]))[0]))?);
            return Ok(ExitCode::SUCCESS);
        }
        let began = Instant::now();
        let mut all = Tally { of: "all".to_owned(), ..Tally::default() };
        side_by_side(self.workers, command, &names, &mut |ended| {
            match ended {
                Ok(tally) => {
                    self.print(&tally);
                    all.add(tally);
                }
                Err(died) => {
                    println!("{died}");
                    all.bad += 1;
                }
            }
            !(self.stop && all.bad > 0)
        });
        all.seconds = began.elapsed().as_secs_f64();
        all.findings.clear();
        self.print(&all);
        if !self.json {
            println!("bootmigrate-lab {}", command.join(" "));
        }
        Ok(ExitCode::from(u8::from(all.bad > 0)))
    }

    fn print(&self, tally: &Tally) {
        match self.json {
            true => println!("{}", serde_json::to_string(tally).unwrap()),
            false => println!("{tally}"),
        }
    }

    /// The scenarios that are meant.
    fn names(&self) -> anyhow::Result<Vec<&'static str>> {
        let all = || ALL.iter().map(|(name, _)| *name);
        let names: Vec<&str> = match self.scenario.as_deref() {
            Some(part) => named(Some(part)).iter().map(|scenario| scenario.name).collect(),
            None => all().collect(),
        };
        if names.is_empty() {
            let all: Vec<&str> = all().collect();
            anyhow::bail!("no scenario has that name; there is {}", all.join(", "));
        }
        Ok(names)
    }
}

/// `found` hears what each scenario came to, or how its process died, and says whether to go on.
fn side_by_side(
    workers: u64,
    command: &[String],
    scenarios: &[&str],
    found: &mut dyn FnMut(Result<Tally, String>) -> bool,
) {
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(scenario) = scenarios.get(number) else { return };
                if sender.send((number, by_itself(command, scenario))).is_err() {
                    return;
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        for number in 0..scenarios.len() {
            while !early.contains_key(&number) {
                let Ok((done, outcome)) = results.recv() else { return };
                early.insert(done, outcome);
            }
            if !early.remove(&number).is_none_or(&mut *found) {
                next.store(scenarios.len(), Ordering::Relaxed);
                return;
            }
        }
    });
}

fn by_itself(command: &[String], scenario: &str) -> Result<Tally, String> {
    let mut process = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
    process.args(command).args(["--one", "--scenario", scenario]).stderr(Stdio::inherit());
    let output = process.output().map_err(|error| error.to_string())?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("BAD {scenario}: its process died: {} ({error})", output.status))
}

/// This worker's part of so many numbered cases of a seed.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Cases of all workers together.
    pub count: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// This worker.
    pub worker: u64,
    /// Of this many.
    pub workers: u64,
}

impl Part {
    /// The numbers of its cases.
    pub fn numbers(self) -> impl Iterator<Item = u64> {
        (self.worker..self.count).step_by(self.workers.max(1) as usize)
    }
}

/// A sweep over numbered cases, as the command line has it.
#[derive(Debug, Clone, clap::Args)]
pub struct ByNumber {
    /// Cases
    #[arg(long, default_value_t = 2_000)]
    pub count: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Show one case step by step: SEED/NUMBER, as a bad case is printed
    #[arg(long)]
    pub replay: Option<String>,
    /// Worker processes
    #[arg(long, default_value_t = 2)]
    pub workers: u64,
    /// Which of them this is
    #[arg(long, hide = true)]
    pub worker: Option<u64>,
}

impl ByNumber {
    /// What the workers of `command` found, or how one died; `None` where this is a worker, whose
    /// own `sweep` is printed.
    ///
    /// # Errors
    /// What was found cannot be written as JSON.
    pub fn parts<T: serde::Serialize + DeserializeOwned>(
        &self,
        command: &[String],
        sweep: impl FnOnce(Part) -> T,
    ) -> anyhow::Result<Option<Vec<Result<T, String>>>> {
        let (count, seed, workers) = (self.count, self.seed, self.workers.max(1));
        if let Some(worker) = self.worker {
            let found = sweep(Part { count, seed, worker, workers });
            println!("{}", serde_json::to_string(&found)?);
            return Ok(None);
        }
        let mut command = command.to_vec();
        for (flag, number) in [("--count", count), ("--seed", seed)] {
            command.extend([flag.to_owned(), number.to_string()]);
        }
        Ok(Some(by_shares(&command, workers)))
    }

    /// Adds up what the workers of `command` found, and prints it.
    ///
    /// # Errors
    /// As [`ByNumber::parts`].
    pub fn run(
        &self,
        command: &[String],
        sweep: impl FnOnce(Part) -> Tally,
    ) -> anyhow::Result<ExitCode> {
        let Some(parts) = self.parts(command, sweep)? else { return Ok(ExitCode::SUCCESS) };
        let mut all = Tally { of: format!("seed {}", self.seed), ..Tally::default() };
        for part in parts {
            match part {
                Ok(part) => all.add(part),
                Err(what) => all.note("a worker", crate::finding::Bad { rule: "no panic", what }),
            }
        }
        match self.json {
            true => println!("{}", serde_json::to_string(&all)?),
            false => {
                println!("{all}\nbootmigrate-lab {} --count {}", command.join(" "), self.count)
            }
        }
        Ok(ExitCode::from(u8::from(all.bad > 0)))
    }
}

/// Runs this program's `command` once for each worker, which takes its part of the sweep: what each
/// found, or how its process died.
pub fn by_shares<T: DeserializeOwned>(command: &[String], workers: u64) -> Vec<Result<T, String>> {
    let start = |worker: u64| {
        let mut process = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
        process.args(command).stdout(Stdio::piped());
        for (flag, number) in [("--workers", workers), ("--worker", worker)] {
            process.args([flag, number.to_string().as_str()]);
        }
        process.spawn().map_err(|error| error.to_string())
    };
    let end = |started: Result<Child, String>| {
        let output = started?.wait_with_output().map_err(|error| error.to_string())?;
        serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("a worker died: {} ({error})", output.status))
    };
    let started: Vec<Result<Child, String>> = (0..workers).map(start).collect();
    started.into_iter().map(end).collect()
}

/// The name of a numbered case: its seed and its number.
///
/// # Errors
/// It is none.
pub fn numbered(name: &str) -> Result<(u64, u64), String> {
    let numbers = name
        .split_once('/')
        .and_then(|(seed, number)| Some((seed.parse().ok()?, number.parse().ok()?)));
    numbers.ok_or_else(|| {
        format!("{name} is not the name of a case; write SEED/NUMBER as a bad case is printed")
    })
}
