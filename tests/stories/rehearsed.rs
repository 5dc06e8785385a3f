//! Owns the stories of a rehearsal on a device that is not well: what the next boot would cure is cured on the copy, and only there.
//! Promises: the run that follows must end as the rehearsal said, with the same exit code and the same sentence.
//! Never lets SQLite open a harmed family before the program under test has.

use crate::bench::Bench;
use crate::oracle::{self, beside, Copy};
use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

const RELEASE: (&str, &str) = ("V43__none.sql", "CREATE TABLE note (id INTEGER PRIMARY KEY, text);\n");

/// Every byte of the family, and of what is kept of it.
fn files(bench: &Bench) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut paths: Vec<PathBuf> = ["", "-wal", "-journal"].iter().map(|ending| beside(&bench.main(), ending)).collect();
    if let Ok(snapshots) = fs::read_dir(bench.state("settings").join("snapshots")) {
        paths.extend(snapshots.map(|entry| entry.unwrap().path()));
    }
    paths.into_iter().filter_map(|path| fs::read(&path).ok().map(|bytes| (path, bytes))).collect()
}

fn harm(bench: &Bench, offset: u64, bytes: &[u8]) {
    fs::OpenOptions::new().write(true).open(bench.main()).unwrap().write_all_at(bytes, offset).unwrap();
}

/// Upgraded by the program itself: a snapshot of version 40 is there.
fn upgraded() -> Bench {
    Bench::booted_at(40).firmware(42).after(|bench| assert_eq!(bench.run(&["run"]).exit, "0"))
}

/// The offset of the page at a place in a table's or index's tree.
fn page(bench: &Bench, object: &str, path: &str) -> u64 {
    let sql = "SELECT pageno FROM dbstat WHERE name = ?1 AND path LIKE ?2 ORDER BY path LIMIT 1";
    let page: i64 = Copy::of(&bench.main()).unwrap().open().query_row(sql, (object, path), |row| row.get(0)).unwrap();
    (page as u64 - 1) * 4096
}

fn header_gone(bench: &Bench) {
    harm(bench, 0, b"this is no database");
}

fn index_gone(bench: &Bench) {
    harm(bench, page(bench, "child_parent", "/"), &[0xa5; 4096]);
}

fn leaf_gone(bench: &Bench) {
    harm(bench, page(bench, "child", "/003/"), &[0xa5; 4096]);
}

fn file_gone(bench: &Bench) {
    fs::remove_file(bench.main()).unwrap();
}

/// Its name, the exit, what the sentence says, and the rows of parent and child after the boot.
type World = (&'static str, Bench, &'static str, &'static str, [RangeInclusive<u64>; 2]);

#[test]
fn a_device_that_is_not_well_is_rehearsed_as_it_boots() {
    let worlds: [World; 7] = [
        ("header", upgraded().after(header_gone).file(RELEASE), "11", "restored from a snapshot", [2000..=2000, 2000..=2000]),
        ("file", upgraded().after(file_gone).file(RELEASE), "11", "restored from a snapshot", [2000..=2000, 2000..=2000]),
        ("file, nothing pending", upgraded().after(file_gone), "11", "restored from a snapshot", [2000..=2000, 2000..=2000]),
        ("index", upgraded().after(index_gone).file(RELEASE), "0", "migrated from 42 to 43", [2000..=2000, 2000..=2000]),
        (
            "leaf",
            upgraded().key("on_damage = [\"salvage\"]").after(leaf_gone).file(RELEASE),
            "11",
            "migrated from 42 to 43",
            [2000..=2000, 1500..=1999],
        ),
        ("newer", upgraded().older(40).key("kind = \"rebuildable\""), "11", "replaced by a fresh database", [1000..=1000, 1000..=1000]),
        (
            "header, no snapshot",
            Bench::booted_at(42).after(header_gone).key("kind = \"rebuildable\""),
            "11",
            "replaced by a fresh database",
            [1000..=1000, 1000..=1000],
        ),
    ];
    for (name, bench, exit, says, rows) in worlds {
        let before = files(&bench);
        let rehearsed = bench.run(&["rehearse"]);
        assert_eq!(rehearsed.exit, exit, "{name}: {}{}", rehearsed.stdout, rehearsed.stderr);
        let (sentence, _) = rehearsed.stdout.split_once(" (rehearsed on a copy").unwrap_or_else(|| panic!("{name}: {}", rehearsed.stdout));
        assert!(sentence.contains(says), "{name}: {sentence}");
        assert!(files(&bench) == before, "{name}: the rehearsal has changed the database, or what is kept of it");
        assert!(!bench.state("settings").join("rehearsal").exists(), "{name}");
        let ran = bench.run(&["run"]);
        assert_eq!(ran.exit, exit, "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(sentence), "{name}: rehearsed: {sentence}\nthe boot: {}", ran.stderr);
        let content = oracle::content(&bench.main()).unwrap();
        for (table, rows) in ["parent", "child"].iter().zip(rows) {
            assert!(rows.contains(&content.rows[*table]), "{name}: {} rows of {table}", content.rows[*table]);
        }
    }
}

#[test]
fn what_a_boot_refuses_needs_no_rehearsal() {
    // Neither a snapshot nor consent: the sentence is the boot's.
    let bench = Bench::at(40).firmware(41).after(header_gone);
    let before = files(&bench);
    let rehearsed = bench.run(&["rehearse"]);
    assert_eq!(rehearsed.exit, "17", "{}", rehearsed.stdout);
    assert!(rehearsed.stdout.starts_with("settings: nothing to rehearse: refuse: its header is not"), "{}", rehearsed.stdout);
    assert_eq!(bench.run(&["run"]).exit, "17");
    assert!(files(&bench) == before);
    harm(&bench, 0, b"SQLite format 3\0\x10\0\x01");
    assert_eq!(oracle::content(&bench.main()).unwrap().rows["parent"], 2000);
}
