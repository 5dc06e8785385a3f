//! Owns the tests of single keys: a text that was changed after release, the order, the history's
//! table, user_version, journal mode.
//! Promises: each key is tried with the value that is not the default, and every row is compared.
//! Never tries a key that has a file of its own (on_failure, on_damage, on_newer, carry_over, copy,
//! owner).

use crate::device::TestDevice;
use crate::dump::{check, check_op, tidy};
use crate::oracle::{self, Content};
use expect_test::expect;
use refinery::Runner;
use rusqlite::Connection;

/// The same index, and a word more.
const CHANGED: (&str, &str) = (
    "V30__look.sql",
    "-- Changed after release.\nCREATE INDEX child_parent ON child (parent_id);\nCREATE VIEW \
     family AS SELECT p.name, c.label FROM parent p JOIN child c ON c.parent_id = p.id;\n",
);

#[test]
fn a_on_checksum_mismatch_that_is_only_warned_about_stops_no_quiet_boot() {
    let device = TestDevice::booted_at(40).file(CHANGED).key("on_checksum_mismatch = \"warn\"");
    let rows = oracle::content(&device.main());
    let before = oracle::folder(&device.root());
    let ran = device.run(&["run"]);
    expect![[r#"
        settings: the text of settings/V30__look.sql differs from what was applied; on_checksum_mismatch = "warn" goes on.
        settings: at version 40, nothing to do. [BM-0 settings 40]
    "#]]
    .assert_eq(&tidy(&device, &ran.stderr));
    assert_eq!(
        (ran.exit.as_str(), oracle::touched(&before, &oracle::folder(&device.root())).as_str()),
        ("0", "nothing")
    );
    assert_eq!(oracle::content(&device.main()), rows);
    assert!(device.root().join("run/bootmigrate/ready/settings").exists());
}

#[test]
fn a_on_checksum_mismatch_that_is_only_warned_about_stops_no_upgrade() {
    let device =
        TestDevice::booted_at(40).firmware(42).file(CHANGED).key("on_checksum_mismatch = \"warn\"");
    let wanted = device.expectations(&device.databases[0]).new;
    let ran = device.run(&["run"]);
    expect![[r#"
        settings: the text of settings/V30__look.sql differs from what was applied; on_checksum_mismatch = "warn" goes on.
        settings: migrated from 40 to 42 (2 applied, snapshot snapshots/v40-1.db). [BM-0 settings 40>42]
    "#]]
    .assert_eq(&tidy(&device, &ran.stderr));
    assert_eq!((ran.exit.as_str(), oracle::content(&device.main()).ok()), ("0", wanted));
}

#[test]
fn a_late_number_is_refused_whatever_on_checksum_mismatch_says() {
    let device = TestDevice::at(40)
        .firmware(42)
        .file(("V25__late.sql", "CREATE TABLE late (id INTEGER);\n"))
        .key("on_checksum_mismatch = \"warn\"");
    check(
        device,
        "run",
        expect![[r#"
        plan:     settings: refuse: settings/V25__late.sql was never applied and version 40 was
        exit:     21
        settings: refused null>null of 42, applied [], not usable, exit 21
        code:     BM-21 settings ?>42
        database: old, 2000 parents, 2000 children
        touched:  nothing
        again:    exit 21, refused, touched nothing
    "#]],
    );
}

const TABLE: &str = "firmware_steps";

/// The product's own tables: the history has another name here, and is no part of them.
fn without_history(device: &TestDevice) -> Content {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let connection = copy.open();
    let history: i64 = connection
        .query_row(&format!("SELECT count(*) FROM {TABLE}"), [], |row| row.get(0))
        .unwrap();
    assert!(history > 0);
    connection.execute_batch(&format!("DROP TABLE {TABLE}")).unwrap();
    oracle::read(&connection).unwrap()
}

/// What refinery, told the table's name, reads in it.
fn refinery_reads(device: &TestDevice) -> Vec<i32> {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let mut runner = Runner::new(&oracle::refinery(&device.firmware_folder(), "settings"));
    runner.set_migration_table_name(TABLE);
    let mut connection = copy.open();
    assert!(
        runner.run(&mut connection).unwrap().applied_migrations().is_empty(),
        "refinery would apply more"
    );
    runner
        .get_applied_migrations(&mut connection)
        .unwrap()
        .iter()
        .map(refinery::Migration::version)
        .collect()
}

#[test]
fn a_history_under_another_name_is_taken_over() {
    for device in [TestDevice::at(40), TestDevice::wal_at(40)] {
        let device = device.firmware(42).key("history_table = \"firmware_steps\"");
        let new = device.expectations(&device.databases[0]).new.unwrap();
        let connection = Connection::open(device.main()).unwrap();
        connection
            .execute_batch(&format!("ALTER TABLE {} RENAME TO {TABLE}", oracle::HISTORY))
            .unwrap();
        connection.close().unwrap();
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "{}", ran.stderr);
        assert_eq!(without_history(&device), new);
        assert_eq!(refinery_reads(&device), [10, 20, 30, 40, 41, 42]);
        let before = oracle::folder(&device.root());
        assert_eq!(device.run(&["run"]).exit, "0");
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    }
}

#[test]
fn a_history_under_another_name_is_made_by_a_first_boot_and_a_swap() {
    let device = TestDevice::empty(42).key("history_table = \"firmware_steps\"");
    let fresh = oracle::fresh(&device.firmware_folder(), "settings").unwrap();
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(
        (without_history(&device), refinery_reads(&device)),
        (fresh.clone(), vec![10, 20, 30, 40, 41, 42])
    );
    // VACUUM, on a copy that is swapped in.
    let device = device.firmware(50);
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(
        (without_history(&device), refinery_reads(&device)),
        (fresh.clone(), vec![10, 20, 30, 40, 41, 42, 50])
    );
    let ran = device.run(&["purge", "--db", "settings", "--yes"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(
        (without_history(&device), refinery_reads(&device)),
        (fresh, vec![10, 20, 30, 40, 41, 42, 50])
    );
}

#[test]
fn a_history_under_another_name_than_configured_is_somebody_elses() {
    let device = TestDevice::at(40).firmware(42).key("history_table = \"firmware_steps\"");
    let rows = oracle::content(&device.main());
    let before = oracle::folder(&device.root());
    let ran = device.run(&["run"]);
    expect![[r#"
        settings: it has 3 tables and no migration history; nothing was changed. Next: correct `path`; or, for what another tool made, write `baseline`, or run `bootmigrate baseline --db settings --from TOOL`. [BM-16 settings ?>42]
    "#]].assert_eq(&tidy(&device, &ran.stderr));
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    assert_eq!(oracle::content(&device.main()), rows);
}

fn pragma(device: &TestDevice, name: &str) -> String {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    copy.open()
        .query_row(&format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"), [], |row| row.get(0))
        .unwrap()
}

#[test]
fn user_version_is_the_applications_unless_it_is_ours() {
    let recovered = |device: &TestDevice| {
        Connection::open(device.main()).unwrap().pragma_update(None, "user_version", 7).unwrap()
    };
    let device = TestDevice::at(40).firmware(42).after(recovered);
    let new = device.expectations(&device.databases[0]).new;
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(
        (pragma(&device, "user_version").as_str(), oracle::content(&device.main()).ok()),
        ("7", new)
    );
    let device = TestDevice::at(40).firmware(42).key("user_version = \"ours\"").after(recovered);
    let new = device.expectations(&device.databases[0]).new;
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(
        (pragma(&device, "user_version").as_str(), oracle::content(&device.main()).ok()),
        ("42", new)
    );
    let made = TestDevice::empty(42).key("user_version = \"ours\"");
    assert_eq!(
        (made.run(&["run"]).exit.as_str(), pragma(&made, "user_version").as_str()),
        ("0", "42")
    );
}

#[test]
fn the_journal_mode_is_the_applications_unless_it_is_configured() {
    for (device, key, then) in [
        (TestDevice::at(40), "journal_mode = \"keep\"", "delete"),
        (TestDevice::wal_at(40), "journal_mode = \"keep\"", "wal"),
        (TestDevice::at(40), "journal_mode = \"wal\"", "wal"),
        (TestDevice::wal_at(40), "journal_mode = \"delete\"", "delete"),
    ] {
        let device = device.firmware(42).key(key);
        let new = device.expectations(&device.databases[0]).new;
        assert_eq!(device.run(&["run"]).exit, "0", "{key}");
        assert_eq!(
            (pragma(&device, "journal_mode").as_str(), oracle::content(&device.main()).ok()),
            (then, new),
            "{key}"
        );
        check_op(
            &device,
            "run",
            expect![[r#"
            plan:     settings: nothing to do: at version 42
            exit:     0
            settings: quiet 42>42 of 42, applied [], usable, exit 0
            code:     BM-0 settings 42
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 0, quiet, touched nothing
        "#]],
        );
    }
}
