//! Owns the schema that this firmware's own migrations make, built in memory and thrown away.
//! Promises: the same migrations, in the same order, by the same runner as on the device.
//! Never touches the database; says nothing where a migration needs rows that only the device has.

use std::collections::BTreeSet;

use crate::catalog::Migration;
use crate::device::sqlite::code;
use crate::device::sqlite::contents::Values;
use crate::device::sqlite::rows::Table;
use crate::device::sqlite::schema::Schema;
use crate::device::sqlite::script::{self, Mode, StatementRun};
use crate::device::sqlite::{is_constraint, Database};
use crate::device::{Device, LOOK};
use crate::error::{Class, Failure};

/// A schema in memory, at a version of the catalogue.
pub struct Scratch<'a> {
    device: &'a Device<'a>,
    database: Database,
}

impl<'a> Scratch<'a> {
    /// Built from nothing up to this version; `None` where that does not work without the device's
    /// rows.
    ///
    /// # Errors
    /// SQLite could not work: no memory, or no room for its temporary files. That says nothing
    /// about the migrations.
    pub fn at(device: &'a Device<'a>, version: i64) -> Result<Option<Scratch<'a>>, Failure> {
        let mut scratch = Scratch { device, database: device.sqlite().scratch(LOOK)? };
        for migration in
            device.catalog.migrations.iter().filter(|migration| migration.version <= version)
        {
            if !scratch.apply(migration)? {
                return Ok(None);
            }
        }
        Ok(Some(scratch))
    }

    /// The schema at this version; `None` as [`Scratch::at`].
    ///
    /// # Errors
    /// As [`Scratch::at`].
    pub fn schema_at(device: &'a Device<'a>, version: i64) -> Result<Option<Schema>, Failure> {
        Scratch::at(device, version)?.map(|scratch| scratch.schema()).transpose()
    }

    /// The schema that everything pending after this version leaves, as far as its SQL alone can be
    /// followed. `None` as [`Scratch::at`].
    ///
    /// # Errors
    /// As [`Scratch::at`].
    pub fn schema_of_pending(
        device: &'a Device<'a>,
        version: i64,
    ) -> Result<Option<Schema>, Failure> {
        let Some(mut scratch) = Scratch::at(device, version)? else { return Ok(None) };
        for migration in
            device.catalog.migrations.iter().filter(|migration| migration.version > version)
        {
            if !scratch.apply_sql(migration, &mut |_| {})? {
                break;
            }
        }
        scratch.schema().map(Some)
    }

    /// What a migration makes that was not there before, by [`Schema::objects`]; nothing where that
    /// cannot be told.
    ///
    /// # Errors
    /// As [`Scratch::at`].
    pub fn made_by(
        device: &'a Device<'a>,
        migration: &Migration,
    ) -> Result<BTreeSet<String>, Failure> {
        let Some(mut scratch) = Scratch::at(device, migration.version.saturating_sub(1))? else {
            return Ok(BTreeSet::new());
        };
        let before = scratch.schema()?.objects();
        if !scratch.apply_sql(migration, &mut |_| {})? {
            return Ok(BTreeSet::new());
        }
        Ok(scratch.schema()?.objects().difference(&before).cloned().collect())
    }

    /// One more migration; `false` where it needs rows, or a function, that nothing has.
    fn apply(&mut self, migration: &Migration) -> Result<bool, Failure> {
        let (environment, name) = (self.device.environment, &self.device.settings.name);
        let ran =
            self.database.file(LOOK, Mode::NoTransaction, migration.into(), |database, session| {
                script::run(database, session, migration, &mut |_| {})?;
                code::run(database, session, environment.code, name, migration)
            });
        works(ran)
    }

    /// One more migration's SQL; `false` where it needs rows, or a function, that nothing has. Its
    /// code, if it has any, is not run: while we look nobody counts a try, so code that ends the
    /// program would end every boot.
    ///
    /// # Errors
    /// As [`Scratch::at`].
    pub fn apply_sql(
        &mut self,
        migration: &Migration,
        seen: &mut dyn FnMut(&StatementRun<'_>),
    ) -> Result<bool, Failure> {
        works(self.run_sql(migration, seen))
    }

    /// The same migration's SQL once more: `true` where no object that it has made is in its way.
    /// Rows that are may be missing on a device.
    ///
    /// # Errors
    /// As [`Scratch::at`].
    pub fn can_run_again(&mut self, migration: &Migration) -> Result<bool, Failure> {
        match self.run_sql(migration, &mut |_| {}) {
            Err(failure) if is_constraint(&failure) => Ok(true),
            ran => works(ran),
        }
    }

    fn run_sql(
        &mut self,
        migration: &Migration,
        seen: &mut dyn FnMut(&StatementRun<'_>),
    ) -> Result<(), Failure> {
        self.database.file(LOOK, Mode::NoTransaction, migration.into(), |database, session| {
            script::run(database, session, migration, seen)
        })
    }

    /// Its rows, table by table.
    ///
    /// # Errors
    /// As SQLite.
    pub fn rows(&self) -> Result<Vec<(Table, Vec<Values>)>, Failure> {
        let tables = self.database.ordinary_tables(LOOK, &self.device.settings.history_table)?;
        tables
            .into_iter()
            .map(|table| Ok((table.clone(), self.database.rows(LOOK, &table)?)))
            .collect()
    }

    /// Its schema, as [`Database::schema`] says it.
    ///
    /// # Errors
    /// As SQLite.
    pub fn schema(&self) -> Result<Schema, Failure> {
        self.database.schema(LOOK, &self.device.settings.history_table)
    }
}

fn works(ran: Result<(), Failure>) -> Result<bool, Failure> {
    match ran {
        Ok(()) => Ok(true),
        Err(failure) if matches!(failure.class, Class::Failed | Class::Catalogue) => Ok(false),
        Err(failure) => Err(failure),
    }
}
