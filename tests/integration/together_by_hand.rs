//! Owns the tests of a command that names one database of a group: run, migrate, purge, rollback.
//! Promises: rows of both are compared; no member has a ready file while another is not there.
//! Never boots a group whose members nobody has touched by hand.

use crate::device::{Mode, TestDevice};
use crate::dump::{check_op, perform};
use crate::group::ready;
use crate::oracle;
use expect_test::expect;

#[test]
fn one_alone_is_migrated_by_hand_and_opened_only_with_the_other() {
    let device = TestDevice::at(40).together_with_log(40, Mode::Delete).firmware(42);
    let operation = perform(&device, &["migrate", "--db", "settings", "--all"]);
    assert_eq!(operation.ran.exit, "3", "{}", operation.ran.stderr);
    expect![[r#"
        settings: migrated from 40 to 42 (2 applied, snapshot snapshots/v40-1.db). It goes together with log, which is not ready: not ready either. [BM-3 settings 40>42]
    "#]].assert_eq(&operation.ran.stderr);
    assert_eq!(ready(&device), [""; 0]);
    // What a cut between the two commits leaves, too: the next boot finishes.
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: nothing to do: at version 42
                      log: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
            exit:     0
            settings: quiet 42>42 of 42, applied [], usable, exit 0
            code:     BM-0 settings 42
            database: old, 2000 parents, 2000 children
            log:      migrated 40>42 of 42, applied [41,42], usable, exit 0
            code:     BM-0 log 40>42
            backup:   snapshots/v40-1.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet and quiet, touched nothing
        "#]],
    );
    assert_eq!(ready(&device), ["log", "settings"]);
}

#[test]
fn the_run_of_one_takes_the_other_along() {
    let device = TestDevice::at(40).together_with_log(40, Mode::Delete).firmware(42);
    check_op(
        &device,
        "run --db log",
        expect![[r#"
        exit:     0
        settings: migrated 40>42 of 42, applied [41,42], usable, exit 0
        code:     BM-0 settings 40>42
        backup:   snapshots/v40-1.db old, 2000 parents, 2000 children
        database: new, 2000 parents, 2000 children
        log:      migrated 40>42 of 42, applied [41,42], usable, exit 0
        code:     BM-0 log 40>42
        backup:   snapshots/v40-1.db old, 2000 parents, 2000 children
        database: new, 2000 parents, 2000 children
        touched:  database, state
        again:    exit 0, quiet and quiet, touched nothing
    "#]],
    );
    assert_eq!(ready(&device), ["log", "settings"]);
}

#[test]
fn a_purge_of_one_purges_no_other() {
    let device = TestDevice::at(42).together_with_log(40, Mode::Delete).firmware(42);
    let operation = perform(&device, &["purge", "--db", "settings", "--yes"]);
    assert_eq!(operation.ran.exit, "11", "{}", operation.ran.stderr);
    assert_eq!(
        (operation.of("settings")["outcome"].as_str(), operation.of("log")["outcome"].as_str()),
        (Some("purged"), Some("migrated"))
    );
    let parents = |name| oracle::content(&device.path(name)).unwrap().rows["parent"];
    assert_eq!((parents("settings"), parents("log")), (1000, 2000));
    assert_eq!(ready(&device), ["log", "settings"]);
}

#[test]
fn two_that_refuse_can_be_purged_one_after_another() {
    // Each has a migration under a number that is another one in this firmware.
    let other = ("V30__other.sql", "CREATE TABLE other (id INTEGER PRIMARY KEY);\n");
    let mut device = TestDevice::at(40).together_with_log(40, Mode::Delete).firmware(40);
    for name in ["settings", "log"] {
        device = device.without_of(name, "V30__look.sql").file_of(name, other);
    }
    assert_eq!(device.run(&["run"]).exit, "21");
    let purged = perform(&device, &["purge", "--db", "settings", "--yes"]);
    assert_eq!(
        (purged.ran.exit.as_str(), &purged.of("settings")["outcome"]),
        ("21", &"purged".into()),
        "{}",
        purged.ran.stderr
    );
    assert_eq!(oracle::content(&device.main()).unwrap().rows["parent"], 1000);
    assert_eq!(oracle::content(&device.path("log")).unwrap().rows["parent"], 2000);
    assert_eq!(ready(&device), [""; 0]);
    // The loss is reported again by the run after which both may be opened.
    let purged = perform(&device, &["purge", "--db", "log", "--yes"]);
    assert_eq!(purged.ran.exit, "11", "{}", purged.ran.stderr);
    assert_eq!(
        (&purged.of("settings")["data_loss"], &purged.of("log")["data_loss"]),
        (&true.into(), &true.into())
    );
    assert_eq!(ready(&device), ["log", "settings"]);
    assert_eq!(device.run(&["run"]).exit, "0");
}

#[test]
fn a_member_that_goes_back_takes_the_ready_file_of_the_other_along() {
    let down = ("V42__preferences.down.sql", "DROP TABLE preference;\n");
    let device =
        TestDevice::at(41).together_with_log(41, Mode::Delete).firmware(42).file_of("log", down);
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(ready(&device), ["log", "settings"]);
    let back = device.run(&["rollback", "--db", "log", "--to", "41"]);
    assert_eq!((back.exit.as_str(), ready(&device).len()), ("11", 0), "{}", back.stderr);
    let marked = device.run(&["mark-good"]);
    assert!(
        marked.stdout.contains(
            "settings: not marked good, because it goes together with log, which is not ready"
        ),
        "{}",
        marked.stdout
    );
    // By hand, too: the whole group is there again.
    let operation = perform(&device, &["migrate", "--db", "log", "--all"]);
    assert_eq!(operation.ran.exit, "0", "{}", operation.ran.stderr);
    assert_eq!(ready(&device), ["log", "settings"]);
    assert_eq!(oracle::content(&device.path("log")).unwrap().rows["parent"], 2000);
}
