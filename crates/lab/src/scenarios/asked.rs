//! Owns the scenarios of an operator's commands: snapshots made and restored, a rehearsal, a slot
//! that is marked good.
//! Promises: the situation before is one that boots have left; what a restore brings is computed by
//! plain SQLite.
//! Never allows a command to change rows that it was not asked to discard.

use bootmigrate::boot::BootRequest;
use bootmigrate::decide::facts::{Request, Snapshot};

use super::catalogues::{firmware, two_slots, Version};
use super::kept::salvage;
use super::newer::{lived, Life};
use super::replaced::{fails, restore_forward, restore_lost, restored, stays, with_snapshot};
use super::situations::{applied, booted, cut_off, expected, managed, LATER, ROWS};
use super::upgraded::{delete, new, scenario, take_over, wal_left};
use crate::firmware::MAIN;
use crate::scenario::Run;
use crate::scenario::{plain, End, Old, Scenario};
use crate::sim::State;

/// A file that a technician brings.
const BROUGHT: &str = "/data/service.db";

fn at_one(journal: &str) -> State {
    managed(firmware(Version::One, ""), journal)
}

/// Nothing is pending, and nothing is kept.
pub(super) fn snapshot_create() -> Scenario {
    let text = expected(Version::One, 1, &[ROWS]);
    let quiet = scenario(
        firmware(Version::One, ""),
        at_one("delete"),
        Old::Whole(text.clone()),
        vec![new(text, "delete")],
    );
    Scenario { run: Run::SnapshotCreate, ..quiet }
}

/// What the application wrote is in the WAL alone.
pub(super) fn snapshot_create_wal_left() -> Scenario {
    let text = expected(Version::One, 1, &[ROWS, LATER]);
    let state = cut_off(&at_one("wal"), "wal", &[LATER]);
    let quiet = scenario(
        firmware(Version::One, ""),
        state,
        Old::Whole(text.clone()),
        vec![new(text, "wal")],
    );
    Scenario { run: Run::SnapshotCreate, ..quiet }
}

/// One may be kept, and there is one: the older goes when the newer is there.
pub(super) fn snapshot_create_another() -> Scenario {
    let text = upgraded_and_later();
    let old = Old::Whole(text.clone());
    let mut quiet =
        scenario(firmware(Version::Two, ""), with_snapshot(), old, vec![new(text, "delete")]);
    quiet.snapshots.push(expected(Version::One, 1, &[ROWS]));
    Scenario { run: Run::SnapshotCreate, snapshots_min: 1, ..quiet }
}

/// What [`with_snapshot`] has made.
fn upgraded_and_later() -> String {
    lived(&[Life::Up(1), Life::Text(ROWS), Life::Up(2), Life::Text(LATER)])
}

fn restoring(state: State, end: End) -> Scenario {
    let text = upgraded_and_later();
    let old = Old::Whole(text.clone());
    let mut restore =
        scenario(firmware(Version::Two, ""), state, old.clone(), vec![end, stays(&text, &[0])]);
    restore.snapshots = vec![expected(Version::One, 1, &[ROWS])];
    Scenario { exits: &[0, 11], quarantined: vec![old], quarantines_max: 1, ..restore }
}

/// The snapshot of before the upgrade, migrated forward; the request does not come again after a
/// cut.
pub(super) fn snapshot_restore() -> Scenario {
    let state = with_snapshot();
    let name = state
        .walk()
        .into_iter()
        .find_map(|(path, _)| path.rsplit_once("/snapshots/v").map(|(_, name)| name.to_owned()));
    let numbers =
        name.as_deref().and_then(|name| name.strip_suffix(".db")?.split_once('-')).unwrap();
    let snapshot = Snapshot {
        version: numbers.0.parse().unwrap(),
        operation: numbers.1.parse().unwrap(),
        ..Snapshot::default()
    };
    let asked = BootRequest::of(Request::Restore(snapshot));
    Scenario { asked, ..restoring(state, restored(Version::Two)) }
}

/// A file that a technician has brought.
pub(super) fn snapshot_restore_file() -> Scenario {
    let brought =
        applied(&at_one("delete"), "delete", &[LATER]).read_file(MAIN).unwrap_or_default();
    let mut state = with_snapshot();
    state.put_file(BROUGHT, &brought);
    let end = End { text: expected(Version::Two, 1, &[ROWS, LATER]), ..restored(Version::Two) };
    let mut restore = restoring(state, end);
    restore.snapshots.push(expected(Version::One, 1, &[ROWS, LATER]));
    Scenario { run: Run::SnapshotRestore(BROUGHT), ..restore }
}

pub(super) fn rehearse() -> Scenario {
    Scenario { run: Run::Rehearse, ..delete() }
}

pub(super) fn rehearse_wal_left() -> Scenario {
    Scenario { run: Run::Rehearse, ..wal_left() }
}

/// Nothing of ours was here before.
pub(super) fn rehearse_take_over() -> Scenario {
    Scenario { run: Run::Rehearse, ..take_over() }
}

/// Its failure is not one of the three tries.
pub(super) fn rehearse_failing() -> Scenario {
    Scenario { run: Run::Rehearse, ..fails(Version::ThreeFails) }
}

/// What the next boot would repair is repaired on the copy alone: a snapshot in the place of a file
/// that is not SQLite's.
pub(super) fn rehearse_restore() -> Scenario {
    Scenario { run: Run::Rehearse, ..restore_forward() }
}

/// Where a snapshot cannot have a second name, it is copied.
pub(super) fn rehearse_without_links() -> Scenario {
    let mut rehearse = rehearse_restore();
    rehearse.options.links = false;
    rehearse
}

/// A file that is gone.
pub(super) fn rehearse_lost() -> Scenario {
    Scenario { run: Run::Rehearse, ..restore_lost() }
}

/// Rows saved past a damaged page.
pub(super) fn rehearse_salvage() -> Scenario {
    Scenario { run: Run::Rehearse, ..salvage() }
}

/// Upgraded twice on trial: the first snapshot and the newest are kept, and the first may go.
pub(super) fn mark_good() -> Scenario {
    let made = managed(two_slots(Version::One, ""), "delete");
    let two = booted(&made, two_slots(Version::Two, ""), &plain(), 1, 0);
    let state = booted(&two, two_slots(Version::Three, ""), &plain(), 1, 0);
    let text = expected(Version::Three, 1, &[ROWS]);
    let mut good = scenario(
        two_slots(Version::Three, ""),
        state,
        Old::Whole(text.clone()),
        vec![new(text, "delete")],
    );
    good.snapshots = vec![expected(Version::One, 1, &[ROWS]), expected(Version::Two, 1, &[ROWS])];
    Scenario { run: Run::MarkGood, snapshots_min: 1, ..good }
}
