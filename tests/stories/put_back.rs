//! Owns the stories of an older copy that a person puts in the database's place, again and again.
//! Promises: each round is judged by rows and version as plain SQLite reads them; more rounds than interruptions are allowed.
//! Never touches the state folder: what the program remembers is its own.

use crate::bench::{Bench, Grouped, Mode};
use crate::oracle::{self, Content};
use crate::picture::tidy;
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

fn copied(bench: &Bench, name: &str) -> PathBuf {
    let copy = bench.folder().join(name);
    Connection::open(bench.main()).unwrap().execute("VACUUM INTO ?1", [copy.to_string_lossy()]).unwrap();
    copy
}

fn put_back(bench: &Bench, copy: &PathBuf) {
    for side in ["-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(oracle::beside(&bench.main(), side));
    }
    fs::copy(copy, bench.main()).unwrap();
}

#[track_caller]
fn runs(bench: &Bench, arguments: &[&str], exit: &str) -> String {
    let ran = bench.run(arguments);
    assert_eq!(ran.exit, exit, "{arguments:?}: {}", tidy(bench, &ran.stderr));
    ran.stderr
}

fn content(bench: &Bench) -> Content {
    oracle::content(&bench.main()).unwrap()
}

/// `ROUNDS` times: the older copy, an upgrade that ends well, and so many quiet boots.
#[track_caller]
fn again_and_again(bench: &Bench, arguments: &[&str], quiet_boots: usize) {
    let copy = copied(bench, "older.db");
    let wanted = bench.expectations(&bench.databases[0]).new.unwrap();
    for round in 1..=ROUNDS {
        put_back(bench, &copy);
        let said = runs(bench, arguments, "0");
        assert!(said.contains("migrated from 40 to"), "round {round}: {said}");
        assert_eq!(content(bench), wanted, "round {round}");
        for _ in 0..quiet_boots {
            let before = oracle::folder(&bench.root());
            assert!(runs(bench, &["run"], "0").contains("nothing to do"));
            assert_eq!(oracle::touched(&before, &oracle::folder(&bench.root())), "nothing");
        }
    }
}

#[test]
fn after_each_upgrade_in_one_transaction() {
    for mode in [Mode::Delete, Mode::Wal] {
        let bench = Bench::written(40, mode, Grouped::No).firmware(42);
        again_and_again(&bench, &["run"], 0);
    }
}

#[test]
fn after_each_upgrade_and_quiet_boots() {
    again_and_again(&Bench::at(40).firmware(41), &["run"], 2);
}

#[test]
fn after_each_upgrade_on_a_copy() {
    again_and_again(&Bench::at(40).firmware(42).file(VACUUM), &["run"], 1);
}

#[test]
fn after_each_migrate_command() {
    again_and_again(&Bench::at(40).firmware(41), &["migrate", "--all"], 0);
}

#[test]
fn after_upgrades_with_two_slots_and_mark_good() {
    let bench = Bench::at(40).slots("ab").firmware(41);
    again_and_again(&bench, &["run"], 1);
    runs(&bench, &["mark-good"], "0");
    let older = bench.older(40);
    runs(&older, &["run"], "12");
}

/// Kills this run after it has opened the first file with this in its name.
#[track_caller]
fn cut_off(bench: &Bench, arguments: &[&str], file: &str) {
    let (all, _) = calls(&bench.twin(), arguments);
    let opened = all.iter().find(|call| call.name.starts_with("openat") && call.line.contains(file)).unwrap();
    let ran = stopped_after(bench, arguments, opened, |pid| kill_process(pid, Signal::KILL).unwrap());
    assert_eq!(ran.exit, "signal 9", "{}", ran.stderr);
}

/// Kills a boot inside its transaction.
#[track_caller]
fn interrupted(bench: &Bench) {
    cut_off(bench, &["run"], "settings.db-journal");
}

