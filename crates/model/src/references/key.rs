//! Owns the foreign keys that tables declare: their columns, and whether the parent has a key that
//! fits them.
//! Promises: judged as SQLite judges where an application writes.
//! Never reads a row of a user's table.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{params_from_iter, Connection};

use crate::compile::{lossy, lossy_if_any};

/// One foreign key of a table.
pub struct Key {
    /// The table that it refers to, as it is written.
    pub parent: String,
    /// Each column, and the parent's where it is written.
    pub columns: Vec<(String, Option<String>)>,
}

impl Key {
    /// In small letters.
    pub fn own_columns(&self) -> Vec<String> {
        self.columns.iter().map(|(from, _)| from.to_lowercase()).collect()
    }
}

/// Every table's foreign keys.
///
/// # Errors
/// As SQLite.
pub fn all_keys(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Vec<Key>>> {
    let sql = "SELECT m.name, f.id, f.\"table\", f.\"from\", f.\"to\" FROM main.sqlite_schema m, \
               pragma_foreign_key_list(m.name, 'main') f WHERE m.type = 'table' ORDER BY m.name, \
               f.id, f.seq";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut found: BTreeMap<String, Vec<Key>> = BTreeMap::new();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let (table, id) = (lossy(row, 0)?, row.get::<_, i64>(1)?);
        let column = (lossy(row, 3)?, lossy_if_any(row, 4)?);
        let keys = found.entry(table.clone()).or_default();
        if last.as_ref() != Some(&(table.clone(), id)) {
            keys.push(Key { parent: lossy(row, 2)?, columns: Vec::new() });
        }
        if let Some(key) = keys.last_mut() {
            key.columns.push(column);
        }
        last = Some((table, id));
    }
    Ok(found)
}

/// The parent's columns that this foreign key stands on; else why it does not fit.
///
/// # Errors
/// As SQLite.
pub fn fit(connection: &Connection, key: &Key) -> rusqlite::Result<Result<Vec<String>, String>> {
    let parent = key.parent.as_str();
    let is_table = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND rootpage > 0 AND \
                    name = ?1 COLLATE NOCASE";
    if texts(connection, is_table, &[parent])?.is_empty() {
        return Ok(Err(format!("refers to {parent}, which is no ordinary table")));
    }
    let all =
        texts(connection, "SELECT lower(name) FROM pragma_table_xinfo(?1, 'main')", &[parent])?;
    let primary = texts(
        connection,
        "SELECT lower(name) FROM pragma_table_xinfo(?1, 'main') WHERE pk > 0 ORDER BY pk",
        &[parent],
    )?;
    let written: Option<Vec<String>> =
        key.columns.iter().map(|(_, to)| to.as_ref().map(|to| to.to_lowercase())).collect();
    let Some(columns) = written else {
        let fits = primary.len() == key.columns.len();
        let why = || {
            format!("refers to the primary key of {parent}, which has {} columns", primary.len())
        };
        return Ok(if fits { Ok(primary) } else { Err(why()) });
    };
    let named = format!("refers to {parent}({})", columns.join(", "));
    if let Some(missing) = columns.iter().find(|column| !all.contains(column)) {
        return Ok(Err(format!("{named}, and {parent} has no column {missing}")));
    }
    let wanted: BTreeSet<&String> = columns.iter().collect();
    if primary.iter().collect::<BTreeSet<_>>() == wanted {
        return Ok(Ok(columns));
    }
    let indexes = "SELECT name FROM pragma_index_list(?1, 'main') WHERE \"unique\" AND NOT partial";
    for index in texts(connection, indexes, &[parent])? {
        let sql = "SELECT coalesce(lower(name), '') FROM pragma_index_xinfo(?1, 'main') WHERE key";
        if texts(connection, sql, &[&index])?.iter().collect::<BTreeSet<_>>() == wanted {
            return Ok(Ok(columns));
        }
    }
    Ok(Err(format!("{named}, which is neither the primary key nor unique there")))
}

/// The first column of a query, as text.
///
/// # Errors
/// As SQLite.
pub fn texts(
    connection: &Connection,
    sql: &str,
    parameters: &[&str],
) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map(params_from_iter(parameters), |row| lossy(row, 0))?;
    rows.collect()
}
