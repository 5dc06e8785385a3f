//! Owns the proof that the build runs the migrations on SQLite: what cannot run stops it, with its
//! place.
//! Promises: each case is one folder; the sentences are compared in full where they are ours.
//! Never needs a device.

#![cfg(feature = "sqlite")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod common;

use common::Product;

/// Problems with `error `, then warnings with `note `, one a line.
fn executed(files: &[(&str, &str)]) -> String {
    let folder = Product::with(files);
    assert!(folder.said().starts_with("ok"), "a rule says it already: {}", folder.said());
    let product = bootmigrate_build::read(&folder.folder).unwrap();
    let (problems, warnings) = bootmigrate_build::execute(&product);
    let problems = problems.iter().map(|problem| format!("error {problem}\n"));
    problems.chain(warnings.iter().map(|warning| format!("note {warning}\n"))).collect()
}

/// One problem of this place with these words.
#[track_caller]
fn refused(files: &[(&str, &str)], place: &str, words: &str) {
    let said = executed(files);
    assert!(
        said.starts_with(&format!("error migrations/settings/{place}")) && said.contains(words),
        "{files:?}: {said}"
    );
}

#[test]
fn sql_that_cannot_run_is_named_with_line_and_column() {
    refused(
        &[("settings/V2__x.sql", "SELECT 1;\n  SELCT 1;\n")],
        "V2__x.sql:2:3: ",
        "near \"SELCT\": syntax error",
    );
    refused(
        &[("settings/V2__x.sql", "INSERT INTO nowhere VALUES (1);\n")],
        "V2__x.sql:1:",
        "no such table: nowhere",
    );
    refused(&[("settings/V2__x.sql", "UPDATE a\nSET c = 1;\n")], "V2__x.sql:", "no such column: c");
    refused(
        &[("settings/V2__x.sql", "CREATE TABLE a (x);\n")],
        "V2__x.sql:1:",
        "table a already exists",
    );
    refused(
        &[("settings/V2__x.sql", "ALTER TABLE a ADD COLUMN b;\n")],
        "V2__x.sql:1:1: ",
        "duplicate column name: b",
    );
}

#[test]
fn an_object_that_does_not_compile_is_named() {
    refused(
        &[("settings/V2__x.sql", "CREATE VIEW w AS SELECT c FROM a;\n")],
        "V2__x.sql",
        "no such column: c",
    );
    let view = ("settings/V2__w.sql", "CREATE VIEW w AS SELECT b FROM a;\n");
    refused(&[view, ("settings/V3__x.sql", "DROP TABLE a;\n")], "V3__x.sql", "w");
    let trigger = "CREATE TRIGGER g AFTER INSERT ON a BEGIN INSERT INTO log VALUES (new.b); END;\n";
    refused(&[("settings/V2__x.sql", trigger)], "V2__x.sql", "no such table: main.log");
}

#[test]
fn rows_that_the_migrations_themselves_write_are_checked() {
    let tables = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id)); \
                  INSERT INTO c VALUES (7);\n";
    refused(&[("settings/V2__x.sql", tables)], "V2__x.sql", "1 rows of c refer to no row of p");
}

#[test]
fn after_a_file_that_fails_the_text_of_the_others_is_read_all_the_same() {
    let said = executed(&[
        ("settings/V2__x.sql", "SELCT 1;\n"),
        ("settings/V3__y.sql", "SELECT 1;\nCREATE TABEL t (x);\n"),
    ]);
    assert!(said.contains("V2__x.sql:1:1: ") && said.contains("V3__y.sql:2:1: "), "{said}");
}

#[test]
fn each_way_back_is_gone_and_compared() {
    let up = ("settings/V2__x.sql", "CREATE TABLE t (x);\n");
    assert_eq!(executed(&[up, ("settings/V2__x.down.sql", "DROP TABLE t;\n")]), "");
    refused(
        &[up, ("settings/V2__x.down.sql", "SELECT 1;\n")],
        "V2__x.down.sql",
        "table t is still there",
    );
    refused(
        &[up, ("settings/V2__x.down.sql", "DROP TABLE u;\n")],
        "V2__x.down.sql:1:",
        "no such table: u",
    );
    refused(
        &[up, ("settings/V2__x.down.sql", "DROP TABLE t; DROP TABLE a;\n")],
        "V2__x.down.sql",
        "table a is missing",
    );
}

#[test]
fn a_released_way_back_that_does_not_restore_is_a_note() {
    let product = Product::with(&[
        ("settings/V2__x.sql", "CREATE TABLE t (x);\n"),
        ("settings/V2__x.down.sql", "DROP TABLE t;\n"),
    ]);
    bootmigrate_build::lock(&product.folder).unwrap();
    product.write("settings/V2__x.down.sql", b"SELECT 1;\n");
    let (problems, warnings) =
        bootmigrate_build::execute(&bootmigrate_build::read(&product.folder).unwrap());
    assert_eq!(problems, []);
    assert!(
        warnings
            .iter()
            .any(|warning| warning.to_string().contains("table t is still there; released")),
        "{warnings:?}"
    );
}

