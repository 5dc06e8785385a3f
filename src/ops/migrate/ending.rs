//! Owns how the migration's connection ends: committed, rolled back, or not used at all.
//! Promises: what SQLite unlinks is durable; after a durable commit what goes wrong is only said.
//! Never commits.

use super::{COMMIT, FINISH};
use crate::config::JournalMode;
use crate::device::history;
use crate::device::sqlite::{Database, Journal};
use crate::device::Device;
use crate::error::Failure;
use crate::ops::inspect::Inspection;
use crate::ops::store::Operation;

/// After a durable commit nothing may fail the run: what goes wrong is said.
pub(super) fn finish(device: &Device<'_>, database: Database, journal: Journal) {
    let name = &device.settings.name;
    let say = |failure: &Failure| {
        log::warn!("{name}: after the commit: {failure}; the migration stands.")
    };
    let wanted = match device.settings.journal_mode {
        JournalMode::Keep => None,
        JournalMode::Wal => Some(Journal::Wal),
        JournalMode::Delete => Some(Journal::Rollback),
    };
    match database.checkpoint(FINISH) {
        Ok(true) => {}
        Ok(false) => log::warn!(
            "{name}: the WAL could not be emptied after the commit; the application will do it."
        ),
        Err(failure) => say(&failure),
    }
    if let Some(wanted) = wanted.filter(|wanted| *wanted != journal) {
        if let Err(failure) = database.set_journal(FINISH, wanted) {
            say(&failure);
        }
    }
    close_and_sync(device, database);
}

/// Closes what was opened and not begun: a name can be gone only where a WAL or a journal was there
/// before.
pub(super) fn leave(device: &Device<'_>, database: Database, seen: &Inspection) {
    if seen.files.wal.is_some() || seen.files.journal.is_some() {
        return abandon(device, database);
    }
    database.rollback();
    if let Err(failure) = database.close(FINISH) {
        log::warn!("{}: {failure}.", device.settings.name);
    }
}

/// Rolls back what is open, closes, and makes SQLite's unlink durable.
pub(super) fn abandon(device: &Device<'_>, database: Database) {
    database.rollback();
    close_and_sync(device, database);
}

fn close_and_sync(device: &Device<'_>, database: Database) {
    let folder = device.files.folder();
    let closed = database.close(FINISH);
    // SQLite does not sync its unlink of a WAL: after a cut it would be back at full size, and
    // could fill the disk.
    let synced = device
        .disk()
        .sync_folder(FINISH, folder)
        .map_err(|error| Failure::io(FINISH, folder, &error));
    if let Err(failure) = closed.and(synced) {
        log::warn!("{}: {failure}.", device.settings.name);
    }
}

/// Opened again, does the database read as having this operation?
pub(super) fn is_committed(device: &Device<'_>, size: u64, operation: Operation) -> bool {
    let look = || {
        let (database, _) = device.sqlite().to_the_end().work(COMMIT, &device.files.main, size)?;
        let history = history::read(&database, COMMIT, &device.settings.history_table);
        database.close(COMMIT)?;
        history
    };
    look().is_ok_and(|history| history.operation == Some(operation.number))
}
