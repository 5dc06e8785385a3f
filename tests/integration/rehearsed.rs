//! Owns the tests of a rehearsal on a device that is not well: what the next boot would repair is
//! repaired on the copy, and only there.
//! Promises: the run that follows must end as the rehearsal said, with the same exit code and the
//! same sentence.
//! Never lets SQLite open damaged files before the program under test has.

use crate::device::TestDevice;
use crate::mount::Mount;
use crate::oracle::{self, beside, Copy};
use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

const RELEASE: (&str, &str) =
    ("V43__none.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY, text);\n");

/// A file's bytes, and what else `stat` says of it.
type Observation = (Vec<u8>, [i64; 6]);

/// Every file of the device but the lock: the database files, what is kept of them, the record, and
/// what runs have left on /run.
fn files(device: &TestDevice) -> BTreeMap<PathBuf, Observation> {
    let (mut folders, mut found) = (vec![device.root()], BTreeMap::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let stat = fs::symlink_metadata(&path).unwrap();
            if stat.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "lock") {
                let numbers = [
                    stat.mode().into(),
                    stat.uid().into(),
                    stat.gid().into(),
                    stat.nlink() as i64,
                    stat.mtime(),
                    stat.mtime_nsec(),
                ];
                found.insert(path.clone(), (fs::read(path).unwrap(), numbers));
            }
        }
    }
    found
}

fn harm(device: &TestDevice, offset: u64, bytes: &[u8]) {
    fs::OpenOptions::new()
        .write(true)
        .open(device.main())
        .unwrap()
        .write_all_at(bytes, offset)
        .unwrap();
}

/// Upgraded by the program itself: a snapshot of version 40 is there.
fn upgraded() -> TestDevice {
    TestDevice::booted_at(40)
        .firmware(42)
        .after(|device| assert_eq!(device.run(&["run"]).exit, "0"))
}

/// The offset of the page at a place in a table's or index's tree.
fn page(device: &TestDevice, object: &str, path: &str) -> u64 {
    let sql = "SELECT pageno FROM dbstat WHERE name = ?1 AND path LIKE ?2 ORDER BY path LIMIT 1";
    let page: i64 = Copy::of(&device.main())
        .unwrap()
        .open()
        .query_row(sql, (object, path), |row| row.get(0))
        .unwrap();
    (page as u64 - 1) * 4096
}

fn header_gone(device: &TestDevice) {
    harm(device, 0, b"this is no database");
}

fn index_gone(device: &TestDevice) {
    harm(device, page(device, "child_parent", "/"), &[0xa5; 4096]);
}

fn leaf_gone(device: &TestDevice) {
    harm(device, page(device, "child", "/003/"), &[0xa5; 4096]);
}

fn file_gone(device: &TestDevice) {
    fs::remove_file(device.main()).unwrap();
}

fn file_emptied(device: &TestDevice) {
    fs::OpenOptions::new().write(true).open(device.main()).unwrap().set_len(0).unwrap();
}

/// The same, and the application's last rows are in its WAL alone, with a page 1 of their own.
fn with_a_wal() -> TestDevice {
    let grown =
        "sql WITH RECURSIVE n(i) AS (VALUES (3001) UNION ALL SELECT i + 1 FROM n WHERE i < 9000) \
         INSERT INTO parent (id, name) SELECT i, 'in the WAL ' || i FROM n";
    let device = TestDevice::wal_at(40)
        .firmware(42)
        .after(|device| assert_eq!(device.run(&["run"]).exit, "0"));
    let device = device.application(&["sql PRAGMA wal_autocheckpoint = 0", grown]).killed();
    assert!(fs::metadata(beside(&device.main(), "-wal")).unwrap().len() > 0, "rows are in the WAL");
    device
}

