//! Owns `doctor`: everything that can be looked at, each finding with what it means and the command
//! that repairs it.
//! Promises: reads only, beside running applications; a finding without a repair says so.
//! Never repairs anything.

mod content;
mod files;

use serde::Serialize;

use self::content::the_content;
use self::files::the_files;

use crate::boot::look;
use crate::commands::status::pending_exit;
use crate::commands::{CommandContext, Lines, Printed};
use crate::decide::facts::{Facts, Request, Room};
use crate::decide::plan::Plan;
use crate::device::Device;
use crate::error::exit::{self, gravest};
use crate::ops::examine::{outside, quarantine, record, snapshots, RecordState};
use crate::report::{LastFailure, SCHEMA};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing must be done.
    Note,
    /// Something must be done.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    about: &'static str,
    what: String,
    /// What it means for the device.
    means: String,
    /// The command that repairs it, or what an operator does.
    repair: String,
}

/// What was found about one database.
#[derive(Debug, Serialize)]
struct Findings {
    name: String,
    exit: u8,
    findings: Vec<Finding>,
}

/// Of all of them.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    schema: u32,
    exit: u8,
    databases: Vec<Findings>,
}

/// Looks, and prints.
pub fn doctor(context: &CommandContext<'_>, full: bool) -> Printed {
    let diagnosis = diagnose(context, full);
    let text = match context.command.json {
        true => Lines::json(&diagnosis),
        false => diagnosis.databases.iter().flat_map(lines).collect(),
    };
    Printed::answer(text, diagnosis.exit)
}

/// Looks at each database.
pub fn diagnose(context: &CommandContext<'_>, full: bool) -> Diagnosis {
    let databases: Vec<Findings> = context.devices.iter().map(|device| of(device, full)).collect();
    Diagnosis { schema: SCHEMA, exit: gravest(databases.iter().map(|one| one.exit)), databases }
}

fn lines(findings: &Findings) -> Vec<String> {
    let mut lines = vec![findings.name.clone()];
    for one in &findings.findings {
        let mark = match one.level {
            Level::Ok => "ok     ",
            Level::Note => "note   ",
            Level::Problem => "PROBLEM",
        };
        lines.push(format!("  {mark}  {:<11} {}", one.about, one.what));
        if one.level != Level::Ok {
            lines.push(format!("           means       {}", one.means));
            lines.push(format!("           do          {}", one.repair));
        }
    }
    lines
}

/// Collects findings.
#[derive(Default)]
struct Chart {
    findings: Vec<Finding>,
    exits: Vec<u8>,
}

impl Chart {
    fn ok(&mut self, about: &'static str, what: impl Into<String>) {
        self.add(Level::Ok, about, what.into(), "", "");
    }

    fn note(&mut self, about: &'static str, what: impl Into<String>, means: &str, repair: &str) {
        self.add(Level::Note, about, what.into(), means, repair);
    }

    fn problem(
        &mut self,
        exit: u8,
        about: &'static str,
        what: impl Into<String>,
        means: &str,
        repair: &str,
    ) {
        self.exits.push(exit);
        self.add(Level::Problem, about, what.into(), means, repair);
    }

    fn add(&mut self, level: Level, about: &'static str, what: String, means: &str, repair: &str) {
        self.findings.push(Finding {
            level,
            about,
            what,
            means: means.to_owned(),
            repair: repair.to_owned(),
        });
    }
}

fn of(device: &Device<'_>, full: bool) -> Findings {
    let mut chart = Chart { exits: vec![0], ..Chart::default() };
    let looked = look(device, Request::Boot);
    match &looked {
        Ok((facts, plan)) => the_plan(device, facts, plan, &mut chart),
        Err(failure) => chart.problem(
            failure.class.exit().code,
            "next boot",
            failure.to_string(),
            "the next run would stop here too",
            "look at the storage, the mount and at who owns the files",
        ),
    }
    match outside(device) {
        Ok(seen) => {
            the_files(device, &seen, &mut chart);
            the_content(device, &seen, full, &mut chart);
        }
        Err(failure) => chart.problem(
            failure.class.exit().code,
            "files",
            failure.to_string(),
            "they cannot be looked at",
            "look at the storage",
        ),
    }
    the_space(device, &mut chart);
    the_copies(device, &mut chart);
    the_record(device, &mut chart);
    Findings {
        name: device.settings.name.clone(),
        exit: gravest(chart.exits.into_iter()),
        findings: chart.findings,
    }
}

