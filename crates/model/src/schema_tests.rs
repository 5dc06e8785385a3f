//! Owns the tests of comparing two schemas: what is the same in other words, and what differs.
//! Promises: both are read from real databases in memory; each difference is its whole sentence.
//! Never opens a file.

use super::*;

fn schema(sql: &str) -> rusqlite::Result<Schema> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(sql)?;
    Schema::read(&connection, "refinery_schema_history")
}

#[track_caller]
fn check(found: &str, wanted: &str, expected: &[&str]) -> rusqlite::Result<()> {
    let differences = schema(found)?.differences(&schema(wanted)?);
    assert_eq!(
        differences.iter().map(ToString::to_string).collect::<Vec<_>>(),
        expected,
        "{found}"
    );
    assert_eq!(schema(found)? == schema(wanted)?, expected.is_empty(), "{found}");
    Ok(())
}

#[test]
fn the_same_schema_in_other_words() -> rusqlite::Result<()> {
    let wanted = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE wifi (id INTEGER PRIMARY \
                  KEY, name TEXT NOT NULL DEFAULT 'Home  X', p REFERENCES p (id))";
    let found = "CREATE TABLE P (ID integer primary key); CREATE TABLE \"Wifi\"(\n `id` integer, \
                 -- number\n [name] text default ('Home  X') not null, p,\n primary key (id), \
                 foreign key (p) references p);";
    check(found, wanted, &[])?;
    check(
        &found.replace("not null", ""),
        wanted,
        &["column wifi.name has `default 'Home  X'` where `not null default 'Home  X'` should be"],
    )?;
    check(
        &found.replace("Home  X", "home  x"),
        wanted,
        &["column wifi.name has `'home  x'` where `'Home  X'` should be"],
    )?;
    check(
        &found.replace("references p", "references p on delete cascade"),
        wanted,
        &["reference (p) to p (id) of table wifi has `cascade` where `no action` should be"],
    )
}

#[test]
fn what_differs_is_named_once() -> rusqlite::Result<()> {
    let wanted = "CREATE TABLE a (x, y); CREATE TABLE b (y); CREATE INDEX i ON a (x) WHERE y > 1";
    let found =
        "CREATE TABLE a (y, x, z CHECK (z > 0)); CREATE TABLE own (o); CREATE UNIQUE INDEX i ON a \
         (x) WHERE y > 1";
    let expected = [
        "index i has `unique (x)` where `(x)` should be",
        "table b is missing",
        "CHECK (z > 0) of table a is there and should not be",
        "column a.z is there and should not be",
        "table own is there and should not be",
    ];
    check(found, wanted, &expected)?;
    let order = ["table a has its columns in the order y, x, and should have x, y"];
    check("CREATE TABLE a (y, x)", "CREATE TABLE a (x, y)", &order)
}

