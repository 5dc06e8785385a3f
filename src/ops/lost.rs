//! Owns what a person does with rows that were put aside: look, write them to a file, drop their
//! table, give them back.
//! Promises: a drop and a giving back are one transaction each, in a database of this firmware's
//! version that nobody has open.
//! Never touches a history, a table of bootmigrate's own, or one that a migration makes.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::catalog::Migration;
use crate::device::disk::{parent, rename_durably, unlink_durably, Op, Open, Rename};
use crate::device::sqlite::lost::LostRows;
use crate::device::sqlite::virtual_tables::Content;
use crate::device::sqlite::Database;
use crate::device::{history, Device};
use crate::error::{Class, Failure};
use crate::ops::by_hand::begin;
use crate::ops::inspect::copies::is_beginning;
use crate::ops::inspect::read_quietly;
use crate::ops::migrate::note_unconfirmed;
use crate::ops::probe::{in_use, probe};
use crate::ops::room::{explain, may_write};
use crate::ops::rows_aside::names;
use crate::ops::scratch::Scratch;
use crate::ops::virtual_tables::rebuild;
use crate::ops::{examine, wal};

const LOOK: Op = Op("look at the rows that were put aside");
const OP: Op = Op("change the rows that were put aside");
/// A failure here leaves it open whether the change was made.
pub const COMMIT: Op = Op("commit");
const EXPORT: Op = Op("write the rows that were put aside");
/// Bytes that are written at a time.
const WRITE_BYTES: usize = 64 << 10;

/// What became of one table of rows put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenBack {
    /// It, as it was.
    pub lost: LostRows,
    /// Rows that went to their table.
    pub went: u64,
    /// None was tried, because of this.
    pub doubt: Option<Doubt>,
    /// Triggers that would have run for them.
    pub triggers: Vec<String>,
}

/// Why the columns of rows put aside may have meant something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// These migrations changed the table after it was made, and the rows may be of before.
    ChangedBy(Vec<String>),
    /// They are of newer firmware.
    Newer,
}

/// What came of giving rows back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retried {
    /// Each table of them.
    pub tables: Vec<GivenBack>,
    /// Full-text indexes of what has rows again, with their text: built again, or not.
    pub indexes: Vec<(String, String, bool)>,
}

/// Reads beside running applications.
fn read<T>(
    device: &Device<'_>,
    read: impl Fn(&Database) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    match examine::outside(device)?.header {
        None => Ok(None),
        Some(header) if header.wal => read_quietly(device, Duration::ZERO, read).map(Some),
        // A reader's locks: whoever writes is seen.
        Some(_) => {
            let database = device.sqlite().look_beside(LOOK, &device.files.main)?;
            let answer = read(&database);
            database.close(LOOK)?;
            answer.map(Some)
        }
    }
}

/// What was put aside; nothing where there is no database.
///
/// # Errors
/// As SQLite.
pub fn lost_rows(device: &Device<'_>) -> Result<Vec<LostRows>, Failure> {
    let made = made_by_migrations(device)?;
    let made = made.unwrap_or_default();
    Ok(read(device, |database| database.lost_rows(LOOK, &device.settings.history_table, &made))?
        .unwrap_or_default())
}

/// Objects of this firmware's schema; `None` where it cannot be told without the device's rows.
fn made_by_migrations(device: &Device<'_>) -> Result<Option<BTreeSet<String>>, Failure> {
    Ok(Scratch::schema_at(device, device.catalog.target())?.map(|schema| schema.objects()))
}

/// The rows are of newer firmware, or migrations name their table, but for the first, which made
/// it: before one of them its columns may have meant something else.
fn doubt(device: &Device<'_>, lost: &LostRows) -> Option<Doubt> {
    if is_newer(device, lost) {
        return Some(Doubt::Newer);
    }
    let quoted = lost.home_name().replace('"', "\"\"");
    let names_it = |sql: &str| names(sql, lost.home_name()) || names(sql, &quoted);
    // What code does, nobody reads.
    let has_code = |migration: &&Migration| {
        migration.version > lost.version && migration.directives.code_revision.is_some()
    };
    let code = device.catalog.migrations.iter().filter(has_code);
    let name_it = device.catalog.migrations.iter().filter(|migration| names_it(migration.sql));
    // A data migration changes rows, and which of them are put aside it does not know.
    let data = device.catalog.data.iter();
    let of_rows = data.filter(|migration| names_it(migration.sql));
    let changed_by: Vec<String> = name_it
        .skip(1)
        .chain(code)
        .chain(of_rows)
        .map(|migration| migration.file.to_owned())
        .collect();
    (!changed_by.is_empty()).then_some(Doubt::ChangedBy(changed_by))
}

