//! Owns the rows about storage that takes no writes, fails, or is not there; and about owners and
//! /run.
//! Promises: the kernel refuses, or strace makes one call fail; nothing is pretended by the
//! program.
//! Never accepts that a database is replaced for it.

use crate::application::Application;
use crate::device::TestDevice;
use crate::mount::{require_root, Mount};
use crate::program::{finish, RunResult};
use crate::row::{duplicate, first, row, Before};
use crate::strace::{self, calls, Call};
use rustix::fs::{chmodat, AtFlags, Mode, CWD};
use std::fs;
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};

/// `nobody`, by number.
const USER: u32 = 65534;

fn on_a_read_only_mount(device: TestDevice) -> TestDevice {
    let device = device.on(|at, _| Mount::tmpfs(at, 8192));
    device.mount.as_ref().unwrap().read_only();
    device
}

#[test]
fn row_14_read_only_file_system() {
    let mut row = row(14);
    row.boot(&on_a_read_only_mount(TestDevice::at(40).firmware(41)));
    row.boot(&on_a_read_only_mount(TestDevice::at(40)));
    row.whole();
}

/// The chosen call fails with EIO.
fn failing(device: &TestDevice, choose: fn(&[Call]) -> &Call) -> RunResult {
    let (all, _) = calls(&duplicate(device), &["run"]);
    let call = choose(&all);
    let log = device.folder().join("fail.log");
    let inject = format!("{}:error=EIO:when={}", call.name, call.nth);
    let ran = finish(device.command(&strace::words(device, &["run"], &log, Some(inject))));
    assert!(fs::read_to_string(log).unwrap().contains("(INJECTED)"), "{call:?} did not fail");
    ran
}

/// Every read of main after its header fails with EIO.
fn failing_reads(device: &TestDevice) -> RunResult {
    let log = device.folder().join("fail.log");
    let mut words = strace::words(device, &["run"], &log, Some("pread64:error=EIO:when=2+".into()));
    let trace = words.iter().position(|word| word.to_string_lossy().starts_with("trace=")).unwrap();
    words[trace] = "trace=pread64".into();
    words.splice(trace + 1..trace + 1, ["-P".into(), device.main().into()]);
    finish(device.command(&words))
}

#[test]
fn row_15_input_output_error() {
    let mut row = row(15);
    let booted = || TestDevice::booted_at(40).firmware(41);
    let ways: [fn(&[Call]) -> &Call; 3] = [
        |all| first(all, "fsync", &["snapshots/tmp-"]),
        |all| first(all, "pwrite64", &["gateway/settings.db>"]),
        |all| first(all, "fsync", &["gateway/settings.db-journal>"]),
    ];
    for choose in ways {
        let device = booted();
        let before = Before::of(&device);
        let ran = failing(&device, choose);
        row.saw(&device, before, "", &ran);
    }
    let device = booted();
    let before = Before::of(&device);
    let ran = failing_reads(&device);
    row.saw(&device, before, "", &ran);
    row.whole();
}

#[test]
fn row_23_wal_on_a_read_only_file_system() {
    let mut row = row(23);
    let lines =
        ["sql PRAGMA wal_autocheckpoint = 0", "sql UPDATE parent SET name = name || ' kept'"];
    let device =
        TestDevice::wal_at(40).on(|at, _| Mount::tmpfs(at, 8192)).application(&lines).killed();
    device.mount.as_ref().unwrap().read_only();
    row.boot(&device);
    row.whole();
}

#[test]
fn row_36_state_folder_missing_or_unwritable() {
    let mut row = row(36);
    let device = TestDevice::booted_at(40).firmware(41);
    fs::remove_dir_all(device.home().join(".bootmigrate")).unwrap();
    row.boot(&device);
    let device = TestDevice::at(40).firmware(41);
    fs::write(device.home().join(".bootmigrate"), "a file where the folder should be").unwrap();
    row.boot(&device);
    row.whole();
}

