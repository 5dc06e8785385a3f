//! Owns the tests of databases that go `group`: both are migrated, or neither is.
//! Promises: rows of both are compared after every run; one that waits has neither a ready file nor
//! a changed byte of its database.
//! Never lets one member of a group be opened while another is not there.

use crate::device::{Mode, TestDevice};
use crate::dump::{check, check_op, perform};
use crate::oracle;
use crate::product::BROKEN;
use expect_test::expect;

/// Databases with a ready file.
pub fn ready(device: &TestDevice) -> Vec<String> {
    let files = std::fs::read_dir(device.root().join("run/bootmigrate/ready"))
        .map_or(Vec::new(), |files| files.collect());
    let mut names: Vec<String> =
        files.into_iter().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Both at 40; the new firmware's migration 41 of `database` fails.
fn failing(database: &str, mode: Mode) -> TestDevice {
    let device = match mode {
        Mode::Delete => TestDevice::at(40),
        Mode::Wal => TestDevice::wal_at(40),
    };
    device
        .together_with_log(40, mode)
        .firmware(42)
        .without_of(database, "V41__rebuild_parents.sql")
        .file_of(database, BROKEN)
}

#[test]
fn two_go_together() {
    let device = TestDevice::at(40).together_with_log(40, Mode::Delete).firmware(42);
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot, together with log
                  log: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot, together with settings
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
fn two_in_wal_mode_go_together() {
    check(
        TestDevice::wal_at(40).together_with_log(40, Mode::Wal).firmware(42),
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot, together with log
                  log: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot, together with settings
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
}

#[test]
fn two_are_made_together() {
    let device = TestDevice::empty(20).together_with_log(0, Mode::Delete).firmware(20);
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: first boot: build version 20 beside, then put it in place, together with log
                  log: first boot: build version 20 beside, then put it in place, together with settings
        exit:     0
        settings: created 0>20 of 20, applied [10,20], usable, exit 0
        code:     BM-0 settings 0>20
        database: fresh, 1000 parents, 1000 children
        log:      created 0>20 of 20, applied [10,20], usable, exit 0
        code:     BM-0 log 0>20
        database: fresh, 1000 parents, 1000 children
        touched:  database, state
        again:    exit 0, quiet and quiet, touched nothing
    "#]],
    );
    assert_eq!(ready(&device), ["log", "settings"]);
}

#[test]
fn neither_is_made_where_one_cannot_be() {
    let device = TestDevice::empty(20).together_with_log(0, Mode::Delete).firmware(42);
    let device = device
        .without_of("log", "V41__rebuild_parents.sql")
        .file_of("log", ("V41__x.sql", "INSERT INTO nowhere VALUES (1);\n"));
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: first boot: build version 42 beside, then put it in place, together with log
                  log: first boot: build version 42 beside, then put it in place, together with settings
        exit:     10
        settings: refused 0>0 of 42, applied [], not usable, exit 3
        code:     BM-3 settings 0>42
        database: absent
        log:      failed 0>0 of 42, applied [], not usable, exit 10
        code:     BM-10 log 0>42 V41:1
        database: absent
        touched:  state
        again:    exit 10, refused and failed, touched state
    "#]],
    );
    assert!(!device.main().exists() && !device.path("log").exists());
    assert_eq!(ready(&device), [""; 0]);
}

#[test]
fn the_first_is_rolled_back_where_the_second_fails() {
    let device = failing("log", Mode::Delete);
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot, together with log
                  log: migrate 40 to 42: V41 x, V42 preferences, in one transaction, after a snapshot, together with settings
        exit:     10
        settings: refused 40>40 of 42, applied [], not usable, exit 3
        code:     BM-3 settings 40>42
        database: old, 2000 parents, 2000 children
        log:      failed 40>40 of 42, applied [], not usable, exit 10
        code:     BM-10 log 40>42 V41:12
        database: old, 2000 parents, 2000 children
        touched:  state
        again:    exit 10, refused and failed, touched state
    "#]],
    );
    assert_eq!(ready(&device), [""; 0]);
}

#[test]
fn the_first_is_rolled_back_in_wal_mode_where_the_second_fails() {
    check(
        failing("log", Mode::Wal),
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot, together with log
                  log: migrate 40 to 42: V41 x, V42 preferences, in one transaction, after a snapshot, together with settings
        exit:     10
        settings: refused 40>40 of 42, applied [], not usable, exit 3
        code:     BM-3 settings 40>42
        database: old, 2000 parents, 2000 children
        log:      failed 40>40 of 42, applied [], not usable, exit 10
        code:     BM-10 log 40>42 V41:12
        database: old, 2000 parents, 2000 children
        touched:  state
        again:    exit 10, refused and failed, touched state
    "#]],
    );
}

