//! Owns what a rehearsal of one database has shown, and its line of JSON.
//! Promises: one line a database; a line that was cut off is left out when it is read.
//! Never holds a row of the database.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// The version of the lines' format.
pub const SCHEMA: u32 = 1;

/// What a database was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// At the newest version afterwards, or usable as it is.
    Well,
    /// Of newer firmware.
    Newer,
    /// Damaged, whatever became of it.
    Damaged,
    /// Not this product's.
    Foreign,
    /// A migration failed, or the program did.
    Failed,
    /// Refused for another reason.
    Refused,
    /// Nothing says which database it is.
    Unclear,
}

impl Kind {
    /// All of them, in the order of a report.
    pub const ALL: [Kind; 7] = [
        Kind::Well,
        Kind::Newer,
        Kind::Damaged,
        Kind::Foreign,
        Kind::Refused,
        Kind::Failed,
        Kind::Unclear,
    ];

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Well => "well",
            Kind::Newer => "newer",
            Kind::Damaged => "damaged",
            Kind::Foreign => "foreign",
            Kind::Failed => "failed",
            Kind::Refused => "refused",
            Kind::Unclear => "unclear",
        }
    }
}

/// One database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub schema: u32,
    /// Its path in the folder.
    pub file: String,
    /// Of the main file.
    pub bytes: u64,
    pub database: Option<String>,
    pub kind: Kind,
    /// The device's word, as in status.json.
    pub outcome: String,
    pub exit: u8,
    pub cause: Option<String>,
    pub sentence: String,
    pub from: Option<i64>,
    pub version: Option<i64>,
    pub duration_ms: u64,
    /// Milliseconds on the device that was calibrated, from and to.
    #[serde(default)]
    pub predicted_ms: Option<[u64; 2]>,
    /// What was there beside the database at most, in bytes.
    pub space_bytes: u64,
    /// Sent to storage, as the kernel counts it.
    pub written_bytes: Option<u64>,
    /// Of the device's program at most.
    pub memory_bytes: u64,
    /// Milliseconds of each migration that ran, by its version.
    #[serde(default)]
    pub migrations: BTreeMap<i64, u64>,
    /// Tables whose number of rows has changed: before and after; `null` where it could not be
    /// counted.
    pub tables: BTreeMap<String, [Option<i64>; 2]>,
    /// Rows of all tables with fewer rows than before.
    pub rows_lost: i64,
    /// What SQLite finds in the result and did not before.
    pub faults: Vec<String>,
    /// The second run's sentence, where it was not quiet.
    pub second_run: Option<String>,
    /// The sentence of the release before, where it does not start on the result.
    pub previous: Option<String>,
    /// The same rehearsal of this file alone.
    pub reproduce: String,
}

impl Record {
    /// As a line.
    pub fn line(&self) -> String {
        serde_json::to_string(self).map(|line| line + "\n").unwrap_or_default()
    }

    /// Something that the team must look at.
    pub fn is_failure(&self) -> bool {
        self.kind == Kind::Failed
            || !self.faults.is_empty()
            || self.second_run.is_some()
            || self.previous.is_some()
    }

    /// Every sentence about what is wrong.
    pub fn wrongs(&self) -> Vec<String> {
        let mut wrongs =
            if self.kind == Kind::Well { Vec::new() } else { vec![self.sentence.clone()] };
        wrongs.extend(self.faults.iter().map(|fault| format!("the result: {fault}")));
        wrongs.extend(self.second_run.iter().map(|sentence| format!("the second run: {sentence}")));
        wrongs
            .extend(self.previous.iter().map(|sentence| format!("the release before: {sentence}")));
        wrongs
    }
}

/// Every whole line of a file.
///
/// # Errors
/// The file cannot be read, or a line that is not the last is none of ours.
pub fn read(path: &Path) -> Result<Vec<Record>> {
    Ok(read_whole(path)?.1)
}

/// Every whole line, and the bytes that they have.
///
/// # Errors
/// As `read`.
pub fn read_whole(path: &Path) -> Result<(u64, Vec<Record>)> {
    let all = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let (mut bytes, mut records) = (0, Vec::new());
    for (number, line) in all.split_inclusive(|byte| *byte == b'\n').enumerate() {
        // Only the last one may have been cut off, also within a letter.
        if line.ends_with(b"\n") {
            let record = serde_json::from_slice(line)
                .with_context(|| format!("{}:{}", path.display(), number + 1))?;
            records.push(record);
            bytes += line.len() as u64;
        }
    }
    Ok((bytes, records))
}
