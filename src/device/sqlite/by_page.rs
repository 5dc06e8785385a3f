//! Owns writing rows that were read from pages into a table, and what that table refuses into one
//! beside it.
//! Promises: a row arrives as SQLite would have read it; one that is there already is not written
//! again.
//! Never lets a row take another one's place.

pub mod indexed;
mod keys_written;
pub mod shapes;

use std::borrow::Cow;

use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::Statement;

use crate::device::disk::Op;
use crate::device::pages::record::Value;
use crate::device::pages::shape::Affinity;
use crate::device::pages::Encoding;
use crate::device::sqlite::pour::RowCounts;
use crate::device::sqlite::rows::{all_of, list, LostTable, Table};
use crate::device::sqlite::{class_of, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;
use keys_written::KeysWritten;
use shapes::KnownTree;

/// How much a page is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Its tree leads to it.
    Tree,
    /// No tree leads to it, and it fits this table alone.
    Unreached,
}

/// A row as it was read.
#[derive(Debug, Clone, Copy)]
pub struct PageRow<'r> {
    /// Its number.
    pub number: i64,
    /// Its values, in the order in which they are stored.
    pub values: &'r [Value<'r>],
    /// Where it was read.
    pub evidence: Evidence,
}

/// The statements that take one table's rows.
pub struct PageWriter<'a> {
    into: &'a Database,
    op: Op,
    name: &'a LostTable,
    seeded: bool,
    form: Form<'a>,
    keep: Option<Statement<'a>>,
    same: Option<Statement<'a>>,
    aside: Option<Statement<'a>>,
    /// What became of them.
    pub counts: RowCounts,
    /// Rows of pages that no tree leads to, among those.
    pub unreached: u64,
    from_unreached: KeysWritten,
}

/// What a record of a table becomes.
struct Form<'a> {
    table: &'a Table,
    tree: &'a KnownTree,
    encoding: Encoding,
    /// Values of columns that a record may lack.
    defaults: Vec<Owned>,
}

/// Where rows of one table go.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    /// Written, inside a transaction.
    pub into: &'a Database,
    /// For failures.
    pub op: Op,
    /// The table.
    pub table: &'a Table,
    /// It takes them: else all go aside.
    pub keep: bool,
    /// What the migrations filled in is there until its first row comes.
    pub seeded: bool,
    /// Where those go that it refuses.
    pub aside: &'a LostTable,
}

