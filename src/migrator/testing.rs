//! Owns what a product's own tests get: databases in memory, and a device in a folder that boots
//! one firmware after another.
//! Promises: both are made by the migrations and the code of the device itself.
//! Never used by a run.

use std::path::PathBuf;

use super::{application, Connection, Embedded, Error, Migrator, Registered};
use crate::catalog::Catalog;
use crate::report::RunReport;

/// A database in memory at this firmware's version, without a history.
///
/// ```
/// let telemetry = bootmigrate::testing::fresh(&bootmigrate::embedded!(), "telemetry")?;
/// let samples: i64 = telemetry.query_row("SELECT count(*) FROM sample", [], |row| row.get(0))?;
/// assert_eq!(samples, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Configuration`] for a database that is not there; [`Error::Migrations`].
pub fn fresh(embedded: &Embedded, database: &str) -> Result<Connection, Error> {
    let target = embedded
        .databases
        .iter()
        .find(|catalog| catalog.database == database)
        .map_or(0, Catalog::target);
    at(embedded, database, target)
}

/// A database in memory at an earlier version, without a history. [`Migrator::at`] does the same
/// with what the product registers.
///
/// ```
/// let settings = bootmigrate::testing::at(&bootmigrate::embedded!(), "settings", 9)?;
/// assert!(settings.prepare("SELECT time_zone FROM site").is_err(), "a later migration adds it");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`fresh`], and [`Error::Configuration`] for a version that this firmware does not know.
pub fn at(embedded: &Embedded, database: &str, version: i64) -> Result<Connection, Error> {
    with(embedded, database, version, None)
}

pub(super) fn with(
    embedded: &Embedded,
    database: &str,
    version: i64,
    code: Option<&Registered>,
) -> Result<Connection, Error> {
    let catalog = known(embedded, database, version)?;
    match application::problems(catalog, version, code, None) {
        (Some(connection), problems) if problems.is_empty() => Ok(connection),
        (_, problems) => Err(problems.into()),
    }
}

fn known<'a>(embedded: &'a Embedded, database: &str, version: i64) -> Result<&'a Catalog, Error> {
    let found = embedded.databases.iter().find(|catalog| catalog.database == database);
    let catalog = found
        .ok_or_else(|| Error::configuration(format!("this firmware has no database {database}")))?;
    match catalog.find(version) {
        Some(_) => Ok(catalog),
        None => Err(Error::configuration(format!("{database} has no version {version}"))),
    }
}

/// A device in a folder: it boots an earlier firmware, gets rows as an application would write
/// them, and boots this one.
///
/// The folder stands before every path, as with `--root`, and stays when the device is dropped.
///
/// ```
/// use bootmigrate::testing::Device;
/// use bootmigrate::Migrator;
///
/// let folder = tempfile::tempdir()?;
/// let mut device = Device::new(Migrator::new(bootmigrate::embedded!()), folder.path());
/// device.boot_at("settings", 9)?;
/// device.fill("settings", "INSERT INTO site (name) VALUES ('attic')")?;
///
/// let report = device.boot()?;
/// assert_eq!((report.exit, report.databases[0].version), (0, Some(14)));
/// let settings = device.open("settings")?;
/// let name: String = settings.query_row("SELECT name FROM site", [], |row| row.get(0))?;
/// assert_eq!(name, "attic");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Device {
    migrator: Migrator,
    firmware: Embedded,
}

impl Device {
    /// In this folder, which an earlier device may have left; with everything that is registered
    /// with the migrator.
    pub fn new(migrator: Migrator, folder: impl Into<PathBuf>) -> Device {
        let firmware = migrator.embedded;
        Device { migrator: migrator.root(folder), firmware }
    }

    /// Boots the firmware of which this version of one database was the newest; all other databases
    /// are at this firmware's.
    ///
    /// # Errors
    /// As [`Migrator::boot`]; [`Error::Configuration`] where the database or the version is not
    /// known.
    pub fn boot_at(&mut self, database: &str, version: i64) -> Result<RunReport, Error> {
        known(&self.firmware, database, version)?;
        let shorter = |catalog: &Catalog| {
            if catalog.database == database {
                catalog.up_to(version)
            } else {
                *catalog
            }
        };
        // A test makes few of them, and constants are what a catalogue is made of.
        let databases: &'static [Catalog] =
            self.firmware.databases.iter().map(shorter).collect::<Vec<_>>().leak();
        self.migrator.embedded = Embedded { databases, ..self.firmware };
        self.migrator.boot()
    }

    /// Boots this firmware.
    ///
    /// # Errors
    /// As [`Migrator::boot`].
    pub fn boot(&mut self) -> Result<RunReport, Error> {
        self.migrator.embedded = self.firmware;
        self.migrator.boot()
    }

    /// Runs these statements as the application would, between two boots.
    ///
    /// # Errors
    /// As [`Device::open`]; [`Error::System`] with SQLite's words.
    pub fn fill(&self, database: &str, sql: &str) -> Result<(), Error> {
        let failed = |words: String| Error::System { sentence: format!("{database}: {words}") };
        application::run(&self.open(database)?, sql).map_err(failed)
    }

    /// Opens a database that the last boot left ready.
    ///
    /// # Errors
    /// As [`Migrator::open`].
    pub fn open(&self, database: &str) -> Result<Connection, Error> {
        self.migrator.open(database)
    }
}
