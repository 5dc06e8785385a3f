//! Owns the tests of what a person does with files in quarantine: list, show, export, delete,
//! and which of them are kept.
//! Promises: every exported byte is compared with what stood under the database's name before.
//! Never takes a file in quarantine for whole because the program says so.

use crate::device::TestDevice;
use crate::dump::tidy;
use crate::mount::Mount;
use crate::oracle::{self, Content};
use rusqlite::Connection;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub const PURGE: &[&str] = &["purge", "--db", "settings", "--yes"];

/// Types it; what is said.
#[track_caller]
pub fn runs(device: &TestDevice, typed: &str, exit: &str) -> String {
    let words: Vec<&str> = typed.split_whitespace().collect();
    let ran = device.run(&words);
    let said = format!("{}{}", tidy(device, &ran.stdout), tidy(device, &ran.stderr));
    assert_eq!(ran.exit, exit, "{typed}: {said}");
    said
}

/// What is typed changes no byte, time or name of the device.
#[track_caller]
pub fn only_reads(device: &TestDevice, typed: &str, exit: &str) -> String {
    let before = oracle::folder(&device.root());
    let said = runs(device, typed, exit);
    assert_eq!(
        oracle::touched(&before, &oracle::folder(&device.root())),
        "nothing",
        "{typed}: {said}"
    );
    said
}

pub fn quarantined(device: &TestDevice, operation: u64) -> PathBuf {
    device.state("settings").join(format!("quarantine/{operation}"))
}

pub fn numbers(device: &TestDevice) -> Vec<u64> {
    let json: Value = serde_json::from_str(
        &device.run(&["quarantine", "list", "--db", "settings", "--json"]).stdout,
    )
    .unwrap();
    json["databases"][0]["quarantine"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["operation"].as_u64().unwrap())
        .collect()
}

/// The bytes of each file in a folder.
pub fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// What a database is by itself: its files are copied elsewhere before SQLite opens them.
pub fn content_of(files: &Path) -> Content {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in bytes(files) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    oracle::content(&folder.path().join("settings.db")).unwrap()
}

/// Purged by a person's word; what stood there before, as plain SQLite reads it.
#[track_caller]
pub fn purged(device: &TestDevice) -> Content {
    let before = oracle::content(&device.main()).unwrap();
    let ran = device.run(PURGE);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    before
}

#[test]
fn what_lies_there_is_listed_and_shown() {
    let device = TestDevice::booted_at(40);
    assert_eq!(only_reads(&device, "quarantine list", "0"), "settings: nothing in quarantine\n");
    purged(&device);
    let said = only_reads(&device, "quarantine list --db settings", "0");
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with("settings: quarantine/1  2") && lines[0].ends_with(" bytes, 2 files"),
        "{said}"
    );
    assert_eq!(
        lines[1..],
        ["  because  `purge` was asked for", "  rows     4000, and every table can be read"],
        "{said}"
    );
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{said}");
    let said = only_reads(&device, "quarantine show quarantine/1 --db settings", "0");
    assert!(said.contains("  tables   child 2000, parent 2000\n"), "{said}");
    assert!(
        said.contains("  restore  `bootmigrate quarantine restore 1 --db settings --yes`\n"),
        "{said}"
    );
    let json: Value = serde_json::from_str(
        &device.run(&["quarantine", "show", "1", "--db", "settings", "--json"]).stdout,
    )
    .unwrap();
    let one = &json["databases"][0]["quarantine"][0];
    let size = fs::metadata(quarantined(&device, 1).join("settings.db")).unwrap().len();
    assert_eq!(
        (one["rows"].as_u64(), one["readable"].as_str(), one["restorable"].as_bool()),
        (Some(4000), Some("whole"), Some(true))
    );
    assert_eq!(one["files"][1], serde_json::json!({ "name": "settings.db", "bytes": size }));
    assert_eq!(one["data_lost"], "all rows of the old database; it is kept in quarantine");
    let said = only_reads(&device, "quarantine show 7 --db settings", "2");
    assert!(said.contains("quarantine/7 is not there; of settings there is 1. [BM-2]"), "{said}");
}

/// Without a header SQLite reads nothing; the rows are on its pages.
#[test]
fn rows_of_a_damaged_file_are_counted_on_its_pages() {
    let device = TestDevice::booted_at(40);
    let main = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    main.write_all_at(b"this is no database", 0).unwrap();
    drop(main);
    runs(&device, &PURGE.join(" "), "11");
    let number = numbers(&device)[0];
    let json: Value = serde_json::from_str(
        &device
            .run(&["quarantine", "show", &number.to_string(), "--db", "settings", "--json"])
            .stdout,
    )
    .unwrap();
    let one = &json["databases"][0]["quarantine"][0];
    let rows = one["rows"].as_u64().unwrap();
    assert!((4000..4100).contains(&rows), "{rows} rows: {one}");
    assert_eq!(
        (one["readable"].as_str(), one["restorable"].as_bool()),
        (Some("on-pages"), Some(false)),
        "{one}"
    );
    let said = only_reads(&device, "quarantine list --db settings", "0");
    assert!(
        said.contains(&format!("  rows     about {rows} on its pages; SQLite does not read it: ")),
        "{said}"
    );
}

