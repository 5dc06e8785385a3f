//! Owns the tests of foreign keys: which cannot work, which are violated, and what was so before.
//! Promises: every change is looked at before and after on a real database, as a run does.
//! Never opens a file.

#![allow(clippy::unwrap_used)]

use super::*;

const BEFORE: &str = "CREATE TABLE parent(id INTEGER PRIMARY KEY, code TEXT UNIQUE, a, b, \
                      UNIQUE(a, b));
    CREATE TABLE child(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id), code TEXT \
                      REFERENCES parent(code));
    CREATE TABLE pair(a, b, FOREIGN KEY (b, a) REFERENCES parent(b, a));
    INSERT INTO parent VALUES (1, 'x', 1, 1), (2, 'y', 2, 2);
    INSERT INTO child VALUES (1, 1, 'x'), (2, 2, NULL);
    INSERT INTO pair VALUES (1, 1), (2, NULL);";
/// The same with foreign keys that never fitted.
const MISMATCH: &str = "CREATE TABLE repo(name TEXT, n);
    CREATE TABLE branch(id INTEGER PRIMARY KEY, repo TEXT REFERENCES repo(name), parent INTEGER \
                        REFERENCES parent(id));
    INSERT INTO repo VALUES ('r', 1);
    INSERT INTO branch VALUES (1, 'r', 1);";

fn opened(schema: &[&str]) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    schema.iter().for_each(|sql| connection.execute_batch(sql).unwrap());
    connection
}

/// What got worse by a change: foreign keys that work no more, then `child parent rows`.
#[track_caller]
fn check(before: &[&str], change: &str, expected: &[&str]) {
    let connection = opened(before);
    let old = look(&connection).unwrap();
    connection.execute_batch(change).unwrap();
    let worse = look(&connection).unwrap().worse_than(&old);
    let violated = worse
        .violated
        .iter()
        .map(|Violated { child, parent, count, .. }| format!("{child} {parent} {count}"));
    let seen: Vec<String> = worse.broken.iter().cloned().chain(violated).collect();
    assert_eq!(seen, expected, "{change}");
}

#[test]
fn what_holds_is_not_named() {
    for before in [&[BEFORE][..], &[BEFORE, MISMATCH]] {
        check(before, "SELECT 1", &[]);
        check(before, "UPDATE parent SET a = a + 0; INSERT INTO child VALUES (9, NULL, NULL)", &[]);
        check(before, "ALTER TABLE parent RENAME TO PARENTS", &[]);
        check(before, "ALTER TABLE parent RENAME COLUMN code TO name", &[]);
        check(
            before,
            "CREATE TABLE n AS SELECT * FROM child; DROP TABLE child; ALTER TABLE n RENAME TO \
             child",
            &[],
        );
        // References are not told apart by case.
        check(
            before,
            "CREATE TABLE third(x INTEGER REFERENCES PARENT(ID)); INSERT INTO third VALUES (1)",
            &[],
        );
    }
}

#[test]
fn a_table_that_never_fitted_hides_nothing_of_the_others() {
    for before in [&[BEFORE][..], &[BEFORE, MISMATCH]] {
        let orphan = if before.len() == 1 {
            vec!["child parent 1"]
        } else {
            vec!["branch parent 1", "child parent 1"]
        };
        check(
            before,
            "DELETE FROM parent WHERE id = 1; DELETE FROM pair; UPDATE child SET code = NULL",
            &orphan,
        );
        check(before, "INSERT INTO pair VALUES (7, 7)", &["pair parent 1"]);
    }
    // Nor of another foreign key of its own.
    check(&[BEFORE, MISMATCH], "INSERT INTO branch VALUES (2, 'r', 77)", &["branch parent 1"]);
    check(
        &[BEFORE, MISMATCH],
        "CREATE TABLE late(x TEXT REFERENCES repo(n))",
        &["the foreign key late(x) refers to repo(n), which is neither the primary key nor unique \
           there"],
    );
}

