//! Owns the tests of several losses: each is told by some run, with the folder that has its rows.
//! Promises: rows are counted by plain SQLite; a run is killed at a call that it really makes.
//! Never looks at a record.

use std::fs;
use std::os::unix::fs::FileExt as _;

use rusqlite::Connection;
use rustix::process::{kill_process, Signal};
use serde_json::Value;

use crate::carry_over::rows;
use crate::device::TestDevice;
use crate::oracle::Copy;
use crate::quarantine::runs;
use crate::strace::{calls, stopped_after};

const TABLES: (&str, &str) = (
    "V1__tables.sql",
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v);\nCREATE TABLE k (id INTEGER PRIMARY KEY, v);\n",
);
/// Each fails where two rows are the same.
const UNIQUE_T: (&str, &str) = ("V2__t.sql", "CREATE UNIQUE INDEX of_t ON t (v);\n");
const UNIQUE_K: (&str, &str) = ("V3__k.sql", "CREATE UNIQUE INDEX of_k ON k (v);\n");
const ALIKE: &str = "INSERT INTO t(v) VALUES ('a'), ('a'); INSERT INTO k(v) VALUES (1), (1), (1);";
const MANY: &str = "INSERT INTO t(v) VALUES ('a'), ('a');
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100)
    INSERT INTO k(v) SELECT hex(randomblob(500)) FROM n;";

/// Booted with the tables and these rows; whatever a migration does not work on is put aside.
#[track_caller]
fn with(sql: &str, key: &str) -> TestDevice {
    let device = TestDevice::empty(0).file(TABLES).key("on_failure = \"purge\"").key(key);
    runs(&device, "run", "0");
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
    device
}

fn table(device: &TestDevice, name: &str) -> usize {
    rows(&Copy::of(&device.main()).unwrap().open(), name).len()
}

fn report(device: &TestDevice) -> Value {
    let text = fs::read(device.root().join("run/bootmigrate/status.json")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["databases"][0].clone()
}

fn sets(device: &TestDevice) -> Vec<String> {
    let names = fs::read_dir(device.state("settings").join("quarantine")).unwrap();
    let mut names: Vec<String> =
        names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The power goes when the report is about to be written, or at the first later call that says
/// this.
#[track_caller]
fn cut(device: &TestDevice, at: &str) {
    let (calls, ran) = calls(&device.duplicate(), &["run"]);
    let call = calls.iter().find(|call| call.line.contains(at));
    let call = call.unwrap_or_else(|| panic!("no call at {at}: {}", ran.stderr));
    let ran = stopped_after(device, &["run"], call, |pid| kill_process(pid, Signal::KILL).unwrap());
    assert_eq!(ran.exit, "signal 9", "{}", ran.stderr);
}

#[test]
fn a_salvage_and_a_purge_of_one_boot_are_both_told_and_both_sets_stay() {
    for (key, kept) in [("quarantine_max = 2", 2), ("quarantine_max = 1", 2)] {
        let device = with(MANY, key);
        let leaf: u32 = Copy::of(&device.main())
            .unwrap()
            .open()
            .query_row(
                "SELECT pageno FROM dbstat WHERE name = 'k' AND pagetype = 'leaf' LIMIT 1",
                [],
                |row| row.get(0),
            )
            .unwrap();
        let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
        file.write_all_at(&[0; 4096], u64::from(leaf - 1) * 4096).unwrap();
        drop(file);
        let device = device.file(UNIQUE_T);
        let said = runs(&device, "run", "11");
        assert!(table(&device, "k") < 100 && table(&device, "lost_t") == 2, "{said}");
        let report = report(&device);
        let loss = report["loss"].as_str().unwrap();
        for words in ["rows of k", "(quarantine/2); ", "2 rows of t (in lost_t) (quarantine/4)"] {
            assert!(loss.contains(words) && said.contains(words), "{loss}: {said}");
        }
        assert_eq!(report["quarantine"], "quarantine/4");
        assert_eq!(sets(&device).len(), kept, "{key}: {:?}", sets(&device));
        // Told once.
        assert!(runs(&device, "run", "0").contains("nothing to do"));
    }
}

#[test]
fn a_loss_that_was_not_told_before_the_power_went_is_told_with_the_next() {
    let device = with(ALIKE, "quarantine_max = 1").file(UNIQUE_T);
    cut(&device, "status.json");
    assert_eq!(table(&device, "lost_t"), 2);
    let said = runs(&device, "doctor", "0");
    assert!(said.contains("lost: 2 rows of t (in lost_t) (quarantine/3)"), "{said}");
    let device = device.file(UNIQUE_K);
    let said = runs(&device, "run", "11");
    let both =
        "lost: 2 rows of t (in lost_t) (quarantine/3); 3 rows of k (in lost_k) (quarantine/5)";
    assert!(said.contains(both), "{said}");
    assert_eq!(sets(&device), ["3", "5"]);
    assert!(runs(&device, "run", "0").contains("nothing to do"));
}

#[test]
fn a_loss_that_was_not_told_is_told_by_a_boot_that_loses_nothing() {
    for next in [None, Some(("V3__more.sql", "CREATE TABLE more (x);\n"))] {
        let device = with(ALIKE, "quarantine_max = 1").file(UNIQUE_T);
        cut(&device, "status.json");
        let device = match next {
            Some(file) => device.file(file),
            None => device,
        };
        let said = runs(&device, "run", "11");
        assert!(said.contains("2 rows of t (in lost_t) (quarantine/3)"), "{said}");
        assert!(runs(&device, "run", "0").contains("nothing to do"));
    }
}

/// The second loss is told of its own operation, wherever the second cut was.
#[test]
fn a_second_cut_mixes_no_losses_up() {
    for at in ["ready-5.db", "quarantine/5/reason.tmp", "settings.db.new", "status.json"] {
        let device = with(ALIKE, "quarantine_max = 1").file(UNIQUE_T);
        cut(&device, "status.json");
        let device = device.file(UNIQUE_K);
        cut(&device, at);
        let said = runs(&device, "run", "11");
        assert!(said.contains("2 rows of t (in lost_t) (quarantine/3); "), "{at}: {said}");
        assert!(said.contains("3 rows of k (in lost_k) (quarantine/5)"), "{at}: {said}");
        assert_eq!(sets(&device), ["3", "5"], "{at}");
        assert!(runs(&device, "run", "0").contains("nothing to do"), "{at}");
    }
}
