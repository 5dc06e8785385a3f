//! Owns bootmigrate as a library: inside a supervisor, an application that waits, a test of the
//! product's migrations.
//! Promises: the same run as the command line's `run`; a callback runs when everything is written,
//! and its panic stops there.
//! Never handles the caller's SIGTERM, and opens for nobody what is not ready.

mod error;
pub mod testing;
mod validation;

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
use crate::device::memory;
use crate::device::signals;
use crate::device::sqlite::application::{self, Connection};
use crate::device::sqlite::registered::{CodeError, Registered};
use crate::device::sqlite::Sqlite;
use crate::device::Environment;
use crate::error::called::call;
use crate::hooks::Hooks;
use crate::packed::Choose;
use crate::report::{DatabaseReport, RunReport};
use crate::{commands, firmware_version, Carried};
pub use error::Error;
use validation::validate;

/// A run that a program of your own makes. The builder's methods say how; [`boot`](Migrator::boot),
/// [`main`](Migrator::main) and [`open`](Migrator::open) do it.
///
/// ```
/// use bootmigrate::Migrator;
///
/// let device = tempfile::tempdir()?;
/// let migrator = Migrator::new(bootmigrate::embedded!())
///     .root(device.path())
///     .on_data_loss(|database| eprintln!("tell the cloud: {}", database.sentence));
/// let report = migrator.boot()?;
/// assert!(report.usable);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    program: Option<String>,
    choose: Option<Choose>,
}

