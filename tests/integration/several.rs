//! Owns the tests in which one of a kind proves nothing: two newer migrations, two damaged pages, a
//! chain of references, builds that failed and one that did not, names in other letters.
//! Promises: every row is compared with those that plain SQLite wrote.
//! Never asks for one value of what may have many.

use std::fs;
use std::os::unix::fs::FileExt as _;

use rusqlite::Connection;

use crate::carry_over::rows;
use crate::device::TestDevice;
use crate::oracle::{self, Copy};
use crate::program::finish;
use crate::quarantine::runs;
use crate::strace::{self, calls};

fn now(device: &TestDevice, table: &str) -> Vec<String> {
    rows(&Copy::of(&device.main()).unwrap().open(), table)
}

fn application(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

/// Booted with these tables, and with these rows.
#[track_caller]
fn with(tables: &str, rows: &str) -> TestDevice {
    let device = TestDevice::empty(0).file(("V1__tables.sql", tables));
    runs(&device, "run", "0");
    application(&device, rows);
    device
}

/// The leaves of a table, in the order of its rows.
fn leaves(device: &TestDevice, table: &str) -> Vec<u32> {
    let sql = "SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = 'leaf' ORDER BY path";
    let copy = Copy::of(&device.main()).unwrap();
    let connection = copy.open();
    let mut statement = connection.prepare(sql).unwrap();
    let pages = statement.query_map([table], |row| row.get(0)).unwrap();
    pages.collect::<rusqlite::Result<_>>().unwrap()
}

fn damage(device: &TestDevice, page: u32) {
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    file.write_all_at(&[0xa5; 4096], u64::from(page - 1) * 4096).unwrap();
}

/// Each newer migration must say that the older firmware can use its result.
#[test]
fn every_newer_migration_is_asked_which_firmware_can_use_it() {
    for (second, third, exit) in [(2, 1, "12"), (1, 3, "12"), (1, 1, "0")] {
        let device = with("CREATE TABLE a (x);\n", "INSERT INTO a VALUES (1)");
        let text = |name: &str, oldest: i32| {
            format!("-- bootmigrate: compatible-from = {oldest}\nCREATE TABLE {name} (x);\n")
        };
        let device =
            device.file(("V2__b.sql", &text("b", second))).file(("V3__c.sql", &text("c", third)));
        runs(&device, "run", "0");
        let device = device.without("V2__b.sql").without("V3__c.sql");
        runs(&device, "run", exit);
        assert_eq!(now(&device, "a"), ["integer:1"], "{second} and {third}");
    }
}

/// A table of the product has the name that rows put aside would get, in other letters.
#[test]
fn rows_put_aside_never_go_to_a_table_that_has_their_name() {
    for name in ["lost_Aside", "LOST_ASIDE", "lost_aside"] {
        let device = with(
            &format!("CREATE TABLE Aside (x);\nCREATE TABLE {name} (x, y TEXT);\n"),
            &format!("INSERT INTO Aside VALUES (1), (1); INSERT INTO {name} VALUES (7, 'own')"),
        );
        let unique = ("V2__unique.sql", "CREATE UNIQUE INDEX only ON Aside (x);\n");
        let device = device.file(unique);
        runs(&device, "run --purge-and-retry", "11");
        assert_eq!(now(&device, name), ["integer:7|text:'own'"], "{name}");
        assert_eq!(now(&device, "lost_Aside_2"), ["integer:1", "integer:1"], "{name}");
    }
}

#[test]
fn a_table_to_carry_over_is_meant_whatever_its_letters() {
    let device = with(
        "CREATE TABLE Kept (x);\nCREATE TABLE aside (x);\n",
        "INSERT INTO Kept VALUES (1), (2); INSERT INTO aside VALUES (1), (1)",
    );
    let unique = ("V2__unique.sql", "CREATE UNIQUE INDEX only ON aside (x);\n");
    let device = device.key("carry_over = [\"KEPT\"]").file(unique);
    let said = runs(&device, "run --purge-and-retry", "11");
    assert_eq!(now(&device, "Kept"), ["integer:1", "integer:2"], "{said}");
}

/// Rows between two damaged pages have no neighbour that leads to them.
#[test]
fn rows_between_two_damaged_pages_are_saved() {
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
                INSERT INTO t SELECT printf('key %05d', i), hex(zeroblob(30)) FROM n";
    for options in ["", " WITHOUT ROWID"] {
        let device =
            with(&format!("CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT){options};\n"), fill);
        let (before, pages) = (now(&device, "t"), leaves(&device, "t"));
        assert!(pages.len() >= 7, "{options}: {} leaves", pages.len());
        damage(&device, pages[1]);
        damage(&device, pages[pages.len() - 2]);
        let device = device.file(("V2__more.sql", "CREATE TABLE more (x);\n"));
        let said = runs(&device, "run", "11");
        let after = now(&device, "t");
        let strange = after.iter().filter(|row| !before.contains(row)).count();
        // What an index knows of the rows on them may be put aside.
        assert_eq!(strange, 0, "{options}: {said}");
        let per_page = 2 * before.len() / pages.len() + 2;
        assert!(after.len() + 2 * per_page >= before.len(), "{options}: {} rows", after.len());
    }
}

/// What refers to a row that went refers to nothing, and so on.
#[test]
fn a_chain_of_rows_without_their_parents_goes_aside() {
    // Whatever the order in which tables are looked at.
    for [child, middle, parent] in [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]] {
        let tables = format!(
            "CREATE TABLE {child} (id INTEGER PRIMARY KEY, up REFERENCES {middle}(id));\n\
             CREATE TABLE {middle} (id INTEGER PRIMARY KEY, up REFERENCES {parent}(id));\n\
             CREATE TABLE {parent} (id INTEGER PRIMARY KEY, x);\n"
        );
        let device = with(
            &tables,
            &format!(
                "INSERT INTO {parent} VALUES (1, 1), (2, 2);
                 INSERT INTO {middle} VALUES (10, 1), (11, 2), (12, NULL);
                 INSERT INTO {child} VALUES (100, 10), (101, 11), (102, 12), (103, NULL)"
            ),
        );
        let page = leaves(&device, parent)[0];
        damage(&device, page);
        let device = device.file(("V2__more.sql", "CREATE TABLE more (x);\n"));
        let said = runs(&device, "run", "11");
        assert_eq!(now(&device, middle), ["integer:12|null:NULL"], "{said}");
        assert_eq!(now(&device, child), ["integer:102|integer:12", "integer:103|null:NULL"]);
        assert_eq!(now(&device, &format!("lost_{middle}")).len(), 2);
        assert_eq!(now(&device, &format!("lost_{child}")).len(), 2);
        let copy = Copy::of(&device.main()).unwrap();
        let violations = "SELECT count(*) FROM pragma_foreign_key_check";
        let violations: i64 = copy.open().query_row(violations, [], |row| row.get(0)).unwrap();
        assert_eq!(violations, 0);
    }
}

