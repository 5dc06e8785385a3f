//! Owns the tests of two slots: yesterday's firmware on tomorrow's data, and the way back from it.
//! Promises: each firmware is a process of its own with a catalogue of its own; every row is
//! compared before and after.
//! Never writes a history row by hand: the firmware that migrated did.

use crate::device::TestDevice;
use crate::dump::{check_op, perform, tidy};
use crate::older;
use crate::oracle::{self, Content};
use crate::program::{finish, runner};
use expect_test::expect;
use rusqlite::Connection;
use std::fs;

/// Two migrations that a newer firmware brings, and their ways back.
const STAMP_DOWN: (&str, &str) = (
    "V40__stamp.down.sql",
    "DROP TRIGGER child_changes;\nALTER TABLE child DROP COLUMN changes;\n",
);
const NOTES: (&str, &str) = (
    "V43__notes.sql",
    "CREATE TABLE note (id INTEGER PRIMARY KEY, parent_id INTEGER, text TEXT);\n",
);
const NOTES_DOWN: (&str, &str) = ("V43__notes.down.sql", "DROP TABLE note;\n");
const CONFIGURED: &str = "on_newer = [\"compatible\", \"downgrade\", \"trial-snapshot\"]";

/// A device at 30 with 2,000 parents and children, two slots; the newer firmware has V40 and V43,
/// both with a way back.
fn newer(wal: bool) -> TestDevice {
    let device = if wal { TestDevice::wal_at(30) } else { TestDevice::at(30) };
    device.slots("ab").firmware(40).file(STAMP_DOWN).file(NOTES).file(NOTES_DOWN)
}

/// The newer firmware has run, and its application has written these.
fn after_newer(mut device: TestDevice, sql: &str) -> TestDevice {
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "the newer firmware: {}", ran.stderr);
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
    device.databases[0].version = 43;
    device.older(30)
}

fn content(device: &TestDevice) -> Content {
    oracle::content(&device.main()).unwrap()
}

