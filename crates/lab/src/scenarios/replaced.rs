//! Owns the scenarios in which a migration fails or a file is damaged: tries, purges, restores, new
//! indexes.
//! Promises: rows may be missing only where the scenario's policy or request names the loss.
//! Never leaves it open whether a loss is one.

use bootmigrate::boot::BootRequest;
use bootmigrate::decide::facts::Request;
use rusqlite::{Connection, OpenFlags};

use super::catalogues::{firmware, Version};
use super::situations::{applied, booted, cut_off, expected, managed, AUTO_VACUUM, LATER, ROWS};
use super::upgraded::{new, scenario};
use crate::dump::bytes_hash;
use crate::firmware::{Firmware, MAIN};
use crate::scenario::{plain, End, Old, Scenario};
use crate::sim::state::STORAGE;
use crate::sim::{Sim, State};

/// Enough for records and journals, and too little for a second database.
const ROOM_FOR_NO_COPY_BYTES: u64 = 36 << 10;
/// Repairs the data that the migration breaks a constraint on.
const MEND: &str = "DELETE FROM sensor WHERE id > 1; DELETE FROM reading WHERE sensor > 1;";

fn before(journal: &str) -> State {
    managed(firmware(Version::One, ""), journal)
}

pub(super) fn old_at_one() -> String {
    expected(Version::One, 1, &[ROWS])
}

pub(super) fn stays(text: &str, exits: &'static [u8]) -> End {
    End { name: "old", text: text.to_owned(), journal: "delete", loss: false, exits, cuts: 0 }
}

fn fresh(version: Version) -> End {
    End {
        name: "fresh",
        text: expected(version, 0, &[]),
        journal: "delete",
        loss: true,
        exits: &[0],
        cuts: 0,
    }
}

fn with_token(request: Request, token: &str) -> BootRequest {
    BootRequest { token: token.to_owned(), ..BootRequest::of(request) }
}

pub(super) fn fails(version: Version) -> Scenario {
    let old = old_at_one();
    let failing = scenario(
        firmware(version, ""),
        before("delete"),
        Old::Whole(old.clone()),
        vec![stays(&old, &[19])],
    );
    // Three tries fail, and the fourth boot reads and refuses.
    Scenario { exits: &[10, 19], quiet_by: 4, ..failing }
}

pub(super) fn failing() -> Scenario {
    fails(Version::ThreeFails)
}

/// Refused at its statement: the history is not the migrations'.
pub(super) fn writes_history() -> Scenario {
    fails(Version::TwoWritesHistory)
}

/// Refused before COMMIT.
pub(super) fn breaks_view() -> Scenario {
    fails(Version::TwoBreaksView)
}

/// The same.
pub(super) fn refers_to_nothing() -> Scenario {
    fails(Version::TwoRefersToNothing)
}

/// Its Rust has written when it fails.
pub(super) fn code_fails() -> Scenario {
    fails(Version::ThreeInCodeFails)
}

pub(super) fn failing_foreign_keys() -> Scenario {
    fails(Version::ThreeBreaksForeignKeys)
}

pub(super) fn retry() -> Scenario {
    let used_up = booted(&before("delete"), firmware(Version::ThreeFails, ""), &plain(), 3, 10);
    let state = applied(&used_up, "delete", &[MEND]);
    let old = expected(Version::One, 1, &[ROWS, MEND]);
    let ends =
        vec![stays(&old, &[19]), new(expected(Version::ThreeFails, 1, &[ROWS, MEND]), "delete")];
    let mut scenario = scenario(firmware(Version::ThreeFails, ""), state, Old::Whole(old), ends);
    // The failed tries made theirs before the data was repaired.
    scenario.snapshots.push(old_at_one());
    Scenario { asked: with_token(Request::Retry, ""), exits: &[0, 19], ..scenario }
}

