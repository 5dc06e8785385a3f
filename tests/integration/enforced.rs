//! Owns the tests of migrations that run with foreign keys enforced: `foreign-keys = enforced`, and
//! `baseline_foreign_keys`.
//! Promises: rows and children are those that plain SQLite leaves with its own enforcement on, at
//! every pace; a violation changes nothing.
//! Never relies on enforcement in a file that does not ask for it.

use crate::boundaries::{judge, new_device, Catalogue, PACES};
use crate::device::TestDevice;
use crate::oracle;
use refinery::{Migration, Report, Runner};
use rusqlite::Connection;

const FIRST: &str = "\
                     CREATE TABLE sensor(id INTEGER PRIMARY KEY, name TEXT UNIQUE, above \
                     REFERENCES sensor(id) ON DELETE CASCADE);
CREATE TABLE reading(id INTEGER PRIMARY KEY, sensor INTEGER REFERENCES sensor(id) ON DELETE \
                     CASCADE, value);
CREATE TABLE label(id INTEGER PRIMARY KEY, name TEXT REFERENCES sensor(name) ON UPDATE CASCADE ON \
                     DELETE SET NULL);
CREATE TABLE visit(id INTEGER PRIMARY KEY, sensor INTEGER REFERENCES sensor(id) DEFERRABLE \
                     INITIALLY DEFERRED);
CREATE TABLE seal(sensor INTEGER REFERENCES sensor(id) ON DELETE RESTRICT);
CREATE TABLE log(id INTEGER PRIMARY KEY, word, number);
CREATE TRIGGER reading_gone AFTER DELETE ON reading BEGIN INSERT INTO log(word, number) VALUES \
                     ('gone', old.id); END;
INSERT INTO sensor VALUES (1, 'attic', NULL), (2, 'barn', 1), (3, 'cellar', NULL), (4, 'deck', 3);
INSERT INTO reading(sensor, value) VALUES (1, 10), (2, 20), (3, 30), (4, 40);
INSERT INTO label(name) VALUES ('attic'), ('barn'), ('deck');
INSERT INTO seal VALUES (4);";

const ROWS: &str = "INSERT INTO sensor VALUES (5, 'entry', 1), (6, 'field', NULL); INSERT INTO \
                    reading(sensor, value) VALUES (5, 50), (6, 60); INSERT INTO label(name) VALUES \
                    ('entry'), ('field');";

/// Each relies on an action, or on violations that wait.
const ENFORCED: [&str; 7] = [
    "DELETE FROM sensor WHERE id = 1;",
    "UPDATE sensor SET name = upper(name);",
    "REPLACE INTO sensor(id, name, above) VALUES (2, 'bridge', NULL);",
    "INSERT INTO visit(sensor) VALUES (9); INSERT INTO sensor(id, name, above) VALUES (9, 'ninth', \
     NULL);",
    "PRAGMA defer_foreign_keys = ON; INSERT INTO reading(sensor) VALUES (9); INSERT INTO \
     sensor(id, name, above) VALUES (9, 'ninth', NULL);",
    "DELETE FROM seal; DROP TABLE seal; DELETE FROM sensor WHERE name LIKE 'd%' OR name LIKE 'f%';",
    "SAVEPOINT s; DELETE FROM sensor WHERE id = 2; ROLLBACK TO s; DELETE FROM sensor WHERE name = \
     'entry'; RELEASE s;",
];

/// A rebuild, with foreign keys on, would take the children along.
const REBUILD: &str = "\
                       CREATE TABLE sensor_new(id INTEGER PRIMARY KEY, name TEXT UNIQUE, above \
                       REFERENCES sensor(id) ON DELETE CASCADE, place TEXT DEFAULT '');
INSERT INTO sensor_new(id, name, above) SELECT id, name, above FROM sensor;
DROP TABLE sensor;
ALTER TABLE sensor_new RENAME TO sensor;";

fn enforced(text: &str) -> String {
    format!("-- bootmigrate: foreign-keys = enforced\n{text}")
}

#[track_caller]
fn alike(catalogue: &Catalogue) {
    let found = judge(catalogue, &PACES);
    assert!(found.is_empty(), "{:?}\n{}", catalogue.files, found.join("\n"));
}

#[test]
fn actions_fire_in_the_file_that_asks_for_them_and_in_no_other() {
    for text in ENFORCED {
        let rows = || ROWS.to_owned();
        alike(&Catalogue { rows: rows(), ..Catalogue::of(&[FIRST, &enforced(text), REBUILD]) });
        alike(&Catalogue {
            rows: rows(),
            keys: vec!["journal_mode = \"wal\"".into()],
            ..Catalogue::of(&[FIRST, REBUILD, &enforced(text)])
        });
    }
    let both = [FIRST, &enforced(ENFORCED[0]), &enforced(ENFORCED[2]), REBUILD];
    alike(&Catalogue { rows: ROWS.into(), ..Catalogue::of(&both) });
    let outside =
        "-- bootmigrate: no-transaction\n-- bootmigrate: foreign-keys = enforced\nDELETE FROM \
         sensor WHERE id = 1; VACUUM;";
    alike(&Catalogue { rows: ROWS.into(), ..Catalogue::of(&[FIRST, outside, REBUILD]) });
}

