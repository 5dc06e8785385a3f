//! Owns the tests of a disk that is nearly full: what is tried, what goes for it, what is asked
//! for, and what is remembered of it.
//! Promises: a tmpfs of the test's own; rows are compared with those that plain SQLite put there.
//! Never a number of bytes that the file system has already.

use crate::device::{TestDevice, HOME};
use crate::dump::tidy;
use crate::mount::Mount;
use crate::oracle;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

const TABLE: (&str, &str) = ("V1__t.sql", "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT);\n");
/// Changes every page of the table.
const EVERY_ROW: (&str, &str) = ("V2__lower.sql", "UPDATE t SET x = lower(x);\n");
/// Fails on every row.
const FAILS: (&str, &str) =
    ("V2__check.sql", "CREATE TABLE w (a CHECK (a < 0));\nINSERT INTO w SELECT id FROM t;\n");

#[track_caller]
fn runs(device: &TestDevice, arguments: &[&str], exit: &str) -> String {
    let ran = device.run(arguments);
    let said = tidy(device, &ran.stderr);
    assert_eq!(ran.exit, exit, "{arguments:?}: {said}");
    said
}

fn by_hand(main: &Path, sql: &str) {
    Connection::open(main).unwrap().execute_batch(sql).unwrap();
}

/// A device on a file system of `mib` MiB, whose table has some 2.3 MiB in 2,250 rows.
fn filled(mib: u64) -> TestDevice {
    filled_as(mib, |device| device, "")
}

fn filled_as(mib: u64, with: impl FnOnce(TestDevice) -> TestDevice, first: &str) -> TestDevice {
    let device = with(TestDevice::empty(0).file(TABLE));
    let device = device.on(|at, _| Mount::tmpfs(at, mib << 10));
    runs(&device, &["run"], "0");
    by_hand(&device.main(), first);
    by_hand(&device.main(), &rows(1, 2_250));
    device
}

fn rows(first: u32, last: u32) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (VALUES ({first}) UNION ALL SELECT i + 1 FROM n WHERE i < {last}) \
         INSERT INTO t SELECT i, hex(zeroblob(490)) || 'ABC' || i FROM n"
    )
}

fn leave(device: &TestDevice, kib: u64) {
    device.mount.as_ref().unwrap().fill_but(kib);
}

fn give_back(device: &TestDevice) {
    device.mount.as_ref().unwrap().empty();
}

fn snapshots(device: &TestDevice) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(device.state("settings").join("snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn count(main: &Path, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM \"{table}\"");
    Connection::open(main).unwrap().query_row(&sql, [], |row| row.get(0)).unwrap()
}

