//! Owns the transaction mode: everything pending in one transaction, with history, down SQL and
//! verification.
//! Promises: a cut, a kill or a failure at any instant leaves the old database or the new one, by
//! SQLite alone.
//! Never runs a statement after SQLite has ended the transaction by itself; never lets anything
//! after a durable commit fail the run.

mod again;
mod ending;

use crate::catalog::Migration;
use crate::decide::record::OperationKind;
use crate::device::disk::Op;
use crate::device::files::{MainFile, SnapshotName};
use crate::device::history::own::{Change, Ours};
use crate::device::history::{self, History};
use crate::device::sqlite::script::Mode;
use crate::device::sqlite::{Database, Journal};
use crate::device::supervisor::RunFolder;
use crate::device::{progress, Device};
use crate::error::{Class, Failure, Lack};
use crate::ops::apply::{finish_history, set_user_version, stamp, Applying, APPLY};
use crate::ops::before::{Before, RunSince};
use crate::ops::inspect::copies::expendable;
use crate::ops::inspect::{read_here, Inspection};
use crate::ops::probe::{in_use, probe};
use crate::ops::prune::prune;
use crate::ops::room::{explain, explain_before, may_write};
use crate::ops::run::Run;
use crate::ops::scratch::Scratch;
use crate::ops::snapshot::{may_be_made, remove_all, snapshot, CopyProof};
use crate::ops::store::{Operation, Order};
use crate::ops::verify::{after_each, verify, whole, within_budget, Verified};
use crate::ops::virtual_tables::rebuild_stale;
use crate::ops::wal;
use again::{again, Copies};
use ending::{abandon, finish, is_committed, leave};

const OPEN: Op = Op("open it for the migration");
const SPILL: Op = Op("write what has changed into the WAL");
const COMMIT: Op = Op("commit");
const FINISH: Op = Op("finish after the commit");

/// Room for the frames' headers and the application's first pages, beside the changed pages
/// themselves.
const WAL_RESERVE_BYTES: u64 = 128 << 10;

/// What the plan asks for.
pub struct Job<'a> {
    /// Oldest first.
    pub migrations: Vec<&'static Migration>,
    /// Make a snapshot.
    pub snapshot: bool,
    /// Make room for it with our own older ones.
    pub prune_first: bool,
    /// Recorded without being run, oldest first: another tool, or plain refinery before it was cut
    /// off, has done them.
    pub recorded: Vec<&'static Migration>,
    /// Who asked, and why.
    pub order: Order<'a>,
}

impl Job<'_> {
    /// What the history ends with.
    fn last(&self) -> Option<&'static Migration> {
        self.migrations.last().or(self.recorded.last()).copied()
    }

    /// The version then.
    fn target(&self) -> i64 {
        self.last().map_or(0, |migration| migration.version)
    }
}

/// The new schema is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The operation.
    pub operation: u64,
    /// Versions applied, oldest first.
    pub applied: Vec<i64>,
    /// The snapshot.
    pub snapshot: Option<SnapshotName>,
    /// Worth knowing, a sentence each.
    pub notes: Vec<String>,
}

/// Migrates; `None` where the facts that were decided on no longer hold and must be looked at
/// again.
///
/// # Errors
/// With the class that decides about a fallback; the database is as it was.
pub fn migrate(
    run: &mut Run<'_>,
    seen: &Inspection,
    job: &Job<'_>,
) -> Result<Option<Committed>, Failure> {
    let device = run.device;
    let Some(main) = &seen.main else {
        return Err(Failure::new(Class::Defect, OPEN, "there is no main file to migrate"));
    };
    probe(device, Some(main))?;
    // What is opened next writes the WAL into main.
    wal::fits(device, main)?;
    // Nothing is counted before this: somebody who has it open, or a damaged file, costs no write.
    let (database, journal) = open_exclusive(device, main.stat.size)?;
    // With what lay in its WAL.
    let size = main.file.stat().map_or(main.stat.size, |now| now.size);
    let fit = fit_to_migrate(device, &database, (seen, job), size);
    match fit
        .and_then(|fit| if fit { job.order.others.may_begin().map(|()| true) } else { Ok(false) })
    {
        Ok(true) => {}
        Ok(false) => {
            leave(device, database, seen);
            return Ok(None);
        }
        Err(failure) => {
            leave(device, database, seen);
            return Err(failure);
        }
    }
    let operation = match run.store.begin(device, OperationKind::Upgrade, &job.order) {
        Ok(operation) => operation,
        Err(failure) => {
            leave(device, database, seen);
            return Err(failure);
        }
    };
    let work = Work { seen, main, size, job, operation, journal };
    transaction(run, &work, database)
        .or_else(|failure| again(run, &work, failure, Copies::OfThisVersion))
        .or_else(|failure| again(run, &work, failure, Copies::Expendable))
        .map(Some)
        .inspect_err(|failure| run.store.close_failed(device, operation, failure))
}

