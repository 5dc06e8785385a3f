//! Owns what commands and the files on /run must answer where the reference knows the state of each
//! database.
//! Promises: `status --json` and the published report are compared with the run before them, and
//! with the replica.
//! Never calls the device's code.

use serde_json::Value;

use super::judge::gravest;
use super::policy::Policy;
use super::view::View;
use super::{bad, After, Allowed, Copy, Known, Reference, TRIES};
use crate::finding::Bad;
use crate::lives::product::{Asked, Firmware, Product};
use crate::lives::promise;
use crate::lives::reference::fingerprint;
use crate::lives::reference::replica::Entry;

/// A database's own part of a document.
fn part<'v>(document: &'v Value, name: &str) -> Option<&'v Value> {
    document
        .get("databases")?
        .as_array()?
        .iter()
        .find(|one| one.get("name").and_then(Value::as_str) == Some(name))
}

fn number(value: &Value, field: &str) -> Option<i64> {
    value.get(field).and_then(Value::as_i64)
}

/// `doctor --json` ends with the gravest of its databases.
///
/// # Errors
/// It does not.
pub fn examined(exit: u8, document: &Value) -> Result<(), Bad> {
    let each = document.get("databases").and_then(Value::as_array).into_iter().flatten();
    let exits: Vec<u8> = each
        .filter_map(|one| number(one, "exit").and_then(|exit| u8::try_from(exit).ok()))
        .collect();
    let gravest = gravest(exits.iter().copied());
    if exit == gravest && number(document, "exit") == Some(i64::from(gravest)) {
        return Ok(());
    }
    bad(
        promise::SAYS,
        format!(
            "doctor exits {exit}, says {:?}, and its databases say {exits:?}",
            document.get("exit")
        ),
    )
}

/// What the run before said of one database.
pub struct Said {
    /// Its exit code.
    pub exit: u8,
    /// It may be opened.
    pub usable: bool,
}

