//! Owns refinery's history table and our two tables beside it (`docs/format.md`: frozen).
//! Promises: any content of any row is read to an answer, never a panic; rows are written inside the caller's transaction.
//! Never decides what is done about a difference.

mod bounds;
pub mod data;
mod form;
pub mod made;
pub mod own;
mod tables;

use std::fmt;

use rusqlite::params;
use rusqlite::types::ValueRef;
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use crate::catalog::{Catalog, Migration, Versions};
use crate::device::disk::Op;
use crate::device::sqlite::{class_of, describe, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

/// The columns of refinery's table after the first, in its types and order.
const REFINERYS_COLUMNS: &str = "name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255)";
/// Ours, one row a migration: what refinery's table has no room for.
const STEPS_TABLE: &str = "CREATE TABLE IF NOT EXISTS bootmigrate_steps(\
    version INTEGER PRIMARY KEY, act INTEGER NOT NULL, down_sql TEXT, irreversible INTEGER NOT NULL DEFAULT 0, \
    compatible_from INTEGER, duration_ms INTEGER, firmware TEXT)";
/// Ours: `format`, `act` (the last operation that committed), `token` (the last one handled). The column of the table above is its number too.
const STATE_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS bootmigrate_state(key TEXT PRIMARY KEY, value) WITHOUT ROWID";
/// Reads them; names every column, so that a table with others is found before anything is written. Those after OR are never read.
fn migrations() -> String {
    let [version, compatible_from, irreversible] =
        ["version", "compatible_from", "irreversible"].map(bounds::number);
    format!(
        "SELECT {version}, {compatible_from}, typeof({}) = 'text', {irreversible} FROM bootmigrate_steps \
         WHERE version > ?1 AND (true OR act OR duration_ms OR firmware) ORDER BY version LIMIT {}",
        bounds::sql("down_sql"),
        bounds::ROWS_MAX
    )
}
/// The format of both.
const FORMAT: i64 = 1;

/// One row of refinery's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// refinery's checksum.
    pub checksum: u64,
}

impl Applied {
    /// It is this one: a file checked out with other line ends is the same migration, and so is one that the other kind of refinery recorded.
    pub fn is(&self, ours: &Migration) -> bool {
        self.version == ours.version
            && self.name == ours.name
            && ours.checksums.contain(self.checksum)
    }
}

/// What a database says of its own past.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// `application_id` of the header.
    pub application_id: i64,
    /// Tables that are neither SQLite's nor a history's.
    pub tables: u64,
    /// refinery's table is there.
    pub recorded: bool,
    /// Its rows, by version.
    pub applied: Vec<Applied>,
    /// The first row that is not one, in words.
    pub malformed: Option<String>,
    /// The last operation that committed here; `None` where bootmigrate never did.
    pub operation: Option<u64>,
    /// The last token handled.
    pub token: Option<String>,
    /// By version: what the firmware that applied it said of other firmware.
    pub migrations: Vec<StoredMigration>,
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

/// Reads everything above; creates nothing.
///
/// # Errors
/// As SQLite; class damaged where it says so.
pub fn read(database: &Database, op: Op, table: &str) -> Result<History, Failure> {
    read_with_said_above(database, op, table, i64::MIN)
}

/// The same, but of [`History::steps`] only those above this version: what an older firmware said of its own is not asked for.
///
/// # Errors
/// As [`read`].
pub fn read_with_said_above(
    database: &Database,
    op: Op,
    table: &str,
    version: i64,
) -> Result<History, Failure> {
    let connection = &database.connection;
    let read = || {
        let there = tables::look(connection, [table, "bootmigrate_steps", "bootmigrate_state"])?;
        let [recorded, has_steps, has_state] = there.are_tables;
        let mut history = History {
            application_id: connection.query_row("PRAGMA application_id", [], |row| row.get(0))?,
            recorded,
            malformed: there.stand_in,
            tables: there.others,
            ..History::default()
        };
        if history.malformed.is_some() {
            // To read it would run whatever it is made of.
            history.recorded = true;
            return Ok(history);
        }
        if history.recorded {
            read_applied(connection, table, &mut history)?;
        }
        if has_state {
            read_state(connection, &mut history)?;
        }
        // Where nothing is to be done, nothing is asked of what was applied; before a migration writes there, it must be readable.
        if has_steps && history.version() != version {
            read_said(connection, &mut history, version)?;
        }
        Ok(history)
    };
    read().map_err(|error: rusqlite::Error| match class_of(&error) {
        // The statements are ours and right: a table has other columns than it should.
        Class::Failed => Failure::new(
            Class::Catalogue,
            op,
            format!("the history cannot be read: {}", describe(&error)),
        ),
        _ => database.failure(op, &error),
    })
}