/// The facts still hold, a snapshot can be made where one is wanted, and within
/// `quick_check_max_mib` the file is whole.
fn fit_to_migrate(
    device: &Device<'_>,
    database: &Database,
    (seen, job): (&Inspection, &Job<'_>),
    size: u64,
) -> Result<bool, Failure> {
    if !still_holds(device, database, seen)? {
        return Ok(false);
    }
    if job.snapshot {
        may_be_made(device)?;
    }
    if within_budget(device, size) {
        progress::begin(&format!("{}: checking the database", device.settings.name));
        whole(database)?;
    }
    Ok(true)
}

/// What the transaction stands on.
struct Work<'a> {
    seen: &'a Inspection,
    main: &'a MainFile,
    /// Of main, before the first migration.
    size: u64,
    job: &'a Job<'a>,
    operation: Operation,
    journal: Journal,
}

fn transaction(
    run: &Run<'_>,
    work: &Work<'_>,
    mut database: Database,
) -> Result<Committed, Failure> {
    let device = run.device;
    let Work { size, job, operation, journal, .. } = *work;
    // The snapshot, the check and the commit are shown as steps too.
    progress::expect(job.migrations.len() + usize::from(job.snapshot) + 2);
    let done: Result<(Option<CopyProof>, Vec<String>), Failure> = (|| {
        let mut before = Before::of(device, &database, OPEN)?;
        let copied = copy(run, work)?;
        device.stop_here(APPLY)?;
        let mut notes = rebuild_stale(device, &database)?;
        apply(device, &mut database, job, operation, &mut before)?;
        let verified =
            verify(device, &database, &before, &RunSince::Up(&job.migrations), job.target())?;
        notes.extend(verified.notes.iter().cloned());
        room_for_the_wal(device, &verified, work)?;
        job.order.others.go_first()?;
        progress::begin(&format!("{}: checked, committing", device.settings.name));
        commit(verified)?;
        Ok((copied, notes))
    })();
    match done {
        Ok((copied, notes)) => {
            finish(device, database, journal);
            Ok(committed(job, operation, copied, notes))
        }
        Err(mut failure) => {
            let commit_failed = failure.op == COMMIT;
            // The journal has its part of what was free.
            failure = explain_before(device, failure, may_write(size), || {
                abandon(device, database);
            });
            if commit_failed && is_committed(device, size, operation) {
                // After a failed fsync the kernel shows what storage may not have: nothing may be
                // opened on the strength of that.
                (failure.class, failure.unconfirmed) = (Class::Storage, Some(job.target()));
                note_unconfirmed(device);
            }
            Err(failure)
        }
    }
}

/// For the runs before the next reboot; of a copy there are none.
pub(super) fn note_unconfirmed(device: &Device<'_>) {
    if device.is_copy {
        return;
    }
    if let Err(error) = RunFolder::new(device.disk(), &device.environment.root)
        .make_unconfirmed(&device.settings.name)
    {
        log::warn!(
            "{}: a second run before a reboot cannot be told of it: {error}.",
            device.settings.name
        );
    }
}

fn committed(
    job: &Job<'_>,
    operation: Operation,
    copied: Option<CopyProof>,
    notes: Vec<String>,
) -> Committed {
    let applied = job.recorded.iter().chain(&job.migrations).map(|migration| migration.version);
    Committed {
        operation: operation.number,
        applied: applied.collect(),
        snapshot: copied.map(|copied| copied.name),
        notes,
    }
}

/// Opens with every lock taken, the journal recovered and the WAL empty; asked again until
/// `busy_timeout_s`.
///
/// # Errors
/// In use (13), or as SQLite.
pub fn open_exclusive(device: &Device<'_>, size: u64) -> Result<(Database, Journal), Failure> {
    let ask = || match try_open(device, size) {
        Err(failure) if failure.class == Class::InUse => Ok(None),
        other => other.map(Some),
    };
    let opened = device
        .wait()
        .until(OPEN, ask)
        .map_err(|failure| explain(device, failure, may_write(size)))?;
    opened.ok_or_else(|| in_use(device))
}

