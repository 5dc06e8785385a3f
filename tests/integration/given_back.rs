//! Owns the tests of rows put aside that go back to tables of every kind: with a search index
//! beside them, with keys that lead round, virtual ones, and after a time under newer firmware.
//! Promises: what is in the tables, and what the index finds, is asked of plain SQLite.
//! Never tests what `lost list`, `export` and `drop` do.

use crate::device::TestDevice;
use crate::lost::made_aside;
use crate::oracle::Copy;
use crate::quarantine::runs;
use rusqlite::Connection;
use std::fs;

fn by_hand(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

/// The first column of a query, in one line.
fn ask(device: &TestDevice, sql: &str) -> String {
    let copy = Copy::of(&device.main()).unwrap();
    let connection = copy.open();
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    let shown = |value| match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Real(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    };
    rows.map(|row| shown(row.unwrap())).collect::<Vec<String>>().join(" ")
}

fn numbers(device: &TestDevice, table: &str) -> String {
    ask(device, &format!("SELECT rowid FROM \"{table}\" ORDER BY rowid"))
}

fn ids(device: &TestDevice, table: &str) -> String {
    ask(device, &format!("SELECT id FROM \"{table}\" ORDER BY id"))
}

/// Firmware that wrote tenths of a degree was replaced by the older one: its row is in `lost_t`.
fn back_from_tenths() -> TestDevice {
    let device = TestDevice::empty(0)
        .key("kind = \"rebuildable\"")
        .key("carry_over = \"*\"")
        .file(("V1__t.sql", "CREATE TABLE t (id INTEGER PRIMARY KEY, celsius REAL);\n"))
        .file(("V2__tenths.sql", "UPDATE t SET celsius = celsius * 10;\n"));
    runs(&device, "run", "0");
    by_hand(&device, "INSERT INTO t VALUES (1, 215)");
    let device = device.without("V2__tenths.sql");
    runs(&device, "run", "11");
    device
}

/// Tenths of a degree would be read as degrees.
#[test]
fn rows_of_newer_firmware_go_back_by_an_operators_word_alone() {
    let device = back_from_tenths();
    let said = runs(&device, "lost list", "0");
    let because = "  because  they had version 2 of newer firmware, where its columns may have \
                   meant something else\n";
    assert!(said.contains(because), "{said}");
    let said = runs(&device, "lost retry --db settings", "0");
    assert!(
        said.contains("lost_t stays: ") && said.contains("its 1 row had version 2 of newer"),
        "{said}"
    );
    assert!(
        said.contains("`lost retry lost_t --db settings --yes` gives them back all the same."),
        "{said}"
    );
    assert_eq!((ids(&device, "t"), ids(&device, "lost_t")), (String::new(), "1".to_owned()));
    runs(&device, "lost retry lost_t --yes --db settings", "0");
    assert_eq!(ask(&device, "SELECT CAST(celsius AS INT) FROM t"), "215");
}

/// The application searches for them, and deletes one.
#[test]
fn a_search_finds_rows_that_went_back() {
    let device = TestDevice::booted_at(40);
    by_hand(
        &device,
        "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT);
         CREATE VIEW shown AS SELECT id, body FROM note;
         CREATE VIRTUAL TABLE f USING fts5(body, content='note', content_rowid='id');
         CREATE VIRTUAL TABLE g USING fts5(body, content='shown', content_rowid='id');
         CREATE TABLE written (n);
         CREATE TRIGGER added AFTER INSERT ON note BEGIN
             INSERT INTO f(rowid, body) VALUES (new.id, new.body);
             INSERT INTO written VALUES (new.id); END;
         CREATE TRIGGER gone AFTER DELETE ON note BEGIN
             INSERT INTO f(f, rowid, body) VALUES ('delete', old.id, old.body);
             INSERT INTO g(g, rowid, body) VALUES ('delete', old.id, old.body); END;",
    );
    by_hand(&device, &made_aside("lost_note", "id, body"));
    by_hand(&device, "INSERT INTO lost_note VALUES (1, 'hello one'), (2, 'hello two')");
    let said = runs(&device, "lost retry --db settings", "0");
    for sentence in [
        "settings: 2 rows of lost_note went back to note; lost_note is dropped.\n",
        "settings: no trigger ran for the rows that went back to note: added.\n",
        "settings: the full-text index f was built again from note.\n",
        "settings: the full-text index g was built again from shown.\n",
    ] {
        assert!(said.contains(sentence), "{sentence}{said}");
    }
    for index in ["f", "g"] {
        let found = format!("SELECT rowid FROM {index}('hello') ORDER BY rowid");
        assert_eq!(ask(&device, &found), "1 2", "{index}");
    }
    assert_eq!(ask(&device, "SELECT count(*) FROM written"), "0");
    by_hand(&device, "DELETE FROM note WHERE id = 2");
    assert_eq!(ask(&device, "SELECT rowid FROM f('hello')"), "1");
    assert_eq!(ask(&device, "PRAGMA integrity_check"), "ok");
}

/// No row of a ring can be the first.
#[test]
fn rows_that_refer_to_each_other_go_back_together() {
    let device = TestDevice::booted_at(40);
    by_hand(
        &device,
        "CREATE TABLE node (id INTEGER PRIMARY KEY, parent INT NOT NULL REFERENCES node, k INT UNIQUE);
         CREATE TABLE a (id INTEGER PRIMARY KEY, b INT NOT NULL REFERENCES b);
         CREATE TABLE b (id INT PRIMARY KEY, a INT NOT NULL REFERENCES a) WITHOUT ROWID;
         CREATE TABLE leaf (id INTEGER PRIMARY KEY, node REFERENCES node);
         INSERT INTO node VALUES (50, 50, 50);",
    );
    for (table, columns) in [
        ("lost_node", "id, parent, k"),
        ("lost_a", "id, b"),
        ("lost_b", "id, a"),
        ("lost_leaf", "id, node"),
    ] {
        by_hand(&device, &made_aside(table, columns));
    }
    by_hand(
        &device,
        // A tree; a row whose parent is not there, and its child; two that refer to each other; one
        // that is refused, and its child; a child of a row of the application's.
        "INSERT INTO lost_node VALUES (1, 1, 1), (2, 1, 2), (3, 2, 3), (4, 99, 4), (5, 4, 5),
             (6, 7, 6), (7, 6, 7), (8, 8, 50), (9, 8, 9), (10, 50, 10);
         INSERT INTO lost_a VALUES (1, 1), (2, 2), (3, 9);
         INSERT INTO lost_b VALUES (1, 1), (2, 3);
         INSERT INTO lost_leaf VALUES (1, 3), (2, 9), (3, NULL);",
    );
    let said = runs(&device, "lost retry --db settings", "0");
    assert_eq!(ids(&device, "node"), "1 2 3 6 7 10 50", "{said}");
    assert_eq!(ids(&device, "lost_node"), "4 5 8 9", "{said}");
    assert_eq!((ids(&device, "a"), ids(&device, "b")), ("1".to_owned(), "1".to_owned()));
    assert_eq!((ids(&device, "lost_a"), ids(&device, "lost_b")), ("2 3".into(), "2".into()));
    assert_eq!((ids(&device, "leaf"), ids(&device, "lost_leaf")), ("1 3".into(), "2".into()));
    assert!(
        said.contains("6 rows of lost_node went back to node, 4 stay: they do not fit."),
        "{said}"
    );
    assert_eq!(ask(&device, "SELECT count(*) FROM pragma_foreign_key_check"), "0");
    assert!(runs(&device, "run", "0").contains("nothing to do"));
    // What was in the way is gone.
    by_hand(&device, "DELETE FROM node WHERE id = 50 OR id = 10");
    runs(&device, "lost retry --db settings", "0");
    assert_eq!((ids(&device, "lost_node"), ids(&device, "leaf")), ("4 5".into(), "1 2 3".into()));
}

/// With the number that a search or a box is known by.
#[test]
fn rows_of_a_virtual_table_go_back_with_their_numbers() {
    let device = TestDevice::empty(0)
        .key("kind = \"rebuildable\"")
        .key("carry_over = \"*\"")
        .file((
            "V1__virtual.sql",
            "CREATE VIRTUAL TABLE f USING fts5(title, body);
             CREATE VIRTUAL TABLE g USING fts4(title);
             CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, +what);\n",
        ))
        .file(("V2__u.sql", "CREATE TABLE u (x);\n"));
    runs(&device, "run", "0");
    by_hand(
        &device,
        "INSERT INTO f(rowid, title, body) VALUES (7, 'one', 'hello'), (9, 'two', 'hello');
         INSERT INTO g(docid, title) VALUES (8, 'hello');
         INSERT INTO r VALUES (5, 1, 2, 'garden');",
    );
    let device = device.without("V2__u.sql");
    runs(&device, "run", "11");
    by_hand(&device, &made_aside("lost_nothing", "id"));
    by_hand(
        &device,
        "INSERT INTO lost_nothing VALUES (1); INSERT INTO f(rowid, body) VALUES (9, 'x')",
    );
    let said = runs(&device, "lost retry --db settings --yes", "0");
    assert!(said.contains("1 row of lost_f went back to f, 1 stay: they do not fit."), "{said}");
    assert!(
        said.contains("lost_nothing stays, with 1 row of nothing: the schema has no such table.")
    );
    assert_eq!(numbers(&device, "f"), "7 9");
    assert_eq!(ask(&device, "SELECT title FROM f('hello')"), "one");
    assert_eq!(ask(&device, "SELECT docid FROM g WHERE g MATCH 'hello'"), "8");
    assert_eq!(ask(&device, "SELECT what FROM r WHERE id = 5 AND x0 = 1"), "garden");
    let left = "SELECT name FROM sqlite_schema WHERE name LIKE 'lost%' ORDER BY name";
    assert_eq!(ask(&device, left), "lost_f lost_nothing");
    assert_eq!(ask(&device, "PRAGMA integrity_check"), "ok");
}

/// SQLite takes a comment in any bytes.
#[test]
fn a_trigger_with_a_comment_in_latin_1_is_no_hindrance() {
    let device = back_from_tenths();
    by_hand(
        &device,
        "CREATE TRIGGER note AFTER INSERT ON t BEGIN /* gr@~~@ */ DELETE FROM t WHERE id > 90; END",
    );
    let mut bytes = fs::read(device.main()).unwrap();
    let at = bytes.windows(4).position(|four| four == b"@~~@").unwrap();
    bytes[at..at + 4].copy_from_slice(b"\xf6\xdf\xf6\xdf");
    fs::write(device.main(), bytes).unwrap();
    let said = runs(&device, "lost retry lost_t --db settings --yes", "0");
    assert!(said.contains("note"), "the trigger that did not run is named: {said}");
    assert_eq!(ids(&device, "t"), "1");
}
