//! Owns the tests of lost data: purge, purge and retry, and a purge that finds no fresh database.
//! Promises: the old files lie in quarantine with their own bytes, or still stand under their names.
//! Never ends a loss with exit 0.

use crate::device::TestDevice;
use crate::dump::{check, check_op};
use crate::oracle;
use crate::product::{BROKEN, UNIQUE_BADGE};
use expect_test::expect;

/// Only an operator's word purges it, and no row is carried over.
fn no_row_is_kept(device: TestDevice) -> TestDevice {
    device.key("kind = \"rebuildable\"").key("on_failure = \"restore\"").key("copy = \"auto\"")
}

#[test]
fn precious_data_is_never_purged_by_itself() {
    check(
        TestDevice::at(40).firmware(40).file(UNIQUE_BADGE),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 unique_badge, in one transaction, after a snapshot
            exit:     10
            settings: failed 40>40 of 41, applied [], not usable, exit 10
            code:     BM-10 settings 40>41 V41:1
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 10, failed, touched state
        "#]],
    );
}

#[test]
fn rebuildable_data_is_purged_when_its_migration_fails() {
    check(
        TestDevice::at(40).firmware(40).file(UNIQUE_BADGE).key("kind = \"rebuildable\""),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 unique_badge, in one transaction, without a snapshot (copy = "never")
            exit:     11
            settings: purged 40>41 of 41, applied [10,20,30,40,41], data lost, usable, exit 11
            code:     BM-11 settings 40>41
            kept:     quarantine/2 the old files, with a reason
            database: fresh, 1000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn purge_and_retry_after_the_tries_are_used_up() {
    let device = no_row_is_kept(TestDevice::wal_at(40).firmware(40).file(UNIQUE_BADGE));
    let exits: Vec<String> = (0..4).map(|_| device.run(&["run"]).exit).collect();
    assert_eq!(exits, ["10", "10", "10", "19"]);
    check(
        device,
        "run --purge-and-retry",
        expect![[r#"
            exit:     11
            settings: purged 40>41 of 41, applied [10,20,30,40,41], data lost, usable, exit 11
            code:     BM-11 settings 40>41
            kept:     quarantine/5 the old files, with a reason
            database: fresh, 1000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn purge_and_retry_leaves_a_healthy_database_alone() {
    let device = TestDevice::booted_at(40);
    check_op(
        &device,
        "run --purge-and-retry",
        expect![[r#"
            exit:     0
            settings: quiet 40>40 of 40, applied [], usable, exit 0
            code:     BM-0 settings 40
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    check(
        device.firmware(41),
        "run --purge-and-retry",
        expect![[r#"
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
fn the_short_spelling_does_the_same() {
    let device = no_row_is_kept(TestDevice::at(40).firmware(40).file(UNIQUE_BADGE));
    check(
        device,
        "--purge-and-retry",
        expect![[r#"
            exit:     11
            settings: purged 40>41 of 41, applied [10,20,30,40,41], data lost, usable, exit 11
            code:     BM-11 settings 40>41
            kept:     quarantine/2 the old files, with a reason
            database: fresh, 1000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn purge_whose_fresh_build_fails_costs_nothing() {
    check(
        TestDevice::at(40).firmware(40).file(BROKEN).key("on_failure = \"purge\""),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 x, in one transaction, after a snapshot
            exit:     19
            settings: failed 40>40 of 41, applied [], not usable, exit 19
            code:     BM-19 settings 40>41 V41:12
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 19, failed, touched state
        "#]],
    );
}

#[test]
fn purge_and_retry_whose_fresh_build_fails_costs_nothing() {
    check(
        TestDevice::at(40).firmware(40).file(BROKEN),
        "run --purge-and-retry",
        expect![[r#"
            exit:     19
            settings: failed 40>40 of 41, applied [], not usable, exit 19
            code:     BM-19 settings 40>41 V41:12
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 10, failed, touched state
        "#]],
    );
}

#[test]
fn a_token_on_the_kernels_command_line_is_honoured_once() {
    let device = TestDevice::at(40).firmware(40).file(UNIQUE_BADGE);
    let old = device.folder().join("old.db");
    std::fs::copy(device.main(), &old).unwrap();
    std::fs::create_dir_all(device.root().join("proc")).unwrap();
    std::fs::write(
        device.root().join("proc/cmdline"),
        "quiet bootmigrate.purge-and-retry=ticket-4711 root=/dev/mmcblk0p2\n",
    )
    .unwrap();
    let purged = device.run(&["run"]);
    assert_eq!(purged.exit, "11", "{}", purged.stderr);
    assert_eq!(device.run(&["run"]).exit, "0");
    // The word is still there at every boot. What fails now fails as it does without it.
    std::fs::copy(&old, device.main()).unwrap();
    let rows = oracle::content(&device.main()).unwrap();
    let failed = device.run(&["run"]);
    assert_eq!(failed.exit, "10", "{}", failed.stderr);
    assert_eq!(oracle::content(&device.main()).unwrap(), rows, "{}", failed.stderr);
    // Another ticket is another word.
    std::fs::write(
        device.root().join("proc/cmdline"),
        "quiet bootmigrate.purge-and-retry=ticket-4712\n",
    )
    .unwrap();
    let again = device.run(&["run"]);
    assert_eq!(again.exit, "11", "{}", again.stderr);
}
