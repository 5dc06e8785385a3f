//! Owns the questions asked of an open database: is it whole, do its references hold, what is its
//! schema.
//! Promises: what SQLite reports in rows is read from rows; an error of a check is told apart from
//! its answer.
//! Never changes a byte.

use std::collections::{BTreeMap, BTreeSet};

use crate::device::disk::Op;
use crate::device::sqlite::compile::{self, lossy, Compiled};
use crate::device::sqlite::errors::{is_an_objects, TEXT_BYTES_MAX};
use crate::device::sqlite::findings::{Checked, FindingKind, Findings, NamedTree};
use crate::device::sqlite::references::{self, References, Worse};
use crate::device::sqlite::schema::Schema;
use crate::device::sqlite::stand_ins::RELOAD;
use crate::device::sqlite::{describe, is_too_big, Database, Sqlite};
use crate::error::{Class, Failure};

/// Rows of a failed check that are shown; the rest is counted.
const ROWS_SHOWN_MAX: usize = 10;

/// The whole database, and the rows that a check may answer with: enough that broken rules of the
/// schema do not hide broken pages.
const EVERYTHING: &str = "1000";

/// What `integrity_check` says of a page that it could not read, and goes on; each is a line of a
/// row of many lines (SQLite 3.53, btree.c). The first has a result code behind it, which is an I/O
/// error if its low byte is SQLITE_IOERR; to read a page of a list fails for nothing else.
const PAGE_NOT_READ: &str = "unable to get the page. error code=";
const PAGE_OF_LIST_NOT_READ: &str = "failed to get page ";
/// Said of a pointer map that is damaged as well as of one that could not be read.
const MAP_NOT_READ: &str = "Failed to read ptrmap ";

/// The line that tells of an I/O error: it says nothing of what is on the disk.
fn unread(row: &str) -> Option<&str> {
    let failed = |line: &&str| match line.split_once(PAGE_NOT_READ) {
        Some((_, code)) => {
            code.parse::<i32>().is_ok_and(|code| code & 0xff == rusqlite::ffi::SQLITE_IOERR)
        }
        None => line.contains(PAGE_OF_LIST_NOT_READ),
    };
    row.lines().find(failed)
}

impl Database {
    /// `quick_check`: what it found wrong.
    ///
    /// # Errors
    /// As SQLite; damaged where the schema itself cannot be read.
    pub fn quick_check(&self, op: Op) -> Result<Findings, Failure> {
        self.check(op, "quick_check")
    }

    /// `integrity_check`, indexes included.
    ///
    /// # Errors
    /// As [`Database::quick_check`].
    pub fn integrity_check(&self, op: Op) -> Result<Findings, Failure> {
        self.check(op, "integrity_check")
    }

    fn check(&self, op: Op, pragma: &str) -> Result<Findings, Failure> {
        let _runs = self.watch.evaluates();
        let bytes = self.bytes(op)?;
        // An index is looked up row by row: without its pages at hand the file is read many times
        // over.
        self.cache(op, bytes)?;
        let before = self.bound_values(op, bytes)?;
        let findings = self.check_bounded(op, pragma);
        self.bound_values_again(op, before)?;
        findings
    }

