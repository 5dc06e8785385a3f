//! Owns what `power-cuts` says: a line for each upgrade, its unsafe instants, and a line for each
//! database.
//! Promises: an upgrade that could not be judged is never safe.
//! Never decides what is safe: the lab has judged.

use std::collections::BTreeMap;

use bootmigrate_lab::tally::{Finding, Tally};
use serde::{Deserialize, Serialize};

use super::jobs::Job;
use crate::list::grouped;

/// One unsafe instant.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unsafe {
    /// For `--replay`.
    pub instant: String,
    pub rule: String,
    pub what: String,
}

/// What came of one upgrade.
#[derive(Debug, Serialize, Deserialize)]
pub struct Judged {
    pub database: String,
    /// 0 for a first boot.
    pub from: i64,
    pub to: i64,
    pub wal: bool,
    /// Changes of storage that the run makes.
    pub effects: u64,
    /// Different states of the disk that a power cut can leave.
    pub instants: u64,
    /// Of these, cuts during the recovery from a cut.
    pub second: u64,
    /// Instants from which a device does not end well.
    pub bad: u64,
    pub first: Vec<Unsafe>,
    /// Of the migrations that were judged, their text and ways back.
    #[serde(default)]
    pub fingerprint: String,
    /// Why it could not be judged.
    pub not_judged: Option<String>,
}

impl Judged {
    /// It could not be.
    pub fn not(job: &Job, why: String) -> Judged {
        Judged { not_judged: Some(why), ..Judged::of(job, Tally::default()) }
    }

    pub fn of(job: &Job, tally: Tally) -> Judged {
        let unsafe_at =
            |Finding { name, rule, what }: Finding| Unsafe { instant: name, rule, what };
        Judged {
            database: job.database.clone(),
            from: job.from,
            to: job.to,
            wal: job.wal,
            effects: tally.counted("effects"),
            instants: tally.judged,
            second: tally.counted("second cuts"),
            bad: tally.bad,
            first: tally.findings.into_iter().map(unsafe_at).collect(),
            fingerprint: String::new(),
            not_judged: None,
        }
    }

    fn title(&self) -> String {
        match self.from {
            0 => format!("{}: first boot to V{}", self.database, self.to),
            from => format!(
                "{}: V{from} to V{}, {}",
                self.database,
                self.to,
                if self.wal { "WAL" } else { "DELETE" }
            ),
        }
    }

    fn text(&self) -> String {
        if let Some(why) = &self.not_judged {
            return format!("{}: not judged: {why}\n", self.title());
        }
        let (safe, all) = (grouped(self.instants.saturating_sub(self.bad)), grouped(self.instants));
        let mut text = format!(
            "{}: safe at {safe} of {all} instants ({} effects)\n",
            self.title(),
            self.effects
        );
        for one in &self.first {
            text.push_str(&format!(
                "    {}: {}\n        --replay '{}'\n",
                one.rule, one.what, one.instant
            ));
        }
        text
    }
}

/// Of all databases.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub schema: u32,
    pub upgrades: Vec<Judged>,
}

impl Report {
    pub fn new(upgrades: Vec<Judged>) -> Report {
        Report { schema: 1, upgrades }
    }

    /// Every upgrade was judged, and is safe at every instant.
    pub fn is_safe(&self) -> bool {
        self.upgrades.iter().all(|judged| judged.bad == 0 && judged.not_judged.is_none())
    }

    /// By database: its newest version, safe instants, all instants, and whether all were judged.
    pub fn by_database(&self) -> BTreeMap<&str, (i64, u64, u64, bool)> {
        let mut all: BTreeMap<&str, (i64, u64, u64, bool)> = BTreeMap::new();
        for judged in &self.upgrades {
            let (to, safe, of, well) =
                all.entry(&judged.database).or_insert((judged.to, 0, 0, true));
            *to = (*to).max(judged.to);
            *safe += judged.instants.saturating_sub(judged.bad);
            *of += judged.instants;
            *well &= judged.not_judged.is_none();
        }
        all
    }

    pub fn text(&self) -> String {
        let mut text: String = self.upgrades.iter().map(Judged::text).collect();
        for (database, (to, safe, of, judged)) in self.by_database() {
            let rest = if judged { "" } else { "; not all could be judged" };
            let is = if safe == of && judged { "is safe" } else { "is NOT safe, but only" };
            text.push_str(&format!(
                "{database}: V{to} {is} at {} of {} instants{rest}\n",
                grouped(safe),
                grouped(of)
            ));
        }
        text
    }
}
