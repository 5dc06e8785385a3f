//! Owns the judgement of `import`: a team that comes from another tool, its files and its devices.
//! Promises: a device that the tool has migrated goes on, and a new one gets the same schema.
//! Never another tool's program: its files and its table are written as it writes them.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::path::Path;

use common::Product;
use rusqlite::Connection;

const FILES: [(&str, &str); 3] = [
    (
        "20240101120000_create_notes.sql",
        "-- migrate:up\nCREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL);\n\n-- \
         migrate:down\nDROP TABLE note;\n",
    ),
    (
        "20240301090000_add-mood.sql",
        "-- migrate:up\nALTER TABLE note ADD COLUMN mood TEXT;\n\n-- migrate:down\nPRAGMA \
         foreign_keys=off;\nBEGIN;\nALTER TABLE note DROP COLUMN mood;\nCOMMIT;\nPRAGMA \
         foreign_keys=on;\n",
    ),
    (
        "20250102030405_note_by_mood.sql",
        "-- migrate:up transaction:true\nCREATE INDEX note_by_mood ON note (mood);\n-- \
         migrate:down\n",
    ),
];

/// A folder as dbmate has it, and imported.
fn imported() -> Product {
    let product = Product::with(&[]);
    let folder = product.path().join("db/migrations");
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in FILES {
        fs::write(folder.join(name), text).unwrap();
    }
    fs::write(folder.join("README.md"), "ours").unwrap();
    let ran = product.run(&["import", "db/migrations", "--from", "dbmate", "--db", "notes"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    product
}

fn boot(product: &Product, wanted: &str) {
    let ran = product.run(&["device", "run", "--root", "root"]);
    assert!(ran.code == 0 && (ran.out + &ran.err).contains(wanted), "{wanted}");
}

fn schema(file: &Path) -> Vec<String> {
    let connection = Connection::open(file).unwrap();
    let mut read = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE tbl_name = 'note' ORDER BY name")
        .unwrap();
    let lines = read.query_map([], |row| row.get(0)).unwrap();
    lines.collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn a_team_of_dbmate_goes_on_with_its_devices() {
    let product = imported();
    let read = |name: &str| fs::read_to_string(product.migrations().join("notes").join(name));
    assert_eq!(
        read("V20240301090000__add_mood.sql").unwrap(),
        "ALTER TABLE note ADD COLUMN mood TEXT;\n"
    );
    assert_eq!(
        read("V20240301090000__add_mood.down.sql").unwrap(),
        "ALTER TABLE note DROP COLUMN mood;\n"
    );
    assert!(read("V20250102030405__note_by_mood.down.sql").is_err());
    let file = product.path().join("root/var/lib/notes/notes.db");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    boot(&product, "created at version 20250102030405");
    let new = schema(&file);
    // A device that dbmate has brought to the second version.
    fs::remove_dir_all(product.path().join("root")).unwrap();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE schema_migrations (version varchar(128) primary key); CREATE TABLE note \
             (id INTEGER PRIMARY KEY, text TEXT NOT NULL); ALTER TABLE note ADD COLUMN mood TEXT; \
             INSERT INTO schema_migrations VALUES ('20240101120000'), ('20240301090000'); INSERT \
             INTO note (text) VALUES ('kept')",
        )
        .unwrap();
    drop(connection);
    boot(&product, "to 20250102030405");
    assert_eq!(schema(&file), new);
    let connection = Connection::open(&file).unwrap();
    let kept: String = connection.query_row("SELECT text FROM note", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "kept");
    // What the next release brings is checked as ever.
    let next = product.run(&["new", "colour", "--db", "notes", "--timestamp"]);
    assert_eq!(next.code, 0, "{next:?}");
}

#[test]
fn nothing_is_overwritten_and_a_wrong_folder_is_said() {
    let product = imported();
    let again = product.run(&["import", "db/migrations", "--from", "dbmate", "--db", "notes"]);
    assert!(
        again.code == 2 && again.err.contains("V20240101120000__create_notes.sql"),
        "{again:?}"
    );
    let other = product.run(&["import", "db", "--from", "diesel", "--db", "other"]);
    assert_eq!(
        (other.code, other.err.as_str()),
        (2, "bootmigrate-workbench: db has no migration as diesel names them\n")
    );
    assert!(!product.migrations().join("other").exists());
}

#[test]
fn each_tool_has_its_own_names() {
    let product = Product::with(&[]);
    for (name, text) in [
        ("diesel/2024-01-01-120000_notes/up.sql", "CREATE TABLE a (b);\n"),
        ("diesel/2024-01-01-120000_notes/down.sql", "DROP TABLE a;\n"),
        ("golang/1_notes.up.sql", "CREATE TABLE a (b);\n"),
        ("golang/1_notes.down.sql", "DROP TABLE a;\n"),
        ("sqlx/1_notes.sql", "CREATE TABLE a (b);\n"),
        ("sqlx/2_more.up.sql", "CREATE TABLE c (d);\n"),
        ("sqlx/2_more.down.sql", "DROP TABLE c;\n"),
        (
            "goose/00001_notes.sql",
            "-- +goose Up\nCREATE TABLE a (b);\n-- +goose Down\nDROP TABLE a;\n",
        ),
    ] {
        let path = product.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for (folder, tool, files) in [
        ("diesel", "diesel", vec!["V20240101120000__notes.down.sql", "V20240101120000__notes.sql"]),
        ("golang", "golang-migrate", vec!["V1__notes.down.sql", "V1__notes.sql"]),
        ("sqlx", "sqlx", vec!["V1__notes.sql", "V2__more.down.sql", "V2__more.sql"]),
        ("goose", "goose", vec!["V1__notes.down.sql", "V1__notes.sql"]),
    ] {
        let ran = product.run(&["import", folder, "--from", tool, "--db", folder]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
        let made = fs::read_dir(product.migrations().join(folder)).unwrap();
        let mut made: Vec<String> =
            made.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        made.sort();
        assert_eq!(made, files);
    }
    assert_eq!(product.run(&["list"]).code, 0);
}