/// They were put aside from a database of newer firmware.
pub fn is_newer(device: &Device<'_>, lost: &LostRows) -> bool {
    lost.version > device.catalog.target()
}

/// Writes the rows of one of them into a new file, a line of JSON each; how many bytes. It has its
/// name only once it is whole and synced.
///
/// # Errors
/// As `open`, `write`, `fsync` and `rename`, and as SQLite: what was begun is removed.
pub fn export_rows(device: &Device<'_>, lost: &LostRows, path: &Path) -> Result<u64, Failure> {
    let disk = device.disk();
    let failed = |error: io::Error| Failure::io(EXPORT, path, &error);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let unfinished = path.with_file_name(format!(".{name}.unfinished"));
    // One that was cut off.
    unlink_durably(disk, EXPORT, parent(path), &[&unfinished]).map_err(failed)?;
    let file = disk.open(EXPORT, &unfinished, Open::CreateNew { mode: 0o600 }).map_err(failed)?;
    let write = |database: &Database| {
        let (mut waiting, mut at) = (Vec::new(), 0u64);
        database.each_lost(EXPORT, lost, &mut |line| {
            device.stop_here(EXPORT)?;
            waiting.extend_from_slice(line.as_bytes());
            waiting.push(b'\n');
            if waiting.len() >= WRITE_BYTES {
                file.write_at(EXPORT, at, &waiting).map_err(failed)?;
                at += waiting.len() as u64;
                waiting.clear();
            }
            Ok(())
        })?;
        file.write_at(EXPORT, at, &waiting).map_err(failed)?;
        file.sync(EXPORT).map_err(failed)?;
        rename_durably(disk, EXPORT, &unfinished, path, Rename::NoReplace).map_err(failed)?;
        Ok(at + waiting.len() as u64)
    };
    let written = read(device, write).map(Option::unwrap_or_default);
    written.inspect_err(|_| {
        if let Some(error) = disk
            .unlink(EXPORT, &unfinished)
            .err()
            .filter(|error| error.kind() != io::ErrorKind::NotFound)
        {
            log::warn!("{} is left there, and is not whole: {error}.", unfinished.display());
        }
    })
}

/// Drops the table; `None` where it is not there any more.
///
/// # Errors
/// In use, waits; as SQLite.
pub fn drop_rows(device: &Device<'_>, name: &str) -> Result<Option<LostRows>, Failure> {
    changed(device, |database, all| {
        let lost = all.into_iter().find(|lost| lost.table.name.eq_ignore_ascii_case(name));
        lost.map(|lost| database.drop_lost(OP, &lost).map(|()| lost)).transpose()
    })
}

/// Gives back what fits of this table, or of all of them; one that is then empty is dropped.
/// `agreed`: also where there is a [`Doubt`].
///
/// # Errors
/// In use, waits; as SQLite.
pub fn retry_rows(
    device: &Device<'_>,
    only: Option<&str>,
    agreed: bool,
) -> Result<Retried, Failure> {
    changed(device, |database, all| {
        let wanted =
            |lost: &LostRows| only.is_none_or(|name| lost.table.name.eq_ignore_ascii_case(name));
        let mut done: Vec<GivenBack> = all
            .iter()
            .filter(|lost| wanted(lost))
            .map(|lost| GivenBack {
                lost: lost.clone(),
                went: 0,
                doubt: doubt(device, lost).filter(|_| !agreed),
                triggers: Vec::new(),
            })
            .collect();
        give_back(device, database, &all, &mut done)?;
        let mut indexes = Vec::new();
        for one in done.iter_mut().filter(|one| one.went > 0) {
            one.triggers = database.insert_triggers(OP, one.lost.home_name())?;
            if one.went == one.lost.rows {
                database.drop_lost(OP, &one.lost)?;
            }
        }
        if done.iter().any(|one| one.went > 0) {
            let tables = database.ordinary_tables(OP, &device.settings.history_table)?;
            for table in database.virtual_tables(OP)? {
                let Content::External(text) = &table.content else { continue };
                // A view may show any table's rows.
                let is_table = tables.iter().any(|one| one.name.eq_ignore_ascii_case(text));
                let has_more = |one: &GivenBack| {
                    one.went > 0 && (!is_table || one.lost.home_name().eq_ignore_ascii_case(text))
                };
                if done.iter().any(has_more) {
                    indexes.push((table.name.clone(), text.clone(), rebuild(database, &table)?));
                }
            }
        }
        Ok(Retried { tables: done, indexes })
    })
}

