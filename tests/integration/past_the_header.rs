//! Owns the tests of a database whose header, or first page, is damaged, and whose rows are there.
//! Promises: the test writes over bytes that it names; every row that does not stand in them must
//! be in its table, or aside and in the report.
//! Never lets SQLite open the files before the program under test has.

use crate::carry_over::rows;
use crate::device::TestDevice;
use crate::lost::made_aside;
use crate::oracle::Copy;
use rusqlite::Connection;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

fn now(device: &TestDevice, table: &str) -> Vec<String> {
    rows(&Copy::of(&device.main()).unwrap().open(), table)
}

fn application(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

fn write_over(device: &TestDevice, offset: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

fn number(device: &TestDevice, sql: &str) -> i64 {
    Copy::of(&device.main()).unwrap().open().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// So many rows, one for each number.
fn insert(table: &str, values: &str, count: usize) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO {table} SELECT {values} FROM n;"
    )
}

/// The firmware's one table has two rows; the application's own table 300, and rows that were put
/// aside earlier 200.
fn with_own_tables() -> TestDevice {
    let device = TestDevice::empty(0)
        .file(("V1__t.sql", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);\n"));
    assert_eq!(device.run(&["run"]).exit, "0");
    let own = insert("own", "i, 'row ' || i, i * 2", 300);
    let lost = insert("lost_t", "i, 'a'", 200);
    application(
        &device,
        &format!(
            "INSERT INTO t VALUES (1, 'a'), (2, 'b'); CREATE TABLE own (x, y, z); {} {own} {lost}",
            made_aside("lost_t", "id, v")
        ),
    );
    device
}

#[test]
fn tables_that_no_migration_makes_outlive_a_damaged_header() {
    for (what, offset, bytes) in [
        ("the magic", 0, b"xxxxxxxxxxxxxxxx".as_slice()),
        ("the page size", 16, &[2, 0]),
        ("an impossible page size", 16, &[3, 3]),
        ("the whole header", 0, &[0; 100]),
    ] {
        let device = with_own_tables();
        let (own, aside) = (now(&device, "own"), now(&device, "lost_t"));
        write_over(&device, offset, bytes);
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "11", "{what}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("lost: 300 rows of own (in lost_own)"),
            "{what}: {}",
            ran.stderr
        );
        assert_eq!(now(&device, "t").len(), 2, "{what}");
        assert_eq!(now(&device, "lost_own"), own, "{what}");
        assert_eq!(now(&device, "lost_t"), aside, "{what}");
        assert_eq!(device.run(&["run"]).exit, "0", "{what}");
    }
}

#[test]
fn what_the_header_says_beside_the_damage_is_kept() {
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);\n";
    let device = TestDevice::empty(0).file(("V1__t.sql", table));
    assert_eq!(device.run(&["run"]).exit, "0");
    let rows = insert("t (v)", "'v'", 500);
    application(
        &device,
        &format!(
            "PRAGMA user_version = 42; PRAGMA application_id = 77; {rows} DELETE FROM t WHERE id \
             > 480"
        ),
    );
    write_over(&device, 0, b"xxxxxxxxxxxxxxxx");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    assert_eq!(number(&device, "PRAGMA user_version"), 42);
    assert_eq!(number(&device, "PRAGMA application_id"), 77);
    assert_eq!(number(&device, "SELECT seq FROM sqlite_sequence WHERE name = 't'"), 500);
    assert_eq!(number(&device, "SELECT count(*) FROM t"), 480);
}

#[test]
fn a_file_that_was_cut_at_the_end_of_a_page_keeps_its_schema() {
    let device = TestDevice::empty(0).file((
        "V1__t.sql",
        "CREATE VIRTUAL TABLE note USING fts5(title, body);\nCREATE TABLE t (id INTEGER PRIMARY \
         KEY, v TEXT);\n",
    ));
    assert_eq!(device.run(&["run"]).exit, "0");
    let own = insert("own", "i, i, i", 200);
    let notes = insert("note", "'title ' || i, 'body'", 200);
    let rows = insert("t", "i, 'a value of some length'", 2000);
    application(
        &device,
        &format!("PRAGMA user_version = 42; CREATE TABLE own (x, y, z); {own} {notes} {rows}"),
    );
    let before = now(&device, "t");
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    file.set_len(file.metadata().unwrap().len() - 4096).unwrap();
    drop(file);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert!(ran.stderr.contains("200 rows of own (in lost_own)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("rows of t that cannot be read"), "{}", ran.stderr);
    assert_eq!(number(&device, "SELECT count(*) FROM note WHERE note MATCH 'body'"), 200);
    assert_eq!(number(&device, "PRAGMA user_version"), 42);
    assert_eq!(number(&device, "SELECT count(*) FROM lost_own"), 200);
    let after = now(&device, "t");
    assert!(after.iter().all(|row| before.contains(row)));
    assert!((1800..2000).contains(&after.len()), "{} rows", after.len());
}

#[test]
fn rows_of_two_columns_are_not_taken_for_sqlites_own() {
    for (key, extra) in
        [("AUTOINCREMENT", ""), ("AUTOINCREMENT", "CREATE TABLE u (k TEXT, n INT);")]
    {
        let sql = format!("CREATE TABLE t (id INTEGER PRIMARY KEY {key}, v TEXT);\n{extra}\n");
        let device = TestDevice::empty(0).file(("V1__t.sql", &sql));
        assert_eq!(device.run(&["run"]).exit, "0");
        application(&device, &insert("t (v)", "'v' || i", 480));
        if !extra.is_empty() {
            application(&device, &insert("u", "'k' || i, i", 100));
        }
        write_over(&device, 0, &[0; 4096]);
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "11", "{extra}: {}", ran.stderr);
        assert_eq!(now(&device, "t").len(), 480, "{extra}: {}", ran.stderr);
        if !extra.is_empty() {
            assert_eq!(now(&device, "u").len(), 100, "{}", ran.stderr);
        }
    }
}

#[test]
fn a_table_of_two_thousand_columns_is_saved() {
    for count in [1000, 1997, 2000] {
        let columns: Vec<String> = (0..count).map(|column| format!("c{column}")).collect();
        let sql = format!("CREATE TABLE t ({});\nCREATE TABLE o (x);\n", columns.join(", "));
        let device = TestDevice::empty(0).file(("V1__t.sql", &sql));
        assert_eq!(device.run(&["run"]).exit, "0", "{count}");
        let last = count - 1;
        application(&device, &format!("INSERT INTO t (c{last}) VALUES ('z')"));
        application(&device, "INSERT INTO o VALUES (1)");
        write_over(&device, 0, b"xxxxxxxxxxxxxxxx");
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "{count}: {}", ran.stderr);
        let here = format!("SELECT count(*) FROM t WHERE c{last} = 'z'");
        assert_eq!(number(&device, &here), 1, "{count}");
        assert_eq!(number(&device, "SELECT count(*) FROM o"), 1, "{count}");
    }
}

