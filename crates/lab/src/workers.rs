//! Owns work side by side: a process for each scenario, this many at a time, heard of in the
//! scenarios' order; or one for each share of a sweep.
//! Promises: a process that died is told like any other end.
//! Never threads: SQLite's generator of random numbers is one a process, and a state must boot the
//! same way each time.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use serde::de::DeserializeOwned;

/// Runs this program's `command` with `arguments` for each scenario; `found` hears what each came
/// to, or how its process died, and says whether to go on.
pub fn by_workers<T: DeserializeOwned + Send>(
    workers: u64,
    command: &[String],
    scenarios: &[&str],
    found: &mut dyn FnMut(Result<T, String>) -> bool,
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

fn by_itself<T: DeserializeOwned>(command: &[String], scenario: &str) -> Result<T, String> {
    let mut process = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
    process.args(command).args(["--one", "--scenario", scenario]).stderr(Stdio::inherit());
    let output = process.output().map_err(|error| error.to_string())?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("BAD {scenario}: its process died: {} ({error})", output.status))
}

/// Runs this program's `command` with these numbers once for each worker, which takes its share of
/// the sweep: what each found, or how its process died.
pub fn by_shares<T: DeserializeOwned>(
    command: &str,
    numbers: &[(&str, u64)],
    workers: u64,
) -> Vec<Result<T, String>> {
    let start = |worker: u64| {
        let mut process = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
        process.arg(command).stdout(Stdio::piped());
        for (flag, number) in numbers.iter().chain(&[("--workers", workers), ("--worker", worker)])
        {
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
