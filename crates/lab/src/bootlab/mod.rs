//! Owns the boot lab: the real program, on a real file system, in a real machine or container,
//! whose power is cut.
//! Promises: each cut is followed by boots until it is quiet, and judged by plain SQLite: old or
//! new, every row, every loss said.
//! Never touches a mount, loop device or process that it has not made.

// The lab's own files, not a device's.
#![allow(clippy::disallowed_methods)]

pub mod containers;
pub mod data_partition;
pub mod judge;
pub mod machine;
pub mod machines;
pub mod partition;
pub mod shutdowns;
pub mod write_log;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Args;

/// What every method needs.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The program under test, built for this machine with the migrations below
    #[arg(long)]
    pub program: PathBuf,
    /// Its folder of migrations
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/boot/migrations"))]
    pub migrations: PathBuf,
    /// A folder for images and mounts, which is emptied; on a tmpfs it is quickest
    #[arg(long)]
    pub work: PathBuf,
    /// Cuts, or states
    #[arg(long, default_value_t = 20)]
    pub cuts: u64,
    /// Seed of everything random; the instants of cuts depend on the machine too
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The negative control: syncs are dropped, and the lab fails unless it notices
    #[arg(long)]
    pub control: bool,
}

impl Options {
    /// An empty folder for the work.
    pub fn folder(&self) -> PathBuf {
        let _ = fs::remove_dir_all(&self.work);
        fs::create_dir_all(&self.work).unwrap();
        self.work.canonicalize().unwrap()
    }
}

/// The program under test on this machine.
pub struct Program {
    path: PathBuf,
}

/// How a run ended.
pub struct ProgramRun {
    /// Its exit code; `None` where a signal ended it.
    pub exit: Option<i32>,
    /// What it said.
    pub stderr: String,
}

impl Program {
    /// The program at this path.
    pub fn new(path: &Path) -> Program {
        Program {
            path: path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        }
    }

    /// `run --root ROOT …`, with these words before the program (a tracer's).
    pub fn command(&self, before: &[&str], root: &Path, arguments: &[&str]) -> Command {
        let mut words: Vec<std::ffi::OsString> = before.iter().map(Into::into).collect();
        words.push(self.path.clone().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["run", "--root"]).arg(root).args(arguments);
        command.stdin(Stdio::null()).env_remove("RUN_MIGRATIONS").env_remove("JOURNAL_STREAM");
        command
    }

    /// Runs it to its end.
    pub fn run(&self, root: &Path, arguments: &[&str]) -> ProgramRun {
        let output = self.command(&[], root, arguments).output().unwrap();
        ProgramRun {
            exit: output.status.code(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs a tool of the machine; a failure stops the lab.
pub fn ran(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The figures of one method.
#[derive(Debug, Default)]
pub struct Figures {
    /// Cuts, or states, that were judged.
    pub cuts: u64,
    /// Those that broke a rule: the name of the cut and the rule.
    pub bad: Vec<String>,
    /// How the databases stood right after the cut, and how often.
    pub stood: std::collections::BTreeMap<String, u64>,
}

impl Figures {
    /// Those of another worker.
    pub fn add(&mut self, other: Figures) {
        self.cuts += other.cuts;
        self.bad.extend(other.bad);
        other
            .stood
            .into_iter()
            .for_each(|(name, count)| *self.stood.entry(name).or_default() += count);
    }

    /// One state.
    pub fn judged(&mut self, name: &str, verdict: Result<Vec<String>, String>) {
        self.cuts += 1;
        match verdict {
            Ok(stood) => {
                stood.into_iter().for_each(|word| *self.stood.entry(word).or_default() += 1)
            }
            Err(rule) => self.bad.push(format!("{name}: {rule}")),
        }
    }

    /// Prints them, and says whether the method passed: nothing bad, or (the control) something.
    pub fn finish(&self, method: &str, control: bool, seconds: f64) -> ExitCode {
        for one in self.bad.iter().take(if control { 3 } else { 20 }) {
            let (mark, lines) = if control { ("noticed:", 1) } else { ("BAD", usize::MAX) };
            println!("    {mark} {}", one.lines().take(lines).collect::<Vec<_>>().join("\n"));
        }
        let stood: Vec<String> =
            self.stood.iter().map(|(name, count)| format!("{name} {count}")).collect();
        println!("    right after the cut: {}", stood.join(", "));
        println!(
            "| {method} | {} | {} | {:.2} |",
            self.cuts,
            self.bad.len(),
            seconds / self.cuts.max(1) as f64
        );
        if control {
            println!("    control: {} of {} were noticed", self.bad.len(), self.cuts);
        }
        ExitCode::from(u8::from(self.bad.is_empty() == control || self.cuts == 0))
    }
}