/// A failing migration of data that may be rebuilt; the snapshot before it is wanted all the same.
fn purging(version: Version, state: State, old: String) -> Scenario {
    let lines = "kind = \"rebuildable\"\nsnapshot = \"auto\"";
    let old = Old::Whole(old);
    let purging = scenario(firmware(version, lines), state, old.clone(), vec![fresh(version)]);
    let mut purging =
        Scenario { exits: &[0, 11], quarantined: vec![old], quarantines_max: 1, ..purging };
    // Started twice and cut off twice: the third start would be one too many, and the old database
    // stays.
    let Old::Whole(text) = &purging.old else { return purging };
    purging.ends.push(End { cuts: 2, ..stays(text, &[19]) });
    purging
}

pub(super) fn failing_purge() -> Scenario {
    purging(Version::ThreeFails, before("delete"), old_at_one())
}

/// The reason fills more than a sector of the record, so that a torn update is half of one and half
/// of another.
pub(super) fn failing_purge_at_length() -> Scenario {
    purging(Version::ThreeFailsAtLength, before("delete"), old_at_one())
}

pub(super) fn failing_purge_wal_left() -> Scenario {
    let mut purging = purging(
        Version::ThreeFails,
        cut_off(&before("wal"), "wal", &[LATER]),
        expected(Version::One, 1, &[ROWS, LATER]),
    );
    purging.ends.iter_mut().for_each(|end| end.journal = "wal");
    purging
}

/// Nothing but nonsense where the header was.
pub(super) fn broken_header(state: &State) -> State {
    let mut bytes = state.read_file(MAIN).unwrap_or_default();
    bytes.iter_mut().take(64).for_each(|byte| *byte ^= 0x5a);
    let mut state = state.clone();
    state.put_file(MAIN, &bytes);
    state
}

/// Its header is broken, and nothing behind it is a page any more.
fn no_page_left(state: &State) -> State {
    let mut state = broken_header(state);
    let mut bytes = state.read_file(MAIN).unwrap_or_default();
    bytes.iter_mut().skip(64).for_each(|byte| *byte ^= 0xa5);
    state.put_file(MAIN, &bytes);
    state
}

pub(super) fn damaged(firmware: Firmware, state: State, end: End) -> Scenario {
    let old = Old::Broken(bytes_hash(&state, MAIN));
    let damaged = scenario(firmware, state, old.clone(), vec![end]);
    Scenario { exits: &[0, 11], quarantined: vec![old], quarantines_max: 1, ..damaged }
}

pub(super) fn purge_and_retry_corrupt() -> Scenario {
    let asked = with_token(Request::PurgeAndRetry, "service-1");
    let damaged =
        damaged(firmware(Version::Two, ""), no_page_left(&before("delete")), fresh(Version::Two));
    Scenario { asked: asked.clone(), again: asked, ..damaged }
}

/// An operator at the console: the request does not come again after a cut.
pub(super) fn purge() -> Scenario {
    let old = old_at_one();
    let ends = vec![fresh(Version::One), stays(&old, &[0])];
    let purge =
        scenario(firmware(Version::One, ""), before("delete"), Old::Whole(old.clone()), ends);
    let asked = with_token(Request::Purge, "");
    Scenario {
        asked,
        exits: &[0, 11],
        quarantined: vec![Old::Whole(old)],
        quarantines_max: 1,
        ..purge
    }
}

/// The old database has rows that only its WAL holds: the WAL must not stand beside the new main,
/// and goes to quarantine with the old one.
pub(super) fn purge_wal_left() -> Scenario {
    let old = expected(Version::One, 1, &[ROWS, LATER]);
    let mut purge = purge();
    purge.initial = cut_off(&before("wal"), "wal", &[LATER]);
    purge.ends[0].journal = "wal";
    purge.ends[1] = End { journal: "wal", ..stays(&old, &[0]) };
    purge.snapshots = vec![old.clone()];
    purge.quarantined = vec![Old::Whole(old.clone())];
    Scenario { old: Old::Whole(old), ..purge }
}

