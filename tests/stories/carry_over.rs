//! Owns the stories of a purge that keeps rows: all of them, those of named tables, or aside where a migration does not work on them.
//! Promises: each row of the old database is looked for by plain SQLite: in its table, in `lost_TABLE`, or in the count of the loss.
//! Never counts a row as kept whose values changed.

use crate::bench::Bench;
use crate::oracle::{self, Copy};
use crate::picture::check_step;
use crate::product::UNIQUE_BADGE;
use expect_test::expect;
use rusqlite::Connection;

/// Fails where two children have the same amount, as those of the application do.
const UNIQUE_AMOUNT: (&str, &str) = ("V41__unique_amount.sql", "CREATE UNIQUE INDEX child_amount ON child (amount);\n");
/// Fails where somebody has made the same index by hand.
const INDEX: (&str, &str) = ("V41__index.sql", "CREATE INDEX parent_reading ON parent (reading);\n");

/// The rows of a query, in words that tell types apart, sorted.
pub fn rows(connection: &Connection, table: &str) -> Vec<String> {
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?1)")
        .and_then(|mut statement| statement.query_map([table], |row| row.get(0))?.collect())
        .unwrap();
    let cells: Vec<String> = columns.iter().map(|name| format!("typeof(\"{name}\") || ':' || quote(\"{name}\")")).collect();
    let sql = format!("SELECT {} FROM \"{table}\"", if cells.is_empty() { "NULL".into() } else { cells.join(" || '|' || ") });
    let mut rows: Vec<String> =
        connection.prepare(&sql).and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect()).unwrap_or_default();
    rows.sort();
    rows
}

fn now(bench: &Bench, table: &str) -> Vec<String> {
    rows(&Copy::of(&bench.main()).unwrap().open(), table)
}

#[track_caller]
fn kept(bench: &Bench, wanted: &[String], table: &str) {
    assert!(wanted.len() >= 1000, "the world is too small");
    assert_eq!(now(bench, table), wanted, "the rows of {table}");
}

#[track_caller]
fn said(bench: &Bench) -> serde_json::Value {
    let report = std::fs::read_to_string(bench.root().join("run/bootmigrate/status.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&report).unwrap()["databases"][0]["loss"].clone()
}

#[test]
fn a_purge_for_what_was_made_by_hand_keeps_every_row() {
    // Migrated by this program before: what is there already was no half-done step of another.
    let mut bench = Bench::at(30).firmware(40);
    assert_eq!(bench.run(&["run"]).exit, "0");
    bench.databases[0].version = 40;
    let bench = bench.after(|bench| Connection::open(bench.main()).unwrap().execute_batch(INDEX.1).unwrap());
    let (parents, children) = (now(&bench, "parent"), now(&bench, "child"));
    let bench = bench.file(INDEX).key("on_failure = \"purge\"");
    check_step(
        &bench,
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 index, in one transaction, after a snapshot
            exit:     0
            settings: purged 40>41 of 41, applied [10,20,30,40,41], usable, exit 0
            code:     BM-0 settings 40>41
            kept:     quarantine/3 the old family, with a reason
            database: old, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    kept(&bench, &parents, "parent");
    kept(&bench, &children, "child");
    let reason = std::fs::read_to_string(bench.state("settings").join("quarantine/3/reason.txt")).unwrap();
    assert!(reason.ends_with("data given up: nothing\n"), "{reason}");
}

#[test]
fn rows_that_a_migration_does_not_work_on_are_put_aside() {
    let bench = Bench::wal_at(40);
    let (parents, children) = (now(&bench, "parent"), now(&bench, "child"));
    let bench = bench.firmware(40).file(UNIQUE_BADGE).key("on_failure = \"purge\"");
    let ran = bench.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    // Children refer to parents: under the fresh database's own parents they would be somebody else's.
    assert_eq!(said(&bench), "2000 rows of child (in lost_child), 2000 rows of parent (in lost_parent)");
    kept(&bench, &parents, "lost_parent");
    kept(&bench, &children, "lost_child");
    let fresh = oracle::fresh(&bench.firmware_folder(), "settings").unwrap();
    assert_eq!((now(&bench, "parent").len() as u64, now(&bench, "child").len() as u64), (fresh.rows["parent"], fresh.rows["child"]));
    assert_eq!(bench.run(&["run"]).exit, "0");
    kept(&bench, &parents, "lost_parent");
    let doctor = bench.run(&["doctor"]);
    assert!(doctor.stdout.contains("lost_child, lost_parent\n"), "{}", doctor.stdout);
    assert!(!doctor.stdout.contains("is not from a migration"), "{}", doctor.stdout);
}

#[test]
fn another_tables_rows_stay_where_a_migration_fails_on_one() {
    let bench = Bench::at(40);
    let (parents, children) = (now(&bench, "parent"), now(&bench, "child"));
    let bench = bench.firmware(40).file(UNIQUE_AMOUNT).key("on_failure = \"purge\"");
    let ran = bench.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(said(&bench), "2000 rows of child (in lost_child)");
    kept(&bench, &parents, "parent");
    kept(&bench, &children, "lost_child");
}

#[test]
fn named_tables_are_kept_and_the_others_counted() {
    let bench = Bench::at(40);
    let parents = now(&bench, "parent");
    let bench = bench.firmware(40).file(UNIQUE_AMOUNT).key("kind = \"rebuildable\"").key("carry_over = [\"parent\", \"nowhere\"]");
    check_step(
        &bench,
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 41: V41 unique_amount, in one transaction, without a snapshot (copy = "never")
        exit:     11
        settings: purged 40>41 of 41, applied [10,20,30,40,41], data given up, usable, exit 11
        code:     BM-11 settings 40>41
        kept:     quarantine/2 the old family, with a reason
        database: OTHER, 2000 parents, 1000 children
        touched:  database, state
        again:    exit 0, quiet, touched nothing
    "#]],
    );
    kept(&bench, &parents, "parent");
    assert_eq!(now(&bench, "lost_child").len(), 0);
}

#[test]
fn rows_of_newer_firmware_are_put_aside() {
    let bench = Bench::at(42);
    let parents = now(&bench, "parent");
    let bench = bench.older(40).key("kind = \"rebuildable\"").key("carry_over = [\"parent\"]");
    let ran = bench.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(said(&bench), "2000 rows of parent (in lost_parent), 1000 rows of child, 1 row of preference");
    kept(&bench, &parents, "lost_parent");
    assert_eq!(now(&bench, "parent").len(), 1000);
}

#[test]
fn a_purge_by_hand_keeps_nothing() {
    let bench = Bench::at(40).after(|bench| assert_eq!(bench.run(&["run"]).exit, "0"));
    let ran = bench.run(&["purge", "--db", "settings", "--yes"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert_eq!(oracle::content(&bench.main()).ok(), oracle::fresh(&bench.firmware_folder(), "settings"));
}
