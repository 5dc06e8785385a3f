//! Owns carrying a plan out: one arm a plan, each a call of the ops in the order of the protocol.
//! Promises: does what the plan's words say; proof of each op is handed to the next.
//! Never chooses.

use crate::boot::BootRequest;
use crate::catalog::Migration;
use crate::config::SnapshotPolicy;
use crate::decide::asked::QUARANTINE_RESTORE_ASKED;
use crate::decide::facts::{DatabaseState, Request};
use crate::decide::pending::PendingMigration;
use crate::decide::plan::{Plan, RefusalClass, SnapshotPlan};
use crate::decide::record::OperationKind;
use crate::decide::replacement::Replacement;
use crate::device::disk::Op;
use crate::device::files::{MainFile, SnapshotName};
use crate::device::history::History;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::group::{Alone, Others};
use crate::ops::inspect::copies::expendable;
use crate::ops::inspect::Inspection;
use crate::ops::migrate::{migrate, Job};
use crate::ops::probe::probe;
use crate::ops::recover::recover;
use crate::ops::replace::replace;
use crate::ops::run::{Build, Run};
use crate::ops::snapshot::{may_be_made, remove_all};
use crate::ops::stage::{check_live, discard, stage, Base, BUILD};
use crate::ops::store::{Operation, Order};
use crate::ops::swap::{swap, MadeFrom, New, SecondName};
use crate::report::{Ending, Finished, Outcome, ALL_ROWS};

const SWEEP: Op = Op("remove the empty file");

/// Copies of a live database that are begun again because another process wrote meanwhile.
const COPIES_MAX: u32 = 3;

/// Does what the plan says.
///
/// # Errors
/// With the class that the fallbacks look at.
pub fn carry_out(
    run: &mut Run<'_>,
    seen: &Inspection,
    plan: &Plan,
    asked: &BootRequest,
    others: &dyn Others,
) -> Result<Ending, Failure> {
    let device = run.device;
    if leads_to_the_target(plan) {
        others.can_go()?;
    }
    let order = order_of(run, seen, asked, others);
    match plan {
        Plan::Quiet { version } | Plan::UseNewer { version, .. } => {
            // Remembered once: from now on an absent file is a lost one.
            run.store.remember_data(device);
            run.store.remember_token(device, &asked.token);
            let outcome = if matches!(plan, Plan::Quiet { .. }) {
                Outcome::Quiet
            } else {
                Outcome::Compatible
            };
            Ok(Ending::finished(Finished::at(outcome, *version)))
        }
        Plan::Refuse(refusal) => {
            let is_final = matches!(
                refusal.class,
                RefusalClass::As(Class::Damaged | Class::NoSpace) | RefusalClass::TriesUsedUp
            );
            if is_final && asked.request == Request::Retry {
                run.store.remember_token(device, &asked.token);
            }
            Ok(Ending::Refused(refusal.clone()))
        }
        Plan::Recover { .. } => recover(device, seen.main.as_ref()).map(|()| Ending::LookAgain),
        Plan::FirstBoot { .. } => first_boot(run, seen, &order),
        Plan::Migrate { from, migrations, snapshot, half_done } => {
            let job = job_of(device, migrations, *snapshot, *half_done, order);
            migrated(run, seen, *from, &job)
        }
        Plan::MigrateCopy { from, migrations, snapshot } => {
            migrate_copy(run, seen, *from, &job_of(device, migrations, *snapshot, None, order))
        }
        Plan::Adopt { version, by, pending } => adopted(
            run,
            seen,
            &TakeOver { version: *version, by, is_last: pending.is_empty() },
            order,
        ),
        Plan::Replace { by, why, loss } => {
            let words = give_up(by, why);
            let order = Order { reason: why, loss: loss.then_some(words.as_str()), ..order };
            if by.is_repair() {
                // The others wait for what comes after it.
                return replaced(run, seen, by, &Order { others: &Alone, ..order });
            }
            replaced(run, seen, by, &order)
        }
    }
}

