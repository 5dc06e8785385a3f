//! Owns `rehearse`: pending migrations on copies of field databases, in parallel, and the reports about it.
//! Promises: the originals are only read; a run that was ended goes on where it was; merged parts give the report of the whole.
//! Never decides what a device does: a device's own program does.

mod budget;
mod device;
mod find;
mod html;
mod one;
mod process;
mod record;
mod report;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use crate::cli::{Output, Rehearse, RehearseCommand, RehearseRun};
use crate::product;
use budget::Budget;
use find::Item;
use one::Rehearsal;
use record::Record;

/// Rehearses or merges, and writes the reports.
///
/// # Errors
/// A folder or file that cannot be read or written.
pub fn rehearse(migrations: &Path, request: &Rehearse) -> Result<bool> {
    if let Some(RehearseCommand::Merge { files, output }) = &request.merge {
        let mut records = Vec::new();
        for file in files {
            records.extend(record::read(file)?);
        }
        if let Some(json) = &output.json {
            let mut out =
                File::create(json).with_context(|| format!("{} cannot be made", json.display()))?;
            records = sorted(records);
            records.iter().try_for_each(|record| out.write_all(record.line().as_bytes()))?;
        }
        return finish(sorted(records), output);
    }
    let folder = request.run.folder.as_deref().context("name the folder of field databases")?;
    let records = run(migrations, folder, &request.run, &request.output)?;
    finish(sorted(records), &request.output)
}

/// `3/8`: the third of eight parts.
///
/// # Errors
/// Why it is none.
pub fn shard(text: &str) -> Result<(usize, usize), String> {
    let numbers =
        text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    numbers
        .filter(|(part, of)| (1..=*of).contains(part))
        .ok_or_else(|| "write I/N with I from 1 to N, for example 3/8".to_owned())
}

/// By file; of two with the same one, the later.
fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.reverse();
    records.sort_by(|one, other| one.file.cmp(&other.file));
    records.dedup_by(|one, other| one.file == other.file);
    records
}

fn run(
    migrations: &Path,
    folder: &Path,
    request: &RehearseRun,
    output: &Output,
) -> Result<Vec<Record>> {
    let product = product::read(migrations)?;
    if let Some(db) = &request.db {
        product::databases(&product, Some(db))?;
    }
    let rehearsal = Rehearsal::new(&product, migrations, request)?;
    let mut items = find::find(&product, folder, request.db.as_deref())?;
    if let Some((part, of)) = request.shard {
        items = items
            .into_iter()
            .enumerate()
            .filter(|(place, _)| place % of == part - 1)
            .map(|(_, item)| item)
            .collect();
    }
    let done = match (&output.json, request.resume) {
        (Some(json), true) if json.exists() => record::read(json)?,
        _ => Vec::new(),
    };
    let known: BTreeSet<(&str, u64)> =
        done.iter().map(|record| (record.file.as_str(), record.bytes)).collect();
    let left: Vec<Item> = items
        .into_iter()
        .filter(|item| !known.contains(&(item.shown.as_str(), item.bytes)))
        .collect();
    let lines = output.json.as_deref().map(|path| lines(path, &done)).transpose()?;
    let new = all(&rehearsal, &left, lines, request.jobs)?;
    Ok(done.into_iter().chain(new).collect())
}

/// The file of JSON lines, with what is done already and nothing that was cut off.
fn lines(path: &Path, done: &[Record]) -> Result<Mutex<File>> {
    let text: String = done.iter().map(Record::line).collect();
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    let file = OpenOptions::new()
        .append(true)
        .open(path)
        .with_context(|| format!("{} cannot be opened", path.display()))?;
    Ok(Mutex::new(file))
}

/// One after another on each core; each line is written when its database is done.
fn all(
    rehearsal: &Rehearsal<'_>,
    items: &[Item],
    lines: Option<Mutex<File>>,
    jobs: Option<usize>,
) -> Result<Vec<Record>> {
    let bar = ProgressBar::new(items.len() as u64);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {pos} of {len}, {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(jobs.unwrap_or(0))
        .build()
        .context("threads cannot be started")?;
    let work = |item: &Item| -> Result<Record> {
        let record = rehearsal.one(item)?;
        if let Some(lines) = &lines {
            let mut file = lines.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(record.line().as_bytes()).context("the JSON lines cannot be written")?;
        }
        bar.inc(1);
        Ok(record)
    };
    let records = pool.install(|| items.par_iter().map(work).collect::<Result<Vec<Record>>>());
    bar.finish_and_clear();
    records
}

/// Prints the table, writes the other reports, and asks the budget.
fn finish(records: Vec<Record>, output: &Output) -> Result<bool> {
    let exceeded = match &output.budget {
        Some(path) => Budget::read(path)?.exceeded(&records),
        None => Vec::new(),
    };
    print!("{}", report::text(&records));
    for line in &exceeded {
        println!("budget: {line}");
    }
    let write = |path: &Option<PathBuf>, text: &dyn Fn() -> String| match path {
        Some(path) => {
            fs::write(path, text()).with_context(|| format!("{} cannot be written", path.display()))
        }
        None => Ok(()),
    };
    write(&output.junit, &|| report::junit(&records))?;
    write(&output.html, &|| html::page(&records, &exceeded))?;
    let failed = records.iter().any(Record::is_failure);
    Ok(if output.budget.is_some() { exceeded.is_empty() } else { !failed })
}