#[test]
fn row_37_owners_and_modes() {
    require_root();
    let mut row = row(37);
    let mut device = TestDevice::at(40).firmware(41);
    chown(device.root().join("run"), Some(USER), Some(USER)).unwrap();
    fs::set_permissions(device.main(), fs::Permissions::from_mode(0o600)).unwrap();
    device.user = Some(USER);
    row.boot(&device);
    let device = TestDevice::at(42).firmware(50).home_of(USER);
    chmodat(CWD, device.main(), Mode::from_bits_retain(0o600), AtFlags::empty()).unwrap();
    row.boot(&device);
    let snapshot = device.state("settings").join("snapshots/v42-1.db");
    for path in [device.main(), snapshot] {
        let data = fs::metadata(path).unwrap();
        assert_eq!((data.uid(), data.gid(), data.mode() & 0o7777), (USER, USER, 0o600));
    }
    row.whole();
}

#[test]
fn row_40_mount_not_there() {
    let mut row = row(40);
    row.boot(&TestDevice::empty(41).without_root());
    row.whole();
}

#[test]
fn row_41_first_boot() {
    require_root();
    let mut row = row(41);
    let device = TestDevice::empty(41).home_of(USER);
    row.boot(&device);
    let mut application = Application::start(device.folder(), Some(USER));
    application.expect_ok(&format!("open {}", device.main().display()));
    application.expect_ok("sql INSERT INTO parent (name) VALUES ('by the application')");
    row.whole();
}

#[test]
fn row_56_no_run_folder() {
    let mut row = row(56);
    let device = TestDevice::at(40).firmware(41);
    fs::remove_dir_all(device.root().join("run")).unwrap();
    fs::write(device.root().join("run"), "a file where /run should be").unwrap();
    row.boot(&device);
    row.whole();
}

/// The database file alone is a mount; undone when dropped.
struct Bound(std::path::PathBuf);

impl Bound {
    fn main_of(device: &TestDevice) -> Bound {
        require_root();
        let done = std::process::Command::new("mount")
            .arg("--bind")
            .arg(device.main())
            .arg(device.main())
            .status()
            .unwrap();
        assert!(done.success(), "mount --bind");
        Bound(device.main())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn row_60_the_file_is_a_mount_of_its_own() {
    let mut row = row(60);
    for device in [TestDevice::at(40).firmware(41), TestDevice::at(42).firmware(50)] {
        let device = device.on(|at, _| Mount::tmpfs(at, 8192)).without_root();
        let bound = Bound::main_of(&device);
        row.boot(&device);
        drop(bound);
    }
    row.whole();
}

#[test]
fn row_62_commit_returns_an_error() {
    let mut row = row(62);
    let ways: [fn(&[Call]) -> &Call; 3] = [
        |all| first(all, "fsync", &["gateway/settings.db>"]),
        // The journal's header is zeroed: the instant of the commit.
        |all| crate::row::after(all, "pwrite64", &["settings.db-journal>", ", 28, 0)"]),
        |all| crate::row::after(all, "unlink", &["settings.db-journal"]),
    ];
    for (way, choose) in ways.into_iter().enumerate() {
        let device = TestDevice::booted_at(40).firmware(41);
        let before = Before::of(&device);
        let ran = failing(&device, choose);
        row.saw(&device, before, "", &ran);
        if way == 1 {
            // Without a reboot, and with one, of a container whose /run was kept.
            row.boot(&device);
            fs::write(
                device.root().join("run/bootmigrate/unconfirmed/settings"),
                "3c1f0a52-0000-4000-8000-000000000000",
            )
            .unwrap();
            row.boot(&device);
        }
    }
    row.whole();
}

/// Who runs the program, and owns the folder; root's programs left the rest.
const PLAIN_USER: u32 = 1000;

fn of_the_user(device: TestDevice) -> TestDevice {
    let mut device = device.home_of(PLAIN_USER);
    device.user = Some(PLAIN_USER);
    chown(device.root().join("run"), Some(PLAIN_USER), Some(PLAIN_USER)).unwrap();
    device
}

#[test]
fn row_77_a_file_or_a_folder_of_somebody_else() {
    let mut row = row(77);
    let device = TestDevice::wal_at(40)
        .firmware(41)
        .application(&["sql UPDATE parent SET reading = 7 WHERE id = 5"])
        .killed();
    let device = of_the_user(device);
    chown(device.home().join("settings.db-wal"), Some(0), Some(0)).unwrap();
    row.boot(&device);
    let device = of_the_user(TestDevice::at(40).firmware(41));
    chown(device.home(), Some(0), Some(0)).unwrap();
    row.boot(&device);
    row.whole();
}
