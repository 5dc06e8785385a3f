//! Owns a working copy of the tree and what is compiled from it.
//! Promises: what does not change is compiled once a copy; every command ends, by itself or by its
//! limit.
//! Never leaves a mutant in place for the next one.

#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::edit::{edits, Edit};
use super::LAB;

/// A bug that makes a boot endless must not make the run endless. Many times what a scenario takes
/// on a busy machine.
const COMMAND_SECONDS_MAX: u32 = 1800;
/// What `timeout` says when its time is over.
const TIMED_OUT: i32 = 124;
/// Address space of a command: an endless boot also has an endless log.
const COMMAND_KIB_MAX: u64 = 8 << 20;

/// The device is not optimised, so that nothing of it is inlined into the lab: with a bug in it
/// (which changes what a function does, never a type) only the device is compiled again, and the
/// lab around it linked again. SQLite and the other dependencies are those of the profile, and so
/// are taken from what this program was built with.
const CHEAPLY: [&str; 4] = [
    "profile.lab.package.bootmigrate.opt-level=0",
    "profile.lab.package.bootmigrate.codegen-units=16",
    "profile.lab.package.bootmigrate-lab.opt-level=2",
    "profile.lab.package.bootmigrate-lab.codegen-units=64",
];

/// The tree that is copied.
fn root() -> &'static Path {
    Path::new(LAB).ancestors().nth(2).unwrap_or(Path::new("."))
}

/// A copy of the tree, and what is compiled from it.
pub struct MutantSet {
    tree: PathBuf,
    target: PathBuf,
}

