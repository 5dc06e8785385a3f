//! Owns the questions asked of an open database: is it whole, do its references hold, what is its schema.
//! Promises: what SQLite reports in rows is read from rows; an error of a check is told apart from its answer.
//! Never changes a byte.

use std::collections::{BTreeMap, BTreeSet};

use crate::device::disk::Step;
use crate::device::sqlite::findings::{Findings, Tree};
use crate::device::sqlite::{describe, Database};
use crate::error::{Class, Failure};

/// Rows of a failed check that are shown; the rest is counted.
const ROWS_SHOWN_MAX: usize = 10;

/// Rows that a check may answer with: enough that broken rules of the schema do not hide broken pages.
const ROWS_CHECKED_MAX: usize = 1000;

/// What `integrity_check` says of a page that it could not read, and goes on; each is a line of a row of many lines (SQLite
/// 3.53, btree.c). The first has a result code behind it, which is an I/O error if its low byte is SQLITE_IOERR; to read a page
/// of a list fails for nothing else.
const PAGE_NOT_READ: &str = "unable to get the page. error code=";
const PAGE_OF_LIST_NOT_READ: &str = "failed to get page ";
/// Said of a pointer map that is damaged as well as of one that could not be read.
const MAP_NOT_READ: &str = "Failed to read ptrmap ";

/// The line that tells of an I/O error: it says nothing of what is on the disk.
fn unread(row: &str) -> Option<&str> {
    let failed = |line: &&str| match line.split_once(PAGE_NOT_READ) {
        Some((_, code)) => code.parse::<i32>().is_ok_and(|code| code & 0xff == rusqlite::ffi::SQLITE_IOERR),
        None => line.contains(PAGE_OF_LIST_NOT_READ),
    };
    row.lines().find(failed)
}

/// Something that is wrong with a product's migrations, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(pub String);

/// Violated references by (table, parent): how many rows. Never by rowid, since a rebuild moves them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignKeys {
    counts: BTreeMap<(String, String), u64>,
    tables: BTreeSet<String>,
    /// What `foreign_key_check` itself said instead of an answer.
    error: Option<String>,
}

impl Database {
    /// `quick_check`: what it found wrong.
    ///
    /// # Errors
    /// As SQLite; damaged where the schema itself cannot be read.
    pub fn quick_check(&self, step: Step) -> Result<Findings, Failure> {
        self.check(step, "quick_check")
    }

    /// `integrity_check`, indexes included.
    ///
    /// # Errors
    /// As [`Database::quick_check`].
    pub fn integrity_check(&self, step: Step) -> Result<Findings, Failure> {
        self.check(step, "integrity_check")
    }

    fn check(&self, step: Step, pragma: &str) -> Result<Findings, Failure> {
        let trees = self.trees(step)?;
        let mut checked = self.rows_of_check(step, pragma)?;
        if checked.0.iter().any(|row| row.contains(MAP_NOT_READ)) {
            checked = self.rows_of_check(step, pragma)?;
        }
        let (rows, stopped) = checked;
        if let Some(line) = rows.iter().find_map(|row| unread(row)) {
            return Err(Failure::new(Class::Storage, step, format!("{pragma} could not read a page: {line}")).at(&self.path));
        }
        let mut findings = Findings::default();
        rows.iter().for_each(|row| findings.add(row, &trees));
        if let Some(cause) = stopped {
            findings.add_stop(&cause);
        }
        Ok(findings)
    }