#[test]
fn a_violation_fails_the_migration_and_nothing_has_changed() {
    for (text, words) in [
        (
            "DELETE FROM sensor WHERE id = 1;\nINSERT INTO reading(sensor) VALUES (99);",
            "V2__file.sql:3",
        ),
        ("DELETE FROM sensor WHERE id = 1;\nDELETE FROM sensor WHERE id = 4;", "V2__file.sql:3"),
        (
            "INSERT INTO visit(sensor) VALUES (99);",
            "foreign keys are violated after settings/V2__file.sql",
        ),
        (
            "PRAGMA defer_foreign_keys = ON;\nINSERT INTO reading(sensor) VALUES (99);",
            "foreign keys are violated after settings/V2__file.sql",
        ),
    ] {
        let first = Catalogue { rows: ROWS.into(), ..Catalogue::of(&[FIRST]) };
        let device = new_device(&first, 1);
        assert_eq!(device.run(&["run"]).exit, "0");
        let old = oracle::content(&device.main());
        let device = device.file(("V2__file.sql", &enforced(text)));
        let ran = device.run(&["run"]);
        assert!(
            ran.exit == "10" && ran.stderr.contains(words),
            "{text}: {} {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(oracle::content(&device.main()), old, "{text}");
        let fresh = TestDevice::empty(0)
            .file(("V1__file.sql", FIRST))
            .file(("V2__file.sql", &enforced(text)));
        let ran = fresh.run(&["run"]);
        assert!(
            ran.exit == "10" && ran.stderr.contains(words) && !fresh.main().exists(),
            "{text}: {} {}",
            ran.exit,
            ran.stderr
        );
    }
}

/// refinery enforces them where the SQLite that a product has does so by default.
#[test]
fn files_of_before_end_as_they_did_with_refinery() {
    for text in ENFORCED {
        let files = [FIRST, text, "UPDATE log SET word = 'seen';"];
        let folder = tempfile::tempdir().unwrap();
        let mut plain = Connection::open(folder.path().join("plain.db")).unwrap();
        plain.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        let all: Vec<Migration> = files
            .iter()
            .zip(1..)
            .map(|(text, version)| {
                Migration::unapplied(&format!("V{version}__file"), &format!("{text}\n")).unwrap()
            })
            .collect();
        let runner = |count: usize| Runner::new(&all[..count]);
        let _: Report = runner(1).run(&mut plain).unwrap();
        plain.execute_batch(ROWS).unwrap();
        runner(3).run(&mut plain).unwrap();
        let keys = ["baseline_foreign_keys = \"enforced\"".to_owned()];
        let catalogue = Catalogue {
            adopted: true,
            rows: ROWS.into(),
            keys: keys.into(),
            ..Catalogue::of(&files)
        };
        alike(&catalogue);
        let device = new_device(&catalogue, 1);
        assert_eq!(device.run(&["run"]).exit, "0");
        Connection::open(device.main()).unwrap().execute_batch(ROWS).unwrap();
        crate::boundaries::carry(&device, &catalogue, 3);
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "{text}: {}", ran.stderr);
        assert_eq!(
            oracle::content(&device.main()).unwrap(),
            oracle::read(&plain).unwrap(),
            "{text}"
        );
    }
}

/// Where schemas are compared it runs in memory, and a violation may wait there too.
#[test]
fn an_older_firmware_builds_its_schema_with_it() {
    let waits = enforced(
        "CREATE TABLE two(a);\nINSERT INTO visit(sensor) VALUES (9);\nINSERT INTO sensor(id, name, \
         above) VALUES (9, 'ninth', NULL);",
    );
    let mut catalogue = Catalogue::of(&[FIRST, &waits, "CREATE TABLE three(a);"]);
    catalogue.downs.push(("V3__file.sql".into(), "DROP TABLE three;".into()));
    catalogue.keys.push("on_newer = [\"downgrade\"]".into());
    let device = new_device(&catalogue, 3);
    assert_eq!(device.run(&["run"]).exit, "0");
    Connection::open(device.main())
        .unwrap()
        .execute("INSERT INTO visit(sensor) VALUES (3)", [])
        .unwrap();
    crate::boundaries::carry(&device, &catalogue, 2);
    let ran = device.run(&["run", "-v"]);
    assert!(
        ran.exit == "0" && !ran.stderr.contains("cannot be built from nothing"),
        "{} {}",
        ran.exit,
        ran.stderr
    );
    let left: i64 = Connection::open(device.main())
        .unwrap()
        .query_row("SELECT count(*) FROM visit", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 2);
}