/// On a file system where a file has one name: the old files are copied into quarantine.
pub(super) fn purge_without_links() -> Scenario {
    let mut purge = purge_wal_left();
    purge.options.links = false;
    purge
}

/// A marker that nobody removes: it is there at every boot, and honoured once.
pub(super) fn purge_token() -> Scenario {
    let asked = with_token(Request::Purge, "service-2");
    let mut purge = purge();
    purge.ends.truncate(1);
    Scenario { asked: asked.clone(), again: asked, ..purge }
}

/// Upgraded once, so that there is a snapshot of schema 1; the application went on; then the file
/// broke.
pub(super) fn with_snapshot() -> State {
    with_snapshot_of(&before("delete"))
}

pub(super) fn with_snapshot_of(before: &State) -> State {
    let upgraded = booted(before, firmware(Version::Two, ""), &plain(), 1, 0);
    applied(&upgraded, "delete", &[LATER])
}

pub(super) fn restored(version: Version) -> End {
    End {
        name: "restored",
        text: expected(version, 1, &[ROWS]),
        journal: "delete",
        loss: true,
        exits: &[0],
        cuts: 0,
    }
}

pub(super) fn restore() -> Scenario {
    let state = broken_header(&with_snapshot());
    let mut scenario = damaged(firmware(Version::Two, ""), state, restored(Version::Two));
    scenario.snapshots.push(old_at_one());
    scenario
}

pub(super) fn restore_forward() -> Scenario {
    let state = broken_header(&with_snapshot());
    let mut scenario = damaged(firmware(Version::Three, ""), state, restored(Version::Three));
    scenario.snapshots.push(old_at_one());
    scenario
}

/// A migration fails on a row that was written since the snapshot before the last upgrade, and the
/// product's hook asks for that snapshot.
pub(super) fn failing_goes_back() -> Scenario {
    let (lines, bad) = ("snapshots_max = 2", "INSERT INTO sensor VALUES (5, 'later');");
    let upgraded = booted(
        &applied(&before("delete"), "delete", &[MEND]),
        firmware(Version::Two, lines),
        &plain(),
        1,
        0,
    );
    let old = expected(Version::Two, 1, &[ROWS, MEND, bad]);
    let end = End {
        text: expected(Version::ThreeFailsAndGoesBack, 1, &[ROWS, MEND]),
        ..restored(Version::Two)
    };
    let state = applied(&upgraded, "delete", &[bad]);
    let mut failing = scenario(
        firmware(Version::ThreeFailsAndGoesBack, lines),
        state,
        Old::Whole(old.clone()),
        vec![end],
    );
    failing.snapshots.push(expected(Version::One, 1, &[ROWS, MEND]));
    // What the policy says: each try makes a copy, and of copies two are kept, so that after the
    // second cut the one from before the upgrade may have gone; or there is no room to restore it
    // in three tries.
    failing.ends.push(stays(&old, &[19]));
    Scenario {
        exits: &[0, 10, 11, 19],
        quiet_by: 4,
        quarantined: vec![Old::Whole(old)],
        quarantines_max: 1,
        ..failing
    }
}

/// No room for a copy: the broken one stays until there is.
pub(super) fn restore_no_room() -> Scenario {
    let mut scenario = restore_forward();
    let used = scenario.initial.clone().swept().used_bytes(STORAGE);
    scenario.options.total_bytes = Some(used + ROOM_FOR_NO_COPY_BYTES);
    Scenario { exits: &[14], ends: Vec::new(), stays: &[14], snapshots_min: 0, ..scenario }
}

pub(super) fn restore_lost() -> Scenario {
    lost(with_snapshot())
}

/// Its snapshot has a pointer map, of which a check says the same whether it is damaged or cannot
/// be read.
pub(super) fn restore_lost_auto_vacuum() -> Scenario {
    lost(with_snapshot_of(&applied(&before("delete"), "delete", &[AUTO_VACUUM])))
}

