//! Owns the rows about objects of the schema that SQLite alone cannot use, and about virtual
//! tables.
//! Promises: the application of the test has what the program under test has not.
//! Never damages a page.

use crate::device::TestDevice;
use crate::row::{row, Before};
use rusqlite::functions::FunctionFlags;
use rusqlite::Connection;

const NOTE: (&str, &str) = ("V41__note.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY, text);\n");
/// Fails where the application has written children.
const FAILS: (&str, &str) = (
    "V42__fails.sql",
    "CREATE TABLE z (a CHECK (a <= 1000)); INSERT INTO z SELECT count(*) FROM child;\n",
);

fn applies(device: &TestDevice, sql: &str) {
    let connection = Connection::open(device.main()).unwrap();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection
        .create_scalar_function("slug", 1, flags, |context| {
            Ok(context.get::<String>(0)?.to_lowercase())
        })
        .unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn row_74_what_only_the_application_has() {
    let mut row = row(74);
    let own = "CREATE TABLE mail (id INTEGER PRIMARY KEY, address TEXT CHECK (slug(address) <> \
               '')); INSERT INTO mail VALUES (1, 'A');
        PRAGMA writable_schema = ON;
        INSERT INTO sqlite_schema VALUES ('table', 'vectors', 'vectors', 0, 'CREATE VIRTUAL TABLE \
               vectors USING vec0(e)')";
    // The module is not in the judge's SQLite either: the rows are compared without it.
    let without = |device: &TestDevice| {
        applies(
            device,
            "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'vectors'",
        )
    };
    let device = TestDevice::at(40).file(NOTE);
    applies(&device, own);
    let judged = TestDevice::at(40).file(NOTE);
    applies(&judged, own);
    without(&judged);
    let before = Before::of(&judged).with_names_of(Before::of(&judged).again(&device));
    let ran = device.run(&["run"]);
    without(&device);
    row.saw(&device, before, "", &ran);
    row.boot(
        &TestDevice::at(40).file(("V41__slug.sql", "UPDATE parent SET badge = slug(name);\n")),
    );
    row.whole();
}

const WORDS: &str =
    "CREATE VIRTUAL TABLE words USING fts5(body); INSERT INTO words VALUES ('one'), ('two')";

#[test]
fn row_75_an_index_that_does_not_fit_its_text() {
    let mut row = row(75);
    for fault in
        ["INSERT INTO words_content VALUES (3, 'three')", "DELETE FROM words_content WHERE id = 1"]
    {
        let device = TestDevice::at(40).file(NOTE);
        applies(&device, &format!("{WORDS}; {fault}"));
        row.boot(&device);
    }
    row.whole();
}

#[test]
fn row_76_virtual_tables_are_carried() {
    let mut row = row(76);
    let search =
        "CREATE VIRTUAL TABLE found USING fts5(name, content = 'parent', content_rowid = 'id');
INSERT INTO found(found) VALUES ('rebuild');
CREATE VIRTUAL TABLE words USING fts5(body);\n";
    let device = TestDevice::at(40).file(("V41__search.sql", search));
    assert_eq!(device.run(&["run"]).exit, "0");
    applies(&device, "INSERT INTO words VALUES ('one'), ('two')");
    let device = device.file(FAILS).key("on_failure = \"purge\"");
    row.boot(&device);
    let connection = Connection::open(device.main()).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(
        (
            count("SELECT count(*) FROM words WHERE words MATCH 'two'"),
            count("SELECT count(*) FROM found WHERE found MATCH 'factory'")
        ),
        (1, 1000)
    );
    connection
        .execute_batch(
            "INSERT INTO words(words) VALUES ('integrity-check'); INSERT INTO found(found, rank) \
             VALUES ('integrity-check', 1)",
        )
        .unwrap();
    row.whole();
}
