//! Owns a working copy of the tree and what is compiled from it.
//! Promises: what does not change is compiled once a copy; every command ends, by itself or by its limit.
//! Never leaves a patch in place for the next one.

#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::LAB;

/// A bug that makes a boot endless must not make the run endless. Many times what a scenario takes on a busy machine.
const COMMAND_SECONDS_MAX: u32 = 1800;
/// What `timeout` says when its time is over.
const TIMED_OUT: i32 = 124;
/// Address space of a command: an endless boot also has an endless log.
const COMMAND_KIB_MAX: u64 = 8 << 20;

/// What changes with every bug is compiled quickly; SQLite and the other dependencies are those of the profile, and so can
/// be taken from what the workbench itself was built with.
const CHEAPLY: [&str; 4] = [
    "profile.lab.package.bootmigrate.opt-level=1",
    "profile.lab.package.bootmigrate.codegen-units=64",
    "profile.lab.package.bootmigrate-lab.opt-level=2",
    "profile.lab.package.bootmigrate-lab.codegen-units=64",
];

/// A copy of the tree, and what is compiled from it.
pub struct Garden {
    tree: PathBuf,
    target: PathBuf,
}

impl Garden {
    /// The copy of this job, made anew; what was compiled for it before is used again.
    pub fn make(job: usize) -> Result<Garden, String> {
        let root = Path::new(LAB).parent().unwrap_or(Path::new("."));
        let base = root.join("target/planted").join(job.to_string());
        let tree = base.join("tree");
        fs::create_dir_all(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
        // A file whose content is the same keeps its time, so that it is not compiled again.
        let copy = format!(
            "set -e; cd '{root}'; new=$(mktemp -d); trap 'rm -rf \"$new\"' EXIT
             git ls-files -co --exclude-standard -z | while IFS= read -r -d '' file; do [ ! -e \"$file\" ] || printf '%s\\0' \"$file\"; done \
               | xargs -0 cp -d --parents -t \"$new\"
             cd '{tree}'; find . -type f | while IFS= read -r file; do [ -e \"$new/$file\" ] || rm -f \"$file\"; done
             cd \"$new\"; find . -type f -o -type l | while IFS= read -r file; do
               cmp -s \"$file\" \"{tree}/$file\" || {{ mkdir -p \"{tree}/$(dirname \"$file\")\"; cp -d \"$file\" \"{tree}/$file\"; }}
             done",
            root = root.display(),
            tree = tree.display()
        );
        succeed(Command::new("bash").args(["-c", &copy]))?;
        let target = base.join("target");
        take_what_is_compiled(&target);
        Ok(Garden { tree, target })
    }

    /// Puts a patch in, or takes it out again.
    pub fn patch(&self, patch: &Path, back: bool) -> Result<(), String> {
        let mut command = Command::new("patch");
        command.current_dir(&self.tree).args(["-p1", "--quiet", "--no-backup-if-mismatch", "-i"]).arg(patch);
        if back {
            command.arg("-R");
        }
        succeed(&mut command).map(|_| ())
    }

    /// Compiles the workbench around the device; the program.
    pub fn build(&self) -> Result<PathBuf, String> {
        let mut build = bounded("cargo");
        build.current_dir(&self.tree).args(["build", "--quiet", "--locked", "--profile", "lab", "-p", "bootmigrate-lab"]);
        for wish in CHEAPLY {
            build.args(["--config", wish]);
        }
        succeed(build.arg("--target-dir").arg(&self.target))?;
        Ok(self.target.join("lab/bootmigrate-lab"))
    }

    /// Runs one story (`NAME`, or `kills/NAME`) with the real program on real files; the last lines of one that fails.
    pub fn story(&self, name: &str) -> Result<Option<String>, String> {
        let (test, name) = name.split_once('/').unwrap_or(("stories", name));
        let cargo = |arguments: &[&str]| {
            let mut command = bounded("cargo");
            command.current_dir(&self.tree).args(arguments).arg("--target-dir").arg(&self.target);
            command
        };
        succeed(&mut cargo(&["build", "--quiet", "--locked", "--bins"]))?;
        succeed(&mut cargo(&["test", "--quiet", "--locked", "--test", test, "--no-run"]))?;
        let mut run = cargo(&["test", "--quiet", "--locked", "--test", test]);
        let output = run.args(["--", name]).output().map_err(|error| error.to_string())?;
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        if words.contains("running 0 tests") {
            return Err(format!("there is no story {name} in --test {test}"));
        }
        Ok((!output.status.success()).then(|| words.lines().find(|line| line.contains("panicked at")).unwrap_or(name).trim().to_owned()))
    }
}

/// The dependencies that this program was built with, where it is of the same profile; else they are compiled.
fn take_what_is_compiled(target: &Path) {
    let Ok(program) = std::env::current_exe() else { return };
    let Some(built) = program.parent().filter(|folder| folder.ends_with("lab")) else { return };
    if target.join("lab").exists() {
        return;
    }
    let copied = fs::create_dir_all(target).and_then(|()| Command::new("cp").arg("-a").arg(built).arg(target).output());
    if let Err(error) = copied {
        eprintln!("{}: {error}; the dependencies are compiled again", target.display());
    }
}

/// A command that ends: by itself, or killed with all its children.
pub fn bounded(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("bash");
    let limits = format!("ulimit -v {COMMAND_KIB_MAX}; exec timeout -k 10 {COMMAND_SECONDS_MAX} \"$0\" \"$@\"");
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
    let words = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let first: Vec<&str> = words.trim().lines().take(12).collect();
    Err(format!("{} failed: {}", command.get_args().last().unwrap_or_default().to_string_lossy(), first.join(" / ")))
}
