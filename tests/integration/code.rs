//! Owns the tests of migrations in Rust: what the product's own code may do to its transaction, and
//! what it may not.
//! Promises: the code is that of `examples/firmware`; every row is compared with what SQLite alone
//! makes of the same change.
//! Never expects a half: what fails leaves the database as it was.

use crate::device::TestDevice;
use crate::dump::check;
use crate::oracle;
use crate::program::{self, RunResult};
use expect_test::expect;
use rusqlite::Connection;

const FILE: &str = "-- bootmigrate: code revision=1\nUPDATE child SET label = 'first the SQL';\n";

#[test]
fn code_runs_with_everything_else_in_one_transaction() {
    for device in [TestDevice::at(40), TestDevice::wal_at(40)] {
        let device = device.firmware(42).file(("V90__code.sql", FILE));
        let copy = oracle::Copy::of(&device.main()).unwrap();
        let at_42 = tempfile::tempdir().unwrap();
        crate::product::write(at_42.path(), "settings", 42);
        oracle::migrated(&copy, at_42.path(), "settings", 40).unwrap();
        let wanted = copy.open();
        wanted
            .execute_batch(
                "UPDATE child SET label = 'first the SQL'; UPDATE parent SET reading = id * 2, \
                 badge = 'by code'",
            )
            .unwrap();
        wanted.execute_batch("DELETE FROM child WHERE id % 2 = 0").unwrap();
        let wanted = oracle::read(&wanted).unwrap();
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "{}", ran.stderr);
        assert!(
            ran.stderr.contains("settings: migrated from 40 to 90 (3 applied, "),
            "{}",
            ran.stderr
        );
        assert_eq!(oracle::content(&device.main()), Ok(wanted.clone()));
        assert_eq!(
            oracle::complaints(&device.main(), &device.firmware_folder(), "settings"),
            Vec::<String>::new()
        );
        let before = oracle::folder(&device.root());
        assert_eq!(device.run(&["run"]).exit, "0");
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
        assert_eq!(oracle::content(&device.main()), Ok(wanted));
    }
}

/// Code that ends the program: each boot ends so, with the old rows, until it is not begun any
/// more.
#[track_caller]
fn ends_every_boot_until_nobody_begins(device: &TestDevice, version: i32, exit: &str) -> RunResult {
    let old = oracle::content(&device.main());
    let ran: Vec<RunResult> = (1..=5)
        .map(|interrupted| {
            let ran = device.run(&["run"]);
            assert_eq!(ran.exit, exit, "{interrupted}: {}", ran.stderr);
            assert_eq!(oracle::content(&device.main()), old, "{interrupted}");
            ran
        })
        .collect();
    let before = oracle::folder(&device.root());
    for _ in 0..2 {
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "19", "{}", ran.stderr);
        assert!(
            ran.stderr.contains(
                "this firmware's migrations were interrupted 5 times; nothing was changed"
            ),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains(&format!(">{version}]")), "{}", ran.stderr);
    }
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    assert_eq!(oracle::content(&device.main()), old);
    ran.into_iter().next().unwrap()
}

/// Taken over from plain refinery, from an application that counts in `user_version`, and ours
/// already.
fn situations(version: i32) -> Vec<TestDevice> {
    let adopted = TestDevice::at(40)
        .key("baseline = { version_query = \"SELECT user_version FROM pragma_user_version\" }");
    let connection = Connection::open(adopted.main()).unwrap();
    connection
        .execute_batch("DROP TABLE refinery_schema_history; PRAGMA user_version = 40")
        .unwrap();
    drop(connection);
    let file = format!("V{version}__code.sql");
    [TestDevice::at(40), TestDevice::wal_at(40), adopted, TestDevice::booted_at(40)]
        .map(|device| device.file((&file, FILE)))
        .into()
}

#[test]
fn code_that_ends_the_program() {
    for device in situations(96) {
        ends_every_boot_until_nobody_begins(&device, 96, "signal 6");
    }
}

