//! Owns the scenarios in which newer firmware was here: the way back by its stored down SQL or a
//! snapshot, and flips of the slots.
//! Promises: what must come out is computed by plain SQLite from the same texts; rows may be
//! missing only where the loss is said.
//! Never lets the newer files go: they are in quarantine wherever an older database stands.

use rusqlite::Connection;

use super::catalogues::{checksum, down_of, firmware, sql_of, two_slots, Version};
use super::situations::{applied, booted, cut_off, managed, ROWS};
use super::upgraded::scenario;
use crate::dump::take;
use crate::scenario::{plain, End, Old, Scenario};
use crate::sim::State;

/// What the application wrote under the newer firmware, and the older schema has room for.
pub(super) const WRITTEN: &str =
    "INSERT INTO sensor(id, name) VALUES (5, 'later'); UPDATE reading SET value = value + 70 WHERE \
     id < 9;";
/// And what it has none for.
pub(super) const PLACES: &str = "UPDATE sensor SET place = 'roof' WHERE id < 3;";

/// A step in a database's life.
#[derive(Clone, Copy)]
pub(super) enum Life<'a> {
    /// The migration with this number, from 1.
    Up(usize),
    /// Its way back.
    Down(usize),
    /// The application.
    Text(&'a str),
}

/// The dump of a database that has lived through this, by plain SQLite.
pub(super) fn lived(life: &[Life<'_>]) -> String {
    lived_with(Version::Three, life)
}

fn lived_with(version: Version, life: &[Life<'_>]) -> String {
    let connection = Connection::open_in_memory().unwrap();
    let run =
        |sql: &str| connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    run("PRAGMA foreign_keys = OFF");
    run("CREATE TABLE refinery_schema_history(version INTEGER PRIMARY KEY, name TEXT, applied_on \
         TEXT, checksum TEXT)");
    let all = sql_of(version);
    for migration in life {
        match migration {
            Life::Text(sql) => run(sql),
            Life::Up(number) => {
                let (name, sql) = all[number - 1];
                run(sql);
                run(&format!(
                    "INSERT INTO refinery_schema_history VALUES ({number}, '{name}', '', '{}')",
                    checksum(*number, name, sql)
                ));
            }
            Life::Down(number) => {
                run(down_of(all[number - 1].0).unwrap_or_default());
                run(&format!("DELETE FROM refinery_schema_history WHERE version = {number}"));
            }
        }
    }
    take(&connection).unwrap().text
}

pub(super) fn to_three(texts: &[&'static str]) -> Vec<Life<'static>> {
    let mut life = vec![Life::Up(1), Life::Text(ROWS), Life::Up(2), Life::Up(3)];
    life.extend(texts.iter().map(|text| Life::Text(text)));
    life
}

pub(super) fn back_again(texts: &[&'static str]) -> Vec<Life<'static>> {
    let mut life = to_three(texts);
    life.extend([Life::Down(3), Life::Down(2)]);
    life
}

/// Made by firmware 1, upgraded by firmware 3.
fn upgraded(journal: &str) -> State {
    let made = managed(firmware(Version::One, ""), journal);
    booted(&made, two_slots(Version::Three, ""), &plain(), 1, 0)
}

fn end(name: &'static str, text: String, loss: bool) -> End {
    End { name, text, journal: "delete", loss, exits: &[0], cuts: 0 }
}

/// Firmware 1 finds schema 3.
fn found(state: State, lines: &str, texts: &[&'static str], ends: Vec<End>) -> Scenario {
    let old = Old::Whole(lived(&to_three(texts)));
    let mut found = scenario(two_slots(Version::One, lines), state, old.clone(), ends);
    found.snapshots = vec![lived(&[Life::Up(1), Life::Text(ROWS)])];
    Scenario { exits: &[0, 11], quarantined: vec![old], quarantines_max: 1, ..found }
}

pub(super) fn downgrade() -> Scenario {
    let state = applied(&upgraded("delete"), "delete", &[WRITTEN]);
    let back = end("back", lived(&back_again(&[WRITTEN])), false);
    Scenario { exits: &[0], ..found(state, "", &[WRITTEN], vec![back]) }
}

pub(super) fn downgrade_reduced() -> Scenario {
    let state = applied(&upgraded("delete"), "delete", &[WRITTEN, PLACES]);
    let back = end("back, reduced", lived(&back_again(&[WRITTEN, PLACES])), true);
    found(state, "", &[WRITTEN, PLACES], vec![back])
}

pub(super) fn downgrade_wal_left() -> Scenario {
    let state = cut_off(&upgraded("wal"), "wal", &[WRITTEN]);
    let back = End { journal: "wal", ..end("back", lived(&back_again(&[WRITTEN])), false) };
    Scenario { exits: &[0], ..found(state, "", &[WRITTEN], vec![back]) }
}

/// The power goes while the older slot takes the database back, and the newer slot boots.
pub(super) fn downgrade_flip() -> Scenario {
    let mut scenario = downgrade_reduced();
    let mut forward = back_again(&[WRITTEN, PLACES]);
    forward.extend([Life::Up(2), Life::Up(3)]);
    scenario.snapshots.push(lived(&back_again(&[WRITTEN, PLACES])));
    scenario.ends.push(end("forward again", lived(&forward), true));
    scenario.ends.push(end("newer", lived(&to_three(&[WRITTEN, PLACES])), false));
    Scenario { after_cut: Some(two_slots(Version::Three, "")), ..scenario }
}

/// The power goes while the newer slot migrates, and the older slot boots: the old schema, or the
/// way back from the new one.
pub(super) fn upgrade_flip() -> Scenario {
    let made = managed(firmware(Version::One, ""), "delete");
    let old = lived(&[Life::Up(1), Life::Text(ROWS)]);
    let ends = vec![
        end("new", lived(&to_three(&[])), false),
        end("back", lived(&back_again(&[])), false),
        end("old", old.clone(), false),
    ];
    let mut flip = scenario(two_slots(Version::Three, ""), made, Old::Whole(old.clone()), ends);
    flip.snapshots = vec![old];
    flip.quarantined = vec![Old::Whole(lived(&to_three(&[])))];
    Scenario {
        after_cut: Some(two_slots(Version::One, "")),
        exits: &[0],
        quarantines_max: 1,
        ..flip
    }
}

/// Made by firmware 1, upgraded by a firmware 3 whose way back does not work; firmware 1 comes
/// back.
fn no_way_back(newer: Version, lines: &str) -> Scenario {
    let made = managed(firmware(Version::One, ""), "delete");
    let state = applied(&booted(&made, two_slots(newer, ""), &plain(), 1, 0), "delete", &[WRITTEN]);
    let text = lived_with(newer, &to_three(&[WRITTEN]));
    let stays = End { exits: &[12], ..end("newer", text.clone(), false) };
    let mut scenario =
        scenario(two_slots(Version::One, lines), state, Old::Whole(text.clone()), vec![stays]);
    scenario.snapshots = vec![lived(&[Life::Up(1), Life::Text(ROWS)])];
    Scenario {
        exits: &[12],
        quiet_by: 4,
        snapshots_min: 1,
        quarantined: vec![Old::Whole(text)],
        ..scenario
    }
}

/// Three tries, and then a read a boot.
pub(super) fn downgrade_fails() -> Scenario {
    no_way_back(Version::ThreeDownFails, "on_newer = [\"compatible\", \"downgrade\"]")
}

pub(super) fn downgrade_astray() -> Scenario {
    no_way_back(Version::ThreeDownAstray, "on_newer = [\"compatible\", \"downgrade\"]")
}

/// The next entry of `on_newer`.
pub(super) fn downgrade_fails_snapshot() -> Scenario {
    let mut scenario = no_way_back(
        Version::ThreeDownFails,
        "on_newer = [\"compatible\", \"downgrade\", \"trial-snapshot\"]",
    );
    scenario.ends = vec![end("own snapshot", lived(&[Life::Up(1), Life::Text(ROWS)]), true)];
    Scenario { exits: &[0, 11], quiet_by: 3, quarantines_max: 1, ..scenario }
}

pub(super) fn trial_snapshot() -> Scenario {
    let state = applied(&upgraded("delete"), "delete", &[WRITTEN]);
    let own = end("own snapshot", lived(&[Life::Up(1), Life::Text(ROWS)]), true);
    found(state, "on_newer = [\"compatible\", \"trial-snapshot\"]", &[WRITTEN], vec![own])
}
