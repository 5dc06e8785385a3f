//! Owns verification: what must hold before a commit.
//! Promises: looks inside the open transaction, at uncommitted rows; violations that were there before are told apart.
//! Never changes a row.

use crate::catalog::{ForeignKeys as When, Migration};
use crate::device::disk::Step;
use crate::device::sqlite::checks::ForeignKeys;
use crate::device::sqlite::findings::Kind;
use crate::device::sqlite::Database;
use crate::device::{history, Device};
use crate::error::{Class, Failure, Place};

const STEP: Step = Step("verify");

/// What stands before the row that a failed `expect` query returned; a bundle for support cuts it there.
pub const ROW_FOLLOWS: &str = "returned: ";

/// Everything pending is applied and checked inside the open transaction. Made only by [`verify`].
pub struct Verified<'tx> {
    pub(super) database: &'tx Database,
}

/// Checks version, foreign keys, `expect` queries and, within `quick_check_max_mib`, every page.
///
/// # Errors
/// Failed where the migrations' result does not hold, damaged where SQLite says so.
pub fn verify<'tx>(
    device: &Device<'_>,
    database: &'tx Database,
    before: &ForeignKeys,
    steps: &[&Migration],
    target: i32,
) -> Result<Verified<'tx>, Failure> {
    let history = history::read(database, STEP, &device.settings.history_table)?;
    if history.version() != target {
        let cause = format!("the history is at {} after migrating to {target}", history.version());
        return Err(Failure::new(Class::Failed, STEP, cause));
    }
    foreign_keys(database, before, "after migrating")?;
    for step in steps {
        expectations(database, step)?;
    }
    if within_budget(device, database.bytes(STEP)?) {
        whole_after_migrating(database)?;
    }
    Ok(Verified { database })
}

/// What `foreign-keys = on` asks for: a look right after this migration.
///
/// # Errors
/// As [`verify`].
pub fn after_each(database: &Database, before: &ForeignKeys, step: &Migration) -> Result<(), Failure> {
    match step.directives.foreign_keys {
        When::Off => Ok(()),
        When::On | When::Deferred => foreign_keys(database, before, &format!("after {}", step.file)),
    }
}

/// A file of this size is checked in full.
pub fn within_budget(device: &Device<'_>, bytes: u64) -> bool {
    bytes <= u64::from(device.settings.quick_check_max_mib) << 20
}

/// `integrity_check` finds no damage, indexes included: what is migrated, copied or about to be committed is whole.
///
/// # Errors
/// Damaged, with the first line.
pub fn whole(database: &Database) -> Result<(), Failure> {
    match database.integrity_check(STEP)?.first_damage() {
        None => Ok(()),
        Some(wrong) => Err(Failure::new(Class::Damaged, STEP, wrong)),
    }
}

/// The file was whole before the migrations, so that every entry of an index had its row: an index that does not fit its table now
/// (a value of another type than its column's was rewritten as the column's) is built anew from it, in the same transaction.
fn whole_after_migrating(database: &Database) -> Result<(), Failure> {
    let findings = database.integrity_check(STEP)?;
    if findings.has(Kind::Index) && findings.damage().all(|finding| finding.kind == Kind::Index) {
        log::warn!("an index does not fit its table after migrating and is built anew: {}.", findings.first_damage().unwrap_or_default());
        database.run(STEP, "REINDEX")?;
        return whole(database);
    }
    findings.first_damage().map_or(Ok(()), |wrong| Err(Failure::new(Class::Damaged, STEP, wrong)))
}

fn foreign_keys(database: &Database, before: &ForeignKeys, when: &str) -> Result<(), Failure> {
    let worse = database.foreign_keys(STEP)?.worse_than(before);
    if let Some(error) = worse.error {
        return Err(Failure::new(Class::Failed, STEP, format!("foreign keys cannot be checked {when}: {error}")));
    }
    if worse.tables.is_empty() {
        return Ok(());
    }
    let rows = database.foreign_key_rows(STEP, &worse.tables)?;
    let cause = format!("foreign keys are violated {when}: {}", rows.first().map_or("", String::as_str));
    Err(Failure::new(Class::Failed, STEP, cause).details(rows))
}

/// The `expect` queries of one migration.
///
/// # Errors
/// Failed, with the line of the query.
pub fn expectations(database: &Database, step: &Migration) -> Result<(), Failure> {
    for expect in step.directives.expect {
        let place = || Place {
            file: step.file.to_owned(),
            version: step.version,
            line: expect.line,
            column: 1,
            text: step.sql.lines().nth(expect.line.saturating_sub(1) as usize).unwrap_or("").to_owned(),
            caret: 1,
            statement: 0,
            statements: step.statements,
        };
        if let Some(row) = database.first_row(STEP, expect.query).map_err(|failure| failure.place(place()))? {
            let cause = format!("`expect` must return no row and {ROW_FOLLOWS}{row}");
            return Err(Failure::new(Class::Failed, STEP, cause).place(place()));
        }
    }
    Ok(())
}
