//! Owns bringing rows from one open database into another, table by table, past pages that cannot
//! be read.
//! Promises: a value arrives as it was, byte for byte; a row that the other table refuses goes to a
//! table of its own.
//! Never changes the database that is read, and never believes that a page was the last one because
//! it was corrupt.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{params_from_iter, Row, Statement};

use crate::device::disk::Op;
use crate::device::sqlite::rows::{list, LostTable, Table};
use crate::device::sqlite::{class_of, class_of_reading, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

/// Gaps in one table after which the rest is not looked for: each costs up to 130 seeks.
const GAPS_MAX: u32 = 1000;

/// The least that a row takes in its page: a pointer of two bytes, its size, and its header.
const ROW_BYTES_MIN: u64 = 4;

/// What became of one table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowCounts {
    /// In the table.
    pub kept: u64,
    /// In the table for what it refused.
    pub aside: u64,
    /// Pages could not be read.
    pub unread: bool,
    /// Rows on pages that could be read, which themselves cannot.
    pub bad: u64,
    /// Its pages lead to each other, or to another table's: to count its rows might never end, and
    /// would say nothing.
    pub uncountable: bool,
    /// Rows that an index knows of, where pages could not be read.
    pub known: Option<u64>,
    /// Rows of pages that no tree leads to, among those that are in either.
    pub unreached: u64,
}

impl RowCounts {
    /// It may have had more rows than were read.
    pub fn is_partial(&self) -> bool {
        self.unread || self.bad > 0
    }
}

/// What stops a scan.
pub(super) enum Stopped {
    /// A corrupt page.
    Corrupt,
    /// More rows than the file has room for: its pages refer to each other, and would be read again
    /// and again.
    Endless,
    By(Box<Failure>),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Stopped {
        Stopped::By(Box::new(failure))
    }
}

/// Two open databases, and what ends the work between two rows.
pub struct Pour<'a> {
    /// Read.
    pub from: &'a Database,
    /// Written, inside a transaction.
    pub into: &'a Database,
    /// Raised by a stop signal.
    pub stop: &'a AtomicBool,
    /// For failures.
    pub op: Op,
}

impl Pour<'_> {
    /// Brings the rows of one table: into the table where `keep` says so, and what it refuses, or
    /// all of them, into `aside`.
    ///
    /// # Errors
    /// Interrupted; or as SQLite, but for corruption of what is read and refusals of single rows.
    pub fn pour(&self, table: &Table, keep: bool, aside: &LostTable) -> Result<RowCounts, Failure> {
        let _runs = self.from.watch.evaluates();
        let mut rows = Writer::new(self, table, keep, aside)?;
        let unread = match table.row_number {
            Some(number) => self.by_number(table, number, &mut |row| rows.write(row))?,
            None => self.by_key(table, &mut rows)?,
        };
        let mut poured = RowCounts { unread, ..rows.poured };
        // Where the table's pages lead to each other, an index is believed no more than they are.
        poured.uncountable = rows.left == 0;
        if unread && !poured.uncountable {
            poured.known = self.from.count_rows(self.op, table)?;
        }
        Ok(poured)
    }

    /// Ascending; after a corrupt page from the next row on that can be found and read. `true`:
    /// there was one.
    pub(super) fn by_number(
        &self,
        table: &Table,
        number: &str,
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), Stopped>,
    ) -> Result<bool, Failure> {
        let all = format!(
            "SELECT {} FROM {} WHERE {number} >= ?1 ORDER BY {number}",
            table.selected(),
            table.itself()
        );
        let one = format!("{all} LIMIT 1");
        let mut begin = i64::MIN;
        for _ in 0..GAPS_MAX {
            let mut last = None;
            match self.scan(&all, Some(begin), |row| {
                last = row.get(0).ok();
                each(row)
            }) {
                Ok(()) => return Ok(begin != i64::MIN),
                Err(Stopped::By(failure)) => return Err(*failure),
                Err(Stopped::Endless) => return Ok(true),
                Err(Stopped::Corrupt) => {}
            }
            let Some(after) = last.unwrap_or(begin).checked_add(i64::from(last.is_some())) else {
                return Ok(true);
            };
            match self.next_readable(&one, after)? {
                Some(next) => begin = next,
                None => return Ok(true),
            }
        }
        Ok(true)
    }

    /// The first row number from which a row can be read again: by doubling the distance, then
    /// halving the rest.
    fn next_readable(&self, one: &str, after: i64) -> Result<Option<i64>, Failure> {
        let readable = |begin: i64| match self.scan(one, Some(begin), |_| Ok(())) {
            Ok(()) => Ok(true),
            Err(Stopped::Corrupt | Stopped::Endless) => Ok(false),
            Err(Stopped::By(failure)) => Err(*failure),
        };
        // Below every row of a table that is numbered from 1.
        let base = after.max(0);
        let (mut bad, mut good) = (after, None);
        for power in 0..63u32 {
            let Some(there) = base.checked_add(1i64 << power) else { break };
            if readable(there)? {
                good = Some(there);
                break;
            }
            bad = there;
        }
        let Some(mut good) = good else { return Ok(None) };
        while good.saturating_sub(bad) > 1 {
            let middle = i64::midpoint(bad, good);
            if readable(middle)? {
                good = middle;
            } else {
                bad = middle;
            }
        }
        Ok(Some(good))
    }

    /// By the primary key, from the first row up to a corrupt page and from the last one down to
    /// it. A table whose columns have taken every name of the row number, and that has no key, is
    /// read in its own order, and nothing can be asked for behind that page.
    fn by_key(&self, table: &Table, rows: &mut Writer<'_>) -> Result<bool, Failure> {
        let directions: &[&str] = if table.key.is_empty() { &[""] } else { &["", " DESC"] };
        for direction in directions {
            let order = if table.key.is_empty() {
                String::new()
            } else {
                format!(" ORDER BY {}", list(&table.key, direction))
            };
            let sql = format!("SELECT {} FROM {}{order}", table.selected(), table.itself());
            match self.scan(&sql, None, |row| rows.write(row)) {
                Ok(()) => return Ok(!direction.is_empty()),
                Err(Stopped::By(failure)) => return Err(*failure),
                Err(Stopped::Endless) => return Ok(true),
                Err(Stopped::Corrupt) => {}
            }
        }
        Ok(true)
    }

    pub(super) fn scan(
        &self,
        sql: &str,
        begin: Option<i64>,
        mut each: impl FnMut(&Row<'_>) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let stopped = |error: rusqlite::Error| match class_of_reading(&error) {
            Class::Damaged => Stopped::Corrupt,
            _ => self.from.failure(self.op, &error).into(),
        };
        let mut statement = self.from.connection.prepare(sql).map_err(stopped)?;
        let mut rows = statement.query(params_from_iter(begin)).map_err(stopped)?;
        while let Some(row) = rows.next().map_err(stopped)? {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::new(Class::Interrupted, self.op, "a stop signal came").into());
            }
            each(row)?;
        }
        Ok(())
    }
}

