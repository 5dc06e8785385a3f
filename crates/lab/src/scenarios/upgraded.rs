//! Owns the scenarios that end with the new schema and every row: first boots, upgrades,
//! take-overs.
//! Promises: each differs from a plain upgrade by one thing, which its name says.
//! Never allows a loss.

use super::catalogues::{firmware, Version};
use super::situations::{
    applied, booted, cut_off, empty, expected, managed, of_refinery, AUTO_VACUUM, LATER, ROWS,
};
use crate::dump::LeftOut;
use crate::firmware::{Firmware, MAIN};
use crate::scenario::Run;
use crate::scenario::{plain, End, Old, Scenario};
use crate::sim::{Options, State};

/// Free bytes that are too few for a snapshot or for the transaction's journal.
const NEARLY_NOTHING_BYTES: u64 = 24 << 10;
/// Two more than the interruptions that are allowed.
const PUT_BACK: u32 = 7;
/// Free bytes for several copies.
const ROOM_BYTES: u64 = 256 << 10;

pub(crate) fn scenario(firmware: Firmware, initial: State, old: Old, ends: Vec<End>) -> Scenario {
    let snapshots = match &old {
        Old::Whole(text) => vec![text.clone()],
        Old::Absent | Old::Broken(_) => Vec::new(),
    };
    Scenario {
        name: "",
        firmware,
        after_cut: None,
        initial,
        options: Options::default(),
        short: None,
        run: Run::Boot,
        asked: plain(),
        again: plain(),
        old,
        ends,
        exits: &[0],
        stays: &[],
        quiet_by: 3,
        snapshots,
        snapshots_are_checked: true,
        snapshots_min: 0,
        quarantined: Vec::new(),
        quarantines_max: 0,
        left_out: LeftOut::default(),
        bytes_allowed: 0,
        companion: None,
    }
}

pub(crate) fn new(text: String, journal: &'static str) -> End {
    End { name: "new", text, journal, loss: false, exits: &[0], cuts: 0 }
}

fn first(lines: &str, state: State, journal: &'static str) -> Scenario {
    let end = new(expected(Version::Three, 0, &[]), journal);
    scenario(firmware(Version::Three, lines), state, Old::Absent, vec![end])
}

pub(super) fn first_boot() -> Scenario {
    let mut state = empty();
    state.put_folder("/data/product");
    first("", state, "delete")
}

pub(super) fn first_boot_new_folder() -> Scenario {
    first("", empty(), "delete")
}

pub(super) fn first_boot_wal() -> Scenario {
    first("journal_mode = \"wal\"", empty(), "wal")
}

fn upgrade(lines: &str, state: State, texts: &[&str], journal: &'static str) -> Scenario {
    let old = Old::Whole(expected(Version::One, 1, texts));
    let end = new(expected(Version::Three, 1, texts), journal);
    Scenario {
        snapshots_min: 1,
        ..scenario(firmware(Version::Three, lines), state, old, vec![end])
    }
}

fn before(journal: &str) -> State {
    managed(firmware(Version::One, ""), journal)
}

pub(super) fn delete() -> Scenario {
    upgrade("", before("delete"), &[ROWS], "delete")
}

pub(super) fn truncate() -> Scenario {
    upgrade("", before("truncate"), &[ROWS], "delete")
}

pub(super) fn persist() -> Scenario {
    upgrade("", before("persist"), &[ROWS], "delete")
}

pub(super) fn wal() -> Scenario {
    upgrade("", before("wal"), &[ROWS], "wal")
}

fn hot(journal: &str) -> Scenario {
    upgrade("", cut_off(&before(journal), journal, &[LATER]), &[ROWS, LATER], "delete")
}

pub(super) fn delete_hot() -> Scenario {
    hot("delete")
}

pub(super) fn truncate_hot() -> Scenario {
    hot("truncate")
}

pub(super) fn persist_hot() -> Scenario {
    hot("persist")
}

/// The file has a pointer map: see `restore-lost-auto-vacuum`.
pub(super) fn auto_vacuum_hot() -> Scenario {
    let before = applied(&before("delete"), "delete", &[AUTO_VACUUM]);
    upgrade("", cut_off(&before, "delete", &[LATER]), &[ROWS, LATER], "delete")
}

pub(super) fn wal_left() -> Scenario {
    upgrade("", cut_off(&before("wal"), "wal", &[LATER]), &[ROWS, LATER], "wal")
}

pub(super) fn quiet_wal_left() -> Scenario {
    let state = cut_off(&before("wal"), "wal", &[LATER]);
    let text = expected(Version::One, 1, &[ROWS, LATER]);
    let quiet = scenario(
        firmware(Version::One, ""),
        state,
        Old::Whole(text.clone()),
        vec![new(text, "wal")],
    );
    Scenario { quiet_by: 1, ..quiet }
}

pub(super) fn to_wal() -> Scenario {
    let mut scenario = upgrade("journal_mode = \"wal\"", before("delete"), &[ROWS], "wal");
    // A cut between the commit and the change of the mode leaves the old mode for good: the schema
    // is what was promised.
    scenario.ends.push(End {
        name: "new, old mode",
        journal: "delete",
        ..scenario.ends[0].clone()
    });
    scenario
}

pub(super) fn to_delete() -> Scenario {
    let mut scenario = upgrade("journal_mode = \"delete\"", before("wal"), &[ROWS], "delete");
    scenario.ends.push(End { name: "new, old mode", journal: "wal", ..scenario.ends[0].clone() });
    scenario
}

