//! Owns the rows in which a cut, a kill or a signal ends a run: what the next boot makes of it.
//! Promises: the run is killed as it enters a chosen call, and the test fails where it was not.
//! Never lets the killed run speak for itself: the next boot is what is compared.

use crate::device::TestDevice;
use crate::oracle;
use crate::product::UNIQUE_BADGE;
use crate::row::{after, cut_at, duplicate, first, row, Before};
use crate::strace::{calls, stopped_after, Call};
use rustix::process::{kill_process, Signal};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// An upgrade in one transaction.
fn upgrade() -> TestDevice {
    TestDevice::at(40).firmware(41)
}

/// An upgrade on a copy that is swapped in.
fn swapped() -> TestDevice {
    TestDevice::at(42).firmware(50)
}

/// Rebuildable data whose migration fails, so that the boot itself purges.
fn purged() -> TestDevice {
    TestDevice::at(40).firmware(40).file(UNIQUE_BADGE).key("kind = \"rebuildable\"")
}

fn commit(all: &[Call]) -> &Call {
    first(all, "unlink", &["settings.db-journal"])
}

fn named_ready(all: &[Call]) -> &Call {
    first(all, "rename", &["staging-", "ready-"])
}

fn in_the_transaction(all: &[Call]) -> &Call {
    first(all, "pwrite64", &["gateway/settings.db>"])
}

fn renamed_over_main(all: &[Call]) -> &Call {
    first(all, "rename", &[".settings.db.new", "gateway/settings.db\""])
}

#[test]
fn row_01_cut_before_anything_is_durable() {
    let mut row = row(1);
    row.cut(&upgrade(), |all| first(all, "mkdir", &[".bootmigrate\""]));
    row.whole();
}

#[test]
fn row_02_cut_while_copying_or_staging() {
    let mut row = row(2);
    row.cut(&upgrade(), |all| first(all, "copy_file_range", &["snapshots/tmp-"]));
    row.cut(&swapped(), |all| first(all, "pwrite64", &["staging-1.db>"]));
    row.whole();
}

#[test]
fn row_03_cut_around_the_snapshots_rename() {
    let mut row = row(3);
    row.cut(&upgrade(), |all| first(all, "rename", &["snapshots/tmp-"]));
    row.cut(&upgrade(), |all| after(all, "rename", &["snapshots/tmp-"]));
    row.whole();
}

#[test]
fn row_04_cut_inside_the_transaction() {
    let mut row = row(4);
    row.cut(&upgrade(), in_the_transaction);
    row.whole();
}

#[test]
fn row_05_cut_between_two_rounds_of_a_batch() {
    let mut row = row(5);
    let sql = "UPDATE parent SET reading = reading + 1000000, raw = x'51'
        WHERE id IN (SELECT id FROM parent WHERE raw IS NOT x'51' ORDER BY id LIMIT 300);\n";
    let device = TestDevice::booted_at(41);
    fs::create_dir(device.firmware_folder().join("settings/data")).unwrap();
    fs::write(
        device.firmware_folder().join("settings/data/V1__quality.sql"),
        format!("-- bootmigrate: batch\n{sql}"),
    )
    .unwrap();
    let rounds = |count: usize| {
        let copy = oracle::Copy::of(&device.main()).unwrap();
        let connection = copy.open();
        (0..count).for_each(|_| connection.execute_batch(sql).unwrap());
        oracle::read(&connection).unwrap()
    };
    let (one, all) = (rounds(1), rounds(7));
    cut_at(&device, &["data", "run", "--all"], |calls| {
        after(calls, "unlink", &["settings.db-journal"])
    });
    assert_eq!(oracle::content(&device.main()), Ok(one), "one round, whole");
    let before = Before::of(&device);
    let ran = device.run(&["run"]);
    row.saw(&device, before, "cut, then ", &ran);
    let before = Before::of(&device).towards(all);
    let ran = device.run(&["data", "run", "--all"]);
    row.saw(&device, before, "", &ran);
    row.whole();
}

#[test]
fn row_06_cut_after_the_commit() {
    let mut row = row(6);
    row.cut(&upgrade(), |all| after(all, "unlink", &["settings.db-journal"]));
    row.whole();
}

#[test]
fn row_07_cut_before_the_ready_file() {
    let mut row = row(7);
    row.cut(&purged(), named_ready);
    row.whole();
}

#[test]
fn row_08_cut_after_the_ready_file() {
    let mut row = row(8);
    row.cut(&purged(), |all| after(all, "rename", &["staging-", "ready-"]));
    // The other slot's firmware rolls it forward too, and then migrates it.
    let device = purged();
    cut_at(&device, &["run"], |all| after(all, "rename", &["staging-", "ready-"]));
    let other = device.firmware(42).without("V41__rebuild_parents.sql").file(UNIQUE_BADGE);
    row.boot(&other);
    row.whole();
}

#[test]
fn row_22_no_side_file_beside_a_new_main() {
    let mut row = row(22);
    let lines = ["sql PRAGMA wal_autocheckpoint = 0", "sql DELETE FROM child WHERE id > 1500"];
    let device = TestDevice::wal_at(42).firmware(50).application(&lines).killed();
    assert!(
        fs::metadata(oracle::beside(&device.main(), "-wal")).unwrap().len() > 0,
        "rows are in the WAL"
    );
    let before = Before::of(&device);
    cut_at(&device, &["run"], |all| after(all, "rename", &[".settings.db.new"]));
    assert!(!oracle::beside(&device.main(), "-wal").exists(), "the old WAL beside the new main");
    let before = before.again(&device);
    let ran = device.run(&["run"]);
    row.saw(&device, before, "cut, then ", &ran);
    row.whole();
}

