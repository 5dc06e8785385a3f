//! Owns the stories of families that are damaged, half-written, or not ours.
//! Promises: bytes are damaged by the story itself, so that it is known what was there.
//! Never lets SQLite open a family before the program under test has.

use crate::bench::Bench;
use crate::oracle;
use crate::picture::{check, check_step};
use expect_test::expect;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::FileExt;

/// Overwrites bytes of the main file, at an offset.
fn scribble(bench: &Bench, offset: u64, bytes: &[u8]) {
    fs::OpenOptions::new().write(true).open(bench.main()).unwrap().write_all_at(bytes, offset).unwrap();
}

/// Overwrites a page that holds rows of `child`.
fn corrupt_page(bench: &Bench) {
    let bytes = fs::read(bench.main()).unwrap();
    let page = root_page(bench, "child");
    assert!(bytes.len() as u64 > page * 4096, "the page lies in the file");
    scribble(bench, (page - 1) * 4096, &[0xa5; 4096]);
}

/// The first page of an object, counted from 1.
fn root_page(bench: &Bench, object: &str) -> u64 {
    let copy = oracle::Copy::of(&bench.main()).unwrap();
    let page: i64 = copy.open().query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [object], |row| row.get(0)).unwrap();
    page as u64
}

#[test]
fn corrupt_header_is_refused_untouched() {
    check(
        Bench::at(40).firmware(41).after(|bench| scribble(bench, 0, b"this is no database")),
        "run",
        expect![[r#"
            plan:     settings: refuse: its header is not that of an SQLite database
            exit:     17
            settings: refused null>null of 41, applied [], not usable, exit 17
            code:     BM-17 settings ?>41
            database: unreadable (file is not a database)
            touched:  nothing
            again:    exit 17, refused, touched nothing
        "#]],
    );
}

#[test]
fn corrupt_header_is_restored_from_the_snapshot() {
    // Two upgrades by the program: its snapshot of version 40 is a good copy, migrated forward.
    let bench = Bench::booted_at(40).firmware(41);
    assert_eq!(bench.run(&["run"]).exit, "0");
    let want = oracle::content(&bench.main()).unwrap();
    let bench = bench.after(|bench| scribble(bench, 0, b"this is no database"));
    check_step(
        &bench,
        "run",
        expect![[r#"
            plan:     settings: replace by the snapshot v40-1 migrated forward, the old family goes to quarantine: its header is not that of an SQLite database
            exit:     11
            settings: restored null>41 of 41, applied [41], data given up, usable, exit 11
            code:     BM-11 settings ?>41
            kept:     quarantine/2 the old family, with a reason
            database: OTHER, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    assert_eq!(oracle::content(&bench.main()).unwrap(), want);
}

#[test]
fn corrupt_page_is_never_copied_over_anything() {
    check(
        Bench::at(40).firmware(41).key("on_damage = [\"reindex\", \"snapshot\"]").after(corrupt_page),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     17
            settings: refused null>null of 41, applied [], not usable, exit 17
            code:     BM-17 settings ?>41
            database: unreadable (database disk image is malformed)
            touched:  state
            again:    exit 17, refused, touched nothing
        "#]],
    );
}

#[test]
fn corrupt_page_with_consent_is_purged_and_kept() {
    check(
        Bench::at(40).firmware(41).key("on_damage = [\"reindex\"]").after(corrupt_page),
        "run --purge-and-retry",
        expect![[r#"
            exit:     11
            settings: purged 40>41 of 41, applied [10,20,30,40,41], data given up, usable, exit 11
            code:     BM-11 settings 40>41
            kept:     quarantine/1 the old family, with a reason
            database: OTHER, 2000 parents, 0 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn corrupt_index_is_rebuilt_on_a_copy() {
    let bench = Bench::at(40).firmware(41);
    let want = bench.expectations(&bench.databases[0]).new.unwrap();
    let page = root_page(&bench, "child_parent");
    scribble(&bench, (page - 1) * 4096, &[0xa5; 4096]);
    check_step(
        &bench,
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     0
            settings: migrated 40>41 of 41, applied [41], usable, exit 0
            code:     BM-0 settings 40>41
            backup:   snapshots/v40-2.db old, 2000 parents, 2000 children
            kept:     quarantine/1 the old family, with a reason
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    assert_eq!(oracle::content(&bench.main()).unwrap(), want);
}

#[test]
fn hot_journal_is_settled_before_anything_is_copied() {
    // The cache is small and spills: half of the update is in the main file when the power goes.
    let bench = Bench::at(40).firmware(41);
    let old = oracle::content(&bench.main()).unwrap();
    let bench = bench.application(&["sql PRAGMA cache_size = 2", "sql BEGIN", "sql UPDATE parent SET name = name || ' lost'"]).killed();
    assert_ne!(fs::read(oracle::beside(&bench.main(), "-journal")).unwrap()[0], 0, "the journal is hot");
    assert_eq!(oracle::content(&bench.main()).unwrap(), old);
    check(
        bench,
        "run",
        expect![[r#"
            plan:     settings: settle, then look again: a hot journal was left by a power cut; unknown until settled
            exit:     0
            settings: migrated 40>41 of 41, applied [41], usable, exit 0
            code:     BM-0 settings 40>41
            backup:   snapshots/v40-1.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

/// A device whose power went while the application had rows in its WAL alone.
fn left_over_wal(version: i32) -> Bench {
    let lines =
        ["sql PRAGMA wal_autocheckpoint = 0", "sql UPDATE parent SET name = name || ' kept'", "sql DELETE FROM child WHERE id > 1500"];
    let bench = Bench::wal_at(version).application(&lines).killed();
    let wal = fs::metadata(oracle::beside(&bench.main(), "-wal")).unwrap().len();
    assert!(wal > 0, "rows are in the WAL");
    bench
}

#[test]
fn left_over_wal_is_read_without_writing() {
    // `-shm` is left from the application too; the first boot makes the state folder, so it is not looked at.
    let bench = left_over_wal(40).after(|bench| assert_eq!(bench.run(&["run"]).exit, "0"));
    check(
        bench,
        "run",
        expect![[r#"
            plan:     settings: nothing to do: at version 40
            exit:     0
            settings: quiet 40>40 of 40, applied [], usable, exit 0
            code:     BM-0 settings 40
            database: old, 2000 parents, 1500 children
            touched:  nothing
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn left_over_wal_is_migrated_with_its_rows() {
    check(
        left_over_wal(40).firmware(41),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     0
            settings: migrated 40>41 of 41, applied [41], usable, exit 0
            code:     BM-0 settings 40>41
            backup:   snapshots/v40-1.db old, 2000 parents, 1500 children
            database: new, 2000 parents, 1500 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn zero_byte_file_beside_a_wal_is_damage() {
    // SQLite would delete the WAL, which is all that is left of the rows.
    let bench = left_over_wal(40).firmware(41);
    fs::OpenOptions::new().write(true).open(bench.main()).unwrap().set_len(0).unwrap();
    check(
        bench,
        "run",
        expect![[r#"
            plan:     settings: refuse: the main file is empty, but its WAL has content
            exit:     17
            settings: refused null>null of 41, applied [], not usable, exit 17
            code:     BM-17 settings ?>41
            database: old, no parents, no children
            touched:  nothing
            again:    exit 17, refused, touched nothing
        "#]],
    );
}

#[test]
fn database_that_is_gone_is_no_first_boot() {
    let bench = Bench::booted_at(40);
    fs::remove_file(bench.main()).unwrap();
    check(
        bench,
        "run",
        expect![[r#"
            plan:     settings: replace by a fresh database, the old family goes to quarantine: the main file is absent, but it held data before
            exit:     11
            settings: purged null>40 of 40, applied [10,20,30,40], data given up, usable, exit 11
            code:     BM-11 settings ?>40
            kept:     quarantine/1 the old family, with a reason
            database: fresh, 1000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn another_applications_database_is_refused() {
    let bench = Bench::empty(41);
    let connection = Connection::open(bench.main()).unwrap();
    let other = "PRAGMA application_id = 0x47504B47;
        CREATE TABLE parent (id INTEGER PRIMARY KEY, other TEXT); CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id);
        WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO parent SELECT i, 'o' || i FROM n;
        INSERT INTO child SELECT id, id FROM parent;";
    connection.execute_batch(other).unwrap();
    drop(connection);
    check(
        bench,
        "run",
        expect![[r#"
            plan:     settings: refuse: this is another application's database (application_id 1196444487, 2 tables, no migration history)
            exit:     16
            settings: refused null>null of 41, applied [], not usable, exit 16
            code:     BM-16 settings ?>41
            database: old, 1000 parents, 1000 children
            touched:  nothing
            again:    exit 16, refused, touched nothing
        "#]],
    );
}

#[test]
fn rows_that_break_a_rule_of_the_schema_are_no_damage() {
    // The application's own connection let them in; the pages are whole.
    let bench = Bench::at(40).firmware(41).application(&[
        "sql PRAGMA ignore_check_constraints = ON",
        "sql CREATE TABLE odd (a INTEGER NOT NULL, b INTEGER CHECK (b > 0))",
        "sql INSERT INTO odd VALUES (1, -1)",
        "sql PRAGMA writable_schema = ON",
        "sql UPDATE sqlite_schema SET sql = 'CREATE TABLE odd (a INTEGER NOT NULL, b INTEGER NOT NULL CHECK (b > 0))' WHERE name = 'odd'",
        "sql INSERT INTO odd VALUES (2, NULL)",
    ]);
    let bench = bench.killed();
    let wrong: String = oracle::Copy::of(&bench.main()).unwrap().open().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_ne!(wrong, "ok", "the world is not odd");
    let ran = bench.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let connection = oracle::Copy::of(&bench.main()).unwrap();
    let rows: i64 = connection.open().query_row("SELECT count(*) FROM odd", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2, "{}", ran.stderr);
    let version: i64 = connection.open().query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 41, "{}", ran.stderr);
    assert_eq!(bench.run(&["run"]).exit, "0");
}

/// The power went in the middle of a swap: main has a second name in quarantine, its WAL has only the one there, and the file
/// that was to take main's name waits.
fn in_the_middle_of_a_swap(bench: &Bench, waiting: &[u8]) {
    let aside = bench.state("settings").join("quarantine/7");
    fs::create_dir_all(&aside).unwrap();
    fs::write(aside.join("reason.txt"), "act: 7\nreason: `purge` was asked for\ndata given up: everything\n").unwrap();
    fs::hard_link(bench.main(), aside.join("settings.db")).unwrap();
    let wal = bench.home().join("settings.db-wal");
    assert!(fs::metadata(&wal).unwrap().len() > 0, "the WAL holds what was written last");
    fs::rename(wal, aside.join("settings.db-wal")).unwrap();
    fs::write(bench.state("settings").join("ready-7.db"), waiting).unwrap();
}

#[test]
fn a_damaged_replacement_gives_the_wal_back_from_quarantine() {
    let bench = Bench::wal_at(40).after(|bench| assert_eq!(bench.run(&["run"]).exit, "0"));
    let bench = bench.firmware(41).application(&["sql UPDATE parent SET reading = -0.5 WHERE id > 1900"]).killed();
    in_the_middle_of_a_swap(&bench, &[0xa5; 8192]);
    let ran = bench.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let copy = oracle::Copy::of(&bench.main()).unwrap();
    let asked = "SELECT (SELECT max(version) FROM refinery_schema_history) || ' ' || count(*) || ' ' || sum(reading = -0.5) FROM parent";
    let found: String = copy.open().query_row(asked, [], |row| row.get(0)).unwrap();
    assert_eq!(found, "41 2000 100", "{}", ran.stderr);
    assert!(!bench.state("settings").join("quarantine/7").exists(), "nothing was given up");
    assert!(!bench.state("settings").join("ready-7.db").exists());
    assert_eq!(bench.run(&["run"]).exit, "0");
}
