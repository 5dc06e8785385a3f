//! Owns bringing the rows of a virtual table that keeps them itself: text of a full-text index,
//! boxes of an R*Tree, rows of any module.
//! Promises: a row that can be read arrives with its number; what a broken index says is not asked
//! for.
//! Never changes the database that is read.

use rusqlite::Row;

use crate::device::disk::Op;
use crate::device::sqlite::compile::lossy;
use crate::device::sqlite::pour::{Pour, RowCounts, Stopped, Writer};
use crate::device::sqlite::rows::{LostTable, Table};
use crate::device::sqlite::virtual_tables::{Content, VirtualTable};
use crate::device::sqlite::Database;
use crate::error::Failure;

impl Pour<'_> {
    /// Brings what a virtual table keeps itself. `keep`: into the same virtual table, whose index
    /// must be built again after it where its content is [`Content::Own`]; else all of it goes
    /// aside.
    ///
    /// # Errors
    /// As [`Pour::pour`].
    pub fn pour_virtual(
        &self,
        table: &VirtualTable,
        keep: bool,
        aside: &LostTable,
    ) -> Result<RowCounts, Failure> {
        let shadow = |ending: &str| match table.shadow(ending) {
            Some(name) => {
                self.from.table(name.to_owned()).map_err(|error| self.from.failure(self.op, &error))
            }
            None => Ok(None),
        };
        let unread = RowCounts { unread: true, ..RowCounts::default() };
        match table.content {
            // The text alone: the module need not work, nor its index be whole.
            Content::Own => shadow("content")?.map_or(Ok(unread), |text| {
                let there = self
                    .into
                    .table(text.name.clone())
                    .map_err(|error| self.into.failure(self.op, &error))?;
                let same = there.is_some_and(|there| there.has_the_columns_of(&text));
                if keep && same {
                    self.into.empty(self.op, &text)?;
                }
                self.pour(&text, keep && same, aside)
            }),
            Content::Boxes => match (shadow("rowid")?, self.rows_of(table)) {
                // The nodes have every box, also one whose number is missing.
                (_, Some(rows)) if self.is_readable(&rows)? => self.pour_rows(&rows, keep, aside),
                (Some(numbers), Some(rows)) => self.pour_boxes(&numbers, &rows, keep, aside),
                _ => Ok(unread),
            },
            Content::Shadows => {
                self.rows_of(table).map_or(Ok(unread), |rows| self.pour_rows(&rows, keep, aside))
            }
            Content::External(_) | Content::None | Content::Elsewhere | Content::Unknown(_) => {
                Ok(RowCounts::default())
            }
        }
    }

    /// The virtual table as one whose rows can be selected and inserted; `None` where its module
    /// does not work.
    fn rows_of(&self, table: &VirtualTable) -> Option<Table> {
        let sql = "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0";
        let mut statement = self.from.connection.prepare(sql).ok()?;
        let columns = statement
            .query_map([&table.name], |row| lossy(row, 0))
            .ok()?
            .collect::<rusqlite::Result<Vec<String>>>()
            .ok()?;
        // The number of an R*Tree's box is its first column; elsewhere it has none of its own.
        let numbered = table.content == Content::Boxes
            && table.shadow("parent").is_some()
            && !columns.contains(&"_shape".to_owned());
        let row_number = (!numbered).then_some("rowid");
        Some(Table {
            name: table.name.clone(),
            parents: Vec::new(),
            columns,
            key: Vec::new(),
            own_index: None,
            row_number,
            numbered_by_key: false,
            aside_of: None,
        })
    }

    /// Each box by its number: one node that cannot be read takes no other with it.
    fn pour_boxes(
        &self,
        numbers: &Table,
        boxes: &Table,
        keep: bool,
        aside: &LostTable,
    ) -> Result<RowCounts, Failure> {
        let mut rows = self.begin_virtual(boxes, keep, aside)?;
        let sql = format!(
            "SELECT {} FROM \"{}\" WHERE rowid = ?1",
            boxes.selected(),
            boxes.name.replace('"', "\"\"")
        );
        let number = numbers.row_number.unwrap_or("rowid");
        let mut broken = false;
        let unread = self.by_number(numbers, number, &mut |row: &Row<'_>| {
            let number = row.get(0).map_err(|error| self.from.failure(self.op, &error))?;
            match self.scan(&sql, Some(number), |row| rows.write(row)) {
                Err(Stopped::Corrupt) => {
                    broken = true;
                    Ok(())
                }
                ended => ended,
            }
        })?;
        let known = if unread || broken { self.from.count_rows(self.op, numbers)? } else { None };
        Ok(RowCounts { unread: unread || broken, known, ..rows.poured })
    }

    /// Every row can be read, one after another.
    fn is_readable(&self, table: &Table) -> Result<bool, Failure> {
        match self.scan(&all_rows(table), None, |_| Ok(())) {
            Ok(()) => Ok(true),
            Err(Stopped::Corrupt | Stopped::Endless) => Ok(false),
            Err(Stopped::By(failure)) => Err(*failure),
        }
    }

    /// All rows that the module gives.
    fn pour_rows(
        &self,
        table: &Table,
        keep: bool,
        aside: &LostTable,
    ) -> Result<RowCounts, Failure> {
        let mut rows = self.begin_virtual(table, keep, aside)?;
        match self.scan(&all_rows(table), None, |row| rows.write(row)) {
            Ok(()) => Ok(rows.poured),
            Err(Stopped::Corrupt | Stopped::Endless) => {
                Ok(RowCounts { unread: true, ..rows.poured })
            }
            Err(Stopped::By(failure)) => Err(*failure),
        }
    }

    fn begin_virtual<'a>(
        &'a self,
        table: &'a Table,
        keep: bool,
        aside: &'a LostTable,
    ) -> Result<Writer<'a>, Failure> {
        if keep {
            self.into.empty(self.op, table)?;
        }
        Writer::new(self, table, keep, aside)
    }
}

fn all_rows(table: &Table) -> String {
    format!("SELECT {} FROM \"{}\"", table.selected(), table.name.replace('"', "\"\""))
}

impl Database {
    /// Rows that a virtual table keeps itself, by its shadow table; `None` where they cannot be
    /// counted.
    ///
    /// # Errors
    /// As SQLite, but for corruption.
    pub fn count_virtual_rows(&self, op: Op, table: &VirtualTable) -> Result<Option<u64>, Failure> {
        let Some(name) = table.counted_by() else { return Ok(None) };
        let shadow = self.table(name.to_owned()).map_err(|error| self.failure(op, &error))?;
        shadow.map_or(Ok(None), |shadow| self.count_rows(op, &shadow))
    }
}
