//! Owns the tests of two at once: a second bootmigrate, an application that has the database open.
//! Promises: the concurrent process is a real process; what it sees afterwards is asked of it.
//! Never times anything: a wait is bounded by `busy_timeout_s` of the program alone.

use crate::device::TestDevice;
use crate::dump::{check, check_op};
use crate::oracle;
use crate::program::{finish, rounds};
use expect_test::expect;

const PAIRS: usize = 200;

#[test]
fn pairs_started_together_migrate_once() {
    let template = TestDevice::at(40).firmware(41).key("busy_timeout_s = 10");
    let want = template.expectations(&template.databases[0]).new.unwrap();
    let mut ends = std::collections::BTreeMap::new();
    let pairs = rounds(PAIRS);
    for pair in 0..pairs {
        let device = TestDevice::empty(41).key("busy_timeout_s = 10");
        crate::device::copy_tree(&template.root(), &device.root());
        let command = || device.command(&device.words(&["run"]));
        let (one, other) = (command(), command());
        let first = std::thread::spawn(move || finish(one));
        let second = finish(other);
        let first = first.join().unwrap();
        for ran in [&first, &second] {
            assert_eq!(ran.exit, "0", "pair {pair}: {}", ran.stderr);
        }
        assert_eq!(oracle::content(&device.main()).unwrap(), want, "pair {pair}");
        assert_eq!(
            oracle::complaints(&device.main(), &device.firmware_folder(), "settings"),
            Vec::<String>::new()
        );
        assert!(
            device.root().join("run/bootmigrate/ready/settings").exists(),
            "pair {pair}: no ready file"
        );
        let migrated = [&first, &second].iter().filter(|ran| ran.stderr.contains("40>41")).count();
        *ends.entry(migrated).or_insert(0) += 1;
    }
    println!("{pairs} pairs; how many of two said that they migrated: {ends:?}");
    assert_eq!(ends.get(&1), Some(&pairs), "exactly one of each pair migrates: {ends:?}");
}

#[test]
fn pairs_started_together_at_a_first_boot() {
    for pair in 0..rounds(PAIRS) / 4 {
        let device = TestDevice::empty(41).key("busy_timeout_s = 10");
        let command = || device.command(&device.words(&["run"]));
        let (one, other) = (command(), command());
        let first = std::thread::spawn(move || finish(one));
        let exits = [finish(other).exit, first.join().unwrap().exit];
        assert_eq!(exits, ["0", "0"], "pair {pair}");
        let want = oracle::fresh(&device.firmware_folder(), "settings").unwrap();
        assert_eq!(oracle::content(&device.main()).unwrap(), want, "pair {pair}");
        let before = oracle::folder(&device.root());
        assert_eq!(device.run(&["run"]).exit, "0", "pair {pair}");
        assert_eq!(
            oracle::touched(&before, &oracle::folder(&device.root())),
            "nothing",
            "pair {pair}"
        );
    }
}

#[test]
fn idle_application_in_delete_mode_is_noticed() {
    let mut device =
        TestDevice::booted_at(40).firmware(41).key("busy_timeout_s = 1").application(&[]);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     13
            settings: refused 40>40 of 41, applied [], not usable, exit 13
            code:     BM-13 settings 40>41
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 13, refused, touched nothing
        "#]],
    );
    device.application.as_mut().unwrap().expect_ok("sql UPDATE parent SET reading = 1");
    // Nothing was counted: it may go on for ever, and the boot after the application has gone
    // migrates.
    for _ in 0..4 {
        assert_eq!(device.run(&["run"]).exit, "13");
    }
    check(
        device.killed(),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     0
            settings: migrated 40>41 of 41, applied [41], usable, exit 0
            code:     BM-0 settings 40>41
            backup:   snapshots/v40-1.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn idle_application_in_wal_mode_is_noticed() {
    let device = TestDevice::wal_at(40).after(|device| assert_eq!(device.run(&["run"]).exit, "0"));
    let mut device = device
        .firmware(41)
        .key("busy_timeout_s = 1")
        .application(&["sql UPDATE parent SET reading = 1"]);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     13
            settings: refused 40>40 of 41, applied [], not usable, exit 13
            code:     BM-13 settings 40>41
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 13, refused, touched nothing
        "#]],
    );
    device.application.as_mut().unwrap().expect_ok("sql UPDATE parent SET reading = 2");
}

#[test]
fn application_in_the_middle_of_a_transaction_is_noticed() {
    let device = TestDevice::booted_at(40).firmware(41).key("busy_timeout_s = 1");
    check(
        device.application(&[
            "sql BEGIN IMMEDIATE",
            "sql UPDATE parent SET reading = 1 WHERE id = 1",
        ]),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     13
            settings: refused 40>40 of 41, applied [], not usable, exit 13
            code:     BM-13 settings 40>41
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 13, refused, touched nothing
        "#]],
    );
}

#[test]
fn application_that_is_running_does_not_disturb_a_quiet_boot() {
    check(
        TestDevice::booted_at(40).application(&[]),
        "run",
        expect![[r#"
            plan:     settings: nothing to do: at version 40
            exit:     0
            settings: quiet 40>40 of 40, applied [], usable, exit 0
            code:     BM-0 settings 40
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn nothing_is_purged_under_a_running_application() {
    let device = TestDevice::booted_at(40)
        .firmware(40)
        .file(crate::product::UNIQUE_BADGE)
        .key("busy_timeout_s = 1");
    check(
        device.application(&[]),
        "run --purge-and-retry",
        expect![[r#"
            exit:     13
            settings: refused 40>40 of 41, applied [], not usable, exit 13
            code:     BM-13 settings 40>41
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 13, refused, touched nothing
        "#]],
    );
}
