//! Owns the stories of copies that are made beside an application: `rehearse` and `snapshot create` on a WAL that a power cut has left.
//! Promises: main and WAL are compared by their bytes, every row before and after.
//! Never makes a WAL by hand: an application wrote it and was killed.

use crate::bench::Bench;
use crate::oracle::{self, beside};
use std::fs;

/// A device at 30 in WAL mode, whose application's last rows are in the WAL alone.
fn with_a_wal() -> Bench {
    let bench = Bench::wal_at(30).firmware(41).application(&["sql INSERT INTO parent (id, name) VALUES (3001, 'in the WAL')"]).killed();
    assert!(fs::metadata(beside(&bench.main(), "-wal")).unwrap().len() > 0, "a WAL is left");
    bench
}

/// Main and WAL, whole.
fn files(bench: &Bench) -> [Vec<u8>; 2] {
    [bench.main(), beside(&bench.main(), "-wal")].map(|path| fs::read(path).unwrap_or_default())
}

#[track_caller]
fn leaves_the_originals(words: &[&str], says: &str) {
    let bench = with_a_wal();
    let (before, want) = (files(&bench), bench.expectations(&bench.databases[0]).new);
    let ran = bench.run(words);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains(says), "{} {}", ran.stdout, ran.stderr);
    assert!(files(&bench) == before, "{words:?} has changed main or the WAL");
    assert_eq!(bench.run(&["run"]).exit, "0");
    let content = oracle::content(&bench.main()).unwrap();
    assert_eq!((content.rows["parent"], content.rows["child"]), (2001, 2000));
    assert_eq!(Some(content), want);
}

#[test]
fn a_rehearsal_leaves_the_wal_to_the_application() {
    leaves_the_originals(&["rehearse"], "rehearsed on a copy");
}

#[test]
fn a_snapshot_leaves_the_wal_to_the_application() {
    leaves_the_originals(&["snapshot", "create"], "whole and at version 30");
}
