//! Owns the tests of `doctor`: a situation for each finding beside those in the files themselves,
//! what it says, what it means, and the command that repairs it.
//! Promises: looking touches nothing and changes no row; where the repair is a command, the command
//! is run and the finding gone.
//! Never looks at the sentence alone: level, subject and exit code are the JSON's.

use crate::carry_over::rows;
use crate::device::TestDevice;
use crate::mount::Mount;
use crate::oracle;
use crate::product::{BROKEN, UNIQUE_BADGE};
use rusqlite::Connection;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{chown, FileExt};

/// What must be found.
pub struct Finding<'a> {
    pub exit: &'a str,
    pub level: &'a str,
    pub about: &'a str,
    pub what: &'a str,
    pub repair: &'a str,
}

/// All findings about one subject.
#[track_caller]
pub fn about(device: &TestDevice, words: &[&str], subject: &str) -> (String, Vec<Value>) {
    let ran = device.run(&[&["doctor", "--json"], words].concat());
    let answer: Value = serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|_| panic!("no JSON: {}{}", ran.stdout, ran.stderr));
    assert_eq!(answer["exit"].to_string(), ran.exit);
    let findings = answer["databases"][0]["findings"].as_array().unwrap().clone();
    (ran.exit, findings.into_iter().filter(|finding| finding["about"] == subject).collect())
}

/// The finding is there, in both forms, and looking changed nothing.
#[track_caller]
pub fn finds(device: &TestDevice, words: &[&str], wanted: &Finding<'_>) {
    let (folder, content) = (oracle::folder(&device.root()), oracle::content(&device.main()));
    let (exit, findings) = about(device, words, wanted.about);
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let found = findings
        .iter()
        .find(|finding| text(finding, "what").contains(wanted.what))
        .unwrap_or_else(|| panic!("{findings:#?}"));
    assert_eq!(
        (exit.as_str(), found["level"].as_str()),
        (wanted.exit, Some(wanted.level)),
        "{findings:#?}"
    );
    let read = device.run(&[&["doctor"], words].concat());
    assert_eq!(read.exit, exit);
    assert!(read.stdout.contains(&text(found, "what")), "{}", read.stdout);
    if wanted.level == "ok" {
        assert_eq!((text(found, "means"), text(found, "repair")), (String::new(), String::new()));
    } else {
        assert!(
            !text(found, "means").is_empty() && text(found, "repair").contains(wanted.repair),
            "{found:#}"
        );
        let lines = format!(
            "means       {}\n           do          {}\n",
            text(found, "means"),
            text(found, "repair")
        );
        assert!(read.stdout.contains(&lines), "{}", read.stdout);
    }
    assert_eq!(oracle::touched(&folder, &oracle::folder(&device.root())), "nothing");
    assert_eq!(oracle::content(&device.main()), content);
}

#[track_caller]
pub fn is_well(device: &TestDevice, words: &[&str], subject: &str) {
    let (_, findings) = about(device, words, subject);
    assert!(
        !findings.is_empty() && findings.iter().all(|finding| finding["level"] == "ok"),
        "{findings:#?}"
    );
}

pub fn sql(device: &TestDevice, text: &str) {
    let connection = Connection::open(device.main()).unwrap();
    connection.execute_batch(text).unwrap();
    connection.close().unwrap();
}

#[test]
fn work_that_is_pending() {
    let device = TestDevice::booted_at(40).firmware(42);
    let pending = Finding {
        exit: "3",
        level: "problem",
        about: "next boot",
        what: "migrate 40 to 42",
        repair: "`bootmigrate run --db settings`",
    };
    finds(&device, &[], &pending);
    let new = device.expectations(&device.databases[0]).new;
    assert_eq!(device.run(&["run", "--db", "settings"]).exit, "0");
    is_well(&device, &[], "next boot");
    assert_eq!(oracle::content(&device.main()).ok(), new);
}

