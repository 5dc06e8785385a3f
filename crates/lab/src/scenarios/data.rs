//! Owns the scenarios in which each boot is followed by a `data run`: a batch in rounds, and what
//! must run exactly once.
//! Promises: what must come out is the same text, run by plain SQLite until it changes nothing.
//! Never allows a loss, a snapshot or files in quarantine.

use super::catalogues::{firmware, Version, BATCH, TENFOLD};
use super::situations::{cut_off, expected, managed, LATER, ROWS};
use super::upgraded::{new, scenario};
use crate::scenario::{End, Old, Scenario};
use crate::sim::State;

/// Rounds of ten rows for 24 readings, and one that finds nothing.
const ROUNDS: usize = 4;

fn after(initial: State, texts: &[&str], journal: &'static str) -> Scenario {
    let old = Old::Whole(expected(Version::One, 1, texts));
    let met: Vec<&str> = texts.iter().copied().chain([BATCH; ROUNDS]).collect();
    let all: Vec<&str> = met.iter().copied().chain([TENFOLD]).collect();
    let mut scenario = scenario(
        firmware(Version::OneWithData, ""),
        initial,
        old,
        vec![new(expected(Version::One, 1, &all), journal)],
    );
    // Whole rounds are all that a failing storage may leave; no boot may call that usable.
    for rounds in 1..=ROUNDS {
        let text = expected(Version::One, 1, &met[..texts.len() + rounds]);
        scenario.ends.push(End { name: "so many rounds", exits: &[], ..new(text, journal) });
    }
    scenario.snapshots.clear();
    scenario
}

fn before(journal: &str) -> State {
    managed(firmware(Version::One, ""), journal)
}

pub(super) fn batch() -> Scenario {
    after(before("delete"), &[ROWS], "delete")
}

pub(super) fn batch_wal() -> Scenario {
    after(before("wal"), &[ROWS], "wal")
}

/// The application was cut off in the middle of a change before.
pub(super) fn batch_hot() -> Scenario {
    after(cut_off(&before("delete"), "delete", &[LATER]), &[ROWS, LATER], "delete")
}
