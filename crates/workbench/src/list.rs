//! Owns `list`, `show` and `lock`: what is in the folder, and what of it is released.
//! Promises: every migration of every database, in order, with what its file asks for.
//! Never opens a database but in memory.

use std::path::Path;

use anyhow::{bail, Result};
use bootmigrate_build::{Directives, ForeignKeys, Migration};
use serde_json::json;

use crate::cli::Show;
use crate::product;

/// One line a migration.
///
/// # Errors
/// The folder has problems.
pub fn list(folder: &Path, as_json: bool) -> Result<bool> {
    let product = product::read(folder)?;
    if as_json {
        let databases = product.databases.iter().map(|database| {
            let all = |migrations: &[Migration]| migrations.iter().map(entry).collect::<Vec<_>>();
            json!({ "name": database.name, "migrations": all(&database.migrations), "data": all(&database.data) })
        });
        println!("{:#}", json!({ "schema": 1, "databases": databases.collect::<Vec<_>>() }));
        return Ok(true);
    }
    for database in &product.databases {
        let schema = product::counted(database.migrations.len(), "migration");
        println!("{}: {schema}, and {} of data", database.name, database.data.len());
        for (data, migration) in database
            .migrations
            .iter()
            .map(|one| ("", one))
            .chain(database.data.iter().map(|one| ("data ", one)))
        {
            let asks = asks(&migration.directives);
            let asks =
                if asks.is_empty() { String::new() } else { format!("  ({})", asks.join(", ")) };
            let down = if migration.down.is_some() { ", way back" } else { "" };
            println!(
                "  {data}V{} {}: {}{down}{asks}",
                migration.version,
                migration.name,
                state(migration)
            );
        }
    }
    Ok(true)
}

/// What is new counts as released from now on.
///
/// # Errors
/// The folder has problems, or the file cannot be written.
pub fn lock(folder: &Path) -> Result<bool> {
    match bootmigrate_build::lock(folder) {
        Ok(files) if files.is_empty() => println!("nothing is new"),
        Ok(files) => files.iter().for_each(|file| println!("{file}: released")),
        Err(problems) => bail!("{}", product::lines(&problems)),
    }
    Ok(true)
}

/// One migration in full.
///
/// # Errors
/// The folder has problems, or no such version.
pub fn show(folder: &Path, request: &Show) -> Result<bool> {
    let product = product::read(folder)?;
    let mut found = false;
    for database in product::databases(&product, request.db.as_deref())? {
        for migration in database
            .migrations
            .iter()
            .chain(&database.data)
            .filter(|one| one.version == request.version)
        {
            found = true;
            println!("-- {}: {}", product::shown(&product, migration), state(migration));
            println!("{}", migration.sql.trim_end());
            match &migration.down {
                Some(down) => println!(
                    "\n-- {}\n{}",
                    product::shown_down(&product, migration),
                    down.trim_end()
                ),
                None => println!("\n-- no way back"),
            }
        }
    }
    if !found {
        bail!("there is no version {}", request.version);
    }
    Ok(true)
}

/// `48,211`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn state(migration: &Migration) -> &'static str {
    match (migration.adopted, migration.released) {
        (true, _) => "adopted",
        (_, true) => "released",
        _ => "new",
    }
}

fn entry(migration: &Migration) -> serde_json::Value {
    json!({
        "version": migration.version,
        "name": migration.name,
        "file": migration.file,
        "state": state(migration),
        "down": migration.down.is_some(),
        "directives": asks(&migration.directives),
    })
}

/// The directives as they are written.
fn asks(directives: &Directives) -> Vec<String> {
    let mut found = Vec::new();
    let mut flag = |is_there: bool, word: String| found.extend(is_there.then_some(word));
    flag(directives.no_transaction, "no-transaction".into());
    flag(directives.irreversible, "irreversible".into());
    flag(directives.batch, "batch".into());
    match directives.foreign_keys {
        ForeignKeys::Off => {}
        ForeignKeys::On => flag(true, "foreign-keys = on".into()),
        ForeignKeys::Deferred => flag(true, "foreign-keys = deferred".into()),
        ForeignKeys::Enforced => flag(true, "foreign-keys = enforced".into()),
    }
    found.extend(directives.compatible_from.map(|version| format!("compatible-from = {version}")));
    found.extend(
        directives
            .needs_space_percent
            .map(|percent| format!("needs-space = {}.{:02}", percent / 100, percent % 100)),
    );
    found.extend(directives.code_revision.map(|revision| format!("code revision={revision}")));
    found.extend(directives.expect.iter().map(|expect| format!("expect = {}", expect.query)));
    found.extend(
        directives
            .allow
            .iter()
            .map(|allow| format!("allow = {} because {}", allow.code, allow.because)),
    );
    found
}
