//! Owns the history of data migrations: one table of ours, `bootmigrate_data` (`docs/format.md`:
//! frozen).
//! Promises: a row is written in the transaction whose rows it counts; one without a date is under
//! way.
//! Never read at a boot.

use std::collections::BTreeSet;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{params, OptionalExtension};
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use crate::catalog::{Catalog, Migration, Versions};
use crate::device::disk::Op;
use crate::device::history::reading::{integer, text};
use crate::device::history::{bounds, missing, refusal, tables::stand_in, Applied};
use crate::device::sqlite::{class_of, describe, Database};
use crate::error::{Class, Failure};

/// No refinery reads this table.
const DATA_VERSIONS: Versions = Versions::Int4;
const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS bootmigrate_data(version INTEGER PRIMARY KEY, name TEXT NOT NULL, \
     checksum TEXT NOT NULL, applied_on TEXT, schema INTEGER NOT NULL, batch INTEGER NOT NULL, \
     rounds INTEGER NOT NULL, rows INTEGER NOT NULL, duration_ms INTEGER NOT NULL, firmware TEXT)";
fn read_sql() -> String {
    let [version, name, checksum] = ["version", "name", "checksum"].map(bounds::word);
    let [rounds, rows, duration] = ["rounds", "rows", "duration_ms"].map(bounds::word);
    format!(
        "SELECT {version}, {name}, {checksum}, applied_on IS NOT NULL, octet_length(schema), \
         octet_length(batch), {rounds}, {rows}, {duration}, octet_length(firmware) FROM \
         bootmigrate_data ORDER BY version LIMIT {}",
        bounds::ROWS_MAX
    )
}
const WRITE: &str = "INSERT OR REPLACE INTO bootmigrate_data(version, name, checksum, applied_on, \
                     schema, batch, rounds, rows, duration_ms, firmware) VALUES (?1, ?2, ?3, ?4, \
                     ?5, ?6, ?7, ?8, ?9, ?10)";

/// Columns of the table.
const COLUMNS: usize = 10;

/// How far one data migration has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataProgress {
    /// Its version, name and checksum.
    pub applied: Applied,
    /// Nothing of it is left to do.
    pub done: bool,
    /// How far.
    pub progress: Progress,
}

/// What was done of one data migration, over all of its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Transactions that changed rows.
    pub rounds: u64,
    /// Rows inserted, updated or deleted.
    pub rows: u64,
    /// Milliseconds, without the pauses between rounds.
    pub duration_ms: u64,
}

/// Where a row is written: who, when, on which schema.
#[derive(Debug, Clone, Copy)]
pub struct DataStamp<'a> {
    /// Seconds since 1970 as the device believes; `None` while it is under way.
    pub finished: Option<i64>,
    /// The schema's version.
    pub schema: i64,
    /// The firmware's version, as os-release names it.
    pub firmware: &'a str,
}

/// Every row; none where the table is not there.
///
/// # Errors
/// As SQLite; the catalogue's where the table has other columns than it should.
pub fn read(database: &Database, op: Op) -> Result<Vec<DataProgress>, Failure> {
    let connection = &database.connection;
    let read = || {
        if !exists(connection)? {
            return Ok(Vec::new());
        }
        let mut statement = connection.prepare(&read_sql())?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (version, name, checksum) =
                (integer(row.get_ref(0)?), text(row.get_ref(1)?), text(row.get_ref(2)?));
            // A row that is malformed counts as absent: what it stood for is run again, or refused
            // by its order.
            let (Some(version), Some(name), Some(checksum)) =
                (version, name, checksum.and_then(|text| text.parse().ok()))
            else {
                continue;
            };
            let number = |column| match row.get_ref(column) {
                Ok(ValueRef::Integer(number)) => number.unsigned_abs(),
                _ => 0,
            };
            let progress = Progress { rounds: number(6), rows: number(7), duration_ms: number(8) };
            found.push(DataProgress {
                applied: Applied { version, name: name.into(), checksum },
                done: number(3) == 1,
                progress,
            });
        }
        Ok(found)
    };
    read().map_err(|error: rusqlite::Error| match class_of(&error) {
        // The statement is ours and right: the table has other columns, or values of other types.
        Class::Failed => Failure::new(
            Class::Catalogue,
            op,
            format!("the history of data migrations cannot be read: {}", describe(&error)),
        ),
        _ => database.failure(op, &error),
    })
}

fn exists(connection: &rusqlite::Connection) -> rusqlite::Result<bool> {
    let names = ["bootmigrate_data"; 3];
    if let Some(other) = stand_in(connection, names)? {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(other),
        ));
    }
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'bootmigrate_data'";
    connection.query_row(sql, [], |_| Ok(())).optional().map(|row| row.is_some())
}

/// What is left to do, oldest first, by refinery's rules of order and text. One that is under way
/// is left to do, at its place and with the text that this firmware has. Those of newer firmware
/// are its own.
///
/// # Errors
/// As [`refusal`], in words.
pub fn left_to_do(
    catalog: &Catalog,
    rows: &[DataProgress],
    warn_changed: bool,
) -> Result<Vec<&'static Migration>, String> {
    let data = Catalog { migrations: catalog.data, ..*catalog };
    let as_ours = |row: &DataProgress| match data.find(row.applied.version) {
        Some(ours) if !row.done => Applied {
            version: ours.version,
            name: ours.name.into(),
            checksum: ours.checksum(DATA_VERSIONS),
        },
        _ => row.applied.clone(),
    };
    let known: Vec<Applied> =
        rows.iter().filter(|row| row.applied.version <= data.target()).map(as_ours).collect();
    if let Some(refusal) = refusal(&data, &known, warn_changed) {
        return Err(refusal.to_string());
    }
    let mut left: Vec<_> = missing(&data, &known).collect();
    left.extend(
        rows.iter().filter(|row| !row.done).filter_map(|row| data.find(row.applied.version)),
    );
    left.sort_by_key(|migration| migration.version);
    Ok(left)
}

