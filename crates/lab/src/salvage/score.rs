//! Owns how many of the rows that came back are true.
//! Promises: a row counts once.
//! Never repairs anything.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::corpus::Made;
use super::methods::Found;

/// How the rows of one file compare.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub struct Score {
    /// In their tables, as they were.
    pub in_place: u64,
    /// Beside their tables, as they were.
    pub beside: u64,
    /// Of a key that was, with values that never were with it.
    pub changed: u64,
    /// Rows of an earlier time.
    pub old: u64,
    /// Of a key that never was.
    pub invented: u64,
}

impl Score {
    /// True rows, wherever they are.
    pub fn found(&self) -> u64 {
        self.in_place + self.beside
    }

    /// Adds another file's.
    pub fn add(&mut self, other: &Score) {
        self.in_place += other.in_place;
        self.beside += other.beside;
        self.changed += other.changed;
        self.old += other.old;
        self.invented += other.invented;
    }
}

/// The part of a row that tells it from others: of a table without a key, nothing does.
fn key<'r>(table: &str, row: &'r str) -> &'r str {
    let values = match table {
        "event" => return row,
        "sample" => 2,
        _ => 1,
    };
    let end = row.match_indices('|').nth(values - 1).map_or(row.len(), |(at, _)| at);
    &row[..end]
}

/// Every row of this table is there, and what else there is was there at an earlier time.
pub fn only_adds_older(made: &Made, table: &str, found: &Found) -> bool {
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    made.truth.get(table).into_iter().flatten().for_each(|row| *left.entry(row).or_default() += 1);
    let is_older = |row: &String| made.old.get(table).is_some_and(|old| old.contains(row));
    let known = found
        .tables
        .get(table)
        .into_iter()
        .flatten()
        .all(|row| take(&mut left, row) || is_older(row));
    known && left.values().all(|count| *count == 0)
}

/// How they compare with what was written.
pub fn score(made: &Made, found: &Found) -> Score {
    compare(made, found).0
}

/// The true rows that did not come back, each after its table's name.
pub fn missing(made: &Made, found: &Found) -> BTreeSet<String> {
    compare(made, found).1
}

fn compare(made: &Made, found: &Found) -> (Score, BTreeSet<String>) {
    let (mut score, mut missing) = (Score::default(), BTreeSet::new());
    for (table, truth) in &made.truth {
        let mut left: BTreeMap<&str, u64> = BTreeMap::new();
        truth.iter().for_each(|row| *left.entry(row).or_default() += 1);
        let keys: BTreeSet<&str> = truth.iter().map(|row| key(table, row)).collect();
        let old = made.old.get(table);
        let empty = Vec::new();
        for row in found.tables.get(table).unwrap_or(&empty) {
            if take(&mut left, row) {
                score.in_place += 1;
            } else if old.is_some_and(|old| old.contains(row)) {
                score.old += 1;
            } else if keys.contains(key(table, row)) {
                score.changed += 1;
            } else {
                score.invented += 1;
            }
        }
        score.beside += found
            .beside
            .get(table)
            .unwrap_or(&empty)
            .iter()
            .filter(|row| take(&mut left, row))
            .count() as u64;
        score.beside += found
            .anywhere
            .iter()
            .filter(|(width, row)| *width == width_of(row) && take(&mut left, row))
            .count() as u64;
        let gone = left.iter().filter(|(_, count)| **count > 0);
        missing.extend(gone.map(|(row, _)| format!("{table}: {row}")));
    }
    (score, missing)
}

fn width_of(row: &str) -> usize {
    row.matches('|').count() + 1
}

fn take(left: &mut BTreeMap<&str, u64>, row: &str) -> bool {
    match left.get_mut(row) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    }
}
