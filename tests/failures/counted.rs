//! Owns the rows about what is counted and kept: tokens, quarantine, writes, and a clock that
//! nobody trusts.
//! Promises: what is kept is listed from the disk; a clock is moved for the program alone.
//! Never sleeps.

use crate::device::TestDevice;
use crate::product::UNIQUE_BADGE;
use crate::row::{after, cut_at, row};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

/// A library that tells the program another time: seconds since 1970 in `TEST_CLOCK`.
fn clock(device: &TestDevice) -> PathBuf {
    let (source, library) = (device.folder().join("clock.c"), device.folder().join("clock.so"));
    let text =
        "#include <stdlib.h>\n#include <time.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n\
         int clock_gettime(clockid_t which, struct timespec *now) {\n\
         int done = syscall(SYS_clock_gettime, which, now);\n\
         if (which == CLOCK_REALTIME) now->tv_sec = atoll(getenv(\"TEST_CLOCK\"));\n\
         return done;\n}\n";
    fs::write(&source, text).unwrap();
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .status()
        .unwrap();
    assert!(made.success(), "cc");
    library
}

#[test]
fn row_29_clock_at_1970_or_jumping() {
    let mut row = row(29);
    let device = TestDevice::booted_at(40).key("snapshots_max = 2");
    let library = clock(&device).to_string_lossy().into_owned();
    let mut device = device.environment("LD_PRELOAD", &library);
    // 2099, then 1970, then 2000: the newest snapshots by count stay, whatever their times say.
    for (firmware, seconds, from) in [(41, "4070908800", 40), (42, "0", 41), (50, "946684800", 42)]
    {
        device.environment.retain(|(name, _)| name != "TEST_CLOCK");
        device = device.environment("TEST_CLOCK", seconds).firmware(firmware);
        device.databases[0].version = from;
        row.boot(&device);
    }
    row.whole();
}

#[test]
fn row_45_flash_wear() {
    let mut row = row(45);
    row.boot(&TestDevice::booted_at(40));
    row.boot(&TestDevice::at(42).firmware(40));
    row.whole();
}

#[test]
fn row_51_quarantine_grows() {
    let mut row = row(51);
    let mut device = TestDevice::booted_at(40);
    for firmware in [40, 41, 42, 50] {
        device = device.firmware(firmware);
        // Its snapshots are no way out.
        let _ = fs::remove_dir_all(device.state("settings").join("snapshots"));
        fs::create_dir(device.state("settings").join("snapshots")).unwrap();
        let main = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
        // Nothing is left of its pages.
        main.set_len(0).unwrap();
        main.write_all_at(b"this is no database", 0).unwrap();
        drop(main);
        row.run(&device, &["run", "--purge-and-retry"]);
    }
    row.whole();
}

#[test]
fn row_52_a_token_that_stays() {
    let mut row = row(52);
    let device = TestDevice::at(40).file(UNIQUE_BADGE);
    fs::create_dir_all(device.root().join("proc")).unwrap();
    fs::write(
        device.root().join("proc/cmdline"),
        "quiet bootmigrate.purge-and-retry=ticket-4711 root=/dev/mmcblk0p2\n",
    )
    .unwrap();
    row.boot(&device);
    row.boot(&device);
    // All that the device knew is wiped: the word is still there, and is not honoured.
    fs::remove_dir_all(device.home().join(".bootmigrate")).unwrap();
    row.boot(&device);
    row.whole();
}

#[test]
fn row_66_an_older_copy_put_back_again_and_again() {
    let mut row = row(66);
    let device = TestDevice::booted_at(40).firmware(41);
    let older = fs::read(device.main()).unwrap();
    // More often than interruptions are allowed.
    for _ in 0..6 {
        assert_eq!(device.run(&["run"]).exit, "0");
        fs::write(device.main(), &older).unwrap();
    }
    row.boot(&device);
    // The same after cuts between the commit and its report, which the next boot finds out.
    for _ in 0..5 {
        fs::write(device.main(), &older).unwrap();
        cut_at(&device, &["run"], |all| after(all, "unlink", &["settings.db-journal"]));
        assert_eq!(device.run(&["run"]).exit, "0");
    }
    fs::write(device.main(), &older).unwrap();
    row.cut(&device, |all| after(all, "unlink", &["settings.db-journal"]));
    fs::write(device.main(), &older).unwrap();
    row.boot(&device);
    row.whole();
}
