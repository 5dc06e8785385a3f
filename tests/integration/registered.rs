//! Owns the tests of what only the application has: functions, collations, modules, tokenizers,
//! registered by the product or not.
//! Promises: rows and version are compared in every test; a note must name what is missing.
//! Never gives the program under test what the test says that it does not have.

use crate::carry_over::rows;
use crate::device::TestDevice;
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
        .create_scalar_function("slug", 1, flags, |context| {
            Ok(context.get::<Option<String>>(0)?.map(|text| text.to_lowercase()))
        })
        .unwrap();
    connection.create_collation("backwards", |one, other| other.cmp(one)).unwrap();
    connection
}

fn applies(device: &TestDevice, sql: &str) {
    application(Connection::open(device.main()).unwrap()).execute_batch(sql).unwrap();
}

/// An entry of the schema whose module, or tokenizer, this SQLite does not have.
fn writes_schema(device: &TestDevice, sql: &str) {
    applies(device, &format!("PRAGMA writable_schema = ON; {sql}; PRAGMA writable_schema = OFF"));
}

fn now(device: &TestDevice, table: &str) -> Vec<String> {
    rows(&application(Copy::of(&device.main()).unwrap().open()), table)
}

fn version(device: &TestDevice) -> i32 {
    let copy = Copy::of(&device.main()).unwrap();
    copy.open()
        .query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
        .unwrap()
}

/// Objects that SQLite alone cannot use, with what a note must name (nothing where no check needs
/// it).
const OBJECTS: [(&str, &str); 9] = [
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT CHECK (slug(m) <> '')); INSERT INTO u VALUES \
      (1, 'A')", "table u was checked in part: the function slug()"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'); CREATE INDEX \
      ui ON u(slug(m))", "table u was checked in part: the function slug()"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'); CREATE INDEX \
      ui ON u(m) WHERE slug(m) = 'a'", "table u was checked in part: the function slug()"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT, s TEXT AS (slug(m))); INSERT INTO u VALUES \
      (1, 'A')", "table u was checked in part: the function slug()"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT COLLATE backwards UNIQUE); INSERT INTO u \
      VALUES (1, 'A'), (2, 'b')", "table u was checked in part: the collation backwards"),
    ("CREATE TABLE u(m TEXT COLLATE backwards PRIMARY KEY) WITHOUT ROWID; INSERT INTO u VALUES \
      ('A'), ('b')", "table u was checked in part: the collation backwards"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'); CREATE INDEX \
      ui ON u(m COLLATE backwards)", "table u was checked in part: the collation backwards"),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'); CREATE VIEW \
      uv AS SELECT slug(m) FROM u", ""),
    ("CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'); CREATE \
      TRIGGER ut BEFORE INSERT ON u WHEN slug(NEW.m) = 'x' BEGIN SELECT 1; END", ""),
];

#[test]
fn a_migration_that_does_not_need_it_runs() {
    for (sql, note) in OBJECTS {
        for device in [TestDevice::at(40), TestDevice::wal_at(40)] {
            let device = device.after(|device| applies(device, sql)).firmware(40).file(NOTE);
            let (parents, own) = (now(&device, "parent"), now(&device, "u"));
            let ran = device.run(&["run"]);
            assert_eq!((ran.exit.as_str(), version(&device)), ("0", 41), "{sql}: {}", ran.stderr);
            assert!(ran.stderr.contains(note), "{sql}: {}", ran.stderr);
            assert_eq!((now(&device, "parent"), now(&device, "u")), (parents, own), "{sql}");
            assert!(device.run(&["snapshot", "verify"]).stdout.contains("good"), "{sql}");
        }
    }
}

#[test]
fn a_table_is_rebuilt_and_renamed_beside_it() {
    // SQLite's recipe compiles every index of the schema when it renames.
    for (sql, _) in OBJECTS {
        let device = TestDevice::at(40).after(|device| applies(device, sql)).firmware(41);
        let (children, own) = (now(&device, "child"), now(&device, "u"));
        let ran = device.run(&["run"]);
        assert_eq!((ran.exit.as_str(), version(&device)), ("0", 41), "{sql}: {}", ran.stderr);
        assert_eq!(
            (now(&device, "child"), now(&device, "u"), now(&device, "parent").len()),
            (children, own, 2000),
            "{sql}"
        );
    }
}

