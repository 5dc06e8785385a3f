//! Owns the tests of a failure that is kept: why the last try failed, after the tries are used up
//! and across boots.
//! Promises: each command and each format is asked; what is kept ends with a success, whoever
//! brings it.
//! Never reads the record itself.

use crate::device::TestDevice;
use crate::product::BROKEN;
use serde_json::Value;
use std::fs;

const CAUSE: &str =
    "settings/V41__x.sql:12:5: no such column: nowhere (SQLite 1), in statement 4 of 5";
const CODE: &str = "BM-10 settings 40>41 V41:12";

/// A device whose firmware 2.0 has used up its tries, and that was switched off and on since.
fn used_up() -> TestDevice {
    let device = TestDevice::at(40).firmware(40).file(BROKEN);
    fs::create_dir_all(device.root().join("etc")).unwrap();
    fs::write(device.root().join("etc/os-release"), "IMAGE_VERSION=\"2.0\"\n").unwrap();
    for _ in 0..3 {
        assert_eq!(device.run(&["run"]).exit, "10");
    }
    fs::remove_dir_all(device.root().join("run/bootmigrate")).unwrap();
    device
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[track_caller]
fn looked(device: &TestDevice, words: &[&str]) -> Value {
    let ran = device.run(words);
    serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|error| panic!("{words:?}: {error}: {}{}", ran.stdout, ran.stderr))
}

#[track_caller]
fn kept(failure: &Value) {
    assert_eq!(failure["code"], CODE, "{failure}");
    assert_eq!(failure["cause"], "migration-failed");
    assert_eq!(failure["sentence"], CAUSE);
    assert_eq!(
        failure["place"],
        serde_json::json!({"file": "settings/V41__x.sql", "version": 41, "line": 12, "column": 5})
    );
    assert_eq!(
        (&failure["from"], &failure["target"], &failure["firmware"]),
        (&40.into(), &41.into(), &"2.0".into())
    );
}

#[test]
fn the_boot_that_does_not_try_any_more_says_why() {
    let device = used_up();
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "19");
    says(
        &ran.stderr,
        &[
            "this firmware's migrations failed 3 times, the last time with: ",
            CAUSE,
            "[BM-19 settings 40>41]",
        ],
    );
    let report: Value = serde_json::from_str(
        &fs::read_to_string(device.root().join("run/bootmigrate/status.json")).unwrap(),
    )
    .unwrap();
    kept(&report["databases"][0]["last_failure"]);
}

