//! Owns bringing rows from one open database into another, table by table, past pages that cannot be read.
//! Promises: a value arrives as it was, byte for byte; a row that the other table refuses goes to a table of its own.
//! Never changes the database that is read, and never believes that a page was the last one because it was corrupt.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{params_from_iter, OptionalExtension, Row, Statement};

use crate::device::disk::Step;
use crate::device::sqlite::{class_of, Database};
use crate::error::{Class, Failure};

/// Gaps in one table after which the rest is not looked for: each costs up to 130 seeks.
const GAPS_MAX: u32 = 1000;

/// An ordinary table: no view, not virtual, no shadow of a virtual one, not SQLite's, not a history's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Tables that its rows refer to.
    pub parents: Vec<String>,
    pub(super) columns: Vec<String>,
    /// Columns of the primary key, in its order.
    pub(super) key: Vec<String>,
    /// The index that is the table itself, where its rows are kept by their primary key.
    pub(super) own_index: Option<String>,
    /// What its row number can be called; `None` for a table without one.
    pub(super) row_number: Option<&'static str>,
    /// The row number is a column: it need not be brought by itself.
    pub(super) numbered_by_key: bool,
}

/// What became of one table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Poured {
    /// In the table.
    pub kept: u64,
    /// In the table for what it refused.
    pub aside: u64,
    /// Pages could not be read.
    pub unread: bool,
    /// Rows that an index knows of, where pages could not be read.
    pub known: Option<u64>,
}

/// Where rows go that a table does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Its name.
    pub name: String,
}

/// What stops: the reader met a corrupt page, or anything else.
pub(super) enum Stopped {
    Corrupt,
    By(Box<Failure>),
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
    pub step: Step,
}

pub(super) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

pub(super) fn list(names: &[String], ending: &str) -> String {
    names.iter().map(|name| format!("{}{ending}", quote(name))).collect::<Vec<_>>().join(", ")
}

impl Table {
    /// A table of which only the name is asked.
    pub fn named(name: String) -> Table {
        Table { name, parents: Vec::new(), columns: Vec::new(), key: Vec::new(), own_index: None, row_number: None, numbered_by_key: false }
    }

    /// The same columns, by name: at the same version they mean the same.
    pub fn has_the_columns_of(&self, other: &Table) -> bool {
        let has = |column: &String| self.columns.iter().any(|ours| ours.eq_ignore_ascii_case(column));
        self.columns.len() == other.columns.len() && other.columns.iter().all(has)
    }

    /// What tells its rows from each other, quoted; empty where that has no name.
    pub(super) fn key_columns(&self) -> Vec<String> {
        match (self.row_number, &self.own_index) {
            (Some(number), _) => vec![number.to_owned()],
            (None, Some(_)) => self.key.iter().map(|column| quote(column)).collect(),
            (None, None) if self.numbered_by_key => self.key.iter().map(|column| quote(column)).collect(),
            (None, None) => Vec::new(),
        }
    }

    /// As a source of rows: its own pages, never those of an index that has all of its columns.
    pub(super) fn itself(&self) -> String {
        match &self.own_index {
            // NOT INDEXED says nothing of such a table.
            Some(index) => format!("{} INDEXED BY {}", quote(&self.name), quote(index)),
            None => format!("{} NOT INDEXED", quote(&self.name)),
        }
    }

    /// Its rows are kept by their primary key (WITHOUT ROWID).
    pub(super) fn is_kept_by_key(&self) -> bool {
        self.own_index.is_some()
    }

    /// The column, by its place, that this part of the key is.
    pub(super) fn column_of_key(&self, key: &str) -> Option<usize> {
        let name = match (self.row_number == Some(key), self.numbered_by_key) {
            (true, true) => self.key.first().map(|column| quote(column))?,
            (true, false) => return None,
            (false, _) => key.to_owned(),
        };
        self.columns.iter().position(|column| quote(column).eq_ignore_ascii_case(&name))
    }

    /// It has a column of this name.
    pub(super) fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.eq_ignore_ascii_case(name))
    }

    pub(super) fn selected(&self) -> String {
        let number = self.row_number.map(|number| format!("{number}, ")).unwrap_or_default();
        format!("{number}{}", list(&self.columns, ""))
    }
}

impl Database {
    /// The ordinary tables, by name.
    ///
    /// # Errors
    /// As SQLite; damaged where the schema cannot be read.
    pub fn ordinary_tables(&self, step: Step, history_table: &str) -> Result<Vec<Table>, Failure> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name <> ?1 COLLATE NOCASE \
                   AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'bootmigrate\\_%' ESCAPE '\\' ORDER BY name";
        let read = || {
            let mut statement = self.connection.prepare(sql)?;
            let names = statement.query_map([history_table], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
            let shadows = self.shadow_names()?;
            let own = names.into_iter().filter(|name| !shadows.contains(&name.to_ascii_lowercase()));
            own.filter_map(|name| self.table(name).transpose()).collect::<rusqlite::Result<Vec<Table>>>()
        };
        read().map_err(|error: rusqlite::Error| self.failure(step, &error))
    }

