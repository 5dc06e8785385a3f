//! Owns `power-cuts`: the team's own upgrades on a simulated disk, cut at every instant, judged by
//! the lab's code.
//! Promises: each upgrade in a process of its own; the same command gives the same instants and the
//! same count.
//! Never counts an upgrade that could not be judged as safe.

mod jobs;
mod report;

use std::path::Path;

use anyhow::{bail, Context as _, Result};
use bootmigrate_build::config::DatabaseSettings;
use bootmigrate_build::{Database, Product};
use bootmigrate_lab::own::{Own, Start};
use bootmigrate_lab::power_cuts::{replay, sweep, Extent};
use bootmigrate_lab::scenario::Scenario;
use bootmigrate_lab::sim::hash::Hash128;
use bootmigrate_lab::sim::lying::{self, Flaw};
use rayon::prelude::*;
use rusqlite::Connection;

use crate::cli::PowerCuts;
use crate::embed::embedded;
use crate::model::Model;
use crate::{fixtures, product, rows};
pub use jobs::last_start;
use jobs::{jobs, Job};
pub use report::{Judged, Report};

/// Judges, and prints what is not safe.
///
/// # Errors
/// The folder has problems, or a file cannot be written.
pub fn power_cuts(folder: &Path, request: &PowerCuts) -> Result<bool> {
    if let Some(name) = &request.one {
        return one(folder, request, name);
    }
    if let Some(name) = &request.replay {
        return show(folder, request, name);
    }
    let report = judged(folder, request)?;
    print!("{}", report.text());
    if let Some(path) = &request.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(report.is_safe())
}

/// Every job of the product.
///
/// # Errors
/// As [`power_cuts`].
pub fn judged(folder: &Path, request: &PowerCuts) -> Result<Report> {
    let product = product::read(folder)?;
    let (problems, _) = bootmigrate_build::execute(&product);
    if !problems.is_empty() {
        bail!("{}", product::lines(&problems));
    }
    if let Some(flaw) = &request.flaw {
        named_flaw(flaw)?;
    }
    let all = jobs(&product, request)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(request.jobs.unwrap_or(0))
        .build()
        .context("threads cannot be started")?;
    let judged = pool.install(|| {
        all.par_iter()
            .with_max_len(1)
            .map(|job| jobs::by_itself(folder, request, job))
            .collect::<Result<Vec<Judged>>>()
    });
    let mut judged = judged?;
    for database in product::databases(&product, request.db.as_deref())? {
        let of_it = judged.iter_mut().filter(|one| one.database == database.name);
        of_it.for_each(|one| one.fingerprint = fingerprint(database));
    }
    Ok(Report::new(judged))
}

/// Another one for every other text of a migration, or of a way back.
pub fn fingerprint(database: &Database) -> String {
    let mut text = String::new();
    for one in &database.migrations {
        let down = one.down.as_deref().unwrap_or_default();
        text.push_str(&format!("{} {} {} {}\n", one.version, one.name, one.sql.len(), down.len()));
        text.push_str(&one.sql);
        text.push_str(down);
    }
    format!("{:032x}", Hash128::of(text.as_bytes()))
}

/// A worker: one job, its answer as JSON.
fn one(folder: &Path, request: &PowerCuts, name: &str) -> Result<bool> {
    lie(request)?;
    let job: Job = name.parse().map_err(anyhow::Error::msg)?;
    let judged = match scenario(folder, request, &job)? {
        Err(why) => Judged::not(&job, why),
        Ok(scenario) => {
            let extent =
                Extent { states: request.states, boots: u64::MAX, seed: request.seed, stop: false };
            Judged::of(&job, sweep(&scenario, extent))
        }
    };
    println!("{}", serde_json::to_string(&judged)?);
    Ok(true)
}

/// One instant step by step.
fn show(folder: &Path, request: &PowerCuts, name: &str) -> Result<bool> {
    lie(request)?;
    let (job, points) = name
        .split_once('@')
        .with_context(|| format!("{name} is no instant; write it as it is printed, JOB@INSTANT"))?;
    match scenario(folder, request, &job.parse().map_err(anyhow::Error::msg)?)? {
        Err(why) => bail!("{why}"),
        Ok(scenario) => {
            replay(&scenario, points, &mut |line| println!("{line}")).map_err(anyhow::Error::msg)
        }
    }
}

/// The job as a scenario of the lab, or why it cannot be judged.
fn scenario(folder: &Path, request: &PowerCuts, job: &Job) -> Result<Result<Scenario, String>> {
    let product = product::read(folder)?;
    let own = match Own::new(embedded(&product)?, &job.database) {
        Ok(own) => own,
        Err(why) => return Ok(Err(why)),
    };
    let settings = settings_of(&product, &job.database)?;
    let fill = |connection: &Connection, version: i64| {
        let seed = Seed { fixtures: request.fixtures.as_deref(), rows: request.rows };
        seed.rows_at(connection, settings, version)
    };
    Ok(own.scenario(&job.to_string(), &Start { from: job.from, wal: job.wal, fill: &fill }))
}

/// The rows of an application.
pub struct Seed<'a> {
    pub fixtures: Option<&'a Path>,
    pub rows: u32,
}

impl Seed<'_> {
    /// Writes them into a database that is at this version.
    ///
    /// # Errors
    /// The team's own do not run.
    pub fn rows_at(
        &self,
        connection: &Connection,
        settings: &DatabaseSettings,
        version: i64,
    ) -> Result<(), String> {
        fixtures::run(self.fixtures, &settings.name, version, connection)
            .map_err(|error| format!("{error:#}"))?;
        let model =
            Model::read(connection, &settings.history_table).map_err(|error| error.to_string())?;
        rows::fill(connection, &model, self.rows).map(|_| ()).map_err(|error| error.to_string())
    }
}

/// The configuration of a database.
pub fn settings_of<'p>(product: &'p Product, name: &str) -> Result<&'p DatabaseSettings> {
    let database = product::databases(product, Some(name))?;
    database
        .first()
        .and_then(|database| product::settings(product, database))
        .context("no entry in the configuration")
}

/// The storage of this process lies, where that is asked for.
fn lie(request: &PowerCuts) -> Result<()> {
    if let Some(flaw) = request.flaw.as_deref() {
        lying::choose(named_flaw(flaw)?);
    }
    Ok(())
}

fn named_flaw(name: &str) -> Result<Flaw> {
    let all: Vec<&str> = lying::ALL.iter().map(|(flaw, _)| flaw.name()).collect();
    Flaw::named(name)
        .with_context(|| format!("there is no flaw {name}; there are {}", all.join(", ")))
}
