//! Owns what a database holds, as text that can be compared: schema, rows with their types,
//! counters, structure.
//! Promises: read by plain SQLite; what is bootmigrate's own and the history are left out.
//! Never changes what it reads.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::backup::Backup;
use rusqlite::types::ValueRef;
use rusqlite::Connection;

use super::rng::quoted;
use super::tables as schema;

/// An exact copy of a database, in memory.
pub fn copied(from: &Connection) -> rusqlite::Result<Connection> {
    let mut copy = Connection::open_in_memory()?;
    Backup::new(from, &mut copy)?.step(-1)?;
    copy.execute_batch("PRAGMA foreign_keys = OFF")?;
    Ok(copy)
}

/// What a statement of an application changes, or how it fails; foreign keys are on, but in an
/// application that is careless.
pub fn answer(connection: &Connection, statement: &str, careless: bool) -> Result<u64, String> {
    let run = || {
        connection.execute_batch(if careless {
            "PRAGMA foreign_keys = OFF"
        } else {
            "PRAGMA foreign_keys = ON"
        })?;
        let changed = connection.execute(statement, []).map(|changed| changed as u64);
        connection.execute_batch("PRAGMA foreign_keys = OFF")?;
        changed
    };
    run().map_err(|error| error.to_string())
}

/// Tables that hold rows of the product, with their text.
pub fn tables(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE \
               'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'bootmigrate\\_%' ESCAPE '\\' AND name \
               NOT LIKE '%schema\\_history' ESCAPE '\\' AND name NOT IN ('transaction', 'values', \
               'schema_migrations', '_sqlx_migrations', '__diesel_schema_migrations', \
               'goose_db_version') AND name NOT IN (SELECT name FROM pragma_table_list WHERE type \
               = 'shadow') ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.collect()
}

fn rows(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut statement = connection.prepare(&format!("SELECT * FROM {}", quoted(table)))?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let values: rusqlite::Result<Vec<String>> =
            (0..columns).map(|column| row.get_ref(column).map(shown)).collect();
        found.push(values?.join("|"));
    }
    found.sort_unstable();
    Ok(found)
}

/// Rows of a table that can be read, in its own order and backwards, each up to what is corrupt.
pub fn readable(connection: &Connection, table: &str) -> rusqlite::Result<u64> {
    let mut found = BTreeSet::new();
    let key: Vec<String> = {
        let mut statement = connection
            .prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE pk > 0 ORDER BY pk")?;
        let names = statement
            .query_map([table], |row| row.get::<_, String>(0))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        names.into_iter().map(quoted).collect()
    };
    let by_key: bool = connection.query_row(
        "SELECT wr FROM pragma_table_list WHERE name = ?1",
        [table],
        |row| row.get(0),
    )?;
    let (key, number) = if by_key { (key, "") } else { (vec!["_rowid_".to_owned()], "_rowid_, ") };
    for direction in ["", " DESC"] {
        let order: Vec<String> = key.iter().map(|column| format!("{column}{direction}")).collect();
        let sql = format!(
            "SELECT {number}* FROM {} NOT INDEXED ORDER BY {}",
            quoted(table),
            order.join(", ")
        );
        let mut statement = connection.prepare(&sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Ok(Some(row)) = rows.next() {
            let values: rusqlite::Result<Vec<String>> =
                (0..columns).map(|column| row.get_ref(column).map(shown)).collect();
            found.insert(values?.join("|"));
        }
    }
    Ok(found.len() as u64)
}

/// A value with its type.
fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}r"),
        ValueRef::Text(text) => format!("'{}'", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("x{bytes:02x?}"),
    }
}

/// Schema and rows of the product, and the numbers in the header that are the application's.
pub fn dump(connection: &Connection) -> rusqlite::Result<String> {
    let mut text = String::new();
    let sql =
        "SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_schema WHERE tbl_name \
         NOT LIKE 'bootmigrate\\_%' ESCAPE '\\' AND tbl_name NOT LIKE '%schema\\_history' ESCAPE \
         '\\' AND tbl_name NOT IN ('transaction', 'values') AND name NOT LIKE 'sqlite\\_%' ESCAPE \
         '\\' ORDER BY 1";
    let mut statement = connection.prepare(sql)?;
    for line in statement.query_map([], |row| row.get::<_, String>(0))? {
        text.push_str(&line?);
        text.push('\n');
    }
    for (table, _) in tables(connection)? {
        let rows = rows(connection, &table)?;
        text.push_str(&format!("{table}: {} rows\n", rows.len()));
        rows.iter().for_each(|row| text.push_str(&format!("  {table}: {row}\n")));
    }
    let counters = "SELECT name || '=' || seq FROM sqlite_sequence WHERE name NOT LIKE \
                    'bootmigrate%' ORDER BY 1";
    if let Ok(mut statement) = connection.prepare(counters) {
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            text.push_str(&format!("counter {}\n", line?));
        }
    }
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    text.push_str(&format!("application_id {application}\n"));
    Ok(text)
}

