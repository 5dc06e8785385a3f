//! Owns a database as what makes it again: settings of the file, tables, rows, and then what rests
//! on them.
//! Promises: stored statements are run as they are, so the schema is the same text; no index,
//! trigger or view is there while rows come in.
//! Never copies a page: nothing of a free page, and no deleted row, comes along.

use anyhow::{bail, Result};
use bootmigrate_model::lex::quote;
use rusqlite::Connection;

/// What a new file needs before its first table.
const OF_THE_FILE: [&str; 5] =
    ["page_size", "auto_vacuum", "encoding", "user_version", "application_id"];

/// One table of the old file.
pub struct OldTable {
    pub name: String,
    pub sql: String,
    /// Columns that are written, `rowid` among them where no column is it.
    pub columns: Vec<String>,
    /// The first of them is no column of its own, but SQLite's number of the row.
    pub with_rowid: bool,
}

/// A database as it was.
pub struct Old {
    /// `PRAGMA page_size = 4096`.
    pub settings: Vec<String>,
    pub tables: Vec<OldTable>,
    /// Statements of indexes, triggers and views, in the order in which they were made.
    pub rest: Vec<String>,
    /// It has `sqlite_sequence`.
    pub counts_on: bool,
}

impl Old {
    /// Reads it; `left_out` says which tables do not come along.
    ///
    /// # Errors
    /// As SQLite; a virtual table, whose content only its module knows.
    pub fn read(connection: &Connection, left_out: &dyn Fn(&str) -> bool) -> Result<Old> {
        let virtual_table =
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual'";
        if let Some(name) = names(connection, virtual_table)?.first() {
            bail!("{name} is a virtual table, whose content only its module knows");
        }
        let mut settings = Vec::new();
        for name in OF_THE_FILE {
            let value: String = connection.query_row(
                &format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"),
                [],
                |row| row.get(0),
            )?;
            settings.push(format!("PRAGMA {name} = '{value}'"));
        }
        let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND \
                   name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid";
        let mut statement = connection.prepare(sql)?;
        let objects = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let objects: Vec<(String, String, String, String)> =
            objects.collect::<rusqlite::Result<_>>()?;
        let mut old = Old { settings, tables: Vec::new(), rest: Vec::new(), counts_on: false };
        for (kind, name, table, sql) in
            objects.into_iter().filter(|(_, _, table, _)| !left_out(table))
        {
            match kind.as_str() {
                "table" => {
                    let (columns, with_rowid) = columns(connection, &name)?;
                    old.tables.push(OldTable { columns, with_rowid, name, sql })
                }
                _ => drop((table, old.rest.push(sql))),
            }
        }
        let counts = connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'",
            [],
            |row| row.get::<_, i64>(0),
        )?;
        old.counts_on = counts > 0;
        Ok(old)
    }
}

/// The columns of a table that can be written, and whether the first one is SQLite's own.
fn columns(connection: &Connection, table: &str) -> Result<(Vec<String>, bool)> {
    let mut statement = connection.prepare("SELECT name, hidden FROM pragma_table_xinfo(?1)")?;
    let found = statement
        .query_map([table], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let found: Vec<(String, i64)> = found.collect::<rusqlite::Result<_>>()?;
    let is_there = |name: &str| found.iter().any(|(column, _)| column.eq_ignore_ascii_case(name));
    let with_rowid = !is_there("rowid")
        && connection.prepare(&format!("SELECT rowid FROM {}", quote(table))).is_ok();
    let written = found.iter().filter(|(_, hidden)| *hidden == 0).map(|(name, _)| name.clone());
    let columns = with_rowid.then(|| "rowid".to_owned()).into_iter().chain(written).collect();
    Ok((columns, with_rowid))
}

fn names(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}

impl OldTable {
    /// `"rowid", "id", "name"`.
    pub fn list(&self) -> String {
        self.columns.iter().map(|column| quote(column)).collect::<Vec<_>>().join(", ")
    }
}
