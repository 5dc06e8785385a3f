//! Owns the case of a gateway whose settings database lost its header, its schema and a third of
//! its pages, and that has no snapshot.
//! Promises: SQLite's own count of the rows on each page that is left is compared with the rows
//! that came back, value by value.
//! Never damages the same pages twice: each case has a seed of its own.

use crate::carry_over::rows;
use crate::device::{Program, TestDevice};
use crate::oracle::{self, Copy};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the owner and the installer entered, and what was deleted since.
const ENTERED: &str = "BEGIN;
INSERT INTO device VALUES (1, 'GW-2231-000417', 'gateway mk2', '2024-11-05');
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 400)
INSERT INTO wifi_network (id, ssid, passphrase, hidden, priority)
SELECT i, 'network ' || i, CASE i % 5 WHEN 0 THEN NULL ELSE 'pass phrase of ' || i END, i % 2, i % \
                       9 FROM n;
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 30)
INSERT INTO site (id, name, time_zone) SELECT i, 'site ' || i, 'Europe/Berlin' FROM n;
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO sensor (id, site_id, address, label, kind) SELECT i, 1 + i % 30, '28-' || (100000 + \
                       i), 'label ' || i, 'temperature' FROM n;
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
INSERT INTO calibration_point (id, sensor_id, raw, reference, calibrated_by) SELECT i, 1 + i % \
                       300, i / 10.0, i / 10.0 + 0.25, 'visit ' || (i % 12) FROM n;
UPDATE preference SET value = 'de-DE' WHERE name = 'language';
COMMIT;
DELETE FROM calibration_point WHERE id BETWEEN 1000 AND 1700;";

/// Tables of which every row is compared.
const TABLES: &[&str] = &["device", "wifi_network", "site", "sensor", "calibration_point"];

fn now(device: &TestDevice, table: &str) -> Vec<String> {
    rows(&Copy::of(&device.main()).unwrap().open(), table)
}

/// Every page of the file with the table or index that it belongs to, and how many rows it has.
fn pages(main: &Path) -> BTreeMap<u64, (String, u64)> {
    let copy = Copy::of(main).unwrap().open();
    let sql = "SELECT pageno, name, iif(pagetype = 'leaf', ncell, 0) FROM dbstat";
    let mut statement = copy.prepare(sql).unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, i64>(0)? as u64, (row.get(1)?, row.get::<_, i64>(2)? as u64)))
    };
    statement.query_map([], read).unwrap().map(Result::unwrap).collect()
}

/// The pages that are lost: the first one, and 30 of 100 of the others but those that must stay for
/// the case.
fn lost(count: u64, seed: u64, stays: &[u64]) -> Vec<u64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % 100
    };
    (1..=count).filter(|page| *page == 1 || draw() < 30 && !stays.contains(page)).collect()
}

struct Case {
    device: TestDevice,
    truth: BTreeMap<&'static str, Vec<String>>,
    pages: BTreeMap<u64, (String, u64)>,
    lost: Vec<u64>,
}

/// A gateway with settings on many pages, and the rows of its tables.
fn gateway() -> (TestDevice, BTreeMap<&'static str, Vec<String>>) {
    let mut device = TestDevice::empty(10);
    device.program = Program::Product;
    assert_eq!(device.run(&["run", "--db", "settings"]).exit, "0");
    rusqlite::Connection::open(device.main()).unwrap().execute_batch(ENTERED).unwrap();
    let truth = TABLES.iter().map(|table| (*table, now(&device, table))).collect();
    (device, truth)
}

/// A gateway with `stays` on pages that are not lost, and `goes` on pages that are.
fn ruined(seed: u64, stays: &[&str], goes: &[&str]) -> Case {
    let (device, truth) = gateway();
    let pages = pages(&device.main());
    let of = |names: &[&str]| -> Vec<u64> {
        pages
            .iter()
            .filter(|(_, (name, _))| names.contains(&name.as_str()))
            .map(|(page, _)| *page)
            .collect()
    };
    let mut lost = lost(fs::metadata(device.main()).unwrap().len() / 4096, seed, &of(stays));
    lost.extend(of(goes));
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    let harm = if seed.is_multiple_of(2) { [0u8; 4096] } else { [0xa5; 4096] };
    lost.iter().for_each(|page| file.write_all_at(&harm, (page - 1) * 4096).unwrap());
    assert_eq!(
        fs::read_dir(device.state("settings").join("snapshots")).unwrap().count(),
        0,
        "there is no snapshot"
    );
    Case { device, truth, pages, lost }
}

