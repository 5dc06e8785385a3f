//! Owns the tests of a WAL on a disk that is nearly full, where the run has nothing to do.
//! Promises: a real file system, filled after an application was killed or while it runs; what
//! counts is whether an application can read every row afterwards.
//! Never makes a WAL by hand: an application wrote it.

use crate::device::TestDevice;
use crate::mount::Mount;
use crate::oracle::{self, beside};
use std::fs;

/// More than the 32 KiB that its shared memory takes.
const WRITTEN: &str = "sql UPDATE parent SET reading = 0.1 WHERE id <= 2000";
const READ: &str = "row SELECT count(*) FROM parent WHERE reading = 0.1";
/// A newer migration that this firmware can live with.
const COMPATIBLE: (&str, &str) = (
    "V43__more.sql",
    "-- bootmigrate: compatible-from = 41\nCREATE TABLE more (id INTEGER PRIMARY KEY);\n",
);
const OTHER_TEXT: (&str, &str) = ("V30__look.sql", "SELECT 1;\n");

/// Its firmware has run, and no boot has anything more to do.
#[track_caller]
fn settled(device: TestDevice) -> TestDevice {
    let device = device.on(|at, _| Mount::tmpfs(at, 8192));
    for _ in 0..2 {
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "the boots that make the situation: {}", ran.stderr);
    }
    device
}

fn current() -> TestDevice {
    settled(TestDevice::wal_at(41))
}

fn newer() -> TestDevice {
    settled(TestDevice::wal_at(41).file(COMPATIBLE)).without(COMPATIBLE.0)
}

fn changed() -> TestDevice {
    settled(TestDevice::wal_at(41)).file(OTHER_TEXT).key("on_checksum_mismatch = \"warn\"")
}

/// An application has written, and the disk is full but for so many KiB.
fn nearly_full(device: TestDevice, kib: u64) -> TestDevice {
    let device = device.application(&[WRITTEN]);
    device.mount.as_ref().unwrap().fill_but(kib);
    device
}

fn wal_bytes(device: &TestDevice) -> u64 {
    fs::metadata(beside(&device.main(), "-wal")).map_or(0, |wal| wal.len())
}

#[test]
fn what_a_power_cut_left_is_brought_into_main() {
    for (what, device) in [("current", current()), ("newer", newer()), ("changed", changed())] {
        let device = device.application(&[WRITTEN]).killed();
        assert!(wal_bytes(&device) > 0, "{what}: a WAL is left");
        // A file system's own recovery drops what was never synced.
        fs::remove_file(beside(&device.main(), "-shm")).unwrap();
        device.mount.as_ref().unwrap().fill();
        let before = oracle::content(&device.main()).unwrap();
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "{what}: {}", ran.stderr);
        assert_eq!(wal_bytes(&device), 0, "{what}: the WAL has content: {}", ran.stderr);
        let mut device = device.application(&[]);
        let application = device.application.as_mut().unwrap();
        assert_eq!(application.tell(READ), "ok Integer(2000)", "{what}");
        device.application = None;
        assert_eq!(oracle::content(&device.main()).unwrap(), before, "{what}");
    }
}

/// A run by hand, or of a service that starts again, does not take what the application has.
#[test]
fn an_application_that_runs_needs_no_room() {
    for (what, device) in [("current", current()), ("newer", newer()), ("changed", changed())] {
        let mut device = nearly_full(device, 700);
        let wal = wal_bytes(&device);
        for arguments in
            [&["run"][..], &["ready", "--db", "settings"], &["status", "--exit-code"], &["run"]]
        {
            let ran = device.run(arguments);
            assert_eq!(ran.exit, "0", "{what}, {arguments:?}: {}{}", ran.stdout, ran.stderr);
            assert!(
                device.root().join("run/bootmigrate/ready").exists(),
                "{what}, {arguments:?}: no ready file"
            );
        }
        let application = device.application.as_mut().unwrap();
        assert_eq!(application.tell(READ), "ok Integer(2000)", "{what}");
        assert_eq!(wal_bytes(&device), wal, "{what}: its WAL is as it was");
    }
}
