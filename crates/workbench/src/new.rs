//! Owns `new`: the file of the next migration, and of its way back.
//! Promises: the next free version, or the time; no file is ever overwritten.
//! Never reads what is in the other files, so it works in a folder with problems too.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context as _, Result};

use crate::cli::New;
use crate::time;

/// Writes it, and prints its path.
///
/// # Errors
/// A name that cannot be one, or a file that cannot be written.
pub fn new(folder: &Path, request: &New) -> Result<bool> {
    let name = file_name(&request.name)?;
    let db = &request.db;
    database_name(db)?;
    let mut place = folder.join(db);
    if request.data {
        place.push("data");
    }
    fs::create_dir_all(&place).with_context(|| format!("{} cannot be made", place.display()))?;
    configure(folder, db, "")?;
    let version =
        if request.timestamp { time::written(time::now()) } else { next_version(&place)? };
    let stem = place.join(format!("V{version}__{name}"));
    let words = name.replace('_', " ");
    let head = if request.data { "-- bootmigrate: batch\n" } else { "" };
    write_new(&stem.with_extension("sql"), &format!("{head}-- {words}\n\n"))?;
    if request.down {
        write_new(
            &PathBuf::from(format!("{}.down.sql", stem.display())),
            &format!("-- The way back of: {words}\n\n"),
        )?;
    }
    Ok(true)
}

/// # Errors
/// It is no name of a database.
pub fn database_name(db: &str) -> Result<()> {
    let fits = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' || letter == '-'
    };
    if db.is_empty() || db.len() > 64 || db.starts_with('-') || !db.chars().all(fits) {
        bail!(
            "`{db}` is no name of a database; write small letters, digits, `_` and `-`, at most \
             64, the first no `-`"
        );
    }
    Ok(())
}

/// As refinery takes it.
///
/// # Errors
/// It is no name of a migration.
pub fn file_name(words: &str) -> Result<String> {
    let name: String = words
        .trim()
        .chars()
        .map(|letter| if letter == ' ' || letter == '-' { '_' } else { letter })
        .collect();
    if name.is_empty() || !name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') {
        bail!("`{words}` is no name of a migration; write letters, digits and `_`");
    }
    Ok(name)
}

/// A database without an entry in the configuration gets one, with these lines in it.
///
/// # Errors
/// The file cannot be written.
pub fn configure(folder: &Path, db: &str, lines: &str) -> Result<()> {
    let path = folder.join("bootmigrate.toml");
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    if text.contains(&format!("[databases.{db}]"))
        || text.contains(&format!("[databases.\"{db}\"]"))
    {
        return Ok(());
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!("[databases.{db}]\npath = \"/var/lib/{db}/{db}.db\"\n{lines}"));
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    println!(
        "{}: [databases.{db}] is new; write the path that the application opens",
        path.display()
    );
    Ok(())
}

/// One more than the largest number behind a `V`.
fn next_version(place: &Path) -> Result<i64> {
    let mut newest = 0;
    for entry in
        fs::read_dir(place).with_context(|| format!("{} cannot be read", place.display()))?
    {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let number = name
            .strip_prefix('V')
            .and_then(|rest| rest.split_once("__"))
            .and_then(|(number, _)| number.parse::<i64>().ok());
        newest = newest.max(number.unwrap_or_default());
    }
    newest.checked_add(1).context("there is no greater version")
}

/// Writes a file that is not there yet, and prints its path.
///
/// # Errors
/// It is there, or cannot be written.
pub fn write_new(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(|| format!("{} cannot be made", path.display()))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("{} cannot be written", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_letters() {
        assert_eq!(file_name("add wifi-country").ok(), Some("add_wifi_country".to_owned()));
        assert!(file_name("a/b").is_err() && file_name(" ").is_err());
    }
}
