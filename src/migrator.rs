//! Owns bootmigrate as a library: inside a supervisor, an application that waits, a test of the product's migrations.
//! Promises: the same test as the command line's `run`; a callback runs when everything is written, and its panic stops there.
//! Never handles the caller's SIGTERM, and opens for nobody what is not ready.

use std::ffi::OsString;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use crate::boot::PendingReport;
use crate::catalog::Embedded;
use crate::cli::{Action, Command, Verbosity};
use crate::decide::facts::Request;
use crate::device::clock::SystemClock;
use crate::device::disk::SystemDisk;
use crate::device::sqlite::application::{self, Connection};
use crate::device::sqlite::checks::Problem;
use crate::device::sqlite::code::{CodeError, Registered};
use crate::device::sqlite::Sqlite;
use crate::device::supervisor::forget_signals;
use crate::device::Environment;
use crate::report::{DatabaseReport, RunReport};
use crate::{commands, config, firmware_version};

/// A run that a program of your own makes.
pub struct Migrator {
    embedded: Embedded,
    root: PathBuf,
    config: Option<PathBuf>,
    database: Option<String>,
    stop: Arc<AtomicBool>,
    on_loss: Vec<OnLoss>,
    code: Registered,
    /// Why there is no catalogue, in a sentence.
    refused: Option<String>,
}

/// Told of each database that gave rows up.
type OnLoss = Box<dyn Fn(&DatabaseReport)>;

/// Why a database may not be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady(pub String);

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotReady {}

impl Migrator {
    /// With what the build embedded; on the device's own paths.
    pub fn new(embedded: Embedded) -> Migrator {
        let stop = Arc::new(AtomicBool::new(false));
        Migrator {
            embedded,
            root: PathBuf::new(),
            config: None,
            database: None,
            stop,
            on_loss: Vec::new(),
            code: Registered::default(),
            refused: None,
        }
    }

    /// With what `refinery::embed_migrations!` embedded, and the text of a `bootmigrate.toml` with one database: snapshots, swaps,
    /// fallbacks, ready files and the whole command line for a product that has refinery today. Its migrations have no directives, no
    /// down SQL and no build that looks at them; a version that refinery would refuse, and a file `U…`, are refused (exit code 2)
    /// before anything is opened.
    ///
    /// ```ignore
    /// mod embedded {
    ///     refinery::embed_migrations!("migrations");
    /// }
    ///
    /// fn main() -> std::process::ExitCode {
    ///     let settings = include_str!("../bootmigrate.toml");
    ///     bootmigrate::Migrator::from_refinery(&embedded::migrations::runner(), settings).main()
    /// }
    /// ```
    #[cfg(feature = "refinery")]
    pub fn from_refinery(runner: &refinery_core::Runner, settings: &'static str) -> Migrator {
        let none = Embedded { configuration: settings, configuration_file: "bootmigrate.toml", databases: &[] };
        match crate::from_refinery::embedded(runner, settings) {
            Ok(embedded) => Migrator::new(embedded),
            Err(refused) => Migrator { refused: Some(refused), ..Migrator::new(none) },
        }
    }

    /// As `--root`: put before every path.
    #[must_use]
    pub fn root(mut self, folder: impl Into<PathBuf>) -> Migrator {
        self.root = folder.into();
        self
    }

    /// As `--config`.
    #[must_use]
    pub fn config(mut self, file: impl Into<PathBuf>) -> Migrator {
        self.config = Some(file.into());
        self
    }

    /// As `--db`.
    #[must_use]
    pub fn database(mut self, name: impl Into<String>) -> Migrator {
        self.database = Some(name.into());
        self
    }

    /// Raised by the caller, this ends the run at the next place where that costs nothing (exit code 20 in the report).
    #[must_use]
    pub fn stop(mut self, stop: Arc<AtomicBool>) -> Migrator {
        self.stop = stop;
        self
    }

    /// Called for each database whose rows were given up, after its report, record and ready file are written: whatever it does,
    /// a panic included, changes nothing of that. By [`Migrator::boot`] alone: [`Migrator::main`] says it on standard error.
    #[must_use]
    pub fn on_data_loss(mut self, callback: impl Fn(&DatabaseReport) + 'static) -> Migrator {
        self.on_loss.push(Box::new(callback));
        self
    }

