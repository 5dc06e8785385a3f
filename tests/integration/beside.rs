//! Owns the tests of copies that are made beside an application: `rehearse` and `snapshot create`
//! on a WAL that a power cut has left.
//! Promises: main and WAL are compared by their bytes, every row before and after.
//! Never makes a WAL by hand: an application wrote it and was killed.

use crate::device::TestDevice;
use crate::oracle::{self, beside};
use std::fs;

/// A device at 30 in WAL mode, whose application's last rows are in the WAL alone.
fn with_a_wal() -> TestDevice {
    let device = TestDevice::wal_at(30)
        .firmware(41)
        .application(&["sql INSERT INTO parent (id, name) VALUES (3001, 'in the WAL')"])
        .killed();
    assert!(fs::metadata(beside(&device.main(), "-wal")).unwrap().len() > 0, "a WAL is left");
    device
}

/// Main and WAL, whole.
fn files(device: &TestDevice) -> [Vec<u8>; 2] {
    [device.main(), beside(&device.main(), "-wal")].map(|path| fs::read(path).unwrap_or_default())
}

#[track_caller]
fn leaves_the_originals(words: &[&str], says: &str) {
    let device = with_a_wal();
    let (before, want) = (files(&device), device.expectations(&device.databases[0]).new);
    let ran = device.run(words);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    assert!(
        format!("{}{}", ran.stdout, ran.stderr).contains(says),
        "{} {}",
        ran.stdout,
        ran.stderr
    );
    assert!(files(&device) == before, "{words:?} has changed main or the WAL");
    assert_eq!(device.run(&["run"]).exit, "0");
    let content = oracle::content(&device.main()).unwrap();
    assert_eq!((content.rows["parent"], content.rows["child"]), (2001, 2000));
    assert_eq!(Some(content), want);
}

#[test]
fn a_rehearsal_leaves_the_wal_to_the_application() {
    leaves_the_originals(&["rehearse"], "rehearsed on a copy");
}

#[test]
fn a_snapshot_leaves_the_wal_to_the_application() {
    leaves_the_originals(&["snapshot", "create"], "whole and at version 30");
}
