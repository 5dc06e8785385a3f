//! Owns `plan`: what the next boot would do to each database, and why.
//! Promises: the words are the plan's own, so that the plan printed is the plan done; touches
//! nothing.
//! Never looks more closely than a boot does.

use serde::Serialize;

use crate::boot::group::plan_in_words;
use crate::boot::look;
use crate::catalog::Migration;
use crate::commands::{CommandContext, Lines, Printed};
use crate::decide::facts::Request;
use crate::decide::pending::PendingMigration;
use crate::decide::plan::Plan;
use crate::decide::replacement::Replacement;
use crate::device::Device;
use crate::ops::scrub::ScrubNote;
use crate::ops::store::RecordStore;
use crate::report::{LastFailure, SCHEMA};

#[derive(Debug, Serialize)]
struct Plans {
    schema: u32,
    databases: Vec<DatabasePlan>,
}

#[derive(Debug, Serialize)]
struct DatabasePlan {
    name: String,
    plan: String,
    last_failure: Option<LastFailure>,
    sql: Vec<String>,
}

/// A line a database; with `--sql` the text that would run.
pub fn plan(context: &CommandContext<'_>, sql: bool) -> Printed {
    let databases: Vec<DatabasePlan> =
        context.devices.iter().map(|device| of(device, context.all, sql)).collect();
    if context.command.json {
        return Printed::answer(Lines::json(&Plans { schema: SCHEMA, databases }), 0);
    }
    let mut text = Lines::default();
    for database in databases {
        text.line(&format!("{}: {}", database.name, database.plan));
        database
            .last_failure
            .iter()
            .for_each(|failure| text.line(&format!("  last failure: {}", failure.line())));
        database.sql.iter().for_each(|sql| text.extend(&Lines::verbatim(sql)));
    }
    Printed::answer(text, 0)
}

fn of(device: &Device<'_>, all: &[Device<'_>], with_sql: bool) -> DatabasePlan {
    let name = device.settings.name.clone();
    match look(device, Request::Boot) {
        Ok((facts, plan)) => {
            let last_failure =
                facts.last_failure.as_ref().map(|failure| LastFailure::of(&name, failure));
            let sql = if with_sql { texts(device, &plan) } else { Vec::new() };
            let plan = after_a_scrub(device, plan_in_words(device, &plan, all));
            DatabasePlan { name, plan, last_failure, sql }
        }
        Err(failure) => {
            let plan = wipe_goes_on(device).unwrap_or_else(|| format!("refuse: {failure}"));
            DatabasePlan { name, plan, last_failure: None, sql: Vec::new() }
        }
    }
}

/// Whoever only looks has no time for a full check.
fn after_a_scrub(device: &Device<'_>, plan: String) -> String {
    match ScrubNote::read(device).ok().and_then(|note| note.found) {
        Some(found) => {
            format!("check everything, since a scrub found: {found}; if the rest is whole: {plan}")
        }
        None => plan,
    }
}

/// The next boot finishes a wipe first, whatever stands there.
fn wipe_goes_on(device: &Device<'_>) -> Option<String> {
    let wiping = RecordStore::look(device).is_ok_and(|store| store.is_wiping());
    let target = device.catalog.target();
    wiping.then(|| {
        format!(
            "finish the wipe that was cut off: what is left of the database goes for good; then \
             create it at version {target}"
        )
    })
}

/// What the plan would run, and nothing else: in its order, each after a comment with its file.
fn texts(device: &Device<'_>, plan: &Plan) -> Vec<String> {
    let find = |migrations: &[PendingMigration]| {
        migrations.iter().filter_map(|migration| device.catalog.find(migration.version)).collect()
    };
    let after = |version: i64| {
        device.catalog.migrations.iter().filter(|migration| migration.version > version).collect()
    };
    let migrations: Vec<&Migration> = match plan {
        Plan::Migrate { migrations, .. }
        | Plan::MigrateCopy { migrations, .. }
        | Plan::Adopt { pending: migrations, .. } => find(migrations),
        Plan::FirstBoot { .. }
        | Plan::Replace { by: Replacement::Fresh | Replacement::Carried(_), .. } => after(i64::MIN),
        // A copy is at its version.
        Plan::Replace { by: Replacement::Snapshot { version, .. }, .. } => after(*version),
        Plan::Quiet { .. }
        | Plan::UseNewer { .. }
        | Plan::Recover { .. }
        | Plan::Replace { .. }
        | Plan::Refuse(_) => Vec::new(),
    };
    migrations
        .iter()
        .map(|migration| format!("-- {}\n{}", migration.file, migration.sql.trim_end()))
        .collect()
}
