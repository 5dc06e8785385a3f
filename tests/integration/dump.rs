//! Owns the dump of one run: what was planned, how it ended, what stands there now, what was
//! touched, what comes next.
//! Promises: one checker for every test; a line `wrong:` for everything that no run may do.
//! Never judges by the program's own words where a file can be looked at.

use crate::device::{Database, Expectations, TestDevice};
use crate::oracle::{self, Content};
use crate::program::RunResult;
use expect_test::Expect;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// One run, and everything around it.
pub struct Operation {
    /// How it ended.
    pub ran: RunResult,
    /// `status.json`; null where it is missing or is no JSON.
    pub report: Value,
    /// What it touched outside `run/`.
    pub touched: String,
    before: Vec<Before>,
}

struct Before {
    expected: Expectations,
    owner: (u32, u32, u32),
    files: BTreeMap<String, Vec<u8>>,
}

/// The situation, a run in one line, and its dump. The run is a command line; `--root` is put in.
#[track_caller]
pub fn check(device: TestDevice, operation: &str, expect: Expect) {
    let dump = dump(&device, operation);
    expect.assert_eq(&dump);
}

/// As [`check`], for a situation that goes on.
#[track_caller]
pub fn check_op(device: &TestDevice, operation: &str, expect: Expect) {
    expect.assert_eq(&dump(device, operation));
}

/// The dump of one run.
#[track_caller]
pub fn dump(device: &TestDevice, operation: &str) -> String {
    let words: Vec<&str> = operation.split(' ').collect();
    let plan = (words == ["run"]).then(|| plan(device));
    let operation = perform(device, &words);
    let mut text = String::new();
    if let Some(plan) = plan {
        let _ = writeln!(text, "plan:     {plan}");
    }
    let _ = writeln!(text, "exit:     {}", operation.ran.exit);
    for (database, before) in device.databases.iter().zip(&operation.before) {
        text.push_str(&lines_of(device, database, before, &operation));
    }
    let _ = writeln!(text, "touched:  {}", operation.touched);
    let _ = writeln!(text, "again:    {}", again(device));
    for wrong in wrong(device, &operation) {
        let _ = writeln!(text, "wrong:    {wrong}");
    }
    text
}

/// What `plan` prints, the databases' lines alone; it must touch nothing.
#[track_caller]
fn plan(device: &TestDevice) -> String {
    let before = oracle::folder(&device.root());
    let ran = device.run(&["plan"]);
    let touched = oracle::touched(&before, &oracle::folder(&device.root()));
    let mut lines: Vec<String> = ran.stdout.lines().map(|line| tidy(device, line)).collect();
    if touched != "nothing" {
        lines.push(format!("(plan touched: {touched})"));
    }
    lines.join("\n          ")
}

/// A sentence without what differs from machine to machine.
pub fn tidy(device: &TestDevice, text: &str) -> String {
    let text = text.replace(&*device.root().to_string_lossy(), "ROOT");
    match device.application.as_ref().map(|application| application.id().to_string()) {
        Some(id) => text.replace(&id, "PID"),
        None => text,
    }
}

/// Runs it once, and looks before and after.
#[track_caller]
pub fn perform(device: &TestDevice, words: &[&str]) -> Operation {
    let before = device.databases.iter().map(|database| look(device, database)).collect();
    let report = device.root().join("run/bootmigrate/status.json");
    let _ = fs::remove_file(&report);
    let old = oracle::folder(&device.root());
    let ran = device.run(words);
    let touched = oracle::touched(&old, &oracle::folder(&device.root()));
    let report = fs::read_to_string(&report).ok().and_then(|text| serde_json::from_str(&text).ok());
    Operation { ran, report: report.unwrap_or(Value::Null), touched, before }
}

fn look(device: &TestDevice, database: &Database) -> Before {
    let path = device.path(&database.name);
    let data = fs::metadata(&path)
        .or_else(|_| fs::metadata(device.home()))
        .or_else(|_| fs::metadata(device.root()))
        .unwrap();
    let owner = (data.uid(), data.gid(), if path.exists() { data.mode() & 0o7777 } else { 0o640 });
    Before { expected: device.expectations(database), owner, files: files(&path) }
}

/// The bytes of the files that matter, by their ending.
fn files(main: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    ["", "-wal", "-journal"]
        .into_iter()
        .filter_map(|side| Some((side.to_string(), fs::read(oracle::beside(main, side)).ok()?)))
        .filter(|(side, bytes)| side.is_empty() || bytes.first().is_some_and(|first| *first != 0))
        .collect()
}

impl Operation {
    /// A database's part of the report.
    pub fn of(&self, name: &str) -> &Value {
        let databases = self.report["databases"].as_array();
        databases.and_then(|all| all.iter().find(|one| one["name"] == name)).unwrap_or(&Value::Null)
    }
}

fn lines_of(
    device: &TestDevice,
    database: &Database,
    before: &Before,
    operation: &Operation,
) -> String {
    let (name, part) = (&database.name, operation.of(&database.name));
    let mut text = format!("{:<10}", format!("{name}:"));
    if part.is_null() {
        text.push_str("no report\n");
    } else {
        let _ = write!(
            text,
            "{} {}>{} of {}",
            word(&part["outcome"]),
            part["from"],
            part["version"],
            part["target"]
        );
        let _ = write!(text, ", applied {}", part["applied"]);
        for (fact, said) in [("data_loss", "data lost"), ("reduced", "reduced")] {
            text.push_str(if part[fact] == true { ", " } else { "" });
            text.push_str(if part[fact] == true { said } else { "" });
        }
        let _ = writeln!(
            text,
            ", {}usable, exit {}",
            if part["usable"] == true { "" } else { "not " },
            part["exit"]
        );
        let _ = writeln!(text, "code:     {}", word(&part["code"]));
        backup_line(device, database, before, part, &mut text);
    }
    let now = oracle::content(&device.path(name));
    let _ = writeln!(text, "database: {}", which(&before.expected, &now));
    text
}

