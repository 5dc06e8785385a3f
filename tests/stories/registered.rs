//! Owns the stories of what only the application has: functions, collations, modules, tokenizers, registered by the product or not.
//! Promises: rows and version are compared in every story; a note must name what is missing.
//! Never gives the program under test what the story says that it does not have.

use crate::bench::Bench;
use crate::carry_over::rows;
use crate::oracle::Copy;
use rusqlite::functions::FunctionFlags;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::FileExt;

const NOTE: (&str, &str) = ("V41__note.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY, text);\n");

/// SQLite with what the application registers.
fn application(connection: Connection) -> Connection {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection
        .create_scalar_function("slug", 1, flags, |context| Ok(context.get::<Option<String>>(0)?.map(|text| text.to_lowercase())))
        .unwrap();
    connection.create_collation("backwards", |one, other| other.cmp(one)).unwrap();
    connection
}

fn applies(bench: &Bench, sql: &str) {
    application(Connection::open(bench.main()).unwrap()).execute_batch(sql).unwrap();
}

/// An entry of the schema whose module, or tokenizer, this SQLite does not have.
fn writes_schema(bench: &Bench, sql: &str) {
    applies(bench, &format!("PRAGMA writable_schema = ON; {sql}; PRAGMA writable_schema = OFF"));
}

fn now(bench: &Bench, table: &str) -> Vec<String> {
    rows(&application(Copy::of(&bench.main()).unwrap().open()), table)
}

fn version(bench: &Bench) -> i32 {
    let copy = Copy::of(&bench.main()).unwrap();
    copy.open().query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0)).unwrap()
}

/// Objects that SQLite alone cannot use, with what a note must name (nothing where no check needs it).
const OBJECTS: [(&str, &str); 9] = [
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT CHECK (slug(m) <> '')); INSERT INTO u VALUES (1, 'A')", "table u was checked in part: the function slug()"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'); CREATE INDEX ui ON u(slug(m))", "table u was checked in part: the function slug()"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'); CREATE INDEX ui ON u(m) WHERE slug(m) = 'a'", "table u was checked in part: the function slug()"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT, s TEXT AS (slug(m))); INSERT INTO u VALUES (1, 'A')", "table u was checked in part: the function slug()"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT COLLATE backwards UNIQUE); INSERT INTO u VALUES (1, 'A'), (2, 'b')", "table u was checked in part: the collation backwards"),
    ("CREATE TABLE u(m TEXT COLLATE backwards PRIMARY KEY) WITHOUT ROWID; INSERT INTO u VALUES ('A'), ('b')", "table u was checked in part: the collation backwards"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'); CREATE INDEX ui ON u(m COLLATE backwards)", "table u was checked in part: the collation backwards"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'); CREATE VIEW uv AS SELECT slug(m) FROM u", ""),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'); CREATE TRIGGER ut BEFORE INSERT ON u WHEN slug(NEW.m) = 'x' BEGIN SELECT 1; END", ""),
];

#[test]
fn a_migration_that_does_not_need_it_runs() {
    for (sql, note) in OBJECTS {
        for bench in [Bench::at(40), Bench::wal_at(40)] {
            let bench = bench.after(|bench| applies(bench, sql)).firmware(40).file(NOTE);
            let (parents, own) = (now(&bench, "parent"), now(&bench, "u"));
            let ran = bench.run(&["run"]);
            assert_eq!((ran.exit.as_str(), version(&bench)), ("0", 41), "{sql}: {}", ran.stderr);
            assert!(ran.stderr.contains(note), "{sql}: {}", ran.stderr);
            assert_eq!((now(&bench, "parent"), now(&bench, "u")), (parents, own), "{sql}");
            assert!(bench.run(&["snapshot", "verify"]).stdout.contains("good"), "{sql}");
        }
    }
}

