//! Owns the figures of one situation.
//! Promises: what is bad is counted, and the first of it described with the name that brings it
//! back.
//! Never judges.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Counts, TrialEnd};
use crate::finding::Bad;

/// Bad states that are described.
const DESCRIBED_MAX: usize = 5;

/// What came of one situation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Commit and situation.
    pub situation: String,
    /// Effects of the run that is cut.
    pub effects: u64,
    /// Distinct states.
    pub states: u64,
    /// Of these, cut once more on the way.
    pub second_cuts: u64,
    /// Boots of both programs.
    pub boots: u64,
    /// Boots of the earlier one that only said that the database is newer.
    pub refusals: u64,
    /// Where the earlier slot and then today's came to.
    pub ends: BTreeMap<String, u64>,
    /// States that broke a rule.
    pub bad: u64,
    /// The first of them: name, rule, what was seen.
    pub described: Vec<(String, String, String)>,
}

impl Tally {
    pub(super) fn named(situation: &str) -> Tally {
        Tally { situation: situation.to_owned(), ..Tally::default() }
    }

    pub(super) fn take(
        &mut self,
        name: String,
        counts: Option<Counts>,
        judged: Result<TrialEnd, Bad>,
    ) {
        self.states += 1;
        if let Some(counts) = counts {
            self.boots += counts.boots;
            self.refusals += counts.refusals;
            self.second_cuts += u64::from(counts.cuts > 1);
        }
        match judged {
            Ok(ended) => {
                *self.ends.entry(format!("{} > {}", ended.there, ended.here)).or_default() += 1
            }
            Err(bad) => self.note(name, &bad),
        }
    }

    pub(super) fn note(&mut self, name: String, bad: &Bad) {
        self.bad += 1;
        if self.described.len() < DESCRIBED_MAX {
            self.described.push((name, bad.rule.to_owned(), bad.what.clone()));
        }
    }

    /// Another worker's, or another situation's.
    pub(super) fn add(&mut self, other: &Tally) {
        self.effects = self.effects.max(other.effects);
        self.states += other.states;
        self.second_cuts += other.second_cuts;
        self.boots += other.boots;
        self.refusals += other.refusals;
        self.bad += other.bad;
        other
            .ends
            .iter()
            .for_each(|(end, count)| *self.ends.entry(end.clone()).or_default() += count);
        self.described.extend(other.described.iter().cloned());
        self.described.truncate(DESCRIBED_MAX);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<30} {:>4} effects {:>5} states ({} cut twice) {:>6} boots ({} refused as newer) \
             {:>4} bad",
            self.situation,
            self.effects,
            self.states,
            self.second_cuts,
            self.boots,
            self.refusals,
            self.bad
        )?;
        let ends: Vec<String> =
            self.ends.iter().map(|(end, count)| format!("{end} {count}")).collect();
        write!(f, "\n    {}", ends.join(", "))?;
        for (name, rule, what) in &self.described {
            write!(f, "\n    BAD {rule}: {what}\n        --replay '{name}'")?;
        }
        Ok(())
    }
}
