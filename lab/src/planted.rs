//! Owns the planted bugs: each is put into a copy of the device's sources, compiled, and must be caught.
//! Promises: says which rule caught it, where, and after how many states; a bug that survives fails the run.
//! Never touches the sources it was built from.

// The build machine's own files, not a device's.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use clap::Args;

use crate::power_cuts::Tally;

/// The crate's folder when this program was built.
const LAB: &str = env!("CARGO_MANIFEST_DIR");

/// Which bugs, and how long each is looked for.
#[derive(Debug, Args)]
pub struct Wanted {
    /// Only bugs with this in their name
    #[arg(long)]
    bug: Option<String>,
    /// Distinct states of each scenario
    #[arg(long, default_value_t = 500)]
    states: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How a bug was caught.
struct Caught {
    rule: String,
    by: String,
    states: u64,
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
    let garden = Garden::make()?;
    if let Some(caught) = garden.search(wanted)? {
        return Err(format!("without any bug {} is bad already: {}", caught.by, caught.rule));
    }
    let (mut survived, mut count, mut states) = (0, 0, 0);
    for patch in patches(wanted.bug.as_deref())? {
        let name = patch.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        garden.patch(&patch, false)?;
        let found = garden.search(wanted);
        garden.patch(&patch, true)?;
        count += 1;
        match found? {
            Some(caught) => {
                states += caught.states;
                println!("{name:<40} caught by \"{}\" in {} after {} states", caught.rule, caught.by, caught.states);
            }
            None => {
                survived += 1;
                println!("{name:<40} SURVIVED");
            }
        }
    }
    println!("{count} planted, {} caught, {survived} survived, {states} states until they were", count - survived);
    Ok(survived)
}

fn patches(part: Option<&str>) -> Result<Vec<PathBuf>, String> {
    let folder = Path::new(LAB).join("planted");
    let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    found.retain(|path| part.is_none_or(|part| path.to_string_lossy().contains(part)));
    found.sort();
    Ok(found)
}

/// A copy of the tree, and what is compiled from it.
struct Garden {
    tree: PathBuf,
    target: PathBuf,
}

impl Garden {
    fn make() -> Result<Garden, String> {
        let root = Path::new(LAB).parent().unwrap_or(Path::new("."));
        let base = root.join("target/planted-bugs");
        let tree = base.join("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
        }
        fs::create_dir_all(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
        let copy =
            format!("cd '{}' && git ls-files -co --exclude-standard -z | xargs -0 cp -d --parents -t '{}'", root.display(), tree.display());
        succeed(Command::new("sh").args(["-c", &copy]))?;
        Ok(Garden { tree, target: base.join("target") })
    }

    fn patch(&self, patch: &Path, back: bool) -> Result<(), String> {
        let mut command = Command::new("patch");
        command.current_dir(&self.tree).args(["-p1", "--quiet", "--no-backup-if-mismatch", "-i"]).arg(patch);
        if back {
            command.arg("-R");
        }
        succeed(&mut command).map(|_| ())
    }

    /// Compiles and runs: cuts first, failing calls after them.
    fn search(&self, wanted: &Wanted) -> Result<Option<Caught>, String> {
        let mut build = Command::new("cargo");
        build.current_dir(&self.tree).args(["build", "--quiet", "--profile", "lab", "-p", "bootmigrate-lab", "--target-dir"]);
        succeed(build.arg(&self.target))?;
        let program = self.target.join("lab/bootmigrate-lab");
        let numbers = [wanted.states.to_string(), wanted.seed.to_string()];
        let mut cuts = Command::new(&program);
        let output = cuts.args(["power-cuts", "--stop", "--json", "--states", &numbers[0], "--seed", &numbers[1]]).output();
        let output = output.map_err(|error| error.to_string())?;
        let mut states = 0;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let tally: Tally = serde_json::from_str(line).map_err(|error| error.to_string())?;
            if tally.bad > 0 {
                let rule = tally.described.first().map_or_else(String::new, |(_, rule, _)| rule.clone());
                let after = tally.first_bad_after.unwrap_or(0);
                return Ok(Some(Caught { rule, by: format!("power-cuts {}", tally.scenario), states: states + after }));
            }
            states += tally.distinct;
        }
        let output = Command::new(&program).args(["faults", "--stop", "--json"]).output().map_err(|error| error.to_string())?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(tally) = serde_json::from_str::<crate::faults::Tally>(line) else { continue };
            if let Some((name, rule, _)) = tally.described.first() {
                return Ok(Some(Caught { rule: rule.clone(), by: format!("faults {name}"), states: states + tally.runs }));
            }
            states += tally.runs;
        }
        Ok(None)
    }
}

fn succeed(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let words = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{command:?} failed: {}", words.trim()))
}
