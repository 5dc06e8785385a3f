//! Owns looking: the files before SQLite opens anything, the header, the history, and what follows from them as facts.
//! Promises: nothing is written to the database; what SQLite calls corrupt is proven over a fresh locked connection.
//! Never decides what to do about a fact.

mod adoption;
pub mod copies;
mod cut_off;
mod damage;
mod history;
mod on_pages;
mod strange_pages;

use std::cell::Cell;
use std::io;
use std::time::Duration;

use crate::config::{OnNewer, Slots};
use crate::decide::facts::{self, Attempt, DatabaseState, Facts, OpenOperation, Request, Room};
use crate::device::disk::{FileKind, Op, Space};
use crate::device::files::{FilesState, MainFile};
use crate::device::history::{self as histories, History};
use crate::device::sqlite::registered;
use crate::device::{sqlite, Device, LOOK};
use crate::error::{Class, Failure};
use crate::ops::lock::Locked;
use crate::ops::probe::in_use;
use crate::ops::room::kept;
use crate::ops::store::RecordStore;
use crate::ops::sweep::{second_names, sweep};

pub use copies::good_snapshots;
use damage::{prove, DamageProof};

/// SQLite's own limit since 3.3.0: a file with more was made by a later one.
const SCHEMA_FORMAT_MAX: u32 = 4;
/// First bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Less free than this, and an application could not open a database that has a WAL.
const ROOM_FOR_A_WAL_BYTES: u64 = 1 << 20;

/// What was seen, and the one descriptor of main that it was seen through.
pub struct Inspection {
    /// For the decision.
    pub facts: Facts,
    /// Open until SQLite's last connection is closed; `None` where main is absent or empty.
    pub main: Option<MainFile>,
    /// The four files.
    pub files: FilesState,
    /// What the database says of its past, where it could be read.
    pub history: Option<History>,
}

impl Inspection {
    /// The descriptor of a main file that has no byte, for the swap that takes its name; `None` where there is no such file.
    ///
    /// # Errors
    /// As `open`.
    pub fn empty_main(&self, device: &Device<'_>) -> Result<Option<MainFile>, Failure> {
        if self.main.is_some() || self.files.main.is_none() {
            return Ok(None);
        }
        device.open_main(LOOK, device.busy_limit()).map(Some)
    }
}

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closeness {
    /// As every boot does.
    Boot,
    /// SQLite spoke of corruption, or a technician asked: check everything, over a fresh locked connection.
    Everything,
}

/// Looks at everything that a decision needs.
///
/// # Errors
/// In use, storage; what is wrong with the database itself is a fact and no error.
pub fn inspect(
    device: &Device<'_>,
    locked: &Locked,
    store: &mut RecordStore,
    ask: &Ask<'_>,
) -> Result<Inspection, Failure> {
    inspected(device, locked, store, ask).map_err(|failure| device.naming_the_refused(failure))
}

