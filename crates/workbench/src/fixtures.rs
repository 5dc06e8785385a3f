//! Owns the team's own rows: statements for a version of a database, run before rows are generated.
//! Promises: a version without a file is no mistake; a file that does not run is.
//! Never makes a row itself.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rusqlite::Connection;

/// Runs `FOLDER/DATABASE/V{version}.sql`, where it is there.
///
/// # Errors
/// It cannot be read, or does not run.
pub fn run(
    folder: Option<&Path>,
    database: &str,
    version: i64,
    connection: &Connection,
) -> Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let path = folder.join(database).join(format!("V{version}.sql"));
    if !path.exists() {
        return Ok(());
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    connection.execute_batch(&text).with_context(|| format!("{} does not run", path.display()))
}
