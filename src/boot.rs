//! Owns a boot of one database: lock, roll forward, inspect, decide, carry out, or the next fallback.
//! Promises: reads as the README says it; the number of plans is bounded; a loss is reported before it is forgotten.
//! Never looks at a file itself, and never decides.

pub mod group;
mod last_word;
mod operation;

use self::last_word::last_word;
use crate::decide::decision::decide;
use crate::decide::facts::{Attempt, DatabaseState, Facts, Request};
use crate::decide::fallback::{after_failure, NextPlan, Stop};
use crate::decide::plan::Plan;
use crate::decide::policy::{Policy, INTERRUPTED_MAX, ROUNDS_MAX};
use crate::decide::replacement::is_worn_out;
use crate::device::disk::Op;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::by_hand::understood;
use crate::ops::inspect::{inspect, Ask, Closeness, Inspection};
use crate::ops::lock::{lock, look_only, Locked};
use crate::ops::prune::prune;
use crate::ops::recover::recover;
use crate::ops::replace::{roll_forward, Replaced};
use crate::ops::run::Run;
use crate::ops::store::{RecordStore, ReportEnd};
use crate::ops::together::{Alone, Others};
use crate::ops::verify::within_budget;
use crate::report::{DatabaseReport, Ending, LastFailure};

/// Who asks for a run, and with which token.
#[derive(Debug, Clone)]
pub struct BootRequest {
    /// A boot, `--retry`, `--purge-and-retry` or `purge`.
    pub request: Request,
    /// From a marker file or the kernel's command line; empty for an operator at a console.
    pub token: String,
}

/// Brings one database to this firmware's schema, or says why not. What is forgotten once it has been said waits in [`PendingReport`].
pub fn boot<'d>(
    device: &'d Device<'d>,
    asked: &BootRequest,
) -> (DatabaseReport, Option<PendingReport<'d>>) {
    run(device, asked, &Alone)
        .unwrap_or_else(|failure| (DatabaseReport::failed(device, None, &failure), None))
}

fn run<'d>(
    device: &'d Device<'d>,
    asked: &BootRequest,
    others: &dyn Others,
) -> Result<(DatabaseReport, Option<PendingReport<'d>>), Failure> {
    device.stop_here(Op("begin"))?;
    device.disk().walk_anew(device.files.folder()); // what was mounted while another database was worked on counts
    if let Some(report) = refused_untouched(device, asked)? {
        return Ok((report, None));
    }
    let locked = lock(device)?; // one migrator per database
    let mut store = RecordStore::open(device, &locked)?;
    let mut rolled = roll_forward_here(device, &locked, &mut store)?; // a ready file of an earlier boot takes its name
    understood(device, &store)?;
    let asked = &still_asked(device, &locked, &mut store, asked, &rolled)?; // a token is honoured once
    let mut run = Run { device, locked: &locked, store: &mut store };
    let mut report = fallbacks(&mut run, asked, others, &mut rolled)?; // inspect, decide, carry out, at most so often
    if !report.usable {
        report.last_failure = store
            .last_failure(false)
            .map(|failure| LastFailure::of(&device.settings.name, failure));
        report.notes.extend(rolled.iter().filter_map(Replaced::loss_sentence));
    }
    if let Some(reason) = &locked.read_only {
        report.notes.push(reason.clone());
    }
    let pending_report = PendingReport::of(device, locked, store, &report);
    Ok((report, Some(pending_report)))
}

/// What the record still holds because the run has not reported it yet. Keeps the lock.
pub struct PendingReport<'d> {
    device: &'d Device<'d>,
    locked: Locked,
    store: RecordStore,
    learns: Option<ReportEnd>,
    acted: bool,
}

