//! Owns `fleet`: the reports of thousands of devices, counted by outcome, cause, firmware and
//! version.
//! Promises: memory does not grow with the number of devices; a file that is no report is counted
//! and named.
//! Never keeps a row, an id or a sentence beyond one example each.

mod page;
mod read;
mod tally;

use std::fs;

use anyhow::{Context as _, Result};

use crate::cli::Fleet;

/// Counts, and prints or writes it.
///
/// # Errors
/// The folder cannot be read, or the page cannot be written.
pub fn fleet(request: &Fleet) -> Result<bool> {
    let tally = read::all(&request.folder)?;
    if request.json {
        println!("{}", serde_json::to_string_pretty(&tally)?);
    } else {
        print!("{}", tally.text());
    }
    if let Some(path) = &request.html {
        fs::write(path, page::page(&tally))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(tally.is_well())
}
