//! Owns counting what a database holds, table by table and column by column, and what a change of
//! its schema took away.
//! Promises: what is gone or fewer is named with a number; what was renamed, or holds nothing but
//! its default, is no loss.
//! Never changes a byte.

use std::collections::BTreeMap;

use crate::device::disk::Op;
use crate::device::sqlite::compile::{lossy, lossy_if_any};
use crate::device::sqlite::stand_ins::read_with_stand_ins;
use crate::device::sqlite::virtual_tables::{Content, VirtualTable};
use crate::device::sqlite::Database;
use crate::error::Failure;
use crate::lex::quote;

/// Numbers that are counted of a column.
const NUMBERS: usize = 4;
/// Columns that are counted in one pass: SQLite answers with 2,000 numbers at most.
const COLUMNS_AT_A_TIME: usize = 100;

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// By name in small letters, as SQLite compares names.
    tables: BTreeMap<String, Table>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    /// As it is written.
    name: String,
    root_page: i64,
    rows: i64,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    /// Rows in which it holds something else than its default.
    filled: i64,
    /// Rows in which it holds something.
    present: i64,
    /// Bytes of all that it holds.
    bytes: i64,
    /// Not all of that is the same value.
    varies: bool,
}

impl Database {
    /// Counts rows and values of every table but SQLite's, the history and ours; two passes over
    /// each, and one more for every further 100 columns.
    ///
    /// # Errors
    /// As SQLite.
    pub fn survey(&self, op: Op, history_table: &str) -> Result<Survey, Failure> {
        self.count(history_table).map_err(|error| self.failure(op, &error))
    }

    fn count(&self, history_table: &str) -> rusqlite::Result<Survey> {
        let sql = "SELECT name, rootpage FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 \
                   AND name <> ?1 COLLATE NOCASE AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND \
                   name NOT LIKE 'bootmigrate\\_%' ESCAPE '\\'";
        let mut statement = self.connection.prepare(sql)?;
        let names = statement
            .query_map([history_table], |row| Ok((lossy(row, 0)?, row.get::<_, i64>(1)?)))?;
        // A stand-in is removed while no statement runs.
        let names = names.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut survey = Survey::default();
        let shadows = self.shadow_names()?;
        for name in names {
            let (name, root_page) = name;
            if !shadows.contains(&name.to_ascii_lowercase()) {
                let table = self.count_table(&name, root_page)?;
                survey.tables.insert(name.to_ascii_lowercase(), table);
            }
        }
        for table in self.read_virtual_tables()? {
            if let Some(counted_by) = table.counted_by() {
                let counted = self.count_virtual_table(&table, counted_by)?;
                survey.tables.insert(table.name.to_ascii_lowercase(), counted);
            }
        }
        Ok(survey)
    }

    /// Rows of a virtual table, and values of the columns whose text it keeps itself; an index of
    /// another table's text has none.
    fn count_virtual_table(
        &self,
        table: &VirtualTable,
        counted_by: &str,
    ) -> rusqlite::Result<Table> {
        let mut counted = self.count_table(counted_by, 0)?;
        counted.name.clone_from(&table.name);
        let mut statement =
            self.connection.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0")?;
        // The row number stands first. Where the virtual table does not work its columns have no
        // names, and only rows count.
        let names = statement
            .query_map([&table.name], |row| lossy(row, 0))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
        let names =
            if table.content == Content::Own { names.unwrap_or_default() } else { Vec::new() };
        let filled = counted.columns.into_iter().skip(1);
        counted.columns =
            names.into_iter().zip(filled).map(|(name, column)| Column { name, ..column }).collect();
        Ok(counted)
    }

    fn count_table(&self, name: &str, root_page: i64) -> rusqlite::Result<Table> {
        // Generated columns hold nothing of their own.
        let sql = "SELECT name, dflt_value FROM pragma_table_xinfo(?1) WHERE hidden = 0";
        let mut statement = self.connection.prepare(sql)?;
        let columns =
            statement.query_map([name], |row| Ok((lossy(row, 0)?, lossy_if_any(row, 1)?)))?;
        let columns: Vec<(String, Option<String>)> = columns.collect::<rusqlite::Result<_>>()?;
        let read = || {
            let rows = self.connection.query_row(
                &format!("SELECT count(*) FROM {}", quote(name)),
                [],
                |row| row.get(0),
            )?;
            let mut counted = Vec::new();
            for part in columns.chunks(COLUMNS_AT_A_TIME) {
                counted.extend(self.count_columns(name, part)?);
            }
            Ok(Table { name: name.to_owned(), root_page, rows, columns: counted })
        };
        read_with_stand_ins(&self.connection, read).map(|(table, _)| table)
    }

