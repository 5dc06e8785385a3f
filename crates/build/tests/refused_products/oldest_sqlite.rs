//! Owns the transcript of what is said about a schema and the oldest SQLite of its applications.
//! Promises: what counts is the schema that results; every sentence word for word, with its place.
//! Never looks into the reader: folders in, sentences out.

use super::check;

/// After each the STRICT table is not in the schema.
const GONE_AGAIN: &[&str] = &[
    "DROP TABLE t;",
    "DROP TABLE IF EXISTS main.[T];",
    "CREATE TABLE n (a INT); DROP TABLE t; ALTER TABLE n RENAME TO t;",
    "ALTER TABLE t RENAME TO old; DROP TABLE old;",
];

/// A query, a temporary table, a copy, a table that is there, a column that goes again.
const IN_NO_SCHEMA: &[&str] = &[
    "UPDATE a SET b = concat(b, 1) FROM a AS c; SELECT iif(1, 2, 3);",
    "CREATE TEMP TABLE t (a INT) STRICT; CREATE TEMPORARY VIEW w AS SELECT unhex('00');",
    "CREATE TABLE t AS SELECT concat(b, 1) AS b FROM a;",
    "CREATE TABLE IF NOT EXISTS a (b) STRICT;",
    "ALTER TABLE a ADD COLUMN c AS (b + 1); ALTER TABLE a DROP COLUMN c;",
];

fn key(version: &str) -> String {
    format!(
        "slots = \"single\"\n[databases.settings]\npath = \"/data/settings.db\"\nsqlite_min \
         = \"{version}\"\n"
    )
}

#[test]
fn a_schema_is_for_the_oldest_sqlite_of_the_applications() {
    let (old, new) = (key("3.30"), key("3.37"));
    let (old, new) = (("bootmigrate.toml", old.as_str()), ("bootmigrate.toml", new.as_str()));
    let lock = ("migrations.lock", "1 26b4a11f39a289a7 settings/V1__first.sql\n");
    let strict = (
        "settings/V2__x.sql",
        "-- A comment: STRICT\nCREATE TABLE\n  \"T\" (a INT)\n  STRICT;\nCREATE INDEX i ON t(a);",
    );
    let needs = "migrations/settings/V2__x.sql:4:3: the table `t` needs SQLite 3.37 (a STRICT \
                 table), and `sqlite_min` of `settings` is 3.30: an application with that could \
                 not read it; write it otherwise, or `sqlite_min = \"3.37\"`";
    check(&[old, lock, strict], needs);
    check(&[new, lock, strict], "ok");
    // Without the key it is said once what the schema needs.
    check(
        &[lock, strict],
        "ok\n\
         migrations/settings/V2__x.sql:4:3: the table `t` needs SQLite 3.37 (a STRICT table); \
         write `sqlite_min` in [databases.settings], the oldest SQLite of its applications, and \
         the build checks that they have it",
    );
    // What counts is the schema that results.
    for later in GONE_AGAIN {
        check(&[old, lock, strict, ("settings/V3__y.sql", later)], "ok");
    }
    check(
        &[old, lock, strict, ("settings/V3__y.sql", "ALTER TABLE t RENAME TO u;")],
        &needs.replace("`t`", "`u`"),
    );
    // With its table or view an index and a trigger go, too.
    let made = "CREATE TABLE u (a); CREATE INDEX i ON u(octet_length(a)); CREATE VIEW v AS SELECT \
                1 AS a;\n\
                CREATE TRIGGER w INSTEAD OF INSERT ON v BEGIN SELECT concat(new.a); END;";
    for dropped in ["DROP TABLE u; DROP VIEW v;", "DROP TRIGGER w; DROP INDEX i;"] {
        let files = [("settings/V2__x.sql", made), ("settings/V3__y.sql", dropped)];
        check(&[&[old, lock], &files[..]].concat(), "ok");
    }
    // Not the schema's, and a down file neither.
    for other in IN_NO_SCHEMA {
        check(
            &[
                old,
                lock,
                ("settings/V2__x.sql", other),
                ("settings/V2__x.down.sql", "CREATE TABLE q (a INT) STRICT;"),
            ],
            "ok",
        );
    }
    check(&[old, lock, ("settings/V2__x.sql", "ALTER TABLE a ADD COLUMN c AS (b + 1);")], "migrations/settings/V2__x.sql:1:28: the table `a` needs SQLite 3.31 (a generated column), \
        and `sqlite_min` of `settings` is 3.30: an application with that could not read it; write \
        it otherwise, or `sqlite_min = \"3.31\"`");
    // A file that cannot be edited is said to be so.
    let adopted = format!("{}baseline_version = 1\n", old.1);
    check(
        &[("bootmigrate.toml", &adopted), ("settings/V1__first.sql", "CREATE TABLE a (b) STRICT;")],
        "ok\n\
         migrations/migrations.lock: there is none, so nothing counts as released yet; \
         `bootmigrate-workbench lock` writes it, with the first release\n\
         migrations/settings/V1__first.sql:1:20: the table `a` needs SQLite 3.37 (a STRICT table), \
         and `sqlite_min` of `settings` is 3.30: an application with that could not read it; make \
         it otherwise in a new migration, or `sqlite_min = \"3.37\"`",
    );
}
