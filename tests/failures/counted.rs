//! Owns the rows about what is counted and kept: tokens, quarantine, writes, and a clock that nobody trusts.
//! Promises: what is kept is listed from the disk; a clock is moved for the program alone.
//! Never sleeps.

use crate::bench::Bench;
use crate::product::UNIQUE_BADGE;
use crate::row::{after, cut_at, row};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

/// A library that tells the program another time: seconds since 1970 in `STORY_CLOCK`.
fn clock(bench: &Bench) -> PathBuf {
    let (source, library) = (bench.folder().join("clock.c"), bench.folder().join("clock.so"));
    let text = "#include <stdlib.h>\n#include <time.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n\
        int clock_gettime(clockid_t which, struct timespec *now) {\n\
            int done = syscall(SYS_clock_gettime, which, now);\n\
            if (which == CLOCK_REALTIME) now->tv_sec = atoll(getenv(\"STORY_CLOCK\"));\n\
            return done;\n}\n";
    fs::write(&source, text).unwrap();
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().unwrap();
    assert!(made.success(), "cc");
    library
}

#[test]
fn row_29_clock_at_1970_or_jumping() {
    let mut row = row(29);
    let bench = Bench::booted_at(40).key("snapshots_max = 2");
    let library = clock(&bench).to_string_lossy().into_owned();
    let mut bench = bench.environment("LD_PRELOAD", &library);
    // 2099, then 1970, then 2000: the newest snapshots by count stay, whatever their times say.
    for (firmware, seconds, from) in [(41, "4070908800", 40), (42, "0", 41), (50, "946684800", 42)] {
        bench.environment.retain(|(name, _)| name != "STORY_CLOCK");
        bench = bench.environment("STORY_CLOCK", seconds).firmware(firmware);
        bench.databases[0].version = from;
        row.boot(&bench);
    }
    row.whole();
}

#[test]
fn row_45_flash_wear() {
    let mut row = row(45);
    row.boot(&Bench::booted_at(40));
    row.boot(&Bench::at(42).firmware(40));
    row.whole();
}

#[test]
fn row_51_quarantine_grows() {
    let mut row = row(51);
    let mut bench = Bench::booted_at(40);
    for firmware in [40, 41, 42, 50] {
        bench = bench.firmware(firmware);
        // Its snapshots are no way out.
        let _ = fs::remove_dir_all(bench.state("settings").join("snapshots"));
        fs::create_dir(bench.state("settings").join("snapshots")).unwrap();
        let main = fs::OpenOptions::new().write(true).open(bench.main()).unwrap();
        main.write_all_at(b"this is no database", 0).unwrap();
        drop(main);
        row.run(&bench, &["run", "--purge-and-retry"]);
    }
    row.whole();
}

#[test]
fn row_52_a_token_that_stays() {
    let mut row = row(52);
    let bench = Bench::at(40).file(UNIQUE_BADGE);
    fs::create_dir_all(bench.root().join("proc")).unwrap();
    fs::write(bench.root().join("proc/cmdline"), "quiet bootmigrate.purge-and-retry=ticket-4711 root=/dev/mmcblk0p2\n").unwrap();
    row.boot(&bench);
    row.boot(&bench);
    // All that the device knew is wiped: the word is still there, and is not honoured.
    fs::remove_dir_all(bench.home().join(".bootmigrate")).unwrap();
    row.boot(&bench);
    row.whole();
}

#[test]
fn row_66_an_older_copy_put_back_again_and_again() {
    let mut row = row(66);
    let bench = Bench::booted_at(40).firmware(41);
    let older = fs::read(bench.main()).unwrap();
    // More often than interruptions are allowed.
    for _ in 0..6 {
        assert_eq!(bench.run(&["run"]).exit, "0");
        fs::write(bench.main(), &older).unwrap();
    }
    row.boot(&bench);
    // The same after cuts between the commit and its report, which the next boot finds out.
    for _ in 0..5 {
        fs::write(bench.main(), &older).unwrap();
        cut_at(&bench, &["run"], |all| after(all, "unlink", &["settings.db-journal"]));
        assert_eq!(bench.run(&["run"]).exit, "0");
    }
    fs::write(bench.main(), &older).unwrap();
    row.cut(&bench, |all| after(all, "unlink", &["settings.db-journal"]));
    fs::write(bench.main(), &older).unwrap();
    row.boot(&bench);
    row.whole();
}
