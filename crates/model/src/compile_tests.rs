//! Owns the tests of compiling a schema: what breaks each kind of object, and what does not.
//! Promises: every change is compiled before and after on a real database, as a run does.
//! Never opens a file.

#![allow(clippy::unwrap_used)]

use super::*;

const BEFORE: &str =
    "CREATE TABLE sensor(id INTEGER PRIMARY KEY, level INTEGER, unit TEXT DEFAULT 'C', code TEXT);
    CREATE TABLE log(what TEXT);
    CREATE INDEX sensor_code ON sensor(lower(code)) WHERE level > 0;
    CREATE VIEW levels AS SELECT id, level FROM sensor;
    CREATE VIEW above(id) AS SELECT id FROM levels;
    CREATE TRIGGER noted AFTER INSERT ON sensor BEGIN INSERT INTO log(what) VALUES (new.code); END;
    CREATE TRIGGER moved AFTER UPDATE OF level ON sensor BEGIN INSERT INTO log(what) VALUES \
     (old.unit); END;
    CREATE TRIGGER put INSTEAD OF INSERT ON levels BEGIN INSERT INTO sensor(level) VALUES \
     (new.level); END;";

fn empty() -> Option<Connection> {
    Connection::open_in_memory().ok()
}

fn opened(schema: &str) -> Connection {
    let connection = empty().unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection.execute_batch(schema).unwrap();
    connection
}

/// What is broken after a change, and could be compiled before.
#[track_caller]
fn check(before: &str, change: &str, expected: &[&str]) {
    let connection = opened(before);
    let old = compile(&connection, &empty).unwrap();
    connection.execute_batch(change).unwrap();
    let now = compile(&connection, &empty).unwrap();
    assert_eq!(now.broken_since(&old), expected, "{change}");
    let switches = [
        DbConfig::SQLITE_DBCONFIG_DQS_DML,
        DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
    ];
    assert_eq!(
        switches.map(|switch| connection.db_config(switch).unwrap()),
        [true; 3],
        "every switch is as it was"
    );
}

#[test]
fn what_goes_on_working_is_not_named() {
    check(BEFORE, "ALTER TABLE sensor RENAME COLUMN unit TO dimension", &[]);
    check(BEFORE, "ALTER TABLE sensor ADD COLUMN twice AS (level * 2)", &[]);
    check(BEFORE, "ALTER TABLE log RENAME TO journal", &[]);
    check(BEFORE, "DROP VIEW above; DROP VIEW levels; DROP TABLE sensor", &[]);
    check(
        "CREATE VIRTUAL TABLE words USING fts5(text); CREATE VIRTUAL TABLE place USING rtree(id, \
         x0, x1)",
        "CREATE TABLE t(x)",
        &[],
    );
    check(
        "CREATE TABLE t(a, b AS (a + 1), c AS (b + 1) STORED, PRIMARY KEY(a)) WITHOUT ROWID",
        "ALTER TABLE t ADD COLUMN d",
        &[],
    );
}

#[test]
fn a_view_whose_table_or_column_is_gone() {
    check(
        BEFORE,
        "CREATE TABLE n(id INTEGER PRIMARY KEY, unit TEXT, code TEXT); DROP TABLE sensor; PRAGMA \
         legacy_alter_table = ON;
         ALTER TABLE n RENAME TO sensor",
        &[
            "view above does not compile: no such column: level",
            "view levels does not compile: no such column: level",
        ],
    );
    check(BEFORE, "DROP VIEW levels", &["view above does not compile: no such table: main.levels"]);
    check(
        BEFORE,
        "CREATE VIEW again AS SELECT * FROM again",
        &["view again does not compile: view again is circularly defined"],
    );
    check(
        BEFORE,
        "CREATE VIEW two(a, b) AS SELECT id FROM sensor",
        &["view two does not compile: expected 2 columns for 'two' but got 1"],
    );
}

#[test]
fn a_trigger_is_named_alone() {
    check(
        BEFORE,
        "DROP TABLE log; CREATE TABLE log(text)",
        &[
            "trigger moved does not compile: table log has no column named what",
            "trigger noted does not compile: table log has no column named what",
        ],
    );
    check(
        BEFORE,
        "CREATE TRIGGER bad AFTER DELETE ON sensor BEGIN INSERT INTO nowhere VALUES (old.id); END",
        &["trigger bad does not compile: no such table: main.nowhere"],
    );
    check(
        BEFORE,
        "CREATE TRIGGER bad AFTER UPDATE OF unit ON sensor WHEN new.colour > 1 BEGIN SELECT 1; END",
        &["trigger bad does not compile: no such column: new.colour"],
    );
    check(
        BEFORE,
        "CREATE TRIGGER bad INSTEAD OF DELETE ON levels BEGIN DELETE FROM sensor WHERE id = \
         old.missing; END",
        &["trigger bad does not compile: no such column: old.missing"],
    );
}

#[test]
fn a_trigger_that_fires_a_broken_one_is_not_blamed() {
    check(
        BEFORE,
        "CREATE TABLE far(x); CREATE TRIGGER far_away AFTER INSERT ON log BEGIN INSERT INTO far \
         VALUES (1, 2); END",
        &["trigger far_away does not compile: table far has 1 columns but 2 values were supplied"],
    );
}