/// The run ends with this failure. For want of room, or beside an open database, nothing of it
/// counts. "Once more" was tried where the record knows how many bytes were missing: a word that
/// stays asks for no more, and hides none behind it.
pub(super) fn ended(run: &mut Run<'_>, asked: &BootRequest, failure: &Failure) {
    if matches!(failure.class, Class::NoSpace | Class::InUse) {
        run.store.take_back_failed(run.device);
    }
    if asked.request == Request::Retry
        && failure.class == Class::NoSpace
        && failure.bytes_needed.is_some()
    {
        run.store.remember_token(run.device, &asked.token);
    }
}

/// What every operation of this run is begun with.
fn order_of<'a>(
    run: &Run<'_>,
    seen: &Inspection,
    asked: &'a BootRequest,
    others: &'a dyn Others,
) -> Order<'a> {
    // A token's operation that was cut off goes on with the tries it has: else a word that stays
    // would forget them at every boot.
    let forget_tries = asked.request.forgets_tries()
        && (asked.token.is_empty() || run.store.open_token() != asked.token);
    let purge_counts = asked.request != Request::Purge && !seen.facts.nothing_is_left();
    let repairs =
        matches!(seen.facts.database, DatabaseState::Damaged { .. } | DatabaseState::Lost { .. });
    Order {
        reason: "",
        token: &asked.token,
        forget_tries,
        loss: None,
        purge_counts,
        repairs,
        others,
    }
}

fn job_of<'a>(
    device: &Device<'_>,
    migrations: &[PendingMigration],
    snapshot: SnapshotPlan,
    half_done: Option<i64>,
    order: Order<'a>,
) -> Job<'a> {
    Job {
        migrations: find(device, migrations),
        snapshot: matches!(snapshot, SnapshotPlan::Take | SnapshotPlan::TakeAfterPruning),
        prune_first: matches!(
            snapshot,
            SnapshotPlan::TakeAfterPruning | SnapshotPlan::NoneAfterPruning
        ),
        recorded: half_done.and_then(|version| device.catalog.find(version)).into_iter().collect(),
        order,
    }
}

/// What this firmware's applications need is there after it; a repair only restores what is there.
pub(super) fn leads_to_the_target(plan: &Plan) -> bool {
    match plan {
        Plan::FirstBoot { .. } | Plan::Migrate { .. } | Plan::MigrateCopy { .. } => true,
        Plan::Replace { by, .. } => !by.is_repair(),
        Plan::Quiet { .. }
        | Plan::UseNewer { .. }
        | Plan::Refuse(_)
        | Plan::Recover { .. }
        | Plan::Adopt { .. } => false,
    }
}

fn present(seen: &Inspection) -> Result<&MainFile, Failure> {
    seen.main.as_ref().ok_or_else(|| {
        Failure::new(Class::Defect, Op("copy the live database"), "there is no main file to copy")
    })
}

fn migrated(
    run: &mut Run<'_>,
    seen: &Inspection,
    from: i64,
    job: &Job<'_>,
) -> Result<Ending, Failure> {
    let Some(done) = migrate(run, seen, job)? else { return Ok(Ending::LookAgain) };
    run.store.remember_data(run.device);
    Ok(Ending::finished(Finished {
        outcome: Outcome::Migrated,
        from: Some(from),
        to: run.device.catalog.target(),
        applied: done.applied,
        backup: done.snapshot,
        operation: Some(done.operation),
        notes: done.notes,
        ..Finished::default()
    }))
}

/// What another tool did, and ours is to go on from.
struct TakeOver<'a> {
    version: i64,
    by: &'a str,
    is_last: bool,
}

fn adopted(
    run: &mut Run<'_>,
    seen: &Inspection,
    from: &TakeOver<'_>,
    order: Order<'_>,
) -> Result<Ending, Failure> {
    let TakeOver { version, by, is_last } = *from;
    let recorded = run
        .device
        .catalog
        .migrations
        .iter()
        .filter(|migration| migration.version <= version)
        .collect();
    // What is recorded is what it is already.
    let order = Order { others: &Alone, ..order };
    let job = Job { migrations: Vec::new(), snapshot: false, prune_first: false, recorded, order };
    let Some(done) = migrate(run, seen, &job)? else { return Ok(Ending::LookAgain) };
    run.store.remember_data(run.device);
    if !is_last {
        return Ok(Ending::Adopted(format!("taken over from {by} at version {version}")));
    }
    let finished = Finished {
        applied: done.applied,
        operation: Some(done.operation),
        reason: Some(by.to_owned()),
        ..Finished::at(Outcome::Adopted, version)
    };
    Ok(Ending::finished(finished))
}

