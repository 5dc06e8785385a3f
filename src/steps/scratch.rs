//! Owns the schema that this firmware's own migrations make, built in memory and thrown away.
//! Promises: the same migrations, in the same order, by the same runner as on the device.
//! Never touches the database; says nothing where a migration needs rows that only the device has.

use std::collections::BTreeSet;

use crate::catalog::Migration;
use crate::device::sqlite::script::{self, Lane};
use crate::device::sqlite::Database;
use crate::device::{Device, LOOK};

/// A schema in memory, at a version of the catalogue.
pub struct Scratch<'a> {
    device: &'a Device<'a>,
    database: Database,
}

impl<'a> Scratch<'a> {
    /// Built from nothing up to this version; `None` where that does not work without the device's rows.
    pub fn at(device: &'a Device<'a>, version: i32) -> Option<Scratch<'a>> {
        let mut scratch = Scratch { device, database: device.sqlite().scratch(LOOK).ok()? };
        for step in device.catalog.migrations.iter().filter(|step| step.version <= version) {
            scratch.apply(step)?;
        }
        Some(scratch)
    }

    /// One more migration.
    pub fn apply(&mut self, step: &Migration) -> Option<()> {
        script::run(&mut self.database, LOOK, step, Lane::NoTransaction, &mut |_| {}).ok()
    }

    /// Its schema, as [`Database::schema`] says it.
    pub fn schema(&self) -> Option<BTreeSet<String>> {
        self.database.schema(LOOK, &self.device.settings.history_table).ok()
    }
}

/// The words before the text of an entry: `table wifi on wifi`.
pub fn name_of(entry: &str) -> &str {
    entry.split(": ").next().unwrap_or(entry)
}
