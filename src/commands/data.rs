//! Owns `data status | run`: data migrations, by an operator's command, beside running
//! applications.
//! Promises: what was committed stays and is reported, also where something stopped the rest; the
//! applications' databases stay ready.
//! Never touches the schema, the ready files or the report of the boot.

use serde::Serialize;

use crate::boot;
use crate::catalog::Migration;
use crate::cli::{DataVerb, Extent};
use crate::commands::run::{line_of, temporary_files_beside};
use crate::commands::status::pending_exit;
use crate::commands::{changes, lacking, CommandContext, Lines, Printed};
use crate::decide::facts::{DatabaseState, Request};
use crate::decide::plan::Plan;
use crate::device::history::data::{DataProgress, Progress};
use crate::device::Device;
use crate::error::exit::{self, gravest};
use crate::error::{Class, Failure, Place};
use crate::ops::data::{left_to_do, look, open, Beside};
use crate::ops::lock::lock;
use crate::ops::room::explained;
use crate::ops::store::RecordStore;
use crate::report::SCHEMA;

#[derive(Debug, Serialize)]
struct Reports {
    schema: u32,
    exit: u8,
    databases: Vec<DataReport>,
}

/// The data migrations of one database, and how a run of them ended.
#[derive(Debug, Serialize)]
pub struct DataReport {
    /// The database's name.
    pub name: String,
    /// 0 where nothing is left to do that was asked for.
    pub exit: u8,
    /// Every one that this firmware knows, oldest first.
    pub migrations: Vec<DataMigration>,
    /// What happened, with its code.
    pub sentence: String,
    /// Where in a migration.
    pub place: Option<Place>,
}

/// One data migration.
#[derive(Debug, Serialize)]
pub struct DataMigration {
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// `done`, `under-way` or `pending`.
    pub state: &'static str,
    /// Transactions that changed rows.
    pub rounds: u64,
    /// Rows that they changed.
    pub rows: u64,
    /// Milliseconds that they took.
    pub duration_ms: u64,
}

/// What the verb says, for each database.
///
/// # Errors
/// One sentence where the extent names no place to go to; nothing was touched.
pub fn data(context: &CommandContext<'_>, verb: DataVerb) -> Result<Printed, String> {
    let reports: Vec<DataReport> = match verb {
        DataVerb::Status { .. } => context.devices.iter().map(status).collect(),
        DataVerb::Run(extent) => {
            for device in context.devices {
                check_extent(context, device, extent)?;
            }
            if let Err(printed) = changes(context) {
                return Ok(printed);
            }
            temporary_files_beside(context.devices.first());
            context.devices.iter().map(|device| run(device, extent)).collect()
        }
    };
    let asked = verb != (DataVerb::Status { exit_code: false });
    // That one is pending is an answer, and no failure to give one.
    let exits = reports.iter().map(|report| report.exit);
    let exit = gravest(exits.filter(|exit| asked || *exit != exit::PENDING.code));
    if context.command.json {
        let json = Lines::json(&Reports { schema: SCHEMA, exit, databases: reports });
        return Ok(match verb {
            DataVerb::Status { .. } => Printed::answer(json, exit),
            DataVerb::Run(_) => Printed::outcome(json, Lines::default(), exit),
        });
    }
    if let DataVerb::Status { .. } = verb {
        return Ok(Printed::answer(reports.iter().flat_map(DataReport::lines).collect(), exit));
    }
    let lines = reports.iter().flat_map(|report| {
        std::iter::once(report.sentence.clone()).chain(report.place.iter().flat_map(line_of))
    });
    Ok(Printed::outcome(Lines::default(), lines.collect(), exit))
}

fn check_extent(
    context: &CommandContext<'_>,
    device: &Device<'_>,
    extent: Extent,
) -> Result<(), String> {
    match extent {
        Extent::All => Ok(()),
        _ if context.devices.len() > 1 => {
            Err("--step and --to are about one database; name it with --db NAME".into())
        }
        Extent::To(version) | Extent::ToExclusive(version)
            if !device.catalog.data.iter().any(|migration| migration.version == version) =>
        {
            let list: Vec<String> =
                device.catalog.data.iter().map(|migration| migration.version.to_string()).collect();
            let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
            Err(format!(
                "version {version} is not one of this firmware's data migrations of {}; there is \
                 {list}",
                device.settings.name
            ))
        }
        Extent::Step(_) | Extent::To(_) | Extent::ToExclusive(_) => Ok(()),
    }
}

