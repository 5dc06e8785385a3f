//! Owns what a device may be after each event of a life: the state of each database, exit codes, ready files, and what must be said.
//! Promises: made from the product's texts and plain SQLite alone; each finding names the promise that is broken.
//! Never calls the device's code.

mod answers;
pub mod book;
pub mod harmed;
mod judge;
mod metrics;
mod policy;

use std::collections::BTreeMap;

pub use answers::Said;
use book::{Book, Entry};
pub use judge::{gravest, standing, Seen};
pub use metrics::metrics;
use policy::Policy;

use crate::judge::Bad;
use crate::lives::product::{Asked, Firmware, Harm, Part, Product};
use crate::lives::promise;
use crate::lives::world::Stands;

/// Failed tries after which a firmware is not tried again.
const TRIES: u32 = 3;
/// Why an operator's purge replaces a database.
const PURGE_ASKED: &str = "a purge was asked for";
/// Purges of one firmware.
const PURGES: u32 = 2;

/// A finding.
pub fn bad<T>(rule: &'static str, what: impl Into<String>) -> Result<T, Bad> {
    Err(Bad { rule, what: what.into() })
}

/// What a database is after an event.
pub enum After {
    /// As before.
    Same,
    /// This.
    Book(Box<Book>),
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
    pub book: Book,
    /// It was made since the last `mark-good`.
    pub trial: bool,
}

/// What is known of one database.
#[derive(Default)]
pub struct Known {
    /// Its content; `None` where there is no file.
    pub book: Option<Book>,
    /// Failed tries by catalogue.
    pub failed: BTreeMap<String, u32>,
    /// Fresh databases by catalogue.
    pub purged: BTreeMap<String, u32>,
    /// A run of ours has been there: its folder exists.
    pub ours: bool,
    /// The last operation has failed.
    pub failing: bool,
    /// The journal mode that it was last seen with.
    pub journal: String,
    /// Snapshots by file name.
    pub copies: BTreeMap<String, Copy>,
    /// The file was harmed: from here on less is known.
    pub harm: Option<Harm>,
    /// What somebody has remembered.
    pub kept: Option<Book>,
    /// A run has lost rows, and none has ended with 11 since: it waited for its group.
    pub unsaid: bool,
    /// The folder in quarantine of the last loss since `mark-good` that no operator asked for.
    pub loss: Option<String>,
}