#[test]
fn a_history_that_is_not_this_firmwares() {
    let look = "-- Another comment.\nCREATE INDEX child_parent ON child (parent_id);\nCREATE VIEW \
                family AS SELECT p.name, c.label FROM parent p JOIN child c ON c.parent_id = \
                p.id;\n";
    let changed = || TestDevice::booted_at(40).file(("V30__look.sql", look));
    let renamed = TestDevice::booted_at(40)
        .without("V30__look.sql")
        .file(("V30__hotfix.sql", "CREATE TABLE hotfix (id);\n"));
    let late = TestDevice::booted_at(40).file(("V25__late.sql", "CREATE TABLE late (id);\n"));
    for (device, exit, what) in [
        (changed(), "21", "the text of settings/V30__look.sql differs from what was applied"),
        (
            changed().key("on_checksum_mismatch = \"warn\""),
            "0",
            "the text of settings/V30__look.sql differs from what was applied",
        ),
        (renamed, "21", "version 30 is \"look\" in the database and \"hotfix\" in this firmware"),
        (late, "21", "settings/V25__late.sql was never applied and version 40 was"),
        (
            TestDevice::booted_at(42).firmware(41),
            "12",
            "V42__preferences was applied and is not in this firmware",
        ),
    ] {
        finds(
            &device,
            &[],
            &Finding {
                exit,
                level: "note",
                about: "history",
                what,
                repair: "a firmware with the migrations of the history fits",
            },
        );
    }
    let well = Finding {
        exit: "0",
        level: "ok",
        about: "history",
        what: "4 migrations, each as this firmware has it",
        repair: "",
    };
    finds(&TestDevice::booted_at(40), &[], &well);
}

#[test]
fn tries_that_are_counted() {
    let device = TestDevice::booted_at(40).file(BROKEN);
    for exit in ["10", "10", "10", "19"] {
        assert_eq!(device.run(&["run"]).exit, exit);
    }
    let counted = Finding {
        exit: "19",
        level: "note",
        about: "tries",
        what: "3 failed, 0 interrupted",
        repair: "`bootmigrate run --retry --db settings`",
    };
    finds(&device, &[], &counted);
    let device = device.without("V41__x.sql");
    assert_eq!(device.run(&["run", "--retry", "--db", "settings"]).exit, "0");
    assert_eq!(about(&device, &[], "tries").1, Vec::<Value>::new());
}

#[test]
fn files_of_two_owners() {
    crate::mount::require_root();
    let device = TestDevice::booted_at(41);
    is_well(&device, &[], "owner");
    chown(device.main(), Some(65534), Some(65534)).unwrap();
    let two = Finding {
        exit: "0",
        level: "note",
        about: "owner",
        what: "65534:65534, mode",
        repair: "give folder and file to the same user",
    };
    finds(&device, &[], &two);
    chown(device.home(), Some(65534), Some(65534)).unwrap();
    is_well(&device, &[], "owner");
    let second = device.home().join("second-name");
    fs::hard_link(device.main(), &second).unwrap();
    let linked = Finding {
        exit: "16",
        level: "note",
        about: "owner",
        what: "the file has 2 names",
        repair: "remove the other names",
    };
    finds(&device, &[], &linked);
    fs::remove_file(second).unwrap();
    is_well(&device, &[], "owner");
}

#[test]
fn a_mount_that_is_missing() {
    let device = TestDevice::at(41).without_root();
    let missing = Finding {
        exit: "18",
        level: "problem",
        about: "mount",
        what: "is not mounted",
        repair: "mount it, then run again",
    };
    finds(&device, &[], &missing);
    let device = TestDevice::at(41).on(|at, _| Mount::tmpfs(at, 4096)).without_proc();
    finds(
        &device,
        &[],
        &Finding {
            what: "cannot be seen without /proc",
            repair: "mount /proc, then run again",
            ..missing
        },
    );
    let device = TestDevice::at(41).on(|at, _| Mount::tmpfs(at, 4096)).without_root();
    assert_eq!(device.run(&["run"]).exit, "0");
    is_well(&device, &[], "mount");
}

#[test]
fn a_disk_that_is_full_or_read_only() {
    let device = TestDevice::booted_at(41).on(|at, _| Mount::tmpfs(at, 4096));
    is_well(&device, &[], "space");
    device.mount.as_ref().unwrap().fill_but(64);
    let full = Finding {
        exit: "0",
        level: "note",
        about: "space",
        what: "65536 bytes free of",
        repair: "`bootmigrate snapshot prune`",
    };
    finds(&device, &[], &full);
    device.mount.as_ref().unwrap().empty();
    is_well(&device, &[], "space");
    device.mount.as_ref().unwrap().read_only();
    let fixed = Finding {
        exit: "0",
        level: "note",
        about: "space",
        what: "the file system is mounted read-only",
        repair: "make it writable",
    };
    finds(&device, &[], &fixed);
}

