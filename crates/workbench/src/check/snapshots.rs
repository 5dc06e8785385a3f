//! Owns the comparison of `check` with what `schema --write` has written: the schema of every
//! version as text, in git beside the migrations.
//! Promises: each file's first line that differs; without the folder, nothing.
//! Never writes one.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use bootmigrate_build::workbench::Chain;

use super::{Subject, Trouble, SNAPSHOT};
use crate::schema;

/// Beside the migrations.
const FOLDER: &str = "schema";

/// Compares every version.
///
/// # Errors
/// As SQLite; a file that is there and cannot be read.
pub fn compared(
    subject: &Subject<'_>,
    migrations: &Path,
    chain: &Chain<'_>,
    troubles: &mut Vec<Trouble>,
) -> Result<()> {
    let folder = migrations.canonicalize()?.with_file_name(FOLDER);
    let name = &subject.database.name;
    // A project may have another folder of that name.
    if !folder.join(name).is_dir() {
        return Ok(());
    }
    for (place, migration) in subject.database.migrations.iter().enumerate() {
        // What only the product's own binary can run has no schema here.
        let Some(connection) = chain.open(place + 1) else { continue };
        let inside = format!("{name}/V{}.sql", migration.version);
        let is = schema::dump(&connection, subject.history)?;
        let found = match fs::read_to_string(folder.join(&inside)) {
            Ok(was) => first_difference(&was, &is),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Some((0, "there is no such file".to_owned()))
            }
            Err(error) => {
                return Err(error).with_context(|| format!("{FOLDER}/{inside} cannot be read"))
            }
        };
        if let Some((line, what)) = found {
            let place = if line == 0 { String::new() } else { format!(":{line}") };
            let what = format!("{what}; run `bootmigrate-workbench schema --write {FOLDER}`");
            troubles.push(Trouble::new(SNAPSHOT, format!("{FOLDER}/{inside}{place}"), what));
        }
    }
    Ok(())
}

/// Its line, from 1, and both texts.
fn first_difference(was: &str, is: &str) -> Option<(usize, String)> {
    let (mut old, mut new) = (was.lines(), is.lines());
    let shown = |line: Option<&str>| line.map_or("nothing".to_owned(), |line| format!("`{line}`"));
    (1..).find_map(|number| match (old.next(), new.next()) {
        (None, None) => Some(None),
        (old, new) if old == new => None,
        (old, new) => Some(Some((
            number,
            format!("{} stands here, and the migrations make {}", shown(old), shown(new)),
        ))),
    })?
}