impl MutantSet {
    /// The first copy, made again; what was compiled in it before is used again.
    pub fn make() -> Result<MutantSet, String> {
        let (root, base) = (root(), base(0));
        let tree = base.join("tree");
        fs::create_dir_all(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
        // A file whose content is the same keeps its time, so that it is not compiled again.
        let copy = format!(
            "set -e; cd '{root}'; new=$(mktemp -d); trap 'rm -rf \"$new\"' EXIT
             git ls-files -co --exclude-standard -z | while IFS= read -r -d '' file; do [ ! \
             -e \"$file\" ] || printf '%s\\0' \"$file\"; done | xargs -0 cp -d --parents \
             -t \"$new\"
             cd '{tree}'; find . -type f -o -type l | while IFS= read -r file; do [ \
             -L \"$new/$file\" ] || [ -e \"$new/$file\" ] || rm -f \"$file\"; done
             cd \"$new\"; find . -type f -o -type l | while IFS= read -r file; do
               [ -L \"$file\" ] && [ \"$(readlink \"$file\")\" = \"$(readlink \"{tree}/$file\")\" \
             ] && continue
               cmp -s \"$file\" \"{tree}/$file\" || {{ mkdir -p \"{tree}/$(dirname \"$file\")\"; \
             rm -f \"{tree}/$file\"; cp -dT \"$file\" \"{tree}/$file\"; }}
             done",
            root = root.display(),
            tree = tree.display()
        );
        succeed(Command::new("bash").args(["-c", &copy]))?;
        let target = base.join("target");
        take_what_is_compiled(&target);
        let set = MutantSet { tree, target };
        set.compile()?;
        Ok(set)
    }

    /// Another one for this job, with all that was compiled: only the two commands have to know
    /// where they are.
    pub fn again(&self, job: usize) -> Result<MutantSet, String> {
        let (first, base) = (base(0), base(job));
        succeed(Command::new("rm").arg("-rf").arg(&base))?;
        succeed(Command::new("cp").arg("-a").arg(&first).arg(&base))?;
        let set = MutantSet { tree: base.join("tree"), target: base.join("target") };
        let recipe = fs::read_to_string(self.recipe()).map_err(|error| error.to_string())?;
        let moved =
            recipe.replace(&format!("{}/", first.display()), &format!("{}/", base.display()));
        fs::write(set.recipe(), moved).map_err(|error| error.to_string())?;
        Ok(set)
    }

    /// Changes the sources as the mutant says.
    pub fn apply(&self, mutant: &Path) -> Result<(), String> {
        for edit in edits_of(mutant)? {
            let file = self.tree.join(&edit.file);
            let failed = |error: std::io::Error| format!("{}: {error}", file.display());
            let made = edit.apply(&fs::read_to_string(&file).map_err(failed)?)?;
            fs::write(&file, made).map_err(failed)?;
        }
        Ok(())
    }

    /// The files that a mutant names are again what they are in the tree that was copied.
    pub fn revert(&self, mutant: &Path) -> Result<(), String> {
        for Edit { file, .. } in edits_of(mutant)? {
            let copied = fs::copy(root().join(&file), self.tree.join(&file));
            copied.map_err(|error| format!("{file}: {error}"))?;
        }
        Ok(())
    }

    /// Compiles everything once, without a bug, and keeps the two commands that a bug needs: one
    /// compiles the device, one links.
    fn compile(&self) -> Result<(), String> {
        // What is fresh is not compiled, and then cargo does not say how.
        succeed(
            Command::new("touch")
                .arg(self.tree.join("src/lib.rs"))
                .arg(self.tree.join("crates/lab/src/main.rs")),
        )?;
        let mut build = bounded("cargo");
        build.current_dir(&self.tree).env("CARGO_TERM_COLOR", "never");
        build.args([
            "rustc",
            "-vv",
            "--locked",
            "--profile",
            "lab",
            "-p",
            "bootmigrate-lab",
            "--bin",
            "bootmigrate-lab",
        ]);
        for wish in CHEAPLY {
            build.args(["--config", wish]);
        }
        build.arg("--target-dir").arg(&self.target).args([
            "--",
            "-C",
            "save-temps",
            "--print",
            "link-args",
        ]);
        let output = succeed(&mut build)?;
        let (said, told) =
            (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        let compiles = said
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Running `")?.strip_suffix('`'));
        let mut device = compiles.filter(|line| {
            line.contains("--crate-name bootmigrate ") && line.contains("--crate-type lib")
        });
        let device = device.next_back();
        let link = told.lines().find(|line| line.contains(" \"-o\" ") || line.contains(" -o "));
        let (Some(device), Some(link)) = (device, link) else {
            return Err("cargo did not say how it compiles and links".into());
        };
        let words = format!(
            "set -e\ncd '{}'\n{device} 2>'{}'\n{link}\n",
            self.tree.display(),
            self.said().display()
        );
        fs::write(self.recipe(), words).map_err(|error| error.to_string())
    }

    fn recipe(&self) -> PathBuf {
        self.target.join("with-a-bug.sh")
    }

    fn said(&self) -> PathBuf {
        self.target.join("with-a-bug.said")
    }

    /// Compiles the device as it is now and links the lab around it; the program.
    pub fn build(&self) -> Result<PathBuf, String> {
        let built = succeed(bounded("bash").arg(self.recipe()));
        built.map_err(|error| {
            let said = fs::read_to_string(self.said()).unwrap_or_default();
            let first =
                said.lines().find(|line| line.contains("\"level\":\"error\"")).unwrap_or("");
            let words = first
                .split("\"message\":\"")
                .nth(1)
                .unwrap_or("")
                .split("\",")
                .next()
                .unwrap_or("");
            format!("{error} {words}")
        })?;
        Ok(self.target.join("lab/deps").join(program_name(&self.recipe())?))
    }

    /// Runs one test (`NAME`, or `kills/NAME`) with the real program on real files; the last lines
    /// of one that fails.
    pub fn test(&self, name: &str) -> Result<Option<String>, String> {
        let (test, name) = name.split_once('/').unwrap_or(("integration", name));
        let cargo = |arguments: &[&str]| {
            let mut command = bounded("cargo");
            command.current_dir(&self.tree).args(arguments).arg("--target-dir").arg(&self.target);
            command
        };
        succeed(&mut cargo(&["build", "--quiet", "--locked", "--bins", "--examples"]))?;
        succeed(&mut cargo(&["test", "--quiet", "--locked", "--test", test, "--no-run"]))?;
        let mut run = cargo(&["test", "--quiet", "--locked", "--test", test]);
        let output = run.args(["--", name]).output().map_err(|error| error.to_string())?;
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        // Whatever the bug is, this is not it.
        if let Some(line) =
            words.lines().find(|line| line.contains("is not built: run `cargo build"))
        {
            return Err(line.trim().to_owned());
        }
        if words.contains("running 0 tests") {
            return Err(format!("there is no test {name} in --test {test}"));
        }
        Ok((!output.status.success()).then(|| {
            words
                .lines()
                .find(|line| line.contains("panicked at"))
                .unwrap_or(name)
                .trim()
                .to_owned()
        }))
    }
}

fn edits_of(mutant: &Path) -> Result<Vec<Edit>, String> {
    fs::read_to_string(mutant)
        .map(|text| edits(&text))
        .map_err(|error| format!("{}: {error}", mutant.display()))
}

fn base(job: usize) -> PathBuf {
    Path::new(LAB)
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .join("target/mutants")
        .join(job.to_string())
}

/// What the linker was told to make.
fn program_name(recipe: &Path) -> Result<String, String> {
    let words = fs::read_to_string(recipe).map_err(|error| error.to_string())?;
    let made = words
        .lines()
        .last()
        .and_then(|line| line.split(" \"-o\" ").nth(1))
        .and_then(|rest| rest.split('"').nth(1));
    let name = made.and_then(|path| Path::new(path).file_name()).and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| "the linker's command names no program".into())
}

/// The dependencies that this program was built with, where it is of the same profile; else they
/// are compiled.
fn take_what_is_compiled(target: &Path) {
    let Ok(program) = std::env::current_exe() else { return };
    let Some(built) = program.parent().filter(|folder| folder.ends_with("lab")) else { return };
    if target.join("lab").exists() {
        return;
    }
    let copied = fs::create_dir_all(target)
        .and_then(|()| Command::new("cp").arg("-a").arg(built).arg(target).output());
    if let Err(error) = copied {
        eprintln!("{}: {error}; the dependencies are compiled again", target.display());
    }
}

/// A command that ends: by itself, or killed with all its children.
pub fn bounded(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("bash");
    let limits = format!(
        "ulimit -v {COMMAND_KIB_MAX}; exec timeout -k 10 {COMMAND_SECONDS_MAX} \"$0\" \"$@\""
    );
    command.args(["-c", &limits]).arg(program.as_ref());
    command
}

/// Was it killed by its limit?
pub fn timed_out(output: &Output) -> bool {
    output.status.code() == Some(TIMED_OUT)
}

/// Runs a command that must end well.
pub fn succeed(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let words = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let first: Vec<&str> = words.trim().lines().take(12).collect();
    Err(format!(
        "{} failed: {}",
        command.get_args().last().unwrap_or_default().to_string_lossy(),
        first.join(" / ")
    ))
}
