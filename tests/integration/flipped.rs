//! Owns the tests of somebody who replaces a file or a folder between our look and our use,
//! thousands of times in a run.
//! Promises: whatever the run says, not a byte outside is changed, and nothing of it is copied to
//! where he can read it; the rounds are counted.
//! Never relies on `fs.protected_*`: root exchanges the names.

use crate::device::HOME;
use crate::oracle;
use crate::planted::{link, Device};
use crate::program::rounds;
use rusqlite::Connection;
use rustix::fs::{renameat_with, RenameFlags, CWD};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const STATE: &str = ".bootmigrate/settings.db";
/// Exchanges that must fall into the runs of one name.
const EXCHANGES: usize = 10_000;
/// Runs that they must meet.
const RUNS: usize = 60;
/// Runs after which the exchanges must be enough: a run takes milliseconds, an exchange
/// microseconds.
const RUNS_MAX: usize = 600;
/// A row that root alone may read.
const SECRET: &str = "SECRETROW";

/// What stands for the other half of the time.
enum Mutant {
    /// A link to this name outside.
    Link(&'static str),
    /// A second name of this file outside.
    SecondName(&'static str),
}

/// Exchanges both names until it is told to stop, and leaves the first one in its place.
fn exchange(one: &Path, other: &Path, stop: &AtomicBool, exchanges: &AtomicUsize) {
    let swap = || renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
    let mut exchanged = false;
    while !stop.load(Ordering::Relaxed) {
        // The program may have removed one of them, or put another file there.
        if swap().is_ok() {
            exchanged = !exchanged;
            exchanges.fetch_add(1, Ordering::Relaxed);
        }
        for _ in 0..50 {
            std::hint::spin_loop();
        }
    }
    if exchanged {
        let _ = swap();
    }
}

/// Every file of the device that has the secret in it, but root's own file under its second name.
fn with_secret(folder: &Path, but: Option<u64>, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let data = fs::symlink_metadata(&path).unwrap();
        let holds = || {
            fs::read(&path).unwrap().windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
        };
        if data.is_dir() {
            with_secret(&path, but, found);
        } else if data.is_file() && Some(data.ino()) != but && holds() {
            found.push(path);
        }
    }
}

#[track_caller]
fn flipped(name: &str, mutant: &Mutant, commands: &[&[&str]]) {
    let device = Device::new();
    let exchanges = AtomicUsize::new(0);
    let mut runs = 0;
    while runs < rounds(RUNS) || exchanges.load(Ordering::Relaxed) < rounds(EXCHANGES) {
        assert!(runs < RUNS_MAX, "{name}: {runs} runs saw {exchanges:?} exchanges");
        device.reset();
        for database in ["good.db", "snapshots/v40-9.db"] {
            let connection = Connection::open(device.outside().join(database)).unwrap();
            connection.execute("INSERT INTO parent (name) VALUES (?1)", [SECRET]).unwrap();
        }
        fs::write(device.outside().join("token"), SECRET).unwrap();
        fs::write(
            device.work.root().join("etc/bootmigrate.toml"),
            format!("marker = \"/{HOME}/request\"\n"),
        )
        .unwrap();
        let (path, aside) = (device.path(name), device.path(&format!("{name}.aside")));
        if !path.exists() {
            fs::write(&path, "").unwrap();
        }
        let second = match mutant {
            Mutant::Link(target) => {
                link(&device, &format!("{name}.aside"), &device.outside().join(target));
                None
            }
            Mutant::SecondName(target) => {
                fs::hard_link(device.outside().join(target), &aside).unwrap();
                Some(fs::metadata(&aside).unwrap().ino())
            }
        };
        let before = oracle::folder(&device.outside());
        let command = commands[runs % commands.len()];
        let stop = AtomicBool::new(false);
        let ran = std::thread::scope(|scope| {
            scope.spawn(|| exchange(&path, &aside, &stop, &exchanges));
            let ran = device.work.run(command);
            stop.store(true, Ordering::Relaxed);
            ran
        });
        assert!(
            ran.exit != "1" && !ran.exit.starts_with("signal"),
            "{name} {command:?}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(
            device.changed_outside(&before),
            [""; 0],
            "{name} {command:?}, run {runs}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        let mut leaked = Vec::new();
        with_secret(&device.work.home(), second, &mut leaked);
        assert_eq!(
            leaked,
            Vec::<PathBuf>::new(),
            "{name} {command:?}, run {runs}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        runs += 1;
    }
}

const RUN: &[&str] = &["run"];
const PURGE: &[&str] = &["purge", "--db", "settings", "--yes"];
const SNAPSHOT: &[&str] = &["snapshot", "create", "--db", "settings"];

#[test]
fn main_and_a_link() {
    flipped("settings.db", &Mutant::Link("good.db"), &[RUN, PURGE, SNAPSHOT]);
}

#[test]
fn main_and_a_second_name_of_a_database_of_root_s() {
    flipped("settings.db", &Mutant::SecondName("good.db"), &[RUN, PURGE]);
}

#[test]
fn side_files_and_a_link() {
    flipped("settings.db-journal", &Mutant::Link("secret"), &[RUN, PURGE]);
    flipped("settings.db-wal", &Mutant::Link("secret"), &[RUN, PURGE]);
}

#[test]
fn the_state_folder_and_a_link() {
    flipped(STATE, &Mutant::Link("."), &[RUN, PURGE, SNAPSHOT]);
    flipped(".bootmigrate", &Mutant::Link("above"), &[RUN, PURGE, SNAPSHOT]);
}

#[test]
fn the_folders_in_it_and_a_link() {
    flipped(&format!("{STATE}/snapshots"), &Mutant::Link("snapshots"), &[RUN, SNAPSHOT]);
    flipped(&format!("{STATE}/quarantine"), &Mutant::Link("quarantine"), &[PURGE]);
}

#[test]
fn the_files_in_it_and_what_root_has() {
    for mutant in [Mutant::Link("record"), Mutant::SecondName("record")] {
        flipped(&format!("{STATE}/record"), &mutant, &[RUN, PURGE]);
    }
    for mutant in [Mutant::Link("lock"), Mutant::SecondName("lock")] {
        flipped(&format!("{STATE}/lock"), &mutant, &[RUN, SNAPSHOT]);
    }
}

#[test]
fn the_marker_and_a_secret_of_root_s() {
    flipped("request", &Mutant::Link("token"), &[RUN]);
    flipped("request", &Mutant::SecondName("token"), &[RUN]);
}
