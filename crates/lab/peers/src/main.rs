//! Owns the comparison's command line: the small drivers of the libraries, and the sweep over all
//! tools.
//! Promises: every tool meets the same scenarios, the same model of a disk and the same judge.
//! Never patches a tool: each runs as its own documentation says.

mod disk;
mod drive;
mod judge;
mod log;
mod scenario;
mod sweep;
mod tool;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["drive", tool, database, folder] => {
            match drive::run(tool, Path::new(database), Path::new(folder)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("{tool}: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        ["sweep", firmware, sqlx, diesel, rest @ ..] => {
            sweep::all(
                &tool::all(Path::new(firmware), Path::new(sqlx), Path::new(diesel)),
                rest.first().copied().unwrap_or(""),
            );
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!(
                "usage: bootmigrate-peers sweep FIRMWARE SQLX DIESEL [TOOL] | drive TOOL DATABASE \
                 FOLDER"
            );
            ExitCode::from(2)
        }
    }
}
