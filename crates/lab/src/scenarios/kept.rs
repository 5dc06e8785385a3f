//! Owns the scenarios in which rows of a database that is replaced are kept: carried into a fresh
//! one, put aside, or saved from a damaged one.
//! Promises: which rows must be where is computed by plain SQLite, from the same texts and from the
//! damaged page's own keys.
//! Never lets a row vanish that was not on the page that the scenario damaged.

use rusqlite::{Connection, OpenFlags};

use super::catalogues::{checksum, firmware, sql_of, Version};
use super::replaced::broken_header;
use super::situations::{applied, cut_off, expected, managed, LATER, ROWS};
use super::upgraded::scenario;
use crate::dump::{bytes_hash, take};
use crate::firmware::MAIN;
use crate::scenario::Run;
use crate::scenario::{End, Old, Scenario};
use crate::sim::{Sim, State};

/// What somebody made by hand, and the third migration makes too.
const BY_HAND: &str = "CREATE TABLE sensor_new(x);";
/// Where the rows go that the third migration fails on, as they were at schema 1.
const ASIDE: &str = "CREATE TABLE \"lost_reading\"(/* rows of version 1, put aside by \
                     bootmigrate */ \"id\", \"sensor\", \"value\", \"note\"); CREATE TABLE \
                     \"lost_sensor\"(/* rows of version 1, put aside by bootmigrate */ \"id\", \
                     \"name\"); INSERT INTO lost_reading SELECT id, sensor, value, note FROM \
                     old.reading; INSERT INTO lost_sensor SELECT id, name FROM old.sensor;";

fn before(journal: &str) -> State {
    managed(firmware(Version::One, ""), journal)
}

fn end(name: &'static str, text: String, journal: &'static str, loss: bool) -> End {
    End { name, text, journal, loss, exits: &[0], cuts: 0 }
}

/// A precious database that is purged by its owner's word, and keeps its rows.
fn carrying(version: Version, state: State, old: String, end: End) -> Scenario {
    let journal = end.journal;
    // Started twice and cut off twice: the third start would be one too many, and the old database
    // stays.
    let stays = End { name: "old", text: old.clone(), journal, loss: false, exits: &[19], cuts: 2 };
    let old = Old::Whole(old);
    let carrying =
        scenario(firmware(version, "on_failure = \"purge\""), state, old.clone(), vec![end, stays]);
    Scenario { exits: &[0, 11], quarantined: vec![old], quarantines_max: 1, ..carrying }
}

/// Fails for what was made by hand, which a fresh database does not have: no row is lost.
pub(super) fn purge_carried() -> Scenario {
    let state = applied(&before("delete"), "delete", &[BY_HAND]);
    let new = end("carried", expected(Version::Three, 1, &[ROWS]), "delete", false);
    Scenario {
        exits: &[0],
        ..carrying(Version::Three, state, expected(Version::One, 1, &[ROWS, BY_HAND]), new)
    }
}

/// The same with rows that only a WAL has.
pub(super) fn purge_carried_wal_left() -> Scenario {
    let state = cut_off(&applied(&before("wal"), "wal", &[BY_HAND]), "wal", &[LATER]);
    let new = end("carried", expected(Version::Three, 1, &[ROWS, LATER]), "wal", false);
    Scenario {
        exits: &[0],
        ..carrying(Version::Three, state, expected(Version::One, 1, &[ROWS, BY_HAND, LATER]), new)
    }
}

/// The same where a file has one name.
pub(super) fn purge_carried_without_links() -> Scenario {
    let mut purge = purge_carried_wal_left();
    purge.options.links = false;
    purge
}

/// Fails on the rows themselves, of every table: they are put aside.
pub(super) fn purge_aside() -> Scenario {
    let connection = Connection::open_in_memory().unwrap();
    let run =
        |sql: &str| connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    run("PRAGMA foreign_keys = OFF; ATTACH ':memory:' AS old");
    run(&sql_of(Version::One)[0]
        .1
        .replace("CREATE TABLE ", "CREATE TABLE old.")
        .replace("CREATE INDEX ", "CREATE INDEX old."));
    run(&ROWS
        .replace("INTO sensor", "INTO old.sensor")
        .replace("INTO reading", "INTO old.reading"));
    run("CREATE TABLE refinery_schema_history(version INTEGER PRIMARY KEY, name TEXT, applied_on \
         TEXT, checksum TEXT)");
    for (index, (name, sql)) in sql_of(Version::ThreeFails).into_iter().enumerate() {
        run(sql);
        run(&format!(
            "INSERT INTO refinery_schema_history VALUES ({}, '{name}', '', '{}')",
            index + 1,
            checksum(index + 1, name, sql)
        ));
    }
    run(ASIDE);
    run("DETACH old");
    let aside = end("aside", take(&connection).unwrap().text, "delete", true);
    carrying(Version::ThreeFails, before("delete"), expected(Version::One, 1, &[ROWS]), aside)
}