/// An operator puts an older copy in the database's place after each upgrade, and once more before
/// this one.
pub(super) fn put_back() -> Scenario {
    let mut state = before("delete");
    let older = state.read_file(MAIN).unwrap_or_default();
    for _ in 0..PUT_BACK {
        state = booted(&state, firmware(Version::Two, ""), &plain(), 1, 0);
        state.put_file(MAIN, &older);
    }
    let old = Old::Whole(expected(Version::One, 1, &[ROWS]));
    let end = new(expected(Version::Two, 1, &[ROWS]), "delete");
    Scenario { snapshots_min: 1, ..scenario(firmware(Version::Two, ""), state, old, vec![end]) }
}

/// No upgrade without a copy.
pub(super) fn copy_always() -> Scenario {
    upgrade("snapshot = \"always\"", before("delete"), &[ROWS], "delete")
}

/// The same where there is no room for the copy: the old one stays.
pub(super) fn copy_always_full() -> Scenario {
    let state = before("delete");
    let used = state.used_bytes(crate::sim::state::STORAGE);
    let mut scenario = upgrade("snapshot = \"always\"", state, &[ROWS], "delete");
    let Old::Whole(text) = &scenario.old else { return scenario };
    scenario.ends = vec![End { name: "old", exits: &[14], ..new(text.clone(), "delete") }];
    scenario.options.total_bytes = Some(used + NEARLY_NOTHING_BYTES);
    Scenario { exits: &[14], snapshots_min: 0, ..scenario }
}

/// The third migration is half SQL and half Rust, all in the one transaction.
pub(super) fn in_code() -> Scenario {
    let old = Old::Whole(expected(Version::One, 1, &[ROWS]));
    let end = new(expected(Version::ThreeInCode, 1, &[ROWS]), "delete");
    Scenario {
        snapshots_min: 1,
        ..scenario(firmware(Version::ThreeInCode, ""), before("delete"), old, vec![end])
    }
}

/// Readings go with their sensor, or neither does.
pub(super) fn enforced() -> Scenario {
    let old = Old::Whole(expected(Version::One, 1, &[ROWS]));
    let end = new(expected(Version::ThreeEnforced, 1, &[ROWS]), "delete");
    Scenario {
        snapshots_min: 1,
        ..scenario(firmware(Version::ThreeEnforced, ""), before("delete"), old, vec![end])
    }
}

/// What the second migration leaves in its connection is nothing to the third.
pub(super) fn one_after_another() -> Scenario {
    let old = Old::Whole(expected(Version::One, 1, &[ROWS]));
    let end = new(expected(Version::ThreeMeets, 1, &[ROWS]), "delete");
    Scenario {
        snapshots_min: 1,
        ..scenario(firmware(Version::ThreeMeets, ""), before("delete"), old, vec![end])
    }
}

/// Room for the snapshot and for the migration, but not for what a directive asks for.
pub(super) fn needs_space() -> Scenario {
    let state = before("delete");
    let used = state.used_bytes(crate::sim::state::STORAGE);
    let text = expected(Version::One, 1, &[ROWS]);
    let ends = vec![End { name: "old", exits: &[14], ..new(text.clone(), "delete") }];
    let mut scenario =
        scenario(firmware(Version::ThreeNeedsSpace, ""), state, Old::Whole(text), ends);
    scenario.options.total_bytes = Some(used + ROOM_BYTES);
    Scenario { exits: &[14], quiet_by: 2, ..scenario }
}

fn vacuum(journal: &'static str) -> Scenario {
    let old = Old::Whole(expected(Version::One, 1, &[ROWS]));
    let end = new(expected(Version::ThreeVacuums, 1, &[ROWS]), journal);
    Scenario {
        snapshots_min: 1,
        ..scenario(firmware(Version::ThreeVacuums, ""), before(journal), old, vec![end])
    }
}

pub(super) fn no_transaction() -> Scenario {
    vacuum("delete")
}

pub(super) fn no_transaction_wal() -> Scenario {
    vacuum("wal")
}

fn taken_over(recorded: usize, done: usize) -> Scenario {
    let state = of_refinery(Version::Three, recorded, done);
    let mut scenario = upgrade("", state, &[ROWS], "delete");
    if done > recorded {
        let half = super::situations::half_done(Version::Three, recorded, done, &[ROWS]);
        scenario.snapshots = vec![half.clone()];
        scenario.old = Old::Whole(half);
    }
    scenario
}

pub(super) fn take_over() -> Scenario {
    taken_over(1, 1)
}

/// The rebuild ran and is not recorded: nothing but its run leaves that schema.
pub(super) fn take_over_half_done() -> Scenario {
    taken_over(2, 3)
}

pub(super) fn nearly_full() -> Scenario {
    let state = applied(&before("delete"), "delete", &[LATER]);
    let used = state.used_bytes(crate::sim::state::STORAGE);
    let mut scenario = upgrade("", state, &[ROWS, LATER], "delete");
    let Old::Whole(text) = &scenario.old else { return scenario };
    scenario.ends.push(End {
        name: "old",
        text: text.clone(),
        journal: "delete",
        loss: false,
        exits: &[14],
        cuts: 0,
    });
    scenario.options.total_bytes = Some(used + NEARLY_NOTHING_BYTES);
    scenario.exits = &[0, 14];
    scenario.snapshots_min = 0;
    scenario
}
