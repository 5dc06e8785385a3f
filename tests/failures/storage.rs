//! Owns the rows about storage that takes no writes, fails, or is not there; and about owners and /run.
//! Promises: the kernel refuses, or strace makes one call fail; nothing is pretended by the program.
//! Never accepts that a database is given up for it.

use crate::application::Application;
use crate::bench::Bench;
use crate::mount::{require_root, Mount};
use crate::program::{finish, Ran};
use crate::row::{first, row, twin, Before};
use crate::strace::{self, calls, Call};
use rustix::fs::{chmodat, AtFlags, Mode, CWD};
use std::fs;
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};

/// `nobody`, by number.
const USER: u32 = 65534;

fn on_a_read_only_mount(bench: Bench) -> Bench {
    let bench = bench.on(|at, _| Mount::tmpfs(at, 8192));
    bench.mount.as_ref().unwrap().read_only();
    bench
}

#[test]
fn row_14_read_only_file_system() {
    let mut row = row(14);
    row.boot(&on_a_read_only_mount(Bench::at(40).firmware(41)));
    row.boot(&on_a_read_only_mount(Bench::at(40)));
    row.whole();
}

/// The chosen call fails with EIO.
fn failing(bench: &Bench, choose: fn(&[Call]) -> &Call) -> Ran {
    let (all, _) = calls(&twin(bench), &["run"]);
    let call = choose(&all);
    let log = bench.folder().join("fail.log");
    let inject = format!("{}:error=EIO:when={}", call.name, call.nth);
    let ran = finish(bench.command(&strace::words(bench, &["run"], &log, Some(inject))));
    assert!(fs::read_to_string(log).unwrap().contains("(INJECTED)"), "{call:?} did not fail");
    ran
}

/// Every read of main after its header fails with EIO.
fn failing_reads(bench: &Bench) -> Ran {
    let log = bench.folder().join("fail.log");
    let mut words = strace::words(bench, &["run"], &log, Some("pread64:error=EIO:when=2+".into()));
    let trace = words.iter().position(|word| word.to_string_lossy().starts_with("trace=")).unwrap();
    words[trace] = "trace=pread64".into();
    words.splice(trace + 1..trace + 1, ["-P".into(), bench.main().into()]);
    finish(bench.command(&words))
}

#[test]
fn row_15_input_output_error() {
    let mut row = row(15);
    let booted = || Bench::booted_at(40).firmware(41);
    let ways: [fn(&[Call]) -> &Call; 3] = [
        |all| first(all, "fsync", &["snapshots/tmp-"]),
        |all| first(all, "pwrite64", &["gateway/settings.db>"]),
        |all| first(all, "fsync", &["gateway/settings.db-journal>"]),
    ];
    for choose in ways {
        let bench = booted();
        let before = Before::of(&bench);
        let ran = failing(&bench, choose);
        row.saw(&bench, before, "", &ran);
    }
    let bench = booted();
    let before = Before::of(&bench);
    let ran = failing_reads(&bench);
    row.saw(&bench, before, "", &ran);
    row.whole();
}

#[test]
fn row_23_wal_on_a_read_only_file_system() {
    let mut row = row(23);
    let lines = ["sql PRAGMA wal_autocheckpoint = 0", "sql UPDATE parent SET name = name || ' kept'"];
    let bench = Bench::wal_at(40).on(|at, _| Mount::tmpfs(at, 8192)).application(&lines).killed();
    bench.mount.as_ref().unwrap().read_only();
    row.boot(&bench);
    row.whole();
}

#[test]
fn row_36_state_folder_missing_or_unwritable() {
    let mut row = row(36);
    let bench = Bench::booted_at(40).firmware(41);
    fs::remove_dir_all(bench.home().join(".bootmigrate")).unwrap();
    row.boot(&bench);
    let bench = Bench::at(40).firmware(41);
    fs::write(bench.home().join(".bootmigrate"), "a file where the folder should be").unwrap();
    row.boot(&bench);
    row.whole();
}