/// A row whose parent went may follow it; rows that refer to each other go together.
fn give_back(
    device: &Device<'_>,
    database: &Database,
    all: &[LostRows],
    done: &mut [GivenBack],
) -> Result<(), Failure> {
    let stop = &device.environment.stop;
    let mut tried: Vec<&mut GivenBack> =
        done.iter_mut().filter(|one| one.doubt.is_none()).collect();
    loop {
        let mut went = Vec::new();
        for one in &tried {
            went.push(database.give_back(OP, &one.lost, all, stop)?);
        }
        if went.iter().all(|now| *now == 0) {
            let tables: Vec<&LostRows> = tried.iter().map(|one| &one.lost).collect();
            went = database.give_back_together(OP, &tables, all, stop)?;
        }
        if went.iter().all(|now| *now == 0) {
            return Ok(());
        }
        tried.iter_mut().zip(went).for_each(|(one, now)| one.went += now);
    }
}

/// One transaction of the live database, which nobody has open, under the lock.
fn changed<T>(
    device: &Device<'_>,
    change: impl Fn(&Database, Vec<LostRows>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let made = made_by_migrations(device)?.ok_or_else(|| {
        let cause = "its migrations need this device's rows or code, so which tables are theirs \
                     cannot be told";
        Failure::new(Class::Catalogue, OP, cause)
    })?;
    let (_locked, _store) = begin(device)?;
    let mut before = None;
    let main = device.open_main(OP, device.busy_limit())?;
    probe(device, Some(&main))?;
    wal::fits(device, &main)?;
    let size = main.stat.size;
    let ask = || match open(device, size) {
        Err(failure) if failure.class == Class::InUse => Ok(None),
        other => other.map(Some),
    };
    let database = device.wait().until(OP, ask)?.ok_or_else(|| in_use(device))?;
    let done = of_this_firmware(device, &database)
        .and_then(|()| database.lost_rows(OP, &device.settings.history_table, &made))
        .and_then(|all| Ok((change(&database, all.clone())?, all)))
        .and_then(|(done, all)| {
            database.commit(COMMIT).map(|()| done).inspect_err(|_| before = Some(all))
        })
        .map_err(|failure| explain(device, failure, may_write(size)));
    if done.is_ok() {
        // What is left of a WAL the application's first read brings in.
        let _ = database.checkpoint(OP);
    }
    database.rollback();
    let closed = database.close(OP);
    // SQLite does not sync its unlink of a WAL: after a cut it would be back, at full size.
    let folder = device.files.folder();
    let synced =
        device.disk().sync_folder(OP, folder).map_err(|error| Failure::io(OP, folder, &error));
    if let Some(failure) = closed.and(synced).err().filter(|_| done.is_ok()) {
        log::warn!("{}: after the commit: {failure}; the change stands.", device.settings.name);
    }
    if before.is_some_and(|before| lost_rows(device).ok() != Some(before)) {
        // After a failed fsync the kernel shows what storage may not have: nothing may be opened on
        // the strength of that.
        note_unconfirmed(device);
    }
    done
}

fn open(device: &Device<'_>, size: u64) -> Result<Database, Failure> {
    let (database, _) = device.sqlite().work(OP, &device.files.main, size)?;
    let begun = database
        .run(OP, "PRAGMA foreign_keys = ON")
        .and_then(|()| database.triggers(OP, false))
        .and_then(|()| {
            if database.checkpoint(OP)? {
                database.begin_exclusive(OP)
            } else {
                Err(in_use(device))
            }
        });
    match begun {
        Ok(()) => Ok(database),
        Err(failure) => {
            database.close(OP)?;
            Err(failure)
        }
    }
}

/// Of another version, columns of the same name may mean something else.
fn of_this_firmware(device: &Device<'_>, database: &Database) -> Result<(), Failure> {
    let history = history::read(database, OP, &device.settings.history_table)?;
    if is_beginning(device, &history) && history.version() == device.catalog.target() {
        return Ok(());
    }
    let cause = "its schema is not this firmware's; `bootmigrate run` comes first";
    Err(Failure::new(Class::Waits, OP, cause).at(&device.files.main))
}
