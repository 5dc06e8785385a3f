//! Owns the tests of a damaged database from which rows are saved: past one page, without a table,
//! out of a WAL.
//! Promises: the test damages a page whose rows it knows; every row that is not on it must be there
//! afterwards, unchanged.
//! Never lets SQLite open the files before the program under test has.

use crate::carry_over::rows;
use crate::device::TestDevice;
use crate::dump::check_op;
use crate::oracle::{self, Copy};
use expect_test::expect;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::FileExt;

fn now(device: &TestDevice, table: &str) -> Vec<String> {
    rows(&Copy::of(&device.main()).unwrap().open(), table)
}

/// A page of a table, by its place in the b-tree: `/000/` is the first leaf, `/` the root.
fn page(device: &TestDevice, table: &str, path: &str) -> u64 {
    let sql = "SELECT pageno FROM dbstat WHERE name = ?1 AND path LIKE ?2 ORDER BY path LIMIT 1";
    let copy = Copy::of(&device.main()).unwrap();
    let page: i64 = copy.open().query_row(sql, (table, path), |row| row.get(0)).unwrap();
    page as u64
}

/// No byte of the page is what it was.
fn harm(device: &TestDevice, page: u64) {
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    file.write_all_at(&[0xa5; 4096], (page - 1) * 4096).unwrap();
}

/// Rows that were and are no more; each that is, was.
fn gone(before: &[String], after: &[String]) -> usize {
    let strange: Vec<&String> =
        after.iter().filter(|row| before.binary_search(row).is_err()).collect();
    assert!(strange.is_empty(), "rows that never were: {strange:?}");
    before.len() - after.len()
}

#[track_caller]
fn report(device: &TestDevice) -> serde_json::Value {
    let report = fs::read_to_string(device.root().join("run/bootmigrate/status.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&report).unwrap()["databases"][0].clone()
}

/// The number that a loss begins with.
fn said(device: &TestDevice) -> usize {
    report(device)["loss"]
        .as_str()
        .unwrap_or("none")
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap_or(0)
}

#[test]
fn rows_on_both_sides_of_a_harmed_page_are_saved() {
    for path in ["/000/", "/003/", "/00a/"] {
        let device = TestDevice::at(40);
        let (parents, children) = (now(&device, "parent"), now(&device, "child"));
        harm(&device, page(&device, "child", path));
        let device = device
            .firmware(40)
            .file(("V41__none.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY, text);\n"));
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "11", "{path}: {}", ran.stderr);
        assert_eq!(now(&device, "parent"), parents, "{path}");
        let lost = gone(&children, &now(&device, "child"));
        assert!((1..200).contains(&lost), "{path}: {lost} rows were on one page");
        // The index on parent_id knows how many there were.
        assert_eq!(said(&device), lost, "{path}: {}", ran.stderr);
        assert_eq!(now(&device, "note").len(), 0, "{path}");
        assert_eq!(device.run(&["run"]).exit, "0", "{path}");
    }
}

/// Their numbers take all nine bytes.
#[test]
fn rows_with_numbers_below_zero_are_saved_under_them() {
    let device = TestDevice::at(40).after(|device| {
        Connection::open(device.main())
            .unwrap()
            .execute_batch("UPDATE child SET id = -id WHERE id % 2 = 0")
            .unwrap();
    });
    let children = now(&device, "child");
    assert!(children.iter().filter(|row| row.contains(":-")).count() >= 1000);
    harm(&device, page(&device, "child", "/003/"));
    let device = device
        .firmware(40)
        .file(("V41__none.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY, text);\n"));
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    let lost = gone(&children, &now(&device, "child"));
    assert!((1..200).contains(&lost), "{lost} rows were on one page");
}

#[test]
fn rows_under_a_harmed_interior_page_are_saved() {
    let device = TestDevice::at(40);
    let (parents, children) = (now(&device, "parent"), now(&device, "child"));
    harm(&device, page(&device, "child", "/"));
    let device = device.firmware(41);
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
        exit:     11
        settings: migrated 40>41 of 41, applied [41], data lost, usable, exit 11
        code:     BM-11 settings 40>41
        backup:   snapshots/v40-2.db OTHER, 2000 parents, 2000 children
        kept:     quarantine/1 the old files, with a reason
        database: OTHER, 2000 parents, 2000 children
        touched:  database, state
        again:    exit 0, quiet, touched nothing
    "#]],
    );
    assert_eq!(now(&device, "parent").len(), parents.len());
    assert_eq!(now(&device, "child"), children);
    assert_eq!(
        oracle::complaints(&device.main(), &device.firmware_folder(), "settings"),
        Vec::<String>::new()
    );
}

