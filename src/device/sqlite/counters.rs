//! Owns what a connection remembers of its last statement: `last_insert_rowid()` and `changes()`.
//! Promises: both are 0 afterwards, as on a new connection; no row and no object is changed.
//! Never begins a transaction that stays open.
#![allow(unsafe_code)] // A function of SQLite with one integer, which no safe library offers.

use rusqlite::ffi;

use crate::device::disk::Op;
use crate::device::sqlite::Database;
use crate::error::Failure;
use crate::lex::quote;

impl Database {
    /// Forgets the last row and how many the last statement changed.
    ///
    /// # Errors
    /// As SQLite.
    pub(super) fn forget_counters(&self, op: Op) -> Result<(), Failure> {
        if self.connection.changes() != 0 {
            self.change_nothing(op)?;
        }
        if self.connection.last_insert_rowid() != 0 {
            // SAFETY: the handle is that of an open connection, and stays open for this call.
            unsafe { ffi::sqlite3_set_last_insert_rowid(self.connection.handle(), 0) }
        }
        Ok(())
    }

    /// A statement that changes no row: of the history, or where there is none of a table that is
    /// made for it.
    fn change_nothing(&self, op: Op) -> Result<(), Failure> {
        let nothing = format!("DELETE FROM main.{} WHERE 0", quote(&self.history_table));
        if let Ok(mut statement) = self.connection.prepare(&nothing) {
            return statement.execute([]).map(drop).map_err(|error| self.failure(op, &error));
        }
        let table = "temp.bootmigrate_counters";
        self.run(op, &format!("CREATE TABLE {table}(n); DELETE FROM {table}; DROP TABLE {table}"))
    }
}
