//! Migrates the SQLite databases of a headless Linux device when it boots, before the application
//! opens them: the old database or the new one, whole, at every instant; no loss goes unreported;
//! an answer at every boot. It never reboots the device, never touches what is not proven to be its
//! own, and never decides by a clock.
//!
//! ```
//! use bootmigrate::{embedded, Migrator};
//!
//! // A device's root file system; without `root` it is this one's.
//! let device = tempfile::tempdir()?;
//! let migrator = Migrator::new(embedded!()).root(device.path());
//! let report = migrator.boot()?; // snapshot, migrate, verify, commit; or what the policy says
//! if report.usable {
//!     let settings = migrator.open("settings")?; // a rusqlite connection
//! #   let _: i64 = settings.query_row("SELECT count(*) FROM site", [], |row| row.get(0))?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `embedded!()` is the folder of SQL files that the build script embedded, checked and tried:
//!
//! ```no_run
//! // build.rs, with bootmigrate-build as a build dependency
//! # mod bootmigrate_build { pub fn embed(_: &str) {} }
//! fn main() {
//!     bootmigrate_build::embed("migrations");
//! }
//! ```
//!
//! - [`main`] is the whole command line (`run`, `status`, `plan`, `snapshot`, …) in a product's own
//!   binary.
//! - [`Migrator`] is the same run inside a supervisor or an application; [`RunReport`] is what it
//!   says, [`Error`] why it could not begin.
//! - [`Migrator::code_migration`], [`Migrator::on_connection`] and [`Hooks`] bring in the product's
//!   own code.
//! - [`testing`] has databases in memory, and a device in a folder that boots one firmware after
//!   another.
//!
//! The configuration, the directives in SQL files and the exit codes are in the repository's
//! `docs`.

// # Where things are
//
// ```text
// main.rs            argv → run → print → exit code. Decides nothing.
// boot.rs            a boot of one database on one screen; boot/operation.rs carries a plan out,
//                    one arm a plan; boot/group.rs nests the boots of databases that go together
// cli.rs             argv → Command. Pure.
// catalog.rs         the embedded migrations, as constants
// commands/          one file a command; cli/describe.rs has their texts
// decide/            pure: facts and policy in, a plan out; the record's bytes
// ops/               one operation a file: takes the device and proof, returns proof or a failure
// device/            effects: disk (the trait and the kernel's), sqlite, history, files, clock,
//                    supervisor
// migrator.rs        the same as a library, for a supervisor, an application, a product's tests
// packed.rs          the packed catalogue that the stock binary reads from the image
// from_refinery.rs   the catalogue of a product that embeds its migrations with refinery's macro
//                    (feature `refinery`)
// report.rs          what happened → one sentence and its code, JSON, exit code
// error.rs           Failure and its class; error/exit.rs is the one table of exit codes
//
// crates/model       what the build and the device both use:
//   config.rs        bootmigrate.toml (embedded, then /etc) → validated Settings
//   catalog.rs       the values that a catalogue has in both
//   lex.rs           SQL text as tokens
//   pragma.rs        the PRAGMAs that a migration may have
//   refusal.rs       the statements that it may not have; reserved.rs the names
//   schema.rs        what a schema is, and how two differ; compile.rs and references.rs what of it
//                    does not work
//   sqlite_min.rs    which SQLite a schema's text needs
//   sums.rs          refinery's checksums and the fingerprint of a catalogue
// ```
//
// Imports only go down: `main → cli, commands, boot → ops → device`; `boot, commands, ops →
// decide`; everyone may use `error`, `config` and `catalog`. `decide` imports nothing else of ours.
// `device` never imports `decide`, `ops` never `boot` or `commands`. `tests/structure.rs` checks
// it, and is itself fed bad files.
//
// Running again after a power cut is no special path: a ready file and an open operation are facts
// like any other. A quiet boot reaches neither the snapshot nor the migration code.
//
// Two seams let everything be broken from outside, with no switch in the product: the trait
// `device::disk::Disk` for our own files, and SQLite's VFS for its files.
//
// The modules are open to the lab and to this package's own tests, and to nobody else: what a
// product may call is below.
#[doc(hidden)]
pub mod catalog;
#[cfg(feature = "refinery")]
mod from_refinery;
mod hooks;
mod migrator;
mod packed;

#[cfg(not(feature = "internals"))]
mod boot;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod boot;
#[cfg(not(feature = "internals"))]
mod cli;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod cli;
#[cfg(not(feature = "internals"))]
mod commands;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod commands;
#[cfg(not(feature = "internals"))]
mod decide;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod decide;
#[cfg(not(feature = "internals"))]
mod device;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod device;
#[cfg(not(feature = "internals"))]
mod error;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod error;
#[cfg(not(feature = "internals"))]
mod ops;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod ops;
#[cfg(not(feature = "internals"))]
mod report;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod report;