#[test]
fn a_way_back_counts_beside_it() {
    for (sql, _) in OBJECTS {
        let down = ("V41__note.down.sql", "DROP TABLE note;\n");
        let device = TestDevice::at(40)
            .after(|device| applies(device, sql))
            .firmware(40)
            .file(NOTE)
            .file(down);
        assert_eq!(device.run(&["run"]).exit, "0", "{sql}");
        applies(&device, "INSERT INTO note VALUES (1, 'x')");
        let own = now(&device, "u");
        let device = device.older(40);
        let ran = device.run(&["run"]);
        assert!(
            ran.exit == "11" && ran.stderr.contains("table note (1 row)"),
            "{sql}: {}",
            ran.stderr
        );
        assert_eq!(now(&device, "u"), own, "{sql}");
    }
}

#[test]
fn a_vacuum_evaluates_no_function_and_needs_every_order() {
    for (sql, _) in OBJECTS {
        let device = TestDevice::at(40).after(|device| applies(device, sql)).firmware(40);
        let device = device.file((
            "V41__compact.sql",
            "-- bootmigrate: no-transaction\nPRAGMA page_size = 8192;\nVACUUM;\n",
        ));
        let (parents, own) = (now(&device, "parent"), now(&device, "u"));
        let ran = device.run(&["run"]);
        let wanted = if sql.contains("backwards") { ("10", 40) } else { ("0", 41) };
        assert_eq!((ran.exit.as_str(), version(&device)), wanted, "{sql}: {}", ran.stderr);
        assert_eq!((now(&device, "parent"), now(&device, "u")), (parents, own), "{sql}");
        let connection = application(Copy::of(&device.main()).unwrap().open());
        assert_eq!(
            connection
                .query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
                .unwrap(),
            "ok",
            "{sql}"
        );
    }
}

#[test]
fn a_migration_that_needs_it_fails_and_says_how_it_is_registered() {
    let needs = [
        (
            "INSERT INTO parent (name) SELECT slug(name) || 'x' FROM parent",
            "no such function: slug (SQLite 1); the function slug() is not in this firmware",
        ),
        (
            "CREATE TABLE v (name TEXT COLLATE backwards); CREATE INDEX vi ON v(name)",
            "the collation backwards is not in this firmware",
        ),
        (
            "CREATE VIRTUAL TABLE v USING vec0(e float[3])",
            "no such module: vec0 (SQLite 1); the module vec0 is not in this firmware",
        ),
        (
            "CREATE VIRTUAL TABLE v USING fts4(x, tokenize=mine)",
            "unknown tokenizer: mine (SQLite 1); the tokenizer mine is not in this firmware",
        ),
        (
            "CREATE VIRTUAL TABLE v USING fts5(x, tokenize=mine)",
            "the tokenizer mine is not in this firmware",
        ),
    ];
    for (sql, words) in needs {
        let device = TestDevice::at(40).file(("V41__needs.sql", &format!("{sql};\n")));
        let parents = now(&device, "parent");
        let ran = device.run(&["run"]);
        assert_eq!((ran.exit.as_str(), version(&device)), ("10", 40), "{sql}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(words)
                && ran.stderr.contains("register it with Migrator::on_connection"),
            "{sql}: {}",
            ran.stderr
        );
        assert_eq!(now(&device, "parent"), parents, "{sql}");
    }
}