/// Each is said of the constraint that it belongs to.
#[test]
fn a_constraint_that_works_otherwise_is_another() -> rusqlite::Result<()> {
    let table =
        |columns: &str| format!("CREATE TABLE p (x PRIMARY KEY); CREATE TABLE t ({columns})");
    let differ = |found: &str, wanted: &str, expected: &[&str]| {
        check(&table(found), &table(wanted), expected)
    };
    differ(
        "a CHECK (a IN ('auto', 'Man'))",
        "a CHECK (a IN ('AUTO', 'Man'))",
        &[
            "CHECK (a in ('AUTO', 'Man')) of table t is missing",
            "CHECK (a in ('auto', 'Man')) of table t is there and should not be",
        ],
    )?;
    differ(
        "a CHECK (a GLOB '[a-z]*')",
        "a CHECK (a GLOB '[A-Z]*')",
        &[
            "CHECK (a glob '[A-Z]*') of table t is missing",
            "CHECK (a glob '[a-z]*') of table t is there and should not be",
        ],
    )?;
    differ(
        "a UNIQUE, b UNIQUE ON CONFLICT REPLACE",
        "a UNIQUE ON CONFLICT REPLACE, b UNIQUE",
        &[
            "ON CONFLICT of UNIQUE (a) of table t is missing",
            "ON CONFLICT of UNIQUE (b) of table t is there and should not be",
        ],
    )?;
    differ(
        "a NOT NULL UNIQUE ON CONFLICT IGNORE",
        "a NOT NULL ON CONFLICT IGNORE UNIQUE",
        &[
            "ON CONFLICT of NOT NULL (a) of table t is missing",
            "ON CONFLICT of UNIQUE (a) of table t is there and should not be",
        ],
    )?;
    differ(
        "a REFERENCES p, b REFERENCES p DEFERRABLE INITIALLY DEFERRED",
        "a REFERENCES p DEFERRABLE INITIALLY DEFERRED, b REFERENCES p",
        &[
            "INITIALLY DEFERRED of reference (a) of table t is missing",
            "INITIALLY DEFERRED of reference (b) of table t is there and should not be",
        ],
    )?;
    differ(
        "a REFERENCES p DEFERRABLE INITIALLY DEFERRED",
        "a REFERENCES p NOT DEFERRABLE INITIALLY DEFERRED",
        &["INITIALLY DEFERRED of reference (a) of table t is there and should not be"],
    )?;
    // Behind the columns it is the same.
    differ(
        "a, b INTEGER, PRIMARY KEY (b) ON CONFLICT REPLACE, CONSTRAINT u UNIQUE (a) ON CONFLICT \
         IGNORE, FOREIGN KEY (\"a\") REFERENCES p DEFERRABLE INITIALLY DEFERRED",
        "a UNIQUE ON CONFLICT IGNORE REFERENCES p DEFERRABLE INITIALLY DEFERRED, b INTEGER \
         PRIMARY KEY ON CONFLICT REPLACE",
        &[],
    )
}

/// ALTER TABLE DROP COLUMN writes such texts in single quotes, in all of the schema.
#[test]
fn a_text_in_double_quotes_is_a_text() -> rusqlite::Result<()> {
    let wanted = "CREATE TABLE t(id INTEGER PRIMARY KEY, s TEXT DEFAULT \"On\" CHECK (s IN \
                  (\"On\", \"off\")), \"w x\" CHECK (\"W x\" > \"T\".\"s\")); CREATE INDEX i ON t(s) \
                  WHERE s <> \"Off\"; CREATE VIEW v AS SELECT \"S\" AS \"Out\", 'x' AS y FROM t WHERE \
                  s = \"Off\"; CREATE TRIGGER g AFTER INSERT ON t WHEN new.s = \"Off\" BEGIN SELECT \
                  1; END;";
    check(
        &format!("{wanted} ALTER TABLE t ADD COLUMN z; ALTER TABLE t DROP COLUMN z"),
        wanted,
        &[],
    )?;
    check(
        &wanted.replace("IN (\"On\"", "IN (\"ON\""),
        wanted,
        &[
            "CHECK (s in ('On', 'off')) of table t is missing",
            "CHECK (s in ('ON', 'off')) of table t is there and should not be",
        ],
    )
}

#[test]
fn what_a_module_keeps_is_no_part_of_it() -> rusqlite::Result<()> {
    let tables = "CREATE VIRTUAL TABLE note USING rtree (id, a, b)";
    assert_eq!(schema(tables)?.names().into_iter().collect::<Vec<_>>(), ["table note"]);
    check(
        &tables.replace("a, b", "a, b, c, d"),
        tables,
        &["table note has `, c, d)` where `)` should be"],
    )
}

#[test]
fn columns_are_counted_by_some() {
    for sql in [
        "SELECT * FROM a",
        "INSERT INTO b SELECT a.* FROM a",
        "insert into \"A\" values (1)",
        "REPLACE INTO a SELECT 1",
    ] {
        assert!(by_position(sql, "a"), "{sql}");
    }
    for sql in [
        "SELECT x * 2 FROM a",
        "INSERT INTO a (x) VALUES (1)",
        "SELECT count(*) FROM a",
        "SELECT * FROM b",
        "SELECT ' * ' FROM a",
    ] {
        assert!(!by_position(sql, "a"), "{sql}");
    }
}
