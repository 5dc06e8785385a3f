//! Owns the tests of the last good copy: which snapshot stays beside a file that is too large for a
//! check.
//! Promises: a copy is judged by plain SQLite.
//! Never judges by what was said alone.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::device::TestDevice;
use crate::oracle::{self, Copy};
use crate::quarantine::runs;

const TABLE: (&str, &str) = ("V1__t.sql", "CREATE TABLE t (id INTEGER PRIMARY KEY, v);\n");
const MORE: (&str, &str) = ("V2__more.sql", "CREATE TABLE more (x);\n");
const YET_MORE: (&str, &str) = ("V3__yet_more.sql", "CREATE TABLE yet_more (x);\n");

fn application(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

fn snapshot(device: &TestDevice, name: &str) -> PathBuf {
    device.state("settings").join("snapshots").join(name)
}

fn is_whole(copy: &PathBuf) -> bool {
    let database = Connection::open(copy).unwrap();
    database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)) == Ok("ok".to_owned())
}

/// It is larger than what a migration checks: nobody knows whether a copy of it is a good one.
#[test]
fn the_last_copy_that_was_checked_stays_beside_a_file_that_no_check_includes() {
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)
                INSERT INTO t(v) SELECT hex(randomblob(700)) FROM n";
    for by_an_operator in [true, false] {
        let device = TestDevice::empty(0).file(TABLE).key("quick_check_max_mib = 1");
        runs(&device, "run", "0");
        if by_an_operator {
            application(&device, many);
            runs(&device, "snapshot create", "0");
        } else {
            // Small enough to be checked then.
            runs(&device, "snapshot create", "0");
            application(&device, many);
        }
        let sql = "SELECT pageno FROM dbstat WHERE name = 't' AND pagetype = 'leaf' LIMIT 1";
        let leaf: u32 =
            Copy::of(&device.main()).unwrap().open().query_row(sql, [], |row| row.get(0)).unwrap();
        device.put_page(&(u64::from(leaf), vec![0xA5; 4096]));
        let device = device.file(MORE);
        runs(&device, "run", "0");
        let device = device.file(YET_MORE);
        runs(&device, "run", "0");
        let good = snapshot(&device, "v1-2.db");
        assert!(good.exists() && is_whole(&good), "by an operator: {by_an_operator}");
        // As many as ever besides.
        assert!(!snapshot(&device, "v1-3.db").exists() && snapshot(&device, "v2-4.db").exists());
        let before = oracle::folder(&device.home());
        runs(&device, "run", "0");
        let after = oracle::folder(&device.home());
        assert_eq!(oracle::touched(&before, &after), "nothing");
        // An operator may.
        runs(&device, "snapshot prune", "0");
        assert!(!good.exists() && snapshot(&device, "v2-4.db").exists());
        let left = fs::read_dir(good.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "and nothing is left of what was said of it");
    }
}

#[test]
fn a_copy_of_a_file_that_was_checked_makes_the_older_ones_expendable() {
    let device = TestDevice::empty(0).file(TABLE);
    runs(&device, "run", "0");
    runs(&device, "snapshot create", "0");
    let device = device.file(MORE);
    runs(&device, "run", "0");
    assert!(!snapshot(&device, "v1-2.db").exists() && snapshot(&device, "v1-3.db").exists());
}
