//! Owns indexes that are made after the rows: sorted once, instead of a page changed for each row.
//! Promises: the same indexes as before, under their names, in the same transaction; only those
//! that never refuse a row.
//! Never takes an index away that is unique, has an expression or a WHERE, or of which SQLite has
//! statistics.

use rusqlite::OptionalExtension;

use crate::device::disk::Op;
use crate::device::sqlite::rows::Table;
use crate::device::sqlite::Database;
use crate::error::Failure;
use crate::lex::quote;

/// The plain indexes of a table, but for those that an expression of its own could make fail: of an
/// index, of a WHERE, of a generated column.
const PLAIN: &str = "SELECT i.name, s.sql FROM pragma_index_list(?1) i JOIN main.sqlite_schema s \
                     ON s.type = 'index' AND s.name = i.name WHERE i.origin = 'c' AND i.\"unique\" \
                     = 0 AND i.partial = 0 AND s.sql IS NOT NULL AND NOT EXISTS (SELECT 1 FROM \
                     pragma_index_xinfo(i.name) x LEFT JOIN pragma_table_xinfo(?1) c ON c.cid = \
                     x.cid WHERE x.key = 1 AND (x.cid = -2 OR c.hidden <> 0)) ORDER BY s.rowid";

/// Indexes that are not there for now, in the statements that make them. Lost where they are
/// dropped: the transaction must not end then.
#[must_use]
#[derive(Debug, Default)]
pub struct Late(Vec<String>);

impl Database {
    /// Takes the plain indexes of a table away; inside the caller's transaction.
    ///
    /// # Errors
    /// As SQLite.
    pub fn take_plain_indexes(&self, op: Op, table: &Table) -> Result<Late, Failure> {
        let failed = |error: rusqlite::Error| self.failure(op, &error);
        let plain = self.plain_indexes(&table.name).map_err(failed)?;
        for (name, _) in &plain {
            self.run(op, &format!("DROP INDEX main.{}", quote(name)))?;
        }
        Ok(Late(plain.into_iter().map(|(_, sql)| sql).collect()))
    }

    /// Makes them again.
    ///
    /// # Errors
    /// As SQLite.
    pub fn make_late_indexes(&self, op: Op, late: Late) -> Result<(), Failure> {
        let _runs = self.watch.evaluates();
        late.0.iter().try_for_each(|sql| self.run(op, sql))
    }

    fn plain_indexes(&self, table: &str) -> rusqlite::Result<Vec<(String, String)>> {
        let mut statement = self.connection.prepare(PLAIN)?;
        let found = statement
            .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let sql = "SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_stat1'";
        if self.connection.query_row(sql, [], |_| Ok(())).optional()?.is_none() {
            return Ok(found);
        }
        // To drop an index drops what ANALYZE has told of it.
        let mut statement = self
            .connection
            .prepare("SELECT 1 FROM main.sqlite_stat1 WHERE idx = ?1 COLLATE NOCASE")?;
        let told: Vec<bool> = found
            .iter()
            .map(|(name, _)| statement.exists([name]))
            .collect::<rusqlite::Result<_>>()?;
        Ok(found.into_iter().zip(told).filter(|(_, told)| !told).map(|(index, _)| index).collect())
    }
}

impl Late {
    /// Nothing was taken away.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of one more table.
    pub fn extend(&mut self, more: Late) {
        self.0.extend(more.0);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::sqlite::Sqlite;

    const OP: Op = Op("test");

    #[test]
    fn only_what_never_refuses_a_row_is_made_later() {
        let database = Sqlite::default().scratch(OP).unwrap();
        let schema =
            "CREATE TABLE \"a t\" (id INTEGER PRIMARY KEY, b, c UNIQUE, d AS (json(b)) VIRTUAL, e);
            CREATE INDEX plain ON \"a t\" (b, e COLLATE NOCASE DESC);
            CREATE INDEX \"another one\" ON \"a t\" (e);
            CREATE INDEX told ON \"a t\" (e, b);
            CREATE UNIQUE INDEX sole ON \"a t\" (e, c);
            CREATE INDEX computed ON \"a t\" (json(e));
            CREATE INDEX generated ON \"a t\" (d);
            CREATE INDEX part ON \"a t\" (b) WHERE e > 1;";
        database.run(OP, schema).unwrap();
        database
            .run(
                OP,
                "INSERT INTO \"a t\" (b, c, e) VALUES ('1', 1, '2'); ANALYZE; DELETE FROM \
                 sqlite_stat1 WHERE idx <> 'told'",
            )
            .unwrap();
        let all = |order: &str| {
            database.strings(
                OP,
                &format!(
                    "SELECT name || ' ' || sql FROM sqlite_schema WHERE sql > '' ORDER BY {order}"
                ),
            )
        };
        let before = all("name").unwrap();
        let table = database.table_named(OP, "a t").unwrap().unwrap();
        let late = database.take_plain_indexes(OP, &table).unwrap();
        assert_eq!(late.0.len(), 2, "{late:?}");
        let gone = |name: &str| !all("name").unwrap().iter().any(|one| one.starts_with(name));
        assert!(gone("plain") && gone("another one") && !gone("told") && !gone("sole"));
        assert!(!gone("computed") && !gone("generated") && !gone("part"));
        database.make_late_indexes(OP, late).unwrap();
        assert_eq!(all("name").unwrap(), before);
    }
}
