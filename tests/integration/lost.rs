//! Owns the tests of what a person does with rows that were put aside: list, export, drop, give
//! back.
//! Promises: each row is looked for by plain SQLite, in its table or where it was put aside: never
//! in neither, never in both.
//! Never counts a row as given back that hangs from a parent which is not its own.

use crate::carry_over::rows;
use crate::device::TestDevice;
use crate::oracle::{self, Copy};
use crate::product::UNIQUE_BADGE;
use crate::quarantine::runs;
use crate::strace::{calls, stopped_after};
use rusqlite::Connection;
use serde_json::Value;
use std::fs;

/// Fails where two children have the same amount, as those of the application do.
const UNIQUE_AMOUNT: (&str, &str) =
    ("V41__unique_amount.sql", "CREATE UNIQUE INDEX child_amount ON child (amount);\n");
/// Fails where a parent has two children.
const ONE_CHILD: (&str, &str) =
    ("V42__one_child.sql", "CREATE UNIQUE INDEX child_of_parent ON child (parent_id);\n");

/// As the program makes one, for rows of version 40.
pub fn made_aside(table: &str, columns: &str) -> String {
    let mark = "/* rows of version 40, put aside by bootmigrate */";
    format!("CREATE TABLE \"{table}\"({mark} {columns});")
}

fn now(device: &TestDevice, table: &str) -> Vec<String> {
    let copy = Copy::of(&device.main()).unwrap();
    rows(&copy.open(), table)
}

fn tables(device: &TestDevice) -> Vec<String> {
    let copy = Copy::of(&device.main()).unwrap();
    let connection = copy.open();
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'lost%' ORDER BY name")
        .unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.collect::<rusqlite::Result<_>>().unwrap()
}

fn by_hand(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

/// The children were put aside by a migration that does not work on them.
#[track_caller]
fn with_children_aside() -> (TestDevice, Vec<String>) {
    let device = TestDevice::at(40);
    let children = now(&device, "child");
    let device = device.firmware(40).file(UNIQUE_AMOUNT).key("on_failure = \"purge\"");
    runs(&device, "run", "11");
    assert_eq!(now(&device, "lost_child"), children);
    assert!(children.len() >= 2000);
    (device, children)
}

#[test]
fn what_was_put_aside_is_listed_beside_an_application() {
    let (device, _) = with_children_aside();
    // What an application has made is its own, whatever its name.
    by_hand(&device, "CREATE TABLE lost_luggage(tag INTEGER)");
    let device = device.application(&["sql BEGIN", "sql SELECT count(*) FROM child"]);
    let before = oracle::folder(&device.root());
    let said = runs(&device, "lost list", "0");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "settings: lost_child  2000 rows of child", "{said}");
    assert_eq!(
        lines[1],
        "  because  a constraint or a migration refused them, or their parents were put aside",
        "{said}"
    );
    assert!(
        lines[2].starts_with("  by       quarantine/2: its migration failed: ") && lines.len() == 3,
        "{said}"
    );
    let json: Value =
        serde_json::from_str(&device.run(&["lost", "list", "--json"]).stdout).unwrap();
    let one = &json["databases"][0]["lost"][0];
    assert_eq!(
        (one["table"].as_str(), one["from"].as_str(), one["rows"].as_u64()),
        (Some("lost_child"), Some("child"), Some(2000))
    );
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    let doctor = runs(&device, "doctor", "0");
    assert!(doctor.contains("`bootmigrate lost list` says why"), "{doctor}");
}