impl<'d> PendingReport<'d> {
    fn of(
        device: &'d Device<'d>,
        locked: Locked,
        store: RecordStore,
        report: &DatabaseReport,
    ) -> PendingReport<'d> {
        let at_target = report.version == Some(device.catalog.target());
        let reported = ReportEnd { at_target, said: report.must_be_closed };
        let learns = (report.usable && store.must_learn(&reported)).then_some(reported);
        PendingReport { device, locked, store, learns, acted: report.operation.is_some() }
    }

    /// Something is still to be written once the report is out.
    pub fn is_needed(&self) -> bool {
        self.locked.writable() && (self.learns.is_some() || self.acted)
    }

    /// The report is out: its operation has ended, a loss in it has been said, a token in it is handled, old copies may go.
    pub fn delivered(mut self) {
        if !self.locked.writable() {
            return;
        }
        if let Some(reported) = &self.learns {
            if let Err(failure) = self.store.close_reported(self.device, reported) {
                let next =
                    if reported.said { "says once more what this one did" } else { "writes it" };
                log::warn!("{}: {failure}; the next boot {next}.", self.device.settings.name);
            }
        }
        if self.acted {
            prune(self.device, &self.store);
        }
    }
}

/// Looks and decides; carries out nothing.
///
/// # Errors
/// What stands in the way of looking.
pub fn look(device: &Device<'_>, request: Request) -> Result<(Facts, Plan), Failure> {
    let locked = look_only(device)?;
    let mut store = RecordStore::look(device)?;
    understood(device, &store)?;
    let ask = Ask { request: &request, tried: &[], closeness: Closeness::Boot, may_write: false };
    let seen = inspect(device, &locked, &mut store, &ask)?;
    let waiting =
        device.state.ready_operations(device.disk()).is_ok_and(|operations| !operations.is_empty());
    let plan = if waiting {
        Plan::Recover { why: "a replacement was cut off, and its ready file takes the name first" }
    } else {
        decide(&seen.facts, &Policy::of(device.settings))
    };
    Ok((seen.facts, plan))
}

/// A device that was never here before: what is refused anyway gets no state folder beside it.
fn refused_untouched(
    device: &Device<'_>,
    asked: &BootRequest,
) -> Result<Option<DatabaseReport>, Failure> {
    if device.disk().walk_to(&device.state.root).unwrap_or(false) {
        return Ok(None);
    }
    let (facts, plan) = look(device, asked.request.clone())?;
    match plan {
        Plan::Refuse(refusal) => Ok(Some(DatabaseReport::ended(
            device,
            &facts,
            &Plan::Refuse(refusal.clone()),
            Ending::Refused(refusal),
            &[],
        ))),
        _ => Ok(None),
    }
}

fn roll_forward_here(
    device: &Device<'_>,
    locked: &Locked,
    store: &mut RecordStore,
) -> Result<Vec<Replaced>, Failure> {
    if locked.writable() {
        roll_forward(device, locked, store)
    } else {
        Ok(Vec::new())
    }
}

/// Plans until one ends the run: the first, or the fallback after a failure, or a second look.
fn fallbacks(
    run: &mut Run<'_>,
    asked: &BootRequest,
    others: &dyn Others,
    rolled: &mut Vec<Replaced>,
) -> Result<DatabaseReport, Failure> {
    let device = run.device;
    let policy = Policy::of(device.settings);
    let (mut tried, mut notes): (Vec<Attempt>, Vec<String>) = (Vec::new(), Vec::new());
    let mut closeness = first_look(run.store, &asked.request);
    let mut next: Option<(Inspection, Plan)> = None;
    for _ in 0..ROUNDS_MAX {
        let (seen, plan) = match next.take() {
            Some(fallback) => fallback,
            None => {
                let ask =
                    Ask { request: &asked.request, tried: &tried, closeness, may_write: true };
                let seen = inspect(device, run.locked, run.store, &ask)?;
                let plan = decide(&seen.facts, &policy);
                (seen, plan)
            }
        };
        log::info!("{}: plan: {plan}.", device.settings.name);
        let facts = seen.facts.clone();
        match operation::carry_out(run, &seen, &plan, asked, others)
            .map_err(|failure| device.naming_the_refused(failure))
        {
            // A damaged journal rolls back only a part of what it should, and SQLite says nothing.
            Ok(Ending::LookAgain)
                if matches!(plan, Plan::Recover { .. })
                    && within_budget(device, facts.room.size) =>
            {
                closeness = Closeness::Everything;
            }
            Ok(Ending::LookAgain) => {}
            Ok(Ending::Adopted(note)) => notes.push(note),
            Ok(Ending::Repaired(replaced)) => {
                closeness = Closeness::Boot;
                rolled.push(replaced);
            }
            Ok(ended) => {
                return Ok(DatabaseReport::ended(device, &facts, &plan, ended, rolled).after(notes));
            }
            Err(mut failure) => {
                if failure.class == Class::Damaged
                    && closeness == Closeness::Everything
                    && matches!(
                        plan,
                        Plan::Migrate { .. } | Plan::MigrateCopy { .. } | Plan::Downgrade { .. }
                    )
                {
                    // Everything was checked and is whole: what SQLite calls corrupt is the migration's own doing.
                    failure.class = Class::Failed;
                    run.store.count_failure(device, &failure);
                }
                let by_policy =
                    after_failure(&plan, failure.class, &failure.to_string(), &facts, &policy);
                match last_word(device, (&plan, &failure), by_policy, &facts) {
                    NextPlan::Stop(Stop::AsItFailed) => {
                        return Ok(DatabaseReport::failed(device, Some(&facts), &failure))
                    }
                    NextPlan::Stop(Stop::FreshBuildFailed) => {
                        return Ok(DatabaseReport::fresh_build_failed(device, &facts, &failure))
                    }
                    NextPlan::LookForDamage => closeness = Closeness::Everything,
                    NextPlan::Without(repair) => {
                        log::warn!(
                            "{}: {failure}; what comes next in the configured order is tried.",
                            device.settings.name
                        );
                        tried.push(repair);
                    }
                    NextPlan::Plan(fallback) => {
                        log::warn!("{}: {failure}; next: {fallback}.", device.settings.name);
                        next = Some((seen, fallback));
                    }
                }
            }
        }
    }
    Err(Failure::new(
        Class::Defect,
        Op("carry out"),
        format!("{ROUNDS_MAX} plans did not end this run"),
    ))
}

