//! Owns what a device's program has said: its report of one database, or the last line that it
//! printed.
//! Promises: reads the reports of other releases too; a field that is not known is left out.
//! Never knows why a device decided as it did.

use std::path::Path;

use serde::Deserialize;

use super::process::Ran;
use super::record::Kind;

/// The report of a run, as far as it counts here (docs/status-json.md).
#[derive(Debug, Deserialize)]
struct Whole {
    #[serde(default)]
    bytes_written: Option<u64>,
    databases: Vec<Report>,
}

/// Of one database.
#[derive(Debug, Deserialize)]
pub struct Report {
    name: String,
    pub outcome: String,
    pub exit: u8,
    pub usable: bool,
    #[serde(default)]
    pub data_loss: bool,
    #[serde(default)]
    pub cause: Option<String>,
    #[serde(default)]
    quarantine: Option<String>,
    #[serde(default)]
    pub applied: Vec<i64>,
    pub from: Option<i64>,
    pub version: Option<i64>,
    sentence: String,
}

/// What a run has said of a database: its report, a sentence, and the bytes that were sent to
/// storage.
pub struct Said {
    pub report: Option<Report>,
    /// With paths as they are on a device.
    pub sentence: String,
    pub written: Option<u64>,
}

impl Said {
    pub fn of(ran: &Ran, database: &str, root: &Path) -> Said {
        let whole: Option<Whole> = serde_json::from_str(&ran.out).ok();
        let written = whole.as_ref().and_then(|whole| whole.bytes_written);
        let report = whole
            .and_then(|whole| whole.databases.into_iter().find(|report| report.name == database));
        let printed =
            ran.err.lines().last().filter(|line| !line.trim().is_empty()).map(str::to_owned);
        let said = report.as_ref().map(|report| report.sentence.clone()).or(printed);
        let sentence =
            said.unwrap_or_else(|| format!("the program ended with {} and said nothing", ran.exit));
        Said { report, sentence: sentence.replace(&root.display().to_string(), ""), written }
    }

    /// The application may open it.
    pub fn is_usable(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.usable)
    }
}

impl Report {
    /// What the database was found to be.
    pub fn kind(&self) -> Kind {
        match (self.outcome.as_str(), self.cause.as_deref()) {
            (_, Some("damaged")) | ("restored" | "reindexed" | "salvaged" | "purged", _) => {
                Kind::Damaged
            }
            (_, Some("newer")) | ("compatible" | "downgraded", _) => Kind::Newer,
            (_, Some("not-ours")) => Kind::Foreign,
            (_, Some("migration-failed" | "interrupted" | "defect")) | ("failed", _) => {
                Kind::Failed
            }
            ("refused" | "skipped" | "interrupted", _) => Kind::Refused,
            // It was repaired first, and then migrated.
            _ if self.data_loss || self.quarantine.is_some() => Kind::Damaged,
            _ => Kind::Well,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_repaired_before_it_was_migrated_is_damaged() {
        for (more, kind) in [
            ("", Kind::Well),
            (", \"quarantine\": \"quarantine/3\"", Kind::Damaged),
            (", \"data_loss\": true", Kind::Damaged),
        ] {
            let text = format!(
                "{{\"name\": \"a\", \"outcome\": \"migrated\", \"exit\": 0, \"usable\": \
                 true, \"sentence\": \"\"{more}}}"
            );
            let report: Report = serde_json::from_str(&text).unwrap();
            assert_eq!(report.kind(), kind, "{text}");
        }
    }
}
