//! Owns looking: the files before SQLite opens anything, the header, the history, and what follows
//! from them as facts.
//! Promises: nothing is written to the database; what SQLite calls corrupt is proven over a fresh
//! locked connection.
//! Never decides what to do about a fact.

mod adoption;
pub mod copies;
mod cut_off;
mod damage;
pub(in crate::ops) mod header;
mod history;
mod on_pages;
mod reading;
mod strange_pages;

use std::io;
use std::time::Duration;

use crate::config::{OnNewer, Slots};
use crate::decide::facts::{DatabaseState, EarlierOperation, Facts, Request, Room};
use crate::decide::pending::PendingMigration;
use crate::decide::replacement::Replacement;
use crate::device::disk::{FileKind, Space};
use crate::device::files::{FilesState, MainFile};
use crate::device::history::History;
use crate::device::sqlite::{is_of_too_much_text, registered};
use crate::device::{Device, LOOK};
use crate::error::{Class, Failure};
use crate::ops::lock::Locked;
use crate::ops::probe::open_for;
use crate::ops::room::kept;
use crate::ops::store::RecordStore;
use crate::ops::sweep::{second_names, sweep};

pub use copies::good_snapshots;
use damage::{prove, DamageProof};
use header::{bad_header, page_bytes};
use reading::{open_to_look, read_history, read_live};
pub use reading::{read_here, read_quietly};