/// A purge that found no room was none: the bound is on those that were built.
#[test]
fn purges_that_were_not_built_do_not_count() {
    let unique = ("V2__unique.sql", "CREATE UNIQUE INDEX only ON a (x);\n");
    let device = with("CREATE TABLE a (x);\n", "INSERT INTO a VALUES (1), (1)").file(unique);
    let purge = ["run", "--purge-and-retry"];
    let rows = oracle::content(&device.main()).unwrap();
    for time in 1..=3 {
        let (all, _) = calls(&device.duplicate(), &purge);
        let call = all
            .iter()
            .filter(|call| call.name == "openat" && call.line.contains("staging-"))
            .find(|call| call.line.contains("O_CREAT"))
            .unwrap_or_else(|| panic!("nothing was built"));
        let answer = format!("openat:error=ENOSPC:when={}+", call.nth);
        let log = device.folder().join(format!("answers-{time}.log"));
        let ran = finish(device.command(&strace::words(&device, &purge, &log, Some(answer))));
        assert_eq!(ran.exit, "14", "{time}: {}", ran.stderr);
        assert_eq!(oracle::content(&device.main()).unwrap(), rows, "{time}");
    }
    runs(&device, "run --purge-and-retry", "11");
    assert_eq!(now(&device, "lost_a"), ["integer:1", "integer:1"]);
}

/// Nobody can lift the bound on purges by a good boot in between.
#[test]
fn a_good_boot_between_purges_does_not_forget_them() {
    let device = TestDevice::empty(0)
        .file(("V1__tables.sql", "CREATE TABLE a (x);\n"))
        .key("kind = \"rebuildable\"");
    runs(&device, "run", "0");
    for _ in 0..2 {
        runs(&device, "run", "0");
        fs::write(device.main(), [0xa5; 8192]).unwrap();
        runs(&device, "run", "11");
        runs(&device, "run", "0");
        application(&device, "INSERT INTO a VALUES (1)");
        runs(&device, "run", "0");
    }
    fs::write(device.main(), [0xa5; 8192]).unwrap();
    let said = runs(&device, "run", "19");
    assert!(said.contains("2 times already"), "{said}");
}
