//! Owns the tests of what a database that was replaced still knows: which data migrations were
//! done, numbers that AUTOINCREMENT has given, rows that an earlier purge put aside; and of copies
//! that must not stand in the way of what can be read.
//! Promises: rows are compared with those that plain SQLite wrote; each situation is made by the
//! program itself and by the application.
//! Never looks at what was said alone.

use std::fs;
use std::os::unix::fs::FileExt as _;

use rusqlite::Connection;

use crate::carry_over::rows;
use crate::data;
use crate::device::TestDevice;
use crate::oracle::Copy;
use crate::quarantine::runs;

const TABLES: (&str, &str) = (
    "V1__tables.sql",
    "CREATE TABLE kept (id INTEGER PRIMARY KEY AUTOINCREMENT, value INTEGER);\n\
     CREATE TABLE aside (x);\nCREATE TABLE small (x);\n",
);
/// Fails where two rows of `aside` are the same.
const UNIQUE: (&str, &str) = ("V2__unique.sql", "CREATE UNIQUE INDEX only ON aside (x);\n");
const THIRD: (&str, &str) = ("V3__third.sql", "CREATE TABLE third (x);\n");
const THOUSANDFOLD: (&str, &str) =
    ("V1__thousandfold.sql", "UPDATE kept SET value = value * 1000;\n");
const TWO_ALIKE: &str = "INSERT INTO aside VALUES (1), (1)";
const MANY: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                    INSERT INTO kept(value) SELECT i FROM n";

fn now(device: &TestDevice, table: &str) -> Vec<String> {
    rows(&Copy::of(&device.main()).unwrap().open(), table)
}

