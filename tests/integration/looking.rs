//! Owns the tests of commands that look: status and plan, on healthy, read-only and full file
//! systems.
//! Promises: nothing is created or changed, not even under `/run`; the plan printed is the plan
//! done.
//! Never runs anything between the look and the comparison.

use crate::device::TestDevice;
use crate::mount::Mount;
use crate::oracle;
use crate::product::{BROKEN, UNIQUE_BADGE};
use serde_json::Value;
use std::fs;

/// Looks in every way; each must leave every file and folder as it is, those under `/run` too.
#[track_caller]
fn looks(device: &TestDevice, exit: &str) {
    let run = || oracle::folder(&device.root().join("run"));
    let before = (oracle::folder(&device.root()), run());
    let lines: [(&[&str], &str); 6] = [
        (&["status"], "0"),
        (&["status", "--json"], "0"),
        (&["status", "--exit-code"], exit),
        (&["status", "--json", "--exit-code"], exit),
        (&["plan"], "0"),
        (&[], "0"),
    ];
    for (arguments, exit) in lines {
        let ran = device.run(arguments);
        assert_eq!(ran.exit, exit, "{arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stdout.contains("settings"),
            "{arguments:?} says nothing of settings: {}",
            ran.stdout
        );
        if arguments.contains(&"--json") {
            let value: Value = serde_json::from_str(&ran.stdout)
                .unwrap_or_else(|error| panic!("{error}: {}", ran.stdout));
            assert_eq!(value["databases"][0]["name"], "settings", "{value}");
        }
        assert_eq!(
            oracle::touched(&before.0, &oracle::folder(&device.root())),
            "nothing",
            "{arguments:?}"
        );
        assert_eq!(oracle::touched(&before.1, &run()), "nothing", "{arguments:?} under /run");
    }
}

#[test]
fn looking_at_an_empty_device_creates_nothing() {
    looks(&TestDevice::empty(41), "3");
}

#[test]
fn looking_at_a_healthy_device_creates_nothing() {
    looks(&TestDevice::at(41), "0");
    looks(&TestDevice::wal_at(41), "0");
    looks(&TestDevice::booted_at(41), "0");
}

#[test]
fn looking_at_pending_work_creates_nothing() {
    looks(&TestDevice::at(40).firmware(41), "3");
    looks(&TestDevice::wal_at(40).firmware(41), "3");
}

#[test]
fn looking_at_a_running_application_creates_nothing() {
    let device = TestDevice::at(40).application(&[]).firmware(41);
    looks(&device, "3");
}

#[test]
fn looking_on_a_read_only_file_system() {
    for version in [40, 41] {
        let device = TestDevice::at(version).firmware(41).on(|at, _| Mount::tmpfs(at, 8192));
        device.mount.as_ref().unwrap().read_only();
        looks(&device, if version == 40 { "15" } else { "0" });
    }
}

#[test]
fn looking_on_a_full_file_system() {
    for device in [TestDevice::at(40), TestDevice::wal_at(40)] {
        let device = device.firmware(41).on(|at, folder| Mount::ext4(at, folder, 8192));
        device.mount.as_ref().unwrap().fill();
        looks(&device, "3");
    }
}

#[test]
fn looking_beside_a_hot_journal_recovers_nothing() {
    let lines =
        ["sql PRAGMA cache_size = 2", "sql BEGIN", "sql UPDATE parent SET name = name || ' lost'"];
    let device = TestDevice::at(40).application(&lines).killed();
    let before = oracle::folder(&device.root());
    for arguments in [&["plan"][..], &["status"], &["status", "--json"]] {
        let ran = device.run(arguments);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("unknown until recovered"), "{arguments:?}: {said}");
        assert_eq!(
            oracle::touched(&before, &oracle::folder(&device.root())),
            "nothing",
            "{arguments:?}"
        );
    }
}

/// The report of one run, its part for `settings`.
fn outcome(device: &TestDevice) -> (String, Value) {
    let ran = device.run(&["run"]);
    let text =
        fs::read_to_string(device.root().join("run/bootmigrate/status.json")).unwrap_or_default();
    let report: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    (ran.exit, report["databases"][0].clone())
}

#[test]
fn the_plan_printed_is_the_plan_done() {
    // What a plan's line must say, and how the run that follows must end.
    let situations: [(TestDevice, &[&str], &str, &str); 8] = [
        (TestDevice::empty(41), &["41"], "created", "0"),
        (TestDevice::at(41), &["41"], "quiet", "0"),
        (TestDevice::at(40).firmware(41), &["40", "41", "V41"], "migrated", "0"),
        (TestDevice::at(20).firmware(42), &["20", "42", "V30", "V42"], "migrated", "0"),
        (TestDevice::at(41).firmware(50), &["41", "50", "V50"], "migrated", "0"),
        (TestDevice::at(42).firmware(40), &["42", "40"], "refused", "12"),
        (
            TestDevice::at(40).file(UNIQUE_BADGE).key("kind = \"rebuildable\""),
            &["40", "41"],
            "purged",
            "11",
        ),
        (TestDevice::at(40).file(BROKEN), &["40", "41"], "failed", "10"),
    ];
    for (device, words, want, exit) in situations {
        let plan = device.run(&["plan"]).stdout;
        let line = plan
            .lines()
            .find(|line| line.starts_with("settings:"))
            .unwrap_or_else(|| panic!("no line: {plan}"));
        for word in words {
            assert!(plan.contains(word), "{want}: {word:?} is not in: {plan}");
        }
        let ended = outcome(&device);
        assert_eq!(
            (ended.0.as_str(), ended.1["outcome"].as_str()),
            (exit, Some(want)),
            "planned: {line}; {}",
            ended.1
        );
        // Planned again after it was done: nothing is left, or the same refusal.
        let after = device.run(&["plan"]).stdout;
        let quiet = TestDevice::at(40).run(&["plan"]).stdout;
        let done = ["0", "11"].contains(&exit);
        assert_eq!(verb(&after) == verb(&quiet), done, "after {want}: {after}");
    }
}

/// The first word of a plan.
fn verb(plan: &str) -> Option<&str> {
    plan.lines().find_map(|line| line.strip_prefix("settings:"))?.split_whitespace().next()
}