/// The rehearsal, which changes nothing, and then the boot, which must end in the same way.
#[track_caller]
fn rehearsed_and_booted(name: &str, device: &TestDevice, exit: &str, says: &str) {
    let before = files(device);
    let rehearsed = device.run(&["rehearse"]);
    assert_eq!(rehearsed.exit, exit, "{name}: {}{}", rehearsed.stdout, rehearsed.stderr);
    let (sentence, _) = rehearsed
        .stdout
        .split_once(" (rehearsed on a copy")
        .unwrap_or_else(|| panic!("{name}: {}", rehearsed.stdout));
    assert!(sentence.contains(says), "{name}: {sentence}");
    assert!(
        files(device) == before,
        "{name}: the rehearsal has changed the database, or what is kept of it"
    );
    assert!(!device.state("settings").join("rehearsal").exists(), "{name}");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, exit, "{name}: {}", ran.stderr);
    assert!(
        ran.stderr.contains(sentence),
        "{name}: rehearsed: {sentence}\nthe boot: {}",
        ran.stderr
    );
}

/// Its name, the exit, what the sentence says, and the rows of parent and child after the boot.
type Situation = (&'static str, TestDevice, &'static str, &'static str, [RangeInclusive<u64>; 2]);

#[test]
fn a_device_that_is_not_well_is_rehearsed_as_it_boots() {
    const ALL: [RangeInclusive<u64>; 2] = [2000..=2000, 2000..=2000];
    const FRESH: [RangeInclusive<u64>; 2] = [1000..=1000, 1000..=1000];
    let salvaged = || upgraded().key("on_damage = [\"salvage\"]").after(leaf_gone).file(RELEASE);
    let headless = || TestDevice::booted_at(42).after(header_gone).key("kind = \"rebuildable\"");
    let situations: [Situation; 10] = [
        (
            "header",
            upgraded().after(header_gone).file(RELEASE),
            "11",
            "restored from a snapshot",
            ALL,
        ),
        (
            "header, WAL",
            with_a_wal().after(header_gone).file(RELEASE),
            "11",
            "restored from a snapshot",
            ALL,
        ),
        ("file", upgraded().after(file_gone).file(RELEASE), "11", "restored from a snapshot", ALL),
        (
            "file, nothing pending",
            upgraded().after(file_gone),
            "11",
            "restored from a snapshot",
            ALL,
        ),
        ("file, WAL", with_a_wal().after(file_gone), "11", "restored from a snapshot", ALL),
        ("bytes", upgraded().after(file_emptied), "11", "restored from a snapshot", ALL),
        ("index", upgraded().after(index_gone).file(RELEASE), "0", "migrated from 42 to 43", ALL),
        ("leaf", salvaged(), "11", "migrated from 42 to 43", [2000..=2000, 1500..=1999]),
        (
            "newer",
            upgraded().older(40).key("kind = \"rebuildable\""),
            "11",
            "replaced by a fresh database",
            FRESH,
        ),
        ("header, no snapshot", headless(), "11", "replaced by a fresh database", FRESH),
    ];
    for (name, device, exit, says, rows) in situations {
        let set_aside =
            || fs::read_dir(device.state("settings").join("quarantine")).map_or(0, Iterator::count);
        assert_eq!(set_aside(), 0, "{name}");
        rehearsed_and_booted(name, &device, exit, says);
        assert_eq!(set_aside(), 1, "{name}: something was repaired");
        let content = oracle::content(&device.main()).unwrap();
        for (table, rows) in ["parent", "child"].iter().zip(rows) {
            assert!(
                rows.contains(&content.rows[*table]),
                "{name}: {} rows of {table}",
                content.rows[*table]
            );
        }
    }
}

#[test]
fn what_is_left_beside_a_lost_file_counts_in_a_rehearsal() {
    // The snapshot does not stand the release; a fresh database would bury the WAL. The next
    // firmware can read it all.
    let device =
        with_a_wal().after(file_gone).file(("V43__broken.sql", "UPDATE parent SET nowhere = 1;\n"));
    let wal = fs::read(beside(&device.main(), "-wal")).unwrap();
    rehearsed_and_booted(
        "WAL alone",
        &device,
        "17",
        "the main file is absent, but its WAL has content",
    );
    assert!(fs::read(beside(&device.main(), "-wal")).unwrap() == wal);
    let snapshots: Vec<PathBuf> = fs::read_dir(device.state("settings").join("snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(snapshots.len(), 1);
    assert_eq!(oracle::content(&snapshots[0]).unwrap().rows["parent"], 2000);
}

#[test]
fn a_rehearsal_where_there_is_just_room() {
    const KIB: u64 = 2048;
    // A snapshot may go, and the room for a copy is there once: the boot takes a new one, the
    // rehearsal has no room for two.
    let device = TestDevice::at(40).on(|at, _| Mount::tmpfs(at, KIB)).firmware(42);
    assert_eq!(device.run(&["run"]).exit, "0");
    let device = device.file(RELEASE);
    let main_kib = fs::metadata(device.main()).unwrap().len() / 1024;
    // Beside the reserve, which is a twentieth.
    device.mount.as_ref().unwrap().fill_but(KIB / 20 + main_kib * 8 / 5);
    let before = files(&device);
    let rehearsed = device.run(&["rehearse"]);
    assert_eq!(rehearsed.exit, "0", "{}{}", rehearsed.stdout, rehearsed.stderr);
    assert!(
        rehearsed.stdout.starts_with("settings: migrated from 42 to 43 (1 applied"),
        "{}",
        rehearsed.stdout
    );
    assert!(files(&device) == before, "the rehearsal has changed something");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()).unwrap().rows["parent"], 2000);
}

#[test]
fn a_repair_is_rehearsed_only_where_there_is_room_beside_the_applications() {
    // Room for the copy, and not for the repair beside it: it would fill the partition while
    // applications write.
    const KIB: u64 = 2048;
    let device = TestDevice::at(40).on(|at, _| Mount::tmpfs(at, KIB)).firmware(42);
    assert_eq!(device.run(&["run"]).exit, "0");
    let main_kib = fs::metadata(device.main()).unwrap().len() / 1024;
    let device = device.after(header_gone);
    device.mount.as_ref().unwrap().fill_but(KIB / 20 + main_kib * 5 / 4);
    let before = files(&device);
    let rehearsed = device.run(&["rehearse"]);
    assert_eq!(rehearsed.exit, "14", "{}{}", rehearsed.stdout, rehearsed.stderr);
    assert!(rehearsed.stdout.contains("cannot be rehearsed: a copy needs"), "{}", rehearsed.stdout);
    assert!(files(&device) == before, "the rehearsal has changed something");
    // The boot needs one copy less.
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()).unwrap().rows["parent"], 2000);
}

