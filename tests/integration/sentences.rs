//! Owns the tests of sentences that were false, named the wrong file, or did not say what was lost.
//! Promises: the cause is made by the test itself; what must not be said is asserted beside what
//! must.
//! Never asks for more than a technician reads.

use crate::device::{TestDevice, HOME};
use crate::oracle;
use crate::product::BROKEN;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::Path;

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

/// As `run`, `plan`, `status` and `doctor` say it.
#[track_caller]
fn all_say(device: &TestDevice, words: &[&str]) {
    for command in ["run", "plan", "status", "doctor"] {
        let ran = device.run(&[command]);
        for word in words {
            assert!(
                format!("{}{}", ran.stdout, ran.stderr).contains(word),
                "{command}: {word:?} is not in: {}{}",
                ran.stdout,
                ran.stderr
            );
        }
    }
}

/// The user of the devices below, who is not the one that left a side file behind.
const USER: u32 = 1000;

/// It runs the program, and its folder is its own.
fn of_the_user(device: TestDevice) -> TestDevice {
    let mut device = device.home_of(USER);
    device.user = Some(USER);
    let run = device.root().join("run");
    chown(&run, Some(USER), Some(USER)).unwrap();
    device
}

/// An application of another user was killed: what it left is `mode` and root's.
fn left_by_root(device: TestDevice, suffix: &str, mode: u32) -> TestDevice {
    let device = of_the_user(device);
    for other in ["-wal", "-shm", "-journal"]
        .map(|suffix| device.home().join(format!("settings.db{suffix}")))
    {
        let _ = chown(other, Some(USER), Some(USER));
    }
    let side = device.home().join(format!("settings.db{suffix}"));
    assert!(fs::metadata(&side).unwrap().len() > 0, "{suffix} was left");
    chown(&side, Some(0), Some(0)).unwrap();
    fs::set_permissions(&side, fs::Permissions::from_mode(mode)).unwrap();
    device
}

fn killed_writing_a_wal(version: i32) -> TestDevice {
    let device = TestDevice::wal_at(version)
        .firmware(42)
        .application(&["sql UPDATE parent SET reading = 7 WHERE id = 5"]);
    device.killed()
}

#[test]
fn a_wal_of_another_user_is_named_with_its_owner() {
    for version in [40, 42] {
        let device = left_by_root(killed_writing_a_wal(version), "-wal", 0o600);
        let before = oracle::folder(&device.root());
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "15", "{}", ran.stderr);
        says(
            &ran.stderr,
            &[
                "it belongs to 0:0 with mode 0600, and uid 1000 may not read and write it",
                &format!("{HOME}/settings.db-wal, while"),
            ],
        );
        all_say(&device, &["settings.db-wal", "it belongs to 0:0 with mode 0600"]);
        assert_eq!(
            fs::read(device.main()).unwrap().len(),
            fs::metadata(device.main()).unwrap().len() as usize
        );
        assert!(
            !oracle::touched(&before, &oracle::folder(&device.root())).contains("database"),
            "nothing of it was touched"
        );
    }
}

#[test]
fn a_wal_that_may_only_be_read_is_named_before_anything_is_migrated() {
    let device = left_by_root(killed_writing_a_wal(40), "-wal", 0o644);
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "15", "{}", ran.stderr);
    says(
        &ran.stderr,
        &[
            "it belongs to 0:0 with mode 0644, and uid 1000 may not read and write it",
            "settings.db-wal",
        ],
    );
}

#[test]
fn a_shared_memory_of_another_user_is_named() {
    let device = left_by_root(killed_writing_a_wal(40), "-shm", 0o600);
    let ran = device.run(&["run"]);
    // SQLite can do without it where nobody else is there; where it cannot, the file is named.
    if ran.exit == "0" {
        says(&ran.stderr, &["[BM-0 settings 40"]);
    } else {
        assert_eq!(ran.exit, "15", "{}", ran.stderr);
        says(&ran.stderr, &["settings.db-shm", "it belongs to 0:0 with mode 0600"]);
    }
}

