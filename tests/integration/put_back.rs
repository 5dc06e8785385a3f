//! Owns the tests of an older copy that an operator puts in the database's place, again and again.
//! Promises: each round is judged by rows and version as plain SQLite reads them; more rounds than
//! interruptions are allowed.
//! Never touches the state folder: what the program remembers is its own.

use crate::device::{Grouped, Mode, TestDevice};
use crate::dump::tidy;
use crate::oracle::{self, Content};
use crate::product::UNIQUE_BADGE;
use crate::strace::{calls, stopped_after};
use rusqlite::Connection;
use rustix::process::{kill_process, Signal};
use std::fs;
use std::path::PathBuf;

/// Two more than the interruptions that are allowed.
const ROUNDS: usize = 7;
/// The same rows for SQLite; a copy that is swapped in makes them.
const VACUUM: (&str, &str) = ("V43__vacuum.sql", "-- bootmigrate: no-transaction\nVACUUM;\n");

fn copied(device: &TestDevice, name: &str) -> PathBuf {
    let copy = device.folder().join(name);
    Connection::open(device.main())
        .unwrap()
        .execute("VACUUM INTO ?1", [copy.to_string_lossy()])
        .unwrap();
    copy
}

fn put_back(device: &TestDevice, copy: &PathBuf) {
    for side in ["-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(oracle::beside(&device.main(), side));
    }
    fs::copy(copy, device.main()).unwrap();
}

#[track_caller]
fn runs(device: &TestDevice, arguments: &[&str], exit: &str) -> String {
    let ran = device.run(arguments);
    assert_eq!(ran.exit, exit, "{arguments:?}: {}", tidy(device, &ran.stderr));
    ran.stderr
}

fn content(device: &TestDevice) -> Content {
    oracle::content(&device.main()).unwrap()
}

/// `ROUNDS` times: the older copy, an upgrade that ends well, and this many quiet boots.
#[track_caller]
fn again_and_again(device: &TestDevice, arguments: &[&str], quiet_boots: usize) {
    let copy = copied(device, "older.db");
    let wanted = device.expectations(&device.databases[0]).new.unwrap();
    for round in 1..=ROUNDS {
        put_back(device, &copy);
        let said = runs(device, arguments, "0");
        assert!(said.contains("migrated from 40 to"), "round {round}: {said}");
        assert_eq!(content(device), wanted, "round {round}");
        for _ in 0..quiet_boots {
            let before = oracle::folder(&device.root());
            assert!(runs(device, &["run"], "0").contains("nothing to do"));
            assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
        }
    }
}

#[test]
fn after_each_upgrade_in_one_transaction() {
    for mode in [Mode::Delete, Mode::Wal] {
        let device = TestDevice::written(40, mode, Grouped::No).firmware(42);
        again_and_again(&device, &["run"], 0);
    }
}

#[test]
fn after_each_upgrade_and_quiet_boots() {
    again_and_again(&TestDevice::at(40).firmware(41), &["run"], 2);
}

#[test]
fn after_each_upgrade_on_a_copy() {
    again_and_again(&TestDevice::at(40).firmware(42).file(VACUUM), &["run"], 1);
}

#[test]
fn after_each_migrate_command() {
    again_and_again(&TestDevice::at(40).firmware(41), &["migrate", "--all"], 0);
}

#[test]
fn after_upgrades_with_two_slots_and_mark_good() {
    let device = TestDevice::at(40).slots("ab").firmware(41);
    again_and_again(&device, &["run"], 1);
    runs(&device, &["mark-good"], "0");
    let older = device.older(40);
    runs(&older, &["run"], "12");
}

/// Kills this run after it has opened the first file with this in its name.
#[track_caller]
fn cut_off(device: &TestDevice, arguments: &[&str], file: &str) {
    let (all, _) = calls(&device.duplicate(), arguments);
    let opened = all
        .iter()
        .find(|call| call.name.starts_with("openat") && call.line.contains(file))
        .unwrap();
    let ran =
        stopped_after(device, arguments, opened, |pid| kill_process(pid, Signal::KILL).unwrap());
    assert_eq!(ran.exit, "signal 9", "{}", ran.stderr);
}

/// Kills a boot inside its transaction.
#[track_caller]
fn interrupted(device: &TestDevice) {
    cut_off(device, &["run"], "settings.db-journal");
}

#[test]
fn interruptions_before_a_success_are_forgotten_and_later_ones_are_counted() {
    // Where nothing was interrupted before, the success itself is all that there is to remember.
    for before in [4, 0] {
        let device = TestDevice::booted_at(40).firmware(41);
        let copy = copied(&device, "older.db");
        for _ in 0..before {
            interrupted(&device);
        }
        assert!(runs(&device, &["run"], "0").contains("migrated from 40 to 41"));
        put_back(&device, &copy);
        for _ in 0..5 {
            interrupted(&device);
        }
        assert!(runs(&device, &["run"], "19").contains("interrupted 5 times"));
        assert_eq!(content(&device), device.expectations(&device.databases[0]).old.unwrap());
    }
}

#[test]
fn interruptions_of_the_other_slot_outlive_a_quiet_boot_of_this_one() {
    let device = TestDevice::booted_at(40).slots("ab").firmware(41);
    for _ in 0..4 {
        interrupted(&device);
    }
    // The interrupted operation stays open: this slot has nothing to do, and counts nothing.
    let device = device.older(40);
    assert!(runs(&device, &["run"], "0").contains("nothing to do"));
    let device = device.firmware(41);
    interrupted(&device);
    assert!(runs(&device, &["run"], "19").contains("interrupted 5 times"));
}

