//! Owns the tests of copies that may take a damaged database's place: how many are tried, and what
//! repairs in vain say of a file that is not damaged.
//! Promises: rows are compared with those that plain SQLite wrote.
//! Never judges by what was said alone.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::carry_over::rows;
use crate::device::TestDevice;
use crate::oracle::Copy;
use crate::quarantine::runs;

const TABLE: (&str, &str) =
    ("V1__t.sql", "CREATE TABLE t (id INTEGER PRIMARY KEY, v);\nCREATE INDEX of_t ON t (v);\n");
/// Fails where two rows are the same.
const UNIQUE: (&str, &str) = ("V2__unique.sql", "CREATE UNIQUE INDEX only ON t (v);\n");

fn application(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

/// The root page of the table is zeros.
fn harm(device: &TestDevice) {
    device.put_page(&(device.root_page("t").0, vec![0; 4096]));
}

fn snapshot(device: &TestDevice, name: &str) -> PathBuf {
    device.state("settings").join("snapshots").join(name)
}

/// Damaged, with this many copies on which the new migration fails, newer than one on which it
/// works.
fn with_copies(in_vain: usize) -> TestDevice {
    let device = TestDevice::empty(0).file(TABLE).key("snapshots_max = 4");
    runs(&device, "run", "0");
    application(&device, "INSERT INTO t(v) VALUES ('a'), ('b')");
    runs(&device, "snapshot create", "0");
    for _ in 0..in_vain {
        application(&device, "INSERT INTO t(v) VALUES ('two'), ('two')");
        runs(&device, "snapshot create", "0");
    }
    harm(&device);
    device.file(UNIQUE)
}

#[test]
fn every_copy_is_tried_before_a_boot_ends() {
    let device = with_copies(3);
    let said = runs(&device, "run", "11");
    assert!(said.contains("restored from a snapshot and migrated to 2"), "{said}");
    assert_eq!(rows(&Copy::of(&device.main()).unwrap().open(), "t").len(), 2);
    assert!(runs(&device, "run", "0").contains("nothing to do"));
}

#[test]
fn repairs_in_vain_speak_of_the_damage_and_do_not_stand_in_a_whole_files_way() {
    let device = with_copies(3).key("on_damage = [\"snapshot\"]");
    fs::remove_file(snapshot(&device, "v1-2.db")).unwrap();
    // The others are tried by the first boot alone.
    for _ in 0..3 {
        let said = runs(&device, "run", "17");
        assert!(said.contains("what was tried for it failed 3 times"), "{said}");
        assert!(said.contains("are in an index and no longer in the table"), "{said}");
    }
    // A technician puts a file in its place.
    let good = TestDevice::empty(0).file(TABLE);
    runs(&good, "run", "0");
    application(&good, "INSERT INTO t(v) VALUES (1), (2), (3)");
    fs::copy(good.main(), device.main()).unwrap();
    let said = runs(&device, "run", "0");
    assert!(said.contains("migrated from 1 to 2"), "{said}");
    assert_eq!(rows(&Copy::of(&device.main()).unwrap().open(), "t").len(), 3);
}
