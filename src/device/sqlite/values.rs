//! Owns which words of an error of SQLite's may be the contents of a row, and leaving them out.
//! Promises: a message has a value in it only where `show_rows` says so, or where the firmware's
//! own text or a trigger's has the same words.
//! Never knows what a value means; what a product's own code says is shown as it is.

use crate::device::sqlite::compile::lossy;
use crate::device::sqlite::errors::{describe_as, parted, parts, without};
use crate::device::sqlite::Database;
use crate::error::with_row;

/// The same before a value in a full-text query, and before a name in the schema.
const BEFORE_A_VALUE_OR_NAME: [&str; 2] = ["no such column: ", "no such function: "];
/// The texts of all triggers.
const TRIGGERS: &str = "SELECT coalesce(group_concat(sql, char(10)), '') FROM (
    SELECT sql FROM main.sqlite_schema WHERE type = 'trigger'
    UNION ALL SELECT sql FROM temp.sqlite_schema WHERE type = 'trigger')";

/// The texts of the whole schema.
const SCHEMA: &str = "SELECT coalesce(group_concat(sql, char(10)), '') FROM (
    SELECT sql FROM main.sqlite_schema UNION ALL SELECT sql FROM temp.sqlite_schema)";

/// The words stand in this text, and are no part of longer ones.
fn stands_in(text: &str, words: &str) -> bool {
    let words = words.trim_matches(['"', '\'', '[', ']']);
    let (text, words) = (text.replace("''", "'"), words.replace("''", "'"));
    let ends = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    !words.is_empty()
        && text.match_indices(&words).any(|(at, _)| {
            ends(text.get(..at).and_then(|before| before.chars().next_back()))
                && ends(text.get(at + words.len()..).and_then(|after| after.chars().next()))
        })
}

impl Database {
    /// What an error of a migration's own statement means, of this text: SQLite's words and its
    /// extended code, with a value in them where it may be shown.
    pub(super) fn describe(&self, error: &rusqlite::Error, sql: &str) -> String {
        describe_as(error, self.instead(error, sql))
    }

    /// Other words than those without any value.
    fn instead(&self, error: &rusqlite::Error, sql: &str) -> Option<String> {
        let rusqlite::Error::SqliteFailure(_, Some(message)) = error else { return None };
        if let Some((said, name)) = parted(&BEFORE_A_VALUE_OR_NAME, message) {
            let name_of = |text: &str| stands_in(text, name.trim_end_matches("()"));
            let known = name_of(sql) || self.texts_have(SCHEMA, name_of);
            return (!known).then(|| self.shown_or_left_out(said, name));
        }
        let (said, value) = parts(error, message)?;
        let own = |text: &str| stands_in(text, value);
        if own(sql) || self.texts_have(TRIGGERS, own) {
            return Some(message.clone());
        }
        Some(self.shown_or_left_out(said, value))
    }

    fn texts_have(&self, query: &str, is_in: impl Fn(&str) -> bool) -> bool {
        let texts = self.connection.query_row(query, [], |row| lossy(row, 0));
        texts.is_ok_and(|texts| is_in(&texts))
    }

    fn shown_or_left_out(&self, said: &str, value: &str) -> String {
        match self.show_rows {
            true => with_row(said.trim_end_matches([':', ' ']), value),
            false => without(said),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::device::disk::Op;
    use crate::device::sqlite::Sqlite;
    use crate::error::without_row;

    const TABLES: &str = "CREATE TABLE t (a, pin TEXT); INSERT INTO t VALUES (1, 'S3CRET');
        CREATE TRIGGER own BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'keep it'); END;
        CREATE TRIGGER computed BEFORE UPDATE ON t
        BEGIN SELECT RAISE(ABORT, 'no ' || OLD.pin); END;
        CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('y');
        CREATE VIRTUAL TABLE g USING fts4(x); INSERT INTO g VALUES ('y')";

    /// Each has a value of a row in what SQLite says.
    const WITH_A_VALUE: [(&str, &str); 7] = [
        ("UPDATE t SET a = 2", "a trigger's RAISE"),
        ("SELECT json_extract('{}', pin) FROM t", "bad JSON path"),
        ("SELECT json_set('{}', pin, 1) FROM t", "bad JSON path"),
        ("SELECT f.x FROM t, f WHERE f MATCH pin || ' : y'", "no such column"),
        (
            "SELECT f.x FROM t, f WHERE f MATCH 'y' AND rank MATCH pin || '()' ORDER BY rank",
            "no such function",
        ),
        ("SELECT g.x FROM t, g WHERE g MATCH '\"' || pin || '\" NEAR'", "malformed MATCH"),
        ("SELECT matchinfo(g, pin) FROM t, g WHERE g MATCH 'y'", "unrecognized matchinfo"),
    ];

    fn database(show_rows: bool) -> Database {
        let database = Sqlite { show_rows, ..Sqlite::default() }.scratch(Op("test")).unwrap();
        database.connection.execute_batch(TABLES).unwrap();
        database
    }

    fn failing(database: &Database, sql: &str) -> rusqlite::Error {
        let run = || -> rusqlite::Result<()> {
            let mut statement = database.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        };
        run().expect_err(sql)
    }

    #[test]
    fn a_value_is_left_out_unless_it_may_be_shown() {
        let (hidden, shown) = (database(false), database(true));
        for (sql, said) in WITH_A_VALUE {
            let words = hidden.describe(&failing(&hidden, sql), sql);
            assert!(words.starts_with(said) && words.contains("left out"), "{sql}: {words}");
            assert!(!words.contains("S3") && !words.ends_with("'S'"), "{sql}: {words}");
            let words = shown.describe(&failing(&shown, sql), sql);
            assert!(words.starts_with(said) && words.contains(", and a row has: "), "{words}");
            assert!(!without_row(&words).contains("S3"), "{words}");
        }
    }

    #[test]
    fn what_the_firmware_itself_has_written_is_shown() {
        let database = database(false);
        for (sql, said) in [
            ("DELETE FROM t", "keep it (SQLite 1811)"),
            ("SELECT json_extract('{}', 'x.y')", "bad JSON path: 'x.y' (SQLite 1)"),
            ("SELECT x FROM f WHERE f MATCH 'nowhere : y'", "no such column: nowhere (SQLite 1)"),
            ("SELECT absent FROM t", "no such column: absent (SQLite 1)"),
        ] {
            assert_eq!(database.describe(&failing(&database, sql), sql), said, "{sql}");
        }
        assert!(stands_in("RAISE(ABORT, 'it''s full')", "it's full"));
        assert!(!stands_in("VALUES (12345)", "1234"), "a part of a number");
        assert!(!stands_in("anything", "''"));
    }
}
