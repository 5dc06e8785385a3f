//! Owns the rows about two at once: a second bootmigrate, an application that is running or comes
//! along.
//! Promises: the concurrent process is a real process; it acts while the program stands still at a
//! chosen call.
//! Never times anything: a wait is bounded by `busy_timeout_s` of the program alone.

use crate::application::Application;
use crate::device::TestDevice;
use crate::program::finish;
use crate::row::{duplicate, first, row, Before};
use crate::strace::{calls, stopped_after};
use std::cell::RefCell;

#[test]
fn row_32_two_instances_at_once() {
    let mut row = row(32);
    // One waits until the other is done, and then looks afresh.
    let device = TestDevice::booted_at(40).firmware(41).key("busy_timeout_s = 10");
    let (all, _) = calls(&duplicate(&device), &["run"]);
    let before = Before::of(&device);
    let second = RefCell::new(None);
    let one = stopped_after(&device, &["run"], first(&all, "fdatasync", &["record"]), |_| {
        let command = device.command(&device.words(&["run"]));
        *second.borrow_mut() = Some(std::thread::spawn(|| finish(command)));
    });
    assert_eq!(one.exit, "0", "{}", one.stderr);
    let other = second.into_inner().unwrap().join().unwrap();
    row.saw(&device, before, "", &other);
    // The other does not get done.
    let device = TestDevice::booted_at(40).firmware(41).key("busy_timeout_s = 0");
    let (all, _) = calls(&duplicate(&device), &["run"]);
    stopped_after(&device, &["run"], first(&all, "fdatasync", &["record"]), |_| {
        row.boot(&device);
    });
    row.whole();
}

#[test]
fn row_33_the_application_is_running() {
    let mut row = row(33);
    for lines in
        [&[][..], &["sql BEGIN IMMEDIATE", "sql UPDATE parent SET reading = 1 WHERE id = 1"]]
    {
        row.boot(
            &TestDevice::booted_at(40).firmware(41).key("busy_timeout_s = 0").application(lines),
        );
    }
    row.whole();
}

#[test]
fn row_63_an_application_during_a_swap() {
    let mut row = row(63);
    let swapped = || TestDevice::booted_at(42).firmware(50).key("busy_timeout_s = 0");
    // It writes and closes while the copy is made: the copy is thrown away, and another is made.
    let device = swapped();
    let (all, _) = calls(&duplicate(&device), &["run"]);
    let call = first(&all, "pwrite64", &["staging-1.db>"]);
    let expected = RefCell::new(None);
    let names = Before::of(&device);
    let ran = stopped_after(&device, &["run"], call, |_| {
        let mut application = Application::start(device.folder(), None);
        application.expect_ok(&format!("open {}", device.main().display()));
        application.expect_ok("sql UPDATE parent SET reading = 7");
        drop(application);
        *expected.borrow_mut() = Some(Before::of(&device));
    });
    row.saw(&device, expected.into_inner().unwrap().with_names_of(names), "", &ran);
    // It opens and stays.
    let device = swapped();
    let before = Before::of(&device);
    let stays = RefCell::new(None);
    let ran = stopped_after(&device, &["run"], call, |_| {
        let mut application = Application::start(device.folder(), None);
        application.expect_ok(&format!("open {}", device.main().display()));
        *stays.borrow_mut() = Some(application);
    });
    row.saw(&device, before, "", &ran);
    row.whole();
}