#[test]
fn a_hot_journal_of_another_user_is_named() {
    let lines = [
        "sql PRAGMA cache_size = 1",
        "sql BEGIN",
        "sql UPDATE child SET amount = amount + 1",
        "sql UPDATE parent SET reading = 1",
    ];
    let device = TestDevice::at(42).application(&lines).killed();
    let device = left_by_root(device, "-journal", 0o600);
    let before = fs::read(device.main()).unwrap();
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "15", "{}", ran.stderr);
    says(
        &ran.stderr,
        &[
            "settings.db-journal",
            "it belongs to 0:0 with mode 0600, and uid 1000 may not read and write it",
        ],
    );
    all_say(&device, &["settings.db-journal"]);
    assert_eq!(fs::read(device.main()).unwrap(), before, "the database is as it was");
}

#[test]
fn a_folder_that_refuses_is_not_called_a_read_only_file_system() {
    let device = of_the_user(TestDevice::at(40).firmware(42));
    chown(device.home(), Some(0), Some(0)).unwrap();
    fs::set_permissions(device.home(), fs::Permissions::from_mode(0o755)).unwrap();
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "15");
    says(
        &ran.stderr,
        &["work is pending and uid 1000 may not write in ", HOME, "(owner 0:0, mode 0755)"],
    );
    assert!(!ran.stderr.contains("file system is read-only"), "{}", ran.stderr);
}

#[test]
fn a_file_that_may_only_be_read_is_not_called_a_read_only_file_system() {
    let device = of_the_user(TestDevice::at(40).firmware(42));
    chown(device.main(), Some(0), Some(0)).unwrap();
    fs::set_permissions(device.main(), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "15", "{}", ran.stderr);
    says(
        &ran.stderr,
        &[
            "work is pending and it belongs to 0:0 with mode 0644, and uid 1000 may not read and \
             write it",
            "settings.db",
        ],
    );
    assert!(!ran.stderr.contains("file system is read-only"), "{}", ran.stderr);
}

#[test]
fn a_limit_on_the_size_of_files_ends_no_run_by_a_signal() {
    for kind in ["precious", "rebuildable"] {
        let fill =
            "CREATE TABLE much(a);\nWITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
             WHERE i < 9000) INSERT INTO much SELECT randomblob(500) FROM n;\n";
        let device = TestDevice::at(40)
            .firmware(42)
            .file(("V43__much.sql", fill))
            .key(&format!("kind = \"{kind}\""));
        let rows = oracle::content(&device.main()).unwrap();
        let mut words =
            vec!["sh".into(), "-c".into(), "ulimit -f 2000; exec \"$@\"".into(), "sh".into()];
        words.extend(device.words(&["run"]));
        let ran = crate::program::finish(device.command(&words));
        assert_eq!(ran.exit, "15", "{kind}: {}", ran.stderr);
        says(&ran.stderr, &["BM-15 settings 40>43"]);
        assert_eq!(
            oracle::content(&device.main()).unwrap(),
            rows,
            "{kind}: the old database, whole"
        );
        assert_eq!(device.run(&["run"]).exit, "0", "{kind}: without the limit");
    }
}

#[test]
fn a_purge_says_that_all_rows_went() {
    let device = TestDevice::at(40).firmware(42);
    let ran = device.run(&["purge", "--db", "settings", "--yes"]);
    assert_eq!(ran.exit, "11");
    says(
        &ran.stderr,
        &["because `purge` was asked for; the old files are in quarantine/1; lost: all its rows. \
           [BM-11 settings 40>42]"],
    );
    let device = TestDevice::at(40)
        .firmware(40)
        .file(BROKEN)
        .key("kind = \"rebuildable\"")
        .after(|device| fs::write(device.main(), "no database").unwrap());
    let ran = device.without(BROKEN.0).firmware(42);
    let ran = ran.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    says(
        &ran.stderr,
        &[
            "replaced by a fresh database at version 42",
            "lost: all its rows. [BM-11 settings ?>42]",
        ],
    );
}

