//! Owns the tests of names in the state folder: those that only look like ours, those that an
//! earlier start has taken, and a record that cannot be opened.
//! Promises: what is not ours keeps every byte, and stands in the way of nothing.
//! Never looks at a name that the program does not write itself or read as a number.

use crate::device::TestDevice;
use crate::oracle;
use crate::program::finish;
use crate::quarantine::{bytes, numbers, quarantined, runs};
use crate::strace::{self, calls, stopped_after};
use rusqlite::Connection;
use rustix::process::{kill_process, Signal};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn a_ready_file_whose_number_we_would_write_otherwise_is_not_ours() {
    for name in ["ready-007.db", "ready-+7.db"] {
        let device = TestDevice::booted_at(40);
        runs(&device, "snapshot create --db settings", "0");
        let rows = oracle::content(&device.main()).unwrap();
        let other = device.state("settings").join(name);
        fs::write(&other, "somebody's notes").unwrap();
        for _ in 0..2 {
            let said = runs(&device, "run", "0");
            assert!(!said.contains("ready-"), "{name}: {said}");
        }
        runs(&device, "snapshot create --db settings", "0");
        fs::remove_file(device.main()).unwrap();
        let said = runs(&device, "run", "11");
        assert!(said.contains("restored from a snapshot"), "{name}: {said}");
        assert_eq!(oracle::content(&device.main()).unwrap(), rows, "{name}");
        assert_eq!(fs::read(&other).unwrap(), b"somebody's notes", "{name}");
    }
}

#[test]
fn neither_is_a_snapshot_or_a_folder_in_quarantine() {
    let device = TestDevice::booted_at(40);
    let snapshots = device.state("settings").join("snapshots");
    let quarantine = device.state("settings").join("quarantine");
    fs::create_dir_all(&snapshots).unwrap();
    fs::create_dir_all(quarantine.join("07")).unwrap();
    for name in ["v040-9.db", "v40-09.db", "v+40-9.db"] {
        fs::copy(device.main(), snapshots.join(name)).unwrap();
    }
    assert_eq!(numbers(&device), [0_u64; 0]);
    let status = runs(&device, "status", "0");
    assert!(!status.contains("v40-9"), "{status}");
    fs::remove_file(device.main()).unwrap();
    let said = runs(&device, "run", "11");
    assert!(said.contains("replaced by a fresh database"), "{said}");
    assert!(snapshots.join("v040-9.db").exists() && quarantine.join("07").exists());
}

/// Another file takes main's name, as a restore by hand does.
fn replaced_by_hand(device: &TestDevice, name: &str) {
    let other = device.folder().join("other.db");
    fs::copy(device.main(), &other).unwrap();
    let sql = format!("UPDATE parent SET name = '{name}' WHERE id = 1");
    Connection::open(&other).unwrap().execute_batch(&sql).unwrap();
    fs::rename(&other, device.main()).unwrap();
}

/// Killed once the old file has its name in quarantine.
fn killed_after_the_link(device: &TestDevice, arguments: &[&str]) {
    let (all, ran) = calls(&device.duplicate(), arguments);
    let call = all
        .iter()
        .find(|call| call.name == "linkat" && call.line.contains("/quarantine/"))
        .unwrap_or_else(|| panic!("nothing was set aside: {}", ran.stderr));
    stopped_after(device, arguments, call, |pid| kill_process(pid, Signal::KILL).unwrap());
}

fn name_in(file: &Path) -> String {
    let sql = "SELECT name FROM parent WHERE id = 1";
    oracle::Copy::of(file).unwrap().open().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn what_each_start_has_set_aside_is_kept() {
    let device = TestDevice::booted_at(40);
    replaced_by_hand(&device, "first");
    killed_after_the_link(&device, &["purge", "--db", "settings", "--yes"]);
    for name in ["second", "third"] {
        replaced_by_hand(&device, name);
        killed_after_the_link(&device, &["run"]);
    }
    let number = *numbers(&device).first().expect("a folder in quarantine");
    let kept: BTreeSet<String> = bytes(&quarantined(&device, number))
        .keys()
        .filter(|name| name.starts_with("settings.db"))
        .map(|name| name_in(&quarantined(&device, number).join(name)))
        .collect();
    assert_eq!(kept, BTreeSet::from(["first", "second", "third"].map(str::to_owned)));
}

#[test]
fn a_record_that_cannot_be_opened_is_no_empty_one() {
    let device = TestDevice::booted_at(40);
    fs::remove_file(device.main()).unwrap();
    assert!(runs(&device, "plan", "0").contains("it held data before"));
    let log = device.folder().join("opens.log");
    finish(device.command(&strace::words(&device, &["plan"], &log, None)));
    let opens = fs::read_to_string(&log).unwrap();
    let opens: Vec<&str> = opens.lines().filter(|line| line.contains(" openat(")).collect();
    let at = opens.iter().position(|line| line.contains("\"record\"")).expect("it is opened");
    let answer = format!("openat:error=EIO:when={}", at + 1);
    let ran = finish(device.command(&strace::words(&device, &["plan"], &log, Some(answer))));
    assert!(ran.stdout.contains("refuse: input/output error"), "{}{}", ran.stdout, ran.stderr);
}

/// What is made from the live file is made again after a cut; what the cut run had set aside is
/// given back, and nothing else goes with it.
#[test]
fn another_file_s_only_name_stays_when_a_repair_begins_again() {
    let device = TestDevice::booted_at(40).firmware(41);
    let (page, index) = device.root_page("child_parent");
    device.put_page(&(page, vec![0; index.len()]));
    for name in ["first", "second"] {
        replaced_by_hand(&device, name);
        killed_after_the_link(&device, &["run"]);
    }
    runs(&device, "run", "0");
    assert_eq!(name_in(&device.main()), "second");
    let folders = numbers(&device).into_iter().map(|number| quarantined(&device, number));
    let kept: BTreeSet<String> = folders
        .flat_map(|folder| {
            let names: Vec<_> = bytes(&folder).into_keys().collect();
            names.into_iter().map(move |name| folder.join(name))
        })
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("settings.db"))
        .map(|path| name_in(&path))
        .collect();
    assert_eq!(kept, BTreeSet::from(["first", "second"].map(str::to_owned)));
}
