//! Owns `quarantine list | show | export | delete | restore`: what a person can do with replaced
//! database files.
//! Promises: list and show only read; export leaves a copy that is whole or none; delete and
//! restore name one database and --yes.
//! Never removes or replaces anything while a replacement that was cut off waits for its boot.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::set_aside::QuarantineVerb;
use crate::commands::restore::put_new_in_place;
use crate::commands::{changes, free_for_a_file, not_begun, CommandContext, Lines, Printed};
use crate::decide::facts::Snapshot;
use crate::device::clock::rfc3339;
use crate::device::disk::{parent, Disk, FileKind, Op};
use crate::device::Device;
use crate::error::exit::gravest;
use crate::error::{Class, Failure};
use crate::ops::by_hand::{begin, nothing_waits};
use crate::ops::examine::{quarantine as sets, Quarantined};
use crate::ops::inspect::copies::{good_copy_in_full, UnfitCopy};
use crate::ops::lock::lock;
use crate::ops::prune::last_loss;
use crate::ops::quarantine::{
    delete, export_files, files_of, may_take_in, readable, take_in, Readable, Reading, ReasonFile,
};
use crate::ops::verify::within_budget;
use crate::report::{lacking, SCHEMA};

const OP: Op = Op("look at the folder");

#[derive(Debug, Serialize)]
struct Sets {
    schema: u32,
    exit: u8,
    databases: Vec<DatabaseSets>,
}

#[derive(Debug, Serialize)]
struct DatabaseSets {
    name: String,
    quarantine: Vec<OneSet>,
}

#[derive(Debug, Serialize)]
struct OneSet {
    operation: u64,
    /// As the device's clock was then; `null` without its reason.txt.
    set_aside: Option<String>,
    reason: String,
    data_lost: String,
    bytes: u64,
    files: Vec<OneFile>,
    /// `whole`, `on-pages`, `none`; `null` where it was not read.
    readable: Option<&'static str>,
    rows: Option<u64>,
    /// Why not every row, or why it was not read.
    why: Option<String>,
    tables: Vec<OneTable>,
    /// Whether `quarantine restore` would take it; `null` where that was not asked, or is known
    /// only once its journal is recovered.
    restorable: Option<bool>,
    why_not: Option<String>,
}