    /// Every table with pages of its own, the histories and SQLite's included, but for shadows of virtual tables.
    ///
    /// # Errors
    /// As SQLite; damaged where the schema cannot be read.
    pub fn all_tables(&self, step: Step) -> Result<Vec<Table>, Failure> {
        let names = self.strings(step, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name")?;
        let shadows = self.shadow_names().map_err(|error| self.failure(step, &error))?;
        let own = names.into_iter().filter(|name| !shadows.contains(&name.to_ascii_lowercase()));
        let tables = own.filter_map(|name| self.table(name).transpose()).collect::<rusqlite::Result<Vec<Table>>>();
        tables.map_err(|error| self.failure(step, &error))
    }

    /// The table of this name.
    ///
    /// # Errors
    /// As SQLite.
    pub(super) fn table_named(&self, step: Step, name: &str) -> Result<Option<Table>, Failure> {
        self.table(name.to_owned()).map_err(|error| self.failure(step, &error))
    }

    /// `None` where it is no table, or a virtual one.
    pub(super) fn table(&self, name: String) -> rusqlite::Result<Option<Table>> {
        let sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 AND type IN ('table', 'shadow')";
        let Some(without_row_number) = self.connection.query_row(sql, [&name], |row| row.get::<_, bool>(0)).optional()? else {
            return Ok(None);
        };
        let sql = "SELECT name, upper(type), pk FROM pragma_table_xinfo(?1) WHERE hidden = 0";
        let mut statement = self.connection.prepare(sql)?;
        let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?));
        let found = statement.query_map([&name], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut key: Vec<&(String, String, i64)> = found.iter().filter(|(_, _, place)| *place > 0).collect();
        key.sort_by_key(|(_, _, place)| *place);
        let numbered_by_key = matches!(key.as_slice(), [(_, kind, _)] if kind == "INTEGER");
        let columns: Vec<String> = found.iter().map(|(column, ..)| column.clone()).collect();
        let free = |alias: &&str| !columns.iter().any(|column| column.eq_ignore_ascii_case(alias));
        let row_number = if without_row_number { None } else { ["rowid", "_rowid_", "oid"].into_iter().find(free) };
        let sql = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1)";
        let mut statement = self.connection.prepare(sql)?;
        let parents = statement.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let key = key.into_iter().map(|(column, ..)| column.clone()).collect();
        let own_index = if without_row_number {
            let sql = "SELECT name FROM pragma_index_list(?1) WHERE origin = 'pk'";
            self.connection.query_row(sql, [&name], |row| row.get(0)).optional()?
        } else {
            None
        };
        Ok(Some(Table { name, parents, columns, key, own_index, row_number, numbered_by_key }))
    }

    /// Rows of a table; `None` where it cannot be read.
    ///
    /// # Errors
    /// As SQLite, but for corruption.
    pub fn count_rows(&self, step: Step, table: &Table) -> Result<Option<u64>, Failure> {
        let sql = format!("SELECT count(*) FROM {}", quote(&table.name));
        match self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0)) {
            Ok(rows) => Ok(u64::try_from(rows).ok()),
            Err(error) if class_of(&error) == Class::Damaged => Ok(None),
            Err(error) => Err(self.failure(step, &error)),
        }
    }

    /// No trigger runs: what they would write is among the rows that are brought.
    ///
    /// # Errors
    /// As SQLite.
    pub fn triggers(&self, step: Step, on: bool) -> Result<(), Failure> {
        let set = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, on);
        set.map(drop).map_err(|error| self.failure(step, &error))
    }

    /// A name for rows that a table does not take, which no object has.
    ///
    /// # Errors
    /// As SQLite.
    pub fn aside(&self, step: Step, table: &str) -> Result<Aside, Failure> {
        // What an earlier time set aside keeps its name.
        let own = table.to_ascii_lowercase().starts_with("lost_");
        let base = if own { table.to_owned() } else { format!("lost_{table}") };
        let taken = self.strings(step, "SELECT lower(name) FROM sqlite_schema")?;
        let numbered = (2..=u32::MAX).map(|number| format!("{base}_{number}"));
        let free = |name: &String| !taken.contains(&name.to_ascii_lowercase());
        Ok(Aside { name: std::iter::once(base.clone()).chain(numbered).find(free).unwrap_or(base) })
    }

    /// Empties a table.
    ///
    /// # Errors
    /// As SQLite.
    pub fn empty(&self, step: Step, table: &Table) -> Result<(), Failure> {
        self.run(step, &format!("DELETE FROM {}", quote(&table.name)))
    }

    /// Takes the rows away that refer to nothing: into `aside` where there is one. How many.
    ///
    /// # Errors
    /// As SQLite.
    pub fn take_orphans(&self, step: Step, table: &Table, aside: Option<&Aside>) -> Result<u64, Failure> {
        let name = quote(&table.name);
        let failed = |error: rusqlite::Error| self.failure(step, &error);
        let mut statement = self.connection.prepare("SELECT DISTINCT rowid FROM pragma_foreign_key_check(?1)").map_err(failed)?;
        let rows = statement.query_map([&table.name], |row| row.get::<_, Option<i64>>(0)).map_err(failed)?;
        let rows = match rows.collect::<rusqlite::Result<Vec<Option<i64>>>>() {
            // Its parent has no key: SQLite cannot say, and verification will.
            Err(error) if class_of(&error) == Class::Failed => return Ok(0),
            rows => rows.map_err(failed)?,
        };
        if rows.is_empty() {
            return Ok(0);
        }
        if let Some(aside) = aside {
            self.make_aside(table, aside).map_err(failed)?;
        }
        let columns = list(&table.columns, "");
        let mut taken = 0;
        // A table without row numbers cannot say which: it goes as a whole.
        let whole = rows.iter().any(Option::is_none) || table.row_number.is_none();
        let which = table.row_number.filter(|_| !whole).map(|number| format!(" WHERE {number} = ?1")).unwrap_or_default();
        for row in if whole { vec![None] } else { rows } {
            if let Some(aside) = aside {
                let sql = format!("INSERT INTO {}({columns}) SELECT {columns} FROM {name}{which}", quote(&aside.name));
                self.connection.execute(&sql, params_from_iter(row)).map_err(failed)?;
            }
            let gone = self.connection.execute(&format!("DELETE FROM {name}{which}"), params_from_iter(row)).map_err(failed)?;
            taken += gone as u64;
        }
        Ok(taken)
    }

    pub(super) fn make_aside(&self, table: &Table, aside: &Aside) -> rusqlite::Result<()> {
        // No types: what is put aside is what was there, not what a column would make of it.
        let sql = format!("CREATE TABLE IF NOT EXISTS {}({})", quote(&aside.name), list(&table.columns, ""));
        self.connection.execute_batch(&sql)
    }

    /// What the header and AUTOINCREMENT remember beside the rows.
    ///
    /// # Errors
    /// As SQLite, but for corruption.
    pub fn take_numbers_of(&self, step: Step, old: &Database, header_too: bool) -> Result<(), Failure> {
        for pragma in ["application_id", "user_version"].into_iter().filter(|_| header_too) {
            let number: i64 =
                old.connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).map_err(|e| old.failure(step, &e))?;
            self.run(step, &format!("PRAGMA {pragma} = {number}"))?;
        }
        let counted = || {
            let mut statement = old.connection.prepare("SELECT name, seq FROM sqlite_sequence")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, i64)>>>()
        };
        // No AUTOINCREMENT, or no page of it to read: the rows themselves set the number then.
        for (name, number) in counted().unwrap_or_default() {
            let sql = "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1";
            if let Err(error) = self.connection.execute(sql, (name, number)) {
                log::debug!("sqlite_sequence: {error}.");
            }
        }
        Ok(())
    }
}

