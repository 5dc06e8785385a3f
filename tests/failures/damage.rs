//! Owns the rows about files that are damaged, lost or unreadable: the database, its snapshots, the
//! record.
//! Promises: the test itself damages the bytes, so that it is known what was there.
//! Never lets SQLite open the files before the program under test has.

use crate::device::TestDevice;
use crate::oracle;
use crate::product::UNIQUE_BADGE;
use crate::row::{after, cut_at, row, Before};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

fn scribble(path: &Path, offset: u64, bytes: &[u8]) {
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, offset).unwrap();
}

const NO_HEADER: &[u8] = b"this is no database";

/// Overwrites the first page of an object.
fn corrupt(device: &TestDevice, object: &str) {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let page: i64 = copy
        .open()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [object], |row| row.get(0))
        .unwrap();
    scribble(&device.main(), (page as u64 - 1) * 4096, &[0xa5; 4096]);
}

/// A device at 41 with a snapshot of 40, whose application has written nothing since.
fn with_a_snapshot() -> TestDevice {
    let device = TestDevice::booted_at(40).firmware(41);
    assert_eq!(device.run(&["run"]).exit, "0");
    let mut device = device;
    device.databases[0].version = 41;
    device
}

/// The next boot, after `event`, beside the rows that were there before it.
#[track_caller]
fn boot_after(row: &mut crate::row::Row, device: &TestDevice, event: impl FnOnce(&TestDevice)) {
    let before = Before::of(device);
    event(device);
    let before = before.again(device);
    let ran = device.run(&["run"]);
    row.saw(device, before, "", &ran);
}

#[test]
fn row_16_not_a_database() {
    let mut row = row(16);
    boot_after(&mut row, &with_a_snapshot(), |device| scribble(&device.main(), 0, NO_HEADER));
    boot_after(&mut row, &TestDevice::at(40).firmware(41), |device| {
        scribble(&device.main(), 0, NO_HEADER)
    });
    row.whole();
}

#[test]
fn row_17_zero_bytes_or_absent() {
    let mut row = row(17);
    let device = TestDevice::empty(41);
    fs::write(device.main(), "").unwrap();
    row.boot(&device);
    boot_after(&mut row, &with_a_snapshot(), |device| fs::remove_file(device.main()).unwrap());
    boot_after(&mut row, &TestDevice::booted_at(40), |device| {
        fs::write(device.main(), "").unwrap()
    });
    let lines =
        ["sql PRAGMA wal_autocheckpoint = 0", "sql UPDATE parent SET name = name || ' kept'"];
    let device = TestDevice::wal_at(40).application(&lines).killed();
    let before = Before::of(&device);
    fs::OpenOptions::new().write(true).open(device.main()).unwrap().set_len(0).unwrap();
    let wal = fs::read(oracle::beside(&device.main(), "-wal")).unwrap();
    let before = before.again(&device);
    let ran = device.run(&["run"]);
    assert_eq!(
        fs::read(oracle::beside(&device.main(), "-wal")).unwrap(),
        wal,
        "the WAL is all that is left"
    );
    row.saw(&device, before, "", &ran);
    row.whole();
}

#[test]
fn row_18_corrupt_page_in_the_middle() {
    let mut row = row(18);
    let mut device = with_a_snapshot();
    device = device.firmware(42);
    boot_after(&mut row, &device, |device| corrupt(device, "child"));
    boot_after(&mut row, &TestDevice::at(40).firmware(41), |device| corrupt(device, "child"));
    let by_copies_alone = TestDevice::at(40).firmware(41).key("on_damage = [\"snapshot\"]");
    boot_after(&mut row, &by_copies_alone, |device| corrupt(device, "child"));
    row.whole();
}

#[test]
fn row_19_only_an_index_is_corrupt() {
    let mut row = row(19);
    boot_after(&mut row, &TestDevice::at(40).firmware(41), |device| {
        corrupt(device, "child_parent")
    });
    row.whole();
}

#[test]
fn row_20_hot_rollback_journal() {
    let mut row = row(20);
    let lines =
        ["sql PRAGMA cache_size = 2", "sql BEGIN", "sql UPDATE parent SET name = name || ' lost'"];
    let device = TestDevice::at(40).firmware(41).application(&lines).killed();
    assert_ne!(
        fs::read(oracle::beside(&device.main(), "-journal")).unwrap()[0],
        0,
        "the journal is hot"
    );
    let before = Before::of(&device);
    let plan = device.run(&["plan"]);
    row.saw(&device, before, "plan ", &said(plan));
    row.boot(&device);
    row.whole();
}

/// Some commands say on standard output what they have to say.
pub fn said(mut ran: crate::program::RunResult) -> crate::program::RunResult {
    ran.stderr = std::mem::take(&mut ran.stdout);
    ran
}

