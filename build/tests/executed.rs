//! Owns the proof that the build runs the migrations on SQLite: what cannot run stops it, with its place.
//! Promises: each case is one folder; the sentences are compared in full where they are ours.
//! Never needs a device.

#![cfg(feature = "sqlite")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use common::Product;

/// Problems with `error `, then warnings with `note `, one a line.
fn executed(files: &[(&str, &str)]) -> String {
    let product = bootmigrate_build::read(&Product::with(files).folder).unwrap();
    let (problems, warnings) = bootmigrate_build::execute(&product);
    let problems = problems.iter().map(|problem| format!("error {problem}\n"));
    problems.chain(warnings.iter().map(|warning| format!("note {warning}\n"))).collect()
}

/// One problem of this place with these words.
#[track_caller]
fn refused(files: &[(&str, &str)], place: &str, words: &str) {
    let said = executed(files);
    assert!(said.starts_with(&format!("error migrations/settings/{place}")) && said.contains(words), "{files:?}: {said}");
}

#[test]
fn sql_that_cannot_run_is_named_with_line_and_column() {
    refused(&[("settings/V2__x.sql", "SELECT 1;\n  SELCT 1;\n")], "V2__x.sql:2:3: ", "near \"SELCT\": syntax error");
    refused(&[("settings/V2__x.sql", "INSERT INTO nowhere VALUES (1);\n")], "V2__x.sql:1:", "no such table: nowhere");
    refused(&[("settings/V2__x.sql", "UPDATE a\nSET c = 1;\n")], "V2__x.sql:", "no such column: c");
    refused(&[("settings/V2__x.sql", "CREATE TABLE a (x);\n")], "V2__x.sql:1:", "table a already exists");
    refused(&[("settings/V2__x.sql", "ALTER TABLE a ADD COLUMN b;\n")], "V2__x.sql:1:1: ", "duplicate column name: b");
}

#[test]
fn an_object_that_does_not_compile_is_named() {
    refused(&[("settings/V2__x.sql", "CREATE VIEW w AS SELECT c FROM a;\n")], "V2__x.sql", "no such column: c");
    let view = ("settings/V2__w.sql", "CREATE VIEW w AS SELECT b FROM a;\n");
    refused(&[view, ("settings/V3__x.sql", "DROP TABLE a;\n")], "V3__x.sql", "w");
    let trigger = "CREATE TRIGGER g AFTER INSERT ON a BEGIN INSERT INTO log VALUES (new.b); END;\n";
    refused(&[("settings/V2__x.sql", trigger)], "V2__x.sql", "no such table: main.log");
}

#[test]
fn rows_that_the_migrations_themselves_write_are_checked() {
    let tables = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id)); INSERT INTO c VALUES (7);\n";
    refused(&[("settings/V2__x.sql", tables)], "V2__x.sql", "1 rows of c refer to no row of p");
}

#[test]
fn after_a_file_that_fails_the_text_of_the_others_is_read_all_the_same() {
    let said = executed(&[("settings/V2__x.sql", "SELCT 1;\n"), ("settings/V3__y.sql", "SELECT 1;\nCREATE TABEL t (x);\n")]);
    assert!(said.contains("V2__x.sql:1:1: ") && said.contains("V3__y.sql:2:1: "), "{said}");
}

#[test]
fn each_way_back_is_gone_and_compared() {
    let up = ("settings/V2__x.sql", "CREATE TABLE t (x);\n");
    assert_eq!(executed(&[up, ("settings/V2__x.down.sql", "DROP TABLE t;\n")]), "");
    refused(&[up, ("settings/V2__x.down.sql", "SELECT 1;\n")], "V2__x.down.sql", "table t is still there");
    refused(&[up, ("settings/V2__x.down.sql", "DROP TABLE u;\n")], "V2__x.down.sql:1:", "no such table: u");
    refused(&[up, ("settings/V2__x.down.sql", "DROP TABLE t; DROP TABLE a;\n")], "V2__x.down.sql", "table a is missing");
}

#[test]
fn what_only_the_product_has_is_a_note() {
    let said = executed(&[("settings/V2__x.sql", "UPDATE a SET b = slug(b);\nCREATE INDEX i ON a (b COLLATE german);\n")]);
    assert!(!said.contains("error "), "{said}");
    assert!(said.contains("no such function: slug") && said.contains("no such collation sequence: german"), "{said}");
    let said = executed(&[("settings/V2__x.sql", "CREATE VIRTUAL TABLE v USING vec0 (x);\n")]);
    assert!(!said.contains("error ") && said.contains("no such module: vec0"), "{said}");
}
