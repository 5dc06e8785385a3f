//! Owns the transcripts of the commands for an operator: what is typed, what is said, the exit
//! code, what was touched, the rows.
//! Promises: every row is compared with what SQLite alone makes of the same files; an application
//! may run beside.
//! Never shortens what was said: both outputs are compared whole.

use crate::device::TestDevice;
use crate::dump::tidy;
use crate::oracle::{self, Content};
use crate::product::{BROKEN, UNIQUE_BADGE};
use expect_test::{expect, Expect};
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// What is typed, what is said, and what was touched outside `/run`.
#[track_caller]
pub fn transcript(device: &TestDevice, typed: &str, expect: Expect) {
    let before = oracle::folder(&device.root());
    let words: Vec<&str> = typed.split_whitespace().collect();
    let ran = device.run(&words);
    let touched = oracle::touched(&before, &oracle::folder(&device.root()));
    expect.assert_eq(&format!(
        "{}{}exit {}, touched {touched}\n",
        tidy(device, &ran.stdout),
        tidy(device, &ran.stderr),
        ran.exit
    ));
}

/// What the rows must be after the files of this firmware from `from` on up to `to`, by SQLite
/// alone.
fn wanted(device: &TestDevice, from: i32, to: i32) -> Content {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    crate::product::write(folder.path(), "settings", to);
    oracle::migrated(&copy, folder.path(), "settings", from).unwrap()
}

fn ready(device: &TestDevice) -> bool {
    device.root().join("run/bootmigrate/ready/settings").exists()
}

