//! Owns what one upgrade with rows does: rows before and after, time, space, bytes written, and the
//! release before on the result.
//! Promises: the device's own boots below a folder that is removed again.
//! Never a promise about a device's time: that of this machine is said.

use std::path::Path;

use anyhow::{Context as _, Result};
use bootmigrate::testing::Device;
use bootmigrate::{DatabaseReport, Migrator, Outcome, RunReport};
use bootmigrate_build::{Database, Product};

use crate::cli::Certificate;
use crate::embed::embedded;
use crate::power_cuts::{settings_of, Seed};
use crate::product;
use crate::rehearse::{self, Kind, Record};

/// The upgrade, and what followed it.
pub struct Measured {
    pub record: Record,
    pub rows: u32,
    pub previous: Previous,
}

impl Measured {
    /// The database is at the newest version, and nothing is wrong with it.
    pub fn is_good(&self) -> bool {
        self.record.kind == Kind::Well && !self.record.is_failure()
    }
}

/// The release before on the result.
pub enum Previous {
    /// It starts: how, in a few words.
    Starts(String),
    /// It starts, and something is gone.
    Loses(String),
    /// It does not.
    Refuses(String),
    /// There is no result to start on: why.
    NotTried(String),
}

/// Upgrades a database with rows. The inner error says why there is none.
///
/// # Errors
/// A folder cannot be made, or the library cannot run at all.
pub fn measure(
    folder: &Path,
    product: &Product,
    database: &Database,
    from: i64,
    request: &Certificate,
) -> Result<Result<Measured, String>> {
    if from == 0 {
        return Ok(Err("there is no release before".to_owned()));
    }
    if let Some(code) =
        database.migrations.iter().find(|one| one.directives.code_revision.is_some())
    {
        return Ok(Err(format!(
            "{} runs Rust code, which only the product's own binary has",
            code.file
        )));
    }
    let settings = settings_of(product, &database.name)?;
    let scratch = tempfile::tempdir()?;
    let main = scratch.path().join(settings.path.strip_prefix("/").unwrap_or(&settings.path));
    std::fs::create_dir_all(main.parent().unwrap_or(scratch.path()))?;
    let mut device =
        Device::new(Migrator::new(embedded(product)?).database(&database.name), scratch.path());
    let first = of(&device.boot_at(&database.name, from)?, database)?;
    if first.version != Some(from) {
        return Ok(Err(first.sentence));
    }
    let connection = device.open(&database.name)?;
    let seed = Seed { fixtures: request.fixtures.as_deref(), rows: request.rows };
    if let Err(why) = seed.rows_at(&connection, settings, from) {
        return Ok(Err(why));
    }
    drop(connection);
    let record = rehearse::file(product, folder, &database.name, &main)?;
    let upgraded = of(&device.boot()?, database)?;
    let newest = Some(product::newest(database));
    let previous = if upgraded.usable && upgraded.version == newest {
        previous(&of(&device.boot_at(&database.name, from)?, database)?)
    } else {
        Previous::NotTried(upgraded.sentence)
    };
    Ok(Ok(Measured { record, rows: request.rows, previous }))
}

fn of(report: &RunReport, database: &Database) -> Result<DatabaseReport> {
    let found = report.databases.iter().find(|one| one.name == database.name);
    found.cloned().with_context(|| format!("the report has no database {}", database.name))
}

fn previous(report: &DatabaseReport) -> Previous {
    match report.outcome {
        _ if !report.usable => Previous::Refuses(report.sentence.clone()),
        _ if report.data_loss || report.reduced => Previous::Loses(report.sentence.clone()),
        Outcome::Compatible => {
            Previous::Starts("it uses the new database as it is (`compatible-from`)".to_owned())
        }
        Outcome::Downgraded => Previous::Starts("it goes back by the stored way back".to_owned()),
        _ => Previous::Starts(report.sentence.clone()),
    }
}
