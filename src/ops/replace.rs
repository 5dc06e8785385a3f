//! Owns replacing: another database takes the old one's place, and the old files go to quarantine.
//! Promises: the old files are untouched until the new one is verified, synced and named ready;
//! from then on every boot rolls forward.
//! Never needs a record that is lost to roll forward: the ready file's name is the intent; a whole
//! one must know of it.

use std::collections::BTreeSet;
use std::io;

use crate::catalog::Migration;
use crate::decide::asked::by_an_operator;
use crate::decide::record::{OpenOperation, OperationKind};
use crate::decide::replacement::Replacement;
use crate::device::disk::{
    make_folder_durably, rename_durably, unlink_durably, write_new_durably, Op, Rename, Stat,
};
use crate::device::files::{MainFile, SnapshotName, NOTE};
use crate::device::history;
use crate::device::Device;
use crate::error::printable::printable;
use crate::error::{Class, Failure};
use crate::ops::carry_over::{Brought, Rows};
use crate::ops::lock::Locked;
use crate::ops::probe::probe;
use crate::ops::room::explain;
use crate::ops::rows_aside::stage_with_rows;
use crate::ops::run::{Build, Run};
use crate::ops::stage::{check_fit, check_live, discard, stage, Base, StagedDatabase};
use crate::ops::store::{Operation, Order, RecordStore};
use crate::ops::swap::{
    give_back_side_files, is_numbered, is_same, keep, swap, MadeFrom, New, SecondName,
};
use crate::ops::trust::Trust;
use crate::ops::verify::within_budget;

const READY: Op = Op("name it ready");
const QUARANTINE: Op = Op("set the old files aside");
const DONE: Op = Op("finish the replacement");

/// The new database is main and the old files are in quarantine. Made only here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The operation; its folder in quarantine.
    pub operation: u64,
    /// What it did; `None` where the record no longer knows.
    pub kind: Option<OperationKind>,
    /// Versions applied while it was built.
    pub applied: Vec<i64>,
    /// What was lost, in words; `None` for nothing.
    pub loss: Option<String>,
    /// Why, in words.
    pub reason: String,
    /// Worth knowing, a sentence each.
    pub notes: Vec<String>,
    /// What became of the rows that were carried over, table by table.
    pub tables: Vec<Brought>,
}

impl Replaced {
    /// What a run that then ends badly says of it all the same; the first one that ends well
    /// reports it by its exit code.
    pub fn loss_sentence(&self) -> Option<String> {
        let loss = self.loss.as_ref()?;
        Some(format!(
            "it was replaced before that ({}), and lost {loss}; the old files are in quarantine/{}",
            self.reason, self.operation
        ))
    }
}