#[test]
fn the_second_does_not_begin_where_the_first_fails() {
    let device = failing("settings", Mode::Delete);
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 42: V41 x, V42 preferences, in one transaction, after a snapshot, together with log
                  log: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot, together with settings
        exit:     10
        settings: failed 40>40 of 42, applied [], not usable, exit 10
        code:     BM-10 settings 40>42 V41:12
        database: old, 2000 parents, 2000 children
        log:      refused 40>40 of 42, applied [], not usable, exit 3
        code:     BM-3 log 40>42
        database: old, 2000 parents, 2000 children
        touched:  state
        again:    exit 10, failed and refused, touched state
    "#]],
    );
    assert_eq!(ready(&device), [""; 0]);
}

#[test]
fn tries_are_counted_for_the_one_that_fails_and_then_nobody_begins() {
    let device = failing("log", Mode::Delete);
    for _ in 0..3 {
        assert_eq!(device.run(&["run"]).exit, "10");
    }
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: wait for log, which it goes together with; then migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
                      log: refuse: this firmware's migrations failed 3 times, the last time with: log/V41__x.sql:12:5: no such column: nowhere (SQLite 1), in statement 4 of 5
                        last failure: log/V41__x.sql:12:5: no such column: nowhere (SQLite 1), in statement 4 of 5 [BM-10 log 40>42 V41:12]
            exit:     19
            settings: refused 40>40 of 42, applied [], not usable, exit 3
            code:     BM-3 settings 40>42
            database: old, 2000 parents, 2000 children
            log:      refused 40>40 of 42, applied [], not usable, exit 19
            code:     BM-19 log 40>42
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 19, refused and refused, touched nothing
        "#]],
    );
    // Other firmware brings both there, with the tries that settings has never lost.
    std::fs::remove_file(device.firmware_folder().join("log").join(BROKEN.0)).unwrap();
    check(
        device.firmware(42),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot, together with log
                      log: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot, together with settings
                        last failure: log/V41__x.sql:12:5: no such column: nowhere (SQLite 1), in statement 4 of 5 [BM-10 log 40>42 V41:12]
            exit:     0
            settings: migrated 40>42 of 42, applied [41,42], usable, exit 0
            code:     BM-0 settings 40>42
            backup:   snapshots/v40-4.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            log:      migrated 40>42 of 42, applied [41,42], usable, exit 0
            code:     BM-0 log 40>42
            backup:   snapshots/v40-4.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet and quiet, touched nothing
        "#]],
    );
}

#[test]
fn one_that_is_there_already_waits_unchanged() {
    let device = TestDevice::at(42).together_with_log(40, Mode::Delete).firmware(42);
    let device = device.without_of("log", "V41__rebuild_parents.sql").file_of("log", BROKEN);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: nothing to do: at version 42
                      log: migrate 40 to 42: V41 x, V42 preferences, in one transaction, after a snapshot
            exit:     10
            settings: quiet 42>42 of 42, applied [], not usable, exit 3
            code:     BM-3 settings 42
            database: old, 2000 parents, 1000 children
            log:      failed 40>40 of 42, applied [], not usable, exit 10
            code:     BM-10 log 40>42 V41:12
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 10, quiet and failed, touched state
        "#]],
    );
    assert_eq!(ready(&device), [""; 0]);
    let status = device.run(&["status", "--exit-code", "--db", "settings"]);
    assert_eq!(status.exit, "3", "{}", status.stdout);
    assert!(
        status.stdout.contains("at version 42; not ready before log, which it goes together with"),
        "{}",
        status.stdout
    );
}

#[test]
fn a_database_of_no_group_does_not_wait() {
    let device =
        TestDevice::at(40).together_with_log(40, Mode::Delete).with_telemetry(40).firmware(42);
    let device = device.without_of("log", "V41__rebuild_parents.sql").file_of("log", BROKEN);
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot, together with log
                  log: migrate 40 to 42: V41 x, V42 preferences, in one transaction, after a snapshot, together with settings
                  telemetry: migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, without a snapshot (snapshot = "never")
        exit:     10
        settings: refused 40>40 of 42, applied [], not usable, exit 3
        code:     BM-3 settings 40>42
        database: old, 2000 parents, 2000 children
        log:      failed 40>40 of 42, applied [], not usable, exit 10
        code:     BM-10 log 40>42 V41:12
        database: old, 2000 parents, 2000 children
        telemetry:migrated 40>42 of 42, applied [41,42], usable, exit 0
        code:     BM-0 telemetry 40>42
        database: new, 2000 parents, 2000 children
        touched:  database, state
        again:    exit 10, refused and failed and quiet, touched state
    "#]],
    );
    assert_eq!(ready(&device), ["telemetry"]);
}

