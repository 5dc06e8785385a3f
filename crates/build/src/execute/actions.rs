//! Owns finding the statements that would change rows of other tables by ON DELETE or ON UPDATE,
//! were foreign keys enforced.
//! Promises: SQLite's own program of the statement says it, with the switch on and off; no row has
//! to be there.
//! Never runs a statement.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::config::DbConfig;
use rusqlite::Connection;

use crate::sql;

/// What a statement that can change rows of a parent begins with.
const CHANGES: [&str; 5] = ["DELETE", "UPDATE", "INSERT", "REPLACE", "WITH"];

/// Whose statements are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// No statement: somebody has said how the file runs.
    Nothing,
    /// Statements that change rows. A DROP TABLE is usually a part of a rebuild, whose children are
    /// to stay.
    Changes,
    /// DROP TABLE too: an earlier tool may have run it with foreign keys enforced.
    ChangesAndDrops,
}

/// A statement that fires an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fires {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// What would change, but for rows of the statement's own table alone.
    pub tables: BTreeSet<String>,
}

impl Fires {
    /// The same without tables that the file empties whole, with the parent: such rows are gone
    /// either way. Nothing between the two statements may name the table.
    pub fn without_emptied(mut self, text: &str) -> Option<Fires> {
        let lexed = sql::lex(text);
        let (statements, _) = sql::statements(&lexed.tokens);
        let begins = |one: &sql::Statement<'_>| {
            one.token(0).is_some_and(|token| (token.line, token.column) == (self.line, self.column))
        };
        let place = statements.iter().position(begins);
        let Some((before, [_, after @ ..])) = place.and_then(|at| statements.split_at_checked(at))
        else {
            return Some(self);
        };
        self.tables.retain(|table| {
            !is_emptied_first(before.iter().rev(), table) && !is_emptied_first(after.iter(), table)
        });
        (!self.tables.is_empty()).then_some(self)
    }
}

/// Is the first of these statements that names the table one that takes all its rows?
fn is_emptied_first<'s, 't: 's>(
    mut statements: impl Iterator<Item = &'s sql::Statement<'t>>,
    table: &str,
) -> bool {
    let is = |token: &sql::Token<'_>| {
        token.text.trim_matches(['"', '`', '[', ']']).eq_ignore_ascii_case(table)
    };
    let first = statements.find(|one| one.tokens.iter().any(is));
    first.is_some_and(|one| {
        let takes_all = match one.tokens.as_slice() {
            [_, _, _] => one.word(0, "DELETE") && one.word(1, "FROM"),
            [_, _, _, dot, _] if dot.text == "." => one.word(0, "DELETE") && one.word(1, "FROM"),
            _ => false,
        };
        (takes_all || one.word(0, "DROP") && one.word(1, "TABLE"))
            && one.tokens.last().is_some_and(is)
    })
}

impl Watch {
    /// The tables whose rows this statement would change by an action.
    ///
    /// # Errors
    /// As SQLite: the statement cannot be compiled.
    pub fn tables(
        self,
        connection: &Connection,
        statement: &str,
    ) -> rusqlite::Result<BTreeSet<String>> {
        let lexed = sql::lex(statement);
        let first = lexed.tokens.iter().find(|token| !token.is_comment() && token.text != ";");
        let is = |word: &str| first.is_some_and(|token| token.is(word));
        let looked_at = match self {
            Watch::Nothing => false,
            Watch::Changes => CHANGES.into_iter().any(is),
            Watch::ChangesAndDrops => CHANGES.into_iter().any(is) || is("DROP"),
        };
        if !looked_at {
            return Ok(BTreeSet::new());
        }
        let before = connection.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY)?;
        let written = [false, true].map(|enforced| {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, enforced)?;
            written_below(connection, statement)
        });
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, before)?;
        let [without, with] = written;
        let (without, with) = (without?, with?);
        let more = with
            .into_iter()
            .filter(|(root, count)| without.get(root).is_none_or(|without| without < count));
        let mut name =
            connection.prepare("SELECT tbl_name FROM sqlite_schema WHERE rootpage = ?1")?;
        more.map(|(root, _)| name.query_row([root], |row| row.get(0))).collect()
    }
}

/// How often each tree of the database is opened for writing in programs that the statement's own
/// one starts: triggers and actions.
fn written_below(
    connection: &Connection,
    statement: &str,
) -> rusqlite::Result<BTreeMap<i64, usize>> {
    let mut explain = connection.prepare(&format!(
        "EXPLAIN {}",
        statement.trim_start_matches([';', ' ', '\n', '\t', '\r'])
    ))?;
    let mut rows = explain.query([])?;
    let (mut programs, mut found) = (0, BTreeMap::new());
    while let Some(row) = rows.next()? {
        match row.get_ref("opcode")?.as_str().unwrap_or_default() {
            "Init" => programs += 1,
            "OpenWrite" if programs > 1 && row.get::<_, i64>("p3")? == 0 => {
                *found.entry(row.get("p2")?).or_default() += 1;
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str =
        "CREATE TABLE p (id INTEGER PRIMARY KEY, k UNIQUE, tree REFERENCES p (id) ON DELETE \
         CASCADE);
        CREATE TABLE gone (p REFERENCES p (id) ON DELETE CASCADE); CREATE TABLE emptied (k \
         REFERENCES p (k) ON UPDATE SET NULL);
        CREATE TABLE plain (p REFERENCES p (id)); CREATE TABLE strict (p REFERENCES p (id) ON \
         DELETE RESTRICT);
        CREATE TABLE log (x);
        CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM p WHERE id = new.x; END;";

    #[track_caller]
    fn check(watch: Watch, statement: &str, expected: &[&str]) -> rusqlite::Result<()> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch("PRAGMA foreign_keys = OFF")?;
        connection.execute_batch(TABLES)?;
        let found = watch.tables(&connection, statement)?;
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{statement}");
        Ok(())
    }

    #[test]
    fn what_an_action_would_change_is_named() -> rusqlite::Result<()> {
        let changes = Watch::Changes;
        check(changes, "DELETE FROM p", &["gone", "p"])?;
        check(changes, "WITH x AS (SELECT 1) DELETE FROM p WHERE id IN x", &["gone", "p"])?;
        check(changes, "UPDATE p SET k = 1", &["emptied"])?;
        check(changes, "REPLACE INTO p (id, k) VALUES (1, 2)", &["gone", "p"])?;
        check(changes, "INSERT OR REPLACE INTO p SELECT * FROM p", &["gone", "p"])?;
        check(changes, ";-- by its trigger\nINSERT INTO log VALUES (1)", &["gone", "p"])?;
        check(Watch::ChangesAndDrops, "DROP TABLE p", &["gone", "p"])
    }

    #[test]
    fn what_fires_no_action_is_not() -> rusqlite::Result<()> {
        for statement in [
            "INSERT INTO p (id) VALUES (1)",
            "UPDATE p SET tree = NULL",
            "DELETE FROM gone",
            "UPDATE plain SET p = 2",
            "DELETE FROM plain",
            "SELECT 1",
            "DROP TABLE gone",
        ] {
            check(Watch::ChangesAndDrops, statement, &[])?;
        }
        check(Watch::Changes, "DROP TABLE p", &[])?;
        check(Watch::Nothing, "DELETE FROM p", &[])
    }
}