fn backup_line(
    device: &TestDevice,
    database: &Database,
    before: &Before,
    part: &Value,
    text: &mut String,
) {
    let state = device.state(&database.name);
    if let Some(backup) = part["backup"].as_str().filter(|backup| *backup != "none") {
        let now = oracle::content(&state.join(backup));
        let _ = writeln!(text, "backup:   {backup} {}", which(&before.expected, &now));
    }
    if let Some(quarantine) = part["quarantine"].as_str() {
        let aside = state.join(quarantine);
        let same = files(&aside.join(format!("{}.db", database.name))) == before.files;
        let reason = aside.join("reason.txt").exists();
        let _ = write!(
            text,
            "kept:     {quarantine} {}",
            if same { "the old files" } else { "NOT the old files" }
        );
        let _ = writeln!(text, "{}", if reason { ", with a reason" } else { ", WITHOUT a reason" });
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("missing")
}

/// Which of the contents that this database may have it has.
pub fn which(expected: &Expectations, now: &Result<Content, String>) -> String {
    let now = match now {
        Ok(now) => now,
        Err(error) => return error.clone(),
    };
    let same = |other: &Option<Content>| other.as_ref() == Some(now);
    let count = |table: &str| now.rows.get(table).map_or("no".to_string(), u64::to_string);
    let rows = format!("{} parents, {} children", count("parent"), count("child"));
    match (same(&expected.old), same(&expected.new), same(&expected.fresh)) {
        (true, ..) => format!("old, {rows}"),
        (_, true, _) => format!("new, {rows}"),
        (_, _, true) => format!("fresh, {rows}"),
        _ => format!("OTHER, {rows}"),
    }
}

/// The boot after the run: how it ends and what it touches.
fn again(device: &TestDevice) -> String {
    let operation = perform(device, &["run"]);
    let outcomes: Vec<&str> =
        device.databases.iter().map(|one| word(&operation.of(&one.name)["outcome"])).collect();
    format!(
        "exit {}, {}, touched {}",
        operation.ran.exit,
        outcomes.join(" and "),
        operation.touched
    )
}

/// What no run may do.
fn wrong(device: &TestDevice, operation: &Operation) -> Vec<String> {
    let mut found = Vec::new();
    let report = &operation.report;
    if report.is_null() {
        found.push("there is no status.json, or it is no JSON".to_string());
        return found;
    }
    let usable = ["0", "11"].contains(&operation.ran.exit.as_str());
    let exit: Value = operation.ran.exit.parse::<u64>().map_or(Value::Null, Value::from);
    if report["schema"] != 1 || report["exit"] != exit || report["usable"] != usable {
        found.push(format!("status.json says {} and usable {}", report["exit"], report["usable"]));
    }
    if report["data_loss"] != (operation.ran.exit == "11") && usable {
        found
            .push(format!("data_loss is {} with exit {}", report["data_loss"], operation.ran.exit));
    }
    for (database, before) in device.databases.iter().zip(&operation.before) {
        wrong_with(device, database, before, operation, &mut found);
    }
    found
}

fn wrong_with(
    device: &TestDevice,
    database: &Database,
    before: &Before,
    operation: &Operation,
    found: &mut Vec<String>,
) {
    let (name, part, path) =
        (&database.name, operation.of(&database.name), device.path(&database.name));
    let ready = device.root().join("run/bootmigrate/ready").join(name).exists();
    if ready != (part["usable"] == true) {
        found.push(format!(
            "{name}: the ready file is {}",
            if ready { "there" } else { "not there" }
        ));
    }
    let said = |key: &str| operation.ran.stderr.contains(part[key].as_str().unwrap_or("\0"));
    if part["outcome"] != "quiet" && !(said("sentence") && said("code")) {
        found.push(format!("{name}: standard error does not have the report's sentence and code"));
    }
    if part["usable"] == true && !["compatible", "skipped"].contains(&word(&part["outcome"])) {
        let folder = device.catalogue_folder();
        found.extend(
            oracle::complaints(&path, &folder, name).iter().map(|wrong| format!("{name}: {wrong}")),
        );
        let data = fs::metadata(&path).unwrap();
        let owner = (data.uid(), data.gid(), data.mode() & 0o7777);
        if owner != before.owner || data.nlink() != 1 {
            found.push(format!(
                "{name}: owner and mode {owner:?}, were {:?}; {} links",
                before.owner,
                data.nlink()
            ));
        }
    }
    for leftover in leftovers(device, name) {
        found.push(format!("{name}: left over: {leftover}"));
    }
}

/// Names in the state folder that no finished run leaves behind.
fn leftovers(device: &TestDevice, name: &str) -> Vec<String> {
    let state = device.state(name);
    let known = |file: &str| ["lock", "record", "snapshots", "quarantine"].contains(&file);
    let names = |folder: &std::path::Path| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    };
    let mut found: Vec<String> = names(&state).into_iter().filter(|file| !known(file)).collect();
    found.extend(
        names(&state.join("snapshots"))
            .into_iter()
            .filter(|file| !file.starts_with('v') || !file.ends_with(".db")),
    );
    found.sort();
    found
}
