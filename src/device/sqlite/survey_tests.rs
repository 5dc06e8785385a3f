//! Owns the tests of counting what a database holds: what is a loss, and what is none.
//! Promises: every change is counted before and after on a real database; each loss is its whole
//! line.
//! Never opens a file.

#![allow(clippy::panic)]

use super::*;
use crate::device::sqlite::Sqlite;

const BEFORE: &str = "CREATE TABLE a(id INTEGER PRIMARY KEY, b TEXT, unit TEXT NOT NULL \
                      DEFAULT 'C', n INTEGER DEFAULT 7, g AS (id * 2));
    INSERT INTO a(id, b) VALUES (1, 'x'), (2, NULL), (3, 'y'); CREATE TABLE empty(x); CREATE \
                      TABLE full(x); INSERT INTO full VALUES (1);
    CREATE VIRTUAL TABLE own USING fts5(body, extra); INSERT INTO own VALUES ('one', NULL), \
                      ('two', 'x');
    CREATE VIRTUAL TABLE index_of_a USING fts5(b, content='a', content_rowid='id'); INSERT \
                      INTO index_of_a(index_of_a) VALUES ('rebuild');
    CREATE VIRTUAL TABLE bare USING fts5(x, content=''); INSERT INTO bare(rowid, x) VALUES (1, \
                      'words');
    CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1); INSERT INTO boxes VALUES (1, 2, 3);";

#[track_caller]
fn check(change: &str, expected: &[&str]) {
    let op = Op("test");
    let database = Sqlite::default().scratch(op).unwrap_or_else(|failure| panic!("{failure}"));
    let survey = || database.survey(op, "history").unwrap_or_else(|failure| panic!("{failure}"));
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
        "CREATE TABLE n(id INTEGER PRIMARY KEY); INSERT INTO n SELECT id FROM a; DROP TABLE a; \
         ALTER TABLE n RENAME TO a",
        &["column a.b (2 values)"],
    );
    // The freed page is given to another table.
    check("DROP TABLE full; CREATE TABLE fresh(y)", &["table full (1 row)"]);
    check(
        "DROP TABLE full; CREATE TABLE fresh(x); INSERT INTO fresh VALUES ('factory')",
        &["table full (1 row)"],
    );
    // A rebuild that forgets a column, or a row's value.
    check(
        "CREATE TABLE n(id INTEGER PRIMARY KEY, b TEXT, unit TEXT NOT NULL DEFAULT 'C', n \
         INTEGER DEFAULT 7, g AS (id * 2)); INSERT INTO n(id) SELECT id FROM a; DROP TABLE a; \
         ALTER TABLE n RENAME TO a",
        &["all of 2 values of column a.b"],
    );
    check("UPDATE a SET b = NULL", &["all of 2 values of column a.b"]);
    check("DELETE FROM a WHERE id = 1", &["1 of 3 rows of table a"]);
    check(
        "DELETE FROM a WHERE id = 1; UPDATE a SET b = NULL",
        &["1 of 3 rows of table a", "all of 2 values of column a.b"],
    );
}

#[test]
fn what_holds_nothing_of_its_own_is_no_loss() {
    check("DROP TABLE empty", &[]);
    check("ALTER TABLE a DROP COLUMN unit", &[]);
    check("ALTER TABLE a DROP COLUMN n", &[]);
    check("ALTER TABLE a DROP COLUMN g", &[]);
    check("UPDATE a SET unit = 'F' WHERE id = 2; ALTER TABLE a DROP COLUMN unit", &[]);
    // What a migration fills in, its way back takes out again.
    check("UPDATE a SET b = NULL WHERE id = 1", &[]);
    // Another default makes values of what was one, or the other way round.
    for default in ["'C'", "'D'", "NULL"] {
        check(
            &format!(
                "CREATE TABLE n(id INTEGER PRIMARY KEY, b TEXT, unit TEXT DEFAULT {default}, n \
                 INTEGER DEFAULT 7, g AS (id * 2)); INSERT INTO n(id, b, unit, n) SELECT id, \
                 b, unit, n FROM a; DROP TABLE a; ALTER TABLE n RENAME TO a"
            ),
            &[],
        );
    }
}

