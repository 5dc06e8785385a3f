//! Owns telling whether plain refinery was cut off between its two transactions: a migration's own,
//! and that of its history row.
//! Promises: a migration counts as done only where the database shows what nothing but its run
//! leaves; otherwise it runs, as refinery would run it, or the database is refused with the
//! operator's choice.
//! Never writes.

use crate::catalog::Migration;
use crate::config::AdoptFrom;
use crate::device::history::History;
use crate::device::sqlite::contents::Values;
use crate::device::sqlite::rows::Table;
use crate::device::sqlite::schema::{How, Schema};
use crate::device::sqlite::{script, Database};
use crate::device::{Device, LOOK};
use crate::error::Failure;
use crate::ops::scratch::Scratch;

/// Opens the live database, lets it be read, and closes it.
pub type Live<'a> =
    dyn Fn(&dyn Fn(&Database) -> Result<CutOff, Failure>) -> Result<CutOff, Failure> + 'a;

/// What plain refinery left when it was cut off.
pub enum CutOff {
    /// The next migration runs.
    No,
    /// This version ran, and its row is missing.
    Done(i64),
    /// Something of it is there, and whether it ran cannot be told; in words.
    Partly(String),
}

/// Compares the live database with the next migration's result on an empty one.
///
/// # Errors
/// The database cannot be read, or there is no memory.
pub fn cut_off(device: &Device<'_>, history: &History, live: &Live<'_>) -> Result<CutOff, Failure> {
    let version = history.version();
    let Some(next) = device.catalog.migrations.iter().find(|migration| migration.version > version)
    else {
        return Ok(CutOff::No);
    };
    let Some(run) = Run::of(device, version, next)? else { return Ok(CutOff::No) };
    if run.before == run.after {
        return Ok(CutOff::No);
    }
    live(&|database| judge(device, database, next, &run))
}

fn judge(
    device: &Device<'_>,
    live: &Database,
    next: &Migration,
    run: &Run,
) -> Result<CutOff, Failure> {
    let schema = live.schema(LOOK, &device.settings.history_table)?;
    if schema == run.before {
        return Ok(CutOff::No);
    }
    // Refinery runs the file, and no code of ours: with code it is never done.
    let code = next.directives.code_revision.is_some();
    if schema == run.after && !code {
        return same_schema(device, live, next, run);
    }
    let (old, here) = (run.before.names(), schema.names());
    Ok(match run.after.names().into_iter().find(|new| !old.contains(new) && here.contains(new)) {
        None => CutOff::No,
        Some(there) => {
            let but = if code {
                "its code has not run"
            } else {
                "the schema is not what that file leaves"
            };
            CutOff::Partly(format!(
                "{there} is in the database already, as {} would make it, but {but}",
                next.file
            ))
        }
    })
}

/// The schema is the one that the migration leaves. An application may have made it so, and then
/// the migration's rows are missing.
fn same_schema(
    device: &Device<'_>,
    live: &Database,
    next: &Migration,
    run: &Run,
) -> Result<CutOff, Failure> {
    let stated = matches!(
        &device.settings.baseline,
        Some(adopt) if adopt.from == AdoptFrom::Stated(next.version)
    );
    let all_is_there =
        || -> Result<bool, Failure> { Ok(!run.changes_others && run.rows_are_in(live)?) };
    if stated || !run.changes_rows || run.rebuilds() || all_is_there()? {
        return Ok(CutOff::Done(next.version));
    }
    if run.can_run_again {
        return Ok(CutOff::No);
    }
    let database = &device.settings.name;
    let version = next.version;
    Ok(CutOff::Partly(format!(
        "the schema is the one that {} leaves and its history row is missing, but whether its rows \
         were written cannot be told; `bootmigrate baseline --db {database} --at {version}` \
         records it as done, and where what it creates is dropped it runs",
        next.file
    )))
}

/// The next migration, run in memory on the schema before it.
struct Run {
    /// The schema before it.
    before: Schema,
    /// The schema after it.
    after: Schema,
    /// A statement of it may insert, update or delete rows.
    changes_rows: bool,
    /// One may change rows that were there, of which nothing tells whether it did.
    changes_others: bool,
    /// Nothing that it creates is in its way.
    can_run_again: bool,
    /// Rows that it inserts into empty tables.
    inserted: Vec<(Table, Vec<Values>)>,
}

impl Run {
    /// `None` where it cannot be run on empty tables.
    fn of(device: &Device<'_>, version: i64, next: &Migration) -> Result<Option<Run>, Failure> {
        let Some(mut scratch) = Scratch::at(device, version)? else { return Ok(None) };
        let (before, rows_before) = (scratch.schema()?, scratch.rows()?);
        let (mut changes_rows, mut changes_others) = (false, false);
        let ran = scratch.apply_sql(next, &mut |ran| {
            let changes = script::may_change_rows(ran.sql);
            changes_rows |= changes;
            changes_others |= changes && !script::only_inserts(ran.sql);
        })?;
        if !ran {
            return Ok(None);
        }
        let after = scratch.schema()?;
        let mut inserted = scratch.rows()?;
        for (table, rows) in &mut inserted {
            if let Some((_, old)) = rows_before.iter().find(|(before, _)| before.name == table.name)
            {
                rows.retain(|row| !old.contains(row));
            }
        }
        inserted.retain(|(_, rows)| !rows.is_empty());
        let can_run_again = scratch.can_run_again(next)?;
        Ok(Some(Run { before, after, changes_rows, changes_others, can_run_again, inserted }))
    }

    /// It drops or rebuilds what was there: that is no application's doing, and its rows were
    /// committed with it.
    fn rebuilds(&self) -> bool {
        let differences = self.after.differences(&self.before);
        // ADD COLUMN, which applications do, brings a column, and its constraints with it.
        let added = differences
            .iter()
            .any(|one| one.how == How::ExtraPart && one.key.starts_with("column "));
        differences.iter().any(|one| match one.how {
            How::Missing | How::Other { .. } | How::Order { .. } => true,
            How::ExtraPart => !added,
            How::ExtraObject => false,
        })
    }

    /// It inserts rows of its own, and the live database has all of them.
    fn rows_are_in(&self, live: &Database) -> Result<bool, Failure> {
        for (table, rows) in &self.inserted {
            if !live.has_rows(LOOK, table, rows)? {
                return Ok(false);
            }
        }
        Ok(!self.inserted.is_empty())
    }
}