/// The repair had ended, and no run has told what it lost.
#[test]
fn what_was_lost_before_a_cut_is_said_by_the_boot_that_ends_the_upgrade() {
    let device = TestDevice::booted_at(40).firmware(41);
    let (root, page) = device.root_page("child");
    device.put_page(&(root + 3, vec![0; page.len()]));
    interrupted(&device);
    let said = runs(&device, &["run"], "11");
    assert!(said.contains("of child"), "{said}");
    runs(&device, &["run"], "0");
}

/// The word asks for more tries, and that once.
#[test]
fn a_word_that_stays_gives_no_endless_tries() {
    let device = TestDevice::booted_at(40).firmware(41);
    let words = device.root().join("proc/cmdline");
    fs::create_dir_all(words.parent().unwrap()).unwrap();
    fs::write(&words, "bootmigrate.purge-and-retry=once\n").unwrap();
    for _ in 0..5 {
        interrupted(&device);
    }
    assert!(runs(&device, &["run"], "19").contains("interrupted 5 times"));
}

/// With a token it is closed by the slot that has nothing to do, and counted for the one that began
/// it.
#[test]
fn an_interruption_that_the_other_slot_closes_is_counted_for_its_own() {
    let device = TestDevice::booted_at(40).slots("ab").firmware(41);
    for _ in 0..4 {
        interrupted(&device);
    }
    let words = device.root().join("proc/cmdline");
    fs::create_dir_all(words.parent().unwrap()).unwrap();
    fs::write(&words, "bootmigrate.purge-and-retry=once\n").unwrap();
    interrupted(&device);
    fs::remove_file(&words).unwrap();
    let device = device.older(40);
    assert!(runs(&device, &["run"], "0").contains("nothing to do"));
    // The token has forgotten the four before it.
    let device = device.firmware(41);
    for _ in 0..4 {
        interrupted(&device);
    }
    assert!(runs(&device, &["run"], "19").contains("interrupted 5 times"));
}

#[test]
fn failures_before_a_success_are_forgotten() {
    let device = TestDevice::at(40).firmware(40).file(UNIQUE_BADGE);
    let copy = copied(&device, "older.db");
    for _ in 0..3 {
        runs(&device, &["run"], "10");
    }
    runs(&device, &["run"], "19");
    // An operator repairs the rows and says so.
    Connection::open(device.main())
        .unwrap()
        .execute_batch("UPDATE parent SET badge = NULL")
        .unwrap();
    assert!(runs(&device, &["run", "--retry"], "0").contains("migrated from 40 to 41"));
    put_back(&device, &copy);
    for left in ["2 more times", "1 more time"] {
        let said = runs(&device, &["run"], "10");
        assert!(said.contains(left), "{said}");
    }
    // A newer copy is put in its place, one at this firmware's version: nothing is in the way any
    // more.
    Connection::open(device.main())
        .unwrap()
        .execute_batch("UPDATE parent SET badge = NULL")
        .unwrap();
    runs(&device, &["run"], "0");
    let newer = copied(&device, "newer.db");
    put_back(&device, &copy);
    runs(&device, &["run"], "10");
    put_back(&device, &newer);
    assert!(runs(&device, &["run"], "0").contains("nothing to do"));
    put_back(&device, &copy);
    assert!(runs(&device, &["run"], "10").contains("2 more times"));
}

#[test]
fn a_purge_that_was_cut_off_does_not_wait_for_an_older_copy() {
    let device = TestDevice::booted_at(40).firmware(41);
    let copy = copied(&device, "older.db");
    runs(&device, &["run"], "0");
    // An operator's purge is cut off before anything was replaced; nobody asks for it again.
    cut_off(&device, &["purge", "--db", "settings", "--yes"], "staging-");
    assert!(runs(&device, &["run"], "0").contains("nothing to do"));
    put_back(&device, &copy);
    let wanted = device.expectations(&device.databases[0]).new.unwrap();
    assert!(runs(&device, &["run"], "0").contains("migrated from 40 to 41"));
    assert_eq!(content(&device), wanted);
}

/// Rows of a cache go when its owner takes the file away; the application starts all the same.
#[test]
fn a_file_that_is_taken_away_again_and_again_is_made_again() {
    let device =
        TestDevice::booted_at(40).key("kind = \"rebuildable\"").key("snapshot = \"never\"");
    let fresh = device.expectations(&device.databases[0]).fresh.unwrap();
    for round in 1..=4 {
        fs::remove_file(device.main()).unwrap();
        let said = runs(&device, &["run"], "11");
        assert!(
            said.contains("the main file is absent, but it held data before"),
            "round {round}: {said}"
        );
        assert_eq!(content(&device), fresh, "round {round}");
        assert!(runs(&device, &["run"], "0").contains("nothing to do"));
    }
    // An operator's purge does not count as the firmware's.
    for _ in 0..3 {
        runs(&device, &["purge", "--db", "settings", "--yes"], "11");
    }
    // Two files that were damaged are replaced, and the third is left to an operator.
    for exit in ["11", "11", "19"] {
        fs::write(device.main(), "this is no database").unwrap();
        runs(&device, &["run"], exit);
    }
}
