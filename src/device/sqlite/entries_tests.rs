//! Owns the situations in which an index and its table disagree, of every kind of index and of
//! table.
//! Promises: the table is changed while its indexes are not in the schema, so that only they stay
//! as they were.
//! Never touches a file.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::indexes::condition;
use super::*;
use crate::device::sqlite::Sqlite;

const OP: Op = Op("test");
const COUNT: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) ";

fn database(sql: &str) -> Database {
    let database = Sqlite::default().scratch(OP).unwrap();
    database.run(OP, sql).unwrap();
    database
}

/// Changes the table while none of its indexes is in the schema, so that they stay as they were.
fn behind_the_indexes(database: &Database, change: &str) {
    database.defensive(OP, false).unwrap();
    database
        .run(
            OP,
            "CREATE TEMP TABLE hidden AS SELECT * FROM sqlite_schema WHERE type = 'index' AND sql \
             IS NOT NULL",
        )
        .unwrap();
    database
        .run(
            OP,
            "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE type = 'index' AND sql \
             IS NOT NULL; PRAGMA writable_schema = RESET",
        )
        .unwrap();
    database.run(OP, change).unwrap();
    database
        .run(
            OP,
            "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM hidden; PRAGMA \
             writable_schema = RESET; DROP TABLE hidden",
        )
        .unwrap();
}

/// What indexes alone know after this change of the table: rows that are gone, rows that have other
/// values.
#[track_caller]
fn check(schema: &str, change: &str, expected: (u64, u64)) -> Database {
    let database = database(schema);
    behind_the_indexes(&database, change);
    let findings = database.integrity_check(OP).unwrap();
    assert!(
        findings.has(FindingKind::Index) && findings.tables_are_whole(),
        "{schema}: {findings:?}"
    );
    let tables = database.all_tables(OP).unwrap();
    let found = database.index_rows(OP, &tables[0], &findings, &AtomicBool::new(false)).unwrap();
    assert_eq!(
        (found.absent.max(found.counted), found.other, found.unproven.as_slice()),
        (expected.0, expected.1, [].as_slice()),
        "{schema}; {change}"
    );
    found.put_aside(&database, &database.aside(OP, &tables[0], 1).unwrap()).unwrap();
    drop(found);
    drop(tables);
    database
}

#[test]
fn rows_that_are_gone_are_found_in_every_kind_of_index() {
    let rows = |table: &str| {
        format!("{table}; {COUNT} INSERT INTO t(a, b, c) SELECT i, 'b' || i, 'c' FROM n;")
    };
    let gone = "DELETE FROM t WHERE a > 40";
    for index in [
        "CREATE INDEX i ON t(b)",
        "CREATE UNIQUE INDEX i ON t(b)",
        "CREATE INDEX i ON t(b COLLATE NOCASE DESC, a)",
        "CREATE INDEX i ON t(b) WHERE a > 0",
        "CREATE UNIQUE INDEX i ON t(b) WHERE b LIKE 'b%' AND \"a\" <> 0 -- where",
        "CREATE INDEX i ON t(upper(b))",
        "CREATE INDEX i ON t(a, b || 'x') WHERE b IS NOT NULL",
        "CREATE INDEX i ON t(b) WHERE t.c = 'c'",
        "CREATE INDEX i ON t(-a) WHERE c > '' AND b > ''",
        "CREATE INDEX i ON t(b); CREATE INDEX j ON t(a)",
    ] {
        for table in [
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT, c)",
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c)",
            "CREATE TABLE t(a NOT NULL, b TEXT NOT NULL, c NOT NULL, rowid)",
            "CREATE TABLE t(a, b TEXT, c, PRIMARY KEY(a, b)) WITHOUT ROWID",
            "CREATE TABLE t(a, b TEXT COLLATE NOCASE PRIMARY KEY, c) WITHOUT ROWID",
        ] {
            check(&format!("{}{index}", rows(table)), gone, (20, 0));
        }
    }
}

#[test]
fn rows_with_other_values_are_found_too() {
    let rows = format!(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT); {COUNT} INSERT INTO t(a, b) SELECT i, \
         'b' || i FROM n;"
    );
    let other = "UPDATE t SET b = 'B' || a, a = -a WHERE id > 57";
    for index in [
        "CREATE INDEX i ON t(b)",
        "CREATE INDEX i ON t(b COLLATE NOCASE)",
        "CREATE INDEX i ON t(b) WHERE a > 0",
        "CREATE INDEX i ON t(length(b) + a)",
        "CREATE INDEX i ON t(id) WHERE a > 0",
    ] {
        check(&format!("{rows}{index}"), other, (0, 3));
    }
    check(
        &format!("{rows}CREATE INDEX i ON t(b)"),
        "UPDATE t SET b = NULL WHERE id = 1; DELETE FROM t WHERE id = 2",
        (1, 1),
    );
}

