//! Owns the tests of what would take for ever, or all of the memory: a statement without an end, a
//! history of millions of rows.
//! Promises: a stop signal ends every statement and every wait; a time limit counts as a failure;
//! memory has a bound that holds.
//! Never measures time: what would never end has ended.

use crate::device::TestDevice;
use crate::oracle::{self, Content};
use crate::program::{finish, RunResult};
use crate::strace::{calls, stopped_after};
use rusqlite::Connection;
use rustix::fs::{flock, FlockOperation};
use rustix::process::{kill_process, Pid, Signal};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";

/// Every place in a migration where a statement may run for ever.
fn endless() -> [(&'static str, String); 4] {
    [
        ("V41__query.sql", format!("CREATE TABLE more (a);\n{ENDLESS};\n")),
        (
            "V41__insert.sql",
            "CREATE TABLE more (a);\nWITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM \
             n) INSERT INTO more SELECT i FROM n WHERE i < 0;\n"
                .into(),
        ),
        (
            "V41__expect.sql",
            format!("-- bootmigrate: expect = {ENDLESS}\nCREATE TABLE more (a);\n"),
        ),
        ("V41__alone.sql", format!("-- bootmigrate: no-transaction\n{ENDLESS};\n")),
    ]
}

/// A program that would rebuild has run the endless statement itself by then: it is told from ours
/// first.
#[track_caller]
fn leaves_a_current_database_alone() {
    let device = TestDevice::at(40).firmware(40);
    let old = oracle::content(&device.main()).unwrap();
    let ran = device.run(&["run"]);
    assert!(ran.stderr.contains("at version 40, nothing to do"), "{}", ran.stderr);
    assert_eq!(oracle::content(&device.main()).unwrap(), old);
}

#[test]
fn a_statement_that_is_given_time_fails_after_it() {
    leaves_a_current_database_alone();
    for (name, sql) in &endless()[..] {
        let device =
            TestDevice::booted_at(40).firmware(40).file((name, sql)).key("statement_timeout_s = 1");
        let old = oracle::content(&device.main()).unwrap();
        // Counted as any failure of a migration.
        let exits = if name.contains("query") { &["10", "10", "10", "19"][..] } else { &["10"] };
        for exit in exits {
            let ran = device.run(&["run"]);
            let said = ran
                .stderr
                .contains("the statement took longer than statement_timeout_s = 1 allows");
            assert!(
                ran.exit == *exit && (said || *exit == "19"),
                "{name}: exit {}: {}",
                ran.exit,
                ran.stderr
            );
            assert!(!ran.stderr.contains("damaged"), "{name}: {}", ran.stderr);
            assert_eq!(oracle::content(&device.main()).unwrap(), old, "{name}");
        }
        // The time is each statement's own, and none where it is not asked for.
        let device = device.without(name).firmware(41);
        let ran = device.run(&["run", "--retry"]);
        assert!(
            ran.exit == "0" && ran.stderr.contains("migrated from 40 to 41"),
            "{name}: exit {}: {}",
            ran.exit,
            ran.stderr
        );
    }
}

fn told_to_stop(device: &TestDevice) -> RunResult {
    told_to_stop_in(device, "applying settings/V41")
}

/// Runs until the log says that the migration is applied, which then never ends by itself, and asks
/// it to stop.
fn told_to_stop_in(device: &TestDevice, applying: &str) -> RunResult {
    let mut child = device.command(&device.words(&["run", "-v"])).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains(applying) {
        assert!(log.read_line(&mut text).unwrap() > 0, "it has ended: {text}");
    }
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), Signal::TERM).unwrap();
    let rest = std::thread::spawn(move || {
        log.read_to_string(&mut text).unwrap();
        text
    });
    let ran = RunResult::from(child.wait_with_output().unwrap());
    RunResult { stderr: rest.join().unwrap(), ..ran }
}