fn inspected(
    device: &Device<'_>,
    locked: &Locked,
    store: &mut RecordStore,
    ask: &Ask<'_>,
) -> Result<Inspection, Failure> {
    let failed = |error: io::Error| Failure::io(LOOK, &device.files.main, &error);
    let mut files = device.files.look(device.disk()).map_err(failed)?;
    if ask.may_write && locked.writable() && sweep(device, locked, files.main.as_ref())? {
        files.main = device.disk().stat(&device.files.main).map_err(failed)?;
    }
    let space = locked.space(device).map_err(failed)?;
    let mut seen = Inspection {
        facts: frame(device, locked, &files, space, ask),
        main: None,
        files,
        history: None,
    };
    seen.facts.database = look(device, locked, store, ask, &mut seen)?;
    if let Some(what) = code_missing(device, &seen.facts.database) {
        let version = seen.history.as_ref().map_or(0, History::version);
        seen.facts.database = DatabaseState::WithoutCode { version, what };
    }
    store.committed = match (&seen.history, &seen.facts.database) {
        (Some(history), _) => Some(history.operation.unwrap_or(0)),
        (None, DatabaseState::Absent) => Some(0),
        (None, _) => None,
    };
    store.version = seen.history.as_ref().map(History::version);
    seen.facts.tries = store.tries();
    seen.facts.open_operation = store.open_operation();
    // An operator who says "once more" is not kept waiting; nor is anybody for more than this file system could ever have free.
    let reachable = space.total.saturating_sub(seen.facts.room.size);
    seen.facts.room.needed =
        store.needed().filter(|needed| *ask.request == Request::Boot && *needed <= reachable);
    seen.facts.loss = store.loss().map(|loss| loss.text.clone());
    // An operator may have brought a file that is this firmware's: what failed before counts no more.
    let arrived = matches!(seen.facts.database, DatabaseState::Current { .. });
    seen.facts.last_failure = store.last_failure(arrived).cloned();
    seen.facts.good_operation = store.record().good_operation;
    let snapshots_matter = match &seen.facts.database {
        DatabaseState::Damaged { .. } | DatabaseState::Lost { .. } => true,
        // A slot on trial may have its own again; where the newer one can be used as it is, nobody asks. It cannot where the owner
        // does not name that, whatever the newer firmware says of itself.
        DatabaseState::Newer { compatible_from, .. } => {
            let as_it_is = device.settings.on_newer.contains(&OnNewer::Compatible);
            device.slots == Slots::Ab
                && !(as_it_is && compatible_from.is_some_and(|oldest| oldest <= seen.facts.target))
        }
        _ => false,
    };
    if !matches!(seen.facts.database, DatabaseState::Current { .. } | DatabaseState::Absent) {
        // While a snapshot may have to take its place, none of them is one that may go.
        let spared = if snapshots_matter { Vec::new() } else { copies::expendable(device, store)? };
        seen.facts.kept =
            kept(device, &spared).map_err(|error| Failure::io(LOOK, &device.state.root, &error))?;
    }
    if snapshots_matter && seen.facts.snapshots.is_empty() {
        seen.facts.snapshots = copies::good_snapshots(device)?;
    }
    if let (DatabaseState::Damaged { version: version @ None, .. }, Some(main)) =
        (&mut seen.facts.database, &seen.main)
    {
        // A good copy is worth more than rows of which nobody knows how many are missing.
        if seen.facts.snapshots.is_empty() && seen.history.is_none() {
            (*version, seen.facts.loose_rows) = on_pages::version(device, main)?;
        }
    }
    if let DatabaseState::Behind { pending, .. } = &seen.facts.database {
        let migrations =
            pending.iter().filter_map(|migration| device.catalog.find(migration.version));
        seen.facts.room.asked = migrations
            .map(|migration| migration.directives.space_bytes(seen.facts.room.size))
            .max()
            .unwrap_or(0);
        seen.facts.room.reclaimable = copies::reclaimable(device, store)?;
    }
    Ok(seen)
}

/// A migration that is to be run asks for Rust code that this binary does not have.
fn code_missing(device: &Device<'_>, database: &DatabaseState) -> Option<String> {
    let missing = |migration: &crate::catalog::Migration| {
        registered::missing(device.environment.code, &device.settings.name, migration)
    };
    match database {
        DatabaseState::Absent => device.catalog.migrations.iter().find_map(missing),
        DatabaseState::Behind { pending, .. } => pending
            .iter()
            .filter_map(|migration| device.catalog.find(migration.version))
            .find_map(missing),
        _ => None,
    }
}

/// What the caller wants to know.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// Who asks.
    pub request: &'a Request,
    /// Repairs tried by this run.
    pub tried: &'a [Attempt],
    /// How closely to look.
    pub closeness: Closeness,
    /// This is a run, not `status` or `plan`.
    pub may_write: bool,
}

