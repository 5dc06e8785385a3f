//! Owns the tests of what a run costs: bytes read and written, system calls, descriptors.
//! Promises: counts alone, of the kernel's own account of the process; a database is large enough
//! that a small cache does not hold it.
//! Never a time, and never a share of one.

use crate::device::{TestDevice, HOME};
use crate::mount::Mount;
use crate::program::{finish, RunResult};
use crate::quiet::traced;
use rusqlite::Connection;
use rustix::process::{waitid, Pid, WaitId, WaitIdOptions};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// What the kernel has counted for one run.
struct Cost {
    ran: RunResult,
    read: u64,
    written: u64,
}

/// Runs the program; its account is read when it has ended and before it is forgotten.
#[track_caller]
fn cost(device: &TestDevice, arguments: &[&str]) -> Cost {
    let child = device.command(&device.words(arguments)).spawn().unwrap();
    let pid = Pid::from_child(&child);
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    let account = fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap();
    let number = |key: &str| {
        account.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().parse().unwrap()
    };
    let (read, written) = (number("rchar:"), number("wchar:"));
    Cost { ran: RunResult::from(child.wait_with_output().unwrap()), read, written }
}

/// Bytes that a run may read and write beside those of the database.
const OWN_BYTES: u64 = 1 << 20;

const LARGE: &str = "CREATE TABLE large (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, pad TEXT);
CREATE INDEX large_a ON large (a);
CREATE INDEX large_b ON large (b);
";

/// A device with 8 MiB in `large`, whose indexes are in another order than its rows.
fn large() -> TestDevice {
    with_rows(45_000, 100)
}

/// The same with this many rows, this many bytes wide beside what is indexed.
fn with_rows(rows: u32, width: u32) -> TestDevice {
    let device = TestDevice::at(40).file(("V41__large.sql", LARGE));
    assert_eq!(device.run(&["run"]).exit, "0");
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {rows})
         INSERT INTO large SELECT i, (i * 7919) % 1000003, hex((i * 104729) % 1000003), \
         printf('%0{width}d', i) FROM n"
    );
    Connection::open(device.main()).unwrap().execute_batch(&sql).unwrap();
    assert!(size(&device.main()) > 7 << 20);
    device
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

/// The folders of state with the record are four (seven syncs), the operation is begun and ended,
/// the file is synced, and its name is taken, each durable before the next.
#[test]
fn a_first_boot_syncs_thirteen_times_whatever_it_applies() {
    for migrations in [1, 40] {
        let device = TestDevice::empty(migrations);
        let (ran, calls) = traced(&device);
        assert!(ran.exit == "0" && ran.stderr.contains("created at version"), "{}", ran.stderr);
        let syncs: Vec<&String> = calls
            .iter()
            .filter(|call| call.starts_with("fsync(") || call.starts_with("fdatasync("))
            .collect();
        assert_eq!(syncs.len(), 13, "with {migrations}: {syncs:#?}");
    }
}

/// One read to copy it, and one to check it; what is checked before the commit is in the cache.
#[test]
fn an_upgrade_reads_the_file_twice() {
    let device = large()
        .file(("V42__more.sql", "ALTER TABLE large ADD COLUMN c INTEGER NOT NULL DEFAULT 0;\n"));
    let bytes = size(&device.main());
    let cost = cost(&device, &["run"]);
    assert!(
        cost.ran.exit == "0" && cost.ran.stderr.contains("migrated from 41 to 42"),
        "{}",
        cost.ran.stderr
    );
    assert!(cost.read <= 2 * bytes + OWN_BYTES, "{} bytes were read of {bytes}", cost.read);
    assert!(
        cost.written <= bytes + OWN_BYTES,
        "{} bytes were written for a snapshot of {bytes}",
        cost.written
    );
}

/// Once to see that the copy is good, once to copy it, and once to verify what was made.
#[test]
fn a_restore_reads_the_copy_three_times() {
    let device = large();
    assert_eq!(device.run(&["snapshot", "create"]).exit, "0");
    let bytes = size(&device.main());
    let cost = cost(&device, &["snapshot", "restore", "v41-2", "--db", "settings", "--yes"]);
    assert!(
        cost.ran.exit == "11" && cost.ran.stderr.contains("restored from a snapshot"),
        "{}",
        cost.ran.stderr
    );
    assert!(cost.read <= 3 * bytes + OWN_BYTES, "{} bytes were read of {bytes}", cost.read);
    assert!(cost.written <= bytes + OWN_BYTES, "{} bytes were written of {bytes}", cost.written);
}

/// Every page of it is looked at once by itself; a seek for every entry of an index is what the
/// limit forbids.
#[test]
fn a_restore_obeys_the_limit_of_checks() {
    let device = large();
    assert_eq!(device.run(&["snapshot", "create"]).exit, "0");
    let device = device.key("quick_check_max_mib = 4").top("memory_mib = 24");
    let bytes = size(&device.main());
    let cost = cost(&device, &["snapshot", "restore", "v41-2", "--db", "settings", "--yes"]);
    assert!(
        cost.ran.exit == "11" && cost.ran.stderr.contains("restored from a snapshot"),
        "{}",
        cost.ran.stderr
    );
    assert!(cost.read <= 2 * bytes + OWN_BYTES, "{} bytes were read of {bytes}", cost.read);
}

