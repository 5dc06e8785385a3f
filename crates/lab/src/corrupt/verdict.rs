//! Owns the oracle of damaged files: boots until nothing is written any more, and compares what
//! stands there with plain SQLite's word.
//! Promises: what was readable before a boot is there after it, or its loss was said and the old
//! file is kept; exit 0 means whole.
//! Never asks the device's code whether the device's code was right.

use std::collections::HashMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;

use bootmigrate::boot::BootRequest;
use bootmigrate::catalog::Migration;
use bootmigrate::decide::facts::Request;
use bootmigrate::report::Outcome;

use super::contents::{bytes_hash, look, Contents};
use super::situations::{plain, Kind, Situation};
use super::Case;
use crate::device::{switch_on, Booted};
use crate::finding::{bad, Bad};
use crate::firmware::{MAIN, STATE};
use crate::sim::hash::Hash128;
use crate::sim::{Effect, Fault, FaultKind, Options, Sim, State};

/// The boot that must be quiet, at the latest: three tries, a repair, another, and what they leave.
const QUIET_BY: u32 = 8;
/// Calls of one boot; the largest boot of these situations makes some thousands. After them the
/// process is killed.
const CALLS_MAX: u64 = 300_000;
/// Exit codes of a run that refused, which leaves the file byte for byte.
const UNTOUCHED: [u8; 5] = [12, 13, 16, 17, 21];
/// Every exit code that a boot may have here: none is a defect or a mistake of configuration.
const EXITS: [u8; 12] = [0, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21];

/// SQLite's smallest page.
const PAGE_BYTES_MIN: u64 = 512;

/// How a case ended.
pub struct CaseEnd {
    /// Its last exit code.
    pub exit: u8,
    /// A boot that wrote nothing said 0 of a file whose depths were not looked into; a technician's
    /// run then found it.
    pub unlooked: bool,
}

/// Judges cases; remembers what it has looked at.
#[derive(Default)]
pub struct Verdict {
    seen: HashMap<u128, Rc<Contents>>,
    /// The effects of each boot are told too.
    log: bool,
    logged: Vec<Effect>,
    /// Boots carried out.
    pub boots: u64,
}

impl Verdict {
    /// Tells the effects of each boot too.
    pub fn that_logs() -> Verdict {
        Verdict { log: true, ..Verdict::default() }
    }

