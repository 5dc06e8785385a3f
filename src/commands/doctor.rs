//! Owns `doctor`: everything that can be looked at, each finding with what it means and the command that repairs it.
//! Promises: reads only, beside running applications; a finding without a repair says so.
//! Never repairs anything.

use serde::Serialize;

use crate::boot::look;
use crate::commands::status::pending_exit;
use crate::commands::{CommandContext, Lines, Printed};
use crate::decide::facts::{Facts, Request, Room};
use crate::decide::plan::Plan;
use crate::device::mounts::Missing;
use crate::device::sqlite::version_number;
use crate::device::Device;
use crate::error::exit::{self, gravest};
use crate::ops::examine::{
    inside, outside, quarantine, record, snapshots, Header, Inside, Outside, RecordState,
};
use crate::report::{LastFailure, SCHEMA};

/// A fifth of the file holds nothing: worth a sentence.
const FREE_PERCENT_WORTH_SAYING: u64 = 20;
/// Larger than this and the application has stopped checkpointing.
const WAL_BYTES_WORTH_SAYING: u64 = 64 << 20;

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
    let tries = &facts.tries;
    if u16::from(tries.failed) + u16::from(tries.interrupted) > 0 {
        let what = format!("{} failed, {} interrupted", tries.failed, tries.interrupted);
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
    if let Some(loss) = &facts.loss {
        chart.note(
            "loss",
            format!("lost: {loss}"),
            "an earlier run had no time to say so",
            "the next run says it (exit 11)",
        );
    }
}

fn the_files(device: &Device<'_>, seen: &Outside, chart: &mut Chart) {
    match &seen.header {
        Some(header) => the_header(header, chart),
        None if seen.files.main_is_empty() => chart.note(
            "header",
            "there is no file, or it is empty",
            "a first boot makes it",
            "`bootmigrate plan` says what would be done",
        ),
        None => chart.problem(
            exit::DAMAGED.code,
            "header",
            "it is not that of an SQLite database",
            "the file is damaged, or no database",
            "see `next boot` above",
        ),
    }
    let wal = seen.files.wal.map_or(0, |wal| wal.size);
    match (seen.files.journal_has_content, wal) {
        (true, _) => chart.note(
            "journals",
            "a rollback journal has content",
            "an application is writing, or a power cut left it",
            "the next run, or the application's next read, recovers it",
        ),
        (false, 0) => chart.ok("journals", "nothing is left in them"),
        (false, wal) if wal > WAL_BYTES_WORTH_SAYING => chart.note(
            "journals",
            format!("the WAL has {wal} bytes"),
            "the application never finishes a checkpoint",
            "look for a connection that reads for ever",
        ),
        (false, wal) => {
            chart.ok("journals", format!("the WAL has {wal} bytes; it is part of the database"))
        }
    }
    the_owner(device, seen, chart);
}

fn the_header(header: &Header, chart: &mut Chart) {
    let mode = if header.wal { "WAL" } else { "rollback journal" };
    let (page, pages) = (header.page_bytes, header.pages);
    chart.ok(
        "header",
        format!(
            "{pages} pages of {page} bytes, {mode}, user_version {}, application_id {}",
            header.user_version, header.application_id
        ),
    );
    if header.sqlite > version_number() {
        let what =
            format!("last written by SQLite {}, this one is {}", header.sqlite, version_number());
        chart.note(
            "sqlite",
            what,
            "a schema with newer words may look corrupt to this firmware",
            "boot the newer firmware where something cannot be read",
        );
    }
    let free = header.free_pages.saturating_mul(page);
    if header.free_pages.saturating_mul(100) > pages.saturating_mul(FREE_PERCENT_WORTH_SAYING) {
        let repair = "a migration with `-- bootmigrate: no-transaction` and VACUUM";
        chart.note(
            "free pages",
            format!("{} of {pages} hold nothing: {free} bytes", header.free_pages),
            "they are used again; the file does not shrink by itself",
            repair,
        );
    } else {
        chart.ok("free pages", format!("{} of {pages}", header.free_pages));
    }
}

