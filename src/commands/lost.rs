//! Owns `lost list | export | drop | retry`: what a person can do with rows that have no place in
//! the schema.
//! Promises: list and export only read, beside running applications; drop and retry name what went
//! and what stays.
//! Never loses a row that was not named: drop says --yes, and retry keeps what does not fit.

use std::path::Path;

use serde::Serialize;

use crate::cli::set_aside::LostVerb;
use crate::commands::{changes, free_for_a_file, not_begun, CommandContext, Lines, Printed};
use crate::device::sqlite::lost::LostRows;
use crate::device::Device;
use crate::error::exit::gravest;
use crate::error::{Class, Failure};
use crate::ops::examine::{quarantine, Quarantined};
use crate::ops::lost::{
    drop_rows, export_rows, is_newer, lost_rows, retry_rows, Doubt, GivenBack, Retried, COMMIT,
};
use crate::report::SCHEMA;

#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    exit: u8,
    databases: Vec<DatabaseLost>,
}

#[derive(Debug, Serialize)]
struct DatabaseLost {
    name: String,
    lost: Vec<OneLost>,
}

#[derive(Debug, Serialize)]
struct OneLost {
    table: String,
    /// The table that the rows are from.
    from: String,
    rows: u64,
    /// Why they have no place there.
    why: String,
    /// What set them aside: `quarantine/N` and its reason, where that is still kept.
    set_aside: Option<String>,
}

/// What the verb says.
///
/// # Errors
/// One sentence where such a table is not there, or a file is in the way; nothing was touched.
pub fn lost(context: &CommandContext<'_>, verb: &LostVerb) -> Result<Printed, String> {
    match verb {
        LostVerb::List => return Ok(list(context)),
        LostVerb::Drop(_) | LostVerb::Retry(..) => {
            if let Err(printed) = changes(context) {
                return Ok(printed);
            }
        }
        LostVerb::Export(..) => {}
    }
    let Some(device) = context.devices.first() else { return Err("no database was named".into()) };
    let all = match lost_rows(device) {
        Ok(all) => all,
        Err(failure) => return Ok(not_begun(device, failure)),
    };
    match verb {
        LostVerb::Export(table, file) => export(context, device, named(device, &all, table)?, file),
        LostVerb::Drop(table) => {
            named(device, &all, table)?;
            Ok(dropped(device, table))
        }
        LostVerb::Retry(table, agreed) => {
            table.iter().try_for_each(|table| named(device, &all, table).map(drop))?;
            Ok(retried(device, table.as_deref(), *agreed))
        }
        LostVerb::List => Ok(list(context)),
    }
}

fn named<'l>(
    device: &Device<'_>,
    all: &'l [LostRows],
    table: &str,
) -> Result<&'l LostRows, String> {
    all.iter().find(|lost| lost.table.name.eq_ignore_ascii_case(table)).ok_or_else(|| {
        let there: Vec<&str> = all.iter().map(|lost| lost.table.name.as_str()).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        format!(
            "{table} is no table of rows that were put aside; of {} there is {there}",
            device.settings.name
        )
    })
}

fn list(context: &CommandContext<'_>) -> Printed {
    let (mut text, mut databases, mut exits) = (Lines::default(), Vec::new(), vec![0]);
    for device in context.devices {
        let name = device.settings.name.clone();
        match lost_rows(device) {
            Ok(found) => {
                if found.is_empty() {
                    text.line(&format!("{name}: no rows were put aside"));
                }
                let sets = quarantine(device).unwrap_or_default();
                let found: Vec<OneLost> =
                    found.iter().map(|lost| one(device, lost, &sets)).collect();
                found.iter().for_each(|lost| text.extend(&lost.lines(&name)));
                databases.push(DatabaseLost { name, lost: found });
            }
            Err(failure) => {
                text.line(&format!("{name}: {failure}"));
                exits.push(failure.class.exit().code);
            }
        }
    }
    let exit = gravest(exits.into_iter());
    if context.command.json {
        return Printed::answer(Lines::json(&Report { schema: SCHEMA, exit, databases }), exit);
    }
    Printed::answer(text, exit)
}

fn one(device: &Device<'_>, lost: &LostRows, sets: &[Quarantined]) -> OneLost {
    let table = lost.table.name.clone();
    let missing = lost.without_a_column();
    let why = match without_a_home(lost) {
        Some(why) => why.to_owned(),
        None if is_newer(device, lost) => format!(
            "they had version {} of newer firmware, where its columns may have meant something \
             else",
            lost.version
        ),
        None if !missing.is_empty() => format!("the table has no more: {}", missing.join(", ")),
        None => "a constraint or a migration refused them, or their parents were put aside".into(),
    };
    let set = sets.iter().rev().find(|set| set.lost.contains(&format!("(in {table})")));
    let set_aside = set.map(|set| format!("quarantine/{}: {}", set.operation, set.reason));
    OneLost { from: lost.home_name().to_owned(), rows: lost.rows, table, why, set_aside }
}