/// Builds and puts in place.
///
/// # Errors
/// Before the ready file: the old files are untouched. After it: it is withdrawn, or the failure
/// says that it is left, and the next boot goes on with it.
pub fn replace(
    run: &mut Run<'_>,
    main: Option<&MainFile>,
    by: &Replacement,
    order: &Order<'_>,
) -> Result<Replaced, Failure> {
    let device = run.device;
    probe(device, main)?;
    let kind = by.operation();
    match by {
        Replacement::Downgraded { .. } => check_live(device, needed(main)?)?,
        Replacement::Carried(carry) if !carry.damaged => check_fit(device)?,
        _ => {}
    }
    order.others.may_begin()?;
    let operation = run.store.begin(device, kind, order)?;
    let ready = device.state.ready(operation.number);
    let migrations: Vec<&'static Migration> =
        device.catalog.migrations.iter().filter(|migration| by.runs(migration.version)).collect();
    let staged = build(&run.build(operation, &migrations), by, main)
        .inspect_err(|failure| run.store.close_failed(device, operation, failure))?;
    order.others.go_first().inspect_err(|failure| {
        discard(device, &staged.path);
        run.store.close_failed(device, operation, failure);
    })?;
    let reduced = (!staged.lost.is_empty()).then(|| staged.lost.join(", "));
    if let Some(reduced) = &reduced {
        // Known only now, and to be said by whichever boot finds it done.
        run.store.keep_loss(device, operation.number, reduced)?;
    }
    // On an error the name may be durable all the same.
    rename_durably(device.disk(), READY, &staged.path, &ready, Rename::Replace).map_err(
        |error| {
            discard(device, &staged.path);
            withdrawn(run, main, operation, Failure::io(READY, &ready, &error))
        },
    )?;
    let swapped = Swapped {
        operation: operation.number,
        reason: order.reason,
        loss: order.loss.or(reduced.as_deref()),
        kind: Some(kind),
        made_from: staged.copied_from,
    };
    if let Err(error) = set_aside(device, run.locked, main, &swapped) {
        // What there was too little of, before it is given back.
        let failure = explain(device, Failure::io(QUARANTINE, &ready, &error), 0);
        // What a boot has begun it goes on with: to build it again each time would cost the flash.
        // But one that is made from the live file is built again in any case.
        return Err(if by_an_operator(order.reason) || kind.reads_the_live_file() {
            withdrawn(run, main, operation, failure)
        } else {
            failure.leaving_ready()
        });
    }
    let replaced = take_place(device, run.locked, main, &swapped)
        .map_err(|failure| kept_out(run, main, (operation, order.reason), failure))?;
    Ok(Replaced { applied: staged.applied, notes: staged.notes, tables: staged.tables, ..replaced })
}

fn build(
    build: &Build<'_>,
    by: &Replacement,
    main: Option<&MainFile>,
) -> Result<StagedDatabase, Failure> {
    match by {
        Replacement::Fresh => stage(build, &Base::Nothing(main)),
        Replacement::Carried(carry) => stage_with_rows(build, needed(main)?, carry),
        Replacement::Snapshot { version, operation } => {
            let name = SnapshotName { version: *version, operation: *operation };
            stage(build, &Base::Snapshot(&name))
        }
        Replacement::Reindexed => stage(build, &Base::LiveReindexed(needed(main)?)),
        Replacement::Salvaged(carry) => {
            let rows = Rows { main: needed(main)?, carry, aside: &BTreeSet::new() };
            stage(build, &Base::Rows(&rows))
        }
        Replacement::Downgraded { .. } => stage(build, &Base::LiveDowngraded(needed(main)?)),
    }
}

/// A source that is made from the live file is chosen only where there is one.
fn needed(main: Option<&MainFile>) -> Result<&MainFile, Failure> {
    main.ok_or_else(|| {
        Failure::new(Class::Defect, Op("copy the live database"), "there is no main file to copy")
    })
}

/// Rolls forward every ready file of an earlier boot, whichever firmware made it.
///
/// # Errors
/// As the swap; the ready file stays.
pub fn roll_forward(
    device: &Device<'_>,
    locked: &Locked,
    store: &mut RecordStore,
) -> Result<Vec<Replaced>, Failure> {
    let operations = locked
        .ready_operations(device)
        .map_err(|error| Failure::io(READY, &device.state.root, &error))?;
    if !operations.is_empty() {
        locked.changes();
    }
    let mut done = Vec::new();
    for operation in operations {
        let open: Option<OpenOperation> =
            store.record().open.clone().filter(|open| open.number == operation);
        let kind = open.as_ref().map(|open| open.kind);
        let main = open_main(device)?;
        if must_not_take_the_name(device, store, operation, open.as_ref(), main.as_ref())? {
            throw_away(device, main.as_ref(), operation)?;
            continue;
        }
        let said = store.loss_of(operation).map(str::to_owned);
        let (reason, loss) = match open {
            Some(open) if said.is_some() || open.kind.reads_the_live_file() => (open.reason, said),
            // Every other replacement loses rows, whatever is known of it.
            open => {
                let loss = "what the quarantined files hold";
                store.keep_loss(device, operation, loss)?;
                let unknown = "an earlier run's replacement, whose reason is no longer known";
                (open.map_or_else(|| unknown.to_owned(), |open| open.reason), Some(loss.to_owned()))
            }
        };
        log::warn!(
            "{}: a power cut stopped a replacement; rolling operation {operation} forward.",
            device.settings.name
        );
        let swapped =
            Swapped { operation, reason: &reason, loss: loss.as_deref(), kind, made_from: None };
        let replaced = probe(device, main.as_ref())
            .and_then(|_| put_in_place(device, locked, main.as_ref(), &swapped));
        done.push(replaced.map_err(Failure::leaving_ready)?);
    }
    Ok(done)
}