    fn check_bounded(&self, op: Op, pragma: &str) -> Result<Findings, Failure> {
        let trees = self.trees(op)?;
        let mut checked = self.rows_of_check(pragma, EVERYTHING);
        if checked.as_ref().is_ok_and(|rows| rows.said.iter().any(|row| row.contains(MAP_NOT_READ)))
        {
            checked = self.rows_of_check(pragma, EVERYTHING);
        }
        let rows = match checked {
            // Something that only the application has, or a virtual table, stopped it: that says
            // nothing of the rest.
            Err(error) if is_an_objects(&error) => return self.check_by_object(op, pragma, &trees),
            Ok(Checked { stop: Some(error), .. }) if is_an_objects(&error) => {
                return self.check_by_object(op, pragma, &trees)
            }
            rows => rows.map_err(|error| self.failure(op, &error))?,
        };
        let mut findings = self.read_rows(op, pragma, &rows, &trees)?;
        if pragma == "integrity_check" && findings.has(FindingKind::Stopped) {
            findings = self.check_by_table(op, findings, &trees)?;
        }
        if findings.damage().next().is_some() {
            self.tell_virtual_tables(op, pragma, &mut findings)?;
        }
        if pragma == "integrity_check" && !findings.has(FindingKind::Stopped) {
            match self.partial_indexes_with_too_much(op) {
                Ok(indexes) => {
                    indexes.iter().for_each(|index| findings.add_too_many_entries(index))
                }
                // A virtual table that cannot be opened stands in the way of asking for tables; it
                // has been told of.
                Err(failure) if failure.class == Class::Damaged => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(findings)
    }

    /// What the rows mean; an error where one says that a page could not be read.
    pub(super) fn read_rows(
        &self,
        op: Op,
        pragma: &str,
        rows: &Checked,
        trees: &BTreeMap<i64, NamedTree>,
    ) -> Result<Findings, Failure> {
        if let Some(line) = rows.said.iter().find_map(|row| unread(row)) {
            return Err(Failure::new(
                Class::Storage,
                op,
                format!("{pragma} could not read a page: {line}"),
            )
            .at(&self.path));
        }
        let mut findings = Findings::default();
        rows.said.iter().for_each(|row| findings.add(row, trees));
        match &rows.stop {
            // By itself it is no damage: what is computed of a row may be as long.
            Some(error) if is_too_big(error) => {
                findings.add_of(FindingKind::NotChecked, "a row", &describe(error))
            }
            Some(error) => findings.add_stop(&describe(error)),
            None => {}
        }
        Ok(findings)
    }

    /// The check's rows, and the corruption that ended it; what was said before that counts.
    pub(super) fn rows_of_check(&self, pragma: &str, of: &str) -> rusqlite::Result<Checked> {
        let mut statement = self.connection.prepare(&format!("PRAGMA {pragma}({of})"))?;
        let mut rows = statement.query([])?;
        let mut said = Vec::new();
        loop {
            match rows.next() {
                Ok(Some(row)) => said.push(lossy(row, 0)?),
                Ok(None) => return Ok(Checked { said, stop: None }),
                // What was said before counts also where a row claims to be longer than anything
                // can be.
                Err(error) if super::class_of_reading(&error) == Class::Damaged => {
                    return Ok(Checked { said, stop: Some(error) })
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Tables and indexes by their root pages.
    fn trees(&self, op: Op) -> Result<BTreeMap<i64, NamedTree>, Failure> {
        let read = || {
            let mut statement = self.connection.prepare(
                "SELECT rootpage, name, type = 'index' FROM sqlite_schema WHERE typeof(rootpage) = \
                 'integer'",
            )?;
            let trees = statement.query_map([], |row| {
                Ok((row.get(0)?, NamedTree { name: lossy(row, 1)?, is_index: row.get(2)? }))
            })?;
            trees.collect::<rusqlite::Result<BTreeMap<i64, NamedTree>>>()
        };
        read().map_err(|error| self.failure(op, &error))
    }

    /// Every foreign key, and which rows violate it.
    ///
    /// # Errors
    /// As SQLite, but for errors of the schema, which are part of the answer.
    pub fn references(&self, op: Op) -> Result<References, Failure> {
        references::look(&self.connection).map_err(|error| self.failure(op, &error))
    }

    /// The rows that violate a foreign key and did not before, for an operator.
    ///
    /// # Errors
    /// As SQLite.
    pub fn violating_rows(&self, op: Op, worse: &Worse) -> Result<Vec<String>, Failure> {
        references::rows(&self.connection, &worse.violated, ROWS_SHOWN_MAX)
            .map_err(|error| self.failure(op, &error))
    }

    /// Every view, trigger and table, compiled.
    ///
    /// # Errors
    /// As SQLite, but for errors of the objects, which are part of the answer.
    pub fn compiled(&self, op: Op, sqlite: Sqlite<'_>) -> Result<Compiled, Failure> {
        self.fit(op)?;
        let empty = || sqlite.scratch(op).ok().map(|scratch| scratch.connection);
        compile::compile(&self.connection, &empty).map_err(|error| self.failure(op, &error))
    }

    /// Reads the schema from the file again, as whoever opens it next will.
    ///
    /// # Errors
    /// Damaged where it cannot be read; else as SQLite.
    pub fn read_schema_again(&self, op: Op) -> Result<(), Failure> {
        self.run(op, &format!("{RELOAD}; SELECT count(*) FROM main.sqlite_schema"))
    }

    /// The first row of a query that must return none, as text.
    ///
    /// # Errors
    /// As SQLite, with the class of a migration's own statement.
    pub fn first_row(&self, op: Op, query: &str) -> Result<Option<String>, Failure> {
        let read = || {
            let mut statement = self.connection.prepare(query)?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let values: Result<Vec<String>, _> =
                (0..columns).map(|column| row.get_ref(column).map(show)).collect();
            Ok(Some(values?.join(", ")))
        };
        let _timed = self.watch.statement();
        read().map_err(|error: rusqlite::Error| {
            self.timed_out(
                Failure::new(super::class_of(&error), op, self.describe(&error, query))
                    .code(super::extended_code(&error)),
            )
        })
    }

    /// The schema without the history and our own tables.
    ///
    /// # Errors
    /// As SQLite.
    pub fn schema(&self, op: Op, history_table: &str) -> Result<Schema, Failure> {
        self.not_too_heavy(op)?;
        Schema::read(&self.connection, history_table).map_err(|error| self.failure(op, &error))
    }

    /// The names of its tables, indexes, views and triggers, as [`Schema::objects`] writes them.
    ///
    /// # Errors
    /// As SQLite.
    pub fn objects(&self, op: Op) -> Result<BTreeSet<String>, Failure> {
        let names = self.strings(
            op,
            "SELECT type || ' ' || name FROM main.sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' \
             ESCAPE '\\'",
        )?;
        Ok(names.into_iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// A number that SQLite changes with every change of the schema; no two of one transaction that
    /// goes on are of different schemas.
    ///
    /// # Errors
    /// As SQLite.
    pub fn schema_cookie(&self, op: Op) -> Result<i64, Failure> {
        self.connection
            .query_row("PRAGMA main.schema_version", [], |row| row.get(0))
            .map_err(|error| self.failure(op, &error))
    }

    /// One column of text.
    ///
    /// # Errors
    /// As SQLite.
    pub fn texts(&self, op: Op, sql: &str) -> Result<Vec<String>, Failure> {
        self.strings(op, sql)
    }

    /// One column of text.
    pub(in crate::device) fn strings(&self, op: Op, sql: &str) -> Result<Vec<String>, Failure> {
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([], |row| lossy(row, 0))?;
            let mut bytes = 0;
            rows.take_while(|row| within(row, &mut bytes))
                .collect::<Result<Vec<String>, _>>()
                .map(|found| (found, bytes))
        };
        let (found, bytes) = read().map_err(|error| self.failure(op, &error))?;
        if bytes > TEXT_BYTES_MAX {
            return Err(self.too_long(op));
        }
        Ok(found)
    }
}

/// Adds a text to the bytes read so far; `false` from the one on that is too much.
fn within(row: &rusqlite::Result<String>, bytes: &mut usize) -> bool {
    *bytes = bytes.saturating_add(row.as_ref().map_or(0, String::len));
    *bytes <= TEXT_BYTES_MAX
}

fn show(value: rusqlite::types::ValueRef<'_>) -> String {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => format!("'{}'", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_could_not_be_read_is_no_damage() {
        let row =
            "*** in database main ***\nTree 4 page 4 cell 1: 2nd reference to page 5\nTree 2 page \
             2: unable to get the page. error code=";
        // SQLITE_IOERR_READ and SQLITE_IOERR_CORRUPTFS, which is what EIO becomes.
        assert_eq!(
            unread(&format!("{row}266")),
            Some("Tree 2 page 2: unable to get the page. error code=266")
        );
        assert!(unread(&format!("{row}8458\nPage 7: never used")).is_some());
        assert!(unread("*** in database main ***\nFreelist: failed to get page 9").is_some());
        assert_eq!(unread(&format!("{row}11")), None);
        assert_eq!(unread("Failed to read ptrmap key=3"), None);
        assert_eq!(unread("ok"), None);
    }
}