fn frame(
    device: &Device<'_>,
    locked: &Locked,
    files: &FilesState,
    space: Space,
    ask: &Ask<'_>,
) -> Facts {
    let migration = |m: &crate::catalog::Migration| facts::PendingMigration {
        version: m.version,
        name: m.name.to_owned(),
        no_transaction: m.directives.no_transaction,
    };
    Facts {
        database: DatabaseState::Absent,
        target: device.catalog.target(),
        catalog: device.catalog.migrations.iter().map(migration).collect(),
        request: ask.request.clone(),
        tries: crate::decide::record::Counts {
            fingerprint: device.catalog.fingerprint,
            failed: 0,
            interrupted: 0,
            purges: 0,
        },
        open_operation: OpenOperation::None,
        snapshots: Vec::new(),
        good_operation: 0,
        room: Room {
            available: space.available,
            total: space.total,
            size: files.main.map_or(0, |main| main.size),
            reclaimable: 0,
            asked: 0,
            needed: None,
        },
        kept: Vec::new(),
        writable: locked.writable(),
        read_only: locked.read_only.clone().unwrap_or_default(),
        own_mount: device.mounted(&device.files.main).is_some(),
        loose_rows: false,
        loss: None,
        last_failure: None,
        tried: ask.tried.to_vec(),
    }
}

/// What stands under the name; fills in the descriptor and the history on the way.
fn look(
    device: &Device<'_>,
    locked: &Locked,
    store: &RecordStore,
    ask: &Ask<'_>,
    seen: &mut Inspection,
) -> Result<DatabaseState, Failure> {
    let files = seen.files;
    // A boot has swept by now; whoever only looks sees what it will sweep.
    let left = if ask.may_write { 0 } else { left_names(device, &files)? };
    if let Some(what) = not_ours(device, &files, seen.facts.writable, left) {
        return Ok(DatabaseState::NotOurs { what });
    }
    if files.main_is_empty() {
        return Ok(absent_or_lost(&files, store));
    }
    // `status` and `plan` never wait.
    let limit = if ask.may_write { device.busy_limit() } else { Duration::ZERO };
    let main = device.open_main(LOOK, limit)?;
    if seen.facts.writable {
        let accepted = locked.trust.accept(device, &device.files.main, &main.stat);
        accepted.map_err(|error| Failure::io(LOOK, &device.files.main, &error))?;
    }
    device.opens(Some(&main));
    if main.read_only && seen.facts.writable {
        seen.facts.writable = false;
        let refused = device.refused(LOOK).map(|failure| failure.to_string());
        seen.facts.read_only = refused.unwrap_or_else(|| "the file may only be read".to_owned());
    }
    let header = main.header.clone();
    let size = main.stat.size;
    seen.main = Some(main);
    if files.journal_has_content {
        let what = format!("a hot journal lies beside it, and {}", seen.facts.read_only);
        return Ok(if seen.facts.writable {
            DatabaseState::NeedsRecovery
        } else {
            DatabaseState::Unreadable { what }
        });
    }
    if files.wal_has_content() && !seen.facts.writable {
        let what = format!("a WAL lies beside it, and {}", seen.facts.read_only);
        return Ok(DatabaseState::Unreadable { what });
    }
    if let Some(database) = bad_header(&header, size, files.wal_has_content()) {
        // An application that was not asked yet may have made it longer since.
        let now = device
            .disk()
            .stat(&device.files.main)
            .map_err(|error| Failure::io(LOOK, &device.files.main, &error))?;
        let now = now.map_or(size, |stat| stat.size.max(size));
        if bad_header(&header, now, files.wal_has_content()).is_some() {
            return Ok(database);
        }
    }
    let recover = files.wal_has_content() && seen.facts.room.available < ROOM_FOR_A_WAL_BYTES;
    match read_history(device, limit, files) {
        Ok(history) if ask.closeness == Closeness::Boot => compare(device, seen, history, recover),
        Ok(history) => match prove(device, seen, &header)? {
            Some(DamageProof { mut database, history_is_whole }) => {
                if let DatabaseState::Damaged { version, .. } = &mut database {
                    let known = history_is_whole && copies::is_beginning(device, &history);
                    *version = known.then(|| history.version()).filter(|version| *version > 0);
                }
                seen.history = Some(history).filter(|_| history_is_whole);
                Ok(database)
            }
            None => compare(device, seen, history, recover),
        },
        // What an immutable or look-only reading calls corrupt is not believed: another connection may be writing.
        Err(failure) if failure.class == Class::Damaged => match prove(device, seen, &header)? {
            Some(proven) => Ok(proven.database),
            None => Err(Failure::new(
                Class::Storage,
                LOOK,
                format!("{}; a second look did not confirm it", failure.cause),
            )
            .at(&device.files.main)),
        },
        Err(failure) => Err(failure),
    }
}

