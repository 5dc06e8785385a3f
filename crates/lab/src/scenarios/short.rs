//! Owns the scenarios in which inodes or a quota are used up while the file system has bytes free,
//! until somebody makes room.
//! Promises: the boots that are short leave the old database and say of what there is too little;
//! the next one migrates.
//! Never leaves a device waiting for bytes: there were enough all the time.

use super::catalogues::{firmware, Version};
use super::situations::{empty, expected, managed, ROWS};
use super::upgraded::{new, scenario};
use crate::firmware::MAIN;
use crate::scenario::{Old, Scenario, Short};
use crate::sim::state::STORAGE;
use crate::sim::{Lack, Options, State};

const INODES: Short = Short { lack: Lack::Inodes, boots: 1 };
const QUOTA: Short = Short { lack: Lack::Quota, boots: 1 };
/// Bytes that are free all the time; so few that a file system of this size can lack what a run may
/// remember.
const FREE_BYTES: u64 = 4 << 20;
/// What is left of a quota: a record and a copy of the database, or nearly.
const NEARLY_BYTES: u64 = 20 << 10;
/// Beside a copy of the database: more than a copy asks for, and less than a journal.
const BESIDE_A_COPY_BYTES: u64 = 8 << 10;

/// Too little for the first run and a boot; the third is quiet.
fn short(short: Short, options: Options, upgrade: Scenario) -> Scenario {
    let used = upgrade.initial.used_bytes(STORAGE);
    let options = Options { total_bytes: Some(used + FREE_BYTES), ..options };
    Scenario { options, short: Some(short), exits: &[0, 14], quiet_by: 4, ..upgrade }
}

fn upgrade(journal: &'static str, lines: &str) -> Scenario {
    let state = managed(firmware(Version::One, ""), journal);
    let old = Old::Whole(expected(Version::One, 1, &[ROWS]));
    let end = new(expected(Version::Two, 1, &[ROWS]), journal);
    scenario(firmware(Version::Two, lines), state, old, vec![end])
}

fn inodes(left: u64, upgrade: Scenario) -> Scenario {
    let options =
        Options { total_inodes: Some(inodes_of(&upgrade.initial) + left), ..Options::default() };
    short(INODES, options, upgrade)
}

fn inodes_of(state: &State) -> u64 {
    state.clone().swept().inodes(STORAGE)
}

fn quota(left: u64, upgrade: Scenario) -> Scenario {
    let options = Options {
        quota_bytes: Some(upgrade.initial.used_bytes(STORAGE) + left),
        ..Options::default()
    };
    short(QUOTA, options, upgrade)
}

/// Not even the copy can be made.
pub(super) fn no_inodes() -> Scenario {
    inodes(0, upgrade("delete", ""))
}

/// The copy can, and SQLite's journal cannot.
pub(super) fn few_inodes() -> Scenario {
    inodes(1, upgrade("delete", "snapshot = \"always\""))
}

/// The copy fits, and SQLite's journal does not fit beside it: the boot goes on without.
pub(super) fn snapshot_left_out() -> Scenario {
    let upgrade = upgrade("delete", "");
    let main = upgrade.initial.read_file(MAIN).map_or(0, |bytes| bytes.len() as u64);
    let total = upgrade.initial.used_bytes(STORAGE) + main + BESIDE_A_COPY_BYTES;
    let options = Options { total_bytes: Some(total), ..Options::default() };
    Scenario { options, exits: &[0, 14], stays: &[14], snapshots_min: 0, ..upgrade }
}

/// No copy is wanted, and a WAL cannot be made.
pub(super) fn no_inodes_wal() -> Scenario {
    inodes(0, upgrade("wal", "snapshot = \"never\""))
}

pub(super) fn no_inodes_first_boot() -> Scenario {
    let mut state = empty();
    state.put_folder("/data/product");
    let end = new(expected(Version::One, 0, &[]), "delete");
    inodes(0, scenario(firmware(Version::One, ""), state, Old::Absent, vec![end]))
}

pub(super) fn over_quota() -> Scenario {
    quota(0, upgrade("delete", ""))
}

/// SQLite meets it.
pub(super) fn nearly_over_quota() -> Scenario {
    quota(NEARLY_BYTES, upgrade("delete", "snapshot = \"never\""))
}
