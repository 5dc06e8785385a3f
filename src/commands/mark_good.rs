//! Owns `mark-good`: the slot has proven itself, and what was kept for the way back may go.
//! Promises: only where the application may open every database as it is; all of them are marked,
//! durably, before a snapshot goes.
//! Never touches the database.

use serde::Serialize;

use crate::boot::group::not_there;
use crate::boot::look;
use crate::commands::status::pending_exit;
use crate::commands::{Lines, Printed};
use crate::decide::facts::Request;
use crate::device::disk::Op;
use crate::device::Device;
use crate::error::exit::{self, gravest};
use crate::error::{Class, Failure};
use crate::ops::lock::{lock, Locked};
use crate::ops::prune::prune;
use crate::ops::store::RecordStore;
use crate::report::{version_of, SCHEMA};

const OP: Op = Op("mark it good");

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

/// A line a database; the exit code is the gravest. The slot is good as a whole or not at all:
/// where one database is not ready, or cannot be written, the snapshots of the others are what the
/// older slot would need.
pub fn mark_good(devices: &[Device<'_>], all: &[Device<'_>], json: bool) -> Printed {
    let looked = devices
        .iter()
        .map(|device| looked(device, all).unwrap_or_else(|failure| failed(device, &failure)));
    let databases = ready(looked.collect())
        .and_then(|_| mark(devices, all))
        .unwrap_or_else(|databases| databases);
    let exit = gravest(databases.iter().map(|database| database.exit));
    if json {
        return Printed::outcome(
            Lines::json(&Report { schema: SCHEMA, exit, databases }),
            Lines::default(),
            exit,
        );
    }
    Printed::outcome(
        databases.iter().map(|database| &database.sentence).collect(),
        Lines::default(),
        exit,
    )
}

/// All of them are; else what each waits for.
fn ready(mut databases: Vec<Marked>) -> Result<Vec<Marked>, Vec<Marked>> {
    let Some(other) =
        databases.iter().find(|database| database.exit != 0).map(|database| database.name.clone())
    else {
        return Ok(databases);
    };
    let why = format!("{other} is not ready. Next: `bootmigrate run`");
    databases
        .iter_mut()
        .filter(|database| database.exit == 0)
        .for_each(|database| database.waits_for(&why));
    Err(databases)
}

/// A database that can be marked, and is locked.
struct Held {
    _locked: Locked,
    store: RecordStore,
    marked: Marked,
}

/// Everything is locked before the first is marked, and marked before the first snapshot goes.
fn mark(devices: &[Device<'_>], all: &[Device<'_>]) -> Result<Vec<Marked>, Vec<Marked>> {
    let mut held = Vec::new();
    for device in devices {
        match hold(device, all).unwrap_or_else(|failure| Err(failed(device, &failure))) {
            Ok(one) => held.push(one),
            Err(refused) => return Err(none_but(devices, refused)),
        }
    }
    let mut before = Vec::new();
    for (device, one) in devices.iter().zip(&mut held) {
        match one.store.mark_good(device) {
            Ok(good) => before.push(good),
            Err(failure) => {
                let marked = devices.iter().zip(&mut held).zip(before);
                marked.for_each(|((device, one), before)| {
                    before.into_iter().for_each(|before| one.store.take_back_good(device, before))
                });
                return Err(none_but(devices, failed(device, &failure)));
            }
        }
    }
    let marked = devices.iter().zip(held).zip(before);
    Ok(marked.map(|((device, one), before)| pruned(device, one, before.is_some())).collect())
}

fn hold(device: &Device<'_>, all: &[Device<'_>]) -> Result<Result<Held, Marked>, Failure> {
    let locked = lock(device)?;
    if let Some(why) = &locked.read_only {
        return Err(Failure::new(
            Class::Storage,
            OP,
            format!("its record cannot be written: {why}"),
        )
        .at(&device.state.record()));
    }
    // A run may have come between.
    let marked = looked(device, all)?;
    if marked.exit != 0 {
        return Ok(Err(marked));
    }
    let store = RecordStore::open(device, &locked)?;
    Ok(Ok(Held { _locked: locked, store, marked }))
}

/// One is refused, and every other waits for it.
fn none_but(devices: &[Device<'_>], refused: Marked) -> Vec<Marked> {
    let mut refused = Some(refused);
    let why = format!("{} cannot be marked", refused.as_ref().map_or("", |refused| &refused.name));
    let answer = |device: &Device<'_>| match refused
        .take_if(|refused| refused.name == device.settings.name)
    {
        Some(refused) => refused,
        None => {
            let (name, sentence) = (device.settings.name.clone(), String::new());
            let mut waits = Marked {
                name,
                exit: exit::PENDING.code,
                version: None,
                removed: Vec::new(),
                sentence,
            };
            waits.waits_for(&why);
            waits
        }
    };
    devices.iter().map(answer).collect()
}

fn pruned(device: &Device<'_>, held: Held, new: bool) -> Marked {
    let mut marked = held.marked;
    let names = || device.state.list_snapshots(device.disk()).unwrap_or_default();
    let old = names();
    prune(device, &held.store);
    let left = names();
    marked.removed = old
        .iter()
        .filter(|name| !left.contains(name))
        .map(|name| format!("v{}-{}", name.version, name.operation))
        .collect();
    let word = if new { "is good" } else { "was marked good before" };
    let gone = if marked.removed.is_empty() {
        "no snapshot goes".to_owned()
    } else {
        format!("removed: {}", marked.removed.join(", "))
    };
    marked.sentence =
        format!("{}: version {} {word}; {gone}.", marked.name, marked.version.unwrap_or(0));
    marked
}

impl Marked {
    fn waits_for(&mut self, why: &str) {
        self.exit = exit::PENDING.code;
        self.sentence = format!("{}: not marked good, because {why}.", self.name);
    }
}

fn looked(device: &Device<'_>, all: &[Device<'_>]) -> Result<Marked, Failure> {
    let (facts, plan) = look(device, Request::Boot)?;
    let name = device.settings.name.clone();
    let (why, exit) = match (pending_exit(device, &plan), not_there(device, all)) {
        (0, Some(other)) => {
            (format!("it goes together with {other}, which is not ready"), exit::PENDING.code)
        }
        (exit, _) => (format!("the next boot would {plan}"), exit),
    };
    let sentence = format!("{name}: not marked good, because {why}. Next: `bootmigrate run`.");
    Ok(Marked { name, exit, version: version_of(&facts), removed: Vec::new(), sentence })
}

fn failed(device: &Device<'_>, failure: &Failure) -> Marked {
    let name = device.settings.name.clone();
    let sentence = format!("{name}: not marked good: {failure}.");
    Marked { name, exit: failure.class.exit().code, version: None, removed: Vec::new(), sentence }
}
