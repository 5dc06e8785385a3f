//! Owns salvage for a bench: the rows that can be read of a database, in a new file, by the same
//! reader as a repair.
//! Promises: works on a copy beside the new file, so that the database is only read; the new file
//! has its name only when it is whole and synced.
//! Never repairs, replaces or locks what stands there.

mod unread;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::decide::facts::{DatabaseState, Facts, Request};
use crate::decide::replacement::{Carry, Least, Replacement};
use crate::device::disk::{make_folder_durably, parent, rename_durably, Op, Rename};
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::carry_over::Brought;
use crate::ops::group::Alone;
use crate::ops::inspect::{inspect, Ask, Closeness, Inspection};
use crate::ops::lock::{lock, Locked};
use crate::ops::recover::recover;
use crate::ops::rehearse::{copy, copy_as_it_lies, remove_copy};
use crate::ops::replace::{replace, Replaced};
use crate::ops::run::Run;
use crate::ops::store::{Order, RecordStore};
use crate::ops::trust::check;
use unread::{copy_readable, is_lost, Unread};

const OP: Op = Op("salvage");
/// The copy, the new file, and its journal.
const TIMES_THE_SIZE: u64 = 3;

/// What was salvaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// The version of the new file.
    pub version: i64,
    /// Bytes of it.
    pub bytes: u64,
    /// Each table.
    pub tables: Vec<Brought>,
    /// What is not in its table, in words; `None` where nothing is missing.
    pub lost: Option<String>,
    /// Worth knowing, a sentence each.
    pub notes: Vec<String>,
    /// Pages of main that the medium does not give.
    pub unread_pages: u64,
}

/// Where the work is done: beside the new file, removed when this is dropped.
struct Place<'d> {
    device: &'d Device<'d>,
    folder: PathBuf,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // A stop signal ends the work, and what it has made goes nevertheless.
        let to_the_end = AtomicBool::new(false);
        if let Err(error) = self.device.disk().remove_tree(OP, &self.folder, &to_the_end) {
            log::warn!("{} is left there, and can be removed: {error}.", self.folder.display());
        }
    }
}

