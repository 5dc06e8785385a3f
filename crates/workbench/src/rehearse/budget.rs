//! Owns the budget: limits that a rehearsal must keep, as a gate for CI.
//! Promises: an unknown key is refused; every limit that is exceeded is said, with the worst
//! database.
//! Never fails a rehearsal for what the file does not limit.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::record::{Kind, Record};

/// Every key may be left out. Factors are of the database's size.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Databases of the kind failed, or with a fault, a second run that is not quiet, or the
    /// release before not starting.
    failed_max: Option<usize>,
    /// Databases that are not well.
    not_well_max: Option<usize>,
    rows_lost_max: Option<i64>,
    duration_ms_max: Option<u64>,
    /// Of the end of the range that is predicted for the device.
    predicted_ms_max: Option<u64>,
    memory_bytes_max: Option<u64>,
    space_bytes_max: Option<u64>,
    space_factor_max: Option<f64>,
    written_factor_max: Option<f64>,
}

impl Budget {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or is not TOML with these keys.
    pub fn read(path: &Path) -> Result<Budget> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// What is exceeded, a line each.
    pub fn exceeded(&self, records: &[Record]) -> Vec<String> {
        let mut lines = Vec::new();
        let count =
            |is: &dyn Fn(&Record) -> bool| records.iter().filter(|record| is(record)).count();
        let (failed, not_well) =
            (count(&Record::is_failure), count(&|record| record.kind != Kind::Well));
        lines.extend(
            self.failed_max
                .filter(|max| failed > *max)
                .map(|max| format!("failed_max = {max}, and {failed} failed")),
        );
        lines.extend(
            self.not_well_max
                .filter(|max| not_well > *max)
                .map(|max| format!("not_well_max = {max}, and {not_well} are not well")),
        );
        let lost: i64 = records.iter().map(|record| record.rows_lost).sum();
        lines.extend(
            self.rows_lost_max
                .filter(|max| lost > *max)
                .map(|max| format!("rows_lost_max = {max}, and {lost} rows are lost")),
        );
        let unpredicted = records.iter().filter(|record| record.predicted_ms.is_none()).count();
        if self.predicted_ms_max.is_some() && unpredicted > 0 {
            lines.push(format!(
                "predicted_ms_max: no time was predicted for {unpredicted} of {}; write --factors",
                records.len()
            ));
        }
        let mut worst = |name: &str, max: Option<f64>, of: &dyn Fn(&Record) -> f64| {
            let over = records.iter().filter(|record| max.is_some_and(|max| of(record) > max));
            let (over, count) =
                (over.clone().max_by(|one, other| of(one).total_cmp(&of(other))), over.count());
            if let (Some(worst), Some(max)) = (over, max) {
                let value = (of(worst) * 100.0).round() / 100.0;
                lines.push(format!(
                    "{name} = {max}, and {} has {value} ({count} over it)",
                    worst.file
                ));
            }
        };
        let number = |max: Option<u64>| max.map(|max| max as f64);
        let of_size = |part: u64, record: &Record| part as f64 / record.bytes.max(1) as f64;
        worst("duration_ms_max", number(self.duration_ms_max), &|record| record.duration_ms as f64);
        worst("predicted_ms_max", number(self.predicted_ms_max), &|record| {
            record.predicted_ms.map_or(0.0, |[_, to]| to as f64)
        });
        worst("memory_bytes_max", number(self.memory_bytes_max), &|record| {
            record.memory_bytes as f64
        });
        worst("space_bytes_max", number(self.space_bytes_max), &|record| record.space_bytes as f64);
        worst("space_factor_max", self.space_factor_max, &|record| {
            of_size(record.space_bytes, record)
        });
        worst("written_factor_max", self.written_factor_max, &|record| {
            of_size(record.written_bytes.unwrap_or(0), record)
        });
        lines
    }
}
