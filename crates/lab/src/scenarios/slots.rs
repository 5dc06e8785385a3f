//! Owns the situations in which the power goes, and the other slot, an earlier release, boots first
//! on what is half done.
//! Promises: both slots' firmware is said; every dump that either may call usable is computed by
//! plain SQLite.
//! Never asks one of the two programs what is right.

use super::catalogues::{firmware, two_slots, Version};
use super::newer::{self, back_again, lived, to_three, Life, PLACES, WRITTEN};
use super::replaced;
use super::situations::{applied, cut_off, empty, expected, managed, LATER, ROWS};
use super::upgraded::{new, scenario};
use crate::firmware::Firmware;
use crate::scenario::{End, Old, Scenario};
use crate::sim::State;

/// Who made the situation before.
#[derive(Clone, Copy)]
pub enum Made {
    /// The scenario.
    Here,
    /// The earlier release's own first boot, and then this.
    ByTheEarlier(fn(&State) -> State),
}

/// Two slots and a situation.
#[derive(Clone)]
pub struct Slots {
    /// Its name on the command line.
    pub name: &'static str,
    /// The slot with today's code, whose run is cut; how it may end when that slot boots again.
    pub today: Scenario,
    /// What the earlier release carries.
    pub earlier: Firmware,
    /// What that one may call usable.
    pub earlier_ends: Vec<End>,
    /// The situation before.
    pub made: Made,
}

type Build = fn() -> Slots;

const ALL: &[(&str, Build)] = &[
    ("upgrade", upgrade),
    ("upgrade-wal-left", upgrade_wal_left),
    ("upgrade-hot-journal", upgrade_hot_journal),
    ("no-transaction", no_transaction),
    ("first-boot", first_boot),
    ("restore", restore),
    ("restore-forward", restore_forward),
    ("failing-purge", failing_purge),
    ("purge", purge),
    ("purge-wal-left", purge_wal_left),
    ("downgrade", downgrade),
];

/// Those whose name has this in it.
pub fn named(part: Option<&str>) -> Vec<Slots> {
    let exact = ALL.iter().any(|(name, _)| Some(*name) == part);
    let wanted =
        |name: &str| part.is_none_or(|part| if exact { name == part } else { name.contains(part) });
    ALL.iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, build)| Slots { name, ..build() })
        .collect()
}

fn slots(today: Scenario, earlier: Firmware, earlier_ends: Vec<End>) -> Slots {
    Slots { name: "", today, earlier, earlier_ends, made: Made::Here }
}

fn end(name: &'static str, text: String, loss: bool) -> End {
    End { name, loss, ..new(text, "delete") }
}

/// Up to this migration from the application's rows at schema 1, and then these.
fn life<'a>(texts: &[&'a str], then: &[Life<'a>]) -> String {
    let mut life = vec![Life::Up(1)];
    life.extend(texts.iter().map(|text| Life::Text(text)));
    life.extend_from_slice(then);
    lived(&life)
}

