//! Owns the rehearsal of one field database: copied below a root, booted twice, looked at before
//! and after.
//! Promises: the original and its -wal are read once, and the copies are gone afterwards.
//! Never opens the original with SQLite, which would write beside it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context as _, Result};
use bootmigrate_build::config::DatabaseSettings;
use bootmigrate_build::Product;
use bootmigrate_model::lex::quote;
use rusqlite::{Connection, OpenFlags};

use super::device::Said;
use super::find::Item;
use super::process::{self, Ran};
use super::record::{Kind, Record, SCHEMA};
use crate::calibrate::Factors;
use crate::cli::RehearseRun;
use crate::compare;
use crate::model::Model;

/// What all rehearsals of a run share.
pub struct Rehearsal<'a> {
    product: &'a Product,
    /// The device's program, and what stands before its own arguments.
    program: (PathBuf, Vec<OsString>),
    previous: Option<PathBuf>,
    /// What brings a database of a listing.
    fetch: Option<String>,
    scratch: PathBuf,
    /// The device's factors, and those of this machine.
    factors: Option<(Factors, Factors)>,
    reproduce: String,
}

/// What can be seen of a database from outside.
#[derive(Default)]
struct Seen {
    counts: BTreeMap<String, i64>,
    faults: Vec<String>,
    readable: bool,
}