/// Notes kept by their key, on some forty pages.
const NOTES: &str = "CREATE TABLE note (topic TEXT, number INTEGER, text TEXT NOT NULL, PRIMARY \
                     KEY (topic, number)) WITHOUT ROWID;
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
INSERT INTO note SELECT 'topic ' || (i % 7), i, 'text number ' || i || ' of this table' FROM n;
";

#[test]
fn rows_kept_by_their_key_are_saved_past_every_gap() {
    let device = TestDevice::empty(10).file(("V11__notes.sql", NOTES));
    assert_eq!(device.run(&["run"]).exit, "0");
    let notes = now(&device, "note");
    for path in ["/004/", "/00b/", "/013/"] {
        harm(&device, page(&device, "note", path));
    }
    let ran = device.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    let lost = gone(&notes, &now(&device, "note"));
    assert!((1..400).contains(&lost), "{lost} rows were on three pages");
}

#[test]
fn deleted_rows_do_not_come_back() {
    let device = TestDevice::at(40).after(|device| {
        let sql = "DELETE FROM child WHERE id BETWEEN 500 AND 1500; DELETE FROM parent WHERE id > \
                   1200 AND id NOT IN (SELECT parent_id FROM child)";
        rusqlite::Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
    });
    let children = now(&device, "child");
    harm(&device, page(&device, "child", "/"));
    let ran = device.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(gone(&children, &now(&device, "child")), 0);
}

#[test]
fn children_of_a_parent_that_cannot_be_read_are_put_aside() {
    let device = TestDevice::at(40);
    let children = now(&device, "child");
    harm(&device, page(&device, "parent", "/001/"));
    let device = device.firmware(41);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    let mut all = now(&device, "child");
    let kept = all.len();
    all.extend(now(&device, "lost_child"));
    all.sort();
    assert_eq!(all, children, "each child is in one of both");
    assert!((1800..2000).contains(&kept), "{kept} children have their parent");
    assert_eq!(said(&device), 2000 - kept, "{}", ran.stderr);
}

#[test]
fn a_snapshot_is_better_than_a_table_without_rows() {
    let device = TestDevice::booted_at(40).firmware(41);
    assert_eq!(device.run(&["run"]).exit, "0");
    let (parents, children) = (now(&device, "parent"), now(&device, "child"));
    harm(&device, page(&device, "child", "/"));
    let device = device.firmware(42);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(report(&device)["outcome"], "restored");
    assert_eq!((now(&device, "parent"), now(&device, "child")), (parents, children));
}

