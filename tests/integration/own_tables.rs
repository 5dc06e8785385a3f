//! Owns the tests of migrations that touch the history or bootmigrate's own tables.
//! Promises: refused, by the build with its place or by the run, nothing is changed; the next
//! firmware goes on at its first boot.
//! Never ends with a history that a later boot calls another's (21).

use crate::device::TestDevice;
use crate::dump::tidy;
use crate::oracle;
use rusqlite::Connection;

const FILE: &str = "V41__touches.sql";
const OURS: &str = "belongs to bootmigrate";
const CHANGED: &str = "the migrations have changed bootmigrate's own tables";

#[track_caller]
fn runs(device: &TestDevice, arguments: &[&str], exit: &str) -> String {
    let ran = device.run(arguments);
    let said = tidy(device, &ran.stderr);
    assert_eq!(ran.exit, exit, "{arguments:?}: {said}");
    said
}

/// Refused with these words, and fixed by the next firmware.
#[track_caller]
fn is_refused(device: TestDevice, sql: &str, words: &str) {
    let device = device.firmware(40).file((FILE, sql));
    // The firmware of the tests is built when it starts.
    let said = runs(&device, &["run"], if words == OURS { "2" } else { "10" });
    assert!(
        said.contains(words) && said.contains("V41__touches.sql:") == (words == OURS),
        "{sql}: {said}"
    );
    let expected = device.expectations(&device.databases[0]);
    assert_eq!(oracle::content(&device.main()).unwrap(), expected.old.unwrap(), "{sql}");
    let device = device.file((FILE, "CREATE TABLE touched (a);\n"));
    let wanted = device.expectations(&device.databases[0]).new.unwrap();
    assert!(runs(&device, &["run"], "0").contains("migrated from 40 to 41"), "{sql}");
    assert_eq!(oracle::content(&device.main()).unwrap(), wanted, "{sql}");
    assert_eq!(
        oracle::complaints(&device.main(), &device.firmware_folder(), "settings"),
        Vec::<String>::new()
    );
}

#[test]
fn statements_that_write_to_them() {
    for sql in [
        "DELETE FROM refinery_schema_history;",
        "UPDATE main.Refinery_Schema_History SET name = 'other' WHERE version = 10;",
        "INSERT INTO refinery_schema_history VALUES (99, 'later', '2026-01-01T00:00:00Z', '1');",
        "REPLACE INTO bootmigrate_state VALUES ('act', 700);",
        "UPDATE bootmigrate_steps SET down_sql = 'DROP TABLE parent';",
        "WITH old AS (SELECT 10 AS v) DELETE FROM refinery_schema_history WHERE version IN old;",
    ] {
        is_refused(TestDevice::booted_at(40), sql, OURS);
    }
    // On a copy, where VACUUM reads and writes all of them.
    is_refused(
        TestDevice::at(40),
        "-- bootmigrate: no-transaction\nDELETE FROM refinery_schema_history;\nVACUUM;\n",
        OURS,
    );
    is_refused(TestDevice::wal_at(40), "DELETE FROM bootmigrate_state;", OURS);
}

#[test]
fn statements_that_change_what_they_are() {
    for sql in [
        "DROP TABLE refinery_schema_history;",
        "ALTER TABLE refinery_schema_history ADD COLUMN note;",
        "ALTER TABLE refinery_schema_history RENAME TO past;",
        "ALTER TABLE bootmigrate_state RENAME COLUMN value TO what;",
        "DROP TABLE bootmigrate_steps;",
        "CREATE INDEX by_name ON refinery_schema_history (name);",
        "CREATE TRIGGER gone AFTER INSERT ON refinery_schema_history BEGIN DELETE FROM parent; \
         END;",
        "CREATE TABLE bootmigrate_data (a);",
        "CREATE VIEW bootmigrate_later AS SELECT 1 AS a;",
        "CREATE VIRTUAL TABLE bootmigrate_text USING fts5(a);",
    ] {
        is_refused(TestDevice::at(40), sql, OURS);
    }
}

#[test]
fn triggers_of_an_application_that_change_the_history() {
    for (on, body, mend) in [
        (
            "AFTER INSERT ON refinery_schema_history",
            "DELETE FROM refinery_schema_history WHERE version = 10",
            "version = 10",
        ),
        (
            "AFTER INSERT ON refinery_schema_history",
            "UPDATE refinery_schema_history SET checksum = '7' WHERE version = new.version",
            "41",
        ),
        ("BEFORE INSERT ON refinery_schema_history", "SELECT raise(IGNORE)", "41"),
    ] {
        let device = TestDevice::at(40).firmware(40).file((FILE, "CREATE TABLE touched (a);\n"));
        let connection = Connection::open(device.main()).unwrap();
        connection
            .execute_batch(&format!("CREATE TRIGGER of_theirs {on} BEGIN {body}; END"))
            .unwrap();
        drop(connection);
        let old = oracle::content(&device.main()).unwrap();
        let said = runs(&device, &["run"], "10");
        assert!(
            said.contains(CHANGED) && said.contains(mend.rsplit(' ').next().unwrap()),
            "{body}: {said}"
        );
        assert_eq!(oracle::content(&device.main()).unwrap(), old);
        Connection::open(device.main()).unwrap().execute_batch("DROP TRIGGER of_theirs").unwrap();
        let wanted = device.expectations(&device.databases[0]).new.unwrap();
        runs(&device, &["run"], "0");
        assert_eq!(oracle::content(&device.main()).unwrap(), wanted);
    }
}

#[test]
fn a_history_of_another_name_is_the_one_that_is_kept() {
    let named = |device: TestDevice| device.key("history_table = \"past\"");
    let sql = "CREATE TABLE refinery_schema_history (a);\nINSERT INTO refinery_schema_history \
               VALUES (1);\n";
    let device = named(TestDevice::empty(30)).file(("V40__own.sql", "DELETE FROM Past;"));
    assert!(runs(&device, &["run"], "2").contains("V40__own.sql:1:13: `Past` belongs"));
    let device = device.file(("V40__own.sql", sql));
    assert!(runs(&device, &["run"], "0").contains("created at version 40"));
    let connection = Connection::open(device.main()).unwrap();
    let read = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(
        (read("SELECT a FROM refinery_schema_history"), read("SELECT max(version) FROM past")),
        (1, 40)
    );
}

#[test]
fn reading_the_history_is_allowed() {
    let sql = "CREATE TABLE came_from (version);\nINSERT INTO came_from SELECT max(version) FROM \
               refinery_schema_history;\n";
    let device = TestDevice::at(40).firmware(40).file((FILE, sql));
    assert!(runs(&device, &["run"], "0").contains("migrated from 40 to 41"));
    let version = "SELECT version FROM came_from";
    let read: i64 =
        Connection::open(device.main()).unwrap().query_row(version, [], |row| row.get(0)).unwrap();
    assert_eq!(read, 40);
}