    /// Boots until it is quiet. `tell` hears of each boot.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn judge(
        &mut self,
        situation: &Situation,
        case: &Case,
        state: &State,
        tell: &mut dyn FnMut(&str),
    ) -> Result<CaseEnd, Bad> {
        let mut state = state.clone();
        let mut unlooked = false;
        for number in 1..=QUIET_BY {
            let (booted, after) = self.boot(situation, &state, &plain())?;
            let report = &booted.report;
            tell(&format!(
                "boot {number}: exit {}, {} effects: {}",
                report.exit, booted.effects, report.sentence
            ));
            std::mem::take(&mut self.logged)
                .iter()
                .for_each(|effect| tell(&format!("    {effect}")));
            unlooked |= self.after_boot(situation, case, &state, &after, &booted)?;
            // SQLite tries again to recover a journal that it cannot recover, and what it opened is
            // synced: the bytes stay the same.
            let in_vain = matches!(report.exit, 15 | 17) && after.hash() == state.hash();
            state = after;
            if booted.effects == 0 || in_vain {
                if unlooked {
                    self.technician(situation, case, &state, tell)?;
                }
                return Ok(CaseEnd { exit: report.exit, unlooked });
            }
        }
        bad("quiet in time", format!("boot {QUIET_BY} still wrote"))
    }

    /// What a quiet boot has no time to look for, a run that looks at everything finds.
    fn technician(
        &mut self,
        situation: &Situation,
        case: &Case,
        state: &State,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), Bad> {
        let asked = BootRequest::of(Request::PurgeAndRetry);
        let (booted, after) = self.boot(situation, state, &asked)?;
        tell(&format!(
            "--purge-and-retry: exit {}: {}",
            booted.report.exit, booted.report.sentence
        ));
        let seen = self.look(situation, &after);
        match (booted.report.exit, &seen.damage) {
            (0 | 11, Some(damage)) => {
                bad("a technician's run finds it", format!("exit {}: {damage}", booted.report.exit))
            }
            _ => self.kept(situation, case, [state, &after], &booted),
        }
    }

    fn boot(
        &mut self,
        situation: &Situation,
        state: &State,
        asked: &BootRequest,
    ) -> Result<(Booted, State), Bad> {
        self.boots += 1;
        let sim = Sim::with(state, Options { log: self.log, ..Options::default() });
        sim.inject(Fault::at_call(CALLS_MAX, FaultKind::Kill, true));
        let booted = catch_unwind(AssertUnwindSafe(|| switch_on(situation.firmware, &sim, asked)));
        let Ok(booted) = booted else { return bad("no panic", "it panicked") };
        if !sim.fired().is_empty() {
            return bad(
                "no hang",
                format!("more than {CALLS_MAX} calls: {}", booted.report.sentence),
            );
        }
        if let Some(hazard) = sim.hazards().first() {
            return bad("no lock dropped", hazard.clone());
        }
        if !EXITS.contains(&booted.report.exit) {
            return bad("exit code", format!("{}: {}", booted.report.exit, booted.report.sentence));
        }
        self.logged = sim.log();
        let after = sim.state().swept();
        Ok((booted, after))
    }

    /// The rules after every boot. `true`: a quiet boot said 0 of a file that is not whole.
    fn after_boot(
        &mut self,
        situation: &Situation,
        case: &Case,
        before: &State,
        after: &State,
        booted: &Booted,
    ) -> Result<bool, Bad> {
        let (old, new) = (self.look(situation, before), self.look(situation, after));
        let report = &booted.report;
        let says = |what: &str| format!("{what}; exit {}: {}", report.exit, report.sentence);
        self.kept(situation, case, [before, after], booted)?;
        self.allowed(situation, case, before, &old, booted)?;
        let ready = names(before, "ready-").next().is_some();
        if UNTOUCHED.contains(&report.exit)
            && !old.side
            && !ready
            && old.main != new.main
            && report.operation.is_none()
        {
            return bad("a refusal touches nothing", says("main has other bytes"));
        }
        if !matches!(report.exit, 0 | 11) {
            return Ok(false);
        }
        if let Some(history) =
            new.history.as_ref().filter(|_| report.outcome != Outcome::Compatible)
        {
            let catalog = situation.firmware.catalog;
            let row = |one: &Migration| {
                format!("{}|{}|{}", one.version, one.name, one.checksum(catalog.versions))
            };
            let wanted: Vec<String> = catalog.migrations.iter().map(row).collect();
            if *history != wanted {
                return bad("usable means this firmware's history", says(&history.join(", ")));
            }
        }
        match &new.damage {
            None if new.main.is_none() => bad("usable means there", says("main is absent")),
            None => unfit_is_named(&new, booted).map(|()| false),
            Some(_) if booted.effects == 0 && report.outcome == Outcome::Quiet => Ok(true),
            Some(damage) => bad("usable means whole", says(damage)),
        }
    }

    /// Rows that could be read are there, or their loss was said; and what was replaced is kept.
    fn kept(
        &mut self,
        situation: &Situation,
        case: &Case,
        [before, after]: [&State; 2],
        booted: &Booted,
    ) -> Result<(), Bad> {
        let (old, new) = (self.look(situation, before), self.look(situation, after));
        let report = &booted.report;
        // A forged record in a format to come: its loss stands in words that this firmware cannot
        // read.
        let forged = report.exit == 12
            && case.kind == Kind::Record
            && case.mutation == super::Mutation::Resealed;
        // What an earlier run lost is reported by the first run that ends well.
        let waits = !matches!(report.exit, 0 | 11) && names(before, "ready-").next().is_some();
        let noted = report.notes.iter().any(|note| note.contains("lost"));
        let gone = new.lacks(&old).or_else(|| new.knows_less_than(&old));
        if let (Some(gone), false) = (gone, report.exit == 11 || forged || waits || noted) {
            return bad(
                "no silent loss",
                format!("{gone} is gone; exit {}: {}", report.exit, report.sentence),
            );
        }
        let replaced = matches!(
            report.outcome,
            Outcome::Purged | Outcome::Restored | Outcome::Reindexed | Outcome::Salvaged
        ) && old.main != new.main;
        if !replaced || old.main.is_none() || old.size == 0 {
            return Ok(());
        }
        let mains: Vec<Option<u128>> = sets(after).map(|path| bytes_hash(after, &path)).collect();
        // What a journal or WAL changes before it is set aside is another set of files; and what
        // was in quarantine may be the damaged one.
        let same = old.side || case.kind == Kind::Quarantine || mains.contains(&old.main);
        if mains.is_empty() || !same {
            return bad(
                "the old file is kept",
                format!(
                    "{} sets of files in quarantine, and none is what stood there",
                    mains.len()
                ),
            );
        }
        Ok(())
    }

    /// A purge or a restore follows only where the owner allows it, and never on a database that is
    /// whole.
    fn allowed(
        &mut self,
        situation: &Situation,
        case: &Case,
        before: &State,
        old: &Contents,
        booted: &Booted,
    ) -> Result<(), Bad> {
        let report = &booted.report;
        let says = |what: &str| {
            Err(Bad {
                rule: "only what policy allows",
                what: format!("{what}; exit {}: {}", report.exit, report.sentence),
            })
        };
        // A ready file is the intent of an earlier run, which was judged in its own situation; a
        // record whose sums are right is believed.
        let begun =
            names(before, "ready-").next().is_some() || situation.name.starts_with("half-done");
        if begun || case.kind == Kind::Record && case.mutation == super::Mutation::Resealed {
            return Ok(());
        }
        let lost = old.main.is_none() || old.size == 0;
        // SQLite reads zeros where the last page ends early, and finds nothing wrong with them;
        // what stood there is not known.
        let cut_off = !old.size.is_multiple_of(PAGE_BYTES_MIN);
        match report.outcome {
            Outcome::Purged if situation.purges_failure() => Ok(()),
            Outcome::Purged if lost => Ok(()),
            Outcome::Purged if situation.purges_damage() && !old.whole() => Ok(()),
            Outcome::Purged => says("a fresh database stands there"),
            Outcome::Restored | Outcome::Reindexed | Outcome::Salvaged
                if old.whole() && !lost && !cut_off =>
            {
                says("the file was whole")
            }
            Outcome::Created if !lost => says("a first database was made over another"),
            _ => Ok(()),
        }
    }

    fn look(&mut self, situation: &Situation, state: &State) -> Rc<Contents> {
        let mut hash = Hash128::new();
        hash.number(situation.watched.len() as u64);
        for suffix in ["", "-wal", "-journal"] {
            hash.wide(bytes_hash(state, &format!("{MAIN}{suffix}")).unwrap_or(0));
        }
        Rc::clone(self.seen.entry(hash.finish()).or_insert_with(|| Rc::new(look(situation, state))))
    }
}