#[test]
fn nothing_is_released_that_does_not_run() {
    let product = Product::with(&[("settings/V2__x.sql", "SELCT 1;\n")]);
    let problems = bootmigrate_build::lock(&product.folder).unwrap_err();
    assert!(
        problems.iter().any(|problem| problem.to_string().contains("syntax error")),
        "{problems:?}"
    );
    assert!(!product.folder.join("migrations.lock").exists());
}

#[test]
fn expectations_and_data_migrations_are_run() {
    refused(
        &[("settings/V2__x.sql", "-- bootmigrate: expect = SELECT c FROM a\nSELECT 1;\n")],
        "V2__x.sql:1:",
        "no such column: c",
    );
    let said = executed(&[(
        "settings/V2__x.sql",
        "-- bootmigrate: expect = SELECT b FROM a\nINSERT INTO a VALUES (1);\n",
    )]);
    assert!(said.starts_with("error ") && said.contains("`expect` must return no row"), "{said}");
    refused(
        &[("settings/data/V1__x.sql", "INSERT INTO nowhere VALUES (1);\n")],
        "data/V1__x.sql:1:",
        "no such table: nowhere",
    );
    // What meets the schema of the newest version, and what an earlier data migration has written,
    // is nothing to say.
    let (later, data) = (
        ("settings/V2__x.sql", "ALTER TABLE a ADD COLUMN c;\n"),
        "INSERT INTO a (b, c) VALUES (1, 2);\n",
    );
    let seen = "-- bootmigrate: expect = SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM a WHERE c = \
                2)\nUPDATE a SET c = 3 WHERE c = 4;\n";
    assert_eq!(
        executed(&[later, ("settings/data/V1__x.sql", data), ("settings/data/V2__y.sql", seen)]),
        ""
    );
}

const ADOPTED: (&str, &str) = (
    "bootmigrate.toml",
    "slots = \"single\"\n[databases.settings]\npath = \"/data/settings.db\"\nbaseline_version = \
     2\n",
);

#[test]
fn a_released_file_runs_without_what_is_harmless_and_stops_the_build_otherwise() {
    let harmless =
        "PRAGMA journal_mode = WAL;\nPRAGMA main.synchronous(OFF);\nPRAGMA busy_timeout = \
         5;\nPRAGMA encoding = 'UTF-8';\n\
         PRAGMA wal_checkpoint(TRUNCATE);\nPRAGMA locking_mode = EXCLUSIVE;\nBEGIN;\nCREATE TABLE \
         t (x);\nCOMMIT;\nVACUUM;\n";
    assert_eq!(
        executed(&[
            ADOPTED,
            ("settings/V2__x.sql", harmless),
            ("settings/V3__y.sql", "INSERT INTO t VALUES (1);\n")
        ]),
        ""
    );
    for cannot in [
        "PRAGMA writable_schema = 1;\n",
        "ATTACH ':memory:' AS o;\n",
        "ROLLBACK;\n",
        "VACUUM INTO '/nowhere';\n",
    ] {
        let said = executed(&[ADOPTED, ("settings/V2__x.sql", cannot)]);
        assert!(said.starts_with("error migrations/settings/V2__x.sql:1:1: "), "{cannot}: {said}");
    }
}

#[test]
fn what_only_the_product_has_is_a_note() {
    let said = executed(&[(
        "settings/V2__x.sql",
        "UPDATE a SET b = slug(b);\nCREATE INDEX i ON a (b COLLATE german);\n",
    )]);
    assert!(!said.contains("error "), "{said}");
    assert!(
        said.contains("no such function: slug")
            && said.contains("no such collation sequence: german"),
        "{said}"
    );
    let said = executed(&[("settings/V2__x.sql", "CREATE VIRTUAL TABLE v USING vec0 (x);\n")]);
    assert!(!said.contains("error ") && said.contains("no such module: vec0"), "{said}");
}

/// A later file may take away what it asks.
#[test]
fn an_expectation_is_asked_right_after_its_file() {
    let expects =
        ("settings/V2__x.sql", "-- bootmigrate: expect = SELECT b FROM a WHERE b = 7\nSELECT 1;\n");
    let goes =
        ("settings/V3__y.sql", "ALTER TABLE a ADD COLUMN c;\nALTER TABLE a DROP COLUMN b;\n");
    assert_eq!(executed(&[expects, goes]), "");
    assert_eq!(executed(&[expects, ("settings/V3__y.sql", "INSERT INTO a VALUES (7);\n")]), "");
}

