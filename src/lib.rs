//! Owns bringing the SQLite databases of a headless device to the schema its firmware expects, at boot, before the application.
//! Promises: the old database or the new one, whole, at every instant; nothing given up silently; an answer at every boot.
//! Never reboots the device, never touches what is not proven to be its own, never decides by a clock.
//!
//! # The context
//!
//! ```text
//! main.rs            argv → run → print → exit code. Decides nothing.
//! boot.rs            THE test on one screen; boot/operation.rs carries a plan out, one arm a plan; boot/group.rs nests the boots
//!                    of databases that go together
//! cli.rs             argv → Command. Pure.
//! config.rs          bootmigrate.toml (embedded, then /etc) → validated Settings; shared with the build crate
//! catalog.rs         the embedded migrations, as constants
//! pragma.rs          the PRAGMAs that a migration may have; shared with the build crate
//! reserved.rs        names that are bootmigrate's own; shared with the build crate
//! sums.rs            refinery's checksums and the fingerprint of a catalogue; shared with the build crate
//! lex.rs             SQL text as tokens; shared with the build crate
//! sqlite_min.rs      which SQLite a schema's text needs; shared with the build crate
//! commands/          one file a command; cli/describe.rs has their texts
//! decide/            PURE ROOM: facts and policy in, a plan out; the record's bytes
//! ops/               ONE VERB A FILE: takes the device and proof, returns proof or a failure
//! device/            EFFECTS ROOM: disk (the trait and the kernel's), sqlite, history, files, clock, supervisor
//! migrator.rs        the same as a library, for a supervisor, an application, a product's tests
//! from_refinery.rs   the catalogue of a product that embeds its migrations with refinery's macro (feature `refinery`)
//! report.rs          what happened → one sentence and its code, JSON, exit code
//! error.rs           Failure and its class (a whitelist)
//! ```
//!
//! Arrows only go down: `main → cli, commands, boot → ops → device`; `boot, commands, ops → decide`; everyone may use
//! `error`, `config` and `catalog`. `decide` imports nothing else of ours. `device` never imports `decide`, `ops` never
//! `boot` or `commands`. `tests/context.rs` checks it, and is itself fed bad files.
//!
//! Running again after a power cut is no special path: a ready file and an open operation are facts like any other. A quiet boot
//! reaches neither the snapshot nor the migration code.
//!
//! Two seams let everything be broken from outside, with no switch in the product: the trait [`device::disk::Disk`] for our
//! own files, and SQLite's VFS for its files.

pub mod boot;
pub mod catalog;
pub mod cli;
pub mod commands;
pub mod config;
pub mod decide;
pub mod device;
pub mod error;
#[cfg(feature = "refinery")]
mod from_refinery;
#[doc(hidden)]
pub mod lex;
mod migrator;
pub mod ops;
#[cfg_attr(not(feature = "refinery"), allow(dead_code))]
mod pragma;
pub mod report;
mod reserved;
#[doc(hidden)]
pub mod sqlite_min;
#[cfg(feature = "refinery")]
mod sums;

pub use device::sqlite::application::{sql, Connection};
pub use device::sqlite::code::CodeError;
pub use migrator::{testing, Migrator, NotReady};
#[cfg(feature = "refinery")]
pub use refinery_core;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use catalog::Embedded;
use cli::{Action, Command, Verbosity};
use commands::{CommandContext, Lines, Printed};
use device::clock::SystemClock;
use device::disk::{system_text, Disk, SystemDisk};
use device::logging;
use device::progress;
use device::sqlite::code::{self, Registered};
use device::sqlite::watch::bound_memory;
use device::sqlite::Sqlite;
use device::supervisor::{self, place};
use device::Environment;

/// Exit code of a usage or configuration mistake.
const EXIT_USAGE: u8 = 2;
/// Exit code of a defect of ours.
const EXIT_DEFECT: i32 = 1;
/// Exit code of a migration that failed.
const EXIT_FAILED: i32 = 10;

/// The whole command line of a product: reads argv, runs, prints, and returns the exit code.
pub fn main(embedded: Embedded) -> ExitCode {
    Migrator::new(embedded).main()
}

fn command_line(embedded: &Embedded, code: &Registered, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        if code::guest_runs() {
            // Caught, and told as what it is: the product's code failed. Where nothing can be caught, this is the last word.
            if cfg!(panic = "abort") {
                tell(&code::last_words(panic));
                std::process::exit(EXIT_FAILED);
            }
            return;
        }
        tell(&format!(
            "bootmigrate: a defect of bootmigrate stopped this run ({panic}); the next boot goes on from what is on disk. [BM-1]"
        ));
        std::process::exit(EXIT_DEFECT);
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
    match carry_out(embedded, code, &command) {
        Ok(printed) => ExitCode::from(printed.write().0),
        Err(sentence) => refuse(&sentence),
    }
}

