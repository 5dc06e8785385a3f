//! Owns the tests of a `rehearsal` that somebody has filled: what the next run takes away may be
//! deeper than any path, and have any names.
//! Promises: it is gone after one run, or that run was stopped and the next one goes on; nothing
//! outside it goes.
//! Never measures time.

use crate::device::TestDevice;
use crate::oracle;
use crate::strace::{calls, stopped_after};
use rustix::fs::{mkdirat, open, openat, Mode, OFlags};
use rustix::process::{kill_process, Signal};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// A path holds some 2,000 folders of one letter.
const DEEPER_THAN_A_PATH: usize = 3_000;

fn rehearsal(device: &TestDevice) -> PathBuf {
    device.state("settings").join("rehearsal")
}

#[test]
fn what_is_deeper_than_any_path_goes() {
    let device = TestDevice::booted_at(40).firmware(41);
    fs::create_dir(rehearsal(&device)).unwrap();
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let mut at = open(rehearsal(&device), flags, Mode::empty()).unwrap();
    for _ in 0..DEEPER_THAN_A_PATH {
        mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = openat(&at, "d", flags, Mode::empty()).unwrap();
    }
    drop(at);
    device.migrates(40, 41);
    assert!(!rehearsal(&device).exists());
}

#[test]
fn any_name_goes_and_no_link_is_followed() {
    let device = TestDevice::booted_at(40).firmware(41);
    let outside = device.folder().join("outside");
    for folder in [outside.join("kept"), rehearsal(&device).join("a/b"), rehearsal(&device)] {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(OsStr::from_bytes(b"gr\xf6\xdfe")), "x").unwrap();
        fs::create_dir(folder.join(OsStr::from_bytes(b"\xff"))).unwrap();
    }
    symlink(&outside, rehearsal(&device).join("a/link")).unwrap();
    let before = oracle::folder(&outside);
    device.migrates(40, 41);
    assert!(!rehearsal(&device).exists());
    assert_eq!(oracle::folder(&outside), before);
}

#[test]
fn a_stop_signal_ends_it_between_two_names() {
    let make = || {
        let device = TestDevice::booted_at(40).firmware(41);
        let mut folder = rehearsal(&device);
        for _ in 0..20 {
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("file"), "x").unwrap();
            folder.push("d");
        }
        device
    };
    let (points, _) = calls(&make(), &["run"]);
    let device = make();
    let removed = |line: &str| line.contains("rehearsal");
    let unlinks: Vec<_> =
        points.iter().filter(|call| call.name == "unlinkat" && removed(&call.line)).collect();
    assert!(unlinks.len() >= 20, "{points:#?}");
    let ran = stopped_after(&device, &["run"], unlinks[unlinks.len() / 2], |pid| {
        kill_process(pid, Signal::TERM).unwrap()
    });
    assert_eq!(ran.exit, "20", "{}", ran.stderr);
    assert!(rehearsal(&device).exists());
    device.migrates(40, 41);
    assert!(!rehearsal(&device).exists());
}
