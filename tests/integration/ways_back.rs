//! Owns the tests of down files that do not undo their migration, and of those that do in other
//! words.
//! Promises: what a way back leaves behind is refused with its name, the newer file stays whole,
//! and the newer firmware starts on it again.
//! Never compares a schema by the program's own eyes: SQLite says what is there.

use crate::device::TestDevice;
use crate::oracle;
use rusqlite::Connection;

/// A table with one constraint of each kind, and an object of each kind on it.
const UNIT: &str = "CREATE TABLE unit (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL DEFAULT 'none' CHECK (length(name) < 50),
    kind TEXT COLLATE NOCASE,
    parent_id INTEGER REFERENCES parent (id) ON DELETE CASCADE,
    size INTEGER,
    twice INTEGER GENERATED ALWAYS AS (size * 2) VIRTUAL,
    UNIQUE (name, kind)
);
CREATE INDEX unit_kind ON unit (kind DESC) WHERE size > 0;
CREATE VIEW units AS SELECT name, kind FROM unit;
CREATE TRIGGER unit_size AFTER INSERT ON unit BEGIN UPDATE unit SET size = 0 WHERE size IS NULL \
                    AND id = new.id; END;
CREATE TRIGGER unit_gone AFTER DELETE ON unit BEGIN INSERT INTO gone VALUES (old.name, old.kind); \
                    END;
INSERT INTO unit (id, name, kind, parent_id, size) VALUES (1, 'one', 'a', 1, 5), (2, 'two', 'b', \
                    2, 7);
CREATE TABLE gone (name TEXT, kind TEXT);
";

/// The firmware that made `unit` has run; a newer one then brings V44 with this way back, and its
/// application has written.
#[track_caller]
fn newer(up: &str, down: &str) -> TestDevice {
    let device = TestDevice::at(41).key("on_newer = [\"downgrade\"]").file(("V43__unit.sql", UNIT));
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    Connection::open(device.main())
        .unwrap()
        .execute("UPDATE unit SET size = 9 WHERE id = 2", [])
        .unwrap();
    let device = device.file(("V44__step.sql", up)).file(("V44__step.down.sql", down));
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "the newer firmware: {}", ran.stderr);
    Connection::open(device.main())
        .unwrap()
        .execute("UPDATE parent SET reading = -7 WHERE id = 3", [])
        .unwrap();
    device
}

fn older(device: TestDevice) -> TestDevice {
    device.without("V44__step.sql").without("V44__step.down.sql")
}

/// The older firmware refuses, by name; nothing is lost, and the newer one starts as if nothing had
/// been.
#[track_caller]
fn refused(up: &str, down: &str, difference: &str) {
    let device = newer(up, down);
    let written = oracle::content(&device.main()).unwrap();
    let by_hand = device.run(&["rollback", "--db", "settings", "--to", "43"]);
    assert!(by_hand.stderr.contains(difference), "rollback of {down}: {}", by_hand.stderr);
    let device = older(device);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "12", "{down}: {}", ran.stderr);
    assert!(ran.stderr.contains(difference), "{down}: {}", ran.stderr);
    assert_eq!(oracle::content(&device.main()).unwrap(), written, "{down}");
    let device = device.file(("V44__step.sql", up)).file(("V44__step.down.sql", down));
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "the newer firmware again, {down}: {}", ran.stderr);
    assert_eq!(oracle::content(&device.main()).unwrap(), written, "{down}");
}

/// The older firmware goes back, and the newer one comes again: twice.
#[track_caller]
fn accepted(up: &str, down: &str) -> String {
    let mut device = newer(up, down);
    let mut said = String::new();
    for _ in 0..2 {
        device = older(device);
        let ran = device.run(&["run"]);
        assert!(["0", "11"].contains(&ran.exit.as_str()), "{down}: {}", ran.stderr);
        assert_eq!(sizes(&device), [5, 9], "{down}");
        said = ran.stderr;
        device = device.file(("V44__step.sql", up)).file(("V44__step.down.sql", down));
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "forward again over {up}: {}", ran.stderr);
    }
    said
}