#[test]
fn a_table_is_rebuilt_and_renamed_beside_it() {
    // SQLite's recipe compiles every index of the schema when it renames.
    for (sql, _) in OBJECTS {
        let bench = Bench::at(40).after(|bench| applies(bench, sql)).firmware(41);
        let (children, own) = (now(&bench, "child"), now(&bench, "u"));
        let ran = bench.run(&["run"]);
        assert_eq!((ran.exit.as_str(), version(&bench)), ("0", 41), "{sql}: {}", ran.stderr);
        assert_eq!((now(&bench, "child"), now(&bench, "u"), now(&bench, "parent").len()), (children, own, 2000), "{sql}");
    }
}

#[test]
fn a_way_back_counts_beside_it() {
    for (sql, _) in OBJECTS {
        let down = ("V41__note.down.sql", "DROP TABLE note;\n");
        let bench = Bench::at(40).after(|bench| applies(bench, sql)).firmware(40).file(NOTE).file(down);
        assert_eq!(bench.run(&["run"]).exit, "0", "{sql}");
        applies(&bench, "INSERT INTO note VALUES (1, 'x')");
        let own = now(&bench, "u");
        let bench = bench.older(40);
        let ran = bench.run(&["run"]);
        assert!(ran.exit == "11" && ran.stderr.contains("table note (1 row)"), "{sql}: {}", ran.stderr);
        assert_eq!(now(&bench, "u"), own, "{sql}");
    }
}