/// The run was ended by the signal, with the old rows; without the file the next boot goes on.
#[track_caller]
fn goes_on_without(device: TestDevice, name: &str, ran: &RunResult, old: &Content, version: i32) {
    assert!(
        ran.exit == "20" && ran.stderr.contains("Next: the next boot goes on"),
        "{name}: exit {}: {}",
        ran.exit,
        ran.stderr
    );
    assert_eq!(oracle::content(&device.main()).unwrap(), *old, "{name}");
    let next = version + 1;
    let device = device.without(name).firmware(next);
    let ran = device.run(&["run"]);
    assert!(
        ran.exit == "0" && ran.stderr.contains(&format!("migrated from {version} to {next}")),
        "{name}: exit {}: {}",
        ran.exit,
        ran.stderr
    );
}

#[test]
fn a_statement_without_an_end_obeys_a_stop_signal() {
    leaves_a_current_database_alone();
    for (name, sql) in &endless()[..] {
        let device = TestDevice::booted_at(40).firmware(40).file((name, sql));
        let old = oracle::content(&device.main()).unwrap();
        let ran = told_to_stop(&device);
        goes_on_without(device, name, &ran, &old, 40);
    }
}

/// A call of a function that takes hours: SQLite compares the second text with each place of the
/// first.
const ONE_CALL: &str = "instr(hex(zeroblob(60000000)), hex(zeroblob(30000000)) || '1')";

/// Such a call is no statement with an end: nothing asks SQLite meanwhile.
#[test]
fn a_single_call_of_hours_obeys_a_stop_signal() {
    leaves_a_current_database_alone();
    for (name, sql) in [
        ("V42__query.sql", format!("SELECT {ONE_CALL};\n")),
        (
            "V42__expect.sql",
            format!("-- bootmigrate: expect = SELECT 1 WHERE {ONE_CALL}\nSELECT 1;\n"),
        ),
        (
            "V42__alone.sql",
            format!("-- bootmigrate: no-transaction\nVACUUM;\nSELECT {ONE_CALL};\n"),
        ),
        ("V42__index.sql", format!("CREATE INDEX i ON parent (id + {ONE_CALL});\n")),
        (
            "V42__like.sql",
            "SELECT hex(zeroblob(90000000)) LIKE '%' || hex(zeroblob(24990)) || '1%';\n".into(),
        ),
    ] {
        let device = TestDevice::booted_at(40).firmware(41);
        assert_eq!(device.run(&["run"]).exit, "0");
        let device = device.file((name, &sql));
        let old = oracle::content(&device.main()).unwrap();
        let ran = told_to_stop_in(&device, "applying settings/V42");
        goes_on_without(device, name, &ran, &old, 41);
    }
}

/// A database of plain refinery is compared with what the next migration makes of an empty one,
/// before a try is counted: that comes to an end by itself, so that a device whose watchdog resets
/// it counts the tries.
#[test]
fn a_look_comes_to_an_end() {
    let (name, sql) = &endless()[0];
    let device = TestDevice::at(40).firmware(40).file((name, sql));
    let ran = device.run(&["status"]);
    assert!(
        ran.exit == "0" && ran.stdout.contains("V41 query"),
        "exit {}: {}{}",
        ran.exit,
        ran.stdout,
        ran.stderr
    );
    assert_eq!(told_to_stop(&device).exit, "20");
}