fn the_plan(device: &Device<'_>, facts: &Facts, plan: &Plan, chart: &mut Chart) {
    let name = &device.settings.name;
    match plan {
        Plan::Quiet { .. } | Plan::UseNewer { .. } => chart.ok("next boot", plan.to_string()),
        Plan::Refuse(refusal) => {
            chart.problem(
                pending_exit(device, plan),
                "next boot",
                plan.to_string(),
                "its application may not open it",
                &refusal.next,
            );
        }
        _ => chart.problem(
            pending_exit(device, plan),
            "next boot",
            plan.to_string(),
            "work is pending, and its application may not open it before",
            &format!("stop the applications, then `bootmigrate run --db {name}`"),
        ),
    }
    let (failed, interrupted) = (facts.failed_tries(), facts.tries.interrupted);
    if u16::from(failed) + u16::from(interrupted) > 0 {
        let what = format!("{failed} failed, {interrupted} interrupted");
        let repair =
            format!("`bootmigrate run --retry --db {name}` forgets them and tries once more");
        chart.note(
            "tries",
            what,
            "3 failed or 5 interrupted tries of one firmware, and it is left alone",
            &repair,
        );
    }
    if let Some(failure) = &facts.last_failure {
        let repair =
            "install firmware whose migrations work on these rows, or mend what stood in their way";
        chart.note(
            "failure",
            LastFailure::of(name, failure).line(),
            "why the last try failed; kept until one succeeds",
            repair,
        );
    }
    for loss in &facts.losses {
        chart.note(
            "loss",
            format!("lost: {} (quarantine/{})", loss.text, loss.operation),
            "an earlier run had no time to say so",
            "the next run says it (exit 11)",
        );
    }
}

fn the_space(device: &Device<'_>, chart: &mut Chart) {
    let Ok(space) = device.space() else { return };
    let size = device.disk().stat(&device.files.main).ok().flatten().map_or(0, |main| main.size);
    let room = Room {
        available: space.available,
        total: space.total,
        size,
        reclaimable: 0,
        asked: 0,
        needed: None,
    };
    let what = match space.is_known() {
        true => format!("{} bytes free of {}", space.available, space.total),
        false => "the file system does not say how much is free".to_owned(),
    };
    if space.inodes == Some(0) {
        chart.note(
            "space",
            "no inode is free",
            "no new file can be made: nothing can be migrated",
            "remove files from this file system",
        );
    }
    match (space.read_only, room.fits(0)) {
        (true, _) => chart.note(
            "space",
            "the file system is mounted read-only",
            "nothing can be migrated",
            "make it writable",
        ),
        (false, true) => chart.ok("space", what),
        (false, false) => {
            let means = format!(
                "a snapshot needs {} bytes, so the next migration goes without one, or is refused",
                room.for_a_copy()
            );
            chart.note(
                "space",
                what,
                &means,
                "free space; `bootmigrate snapshot prune` removes old copies",
            );
        }
    }
}

fn the_copies(device: &Device<'_>, chart: &mut Chart) {
    let name = &device.settings.name;
    match snapshots(device, true) {
        Ok(found) => {
            for one in &found {
                match &one.good {
                    Some(Err(why)) => chart.note(
                        "snapshots",
                        format!("{} is not good: {why}", one.name),
                        "it cannot take the database's place",
                        &format!("`bootmigrate snapshot create --db {name}` makes a good one"),
                    ),
                    _ => chart.ok("snapshots", format!("{}, {} bytes, good", one.name, one.bytes)),
                }
            }
            if found.is_empty() {
                chart.ok("snapshots", "none");
            }
        }
        Err(failure) => chart.note(
            "snapshots",
            failure.to_string(),
            "they cannot be looked at",
            "look at who owns the state folder",
        ),
    }
    for one in quarantine(device).unwrap_or_default() {
        let what = format!("{}: {} bytes, because {}", one.operation, one.bytes, one.reason);
        chart.note(
            "quarantine",
            what,
            "files that were set aside, whole",
            "copy it for support; it goes when quarantine_max is reached",
        );
    }
}

fn the_record(device: &Device<'_>, chart: &mut Chart) {
    match record(device) {
        Ok(RecordState::NothingYet) => chart.ok("record", "none; the first run makes it"),
        Ok(RecordState::Blank) => chart.ok("record", "whole, and nothing was begun yet"),
        Ok(RecordState::Whole(operation)) => {
            chart.ok("record", format!("whole; the last operation was number {operation}"))
        }
        Ok(RecordState::Lost) => chart.note(
            "record",
            "it is gone, or neither of its two halves is whole",
            "tries that were counted, and tokens that were honoured, are forgotten; they count as \
             none",
            "nothing; the next run that writes rebuilds it",
        ),
        Ok(RecordState::Format(format)) => chart.problem(
            exit::NEWER.code,
            "record",
            format!("its format is {format}, which this firmware does not know"),
            "newer firmware wrote it; nothing is touched",
            "boot the newer firmware",
        ),
        Err(failure) => chart.note(
            "record",
            failure.to_string(),
            "it cannot be looked at",
            "look at who owns the state folder",
        ),
    }
}