#[derive(Debug, Serialize)]
struct OneFile {
    name: String,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct OneTable {
    name: String,
    rows: u64,
}

/// What the verb says.
///
/// # Errors
/// One sentence where nothing of that number is there, or a folder cannot be written into; nothing
/// was touched.
pub fn quarantine(context: &CommandContext<'_>, verb: &QuarantineVerb) -> Result<Printed, String> {
    let number = match verb {
        QuarantineVerb::List => return Ok(list(context)),
        QuarantineVerb::Show(number)
        | QuarantineVerb::Export(number, _)
        | QuarantineVerb::Delete(number)
        | QuarantineVerb::Restore(number) => *number,
    };
    let Some(device) = context.devices.first() else { return Err("no database was named".into()) };
    let set = match sets(device) {
        Ok(all) => among(device, all, number)?,
        Err(failure) => return Ok(not_begun(device, failure)),
    };
    match verb {
        QuarantineVerb::Export(_, into) => export(context, device, number, into),
        QuarantineVerb::Delete(_) => {
            Ok(changes(context).map_or_else(|printed| printed, |()| deleted(device, &set)))
        }
        QuarantineVerb::Restore(_) => {
            Ok(changes(context)
                .map_or_else(|printed| printed, |()| restored(context, device, number)))
        }
        QuarantineVerb::List | QuarantineVerb::Show(_) => Ok(show(context, device, set)),
    }
}

fn among(
    device: &Device<'_>,
    mut all: Vec<Quarantined>,
    number: u64,
) -> Result<Quarantined, String> {
    let there: Vec<String> = all.iter().map(|one| one.operation.to_string()).collect();
    let at = all.iter().position(|one| one.operation == number);
    at.map(|at| all.swap_remove(at)).ok_or_else(|| {
        let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
        format!("quarantine/{number} is not there; of {} there is {there}", device.settings.name)
    })
}

fn list(context: &CommandContext<'_>) -> Printed {
    let (mut text, mut databases, mut exits) = (Lines::default(), Vec::new(), vec![0]);
    for device in context.devices {
        let name = device.settings.name.clone();
        match sets(device) {
            Ok(found) => {
                if found.is_empty() {
                    text.line(&format!("{name}: nothing in quarantine"));
                }
                let found: Vec<OneSet> =
                    found.into_iter().map(|one| looked_at(device, one, false)).collect();
                found.iter().for_each(|one| text.extend(&one.lines(&name)));
                databases.push(DatabaseSets { name, quarantine: found });
            }
            Err(failure) => {
                text.line(&format!("{name}: {failure}"));
                exits.push(failure.class.exit().code);
            }
        }
    }
    let exit = gravest(exits.into_iter());
    answer(context, databases, text, exit)
}

fn answer(
    context: &CommandContext<'_>,
    databases: Vec<DatabaseSets>,
    text: Lines,
    exit: u8,
) -> Printed {
    if context.command.json {
        return Printed::answer(Lines::json(&Sets { schema: SCHEMA, exit, databases }), exit);
    }
    Printed::answer(text, exit)
}

fn show(context: &CommandContext<'_>, device: &Device<'_>, set: Quarantined) -> Printed {
    let name = device.settings.name.clone();
    let mut one = looked_at(device, set, true);
    (one.restorable, one.why_not) = restorable(device, one.operation);
    let mut text = one.lines(&name);
    let files: Vec<String> =
        one.files.iter().map(|file| format!("{} {}", file.name, file.bytes)).collect();
    text.line(&format!("  files    {}", files.join(", ")));
    if !one.tables.is_empty() {
        let tables: Vec<String> =
            one.tables.iter().map(|table| format!("{} {}", table.name, table.rows)).collect();
        text.line(&format!("  tables   {}", tables.join(", ")));
    }
    let restore = match (one.restorable, &one.why_not) {
        (Some(true), _) => {
            format!("`bootmigrate quarantine restore {} --db {name} --yes`", one.operation)
        }
        (_, why) => why.clone().unwrap_or_default(),
    };
    text.line(&format!("  restore  {restore}"));
    answer(context, vec![DatabaseSets { name, quarantine: vec![one] }], text, 0)
}

/// With its rows, where it is not too large for a list.
fn looked_at(device: &Device<'_>, set: Quarantined, whatever_its_size: bool) -> OneSet {
    let read = if whatever_its_size || within_budget(device, set.bytes) {
        readable(device, set.operation).map_err(|failure| failure.cause)
    } else {
        Err(format!(
            "larger than quick_check_max_mib; `bootmigrate quarantine show {}` reads it",
            set.operation
        ))
    };
    let (word, rows, why, tables) = match read {
        Err(why) => (None, None, Some(why), Vec::new()),
        Ok(Readable { rows, reading, tables, .. }) => match reading {
            Reading::Whole => (Some("whole"), Some(rows), None, tables),
            Reading::OnPages(why) => (Some("on-pages"), Some(rows), Some(why), tables),
            Reading::Nothing(why) => (Some("none"), Some(0), Some(why), tables),
        },
    };
    OneSet {
        operation: set.operation,
        set_aside: set.unix_seconds.map(rfc3339),
        reason: set.reason,
        data_lost: set.lost,
        bytes: set.bytes,
        files: set.files.into_iter().map(|(name, bytes)| OneFile { name, bytes }).collect(),
        readable: word,
        rows,
        why,
        tables: tables.into_iter().map(|(name, rows)| OneTable { name, rows }).collect(),
        restorable: None,
        why_not: None,
    }
}

impl OneSet {
    fn lines(&self, database: &str) -> Lines {
        let when = self.set_aside.as_deref().unwrap_or("at a time that is not known");
        let files = self.files.len();
        let mut text = Lines::of(&format!(
            "{database}: quarantine/{}  {when}  {} bytes, {files} files",
            self.operation, self.bytes
        ));
        text.line(&format!("  because  {}", self.reason));
        let why = self.why.as_deref().unwrap_or_default();
        let rows = match (self.readable, self.rows.unwrap_or(0)) {
            (Some("whole"), rows) => format!("{rows}, and every table can be read"),
            (Some("on-pages"), rows) => {
                format!("about {rows} on its pages; SQLite does not read it: {why}")
            }
            (Some(_), _) => format!("none can be read: {why}"),
            (None, _) => format!("not read: {why}"),
        };
        text.line(&format!("  rows     {rows}"));
        text
    }
}

/// Whether it would be taken, and why not.
fn restorable(device: &Device<'_>, operation: u64) -> (Option<bool>, Option<String>) {
    let set = device.copied_to(device.state.quarantined(operation).join(device.files.file_name()));
    match set.files.look(device.disk()) {
        Err(error) => (None, Some(error.to_string())),
        Ok(state) if state.main_is_empty() => {
            (Some(false), Some("it has no main file with content".into()))
        }
        Ok(state) if state.wal_has_content() || state.journal_has_content => (
            None,
            Some(
                "known once the WAL or journal beside it is recovered, which `quarantine restore` \
                 does on a copy"
                    .into(),
            ),
        ),
        Ok(_) => match good_copy_in_full(device, &set.files.main, None) {
            Ok(_) => (Some(true), None),
            Err(UnfitCopy::NotGood(why)) => {
                (Some(false), Some(format!("it is no good copy: {why}")))
            }
            Err(look) => (None, Some(look.why())),
        },
    }
}

fn export(
    context: &CommandContext<'_>,
    device: &Device<'_>,
    number: u64,
    into: &Path,
) -> Result<Printed, String> {
    let disk = device.disk();
    let shown = into.display();
    let place =
        std::path::absolute(into).map_err(|error| format!("{shown} is no path: {error}"))?;
    let looked = place_of(disk, &place)
        .and_then(|place| Ok((disk.stat(&place)?, place, files_of(device, number)?)));
    let (there, place, names) = match looked {
        Ok(looked) => looked,
        Err(error) => return Ok(not_begun(device, Failure::io(OP, &place, &error))),
    };
    if there.is_some_and(|stat| stat.kind != FileKind::Folder) {
        return Err(format!("{shown} is not a folder; name another folder"));
    }
    for name in &names {
        let file = place.join(name);
        free_for_a_file(context, &file)?;
        match disk.stat(&file) {
            Ok(None) => {}
            Ok(Some(_)) => {
                return Err(format!("{shown}/{name} is there already; name another folder"))
            }
            Err(error) => return Ok(not_begun(device, Failure::io(OP, &file, &error))),
        }
    }
    let copied = lock(device).and_then(|locked| {
        nothing_waits(device, &locked)?;
        export_files(device, number, &names, &place)
    });
    Ok(match copied {
        Ok(done) => {
            let line = format!(
                "{}: quarantine/{number} copied to {shown}: {} files, {} bytes. Rows are in them.",
                device.settings.name, done.files, done.bytes
            );
            Printed::outcome(Lines::of(&line), Lines::default(), 0)
        }
        Err(failure) if failure.class == Class::NoSpace => no_room_there(device, &place, &failure),
        Err(failure) => not_begun(device, failure),
    })
}

/// With its links followed, where it is there.
fn place_of(disk: &dyn Disk, place: &Path) -> io::Result<PathBuf> {
    match disk.resolve(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(place.to_path_buf()),
        resolved => resolved,
    }
}

/// What lies in quarantine takes no room from a folder on another file system.
fn no_room_there(device: &Device<'_>, into: &Path, failure: &Failure) -> Printed {
    let (exit, name) = (failure.class.exit().code, &device.settings.name);
    let space = device.disk().space(parent(into)).ok();
    let (why, next) = lacking(&[], failure, space, "export again, or name a folder elsewhere");
    let sentence = format!(
        "{name}: not enough space: {why}{failure}; nothing was left there. Next: {next}. \
         [BM-{exit} {name}]"
    );
    Printed::outcome(Lines::default(), Lines::of(&sentence), exit)
}

fn deleted(device: &Device<'_>, set: &Quarantined) -> Printed {
    let (name, number) = (&device.settings.name, set.operation);
    let deleted = begin(device).and_then(|(locked, store)| {
        let failed = |error: io::Error| Failure::io(OP, &device.state.quarantine(), &error);
        let note = if last_loss(device, &store).map_err(failed)? == Some(number) {
            ReasonFile::Stays
        } else {
            ReasonFile::Goes
        };
        delete(device, &locked, number, note).map(|()| note)
    });
    match deleted {
        Ok(note) => {
            let stays = if note == ReasonFile::Stays {
                " Its reason stays: snapshots from before this loss are kept."
            } else {
                ""
            };
            let line = format!(
                "{name}: quarantine/{number} deleted: {} files, {} bytes.{stays}",
                set.files.len(),
                set.bytes
            );
            Printed::outcome(Lines::default(), Lines::of(&line), 0)
        }
        Err(failure) => not_begun(device, failure),
    }
}

fn restored(context: &CommandContext<'_>, device: &Device<'_>, number: u64) -> Printed {
    let taken = begin(device).and_then(|(locked, store)| {
        may_take_in(device)?;
        take_in(device, &locked, &store, number)
    });
    match taken {
        Ok(name) => {
            let from_quarantine = Snapshot { from_quarantine: true, ..Snapshot::default() };
            put_new_in_place(
                context,
                device,
                Snapshot { version: name.version, operation: name.operation, ..from_quarantine },
            )
        }
        Err(failure) if failure.class == Class::Damaged => no_good_copy(device, number, &failure),
        Err(failure) => not_begun(device, failure),
    }
}

fn no_good_copy(device: &Device<'_>, number: u64, failure: &Failure) -> Printed {
    let (exit, name) = (failure.class.exit().code, &device.settings.name);
    let sentence = format!(
        "{name}: quarantine/{number} cannot be put back: {}; nothing was changed. Next: \
         `bootmigrate quarantine export {number} DIR --db {name}` copies it for support. \
         [BM-{exit} {name}]",
        failure.words()
    );
    Printed::outcome(Lines::default(), Lines::of(&sentence), exit)
}
