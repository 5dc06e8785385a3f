//! Owns the last failure as people and machines read it: with its code, its place and the firmware
//! that met it.
//! Promises: the same in text, in JSON and in metrics.
//! Never kept by itself: it is a view of the record.

use serde::Serialize;

use crate::decide::record::{self, FailedAt};
use crate::error::Class;
use crate::report::sentence::code_of;

/// Why the last operation of a database that failed did so, until one ends well.
///
/// ```
/// fn why(database: &bootmigrate::DatabaseReport) -> Option<&str> {
///     database.last_failure.as_ref().map(|failure| failure.sentence.as_str())
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastFailure {
    /// The code that was said then.
    pub code: String,
    /// Its class, in one word.
    pub cause: String,
    /// What happened.
    pub sentence: String,
    /// Where in a migration.
    pub place: Option<FailedAt>,
    /// The version that the database had; `null` where it could not be read.
    pub from: Option<i64>,
    /// The version that the firmware expected.
    pub target: i64,
    /// Whose version its os-release told; empty where it told none.
    pub firmware: String,
}

impl LastFailure {
    /// Of this database.
    pub(crate) fn of(database: &str, kept: &record::RecordedFailure) -> LastFailure {
        // A word of newer firmware has no code here.
        let exit = Class::of(&kept.class).map_or(0, |class| class.exit().code);
        let place = kept.place.as_ref().map(|place| (place.version, place.line));
        LastFailure {
            code: code_of(exit, database, kept.from, kept.target, place),
            cause: kept.class.clone(),
            sentence: kept.what.clone(),
            place: kept.place.clone(),
            from: kept.from,
            target: kept.target,
            firmware: kept.firmware.clone(),
        }
    }

    /// On one line.
    pub(crate) fn line(&self) -> String {
        let firmware = if self.firmware.is_empty() {
            String::new()
        } else {
            format!(", firmware {}", self.firmware)
        };
        format!("{}{firmware} [{}]", self.sentence, self.code)
    }
}