#[test]
fn an_earlier_release_refuses_newer_data_and_leaves_it_alone() {
    let device =
        after_newer(newer(false).key(CONFIGURED), "INSERT INTO note VALUES (1, 1, 'kept')");
    let before = oracle::folder(&device.root());
    let mut words = device.words(&["run"]);
    match std::env::var_os("BOOTMIGRATE_UNDER_TEST") {
        Some(other) => words[runner().len()] = other,
        // Of this machine's processor, also where today's is of another: what one of them writes,
        // the other reads.
        None => drop(words.splice(..=runner().len(), [older::firmware().into()])),
    }
    let ran = finish(device.command(&words));
    assert_eq!(ran.exit, "12", "{}", ran.stderr);
    assert!(
        ran.stderr.contains("the database is at version 43, this firmware knows 30"),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    // And its successor finds everything as it was left.
    let device = device.firmware(40).file(STAMP_DOWN).file(NOTES).file(NOTES_DOWN);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
}

#[test]
fn goes_back_without_losing_a_row() {
    // What the application wrote under the newer firmware stays, as far as the older schema knows
    // it.
    let device = after_newer(
        newer(false),
        "UPDATE parent SET reading = 3.5 WHERE id < 100; DELETE FROM child WHERE id = 7",
    );
    let want = went_back(&device);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: go back from 43 to 30 on a copy, by the down SQL stored for V43 notes, V40 stamp, then put it in place
            exit:     0
            settings: downgraded 43>30 of 30, applied [], usable, exit 0
            code:     BM-0 settings 43>30
            kept:     quarantine/2 the old files, with a reason
            database: OTHER, 2000 parents, 1999 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    assert_eq!(content(&device), want);
    let aside =
        oracle::content(&device.state("settings").join("quarantine/2/settings.db")).unwrap();
    assert_eq!(aside.rows.get("note"), Some(&0), "the newer file is kept whole");
}

/// What the older schema has room for, by SQLite alone.
fn went_back(device: &TestDevice) -> Content {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let connection = copy.open();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    for (_, sql) in [NOTES_DOWN, STAMP_DOWN] {
        connection.execute_batch(sql).unwrap();
    }
    oracle::read(&connection).unwrap()
}

const WRITTEN: &str = "INSERT INTO note VALUES (1, 1, 'one'), (2, 1, 'two'); UPDATE child SET \
                       label = 'x' WHERE id = 4;";

#[test]
fn goes_back_and_says_what_did_not_fit() {
    let device = after_newer(newer(false), WRITTEN);
    let want = went_back(&device);
    let old = content(&device);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: go back from 43 to 30 on a copy, by the down SQL stored for V43 notes, V40 stamp, then put it in place
            exit:     11
            settings: downgraded 43>30 of 30, applied [], data lost, reduced, usable, exit 11
            code:     BM-11 settings 43>30
            kept:     quarantine/2 the old files, with a reason
            database: OTHER, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    assert_eq!(content(&device), want);
    let aside = device.state("settings").join("quarantine/2");
    assert_eq!(
        oracle::content(&aside.join("settings.db")).unwrap(),
        old,
        "what did not fit is in quarantine"
    );
    let reason = fs::read_to_string(aside.join("reason.txt")).unwrap();
    expect![[r#"
        operation: 2
        reason: it is at version 43 and this firmware knows 30
        data lost: column child.changes (1 value), table note (2 rows)
    "#]]
    .assert_eq(&reason);
}

#[test]
fn goes_back_in_wal_mode_and_forward_again() {
    let mut device = after_newer(newer(true), WRITTEN);
    let want = went_back(&device);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(content(&device), want);
    let mode: String = Connection::open(device.main())
        .unwrap()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    // The newer slot boots once more: it migrates as it did before.
    device = device.firmware(40).file(STAMP_DOWN).file(NOTES).file(NOTES_DOWN);
    device.databases[0].version = 30;
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: migrate 30 to 43: V40 stamp, V43 notes, in one transaction, after a snapshot
            exit:     0
            settings: migrated 30>43 of 43, applied [40,43], usable, exit 0
            code:     BM-0 settings 30>43
            backup:   snapshots/v30-3.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn a_way_back_that_fails_gives_way_to_the_snapshot_of_a_slot_on_trial() {
    let wrong =
        (STAMP_DOWN.0, "DROP TRIGGER child_changes;\nALTER TABLE child DROP COLUMN nowhere;\n");
    let device = newer(false).key(CONFIGURED).file(wrong);
    let at_30 = content(&device);
    let device = after_newer(device, WRITTEN);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: go back from 43 to 30 on a copy, by the down SQL stored for V43 notes, V40 stamp, then put it in place
            exit:     11
            settings: restored 43>30 of 30, applied [], data lost, usable, exit 11
            code:     BM-11 settings 43>30
            kept:     quarantine/3 the old files, with a reason
            database: OTHER, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    assert_eq!(content(&device), at_30);
}

#[test]
fn a_way_back_that_leads_elsewhere_is_refused() {
    // The column is forgotten: the newer firmware would meet it when it comes again.
    let wrong = (STAMP_DOWN.0, "DROP TRIGGER child_changes;\n");
    let device = after_newer(newer(false).key("on_newer = [\"downgrade\"]").file(wrong), WRITTEN);
    let old = content(&device);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "12", "{}", ran.stderr);
    expect![[r#"
        settings: the stored down SQL does not lead to this firmware's schema: column child.changes is still there (while: go back by the stored down SQL); what comes next in the configured order is tried.
        settings: the database is at version 43, this firmware knows 30; its stored down SQL failed, the last time with: the stored down SQL does not lead to this firmware's schema: column child.changes is still there (while: go back by the stored down SQL); nothing was changed. Next: boot the newer firmware. [BM-12 settings 43>30]
    "#]].assert_eq(&tidy(&device, &ran.stderr));
    // Three tries, and then a read a boot.
    assert_eq!([device.run(&["run"]).exit, device.run(&["run"]).exit], ["12", "12"]);
    let operation = perform(&device, &["run"]);
    assert_eq!(
        (operation.ran.exit.as_str(), operation.touched.as_str()),
        ("12", "nothing"),
        "{}",
        operation.ran.stderr
    );
    assert_eq!(content(&device), old);
    assert_eq!(
        fs::read_dir(device.state("settings").join("quarantine")).unwrap().count(),
        0,
        "nothing was set aside"
    );
}

#[test]
fn after_mark_good_nothing_goes_back_by_a_snapshot() {
    let device = newer(false).key("on_newer = [\"compatible\", \"trial-snapshot\"]");
    assert_eq!(device.run(&["run"]).exit, "0");
    let snapshot = device.state("settings").join("snapshots/v30-1.db");
    assert!(snapshot.exists());
    let good = device.run(&["mark-good"]);
    assert_eq!(
        (good.exit.as_str(), good.stdout.as_str()),
        ("0", "settings: version 43 is good; no snapshot goes.\n"),
        "{}",
        good.stderr
    );
    let before = oracle::folder(&device.root());
    let again = device.run(&["mark-good"]);
    assert_eq!(
        (again.exit.as_str(), again.stdout.as_str()),
        ("0", "settings: version 43 was marked good before; no snapshot goes.\n")
    );
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    let device = device.older(30);
    let operation = perform(&device, &["run"]);
    assert_eq!(
        (operation.ran.exit.as_str(), operation.touched.as_str()),
        ("12", "nothing"),
        "{}",
        operation.ran.stderr
    );
    let rows = content(&device).rows;
    assert_eq!((rows["parent"], rows["child"]), (2000, 2000));
}

#[test]
fn what_comes_after_mark_good_is_on_trial_again() {
    let device = newer(false).key("on_newer = [\"compatible\", \"trial-snapshot\"]");
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(device.run(&["mark-good"]).exit, "0");
    let at_43 = content(&device);
    let device = device.file(("V44__more.sql", "CREATE TABLE more (id INTEGER PRIMARY KEY);\n"));
    assert_eq!(device.run(&["run"]).exit, "0");
    // The slot that was marked good comes back, and finds its own version again.
    let device = device.without("V44__more.sql");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(content(&device), at_43);
    assert_eq!((at_43.rows["parent"], at_43.rows["child"]), (2000, 2000));
}

#[test]
fn what_newer_firmware_says_of_itself_hides_no_snapshot_where_the_owner_does_not_use_it() {
    let more = (
        "V44__more.sql",
        "-- bootmigrate: compatible-from = 30\nCREATE TABLE more (id INTEGER PRIMARY KEY);\n",
    );
    let device = newer(false).key("on_newer = [\"downgrade\", \"trial-snapshot\"]");
    assert_eq!(device.run(&["run"]).exit, "0");
    let at_43 = content(&device);
    let device = device.file(more);
    assert_eq!(device.run(&["run"]).exit, "0");
    // There is no way back by SQL, and the snapshot is on trial.
    let device = device.without(more.0);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(content(&device), at_43);
}

/// The snapshot is of a database that refinery had made, before `user_version` was ours.
#[test]
fn a_snapshot_of_an_earlier_tools_database_gets_the_version_in_its_header() {
    let device = newer(false).key("on_newer = [\"trial-snapshot\"]").key("user_version = \"ours\"");
    let version = |device: &TestDevice| -> i64 {
        Connection::open(device.main())
            .unwrap()
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(version(&device), 0);
    let device = after_newer(device, "SELECT 1");
    assert_eq!(version(&device), 43);
    let ran = device.run(&["run"]);
    assert_eq!((ran.exit.as_str(), version(&device)), ("11", 30), "{}", ran.stderr);
}

#[test]
fn mark_good_lets_the_first_snapshot_of_the_trial_go() {
    let mut device = newer(false).key("snapshots_max = 1");
    assert_eq!(device.run(&["run"]).exit, "0");
    device = device.file(("V44__more.sql", "CREATE TABLE more (id INTEGER PRIMARY KEY);\n"));
    assert_eq!(device.run(&["run"]).exit, "0");
    let names = |device: &TestDevice| {
        let entries = fs::read_dir(device.state("settings").join("snapshots")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&device), ["v30-1.db", "v43-2.db"]);
    let good = device.run(&["mark-good"]);
    assert_eq!(
        (good.exit.as_str(), good.stdout.as_str()),
        ("0", "settings: version 44 is good; removed: v30-1.\n"),
        "{}",
        good.stderr
    );
    assert_eq!(names(&device), ["v43-2.db"]);
    let rows = content(&device).rows;
    assert_eq!((rows["parent"], rows["child"]), (2000, 2000));
}

/// The older slot would find one database newer than it knows, and no snapshot of the other.
#[test]
fn a_slot_is_marked_good_as_a_whole_or_not_at_all() {
    let mut device = newer(false).key("snapshots_max = 1").with_telemetry(30);
    assert_eq!(device.run(&["run"]).exit, "0");
    device = device.file(("V44__more.sql", "CREATE TABLE more (id INTEGER PRIMARY KEY);\n"));
    assert_eq!(device.run(&["run"]).exit, "0");
    device = device.file_of("telemetry", ("V45__broken.sql", "CREATE TABLE parent (a);\n"));
    for (arguments, line) in [
        (
            ["mark-good"].as_slice(),
            "settings: not marked good, because telemetry is not ready. Next: `bootmigrate run`.\n",
        ),
        (&["mark-good", "--db", "settings"], "settings: version 44 is good; removed: v30-1.\n"),
    ] {
        let before = oracle::folder(&device.root());
        let ran = device.run(arguments);
        assert!(ran.stdout.starts_with(line), "{}", ran.stdout);
        let touched = oracle::touched(&before, &oracle::folder(&device.root()));
        assert_eq!(
            (ran.exit.as_str(), touched.as_str() == "nothing"),
            if arguments.len() == 1 { ("3", true) } else { ("0", false) }
        );
    }
}

/// Nothing is marked, and no snapshot goes, before every record can be written.
#[test]
fn a_slot_is_not_marked_good_where_one_database_is_worked_on() {
    let mut device = newer(false).key("snapshots_max = 1").with_telemetry(30);
    assert_eq!(device.run(&["run"]).exit, "0");
    device = device.file(("V44__more.sql", "CREATE TABLE more (id INTEGER PRIMARY KEY);\n"));
    assert_eq!(device.run(&["run"]).exit, "0");
    fs::create_dir_all(device.root().join("etc")).unwrap();
    fs::write(
        device.root().join("etc/bootmigrate.toml"),
        "[databases.telemetry]\nbusy_timeout_s = 0\n",
    )
    .unwrap();
    let held = fs::File::open(device.state("telemetry").join("lock")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let before = oracle::folder(&device.root());
    let ran = device.run(&["mark-good"]);
    assert_eq!(ran.exit, "13", "{}", ran.stderr);
    assert!(
        ran.stdout.starts_with(
            "settings: not marked good, because telemetry cannot be marked.\ntelemetry: not marked \
             good: another"
        ),
        "{}",
        ran.stdout
    );
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    drop(held);
    assert_eq!(device.run(&["mark-good"]).exit, "0");
}

#[test]
fn what_is_pending_is_not_marked_good() {
    let device = newer(false);
    let before = oracle::folder(&device.root());
    let ran = device.run(&["mark-good"]);
    assert_eq!(ran.exit, "3", "{}", ran.stderr);
    expect![[r#"
        settings: not marked good, because the next boot would migrate 30 to 43: V40 stamp, V43 notes, in one transaction, after a snapshot. Next: `bootmigrate run`.
    "#]].assert_eq(&tidy(&device, &ran.stdout));
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    assert_eq!(content(&device).rows["parent"], 2000);
}