#[test]
fn rows_that_only_a_wal_has_are_saved_too() {
    let lines = [
        "sql PRAGMA wal_autocheckpoint = 0",
        "sql UPDATE parent SET name = name || ' kept'",
        "sql DELETE FROM child WHERE id > 1500",
    ];
    let device = TestDevice::wal_at(40);
    let first = page(&device, "child", "/000/");
    let device = device.application(&lines).killed();
    let (parents, children) = (now(&device, "parent"), now(&device, "child"));
    assert_eq!((parents.len(), children.len()), (2000, 1500));
    harm(&device, first);
    let ran = device.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(report(&device)["outcome"], "salvaged");
    assert_eq!(now(&device, "parent"), parents, "the application's last words");
    let lost = gone(&children, &now(&device, "child"));
    assert!((1..200).contains(&lost), "{lost} rows were on one page");
    let mode: String = Copy::of(&device.main())
        .unwrap()
        .open()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn rows_of_a_page_that_nothing_leads_to_are_put_aside() {
    let device = TestDevice::at(40).after(|device| {
        // A table like another one, of which only the pages are left.
        let connection = rusqlite::Connection::open(device.main()).unwrap();
        let child: String = connection
            .query_row("SELECT sql FROM sqlite_schema WHERE name = 'child'", [], |row| row.get(0))
            .unwrap();
        let gone = child.replacen("child", "gone", 1);
        let fill =
            "INSERT INTO gone SELECT * FROM child WHERE id <= 20; UPDATE gone SET id = id + \
             100000;";
        let forget = "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'gone';";
        connection.execute_batch(&format!("{gone}; {fill} {forget}")).unwrap();
    });
    let children = now(&device, "child");
    let ran = device.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(now(&device, "child"), children, "{}", ran.stderr);
    assert_eq!(now(&device, "lost_pages").len(), 20, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("20 rows of pages that fit several tables or may be free"),
        "{}",
        ran.stderr
    );
}

/// Three pages have changed places: the table begins with one of its leaves, and its root stands
/// where its index begins.
#[test]
fn a_table_s_page_where_an_index_begins_is_no_matter_of_the_index_alone() {
    let table = (
        "V11__log.sql",
        "CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n\
         CREATE INDEX log_text ON log (text);\n",
    );
    for (rows, leaf) in [(500, "/000/"), (100, "/001/"), (500, "/003/")] {
        let device = TestDevice::empty(10).file(table);
        assert_eq!(device.run(&["run"]).exit, "0");
        let fill = format!(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO log SELECT i, printf('%0200d', i) FROM n"
        );
        rusqlite::Connection::open(device.main()).unwrap().execute_batch(&fill).unwrap();
        let log = now(&device, "log");
        let places = [("log", "/"), ("log_text", "/"), ("log", leaf)]
            .map(|(object, path)| page(&device, object, path));
        let bytes = fs::read(device.main()).unwrap();
        let on = |page: u64| bytes[(page as usize - 1) * 4096..][..4096].to_vec();
        let [root, index, leaf] = places;
        for (place, page) in [(root, leaf), (index, root), (leaf, index)] {
            device.put_page(&(place, on(page)));
        }
        let ran = device.run(&["run", "--purge-and-retry"]);
        assert_eq!(now(&device, "log"), log, "{rows}: exit {}: {}", ran.exit, ran.stderr);
    }
}

/// SQLite reads zeros there, and a text that ends in them.
#[test]
fn a_value_of_which_the_end_is_cut_off_is_lost_and_not_another_one() {
    let table = ("V11__log.sql", "CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT);\n");
    for (text, cut_off) in [("printf('%03000d', 7)", 100), ("printf('%06000d', 7)", 3000)] {
        let device = TestDevice::empty(10).file(table);
        assert_eq!(device.run(&["run"]).exit, "0");
        let fill =
            format!("INSERT INTO log VALUES (1, 'short'); INSERT INTO log VALUES (2, {text})");
        rusqlite::Connection::open(device.main()).unwrap().execute_batch(&fill).unwrap();
        let log = now(&device, "log");
        let last = fs::metadata(device.main()).unwrap().len() / 4096;
        let copy = Copy::of(&device.main()).unwrap();
        let sql = "SELECT name FROM dbstat WHERE pageno = ?1";
        let name: String = copy.open().query_row(sql, [last as i64], |row| row.get(0)).unwrap();
        assert_eq!(name, "log", "the page that is cut off");
        let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
        file.set_len(last * 4096 - cut_off).unwrap();
        drop(file);
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "11", "{text}: {}", ran.stderr);
        assert!(gone(&log, &now(&device, "log")) > 0, "{text}: {}", ran.stderr);
        assert!(ran.stderr.contains("of log that cannot be read"), "{text}: {}", ran.stderr);
    }
}

/// The page that the table has is gone; the one that it had before still stands among the free
/// ones.
#[test]
fn rows_that_a_free_page_alone_still_has_are_put_aside() {
    let table =
        ("V11__log.sql", "CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n");
    for (path, is_gone) in [("/000/", true), ("/003/", true), ("/003/", false)] {
        let device = TestDevice::empty(10).file(table);
        assert_eq!(device.run(&["run"]).exit, "0");
        rusqlite::Connection::open(device.main())
            .unwrap()
            .execute_batch(
                "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500)
                 INSERT INTO log SELECT i, printf('%0200d', i) FROM n;
                 CREATE TABLE free AS SELECT * FROM log; DROP TABLE free;",
            )
            .unwrap();
        let log = now(&device, "log");
        let leaf = page(&device, "log", path);
        let bytes = fs::read(device.main()).unwrap();
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        // After the number of the next list and the length of this one.
        let free = number((number(32) - 1) * 4096 + 8) as u64;
        let at = |page: u64| (page as usize - 1) * 4096;
        device.put_page(&(free, bytes[at(leaf)..][..4096].to_vec()));
        // Of a page that the table still has, an older one says nothing.
        harm(&device, if is_gone { leaf } else { page(&device, "log", "/005/") });
        let ran = device.run(&["run", "--purge-and-retry"]);
        assert_eq!(ran.exit, "11", "{}", ran.stderr);
        let lost = gone(&log, &now(&device, "log"));
        assert!((1..50).contains(&lost), "{}", ran.stderr);
        let aside = format!("{lost} rows of pages that fit several tables or may be free");
        assert_eq!(ran.stderr.contains(&aside), is_gone, "{path}: {}", ran.stderr);
    }
}

