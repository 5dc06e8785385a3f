//! Owns going back: the down SQL that newer firmware stored in the database, run on a copy of it.
//! Promises: one transaction; what it leads to is this firmware's schema; what that has no room for is counted and named.
//! Never runs on the live file: the newer one stays whole, and is kept.

use std::collections::BTreeSet;

use crate::device::disk::Step;
use crate::device::history::{self, Down};
use crate::device::sqlite::script::{self, Lane, Source};
use crate::device::sqlite::Database;
use crate::device::{supervisor, Device};
use crate::error::{Class, Failure};
use crate::steps::before::{Before, Changes};
use crate::steps::ledger::Act;
use crate::steps::migrate::finish_history;
use crate::steps::scratch::{name_of, Scratch};
use crate::steps::verify::verify;

const STEP: Step = Step("go back by the stored down SQL");

/// Takes a copy of the newer database back to this firmware's version, commits, and returns what did not fit, a line each, and what
/// is worth knowing.
///
/// # Errors
/// Failed where the down SQL is not there, does not work, or leads elsewhere; the copy is worth nothing then.
pub fn go_back(device: &Device<'_>, database: &mut Database, act: Act, token: &str) -> Result<(Vec<String>, Vec<String>), Failure> {
    let table = &device.settings.history_table;
    let target = device.catalog.target();
    let Some(downs) = history::ways_back(database, STEP, table, target)? else {
        return Err(Failure::new(Class::Failed, STEP, "the down SQL that was seen in the database is not in its copy"));
    };
    let schema = Before::of(device, database, STEP)?;
    let before = database.survey(STEP, table)?;
    database.run(STEP, "BEGIN")?;
    for down in &downs {
        undo(device, database, down)?;
        device.stop_here(STEP)?;
    }
    history::data::reopen_above(database, STEP, target)?;
    finish_history(device, database, device.catalog.migrations.last(), act, token)?;
    leads_here(device, &database.schema(STEP, table)?)?;
    let lost = database.survey(STEP, table)?.lacks(&before);
    let verified = verify(device, database, &schema, &Changes::Back(&downs), target)?;
    verified.database.commit(STEP)?;
    Ok((lost, verified.notes))
}

/// One migration's way back, and its rows out of the histories.
fn undo(device: &Device<'_>, database: &mut Database, down: &Down) -> Result<(), Failure> {
    let file = format!("V{}__{}.down.sql (stored in the database)", down.version, down.name);
    log::info!("{}: going back over {file}.", device.settings.name);
    supervisor::notify_status(&format!("{}: {file}", device.settings.name));
    let source = Source { file: &file, version: down.version, sql: &down.sql, statements: 0 };
    script::run_text(database, STEP, &source, Lane::Transaction, false, &mut |ran| {
        log::debug!("  {file}:{} statement {}: {} rows in {} ms", ran.line, ran.statement, ran.rows, ran.took.as_millis());
    })?;
    history::forget(database, STEP, &device.settings.history_table, down.version)
}

/// Tables, columns and views are those that this firmware's own migrations make. Tables and views that they do not make
/// are the application's own; indexes and triggers may differ.
fn leads_here(device: &Device<'_>, schema: &BTreeSet<String>) -> Result<(), Failure> {
    let Some(wanted) = Scratch::schema_at(device, device.catalog.target())? else {
        log::info!("{}: its schema cannot be built from nothing, so it is not compared.", device.settings.name);
        return Ok(());
    };
    let names = |schema: &BTreeSet<String>| schema.iter().map(|entry| name_of(entry).to_owned()).collect::<BTreeSet<String>>();
    let (found, wanted) = (names(schema), names(&wanted));
    let matters = |name: &&String| ["table ", "column ", "view "].iter().any(|kind| name.starts_with(kind));
    let missing = wanted.difference(&found).filter(matters).map(|name| format!("{name} is missing"));
    // A column that was forgotten would stand in the newer firmware's way when it comes again.
    let known = |column: &&String| {
        let table = column.strip_prefix("column ").and_then(|column| column.rsplit_once('.')).map(|(table, _)| table);
        table.is_some_and(|table| wanted.contains(&format!("table {table} on {table}")))
    };
    let more = found.difference(&wanted).filter(known).map(|name| format!("{name} is still there"));
    let wrong: Vec<String> = missing.chain(more).collect();
    match wrong.first() {
        None => Ok(()),
        Some(first) => {
            let cause = format!("the stored down SQL does not lead to this firmware's schema: {first}");
            Err(Failure::new(Class::Failed, STEP, cause).details(wrong))
        }
    }
}