    /// The code of the migration of this version whose file says `code revision=N`. It runs after that file's own statements, in the
    /// one transaction of everything pending. Whatever it does, the transaction is ended by bootmigrate alone: BEGIN, COMMIT, ATTACH
    /// and the like are refused as in SQL, an error or a panic fails the migration (exit code 10, the database as it was), and
    /// what runs on after SQLite has rolled back by itself is rolled back too.
    ///
    /// It must change nothing but this database, and must work on an empty one: it runs again after a power cut, and in memory where
    /// schemas are compared. Raise the revision when the code changes.
    #[must_use]
    pub fn code_migration(
        mut self,
        database: impl Into<String>,
        version: i64,
        code: impl Fn(&Connection) -> Result<(), CodeError> + 'static,
    ) -> Migrator {
        self.code.add(database.into(), version, code);
        self
    }

    /// Called with every connection that is opened, before anything is read: the live database, copies of it, databases that are built
    /// beside it or in memory to compare schemas, and the one that [`Migrator::open`] hands out. It registers what the application's
    /// schema uses and SQLite does not have: functions, collations, modules of virtual tables, tokenizers, extensions.
    ///
    /// A function that a CHECK, an index, a generated column, a view or a trigger calls needs `SQLITE_INNOCUOUS`: bootmigrate, which
    /// often runs as root, does not trust a schema with any other. No SQL runs in here but a `SELECT` of functions (as
    /// `SELECT load_extension('…')`): everything else is refused. Where it fails or panics that is said once, and the run goes on:
    /// what needs a missing function fails, and names it. Features of rusqlite beyond `functions` and `collation` (as `vtab`,
    /// `load_extension`) are turned on by the product's own dependency on the same version of rusqlite ([`crate::sql`]).
    ///
    /// ```
    /// use bootmigrate::sql::functions::FunctionFlags;
    /// use bootmigrate::{Connection, Migrator};
    ///
    /// let migrator = Migrator::new(bootmigrate::embedded!()).on_connection(|connection: &Connection| {
    ///     let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    ///     connection.create_scalar_function("slug", 1, flags, |context| Ok(context.get::<String>(0)?.to_lowercase()))?;
    ///     connection.create_collation("backwards", |one, other| other.cmp(one))?;
    ///     Ok(())
    /// });
    /// migrator.validate().unwrap();
    /// ```
    #[must_use]
    pub fn on_connection(mut self, code: impl Fn(&Connection) -> Result<(), CodeError> + 'static) -> Migrator {
        self.code.add_on_connection(code);
        self
    }

    /// The whole command line, with the code that is registered: what a product's own `main` returns. Paths and names are those
    /// of its arguments.
    pub fn main(self) -> ExitCode {
        self.main_from(std::env::args_os().skip(1))
    }

    /// As [`Migrator::main`], with these arguments, without a program's name: for a program that has others of its own before them, as in
    /// `gateway migrate status` (`args_os().skip(2)`). Help and advice call it `bootmigrate` all the same. The process is bootmigrate's
    /// from here on: a panic ends it.
    pub fn main_from(self, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
        match &self.refused {
            Some(sentence) => crate::refuse(sentence),
            None => crate::command_line(&self.embedded, &self.code, arguments),
        }
    }

    /// As [`Embedded::validate`], with the code that is registered.
    ///
    /// # Errors
    /// Every problem, one a line, with file, line and column.
    pub fn validate(&self) -> Result<(), String> {
        match &self.refused {
            Some(sentence) => Err(sentence.clone()),
            None => validate(&self.embedded, Some(&self.code)),
        }
    }

    /// As [`testing::at`], with what is registered.
    ///
    /// # Errors
    /// As [`testing::at`].
    pub fn at(&self, database: &str, version: i64) -> Result<Connection, String> {
        testing::with(&self.embedded, database, version, Some(&self.code))
    }

    /// What the unit does at boot.
    ///
    /// # Errors
    /// One sentence about the configuration (exit code 2 of the command line); nothing was touched.
    #[must_use = "the report says whether the application may start"]
    pub fn boot(&self) -> Result<RunReport, String> {
        forget_signals().map_err(|error| format!("SIGIO and SIGXFSZ cannot be handled: {error}"))?;
        let disk = SystemDisk;
        let command = self.command(Action::Run { request: Request::Boot, program: Vec::new() })?;
        let settings = commands::settings(&self.embedded, &command, &disk)?;
        let environment = self.environment(&disk, command.root.clone());
        let devices = commands::devices(&self.embedded, &settings, &environment)?;
        let (report, unsaid) = commands::run::run(&settings, &environment, &devices, self.database.as_deref(), &Request::Boot);
        // The caller has the report: a loss in it has been said.
        unsaid.into_iter().for_each(PendingReport::said);
        for database in report.databases.iter().filter(|database| database.data_loss) {
            for callback in &self.on_loss {
                if catch_unwind(AssertUnwindSafe(|| callback(database))).is_err() {
                    log::error!("{}: a callback panicked; the outcome stands.", database.name);
                }
            }
        }
        Ok(report)
    }

