//! Owns how little a connection believes of the file that it is open on: no trusted schema, no
//! writes to what is SQLite's own, bounds.
//! Promises: every connection to a file is set so before its first statement; those that run
//! migrations, more.
//! Never turned off but for the moment in which a virtual table's own tables are written.

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::Connection;

use super::Database;
use crate::device::disk::Op;
use crate::device::memory::{for_a_value, holds_temporary_data};
use crate::error::Failure;

/// What a statement may be, a stranger's schema included: SQLite's own bounds where a product may
/// need them, less where nothing of ours comes near.
const BOUNDS: [(Limit, i32); 5] = [
    // A migration's whole file is handed over.
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 64 << 20),
    // VACUUM needs the one.
    (Limit::SQLITE_LIMIT_ATTACHED, 1),
    // A row of 2,000 columns, which is SQLite's bound for them.
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 4_000),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 1_000),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 1_000),
];

pub(super) fn bound(connection: &Connection) -> rusqlite::Result<()> {
    BOUNDS.iter().try_for_each(|(limit, value)| connection.set_limit(*limit, *value).map(drop))
}

impl Database {
    /// What every connection to a file is set to: a schema of a stranger's runs nothing of ours
    /// that has an effect, and cannot write what is SQLite's own.
    pub(super) fn harden(&self, op: Op) -> Result<(), Failure> {
        let configure = |option, on| self.connection.set_db_config(option, on).map(drop);
        let hardened = configure(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)
            .and_then(|()| configure(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false));
        hardened.map_err(|error| self.failure(op, &error))
    }

    /// What every connection that runs migrations is set to.
    pub(super) fn distrust(&self, op: Op) -> Result<(), Failure> {
        let configure = |option, on| self.connection.set_db_config(option, on).map(drop);
        self.harden(op)?;
        configure(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)
            .map_err(|error| self.failure(op, &error))
    }

    pub(super) fn protect(&mut self, op: Op, size: u64) -> Result<(), Failure> {
        self.distrust(op)?;
        if holds_temporary_data(size) {
            self.run(op, "PRAGMA temp_store = MEMORY")?;
        }
        Ok(())
    }

    /// A cell that reaches out of its page is told before anything is changed. Never where rows are
    /// saved from a damaged file: a page that has such a cell keeps its other rows.
    pub(super) fn check_cells(&self, op: Op) -> Result<(), Failure> {
        self.run(op, "PRAGMA cell_size_check = ON")
    }

    /// A row that claims to be much longer than the file is no reason to ask for memory. Only for
    /// reading: what is computed of a row may be longer than the file. Answers with the bound
    /// before.
    ///
    /// # Errors
    /// As SQLite.
    pub fn bound_values(&self, op: Op, file_bytes: u64) -> Result<i32, Failure> {
        // A WAL may have more pages than the file.
        let bytes = self.bytes(op).unwrap_or(0).max(file_bytes).saturating_add(for_a_value());
        self.bound_values_again(op, i32::try_from(bytes).unwrap_or(i32::MAX))
    }

    /// Back to what [`Database::bound_values`] has answered.
    ///
    /// # Errors
    /// As SQLite.
    pub fn bound_values_again(&self, op: Op, bytes: i32) -> Result<i32, Failure> {
        self.connection
            .set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes)
            .map_err(|error| self.failure(op, &error))
    }

    /// No statement can write what is SQLite's or a virtual table's own.
    ///
    /// # Errors
    /// As SQLite.
    pub fn defensive(&self, op: Op, on: bool) -> Result<(), Failure> {
        let set = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, on);
        set.map(drop).map_err(|error| self.failure(op, &error))
    }
}
