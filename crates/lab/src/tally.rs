//! Owns what a sweep came to: how much was judged, counts by name, and what broke a rule.
//! Promises: one line and its details for people, one JSON object for scripts; parts add up.
//! Never judges.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::finding::Bad;

/// Findings that are described; the rest is counted.
const DESCRIBED_MAX: usize = 12;
/// Of these, findings of one rule.
const DESCRIBED_OF_A_RULE_MAX: usize = 4;

/// A state, run or case that broke a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What `--replay` takes.
    pub name: String,
    /// The rule.
    pub rule: String,
    /// What was seen.
    pub what: String,
}

/// What a sweep, or a part of one, came to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Of what: a scenario, a situation, or all of it.
    pub of: String,
    /// What is judged, in the plural.
    pub unit: String,
    /// So many were.
    pub judged: u64,
    /// Of them, so many broke a rule.
    pub bad: u64,
    /// Other counts, in the order in which they are printed.
    pub counts: Vec<(String, u64)>,
    /// Counts by a property, then by its value.
    pub by: BTreeMap<String, BTreeMap<String, u64>>,
    /// The first that broke a rule.
    pub findings: Vec<Finding>,
    /// So many were judged when the first one broke a rule.
    pub first_bad_after: Option<u64>,
    /// Seconds: of parts that run side by side the longest.
    pub seconds: f64,
}

impl Tally {
    /// Nothing judged yet. `counts` are printed in this order, also while they are 0.
    pub fn new(of: &str, unit: &str, counts: &[&str]) -> Tally {
        let counts = counts.iter().map(|name| ((*name).to_owned(), 0)).collect();
        Tally { of: of.to_owned(), unit: unit.to_owned(), counts, ..Tally::default() }
    }

    /// Adds to the count of this name.
    pub fn count(&mut self, name: &str, more: u64) {
        match self.counts.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += more,
            None => self.counts.push((name.to_owned(), more)),
        }
    }

    /// The count of this name; 0 where there is none.
    pub fn counted(&self, name: &str) -> u64 {
        self.counts.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count)
    }

    /// One more with this value of a property.
    pub fn by(&mut self, property: &str, value: impl fmt::Display) {
        let values = self.by.entry(property.to_owned()).or_default();
        *values.entry(value.to_string()).or_default() += 1;
    }

    /// The values of a property with their counts.
    pub fn values(&self, property: &str) -> impl Iterator<Item = (&str, u64)> {
        let values = self.by.get(property).into_iter().flatten();
        values.map(|(value, count)| (value.as_str(), *count))
    }

    /// One that broke a rule.
    pub fn note(&mut self, name: impl Into<String>, Bad { rule, what }: Bad) {
        self.bad += 1;
        self.first_bad_after.get_or_insert(self.judged);
        self.by("broken rule", rule);
        let (name, rule) = (name.into(), rule.to_owned());
        self.describe(Finding { name, rule, what });
    }

    fn describe(&mut self, finding: Finding) {
        let of_this = self.findings.iter().filter(|known| known.rule == finding.rule).count();
        if self.findings.len() < DESCRIBED_MAX && of_this < DESCRIBED_OF_A_RULE_MAX {
            self.findings.push(finding);
        }
    }

    /// Adds another part's. Seconds are those of the longest part.
    pub fn add(&mut self, other: Tally) {
        if self.unit.is_empty() {
            self.unit = other.unit;
        }
        self.first_bad_after = match (self.first_bad_after, other.first_bad_after) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        self.judged += other.judged;
        self.bad += other.bad;
        self.seconds = self.seconds.max(other.seconds);
        other.counts.iter().for_each(|(name, count)| self.count(name, *count));
        for (property, values) in other.by {
            let ours = self.by.entry(property).or_default();
            values.into_iter().for_each(|(value, count)| *ours.entry(value).or_default() += count);
        }
        other.findings.into_iter().for_each(|finding| self.describe(finding));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<24} {:>7} {}, {} bad", self.of, self.judged, self.unit, self.bad)?;
        for (number, (name, count)) in self.counts.iter().enumerate() {
            write!(f, "{} {count} {name}", if number == 0 { ";" } else { "," })?;
        }
        if self.seconds > 0.0 {
            write!(f, "; {:.0}/s", self.judged as f64 / self.seconds.max(0.001))?;
        }
        for (property, values) in &self.by {
            let values: Vec<String> =
                values.iter().map(|(value, count)| format!("{value} {count}")).collect();
            write!(f, "\n    {property}: {}", values.join(", "))?;
        }
        for Finding { name, rule, what } in &self.findings {
            write!(f, "\n    BAD {rule}: {what}\n        --replay '{name}'")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(judged: u64, rule: &'static str) -> Tally {
        let mut tally = Tally::new("a", "states", &["effects", "boots"]);
        tally.judged = judged;
        tally.count("boots", 2);
        tally.by("exit", 11);
        tally.note("a@1", Bad { rule, what: "seen".into() });
        tally
    }

    #[test]
    fn parts_add_up_and_name_what_is_bad() {
        let mut all = Tally::new("all", "states", &["effects", "boots"]);
        for part in [part(7, "whole"), part(3, "whole"), part(5, "exit code")] {
            all.add(part);
        }
        assert_eq!((all.judged, all.bad, all.first_bad_after), (15, 3, Some(3)));
        assert_eq!((all.counted("boots"), all.counted("effects"), all.counted("x")), (6, 0, 0));
        assert_eq!(all.values("exit").collect::<Vec<_>>(), [("11", 3)]);
        assert_eq!(all.values("broken rule").collect::<Vec<_>>(), [("exit code", 1), ("whole", 2)]);
        let text = all.to_string();
        assert!(text.contains("15 states, 3 bad; 0 effects, 6 boots"), "{text}");
        assert!(text.contains("BAD exit code: seen\n        --replay 'a@1'"), "{text}");
    }

    #[test]
    fn no_rule_takes_the_room_of_another() {
        let mut tally = Tally::default();
        for number in 0..20 {
            tally.note(format!("a@{number}"), Bad { rule: "whole", what: String::new() });
        }
        tally.note("b@0", Bad { rule: "exit code", what: String::new() });
        assert_eq!((tally.bad, tally.findings.len()), (21, DESCRIBED_OF_A_RULE_MAX + 1));
        assert_eq!(tally.findings.last().map(|finding| finding.name.as_str()), Some("b@0"));
    }
}