impl Pour<'_> {
    /// Brings the rows of one table: into the table where `keep` says so, and what it refuses, or all of them, into `aside`.
    ///
    /// # Errors
    /// Interrupted; or as SQLite, but for corruption of what is read and refusals of single rows.
    pub fn pour(&self, table: &Table, keep: bool, aside: &Aside) -> Result<Poured, Failure> {
        let mut rows = Writer::new(self, table, keep, aside)?;
        let read = match table.row_number {
            Some(number) => self.by_number(table, number, &mut |row| rows.write(row)),
            None => self.by_key(table, &mut rows),
        };
        let unread = if rows.most == 0 { true } else { read? };
        let mut poured = Poured { unread, ..rows.poured };
        if unread {
            poured.known = self.from.count_rows(self.step, table)?;
        }
        Ok(poured)
    }

    /// Ascending; after a corrupt page from the next row on that can be found and read. `true`: there was one.
    pub(super) fn by_number(
        &self,
        table: &Table,
        number: &str,
        each: &mut dyn FnMut(&Row<'_>) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let all = format!("SELECT {} FROM {} WHERE {number} >= ?1 ORDER BY {number}", table.selected(), table.itself());
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
                Err(Stopped::Corrupt) => {}
            }
            let Some(after) = last.unwrap_or(begin).checked_add(i64::from(last.is_some())) else { return Ok(true) };
            match self.next_readable(&one, after)? {
                Some(next) => begin = next,
                None => return Ok(true),
            }
        }
        Ok(true)
    }

    /// The first row number from which a row can be read again: by doubling the distance, then halving the rest.
    fn next_readable(&self, one: &str, after: i64) -> Result<Option<i64>, Failure> {
        let readable = |begin: i64| match self.scan(one, Some(begin), |_| Ok(())) {
            Ok(()) => Ok(true),
            Err(Stopped::Corrupt) => Ok(false),
            Err(Stopped::By(failure)) => Err(*failure),
        };
        let base = after.max(0); // Below every row of a table that is numbered from 1.
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

    /// By the primary key, from the first row up to a corrupt page and from the last one down to it. A table whose columns have taken
    /// every name of the row number, and that has no key, is read in its own order, and nothing can be asked for behind that page.
    fn by_key(&self, table: &Table, rows: &mut Writer<'_>) -> Result<bool, Failure> {
        let directions: &[&str] = if table.key.is_empty() { &[""] } else { &["", " DESC"] };
        for direction in directions {
            let order = if table.key.is_empty() { String::new() } else { format!(" ORDER BY {}", list(&table.key, direction)) };
            let sql = format!("SELECT {} FROM {}{order}", table.selected(), table.itself());
            match self.scan(&sql, None, |row| rows.write(row)) {
                Ok(()) => return Ok(!direction.is_empty()),
                Err(Stopped::By(failure)) => return Err(*failure),
                Err(Stopped::Corrupt) => {}
            }
        }
        Ok(true)
    }

    pub(super) fn scan(&self, sql: &str, begin: Option<i64>, mut each: impl FnMut(&Row<'_>) -> Result<(), Failure>) -> Result<(), Stopped> {
        let stopped = |error: rusqlite::Error| match class_of(&error) {
            Class::Damaged => Stopped::Corrupt,
            _ => Stopped::By(Box::new(self.from.failure(self.step, &error))),
        };
        let mut statement = self.from.connection.prepare(sql).map_err(stopped)?;
        let mut rows = statement.query(params_from_iter(begin)).map_err(stopped)?;
        while let Some(row) = rows.next().map_err(stopped)? {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Stopped::By(Box::new(Failure::new(Class::Interrupted, self.step, "a stop signal came"))));
            }
            each(row).map_err(|failure| Stopped::By(Box::new(failure)))?;
        }
        Ok(())
    }
}

