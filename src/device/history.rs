//! Owns refinery's history table and our two tables beside it (`docs/format.md`: frozen).
//! Promises: any content of any row is read to an answer, never a panic; rows are written inside
//! the caller's transaction.
//! Never decides what is done about a difference.

mod bounds;
mod contradictions;
pub mod data;
mod form;
pub mod made;
pub mod own;
mod reading;
mod tables;

use std::borrow::Cow;

use rusqlite::params;
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use crate::catalog::{Catalog, Migration, Versions};
use crate::device::disk::Op;
use crate::device::sqlite::Database;
use crate::error::Failure;
use crate::lex::quote;

pub use contradictions::{contradictions, missing, refusal, Contradiction};
pub use reading::{read, read_beside, ways_back};

/// The columns of refinery's table after the first, in its types and order.
const REFINERYS_COLUMNS: &str = "name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255)";
/// Ours, one row a migration: what refinery's table has no room for.
const STEPS_TABLE: &str = "CREATE TABLE IF NOT EXISTS bootmigrate_steps(version INTEGER PRIMARY \
                           KEY, act INTEGER NOT NULL, down_sql TEXT, irreversible INTEGER NOT NULL \
                           DEFAULT 0, compatible_from INTEGER, duration_ms INTEGER, firmware TEXT)";
/// Ours: `format`, `act` (the last operation that committed), `token` (the last one handled). The
/// column of the table above is its number too.
const STATE_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS bootmigrate_state(key TEXT PRIMARY KEY, value) WITHOUT ROWID";
/// The format of both.
const FORMAT: i64 = 1;

/// One row of refinery's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its version.
    pub version: i64,
    /// Its name: the catalogue's own text where it is the same.
    pub name: Cow<'static, str>,
    /// refinery's checksum.
    pub checksum: u64,
}

impl Applied {
    /// It is this one: a file checked out with other line ends is the same migration, and so is one
    /// that the other kind of refinery recorded.
    pub fn is(&self, ours: &Migration) -> bool {
        self.version == ours.version
            && self.name == ours.name
            && ours.checksums.contain(self.checksum)
    }
}

/// What a database says of its own past.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// `application_id` of the header; 0 where there is a history, by which nobody asks for it.
    pub application_id: i64,
    /// Tables that are neither SQLite's nor a history's.
    pub tables: u64,
    /// refinery's table is there.
    pub recorded: bool,
    /// Its rows, by version.
    pub applied: Vec<Applied>,
    /// The first row that is not one, in words; or what stands in the place of its table.
    pub malformed: Option<String>,
    /// Something else stands in the place of a table of the history's.
    pub has_stand_in: bool,
    /// The last operation that committed here; `None` where bootmigrate never did.
    pub operation: Option<u64>,
    /// The last token handled.
    pub token: Option<String>,
    /// By version: what the firmware that applied it said of other firmware.
    pub migrations: Vec<StoredMigration>,
    /// Why no migration may run beside what is in its schema; asked where some are to.
    pub unfit: Option<String>,
}

/// What our own table has of one migration, as far as another slot's firmware asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMigration {
    /// Its version.
    pub version: i64,
    /// The oldest schema whose firmware can use the result.
    pub compatible_from: Option<i64>,
    /// Its down SQL is stored.
    pub has_down: bool,
    /// It said that there is no way back.
    pub irreversible: bool,
}

/// The way back of one migration, as the firmware that applied it stored it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// Its version.
    pub version: i64,
    /// Its name in refinery's table.
    pub name: String,
    /// The SQL.
    pub sql: String,
}

impl History {
    /// The highest version recorded; 0 for none.
    pub fn version(&self) -> i64 {
        self.applied.last().map_or(0, |applied| applied.version)
    }

    /// The row of this version.
    pub fn row(&self, version: i64) -> Option<&Applied> {
        self.applied
            .binary_search_by_key(&version, |row| row.version)
            .ok()
            .and_then(|at| self.applied.get(at))
    }

    /// What was said of this version.
    pub fn said(&self, version: i64) -> Option<&StoredMigration> {
        self.migrations
            .binary_search_by_key(&version, |said| said.version)
            .ok()
            .and_then(|at| self.migrations.get(at))
    }
}

