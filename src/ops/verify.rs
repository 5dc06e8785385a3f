//! Owns verification: what must hold before a commit.
//! Promises: looks inside the open transaction, at uncommitted rows; violations that were there
//! before are told apart.
//! Never changes a row.

use std::collections::BTreeSet;

use crate::catalog::{ForeignKeys as When, Migration};
use crate::device::disk::Op;
use crate::device::sqlite::findings::FindingKind;
use crate::device::sqlite::references::{Violated, Worse};
use crate::device::sqlite::Database;
use crate::device::{history, progress, Device};
use crate::error::{with_row, Class, Failure, Place, ROW_LEFT_OUT};
use crate::ops::before::{read_again, schema, Before, RunSince};

const OP: Op = Op("verify");
const EXPECT_RETURNED: &str = "`expect` must return no row and returned one";

/// Everything pending is applied and checked inside the open transaction. Made only by [`verify`].
pub struct Verified<'tx> {
    pub(super) database: &'tx Database,
    /// What could not be checked, and what is not right and no damage of the file.
    pub(super) notes: Vec<String>,
}

/// Checks version, schema, foreign keys and, within `quick_check_max_mib`, every page.
///
/// # Errors
/// Failed where the migrations' result does not hold, damaged where SQLite says so.
pub fn verify<'tx>(
    device: &Device<'_>,
    database: &'tx Database,
    before: &Before,
    changes: &RunSince<'_>,
    target: i64,
) -> Result<Verified<'tx>, Failure> {
    progress::begin(&format!("{}: checking what was migrated", device.settings.name));
    let history = history::read(database, OP, &device.settings.history_table)?;
    if history.version() != target {
        let cause = format!("the history is at {} after migrating to {target}", history.version());
        return Err(Failure::new(Class::Failed, OP, cause));
    }
    read_again(database)?;
    let now = Before::of(device, database, OP)?;
    let unfit = schema(device, before, &now, changes)?;
    foreign_keys(database, &now.references.worse_than(&before.references), "after migrating")?;
    let mut notes = if within_budget(device, database.bytes(OP)?) {
        whole_after_migrating(database)?
    } else {
        Vec::new()
    };
    // What the check of the pages has said of a table is not said again.
    let said = |note: &str| {
        note.split(" cannot be checked here")
            .next()
            .filter(|object| notes.iter().any(|note| note.starts_with(*object)))
            .is_some()
    };
    let more: Vec<String> = unfit.into_iter().filter(|note| !said(note)).collect();
    notes.extend(more);
    Ok(Verified { database, notes })
}

/// What `foreign-keys = on` asks for: a look right after this migration.
///
/// # Errors
/// As [`verify`].
pub fn after_each(
    database: &Database,
    before: &Before,
    migration: &Migration,
) -> Result<(), Failure> {
    match migration.directives.foreign_keys {
        When::Off => Ok(()),
        When::On | When::Deferred | When::Enforced => {
            let worse = database.references(OP)?.worse_than(&before.references);
            if let Some(first) = worse.broken.first() {
                let cause = format!("after {}, {first}", migration.file);
                return Err(Failure::new(Class::Failed, OP, cause).details(worse.broken));
            }
            foreign_keys(database, &worse, &format!("after {}", migration.file))
        }
    }
}

/// A file of this size is checked in full.
pub fn within_budget(device: &Device<'_>, bytes: u64) -> bool {
    bytes <= u64::from(device.settings.quick_check_max_mib) << 20
}

/// `integrity_check` finds no damage, indexes included: what is migrated, copied or about to be
/// committed is whole.
///
/// # Errors
/// Damaged, with the first line.
pub fn whole(database: &Database) -> Result<(), Failure> {
    match database.integrity_check(OP)?.first_damage() {
        None => Ok(()),
        Some(wrong) => Err(Failure::new(Class::Damaged, OP, wrong)),
    }
}

/// The file was whole before the migrations, so that every entry of an index had its row: an index
/// that does not fit its table now (a value of another type than its column's was rewritten as the
/// column's) is rebuilt from it, in the same transaction. What is worth knowing and no damage, a
/// sentence each.
fn whole_after_migrating(database: &Database) -> Result<Vec<String>, Failure> {
    let findings = database.integrity_check(OP)?;
    if findings.has(FindingKind::Index)
        && findings.damage().all(|finding| finding.kind == FindingKind::Index)
    {
        log::warn!(
            "an index does not fit its table after migrating and is rebuilt: {}.",
            findings.first_damage().unwrap_or_default()
        );
        let indexes: BTreeSet<&str> = findings
            .of(FindingKind::Index)
            .filter_map(|finding| finding.object.as_deref())
            .collect();
        // Those alone: another one may be in an order that only the application has.
        indexes.iter().try_for_each(|index| database.reindex(OP, index))?;
        return whole(database).map(|()| findings.notes());
    }
    findings
        .first_damage()
        .map_or_else(|| Ok(findings.notes()), |wrong| Err(Failure::new(Class::Damaged, OP, wrong)))
}

/// No row violates a foreign key that did not before.
fn foreign_keys(database: &Database, worse: &Worse, when: &str) -> Result<(), Failure> {
    let Some(Violated { child, parent, count, .. }) = worse.violated.first() else {
        return Ok(());
    };
    let mut rows = database.violating_rows(OP, worse)?;
    if rows.is_empty() {
        let (rows_of, name) = if *count == 1 { ("row of", "names") } else { ("rows of", "name") };
        rows.push(format!("{count} {rows_of} {child} {name} no row of {parent}"));
    }
    let cause =
        format!("foreign keys are violated {when}: {}", rows.first().map_or("", String::as_str));
    Err(Failure::new(Class::Failed, OP, cause).details(rows))
}

/// The `expect` queries of one migration, looked at while it is the newest: a later one may take
/// away what they ask.
///
/// # Errors
/// Failed, with the line of the query.
pub fn expectations(database: &Database, migration: &Migration) -> Result<(), Failure> {
    for expect in migration.directives.expect {
        let place = || Place {
            file: migration.file.to_owned(),
            version: migration.version,
            line: expect.line,
            column: 1,
            text: migration
                .sql
                .lines()
                .nth(expect.line.saturating_sub(1) as usize)
                .unwrap_or("")
                .to_owned(),
            caret: 1,
            statement: 0,
            statements: migration.statements,
        };
        if let Some(row) =
            database.first_row(OP, expect.query).map_err(|failure| failure.place(place()))?
        {
            let cause = if database.show_rows {
                with_row(EXPECT_RETURNED, &row)
            } else {
                format!("{EXPECT_RETURNED} {ROW_LEFT_OUT}")
            };
            return Err(Failure::new(Class::Failed, OP, cause).place(place()));
        }
    }
    Ok(())
}
