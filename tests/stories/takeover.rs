//! Owns the stories of databases that the real refinery migrated until now.
//! Promises: the history is taken over as it is, and refinery reads it afterwards.
//! Never writes a history row by hand: refinery writes them.

use crate::bench::{Bench, Grouped, Mode};
use crate::oracle;
use crate::picture::check;
use expect_test::expect;
use rusqlite::Connection;

/// The file's statements ran and were committed; the power went before refinery's second transaction.
fn half_done(bench: &Bench, version: i32) {
    let files = crate::product::read(&bench.firmware_folder(), "settings");
    let (_, sql) = files.iter().find(|(file, _)| crate::product::version(file) == version).unwrap();
    let connection = Connection::open(bench.main()).unwrap();
    connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; BEGIN; {sql} COMMIT;")).unwrap();
}

#[test]
fn taken_over_from_refinery_one_by_one() {
    check(
        Bench::written(30, Mode::Delete, Grouped::No).firmware(41),
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
    let columns = |bench: &Bench| -> Vec<(i32, String, String, bool, Option<String>, i32)> {
        let copy = oracle::Copy::of(&bench.main()).unwrap();
        let connection = copy.open();
        let mut statement = connection.prepare("PRAGMA table_info(refinery_schema_history)").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    };
    let (ours, theirs) = (Bench::empty(40), Bench::at(41));
    assert_eq!(ours.run(&["run"]).exit, "0");
    Connection::open(ours.main()).unwrap().execute("UPDATE child SET label = 'kept'", []).unwrap();
    let ours = ours.firmware(41);
    assert_eq!(ours.run(&["run"]).exit, "0");
    assert_eq!(columns(&ours).len(), 4);
    assert_eq!(columns(&ours), columns(&theirs));
    let kept = "SELECT count(*) FROM child WHERE label = 'kept'";
    assert_eq!(Connection::open(ours.main()).unwrap().query_row(kept, [], |row| row.get(0)), Ok(1000));
}

#[test]
fn taken_over_from_refinery_grouped() {
    check(
        Bench::written(30, Mode::Wal, Grouped::Yes).firmware(41),
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
    // The trigger and the column of V40 are there, its row is not: refinery says "duplicate column" for ever.
    let mut bench = Bench::at(30).firmware(41).after(|bench| half_done(bench, 40));
    bench.databases[0].version = 40;
    check(
        bench,
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
    let mut bench = Bench::at(30).firmware(40).after(|bench| half_done(bench, 40));
    bench.databases[0].version = 40;
    check(
        bench,
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
        Bench::at(30).firmware(41).after(|bench| {
            let connection = Connection::open(bench.main()).unwrap();
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
    let bench = Bench::empty(30);
    for (file, sql) in crate::product::read(&bench.firmware_folder(), "settings") {
        std::fs::write(bench.firmware_folder().join("settings").join(file), sql.replace('\n', "\r\n")).unwrap();
    }
    let mut connection = Connection::open(bench.main()).unwrap();
    let files = oracle::refinery(&bench.firmware_folder(), "settings");
    refinery::Runner::new(&files).run(&mut connection).unwrap();
    crate::bench::populate(&connection);
    drop(connection);
    let mut bench = bench.firmware(30);
    bench.databases[0].version = 30;
    let ran = bench.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let before = oracle::folder(&bench.root());
    assert_eq!(bench.run(&["run"]).exit, "0");
    assert_eq!(oracle::touched(&before, &oracle::folder(&bench.root())), "nothing");
    let rows = oracle::content(&bench.main()).unwrap().rows;
    assert_eq!((rows["parent"], rows["child"]), (2000, 2000));
    assert!(bench.root().join("run/bootmigrate/ready/settings").exists(), "an application may open it");
}

/// `t`'s rows as bytes, and the history's version, name and checksum.
fn text_and_history(main: &std::path::Path) -> (Vec<String>, Vec<(i32, String, String)>) {
    let connection = Connection::open(main).unwrap();
    let all = |sql: &str| -> Vec<String> {
        connection.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
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
    let sql = "CREATE TABLE line_ends(id INTEGER PRIMARY KEY, a TEXT DEFAULT 'p\r\nq');\r\nINSERT INTO line_ends(a) VALUES ('x\r\ny');\r\nINSERT INTO line_ends DEFAULT VALUES;\r\n";
    let bench = Bench::empty(30);
    std::fs::write(bench.firmware_folder().join("settings/V31__line_ends.sql"), sql).unwrap();
    let ran = bench.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let theirs = bench.root().join("refinery.db");
    let files = oracle::refinery(&bench.firmware_folder(), "settings");
    refinery::Runner::new(&files).run(&mut Connection::open(&theirs).unwrap()).unwrap();
    let ours = text_and_history(&bench.main());
    assert_eq!(ours, text_and_history(&theirs));
    assert_eq!(ours.0, ["780D0A79", "700D0A71"]);
    // refinery goes on where we stopped: nothing diverges for it.
    let report = refinery::Runner::new(&files).set_abort_divergent(true).run(&mut Connection::open(bench.main()).unwrap()).unwrap();
    assert_eq!(report.applied_migrations().len(), 0);
}