/// The statements that take one table's rows.
pub(super) struct Writer<'a> {
    pour: &'a Pour<'a>,
    table: &'a Table,
    name: &'a Aside,
    keep: Option<Statement<'a>>,
    aside: Option<Statement<'a>>,
    /// Rows that the file has room for. Pages that refer to each other would be read for ever.
    most: u64,
    pub(super) poured: Poured,
}

impl<'a> Writer<'a> {
    pub(super) fn new(pour: &'a Pour<'a>, table: &'a Table, keep: bool, name: &'a Aside) -> Result<Writer<'a>, Failure> {
        let keep = if keep {
            let number = table.row_number.filter(|_| !table.numbered_by_key).map(|number| format!("{number}, ")).unwrap_or_default();
            let marks = vec!["?"; table.columns.len() + usize::from(!number.is_empty())].join(", ");
            // Whatever the table says of conflicts: one row must not take another one's place.
            let sql = format!("INSERT OR ABORT INTO {}({number}{}) VALUES ({marks})", quote(&table.name), list(&table.columns, ""));
            Some(pour.into.connection.prepare(&sql).map_err(|error| pour.into.failure(pour.step, &error))?)
        } else {
            None
        };
        // A row takes at least a pointer, two sizes and a header.
        let most = pour.from.bytes(pour.step)? / 4 + 1;
        Ok(Writer { pour, table, name, keep, aside: None, most, poured: Poured::default() })
    }

    pub(super) fn write(&mut self, row: &Row<'_>) -> Result<(), Failure> {
        let pour = self.pour;
        let failed = |error: rusqlite::Error| pour.into.failure(pour.step, &error);
        self.most = self.most.saturating_sub(1);
        if self.most == 0 {
            return Err(Failure::new(Class::Damaged, pour.step, "pages of a table refer to each other").at(&pour.from.path));
        }
        let first = usize::from(self.table.row_number.is_some()); // Selected first, and inserted only where no column has it.
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
            let sql = format!("INSERT INTO {}({}) VALUES ({marks})", quote(&self.name.name), list(&self.table.columns, ""));
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
#[path = "rows_tests.rs"]
mod tests;
