//! Owns counting what a database holds, table by table and column by column, and what a change of its schema took away.
//! Promises: what is gone or fewer is named with a number; what was renamed, or holds nothing but its default, is no loss.
//! Never changes a byte.

use std::collections::BTreeMap;

use crate::device::disk::Op;
use crate::device::sqlite::stand_ins::read_with_stand_ins;
use crate::device::sqlite::virtual_tables::{Content, VirtualTable};
use crate::device::sqlite::Database;
use crate::error::Failure;
use crate::lex::quote;

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    tables: BTreeMap<String, Table>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Table {
    root_page: i64,
    rows: i64,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    /// Rows in which it holds something else than its default.
    filled: i64,
}

impl Database {
    /// Counts rows and values of every table but SQLite's, the history and ours; one pass over each.
    ///
    /// # Errors
    /// As SQLite.
    pub fn survey(&self, op: Op, history_table: &str) -> Result<Survey, Failure> {
        self.count(history_table).map_err(|error| self.failure(op, &error))
    }

    fn count(&self, history_table: &str) -> rusqlite::Result<Survey> {
        let sql = "SELECT name, rootpage FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name <> ?1 COLLATE NOCASE \
                   AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'bootmigrate\\_%' ESCAPE '\\'";
        let mut statement = self.connection.prepare(sql)?;
        let names = statement.query_map([history_table], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?;
        // A stand-in is removed while no statement runs.
        let names = names.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut survey = Survey::default();
        let shadows = self.shadow_names()?;
        for name in names {
            let (name, root_page) = name;
            if !shadows.contains(&name.to_ascii_lowercase()) {
                let table = self.count_table(&name, root_page)?;
                survey.tables.insert(name, table);
            }
        }
        for table in self.read_virtual_tables()? {
            if let Some(counted_by) = table.counted_by() {
                let counted = self.count_virtual_table(&table, counted_by)?;
                survey.tables.insert(table.name, counted);
            }
        }
        Ok(survey)
    }

    /// Rows of a virtual table, and values of the columns whose text it keeps itself; an index of another table's text has none.
    fn count_virtual_table(
        &self,
        table: &VirtualTable,
        counted_by: &str,
    ) -> rusqlite::Result<Table> {
        let mut counted = self.count_table(counted_by, 0)?;
        let mut statement =
            self.connection.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0")?;
        // The row number stands first. Where the virtual table does not work its columns have no names, and only rows count.
        let names = statement
            .query_map([&table.name], |row| row.get::<_, String>(0))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
        let names =
            if table.content == Content::Own { names.unwrap_or_default() } else { Vec::new() };
        let filled = counted.columns.into_iter().skip(1);
        counted.columns =
            names.into_iter().zip(filled).map(|(name, column)| Column { name, ..column }).collect();
        Ok(counted)
    }

    fn count_table(&self, name: &str, root_page: i64) -> rusqlite::Result<Table> {
        // Generated columns hold nothing of their own.
        let sql = "SELECT name, dflt_value FROM pragma_table_xinfo(?1) WHERE hidden = 0";
        let mut statement = self.connection.prepare(sql)?;
        let columns = statement.query_map([name], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
        })?;
        let columns: Vec<(String, Option<String>)> = columns.collect::<rusqlite::Result<_>>()?;
        let filled: Vec<String> = columns
            .iter()
            .map(|(column, default)| {
                let default =
                    default.as_deref().filter(|default| is_constant(default)).unwrap_or("NULL");
                format!(", coalesce(sum({} IS NOT ({default})), 0)", quote(column))
            })
            .collect();
        let sql = format!("SELECT count(*){} FROM {}", filled.concat(), quote(name));
        let read = || {
            self.connection.query_row(&sql, [], |row| {
                let count = |(index, (column, _)): (usize, &(String, Option<String>))| {
                    Ok(Column { name: column.clone(), filled: row.get(index + 1)? })
                };
                let columns =
                    columns.iter().enumerate().map(count).collect::<rusqlite::Result<_>>()?;
                Ok(Table { root_page, rows: row.get(0)?, columns })
            })
        };
        read_with_stand_ins(&self.connection, read).map(|(table, _)| table)
    }
}