fn first_look(store: &RecordStore, request: &Request) -> Closeness {
    match request {
        // A technician is waiting: whatever is damaged is to be found now.
        Request::PurgeAndRetry => Closeness::Everything,
        // It is refused where the file is still damaged: that costs no opening for a migration, which would be a write at each boot.
        Request::Boot if is_worn_out(&store.open_operation()) => Closeness::Everything,
        Request::Boot
        | Request::Retry
        | Request::Rollback
        | Request::Purge
        | Request::Restore(_) => Closeness::Boot,
    }
}

/// A token is honoured once: one whose operation is done, or that was there when the record was lost, asks for nothing.
fn still_asked(
    device: &Device<'_>,
    locked: &Locked,
    store: &mut RecordStore,
    asked: &BootRequest,
    rolled: &[Replaced],
) -> Result<BootRequest, Failure> {
    if asked.token.is_empty() {
        return Ok(asked.clone());
    }
    let open = store.record().open.clone();
    let rolled_forward = open.is_some_and(|open| {
        open.token == asked.token && rolled.iter().any(|done| done.operation == open.number)
    });
    // Whether its operation is done, the database knows.
    let ask =
        Ask { request: &Request::Boot, tried: &[], closeness: Closeness::Boot, may_write: true };
    let mut seen = inspect(device, locked, store, &ask)?;
    // A hot journal hides it; one that cannot be recovered hides it from everybody.
    if seen.facts.database == DatabaseState::NeedsRecovery
        && locked.writable()
        && recover(device, seen.main.as_ref()).is_ok()
    {
        drop(seen);
        seen = inspect(device, locked, store, &ask)?;
    }
    let committed = seen.history.as_ref().and_then(|history| history.token.as_deref())
        == Some(asked.token.as_str());
    // Or the ready file that had its operation's number: an application's hot journal may hide what the new database knows.
    if !committed && !rolled_forward && !store.knows_token(&asked.token) {
        // Its operation was cut off: it goes on with the tries it has left, and a word that stays does not make them endless.
        let goes_on = store.open_token() == asked.token;
        let worn_out =
            asked.request == Request::Retry || store.tries().interrupted >= INTERRUPTED_MAX;
        let request = if goes_on && worn_out { Request::Boot } else { asked.request.clone() };
        return Ok(BootRequest { request, token: asked.token.clone() });
    }
    log::info!("{}: the request {} was handled before.", device.settings.name, asked.token);
    store.remember_token(device, &asked.token);
    Ok(BootRequest { request: Request::Boot, token: String::new() })
}
