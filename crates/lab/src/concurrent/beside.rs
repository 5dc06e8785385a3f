//! Owns one run of a scenario with an application in the middle, and what its snapshots must hold.
//! Promises: the run is logged, so that it can be cut at each effect.
//! Never judges more than its snapshots.

use std::collections::HashSet;
use std::sync::PoisonError;

use bootmigrate::device::disk::Op;

use super::application::{self, Manner};
use crate::by_operator::{carry_out, copies};
use crate::dump::guests;
use crate::finding::Bad;
use crate::firmware::{MAIN, STATE};
use crate::logged::Logged;
use crate::scenario::Run;
use crate::scenario::Scenario;
use crate::sim::effect::SQLITE;
use crate::sim::{Effect, Options, Sim, State};

/// Where `snapshot create` copies, and gives the copy its name.
const COPIED: Op = Op("copy beside the applications");
/// Where a database that is wiped loses its name.
const WIPED: Op = Op("wipe");
/// Where the device gives a snapshot its name.
const NAMED: Op = Op("name the snapshot");

/// One run with an application in the middle, logged.
pub struct Beside {
    pub logged: Logged,
    /// After the application has ended too.
    pub after: State,
    pub acknowledged: Vec<(i64, u64)>,
    /// It makes a database of its own.
    pub founded: bool,
}

/// From the snapshot until the commit nobody writes: every row that was acknowledged by then is in
/// the snapshot.
pub fn in_the_snapshot(run: &Beside) -> Result<(), Bad> {
    let log = &run.logged.log;
    let ours = |number: &usize, op: Op| log[*number].process == 0 && log[*number].op == op;
    let Some(named) = (0..log.len()).rfind(|number| ours(number, NAMED)) else { return Ok(()) };
    let begins = |number: &usize| ours(number, SQLITE) && log[*number].path.starts_with(MAIN);
    let Some(first) = (named..log.len()).find(begins).map(|number| number as u64) else {
        return Ok(());
    };
    let prefix = format!("{STATE}/snapshots/v");
    let copies =
        run.after.walk().into_iter().map(|(path, _)| path).filter(|path| path.starts_with(&prefix));
    let copies: Vec<String> = copies.collect();
    if copies.is_empty() {
        // It was left out in the end: whether there must be one, the scenario says.
        return Ok(());
    }
    let held: HashSet<i64> = copies.iter().flat_map(|path| guests(&run.after, path)).collect();
    match run.acknowledged.iter().find(|(id, at)| *at <= first && !held.contains(id)) {
        None => Ok(()),
        Some((id, _)) => Err(Bad {
            rule: "a snapshot is complete",
            what: format!("row {id}, acknowledged before effect {first}, is in no snapshot"),
        }),
    }
}

/// Rows that were acknowledged by this effect go with the database that is wiped; those of the one
/// that is made afterwards do not.
fn given_up_by(scenario: &Scenario, run: &Logged) -> u64 {
    let log = &run.log;
    let ours = |effect: &&Effect, path: &str| effect.process == 0 && *effect.path == *path;
    let unlinked = log.iter().position(|effect| ours(&effect, MAIN) && effect.op == WIPED);
    // A later boot takes it.
    let begun = || {
        scenario.run == Run::Boot
            || log.iter().any(|effect| ours(&effect, &format!("{STATE}/record")))
    };
    match unlinked {
        _ if !scenario.wipes() => 0,
        // It had the file without a name, and was told of by 13.
        Some(_) if run.booted.report.exit == 13 => u64::MAX,
        Some(at) => at as u64,
        None if begun() => u64::MAX,
        None => 0,
    }
}

impl Beside {
    pub fn run(scenario: &Scenario, number: u64, manner: Manner) -> Beside {
        let sim = Sim::with(&scenario.initial, Options { log: true, ..scenario.options.clone() });
        let application = application::start(&sim, number, manner);
        let booted = carry_out(scenario.run, scenario.firmware, &sim, &scenario.asked);
        let mut application = application.lock().unwrap_or_else(PoisonError::into_inner);
        application.after_the_boot();
        let mut acknowledged = application.acknowledged.clone();
        let logged = Logged::of(sim, booted);
        acknowledged.retain(|(_, at)| *at > given_up_by(scenario, &logged));
        let founded = manner == Manner::Founds;
        Beside { after: logged.sim.state().swept(), logged, acknowledged, founded }
    }

    /// A snapshot that was made beside the application is there, with every row that was
    /// acknowledged before it was begun.
    pub fn snapshot_made(&self, scenario: &Scenario) -> Result<(), Bad> {
        if scenario.run != Run::SnapshotCreate || self.logged.booted.report.exit != 0 {
            return Ok(());
        }
        let log = &self.logged.log;
        let begun = log
            .iter()
            .position(|line| line.process == 0 && line.op == COPIED)
            .map_or(0, |number| number as u64);
        let then = copies(&self.logged.initial);
        let made = copies(&self.after).into_iter().filter(|path| !then.contains(path));
        let held: Vec<HashSet<i64>> =
            made.map(|path| guests(&self.after, &path).into_iter().collect()).collect();
        let missing = |held: &HashSet<i64>| {
            self.acknowledged.iter().find(|(id, at)| *at <= begun && !held.contains(id))
        };
        match held.last().map(missing) {
            None => Err(Bad {
                rule: "a snapshot is complete",
                what: "exit 0, and no snapshot was made".into(),
            }),
            Some(Some((id, _))) => Err(Bad {
                rule: "a snapshot is complete",
                what: format!("row {id} was acknowledged before it, and is not in it"),
            }),
            Some(None) => Ok(()),
        }
    }
}
