//! Owns the comparison of indexes with their tables: entries whose row is not in the table, and
//! what they tell of it.
//! Promises: each entry that can be read is looked up by its row's key and values; what could not
//! be compared is named.
//! Never writes to the database that is read: after a corrupt page its connection takes no write
//! any more, not even a temporary one.

mod indexes;

use std::sync::atomic::{AtomicBool, Ordering};

use self::indexes::Index;
use crate::device::disk::Op;
use crate::device::sqlite::findings::{Finding, FindingKind, Findings};
use crate::device::sqlite::rows::{all_of, bind, first_truth, list, LostTable, Table};
use crate::device::sqlite::{class_of_reading, is_out_of_memory, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

/// Rows of one table that only its indexes know, in a temporary database of their own.
pub struct IndexRows<'a> {
    pub(super) database: &'a Database,
    pub(super) store: Database,
    pub(super) table: &'a Table,
    pub(super) op: Op,
    pub(super) key: Vec<String>,
    /// Rows that are no longer in the table.
    pub absent: u64,
    /// Rows that have other values in the table.
    pub other: u64,
    /// Rows that are no longer in the table and that the index can only count.
    pub counted: u64,
    /// The condition of the index that counted them.
    pub(super) counted_where: Option<String>,
    /// Indexes whose entries could not all be compared, though they can be read.
    pub unproven: Vec<String>,
}

/// What a scan came to.
#[derive(Default)]
struct Read {
    entries: u64,
    /// Of them, those whose row is as they say.
    with_row: u64,
}

/// The table in the temporary database.
pub(super) const FOUND: &str = "found";

impl Database {
    /// Looks up every entry of every index of this table. `findings` are those of an
    /// `integrity_check`.
    ///
    /// # Errors
    /// Interrupted; or as SQLite, but for corruption.
    pub fn index_rows<'a>(
        &'a self,
        op: Op,
        table: &'a Table,
        findings: &Findings,
        stop: &AtomicBool,
    ) -> Result<IndexRows<'a>, Failure> {
        let _runs = self.watch.evaluates();
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let key = table.key_columns();
        let store = self.temporary(op)?;
        let (absent, other, counted, counted_where, unproven) = (0, 0, 0, None, Vec::new());
        let mut found = IndexRows {
            database: self,
            store,
            table,
            op,
            key,
            absent,
            other,
            counted,
            counted_where,
            unproven,
        };
        let indexes = self.indexes(table).map_err(failed)?;
        if indexes.is_empty() {
            return Ok(found);
        }
        found.make().map_err(failed)?;
        // The row number has no name: the rows cannot be told from each other. Or the order in
        // which they lie is not here.
        let told_apart = !found.key.is_empty()
            && table.own_index.as_ref().is_none_or(|own| findings.computes(own));
        for index in &indexes {
            if !told_apart || !findings.computes(&index.name) {
                found.not_compared(index)?;
                continue;
            }
            found.compare(index, findings, stop)?;
        }
        let count = format!(
            "SELECT count(*) FILTER (WHERE absent), count(*) FILTER (WHERE NOT absent) FROM {FOUND}"
        );
        let counted = found
            .store
            .connection
            .query_row(&count, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let (absent, other) = counted.map_err(failed)?;
        found.absent = u64::try_from(absent).unwrap_or(0);
        found.other = found.other.saturating_add(u64::try_from(other).unwrap_or(0));
        Ok(found)
    }

    /// Partial indexes with more entries than rows that they are about: the only fault of an index
    /// that `integrity_check` does not look for.
    ///
    /// # Errors
    /// As SQLite, but for corruption.
    pub(super) fn partial_indexes_with_too_much(&self, op: Op) -> Result<Vec<String>, Failure> {
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let mut found = Vec::new();
        // Most databases have no partial index, and reading every table's columns costs more than
        // the rest of the check.
        let with = "SELECT DISTINCT tbl_name FROM sqlite_schema WHERE type = 'index' AND sql LIKE \
                    '%where%'";
        let with = self.strings(op, with)?;
        if with.is_empty() {
            return Ok(found);
        }
        for table in self
            .all_tables(op)?
            .into_iter()
            .filter(|table| with.iter().any(|name| name.eq_ignore_ascii_case(&table.name)))
        {
            for index in self.indexes(&table).map_err(failed)? {
                let Some(condition) = &index.condition else { continue };
                let count =
                    |from: &str| format!("SELECT count(*) FROM {from} WHERE ({condition}\n)");
                let number = |sql: &str| match self
                    .connection
                    .query_row(sql, [], |row| row.get::<_, i64>(0))
                {
                    Ok(number) => Ok(Some(number)),
                    // What is corrupt has been said; what cannot be asked is compared where a
                    // repair needs it.
                    Err(error)
                        if matches!(class_of_reading(&error), Class::Damaged | Class::Failed) =>
                    {
                        Ok(None)
                    }
                    Err(error) => Err(failed(error)),
                };
                let scan = count(&index.of(&table));
                let scanned =
                    if self.passes_over(&table, &index, &scan) { None } else { number(&scan)? };
                let entries = if scanned.is_some() {
                    scanned
                } else {
                    self.entries_of(&index).map_err(failed)?
                };
                if entries.is_some() && entries > number(&count(&table.itself()))? {
                    found.push(index.name);
                }
            }
        }
        Ok(found)
    }
}