#[test]
fn a_parent_that_is_gone() {
    let gone = |table: &str, columns: &str| {
        format!(
            "the foreign key {table}({columns}) refers to table parent_old, which does not exist"
        )
    };
    check(
        &[BEFORE],
        "ALTER TABLE parent RENAME TO parent_old; CREATE TABLE parent(id INTEGER PRIMARY KEY, code \
         TEXT UNIQUE, a, b, UNIQUE(a, b));
         INSERT INTO parent SELECT * FROM parent_old; DROP TABLE parent_old; DELETE FROM child; \
         DELETE FROM pair",
        &[&gone("child", "code"), &gone("child", "parent"), &gone("pair", "b, a")],
    );
    check(
        &[BEFORE],
        "CREATE TABLE late(x REFERENCES nowhere)",
        &["the foreign key late(x) refers to table nowhere, which does not exist"],
    );
    // It never was there: one more is one more.
    let ghost = "CREATE TABLE lost(x REFERENCES ghost(id)); INSERT INTO lost VALUES (1);";
    check(&[BEFORE, ghost], "INSERT INTO child VALUES (3, NULL, NULL)", &[]);
    check(
        &[BEFORE, ghost],
        "ALTER TABLE lost ADD COLUMN y REFERENCES nowhere(id)",
        &["the foreign key lost(y) refers to table nowhere, which does not exist"],
    );
}

#[test]
fn a_parent_key_that_is_none_any_more() {
    let rebuilt = |columns: &str| {
        format!(
            "CREATE TABLE n({columns}); INSERT INTO n SELECT id, code, a, b FROM parent; DROP \
             TABLE parent; ALTER TABLE n RENAME TO parent"
        )
    };
    check(
        &[BEFORE],
        &rebuilt("id INTEGER PRIMARY KEY, code TEXT, a, b, UNIQUE(a, b)"),
        &["the foreign key child(code) refers to parent(code), which is neither the primary key \
           nor unique there"],
    );
    check(
        &[BEFORE],
        &rebuilt("id INTEGER PRIMARY KEY, name TEXT UNIQUE, a, b, UNIQUE(a, b)"),
        &["the foreign key child(code) refers to parent(code), and parent has no column code"],
    );
    check(
        &[BEFORE],
        &rebuilt("id INTEGER PRIMARY KEY, code TEXT UNIQUE, a, b, UNIQUE(a)"),
        &["the foreign key pair(b, a) refers to parent(b, a), which is neither the primary key nor \
           unique there"],
    );
    // A partial index is no key, and neither is one in another order of letters.
    check(
        &[BEFORE],
        &format!(
            "{}; CREATE UNIQUE INDEX i ON parent(code) WHERE code > 'a'",
            rebuilt("id INTEGER PRIMARY KEY, code TEXT, a, b, UNIQUE(a, b)")
        ),
        &["the foreign key child(code) refers to parent(code), which is neither the primary key \
           nor unique there"],
    );
    check(
        &[BEFORE],
        &format!(
            "{}; CREATE UNIQUE INDEX i ON parent(code COLLATE NOCASE)",
            rebuilt("id INTEGER PRIMARY KEY, code TEXT, a, b, UNIQUE(a, b)")
        ),
        &["a foreign key of child does not fit: foreign key mismatch - \"child\" \
           referencing \"parent\""],
    );
    check(
        &[BEFORE],
        "DROP TABLE parent; CREATE VIEW parent AS SELECT 1 AS id, 'x' AS code, 1 AS a, 1 AS b",
        &[
            "the foreign key child(code) refers to parent, which is no ordinary table",
            "the foreign key child(parent) refers to parent, which is no ordinary table",
            "the foreign key pair(b, a) refers to parent, which is no ordinary table",
        ],
    );
}

