//! Owns `rehearse`: the next boot's real migration on a copy, beside the running applications,
//! thrown away.
//! Promises: the exit code is the one the next boot would have; the live database is read as an
//! application reads it.
//! Never makes a ready file or a report on /run.

use serde::Serialize;

use crate::boot::{boot, look, BootRequest};
use crate::commands::run::lines;
use crate::commands::status::pending_exit;
use crate::commands::{changes, lacking, CommandContext, Lines, Printed};
use crate::decide::facts::{DatabaseState, Request};
use crate::decide::plan::Plan;
use crate::decide::replacement::Replacement;
use crate::decide::space::RUN_AGAIN;
use crate::device::files::SnapshotName;
use crate::device::Device;
use crate::error::exit::gravest;
use crate::error::Failure;
use crate::ops::lock::lock;
use crate::ops::rehearse::{stage, NextBoot};
use crate::ops::room::explained;
use crate::ops::store::RecordStore;
use crate::report::{DatabaseReport, SCHEMA};

#[derive(Debug, Serialize)]
struct Rehearsals {
    schema: u32,
    exit: u8,
    databases: Vec<Rehearsal>,
}

/// How it went on a copy.
#[derive(Debug, Serialize)]
struct Rehearsal {
    name: String,
    exit: u8,
    plan: String,
    /// What the run on the copy reported; `null` where there was nothing to rehearse.
    report: Option<DatabaseReport>,
    duration_ms: u64,
    /// Bytes of the copy and of what the run made beside it.
    bytes: u64,
    #[serde(skip)]
    lines: Vec<String>,
}

/// Rehearses each database.
pub fn rehearse(context: &CommandContext<'_>) -> Printed {
    // The copy lies beside the database.
    if let Err(printed) = changes(context) {
        return printed;
    }
    let databases: Vec<Rehearsal> = context
        .devices
        .iter()
        .map(|device| one(device).unwrap_or_else(|failure| cannot(device, failure)))
        .collect();
    let exit = gravest(databases.iter().map(|one| one.exit));
    if context.command.json {
        return Printed::answer(Lines::json(&Rehearsals { schema: SCHEMA, exit, databases }), exit);
    }
    Printed::answer(databases.iter().flat_map(|one| &one.lines).collect(), exit)
}

fn cannot(device: &Device<'_>, failure: Failure) -> Rehearsal {
    let failure = explained(device, failure);
    let name = device.settings.name.clone();
    let lines = match lacking(device, &failure, RUN_AGAIN) {
        Some((why, next)) => vec![format!(
            "{name}: cannot be rehearsed: {why}{failure}; the database is as it was. Next: {next}."
        )],
        None => vec![format!("{name}: cannot be rehearsed: {failure}; the database is as it was.")],
    };
    Rehearsal {
        name,
        exit: failure.class.exit().code,
        plan: String::new(),
        report: None,
        duration_ms: 0,
        bytes: 0,
        lines,
    }
}

fn one(device: &Device<'_>) -> Result<Rehearsal, Failure> {
    let (facts, plan) = look(device, Request::Boot)?;
    let name = device.settings.name.clone();
    // Where a cut-off replacement waits, no copy of main says what comes of it.
    let waits =
        device.state.ready_operations(device.disk()).is_ok_and(|operations| !operations.is_empty());
    if waits || matches!(plan, Plan::Quiet { .. } | Plan::UseNewer { .. } | Plan::Refuse(_)) {
        let lines = vec![format!("{name}: nothing to rehearse: {plan}.")];
        let exit = pending_exit(device, &plan);
        return Ok(Rehearsal {
            name,
            exit,
            plan: plan.to_string(),
            report: None,
            duration_ms: 0,
            bytes: 0,
            lines,
        });
    }
    let locked = lock(device)?;
    RecordStore::look(device)?.no_wipe_waits(device)?;
    let began = std::time::Instant::now();
    let stage = stage(device, &locked, &next(&facts.database, &plan))?;
    let copy = device.copied_to(stage.main.clone());
    let (report, pending_report) = boot(&copy, &BootRequest::of(Request::Boot));
    drop(pending_report);
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let bytes = stage.bytes();
    let mut lines = lines(&report).into_iter();
    let mut said = vec![format!(
        "{} (rehearsed on a copy: {duration_ms} ms, {bytes} bytes beside the database)",
        lines.next().unwrap_or_default()
    )];
    said.extend(lines);
    Ok(Rehearsal {
        name,
        exit: report.exit,
        plan: plan.to_string(),
        report: Some(report),
        duration_ms,
        bytes,
        lines: said,
    })
}

fn next(database: &DatabaseState, plan: &Plan) -> NextBoot {
    let snapshot = match plan {
        Plan::Replace { by: Replacement::Snapshot { version, operation }, .. } => {
            Some(SnapshotName { version: *version, operation: *operation })
        }
        _ => None,
    };
    NextBoot {
        as_it_lies: matches!(
            database,
            DatabaseState::Damaged { .. } | DatabaseState::Lost { .. } | DatabaseState::Absent
        ),
        snapshot,
        another: match plan {
            Plan::Replace { by: Replacement::Carried(_), .. } => true,
            Plan::Replace { by, .. } => by.is_repair(),
            _ => false,
        },
    }
}