fn compare(
    device: &Device<'_>,
    seen: &mut Inspection,
    history: History,
    recover: bool,
) -> Result<DatabaseState, Failure> {
    let mut database =
        history::compare(device, &history, recover, &|read| read_live(device, &seen.files, read))?;
    seen.history = Some(history);
    if let (DatabaseState::NoHistory { adoption, .. }, Some(adopt)) =
        (&mut database, &device.settings.adopt)
    {
        let live = open_to_look(device, &seen.files)?;
        let found = adoption::adoption(device, &live, adopt);
        live.close(LOOK)?;
        *adoption = found?;
    }
    Ok(database)
}

/// Reads the live database, for one that plain refinery may have left between its two transactions.
fn read_live<T>(
    device: &Device<'_>,
    files: &FilesState,
    read: &dyn Fn(&sqlite::Database) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let read = |database: sqlite::Database| {
        let found = read(&database);
        database.close(LOOK)?;
        found
    };
    match open_to_look(device, files).and_then(read) {
        Err(failure) if failure.class == Class::InUse => {
            device.sqlite().look_beside(LOOK, &device.files.main).and_then(read)
        }
        other => other,
    }
}

fn left_names(device: &Device<'_>, files: &FilesState) -> Result<u64, Failure> {
    files
        .main
        .map_or(Ok(0), |main| second_names(device, &main))
        .map_err(|error| Failure::io(LOOK, &device.state.root, &error))
}

fn not_ours(device: &Device<'_>, files: &FilesState, swept: bool, left: u64) -> Option<String> {
    let main = files.main?;
    match main.kind {
        FileKind::File if main.links > left.saturating_add(1) && swept => Some(format!(
            "{} has {} names (hard links); a swap would split them",
            device.files.main.display(),
            main.links
        )),
        FileKind::File => None,
        FileKind::Folder => Some(format!("{} is a folder", device.files.main.display())),
        FileKind::Symlink => {
            Some(format!("{} is a symbolic link to nothing", device.files.main.display()))
        }
        FileKind::Other => Some(format!("{} is not a plain file", device.files.main.display())),
    }
}

fn absent_or_lost(files: &FilesState, store: &RecordStore) -> DatabaseState {
    let how = if files.main.is_some() { "empty" } else { "absent" };
    let side = match (files.wal_has_content(), files.journal_has_content) {
        (true, _) => Some("WAL"),
        (false, true) => Some("journal"),
        (false, false) => None,
    };
    match (side, store.record().held_data) {
        (Some(side), _) => DatabaseState::Lost {
            what: format!("the main file is {how}, but its {side} has content"),
            remains: true,
        },
        (None, true) => DatabaseState::Lost {
            what: format!("the main file is {how}, but it held data before"),
            remains: false,
        },
        (None, false) => DatabaseState::Absent,
    }
}