impl<'a> PageWriter<'a> {
    /// Nothing is written yet.
    ///
    /// # Errors
    /// As SQLite.
    pub fn new(
        place: Destination<'a>,
        tree: &'a KnownTree,
        encoding: Encoding,
    ) -> Result<PageWriter<'a>, Failure> {
        let Destination { into, op, table, .. } = place;
        let failed = |error: rusqlite::Error| into.failure(op, &error);
        let (mut keep, mut same) = (None, None);
        if place.keep {
            let number = numbered(table).map(|number| format!("{number}, ")).unwrap_or_default();
            let marks = vec!["?"; table.columns.len() + usize::from(!number.is_empty())].join(", ");
            let sql = format!(
                "INSERT OR ABORT INTO {}({number}{}) VALUES ({marks})",
                quote(&table.name),
                list(&table.columns, "")
            );
            keep = Some(into.connection.prepare(&sql).map_err(failed)?);
            same = same_row(table)
                .map(|sql| into.connection.prepare(&sql))
                .transpose()
                .map_err(failed)?;
        }
        let value = |default: &Option<String>| {
            let default = default.as_ref().map(|text| {
                into.connection.query_row(&format!("SELECT ({text})"), [], |row| row.get(0))
            });
            default.and_then(Result::ok).unwrap_or(Owned::Null)
        };
        let defaults = tree.defaults.iter().map(value).collect();
        let form = Form { table, tree, encoding, defaults };
        Ok(PageWriter {
            into,
            op,
            name: place.aside,
            seeded: place.seeded,
            form,
            keep,
            same,
            aside: None,
            counts: RowCounts::default(),
            unreached: 0,
            from_unreached: KeysWritten::default(),
        })
    }

    /// Writes one.
    ///
    /// # Errors
    /// As SQLite, but for refusals of single rows.
    pub fn write(&mut self, row: &PageRow<'_>) -> Result<(), Failure> {
        let (into, op) = (self.into, self.op);
        let _runs = into.watch.evaluates();
        let failed = |error: rusqlite::Error| into.failure(op, &error);
        if self.seeded && self.keep.is_some() {
            into.empty(op, self.form.table)?;
            self.seeded = false;
        }
        let values = self.form.in_order(row);
        let number = numbered(self.form.table).map(|_| ToSqlOutput::from(row.number));
        if let Some(keep) = self.keep.as_mut() {
            match run(keep, number.iter().chain(values.iter())) {
                Ok(()) => {
                    self.counts.kept += 1;
                    if row.evidence == Evidence::Unreached {
                        self.unreached += 1;
                        self.from_unreached.add(row, self.form.table);
                    }
                    return Ok(());
                }
                Err(error) if class_of(&error) == Class::Failed => {}
                Err(error) => return Err(failed(error)),
            }
        }
        if let Some(same) = &mut self.same {
            let there = first(same, number.iter().chain(values.iter())).map_err(failed)?;
            match there {
                Some(true) => return Ok(()),
                // What its tree has is newer than what was left on another page; of two such pages
                // nobody knows.
                Some(false)
                    if row.evidence != Evidence::Tree
                        && !self.from_unreached.may_have(row, self.form.table) =>
                {
                    return Ok(())
                }
                Some(false) | None => {}
            }
        }
        if self.aside.is_none() {
            into.make_aside(self.form.table, self.name).map_err(failed)?;
            let marks = vec!["?"; self.form.table.columns.len()].join(", ");
            let sql = format!(
                "INSERT INTO {}({}) VALUES ({marks})",
                quote(&self.name.name),
                list(&self.form.table.columns, "")
            );
            self.aside = Some(into.connection.prepare(&sql).map_err(failed)?);
        }
        if let Some(aside) = &mut self.aside {
            run(aside, values.iter()).map_err(failed)?;
        }
        self.counts.aside += 1;
        self.unreached += u64::from(row.evidence != Evidence::Tree);
        Ok(())
    }

    /// Whose rows they are.
    pub fn table_name(&self) -> &str {
        &self.form.table.name
    }

    /// Would the table take all of these? Nothing stays of the question.
    ///
    /// # Errors
    /// As SQLite, but for refusals of single rows.
    pub fn would_take(&mut self, rows: &[(i64, Vec<Value<'_>>)]) -> Result<bool, Failure> {
        let (into, op) = (self.into, self.op);
        let _runs = into.watch.evaluates();
        if self.keep.is_none() {
            return Ok(true);
        }
        into.run(op, "SAVEPOINT question")?;
        if self.seeded {
            into.empty(op, self.form.table)?;
        }
        let mut taken = true;
        for (number, values) in rows {
            let row = PageRow { number: *number, values, evidence: Evidence::Tree };
            let values = self.form.in_order(&row);
            let number = numbered(self.form.table).map(|_| ToSqlOutput::from(row.number));
            let Some(keep) = &mut self.keep else { break };
            match run(keep, number.iter().chain(values.iter())) {
                Ok(()) => {}
                Err(error) if class_of(&error) == Class::Failed => taken = false,
                Err(error) => return Err(into.failure(op, &error)),
            }
            if !taken {
                break;
            }
        }
        into.run(op, "ROLLBACK TO question; RELEASE question")?;
        Ok(taken)
    }
}

impl Form<'_> {
    /// The values in the order of the table's columns.
    fn in_order<'v>(&'v self, row: &PageRow<'v>) -> Vec<ToSqlOutput<'v>> {
        let default = |place: usize| {
            let value = self.defaults.get(place).map_or(ValueRef::Null, ValueRef::from);
            ToSqlOutput::Borrowed(value)
        };
        let mut ordered: Vec<ToSqlOutput<'_>> =
            (0..self.table.columns.len()).map(default).collect();
        for (at, (column, value)) in self.tree.shape.columns.iter().zip(row.values).enumerate() {
            if let Some(slot) = column.place.and_then(|place| ordered.get_mut(place)) {
                *slot = match value {
                    _ if self.tree.shape.alias == Some(at) => ToSqlOutput::from(row.number),
                    // SQLite writes a floating-point number without a fraction as a whole one.
                    Value::Integer(number) if column.affinity == Affinity::Real => {
                        ToSqlOutput::from(*number as f64)
                    }
                    value => bound(value, self.encoding),
                };
            }
        }
        ordered
    }
}

/// The rows of pages that fit several tables, in a table that is made for the first of them.
pub struct LostPages<'a> {
    into: &'a Database,
    op: Op,
    name: LostTable,
    columns: usize,
    encoding: Encoding,
    insert: Option<Statement<'a>>,
    /// How many.
    pub rows: u64,
    /// Those of them that fit no table.
    pub of_none: u64,
    /// Rows of those pages that cannot be read.
    pub bad: u64,
}

