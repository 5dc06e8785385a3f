//! Owns the tables of rows that were put aside, `lost_TABLE`: what is in them, and giving their rows back to the tables they are from.
//! Promises: a row is in the one or in the other; it goes back only where every value has its column and no constraint is violated.
//! Never puts a row under a parent that is not there; whether the one of that number is still the same nobody can tell.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::types::ValueRef;
use serde_json::{Map, Number};

use crate::device::disk::Op;
use crate::device::sqlite::rows::{list, Table};
use crate::device::sqlite::{class_of, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

/// Row numbers that are held in memory at a time.
const ROWS_AT_A_TIME: usize = 1000;
/// What such a table's name begins with.
const PREFIX: &str = "lost_";

/// A table of rows that were put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRows {
    /// Itself.
    pub table: Table,
    /// The table that its rows are from, where the schema has it.
    pub home: Option<Table>,
    /// How many.
    pub rows: u64,
}

impl LostRows {
    /// The name of the table that its rows are from.
    pub fn home_name(&self) -> &str {
        self.home.as_ref().map_or_else(
            || self.table.name.get(PREFIX.len()..).unwrap_or(""),
            |home| home.name.as_str(),
        )
    }

    /// Columns that the table at home has no more.
    pub fn without_a_column(&self) -> Vec<String> {
        let home = self.home.as_ref();
        self.table
            .columns
            .iter()
            .filter(|column| home.is_some_and(|home| !home.has_column(column)))
            .cloned()
            .collect()
    }
}

/// Takes one row as a line of JSON, without its end.
pub type TakeLine<'t> = dyn FnMut(&str) -> Result<(), Failure> + 't;