    /// The check's rows, and the corruption that ended it; what was said before that counts.
    fn rows_of_check(&self, step: Step, pragma: &str) -> Result<(Vec<String>, Option<String>), Failure> {
        let failed = |error: rusqlite::Error| self.failure(step, &error);
        let mut statement = self.connection.prepare(&format!("PRAGMA {pragma}({ROWS_CHECKED_MAX})")).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut said = Vec::new();
        loop {
            match rows.next() {
                Ok(Some(row)) => said.push(lossy(row, 0).map_err(failed)?),
                Ok(None) => return Ok((said, None)),
                Err(error) if super::class_of(&error) == Class::Damaged => return Ok((said, Some(describe(&error)))),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Tables and indexes by their root pages.
    fn trees(&self, step: Step) -> Result<BTreeMap<i64, Tree>, Failure> {
        let read = || {
            let mut statement =
                self.connection.prepare("SELECT rootpage, name, type = 'index' FROM sqlite_schema WHERE typeof(rootpage) = 'integer'")?;
            let trees = statement.query_map([], |row| Ok((row.get(0)?, Tree { name: lossy(row, 1)?, is_index: row.get(2)? })))?;
            trees.collect::<rusqlite::Result<BTreeMap<i64, Tree>>>()
        };
        read().map_err(|error| self.failure(step, &error))
    }

    /// Which references do not hold.
    ///
    /// # Errors
    /// As SQLite, but for errors of the schema, which are part of the answer.
    pub fn foreign_keys(&self, step: Step) -> Result<ForeignKeys, Failure> {
        let tables = self.strings(step, "SELECT name FROM sqlite_schema WHERE type = 'table'")?.into_iter().collect();
        let sql = "SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2";
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([], |row| Ok(((lossy(row, 0)?, lossy(row, 1)?), row.get::<_, i64>(2)?)))?;
            rows.map(|row| row.map(|(pair, count)| (pair, u64::try_from(count).unwrap_or(0)))).collect::<Result<_, _>>()
        };
        match read() {
            Ok(counts) => Ok(ForeignKeys { counts, tables, error: None }),
            Err(error) if super::class_of(&error) == Class::Failed => {
                Ok(ForeignKeys { error: Some(describe(&error)), tables, ..ForeignKeys::default() })
            }
            Err(error) => Err(self.failure(step, &error)),
        }
    }

    /// The rows behind a violation, for a person: `reading rowid 17 names no row of sensor`.
    ///
    /// # Errors
    /// As SQLite.
    pub fn foreign_key_rows(&self, step: Step, tables: &[String]) -> Result<Vec<String>, Failure> {
        let sql = "SELECT \"table\" || ' rowid ' || coalesce(rowid, '(none)') || ' names no row of ' || coalesce(parent, '?'), \"table\" \
                   FROM pragma_foreign_key_check";
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            let (mut shown, mut more) = (Vec::new(), 0u64);
            while let Some(row) = rows.next()? {
                if !tables.contains(&lossy(row, 1)?) {
                    continue;
                }
                if shown.len() < ROWS_SHOWN_MAX {
                    shown.push(lossy(row, 0)?);
                } else {
                    more += 1;
                }
            }
            if more > 0 {
                shown.push(format!("and {more} more"));
            }
            Ok(shown)
        };
        read().map_err(|error| self.failure(step, &error))
    }

    /// The first row of a query that must return none, as text.
    ///
    /// # Errors
    /// As SQLite, with the class of a migration's own statement.
    pub fn first_row(&self, step: Step, query: &str) -> Result<Option<String>, Failure> {
        let read = || {
            let mut statement = self.connection.prepare(query)?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let values: Result<Vec<String>, _> = (0..columns).map(|column| row.get_ref(column).map(show)).collect();
            Ok(Some(values?.join(", ")))
        };
        read().map_err(|error: rusqlite::Error| {
            Failure::new(super::class_of(&error), step, describe(&error)).code(super::extended_code(&error))
        })
    }

    /// The schema, an entry an object with its text and an entry a column, without SQLite's tables, the history and ours.
    ///
    /// # Errors
    /// As SQLite.
    pub fn schema(&self, step: Step, history_table: &str) -> Result<BTreeSet<String>, Failure> {
        let sql = "WITH ours AS (SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                   AND tbl_name NOT LIKE 'bootmigrate\\_%' ESCAPE '\\' AND tbl_name <> ?1) \
                   SELECT type || ' ' || name || ' on ' || tbl_name || ': ' || coalesce(sql, '') FROM ours UNION \
                   SELECT 'column ' || t.name || '.' || c.name || ': ' FROM ours t, pragma_table_xinfo(t.name) c WHERE t.type = 'table'";
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([history_table], |row| lossy(row, 0))?;
            rows.collect::<Result<BTreeSet<String>, _>>()
        };
        read().map_err(|error| self.failure(step, &error))
    }

    /// One column of text.
    ///
    /// # Errors
    /// As SQLite.
    pub fn texts(&self, step: Step, sql: &str) -> Result<Vec<String>, Failure> {
        self.strings(step, sql)
    }

    /// One column of text.
    pub(in crate::device) fn strings(&self, step: Step, sql: &str) -> Result<Vec<String>, Failure> {
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([], |row| lossy(row, 0))?;
            rows.collect::<Result<Vec<String>, _>>()
        };
        read().map_err(|error| self.failure(step, &error))
    }
}

impl ForeignKeys {
    /// Pairs (table, parent) with more violations now than before, and an error of the check that was not there before.
    /// A table that was renamed is looked up under its old name too.
    pub fn worse_than(&self, before: &ForeignKeys) -> Worse {
        let gone = |table: &String| !self.tables.contains(table);
        let allowed = |(table, parent): &(String, String)| {
            let same = |old: &String, new: &String| old == new || gone(old);
            let matching = before.counts.iter().filter(|((t, p), _)| same(t, table) && same(p, parent));
            matching.map(|(_, count)| *count).max().unwrap_or(0)
        };
        let tables = self.counts.iter().filter(|(pair, count)| **count > allowed(pair)).map(|(pair, _)| pair.0.clone()).collect();
        let error = if before.error.is_none() { self.error.clone() } else { None };
        Worse { tables, error }
    }
}

/// What got worse between two looks at the foreign keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worse {
    /// Child tables with more violations.
    pub tables: Vec<String>,
    /// What the check itself said now and did not say before.
    pub error: Option<String>,
}

/// A harmed schema may have names that are not UTF-8: no reason to stop, and none to panic.
fn lossy(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<String> {
    let bytes = row.get_ref(column)?.as_bytes_or_null().ok().flatten().unwrap_or_default();
    Ok(String::from_utf8_lossy(bytes).into_owned())
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
            "*** in database main ***\nTree 4 page 4 cell 1: 2nd reference to page 5\nTree 2 page 2: unable to get the page. error code=";
        // SQLITE_IOERR_READ and SQLITE_IOERR_CORRUPTFS, which is what EIO becomes.
        assert_eq!(unread(&format!("{row}266")), Some("Tree 2 page 2: unable to get the page. error code=266"));
        assert!(unread(&format!("{row}8458\nPage 7: never used")).is_some());
        assert!(unread("*** in database main ***\nFreelist: failed to get page 9").is_some());
        assert_eq!(unread(&format!("{row}11")), None);
        assert_eq!(unread("Failed to read ptrmap key=3"), None);
        assert_eq!(unread("ok"), None);
    }
}