#[test]
fn a_primary_key_that_is_not_written_out() {
    let before =
        "CREATE TABLE p(a, b, PRIMARY KEY(b, a)); CREATE TABLE c(x, y, FOREIGN KEY (x, y) \
         REFERENCES p); INSERT INTO p VALUES (1, 2);
        INSERT INTO c VALUES (2, 1);";
    check(&[before], "INSERT INTO c VALUES (1, 2)", &["c p 1"]);
    check(&[before, MISMATCH, BEFORE], "INSERT INTO c VALUES (1, 2)", &["c p 1"]);
    check(
        &[before],
        "CREATE TABLE n(a PRIMARY KEY, b); INSERT INTO n SELECT * FROM p; DROP TABLE p; ALTER \
         TABLE n RENAME TO p",
        &["the foreign key c(x, y) refers to the primary key of p, which has 1 columns"],
    );
}

#[test]
fn values_are_compared_as_the_parent_compares_them() {
    // `branch` keeps SQLite from checking the table, so that each foreign key is looked at by
    // itself.
    let before = "CREATE TABLE p(id INTEGER PRIMARY KEY, t TEXT UNIQUE COLLATE NOCASE, n NUMERIC \
                  UNIQUE); CREATE TABLE bad(x);
        CREATE TABLE c(t REFERENCES p(t), n TEXT REFERENCES p(n), bad REFERENCES bad(x)); INSERT \
                  INTO p VALUES (1, 'Abc', 7);
        INSERT INTO c VALUES ('aBC', '7.0', NULL);";
    check(&[before], "INSERT INTO c VALUES ('ABC', '7', 1)", &[]);
    check(&[before], "INSERT INTO c VALUES ('abd', '8', 1)", &["c p 2"]);
}

#[test]
fn a_key_in_another_collation_is_not_compared_row_by_row() {
    let before = "CREATE TABLE p(t TEXT); CREATE UNIQUE INDEX i ON p(t COLLATE NOCASE); CREATE \
                  TABLE c(t TEXT REFERENCES p(t));
        INSERT INTO p VALUES ('a'); INSERT INTO c VALUES ('b');";
    let found = look(&opened(&[before])).unwrap();
    let sentence =
        "a foreign key of c does not fit: foreign key mismatch - \"c\" referencing \"p\"";
    assert_eq!(found.worse_than(&References::default()).broken, [sentence]);
    // Every row of the one would be compared with every row of the other.
    assert_eq!(found.violations, BTreeMap::new());
}

#[test]
fn what_was_accepted_was_there_before() {
    let connection = opened(&[BEFORE, MISMATCH]);
    let now = look(&connection).unwrap();
    let worse = now.worse_than(&References::default());
    assert_eq!(
        worse.broken,
        ["the foreign key branch(repo) refers to repo(name), which is neither the primary key nor \
          unique there"]
    );
    let mut before = References::default();
    before.accept(now.clone(), false);
    assert_eq!(now.worse_than(&before), Worse::default());
    assert_eq!(now.broken_as_before(&before), worse.broken);
}

/// One that is mended makes no room for another: a row, or a foreign key.
#[test]
fn what_was_broken_before_hides_nothing_that_is_new() {
    let orphans = "INSERT INTO child VALUES (3, 99, NULL), (4, 98, NULL);";
    check(&[BEFORE, orphans], "DELETE FROM child WHERE id > 2", &[]);
    check(
        &[BEFORE, orphans],
        "DELETE FROM child WHERE id > 2; DELETE FROM pair; DELETE FROM parent WHERE id = 2",
        &["child parent 1"],
    );
    check(
        &[BEFORE, orphans, MISMATCH],
        "DELETE FROM child WHERE id > 2; DELETE FROM pair; DELETE FROM parent WHERE id = 2",
        &["child parent 1"],
    );
    // Of a clean table, and an unrelated one with violations goes.
    let other = "CREATE TABLE other(id INTEGER PRIMARY KEY, parent REFERENCES parent(id)); INSERT \
                 INTO other VALUES (1, 98), (2, 99);";
    check(
        &[BEFORE, other],
        "DROP TABLE other; DELETE FROM pair; UPDATE child SET code = NULL; DELETE FROM parent",
        &["child parent 2"],
    );
    // A foreign key, beside one that never fitted.
    let unfit = "CREATE TABLE other(a REFERENCES parent(absent));";
    check(
        &[BEFORE, unfit],
        "DROP TABLE other; CREATE TABLE n(id INT, code TEXT UNIQUE, a, b, UNIQUE(a, b)); DROP \
         TABLE parent; ALTER TABLE n RENAME TO parent; DELETE FROM child; DELETE FROM pair",
        &["the foreign key child(parent) refers to parent(id), which is neither the primary key \
           nor unique there"],
    );
}