fn within(migrations: Vec<&'static Migration>, extent: Extent) -> Vec<&'static Migration> {
    match extent {
        Extent::All => migrations,
        Extent::Step(count) => migrations.into_iter().take(count as usize).collect(),
        Extent::To(version) => {
            migrations.into_iter().filter(|migration| migration.version <= version).collect()
        }
        Extent::ToExclusive(version) => {
            migrations.into_iter().filter(|migration| migration.version < version).collect()
        }
    }
}

fn status(device: &Device<'_>) -> DataReport {
    let not_seen = |rows: &[DataProgress], failure: Failure| {
        let words = format!("cannot be looked at: {failure}.");
        DataReport::of(device, rows, &[], failure.class.exit().code, &words)
    };
    let rows = match look(device) {
        Ok(rows) => rows,
        Err(failure) => return not_seen(&[], failure),
    };
    match left_to_do(device, &rows) {
        // What was done stays done, whatever its text is now.
        Err(failure) => not_seen(&rows, failure),
        Ok(left) => {
            let (exit, words) = match left.len() {
                0 => (0, "no data migration is pending.".to_owned()),
                count => (
                    exit::PENDING.code,
                    format!("{count} pending; `bootmigrate data run --all` applies them."),
                ),
            };
            DataReport::of(device, &rows, &left, exit, &words)
        }
    }
}

/// Runs the data migrations of one database, as far as it is told.
pub fn run(device: &Device<'_>, extent: Extent) -> DataReport {
    let (mut done, mut rows) = (Vec::new(), Vec::new());
    let ended = apply(device, extent, &mut done, &mut rows);
    let left = left_to_do(device, &rows).unwrap_or_default();
    let did = match done.as_slice() {
        [] => String::new(),
        all => format!("{}. ", all.join("; ")),
    };
    match ended {
        Ok(None) if done.is_empty() => {
            DataReport::of(device, &rows, &left, 0, "no data migration is pending.")
        }
        Ok(None) => DataReport::of(device, &rows, &left, 0, did.trim_end()),
        Ok(Some((exit, why))) => {
            DataReport::of(device, &rows, &left, exit, &format!("its data migrations wait: {why}."))
        }
        Err(failure) => {
            let failure = explained(device, failure);
            let words = format!("{did}{}", words(device, &failure, done.is_empty()));
            let mut report =
                DataReport::of(device, &rows, &left, failure.class.exit().code, &words);
            if let Some(place) = failure.place {
                report.sentence = format!(
                    "{} V{}:{}]",
                    report.sentence.trim_end_matches(']'),
                    place.version,
                    place.line
                );
                report.place = Some(place);
            }
            report
        }
    }
}

/// Lock, look, open beside the applications, and one data migration after another; `done` has a
/// clause for each. What the schema still waits for, with the exit code, where it does.
fn apply(
    device: &Device<'_>,
    extent: Extent,
    done: &mut Vec<String>,
    rows: &mut Vec<DataProgress>,
) -> Result<Option<(u8, String)>, Failure> {
    if device.catalog.data.is_empty() {
        return Ok(None);
    }
    if let Some(waits) = waits_for(device)? {
        return Ok(Some(waits));
    }
    // Where this look is in an application's way, the one below waits.
    *rows = look(device).unwrap_or_default();
    if within(left_to_do(device, rows)?, extent).is_empty() {
        return Ok(None);
    }
    let locked = lock(device)?; // no migrator swaps the file meanwhile
    RecordStore::open(device, &locked)?;
    if let Some(waits) = waits_for(device)? {
        return Ok(Some(waits));
    }
    let Some(mut beside) = open(device, &locked)? else {
        return Ok(Some((
            exit::PENDING.code,
            "its schema is not this firmware's; `bootmigrate run` first".to_owned(),
        )));
    };
    let ran = run_all(&mut beside, device, extent, done);
    *rows = beside.rows().unwrap_or_default();
    let closed = beside.close();
    ran.and(closed).map(|()| None)
}

fn run_all(
    beside: &mut Beside<'_>,
    device: &Device<'_>,
    extent: Extent,
    done: &mut Vec<String>,
) -> Result<(), Failure> {
    let rows = beside.rows()?;
    for migration in within(left_to_do(device, &rows)?, extent) {
        let row = row_of(&rows, migration);
        // What was edited while it was under way begins again: its rounds were another text's.
        let same = |row: &&DataProgress| migration.checksums.contain(row.applied.checksum);
        let before = row.filter(same).map_or_else(Progress::default, |row| row.progress);
        let mut now = before;
        let ran = beside.run(migration, before, &mut |progress| now = progress);
        let counted =
            format!("V{} {}: {}", migration.version, migration.name, counted(now.rows, now.rounds));
        match ran {
            Ok(()) => done.push(counted),
            Err(failure) => {
                if now.rounds > 0 {
                    done.push(format!("{counted} stay"));
                }
                return Err(failure);
            }
        }
    }
    Ok(())
}

/// Rows are by version.
fn row_of<'r>(rows: &'r [DataProgress], migration: &Migration) -> Option<&'r DataProgress> {
    rows.binary_search_by_key(&migration.version, |row| row.applied.version)
        .ok()
        .and_then(|at| rows.get(at))
}

