//! Owns the table of what the integration tests have observed for each row of docs/failures.md.
//! Promises: a row that was not observed, or not as the document says, is named, and the exit code
//! is 1.
//! Never runs a test: `cargo test --test failures` has left its observations.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "../tests/failures/table.rs"]
#[allow(dead_code)]
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Characters of a sentence that are shown.
const SAID_SHOWN: usize = 110;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!(
            "usage: failure_rows FOLDER, where `cargo test --test failures` left its observations: \
             target/tmp/failures"
        );
        return ExitCode::from(2);
    };
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/failures.md")).unwrap();
    let rows = match table::read(&text) {
        Ok(rows) => rows,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let (mut missing, mut not_yet) = (Vec::new(), Vec::new());
    for row in &rows {
        println!("{:>2}  {}", row.number, row.situation);
        let seen = fs::read_to_string(folder.join(row.number.to_string()))
            .map_or_else(|_| Vec::new(), |text| table::read_lines(&text));
        let built: Vec<&table::Line> = row.lines.iter().filter(|line| !line.is_not_yet()).collect();
        seen.iter().for_each(show);
        if seen.len() != built.len()
            || !built.iter().zip(&seen).all(|(wanted, seen)| wanted.fits(seen))
        {
            println!(
                "    NOT OBSERVED as the document says: {} of {} lines",
                seen.len(),
                built.len()
            );
            missing.push(row.number.to_string());
        }
        for line in row.lines.iter().filter(|line| line.is_not_yet()) {
            println!("    not covered: {}", line.said);
            not_yet.push(if built.is_empty() {
                format!("{}", row.number)
            } else {
                format!("{} in part", row.number)
            });
        }
    }
    println!(
        "{} rows; not covered by this release: {}",
        rows.len(),
        if not_yet.is_empty() { "none".into() } else { not_yet.join(", ") }
    );
    if missing.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("not observed: {}", missing.join(", "));
    ExitCode::FAILURE
}

fn show(seen: &table::Line) {
    let said: String = seen.said.chars().take(SAID_SHOWN).collect();
    println!("    {:<15} {:<10} {:<40} {said}", seen.exit, seen.database, seen.changed);
}