#[test]
fn a_module_and_a_tokenizer_of_the_application_are_named() {
    let module = "INSERT INTO sqlite_schema VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v \
                  USING vec0(e)')";
    let tokenizer =
        "UPDATE sqlite_schema SET sql = replace(sql, 'porter', 'mine') WHERE name = 'f'";
    let own = "CREATE VIRTUAL TABLE f USING fts5(body, tokenize = 'porter'); INSERT INTO f VALUES \
               ('hello'); CREATE TABLE v_rows (id, e); INSERT INTO v_rows VALUES (1, 2)";
    let device = TestDevice::at(40).after(|device| {
        applies(device, own);
        writes_schema(device, &format!("{module}; {tokenizer}"));
    });
    let device = device.firmware(40).file(NOTE);
    let (parents, text, vectors) =
        (now(&device, "parent"), now(&device, "f_content"), now(&device, "v_rows"));
    let ran = device.run(&["run"]);
    assert_eq!((ran.exit.as_str(), version(&device)), ("0", 41), "{}", ran.stderr);
    for note in [
        "virtual table v was checked in part: the module vec0 is not in this firmware",
        "virtual table f was checked in part",
        "mine",
    ] {
        assert!(ran.stderr.contains(note), "{note}: {}", ran.stderr);
    }
    assert_eq!(
        (now(&device, "parent"), now(&device, "f_content"), now(&device, "v_rows")),
        (parents, text, vectors)
    );
}

/// Indexes whose entries cannot be made without the application.
const INDEXES: [&str; 5] = [
    "CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT); INSERT INTO u VALUES (1, 'A'), (2, 'b'); \
     CREATE UNIQUE INDEX ui ON u(id, slug(m))",
    "CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT, s TEXT AS (slug(m))); INSERT INTO u VALUES (1, \
     'A'); CREATE INDEX ui ON u(m) WHERE s = 'a'",
    "CREATE TABLE u(id INTEGER PRIMARY KEY, m TEXT, s TEXT AS (slug(m))); INSERT INTO u VALUES (1, \
     'A'), (2, 'b'); CREATE INDEX ui ON u(s, m)",
    "CREATE TABLE u(id PRIMARY KEY, m TEXT) WITHOUT ROWID; INSERT INTO u VALUES (1, 'A'), (2, \
     'b'); CREATE INDEX ui ON u(m) WHERE slug(m) = 'a'",
    "CREATE TABLE u(m TEXT COLLATE backwards PRIMARY KEY, n) WITHOUT ROWID; INSERT INTO u VALUES \
     ('A', 1), ('b', 2), ('c', 3), ('d', 4), ('e', 5);
     CREATE INDEX ui ON u(n)",
];

#[test]
fn damage_elsewhere_is_found_all_the_same() {
    for sql in OBJECTS.iter().map(|(sql, _)| *sql).chain(INDEXES) {
        let device =
            TestDevice::at(40).after(|device| applies(device, sql)).firmware(40).file(NOTE);
        let (parents, own) = (now(&device, "parent"), now(&device, "u"));
        let root: i64 = Copy::of(&device.main())
            .unwrap()
            .open()
            .query_row(
                "SELECT rootpage FROM sqlite_schema WHERE name = 'child_parent'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        {
            let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
            file.write_all_at(&[0xa5; 4096], (root as u64 - 1) * 4096).unwrap();
        }
        let ran = device.run(&["run"]);
        // Repaired by new indexes, or by a database with every row: in `u`, or aside where no
        // migration makes it.
        assert!(["0", "11"].contains(&ran.exit.as_str()), "{sql}: {}", ran.stderr);
        assert_eq!(
            (version(&device), now(&device, "parent")),
            (41, parents),
            "{sql}: {}",
            ran.stderr
        );
        let mut here = [now(&device, "u"), now(&device, "lost_u")].concat();
        here.sort();
        assert_eq!(here, own, "each once: {sql}: {}", ran.stderr);
        let unproven =
            ran.stderr.contains("rows of u that only the index ui knows, which cannot be compared");
        assert!(unproven || !INDEXES.contains(&sql), "{sql}: {}", ran.stderr);
        assert!(
            fs::read_dir(device.state("settings").join("quarantine")).unwrap().count() == 1,
            "{sql}: {}",
            ran.stderr
        );
    }
}