#[test]
fn whoever_looks_is_told_why() {
    let device = used_up();
    says(
        &device.run(&["status"]).stdout,
        &[&format!("failure     {CAUSE}, firmware 2.0 [{CODE}]")],
    );
    says(
        &device.run(&["plan"]).stdout,
        &[&format!("last failure: {CAUSE}, firmware 2.0 [{CODE}]")],
    );
    says(
        &device.run(&["doctor"]).stdout,
        &[&format!("failure     {CAUSE}, firmware 2.0 [{CODE}]")],
    );
    says(
        &device.run(&["status", "--format", "mender"]).stdout,
        &[&format!("bootmigrate_settings_last_failure={CAUSE}")],
    );
    says(&device.run(&["rehearse"]).stdout, &[CAUSE]);
    kept(&looked(&device, &["status", "--json"])["databases"][0]["last_failure"]);
    kept(&looked(&device, &["plan", "--json"])["databases"][0]["last_failure"]);
    let bundle = looked(&device, &["bundle", "-"]);
    kept(&bundle["status"]["databases"][0]["last_failure"]);
    let metrics = device.run(&["status", "--format", "prometheus"]).stdout;
    let read =
        prometheus_parse::Scrape::parse(metrics.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let sample = read
        .samples
        .iter()
        .find(|sample| sample.metric == "bootmigrate_last_failure_info")
        .expect(&metrics);
    let labels = [
        ("code", CODE),
        ("cause", "migration-failed"),
        ("place", "settings/V41__x.sql:12:5"),
        ("firmware", "2.0"),
    ];
    labels
        .iter()
        .for_each(|(label, value)| assert_eq!(sample.labels.get(label), Some(*value), "{label}"));
    says(&metrics, &[&format!("sentence=\"{CAUSE}\"")]);
}

/// Nothing tells of a failure any more.
#[track_caller]
fn forgotten(device: &TestDevice) {
    for words in [&["status"][..], &["plan"], &["doctor"], &["status", "--format", "prometheus"]] {
        let ran = device.run(words);
        assert!(
            !ran.stdout.contains("no such column")
                && !ran.stdout.contains("bootmigrate_last_failure_info{"),
            "{words:?}: {}",
            ran.stdout
        );
    }
    assert_eq!(looked(device, &["status", "--json"])["databases"][0]["last_failure"], Value::Null);
}

#[test]
fn a_success_ends_it() {
    let device = used_up().without(BROKEN.0).firmware(42);
    assert_eq!(device.run(&["run"]).exit, "0");
    forgotten(&device);
}

#[test]
fn a_purge_ends_it() {
    let device = used_up().without(BROKEN.0).firmware(42);
    assert_eq!(device.run(&["purge", "--db", "settings", "--yes"]).exit, "11");
    forgotten(&device);
}

#[test]
fn a_file_that_a_person_brings_ends_it() {
    let device =
        used_up().without(BROKEN.0).firmware(40).file(("V41__x.sql", "CREATE TABLE x (a);\n"));
    let other = TestDevice::at(40).firmware(40).file(("V41__x.sql", "CREATE TABLE x (a);\n"));
    assert_eq!(other.run(&["run"]).exit, "0");
    fs::copy(other.main(), device.main()).unwrap();
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(looked(&other, &["status", "--json"])["databases"][0]["version"], 41);
    // It is the other firmware's failure still, and nothing has been migrated here since.
    says(&device.run(&["status"]).stdout, &["version     41 of 41", CAUSE]);
    let again = device.firmware(42);
    assert_eq!(again.run(&["run"]).exit, "21");
}

#[test]
fn the_other_slot_is_told_whose_failure_it_is() {
    let device = used_up().without(BROKEN.0);
    fs::write(device.root().join("etc/os-release"), "IMAGE_VERSION=\"1.0\"\n").unwrap();
    let ran = device.run(&["run"]);
    assert_eq!(
        (ran.exit.as_str(), ran.stderr.contains("at version 40, nothing to do")),
        ("0", true),
        "{}",
        ran.stderr
    );
    says(
        &device.run(&["status"]).stdout,
        &["version     40 of 40", "ready       yes", &format!("{CAUSE}, firmware 2.0 [{CODE}]")],
    );
}

#[test]
fn a_failed_expectation_is_kept_without_its_row() {
    let expect = "-- bootmigrate: expect = SELECT 'row ' || (id * 7919) FROM parent WHERE id = \
                  5\nSELECT 1;\n";
    let device =
        TestDevice::at(40).firmware(42).file(("V43__expect.sql", expect)).key("show_rows = true");
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "10");
    says(
        &ran.stderr,
        &["`expect` must return no row and returned one, and a row has: 'row 39595'"],
    );
    says(
        &device.run(&["status"]).stdout,
        &["`expect` must return no row and returned one, and a row has: (content of a row, left out; see show_rows) [BM-10 settings 40>43 V43:1]"],
    );
    let record = fs::read(device.state("settings").join("record")).unwrap();
    let all =
        format!("{}{}", device.run(&["bundle", "-"]).stdout, String::from_utf8_lossy(&record));
    assert!(
        all.contains("a row has: (content of a row, left out") && !all.contains("row 39595"),
        "a row is in the bundle or in the record"
    );
}

#[test]
fn what_is_kept_has_an_end_and_no_line_of_its_own() {
    let long = "é".repeat(3000);
    let sql = format!("SELECT RAISE_NO(1);\n-- {long}\n");
    let broken = format!(
        "CREATE TABLE \"{long}\n<0>kernel: forged\"(a);\nCREATE TABLE \"{long}\n<0>kernel: \
         forged\"(a);\n{sql}"
    );
    let device = TestDevice::at(40).firmware(40).file(("V41__x.sql", &broken));
    for exit in ["10", "10", "10", "19"] {
        assert_eq!(device.run(&["run"]).exit, exit);
    }
    let ran = device.run(&["status"]);
    says(&ran.stdout, &["settings/V41__x.sql:3:", "ééé"]);
    let failure = ran.stdout.lines().find(|line| line.starts_with("  failure")).unwrap();
    assert!(failure.len() < 1000 && failure.ends_with("[BM-10 settings 40>41 V41:3]"), "{failure}");
}