/// Writes what can be read into `into`, which must not be there. `ready` is told of the copy before
/// anything is read of it.
///
/// # Errors
/// Damaged where nothing can be read; not ours, newer, catalogue where this firmware cannot say
/// what the rows are; no space; in use where somebody writes; else as the storage. Nothing is left
/// there.
pub fn salvage(
    device: &Device<'_>,
    into: &Path,
    ready: &dyn Fn(&Device<'_>),
) -> Result<Salvaged, Failure> {
    let disk = device.disk();
    check(device)?;
    let name = into.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let place = Place { device, folder: parent(into).join(format!(".{name}.salvage")) };
    let failed = |error: io::Error| Failure::io(OP, into, &error);
    // One that was cut off.
    disk.remove_tree(OP, &place.folder, &device.environment.stop).map_err(failed)?;
    make_folder_durably(disk, OP, &place.folder, 0o700, None).map_err(failed)?;
    let copy = device.copied_to(place.folder.join(device.files.file_name()));
    let unread = copied(device, &copy.files.main, into)?;
    let locked = lock(&copy)?;
    if let Some(why) = &locked.read_only {
        return Err(Failure::new(Class::Storage, OP, why.clone()).at(&place.folder));
    }
    ready(&copy);
    let mut store = RecordStore::open(&copy, &locked)?;
    let seen = looked(&copy, &locked, &mut store)?;
    let (version, done) =
        rebuilt(&mut Run { device: &copy, locked: &locked, store: &mut store }, &seen)?;
    drop(seen);
    let bytes = disk.stat(&copy.files.main).map_err(failed)?.map_or(0, |stat| stat.size);
    rename_durably(disk, OP, &copy.files.main, into, Rename::NoReplace).map_err(failed)?;
    let notes = unread.of_main().into_iter().chain(done.notes).collect();
    let lost: Vec<String> = done.loss.into_iter().chain(unread.lost_beside()).collect();
    let lost = (!lost.is_empty()).then(|| lost.join("; "));
    Ok(Salvaged { version, bytes, tables: done.tables, lost, notes, unread_pages: unread.pages })
}

/// The files as they lie; what the medium has lost of them is left out, and counted.
fn copied(device: &Device<'_>, to: &Path, into: &Path) -> Result<Unread, Failure> {
    let mut unread = Unread::default();
    let mut one = |from: &Path, to: &Path| {
        let is_main = from == device.files.main;
        if is_main {
            unread = Unread::default();
        }
        match copy(device, from, to) {
            Err(error) if is_lost(&error) => {
                remove_copy(device, to)?;
                let stop = &device.environment.stop;
                copy_readable(device.disk(), OP, (from, to), stop, (is_main, &mut unread))
            }
            whole => whole,
        }
    };
    copy_as_it_lies(device, to, &|bytes| room_there(device, into, bytes), &mut one)?;
    Ok(unread)
}

/// As a repair looks at it: everything is checked, and a hot journal is rolled back, on the copy.
fn looked(
    copy: &Device<'_>,
    locked: &Locked,
    store: &mut RecordStore,
) -> Result<Inspection, Failure> {
    let ask = Ask {
        request: &Request::PurgeAndRetry,
        tried: &[],
        closeness: Closeness::Everything,
        may_write: true,
    };
    let seen = inspect(copy, locked, store, &ask)?;
    if seen.facts.database != DatabaseState::NeedsRecovery {
        return Ok(seen);
    }
    recover(copy, seen.main.as_ref())?;
    drop(seen);
    inspect(copy, locked, store, &ask)
}

/// A fresh database of the rows' own version takes the copy's place.
fn rebuilt(run: &mut Run<'_>, seen: &Inspection) -> Result<(i64, Replaced), Failure> {
    let Some(main) = seen.main.as_ref() else {
        return Err(Failure::new(Class::Damaged, OP, "there is no main file with content"));
    };
    let (version, all_aside) = version(&seen.facts)?;
    let order = Order {
        reason: "`salvage` was asked for",
        token: "",
        forget_tries: false,
        loss: None,
        purge_counts: false,
        repairs: false,
        others: &Alone,
    };
    let salvaged = Carry { all_aside, ..Carry::all_readable(version, Least::Row) };
    let (by, version) = if all_aside {
        (Replacement::Carried(salvaged), run.device.catalog.target())
    } else {
        (Replacement::Salvaged(salvaged), version)
    };
    replace(run, Some(main), &by, &order).map(|done| (version, done))
}

/// The version of the rows, and whether they fit no table of this firmware's.
fn version(facts: &Facts) -> Result<(i64, bool), Failure> {
    let refused = |class: Class, what: &str| Err(Failure::new(class, OP, what));
    match &facts.database {
        DatabaseState::Current { version } => Ok((*version, false)),
        DatabaseState::Behind { half_done: Some(version), .. } => Ok((*version, false)),
        DatabaseState::Behind { version, .. } | DatabaseState::WithoutCode { version, .. } => {
            Ok((*version, false))
        }
        DatabaseState::Damaged { version: Some(version), .. }
        | DatabaseState::Unfit { version: Some(version), .. }
        | DatabaseState::Newer { version, .. } => Ok((*version, *version > facts.target)),
        DatabaseState::Damaged { version: None, .. } if facts.loose_rows => {
            Ok((facts.target, true))
        }
        DatabaseState::Damaged { what, .. } => {
            refused(Class::Damaged, &format!("no row of it can be read: {what}"))
        }
        DatabaseState::Absent => refused(Class::Damaged, "there is no database"),
        DatabaseState::Lost { what, .. } => refused(Class::Damaged, what),
        DatabaseState::NeedsRecovery => {
            refused(Class::Storage, "its hot journal was not rolled back")
        }
        DatabaseState::Unreadable { what } => refused(Class::Storage, what),
        DatabaseState::Mismatch { what, .. } | DatabaseState::Unfit { what, .. } => {
            refused(Class::Catalogue, what)
        }
        DatabaseState::NoHistory { tables, .. } => {
            refused(Class::NotOurs, &format!("it has {tables} tables and no migration history"))
        }
        DatabaseState::NewerSqlite { what } => refused(Class::Newer, what),
        DatabaseState::NotOurs { what } => refused(Class::NotOurs, what),
    }
}

fn room_there(device: &Device<'_>, into: &Path, bytes: u64) -> Result<(), Failure> {
    let there = parent(into);
    let space = device.disk().space(there).map_err(|error| Failure::io(OP, there, &error))?;
    let needed = bytes.saturating_mul(TIMES_THE_SIZE);
    if space.available >= needed {
        return Ok(());
    }
    let cause = format!("{needed} bytes are needed there, and {} are free", space.available);
    Err(Failure::new(Class::NoSpace, OP, cause).at(there).needs(needed))
}
