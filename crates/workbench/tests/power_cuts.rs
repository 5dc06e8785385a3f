//! Owns the judgement of `power-cuts` and `corrupt-files`: honest storage is safe, storage that
//! lies is not, and what cannot be judged is said.
//! Promises: what is printed for a bad instant brings it back.
//! Never compares counts that another SQLite would change.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing)]

mod common;

use common::{Product, Ran};

/// A history of another name, a mode of the journal that changes, times, a rebuild, and a file
/// beside the transaction.
const CONFIGURATION: &str = "[databases.notes]\npath = \"/var/lib/notes/notes.db\"\nhistory_table \
                             = \"history\"\njournal_mode = \"wal\"\n";
const FIRST: &str =
    "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, made TEXT NOT NULL \
     DEFAULT (datetime('now')));\n\
     CREATE TABLE tag (note INTEGER NOT NULL REFERENCES note (id), word TEXT NOT NULL, PRIMARY KEY \
     (note, word)) WITHOUT ROWID;\n";
const SECOND: &str = "CREATE TABLE new (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, made \
                      TEXT NOT NULL, seen INTEGER);\n\
                      INSERT INTO new (id, text, made, seen) SELECT id, text, made, \
                      unixepoch('now') FROM note;\nDROP TABLE note;\nALTER TABLE new RENAME TO \
                      note;\n";

fn notes(second: &str) -> Product {
    let product =
        Product::with(&[("bootmigrate.toml", CONFIGURATION), ("notes/V1__first.sql", FIRST)]);
    product.release();
    product.write("notes/V2__second.sql", second);
    product
}

#[track_caller]
fn power_cuts(product: &Product, arguments: &[&str]) -> Ran {
    let all: Vec<&str> = ["power-cuts", "--states", "40", "--rows", "3"]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    product.run(&all)
}

/// `safe at 12 of 12`.
fn counts(line: &str) -> (String, String) {
    let (_, rest) = line.split_once(" at ").unwrap();
    let mut words = rest.split(' ');
    (words.next().unwrap().to_owned(), words.nth(1).unwrap().to_owned())
}

#[test]
fn an_upgrade_that_is_safe_at_every_instant() {
    let product = notes(SECOND);
    let found = power_cuts(&product, &["--json", "cuts.json"]);
    assert_eq!((found.code, found.err.as_str()), (0, ""), "{}", found.out);
    let lines: Vec<&str> = found.out.lines().collect();
    let begins = [
        "notes: V1 to V2, DELETE: safe at ",
        "notes: V1 to V2, WAL: safe at ",
        "notes: first boot to V2: safe at ",
        "notes: V2 is safe at ",
    ];
    assert!(
        lines.len() == 4 && lines.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)),
        "{}",
        found.out
    );
    for line in &lines {
        let (safe, all) = counts(line);
        assert!(safe == all && all != "0", "{line}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(product.path().join("cuts.json")).unwrap())
            .unwrap();
    assert_eq!((json["schema"].as_u64(), json["upgrades"].as_array().unwrap().len()), (Some(1), 3));
    assert!(json.pointer("/upgrades/0/instants").unwrap().as_u64().unwrap() >= 40);
    assert_eq!(
        power_cuts(&product, &["--jobs", "1"]).out,
        found.out,
        "the same command gives other instants"
    );
}

/// VACUUM cannot run in a transaction, so a copy is built and swapped in; and an upgrade begins at
/// the version that is named.
#[test]
fn a_migration_beside_the_transaction() {
    let product =
        notes("-- bootmigrate: no-transaction\nUPDATE note SET text = text || '!';\nVACUUM;\n");
    product.write("notes/V3__third.sql", "ALTER TABLE tag ADD COLUMN colour TEXT;\n");
    let found = power_cuts(&product, &["--from", "1"]);
    assert!(
        found.code == 0 && found.out.contains("notes: V1 to V3, DELETE: safe at "),
        "{found:?}"
    );
    let unknown = power_cuts(&product, &["--from", "3"]);
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (2, "bootmigrate-workbench: notes has no upgrade from version 3; its newest is 3\n")
    );
}

/// The judge must not be blind: storage whose syncs do nothing is not safe, and each instant comes
/// back by its name.
#[test]
fn storage_that_lies_is_not_safe() {
    let product = notes(SECOND);
    let lie = ["--flaw", "lying-main-syncs", "--from", "1"];
    let found = power_cuts(&product, &lie);
    assert!(
        found.code == 1 && found.out.contains("notes: V2 is NOT safe, but only at "),
        "{found:?}"
    );
    let named = found
        .out
        .lines()
        .find_map(|line| line.trim().strip_prefix("--replay "))
        .unwrap()
        .trim_matches('\'');
    let again = power_cuts(&product, &[&lie[..], &["--replay", named]].concat());
    assert!(again.code == 1 && again.out.contains("\nbad: "), "{again:?}");
    let honest = power_cuts(&product, &["--replay", "notes:1:delete@20/kept/data=kept/names=lost"]);
    assert!(honest.code == 0 && honest.out.contains("\ngood: "), "{honest:?}");
    let none = power_cuts(&product, &["--replay", "notes:1:delete@9000/kept/data=kept/names=lost"]);
    assert!(
        none.code == 2 && none.err.contains(" is no instant of this run, which has "),
        "{none:?}"
    );
    assert_eq!(power_cuts(&product, &["--flaw", "lying"]).code, 2);
}

#[test]
fn what_cannot_be_judged_is_not_called_safe() {
    for (second, why) in [
        (
            "ALTER TABLE note ADD COLUMN seed INTEGER;\nUPDATE note SET seed = random();\n",
            "the migrations give other rows at each run",
        ),
        (
            "UPDATE note SET text = 'the same';\n",
            "plain SQLite says: UNIQUE constraint failed: note.text",
        ),
    ] {
        let found = power_cuts(&notes(second), &[]);
        assert!(found.code == 1 && found.out.contains(why), "{found:?}");
        assert!(
            found.out.contains("; not all could be judged\n")
                && found.out.contains("V2 is NOT safe"),
            "{}",
            found.out
        );
    }
}

#[test]
fn damaged_files_end_well() {
    let product = notes(SECOND);
    let damage = |more: &[&str]| {
        product.run(&[&["corrupt-files", "--count", "150", "--rows", "8"], more].concat())
    };
    let found = damage(&[]);
    assert!(
        found.code == 0
            && found.out.starts_with("notes: 150 of 150 damaged files end well (exit codes 0: "),
        "{found:?}"
    );
    assert_eq!(
        damage(&["--jobs", "3"]).out,
        found.out,
        "the number of workers changes what is damaged"
    );
    let shown = damage(&["--db", "notes", "--replay", "1/7"]);
    assert!(
        shown.code == 0 && shown.out.contains("boot 1: exit ") && shown.out.contains("good: exit "),
        "{shown:?}"
    );
    let fails = notes("UPDATE note SET text = 'the same';\n").run(&["corrupt-files"]);
    assert!(
        fails.code == 1
            && fails.out.starts_with("notes: not judged: it fails with nothing wrong: "),
        "{fails:?}"
    );
}
