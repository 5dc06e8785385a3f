//! Owns the mutants: each is put into a copy of the device's sources, compiled, and must be caught.
//! Promises: says which check caught it, in which scenario and after how many states; one that
//! survives fails the run.
//! Never touches the sources it was built from.

// The build machine's own files, not a device's.
#![allow(clippy::disallowed_methods)]

mod edit;
mod mutant_set;
mod search;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use clap::Args;

use crate::sim::lying;
use mutant_set::MutantSet;
use search::{Caught, Search};

/// The crate's folder when this program was built.
const LAB: &str = env!("CARGO_MANIFEST_DIR");

/// Which bugs, and how long each is looked for.
#[derive(Debug, Args)]
pub struct Wanted {
    /// Only these: numbers or parts of names, `02,17` or `snapshot`; `lying` are those that need no
    /// compiler
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Distinct states of each scenario, as `scripts/test --long` asks for
    #[arg(long, default_value_t = 7500)]
    states: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on to the next bug after one that survives or does not compile
    #[arg(long)]
    keep_going: bool,
    /// Working copies at once
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Do not look at the sources without a bug first
    #[arg(long)]
    without_control: bool,
    /// Write the table of this run into this document, from the line `<!-- the table -->` on
    #[arg(long)]
    table: Option<PathBuf>,
}

/// One bug: a mutant of the sources, or a storage that lies.
#[derive(Debug, Clone)]
pub struct Bug {
    name: String,
    kind: Kind,
    hints: Hints,
}

#[derive(Debug, Clone)]
enum Kind {
    Sources(PathBuf),
    LyingStorage(lying::Flaw),
}

/// What the head of a mutant says: where to look first.
#[derive(Debug, Clone, Default)]
struct Hints {
    scenarios: Vec<String>,
    /// Other commands of the lab, and the scenario.
    others: Vec<(String, String)>,
    tests: Vec<String>,
    /// This many damaged files.
    files: Option<u64>,
}

/// What became of one bug.
struct MutantOutcome {
    name: String,
    caught: Result<Option<Caught>, String>,
    seconds: u64,
}

/// Applies each, and prints a line for it.
pub fn run(wanted: &Wanted) -> ExitCode {
    match apply_all(wanted) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::from(2)
        }
    }
}