#[test]
fn row_37_owners_and_modes() {
    require_root();
    let mut row = row(37);
    let mut bench = Bench::at(40).firmware(41);
    chown(bench.root().join("run"), Some(USER), Some(USER)).unwrap();
    fs::set_permissions(bench.main(), fs::Permissions::from_mode(0o600)).unwrap();
    bench.user = Some(USER);
    row.boot(&bench);
    let bench = Bench::at(42).firmware(50).home_of(USER);
    chmodat(CWD, bench.main(), Mode::from_bits_retain(0o600), AtFlags::empty()).unwrap();
    row.boot(&bench);
    let snapshot = bench.state("settings").join("snapshots/v42-1.db");
    for path in [bench.main(), snapshot] {
        let data = fs::metadata(path).unwrap();
        assert_eq!((data.uid(), data.gid(), data.mode() & 0o7777), (USER, USER, 0o600));
    }
    row.whole();
}

#[test]
fn row_40_mount_not_there() {
    let mut row = row(40);
    row.boot(&Bench::empty(41).without_root());
    row.whole();
}

#[test]
fn row_41_first_boot() {
    require_root();
    let mut row = row(41);
    let bench = Bench::empty(41).home_of(USER);
    row.boot(&bench);
    let mut application = Application::start(bench.folder(), Some(USER));
    application.expect_ok(&format!("open {}", bench.main().display()));
    application.expect_ok("sql INSERT INTO parent (name) VALUES ('by the application')");
    row.whole();
}

#[test]
fn row_56_no_run_folder() {
    let mut row = row(56);
    let bench = Bench::at(40).firmware(41);
    fs::remove_dir_all(bench.root().join("run")).unwrap();
    fs::write(bench.root().join("run"), "a file where /run should be").unwrap();
    row.boot(&bench);
    row.whole();
}

/// The database file alone is a mount; undone when dropped.
struct Bound(std::path::PathBuf);

impl Bound {
    fn main_of(bench: &Bench) -> Bound {
        require_root();
        let done = std::process::Command::new("mount").arg("--bind").arg(bench.main()).arg(bench.main()).status().unwrap();
        assert!(done.success(), "mount --bind");
        Bound(bench.main())
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
    for bench in [Bench::at(40).firmware(41), Bench::at(42).firmware(50)] {
        let bench = bench.on(|at, _| Mount::tmpfs(at, 8192)).without_root();
        let bound = Bound::main_of(&bench);
        row.boot(&bench);
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
        let bench = Bench::booted_at(40).firmware(41);
        let before = Before::of(&bench);
        let ran = failing(&bench, choose);
        row.saw(&bench, before, "", &ran);
        if way == 1 {
            // Without a reboot, and with one, of a container whose /run was kept.
            row.boot(&bench);
            fs::write(bench.root().join("run/bootmigrate/unconfirmed/settings"), "3c1f0a52-0000-4000-8000-000000000000").unwrap();
            row.boot(&bench);
        }
    }
    row.whole();
}

/// Who runs the program, and owns the folder; root's programs left the rest.
const PLAIN_USER: u32 = 1000;

fn of_the_user(bench: Bench) -> Bench {
    let mut bench = bench.home_of(PLAIN_USER);
    bench.user = Some(PLAIN_USER);
    chown(bench.root().join("run"), Some(PLAIN_USER), Some(PLAIN_USER)).unwrap();
    bench
}

#[test]
fn row_77_a_file_or_a_folder_of_somebody_else() {
    let mut row = row(77);
    let bench = Bench::wal_at(40).firmware(41).application(&["sql UPDATE parent SET reading = 7 WHERE id = 5"]).killed();
    let bench = of_the_user(bench);
    chown(bench.home().join("settings.db-wal"), Some(0), Some(0)).unwrap();
    row.boot(&bench);
    let bench = of_the_user(Bench::at(40).firmware(41));
    chown(bench.home(), Some(0), Some(0)).unwrap();
    row.boot(&bench);
    row.whole();
}