impl<'a> LostPages<'a> {
    /// Nothing is made yet.
    pub fn new(
        into: &'a Database,
        op: Op,
        name: LostTable,
        columns: usize,
        encoding: Encoding,
    ) -> LostPages<'a> {
        LostPages { into, op, name, columns, encoding, insert: None, rows: 0, of_none: 0, bad: 0 }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name.name
    }

    /// Writes one, with the number of its page.
    ///
    /// # Errors
    /// As SQLite.
    pub fn write(&mut self, page: u32, row: &PageRow<'_>) -> Result<(), Failure> {
        let (into, op) = (self.into, self.op);
        let _runs = into.watch.evaluates();
        let failed = |error: rusqlite::Error| into.failure(op, &error);
        if self.insert.is_none() {
            let values: Vec<String> =
                (1..=self.columns).map(|number| format!("value_{number}")).collect();
            let name = quote(&self.name.name);
            into.run(op, &self.name.text(&format!("page, number, {}", values.join(", "))))?;
            let marks = vec!["?"; self.columns + 2].join(", ");
            self.insert = Some(
                into.connection
                    .prepare(&format!("INSERT INTO {name} VALUES ({marks})"))
                    .map_err(failed)?,
            );
        }
        let mut values = vec![ToSqlOutput::from(page), ToSqlOutput::from(row.number)];
        values.extend(row.values.iter().map(|value| bound(value, self.encoding)));
        values.resize_with(self.columns + 2, || ToSqlOutput::Borrowed(ValueRef::Null));
        if let Some(insert) = &mut self.insert {
            run(insert, values.iter()).map_err(failed)?;
        }
        self.rows += 1;
        Ok(())
    }
}

/// What the row number is inserted as; `None` where a column has it, or it has no name.
fn numbered(table: &Table) -> Option<&'static str> {
    table.row_number.filter(|_| !table.numbered_by_key)
}

/// Has the row with this key these values? The parameters are those of the insertion.
fn same_row(table: &Table) -> Option<String> {
    let key = table.key_columns();
    let from = usize::from(numbered(table).is_some());
    let mark = |column: usize| from + column + 1;
    let keys: Option<Vec<String>> = key
        .iter()
        .map(|key| match table.column_of_key(key) {
            Some(column) => Some(format!("{key} = ?{}", mark(column))),
            None => numbered(table).map(|_| format!("{key} = ?1")),
        })
        .collect();
    let keys = keys.filter(|keys| !keys.is_empty())?;
    let values = table
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("{} IS ?{} COLLATE BINARY", quote(column), mark(at)));
    // Every parameter has to stand in the statement.
    let all: Vec<String> = values.chain(numbered(table).map(|_| "?1 IS ?1".to_owned())).collect();
    Some(format!("SELECT {} FROM {} WHERE {}", all_of(&all), table.itself(), all_of(&keys)))
}

fn bound<'v>(value: &Value<'v>, encoding: Encoding) -> ToSqlOutput<'v> {
    match value {
        Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
        Value::Integer(number) => ToSqlOutput::from(*number),
        Value::Real(number) => ToSqlOutput::from(*number),
        Value::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        Value::Text(bytes) => match encoding.text(bytes) {
            Cow::Borrowed(bytes) => ToSqlOutput::Borrowed(ValueRef::Text(bytes)),
            Cow::Owned(text) => {
                ToSqlOutput::Owned(Owned::Text(String::from_utf8(text).unwrap_or_default()))
            }
        },
    }
}

fn run<'v>(
    statement: &mut Statement<'_>,
    values: impl Iterator<Item = &'v ToSqlOutput<'v>>,
) -> rusqlite::Result<()> {
    bind_all(statement, values)?;
    statement.raw_execute().map(drop)
}

fn first<'v>(
    statement: &mut Statement<'_>,
    values: impl Iterator<Item = &'v ToSqlOutput<'v>>,
) -> rusqlite::Result<Option<bool>> {
    bind_all(statement, values)?;
    statement
        .raw_query()
        .next()?
        .map(|row| row.get::<_, Option<bool>>(0))
        .transpose()
        .map(Option::flatten)
}

fn bind_all<'v>(
    statement: &mut Statement<'_>,
    values: impl Iterator<Item = &'v ToSqlOutput<'v>>,
) -> rusqlite::Result<()> {
    values.enumerate().try_for_each(|(at, value)| statement.raw_bind_parameter(at + 1, value))
}

#[cfg(test)]
#[path = "by_page/tests.rs"]
mod tests;