fn apply_all(wanted: &Wanted) -> Result<usize, String> {
    let bugs = chosen(wanted)?;
    if bugs.is_empty() {
        return Err("no mutant has that name".into());
    }
    let began = Instant::now();
    let waiting = Mutex::new(bugs.iter());
    let outcomes: Mutex<Vec<MutantOutcome>> = Mutex::default();
    let first = match bugs.iter().any(|bug| matches!(bug.kind, Kind::Sources(_))) {
        true => Some(MutantSet::make()?),
        false => None,
    };
    if let Some(set) = first.as_ref().filter(|_| !wanted.without_control) {
        control(set, wanted)?;
    }
    let again = |job| first.as_ref().map(|first| first.again(job)).transpose();
    let mut sets: Vec<Option<MutantSet>> =
        (1..wanted.jobs.max(1)).map(again).collect::<Result<_, _>>()?;
    sets.push(first);
    std::thread::scope(|scope| {
        for set in &sets {
            scope.spawn(|| work(wanted, set.as_ref(), &waiting, &outcomes));
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by(|one, two| one.name.cmp(&two.name));
    if let Some(document) = &wanted.table {
        table::write(document, wanted, &outcomes, began.elapsed().as_secs())?;
    }
    let caught = outcomes.iter().filter(|outcome| matches!(outcome.caught, Ok(Some(_)))).count();
    let broken = outcomes.iter().filter(|outcome| outcome.caught.is_err()).count();
    let (mutants, seconds) = (bugs.len(), began.elapsed().as_secs());
    let survived = outcomes.len() - caught - broken;
    println!(
        "{mutants} mutants, {caught} caught, {survived} survived, {broken} could not be applied, \
         in {seconds} s"
    );
    Ok(mutants - caught)
}

/// One working copy: takes bug after bug until none is left, or one survives.
fn work(
    wanted: &Wanted,
    set: Option<&MutantSet>,
    waiting: &Mutex<std::slice::Iter<'_, Bug>>,
    outcomes: &Mutex<Vec<MutantOutcome>>,
) {
    loop {
        let Some(bug) = waiting.lock().unwrap().next() else { return };
        let began = Instant::now();
        let caught = apply(bug, set, wanted);
        let outcome =
            MutantOutcome { name: bug.name.clone(), caught, seconds: began.elapsed().as_secs() };
        println!("{}", table::line(&outcome));
        let lives = !matches!(outcome.caught, Ok(Some(_)));
        outcomes.lock().unwrap().push(outcome);
        if lives && !wanted.keep_going {
            // The others finish what they have begun.
            let mut waiting = waiting.lock().unwrap();
            while waiting.next().is_some() {}
        }
    }
}

/// Without a bug nothing is bad: else every bug would count as caught.
fn control(set: &MutantSet, wanted: &Wanted) -> Result<(), String> {
    let program = set.build()?;
    let search =
        Search { program: &program, states: 1, seed: wanted.seed, flaw: None, set: Some(set) };
    match search.plain()? {
        Some(caught) => {
            Err(format!("without any bug {} is bad already: {}", caught.by, caught.rule))
        }
        None => Ok(()),
    }
}

fn apply(bug: &Bug, set: Option<&MutantSet>, wanted: &Wanted) -> Result<Option<Caught>, String> {
    match (&bug.kind, set) {
        (Kind::LyingStorage(flaw), _) => {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            let search = Search {
                program: &program,
                states: wanted.states,
                seed: wanted.seed,
                flaw: Some(*flaw),
                set: None,
            };
            search.everywhere(&bug.hints)
        }
        (Kind::Sources(mutant), Some(set)) => {
            let found = set.apply(mutant).and_then(|()| set.build()).and_then(|program| {
                let search = Search {
                    program: &program,
                    states: wanted.states,
                    seed: wanted.seed,
                    flaw: None,
                    set: Some(set),
                };
                search.everywhere(&bug.hints)
            });
            set.revert(mutant)?;
            found
        }
        (Kind::Sources(_), None) => Err("there is no working copy".into()),
    }
}

fn chosen(wanted: &Wanted) -> Result<Vec<Bug>, String> {
    let folder = Path::new(LAB).join("mutants");
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut found: Vec<PathBuf> =
        entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "mutant"));
    found.sort();
    let mut bugs: Vec<Bug> = lying::ALL
        .iter()
        .map(|(flaw, scenario)| Bug {
            name: flaw.name().to_owned(),
            kind: Kind::LyingStorage(*flaw),
            hints: Hints { scenarios: vec![(*scenario).to_owned()], ..Hints::default() },
        })
        .collect();
    for path in found {
        let name =
            path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        bugs.push(Bug { name, kind: Kind::Sources(path), hints: hints(&text) });
    }
    let only = |bug: &Bug| {
        wanted.only.is_empty()
            || wanted.only.iter().any(|part| match part.parse::<u32>() {
                Ok(_) => bug.name.starts_with(&format!("{part}-")),
                Err(_) => bug.name.contains(part.as_str()),
            })
    };
    bugs.retain(only);
    Ok(bugs)
}

/// Lines `scenario: NAME`, `faults: NAME`, `concurrent: NAME`, `test: NAME` and `files: COUNT`
/// before the first edit.
fn hints(text: &str) -> Hints {
    let mut hints = Hints::default();
    for line in text.lines().take_while(|line| !line.starts_with("in ")) {
        match line.split_once(": ") {
            Some(("scenario", name)) => hints.scenarios.push(name.trim().to_owned()),
            Some((command @ ("faults" | "concurrent"), name)) => {
                hints.others.push((command.to_owned(), name.trim().to_owned()))
            }
            Some(("files", count)) => hints.files = count.trim().parse().ok(),
            Some(("test", name)) => hints.tests.push(name.trim().to_owned()),
            _ => {}
        }
    }
    hints
}
