//! Owns the tests of what is printed: hostile names never make a line or a command of their own,
//! and an answer arrives or is missed.
//! Promises: every kind of text that is not ours is given such a name, and every command that could
//! print it is asked.
//! Never reads what the program does with such a name inside.

use crate::device::TestDevice;
use rusqlite::Connection;
use serde_json::Value;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::process::{Command, Stdio};

/// A line of the journal with the gravest priority, a terminal's command in seven bits and in
/// eight, and text that runs backwards.
const HOSTILE: &str = "x\n<0>kernel: forged\r\u{1b}[2J\u{9b}31m\u{202e}\u{2028}y";
/// The same on a line.
const SHOWN: &str = "x\\n<0>kernel: forged\\r\\x1b[2J\\u{9b}31m\\u{202e}\\u{2028}y";

/// Nothing but printable lines; every one of them is ours.
#[track_caller]
fn printable(what: &str, text: &str) {
    let bad =
        text.chars().find(|c| c.is_control() && *c != '\n' || matches!(c, '\u{202e}' | '\u{2028}'));
    assert_eq!(bad, None, "{what}: {text:?}");
    let forged = text.lines().find(|line| line.starts_with("<0>") || line.starts_with("kernel"));
    assert_eq!(forged, None, "{what}: {text:?}");
}

/// Every command that looks, and then these; the whole of what they printed and wrote.
#[track_caller]
fn all_of(device: &TestDevice, words: &[&[&str]]) -> String {
    let looks: [&[&str]; 10] = [
        &["status"],
        &["status", "--json"],
        &["status", "--format", "prometheus"],
        &["status", "--format", "mender"],
        &["plan"],
        &["doctor", "--full"],
        &["doctor", "--json"],
        &["rehearse", "-vv"],
        &["snapshot", "verify"],
        &["bundle", "-"],
    ];
    let mut all = String::new();
    for words in words.iter().copied().chain(looks) {
        let ran = device.run(words);
        printable(&format!("{words:?}, standard output"), &ran.stdout);
        printable(&format!("{words:?}, standard error"), &ran.stderr);
        all.push_str(&format!("{}{}", ran.stdout, ran.stderr));
        let report = fs::read_to_string(device.root().join("run/bootmigrate/status.json"))
            .unwrap_or_default();
        printable(&format!("{words:?}, status.json"), &report);
        all.push_str(&report);
    }
    all
}

fn in_the_journal(device: TestDevice) -> TestDevice {
    device.environment("JOURNAL_STREAM", "8:1")
}

/// The page of a table is overwritten: what can be read of it is salvaged, and the rest named.
fn harm(device: &TestDevice, table: &str) {
    let connection = Connection::open(device.main()).unwrap();
    let page: i64 = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0))
        .unwrap();
    let size: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    drop(connection);
    let mut file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    file.seek(SeekFrom::Start(((page - 1) * size) as u64)).unwrap();
    file.write_all(&[0xff; 100]).unwrap();
}

