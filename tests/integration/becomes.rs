//! Owns the tests of `run -- PROGRAM`, the form for containers and package upgrades.
//! Promises: the program is there with its own environment when the databases are usable, and not
//! at all when they are not.
//! Never looks at how it became the program: its exit code and its words are enough.

use crate::device::TestDevice;
use crate::product::BROKEN;
use rusqlite::Connection;

const PROGRAM: [&str; 5] = [
    "run",
    "--",
    "/bin/sh",
    "-c",
    "echo \"the application, temporary files in [${SQLITE_TMPDIR-}]\"; exit 7",
];

fn version(device: &TestDevice) -> i32 {
    let database = Connection::open(device.main()).unwrap();
    database
        .query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn usable_databases_become_the_program() {
    let device = TestDevice::at(40).firmware(41);
    let ran = device.run(&PROGRAM);
    assert_eq!(
        (ran.exit.as_str(), ran.stdout.as_str()),
        ("7", "the application, temporary files in []\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(version(&device), 41);
}

#[test]
fn the_program_has_the_environment_that_was_meant_for_it() {
    let device =
        TestDevice::at(40).firmware(41).environment("SQLITE_TMPDIR", "/var/tmp/application");
    let ran = device.run(&PROGRAM);
    assert_eq!(
        (ran.exit.as_str(), ran.stdout.as_str()),
        ("7", "the application, temporary files in [/var/tmp/application]\n")
    );
}

#[test]
fn unusable_databases_do_not_start_the_program() {
    let device = TestDevice::at(40).firmware(40).file(BROKEN);
    let ran = device.run(&PROGRAM);
    assert_eq!((ran.exit.as_str(), ran.stdout.as_str()), ("10", ""), "{}", ran.stderr);
    assert_eq!(version(&device), 40);
}
