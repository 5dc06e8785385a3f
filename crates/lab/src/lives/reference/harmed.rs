//! Owns what holds where a database's file was harmed: less is known of it, and what is lost must be said.
//! Promises: no row is invented, no row goes with exit 0 where its page was, and what is not usable is left as it was.
//! Never demands that harm is found which nobody looked for.

use std::collections::BTreeMap;

use super::book::Book;
use super::{bad, Known, Seen};
use crate::judge::Bad;
use crate::lives::content::difference;
use crate::lives::product::{Harm, Migration};
use crate::lives::promise;
use crate::lives::world::Stands;

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
}

impl Known {
    /// After a run on a harmed file.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn harmed(&self, harm: Harm, around: &Around<'_>, seen: &Seen<'_>) -> Result<(), Bad> {
        if matches!(seen.exit, 1 | 2) {
            return bad(promise::NO_PANIC, format!("exit {}: {}", seen.exit, seen.sentence));
        }
        if matches!(seen.exit, 12 | 16 | 17 | 21) && !around.untouched {
            return bad(
                promise::RIGHT_REPAIR,
                format!("exit {}, and the files were changed: {}", seen.exit, seen.sentence),
            );
        }
        if around.purged && !around.may_purge && harm != Harm::Gone {
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
        if !matches!(harm, Harm::Zero | Harm::Truncate | Harm::Gone) {
            return Ok(());
        }
        let Some(book) = &self.book else { return Ok(()) };
        let expected = self.forward(book, around.mine);
        let Some(now) = seen.observed(Vec::new()) else { return Ok(()) };
        if seen.exit == 0 {
            let Some(Some(expected)) = expected.first().map(|book| book.as_ref()) else {
                return Ok(());
            };
            let (before, now) = (expected.counts(), now.counts());
            let gone = before
                .iter()
                .find(|(table, count)| now.get(*table).copied().unwrap_or(0) < **count);
            return match gone {
                None => Ok(()),
                Some((table, count)) => {
                    let what = format!(
                        "exit 0, {table} had {count} rows and has {:?}: {}",
                        now.get(table),
                        seen.sentence
                    );
                    bad(
                        promise::NO_SILENT_LOSS,
                        format!("{what}{}", difference(&expected.dump(), &whole.dump)),
                    )
                }
            };
        }
        let known: Vec<BTreeMap<String, u64>> =
            expected.iter().flatten().map(|book| lines(&book.dump())).collect();
        if expected.iter().any(Option::is_none) {
            return Ok(());
        }
        let invented = lines(&whole.dump).into_keys().find(|line| {
            !line.trim_start().starts_with("lost_")
                && !known.iter().any(|book| book.contains_key(line))
        });
        match invented {
            Some(line) => bad(
                promise::NO_SILENT_LOSS,
                format!("a row that was never there: {line}: {}", seen.sentence),
            ),
            None => Ok(()),
        }
    }

    /// The book, each snapshot and nothing, migrated as far as this image goes; `None` for one that cannot be.
    fn forward(&self, book: &Book, mine: &[&Migration]) -> Vec<Option<Book>> {
        let to_here = |book: &Book| {
            let place = book.entries.len();
            if place > mine.len() {
                return None;
            }
            book.migrated(&mine[place..]).ok()
        };
        let mut all = vec![to_here(book)];
        all.extend(self.copies.values().map(|copy| to_here(&copy.book)));
        all.push(Book::empty().migrated(mine).ok());
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
