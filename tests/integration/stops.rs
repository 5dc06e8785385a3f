//! Owns the tests of a stop signal: SIGTERM at every write-like call of a run.
//! Promises: the run ends with 20 and the old rows, or it had committed and says so; the next boot
//! goes on.
//! Never sends the signal by the clock: the program is stopped at the call, told, and let go on.

use crate::device::{copy_tree, Mode, TestDevice};
use crate::oracle;
use crate::strace::{calls, stopped_after};
use rustix::process::{kill_process, Signal};
use std::collections::BTreeMap;

/// What a run is broken into, and how it ends when nobody stops it.
fn stopped_at_every_call(template: &TestDevice, firmware: i32, arguments: &[&str]) {
    let old = oracle::content(&template.main()).unwrap();
    let device = TestDevice::empty(firmware);
    let reset = || {
        for name in ["var", "run"] {
            let _ = std::fs::remove_dir_all(device.root().join(name));
        }
        std::fs::create_dir_all(device.home()).unwrap();
        copy_tree(&template.home(), &device.home());
    };
    reset();
    let (points, whole) = calls(&device, arguments);
    assert_eq!(whole.exit, "0", "the run that counts: {}", whole.stderr);
    let new = oracle::content(&device.main()).unwrap();
    assert!(whole.stderr.contains("migrated"), "the run that counts did nothing: {}", whole.stderr);
    let mut ends = BTreeMap::new();
    for call in &points {
        reset();
        let ran =
            stopped_after(&device, arguments, call, |pid| kill_process(pid, Signal::TERM).unwrap());
        let now = oracle::content(&device.main())
            .unwrap_or_else(|error| panic!("stopped after {call:?}: {error}"));
        match ran.exit.as_str() {
            "20" => assert_eq!(now, old, "stopped after {call:?}: {}", ran.stderr),
            "0" => assert_eq!(now, new, "stopped after {call:?}: {}", ran.stderr),
            other => panic!("stopped after {call:?}: exit {other}: {}", ran.stderr),
        }
        *ends.entry(ran.exit).or_insert(0_usize) += 1;
        let next = device.run(&["run"]);
        assert_eq!(
            (next.exit.as_str(), oracle::content(&device.main()).unwrap()),
            ("0", new.clone()),
            "the boot after {call:?}: {}",
            next.stderr
        );
        let before = oracle::folder(&device.root());
        assert_eq!(device.run(&["run"]).exit, "0", "the boot after that, {call:?}");
        assert_eq!(
            oracle::touched(&before, &oracle::folder(&device.root())),
            "nothing",
            "the boot after that, {call:?}"
        );
    }
    println!(
        "SIGTERM after each of {} write-like calls of {arguments:?}: ends {ends:?}",
        points.len()
    );
    assert!(ends.contains_key("20"), "no signal stopped it: {ends:?}");
}

#[test]
fn stopped_in_an_upgrade() {
    stopped_at_every_call(&TestDevice::at(40), 41, &["run"]);
}

#[test]
fn stopped_in_a_migration_outside_any_transaction() {
    stopped_at_every_call(&TestDevice::at(42), 50, &["run"]);
}

#[test]
fn stopped_while_two_go_together() {
    let device = TestDevice::at(40).together_with_log(40, Mode::Delete).firmware(42);
    let template = tempfile::tempdir().unwrap();
    copy_tree(&device.home(), template.path());
    let reset = || {
        for name in ["var", "run"] {
            let _ = std::fs::remove_dir_all(device.root().join(name));
        }
        std::fs::create_dir_all(device.home()).unwrap();
        copy_tree(template.path(), &device.home());
    };
    let both = || ["settings", "log"].map(|name| oracle::content(&device.path(name)).unwrap());
    let old = both();
    let (points, whole) = calls(&device, &["run"]);
    assert_eq!(whole.exit, "0", "the run that counts: {}", whole.stderr);
    let new = both();
    assert!(
        old[0] != new[0] && old[1] != new[1],
        "the run that counts did nothing: {}",
        whole.stderr
    );
    let mut ends = BTreeMap::new();
    // A run has twice as many as that of one alone, which is stopped at every one.
    for call in points.iter().step_by(3) {
        reset();
        let ran =
            stopped_after(&device, &["run"], call, |pid| kill_process(pid, Signal::TERM).unwrap());
        let now = both();
        // The last of a group commits first.
        let known = [[&old[0], &old[1]], [&old[0], &new[1]], [&new[0], &new[1]]];
        assert!(known.contains(&[&now[0], &now[1]]), "stopped after {call:?}: {}", ran.stderr);
        assert!(
            ran.exit == "20" || ran.exit == "0" && now == new,
            "stopped after {call:?}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert!(
            !ran.stderr.contains("not ready"),
            "nobody waits, all were stopped after {call:?}: {}",
            ran.stderr
        );
        *ends.entry(ran.exit).or_insert(0_usize) += 1;
        let next = device.run(&["run"]);
        assert!(next.exit == "0" && both() == new, "the boot after {call:?}: {}", next.stderr);
    }
    println!(
        "SIGTERM after every third of {} write-like calls of two that go together: ends {ends:?}",
        points.len()
    );
    assert!(ends.contains_key("20"), "no signal stopped it: {ends:?}");
}
