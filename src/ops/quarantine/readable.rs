//! Owns how many rows of a database in quarantine can be read: by SQLite, or where that cannot read
//! all of them, on its pages.
//! Promises: reads only; a hot journal is not rolled back; what is not whole is counted all the
//! same.
//! Never says that a database is sound: a row that can be counted may have a damaged value.

use std::path::Path;

use crate::device::disk::{Op, Open};
use crate::device::files::DatabaseFiles;
use crate::device::pages::node::PageKind;
use crate::device::pages::{PageSource, Pages};
use crate::device::sqlite::Database;
use crate::device::{progress, Device};
use crate::error::{Class, Failure};
use crate::ops::trust::Trust;

const OP: Op = Op("read a database in quarantine");

/// Rows that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable {
    /// Of the product's tables; on pages, of all tables, the histories too.
    pub rows: u64,
    /// How they were found.
    pub reading: Reading,
    /// The product's tables with their rows; empty where they cannot be told apart.
    pub tables: Vec<(String, u64)>,
}

/// How rows were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// SQLite reads every table.
    Whole,
    /// It does not, for this reason; these are the rows on pages that can be read.
    OnPages(String),
    /// There is nothing to read.
    Nothing(String),
}

impl Readable {
    fn nothing(why: String) -> Readable {
        Readable { rows: 0, reading: Reading::Nothing(why), tables: Vec::new() }
    }
}

/// Counts the rows of what operation `operation` set aside.
///
/// # Errors
/// Interrupted, storage, no memory: that says nothing about what can be read.
pub fn readable(device: &Device<'_>, operation: u64) -> Result<Readable, Failure> {
    let main = device.state.quarantined(operation).join(device.files.file_name());
    let files = DatabaseFiles { main };
    let state = files.look(device.disk()).map_err(|error| Failure::io(OP, &files.main, &error))?;
    let Some(stat) = state.main.filter(|main| main.size > 0) else {
        return Ok(Readable::nothing("it has no main file with content".into()));
    };
    if let Err(error) = Trust::of(device)?.accept(device, &files.main, &stat) {
        return Ok(Readable::nothing(error.to_string()));
    }
    progress::begin(&format!("{}: reading quarantine/{operation}", device.settings.name));
    // What a hot journal would undo is in the file; to roll it back would be a write.
    let with_wal = state.wal_has_content() && !state.journal_has_content;
    match by_sqlite(device, &files.main, with_wal) {
        Ok(counted) => Ok(counted),
        Err(failure) if says_nothing(failure.class) => Err(failure),
        Err(failure) => on_pages(device, &files, with_wal, failure.cause),
    }
}

/// About the database, that is: it may be whole.
fn says_nothing(class: Class) -> bool {
    matches!(
        class,
        Class::Interrupted | Class::Storage | Class::NoSpace | Class::InUse | Class::Missing
    )
}

fn by_sqlite(device: &Device<'_>, main: &Path, with_wal: bool) -> Result<Readable, Failure> {
    let sqlite = device.sqlite();
    let database = if with_wal {
        sqlite.look_without_writing(OP, main)?
    } else {
        sqlite.look_immutable(OP, main)?
    };
    let counted = count(device, &database);
    database.close(OP)?;
    counted
}

fn count(device: &Device<'_>, database: &Database) -> Result<Readable, Failure> {
    let own: Vec<String> = database
        .ordinary_tables(OP, &device.settings.history_table)?
        .into_iter()
        .map(|table| table.name)
        .collect();
    let mut tables = Vec::new();
    for table in database.all_tables(OP)? {
        let Some(rows) = database.count_own_rows(OP, &table)? else {
            return Err(Failure::new(
                Class::Damaged,
                OP,
                format!("the rows of {} cannot be counted", table.name),
            ));
        };
        if own.contains(&table.name) {
            tables.push((table.name, rows));
        }
    }
    let rows = tables.iter().map(|(_, rows)| *rows).fold(0, u64::saturating_add);
    Ok(Readable { rows, reading: Reading::Whole, tables })
}

/// The records on every page of a table that is not free.
fn on_pages(
    device: &Device<'_>,
    files: &DatabaseFiles,
    with_wal: bool,
    why: String,
) -> Result<Readable, Failure> {
    let disk = device.disk();
    let open = |path: &Path| {
        disk.open(OP, path, Open::Read).map_err(|error| Failure::io(OP, path, &error))
    };
    let main = open(&files.main)?;
    let log = if with_wal { Some(open(&files.wal())?) } else { None };
    let source = PageSource {
        main: &*main,
        log: log.as_deref(),
        path: &files.main,
        op: OP,
        stop: &device.environment.stop,
    };
    let Some(pages) = Pages::open(source)? else {
        return Ok(Readable::nothing(why));
    };
    let free = pages.free_pages()?;
    let mut rows = 0u64;
    pages.each_unreached(&mut pages.bits(), &free, &mut |page, _| {
        if page.node.kind == PageKind::TableLeaf {
            rows = rows.saturating_add(page.records.found.len() as u64);
        }
        Ok(())
    })?;
    if rows == 0 {
        return Ok(Readable::nothing(why));
    }
    Ok(Readable { rows, reading: Reading::OnPages(why), tables: Vec::new() })
}
