//! Owns the tests of the rights that a run by root uses in a folder of the application's user.
//! Promises: seen from outside, by the run's system calls and by what the owner himself could not
//! do.
//! Never run by somebody else than root.

use crate::device::TestDevice;
use crate::mount::require_root;
use crate::oracle;
use crate::planted::USER;
use crate::program::{finish, RunResult};
use rustix::fs::{mknodat, FileType, Mode, CWD};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{chown, PermissionsExt};

/// The run, and each of its calls that opens for writing, makes, renames or removes something in
/// the folder of databases, with the id that it was made with.
fn traced(device: &TestDevice, arguments: &[&str]) -> (RunResult, Vec<(u32, String)>, u32) {
    let log = device.folder().join("rights.log");
    let mut words: Vec<OsString> = ["strace", "-f", "-y", "-qq", "-o"].map(OsString::from).into();
    words.push(log.clone().into());
    words.extend(device.words(arguments));
    let ran = finish(device.command(&words));
    let (mut user, mut calls) = (0, Vec::new());
    let home = device.home().display().to_string();
    for line in fs::read_to_string(log).unwrap().lines() {
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        if let Some(argument) = call.strip_prefix("setfsuid(") {
            user = argument.split(')').next().unwrap().parse().unwrap_or(user);
        }
        let changes =
            ["unlink", "rename", "link", "mkdir"].iter().any(|name| call.starts_with(name))
                || call.starts_with("open")
                    && ["O_CREAT", "O_RDWR", "O_WRONLY"].iter().any(|flag| call.contains(flag));
        if changes && (call.contains(&home) || call.contains("\"/proc/self/fd/")) {
            calls.push((user, call.to_owned()));
        }
    }
    (ran, calls, user)
}

#[test]
fn root_has_the_owner_s_rights_alone_in_his_folder() {
    require_root();
    let upgrade = |device: TestDevice| device.firmware(41).home_of(USER);
    for (device, arguments, words) in [
        (TestDevice::empty(41).home_of(USER), ["run", "-v"].as_slice(), "created at version 41"),
        (upgrade(TestDevice::at(40)), &["run"], "migrated from 40 to 41"),
        (upgrade(TestDevice::wal_at(40)), &["run"], "migrated from 40 to 41"),
        (TestDevice::at(42).firmware(50).home_of(USER), &["run"], "migrated from 42 to 50"),
        (
            upgrade(TestDevice::at(40)),
            &["purge", "--db", "settings", "--yes"],
            "replaced by a fresh database",
        ),
        (
            upgrade(TestDevice::at(40)),
            &["snapshot", "create", "--db", "settings"],
            "snapshot v40-1 made",
        ),
    ] {
        let (ran, calls, at_the_end) = traced(&device, arguments);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains(words), "exit {}: {said}", ran.exit);
        let by_root: Vec<&String> =
            calls.iter().filter(|(user, _)| *user != USER).map(|(_, call)| call).collect();
        assert!(
            by_root.is_empty() && calls.len() >= 4,
            "{words}: {} calls, by root:\n{by_root:#?}",
            calls.len()
        );
        assert_eq!(at_the_end, 0, "{words}");
    }
}

/// Parents of a name like this.
fn named(device: &TestDevice, like: &str) -> i64 {
    let copy = oracle::Copy::of(&device.main()).unwrap();
    copy.open()
        .query_row("SELECT count(*) FROM parent WHERE name LIKE ?1", [like], |row| row.get(0))
        .unwrap()
}

