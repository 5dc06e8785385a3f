//! Owns the tests of what an application would meet after a migration: foreign keys that cannot
//! work, views and triggers that do not compile.
//! Promises: what a migration breaks ends with 10, the object and the migration named, every row as
//! it was; what was so before is a note, and the migration runs.
//! Never asks the program under test whether a database can be used: SQLite is asked, with foreign
//! keys on.

use crate::device::{Grouped, Mode, TestDevice};
use crate::dump::tidy;
use crate::oracle;
use expect_test::{expect, Expect};
use rusqlite::Connection;

/// What the application made for itself, beside the product's tables: foreign keys that never
/// fitted, and a view that never worked.
const OF_THE_APPLICATION: &str = "CREATE TABLE repo (name TEXT, note TEXT);
    CREATE TABLE branch (id INTEGER PRIMARY KEY, repo TEXT REFERENCES repo (name), parent INTEGER \
                                  REFERENCES parent (id));
    INSERT INTO repo VALUES ('r', '');
    INSERT INTO branch VALUES (1, 'r', 7);
    CREATE VIEW forgotten AS SELECT x FROM gone;";

/// The parents are renamed first: their children follow them, and then they are dropped.
const RENAMED_FIRST: &str = "DROP VIEW IF EXISTS family;
    ALTER TABLE parent RENAME TO parent_old;
    CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, reading REAL, raw \
                             BLOB, badge ANY);
    INSERT INTO parent SELECT * FROM parent_old;
    DROP TABLE parent_old;";
const HARMLESS: (&str, &str) =
    ("V43__harmless.sql", "ALTER TABLE child ADD COLUMN seen INTEGER;\n");
const COMPACT: (&str, &str) = ("V44__compact.sql", "-- bootmigrate: no-transaction\nVACUUM;\n");
const LATER: (&str, &str) = ("V45__later.sql", "CREATE TABLE later (x);\n");

pub fn do_sql(device: &TestDevice, sql: &str) {
    Connection::open(device.main())
        .unwrap()
        .execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}"))
        .unwrap();
}

/// The run ends with 10 and this first line; every row is as it was; the tries are counted; a
/// rehearsal says the same.
#[track_caller]
pub fn refused(device: &TestDevice, expected: Expect) {
    let rows = oracle::content(&device.main());
    let rehearsed = device.run(&["rehearse"]);
    assert_eq!(rehearsed.exit, "10", "{}{}", rehearsed.stdout, rehearsed.stderr);
    let ran = device.run(&["run"]);
    let said = tidy(device, &ran.stderr);
    let lines = said.lines().filter(|line| line.contains("[BM-10") || line.starts_with("  "));
    // What to do next is no matter of this.
    let sentence: Vec<&str> = lines.map(|line| line.split(". Next: ").next().unwrap()).collect();
    expected.assert_eq(&format!("{}\n", sentence.join("\n")));
    assert_eq!(ran.exit, "10");
    let cause = sentence[0].trim_start_matches("settings: ").split(" (while").next().unwrap();
    assert!(tidy(device, &rehearsed.stdout).contains(cause), "{}\n{}", cause, rehearsed.stdout);
    assert_eq!(oracle::content(&device.main()), rows);
}

