//! Owns the scenarios of two databases that go together.
//! Promises: each is old or new at every instant; a run that comes to its end leaves both old or
//! both new.
//! Never lets one be used while the other is not there.

use super::catalogues::{self, firmware, Version};
use super::replaced::{broken_header, damaged, old_at_one, restored, stays, with_snapshot_of};
use super::situations::{applied, applied_to, booted, empty, expected, ROWS};
use super::upgraded::{new, scenario};
use crate::firmware::{Firmware, MAIN, OTHER, STATE};
use crate::scenario::{plain, Ends, Old, Scenario};
use crate::sim::State;

/// The other has rows of its own.
const OTHER_ROWS: &str = "INSERT INTO sensor VALUES (1, 'door'), (2, 'window'); WITH RECURSIVE \
                          n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 16) INSERT \
                          INTO reading(id, sensor, value, note) SELECT i, 1 + i % 2, -i, \
                          printf('%0200d', i) FROM n;";

fn pair(version: Version, other: Version) -> Firmware {
    catalogues::together(firmware(version, ""), other, false)
}

/// Both at schema 1, with rows.
fn before(journal: &str) -> State {
    let made = booted(&empty(), pair(Version::One, Version::One), &plain(), 1, 0);
    applied_to(OTHER, &applied(&made, journal, &[ROWS]), journal, &[OTHER_ROWS])
}

fn old() -> (Old, Old) {
    (
        Old::Whole(expected(Version::One, 1, &[ROWS])),
        Old::Whole(expected(Version::One, 1, &[OTHER_ROWS])),
    )
}

fn upgrade(firmware: Firmware, journal: &'static str) -> Scenario {
    let (main, other) = old();
    let end = new(expected(Version::Three, 1, &[ROWS]), journal);
    let companion =
        Some(Ends { old: other, new: Some((expected(Version::Three, 1, &[OTHER_ROWS]), journal)) });
    Scenario { snapshots_min: 1, companion, ..scenario(firmware, before(journal), main, vec![end]) }
}

pub(super) fn together() -> Scenario {
    upgrade(pair(Version::Three, Version::Three), "delete")
}

pub(super) fn wal() -> Scenario {
    upgrade(pair(Version::Three, Version::Three), "wal")
}

/// The other one is the first in the configuration.
pub(super) fn commits_last() -> Scenario {
    upgrade(catalogues::together(firmware(Version::Three, ""), Version::Three, true), "delete")
}

pub(super) fn first_boot() -> Scenario {
    let fresh = expected(Version::Three, 0, &[]);
    let companion = Some(Ends { old: Old::Absent, new: Some((fresh.clone(), "delete")) });
    Scenario {
        companion,
        ..scenario(
            pair(Version::Three, Version::Three),
            empty(),
            Old::Absent,
            vec![new(fresh, "delete")],
        )
    }
}

fn fails(firmware: Firmware) -> Scenario {
    let (main, other) = old();
    let companion = Some(Ends { old: other, new: None });
    let stands = scenario(firmware, before("delete"), main, vec![stays(&old_at_one(), &[19])]);
    Scenario { companion, exits: &[10, 19], quiet_by: 4, ..stands }
}

pub(super) fn second_fails() -> Scenario {
    fails(pair(Version::Three, Version::ThreeFails))
}

pub(super) fn first_fails() -> Scenario {
    fails(pair(Version::ThreeFails, Version::Three))
}

/// One is damaged and has a snapshot: what takes its place waits for the other, too.
pub(super) fn restore() -> Scenario {
    let state = broken_header(&with_snapshot_of(&before("delete")));
    let other =
        Ends { old: old().1, new: Some((expected(Version::Three, 1, &[OTHER_ROWS]), "delete")) };
    let mut scenario =
        damaged(pair(Version::Three, Version::Three), state, restored(Version::Three));
    scenario.snapshots.push(old_at_one());
    Scenario { companion: Some(other), ..scenario }
}

/// Nothing takes the damaged one's place before the other is there.
pub(super) fn restore_second_fails() -> Scenario {
    let scenario = restore();
    let companion = Some(Ends { old: old().1, new: None });
    let firmware = pair(Version::Three, Version::ThreeFails);
    Scenario {
        firmware,
        ends: Vec::new(),
        companion,
        exits: &[10, 19],
        stays: &[19],
        quiet_by: 5,
        ..scenario
    }
}

/// Of the two that are made for the first time the other cannot be; its file is there, and empty
/// but for the schema.
pub(super) fn first_boot_second_fails() -> Scenario {
    let made = booted(&empty(), pair(Version::One, Version::One), &plain(), 1, 0);
    let mut initial = applied_to(OTHER, &made, "delete", &[OTHER_ROWS]);
    // This one's database is new in the firmware: neither file nor state.
    initial.remove(MAIN);
    initial.remove(STATE);
    let companion = Some(Ends { old: old().1, new: None });
    let stands =
        scenario(pair(Version::Three, Version::ThreeFails), initial, Old::Absent, Vec::new());
    Scenario { companion, exits: &[10, 19], stays: &[19], quiet_by: 5, ..stands }
}