#[test]
fn a_gateway_without_header_schema_and_a_third_of_its_pages_has_its_rows_again() {
    for seed in 1..=6 {
        let case = ruined(seed, &["refinery_schema_history", "device"], &[]);
        let ran = case.device.run(&["run", "--db", "settings", "--purge-and-retry"]);
        assert_eq!(ran.exit, "11", "{seed}: {}", ran.stderr);
        assert_eq!(
            oracle::complaints(&case.device.main(), &case.device.catalogue_folder(), "settings"),
            Vec::<String>::new()
        );
        let mut missing = 0;
        for (table, truth) in &case.truth {
            let left = case
                .pages
                .iter()
                .filter(|(page, (name, _))| name == table && !case.lost.contains(page));
            let wanted: u64 = left.map(|(_, (_, rows))| rows).sum();
            let mut found = now(&case.device, table);
            let kept = found.len();
            found.extend(now(&case.device, &format!("lost_{table}")));
            let invented: Vec<&String> =
                found.iter().filter(|row| truth.binary_search(row).is_err()).collect();
            assert!(invented.is_empty(), "{seed}: {table}: {invented:?}");
            assert_eq!(
                found.len() as u64,
                wanted,
                "{seed}: {table}: on pages that are left; {kept} in the table: {}",
                ran.stderr
            );
            missing += truth.len() - found.len();
        }
        let report =
            fs::read_to_string(case.device.root().join("run/bootmigrate/status.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let loss = report["databases"][0]["loss"].as_str().unwrap_or("").to_owned();
        let aside = now(&case.device, "lost_pages").len() as u64;
        assert!(
            aside == 0 || loss.contains(&format!("{aside} rows of pages that ")),
            "{seed}: {aside} rows in lost_pages: {loss}"
        );
        assert_eq!(
            missing > 0,
            loss.contains("an unknown number of rows on "),
            "{seed}: {missing} rows are missing: {loss}"
        );
        assert_eq!(now(&case.device, "device"), case.truth["device"], "who it is");
        assert_eq!(case.device.run(&["run", "--db", "settings"]).exit, "0");
    }
}

#[test]
fn rows_of_which_no_page_tells_the_version_are_put_aside() {
    let case = ruined(7, &[], &["refinery_schema_history", "bootmigrate_steps"]);
    assert_eq!(
        case.device.run(&["run", "--db", "settings"]).exit,
        "17",
        "nobody has allowed a purge"
    );
    let ran = case.device.run(&["run", "--db", "settings", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    let left = case
        .pages
        .iter()
        .filter(|(page, (name, _))| TABLES.contains(&name.as_str()) && !case.lost.contains(page));
    let wanted: u64 = left.map(|(_, (_, rows))| rows).sum();
    let aside = now(&case.device, "lost_pages").len() as u64;
    assert!(
        wanted > 1000 && aside >= wanted,
        "{aside} rows in lost_pages, {wanted} on pages that are left: {}",
        ran.stderr
    );
    assert!(
        TABLES.iter().all(|table| now(&case.device, table).is_empty()),
        "no table has a row whose columns may mean something else"
    );
    assert!(ran.stderr.contains(&format!("{aside} rows of pages that ")), "{}", ran.stderr);
}

#[test]
fn rows_behind_the_end_of_a_file_that_is_too_short_are_lost_and_that_is_said() {
    for header in [true, false] {
        let (device, truth) = gateway();
        let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
        // On the boundary of a page: every page that is there is whole.
        let pages = fs::metadata(device.main()).unwrap().len() / 4096;
        file.set_len(pages * 2 / 3 * 4096).unwrap();
        if !header {
            file.write_all_at(&[0; 100], 0).unwrap();
        }
        drop(file);
        let ran = device.run(&["run", "--db", "settings"]);
        assert_eq!(ran.exit, "11", "{header}: {}", ran.stderr);
        let missing: Vec<_> =
            TABLES.iter().copied().filter(|table| now(&device, table) != truth[table]).collect();
        assert!(!missing.is_empty(), "pages with rows were cut off");
        // Pages are counted only where nobody knows whose they were.
        let by_table = |table: &&str| {
            ran.stderr.contains(&format!("an unknown number of rows of {table} that cannot be"))
        };
        assert!(
            missing.iter().all(by_table)
                || !header && ran.stderr.contains("an unknown number of rows on "),
            "{header}: {missing:?}: {}",
            ran.stderr
        );
    }
}
