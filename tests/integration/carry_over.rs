//! Owns the tests of a purge that keeps rows: all of them, those of named tables, or aside where a
//! migration does not work on them.
//! Promises: each row of the old database is looked for by plain SQLite: in its table, in
//! `lost_TABLE`, or in the count of the loss.
//! Never counts a row as kept whose values changed.

use crate::device::TestDevice;
use crate::dump::check_op;
use crate::lost::made_aside;
use crate::oracle::{self, Copy};
use crate::product::UNIQUE_BADGE;
use expect_test::expect;
use rusqlite::Connection;

/// Fails where two children have the same amount, as those of the application do.
const UNIQUE_AMOUNT: (&str, &str) =
    ("V41__unique_amount.sql", "CREATE UNIQUE INDEX child_amount ON child (amount);\n");
/// Fails where somebody has made the same index by hand.
const INDEX: (&str, &str) =
    ("V41__index.sql", "CREATE INDEX parent_reading ON parent (reading);\n");

/// The rows of a query, in words that tell types apart, sorted.
pub fn rows(connection: &Connection, table: &str) -> Vec<String> {
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .and_then(|mut statement| statement.query_map([table], |row| row.get(0))?.collect())
        .unwrap();
    let cells: Vec<String> = columns
        .iter()
        .map(|name| format!("typeof(\"{name}\") || ':' || quote(\"{name}\")"))
        .collect();
    let sql = format!(
        "SELECT {} FROM \"{table}\"",
        if cells.is_empty() { "NULL".into() } else { cells.join(" || '|' || ") }
    );
    let mut rows: Vec<String> = connection
        .prepare(&sql)
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .unwrap_or_default();
    rows.sort();
    rows
}

fn now(device: &TestDevice, table: &str) -> Vec<String> {
    rows(&Copy::of(&device.main()).unwrap().open(), table)
}

#[track_caller]
fn kept(device: &TestDevice, wanted: &[String], table: &str) {
    assert!(wanted.len() >= 1000, "the situation is too small");
    assert_eq!(now(device, table), wanted, "the rows of {table}");
}