#[test]
fn a_field_that_no_sqlite_has_written_is_damage_and_one_of_a_later_is_not() {
    for (what, offset, byte, exit, word) in [
        ("a byte that SQLite does not look at", 44, 0x80, "0", "at version 40"),
        ("far more than there is", 47, 0x80, "0", "an impossible schema format"),
        ("one more than there is", 47, 5, "12", "its schema format is 5"),
        ("a read version", 19, 3, "12", "its file format is 3"),
    ] {
        let device = TestDevice::at(40);
        let children = now(&device, "child");
        write_over(&device, offset, &[byte]);
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, exit, "{what}: {}", ran.stderr);
        assert!(ran.stderr.contains(word), "{what}: {}", ran.stderr);
        if exit == "0" {
            assert_eq!(now(&device, "child"), children, "{what}");
        }
    }
}

#[test]
fn bits_of_the_text_encoding_that_sqlite_does_not_read_cost_no_row() {
    for (offset, byte) in [(56, 0x80), (57, 1), (59, 0x41)] {
        let device = TestDevice::at(40);
        assert_eq!(device.run(&["snapshot", "create", "--db", "settings"]).exit, "0");
        application(&device, "UPDATE parent SET name = name || ' later'");
        let (parents, children) = (now(&device, "parent"), now(&device, "child"));
        write_over(&device, offset, &[byte]);
        let device = device.firmware(41);
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "byte {offset}: {}", ran.stderr);
        assert!(ran.stderr.contains("migrated from 40 to 41"), "byte {offset}: {}", ran.stderr);
        assert_eq!(number(&device, "SELECT count(*) FROM parent WHERE name LIKE '% later'"), 2000);
        assert_eq!(
            (now(&device, "parent").len(), now(&device, "child")),
            (parents.len(), children)
        );
    }
}

#[test]
fn a_new_file_has_pages_as_the_old_one_had() {
    let device = TestDevice::at(40);
    application(&device, "PRAGMA page_size = 1024; PRAGMA auto_vacuum = INCREMENTAL; VACUUM;");
    let pages = |device: &TestDevice| {
        (number(device, "PRAGMA page_size"), number(device, "PRAGMA auto_vacuum"))
    };
    assert_eq!(pages(&device), (1024, 2));
    // A leaf of the file's end.
    let length = File::open(device.main()).unwrap().metadata().unwrap().len();
    write_over(&device, length - 1024, &[0xa5; 1024]);
    let ran = device.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(pages(&device), (1024, 2), "{}", ran.stderr);
}

/// So many tables that the schema needs several pages.
fn with_a_long_schema() -> TestDevice {
    let tables: String = (0..60)
        .map(|table| {
            format!("CREATE TABLE a_table_of_a_long_name_{table} (id INTEGER PRIMARY KEY, a, b);\n")
        })
        .collect();
    let device = TestDevice::empty(0).file(("V1__t.sql", &tables));
    assert_eq!(device.run(&["run"]).exit, "0");
    device
}

#[test]
fn rows_of_a_table_that_half_a_schema_names_are_put_aside() {
    let device = with_a_long_schema();
    application(
        &device,
        &format!("CREATE TABLE own (x, y, z, q); {}", insert("own", "i, i, i, 'text'", 300)),
    );
    let own = now(&device, "own");
    // The schema's first leaf: the last one has the application's table.
    let sql = "SELECT pageno FROM dbstat WHERE name = 'sqlite_schema' AND path = '/000/'";
    let page = number(&device, sql) as u64;
    write_over(&device, (page - 1) * 4096, &[0xa5; 4096]);
    let ran = device.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert!(ran.stderr.contains("300 rows of own (in lost_own)"), "{}", ran.stderr);
    assert_eq!(now(&device, "lost_own"), own);
}

#[test]
fn rows_that_fit_no_table_are_put_aside_where_the_schema_is_gone() {
    let device = with_own_tables();
    write_over(&device, 0, &[0; 4096]);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(now(&device, "t").len(), 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("of pages that fit no table (in lost_pages)"), "{}", ran.stderr);
    // The application's, and those that were put aside earlier.
    assert_eq!(now(&device, "lost_pages").len(), 500, "{}", ran.stderr);
}