fn execute(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_table_a_column_an_index_and_a_trigger_of_a_damaged_file() {
    let device = in_the_journal(TestDevice::at(40).firmware(42));
    let sql = format!(
        "CREATE TABLE \"{HOSTILE}\"(\"{HOSTILE}\" TEXT); INSERT INTO \"{HOSTILE}\" VALUES \
         ('{HOSTILE}');
         CREATE INDEX \"i{HOSTILE}\" ON \"{HOSTILE}\"(\"{HOSTILE}\");
         CREATE TRIGGER \"t{HOSTILE}\" AFTER DELETE ON \"{HOSTILE}\" BEGIN SELECT 1; END;"
    );
    execute(&device, &sql);
    harm(&device, HOSTILE);
    let all = all_of(&device, &[&["run", "-vv", "--purge-and-retry"], &["run", "--json"]]);
    assert!(all.contains(SHOWN), "the table is named nowhere: {all}");
    let quarantine = fs::read_dir(device.state("settings").join("quarantine"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let reason = fs::read_to_string(quarantine.join("reason.txt")).unwrap();
    printable("reason.txt", &reason);
    assert_eq!(reason.lines().count(), 3, "{reason:?}");
}

#[test]
fn rows_of_a_history_and_versions_of_another_tool() {
    let device = in_the_journal(TestDevice::at(40).firmware(42));
    execute(
        &device,
        &format!("UPDATE refinery_schema_history SET name = '{HOSTILE}' WHERE version = 30"),
    );
    let all = all_of(&device, &[&["run", "-vv"]]);
    assert!(all.contains(SHOWN), "the row is named nowhere: {all}");
    let device = in_the_journal(TestDevice::at(40).firmware(42));
    execute(
        &device,
        &format!("UPDATE refinery_schema_history SET version = '{HOSTILE}' WHERE version = 40"),
    );
    all_of(&device, &[&["run", "-vv"]]);
}

#[test]
fn values_in_the_way_of_a_migration() {
    let expect = "-- bootmigrate: expect = SELECT badge FROM parent WHERE typeof(badge) = \
                  'text'\nSELECT 1;\n";
    let device = in_the_journal(TestDevice::at(40).firmware(42).file(("V43__expect.sql", expect)))
        .key("show_rows = true");
    execute(&device, &format!("UPDATE parent SET badge = '{HOSTILE}' WHERE id = 1"));
    let all = all_of(&device, &[&["run", "-vv"], &["run"], &["run"], &["run"]]);
    assert!(all.contains("and a row has: '"), "{all}");
    let raise =
        "CREATE TABLE z(a);\nCREATE TRIGGER z1 AFTER INSERT ON z BEGIN SELECT RAISE(ABORT, \
         'x\n<0>kernel: forged'); END;\nINSERT INTO z VALUES (1);\n";
    let device = in_the_journal(TestDevice::at(40).firmware(42).file(("V43__raise.sql", raise)));
    let all = all_of(&device, &[&["run", "-vv"]]);
    assert!(all.contains("x\\n<0>kernel: forged"), "{all}");
}

#[test]
fn names_of_files_configuration_and_words_of_a_person() {
    let device = in_the_journal(TestDevice::at(40).firmware(42));
    fs::create_dir_all(device.root().join("etc")).unwrap();
    fs::write(device.root().join("etc/os-release"), "IMAGE_VERSION=\"1\u{1b}[2J\u{202e}\"\n")
        .unwrap();
    fs::write(device.root().join("etc/machine-id"), "\u{9b}31m\n").unwrap();
    fs::write(
        device.root().join("etc/bootmigrate.toml"),
        "\"key\\n<0>kernel: forged\\u001b[2J\" = 1\n",
    )
    .unwrap();
    let all = all_of(
        &device,
        &[
            &["run", "-vv"],
            &["run", HOSTILE],
            &["run", "--db", HOSTILE],
            &["--config", HOSTILE],
            &[HOSTILE],
        ],
    );
    assert!(all.contains("key\\n<0>kernel: forged\\u{1b}[2J"), "the key is named nowhere: {all}");
    fs::write(device.root().join("etc/bootmigrate.toml"), "mode = \"x\\n<0>kernel: forged\"\n")
        .unwrap();
    all_of(&device, &[&["run", "-vv"]]);
    fs::write(
        device.root().join("etc/bootmigrate.toml"),
        "mode \u{1b}[2J = \r\n<0>kernel: forged\n",
    )
    .unwrap();
    all_of(&device, &[&["run", "-vv"]]);
    fs::remove_file(device.root().join("etc/bootmigrate.toml")).unwrap();
    let restore = ["snapshot", "restore", HOSTILE, "--db", "settings", "--yes"];
    let all = all_of(&device, &[&restore, &["bundle", &format!("{HOSTILE}/b")]]);
    assert!(all.contains(SHOWN), "the file is named nowhere: {all}");
}

#[test]
fn a_name_is_cut_before_a_journal_would_cut_it() {
    let long = format!("{}\n<0>kernel: forged", "x".repeat(200_000));
    let device = in_the_journal(TestDevice::at(40).firmware(42));
    execute(&device, &format!("CREATE TABLE \"{long}\"(a); INSERT INTO \"{long}\" VALUES (1);"));
    harm(&device, &long);
    let ran = device.run(&["run", "-vv", "--purge-and-retry"]);
    assert_eq!(ran.exit, "11", "{}", &ran.stderr[..2000]);
    assert!(
        ran.stderr.contains("bytes more)") && ran.stderr.lines().all(|line| line.len() < 20_000),
        "a line is too long"
    );
    assert!(
        ran.stderr.lines().all(|line| line.starts_with('<') && !line.starts_with("<0>")),
        "a line is not ours"
    );
}

#[test]
fn json_means_what_the_names_are() {
    let device = TestDevice::at(40).firmware(42);
    execute(
        &device,
        &format!("UPDATE refinery_schema_history SET name = '{HOSTILE}' WHERE version = 30"),
    );
    let status: Value = serde_json::from_str(&device.run(&["bundle", "-"]).stdout).unwrap();
    let history = status["databases"][0]["history"].as_array().unwrap();
    assert!(history.iter().any(|row| row.as_str().unwrap().contains(HOSTILE)), "{history:?}");
}

/// Runs with its standard output, and perhaps its standard error, on this device.
#[track_caller]
fn into(
    device: &TestDevice,
    words: &[&str],
    stdout: &str,
    stderr: Option<&str>,
) -> (Option<i32>, String) {
    let open = |path: &str| {
        fs::OpenOptions::new()
            .write(!path.ends_with("/null"))
            .read(path.ends_with("/null"))
            .open(path)
            .unwrap()
    };
    let mut command: Command = device.command(&device.words(words));
    command
        .stdout(open(stdout))
        .stderr(stderr.map_or_else(Stdio::piped, |path| Stdio::from(open(path))));
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn an_answer_that_does_not_arrive_is_no_success() {
    let device = TestDevice::booted_at(42);
    let answers: [&[&str]; 20] = [
        &["status"],
        &["status", "--json"],
        &["status", "--format", "prometheus"],
        &["status", "--format", "mender"],
        &["plan"],
        &["plan", "--json"],
        &["plan", "--sql"],
        &["doctor"],
        &["doctor", "--full"],
        &["doctor", "--json"],
        &["bundle", "-"],
        &["snapshot", "list"],
        &["snapshot", "verify"],
        &["data", "status"],
        &["data", "status", "--json"],
        &["rehearse"],
        &["help"],
        &["help", "run"],
        &["--help"],
        &["--version"],
    ];
    for words in answers {
        let (exit, told) = into(&device, words, "/dev/full", None);
        assert_eq!(exit, Some(15), "{words:?}: {told}");
        let missed = "bootmigrate: standard output took no answer: No space left on device (os \
                      error 28). [BM-15]\n";
        assert!(told.ends_with(missed), "{words:?}: {told}");
        // Opened for reading alone.
        assert_eq!(into(&device, words, "/dev/null", None).0, Some(15), "{words:?}");
        assert_eq!(into(&device, words, "/dev/full", Some("/dev/full")).0, Some(15), "{words:?}");
        // A pipe whose reader has gone.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = device
            .command(&device.words(words))
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(15),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn what_was_done_stands_whoever_hears_of_it() {
    for words in [&["run"][..], &["run", "--json"], &["run", "-vv"], &["migrate", "--all"]] {
        let device = TestDevice::at(40).firmware(42);
        assert_eq!(into(&device, words, "/dev/full", Some("/dev/full")).0, Some(0), "{words:?}");
        let ready =
            fs::read_to_string(device.root().join("run/bootmigrate/ready/settings")).unwrap();
        assert!(ready.starts_with("42\n"), "{words:?}: {ready}");
        assert_eq!(into(&device, &["ready", "--db", "settings"], "/dev/full", None).0, Some(0));
        assert_eq!(into(&device, &["mark-good"], "/dev/full", Some("/dev/full")).0, Some(0));
    }
    let (exit, told) = into(&TestDevice::booted_at(42), &["run", "--json"], "/dev/full", None);
    assert_eq!(exit, Some(0));
    assert!(
        told.contains("standard output took no answer") && told.contains("what was done stands"),
        "{told}"
    );
}

#[test]
fn mistakes_and_failures_keep_their_codes_where_nobody_hears_of_them() {
    let device = TestDevice::at(40).firmware(40).file(crate::product::BROKEN);
    assert_eq!(into(&device, &["run"], "/dev/full", Some("/dev/full")).0, Some(10));
    assert_eq!(into(&device, &["no-such-command"], "/dev/full", Some("/dev/full")).0, Some(2));
    assert_eq!(
        into(&device, &["status", "--exit-code"], "/dev/full", Some("/dev/full")).0,
        Some(3)
    );
}

#[test]
fn a_loss_that_nobody_was_told_of_is_told_by_the_next_run() {
    let device = TestDevice::at(40).firmware(42);
    assert_eq!(device.run(&["run"]).exit, "0");
    // Neither standard error nor the report on /run takes it.
    fs::remove_dir_all(device.root().join("run/bootmigrate")).unwrap();
    fs::write(device.root().join("run/bootmigrate"), "in the way").unwrap();
    let purge = ["purge", "--db", "settings", "--yes"];
    assert_eq!(into(&device, &purge, "/dev/full", Some("/dev/full")).0, Some(11));
    fs::remove_file(device.root().join("run/bootmigrate")).unwrap();
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "11", "{}", ran.stderr);
    assert!(
        ran.stderr.contains("an earlier run lost all rows of the old database"),
        "{}",
        ran.stderr
    );
    assert_eq!(device.run(&["run"]).exit, "0");
}
