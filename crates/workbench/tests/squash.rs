//! Owns the judgement of `squash` and of the forms of `schema`: a new device from the baseline, an
//! old one beside it, and what is refused.
//! Promises: the baseline is run by plain SQLite, and booted by the device's own code.
//! Never takes the workbench's word for what it has made.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::{Product, Ran};
use rusqlite::Connection;

/// The example product, and the baseline of its settings at version 13.
fn squashed() -> Product {
    let product = Product::example();
    let made = product.run(&["squash", "--db", "settings", "--up-to", "13", "-o", "baseline.sql"]);
    let says =
        "baseline.sql: settings at version 13, as 13 files made it\nkeep those files in the \
         folder: the history of every device names them\n";
    assert_eq!(made, Ran { code: 0, out: says.into(), err: String::new() });
    product
}

/// Every row of a database as SQL writes it, without our own tables and the history's dates.
fn rows(path: &std::path::Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let list = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(|row| row.unwrap()).collect()
    };
    let mut all = list(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name NOT LIKE 'bootmigrate%' \
         AND name NOT LIKE 'sqlite%' ORDER BY name",
    );
    for table in list(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'bootmigrate%' AND \
         name NOT LIKE 'sqlite%' ORDER BY name",
    ) {
        let columns = list(&format!(
            "SELECT name FROM pragma_table_info('{table}') WHERE name NOT IN ('applied_on', \
             'changed_at')"
        ));
        let quoted: Vec<String> =
            columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
        all.extend(list(&format!(
            "SELECT '{table} ' || {} FROM \"{table}\" ORDER BY 1",
            quoted.join(" || '|' || ")
        )));
    }
    all
}

#[test]
fn a_new_device_from_the_baseline_is_as_one_from_the_chain() {
    let product = squashed();
    let migrations = fs::read_to_string(product.migrations().join("migrations.lock")).unwrap();
    for root in ["chain", "baseline"] {
        fs::create_dir_all(product.path().join(root).join("var/lib/gateway")).unwrap();
    }
    let path = |root: &str| product.path().join(root).join("var/lib/gateway/settings.db");
    let sql = fs::read_to_string(product.path().join("baseline.sql")).unwrap();
    Connection::open(path("baseline")).unwrap().execute_batch(&sql).unwrap();
    let run =
        |root: &str| product.run(&["device", "run", "--db", "settings", "--json", "--root", root]);
    assert_eq!(run("chain").code, 0);
    let report: serde_json::Value = serde_json::from_str(&run("baseline").out).unwrap();
    let of = |key: &str| report.pointer(&format!("/databases/0/{key}")).unwrap().clone();
    assert_eq!(
        (of("outcome"), of("from"), of("version"), of("applied")),
        ("migrated".into(), 13.into(), 14.into(), serde_json::json!([14]))
    );
    assert_eq!(rows(&path("baseline")), rows(&path("chain")));
    assert_eq!(
        fs::read_to_string(product.migrations().join("migrations.lock")).unwrap(),
        migrations,
        "old devices need the folder as it is"
    );
    let again = product.run(&["squash", "--db", "settings", "--up-to", "13", "-o", "again.sql"]);
    assert_eq!(again.code, 0);
}

#[test]
fn what_cannot_be_squashed_is_refused() {
    let first = "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT);\n";
    let product = Product::with(&[
        ("bootmigrate.toml", "[databases.notes]\npath = \"/data/notes.db\"\n"),
        ("notes/V1__first.sql", first),
    ]);
    let squash = |up_to: &str| {
        product.run(&["squash", "--db", "notes", "--up-to", up_to, "-o", "baseline.sql"])
    };
    let refused = squash("1");
    assert!(
        refused.code == 2
            && refused
                .err
                .contains("migrations/notes/V1__first.sql is not released and may still change"),
        "{refused:?}"
    );
    product.release();
    assert_eq!(squash("1").code, 0);
    product.write("notes/V2__words.sql", "CREATE VIRTUAL TABLE words USING fts5(text);\n");
    product.release();
    let refused = squash("2");
    assert!(
        refused.code == 2
            && refused
                .err
                .contains("words is a virtual table, whose content only its module knows"),
        "{refused:?}"
    );
    assert_eq!(squash("3").err, "bootmigrate-workbench: notes has no version 3\n");
}

#[test]
fn a_schema_as_documentation_and_as_a_picture() {
    let product = Product::example();
    let markdown = product.run(&["schema", "--db", "settings", "--format", "markdown"]).out;
    for part in [
        "# settings at version 14\n",
        "\n## sensor\n",
        "| id | INTEGER | no |  | primary key |\n",
        "refers to site(id)",
        "- referred to by calibration_point\n",
    ] {
        assert!(markdown.contains(part), "{part} is missing:\n{markdown}");
    }
    let svg = product.run(&["schema", "--db", "settings", "--format", "svg"]).out;
    assert!(
        svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n") && !svg.contains("<script"),
        "{svg}"
    );
    let boxes = svg.matches("<rect class=\"head\"").count();
    let lines = svg.matches("<path d=").count();
    assert_eq!(
        (boxes, lines),
        (
            markdown.matches("\n## ").count()
                - markdown.matches("\n## view").count()
                - markdown.matches("\n## trigger").count(),
            2
        )
    );
    let database = |name: &str, sql: &str| {
        Connection::open(product.path().join(name)).unwrap().execute_batch(sql).unwrap()
    };
    database("old.db", "CREATE TABLE note (id INTEGER PRIMARY KEY);");
    database(
        "new.db",
        "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT); CREATE TABLE tag (word TEXT);",
    );
    let found = product.run(&["schema", "--file", "new.db", "--since-file", "old.db"]).out;
    assert!(found.contains("+ ") && found.contains("tag") && found.contains("text"), "{found}");
    assert_eq!(
        product.run(&["schema", "--file", "old.db", "--since-file", "old.db"]).out,
        "the same\n"
    );
}

/// `sqlite3 FILE < baseline.sql` leaves out a CR before an LF, also within a text.
#[test]
fn a_text_with_line_ends_of_two_bytes_is_written_in_hexadecimal() {
    let sql =
        "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT);\nINSERT INTO note VALUES (1, \
               'one' || char(13, 10) || 'two');\n";
    let product = Product::with(&[
        ("bootmigrate.toml", "[databases.notes]\npath = \"/data/notes.db\"\n"),
        ("notes/V1__first.sql", sql),
    ]);
    product.release();
    let made = product.run(&["squash", "--db", "notes", "--up-to", "1", "-o", "baseline.sql"]);
    assert_eq!(made.code, 0, "{made:?}");
    let text = fs::read_to_string(product.path().join("baseline.sql")).unwrap();
    assert!(!text.contains('\r') && text.contains("CAST(x'6F6E650D0A74776F' AS TEXT)"), "{text}");
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(&text).unwrap();
    let read: String = connection.query_row("SELECT text FROM note", [], |row| row.get(0)).unwrap();
    assert_eq!(read, "one\r\ntwo");
}