#[test]
fn interruptions_before_a_success_are_forgotten_and_later_ones_are_counted() {
    let bench = Bench::booted_at(40).firmware(41);
    let copy = copied(&bench, "older.db");
    for _ in 0..4 {
        interrupted(&bench);
    }
    assert!(runs(&bench, &["run"], "0").contains("migrated from 40 to 41"));
    put_back(&bench, &copy);
    for _ in 0..5 {
        interrupted(&bench);
    }
    assert!(runs(&bench, &["run"], "19").contains("interrupted 5 times"));
    assert_eq!(content(&bench), bench.expectations(&bench.databases[0]).old.unwrap());
}

#[test]
fn interruptions_of_the_other_slot_outlive_a_quiet_boot_of_this_one() {
    let bench = Bench::booted_at(40).slots("ab").firmware(41);
    for _ in 0..4 {
        interrupted(&bench);
    }
    // The interrupted act stays open: this slot has nothing to do, and counts nothing.
    let bench = bench.older(40);
    assert!(runs(&bench, &["run"], "0").contains("nothing to do"));
    let bench = bench.firmware(41);
    interrupted(&bench);
    assert!(runs(&bench, &["run"], "19").contains("interrupted 5 times"));
}

#[test]
fn failures_before_a_success_are_forgotten() {
    let bench = Bench::at(40).firmware(40).file(UNIQUE_BADGE);
    let copy = copied(&bench, "older.db");
    for _ in 0..3 {
        runs(&bench, &["run"], "10");
    }
    runs(&bench, &["run"], "19");
    // A person mends the rows and says so.
    Connection::open(bench.main()).unwrap().execute_batch("UPDATE parent SET badge = NULL").unwrap();
    assert!(runs(&bench, &["run", "--retry"], "0").contains("migrated from 40 to 41"));
    put_back(&bench, &copy);
    for left in ["2 more times", "1 more time"] {
        let said = runs(&bench, &["run"], "10");
        assert!(said.contains(left), "{said}");
    }
    // A newer copy is put in its place, one at this firmware's version: nothing is in the way any more.
    Connection::open(bench.main()).unwrap().execute_batch("UPDATE parent SET badge = NULL").unwrap();
    runs(&bench, &["run"], "0");
    let newer = copied(&bench, "newer.db");
    put_back(&bench, &copy);
    runs(&bench, &["run"], "10");
    put_back(&bench, &newer);
    assert!(runs(&bench, &["run"], "0").contains("nothing to do"));
    put_back(&bench, &copy);
    assert!(runs(&bench, &["run"], "10").contains("2 more times"));
}

#[test]
fn a_purge_that_was_cut_off_does_not_wait_for_an_older_copy() {
    let bench = Bench::booted_at(40).firmware(41);
    let copy = copied(&bench, "older.db");
    runs(&bench, &["run"], "0");
    // A person's purge is cut off before anything was replaced; nobody asks for it again.
    cut_off(&bench, &["purge", "--db", "settings", "--yes"], "staging-");
    assert!(runs(&bench, &["run"], "0").contains("nothing to do"));
    put_back(&bench, &copy);
    let wanted = bench.expectations(&bench.databases[0]).new.unwrap();
    assert!(runs(&bench, &["run"], "0").contains("migrated from 40 to 41"));
    assert_eq!(content(&bench), wanted);
}

/// Rows of a cache go when its owner takes the file away; the application starts all the same.
#[test]
fn a_file_that_is_taken_away_again_and_again_is_made_again() {
    let bench = Bench::booted_at(40).key("kind = \"rebuildable\"").key("copy = \"never\"");
    let fresh = bench.expectations(&bench.databases[0]).fresh.unwrap();
    for round in 1..=4 {
        fs::remove_file(bench.main()).unwrap();
        let said = runs(&bench, &["run"], "11");
        assert!(said.contains("the main file is absent, but it held data before"), "round {round}: {said}");
        assert_eq!(content(&bench), fresh, "round {round}");
        assert!(runs(&bench, &["run"], "0").contains("nothing to do"));
    }
    // A person's purge is none of the firmware's.
    for _ in 0..3 {
        runs(&bench, &["purge", "--db", "settings", "--yes"], "11");
    }
    // Two files that were damaged are replaced, and the third is left to a person.
    for exit in ["11", "11", "19"] {
        fs::write(bench.main(), "this is no database").unwrap();
        runs(&bench, &["run"], exit);
    }
}
