//! Owns the tables of rows that were put aside, `lost_TABLE`: which they are, what is in them, and
//! which column of the table at home each of theirs is.
//! Promises: a table counts by what its own text says, never by its name alone.
//! Never changes a row.

use std::collections::BTreeSet;

use rusqlite::types::ValueRef;
use serde_json::{Map, Number};

use crate::device::disk::Op;
use crate::device::files::number_in_a_name;
use crate::device::sqlite::compile::lossy;
use crate::device::sqlite::rows::{list, Table, LOST};
use crate::device::sqlite::virtual_tables::{Content, VirtualTable};
use crate::device::sqlite::Database;
use crate::error::{Class, Failure};
use crate::lex::{lex, quote, Token};

/// A table of rows that were put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRows {
    /// Itself.
    pub table: Table,
    /// The table that its rows are from, where the schema has it and it takes rows.
    pub home: Option<Table>,
    /// A virtual table whose rows only its module knows how to take.
    pub home_is_virtual: bool,
    /// Its columns that have one at home: their names here and there, quoted.
    pub(super) pairs: Vec<(String, String)>,
    /// The version of the database that had them.
    pub version: i64,
    /// How many.
    pub rows: u64,
}

impl LostRows {
    /// The name of the table that its rows are from.
    pub fn home_name(&self) -> &str {
        self.home.as_ref().map_or_else(
            || self.table.name.get(LOST.len()..).unwrap_or(""),
            |home| home.name.as_str(),
        )
    }

    /// Columns that the table at home has no more.
    pub fn without_a_column(&self) -> Vec<String> {
        let paired = |column: &String| self.pairs.iter().any(|(here, _)| *here == quote(column));
        let columns = self.table.columns.iter().filter(|_| self.home.is_some());
        columns.filter(|column| !paired(column)).cloned().collect()
    }
}

/// Takes one row as a line of JSON, without its end.
pub type TakeLine<'t> = dyn FnMut(&str) -> Result<(), Failure> + 't;

impl Database {
    /// The tables that were made for rows put aside, by name; none of those whose names are in
    /// `of_migrations` (`table NAME`).
    ///
    /// # Errors
    /// As SQLite.
    pub fn lost_rows(
        &self,
        op: Op,
        history_table: &str,
        of_migrations: &BTreeSet<String>,
    ) -> Result<Vec<LostRows>, Failure> {
        let tables = self.ordinary_tables(op, history_table)?;
        let virtual_tables = self.virtual_tables(op)?;
        let mut found = Vec::new();
        for table in &tables {
            let made =
                of_migrations.contains(&format!("table {}", table.name.to_ascii_lowercase()));
            let Some(version) = table.aside_of.filter(|_| !made) else { continue };
            let rows = self.count_rows(op, table)?;
            let rows = rows.ok_or_else(|| {
                Failure::new(
                    Class::Damaged,
                    op,
                    format!("the rows of {} cannot be counted", table.name),
                )
            })?;
            let mut lost = LostRows {
                table: table.clone(),
                home: home_of(&table.name, &tables, |table| &table.name).cloned(),
                home_is_virtual: false,
                pairs: Vec::new(),
                version,
                rows,
            };
            if let Some(home) = &lost.home {
                lost.pairs = by_name(table, home);
            } else if let Some(home) = home_of(&table.name, &virtual_tables, |table| &table.name) {
                self.is_of(op, &mut lost, home)?;
            }
            found.push(lost);
        }
        Ok(found)
    }