/// What is refused, or is no SQL, does not run with them either.
#[test]
fn what_only_the_product_has_excuses_nothing_else() {
    let unknown = ("settings/V1__first.sql", "CREATE TABLE a (b);\nUPDATE a SET b = slug(b);\n");
    for cannot in [
        "PRAGMA writable_schema = 1;\n",
        "ATTACH ':memory:' AS o;\n",
        "SELECT load_extension('x');\n",
        "SELCT 1;\n",
    ] {
        let said = executed(&[ADOPTED, unknown, ("settings/V2__x.sql", cannot)]);
        assert!(said.contains("error migrations/settings/V2__x.sql:1:"), "{cannot}: {said}");
    }
}

const FAMILY: (&str, &str) = (
    "settings/V1__first.sql",
    "CREATE TABLE p (id INTEGER PRIMARY KEY);\nCREATE TABLE c (p REFERENCES p (id) ON DELETE \
     CASCADE);\nINSERT INTO p VALUES (1);\nINSERT INTO c VALUES (1);\n",
);

/// Keys up to version 2 are those of an earlier tool.
fn of_before(key: &str) -> (&'static str, String) {
    (
        "bootmigrate.toml",
        format!(
            "slots = \"single\"\n[databases.settings]\npath \
             = \"/data/settings.db\"\nbaseline_version = 2\n{key}\n"
        ),
    )
}

#[test]
fn what_an_earlier_tool_would_have_changed_by_an_action_is_said() {
    for (text, place) in [
        ("SELECT 1;\n DELETE FROM p;\n", "2:2"),
        ("REPLACE INTO p VALUES (1);\n", "1:1"),
        ("DROP TABLE p;\nDROP TABLE c;\n", "1:1"),
    ] {
        let (file, unsaid) = of_before("");
        let said = executed(&[(file, &unsaid), FAMILY, ("settings/V2__x.sql", text)]);
        let wanted = format!(
            "note migrations/settings/V2__x.sql:{place}: released before bootmigrate, so this is a \
             warning only: with foreign keys enforced"
        );
        assert!(
            said.contains(&wanted) && said.contains("changes rows of c by ON DELETE"),
            "{text}: {said}"
        );
        let (file, enforced) = of_before("baseline_foreign_keys = \"enforced\"");
        assert_eq!(
            executed(&[
                (file, &enforced),
                FAMILY,
                ("settings/V2__x.sql", text),
                ("settings/V3__y.sql", "SELECT 1;\n")
            ]),
            "",
            "{text}"
        );
    }
    let (file, off) = of_before("baseline_foreign_keys = \"off\"");
    let said = executed(&[
        (file, &off),
        FAMILY,
        ("settings/V2__x.sql", "DELETE FROM c;\nDELETE FROM p;\n"),
    ]);
    assert_eq!(said, "");
    let (file, unsaid) = of_before("");
    assert_eq!(
        executed(&[
            (file, &unsaid),
            FAMILY,
            ("settings/V2__x.sql", "DELETE FROM c;\nUPDATE c SET p = NULL;\n")
        ]),
        ""
    );
}

#[test]
fn children_that_are_emptied_with_their_parent_need_no_action() {
    for text in [
        "DELETE FROM c;\nDELETE FROM p WHERE id = 1;\n",
        "DELETE FROM p;\nDELETE FROM main.\"C\";\n",
        "DELETE FROM p;\nSELECT 1;\nDROP TABLE IF EXISTS c;\n",
    ] {
        assert_eq!(executed(&[FAMILY, ("settings/V2__x.sql", text)]), "", "{text}");
    }
    // Something reads or fills it between, or not all rows go.
    for text in [
        "DELETE FROM p;\nUPDATE c SET p = NULL;\nDELETE FROM c;\n",
        "DELETE FROM c;\nINSERT INTO c SELECT NULL;\nDELETE FROM p;\n",
        "DELETE FROM p;\nDELETE FROM c WHERE p = 1;\n",
    ] {
        let said = executed(&[FAMILY, ("settings/V2__x.sql", text)]);
        assert!(said.contains("would change rows of c here"), "{text}: {said}");
    }
}

