//! Owns replacing: another database takes the old one's place, and the old files go to quarantine.
//! Promises: the old files are untouched until the new one is verified, synced and named ready; from then on every boot rolls forward.
//! Never needs a record that is lost to roll forward: the ready file's name is the intent; a whole one must know of it.

use std::collections::BTreeSet;
use std::io;

use crate::catalog::Migration;
use crate::decide::record::{OpenOperation, OperationKind};
use crate::device::disk::{
    make_folder_durably, rename_durably, unlink_durably, write_new_durably, Op, Rename,
};
use crate::device::files::{MainFile, SnapshotName, NOTE};
use crate::device::history;
use crate::device::Device;
use crate::error::printable::printable;
use crate::error::{Class, Failure};
use crate::ops::carry_over::{Carry, Rows};
use crate::ops::lock::Locked;
use crate::ops::probe::probe;
use crate::ops::rows_aside::stage_with_rows;
use crate::ops::run::{Build, Run};
use crate::ops::stage::{check_live, discard, stage, Base, StagedDatabase};
use crate::ops::store::{Order, RecordStore};
use crate::ops::swap::{give_back_side_files, is_same, keep, swap, MadeFrom, New, SecondName};
use crate::ops::trust::Trust;
use crate::ops::verify::within_budget;

const READY: Op = Op("name it ready");
const QUARANTINE: Op = Op("set the old files aside");
const DONE: Op = Op("finish the replacement");