#[test]
fn rows_are_carried_out_of_it() {
    for (sql, _) in OBJECTS {
        let device = TestDevice::at(40).after(|device| applies(device, sql));
        let (parents, own) = (now(&device, "parent"), now(&device, "u"));
        let device =
            device.firmware(40).file(crate::product::UNIQUE_BADGE).key("on_failure = \"purge\"");
        let ran = device.run(&["run"]);
        assert_eq!((ran.exit.as_str(), version(&device)), ("11", 41), "{sql}: {}", ran.stderr);
        assert_eq!(
            (now(&device, "lost_parent"), now(&device, "lost_u").len()),
            (parents, own.len()),
            "{sql}: {}",
            ran.stderr
        );
    }
}

/// Uses both in every way that a schema can.
const USES: (&str, &str) = (
    "V41__uses.sql",
    "CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT COLLATE backwards UNIQUE CHECK \
     (slug(name) <> ''), s AS (slug(name)) STORED);
CREATE INDEX tag_slug ON tag (slug(name));
CREATE TRIGGER tagged AFTER INSERT ON tag BEGIN UPDATE parent SET badge = slug(NEW.name) WHERE id \
     = NEW.id; END;
INSERT INTO tag (id, name) VALUES (1, 'A'), (2, 'b');
",
);

fn registers(device: TestDevice) -> TestDevice {
    device.environment("BOOTMIGRATE_TEST_REGISTERS", "yes")
}

#[test]
fn what_a_product_registers_is_on_every_connection() {
    let device = registers(TestDevice::at(40).file(USES));
    let ran = device.run(&["run"]);
    assert_eq!((ran.exit.as_str(), version(&device)), ("0", 41), "{}", ran.stderr);
    assert!(!ran.stderr.contains("note:"), "everything was checked: {}", ran.stderr);
    assert_eq!(now(&device, "tag").len(), 2);
    // On a copy, in memory, beside, from a snapshot, and from nothing.
    let vacuum = ("V42__compact.sql", "-- bootmigrate: no-transaction\nVACUUM;\n");
    let device = device.file(vacuum);
    for (line, exit) in [
        ("rehearse", "0"),
        ("run", "0"),
        ("snapshot create", "0"),
        ("snapshot verify", "0"),
        ("doctor", "0"),
        ("plan", "0"),
    ] {
        let ran = device.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.exit, exit, "{line}: {}{}", ran.stdout, ran.stderr);
        assert!(
            !format!("{}{}", ran.stdout, ran.stderr).contains("in part"),
            "{line}: {}{}",
            ran.stdout,
            ran.stderr
        );
    }
    assert_eq!((version(&device), now(&device, "tag").len()), (42, 2));
    let device = device.file((
        "V43__fails.sql",
        "CREATE TABLE z (a CHECK (a <= 1000)); INSERT INTO z SELECT count(*) FROM child;\n",
    ));
    let ran = device.key("on_failure = \"purge\"").run(&["run"]);
    assert!(ran.exit == "11" && ran.stderr.contains("(in lost_child)"), "{}", ran.stderr);
}

#[test]
fn a_first_boot_uses_what_a_product_registers() {
    let device = registers(TestDevice::empty(40).file(USES));
    let ran = device.run(&["run"]);
    assert_eq!(
        (ran.exit.as_str(), version(&device), now(&device, "tag").len()),
        ("0", 41, 2),
        "{}",
        ran.stderr
    );
    let without = TestDevice::empty(40).file(USES).run(&["run"]);
    assert!(without.exit == "10" && without.stderr.contains("slug"), "{}", without.stderr);
}

#[test]
fn a_product_whose_registering_fails_is_said_once_and_the_run_goes_on() {
    for (how, words) in [
        ("fails", "the extension is not there"),
        ("panics", "it panicked: a guest may"),
        ("writes", "not authorized"),
    ] {
        let device = TestDevice::at(40).file(NOTE).environment("BOOTMIGRATE_TEST_REGISTERS", how);
        let ran = device.run(&["run"]);
        assert_eq!((ran.exit.as_str(), version(&device)), ("0", 41), "{how}: {}", ran.stderr);
        assert_eq!(
            ran.stderr.matches("the product's code for each connection failed").count(),
            1,
            "{how}: {}",
            ran.stderr
        );
        assert!(ran.stderr.contains(words), "{how}: {}", ran.stderr);
        assert!(now(&device, "made_by_the_hook").is_empty(), "{how}");
    }
}