fn refuse(sentence: &str) -> ExitCode {
    let priority = if std::env::var_os("JOURNAL_STREAM").is_some() { "<3>" } else { "" };
    tell(&format!("{priority}bootmigrate: {sentence}. [BM-2]"));
    ExitCode::from(EXIT_USAGE)
}

/// One line on standard error; where nobody takes it, the exit code is all that is left.
fn tell(line: &str) {
    let _ = logging::to_stderr(Lines::of(line).as_str());
}

fn carry_out(embedded: &Embedded, code: &Registered, command: &Command) -> Result<Printed, String> {
    match &command.action {
        Action::Help(words) => return Ok(Printed::answer(Lines::verbatim(&cli::help::help(words)), 0)),
        Action::Version => return Ok(Printed::answer(Lines::of(concat!("bootmigrate ", env!("CARGO_PKG_VERSION"))), 0)),
        _ => {}
    }
    let disk = SystemDisk;
    let mut settings = commands::settings(embedded, command, &disk)?;
    let command = &commands::adopt::as_run(embedded, &mut settings, command)?;
    bound_memory(settings.memory_max_mib).map_err(|error| format!("SQLite's memory cannot be bounded: {error}"))?;
    let stop = supervisor::watch_signals().map_err(|error| format!("stop signals cannot be watched: {error}"))?;
    let root = absolute_root(command)?;
    let firmware = firmware_version(&disk, &root);
    let environment = Environment {
        disk: &disk,
        sqlite: Sqlite { registered: Some(code), ..Sqlite::default() },
        clock: &SystemClock,
        stop,
        root,
        firmware,
        code: Some(code),
    };
    let all = commands::devices(embedded, &settings, &environment)?;
    let devices = commands::named(&all, command.database.as_deref());
    let json = command.json;
    let context = CommandContext { settings: &settings, environment: &environment, devices: &devices, all: &all, command };
    match &command.action {
        Action::Run { request, program } => {
            let temporary_folder = commands::run::temporary_folder();
            let (report, unsaid) = commands::run::run(&settings, &environment, &all, command.database.as_deref(), request);
            let printed = commands::run::said(&report, command, unsaid);
            if report.usable && !program.is_empty() {
                return Err(commands::run::become_program(program, temporary_folder));
            }
            Ok(printed)
        }
        Action::Plan { sql } => Ok(commands::plan::plan(&context, *sql)),
        Action::Ready => Ok(commands::ready::ready(&context)),
        Action::Status { exit_code, format } => Ok(commands::status::status(&context, *format, *exit_code)),
        Action::MarkGood => match commands::changes(&context) {
            Ok(()) => Ok(commands::mark_good::mark_good(&devices, &all, json)),
            Err(printed) => Ok(printed),
        },
        Action::Migrate(extent) => commands::migrate::migrate(&context, *extent),
        Action::Rollback(extent) => commands::rollback::rollback(&context, *extent),
        Action::Rehearse => Ok(commands::rehearse::rehearse(&context)),
        Action::Data(verb) => commands::data::data(&context, *verb),
        Action::Snapshot(verb) => Ok(commands::snapshot::snapshot(&context, *verb)),
        Action::Restore(which) => commands::restore::restore(&context, which),
        Action::Doctor { full } => Ok(commands::doctor::doctor(&context, *full)),
        Action::Bundle(file) => commands::bundle::bundle(&context, embedded, file),
        Action::Help(_) | Action::Version | Action::Adopt { .. } => Ok(Printed::answer(Lines::default(), 0)),
    }
}

/// `--root` as an absolute path: every path of the device is put below it.
fn absolute_root(command: &Command) -> Result<std::path::PathBuf, String> {
    if command.root.as_os_str().is_empty() {
        return Ok(command.root.clone());
    }
    std::path::absolute(&command.root).map_err(|error| format!("--root {} is no path: {error}", command.root.display()))
}

/// Bytes of os-release that are read at most.
const OS_RELEASE_BYTES_MAX: usize = 16 << 10;

/// IMAGE_VERSION, else VERSION_ID, of os-release; empty where there is none.
fn firmware_version(disk: &dyn Disk, root: &Path) -> String {
    let text = system_text(disk, &place(root, Path::new("/etc/os-release")), OS_RELEASE_BYTES_MAX);
    let value =
        |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(|value| value.trim_matches('"').to_owned());
    value("IMAGE_VERSION").or_else(|| value("VERSION_ID")).unwrap_or_default()
}
