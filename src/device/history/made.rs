//! Owns which tables, indexes, views and triggers each migration made, kept in `bootmigrate_state`
//! (`docs/format.md`: frozen).
//! Promises: any value is read to an answer; other firmware that goes back tells a leftover of a
//! migration from what is the application's own.
//! Never looks at a row of the product's.

use std::collections::BTreeSet;

use rusqlite::{params, OptionalExtension};

use crate::device::disk::Op;
use crate::device::sqlite::Database;
use crate::error::Failure;

/// Before the version in the key of a row.
const KEY: &str = "made ";

/// Records what a migration made; inside the caller's transaction.
///
/// # Errors
/// As SQLite.
pub fn record(
    database: &Database,
    op: Op,
    version: i64,
    made: &BTreeSet<String>,
) -> Result<(), Failure> {
    if made.is_empty() {
        return forget(database, op, version);
    }
    let text = serde_json::to_string(made).unwrap_or_default();
    let sql = "INSERT OR REPLACE INTO bootmigrate_state(key, value) VALUES (?1, ?2)";
    let write = database.connection.execute(sql, params![format!("{KEY}{version}"), text]);
    write.map(drop).map_err(|error| database.failure(op, &error))
}

/// A migration that was gone back over has made nothing.
///
/// # Errors
/// As SQLite.
pub fn forget(database: &Database, op: Op, version: i64) -> Result<(), Failure> {
    let sql = "DELETE FROM bootmigrate_state WHERE key = ?1";
    database
        .connection
        .execute(sql, [format!("{KEY}{version}")])
        .map(drop)
        .map_err(|error| database.failure(op, &error))
}

/// What these migrations made: `table wifi`, in small letters. Nothing of those that firmware
/// without this record applied.
///
/// # Errors
/// As SQLite.
pub fn by(
    database: &Database,
    op: Op,
    versions: impl Iterator<Item = i64>,
) -> Result<BTreeSet<String>, Failure> {
    let sql = "SELECT value FROM bootmigrate_state WHERE key = ?1 AND typeof(value) = 'text'";
    let mut made = BTreeSet::new();
    for version in versions {
        let bytes = |row: &rusqlite::Row<'_>| {
            row.get_ref(0)
                .map(|value| value.as_bytes_or_null().ok().flatten().unwrap_or_default().to_vec())
        };
        let text =
            database.connection.query_row(sql, [format!("{KEY}{version}")], bytes).optional();
        let text = text.map_err(|error| database.failure(op, &error))?.unwrap_or_default();
        made.extend(serde_json::from_slice::<Vec<String>>(&text).unwrap_or_default());
    }
    Ok(made)
}