#[test]
fn a_set_is_exported_whole_and_never_over_a_file() {
    let device = TestDevice::wal_at(40);
    runs(&device, "run", "0");
    let device = device
        .application(&[
            "sql PRAGMA wal_autocheckpoint = 0",
            "sql UPDATE parent SET reading = reading + 7",
        ])
        .killed();
    let before = purged(&device);
    let set = quarantined(&device, numbers(&device)[0]);
    let kept = bytes(&set);
    assert!(kept.contains_key("settings.db-wal"), "the WAL went with its file: {:?}", kept.keys());
    let into = device.folder().join("for-support");
    let typed =
        format!("quarantine export {} {} --db settings", numbers(&device)[0], into.display());
    let said = only_reads(&device, &typed, "0");
    assert!(said.contains("copied to") && said.ends_with("Rows are in them.\n"), "{said}");
    assert_eq!(bytes(&into), kept);
    assert_eq!(content_of(&into), before);
    // Nothing of it is overwritten, and nothing is added.
    fs::write(into.join("settings.db"), "mine").unwrap();
    fs::remove_file(into.join("reason.txt")).unwrap();
    let there = bytes(&into);
    let said = only_reads(&device, &typed, "2");
    assert!(said.contains("settings.db is there already; name another folder. [BM-2]"), "{said}");
    assert_eq!(bytes(&into), there);
}

#[test]
fn files_are_not_exported_into_a_place_of_ours() {
    let device = TestDevice::booted_at(40);
    purged(&device);
    for place in
        [device.home(), device.state("settings"), device.state("settings").join("snapshots")]
    {
        let said = only_reads(
            &device,
            &format!("quarantine export 1 {} --db settings", place.display()),
            "2",
        );
        assert!(said.contains("name another f"), "{said}");
    }
    fs::write(device.folder().join("file"), "").unwrap();
    let said = only_reads(
        &device,
        &format!("quarantine export 1 {}/file --db settings", device.folder().display()),
        "2",
    );
    assert!(said.contains("[BM-2]"), "{said}");
}

#[test]
fn an_export_that_does_not_fit_leaves_nothing() {
    let device = TestDevice::booted_at(40);
    purged(&device);
    let stick = device.folder().join("stick");
    fs::create_dir(&stick).unwrap();
    let mount = Mount::tmpfs(&stick, 64);
    let said = only_reads(
        &device,
        &format!("quarantine export 1 {}/here --db settings", stick.display()),
        "14",
    );
    assert!(said.contains("nothing was left there. Next: free space until "), "{said}");
    assert_eq!(fs::read_dir(&stick).unwrap().count(), 0, "{said}");
    drop(mount);
}

#[test]
fn deleting_gives_the_room_back() {
    let device = TestDevice::booted_at(40).on(|at, _| Mount::tmpfs(at, 8192));
    let old = purged(&device);
    let live = oracle::content(&device.main()).unwrap();
    assert_ne!(live, old);
    let used = || {
        rustix::fs::statvfs(device.home())
            .map(|at| (at.f_blocks - at.f_bfree) * at.f_frsize)
            .unwrap()
    };
    let before = used();
    let size = fs::metadata(quarantined(&device, 1).join("settings.db")).unwrap().len();
    let said = only_reads(&device, "quarantine delete 1 --db settings", "2");
    assert!(
        said.contains("`quarantine delete` removes these files for good; say --yes. [BM-2]"),
        "{said}"
    );
    let said = runs(&device, "quarantine delete 1 --db settings --yes", "0");
    assert!(said.starts_with("settings: quarantine/1 deleted: 2 files, "), "{said}");
    assert!(used() + size <= before, "{} of {before} bytes are still used", used());
    assert!(!quarantined(&device, 1).exists());
    assert_eq!(oracle::content(&device.main()).unwrap(), live);
    assert_eq!(runs(&device, "quarantine list", "0"), "settings: nothing in quarantine\n");
    // The next operation takes no number again.
    purged(&device);
    assert_eq!(numbers(&device), [2]);
}

/// The first shows how it began, the newest how it is; nothing is read to choose.
/// Nothing but the folder tells that its number was used: the database and the record are gone.
#[test]
fn a_number_in_quarantine_is_not_used_again() {
    let device = TestDevice::booted_at(40).key("on_damage = [\"purge\"]");
    let sets = || {
        let folder = fs::read_dir(device.state("settings").join("quarantine")).unwrap();
        let mut numbers: Vec<u64> = folder
            .map(|entry| entry.unwrap().file_name().to_string_lossy().parse().unwrap())
            .collect();
        numbers.sort_unstable();
        numbers
    };
    fs::write(device.main(), [0xa5; 8192]).unwrap();
    runs(&device, "run", "11");
    let first = sets();
    fs::remove_file(device.state("settings").join("record")).unwrap();
    fs::write(device.main(), [0x5a; 8192]).unwrap();
    runs(&device, "run", "11");
    let both = sets();
    assert!(both.len() == 2 && both[0] == first[0] && both[1] > first[0], "{first:?} {both:?}");
}

