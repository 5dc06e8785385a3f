//! Owns the tests of what `doctor` finds in the files of a database: header, pages, journals.
//! Promises: looking touches nothing and changes no row; where the repair is a command, the command
//! is run and the finding gone.
//! Never looks at the sentence alone: level, subject and exit code are the JSON's.

use crate::device::TestDevice;
use crate::doctor::{about, finds, is_well, sql, Finding};
use crate::oracle;
use std::fs;
use std::os::unix::fs::FileExt;

/// The page in the middle of the file holds no byte of what it held.
fn harm(device: &TestDevice) {
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    let middle = file.metadata().unwrap().len() / 8192 * 4096;
    file.write_all_at(&[0xA5; 4096], middle).unwrap();
}

#[test]
fn a_header_that_is_none() {
    let none = Finding {
        exit: "3",
        level: "note",
        about: "header",
        what: "there is no file, or it is empty",
        repair: "`bootmigrate plan`",
    };
    finds(&TestDevice::empty(41), &[], &none);
    let device = TestDevice::booted_at(41);
    assert_eq!(device.run(&["snapshot", "create"]).exit, "0");
    let content = oracle::content(&device.main());
    fs::OpenOptions::new()
        .write(true)
        .open(device.main())
        .unwrap()
        .write_all_at(b"not a database", 0)
        .unwrap();
    let other = Finding {
        exit: "17",
        level: "problem",
        about: "header",
        what: "it is not that of an SQLite database",
        repair: "`next boot`",
    };
    finds(&device, &[], &other);
    assert_eq!(device.run(&["run", "--db", "settings"]).exit, "11");
    is_well(&device, &[], "header");
    assert_eq!(oracle::content(&device.main()), content);
}

#[test]
fn a_database_that_a_newer_sqlite_wrote() {
    let device = TestDevice::booted_at(41);
    fs::OpenOptions::new()
        .write(true)
        .open(device.main())
        .unwrap()
        .write_all_at(&3_999_000u32.to_be_bytes(), 96)
        .unwrap();
    let newer = Finding {
        exit: "0",
        level: "note",
        about: "sqlite",
        what: "last written by SQLite 3999000",
        repair: "boot the newer firmware",
    };
    finds(&device, &[], &newer);
}

#[test]
fn pages_that_hold_nothing() {
    let device = TestDevice::booted_at(42);
    is_well(&device, &[], "free pages");
    sql(
        &device,
        "CREATE TABLE ballast (a); INSERT INTO ballast SELECT randomblob(900) FROM child; DROP \
         TABLE ballast",
    );
    let free = Finding {
        exit: "0",
        level: "note",
        about: "free pages",
        what: "hold nothing",
        repair: "VACUUM",
    };
    finds(&device, &[], &free);
    // The migration that the repair names.
    let device = device.firmware(50);
    let new = device.expectations(&device.databases[0]).new;
    assert_eq!(device.run(&["run"]).exit, "0");
    is_well(&device, &[], "free pages");
    assert_eq!(oracle::content(&device.main()).ok(), new);
}

#[test]
fn a_journal_that_a_power_cut_left() {
    let device = TestDevice::booted_at(41);
    let content = oracle::content(&device.main());
    let lines = [
        "sql PRAGMA cache_size = 2",
        "sql BEGIN IMMEDIATE",
        "sql UPDATE child SET label = 'half', amount = zeroblob(300)",
    ];
    let device = device.application(&lines).killed();
    let hot = Finding {
        exit: "3",
        level: "note",
        about: "journals",
        what: "a rollback journal has content",
        repair: "the next run, or the application's next read, recovers it",
    };
    finds(&device, &[], &hot);
    assert_eq!(device.run(&["run"]).exit, "0");
    is_well(&device, &[], "journals");
    assert_eq!(oracle::content(&device.main()), content);
}

#[test]
fn a_wal_that_grew_without_end() {
    let device = TestDevice::wal_at(41);
    let content = oracle::content(&device.main());
    assert_eq!(device.run(&["run"]).exit, "0");
    is_well(&device, &[], "journals");
    // A sparse file: SQLite takes a WAL without a header for an empty one.
    fs::File::create(oracle::beside(&device.main(), "-wal")).unwrap().set_len(65 << 20).unwrap();
    let (_, findings) = about(&device, &[], "journals");
    assert_eq!(
        (findings[0]["level"].as_str(), findings[0]["what"].as_str()),
        (Some("note"), Some("the WAL has 68157440 bytes"))
    );
    assert_eq!(findings[0]["repair"], "look for a connection that reads for ever");
    assert_eq!(oracle::content(&device.main()), content);
}

#[test]
fn pages_that_are_not_whole() {
    let device = TestDevice::booted_at(41).key("on_damage = []");
    let content = oracle::content(&device.main());
    let device = device.after(harm);
    let damaged = Finding {
        exit: "17",
        level: "problem",
        about: "integrity",
        what: "findings, the first: ",
        repair: "`bootmigrate run --purge-and-retry --db settings`",
    };
    finds(&device, &["--full"], &damaged);
    let ran = device.run(&["run", "--purge-and-retry", "--db", "settings"]);
    // It was a page of an index: each row is still there.
    assert_eq!(
        (ran.exit.as_str(), oracle::content(&device.main())),
        ("0", content),
        "{}",
        ran.stderr
    );
    is_well(&device, &["--full"], "integrity");
}

#[test]
fn pages_that_nobody_looked_at() {
    let device = TestDevice::booted_at(41).key("quick_check_max_mib = 0");
    let unknown = Finding {
        exit: "0",
        level: "note",
        about: "integrity",
        what: "not checked: ",
        repair: "`bootmigrate doctor --full`",
    };
    finds(&device, &[], &unknown);
    is_well(&device, &["--full"], "integrity");
    let device =
        device.application(&["sql PRAGMA locking_mode = EXCLUSIVE", "sql BEGIN EXCLUSIVE"]);
    let (_, findings) = about(&device, &["--full"], "integrity");
    assert_eq!(findings[0]["level"], "note", "{findings:#?}");
    assert!(
        findings[0]["what"].as_str().unwrap().starts_with("it cannot be read now: "),
        "{findings:#?}"
    );
    assert_eq!(findings[0]["repair"], "stop the applications, then ask again");
    let device = device.killed();
    is_well(&device, &["--full"], "integrity");
}
