//! Owns the story of a boot, for one database: lock, roll forward, inspect, decide, carry out, or the ladder's next plan.
//! Promises: reads as the README says it; the number of plans is bounded; what is given up is reported before it is forgotten.
//! Never looks at a file itself, and never decides.

mod act;

use crate::decide::facts::{Facts, Request, Tried};
use crate::decide::ladder::{after_failure, Next, Stop};
use crate::decide::plan::{decide, Plan};
use crate::decide::policy::{Policy, ROUNDS_MAX};
use crate::device::disk::Step;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::report::{DatabaseReport, Ended};
use crate::steps::inspect::{inspect, Ask, Closeness, Seen};
use crate::steps::ledger::Ledger;
use crate::steps::lock::{lock, look_only, Locked};
use crate::steps::prune::prune;
use crate::steps::replace::{roll_forward, Replaced};

/// Who asks for a run, and with which token.
#[derive(Debug, Clone)]
pub struct Asked {
    /// A boot, `--retry`, `--purge-and-retry` or `purge`.
    pub request: Request,
    /// From a marker file or the kernel's command line; empty for a person at a console.
    pub token: String,
}

/// Brings one database to this firmware's schema, or says why not. `publish` is called where something in the report is
/// forgotten once it has been said: it must be out before.
pub fn boot(device: &Device<'_>, asked: &Asked, publish: &mut dyn FnMut(&DatabaseReport)) -> DatabaseReport {
    story(device, asked, publish).unwrap_or_else(|failure| DatabaseReport::failed(device, None, &failure))
}

fn story(device: &Device<'_>, asked: &Asked, publish: &mut dyn FnMut(&DatabaseReport)) -> Result<DatabaseReport, Failure> {
    if let Some(report) = refused_untouched(device, asked)? {
        return Ok(report);
    }
    let locked = lock(device)?; // one migrator per database
    let mut ledger = Ledger::open(device, &locked)?;
    let rolled = roll_forward_here(device, &locked, &ledger)?; // a ready file of an earlier boot takes its name
    understood(device, &ledger)?;
    let mut report = rungs(device, &locked, &mut ledger, asked, rolled)?; // inspect, decide, carry out, at most so often
    if let Some(reason) = &locked.read_only {
        report.notes.push(reason.clone());
    }
    forget_what_was_said(device, &locked, &mut ledger, &report, publish);
    Ok(report)
}

/// Looks and decides; carries out nothing.
///
/// # Errors
/// What stands in the way of looking.
pub fn look(device: &Device<'_>, request: Request) -> Result<(Facts, Plan), Failure> {
    let locked = look_only(device)?;
    let mut ledger = Ledger::look(device)?;
    understood(device, &ledger)?;
    let ask = Ask { request: &request, tried: &[], closeness: Closeness::Boot, may_write: false };
    let seen = inspect(device, &locked, &mut ledger, &ask)?;
    let plan = decide(&seen.facts, &Policy::of(device.settings));
    Ok((seen.facts, plan))
}

/// A device that was never here before: what is refused anyway gets no state folder beside it.
fn refused_untouched(device: &Device<'_>, asked: &Asked) -> Result<Option<DatabaseReport>, Failure> {
    if device.disk().stat(&device.state.root).ok().flatten().is_some() {
        return Ok(None);
    }
    let (facts, plan) = look(device, asked.request.clone())?;
    match plan {
        Plan::Refuse(refusal) => {
            Ok(Some(DatabaseReport::ended(device, &facts, &Plan::Refuse(refusal.clone()), Ended::Refused(refusal), &[])))
        }
        _ => Ok(None),
    }
}

fn roll_forward_here(device: &Device<'_>, locked: &Locked, ledger: &Ledger) -> Result<Vec<Replaced>, Failure> {
    if locked.writable() {
        roll_forward(device, locked, ledger)
    } else {
        Ok(Vec::new())
    }
}

/// A record in a format of other firmware: it may know of acts that ours would break.
fn understood(device: &Device<'_>, ledger: &Ledger) -> Result<(), Failure> {
    match ledger.unknown_format {
        None => Ok(()),
        Some(format) => {
            let cause = format!("the record is in format {format}, written by newer firmware; this one knows format 1");
            Err(Failure::new(Class::Newer, Step("read the record"), cause).at(&device.state.record()))
        }
    }
}

