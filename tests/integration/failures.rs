//! Owns the tests of migrations that fail, and of databases that this firmware cannot serve.
//! Promises: the database stands as it was, and the sentence names file, line, column and
//! statement.
//! Never ends with a loss.

use crate::device::TestDevice;
use crate::dump::{check, check_op, tidy};
use crate::product::{BROKEN, ORPHANS};
use expect_test::expect;

#[test]
fn a_failing_statement_changes_nothing() {
    let device = TestDevice::at(30).firmware(42).without("V41__rebuild_parents.sql").file(BROKEN);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: migrate 30 to 42: V40 stamp, V41 x, V42 preferences, in one transaction, after a snapshot
            exit:     10
            settings: failed 30>30 of 42, applied [], not usable, exit 10
            code:     BM-10 settings 30>42 V41:12
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 10, failed, touched state
        "#]],
    );
    let ran = device.run(&["run"]);
    for said in ["settings/V41__x.sql:12:5", "statement 4 of 5", "no such column: nowhere"] {
        assert!(ran.stderr.contains(said), "{said:?} is not in: {}", tidy(&device, &ran.stderr));
    }
}

#[test]
fn a_failing_statement_in_wal_mode_changes_nothing() {
    check(
        TestDevice::wal_at(30).firmware(42).without("V41__rebuild_parents.sql").file(BROKEN),
        "run",
        expect![[r#"
            plan:     settings: migrate 30 to 42: V40 stamp, V41 x, V42 preferences, in one transaction, after a snapshot
            exit:     10
            settings: failed 30>30 of 42, applied [], not usable, exit 10
            code:     BM-10 settings 30>42 V41:12
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 10, failed, touched state
        "#]],
    );
}

#[test]
fn foreign_key_violations_are_listed() {
    let device = TestDevice::at(40).firmware(40).file(ORPHANS);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 orphans, in one transaction, after a snapshot
            exit:     10
            settings: failed 40>40 of 41, applied [], not usable, exit 10
            code:     BM-10 settings 40>41
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 10, failed, touched state
        "#]],
    );
    let ran = device.run(&["run"]);
    for said in ["child", "parent", "2", "4", "6"] {
        assert!(ran.stderr.contains(said), "{said:?} is not in: {}", ran.stderr);
    }
}

#[test]
fn violations_that_were_there_before_stop_nothing() {
    let device = TestDevice::at(40).firmware(42).after(|device| {
        let connection = rusqlite::Connection::open(device.main()).unwrap();
        connection
            .execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM parent WHERE id IN (8, 9)")
            .unwrap();
    });
    check(
        device,
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
            exit:     0
            settings: migrated 40>42 of 42, applied [41,42], usable, exit 0
            code:     BM-0 settings 40>42
            backup:   snapshots/v40-1.db old, 1998 parents, 2000 children
            database: new, 1998 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
            wrong:    settings: PRAGMA foreign_key_check: 2 rows, first Some("child")
        "#]],
    );
}

#[test]
fn an_expectation_that_does_not_hold_fails() {
    let file = (
        "V41__wish.sql",
        "-- bootmigrate: expect = SELECT 1 FROM parent WHERE id > 1999\nUPDATE parent SET reading \
         = 0;\n",
    );
    check(
        TestDevice::at(40).firmware(40).file(file),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 wish, in one transaction, after a snapshot
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
fn tries_end_and_retry_begins_again() {
    let device = TestDevice::at(40).firmware(40).file(BROKEN);
    for _ in 0..2 {
        assert_eq!(device.run(&["run"]).exit, "10");
    }
    // The third failure, and the boot after it: one read.
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 x, in one transaction, after a snapshot
                        last failure: settings/V41__x.sql:12:5: no such column: nowhere (SQLite 1), in statement 4 of 5 [BM-10 settings 40>41 V41:12]
            exit:     10
            settings: failed 40>40 of 41, applied [], not usable, exit 10
            code:     BM-10 settings 40>41 V41:12
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 19, refused, touched nothing
        "#]],
    );
    let ran = device.run(&["run"]);
    let named = ran
        .stderr
        .find("run --retry")
        .unwrap_or_else(|| panic!("--retry is not named: {}", ran.stderr));
    assert!(
        ran.stderr.find("--purge-and-retry").is_none_or(|purge| named < purge),
        "named first: {}",
        ran.stderr
    );
    check_op(
        &device,
        "run --retry",
        expect![[r#"
            exit:     10
            settings: failed 40>40 of 41, applied [], not usable, exit 10
            code:     BM-10 settings 40>41 V41:12
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 10, failed, touched state
        "#]],
    );
}

#[test]
fn firmware_that_was_mended_begins_with_no_tries() {
    let device = TestDevice::at(40).firmware(40).file(BROKEN);
    let exits: Vec<String> = (0..4).map(|_| device.run(&["run"]).exit).collect();
    assert_eq!(exits, ["10", "10", "10", "19"]);
    check(
        device.firmware(41),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
                        last failure: settings/V41__x.sql:12:5: no such column: nowhere (SQLite 1), in statement 4 of 5 [BM-10 settings 40>41 V41:12]
            exit:     0
            settings: migrated 40>41 of 41, applied [41], usable, exit 0
            code:     BM-0 settings 40>41
            backup:   snapshots/v40-4.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn newer_database_is_left_alone() {
    check(
        TestDevice::at(42).firmware(40),
        "run",
        expect![[r#"
            plan:     settings: refuse: the database is at version 42, this firmware knows 40; no down SQL is stored for V42 preferences
            exit:     12
            settings: refused 42>42 of 40, applied [], not usable, exit 12
            code:     BM-12 settings 42>40
            database: old, 2000 parents, 1000 children
            touched:  nothing
            again:    exit 12, refused, touched nothing
        "#]],
    );
}

#[test]
fn newer_database_that_says_compatible_is_used() {
    let compatible = (
        "V42__preferences.sql",
        "-- bootmigrate: compatible-from = 40\nCREATE TABLE preference (name TEXT);\n",
    );
    let mut device = TestDevice::at(41).firmware(42).file(compatible);
    assert_eq!(device.run(&["run"]).exit, "0");
    device.databases[0].version = 42;
    check(
        device.firmware(41),
        "run",
        expect![[r#"
            plan:     settings: use it as it is: at version 42, which firmware of version 41 can use
            exit:     0
            settings: compatible 42>42 of 41, applied [], usable, exit 0
            code:     BM-0 settings 42>41
            database: old, 2000 parents, 1000 children
            touched:  nothing
            again:    exit 0, compatible, touched nothing
        "#]],
    );
}

#[test]
fn run_migrations_0_skips_and_says_so() {
    check(
        TestDevice::at(40).firmware(41).environment("RUN_MIGRATIONS", "0"),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     3
            settings: skipped 40>40 of 41, applied [], not usable, exit 3
            code:     BM-3 settings 40>41
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 3, skipped, touched nothing
        "#]],
    );
}

#[test]
fn run_migrations_no_with_nothing_pending() {
    check(
        TestDevice::at(40).environment("RUN_MIGRATIONS", "off"),
        "run",
        expect![[r#"
            plan:     settings: nothing to do: at version 40
            exit:     0
            settings: skipped 40>40 of 40, applied [], usable, exit 0
            code:     BM-0 settings 40
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 0, skipped, touched nothing
        "#]],
    );
}

#[test]
fn newer_database_is_newer_whatever_on_checksum_mismatch_says() {
    let device = TestDevice::at(42)
        .firmware(41)
        .without("V20__children.sql")
        .file(("V20__children.sql", "SELECT 1;\n"))
        .key("on_checksum_mismatch = \"warn\"");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "12", "{}", ran.stderr);
    assert!(!device.root().join("run/bootmigrate/ready/settings").exists());
}
