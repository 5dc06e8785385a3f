//! Owns the tests of what leaves the database in words: no contents of a row, unless the product
//! says so.
//! Promises: a value that stands in rows alone is looked for in every output, in the report and in
//! every file beside the database and its copies.
//! Never counts a name of the schema, or what the firmware itself has written, as a row.

use crate::device::TestDevice;
use rusqlite::Connection;
use std::fs;
use std::path::Path;

const SECRET: &str = "S3CRET-7919";
/// Each ends with an error of SQLite's, or a sentence of ours, that could have a row in it.
const FAILING: [(&str, &str); 9] = [
    ("expect", "-- bootmigrate: expect = SELECT id, label FROM child WHERE id = 1\nSELECT 1;\n"),
    (
        "trigger",
        "CREATE TRIGGER sealed BEFORE DELETE ON child BEGIN SELECT RAISE(ABORT, 'keep ' || \
         OLD.label); END;\nDELETE FROM child WHERE id = 1;\n",
    ),
    ("path", "UPDATE child SET amount = json_extract('{}', label) WHERE id = 1;\n"),
    ("unique", "CREATE TABLE u (a UNIQUE);\nINSERT INTO u SELECT label FROM child, parent;\n"),
    ("type", "CREATE TABLE n (a INTEGER PRIMARY KEY);\nINSERT INTO n SELECT label FROM child;\n"),
    ("check", "CREATE TABLE c (a CHECK (a < ''));\nINSERT INTO c SELECT label FROM child;\n"),
    (
        "strict",
        "CREATE TABLE s (a INTEGER) STRICT;\nINSERT INTO s SELECT label FROM child WHERE id = 1;\n",
    ),
    (
        "query",
        "CREATE VIRTUAL TABLE f USING fts5(x);\nINSERT INTO f SELECT label FROM child;\nSELECT * \
         FROM child, f WHERE f MATCH label || ':a';\n",
    ),
    (
        "alone",
        "-- bootmigrate: no-transaction\n-- bootmigrate: expect = SELECT label FROM child WHERE id \
         = 1\nVACUUM;\n",
    ),
];

fn device(name: &str, sql: &str) -> TestDevice {
    let device = TestDevice::booted_at(40).firmware(40).file((&format!("V41__{name}.sql"), sql));
    let sql = format!("UPDATE child SET label = '{SECRET}'");
    Connection::open(device.main()).unwrap().execute_batch(&sql).unwrap();
    device
}

/// What any command says, and what stands in any file that is no copy of the database.
fn all_said(device: &TestDevice) -> String {
    let mut all = String::new();
    for words in [
        &["status", "--json"][..],
        &["status"],
        &["status", "--format", "prometheus"],
        &["status", "--format", "mender"],
        &["plan", "--json"],
        &["plan", "--sql"],
        &["doctor", "--full"],
        &["rehearse", "--json"],
        &["lost", "list", "--db", "settings"],
        &["quarantine", "list", "--db", "settings"],
        &["bundle", "-"],
        &["-vv", "run"],
    ] {
        let ran = device.run(words);
        all.push_str(&ran.stdout);
        all.push_str(&ran.stderr);
    }
    texts_below(&device.root(), &mut all);
    all
}

fn texts_below(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            texts_below(&entry.path(), all);
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            if !bytes.starts_with(b"SQLite format 3") {
                all.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    }
}

/// Also as a record's bytes are written in a bundle.
fn has_secret(text: &str) -> bool {
    let hexadecimal: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    text.contains("S3CRET") || text.contains(&hexadecimal)
}

#[test]
fn no_row_is_in_what_a_failure_says() {
    for (name, sql) in FAILING {
        let device = device(name, sql);
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "10", "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains("settings/V41__"), "{name}: {}", ran.stderr);
        let all = all_said(&device) + &ran.stderr + &ran.stdout;
        assert!(!has_secret(&all), "{name}: {}", ran.stderr);
    }
}

#[test]
fn no_row_is_in_why_a_database_was_replaced() {
    for (name, sql) in &FAILING[..3] {
        let sql = sql.replace("WHERE id = 1", "WHERE label LIKE 'S3%'");
        let device = device(name, &sql).key("on_failure = \"purge\"").key("show_rows = true");
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "11", "{name}: {}", ran.stderr);
        let mut kept = device.run(&["bundle", "-"]).stdout;
        texts_below(&device.state("settings"), &mut kept);
        assert!(!has_secret(&kept), "{name}: {kept}");
    }
}

#[test]
fn a_row_is_shown_where_the_product_says_so_and_kept_nowhere() {
    for (name, sql) in &FAILING[..3] {
        let device = device(name, sql).key("show_rows = true");
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "10", "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(", and a row has: "), "{name}: {}", ran.stderr);
        assert!(has_secret(&ran.stderr), "{name}: {}", ran.stderr);
        let mut kept = device.run(&["bundle", "-"]).stdout;
        texts_below(&device.state("settings"), &mut kept);
        assert!(!has_secret(&kept), "{name}: {kept}");
    }
}