fn sizes(device: &TestDevice) -> Vec<i64> {
    let connection = Connection::open(device.main()).unwrap();
    let version: i64 = connection
        .query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 43);
    let mut statement = connection.prepare("SELECT size FROM unit ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// A rebuild of `unit` with one piece of its text in other words; the views and triggers on it are
/// made again.
fn rebuilt(from: &str, to: &str) -> String {
    let (table, objects) = UNIT.split_once(";\n").unwrap();
    assert!(table.contains(from), "{from}");
    let table = table.replace(from, to).replace("TABLE unit", "TABLE unit_new");
    let objects = objects.split_once("INSERT INTO unit (").unwrap().0;
    format!(
        "DROP VIEW units;\n{table};\nINSERT INTO unit_new (id, name, kind, parent_id, size) SELECT \
         id, name, kind, parent_id, size FROM unit;\nDROP TABLE unit;\nALTER TABLE unit_new RENAME \
         TO unit;\n{objects}"
    )
}

#[test]
fn an_object_that_is_left_behind_is_refused() {
    for (up, difference) in [
        ("CREATE TABLE b (y);", "table b is still there"),
        ("CREATE VIEW b AS SELECT id FROM unit;", "view b is still there"),
        ("CREATE INDEX b ON unit (size);", "index b is still there"),
        ("CREATE TRIGGER b AFTER DELETE ON unit BEGIN SELECT 1; END;", "trigger b is still there"),
        ("CREATE TABLE b (y);\nALTER TABLE b RENAME TO c;", "table c is still there"),
        ("ALTER TABLE unit ADD COLUMN extra;", "column unit.extra is still there"),
    ] {
        refused(up, "SELECT 1;", difference);
    }
}

#[test]
fn an_object_that_is_not_put_back_is_refused() {
    for (up, difference) in [
        ("DROP INDEX unit_kind;", "index unit_kind is missing"),
        ("DROP VIEW units;", "view units is missing"),
        ("DROP TRIGGER unit_size;", "trigger unit_size is missing"),
        ("ALTER TABLE unit DROP COLUMN twice;", "column unit.twice is missing"),
    ] {
        refused(up, "SELECT 1;", difference);
    }
    let other = "DROP INDEX unit_kind;\nCREATE INDEX unit_kind ON unit (kind) WHERE size > 0;";
    refused("DROP INDEX unit_kind;", other.split_once('\n').unwrap().1, "index unit_kind has ");
    refused(other, "SELECT 1;", "index unit_kind has ");
}

#[test]
fn a_constraint_that_is_left_behind_is_refused() {
    for (from, to, difference) in [
        (
            "size INTEGER,",
            "size INTEGER NOT NULL,",
            "column unit.size has `not null` and should not have it",
        ),
        (
            "size INTEGER,",
            "size INTEGER CHECK (size < 100),",
            "CHECK (size < 100) of table unit is still there",
        ),
        ("size INTEGER,", "size INTEGER UNIQUE,", "UNIQUE (size) of table unit is still there"),
        ("size INTEGER,", "size TEXT,", "column unit.size has `text` where `integer` should be"),
        (
            "size INTEGER,",
            "size INTEGER DEFAULT 7,",
            "column unit.size has `default 7` and should not have it",
        ),
        (
            "size INTEGER,",
            "size INTEGER REFERENCES parent (id),",
            "reference (size) to parent (id) of table unit is still there",
        ),
        (
            "ON DELETE CASCADE",
            "ON DELETE SET NULL",
            "reference (parent_id) to parent (id) of table unit has ",
        ),
        (" COLLATE NOCASE", "", "column unit.kind lacks `collate nocase`"),
        ("size * 2", "size * 3", "column unit.twice has "),
        ("PRIMARY KEY", "PRIMARY KEY AUTOINCREMENT", "AUTOINCREMENT of table unit is still there"),
        (
            "UNIQUE (name, kind)\n)",
            "UNIQUE (name, kind)\n) STRICT",
            "STRICT of table unit is still there",
        ),
        (" CHECK (length(name) < 50)", "", "CHECK (length (name) < 50) of table unit is missing"),
        (
            "UNIQUE (name, kind)",
            "UNIQUE (name, kind) ON CONFLICT REPLACE",
            "ON CONFLICT of UNIQUE (name, kind) of table unit is still there",
        ),
    ] {
        refused(&rebuilt(from, to), "SELECT 1;", difference);
    }
}

/// `AUTO` is not the default `auto`, though the column takes them for equal.
#[test]
fn a_value_that_differs_from_the_default_by_its_letters_is_no_default() {
    let device = newer(
        "ALTER TABLE unit ADD COLUMN mode TEXT COLLATE NOCASE DEFAULT 'auto';",
        "ALTER TABLE unit DROP COLUMN mode;",
    );
    Connection::open(device.main()).unwrap().execute("UPDATE unit SET mode = 'AUTO'", []).unwrap();
    let device = older(device);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert!(ran.stderr.contains("column unit.mode (2 values)"), "{}", ran.stderr);
    assert_eq!(sizes(&device), [5, 9]);
}

#[test]
fn a_way_back_in_other_words_is_no_difference() {
    let hidden = rebuilt("size INTEGER,", "size INTEGER NOT NULL,");
    // The same table, its constraints elsewhere, its names quoted, its letters otherwise.
    let table = "create table \"Unit_new\" (\"id\" integer primary key not null, [name] TEXT \
                 DEFAULT ('none') NOT NULL, `kind` text collate nocase /* sorted */,
        parent_id integer, size integer, twice integer as (SIZE*2), constraint one unique (name, \
                 kind), check (length(name)<50),
        foreign key (parent_id) references parent on update no action on delete cascade)";
    let (before, after) = hidden.split_once("INSERT INTO unit_new").unwrap();
    let back = format!(
        "{}{table};\nINSERT INTO unit_new{after}",
        before.split_once('\n').unwrap().0.to_owned() + "\n"
    );
    accepted(&hidden, &back);
    accepted("ALTER TABLE unit ADD COLUMN extra;", "ALTER TABLE unit DROP COLUMN extra;");
    accepted("ALTER TABLE unit RENAME TO part;", "ALTER TABLE part RENAME TO unit;");
    accepted(
        "ALTER TABLE unit RENAME COLUMN size TO extent;",
        "ALTER TABLE unit RENAME COLUMN extent TO size;",
    );
    accepted(
        "DROP INDEX unit_kind;",
        "CREATE INDEX IF NOT EXISTS \"unit_kind\" on UNIT(Kind desc) where size>0;",
    );
    accepted(
        "DROP VIEW units;\nCREATE TABLE b (y);",
        "DROP TABLE b; CREATE VIEW units as\n  select name, kind from unit -- all\n;",
    );
}