#[test]
fn a_damaged_one_keeps_the_other_from_beginning() {
    let device =
        TestDevice::at(40).together_with_log(40, Mode::Delete).firmware(42).after(|device| {
            let mut bytes = std::fs::read(device.path("log")).unwrap();
            bytes[4096..8192].fill(0xA5);
            bytes[0..16].fill(0);
            std::fs::write(device.path("log"), bytes).unwrap();
        });
    check(
        device,
        "run",
        expect![[r#"
        plan:     settings: wait for log, which it goes together with; then migrate 40 to 42: V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
                  log: refuse: its header is not that of an SQLite database
        exit:     17
        settings: refused 40>40 of 42, applied [], not usable, exit 3
        code:     BM-3 settings 40>42
        database: old, 2000 parents, 2000 children
        log:      refused null>null of 42, applied [], not usable, exit 17
        code:     BM-17 log ?>42
        database: unreadable (file is not a database)
        touched:  state
        again:    exit 17, refused and refused, touched nothing
    "#]],
    );
}

#[test]
fn nothing_begins_while_an_application_has_the_second_open() {
    let device = TestDevice::at(40).together_with_log(40, Mode::Delete).firmware(42);
    let open = rusqlite::Connection::open(device.path("log")).unwrap();
    open.execute_batch("BEGIN; SELECT * FROM parent LIMIT 1").unwrap();
    let parents: i64 = open.query_row("SELECT count(*) FROM parent", [], |row| row.get(0)).unwrap();
    let operation = perform(&device, &["run"]);
    assert_eq!((operation.ran.exit.as_str(), parents), ("13", 2000), "{}", operation.ran.stderr);
    assert_eq!(
        (&operation.of("settings")["cause"], &operation.of("log")["cause"]),
        (&"waits".into(), &"in-use".into())
    );
    assert!(
        !device.state("settings").join("snapshots/v40-1.db").exists(),
        "a snapshot was made in vain"
    );
    drop(open);
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(ready(&device), ["log", "settings"]);
}

#[test]
fn a_hidden_damage_of_the_second_keeps_the_first_from_beginning() {
    let device =
        TestDevice::at(40).together_with_log(40, Mode::Delete).firmware(42).after(|device| {
            let mut bytes = std::fs::read(device.path("log")).unwrap();
            let middle = bytes.len() / 2 / 4096 * 4096;
            bytes[middle..middle + 4096].fill(0xA5);
            std::fs::write(device.path("log"), bytes).unwrap();
        });
    std::fs::create_dir_all(device.root().join("etc")).unwrap();
    std::fs::write(device.root().join("etc/bootmigrate.toml"), "[databases.log]\non_damage = []\n")
        .unwrap();
    let operation = perform(&device, &["run"]);
    assert_eq!(operation.ran.exit, "17", "{}", operation.ran.stderr);
    assert_eq!(
        (&operation.of("settings")["cause"], &operation.of("log")["cause"]),
        (&"waits".into(), &"damaged".into())
    );
    assert!(
        !device.state("settings").join("snapshots/v40-1.db").exists(),
        "a snapshot was made in vain"
    );
    assert_eq!(oracle::content(&device.main()).unwrap().rows["parent"], 2000);
}

/// It is repaired when it is asked whether it can go along, before the first begins.
#[test]
fn what_was_done_to_the_second_while_it_was_asked_is_in_its_report() {
    let damaged = |device: &TestDevice| {
        let log = rusqlite::Connection::open(device.path("log")).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
        let index: u32 = log.query_row(sql, [], |row| row.get(0)).unwrap();
        drop(log);
        let mut bytes = std::fs::read(device.path("log")).unwrap();
        let index = index as usize;
        bytes[(index - 1) * 4096..index * 4096].fill(0);
        std::fs::write(device.path("log"), bytes).unwrap();
    };
    let device = TestDevice::at(40).together_with_log(40, Mode::Delete).firmware(42);
    let device = device.after(damaged);
    let operation = perform(&device, &["run"]);
    assert_eq!(operation.ran.exit, "0", "{}", operation.ran.stderr);
    let log = operation.of("log");
    assert_eq!((&log["outcome"], &log["quarantine"]), (&"migrated".into(), &"quarantine/1".into()));
    assert!(device.state("log").join("quarantine/1/log.db").exists());
    // Also where it then waits in vain for the first.
    let device = failing("settings", Mode::Delete).after(damaged);
    let operation = perform(&device, &["run"]);
    assert_eq!(operation.ran.exit, "10", "{}", operation.ran.stderr);
    let log = operation.of("log");
    assert_eq!((&log["cause"], &log["quarantine"]), (&"waits".into(), &"quarantine/1".into()));
}