#[test]
fn the_first_and_the_newest_are_kept() {
    for (max, kept) in [(1, vec![4]), (2, vec![1, 4])] {
        let device = TestDevice::booted_at(40).key(&format!("quarantine_max = {max}"));
        for _ in 0..4 {
            purged(&device);
        }
        assert_eq!(numbers(&device), kept, "quarantine_max = {max}");
    }
}

/// Snapshots from before a loss are the only home of its rows: that a person wants the room of its
/// files says nothing of them.
#[test]
fn the_reason_of_the_last_loss_stays_and_with_it_the_snapshots() {
    let device = TestDevice::at(40).firmware(41);
    assert_eq!(device.run(&["run"]).exit, "0");
    let device = device
        .file(("V42__unique.sql", "CREATE UNIQUE INDEX child_amount ON child (amount);\n"))
        .key("on_failure = \"purge\"");
    assert_eq!(device.run(&["run"]).exit, "11");
    let snapshot = device.state("settings").join("snapshots/v40-1.db");
    assert!(snapshot.exists());
    let number = numbers(&device)[0];
    let said = runs(&device, &format!("quarantine delete {number} --db settings --yes"), "0");
    assert!(
        said.ends_with("Its reason stays: snapshots from before this loss are kept.\n"),
        "{said}"
    );
    let set = device.state("settings").join(format!("quarantine/{number}"));
    assert!(!set.join("settings.db").exists() && set.join("reason.txt").exists());
    runs(&device, "snapshot create --db settings", "0");
    assert!(snapshot.exists());
}

#[test]
fn a_refusal_for_want_of_room_names_the_command_that_helps() {
    let device =
        TestDevice::booted_at(40).key("snapshot = \"always\"").on(|at, _| Mount::tmpfs(at, 8192));
    purged(&device);
    let device = device.firmware(41);
    device.mount.as_ref().unwrap().fill_but(350);
    let said = runs(&device, "run", "14");
    assert!(
        said.contains("(remove it with `bootmigrate quarantine delete 1 --db settings --yes`)"),
        "{said}"
    );
    runs(&device, "quarantine delete 1 --db settings --yes", "0");
    let wanted = device.expectations(&device.databases[0]).new.unwrap();
    runs(&device, "run", "0");
    assert_eq!(oracle::content(&device.main()).unwrap(), wanted);
}

#[test]
fn nothing_is_removed_where_nothing_may_be_written() {
    let device = TestDevice::booted_at(40);
    purged(&device);
    let observing = TestDevice::duplicate(&device).top("mode = \"observe\"");
    for typed in
        ["quarantine delete 1 --db settings --yes", "quarantine restore 1 --db settings --yes"]
    {
        let said = only_reads(&observing, typed, "3");
        assert!(said.contains("mode = \"observe\" changes nothing"), "{said}");
    }
    let device = device.on(|at, folder| Mount::ext4(at, folder, 8192));
    device.mount.as_ref().unwrap().read_only();
    for typed in
        ["quarantine delete 1 --db settings --yes", "quarantine restore 1 --db settings --yes"]
    {
        let said = only_reads(&device, typed, "15");
        assert!(said.contains("read-only"), "{said}");
    }
    // What is on it can still be carried away.
    let into = device.folder().join("out");
    only_reads(&device, "quarantine list", "0");
    only_reads(&device, &format!("quarantine export 1 {} --db settings", into.display()), "0");
    assert_eq!(bytes(&into), bytes(&quarantined(&device, 1)));
}

/// An index knows how many rows there were; the table that it is of has none of them any more.
#[test]
fn a_set_whose_table_is_gone_is_not_called_whole() {
    let device = TestDevice::booted_at(40);
    let page: i64 = {
        let connection = Connection::open(device.main()).unwrap();
        connection.execute_batch("CREATE INDEX narrow ON child (parent_id)").unwrap();
        connection
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'child'", [], |row| {
                row.get(0)
            })
            .unwrap()
    };
    purged(&device);
    let main =
        device.state("settings").join(format!("quarantine/{}/settings.db", numbers(&device)[0]));
    let readable = |said: &str| said.contains("every table can be read");
    assert!(readable(&runs(&device, "quarantine list --db settings", "0")));
    let mut bytes = fs::read(&main).unwrap();
    let begin = usize::try_from(page - 1).unwrap() * 4096;
    bytes[begin..begin + 4096].fill(0);
    fs::write(&main, bytes).unwrap();
    let said = runs(&device, "quarantine list --db settings", "0");
    assert!(!readable(&said) && said.contains("SQLite does not read it"), "{said}");
}
