//! Owns the tests of data migrations that were applied: what may change in their files, and when a
//! batch is pending again.
//! Promises: refinery, whose rules these are, refuses the same files; rows are compared each time.
//! Never runs one for the first time only.

use crate::data::{booted, wanted, with, QUALITY, TENFOLD};
use crate::device::TestDevice;
use crate::oracle;
use refinery::error::Kind;
use refinery::{Migration, Report, Runner};
use rusqlite::Connection;

#[test]
fn what_was_done_cannot_be_edited() {
    let edited = ("V2__tenfold.sql", "UPDATE child SET amount = 0;\n");
    let renamed = ("V2__twofold.sql", TENFOLD.1);
    let later = ("V3__later.sql", "UPDATE child SET amount = amount || '1';\n");
    for (files, said) in [
        (&[edited][..], "the text of settings/data/V2__tenfold.sql differs from what was applied"),
        (&[renamed], "version 2 is \"tenfold\" in the database and \"twofold\" in this firmware"),
        (&[later], "V2__tenfold was applied and is not in this firmware"),
        // Nor may an older one come after it.
        (&[QUALITY, TENFOLD], "settings/data/V1__quality.sql was never applied and version 2 was"),
    ] {
        let device = booted(&[TENFOLD]);
        assert_eq!(device.run(&["data", "run", "--all"]).exit, "0");
        let rows = oracle::content(&device.main());
        with(&device, files);
        let ran = device.run(&["data", "run", "--all"]);
        assert_eq!(ran.exit, "21", "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
        assert_eq!(oracle::content(&device.main()), rows);
        // refinery, whose rules these are, refuses the same.
        let refused = refinery(&[TENFOLD], files).unwrap_err();
        let rule = matches!(refused.kind(), Kind::DivergentVersion(..) | Kind::MissingVersion(..));
        assert!(rule, "{said}: {refused}");
    }
    refinery(&[TENFOLD], &[TENFOLD, later]).unwrap();
}

#[test]
fn line_ends_are_no_edit_and_an_edit_may_be_only_warned_of() {
    let device = booted(&[TENFOLD]);
    assert_eq!(device.run(&["data", "run", "--all"]).exit, "0");
    let later = ("V3__later.sql", "UPDATE child SET amount = amount || '1';\n");
    let new = wanted(&device, &[(later, Some(1))]);
    // Checked out with CRLF.
    let crlf = TENFOLD.1.replace('\n', "\r\n");
    with(&device, &[(TENFOLD.0, &crlf), later]);
    let ran = device.run(&["data", "run", "--all"]);
    assert_eq!(
        (ran.exit.as_str(), ran.stderr.as_str()),
        ("0", "settings: V3 later: 1000 rows in 1 round. [BM-0 settings data]\n")
    );
    assert_eq!(oracle::content(&device.main()).as_ref(), Ok(&new));
    // Edited, and the product said that this is no reason to stop.
    let last = ("V4__last.sql", "UPDATE child SET amount = amount || '2';\n");
    let new = wanted(&device, &[(last, Some(1))]);
    let device = device.key("on_checksum_mismatch = \"warn\"");
    with(&device, &[("V2__tenfold.sql", "UPDATE child SET amount = 0;\n"), later, last]);
    let ran = device.run(&["data", "run", "--all"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()).as_ref(), Ok(&new));
    // Another migration under its number is more than an edit.
    with(
        &device,
        &[
            ("V2__twofold.sql", TENFOLD.1),
            later,
            last,
            (
                "V5__more.sql",
                "DELETE FROM child;
",
            ),
        ],
    );
    let ran = device.run(&["data", "run", "--all"]);
    assert_eq!(ran.exit, "21", "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("version 2 is \"tenfold\" in the database and \"twofold\" in this firmware"),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::content(&device.main()), Ok(new));
}