#[cfg(feature = "refinery")]
use bootmigrate_model::sums;
#[cfg(not(feature = "internals"))]
use bootmigrate_model::{config, lex};
#[cfg(feature = "internals")]
#[doc(hidden)]
pub use bootmigrate_model::{config, lex, sqlite_min};
use bootmigrate_model::{packed_format, pragma, reserved};

pub use catalog::Embedded;
pub use decide::record::FailedAt;
pub use device::sqlite::application::{rusqlite, Connection};
pub use device::sqlite::registered::CodeError;
pub use error::Place;
pub use hooks::{AfterFailure, DatabaseResult, FailureInfo, Hooks, MigrationInfo};
pub use migrator::{testing, Error, Migrator};
#[cfg(feature = "refinery")]
pub use refinery_core;
pub use report::{DatabaseReport, Identity, LastFailure, Outcome, RunReport};

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use cli::{Action, Command, Verbosity};
use commands::{CommandContext, Lines, Printed};
use device::clock::SystemClock;
use device::descriptors::{self, Rlimit};
use device::disk::{system_text, Disk, SystemDisk};
use device::logging;
use device::output;
use device::progress;
use device::signals;
use device::sqlite::registered::{guest_runs, last_words, Registered};
use device::sqlite::stuck;
use device::sqlite::watch::bound_memory;
use device::sqlite::Sqlite;
use device::supervisor::place;
use device::Environment;
use error::called::program;
use error::exit;

/// The whole command line of a product: reads argv, runs, prints, and returns the exit code.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     bootmigrate::main(bootmigrate::embedded!())
/// }
/// ```
pub fn main(embedded: Embedded) -> ExitCode {
    Migrator::new(embedded).main()
}

/// [`main`] of the stock binary, which serves every product: a catalogue in `/usr/lib/bootmigrate`
/// takes the place of the embedded one.
#[doc(hidden)]
pub fn stock(embedded: Embedded) -> ExitCode {
    Migrator::new(embedded).choosing(packed::chosen).main()
}

/// What a program carries, and where else it may have it from.
#[derive(Clone, Copy)]
struct Carried {
    embedded: Embedded,
    choose: Option<packed::Choose>,
}

fn command_line(
    carried: Carried,
    code: &Registered,
    arguments: impl IntoIterator<Item = OsString>,
) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        if guest_runs() {
            // Caught, and told as what it is: the product's code failed. Where nothing can be
            // caught, this is the last word.
            if cfg!(panic = "abort") {
                tell(&last_words(panic));
                std::process::exit(exit::FAILED.code.into());
            }
            return;
        }
        tell(&format!(
            "{}: a defect of bootmigrate stopped this run ({panic}); the next boot goes on from \
             what is on disk. [BM-1]",
            program()
        ));
        std::process::exit(exit::DEFECT.code.into());
    }));
    let command = match cli::parse(arguments) {
        Ok(command) => command,
        Err(sentence) => return refuse(&sentence),
    };
    logging::start(match command.verbosity {
        Verbosity::Quiet => log::LevelFilter::Error,
        Verbosity::Normal => log::LevelFilter::Warn,
        Verbosity::Migrations => log::LevelFilter::Info,
        Verbosity::Statements => log::LevelFilter::Debug,
    });
    progress::watch(command.verbosity != Verbosity::Quiet);
    stuck::end_by(end_here);
    match carry_out(carried, code, &command) {
        Ok(printed) => ExitCode::from(printed.write().0),
        Err(sentence) => refuse(&sentence),
    }
}

fn refuse(sentence: &str) -> ExitCode {
    let priority = if std::env::var_os("JOURNAL_STREAM").is_some() { "<3>" } else { "" };
    tell(&format!("{priority}{}: {sentence}. [BM-2]", program()));
    ExitCode::from(exit::CONFIGURATION.code)
}

/// A stop signal came, and SQL that is being evaluated does not come to an end for it.
fn end_here() {
    let priority = if std::env::var_os("JOURNAL_STREAM").is_some() { "<4>" } else { "" };
    tell(&format!(
        "{priority}{}: a stop signal came, and a statement did not end for it: this run ends here, as \
         by a power cut. Next: the next boot goes on from what is on disk. [BM-20]",
        program()
    ));
    std::process::exit(exit::INTERRUPTED.code.into());
}

/// One line on standard error; where nobody takes it, the exit code is all that is left.
fn tell(line: &str) {
    let _ = output::to_stderr(Lines::of(line).as_str());
}