/// Neither for root is there a way round what he has forbidden himself.
#[test]
fn what_the_owner_cannot_do_root_does_not_do_for_him() {
    require_root();
    let device = TestDevice::at(40).firmware(41).home_of(USER);
    for (path, mode, words) in [
        (device.home(), 0o555, "may not write in"),
        (device.main(), 0o440, "belongs to 65534:65534 with mode 0440"),
    ] {
        let usual = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let before = oracle::folder(&device.home());
        let ran = device.run(&["run"]);
        assert!(
            ran.exit == "15" && ran.stderr.contains(words),
            "exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert!(!oracle::touched(&before, &oracle::folder(&device.home())).contains("database"));
        fs::set_permissions(&path, usual).unwrap();
    }
    // A file of root's in a folder of his needs root's rights, and has them.
    chown(device.main(), Some(0), Some(0)).unwrap();
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
}

/// A technician's shell has left it so.
#[test]
fn a_wal_of_root_s_in_the_owner_s_folder_is_read() {
    require_root();
    let lines =
        ["sql PRAGMA wal_autocheckpoint = 0", "sql UPDATE parent SET name = name || ' kept'"];
    let device = TestDevice::wal_at(40).application(&lines).killed().firmware(41).home_of(USER);
    let wal = oracle::beside(&device.main(), "-wal");
    assert!(fs::metadata(&wal).unwrap().len() > 0);
    chown(&wal, Some(0), Some(0)).unwrap();
    fs::set_permissions(&wal, fs::Permissions::from_mode(0o600)).unwrap();
    device.migrates(40, 41);
    assert_eq!(named(&device, "% kept"), 2000);
}

/// SQLite opens the file that a journal names as its super-journal, whatever it is.
#[test]
fn a_super_journal_that_is_a_fifo_is_waited_for_by_nobody() {
    require_root();
    for by_link in [false, true] {
        let device = TestDevice::at(40).firmware(41);
        let rows = named(&device, "%");
        let update = [
            "sql PRAGMA cache_size = 2",
            "sql BEGIN",
            "sql UPDATE parent SET name = name || ' lost'",
        ];
        let device = device.application(&update).killed().home_of(USER);
        let (journal, shared) = (
            oracle::beside(&device.main(), "-journal"),
            oracle::beside(&device.main(), "-mj0123459AB"),
        );
        let fifo = if by_link { device.home().join("fifo") } else { shared.clone() };
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        if by_link {
            std::os::unix::fs::symlink(&fifo, &shared).unwrap();
        }
        let mut hot = fs::read(&journal).unwrap();
        hot.extend(oracle::tail_of_super_journal(shared.to_str().unwrap()));
        fs::write(&journal, hot).unwrap();
        for path in [&journal, &fifo] {
            chown(path, Some(USER), Some(USER)).unwrap();
        }
        let first = device.run(&["run"]);
        let second = device.run(&["run"]);
        assert!(
            ["0", "15"].contains(&first.exit.as_str()) && second.exit == "0",
            "{}\n{}",
            first.stderr,
            second.stderr
        );
        // Else SQLite here would wait for it as well.
        assert!(!journal.exists(), "the journal was dealt with");
        assert_eq!((named(&device, "% lost"), named(&device, "%")), (0, rows), "rolled back");
        assert!(rows > 0 && fs::symlink_metadata(&fifo).is_ok());
    }
}

/// It is his folder, and may be written in; the file in it is meant.
#[test]
fn a_lock_that_cannot_be_opened_is_named() {
    require_root();
    let mut device = TestDevice::at(40).home_of(USER).firmware(41);
    chown(device.root().join("run"), Some(USER), Some(USER)).unwrap();
    device.user = Some(USER);
    assert_eq!(device.run(&["run"]).exit, "0");
    let device = device.firmware(42);
    let state = device.state("settings");
    let lock = state.join("lock");
    for (owner, mode) in [(0, 0o600), (USER, 0)] {
        chown(&lock, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&lock, fs::Permissions::from_mode(mode)).unwrap();
        let words = format!(
            "work is pending and uid {USER} may not read and write {} (owner {owner}:{owner}, mode \
             {mode:04o})",
            lock.display()
        );
        let ran = device.run(&["run"]);
        assert!(
            ran.exit == "15" && ran.stderr.contains(&words),
            "exit {}: {}",
            ran.exit,
            ran.stderr
        );
    }
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o600)).unwrap();
    device.migrates(41, 42);
}

/// What a run makes can be used by the next one, whatever mask a script has left.
#[test]
fn a_mask_takes_nothing_from_what_is_made() {
    require_root();
    let device = TestDevice::at(40).firmware(41);
    let mut words: Vec<OsString> =
        ["sh", "-c", "umask 0777 && exec \"$@\"", "sh"].map(OsString::from).into();
    words.extend(device.words(&["run"]));
    let ran = finish(device.command(&words));
    assert!(
        ran.exit == "0" && ran.stderr.contains("migrated from 40 to 41"),
        "exit {}: {}",
        ran.exit,
        ran.stderr
    );
    for name in ["lock", "record", "snapshots/v40-1.db"] {
        let mode = fs::metadata(device.state("settings").join(name)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o600, 0o600, "{name}");
    }
}

/// Flash wears: what every boot finds again is not written into the record at every boot.
#[test]
fn a_folder_of_snapshots_that_takes_none_costs_no_write() {
    require_root();
    let mut device = TestDevice::at(40).home_of(USER);
    chown(device.root().join("run"), Some(USER), Some(USER)).unwrap();
    device.user = Some(USER);
    assert_eq!(device.run(&["run"]).exit, "0");
    let snapshots = device.state("settings").join("snapshots");
    chown(&snapshots, Some(0), Some(0)).unwrap();
    fs::set_permissions(&snapshots, fs::Permissions::from_mode(0o755)).unwrap();
    let device = device.firmware(41);
    let record = || fs::read(device.state("settings").join("record")).unwrap();
    let before = record();
    for boot in 1..=3 {
        let ran = device.run(&["run"]);
        assert!(
            ran.exit == "15" && ran.stderr.contains(&snapshots.display().to_string()),
            "boot {boot}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert!(record() == before, "boot {boot} has written the record");
    }
    chown(&snapshots, Some(USER), Some(USER)).unwrap();
    let ran = device.run(&["run"]);
    assert!(ran.stderr.contains("migrated from 40 to 41"), "{}", ran.stderr);
}
