//! Owns `calibrate`: how fast a machine computes, syncs, writes and reads, and what a boot that was
//! rehearsed here takes there.
//! Promises: one file in the folder that is named, and it is gone afterwards; a prediction is a
//! range.
//! Never a promise of the device's time: its load, heat and the age of its flash are not measured.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::cli::Calibrate;

/// The version of the file's format.
const SCHEMA: u32 = 1;
/// Rows of a round, and how long rounds are made: longer than any quota's period.
const ROWS: u32 = 2000;
const ROUNDS: Duration = Duration::from_secs(2);
/// Files that are made, each with two syncs of it and one of its folder; and the bytes that are
/// written and read in one go.
const FILES: usize = 14;
const BYTES: usize = 8 << 20;
const PAGE: usize = 4096;
/// Syncs of a boot that changes a database, however many migrations are pending.
const BOOT_SYNCS: [f64; 2] = [16.0, 30.0];
/// What a boot's own work and its syncs may cost beside what was measured.
const BOOT_WORK: [f64; 2] = [0.6, 1.5];

/// What a machine is able to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factors {
    schema: u32,
    /// Microseconds of a row in memory, by the clock and of a processor.
    row_us: f64,
    row_processor_us: f64,
    /// Rows a second into a table with an index, in one transaction on the storage.
    inserted_rows_s: f64,
    /// Milliseconds of a sync of a page, or of a folder with a new file: the mean, and the slowest.
    sync_ms: [f64; 2],
    write_mib_s: f64,
    /// As the kernel gives them, so from memory where it has kept them.
    read_mib_s: f64,
}

/// Measures, and prints or writes the factors.
///
/// # Errors
/// The folder cannot be written to.
pub fn calibrate(request: &Calibrate) -> Result<bool> {
    let text = serde_json::to_string_pretty(&Factors::of(&request.db_folder)?)? + "\n";
    match &request.output {
        Some(path) => fs::write(path, text)
            .with_context(|| format!("{} cannot be written", path.display()))?,
        None => print!("{text}"),
    }
    Ok(true)
}

impl Factors {
    /// Of this machine, with its storage below a folder.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn of(folder: &Path) -> Result<Factors> {
        let folder = tempfile::Builder::new()
            .prefix("calibration-")
            .tempdir_in(folder)
            .with_context(|| format!("{} cannot be written to", folder.display()))?;
        let (row_us, row_processor_us) = rows_in_memory()?;
        let (sync_ms, write_mib_s, read_mib_s) = storage(folder.path())?;
        let connection = Connection::open(folder.path().join("rows.db"))?;
        let began = Instant::now();
        round(&connection)?;
        let inserted_rows_s = f64::from(ROWS) / began.elapsed().as_secs_f64();
        Ok(Factors {
            schema: SCHEMA,
            row_us,
            row_processor_us,
            inserted_rows_s,
            sync_ms,
            write_mib_s,
            read_mib_s,
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is not of `calibrate`.
    pub fn read(path: &Path) -> Result<Factors> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Milliseconds of a boot on the machine with these factors: it had so much of a processor
    /// where `here` was measured, and sent so much to storage.
    pub fn predicted(&self, here: &Factors, processor: Duration, written: u64) -> [u64; 2] {
        let work = processor.as_secs_f64() * 1000.0 * self.row_us / here.row_processor_us;
        let writes = written as f64 / f64::from(1 << 20) / self.write_mib_s * 1000.0;
        let [syncs_low, syncs_high] = BOOT_SYNCS;
        let [low, high] = BOOT_WORK;
        let [mean, slowest] = if written == 0 { [0.0, 0.0] } else { self.sync_ms };
        [(work + mean * syncs_low) * low, (work + mean * syncs_high) * high + slowest + writes]
            .map(|time| time.round() as u64)
    }
}

/// A table with an index, filled, changed, sorted and removed, as migrations do.
fn round(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN;
         CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b INTEGER);
         CREATE INDEX i ON t (a);
         WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {ROWS})
         INSERT INTO t (id, a, b)
         SELECT x, printf('%08x label %d', x * 2654435761 % 4294967296, x), x FROM n;
         UPDATE t SET b = b + 1 WHERE id % 3 = 0;
         CREATE TABLE u AS SELECT * FROM t ORDER BY a DESC;
         DROP TABLE t;
         DROP TABLE u;
         COMMIT;"
    ))
}

