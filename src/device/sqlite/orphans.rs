//! Owns the rows that refer to a row that is not there, and takes them out of their table.
//! Promises: those alone, also where a table has no row numbers; two values are the same as for a
//! foreign key.
//! Never touches a row whose reference holds or has a NULL.

use std::collections::BTreeMap;

use rusqlite::params_from_iter;

use super::rows::{list, LostTable, Table};
use super::{class_of, Database};
use crate::device::disk::Op;
use crate::error::{Class, Failure};
use crate::lex::quote;

/// What the parent is called in a question: a name that no table may have.
const PARENT: &str = "bootmigrate_parent";

/// A foreign key: its parent, and the columns of child and parent; `None` for its primary key.
type Reference = (String, Vec<(String, Option<String>)>);

impl Database {
    /// Takes the rows away that refer to nothing: into `aside` where there is one. How many.
    ///
    /// # Errors
    /// As SQLite.
    pub fn take_orphans(
        &self,
        op: Op,
        table: &Table,
        aside: Option<&LostTable>,
    ) -> Result<u64, Failure> {
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let mut statement = self
            .connection
            .prepare("SELECT DISTINCT rowid FROM pragma_foreign_key_check(?1)")
            .map_err(failed)?;
        let rows = statement
            .query_map([&table.name], |row| row.get::<_, Option<i64>>(0))
            .map_err(failed)?;
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
        let numbers: Option<Vec<i64>> = rows.into_iter().collect();
        match table.row_number.zip(numbers) {
            Some((number, numbers)) => {
                let mut taken = 0;
                for row in numbers {
                    taken += self
                        .take_where(table, aside, &format!("{number} = ?1"), &[row])
                        .map_err(failed)?;
                }
                Ok(taken)
            }
            // Nothing says which they are but their values.
            None => {
                let orphans = self.refer_to_nothing(table).map_err(failed)?;
                self.take_where(table, aside, &orphans, &[]).map_err(failed)
            }
        }
    }

    fn take_where(
        &self,
        table: &Table,
        aside: Option<&LostTable>,
        which: &str,
        parameters: &[i64],
    ) -> rusqlite::Result<u64> {
        let (name, columns) = (quote(&table.name), list(&table.columns, ""));
        if let Some(aside) = aside {
            let sql = format!(
                "INSERT INTO {}({columns}) SELECT {columns} FROM {name} WHERE {which}",
                quote(&aside.name)
            );
            self.connection.execute(&sql, params_from_iter(parameters))?;
        }
        let sql = format!("DELETE FROM {name} WHERE {which}");
        Ok(self.connection.execute(&sql, params_from_iter(parameters))? as u64)
    }

    /// The condition under which a row of this table refers to a row that is not there.
    fn refer_to_nothing(&self, table: &Table) -> rusqlite::Result<String> {
        let mut conditions = Vec::new();
        for (parent, columns) in self.references_of(table)?.into_values() {
            let parent = self.table(parent)?;
            let mut condition: Vec<String> = columns
                .iter()
                .map(|(from, _)| format!("{}.{} IS NOT NULL", quote(&table.name), quote(from)))
                .collect();
            // What is not there has no row.
            if let Some(parent) = parent {
                let same = columns.iter().enumerate().filter_map(|(at, (from, to))| {
                    let to = to.as_ref().or_else(|| parent.key.get(at))?;
                    // The parent's column says how they are compared: `+` takes the child's own
                    // affinity away, and the collation is that of the left side.
                    Some(format!(
                        "{PARENT}.{} = +{}.{}",
                        quote(to),
                        quote(&table.name),
                        quote(from)
                    ))
                });
                condition.push(format!(
                    "NOT EXISTS (SELECT 1 FROM {} AS {PARENT} WHERE {})",
                    quote(&parent.name),
                    same.collect::<Vec<_>>().join(" AND ")
                ));
            }
            conditions.push(format!("({})", condition.join(" AND ")));
        }
        Ok(conditions.join(" OR "))
    }

    fn references_of(&self, table: &Table) -> rusqlite::Result<BTreeMap<i64, Reference>> {
        let sql =
            "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY \
                   id, seq";
        let mut statement = self.connection.prepare(sql)?;
        let mut found = statement.query([&table.name])?;
        let mut references = BTreeMap::new();
        while let Some(row) = found.next()? {
            let (_, columns): &mut Reference =
                references.entry(row.get(0)?).or_insert((row.get(1)?, Vec::new()));
            columns.push((row.get(2)?, row.get(3)?));
        }
        Ok(references)
    }
}
