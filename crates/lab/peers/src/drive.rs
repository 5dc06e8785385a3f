//! Owns the programs that a product would write around a migration library: open the database, run
//! what is pending.
//! Promises: SQLite's and the library's own defaults, as the first example of its documentation has
//! them.
//! Never catches an error and goes on.

use rusqlite::Connection;
use rusqlite_migration::{Migrations, M};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Runs what is pending.
pub fn run(tool: &str, database: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut connection = Connection::open(database)?;
    let files = files(folder)?;
    match tool {
        "refinery" | "refinery-grouped" => {
            let parse = |path: &PathBuf| -> Result<refinery::Migration, Box<dyn Error>> {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                Ok(refinery::Migration::unapplied(&name, &fs::read_to_string(path)?)?)
            };
            let migrations = files.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
            refinery::Runner::new(&migrations)
                .set_grouped(tool == "refinery-grouped")
                .run(&mut connection)?;
        }
        "rusqlite_migration" => {
            let texts = files.iter().map(fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
            Migrations::new(texts.iter().map(|text| M::up(text)).collect())
                .to_latest(&mut connection)?;
        }
        _ => return Err("no such library".into()),
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}