impl Database {
    /// The tables that were made for rows put aside, by name; none of those whose names are in `of_migrations` (`table NAME`).
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
        let mut found = Vec::new();
        for table in &tables {
            let made =
                of_migrations.contains(&format!("table {}", table.name.to_ascii_lowercase()));
            if made
                || !table.name.to_ascii_lowercase().starts_with(PREFIX)
                || !self.has_no_types(op, table)?
            {
                continue;
            }
            let rows = self.count_rows(op, table)?;
            let rows = rows.ok_or_else(|| {
                Failure::new(
                    Class::Damaged,
                    op,
                    format!("the rows of {} cannot be counted", table.name),
                )
            })?;
            found.push(LostRows {
                home: home_of(&table.name, &tables),
                table: table.clone(),
                rows,
            });
        }
        Ok(found)
    }

    /// What is put aside has columns without a type, a key or a constraint.
    fn has_no_types(&self, op: Op, table: &Table) -> Result<bool, Failure> {
        let sql = "SELECT count(*) FROM pragma_table_xinfo(?1) WHERE type <> '' OR pk <> 0 OR \"notnull\" <> 0 OR dflt_value IS NOT NULL";
        let typed: i64 = self
            .connection
            .query_row(sql, [&table.name], |row| row.get(0))
            .map_err(|error| self.failure(op, &error))?;
        Ok(typed == 0)
    }

    /// Removes such a table.
    ///
    /// # Errors
    /// As SQLite.
    pub fn drop_lost(&self, op: Op, lost: &LostRows) -> Result<(), Failure> {
        self.run(op, &format!("DROP TABLE {}", quote(&lost.table.name)))
    }

    /// Hands on every row: an object with its columns. Bytes, and text that is not UTF-8, are `{"hex": "..."}`.
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

    /// Gives back what fits, inside the open transaction with foreign keys on; how many rows went. `aside`: every table of rows put aside.
    ///
    /// # Errors
    /// Interrupted; as SQLite, but for what a constraint says of a row.
    pub fn give_back(
        &self,
        op: Op,
        lost: &LostRows,
        aside: &[LostRows],
        stop: &AtomicBool,
    ) -> Result<u64, Failure> {
        let (Some(home), Some(number)) = (&lost.home, lost.table.row_number) else { return Ok(0) };
        let common: Vec<String> =
            lost.table.columns.iter().filter(|column| home.has_column(column)).cloned().collect();
        if common.is_empty() {
            return Ok(0);
        }
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let name = quote(&lost.table.name);
        let mut may_go: Vec<String> = lost
            .without_a_column()
            .iter()
            .map(|column| format!("{} IS NULL", quote(column)))
            .collect();
        may_go.extend(self.parents_aside(op, home, lost, aside)?);
        let may_go = if may_go.is_empty() {
            String::new()
        } else {
            format!(" AND {}", may_go.join(" AND "))
        };
        let select = format!("SELECT {number} FROM {name} WHERE {number} > ?1{may_go} ORDER BY {number} LIMIT {ROWS_AT_A_TIME}");
        let columns = list(&common, "");
        // By SQLite alone: a value arrives as it was, byte for byte.
        let insert = format!(
            "INSERT OR ABORT INTO {}({columns}) SELECT {columns} FROM {name} WHERE {number} = ?1",
            quote(&home.name)
        );
        let mut select = self.connection.prepare(&select).map_err(failed)?;
        let mut insert = self.connection.prepare(&insert).map_err(failed)?;
        let mut delete = self
            .connection
            .prepare(&format!("DELETE FROM {name} WHERE {number} = ?1"))
            .map_err(failed)?;
        let (mut after, mut went) = (i64::MIN, 0);
        loop {
            let rows: Vec<i64> = select
                .query_map([after], |row| row.get(0))
                .and_then(Iterator::collect)
                .map_err(failed)?;
            let Some(last) = rows.last() else { return Ok(went) };
            after = *last;
            for number in rows {
                if stop.load(Ordering::Relaxed) {
                    return Err(Failure::stopped(op));
                }
                match insert.execute([number]) {
                    Ok(_) => {
                        delete.execute([number]).map_err(failed)?;
                        went += 1;
                    }
                    Err(error) if class_of(&error) == Class::Failed => {}
                    Err(error) => return Err(failed(error)),
                }
            }
        }
    }

    /// Conditions under which every parent of a row is there, and none is put aside itself.
    fn parents_aside(
        &self,
        op: Op,
        home: &Table,
        lost: &LostRows,
        aside: &[LostRows],
    ) -> Result<Vec<String>, Failure> {
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let sql = "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq";
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let read =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let keys: Vec<(i64, String, String, Option<String>)> =
            statement.query_map([&home.name], read).and_then(Iterator::collect).map_err(failed)?;
        let ids: BTreeSet<i64> = keys.iter().map(|(id, ..)| *id).collect();
        let mut conditions = Vec::new();
        for id in ids {
            let parts: Vec<_> = keys.iter().filter(|(of, ..)| *of == id).collect();
            let Some((_, parent, ..)) = parts.first() else { continue };
            let from: Vec<String> = parts.iter().map(|(_, _, from, _)| from.clone()).collect();
            // A key that is deferred would fail at the end, for all rows.
            let there = self.table_named(op, parent)?;
            let to: Vec<String> = parts.iter().filter_map(|(_, _, _, to)| to.clone()).collect();
            let to = if to.len() == from.len() {
                to
            } else {
                there.map(|parent| parent.key).unwrap_or_default()
            };
            if to.len() == from.len() && from.iter().all(|column| lost.table.has_column(column)) {
                conditions.push(format!(
                    "coalesce(({}) IN (SELECT {} FROM {}), 1)",
                    list(&from, ""),
                    list(&to, ""),
                    quote(parent)
                ));
            }
            for other in aside.iter().filter(|other| other.home_name().eq_ignore_ascii_case(parent))
            {
                let own_key =
                    || other.home.as_ref().map(|home| home.key.clone()).unwrap_or_default();
                let to: Vec<String> = parts.iter().filter_map(|(_, _, _, to)| to.clone()).collect();
                let to = if to.len() == from.len() { to } else { own_key() };
                let known = |table: &Table, columns: &[String]| {
                    columns.iter().all(|column| table.has_column(column))
                };
                if to.len() == from.len() && known(&other.table, &to) && known(&lost.table, &from) {
                    let (from, to) = (list(&from, ""), list(&to, ""));
                    conditions.push(format!(
                        "coalesce(({from}) NOT IN (SELECT {to} FROM {}), 1)",
                        quote(&other.table.name)
                    ));
                }
            }
        }
        Ok(conditions)
    }
}

/// The table whose rows it has: of two tables `a` and `a_2`, that of `lost_a_2` is the second.
fn home_of(lost: &str, tables: &[Table]) -> Option<Table> {
    let name = lost.get(PREFIX.len()..)?;
    let named =
        |name: &str| tables.iter().find(|table| table.name.eq_ignore_ascii_case(name)).cloned();
    let without_number = || {
        name.rsplit_once('_')
            .filter(|(_, number)| number.parse::<u32>().is_ok_and(|number| number > 1))
    };
    named(name).or_else(|| without_number().and_then(|(name, _)| named(name)))
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
