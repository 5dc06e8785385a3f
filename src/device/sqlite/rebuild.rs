//! Owns rebuilding indexes, on a copy that nobody trusts yet.
//! Promises: reads tables only, so that a corrupt index page is never followed; what the schema
//! says is unchanged after it.
//! Never runs on the live file.

use crate::device::disk::Op;
use crate::device::sqlite::stand_ins::{read_with_stand_ins, vacuum};
use crate::device::sqlite::{class_of, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

impl Database {
    /// Forgets every index that has a text, rebuilds the others (of UNIQUE and PRIMARY KEY), makes
    /// the forgotten ones again from their text, and copies the tables into fresh pages, which
    /// leaves the corrupt ones behind.
    ///
    /// # Errors
    /// As SQLite; damaged where a table, or the index of a constraint, cannot be read.
    pub fn rebuild_indexes(&self, op: Op) -> Result<(), Failure> {
        let _runs = self.watch.evaluates();
        let texts = self.strings(
            op,
            "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL",
        )?;
        self.defensive(op, false)?;
        let forget = "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE type = 'index' \
                      AND sql IS NOT NULL; PRAGMA writable_schema = RESET";
        let forgotten = self.run(op, forget);
        self.defensive(op, true)?;
        forgotten?;
        // Rows that a UNIQUE index should have kept out, or an order that only the application has:
        // this repair cannot help, and the next one is asked.
        let not_by_this = |error: rusqlite::Error| {
            let mut failure = self.failure(op, &error);
            if class_of(&error) == Class::Failed {
                failure.class = Class::Damaged;
            }
            failure
        };
        let build = |sql: &str| self.connection.execute_batch(sql).map_err(not_by_this);
        build("REINDEX")?;
        texts.iter().try_for_each(|text| build(text))?;
        vacuum(&self.connection, "VACUUM").map_err(not_by_this)
    }

    /// Builds one index again from its table.
    ///
    /// # Errors
    /// As SQLite.
    pub fn reindex(&self, op: Op, index: &str) -> Result<(), Failure> {
        let _runs = self.watch.evaluates();
        self.run(op, &format!("REINDEX \"{}\"", index.replace('"', "\"\"")))
    }

    /// Reads every row of every table without an index.
    ///
    /// # Errors
    /// Damaged where a table cannot be read.
    pub fn read_all_tables(&self, op: Op) -> Result<(), Failure> {
        let _runs = self.watch.evaluates();
        let read = |from: &String| {
            let sql = format!("SELECT * FROM {from}");
            let read = || {
                let mut statement = self.connection.prepare(&sql)?;
                let mut rows = statement.query([])?;
                while rows.next()?.is_some() {}
                Ok(())
            };
            read_with_stand_ins(&self.connection, read).map(drop)
        };
        let names = self
            .strings(op, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")?;
        names.iter().try_for_each(|name| {
            let table = self.table_named(op, name)?;
            let from = table
                .map_or_else(|| format!("{} NOT INDEXED", quote(name)), |table| table.itself());
            read(&from).map_err(|error: rusqlite::Error| self.failure(op, &error))
        })
    }
}
