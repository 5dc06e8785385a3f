//! Owns going back: the down SQL that newer firmware stored in the database, run on a copy of it.
//! Promises: one transaction; what it leads to is this firmware's schema; what that has no room for
//! is counted and named.
//! Never runs on the live file: the newer one stays whole, and is kept.

use std::collections::BTreeSet;

use crate::device::disk::Op;
use crate::device::history::own::{Change, Ours};
use crate::device::history::{self, Down};
use crate::device::sqlite::schema::{Difference, How, Schema};
use crate::device::sqlite::script::{self, Mode, ScriptSource};
use crate::device::sqlite::session::FileOptions;
use crate::device::sqlite::Database;
use crate::device::{notify, Device};
use crate::error::{Class, Failure};
use crate::ops::apply::{finish_history, set_user_version};
use crate::ops::before::{Before, RunSince};
use crate::ops::run::Build;
use crate::ops::scratch::Scratch;
use crate::ops::verify::verify;

const OP: Op = Op("go back by the stored down SQL");

/// Takes a copy of the newer database back to this firmware's version, commits, and returns what
/// did not fit, a line each, and what is worth knowing.
///
/// # Errors
/// Failed where the down SQL is not there, does not work, or leads elsewhere; the copy is worth
/// nothing then.
pub fn go_back(
    build: &Build<'_>,
    database: &mut Database,
) -> Result<(Vec<String>, Vec<String>), Failure> {
    let Build { device, operation, token, .. } = *build;
    let table = &device.settings.history_table;
    let target = device.catalog.target();
    let Some(downs) = history::ways_back(database, OP, table, target)? else {
        return Err(Failure::new(
            Class::Failed,
            OP,
            "the down SQL that was seen in the database is not in its copy",
        ));
    };
    let made = history::made::by(database, OP, downs.iter().map(|down| down.version))?;
    let schema = Before::of(device, database, OP)?;
    let before = database.survey(OP, table)?;
    database.run(OP, "BEGIN")?;
    let ours = Ours::of(database, OP, table)?;
    let left = downs.iter().skip(1).map(|down| down.version).chain([target]);
    for (down, left) in downs.iter().zip(left) {
        undo(device, database, down)?;
        // The next one may read it.
        set_user_version(device, database, left)?;
        device.stop_here(OP)?;
    }
    history::data::reopen_above(database, OP, target)?;
    finish_history(device, database, device.catalog.migrations.last(), operation, token)?;
    let removed: Vec<i64> = downs.iter().map(|down| down.version).collect();
    ours.unharmed(
        database,
        OP,
        table,
        &Change { added: &[], removed: &removed, operation: operation.number },
    )?;
    leads_here(device, &database.schema(OP, table)?, &made)?;
    let lost = database.survey(OP, table)?.lacks(&before);
    let verified = verify(device, database, &schema, &RunSince::Back(&downs), target)?;
    verified.database.commit(OP)?;
    Ok((lost, verified.notes))
}

/// One migration's way back, and its rows out of the histories.
fn undo(device: &Device<'_>, database: &mut Database, down: &Down) -> Result<(), Failure> {
    let file = format!("V{}__{}.down.sql (stored in the database)", down.version, down.name);
    log::info!("{}: going back over {file}.", device.settings.name);
    notify::status(&format!("{}: {file}", device.settings.name));
    let source = ScriptSource { file: &file, version: down.version, sql: &down.sql, statements: 0 };
    database.reserve(&device.settings.history_table);
    database.file(OP, Mode::Transaction, FileOptions::default(), |database, session| {
        script::run_text(database, session, &source, &mut |ran| {
            log::debug!(
                "  {file}:{} statement {}: {} rows in {} ms",
                ran.line,
                ran.statement,
                ran.rows,
                ran.took.as_millis()
            );
        })
    })?;
    history::made::forget(database, OP, down.version)?;
    history::forget(database, OP, &device.settings.history_table, down.version)
}

/// The schema is the one that this firmware's own migrations make. A table, view, index or trigger
/// more is the application's own, unless a migration that was gone back over has made it. Columns
/// in another order are no reason unless a view or a trigger counts on it: what names its columns
/// does not notice, and a migration that does not is found by the build.
fn leads_here(device: &Device<'_>, found: &Schema, made: &BTreeSet<String>) -> Result<(), Failure> {
    let name = &device.settings.name;
    let Some(wanted) = Scratch::schema_at(device, device.catalog.target())? else {
        log::info!("{name}: its schema cannot be built from nothing, so it is not compared.");
        return Ok(());
    };
    let wrong = |difference: &Difference| match difference.how {
        How::ExtraObject if !made.contains(&difference.key) => None,
        How::ExtraObject | How::ExtraPart => Some(format!("{} is still there", difference.what)),
        How::Missing | How::Other { .. } => Some(difference.to_string()),
        How::Order { .. } if wanted.by_position(&difference.key).is_some() => {
            Some(difference.to_string())
        }
        How::Order { .. } => {
            log::warn!(
                "{name}: {difference}; what reads `SELECT *` or writes without naming columns \
                 would be wrong."
            );
            None
        }
    };
    let wrong: Vec<String> = found.differences(&wanted).iter().filter_map(wrong).collect();
    match wrong.as_slice() {
        [] => Ok(()),
        [first, more @ ..] => {
            let more =
                if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
            let cause = format!(
                "the stored down SQL does not lead to this firmware's schema: {first}{more}"
            );
            Err(Failure::new(Class::Failed, OP, cause).details(wrong))
        }
    }
}
