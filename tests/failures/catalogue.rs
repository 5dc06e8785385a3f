//! Owns the rows about a catalogue and a database that do not fit: newer, changed, half done,
//! failing.
//! Promises: the database is written by the real refinery, and by its application.
//! Never edits a history row by hand.

use crate::device::{Mode, TestDevice};
use crate::product::{self, BROKEN, ORPHANS, UNIQUE_BADGE};
use crate::row::{row, Before};
use rusqlite::Connection;
use std::fs;

const COMPATIBLE: (&str, &str) = (
    "V42__preferences.sql",
    "-- bootmigrate: compatible-from = 40\nCREATE TABLE preference (name TEXT);\n",
);

/// A database at 42 whose firmware said that 40 can use it.
fn compatible() -> TestDevice {
    let mut device = TestDevice::at(41).firmware(42).file(COMPATIBLE);
    assert_eq!(device.run(&["run"]).exit, "0");
    device.databases[0].version = 42;
    device
}

#[test]
fn row_24_newer_than_the_firmware() {
    let mut row = row(24);
    row.boot(&compatible().firmware(41));
    row.boot(&TestDevice::at(42).firmware(40));
    let down = (
        "V40__stamp.down.sql",
        "DROP TRIGGER child_changes;\nALTER TABLE child DROP COLUMN changes;\n",
    );
    row.boot(&back_at_30(TestDevice::at(30).slots("ab").firmware(40).file(down)));
    row.whole();
}

/// The newer firmware of this device has run, and the older one boots next.
fn back_at_30(mut device: TestDevice) -> TestDevice {
    assert_eq!(device.run(&["run"]).exit, "0");
    device.databases[0].version = 40;
    device.older(30)
}

#[test]
fn row_25_newer_and_purge_is_the_policy() {
    let mut row = row(25);
    row.boot(&TestDevice::at(42).firmware(40).key("on_failure = \"purge\""));
    row.boot(&TestDevice::at(42).firmware(40).key("kind = \"rebuildable\""));
    row.whole();
}

#[test]
fn row_28_a_released_text_differs() {
    let mut row = row(28);
    let changed = || {
        TestDevice::at(40)
            .file(("V30__look.sql", "CREATE INDEX child_parent ON child (parent_id, label);\n"))
    };
    row.boot(&changed());
    row.boot(&changed().key("on_checksum_mismatch = \"warn\""));
    let device = TestDevice::at(40);
    for (file, sql) in product::read(&device.firmware_folder(), "settings") {
        fs::write(device.firmware_folder().join("settings").join(file), sql.replace('\n', "\r\n"))
            .unwrap();
    }
    row.boot(&device);
    row.whole();
}

#[test]
fn row_48_foreign_keys_are_violated() {
    let mut row = row(48);
    row.boot(&TestDevice::booted_at(40).file(ORPHANS));
    let device = TestDevice::booted_at(40).firmware(41).after(|device| {
        let connection = Connection::open(device.main()).unwrap();
        connection
            .execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM parent WHERE id IN (8, 9)")
            .unwrap();
    });
    row.boot(&device);
    row.whole();
}

