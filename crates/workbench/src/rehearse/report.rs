//! Owns the report of a rehearsal as text and as JUnit XML.
//! Promises: the same records give the same bytes; everything that is not well has its sentence and
//! how to reproduce it.
//! Never decides what is a failure: the record does.

use std::collections::BTreeMap;

use super::record::{Kind, Record};
use crate::xml::{self, Case, Failure};

/// Rows of a list of the worst.
const WORST: usize = 10;
/// Sentences that are shown in text; the other reports have all.
const SHOWN_MAX: usize = 20;

/// Databases of each kind and outcome.
pub fn counts(records: &[Record]) -> Vec<(Kind, Vec<(String, usize)>)> {
    let mut counts = Vec::new();
    for kind in Kind::ALL {
        let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
        for record in records.iter().filter(|record| record.kind == kind) {
            *outcomes.entry(record.outcome.clone()).or_default() += 1;
        }
        if !outcomes.is_empty() {
            counts.push((kind, outcomes.into_iter().collect()));
        }
    }
    counts
}

/// A measure of a record, and how it is written.
pub type Measure = (&'static str, fn(&Record) -> u64, fn(u64) -> String);

/// What the worst are sorted by.
pub const MEASURES: [Measure; 5] = [
    (
        "time predicted for the device",
        |record| record.predicted_ms.map_or(0, |[_, to]| to),
        |value| format!("at most {value} ms"),
    ),
    ("time", |record| record.duration_ms, |value| format!("{value} ms")),
    ("space", |record| record.space_bytes, bytes),
    ("rows lost", |record| u64::try_from(record.rows_lost).unwrap_or(0), |value| value.to_string()),
    ("memory", |record| record.memory_bytes, bytes),
];

/// The worst of a measure, and nothing that has none of it.
pub fn worst(records: &[Record], of: fn(&Record) -> u64) -> Vec<&Record> {
    let mut sorted: Vec<&Record> = records.iter().filter(|record| of(record) > 0).collect();
    sorted.sort_by(|one, other| of(other).cmp(&of(one)).then_with(|| one.file.cmp(&other.file)));
    sorted.truncate(WORST);
    sorted
}

/// With the largest unit of which there is one.
pub fn bytes(value: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| value >> shift > 0) {
        Some((shift, unit)) => format!("{:.1} {unit}", value as f64 / (1_u64 << shift) as f64),
        None => format!("{value} B"),
    }
}

/// For people.
pub fn text(records: &[Record]) -> String {
    let mut text = String::new();
    for (kind, outcomes) in counts(records) {
        let count: usize = outcomes.iter().map(|(_, count)| count).sum();
        let outcomes: Vec<String> =
            outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        text.push_str(&format!("{count:>7} {:<8} {}\n", kind.word(), outcomes.join(", ")));
    }
    let databases = if records.len() == 1 { "database" } else { "databases" };
    text.push_str(&format!("{:>7} {databases}\n", records.len()));
    for (name, of, shown) in MEASURES {
        let worst = worst(records, of);
        if !worst.is_empty() {
            text.push_str(&format!("\nworst by {name}\n"));
        }
        for record in worst {
            let versions = versions(record);
            text.push_str(&format!(
                "{:>12}  {} ({}, {versions})\n",
                shown(of(record)),
                record.file,
                bytes(record.bytes)
            ));
        }
    }
    let wrong: Vec<&Record> = records.iter().filter(|record| !record.wrongs().is_empty()).collect();
    if !wrong.is_empty() {
        text.push_str("\nnot well\n");
    }
    for record in wrong.iter().take(SHOWN_MAX) {
        text.push_str(&format!("  {}: {}\n", record.file, record.kind.word()));
        record.wrongs().iter().for_each(|wrong| text.push_str(&format!("    {wrong}\n")));
        text.push_str(&format!("    again: {}\n", record.reproduce));
    }
    if wrong.len() > SHOWN_MAX {
        text.push_str(&format!(
            "  and {} more; --html, --junit and --json have all of them\n",
            wrong.len() - SHOWN_MAX
        ));
    }
    text
}

/// `9 to 14`.
pub fn versions(record: &Record) -> String {
    let word = |version: Option<i64>| version.map_or("?".to_owned(), |version| version.to_string());
    if record.from == record.version {
        word(record.version)
    } else {
        format!("{} to {}", word(record.from), word(record.version))
    }
}

/// One test case a database.
pub fn junit(records: &[Record]) -> String {
    let case = |record: &Record| {
        let wrongs = record.wrongs();
        let failure = record.is_failure().then(|| Failure {
            kind: record.kind.word().to_owned(),
            message: wrongs.first().cloned().unwrap_or_default(),
            text: format!("{}\nagain: {}", wrongs.join("\n"), record.reproduce),
        });
        Case {
            class: record.database.clone().unwrap_or_else(|| "unclear".to_owned()),
            name: record.file.clone(),
            duration_ms: record.duration_ms,
            end: failure.map_or_else(|| Ok(record.sentence.clone()), Err),
        }
    };
    xml::junit("rehearsal", &records.iter().map(case).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_their_unit() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 30)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
        );
    }
}
