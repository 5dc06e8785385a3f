//! Owns the test of swaps under an application that opens and writes as fast as it can.
//! Promises: every row that the application was told is committed stands in the database under its
//! name.
//! Never slows the application down: it is not told of the swap.

use crate::application::Application;
use crate::device::{copy_tree, TestDevice};
use crate::oracle;
use crate::program::rounds;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Swaps that must really have happened, with an application opening and writing meanwhile.
const SWAPS: usize = 500;
/// Runs after which the test ends: most may end with 13.
const RUNS_MAX: usize = 4000;

/// What is compared: the rows, but those that the hammer wrote.
fn rows_of(device: &TestDevice) -> (u64, u64, u64, u64) {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let connection: Connection = copy.open();
    let count =
        |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64;
    assert_eq!(
        connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(),
        "ok"
    );
    (
        count("SELECT count(*) FROM parent WHERE name NOT LIKE 'hammer %'"),
        count("SELECT count(*) FROM child"),
        count("SELECT count(*) FROM parent WHERE name LIKE 'hammer %'"),
        count("PRAGMA page_size"),
    )
}

#[test]
fn swaps_under_an_application_that_opens_and_writes() {
    let wanted = rounds(SWAPS);
    let templates = [TestDevice::at(42), TestDevice::wal_at(42)];
    let device = TestDevice::empty(50).key("busy_timeout_s = 1");
    let mut application = Application::start(device.folder(), None);
    let (mut swaps, mut ends, mut acknowledged, mut opened) = (0, BTreeMap::new(), 0, 0);
    for run in 0..RUNS_MAX {
        if swaps == wanted {
            break;
        }
        std::fs::remove_dir_all(device.home()).unwrap();
        std::fs::create_dir(device.home()).unwrap();
        copy_tree(&templates[run % 2].home(), &device.home());
        let word = if run % 4 < 2 { "hammer" } else { "hammer-open" };
        application.expect_ok(&format!("{word} {}", device.main().display()));
        let ran = device.run(&["run"]);
        let answer = application.tell("stop");
        let told: Vec<u64> =
            answer.split(' ').skip(1).map(|number| number.parse().unwrap()).collect();
        let (parents, children, hammered, page_size) = rows_of(&device);
        assert_eq!((parents, children), (2000, 1000), "run {run}: {}", ran.stderr);
        // A row may be there that was not acknowledged (BUSY after the commit); none may be
        // missing.
        assert!(
            hammered >= told[0],
            "run {run}: {} rows acknowledged, {hammered} there: {}",
            told[0],
            ran.stderr
        );
        match ran.exit.as_str() {
            "0" => assert_eq!(page_size, 8192, "run {run}: {}", ran.stderr),
            "13" => assert_eq!(page_size, 4096, "run {run}: {}", ran.stderr),
            other => panic!("run {run} ended with {other}: {}", ran.stderr),
        }
        swaps += usize::from(ran.exit == "0");
        *ends.entry(ran.exit).or_insert(0_usize) += 1;
        acknowledged += told[0];
        opened += told[1];
    }
    println!(
        "{swaps} swaps, ends {ends:?}, {opened} times opened, {acknowledged} rows acknowledged, \
         none lost"
    );
    assert_eq!(swaps, wanted, "ends {ends:?}");
}