fn the_owner(device: &Device<'_>, seen: &Outside, chart: &mut Chart) {
    let Some((main, folder)) = seen.files.main.zip(seen.folder) else { return };
    let what = format!(
        "{}:{}, mode {:04o}; its folder {}:{}, mode {:04o}",
        main.uid, main.gid, main.mode, folder.uid, folder.gid, folder.mode
    );
    if main.links > 1 {
        chart.note(
            "owner",
            format!("the file has {} names (hard links)", main.links),
            "a swap would split them, so none is done",
            "remove the other names",
        );
    }
    if main.uid == folder.uid || folder.mode & 0o022 != 0 {
        chart.ok("owner", what);
    } else {
        let means = "SQLite makes its journal in the folder: an application that is not its owner cannot write";
        chart.note("owner", what, means, "give folder and file to the same user");
    }
    let Some(mount) = &device.settings.require_mount else { return };
    match device.not_mounted(mount) {
        Some(why) => {
            let (means, repair) = match why {
                Missing::NotMounted(_) => {
                    ("what is there now is not the data partition", "mount it, then run again")
                }
                Missing::Unseen(..) => (
                    "every run refuses, for it may not be the data partition",
                    "mount /proc, then run again",
                ),
            };
            chart.problem(18, "mount", why.to_string(), means, repair);
        }
        None => chart.ok("mount", format!("{}", mount.display())),
    }
}

fn the_content(device: &Device<'_>, seen: &Outside, full: bool, chart: &mut Chart) {
    if seen.header.is_none() {
        return;
    }
    let budget = if full { u64::MAX } else { u64::from(device.settings.quick_check_max_mib) << 20 };
    match inside(device, seen, budget) {
        Ok(inside) => the_pages(device, &inside, chart),
        Err(failure) => chart.note(
            "integrity",
            format!("it cannot be read now: {failure}"),
            "somebody holds it, or a journal must be recovered first",
            "stop the applications, then ask again",
        ),
    }
}

fn the_pages(device: &Device<'_>, inside: &Inside, chart: &mut Chart) {
    match &inside.wrong {
        Err(why) => {
            chart.note("integrity", format!("not checked: {why}"), "nothing is known about its pages", "`bootmigrate doctor --full`")
        }
        Ok(rows) if rows.is_empty() && inside.notes.is_empty() => chart.ok("integrity", "every page and index is whole"),
        Ok(rows) if rows.is_empty() => chart.note(
            "integrity",
            format!("every page is whole; {}", inside.notes.join("; ")),
            "no damage: the application has what this firmware does not, or has left an index that does not fit its text",
            "Migrator::on_connection registers what is missing; `INSERT INTO t(t) VALUES ('rebuild')` builds a full-text index again",
        ),
        Ok(rows) => {
            let repair = format!("copy the file for support, then `bootmigrate run --purge-and-retry --db {}`", device.settings.name);
            let what = format!("{} findings, the first: {}", rows.len(), rows.first().map_or("", String::as_str));
            chart.problem(exit::DAMAGED.code, "integrity", what, "rows may be lost; on_damage says what is tried first", &repair);
        }
    }
    match inside.contradictions.as_slice() {
        [] => chart.ok(
            "history",
            format!("{} migrations, each as this firmware has it", inside.history.len()),
        ),
        found => chart.note(
            "history",
            found.join("; "),
            "the database was made by other migrations than this firmware's",
            "see `next boot` above; a firmware with the migrations of the history fits",
        ),
    }
    let aside: Vec<&str> = inside
        .drift
        .iter()
        .filter_map(|one| one.strip_prefix("table lost_")?.split(' ').next())
        .collect();
    if !aside.is_empty() {
        let what = aside.iter().map(|table| format!("lost_{table}")).collect::<Vec<_>>().join(", ");
        let means = "rows that had no place in their tables when the database was rebuilt";
        let advice =
            format!("`bootmigrate lost list` says why; `bootmigrate lost retry --db {}` gives back what fits", device.settings.name);
        chart.note("aside", what, means, &advice);
    }
    let of_aside = |one: &str| one.starts_with("table lost_") || one.starts_with("column lost_");
    let drift: Vec<&str> =
        inside.drift.iter().map(String::as_str).filter(|one| !of_aside(one)).collect();
    match drift.as_slice() {
        [] => chart.ok("schema", format!("as the {} migrations of its history make it", inside.history.len())),
        drift => chart.note(
            "schema",
            drift.join("; "),
            "somebody changed the schema by hand, or an old tool left it; a later migration may fail on it",
            "a migration that puts it right; nothing is done by itself",
        ),
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
        Ok(RecordState::Whole(operation)) => chart.ok("record", format!("whole; the last operation was number {operation}")),
        Ok(RecordState::Lost) => chart.note(
            "record",
            "it is gone, or neither of its two halves is whole",
            "tries that were counted, and tokens that were honoured, are forgotten; they count as none",
            "nothing; the next run that writes rebuilds it",
        ),
        Ok(RecordState::Format(format)) => chart.problem(
            exit::NEWER.code,
            "record",
            format!("its format is {format}, which this firmware does not know"),
            "newer firmware wrote it; nothing is touched",
            "boot the newer firmware",
        ),
        Err(failure) => chart.note("record", failure.to_string(), "it cannot be looked at", "look at who owns the state folder"),
    }
}