/// The statements that take one table's rows.
pub(super) struct Writer<'a> {
    pour: &'a Pour<'a>,
    table: &'a Table,
    name: &'a LostTable,
    keep: Option<Statement<'a>>,
    aside: Option<Statement<'a>>,
    /// Rows that the file may have beside those written.
    left: u64,
    pub(super) poured: RowCounts,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        pour: &'a Pour<'a>,
        table: &'a Table,
        keep: bool,
        name: &'a LostTable,
    ) -> Result<Writer<'a>, Failure> {
        let keep = if keep {
            let number = table
                .row_number
                .filter(|_| !table.numbered_by_key)
                .map(|number| format!("{number}, "))
                .unwrap_or_default();
            let marks = vec!["?"; table.columns.len() + usize::from(!number.is_empty())].join(", ");
            // Whatever the table says of conflicts: one row must not take another one's place.
            let sql = format!(
                "INSERT OR ABORT INTO {}({number}{}) VALUES ({marks})",
                quote(&table.name),
                list(&table.columns, "")
            );
            Some(
                pour.into
                    .connection
                    .prepare(&sql)
                    .map_err(|error| pour.into.failure(pour.op, &error))?,
            )
        } else {
            None
        };
        let left = pour.from.bytes(pour.op)? / ROW_BYTES_MIN;
        Ok(Writer { pour, table, name, keep, aside: None, left, poured: RowCounts::default() })
    }

    pub(super) fn write(&mut self, row: &Row<'_>) -> Result<(), Stopped> {
        let pour = self.pour;
        let failed = |error: rusqlite::Error| Stopped::from(pour.into.failure(pour.op, &error));
        self.left = self.left.checked_sub(1).ok_or(Stopped::Endless)?;
        // The row number is selected first, and inserted only where no column has it.
        let first = usize::from(self.table.row_number.is_some());
        if let Some(keep) = &mut self.keep {
            let from = if self.table.numbered_by_key { first } else { 0 };
            match insert(keep, row, from) {
                Ok(()) => {
                    self.poured.kept += 1;
                    return Ok(());
                }
                Err(error) if class_of(&error) == Class::Failed => {}
                Err(error) => return Err(failed(error)),
            }
        }
        if self.aside.is_none() {
            pour.into.make_aside(self.table, self.name).map_err(failed)?;
            let marks = vec!["?"; self.table.columns.len()].join(", ");
            let sql = format!(
                "INSERT INTO {}({}) VALUES ({marks})",
                quote(&self.name.name),
                list(&self.table.columns, "")
            );
            self.aside = Some(pour.into.connection.prepare(&sql).map_err(failed)?);
        }
        if let Some(aside) = &mut self.aside {
            insert(aside, row, first).map_err(failed)?;
        }
        self.poured.aside += 1;
        Ok(())
    }
}

fn insert(statement: &mut Statement<'_>, row: &Row<'_>, from: usize) -> rusqlite::Result<()> {
    for parameter in 0..statement.parameter_count() {
        let value: ValueRef<'_> = row.get_ref(from + parameter)?;
        statement.raw_bind_parameter(parameter + 1, ToSqlOutput::Borrowed(value))?;
    }
    statement.raw_execute().map(drop)
}

#[cfg(test)]
#[path = "pour_tests.rs"]
mod tests;