#[test]
fn row_21_wal_left_and_nothing_pending() {
    let mut row = row(21);
    let lines = ["sql PRAGMA wal_autocheckpoint = 0", "sql DELETE FROM child WHERE id > 1500"];
    let device = TestDevice::wal_at(40)
        .after(|device| assert_eq!(device.run(&["run"]).exit, "0"))
        .application(&lines)
        .killed();
    assert!(
        fs::metadata(oracle::beside(&device.main(), "-wal")).unwrap().len() > 0,
        "rows are in the WAL"
    );
    row.boot(&device);
    row.whole();
}

#[test]
fn row_34_a_snapshot_is_corrupt_when_it_is_needed() {
    let mut row = row(34);
    let device = with_a_snapshot().key("snapshots_max = 2").firmware(42);
    assert_eq!(device.run(&["run"]).exit, "0");
    let mut device = device;
    device.databases[0].version = 42;
    let snapshots = device.state("settings").join("snapshots");
    boot_after(&mut row, &device, |device| {
        scribble(&device.main(), 0, NO_HEADER);
        scribble(&snapshots.join("v41-2.db"), 8192, &[0xa5; 4096]);
    });
    boot_after(&mut row, &device, |device| {
        scribble(&device.main(), 0, NO_HEADER);
        for entry in fs::read_dir(&snapshots).unwrap() {
            scribble(&entry.unwrap().path(), 0, NO_HEADER);
        }
    });
    row.whole();
}

#[test]
fn row_35_a_snapshot_of_something_else() {
    let mut row = row(35);
    // Another application's file; the same product's, at another version than its name says; with
    // another history.
    let ways = [
        "DROP TABLE refinery_schema_history",
        "DELETE FROM refinery_schema_history WHERE version = 40",
        "UPDATE refinery_schema_history SET checksum = '7' WHERE version = 20",
    ];
    for sql in ways {
        boot_after(&mut row, &with_a_snapshot(), |device| {
            scribble(&device.main(), 0, NO_HEADER);
            let snapshot = device.state("settings").join("snapshots/v40-1.db");
            rusqlite::Connection::open(&snapshot).unwrap().execute_batch(sql).unwrap();
        });
    }
    row.whole();
}

#[test]
fn row_53_what_this_sqlite_cannot_read() {
    let mut row = row(53);
    // Schema format 5, written by SQLite 3.99.
    boot_after(&mut row, &TestDevice::at(40).firmware(41), |device| {
        scribble(&device.main(), 44, &5u32.to_be_bytes());
        scribble(&device.main(), 96, &3_099_000u32.to_be_bytes());
    });
    // An index in an order that only the application has.
    boot_after(&mut row, &TestDevice::at(40).firmware(41), |device| {
        let connection = rusqlite::Connection::open(device.main()).unwrap();
        let sql = "CREATE INDEX parent_sorted ON parent (name); PRAGMA writable_schema = ON;
                   UPDATE sqlite_schema SET sql = 'CREATE INDEX parent_sorted ON parent (name \
                   COLLATE german)' WHERE name = 'parent_sorted'";
        connection.execute_batch(sql).unwrap();
    });
    row.whole();
}

/// CRC-32/ISO-HDLC.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// Both slots of the record, as a firmware with another format would have left them.
fn of_another_format(record: &Path) {
    let mut bytes = fs::read(record).unwrap();
    for slot in bytes.chunks_exact_mut(4096).filter(|slot| slot[0] != 0) {
        slot[8..12].copy_from_slice(&2u32.to_le_bytes());
        let length = u32::from_le_bytes([slot[12], slot[13], slot[14], slot[15]]) as usize;
        let crc = crc32(&[&slot[8..24], &slot[32..32 + length]].concat());
        slot[24..28].copy_from_slice(&crc.to_le_bytes());
    }
    fs::write(record, bytes).unwrap();
}

#[test]
fn row_57_records_of_other_firmware_or_none() {
    let mut row = row(57);
    let record = |device: &TestDevice| device.state("settings").join("record");
    boot_after(&mut row, &TestDevice::booted_at(40).firmware(41), |device| {
        of_another_format(&record(device))
    });
    boot_after(&mut row, &TestDevice::booted_at(40).firmware(41), |device| {
        fs::remove_file(record(device)).unwrap()
    });
    boot_after(&mut row, &TestDevice::booted_at(40).firmware(41), |device| {
        scribble(&record(device), 0, &[0xa5; 8192])
    });
    // A ready file is rolled forward, whatever the record says or does not say.
    for lose in [|record: &Path| fs::remove_file(record).unwrap(), of_another_format as fn(&Path)] {
        let device =
            TestDevice::at(40).firmware(40).file(UNIQUE_BADGE).key("kind = \"rebuildable\"");
        let before = Before::of(&device);
        cut_at(&device, &["run"], |all| after(all, "rename", &["staging-", "ready-"]));
        lose(&record(&device));
        let before = before.again(&device);
        let ran = device.run(&["run"]);
        row.saw(&device, before, "cut, then ", &ran);
    }
    row.whole();
}