/// Without a header there is no schema: its pages are read by that of this firmware.
pub(super) fn header_lost() -> Scenario {
    let state = broken_header(&before("delete"));
    let old = Old::Broken(bytes_hash(&state, MAIN));
    let new = end("salvaged", expected(Version::Two, 1, &[ROWS]), "delete", false);
    let mut salvage = scenario(firmware(Version::Two, ""), state, old.clone(), vec![new]);
    // Made when what was saved is migrated.
    salvage.snapshots.push(expected(Version::One, 1, &[ROWS]));
    Scenario { exits: &[0, 11], quarantined: vec![old], quarantines_max: 1, ..salvage }
}

/// The first leaf of `reading` is no page any more; a migration is pending, whose check finds it.
pub(super) fn salvage() -> Scenario {
    let mut state = before("delete");
    let last = damage_first_leaf(&mut state);
    let gone: &'static str =
        Box::leak(format!("DELETE FROM reading WHERE id <= {last};").into_boxed_str());
    // What the index on `value` knows of them.
    let known = format!(
        "CREATE TABLE \"lost_reading\"(/* rows of version 1, put aside by bootmigrate */ \"id\", \
         \"sensor\", \"value\", \"note\"); INSERT INTO lost_reading SELECT id, NULL, value, NULL \
         FROM reading WHERE id <= {last};"
    );
    let known: &'static str = Box::leak(known.into_boxed_str());
    let old = Old::Broken(bytes_hash(&state, MAIN));
    let new = end("salvaged", expected(Version::Two, 1, &[ROWS, known, gone]), "delete", true);
    let mut salvage = scenario(firmware(Version::Two, ""), state, old.clone(), vec![new]);
    // Made when what was saved is migrated.
    salvage.snapshots.push(expected(Version::One, 1, &[ROWS, known, gone]));
    Scenario { exits: &[0, 11], quarantined: vec![old], quarantines_max: 1, ..salvage }
}

/// The same for a bench: another file gets what can be read, and this one is as it was.
pub(super) fn salvage_for_a_bench() -> Scenario {
    Scenario { run: Run::Salvage, ..salvage() }
}

/// A scrub finds it and notes it; whatever becomes of the note, the boots after it repair as
/// without one, and it does not stay.
pub(super) fn scrubbed() -> Scenario {
    Scenario { run: Run::Scrub, ..salvage() }
}

/// Damages the first leaf of `reading`; the last row number on it, which its parent's first cell
/// tells.
fn damage_first_leaf(state: &mut State) -> u8 {
    const PAGE_BYTES: usize = 4096;
    let mut bytes = state.read_file(MAIN).unwrap_or_default();
    let sim = Sim::from_state(state);
    let connection = Connection::open_with_flags_and_vfs(
        MAIN,
        OpenFlags::SQLITE_OPEN_READ_WRITE,
        sim.vfs_name(),
    )
    .unwrap();
    let root: i64 = connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'reading'", [], |row| {
            row.get(0)
        })
        .unwrap();
    drop(connection);
    let root = (root as usize - 1) * PAGE_BYTES;
    assert_eq!(bytes[root], 5, "`reading` has more than one page");
    let cell = root + usize::from(u16::from_be_bytes([bytes[root + 12], bytes[root + 13]]));
    let leaf = u32::from_be_bytes([bytes[cell], bytes[cell + 1], bytes[cell + 2], bytes[cell + 3]])
        as usize;
    let last = bytes[cell + 4];
    assert!((1..24).contains(&last), "the key is one byte, and not the last one");
    bytes[(leaf - 1) * PAGE_BYTES] = 0x77;
    state.put_file(MAIN, &bytes);
    last
}