fn try_open(device: &Device<'_>, size: u64) -> Result<(Database, Journal), Failure> {
    let (database, journal) = device.sqlite().work(OPEN, &device.files.main, size)?;
    let ready = database.checkpoint(OPEN).and_then(|finished| {
        if finished {
            database.begin_exclusive(OPEN)
        } else {
            Err(in_use(device))
        }
    });
    match ready.and_then(|()| database.cache(OPEN, size)) {
        Ok(()) => Ok((database, journal)),
        Err(failure) => {
            database.close(OPEN)?;
            Err(failure)
        }
    }
}

/// The history is still the one that was decided on.
fn still_holds(
    device: &Device<'_>,
    database: &Database,
    seen: &Inspection,
) -> Result<bool, Failure> {
    let now: History = read_here(device, database, OPEN)?;
    Ok(seen.history.as_ref() == Some(&now))
}

fn copy(run: &Run<'_>, work: &Work<'_>) -> Result<Option<CopyProof>, Failure> {
    let (device, job) = (run.device, work.job);
    if !job.snapshot {
        if job.prune_first {
            remove_all(device, &expendable(device, run.store)?)?;
        }
        return Ok(None);
    }
    progress::begin(&format!("{}: copying the snapshot", device.settings.name));
    // Tries that were cut off or failed made copies too: they must not add up.
    prune(device, run.store);
    let first_remove = if job.prune_first { expendable(device, run.store)? } else { Vec::new() };
    let version = work.seen.history.as_ref().map_or(0, History::version);
    let name = SnapshotName { version, operation: work.operation.number };
    snapshot(device, run.locked, work.main, name, &first_remove).map(Some)
}

fn apply(
    device: &Device<'_>,
    database: &mut Database,
    job: &Job<'_>,
    operation: Operation,
    before: &mut Before,
) -> Result<(), Failure> {
    let table = &device.settings.history_table;
    history::create_tables(database, APPLY, table, device.catalog)?;
    let ours = Ours::of(database, APPLY, table)?;
    for done in &job.recorded {
        log::warn!("{}: {} was done before and is recorded now.", device.settings.name, done.file);
        history::record(database, APPLY, table, done, stamp(device, operation, 0))?;
        history::made::record(database, APPLY, done.version, &Scratch::made_by(device, done)?)?;
        set_user_version(device, database, done.version)?;
    }
    let mut applied = Applying::on(device, database, operation)?;
    for (index, migration) in job.migrations.iter().enumerate() {
        applied.one(database, migration, Mode::Transaction)?;
        after_each(database, before, migration)?;
        if migration.adopted && !job.migrations.get(index + 1).is_some_and(|next| next.adopted) {
            before.accept(device, database)?;
        }
    }
    finish_history(device, database, job.last(), operation, job.order.token)?;
    let added: Vec<&Migration> = job.recorded.iter().chain(&job.migrations).copied().collect();
    ours.unharmed(
        database,
        APPLY,
        table,
        &Change { added: &added, removed: &[], operation: operation.number },
    )
}

/// In WAL mode the commit grows the WAL, and the checkpoint after it main: both must fit before the
/// point of no return. What is still to be written into the WAL is written now, while all of it can
/// be taken back.
fn room_for_the_wal(
    device: &Device<'_>,
    verified: &Verified<'_>,
    work: &Work<'_>,
) -> Result<(), Failure> {
    if work.journal == Journal::Rollback {
        return Ok(());
    }
    verified.database.write_changed_pages(SPILL)?;
    let grows =
        verified.database.bytes(SPILL)?.saturating_sub(work.size).saturating_add(WAL_RESERVE_BYTES);
    let space =
        device.space().map_err(|error| Failure::io(SPILL, device.files.folder(), &error))?;
    if space.available >= grows {
        return Ok(());
    }
    let cause = format!("the commit needs {grows} bytes free and {} are", space.available);
    let mut failure = Failure::new(Class::NoSpace, SPILL, cause).at(&device.files.main);
    failure.lack = Some(Lack::Bytes);
    Err(failure)
}

/// The point of no return.
///
/// # Errors
/// An unknown result: the caller looks.
fn commit(verified: Verified<'_>) -> Result<(), Failure> {
    verified.database.commit(COMMIT)
}