impl Reference {
    /// `status --json` after a run agrees with it.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn status(
        &self,
        product: &Product,
        image: &Firmware,
        runs: &[Option<Said>],
        document: &Value,
    ) -> Result<(), Bad> {
        for (place, run) in runs.iter().enumerate() {
            let (Some(run), database, None) =
                (run, &product.databases[place], self.known[place].damage)
            else {
                continue;
            };
            let Some(found) = part(document, &database.name) else {
                return bad(promise::SAYS, format!("status --json has no {}", database.name));
            };
            let mine: Vec<Entry> =
                image.parts[place].migrations(database).into_iter().map(Entry::of).collect();
            let known = &self.known[place];
            let tries = known.failed.get(&fingerprint(&mine)).copied().unwrap_or(0);
            let expected = self.exits_of_status((product, image), place, run.exit, tries);
            let exit = number(found, "exit");
            if !exit.is_some_and(|exit| expected.contains(&exit)) {
                return bad(
                    promise::SAYS,
                    format!(
                        "{}: the run exits {}, and then status says {exit:?}",
                        database.name, run.exit
                    ),
                );
            }
            if found.get("ready").and_then(Value::as_bool) != Some(run.usable) {
                return bad(
                    promise::SAYS,
                    format!(
                        "{}: exit {}, and status says ready: {:?}",
                        database.name,
                        run.exit,
                        found.get("ready")
                    ),
                );
            }
            let version = known.replica.as_ref().map(|replica| replica.version());
            let said = number(found, "version");
            if version.is_some() && said != version && said.is_some() {
                return bad(
                    promise::SAYS,
                    format!("{}: at {version:?}, and status says {said:?}", database.name),
                );
            }
            let target = mine.last().map_or(0, |entry| entry.version);
            if number(found, "target") != Some(target) {
                return bad(
                    promise::SAYS,
                    format!("{}: status does not say that the target is {target}", database.name),
                );
            }
            self.last_failure(known, &database.name, run, found)?;
        }
        Ok(())
    }

    /// What `status` may say after a run with this exit code.
    fn exits_of_status(
        &self,
        (product, image): (&Product, &Firmware),
        place: usize,
        exit: u8,
        tries: u32,
    ) -> Vec<i64> {
        // What an operator asked for and could not be is not what the next boot would do.
        let boot = self.allowed(product, image, &Asked::Boot);
        let refused = boot[place]
            .iter()
            .filter(|way| way.quiet)
            .flat_map(|way| way.exits.iter().map(|exit| i64::from(*exit)));
        let mut expected: Vec<i64> = match exit {
            0 | 11 => vec![0],
            10 if tries >= TRIES => vec![19],
            // There is room again after the boot that had too little.
            14 => vec![3, 14],
            // A fresh one could not be built either; the next boot tries all the same.
            10 | 12 | 19 if tries < TRIES => vec![3, i64::from(exit)],
            other => vec![i64::from(other)],
        };
        if matches!(exit, 10 | 19) {
            expected.extend(refused.filter(|exit| *exit == 21));
        }
        expected
    }

    fn last_failure(
        &self,
        known: &Known,
        name: &str,
        run: &Said,
        found: &Value,
    ) -> Result<(), Bad> {
        let code = found.pointer("/last_failure/code").and_then(Value::as_str);
        match (run.exit, code) {
            (10, Some(code)) if code.starts_with("BM-10 ") => Ok(()),
            (10, other) => bad(
                promise::LAST_FAILURE,
                format!("{name}: exit 10, and the last failure of status is {other:?}"),
            ),
            (0 | 11, Some(code)) if !known.failing && code.starts_with("BM-10 ") => bad(
                promise::LAST_FAILURE,
                format!(
                    "{name}: an operation has ended well, and the last failure is still {code}"
                ),
            ),
            _ => Ok(()),
        }
    }

    /// The report on /run is that of the run.
    ///
    /// # Errors
    /// The first field that is not.
    pub fn published(
        &self,
        product: &Product,
        exit: u8,
        runs: &[Option<Said>],
        document: Option<&Value>,
    ) -> Result<(), Bad> {
        let Some(document) = document else { return bad(promise::SAYS, "no report is on /run") };
        if number(document, "exit") != Some(i64::from(exit)) {
            return bad(
                promise::SAYS,
                format!("exit {exit}, and the report on /run says {:?}", document.get("exit")),
            );
        }
        for (run, database) in runs.iter().zip(&product.databases) {
            let (Some(run), found) = (run, part(document, &database.name)) else { continue };
            let same = found.is_some_and(|found| {
                number(found, "exit") == Some(i64::from(run.exit))
                    && found.get("usable").and_then(Value::as_bool) == Some(run.usable)
            });
            if !same {
                return bad(
                    promise::SAYS,
                    format!(
                        "{}: exit {}, and the report on /run says {found:?}",
                        database.name, run.exit
                    ),
                );
            }
        }
        Ok(())
    }

    /// `mark-good` may be said of this image.
    pub fn all_usable(&self, product: &Product, image: &Firmware) -> bool {
        let ways = self.allowed(product, image, &crate::lives::product::Asked::Boot);
        ways.iter().all(|ways| ways.iter().all(|way| way.quiet && way.exits == [0]))
    }

    /// The slot is good: no snapshot is on trial any more.
    pub fn marked_good(&mut self) {
        for known in &mut self.known {
            known.copies.values_mut().for_each(|copy| copy.trial = false);
            known.loss = None;
        }
    }

    /// How `migrate` may end, with the exit codes of each way; `None` where less is known.
    pub fn by_hand(
        &self,
        product: &Product,
        image: &Firmware,
        all: bool,
    ) -> Option<Vec<(Allowed, Vec<u8>)>> {
        let (known, database) = (&self.known[0], &product.databases[0]);
        let there = known.replica.as_ref().map_or(0, |replica| replica.entries.len());
        if known.damage.is_some()
            || known.foreign.is_some()
            || known.unsaid
            || !known.failed.is_empty()
            || database.nowhere
        {
            return None;
        }
        let whole = image.parts[0].migrations(database).len();
        let mut part = image.parts[0].clone();
        if !all && there < whole {
            part = part.up_to(there + 1);
        }
        let policy =
            Policy { purges_failure: false, on_newer: Vec::new(), ..self.policies[0].clone() };
        let mine: Vec<Entry> = part.migrations(database).into_iter().map(Entry::of).collect();
        let short = mine.len() < whole;
        let ways = View { known, policy: &policy, part: &part, database, mine: &mine }
            .run(&Asked::Boot)
            .into_iter();
        let exits = |way: &Allowed| {
            way.exits.iter().map(|exit| if *exit == 0 && short { 3 } else { *exit }).collect()
        };
        Some(ways.map(|way| (exits(&way), way)).map(|(exits, way)| (way, exits)).collect())
    }

    /// `migrate` has ended in this way.
    pub fn migrated_by_hand(
        &mut self,
        product: &Product,
        image: &Firmware,
        way: &Allowed,
        copies: Vec<String>,
    ) {
        let mine: Vec<Entry> =
            image.parts[0].migrations(&product.databases[0]).into_iter().map(Entry::of).collect();
        let known = &mut self.known[0];
        known.learn(copies);
        known.ours = false;
        if let After::Replica(replica) = &way.after {
            known.replica = Some((**replica).clone());
            known.failing = false;
        }
        if way.counted {
            *known.failed.entry(fingerprint(&mine)).or_default() += 1;
            known.failing = true;
        }
    }

    /// An operator's way back has ended in this way.
    pub fn went_back(&mut self, number: usize, way: &Allowed) {
        if let After::Replica(replica) = &way.after {
            self.known[number].replica = Some((**replica).clone());
            self.known[number].failing = false;
            // It may be the last loss now.
            self.known[number].loss = None;
        }
    }
}

impl Known {
    /// Copies that are there now: those that are new hold what was there before.
    pub fn learn(&mut self, copies: Vec<String>) {
        for name in &copies {
            if let (false, Some(replica)) = (self.copies.contains_key(name), self.replica.as_ref())
            {
                self.copies.insert(name.clone(), Copy { replica: replica.clone(), trial: true });
            }
        }
        self.copies.retain(|name, _| copies.contains(name));
    }
}