/// Told of each database that lost rows.
type OnLoss = Box<dyn Fn(&DatabaseReport) + Send>;

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
            program: None,
            choose: None,
        }
    }

    /// With what `refinery::embed_migrations!` embedded, and the text of a `bootmigrate.toml` with
    /// one database: snapshots, swaps, fallbacks, ready files and the whole command line for a
    /// product that has refinery today. Its migrations have no directives, no down SQL and no build
    /// that looks at them; a version that refinery would refuse, and a file `U…`, are refused (exit
    /// code 2) before anything is opened.
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
        let none = Embedded {
            configuration: settings,
            version: "",
            configuration_file: "bootmigrate.toml",
            settings: None,
            databases: &[],
        };
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

    /// Raised by the caller, this ends the run at the next place where that costs nothing (exit
    /// code 20 in the report).
    ///
    /// ```
    /// use std::sync::{atomic::AtomicBool, Arc};
    ///
    /// let device = tempfile::tempdir()?;
    /// let stop = Arc::new(AtomicBool::new(true)); // by the supervisor's own SIGTERM handler
    /// let migrator = bootmigrate::Migrator::new(bootmigrate::embedded!());
    /// let migrator = migrator.root(device.path()).stop(Arc::clone(&stop));
    /// assert_eq!(migrator.boot()?.exit, 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stop(mut self, stop: Arc<AtomicBool>) -> Migrator {
        self.stop = stop;
        self
    }

    /// Called for each database that lost rows, after its report, record and ready file are
    /// written: whatever it does, a panic included, changes nothing of that. By [`Migrator::boot`]
    /// alone: [`Migrator::main`] says it on standard error.
    #[must_use]
    pub fn on_data_loss(mut self, callback: impl Fn(&DatabaseReport) + Send + 'static) -> Migrator {
        self.on_loss.push(Box::new(callback));
        self
    }

    /// The code of the migration of this version whose file says `code revision=N`. It runs after
    /// that file's own statements, in the one transaction of everything pending. Whatever it does,
    /// the transaction is ended by bootmigrate alone: BEGIN, COMMIT, ATTACH and the like are
    /// refused as in SQL, an error or a panic fails the migration (exit code 10, the database as it
    /// was), and what runs on after SQLite has rolled back by itself is rolled back too.
    ///
    /// It must change nothing but this database, and must work on an empty one: it runs again after
    /// a power cut, and in memory where schemas are compared. Raise the revision when the code
    /// changes.
    ///
    /// ```no_run
    /// # fn seal(_: &str) -> String { String::new() }
    /// // settings/V15__sealed_keys.sql begins with `-- bootmigrate: code revision=1`
    /// let exit = bootmigrate::Migrator::new(bootmigrate::embedded!())
    ///     .code_migration("settings", 15, |settings| {
    ///         let key: String = settings.query_row("SELECT key FROM wifi", [], |row| row.get(0))?;
    ///         settings.execute("UPDATE wifi SET key = ?1", [seal(&key)])?;
    ///         Ok(())
    ///     })
    ///     .main();
    /// ```
    #[must_use]
    pub fn code_migration(
        mut self,
        database: impl Into<String>,
        version: i64,
        code: impl Fn(&Connection) -> Result<(), CodeError> + Send + 'static,
    ) -> Migrator {
        self.code.add(database.into(), version, code);
        self
    }

    /// Called with every connection that is opened, before anything is read: the live database,
    /// copies of it, databases that are built beside it or in memory to compare schemas, and the
    /// one that [`Migrator::open`] hands out. It registers what the application's schema uses and
    /// SQLite does not have: functions, collations, modules of virtual tables, tokenizers,
    /// extensions.
    ///
    /// A function that a CHECK, an index, a generated column, a view or a trigger calls needs
    /// `SQLITE_INNOCUOUS`: bootmigrate, which often runs as root, does not trust a schema with any
    /// other. No SQL runs in here but a `SELECT` of functions (as `SELECT load_extension('…')`):
    /// everything else is refused. Where it fails or panics that is said once, and the run goes on:
    /// what needs a missing function fails, and names it. Features of rusqlite beyond `functions`
    /// and `collation` (as `vtab`, `load_extension`) are turned on by the product's own dependency
    /// on the same version of rusqlite ([`crate::rusqlite`]).
    ///
    /// ```
    /// use bootmigrate::rusqlite::functions::FunctionFlags;
    /// use bootmigrate::{Connection, Migrator};
    ///
    /// let migrator = Migrator::new(bootmigrate::embedded!());
    /// let migrator = migrator.on_connection(|connection: &Connection| {
    ///     let flags = FunctionFlags::SQLITE_UTF8
    ///         | FunctionFlags::SQLITE_DETERMINISTIC
    ///         | FunctionFlags::SQLITE_INNOCUOUS;
    ///     connection.create_scalar_function("slug", 1, flags, |context| {
    ///         Ok(context.get::<String>(0)?.to_lowercase())
    ///     })?;
    ///     connection.create_collation("backwards", |one, other| other.cmp(one))?;
    ///     Ok(())
    /// });
    /// migrator.validate().unwrap();
    /// ```
    #[must_use]
    pub fn on_connection(
        mut self,
        code: impl Fn(&Connection) -> Result<(), CodeError> + Send + 'static,
    ) -> Migrator {
        self.code.add_on_connection(code);
        self
    }

    /// What the program is called in help and advice: `gateway`, or `gateway db` where these
    /// commands stand behind a word of the product's own. Without it, the name by which the process
    /// was started. One process has one name: the first.
    #[must_use]
    pub fn program(mut self, name: impl Into<String>) -> Migrator {
        self.program = Some(name.into());
        self
    }

    /// The product's version, for `--version`. Without it, that of the package whose build script
    /// embedded the migrations.
    #[must_use]
    pub fn version(mut self, version: &'static str) -> Migrator {
        self.embedded.version = version;
        self
    }

    /// The whole command line, with the code that is registered: what a product's own `main`
    /// returns. Paths and names are those of its arguments.
    ///
    /// ```no_run
    /// fn main() -> std::process::ExitCode {
    ///     bootmigrate::Migrator::new(bootmigrate::embedded!()).main()
    /// }
    /// ```
    pub fn main(self) -> ExitCode {
        self.main_from(std::env::args_os().skip(1))
    }

    /// As [`Migrator::main`], with these arguments, without a program's name: for a program that
    /// has others of its own before them. The process is bootmigrate's from here on: a panic ends
    /// it.
    ///
    /// ```no_run
    /// fn main() -> std::process::ExitCode {
    ///     match std::env::args().nth(1).as_deref() {
    ///         Some("db") => bootmigrate::Migrator::new(bootmigrate::embedded!())
    ///             .program("gateway db")
    ///             .main_from(std::env::args_os().skip(2)),
    ///         _ => std::process::ExitCode::SUCCESS, // the gateway itself
    ///     }
    /// }
    /// ```
    pub fn main_from(self, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
        let started = || {
            std::env::args_os()
                .next()
                .and_then(|path| Some(Path::new(&path).file_name()?.to_str()?.to_owned()))
        };
        if let Some(name) = self.program.clone().or_else(started) {
            call(&name);
        }
        match &self.refused {
            Some(sentence) => crate::refuse(sentence),
            None => crate::command_line(
                Carried { embedded: self.embedded, choose: self.choose },
                &self.code,
                arguments,
            ),
        }
    }

    /// Callbacks for what happens in a run, and a last word on what follows a migration that
    /// failed. Of two the later ones count.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks + 'static) -> Migrator {
        self.code.add_hooks(hooks);
        self
    }

    /// For a product's own test: every migration of every database runs on an empty one, in order,
    /// with the code that is registered, and leaves a schema that an application can use.
    ///
    /// ```
    /// bootmigrate::Migrator::new(bootmigrate::embedded!()).validate()?;
    /// # Ok::<(), bootmigrate::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Migrations`] with every problem.
    pub fn validate(&self) -> Result<(), Error> {
        self.known()?;
        validate(&self.embedded, Some(&self.code))
    }

    /// A database in memory at this version, as this firmware's migrations make it, with what is
    /// registered; it has no history.
    ///
    /// ```
    /// let migrator = bootmigrate::Migrator::new(bootmigrate::embedded!());
    /// let settings = migrator.at("settings", 12)?;
    /// settings.execute("INSERT INTO site (name) VALUES ('attic')", [])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`] where this firmware does not know the database or the version;
    /// [`Error::Migrations`].
    pub fn at(&self, database: &str, version: i64) -> Result<Connection, Error> {
        self.known()?;
        testing::with(&self.embedded, database, version, Some(&self.code))
    }

    /// Does what the unit does at boot, and returns what happened. A migration that fails is part
    /// of the report, and no error.
    ///
    /// ```
    /// use bootmigrate::Migrator;
    ///
    /// let device = tempfile::tempdir()?;
    /// let report = Migrator::new(bootmigrate::embedded!()).root(device.path()).boot()?;
    /// for database in &report.databases {
    ///     println!("{}", database.sentence);
    /// }
    /// assert_eq!((report.exit, report.usable), (0, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`]; nothing was touched.
    #[must_use = "the report says whether the application may start"]
    pub fn boot(&self) -> Result<RunReport, Error> {
        let handled = |error| Error::System {
            sentence: format!("SIGIO and SIGXFSZ cannot be handled: {error}"),
        };
        signals::forget().map_err(handled)?;
        self.program.iter().for_each(|name| call(name));
        let disk = SystemDisk::default();
        let command = self.command(Action::Run { request: Request::Boot, program: Vec::new() })?;
        let settings = commands::settings(&self.embedded, &command, &disk)?;
        memory::bound(u64::from(settings.memory_mib) << 20);
        let environment = self.environment(&disk, command.root.clone());
        let devices = commands::devices(&self.embedded, &settings, &environment)
            .map_err(Error::configuration)?;
        let (report, pending_report) = commands::run::run(
            &settings,
            &environment,
            &devices,
            self.database.as_deref(),
            &Request::Boot,
        );
        // The caller has the report: a loss in it has been reported.
        pending_report.into_iter().for_each(PendingReport::delivered);
        for database in report.databases.iter().filter(|database| database.data_loss) {
            for callback in &self.on_loss {
                if catch_unwind(AssertUnwindSafe(|| callback(database))).is_err() {
                    log::error!("{}: a callback panicked; the outcome stands.", database.name);
                }
            }
        }
        Ok(report)
    }

    /// Opens a database that is ready, as an application should: no file is made, foreign keys are
    /// on, and it waits for locks. Runs nothing.
    ///
    /// ```
    /// use bootmigrate::Migrator;
    ///
    /// let device = tempfile::tempdir()?;
    /// let migrator = Migrator::new(bootmigrate::embedded!()).root(device.path());
    /// let _ = migrator.boot()?;
    /// let settings = migrator.open("settings")?;
    /// let sites: i64 = settings.query_row("SELECT count(*) FROM site", [], |row| row.get(0))?;
    /// assert_eq!(sites, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotReady`]; [`Error::Configuration`] where there is no such database;
    /// [`Error::System`] where SQLite cannot open it.
    pub fn open(&self, name: &str) -> Result<Connection, Error> {
        let disk = SystemDisk::default();
        let command = self.command(Action::Ready)?;
        let settings = commands::settings(&self.embedded, &command, &disk)?;
        let environment = self.environment(&disk, command.root.clone());
        let devices = commands::devices(&self.embedded, &settings, &environment)
            .map_err(Error::configuration)?;
        let Some(device) = devices.iter().find(|device| device.settings.name == name) else {
            return Err(Error::configuration(format!("{name} is not configured")));
        };
        let not_ready = |why: String| Error::NotReady {
            database: name.into(),
            why: format!("{why}; `bootmigrate status` says more"),
        };
        commands::ready::is_ready(device).map_err(not_ready)?;
        let system = |words: String| Error::System { sentence: format!("{name}: {words}") };
        application::open(&device.files.main, device.busy_limit(), &self.code).map_err(system)
    }

    /// The command line asks this for its catalogue.
    pub(crate) fn choosing(mut self, choose: Choose) -> Migrator {
        self.choose = Some(choose);
        self
    }

    /// There is a catalogue.
    fn known(&self) -> Result<(), Error> {
        self.refused.as_ref().map_or(Ok(()), |sentence| Err(Error::configuration(sentence)))
    }

    fn command(&self, action: Action) -> Result<Command, Error> {
        self.known()?;
        let root =
            if self.root.as_os_str().is_empty() { PathBuf::new() } else { absolute(&self.root)? };
        let (config, database) = (self.config.clone(), self.database.clone());
        Ok(Command { action, config, root, verbosity: Verbosity::Normal, json: false, database })
    }

    fn environment<'a>(&'a self, disk: &'a SystemDisk, root: PathBuf) -> Environment<'a> {
        let firmware = firmware_version(disk, &root);
        Environment {
            disk,
            sqlite: Sqlite { registered: Some(&self.code), disk: Some(disk), ..Sqlite::default() },
            clock: &SystemClock,
            stop: Arc::clone(&self.stop),
            root,
            firmware,
            code: Some(&self.code),
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path)
        .map_err(|error| Error::configuration(format!("{} is no path: {error}", path.display())))
}
