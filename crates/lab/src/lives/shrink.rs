//! Owns making a bad life smaller: events, databases, keys, migrations, statements and rows go as
//! long as the same promise is broken.
//! Promises: what is left is bad in the same way, and still a product that its build accepts where
//! the whole one was.
//! Never invents anything that the life did not have.

use std::time::Instant;

use super::firmware;
use super::product::{Event, Life, Migration};
use super::run::run;
use crate::finding::Bad;

/// Lives that are tried for one that is bad.
const TRIES_MAX: u32 = 900;
/// Seconds that are spent on one.
const SECONDS_MAX: u64 = 40;

struct Shrink {
    best: Life,
    wanted: (&'static str, String),
    cuts: u64,
    tries: u32,
    began: Instant,
    /// Each image runs on an empty device; so must what is left of it.
    builds: bool,
}

/// The smallest life found that is bad in the way of this one, and what is wrong with it.
pub fn shrunk(life: &Life, cuts: u64) -> Option<(Life, usize, Bad)> {
    let ended = run(life, cuts, &mut |_| {});
    let (number, found) = ended.bad?;
    let mut best = life.clone();
    best.events = ended.fixed;
    best.events.truncate(number + 1);
    let builds = builds(&best);
    let mut shrink = Shrink {
        best,
        wanted: (found.rule, shape(&found.what)),
        cuts,
        tries: 0,
        began: Instant::now(),
        builds,
    };
    loop {
        let before = shrink.tries;
        let smaller = shrink.events()
            | shrink.databases()
            | shrink.keys()
            | shrink.migrations()
            | shrink.statements()
            | shrink.rows();
        if !smaller || shrink.tries >= TRIES_MAX || shrink.tries == before {
            break;
        }
    }
    let (number, found) = run(&shrink.best, cuts, &mut |_| {}).bad?;
    Some((shrink.best, number, found))
}

/// The words of a finding, without what is this life's alone.
fn shape(what: &str) -> String {
    let what = what
        .strip_prefix("cut at ")
        .and_then(|rest| rest.split_once(": "))
        .map_or(what, |(_, rest)| rest);
    let head = what.split([':', ',', '(']).next().unwrap_or_default();
    head.chars().filter(|one| !one.is_ascii_digit()).collect()
}

fn builds(life: &Life) -> bool {
    life.images.iter().all(|image| firmware::embedded(&life.product, image, true).is_ok())
}

impl Shrink {
    /// Takes this one where it is bad in the same way.
    fn takes(&mut self, candidate: Life) -> bool {
        if self.tries >= TRIES_MAX || self.began.elapsed().as_secs() > SECONDS_MAX {
            return false;
        }
        self.tries += 1;
        if self.builds && !builds(&candidate) {
            return false;
        }
        let cuts = self.cuts;
        let ended = std::panic::catch_unwind(|| run(&candidate, cuts, &mut |_| {}));
        let same = match ended.ok().and_then(|ended| ended.bad) {
            Some((_, found)) => (found.rule, shape(&found.what)) == self.wanted,
            None => false,
        };
        if same {
            self.best = candidate;
        }
        same
    }

    fn change(&mut self, change: impl FnOnce(&mut Life)) -> bool {
        let mut candidate = self.best.clone();
        change(&mut candidate);
        self.takes(candidate)
    }

    fn events(&mut self) -> bool {
        let mut smaller = false;
        for place in (0..self.best.events.len()).rev() {
            smaller |= self.change(|life| {
                life.events.remove(place);
            });
        }
        smaller
    }

    fn databases(&mut self) -> bool {
        let mut smaller = false;
        for place in (0..self.best.product.databases.len()).rev() {
            if self.best.product.databases.len() > 1 {
                smaller |= self.change(|life| without(life, place));
            }
        }
        if self.best.product.two_slots {
            smaller |= self.change(|life| life.product.two_slots = false);
        }
        smaller
    }

    fn keys(&mut self) -> bool {
        let mut smaller = false;
        for database in 0..self.best.product.databases.len() {
            for place in (0..self.best.product.databases[database].keys.len()).rev() {
                smaller |= self.change(|life| {
                    life.product.databases[database].keys.remove(place);
                });
            }
        }
        smaller
    }

    fn migrations(&mut self) -> bool {
        let mut smaller = false;
        for database in 0..self.best.product.databases.len() {
            for place in (0..self.best.product.databases[database].migrations.len()).rev() {
                smaller |= self.change(|life| {
                    life.product.databases[database].migrations.remove(place);
                    for image in &mut life.images {
                        let known = &mut image.parts[database].known;
                        *known -= usize::from(*known > place);
                    }
                });
            }
            for image in 0..self.best.images.len() {
                if self.best.images[image].parts[database].own.is_some() {
                    smaller |= self.change(|life| life.images[image].parts[database].own = None);
                }
            }
        }
        smaller
    }

    fn statements(&mut self) -> bool {
        let mut smaller = false;
        for database in 0..self.best.product.databases.len() {
            for place in 0..self.best.product.databases[database].migrations.len() {
                smaller |= self.of_migration(database, place);
            }
        }
        smaller
    }

    fn of_migration(&mut self, database: usize, place: usize) -> bool {
        let mut smaller = false;
        let now = self.best.product.databases[database].migrations[place].clone();
        let mut with = |shrink: &mut Shrink, change: &dyn Fn(&mut Migration)| {
            smaller |= shrink
                .change(|life| change(&mut life.product.databases[database].migrations[place]));
        };
        for statement in (0..now.statements.len()).rev() {
            with(self, &|migration| {
                if migration.statements.len() > 1 && statement < migration.statements.len() {
                    migration.statements.remove(statement);
                }
            });
        }
        for directive in (0..now.directives.len()).rev() {
            with(self, &|migration| {
                migration.directives.remove(directive.min(migration.directives.len() - 1));
            });
        }
        if now.down.is_some() {
            with(self, &|migration| migration.down = None);
        }
        if now.crlf {
            with(self, &|migration| migration.crlf = false);
        }
        smaller
    }

    fn rows(&mut self) -> bool {
        let mut smaller = false;
        for place in 0..self.best.events.len() {
            let Event::Rows { fixed: Some(statements), .. } = &self.best.events[place] else {
                continue;
            };
            for statement in (0..statements.len()).rev() {
                smaller |= self.change(|life| {
                    if let Event::Rows { fixed: Some(all), .. } = &mut life.events[place] {
                        all.remove(statement.min(all.len().saturating_sub(1)));
                    }
                });
            }
            let plain = matches!(
                &self.best.events[place],
                Event::Rows { killed: false, journal: None, careless: false, .. }
            );
            if !plain {
                smaller |= self.change(|life| {
                    if let Event::Rows { killed, journal, careless, .. } = &mut life.events[place] {
                        (*killed, *journal, *careless) = (false, None, false);
                    }
                });
            }
        }
        smaller
    }
}

/// The life without this database.
fn without(life: &mut Life, gone: usize) {
    life.product.databases.remove(gone);
    life.images.iter_mut().for_each(|image| {
        image.parts.remove(gone);
    });
    life.events.retain(|event| event.database() != Some(gone));
    for event in &mut life.events {
        event.renumber(&|database| database - usize::from(database > gone));
    }
    if life.product.databases.len() == 1 {
        life.product.databases[0].keys.retain(|(key, _)| *key != "group");
    }
}
