//! Owns the tests of databases that the real refinery migrated until now.
//! Promises: the history is taken over as it is, and refinery reads it afterwards.
//! Never writes a history row by hand: refinery writes them.

use crate::device::{Grouped, Mode, TestDevice};
use crate::dump::check;
use crate::oracle;
use expect_test::expect;
use rusqlite::Connection;

#[test]
fn taken_over_from_refinery_one_by_one() {
    check(
        TestDevice::written(30, Mode::Delete, Grouped::No).firmware(41),
        "run",
        expect![[r#"
            plan:     settings: migrate 30 to 41: V40 stamp, V41 rebuild_parents, in one transaction, after a snapshot
            exit:     0
            settings: migrated 30>41 of 41, applied [40,41], usable, exit 0
            code:     BM-0 settings 30>41
            backup:   snapshots/v30-1.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn a_history_of_our_own_has_refinerys_columns() {
    // As SQLite describes them: number, name, type, not null, default, place in the primary key.
    let columns = |device: &TestDevice| -> Vec<(i32, String, String, bool, Option<String>, i32)> {
        let copy = oracle::Copy::of(&device.main()).unwrap();
        let connection = copy.open();
        let mut statement =
            connection.prepare("PRAGMA table_info(refinery_schema_history)").unwrap();
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    };
    let (ours, theirs) = (TestDevice::empty(40), TestDevice::at(41));
    assert_eq!(ours.run(&["run"]).exit, "0");
    Connection::open(ours.main()).unwrap().execute("UPDATE child SET label = 'kept'", []).unwrap();
    let ours = ours.firmware(41);
    assert_eq!(ours.run(&["run"]).exit, "0");
    assert_eq!(columns(&ours).len(), 4);
    assert_eq!(columns(&ours), columns(&theirs));
    let kept = "SELECT count(*) FROM child WHERE label = 'kept'";
    assert_eq!(
        Connection::open(ours.main()).unwrap().query_row(kept, [], |row| row.get(0)),
        Ok(1000)
    );
}

#[test]
fn taken_over_from_refinery_grouped() {
    check(
        TestDevice::written(30, Mode::Wal, Grouped::Yes).firmware(41),
        "run",
        expect![[r#"
            plan:     settings: migrate 30 to 41: V40 stamp, V41 rebuild_parents, in one transaction, after a snapshot
            exit:     0
            settings: migrated 30>41 of 41, applied [40,41], usable, exit 0
            code:     BM-0 settings 30>41
            backup:   snapshots/v30-1.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn half_done_step_of_refinery_is_recorded() {
    // The trigger and the column of V40 are there, its row is not: refinery says "duplicate column"
    // for ever.
    let mut device = TestDevice::at(30).firmware(41).half_done(40);
    device.databases[0].version = 40;
    check(
        device,
        "run",
        expect![[r#"
            plan:     settings: record V40, whose schema is there already; migrate 30 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     0
            settings: migrated 30>41 of 41, applied [40,41], usable, exit 0
            code:     BM-0 settings 30>41
            backup:   snapshots/v30-1.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn half_done_last_step_of_refinery_is_recorded() {
    let mut device = TestDevice::at(30).firmware(40).half_done(40);
    device.databases[0].version = 40;
    check(
        device,
        "run",
        expect![[r#"
            plan:     settings: record V40, whose schema is there already, after a snapshot
            exit:     0
            settings: migrated 30>40 of 40, applied [40], usable, exit 0
            code:     BM-0 settings 30>40
            backup:   snapshots/v30-1.db old, 2000 parents, 2000 children
            database: old, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn something_like_a_half_done_step_is_refused() {
    // A column of the same name that V40 does not make so: nobody knows what it is.
    check(
        TestDevice::at(30).firmware(41).after(|device| {
            let connection = Connection::open(device.main()).unwrap();
            connection.execute_batch("ALTER TABLE child ADD COLUMN changes TEXT").unwrap();
        }),
        "run",
        expect![[r#"
            plan:     settings: refuse: column child.changes is in the database already, as settings/V40__stamp.sql would make it, but the schema is not what that file leaves
            exit:     21
            settings: refused null>null of 41, applied [], not usable, exit 21
            code:     BM-21 settings ?>41
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 21, refused, touched nothing
        "#]],
    );
}

#[test]
fn line_ends_are_no_change() {
    // The old firmware was built on a machine that checked files out with CRLF.
    let device = TestDevice::empty(30);
    for (file, sql) in crate::product::read(&device.firmware_folder(), "settings") {
        std::fs::write(
            device.firmware_folder().join("settings").join(file),
            sql.replace('\n', "\r\n"),
        )
        .unwrap();
    }
    let mut connection = Connection::open(device.main()).unwrap();
    let files = oracle::refinery(&device.firmware_folder(), "settings");
    refinery::Runner::new(&files).run(&mut connection).unwrap();
    crate::device::populate(&connection);
    drop(connection);
    let mut device = device.firmware(30);
    device.databases[0].version = 30;
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let before = oracle::folder(&device.root());
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    let rows = oracle::content(&device.main()).unwrap().rows;
    assert_eq!((rows["parent"], rows["child"]), (2000, 2000));
    assert!(
        device.root().join("run/bootmigrate/ready/settings").exists(),
        "an application may open it"
    );
}

/// `t`'s rows as bytes, and the history's version, name and checksum.
fn text_and_history(main: &std::path::Path) -> (Vec<String>, Vec<(i32, String, String)>) {
    let connection = Connection::open(main).unwrap();
    let all = |sql: &str| -> Vec<String> {
        connection
            .prepare(sql)
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    };
    let history = connection
        .prepare("SELECT version, name, checksum FROM refinery_schema_history ORDER BY version")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    (all("SELECT hex(a) FROM line_ends ORDER BY id"), history)
}

#[test]
fn a_crlf_file_keeps_its_bytes_and_refinery_accepts_the_history() {
    let sql = "CREATE TABLE line_ends(id INTEGER PRIMARY KEY, a TEXT DEFAULT 'p\r\nq');\r\nINSERT \
               INTO line_ends(a) VALUES ('x\r\ny');\r\nINSERT INTO line_ends DEFAULT VALUES;\r\n";
    let device = TestDevice::empty(30);
    std::fs::write(device.firmware_folder().join("settings/V31__line_ends.sql"), sql).unwrap();
    let ran = device.run(&["run"]);
    assert!(ran.stderr.contains("[BM-0 settings 0>31]"), "{}", ran.stderr);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let theirs = device.root().join("refinery.db");
    let files = oracle::refinery(&device.firmware_folder(), "settings");
    refinery::Runner::new(&files).run(&mut Connection::open(&theirs).unwrap()).unwrap();
    let ours = text_and_history(&device.main());
    assert_eq!(ours, text_and_history(&theirs));
    assert_eq!(ours.0, ["780D0A79", "700D0A71"]);
    // refinery goes on where we stopped: nothing diverges for it.
    let report = refinery::Runner::new(&files)
        .set_abort_divergent(true)
        .run(&mut Connection::open(device.main()).unwrap())
        .unwrap();
    assert_eq!(report.applied_migrations().len(), 0);
}

/// A device that refinery left at 30, whose application then ran `application`; its firmware has
/// one more file.
fn next_to_an_application(file: &str, application: &str) -> TestDevice {
    let device = TestDevice::at(30).after(|device| {
        Connection::open(device.main()).unwrap().execute_batch(application).unwrap()
    });
    std::fs::write(device.firmware_folder().join("settings/V31__next.sql"), file).unwrap();
    device
}

/// What the file's rows are after one boot, as text; the exit code; the versions of the history.
#[track_caller]
fn boot_and_read(device: &TestDevice, arguments: &[&str], query: &str) -> (String, String, i32) {
    let ran = device.run(arguments);
    assert!(ran.stderr.contains("[BM-0 settings "), "{}", ran.stderr);
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let connection = copy.open();
    let rows: Vec<String> = connection
        .prepare(query)
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let version = connection
        .query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
        .unwrap();
    (ran.exit, rows.join(" "), version)
}

#[test]
fn what_an_application_created_is_no_half_done_step() {
    // The application created the table at its own start; refinery would run the file, which can
    // run. Each file leaves rows that nothing has written yet.
    for (file, application) in [
        ("CREATE TABLE IF NOT EXISTS t(k TEXT PRIMARY KEY, v);\nINSERT INTO t VALUES ('mode', \
          'auto');\n", "CREATE TABLE t(k TEXT PRIMARY KEY, v);"),
        (
            "CREATE TABLE IF NOT EXISTS t(k TEXT, v);\nINSERT INTO t SELECT 'mode', 'auto' WHERE \
             EXISTS (SELECT 1 FROM parent);\n",
            "CREATE TABLE t(k TEXT, v);",
        ),
        (
            "CREATE TABLE IF NOT EXISTS t(k TEXT, v);\nCREATE INDEX IF NOT EXISTS t_k ON t(k);\n-- \
             x\n/* y */ WITH n(a, b) AS (VALUES ('mode', 'auto')) INSERT INTO t SELECT a, b FROM \
             n;\n",
            "CREATE TABLE t(k TEXT, v); CREATE INDEX t_k ON t(k);",
        ),
        (
            "CREATE VIEW IF NOT EXISTS seen AS SELECT id FROM parent;\nUPDATE parent SET name = \
             'auto' WHERE id = 1;\nCREATE TABLE IF NOT EXISTS t(k, v);\nINSERT INTO t SELECT \
             'mode', name FROM parent WHERE id = 1;\n",
            "CREATE VIEW seen AS SELECT id FROM parent; CREATE TABLE t(k, v);",
        ),
    ] {
        // As SQLite keeps the text of a table that IF NOT EXISTS creates.
        let device = next_to_an_application(file, application);
        assert_eq!(boot_and_read(&device, &["run"], "SELECT k || '=' || v FROM t"), ("0".into(), "mode=auto".into(), 31), "{file}");
    }
}

#[test]
fn a_half_done_step_is_recorded_where_its_rows_are_there() {
    // refinery ran it and was cut off: run again it would fail, or write its rows twice.
    for file in [
        "CREATE TABLE t(k TEXT, v);\nINSERT INTO t VALUES ('mode', 'auto'), ('led', 'on');\n",
        "CREATE TABLE IF NOT EXISTS t(k TEXT, v);\nINSERT INTO t VALUES ('mode', 'auto'), ('led', \
         'on');\n",
        // A rebuild is no application's doing.
        "CREATE TABLE t(k, v);\nINSERT INTO t VALUES ('mode', 'auto'), ('led', 'on');\nDROP VIEW \
         family;\nCREATE TABLE child_new AS SELECT * FROM child;\nDROP TABLE child;\nALTER TABLE \
         child_new RENAME TO child;\n",
    ] {
        let device = next_to_an_application(file, file);
        let rows = boot_and_read(&device, &["run"], "SELECT k || '=' || v FROM t ORDER BY 1");
        assert_eq!(rows, ("0".into(), "led=on mode=auto".into(), 31), "{file}");
    }
}

#[test]
fn a_step_of_which_nobody_can_tell_is_refused_with_the_operators_choice() {
    for (file, application) in [
        (
            "CREATE TABLE t(k TEXT PRIMARY KEY, v);\nINSERT INTO t VALUES ('mode', 'auto');\n",
            "CREATE TABLE t(k TEXT PRIMARY KEY, v);",
        ),
        (
            "ALTER TABLE parent ADD COLUMN mode TEXT;\nUPDATE parent SET mode = 'auto';\n",
            "ALTER TABLE parent ADD COLUMN mode TEXT;",
        ),
    ] {
        let device = next_to_an_application(file, application);
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "21", "{}", ran.stderr);
        assert!(
            ran.stderr.contains("whether its rows were written cannot be told"),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("bootmigrate baseline --db settings --at 31"),
            "{}",
            ran.stderr
        );
        let adopted = boot_and_read(
            &device,
            &["baseline", "--db", "settings", "--at", "31"],
            "SELECT count(*) || '' FROM parent",
        );
        assert_eq!(adopted, ("0".into(), "2000".into(), 31), "{file}");
        assert_eq!(device.run(&["run"]).exit, "0");
    }
}

#[test]
fn version_0_of_refinery_is_a_migration_like_any_other() {
    let left_by_refinery = || {
        let device = TestDevice::empty(30).key("baseline_version = 10");
        std::fs::write(
            device.firmware_folder().join("settings/V0__zero.sql"),
            "CREATE TABLE zero(a);\nINSERT INTO zero VALUES ('0');\n",
        )
        .unwrap();
        device
    };
    let files = |device: &TestDevice| oracle::refinery(&device.firmware_folder(), "settings");
    // A new device runs it, and refinery accepts the history.
    let new = left_by_refinery();
    assert_eq!(boot_and_read(&new, &["run"], "SELECT a FROM zero"), ("0".into(), "0".into(), 30));
    let report = refinery::Runner::new(&files(&new))
        .run(&mut Connection::open(new.main()).unwrap())
        .unwrap();
    assert_eq!(report.applied_migrations().len(), 0);
    assert_eq!(boot_and_read(&new, &["run"], "SELECT a FROM zero"), ("0".into(), "0".into(), 30));
    // One that refinery left at 0, and one that it left at 10.
    for version in [0, 10] {
        let old = left_by_refinery();
        let runner = refinery::Runner::new(&files(&old));
        runner
            .set_target(refinery::Target::Version(version))
            .run(&mut Connection::open(old.main()).unwrap())
            .unwrap();
        Connection::open(old.main()).unwrap().execute("UPDATE zero SET a = 'kept'", []).unwrap();
        assert_eq!(
            boot_and_read(&old, &["run"], "SELECT a FROM zero"),
            ("0".into(), "kept".into(), 30),
            "from {version}"
        );
        assert_eq!(old.run(&["run"]).exit, "0");
    }
}
