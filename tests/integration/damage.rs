//! Owns the tests of files that are damaged, half-written, or not ours.
//! Promises: bytes are damaged by the test itself, so that it is known what was there.
//! Never lets SQLite open the files before the program under test has.

use crate::device::TestDevice;
use crate::dump::{check, check_op};
use crate::oracle;
use expect_test::expect;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::FileExt;

/// Overwrites bytes of the main file, at an offset.
fn scribble(device: &TestDevice, offset: u64, bytes: &[u8]) {
    fs::OpenOptions::new()
        .write(true)
        .open(device.main())
        .unwrap()
        .write_all_at(bytes, offset)
        .unwrap();
}

/// Overwrites a page that holds rows of `child`.
fn corrupt_page(device: &TestDevice) {
    let bytes = fs::read(device.main()).unwrap();
    let page = root_page(device, "child");
    assert!(bytes.len() as u64 > page * 4096, "the page lies in the file");
    scribble(device, (page - 1) * 4096, &[0xa5; 4096]);
}

/// The first page of an object, counted from 1.
fn root_page(device: &TestDevice, object: &str) -> u64 {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let page: i64 = copy
        .open()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [object], |row| row.get(0))
        .unwrap();
    page as u64
}

#[test]
fn a_corrupt_header_costs_no_row() {
    check(
        TestDevice::at(40).firmware(41).after(|device| scribble(device, 0, b"this is no database")),
        "run",
        expect![[r#"
            plan:     settings: rebuild version 40 with what can be read of the old one, then put it in place: its header is not that of an SQLite database
            exit:     0
            settings: migrated 40>41 of 41, applied [41], usable, exit 0
            code:     BM-0 settings 40>41
            backup:   snapshots/v40-2.db OTHER, 2000 parents, 2000 children
            kept:     quarantine/1 the old files, with a reason
            database: OTHER, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn corrupt_header_is_restored_from_the_snapshot() {
    // Two upgrades by the program: its snapshot of version 40 is a good copy, migrated forward.
    let device = TestDevice::booted_at(40).firmware(41);
    assert_eq!(device.run(&["run"]).exit, "0");
    let want = oracle::content(&device.main()).unwrap();
    let device = device.after(|device| scribble(device, 0, b"this is no database"));
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: replace by the snapshot v40-1 migrated forward, the old files go to quarantine: its header is not that of an SQLite database
            exit:     11
            settings: restored null>41 of 41, applied [41], data lost, usable, exit 11
            code:     BM-11 settings ?>41
            kept:     quarantine/2 the old files, with a reason
            database: OTHER, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    assert_eq!(oracle::content(&device.main()).unwrap(), want);
}

#[test]
fn corrupt_page_is_never_copied_over_anything() {
    check(
        TestDevice::at(40)
            .firmware(41)
            .key("on_damage = [\"reindex\", \"snapshot\"]")
            .after(corrupt_page),
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

/// The history's page and another table's have changed places, as a flash translation layer may
/// leave them: neither this firmware nor another has written such a history.
#[test]
fn a_history_on_another_tables_page_is_damage() {
    for table in ["parent", "child"] {
        let device = TestDevice::booted_at(40);
        let old = oracle::content(&device.main()).unwrap();
        let (history, other) =
            (device.root_page("refinery_schema_history"), device.root_page(table));
        device.put_page(&(history.0, other.1));
        device.put_page(&(other.0, history.1));
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "11", "{table}: {}", ran.stderr);
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "{table}: {}", ran.stderr);
        assert_eq!(oracle::content(&device.main()).unwrap(), old, "{table}");
    }
}

#[test]
fn corrupt_page_with_consent_is_purged_and_kept() {
    check(
        TestDevice::at(40).firmware(41).key("on_damage = [\"reindex\"]").after(corrupt_page),
        "run --purge-and-retry",
        expect![[r#"
            exit:     11
            settings: purged 40>41 of 41, applied [10,20,30,40,41], data lost, usable, exit 11
            code:     BM-11 settings 40>41
            kept:     quarantine/1 the old files, with a reason
            database: OTHER, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn corrupt_index_is_rebuilt_on_a_copy() {
    let device = TestDevice::at(40).firmware(41);
    let want = device.expectations(&device.databases[0]).new.unwrap();
    let page = root_page(&device, "child_parent");
    scribble(&device, (page - 1) * 4096, &[0xa5; 4096]);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     0
            settings: migrated 40>41 of 41, applied [41], usable, exit 0
            code:     BM-0 settings 40>41
            backup:   snapshots/v40-2.db old, 2000 parents, 2000 children
            kept:     quarantine/1 the old files, with a reason
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    assert_eq!(oracle::content(&device.main()).unwrap(), want);
}

#[test]
fn hot_journal_is_recovered_before_anything_is_copied() {
    // The cache is small and spills: half of the update is in the main file when the power goes.
    let device = TestDevice::at(40).firmware(41);
    let old = oracle::content(&device.main()).unwrap();
    let device = device
        .application(&[
            "sql PRAGMA cache_size = 2",
            "sql BEGIN",
            "sql UPDATE parent SET name = name || ' lost'",
        ])
        .killed();
    assert_ne!(
        fs::read(oracle::beside(&device.main(), "-journal")).unwrap()[0],
        0,
        "the journal is hot"
    );
    assert_eq!(oracle::content(&device.main()).unwrap(), old);
    check(
        device,
        "run",
        expect![[r#"
            plan:     settings: recover, then look again: a hot journal was left by a power cut; unknown until recovered
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

#[test]
fn a_transaction_over_two_databases_is_rolled_back_and_leaves_no_file() {
    for gateways in [false, true] {
        let device = TestDevice::at(40).firmware(41);
        let update = [
            "sql PRAGMA cache_size = 2",
            "sql BEGIN",
            "sql UPDATE parent SET name = name || ' lost'",
        ];
        let device = device.application(&update).killed();
        let (journal, shared) = (
            oracle::beside(&device.main(), "-journal"),
            oracle::beside(&device.main(), "-mj0123459AB"),
        );
        let folder = device.main().parent().unwrap().to_owned();
        let other = folder.join("other.db-journal");
        let mut hot = fs::read(&journal).unwrap();
        hot.extend(oracle::tail_of_super_journal(shared.to_str().unwrap()));
        fs::write(&journal, hot).unwrap();
        fs::write(&shared, format!("{}\0{}\0", journal.display(), other.display())).unwrap();
        if gateways {
            for path in [&folder, &device.main(), &journal, &shared] {
                std::os::unix::fs::chown(path, Some(12_345), Some(12_345)).unwrap();
            }
        }
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "{}", ran.stderr);
        let left = oracle::Copy::of(&device.main()).unwrap();
        let lost: i64 = left
            .open()
            .query_row("SELECT count(*) FROM parent WHERE name LIKE '% lost'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(lost, 0, "rolled back");
        assert!(
            !journal.exists() && !shared.exists(),
            "owned by the application's user: {gateways}"
        );
    }
}

/// A device whose power went while the application had rows in its WAL alone.
fn left_over_wal(version: i32) -> TestDevice {
    let lines = [
        "sql PRAGMA wal_autocheckpoint = 0",
        "sql UPDATE parent SET name = name || ' kept'",
        "sql DELETE FROM child WHERE id > 1500",
    ];
    let device = TestDevice::wal_at(version).application(&lines).killed();
    let wal = fs::metadata(oracle::beside(&device.main(), "-wal")).unwrap().len();
    assert!(wal > 0, "rows are in the WAL");
    device
}

#[test]
fn left_over_wal_is_read_without_writing() {
    // `-shm` is left from the application too; the first boot makes the state folder, so it is not
    // looked at.
    let device = left_over_wal(40).after(|device| assert_eq!(device.run(&["run"]).exit, "0"));
    check(
        device,
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
    let device = left_over_wal(40).firmware(41);
    fs::OpenOptions::new().write(true).open(device.main()).unwrap().set_len(0).unwrap();
    check(
        device,
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
    let device = TestDevice::booted_at(40);
    fs::remove_file(device.main()).unwrap();
    check(
        device,
        "run",
        expect![[r#"
            plan:     settings: replace by a fresh database, the old files go to quarantine: the main file is absent, but it held data before
            exit:     11
            settings: purged null>40 of 40, applied [10,20,30,40], data lost, usable, exit 11
            code:     BM-11 settings ?>40
            kept:     quarantine/1 the old files, with a reason
            database: fresh, 1000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn another_applications_database_is_refused() {
    let device = TestDevice::empty(41);
    let connection = Connection::open(device.main()).unwrap();
    let other = "PRAGMA application_id = 0x47504B47;
        CREATE TABLE parent (id INTEGER PRIMARY KEY, other TEXT); CREATE TABLE child (id INTEGER \
                 PRIMARY KEY, parent_id);
        WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT \
                 INTO parent SELECT i, 'o' || i FROM n;
        INSERT INTO child SELECT id, id FROM parent;";
    connection.execute_batch(other).unwrap();
    drop(connection);
    check(
        device,
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
    let device = TestDevice::at(40).firmware(41).application(&[
        "sql PRAGMA ignore_check_constraints = ON",
        "sql CREATE TABLE odd (a INTEGER NOT NULL, b INTEGER CHECK (b > 0))",
        "sql INSERT INTO odd VALUES (1, -1)",
        "sql PRAGMA writable_schema = ON",
        "sql UPDATE sqlite_schema SET sql = 'CREATE TABLE odd (a INTEGER NOT NULL, b INTEGER NOT \
         NULL CHECK (b > 0))' WHERE name = 'odd'",
        "sql INSERT INTO odd VALUES (2, NULL)",
    ]);
    let device = device.killed();
    let wrong: String = oracle::Copy::of(&device.main())
        .unwrap()
        .open()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_ne!(wrong, "ok", "the situation is not odd");
    let ran = device.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let connection = oracle::Copy::of(&device.main()).unwrap();
    let rows: i64 =
        connection.open().query_row("SELECT count(*) FROM odd", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2, "{}", ran.stderr);
    let version: i64 = connection
        .open()
        .query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 41, "{}", ran.stderr);
    assert_eq!(device.run(&["run"]).exit, "0");
}

/// The power went in the middle of a swap: main has a second name in quarantine, its WAL has only
/// the one there, and the file that was to take main's name waits.
fn in_the_middle_of_a_swap(device: &TestDevice, waiting: &[u8]) {
    let aside = device.state("settings").join("quarantine/7");
    fs::create_dir_all(&aside).unwrap();
    fs::write(
        aside.join("reason.txt"),
        "operation: 7\nreason: `purge` was asked for\ndata lost: everything\n",
    )
    .unwrap();
    fs::hard_link(device.main(), aside.join("settings.db")).unwrap();
    let wal = device.home().join("settings.db-wal");
    assert!(fs::metadata(&wal).unwrap().len() > 0, "the WAL holds what was written last");
    fs::rename(wal, aside.join("settings.db-wal")).unwrap();
    fs::write(device.state("settings").join("ready-7.db"), waiting).unwrap();
}

#[test]
fn a_damaged_replacement_gives_the_wal_back_from_quarantine() {
    let device = TestDevice::wal_at(40).after(|device| assert_eq!(device.run(&["run"]).exit, "0"));
    let device = device
        .firmware(41)
        .application(&["sql UPDATE parent SET reading = -0.5 WHERE id > 1900"])
        .killed();
    in_the_middle_of_a_swap(&device, &[0xa5; 8192]);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let copy = oracle::Copy::of(&device.main()).unwrap();
    let asked =
        "SELECT (SELECT max(version) FROM refinery_schema_history) || ' ' || count(*) || ' ' || \
         sum(reading = -0.5) FROM parent";
    let found: String = copy.open().query_row(asked, [], |row| row.get(0)).unwrap();
    assert_eq!(found, "41 2000 100", "{}", ran.stderr);
    assert!(!device.state("settings").join("quarantine/7").exists(), "nothing was lost");
    assert!(!device.state("settings").join("ready-7.db").exists());
    assert_eq!(device.run(&["run"]).exit, "0");
}

/// SQLite's variable-length integer, of five bytes.
fn varint_of_five(value: u64) -> [u8; 5] {
    let part = |shift: u32| (value >> shift & 0x7f) as u8;
    [part(28) | 0x80, part(21) | 0x80, part(14) | 0x80, part(7) | 0x80, part(0)]
}

/// To read it, SQLite asks for as much memory as the row claims to need, and is refused it at every
/// boot.
#[test]
fn a_row_that_claims_to_be_longer_than_the_file_is_damage() {
    let rows =
        "CREATE TABLE long (id INTEGER PRIMARY KEY, v TEXT);\nCREATE INDEX long_v ON long (v);\n\
         INSERT INTO long VALUES (1, 'first'), (2, hex(zeroblob(600))), (3, 'last');\n";
    for policy in ["on_damage = [\"salvage\"]", "on_damage = []"] {
        let device = TestDevice::at(40)
            .file(("V41__long.sql", rows))
            .key(policy)
            .key("snapshot = \"never\"");
        assert_eq!(device.run(&["run"]).exit, "0");
        let value = fs::read(device.main())
            .unwrap()
            .windows(1200)
            .position(|bytes| bytes == [b'0'; 1200])
            .unwrap();
        // Of what does not fit into a page, this much is in it, where the rest fills pages.
        let local = 489;
        let claimed = local + 4092 * 195_000;
        let mut cell = varint_of_five(claimed).to_vec();
        // Row number, length of the record's header, NULL for the row number.
        cell.extend([2, 7, 0]);
        cell.extend(varint_of_five(2 * (claimed - 7) + 13));
        cell.resize(6 + local as usize, b'0');
        cell.extend(3u32.to_be_bytes()); // the page of the rest
        scribble(&device, value as u64 - 7, &cell);
        let device = device.file(("V42__more.sql", "ALTER TABLE long ADD COLUMN c;\n"));
        let ran = device.run(&["run"]);
        if policy.contains("salvage") {
            assert!(ran.exit == "11" && ran.stderr.contains("row"), "{}: {}", ran.exit, ran.stderr);
            let ids: String = Connection::open(device.main())
                .unwrap()
                .query_row("SELECT group_concat(id) FROM long", [], |row| row.get(0))
                .unwrap();
            assert_eq!(ids, "1,3");
        } else {
            assert_eq!(ran.exit, "17", "{}", ran.stderr);
        }
    }
}

/// The snapshot is what a boot puts back: `migrate` builds nothing in its place.
#[test]
fn migrate_replaces_no_database_that_is_gone() {
    for (with_snapshot, empty, words) in [
        (true, false, ["migrate", "--all"].as_slice()),
        (true, true, &["migrate", "--all"]),
        (false, false, &["migrate", "--all", "--db", "settings"]),
    ] {
        let device = TestDevice::booted_at(40).firmware(if with_snapshot { 41 } else { 40 });
        assert_eq!(device.run(&["run"]).exit, "0");
        fs::remove_file(device.main()).unwrap();
        if empty {
            fs::write(device.main(), b"").unwrap();
        }
        let before = oracle::folder(&device.home());
        let ran = device.run(words);
        assert_eq!(ran.exit, "17", "{words:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("run `bootmigrate run --db settings`"), "{}", ran.stderr);
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing");
        let booted = device.run(&["run"]);
        let wanted = if with_snapshot { "restored from a snapshot" } else { "lost: all its rows" };
        assert!(booted.exit == "11" && booted.stderr.contains(wanted), "{}", booted.stderr);
    }
}