/// A virtual table that does not fit its content is no damage of the file; a run that looks at the
/// whole file says so.
fn unfit_is_named(seen: &Contents, booted: &Booted) -> Result<(), Bad> {
    let report = &booted.report;
    let looked = !matches!(report.outcome, Outcome::Quiet | Outcome::Compatible);
    let named = |name: &String| {
        report.notes.iter().any(|note| note.contains(&format!("virtual table {name} ")))
    };
    match seen.unfit.iter().find(|name| looked && !named(name)) {
        None => Ok(()),
        Some(name) => bad(
            "a virtual table that does not fit is named",
            format!("{name}; exit {}: {}", report.exit, report.sentence),
        ),
    }
}

/// Names in the state folder that begin so.
fn names<'a>(state: &State, begin: &'a str) -> impl Iterator<Item = String> + 'a {
    let paths = state.walk().into_iter().map(|(path, _)| path);
    paths.filter(move |path| {
        path.strip_prefix(STATE)
            .is_some_and(|inside| inside.trim_start_matches('/').starts_with(begin))
    })
}

/// Main files in quarantine, the second of two of the same operation among them.
fn sets(state: &State) -> impl Iterator<Item = String> {
    names(state, "quarantine/")
        .filter(|path| path.ends_with("/settings.db") || path.ends_with("/settings.db.1"))
}

#[cfg(test)]
mod tests {
    use super::super::situations::trees;
    use super::super::Mutation;
    use super::*;
    use crate::scenarios::catalogues::{firmware, Version};
    use rusqlite::{Connection, OpenFlags};

    /// What plain SQLite makes of this state.
    fn with(state: &State, sql: &str) -> State {
        let sim = Sim::from_state(state);
        let connection = Connection::open_with_flags_and_vfs(
            MAIN,
            OpenFlags::SQLITE_OPEN_READ_WRITE,
            sim.vfs_name(),
        )
        .unwrap();
        connection.execute_batch(sql).unwrap();
        drop(connection);
        sim.state().swept()
    }

    /// A table's page of an earlier time: some rows are in an index alone.
    fn stale(situation: &Situation) -> State {
        let (bytes, earlier) =
            (situation.state.read_file(MAIN).unwrap(), situation.earlier.read_file(MAIN).unwrap());
        let pages = (0..earlier.len() / 4096).map(|number| number * 4096..(number + 1) * 4096);
        let states = pages
            .filter(|page| bytes[page.start] == 13 && bytes[page.clone()] != earlier[page.clone()])
            .map(|page| {
                let (mut stale, mut state) = (bytes.clone(), situation.state.clone());
                stale[page.clone()].copy_from_slice(&earlier[page]);
                state.put_file(MAIN, &stale);
                state
            });
        let knows_more = |state: &State| {
            !look(situation, state).by_index.is_subset(&look(situation, state).by_table)
        };
        states.into_iter().find(knows_more).expect("a page of a table is older than its index")
    }

