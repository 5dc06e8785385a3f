//! Owns the kill tests: SIGKILL of the real program at every write-like system call.
//! Promises: the killed device has the old database or the new one, whole; the next boot ends well,
//! the one after is quiet.
//! Never counts a kill that did not kill; the number of points is printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]
#![allow(dead_code)]

#[path = "integration/application.rs"]
mod application;
#[path = "integration/device.rs"]
mod device;
#[path = "integration/mount.rs"]
mod mount;
#[path = "integration/oracle.rs"]
mod oracle;
#[path = "integration/product.rs"]
mod product;
#[path = "integration/program.rs"]
mod program;
#[path = "integration/strace.rs"]
mod strace;

use device::{copy_tree, TestDevice};
use oracle::Content;
use std::sync::atomic::{AtomicUsize, Ordering};
use strace::{calls, Call};

/// Fewer calls than this is a program that did nothing.
const POINTS_MIN: usize = 20;
const THREADS: usize = 2;

struct Test {
    template: TestDevice,
    arguments: &'static [&'static str],
    old: Option<Content>,
    new: Content,
    /// Exit of the run when nothing kills it.
    exit: &'static str,
}

impl Test {
    /// A device of its own that is as the template is.
    fn a_copy(&self, firmware: &TestDevice) -> TestDevice {
        let device = TestDevice::empty(10);
        copy_tree(&firmware.firmware_folder(), &device.firmware_folder());
        copy_tree(&self.template.root(), &device.root());
        device
    }

    /// Kills at every point, on two threads.
    fn kill_everywhere(&self, name: &str) {
        let device = self.a_copy(&self.template);
        let (points, ran) = calls(&device, self.arguments);
        assert_eq!(ran.exit, self.exit, "{name}, the run that counts: {}", ran.stderr);
        assert_eq!(
            oracle::content(&device.main()).as_ref(),
            Ok(&self.new),
            "{name}, the run that counts"
        );
        assert!(points.len() >= POINTS_MIN, "{name}: only {} write-like calls", points.len());
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while let Some(call) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                        self.kill_at(name, call);
                    }
                });
            }
        });
        println!("{name}: killed at each of {} write-like calls", points.len());
    }

    fn kill_at(&self, name: &str, call: &Call) {
        let device = self.a_copy(&self.template);
        killed_at(&device, self.arguments, call);
        self.old_or_new(name, call, &device);
        let next = device.run(self.arguments);
        let ends = [self.exit, "0"];
        assert!(
            ends.contains(&next.exit.as_str()),
            "{name}, boot after {call:?}: {} {}",
            next.exit,
            next.stderr
        );
        let now = oracle::content(&device.main());
        assert_eq!(now.as_ref(), Ok(&self.new), "{name}, boot after {call:?}: {}", next.stderr);
        let folder = device.firmware_folder();
        assert_eq!(
            oracle::complaints(&device.main(), &folder, "settings"),
            Vec::<String>::new(),
            "{name}, {call:?}"
        );
        if self.exit == "11" {
            self.old_files_are_kept(name, call, &device);
        }
        let before = oracle::folder(&device.root());
        let quiet = device.run(&["run"]);
        let touched = oracle::touched(&before, &oracle::folder(&device.root()));
        assert_eq!(
            (quiet.exit.as_str(), touched.as_str()),
            ("0", "nothing"),
            "{name}, second boot after {call:?}"
        );
    }

    /// Under the database's name stands the old one or the new one; or a ready file says what must
    /// become it.
    fn old_or_new(&self, name: &str, call: &Call, device: &TestDevice) {
        let now = oracle::content(&device.main());
        let ready = std::fs::read_dir(device.state("settings")).into_iter().flatten();
        let ready = ready
            .filter(|entry| {
                entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("ready-")
            })
            .count();
        let whole = match &now {
            Ok(content) => Some(content) == self.old.as_ref() || content == &self.new,
            Err(error) => error == "absent" && self.old.is_none(),
        };
        assert!(whole || ready == 1, "{name}, killed at {call:?}: {now:?}");
    }

    fn old_files_are_kept(&self, name: &str, call: &Call, device: &TestDevice) {
        let quarantine = device.state("settings").join("quarantine");
        let sets: Vec<_> =
            std::fs::read_dir(&quarantine).unwrap().map(|entry| entry.unwrap().path()).collect();
        let old = sets
            .iter()
            .filter(|files| oracle::content(&files.join("settings.db")).ok() == self.old)
            .count();
        assert_eq!(old, 1, "{name}, killed at {call:?}: the old files in {sets:?}");
    }
}

