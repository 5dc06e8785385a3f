//! Owns the test of a product's migrations: every one runs on an empty database.
//! Promises: every problem of every database, with the place of the first.
//! Never opens a file of a device.

use super::Error;
use crate::catalog::Embedded;
use crate::device::sqlite::application;
use crate::device::sqlite::registered::Registered;
use crate::{commands, config};

impl Embedded {
    /// As [`crate::Migrator::validate`], for a product that registers no code.
    ///
    /// ```
    /// bootmigrate::embedded!().validate()?;
    /// # Ok::<(), bootmigrate::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Migrations`] with every problem.
    pub fn validate(&self) -> Result<(), Error> {
        validate(self, None)
    }
}

pub(super) fn validate(embedded: &Embedded, code: Option<&Registered>) -> Result<(), Error> {
    let source = config::Source { file: embedded.configuration_file, text: embedded.configuration };
    let settings =
        config::read(source, &[], config::UnknownKey::Warn).map_err(commands::Mistake::from)?;
    let oldest = |name: &str| {
        settings
            .databases
            .iter()
            .find(|database| database.name == name)
            .and_then(|database| database.sqlite_min)
    };
    let problems = embedded.databases.iter().flat_map(|catalog| {
        let oldest = oldest(catalog.database);
        application::problems(catalog, catalog.target(), code, oldest).1
    });
    match problems.collect::<Vec<_>>() {
        problems if problems.is_empty() => Ok(()),
        problems => Err(Error::from(problems)),
    }
}