/// Of whatever form: its rows are not ours to give to another table, and it is not ours to drop.
#[test]
fn a_table_that_no_migration_made_is_the_applications_own() {
    let device = TestDevice::booted_at(40);
    by_hand(
        &device,
        "CREATE TABLE \"lost_child\"(\"id\", \"parent_id\", \"label\", \"amount\");
         INSERT INTO lost_child SELECT id + 100000, parent_id, label, amount FROM child LIMIT 9;
         CREATE TABLE lost_parent AS SELECT * FROM parent LIMIT 3;",
    );
    let before = oracle::content(&device.main());
    assert_eq!(runs(&device, "lost list", "0"), "settings: no rows were put aside\n");
    for typed in ["lost retry --db settings --yes", "lost retry --db settings"] {
        assert_eq!(runs(&device, typed, "0"), "settings: no rows were put aside.\n");
    }
    let said = runs(&device, "lost drop lost_child --db settings --yes", "2");
    assert!(said.contains("lost_child is no table of rows that were put aside"), "{said}");
    assert_eq!(oracle::content(&device.main()), before);
    let doctor = runs(&device, "doctor", "0");
    assert!(doctor.contains("table lost_child is not from a migration"), "{doctor}");
    assert!(!doctor.contains("`bootmigrate lost list`"), "{doctor}");
    // One that we made and the operator called otherwise is his, too.
    by_hand(
        &device,
        "CREATE TABLE \"keep_child\"(/* rows of version 40, put aside by bootmigrate */ \"id\");
         INSERT INTO keep_child VALUES (7);",
    );
    assert_eq!(runs(&device, "lost list", "0"), "settings: no rows were put aside\n");
    assert_eq!(
        runs(&device, "lost retry --db settings --yes", "0"),
        "settings: no rows were put aside.\n"
    );
    assert_eq!(now(&device, "keep_child"), ["integer:7"]);
    by_hand(&device, "DROP TABLE keep_child");
    // A purge puts its rows aside as it does any table's that no migration makes.
    let own = now(&device, "lost_child");
    let device = device.file(UNIQUE_AMOUNT).key("on_failure = \"purge\"");
    let said = runs(&device, "run", "11");
    assert!(said.contains("9 rows of lost_child (in lost_lost_child)"), "{said}");
    assert_eq!(now(&device, "lost_lost_child"), own);
}

#[test]
fn rows_are_written_to_a_file_and_never_over_one() {
    let (device, _) = with_children_aside();
    let file = device.folder().join("children.jsonl");
    let typed = format!("lost export lost_child {} --db settings", file.display());
    let said = runs(&device, &typed, "0");
    assert!(said.starts_with("settings: 2000 rows of lost_child written to "), "{said}");
    let written = fs::read_to_string(&file).unwrap();
    let copy = Copy::of(&device.main()).unwrap();
    let connection = copy.open();
    let mut statement = connection.prepare("SELECT id, parent_id, label FROM lost_child").unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<String>>(2)?))
    };
    let mut wanted: Vec<_> = statement.query_map([], read).unwrap().map(Result::unwrap).collect();
    let mut found: Vec<_> = written
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|row| {
            (
                row["id"].as_i64().unwrap(),
                row["parent_id"].as_i64().unwrap(),
                row["label"].as_str().map(str::to_owned),
            )
        })
        .collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
    let said = runs(&device, &typed, "2");
    assert!(said.contains("is there already; name another file. [BM-2]"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), written);
    let said = runs(
        &device,
        &format!(
            "lost export lost_child {} --db settings",
            device.state("settings").join("x").display()
        ),
        "2",
    );
    assert!(said.contains("name another file"), "{said}");
}

#[test]
fn what_fits_goes_back_and_the_table_with_it() {
    let (device, children) = with_children_aside();
    let fresh = now(&device, "child");
    // Every row is in the way of another one: nothing but what does not collide goes.
    let said = runs(&device, "lost retry --db settings --yes", "0");
    let (back, aside) = (now(&device, "child"), now(&device, "lost_child"));
    assert!(said.contains(&format!("{} stay: they do not fit.", aside.len())), "{said}");
    assert!(!aside.is_empty());
    let mut all = [back, aside].concat();
    let mut wanted = [fresh, children.clone()].concat();
    all.sort();
    wanted.sort();
    assert_eq!(all, wanted, "a row is in neither or in both");
    // What stood in the way is gone.
    by_hand(
        &device,
        "DROP INDEX child_amount; DELETE FROM child WHERE id IN (SELECT id FROM lost_child)",
    );
    let before = now(&device, "child").len() + now(&device, "lost_child").len();
    let said = runs(&device, "lost retry lost_child --db settings --yes", "0");
    assert!(said.ends_with("went back to child; lost_child is dropped.\n"), "{said}");
    assert_eq!(now(&device, "child").len(), before);
    assert_eq!(tables(&device), Vec::<String>::new());
    assert!(runs(&device, "run", "0").contains("nothing to do"));
    let said = runs(&device, "lost retry --db settings --yes", "0");
    assert_eq!(said, "settings: no rows were put aside.\n");
}