#[test]
fn an_older_image_of_a_page_that_was_split_hides_no_row_of_the_other_half() {
    let table =
        ("V11__log.sql", "CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n");
    let device = TestDevice::empty(10).file(table);
    assert_eq!(device.run(&["run"]).exit, "0");
    let sql =
        |sql: &str| rusqlite::Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
    let fill = |from: u32| {
        format!(
            "WITH RECURSIVE n(i) AS (VALUES ({from}) UNION ALL SELECT i + 2 FROM n WHERE i < 400)
             INSERT INTO log SELECT i, 'an old text of a log, which is as long as this, ' || i \
             FROM n;"
        )
    };
    sql(&fill(2));
    let at = |page: u64| (page - 1) * 4096;
    let mut older = [0; 4096];
    fs::File::open(device.main())
        .unwrap()
        .read_exact_at(&mut older, at(page(&device, "log", "/000/")))
        .unwrap();
    sql(&format!("{} UPDATE log SET text = replace(text, 'old', 'new');", fill(1)));
    let first = page(&device, "log", "/000/");
    let copy = Copy::of(&device.main()).unwrap();
    let rows: u64 = copy
        .open()
        .query_row("SELECT ncell FROM dbstat WHERE pageno = ?1", [first as i64], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap() as u64;
    fs::OpenOptions::new()
        .write(true)
        .open(device.main())
        .unwrap()
        .write_all_at(&older, at(first))
        .unwrap();
    let ran = device.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    let old = format!("SELECT count(*) FROM log WHERE id > {rows} AND text LIKE '%old%'");
    let (old, all): (i64, i64) = {
        let connection = rusqlite::Connection::open(device.main()).unwrap();
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get(0)).unwrap();
        (count(&old), count(&format!("SELECT count(*) FROM log WHERE id > {rows}")))
    };
    assert_eq!((old, all as u64), (0, 401 - rows), "{}", ran.stderr);
}

/// Times as the application writes them, beside a table whose types fit them better.
const TIMES: &str = "CREATE TABLE event (id INTEGER PRIMARY KEY, at INTEGER, text TEXT);
CREATE TABLE other (id INTEGER PRIMARY KEY, one BLOB, two BLOB);
CREATE INDEX other_one ON other (one);
CREATE INDEX event_at ON event (at);
";

#[test]
fn a_whole_table_keeps_values_that_another_one_would_rather_have() {
    let device = TestDevice::at(40).file(("V41__times.sql", TIMES));
    assert_eq!(device.run(&["run"]).exit, "0");
    let fill = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO event SELECT i, datetime(i * 1000, 'unixepoch'), 'm' || i FROM n;
        INSERT INTO other VALUES (234, 'k', 'r');";
    rusqlite::Connection::open(device.main()).unwrap().execute_batch(fill).unwrap();
    let (events, others) = (now(&device, "event"), now(&device, "other"));
    let children = now(&device, "child");
    harm(&device, page(&device, "child", "/003/"));
    let ran = device.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(now(&device, "event"), events, "{}", ran.stderr);
    assert_eq!(now(&device, "other"), others, "{}", ran.stderr);
    assert_eq!(said(&device), gone(&children, &now(&device, "child")), "{}", ran.stderr);

    // A page of the table itself takes no other one with it.
    let device = device.file(("V42__none.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY);\n"));
    harm(&device, page(&device, "event", "/001/"));
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    let lost = gone(&events, &now(&device, "event"));
    assert!((1..250).contains(&lost), "{lost} rows were on one page: {}", ran.stderr);
    assert_eq!(now(&device, "other"), others, "{}", ran.stderr);
}

#[test]
fn a_lookup_table_kept_by_its_key_is_no_index_of_the_table_that_it_names() {
    let lookup = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
        CREATE TABLE by_name (name TEXT PRIMARY KEY, item INTEGER) WITHOUT ROWID;
        CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n";
    for rows in [20, 500] {
        let device = TestDevice::empty(10).file(("V11__lookup.sql", lookup));
        assert_eq!(device.run(&["run"]).exit, "0");
        let fill = format!(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO item SELECT i, 'item ' || i FROM n;
             INSERT INTO by_name SELECT name, id FROM item;
             INSERT INTO by_name VALUES ('alias', 7);
             WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO log SELECT i, printf('%0200d', i) FROM n;"
        );
        rusqlite::Connection::open(device.main()).unwrap().execute_batch(&fill).unwrap();
        let tables = ["item", "by_name", "log"];
        let [items, names, log] = tables.map(|table| now(&device, table));
        harm(&device, page(&device, "log", "/003/"));
        let ran = device.run(&["run", "--purge-and-retry"]);
        assert_eq!(ran.exit, "11", "{}", ran.stderr);
        assert_eq!(now(&device, "item"), items, "{}", ran.stderr);
        assert_eq!(now(&device, "by_name"), names, "{}", ran.stderr);
        assert!((1..50).contains(&gone(&log, &now(&device, "log"))), "{}", ran.stderr);
    }
}
