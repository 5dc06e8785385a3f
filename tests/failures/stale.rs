//! Owns the rows about pages of two times in one file: a write that flash lost, and an older copy
//! beside a newer WAL.
//! Promises: which rows are gone is known by the test, which counts what is kept of them.
//! Never lets SQLite open the files between the harm and the program under test.

use crate::damage::said;
use crate::device::TestDevice;
use crate::oracle::Copy;
use crate::row::{row, Before, Row};
use rusqlite::Connection;
use std::fs;

const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE)";
/// More of them than a page holds.
const MANY: &str =
    "WITH RECURSIVE n(i) AS (SELECT 41 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t \
     SELECT i, printf('%0400d', i * 7919 % 3001) FROM n";

fn sql(device: &TestDevice, text: &str) {
    Connection::open(device.main()).unwrap().execute_batch(text).unwrap();
}

/// Rows of `t` up to this one.
fn rows_to(device: &TestDevice, last: i64) {
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                  INSERT OR IGNORE INTO t SELECT i, printf('%040d', i) FROM n";
    Connection::open(device.main()).unwrap().execute(insert, [last]).unwrap();
}

#[track_caller]
fn has(device: &TestDevice, question: &str, answer: i64) {
    let copy = Copy::of(&device.main()).unwrap();
    assert_eq!(
        copy.open().query_row(question, [], |row| row.get::<_, i64>(0)),
        Ok(answer),
        "{question}"
    );
}

/// 60 rows were written, and the boot comes to the page of the time when there were 40; its index
/// has 60 entries.
#[track_caller]
fn boot_on_a_stale_page(row: &mut Row, device: &TestDevice, old: &(u64, Vec<u8>)) {
    let before = Before::of(device);
    device.put_page(old);
    has(device, "SELECT count(*) FROM t NOT INDEXED", 40);
    let before = before.again(device);
    let ran = device.run(&["run"]);
    row.saw(device, before, "", &ran);
}

/// A device at 41, with a snapshot of 40 that has all 60 rows, and the page with 40.
fn with_a_snapshot_of_60() -> (TestDevice, (u64, Vec<u8>)) {
    let device = TestDevice::booted_at(40).firmware(41);
    sql(&device, TABLE);
    rows_to(&device, 40);
    let old = device.root_page("t");
    rows_to(&device, 60);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let mut device = device.firmware(42);
    device.databases[0].version = 41;
    (device, old)
}

#[test]
fn row_79_a_table_page_of_an_older_time() {
    let mut row = row(79);
    let device = TestDevice::at(40).firmware(41);
    sql(&device, TABLE);
    rows_to(&device, 40);
    let old = device.root_page("t");
    rows_to(&device, 60);
    boot_on_a_stale_page(&mut row, &device, &old);
    has(&device, "SELECT count(*) FROM lost_t WHERE a = printf('%040d', id)", 20);
    let (device, old) = with_a_snapshot_of_60();
    boot_on_a_stale_page(&mut row, &device, &old);
    has(&device, "SELECT count(*) FROM t NOT INDEXED", 60);
    row.whole();
}

#[test]
fn row_80_the_only_snapshot_with_rows_that_were_lost() {
    let mut row = row(80);
    let (device, old) = with_a_snapshot_of_60();
    // The snapshot lacks more rows than it would give back.
    sql(&device, "INSERT INTO child (id, parent_id) SELECT 9000 + id, id FROM parent LIMIT 30");
    boot_on_a_stale_page(&mut row, &device, &old);
    let mut device = device.file(("V43__note.sql", "CREATE TABLE note (id);\n"));
    device.databases[0].version = 42;
    row.boot(&device);
    let before = Before::of(&device);
    let ran = said(device.run(&["mark-good"]));
    row.saw(&device, before, "mark-good ", &ran);
    row.whole();
}

#[test]
fn row_81_an_older_copy_beside_a_newer_wal() {
    let mut row = row(81);
    for change in
        ["UPDATE t SET a = a || 'z' WHERE id % 7 = 0", "UPDATE t SET a = 'one' WHERE id = 2999"]
    {
        let device = TestDevice::wal_at(40).firmware(41);
        sql(&device, TABLE);
        rows_to(&device, 40);
        let copy = fs::read(device.main()).unwrap();
        sql(&device, MANY);
        let device = device
            .application(&["sql PRAGMA wal_autocheckpoint = 0", &format!("sql {change}")])
            .killed();
        let before = Before::of(&device);
        fs::write(device.main(), copy).unwrap();
        let before = before.again(&device);
        let ran = device.run(&["run"]);
        row.saw(&device, before, "", &ran);
    }
    row.whole();
}
