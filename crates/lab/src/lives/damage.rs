//! Owns damaging a database's file while the device is off, and the runs after it.
//! Promises: the same seed damages the same bytes; the runs end within a bound.
//! Never damages what bootmigrate keeps beside the database.

use bootmigrate::report::Outcome;
use bootmigrate::{DatabaseReport, Embedded};

use super::product::{Asked, Damage, Migration};
use super::promise;
use super::reference::damaged::{Around, RUNS_MAX};
use super::reference::{bad, Seen};
use super::rng::Rng;
use super::run::Run;
use crate::finding::Bad;
use crate::sim::State;

/// Bytes of a page.
const PAGE: usize = 4096;

/// Main's bytes, damaged.
fn damaged(bytes: &[u8], earlier: Option<&Vec<u8>>, damage: Damage, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let pages = bytes.len() / PAGE;
    if pages == 0 {
        return bytes;
    }
    let page = rng.below(pages) * PAGE;
    match damage {
        Damage::Flip => {
            let at = page + rng.below(PAGE);
            bytes[at] ^= 1 << rng.below(8);
        }
        Damage::Zero => bytes[page..page + PAGE].fill(0),
        Damage::Truncate => {
            bytes.truncate(if rng.chance(50) { page } else { page + rng.below(PAGE) })
        }
        Damage::Stale => match earlier.filter(|old| old.len() >= page + PAGE) {
            Some(old) => bytes[page..page + PAGE].copy_from_slice(&old[page..page + PAGE]),
            None => bytes[page..page + PAGE].fill(0),
        },
        Damage::Gone => bytes.clear(),
    }
    bytes
}

impl Run<'_> {
    /// While the device is off.
    pub(super) fn damage(&mut self, number: usize, damage: Damage, seed: u64) {
        let path = self.database(number).path();
        let Some(bytes) = self.device.state().read_file(&path).filter(|bytes| !bytes.is_empty())
        else {
            return;
        };
        let after = damaged(&bytes, self.earlier[number].as_ref(), damage, &mut Rng::new(seed));
        if after == bytes {
            return;
        }
        // Cut off at its beginning, nothing is left of it.
        let damage = if after.is_empty() { Damage::Gone } else { damage };
        self.restart();
        let change = |state: &mut State| {
            state.put_file(&path, &after);
            for side in ["-wal", "-journal", "-shm"] {
                if damage == Damage::Gone && state.read_file(&format!("{path}{side}")).is_some() {
                    state.put_file(&format!("{path}{side}"), b"");
                }
            }
        };
        self.device.restart(change, false);
        let tables: Vec<String> = self.reference.known[number]
            .replica
            .as_ref()
            .map(|replica| replica.counts().into_keys().collect())
            .unwrap_or_default();
        self.reference.known[number].readable = self.device.readable(&path, &tables);
        let group = self.database(number).key("group").map(str::to_owned);
        for other in 0..self.life.product.databases.len() {
            let same =
                group.is_some() && self.database(other).key("group").map(str::to_owned) == group;
            if other == number {
                self.reference.known[other].damage = Some(damage);
            } else if same && self.reference.known[other].damage.is_none() {
                // It waits for the damaged one: less is known of it, too.
                self.reference.known[other].damage = Some(Damage::Flip);
            }
        }
    }

    /// What holds after a run, of a database that was damaged.
    pub(super) fn after_damage(
        &self,
        number: usize,
        mine: &[&Migration],
        asked: &Asked,
        one: &DatabaseReport,
        seen: &Seen<'_>,
    ) -> Result<(), Bad> {
        let known = &self.reference.known[number];
        let Some(damage) = known.damage else { return Ok(()) };
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
            untouched: self.before[number] == self.device.bytes(database),
            may_purge: names_purge
                || newer_purge
                || failing
                || matches!(asked, Asked::PurgeAndRetry | Asked::Purge(_)),
            purged: one.outcome == Outcome::Purged,
            salvaged: one.outcome == Outcome::Salvaged,
        };
        known.damaged(damage, &around, seen)
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
                "boot {RUNS_MAX} after damage still writes, or ends otherwise than the one before"
            ),
        )
    }
}