/// Another bootmigrate keeps the lock, or an application the database, for longer than anybody
/// would wait.
#[test]
fn a_wait_obeys_a_stop_signal() {
    let device = TestDevice::booted_at(40).firmware(41).key("busy_timeout_s = 300");
    let old = oracle::content(&device.main()).unwrap();
    let template = tempfile::tempdir().unwrap();
    crate::device::copy_tree(&device.home(), template.path());
    let (all, _) = calls(&device, &["run"]);
    let lock =
        all.into_iter().find(|call| call.line.contains("/lock\"")).expect("the lock is opened");
    fs::remove_dir_all(device.home()).unwrap();
    fs::create_dir_all(device.home()).unwrap();
    crate::device::copy_tree(template.path(), &device.home());
    let stop = |device: &TestDevice| {
        stopped_after(device, &["run"], &lock, |pid| kill_process(pid, Signal::TERM).unwrap())
    };
    let held = File::open(device.state("settings").join("lock")).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    let ran = stop(&device);
    assert!(
        ran.exit == "20" && ran.stderr.contains("a stop signal came"),
        "lock: exit {}: {}",
        ran.exit,
        ran.stderr
    );
    drop(held);
    let mut device = device.application(&["sql BEGIN IMMEDIATE"]);
    let ran = stop(&device);
    assert!(
        ran.exit == "20" && ran.stderr.contains("a stop signal came"),
        "database: exit {}: {}",
        ran.exit,
        ran.stderr
    );
    device.application = None;
    assert_eq!(oracle::content(&device.main()).unwrap(), old);
    device.migrates(40, 41);
}

/// In this much address space, in KiB: the program's own, and not one of the values below.
const ADDRESS_SPACE_KIB: u32 = 120_000;

#[track_caller]
fn bounded(device: &TestDevice, arguments: &[&str]) -> RunResult {
    let script = format!("ulimit -v {ADDRESS_SPACE_KIB} && exec \"$@\"");
    let mut words: Vec<OsString> = ["sh", "-c", &script, "sh"].map(OsString::from).into();
    words.extend(device.words(arguments));
    finish(device.command(&words))
}

#[test]
fn a_history_of_any_size_costs_no_memory() {
    let row = "UPDATE refinery_schema_history SET";
    let long = "printf('%.*c', 150000000, 'x')";
    let malformed = "row 1 has no whole version, name and checksum";
    for (sql, exit, words) in [
        (format!("{row} name = {long} WHERE version = 10"), "21", malformed),
        (format!("{row} checksum = {long} WHERE version = 10"), "21", malformed),
        (
            format!("{row} applied_on = {long} WHERE version = 10"),
            "21",
            "row 1 has a date that refinery cannot read",
        ),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n LIMIT 1500000)
             INSERT INTO refinery_schema_history SELECT i, 'a long enough name', \
             '2020-01-01T00:00:00Z', '1' FROM n"
                .into(),
            "21",
            "it has more than 20000 rows",
        ),
        (format!("UPDATE bootmigrate_steps SET down_sql = {long}"), "0", "migrated from 41 to 42"),
        (
            format!("UPDATE bootmigrate_steps SET firmware = {long}, irreversible = 0"),
            "0",
            "migrated from 41 to 42",
        ),
        (
            format!("CREATE TABLE large (a); INSERT INTO large VALUES ({long})"),
            "0",
            "migrated from 41 to 42",
        ),
    ] {
        let device = TestDevice::booted_at(40).firmware(41);
        assert_eq!(device.run(&["run"]).exit, "0");
        let device = device.firmware(42);
        Connection::open(device.main()).unwrap().execute_batch(&sql).unwrap();
        for command in ["status", "run"] {
            let ran = bounded(&device, &[command]);
            let (exit, words) = if command == "run" { (exit, words) } else { ("0", "settings") };
            let text = format!("{}{}", ran.stdout, ran.stderr);
            assert!(
                ran.exit == exit && text.contains(words),
                "{command}: {sql}: exit {}: {text}",
                ran.exit
            );
        }
    }
}

/// A migration that needs more than it may have: said, with the key; nothing is counted, and with
/// more it works.
#[test]
fn a_migration_has_the_memory_that_is_configured() {
    let sql = "CREATE TABLE more (a);\nINSERT INTO more SELECT \
               length(replace(hex(zeroblob(20000000)), '0', 'ab'));\n";
    let device =
        TestDevice::at(40).firmware(40).file(("V41__large.sql", sql)).top("memory_mib = 32");
    let old = oracle::content(&device.main()).unwrap();
    for _ in 0..4 {
        let ran = device.run(&["run"]);
        let said =
            ran.stderr.contains("out of memory, of which SQLite may have memory_mib (SQLite 7)");
        assert!(ran.exit == "15" && said, "exit {}: {}", ran.exit, ran.stderr);
        assert_eq!(oracle::content(&device.main()).unwrap(), old);
    }
    fs::create_dir_all(device.root().join("etc")).unwrap();
    fs::write(device.root().join("etc/bootmigrate.toml"), "memory_mib = 512\n").unwrap();
    device.migrates(40, 41);
}

