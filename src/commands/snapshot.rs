//! Owns `snapshot list | create | verify | prune`.
//! Promises: `create` works beside running applications; a copy is checked before it has a name.
//! Never removes the newest copy.

use serde::Serialize;

use crate::cli::SnapshotVerb;
use crate::commands::{changes, not_begun, CommandContext, Lines, Printed};
use crate::device::Device;
use crate::error::exit::{self, gravest};
use crate::error::Failure;
use crate::ops::backup::create;
use crate::ops::examine::{snapshots, SnapshotFile};
use crate::ops::lock::{lock, Locked};
use crate::ops::prune::{prune, prune_by_hand};
use crate::ops::store::RecordStore;
use crate::report::SCHEMA;

#[derive(Debug, Serialize)]
struct Copies {
    schema: u32,
    exit: u8,
    databases: Vec<DatabaseCopies>,
}

#[derive(Debug, Serialize)]
struct DatabaseCopies {
    name: String,
    snapshots: Vec<OneCopy>,
}

#[derive(Debug, Serialize)]
struct OneCopy {
    name: String,
    bytes: u64,
    /// `null` where it was not read.
    good: Option<bool>,
    why: Option<String>,
}

/// What the verb says, for each database.
pub fn snapshot(context: &CommandContext<'_>, verb: SnapshotVerb) -> Printed {
    match verb {
        SnapshotVerb::List => show(context, false),
        SnapshotVerb::Verify => show(context, true),
        SnapshotVerb::Create => operation(context, created),
        SnapshotVerb::Prune => operation(context, pruned),
    }
}

fn show(context: &CommandContext<'_>, verify: bool) -> Printed {
    let (mut text, mut databases, mut exits) = (Lines::default(), Vec::new(), vec![0]);
    for device in context.devices {
        let name = device.settings.name.clone();
        match snapshots(device, verify) {
            Ok(found) => {
                if found.is_empty() {
                    text.line(&format!("{name}: no snapshots"));
                }
                found.iter().for_each(|one| text.line(&line(&name, one)));
                let bad = found.iter().any(|one| matches!(one.good, Some(Err(_))));
                exits.push(if bad { exit::DAMAGED.code } else { 0 });
                databases.push(DatabaseCopies {
                    name,
                    snapshots: found.into_iter().map(copy).collect(),
                });
            }
            Err(failure) => {
                text.line(&format!("{name}: {failure}"));
                exits.push(failure.class.exit().code);
            }
        }
    }
    let exit = gravest(exits.into_iter());
    if context.command.json {
        return Printed::answer(Lines::json(&Copies { schema: SCHEMA, exit, databases }), exit);
    }
    Printed::answer(text, exit)
}

fn line(database: &str, one: &SnapshotFile) -> String {
    let good = match &one.good {
        None => String::new(),
        Some(Ok(version)) => format!("  good, version {version}"),
        Some(Err(why)) => format!("  NOT GOOD: {why}"),
    };
    format!("{database}: {:<10} {:>12} bytes{good}", one.name, one.bytes)
}

fn copy(one: SnapshotFile) -> OneCopy {
    let why = one.good.as_ref().and_then(|good| good.as_ref().err().cloned());
    OneCopy { name: one.name, bytes: one.bytes, good: one.good.map(|good| good.is_ok()), why }
}

/// Under the lock of each database.
fn operation(
    context: &CommandContext<'_>,
    what: fn(&Device<'_>, &Locked, &RecordStore) -> Result<String, Failure>,
) -> Printed {
    if let Err(printed) = changes(context) {
        return printed;
    }
    let (mut text, mut exits) = (Lines::default(), vec![0]);
    for device in context.devices {
        let done = lock(device).and_then(|locked| {
            let store = RecordStore::open(device, &locked)?;
            what(device, &locked, &store)
        });
        match done {
            Ok(said) => text.line(&format!("{}: {said}", device.settings.name)),
            Err(failure) => {
                let said = not_begun(device, failure);
                exits.push(said.exit);
                text.extend(&said.sentences);
            }
        }
    }
    Printed::outcome(Lines::default(), text, gravest(exits.into_iter()))
}

fn created(device: &Device<'_>, locked: &Locked, store: &RecordStore) -> Result<String, Failure> {
    let main = device.disk().stat(&device.files.main);
    if main.is_ok_and(|main| main.is_none()) && !store.record().held_data {
        return Ok("there is no database yet, and nothing to copy.".to_owned());
    }
    let name = create(device, locked, store)?;
    prune(device, store);
    Ok(format!(
        "snapshot v{}-{} made, whole and at version {}.",
        name.version, name.operation, name.version
    ))
}

fn pruned(device: &Device<'_>, _locked: &Locked, store: &RecordStore) -> Result<String, Failure> {
    let before = snapshots(device, false)?.len();
    prune_by_hand(device, store);
    let after = snapshots(device, false)?.len();
    Ok(format!("{} snapshots removed, {after} kept.", before.saturating_sub(after)))
}