fn lost(mut state: State) -> Scenario {
    state.remove(MAIN);
    let mut scenario = damaged(firmware(Version::Two, ""), state, restored(Version::Two));
    (scenario.old, scenario.quarantined) = (Old::Absent, vec![Old::Absent]);
    scenario.snapshots.push(old_at_one());
    scenario
}

/// The snapshot is broken too: nothing may take the file's place.
pub(super) fn bad_snapshot() -> Scenario {
    let mut state = no_page_left(&with_snapshot());
    let name = state
        .walk()
        .into_iter()
        .map(|(path, _)| path)
        .find(|path| path.contains("/snapshots/v"))
        .unwrap();
    let mut bytes = state.read_file(&name).unwrap_or_default();
    // Of page 2 on, nothing is a page any more.
    bytes.iter_mut().skip(4096).step_by(7).for_each(|byte| *byte ^= 0x33);
    state.put_file(&name, &bytes);
    let old = Old::Broken(bytes_hash(&state, MAIN));
    let mut scenario = scenario(firmware(Version::Two, ""), state, old, Vec::new());
    (scenario.exits, scenario.stays, scenario.quiet_by) = (&[17], &[17], 1);
    scenario.snapshots_are_checked = false;
    scenario
}

/// The root page of an index is no page any more; a migration is pending, whose check finds it.
pub(super) fn reindex() -> Scenario {
    let state = before("delete");
    let sim = Sim::from_state(&state);
    let connection = Connection::open_with_flags_and_vfs(
        MAIN,
        OpenFlags::SQLITE_OPEN_READ_WRITE,
        sim.vfs_name(),
    )
    .unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'reading_by_value'";
    let root: i64 = connection.query_row(root, [], |row| row.get(0)).unwrap();
    drop(connection);
    let mut bytes = state.read_file(MAIN).unwrap_or_default();
    bytes[(root as usize - 1) * 4096] = 0x77;
    let mut state = state;
    state.put_file(MAIN, &bytes);
    let mut scenario = damaged(
        firmware(Version::Two, ""),
        state,
        new(expected(Version::Two, 1, &[ROWS]), "delete"),
    );
    scenario.exits = &[0];
    scenario.snapshots.push(old_at_one());
    scenario
}

/// Newer firmware was here; this one boots after it.
fn came_back(newer: Version, lines: &str) -> Scenario {
    let state = booted(&before("delete"), firmware(newer, ""), &plain(), 1, 0);
    let text = expected(newer, 1, &[ROWS]);
    let ends = vec![stays(&text, &[12])];
    let mut scenario = scenario(firmware(Version::One, lines), state, Old::Whole(text), ends);
    scenario.snapshots = vec![old_at_one()];
    Scenario { exits: &[12], quiet_by: 1, ..scenario }
}

pub(super) fn newer() -> Scenario {
    came_back(Version::Three, "on_newer = [\"compatible\"]")
}

pub(super) fn newer_compatible() -> Scenario {
    let mut scenario = came_back(Version::ThreeCompatible, "");
    scenario.ends[0].exits = &[0];
    Scenario { exits: &[0], quiet_by: 2, ..scenario }
}

/// Set aside and rebuilt for this firmware.
pub(super) fn newer_rebuildable() -> Scenario {
    let scenario = came_back(Version::Three, "kind = \"rebuildable\"\non_newer = [\"purge\"]");
    let quarantined = vec![scenario.old.clone()];
    let mut ends = vec![fresh(Version::One)];
    // Started twice and cut off twice: the third start would be one too many, and the newer one
    // stays.
    if let Old::Whole(text) = &scenario.old {
        ends.push(End { cuts: 2, ..stays(text, &[19]) });
    }
    Scenario { ends, exits: &[0, 11], quiet_by: 3, quarantined, quarantines_max: 1, ..scenario }
}
