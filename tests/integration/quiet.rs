//! Owns the tests of what a quiet boot costs: system calls, and nothing that reaches storage.
//! Promises: counts alone, of what the run does after the program's start and its configuration;
//! without the questions that a development build asks about each descriptor before it closes it.
//! Never a time.

use crate::costs::many;
use crate::device::{Mode, TestDevice};
use crate::program::{finish, RunResult};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;

/// Memory is the allocator's; the rest is what std asks in a development build.
const NOT_COUNTED: [&str; 6] = ["brk(", "mmap(", "munmap(", "mremap(", "mprotect(", "madvise("];
/// Calls that can change what is on disk.
const WRITE_LIKE: [&str; 14] = [
    "write(",
    "pwrite64(",
    "ftruncate(",
    "fallocate(",
    "fsync(",
    "fdatasync(",
    "rename",
    "unlink",
    "link",
    "mkdir",
    "fchmod(",
    "fchown(",
    "utimensat(",
    "copy_file_range(",
];

/// The system calls of a run, each as strace shows it, from the signals on, which come after the
/// configuration.
#[track_caller]
fn calls(device: &TestDevice) -> Vec<String> {
    let (ran, calls) = traced(device);
    assert!(ran.exit == "0" && ran.stderr.contains("nothing to do"), "{}", ran.stderr);
    calls
}

pub fn traced(device: &TestDevice) -> (RunResult, Vec<String>) {
    let log = device.folder().join("quiet.log");
    fs::write(&log, "").unwrap();
    chown(&log, device.user, device.user).unwrap();
    let mut words: Vec<OsString> = ["strace", "-f", "-y", "-qq", "-o"].map(OsString::from).into();
    words.push(log.clone().into());
    words.extend(device.words(&["run"]));
    let ran = finish(device.command(&words));
    let text = fs::read_to_string(log).unwrap();
    let of_the_run = text.lines().skip_while(|line| !line.contains("rt_sigaction(SIGTERM"));
    let shown =
        of_the_run.filter_map(|line| line.split_once(' ').map(|(_, call)| call.trim_start()));
    let counted = |call: &&str| {
        !call.starts_with("---")
            && !call.contains("F_GETFD")
            && !NOT_COUNTED.iter().any(|name| call.starts_with(name))
    };
    let calls = shown.filter(counted).map(str::to_owned).collect();
    (ran, calls)
}

/// Those that can change what is on storage. `/run` is memory, and standard output and error are
/// somebody's who asked.
fn writes(device: &TestDevice, calls: &[String]) -> Vec<String> {
    let run = device.root().join("run").display().to_string();
    let spoken = |call: &String| call.starts_with("write(1<") || call.starts_with("write(2<");
    let can = |call: &&String| {
        WRITE_LIKE.iter().any(|name| call.starts_with(name)) || call.contains("O_CREAT")
    };
    calls
        .iter()
        .filter(|call| can(call) && !call.contains(&run) && !spoken(call))
        .cloned()
        .collect()
}

fn without_reads(calls: &[String]) -> usize {
    calls.iter().filter(|call| !call.starts_with("pread64(")).count()
}

/// A device whose history is this long, after the boots that make it and note that there is data.
fn with_migrations(migrations: usize) -> TestDevice {
    let device = TestDevice::empty(10);
    let folder = device.firmware_folder().join("settings");
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("V1__a.sql"), "CREATE TABLE a (b INTEGER);\n").unwrap();
    for version in 2..=migrations {
        fs::write(
            folder.join(format!("V{version}__more.sql")),
            format!("INSERT INTO a VALUES ({version});\n"),
        )
        .unwrap();
    }
    booted(device)
}

fn with_databases(databases: usize) -> TestDevice {
    booted(many(databases))
}

#[track_caller]
fn booted(device: TestDevice) -> TestDevice {
    for _ in 0..2 {
        let ran = device.run(&["run"]);
        assert_eq!(ran.exit, "0", "{}", ran.stderr);
    }
    device
}

