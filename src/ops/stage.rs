//! Owns building a database beside the live one: from zero, from a snapshot, or from a copy of the
//! live file.
//! Promises: [`StagedDatabase`] is complete, verified, closed, without side files, and synced
//! through the descriptor it was created with.
//! Never trusted at boot before it has the name that says so; never touches the live files but to
//! read it.

use crate::catalog::Migration;
use crate::config::JournalMode;
use crate::device::clock::POLL;
use crate::device::disk::{unlink_durably, File, Op, Open, Stat};
use crate::device::files::{side, MainFile, SnapshotName};
use crate::device::history;
use crate::device::history::own::{Change, Ours};
use crate::device::pages::header::{is_wal, made, Made};
use crate::device::sqlite::script::Mode;
use crate::device::sqlite::{Database, Journal};
use crate::device::{progress, Device};
use crate::error::{Class, Failure};
use crate::ops::apply::{finish_history, set_user_version, Applying};
use crate::ops::before::{Before, RunSince};
use crate::ops::carry_over::{fill as fill_with_rows, Brought, Filled, Rows};
use crate::ops::downgrade::go_back;
use crate::ops::index_rows::keep_index_rows;
use crate::ops::lock::Locked;
use crate::ops::migrate::open_exclusive;
use crate::ops::room::{explain, explained, for_a_copy_of, may_write};
use crate::ops::run::Build;
use crate::ops::swap::MadeFrom;
use crate::ops::verify::{after_each, verify, whole, within_budget};
use crate::ops::virtual_tables::rebuild_stale;
use crate::ops::wal;
use std::io;
use std::path::{Path, PathBuf};

/// What fails before anything is set aside names it.
pub const BUILD: Op = Op("build beside");
const SEAL: Op = Op("sync what was built");
const COPY: Op = Op("copy the live database");

/// A finished database under the staging name.
pub struct StagedDatabase {
    /// Where.
    pub path: PathBuf,
    /// What main and its WAL looked like when they were copied or read; `None` where they were not.
    pub copied_from: Option<MadeFrom>,
    /// Versions applied while building.
    pub applied: Vec<i64>,
    /// What of the live file is not in it, a line each.
    pub lost: Vec<String>,
    /// Worth knowing, a sentence each.
    pub notes: Vec<String>,
    /// What became of the rows that were carried over, table by table.
    pub tables: Vec<Brought>,
}

