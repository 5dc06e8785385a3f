//! Owns the scenarios of what an operator does with files in quarantine: delete, export, restore.
//! Promises: what lies there was set aside by the product's own purge; what a restore brings is
//! computed by plain SQLite.
//! Never allows a delete or an export to change the database that stands there.

use bootmigrate::boot::BootRequest;
use bootmigrate::decide::facts::Request;

use super::catalogues::{firmware, Version};
use super::replaced::{old_at_one, stays};
use super::situations::{booted, cut_off, expected, managed, LATER, ROWS};
use super::upgraded::{new, scenario};
use crate::firmware::STATE;
use crate::scenario::Run;
use crate::scenario::{End, Old, Scenario};
use crate::sim::State;

/// The one set that a purge by an operator's word has left, and its number.
fn purged(before: &State) -> (State, u64) {
    let asked = BootRequest::of(Request::Purge);
    let state = booted(before, firmware(Version::One, ""), &asked, 1, 11);
    let prefix = format!("{STATE}/quarantine/");
    let number = state
        .walk()
        .into_iter()
        .find_map(|(path, _)| path.strip_prefix(&prefix)?.parse().ok())
        .unwrap();
    (state, number)
}

fn quiet(before: &State, run: fn(u64) -> Run, kept: Vec<Old>, journal: &'static str) -> Scenario {
    let (state, number) = purged(before);
    let fresh = expected(Version::One, 0, &[]);
    let quiet = scenario(
        firmware(Version::One, ""),
        state,
        Old::Whole(fresh.clone()),
        vec![new(fresh, journal)],
    );
    Scenario { run: run(number), quarantined: kept, quarantines_max: 1, ..quiet }
}

/// A removal that was cut off leaves the reason without its database.
pub(super) fn delete() -> Scenario {
    quiet(
        &managed(firmware(Version::One, ""), "delete"),
        Run::QuarantineDelete,
        vec![Old::Whole(old_at_one()), Old::Absent],
        "delete",
    )
}

/// Its WAL has rows that the main file has not.
pub(super) fn delete_wal() -> Scenario {
    let old = Old::Whole(expected(Version::One, 1, &[ROWS, LATER]));
    quiet(
        &cut_off(&managed(firmware(Version::One, ""), "wal"), "wal", &[LATER]),
        Run::QuarantineDelete,
        vec![old, Old::Absent],
        "wal",
    )
}

pub(super) fn export() -> Scenario {
    let old = Old::Whole(expected(Version::One, 1, &[ROWS, LATER]));
    quiet(
        &cut_off(&managed(firmware(Version::One, ""), "wal"), "wal", &[LATER]),
        Run::QuarantineExport,
        vec![old],
        "wal",
    )
}

/// The rows that were purged come back, and the fresh database goes to quarantine.
fn restoring(before: &State, rows: &[&str], journal: &'static str) -> Scenario {
    let (state, number) = purged(before);
    let (fresh, old) = (expected(Version::One, 0, &[]), expected(Version::One, 1, rows));
    let end =
        End { name: "restored", text: old.clone(), journal, loss: true, exits: &[0], cuts: 0 };
    let restore = scenario(
        firmware(Version::One, ""),
        state,
        Old::Whole(fresh.clone()),
        vec![end, End { journal, ..stays(&fresh, &[0]) }],
    );
    let quarantined = vec![Old::Whole(fresh), Old::Whole(old.clone())];
    let restore = Scenario {
        exits: &[0, 11],
        quarantined,
        quarantines_max: 2,
        snapshots: vec![old],
        ..restore
    };
    Scenario { run: Run::QuarantineRestore(number), ..restore }
}

pub(super) fn restore() -> Scenario {
    restoring(&managed(firmware(Version::One, ""), "delete"), &[ROWS], "delete")
}

pub(super) fn restore_wal() -> Scenario {
    restoring(
        &cut_off(&managed(firmware(Version::One, ""), "wal"), "wal", &[LATER]),
        &[ROWS, LATER],
        "wal",
    )
}

/// Half a transaction is in the main file, and its journal undoes it.
pub(super) fn restore_hot() -> Scenario {
    restoring(
        &cut_off(&managed(firmware(Version::One, ""), "delete"), "delete", &[LATER]),
        &[ROWS, LATER],
        "delete",
    )
}

/// Its pages are nothing any more: it is refused, and what stands there stays.
pub(super) fn restore_damaged() -> Scenario {
    let mut refused = restore();
    let Run::QuarantineRestore(number) = refused.run else { return refused };
    let path = format!("{STATE}/quarantine/{number}/settings.db");
    let mut bytes = refused.initial.read_file(&path).unwrap_or_default();
    bytes.iter_mut().skip(4096).step_by(7).for_each(|byte| *byte ^= 0x33);
    refused.initial.put_file(&path, &bytes);
    let broken = Old::Broken(crate::dump::bytes_hash(&refused.initial, &path));
    refused.ends.remove(0);
    Scenario { exits: &[0, 17], quarantined: vec![broken], ..refused }
}