/// A literal, which means the same in a query as in the table's text.
fn is_constant(default: &str) -> bool {
    let word = default.trim();
    let quoted = |text: &str| {
        text.len() > 1 && text.starts_with('\'') && text.ends_with('\'') && !text.contains("||")
    };
    let number = !word.is_empty()
        && word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
    number
        || quoted(word)
        || ["null", "true", "false"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

impl Survey {
    /// What `self` has no more of what was there before: a line each.
    pub fn lacks(&self, before: &Survey) -> Vec<String> {
        let mut lost = Vec::new();
        for (name, old) in &before.tables {
            let renamed = || {
                let same = |new: &&Table| {
                    (new.root_page, new.rows, new.columns.len())
                        == (old.root_page, old.rows, old.columns.len())
                };
                self.tables
                    .iter()
                    .filter(|(other, _)| !before.tables.contains_key(*other))
                    .map(|(_, new)| new)
                    .find(same)
            };
            match self.tables.get(name).or_else(renamed) {
                Some(new) => new.lacks(name, old, &mut lost),
                None if old.rows > 0 => {
                    lost.push(format!("table {name} ({})", counted(old.rows, "row")))
                }
                None => {}
            }
        }
        lost
    }
}

impl Table {
    fn lacks(&self, name: &str, old: &Table, lost: &mut Vec<String>) {
        if self.rows < old.rows {
            lost.push(format!(
                "{} of {} of table {name}",
                old.rows.saturating_sub(self.rows),
                counted(old.rows, "row")
            ));
        }
        let has = |columns: &[Column], name: &str| {
            columns.iter().any(|column| column.name.eq_ignore_ascii_case(name))
        };
        let in_place = self.root_page == old.root_page && self.columns.len() == old.columns.len();
        for (index, column) in old.columns.iter().enumerate() {
            // ALTER TABLE RENAME COLUMN leaves the table where it is, and the column in its place.
            let renamed = || {
                let new = self.columns.get(index).filter(|new| !has(&old.columns, &new.name));
                in_place && new.is_some_and(|new| new.filled == column.filled)
            };
            if column.filled > 0 && !has(&self.columns, &column.name) && !renamed() {
                lost.push(format!(
                    "column {name}.{} ({})",
                    column.name,
                    counted(column.filled, "value")
                ));
            }
        }
    }
}

fn counted(number: i64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use crate::device::sqlite::Sqlite;

    const BEFORE: &str = "CREATE TABLE a(id INTEGER PRIMARY KEY, b TEXT, unit TEXT NOT NULL DEFAULT 'C', n INTEGER DEFAULT 7, g AS (id * 2));
        INSERT INTO a(id, b) VALUES (1, 'x'), (2, NULL), (3, 'y'); CREATE TABLE empty(x); CREATE TABLE full(x); INSERT INTO full VALUES (1);
        CREATE VIRTUAL TABLE own USING fts5(body, extra); INSERT INTO own VALUES ('one', NULL), ('two', 'x');
        CREATE VIRTUAL TABLE index_of_a USING fts5(b, content='a', content_rowid='id'); INSERT INTO index_of_a(index_of_a) VALUES ('rebuild');
        CREATE VIRTUAL TABLE bare USING fts5(x, content=''); INSERT INTO bare(rowid, x) VALUES (1, 'words');
        CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1); INSERT INTO boxes VALUES (1, 2, 3);";

    #[track_caller]
    fn check(change: &str, expected: &[&str]) {
        let op = Op("test");
        let database = Sqlite::default().scratch(op).unwrap_or_else(|failure| panic!("{failure}"));
        let survey =
            || database.survey(op, "history").unwrap_or_else(|failure| panic!("{failure}"));
        let run = |sql: &str| database.run(op, sql).unwrap_or_else(|failure| panic!("{failure}"));
        run(BEFORE);
        let before = survey();
        run(change);
        assert_eq!(survey().lacks(&before), expected, "{change}");
    }

    #[test]
    fn what_goes_is_named_with_a_number() {
        check("DROP TABLE full", &["table full (1 row)"]);
        check("ALTER TABLE a DROP COLUMN b", &["column a.b (2 values)"]);
        check("DELETE FROM a WHERE id > 1", &["2 of 3 rows of table a"]);
        check(
            "CREATE TABLE n(id INTEGER PRIMARY KEY); INSERT INTO n SELECT id FROM a; DROP TABLE a; ALTER TABLE n RENAME TO a",
            &["column a.b (2 values)"],
        );
        // The freed page is given to another table.
        check("DROP TABLE full; CREATE TABLE fresh(y)", &["table full (1 row)"]);
    }

    #[test]
    fn what_holds_nothing_of_its_own_is_no_loss() {
        check("DROP TABLE empty", &[]);
        check("ALTER TABLE a DROP COLUMN unit", &[]);
        check("ALTER TABLE a DROP COLUMN n", &[]);
        check("ALTER TABLE a DROP COLUMN g", &[]);
        check("UPDATE a SET unit = 'F' WHERE id = 2; ALTER TABLE a DROP COLUMN unit", &[]);
    }

    #[test]
    fn what_is_renamed_is_no_loss() {
        check("ALTER TABLE full RENAME TO other", &[]);
        check("ALTER TABLE a RENAME COLUMN b TO c", &[]);
        check(
            "ALTER TABLE a RENAME COLUMN b TO c; UPDATE a SET c = NULL",
            &["column a.b (2 values)"],
        );
    }

    #[test]
    fn a_virtual_table_counts_as_itself_and_its_shadows_as_nothing() {
        check("DROP TABLE own", &["table own (2 rows)"]);
        check("DELETE FROM own WHERE rowid = 1", &["1 of 2 rows of table own"]);
        check(
            "DROP TABLE own; CREATE VIRTUAL TABLE own USING fts5(body); INSERT INTO own VALUES ('a'), ('b')",
            &["column own.extra (1 value)"],
        );
        check("INSERT INTO own(own) VALUES ('rebuild')", &[]);
        check("DROP TABLE boxes", &["table boxes (1 row)"]);
        // The text is another table's.
        check("DROP TABLE index_of_a", &[]);
        check("DROP TABLE bare", &["table bare (1 row)"]);
    }
}
