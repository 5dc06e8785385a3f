//! Owns what a device may be after each event of a life: the state of each database, exit codes,
//! ready files, and what must be said.
//! Promises: made from the product's texts and plain SQLite alone; each finding names the promise
//! that is broken.
//! Never calls the device's code.

mod adopted;
mod answers;
pub mod damaged;
mod judge;
mod policy;
pub mod replica;
mod view;

use std::collections::BTreeMap;

pub use answers::{examined, Said};
pub use judge::{gravest, Seen};
use policy::Policy;
use replica::{Entry, Replica};
use view::View;

pub(crate) use crate::finding::bad;
use crate::lives::product::{Asked, Damage, Firmware, Product};
use crate::lives::promise;
use crate::lives::simulated::Stands;

/// Failed tries after which a firmware is not tried again.
const TRIES: u32 = 3;
/// Why an operator's purge replaces a database.
const PURGE_ASKED: &str = "a purge was asked for";
/// Purges of one firmware.
const PURGES: u32 = 2;

/// What a database is after an event.
pub enum After {
    /// As before.
    Same,
    /// This.
    Replica(Box<Replica>),
    /// At this image's version, with rows of the old one or of its migrations and no other.
    Carried,
}

/// One way in which an event may end for a database.
pub struct Allowed {
    /// Exit codes.
    pub exits: Vec<u8>,
    /// The database.
    pub after: After,
    /// Nothing is written.
    pub quiet: bool,
    /// A failed try is counted.
    pub counted: bool,
    /// The old files go to quarantine.
    pub set_aside: bool,
    /// There may be no room for a snapshot.
    pub tight: bool,
    /// It counts towards the bound on fresh databases.
    pub purges: bool,
    /// What stood there when the operation began, where that was written by the same run.
    pub stood: Option<Box<Replica>>,
    /// Which promise says so, and why in this case.
    pub why: (&'static str, String),
}

impl Allowed {
    fn new(exit: u8, after: After, rule: &'static str, why: impl Into<String>) -> Allowed {
        Allowed {
            exits: vec![exit],
            after,
            quiet: false,
            counted: false,
            set_aside: false,
            tight: false,
            purges: false,
            stood: None,
            why: (rule, why.into()),
        }
    }

    fn quiet(exit: u8, rule: &'static str, why: impl Into<String>) -> Allowed {
        Allowed { quiet: true, ..Allowed::new(exit, After::Same, rule, why) }
    }

    fn usable(&self) -> bool {
        self.exits.iter().all(|exit| matches!(exit, 0 | 11))
    }
}

/// A snapshot that was made.
pub struct Copy {
    /// What is in it.
    pub replica: Replica,
    /// It was made since the last `mark-good`.
    pub trial: bool,
}

/// What is known of one database.
#[derive(Default)]
pub struct Known {
    /// Its content; `None` where there is no file.
    pub replica: Option<Replica>,
    /// Failed tries by catalogue.
    pub failed: BTreeMap<String, u32>,
    /// Fresh databases by catalogue.
    pub purged: BTreeMap<String, u32>,
    /// Its record was lost, and no run has ended well since.
    pub lost_record: bool,
    /// A run of ours has been there: its folder exists.
    pub ours: bool,
    /// The last operation has failed.
    pub failing: bool,
    /// The journal mode that it was last seen with.
    pub journal: String,
    /// Snapshots by file name.
    pub copies: BTreeMap<String, Copy>,
    /// The file was damaged: from here on less is known.
    pub damage: Option<Damage>,
    /// Rows of each table that plain SQLite could read of the damaged file.
    pub readable: BTreeMap<String, u64>,
    /// Another tool's version, which is not taken over yet; `None` in it where that tool was cut
    /// off.
    pub foreign: Option<Option<i64>>,
    /// What somebody has remembered.
    pub kept: Option<Replica>,
    /// A run has lost rows, and none has ended with 11 since: it waited for its group.
    pub unsaid: bool,
    /// The folder in quarantine of the last loss since `mark-good` that no operator asked for.
    pub loss: Option<String>,
}

impl Known {
    /// The record is lost, and with it what was tried, what is good, and what was not said.
    pub fn forgotten(&mut self) {
        (self.failed, self.purged) = (BTreeMap::new(), BTreeMap::new());
        (self.ours, self.failing, self.unsaid) = (false, false, false);
        self.copies.values_mut().for_each(|copy| copy.trial = true);
        self.loss = None;
        self.lost_record = true;
    }
}

/// What is known of the device.
pub struct Reference {
    /// In the order of the configuration.
    pub known: Vec<Known>,
    /// No image has other line ends than another.
    exact: bool,
    policies: Vec<Policy>,
}

/// The catalogue in one text: tries are counted for it.
fn fingerprint(mine: &[Entry]) -> String {
    mine.iter()
        .map(|entry| format!("{}\n{}\n{}\n", entry.version, entry.name, entry.text))
        .collect()
}

impl Reference {
    /// A device from the factory.
    pub fn new(product: &Product, images: &[Firmware]) -> Reference {
        let exact = !images.iter().any(|image| image.turned);
        let known = product.databases.iter().map(|_| Known::default()).collect();
        let policies = product
            .databases
            .iter()
            .map(|database| Policy::of(database, product.two_slots))
            .collect();
        Reference { known, exact, policies }
    }

