//! Owns the tests of operation numbers that no device has counted to: in the database's own table,
//! and as names in the state folder.
//! Promises: each is put there past the program; the device migrates, purges and is wiped as any
//! other.
//! Never counts that far.

use std::fs;

use rusqlite::Connection;

use crate::device::TestDevice;
use crate::oracle;
use crate::quarantine::runs;

const FIRST: (&str, &str) = ("V1__t.sql", "CREATE TABLE t (id INTEGER PRIMARY KEY, v);\n");
const SECOND: (&str, &str) = ("V2__u.sql", "CREATE TABLE u (x);\n");
const THIRD: (&str, &str) = ("V3__w.sql", "CREATE TABLE w (x);\n");

fn booted() -> TestDevice {
    let device = TestDevice::empty(0).file(FIRST);
    runs(&device, "run", "0");
    device
}

fn operation(device: &TestDevice, number: i64) {
    let sql = "UPDATE bootmigrate_state SET value = ?1 WHERE key = 'act'";
    Connection::open(device.main()).unwrap().execute(sql, [number]).unwrap();
}

/// Something that has no place there.
type Plant = fn(&TestDevice);

#[test]
fn a_number_that_nothing_counts_to_is_as_if_it_were_not_there() {
    let plants: [(&str, Plant); 4] = [
        ("the largest in the database", |device| operation(device, i64::MAX)),
        ("the first that is too large", |device| operation(device, (1 << 53) + 1)),
        ("a folder", |device| {
            let folder = device.state("settings").join("quarantine/9223372036854775807");
            fs::create_dir_all(folder).unwrap();
        }),
        ("a snapshot", |device| {
            let name = "snapshots/v1-18446744073709551615.db";
            fs::write(device.state("settings").join(name), "no database").unwrap();
        }),
    ];
    for (name, plant) in plants {
        let device = booted();
        plant(&device);
        assert!(runs(&device, "run", "0").contains("nothing to do"), "{name}");
        let device = device.file(SECOND);
        let said = runs(&device, "run", "0");
        assert!(said.contains("migrated from 1 to 2"), "{name}: {said}");
        assert!(device.state("settings").join("snapshots/v1-2.db").exists(), "{name}");
        let before = oracle::folder(&device.home());
        assert!(runs(&device, "run", "0").contains("nothing to do"), "{name}");
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing", "{name}");
        plant(&device);
        let device = device.file(THIRD);
        runs(&device, "purge --db settings --yes", "11");
        plant(&device);
        runs(&device, "wipe --db settings --yes", "0");
        assert!(runs(&device, "run", "0").contains("created at version 3"), "{name}");
    }
}

#[test]
fn a_wipe_begins_again_where_the_numbers_are_used_up() {
    let device = booted();
    operation(&device, 1 << 53);
    assert!(runs(&device, "run", "0").contains("nothing to do"), "a quiet boot needs none");
    let device = device.file(SECOND);
    let said = runs(&device, "run", "16");
    assert!(said.contains("used up") && said.contains("`bootmigrate wipe`"), "{said}");
    runs(&device, "wipe --db settings --yes", "0");
    assert!(runs(&device, "run", "0").contains("created at version 2"));
    let device = device.file(THIRD);
    assert!(runs(&device, "run", "0").contains("migrated from 2 to 3"));
    assert!(device.state("settings").join("snapshots/v2-4.db").exists(), "2 was the wipe's");
}
