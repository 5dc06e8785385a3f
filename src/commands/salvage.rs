//! Owns `salvage`: what a bench gets of a damaged database, with the rows by table and by where
//! they came from.
//! Promises: exit 0 only where nothing is missing (11); the new file is new, whole and readable by
//! its owner alone.
//! Never changes the database.

use std::path::Path;

use serde::Serialize;

use crate::commands::run::temporary_files_beside;
use crate::commands::{free_for_a_file, CommandContext, Lines, Printed};
use crate::device::{Device, LOOK};
use crate::error::exit;
use crate::error::{Class, Failure, Lack};
use crate::ops::carry_over::Brought;
use crate::ops::salvage::{salvage as salvaged, Salvaged};
use crate::report::{lacking, SCHEMA};

/// The copy with its state folder, and the new file with its journal.
const FILES_MADE: u64 = 16;

#[derive(Debug, Serialize)]
struct Report<'r> {
    schema: u32,
    exit: u8,
    name: &'r str,
    into: String,
    version: i64,
    bytes: u64,
    /// Pages of the old file that the medium does not give.
    unread_pages: u64,
    tables: Vec<Table<'r>>,
    /// What is not in its table, in words; `null` where nothing is missing.
    lost: Option<&'r str>,
    notes: &'r [String],
}

#[derive(Debug, Serialize)]
struct Table<'r> {
    name: &'r str,
    rows: u64,
    /// Rows of pages that no tree leads to, among `rows` and `aside`.
    from_loose_pages: u64,
    aside: u64,
    /// Rows that an index alone knows, aside too, without the values that it lacks.
    from_indexes: u64,
    /// Where those that are aside are; `null` where none is.
    aside_in: Option<&'r str>,
    /// `null` where nobody knows how many.
    missing: Option<u64>,
}

/// Salvages the one database that was named.
///
/// # Errors
/// One sentence where the file is there already, or its place is ours.
pub fn salvage(context: &CommandContext<'_>, into: &Path) -> Result<Printed, String> {
    let Some(device) = context.devices.first() else { return Err("no database was named".into()) };
    let place = std::path::absolute(into)
        .map_err(|error| format!("{} is no path: {error}", into.display()))?;
    free_for_a_file(context, &place)?;
    match device.disk().stat(&place) {
        Ok(None) => {}
        Ok(Some(_)) => {
            return Err(format!("{} is there already; name another file", into.display()))
        }
        Err(error) => return Ok(failed(device, &place, Failure::io(LOOK, into, &error))),
    }
    Ok(match salvaged(device, &place, &|copy| temporary_files_beside(Some(copy))) {
        Ok(done) => told(context, device, into, &done),
        Err(failure) => failed(device, &place, failure),
    })
}

fn told(
    context: &CommandContext<'_>,
    device: &Device<'_>,
    into: &Path,
    done: &Salvaged,
) -> Printed {
    let name = device.settings.name.as_str();
    let exit = if done.lost.is_some() { exit::DATA_LOSS.code } else { exit::USABLE.code };
    if context.command.json {
        let report = Report {
            schema: SCHEMA,
            exit,
            name,
            into: into.display().to_string(),
            version: done.version,
            bytes: done.bytes,
            unread_pages: done.unread_pages,
            tables: done.tables.iter().map(table).collect(),
            lost: done.lost.as_deref(),
            notes: &done.notes,
        };
        return Printed::outcome(Lines::json(&report), Lines::default(), exit);
    }
    let rows: u64 = done.tables.iter().map(|table| table.rows).sum();
    let lost = done.lost.as_deref().unwrap_or("nothing");
    let mut text = Lines::of(&format!(
        "{name}: {rows} rows written to {}, at version {}, {} bytes; missing: {lost}. [BM-{exit} \
         {name} {}]",
        into.display(),
        done.version,
        done.bytes,
        done.version
    ));
    done.tables.iter().for_each(|table| text.line(&line(table)));
    done.notes.iter().for_each(|note| text.line(&format!("  note: {note}")));
    Printed::outcome(text, Lines::default(), exit)
}

fn table(brought: &Brought) -> Table<'_> {
    Table {
        name: &brought.table,
        rows: brought.rows,
        from_loose_pages: brought.from_loose_pages,
        aside: brought.aside,
        from_indexes: brought.from_indexes,
        aside_in: Some(brought.aside_in.as_str()).filter(|name| !name.is_empty()),
        missing: brought.missing,
    }
}

fn line(table: &Brought) -> String {
    let mut parts = vec![format!("{} rows", table.rows)];
    if table.from_loose_pages > 0 {
        parts.push(format!("{} from pages that no tree leads to", table.from_loose_pages));
    }
    if table.aside + table.from_indexes > 0 {
        let of_indexes = if table.from_indexes > 0 {
            format!(", {} as an index has them", table.from_indexes)
        } else {
            String::new()
        };
        parts.push(format!(
            "{} aside in {}{of_indexes}",
            table.aside + table.from_indexes,
            table.aside_in
        ));
    }
    match table.missing {
        Some(0) => {}
        Some(missing) => parts.push(format!("{missing} missing")),
        None => parts.push("some may be missing".to_owned()),
    }
    format!("  {}  {}", table.table, parts.join(", "))
}

fn failed(device: &Device<'_>, place: &Path, mut failure: Failure) -> Printed {
    let (exit, name) = (failure.class.exit().code, &device.settings.name);
    let sentence = if failure.class == Class::NoSpace {
        let space = place.parent().and_then(|folder| device.disk().space(folder).ok());
        if failure.bytes_needed.is_none()
            && space.and_then(|space| space.inodes).is_some_and(|left| left < FILES_MADE)
        {
            failure.lack = Some(Lack::Inodes);
        }
        let (why, next) =
            lacking(&[], &failure, space, "name a file elsewhere, or make room and salvage again");
        format!(
            "{name}: not enough space: {why}{failure}; nothing was left there. Next: {next}. \
             [BM-{exit} {name}]"
        )
    } else {
        format!(
            "{name}: {failure}; nothing was left there, and the database is untouched. [BM-{exit} \
             {name}]"
        )
    };
    Printed::outcome(Lines::default(), Lines::of(&sentence), exit)
}
