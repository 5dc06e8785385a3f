//! Owns the tests of which SQLite a text needs: a case for each feature that is looked for.
//! Promises: the version and the words of the need are compared; what any SQLite reads needs none.
//! Never runs the text.

use super::*;
use crate::lex::lex;

/// `3.N what` of the newest need.
#[track_caller]
fn check(sql: &str, expected: &str) {
    let seen = newest_need(&lex(sql).tokens)
        .map_or_else(String::new, |need| format!("3.{} {}", need.minor, need.what));
    assert_eq!(seen, expected, "{sql}");
}

#[test]
fn tables() {
    check("CREATE TABLE t(a INT, b TEXT) STRICT", "3.37 a STRICT table");
    check("CREATE TABLE t(a INT PRIMARY KEY) WITHOUT ROWID, STRICT", "3.37 a STRICT table");
    check("CREATE TABLE t(a, b AS (a + 1))", "3.31 a generated column");
    check("CREATE TABLE t(a, b INT GENERATED ALWAYS AS (a * 2) STORED)", "3.31 a generated column");
    check("ALTER TABLE t ADD COLUMN b AS (a * 2)", "3.31 a generated column");
    check("CREATE TABLE t(a DEFAULT (unixepoch()))", "3.38 unixepoch()");
    check("CREATE TABLE t(a CHECK (a ->> '$.x' > 1))", "3.38 the operator ->");
    check("CREATE INDEX i ON t(octet_length(a)) WHERE iif(a, 1, 0)", "3.43 octet_length()");
    check("CREATE TABLE t(a DEFAULT 1_000)", "3.46 an underscore in a number");
}

#[test]
fn what_any_sqlite_reads() {
    check(
        "CREATE TABLE t(a CHECK (CAST(a AS TEXT) <> 'STRICT'), strict, format TEXT, [median] \
         INT, \"concat\" TEXT)",
        "",
    );
    check("CREATE TABLE IF NOT EXISTS format(a, b)", "");
    check("CREATE TABLE t(a REFERENCES median(id), b /* AS (a) */) -- STRICT", "");
    check("CREATE INDEX i ON concat(a, b)", "");
    check(
        "CREATE VIEW iif(a, b) AS WITH pow(x) AS (SELECT 1), log(y) AS (SELECT 2) SELECT * FROM \
         pow, log ORDER BY 1",
        "",
    );
    check(
        "CREATE VIEW v AS SELECT 'a NULLS FIRST', \"x -> y\" FROM t WHERE a IN (SELECT b FROM u \
         ORDER BY b)",
        "",
    );
    check(
        "CREATE VIEW v AS SELECT group_concat(a, ','), printf('%d', a) FROM (SELECT a FROM t ORDER \
         BY a) GROUP BY b",
        "",
    );
    check(
        "CREATE TRIGGER r AFTER UPDATE OF a ON t BEGIN UPDATE u SET x = (SELECT y FROM w) WHERE z \
         IN (SELECT y FROM w); END",
        "",
    );
    check(
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO format(a) VALUES (1); SELECT \
         raise(ABORT, 'no'); END",
        "",
    );
    check(
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM u; UPDATE u SET a = 1; DELETE FROM \
         v; END",
        "",
    );
    check("CREATE VIEW v AS SELECT a right, b full FROM t LEFT JOIN u ON a - b > 1", "");
    check("CREATE VIRTUAL TABLE f USING fts5(locale, text, tokenize = 'porter')", "");
    check("CREATE VIEW v AS SELECT t.format, t.\"if\" FROM t", "");
    check("", "");
    check("CREATE VIEW v AS SELECT (", "");
}