/// Bytes after these words of a sentence.
#[track_caller]
fn bytes_after(said: &str, words: &str) -> u64 {
    let (_, rest) = said.split_once(words).unwrap_or_else(|| panic!("no {words:?}: {said}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

fn free(device: &TestDevice) -> u64 {
    let found = rustix::fs::statvfs(device.home()).unwrap();
    found.f_bavail * found.f_frsize
}

/// Every page of the table is overwritten; the schema and the history are whole.
fn lose_the_table(device: &TestDevice) {
    let pages: Vec<u64> = {
        let database = Connection::open(device.main()).unwrap();
        let mut ask =
            database.prepare("SELECT pageno FROM dbstat WHERE name = 't' ORDER BY 1").unwrap();
        let pages = ask.query_map([], |row| row.get::<_, u32>(0)).unwrap();
        pages.map(|page| u64::from(page.unwrap())).collect()
    };
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    for page in pages {
        file.write_all_at(&[0xff; 4096], (page - 1) * 4096).unwrap();
    }
}

/// The salvage before it finds no row, at each of four boots: that says nothing of the copy.
#[test]
fn a_restore_that_lacked_room_is_tried_when_there_is_some() {
    let device = filled(14);
    runs(&device, &["snapshot", "create"], "0");
    let kept = oracle::content(&device.main()).unwrap();
    lose_the_table(&device);
    let device = device.file(("V2__u.sql", "CREATE TABLE u (a);\n"));
    leave(&device, 700);
    let said = runs(&device, &["run"], "14");
    let needed = bytes_after(&said, "until ");
    assert!(needed > 2 << 20, "the copy is not in {needed}: {said}");
    for kib in [1000, 1400, 1800] {
        leave(&device, kib);
        let said = runs(&device, &["run"], "14");
        assert!(!said.contains("v1-2.db"), "the only good copy is named for removal: {said}");
    }
    give_back(&device);
    let said = runs(&device, &["run"], "11");
    assert!(said.contains("restored from a snapshot"), "{said}");
    assert_eq!(i64::try_from(kept.rows["t"]).unwrap(), count(&device.main(), "t"));
}

/// It failed as often as it may, and the purge that follows never had room.
#[test]
fn a_purge_that_lacked_room_is_tried_when_there_is_some() {
    let device = filled(14).file(FAILS).key("on_failure = \"purge\"").key("snapshot = \"never\"");
    for kib in [700, 1000, 1300, 1600] {
        leave(&device, kib);
        runs(&device, &["run"], "14");
        assert_eq!(count(&device.main(), "t"), 2_250);
    }
    give_back(&device);
    let said = runs(&device, &["run"], "11");
    assert!(said.contains("2250 rows of t (in lost_t)"), "{said}");
    assert_eq!(count(&device.main(), "lost_t"), 2_250);
}

/// The copy that was made for the migration which failed has the room.
#[test]
fn a_purge_has_the_room_of_the_snapshot_before_it() {
    let device = filled(14).file(FAILS).key("on_failure = \"purge\"");
    leave(&device, 4_000);
    let said = runs(&device, &["run"], "11");
    assert!(said.contains("2250 rows of t (in lost_t)"), "{said}");
    assert_eq!(count(&device.main(), "lost_t"), 2_250);
    assert_eq!(snapshots(&device), [""; 0]);
}

/// Whatever is free: the commit stands and the next boot has nothing to do, or the old rows do and
/// it asks for more than there is.
#[test]
fn a_commit_in_wal_mode_never_fills_the_disk() {
    let more = ("V2__u.sql", "CREATE TABLE u AS SELECT id, x FROM t;\n");
    let (mut done, mut refused) = (0, 0);
    for kib in [3_000, 4_000, 5_000, 5_500, 6_000, 7_000, 9_000] {
        let device = filled_as(16, |device| device, "PRAGMA journal_mode = WAL").file(more);
        leave(&device, kib);
        let ran = device.run(&["run"]);
        match ran.exit.as_str() {
            "0" => {
                done += 1;
                assert_eq!(count(&device.main(), "u"), 2_250, "{kib} KiB");
                let said = runs(&device, &["run"], "0");
                assert!(said.contains("nothing to do"), "{kib} KiB: {said}");
            }
            exit => {
                refused += 1;
                assert_eq!(exit, "14", "{kib} KiB: {}", ran.stderr);
                let needed = bytes_after(&ran.stderr, "until ");
                assert!(needed > free(&device), "{kib} KiB: {needed} are free already");
                assert_eq!(count(&device.main(), "t"), 2_250);
            }
        }
    }
    assert!(done > 1 && refused > 1, "{done} done, {refused} refused");
}

/// Each boot would write the journal and a snapshot again.
#[test]
fn what_must_be_free_is_more_than_what_is() {
    for policy in ["auto", "never"] {
        let device = filled(16).file(EVERY_ROW).key(&format!("snapshot = \"{policy}\""));
        leave(&device, 800);
        let said = runs(&device, &["run"], "14");
        assert!(bytes_after(&said, "until ") > free(&device), "{policy}: {said}");
        for _ in 0..2 {
            let before = oracle::folder(&device.home());
            runs(&device, &["run"], "14");
            assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing");
        }
        give_back(&device);
        runs(&device, &["run"], "0");
        assert_eq!(count(&device.main(), "t"), 2_250);
    }
}

/// What lies in the WAL is no growth of the migration's.
#[test]
fn a_wal_that_was_left_is_not_asked_for_again() {
    let device = TestDevice::empty(0).file(TABLE).on(|at, _| Mount::tmpfs(at, 14 << 10));
    runs(&device, &["run"], "0");
    by_hand(&device.main(), "PRAGMA journal_mode = WAL");
    let application = Connection::open(device.main()).unwrap();
    application.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
    application.execute_batch(&rows(1, 2_250)).unwrap();
    // As a power cut leaves it.
    let [main, wal] = ["", "-wal"].map(|ending| fs::read(oracle::beside(&device.main(), ending)));
    drop(application);
    fs::write(device.main(), main.unwrap()).unwrap();
    fs::write(oracle::beside(&device.main(), "-wal"), wal.unwrap()).unwrap();
    let device = device.file(("V2__u.sql", "CREATE TABLE u (a);\n")).key("snapshot = \"never\"");
    leave(&device, 2_340);
    runs(&device, &["run"], "0");
    assert_eq!(count(&device.main(), "t"), 2_250);
}

/// An application keeps it from being put in place; a later repair takes the device's own copy.
#[test]
fn a_file_that_was_not_restored_is_no_snapshot() {
    let device = filled(24).key("busy_timeout_s = 0");
    runs(&device, &["snapshot", "create"], "0");
    let other = device.folder().join("other.db");
    fs::copy(device.main(), &other).unwrap();
    by_hand(&other, "DELETE FROM t");
    let file = other.to_str().unwrap();
    let restore = ["snapshot", "restore", file, "--db", "settings", "--yes"];
    let application = Connection::open(device.main()).unwrap();
    application.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
    runs(&device, &restore, "13");
    drop(application);
    assert_eq!(snapshots(&device), ["v1-2.db"]);
    // Migrations do not work on it.
    let firmware = device.file((
        "V2__w.sql",
        "CREATE TABLE w (a CHECK (a > 9));\nINSERT INTO w \
                                 SELECT count(*) FROM t;\n",
    ));
    runs(&firmware, &restore, "10");
    assert_eq!(snapshots(&firmware), ["v1-2.db"]);
    let device = firmware.without("V2__w.sql");
    fs::write(device.main(), "no database").unwrap();
    runs(&device, &["run"], "11");
    assert_eq!(count(&device.main(), "t"), 2_250);
}

/// A migration that finds no room, one that asks for room, and one on a copy.
#[test]
fn older_snapshots_go_where_that_makes_room() {
    let second = ("V2__u.sql", "CREATE TABLE u (a);\n");
    for (third, kib) in [
        (("V3__lower.sql", "UPDATE t SET x = lower(x);\n"), 1_500),
        (
            ("V3__asks.sql", "-- bootmigrate: needs-space = 1.5\nDELETE FROM t WHERE id < 9;\n"),
            2_500,
        ),
        (("V3__v.sql", "-- bootmigrate: no-transaction\nVACUUM;\n"), 2_000),
    ] {
        let device = filled(16).file(second);
        runs(&device, &["run"], "0");
        assert_eq!(snapshots(&device), ["v1-2.db"]);
        let device = device.file(third);
        leave(&device, kib);
        runs(&device, &["run"], "0");
        assert!(!snapshots(&device).contains(&"v1-2.db".to_owned()), "{}", third.0);
    }
}

/// The other slot may need it.
#[test]
fn the_snapshot_of_a_trial_stays_on_a_full_disk() {
    let device = filled_as(16, |device| device.slots("ab"), "");
    runs(&device, &["mark-good"], "0");
    runs(&device, &["snapshot", "create"], "0");
    let device = device.file(EVERY_ROW);
    leave(&device, 800);
    let said = runs(&device, &["run"], "14");
    assert_eq!(snapshots(&device), ["v1-2.db"], "{said}");
}

/// It is the only one of which anybody knows that it is whole.
#[test]
fn the_snapshot_that_was_checked_stays_on_a_full_disk() {
    let device = filled(16).key("quick_check_max_mib = 1");
    runs(&device, &["snapshot", "create"], "0");
    let device = device.file(EVERY_ROW);
    leave(&device, 800);
    let said = runs(&device, &["run"], "14");
    assert_eq!(snapshots(&device), ["checked-2", "v1-2.db"], "{said}");
}

/// "Once more" was tried, and ended as before: the technician's marker behind it counts.
#[test]
fn a_retry_that_stays_on_the_command_line_hides_no_marker() {
    let device = TestDevice::empty(0).file(TABLE).top("marker = \"/data/marker\"");
    runs(&device, &["run"], "0");
    fs::write(device.main(), "no database").unwrap();
    for (path, text) in [("proc/cmdline", "quiet bootmigrate.retry=7\n"), ("data/marker", "8\n")] {
        let file = device.root().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        if path == "data/marker" {
            runs(&device, &["run"], "17");
        }
        fs::write(file, text).unwrap();
    }
    let said = runs(&device, &["run"], "11");
    assert!(said.contains("replaced by a fresh database"), "{said}");
    assert!(runs(&device, &["run"], "0").contains("nothing to do"));
}

/// Not even the record.
#[test]
fn a_retry_that_stays_and_has_no_room_writes_once() {
    let device = filled(16).file(EVERY_ROW).key("snapshot = \"never\"");
    fs::create_dir_all(device.root().join("proc")).unwrap();
    fs::write(device.root().join("proc/cmdline"), "bootmigrate.retry=7\n").unwrap();
    leave(&device, 800);
    runs(&device, &["run"], "14");
    let before = oracle::folder(&device.home());
    runs(&device, &["run"], "14");
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing");
}

/// A database with nothing to do lies on a full partition; the other one sorts an index on its own.
#[test]
fn temporary_files_go_beside_their_own_database() {
    let device = TestDevice::empty(0)
        .with_telemetry(0)
        .file(TABLE)
        .file_of("telemetry", ("V11__t.sql", TABLE.1))
        .top("memory_mib = 16");
    let full = device.home().join("full");
    fs::create_dir(&full).unwrap();
    fs::create_dir_all(device.root().join("etc")).unwrap();
    let other = format!("[databases.settings]\npath = \"/{HOME}/full/settings.db\"\n");
    fs::write(device.root().join("etc/bootmigrate.toml"), other).unwrap();
    let mount = Mount::tmpfs(&full, 1 << 10);
    runs(&device, &["run"], "0");
    let main = device.path("telemetry");
    by_hand(&main, &rows(1, 40_000));
    mount.fill();
    let device = device.file_of("telemetry", ("V12__i.sql", "CREATE INDEX t_x ON t (x, id);\n"));
    let said = runs(&device, &["run"], "0");
    assert!(said.contains("telemetry: migrated from 11 to 12"), "{said}");
    drop(mount);
}

/// No snapshot was ever made: the command that is named begins anew.
#[test]
fn a_remade_file_without_a_snapshot_has_a_way_out() {
    for (copied, command) in [(false, "purge"), (true, "snapshot restore v1-2")] {
        let device = TestDevice::empty(0).file(TABLE);
        runs(&device, &["run"], "0");
        by_hand(&device.main(), "INSERT INTO t VALUES (1, 'own')");
        if copied {
            runs(&device, &["snapshot", "create"], "0");
        }
        fs::remove_file(device.main()).unwrap();
        by_hand(&device.main(), "CREATE TABLE made (a)");
        let said = runs(&device, &["run"], "16");
        let whole = format!("run `bootmigrate {command} --db settings --yes`");
        assert!(said.contains(&whole), "{said}");
        let words: Vec<&str> = command.split(' ').chain(["--db", "settings", "--yes"]).collect();
        runs(&device, &words, "11");
        assert_eq!(count(&device.main(), "t"), i64::from(copied));
    }
    let device = TestDevice::empty(0).file(TABLE);
    runs(&device, &["run"], "0");
    fs::remove_file(device.main()).unwrap();
    by_hand(&device.main(), "CREATE TABLE made (a)");
    runs(&device, &["run", "--purge-and-retry"], "11");
    assert_eq!(count(&device.main(), "t"), 0);
}

/// What was deleted before is no longer in the file that is there.
#[test]
fn a_batch_that_has_shrunk_the_file_goes_on() {
    let device = TestDevice::empty(0).file(TABLE);
    runs(&device, &["run"], "0");
    let sql = "PRAGMA auto_vacuum = FULL; VACUUM; WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL \
               SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO t SELECT i, 'a' FROM n";
    by_hand(&device.main(), sql);
    let stop = "CREATE TRIGGER stop BEFORE DELETE ON t WHEN old.id = 50000 BEGIN SELECT \
                RAISE(ABORT, 'not yet'); END";
    by_hand(&device.main(), stop);
    let batch =
        "-- bootmigrate: batch\nDELETE FROM t WHERE id IN (SELECT id FROM t WHERE id > 1000 \
                 ORDER BY id LIMIT 2000);\n";
    fs::create_dir(device.firmware_folder().join("settings/data")).unwrap();
    let device = device.file(("data/V1__old.sql", batch));
    runs(&device, &["data", "run", "--all"], "10");
    assert_eq!(count(&device.main(), "t"), 12_000);
    by_hand(&device.main(), "DROP TRIGGER stop");
    runs(&device, &["data", "run", "--all"], "0");
    assert_eq!(count(&device.main(), "t"), 1_000);
}

/// It takes room from whoever said that there is to be none.
#[test]
fn a_copy_that_is_migrated_leaves_no_snapshot_where_none_is_wanted() {
    for (policy, left) in [("never", vec![]), ("auto", vec!["v1-2.db".to_owned()])] {
        let device = filled(24).key(&format!("snapshot = \"{policy}\""));
        let device = device.file(("V2__v.sql", "-- bootmigrate: no-transaction\nVACUUM;\n"));
        let said = runs(&device, &["run"], "0");
        assert!(said.contains("migrated from 1 to 2"), "{said}");
        assert_eq!(snapshots(&device), left, "{policy}: {said}");
        assert_eq!(count(&device.main(), "t"), 2_250);
        let before = oracle::folder(&device.home());
        runs(&device, &["run"], "0");
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing");
    }
}

/// A technician has said that a fresh database will do.
#[test]
fn a_way_back_without_room_gives_way_to_a_purge_that_was_asked_for() {
    let second = ("V2__u.sql", "CREATE TABLE u (a);\n");
    let device = filled_as(
        12,
        |device| {
            device
                .key("kind = \"rebuildable\"")
                .file(second)
                .file(("V2__u.down.sql", "DROP TABLE u;\n"))
        },
        "",
    );
    let device = device.without("V2__u.sql").without("V2__u.down.sql");
    leave(&device, 1_000);
    runs(&device, &["run"], "14");
    assert_eq!(count(&device.main(), "t"), 2_250);
    runs(&device, &["run", "--purge-and-retry"], "11");
    assert_eq!(count(&device.main(), "t"), 0);
}
