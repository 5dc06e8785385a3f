//! Owns the judgement of `fleet`: reports that the device itself has written, counted, and files
//! that are none.
//! Promises: the counts are compared as text; the page needs no other file.
//! Never depends on the order in which files are read.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::{Product, Ran};
use expect_test::expect;

const FIRST: &str = "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n";

/// A product, and the report of a device at version 1 with two equal rows that is asked to go on.
fn reports() -> Product {
    let product = Product::with(&[
        ("bootmigrate.toml", "[databases.notes]\npath = \"/data/notes.db\"\n"),
        ("notes/V1__first.sql", FIRST),
    ]);
    fs::create_dir_all(product.path().join("root/data")).unwrap();
    fs::create_dir_all(product.path().join("fleet/new")).unwrap();
    let run = |more: &[&str]| {
        product.run(&[&["device", "run", "--json", "--root", "root"], more].concat())
    };
    let created = run(&[]).out;
    fs::write(product.path().join("fleet/new/a.json"), &created).unwrap();
    let quiet = run(&[]).out;
    let line = quiet.replace('\n', " ");
    fs::write(product.path().join("fleet/b.jsonl"), format!("{line}\n{line}\n")).unwrap();
    let database = rusqlite::Connection::open(product.path().join("root/data/notes.db")).unwrap();
    database.execute_batch("INSERT INTO note (text) VALUES ('<b>'), ('<b>')").unwrap();
    drop(database);
    product.write("notes/V2__unique.sql", "CREATE UNIQUE INDEX by_text ON note (text);\n");
    fs::write(product.path().join("fleet/c.json"), run(&[]).out).unwrap();
    product
}

#[test]
fn reports_are_counted() {
    let product = reports();
    let Ran { code, out, err } = product.run(&["fleet", "fleet", "--html", "fleet.html"]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    expect![[r#"
        4 devices: 1 not usable, 0 lost data

        by firmware
                4 not said: 1 not usable, 0 lost data

        notes, by outcome
                1 created
                1 failed
                2 quiet

        notes, by version
                3 1
                1 1 of 2

        notes, by cause
                1 migration-failed

        troubles
                1 BM-10 notes 1>2 V2:1
                  notes: notes/V2__unique.sql:1:1: UNIQUE constraint failed: note.text (SQLite 2067), in statement 1 of 1; the database is whole at version 1. Next: install firmware in which this migration works; this one is tried 2 more times.
                  first in c.json
    "#]]
    .assert_eq(&out);
    let page = fs::read_to_string(product.path().join("fleet.html")).unwrap();
    assert!(
        page.contains("4 devices: 1 not usable")
            && page.contains("1&gt;2")
            && page.ends_with("</html>\n"),
        "{page}"
    );
    assert!(!page.contains("http") && !page.contains("<script"), "the page needs another file");
    let json: serde_json::Value =
        serde_json::from_str(&product.run(&["fleet", "fleet", "--json"]).out).unwrap();
    assert_eq!(
        (json["devices"].as_u64(), json.pointer("/by_outcome/notes/quiet").unwrap().as_u64()),
        (Some(4), Some(2))
    );
}

#[test]
fn a_file_that_is_no_report_is_named() {
    let product = reports();
    fs::remove_file(product.path().join("fleet/c.json")).unwrap();
    assert_eq!(product.run(&["fleet", "fleet"]).code, 0);
    fs::write(product.path().join("fleet/new/d.json"), "{\"usable\": tr").unwrap();
    fs::write(product.path().join("fleet/new/readme.txt"), "not a report, and none that is asked")
        .unwrap();
    let found = product.run(&["fleet", "fleet"]);
    assert!(
        found.code == 1
            && found.out.contains("1 files are no report, the first of them new/d.json\n"),
        "{found:?}"
    );
    assert_eq!(product.run(&["fleet", "nowhere"]).code, 2);
}
