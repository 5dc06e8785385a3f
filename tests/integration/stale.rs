//! Owns the tests of a page that is older than the rest of its file: a write that flash lost, seen
//! from the table and from its indexes.
//! Promises: which rows are on the page is known by the test; each must be there afterwards, or
//! counted, kept aside, and in a snapshot.
//! Never lets SQLite change the file between the harm and the program under test.

use crate::device::TestDevice;
use crate::oracle::Copy;
use crate::program::RunResult;
use rusqlite::Connection;
use std::fs;

const MORE: &str = "WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) ";
const INSERT: &str = "INSERT INTO t(id, a) SELECT i, printf('%040d', i) FROM n";
const TABLE: &str = "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT UNIQUE)";

fn insert(device: &TestDevice, from: i64, to: i64) {
    Connection::open(device.main())
        .unwrap()
        .execute(&format!("{MORE}{INSERT}"), [from, to])
        .unwrap();
}

fn sql(device: &TestDevice, text: &str) {
    Connection::open(device.main()).unwrap().execute_batch(text).unwrap();
}

/// The first column of the first row.
fn ask(device: &TestDevice, question: &str) -> String {
    let copy = Copy::of(&device.main()).unwrap();
    copy.open().query_row(question, [], |row| row.get::<_, rusqlite::types::Value>(0)).map_or_else(
        |error| error.to_string(),
        |value| match value {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        },
    )
}

/// 60 rows were written, and the page that the table's rows are on is of the time when there were
/// 40.
fn stale_table(device: &TestDevice) {
    let page = device.root_page("t");
    insert(device, 41, 60);
    device.put_page(&page);
    assert_eq!(ask(device, "SELECT count(*) FROM t NOT INDEXED"), "40");
}

fn rows(device: &TestDevice) -> [String; 4] {
    let version = "SELECT max(version) FROM refinery_schema_history";
    let checked = "SELECT integrity_check FROM pragma_integrity_check";
    ["SELECT count(*) FROM t NOT INDEXED", "SELECT count(*) FROM lost_t", version, checked]
        .map(|question| ask(device, question))
}