#[test]
fn a_name_in_double_quotes_that_became_a_text_is_named() {
    let before =
        "CREATE TABLE t(id INTEGER PRIMARY KEY, level); CREATE VIEW v AS SELECT \"level\" FROM t;";
    let rebuilt =
        "CREATE TABLE n(id INTEGER PRIMARY KEY); DROP TABLE t; PRAGMA legacy_alter_table = ON; \
         ALTER TABLE n RENAME TO t";
    let words = "no such column: \"level\" - should this be a string literal in single-quotes?";
    check(
        before,
        rebuilt,
        &[&format!("view v reads a name in double quotes as a text now: {words}")],
    );
    // Another column that it reads is renamed, or this one before it goes.
    let before = "CREATE TABLE t(id INTEGER PRIMARY KEY, level, b); CREATE VIEW v AS SELECT \
                  \"level\", b FROM t;";
    let rebuilt = rebuilt.replace("PRIMARY KEY", "PRIMARY KEY, c");
    check(
        before,
        &format!("ALTER TABLE t RENAME COLUMN b TO c; {rebuilt}"),
        &[&format!("view v reads a name in double quotes as a text now: {words}")],
    );
    check(
        before,
        &format!(
            "ALTER TABLE t RENAME COLUMN b TO c; ALTER TABLE t RENAME COLUMN level TO height; \
             {rebuilt}"
        ),
        &[&format!(
            "view v reads a name in double quotes as a text now: {}",
            words.replace("level", "height")
        )],
    );
    // Written so from the beginning, it is what its author meant.
    check(before, "DROP VIEW v; CREATE VIEW v AS SELECT id FROM t WHERE level = \"high\"", &[]);
    check(before, "CREATE VIEW w AS SELECT id FROM t WHERE level = \"high\"", &[]);
}

/// SQLite rewrites what reads a table that is renamed, or a column.
#[test]
fn what_needed_a_newer_sqlite_before_is_told_apart() {
    let connection = opened(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b AS (concat(a, id))); CREATE VIEW v AS \
         SELECT concat(a, id) AS c FROM t;",
    );
    let old = compile(&connection, &empty).unwrap();
    let too_new = |sql: &str| {
        connection.execute_batch(sql).unwrap();
        compile(&connection, &empty).unwrap().too_new_since(&old, 40)
    };
    assert_eq!(too_new("ALTER TABLE t RENAME COLUMN a TO d"), Vec::<String>::new());
    assert_eq!(too_new("ALTER TABLE t RENAME TO u"), Vec::<String>::new());
    let sentence =
        |what: &str, since: &str| format!("{what} needs SQLite 3.{since}, and sqlite_min is 3.40");
    assert_eq!(
        too_new("CREATE VIEW w AS SELECT concat(d, id) AS c FROM u"),
        [sentence("view w", "44 (concat())")]
    );
    assert_eq!(
        too_new("DROP VIEW w; DROP VIEW v; CREATE VIEW v AS SELECT json_pretty(concat(d)) FROM u"),
        [sentence("view v", "46 (json_pretty())")]
    );
}

#[test]
fn what_did_not_compile_before_is_told_apart() {
    let connection = opened(BEFORE);
    connection.execute_batch("DROP TABLE log; CREATE VIEW old AS SELECT x FROM gone").unwrap();
    let old = compile(&connection, &empty).unwrap();
    connection.execute_batch("CREATE VIEW fresh AS SELECT x FROM nowhere").unwrap();
    let now = compile(&connection, &empty).unwrap();
    assert_eq!(
        now.broken_since(&old),
        ["view fresh does not compile: no such table: main.nowhere"]
    );
    let log = "does not compile: no such table: main.log";
    assert_eq!(
        now.broken_as_before(&old),
        [
            "view old does not compile: no such table: main.gone".to_owned(),
            format!("trigger moved {log}"),
            format!("trigger noted {log}")
        ]
    );
    let mut accepted = old;
    accepted.accept(compile(&connection, &empty).unwrap());
    assert_eq!(now.broken_since(&accepted), Vec::<String>::new());
}

#[test]
fn what_only_the_application_has_is_no_verdict() {
    for (schema, words) in [
        (
            "CREATE VIEW v AS SELECT signal(1)",
            "view v cannot be checked here: no such function: signal",
        ),
        (
            "CREATE VIEW v AS SELECT abs(1, 2, 3)",
            "view v cannot be checked here: wrong number of arguments to function abs()",
        ),
        (
            "CREATE TABLE t(a); CREATE VIEW v AS SELECT a FROM t ORDER BY a COLLATE german",
            "view v cannot be checked here: no such collation sequence: german",
        ),
        (
            "CREATE TABLE t(a); CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT signal(new.a); \
             END",
            "trigger tr cannot be checked here: no such function: signal",
        ),
    ] {
        let connection = opened(schema);
        let now = compile(&connection, &empty).unwrap();
        assert_eq!(now.broken_since(&Compiled::default()), Vec::<String>::new(), "{schema}");
        assert_eq!(now.unchecked(), [words], "{schema}");
    }
}

#[test]
fn names_that_need_quotes_and_many_objects() {
    let before = "CREATE TABLE \"a\"\"b c\"(\"x y\"); CREATE VIEW \"v w\" AS SELECT \"x y\" \
                  FROM \"a\"\"b c\"; CREATE TRIGGER [t t] AFTER INSERT ON \"a\"\"b c\" BEGIN \
                  SELECT new.\"x y\"; END";
    check(before, "CREATE TABLE other(x)", &[]);
    check(
        before,
        "DROP TABLE \"a\"\"b c\"",
        &["view v w does not compile: no such table: main.a\"b c"],
    );
}

#[test]
fn a_temporary_trigger_or_table_does_not_count() {
    check(
        BEFORE,
        "CREATE TEMP TABLE log(other); CREATE TEMP VIEW broken AS SELECT x FROM nowhere;",
        &[],
    );
}
