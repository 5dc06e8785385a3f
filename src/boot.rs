//! Owns a boot of one database: lock, roll forward, inspect, decide, carry out, or the next
//! fallback.
//! Promises: reads as the README says it; the number of plans is bounded; a loss is reported before
//! it is forgotten.
//! Never looks at a file itself, and never decides.

pub mod group;
mod last_word;
mod operation;
mod scrubbed;

use self::last_word::last_word;
use crate::decide::decision::decide;
use crate::decide::facts::{DatabaseState, Facts, Request};
use crate::decide::fallback::{after_failure, NextPlan, Stop};
use crate::decide::limits::is_worn_out;
use crate::decide::plan::Plan;
use crate::decide::policy::{Policy, FAILED_MAX, INTERRUPTED_MAX, ROUNDS_MAX};
use crate::decide::replacement::Replacement;
use crate::device::disk::Op;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::by_hand::understood;
use crate::ops::group::{Alone, Others};
use crate::ops::inspect::{inspect, Ask, Closeness, Inspection};
use crate::ops::lock::{lock, look_only, Locked};
use crate::ops::prune::prune;
use crate::ops::recover::recover;
use crate::ops::replace::{roll_forward, Replaced};
use crate::ops::run::Run;
use crate::ops::scrub::ScrubNote;
use crate::ops::store::{RecordStore, ReportEnd};
use crate::ops::verify::within_budget;
use crate::ops::wipe;
use crate::report::{DatabaseReport, Ending, LastFailure};

/// Who asks for a run, and with which token.
#[derive(Debug, Clone)]
pub struct BootRequest {
    /// A boot, `--retry`, `--purge-and-retry` or `purge`.
    pub request: Request,
    /// From a marker file or the kernel's command line; empty for an operator at a console.
    pub token: String,
    /// What else is asked for there, where this was handled before.
    pub next: Option<Box<BootRequest>>,
}

impl BootRequest {
    /// By an operator at a console, or by nobody in particular.
    pub fn of(request: Request) -> BootRequest {
        BootRequest { request, token: String::new(), next: None }
    }

    /// The tokens of all that is asked for.
    pub fn tokens(&self) -> Vec<String> {
        std::iter::successors(Some(self), |asked| asked.next.as_deref())
            .map(|asked| asked.token.clone())
            .filter(|token| !token.is_empty())
            .collect()
    }
}

/// Brings one database to this firmware's schema, or says why not. What is forgotten once it has
/// been said waits in [`PendingReport`].
pub fn boot<'d>(
    device: &'d Device<'d>,
    asked: &BootRequest,
) -> (DatabaseReport, Option<PendingReport<'d>>) {
    booted(device, asked, &Alone, &mut Done::default())
}

/// The same beside others that may go together with it.
///
/// `done`: in, what was done when this database was only asked; out, that and what this run did.
fn booted<'d>(
    device: &'d Device<'d>,
    asked: &BootRequest,
    others: &dyn Others,
    done: &mut Done,
) -> (DatabaseReport, Option<PendingReport<'d>>) {
    let (report, pending_report) = run(device, asked, others, done).unwrap_or_else(|failure| {
        (done.told_by(DatabaseReport::failed(device, None, &failure)), None)
    });
    (report.asked_by(&asked.request), pending_report)
}

/// What was done on the way to a report, and belongs in it however the run ends.
#[derive(Debug, Default)]
struct Done {
    /// Another database took the old one's place.
    rolled: Vec<Replaced>,
    /// Worth knowing, a sentence each.
    notes: Vec<String>,
}

impl Done {
    /// The report of a database that may not be opened, with all of it.
    fn told_by(&self, mut report: DatabaseReport) -> DatabaseReport {
        report.notes.extend(self.rolled.iter().filter_map(Replaced::loss_sentence));
        report.after_replacement(&self.rolled).after(self.notes.clone())
    }
}