#[test]
fn row_30_reset_again_and_again() {
    let mut row = row(30);
    let device = upgrade();
    for _ in 0..5 {
        cut_at(&device, &["run"], |all| first(all, "openat", &["settings.db-journal"]));
    }
    row.boot(&device);
    row.whole();
}

#[test]
fn row_31_new_firmware_after_giving_up() {
    let mut row = row(31);
    let device = upgrade();
    for _ in 0..5 {
        cut_at(&device, &["run"], |all| first(all, "openat", &["settings.db-journal"]));
    }
    assert_eq!(device.run(&["run"]).exit, "19");
    row.boot(&device.firmware(42));
    row.whole();
}

/// Address space that is far below the 60 MiB database: what is not bounded does not fit.
const ADDRESS_SPACE_BYTES: u64 = 48 << 20;

#[test]
fn row_42_killed_for_its_memory() {
    let mut row = row(42);
    let device = upgrade().after(|device| {
        let connection = rusqlite::Connection::open(device.main()).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
        let sql = "WITH RECURSIVE n(i) AS (VALUES (3001) UNION ALL SELECT i + 1 FROM n WHERE i < \
                   18000)
                   INSERT INTO parent (id, name, raw) SELECT i, 'large ' || i, zeroblob(3900) FROM \
                   n";
        connection.execute_batch(sql).unwrap();
    });
    assert!(fs::metadata(device.main()).unwrap().len() > ADDRESS_SPACE_BYTES);
    let before = Before::of(&device);
    cut_at(&device, &["run"], in_the_transaction);
    let before = before.again(&device);
    let mut words = vec!["prlimit".into(), format!("--as={ADDRESS_SPACE_BYTES}").into()];
    words.extend(device.words(&["run"]));
    let ran = crate::program::finish(device.command(&words));
    row.saw(&device, before, "cut, then ", &ran);
    row.whole();
}

/// Stops the run at this call, sends these signals, and lets it go on.
fn signalled(
    device: &TestDevice,
    choose: fn(&[Call]) -> &Call,
    signals: &[Signal],
) -> crate::program::RunResult {
    let (all, _) = calls(&duplicate(device), &["run"]);
    let call = choose(&all);
    stopped_after(device, &["run"], call, |pid| {
        signals.iter().for_each(|signal| kill_process(pid, *signal).unwrap())
    })
}

#[test]
fn row_43_sigterm_in_the_middle() {
    let mut row = row(43);
    for (device, choose) in [
        (upgrade(), (|all| first(all, "openat", &["settings.db-journal"])) as fn(&[Call]) -> &Call),
        (swapped(), |all| first(all, "pwrite64", &["staging-1.db>"])),
    ] {
        let before = Before::of(&device);
        let ran = signalled(&device, choose, &[Signal::TERM]);
        row.saw(&device, before, "", &ran);
    }
    row.whole();
}

#[test]
fn row_44_sigkill_after_sigterm() {
    let mut row = row(44);
    for (device, choose) in
        [(upgrade(), in_the_transaction as fn(&[Call]) -> &Call), (purged(), named_ready)]
    {
        let before = Before::of(&device);
        assert_eq!(signalled(&device, choose, &[Signal::TERM, Signal::KILL]).exit, "signal 9");
        let before = before.again(&device);
        let ran = device.run(&["run"]);
        row.saw(&device, before, "cut, then ", &ran);
    }
    row.whole();
}

#[test]
fn row_55_a_defect_of_our_own() {
    // A panic ends the release binary with SIGABRT, wherever it is.
    let mut row = row(55);
    for (device, choose) in
        [(upgrade(), in_the_transaction as fn(&[Call]) -> &Call), (swapped(), renamed_over_main)]
    {
        let before = Before::of(&device);
        assert_eq!(signalled(&device, choose, &[Signal::ABORT]).exit, "signal 6");
        let before = before.again(&device);
        let ran = device.run(&["run"]);
        row.saw(&device, before, "aborted, then ", &ran);
    }
    row.whole();
}

#[test]
fn row_61_cut_in_one_slot_and_the_other_boots() {
    let mut row = row(61);
    for choose in [in_the_transaction as fn(&[Call]) -> &Call, commit, |all| {
        after(all, "unlink", &["settings.db-journal"])
    }] {
        let device = upgrade();
        let before = Before::of(&device);
        cut_at(&device, &["run"], choose);
        let device = device.firmware(40);
        let before = before.again(&device);
        let ran = device.run(&["run"]);
        row.saw(&device, before, "cut, then ", &ran);
    }
    row.whole();
}

#[test]
fn row_64_cut_in_a_swap_and_the_other_slot_has_nothing_to_do() {
    let mut row = row(64);
    let device = swapped();
    let before = Before::of(&device);
    cut_at(&device, &["run"], renamed_over_main);
    assert!(fs::metadata(device.main()).unwrap().nlink() > 1, "the old file has its second name");
    let device = device.firmware(42);
    let before = before.again(&device);
    let ran = device.run(&["run"]);
    row.saw(&device, before, "cut, then ", &ran);
    assert_eq!(fs::metadata(device.main()).unwrap().nlink(), 1);
    row.whole();
}
