//! Owns the rows about room: full before, during and after each op, and what goes on without.
//! Promises: real file systems that are filled to the last byte while the program stands still.
//! Never accepts a purge for a disk that is full.

use crate::device::TestDevice;
use crate::mount::Mount;
use crate::oracle;
use crate::program::finish;
use crate::row::{duplicate, first, row, Before, Row};
use crate::strace::{self, calls, stopped_after, Call};
use std::os::unix::fs::FileExt;

const KIB: u64 = 8192;

fn on_ext4(device: TestDevice) -> TestDevice {
    device.on(|at, folder| Mount::ext4(at, folder, KIB))
}

fn mount(device: &TestDevice) -> &Mount {
    device.mount.as_ref().unwrap()
}

/// A device whose first upgrade left a snapshot, and whose firmware has another migration.
fn with_a_snapshot() -> TestDevice {
    let device = TestDevice::booted_at(40).firmware(41);
    assert_eq!(device.run(&["run"]).exit, "0");
    let mut device = device.firmware(42);
    device.databases[0].version = 41;
    device
}

#[test]
fn row_09_full_before_the_snapshot() {
    let mut row = row(9);
    // Room for a copy once the older snapshot is gone.
    let device = on_ext4(with_a_snapshot());
    mount(&device).fill_but(560);
    row.boot(&device);
    // Room for the transaction, not for a copy.
    let device = on_ext4(TestDevice::booted_at(40)).firmware(41);
    mount(&device).fill_but(400);
    row.boot(&device);
    let device = on_ext4(TestDevice::booted_at(40)).firmware(41).key("snapshot = \"always\"");
    mount(&device).fill();
    row.boot(&device);
    row.boot(&device);
    row.whole();
}

/// The disk is full right after this call.
#[track_caller]
fn full_after(
    row: &mut Row,
    device: &TestDevice,
    arguments: &[&str],
    choose: fn(&[Call]) -> &Call,
) {
    let (all, _) = calls(&duplicate(device), arguments);
    let before = Before::of(device);
    let ran = stopped_after(device, arguments, choose(&all), |_| mount(device).fill());
    row.saw(device, before, "", &ran);
}

#[test]
fn row_10_full_while_copying_or_staging() {
    let mut row = row(10);
    let device = TestDevice::booted_at(40)
        .firmware(41)
        .key("snapshot = \"always\"")
        .on(|at, _| Mount::tmpfs(at, KIB));
    full_after(&mut row, &device, &["run"], |all| first(all, "openat", &["snapshots/tmp-"]));
    let device = TestDevice::booted_at(42).firmware(50).on(|at, _| Mount::tmpfs(at, KIB));
    full_after(&mut row, &device, &["run"], |all| first(all, "openat", &["staging-"]));
    row.whole();
}

#[test]
fn row_11_full_inside_the_transaction() {
    let mut row = row(11);
    for (device, snapshot) in [
        (TestDevice::booted_at(40), "auto"),
        (TestDevice::booted_at(40), "always"),
        (TestDevice::wal_at(40), "always"),
    ] {
        let device = device
            .firmware(41)
            .key(&format!("snapshot = \"{snapshot}\""))
            .on(|at, _| Mount::tmpfs(at, KIB));
        full_after(&mut row, &device, &["run"], |all| first(all, "rename", &["snapshots/tmp-"]));
    }
    row.whole();
}

#[test]
fn row_12_full_while_restoring() {
    let mut row = row(12);
    for free in [ROOM_FOR_A_TRANSACTION_KIB, 0] {
        let device = on_ext4(with_a_snapshot());
        let before = Before::of(&device);
        no_header(&device);
        mount(&device).fill_but(free);
        let before = before.again(&device);
        let ran = device.run(&["run"]);
        row.saw(&device, before, "", &ran);
    }
    row.whole();
}

/// Enough to migrate in place, too little for a copy.
const ROOM_FOR_A_TRANSACTION_KIB: u64 = 180;

fn no_header(device: &TestDevice) {
    let main = std::fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    main.write_all_at(b"this is no database", 0).unwrap();
}

#[test]
fn row_13_full_while_writing_reports() {
    let mut row = row(13);
    let device = TestDevice::at(40).firmware(41);
    let run = Mount::tmpfs(&device.root().join("run"), 16);
    run.fill();
    row.boot(&device);
    row.whole();
}

#[test]
fn row_46_huge_database_and_little_space() {
    let mut row = row(46);
    let device = on_ext4(TestDevice::booted_at(40)).firmware(41);
    mount(&device).fill_but(400);
    row.boot(&device);
    // What is built beside needs its room.
    let device = on_ext4(TestDevice::booted_at(42)).firmware(50);
    mount(&device).fill_but(400);
    row.boot(&device);
    assert_eq!(
        oracle::complaints(&device.main(), &device.firmware_folder(), "settings").len(),
        2,
        "V50 is pending, and nothing else is wrong"
    );
    row.whole();
}

#[test]
fn row_67_no_inode_and_no_quota() {
    let mut row = row(67);
    let device = TestDevice::booted_at(40)
        .firmware(41)
        .on(|at, folder| Mount::ext4_for_files(at, folder, 64));
    mount(&device).take_inodes(0);
    row.boot(&device);
    mount(&device).give_inodes_back();
    row.boot(&device);
    // SQLite makes an I/O error of EDQUOT.
    let device = TestDevice::booted_at(40).firmware(41).key("snapshot = \"always\"");
    let (all, _) = calls(&duplicate(&device), &["run"]);
    let write = first(&all, "pwrite64", &["settings.db-journal>"]);
    let before = Before::of(&device);
    let log = device.folder().join("quota.log");
    let inject = format!("{}:error=EDQUOT:when={}", write.name, write.nth);
    let ran = finish(device.command(&strace::words(&device, &["run"], &log, Some(inject))));
    row.saw(&device, before, "", &ran);
    row.boot(&device);
    row.whole();
}

#[test]
fn row_68_full_by_a_limit_of_sqlite() {
    let mut row = row(68);
    let limited =
        "PRAGMA max_page_count = 80;\nCREATE TABLE large AS SELECT zeroblob(500000) AS a;\n";
    row.boot(&TestDevice::booted_at(40).firmware(40).file(("V41__large.sql", limited)));
    row.whole();
}

#[test]
fn row_69_what_of_ours_fills_the_disk() {
    let mut row = row(69);
    let device = on_ext4(with_a_snapshot());
    no_header(&device);
    let device = device.firmware(41);
    assert_eq!(device.run(&["run"]).exit, "11");
    let device = device.firmware(50);
    mount(&device).fill_but(400);
    row.boot(&device);
    assert_eq!(device.run(&["quarantine", "delete", "2", "--db", "settings", "--yes"]).exit, "0");
    row.boot(&device);
    row.whole();
}
