//! Owns finding and reading the reports of a folder, in parallel.
//! Promises: reads reports of other releases too; one file is in memory a thread.
//! Never follows a link.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rayon::prelude::*;

use super::tally::{Report, Tally};

/// Every report below a folder.
///
/// # Errors
/// The folder cannot be read.
pub fn all(folder: &Path) -> Result<Tally> {
    let mut files = Vec::new();
    walk(folder, &mut files)?;
    files.sort();
    // Sums and the first example by path: the same whatever thread read what.
    Ok(files.par_iter().map(|path| of_file(folder, path)).reduce(Tally::default, Tally::and))
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?
    {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let ends = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if kind.is_dir() {
            walk(&path, found)?;
        } else if kind.is_file() && ["json", "jsonl"].contains(&ends) {
            found.push(path);
        }
    }
    Ok(())
}

fn of_file(folder: &Path, path: &Path) -> Tally {
    let shown = path.strip_prefix(folder).unwrap_or(path).display().to_string();
    let mut tally = Tally::default();
    let Ok(text) = fs::read_to_string(path) else {
        tally.unreadable(&shown);
        return tally;
    };
    let lines = path.extension().is_some_and(|ending| ending == "jsonl");
    let reports: Vec<&str> = if lines {
        text.lines().filter(|line| !line.trim().is_empty()).collect()
    } else {
        vec![&text]
    };
    for (number, report) in (1..).zip(reports) {
        let shown = if lines { format!("{shown}:{number}") } else { shown.clone() };
        match serde_json::from_str::<Report>(report) {
            Ok(report) => tally.note(&shown, &report),
            Err(_) => tally.unreadable(&shown),
        }
    }
    tally
}