    /// One pass over the table. Values are compared byte by byte, whatever the column's collation
    /// takes for equal.
    fn count_columns(
        &self,
        table: &str,
        columns: &[(String, Option<String>)],
    ) -> rusqlite::Result<Vec<Column>> {
        let numbers = |(column, default): &(String, Option<String>)| {
            let default = default
                .as_deref()
                .filter(|default| is_constant(default))
                .map_or("NULL", as_a_value);
            let column = quote(column);
            format!(
                "coalesce(sum({column} COLLATE BINARY IS NOT ({default})), 0), count({column}), \
                 coalesce(sum(octet_length({column})), 0), min({column} COLLATE BINARY) IS NOT \
                 max({column} COLLATE BINARY)"
            )
        };
        let numbers: Vec<String> = columns.iter().map(numbers).collect();
        let sql = format!("SELECT {} FROM {}", numbers.join(", "), quote(table));
        self.connection.query_row(&sql, [], |row| {
            let names = columns.iter().map(|(name, _)| name.clone());
            let column = |(index, name): (usize, String)| {
                let first = index * NUMBERS;
                Ok(Column {
                    name,
                    filled: row.get(first)?,
                    present: row.get(first + 1)?,
                    bytes: row.get(first + 2)?,
                    varies: row.get(first + 3)?,
                })
            };
            names.enumerate().map(column).collect()
        })
    }
}

/// `IS NOT TRUE` asks whether a value is true; here it is to be 1.
fn as_a_value(default: &str) -> &str {
    match default.trim() {
        word if word.eq_ignore_ascii_case("true") => "1",
        word if word.eq_ignore_ascii_case("false") => "0",
        _ => default,
    }
}

/// A literal, which means the same in a query as in the table's text.
fn is_constant(default: &str) -> bool {
    let word = default.trim();
    let quoted = |text: &str| {
        text.len() > 1 && text.starts_with('\'') && text.ends_with('\'') && !text.contains("||")
    };
    let number = word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))
        && word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E'));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
    let hexadecimal =
        word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).is_some_and(digits);
    let blob = word
        .strip_prefix(['x', 'X'])
        .and_then(|rest| rest.strip_prefix('\'')?.strip_suffix('\''))
        .is_some_and(digits);
    number
        || hexadecimal
        || blob
        || quoted(word)
        || ["null", "true", "false"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

impl Survey {
    /// What `self` has no more of what was there before: a line each.
    pub fn lacks(&self, before: &Survey) -> Vec<String> {
        let mut lost = Vec::new();
        for (key, old) in &before.tables {
            let name = &old.name;
            let renamed = || {
                // The page of a table that went may be given to another one.
                let same = |new: &&Table| {
                    (new.root_page, new.rows) == (old.root_page, old.rows)
                        && new.columns.len() == old.columns.len()
                        && new.columns.iter().zip(&old.columns).all(|(new, old)| new.holds_as(old))
                };
                self.tables
                    .iter()
                    .filter(|(other, _)| !before.tables.contains_key(*other))
                    .map(|(_, new)| new)
                    .find(same)
            };
            match self.tables.get(key).or_else(renamed) {
                Some(new) => new.lacks(name, old, &mut lost),
                None if old.rows > 0 => {
                    lost.push(format!("table {name} ({})", counted(old.rows, "row")))
                }
                None => {}
            }
        }
        lost
    }
}

impl Table {
    fn lacks(&self, name: &str, old: &Table, lost: &mut Vec<String>) {
        let rows_gone = old.rows.saturating_sub(self.rows).max(0);
        if rows_gone > 0 {
            lost.push(format!("{rows_gone} of {} of table {name}", counted(old.rows, "row")));
        }
        let has = |columns: &[Column], name: &str| {
            columns.iter().any(|column| column.name.eq_ignore_ascii_case(name))
        };
        let in_place = self.root_page == old.root_page && self.columns.len() == old.columns.len();
        for (index, column) in old.columns.iter().enumerate() {
            // ALTER TABLE RENAME COLUMN leaves the table where it is, and the column in its place.
            let renamed = || {
                let new = self.columns.get(index).filter(|new| !has(&old.columns, &new.name));
                in_place && new.is_some_and(|new| new.holds_as(column))
            };
            let still = self.columns.iter().find(|new| new.name.eq_ignore_ascii_case(&column.name));
            match still {
                Some(new) if new.is_emptied(column) && self.rows > 0 => lost.push(format!(
                    "all of {} of column {name}.{}",
                    counted(column.filled, "value"),
                    column.name
                )),
                Some(_) => {}
                None if column.filled > 0 && !renamed() => lost.push(format!(
                    "column {name}.{} ({})",
                    column.name,
                    counted(column.filled, "value")
                )),
                None => {}
            }
        }
    }
}

impl Column {
    /// It may be the same one under another name.
    fn holds_as(&self, old: &Column) -> bool {
        (self.filled, self.present, self.bytes) == (old.filled, old.present, old.bytes)
    }

    /// It had values, and has none any more. Where they were all the same one, it may have stood
    /// for none: a migration that fills a column in, and its way back, are no loss.
    fn is_emptied(&self, old: &Column) -> bool {
        (self.present == 0 || self.filled == 0)
            && old.filled > 0
            && self.present < old.present
            && (old.varies || old.present == 1)
    }
}

fn counted(number: i64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