impl IndexRows<'_> {
    fn make(&self) -> rusqlite::Result<()> {
        let keys: Vec<String> =
            (0..self.key.len().max(1)).map(|number| format!("k{number}")).collect();
        let values: Vec<String> =
            (0..self.table.columns.len()).map(|number| format!(", v{number}")).collect();
        let sql = format!(
            "CREATE TABLE {FOUND}({}{}, absent, PRIMARY KEY({})); BEGIN",
            keys.join(", "),
            values.concat(),
            keys.join(", ")
        );
        self.store.connection.execute_batch(&sql)
    }

    /// Entries from the first on, and where a page is corrupt also from the last one down to it.
    fn compare(
        &mut self,
        index: &Index,
        findings: &Findings,
        stop: &AtomicBool,
    ) -> Result<(), Failure> {
        let keys = self.key.join(", ");
        let values: Vec<String> =
            index.columns.iter().map(|(_, column)| format!(", {column}")).collect();
        let condition =
            index.condition.as_ref().map(|text| format!(" WHERE ({text}\n)")).unwrap_or_default();
        let scan =
            format!("SELECT {keys}{} FROM {}{condition}", values.concat(), index.of(self.table));
        let mut read = Read::default();
        let passes_over = self.database.passes_over(self.table, index, &scan);
        match self.scan(index, &scan, stop, &mut read) {
            // Entries that it did not come to have no row.
            Ok(()) if passes_over => self
                .count(index, read.entries)
                .and_then(|()| self.computed_values(index, findings, read.with_row)),
            Ok(()) => self.computed_values(index, findings, read.with_row),
            Err(Stop::Corrupt) if passes_over => self.not_compared(index),
            Err(Stop::Corrupt) if index.computed => Ok(()),
            Err(Stop::Corrupt) => match self.scan(
                index,
                &format!("{scan} ORDER BY {}", index.backwards),
                stop,
                &mut read,
            ) {
                Ok(()) | Err(Stop::Corrupt) => Ok(()),
                Err(Stop::Refused) => self.not_compared(index),
                Err(Stop::By(failure)) => Err(*failure),
            },
            // Its condition is true of every row that the schema allows: SQLite sees no reason for
            // the index.
            Err(Stop::Refused) if index.condition.is_some() => {
                match self.fitting(index, findings)? {
                    Some(fitting) => self.count(index, fitting),
                    None => self.not_compared(index),
                }
            }
            Err(Stop::Refused) => self.not_compared(index),
            Err(Stop::By(failure)) => Err(*failure),
        }
    }

    /// All entries but these know something alone.
    fn count(&mut self, index: &Index, but: u64) -> Result<(), Failure> {
        match self
            .database
            .entries_of(index)
            .map_err(|error| self.database.failure(self.op, &error))?
        {
            Some(entries) => {
                let counted = u64::try_from(entries).unwrap_or(0).saturating_sub(but);
                if counted > self.counted {
                    (self.counted, self.counted_where) = (counted, index.condition.clone());
                }
                Ok(())
            }
            None => self.not_compared(index),
        }
    }

    fn not_compared(&mut self, index: &Index) -> Result<(), Failure> {
        // The table itself knows nothing alone.
        if self.table.own_index.as_ref() != Some(&index.name) {
            self.unproven.push(index.name.clone());
        }
        Ok(())
    }

    fn scan(
        &self,
        index: &Index,
        scan: &str,
        stop: &AtomicBool,
        read: &mut Read,
    ) -> Result<(), Stop> {
        let connection = &self.database.connection;
        let ended = |error: rusqlite::Error| match class_of_reading(&error) {
            Class::Damaged => Stop::Corrupt,
            Class::Failed => Stop::Refused,
            // What SQLite says of an entry that claims 2 GiB.
            _ if is_out_of_memory(&error) => Stop::Refused,
            _ => Stop::By(Box::new(self.database.failure(self.op, &error))),
        };
        let mut lookup = connection.prepare(&self.lookup(index)).map_err(ended)?;
        let full = |error: rusqlite::Error| Stop::By(Box::new(self.store.failure(self.op, &error)));
        let mut keep = self.store.connection.prepare(&self.keep(index)).map_err(full)?;
        let mut statement = connection.prepare(scan).map_err(ended)?;
        let mut rows = statement.query([]).map_err(ended)?;
        let width = self.key.len() + index.columns.len();
        while let Some(row) = rows.next().map_err(ended)? {
            if stop.load(Ordering::Relaxed) {
                return Err(Stop::By(Box::new(Failure::new(
                    Class::Interrupted,
                    self.op,
                    "a stop signal came",
                ))));
            }
            let same = match bind(&mut lookup, row, width).and_then(|()| first_truth(&mut lookup)) {
                // The page that the row should be on cannot be read: the index alone knows it.
                Err(error) if class_of_reading(&error) == Class::Damaged => None,
                other => other.map_err(ended)?,
            };
            read.entries += 1;
            if same == Some(true) {
                read.with_row += 1;
                continue;
            }
            let kept = bind(&mut keep, row, width)
                .and_then(|()| keep.raw_bind_parameter(width + 1, same.is_none()))
                .and_then(|()| keep.raw_execute());
            kept.map_err(full)?;
        }
        Ok(())
    }

    /// No row: there is none with this key. Else: does it have these values?
    fn lookup(&self, index: &Index) -> String {
        let keys: Vec<String> =
            self.key.iter().enumerate().map(|(at, key)| format!("{key} = ?{}", at + 1)).collect();
        let first = self.key.len() + 1;
        let mut same: Vec<String> = index
            .columns
            .iter()
            .enumerate()
            .map(|(at, (_, column))| format!("{column} IS ?{} COLLATE BINARY", first + at))
            .chain(
                self.key
                    .iter()
                    .enumerate()
                    .map(|(at, key)| format!("{key} IS ?{} COLLATE BINARY", at + 1)),
            )
            .collect();
        same.extend(index.condition.as_ref().map(|text| format!("coalesce(({text}\n), 0) <> 0")));
        format!("SELECT {} FROM {} WHERE {}", all_of(&same), self.table.itself(), all_of(&keys))
    }

    /// What several indexes know of one row comes together.
    fn keep(&self, index: &Index) -> String {
        let first = self.key.len() + 1;
        let keys: Vec<String> = (0..self.key.len()).map(|at| format!("k{at}")).collect();
        let (mut names, mut marks) =
            (keys.clone(), (1..first).map(|mark| format!("?{mark}")).collect::<Vec<_>>());
        let mut set = Vec::new();
        for (at, (column, _)) in index.columns.iter().enumerate() {
            if names.contains(&format!("v{column}")) {
                continue;
            }
            names.push(format!("v{column}"));
            marks.push(format!("?{}", first + at));
            set.push(format!("v{column} = excluded.v{column}"));
        }
        names.push("absent".to_owned());
        marks.push(format!("?{}", first + index.columns.len()));
        set.push("absent = absent OR excluded.absent".to_owned());
        let (names, marks, keys, set) =
            (names.join(", "), marks.join(", "), keys.join(", "), set.join(", "));
        format!(
            "INSERT INTO {FOUND}({names}) VALUES ({marks}) ON CONFLICT({keys}) DO UPDATE SET {set}"
        )
    }

    /// An entry whose expression has another value than its row's is counted: what is left of the
    /// entries has no row.
    fn computed_values(
        &mut self,
        index: &Index,
        findings: &Findings,
        with_row: u64,
    ) -> Result<(), Failure> {
        if index.computed {
            // Where the rows cannot be counted it is not only the index that is damaged.
            let fitting = self.fitting(index, findings)?.unwrap_or(with_row);
            self.other = self.other.saturating_add(with_row.saturating_sub(fitting));
        }
        Ok(())
    }

    /// Rows with an equal entry: all that the index is about, but for those that the check misses
    /// in it.
    fn fitting(&self, index: &Index, findings: &Findings) -> Result<Option<u64>, Failure> {
        let missing = |finding: &&Finding| {
            finding.object.as_deref() == Some(&index.name) && finding.text.starts_with("row ")
        };
        let missing = findings.of(FindingKind::Index).filter(missing).count() as u64;
        let condition =
            index.condition.as_ref().map(|text| format!(" WHERE ({text}\n)")).unwrap_or_default();
        let count = format!("SELECT count(*) FROM {}{condition}", self.table.itself());
        match self.database.connection.query_row(&count, [], |row| row.get::<_, i64>(0)) {
            Ok(rows) => Ok(Some(u64::try_from(rows).unwrap_or(0).saturating_sub(missing))),
            Err(error) if matches!(class_of_reading(&error), Class::Damaged | Class::Failed) => {
                Ok(None)
            }
            Err(error) => Err(self.database.failure(self.op, &error)),
        }
    }

    /// Whose rows they are.
    pub fn table_name(&self) -> &str {
        &self.table.name
    }

    /// Rows that only indexes know.
    pub fn total(&self) -> u64 {
        self.absent.saturating_add(self.other).saturating_add(self.counted)
    }

    /// How many of them stand in the temporary table.
    pub(super) fn kept(&self) -> u64 {
        if self.key.is_empty() {
            0
        } else {
            self.absent.saturating_add(self.other)
        }
    }

    /// Puts them into `aside` of another database, or of this one: the columns that indexes have.
    ///
    /// # Errors
    /// As SQLite.
    pub fn put_aside(&self, into: &Database, aside: &LostTable) -> Result<(), Failure> {
        if self.kept() == 0 {
            return Ok(());
        }
        let failed = |error: rusqlite::Error| into.failure(self.op, &error);
        into.make_aside(self.table, aside).map_err(failed)?;
        let marks = vec!["?"; self.table.columns.len()].join(", ");
        let insert = format!(
            "INSERT INTO {}({}) VALUES ({marks})",
            quote(&aside.name),
            list(&self.table.columns, "")
        );
        let mut insert = into.connection.prepare(&insert).map_err(failed)?;
        let values: Vec<String> = (0..self.table.columns.len()).map(|at| self.value(at)).collect();
        let mut statement = self
            .store
            .connection
            .prepare(&format!("SELECT {} FROM {FOUND}", values.join(", ")))
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            bind(&mut insert, row, values.len())
                .and_then(|()| insert.raw_execute())
                .map_err(failed)?;
        }
        Ok(())
    }

    /// A column that belongs to the key is known though no index has it.
    fn value(&self, at: usize) -> String {
        let own = |key: &String| self.table.column_of_key(key).is_some_and(|column| column == at);
        match self.key.iter().position(own) {
            Some(key) => format!("k{key}"),
            None => format!("v{at}"),
        }
    }
}

/// What stops a scan.
enum Stop {
    /// A corrupt page.
    Corrupt,
    /// SQLite has no way to ask this index alone.
    Refused,
    By(Box<Failure>),
}

#[cfg(test)]
#[path = "entries_tests.rs"]
mod tests;