#[test]
fn a_quiet_boot_makes_few_system_calls() {
    let device = with_migrations(14);
    let by_root = calls(&device);
    assert!(by_root.len() <= 84, "{} calls:\n{}", by_root.len(), by_root.join("\n"));
    let mut device = device.home_of(1000);
    for path in [
        "",
        ".bootmigrate",
        ".bootmigrate/settings.db",
        ".bootmigrate/settings.db/lock",
        ".bootmigrate/settings.db/record",
    ]
    .into_iter()
    .chain([".bootmigrate/settings.db/snapshots", ".bootmigrate/settings.db/quarantine"])
    {
        chown(device.home().join(path), Some(1000), Some(1000)).unwrap();
    }
    for path in ["run", "run/bootmigrate", "run/bootmigrate/ready"] {
        chown(device.root().join(path), Some(1000), Some(1000)).unwrap();
    }
    device.user = Some(1000);
    let by_owner = calls(&device);
    assert!(by_owner.len() <= 84, "{} calls:\n{}", by_owner.len(), by_owner.join("\n"));
}

#[test]
fn each_further_database_makes_few_system_calls() {
    let [few, more] = [10, 40].map(|databases| calls(&with_databases(databases)).len());
    assert!(more - few <= 30 * 56, "{few}, {more}: {} each", (more - few) / 30);
}

/// SQLite reads more pages where there are more rows.
#[test]
fn a_longer_history_makes_no_more_system_calls() {
    let [short, long] =
        [10, 1_000].map(|migrations| without_reads(&calls(&with_migrations(migrations))));
    assert_eq!(short, long);
}

#[test]
fn a_quiet_boot_writes_nothing_to_storage() {
    let device = with_migrations(14);
    let writes = writes(&device, &calls(&device));
    assert!(writes.iter().all(|call| call.contains("/lock")), "{writes:#?}");
}

/// To ask a database in WAL mode whether it can go along makes its WAL: nobody is asked where one
/// refuses already.
#[test]
fn a_group_of_which_one_refuses_writes_nothing_to_storage() {
    let device =
        TestDevice::at(40).together_with_log(40, Mode::Wal).with_telemetry(40).firmware(42);
    let device = device.file_of("telemetry", ("V43__broken.sql", "CREATE TABLE parent (a);\n"));
    fs::create_dir_all(device.root().join("etc")).unwrap();
    let together = "[databases.telemetry]\nkind = \"precious\"\ngroup = \"core\"\n";
    fs::write(device.root().join("etc/bootmigrate.toml"), together).unwrap();
    for _ in 0..3 {
        assert_eq!(device.run(&["run"]).exit, "10");
    }
    assert_eq!(device.run(&["run"]).exit, "19");
    let (ran, calls) = traced(&device);
    assert!(ran.exit == "19" && ran.stderr.contains("[BM-3 log 40>42]"), "{}", ran.stderr);
    let writes = writes(&device, &calls);
    assert!(writes.iter().all(|call| call.contains("/lock")), "{writes:#?}");
}

/// What is tried at every boot, writes and fails.
fn nothing_more_is_tried(device: &TestDevice, exit: &str) {
    for _ in 0..4 {
        device.run(&["run"]);
    }
    let (ran, calls) = traced(device);
    assert_eq!(ran.exit, exit, "{}", ran.stderr);
    let writes = writes(device, &calls);
    assert!(writes.iter().all(|call| call.contains("/lock")), "{}{writes:#?}", ran.stderr);
}

#[test]
fn a_lost_database_that_cannot_be_made_again_is_not_tried_for_ever() {
    let device = TestDevice::booted_at(42)
        .firmware(43)
        .file(("V44__broken.sql", "CREATE TABLE parent (a);\n"));
    fs::remove_file(device.main()).unwrap();
    nothing_more_is_tried(&device, "19");
    // Other firmware makes it.
    let device = device.without("V44__broken.sql");
    assert_eq!(device.run(&["run"]).exit, "11");
}

#[test]
fn a_damaged_database_is_not_copied_for_a_migration_at_each_boot() {
    let device = TestDevice::booted_at(42).key("on_damage = []");
    let device = device.file(("V43__vacuum.sql", "-- bootmigrate: no-transaction\nVACUUM;\n"));
    let mut bytes = fs::read(device.main()).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    fs::write(device.main(), bytes).unwrap();
    nothing_more_is_tried(&device, "17");
}