    /// The rows are of this virtual table.
    fn is_of(
        &self,
        op: Op,
        lost: &mut LostRows,
        virtual_table: &VirtualTable,
    ) -> Result<(), Failure> {
        let sql = "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0";
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.connection.prepare(sql)?;
            let columns = statement.query_map([&virtual_table.name], |row| lossy(row, 0))?;
            columns.collect()
        };
        let columns = read().map_err(|error| self.failure(op, &error))?;
        let home = Table { columns, ..Table::named(virtual_table.name.clone()) };
        lost.pairs = match virtual_table.content {
            Content::Own => by_place(&lost.table, &home),
            Content::Boxes => by_name(&lost.table, &home),
            _ => {
                lost.home_is_virtual = true;
                return Ok(());
            }
        };
        lost.home = Some(home);
        Ok(())
    }

    /// The triggers that run where a row comes into this table.
    ///
    /// # Errors
    /// As SQLite.
    pub fn insert_triggers(&self, op: Op, table: &str) -> Result<Vec<String>, Failure> {
        let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 \
                   COLLATE NOCASE ORDER BY name";
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([table], |row| Ok((lossy(row, 0)?, lossy(row, 1)?)))?;
            rows.collect()
        };
        let all = read().map_err(|error| self.failure(op, &error))?;
        Ok(all.into_iter().filter(|(_, text)| runs_at_insert(text)).map(|(name, _)| name).collect())
    }

    /// Removes such a table.
    ///
    /// # Errors
    /// As SQLite.
    pub fn drop_lost(&self, op: Op, lost: &LostRows) -> Result<(), Failure> {
        self.run(op, &format!("DROP TABLE {}", quote(&lost.table.name)))
    }

    /// Hands on every row: an object with its columns. Bytes, and text that is not UTF-8, are
    /// `{"hex": "..."}`.
    ///
    /// # Errors
    /// As SQLite, and the taker's.
    pub fn each_lost(
        &self,
        op: Op,
        lost: &LostRows,
        take: &mut TakeLine<'_>,
    ) -> Result<(), Failure> {
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let columns = &lost.table.columns;
        let sql = format!("SELECT {} FROM {}", list(columns, ""), quote(&lost.table.name));
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let mut object = Map::new();
            for (at, column) in columns.iter().enumerate() {
                object.insert(column.clone(), json(row.get_ref(at).map_err(failed)?));
            }
            take(&serde_json::Value::Object(object).to_string())?;
        }
        Ok(())
    }
}

/// The table whose rows it has: of two tables `a` and `a_2`, that of `lost_a_2` is the second.
fn home_of<'t, T>(lost: &str, tables: &'t [T], name_of: impl Fn(&T) -> &str) -> Option<&'t T> {
    let name = lost.get(LOST.len()..)?;
    let named = |name: &str| tables.iter().find(|table| name_of(table).eq_ignore_ascii_case(name));
    let without_number = || {
        name.rsplit_once('_')
            .filter(|(_, number)| number_in_a_name(number).is_some_and(|number: u32| number > 1))
    };
    named(name).or_else(|| without_number().and_then(|(name, _)| named(name)))
}

fn by_name(lost: &Table, home: &Table) -> Vec<(String, String)> {
    let common = lost.columns.iter().filter(|column| home.has_column(column));
    common.map(|column| (quote(column), quote(column))).collect()
}

/// Of a full-text index the rows of its own table of text were put aside: the row number, then `c`
/// and a column's place, with its name in older modules.
fn by_place(text: &Table, home: &Table) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for column in &text.columns {
        // A name may begin with a digit: `c01st` is the first column, called `1st`.
        let is = |place: usize, name: &str| {
            *column == format!("c{place}") || *column == format!("c{place}{name}")
        };
        let there = home.columns.iter().enumerate().find(|(place, name)| is(*place, name));
        if pairs.is_empty() && matches!(column.as_str(), "id" | "docid") {
            pairs.push((quote(column), "rowid".to_owned()));
        } else if let Some((_, there)) = there {
            pairs.push((quote(column), quote(there)));
        }
    }
    pairs
}

/// Of the words of its event: CREATE TRIGGER name [BEFORE | AFTER] INSERT | UPDATE | DELETE.
fn runs_at_insert(trigger: &str) -> bool {
    let lexed = lex(trigger);
    let words = lexed.tokens.iter().filter(|token| !token.is_comment()).skip(3);
    let event =
        |token: &&Token<'_>| ["INSERT", "UPDATE", "DELETE"].iter().any(|word| token.is(word));
    words.into_iter().find(event).is_some_and(|token| token.is("INSERT"))
}

fn json(value: ValueRef<'_>) -> serde_json::Value {
    match value {
        ValueRef::Null => serde_json::Value::Null,
        ValueRef::Integer(number) => number.into(),
        // JSON has no word for an infinity.
        ValueRef::Real(number) => Number::from_f64(number)
            .map_or_else(|| number.to_string().into(), serde_json::Value::Number),
        ValueRef::Text(text) => std::str::from_utf8(text).map_or_else(|_| hex(text), Into::into),
        ValueRef::Blob(bytes) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> serde_json::Value {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    serde_json::json!({ "hex": text })
}
