//! Owns reading the three tables: a [`History`] as it is, and the stored way back.
//! Promises: no value is read that is longer than its bound; a row that is not one is told in
//! words.
//! Never creates a table, and never writes a row.

use std::borrow::Cow;

use rusqlite::types::ValueRef;
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use super::{bounds, tables, Applied, Down, History, StoredMigration};
use crate::catalog::{Catalog, Migration};
use crate::device::disk::Op;
use crate::device::files::OPERATION_MAX;
use crate::device::sqlite::{class_of, describe, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

/// Reads everything above; creates nothing.
///
/// # Errors
/// As SQLite; class damaged where it says so.
pub fn read(database: &Database, op: Op, table: &str) -> Result<History, Failure> {
    read_known(database, op, table, (i64::MIN, &[]))
}

/// The same beside this catalogue: of `History::migrations` only those above it, since what an
/// older firmware said of its own is not asked for; and a row that has a name of the catalogue's
/// needs none of its own.
///
/// # Errors
/// As [`read`].
pub fn read_beside(
    database: &Database,
    op: Op,
    table: &str,
    catalog: &Catalog,
) -> Result<History, Failure> {
    read_known(database, op, table, (catalog.target(), catalog.migrations))
}

fn read_known(
    database: &Database,
    op: Op,
    table: &str,
    (version, known): (i64, &'static [Migration]),
) -> Result<History, Failure> {
    let connection = &database.connection;
    let read = || {
        let there = tables::look(connection, [table, "bootmigrate_steps", "bootmigrate_state"])?;
        let [recorded, has_steps, has_state] = there.are_tables;
        // Whoever has a history says by it whose the database is.
        let application_id = || connection.query_row("PRAGMA application_id", [], |row| row.get(0));
        let mut history = History {
            application_id: if recorded { 0 } else { application_id()? },
            recorded,
            has_stand_in: there.stand_in.is_some(),
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
            read_applied(connection, table, &mut history, known)?;
        }
        if has_state {
            read_state(connection, &mut history)?;
        }
        // Where nothing is to be done, nothing is asked of what was applied; before a migration
        // writes there, it must be readable.
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

/// Reads them; names every column, so that a table with others is found before anything is written.
/// Those after OR are never read.
fn migrations() -> String {
    let [version, compatible_from, irreversible] =
        ["version", "compatible_from", "irreversible"].map(bounds::number);
    format!(
        "SELECT {version}, {compatible_from}, typeof({}) = 'text', {irreversible} FROM \
         bootmigrate_steps WHERE version > ?1 AND (true OR act OR duration_ms OR firmware) ORDER \
         BY version LIMIT {}",
        bounds::sql("down_sql"),
        bounds::ROWS_MAX
    )
}

fn read_applied(
    connection: &rusqlite::Connection,
    table: &str,
    history: &mut History,
    known: &'static [Migration],
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
    let mut known = known.iter().peekable();
    while let Some(row) = rows.next()? {
        number += 1;
        if number > bounds::ROWS_MAX {
            history.malformed.get_or_insert(format!("it has more than {} rows", bounds::ROWS_MAX));
            break;
        }
        let (version, name, checksum) = (row.get_ref(0)?, row.get_ref(1)?, row.get_ref(3)?);
        let parsed = match (integer(version), natural(checksum)) {
            (Some(version), Some(checksum)) => {
                // Both are by version, and each is gone through once.
                while known.next_if(|ours| ours.version < version).is_some() {}
                let ours = known.peek().filter(|ours| {
                    ours.version == version && name == ValueRef::Text(ours.name.as_bytes())
                });
                let name = ours.map_or_else(
                    || text(name).map(Cow::Owned),
                    |ours| Some(Cow::Borrowed(ours.name)),
                );
                name.map(|name| Applied { version, name, checksum })
            }
            _ => None,
        };
        let date = row.get_ref(2)?.as_bytes().is_ok_and(is_a_date);
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

/// refinery can read it. What it writes itself is seen to be one without its parser.
fn is_a_date(text: &[u8]) -> bool {
    let number = |from: usize| match text.get(from..from.saturating_add(2)) {
        Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => (tens - b'0') * 10 + (ones - b'0'),
        _ => u8::MAX,
    };
    let plain = text.len() == "2026-01-31T12:59:59Z".len()
        && [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')]
            .iter()
            .all(|(at, byte)| text.get(*at) == Some(byte))
        && [0, 2].into_iter().all(|at| number(at) < 100)
        && (1..=12).contains(&number(5))
        && (1..=28).contains(&number(8))
        && number(11) < 24
        && [14, 17].into_iter().all(|at| number(at) < 60);
    plain
        || std::str::from_utf8(text).is_ok_and(|date| OffsetDateTime::parse(date, &Rfc3339).is_ok())
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
                let known = |operation: &u64| *operation <= OPERATION_MAX;
                history.operation = u64::try_from(operation).ok().filter(known);
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

/// The stored way back of every migration above this version, newest first; `None` where one has
/// none.
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
            "SELECT h.version, {}, {} FROM {} h LEFT JOIN bootmigrate_steps s ON s.version = \
             h.version AND s.irreversible = 0 WHERE h.version > ?1 ORDER BY h.version DESC",
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

pub(super) fn integer(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(number) => Some(number),
        _ => None,
    }
}

pub(super) fn text(value: ValueRef<'_>) -> Option<String> {
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