/// Under the fresh database's own parents they would be somebody else's.
#[test]
fn a_child_stays_with_its_parent() {
    let device =
        TestDevice::wal_at(40).firmware(40).file(UNIQUE_BADGE).key("on_failure = \"purge\"");
    runs(&device, "run", "11");
    assert_eq!(tables(&device), ["lost_child", "lost_parent"]);
    let count = |device: &TestDevice| {
        ["parent", "lost_parent", "child", "lost_child"].map(|table| now(device, table).len())
    };
    let before = count(&device);
    by_hand(&device, "DELETE FROM child");
    runs(&device, "lost retry --db settings --yes", "0");
    let after = count(&device);
    assert_eq!(after[0] + after[1], before[0] + before[1]);
    assert_eq!(after[2] + after[3], before[3]);
    assert!(after[1] > 0 && after[3] > 0, "{after:?}");
    let strange = "SELECT count(*) FROM child WHERE parent_id IN (SELECT id FROM lost_parent)";
    let copy = Copy::of(&device.main()).unwrap();
    let connection = copy.open();
    assert_eq!(connection.query_row(strange, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    let stays =
        "SELECT count(*) FROM lost_child WHERE parent_id NOT IN (SELECT id FROM lost_parent) AND \
         parent_id IN (SELECT id FROM parent)";
    assert_eq!(connection.query_row(stays, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

/// A column that the table has no more keeps its row aside, unless it holds nothing.
#[test]
fn a_value_without_a_column_keeps_its_row_aside() {
    // The second is a word of SQL, and is read where its quotes are left out.
    for column in ["colour", "order"] {
        let (device, _) = with_children_aside();
        by_hand(
            &device,
            &format!(
                "DROP INDEX child_amount; DELETE FROM child WHERE id IN (SELECT id FROM \
                 lost_child); ALTER TABLE lost_child ADD COLUMN \"{column}\"; UPDATE lost_child \
                 SET \"{column}\" = 'red' WHERE id % 2 = 0"
            ),
        );
        let red = now(&device, "lost_child").len();
        runs(&device, "lost retry --db settings --yes", "0");
        let left = now(&device, "lost_child");
        assert_eq!(left.len() * 2, red);
        assert!(left.iter().all(|row| row.ends_with("text:'red'")));
        let said = runs(&device, "lost list", "0");
        let because = format!("  because  the table has no more: {column}\n");
        assert!(said.contains(&because), "{said}");
    }
}

#[test]
fn a_table_of_them_is_dropped_and_nothing_else_is() {
    let (device, _) = with_children_aside();
    let (parents, children) = (now(&device, "parent"), now(&device, "child"));
    let said = runs(&device, "lost drop lost_child --db settings --yes", "0");
    assert_eq!(said, "settings: lost_child dropped with 2000 rows.\n");
    assert_eq!(tables(&device), Vec::<String>::new());
    assert_eq!((now(&device, "parent"), now(&device, "child")), (parents, children));
    assert!(runs(&device, "run", "0").contains("nothing to do"));
}

#[test]
fn nothing_is_changed_under_an_application_or_another_schema() {
    let (device, children) = with_children_aside();
    let device = device.key("busy_timeout_s = 0").application(&["sql SELECT count(*) FROM child"]);
    for typed in ["lost retry --db settings --yes", "lost drop lost_child --db settings --yes"] {
        let said = runs(&device, typed, "13");
        assert!(said.contains("the database is open in application"), "{said}");
    }
    let device = device.killed().file(ONE_CHILD);
    for typed in ["lost retry --db settings --yes", "lost drop lost_child --db settings --yes"] {
        let said = runs(&device, typed, "3");
        assert!(said.contains("`bootmigrate run` comes first"), "{said}");
    }
    assert_eq!(now(&device, "lost_child"), children);
}

#[test]
fn nobody_else_works_on_it_while_rows_go_back() {
    let (device, _) = with_children_aside();
    by_hand(
        &device,
        "DROP INDEX child_amount; DELETE FROM child WHERE id IN (SELECT id FROM lost_child)",
    );
    let device = device.key("busy_timeout_s = 0");
    let copy = device.folder().join("before.db");
    Connection::open(device.main())
        .unwrap()
        .execute("VACUUM INTO ?1", [copy.to_string_lossy()])
        .unwrap();
    let retry = ["lost", "retry", "--db", "settings", "--yes"];
    let (found, ran) = calls(&device, &retry);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let main = format!("<{}>", device.main().display());
    let write = found.iter().find(|call| call.name == "pwrite64" && call.line.contains(&main));
    fs::copy(&copy, device.main()).unwrap();
    let mut said = None;
    stopped_after(&device, &retry, write.unwrap(), |_| {
        said = Some(device.run(&["snapshot", "create", "--db", "settings"]));
    });
    let said = said.unwrap();
    assert_eq!(said.exit, "13", "{}", said.stderr);
    assert!(said.stderr.contains("another bootmigrate works on it"), "{}", said.stderr);
}

/// A second purge keeps what the first one put aside, and never puts rows of another time into the
/// same table.
#[test]
fn a_second_purge_adds_to_them() {
    let (device, first) = with_children_aside();
    by_hand(
        &device,
        "INSERT INTO child(id, parent_id, label, amount) SELECT id + 500000, parent_id, label, \
         amount + 0.001 FROM child WHERE id < 100",
    );
    let second = now(&device, "child");
    let device = device.file(ONE_CHILD);
    runs(&device, "run", "11");
    assert_eq!(tables(&device), ["lost_child", "lost_child_2"]);
    assert_eq!(now(&device, "lost_child"), first);
    assert_eq!(now(&device, "lost_child_2"), second);
    let said = runs(&device, "lost list", "0");
    assert!(said.contains("settings: lost_child  2000 rows of child\n"), "{said}");
    assert!(
        said.contains(&format!("settings: lost_child_2  {} rows of child\n", second.len())),
        "{said}"
    );
    runs(&device, "lost drop lost_child --db settings --yes", "0");
    assert_eq!(now(&device, "lost_child_2"), second);
}

/// A later migration may have given its columns another meaning, and no row tells of which time it
/// is.
#[test]
fn rows_of_a_table_that_was_changed_go_back_by_a_word_alone() {
    let (device, children) = with_children_aside();
    let said = runs(&device, "lost retry --db settings", "0");
    assert!(
        said.contains("settings: lost_child stays: ")
            && said.contains("V41__unique_amount.sql may have changed child"),
        "{said}"
    );
    assert!(
        said.contains("`lost retry lost_child --db settings --yes` gives them back all the same."),
        "{said}"
    );
    assert_eq!(now(&device, "lost_child"), children);
}

/// SQLite says it at the end, of all rows together.
#[test]
fn an_orphan_of_a_deferred_key_stays_alone() {
    let device = TestDevice::booted_at(40);
    by_hand(
        &device,
        "CREATE TABLE shelf (id INTEGER PRIMARY KEY); INSERT INTO shelf VALUES (1);
         CREATE TABLE book (id INTEGER PRIMARY KEY, shelf REFERENCES shelf DEFERRABLE INITIALLY \
         DEFERRED);",
    );
    by_hand(&device, &made_aside("lost_book", "id, shelf"));
    by_hand(&device, &made_aside("lost_shelf", "id"));
    by_hand(&device, "INSERT INTO lost_book VALUES (1, NULL), (2, 7), (3, 1)");
    let said = runs(&device, "lost retry --db settings", "0");
    assert!(said.contains("2 rows of lost_book went back to book, 1 stay"), "{said}");
    assert_eq!(now(&device, "lost_book").len(), 1);
    // Nothing was in it, and nobody has said that it may go.
    assert_eq!(tables(&device), ["lost_book", "lost_shelf"]);
}

/// Killed at each write-like call: under its name the file is whole, or there is none, and what was
/// begun is no hindrance.
#[test]
fn an_export_that_is_killed_leaves_no_part_under_its_name() {
    let (device, _) = with_children_aside();
    let file = device.folder().join("children.jsonl");
    let typed = format!("lost export lost_child {} --db settings", file.display());
    let arguments: Vec<&str> = typed.split(' ').collect();
    let (points, ran) = crate::strace::calls(&device, &arguments);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let whole = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert!(
        points.len() >= 4 && whole.len() > 100_000,
        "{} calls, {} bytes",
        points.len(),
        whole.len()
    );
    for call in &points {
        let inject = format!("{}:signal=SIGKILL:when={}", call.name, call.nth);
        let words = crate::strace::words(
            &device,
            &arguments,
            &device.folder().join("kill.log"),
            Some(inject),
        );
        assert_eq!(crate::program::finish(device.command(&words)).exit, "signal 9", "{call:?}");
        if let Ok(bytes) = fs::read(&file) {
            assert!(bytes == whole, "{call:?}: {} of {} bytes", bytes.len(), whole.len());
            fs::remove_file(&file).unwrap();
        }
    }
    runs(&device, &typed, "0");
    assert!(fs::read(&file).unwrap() == whole);
}
