//! Owns asking whether another database has a row: those that only indexes know, and those that
//! were written since a copy was made.
//! Promises: a row is the same by its key, and by the values that are known of it; tables of
//! another key hold none.
//! Never writes to either.

use rusqlite::Statement;

use crate::device::disk::Op;
use crate::device::sqlite::entries::{IndexRows, FOUND};
use crate::device::sqlite::rows::{all_of, bind, first_truth, Table};
use crate::device::sqlite::{class_of, class_of_reading, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

impl IndexRows<'_> {
    /// How many of them this other database has, with the values that are known of them.
    ///
    /// # Errors
    /// As SQLite.
    pub fn held_by(&self, copy: &Database) -> Result<u64, Failure> {
        let Some(theirs) = copy.table_named(self.op, &self.table.name)? else { return Ok(0) };
        // Which they are is not known: as many as the table does not have, of those that their
        // index is about.
        let counted = self.counted.saturating_sub(self.absent);
        let about = self.counted_where.as_deref();
        let counted = if counted > 0 {
            copy.rows_not_in(self.op, &theirs, about, self.database, counted)?
        } else {
            0
        };
        let named = if self.kept() > 0 { self.named_by(copy, &theirs)? } else { 0 };
        Ok(named.saturating_add(counted))
    }

    /// Those that stand in the temporary table.
    fn named_by(&self, copy: &Database, theirs: &Table) -> Result<u64, Failure> {
        let mut held = 0;
        self.each_held(copy, theirs, &mut |_, _| {
            held += 1;
            Ok(())
        })?;
        Ok(held)
    }

    /// Those that another database has are no longer known to an index alone.
    ///
    /// # Errors
    /// As SQLite.
    pub fn forget_held_by(&mut self, copy: &Database) -> Result<(), Failure> {
        let theirs = copy.table_named(self.op, &self.table.name)?;
        let Some(theirs) = theirs.filter(|_| self.kept() > 0) else { return Ok(()) };
        let failed = |error: rusqlite::Error| self.store.failure(self.op, &error);
        let mut forget = self
            .store
            .connection
            .prepare(&format!("DELETE FROM {FOUND} WHERE rowid = ?1"))
            .map_err(failed)?;
        let (mut absent, mut other) = (0u64, 0u64);
        self.each_held(copy, &theirs, &mut |number, is_absent| {
            *(if is_absent { &mut absent } else { &mut other }) += 1;
            forget.execute([number]).map(drop).map_err(failed)
        })?;
        drop(forget);
        (self.absent, self.other) =
            (self.absent.saturating_sub(absent), self.other.saturating_sub(other));
        Ok(())
    }

    /// Their number in the temporary table, and whether the database that was read has no row of
    /// that key.
    fn each_held(
        &self,
        copy: &Database,
        theirs: &Table,
        each: &mut dyn FnMut(i64, bool) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let failed = |error: rusqlite::Error| self.store.failure(self.op, &error);
        let shared: Vec<(usize, &String)> = self
            .table
            .columns
            .iter()
            .enumerate()
            .filter(|(_, name)| theirs.has_column(name))
            .collect();
        let same = shared.iter().enumerate().map(|(at, (_, name))| {
            let mark = self.key.len() + at + 1;
            format!("(?{mark} IS NULL OR {} IS ?{mark} COLLATE BINARY)", quote(name))
        });
        let Some(mut ask) = copy.ask_by_key(self.op, theirs, &self.key, same)? else {
            return Ok(());
        };
        let keys = (0..self.key.len()).map(|at| format!("k{at}"));
        let columns: Vec<String> =
            keys.chain(shared.iter().map(|(at, _)| format!("v{at}"))).collect();
        let sql =
            format!("SELECT {}, rowid, absent FROM {FOUND} ORDER BY rowid", columns.join(", "));
        let mut statement = self.store.connection.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let there = bind(&mut ask, row, columns.len()).and_then(|()| first_truth(&mut ask));
            if there.map_err(|error| copy.failure(self.op, &error))?.is_some() {
                let read = || Ok((row.get(columns.len())?, row.get(columns.len() + 1)?));
                let (number, absent) = read().map_err(failed)?;
                each(number, absent)?;
            }
        }
        Ok(())
    }
}

impl Database {
    /// Rows of this table, by their key, that the other database does not have; counted up to
    /// `max`. With a condition, those of which it holds: none where it says nothing of this table.
    ///
    /// # Errors
    /// As SQLite, but for corruption of what is read.
    pub fn rows_not_in(
        &self,
        op: Op,
        table: &Table,
        about: Option<&str>,
        copy: &Database,
        max: u64,
    ) -> Result<u64, Failure> {
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let key = table.key_columns();
        let theirs = if key.is_empty() { None } else { copy.table_named(op, &table.name)? };
        let mut ask = match &theirs {
            Some(theirs) => copy.ask_by_key(op, theirs, &key, std::iter::empty())?,
            None => None,
        };
        let columns = if key.is_empty() { "1".to_owned() } else { key.join(", ") };
        let about_it =
            about.map_or_else(String::new, |condition| format!(" WHERE ({condition}\n)"));
        let mut statement = match self
            .connection
            .prepare(&format!("SELECT {columns} FROM {}{about_it}", table.itself()))
        {
            Err(error) if about.is_some() && class_of(&error) == Class::Failed => return Ok(0),
            prepared => prepared.map_err(failed)?,
        };
        let mut rows = statement.query([]).map_err(failed)?;
        let mut lacking = 0;
        while lacking < max {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                // What cannot be read is nobody's any more.
                Err(error) if class_of_reading(&error) == Class::Damaged => break,
                Err(error) => return Err(failed(error)),
            };
            let there = match &mut ask {
                Some(ask) => bind(ask, row, key.len())
                    .and_then(|()| first_truth(ask))
                    .map_err(|error| copy.failure(op, &error))?,
                None => None,
            };
            lacking += u64::from(there.is_none());
        }
        Ok(lacking)
    }

    /// A row where `table` has one with this key, of which all of this holds; `None` where its key
    /// is another.
    fn ask_by_key(
        &self,
        op: Op,
        table: &Table,
        key: &[String],
        holds: impl Iterator<Item = String>,
    ) -> Result<Option<Statement<'_>>, Failure> {
        let keys = key.iter().enumerate().map(|(at, key)| format!("{key} = ?{}", at + 1));
        let all: Vec<String> = keys.chain(holds).collect();
        match self.connection.prepare(&format!(
            "SELECT 1 FROM {} WHERE {}",
            table.itself(),
            all_of(&all)
        )) {
            Ok(ask) => Ok(Some(ask)),
            Err(error) if class_of(&error) == Class::Failed => Ok(None),
            Err(error) => Err(self.failure(op, &error)),
        }
    }
}
