//! Owns the scenarios of a factory reset: everything of a database goes, and the next boot is a
//! first one.
//! Promises: a cut leaves the old database, whole and in use, or none; from the record's word on no
//! boot ever shows the old one.
//! Never allows a token that was handled to act again.

use bootmigrate::boot::BootRequest;
use bootmigrate::decide::facts::Request;

use super::catalogues::{firmware, Version};
use super::replaced::stays;
use super::situations::{booted, cut_off, expected, managed, LATER, ROWS};
use super::upgraded::{new, scenario};
use crate::dump::bytes_hash;
use crate::firmware::MAIN;
use crate::logged::first_of;
use crate::record;
use crate::scenario::Run;
use crate::scenario::{plain, End, Old, Scenario};
use crate::sim::{Order, Replay, State};

/// A technician's word that nobody takes away.
fn ticket() -> BootRequest {
    BootRequest { token: "ticket-1".into(), ..BootRequest::of(Request::PurgeAndRetry) }
}

/// It was handled.
fn lived_in(state: &State) -> State {
    booted(state, firmware(Version::One, ""), &ticket(), 1, 0)
}

fn wiping(state: State, old: Old, journal: &'static str) -> Scenario {
    let fresh = new(expected(Version::One, 0, &[]), "delete");
    let mut ends = vec![fresh];
    if let Old::Whole(text) = &old {
        ends.push(End { journal, ..stays(text, &[0]) });
    }
    Scenario {
        run: Run::Wipe,
        again: ticket(),
        ..scenario(firmware(Version::One, ""), state, old, ends)
    }
}

pub(super) fn delete() -> Scenario {
    wiping(
        lived_in(&managed(firmware(Version::One, ""), "delete")),
        Old::Whole(expected(Version::One, 1, &[ROWS])),
        "delete",
    )
}

/// Its WAL has rows that the main file has not.
pub(super) fn wal() -> Scenario {
    let state = lived_in(&managed(firmware(Version::One, ""), "wal"));
    wiping(
        cut_off(&state, "wal", &[LATER]),
        Old::Whole(expected(Version::One, 1, &[ROWS, LATER])),
        "wal",
    )
}

/// Half a transaction is in the main file, and its journal undoes it.
pub(super) fn hot() -> Scenario {
    let state = lived_in(&managed(firmware(Version::One, ""), "delete"));
    wiping(
        cut_off(&state, "delete", &[LATER]),
        Old::Whole(expected(Version::One, 1, &[ROWS, LATER])),
        "delete",
    )
}

/// Files in quarantine and a snapshot go too.
pub(super) fn kept() -> Scenario {
    let upgraded = booted(
        &managed(firmware(Version::One, ""), "delete"),
        firmware(Version::Three, ""),
        &plain(),
        1,
        0,
    );
    let purge = BootRequest::of(Request::Purge);
    let state = booted(&upgraded, firmware(Version::Three, ""), &purge, 1, 11);
    let fresh = expected(Version::Three, 0, &[]);
    let end = End { name: "fresh", ..new(fresh.clone(), "delete") };
    let kept = expected(Version::Three, 1, &[ROWS]);
    Scenario {
        run: Run::Wipe,
        snapshots: vec![expected(Version::One, 1, &[ROWS])],
        snapshots_are_checked: false,
        quarantined: vec![Old::Whole(kept)],
        quarantines_max: 1,
        ..scenario(firmware(Version::Three, ""), state, Old::Whole(fresh), vec![end])
    }
}

/// The power went right after the record had it: every boot from then on goes on, and none shows
/// the old one.
pub(super) fn cut_after_the_record() -> Scenario {
    let mut cut = wal();
    let whole = first_of(&cut);
    let begun = whole
        .synced
        .iter()
        .position(|synced| *synced > record::sequence(&cut.initial))
        .unwrap_or(0);
    cut.initial = Replay::at(&whole.initial, Order::Kept, &whole.log[..begun]).durable.swept();
    cut.ends.truncate(1);
    Scenario { run: Run::Boot, ..cut }
}

/// Nobody can read it any more.
pub(super) fn damaged() -> Scenario {
    let mut state = lived_in(&managed(firmware(Version::One, ""), "delete"));
    let size = state.read_file(MAIN).map_or(0, |bytes| bytes.len());
    state.put_file(MAIN, &vec![0x55; size]);
    let old = Old::Broken(bytes_hash(&state, MAIN));
    Scenario { stays: &[17], exits: &[0, 17], ..wiping(state, old, "delete") }
}
