//! Owns how the outcomes of mutants are printed: a line each, and the table in a document.
//! Promises: the table holds the command that made it; what stood in the document before it stays.
//! Never rounds a survivor away.

#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::Path;

use super::{MutantOutcome, Wanted};

/// The document's own text ends here.
const MARK: &str = "<!-- the table -->";

/// One line for people.
pub fn line(outcome: &MutantOutcome) -> String {
    let name = &outcome.name;
    match &outcome.caught {
        Ok(Some(caught)) => {
            let MutantOutcome { seconds, .. } = outcome;
            format!(
                "{name:<44} caught by \"{}\" in {} after {} states, {seconds} s",
                caught.rule, caught.by, caught.states
            )
        }
        Ok(None) => format!("{name:<44} SURVIVED, {} s", outcome.seconds),
        Err(why) => format!("{name:<44} CANNOT BE APPLIED: {why}"),
    }
}

/// The document with this run's table.
///
/// # Errors
/// It cannot be read or written, or has no mark.
pub fn write(
    document: &Path,
    wanted: &Wanted,
    outcomes: &[MutantOutcome],
    seconds: u64,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", document.display());
    let text = fs::read_to_string(document).map_err(failed)?;
    let (head, _) = text
        .split_once(MARK)
        .ok_or_else(|| format!("{} has no line {MARK}", document.display()))?;
    let mut out = format!("{head}{MARK}\n\n");
    let caught = outcomes.iter().filter(|outcome| matches!(outcome.caught, Ok(Some(_)))).count();
    out.push_str(&format!(
        "{} mutants, {caught} caught. Command: `bootmigrate-lab mutants --states {} --seed {}`, {} \
         minutes.\n\n",
        outcomes.len(),
        wanted.states,
        wanted.seed,
        seconds.div_ceil(60)
    ));
    out.push_str(
        "| bug | the check that caught it | where | states until then |\n|---|---|---|---|\n",
    );
    for outcome in outcomes {
        let row = match &outcome.caught {
            Ok(Some(caught)) => {
                format!("{} | {} | {}", caught.rule.replace('|', "/"), caught.by, caught.states)
            }
            Ok(None) => "**survived** | |".into(),
            Err(why) => format!("**cannot be applied**: {} | |", why.replace('|', "/")),
        };
        out.push_str(&format!("| {} | {row} |\n", outcome.name));
    }
    fs::write(document, out).map_err(failed)
}
