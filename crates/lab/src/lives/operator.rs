//! Owns the commands of an operator in a life: `rollback`, `mark-good`, `snapshot create`,
//! `rehearse`.
//! Promises: each is compared with what the reference says of it; what it leaves is looked at by
//! the event's own end.
//! Never decides what is right: that is the reference.

use bootmigrate::Embedded;

use super::product::Asked;
use super::promise;
use super::reference::replica::Entry;
use super::reference::replica::Replica;
use super::reference::{bad, Copy};
use super::run::Run;
use super::simulated::Ran;
use crate::finding::Bad;

/// Where the kernel shows its command line.
const COMMAND_LINE: &str = "/proc/cmdline";
/// Boots with the same word on it: one more than the tries that are counted, and one that finds
/// them used up.
const BOOTS_WITH_A_WORD: usize = 5;

impl Run<'_> {
    /// Asks for a purge on the kernel's command line, and nobody takes the word away: it is
    /// honoured once.
    pub(super) fn word(
        &mut self,
        image: usize,
        embedded: &Embedded,
        token: &str,
    ) -> Result<(), Bad> {
        let life = self.life;
        let [database] = life.product.databases.as_slice() else { return Ok(()) };
        // Whether a word was heard before, a lost record does not tell.
        if self.reference.known[0].lost_record {
            return Ok(());
        }
        let mine: Vec<Entry> =
            life.images[image].parts[0].migrations(database).into_iter().map(Entry::of).collect();
        let line = format!("quiet bootmigrate.purge-and-retry={token} panic=5\n");
        let mut handled = false;
        for _ in 0..BOOTS_WITH_A_WORD {
            self.device.restart(|state| state.put_file(COMMAND_LINE, line.as_bytes()), false);
            self.ready.iter_mut().for_each(|ready| *ready = false);
            let asked = if handled { Asked::Boot } else { Asked::PurgeAndRetry };
            self.boot(image, embedded, &asked, &["run"])?;
            // What was refused was not begun, and the word asks once more.
            handled |= matches!(self.ended.exits.last(), Some(0 | 11))
                || self.reference.has_failed(0, &mine);
        }
        self.device.restart(|state| state.put_file(COMMAND_LINE, b"quiet\n"), false);
        self.ready.iter_mut().for_each(|ready| *ready = false);
        Ok(())
    }

    pub(super) fn rollback(
        &mut self,
        image: usize,
        embedded: &Embedded,
        number: usize,
        to: i64,
    ) -> Result<(), Bad> {
        let life = self.life;
        let name = &life.product.databases[number].name;
        let expected = self.reference.rollback(&life.product, &life.images[image], number, to);
        let there = self.reference.known[number].replica.as_ref().map(Replica::version);
        let ran = self.command(embedded, &["rollback", "--db", name, "--to", &to.to_string()]);
        if there == Some(to) || there.is_none() {
            return Ok(());
        }
        self.ready[number] = false;
        match expected {
            Some(Ok(way)) if way.exits.contains(&ran.exit) => {
                self.reference.went_back(number, &way)
            }
            Some(Ok(way)) => {
                return bad(
                    promise::NEWER,
                    format!(
                        "rollback exits {}, and {:?} is promised: {}",
                        ran.exit, way.exits, ran.said
                    ),
                )
            }
            None | Some(Err(_)) if matches!(ran.exit, 0 | 11) => {
                return bad(
                    promise::NEWER,
                    format!("rollback exits {}, and there is no way back: {}", ran.exit, ran.said),
                );
            }
            // What has failed is closed by the next boot.
            None | Some(Err(_)) => self.reference.known[number].ours = false,
        }
        Ok(())
    }

    /// `migrate` goes forward and nothing else: nothing is set aside, and of a damaged file nothing
    /// is changed.
    pub(super) fn migrate(
        &mut self,
        image: usize,
        embedded: &Embedded,
        all: bool,
    ) -> Result<(), Bad> {
        let life = self.life;
        let [database] = life.product.databases.as_slice() else { return Ok(()) };
        let expected = self.reference.by_hand(&life.product, &life.images[image], all);
        if expected.is_none() && self.reference.known[0].damage.is_none() {
            return Ok(());
        }
        let (bytes, quarantine) = (self.device.bytes(database), self.device.kept(database).1);
        let words: &[&str] = if all {
            &["migrate", "--all"]
        } else {
            &["migrate", "--db", &database.name, "--step", "1"]
        };
        let ran = self.command(embedded, words);
        self.ready[0] = false;
        let kept = self.device.kept(database);
        if kept.1 != quarantine || ran.exit == 11 {
            return bad(
                promise::RIGHT_REPAIR,
                format!(
                    "migrate exits {}, and {:?} is in quarantine: {}",
                    ran.exit, kept.1, ran.said
                ),
            );
        }
        if ran.exit == 17 && self.device.bytes(database) != bytes {
            return bad(
                promise::RIGHT_REPAIR,
                format!("migrate exits 17, and the files were changed: {}", ran.said),
            );
        }
        if self.reference.known[0].damage.is_some() {
            return Ok(());
        }
        let Some(ways) = expected else {
            self.reference.known[0].learn(kept.0);
            return Ok(());
        };
        let Some((way, _)) = ways.iter().find(|(_, exits)| exits.contains(&ran.exit)) else {
            let promised: Vec<&Vec<u8>> = ways.iter().map(|(_, exits)| exits).collect();
            return bad(
                promise::OLD_OR_NEW,
                format!("migrate exits {}, and {promised:?} is promised: {}", ran.exit, ran.said),
            );
        };
        self.reference.migrated_by_hand(&life.product, &life.images[image], way, kept.0);
        Ok(())
    }

    pub(super) fn mark_good(&mut self, image: usize, embedded: &Embedded) -> Result<(), Bad> {
        let good = self.reference.all_usable(&self.life.product, &self.life.images[image]);
        let copies = |run: &Self| -> Vec<usize> {
            run.life
                .product
                .databases
                .iter()
                .map(|database| run.device.kept(database).0.len())
                .collect()
        };
        let before = copies(self);
        let ran = self.command(embedded, &["mark-good"]);
        if ran.exit != 0 && copies(self) != before {
            return bad(
                promise::NEWER,
                format!(
                    "mark-good exits {}, and a snapshot for the way back is gone: {}",
                    ran.exit, ran.said
                ),
            );
        }
        match (good, ran.exit) {
            (true, 0) => {
                self.reference.marked_good();
                for (database, before) in self.life.product.databases.iter().zip(before) {
                    let most: Option<usize> =
                        database.key("snapshots_max").and_then(|most| most.parse().ok());
                    let kept = self.device.kept(database).0;
                    if kept.len() != before.min(most.unwrap_or(1)) {
                        return bad(
                            promise::NEWER,
                            format!(
                                "{}: after mark-good {kept:?} are kept: {}",
                                database.name, ran.said
                            ),
                        );
                    }
                }
            }
            (false, 0) => {
                return bad(
                    promise::SAYS,
                    format!("mark-good exits 0, and a database is not usable: {}", ran.said),
                )
            }
            (true, exit) => {
                return bad(
                    promise::SAYS,
                    format!("mark-good exits {exit}, and every database is usable: {}", ran.said),
                )
            }
            (false, _) => {}
        }
        Ok(())
    }

    pub(super) fn snapshot_create(&mut self, embedded: &Embedded) -> Result<(), Bad> {
        let before: Vec<Vec<String>> = self
            .life
            .product
            .databases
            .iter()
            .map(|database| self.device.kept(database).0)
            .collect();
        let ran = self.command(embedded, &["snapshot", "create"]);
        for (number, database) in self.life.product.databases.iter().enumerate() {
            let new: Vec<String> = self
                .device
                .kept(database)
                .0
                .into_iter()
                .filter(|name| !before[number].contains(name))
                .collect();
            let known = &mut self.reference.known[number];
            match (&known.replica, new.as_slice()) {
                (Some(replica), [name]) => {
                    known
                        .copies
                        .insert(name.clone(), Copy { replica: replica.clone(), trial: true });
                }
                (Some(_), []) if ran.exit == 0 && database.key("snapshots_max") != Some("0") => {
                    return bad(
                        promise::SAYS,
                        format!("no snapshot was made of {}: {}", database.name, ran.said),
                    )
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn rehearse(&mut self, image: usize, embedded: &Embedded) -> Result<(), Bad> {
        let life = self.life;
        let ways = self.reference.allowed(&life.product, &life.images[image], &Asked::Boot);
        let ran = self.command(embedded, &["rehearse"]);
        if life.product.databases.len() > 1 {
            return Ok(());
        }
        let promised: Vec<u8> = ways.iter().flatten().flat_map(|way| way.exits.clone()).collect();
        if !promised.contains(&ran.exit) {
            return bad(
                promise::SAYS,
                format!(
                    "rehearse exits {}, and the next boot {promised:?}: {}",
                    ran.exit, ran.said
                ),
            );
        }
        Ok(())
    }

    fn command(&mut self, embedded: &Embedded, words: &[&str]) -> Ran {
        let ran = self.device.command(embedded, words);
        self.ended.boots += 1;
        (self.tell)(&format!(
            "   exit {}, {} effects: {}",
            ran.exit,
            ran.effects,
            ran.said.trim_end()
        ));
        ran
    }
}