#[test]
fn a_replacement_that_waits_is_not_rehearsed() {
    let device = upgraded();
    fs::copy(device.main(), device.state("settings").join("ready-7.db")).unwrap();
    let device = device.file(RELEASE);
    let before = files(&device);
    let rehearsed = device.run(&["rehearse"]);
    assert_eq!(rehearsed.exit, "3", "{}", rehearsed.stdout);
    assert!(
        rehearsed
            .stdout
            .contains("nothing to rehearse: recover, then look again: a replacement was cut off"),
        "{}",
        rehearsed.stdout
    );
    assert!(files(&device) == before);
    let ran = device.run(&["run"]);
    assert!(["0", "11"].contains(&ran.exit.as_str()), "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()).unwrap().rows["parent"], 2000);
}

#[test]
fn what_a_boot_refuses_needs_no_rehearsal() {
    // No snapshot, and the owner wants nothing else: the sentence is the boot's.
    let device =
        TestDevice::at(40).firmware(41).key("on_damage = [\"snapshot\"]").after(header_gone);
    let before = files(&device);
    let rehearsed = device.run(&["rehearse"]);
    assert_eq!(rehearsed.exit, "17", "{}", rehearsed.stdout);
    assert!(
        rehearsed.stdout.starts_with("settings: nothing to rehearse: refuse: its header is not"),
        "{}",
        rehearsed.stdout
    );
    assert!(files(&device) == before);
    let bytes = fs::read(device.main()).unwrap();
    assert_eq!(device.run(&["run"]).exit, "17");
    assert!(fs::read(device.main()).unwrap() == bytes);
    harm(&device, 0, b"SQLite format 3\0\x10\0\x01");
    assert_eq!(oracle::content(&device.main()).unwrap().rows["parent"], 2000);
}
