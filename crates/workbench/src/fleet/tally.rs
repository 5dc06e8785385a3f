//! Owns the counts of a fleet, and their text.
//! Promises: every report is counted once in each table; sums do not depend on the order.
//! Never counts a device that says nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::list::grouped;

/// A run's report, as far as it counts here (docs/status-json.md).
#[derive(Debug, Deserialize)]
pub struct Report {
    #[serde(default)]
    firmware: String,
    usable: bool,
    #[serde(default)]
    data_loss: bool,
    databases: Vec<OfDatabase>,
}

#[derive(Debug, Deserialize)]
struct OfDatabase {
    name: String,
    outcome: String,
    #[serde(default)]
    cause: Option<String>,
    #[serde(default)]
    version: Option<i64>,
    #[serde(default)]
    target: Option<i64>,
    sentence: String,
    #[serde(default)]
    code: String,
    usable: bool,
    #[serde(default)]
    data_loss: bool,
}

/// Devices with the same trouble, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    pub devices: u64,
    pub example: String,
    pub sentence: String,
}

/// What the devices of one firmware say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OfFirmware {
    pub devices: u64,
    pub not_usable: u64,
    pub data_loss: u64,
}

/// The counts.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub schema: u32,
    pub devices: u64,
    pub not_usable: u64,
    pub data_loss: u64,
    /// Files that are no report, and the first of them.
    pub unreadable: u64,
    pub unreadable_example: Option<String>,
    pub by_firmware: BTreeMap<String, OfFirmware>,
    /// By database, then by outcome.
    pub by_outcome: BTreeMap<String, BTreeMap<String, u64>>,
    /// By database, then by cause; only where it is not usable.
    pub by_cause: BTreeMap<String, BTreeMap<String, u64>>,
    /// By database, then `13` or `13 of 14`.
    pub by_version: BTreeMap<String, BTreeMap<String, u64>>,
    /// By the sentence's code, which is the same for the same trouble.
    pub troubles: BTreeMap<String, Trouble>,
}

impl Tally {
    /// A file that is no report.
    pub fn unreadable(&mut self, file: &str) {
        self.unreadable += 1;
        self.unreadable_example.get_or_insert_with(|| file.to_owned());
    }

    /// One device.
    pub fn note(&mut self, file: &str, report: &Report) {
        let (not_usable, data_loss) = (u64::from(!report.usable), u64::from(report.data_loss));
        self.devices += 1;
        self.not_usable += not_usable;
        self.data_loss += data_loss;
        let firmware = if report.firmware.is_empty() { "not said" } else { &report.firmware };
        let of_firmware = self.by_firmware.entry(firmware.to_owned()).or_default();
        of_firmware.devices += 1;
        of_firmware.not_usable += not_usable;
        of_firmware.data_loss += data_loss;
        for database in &report.databases {
            self.database(file, database);
        }
    }

    fn database(&mut self, file: &str, database: &OfDatabase) {
        let count = |table: &mut BTreeMap<String, BTreeMap<String, u64>>, key: &str| {
            *table.entry(database.name.clone()).or_default().entry(key.to_owned()).or_default() +=
                1;
        };
        count(&mut self.by_outcome, &database.outcome);
        if !database.usable {
            count(&mut self.by_cause, database.cause.as_deref().unwrap_or("not said"));
        }
        let version = database.version.map_or("unknown".to_owned(), |version| version.to_string());
        let behind = database.target.filter(|target| database.version != Some(*target));
        count(
            &mut self.by_version,
            &behind.map_or(version.clone(), |target| format!("{version} of {target}")),
        );
        if !database.usable || database.data_loss {
            let code = if database.code.is_empty() {
                format!("{} {}", database.name, database.outcome)
            } else {
                database.code.clone()
            };
            let sentence = database.sentence.trim_end_matches(&format!(" [{code}]")).to_owned();
            let new = || Trouble { devices: 0, example: file.to_owned(), sentence };
            self.troubles.entry(code).or_insert_with(new).devices += 1;
        }
    }

    /// Both.
    pub fn and(mut self, other: Tally) -> Tally {
        self.devices += other.devices;
        self.not_usable += other.not_usable;
        self.data_loss += other.data_loss;
        self.unreadable += other.unreadable;
        self.unreadable_example = first(self.unreadable_example, other.unreadable_example);
        for (firmware, more) in other.by_firmware {
            let mine = self.by_firmware.entry(firmware).or_default();
            mine.devices += more.devices;
            mine.not_usable += more.not_usable;
            mine.data_loss += more.data_loss;
        }
        add(&mut self.by_outcome, other.by_outcome);
        add(&mut self.by_cause, other.by_cause);
        add(&mut self.by_version, other.by_version);
        for (code, more) in other.troubles {
            match self.troubles.get_mut(&code) {
                None => drop(self.troubles.insert(code, more)),
                Some(mine) => {
                    let devices = mine.devices + more.devices;
                    let first = if more.example < mine.example { more } else { mine.clone() };
                    *mine = Trouble { devices, ..first };
                }
            }
        }
        Tally { schema: 1, ..self }
    }

    /// Every device is usable, has lost nothing, and every file is a report.
    pub fn is_well(&self) -> bool {
        self.not_usable + self.data_loss + self.unreadable == 0
    }

    /// The most frequent first.
    pub fn worst(&self) -> Vec<(&String, &Trouble)> {
        let mut all: Vec<(&String, &Trouble)> = self.troubles.iter().collect();
        all.sort_by_key(|(code, trouble)| (std::cmp::Reverse(trouble.devices), *code));
        all
    }

    /// For people.
    pub fn text(&self) -> String {
        let (all, bad, lost) =
            (grouped(self.devices), grouped(self.not_usable), grouped(self.data_loss));
        let mut text = format!("{all} devices: {bad} not usable, {lost} lost data\n");
        if let Some(example) = &self.unreadable_example {
            text.push_str(&format!(
                "{} files are no report, the first of them {example}\n",
                grouped(self.unreadable)
            ));
        }
        text.push_str("\nby firmware\n");
        for (firmware, of) in &self.by_firmware {
            let rest = format!(
                "{} not usable, {} lost data",
                grouped(of.not_usable),
                grouped(of.data_loss)
            );
            text.push_str(&format!("{:>9} {firmware}: {rest}\n", grouped(of.devices)));
        }
        for (title, table) in [
            ("outcome", &self.by_outcome),
            ("version", &self.by_version),
            ("cause", &self.by_cause),
        ] {
            for (database, counts) in table {
                text.push_str(&format!("\n{database}, by {title}\n"));
                for (what, count) in counts {
                    text.push_str(&format!("{:>9} {what}\n", grouped(*count)));
                }
            }
        }
        for (place, (code, Trouble { devices, example, sentence })) in
            self.worst().into_iter().enumerate()
        {
            text.push_str(if place == 0 { "\ntroubles\n" } else { "" });
            text.push_str(&format!(
                "{:>9} {code}\n          {sentence}\n          first in {example}\n",
                grouped(*devices)
            ));
        }
        text
    }
}

fn first(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn add(
    mine: &mut BTreeMap<String, BTreeMap<String, u64>>,
    more: BTreeMap<String, BTreeMap<String, u64>>,
) {
    for (name, counts) in more {
        let mine = mine.entry(name).or_default();
        counts.into_iter().for_each(|(what, count)| *mine.entry(what).or_default() += count);
    }
}