impl<'a> Rehearsal<'a> {
    /// Without a device's program, this one is it.
    ///
    /// # Errors
    /// This program's own path is not known.
    pub fn new(
        product: &'a Product,
        migrations: &Path,
        request: &RehearseRun,
    ) -> Result<Rehearsal<'a>> {
        let migrations = std::path::absolute(migrations)?;
        let own = || -> Result<(PathBuf, Vec<OsString>)> {
            let program =
                std::env::current_exe().context("this program's own path is not known")?;
            Ok((program, vec!["--migrations".into(), migrations.clone().into(), "device".into()]))
        };
        let program = match &request.device {
            Some(device) => (device.clone(), Vec::new()),
            None => own()?,
        };
        let device = request
            .device
            .as_ref()
            .map_or(String::new(), |device| format!(" --device {}", shell(device)));
        let scratch = request.scratch.clone().unwrap_or_else(std::env::temp_dir);
        let factors = match &request.factors {
            Some(device) => Some((Factors::read(device)?, Factors::of(&scratch)?)),
            None => None,
        };
        Ok(Rehearsal {
            product,
            factors,
            program,
            previous: request.previous.clone(),
            fetch: request.fetch.clone(),
            scratch,
            reproduce: format!(
                "bootmigrate-workbench --migrations {} rehearse{device}",
                shell(&migrations)
            ),
        })
    }

    /// Rehearses it.
    ///
    /// # Errors
    /// A copy cannot be made, or the program cannot be started: whatever a device would say is part
    /// of the record.
    pub fn one(&self, item: &Item) -> Result<Record> {
        let mut record = self.empty(item);
        let settings = self
            .product
            .settings
            .databases
            .iter()
            .find(|entry| Some(&entry.name) == item.database.as_ref());
        let Some(settings) = settings else { return Ok(record) };
        let folder = tempfile::Builder::new()
            .prefix("rehearsal-")
            .tempdir_in(&self.scratch)
            .context("no scratch folder can be made")?;
        let original = match &self.fetch {
            Some(command) => {
                let file = fetched(command, item, folder.path())?;
                record.bytes = fs::metadata(&file)?.len();
                file
            }
            None => item.path.clone(),
        };
        let before = {
            let probe = tempfile::tempdir_in(folder.path())?;
            let main = probe.path().join("probe.db");
            copy(&original, &main)?;
            look(&main, settings)
        };
        let root = folder.path().join("root");
        let main = root.join(settings.path.strip_prefix("/").unwrap_or(&settings.path));
        fs::create_dir_all(main.parent().unwrap_or(&root))?;
        copy(&original, &main)?;
        let copied = process::bytes_below(&root);
        let (ran, first) = self.boot(&self.program, settings, &root)?;
        said(&mut record, &ran, &first);
        // Whole before, and set aside all the same: something went wrong on the way.
        let set_aside = ["purged", "restored"].contains(&record.outcome.as_str());
        if record.kind == Kind::Damaged && set_aside && before.readable && before.faults.is_empty()
        {
            record.kind = Kind::Failed;
        }
        record.predicted_ms = self.factors.as_ref().map(|(device, here)| {
            device.predicted(here, ran.processor, record.written_bytes.unwrap_or(0))
        });
        record.space_bytes = ran.space.saturating_sub(copied);
        if first.is_usable() {
            let (_, second) = self.boot(&self.program, settings, &root)?;
            let quiet = second
                .report
                .is_some_and(|report| report.outcome == "quiet" || report.outcome == "compatible");
            record.second_run = (!quiet).then_some(second.sentence);
            compared(&mut record, &before, &look(&main, settings));
            let applied = first.report.map(|report| report.applied).unwrap_or_default();
            record.migrations = times(&main, &applied);
            if let Some(previous) = &self.previous {
                let (_, said) = self.boot(&(previous.clone(), Vec::new()), settings, &root)?;
                let starts = said.report.is_some_and(|report| report.usable && !report.data_loss);
                record.previous = (!starts).then_some(said.sentence);
            }
        }
        Ok(record)
    }

    fn empty(&self, item: &Item) -> Record {
        let names: Vec<&str> =
            self.product.databases.iter().map(|database| database.name.as_str()).collect();
        let db =
            item.database.as_ref().map_or(String::new(), |database| format!(" --db {database}"));
        Record {
            schema: SCHEMA,
            file: item.shown.clone(),
            bytes: item.bytes.unwrap_or_default(),
            database: item.database.clone(),
            kind: Kind::Unclear,
            outcome: "none".to_owned(),
            exit: 0,
            cause: None,
            sentence: format!(
                "neither its name nor its folder says whether it is {}; write --db",
                names.join(" or ")
            ),
            from: None,
            version: None,
            duration_ms: 0,
            predicted_ms: None,
            space_bytes: 0,
            written_bytes: None,
            memory_bytes: 0,
            migrations: BTreeMap::new(),
            tables: BTreeMap::new(),
            rows_lost: 0,
            faults: Vec::new(),
            second_run: None,
            previous: None,
            reproduce: self.again(item, &db),
        }
    }

    /// The command that does this one again.
    fn again(&self, item: &Item, db: &str) -> String {
        let Some(fetch) = &self.fetch else {
            return format!("{}{db} {}", self.reproduce, shell(&item.path));
        };
        let sides = std::iter::once("").chain(item.sides.iter().copied());
        let names: Vec<String> =
            sides.map(|side| shell(Path::new(&format!("{}{side}", item.shown)))).collect();
        format!(
            "printf '%s\\n' {} >one && {}{db} --listing one --fetch {}",
            names.join(" "),
            self.reproduce,
            shell(Path::new(fetch))
        )
    }

    /// One boot of a device's program, of this database alone.
    fn boot(
        &self,
        (program, first): &(PathBuf, Vec<OsString>),
        settings: &DatabaseSettings,
        root: &Path,
    ) -> Result<(Ran, Said)> {
        let mut command = Command::new(program);
        command.args(first).args(["run", "--json", "--db", &settings.name]).arg("--root").arg(root);
        let ran = process::run(&mut command, root)?;
        let said = Said::of(&ran, &settings.name, root);
        Ok((ran, said))
    }
}

/// What the device has said of the database.
fn said(record: &mut Record, ran: &Ran, said: &Said) {
    record.sentence.clone_from(&said.sentence);
    record.exit = ran.exit;
    record.duration_ms = u64::try_from(ran.duration.as_millis()).unwrap_or(u64::MAX);
    record.memory_bytes = ran.memory;
    record.kind = Kind::Failed;
    let Some(report) = &said.report else { return };
    record.kind = report.kind();
    record.outcome.clone_from(&report.outcome);
    record.exit = report.exit;
    record.cause.clone_from(&report.cause);
    (record.from, record.version) = (report.from, report.version);
    record.written_bytes = said.written;
}

