//! Owns the comparison of what `rehearse` said with what each file is.
//! Promises: each database once, its kind and version right, and no row lost of one that is well.
//! Never judges times.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

/// Wrong ones that are printed.
const SHOWN_MAX: usize = 20;

/// What differs from run to run.
const MEASURED: [&str; 6] =
    ["duration_ms", "space_bytes", "memory_bytes", "written_bytes", "migrations", "predicted_ms"];

/// Prints the counts, or what is wrong.
pub fn judge(truth: &Path, lines: &Path) -> ExitCode {
    let (truth, found) = (read(truth), read(lines));
    let mut wrong: Vec<String> = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (file, known) in &truth {
        let Some(record) = found.get(file) else {
            wrong.push(format!("{file}: it was not rehearsed"));
            continue;
        };
        let kind = known["kind"].as_str().unwrap();
        *counts.entry(kind.to_owned()).or_default() += 1;
        let versions = ["well", "newer"].contains(&kind);
        let kept = record["rows_lost"] == 0
            && record["second_run"].is_null()
            && record["faults"].as_array().is_some_and(Vec::is_empty);
        if record["kind"] != kind
            || (versions && record["from"] != known["from"])
            || (kind == "well" && !kept)
        {
            wrong.push(format!("{file}: {known}, and it was said: {record}"));
        }
    }
    let strange = found.keys().filter(|file| !truth.contains_key(*file));
    wrong.extend(strange.map(|file| format!("{file}: it is no field database")));
    wrong.iter().take(SHOWN_MAX).for_each(|line| println!("{line}"));
    let counts: Vec<String> =
        counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!("{} databases ({}): {} sorted wrongly", truth.len(), counts.join(", "), wrong.len());
    if wrong.is_empty() && !truth.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether two runs say the same, but for what they measured.
pub fn same(one: &Path, other: &Path) -> ExitCode {
    let steady = |path| {
        let mut all = read(path);
        for record in all.values_mut() {
            for key in MEASURED {
                record.as_object_mut().unwrap().remove(key);
            }
        }
        all
    };
    let (one, other) = (steady(one), steady(other));
    let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
    let differ: Vec<&String> = names.filter(|name| one.get(*name) != other.get(*name)).collect();
    for name in differ.iter().take(SHOWN_MAX) {
        println!("{name}: {:?}\n    and {:?}", one.get(*name), other.get(*name));
    }
    println!("{} databases, {} differ", one.len(), differ.len());
    if differ.is_empty() && !one.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Each line by its file; twice the same is an error.
fn read(path: &Path) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let file = value["file"].as_str().unwrap().to_owned();
        assert!(all.insert(file, value).is_none(), "{}: {line} is there twice", path.display());
    }
    all
}
