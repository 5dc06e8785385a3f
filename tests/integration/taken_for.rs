//! Owns the tests of what looks like something else: a table like a virtual table's own, an older
//! version like a later one, newer firmware's damage like this one's, a key like another.
//! Promises: every row is looked for by plain SQLite; the same without the likeness goes as ever.
//! Never a row that is not named where it is gone.

use crate::device::TestDevice;
use crate::dump::tidy;
use rusqlite::config::DbConfig;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::FileExt;

#[track_caller]
fn runs(device: &TestDevice, arguments: &[&str], exit: &str) -> String {
    let ran = device.run(arguments);
    let said = format!("{}{}", tidy(device, &ran.stdout), tidy(device, &ran.stderr));
    assert_eq!(ran.exit, exit, "{arguments:?}: {said}");
    said
}

fn by_hand(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

fn ask(device: &TestDevice, sql: &str) -> String {
    let connection = Connection::open(device.main()).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.collect::<rusqlite::Result<Vec<_>>>().unwrap().join(" ")
}

/// The bytes of a page that an object begins with are lost.
fn lose_root(device: &TestDevice, object: &str) {
    let (page, bytes) = device.root_page(object);
    device.put_page(&(page, vec![0xee; bytes.len()]));
}

/// A table that no `UNIQUE` can be made of: its rows are put aside by a purge.
const OTHER: &str = "CREATE TABLE other (id INTEGER PRIMARY KEY, x TEXT, u INTEGER);\n\
                     CREATE INDEX other_x ON other (x);\n";
const REFUSED: (&str, &str) = ("V2__u.sql", "CREATE UNIQUE INDEX other_u ON other (u);\n");
const OTHERS_ROWS: &str = "INSERT INTO other VALUES (1, 'a', 1), (2, 'b', 1)";

/// SQLite itself calls `note_content` a table of the index's own.
#[test]
fn a_table_with_the_text_of_an_index_is_carried_over() {
    for index in [
        "fts5(body, content='note_content', content_rowid='id')",
        "fts4(content='note_content', body)",
    ] {
        let schema = format!(
            "CREATE TABLE note_content (id INTEGER PRIMARY KEY, body TEXT, u INTEGER);\n{OTHER}\
             CREATE VIRTUAL TABLE note USING {index};\n"
        );
        let rows =
            "INSERT INTO note_content VALUES (1, 'first text', 1), (2, 'second', 1); INSERT \
                    INTO note (note) VALUES ('rebuild')";
        let filled = || {
            let device = TestDevice::empty(0)
                .file(("V1__note.sql", &schema))
                .key("on_failure = \"purge\"")
                .key("on_damage = [\"salvage\"]");
            runs(&device, &["run"], "0");
            by_hand(&device, &format!("{rows}; {OTHERS_ROWS}"));
            device
        };
        let found =
            "SELECT 'first text: ' || group_concat(rowid) FROM note WHERE note MATCH 'text'";
        let texts = "SELECT id || ' ' || body FROM note_content ORDER BY id";
        let salvaged = filled();
        lose_root(&salvaged, "other_x");
        runs(&salvaged, &["scrub"], "17");
        let said = runs(&salvaged, &["run"], "0");
        assert!(said.contains("lost: nothing"), "{said}");
        assert_eq!(ask(&salvaged, texts), "1 first text 2 second", "{said}");
        let purged = filled().file(REFUSED);
        let said = runs(&purged, &["run"], "11");
        assert!(said.contains("2 rows of other (in lost_other)"), "{said}");
        assert_eq!(ask(&purged, texts), "1 first text 2 second", "{said}");
        assert_eq!(ask(&purged, found), "first text: 1", "{said}");
    }
}

/// The application's own virtual table has a module that nobody here has: what a migration made is
/// no part of it.
#[test]
fn a_table_beside_an_unknown_module_is_counted() {
    let meta = "CREATE TABLE doc_meta (id INTEGER PRIMARY KEY, x TEXT);\n";
    let device = TestDevice::empty(0)
        .file(("V1__other.sql", OTHER))
        .file(("V2__meta.sql", meta))
        .file(("V2__meta.down.sql", "DROP TABLE doc_meta;\n"));
    runs(&device, &["run"], "0");
    let connection = Connection::open(device.main()).unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
    connection
        .execute_batch(
            "INSERT INTO doc_meta VALUES (1, 'precious'); PRAGMA writable_schema = ON;
             INSERT INTO sqlite_schema VALUES ('table', 'doc', 'doc', 0,
                 'CREATE VIRTUAL TABLE doc USING vec0(e)');
             PRAGMA writable_schema = RESET",
        )
        .unwrap();
    drop(connection);
    by_hand(&device, OTHERS_ROWS);
    let purged = device.duplicate().key("on_failure = \"purge\"");
    let purged = purged.file(("V3__u.sql", REFUSED.1));
    runs(&purged, &["run"], "11");
    assert_eq!(ask(&purged, "SELECT x FROM doc_meta"), "precious");
    let older = device.without("V2__meta.sql").without("V2__meta.down.sql");
    let said = runs(&older, &["run"], "11");
    assert!(said.contains("table doc_meta (1 row)"), "{said}");
}

/// Versions that are texts: "9" is later than "10", and both were applied.
#[test]
fn what_another_tool_has_done_is_not_done_again() {
    for (tool, table) in [
        ("dbmate", "schema_migrations (version varchar(128) PRIMARY KEY)"),
        ("diesel", "__diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL)"),
    ] {
        let name = table.split(' ').next().unwrap();
        let sql = |version: u32| match version {
            10 => "UPDATE t1 SET x = x * 2;\n".to_owned(),
            _ => format!("CREATE TABLE t{version} (x INTEGER);\n"),
        };
        let made = |but: &str| {
            let mut device = TestDevice::empty(0).key(&format!("baseline = \"{tool}\""));
            by_hand(&device, &format!("CREATE TABLE {table}"));
            for version in 1..=10 {
                device = device.file((&format!("V{version}__m.sql"), &sql(version)));
                let done = if version < 10 { sql(version) } else { String::new() };
                by_hand(&device, &format!("{done} INSERT INTO {name} VALUES ('{version}')"));
            }
            by_hand(&device, &format!("INSERT INTO t1 VALUES (10); {but}"));
            device
        };
        let device = made("");
        let said = runs(&device, &["run"], "0");
        assert!(said.contains("at version 10, as it is"), "{said}");
        assert_eq!(ask(&device, "SELECT CAST(x AS TEXT) FROM t1"), "10", "{said}");
        let gap = made(&format!("DELETE FROM {name} WHERE version = '4'"));
        let said = runs(&gap, &["run"], "16");
        assert!(said.contains("has not done V4"), "{said}");
    }
}

/// Newer firmware's database, proven good, with a page of its rows lost and noted by a scrub.
fn damaged_by_newer() -> TestDevice {
    let first = "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT);\n";
    let device = TestDevice::empty(0).slots("ab").file(("V1__a.sql", first));
    runs(&device, &["run"], "0");
    by_hand(&device, "INSERT INTO a VALUES (0, 'first')");
    let newer = device.file(("V2__n.sql", "CREATE TABLE n (x);\n"));
    runs(&newer, &["run"], "0");
    runs(&newer, &["mark-good"], "0");
    let many = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
                INSERT INTO a SELECT i, printf('%0100d', i) FROM n";
    by_hand(&newer, many);
    let page: u32 = Connection::open(newer.main())
        .unwrap()
        .query_row(
            "SELECT pageno FROM dbstat WHERE name = 'a' AND pagetype = 'leaf' LIMIT 1 OFFSET 5",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let file = fs::OpenOptions::new().write(true).open(newer.main()).unwrap();
    file.write_all_at(&[0xee; 4096], u64::from(page - 1) * 4096).unwrap();
    drop(file);
    runs(&newer, &["scrub"], "17");
    newer
}

/// The older slot would restore a copy of months ago, or empty it.
#[test]
fn newer_firmware_repairs_its_own_database() {
    let older = damaged_by_newer().without("V2__n.sql");
    let bytes = fs::read(older.main()).unwrap();
    for _ in 0..2 {
        let said = runs(&older, &["run"], "12");
        assert!(said.contains("Next: boot the newer firmware, which repairs it"), "{said}");
        assert!(fs::read(older.main()).unwrap() == bytes, "{said}");
    }
    // Whoever takes it all the same finds the rows aside.
    let taken = damaged_by_newer().without("V2__n.sql");
    runs(&taken, &["run", "--purge-and-retry"], "11");
    let aside: i64 = Connection::open(taken.main())
        .unwrap()
        .query_row("SELECT count(*) FROM lost_a", [], |row| row.get(0))
        .unwrap();
    assert!(aside > 1_900, "{aside}");
    let newer = older.file(("V2__n.sql", "CREATE TABLE n (x);\n"));
    runs(&newer, &["run"], "11");
    let kept: i64 = Connection::open(newer.main())
        .unwrap()
        .query_row("SELECT count(*) FROM a", [], |row| row.get(0))
        .unwrap();
    assert!(kept > 1_900, "{kept}");
}

/// A parent that the application made since is another one, though its key is the same: for SQLite
/// by the parent's column.
#[test]
fn a_child_stays_where_its_own_parent_was_put_aside() {
    for (parent, child, own) in [
        ("k INTEGER", "p TEXT", ("1", "'1'")),
        ("k TEXT COLLATE NOCASE", "p TEXT", ("'ab'", "'AB'")),
        ("k TEXT COLLATE RTRIM", "p TEXT", ("'ab'", "'ab  '")),
    ] {
        let schema = format!(
            "CREATE TABLE p (id INTEGER PRIMARY KEY, {parent} UNIQUE, name TEXT, u INTEGER);\n\
             CREATE TABLE c (id INTEGER PRIMARY KEY, {child} REFERENCES p (k));\n"
        );
        let device = TestDevice::empty(0)
            .file(("V1__p.sql", &schema))
            .key("on_failure = \"purge\"")
            .key("carry_over = \"*\"");
        runs(&device, &["run"], "0");
        let (key, refers) = own;
        by_hand(
            &device,
            &format!(
                "INSERT INTO p VALUES (1, {key}, 'first', 1), (2, 'zz', 'second', 1); INSERT INTO \
                 c VALUES (1, {refers})"
            )
            .replace("'zz'", if parent.starts_with("k INT") { "9" } else { "'zz'" }),
        );
        let device = device.file(("V2__u.sql", "CREATE UNIQUE INDEX p_u ON p (u);\n"));
        runs(&device, &["run"], "11");
        let device =
            device.without("V2__u.sql").file(("V2__u.sql", "CREATE UNIQUE INDEX p_u ON p (u);\n"));
        by_hand(&device, &format!("INSERT INTO p VALUES (7, {key}, 'another', 5)"));
        runs(&device, &["lost", "retry", "--db", "settings"], "0");
        assert_eq!(ask(&device, "SELECT CAST(id AS TEXT) FROM c"), "", "{parent}");
        assert_eq!(ask(&device, "SELECT CAST(id AS TEXT) FROM lost_c"), "1", "{parent}");
    }
}

/// By the parent's column a text is equal to a whole number of the child's.
#[test]
fn a_child_goes_back_to_a_parent_that_sqlite_takes_for_its_own() {
    let schema = "CREATE TABLE p (serial TEXT PRIMARY KEY);\nCREATE TABLE c (id INTEGER PRIMARY \
                  KEY, p INTEGER REFERENCES p (serial), u INTEGER);\n";
    let device = TestDevice::empty(0)
        .file(("V1__p.sql", schema))
        .key("on_failure = \"purge\"")
        .key("carry_over = \"*\"");
    runs(&device, &["run"], "0");
    by_hand(
        &device,
        "INSERT INTO p VALUES ('5'), ('6'); INSERT INTO c VALUES (1, 5, 1), (2, 6, 1)",
    );
    let device = device.file(("V2__u.sql", "CREATE UNIQUE INDEX c_u ON c (u);\n"));
    runs(&device, &["run"], "11");
    by_hand(&device, "UPDATE lost_c SET u = id");
    runs(&device, &["lost", "retry", "--db", "settings", "--yes"], "0");
    assert_eq!(ask(&device, "SELECT id || ' ' || p FROM c ORDER BY id"), "1 5 2 6");
}

/// Rows that a file inserts prove nothing of what else it does.
#[test]
fn an_update_beside_an_insert_is_not_taken_for_done() {
    let device = TestDevice::empty(0)
        .file(("V1__a.sql", "CREATE TABLE a (id INTEGER PRIMARY KEY, x INTEGER);\n"));
    runs(&device, &["run"], "0");
    // As plain refinery leaves it, and an application that makes what it misses.
    by_hand(
        &device,
        "INSERT INTO a VALUES (1, 5); DROP TABLE bootmigrate_steps; DROP TABLE bootmigrate_state; \
         CREATE TABLE k (k TEXT PRIMARY KEY, v); INSERT INTO k VALUES ('unit', 'C')",
    );
    fs::remove_dir_all(device.home().join(".bootmigrate")).unwrap();
    let inserts = "CREATE TABLE k (k TEXT PRIMARY KEY, v);\nINSERT INTO k VALUES ('unit', 'C');\n";
    let updates = format!("{inserts}UPDATE a SET x = x * 2;\n");
    let only = device.duplicate().file(("V2__k.sql", inserts));
    let said = runs(&only, &["run"], "0");
    assert!(said.contains("V2__k.sql was done before"), "{said}");
    let both = device.file(("V2__k.sql", &updates));
    let said = runs(&both, &["run"], "21");
    assert!(said.contains("cannot be told"), "{said}");
    assert_eq!(ask(&both, "SELECT CAST(x AS TEXT) FROM a"), "5");
}

/// One counter that is no number is no reason to forget the others.
#[test]
fn numbers_are_not_given_again_for_one_odd_counter() {
    let table = |name: &str| {
        format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY AUTOINCREMENT, u INTEGER);\n")
    };
    let device = TestDevice::empty(0)
        .file(("V1__ab.sql", &format!("{}{}", table("a"), table("b"))))
        .key("on_failure = \"purge\"")
        .key("carry_over = \"*\"");
    runs(&device, &["run"], "0");
    by_hand(
        &device,
        "INSERT INTO a (u) VALUES (1), (2), (3); INSERT INTO b (u) VALUES (1), (1); DELETE FROM a; \
         UPDATE sqlite_sequence SET seq = NULL WHERE name = 'b'",
    );
    let device = device.file(("V2__u.sql", "CREATE UNIQUE INDEX b_u ON b (u);\n"));
    runs(&device, &["run"], "11");
    by_hand(&device, "INSERT INTO a (u) VALUES (9)");
    assert_eq!(ask(&device, "SELECT CAST(id AS TEXT) FROM a"), "4");
}

/// `c01st` is the first column, and not the second.
#[test]
fn a_text_comes_back_in_its_own_column() {
    let schema = "CREATE VIRTUAL TABLE f USING fts4(\"1st\", \"2nd\");\n";
    let device = TestDevice::empty(0)
        .file(("V1__f.sql", schema))
        .key("on_failure = \"purge\"")
        .key("carry_over = \"*\"");
    runs(&device, &["run"], "0");
    by_hand(&device, "INSERT INTO f (docid, \"1st\") VALUES (1, 'first text')");
    let fails = "INSERT INTO f (docid, \"1st\") VALUES (1, 'q');\nDELETE FROM f WHERE docid = 1;\n";
    let device = device.file(("V2__g.sql", fails));
    runs(&device, &["run"], "11");
    runs(&device, &["lost", "retry", "--db", "settings", "--yes"], "0");
    assert_eq!(ask(&device, "SELECT \"1st\" || ifnull(\"2nd\", '-') FROM f"), "first text-");
}

/// A slot that still runs the other tool looks for it.
#[test]
fn the_table_of_another_tool_stays_through_a_purge() {
    let device = TestDevice::empty(0)
        .file(("V1__o.sql", OTHER))
        .key("baseline = \"dbmate\"")
        .key("on_failure = \"purge\"");
    by_hand(
        &device,
        &format!(
            "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY); INSERT INTO \
             schema_migrations VALUES ('1'); {OTHER} {OTHERS_ROWS}"
        ),
    );
    runs(&device, &["run"], "0");
    let device = device.file(REFUSED);
    runs(&device, &["run"], "11");
    assert_eq!(ask(&device, "SELECT version FROM schema_migrations"), "1");
}

/// What SQLite does not open, each boot would find; a scrub finds it while a copy is young.
#[test]
fn a_scrub_looks_at_the_header() {
    for (at, bytes) in [(0, &b"no database at a"[..]), (16, &[3, 7]), (44, &[9, 9, 9, 99])] {
        let device = TestDevice::booted_at(40);
        let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
        file.write_all_at(bytes, at).unwrap();
        let said = runs(&device, &["scrub"], "17");
        assert!(said.contains("the next boot checks the whole database"), "{at}: {said}");
    }
}

/// Newer firmware makes a table of the name under which rows were put aside: a name of theirs is
/// found that no migration makes.
#[test]
fn rows_are_put_aside_under_a_name_that_no_migration_makes() {
    let first = "CREATE TABLE place (id INTEGER PRIMARY KEY, x TEXT, u INTEGER);\n";
    let device = TestDevice::empty(0)
        .file(("V1__place.sql", first))
        .key("on_failure = \"purge\"")
        .key("carry_over = \"*\"");
    runs(&device, &["run"], "0");
    by_hand(&device, "INSERT INTO place VALUES (1, 'a', 1), (2, 'b', 1)");
    let refused = ("V2__u.sql", "CREATE UNIQUE INDEX place_u ON place (u);\n");
    let device = device.file(refused).file(("V3__lost.sql", "CREATE TABLE lost_place (other);\n"));
    let said = runs(&device, &["run"], "11");
    assert!(said.contains("2 rows of place (in lost_place_2)"), "{said}");
    assert_eq!(ask(&device, "SELECT x FROM lost_place_2 ORDER BY id"), "a b");
    assert_eq!(ask(&device, "SELECT name FROM pragma_table_info('lost_place')"), "other");
}