fn read_applied(
    connection: &rusqlite::Connection,
    table: &str,
    history: &mut History,
) -> rusqlite::Result<()> {
    let [name, date, checksum] = ["name", "applied_on", "checksum"].map(bounds::word);
    let sql = format!(
        "SELECT {}, {name}, {date}, {checksum} FROM {} ORDER BY version",
        bounds::number("version"),
        quote(table)
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut number = 0;
    while let Some(row) = rows.next()? {
        number += 1;
        if number > bounds::ROWS_MAX {
            history.malformed.get_or_insert(format!("it has more than {} rows", bounds::ROWS_MAX));
            break;
        }
        let (version, name, checksum) = (row.get_ref(0)?, row.get_ref(1)?, row.get_ref(3)?);
        let parsed = match (integer(version), text(name), natural(checksum)) {
            (Some(version), Some(name), Some(checksum)) => {
                Some(Applied { version, name, checksum })
            }
            _ => None,
        };
        let date = row
            .get_ref(2)?
            .as_str()
            .is_ok_and(|date| OffsetDateTime::parse(date, &Rfc3339).is_ok());
        match parsed {
            Some(applied)
                if history.applied.last().is_some_and(|last| last.version == applied.version) =>
            {
                history
                    .malformed
                    .get_or_insert(format!("row {number} repeats version {}", applied.version));
            }
            Some(applied) => history.applied.push(applied),
            None => {
                history
                    .malformed
                    .get_or_insert(format!("row {number} has no whole version, name and checksum"));
            }
        }
        if !date {
            history
                .malformed
                .get_or_insert(format!("row {number} has a date that refinery cannot read"));
        }
    }
    Ok(())
}

fn read_state(connection: &rusqlite::Connection, history: &mut History) -> rusqlite::Result<()> {
    // A look-up would read the whole of what it compares.
    let sql = format!(
        "SELECT key, {} FROM bootmigrate_state WHERE +key IN ('act', 'token')",
        bounds::word("value")
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match (text(row.get_ref(0)?).as_deref(), row.get_ref(1)?) {
            (Some("act"), ValueRef::Integer(operation)) => {
                history.operation = u64::try_from(operation).ok()
            }
            (Some("token"), token) => history.token = text(token),
            _ => {}
        }
    }
    Ok(())
}

fn read_said(
    connection: &rusqlite::Connection,
    history: &mut History,
    above: i64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&migrations())?;
    let mut rows = statement.query([above])?;
    while let Some(row) = rows.next()? {
        let Some(version) = integer(row.get_ref(0)?) else { continue };
        let compatible_from = integer(row.get_ref(1)?);
        let has_down = integer(row.get_ref(2)?) == Some(1);
        let irreversible = integer(row.get_ref(3)?) != Some(0);
        history.migrations.push(StoredMigration {
            version,
            compatible_from,
            has_down,
            irreversible,
        });
    }
    Ok(())
}

/// The stored way back of every migration above this version, newest first; `None` where one has none.
///
/// # Errors
/// As SQLite.
pub fn ways_back(
    database: &Database,
    op: Op,
    table: &str,
    above: i64,
) -> Result<Option<Vec<Down>>, Failure> {
    let read = || {
        let sql = format!(
            "SELECT h.version, {}, {} FROM {} h LEFT JOIN bootmigrate_steps s ON s.version = h.version \
             AND s.irreversible = 0 WHERE h.version > ?1 ORDER BY h.version DESC",
            bounds::word("h.name"),
            bounds::sql("s.down_sql"),
            quote(table)
        );
        let mut statement = database.connection.prepare(&sql)?;
        let mut rows = statement.query([above])?;
        let mut downs = Vec::new();
        while let Some(row) = rows.next()? {
            let (Some(version), Some(name), ValueRef::Text(sql)) =
                (integer(row.get_ref(0)?), text(row.get_ref(1)?), row.get_ref(2)?)
            else {
                return Ok(None);
            };
            let Ok(sql) = String::from_utf8(sql.to_vec()) else { return Ok(None) };
            downs.push(Down { version, name, sql });
        }
        Ok(Some(downs))
    };
    read().map_err(|error: rusqlite::Error| database.failure(op, &error))
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

fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(number) => Some(number),
        _ => None,
    }
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Text(bytes) => String::from_utf8(bytes.to_vec()).ok(),
        ValueRef::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A checksum, as a text or as a number.