    /// Every way in which a run may end, database by database.
    pub fn allowed(&self, product: &Product, image: &Firmware, asked: &Asked) -> Vec<Vec<Allowed>> {
        let each = image.parts.iter().zip(&product.databases).enumerate();
        let mut all: Vec<Vec<Allowed>> = each
            .map(|(number, (part, database))| {
                let mine: Vec<Entry> =
                    part.migrations(database).into_iter().map(Entry::of).collect();
                let view = View {
                    known: &self.known[number],
                    policy: &self.policies[number],
                    part,
                    database,
                    mine: &mine,
                };
                match asked {
                    Asked::Purge(one) if *one == number && !database.nowhere => vec![view.purged()],
                    // Of another member of its group: nothing was asked of this one.
                    Asked::Purge(_) => view.run(&Asked::Boot),
                    Asked::Tight(percent) => view.in_little_room(*percent),
                    _ => view.run(asked),
                }
            })
            .collect();
        for (known, ways) in self.known.iter().zip(&mut all) {
            for way in ways.iter_mut().filter(|way| known.unsaid && way.usable()) {
                (way.exits, way.quiet, way.why.1) =
                    (vec![11], false, format!("{}, and a loss was not yet said", way.why.1));
            }
        }
        self.wait_for_each_other(&mut all);
        all
    }

    /// Members of a group begin together or not at all.
    fn wait_for_each_other(&self, all: &mut [Vec<Allowed>]) {
        let stuck: Vec<bool> =
            all.iter().map(|ways| ways.iter().all(|way| !way.usable())).collect();
        for number in 0..all.len() {
            let Some(group) = &self.policies[number].group else { continue };
            let others = |other: &usize| {
                *other != number && self.policies[*other].group.as_ref() == Some(group)
            };
            if !(0..all.len()).filter(others).any(|other| stuck[other]) {
                continue;
            }
            if matches!(all[number].first(), Some(way) if way.why.1 == PURGE_ASKED) {
                // An operator named it: it does not wait, but its application does.
                all[number][0].exits.push(3);
                continue;
            }
            let waits = Allowed::new(
                3,
                After::Same,
                promise::SAYS,
                "it goes together with one that is not usable",
            );
            if stuck[number] {
                all[number].push(waits);
            } else {
                all[number] = vec![waits];
            }
        }
    }

    /// `run --retry` forgets them.
    pub fn forget_tries(&mut self, number: usize, mine: &[Entry]) {
        self.known[number].failed.remove(&fingerprint(mine));
    }

    /// A try of this catalogue was counted since they were forgotten.
    pub fn has_failed(&self, number: usize, mine: &[Entry]) -> bool {
        self.known[number].failed.contains_key(&fingerprint(mine))
    }

    /// What is known now that a run has ended in this way.
    pub fn ended(&mut self, number: usize, mine: &[Entry], way: &Allowed, seen: &Seen<'_>) {
        let known = &mut self.known[number];
        let print = fingerprint(mine);
        // The first run that ends well makes the record again.
        known.lost_record &= !matches!(seen.exit, 0 | 11);
        known.ours = !known.lost_record;
        if !matches!(way.after, After::Same) {
            known.foreign = None;
        }
        if let Some(stood) = &way.stood {
            known.replica = Some((**stood).clone());
        }
        known.learn(seen.copies.clone());
        match &way.after {
            After::Same => {}
            After::Replica(replica) => known.replica = Some((**replica).clone()),
            After::Carried => known.replica = seen.observed(mine.to_vec()),
        }
        if way.counted {
            *known.failed.entry(print.clone()).or_default() += 1;
        } else if matches!(seen.exit, 0 | 11) && !way.quiet {
            known.failed.remove(&print);
        }
        if way.purges {
            *known.purged.entry(print).or_default() += 1;
        }
        known.failing = match (way.counted, seen.exit) {
            (true, _) => true,
            (false, 0 | 11) if !way.quiet => false,
            _ => known.failing,
        };
        known.unsaid = match seen.exit {
            0 | 11 => false,
            _ => known.unsaid || seen.data_loss,
        };
        if let (11, Some(folder), false) = (seen.exit, &seen.folder, way.why.1 == PURGE_ASKED) {
            known.loss = Some(folder.clone());
        }
        if let Stands::Whole(whole) = seen.stands {
            known.journal.clone_from(&whole.journal);
        }
    }
}

impl Reference {
    /// How `rollback` may end: the way that it leads, or why it cannot.
    pub fn rollback(
        &self,
        product: &Product,
        image: &Firmware,
        number: usize,
        to: i64,
    ) -> Option<Result<Allowed, String>> {
        let (part, database) = (&image.parts[number], &product.databases[number]);
        let known = part.migrations(database);
        let place = known.iter().position(|migration| migration.version == to)? + 1;
        let mut shorter = part.clone();
        if place <= part.known {
            (shorter.known, shorter.own) = (place, None);
        }
        let mine: Vec<Entry> = shorter.migrations(database).into_iter().map(Entry::of).collect();
        let view = View {
            known: &self.known[number],
            policy: &self.policies[number],
            part: &shorter,
            database,
            mine: &mine,
        };
        view.rolled_back(view.known.replica.as_ref()?, to)
    }
}