    #[test]
    fn a_run_that_loses_rows_silently_is_noticed() {
        let situation = trees("trees", firmware(Version::Two, ""), &[]);
        let case = Case { situation: 0, file: 0, kind: Kind::Database, mutation: Mutation::Stale };
        let mut verdict = Verdict::default();
        // Whatever it says, it says 0: what is compared are rows.
        let (quiet, _) = verdict
            .boot(&situation, &situation.state, &plain())
            .unwrap_or_else(|bad| panic!("{}", bad.what));
        assert_eq!(quiet.report.exit, 0);
        let mut judged = |before: &State, after: &State| {
            verdict.kept(&situation, &case, [before, after], &quiet).err().map(|bad| bad.rule)
        };
        assert_eq!(judged(&situation.state, &situation.state), None);
        let stale = stale(&situation);
        assert_eq!(judged(&stale, &stale), None);
        // The table is taken at its word, and the index built from it.
        assert_eq!(judged(&stale, &with(&stale, "REINDEX")), Some("no silent loss"));
        assert_eq!(
            judged(&situation.state, &with(&situation.state, "DELETE FROM reading WHERE id = 300")),
            Some("no silent loss")
        );
        assert_eq!(
            judged(&situation.state, &with(&situation.state, "DELETE FROM sensor WHERE id = 7")),
            Some("no silent loss")
        );
    }

    /// The rows of a product's own tables count as those of the lab's.
    #[test]
    fn a_product_that_loses_rows_silently_is_noticed() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let product =
            bootmigrate_build::read(&folder).unwrap_or_else(|problems| panic!("{problems:?}"));
        let embedded =
            bootmigrate::Embedded::packed(bootmigrate_build::packed(&product).leak(), "1").unwrap();
        let fill = |connection: &Connection, version: i64| {
            let names = ["one", "two", "three"]
                .map(|name| format!("INSERT INTO site (name) VALUES ('{name} at {version}');"));
            connection.execute_batch(&names.concat()).map_err(|error| error.to_string())
        };
        let situations =
            crate::own::Own::new(embedded, "settings").unwrap().situations(13, &fill).unwrap();
        let situation = situations.iter().find(|situation| situation.name == "current").unwrap();
        let case = Case { situation: 0, file: 0, kind: Kind::Database, mutation: Mutation::Stale };
        let mut verdict = Verdict::default();
        let (quiet, _) = verdict
            .boot(situation, &situation.state, &plain())
            .unwrap_or_else(|bad| panic!("{}", bad.what));
        let mut judged = |after: &State| {
            verdict
                .kept(situation, &case, [&situation.state, after], &quiet)
                .err()
                .map(|bad| bad.rule)
        };
        assert_eq!(judged(&situation.state), None);
        assert_eq!(
            judged(&with(&situation.state, "DELETE FROM site WHERE name = 'two at 14'")),
            Some("no silent loss")
        );
        assert_eq!(
            judged(&with(
                &situation.state,
                "UPDATE site SET name = 'other' WHERE name = 'one at 14'"
            )),
            Some("no silent loss")
        );
    }

    #[test]
    fn a_virtual_table_that_cannot_be_opened_is_no_damage_and_must_be_named() {
        let situation = trees("trees", firmware(Version::Three, ""), &[]);
        let made =
            "CREATE VIRTUAL TABLE places USING rtree(id, x0, x1); INSERT INTO places VALUES (1, 2, \
             3)";
        assert_eq!(look(&situation, &with(&situation.state, made)).unfit, Vec::<String>::new());
        let unfit = with(&situation.state, &format!("{made}; UPDATE places_node SET data = x'00'"));
        let seen = look(&situation, &unfit);
        assert_eq!(
            (seen.damage.as_deref(), seen.unfit.as_slice()),
            (None, ["places".to_owned()].as_slice())
        );
        let (mut booted, after) = Verdict::default()
            .boot(&situation, &unfit, &plain())
            .unwrap_or_else(|bad| panic!("{}", bad.what));
        assert_eq!(booted.report.exit, 0, "{}", booted.report.sentence);
        assert!(
            unfit_is_named(&look(&situation, &after), &booted).is_ok(),
            "{:?}",
            booted.report.notes
        );
        booted.report.notes.clear();
        let unnamed = unfit_is_named(&look(&situation, &after), &booted).err().map(|bad| bad.rule);
        assert_eq!(unnamed, Some("a virtual table that does not fit is named"));
    }
}
