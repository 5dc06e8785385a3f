//! Owns `schema`: the schema of a database at a version as text, and how two versions differ.
//! Promises: from running the migrations on SQLite, in the same order at every run.
//! Never shows the history or bootmigrate's own tables.

mod diagram;
mod markdown;

use std::fs;
use std::path::Path;

use anyhow::{anyhow, Context as _, Result};
use bootmigrate_build::workbench::{Chain, How, Schema as Parts};
use bootmigrate_build::{Database, Product};
use rusqlite::Connection;

use crate::cli::{Schema, SchemaFormat};
use crate::model::Model;
use crate::{copied, product};

/// Prints or writes it.
///
/// # Errors
/// The folder has problems, a version is not known, or its migrations do not run.
pub fn schema(folder: &Path, request: &Schema) -> Result<bool> {
    if let Some(file) = &request.file {
        return of_file(file, request);
    }
    let product = product::read(folder)?;
    for database in product::databases(&product, request.db.as_deref())? {
        let history = &product::settings(&product, database)
            .context("no entry in the configuration")?
            .history_table;
        let chain = chain(&product, database)?;
        if let Some(to) = &request.write {
            write_all(&to.join(&database.name), database, &chain, history)?;
            continue;
        }
        let version = request.at.unwrap_or_else(|| product::newest(database));
        let now = open(&chain, database, version)?;
        match request.since {
            None => print!(
                "{}",
                shown(
                    &now,
                    history,
                    request.format,
                    &format!("{} at version {version}", database.name)
                )?
            ),
            Some(since) => {
                println!("{}: from version {since} to {version}", database.name);
                let then = open(&chain, database, since)?;
                for line in differences(&then, &now, history)? {
                    println!("  {line}");
                }
            }
        }
    }
    Ok(true)
}

/// Of a database file.
fn of_file(file: &Path, request: &Schema) -> Result<bool> {
    // The product's own name for it is not known here.
    let history = "refinery_schema_history";
    let now = copied::open(file)?.connection;
    match &request.since_file {
        None => print!("{}", shown(&now, history, request.format, &file.display().to_string())?),
        Some(since) => differences(&copied::open(since)?.connection, &now, history)?
            .iter()
            .for_each(|line| println!("{line}")),
    }
    Ok(true)
}

fn shown(
    connection: &Connection,
    history: &str,
    format: SchemaFormat,
    title: &str,
) -> Result<String> {
    Ok(match format {
        SchemaFormat::Sql => format!("-- {title}\n{}", dump(connection, history)?),
        SchemaFormat::Markdown => markdown::page(&Model::read(connection, history)?, title),
        SchemaFormat::Svg => diagram::svg(&Model::read(connection, history)?, title),
    })
}

/// How a database's schema differs between two of its versions.
///
/// # Errors
/// A version is not known.
pub fn between(product: &Product, database: &Database, from: i64, to: i64) -> Result<Vec<String>> {
    let history = &product::settings(product, database)
        .context("no entry in the configuration")?
        .history_table;
    let chain = chain(product, database)?;
    Ok(differences(&open(&chain, database, from)?, &open(&chain, database, to)?, history)?)
}

fn open(chain: &Chain<'_>, database: &Database, version: i64) -> Result<Connection> {
    let count = product::count_to(database, version)
        .with_context(|| format!("{} has no version {version}", database.name))?;
    chain.open(count).with_context(|| {
        format!("{} does not reach version {version}; the build says why", database.name)
    })
}

fn write_all(to: &Path, database: &Database, chain: &Chain<'_>, history: &str) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("{} cannot be made", to.display()))?;
    for migration in &database.migrations {
        let path = to.join(format!("V{}.sql", migration.version));
        let text = dump(&open(chain, database, migration.version)?, history)?;
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    println!("{}: {} schemas in {}", database.name, database.migrations.len(), to.display());
    Ok(())
}

/// Every object's statement: tables by name, each with its indexes and triggers, then views.
///
/// # Errors
/// As SQLite.
pub fn dump(connection: &Connection, history: &str) -> rusqlite::Result<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' \
               ESCAPE '\\' AND tbl_name NOT LIKE 'bootmigrate\\_%' ESCAPE '\\' AND tbl_name <> ?1 \
               COLLATE NOCASE ORDER BY type = 'view', lower(tbl_name), CASE type WHEN 'table' THEN \
               0 WHEN 'index' THEN 1 ELSE 2 END, lower(name)";
    let mut statement = connection.prepare(sql)?;
    let mut text = String::new();
    for sql in statement.query_map([history], |row| row.get::<_, String>(0))? {
        text.push_str(&format!("{};\n", sql?.trim_end()));
    }
    Ok(text)
}

/// What a later schema has more (`+`), no more (`-`), or otherwise (`~`).
///
/// # Errors
/// As SQLite.
pub fn differences(
    then: &Connection,
    now: &Connection,
    history: &str,
) -> rusqlite::Result<Vec<String>> {
    let (then, now) = (Parts::read(then, history)?, Parts::read(now, history)?);
    let mut lines: Vec<String> = now
        .differences(&then)
        .iter()
        .map(|difference| match &difference.how {
            How::ExtraObject | How::ExtraPart => format!("+ {}", difference.what),
            How::Missing => format!("- {}", difference.what),
            How::Other { found, wanted } if wanted.is_empty() => {
                format!("~ {}: now has `{found}`", difference.what)
            }
            How::Other { found, wanted } if found.is_empty() => {
                format!("~ {}: no longer has `{wanted}`", difference.what)
            }
            How::Other { found, wanted } => {
                format!("~ {}: `{found}` instead of `{wanted}`", difference.what)
            }
            How::Order { found, .. } => {
                format!("~ {}: its columns in the order {found}", difference.what)
            }
        })
        .collect();
    if lines.is_empty() {
        lines.push("the same".to_owned());
    }
    Ok(lines)
}

/// The chain of a database.
///
/// # Errors
/// It has no entry in the configuration, which a folder without problems cannot be.
pub fn chain<'p>(product: &'p Product, database: &'p Database) -> Result<Chain<'p>> {
    Chain::of(product, database)
        .ok_or_else(|| anyhow!("{} has no entry in the configuration", database.name))
}
