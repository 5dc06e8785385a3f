//! Owns one migration after the other: its statements, its code, and its rows in the histories.
//! Promises: what a migration made is told by the schema before and after it, which is read again
//! only where it has changed.
//! Never begins or ends a transaction.

use std::collections::BTreeSet;

use crate::catalog::Migration;
use crate::config::UserVersion;
use crate::device::disk::Op;
use crate::device::history::{self, Stamp};
use crate::device::sqlite::script::{self, Mode};
use crate::device::sqlite::{code, Database};
use crate::device::{progress, Device};
use crate::error::Failure;
use crate::hooks::MigrationInfo;
use crate::ops::store::Operation;
use crate::ops::verify::expectations;

/// What every failure of a migration's own statements names.
pub const APPLY: Op = Op("apply the migrations");

/// The migrations of one operation, on their way into one database.
pub struct Applying<'a> {
    device: &'a Device<'a>,
    operation: Operation,
    /// Names of the tables, indexes, views and triggers that are there.
    objects: BTreeSet<String>,
}

impl<'a> Applying<'a> {
    /// Begins on what the database has.
    ///
    /// # Errors
    /// As SQLite.
    pub fn on(
        device: &'a Device<'a>,
        database: &Database,
        operation: Operation,
    ) -> Result<Applying<'a>, Failure> {
        Ok(Applying { device, operation, objects: database.objects(APPLY)? })
    }

    /// Something else has made objects.
    ///
    /// # Errors
    /// As SQLite.
    pub fn look_again(&mut self, database: &Database) -> Result<(), Failure> {
        self.objects = database.objects(APPLY)?;
        Ok(())
    }

    /// One migration and its rows in the histories.
    ///
    /// # Errors
    /// With the place of the statement.
    pub fn one(
        &mut self,
        database: &mut Database,
        migration: &Migration,
        mode: Mode,
    ) -> Result<(), Failure> {
        let device = self.device;
        log::info!("{}: applying {}.", device.settings.name, migration.file);
        device.tell(|hooks| hooks.before_migration(&info(device, migration)));
        progress::begin(&format!("{}: {}", device.settings.name, migration.file));
        let began = device.environment.clock.monotonic();
        let cookie = database.schema_cookie(APPLY)?;
        database.reserve(&device.settings.history_table);
        database.file(APPLY, mode, migration.into(), |database, session| {
            script::run(database, session, migration, &mut |ran| {
                log::debug!(
                    "  {}:{} statement {} of {}: {} rows in {} ms: {}",
                    migration.file,
                    ran.line,
                    ran.statement,
                    migration.statements,
                    ran.rows,
                    ran.took.as_millis(),
                    one_line(ran.sql)
                );
            })?;
            code::run(
                database,
                session,
                device.environment.code,
                &device.settings.name,
                migration,
            )?;
            device.stop_here(APPLY)?;
            expectations(database, migration)
        })?;
        let took = device.environment.clock.monotonic().saturating_sub(began);
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        history::record(
            database,
            APPLY,
            &device.settings.history_table,
            migration,
            stamp(device, self.operation, took),
        )?;
        let made = self.made_since(cookie, database)?;
        history::made::record(database, APPLY, migration.version, &made)?;
        // The next one may read it.
        set_user_version(device, database, migration.version)?;
        device.tell(|hooks| hooks.after_migration(&info(device, migration)));
        Ok(())
    }

    fn made_since(
        &mut self,
        cookie: i64,
        database: &Database,
    ) -> Result<BTreeSet<String>, Failure> {
        if database.schema_cookie(APPLY)? == cookie {
            return Ok(BTreeSet::new());
        }
        let now = database.objects(APPLY)?;
        let made = now.difference(&self.objects).cloned().collect();
        self.objects = now;
        Ok(made)
    }
}

fn info<'a>(device: &Device<'a>, migration: &Migration) -> MigrationInfo<'a> {
    MigrationInfo {
        database: &device.settings.name,
        version: migration.version,
        name: migration.name,
        file: migration.file,
    }
}

/// `user_version` where it is ours.
///
/// # Errors
/// As SQLite.
pub fn set_user_version(
    device: &Device<'_>,
    database: &Database,
    version: i64,
) -> Result<(), Failure> {
    match device.settings.user_version {
        UserVersion::Ours => history::set_user_version(database, APPLY, version),
        UserVersion::Product => Ok(()),
    }
}

/// The operation's number, which proves the commit, and `user_version` where it is ours.
///
/// # Errors
/// As SQLite.
pub fn finish_history(
    device: &Device<'_>,
    database: &Database,
    last: Option<&Migration>,
    operation: Operation,
    token: &str,
) -> Result<(), Failure> {
    history::record_operation(database, APPLY, operation.number, token)?;
    last.map_or(Ok(()), |last| set_user_version(device, database, last.version))
}

/// What a history row says of who applied it.
pub fn stamp<'a>(device: &Device<'a>, operation: Operation, duration_ms: u64) -> Stamp<'a> {
    Stamp {
        operation: operation.number,
        unix_seconds: device.environment.clock.unix_seconds(),
        duration_ms,
        firmware: &device.environment.firmware,
    }
}

/// A statement for a line of the log.
pub fn one_line(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    words.join(" ").chars().take(100).collect()
}