/// What 100 bytes tell without SQLite.
fn bad_header(header: &[u8], size: u64, has_wal: bool) -> Option<DatabaseState> {
    let damaged = |what: &str| {
        Some(DatabaseState::Damaged { what: what.to_owned(), tables_whole: false, version: None })
    };
    if header.get(..16) != Some(MAGIC.as_slice()) || header.len() < 100 {
        return damaged("its header is not that of an SQLite database");
    }
    let byte = |at: usize| header.get(at).copied().unwrap_or(0);
    let number = |at: usize| {
        header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
    };
    if byte(19) > 2 {
        return Some(DatabaseState::NewerSqlite {
            what: format!("its file format is {}, this SQLite reads up to 2", byte(19)),
        });
    }
    if byte(18) > 2 {
        return Some(DatabaseState::NewerSqlite {
            what: format!("its file format is {}, this SQLite writes up to 2", byte(18)),
        });
    }
    if number(56) > 3 {
        return Some(DatabaseState::NewerSqlite {
            what: format!("its text encoding is {}, this SQLite knows up to 3", number(56)),
        });
    }
    if number(44) > SCHEMA_FORMAT_MAX {
        let what = format!(
            "its schema format is {}, this SQLite reads up to {SCHEMA_FORMAT_MAX}",
            number(44)
        );
        return Some(DatabaseState::NewerSqlite { what });
    }
    let page = match u64::from(u16::from_be_bytes([byte(16), byte(17)])) {
        1 => 65536,
        bytes => bytes,
    };
    if page < 512 || !page.is_power_of_two() {
        return damaged("its header has an impossible page size");
    }
    // The size in the header counts only where the change counter was written together with it.
    let counted = number(24) == number(92) && number(28) > 0;
    if counted && !has_wal && u64::from(number(28)) * page > size {
        return damaged("the file is shorter than its header says");
    }
    None
}

fn open_to_look(device: &Device<'_>, files: &FilesState) -> Result<sqlite::Database, Failure> {
    let main = &device.files.main;
    if !files.wal_has_content() {
        return device.sqlite().look_immutable(LOOK, main);
    }
    device.sqlite().look_without_writing(LOOK, main)
}

/// The history, as far as a decision asks.
///
/// # Errors
/// As [`histories::read`].
pub fn read_here(
    device: &Device<'_>,
    database: &sqlite::Database,
    op: Op,
) -> Result<History, Failure> {
    histories::read_with_said_above(
        database,
        op,
        &device.settings.history_table,
        device.catalog.target(),
    )
}

fn read_history(
    device: &Device<'_>,
    limit: Duration,
    files: FilesState,
) -> Result<History, Failure> {
    read_as_seen(device, limit, Some(files), |database| read_here(device, database, LOOK))
}

/// Reads without a byte written. An application that opens and closes meanwhile makes and removes the WAL and its shared memory
/// between two of our calls: then the files are looked at again, until `limit`.
///
/// # Errors
/// In use, or the reader's own.
pub fn read_quietly<T>(
    device: &Device<'_>,
    limit: Duration,
    read: impl Fn(&sqlite::Database) -> Result<T, Failure>,
) -> Result<T, Failure> {
    read_as_seen(device, limit, None, read)
}

/// The same, with what has just been seen of the files for the first look.
fn read_as_seen<T>(
    device: &Device<'_>,
    limit: Duration,
    seen: Option<FilesState>,
    read: impl Fn(&sqlite::Database) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let seen = Cell::new(seen);
    let read = |database: sqlite::Database| {
        let answer = read(&database);
        database.close(LOOK)?;
        answer
    };
    let ask = || {
        let look = || {
            device
                .files
                .look(device.disk())
                .map_err(|error| Failure::io(LOOK, &device.files.main, &error))
        };
        let files = seen.take().map_or_else(look, Ok)?;
        match open_to_look(device, &files).and_then(&read) {
            // A running application has the WAL: its own shared memory lets us read beside it.
            Err(failure) if failure.class == Class::InUse => {
                match device.sqlite().look_beside(LOOK, &device.files.main).and_then(&read) {
                    // Nothing that another look would mend.
                    Err(failure)
                        if matches!(failure.class, Class::NoSpace | Class::Interrupted) =>
                    {
                        Err(failure)
                    }
                    beside => Ok(beside.ok()),
                }
            }
            other => other.map(Some),
        }
    };
    device.wait_for(limit).until(LOOK, ask)?.ok_or_else(|| in_use(device))
}
