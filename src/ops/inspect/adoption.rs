//! Owns looking at a database that another tool made: which version it is, and whether its schema
//! is this firmware's at that version.
//! Promises: a version is believed only where the schema that our own migrations make up to it is
//! there, and nothing of a later one.
//! Never writes, and never adopts: it says what could be.

use std::collections::BTreeSet;

use crate::config::Adopt;
use crate::decide::facts::Adoption;
use crate::decide::pending::PendingMigration;
use crate::device::sqlite::schema::{Difference, How, Schema};
use crate::device::sqlite::{foreign, Database};
use crate::device::{Device, LOOK};
use crate::error::Failure;
use crate::ops::scratch::Scratch;

/// Differences that a sentence shows; the rest is counted.
const DIFFERENCES_SHOWN_MAX: usize = 3;

/// What becomes of a database without our history, where the configuration says whose it is.
///
/// # Errors
/// As SQLite.
pub fn adoption(
    device: &Device<'_>,
    database: &Database,
    adopt: &Adopt,
) -> Result<Adoption, Failure> {
    let by = foreign::name_of(&adopt.from);
    let version = match database
        .foreign_version(LOOK, &adopt.from)?
        .and_then(|theirs| ours(device, adopt, by, theirs))
    {
        Ok(version) => version,
        Err(why) => return Ok(Adoption::Refused(why)),
    };
    let version = furthest(device, database, adopt, version)?;
    if let Some(missing) = not_done(device, database, adopt, version)? {
        return Ok(Adoption::Refused(format!(
            "{by} left it at our version {version} and has not done {missing}; where that is to \
             count as done, `baseline --at {version}` records it"
        )));
    }
    let Some(wanted) = Scratch::schema_at(device, version)? else {
        return Ok(Adoption::Refused(format!(
            "this firmware's migrations up to {version} do not work on an empty database"
        )));
    };
    let later = Scratch::schema_of_pending(device, version)?.unwrap_or_default();
    let live = database.schema(LOOK, &device.settings.history_table)?;
    // Before any migration there is no table: what stands here is somebody else's.
    let own =
        foreign::table_of(&adopt.from).map(|table| format!("table {}", table.to_ascii_lowercase()));
    let foreign_table =
        |object: &&String| object.starts_with("table ") && own.as_ref() != Some(*object);
    if let Some(table) = live.objects().iter().find(foreign_table).filter(|_| version == 0) {
        return Ok(Adoption::Refused(format!("{by} left no version, and {table} is there")));
    }
    let differences = differences(&live, &wanted, &later);
    if differences.is_empty() {
        let pending =
            device.catalog.migrations.iter().filter(|migration| migration.version > version);
        let migration = |migration: &crate::catalog::Migration| PendingMigration {
            version: migration.version,
            name: migration.name.into(),
            no_transaction: migration.directives.no_transaction,
        };
        return Ok(Adoption::At {
            version,
            by: by.to_owned(),
            pending: pending.map(migration).collect(),
        });
    }
    let shown: Vec<&str> =
        differences.iter().take(DIFFERENCES_SHOWN_MAX).map(String::as_str).collect();
    let more = differences.len().saturating_sub(shown.len());
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Ok(Adoption::Refused(format!(
        "{by} left it at our version {version}, and its schema is another: {}{more}",
        shown.join("; ")
    )))
}

/// Our version for theirs.
fn ours(device: &Device<'_>, adopt: &Adopt, by: &str, theirs: i64) -> Result<i64, String> {
    if let Some(version) = adopt.versions.get(&theirs) {
        return match device.catalog.find(*version) {
            Some(_) => Ok(*version),
            None => Err(format!(
                "`versions` maps {by}'s version {theirs} to {version}, which is no migration of \
                 this firmware"
            )),
        };
    }
    let same =
        Some(theirs).filter(|version| *version == 0 || device.catalog.find(*version).is_some());
    match same.filter(|_| adopt.versions.is_empty() || theirs == 0) {
        Some(version) => Ok(version),
        None => Err(format!(
            "{by} left version {theirs}, which is no migration of this firmware; map it in \
             `versions`"
        )),
    }
}

/// Our versions that the tool tells row by row as done; `None` where it does not.
fn done(database: &Database, adopt: &Adopt) -> Result<Option<BTreeSet<i64>>, Failure> {
    let Some(done) = database.foreign_done(LOOK, &adopt.from)? else { return Ok(None) };
    Ok(Some(if adopt.versions.is_empty() {
        done
    } else {
        adopt.versions.iter().filter(|(theirs, _)| done.contains(theirs)).map(|(_, &v)| v).collect()
    }))
}

/// Tools that order their versions as texts call 9 later than 10: what is done is done.
fn furthest(
    device: &Device<'_>,
    database: &Database,
    adopt: &Adopt,
    version: i64,
) -> Result<i64, Failure> {
    let done = done(database, adopt)?.unwrap_or_default();
    let ours = device.catalog.migrations.iter().map(|migration| migration.version);
    Ok(ours.filter(|ours| done.contains(ours)).max().unwrap_or(0).max(version))
}

/// Our versions up to this one that the tool tells row by row, and has not done, in words. Where
/// `versions` maps its numbers, those alone are known.
fn not_done(
    device: &Device<'_>,
    database: &Database,
    adopt: &Adopt,
    version: i64,
) -> Result<Option<String>, Failure> {
    let Some(done) = done(database, adopt)? else { return Ok(None) };
    let known = |migration: &&i64| {
        adopt.versions.is_empty() || adopt.versions.values().any(|ours| ours == *migration)
    };
    let ours = device.catalog.migrations.iter().map(|migration| migration.version);
    let ours: Vec<i64> = ours.filter(|ours| *ours <= version).collect();
    let missing = ours.iter().filter(known).filter(|ours| !done.contains(ours));
    let missing: Vec<String> = missing.map(|ours| format!("V{ours}")).collect();
    let shown: Vec<&str> = missing.iter().take(DIFFERENCES_SHOWN_MAX).map(String::as_str).collect();
    let more = missing.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Ok((!missing.is_empty()).then(|| format!("{}{more}", shown.join(", "))))
}

/// What is not as it should be, a line each. Tables that no migration of ours makes are the
/// application's own, or the tool's.
fn differences(live: &Schema, wanted: &Schema, later: &Schema) -> Vec<String> {
    let later = later.names();
    let said = |difference: &Difference| match difference.how {
        How::ExtraObject | How::ExtraPart if later.contains(&difference.key) => {
            Some(format!("{} is there already, and a later migration makes it", difference.what))
        }
        How::ExtraObject => None,
        How::ExtraPart => Some(format!("{} is there, and no migration makes it", difference.what)),
        How::Missing | How::Other { .. } | How::Order { .. } => Some(difference.to_string()),
    };
    live.differences(wanted).iter().filter_map(said).collect()
}