#[test]
fn queries() {
    check(
        "CREATE VIEW v AS SELECT row_number() OVER (ORDER BY a) FROM t",
        "3.25 a window function",
    );
    check(
        "CREATE VIEW v AS SELECT sum(a) OVER w FROM t WINDOW w AS (PARTITION BY b ORDER BY a)",
        "3.25 a window function",
    );
    check(
        "CREATE VIEW v AS SELECT sum(a) FILTER (WHERE b) OVER (ORDER BY a) FROM t",
        "3.25 a window function",
    );
    check(
        "CREATE VIEW v AS SELECT sum(a) FILTER (WHERE b) FROM t",
        "3.30 FILTER of an aggregate function",
    );
    check(
        "CREATE VIEW v AS SELECT sum(a) OVER (ORDER BY a RANGE BETWEEN 5 PRECEDING AND CURRENT \
         ROW) FROM t",
        "3.28 an expression in RANGE",
    );
    check(
        "CREATE VIEW v AS SELECT sum(a) OVER (ORDER BY a RANGE BETWEEN UNBOUNDED PRECEDING AND \
         CURRENT ROW) FROM t",
        "3.25 a window function",
    );
    check(
        "CREATE VIEW v AS SELECT sum(a) OVER (ORDER BY a GROUPS CURRENT ROW EXCLUDE TIES) FROM t",
        "3.28 GROUPS in a window",
    );
    check("CREATE VIEW v AS SELECT a FROM t ORDER BY a NULLS LAST", "3.30 NULLS LAST");
    check(
        "CREATE VIEW v AS WITH c(x) AS NOT MATERIALIZED (SELECT 1) SELECT * FROM c",
        "3.35 NOT MATERIALIZED",
    );
    check("CREATE VIEW v AS SELECT a FROM t RIGHT OUTER JOIN u USING (a)", "3.39 RIGHT JOIN");
    check("CREATE VIEW v AS SELECT a FROM t NATURAL FULL JOIN u", "3.39 FULL JOIN");
    check("CREATE VIEW v AS SELECT a IS NOT DISTINCT FROM b FROM t", "3.39 IS NOT DISTINCT FROM");
    check(
        "CREATE VIEW v AS SELECT group_concat(a, ',' ORDER BY id DESC) FROM t",
        "3.44 ORDER BY inside an aggregate function",
    );
    check(
        "CREATE VIEW v AS SELECT sum(a) OVER (w ORDER BY b) FROM t WINDOW w AS (PARTITION BY c)",
        "3.25 a window function",
    );
    check(
        "CREATE VIEW v AS SELECT Format('%d', a), jsonb_set(b, '$.x', 1) FROM t",
        "3.45 jsonb_set()",
    );
    check("CREATE VIEW v AS SELECT value FROM t, jsonb_each(t.a)", "3.51 jsonb_each()");
    check("CREATE VIEW v AS SELECT iif(a, 1) FROM t", "3.48 iif() with two arguments");
    check("CREATE VIEW v AS SELECT iif(a, 1, max(b, 2)) FROM t", "3.32 iif()");
    check(
        "CREATE VIEW v AS SELECT if(a, 1, b, 2) FROM t",
        "3.49 if() with more than three arguments",
    );
    check("CREATE VIEW v AS SELECT sqrt(a) FROM t", "3.35 sqrt()");
}

#[test]
fn triggers_and_virtual_tables() {
    let trigger =
        |body: &str| format!("CREATE TRIGGER r AFTER UPDATE OF a ON t BEGIN SELECT 1; {body}; END");
    check(
        &trigger("UPDATE u SET x = w.y FROM w WHERE w.id = u.id"),
        "3.33 UPDATE … FROM in a trigger",
    );
    check(&trigger("UPDATE u SET x = 1 WHERE a IS DISTINCT FROM 2"), "3.39 IS DISTINCT FROM");
    check(&trigger("INSERT INTO u(a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2"), "");
    check(
        &trigger("INSERT INTO u(a) VALUES (1) ON CONFLICT DO UPDATE SET a = 2"),
        "3.35 ON CONFLICT DO UPDATE without a target",
    );
    check(
        &trigger(
            "INSERT INTO u(a) VALUES (1) ON CONFLICT (a) DO NOTHING ON CONFLICT (b) DO NOTHING",
        ),
        "3.35 more than one ON CONFLICT",
    );
    check(&trigger("SELECT raise(ABORT, 'no ' || new.a)"), "3.47 an expression in RAISE()");
    check(
        "CREATE VIRTUAL TABLE f USING fts5(a, tokenize = 'trigram case_sensitive 1')",
        "3.34 the tokenizer trigram",
    );
    check(
        "CREATE VIRTUAL TABLE f USING fts5(a, content='', contentless_delete=1)",
        "3.43 the option contentless_delete of FTS5",
    );
}

#[test]
fn a_need_has_a_place() {
    let need =
        newest_need(&lex("CREATE VIEW v AS\n  SELECT a FROM t\n  ORDER BY a NULLS FIRST").tokens);
    assert_eq!(need.map(|need| (need.line, need.column)), Some((3, 14)));
}
