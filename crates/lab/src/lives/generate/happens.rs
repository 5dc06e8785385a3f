//! Owns single events of a life: bursts of them, what an application writes, commands and damage.
//! Promises: the same draws give the same event.
//! Never decides how many there are.

use super::{EVENTS_MAX, LONG};
use crate::lives::product::{Asked, Damage, Event, Firmware, Product};
use crate::lives::rng::{Features, Rng};

/// Events whose order matters.
pub(super) fn burst(
    rng: &mut Rng,
    features: &Features,
    events: &mut Vec<Event>,
    (all, main): (usize, usize),
    database: usize,
) {
    let boot = |firmware: usize| Event::Boot { firmware, asked: Asked::Boot };
    let failing = if all > main { all - 1 } else { main - 1 };
    let write = |rng: &mut Rng| rows(rng, features, database);
    match rng.below(6) {
        // Forward, and perhaps good, and back.
        0 | 1 => {
            events.extend([boot(0), write(rng), boot(main - 1)]);
            if rng.chance(60) {
                events.push(Event::Boot { firmware: main - 1, asked: Asked::MarkGood });
            }
            events.extend([write(rng), boot(0)]);
        }
        // To and fro: what is set aside adds up.
        2 => {
            events.push(Event::Boot { firmware: main - 1, asked: Asked::Retry });
            for _ in 0..rng.between(2, 3) {
                events.extend([boot(0), write(rng), boot(main - 1)]);
            }
        }
        // The same firmware meets the same rows again and again.
        3 => {
            events.extend([boot(0), write(rng), Event::Keep { database }]);
            for _ in 0..rng.between(2, 4) {
                events.extend([boot(failing), Event::PutBack { database }]);
            }
            events.push(boot(failing));
        }
        // Without room first.
        4 => {
            events.extend([boot(0), write(rng)]);
            for _ in 0..rng.between(1, 3) {
                events.push(Event::Boot {
                    firmware: failing,
                    asked: Asked::Tight(*rng.pick(&[0, 60, 110, 220])),
                });
            }
            events.push(boot(failing));
        }
        // A try that fails leaves its copy; the record goes, and numbers are taken anew.
        _ => {
            events.extend([
                boot(0),
                write(rng),
                boot(failing),
                Event::Forget { database },
                write(rng),
                boot(failing),
                boot(main - 1),
            ]);
        }
    }
}

/// The last events of a life: a file is damaged, and boots follow.
pub(super) fn damaged(
    rng: &mut Rng,
    images: &[Firmware],
    main: usize,
    mut events: Vec<Event>,
    database: usize,
) -> Vec<Event> {
    events.truncate(EVENTS_MAX - 5);
    events.push(damage(rng, database));
    for _ in 0..rng.between(1, 3) {
        let firmware = if images.len() > main && rng.chance(20) {
            rng.between(main, images.len() - 1)
        } else {
            rng.below(main)
        };
        let asked = match rng.below(20) {
            0..=2 => Asked::PurgeAndRetry,
            3 => Asked::Migrate(true),
            _ => Asked::Boot,
        };
        events.push(Event::Boot { firmware, asked });
    }
    events
}

pub(super) fn rows(rng: &mut Rng, features: &Features, database: usize) -> Event {
    let journal = if features.wal && rng.chance(40) {
        Some(*rng.pick(&["wal", "wal", "delete", "truncate", "persist"]))
    } else {
        None
    };
    let killed = features.killed && rng.chance(40);
    let (careless, large) = (features.careless && rng.chance(60), features.large && rng.chance(60));
    Event::Rows {
        database,
        seed: rng.draw(),
        count: rng.between(1, 12),
        journal,
        killed,
        careless,
        large,
        fixed: None,
    }
}

pub(super) fn command(
    rng: &mut Rng,
    product: &Product,
    images: &[Firmware],
    (image, main): (usize, usize),
    database: usize,
) -> Event {
    let any = if images.len() > main && rng.chance(40) {
        rng.between(main, images.len() - 1)
    } else {
        image
    };
    let versions: Vec<i64> =
        product.databases[database].migrations.iter().map(|migration| migration.version).collect();
    // The word that nobody takes away matters most where it leads to nothing.
    let failing = if images.len() > main { images.len() - 1 } else { image };
    let (firmware, asked) = match rng.below(11) {
        0 => (any, Asked::Retry),
        1 => (any, Asked::PurgeAndRetry),
        2 => (any, Asked::Purge(database)),
        3 if !versions.is_empty() => (image, Asked::Rollback(database, *rng.pick(&versions))),
        4 => (image, Asked::MarkGood),
        5 => (image, Asked::SnapshotCreate),
        6 | 7 => {
            (failing, Asked::Word(format!("{}{}", rng.below(1_000_000), rng.pick(&["", LONG]))))
        }
        8 | 9 => (any, Asked::Migrate(rng.chance(50))),
        _ => (any, Asked::Rehearse),
    };
    Event::Boot { firmware, asked }
}

pub(super) fn damage(rng: &mut Rng, database: usize) -> Event {
    let damage =
        *rng.pick(&[Damage::Flip, Damage::Zero, Damage::Truncate, Damage::Stale, Damage::Gone]);
    Event::Damage { database, damage, seed: rng.draw() }
}
