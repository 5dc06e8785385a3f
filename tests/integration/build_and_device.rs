//! Owns the table of statements that the build's run of a catalogue and a device must judge alike,
//! whatever the rules say of their text.
//! Promises: each is run by both as the newest file of an empty device; the rules, which would have
//! stopped most of them, are passed by.
//! Never compares sentences: that a statement is refused, and where.

use crate::device::TestDevice;
use std::fs;

const FIRST: &str =
    "CREATE TABLE a (b UNIQUE);\nINSERT INTO a VALUES (1);\nCREATE TABLE log (word);\nCREATE \
     VIRTUAL TABLE words USING fts5 (word);\n";

/// Where the text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    Migration,
    NoTransaction,
    Adopted,
    Data,
}

/// Refused by both at this line, or by neither.
#[track_caller]
fn alike(how: As, text: &str, refused_at: Option<u32>) {
    let head = if how == As::NoTransaction { "-- bootmigrate: no-transaction\n" } else { "" };
    let name = if how == As::Data { "data/V1__x.sql" } else { "V2__x.sql" };
    let device = TestDevice::empty(0).file(("V1__first.sql", FIRST));
    let device = if how == As::Adopted { device.key("baseline_version = 2") } else { device };
    // What the rules see, and what runs.
    for (folder, text) in
        [("migrations", format!("{head}SELECT 1;\n")), ("unchecked", format!("{head}{text}\n"))]
    {
        let path = device.folder().join(folder).join("settings").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let unchecked = device.folder().join("unchecked").to_str().unwrap().to_owned();
    let mut device = device.environment("BOOTMIGRATE_TEST_UNCHECKED", &unchecked);
    let ran = if how == As::Data {
        assert_eq!(device.run(&["run"]).exit, "0");
        device.run(&["data", "run", "--all"])
    } else {
        device.run(&["run"])
    };
    device = device.environment("BOOTMIGRATE_TEST_BUILD", "1");
    let build = device.run(&["run"]);
    let what =
        format!("{text} as {how:?}\nbuild: {}\ndevice: {} {}", build.stderr, ran.exit, ran.stderr);
    let place = |line: u32| format!("{name}:{}", line + u32::from(how == As::NoTransaction));
    match refused_at {
        // What no statement says has no line.
        Some(0) => {
            assert!(ran.exit == "10" && build.stderr.contains(&format!("{name}: ")), "{what}")
        }
        Some(line) => {
            assert!(ran.exit == "10" && ran.stderr.contains(&place(line)), "{what}");
            assert!(build.stderr.contains(&place(line)), "{what}");
        }
        None => assert!(ran.exit == "0" && build.stderr == "the build accepts it\n", "{what}"),
    }
}

#[test]
fn transactions_and_other_databases() {
    for text in [
        "BEGIN;",
        "COMMIT;",
        "END;",
        "ROLLBACK;",
        "ATTACH ':memory:' AS o;",
        "ATTACH '' AS o;",
        "DETACH main;",
        "VACUUM;",
        "VACUUM INTO 'x';",
    ] {
        alike(As::Migration, &format!("SELECT 1;\n{text}"), Some(2));
        alike(As::Data, &format!("SELECT 1;\n{text}"), Some(2));
        let harmless = ["BEGIN;", "COMMIT;", "END;", "VACUUM;"].contains(&text);
        alike(As::Adopted, &format!("SELECT 1;\n{text}"), if harmless { None } else { Some(2) });
        alike(
            As::NoTransaction,
            &format!("SELECT 1;\n{text}"),
            if text == "VACUUM;" { None } else { Some(2) },
        );
    }
    alike(As::Migration, "INSERT OR ROLLBACK INTO a VALUES (1);", Some(1));
    alike(As::Adopted, "INSERT OR ROLLBACK INTO a VALUES (1);", Some(1));
    alike(As::Migration, "INSERT OR ROLLBACK INTO a VALUES (2);", None);
    let raises = "CREATE TRIGGER t AFTER INSERT ON log BEGIN SELECT raise(ROLLBACK, 'no'); END;\n";
    alike(As::Migration, &format!("{raises}INSERT INTO log VALUES (1);"), Some(2));
    alike(As::Migration, raises, None);
    alike(As::Migration, "SAVEPOINT s; INSERT INTO a VALUES (2); ROLLBACK TO s; RELEASE s;", None);
    alike(As::Adopted, "BEGIN;\nCREATE TABLE c (d);\nCOMMIT;", None);
}

#[test]
fn pragmas() {
    for text in [
        "journal_mode = WAL",
        "foreign_keys = ON",
        "synchronous = OFF",
        "temp_store = 2",
        "no_such_thing = 1",
        "main.locking_mode = EXCLUSIVE",
        "wal_checkpoint(TRUNCATE)",
        "optimize",
    ] {
        alike(As::Migration, &format!("SELECT 1;\nPRAGMA {text};"), Some(2));
        alike(As::NoTransaction, &format!("SELECT 1;\nPRAGMA {text};"), Some(2));
        alike(As::Adopted, &format!("SELECT 1;\nPRAGMA {text};"), None);
    }
    for text in [
        "writable_schema = 1",
        "schema_version = 9",
        "ignore_check_constraints = 1",
        "temp.max_page_count = 9",
    ] {
        for how in [As::Migration, As::Adopted, As::NoTransaction, As::Data] {
            alike(how, &format!("PRAGMA {text};"), Some(1));
        }
    }
    for text in ["page_size = 8192", "auto_vacuum = FULL"] {
        alike(As::Migration, &format!("PRAGMA {text};"), Some(1));
        alike(As::Data, &format!("PRAGMA {text};"), Some(1));
        alike(As::Adopted, &format!("PRAGMA {text};"), None);
        alike(As::NoTransaction, &format!("PRAGMA {text}; VACUUM;"), None);
    }
    let allowed =
        "PRAGMA case_sensitive_like = ON; PRAGMA user_version = 3; PRAGMA integrity_check; PRAGMA \
         page_size; PRAGMA table_info(a); PRAGMA legacy_alter_table = ON; PRAGMA \
         defer_foreign_keys = ON;";
    for how in [As::Migration, As::Adopted, As::NoTransaction, As::Data] {
        alike(how, allowed, None);
    }
}

#[test]
fn functions() {
    for how in [As::Migration, As::NoTransaction, As::Data] {
        alike(how, "SELECT changes(), last_insert_rowid();\nSELECT total_changes();", Some(2));
        alike(how, "SELECT 1;\nSELECT load_extension('x');", Some(2));
    }
    alike(As::Adopted, "INSERT INTO a SELECT total_changes() + 100;", None);
    alike(As::Adopted, "SELECT \"load_extension\"('x');", Some(1));
    alike(
        As::Migration,
        "CREATE TRIGGER t AFTER INSERT ON log BEGIN INSERT INTO a SELECT total_changes() + 100; \
         END;\nINSERT INTO log VALUES (1);",
        None,
    );
    alike(As::Migration, "CREATE VIEW v AS SELECT load_extension('x');\nSELECT * FROM v;", Some(2));
}

#[test]
fn the_runners_own_tables() {
    for text in [
        "INSERT INTO refinery_schema_history VALUES (9, 'x', 'y', '1');",
        "DELETE FROM bootmigrate_steps;",
        "REPLACE INTO bootmigrate_state VALUES ('act', 7);",
        "DROP TABLE Refinery_Schema_History;",
        "ALTER TABLE bootmigrate_state RENAME TO gone;",
        "CREATE TABLE bootmigrate_later (a);",
        "CREATE VIEW bootmigrate_later AS SELECT 1;",
        "CREATE INDEX i ON refinery_schema_history (name);",
        "CREATE TEMP TRIGGER t AFTER INSERT ON refinery_schema_history BEGIN SELECT 1; END;",
        "CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM bootmigrate_state; END; INSERT \
         INTO log VALUES (1);",
    ] {
        for how in [As::Migration, As::Adopted, As::NoTransaction] {
            alike(how, &format!("SELECT 1;\n{text}"), Some(2));
        }
    }
    for text in ["DELETE FROM bootmigrate_data;", "UPDATE refinery_schema_history SET name = 'x';"]
    {
        alike(As::Data, &format!("SELECT 1;\n{text}"), Some(2));
    }
    for text in [
        "CREATE TABLE x (a); ALTER TABLE x RENAME TO bootmigrate_later;",
        "CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM bootmigrate_state; END;",
    ] {
        alike(As::Migration, text, Some(0));
        alike(As::Adopted, text, Some(0));
    }
    alike(As::Migration, "INSERT INTO log SELECT count(*) FROM refinery_schema_history;", None);
}

#[test]
fn what_changes_the_schema_in_a_data_migration() {
    for text in [
        "CREATE TABLE c (d);",
        "CREATE INDEX i ON log (word);",
        "CREATE VIEW v AS SELECT 1;",
        "CREATE TRIGGER t AFTER INSERT ON log BEGIN SELECT 1; END;",
        "CREATE VIRTUAL TABLE w USING fts5 (x);",
        "ALTER TABLE log ADD COLUMN more;",
        "ALTER TABLE log RENAME TO other;",
        "DROP TABLE log;",
        "DROP TABLE words;",
    ] {
        alike(As::Data, &format!("SELECT 1;\n{text}"), Some(2));
        alike(As::Migration, text, None);
    }
    alike(
        As::Data,
        "CREATE TEMP TABLE mine (a); INSERT INTO mine VALUES (1); INSERT INTO log SELECT a FROM \
         mine;",
        None,
    );
    alike(
        As::Data,
        "INSERT INTO words VALUES ('more'); INSERT INTO words (words) VALUES ('rebuild'); REINDEX;",
        None,
    );
}
