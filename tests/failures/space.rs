//! Owns the rows about room: full before, while and after each step, and what goes on without.
//! Promises: real file systems that are filled to the last byte while the program stands still.
//! Never accepts a purge for a disk that is full.

use crate::bench::Bench;
use crate::mount::Mount;
use crate::oracle;
use crate::program::finish;
use crate::row::{first, row, twin, Before, Row};
use crate::strace::{self, calls, stopped_after, Call};
use std::os::unix::fs::FileExt;

const KIB: u64 = 8192;

fn on_ext4(bench: Bench) -> Bench {
    bench.on(|at, folder| Mount::ext4(at, folder, KIB))
}

fn mount(bench: &Bench) -> &Mount {
    bench.mount.as_ref().unwrap()
}

/// A device whose first upgrade left a snapshot, and whose firmware has another step.
fn with_a_snapshot() -> Bench {
    let bench = Bench::booted_at(40).firmware(41);
    assert_eq!(bench.run(&["run"]).exit, "0");
    let mut bench = bench.firmware(42);
    bench.databases[0].version = 41;
    bench
}

#[test]
fn row_09_full_before_the_snapshot() {
    let mut row = row(9);
    // Room for a copy once the older snapshot is gone.
    let bench = on_ext4(with_a_snapshot());
    mount(&bench).fill_but(560);
    row.boot(&bench);
    // Room for the transaction, not for a copy.
    let bench = on_ext4(Bench::booted_at(40)).firmware(41);
    mount(&bench).fill_but(400);
    row.boot(&bench);
    let bench = on_ext4(Bench::booted_at(40)).firmware(41).key("copy = \"always\"");
    mount(&bench).fill();
    row.boot(&bench);
    row.boot(&bench);
    row.whole();
}

/// The disk is full right after this call.
#[track_caller]
fn full_after(row: &mut Row, bench: &Bench, arguments: &[&str], choose: fn(&[Call]) -> &Call) {
    let (all, _) = calls(&twin(bench), arguments);
    let before = Before::of(bench);
    let ran = stopped_after(bench, arguments, choose(&all), |_| mount(bench).fill());
    row.saw(bench, before, "", &ran);
}

#[test]
fn row_10_full_while_copying_or_staging() {
    let mut row = row(10);
    let bench = Bench::booted_at(40).firmware(41).on(|at, _| Mount::tmpfs(at, KIB));
    full_after(&mut row, &bench, &["run"], |all| first(all, "openat", &["snapshots/tmp-"]));
    let bench = Bench::booted_at(42).firmware(50).on(|at, _| Mount::tmpfs(at, KIB));
    full_after(&mut row, &bench, &["run"], |all| first(all, "openat", &["staging-"]));
    row.whole();
}

#[test]
fn row_11_full_inside_the_transaction() {
    let mut row = row(11);
    for bench in [Bench::booted_at(40), Bench::wal_at(40)] {
        let bench = bench.firmware(41).on(|at, _| Mount::tmpfs(at, KIB));
        full_after(&mut row, &bench, &["run"], |all| first(all, "rename", &["snapshots/tmp-"]));
    }
    row.whole();
}

#[test]
fn row_12_full_while_restoring() {
    let mut row = row(12);
    for free in [ROOM_FOR_A_TRANSACTION_KIB, 0] {
        let bench = on_ext4(with_a_snapshot());
        let before = Before::of(&bench);
        no_header(&bench);
        mount(&bench).fill_but(free);
        let before = before.again(&bench);
        let ran = bench.run(&["run"]);
        row.saw(&bench, before, "", &ran);
    }
    row.whole();
}

/// Enough to migrate in place, too little for a copy.
const ROOM_FOR_A_TRANSACTION_KIB: u64 = 180;

fn no_header(bench: &Bench) {
    let main = std::fs::OpenOptions::new().write(true).open(bench.main()).unwrap();
    main.write_all_at(b"this is no database", 0).unwrap();
}

#[test]
fn row_13_full_while_writing_reports() {
    let mut row = row(13);
    let bench = Bench::at(40).firmware(41);
    let run = Mount::tmpfs(&bench.root().join("run"), 16);
    run.fill();
    row.boot(&bench);
    row.whole();
}

#[test]
fn row_46_huge_database_and_little_space() {
    let mut row = row(46);
    let bench = on_ext4(Bench::booted_at(40)).firmware(41);
    mount(&bench).fill_but(400);
    row.boot(&bench);
    // What is built beside needs its room.
    let bench = on_ext4(Bench::booted_at(42)).firmware(50);
    mount(&bench).fill_but(400);
    row.boot(&bench);
    assert_eq!(
        oracle::complaints(&bench.main(), &bench.firmware_folder(), "settings").len(),
        2,
        "V50 is pending, and nothing else is wrong"
    );
    row.whole();
}

#[test]
fn row_67_no_inode_and_no_quota() {
    let mut row = row(67);
    let bench = Bench::booted_at(40).firmware(41).on(|at, folder| Mount::ext4_for_files(at, folder, 64));
    mount(&bench).take_inodes(0);
    row.boot(&bench);
    mount(&bench).give_inodes_back();
    row.boot(&bench);
    // SQLite makes an I/O error of EDQUOT.
    let bench = Bench::booted_at(40).firmware(41);
    let (all, _) = calls(&twin(&bench), &["run"]);
    let write = first(&all, "pwrite64", &["settings.db-journal>"]);
    let before = Before::of(&bench);
    let log = bench.folder().join("quota.log");
    let inject = format!("{}:error=EDQUOT:when={}", write.name, write.nth);
    let ran = finish(bench.command(&strace::words(&bench, &["run"], &log, Some(inject))));
    row.saw(&bench, before, "", &ran);
    row.boot(&bench);
    row.whole();
}

#[test]
fn row_68_full_by_a_limit_of_sqlite() {
    let mut row = row(68);
    let limited = "PRAGMA max_page_count = 80;\nCREATE TABLE large AS SELECT zeroblob(500000) AS a;\n";
    row.boot(&Bench::booted_at(40).firmware(40).file(("V41__large.sql", limited)));
    row.whole();
}

#[test]
fn row_69_what_of_ours_fills_the_disk() {
    let mut row = row(69);
    let bench = on_ext4(with_a_snapshot());
    no_header(&bench);
    let bench = bench.firmware(41);
    assert_eq!(bench.run(&["run"]).exit, "11");
    let bench = bench.firmware(50);
    mount(&bench).fill_but(400);
    row.boot(&bench);
    std::fs::remove_dir_all(bench.state("settings").join("quarantine/2")).unwrap();
    row.boot(&bench);
    row.whole();
}