/// A page in the middle of the rows is damaged; the cache holds a third of the file.
fn with_a_damaged_page() -> TestDevice {
    let device = with_rows(300_000, 20).top("memory_mib = 16").key("snapshot = \"never\"");
    let sql =
        "SELECT pageno FROM dbstat WHERE name = 'large' AND pagetype = 'leaf' LIMIT 1 OFFSET 1000";
    let page: i64 =
        Connection::open(device.main()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap();
    let mut file = fs::read(device.main()).unwrap();
    let at = usize::try_from(page - 1).unwrap() * 4096;
    file[at..at + 64].fill(0xff);
    fs::write(device.main(), file).unwrap();
    device.file(("V42__more.sql", "ALTER TABLE large ADD COLUMN c INTEGER NOT NULL DEFAULT 0;\n"))
}

#[track_caller]
fn salvaged(ran: &RunResult) {
    let lost = "of large are in an index and no longer in the table";
    assert!(ran.exit == "11" && ran.stderr.contains(lost), "{}: {}", ran.exit, ran.stderr);
}

#[test]
fn a_salvage_writes_each_row_once() {
    let device = with_a_damaged_page();
    let bytes = size(&device.main());
    let cost = cost(&device, &["run"]);
    salvaged(&cost.ran);
    // The file, and indexes once more: they are sorted in a temporary file, where there is no
    // memory for them.
    assert!(cost.written <= bytes + bytes / 2, "{} bytes were written of {bytes}", cost.written);
}

/// SQLite's temporary files lie beside the first database of the configuration.
#[test]
fn a_salvage_needs_no_room_on_another_partition() {
    let device = with_a_damaged_page();
    let small = device.root().join("small");
    fs::create_dir(&small).unwrap();
    let _mount = Mount::tmpfs(&small, 512);
    let configuration = device.firmware_folder().join("bootmigrate.toml");
    let text = fs::read_to_string(&configuration).unwrap();
    let first = "[databases.alarms]\npath = \"/small/alarms.db\"\n\n[databases.settings]";
    fs::write(configuration, text.replacen("[databases.settings]", first, 1)).unwrap();
    fs::create_dir(device.firmware_folder().join("alarms")).unwrap();
    let device = device
        .file_of("alarms", ("V1__alarm.sql", "CREATE TABLE alarm (id INTEGER PRIMARY KEY);\n"));
    salvaged(&device.run(&["run"]));
}

/// A device with this many databases of one migration each.
pub fn many(databases: usize) -> TestDevice {
    let device = TestDevice::empty(10);
    let mut text = String::new();
    for number in 0..databases {
        let folder = device.firmware_folder().join(format!("d{number}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("V1__a.sql"), "CREATE TABLE a (b);\n").unwrap();
        writeln!(text, "[databases.d{number}]\npath = \"/{HOME}/d{number}.db\"").unwrap();
    }
    fs::remove_dir_all(device.firmware_folder().join("settings")).unwrap();
    fs::write(device.firmware_folder().join("bootmigrate.toml"), text).unwrap();
    device
}

/// System calls of a quiet boot, as strace counts them.
fn calls(device: &TestDevice) -> u64 {
    let mut words: Vec<OsString> = ["strace", "-f", "-c", "-o"].map(OsString::from).into();
    let summary = device.folder().join("summary.log");
    words.push(summary.clone().into());
    words.extend(device.words(&["run"]));
    let ran = finish(device.command(&words));
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let text = fs::read_to_string(summary).unwrap();
    let total = text.lines().find(|line| line.ends_with(" total")).unwrap();
    // Share, seconds, microseconds a call, calls, and errors where there are any.
    total.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
fn each_further_database_costs_the_same_calls() {
    let [few, more, most] = [10, 40, 70].map(|databases| {
        let device = many(databases);
        assert_eq!(device.run(&["run"]).exit, "0");
        assert!(device.run(&["run"]).stderr.contains("nothing to do"));
        calls(&device)
    });
    // Within a few: a list of more names is read in more parts.
    assert!((most - more).abs_diff(more - few) <= 30, "{few}, {more}, {most}");
}

#[test]
fn more_databases_than_descriptors_are_booted() {
    let device = many(100);
    assert_eq!(device.run(&["run"]).exit, "0");
    let mut words: Vec<OsString> =
        ["sh", "-c", "ulimit -n 40 && exec \"$@\"", "sh"].map(OsString::from).into();
    words.extend(device.words(&["run"]));
    let ran = finish(device.command(&words));
    assert!(ran.exit == "0" && ran.stderr.contains("nothing to do"), "{}", ran.stderr);
}
