//! Owns the two forms of refinery's history: of 32-bit versions, its default, and of 64-bit ones,
//! its feature `int8-versions`.
//! Promises: after a write every row has the same form, so that one of the two refineries goes on
//! with it; a row that is in no catalogue stays.
//! Never changes the table's columns: SQLite keeps the same number under int4 and int8, and no
//! refinery looks at the type.

use rusqlite::{params, OptionalExtension};

use super::{read, Applied};
use crate::catalog::{Catalog, Migration, Versions};
use crate::device::disk::Op;
use crate::device::sqlite::Database;
use crate::error::Failure;
use crate::lex::quote;

/// The form of the rows that are written next; the ones that are there get it too. Inside the
/// caller's transaction.
///
/// # Errors
/// As SQLite.
pub fn recover(
    database: &Database,
    op: Op,
    table: &str,
    catalog: &Catalog,
) -> Result<Versions, Failure> {
    let applied = read(database, op, table)?.applied;
    let rows: Vec<(&Applied, &Migration)> = applied
        .iter()
        .filter_map(|row| catalog.find(row.version).map(|ours| (row, ours)))
        .collect();
    let is_int8 = |(row, ours): &(&Applied, &Migration)| {
        index(row, ours, Versions::Int4).is_none() && index(row, ours, Versions::Int8).is_some()
    };
    let recover = || {
        if catalog.versions == Versions::Int4
            && !declared_int8(database, table)?
            && !rows.iter().any(is_int8)
        {
            return Ok(Versions::Int4);
        }
        let sql = format!("UPDATE {} SET checksum = ?1 WHERE version = ?2", quote(table));
        for (row, ours) in &rows {
            if index(row, ours, Versions::Int8).is_some() {
                continue;
            }
            let same_line_ends =
                index(row, ours, Versions::Int4).and_then(|index| ours.checksums.int8.get(index));
            if let Some(checksum) = same_line_ends {
                database.connection.execute(&sql, params![checksum.to_string(), row.version])?;
            }
        }
        Ok(Versions::Int8)
    };
    recover().map_err(|error: rusqlite::Error| database.failure(op, &error))
}

/// Which of the checksums of this form the row has.
fn index(row: &Applied, ours: &Migration, versions: Versions) -> Option<usize> {
    ours.checksums.of(versions).iter().position(|checksum| *checksum == row.checksum)
}

fn declared_int8(database: &Database, table: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT lower(type) IN ('int8', 'bigint') FROM pragma_table_info(?1) WHERE \
               lower(name) = 'version'";
    Ok(database.connection.query_row(sql, [table], |row| row.get(0)).optional()?.unwrap_or(false))
}