/// The run ends with 0 and these notes; the rows are those that plain SQLite makes.
#[track_caller]
fn noted(device: &TestDevice, notes: &[&str]) {
    let wanted = device.expectations(&device.databases[0]).new;
    assert!(wanted.is_some());
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let seen: Vec<&str> =
        ran.stderr.lines().filter_map(|line| line.strip_prefix("  note: ")).collect();
    assert_eq!(seen, notes, "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()).ok(), wanted);
}

#[test]
fn a_rename_that_leaves_children_without_a_parent_is_refused() {
    for mode in [Mode::Delete, Mode::Wal] {
        for rows in [true, false] {
            let device = TestDevice::written(40, mode, Grouped::No)
                .file(HARMLESS)
                .file(("V44__rename.sql", RENAMED_FIRST))
                .file(LATER);
            let device = if rows {
                device
            } else {
                device.after(|device| do_sql(device, "DELETE FROM child"))
            };
            refused(
                &device,
                expect![[r#"
                    settings: after settings/V44__rename.sql, the foreign key child(parent_id) refers to table parent_old, which does not exist (while: verify); the database is whole at version 40
                "#]],
            );
        }
    }
}

#[test]
fn the_same_rename_on_a_copy_is_refused() {
    let file = format!("-- bootmigrate: no-transaction\n{RENAMED_FIRST}\nVACUUM;\n");
    refused(
        &TestDevice::at(40).file(HARMLESS).file(("V44__rename.sql", &file)).file(LATER),
        expect![[r#"
            settings: after settings/V44__rename.sql, the foreign key child(parent_id) refers to table parent_old, which does not exist (while: verify); the database is whole at version 40
        "#]],
    );
}

#[test]
fn the_same_rename_in_a_database_made_from_nothing_is_refused() {
    let device = TestDevice::empty(42).file(("V44__rename.sql", RENAMED_FIRST)).file(LATER);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "10", "{}", ran.stderr);
    assert!(
        ran.stderr.contains(
            "after settings/V44__rename.sql, the foreign key child(parent_id) refers to table \
             parent_old"
        ),
        "{}",
        ran.stderr
    );
    assert!(!device.main().exists());
    // A later file fixes it: what counts is the schema that results.
    let mended =
        "ALTER TABLE child RENAME TO c; CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id \
         INTEGER NOT NULL REFERENCES parent (id));
        INSERT INTO child SELECT id, parent_id FROM c; DROP TABLE c;";
    let device = device.file(("V46__mended.sql", mended));
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    assert_eq!(
        oracle::content(&device.main()).ok(),
        oracle::fresh(&device.firmware_folder(), "settings")
    );
}

#[test]
fn foreign_keys_that_never_fitted_hide_no_other() {
    let orphans = ("V43__orphans.sql", "DELETE FROM parent WHERE id IN (2, 4, 7);\n");
    for mode in [Mode::Delete, Mode::Wal] {
        let device = TestDevice::written(40, mode, Grouped::No)
            .after(|device| do_sql(device, OF_THE_APPLICATION))
            .file(orphans);
        refused(
            &device,
            expect![[r#"
            settings: foreign keys are violated after migrating: branch rowid 1 names no row of parent (while: verify); the database is whole at version 40
              branch rowid 1 names no row of parent
              child rowid 2 names no row of parent
              child rowid 4 names no row of parent
              child rowid 7 names no row of parent
        "#]],
        );
    }
    // In the very table whose other foreign key never fitted.
    let device = TestDevice::at(40)
        .after(|device| do_sql(device, OF_THE_APPLICATION))
        .file(("V43__orphan.sql", "UPDATE branch SET parent = 9999;\n"));
    refused(
        &device,
        expect![[r#"
        settings: foreign keys are violated after migrating: branch rowid 1 names no row of parent (while: verify); the database is whole at version 40
          branch rowid 1 names no row of parent
    "#]],
    );
}

#[test]
fn what_never_worked_is_a_note_and_no_refusal() {
    let device = TestDevice::at(40)
        .after(|device| do_sql(device, OF_THE_APPLICATION))
        .file(HARMLESS)
        .file(COMPACT);
    noted(
        &device,
        &[
            "the foreign key branch(repo) refers to repo(name), which is neither the primary key \
             nor unique there; no migration of this run has caused it",
            "view forgotten does not compile: no such table: main.gone; no migration of this run \
             has caused it",
        ],
    );
}

#[test]
fn a_view_whose_column_is_gone_is_refused() {
    let rebuilt = "CREATE TABLE c (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent \
                   (id), amount ANY, changes INTEGER);
        INSERT INTO c SELECT id, parent_id, amount, changes FROM child;
        DROP TABLE child;
        PRAGMA legacy_alter_table = ON;
        ALTER TABLE c RENAME TO child;
        PRAGMA legacy_alter_table = OFF;";
    let dropped = "DROP TABLE child;\nCREATE TABLE child (id INTEGER PRIMARY KEY, parent_id \
                   INTEGER REFERENCES parent (id));\n";
    for file in [rebuilt, dropped] {
        refused(
            &TestDevice::at(40).file(HARMLESS).file(("V44__drop.sql", file)).file(LATER),
            expect![[r#"
                settings: after settings/V44__drop.sql, view family does not compile: no such column: c.label (while: verify); the database is whole at version 40
            "#]],
        );
    }
}

#[test]
fn a_trigger_whose_table_is_gone_is_refused() {
    let log = "CREATE TABLE log (what);\nCREATE TRIGGER logged AFTER INSERT ON child BEGIN INSERT \
               INTO log VALUES (NEW.id); END;\n";
    let gone = ("V44__gone.sql", "DROP TABLE log;\n");
    for file in
        [gone, ("V44__gone.sql", "-- bootmigrate: no-transaction\nDROP TABLE log;\nVACUUM;\n")]
    {
        refused(
            &TestDevice::at(40).file(("V43__log.sql", log)).file(file).file(LATER),
            expect![[r#"
                settings: after settings/V44__gone.sql, trigger logged does not compile: no such table: main.log (while: verify); the database is whole at version 40
            "#]],
        );
    }
}

#[test]
fn all_that_is_broken_is_listed() {
    let file = (
        "V43__much.sql",
        "CREATE VIEW one AS SELECT nowhere FROM parent;\nCREATE VIEW two AS SELECT nowhere FROM \
         one;\nCREATE TABLE three (x REFERENCES nobody);\n",
    );
    refused(
        &TestDevice::at(40).file(file),
        expect![[r#"
        settings: after settings/V43__much.sql, the foreign key three(x) refers to table nobody, which does not exist (while: verify); the database is whole at version 40
          the foreign key three(x) refers to table nobody, which does not exist
          view one does not compile: no such column: nowhere
          view two does not compile: no such column: nowhere
    "#]],
    );
}

#[test]
fn where_rows_are_needed_to_run_them_again_all_pending_are_named() {
    // On a schema without rows the first file divides by nothing.
    let needs_rows = (
        "V43__needs_rows.sql",
        "INSERT INTO child (id, parent_id) SELECT 5000, max(id) FROM parent;\n",
    );
    refused(
        &TestDevice::at(40)
            .file(needs_rows)
            .file(("V44__drop.sql", "CREATE VIEW bad AS SELECT nowhere FROM parent;\n")),
        expect![[r#"
            settings: after settings/V43__needs_rows.sql to settings/V44__drop.sql, view bad does not compile: no such column: nowhere (while: verify); the database is whole at version 40
        "#]],
    );
}

#[test]
fn a_name_in_double_quotes_that_became_a_text_is_refused() {
    let view = "CREATE VIEW labels AS SELECT \"label\" FROM child;";
    let file = "DROP VIEW family;\nDROP TABLE child;\nCREATE TABLE child (id INTEGER PRIMARY KEY, \
                parent_id INTEGER REFERENCES parent (id));\n";
    refused(
        &TestDevice::at(40).after(|device| do_sql(device, view)).file(("V43__drop.sql", file)),
        expect![[r#"
            settings: after settings/V43__drop.sql, view labels reads a name in double quotes as a text now: no such column: "label" - should this be a string literal in single-quotes? (while: verify); the database is whole at version 40
        "#]],
    );
    // A rename rewrites the view's text.
    let view = "CREATE VIEW labels AS SELECT \"label\", parent_id FROM child;";
    let file = format!(
        "ALTER TABLE child RENAME COLUMN parent_id TO elder;\n{}",
        file.replace("parent_id", "elder")
    );
    refused(
        &TestDevice::at(40).after(|device| do_sql(device, view)).file(("V43__drop.sql", &file)),
        expect![[r#"
            settings: after settings/V43__drop.sql, view labels reads a name in double quotes as a text now: no such column: "label" - should this be a string literal in single-quotes? (while: verify); the database is whole at version 40
        "#]],
    );
}

#[test]
fn what_only_the_application_can_compile_is_a_note() {
    let file = (
        "V43__signal.sql",
        "CREATE VIEW strength AS SELECT signal_strength(reading) FROM parent;\n",
    );
    noted(
        &TestDevice::at(40).file(file),
        &["view strength cannot be checked here: no such function: signal_strength"],
    );
}

/// The released schema has it itself: refinery took it.
const MISMATCH: (&str, &str) = (
    "V10__base.sql",
    "CREATE TABLE repo (name TEXT, note TEXT);\nCREATE TABLE branch (id INTEGER PRIMARY KEY, repo \
     TEXT REFERENCES repo (name));
     CREATE TABLE leaf (branch INTEGER REFERENCES branch (id));\nINSERT INTO leaf VALUES \
     (1);\nCREATE VIEW bad AS SELECT absent FROM repo;\n",
);

fn released(keys: &str) -> TestDevice {
    let device = TestDevice::empty(10)
        .without("V10__parents.sql")
        .file(MISMATCH)
        .file(("V20__more.sql", "CREATE TABLE more (x);\n"));
    if keys.is_empty() {
        device
    } else {
        device.key(keys)
    }
}

#[test]
fn a_released_schema_that_never_fitted_starts_new_devices() {
    let device = released("baseline_version = 10");
    let ran = device.run(&["run"]);
    expect![[r#"
        settings: created at version 20. [BM-0 settings 0>20]
          note: the foreign key branch(repo) refers to repo(name), which is neither the primary key nor unique there; no migration of this run has caused it
          note: view bad does not compile: no such column: absent; no migration of this run has caused it
    "#]].assert_eq(&tidy(&device, &ran.stderr));
    assert_eq!(ran.exit, "0");
    assert_eq!(
        oracle::content(&device.main()).ok(),
        oracle::fresh(&device.firmware_folder(), "settings")
    );
    // What comes after it is no older than the rule.
    let device =
        device.file(("V30__worse.sql", "CREATE TABLE worse (x REFERENCES repo (note));\n"));
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "10", "{}", ran.stderr);
    assert!(
        ran.stderr.contains(
            "after settings/V30__worse.sql, the foreign key worse(x) refers to repo(note)"
        ),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_same_schema_of_today_is_refused() {
    let device = released("");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "10", "{}", ran.stderr);
    assert!(
        ran.stderr.contains(
            "after settings/V10__base.sql, the foreign key branch(repo) refers to repo(name)"
        ),
        "{}",
        ran.stderr
    );
    assert!(!device.main().exists());
}

#[test]
fn a_way_back_that_leaves_a_trigger_on_nothing_is_refused() {
    let log = (
        "V43__log.sql",
        "CREATE TABLE log (what);\nCREATE TRIGGER logged AFTER INSERT ON child BEGIN INSERT INTO \
         log VALUES (NEW.id); END;\n",
    );
    let down = ("V43__log.down.sql", "DROP TABLE log;\n");
    let mut device = TestDevice::at(40).file(log).file(down);
    assert_eq!(device.run(&["run"]).exit, "0");
    device.databases[0].version = 43;
    let rows = oracle::content(&device.main());
    let device = device.older(40).key("on_newer = [\"downgrade\"]");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "12", "{}", ran.stderr);
    assert!(
        ran.stderr.contains(
            "the stored down SQL does not lead to this firmware's schema: trigger logged is still \
             there"
        ),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::content(&device.main()), rows);
}

#[test]
fn a_repair_is_not_stopped_by_what_never_worked() {
    // Its own version's files made a view that never worked, before anybody looked.
    let bad = (
        "V30__look.sql",
        "CREATE INDEX child_parent ON child (parent_id);\nCREATE VIEW family AS SELECT absent FROM \
         parent;\n",
    );
    let device = TestDevice::empty(20).file(bad).key("baseline_version = 30");
    assert_eq!(device.run(&["run"]).exit, "0");
    let device =
        device.key("baseline_version = 1").key("on_damage = [\"salvage\"]").after(|device| {
            let copy = oracle::Copy::of(&device.main()).unwrap();
            let sql =
                "SELECT pageno FROM dbstat WHERE name = 'child' AND path LIKE '/%' ORDER BY path \
                 DESC LIMIT 1";
            let page: u64 =
                copy.open().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64;
            let file = std::fs::OpenOptions::new().write(true).open(device.main()).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 4096], (page - 1) * 4096)
                .unwrap();
        });
    let device = device.file(LATER);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert!(
        ran.stderr.contains("note: view family does not compile: no such column: absent"),
        "{}",
        ran.stderr
    );
    let content = oracle::content(&device.main()).unwrap();
    assert_eq!(content.rows["parent"], 1000);
    assert!((500..1000).contains(&content.rows["child"]), "{:?}", content.rows);
}

#[test]
fn a_schema_that_an_applications_sqlite_cannot_read_is_refused() {
    let view = (
        "V43__list.sql",
        "CREATE VIEW list AS SELECT group_concat(name, ',' ORDER BY id) AS names FROM parent;\n",
    );
    let device = TestDevice::at(40).file(view).file(LATER);
    // The image says it: its build refuses the file.
    let device = device.key("sqlite_min = \"3.40\"");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "2", "{}", ran.stderr);
    assert!(
        ran.stderr.contains(
            "settings/V43__list.sql:1:51: the view `list` needs SQLite 3.44 (ORDER BY inside an \
             aggregate function)"
        ),
        "{}",
        ran.stderr
    );
    // The device says it, of an image that does not.
    let device = device.key("sqlite_min = \"3.44\"").after(|device| {
        std::fs::create_dir_all(device.root().join("etc")).unwrap();
        std::fs::write(
            device.root().join("etc/bootmigrate.toml"),
            "[databases.settings]\nsqlite_min = \"3.40\"\n",
        )
        .unwrap();
    });
    refused(
        &device,
        expect![[r#"
            settings: after settings/V43__list.sql, view list needs SQLite 3.44 (ORDER BY inside an aggregate function), and sqlite_min is 3.40 (while: verify); the database is whole at version 40
        "#]],
    );
    // What the application has made so, it can read.
    let device = TestDevice::at(40)
        .after(|device| do_sql(device, view.1))
        .file(LATER)
        .key("sqlite_min = \"3.40\"");
    noted(&device, &[]);
    // Its text names a column, which is renamed.
    let device = TestDevice::at(40)
        .after(|device| do_sql(device, view.1))
        .file(("V43__title.sql", "ALTER TABLE parent RENAME COLUMN name TO title;\n"))
        .key("sqlite_min = \"3.40\"");
    noted(&device, &[]);
}

/// A trigger of another table writes into what is a view now.
#[test]
fn a_trigger_that_writes_into_a_view_is_noticed() {
    for sql in [
        "CREATE TABLE entry (x); CREATE VIEW journal AS SELECT x FROM entry;\n",
        "CREATE TABLE entry (x); CREATE VIEW journal AS SELECT x FROM entry;\nCREATE TRIGGER own \
         INSTEAD OF DELETE ON journal BEGIN DELETE FROM entry; END;\n",
    ] {
        let text = format!("DROP TABLE journal;\n{sql}");
        let device = TestDevice::at(40)
            .after(|device| {
                let sql = "CREATE TABLE journal (x); CREATE TRIGGER kept AFTER DELETE ON child \
                           BEGIN INSERT INTO journal VALUES (old.id); END";
                do_sql(device, sql);
            })
            .file(("V43__journal.sql", &text));
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "10", "{}", ran.stderr);
        assert!(
            ran.stderr.contains("cannot modify journal because it is a view"),
            "{}",
            ran.stderr
        );
    }
}
