//! Owns the scenarios in which another tool made the database: it is taken over, and migrated.
//! Promises: the tool's work is plain SQL and a number in the header; what must come out is
//! computed by plain SQLite.
//! Never allows a loss.

use super::catalogues::{firmware, sql_of, Version};
use super::situations::{applied, empty, expected, ROWS};
use super::upgraded::{new, scenario};
use crate::dump::take;
use crate::firmware::MAIN;
use crate::scenario::{Old, Scenario};
use crate::sim::State;

const ADOPT: &str = "baseline = \"user_version\"";

/// The tool's own work: the first migration's text, and its number.
fn texts() -> [&'static str; 3] {
    [sql_of(Version::One)[0].1, ROWS, "PRAGMA user_version = 1"]
}

fn made_by_a_tool() -> State {
    let mut folder = empty();
    folder.put_folder("/data/product");
    folder.put_file(MAIN, b"");
    applied(&folder, "delete", &texts())
}

fn found(version: Version) -> Scenario {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    texts().iter().for_each(|text| connection.execute_batch(text).unwrap());
    let old = Old::Whole(take(&connection).unwrap().text);
    let end = new(expected(version, 1, &[ROWS]), "delete");
    let mut found = scenario(firmware(version, ADOPT), made_by_a_tool(), old, vec![end]);
    // What is migrated has been adopted.
    found.snapshots = vec![expected(Version::One, 1, &[ROWS])];
    found
}

pub(super) fn adopt() -> Scenario {
    found(Version::Three)
}

pub(super) fn quiet() -> Scenario {
    found(Version::One)
}
