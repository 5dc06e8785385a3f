//! Owns what commands and the files on /run must answer where the reference knows the state of each database.
//! Promises: `status --json` and the published report are compared with the run before them, and with the book.
//! Never calls the device's code.

use serde_json::Value;

use super::{bad, After, Allowed, Known, Reference, TRIES};
use crate::judge::Bad;
use crate::lives::product::{Firmware, Product};
use crate::lives::promise;
use crate::lives::reference::book::Entry;
use crate::lives::reference::fingerprint;

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
                (run, &product.databases[place], self.known[place].harm)
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
            let expected: Vec<i64> = match run.exit {
                0 | 11 => vec![0],
                10 if tries >= TRIES => vec![19],
                // There is room again after the boot that had too little.
                14 => vec![3, 14],
                // A fresh one could not be built either; the next boot tries all the same.
                10 | 12 | 19 if tries < TRIES => vec![3, i64::from(run.exit)],
                exit => vec![i64::from(exit)],
            };
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
            let version = known.book.as_ref().map(|book| book.version());
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

    /// An operator's way back has ended in this way.
    pub fn went_back(&mut self, number: usize, way: &Allowed) {
        if let After::Book(book) = &way.after {
            self.known[number].book = Some((**book).clone());
            self.known[number].failing = false;
            // It may be the last loss now.
            self.known[number].loss = None;
        }
    }
}