/// Plans until one ends the run: the first, or the rung after a failure, or a second look.
fn rungs(
    device: &Device<'_>,
    locked: &Locked,
    ledger: &mut Ledger,
    asked: &Asked,
    mut rolled: Vec<Replaced>,
) -> Result<DatabaseReport, Failure> {
    let policy = Policy::of(device.settings);
    let asked = &still_asked(device, locked, ledger, asked)?;
    let mut tried: Vec<Tried> = Vec::new();
    let mut closeness = match asked.request {
        // A technician is waiting: whatever is damaged is to be found now.
        Request::PurgeAndRetry => Closeness::Everything,
        Request::Boot | Request::Retry | Request::Purge => Closeness::Boot,
    };
    let mut next: Option<(Seen, Plan)> = None;
    for _ in 0..ROUNDS_MAX {
        let (seen, plan) = match next.take() {
            Some(rung) => rung,
            None => {
                let ask = Ask { request: &asked.request, tried: &tried, closeness, may_write: true };
                let seen = inspect(device, locked, ledger, &ask)?;
                let plan = decide(&seen.facts, &policy);
                (seen, plan)
            }
        };
        log::info!("{}: plan: {plan}.", device.settings.name);
        let facts = seen.facts.clone();
        match act::carry_out(device, locked, ledger, &seen, &plan, asked) {
            Ok(Ended::LookAgain) => {}
            Ok(Ended::Cured(replaced)) => {
                closeness = Closeness::Boot;
                rolled.push(replaced);
            }
            Ok(ended) => return Ok(DatabaseReport::ended(device, &facts, &plan, ended, &rolled)),
            Err(failure) => match after_failure(&plan, failure.class, &failure.to_string(), &facts, &policy) {
                Next::Stop(Stop::AsItFailed) => return Ok(DatabaseReport::failed(device, Some(&facts), &failure)),
                Next::Stop(Stop::FreshBuildFailed) => return Ok(DatabaseReport::fresh_build_failed(device, &facts, &failure)),
                Next::LookForDamage => closeness = Closeness::Everything,
                Next::Without(cure) => tried.push(cure),
                Next::Plan(rung) => {
                    log::warn!("{}: {failure}; next: {rung}.", device.settings.name);
                    next = Some((seen, rung));
                }
            },
        }
    }
    Err(Failure::new(Class::Defect, Step("carry out"), format!("{ROUNDS_MAX} plans did not end this run")))
}

/// A token is honoured once: one whose act is done, or that was there when the record was lost, asks for nothing.
fn still_asked(device: &Device<'_>, locked: &Locked, ledger: &mut Ledger, asked: &Asked) -> Result<Asked, Failure> {
    if asked.token.is_empty() {
        return Ok(asked.clone());
    }
    // Whether its act is done, the database knows.
    let ask = Ask { request: &Request::Boot, tried: &[], closeness: Closeness::Boot, may_write: true };
    let seen = inspect(device, locked, ledger, &ask)?;
    let committed = seen.history.as_ref().and_then(|history| history.token.as_deref()) == Some(asked.token.as_str());
    if !committed && !ledger.knows_token(&asked.token) {
        return Ok(asked.clone());
    }
    log::info!("{}: the request {} was handled before.", device.settings.name, asked.token);
    ledger.remember_token(device, &asked.token);
    Ok(Asked { request: Request::Boot, token: String::new() })
}

/// A loss in the report has been said once it is out, and a token in it is handled; old copies may go.
fn forget_what_was_said(
    device: &Device<'_>,
    locked: &Locked,
    ledger: &mut Ledger,
    report: &DatabaseReport,
    publish: &mut dyn FnMut(&DatabaseReport),
) {
    if !locked.writable() {
        return;
    }
    if report.must_be_closed || (report.usable && !ledger.open_token().is_empty()) {
        publish(report);
        if let Err(failure) = ledger.close_reported(device) {
            log::warn!("{}: {failure}; the next boot says once more what this one did.", device.settings.name);
        }
    }
    if report.act.is_some() {
        prune(device, ledger);
    }
}
