//! Owns what holds where a database's file was damaged: less is known of it, and what is lost must
//! be said.
//! Promises: no row is invented, no row goes with exit 0 where its page was, and what is not usable
//! is left as it was.
//! Never demands that damage is found which nobody looked for.

use std::collections::BTreeMap;

use super::judge::is_beside;
use super::replica::Replica;
use super::{bad, Known, Seen};
use crate::finding::Bad;
use crate::lives::content::difference;
use crate::lives::product::{Damage, Migration};
use crate::lives::promise;
use crate::lives::simulated::Stands;

/// Runs of one image after which nothing more may change.
pub const RUNS_MAX: u32 = 6;

/// What is known of the run beside what was seen.
pub struct Around<'a> {
    /// The catalogue.
    pub mine: &'a [&'a Migration],
    /// The database's files are byte for byte as before.
    pub untouched: bool,
    /// `on_damage` or the request allows a fresh database.
    pub may_purge: bool,
    /// The report's outcome is a fresh database.
    pub purged: bool,
    /// It is one with what could be read.
    pub salvaged: bool,
}

impl Known {
    /// After a run on a damaged file.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn damaged(&self, damage: Damage, around: &Around<'_>, seen: &Seen<'_>) -> Result<(), Bad> {
        if matches!(seen.exit, 1 | 2) {
            return bad(promise::NO_PANIC, format!("exit {}: {}", seen.exit, seen.sentence));
        }
        // A repair that came before the refusal is said, and where the old file is.
        let says_so = seen.folder.is_some() && !seen.sentence.contains("nothing was changed");
        if matches!(seen.exit, 12 | 16 | 17 | 21) && !around.untouched && !says_so {
            return bad(
                promise::RIGHT_REPAIR,
                format!("exit {}, and the files were changed: {}", seen.exit, seen.sentence),
            );
        }
        if around.purged && !around.may_purge && damage != Damage::Gone {
            return bad(
                promise::RIGHT_REPAIR,
                format!("a fresh database, which on_damage does not name: {}", seen.sentence),
            );
        }
        if !matches!(seen.exit, 0 | 11) {
            return Ok(());
        }
        let whole = match seen.stands {
            Stands::Whole(whole) => whole,
            // A boot with nothing to do reads header, schema and history.
            _ if seen.exit == 0 && around.untouched => return Ok(()),
            Stands::Absent => {
                return bad(
                    promise::OLD_OR_NEW,
                    format!("exit {}, and there is no file: {}", seen.exit, seen.sentence),
                )
            }
            Stands::Broken(why) => {
                return bad(
                    promise::OLD_OR_NEW,
                    format!("exit {}, and {why}: {}", seen.exit, seen.sentence),
                )
            }
        };
        if !matches!(damage, Damage::Zero | Damage::Truncate | Damage::Gone) {
            return Ok(());
        }
        if around.salvaged {
            self.all_that_could_be_read(around, seen)?;
        }
        let Some(replica) = &self.replica else { return Ok(()) };
        let expected = self.forward(replica, around.mine);
        let Some(now) = seen.observed(Vec::new()) else { return Ok(()) };
        match seen.exit {
            0 => nothing_gone(&expected, &now.counts(), (&whole.dump, seen.sentence)),
            _ => nothing_invented(&expected, (&whole.dump, seen.sentence)),
        }
    }

    /// What plain SQLite could read of it is there, or beside it.
    fn all_that_could_be_read(&self, around: &Around<'_>, seen: &Seen<'_>) -> Result<(), Bad> {
        // Migrations that came after it have done with the rows what they do.
        let at_rest = self.replica.as_ref().is_some_and(|replica| {
            around.mine.last().is_some_and(|last| last.version == replica.version())
        });
        let Some(now) = seen.observed(Vec::new()).filter(|_| at_rest) else { return Ok(()) };
        let now = now.counts();
        for (table, count) in &self.readable {
            let there: u64 = now
                .iter()
                .filter(|(name, _)| *name == table || is_beside(name, table))
                .map(|(_, count)| count)
                .sum();
            if there < *count {
                let what = format!(
                    "SQLite reads {count} rows of {table}, and {there} are there or beside it: {}",
                    seen.sentence
                );
                return bad(promise::NO_SILENT_LOSS, what);
            }
        }
        Ok(())
    }

    /// The replica, each snapshot and nothing, migrated as far as this image goes; `None` for one
    /// that cannot be.
    fn forward(&self, replica: &Replica, mine: &[&Migration]) -> Vec<Option<Replica>> {
        let to_here = |replica: &Replica| {
            let place = replica.entries.len();
            if place > mine.len() {
                return None;
            }
            replica.migrated(&mine[place..]).ok()
        };
        let mut all = vec![to_here(replica)];
        all.extend(self.copies.values().map(|copy| to_here(&copy.replica)));
        all.push(Replica::empty().migrated(mine).ok());
        all
    }
}

/// The rows of a dump.
fn lines(dump: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    dump.lines()
        .filter(|line| line.starts_with("  "))
        .for_each(|line| *found.entry(line.to_owned()).or_default() += 1);
    found
}

/// With exit 0 every table has the rows that it had. `seen`: the dump and the sentence.
fn nothing_gone(
    expected: &[Option<Replica>],
    now: &BTreeMap<String, u64>,
    (dump, sentence): (&str, &str),
) -> Result<(), Bad> {
    let Some(Some(expected)) = expected.first() else { return Ok(()) };
    let before = expected.counts();
    let gone = before.iter().find(|(table, count)| now.get(*table).copied().unwrap_or(0) < **count);
    let Some((table, count)) = gone else { return Ok(()) };
    let found = now.get(table);
    let what = format!("exit 0, {table} had {count} rows and has {found:?}: {sentence}");
    bad(promise::NO_SILENT_LOSS, format!("{what}{}", difference(&expected.dump(), dump)))
}

/// After a loss that was said every row is one that a known state has.
fn nothing_invented(
    expected: &[Option<Replica>],
    (dump, sentence): (&str, &str),
) -> Result<(), Bad> {
    let known: Vec<BTreeMap<String, u64>> =
        expected.iter().flatten().map(|replica| lines(&replica.dump())).collect();
    if expected.iter().any(Option::is_none) {
        return Ok(());
    }
    let is_new = |line: &String| {
        let aside = line.trim_start().starts_with("lost_");
        !aside && !known.iter().any(|replica| replica.contains_key(line))
    };
    match lines(dump).into_keys().find(is_new) {
        Some(line) => {
            bad(promise::NO_SILENT_LOSS, format!("a row that was never there: {line}: {sentence}"))
        }
        None => Ok(()),
    }
}
