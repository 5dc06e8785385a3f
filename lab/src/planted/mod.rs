//! Owns the planted bugs: each is put into a copy of the device's sources, compiled, and must be caught.
//! Promises: says which check caught it, in which scenario and after how many states; one that survives fails the run.
//! Never touches the sources it was built from.

// The build machine's own files, not a device's.
#![allow(clippy::disallowed_methods)]

mod garden;
mod search;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use clap::Args;

use crate::sim::crooked;
use garden::Garden;
use search::{Caught, Search};

/// The crate's folder when this program was built.
const LAB: &str = env!("CARGO_MANIFEST_DIR");

/// Which bugs, and how long each is looked for.
#[derive(Debug, Args)]
pub struct Wanted {
    /// Only these: numbers or parts of names, `02,17` or `snapshot`; `crooked` are those that need no compiler
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Distinct states of each scenario, as scripts/test asks for
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

/// One bug: a patch of the sources, or a storage that lies.
#[derive(Debug, Clone)]
pub struct Bug {
    name: String,
    kind: Kind,
    hints: Hints,
}

#[derive(Debug, Clone)]
enum Kind {
    Patch(PathBuf),
    Crooked(crooked::Crook),
}

/// What the head of a patch says: where to look first.
#[derive(Debug, Clone, Default)]
struct Hints {
    scenarios: Vec<String>,
    /// Other commands of the workbench, and the scenario.
    others: Vec<(String, String)>,
    tests: Vec<String>,
    /// Harmed files, so many.
    files: Option<u64>,
}

/// What became of one bug.
struct Fate {
    name: String,
    caught: Result<Option<Caught>, String>,
    seconds: u64,
}

/// Plants each, and prints a line for it.
pub fn run(wanted: &Wanted) -> ExitCode {
    match plant_all(wanted) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::from(2)
        }
    }
}

fn plant_all(wanted: &Wanted) -> Result<usize, String> {
    let bugs = chosen(wanted)?;
    if bugs.is_empty() {
        return Err("no planted bug has that name".into());
    }
    let began = Instant::now();
    let waiting = Mutex::new(bugs.iter());
    let fates: Mutex<Vec<Fate>> = Mutex::default();
    let first = match bugs.iter().any(|bug| matches!(bug.kind, Kind::Patch(_))) {
        true => Some(Garden::make()?),
        false => None,
    };
    if let Some(garden) = first.as_ref().filter(|_| !wanted.without_control) {
        control(garden, wanted)?;
    }
    let again = |job| first.as_ref().map(|first| first.again(job)).transpose();
    let mut gardens: Vec<Option<Garden>> = (1..wanted.jobs.max(1)).map(again).collect::<Result<_, _>>()?;
    gardens.push(first);
    std::thread::scope(|scope| {
        for garden in &gardens {
            scope.spawn(|| work(wanted, garden.as_ref(), &waiting, &fates));
        }
    });
    let mut fates = fates.into_inner().unwrap();
    fates.sort_by(|one, two| one.name.cmp(&two.name));
    if let Some(document) = &wanted.table {
        table::write(document, wanted, &fates, began.elapsed().as_secs())?;
    }
    let caught = fates.iter().filter(|fate| matches!(fate.caught, Ok(Some(_)))).count();
    let broken = fates.iter().filter(|fate| fate.caught.is_err()).count();
    let (planted, seconds) = (bugs.len(), began.elapsed().as_secs());
    let survived = fates.len() - caught - broken;
    println!("{planted} planted, {caught} caught, {survived} survived, {broken} could not be planted, in {seconds} s");
    Ok(planted - caught)
}

/// One working copy: takes bug after bug until none is left, or one survives.
fn work(wanted: &Wanted, garden: Option<&Garden>, waiting: &Mutex<std::slice::Iter<'_, Bug>>, fates: &Mutex<Vec<Fate>>) {
    loop {
        let Some(bug) = waiting.lock().unwrap().next() else { return };
        let began = Instant::now();
        let caught = plant(bug, garden, wanted);
        let fate = Fate { name: bug.name.clone(), caught, seconds: began.elapsed().as_secs() };
        println!("{}", table::line(&fate));
        let lives = !matches!(fate.caught, Ok(Some(_)));
        fates.lock().unwrap().push(fate);
        if lives && !wanted.keep_going {
            // The others finish what they have begun.
            let mut waiting = waiting.lock().unwrap();
            while waiting.next().is_some() {}
        }
    }
}

/// Without a bug nothing is bad: else every bug would count as caught.
fn control(garden: &Garden, wanted: &Wanted) -> Result<(), String> {
    let program = garden.build()?;
    let search = Search { program: &program, states: 1, seed: wanted.seed, crook: None, garden: Some(garden) };
    match search.plain()? {
        Some(caught) => Err(format!("without any bug {} is bad already: {}", caught.by, caught.rule)),
        None => Ok(()),
    }
}

fn plant(bug: &Bug, garden: Option<&Garden>, wanted: &Wanted) -> Result<Option<Caught>, String> {
    match (&bug.kind, garden) {
        (Kind::Crooked(crook), _) => {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            let search = Search { program: &program, states: wanted.states, seed: wanted.seed, crook: Some(*crook), garden: None };
            search.everywhere(&bug.hints)
        }
        (Kind::Patch(patch), Some(garden)) => {
            let planted = garden.plant(patch);
            let found = planted.and_then(|()| garden.build()).and_then(|program| {
                let search = Search { program: &program, states: wanted.states, seed: wanted.seed, crook: None, garden: Some(garden) };
                search.everywhere(&bug.hints)
            });
            garden.weed(patch)?;
            found
        }
        (Kind::Patch(_), None) => Err("there is no working copy".into()),
    }
}

fn chosen(wanted: &Wanted) -> Result<Vec<Bug>, String> {
    let folder = Path::new(LAB).join("planted");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    found.sort();
    let mut bugs: Vec<Bug> = crooked::ALL
        .iter()
        .map(|(crook, scenario)| Bug {
            name: crook.name().to_owned(),
            kind: Kind::Crooked(*crook),
            hints: Hints { scenarios: vec![(*scenario).to_owned()], ..Hints::default() },
        })
        .collect();
    for path in found {
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        bugs.push(Bug { name, kind: Kind::Patch(path), hints: hints(&text) });
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

/// Lines `scenario: NAME`, `faults: NAME`, `neighbours: NAME`, `test: NAME` and `files: COUNT` before the first hunk.
fn hints(text: &str) -> Hints {
    let mut hints = Hints::default();
    for line in text.lines().take_while(|line| !line.starts_with("diff ")) {
        match line.split_once(": ") {
            Some(("scenario", name)) => hints.scenarios.push(name.trim().to_owned()),
            Some((command @ ("faults" | "neighbours"), name)) => hints.others.push((command.to_owned(), name.trim().to_owned())),
            Some(("files", count)) => hints.files = count.trim().parse().ok(),
            Some(("test", name)) => hints.tests.push(name.trim().to_owned()),
            _ => {}
        }
    }
    hints
}