#[test]
fn rows_that_only_an_index_knows_are_counted_and_kept() {
    for table in [
        TABLE,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE INDEX t_by_a ON t(a)",
        "CREATE TABLE t(id INT, a); CREATE UNIQUE INDEX t_by_a ON t(a, id)",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE INDEX t_by_a ON t(a) WHERE id > 0",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a COLLATE NOCASE); CREATE INDEX t_by_a ON t(a \
         DESC)",
        "CREATE TABLE t(id PRIMARY KEY, a) WITHOUT ROWID; CREATE INDEX t_by_a ON t(a)",
    ] {
        let device = TestDevice::at(40).firmware(41);
        sql(&device, table);
        insert(&device, 1, 40);
        stale_table(&device);
        let ran = device.run(&["run"]);
        let said = "Lost before: 20 rows of t are in an index and no longer in the table (indexed \
                    columns in lost_t)";
        assert!(
            ran.exit == "11" && ran.stderr.contains(said),
            "{table}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(rows(&device), ["40", "20", "41", "ok"], "{table}");
        let last = ask(&device, "SELECT a FROM lost_t ORDER BY a DESC LIMIT 1");
        assert_eq!(last, format!("{:040}", 60), "{table}");
        assert_eq!(device.run(&["run"]).exit, "0", "{table}");
    }
}

#[test]
fn rows_of_an_expression_are_counted_though_it_cannot_give_them_back() {
    let device = TestDevice::at(40).firmware(41);
    sql(&device, "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE INDEX t_by_a ON t(upper(a))");
    insert(&device, 1, 40);
    stale_table(&device);
    let ran = device.run(&["run"]);
    assert!(
        ran.exit == "11" && ran.stderr.contains("20 rows of t are in an index and no longer"),
        "{}: {}",
        ran.exit,
        ran.stderr
    );
    assert_eq!(rows(&device), ["40", "20", "41", "ok"]);
    assert_eq!(ask(&device, "SELECT min(id) || '-' || max(id) FROM lost_t"), "41-60");
}

/// Partial indexes whose entries without a row SQLite passes over, because it looks the row up for
/// the condition.
const ONLY_COUNTED: [&str; 4] = [
    "CREATE TABLE t(id PRIMARY KEY, a) WITHOUT ROWID; CREATE INDEX t_by_id ON t(id) WHERE a > ''",
    "CREATE TABLE t(id, a, PRIMARY KEY(id)) WITHOUT ROWID; CREATE UNIQUE INDEX t_by_id ON t(-id) \
     WHERE length(a) > 5 AND id > 0",
    "CREATE TABLE t(id TEXT PRIMARY KEY, a, b) WITHOUT ROWID; CREATE INDEX t_by_b ON t(b, id) \
     WHERE a IS NOT NULL",
    // A condition that is true of every row: SQLite never reads by this index.
    "CREATE TABLE t(id INTEGER PRIMARY KEY, a NOT NULL); CREATE INDEX t_by_a ON t(a) WHERE a IS \
     NOT NULL",
];

#[test]
fn rows_that_an_index_can_only_count_are_counted() {
    for table in ONLY_COUNTED {
        let device = TestDevice::at(40).firmware(41);
        sql(&device, table);
        insert(&device, 1, 40);
        stale_table(&device);
        let ran = device.run(&["run"]);
        let said = "Lost before: 20 rows of t are in an index alone, which can count them and not \
                    give them back.";
        assert!(
            ran.exit == "11" && ran.stderr.contains(said),
            "{table}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(rows(&device), ["40", "no such table: lost_t", "41", "ok"], "{table}");
        assert_eq!(device.run(&["run"]).exit, "0", "{table}");
        // The file with the entries is kept.
        assert!(device.state("settings").join("quarantine/1/settings.db").exists(), "{table}");
    }
}

#[test]
fn an_index_that_cannot_be_counted_is_never_built_again_in_silence() {
    for (table, index) in ONLY_COUNTED[..3].iter().zip(["t_by_id", "t_by_id", "t_by_b"]) {
        let device = TestDevice::at(40).firmware(41);
        sql(&device, table);
        insert(&device, 1, 40);
        let (number, _) = device.root_page(index);
        device.put_page(&(number, vec![0xa5; 4096]));
        let ran = device.run(&["run"]);
        let said = format!(
            "Lost before: rows of t that only the index {index} knows, which cannot be compared."
        );
        assert!(
            ran.exit == "11" && ran.stderr.contains(&said),
            "{table}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(rows(&device), ["40", "no such table: lost_t", "41", "ok"], "{table}");
    }
}

#[test]
fn a_snapshot_gives_back_what_an_index_can_only_count() {
    for table in ONLY_COUNTED {
        let device = with_a_snapshot_of_60(table).firmware(42);
        let ran = device.run(&["run"]);
        let said = "restored from a snapshot and migrated to 42, because 20 rows of t are in an \
                    index alone, which can count them and not give them back";
        assert!(
            ran.exit == "11" && ran.stderr.contains(said),
            "{table}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(rows(&device), ["60", "no such table: lost_t", "42", "ok"], "{table}");
    }
}

#[test]
fn an_index_that_is_older_than_its_table_gives_up_no_row() {
    for (before, change, lost) in [
        // Fewer entries than rows: the table has them all.
        (
            "DELETE FROM t WHERE id > 30",
            "INSERT INTO t SELECT value, 'new ' || value FROM json_each('[31, 32, 33]')",
            0,
        ),
        // More entries than rows: which of both is right, nobody knows.
        ("SELECT 1", "DELETE FROM t WHERE id > 35", 5),
        ("SELECT 1", "UPDATE t SET a = 'changed ' || a WHERE id > 37", 3),
    ] {
        let device = TestDevice::at(40).firmware(41);
        sql(&device, TABLE);
        insert(&device, 1, 40);
        sql(&device, before);
        let page = device.root_page("sqlite_autoindex_t_1");
        sql(&device, change);
        device.put_page(&page);
        let (count, sum) = (
            "SELECT count(*) FROM t NOT INDEXED",
            "SELECT group_concat(id || a) FROM t NOT INDEXED",
        );
        let want = [ask(&device, count), ask(&device, sum)];
        let ran = device.run(&["run"]);
        let (exit, said) = if lost > 0 {
            ("11", "Lost before: ")
        } else {
            ("0", "migrated from 40 to 41 (1 applied")
        };
        assert!(
            ran.exit == exit && ran.stderr.contains(said),
            "{change}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!([ask(&device, count), ask(&device, sum)], want, "{change}");
        let kept = ask(&device, "SELECT count(*) FROM lost_t");
        assert_eq!(kept.parse::<u64>().unwrap_or(0), lost, "{change}: {kept}");
        assert_eq!(rows(&device)[2..], ["41", "ok"], "{change}");
    }
}

/// Upgraded to 41, so that there is a snapshot with 60 rows; then the page of the table is an older
/// one.
fn with_a_snapshot_of_60(table: &str) -> TestDevice {
    let device = TestDevice::booted_at(40).firmware(41);
    sql(&device, table);
    insert(&device, 1, 40);
    let page = device.root_page("t");
    insert(&device, 41, 60);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    device.put_page(&page);
    device
}

#[test]
fn a_snapshot_that_has_the_rows_is_the_better_repair() {
    let device = with_a_snapshot_of_60(TABLE).firmware(42);
    let ran = device.run(&["run"]);
    let said = "restored from a snapshot and migrated to 42, because 20 rows of t are in an index \
                and no longer in the table";
    assert!(ran.exit == "11" && ran.stderr.contains(said), "exit {}: {}", ran.exit, ran.stderr);
    assert_eq!(rows(&device), ["60", "no such table: lost_t", "42", "ok"]);
}

#[test]
fn a_snapshot_with_rows_that_were_lost_is_kept_until_somebody_says_so() {
    let device = with_a_snapshot_of_60(TABLE);
    // More was written since than the snapshot would give back.
    sql(&device, "INSERT INTO child(id, parent_id) SELECT 9000 + id, id FROM parent LIMIT 30");
    let mut device = device.firmware(42);
    let ran = device.run(&["run"]);
    assert!(
        ran.exit == "11" && ran.stderr.contains("20 rows of t are in an index"),
        "exit {}: {}",
        ran.exit,
        ran.stderr
    );
    assert_eq!(rows(&device), ["40", "20", "42", "ok"]);
    let snapshot = device.state("settings").join("snapshots/v40-1.db");
    for next in ["V43__a.sql", "V44__b.sql"] {
        device = device
            .file((next, "CREATE TABLE IF NOT EXISTS more(x);\nINSERT INTO more VALUES (1);\n"));
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "{}", ran.stderr);
        assert!(snapshot.exists(), "{next}: it has rows that the database has not");
    }
    assert_eq!(device.run(&["mark-good"]).exit, "0");
    assert!(!snapshot.exists(), "it was said that all is well");
}

#[test]
fn a_history_that_lacks_a_row_is_never_migrated_on() {
    let device = TestDevice::booted_at(40).firmware(41);
    let page = device.root_page("refinery_schema_history");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    device.put_page(&page);
    assert_eq!(ask(&device, "SELECT max(version) FROM refinery_schema_history NOT INDEXED"), "40");
    let device = device.firmware(42);
    let ran = device.run(&["run"]);
    let said =
        "restored from a snapshot and migrated to 42, because 1 row of refinery_schema_history is \
         in an index and no longer in the table";
    assert!(ran.exit == "11" && ran.stderr.contains(said), "exit {}: {}", ran.exit, ran.stderr);
    assert_eq!(ask(&device, "SELECT count(*) FROM refinery_schema_history NOT INDEXED"), "6");
}

/// An older copy of main is put over it while the newer WAL stays beside it.
fn under_a_newer_wal(
    device: TestDevice,
    before: &str,
    checkpointed: &str,
    in_the_wal: &str,
) -> TestDevice {
    sql(&device, before);
    let copy = fs::read(device.main()).unwrap();
    sql(&device, checkpointed);
    let log = format!("sql {in_the_wal}");
    let device = device.application(&["sql PRAGMA wal_autocheckpoint = 0", &log]).killed();
    fs::write(device.main(), copy).unwrap();
    device
}

/// By hand, from a file with these bytes.
fn restored(device: &TestDevice, bytes: &[u8]) -> RunResult {
    let copy = device.folder().join("copy.db");
    fs::write(&copy, bytes).unwrap();
    device.run(&["snapshot", "restore", &copy.to_string_lossy(), "--db", "settings", "--yes"])
}

#[test]
fn an_older_copy_beside_a_newer_wal_is_never_migrated_as_if_it_were_whole() {
    let more = "WITH RECURSIVE n(i) AS (SELECT 41 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
                INSERT INTO t SELECT i, printf('%0400d', i * 7919 % 3001) FROM n";
    let table = format!(
        "{TABLE}; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) \
         INSERT INTO t SELECT i, i FROM n"
    );
    for (change, exit) in [
        ("UPDATE t SET a = a || 'z' WHERE id % 7 = 0", "17"),
        ("CREATE TABLE u AS SELECT * FROM t", "17"),
        // No page of the copy refers to what the WAL has: its rows are read, and that there were
        // others is said.
        ("UPDATE t SET a = 'one' WHERE id = 2999", "11"),
    ] {
        for (firmware, key) in
            [(41, "snapshot = \"auto\""), (41, "snapshot = \"never\""), (50, "snapshot = \"auto\"")]
        {
            let device = under_a_newer_wal(
                TestDevice::wal_at(40).firmware(firmware).key(key),
                &table,
                more,
                change,
            );
            let main = fs::read(device.main()).unwrap();
            let ran = device.run(&["run"]);
            let said = "its WAL is of another version of the file";
            assert_eq!(ran.exit, exit, "{change}: {}", ran.stderr);
            let quarantine = fs::read_dir(device.state("settings").join("quarantine"))
                .ok()
                .and_then(|mut all| all.next());
            let kept = quarantine.map_or_else(Default::default, |operation| {
                operation.unwrap().path().join("settings.db")
            });
            if exit == "17" {
                assert!(ran.stderr.contains(said), "{change}: {}", ran.stderr);
                assert_eq!(
                    fs::read(device.main()).unwrap(),
                    main,
                    "{change}: the copy stays what it was"
                );
                let ran = restored(&device, &main);
                assert_eq!(ran.exit, "11", "{change}: {}", ran.stderr);
                assert_eq!(rows(&device)[..2], ["40", "no such table: lost_t"], "{change}");
                let aside = fs::read_dir(device.state("settings").join("quarantine"))
                    .unwrap()
                    .next()
                    .unwrap()
                    .unwrap()
                    .path();
                assert!(aside.join("settings.db-wal").exists(), "{change}");
            } else {
                assert!(
                    ran.stderr
                        .contains("what was in the version of the file that its WAL belongs to"),
                    "{change}: {}",
                    ran.stderr
                );
                assert!(
                    fs::read_to_string(kept.with_file_name("reason.txt")).unwrap().contains(said),
                    "{change}"
                );
                assert_eq!(fs::read(kept).unwrap(), main, "{change}: the copy is kept");
                assert_eq!(ask(&device, "SELECT count(*) FROM lost_t"), "40", "{change}");
            }
        }
    }
}

#[test]
fn rows_of_two_times_are_said_where_all_pages_fit() {
    // Every page of the old copy is one of the new file too: nothing but the change counter tells.
    let table = format!("{TABLE}; INSERT INTO t VALUES (1, 'old'), (2, 'old too')");
    let changed = "UPDATE t SET a = 'new' WHERE id = 1; PRAGMA user_version = 8; PRAGMA \
                   wal_checkpoint(TRUNCATE); PRAGMA user_version = 7";
    let device = under_a_newer_wal(
        TestDevice::wal_at(40).firmware(41),
        &table,
        changed,
        "PRAGMA user_version = 9",
    );
    let ran = device.run(&["run"]);
    let said = "what was in the version of the file that its WAL belongs to";
    assert!(ran.exit == "11" && ran.stderr.contains(said), "exit {}: {}", ran.exit, ran.stderr);
    assert_eq!(rows(&device)[2..], ["41", "ok"]);
}

#[test]
fn a_page_with_two_owners_is_no_fault_of_an_index() {
    let device = TestDevice::at(40).firmware(41);
    // The first cell of the table's root points to a leaf; now it points to where the next one
    // does.
    let (number, mut page) = device.root_page("child");
    assert_eq!(page[0], 5, "the root is an interior page");
    let cell = |at: usize| u16::from_be_bytes([page[12 + 2 * at], page[13 + 2 * at]]) as usize;
    let (first, second) = (cell(0), cell(1));
    let twice: [u8; 4] = page[second..second + 4].try_into().unwrap();
    page[first..first + 4].copy_from_slice(&twice);
    device.put_page(&(number, page));
    let ran = device.run(&["run"]);
    assert!(
        ran.exit == "11" && !ran.stderr.contains("an index is corrupt"),
        "exit {}: {}",
        ran.exit,
        ran.stderr
    );
    assert_eq!(ask(&device, "SELECT max(version) FROM refinery_schema_history"), "41");
    assert_eq!(ask(&device, "SELECT integrity_check FROM pragma_integrity_check"), "ok");
    assert_eq!(
        ask(&device, "SELECT count(*) FROM child"),
        "2000",
        "each child is in the table: {}",
        ran.stderr
    );
}

#[test]
fn an_index_that_a_migration_leaves_behind_its_table_is_built_from_it() {
    // A number stands in a column of text, as a changed column type or a flipped bit leaves it.
    let device = TestDevice::at(40)
        .file(("V41__more.sql", "ALTER TABLE t ADD COLUMN more;\nUPDATE t SET more = a;\n"));
    sql(
        &device,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE INDEX t_by_a ON t(a); INSERT INTO t \
         VALUES (1, 7), (2, 'x')",
    );
    sql(
        &device,
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t(id INTEGER \
         PRIMARY KEY, a TEXT)' WHERE name = 't'",
    );
    let ran = device.run(&["run"]);
    assert!(ran.exit == "0" && ran.stderr.contains("t_by_a"), "exit {}: {}", ran.exit, ran.stderr);
    assert_eq!(ask(&device, "SELECT group_concat(a || more) FROM t"), "77,xx");
    assert_eq!(ask(&device, "SELECT max(version) FROM refinery_schema_history"), "41");
    assert_eq!(ask(&device, "SELECT integrity_check FROM pragma_integrity_check"), "ok");
}