#[test]
fn a_vacuum_evaluates_no_function_and_needs_every_order() {
    for (sql, _) in OBJECTS {
        let bench = Bench::at(40).after(|bench| applies(bench, sql)).firmware(40);
        let bench = bench.file(("V41__compact.sql", "-- bootmigrate: no-transaction\nPRAGMA page_size = 8192;\nVACUUM;\n"));
        let (parents, own) = (now(&bench, "parent"), now(&bench, "u"));
        let ran = bench.run(&["run"]);
        let wanted = if sql.contains("backwards") { ("10", 40) } else { ("0", 41) };
        assert_eq!((ran.exit.as_str(), version(&bench)), wanted, "{sql}: {}", ran.stderr);
        assert_eq!((now(&bench, "parent"), now(&bench, "u")), (parents, own), "{sql}");
        let connection = application(Copy::of(&bench.main()).unwrap().open());
        assert_eq!(connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok", "{sql}");
    }
}

#[test]
fn a_migration_that_needs_it_fails_and_says_how_it_is_registered() {
    let needs = [
        (
            "INSERT INTO parent (name) SELECT slug(name) || 'x' FROM parent",
            "no such function: slug (SQLite 1); the function slug() is not in this firmware",
        ),
        ("CREATE TABLE v (name TEXT COLLATE backwards); CREATE INDEX vi ON v(name)", "the collation backwards is not in this firmware"),
        ("CREATE VIRTUAL TABLE v USING vec0(e float[3])", "no such module: vec0 (SQLite 1); the module vec0 is not in this firmware"),
        (
            "CREATE VIRTUAL TABLE v USING fts4(x, tokenize=mine)",
            "unknown tokenizer: mine (SQLite 1); the tokenizer mine is not in this firmware",
        ),
        ("CREATE VIRTUAL TABLE v USING fts5(x, tokenize=mine)", "the tokenizer mine is not in this firmware"),
    ];
    for (sql, words) in needs {
        let bench = Bench::at(40).file(("V41__needs.sql", &format!("{sql};\n")));
        let parents = now(&bench, "parent");
        let ran = bench.run(&["run"]);
        assert_eq!((ran.exit.as_str(), version(&bench)), ("10", 40), "{sql}: {}", ran.stderr);
        assert!(ran.stderr.contains(words) && ran.stderr.contains("register it with Migrator::on_connection"), "{sql}: {}", ran.stderr);
        assert_eq!(now(&bench, "parent"), parents, "{sql}");
    }
}

#[test]
fn a_module_and_a_tokenizer_of_the_application_are_named() {
    let module = "INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING vec0(e)')";
    let tokenizer = "UPDATE sqlite_schema SET sql = replace(sql, 'porter', 'mine') WHERE name = 'f'";
    let own = "CREATE VIRTUAL TABLE f USING fts5(body, tokenize = 'porter'); INSERT INTO f VALUES ('hello'); CREATE TABLE v_rows (id, e); INSERT INTO v_rows VALUES (1, 2)";
    let bench = Bench::at(40).after(|bench| {
        applies(bench, own);
        writes_schema(bench, &format!("{module}; {tokenizer}"));
    });
    let bench = bench.firmware(40).file(NOTE);
    let (parents, text, vectors) = (now(&bench, "parent"), now(&bench, "f_content"), now(&bench, "v_rows"));
    let ran = bench.run(&["run"]);
    assert_eq!((ran.exit.as_str(), version(&bench)), ("0", 41), "{}", ran.stderr);
    for note in
        ["virtual table v was checked in part: the module vec0 is not in this firmware", "virtual table f was checked in part", "mine"]
    {
        assert!(ran.stderr.contains(note), "{note}: {}", ran.stderr);
    }
    assert_eq!((now(&bench, "parent"), now(&bench, "f_content"), now(&bench, "v_rows")), (parents, text, vectors));
}

/// Indexes whose entries cannot be made without the application.
const INDEXES: [&str; 5] = [
    "CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'), (2, 'b'); CREATE UNIQUE INDEX ui ON u(id, slug(m))",
    "CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT, s TEXT AS (slug(m))); INSERT INTO u VALUES (1, 'A'); CREATE INDEX ui ON u(m) WHERE s = 'a'",
    "CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT, s TEXT AS (slug(m))); INSERT INTO u VALUES (1, 'A'), (2, 'b'); CREATE INDEX ui ON u(s, m)",
    "CREATE TABLE u(id PRIMARY KEY, m TEXT) WITHOUT ROWID; INSERT INTO u VALUES (1, 'A'), (2, 'b'); CREATE INDEX ui ON u(m) WHERE slug(m) = 'a'",
    "CREATE TABLE u(m TEXT COLLATE backwards PRIMARY KEY, n) WITHOUT ROWID; INSERT INTO u VALUES ('A', 1), ('b', 2), ('c', 3), ('d', 4), ('e', 5);
     CREATE INDEX ui ON u(n)",
];

#[test]
fn damage_elsewhere_is_found_all_the_same() {
    for sql in OBJECTS.iter().map(|(sql, _)| *sql).chain(INDEXES) {
        let bench = Bench::at(40).after(|bench| applies(bench, sql)).firmware(40).file(NOTE);
        let (parents, own) = (now(&bench, "parent"), now(&bench, "u"));
        let root: i64 = Copy::of(&bench.main())
            .unwrap()
            .open()
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'child_parent'", [], |row| row.get(0))
            .unwrap();
        {
            let file = fs::OpenOptions::new().write(true).open(bench.main()).unwrap();
            file.write_all_at(&[0xa5; 4096], (root as u64 - 1) * 4096).unwrap();
        }
        let ran = bench.run(&["run"]);
        // Repaired by new indexes, or by a database with every row: in `u`, or aside where no migration makes it.
        assert!(["0", "11"].contains(&ran.exit.as_str()), "{sql}: {}", ran.stderr);
        assert_eq!((version(&bench), now(&bench, "parent")), (41, parents), "{sql}: {}", ran.stderr);
        let mut here = [now(&bench, "u"), now(&bench, "lost_u")].concat();
        here.sort();
        assert_eq!(here, own, "each once: {sql}: {}", ran.stderr);
        let unproven = ran.stderr.contains("rows of u that only the index ui knows, which cannot be compared");
        assert!(unproven || !INDEXES.contains(&sql), "{sql}: {}", ran.stderr);
        assert!(fs::read_dir(bench.state("settings").join("quarantine")).unwrap().count() == 1, "{sql}: {}", ran.stderr);
    }
}

#[test]
fn rows_are_carried_out_of_it() {
    for (sql, _) in OBJECTS {
        let bench = Bench::at(40).after(|bench| applies(bench, sql));
        let (parents, own) = (now(&bench, "parent"), now(&bench, "u"));
        let bench = bench.firmware(40).file(crate::product::UNIQUE_BADGE).key("on_failure = \"purge\"");
        let ran = bench.run(&["run"]);
        assert_eq!((ran.exit.as_str(), version(&bench)), ("11", 41), "{sql}: {}", ran.stderr);
        assert_eq!((now(&bench, "lost_parent"), now(&bench, "lost_u").len()), (parents, own.len()), "{sql}: {}", ran.stderr);
    }
}

/// Uses both in every way that a schema can.
const USES: (&str, &str) = (
    "V41__uses.sql",
    "CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT COLLATE backwards UNIQUE CHECK (slug(name) <> ''), s AS (slug(name)) STORED);
CREATE INDEX tag_slug ON tag (slug(name));
CREATE TRIGGER tagged AFTER INSERT ON tag BEGIN UPDATE parent SET badge = slug(NEW.name) WHERE id = NEW.id; END;
INSERT INTO tag (id, name) VALUES (1, 'A'), (2, 'b');
",
);

fn registers(bench: Bench) -> Bench {
    bench.environment("BOOTMIGRATE_TEST_REGISTERS", "yes")
}

#[test]
fn what_a_product_registers_is_on_every_connection() {
    let bench = registers(Bench::at(40).file(USES));
    let ran = bench.run(&["run"]);
    assert_eq!((ran.exit.as_str(), version(&bench)), ("0", 41), "{}", ran.stderr);
    assert!(!ran.stderr.contains("note:"), "everything was checked: {}", ran.stderr);
    assert_eq!(now(&bench, "tag").len(), 2);
    // On a copy, in memory, beside, from a snapshot, and from nothing.
    let vacuum = ("V42__compact.sql", "-- bootmigrate: no-transaction\nVACUUM;\n");
    let bench = bench.file(vacuum);
    for (line, exit) in
        [("rehearse", "0"), ("run", "0"), ("snapshot create", "0"), ("snapshot verify", "0"), ("doctor", "0"), ("plan", "0")]
    {
        let ran = bench.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.exit, exit, "{line}: {}{}", ran.stdout, ran.stderr);
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("in part"), "{line}: {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!((version(&bench), now(&bench, "tag").len()), (42, 2));
    let bench = bench.file(("V43__fails.sql", "CREATE TABLE z (a CHECK (a <= 1000)); INSERT INTO z SELECT count(*) FROM child;\n"));
    let ran = bench.key("on_failure = \"purge\"").run(&["run"]);
    assert!(ran.exit == "11" && ran.stderr.contains("(in lost_child)"), "{}", ran.stderr);
}

#[test]
fn a_first_boot_uses_what_a_product_registers() {
    let bench = registers(Bench::empty(40).file(USES));
    let ran = bench.run(&["run"]);
    assert_eq!((ran.exit.as_str(), version(&bench), now(&bench, "tag").len()), ("0", 41, 2), "{}", ran.stderr);
    let without = Bench::empty(40).file(USES).run(&["run"]);
    assert!(without.exit == "10" && without.stderr.contains("slug"), "{}", without.stderr);
}

#[test]
fn a_product_whose_registering_fails_is_said_once_and_the_run_goes_on() {
    for (how, words) in [("fails", "the extension is not there"), ("panics", "it panicked: a guest may"), ("writes", "not authorized")] {
        let bench = Bench::at(40).file(NOTE).environment("BOOTMIGRATE_TEST_REGISTERS", how);
        let ran = bench.run(&["run"]);
        assert_eq!((ran.exit.as_str(), version(&bench)), ("0", 41), "{how}: {}", ran.stderr);
        assert_eq!(ran.stderr.matches("the product's code for each connection failed").count(), 1, "{how}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{how}: {}", ran.stderr);
        assert!(now(&bench, "made_by_the_hook").is_empty(), "{how}");
    }
}
