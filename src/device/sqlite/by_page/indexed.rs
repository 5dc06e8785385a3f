//! Owns the question whether the records of a page are entries of an index, by the rows that its
//! table has.
//! Promises: some of them are looked up by the row's number and every value; what cannot be asked
//! is not said to be an entry.
//! Never writes.

use rusqlite::Statement;

use super::shapes::KnownTree;
use super::{bind_all, bound};
use crate::device::disk::Op;
use crate::device::pages::node::Node;
use crate::device::pages::record;
use crate::device::pages::unreached::Records;
use crate::device::pages::Encoding;
use crate::device::sqlite::{class_of_reading, Database};
use crate::error::{Class, Failure};
use crate::lex::quote;

/// Entries of a page that are looked up.
const SAMPLES: usize = 16;

/// What the records of a page are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entries {
    /// Entries of an index.
    All,
    /// Some could be.
    Some,
    /// None is known to be one.
    None,
}

/// The indexes of tables with row numbers, and how their rows are asked for.
pub struct Indexed<'a> {
    database: &'a Database,
    op: Op,
    encoding: Encoding,
    questions: Vec<(&'a KnownTree, Statement<'a>)>,
}

impl<'a> Indexed<'a> {
    /// Asks the tables of this database.
    pub fn new(
        database: &'a Database,
        op: Op,
        trees: &'a [KnownTree],
        encoding: Encoding,
    ) -> Indexed<'a> {
        let question = |tree: &'a KnownTree| {
            let (number, columns) = tree.names.split_last()?;
            let columns: String = columns
                .iter()
                .enumerate()
                .map(|(at, name)| format!(" AND {name} IS ?{} COLLATE BINARY", at + 1))
                .collect();
            let sql = format!(
                "SELECT 1 FROM {} NOT INDEXED WHERE {number} = ?{}{columns}",
                quote(&tree.table),
                tree.names.len()
            );
            // A table that is not there, or has other columns, has no such row.
            database.connection.prepare(&sql).ok().map(|statement| (tree, statement))
        };
        Indexed { database, op, encoding, questions: trees.iter().filter_map(question).collect() }
    }

    /// Are they entries? A quarter of those asked for is enough: rows may have changed since, or be
    /// gone.
    ///
    /// # Errors
    /// As SQLite, but for corruption.
    pub fn judge(&mut self, node: &Node<'_>, records: &Records) -> Result<Entries, Failure> {
        let (database, op, encoding) = (self.database, self.op, self.encoding);
        let mut judged = Entries::None;
        for (_, statement) in self.questions.iter_mut().filter(|(tree, _)| records.fit(&tree.shape))
        {
            let (mut held, mut all) = (0usize, 0usize);
            for (index, ..) in records.found.iter().step_by((records.found.len() / SAMPLES).max(1))
            {
                let cell = node.cell(*index).filter(|cell| cell.payload.overflow == 0);
                let Some(values) = cell.and_then(|cell| record::values(cell.payload.local)) else {
                    continue;
                };
                let parameters: Vec<_> =
                    values.iter().map(|value| bound(value, encoding)).collect();
                let found = bind_all(statement, parameters.iter())
                    .and_then(|()| Ok(statement.raw_query().next()?.is_some()));
                match found {
                    Err(error) if class_of_reading(&error) == Class::Damaged => continue,
                    found => {
                        held += usize::from(found.map_err(|error| database.failure(op, &error))?)
                    }
                }
                all += 1;
            }
            if held > 0 && held * 4 >= all {
                return Ok(Entries::All);
            }
            if held > 0 {
                judged = Entries::Some;
            }
        }
        Ok(judged)
    }
}