/// This ready file is of no operation that is known, or older than the live file, or damaged; the
/// old files still stand.
fn must_not_take_the_name(
    device: &Device<'_>,
    store: &RecordStore,
    operation: u64,
    open: Option<&OpenOperation>,
    main: Option<&MainFile>,
) -> Result<bool, Failure> {
    let stands = main.is_some_and(|main| main.stat.size > 0);
    if open.is_none() && store.is_whole() && stands && !is_ready(device, operation, main)? {
        // Each is noted before it is made; whoever owns the folder may have put this one there.
        log::warn!(
            "{}: ready-{operation}.db is of no operation that the record knows, and is thrown \
             away.",
            device.settings.name
        );
        return Ok(true);
    }
    if open.is_some_and(|open| open.kind.reads_the_live_file())
        && stands
        && !is_ready(device, operation, main)?
    {
        // Made from a live file that may have been written since: built again from what it is now.
        return Ok(true);
    }
    if !is_ready(device, operation, main)? {
        if let Some(wrong) = damage_of(device, operation)? {
            // What the operation was for is still known to the record.
            log::warn!(
                "{}: the file that was to replace it is damaged and is thrown away: {wrong}.",
                device.settings.name
            );
            return Ok(true);
        }
    }
    Ok(false)
}

/// The ready file goes, and before it what the live files got in quarantine.
fn throw_away(device: &Device<'_>, main: Option<&MainFile>, operation: u64) -> Result<(), Failure> {
    let ready = device.state.ready(operation);
    let gone = take_back(device, main, operation)
        .and_then(|()| unlink_durably(device.disk(), DONE, &device.state.root, &[&ready]));
    gone.map(drop).map_err(|error| Failure::io(DONE, &ready, &error))
}

/// What is wrong with a ready file, which was whole when it got its name. `None`: nothing, or
/// nothing that this SQLite can judge.
fn damage_of(device: &Device<'_>, operation: u64) -> Result<Option<String>, Failure> {
    let ready = device.state.ready(operation);
    let stat = device.disk().stat(&ready).map_err(|error| Failure::io(READY, &ready, &error))?;
    if !stat.is_some_and(|stat| within_budget(device, stat.size)) {
        return Ok(None);
    }
    let database = device.sqlite().look_immutable(READY, &ready)?;
    let checked = database.integrity_check(READY).and_then(|findings| {
        Ok((findings, history::read(&database, READY, &device.settings.history_table)?))
    });
    database.close(READY)?;
    match checked {
        Ok((findings, history)) => {
            Ok(findings.first_damage().map(str::to_owned).or(history.malformed))
        }
        Err(failure)
            if failure.class == Class::Damaged
                && failure.cause.contains("malformed database schema") =>
        {
            // Written by a newer firmware, perhaps with a newer SQLite: its word counts.
            Ok(None)
        }
        Err(failure) if matches!(failure.class, Class::Damaged | Class::Catalogue) => {
            Ok(Some(failure.cause))
        }
        Err(failure) => Err(failure),
    }
}