/// Takes one migration out of refinery's table and ours; inside the caller's transaction.
///
/// # Errors
/// As SQLite.
pub fn forget(database: &Database, op: Op, table: &str, version: i64) -> Result<(), Failure> {
    let sql = format!("DELETE FROM {} WHERE version = ?1", quote(table));
    let forget = || {
        database.connection.execute(&sql, [version])?;
        database.connection.execute("DELETE FROM bootmigrate_steps WHERE version = ?1", [version])
    };
    forget().map(drop).map_err(|error| database.failure(op, &error))
}

/// Makes the three tables where they are missing, and readies refinery's for more rows of this
/// catalogue; inside the caller's transaction.
///
/// # Errors
/// As SQLite.
pub fn create_tables(
    database: &mut Database,
    op: Op,
    table: &str,
    catalog: &Catalog,
) -> Result<(), Failure> {
    let version = match catalog.versions {
        Versions::Int4 => "int4",
        Versions::Int8 => "int8",
    };
    database.run(
        op,
        &format!(
            "CREATE TABLE IF NOT EXISTS {}(version {version} PRIMARY KEY, {REFINERYS_COLUMNS})",
            quote(table)
        ),
    )?;
    database.history_versions = form::recover(database, op, table, catalog)?;
    database.run(op, STEPS_TABLE)?;
    database.run(op, STATE_TABLE)?;
    let sql = "INSERT OR REPLACE INTO bootmigrate_state(key, value) VALUES ('format', ?1)";
    database
        .connection
        .execute(sql, [FORMAT])
        .map(drop)
        .map_err(|error| database.failure(op, &error))
}

/// Who applied a migration, when, and how long it took.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The operation.
    pub operation: u64,
    /// Seconds since 1970 as the device believes; shown, never trusted.
    pub unix_seconds: i64,
    /// Milliseconds it took.
    pub duration_ms: u64,
    /// The firmware's version, as os-release names it.
    pub firmware: &'a str,
}

/// Records one migration in refinery's table and in ours; inside the caller's transaction.
///
/// # Errors
/// As SQLite.
pub fn record(
    database: &Database,
    op: Op,
    table: &str,
    migration: &Migration,
    stamp: Stamp<'_>,
) -> Result<(), Failure> {
    let date = OffsetDateTime::from_unix_timestamp(stamp.unix_seconds)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let date = date.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".into());
    let write = || {
        let sql = format!(
            "INSERT INTO {}(version, name, applied_on, checksum) VALUES (?1, ?2, ?3, ?4)",
            quote(table)
        );
        let checksum = migration.checksum(database.history_versions).to_string();
        database
            .connection
            .execute(&sql, params![migration.version, migration.name, date, checksum])?;
        let sql = "INSERT OR REPLACE INTO bootmigrate_steps(version, act, down_sql, irreversible, \
                   compatible_from, duration_ms, firmware) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let directives = &migration.directives;
        let operation = i64::try_from(stamp.operation).unwrap_or(i64::MAX);
        let duration = i64::try_from(stamp.duration_ms).unwrap_or(i64::MAX);
        let (irreversible, compatible) = (directives.irreversible, directives.compatible_from);
        database.connection.execute(
            sql,
            params![
                migration.version,
                operation,
                migration.down,
                irreversible,
                compatible,
                duration,
                stamp.firmware
            ],
        )
    };
    write().map(drop).map_err(|error| database.failure(op, &error))
}

/// Writes the operation's number, which proves after a power cut that it was committed; inside the
/// caller's transaction.
///
/// # Errors
/// As SQLite.
pub fn record_operation(
    database: &Database,
    op: Op,
    operation: u64,
    token: &str,
) -> Result<(), Failure> {
    let write = || {
        let sql = "INSERT OR REPLACE INTO bootmigrate_state(key, value) VALUES ('act', ?1)";
        database.connection.execute(sql, [i64::try_from(operation).unwrap_or(i64::MAX)])?;
        if !token.is_empty() {
            database.connection.execute(
                "INSERT OR REPLACE INTO bootmigrate_state(key, value) VALUES ('token', ?1)",
                [token],
            )?;
        }
        Ok(())
    };
    write().map_err(|error: rusqlite::Error| database.failure(op, &error))
}

/// `user_version` in the header, for products that gave it to us. It has 32 bits: a longer version
/// of other firmware is not written.
///
/// # Errors
/// As SQLite.
pub fn set_user_version(database: &Database, op: Op, version: i64) -> Result<(), Failure> {
    i32::try_from(version)
        .map_or(Ok(()), |version| database.run(op, &format!("PRAGMA user_version = {version}")))
}