/// Microseconds of a row by the clock, and of a processor.
fn rows_in_memory() -> Result<(f64, f64)> {
    let connection = Connection::open_in_memory()?;
    let (began, processor) = (Instant::now(), processor_time("thread-self"));
    let mut rows = 0.0;
    while began.elapsed() < ROUNDS {
        round(&connection)?;
        rows += f64::from(ROWS);
    }
    let clock = began.elapsed();
    let spent = processor_time("thread-self").zip(processor).map(|(after, before)| after - before);
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / rows;
    Ok((micros(clock), micros(spent.unwrap_or(clock))))
}

/// Of a process, as the kernel counts it; `None` where it does not.
pub fn processor_time(process: &str) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Syncs, and MiB a second of one file that is written and read.
fn storage(folder: &Path) -> Result<([f64; 2], f64, f64)> {
    let name = folder.display().to_string();
    let new = |name: &str| {
        File::options().create_new(true).read(true).write(true).open(folder.join(name))
    };
    let rate = |began: Instant| BYTES as f64 / f64::from(1 << 20) / began.elapsed().as_secs_f64();
    let began = Instant::now();
    // What compresses well is written faster than a database.
    let bytes: Vec<u8> =
        (0..BYTES as u64).map(|byte| ((byte * 2_654_435_761) >> 13) as u8).collect();
    let mut file = new("bytes")?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).with_context(|| name.clone())?;
    let written = rate(began);
    let began = Instant::now();
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut vec![0; BYTES])?;
    let read = rate(began);
    let (page, entries) = (bytes.get(..PAGE).unwrap_or_default(), File::open(folder)?);
    let mut syncs = Vec::new();
    let mut sync = |file: &File| {
        let began = Instant::now();
        file.sync_all().with_context(|| name.clone())?;
        syncs.push(began.elapsed().as_secs_f64() * 1000.0);
        Ok::<(), anyhow::Error>(())
    };
    for number in 0..FILES {
        let mut file = new(&number.to_string())?;
        file.write_all(page)?;
        sync(&file)?;
        sync(&entries)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(page)?;
        sync(&file)?;
    }
    let mean = syncs.iter().sum::<f64>() / syncs.len() as f64;
    Ok(([mean, syncs.iter().copied().fold(0.0, f64::max)], written, read))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn factors(row_us: f64, sync_ms: [f64; 2], write_mib_s: f64) -> Factors {
        Factors {
            schema: SCHEMA,
            row_us,
            row_processor_us: row_us,
            inserted_rows_s: 1.0,
            sync_ms,
            write_mib_s,
            read_mib_s: 1.0,
        }
    }

    #[test]
    fn a_slow_device_takes_its_own_time() {
        let here = factors(2.0, [0.1, 0.2], 500.0);
        let device = factors(20.0, [10.0, 20.0], 4.0);
        // 100 ms here are a second there; 2 MiB are half a second.
        let boot = (Duration::from_millis(100), 2 << 20);
        assert_eq!(device.predicted(&here, boot.0, boot.1), [696, 2470]);
        // A boot that wrote nothing waits for no storage.
        assert_eq!(device.predicted(&here, Duration::from_millis(10), 0), [60, 150]);
    }

    #[test]
    fn a_file_of_factors_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let text = serde_json::to_string(&factors(2.0, [0.5, 1.0], 3.0)).unwrap();
        let path = folder.path().join("device.json");
        fs::write(&path, &text).unwrap();
        assert_eq!(serde_json::to_string(&Factors::read(&path).unwrap()).unwrap(), text);
        fs::write(&path, "{\"schema\": 1}").unwrap();
        assert!(Factors::read(&path).is_err());
    }
}
