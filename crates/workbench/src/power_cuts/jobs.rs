//! Owns which upgrades are judged, and running each in a process of its own.
//! Promises: the last released version, or every one where that is asked for; both modes of the
//! journal, and a first boot.
//! Never threads: SQLite's random numbers are one sequence a process, and an instant must come back
//! the same.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{bail, Context as _, Result};
use bootmigrate_build::{Database, Product};

use super::Judged;
use crate::cli::PowerCuts;
use crate::product;

/// One upgrade: `settings:13:wal`; a first boot begins at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub database: String,
    pub from: i64,
    /// No part of its name.
    pub to: i64,
    pub wal: bool,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.database, self.from, if self.wal { "wal" } else { "delete" })
    }
}

impl FromStr for Job {
    type Err = String;

    fn from_str(text: &str) -> Result<Job, String> {
        let mut parts = text.split(':');
        let parsed = (|| {
            let (database, from, journal) =
                (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
            let wal =
                [("wal", true), ("delete", false)].iter().find(|(name, _)| *name == journal)?.1;
            Some(Job { database: database.to_owned(), from, to: 0, wal })
        })();
        parsed.ok_or_else(|| {
            format!("{text} is no upgrade; write DB:VERSION:delete or DB:VERSION:wal")
        })
    }
}

/// Every job of the databases that are asked for.
pub fn jobs(product: &Product, request: &PowerCuts) -> Result<Vec<Job>> {
    let mut all = Vec::new();
    for database in product::databases(product, request.db.as_deref())? {
        let job = |from, wal| Job {
            database: database.name.clone(),
            from,
            to: product::newest(database),
            wal,
        };
        for from in starts(database, request)? {
            all.extend([job(from, false), job(from, true)]);
        }
        all.push(job(0, false));
    }
    Ok(all)
}

/// Where the upgrades begin: never at the newest version, from which there is none.
fn starts(database: &Database, request: &PowerCuts) -> Result<Vec<i64>> {
    if let Some(from) = request.from {
        return Ok(vec![known(database, from)?]);
    }
    let found = all_starts(database);
    Ok(if request.all { found } else { found.last().copied().into_iter().collect() })
}

/// The last released version before the newest, else the one before the newest; 0 where there is
/// none.
pub fn last_start(database: &Database, wanted: Option<i64>) -> Result<i64> {
    wanted.map_or_else(
        || Ok(all_starts(database).last().copied().unwrap_or(0)),
        |from| known(database, from),
    )
}

fn known(database: &Database, from: i64) -> Result<i64> {
    let newest = product::newest(database);
    if product::count_to(database, from).is_none() || from >= newest {
        bail!("{} has no upgrade from version {from}; its newest is {newest}", database.name);
    }
    Ok(from)
}

fn all_starts(database: &Database) -> Vec<i64> {
    let newest = product::newest(database);
    let released = |released: bool| {
        let all =
            database.migrations.iter().filter(move |one| !released || one.released || one.adopted);
        all.map(|one| one.version).filter(|version| *version < newest).collect::<Vec<i64>>()
    };
    Some(released(true)).filter(|found| !found.is_empty()).unwrap_or_else(|| released(false))
}

/// Runs this program for the one job.
pub fn by_itself(folder: &Path, request: &PowerCuts, job: &Job) -> Result<Judged> {
    let mut process =
        Command::new(std::env::current_exe().context("this program's own file is not known")?);
    process.arg("--migrations").arg(folder).args(["power-cuts", "--one", &job.to_string()]);
    process.args([
        "--states",
        &request.states.to_string(),
        "--seed",
        &request.seed.to_string(),
        "--rows",
        &request.rows.to_string(),
    ]);
    if let Some(fixtures) = &request.fixtures {
        process.arg("--fixtures").arg(fixtures);
    }
    if let Some(flaw) = &request.flaw {
        process.args(["--flaw", flaw]);
    }
    let output = process.stderr(Stdio::piped()).output().context("a worker cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let died = || {
        Judged::not(
            job,
            format!(
                "its process ended with {}: {}",
                output.status,
                said.lines().last().unwrap_or("it said nothing")
            ),
        )
    };
    let judged = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| died());
    Ok(Judged { to: job.to, ..judged })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_a_name() {
        let job = Job { database: "settings".into(), from: 13, to: 0, wal: true };
        assert_eq!(
            (job.to_string().as_str(), "settings:13:wal".parse()),
            ("settings:13:wal", Ok(job))
        );
        assert!("settings:13".parse::<Job>().is_err() && "settings:x:wal".parse::<Job>().is_err());
    }
}