#[test]
fn row_49_the_old_slot_boots_again() {
    let mut row = row(49);
    // Two slots, and nobody has said that the new one is good: both snapshots since then are kept.
    let device = TestDevice::booted_at(40);
    fs::create_dir_all(device.root().join("etc")).unwrap();
    fs::write(device.root().join("etc/bootmigrate.toml"), "slots = \"ab\"\n").unwrap();
    let device = device.firmware(41);
    assert_eq!(device.run(&["run"]).exit, "0");
    let mut device = device.firmware(42).file(COMPATIBLE);
    device.databases[0].version = 41;
    row.boot(&device);
    device.databases[0].version = 42;
    let mut kept: Vec<_> = fs::read_dir(device.state("settings").join("snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    kept.sort();
    assert_eq!(kept, ["v40-1.db", "v41-2.db"]);
    row.boot(&device.firmware(41));
    row.boot(&back_at_30(
        TestDevice::at(30).slots("ab").firmware(40).key("on_newer = [\"trial-snapshot\"]"),
    ));
    row.whole();
}

#[test]
fn row_50_the_fresh_schema_fails_too() {
    let mut row = row(50);
    row.boot(&TestDevice::at(40).file(BROKEN).key("on_failure = \"purge\""));
    row.whole();
}

#[test]
fn row_58_half_done_step_of_plain_refinery() {
    let mut row = row(58);
    let mut device = TestDevice::at(30).firmware(41).half_done(40);
    device.databases[0].version = 40;
    row.boot(&device);
    row.boot(&TestDevice::at(30).firmware(41).after(|device| {
        Connection::open(device.main())
            .unwrap()
            .execute_batch("ALTER TABLE child ADD COLUMN changes TEXT")
            .unwrap();
    }));
    row.whole();
}

#[test]
fn row_59_another_migration_under_a_number() {
    let mut row = row(59);
    row.boot(
        &TestDevice::at(40)
            .firmware(41)
            .without("V30__look.sql")
            .file(("V30__hotfix.sql", "CREATE TABLE hotfix (id);\n")),
    );
    row.whole();
}

#[test]
fn row_65_slots_flip_with_failing_migrations() {
    let mut row = row(65);
    let mut device = TestDevice::booted_at(40);
    let mut exits = Vec::new();
    for _ in 0..3 {
        for file in [BROKEN, UNIQUE_BADGE] {
            device = device.firmware(40).file(file);
            exits.push(device.run(&["run"]).exit);
        }
    }
    assert_eq!(exits, ["10"; 6], "three tries each");
    for file in [BROKEN, UNIQUE_BADGE] {
        device = device.firmware(40).file(file);
        row.boot(&device);
    }
    row.whole();
}

#[test]
fn row_54_databases_that_go_together_and_one_fails() {
    let mut row = row(54);
    let device = TestDevice::at(40).together_with_log(40, Mode::Delete).firmware(41);
    let device = device.without_of("log", "V41__rebuild_parents.sql").file_of("log", BROKEN);
    let log = || crate::oracle::content(&device.path("log")).unwrap();
    let before = log();
    row.boot(&device);
    assert_eq!(log(), before, "the one that fails is as it was, too");
    row.whole();
}

#[test]
fn row_71_an_application_would_meet_what_does_not_work() {
    let mut row = row(71);
    let rename = "DROP VIEW family; ALTER TABLE parent RENAME TO parent_old;
        CREATE TABLE parent (id INTEGER PRIMARY KEY, name, reading, raw, badge); INSERT INTO \
                  parent SELECT * FROM parent_old; DROP TABLE parent_old;";
    row.boot(&TestDevice::booted_at(40).file(("V43__rename.sql", rename)));
    let drop = "DROP TABLE child; CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER \
                REFERENCES parent (id));";
    row.boot(&TestDevice::booted_at(40).file(("V43__drop.sql", drop)));
    let list =
        "CREATE VIEW list AS SELECT group_concat(name, ',' ORDER BY id) AS names FROM parent;";
    row.boot(&TestDevice::booted_at(40).file(("V43__list.sql", list)).after(|device| {
        fs::create_dir_all(device.root().join("etc")).unwrap();
        fs::write(
            device.root().join("etc/bootmigrate.toml"),
            "[databases.settings]\nsqlite_min = \"3.40\"\n",
        )
        .unwrap();
    }));
    row.whole();
}

const MISMATCH: &str = "CREATE TABLE repo (name TEXT);\nCREATE TABLE branch (id INTEGER PRIMARY \
                        KEY, repo TEXT REFERENCES repo (name));\n";

#[test]
fn row_72_foreign_keys_that_never_fitted() {
    let mut row = row(72);
    let never = |device: &TestDevice| {
        Connection::open(device.main()).unwrap().execute_batch(MISMATCH).unwrap()
    };
    row.boot(&TestDevice::booted_at(40).file(ORPHANS).after(never));
    row.boot(&TestDevice::booted_at(40).firmware(41).after(never));
    row.whole();
}

#[test]
fn row_73_a_new_device_and_a_schema_that_never_fitted() {
    let mut row = row(73);
    row.boot(&TestDevice::empty(40).file(("V5__base.sql", MISMATCH)).key("baseline_version = 5"));
    row.boot(&TestDevice::empty(40).file(("V5__base.sql", MISMATCH)));
    row.whole();
}

#[test]
fn row_70_the_history_is_changed() {
    let mut row = row(70);
    let device = TestDevice::booted_at(40).firmware(41);
    let hang =
        "CREATE TRIGGER of_theirs AFTER INSERT ON refinery_schema_history BEGIN DELETE FROM \
         refinery_schema_history WHERE version = 10; END";
    rusqlite::Connection::open(device.main()).unwrap().execute_batch(hang).unwrap();
    row.boot(&device);
    rusqlite::Connection::open(device.main())
        .unwrap()
        .execute_batch("DROP TRIGGER of_theirs")
        .unwrap();
    row.boot(&device);
    row.boot(&TestDevice::booted_at(40).file((
        "V41__touches.sql",
        "UPDATE refinery_schema_history SET name = 'other' WHERE version = 10;\n",
    )));
    row.whole();
}

#[test]
fn row_82_a_migration_meets_nothing_of_the_one_before() {
    let mut row = row(82);
    let temporary =
        "CREATE TEMP TABLE parent (id, name); INSERT INTO parent VALUES (1, 'not the real one');\n";
    let writes = "INSERT INTO parent (id, name) VALUES (9001, 'kept');\n";
    let legacy = "PRAGMA legacy_alter_table = ON;\nCREATE TABLE note (id);\n";
    let renames =
        "CREATE VIEW names AS SELECT name FROM parent;\nALTER TABLE parent RENAME TO device;\n";
    for (second, third) in [(temporary, writes), (legacy, renames)] {
        let device = TestDevice::booted_at(40)
            .file(("V41__first.sql", second))
            .file(("V42__then.sql", third));
        // Plain SQLite, with a connection for each file.
        let copy = crate::oracle::Copy::of(&device.main()).unwrap();
        [second, third].iter().for_each(|sql| copy.open().execute_batch(sql).unwrap());
        let wanted = crate::oracle::content(&copy.path()).unwrap();
        let before = Before::of(&device).towards(wanted);
        let ran = device.run(&["run"]);
        row.saw(&device, before, "", &ran);
    }
    row.whole();
}

#[test]
fn row_78_a_down_file_that_leaves_a_table_behind() {
    let mut row = row(78);
    let step = [("V43__b.sql", "CREATE TABLE b (y);\n"), ("V43__b.down.sql", "SELECT 1;\n")];
    let device =
        TestDevice::booted_at(41).key("on_newer = [\"downgrade\"]").file(step[0]).file(step[1]);
    assert_eq!(device.run(&["run"]).exit, "0");
    let device = device.without(step[0].0).without(step[1].0);
    row.boot(&device);
    let device = device.file(step[0]).file(step[1]);
    row.boot(&device);
    row.whole();
}
