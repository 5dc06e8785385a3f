//! Owns the row of a factory reset: cut at two calls, of a damaged file, of one that is in use.
//! Promises: what the next boot makes of a half-removed database is what is compared.
//! Never takes what the killed run said for an answer.

use crate::device::TestDevice;
use crate::row::{after, first, row};
use std::fs;

const WIPE: &[&str] = &["wipe", "--db", "settings", "--yes"];

/// With a snapshot of version 40.
fn upgraded() -> TestDevice {
    let device = TestDevice::at(40).firmware(41);
    assert_eq!(device.run(&["run"]).exit, "0");
    device
}

#[test]
fn row_84_a_factory_reset() {
    let mut row = row(84);
    row.cut_run(&upgraded(), WIPE, |all| first(all, "pwrite64", &["record>"]));
    row.cut_run(&upgraded(), WIPE, |all| after(all, "unlink", &["snapshots/v40-1.db"]));
    row.cut_run(&upgraded(), WIPE, |all| after(all, "unlink", &["gateway/settings.db\""]));
    let damaged = upgraded();
    fs::write(damaged.main(), "no database").unwrap();
    row.run(&damaged, WIPE);
    row.run(&upgraded().application(&["sql SELECT count(*) FROM parent"]), WIPE);
    row.whole();
}