/// The live files stand: names that it got in quarantine go again, while the ready file still tells
/// of them. Its WAL and its journal may have no other name any more; what cannot be given back
/// stays there.
fn take_back(device: &Device<'_>, main: Option<&MainFile>, operation: u64) -> io::Result<()> {
    let disk = device.disk();
    let folder = device.state.quarantined(operation);
    if disk.stat(&folder)?.is_none() {
        return Ok(());
    }
    let aside = folder.join(device.files.file_name());
    let given = match main {
        Some(main) if disk.stat(&aside)?.is_some() => give_back_side_files(device, main, &aside)?,
        _ => disk.list(&folder)?.iter().all(|name| name.starts_with("reason.")),
    };
    if !given {
        return Ok(());
    }
    let names = disk.list(&folder)?;
    // Another file that an earlier start found under the name has no other home.
    if names.iter().any(|name| is_numbered(name, &device.files.file_name())) {
        disk.unlink(DONE, &aside)?;
        return disk.sync_folder(DONE, &folder);
    }
    for name in names {
        disk.unlink(DONE, &folder.join(name))?;
    }
    disk.sync_folder(DONE, &folder)?;
    disk.remove_folder(DONE, &folder)?;
    disk.sync_folder(DONE, &device.state.quarantine())
}

/// An operation whose ready file takes the name, and what a report and reason.txt say of it.
struct Swapped<'a> {
    operation: u64,
    reason: &'a str,
    loss: Option<&'a str>,
    kind: Option<OperationKind>,
    made_from: Option<MadeFrom>,
}

impl Swapped<'_> {
    /// As it is reported.
    fn replaced(&self) -> Replaced {
        Replaced {
            operation: self.operation,
            kind: self.kind,
            applied: Vec::new(),
            loss: self.loss.map(str::to_owned),
            reason: self.reason.to_owned(),
            notes: Vec::new(),
            tables: Vec::new(),
        }
    }
}

/// Main is the ready file already, or its copy where a file has one name: the rename was done, and
/// only the ready name is left.
fn is_ready(device: &Device<'_>, operation: u64, main: Option<&MainFile>) -> Result<bool, Failure> {
    let ready = device.state.ready(operation);
    match main {
        Some(_) => is_same(device.disk(), &device.files.main, main, &ready)
            .map_err(|error| Failure::io(READY, &ready, &error)),
        None => Ok(false),
    }
}

fn open_main(device: &Device<'_>) -> Result<Option<MainFile>, Failure> {
    let failed = |error: io::Error| Failure::io(READY, &device.files.main, &error);
    match device.disk().stat(&device.files.main).map_err(failed)? {
        Some(_) => {
            let main = device.open_main(READY, device.busy_limit())?;
            Trust::of(device)?.accept(device, &device.files.main, &main.stat).map_err(failed)?;
            Ok(Some(main))
        }
        None => Ok(None),
    }
}

fn put_in_place(
    device: &Device<'_>,
    locked: &Locked,
    main: Option<&MainFile>,
    swapped: &Swapped<'_>,
) -> Result<Replaced, Failure> {
    let operation = swapped.operation;
    let ready = device.state.ready(operation);
    let failed = |migration| {
        let ready = ready.clone();
        move |error: io::Error| Failure::io(migration, &ready, &error)
    };
    if is_ready(device, operation, main)? {
        // The rename was done through a link: only the second name is left.
        device.disk().sync_folder(DONE, device.files.folder()).map_err(failed(DONE))?;
        device.disk().unlink(DONE, &ready).map_err(failed(DONE))?;
        device.disk().sync_folder(DONE, &device.state.root).map_err(failed(DONE))?;
        return Ok(swapped.replaced());
    }
    set_aside(device, locked, main, swapped).map_err(failed(QUARANTINE))?;
    take_place(device, locked, main, swapped)
}

/// The old files have their second names: the ready file takes the database's.
fn take_place(
    device: &Device<'_>,
    locked: &Locked,
    main: Option<&MainFile>,
    swapped: &Swapped<'_>,
) -> Result<Replaced, Failure> {
    let ready = device.state.ready(swapped.operation);
    let aside = device.state.quarantined(swapped.operation).join(device.files.file_name());
    let new = New { path: &ready, made_from: swapped.made_from };
    swap(device, locked, main, &new, &SecondName::Has(aside))?;
    Ok(swapped.replaced())
}

