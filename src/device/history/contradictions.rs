//! Owns where a database's history and the catalogue disagree, and what of the catalogue is
//! missing.
//! Promises: refinery's rules, each contradiction with its rows; both lists are gone through once.
//! Never opens a database, and never decides what follows.

use std::fmt;

use super::Applied;
use crate::catalog::{Catalog, Migration};

/// Where a database's history says otherwise than the catalogue; printed, it is the sentence for a
/// release engineer.
#[derive(Debug, Clone, Copy)]
pub enum Contradiction<'h> {
    /// This was applied, and the catalogue has nothing of its version.
    Unknown(&'h Applied),
    /// This was applied, and the catalogue has another migration under its version.
    Renamed(&'h Applied, &'static Migration),
    /// This was applied with another text.
    Changed(&'static Migration),
    /// This was left out, and a later one was applied.
    PassedOver(&'static Migration, i64),
}

impl fmt::Display for Contradiction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contradiction::Unknown(row) => {
                write!(f, "V{}__{} was applied and is not in this firmware", row.version, row.name)
            }
            Contradiction::Renamed(row, ours) => {
                write!(
                    f,
                    "version {} is \"{}\" in the database and \"{}\" in this firmware",
                    row.version, row.name, ours.name
                )
            }
            Contradiction::Changed(ours) => {
                write!(f, "the text of {} differs from what was applied", ours.file)
            }
            Contradiction::PassedOver(ours, newest) => {
                write!(f, "{} was never applied and version {newest} was", ours.file)
            }
        }
    }
}

/// Every one of them, rows first, by version. The rules are refinery's: each row stands in the
/// catalogue with the same name and text, and nothing older than the last row was left out.
/// (`verify_migrations` of refinery-core 0.10; refinery itself judges it in the integration tests.)
pub fn contradictions<'h>(catalog: &Catalog, applied: &'h [Applied]) -> Vec<Contradiction<'h>> {
    let mut known = catalog.migrations.iter().peekable();
    let of_row = |row: &'h Applied| {
        while known.next_if(|ours| ours.version < row.version).is_some() {}
        match known.peek().filter(|ours| ours.version == row.version) {
            None => Some(Contradiction::Unknown(row)),
            Some(ours) if ours.name != row.name => Some(Contradiction::Renamed(row, ours)),
            Some(ours) if !ours.checksums.contain(row.checksum) => {
                Some(Contradiction::Changed(ours))
            }
            Some(_) => None,
        }
    };
    let newest = applied.last().map_or(i64::MIN, |row| row.version);
    let passed_over = missing(catalog, applied)
        .filter(|ours| ours.version < newest)
        .map(|ours| Contradiction::PassedOver(ours, newest));
    applied.iter().filter_map(of_row).chain(passed_over).collect()
}

/// The first of them that is a reason to go no further: where changed texts are only warned of,
/// those are not one.
pub fn refusal<'h>(
    catalog: &Catalog,
    applied: &'h [Applied],
    warn_changed: bool,
) -> Option<Contradiction<'h>> {
    let goes_on =
        |one: &Contradiction<'_>| warn_changed && matches!(one, Contradiction::Changed(_));
    contradictions(catalog, applied).into_iter().find(|one| !goes_on(one))
}

/// What of the catalogue was never applied, oldest first. Both are by version, and each is gone
/// through once.
pub fn missing<'h>(
    catalog: &Catalog,
    applied: &'h [Applied],
) -> impl Iterator<Item = &'static Migration> + 'h {
    let mut rows = applied.iter().peekable();
    catalog.migrations.iter().filter(move |ours| {
        while rows.next_if(|row| row.version < ours.version).is_some() {}
        rows.peek().is_none_or(|row| row.version != ours.version)
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
