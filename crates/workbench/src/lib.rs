//! Owns the workbench: what a firmware team runs on its own machine and in CI before migrations
//! reach a device.
//! Promises: reads the folder with the build's own code, and migrates with the device's; exit code
//! 0, 1 for findings, 2 for a mistake.
//! Never changes a field database: all work is on copies.

// Nothing here runs on a device, and no file that it opens is a live database.
#![allow(clippy::disallowed_methods)]

mod calibrate;
mod certificate;
mod check;
mod cli;
mod compare;
mod copied;
mod corrupt_files;
mod embed;
mod fixtures;
mod fleet;
mod import;
mod lint;
mod list;
mod model;
mod new;
mod pack;
mod power_cuts;
mod product;
mod rebuilt;
mod rehearse;
mod rows;
mod sanitize;
mod schema;
mod squash;
mod time;
mod xml;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use cli::{Arguments, Command};

/// Exit code where something was found.
const EXIT_FOUND: u8 = 1;
/// Exit code of a usage mistake, or where a file cannot be read or written.
const EXIT_MISTAKE: u8 = 2;

/// The command line, without the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = std::iter::once(OsString::from("bootmigrate-workbench")).chain(arguments);
    let arguments = Arguments::parse_from(arguments);
    if let Command::Device { arguments: device } = &arguments.command {
        return embed::device(&arguments.folder(), device.clone());
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FOUND),
        Err(error) => {
            eprintln!("bootmigrate-workbench: {error:#}");
            ExitCode::from(EXIT_MISTAKE)
        }
    }
}

/// `false` where something was found.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let folder = arguments.folder();
    match &arguments.command {
        Command::New(request) => new::new(&folder, request),
        Command::Import(request) => import::import(&folder, request),
        Command::Lock => list::lock(&folder),
        Command::List { json } => list::list(&folder, *json),
        Command::Show(request) => list::show(&folder, request),
        Command::Schema(request) => schema::schema(&folder, request),
        Command::Lint(request) => lint::lint(&folder, request),
        Command::Check(request) => check::check(&folder, request),
        Command::Rehearse(request) => rehearse::rehearse(&folder, request),
        Command::Calibrate(request) => calibrate::calibrate(request),
        Command::PowerCuts(request) => power_cuts::power_cuts(&folder, request),
        Command::CorruptFiles(request) => corrupt_files::corrupt_files(&folder, request),
        Command::Certificate(request) => certificate::certificate(&folder, request),
        Command::Fleet(request) => fleet::fleet(request),
        Command::Squash(request) => squash::squash(&folder, request),
        Command::Sanitize(request) => sanitize::sanitize(request),
        Command::Pack { output } => pack::pack(&folder, output),
        Command::Device { .. } => Ok(true),
    }
}
