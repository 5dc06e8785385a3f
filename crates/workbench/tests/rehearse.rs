//! Owns the judgement of `rehearse`: field databases of several versions, damaged, foreign and
//! newer ones, sorted against what they are.
//! Promises: the originals are the same bytes afterwards; parts, a resumed run and one whole run
//! say the same.
//! Never depends on how long a run takes.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Product, Ran};
use rusqlite::Connection;
use serde_json::Value;

/// A fleet: the example product's settings of several versions with rows, and one of each kind that
/// is not well.
struct Fleet {
    product: Product,
    /// What each file is.
    truth: BTreeMap<&'static str, &'static str>,
}

impl Fleet {
    fn new() -> Fleet {
        let product = Product::example();
        let mut truth = BTreeMap::new();
        for (name, version) in [
            ("a/settings.db", "4"),
            ("b/settings.db", "9"),
            ("c/settings.db", "13"),
            ("d/settings.db", "14"),
        ] {
            make(&product, name, version);
            truth.insert(name, "well");
        }
        make(&product, "damaged/settings.db", "9");
        let damaged = product.path().join("field/damaged/settings.db");
        // Nothing is left that could be read from its pages.
        let bytes = fs::read(&damaged).unwrap().len();
        fs::write(&damaged, vec![b'x'; bytes]).unwrap();
        fs::remove_file(product.path().join("field/damaged/settings.db-wal")).unwrap();
        truth.insert("damaged/settings.db", "damaged");
        fs::create_dir_all(product.path().join("field/foreign")).unwrap();
        let foreign = Connection::open(product.path().join("field/foreign/settings.db")).unwrap();
        foreign
            .execute_batch("CREATE TABLE somebody_elses (x); INSERT INTO somebody_elses VALUES (1)")
            .unwrap();
        truth.insert("foreign/settings.db", "foreign");
        let other = product.path().join("field/other.db");
        Connection::open(other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        truth.insert("other.db", "unclear");
        Fleet { product, truth }
    }

    fn rehearse(&self, arguments: &[&str]) -> Ran {
        let all: Vec<&str> = ["rehearse", "field", "--scratch", "."]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        self.product.run(&all)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.product.path().join(name)
    }
}

/// A database of this version with rows, where the application was switched off: the last of them
/// are in its -wal.
fn make(product: &Product, name: &str, version: &str) {
    let root = product.path().join("root");
    fs::create_dir_all(root.join("var/lib/gateway")).unwrap();
    let made =
        product.run(&["device", "migrate", "--db", "settings", "--to", version, "--root", "root"]);
    assert!(made.code == 0 || made.code == 3, "{made:?}");
    let file = product.path().join("field").join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let live = root.join("var/lib/gateway/settings.db");
    let application = Connection::open(&live).unwrap();
    application.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;").unwrap();
    application
        .execute_batch(
            "INSERT INTO site (name) VALUES ('attic'); INSERT INTO sensor (site_id, address, kind) \
             SELECT id, 'one', 'humidity' FROM site",
        )
        .unwrap();
    for side in ["", "-wal"] {
        fs::copy(format!("{}{side}", live.display()), format!("{}{side}", file.display())).unwrap();
    }
    assert!(fs::metadata(format!("{}-wal", file.display())).unwrap().len() > 0);
    drop(application);
    fs::remove_dir_all(root).unwrap();
}

/// Every line, by file.
fn lines(path: &Path) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(path).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| (record["file"].as_str().unwrap().to_owned(), record)).collect()
}

/// Without what differs from run to run.
fn steady(path: &Path) -> BTreeMap<String, Value> {
    let mut all = lines(path);
    for record in all.values_mut() {
        let measured = [
            "duration_ms",
            "space_bytes",
            "memory_bytes",
            "written_bytes",
            "migrations",
            "predicted_ms",
        ];
        for key in measured {
            record.as_object_mut().unwrap().remove(key);
        }
    }
    all
}

