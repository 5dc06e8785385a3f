//! Owns the tests of rows that were read from pages and meet a row of the same key.
//! Promises: what the table has afterwards, and what is counted, for rows of its tree and of pages
//! without one.
//! Never reads a file.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::device::sqlite::Sqlite;

const OP: Op = Op("test");

fn check(schema: &str, text_key: bool) {
    let into = Sqlite::default().scratch(OP).unwrap();
    into.run(OP, schema).unwrap();
    let tables = into.ordinary_tables(OP, "history").unwrap();
    let (table, trees) = (tables.first().unwrap(), into.known_trees(OP).unwrap());
    let tree = trees.iter().find(|tree| tree.table == "t" && !tree.is_index).unwrap();
    let aside = into.aside(OP, table, 1).unwrap();
    let place =
        Destination { into: &into, op: OP, table, keep: true, seeded: false, aside: &aside };
    let mut writer = PageWriter::new(place, tree, Encoding::Utf8).unwrap();
    let mut write = |number: i64, value: &str, evidence: Evidence| {
        let key = format!("key {number}");
        let key = if text_key { Value::Text(key.as_bytes()) } else { Value::Null };
        writer
            .write(&PageRow { number, values: &[key, Value::Text(value.as_bytes())], evidence })
            .unwrap();
    };
    write(1, "of its tree", Evidence::Tree);
    write(1, "left on another page", Evidence::Unreached);
    write(2, "of one page", Evidence::Unreached);
    write(2, "of one page", Evidence::Unreached);
    write(2, "of another", Evidence::Unreached);
    let counts = writer.counts;
    drop(writer);
    assert_eq!((counts.kept, counts.aside), (2, 1), "{schema}");
    assert_eq!(
        into.texts(OP, "SELECT a FROM t ORDER BY a").unwrap(),
        ["of its tree", "of one page"],
        "{schema}"
    );
    assert_eq!(into.texts(OP, "SELECT a FROM lost_t").unwrap(), ["of another"], "{schema}");
}

#[test]
fn of_two_pages_without_a_tree_none_hides_the_other() {
    check("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)", false);
    check("CREATE TABLE t(id TEXT PRIMARY KEY COLLATE NOCASE, a TEXT) WITHOUT ROWID", true);
}

/// The text is of a file that anybody may have made.
#[test]
fn a_text_that_does_more_than_make_a_table_is_not_run() {
    let scratch = Sqlite::default().scratch(OP).unwrap();
    for text in ["CREATE TABLE a(b)", "CREATE TABLE \"odd (name\"(b)", "create table [c] (d)"] {
        assert!(scratch.make_table(text), "{text}");
    }
    let made = "SELECT count(*) FROM sqlite_schema";
    let before = scratch.texts(OP, made).unwrap();
    for text in [
        "CREATE TABLE d AS SELECT 1",
        "CREATE TABLE d AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "CREATE TABLE main.d(e)",
        "CREATE TABLE IF NOT EXISTS d(e)",
        "CREATE TABLE ",
        "CREATE VIRTUAL TABLE d USING fts5(e)",
        "DROP TABLE a",
        "",
    ] {
        assert!(!scratch.make_table(text), "{text}");
    }
    assert_eq!(scratch.texts(OP, made).unwrap(), before);
}
