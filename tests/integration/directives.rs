//! Owns the tests of what a migration's head says: irreversible, foreign-keys, expect, and files of
//! before bootmigrate.
//! Promises: each directive has a boot where it decides, and one beside it where it does not.
//! Never repeats what has a file of its own: batch (data), code, no-transaction (boots),
//! needs-space (full).

use crate::commands::transcript;
use crate::device::TestDevice;
use crate::dump::{check, check_op, tidy};
use crate::oracle;
use expect_test::expect;
use rusqlite::Connection;

const FORGET: (&str, &str) =
    ("V43__forget.sql", "-- bootmigrate: irreversible\nUPDATE child SET label = NULL;\n");
const STAMP_DOWN: (&str, &str) = (
    "V40__stamp.down.sql",
    "DROP TRIGGER child_changes;\nALTER TABLE child DROP COLUMN changes;\n",
);

/// At 43, whose last migration says that there is no way back over it.
fn over_the_edge() -> TestDevice {
    let mut device = TestDevice::at(30).firmware(40).file(STAMP_DOWN).file(FORGET);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    device.databases[0].version = 43;
    device
}

#[test]
fn an_irreversible_step_is_not_gone_back_over_by_an_older_firmware() {
    check(
        over_the_edge().older(30),
        "run",
        expect![[r#"
        plan:     settings: refuse: the database is at version 43, this firmware knows 30; V43 forget is irreversible
        exit:     12
        settings: refused 43>43 of 30, applied [], not usable, exit 12
        code:     BM-12 settings 43>30
        database: old, 2000 parents, 2000 children
        touched:  nothing
        again:    exit 12, refused, touched nothing
    "#]],
    );
}

#[test]
fn an_irreversible_step_is_not_gone_back_over_by_hand() {
    let device = over_the_edge();
    let rows = oracle::content(&device.main());
    transcript(
        &device,
        "rollback --db settings --to 30",
        expect![[r#"
        bootmigrate: settings cannot go back from 43 to 30: V43 forget is irreversible. [BM-2]
        exit 2, touched nothing
    "#]],
    );
    transcript(
        &device,
        "rollback --db settings --step 1",
        expect![[r#"
        bootmigrate: settings cannot go back from 43 to 40: V43 forget is irreversible. [BM-2]
        exit 2, touched nothing
    "#]],
    );
    assert_eq!(oracle::content(&device.main()), rows);
    assert!(device.root().join("run/bootmigrate/ready/settings").exists());
}

/// Takes the parents of three children away; the migration after it drops the children.
const ORPHANS: &str = "DELETE FROM parent WHERE id IN (2, 4, 6);\n";
const MENDED: (&str, &str) =
    ("V44__mended.sql", "DELETE FROM child WHERE parent_id NOT IN (SELECT id FROM parent);\n");

#[test]
fn foreign_keys_may_be_broken_between_two_steps() {
    for said in ["", "-- bootmigrate: foreign-keys = off\n"] {
        let device =
            TestDevice::at(40).file(("V43__orphans.sql", &format!("{said}{ORPHANS}"))).file(MENDED);
        check(
            device,
            "run",
            expect![[r#"
                plan:     settings: migrate 40 to 44: V43 orphans, V44 mended, in one transaction, after a snapshot
                exit:     0
                settings: migrated 40>44 of 44, applied [43,44], usable, exit 0
                code:     BM-0 settings 40>44
                backup:   snapshots/v40-1.db old, 2000 parents, 2000 children
                database: new, 1997 parents, 1997 children
                touched:  database, state
                again:    exit 0, quiet, touched nothing
            "#]],
        );
    }
}

#[test]
fn foreign_keys_on_are_looked_at_after_their_own_step() {
    for said in ["on", "deferred"] {
        let device = TestDevice::at(40)
            .file((
                "V43__orphans.sql",
                &format!("-- bootmigrate: foreign-keys = {said}\n{ORPHANS}"),
            ))
            .file(MENDED);
        let rows = oracle::content(&device.main());
        let ran = device.run(&["run"]);
        expect![[r#"
            settings: foreign keys are violated after settings/V43__orphans.sql: child rowid 2 names no row of parent (while: verify); the database is whole at version 40. Next: install firmware in which this migration works; this one is tried 2 more times. [BM-10 settings 40>44]
              child rowid 2 names no row of parent
              child rowid 4 names no row of parent
              child rowid 6 names no row of parent
        "#]].assert_eq(&tidy(&device, &ran.stderr));
        assert_eq!(ran.exit, "10");
        assert_eq!(oracle::content(&device.main()), rows);
    }
}

#[test]
fn foreign_keys_on_are_looked_at_where_a_database_is_made() {
    let device = TestDevice::empty(40)
        .file(("V43__orphans.sql", &format!("-- bootmigrate: foreign-keys = on\n{ORPHANS}")))
        .file(MENDED);
    let ran = device.run(&["run"]);
    expect![[r#"
        settings: foreign keys are violated after settings/V43__orphans.sql: child rowid 2 names no row of parent (while: verify); nothing was changed. Next: install firmware in which this migration works; this one is tried 2 more times. [BM-10 settings 0>44]
          child rowid 2 names no row of parent
          child rowid 4 names no row of parent
          child rowid 6 names no row of parent
    "#]].assert_eq(&tidy(&device, &ran.stderr));
    assert!(!device.main().exists());
    let device = device.file(("V43__orphans.sql", ORPHANS));
    let fresh = oracle::fresh(&device.firmware_folder(), "settings").unwrap();
    assert_eq!((fresh.rows["parent"], fresh.rows["child"]), (997, 997));
    let ran = device.run(&["run"]);
    assert_eq!(
        (ran.exit.as_str(), oracle::content(&device.main())),
        ("0", Ok(fresh)),
        "{}",
        ran.stderr
    );
}

#[test]
fn expectations_that_hold_cost_nothing() {
    let file = (
        "V43__wish.sql",
        "-- bootmigrate: expect = SELECT 1 FROM parent WHERE reading <> 0\n-- bootmigrate: expect \
         = SELECT 1 FROM child WHERE label = 'changed'\nUPDATE parent SET reading = 0;\nUPDATE \
         child SET label = 'wished';\n",
    );
    check(
        TestDevice::wal_at(40).file(file),
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 43: V43 wish, in one transaction, after a snapshot
        exit:     0
        settings: migrated 40>43 of 43, applied [43], usable, exit 0
        code:     BM-0 settings 40>43
        backup:   snapshots/v40-1.db old, 2000 parents, 2000 children
        database: new, 2000 parents, 2000 children
        touched:  database, state
        again:    exit 0, quiet, touched nothing
    "#]],
    );
}

#[test]
fn of_two_expectations_the_second_counts_too() {
    let file = (
        "V43__wish.sql",
        "-- bootmigrate: expect = SELECT 1 FROM parent WHERE reading <> 0\n-- bootmigrate: expect \
         = SELECT id, label FROM child WHERE id = 1500\nUPDATE parent SET reading = 0;\n",
    );
    let device = TestDevice::booted_at(40).file(file).key("show_rows = true");
    let rows = oracle::content(&device.main());
    transcript(
        &device,
        "run",
        expect![[r#"
        settings: settings/V43__wish.sql:2:1: `expect` must return no row and returned one, and a row has: 1500, NULL; the database is whole at version 40. Next: install firmware in which this migration works; this one is tried 2 more times. [BM-10 settings 40>43 V43:2]
              2 | -- bootmigrate: expect = SELECT id, label FROM child WHERE id = 1500
                | ^
        exit 10, touched state
    "#]],
    );
    assert_eq!(oracle::content(&device.main()), rows);
}

/// As another tool wanted it: with a transaction of its own, and the words against cascades.
const OF_BEFORE: (&str, &str) = (
    "V41__of_before.sql",
    "PRAGMA foreign_keys = OFF;\nBEGIN;\nUPDATE parent SET reading = 7;\nDELETE FROM child WHERE \
     id > 1990;\nCOMMIT;\nPRAGMA foreign_keys = ON;\n",
);

#[test]
fn a_file_of_before_bootmigrate_runs_without_its_own_transaction() {
    let device =
        TestDevice::booted_at(40).key("baseline_version = 41").file(OF_BEFORE).file(MENDED);
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let alone = copy.open();
    alone.execute_batch(OF_BEFORE.1).unwrap();
    alone.execute_batch(MENDED.1).unwrap();
    let wanted = oracle::read(&alone).unwrap();
    assert_eq!((wanted.rows["parent"], wanted.rows["child"]), (2000, 1990));
    transcript(
        &device,
        "run",
        expect![[r#"
            settings/V41__of_before.sql:1: skipped in a file of before bootmigrate: PRAGMA foreign_keys = OFF;
            settings/V41__of_before.sql:2: skipped in a file of before bootmigrate: BEGIN;
            settings/V41__of_before.sql:5: skipped in a file of before bootmigrate: COMMIT;
            settings/V41__of_before.sql:6: skipped in a file of before bootmigrate: PRAGMA foreign_keys = ON;
            settings: migrated from 40 to 44 (2 applied, snapshot snapshots/v40-1.db). [BM-0 settings 40>44]
            exit 0, touched database, state
        "#]],
    );
    assert_eq!(oracle::content(&device.main()), Ok(wanted));
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: nothing to do: at version 44
        exit:     0
        settings: quiet 44>44 of 44, applied [], usable, exit 0
        code:     BM-0 settings 44
        database: old, 2000 parents, 1990 children
        touched:  nothing
        again:    exit 0, quiet, touched nothing
    "#]],
    );
}

#[test]
fn a_file_of_before_bootmigrate_that_fails_leaves_no_half() {
    // Its COMMIT would have made the first migration durable.
    let broken = (
        "V42__broken.sql",
        "BEGIN;\nUPDATE parent SET reading = 8;\nCOMMIT;\nUPDATE parent SET nowhere = 1;\n",
    );
    let device = TestDevice::at(40).key("baseline_version = 42").file(OF_BEFORE).file(broken);
    let rows = oracle::content(&device.main());
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "10", "{}", ran.stderr);
    assert!(
        ran.stderr.contains(
            "settings/V42__broken.sql:4:1: no such column: nowhere (SQLite 1), in statement 4 of 4"
        ),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::content(&device.main()), rows);
}

#[test]
fn the_same_file_of_today_is_refused() {
    let device = TestDevice::at(40).file(OF_BEFORE);
    let rows = oracle::content(&device.main());
    let before = oracle::folder(&device.root());
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "2", "{}", ran.stderr);
    assert!(ran.stderr.contains("settings/V41__of_before.sql:2:1: "), "{}", ran.stderr);
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    assert_eq!(oracle::content(&device.main()), rows);
    let parents: i64 = Connection::open(device.main())
        .unwrap()
        .query_row("SELECT count(*) FROM parent", [], |row| row.get(0))
        .unwrap();
    assert_eq!(parents, 2000);
}

#[test]
fn a_new_device_leaves_out_what_a_released_file_does_not_need() {
    let released = "PRAGMA journal_mode = DELETE;\nPRAGMA main.synchronous(OFF);\nPRAGMA \
                    busy_timeout = 5;\nPRAGMA encoding = 'UTF-16';\n\
                    PRAGMA locking_mode = EXCLUSIVE;\nBEGIN;\nCREATE TABLE of_before (x);\nINSERT \
                    INTO of_before VALUES (7);\nCOMMIT;\n\
                    PRAGMA wal_checkpoint(TRUNCATE);\nVACUUM;\n";
    let device =
        TestDevice::empty(40).key("baseline_version = 5").file(("V5__before.sql", released));
    let done = device.run(&["run"]);
    assert_eq!(done.exit, "0", "{}", done.stderr);
    for left_out in ["PRAGMA journal_mode = DELETE", "PRAGMA main.synchronous(OFF)", "VACUUM"] {
        let said = done.stderr.lines().filter(|line| {
            line.contains("skipped in a file of before bootmigrate") && line.contains(left_out)
        });
        assert_eq!(said.count(), 1, "{left_out}: {}", done.stderr);
    }
    let rows = Connection::open(device.main()).unwrap().query_row(
        "SELECT group_concat(x) FROM of_before",
        [],
        |row| row.get::<_, String>(0),
    );
    assert_eq!(rows.unwrap(), "7");
    let again = device.run(&["run"]);
    assert_eq!(again.exit, "0", "{}", again.stderr);
}