/// Tables, columns, keys and indexes as SQLite tells them, without order or text; views and
/// triggers by their text.
pub fn structure(connection: &Connection) -> rusqlite::Result<String> {
    let mut text = String::new();
    let mut line = |sql: &str, name: &str| -> rusqlite::Result<()> {
        let mut statement = connection.prepare(sql)?;
        let columns = statement.column_count();
        let mut found = Vec::new();
        let mut rows = statement.query([name])?;
        while let Some(row) = rows.next()? {
            let values: rusqlite::Result<Vec<String>> =
                (0..columns).map(|column| row.get_ref(column).map(shown)).collect();
            found.push(values?.join("|"));
        }
        found.sort_unstable();
        text.push_str(&format!("{name}: {}\n", found.join(";")));
        Ok(())
    };
    for (table, _) in tables(connection)? {
        line("SELECT wr, strict FROM pragma_table_list WHERE name = ?1", &table)?;
        line(
            "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)",
            &table,
        )?;
        line(
            "SELECT \"from\", \"table\", \"to\", on_update, on_delete FROM \
             pragma_foreign_key_list(?1)",
            &table,
        )?;
        let indexes = "SELECT l.\"unique\", l.origin, l.partial, (SELECT \
                       group_concat(coalesce(x.name, '') || x.desc || x.coll, ',') FROM \
                       pragma_index_xinfo(l.name) x), iif(l.origin = 'c', l.name, '') FROM \
                       pragma_index_list(?1) l";
        line(indexes, &table)?;
    }
    line(
        "SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'trigger') AND ?1 <> ''",
        "views and triggers",
    )?;
    Ok(text)
}

/// What two dumps have that the other has not.
pub fn difference(expected: &str, found: &str) -> String {
    let only = |one: &str, other: &str, mark: char| {
        let lines = one.lines().filter(|line| !other.lines().any(|known| known == *line)).take(6);
        lines
            .map(|line| format!("\n      {mark} {}", line.chars().take(160).collect::<String>()))
            .collect::<String>()
    };
    format!("{}{}", only(expected, found, '-'), only(found, expected, '+'))
}

/// How often the foreign keys of a table name no row of a parent, by both.
pub type Violations = BTreeMap<(String, String), u64>;

/// Violations of foreign keys.
pub fn violations(connection: &Connection) -> rusqlite::Result<Violations> {
    let mut found = BTreeMap::new();
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        *found.entry((row.get::<_, String>(0)?, row.get::<_, String>(2)?)).or_insert(0) += 1;
    }
    Ok(found)
}

/// Rows of each table.
pub fn counts(connection: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let count = |name: &str| {
        connection.query_row(&format!("SELECT count(*) FROM {}", quoted(name)), [], |row| {
            row.get::<_, i64>(0)
        })
    };
    tables(connection)?
        .into_iter()
        .map(|(name, _)| Ok((name.clone(), count(&name)? as u64)))
        .collect()
}

/// A table with rows, rows, or a column with anything but its default is in the one and not in the
/// other; `None` where that is a matter of opinion.
pub fn loses(from: &Connection, to: &Connection) -> rusqlite::Result<Option<bool>> {
    let (counts, left) = (counts(from)?, counts(to)?);
    if counts.iter().any(|(table, count)| left.get(table).copied().unwrap_or(0) < *count) {
        return Ok(Some(true));
    }
    let after = schema::tables(to)?;
    let mut unknown = false;
    for table in schema::tables(from)? {
        let Some(there) = after.iter().find(|other| other.name == table.name) else { continue };
        for column in table
            .columns
            .iter()
            .filter(|column| !there.columns.iter().any(|other| other.name == column.name))
        {
            if column.generated {
                unknown = true;
                continue;
            }
            let default = column.default.as_deref().unwrap_or("NULL");
            let name = quoted(&column.name);
            let sql = format!(
                "SELECT 1 FROM {} WHERE {name} IS NOT ({default}) LIMIT 1",
                quoted(&table.name)
            );
            if from.prepare(&sql)?.exists([])? {
                // A default that the column's type turns into another value is the same value.
                if default == "NULL" {
                    return Ok(Some(true));
                }
                unknown = true;
            }
        }
    }
    Ok(if unknown { None } else { Some(false) })
}