#[track_caller]
fn said(device: &TestDevice) -> serde_json::Value {
    let report =
        std::fs::read_to_string(device.root().join("run/bootmigrate/status.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&report).unwrap()["databases"][0]["loss"].clone()
}

#[test]
fn a_purge_for_what_was_made_by_hand_keeps_every_row() {
    // Migrated by this program before: what is there already was no half-done migration of another.
    let mut device = TestDevice::at(30).firmware(40);
    assert_eq!(device.run(&["run"]).exit, "0");
    device.databases[0].version = 40;
    let device = device
        .after(|device| Connection::open(device.main()).unwrap().execute_batch(INDEX.1).unwrap());
    let (parents, children) = (now(&device, "parent"), now(&device, "child"));
    let device = device.file(INDEX).key("on_failure = \"purge\"");
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 index, in one transaction, after a snapshot
            exit:     0
            settings: purged 40>41 of 41, applied [10,20,30,40,41], usable, exit 0
            code:     BM-0 settings 40>41
            kept:     quarantine/3 the old files, with a reason
            database: old, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    kept(&device, &parents, "parent");
    kept(&device, &children, "child");
    let reason =
        std::fs::read_to_string(device.state("settings").join("quarantine/3/reason.txt")).unwrap();
    assert!(reason.ends_with("data lost: nothing\n"), "{reason}");
}

#[test]
fn rows_that_a_migration_does_not_work_on_are_put_aside() {
    let device = TestDevice::wal_at(40);
    let (parents, children) = (now(&device, "parent"), now(&device, "child"));
    let device = device.firmware(40).file(UNIQUE_BADGE).key("on_failure = \"purge\"");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    // Children refer to parents: under the fresh database's own parents they would be somebody
    // else's.
    assert_eq!(
        said(&device),
        "2000 rows of child (in lost_child), 2000 rows of parent (in lost_parent)"
    );
    kept(&device, &parents, "lost_parent");
    kept(&device, &children, "lost_child");
    let fresh = oracle::fresh(&device.firmware_folder(), "settings").unwrap();
    assert_eq!(
        (now(&device, "parent").len() as u64, now(&device, "child").len() as u64),
        (fresh.rows["parent"], fresh.rows["child"])
    );
    assert_eq!(device.run(&["run"]).exit, "0");
    kept(&device, &parents, "lost_parent");
    let doctor = device.run(&["doctor"]);
    assert!(doctor.stdout.contains("lost_child, lost_parent\n"), "{}", doctor.stdout);
    assert!(!doctor.stdout.contains("is not from a migration"), "{}", doctor.stdout);
}

/// What an earlier time put aside has the name that the rows of the other table would have now.
#[test]
fn what_was_put_aside_before_keeps_its_name() {
    let made = made_aside("lost_extra", "y, z");
    let sql = "CREATE TABLE extra(x);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000) INSERT INTO \
               extra SELECT i FROM n;
        INSERT INTO lost_extra SELECT -x, x FROM extra;";
    let device = TestDevice::wal_at(40).after(|device| {
        Connection::open(device.main()).unwrap().execute_batch(&format!("{made} {sql}")).unwrap()
    });
    let (extra, before) = (now(&device, "extra"), now(&device, "lost_extra"));
    let device = device.firmware(40).file(UNIQUE_BADGE).key("on_failure = \"purge\"");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    kept(&device, &before, "lost_extra");
    kept(&device, &extra, "lost_extra_2");
}

#[test]
fn another_tables_rows_stay_where_a_migration_fails_on_one() {
    let device = TestDevice::at(40);
    let (parents, children) = (now(&device, "parent"), now(&device, "child"));
    let device = device.firmware(40).file(UNIQUE_AMOUNT).key("on_failure = \"purge\"");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(said(&device), "2000 rows of child (in lost_child)");
    kept(&device, &parents, "parent");
    kept(&device, &children, "lost_child");
}

/// Nobody can count the rows of a table that is not carried over and cannot be read: that they are
/// lost is said all the same.
#[test]
fn rows_that_nobody_can_count_are_lost_too() {
    let device = TestDevice::at(40);
    let parents = now(&device, "parent");
    // Nor can its index, which would know.
    for object in ["child", "child_parent"] {
        let (number, root) = device.root_page(object);
        device.put_page(&(number, vec![0xa5; root.len()]));
    }
    let device = device
        .firmware(40)
        .file(UNIQUE_AMOUNT)
        .key("kind = \"rebuildable\"")
        .key("carry_over = [\"parent\"]");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert!(ran.stderr.contains("rows of child, which cannot be counted"), "{}", ran.stderr);
    kept(&device, &parents, "parent");
}

#[test]
fn named_tables_are_kept_and_the_others_counted() {
    let device = TestDevice::at(40);
    let parents = now(&device, "parent");
    let device = device
        .firmware(40)
        .file(UNIQUE_AMOUNT)
        .key("kind = \"rebuildable\"")
        .key("carry_over = [\"parent\", \"nowhere\"]");
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 41: V41 unique_amount, in one transaction, without a snapshot (snapshot = "never")
        exit:     11
        settings: purged 40>41 of 41, applied [10,20,30,40,41], data lost, usable, exit 11
        code:     BM-11 settings 40>41
        kept:     quarantine/2 the old files, with a reason
        database: OTHER, 2000 parents, 1000 children
        touched:  database, state
        again:    exit 0, quiet, touched nothing
    "#]],
    );
    kept(&device, &parents, "parent");
    assert_eq!(now(&device, "lost_child").len(), 0);
}

#[test]
fn rows_of_newer_firmware_are_put_aside() {
    let device = TestDevice::at(42);
    let parents = now(&device, "parent");
    let device = device.older(40).key("kind = \"rebuildable\"").key("carry_over = [\"parent\"]");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(
        said(&device),
        "2000 rows of parent (in lost_parent), 1000 rows of child, 1 row of preference"
    );
    kept(&device, &parents, "lost_parent");
    assert_eq!(now(&device, "parent").len(), 1000);
}

#[test]
fn a_purge_by_hand_keeps_nothing() {
    let device = TestDevice::at(40).after(|device| assert_eq!(device.run(&["run"]).exit, "0"));
    let ran = device.run(&["purge", "--db", "settings", "--yes"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(
        oracle::content(&device.main()).ok(),
        oracle::fresh(&device.firmware_folder(), "settings")
    );
}

/// Tables without row numbers that refer to others: by a key of two columns, by texts whose case
/// does not count, by a number that the child has as a text.
const KEPT_BY_KEY: &str =
    "CREATE TABLE place (a INTEGER, b TEXT COLLATE NOCASE, PRIMARY KEY (a, b));
CREATE TABLE label (name TEXT COLLATE NOCASE PRIMARY KEY);
CREATE TABLE pair (k TEXT PRIMARY KEY, a, b, up TEXT REFERENCES pair (k),
    FOREIGN KEY (a, b) REFERENCES place) WITHOUT ROWID;
CREATE TABLE named (k TEXT PRIMARY KEY, name TEXT REFERENCES label (name), parent TEXT REFERENCES
    parent (id)) WITHOUT ROWID;
CREATE TABLE log (m);
";

#[test]
fn only_orphans_leave_a_table_without_row_numbers() {
    let device = TestDevice::at(40).file(("V41__kept_by_key.sql", KEPT_BY_KEY));
    assert_eq!(device.run(&["run"]).exit, "0");
    let fill = "PRAGMA foreign_keys = OFF;
        WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
        INSERT INTO place SELECT i, 'Place ' || i FROM n;
        INSERT INTO pair SELECT 'k' || a, CAST(a AS TEXT), upper(b), NULL FROM place;
        INSERT INTO pair VALUES ('half', 999, NULL, 'k1'), ('orphan', 1, 'place 2', NULL),
            ('of an orphan', NULL, NULL, 'orphan');
        INSERT INTO label VALUES ('Warm'), ('Cold');
        INSERT INTO named SELECT 'n' || id, iif(id % 2, 'WARM', 'cold'), id FROM parent;
        INSERT INTO named VALUES ('none', NULL, NULL), ('no label', 'wet', 1),
            ('no parent', 'warm', 99999), ('neither', 'wet', 99999);
        INSERT INTO log VALUES ('x'), ('x');";
    Connection::open(device.main()).unwrap().execute_batch(fill).unwrap();
    let (pairs, named) = (now(&device, "pair"), now(&device, "named"));
    let device = device.file(("V42__unique.sql", "CREATE UNIQUE INDEX log_m ON log (m);\n"));
    let ran = device.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    for (table, before, orphans) in [("pair", pairs, 2), ("named", named, 3)] {
        let aside = now(&device, &format!("lost_{table}"));
        assert_eq!(aside.len(), orphans, "{table}: {aside:?}\n{}", ran.stderr);
        let mut all = now(&device, table);
        assert_eq!(all.len(), before.len() - orphans, "{table}: {}", ran.stderr);
        all.extend(aside);
        all.sort();
        assert_eq!(all, before, "{table}");
    }
}
