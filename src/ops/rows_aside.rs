//! Owns building a fresh database with the old one's rows where a migration fails on some of them.
//! Promises: the tables that it fails on go aside, with what refers to them, and at last all; it
//! ends.
//! Never leaves a row out: what is aside is kept, and reported.

use std::collections::BTreeSet;

use crate::decide::replacement::Carry;
use crate::device::disk::Op;
use crate::device::files::MainFile;
use crate::device::sqlite::rows::Table;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::carry_over::virtual_tables::with_rows;
use crate::ops::carry_over::Rows;
use crate::ops::run::Build;
use crate::ops::stage::{stage, Base, StagedDatabase};

const OP: Op = Op("carry the rows over");

/// Builds a fresh database with the old one's rows; where a migration fails on them, the tables
/// that it is about go aside, and at last all.
///
/// # Errors
/// Failed where not even an empty database can be migrated; else as [`stage`].
pub fn stage_with_rows(
    build: &Build<'_>,
    main: &MainFile,
    carry: &Carry,
) -> Result<StagedDatabase, Failure> {
    let device = build.device;
    let mut aside = BTreeSet::new();
    loop {
        let rows = Rows { main, carry, aside: &aside };
        let failure = match stage(build, &Base::Rows(&rows)) {
            Err(failure) if failure.class == Class::Failed => failure,
            other => return other,
        };
        let all = match tables_of(device) {
            // Nothing of it came in: the migration failed on an empty database.
            Err(unread) if unread.class == Class::Damaged => return Err(failure),
            all => all?,
        };
        if aside.len() >= all.len() {
            return Err(failure);
        }
        log::warn!(
            "{}: {failure}; rows that it does not work on are put aside.",
            device.settings.name
        );
        aside.extend(suspects(device, &failure, carry.version, &all, &aside));
    }
}

/// The old tables, over a connection of its own that is closed again.
fn tables_of(device: &Device<'_>) -> Result<Vec<Table>, Failure> {
    let old = device.sqlite().look_without_writing(OP, &device.files.main)?;
    let tables = old.ordinary_tables(OP, &device.settings.history_table);
    let virtual_tables = old.virtual_tables(OP);
    old.close(OP)?;
    Ok(tables?.into_iter().chain(with_rows(virtual_tables?)).collect())
}

/// Tables that SQLite names, else those that the failed migration does (any pending one, where none
/// is known), and whatever refers to their rows; every table, where those are aside already.
fn suspects(
    device: &Device<'_>,
    failure: &Failure,
    version: i64,
    all: &[Table],
    aside: &BTreeSet<String>,
) -> BTreeSet<String> {
    let failed = failure.place.as_ref().map(|place| place.version);
    let pending = device.catalog.migrations.iter().filter(|migration| migration.version > version);
    let texts: Vec<&str> = pending
        .filter(|migration| failed.is_none_or(|failed| failed == migration.version))
        .map(|migration| migration.sql)
        .collect();
    for texts in [vec![failure.cause.as_str()], texts] {
        let found = with_children(
            all,
            all.iter().filter(|table| texts.iter().any(|text| names(text, &table.name))),
        );
        if !found.is_subset(aside) {
            return found;
        }
    }
    all.iter().map(|table| table.name.clone()).collect()
}

/// These tables, and those whose rows refer to theirs.
fn with_children<'a>(all: &[Table], tables: impl Iterator<Item = &'a Table>) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = tables.map(|table| table.name.clone()).collect();
    loop {
        let refers = |table: &&Table| {
            table
                .parents
                .iter()
                .any(|parent| found.iter().any(|one| one.eq_ignore_ascii_case(parent)))
        };
        let more: Vec<String> = all
            .iter()
            .filter(refers)
            .map(|table| table.name.clone())
            .filter(|name| !found.contains(name))
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// The text has this name as a word, whatever its letters' case.
pub fn names(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_ascii_lowercase(), name.to_ascii_lowercase());
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(&name).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_as_a_word_alone() {
        assert!(names("UPDATE Sensor SET x = 1", "sensor"));
        assert!(names("INSERT INTO \"sensor\"(id)", "sensor"));
        assert!(names("DROP TABLE a;DROP TABLE sensor", "sensor"));
        assert!(!names("UPDATE sensor_new SET old_sensor = 1", "sensor"));
    }
}
