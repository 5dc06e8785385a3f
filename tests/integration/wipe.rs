//! Owns the tests of a factory reset: what is gone, what a cut leaves, who is refused.
//! Promises: every byte below the databases' folder is searched for rows that were given up; killed
//! at each write-like call.
//! Never takes a database for wiped because the program says so.

use crate::device::{copy_tree, TestDevice};
use crate::mount::Mount;
use crate::oracle;
use crate::program::finish;
use crate::quarantine::runs;
use crate::strace::{calls, words};
use std::fs;
use std::path::Path;

const WIPE: &[&str] = &["wipe", "--db", "settings", "--yes"];
/// In rows of the application alone, in a sentence of the record, and in rows of the firmware's
/// first migrations.
const GIVEN_UP: [&[u8]; 3] = [b"device 1999", b"is not a database of", b"changed"];

/// Every regular file below a folder.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => files(&entry, found),
            false => found.push((entry.display().to_string(), fs::read(&entry).unwrap())),
        }
    }
}

/// Files below the databases' folder that have something in them that was given up.
fn remains(device: &TestDevice) -> Vec<String> {
    let mut found = Vec::new();
    files(&device.home(), &mut found);
    let has = |bytes: &[u8]| {
        GIVEN_UP
            .iter()
            .any(|given_up| bytes.windows(given_up.len()).any(|window| window == *given_up))
    };
    found.into_iter().filter(|(_, bytes)| has(bytes)).map(|(path, _)| path).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A snapshot, a set in quarantine, rows of the application, and a WAL that has not been brought
/// in.
fn lived_in() -> TestDevice {
    let device = TestDevice::wal_at(40);
    runs(&device, "run", "0");
    runs(&device, "snapshot create", "0");
    runs(&device, "purge --db settings --yes", "11");
    runs(&device, "quarantine restore 2 --db settings --yes", "11");
    device
        .application(&[
            "sql PRAGMA wal_autocheckpoint = 0",
            "sql UPDATE parent SET name = 'changed ' || id, reading = reading + 7",
        ])
        .killed()
}

#[track_caller]
fn is_as_new(device: &TestDevice) {
    let left: Vec<String> =
        remains(device).into_iter().filter(|path| !path.ends_with("/log.db")).collect();
    assert_eq!(left, Vec::<String>::new());
    let state = device.state("settings");
    assert_eq!(names(&state), ["lock", "quarantine", "record", "snapshots"]);
    assert!(
        names(&state.join("snapshots")).is_empty() && names(&state.join("quarantine")).is_empty()
    );
}

#[track_caller]
fn boots_as_new(device: &TestDevice) {
    let fresh = device.expectations(&device.databases[0]).fresh.unwrap();
    let said = runs(device, "run", "0");
    assert!(said.contains("settings: created at version 40. [BM-0 settings 0>40]"), "{said}");
    assert_eq!(oracle::content(&device.main()).unwrap(), fresh);
    let before = oracle::folder(&device.root());
    assert!(runs(device, "run", "0").contains("nothing to do"));
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
}

#[test]
fn nothing_is_left_and_the_next_boot_is_a_first_one() {
    let device = lived_in();
    assert!(remains(&device).len() >= 3, "the situation: {:?}", remains(&device));
    let said = runs(&device, "wipe --db settings --yes", "0");
    assert!(
        said.starts_with("settings: wiped, ")
            && said.ends_with(" [BM-0 settings]\n")
            && said.contains("`fstrim`"),
        "{said}"
    );
    is_as_new(&device);
    assert_eq!(names(&device.home()), [".bootmigrate"]);
    assert!(!device.root().join("run/bootmigrate/ready/settings").exists());
    assert!(!device.root().join("run/bootmigrate/status.json").exists());
    boots_as_new(&device);
    // What was given up cannot be asked for again.
    assert_eq!(runs(&device, "quarantine list", "0"), "settings: nothing in quarantine\n");
}

#[test]
fn what_would_go_is_listed_and_nothing_is_touched() {
    let device = lived_in();
    let before = oracle::folder(&device.root());
    let said = runs(&device, "wipe --db settings", "2");
    assert!(
        said.contains("  files       settings.db ") && said.contains(", settings.db-wal "),
        "{said}"
    );
    assert!(said.contains("  snapshots   ") && said.contains("  quarantine  "), "{said}");
    assert!(said.ends_with("nothing was touched; say --yes. [BM-2]\n"), "{said}");
    assert_eq!(runs(&device, "wipe --all", "2"), said);
    for (typed, why) in [
        ("wipe --yes", "`wipe` needs --db NAME or --all"),
        ("wipe --all --db settings --yes", "--db and --all exclude each other"),
        ("wipe --db setings --yes", "--db setings is not configured"),
    ] {
        let said = runs(&device, typed, "2");
        assert!(said.contains(why), "{typed}: {said}");
    }
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    let never_here = TestDevice::empty(40);
    assert_eq!(
        runs(&never_here, "wipe --all --yes", "0"),
        "settings: nothing of it is there, and nothing was done.\n"
    );
    assert!(!never_here.state("settings").exists());
}

/// One that is open keeps the others too: nobody wants half a factory reset.
#[test]
fn what_an_application_has_open_is_not_wiped() {
    let device = TestDevice::booted_at(40).with_telemetry(40);
    runs(&device, "run", "0");
    let device = device.application(&["sql SELECT count(*) FROM parent"]);
    let before = oracle::content(&device.main()).unwrap();
    let telemetry = oracle::content(&device.path("telemetry")).unwrap();
    for typed in ["wipe --db settings --yes", "wipe --all --yes"] {
        let said = runs(&device, typed, "13");
        assert!(said.contains("nothing was changed. [BM-13 settings]"), "{said}");
    }
    assert_eq!(oracle::content(&device.main()).unwrap(), before);
    assert_eq!(oracle::content(&device.path("telemetry")).unwrap(), telemetry);
    let device = device.killed();
    runs(&device, "wipe --all --yes", "0");
    assert_eq!(remains(&device), Vec::<String>::new());
    assert_eq!(names(&device.home()), [".bootmigrate"]);
    let said = runs(&device, "run", "0");
    assert!(said.contains("telemetry: created at version 40."), "{said}");
}

/// Damage is no reason to keep it; a second name is, for the rows would stay under it.
#[test]
fn a_damaged_one_goes_and_one_with_a_second_name_does_not() {
    let device = lived_in();
    fs::write(device.main(), b"device 1999, and no database").unwrap();
    runs(&device, "wipe --db settings --yes", "0");
    is_as_new(&device);
    boots_as_new(&device);
    let device = lived_in();
    fs::hard_link(device.main(), device.folder().join("backup.db")).unwrap();
    let before = oracle::folder(&device.root());
    let said = runs(&device, "wipe --db settings --yes", "16");
    assert!(
        said.contains("it has 2 names (hard links)")
            && said.contains("nothing was changed. [BM-16 settings]"),
        "{said}"
    );
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
}

/// A reset is wanted most where nothing can be written any more.
#[test]
fn a_full_disk_is_wiped() {
    let device = lived_in().on(|at, _| Mount::tmpfs(at, 16384));
    device.mount.as_ref().unwrap().fill();
    let said = runs(&device, "wipe --db settings --yes", "0");
    assert!(said.contains("settings: wiped, "), "{said}");
    device.mount.as_ref().unwrap().empty();
    is_as_new(&device);
    boots_as_new(&device);
}

/// Its word is on the kernel's command line at every boot from then on.
#[test]
fn a_token_that_was_handled_stays_handled() {
    for record_is_lost in [false, true] {
        let device = TestDevice::at(40);
        fs::create_dir_all(device.root().join("proc")).unwrap();
        fs::write(
            device.root().join("proc/cmdline"),
            "quiet bootmigrate.purge-and-retry=ticket-1\n",
        )
        .unwrap();
        runs(&device, "run", "0");
        if record_is_lost {
            fs::write(device.state("settings").join("record"), [7u8; 8192]).unwrap();
        }
        runs(&device, "wipe --db settings --yes", "0");
        runs(&device, "run", "0");
        // What is damaged from now on is not what the technician had seen.
        let mut bytes = fs::read(device.main()).unwrap();
        bytes.fill(0x55);
        fs::write(device.main(), bytes).unwrap();
        let said = runs(&device, "run", "17");
        assert!(said.contains("run --purge-and-retry"), "record lost {record_is_lost}: {said}");
        fs::write(
            device.root().join("proc/cmdline"),
            "quiet bootmigrate.purge-and-retry=ticket-2\n",
        )
        .unwrap();
        runs(&device, "run", "11");
    }
}

/// What goes together with it keeps its rows, and the next boot makes the two one again.
#[test]
fn one_of_a_group_goes_alone() {
    let device = TestDevice::at(40).together_with_log(40, crate::device::Mode::Delete);
    runs(&device, "run", "0");
    let log = oracle::content(&device.path("log")).unwrap();
    let said = runs(&device, "wipe --db settings", "2");
    assert!(
        said.contains("  note        log goes together with it and stays as it is\n"),
        "{said}"
    );
    let said = runs(&device, "wipe --db settings --yes", "0");
    assert!(said.contains("log goes together with it and stays as it is."), "{said}");
    is_as_new(&device);
    assert!(
        !device.root().join("run/bootmigrate/ready/log").exists(),
        "an application may open half a group"
    );
    assert_eq!(oracle::content(&device.path("log")).unwrap(), log);
    let device = device.firmware(42);
    let said = runs(&device, "run", "0");
    assert!(
        said.contains("settings: created at version 42.")
            && said.contains("log: migrated from 40 to 42"),
        "{said}"
    );
    assert!(device.root().join("run/bootmigrate/ready/log").exists());
}

/// Nothing is read, kept or opened of what is being removed, and the next boot or the next wipe
/// ends it.
#[test]
fn a_wipe_that_is_killed_anywhere_is_finished() {
    let template = lived_in();
    let old = oracle::content(&template.main()).unwrap();
    let a_copy = || {
        let device = TestDevice::empty(40);
        let _ = fs::remove_dir_all(device.root());
        copy_tree(&template.folder().join("."), device.folder());
        device
    };
    let (points, ran) = calls(&a_copy(), WIPE);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    assert!(points.len() >= 15, "only {} write-like calls", points.len());
    let (mut untouched, mut finished) = (0, 0);
    for (number, call) in points.iter().enumerate() {
        let mut device = a_copy();
        device.databases[0].version = 40;
        let before = fs::read(device.state("settings").join("record")).unwrap();
        let log = device.folder().join("kill.log");
        let inject = format!("{}:signal=SIGKILL:when={}", call.name, call.nth);
        assert_eq!(
            finish(device.command(&words(&device, WIPE, &log, Some(inject)))).exit,
            "signal 9",
            "{call:?}"
        );
        // The old database, whole, or none.
        let there = oracle::content(&device.main());
        assert!(there.as_ref() == Ok(&old) || there == Err("absent".into()), "{call:?}: {there:?}");
        if fs::read(device.state("settings").join("record")).unwrap() == before {
            assert_eq!(there.as_ref(), Ok(&old), "{call:?}");
            runs(&device, "run", "0");
            assert_eq!(oracle::content(&device.main()).unwrap(), old, "{call:?}");
            untouched += 1;
            continue;
        }
        let looked = device.run(&["status", "--exit-code"]);
        assert!(looked.exit == "3" || !device.main().exists(), "{call:?}: {}", looked.stdout);
        if number % 2 == 0 {
            runs(&device, "wipe --db settings --yes", "0");
            is_as_new(&device);
        }
        let said = runs(&device, "run", "0");
        assert!(said.contains("created at version 40"), "{call:?}: {said}");
        assert_eq!(remains(&device), Vec::<String>::new(), "{call:?}");
        boots_quietly(&device);
        finished += 1;
    }
    println!("killed at {} calls: {untouched} before it had begun, {finished} after", points.len());
    assert!(untouched >= 1 && finished >= 10);
}

#[track_caller]
fn boots_quietly(device: &TestDevice) {
    let fresh = device.expectations(&device.databases[0]).fresh.unwrap();
    assert_eq!(oracle::content(&device.main()).unwrap(), fresh);
    let before = oracle::folder(&device.root());
    assert!(runs(device, "run", "0").contains("nothing to do"));
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
}

/// A person who only looks, or asks for something else, learns what comes first.
#[test]
fn nothing_else_begins_while_a_wipe_waits() {
    let device = lived_in();
    let (points, _) = calls(&device.duplicate(), WIPE);
    let first = points.iter().position(|call| call.name.starts_with("unlink")).unwrap();
    let log = device.folder().join("kill.log");
    let call = points.iter().skip(first + 1).find(|call| call.name.starts_with("fsync")).unwrap();
    let inject = format!("{}:signal=SIGKILL:when={}", call.name, call.nth);
    assert_eq!(finish(device.command(&words(&device, WIPE, &log, Some(inject)))).exit, "signal 9");
    let before = oracle::folder(&device.state("settings"));
    let plan = runs(&device, "plan", "0");
    assert!(
        plan.starts_with(
            "settings: finish the wipe that was cut off: what is left of the database goes for \
             good; then create it at version "
        ),
        "{plan}"
    );
    for typed in [
        "ready --db settings",
        "snapshot create",
        "quarantine export 1 /tmp/nowhere --db settings",
        "mark-good",
        "rehearse",
    ] {
        let ran = device.run(&typed.split_whitespace().collect::<Vec<_>>());
        assert!(
            ["2", "3"].contains(&ran.exit.as_str()),
            "{typed}: {} {}{}",
            ran.exit,
            ran.stdout,
            ran.stderr
        );
    }
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.state("settings"))), "nothing");
    let said = runs(&device, "run", "0");
    assert!(said.contains("  note: a wipe that was cut off was finished first"), "{said}");
}

/// Afterwards a link would lead to nothing, and no boot goes on there.
#[test]
fn what_no_boot_would_make_anew_is_not_wiped() {
    let device = TestDevice::booted_at(40);
    let real = device.home().join("real.db");
    fs::rename(device.main(), &real).unwrap();
    std::os::unix::fs::symlink(&real, device.main()).unwrap();
    runs(&device, "run", "0");
    let old = oracle::content(&real).unwrap();
    let said = runs(&device, "wipe --db settings --yes", "16");
    assert!(said.contains("`path` is a symbolic link") && said.contains("real.db"), "{said}");
    assert_eq!(oracle::content(&real).unwrap(), old);
    runs(&device, "run", "0");
}

#[test]
fn another_applications_database_is_not_wiped() {
    let device = TestDevice::empty(40);
    let sql = "PRAGMA application_id = 77; CREATE TABLE a (x); INSERT INTO a VALUES (1);";
    rusqlite::Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
    let before = fs::read(device.main()).unwrap();
    runs(&device, "run", "16");
    let said = runs(&device, "wipe --all --yes", "16");
    assert!(said.contains("correct `path`"), "{said}");
    assert_eq!(fs::read(device.main()).unwrap(), before);
}
