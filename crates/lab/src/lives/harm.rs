//! Owns harming a database's file while the device is off, and the runs after it.
//! Promises: the same seed harms the same bytes; the runs end within a bound.
//! Never harms what bootmigrate keeps beside the database.

use bootmigrate::report::Outcome;
use bootmigrate::{DatabaseReport, Embedded};

use super::dice::Dice;
use super::product::{Asked, Harm, Migration};
use super::promise;
use super::reference::harmed::{Around, RUNS_MAX};
use super::reference::{bad, Seen};
use super::run::Run;
use crate::judge::Bad;
use crate::sim::State;

/// Bytes of a page.
const PAGE: usize = 4096;

/// Main's bytes, harmed.
fn harmed(bytes: &[u8], earlier: Option<&Vec<u8>>, harm: Harm, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let pages = bytes.len() / PAGE;
    if pages == 0 {
        return bytes;
    }
    let page = dice.below(pages) * PAGE;
    match harm {
        Harm::Flip => {
            let at = page + dice.below(PAGE);
            bytes[at] ^= 1 << dice.below(8);
        }
        Harm::Zero => bytes[page..page + PAGE].fill(0),
        Harm::Truncate => {
            bytes.truncate(if dice.chance(50) { page } else { page + dice.below(PAGE) })
        }
        Harm::Stale => match earlier.filter(|old| old.len() >= page + PAGE) {
            Some(old) => bytes[page..page + PAGE].copy_from_slice(&old[page..page + PAGE]),
            None => bytes[page..page + PAGE].fill(0),
        },
        Harm::Gone => bytes.clear(),
    }
    bytes
}

impl Run<'_> {
    /// While the device is off.
    pub(super) fn damage(&mut self, number: usize, harm: Harm, seed: u64) {
        let path = self.database(number).path();
        let Some(bytes) = self.world.state().read_file(&path).filter(|bytes| !bytes.is_empty())
        else {
            return;
        };
        let after = harmed(&bytes, self.earlier[number].as_ref(), harm, &mut Dice::new(seed));
        if after == bytes {
            return;
        }
        // Cut off at its beginning, nothing is left of it.
        let harm = if after.is_empty() { Harm::Gone } else { harm };
        self.restart();
        let change = |state: &mut State| {
            state.put_file(&path, &after);
            for side in ["-wal", "-journal", "-shm"] {
                if harm == Harm::Gone && state.read_file(&format!("{path}{side}")).is_some() {
                    state.put_file(&format!("{path}{side}"), b"");
                }
            }
        };
        self.world.restart(change, false);
        let group = self.database(number).key("together").map(str::to_owned);
        for other in 0..self.life.product.databases.len() {
            let same =
                group.is_some() && self.database(other).key("together").map(str::to_owned) == group;
            if other == number {
                self.reference.known[other].harm = Some(harm);
            } else if same && self.reference.known[other].harm.is_none() {
                // It waits for the harmed one: less is known of it, too.
                self.reference.known[other].harm = Some(Harm::Flip);
            }
        }
    }

    /// What holds after a run, of a database that was harmed.
    pub(super) fn after_harm(
        &self,
        number: usize,
        mine: &[&Migration],
        asked: &Asked,
        one: &DatabaseReport,
        seen: &Seen<'_>,
    ) -> Result<(), Bad> {
        let known = &self.reference.known[number];
        let Some(harm) = known.harm else { return Ok(()) };
        let database = self.database(number);
        let rebuildable = database.key("kind") == Some("\"rebuildable\"");
        let names_purge =
            database.key("on_damage").map_or(rebuildable, |value| value.contains("purge"));
        let newer_purge =
            database.key("on_newer").map_or(rebuildable, |value| value.contains("purge"));
        let failing =
            database.key("on_failure").map_or(rebuildable, |value| value.contains("purge"));
        let around = Around {
            mine,
            untouched: self.before[number] == self.world.bytes(database),
            may_purge: names_purge
                || newer_purge
                || failing
                || matches!(asked, Asked::PurgeAndRetry | Asked::Purge(_)),
            purged: one.outcome == Outcome::Purged,
        };
        known.harmed(harm, &around, seen)
    }

    /// The same image again, until it has nothing more to do.
    pub(super) fn settle(&mut self, image: usize, embedded: &Embedded) -> Result<(), Bad> {
        for _ in 0..RUNS_MAX {
            let before = self.ended.exits.last().copied();
            self.restart();
            self.boot(image, embedded, &Asked::Boot, &["run"])?;
            if self.effects == 0 && self.ended.exits.last().copied() == before {
                return Ok(());
            }
        }
        bad(
            promise::NO_LOOP,
            format!(
                "boot {RUNS_MAX} after harm still writes, or ends otherwise than the one before"
            ),
        )
    }
}