/// refinery goes on with these files in a database where it has run those.
fn refinery(done: &[(&str, &str)], now: &[(&str, &str)]) -> Result<Report, refinery::Error> {
    let read = |files: &[(&str, &str)]| -> Vec<Migration> {
        files
            .iter()
            .map(|(name, text)| Migration::unapplied(name.trim_end_matches(".sql"), text).unwrap())
            .collect()
    };
    let mut connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch("CREATE TABLE parent(id, reading, raw); CREATE TABLE child(amount)")
        .unwrap();
    Runner::new(&read(done)).run(&mut connection).unwrap();
    Runner::new(&read(now)).run(&mut connection)
}

#[test]
fn going_back_has_a_batch_run_again() {
    let down = ("V42__preferences.down.sql", "DROP TABLE preference;\n");
    let fill = (
        "V1__fill.sql",
        "-- bootmigrate: batch\nUPDATE preference SET value = 'filled' WHERE value IS NOT \
         'filled';\n",
    );
    let device = TestDevice::at(41).firmware(42).file(down);
    assert_eq!(device.run(&["run"]).exit, "0");
    with(&device, &[fill, TENFOLD]);
    assert_eq!(device.run(&["data", "run", "--all"]).exit, "0");
    let new = oracle::content(&device.main());
    assert_eq!(device.run(&["rollback", "--db", "settings", "--to", "41"]).exit, "11");
    assert_eq!(device.run(&["run"]).exit, "0");
    // The table was created again: its batch is pending again. What is no batch is not run twice.
    let ran = device.run(&["data", "run", "--all"]);
    assert_eq!(
        (ran.exit.as_str(), ran.stderr.as_str()),
        ("0", "settings: V1 fill: 1 row in 1 round. [BM-0 settings data]\n")
    );
    assert_eq!(oracle::content(&device.main()), new);
    assert_eq!(
        Connection::open(device.main()).unwrap().query_row(
            "SELECT value FROM preference",
            [],
            |row| row.get::<_, String>(0)
        ),
        Ok("filled".into())
    );
}

/// Rows are in the way, and not the storage.
#[test]
fn a_deferred_key_that_breaks_is_the_migrations_mistake() {
    let device = TestDevice::empty(0).file((
        "V1__a.sql",
        "CREATE TABLE a (id INTEGER PRIMARY KEY);\nCREATE TABLE b (a REFERENCES a(id) \
             DEFERRABLE INITIALLY DEFERRED);\n",
    ));
    assert_eq!(device.run(&["run"]).exit, "0");
    let sql = "INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1)";
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
    with(&device, &[("V1__less.sql", "DELETE FROM a WHERE id = 1;\n")]);
    let old = oracle::content(&device.main());
    let ran = device.run(&["data", "run", "--all"]);
    assert_eq!(ran.exit, "10", "{}", ran.stderr);
    assert!(ran.stderr.contains("settings/data/V1__less.sql:1:1: "), "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()), old);
}

/// Each round adds the rows that a trigger writes, and the file grows with the bound.
#[test]
fn a_batch_that_a_trigger_hides_ends() {
    let device = TestDevice::empty(0).file((
        "V1__a.sql",
        "CREATE TABLE a (id INTEGER PRIMARY KEY, x);\nCREATE TABLE log (x);\nCREATE TRIGGER t \
         AFTER UPDATE ON a BEGIN INSERT INTO log SELECT new.id FROM a LIMIT 900; END;\n",
    ));
    assert_eq!(device.run(&["run"]).exit, "0");
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 900) INSERT \
               INTO a SELECT i, 0 FROM n";
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
    let batch = "-- bootmigrate: batch\nUPDATE a SET x = x + 1 WHERE id IN (1, 2, 3);\n";
    with(&device, &[("V1__again.sql", batch)]);
    let ran = device.run(&["data", "run", "--all"]);
    assert_eq!(ran.exit, "10", "{}", ran.stderr);
    assert!(ran.stderr.contains("`batch` comes to no end"), "{}", ran.stderr);
}