#[test]
fn a_schema_that_was_changed_by_hand() {
    let device = TestDevice::booted_at(41);
    is_well(&device, &[], "schema");
    sql(
        &device,
        "DROP INDEX child_parent; DROP VIEW family; CREATE VIEW family AS SELECT 1; CREATE TABLE \
         notes (id)",
    );
    for what in [
        "index child_parent is missing",
        "view family has `1` where `p.name, c.label from parent p join child` should be",
        "table notes is not from a migration",
    ] {
        finds(
            &device,
            &[],
            &Finding {
                exit: "0",
                level: "note",
                about: "schema",
                what,
                repair: "a migration that puts it right",
            },
        );
    }
    // Such a migration.
    let right = "DROP TABLE notes;\nDROP VIEW family;\nCREATE INDEX child_parent ON child \
                 (parent_id);\nCREATE VIEW family AS SELECT p.name, c.label FROM parent p JOIN \
                 child c ON c.parent_id = p.id;\n";
    sql(&device, right);
    is_well(&device, &[], "schema");
}

#[test]
fn rows_that_had_no_place() {
    let device =
        TestDevice::wal_at(40).firmware(40).file(UNIQUE_BADGE).key("on_failure = \"purge\"");
    assert_eq!(device.run(&["run"]).exit, "11");
    let lost = rows(&Connection::open(device.main()).unwrap(), "lost_parent").len();
    assert!(lost >= 1000);
    let aside = Finding {
        exit: "0",
        level: "note",
        about: "aside",
        what: "lost_parent",
        repair: "`bootmigrate lost list` says why",
    };
    finds(&device, &[], &aside);
    let kept = Finding {
        exit: "0",
        level: "note",
        about: "quarantine",
        what: "because ",
        repair: "it goes when quarantine_max is reached",
    };
    finds(&device, &[], &kept);
    is_well(&device, &[], "schema");
    sql(&device, "DROP TABLE lost_parent; DROP TABLE IF EXISTS lost_child");
    assert_eq!(about(&device, &[], "aside").1, Vec::<Value>::new());
}

#[test]
fn a_copy_that_is_not_good() {
    let device = TestDevice::booted_at(41);
    finds(
        &device,
        &[],
        &Finding { exit: "0", level: "ok", about: "snapshots", what: "none", repair: "" },
    );
    assert_eq!(device.run(&["snapshot", "create"]).exit, "0");
    finds(
        &device,
        &[],
        &Finding { exit: "0", level: "ok", about: "snapshots", what: "v41-1, ", repair: "" },
    );
    let copy = fs::OpenOptions::new()
        .write(true)
        .open(device.state("settings").join("snapshots/v41-1.db"))
        .unwrap();
    copy.write_all_at(&[0xA5; 4096], 8 * 4096).unwrap();
    let bad = Finding {
        exit: "0",
        level: "note",
        about: "snapshots",
        what: "v41-1 is not good: ",
        repair: "`bootmigrate snapshot create --db settings` makes a good one",
    };
    finds(&device, &[], &bad);
    assert_eq!(device.run(&["snapshot", "create", "--db", "settings"]).exit, "0");
    is_well(&device, &[], "snapshots");
}

#[test]
fn a_record_that_was_lost() {
    finds(
        &TestDevice::empty(41),
        &[],
        &Finding {
            exit: "3",
            level: "ok",
            about: "record",
            what: "none; the first run makes it",
            repair: "",
        },
    );
    let device = TestDevice::at(40).firmware(41);
    assert_eq!(device.run(&["run"]).exit, "0");
    finds(
        &device,
        &[],
        &Finding {
            exit: "0",
            level: "ok",
            about: "record",
            what: "whole; the last operation was number 1",
            repair: "",
        },
    );
    let lost = Finding {
        exit: "0",
        level: "note",
        about: "record",
        what: "it is gone, or neither",
        repair: "the next run that writes rebuilds it",
    };
    let record = device.state("settings").join("record");
    fs::write(&record, [0x5A; 8192]).unwrap();
    finds(&device, &[], &lost);
    fs::remove_file(&record).unwrap();
    finds(&device, &[], &lost);
    let device = device.firmware(42);
    let new = device.expectations(&device.databases[0]).new;
    assert_eq!(device.run(&["run"]).exit, "0");
    is_well(&device, &[], "record");
    assert_eq!(oracle::content(&device.main()).ok(), new);
}