/// Why none of its rows can go back.
fn without_a_home(lost: &LostRows) -> Option<&'static str> {
    match lost.home {
        Some(_) => None,
        None if lost.home_is_virtual => {
            Some("that is a virtual table now, into which only its application can write them")
        }
        None => Some("the schema has no such table"),
    }
}

impl OneLost {
    fn lines(&self, database: &str) -> Lines {
        let mut text = Lines::of(&format!(
            "{database}: {}  {} of {}",
            self.table,
            counted(self.rows),
            self.from
        ));
        text.line(&format!("  because  {}", self.why));
        if let Some(set) = &self.set_aside {
            text.line(&format!("  by       {set}"));
        }
        text
    }
}

fn counted(rows: u64) -> String {
    format!("{rows} row{}", if rows == 1 { "" } else { "s" })
}

fn export(
    context: &CommandContext<'_>,
    device: &Device<'_>,
    lost: &LostRows,
    file: &Path,
) -> Result<Printed, String> {
    let place = std::path::absolute(file)
        .map_err(|error| format!("{} is no path: {error}", file.display()))?;
    free_for_a_file(context, &place)?;
    if device.disk().stat(&place).is_ok_and(|stat| stat.is_some()) {
        return Err(format!("{} is there already; name another file", file.display()));
    }
    Ok(match export_rows(device, lost, &place) {
        Ok(bytes) => {
            let what = format!("{} of {}", counted(lost.rows), lost.table.name);
            let line = format!(
                "{}: {what} written to {}, {bytes} bytes.",
                device.settings.name,
                file.display()
            );
            Printed::outcome(Lines::of(&line), Lines::default(), 0)
        }
        Err(failure) => not_begun(device, failure),
    })
}

fn dropped(device: &Device<'_>, table: &str) -> Printed {
    ended(
        device,
        drop_rows(device, table).map(|lost| match lost {
            Some(lost) => vec![format!("{} dropped with {}.", lost.table.name, counted(lost.rows))],
            None => vec![format!("{table} was not there any more.")],
        }),
    )
}

fn retried(device: &Device<'_>, only: Option<&str>, agreed: bool) -> Printed {
    ended(
        device,
        retry_rows(device, only, agreed).map(|Retried { tables, indexes }| {
            if tables.is_empty() {
                return vec!["no rows were put aside.".to_owned()];
            }
            let triggers = tables.iter().filter(|one| !one.triggers.is_empty()).map(not_run);
            let indexes = indexes.iter().map(|(index, text, built)| match built {
                true => format!("the full-text index {index} was built again from {text}."),
                false => format!(
                    "the full-text index {index} cannot be built again from {text}: it lacks these \
                     rows."
                ),
            });
            let each = tables.iter().map(|one| of_one(&device.settings.name, one));
            each.chain(triggers).chain(indexes).collect()
        }),
    )
}

fn not_run(one: &GivenBack) -> String {
    format!(
        "no trigger ran for the rows that went back to {}: {}.",
        one.lost.home_name(),
        one.triggers.join(", ")
    )
}

fn of_one(database: &str, GivenBack { lost, went, doubt, .. }: &GivenBack) -> String {
    let (table, home) = (&lost.table.name, lost.home_name());
    if let Some(why) = without_a_home(lost) {
        return format!("{table} stays, with {} of {home}: {why}.", counted(lost.rows));
    }
    let rows = counted(lost.rows);
    let why = match doubt {
        None => None,
        Some(Doubt::ChangedBy(migrations)) => Some(format!(
            "{} may have changed {home}, and its {rows} may be of before",
            migrations.join(", ")
        )),
        Some(Doubt::Newer) => Some(format!(
            "its {rows} had version {} of newer firmware, where the columns of {home} may have \
             meant something else",
            lost.version
        )),
    };
    if let Some(why) = why {
        return format!(
            "{table} stays: {why}. Look at them with `lost export`; `lost retry {table} --db \
             {database} --yes` gives them back all the same."
        );
    }
    match lost.rows.saturating_sub(*went) {
        0 => format!("{} of {table} went back to {home}; {table} is dropped.", counted(*went)),
        left => format!(
            "{} of {table} went back to {home}, {left} stay: they do not fit.",
            counted(*went)
        ),
    }
}

fn ended(device: &Device<'_>, done: Result<Vec<String>, Failure>) -> Printed {
    match done {
        Ok(lines) => {
            let lines = lines.iter().map(|line| format!("{}: {line}", device.settings.name));
            Printed::outcome(Lines::default(), lines.collect(), 0)
        }
        Err(failure) if failure.op == COMMIT && failure.class != Class::NoSpace => {
            let (exit, name) = (failure.class.exit().code, &device.settings.name);
            let next = "`bootmigrate lost list` shows whether it was done";
            let sentence = format!(
                "{name}: {failure}; the database is whole, as before or changed. Next: {next}. \
                 [BM-{exit} {name}]"
            );
            Printed::outcome(Lines::default(), Lines::of(&sentence), exit)
        }
        Err(failure) => not_begun(device, failure),
    }
}