/// Runs the program and kills it as it enters this call; the call does not happen.
#[track_caller]
fn killed_at(device: &TestDevice, arguments: &[&str], call: &Call) {
    let log = device.folder().join("kill.log");
    let inject = format!("{}:signal=SIGKILL:when={}", call.name, call.nth);
    let ran =
        program::finish(device.command(&strace::words(device, arguments, &log, Some(inject))));
    // strace ends as its child did.
    assert_eq!(ran.exit, "signal 9", "not killed at {call:?}: {}", ran.stderr);
}

/// A test whose run applies what is pending.
fn upgrade(template: TestDevice) -> Test {
    let expected = template.expectations(&template.databases[0]);
    Test { new: expected.new.unwrap(), old: expected.old, template, arguments: &["run"], exit: "0" }
}

#[test]
fn killed_in_a_first_boot() {
    let template = TestDevice::empty(42);
    let new = template.expectations(&template.databases[0]).fresh.unwrap();
    Test { template, arguments: &["run"], old: None, new, exit: "0" }.kill_everywhere("first boot");
}

#[test]
fn killed_in_an_upgrade() {
    upgrade(TestDevice::at(40).firmware(42)).kill_everywhere("upgrade, rollback journal");
}

#[test]
fn killed_in_an_upgrade_in_wal_mode() {
    upgrade(TestDevice::wal_at(40).firmware(42)).kill_everywhere("upgrade, WAL");
}

/// Children go with their parents, or nobody does.
#[test]
fn killed_where_foreign_keys_are_enforced() {
    let sql = "-- bootmigrate: foreign-keys = enforced\nDELETE FROM parent WHERE id % 3 = 0;\n";
    let template = TestDevice::at(40).firmware(40).file(("V43__enforced.sql", sql));
    let expected = template.expectations(&template.databases[0]);
    let copy = oracle::Copy::of(&template.main()).unwrap();
    copy.open().execute_batch(&format!("PRAGMA foreign_keys = ON; {sql}")).unwrap();
    let new = oracle::read(&copy.open()).unwrap();
    assert!(Some(&new) != expected.old.as_ref() && new.rows["child"] < 1500, "no child has gone");
    Test { template, arguments: &["run"], old: expected.old, new, exit: "0" }
        .kill_everywhere("foreign keys enforced");
}

#[test]
fn killed_in_a_migration_outside_any_transaction() {
    upgrade(TestDevice::at(42).firmware(50)).kill_everywhere("no-transaction migration");
}

#[test]
fn killed_in_a_migration_outside_any_transaction_in_wal_mode() {
    upgrade(TestDevice::wal_at(42).firmware(50)).kill_everywhere("no-transaction migration, WAL");
}

#[test]
fn killed_in_a_replace() {
    // Rebuildable: each boot purges by itself, as a device does when nobody is there.
    let template =
        TestDevice::at(40).firmware(40).file(product::UNIQUE_BADGE).key("kind = \"rebuildable\"");
    let expected = template.expectations(&template.databases[0]);
    let new = expected.fresh.unwrap();
    Test { template, arguments: &["run"], old: expected.old, new, exit: "11" }
        .kill_everywhere("replace");
}

#[test]
fn killed_in_a_replace_in_wal_mode() {
    let template = TestDevice::wal_at(40)
        .firmware(40)
        .file(product::UNIQUE_BADGE)
        .key("kind = \"rebuildable\"");
    let expected = template.expectations(&template.databases[0]);
    let new = expected.fresh.unwrap();
    Test { template, arguments: &["run"], old: expected.old, new, exit: "11" }
        .kill_everywhere("replace, WAL");
}
