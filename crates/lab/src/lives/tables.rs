//! Owns a look at the schema of an open database: its tables and their columns, as SQLite itself
//! tells them.
//! Promises: only what belongs to the product; nothing is changed.
//! Never parses SQL.

use rusqlite::Connection;

use super::rng::quoted;

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its declared type.
    pub kind: String,
    /// Its default, as it is written.
    pub default: Option<String>,
    /// Its place in the primary key, from 1; else 0.
    pub key: i64,
    /// It is computed.
    pub generated: bool,
    /// The table and the column that it refers to.
    pub parent: Option<(String, String)>,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// In order.
    pub columns: Vec<Column>,
    /// STRICT.
    pub strict: bool,
    /// The CREATE TABLE.
    pub sql: String,
}

impl Table {
    /// Names of the columns that a statement may set.
    pub fn settable(&self) -> Vec<&Column> {
        self.columns.iter().filter(|column| !column.generated).collect()
    }

    /// Its one column that is the primary key.
    pub fn single_key(&self) -> Option<&Column> {
        let mut keys = self.columns.iter().filter(|column| column.key > 0);
        keys.next().filter(|_| keys.next().is_none())
    }
}

/// All of them, by name.
pub fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let sql = "SELECT l.name, l.strict, s.sql FROM pragma_table_list l JOIN sqlite_schema s ON \
               s.name = l.name AND s.type = 'table' WHERE l.schema = 'main' AND l.type = 'table' \
               AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND l.name NOT LIKE 'bootmigrate\\_%' \
               ESCAPE '\\' AND l.name NOT LIKE '%schema\\_history' ESCAPE '\\' AND l.name NOT IN \
               ('transaction', 'values', 'schema_migrations', '_sqlx_migrations', \
               '__diesel_schema_migrations', 'goose_db_version') ORDER BY l.name";
    let mut statement = connection.prepare(sql)?;
    let found = statement.query_map([], |row| {
        Ok(Table { name: row.get(0)?, columns: Vec::new(), strict: row.get(1)?, sql: row.get(2)? })
    })?;
    let mut found = found.collect::<rusqlite::Result<Vec<Table>>>()?;
    for table in &mut found {
        let mut statement =
            connection.prepare(&format!("PRAGMA table_xinfo({})", quoted(&table.name)))?;
        let columns = statement.query_map([], |row| {
            Ok(Column {
                name: row.get(1)?,
                kind: row.get(2)?,
                default: row.get(4)?,
                key: row.get(5)?,
                generated: row.get::<_, i64>(6)? > 1,
                parent: None,
            })
        })?;
        table.columns = columns.collect::<rusqlite::Result<_>>()?;
        let mut statement = connection
            .prepare("SELECT \"from\", \"table\", \"to\" FROM pragma_foreign_key_list(?1)")?;
        let mut rows = statement.query([&table.name])?;
        while let Some(row) = rows.next()? {
            let (from, parent, to): (String, String, Option<String>) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            if let (Some(column), Some(to)) =
                (table.columns.iter_mut().find(|column| column.name == from), to)
            {
                column.parent = Some((parent, to));
            }
        }
    }
    Ok(found)
}

/// Names of objects of this type which belong to the product.
pub fn objects(connection: &Connection, kind: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = ?1 AND sql IS NOT NULL ORDER BY name",
    )?;
    let names = statement.query_map([kind], |row| row.get(0))?;
    names.collect()
}

/// Every name that is taken.
pub fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema")?;
    let names = statement.query_map([], |row| row.get(0))?;
    names.collect()
}

/// Every view and table can be used, and no foreign key is broken.
pub fn compiles(connection: &Connection) -> rusqlite::Result<bool> {
    usable(connection)?;
    let all = tables(connection)?;
    for table in &all {
        if !parents_fit(connection, &all, &table.name)? {
            return Ok(false);
        }
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let broken = statement.exists([])?;
    Ok(!broken)
}

/// Every view and table can be read, and every table written, with what its triggers say.
///
/// # Errors
/// The first that cannot, in SQLite's words.
pub fn usable(connection: &Connection) -> rusqlite::Result<()> {
    for view in objects(connection, "view")? {
        connection.prepare(&format!("SELECT * FROM {}", quoted(&view)))?;
    }
    for table in tables(connection)? {
        let name = quoted(&table.name);
        connection.prepare(&format!("DELETE FROM {name}"))?;
        connection.prepare(&format!("INSERT INTO {name} DEFAULT VALUES"))?;
        for column in table.settable() {
            connection.prepare(&format!("UPDATE {name} SET {} = NULL", quoted(&column.name)))?;
        }
        connection.prepare(&format!("SELECT * FROM {name}"))?;
    }
    Ok(())
}

/// Each foreign key of this table names a table that is there, by its key.
fn parents_fit(connection: &Connection, all: &[Table], table: &str) -> rusqlite::Result<bool> {
    let mut statement =
        connection.prepare("SELECT \"table\", \"to\" FROM pragma_foreign_key_list(?1)")?;
    let found = statement.query_map([table], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    for one in found {
        let (parent, column) = one?;
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        let parent = all.iter().find(|other| same(&other.name, &parent));
        let key = parent.and_then(Table::single_key);
        if !key.is_some_and(|key| column.is_none_or(|column| same(&column, &key.name))) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Virtual tables and what they are made by.
pub fn virtual_tables(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql =
        "SELECT name, sql FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%' ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.collect()
}
