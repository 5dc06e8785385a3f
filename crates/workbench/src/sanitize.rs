//! Owns `sanitize`: a field database without what it says of people, for a folder that is rehearsed
//! on.
//! Promises: the same schema, row numbers, lengths and numbers of rows; equal values stay equal and
//! different ones different, so keys hold.
//! Never changes the original, and takes no free page of it along.

mod disguise;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{bail, Context as _, Result};
use bootmigrate_model::lex::{lex, quote, TokenKind};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Value, ValueRef};
use rusqlite::Connection;

use crate::cli::Sanitize;
use crate::compare;
use crate::copied::{self, Copied};
use crate::model::bare;
use crate::rebuilt::{Old, OldTable};
use disguise::Disguise;

/// Makes the new file.
///
/// # Errors
/// The file is no database, or is damaged; the new one is there already.
pub fn sanitize(request: &Sanitize) -> Result<bool> {
    if request.into.exists() {
        bail!("{} is there already; remove it, or name another file", request.into.display());
    }
    let Copied { connection, folder: scratch } = copied::open(&request.file)?;
    let faults = compare::faults(&connection)
        .with_context(|| format!("{} is no whole database", request.file.display()))?;
    let old = Old::read(&connection, &|_| false)?;
    let made = scratch.path().join("made.db");
    let rows = make(&connection, &old, &made, request)?;
    let after = compare::faults(&Connection::open(&made)?)?;
    if after.len() > faults.len() {
        bail!("the new file would have a fault that the old one has not: {}", after.concat());
    }
    fs::copy(&made, &request.into)
        .with_context(|| format!("{} cannot be written", request.into.display()))?;
    println!("{}: {} tables, {rows} rows", request.into.display(), old.tables.len());
    Ok(true)
}

/// Builds the new file. Returns how many rows it has.
fn make(connection: &Connection, old: &Old, made: &Path, request: &Sanitize) -> Result<usize> {
    let words = said_by_schema(old);
    disguises(connection, request.seed, words)?;
    let new = Connection::open(made)?;
    for setting in &old.settings {
        new.execute_batch(setting)?;
    }
    new.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; BEGIN")?;
    let mut count = 0;
    for table in &old.tables {
        new.execute_batch(&table.sql)?;
        count += rows(connection, &new, table, request)?;
    }
    if old.counts_on {
        new.execute_batch("DELETE FROM sqlite_sequence")?;
        let mut statement = connection.prepare("SELECT name, seq FROM sqlite_sequence")?;
        let all =
            statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        for row in all {
            new.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", row?)?;
        }
    }
    for sql in &old.rest {
        new.execute_batch(sql).with_context(|| format!("{sql} cannot be made of the new rows"))?;
    }
    new.execute_batch("COMMIT")?;
    Ok(count)
}

/// Other tools' own tables, by which a device is taken over.
const HISTORIES: [&str; 4] =
    ["schema_migrations", "_sqlx_migrations", "__diesel_schema_migrations", "goose_db_version"];

/// Brings the rows of one table over, each value disguised.
fn rows(
    connection: &Connection,
    new: &Connection,
    table: &OldTable,
    request: &Sanitize,
) -> Result<usize> {
    let lower = table.name.to_ascii_lowercase();
    let ours = lower.starts_with("bootmigrate_")
        || lower == request.history.to_ascii_lowercase()
        || HISTORIES.contains(&lower.as_str());
    let numbers = numbers(connection, &table.name)?;
    let shown = table.columns.iter().map(|column| {
        let kept = ours
            || (table.with_rowid && column == "rowid")
            || request
                .keep
                .iter()
                .any(|keep| keep.eq_ignore_ascii_case(&format!("{}.{column}", table.name)));
        match (kept, numbers.contains(&column.to_ascii_lowercase())) {
            (true, _) => quote(column),
            (_, true) => format!(
                "CASE typeof({0}) WHEN 'integer' THEN {0} ELSE disguised({0}) END",
                quote(column)
            ),
            _ => format!("disguised({})", quote(column)),
        }
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    let marks = vec!["?"; table.columns.len()].join(", ");
    let mut insert = new.prepare(&format!(
        "INSERT INTO {} ({}) VALUES ({marks})",
        quote(&table.name),
        table.list()
    ))?;
    let mut statement =
        connection.prepare(&format!("SELECT {shown} FROM {} NOT INDEXED", quote(&table.name)))?;
    let mut found = statement.query([])?;
    let mut count = 0;
    while let Some(row) = found.next()? {
        let values: Vec<Value> = (0..table.columns.len())
            .map(|column| row.get(column))
            .collect::<rusqlite::Result<_>>()?;
        insert.execute(rusqlite::params_from_iter(values)).with_context(|| {
            format!("a disguised row of {} is refused; write --keep", table.name)
        })?;
        count += 1;
    }
    Ok(count)
}

/// Columns whose whole numbers are keys: primary keys, and both ends of references.
fn numbers(connection: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT lower(name) FROM pragma_table_info(?1) WHERE pk > 0 UNION SELECT \
               lower(\"from\") FROM pragma_foreign_key_list(?1) UNION SELECT lower(k.\"to\") FROM \
               pragma_table_list AS t, pragma_foreign_key_list(t.name) AS k WHERE t.schema = \
               'main' AND k.\"table\" = ?1 COLLATE NOCASE AND k.\"to\" IS NOT NULL";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([table], |row| row.get(0))?;
    rows.collect()
}

/// Texts that the schema itself says: words of a CHECK, defaults, what a trigger writes. They are
/// no person's.
fn said_by_schema(old: &Old) -> BTreeSet<String> {
    let all = old.tables.iter().map(|table| &table.sql).chain(&old.rest);
    let mut found = BTreeSet::new();
    for sql in all {
        let texts = lex(sql)
            .tokens
            .into_iter()
            .filter(|token| matches!(token.kind, TokenKind::Text))
            .map(|token| bare(&token).replace("''", "'"));
        found.extend(texts);
    }
    found
}

/// The SQL function `disguised` of the old file's connection.
fn disguises(connection: &Connection, seed: Option<u64>, words: BTreeSet<String>) -> Result<()> {
    let disguise = Arc::new(Mutex::new(Disguise::new(seed, words)));
    connection.create_scalar_function(
        "disguised",
        1,
        FunctionFlags::SQLITE_UTF8,
        move |context| {
            let value = match context.get_raw(0) {
                // Whatever they are, no application reads them as they were.
                ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
                _ => context.get(0)?,
            };
            Ok(disguise.lock().unwrap_or_else(PoisonError::into_inner).of(value))
        },
    )?;
    Ok(())
}
