//! Owns `mark-good`: the slot has proven itself, and what was kept for the way back may go.
//! Promises: only where the application may open the database as it is; written once, and durable before a snapshot goes.
//! Never touches the database.

use serde::Serialize;

use crate::boot::group::not_there;
use crate::boot::look;
use crate::commands::status::pending_exit;
use crate::commands::{Lines, Printed};
use crate::decide::facts::Request;
use crate::device::Device;
use crate::error::Failure;
use crate::ops::lock::lock;
use crate::ops::prune::prune;
use crate::ops::store::RecordStore;
use crate::report::{exit_of, gravest, version_of, EXIT_PENDING, SCHEMA};

#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    exit: u8,
    databases: Vec<Marked>,
}

#[derive(Debug, Serialize)]
struct Marked {
    name: String,
    exit: u8,
    version: Option<i64>,
    removed: Vec<String>,
    sentence: String,
}

/// A line a database; the exit code is the gravest. The slot is good as a whole or not at all: where one database is not ready, the
/// snapshots of the others are what the older slot would need.
pub fn mark_good(devices: &[Device<'_>], all: &[Device<'_>], json: bool) -> Printed {
    let looked = devices.iter().map(|device| looked(device, all).unwrap_or_else(|failure| failed(device, &failure)));
    let mut databases: Vec<Marked> = looked.collect();
    match databases.iter().find(|database| database.exit != 0).map(|database| database.name.clone()) {
        Some(other) => databases.iter_mut().filter(|database| database.exit == 0).for_each(|database| database.waits_for(&other)),
        None => databases = devices.iter().map(|device| one(device, all).unwrap_or_else(|failure| failed(device, &failure))).collect(),
    }
    let exit = gravest(databases.iter().map(|database| database.exit));
    if json {
        return Printed::outcome(Lines::json(&Report { schema: SCHEMA, exit, databases }), Lines::default(), exit);
    }
    Printed::outcome(databases.iter().map(|database| &database.sentence).collect(), Lines::default(), exit)
}

impl Marked {
    fn waits_for(&mut self, other: &str) {
        self.exit = EXIT_PENDING;
        self.sentence = format!("{}: not marked good, because {other} is not ready. Next: `bootmigrate run`.", self.name);
    }
}

fn one(device: &Device<'_>, all: &[Device<'_>]) -> Result<Marked, Failure> {
    let locked = lock(device)?;
    // A run may have come between.
    let mut marked = looked(device, all)?;
    if marked.exit != 0 {
        return Ok(marked);
    }
    let mut store = RecordStore::open(device, &locked)?;
    let new = store.mark_good(device)?;
    let names = || device.state.list_snapshots(device.disk()).unwrap_or_default();
    let old = names();
    prune(device, &store);
    let left = names();
    marked.removed = old.iter().filter(|name| !left.contains(name)).map(|name| format!("v{}-{}", name.version, name.operation)).collect();
    let word = if new { "is good" } else { "was marked good before" };
    let gone = if marked.removed.is_empty() { "no snapshot goes".to_owned() } else { format!("removed: {}", marked.removed.join(", ")) };
    marked.sentence = format!("{}: version {} {word}; {gone}.", marked.name, marked.version.unwrap_or(0));
    Ok(marked)
}

fn looked(device: &Device<'_>, all: &[Device<'_>]) -> Result<Marked, Failure> {
    let (facts, plan) = look(device, Request::Boot)?;
    let name = device.settings.name.clone();
    let (why, exit) = match (pending_exit(device, &plan), not_there(device, all)) {
        (0, Some(other)) => (format!("it goes together with {other}, which is not ready"), EXIT_PENDING),
        (exit, _) => (format!("the next boot would {plan}"), exit),
    };
    let sentence = format!("{name}: not marked good, because {why}. Next: `bootmigrate run`.");
    Ok(Marked { name, exit, version: version_of(&facts), removed: Vec::new(), sentence })
}

fn failed(device: &Device<'_>, failure: &Failure) -> Marked {
    let name = device.settings.name.clone();
    let sentence = format!("{name}: not marked good: {failure}.");
    Marked { name, exit: exit_of(failure.class), version: None, removed: Vec::new(), sentence }
}