/// Every kind of literal that a default can be, of every affinity; what is computed anew for
/// each row may be any value.
#[test]
fn a_value_that_is_its_columns_default_is_no_loss() {
    for default in [
        "X'00'", "x''", "1e3", "-1.5E-3", "0x10", "+7", ".5", "'it''s'", "''", "NULL", "TRUE",
        "false", "(1)", "('x')",
    ] {
        for kind in ["", "BLOB", "TEXT", "INTEGER", "REAL", "NUMERIC"] {
            // A number becomes one text in rows that were there, and may become another in new
            // ones: SQLite's own doing.
            if kind == "TEXT" && !default.contains('\'') {
                continue;
            }
            let add = format!("ALTER TABLE full ADD COLUMN more {kind} DEFAULT {default}");
            let op = Op("test");
            let database =
                Sqlite::default().scratch(op).unwrap_or_else(|failure| panic!("{failure}"));
            let survey =
                || database.survey(op, "history").unwrap_or_else(|failure| panic!("{failure}"));
            let run =
                |sql: &str| database.run(op, sql).unwrap_or_else(|failure| panic!("{failure}"));
            run(&format!("CREATE TABLE full(x); {add}; INSERT INTO full(x) VALUES (1), (2)"));
            let before = survey();
            run("ALTER TABLE full DROP COLUMN more");
            assert_eq!(survey().lacks(&before), Vec::<String>::new(), "{add}");
            for other in ["'other'", "5"] {
                run(&format!("{add}; UPDATE full SET more = {other} WHERE x = 1"));
                let before = survey();
                run("ALTER TABLE full DROP COLUMN more");
                assert_eq!(
                    survey().lacks(&before),
                    ["column full.more (1 value)"],
                    "{add}, then {other}"
                );
            }
        }
    }
}

/// SQLite answers with no more columns than a table may have, and several are asked of each.
#[test]
fn a_table_as_wide_as_sqlite_allows_is_counted() {
    let columns =
        |count: usize| (0..count).map(|at| format!("c{at}")).collect::<Vec<_>>().join(", ");
    for count in [99, 100, 101, 500, 2000] {
        let op = Op("test");
        let database = Sqlite::default().scratch(op).unwrap_or_else(|failure| panic!("{failure}"));
        let run = |sql: &str| database.run(op, sql).unwrap_or_else(|failure| panic!("{failure}"));
        let survey =
            || database.survey(op, "history").unwrap_or_else(|failure| panic!("{failure}"));
        run(&format!("CREATE TABLE wide({})", columns(count)));
        let last = count - 1;
        run(&format!("INSERT INTO wide(c0, c{last}) VALUES (1, 'a'), (2, 'b')"));
        let before = survey();
        run(&format!("UPDATE wide SET c{last} = NULL"));
        let lost = format!("all of 2 values of column wide.c{last}");
        assert_eq!(survey().lacks(&before), [lost], "{count}");
    }
}

/// What a collation takes for equal is another value all the same.
#[test]
fn a_collation_hides_no_value() {
    for (collation, values) in [("NOCASE", ["Key", "KEY"]), ("RTRIM", ["key ", "key  "])] {
        let values = values.map(|value| format!("UPDATE full SET k = '{value}' WHERE x = "));
        let full = format!(
            "INSERT INTO full VALUES (2); ALTER TABLE full ADD COLUMN k TEXT COLLATE \
             {collation} DEFAULT 'key'; {}1; {}2",
            values[0], values[1]
        );
        let op = Op("test");
        let database = Sqlite::default().scratch(op).unwrap_or_else(|failure| panic!("{failure}"));
        let run = |sql: &str| database.run(op, sql).unwrap_or_else(|failure| panic!("{failure}"));
        let survey =
            || database.survey(op, "history").unwrap_or_else(|failure| panic!("{failure}"));
        run(BEFORE);
        run(&full);
        let before = survey();
        run("UPDATE full SET k = NULL");
        assert_eq!(survey().lacks(&before), ["all of 2 values of column full.k"]);
        run("ALTER TABLE full DROP COLUMN k");
        assert_eq!(survey().lacks(&before), ["column full.k (2 values)"]);
    }
}

#[test]
fn a_name_in_other_letters_is_the_same() {
    let again = "CREATE TABLE n(x); INSERT INTO n SELECT x FROM full; DROP TABLE full; ALTER \
                 TABLE n RENAME TO FULL";
    check(again, &[]);
    check(&format!("{again}; DELETE FROM full"), &["1 of 1 row of table full"]);
    check(
        "DROP TABLE own; CREATE VIRTUAL TABLE OWN USING fts5(body, extra); INSERT INTO own \
           VALUES ('one', NULL), ('two', 'x')",
        &[],
    );
}

#[test]
fn what_is_renamed_is_no_loss() {
    check("ALTER TABLE full RENAME TO other", &[]);
    check("ALTER TABLE a RENAME COLUMN b TO c", &[]);
    check("ALTER TABLE a RENAME COLUMN b TO c; UPDATE a SET c = NULL", &["column a.b (2 values)"]);
}

#[test]
fn a_virtual_table_counts_as_itself_and_its_shadows_as_nothing() {
    check("DROP TABLE own", &["table own (2 rows)"]);
    check("DELETE FROM own WHERE rowid = 1", &["1 of 2 rows of table own"]);
    check(
        "DROP TABLE own; CREATE VIRTUAL TABLE own USING fts5(body); INSERT INTO own VALUES \
         ('a'), ('b')",
        &["column own.extra (1 value)"],
    );
    check("INSERT INTO own(own) VALUES ('rebuild')", &[]);
    check("DROP TABLE boxes", &["table boxes (1 row)"]);
    // The text is another table's.
    check("DROP TABLE index_of_a", &[]);
    check("DROP TABLE bare", &["table bare (1 row)"]);
}
