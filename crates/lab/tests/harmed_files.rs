//! Owns the proof that damaged files end well: a slice of the sweep, and by name the cases that
//! once did not.
//! Promises: the same cases at every run; the command that shows one step by step is printed.
//! Never the whole sweep: `corrupt-files` is that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use bootmigrate_lab::corrupt::{replay, sweep};
use bootmigrate_lab::workers::Part;

/// Every kind of file in every situation, in every way, at least once.
const CASES: u64 = 1_000;

/// What each of these found, and what was done about it.
const ONCE_BAD: [(&str, &str); 16] = [
    (
        "1/445",
        "a journal rolled back onto a damaged file, and a quiet boot called the result whole",
    ),
    ("1/708", "a damaged ready file took main's name"),
    ("1/865", "a reindex that cannot work was begun at every boot"),
    ("1/1557", "a replacement whose loss the record no longer named was not said"),
    (
        "1/2025",
        "a view under the name of one of our tables was found only after the operation was begun, \
         at every boot",
    ),
    ("1/2182", "an index that lacks a row was migrated with its table"),
    ("1/3032", "a file that SQLite may read and not write was begun to be migrated at every boot"),
    (
        "1/4564",
        "a renamed column of ours was found only after the operation was begun, at every boot",
    ),
    (
        "2/2950",
        "a text encoding that SQLite does not have stopped VACUUM at every boot, after a copy",
    ),
    (
        "2/6440",
        "a table's name that is not UTF-8 stopped the look at the foreign keys at every boot",
    ),
    ("3/16901", "a snapshot that SQLite may read and not write was taken for a good copy"),
    (
        "20261201/5645",
        "an R*Tree that SQLite cannot open was taken for damage of the file by the judge",
    ),
    (
        "20261130/3377",
        "an R*Tree whose node is too short was taken for damage of the file by the judge",
    ),
    (
        "20261201/14469",
        "a replacement that had been interrupted too often was refused only after the file was \
         opened for a migration",
    ),
    (
        "20261202/1198",
        "a table's name that is not UTF-8 was an I/O error, so that its migration was begun at \
         every boot",
    ),
    (
        "20261202/17334",
        "a table's name that is not UTF-8 was an I/O error where it was looked at as damage, at \
         every boot",
    ),
];

#[test]
fn harmed_files_end_well() {
    for (name, once) in ONCE_BAD {
        let mut lines = Vec::new();
        let good = replay(name, &mut |line| lines.push(line.to_owned()));
        assert_eq!(good, Ok(true), "{name}: {once}:\n{}", lines.join("\n"));
    }
    let tally = sweep(Part { count: CASES, seed: 7, worker: 0, workers: 1 });
    assert_eq!((tally.judged, tally.bad), (CASES, 0), "{tally}");
    assert!(
        tally.by.len() >= 10 && tally.values("last exit").count() >= 5,
        "the sweep meets every kind of file and many ends: {tally}"
    );
}
