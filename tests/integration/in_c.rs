//! Owns the tests of an application in C, `examples/waits_until_ready.c`, which knows nothing of
//! bootmigrate but its ready file.
//! Promises: compiled by the test with the machine's `cc`; what it opens is seen by its system
//! calls.
//! Never waits for a time: the application waits, and is ended where nothing will come.

use crate::device::TestDevice;
use crate::oracle;
use crate::program::{finish, RunResult};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// As long as a test may take at all.
const PATIENCE_S: &str = "120";
/// What it says where its ready file is not there (`EX_TEMPFAIL`).
const NOT_READY: &str = "75";

/// Compiles it into the test's folder.
#[track_caller]
fn compiled(device: &TestDevice) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/waits_until_ready.c");
    let program = device.folder().join("waits_until_ready");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu99", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(source)
        .arg("-lsqlite3");
    cc.stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = finish(cc);
    assert_eq!(ran.exit, "0", "cc, with the headers of SQLite (libsqlite3-dev): {}", ran.stderr);
    program
}

fn words(device: &TestDevice, program: &Path, patience: Option<&str>) -> Command {
    let mut command = Command::new(program);
    command.arg(device.root().join("run/bootmigrate/ready/settings")).arg(device.main());
    command.arg("SELECT count(*) || ' children, ' || sum(changes) FROM child").args(patience);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end; also whether it has named the database in any system call.
fn traced(device: &TestDevice, program: &Path) -> (RunResult, bool) {
    let log = device.folder().join("application.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=file", "-o"]).arg(&log).arg(program);
    command.args(words(device, program, None).get_args());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = finish(command);
    let calls = fs::read_to_string(&log)
        .unwrap_or_else(|error| panic!("strace left no log ({error}): {}", ran.stderr));
    assert!(calls.contains("bootmigrate/ready/settings"), "it looks for its ready file: {calls}");
    // Its own command line names the database too.
    let opens = calls.lines().any(|line| line.contains("settings.db") && !line.contains("execve("));
    (ran, opens)
}

#[test]
fn an_application_in_c_opens_nothing_before_the_boot_and_reads_its_rows_after_it() {
    let device = TestDevice::at(30).firmware(40);
    let program = compiled(&device);
    let (ran, opens) = traced(&device, &program);
    assert_eq!(
        (ran.exit.as_str(), ran.stdout.as_str(), opens),
        (NOT_READY, "", false),
        "{}",
        ran.stderr
    );
    let want = device.expectations(&device.databases[0]).new;
    assert_eq!(device.run(&["run"]).exit, "0");
    let (ran, opens) = traced(&device, &program);
    // V40 made the column: the application sees the schema that it was built for, and every row.
    assert_eq!(
        (ran.exit.as_str(), ran.stdout.as_str(), opens),
        ("0", "2000 children, 0\n", true),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::content(&device.main()).ok(), want);
}

#[test]
fn an_application_in_c_waits_for_the_boot() {
    let device = TestDevice::at(30).firmware(40);
    let mut waits = words(&device, &compiled(&device), Some(PATIENCE_S)).spawn().unwrap();
    let ran = device.run(&["run"]);
    if !device.root().join("run/bootmigrate/ready/settings").exists() {
        waits.kill().unwrap();
    }
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let application = RunResult::from(waits.wait_with_output().unwrap());
    assert_eq!(
        (application.exit.as_str(), application.stdout.as_str()),
        ("0", "2000 children, 0\n"),
        "{}",
        application.stderr
    );
}

#[test]
fn an_application_in_c_stays_away_from_a_migration_that_failed() {
    let bad = (
        "V40__stamp.sql",
        "ALTER TABLE child ADD COLUMN changes INTEGER;\nINSERT INTO child (id) SELECT id FROM \
         child;\n",
    );
    let device = TestDevice::at(30).firmware(40).file(bad);
    let program = compiled(&device);
    let old = oracle::content(&device.main()).unwrap();
    // A ready file of the boot before: it goes first.
    let ready = device.root().join("run/bootmigrate/ready");
    fs::create_dir_all(&ready).unwrap();
    fs::write(ready.join("settings"), "").unwrap();
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "10", "{}", ran.stderr);
    let (ran, opens) = traced(&device, &program);
    assert_eq!(
        (ran.exit.as_str(), ran.stdout.as_str(), opens),
        (NOT_READY, "", false),
        "{}",
        ran.stderr
    );
    assert_eq!(oracle::content(&device.main()).unwrap(), old);
    assert_eq!((old.rows["parent"], old.rows["child"]), (2000, 2000));
}

/// The program that docs/manual.md shows, with the test's places for the device's.
#[track_caller]
fn of_the_manual(device: &TestDevice) -> PathBuf {
    let manual =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manual.md")).unwrap();
    let text = manual.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(
        text.contains("/run/bootmigrate/ready/settings") && text.lines().count() <= 25,
        "{text}"
    );
    let root = device.root().display().to_string();
    let here = text
        .replace("\"/run/", &format!("\"{root}/run/"))
        .replace("\"/var/", &format!("\"{root}/var/"));
    // What its own work would be.
    let work = "sqlite3_exec(database, \"DELETE FROM child WHERE id > 1500\", NULL, NULL, NULL);";
    assert!(here.contains("/* ... */"), "{here}");
    let (source, program) = (device.folder().join("manual.c"), device.folder().join("manual"));
    fs::write(&source, here.replace("/* ... */", work)).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(source)
        .arg("-lsqlite3");
    cc.stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = finish(cc);
    assert_eq!(ran.exit, "0", "cc, with the headers of SQLite (libsqlite3-dev): {}", ran.stderr);
    program
}

#[test]
fn the_program_in_the_manual_opens_its_database_when_its_ready_file_is_there() {
    let device = TestDevice::at(30).firmware(40);
    let program = of_the_manual(&device);
    let ran = || {
        let mut command = Command::new(&program);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command)
    };
    let before = oracle::content(&device.main());
    let not_ready = ran();
    assert_eq!(
        (not_ready.exit.as_str(), not_ready.stderr.as_str()),
        (NOT_READY, "settings is not ready: `bootmigrate status` says why\n")
    );
    assert_eq!(oracle::content(&device.main()), before);
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(oracle::content(&device.main()).unwrap().rows["child"], 2000);
    assert_eq!(ran().exit, "0");
    let after = oracle::content(&device.main()).unwrap();
    assert_eq!((after.rows["parent"], after.rows["child"]), (2000, 1500));
    // Its next boot is quiet.
    let folder = oracle::folder(&device.root());
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(oracle::touched(&folder, &oracle::folder(&device.root())), "nothing");
}
