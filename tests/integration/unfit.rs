//! Owns the tests of an application's own schema that is whole and that no migration fits beside:
//! texts that are not UTF-8, views without an end, more text than can be read.
//! Promises: it is migrated, or refused (21) with a sentence and without a byte written, at every
//! boot; no row of it goes anywhere.
//! Never has the program make such a schema: SQLite takes it from the application.

use crate::device::TestDevice;
use crate::oracle;
use rusqlite::Connection;
use std::fs;

/// Stands for what is not UTF-8 until SQLite has taken the text.
const MARK: &str = "@~~@";
/// "ößöß" in Latin-1.
const LATIN_1: &[u8] = b"\xf6\xdf\xf6\xdf";

const POLICIES: [&str; 3] =
    ["kind = \"precious\"", "kind = \"rebuildable\"", "carry_over = [\"*\"]"];

/// The application has made this, in Latin-1.
fn with(schema: &str, key: &str, firmware: i32) -> TestDevice {
    let mut device = TestDevice::booted_at(40);
    if key.starts_with("carry_over") {
        device = device.key("kind = \"rebuildable\"");
    }
    let device = device.key(key).firmware(firmware);
    Connection::open(device.main()).unwrap().execute_batch(schema).unwrap();
    let mut bytes = fs::read(device.main()).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - 1).filter(|at| bytes[*at..].starts_with(MARK.as_bytes())).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + 4].copy_from_slice(LATIN_1);
    }
    fs::write(device.main(), bytes).unwrap();
    device
}

/// The rows of `own`, by place: its columns may have no name that can be written here.
fn rows(device: &TestDevice) -> i64 {
    let connection = Connection::open(device.main()).unwrap();
    connection.query_row("SELECT count(*) FROM own", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_comment_in_latin_1_is_migrated_past() {
    for schema in [
        "CREATE TABLE own(a INT /* Gr@~~@e */); INSERT INTO own VALUES (7)",
        "CREATE TABLE own(a INT); CREATE INDEX own_a ON own(a) WHERE a > 1 -- gr@~~@er
         ; INSERT INTO own VALUES (7)",
        "CREATE TABLE own(a REFERENCES parent(id) /* @~~@ */); INSERT INTO own VALUES (7);
         CREATE TRIGGER own_t AFTER UPDATE ON parent BEGIN /* @~~@ */ UPDATE own SET a = a; END",
        "CREATE VIEW own AS SELECT 1 AS a /* @~~@ */",
        "CREATE VIRTUAL TABLE own USING fts5(a /* @~~@ */); INSERT INTO own VALUES ('x')",
    ] {
        for key in POLICIES {
            let device = with(schema, key, 42);
            let ran = device.run(&["run"]);
            assert!(
                ran.exit == "0" && ran.stderr.contains("migrated from 40 to 42"),
                "{schema}, {key}: exit {}: {}",
                ran.exit,
                ran.stderr
            );
            assert_eq!(rows(&device), 1, "{schema}, {key}");
            let bytes = fs::read(device.main()).unwrap();
            assert!(bytes.windows(4).any(|four| four == LATIN_1), "{schema}, {key}");
            let doctor = device.run(&["doctor"]);
            assert!(!doctor.stdout.contains("UTF-8"), "{schema}: {}", doctor.stdout);
        }
    }
}

#[test]
fn a_name_in_latin_1_is_refused_untouched() {
    for (schema, named) in [
        ("CREATE TABLE own(\"gr@~~@e\" INT); INSERT INTO own VALUES (7)", "table own"),
        ("CREATE TABLE own(a DEFAULT 'gr@~~@e'); INSERT INTO own VALUES (7)", "table own"),
        ("CREATE VIEW own AS SELECT 1 AS \"gr@~~@e\"", "view own"),
        (
            "CREATE TABLE own(a); INSERT INTO own VALUES (7);
             CREATE INDEX \"gr@~~@e\" ON own(a) WHERE a > 1",
            "index gr\u{fffd}\u{fffd}\u{fffd}\u{fffd}e",
        ),
        (
            "CREATE TABLE own(\"gr@~~@e\"); INSERT INTO own VALUES (7);
             CREATE TRIGGER t AFTER UPDATE ON parent BEGIN UPDATE own SET \"gr@~~@e\" = 1; END",
            "table own",
        ),
    ] {
        let words = format!("a name or a value in {named} is not UTF-8");
        for key in POLICIES {
            let device = with(schema, key, 42);
            refused_at_every_boot(&device, &words, schema);
            assert_eq!(rows(&device), 1, "{schema}, {key}");
            // The firmware that it was made under boots it.
            let ran = device.firmware(40).run(&["run"]);
            assert_eq!(ran.exit, "0", "{schema}, {key}: {}", ran.stderr);
        }
    }
}

/// Whatever looks says what a run says; a run writes nothing, the first time and later.
#[track_caller]
fn refused_at_every_boot(device: &TestDevice, words: &str, what: &str) {
    let before = oracle::folder(&device.home());
    for command in ["plan", "run", "run", "run", "doctor"] {
        let ran = device.run(&[command]);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains(words), "{what}, {command}: exit {}: {said}", ran.exit);
        assert!(!said.contains("damaged"), "{what}, {command}: {said}");
        if command == "run" {
            assert!(
                ran.exit == "21" && said.contains("nothing was changed. Next: take it out of"),
                "{what}: exit {}: {said}",
                ran.exit
            );
        }
        assert_eq!(
            oracle::touched(&before, &oracle::folder(&device.home())),
            "nothing",
            "{what}, {command}"
        );
    }
}

#[test]
fn views_without_an_end_are_refused_without_a_write() {
    let level = |level: u32| {
        format!("CREATE VIEW v{level} AS SELECT a.x + b.x x FROM v{0} a, v{0} b;", level - 1)
    };
    let schema =
        format!("CREATE VIEW v0 AS SELECT 1 x; {}", (1..10).map(level).collect::<String>());
    for key in POLICIES {
        let device = TestDevice::booted_at(40).key("kind = \"rebuildable\"").key(key).firmware(42);
        Connection::open(device.main()).unwrap().execute_batch(&schema).unwrap();
        refused_at_every_boot(&device, "view v8 reads views, and those others, 511 times", key);
    }
}

/// SQLite itself, which is given no more text than that, calls it a malformed schema.
#[test]
fn a_text_that_is_longer_than_any_is_refused_as_it_is() {
    let device = TestDevice::booted_at(40).key("kind = \"rebuildable\"").firmware(41);
    let text = "x".repeat((64 << 20) + 1);
    Connection::open(device.main())
        .unwrap()
        .execute_batch(&format!("CREATE VIEW long AS SELECT '{text}' AS z"))
        .unwrap();
    refused_at_every_boot(&device, "its schema has more than 64 MiB of text", "a view");
    // Who names it may give it up.
    let ran = device.run(&["purge", "--db", "settings", "--yes"]);
    assert!(ran.exit == "0" || ran.exit == "11", "exit {}: {}", ran.exit, ran.stderr);
    let ran = device.run(&["run"]);
    assert!(ran.stderr.contains("at version 41, nothing to do"), "{}", ran.stderr);
}