/// The plan of the next boot, where it is not to leave everything as it is.
fn waits_for(device: &Device<'_>) -> Result<Option<(u8, String)>, Failure> {
    let (facts, plan) = boot::look(device, Request::Boot)?;
    let waiting =
        device.state.ready_operations(device.disk()).is_ok_and(|operations| !operations.is_empty());
    let fits = match (&plan, &facts.database) {
        (Plan::Quiet { .. }, _) => true,
        // An application is writing now, or was when the power went: SQLite's own locks tell, as
        // any reader sees it.
        (Plan::Recover { .. }, database) => !matches!(database, DatabaseState::Newer { .. }),
        _ => false,
    };
    if fits && !waiting {
        return Ok(None);
    }
    let exit = match (&plan, &facts.database) {
        // Newer firmware's data is newer firmware's to change.
        (Plan::UseNewer { .. }, _) | (Plan::Recover { .. }, DatabaseState::Newer { .. }) => {
            Class::Newer.exit().code
        }
        _ => pending_exit(device, &plan),
    };
    Ok(Some((exit, format!("the plan of its next run is: {plan}"))))
}

fn words(device: &Device<'_>, failure: &Failure, nothing_done: bool) -> String {
    let (name, at) =
        (&device.settings.name, failure.place.as_ref().filter(|place| place.statement > 0));
    let statement = at.map_or_else(String::new, |place| {
        format!(", in statement {} of {}", place.statement, place.statements)
    });
    let again = format!("run `bootmigrate data run --all --db {name}` again");
    let (why, next) = lacking(device, failure, &again).unwrap_or_default();
    let next = match failure.class {
        Class::Failed => "correct the data migration and install that firmware".to_owned(),
        Class::NoSpace => next,
        Class::Storage => format!("look at the storage and at who owns the files, then {again}"),
        Class::Catalogue => {
            "build the firmware with the data migrations that this database was changed by"
                .to_owned()
        }
        Class::Damaged => format!("run `bootmigrate doctor --full --db {name}`"),
        _ => again,
    };
    let other = if nothing_done { "" } else { "other " };
    format!("{why}{failure}{statement}; no {other}row was changed. Next: {next}.")
}

fn counted(rows: u64, rounds: u64) -> String {
    let ending = |number: u64| if number == 1 { "" } else { "s" };
    format!("{rows} row{} in {rounds} round{}", ending(rows), ending(rounds))
}

impl DataReport {
    fn of(
        device: &Device<'_>,
        rows: &[DataProgress],
        left: &[&'static Migration],
        exit: u8,
        words: &str,
    ) -> DataReport {
        let migrations = device.catalog.data.iter().map(|migration| {
            let row = row_of(rows, migration);
            let is_left =
                left.binary_search_by_key(&migration.version, |left| left.version).is_ok();
            let state = match row {
                Some(row) if row.done && !is_left => "done",
                Some(row) if !row.done && row.progress.rounds > 0 => "under-way",
                _ => "pending",
            };
            let progress = row.map_or_else(Progress::default, |row| row.progress);
            let Progress { rounds, rows, duration_ms } = progress;
            DataMigration {
                version: migration.version,
                name: migration.name.to_owned(),
                state,
                rounds,
                rows,
                duration_ms,
            }
        });
        let name = device.settings.name.clone();
        let sentence = format!("{name}: {words} [BM-{exit} {name} data]");
        DataReport { name, exit, migrations: migrations.collect(), sentence, place: None }
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.migrations.iter().map(|one| {
            let did = if one.state == "pending" {
                String::new()
            } else {
                format!(": {}", counted(one.rows, one.rounds))
            };
            format!("  {:<10}V{} {}{did}", one.state, one.version, one.name)
        });
        std::iter::once(self.sentence.clone()).chain(lines).collect()
    }
}