fn natural(value: ValueRef<'_>) -> Option<u64> {
    match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        ValueRef::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

/// Makes the three tables where they are missing, and readies refinery's for more rows of this catalogue; inside the caller's transaction.
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
        let sql = "INSERT OR REPLACE INTO bootmigrate_steps\
                   (version, act, down_sql, irreversible, compatible_from, duration_ms, firmware) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
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

/// Writes the operation's number, which proves after a power cut that it was committed; inside the caller's transaction.
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

/// `user_version` in the header, for products that gave it to us. It has 32 bits: a longer version of other firmware is not written.
///
/// # Errors
/// As SQLite.
pub fn set_user_version(database: &Database, op: Op, version: i64) -> Result<(), Failure> {
    i32::try_from(version)
        .map_or(Ok(()), |version| database.run(op, &format!("PRAGMA user_version = {version}")))
}

/// Where a database's history says otherwise than the catalogue; printed, it is the sentence for a release engineer.
#[derive(Debug, Clone, Copy)]
pub enum Contradiction<'h> {
    /// This was applied, and the catalogue has nothing of its version.
    Unknown(&'h Applied),
    /// This was applied, and the catalogue has another migration under its version.
    Renamed(&'h Applied, &'static Migration),
    /// This was applied with another text.
    Changed(&'static Migration),
    /// This was left out, and a later one was applied.
    PassedOver(&'static Migration, i64),
}

impl fmt::Display for Contradiction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contradiction::Unknown(row) => {
                write!(f, "V{}__{} was applied and is not in this firmware", row.version, row.name)
            }
            Contradiction::Renamed(row, ours) => {
                write!(
                    f,
                    "version {} is \"{}\" in the database and \"{}\" in this firmware",
                    row.version, row.name, ours.name
                )
            }
            Contradiction::Changed(ours) => {
                write!(f, "the text of {} differs from what was applied", ours.file)
            }
            Contradiction::PassedOver(ours, newest) => {
                write!(f, "{} was never applied and version {newest} was", ours.file)
            }
        }
    }
}

/// Every one of them, rows first, by version. The rules are refinery's: each row stands in the catalogue with the same name and text, and
/// nothing older than the last row was left out. (`verify_migrations` of refinery-core 0.10; refinery itself judges it in the integration tests.)
pub fn contradictions<'h>(catalog: &Catalog, applied: &'h [Applied]) -> Vec<Contradiction<'h>> {
    let of_row = |row: &'h Applied| match catalog.find(row.version) {
        None => Some(Contradiction::Unknown(row)),
        Some(ours) if ours.name != row.name => Some(Contradiction::Renamed(row, ours)),
        Some(ours) if !row.is(ours) => Some(Contradiction::Changed(ours)),
        Some(_) => None,
    };
    let newest = applied.last().map_or(i64::MIN, |row| row.version);
    let passed_over = missing(catalog, applied)
        .filter(|ours| ours.version < newest)
        .map(|ours| Contradiction::PassedOver(ours, newest));
    applied.iter().filter_map(of_row).chain(passed_over).collect()
}

/// The first of them that is a reason to go no further: where changed texts are only warned of, those are not one.
pub fn refusal<'h>(
    catalog: &Catalog,
    applied: &'h [Applied],
    warn_changed: bool,
) -> Option<Contradiction<'h>> {
    let goes_on =
        |one: &Contradiction<'_>| warn_changed && matches!(one, Contradiction::Changed(_));
    contradictions(catalog, applied).into_iter().find(|one| !goes_on(one))
}

/// What of the catalogue was never applied, oldest first. Both are by version, and each is gone through once.
pub fn missing<'h>(
    catalog: &Catalog,
    applied: &'h [Applied],
) -> impl Iterator<Item = &'static Migration> + 'h {
    let mut rows = applied.iter().peekable();
    catalog.migrations.iter().filter(move |ours| {
        while rows.next_if(|row| row.version < ours.version).is_some() {}
        rows.peek().is_none_or(|row| row.version != ours.version)
    })
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