fn application(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

/// Booted with the tables, and with these rows.
#[track_caller]
fn with(rows: &[&str]) -> TestDevice {
    let device = TestDevice::empty(0).file(TABLES);
    runs(&device, "run", "0");
    rows.iter().for_each(|sql| application(&device, sql));
    device
}

#[test]
fn a_data_migration_is_done_once_whatever_replaced_the_database() {
    for (arguments, exit) in [("run --purge-and-retry", "11"), ("run", "11")] {
        let device = with(&["INSERT INTO kept(value) VALUES (1), (2)", TWO_ALIKE]);
        data::with(&device, &[THOUSANDFOLD]);
        runs(&device, "data run --all", "0");
        let thousandfold = now(&device, "kept");
        let device = device.file(UNIQUE);
        let device = if arguments == "run" { device.key("on_failure = \"purge\"") } else { device };
        runs(&device, arguments, exit);
        assert_eq!(now(&device, "kept"), thousandfold, "{arguments}");
        assert_eq!(now(&device, "lost_aside").len(), 2, "{arguments}");
        runs(&device, "data run --all", "0");
        assert_eq!(now(&device, "kept"), thousandfold, "{arguments}");
    }
    // One that was not done still is.
    let device = with(&["INSERT INTO kept(value) VALUES (1)", TWO_ALIKE]);
    data::with(&device, &[THOUSANDFOLD]);
    let device = device.file(UNIQUE);
    runs(&device, "run --purge-and-retry", "11");
    runs(&device, "data run --all", "0");
    assert_eq!(now(&device, "kept"), ["integer:1|integer:1000"]);
}

/// Where the page is gone that leads to what tells it, that is a loss.
#[test]
fn data_migrations_of_which_nothing_tells_whether_they_were_done_are_lost() {
    let device = with(&[MANY]);
    data::with(&device, &[THOUSANDFOLD]);
    runs(&device, "data run --all", "0");
    let thousandfold = now(&device, "kept");
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    file.write_all_at(&[0; 4096], 0).unwrap();
    drop(file);
    let said = runs(&device, "run", "11");
    assert!(said.contains("which data migrations were done"), "{said}");
    assert_eq!(now(&device, "kept"), thousandfold);
}

#[test]
fn rows_of_before_a_data_migration_go_back_by_an_operators_word_alone() {
    let device = with(&[TWO_ALIKE]);
    let device = device.file(UNIQUE);
    runs(&device, "run --purge-and-retry", "11");
    application(&device, "UPDATE lost_aside SET x = rowid");
    let tenfold = ("V1__tenfold.sql", "UPDATE aside SET x = x * 10;\n");
    data::with(&device, &[tenfold]);
    runs(&device, "data run --all", "0");
    let said = runs(&device, "lost retry --db settings", "0");
    assert!(said.contains("V1__tenfold.sql may have changed aside"), "{said}");
    assert_eq!((now(&device, "aside").len(), now(&device, "lost_aside").len()), (0, 2));
    runs(&device, "lost retry lost_aside --yes --db settings", "0");
    assert_eq!(now(&device, "aside"), ["integer:1", "integer:2"]);
}

/// A number that an id had is never given to another row, where the table is empty too.
#[test]
fn autoincrement_goes_on_behind_a_purge_of_an_empty_table() {
    for gone in ["DELETE FROM kept", "DELETE FROM kept WHERE id < 3"] {
        let device = with(&["INSERT INTO kept(value) VALUES (1), (2), (3)", gone, TWO_ALIKE]);
        let device = device.file(UNIQUE);
        runs(&device, "run --purge-and-retry", "11");
        application(&device, "INSERT INTO kept(value) VALUES (9)");
        let last = now(&device, "kept").pop();
        assert_eq!(last.as_deref(), Some("integer:4|integer:9"), "{gone}");
    }
}

#[test]
fn what_one_purge_put_aside_goes_through_the_next_with_its_table() {
    let device = with(&[TWO_ALIKE]).key("carry_over = [\"aside\"]").file(UNIQUE);
    runs(&device, "run --purge-and-retry", "11");
    assert_eq!(now(&device, "lost_aside"), ["integer:1", "integer:1"]);
    application(&device, "INSERT INTO small VALUES (7), (7)");
    let fails = ("V3__small.sql", "CREATE UNIQUE INDEX one_small ON small (x);\n");
    let device = device.file(fails);
    runs(&device, "run --purge-and-retry", "11");
    assert_eq!(now(&device, "lost_aside"), ["integer:1", "integer:1"]);
}

/// The first page of the table, which is all of it.
fn damage(device: &TestDevice, table: &str) {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let copy = Copy::of(&device.main()).unwrap();
    let page: u32 = copy.open().query_row(sql, [table], |row| row.get(0)).unwrap();
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    file.write_all_at(&[0xa5; 4096], u64::from(page - 1) * 4096).unwrap();
}

/// A copy with the rows that the migration does not work on is good, and of no use.
#[test]
fn a_copy_that_does_not_come_forward_bars_no_salvage() {
    let headless = |device: &TestDevice| {
        let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
        file.write_all_at(b"no database here", 0).unwrap();
    };
    for (is_headless, exit) in [(true, "0"), (false, "11")] {
        let device = with(&[TWO_ALIKE]).file(UNIQUE);
        runs(&device, "run --purge-and-retry", "11");
        application(&device, MANY);
        application(&device, "INSERT INTO small VALUES (1), (2)");
        let kept = now(&device, "kept");
        if is_headless {
            headless(&device);
        } else {
            damage(&device, "small");
        }
        let device = device.file(THIRD);
        runs(&device, "run", exit);
        assert_eq!(now(&device, "kept"), kept);
        assert_eq!(now(&device, "third"), Vec::<String>::new());
        runs(&device, "run", "0");
    }
}

/// What an installer has made is a database with nothing in it, and so is the snapshot of it.
#[test]
fn a_copy_of_an_empty_file_is_no_way_back() {
    let device = TestDevice::empty(0).file(TABLES);
    application(&device, "PRAGMA auto_vacuum = 2; PRAGMA journal_mode = wal; VACUUM");
    runs(&device, "run", "0");
    let copies: Vec<_> =
        fs::read_dir(device.state("settings").join("snapshots")).unwrap().collect();
    assert_eq!(copies.len(), 1, "a copy of version 0 was made");
    application(&device, MANY);
    application(&device, "INSERT INTO small VALUES (1), (2)");
    let kept = now(&device, "kept");
    damage(&device, "small");
    let device = device.file(THIRD);
    runs(&device, "run", "11");
    assert_eq!(now(&device, "kept"), kept);
}

/// Rows, and a snapshot of them.
#[track_caller]
fn with_a_snapshot() -> (TestDevice, Vec<String>) {
    let device = with(&[MANY]).file(THIRD);
    let kept = now(&device, "kept");
    runs(&device, "run", "0");
    (device, kept)
}

/// An application that did not find its file has made another, and said `PRAGMA journal_mode`.
#[test]
fn a_file_that_was_made_anew_without_a_table_is_no_first_boot() {
    for journal in ["wal", "delete"] {
        let (device, kept) = with_a_snapshot();
        fs::remove_file(device.main()).unwrap();
        application(&device, &format!("PRAGMA user_version = 3; PRAGMA journal_mode = {journal}"));
        let said = runs(&device, "run", "11");
        assert!(said.contains("it held data before"), "{said}");
        assert_eq!(now(&device, "kept"), kept);
        runs(&device, "run", "0");
    }
}

/// A copy of nothing would take the place of the one that the database can be restored from.
#[test]
fn a_lost_database_gives_no_snapshot_and_keeps_the_one_it_has() {
    let (device, kept) = with_a_snapshot();
    fs::write(device.main(), b"").unwrap();
    let said = runs(&device, "snapshot create", "17");
    assert!(said.contains("it held data before"), "{said}");
    runs(&device, "run", "11");
    assert_eq!(now(&device, "kept"), kept);
}
