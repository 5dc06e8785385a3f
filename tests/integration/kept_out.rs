//! Owns the tests of a replacement that does not get the database's name: an application opens the
//! file once the new one is ready, or the run is stopped.
//! Promises: whoever is told that nothing was done finds it so at the next boot; the run is stopped
//! at a call, and the application is a process of its own.
//! Never waits longer than `busy_timeout_s` of the program.

use crate::application::Application;
use crate::device::TestDevice;
use crate::dump::tidy;
use crate::oracle::{self, Content};
use crate::product::UNIQUE_BADGE;
use crate::program::RunResult;
use crate::strace::{calls, stopped_after, Call};
use rusqlite::Connection;
use rustix::process::{kill_process, Signal};
use std::fs;

const PURGE: [&str; 4] = ["purge", "--db", "settings", "--yes"];
const NOTES: (&str, &str) = ("V43__notes.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY);\n");
const NOTES_DOWN: (&str, &str) = ("V43__notes.down.sql", "DROP TABLE note;\n");

fn content(device: &TestDevice) -> Content {
    oracle::content(&device.main()).unwrap()
}

#[track_caller]
fn runs(device: &TestDevice, arguments: &[&str], exit: &str) -> String {
    let ran = device.run(arguments);
    assert_eq!(ran.exit, exit, "{arguments:?}: {}", tidy(device, &ran.stderr));
    tidy(device, &ran.stderr)
}