#[test]
fn an_index_with_fewer_entries_knows_nothing_alone() {
    let rows = format!(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT); {COUNT} INSERT INTO t(a, b) SELECT i, \
         'b' || i FROM n;"
    );
    for index in [
        "CREATE UNIQUE INDEX i ON t(b)",
        "CREATE INDEX i ON t(b, upper(b))",
        "CREATE INDEX i ON t(a) WHERE b > ''",
    ] {
        check(
            &format!("{rows}{index}"),
            "INSERT INTO t(a, b) VALUES (70, 'more'), (NULL, 'and more')",
            (0, 0),
        );
    }
}

#[test]
fn what_indexes_know_of_one_row_comes_together() {
    let schema = format!(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT, c); {COUNT} INSERT INTO t SELECT i, i * \
         i, 'b' || i, 'c' FROM n;
        INSERT INTO t VALUES (61, NULL, NULL, 'c'); CREATE INDEX i ON t(a); CREATE INDEX j ON t(b) \
         WHERE b IS NOT NULL;"
    );
    let database = check(&schema, "DELETE FROM t WHERE id >= 60", (2, 0));
    let lost = database
        .texts(
            OP,
            "SELECT id || '|' || quote(a) || '|' || quote(b) || '|' || quote(c) FROM lost_t ORDER \
             BY id",
        )
        .unwrap();
    assert_eq!(lost, ["60|3600|'b60'|NULL", "61|NULL|NULL|NULL"]);
}

#[test]
fn a_copy_holds_a_row_only_with_the_values_that_are_known() {
    let schema = format!(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT); {COUNT} INSERT INTO t SELECT i, i, 'b' \
         || i FROM n; CREATE INDEX i ON t(b);"
    );
    let database = database(&schema);
    behind_the_indexes(&database, "DELETE FROM t WHERE id > 50");
    let findings = database.integrity_check(OP).unwrap();
    let tables = database.all_tables(OP).unwrap();
    let found = database.index_rows(OP, &tables[0], &findings, &AtomicBool::new(false)).unwrap();
    for (copy, held) in [
        (schema.clone(), 10),
        (format!("{schema} UPDATE t SET a = 0"), 10),
        (format!("{schema} UPDATE t SET b = 'x' WHERE id = 51; DELETE FROM t WHERE id = 52"), 8),
        ("CREATE TABLE other(x)".to_owned(), 0),
        ("CREATE TABLE t(x TEXT PRIMARY KEY) WITHOUT ROWID".to_owned(), 0),
    ] {
        assert_eq!(found.held_by(&super::tests::database(&copy)).unwrap(), held, "{copy}");
    }
}

#[test]
fn a_copy_holds_rows_that_are_only_counted_where_their_index_is_about_them() {
    let table = "CREATE TABLE t(a, b TEXT, c, PRIMARY KEY(a, b)) WITHOUT ROWID;";
    let schema = format!(
        "{table} {COUNT} INSERT INTO t SELECT i, 'b' || i, 'c' FROM n; CREATE INDEX i ON t(b) \
         WHERE t.c = 'c';"
    );
    let database = database(&schema);
    behind_the_indexes(&database, "DELETE FROM t WHERE a > 50");
    let findings = database.integrity_check(OP).unwrap();
    let tables = database.all_tables(OP).unwrap();
    let found = database.index_rows(OP, &tables[0], &findings, &AtomicBool::new(false)).unwrap();
    assert_eq!((found.absent, found.counted), (0, 10));
    for (copy, held) in [
        (schema.clone(), 10),
        (format!("{schema} DELETE FROM t WHERE a = 60"), 9),
        // More rows than the table has, and not those.
        (format!("{schema} UPDATE t SET c = 'd' WHERE a > 50"), 0),
        (format!("{schema} DELETE FROM t WHERE a > 57; INSERT INTO t VALUES (70, 'b70', NULL), \
                  (71, 'b71', 'd')"), 7),
        ("CREATE TABLE t(a, b TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID; INSERT INTO t VALUES (60, \
          'b60')".to_owned(), 0),
    ] {
        assert_eq!(found.held_by(&super::tests::database(&copy)).unwrap(), held, "{copy}");
    }
}

#[test]
fn the_condition_of_a_partial_index_is_found_in_its_text() {
    assert_eq!(
        condition("CREATE INDEX \"where\" ON t(a /* where */, (b = 'where'))  WHERE b > 1")
            .map(str::trim),
        Some("b > 1")
    );
    assert_eq!(condition("CREATE INDEX [where] ON where_t(a) -- where x\n where(b)"), Some("(b)"));
    assert_eq!(condition("CREATE INDEX i ON t(a)"), None);
}
