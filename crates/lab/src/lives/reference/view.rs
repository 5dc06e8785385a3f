//! Owns which ends a run may have for one database, by what is known of it.
//! Promises: each way names the promise that it follows from.
//! Never looks at another database of the product.

use super::judge;
use super::policy;
use super::policy::Policy;
use super::replica::{self, Entry, Replica};
use super::{fingerprint, After, Allowed, Known, PURGES, PURGE_ASKED, TRIES};
use crate::lives::product::{Asked, Part};
use crate::lives::promise;

/// One database, as one image finds it.
pub(super) struct View<'a> {
    pub(super) known: &'a Known,
    pub(super) policy: &'a Policy,
    pub(super) part: &'a Part,
    pub(super) database: &'a crate::lives::product::Database,
    pub(super) mine: &'a [Entry],
}

impl View<'_> {
    pub(super) fn run(&self, asked: &Asked) -> Vec<Allowed> {
        if self.database.nowhere {
            return vec![Allowed::quiet(
                18,
                promise::RIGHT_REPAIR,
                "its folder and the one above it are missing",
            )];
        }
        if let (Some(said), Some(replica)) = (&self.known.foreign, &self.known.replica) {
            return self.taken_over(*said, replica, asked);
        }
        let Some(replica) = &self.known.replica else { return self.first_boot(asked) };
        let there = &replica.entries;
        let common = there.iter().zip(self.mine).take_while(|(one, other)| one.is(other)).count();
        match (common == there.len(), common == self.mine.len()) {
            (true, true) => vec![Allowed::quiet(0, promise::QUIET, "the schema is this image's")],
            (true, false) => self.behind(replica, asked),
            (false, true) => self.newer(replica, common, asked),
            (false, false) => vec![Allowed::quiet(
                21,
                promise::RIGHT_REPAIR,
                "another migration stands under this number",
            )],
        }
    }

    /// Nothing is begun where less is free than a pending migration asks for; where there is more,
    /// a copy may still not fit.
    pub(super) fn in_little_room(&self, percent: u64) -> Vec<Allowed> {
        let mut ways = self.run(&Asked::Boot);
        if ways.iter().all(|way| way.quiet) {
            return ways;
        }
        let there = self.known.replica.as_ref().map_or(0, |replica| replica.entries.len());
        let pending = self.part.migrations(self.database).into_iter().skip(there);
        let asked = pending
            .filter_map(|migration| migration.directive("needs-space")?.parse::<f64>().ok())
            .fold(0.0, f64::max);
        let less = Allowed::quiet(
            14,
            promise::RIGHT_REPAIR,
            format!("{asked} of its size must be free, and {percent} % is"),
        );
        // Older snapshots may go, whose room nobody here counts.
        if (percent as f64) < asked * 100.0 && self.known.copies.is_empty() {
            return vec![less];
        }
        ways.iter_mut().for_each(|way| (way.tight, way.quiet) = (true, false));
        ways.push(Allowed { quiet: false, ..less });
        ways
    }

    pub(super) fn first_boot(&self, asked: &Asked) -> Vec<Allowed> {
        if self.used_up(asked) {
            return vec![Allowed::quiet(19, promise::NO_LOOP, "three tries have failed")];
        }
        match self.fresh() {
            Ok(replica) => vec![Allowed::new(
                0,
                After::Replica(Box::new(replica)),
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

    pub(super) fn used_up(&self, asked: &Asked) -> bool {
        matches!(asked, Asked::Boot)
            && self.known.failed.get(&fingerprint(self.mine)).is_some_and(|count| *count >= TRIES)
    }

    pub(super) fn purged_often(&self) -> bool {
        self.known.purged.get(&fingerprint(self.mine)).is_some_and(|count| *count >= PURGES)
    }

    pub(super) fn fresh(&self) -> Result<Replica, replica::Failed> {
        Replica::empty().migrated(&self.part.migrations(self.database))
    }

    pub(super) fn behind(&self, replica: &Replica, asked: &Asked) -> Vec<Allowed> {
        if self.used_up(asked) {
            return vec![Allowed::quiet(19, promise::NO_LOOP, "three tries have failed")];
        }
        let pending = self.part.migrations(self.database).split_off(replica.entries.len());
        let why = match replica.migrated(&pending) {
            Ok(replica) => {
                return vec![Allowed::new(
                    0,
                    After::Replica(Box::new(replica)),
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
                    ways = vec![self.replaced(replica, &format!("a migration fails: {why}"))]
                }
                _ => ways[0].exits = vec![10, 19],
            }
        }
        ways
    }

    /// A fresh database with what `carry_over` keeps.
    pub(super) fn replaced(&self, replica: &Replica, why: &str) -> Allowed {
        let nothing = replica.counts().values().all(|count| *count == 0);
        let after = match self.fresh() {
            Ok(fresh) if self.policy.carries_nothing => After::Replica(Box::new(fresh)),
            _ => After::Carried,
        };
        let left =
            replica.counts().iter().any(|(table, count)| *count > 0 && !self.policy.keeps(table));
        let exits = match (nothing, left) {
            (true, _) | (_, false) => vec![0, 11],
            (false, true) => vec![11],
        };
        Allowed {
            exits,
            set_aside: true,
            purges: true,
            ..Allowed::new(11, after, promise::NO_SILENT_LOSS, why)
        }
    }

    /// `purge --db NAME --yes`.
    pub(super) fn purged(&self) -> Allowed {
        let why = PURGE_ASKED;
        match self.fresh() {
            Ok(fresh) => {
                let there = self.known.replica.is_some();
                let exits =
                    if there
                        && self.known.replica.as_ref().is_some_and(|replica| {
                            replica.counts().values().any(|count| *count > 0)
                        })
                    {
                        vec![11]
                    } else {
                        vec![0, 11]
                    };
                let way =
                    Allowed::new(11, After::Replica(Box::new(fresh)), promise::NO_SILENT_LOSS, why);
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

    pub(super) fn newer(&self, replica: &Replica, common: usize, asked: &Asked) -> Vec<Allowed> {
        let target = self.mine.last().map_or(0, |entry| entry.version);
        let mut tried = false;
        for answer in &self.policy.on_newer {
            match answer.as_str() {
                "compatible"
                    if replica.entries[common..].iter().all(|entry| {
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
                "downgrade" => match self.gone_back(replica, common) {
                    Some(Ok(way)) => return vec![way],
                    Some(Err(_)) => tried = true,
                    None => {}
                },
                "trial-snapshot" => {
                    let found = self
                        .known
                        .copies
                        .values()
                        .filter(|copy| copy.trial && copy.replica.version() == target);
                    let ways: Vec<Allowed> = found
                        .map(|copy| {
                            let after = After::Replica(Box::new(copy.replica.clone()));
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
                    let refused =
                        Allowed::quiet(19, promise::NO_LOOP, "two fresh databases were built");
                    // A way back that leads elsewhere is tried before that, and counted.
                    return vec![Allowed { quiet: !tried, counted: tried, ..refused }];
                }
                "purge" => {
                    return vec![Allowed {
                        why: (promise::NEWER, "rebuilt".into()),
                        ..self.replaced(replica, "")
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
    pub(super) fn gone_back(
        &self,
        replica: &Replica,
        to: usize,
    ) -> Option<Result<Allowed, String>> {
        let back = match replica.gone_back(to)? {
            Ok(back) => back,
            Err(failed) => return Some(Err(failed.0)),
        };
        let fresh = match self.fresh() {
            Ok(fresh) => fresh,
            Err(failed) => return Some(Err(failed.0)),
        };
        // Rows that were put aside are of no migration.
        let wanted = fresh.structure();
        let there = back.structure();
        let counts = |line: &&str| !judge::is_aside(line) || wanted.contains(*line);
        if !there.lines().filter(counts).eq(wanted.lines()) {
            return Some(Err("it leads to another schema".into()));
        }
        let exits = policy::reduced(replica, &back, &replica.entries[to..]);
        let way =
            Allowed::new(0, After::Replica(Box::new(back)), promise::NEWER, "the stored way back");
        Some(Ok(Allowed { exits, set_aside: true, ..way }))
    }

    /// `rollback --to`.
    pub(super) fn rolled_back(
        &self,
        replica: &Replica,
        to: i64,
    ) -> Option<Result<Allowed, String>> {
        let place = replica.entries.iter().position(|entry| entry.version == to)? + 1;
        self.gone_back(replica, place)
    }
}
