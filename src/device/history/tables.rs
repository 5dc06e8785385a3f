//! Owns the look at a database's schema for our own tables: which of them are there, and what
//! stands in the place of one.
//! Promises: the schema is gone through once; a stranger's view, virtual table or generated column
//! is told, and never read.
//! Never runs what the schema defines.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

/// Of three names, the history's first, and of everything else in the schema.
pub(super) struct Look {
    /// A table has this name.
    pub are_tables: [bool; 3],
    /// What stands under one of the names and is no plain table, in words.
    pub stand_in: Option<String>,
    /// Tables that are neither SQLite's nor ours nor the history.
    pub others: u64,
}

/// Looks at the whole schema.
///
/// # Errors
/// As SQLite.
pub(super) fn look(connection: &Connection, names: [&str; 3]) -> rusqlite::Result<Look> {
    // The text of a table of ours alone: others' may be long.
    let sql = "SELECT type, name, rootpage, iif(name = ?1 COLLATE nocase OR name = ?2 COLLATE \
               nocase OR name = ?3 COLLATE nocase, sql, NULL) FROM sqlite_schema";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(names)?;
    let mut found = Look { are_tables: [false; 3], stand_in: None, others: 0 };
    let mut may_generate = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, name, root, sql) =
            (row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?);
        let ValueRef::Text(name) = name else { continue };
        let is_table = kind == ValueRef::Text(b"table");
        let Some(place) = names.iter().position(|ours| name.eq_ignore_ascii_case(ours.as_bytes()))
        else {
            found.others +=
                u64::from(is_table && !begins(name, b"sqlite_") && !begins(name, b"bootmigrate_"));
            continue;
        };
        let name = String::from_utf8_lossy(name);
        if is_table {
            found.are_tables.iter_mut().skip(place).take(1).for_each(|there| *there = true);
        }
        if !is_table || root == ValueRef::Integer(0) {
            let kind = if is_table { "virtual table".into() } else { text(kind) };
            found.stand_in.get_or_insert(format!("{name} is no table but: {kind}"));
        } else if !matches!(sql, ValueRef::Text(_)) || text(sql).to_ascii_lowercase().contains("as")
        {
            may_generate.push(name.into_owned());
        }
    }
    if found.stand_in.is_none() {
        found.stand_in = generates(connection, &may_generate)?;
    }
    Ok(found)
}

/// What stands under one of these names and is no plain table, in words.
///
/// # Errors
/// As SQLite.
pub(super) fn stand_in(
    connection: &Connection,
    names: [&str; 3],
) -> rusqlite::Result<Option<String>> {
    look(connection, names).map(|found| found.stand_in)
}

/// The first generated column. There is none without the word AS; of a plain table this reads the
/// schema alone.
fn generates(connection: &Connection, tables: &[String]) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 0 LIMIT 1";
    for table in tables {
        let column: Option<String> =
            connection.query_row(sql, [table], |row| row.get(0)).optional()?;
        if let Some(column) = column {
            return Ok(Some(format!("{table} has a generated column: {column}")));
        }
    }
    Ok(None)
}

fn begins(name: &[u8], with: &[u8]) -> bool {
    name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// SQLite takes a BLOB there for the text that it is.
    #[test]
    fn a_generated_column_is_seen_whatever_type_the_schemas_text_has() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE history (version, name, applied_on, checksum AS (name))")
            .unwrap();
        let names = ["history", "bootmigrate_steps", "bootmigrate_state"];
        let seen = || stand_in(&connection, names).unwrap();
        assert_eq!(seen().as_deref(), Some("history has a generated column: checksum"));
        let change =
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = CAST(sql AS BLOB)";
        connection.execute_batch(change).unwrap();
        assert_eq!(seen().as_deref(), Some("history has a generated column: checksum"));
    }
}