fn write(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

fn names(device: &TestDevice, folder: &str) -> Vec<String> {
    let names = fs::read_dir(device.state("settings").join(folder)).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn ready_files(device: &TestDevice) -> usize {
    names(device, "").iter().filter(|name| name.starts_with("ready-")).count()
}

/// The call by which what was built gets the name that the next boot goes on with, and those before
/// it.
#[track_caller]
fn until_ready(device: &TestDevice, arguments: &[&str]) -> Vec<Call> {
    let (mut all, ran) = calls(&device.duplicate(), arguments);
    let ready = |call: &Call| call.name.starts_with("rename") && call.line.contains("/ready-");
    let place = all
        .iter()
        .position(ready)
        .unwrap_or_else(|| panic!("{arguments:?} makes no ready file: {}", ran.stderr));
    all.truncate(place + 1);
    all
}

/// The application opens the database once what is to take its place is ready, and stays.
#[track_caller]
fn kept_out(device: &TestDevice, arguments: &[&str]) -> (RunResult, Application) {
    let ready = until_ready(device, arguments).pop().unwrap();
    let mut application = Application::start(device.folder(), None);
    let ran = stopped_after(device, arguments, &ready, |_| {
        application.expect_ok(&format!("open {}", device.main().display()));
    });
    let said = tidy(device, &ran.stderr);
    assert_eq!(ran.exit, "13", "{arguments:?}: {said}");
    assert!(said.contains("; nothing was written. Next: stop it, then run again."), "{said}");
    assert_eq!(ready_files(device), 0, "{arguments:?}: {:?}", names(device, ""));
    (ran, application)
}

fn damage_header(device: &TestDevice) {
    use std::os::unix::fs::FileExt as _;
    fs::OpenOptions::new()
        .write(true)
        .open(device.main())
        .unwrap()
        .write_all_at(b"this is no database", 0)
        .unwrap();
}

/// What an operator was told is off is not done by the next boot, and is done when asked for again.
#[test]
fn an_operator_s_replacement_that_an_application_kept_out_is_off() {
    let device = TestDevice::booted_at(40).key("busy_timeout_s = 1");
    runs(&device, &["snapshot", "create", "--db", "settings"], "0");
    let name = names(&device, "snapshots").pop().unwrap();
    let snapshot = name.trim_end_matches(".db");
    let restore = ["snapshot", "restore", snapshot, "--db", "settings", "--yes"];
    let before = content(&device);
    write(&device, "UPDATE parent SET reading = 1");
    for (arguments, reading) in [(restore.as_slice(), 2), (PURGE.as_slice(), 3)] {
        let (_, mut application) = kept_out(&device, arguments);
        application.expect_ok(&format!("sql UPDATE parent SET reading = {reading}"));
        drop(application);
        let rows = content(&device);
        assert!(names(&device, "quarantine").is_empty(), "{arguments:?}");
        assert!(runs(&device, &["run"], "0").contains("nothing to do"));
        assert_eq!(content(&device), rows, "{arguments:?}");
    }
    runs(&device, &restore, "11");
    assert_eq!(content(&device), before);
}

/// An application that is in the way is no interruption, however often.
#[test]
fn a_repair_that_an_application_kept_out_is_not_counted() {
    let device = TestDevice::booted_at(40).firmware(41).key("busy_timeout_s = 1");
    let (page, bytes) = device.root_page("child_parent");
    device.put_page(&(page, vec![0; bytes.len()]));
    for _ in 0..4 {
        kept_out(&device, &["run"]);
    }
    assert!(runs(&device, &["run"], "0").contains("migrated from 40 to 41"));
}

/// Nothing of what one slot could not do is done by the other.
#[test]
fn a_slot_that_an_application_kept_out_leaves_nothing_for_the_other() {
    let device = TestDevice::at(30)
        .slots("ab")
        .key("busy_timeout_s = 1")
        .key("on_newer = [\"trial-snapshot\"]")
        .file(NOTES)
        .file(NOTES_DOWN);
    runs(&device, &["run"], "0");
    write(&device, "INSERT INTO note VALUES (1); UPDATE parent SET reading = 1");
    let rows = content(&device);
    let device = device.older(30);
    kept_out(&device, &["run"]);
    let device = device.file(NOTES).file(NOTES_DOWN);
    assert!(runs(&device, &["run"], "0").contains("nothing to do"));
    assert_eq!(content(&device), rows);
}

/// Where what takes its place waits since a power cut, that is said.
#[test]
fn a_boot_that_cannot_roll_forward_says_that_the_next_one_does() {
    let device = TestDevice::booted_at(40).key("busy_timeout_s = 1");
    let ready = until_ready(&device, &PURGE).pop().unwrap();
    stopped_after(&device, &PURGE, &ready, |pid| kill_process(pid, Signal::KILL).unwrap());
    let device = device.application(&[]);
    let said = runs(&device, &["run"], "13");
    assert!(said.contains("may be ready, and the next boot then goes on with it"), "{said}");
    let device = device.killed();
    assert!(runs(&device, &["run"], "11").contains("`purge` was asked for"));
}

/// A person who stopped a purge is told to ask again, and no boot does it for them.
#[test]
fn a_purge_that_was_stopped_is_off() {
    let template = TestDevice::booted_at(40);
    let upgraded = template.duplicate().firmware(41);
    let new = upgraded.expectations(&upgraded.databases[0]).new.unwrap();
    let (all, whole) = calls(&template.duplicate(), &PURGE);
    assert_eq!(whole.exit, "11", "{}", whole.stderr);
    let signals = [Signal::TERM, Signal::KILL];
    let (mut off, mut done) = (0, 0);
    for (call, signal) in all.iter().step_by(3).zip(signals.iter().cycle()) {
        let device = template.duplicate();
        let ran = stopped_after(&device, &PURGE, call, |pid| kill_process(pid, *signal).unwrap());
        let at = format!("{signal:?} after {call:?}: {}", tidy(&device, &ran.stderr));
        let device = device.firmware(41);
        let next = device.run(&["run"]);
        if content(&device) == new {
            let said =
                ran.stderr.contains(". Next: no boot goes on with it; run the command again.");
            assert!(*signal == Signal::KILL || ran.exit == "20" && said, "{at}");
            let migrated = next.exit == "0" && next.stderr.contains("migrated from 40 to 41");
            assert!(migrated, "{at}: the next boot: {}", next.stderr);
            off += 1;
        } else {
            // Its ready file was there, or it was done.
            assert_ne!(ran.exit, "20", "{at}");
            assert_eq!(parents(&device), 1000, "{at}: the next boot: {}", next.stderr);
            done += 1;
        }
    }
    assert!(off > 2 && done > 2, "{off} were off, {done} were done");
}

fn parents(device: &TestDevice) -> i64 {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    copy.open().query_row("SELECT count(*) FROM parent", [], |row| row.get(0)).unwrap()
}

/// A word that stays on the command line does not begin a purge for ever that is cut off each time.
#[test]
fn a_token_s_purge_that_is_cut_off_comes_to_an_end() {
    let device = TestDevice::booted_at(40);
    damage_header(&device);
    asks(&device, "bootmigrate.purge-and-retry=first");
    let device = device.key("on_damage = []");
    let before = fs::read(device.main()).unwrap();
    for _ in 0..3 {
        let mut all = until_ready(&device, &["run"]);
        all.pop();
        let ran = stopped_after(&device, &["run"], &all.pop().unwrap(), |pid| {
            kill_process(pid, Signal::KILL).unwrap()
        });
        assert_ne!(ran.exit, "19", "{}", ran.stderr);
    }
    for _ in 0..2 {
        assert!(runs(&device, &["run"], "19").contains("interrupted 3 times"));
        assert_eq!(fs::read(device.main()).unwrap(), before);
    }
    // Every row can be read.
    runs(&device, &["run", "--purge-and-retry"], "0");
}

fn asks(device: &TestDevice, words: &str) {
    fs::create_dir_all(device.root().join("proc")).unwrap();
    fs::write(device.root().join("proc/cmdline"), format!("quiet {words}\n")).unwrap();
}

/// More requests than are remembered come after it.
#[test]
fn a_token_that_stays_is_handled_for_good() {
    let marker = format!("marker = \"/{}/marker\"", crate::device::HOME);
    let device = TestDevice::booted_at(40).top(&marker).key("on_damage = []");
    asks(&device, "bootmigrate.purge-and-retry=first");
    runs(&device, &["run"], "0");
    for number in 1..=9 {
        fs::write(device.home().join("marker"), format!("marker {number}")).unwrap();
        runs(&device, &["run"], "0");
    }
    damage_header(&device);
    let before = fs::read(device.main()).unwrap();
    runs(&device, &["run"], "17");
    assert_eq!(fs::read(device.main()).unwrap(), before);
}

/// A first boot that was cut off before it knew anything has forgotten nothing.
#[test]
fn a_first_boot_that_was_cut_off_takes_no_request_for_handled() {
    let template = TestDevice::at(40).firmware(40).file(UNIQUE_BADGE);
    let (all, _) = calls(&template.duplicate(), &["run"]);
    let made = all
        .iter()
        .position(|call| call.line.contains("/quarantine\""))
        .unwrap_or_else(|| panic!("no state folder is made"));
    for call in &all[..=made] {
        let device = template.duplicate();
        stopped_after(&device, &["run"], call, |pid| kill_process(pid, Signal::KILL).unwrap());
        asks(&device, "bootmigrate.purge-and-retry=first");
        let said = runs(&device, &["run"], "11");
        assert!(!said.contains("was lost"), "cut after {call:?}: {said}");
    }
}