    /// Opens a database that is ready, as an application should: no file is made, foreign keys are on, and it waits for locks.
    /// Runs nothing.
    ///
    /// # Errors
    /// Where it is not ready, not configured, or SQLite cannot open it.
    pub fn open(&self, name: &str) -> Result<Connection, NotReady> {
        let disk = SystemDisk;
        let command = self.command(Action::Ready).map_err(NotReady)?;
        let settings = commands::settings(&self.embedded, &command, &disk).map_err(NotReady)?;
        let environment = self.environment(&disk, command.root.clone());
        let devices = commands::devices(&self.embedded, &settings, &environment).map_err(NotReady)?;
        let Some(device) = devices.iter().find(|device| device.settings.name == name) else {
            return Err(NotReady(format!("{name} is not configured")));
        };
        commands::ready::is_ready(device).map_err(|why| NotReady(format!("{name} is not ready: {why}; `bootmigrate status` says more")))?;
        application::open(&device.files.main, device.busy_limit(), &self.code).map_err(|error| NotReady(format!("{name}: {error}")))
    }

    fn command(&self, action: Action) -> Result<Command, String> {
        if let Some(sentence) = &self.refused {
            return Err(sentence.clone());
        }
        let root = if self.root.as_os_str().is_empty() { PathBuf::new() } else { absolute(&self.root)? };
        let (config, database) = (self.config.clone(), self.database.clone());
        Ok(Command { action, config, root, verbosity: Verbosity::Normal, json: false, database })
    }

    fn environment<'a>(&'a self, disk: &'a SystemDisk, root: PathBuf) -> Environment<'a> {
        let firmware = firmware_version(disk, &root);
        Environment {
            disk,
            sqlite: Sqlite { registered: Some(&self.code), ..Sqlite::default() },
            clock: &SystemClock,
            stop: Arc::clone(&self.stop),
            root,
            firmware,
            code: Some(&self.code),
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| format!("{} is no path: {error}", path.display()))
}

impl Embedded {
    /// For a product's own test: every migration of every database runs on an empty one, in order, and references hold after it.
    ///
    /// # Errors
    /// Every problem, one a line, with file, line and column.
    pub fn validate(&self) -> Result<(), String> {
        validate(self, None)
    }
}

fn validate(embedded: &Embedded, code: Option<&Registered>) -> Result<(), String> {
    let source = config::Source { file: embedded.configuration_file, text: embedded.configuration };
    let settings = config::read(source, &[], config::UnknownKey::Warn).map_err(|error| error.to_string())?;
    let oldest = |name: &str| settings.databases.iter().find(|database| database.name == name).and_then(|database| database.sqlite_min);
    let problems = embedded.databases.iter().flat_map(|catalog| {
        let oldest = oldest(catalog.database);
        application::problems(catalog, catalog.target(), code, oldest).1
    });
    let problems: Vec<String> = problems.map(|Problem(text)| text).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

/// For a product's own tests: databases in memory, as this firmware's migrations make them.
pub mod testing {
    use super::{application, Connection, Embedded, Problem, Registered};

    /// At this firmware's version.
    ///
    /// # Errors
    /// One sentence: no such database, or a migration that fails.
    pub fn fresh(embedded: &Embedded, database: &str) -> Result<Connection, String> {
        let target = embedded.databases.iter().find(|catalog| catalog.database == database).map_or(0, |catalog| catalog.target());
        at(embedded, database, target)
    }

    /// At an earlier version.
    ///
    /// # Errors
    /// As [`fresh`], and where the firmware does not know the version.
    pub fn at(embedded: &Embedded, database: &str, version: i64) -> Result<Connection, String> {
        with(embedded, database, version, None)
    }

    pub(super) fn with(embedded: &Embedded, database: &str, version: i64, code: Option<&Registered>) -> Result<Connection, String> {
        let found = embedded.databases.iter().find(|catalog| catalog.database == database);
        let catalog = found.ok_or_else(|| format!("this firmware has no database {database}"))?;
        if catalog.find(version).is_none() {
            return Err(format!("{database} has no version {version}"));
        }
        match application::problems(catalog, version, code, None) {
            (Some(connection), problems) if problems.is_empty() => Ok(connection),
            (_, problems) => Err(problems.into_iter().map(|Problem(text)| text).collect::<Vec<_>>().join("\n")),
        }
    }
}