/// Writes how far a data migration has come; inside the caller's transaction.
///
/// # Errors
/// As SQLite.
pub fn write(
    database: &Database,
    op: Op,
    migration: &Migration,
    progress: &Progress,
    stamp: &DataStamp<'_>,
) -> Result<(), Failure> {
    database.run(op, TABLE)?;
    let date = stamp.finished.map(|seconds| {
        let date =
            OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        date.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".into())
    });
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let write = || {
        database.connection.execute(
            WRITE,
            params![
                migration.version,
                migration.name,
                migration.checksum(DATA_VERSIONS).to_string(),
                date,
                stamp.schema,
                migration.directives.batch,
                number(progress.rounds),
                number(progress.rows),
                number(progress.duration_ms),
                stamp.firmware,
            ],
        )
    };
    write().map(drop).map_err(|error| database.failure(op, &error))
}

/// The batches that were done on a newer schema than this are left to do again: what they filled in
/// may have gone with it. A batch that is at rest changes nothing when it is run once more; what is
/// no batch must never run twice, and stays done.
///
/// # Errors
/// As SQLite.
pub fn reopen_above(database: &Database, op: Op, schema: i64) -> Result<(), Failure> {
    let sql = "UPDATE bootmigrate_data SET applied_on = NULL, rounds = 0, rows = 0, duration_ms = \
               0 WHERE schema > ?1 AND batch = 1";
    let reopen = || {
        if exists(&database.connection)? {
            database.connection.execute(sql, [schema])?;
        }
        Ok(())
    };
    reopen().map_err(|error: rusqlite::Error| database.failure(op, &error))
}

/// Takes over what another database says of its data migrations: its rows are brought along, and
/// what was done to them must not be done twice.
///
/// # Errors
/// As [`read`], and as SQLite.
pub fn take_over(from: &Database, into: &Database, op: Op) -> Result<(), Failure> {
    let readable: BTreeSet<i64> =
        read(from, op)?.into_iter().map(|row| row.applied.version).collect();
    if readable.is_empty() {
        return Ok(());
    }
    into.run(op, TABLE)?;
    let sql = format!(
        "SELECT version, name, checksum, applied_on, coalesce(schema, 0), coalesce(batch, 0), \
         coalesce(rounds, 0), coalesce(rows, 0), coalesce(duration_ms, 0), firmware FROM \
         bootmigrate_data ORDER BY version LIMIT {}",
        bounds::ROWS_MAX
    );
    let copy = || {
        let mut statement = from.connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if !readable.contains(&row.get(0)?) {
                continue;
            }
            let value = |column| row.get_ref(column).map(owned);
            let values: Vec<Value> = (0..COLUMNS).map(value).collect::<rusqlite::Result<_>>()?;
            into.connection.execute(WRITE, rusqlite::params_from_iter(values))?;
        }
        Ok(())
    };
    copy().map_err(|error: rusqlite::Error| from.failure(op, &error))
}

/// Text that is not UTF-8 as far as it is.
fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use crate::device::sqlite::Sqlite;

    /// Every schema beside every target, done or under way, a batch or not.
    #[test]
    fn batches_of_a_newer_schema_alone_are_opened_again() {
        let op = Op("test");
        let database = Sqlite::default().scratch(op).unwrap_or_else(|failure| panic!("{failure}"));
        let run = |sql: &str| database.run(op, sql).unwrap_or_else(|failure| panic!("{failure}"));
        reopen_above(&database, op, 3)
            .unwrap_or_else(|failure| panic!("no table is nothing to open: {failure}"));
        for target in 0..6 {
            run("DROP TABLE IF EXISTS bootmigrate_data");
            run(TABLE);
            for schema in 0..6 {
                for (place, (batch, done)) in
                    [(0, true), (0, false), (1, true), (1, false)].into_iter().enumerate()
                {
                    let applied = if done { "'2024-05-01T10:00:00Z'" } else { "NULL" };
                    let version = schema * 10 + place as i64;
                    run(&format!(
                        "INSERT INTO bootmigrate_data(version, name, checksum, applied_on, schema, \
                         batch, rounds, rows, duration_ms) VALUES ({version}, 'x', '1', {applied}, \
                         {schema}, {batch}, 5, 6, 7)"
                    ));
                }
            }
            reopen_above(&database, op, target).unwrap_or_else(|failure| panic!("{failure}"));
            for row in read(&database, op).unwrap_or_else(|failure| panic!("{failure}")) {
                let (schema, place) = (row.applied.version / 10, row.applied.version % 10);
                let (batch, done) = (place > 1, place % 2 == 0);
                let opened = batch && schema > target;
                assert_eq!(row.done, done && !opened, "to {target}: {row:?}");
                assert_eq!(row.progress.rounds, if opened { 0 } else { 5 }, "to {target}: {row:?}");
            }
        }
    }
}