/// What is known of the device.
pub struct Reference {
    /// In the order of the configuration.
    pub known: Vec<Known>,
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
    pub fn new(product: &Product) -> Reference {
        let known = product.databases.iter().map(|_| Known::default()).collect();
        let policies = product
            .databases
            .iter()
            .map(|database| Policy::of(database, product.two_slots))
            .collect();
        Reference { known, policies }
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
                    Asked::Purge(one) if *one == number => vec![view.purged()],
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
            let Some(group) = &self.policies[number].together else { continue };
            let others = |other: &usize| {
                *other != number && self.policies[*other].together.as_ref() == Some(group)
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
        known.ours = true;
        for name in &seen.copies {
            if let (false, Some(book)) = (known.copies.contains_key(name), known.book.as_ref()) {
                known.copies.insert(name.clone(), Copy { book: book.clone(), trial: true });
            }
        }
        known.copies.retain(|name, _| seen.copies.contains(name));
        match &way.after {
            After::Same => {}
            After::Book(book) => known.book = Some((**book).clone()),
            After::Carried => known.book = seen.observed(mine.to_vec()),
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

/// One database, as one image finds it.
struct View<'a> {
    known: &'a Known,
    policy: &'a Policy,
    part: &'a Part,
    database: &'a crate::lives::product::Database,
    mine: &'a [Entry],
}

impl View<'_> {
    fn run(&self, asked: &Asked) -> Vec<Allowed> {
        let Some(book) = &self.known.book else { return self.first_boot(asked) };
        let there = &book.entries;
        let common = there.iter().zip(self.mine).take_while(|(one, other)| one.is(other)).count();
        match (common == there.len(), common == self.mine.len()) {
            (true, true) => vec![Allowed::quiet(0, promise::QUIET, "the schema is this image's")],
            (true, false) => self.behind(book, asked),
            (false, true) => self.newer(book, common, asked),
            (false, false) => vec![Allowed::quiet(
                21,
                promise::RIGHT_REPAIR,
                "another migration stands under this number",
            )],
        }
    }

    /// Nothing is begun where less is free than a pending migration asks for; where there is more, a copy may still not fit.
    fn in_little_room(&self, percent: u64) -> Vec<Allowed> {
        let mut ways = self.run(&Asked::Boot);
        if ways.iter().all(|way| way.quiet) {
            return ways;
        }
        let there = self.known.book.as_ref().map_or(0, |book| book.entries.len());
        let pending = self.part.migrations(self.database).into_iter().skip(there);
        let asked = pending
            .filter_map(|migration| migration.directive("needs-space")?.parse::<f64>().ok())
            .fold(0.0, f64::max);
        let less = Allowed::quiet(
            14,
            promise::RIGHT_REPAIR,
            format!("{asked} of its size must be free, and {percent} % is"),
        );
        if (percent as f64) < asked * 100.0 {
            return vec![less];
        }
        ways.iter_mut().for_each(|way| (way.tight, way.quiet) = (true, false));
        ways.push(Allowed { quiet: false, ..less });
        ways
    }

    fn first_boot(&self, asked: &Asked) -> Vec<Allowed> {
        if self.used_up(asked) {
            return vec![Allowed::quiet(19, promise::NO_LOOP, "three tries have failed")];
        }
        match self.fresh() {
            Ok(book) => vec![Allowed::new(
                0,
                After::Book(Box::new(book)),
                promise::OLD_OR_NEW,
                "a first boot",
            )],
            Err(why) => {
                let failed = Allowed::new(
                    10,
                    After::Same,
                    promise::OLD_OR_NEW,
                    format!("a first boot fails: {}", why.0),
                );
                vec![Allowed { counted: true, exits: vec![10, 19], ..failed }]
            }
        }
    }

    fn used_up(&self, asked: &Asked) -> bool {
        matches!(asked, Asked::Boot)
            && self.known.failed.get(&fingerprint(self.mine)).is_some_and(|count| *count >= TRIES)
    }

    fn purged_often(&self) -> bool {
        self.known.purged.get(&fingerprint(self.mine)).is_some_and(|count| *count >= PURGES)
    }

    fn fresh(&self) -> Result<Book, book::Failed> {
        Book::empty().migrated(&self.part.migrations(self.database))
    }

    fn behind(&self, book: &Book, asked: &Asked) -> Vec<Allowed> {
        if self.used_up(asked) {
            return vec![Allowed::quiet(19, promise::NO_LOOP, "three tries have failed")];
        }
        let pending = self.part.migrations(self.database).split_off(book.entries.len());
        let why = match book.migrated(&pending) {
            Ok(book) => {
                return vec![Allowed::new(
                    0,
                    After::Book(Box::new(book)),
                    promise::OLD_OR_NEW,
                    "everything pending works",
                )]
            }
            Err(why) => why.0,
        };
        let stays =
            Allowed::new(10, After::Same, promise::OLD_OR_NEW, format!("a migration fails: {why}"));
        let mut ways = vec![Allowed { counted: true, ..stays }];
        if self.policy.purges_failure || *asked == Asked::PurgeAndRetry {
            // Where the fresh one cannot be made, or was made too often, the old one stays.
            match self.fresh() {
                Ok(_) if !self.purged_often() => {
                    ways = vec![self.replaced(book, &format!("a migration fails: {why}"))]
                }
                _ => ways[0].exits = vec![10, 19],
            }
        }
        ways
    }

    /// A fresh database with what `carry_over` keeps.
    fn replaced(&self, book: &Book, why: &str) -> Allowed {
        let nothing = book.counts().values().all(|count| *count == 0);
        let after = match self.fresh() {
            Ok(fresh) if self.policy.carries_nothing => After::Book(Box::new(fresh)),
            _ => After::Carried,
        };
        let exits = if nothing || !self.policy.carries_nothing { vec![0, 11] } else { vec![11] };
        Allowed {
            exits,
            set_aside: true,
            purges: true,
            ..Allowed::new(11, after, promise::NO_SILENT_LOSS, why)
        }
    }

    /// `purge --db NAME --yes`.
    fn purged(&self) -> Allowed {
        let why = PURGE_ASKED;
        match self.fresh() {
            Ok(fresh) => {
                let there = self.known.book.is_some();
                let exits = if there
                    && self
                        .known
                        .book
                        .as_ref()
                        .is_some_and(|book| book.counts().values().any(|count| *count > 0))
                {
                    vec![11]
                } else {
                    vec![0, 11]
                };
                let way =
                    Allowed::new(11, After::Book(Box::new(fresh)), promise::NO_SILENT_LOSS, why);
                Allowed { exits, set_aside: there, ..way }
            }
            Err(failed) => {
                let way = Allowed::new(
                    10,
                    After::Same,
                    promise::OLD_OR_NEW,
                    format!("{why}, and {}", failed.0),
                );
                Allowed { exits: vec![10, 19], counted: true, ..way }
            }
        }
    }

    fn newer(&self, book: &Book, common: usize, asked: &Asked) -> Vec<Allowed> {
        let target = self.mine.last().map_or(0, |entry| entry.version);
        let mut tried = false;
        for answer in &self.policy.on_newer {
            match answer.as_str() {
                "compatible"
                    if book.entries[common..].iter().all(|entry| {
                        entry.compatible_from.is_some_and(|oldest| oldest <= target)
                    }) =>
                {
                    return vec![Allowed::quiet(
                        0,
                        promise::NEWER,
                        "each newer migration is compatible with this image",
                    )];
                }
                // Its failures are counted as those of an upgrade.
                "downgrade" if self.used_up(asked) => {}
                "downgrade" => match self.gone_back(book, common) {
                    Some(Ok(way)) => return vec![way],
                    Some(Err(_)) => tried = true,
                    None => {}
                },
                "trial-snapshot" => {
                    let found = self
                        .known
                        .copies
                        .values()
                        .filter(|copy| copy.trial && copy.book.version() == target);
                    let ways: Vec<Allowed> = found
                        .map(|copy| {
                            let after = After::Book(Box::new(copy.book.clone()));
                            Allowed {
                                set_aside: true,
                                ..Allowed::new(11, after, promise::NEWER, "a snapshot on trial")
                            }
                        })
                        .collect();
                    if !ways.is_empty() {
                        return ways;
                    }
                }
                "purge" if self.purged_often() => {
                    return vec![Allowed::quiet(
                        19,
                        promise::NO_LOOP,
                        "two fresh databases were built",
                    )]
                }
                "purge" => {
                    return vec![Allowed {
                        why: (promise::NEWER, "rebuilt".into()),
                        ..self.replaced(book, "")
                    }]
                }
                _ => {}
            }
        }
        let refused = Allowed::quiet(12, promise::NEWER, "nothing of on_newer is possible");
        // A way back that leads elsewhere is tried before it is refused.
        vec![Allowed { quiet: !tried, counted: tried, ..refused }]
    }

    /// By the stored down SQL; `None` where a part of it is missing.
    fn gone_back(&self, book: &Book, to: usize) -> Option<Result<Allowed, String>> {
        let back = match book.gone_back(to)? {
            Ok(back) => back,
            Err(failed) => return Some(Err(failed.0)),
        };
        let fresh = match self.fresh() {
            Ok(fresh) => fresh,
            Err(failed) => return Some(Err(failed.0)),
        };
        if back.structure() != fresh.structure() {
            return Some(Err("it leads to another schema".into()));
        }
        let exits = policy::reduced(book, &back, &book.entries[to..]);
        let way =
            Allowed::new(0, After::Book(Box::new(back)), promise::NEWER, "the stored way back");
        Some(Ok(Allowed { exits, set_aside: true, ..way }))
    }

    /// `rollback --to`.
    fn rolled_back(&self, book: &Book, to: i64) -> Option<Result<Allowed, String>> {
        let place = book.entries.iter().position(|entry| entry.version == to)? + 1;
        self.gone_back(book, place)
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
        view.rolled_back(view.known.book.as_ref()?, to)
    }
}