/// What takes the old one's place.
pub enum By<'a> {
    /// A database made from zero.
    Fresh,
    /// This snapshot, migrated forward.
    Snapshot(&'a SnapshotName),
    /// A database made from zero, with the live file's rows.
    Carried(&'a MainFile, Carry<'a>),
    /// The same at the live file's own version, with all of its rows that can be read.
    Salvaged(&'a MainFile, Carry<'a>),
    /// A copy of the live file with new indexes.
    Reindexed(&'a MainFile),
    /// A copy of the live file of newer firmware, gone back by its stored down SQL.
    Downgraded(&'a MainFile),
}

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
}

impl Replaced {
    /// What a run that then ends badly says of it all the same; the first one that ends well reports it by its exit code.
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
/// Before the ready file: the old files are untouched. After it: the next boot rolls forward.
pub fn replace(
    run: &mut Run<'_>,
    main: Option<&MainFile>,
    by: &By<'_>,
    migrations: &[&'static Migration],
    order: &Order<'_>,
) -> Result<Replaced, Failure> {
    let device = run.device;
    probe(device, main)?;
    let kind = match by {
        By::Fresh => OperationKind::ReplaceFresh,
        By::Carried(..) => OperationKind::ReplaceCarried,
        By::Salvaged(..) => OperationKind::Salvage,
        By::Snapshot(_) => OperationKind::ReplaceSnapshot,
        By::Reindexed(_) => OperationKind::Reindex,
        By::Downgraded(_) => OperationKind::Downgrade,
    };
    if let By::Downgraded(main) = by {
        check_live(device, main)?;
    }
    order.others.may_begin()?;
    let operation = run.store.begin(device, kind, order)?;
    let ready = device.state.ready(operation.number);
    let staged = build(&run.build(operation, migrations), by)
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
    // On an error the name may be durable all the same: then the next boot rolls forward, and says so.
    rename_durably(device.disk(), READY, &staged.path, &ready, Rename::Replace)
        .map_err(|error| Failure::io(READY, &ready, &error))?;
    let swapped = Swapped {
        operation: operation.number,
        reason: order.reason,
        loss: order.loss.or(reduced.as_deref()),
        kind: Some(kind),
        made_from: staged.copied_from,
    };
    let replaced = put_in_place(device, run.locked, main, &swapped)?;
    Ok(Replaced { applied: staged.applied, notes: staged.notes, ..replaced })
}

fn build(build: &Build<'_>, by: &By<'_>) -> Result<StagedDatabase, Failure> {
    let base = match by {
        By::Carried(main, carry) => return stage_with_rows(build, main, *carry),
        By::Salvaged(main, carry) => {
            let rows = Rows { main, carry: *carry, aside: &BTreeSet::new() };
            return stage(build, &Base::Rows(&rows));
        }
        By::Fresh => Base::Nothing,
        By::Snapshot(name) => Base::Snapshot(name),
        By::Reindexed(main) => Base::LiveReindexed(main),
        By::Downgraded(main) => Base::LiveDowngraded(main),
    };
    stage(build, &base)
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
        let stands = main.as_ref().is_some_and(|main| main.stat.size > 0);
        if open.is_none()
            && store.is_whole()
            && stands
            && !is_ready(device, operation, main.as_ref())?
        {
            // Each is noted before it is made; whoever owns the folder may have put this one there.
            log::warn!("{}: ready-{operation}.db is of no operation that the record knows, and is thrown away.", device.settings.name);
            throw_away(device, main.as_ref(), operation)?;
            continue;
        }
        if made_from_live(kind) && stands && !is_ready(device, operation, main.as_ref())? {
            // Made from a live file that may have been written since: built again from what it is now.
            throw_away(device, main.as_ref(), operation)?;
            continue;
        }
        if !is_ready(device, operation, main.as_ref())? {
            if let Some(wrong) = damage_of(device, operation)? {
                // The old files still stand. What the operation was for is still known to the record.
                log::warn!(
                    "{}: the file that was to replace it is damaged and is thrown away: {wrong}.",
                    device.settings.name
                );
                throw_away(device, main.as_ref(), operation)?;
                continue;
            }
        }
        let said = store
            .record()
            .loss
            .clone()
            .filter(|loss| loss.operation == operation)
            .map(|loss| loss.text);
        let (reason, loss) = match open {
            Some(open) if said.is_some() || made_from_live(Some(open.kind)) => (open.reason, said),
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
        probe(device, main.as_ref())?;
        let swapped =
            Swapped { operation, reason: &reason, loss: loss.as_deref(), kind, made_from: None };
        done.push(put_in_place(device, locked, main.as_ref(), &swapped)?);
    }
    Ok(done)
}

/// The ready file goes, and before it what the live files got in quarantine.
fn throw_away(device: &Device<'_>, main: Option<&MainFile>, operation: u64) -> Result<(), Failure> {
    let ready = device.state.ready(operation);
    let gone = take_back(device, main, operation)
        .and_then(|()| unlink_durably(device.disk(), DONE, &device.state.root, &[&ready]));
    gone.map(drop).map_err(|error| Failure::io(DONE, &ready, &error))
}

/// What is wrong with a ready file, which was whole when it got its name. `None`: nothing, or nothing that this SQLite can judge.
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

/// Its ready file is what the live one was when it was copied.
fn made_from_live(kind: Option<OperationKind>) -> bool {
    matches!(
        kind,
        Some(
            OperationKind::Reindex
                | OperationKind::Downgrade
                | OperationKind::ReplaceCarried
                | OperationKind::Salvage
        )
    )
}

/// The live files stand: names that it got in quarantine go again, while the ready file still tells of them. Its WAL and its
/// journal may have no other name any more; what cannot be given back stays there.
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
    for name in disk.list(&folder)? {
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

/// Main is the ready file already, or its copy where a file has one name: the rename was done, and only the ready name is left.
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
    let replaced = Replaced {
        operation,
        kind: swapped.kind,
        applied: Vec::new(),
        loss: swapped.loss.map(str::to_owned),
        reason: swapped.reason.to_owned(),
        notes: Vec::new(),
    };
    let failed = |migration| {
        let ready = ready.clone();
        move |error: io::Error| Failure::io(migration, &ready, &error)
    };
    if is_ready(device, operation, main)? {
        // The rename was done through a link: only the second name is left.
        device.disk().sync_folder(DONE, device.files.folder()).map_err(failed(DONE))?;
        device.disk().unlink(DONE, &ready).map_err(failed(DONE))?;
        device.disk().sync_folder(DONE, &device.state.root).map_err(failed(DONE))?;
        return Ok(replaced);
    }
    set_aside(device, locked, main, swapped).map_err(failed(QUARANTINE))?;
    let aside = device.state.quarantined(operation).join(device.files.file_name());
    swap(
        device,
        locked,
        main,
        &New { path: &ready, made_from: swapped.made_from },
        &SecondName::Has(aside),
    )?;
    Ok(replaced)
}

/// quarantine/N/ with reason.txt, then a second name for main; the swap adds the WAL and the journal when nobody can write to
/// them any more. What is there already is left alone.
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
