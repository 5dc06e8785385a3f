//! Owns building indexes anew, on a copy that nobody trusts yet.
//! Promises: reads tables only, so that a corrupt index page is never followed; what the schema says is unchanged after it.
//! Never runs on the live file.

use rusqlite::config::DbConfig;

use crate::device::disk::Step;
use crate::device::sqlite::{class_of, Database};
use crate::error::{Class, Failure};

impl Database {
    /// Forgets every index that has a text, builds the others (of UNIQUE and PRIMARY KEY) anew, makes the forgotten ones
    /// again from their text, and copies the tables into fresh pages, which leaves the corrupt ones behind.
    ///
    /// # Errors
    /// As SQLite; damaged where a table, or the index of a constraint, cannot be read.
    pub fn rebuild_indexes(&self, step: Step) -> Result<(), Failure> {
        let texts = self.strings(step, "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")?;
        let defensive =
            |on| self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, on).map_err(|error| self.failure(step, &error));
        defensive(false)?;
        let forget = "PRAGMA writable_schema = ON; \
                      DELETE FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL; \
                      PRAGMA writable_schema = RESET";
        let forgotten = self.run(step, forget);
        defensive(true)?;
        forgotten?;
        // Rows that a UNIQUE index should have kept out: this cure cannot help, and the next one is asked.
        let build = |sql: &str| {
            self.connection.execute_batch(sql).map_err(|error| {
                let mut failure = self.failure(step, &error);
                if class_of(&error) == Class::Failed {
                    failure.class = Class::Damaged;
                }
                failure
            })
        };
        build("REINDEX")?;
        texts.iter().try_for_each(|text| build(text))?;
        self.run(step, "VACUUM")
    }

    /// Reads every row of every table without an index.
    ///
    /// # Errors
    /// Damaged where a table cannot be read.
    pub fn read_all_tables(&self, step: Step) -> Result<(), Failure> {
        let tables = self.strings(step, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")?;
        let read = |table: &String| {
            let sql = format!("SELECT * FROM \"{}\" NOT INDEXED", table.replace('"', "\"\""));
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        tables.iter().try_for_each(|table| read(table).map_err(|error: rusqlite::Error| self.failure(step, &error)))
    }
}