/// A rebuild, other names, other keys: the same rows violate the same.
#[test]
fn a_row_that_violated_before_is_known_again() {
    let orphans = "INSERT INTO child VALUES (3, 99, NULL), (4, 98, NULL); CREATE TABLE bare(x, \
                   parent REFERENCES parent(id)); INSERT INTO bare VALUES ('a', 1), ('b', 97), \
                   ('c', 97); DELETE FROM bare WHERE x = 'a'; CREATE TABLE kv(k, parent REFERENCES \
                   parent(id), PRIMARY KEY(k)) WITHOUT ROWID; INSERT INTO kv VALUES ('k', 96);";
    for change in [
        "DELETE FROM child WHERE id = 3",
        "ALTER TABLE child RENAME TO kid; ALTER TABLE bare RENAME TO naked",
        "ALTER TABLE child RENAME COLUMN parent TO owner; ALTER TABLE parent RENAME TO elder",
        "CREATE TABLE n(x, parent TEXT REFERENCES parent(id)); INSERT INTO n SELECT * FROM bare; \
         DROP TABLE bare; ALTER TABLE n RENAME TO bare",
        "UPDATE child SET parent = parent + 1000 WHERE id > 2",
        "UPDATE kv SET parent = 95",
        "CREATE TABLE n(id INTEGER PRIMARY KEY, parent REFERENCES parent(id)); INSERT INTO n \
         SELECT id, parent FROM child; DROP TABLE child; INSERT INTO n SELECT rowid + 10, parent \
         FROM bare; DROP TABLE bare; ALTER TABLE n RENAME TO child",
    ] {
        check(&[BEFORE, orphans], change, &[]);
        check(&[BEFORE, MISMATCH, orphans], change, &[]);
    }
    check(&[BEFORE, orphans], "INSERT INTO bare VALUES ('d', 97)", &["bare parent 1"]);
    check(&[BEFORE, orphans], "INSERT INTO child VALUES (5, 99, NULL)", &["child parent 1"]);
}

/// More than are told apart are counted, table by table.
#[test]
fn very_many_rows_are_counted() {
    let many = "WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 70000) INSERT \
                INTO child SELECT i + 10, i + 1000, NULL FROM n;";
    check(&[BEFORE, many], "DELETE FROM child WHERE id = 11", &[]);
    check(&[BEFORE, many], "INSERT INTO child VALUES (9, 99, NULL)", &["child parent 70001"]);
}

#[test]
fn rows_are_named_and_those_past_the_limit_counted() {
    let connection = opened(&[BEFORE]);
    connection.execute_batch("INSERT INTO child VALUES (6, 7, NULL)").unwrap();
    let before = look(&connection).unwrap();
    connection
        .execute_batch("INSERT INTO child VALUES (3, 7, NULL), (4, 8, NULL), (5, 9, NULL)")
        .unwrap();
    let worse = look(&connection).unwrap().worse_than(&before);
    assert_eq!(
        super::rows(&connection, &worse.violated, 2).unwrap(),
        [
            "child rowid 3 names no row of parent",
            "child rowid 4 names no row of parent",
            "and 1 more"
        ]
    );
}