#[test]
fn a_new_file_that_relies_on_an_action_is_told_to_ask_for_it() {
    let said = executed(&[
        FAMILY,
        ("settings/V2__x.sql", "UPDATE c SET p = NULL;\nDELETE FROM p WHERE id = 1;\n"),
    ]);
    assert!(
        said.starts_with(
            "note migrations/settings/V2__x.sql:2:1: ON DELETE or ON UPDATE would change rows of c \
             here"
        ),
        "{said}"
    );
    // Its child stays.
    let said = executed(&[FAMILY, ("settings/V2__x.sql", "DELETE FROM p;\n")]);
    assert!(
        said.contains("error migrations/settings/V2__x.sql: 1 rows of c refer to no row of p"),
        "{said}"
    );
    let gone = "-- bootmigrate: foreign-keys = enforced\n-- bootmigrate: expect = SELECT p FROM \
                c\nDELETE FROM p;\n";
    assert_eq!(executed(&[FAMILY, ("settings/V2__x.sql", gone)]), "");
    assert_eq!(
        executed(&[
            FAMILY,
            (
                "settings/V2__x.sql",
                "-- bootmigrate: foreign-keys = on\nDELETE FROM c;\nDELETE FROM p;\n"
            )
        ]),
        ""
    );
    // A rebuild means its children to stay.
    let rebuild =
        "CREATE TABLE n (id INTEGER PRIMARY KEY, x);\nINSERT INTO n SELECT id, 1 FROM p;\nDROP \
         TABLE p;\nALTER TABLE n RENAME TO p;\n";
    assert_eq!(executed(&[FAMILY, ("settings/V2__x.sql", rebuild)]), "");
    refused(
        &[
            FAMILY,
            (
                "settings/V2__x.sql",
                "-- bootmigrate: foreign-keys = enforced\nINSERT INTO c VALUES (7);\n",
            ),
        ],
        "V2__x.sql:2:1",
        "FOREIGN KEY constraint failed",
    );
}

#[test]
fn what_a_rebuild_forgets_is_a_note() {
    let first = ("settings/V1__first.sql", "CREATE TABLE a (b);\nCREATE INDEX by_b ON a (b);\n");
    let rebuild = "CREATE TABLE n (b NOT NULL);\nINSERT INTO n SELECT b FROM a;\nDROP TABLE \
                   a;\nALTER TABLE n RENAME TO a;\n";
    let said = executed(&[first, ("settings/V2__x.sql", rebuild)]);
    assert!(
        said.starts_with(
            "note migrations/settings/V2__x.sql:3:1: the index by_b went with this table"
        ),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    let again = format!("{rebuild}CREATE INDEX by_b ON a (b);\n");
    assert_eq!(executed(&[first, ("settings/V2__x.sql", &again)]), "");
}

/// What one file leaves, what a later one would meet of it, and whether that stops the build in one
/// and the same file.
const LEFT: [(&str, &str); 7] = [
    ("CREATE TEMP TABLE a (b UNIQUE); INSERT INTO temp.a VALUES (1);", "INSERT INTO a VALUES (1);"),
    ("CREATE TEMP VIEW a AS SELECT 1 AS b;", "INSERT INTO a VALUES (1);"),
    ("CREATE TEMP TRIGGER t BEFORE INSERT ON main.a BEGIN SELECT raise(ABORT, 'temporary'); END;", "INSERT INTO a VALUES (1);"),
    ("CREATE VIRTUAL TABLE temp.a USING fts5 (c);", "INSERT INTO a (b) VALUES (1);"),
    ("PRAGMA max_page_count = 1;", "CREATE TABLE big AS SELECT hex(zeroblob(9000)) AS x;"),
    ("PRAGMA case_sensitive_like = ON;", "CREATE TABLE t (x CHECK (x = 1)); INSERT INTO t SELECT \
        'A' LIKE 'a';"),
    (
        "INSERT INTO a VALUES (1), (2);",
        "CREATE TABLE t (x CHECK (x = 0)); INSERT INTO t SELECT last_insert_rowid(); INSERT INTO t \
         SELECT changes() - 1;",
    ),
];

#[test]
fn a_file_finds_nothing_of_the_one_before_it() {
    for (leaves, meets) in LEFT {
        let together = executed(&[("settings/V2__x.sql", &format!("{leaves}\n{meets}\n"))]);
        assert!(together.starts_with("error "), "{leaves} does not matter to {meets}");
        let (leaves, meets) = (format!("{leaves}\n"), format!("{meets}\n"));
        assert_eq!(
            executed(&[("settings/V2__x.sql", &leaves), ("settings/V3__y.sql", &meets)]),
            "",
            "{leaves}{meets}"
        );
        // Back over the one that leaves it, and forth again.
        let step = ("settings/V3__y.sql", "CREATE TABLE u (x);\n");
        let back = format!("DROP TABLE u;\n{leaves}");
        assert_eq!(
            executed(&[step, ("settings/V3__y.down.sql", &back), ("settings/V4__z.sql", &meets)]),
            "",
            "{back}{meets}"
        );
    }
    let data = [
        (
            "settings/data/V1__x.sql",
            "PRAGMA case_sensitive_like = ON;\nINSERT INTO a VALUES (1), (2);\n",
        ),
        (
            "settings/data/V2__y.sql",
            "-- bootmigrate: expect = SELECT 1 WHERE 'A' NOT LIKE 'a' OR last_insert_rowid() > 0 \
             OR changes() > 0\nSELECT 1;\n",
        ),
    ];
    assert_eq!(executed(&data), "");
}