/// The ready file did not get the database's name: the old file stands, and whoever has it open may
/// write to it, or another slot's firmware may boot next. Only a stop signal leaves a boot's own
/// ready file, as a power cut does.
fn kept_out(
    run: &mut Run<'_>,
    main: Option<&MainFile>,
    (operation, reason): (Operation, &str),
    failure: Failure,
) -> Failure {
    let goes_on = failure.class == Class::Interrupted && !by_an_operator(reason);
    if goes_on || !still_stands(run.device, main, operation.number) {
        return failure.leaving_ready();
    }
    // What there was too little of, before it is given back.
    let failure = explain(run.device, failure, 0);
    withdrawn(run, main, operation, failure)
}

/// The name is the old file's, or nobody's, or a stranger's: not the ready file's.
fn still_stands(device: &Device<'_>, main: Option<&MainFile>, operation: u64) -> bool {
    let disk = device.disk();
    let inode = |stat: Stat| (stat.device, stat.inode);
    let (Ok(named), Ok(ready)) =
        (disk.stat(&device.files.main), disk.stat(&device.state.ready(operation)))
    else {
        return false;
    };
    let (named, ready) = (named.map(inode), ready.map(inode));
    match main {
        Some(main) => ready.is_some() && named == Some(inode(main.stat)),
        None => ready.is_some() && named != ready,
    }
}

/// Whoever is told that nothing was changed must not find it done by the next boot. Where not even
/// that can be withdrawn, the next boot rolls forward, and the failure says so.
fn withdrawn(
    run: &mut Run<'_>,
    main: Option<&MainFile>,
    operation: Operation,
    failure: Failure,
) -> Failure {
    let device = run.device;
    let folder = device.state.quarantined(operation.number);
    let given_back = take_back(device, main, operation.number)
        .and_then(|()| device.disk().stat(&folder))
        .is_ok_and(|found| found.is_none());
    if !given_back || throw_away(device, main, operation.number).is_err() {
        return failure.leaving_ready();
    }
    run.store.close_failed(device, operation, &failure);
    failure
}

/// quarantine/N/ with reason.txt, then a second name for main; the swap adds the WAL and the
/// journal when nobody can write to them any more. What is there already is left alone.
fn set_aside(
    device: &Device<'_>,
    locked: &Locked,
    main: Option<&MainFile>,
    swapped: &Swapped<'_>,
) -> io::Result<()> {
    let disk = device.disk();
    let operation = swapped.operation;
    let folder = device.state.quarantined(operation);
    let owner = locked.ownership.ids();
    make_folder_durably(disk, QUARANTINE, &device.state.quarantine(), 0o700, owner)?;
    make_folder_durably(disk, QUARANTINE, &folder, 0o700, owner)?;
    let note = folder.join(NOTE);
    if disk.stat(&note)?.is_none() {
        let (reason, loss) =
            (printable(swapped.reason), printable(swapped.loss.unwrap_or("nothing")));
        let text = format!("operation: {operation}\nreason: {reason}\ndata lost: {loss}\n");
        // Its name says that the files are set aside: it must not stand there before its text does.
        let unfinished = folder.join("reason.tmp");
        unlink_durably(disk, QUARANTINE, &folder, &[&unfinished])?;
        write_new_durably(disk, QUARANTINE, &unfinished, text.as_bytes(), owner)?;
        rename_durably(disk, QUARANTINE, &unfinished, &note, Rename::Replace)?;
    }
    if main.is_some() {
        keep(device, &device.files.main, main, &folder.join(device.files.file_name()))?;
    }
    disk.sync_folder(QUARANTINE, &folder)?;
    disk.sync_folder(QUARANTINE, &device.state.quarantine())
}