fn carry_out(
    Carried { embedded, choose }: Carried,
    code: &Registered,
    command: &Command,
) -> Result<Printed, String> {
    match &command.action {
        Action::Help(words) => {
            return Ok(Printed::answer(Lines::verbatim(&cli::help::help(words)), 0))
        }
        Action::Version => return Ok(Printed::answer(Lines::of(&version(&embedded)), 0)),
        _ => {}
    }
    // What it holds is closed with the process.
    let disk: &SystemDisk = Box::leak(Box::default());
    let root = absolute_root(command)?;
    let embedded = &choose.map_or(Ok(embedded), |choose| choose(embedded, disk, &root))?;
    let mut settings = commands::settings(embedded, command, disk)?;
    let command = &commands::baseline::as_run(embedded, &mut settings, command)?;
    bound_memory(settings.memory_mib)
        .map_err(|error| format!("SQLite's memory cannot be bounded: {error}"))?;
    let stop =
        signals::watch().map_err(|error| format!("stop signals cannot be watched: {error}"))?;
    let firmware = firmware_version(disk, &root);
    let environment = Environment {
        disk,
        sqlite: Sqlite { registered: Some(code), disk: Some(disk), ..Sqlite::default() },
        clock: &SystemClock,
        stop,
        root,
        firmware,
        code: Some(code),
    };
    let all = commands::devices(embedded, &settings, &environment)?;
    let limit = descriptors::raise_for(all.len());
    let devices = commands::named(&all, command.database.as_deref());
    let context = CommandContext {
        settings: &settings,
        environment: &environment,
        devices: &devices,
        all: &all,
        command,
    };
    answer(&context, embedded, limit)
}

/// Does what was asked for, of the databases that are configured.
fn answer(
    context: &CommandContext<'_>,
    embedded: &Embedded,
    limit: Option<Rlimit>,
) -> Result<Printed, String> {
    let command = context.command;
    match &command.action {
        Action::Run { request, program } => {
            let temporary_folder = commands::run::temporary_folder();
            let (report, pending_report) = commands::run::run(
                context.settings,
                context.environment,
                context.all,
                command.database.as_deref(),
                request,
            );
            let printed = commands::run::said(&report, command, pending_report);
            if report.usable && !program.is_empty() {
                return Err(commands::run::become_program(program, temporary_folder, limit));
            }
            Ok(printed)
        }
        Action::Plan { sql } => Ok(commands::plan::plan(context, *sql)),
        Action::Ready => Ok(commands::ready::ready(context)),
        Action::Status { exit_code, format } => {
            Ok(commands::status::status(context, *format, *exit_code))
        }
        Action::MarkGood => match commands::changes(context) {
            Ok(()) => {
                Ok(commands::mark_good::mark_good(context.devices, context.all, command.json))
            }
            Err(printed) => Ok(printed),
        },
        Action::Migrate(extent) => commands::migrate::migrate(context, *extent),
        Action::Rollback(extent) => commands::rollback::rollback(context, *extent),
        Action::Rehearse => Ok(commands::rehearse::rehearse(context)),
        Action::Data(verb) => commands::data::data(context, *verb),
        Action::Snapshot(verb) => Ok(commands::snapshot::snapshot(context, *verb)),
        Action::Restore(which) => commands::restore::restore(context, which),
        Action::Quarantine(verb) => commands::quarantine::quarantine(context, verb),
        Action::Lost(verb) => commands::lost::lost(context, verb),
        Action::Doctor { full } => Ok(commands::doctor::doctor(context, *full)),
        Action::Scrub => Ok(commands::scrub::scrub(context)),
        Action::Salvage(into) => commands::salvage::salvage(context, into),
        Action::Wipe { agreed } => Ok(commands::wipe::wipe(context, *agreed)),
        Action::Bundle(file) => commands::bundle::bundle(context, embedded, file),
        Action::Help(_) | Action::Version | Action::Adopt { .. } => {
            Ok(Printed::answer(Lines::default(), 0))
        }
    }
}

/// The program's name and version; a product's own says which bootmigrate is in it.
fn version(embedded: &Embedded) -> String {
    let (name, ours) = (program(), env!("CARGO_PKG_VERSION"));
    match embedded.version {
        version if name == "bootmigrate" && version == ours => format!("bootmigrate {ours}"),
        "" => format!("{name} (bootmigrate {ours})"),
        version => format!("{name} {version} (bootmigrate {ours})"),
    }
}

/// `--root` as an absolute path: every path of the device is put below it.
fn absolute_root(command: &Command) -> Result<std::path::PathBuf, String> {
    if command.root.as_os_str().is_empty() {
        return Ok(command.root.clone());
    }
    std::path::absolute(&command.root)
        .map_err(|error| format!("--root {} is no path: {error}", command.root.display()))
}

/// Bytes of os-release that are read at most.
const OS_RELEASE_BYTES_MAX: usize = 16 << 10;

/// IMAGE_VERSION, else VERSION_ID, of os-release; empty where there is none.
fn firmware_version(disk: &dyn Disk, root: &Path) -> String {
    let text = system_text(disk, &place(root, Path::new("/etc/os-release")), OS_RELEASE_BYTES_MAX);
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
    };
    value("IMAGE_VERSION").or_else(|| value("VERSION_ID")).unwrap_or_default()
}