#[test]
fn a_rehearsal_counts_no_try_and_does_not_say_so() {
    let device = TestDevice::at(40).firmware(40).file(BROKEN);
    for _ in 0..4 {
        let ran = device.run(&["rehearse"]);
        assert_eq!(ran.exit, "10");
        says(&ran.stdout, &["no such column: nowhere", "this was a copy, and no try was counted"]);
        assert!(!ran.stdout.contains("more time"), "{}", ran.stdout);
    }
    says(&device.run(&["run"]).stderr, &["this one is tried 2 more times"]);
}

#[test]
fn a_rollback_is_because_it_was_asked_for() {
    let down = ("V43__more.down.sql", "DROP TABLE more;\n");
    let device = TestDevice::at(42)
        .firmware(42)
        .file(("V43__more.sql", "CREATE TABLE more(a);\n"))
        .file(down);
    assert_eq!(device.run(&["run"]).exit, "0");
    let ran = device.run(&["rollback", "--db", "settings", "--to", "42"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    says(
        &ran.stderr,
        &[
            "gone back to 42 by its stored down SQL, no row lost, because `rollback` was asked for",
            "This firmware expects 43: not ready",
        ],
    );
    assert!(!ran.stderr.contains("knows 42"), "{}", ran.stderr);
    assert!(!device.root().join("run/bootmigrate/ready/settings").exists());
    // With rows in what goes.
    assert_eq!(device.run(&["run"]).exit, "0");
    Connection::open(device.main()).unwrap().execute("INSERT INTO more VALUES (1)", []).unwrap();
    let ran = device.run(&["rollback", "--db", "settings", "--to", "42"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    says(&ran.stderr, &["because `rollback` was asked for"]);
}

#[test]
fn a_rollback_that_cannot_be_says_only_why() {
    let device = TestDevice::at(42).firmware(42).file(("V43__more.sql", "CREATE TABLE more(a);\n"));
    assert_eq!(device.run(&["run"]).exit, "0");
    let ran = device.run(&["rollback", "--db", "settings", "--to", "42"]);
    assert_eq!(ran.exit, "2", "{}", ran.stderr);
    says(&ran.stderr, &["settings cannot go back from 43 to 42: "]);
    assert!(!ran.stderr.contains("this firmware knows"), "{}", ran.stderr);
}

fn sql_of(device: &TestDevice) -> Vec<String> {
    let ran = device.run(&["plan", "--sql"]);
    let lines = ran.stdout.lines();
    lines
        .filter_map(|line| line.strip_prefix("-- settings/"))
        .map(|file| file.split("__").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_sql_of_a_plan_is_what_would_run() {
    assert_eq!(sql_of(&TestDevice::at(40).firmware(42)), ["V41", "V42"]);
    assert_eq!(sql_of(&TestDevice::at(42)), [""; 0]);
    assert_eq!(sql_of(&TestDevice::empty(42)), ["V10", "V20", "V30", "V40", "V41", "V42"]);
    // A snapshot of 41 comes back, and only what is after it runs.
    let device = TestDevice::at(41).firmware(42);
    assert_eq!(device.run(&["run"]).exit, "0");
    fs::write(device.main(), vec![7; 8192]).unwrap();
    says(&device.run(&["plan"]).stdout, &["replace by the snapshot v41-1 migrated forward"]);
    assert_eq!(sql_of(&device), ["V42"]);
}

fn ready_file(device: &TestDevice) -> std::path::PathBuf {
    device.root().join("run/bootmigrate/ready/settings")
}

#[track_caller]
fn ready(device: &TestDevice, exit: &str, said: &str, status: &str) {
    let ran = device.run(&["ready", "--db", "settings"]);
    assert_eq!(ran.exit, exit, "{}", ran.stdout);
    says(&ran.stdout, &[said]);
    says(&device.run(&["status"]).stdout, &[status]);
    let json: serde_json::Value =
        serde_json::from_str(&device.run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(json["databases"][0]["ready"], exit == "0");
}

#[test]
fn a_ready_file_of_other_firmware_is_not_believed() {
    let device = TestDevice::booted_at(40);
    ready(&device, "0", "settings: ready\n", "ready       yes\n");
    let device = device.firmware(42);
    ready(
        &device,
        "3",
        "its ready file is for version 40, and this firmware expects 42",
        "ready       no: its ready file is for version 40",
    );
    let older = device.older(30);
    ready(
        &older,
        "3",
        "its ready file is for version 40, and this firmware expects 30",
        "ready       no: its ready file is for version 40",
    );
    let device = older.firmware(40);
    for content in ["41\n", "", "40x", "forty", &"4".repeat(4000)] {
        fs::write(ready_file(&device), content).unwrap();
        ready(
            &device,
            "3",
            "settings: not ready: its ready file ",
            "ready       no: its ready file ",
        );
    }
    fs::write(ready_file(&device), "40\n").unwrap();
    ready(&device, "0", "settings: ready\n", "ready       yes\n");
}

#[test]
fn a_ready_file_of_a_database_that_cannot_be_read_is_not_believed() {
    type Harm = fn(&TestDevice, &Path);
    let harms: [(&str, Harm); 5] = [
        ("its header is not that of an SQLite database", |_, main| {
            fs::write(main, "no database at all").unwrap()
        }),
        ("the main file is absent, but it held data before", |_, main| {
            fs::remove_file(main).unwrap()
        }),
        ("is a folder", |_, main| {
            fs::remove_file(main).unwrap();
            fs::create_dir(main).unwrap();
        }),
        ("no migration history", |_, main| {
            Connection::open(main)
                .unwrap()
                .execute_batch("DROP TABLE refinery_schema_history")
                .unwrap();
        }),
        ("may not read and write it", |device, main| {
            chown(main, Some(0), Some(0)).unwrap();
            fs::set_permissions(main, fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(device.user, Some(USER));
        }),
    ];
    for (said, harm) in harms {
        let device = of_the_user(TestDevice::at(40));
        assert_eq!(device.run(&["run"]).exit, "0");
        ready(&device, "0", "settings: ready\n", "ready       yes\n");
        harm(&device, &device.main());
        ready(&device, "3", said, "ready       no");
    }
}

#[test]
fn an_application_in_the_middle_of_a_transaction_is_ready() {
    for device in [TestDevice::booted_at(40), TestDevice::wal_at(40)] {
        assert_eq!(device.run(&["run"]).exit, "0");
        let device = device.application(&[
            "sql PRAGMA cache_size = 1",
            "sql BEGIN EXCLUSIVE",
            "sql UPDATE child SET amount = amount + 1",
        ]);
        let ran = device.run(&["ready", "--db", "settings"]);
        assert_eq!((ran.exit.as_str(), ran.stdout.as_str()), ("0", "settings: ready\n"));
    }
}

#[test]
fn a_table_that_hides_its_row_number_is_carried_over() {
    let gone = "CREATE TABLE z(a CHECK(a < 1)); INSERT INTO z SELECT count(*) FROM gone;\n";
    let tables = (
        "V41__tables.sql",
        "CREATE TABLE gone(x);\nCREATE TABLE r(\"rowid\" TEXT, \"oid\" TEXT, \"_rowid_\" TEXT);\n",
    );
    let device = TestDevice::at(40).firmware(40).file(tables).key("on_failure = \"purge\"");
    assert_eq!(device.run(&["run"]).exit, "0");
    let device = device.file(("V42__full.sql", gone)).after(|device| {
        let sql = "INSERT INTO gone VALUES (1); INSERT INTO r VALUES ('a','b','c'), ('d','e','f')";
        Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
    });
    let ran = device.run(&["run", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    let now = Connection::open(device.main()).unwrap();
    let rows: String = now
        .query_row(
            "SELECT group_concat(\"rowid\" || \"oid\" || \"_rowid_\", ' ') FROM r",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(rows, "abc def");
    let version: i32 = now
        .query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 42);
}