/// Plain refinery runs the file, and not the code: what it began is no version of ours.
#[test]
fn what_refinery_began_of_a_migration_with_code_is_said() {
    let device = TestDevice::at(40)
        .file(("V90__code.sql", "-- bootmigrate: code revision=1\nCREATE TABLE begun (n);\n"));
    Connection::open(device.main()).unwrap().execute_batch("CREATE TABLE begun (n)").unwrap();
    let old = oracle::content(&device.main());
    let before = oracle::folder(&device.root());
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "21", "{}", ran.stderr);
    assert!(
        ran.stderr.contains("begun.n is in the database already")
            && ran.stderr.contains("V90__code.sql would make it, but its code has not run"),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    assert_eq!(oracle::content(&device.main()), old);
}

#[test]
fn code_that_panics() {
    if program::a_panic_ends_it() {
        for device in situations(91) {
            let ran = ends_every_boot_until_nobody_begins(&device, 91, "10");
            let said: Vec<&str> = ran
                .stderr
                .lines()
                .filter(|line| line.contains("on each connection) panicked at "))
                .collect();
            assert!(said.len() == 1 && said[0].ends_with(". [BM-10]"), "{}", ran.stderr);
            assert!(
                said[0].contains("firmware.rs:")
                    && said[0].contains(": a guest may; built with panic = \"abort\""),
                "{}",
                said[0]
            );
        }
        return;
    }
    check(
        TestDevice::at(40).file(("V91__code.sql", FILE)),
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 91: V91 code, in one transaction, after a snapshot
        exit:     10
        settings: failed 40>40 of 91, applied [], not usable, exit 10
        code:     BM-10 settings 40>91 V91:1
        database: old, 2000 parents, 2000 children
        touched:  state
        again:    exit 10, failed, touched state
    "#]],
    );
}

#[test]
fn code_that_fails() {
    check(
        TestDevice::at(40).file(("V92__code.sql", FILE)),
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 92: V92 code, in one transaction, after a snapshot
        exit:     10
        settings: failed 40>40 of 92, applied [], not usable, exit 10
        code:     BM-10 settings 40>92 V92:1
        database: old, 2000 parents, 2000 children
        touched:  state
        again:    exit 10, failed, touched state
    "#]],
    );
}

#[test]
fn code_that_commits() {
    check(
        TestDevice::at(40).file(("V93__code.sql", FILE)),
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 93: V93 code, in one transaction, after a snapshot
        exit:     10
        settings: failed 40>40 of 93, applied [], not usable, exit 10
        code:     BM-10 settings 40>93 V93:1
        database: old, 2000 parents, 2000 children
        touched:  state
        again:    exit 10, failed, touched state
    "#]],
    );
}

#[test]
fn code_that_goes_on_after_sqlite_has_rolled_back() {
    for device in [TestDevice::at(40), TestDevice::wal_at(40)] {
        let device = device.file(("V94__code.sql", FILE));
        let old = oracle::content(&device.main());
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "10", "{}", ran.stderr);
        assert!(
            ran.stderr.contains("SQLite ended the transaction by itself, and the code went on"),
            "{}",
            ran.stderr
        );
        assert_eq!(oracle::content(&device.main()), old);
    }
}

#[test]
fn code_that_nobody_has_registered() {
    check(
        TestDevice::at(40).file(("V95__code.sql", FILE)),
        "run",
        expect![[r#"
            plan:     settings: refuse: settings/V95__code.sql asks for Rust code (revision 1), and this binary registers none
            exit:     21
            settings: refused 40>40 of 95, applied [], not usable, exit 21
            code:     BM-21 settings 40>95
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 21, refused, touched nothing
        "#]],
    );
    let device = TestDevice::empty(40).file(("V95__code.sql", FILE));
    let before = oracle::folder(&device.root());
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "21", "{}", ran.stderr);
    assert!(
        ran.stderr.contains(
            "settings/V95__code.sql asks for Rust code (revision 1), and this binary registers none"
        ),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
}