fn run<'d>(
    device: &'d Device<'d>,
    asked: &BootRequest,
    others: &dyn Others,
    done: &mut Done,
) -> Result<(DatabaseReport, Option<PendingReport<'d>>), Failure> {
    device.stop_here(Op("begin"))?;
    // What was mounted while another database was worked on counts.
    device.disk().begin_in(device.files.folder());
    if let Some(report) = refused_untouched(device, asked)? {
        return Ok((report, None));
    }
    let locked = lock(device)?; // one migrator per database
    let mut store = RecordStore::open_to_begin(device, &locked)?;
    // Nothing of what an operator gave up is looked at any more.
    if wipe::finish(device, &locked, &mut store)? {
        done.notes.push("a wipe that was cut off was finished first".to_owned());
    }
    // A ready file of an earlier boot takes its name.
    done.rolled.extend(roll_forward_here(device, &locked, &mut store)?);
    understood(device, &store)?;
    // A token is honoured once.
    let asked = &still_asked(device, &locked, &mut store, asked, &done.rolled)?;
    // What a scrub found is looked for.
    let note = ScrubNote::of(device, &locked)?;
    let mut run = Run { device, locked: &locked, store: &mut store };
    // Inspect, decide, carry out, at most so often.
    let mut suspected = note.found.is_some();
    let mut report = fallbacks(&mut run, asked, &mut suspected, others, done)?;
    scrubbed::tell(device, &note, suspected, &mut report);
    if !report.usable {
        report.last_failure = store
            .last_failure(false)
            .map(|failure| LastFailure::of(&device.settings.name, failure));
        report = done.told_by(report);
    } else {
        report = report.after(done.notes.clone());
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
        let (said, losses) = (report.must_be_closed, report.told.clone());
        let reported = ReportEnd { at_target, said, losses };
        let learns = (report.usable && store.must_learn(&reported)).then_some(reported);
        PendingReport { device, locked, store, learns, acted: report.operation.is_some() }
    }

    /// Something is still to be written once the report is out.
    pub fn is_needed(&self) -> bool {
        self.locked.writable() && (self.learns.is_some() || self.acted)
    }

    /// The report is out: its operation has ended, a loss in it has been said, a token in it is
    /// handled, old copies may go.
    pub fn delivered(mut self) {
        if !self.locked.writable() {
            return;
        }
        if self.acted {
            // While the record has the losses that were told just now: their sets stay.
            prune(self.device, &self.store);
        }
        if let Some(reported) = &self.learns {
            if let Err(failure) = self.store.close_reported(self.device, reported) {
                let next =
                    if reported.said { "says once more what this one did" } else { "writes it" };
                log::warn!("{}: {failure}; the next boot {next}.", self.device.settings.name);
            }
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
    store.no_wipe_waits(device)?;
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
    let (facts, plan) = match look(device, asked.request.clone()) {
        // It was here: that its folder was not seen is what the lock says better.
        Err(failure) if failure.class == Class::Waits => return Ok(None),
        looked => looked?,
    };
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
/// `suspected`: in, a scrub found something; out, everything was checked for it.
fn fallbacks(
    run: &mut Run<'_>,
    asked: &BootRequest,
    suspected: &mut bool,
    others: &dyn Others,
    done: &mut Done,
) -> Result<DatabaseReport, Failure> {
    let device = run.device;
    let policy = Policy::of(device.settings);
    let mut tried: Vec<Replacement> = Vec::new();
    let mut closeness = first_look(run.store, &asked.request, *suspected);
    let mut next: Option<(Inspection, Plan)> = None;
    for _ in 0..ROUNDS_MAX {
        let ask = Ask { request: &asked.request, tried: &tried, closeness, may_write: true };
        let (seen, plan) = match next.take() {
            Some(fallback) => fallback,
            None => looked(run, ask, &policy, suspected, &mut closeness)?,
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
            Ok(Ending::Adopted(note)) => done.notes.push(note),
            Ok(Ending::Repaired(replaced)) => {
                closeness = Closeness::Boot;
                done.rolled.push(replaced);
            }
            Ok(ended) => {
                return Ok(DatabaseReport::ended(device, &facts, &plan, ended, &done.rolled));
            }
            Err(mut failure) => {
                blame_the_migration(run, &plan, closeness, &mut failure);
                match after(device, (&plan, &failure), &facts, &policy) {
                    NextPlan::Stop(Stop::AsItFailed) => {
                        operation::ended(run, asked, &failure);
                        return Ok(DatabaseReport::failed(device, Some(&facts), &failure));
                    }
                    NextPlan::Stop(Stop::FreshBuildFailed) => {
                        return Ok(DatabaseReport::fresh_build_failed(device, &facts, &failure))
                    }
                    NextPlan::LookForDamage => closeness = Closeness::Everything,
                    NextPlan::Without(by) => {
                        log::warn!(
                            "{}: {failure}; what comes next in the configured order is tried.",
                            device.settings.name
                        );
                        tried.push(by);
                    }
                    NextPlan::Plan(fallback) => {
                        log::warn!("{}: {failure}; next: {fallback}.", device.settings.name);
                        next = Some((seen, fallback));
                    }
                }
            }
        }
    }
    let cause = format!("{ROUNDS_MAX} plans did not end this run");
    Err(Failure::new(Class::Defect, Op("carry out"), cause))
}

fn look_and_decide(
    run: &mut Run<'_>,
    ask: &Ask<'_>,
    policy: &Policy,
) -> Result<(Inspection, Plan), Failure> {
    let seen = inspect(run.device, run.locked, run.store, ask)?;
    let plan = decide(&seen.facts, policy);
    Ok((seen, plan))
}

/// What follows a failure by the policy, and by the product's last word on it.
fn after(
    device: &Device<'_>,
    (plan, failure): (&Plan, &Failure),
    facts: &Facts,
    policy: &Policy,
) -> NextPlan {
    let by_policy = after_failure(plan, failure.class, &failure.to_string(), facts, policy);
    last_word(device, (plan, failure), by_policy, facts)
}

/// Where everything was checked and is whole, what SQLite calls corrupt is the migration's own
/// doing.
fn blame_the_migration(
    run: &mut Run<'_>,
    plan: &Plan,
    closeness: Closeness,
    failure: &mut Failure,
) {
    if failure.class == Class::Damaged
        && closeness == Closeness::Everything
        && matches!(
            plan,
            Plan::Migrate { .. }
                | Plan::MigrateCopy { .. }
                | Plan::Replace { by: Replacement::Downgraded { .. }, .. }
        )
    {
        failure.class = Class::Failed;
        run.store.count_failure(run.device, failure);
    }
}

/// Looks and decides. Where the medium does not give what a full check asks for, as at any boot:
/// what a scrub has noted is no reason to keep an application from what it could read.
fn looked(
    run: &mut Run<'_>,
    ask: Ask<'_>,
    policy: &Policy,
    suspected: &mut bool,
    closeness: &mut Closeness,
) -> Result<(Inspection, Plan), Failure> {
    match look_and_decide(run, &ask, policy) {
        Err(failure) if std::mem::take(suspected) && failure.class == Class::Storage => {
            log::warn!("{}: {failure}; not checked in full.", run.device.settings.name);
            *closeness = Closeness::Boot;
            look_and_decide(run, &Ask { closeness: Closeness::Boot, ..ask }, policy)
        }
        looked => looked,
    }
}

fn first_look(store: &RecordStore, request: &Request, suspected: bool) -> Closeness {
    match request {
        Request::Boot | Request::Migrate | Request::Retry | Request::Rollback if suspected => {
            Closeness::Everything
        }
        // A technician is waiting: whatever is damaged is to be found now.
        Request::PurgeAndRetry => Closeness::Everything,
        // It is refused where the file is still damaged: that costs no opening for a migration,
        // which would be a write at each boot.
        Request::Boot | Request::Migrate | Request::Retry
            if is_worn_out(&store.open_operation()) || store.failed_repairs() >= FAILED_MAX =>
        {
            Closeness::Everything
        }
        Request::Boot
        | Request::Migrate
        | Request::Retry
        | Request::Rollback
        | Request::Purge
        | Request::Restore(_) => Closeness::Boot,
    }
}

/// A token is honoured once: one whose operation is done, or that was there when the record was
/// lost, asks for nothing.
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
    store.present = asked.tokens();
    let open = store.record().open.clone();
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
    let in_the_database =
        seen.history.as_ref().and_then(|history| history.token.clone()).unwrap_or_default();
    // One that stays on the command line hides none behind it.
    let mut left = Some(asked);
    while let Some(asked) = left {
        // Or the ready file that had its operation's number: an application's hot journal may hide
        // what the new database knows.
        let rolled_forward = open.as_ref().is_some_and(|open| {
            open.token == asked.token && rolled.iter().any(|done| done.operation == open.number)
        });
        if in_the_database != asked.token && !rolled_forward && !store.knows_token(&asked.token) {
            // Its operation was cut off: it goes on with the tries it has left, and a word that
            // stays does not make them endless.
            let goes_on = store.open_token() == asked.token;
            let worn_out = asked.request == Request::Retry
                || store.tries().interrupted >= INTERRUPTED_MAX
                || is_worn_out(&store.open_operation());
            let request = if goes_on && worn_out { Request::Boot } else { asked.request.clone() };
            return Ok(BootRequest { token: asked.token.clone(), ..BootRequest::of(request) });
        }
        log::info!("{}: the request {} was handled before.", device.settings.name, asked.token);
        store.remember_token(device, &asked.token);
        left = asked.next.as_deref();
    }
    Ok(BootRequest::of(Request::Boot))
}
