//! Owns the tests of virtual tables: a full-text index that does not fit its text, R*Trees, and
//! what becomes of both in a new database.
//! Promises: text, boxes and search are asked of plain SQLite; other rows that were written since a
//! snapshot are there.
//! Never takes an index for healthy because it is there: `integrity-check` says so.

use crate::carry_over::rows;
use crate::device::TestDevice;
use crate::oracle::Copy;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::FileExt;

/// One of each: text of its own, text of another table, no text, boxes, and a view of an index.
const VIRTUAL: (&str, &str) = (
    "V41__search.sql",
    "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT);
CREATE VIRTUAL TABLE own USING fts5(body, extra UNINDEXED);
CREATE VIRTUAL TABLE own4 USING fts4(title, body);
CREATE VIRTUAL TABLE own3 USING fts3(body, tokenize=porter);
CREATE VIRTUAL TABLE ext USING fts5(body, content = 'note', content_rowid = 'id');
CREATE VIRTUAL TABLE ext4 USING fts4(content=\"note\", body);
CREATE VIRTUAL TABLE bare USING fts5(body, content = '');
CREATE VIRTUAL TABLE box USING rtree(id, x0, x1, +label TEXT);
CREATE VIRTUAL TABLE words USING fts5vocab(own, 'row');
CREATE TRIGGER note_in AFTER INSERT ON note BEGIN INSERT INTO ext(rowid, body) VALUES (new.id, \
     new.body); END;
CREATE TRIGGER note_out AFTER DELETE ON note BEGIN INSERT INTO ext(ext, rowid, body) VALUES \
     ('delete', old.id, old.body); END;
",
);

const CONTENT: &str = "
INSERT INTO note VALUES (1, 'hello situation'), (7, 'good bye');
INSERT INTO ext4(ext4) VALUES ('rebuild');
INSERT INTO own(rowid, body, extra) VALUES (3, 'hello', 'a'), (9, 'farewell', 'b');
INSERT INTO own4(docid, title, body) VALUES (4, 'hello', 'x'), (5, 'bye', 'y');
INSERT INTO own3(docid, body) VALUES (6, 'running');
INSERT INTO bare(rowid, body) VALUES (1, 'secret');
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO box \
                       SELECT i, i, i + 0.5, 'box ' || i FROM n;
";

const NEXT: (&str, &str) = ("V42__next.sql", "CREATE TABLE more (id INTEGER PRIMARY KEY);\n");
/// Fails where the application has written children, and on nothing else.
const FAILS: (&str, &str) = (
    "V42__fails.sql",
    "CREATE TABLE z (a CHECK (a <= 1000)); INSERT INTO z SELECT count(*) FROM child;\n",
);

fn situation() -> TestDevice {
    let device = TestDevice::at(40).firmware(40).file(VIRTUAL);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    applies(&device, CONTENT);
    device
}

fn applies(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

fn open(device: &TestDevice) -> (Copy, Connection) {
    let copy = Copy::of(&device.main()).unwrap();
    let connection = copy.open();
    (copy, connection)
}

fn now(device: &TestDevice, table: &str) -> Vec<String> {
    rows(&open(device).1, table)
}

fn text(device: &TestDevice, sql: &str) -> String {
    let (_copy, connection) = open(device);
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(|row| row.unwrap_or_else(|error| format!("<{error}>"))).collect::<Vec<_>>().join(" ")
}

fn version(device: &TestDevice) -> String {
    text(device, "SELECT CAST(max(version) AS TEXT) FROM refinery_schema_history")
}

/// Text and boxes as CONTENT has written them, each found by search.
#[track_caller]
fn searched(device: &TestDevice, why: &str) {
    for (sql, found) in [
        ("SELECT rowid || extra FROM own WHERE own MATCH 'hello'", "3a"),
        ("SELECT rowid || extra FROM own WHERE own MATCH 'farewell'", "9b"),
        ("SELECT docid || body FROM own4 WHERE own4 MATCH 'title:bye'", "5y"),
        ("SELECT docid || body FROM own3 WHERE own3 MATCH 'run'", "6running"),
        ("SELECT rowid || body FROM ext WHERE ext MATCH 'hello'", "1hello situation"),
        ("SELECT docid || body FROM ext4 WHERE ext4 MATCH 'bye'", "7good bye"),
        (
            "SELECT id || label FROM box WHERE x0 >= 99.9 AND x1 <= 101.6 ORDER BY id",
            "100box 100 101box 101",
        ),
        ("SELECT count(*) || '' FROM box", "500"),
        ("SELECT term FROM words ORDER BY term", "farewell hello"),
    ] {
        assert_eq!(text(device, sql), found, "{why}: {sql}");
    }
    let (_copy, connection) = open(device);
    let whole: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok", "{why}");
    connection
        .execute_batch("DELETE FROM note WHERE id = 7; INSERT INTO note VALUES (8, 'later')")
        .unwrap();
    for index in ["own", "ext", "own4", "own3"] {
        connection
            .execute(&format!("INSERT INTO {index}({index}) VALUES ('integrity-check')"), [])
            .unwrap_or_else(|error| panic!("{why}: {index}: {error}"));
    }
    assert_eq!(
        connection
            .query_row("SELECT count(*) FROM ext WHERE ext MATCH 'later'", [], |row| row
                .get::<_, i64>(0))
            .unwrap(),
        1,
        "{why}"
    );
}

/// No byte of the page is what it was.
fn harm(device: &TestDevice, page: u64) {
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    file.write_all_at(&[0xa5; 4096], (page - 1) * 4096).unwrap();
}

#[track_caller]
fn loss(device: &TestDevice) -> String {
    let report = fs::read_to_string(device.root().join("run/bootmigrate/status.json")).unwrap();
    let report = serde_json::from_str::<serde_json::Value>(&report).unwrap();
    report["databases"][0]["loss"].as_str().unwrap_or("nothing").to_owned()
}

/// One letter of a shadow table's column is another, as after a flipped bit.
const OTHER_COLUMN: &str = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = \
                            replace(sql, 'parentnode', 'parentnodd') WHERE name = 'box_parent'; \
                            PRAGMA writable_schema = OFF";

#[test]
fn an_index_that_does_not_fit_its_text_is_no_damage() {
    // What an application's fault leaves behind, and whether the index can be built again without
    // forgetting a row that it knows.
    let faults = [
        ("DELETE FROM own_docsize WHERE id = 3", "own", true),
        ("UPDATE own_content SET c0 = 'other words' WHERE id = 9", "own", true),
        ("INSERT INTO own_content VALUES (11, 'one more', 'c')", "own", true),
        ("DELETE FROM own_content WHERE id = 3", "own", false),
        ("DELETE FROM own_data WHERE id > 10", "own", true),
        ("DELETE FROM own4_content WHERE docid = 4", "own4", false),
        ("UPDATE own4_content SET c0title = 'other' WHERE docid = 4", "own4", true),
        ("DELETE FROM box_rowid WHERE rowid = 7", "box", false),
        ("DELETE FROM box_parent", "box", false),
        ("DELETE FROM bare_docsize", "bare", false),
        // Every statement on the R*Tree ends with an error, and so does integrity_check.
        ("UPDATE box_node SET data = x'00'", "box", false),
        (OTHER_COLUMN, "box", false),
    ];
    for (fault, name, rebuilt) in faults {
        for kind in ["precious", "rebuildable"] {
            let device = situation().key(&format!("kind = \"{kind}\""));
            assert_eq!(device.run(&["snapshot", "create"]).exit, "0");
            applies(
                &device,
                "UPDATE parent SET reading = 77; INSERT INTO note VALUES (20, 'after the \
                 snapshot')",
            );
            applies(&device, fault);
            let shadows: Vec<Vec<String>> =
                ["own_content", "own4_content", "box_rowid", "note", "child"]
                    .map(|table| now(&device, table))
                    .into();
            let device = device.file(NEXT);
            let ran = device.run(&["run"]);
            let why = format!("{kind}: {fault}: {}", ran.stderr);
            assert_eq!((ran.exit.as_str(), version(&device).as_str()), ("0", "42"), "{why}");
            let after: Vec<Vec<String>> =
                ["own_content", "own4_content", "box_rowid", "note", "child"]
                    .map(|table| now(&device, table))
                    .into();
            assert_eq!(after, shadows, "{why}");
            assert_eq!(
                text(&device, "SELECT count(*) || '' FROM parent WHERE reading = 77"),
                "2000",
                "{why}"
            );
            let said = ran.stderr.contains(&format!(
                "the full-text index {name} did not fit its text and was built again from it"
            ));
            assert_eq!(said, rebuilt, "{why}");
            if name != "bare" {
                assert!(
                    rebuilt
                        || ran.stderr.contains(&format!(
                            "the virtual table {name} does not fit its content"
                        )),
                    "{why}"
                );
            }
        }
    }
}

#[test]
fn a_purge_with_carried_rows_keeps_virtual_tables() {
    let device = situation().file(FAILS).key("on_failure = \"purge\"");
    let ran = device.run(&["run"]);
    assert_eq!((ran.exit.as_str(), version(&device).as_str()), ("11", "42"), "{}", ran.stderr);
    assert_eq!(
        loss(&device),
        "2000 rows of child (in lost_child), the virtual table bare, an index whose text is not in \
         the database (1 row)"
    );
    assert!(
        ran.stderr.contains("the virtual table ext was built again from note"),
        "{}",
        ran.stderr
    );
    searched(&device, "carried");
    assert_eq!(device.run(&["run"]).exit, "0");
}

#[test]
fn rows_of_a_virtual_table_that_a_migration_does_not_work_on_are_put_aside() {
    for (table, sql, lost) in [
        ("own", "INSERT INTO z SELECT count(*) FROM own", "2 rows of own (in lost_own)"),
        ("box", "INSERT INTO z SELECT count(*) FROM box", "500 rows of box (in lost_box)"),
    ] {
        let fails = format!("CREATE TABLE z (a CHECK (a < 1)); {sql};\n");
        let device = situation().file(("V42__fails.sql", &fails)).key("on_failure = \"purge\"");
        let ran = device.run(&["run"]);
        assert_eq!(
            (ran.exit.as_str(), version(&device).as_str()),
            ("11", "42"),
            "{table}: {}",
            ran.stderr
        );
        assert!(loss(&device).contains(lost), "{table}: {}", loss(&device));
        assert_eq!(
            (now(&device, "child").len(), now(&device, "parent").len()),
            (2000, 2000),
            "{table}"
        );
        assert_eq!(
            now(&device, &format!("lost_{table}")).len(),
            if table == "own" { 2 } else { 500 }
        );
    }
}

#[test]
fn named_tables_alone_are_carried_and_the_others_counted() {
    let device = situation()
        .file(FAILS)
        .key("kind = \"rebuildable\"")
        .key("carry_over = [\"note\", \"box\"]");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    let loss = loss(&device);
    for line in [
        "2 rows of own",
        "2 rows of own4",
        "1 row of own3",
        "2000 rows of parent",
        "the virtual table bare",
    ] {
        assert!(loss.contains(line), "{line}: {loss}");
    }
    assert!(!["own_", " box", " note", " ext"].iter().any(|word| loss.contains(word)), "{loss}");
    assert_eq!(
        text(&device, "SELECT rowid || body FROM ext WHERE ext MATCH 'hello'"),
        "1hello situation"
    );
    assert_eq!(text(&device, "SELECT count(*) || '' FROM box"), "500");
}

#[test]
fn a_salvage_keeps_virtual_tables() {
    let device = situation();
    let root = text(
        &device,
        "SELECT CAST(min(pageno) AS TEXT) FROM dbstat WHERE name = 'child' AND path LIKE '/00%'",
    )
    .parse::<u64>()
    .unwrap();
    harm(&device, root);
    let device = device.file(NEXT).key("on_damage = [\"salvage\"]");
    let ran = device.run(&["run"]);
    assert_eq!((ran.exit.as_str(), version(&device).as_str()), ("11", "42"), "{}", ran.stderr);
    assert!(!loss(&device).contains("own"), "{}", loss(&device));
    assert!(
        loss(&device)
            .contains("the virtual table bare, an index whose text is not in the database (1 row)"),
        "{}",
        loss(&device)
    );
    searched(&device, "salvaged");
}

#[test]
fn an_index_whose_own_pages_are_damaged_is_built_again_from_its_text() {
    for (shadow, intact) in [("own_data", true), ("own4_segdir", true), ("box_node", false)] {
        let device = situation();
        let root = text(
            &device,
            &format!("SELECT CAST(rootpage AS TEXT) FROM sqlite_schema WHERE name = '{shadow}'"),
        )
        .parse::<u64>()
        .unwrap();
        harm(&device, root);
        let device = device.file(NEXT).key("on_damage = [\"salvage\"]");
        let ran = device.run(&["run"]);
        assert_eq!(
            (ran.exit.as_str(), version(&device).as_str()),
            ("11", "42"),
            "{shadow}: {}",
            ran.stderr
        );
        let lost = loss(&device);
        assert_eq!(
            lost.contains("500 rows of box that cannot be read"),
            !intact,
            "{shadow}: {lost}"
        );
        if intact {
            searched(&device, shadow);
        }
        assert_eq!(
            (now(&device, "child").len(), now(&device, "note").len()),
            (2000, 2),
            "{shadow}"
        );
    }
}

#[test]
fn what_does_not_fit_is_carried_and_what_an_index_alone_knew_is_said() {
    let device = situation().file(FAILS).key("on_failure = \"purge\"");
    applies(
        &device,
        "DELETE FROM box_rowid WHERE rowid = 7; DELETE FROM own4_content WHERE docid = 5; DELETE \
         FROM own_docsize WHERE id = 3",
    );
    let ran = device.run(&["run"]);
    assert_eq!((ran.exit.as_str(), version(&device).as_str()), ("11", "42"), "{}", ran.stderr);
    assert!(loss(&device).contains("1 row of own4 that its index alone knew"), "{}", loss(&device));
    assert!(!loss(&device).contains("own,") && !loss(&device).contains("box"), "{}", loss(&device));
    assert_eq!(text(&device, "SELECT count(*) || '' FROM box"), "500");
    assert_eq!(text(&device, "SELECT id || ' ' || x0 FROM box WHERE id = 7"), "7 7.0");
    assert_eq!(text(&device, "SELECT rowid || extra FROM own WHERE own MATCH 'hello'"), "3a");
    assert_eq!(text(&device, "SELECT integrity_check FROM pragma_integrity_check"), "ok");
}

#[test]
fn one_node_of_an_rtree_that_cannot_be_read_takes_no_other_with_it() {
    let device = situation();
    // Nodes are rows of a table, each on a page: the root, and those with the boxes.
    let page = text(
        &device,
        "SELECT CAST(max(pageno) AS TEXT) FROM dbstat WHERE name = 'box_node' AND pagetype = \
         'leaf'",
    )
    .parse()
    .unwrap();
    harm(&device, page);
    let device = device.file(NEXT).key("on_damage = [\"salvage\"]");
    let ran = device.run(&["run"]);
    assert_eq!((ran.exit.as_str(), version(&device).as_str()), ("11", "42"), "{}", ran.stderr);
    let kept = now(&device, "box").len();
    assert!((1..500).contains(&kept), "{kept}: {}", loss(&device));
    assert!(
        loss(&device).contains(&format!("{} rows of box that cannot be read", 500 - kept)),
        "{kept}: {}",
        loss(&device)
    );
}

#[test]
fn a_migration_that_needs_an_index_which_does_not_fit_fails_and_nothing_is_replaced() {
    let needs = ("V42__needs.sql", "INSERT INTO own4(own4) VALUES ('integrity-check');\n");
    for kind in ["precious", "rebuildable"] {
        let device = situation().key(&format!("kind = \"{kind}\"")).key("on_failure = \"restore\"");
        applies(&device, "DELETE FROM own4_content WHERE docid = 4");
        let (notes, boxes) = (now(&device, "note"), now(&device, "box"));
        let device = device.file(needs);
        let ran = device.run(&["run"]);
        assert_eq!(
            (ran.exit.as_str(), version(&device).as_str()),
            ("10", "41"),
            "{kind}: {}",
            ran.stderr
        );
        assert!(ran.stderr.contains("V42__needs.sql:1:1"), "{kind}: {}", ran.stderr);
        assert_eq!((now(&device, "note"), now(&device, "box")), (notes, boxes), "{kind}");
        assert_eq!(
            fs::read_dir(device.state("settings").join("quarantine")).map_or(0, Iterator::count),
            0,
            "{kind}: {}",
            ran.stderr
        );
    }
}

#[test]
fn virtual_tables_that_no_migration_makes_go_aside_or_are_said() {
    let made = "CREATE VIRTUAL TABLE mine USING fts5(a, b); INSERT INTO mine VALUES ('x', 'y'), \
                ('z', 'w');
        CREATE VIRTUAL TABLE of_parent USING fts5(name, content = 'parent', content_rowid = 'id');
        CREATE VIRTUAL TABLE place USING rtree(id, x0, x1); INSERT INTO place VALUES (1, 2, 3);
        CREATE TABLE v_rows (id, e); INSERT INTO v_rows VALUES (1, 2); PRAGMA writable_schema = ON;
        INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING \
                vec0(e)');";
    let device =
        situation().after(|device| applies(device, made)).file(FAILS).key("on_failure = \"purge\"");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    let lost = loss(&device);
    for line in [
        "2 rows of mine (in lost_mine)",
        "the virtual table of_parent, an index of parent",
        "1 row of place (in lost_place)",
        "the virtual table v, whose module vec0 is not in this firmware",
    ] {
        assert!(lost.contains(line), "{line}: {lost}");
    }
    assert!(
        !lost.contains("_content")
            && !lost.contains("_data")
            && !lost.contains("_node")
            && !lost.contains("v_rows"),
        "{lost}"
    );
    assert_eq!((now(&device, "lost_mine").len(), now(&device, "lost_place").len()), (2, 1));
    searched(&device, "beside others");
}

#[test]
fn a_way_back_counts_the_rows_of_a_virtual_table() {
    let down = (
        "V41__search.down.sql",
        "DROP TRIGGER note_in; DROP TRIGGER note_out; DROP TABLE words; DROP TABLE own; DROP TABLE \
         own4; DROP TABLE own3; DROP TABLE ext; DROP TABLE ext4; DROP TABLE bare; DROP TABLE box; \
         DROP TABLE note;\n",
    );
    let device = TestDevice::at(40).firmware(40).file(VIRTUAL).file(down);
    assert_eq!(device.run(&["run"]).exit, "0");
    applies(&device, CONTENT);
    let device = device.older(40);
    let ran = device.run(&["run"]);
    assert_eq!((ran.exit.as_str(), version(&device).as_str()), ("11", "40"), "{}", ran.stderr);
    let lost = loss(&device);
    for line in [
        "table own (2 rows)",
        "table own4 (2 rows)",
        "table own3 (1 row)",
        "table bare (1 row)",
        "table box (500 rows)",
        "table note (2 rows)",
    ] {
        assert!(lost.contains(line), "{line}: {lost}");
    }
    assert!(
        !["own_", "ext", "_data", "_node", "words"].iter().any(|word| lost.contains(word)),
        "{lost}"
    );
}