/// Rows and faults, before and after.
fn compared(record: &mut Record, before: &Seen, after: &Seen) {
    let names = before.counts.keys().chain(after.counts.keys());
    for name in names {
        let (old, new) = (before.counts.get(name).copied(), after.counts.get(name).copied());
        if old != new {
            record.tables.insert(name.clone(), [old, new]);
        }
    }
    // A table that is gone may have got another name.
    let new: i64 =
        record.tables.values().filter(|[old, _]| old.is_none()).filter_map(|[_, new]| *new).sum();
    let gone: i64 =
        record.tables.values().filter(|[_, new]| new.is_none()).filter_map(|[old, _]| *old).sum();
    let fewer = record
        .tables
        .values()
        .filter_map(|[old, new]| Some((*old)? - (*new)?))
        .filter(|fewer| *fewer > 0)
        .sum::<i64>();
    record.rows_lost = fewer + (gone - new).max(0);
    record.faults = after
        .faults
        .iter()
        .filter(|fault| !before.faults.contains(fault) || !before.readable)
        .cloned()
        .collect();
}

/// How long each migration of the run took, as the device has noted it; a release that notes
/// nothing gives nothing.
fn times(main: &Path, applied: &[i64]) -> BTreeMap<i64, u64> {
    let read = || -> rusqlite::Result<BTreeMap<i64, u64>> {
        let connection = Connection::open_with_flags(main, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut steps = connection
            .prepare("SELECT version, duration_ms FROM bootmigrate_steps WHERE duration_ms >= 0")?;
        let steps = steps.query_map([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
        steps.collect()
    };
    let mut times = read().unwrap_or_default();
    times.retain(|version, _| applied.contains(version));
    times
}

/// Opens a copy, and counts.
fn look(main: &Path, settings: &DatabaseSettings) -> Seen {
    let mut seen = Seen::default();
    let Ok(connection) = Connection::open_with_flags(main, OpenFlags::SQLITE_OPEN_READ_WRITE)
    else {
        return seen;
    };
    let Ok(model) = Model::read(&connection, &settings.history_table) else { return seen };
    seen.readable = true;
    for table in &model.tables {
        let count = connection.query_row(
            &format!("SELECT count(*) FROM {}", quote(&table.name)),
            [],
            |row| row.get(0),
        );
        seen.counts.extend(count.ok().map(|count| (table.name.to_ascii_lowercase(), count)));
    }
    seen.faults = compare::faults(&connection).unwrap_or_else(|error| {
        let words = error.to_string();
        // What only the application has is no fault.
        if words.starts_with("no such ") || words.starts_with("unknown ") {
            Vec::new()
        } else {
            vec![words]
        }
    });
    seen
}

/// Brings a database of a listing, and what is beside it there.
fn fetched(command: &str, item: &Item, folder: &Path) -> Result<PathBuf> {
    let file = folder.join("fetched.db");
    for side in std::iter::once("").chain(item.sides.iter().copied()) {
        let name = format!("{}{side}", item.shown);
        let to = format!("{}{side}", file.display());
        let ended = Command::new("sh").args(["-c", command, "fetch", &name, &to]).status();
        let ended = ended.context("sh cannot be started")?;
        if !ended.success() || !Path::new(&to).is_file() {
            bail!("{name} was not fetched ({ended})");
        }
    }
    Ok(file)
}

/// The main file and what stands beside it, readable by us alone.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for side in ["", "-wal", "-journal"] {
        let with = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(side);
            PathBuf::from(name)
        };
        let (from, to) = (with(from), with(to));
        if side.is_empty() || from.exists() {
            fs::copy(&from, &to).with_context(|| format!("{} cannot be copied", from.display()))?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

/// A path as a shell reads it.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain =
        text.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-+".contains(letter));
    if plain {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