/// A view that reads the one below it as `body` says, and so on.
fn tree(body: &str, levels: u32) -> String {
    let level = |level: u32| {
        format!("CREATE VIEW v{level} AS {};", body.replace('#', &(level - 1).to_string()))
    };
    format!("CREATE VIEW v0 AS SELECT 1 AS x; {}", (1..levels).map(level).collect::<String>())
}

/// Common table expressions of which each reads the one before it twice.
fn nested() -> String {
    let level =
        |level: u32| format!(", c{level}(x) AS (SELECT a.x FROM c{0} a, c{0} b)", level - 1);
    format!("WITH c0(x) AS (SELECT 1) {} SELECT x FROM c39", (1..40).map(level).collect::<String>())
}

const TWICE: &str = "SELECT a.x + b.x AS x FROM v# a, v# b";

/// SQLite compiles what a view reads as often as it is written, without an end in sight, and cannot
/// be stopped meanwhile.
#[test]
fn views_that_no_sqlite_can_compile_are_not_compiled() {
    let nested = nested();
    let light = format!(
        "{} CREATE TRIGGER r AFTER UPDATE ON parent BEGIN SELECT count(*) FROM v5; END",
        tree(TWICE, 6)
    );
    for (schema, words) in [
        (tree(TWICE, 60), "view v8 reads views, and those others, 511 times over"),
        (
            tree("SELECT x FROM v#", 2_000),
            "view v500 reads views, and those others, 501 times over",
        ),
        (format!("CREATE VIEW v AS {nested}"), "view v reads views, and those others, "),
        (
            format!(
                "CREATE TRIGGER r AFTER UPDATE ON parent BEGIN DELETE FROM child WHERE id IN \
                 ({nested}); END"
            ),
            "trigger r reads views",
        ),
        (light, ""),
    ] {
        let device = TestDevice::booted_at(40).firmware(41);
        Connection::open(device.main())
            .unwrap()
            .execute_batch(&format!("BEGIN; {schema}; COMMIT"))
            .unwrap();
        let before = oracle::folder(&device.home());
        for command in [["doctor"].as_slice(), &["run"], &["plan"]] {
            let ran = device.run(command);
            let said = format!("{}{}", ran.stdout, ran.stderr);
            if command == ["run"] {
                let wanted =
                    if words.is_empty() { ("0", "migrated from 40 to 41") } else { ("21", words) };
                assert!(
                    ran.exit == wanted.0 && said.contains(wanted.1),
                    "exit {}: {said}\nwanted {wanted:?}",
                    ran.exit
                );
            }
        }
        assert!(
            words.is_empty()
                || oracle::touched(&before, &oracle::folder(&device.home())) == "nothing",
            "{words}"
        );
        // The firmware that made it still boots it.
        let ran = device.firmware(40).run(&["run"]);
        assert!(words.is_empty() == (ran.exit != "0"), "exit {}: {}", ran.exit, ran.stderr);
    }
}

#[test]
fn no_migration_makes_what_no_sqlite_can_compile() {
    let text = format!("{}\nSELECT x FROM v59;\n", tree(TWICE, 60));
    let nested = nested();
    for (text, words) in [
        (text.as_str(), "view v8 reads views"),
        (nested.as_str(), "its common table expressions read each other"),
    ] {
        let device = TestDevice::booted_at(40).firmware(40).file(("V41__heavy.sql", text));
        let old = oracle::content(&device.main()).unwrap();
        let ran = device.run(&["run"]);
        assert!(
            ran.exit == "10" && ran.stderr.contains(words),
            "exit {}: {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(oracle::content(&device.main()).unwrap(), old);
    }
}
