//! Owns comparing rows of a small table with those of a live one.
//! Promises: reads only; a value is compared with its type, and NULL with NULL.
//! Never reads a live table whole.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::device::disk::Op;
use crate::device::sqlite::rows::{all_of, list, Table};
use crate::device::sqlite::Database;
use crate::error::Failure;
use crate::lex::quote;

/// One row's values, in the order of the table's columns.
pub type Values = Vec<Value>;

impl Database {
    /// Every row of a table, for tables that are known to be small.
    ///
    /// # Errors
    /// As SQLite.
    pub fn rows(&self, op: Op, table: &Table) -> Result<Vec<Values>, Failure> {
        let read = || {
            let mut statement = self.connection.prepare(&format!(
                "SELECT {} FROM {}",
                list(&table.columns, ""),
                quote(&table.name)
            ))?;
            let rows = statement.query_map([], |row| {
                (0..table.columns.len()).map(|column| row.get(column)).collect()
            })?;
            rows.collect::<rusqlite::Result<Vec<Values>>>()
        };
        read().map_err(|error| self.failure(op, &error))
    }

    /// The table of the same name has all of these rows, apart from its row numbers.
    ///
    /// # Errors
    /// As SQLite.
    pub fn has_rows(&self, op: Op, table: &Table, rows: &[Values]) -> Result<bool, Failure> {
        let which: Vec<String> = (1..)
            .zip(&table.columns)
            .map(|(number, column)| format!("{} IS ?{number}", quote(column)))
            .collect();
        let read = || {
            let mut statement = self.connection.prepare(&format!(
                "SELECT 1 FROM {} WHERE {}",
                quote(&table.name),
                all_of(&which)
            ))?;
            for row in rows {
                if !statement.exists(params_from_iter(row))? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        read().map_err(|error| self.failure(op, &error))
    }
}