/// Pages of a database without a table: the first, and one more with `auto_vacuum`.
const PAGES_WITHOUT_A_TABLE_MAX: u64 = 2;
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
    /// The descriptor of a main file that has no byte, for the swap that takes its name; `None`
    /// where there is no such file.
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
    /// SQLite spoke of corruption, or a technician asked: check everything, over a fresh locked
    /// connection.
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
    remembered(store, ask, space, &mut seen);
    let snapshots_matter = do_snapshots_matter(device, &seen.facts);
    if seen.facts.recover
        || !matches!(seen.facts.database, DatabaseState::Current { .. } | DatabaseState::Absent)
    {
        // While a snapshot may have to take its place, none of them is one that may go.
        // Nor where it is not looked at closely, and something was tried that did not work.
        let may_matter = seen.facts.room.needed.is_some() && !seen.facts.last_time().is_empty();
        let spared = if snapshots_matter || may_matter {
            Vec::new()
        } else {
            copies::expendable(device, store)?
        };
        seen.facts.kept =
            kept(device, &spared).map_err(|error| Failure::io(LOOK, &device.state.root, &error))?;
    }
    if snapshots_matter && seen.facts.snapshots.is_empty() {
        seen.facts.snapshots = copies::good_snapshots(device)?;
    }
    // A good copy is worth more than rows of which nobody knows how many are missing.
    let is_unknown = matches!(seen.facts.database, DatabaseState::Damaged { version: None, .. })
        && seen.history.is_none()
        && seen.facts.copy_left().is_none();
    if let Some(main) = seen.main.as_ref().filter(|_| is_unknown) {
        let (found, loose_rows) = on_pages::version(device, main)?;
        seen.facts.loose_rows = loose_rows;
        if let DatabaseState::Damaged { version, .. } = &mut seen.facts.database {
            *version = found;
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

/// One of them may be asked to take the database's place.
fn do_snapshots_matter(device: &Device<'_>, facts: &Facts) -> bool {
    match &facts.database {
        DatabaseState::Damaged { .. } | DatabaseState::Lost { .. } => true,
        // The one that was here before may be had back.
        DatabaseState::NoHistory { .. } => facts.held_data,
        // A slot on trial may have its own again; where the newer one can be used as it is, nobody
        // asks. It cannot where the owner does not name that, whatever the newer firmware says of
        // itself.
        DatabaseState::Newer { compatible_from, .. } => {
            let as_it_is = device.settings.on_newer.contains(&OnNewer::Compatible);
            device.slots == Slots::Ab
                && !(as_it_is && compatible_from.is_some_and(|oldest| oldest <= facts.target))
        }
        _ => false,
    }
}

/// What the record knows of the database that was found, and the database of the record.
fn remembered(store: &mut RecordStore, ask: &Ask<'_>, space: Space, seen: &mut Inspection) {
    store.committed = match (&seen.history, &seen.facts.database) {
        (Some(history), _) => Some(history.operation.unwrap_or(0)),
        (None, DatabaseState::Absent) => Some(0),
        (None, _) => None,
    };
    store.version = seen.history.as_ref().map(History::version);
    seen.facts.tries = store.tries();
    seen.facts.failed_repairs = store.failed_repairs();
    seen.facts.open_operation = store.open_operation();
    // An operator who says "once more" is not kept waiting; nor is anybody for more than this file
    // system could ever have free.
    let reachable = space.total.saturating_sub(seen.facts.room.size);
    seen.facts.room.needed =
        store.needed().filter(|needed| !ask.request.forgets_tries() && *needed <= reachable);
    seen.facts.losses = store.losses().cloned().collect();
    // An operator may have brought a file that is this firmware's: what failed before counts no
    // more.
    let arrived = matches!(seen.facts.database, DatabaseState::Current { .. });
    seen.facts.last_failure = store.last_failure(arrived).cloned();
    seen.facts.good_operation = store.record().good_operation;
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
    pub tried: &'a [Replacement],
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
    let migration = |m: &crate::catalog::Migration| PendingMigration {
        version: m.version,
        name: m.name.into(),
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
        failed_repairs: 0,
        open_operation: EarlierOperation::None,
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
        recover: false,
        held_data: false,
        loose_rows: false,
        losses: Vec::new(),
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
    seen.facts.held_data = store.record().held_data;
    // A boot has swept by now; whoever only looks sees what it will sweep.
    let left = if ask.may_write { 0 } else { left_names(device, &files)? };
    if let Some(what) = not_ours(device, &files, seen.facts.writable, left) {
        return Ok(DatabaseState::NotOurs { what });
    }
    if files.main_is_empty() {
        seen.facts.held_data |= copies::speak_of_data(device)?;
        return Ok(absent_or_lost(&files, seen.facts.held_data));
    }
    let limit = patience(device, ask);
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
    if let Some(database) = not_read_now(&files, &seen.facts) {
        return Ok(database);
    }
    if let Some(database) = still_bad_header(device, &files, &header, size)? {
        return Ok(database);
    }
    seen.facts.recover = files.wal_has_content()
        && seen.facts.room.available < ROOM_FOR_A_WAL_BYTES
        && !open_for(device, seen.main.as_ref(), limit)?;
    by_history(device, ask, seen, &header)
}

/// What stands there, by what its history says, and by a check where that is not enough.
fn by_history(
    device: &Device<'_>,
    ask: &Ask<'_>,
    seen: &mut Inspection,
    header: &[u8],
) -> Result<DatabaseState, Failure> {
    match read_history(device, patience(device, ask), seen.files, seen.main.as_ref()) {
        Ok(history) if ask.closeness == Closeness::Boot && !has_strange_rows(&history) => {
            compare(device, seen, history)
        }
        Ok(history) => match prove(device, seen, header)? {
            Some(DamageProof { mut database, history_is_whole }) => {
                if let DatabaseState::Damaged { version, .. } = &mut database {
                    let known = history_is_whole
                        && (copies::is_beginning(device, &history)
                            || copies::goes_on(device, &history));
                    *version = known.then(|| history.version()).filter(|version| *version > 0);
                }
                let is_known = history_is_whole && history.malformed.is_none();
                seen.history = Some(history).filter(|_| is_known);
                Ok(database)
            }
            None => compare(device, seen, history),
        },
        // What an immutable or look-only reading calls corrupt is not believed: another connection
        // may be writing.
        Err(failure) if failure.class == Class::Damaged => match prove(device, seen, header)? {
            Some(proven) => Ok(proven.database),
            None => Err(Failure::new(
                Class::Storage,
                LOOK,
                format!("{}; a second look did not confirm it", failure.cause),
            )
            .at(&device.files.main)),
        },
        Err(failure) if is_of_too_much_text(&failure) => {
            Ok(DatabaseState::Unfit { version: None, what: failure.cause })
        }
        Err(failure) => Err(failure),
    }
}

/// Nobody can have written them: they come of damage, as far as a check finds any.
fn has_strange_rows(history: &History) -> bool {
    history.malformed.is_some() && !history.has_stand_in
}

/// `status` and `plan` never wait.
fn patience(device: &Device<'_>, ask: &Ask<'_>) -> Duration {
    match ask.may_write {
        true => device.busy_limit(),
        false => Duration::ZERO,
    }
}

/// What lies beside it must be written into it first, or cannot be.
fn not_read_now(files: &FilesState, facts: &Facts) -> Option<DatabaseState> {
    if files.journal_has_content {
        let what = format!("a hot journal lies beside it, and {}", facts.read_only);
        return Some(if facts.writable {
            DatabaseState::NeedsRecovery
        } else {
            DatabaseState::Unreadable { what }
        });
    }
    if files.wal_has_content() && !facts.writable {
        let what = format!("a WAL lies beside it, and {}", facts.read_only);
        return Some(DatabaseState::Unreadable { what });
    }
    None
}

/// What is wrong with the header, at the file's size of now too.
fn still_bad_header(
    device: &Device<'_>,
    files: &FilesState,
    header: &[u8],
    size: u64,
) -> Result<Option<DatabaseState>, Failure> {
    let Some(database) = bad_header(header, size, files.wal_has_content()) else { return Ok(None) };
    // An application that was not asked yet may have made it longer since.
    let now = device
        .disk()
        .stat(&device.files.main)
        .map_err(|error| Failure::io(LOOK, &device.files.main, &error))?;
    let now = now.map_or(size, |stat| stat.size.max(size));
    Ok(bad_header(header, now, files.wal_has_content()).map(|_| database))
}

fn compare(
    device: &Device<'_>,
    seen: &mut Inspection,
    history: History,
) -> Result<DatabaseState, Failure> {
    let mut database =
        history::compare(device, &history, &|read| read_live(device, &seen.files, read))?;
    // An application that did not find its file has made another, and not yet a table.
    let is_new = !history.recorded && history.malformed.is_none() && history.tables == 0;
    if is_new {
        seen.facts.held_data |= copies::speak_of_data(device)?;
    }
    if is_new && seen.facts.held_data && matches!(database, DatabaseState::Behind { .. }) {
        let what = "the main file has no table, but it held data before".to_owned();
        let page = seen.main.as_ref().map_or(0, |main| page_bytes(&main.header));
        if seen.facts.room.size > page.saturating_mul(PAGES_WITHOUT_A_TABLE_MAX) {
            // Pages that no schema leads to may have the rows.
            return Ok(DatabaseState::Damaged { what, tables_whole: false, version: None });
        }
        database = DatabaseState::Lost { what, remains: false };
    }
    let unfit = history.unfit.clone();
    seen.history = Some(history);
    if let (DatabaseState::NoHistory { .. }, Some(what), Some(_)) =
        (&database, unfit, &device.settings.baseline)
    {
        return Ok(DatabaseState::Unfit { version: None, what });
    }
    if let (DatabaseState::NoHistory { adoption, .. }, Some(adopt)) =
        (&mut database, &device.settings.baseline)
    {
        let live = open_to_look(device, &seen.files)?;
        let found = adoption::adoption(device, &live, adopt);
        live.close(LOOK)?;
        *adoption = found?;
    }
    Ok(database)
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

fn absent_or_lost(files: &FilesState, held_data: bool) -> DatabaseState {
    let how = if files.main.is_some() { "empty" } else { "absent" };
    let side = match (files.wal_has_content(), files.journal_has_content) {
        (true, _) => Some("WAL"),
        (false, true) => Some("journal"),
        (false, false) => None,
    };
    match (side, held_data) {
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