#[test]
fn migrating_some_then_all() {
    let device = TestDevice::at(20).firmware(42);
    let at_30 = wanted(&device, 20, 30);
    transcript(
        &device,
        "migrate --step 1",
        expect![[r#"
        settings: migrated from 20 to 30 (1 applied, snapshot snapshots/v20-1.db). This firmware expects 42: not ready, and its next run goes there. [BM-3 settings 20>42]
        exit 3, touched database, state
    "#]],
    );
    assert_eq!(oracle::content(&device.main()), Ok(at_30));
    assert!(!ready(&device));
    let at_41 = wanted(&device, 30, 41);
    transcript(
        &device,
        "migrate --to-exclusive 42",
        expect![[r#"
        settings: migrated from 30 to 41 (2 applied, snapshot snapshots/v30-2.db). This firmware expects 42: not ready, and its next run goes there. [BM-3 settings 30>42]
        exit 3, touched database, state
    "#]],
    );
    assert_eq!(oracle::content(&device.main()), Ok(at_41));
    assert!(!ready(&device));
    transcript(
        &device,
        "migrate --to 41",
        expect![[r#"
        settings: at version 41, nothing to do. This firmware expects 42: not ready, and its next run goes there. [BM-3 settings 41>42]
        exit 3, touched nothing
    "#]],
    );
    let at_42 = wanted(&device, 41, 42);
    transcript(
        &device,
        "migrate --all",
        expect![[r#"
        settings: migrated from 41 to 42 (1 applied, snapshot snapshots/v41-3.db). [BM-0 settings 41>42]
        exit 0, touched database, state
    "#]],
    );
    assert_eq!(oracle::content(&device.main()), Ok(at_42));
    assert!(ready(&device));
}

const STAMP_DOWN: (&str, &str) = (
    "V40__stamp.down.sql",
    "DROP TRIGGER child_changes;\nALTER TABLE child DROP COLUMN changes;\n",
);

#[test]
fn going_back_by_hand_and_forward_again() {
    let device = TestDevice::at(30);
    let old = oracle::content(&device.main()).unwrap();
    let device = device.firmware(40).file(STAMP_DOWN);
    assert_eq!(device.run(&["run"]).exit, "0");
    let new = oracle::content(&device.main()).unwrap();
    transcript(
        &device,
        "rollback --db settings --to 30",
        expect![[r#"
        settings: gone back to 30 by its stored down SQL, no row lost, because `rollback` was asked for; the newer file is in quarantine/2. This firmware expects 40: not ready, and its next run goes there. [BM-3 settings 40]
        exit 0, touched database, state
    "#]],
    );
    let back = oracle::content(&device.main()).unwrap();
    assert_eq!(back.rows, old.rows);
    assert!(!ready(&device));
    let aside = oracle::content(&device.state("settings").join("quarantine/2/settings.db"));
    assert_eq!(aside.as_ref(), Ok(&new), "the newer file is kept whole");
    transcript(
        &device,
        "run",
        expect![[r#"
        settings: migrated from 30 to 40 (1 applied, snapshot snapshots/v30-3.db). [BM-0 settings 30>40]
        exit 0, touched database, state
    "#]],
    );
    assert_eq!(oracle::content(&device.main()).unwrap().rows, new.rows);
}

#[test]
fn going_back_without_a_way_back_changes_nothing() {
    let device = TestDevice::at(30).firmware(40);
    assert_eq!(device.run(&["run"]).exit, "0");
    let rows = oracle::content(&device.main());
    transcript(
        &device,
        "rollback --db settings --step 1",
        expect![[r#"
        bootmigrate: settings cannot go back from 40 to 30: no down SQL is stored for V40 stamp. [BM-2]
        exit 2, touched nothing
    "#]],
    );
    assert_eq!(oracle::content(&device.main()), rows);
    assert!(ready(&device), "its application may go on");
}

#[test]
fn migrating_by_hand_never_purges() {
    let device = TestDevice::at(40).file(UNIQUE_BADGE).key("kind = \"rebuildable\"");
    let rows = oracle::content(&device.main());
    transcript(
        &device,
        "migrate --all",
        expect![[r#"
        settings: settings/V41__unique_badge.sql:1:1: UNIQUE constraint failed: parent.badge (SQLite 2067), in statement 1 of 1; the database is whole at version 40. Next: install firmware in which this migration works; this one is tried 2 more times. [BM-10 settings 40>41 V41:1]
              1 | CREATE UNIQUE INDEX parent_badge ON parent (badge);
                | ^
        exit 10, touched state
    "#]],
    );
    assert_eq!(oracle::content(&device.main()), rows);
}

#[test]
fn rehearsing_beside_an_application() {
    for device in [TestDevice::booted_at(40), TestDevice::wal_at(40)] {
        let mut device =
            device.firmware(42).application(&["sql UPDATE parent SET reading = 1 WHERE id = 7"]);
        let rows = oracle::content(&device.main()).unwrap();
        let ran = device.run(&["rehearse"]);
        assert_eq!(ran.exit, "0", "{}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stdout.starts_with(
                "settings: migrated from 40 to 42 (2 applied, snapshot snapshots/v40-"
            ),
            "{}",
            ran.stdout
        );
        assert!(ran.stdout.contains("rehearsed on a copy"), "{}", ran.stdout);
        assert_eq!(oracle::content(&device.main()).unwrap(), rows);
        assert!(!device.state("settings").join("rehearsal").exists());
        device.application = None;
        // The boot after it ends as the rehearsal said.
        let new = wanted(&device, 40, 42);
        assert_eq!(device.run(&["run"]).exit, "0");
        assert_eq!(oracle::content(&device.main()).unwrap(), new);
    }
}

#[test]
fn rehearsing_what_fails_costs_nothing() {
    let device = TestDevice::booted_at(40).file(BROKEN);
    let rows = oracle::content(&device.main());
    let ran = device.run(&["rehearse"]);
    assert_eq!(ran.exit, "10", "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains(
            "settings/V41__x.sql:12:5: no such column: nowhere (SQLite 1), in statement 4 of 5"
        ),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("     12 |     nowhere = 1;\n        |     ^\n"), "{}", ran.stdout);
    assert_eq!(oracle::content(&device.main()), rows);
    // No try was counted: the next boot has all of its own.
    let ran = device.run(&["run"]);
    assert!(ran.stderr.contains("tried 2 more times"), "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()), rows);
}

#[test]
fn rehearsing_where_nothing_is_pending() {
    transcript(
        &TestDevice::booted_at(41),
        "rehearse",
        expect![[r#"
        settings: nothing to rehearse: nothing to do: at version 41.
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &TestDevice::booted_at(42).firmware(41),
        "rehearse",
        expect![[r#"
            settings: nothing to rehearse: refuse: the database is at version 42, this firmware knows 41; no down SQL is stored for V42 preferences.
            exit 12, touched nothing
        "#]],
    );
}

#[test]
fn a_rehearsal_that_was_cut_off_is_removed_by_the_next_run() {
    let device = TestDevice::booted_at(40).firmware(41);
    let folder = device.state("settings").join("rehearsal");
    fs::create_dir_all(folder.join(".bootmigrate/settings.db/snapshots")).unwrap();
    fs::copy(device.main(), folder.join("settings.db")).unwrap();
    let new = wanted(&device, 40, 41);
    assert_eq!(device.run(&["run"]).exit, "0");
    assert!(!folder.exists());
    assert_eq!(oracle::content(&device.main()).unwrap(), new);
}

#[test]
fn a_snapshot_beside_an_application_has_what_was_committed() {
    for device in [TestDevice::booted_at(41), TestDevice::wal_at(41)] {
        let lines = [
            "sql UPDATE parent SET reading = 2 WHERE id < 100",
            "sql BEGIN",
            "sql UPDATE child SET label = 'not committed'",
        ];
        let device = device.application(&lines);
        let ran = device.run(&["snapshot", "create"]);
        assert_eq!(ran.exit, "0", "{}{}", ran.stdout, ran.stderr);
        let copies = fs::read_dir(device.state("settings").join("snapshots")).unwrap();
        let copies: Vec<_> = copies.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(copies.len(), 1, "{copies:?}");
        let (kept, live) =
            (oracle::content(&copies[0]).unwrap(), oracle::content(&device.main()).unwrap());
        // A copy of the live files has the rollback journal beside it, so SQLite takes the open
        // transaction back.
        assert_eq!(kept, live);
        assert!(kept.rows["parent"] >= 1000 && kept.rows["child"] >= 1000);
    }
}

#[test]
fn snapshots_are_listed_checked_and_restored() {
    let device = TestDevice::booted_at(41);
    let old = oracle::content(&device.main()).unwrap();
    transcript(
        &device,
        "snapshot create",
        expect![[r#"
        settings: snapshot v41-1 made, whole and at version 41.
        exit 0, touched state
    "#]],
    );
    let connection = Connection::open(device.main()).unwrap();
    connection.execute_batch("DELETE FROM child WHERE id > 1300").unwrap();
    connection.close().unwrap();
    transcript(
        &device,
        "snapshot verify",
        expect![[r#"
        settings: v41-1            184320 bytes  good, version 41
        exit 0, touched nothing
    "#]],
    );
    transcript(
        &device,
        "snapshot restore v41-1 --db settings --yes",
        expect![[r#"
        settings: restored from a snapshot and migrated to 41, because `snapshot restore` was asked for; lost: what was written after the snapshot of version 41; the old database is kept in quarantine. [BM-11 settings 41]
        exit 11, touched database, state
    "#]],
    );
    assert_eq!(oracle::content(&device.main()).unwrap(), old);
    let aside = device.state("settings").join("quarantine/2/settings.db");
    assert_eq!(oracle::content(&aside).unwrap().rows["child"], 300);
    transcript(
        &device,
        "run",
        expect![[r#"
        settings: at version 41, nothing to do. [BM-0 settings 41]
        exit 0, touched nothing
    "#]],
    );
}

#[test]
fn a_file_is_restored_and_migrated_to_this_firmware() {
    let device = TestDevice::booted_at(40).firmware(42);
    let file = device.folder().join("from-support.db");
    fs::copy(device.main(), &file).unwrap();
    let new = wanted(&device, 40, 42);
    assert_eq!(device.run(&["run"]).exit, "0");
    Connection::open(device.main())
        .unwrap()
        .execute_batch("DELETE FROM preference; DELETE FROM child")
        .unwrap();
    let ran =
        device.run(&["snapshot", "restore", &file.to_string_lossy(), "--db", "settings", "--yes"]);
    assert_eq!(ran.exit, "11", "{}{}", ran.stdout, ran.stderr);
    assert_eq!(oracle::content(&device.main()).unwrap(), new);
    assert_eq!(
        oracle::complaints(&device.main(), &device.firmware_folder(), "settings"),
        Vec::<String>::new()
    );
    assert!(ready(&device));
}

#[test]
fn a_bad_copy_is_found_and_never_restored() {
    let device = TestDevice::booted_at(41);
    assert_eq!(device.run(&["snapshot", "create"]).exit, "0");
    let copy = device.state("settings").join("snapshots/v41-1.db");
    let mut bytes = fs::read(&copy).unwrap();
    let page = bytes.len() / 8192 * 4096;
    bytes[page..page + 4096].fill(0xA5);
    fs::write(&copy, bytes).unwrap();
    let rows = oracle::content(&device.main());
    let ran = device.run(&["snapshot", "verify"]);
    assert_eq!(ran.exit, "17", "{}", ran.stdout);
    assert!(ran.stdout.contains("NOT GOOD"), "{}", ran.stdout);
    let before = oracle::folder(&device.root());
    let ran = device.run(&["snapshot", "restore", "v41-1", "--db", "settings", "--yes"]);
    assert_eq!(
        (ran.exit.as_str(), oracle::touched(&before, &oracle::folder(&device.root())).as_str()),
        ("17", "nothing")
    );
    assert!(ran.stderr.contains("this copy is not good"), "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()), rows);
    assert!(ready(&device));
}

#[test]
fn a_bundle_has_everything_but_rows() {
    let device = TestDevice::booted_at(40).file((
        "V41__x.sql",
        "-- bootmigrate: expect = SELECT name FROM parent WHERE id = 1500\nSELECT 1;\n",
    ));
    assert_eq!(device.run(&["run"]).exit, "10");
    let file = device.folder().join("bundle.json");
    let before = oracle::folder(&device.root());
    let ran = device.run(&["bundle", &file.to_string_lossy()]);
    assert_eq!(ran.exit, "0", "{}{}", ran.stdout, ran.stderr);
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    let text = fs::read_to_string(&file).unwrap();
    let bundle: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(text.contains("CREATE TABLE child") && text.contains("V41__x.sql"), "{text}");
    assert_eq!(bundle["last_report"]["databases"][0]["outcome"], "failed");
    for row in ["factory-", "device 1", "'badge'", "deadbeef"] {
        assert!(!text.contains(row), "{row} is in the bundle");
    }
    assert_eq!(device.run(&["bundle", &file.to_string_lossy()]).exit, "2");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(device.run(&["bundle", "-"]).exit, "0");
    // A name alone is a file in the folder where one stands.
    let mut command = device.command(&device.words(&["bundle", "beside.json"]));
    command.current_dir(device.folder());
    assert_eq!(crate::program::finish(command).exit, "0");
    assert!(device.folder().join("beside.json").exists());
}

#[test]
fn the_doctor_finds_nothing_where_nothing_is_wrong() {
    for device in [TestDevice::booted_at(41), TestDevice::wal_at(41)] {
        let device = device.application(&["sql UPDATE parent SET reading = 3"]);
        let before = oracle::folder(&device.root());
        let ran = device.run(&["doctor"]);
        assert_eq!(ran.exit, "0", "{}", ran.stdout);
        assert!(
            !ran.stdout.contains("PROBLEM") && ran.stdout.contains("every page and index is whole"),
            "{}",
            ran.stdout
        );
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    }
}

#[test]
fn the_doctor_names_the_repair() {
    let damaged = TestDevice::booted_at(41).after(|device| {
        let bytes = fs::read(device.main()).unwrap();
        let middle = bytes.len() / 8192 * 4096;
        let mut bytes = bytes;
        bytes[middle..middle + 4096].fill(0xA5);
        fs::write(device.main(), bytes).unwrap();
    });
    let by_hand = TestDevice::booted_at(41).after(|device| {
        Connection::open(device.main())
            .unwrap()
            .execute_batch("DROP INDEX child_parent; CREATE TABLE notes (id)")
            .unwrap();
    });
    let situations = [
        (damaged, "17", "bootmigrate run --purge-and-retry --db settings"),
        (by_hand, "0", "index child_parent is missing; table notes is not from a migration"),
        (
            TestDevice::booted_at(40).firmware(41),
            "3",
            "stop the applications, then `bootmigrate run --db settings`",
        ),
        (TestDevice::at(42).firmware(41), "12", "boot the newer firmware"),
        (TestDevice::empty(41), "3", "a first boot makes it"),
    ];
    for (device, exit, repair) in situations {
        let before = oracle::folder(&device.root());
        let ran = device.run(&["doctor", "--full"]);
        assert_eq!(ran.exit, exit, "{}", ran.stdout);
        assert!(ran.stdout.contains(repair), "{repair}: {}", ran.stdout);
        let json = device.run(&["doctor", "--json"]);
        let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!(value["exit"].to_string(), exit, "{value}");
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    }
}

#[test]
fn observing_changes_nothing_and_says_what_would_be_done() {
    for (device, exit, is_ready) in [
        (TestDevice::at(40).firmware(41), "3", false),
        (TestDevice::wal_at(41), "0", true),
        (TestDevice::empty(41), "3", false),
    ] {
        let device = device.top("mode = \"observe\"");
        let before = oracle::folder(&device.root());
        let ran = device.run(&["run"]);
        assert_eq!((ran.exit.as_str(), ready(&device)), (exit, is_ready), "{}", ran.stderr);
        assert!(
            ran.stderr.contains("mode = \"observe\" changes nothing; the plan is: "),
            "{}",
            ran.stderr
        );
        for words in ["migrate --all", "snapshot create", "snapshot prune", "rehearse"] {
            let ran = device.run(&words.split(' ').collect::<Vec<_>>());
            assert_eq!(ran.exit, "3", "{words}: {}{}", ran.stdout, ran.stderr);
        }
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    }
}

#[test]
fn a_program_is_started_only_with_usable_databases() {
    let device = TestDevice::at(40).firmware(41);
    let new = wanted(&device, 40, 41);
    assert_eq!(device.run(&["ready", "--db", "settings"]).exit, "3");
    let ran =
        device.run(&["run", "--", "sh", "-c", "echo started with $0 $1; exit 7", "-a", "--retry"]);
    assert_eq!(
        (ran.exit.as_str(), ran.stdout.as_str()),
        ("7", "started with -a --retry\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::content(&device.main()).unwrap(), new);
    assert_eq!(device.run(&["ready", "--db", "settings"]).exit, "0");
    let device = TestDevice::at(40).file(BROKEN);
    let ran = device.run(&["run", "--", "echo", "started"]);
    assert_eq!((ran.exit.as_str(), ran.stdout.as_str()), ("10", ""), "{}", ran.stderr);
}
