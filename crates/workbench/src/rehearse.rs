//! Owns `rehearse`: pending migrations on copies of field databases, in parallel, and the reports
//! about it.
//! Promises: the originals are only read; a run that was ended goes on where it was; merged parts
//! give the report of the whole.
//! Never decides what a device does: a device's own program does.

mod budget;
mod device;
mod find;
mod html;
mod one;
mod process;
mod record;
mod report;
mod shard;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{bail, Context as _, Result};
use bootmigrate_build::Product;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use crate::cli::{Output, Rehearse, RehearseCommand, RehearseRun};
use crate::product;
use budget::Budget;
use find::Item;
pub use html::{section, STYLE};
use one::Rehearsal;
pub use record::{Kind, Record};
pub use report::bytes;
pub use shard::shard;

/// Rehearses or merges, and writes the reports.
///
/// # Errors
/// A folder or file that cannot be read or written.
pub fn rehearse(migrations: &Path, request: &Rehearse) -> Result<bool> {
    if let Some(RehearseCommand::Merge { files, folder, listing, output }) = &request.merge {
        let mut records = Vec::new();
        for file in files {
            records.extend(record::read(file)?);
        }
        let records = sorted(records);
        if let Some(json) = &output.json {
            let mut out =
                File::create(json).with_context(|| format!("{} cannot be made", json.display()))?;
            records.iter().try_for_each(|record| out.write_all(record.line().as_bytes()))?;
        }
        // Without the two, the migrations need not be here.
        let missing = if folder.is_some() || listing.is_some() {
            missing(items(&product::read(migrations)?, folder, listing, None)?, &records)
        } else {
            Vec::new()
        };
        return finish(&records, output, &missing);
    }
    let records = run(migrations, &request.run, &request.output)?;
    finish(&sorted(records), &request.output, &[])
}

/// Of the folder, or of the listing.
fn items(
    product: &Product,
    folder: &Option<PathBuf>,
    listing: &Option<PathBuf>,
    only: Option<&str>,
) -> Result<Vec<Item>> {
    match (folder, listing) {
        (Some(folder), _) => find::find(product, folder, only),
        (None, Some(listing)) => find::listed(product, listing, only),
        (None, None) => bail!("name the folder of field databases"),
    }
}

/// What has no line: a part that was not run, or not to its end.
fn missing(items: Vec<Item>, records: &[Record]) -> Vec<String> {
    let known: BTreeSet<&str> = records.iter().map(|record| record.file.as_str()).collect();
    items.into_iter().map(|item| item.shown).filter(|name| !known.contains(&**name)).collect()
}

/// One database, as `rehearse` would.
///
/// # Errors
/// It cannot be copied.
pub fn file(product: &Product, migrations: &Path, database: &str, path: &Path) -> Result<Record> {
    let rehearsal = Rehearsal::new(product, migrations, &RehearseRun::default())?;
    let items = find::find(product, path, Some(database))?;
    rehearsal.one(items.first().with_context(|| format!("{} is not there", path.display()))?)
}

/// By file; of two with the same one, the later.
fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.reverse();
    records.sort_by(|one, other| one.file.cmp(&other.file));
    records.dedup_by(|one, other| one.file == other.file);
    records
}

fn run(migrations: &Path, request: &RehearseRun, output: &Output) -> Result<Vec<Record>> {
    let product = product::read(migrations)?;
    if let Some(db) = &request.db {
        product::databases(&product, Some(db))?;
    }
    let rehearsal = Rehearsal::new(&product, migrations, request)?;
    let mut items = items(&product, &request.folder, &request.listing, request.db.as_deref())?;
    if items.is_empty() {
        bail!("no field database was found, so nothing would be rehearsed");
    }
    if let Some((part, of)) = request.shard {
        items = items
            .into_iter()
            .enumerate()
            .filter(|(place, _)| place % of == part - 1)
            .map(|(_, item)| item)
            .collect();
    }
    let (lines, done) = match &output.json {
        Some(path) => {
            let (file, done) = lines(path, request.resume)?;
            (Some(Mutex::new(file)), done)
        }
        None => (None, Vec::new()),
    };
    let known: BTreeMap<&str, u64> =
        done.iter().map(|record| (record.file.as_str(), record.bytes)).collect();
    // One that is another file now is rehearsed again.
    let is_done = |item: &Item| {
        let bytes = known.get(item.shown.as_str());
        bytes.is_some_and(|bytes| item.bytes.is_none_or(|now| now == *bytes))
    };
    let left: Vec<Item> = items.into_iter().filter(|item| !is_done(item)).collect();
    let new = all(&rehearsal, &left, lines, request.jobs)?;
    Ok(done.into_iter().chain(new).collect())
}

/// The file of JSON lines for this run alone, and what is done already. What was cut off goes; a
/// line that is whole is never written twice.
fn lines(path: &Path, resume: bool) -> Result<(File, Vec<Record>)> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .with_context(|| format!("{} cannot be opened", path.display()))?;
    // Where the file system has no locks, nobody is asked.
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        bail!("{}: another rehearsal writes to it; wait for its end", path.display());
    }
    let (whole, done) = if resume { record::read_whole(path)? } else { (0, Vec::new()) };
    file.set_len(whole).with_context(|| format!("{} cannot be cut", path.display()))?;
    Ok((file, done))
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
fn finish(records: &[Record], output: &Output, missing: &[String]) -> Result<bool> {
    let exceeded = match &output.budget {
        Some(path) => Budget::read(path)?.exceeded(records),
        None => Vec::new(),
    };
    let mut remarks: Vec<String> = exceeded.iter().map(|line| format!("budget: {line}")).collect();
    if let Some(first) = missing.first() {
        remarks.push(format!("not rehearsed: {} of the folder, {first} first", missing.len()));
    }
    print!("{}", report::text(records));
    remarks.iter().for_each(|line| println!("{line}"));
    let write = |path: &Option<PathBuf>, text: &dyn Fn() -> String| match path {
        Some(path) => {
            fs::write(path, text()).with_context(|| format!("{} cannot be written", path.display()))
        }
        None => Ok(()),
    };
    write(&output.junit, &|| report::junit(records))?;
    write(&output.html, &|| html::page(records, &remarks))?;
    let failed = records.iter().any(Record::is_failure);
    let kept = if output.budget.is_some() { exceeded.is_empty() } else { !failed };
    Ok(kept && missing.is_empty())
}