/// What is built.
pub enum Base<'a> {
    /// From zero, in the place of this file; `None` where there is none.
    Nothing(Option<&'a MainFile>),
    /// This snapshot.
    Snapshot(&'a SnapshotName),
    /// The live file, with a rebuilt set of indexes.
    LiveReindexed(&'a MainFile),
    /// The live file.
    Live(&'a MainFile),
    /// The live file of newer firmware, gone back by its stored down SQL.
    LiveDowngraded(&'a MainFile),
    /// From zero, with the live file's rows.
    Rows(&'a Rows<'a>),
}

/// Builds; on any failure what was begun is removed.
///
/// # Errors
/// Failed where a migration does not work on it; else as the storage or SQLite says.
pub fn stage(build: &Build<'_>, base: &Base<'_>) -> Result<StagedDatabase, Failure> {
    let device = build.device;
    let path = device.state.staging(build.operation.number);
    built(build, base).map_err(|failure| {
        let size =
            device.disk().stat(&device.files.main).ok().flatten().map_or(0, |main| main.size);
        discard(device, &path);
        for_a_copy_of(device, explain(device, failure, may_write(size)), copied(device, base))
    })
}

/// Bytes that are copied before anything is built.
fn copied(device: &Device<'_>, base: &Base<'_>) -> u64 {
    match base {
        Base::Nothing(_) | Base::Rows(_) => 0,
        Base::Snapshot(name) => {
            let path = device.state.snapshot(name);
            device.disk().stat(&path).ok().flatten().map_or(0, |stat| stat.size)
        }
        Base::Live(main) | Base::LiveReindexed(main) | Base::LiveDowngraded(main) => main.stat.size,
    }
}

/// Removes what was built and is not wanted any more; it never was trusted, and it takes room.
pub fn discard(device: &Device<'_>, path: &Path) {
    let names =
        [path.to_path_buf(), side(path, "-journal"), side(path, "-wal"), side(path, "-shm")];
    let names: Vec<_> = names.iter().map(PathBuf::as_path).collect();
    if let Err(error) = unlink_durably(device.disk(), BUILD, &device.state.root, &names) {
        log::warn!(
            "{}: {} is left for the next boot to remove: {error}.",
            device.settings.name,
            path.display()
        );
    }
}

fn built(build: &Build<'_>, base: &Base<'_>) -> Result<StagedDatabase, Failure> {
    let Build { device, locked, operation, migrations, .. } = *build;
    let disk = device.disk();
    let path = device.state.staging(operation.number);
    let failed = |migration| {
        let path = path.clone();
        move |error: std::io::Error| Failure::io(migration, &path, &error)
    };
    let file = disk.open(BUILD, &path, Open::CreateNew { mode: 0o600 }).map_err(failed(BUILD))?;
    locked.give_attributes(device, BUILD, &*file).map_err(failed(BUILD))?;
    let copied_from = fill(build, &*file, base)?;
    device.stop_here(BUILD)?;
    let size = file.stat().map_err(failed(BUILD))?.size;
    let was_wal = was_wal(base, &*file, size).map_err(failed(BUILD))?;
    // What is copied into it later counts too.
    let grows_to = if let Base::Rows(rows) = base { rows.main.stat.size } else { size };
    let mut database = device.sqlite().build(BUILD, &path, grows_to)?;
    made_as(base).map_or(Ok(()), |made| database.make_as(BUILD, made))?;
    let mut lost = Vec::new();
    if let Base::LiveReindexed(_) = base {
        lost = keep_index_rows(device, &database, BUILD)?;
        database.rebuild_indexes(BUILD)?;
    }
    let filled = match base {
        Base::LiveDowngraded(_) => {
            let (lost, notes) = go_back(build, &mut database)?;
            Filled { lost, notes, tables: Vec::new() }
        }
        Base::Nothing(_) | Base::Snapshot(_) | Base::LiveReindexed(_) | Base::Live(_) => {
            apply(build, &mut database, None)?
        }
        Base::Rows(rows) => apply(build, &mut database, Some(rows))?,
    };
    lost.extend(filled.lost);
    if matches!(base, Base::LiveReindexed(_)) && !within_budget(device, database.bytes(BUILD)?) {
        // Verification has not looked at it, and it was damaged.
        whole(&database)?;
    }
    let journal = final_journal(device, was_wal);
    if let Some(journal) = journal {
        database.set_journal(BUILD, journal)?;
    }
    database.close(BUILD)?;
    // SQLite answers "wal" even where the write of the header failed.
    let size = file.stat().map_err(failed(BUILD))?.size;
    if journal == Some(Journal::Wal) && !copied_wal(&*file, size).map_err(failed(BUILD))? {
        return Err(Failure::new(
            Class::Storage,
            BUILD,
            "journal_mode WAL was asked for and the header does not have it",
        )
        .at(&path));
    }
    let names = [side(&path, "-journal"), side(&path, "-wal"), side(&path, "-shm")];
    let names: Vec<_> = names.iter().map(PathBuf::as_path).collect();
    unlink_durably(disk, BUILD, &device.state.root, &names).map_err(failed(BUILD))?;
    file.sync(SEAL).map_err(failed(SEAL))?;
    Ok(StagedDatabase {
        path,
        copied_from,
        applied: migrations.iter().map(|migration| migration.version).collect(),
        lost,
        notes: filled.notes,
        tables: filled.tables,
    })
}

/// Within `quick_check_max_mib` the live file that is to be copied is whole; asked before an
/// operation begins, so that a damaged one costs no write.
///
/// # Errors
/// Damaged where it is not; else as SQLite.
pub fn check_live(device: &Device<'_>, main: &MainFile) -> Result<(), Failure> {
    wal::fits(device, main)?;
    if !within_budget(device, main.stat.size) {
        return Ok(());
    }
    progress::begin(&format!("{}: checking the database", device.settings.name));
    look_at_live(device, |database| {
        database
            .cache(COPY, main.stat.size)
            .and_then(|()| whole(database))
            .and_then(|()| database.fit(COPY))
    })
}

/// No row is carried out of a schema that no statement of ours can name; asked before an operation
/// begins.
///
/// # Errors
/// Catalogue where that is so; else as SQLite.
pub fn check_fit(device: &Device<'_>) -> Result<(), Failure> {
    look_at_live(device, |database| database.fit(COPY))
}

/// SQLite needs room for a WAL's index, and says of a lack that the file cannot be opened.
fn look_at_live(
    device: &Device<'_>,
    look: impl FnOnce(&Database) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let looked =
        device.sqlite().look_without_writing(COPY, &device.files.main).and_then(|database| {
            let looked = look(&database);
            database.close(COPY)?;
            looked
        });
    looked.map_err(|failure| explained(device, failure))
}

/// Copies the base into the staging file.
fn fill(build: &Build<'_>, file: &dyn File, base: &Base<'_>) -> Result<Option<MadeFrom>, Failure> {
    let (device, locked) = (build.device, build.locked);
    match base {
        Base::Nothing(_) => Ok(None),
        Base::Snapshot(name) => {
            let path = device.state.snapshot(name);
            let failed = |error: std::io::Error| Failure::io(BUILD, &path, &error);
            let source = device.disk().open(BUILD, &path, Open::Read).map_err(failed)?;
            file.copy_from(BUILD, &*source, &device.environment.stop).map_err(failed)?;
            Ok(None)
        }
        Base::Live(main) | Base::LiveReindexed(main) | Base::LiveDowngraded(main) => {
            if !matches!(base, Base::LiveReindexed(_)) {
                wal::fits(device, main)?;
            }
            let (database, _) = open_exclusive(device, main.stat.size)?;
            let copied = copy_live(build, file, main);
            database.rollback();
            database.close(COPY)?;
            copied.map(|main| Some(MadeFrom { main, wal: None }))
        }
        // Its rows are read later, and what is written from now on is noticed before the swap.
        Base::Rows(rows) => {
            let failed = |error: std::io::Error| Failure::io(BUILD, &device.files.main, &error);
            let main = rows.main.file.stat().map_err(failed)?;
            wait_for_a_later_stamp(device, locked, &main).map_err(failed)?;
            let wal = device.disk().stat(&device.files.wal()).map_err(failed)?;
            Ok(Some(MadeFrom { main, wal }))
        }
    }
}

fn copy_live(build: &Build<'_>, file: &dyn File, main: &MainFile) -> Result<Stat, Failure> {
    let device = build.device;
    let failed = |error: std::io::Error| Failure::io(COPY, &device.files.main, &error);
    let stat = main.file.stat().map_err(failed)?;
    wait_for_a_later_stamp(device, build.locked, &stat).map_err(failed)?;
    file.copy_from(COPY, &*main.file, &device.environment.stop).map_err(failed)?;
    main.file.stat().map_err(failed)
}

/// Questions to a coarse clock; two jiffies are enough on every kernel.
const STAMP_TRIES_MAX: u32 = 10;

/// A file system stamps changes with a coarse clock: wait until a change made from now on would
/// show a later time than main has, so that the comparison before the swap cannot miss it.
fn wait_for_a_later_stamp(
    device: &Device<'_>,
    locked: &Locked,
    main: &Stat,
) -> std::io::Result<()> {
    for _ in 0..STAMP_TRIES_MAX {
        if locked.touch()?.is_none_or(|stamp| stamp > main.modified_ns) {
            return Ok(());
        }
        device.environment.clock.sleep(POLL);
    }
    Ok(())
}

/// As the old file was made, where its header is whole; `None` for SQLite's own choice.
fn made_as(base: &Base<'_>) -> Option<Made> {
    match base {
        Base::Rows(rows) => made(&rows.main.header),
        _ => None,
    }
}

/// The old file's, also of one that is replaced, unless the configuration has one.
fn final_journal(device: &Device<'_>, was_wal: bool) -> Option<Journal> {
    match device.settings.journal_mode {
        JournalMode::Wal => Some(Journal::Wal),
        JournalMode::Delete => Some(Journal::Rollback),
        JournalMode::Keep => was_wal.then_some(Journal::Wal),
    }
}

/// The journal mode of the file that the base is of.
fn was_wal(base: &Base<'_>, copy: &dyn File, size: u64) -> io::Result<bool> {
    match base {
        // The header may be damaged: this byte of it alone is asked.
        Base::Rows(rows) => Ok(rows.main.header.get(18) == Some(&2)),
        Base::Nothing(old) => Ok(old.is_some_and(|old| is_wal(&old.header))),
        _ => copied_wal(copy, size),
    }
}

/// Byte 18 of the header is 2 in WAL mode. Read before SQLite opens the copy and changes it.
fn copied_wal(file: &dyn File, size: u64) -> io::Result<bool> {
    let mut version = [0u8];
    if size > 0 {
        file.read_at(18, &mut version)?;
    }
    Ok(version == [2])
}

/// All migrations; the old rows come in at their own version.
fn apply(
    build: &Build<'_>,
    database: &mut Database,
    rows: Option<&Rows<'_>>,
) -> Result<Filled, Failure> {
    let Build { device, operation, migrations, token, .. } = *build;
    let (mut rows, mut filled) = (rows, Filled::default());
    let table = &device.settings.history_table;
    let mut before = Before::of(device, database, BUILD)?;
    // What files up to this version have made, nobody can correct: they were released, or the old
    // database is as they made it.
    let given = rows.map_or(0, |rows| rows.carry.version);
    let is_given = |migration: &Migration| migration.adopted || migration.version <= given;
    progress::expect(migrations.len());
    database.run(BUILD, "BEGIN")?;
    history::create_tables(database, BUILD, table, device.catalog)?;
    let mut notes = rebuild_stale(device, database)?;
    let mut ours = Ours::of(database, BUILD, table)?;
    let mut applied = Applying::on(device, database, operation)?;
    for (index, migration) in migrations.iter().enumerate() {
        if let Some(due) = rows.take_if(|rows| migration.version > rows.carry.version) {
            filled = fill_with_rows(device, database, due)?;
            ours.accept_data(database, BUILD, table)?;
            applied.look_again(database)?;
        }
        if migration.directives.no_transaction {
            database.commit(BUILD)?;
            applied.one(database, migration, Mode::NoTransaction)?;
            database.run(BUILD, "BEGIN")?;
        } else {
            applied.one(database, migration, Mode::Transaction)?;
        }
        after_each(database, &before, migration)?;
        if is_given(migration) && !migrations.get(index + 1).is_some_and(|next| is_given(next)) {
            before.accept(device, database)?;
        }
    }
    if let Some(due) = rows {
        filled = fill_with_rows(device, database, due)?;
        ours.accept_data(database, BUILD, table)?;
    }
    notes.append(&mut filled.notes);
    finish_history(device, database, migrations.last().copied(), operation, token)?;
    ours.unharmed(
        database,
        BUILD,
        table,
        &Change { added: migrations, removed: &[], operation: operation.number },
    )?;
    let target = migrations.last().map_or_else(
        || history::read(database, BUILD, table).map(|history| history.version()),
        |migration| Ok(migration.version),
    )?;
    if migrations.is_empty() {
        // A snapshot of what refinery had made, for one, has none of it.
        set_user_version(device, database, target)?;
    }
    let verified = verify(device, database, &before, &RunSince::Up(migrations), target)?;
    notes.extend(verified.notes.iter().cloned());
    verified.database.commit(BUILD)?;
    Ok(Filled { notes, ..filled })
}
