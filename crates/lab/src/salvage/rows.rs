//! Owns rows as words that can be compared.
//! Promises: type and every value count.
//! Never repairs anything.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

/// By table, sorted.
pub type Rows = BTreeMap<String, Vec<String>>;

/// Every row that can be read, sorted; what stops the reading is handed on.
pub fn table_rows(
    connection: &Connection,
    table: &str,
    stopped: &mut dyn FnMut(String),
) -> Vec<String> {
    let mut found = Vec::new();
    if let Err(error) = read(connection, &format!("SELECT * FROM {table} NOT INDEXED"), &mut found)
    {
        // NOT INDEXED says nothing of a table that is kept by its key.
        stopped(error.to_string());
    }
    found.sort();
    found
}

fn read(connection: &Connection, sql: &str, found: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let width = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        found.push(words(row, 0..width)?);
    }
    Ok(())
}

/// The values of these columns.
pub fn words(row: &Row<'_>, columns: impl Iterator<Item = usize>) -> rusqlite::Result<String> {
    let mut words = Vec::new();
    for at in columns {
        words.push(word(row.get_ref(at)?));
    }
    Ok(words.join("|"))
}

fn word(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => format!("i{number}"),
        ValueRef::Real(number) => format!("r{number}"),
        ValueRef::Text(text) => format!("t{}", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => {
            format!("b{}:{:x}", bytes.len(), crate::sim::hash::Hash128::of(bytes))
        }
    }
}