const FORWARD: [Life<'static>; 2] = [Life::Up(2), Life::Up(3)];
const BACK: [Life<'static>; 2] = [Life::Down(3), Life::Down(2)];

/// One migration there, three here. What was taken back is brought forward again.
fn upgrading(situation: State, texts: &[&'static str]) -> Slots {
    let old = life(texts, &[]);
    let ends = vec![
        end("new", life(texts, &FORWARD), false),
        end("forward again", life(texts, &[FORWARD, BACK, FORWARD].concat()), false),
    ];
    let earlier_ends = vec![
        end("old", old.clone(), false),
        end("back", life(texts, &[FORWARD, BACK].concat()), false),
    ];
    let today = scenario(two_slots(Version::Three, ""), situation, Old::Whole(old), ends);
    slots(today, two_slots(Version::One, ""), earlier_ends)
}

fn upgrade() -> Slots {
    let rows = |made: &State| applied(made, "delete", &[ROWS]);
    Slots { made: Made::ByTheEarlier(rows), ..upgrading(empty(), &[ROWS]) }
}

fn upgrade_wal_left() -> Slots {
    let left = |made: &State| cut_off(&applied(made, "wal", &[ROWS]), "wal", &[LATER]);
    Slots { made: Made::ByTheEarlier(left), ..upgrading(empty(), &[ROWS, LATER]) }
}

fn upgrade_hot_journal() -> Slots {
    let left = |made: &State| cut_off(&applied(made, "persist", &[ROWS]), "persist", &[LATER]);
    Slots { made: Made::ByTheEarlier(left), ..upgrading(empty(), &[ROWS, LATER]) }
}

/// VACUUM has no way back: once it is done the earlier release can only say so.
fn no_transaction() -> Slots {
    let made = managed(firmware(Version::One, ""), "delete");
    let old = expected(Version::One, 1, &[ROWS]);
    let ends = vec![end("new", expected(Version::ThreeVacuums, 1, &[ROWS]), false)];
    let today = scenario(two_slots(Version::ThreeVacuums, ""), made, Old::Whole(old.clone()), ends);
    slots(today, two_slots(Version::One, ""), vec![end("old", old, false)])
}

fn first_boot() -> Slots {
    let ends = vec![
        end("new", life(&[], &FORWARD), false),
        end("forward again", life(&[], &[FORWARD, BACK, FORWARD].concat()), false),
    ];
    let earlier_ends = vec![
        end("first", life(&[], &[]), false),
        end("back", life(&[], &[FORWARD, BACK].concat()), false),
    ];
    slots(
        scenario(two_slots(Version::Three, ""), empty(), Old::Absent, ends),
        two_slots(Version::One, ""),
        earlier_ends,
    )
}

/// The same scenario on a device with two slots.
fn in_a_slot(mut today: Scenario, version: Version, lines: &str) -> Scenario {
    today.firmware = two_slots(version, lines);
    today
}

/// Both releases have the same migrations.
fn restore() -> Slots {
    let ends = vec![end("restored", expected(Version::Two, 1, &[ROWS]), true)];
    slots(in_a_slot(replaced::restore(), Version::Two, ""), two_slots(Version::Two, ""), ends)
}

fn restore_forward() -> Slots {
    let mut today = in_a_slot(replaced::restore_forward(), Version::Three, "");
    let rest = |then: &[Life<'static>]| life(&[ROWS], &[&FORWARD, then].concat());
    today.ends.push(end("forward again", rest(&[Life::Down(3), Life::Up(3)]), true));
    let earlier_ends = vec![
        end("restored", expected(Version::Two, 1, &[ROWS]), true),
        end("back from the restored", rest(&[Life::Down(3)]), true),
    ];
    slots(today, two_slots(Version::Two, ""), earlier_ends)
}

/// Data that may be rebuilt: a migration that fails purges it, and what is newer is set aside.
fn failing_purge() -> Slots {
    let today_lines = "kind = \"rebuildable\"\nsnapshot = \"auto\"";
    // The earlier releases know the key by its former name alone.
    let earlier_lines = "kind = \"rebuildable\"\ncopy = \"auto\"";
    let today = in_a_slot(replaced::failing_purge(), Version::ThreeFails, today_lines);
    let earlier_ends =
        vec![end("old", life(&[ROWS], &[]), false), end("fresh", life(&[], &[]), true)];
    slots(today, two_slots(Version::One, earlier_lines), earlier_ends)
}

/// An operator asked for it; both releases have the same migration.
fn purge() -> Slots {
    let today = in_a_slot(replaced::purge(), Version::One, "");
    let ends = today.ends.clone();
    slots(today, two_slots(Version::One, ""), ends)
}

fn purge_wal_left() -> Slots {
    let today = in_a_slot(replaced::purge_wal_left(), Version::One, "");
    let ends = today.ends.clone();
    slots(today, two_slots(Version::One, ""), ends)
}

/// Today's code is in the slot with the older migrations, and takes the database back; the earlier
/// release has all three.
fn downgrade() -> Slots {
    let texts = [WRITTEN, PLACES];
    let mut today = newer::downgrade_reduced();
    let then = |then: &[Life<'static>]| lived(&[back_again(&texts), then.to_vec()].concat());
    today.ends.push(end("back again", then(&[FORWARD, BACK].concat()), true));
    let earlier_ends =
        vec![end("newer", lived(&to_three(&texts)), false), end("forward", then(&FORWARD), true)];
    slots(today, two_slots(Version::Three, ""), earlier_ends)
}
