//! Owns the judgement of `sanitize`: nothing of what a person wrote is in the new file, and it is
//! rehearsed on as the old one.
//! Promises: what is looked for is looked for in the bytes of the file.
//! Never a real field database.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::Product;
use rusqlite::Connection;

/// People, their notes, and a word that the schema itself says.
const FIELD: &str = "
CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, mail TEXT NOT NULL UNIQUE COLLATE \
                     NOCASE, phone INTEGER, born TEXT CHECK (date(born) IS NOT NULL),
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'closed')), picture BLOB, height \
                     REAL);
CREATE TABLE note (person TEXT NOT NULL REFERENCES person (mail), text TEXT CHECK (length(text) < \
                     40));
CREATE TABLE pair (a TEXT, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE INDEX note_by_person ON note (person);
CREATE TRIGGER told AFTER INSERT ON note BEGIN INSERT OR REPLACE INTO pair VALUES ('trigger', \
                     new.text); END;
CREATE VIEW notes AS SELECT text FROM note;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO person (mail, phone, born, state, picture, height)
SELECT 'Margarete' || i || '@example.org', 491700000000 + i * 7919, date('1970-01-01', i || ' \
                     days'), iif(i % 3, 'open', 'closed'), randomblob(30), 1.5 + i / 1000.0 FROM n;
INSERT INTO note SELECT iif(id % 2, mail, upper(mail)), 'called Margarete on day ' || id FROM \
                     person;
DELETE FROM person WHERE id > 290; DELETE FROM note WHERE person NOT IN (SELECT mail FROM person);
PRAGMA user_version = 7;";

struct Field {
    product: Product,
}

impl Field {
    fn new() -> Field {
        let field = Field { product: Product::with(&[]) };
        field
            .open("field.db")
            .execute_batch(&format!("PRAGMA foreign_keys = OFF; {FIELD}"))
            .unwrap();
        field
    }

    fn open(&self, name: &str) -> Connection {
        Connection::open(self.product.path().join(name)).unwrap()
    }

    fn list(&self, name: &str, sql: &str) -> Vec<String> {
        let connection = self.open(name);
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        rows.map(|row| format!("{:?}", row.unwrap())).collect()
    }
}

#[test]
fn nothing_of_a_person_is_left_and_everything_else_is() {
    let field = Field::new();
    let before = fs::read(field.product.path().join("field.db")).unwrap();
    let made = field.product.run(&["sanitize", "field.db", "--into", "clean.db"]);
    assert!(made.code == 0 && made.out.starts_with("clean.db: 3 tables, "), "{made:?}");
    assert_eq!(
        fs::read(field.product.path().join("field.db")).unwrap(),
        before,
        "the original is another"
    );
    let bytes = fs::read(field.product.path().join("clean.db")).unwrap();
    let holds = |word: &str| {
        bytes.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    assert!(
        holds("closed") && !holds("margarete") && !holds("example.org") && !holds("called"),
        "a person is in the file"
    );
    for sql in [
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name",
        "SELECT rowid FROM note ORDER BY rowid",
        "SELECT id FROM person ORDER BY id",
        "SELECT length(mail) || ' ' || state || ' ' || length(phone) || ' ' || length(picture) \
         FROM person ORDER BY id",
        "SELECT sum(length(text)) FROM note",
        "SELECT count(*) || ' ' || count(DISTINCT mail) || ' ' || count(DISTINCT phone) || ' ' || \
         count(DISTINCT born) FROM person",
        "SELECT count(*) FROM note JOIN person ON mail = person",
        "SELECT count(*) FROM note JOIN person ON mail = person COLLATE BINARY",
        "SELECT count(*) FROM pair",
        "SELECT count(*) FROM pragma_foreign_key_check",
        "SELECT * FROM pragma_integrity_check",
        "SELECT user_version FROM pragma_user_version",
        "SELECT seq FROM sqlite_sequence WHERE name = 'person'",
    ] {
        assert_eq!(field.list("clean.db", sql), field.list("field.db", sql), "{sql}");
    }
    for sql in [
        "SELECT mail FROM person ORDER BY id",
        "SELECT phone FROM person ORDER BY id",
        "SELECT born FROM person ORDER BY id",
        "SELECT hex(picture) FROM person ORDER BY id",
        "SELECT text FROM note",
    ] {
        let (old, new) = (field.list("field.db", sql), field.list("clean.db", sql));
        let same = old.iter().zip(&new).filter(|(old, new)| old == new).count();
        assert!(same * 50 <= old.len(), "{sql}: {same} of {} are the same", old.len());
    }
}

#[test]
fn a_column_is_kept_and_a_seed_gives_the_same() {
    let field = Field::new();
    let make = |into: &str, more: &[&str]| {
        field.product.run(&[&["sanitize", "field.db", "--into", into], more].concat())
    };
    assert_eq!(
        (
            make("a.db", &["--seed", "5"]).code,
            make("b.db", &["--seed", "5", "--keep", "person.born"]).code
        ),
        (0, 0)
    );
    let mails = "SELECT mail FROM person ORDER BY id";
    assert_eq!(field.list("a.db", mails), field.list("b.db", mails));
    let born = "SELECT born FROM person ORDER BY id";
    assert_eq!(field.list("b.db", born), field.list("field.db", born));
    assert_ne!(field.list("a.db", born), field.list("field.db", born));
    let again = make("a.db", &[]);
    assert!(again.code == 2 && again.err.contains("a.db is there already"), "{again:?}");
    fs::write(field.product.path().join("field.db"), "no database at all").unwrap();
    assert_eq!(make("c.db", &[]).code, 2);
}

/// A column of a person's may have the name of SQLite's own number.
#[test]
fn a_column_called_rowid_is_disguised_and_another_tools_history_is_not() {
    let field = Field { product: Product::with(&[]) };
    let sql = "CREATE TABLE gps (rowid TEXT, fix TEXT); INSERT INTO gps VALUES ('Ada', 'Ada'); \
               CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY); INSERT INTO \
               schema_migrations VALUES ('20240101'); CREATE TABLE plain (a TEXT); INSERT INTO \
               plain (rowid, a) VALUES (77, 'Ada')";
    field.open("field.db").execute_batch(sql).unwrap();
    let made = field.product.run(&["sanitize", "field.db", "--into", "clean.db"]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(!format!("{:?}", field.list("clean.db", "SELECT rowid FROM gps")).contains("Ada"));
    for kept in ["SELECT version FROM schema_migrations", "SELECT rowid FROM plain"] {
        assert_eq!(field.list("clean.db", kept), field.list("field.db", kept), "{kept}");
    }
}
