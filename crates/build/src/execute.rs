//! Owns running a product's catalogue on SQLite in memory, as a device without a database would:
//! every file, query and way back.
//! Promises: what fails here is said with its place; what cannot be known here (functions, modules
//! and code of the product) is a warning.
//! Never judges text: the rules have, and no product that breaks one comes here.

mod actions;
mod catalogue;
mod chain;
mod connection;
mod rebuild;
mod way_back;

use bootmigrate_model::{compile, references, refusal, schema};

use crate::config::DatabaseSettings;
use crate::product::{Database, Migration, Product};
use crate::Problem;

pub use chain::Chain;
use connection::{Fault, StandIns};
pub use schema::{Difference, How, Schema};

/// What running the catalogue has found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// Runs the catalogue of every database from nothing.
pub(crate) fn execute(product: &Product) -> Found {
    let mut found = Found::default();
    for database in &product.databases {
        let Some(mut run) = Run::of(product, database) else { continue };
        run.all();
        found.problems.append(&mut run.found.problems);
        found.warnings.append(&mut run.found.warnings);
    }
    found.problems.sort();
    found.problems.dedup();
    found.warnings.sort();
    found.warnings.dedup();
    found
}

/// One database.
struct Run<'p> {
    label: &'p str,
    database: &'p Database,
    settings: &'p DatabaseSettings,
    /// For what only the product has.
    stand_ins: StandIns,
    /// The first file whose Rust code has not run.
    code: Option<&'p str>,
    found: Found,
}

impl<'p> Run<'p> {
    /// Nothing has run yet; `None` for a database without an entry in the configuration.
    fn of(product: &'p Product, database: &'p Database) -> Option<Run<'p>> {
        let label = product.configuration_file.split('/').next().unwrap_or_default();
        let settings =
            product.settings.databases.iter().find(|entry| entry.name == database.name)?;
        let (stand_ins, found) = (StandIns::default(), Found::default());
        Some(Run { label, database, settings, stand_ins, code: None, found })
    }
}

impl Run<'_> {
    fn file(&self, migration: &Migration) -> String {
        format!("{}/{}", self.label, migration.file)
    }

    /// What a device does not do without: an error, unless something of the product's is missing
    /// here that may be the cause.
    fn fails(&mut self, file: &str, fault: &Fault, after: &str) {
        let of_the_product =
            fault.of_the_product.then(|| "the product has to register it".to_owned());
        let doubt = of_the_product.or_else(|| self.doubt());
        let Fault { line, column, words, .. } = fault;
        // Whatever the product registers or its code does, this statement never runs.
        if let Some(doubt) = doubt.filter(|_| !fault.certain) {
            let sentence = format!(
                "not checked from here on: {words}; {doubt}, so this may work on a device: test it \
                 there"
            );
            self.found.warnings.push(Problem::at(file, *line, *column, sentence));
        } else {
            let sentence =
                format!("{words}: a device would refuse this migration; correct it{after}");
            self.found.problems.push(Problem::at(file, *line, *column, sentence));
        }
    }

    /// What of the product is missing here, in words.
    fn doubt(&self) -> Option<String> {
        let stood_in = self.stand_ins.names();
        match self.code {
            Some(file) => Some(format!("the Rust code of {file} has not run here")),
            None if stood_in.is_empty() => None,
            None => Some(format!("{stood_in} of the product is not known here")),
        }
    }
}