#[test]
fn columns_in_another_order_are_said_and_refused_where_something_counts_them() {
    let up = "DROP VIEW family; ALTER TABLE child DROP COLUMN label;";
    let down = "ALTER TABLE child ADD COLUMN label TEXT;
        CREATE VIEW family AS SELECT p.name, c.label FROM parent p JOIN child c ON c.parent_id = \
                p.id;";
    let said = accepted(up, down);
    assert!(
        said.contains(
            "table child has its columns in the order id, parent_id, amount, changes, label"
        ),
        "{said}"
    );
    let trigger = UNIT.lines().find(|line| line.contains("unit_gone")).unwrap();
    let up = "DROP TRIGGER unit_gone; ALTER TABLE gone DROP COLUMN name;";
    let down = format!("ALTER TABLE gone ADD COLUMN name TEXT; {trigger}");
    refused(
        up,
        &down,
        "table gone has its columns in the order kind, name, and should have name, kind",
    );
}

#[test]
fn what_the_application_made_is_its_own() {
    let device = newer("ALTER TABLE unit ADD COLUMN extra;", "ALTER TABLE unit DROP COLUMN extra;");
    let own = "CREATE TABLE cache (k); INSERT INTO cache VALUES (1); CREATE INDEX quick ON unit \
               (size);
        CREATE VIEW shown AS SELECT k FROM cache; CREATE TRIGGER noted AFTER DELETE ON unit BEGIN \
               DELETE FROM cache; END;";
    Connection::open(device.main()).unwrap().execute_batch(own).unwrap();
    let device = older(device);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    assert_eq!(sizes(&device), [5, 9]);
    let kept = "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE name IN \
                ('cache', 'quick', 'shown', 'noted') ORDER BY 1)";
    let kept: String =
        Connection::open(device.main()).unwrap().query_row(kept, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "cache noted quick shown");
}
