//! Owns `corrupt-files`: the files of a device with the team's own database, damaged in every way,
//! booted, and judged by the lab's code.
//! Promises: each damaged file has a name by which it comes back; a worker that dies is a finding.
//! Never touches a file of this machine.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{bail, Context as _, Error, Result};
use bootmigrate_build::{Database, Product};
use bootmigrate_lab::corrupt::{replay_over, sweep_over, Situation};
use bootmigrate_lab::own::Own;
use bootmigrate_lab::tally::{Finding, Tally};
use bootmigrate_lab::workers::Part;
use rayon::prelude::*;
use rusqlite::Connection;

use crate::cli::CorruptFiles;
use crate::embed::embedded;
use crate::list::grouped;
use crate::power_cuts::{last_start, settings_of, Seed};
use crate::product;

/// Judges, and prints what breaks a rule.
///
/// # Errors
/// The folder has problems, or a worker cannot be started.
pub fn corrupt_files(folder: &Path, request: &CorruptFiles) -> Result<bool> {
    let product = product::read(folder)?;
    let (problems, _) = bootmigrate_build::execute(&product);
    if !problems.is_empty() {
        bail!("{}", product::lines(&problems));
    }
    let mut all_well = true;
    for database in product::databases(&product, request.db.as_deref())? {
        if let Some(worker) = request.worker {
            let part =
                Part { count: request.count, seed: request.seed, worker, workers: jobs(request) };
            let tally = sweep_over(situations(&product, database, request)?, part);
            println!("{}", serde_json::to_string(&tally)?);
        } else if let Some(name) = &request.replay {
            all_well &= replay_over(situations(&product, database, request)?, name, &mut |line| {
                println!("{line}")
            })
            .map_err(Error::msg)?;
        } else {
            all_well &= all_of(folder, &product, database, request)?;
        }
    }
    Ok(all_well)
}

/// By workers, unless the situations cannot be made.
fn all_of(
    folder: &Path,
    product: &Product,
    database: &Database,
    request: &CorruptFiles,
) -> Result<bool> {
    if let Err(why) = situations(product, database, request) {
        println!("{}: not judged: {why:#}", database.name);
        return Ok(false);
    }
    let workers: Vec<u64> = (0..jobs(request)).collect();
    let parts: Result<Vec<Result<Tally, String>>> = workers
        .par_iter()
        .map(|worker| by_itself(folder, &database.name, request, *worker))
        .collect();
    let (mut tally, mut died) = (Tally::default(), Vec::new());
    for part in parts? {
        part.map_or_else(|why| died.push(why), |part| tally.add(part));
    }
    println!("{}", said(&database.name, &tally));
    for why in &died {
        println!("{}: {why}", database.name);
    }
    Ok(tally.bad == 0 && died.is_empty())
}

fn said(database: &str, tally: &Tally) -> String {
    let exits: Vec<String> = tally
        .values("last exit")
        .map(|(exit, count)| format!("{exit}: {}", grouped(count)))
        .collect();
    let good = grouped(tally.judged - tally.bad.min(tally.judged));
    let mut text = format!(
        "{database}: {good} of {} damaged files end well (exit codes {})",
        grouped(tally.judged),
        exits.join(", ")
    );
    for Finding { name, rule, what } in &tally.findings {
        text.push_str(&format!("\n    {rule}: {what}\n        --db {database} --replay {name}"));
    }
    text
}

fn jobs(request: &CorruptFiles) -> u64 {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    request.jobs.unwrap_or_else(cores).max(1)
}

fn by_itself(
    folder: &Path,
    database: &str,
    request: &CorruptFiles,
    worker: u64,
) -> Result<Result<Tally, String>> {
    let mut process =
        Command::new(std::env::current_exe().context("this program's own file is not known")?);
    process.arg("--migrations").arg(folder).args(["corrupt-files", "--db", database]);
    let numbers = [
        ("--count", request.count),
        ("--seed", request.seed),
        ("--rows", request.rows.into()),
        ("--worker", worker),
    ];
    for (flag, number) in numbers.into_iter().chain([("--jobs", jobs(request))]) {
        process.args([flag, &number.to_string()]);
    }
    process.args(request.from.iter().flat_map(|from| ["--from".to_owned(), from.to_string()]));
    if let Some(fixtures) = &request.fixtures {
        process.arg("--fixtures").arg(fixtures);
    }
    let output = process.stderr(Stdio::piped()).output().context("a worker cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let died = || {
        format!(
            "a worker ended with {}: {}",
            output.status,
            said.lines().last().unwrap_or("it said nothing")
        )
    };
    Ok(serde_json::from_slice(&output.stdout).map_err(|_| died()))
}

fn situations(
    product: &Product,
    database: &Database,
    request: &CorruptFiles,
) -> Result<Vec<Situation>> {
    let own = Own::new(embedded(product)?, &database.name).map_err(Error::msg)?;
    let settings = settings_of(product, &database.name)?;
    let fill = |connection: &Connection, version: i64| {
        let seed = Seed { fixtures: request.fixtures.as_deref(), rows: request.rows };
        seed.rows_at(connection, settings, version)
    };
    own.situations(last_start(database, request.from)?, &fill).map_err(Error::msg)
}