fn bytes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes(&path));
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn each_is_sorted_and_none_is_touched() {
    let fleet = Fleet::new();
    let before = bytes(&fleet.path("field"));
    let ran = fleet.rehearse(&["--json", "all.jsonl", "--junit", "all.xml", "--html", "all.html"]);
    assert_eq!(
        bytes(&fleet.path("field")),
        before,
        "a field database, or what lies beside it, is another"
    );
    let found = lines(&fleet.path("all.jsonl"));
    let kinds: BTreeMap<&str, &str> = found
        .iter()
        .map(|(file, record)| (file.as_str(), record["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(kinds, fleet.truth, "{}", ran.out);
    let a = &found["a/settings.db"];
    assert_eq!(
        (a["from"].as_i64(), a["version"].as_i64(), a["outcome"].as_str()),
        (Some(4), Some(14), Some("migrated"))
    );
    let times = a["migrations"].as_object().unwrap();
    assert!(times.len() == 10 && times.contains_key("5") && times.contains_key("14"), "{a}");
    assert_eq!(a["tables"]["broker"], serde_json::json!([null, 0]), "{a}");
    assert_eq!(
        (a["rows_lost"].as_i64(), a["second_run"].is_null(), a["faults"].as_array().unwrap().len()),
        (Some(0), true, 0)
    );
    assert!(
        a["space_bytes"].as_u64().unwrap() > 0 && a["memory_bytes"].as_u64().unwrap() > 0,
        "{a}"
    );
    assert_eq!(ran.code, 0, "a damaged or foreign one is no failure of a migration: {}", ran.out);
    assert!(
        ran.out.contains("      4 well     3 migrated, 1 quiet\n")
            && ran.out.contains("worst by time\n"),
        "{}",
        ran.out
    );
    let junit = fs::read_to_string(fleet.path("all.xml")).unwrap();
    assert!(
        junit.contains("tests=\"7\" failures=\"0\"") && junit.contains("name=\"b/settings.db\""),
        "{junit}"
    );
    let html = fs::read_to_string(fleet.path("all.html")).unwrap();
    assert!(
        html.contains("7 databases, 0 failed")
            && html.contains("damaged/settings.db")
            && html.contains("<td>settings</td><td>V10</td><td class=\"number\">2</td>")
            && html.ends_with("</html>\n")
    );
    assert!(!html.contains("http") && !html.contains("<script"), "the page needs another file");
    assert!(fs::read_dir(fleet.product.path()).unwrap().all(|entry| !entry
        .unwrap()
        .file_name()
        .to_string_lossy()
        .starts_with("rehearsal-")));
}

#[test]
fn parts_and_a_resumed_run_are_the_whole() {
    let fleet = Fleet::new();
    fleet.rehearse(&["--json", "whole.jsonl", "--jobs", "1"]);
    let whole = steady(&fleet.path("whole.jsonl"));
    assert_eq!(whole.len(), 7);
    for part in ["1/3", "2/3", "3/3"] {
        fleet.rehearse(&["--json", &format!("part{}.jsonl", &part[..1]), "--shard", part]);
    }
    let merged = fleet.product.run(&[
        "rehearse",
        "merge",
        "part1.jsonl",
        "part2.jsonl",
        "part3.jsonl",
        "--json",
        "merged.jsonl",
    ]);
    assert!(merged.code == 0 && merged.out.contains("      7 databases\n"), "{merged:?}");
    assert_eq!(steady(&fleet.path("merged.jsonl")), whole);
    assert_eq!(steady(&fleet.path("part2.jsonl")).len(), 2);
    // The machine that merges need not have the migrations.
    let bare = ["--migrations", "none", "rehearse", "merge", "part1.jsonl"];
    assert_eq!(fleet.product.run(&bare).code, 0);
    // A part that nobody has run is not passed over.
    let parts = |parts: &[&str]| {
        fleet.product.run(&[&["rehearse", "merge", "--folder", "field"], parts].concat())
    };
    assert_eq!(parts(&["part1.jsonl", "part2.jsonl", "part3.jsonl"]).code, 0);
    let two = parts(&["part1.jsonl", "part3.jsonl"]);
    let said = "not rehearsed: 2 of the folder, b/settings.db first\n";
    assert!(two.code == 1 && two.out.ends_with(said), "{two:?}");
    // Cut off in the middle of the third line.
    let text = fs::read_to_string(fleet.path("whole.jsonl")).unwrap();
    let third: usize = text.split_inclusive('\n').take(2).map(str::len).sum::<usize>() + 20;
    fs::write(fleet.path("cut.jsonl"), &text[..third]).unwrap();
    // Two runs at once would both do the rest.
    let held = fs::File::open(fleet.path("cut.jsonl")).unwrap();
    held.lock().unwrap();
    let second = fleet.rehearse(&["--json", "cut.jsonl", "--resume"]);
    assert!(second.code == 2 && second.err.contains("cut.jsonl: another rehearsal"), "{second:?}");
    held.unlock().unwrap();
    fleet.rehearse(&["--json", "cut.jsonl", "--resume"]);
    let resumed = fs::read_to_string(fleet.path("cut.jsonl")).unwrap();
    assert!(resumed.starts_with(&text[..third - 20]), "what was done is done again");
    assert_eq!(steady(&fleet.path("cut.jsonl")), whole);
}

/// An object store: names, and a command that brings one.
#[test]
fn a_listing_is_as_good_as_a_folder() {
    let fleet = Fleet::new();
    fleet.rehearse(&["--json", "folder.jsonl"]);
    let names: Vec<String> = bytes(&fleet.path("field"))
        .keys()
        .map(|path| path.strip_prefix(fleet.path("field")).unwrap().display().to_string())
        .collect();
    assert!(names.iter().any(|name| name.ends_with("-wal")));
    fs::write(fleet.path("listing"), names.join("\n")).unwrap();
    let from = ["rehearse", "--scratch", ".", "--json", "listed.jsonl", "--listing", "listing"];
    let run =
        |fetch: &str| fleet.product.run(&[&from[..], &["--resume", "--fetch", fetch]].concat());
    // The store is gone in the middle.
    let half = run("case $1 in c/*) exit 4; esac; cp \"field/$1\" \"$2\"");
    assert!(half.code == 2 && half.err.contains("c/settings.db was not fetched"), "{half:?}");
    assert_eq!(run("cp \"field/$1\" \"$2\"").code, 0);
    let (listed, mut folder) =
        (steady(&fleet.path("listed.jsonl")), steady(&fleet.path("folder.jsonl")));
    // It was not fetched, since nothing says what it is.
    folder.get_mut("other.db").unwrap()["bytes"] = 0.into();
    for (name, record) in &mut folder {
        record["reproduce"] = listed[name]["reproduce"].clone();
    }
    assert_eq!(listed, folder);
    let again = fleet.path("again.sh");
    let program = env!("CARGO_BIN_EXE_bootmigrate-workbench");
    let command = listed["b/settings.db"]["reproduce"].as_str().unwrap();
    fs::write(&again, command.replacen("bootmigrate-workbench", program, 1)).unwrap();
    let mut shell = std::process::Command::new("sh");
    let again = Ran::from(shell.arg(again).current_dir(fleet.product.path()).output().unwrap());
    assert!(again.code == 0 && again.out.contains("1 well     1 migrated"), "{again:?}");
    let merged = |file| fleet.product.run(&["rehearse", "merge", file, "--listing", "listing"]);
    assert_eq!(merged("listed.jsonl").code, 0);
    fs::write(fleet.path("none.jsonl"), "").unwrap();
    assert!(merged("none.jsonl")
        .out
        .ends_with("not rehearsed: 7 of the folder, a/settings.db first\n"));
}

#[test]
fn a_migration_that_only_some_rows_stop() {
    let fleet = Fleet::new();
    fleet.product.write(
        "settings/V15__one_site.sql",
        "CREATE TABLE one (id INTEGER PRIMARY KEY CHECK (id > 1));\nINSERT INTO one (id) SELECT id \
         FROM site;\nDELETE FROM preference WHERE name = 'language';\n",
    );
    fleet.product.write("settings/V15__one_site.down.sql", "DROP TABLE one;\n");
    let ran = fleet.rehearse(&["--json", "all.jsonl", "--junit", "all.xml"]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let found = lines(&fleet.path("all.jsonl"));
    let b = &found["b/settings.db"];
    assert_eq!(
        (b["kind"].as_str(), b["cause"].as_str(), b["exit"].as_u64()),
        (Some("failed"), Some("migration-failed"), Some(10))
    );
    let sentence = b["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("CHECK constraint failed") && sentence.contains("V15:2"),
        "{sentence}"
    );
    assert!(fs::read_to_string(fleet.path("all.xml")).unwrap().contains("failures=\"4\""));
    // The command that is said does it again, for this one alone.
    let again = b["reproduce"].as_str().unwrap().replacen("bootmigrate-workbench ", "", 1);
    let words: Vec<&str> = again.split(' ').collect();
    let once = fleet.product.run(&words);
    assert!(
        once.code == 1 && once.out.contains("1 failed") && once.out.contains("      1 database\n"),
        "{once:?}"
    );
}

#[test]
fn a_budget_is_a_gate() {
    let fleet = Fleet::new();
    let budget = |text: &str| {
        fs::write(fleet.path("budget.toml"), text).unwrap();
        fleet.rehearse(&["--budget", "budget.toml"])
    };
    let kept =
        budget("failed_max = 0\nrows_lost_max = 0\nnot_well_max = 3\nspace_factor_max = 1000.0\n");
    assert!(kept.code == 0 && !kept.out.contains("budget:"), "{kept:?}");
    let exceeded = budget("not_well_max = 2\nmemory_bytes_max = 1\n");
    assert!(
        exceeded.code == 1
            && exceeded.out.contains("budget: not_well_max = 2, and 3 are not well\n"),
        "{exceeded:?}"
    );
    assert!(exceeded.out.contains("budget: memory_bytes_max = 1, and "), "{}", exceeded.out);
    assert_eq!(budget("times_max = 2\n").code, 2);
}

/// A newer database, and a program of the product's own.
#[test]
fn another_program_can_be_the_device() {
    let fleet = Fleet::new();
    fleet
        .product
        .write("settings/V15__later.sql", "CREATE TABLE later (id INTEGER PRIMARY KEY);\n");
    fleet.product.write("settings/V15__later.down.sql", "DROP TABLE later;\n");
    let program = fleet.path("device");
    let workbench = env!("CARGO_BIN_EXE_bootmigrate-workbench");
    let newer = fleet.path("migrations");
    fs::write(
        &program,
        format!("#!/bin/sh\nexec '{workbench}' --migrations '{}' device \"$@\"\n", newer.display()),
    )
    .unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    make(&fleet.product, "newer/settings.db", "15");
    for name in ["settings/V15__later.sql", "settings/V15__later.down.sql"] {
        fs::remove_file(fleet.path("migrations").join(name)).unwrap();
    }
    fleet.rehearse(&["--json", "all.jsonl"]);
    let newer = &lines(&fleet.path("all.jsonl"))["newer/settings.db"];
    assert_eq!(
        (newer["kind"].as_str(), newer["from"].as_i64(), newer["version"].as_i64()),
        (Some("newer"), Some(15), Some(14)),
        "{newer}"
    );
    let device = program.to_str().unwrap();
    let ran = fleet.rehearse(&["--device", device, "--previous", device, "--json", "device.jsonl"]);
    let found = lines(&fleet.path("device.jsonl"));
    assert_eq!(
        (found["a/settings.db"]["kind"].as_str(), found["a/settings.db"]["previous"].is_null()),
        (Some("well"), true),
        "{}",
        ran.out
    );
    let ran = fleet.rehearse(&["--previous", "/bin/false", "--json", "previous.jsonl"]);
    let previous = &lines(&fleet.path("previous.jsonl"))["a/settings.db"]["previous"];
    assert_eq!(
        (ran.code, previous.as_str()),
        (1, Some("the program ended with 1 and said nothing"))
    );
}