fn find(device: &Device<'_>, migrations: &[PendingMigration]) -> Vec<&'static Migration> {
    migrations.iter().filter_map(|migration| device.catalog.find(migration.version)).collect()
}

/// What is lost, whatever the build finds.
fn give_up(by: &Replacement, why: &str) -> String {
    match by {
        Replacement::Snapshot { .. } if why == QUARANTINE_RESTORE_ASKED => {
            "the rows of the database that stood there; it is kept in quarantine".to_owned()
        }
        Replacement::Snapshot { version, .. } => {
            format!(
                "what was written after the snapshot of version {version}; the old database is \
                 kept in quarantine"
            )
        }
        _ => ALL_ROWS.to_owned(),
    }
}

fn first_boot(run: &mut Run<'_>, seen: &Inspection, order: &Order<'_>) -> Result<Ending, Failure> {
    let (device, locked) = (run.device, run.locked);
    let main = seen.empty_main(device)?;
    probe(device, main.as_ref())?;
    order.others.may_begin()?;
    let operation = run.store.begin(device, OperationKind::FirstBoot, order)?;
    let all: Vec<&'static Migration> = device.catalog.migrations.iter().collect();
    let built = stage(&run.build(operation, &all), &Base::Nothing(None)).and_then(|staged| {
        order.others.go_first().inspect_err(|_| discard(device, &staged.path))?;
        // An empty file may be filled while we build; then it is somebody's.
        let aside = device.state.staging_old(operation.number);
        let new = New {
            path: &staged.path,
            made_from: main.as_ref().map(|main| MadeFrom { main: main.stat, wal: None }),
        };
        let second =
            if main.is_some() { SecondName::Make(aside.clone()) } else { SecondName::None };
        swap(device, locked, main.as_ref(), &new, &second)
            .inspect_err(|_| discard(device, &staged.path))?;
        if main.is_some() {
            device
                .disk()
                .unlink(SWEEP, &aside)
                .map_err(|error| Failure::io(SWEEP, &aside, &error))?;
        }
        Ok((staged.applied, staged.notes))
    });
    let (applied, notes) =
        built.inspect_err(|failure| run.store.close_failed(device, operation, failure))?;
    // No row of anybody's is in it yet: that there was one is remembered with the report.
    Ok(Ending::finished(Finished {
        outcome: Outcome::Created,
        from: Some(0),
        to: device.catalog.target(),
        applied,
        operation: Some(operation.number),
        notes,
        ..Finished::default()
    }))
}

fn migrate_copy(
    run: &mut Run<'_>,
    seen: &Inspection,
    from: i64,
    job: &Job<'_>,
) -> Result<Ending, Failure> {
    let device = run.device;
    probe(device, seen.main.as_ref())?;
    check_live(device, present(seen)?)?;
    may_be_made(device)?;
    job.order.others.may_begin()?;
    let operation = run.store.begin(device, OperationKind::MigrateCopy, &job.order)?;
    let (applied, notes) = copied_over(run, seen, operation, job)
        .inspect_err(|failure| run.store.close_failed(device, operation, failure))?;
    run.store.remember_data(device);
    Ok(Ending::finished(Finished {
        outcome: Outcome::Migrated,
        from: Some(from),
        to: device.catalog.target(),
        applied,
        backup: job.snapshot.then(|| snapshot_of(seen, operation)),
        operation: Some(operation.number),
        notes,
        ..Finished::default()
    }))
}

fn snapshot_of(seen: &Inspection, operation: Operation) -> SnapshotName {
    let version = seen.history.as_ref().map_or(0, History::version);
    SnapshotName { version, operation: operation.number }
}

/// The old file keeps a second name: the snapshot's, or where none is wanted one that goes with it.
fn copied_over(
    run: &Run<'_>,
    seen: &Inspection,
    operation: Operation,
    job: &Job<'_>,
) -> Result<(Vec<i64>, Vec<String>), Failure> {
    let device = run.device;
    if job.prune_first {
        remove_all(device, &expendable(device, run.store)?)?;
    }
    let aside = device.state.staging_old(operation.number);
    let second = if job.snapshot {
        device.state.snapshot(&snapshot_of(seen, operation))
    } else {
        aside.clone()
    };
    let build = run.build(operation, &job.migrations);
    let done = copy_and_swap(&build, seen, &SecondName::Make(second), &job.order)?;
    if !job.snapshot {
        if let Err(error) = device.disk().unlink(SWEEP, &aside) {
            log::warn!(
                "{}: {} is left for the next boot to remove: {error}.",
                device.settings.name,
                aside.display()
            );
        }
    }
    Ok(done)
}

fn copy_and_swap(
    build: &Build<'_>,
    seen: &Inspection,
    second: &SecondName,
    order: &Order<'_>,
) -> Result<(Vec<i64>, Vec<String>), Failure> {
    let (device, locked) = (build.device, build.locked);
    let main = present(seen)?;
    let mut tries = 0;
    loop {
        tries += 1;
        let staged = stage(build, &Base::Live(main))?;
        order.others.go_first().inspect_err(|_| discard(device, &staged.path))?;
        let new = New { path: &staged.path, made_from: staged.copied_from };
        match swap(device, locked, Some(main), &new, second) {
            Ok(_) => return Ok((staged.applied, staged.notes)),
            // Another process wrote while the copy was made: what was copied is thrown away.
            Err(failure) if failure.class == Class::InUse && tries < COPIES_MAX => {
                device
                    .disk()
                    .unlink(failure.op, &staged.path)
                    .map_err(|error| Failure::io(failure.op, &staged.path, &error))?;
            }
            Err(failure) => {
                discard(device, &staged.path);
                return Err(failure);
            }
        }
    }
}

/// A purge that found no room is tried again without the copies that were made for the migration
/// which failed before it: the old file, which has all that they have, goes into quarantine.
fn makes_room(
    run: &Run<'_>,
    seen: &Inspection,
    by: &Replacement,
    failure: &Failure,
) -> Result<bool, Failure> {
    let device = run.device;
    let DatabaseState::Behind { version, .. } = &seen.facts.database else { return Ok(false) };
    if (failure.class, failure.op) != (Class::NoSpace, BUILD)
        || !by.operation().purges()
        || device.settings.snapshot != SnapshotPolicy::Auto
    {
        return Ok(false);
    }
    let mut names = expendable(device, run.store)?;
    names.retain(|name| name.version == *version);
    if !names.is_empty() {
        log::warn!("{}: {failure}; once more, without its snapshots.", device.settings.name);
    }
    remove_all(device, &names)?;
    Ok(!names.is_empty())
}

fn replaced(
    run: &mut Run<'_>,
    seen: &Inspection,
    by: &Replacement,
    order: &Order<'_>,
) -> Result<Ending, Failure> {
    // An empty file has no rows to carry over.
    let by = match (by, &seen.main) {
        (Replacement::Carried(_), None) => &Replacement::Fresh,
        _ => by,
    };
    let empty = seen.empty_main(run.device)?;
    let main = seen.main.as_ref().or(empty.as_ref());
    let done = match replace(run, main, by, order) {
        Err(failure) if makes_room(run, seen, by, &failure)? => replace(run, main, by, order)?,
        done => done?,
    };
    if by.is_repair() {
        return Ok(Ending::Repaired(done));
    }
    Ok(Ending::finished(Finished {
        outcome: Outcome::of_replacement(Some(by.operation())),
        from: seen.history.as_ref().map(History::version),
        to: run.device.catalog.target(),
        applied: done.applied,
        operation: Some(done.operation),
        quarantine: Some(done.operation),
        loss: done.loss,
        reason: Some(done.reason),
        notes: done.notes,
        ..Finished::default()
    }))
}
