//! Owns argv and two environment variables: words to a [`Command`].
//! Promises: pure, so that every mistake has one sentence that names the word.
//! Never looks at anything outside its arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::decide::facts::Request;

/// What a person or a unit asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The verb.
    pub action: Action,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--root`.
    pub root: PathBuf,
    /// `-v`, `-vv`, `-q`.
    pub verbosity: Verbosity,
    /// `--json`.
    pub json: bool,
    /// `--db`; empty for all.
    pub database: Option<String>,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// `-q`: errors.
    Quiet,
    /// Errors and warnings; what a run did is its report.
    Normal,
    /// `-v`: each migration.
    Migrations,
    /// `-vv`: each statement.
    Statements,
}

/// The verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `run`.
    Run {
        /// `--retry`, `--purge-and-retry`, or a plain boot; `purge` too.
        request: Request,
        /// After `--`: becomes this program when its databases are usable.
        program: Vec<OsString>,
    },
    /// `status`, and no verb at all.
    Status {
        /// `--exit-code`.
        exit_code: bool,
        /// No verb: what `run` would do is printed too.
        with_plan: bool,
    },
    /// `plan`.
    Plan {
        /// `--sql`.
        sql: bool,
    },
    /// `ready`.
    Ready,
    /// `mark-good`.
    MarkGood,
    /// `adopt`.
    Adopt {
        /// `--from`.
        from: Option<String>,
        /// `--at`.
        at: Option<i32>,
    },
    /// `--help`.
    Help,
    /// `--version`.
    Version,
}

/// The text of `--help`.
pub const HELP: &str = "\
bootmigrate: brings this device's SQLite databases to the schema its firmware expects

  bootmigrate                          status, and what `run` would do
  bootmigrate run                      what the unit does at boot
  bootmigrate run --retry              forget the counted tries and try once more; purges nothing
  bootmigrate --purge-and-retry        try once more; what fails or is damaged is set aside and made anew
  bootmigrate run -- PROGRAM ARGS...   run, then become PROGRAM when the databases are usable
  bootmigrate status [--exit-code]     versions and state; reads only
  bootmigrate plan [--sql]             what the next boot would do, and why; reads only
  bootmigrate ready --db NAME          may an application open it? (exit code)
  bootmigrate mark-good                the slot is good: snapshots for the way back may go
  bootmigrate adopt --db NAME [--from TOOL] [--at V]   take over what another tool made, then run
  bootmigrate purge --db NAME --yes    set this database aside and make it anew

Everywhere: --db NAME   --json   --config FILE   --root DIR   -v   -vv   -q   --version

Exit codes: 0 usable  11 usable, data was given up  3 work pending  10 migration failed, database whole
  12 newer than this firmware  13 in use  14 not enough space  15 read-only or I/O error
  16 not our database  17 damaged  18 mount or folder missing  19 tries used up
  20 interrupted, goes on at the next boot  21 migrations do not fit  2 usage or configuration  1 defect
";

/// Reads the words after the program's name.
///
/// # Errors
/// One sentence that names the word.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut words = words.into_iter();
    let mut draft = Draft::default();
    while let Some(word) = words.next() {
        if word == "--" {
            draft.program = words.by_ref().collect();
            if draft.program.is_empty() {
                return Err("`--` must be followed by a program".into());
            }
            break;
        }
        let Some(text) = word.to_str() else {
            return Err(format!("the argument {} is not UTF-8", word.to_string_lossy()));
        };
        if text.starts_with('-') {
            draft.option(text, &mut words)?;
        } else if draft.verb.is_none() {
            draft.verb = Some(text.to_owned());
        } else {
            return Err(format!("`{text}` is one word too many; see `bootmigrate --help`"));
        }
    }
    draft.finish()
}

#[derive(Default)]
struct Draft {
    verb: Option<String>,
    config: Option<PathBuf>,
    root: Option<PathBuf>,
    database: Option<String>,
    from: Option<String>,
    at: Option<i32>,
    verbose: u8,
    flags: Vec<String>,
    program: Vec<OsString>,
}

/// Options without a value, and the verbs that take them; no verb is "".
const FLAGS: [(&str, &[&str]); 10] = [
    ("--json", &["", "run", "status", "plan", "mark-good", "adopt", "purge"]),
    ("--retry", &["run"]),
    ("--purge-and-retry", &["", "run"]),
    ("--exit-code", &["status"]),
    ("--sql", &["plan"]),
    ("--yes", &["purge"]),
    ("--help", &["", "run", "status", "plan", "ready", "mark-good", "adopt", "purge"]),
    ("-h", &["", "run", "status", "plan", "ready", "mark-good", "adopt", "purge"]),
    ("--version", &[""]),
    ("-q", &["", "run", "status", "plan", "ready", "mark-good", "adopt", "purge"]),
];

impl Draft {
    fn option(&mut self, word: &str, rest: &mut impl Iterator<Item = OsString>) -> Result<(), String> {
        let (name, mut value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
            _ => (word, None),
        };
        let mut take =
            || value.take().or_else(|| rest.next()).filter(|value| !value.is_empty()).ok_or_else(|| format!("{name} needs a value"));
        match name {
            "--config" => self.config = Some(PathBuf::from(take()?)),
            "--root" => self.root = Some(PathBuf::from(take()?)),
            "--db" => self.database = Some(take()?.to_string_lossy().into_owned()),
            "--from" => self.from = Some(take()?.to_string_lossy().into_owned()),
            "--at" => {
                let text = take()?.to_string_lossy().into_owned();
                self.at = Some(text.parse().map_err(|_| format!("--at {text} is no version; write a whole number"))?);
            }
            "-v" | "--verbose" => self.verbose += 1,
            "-vv" => self.verbose += 2,
            known if FLAGS.iter().any(|(flag, _)| *flag == known) => {
                if value.is_some() {
                    return Err(format!("{known} takes no value"));
                }
                self.flags.push(known.to_owned());
            }
            unknown => return Err(format!("`{unknown}` is not known; see `bootmigrate --help`")),
        }
        Ok(())
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    fn finish(self) -> Result<Command, String> {
        let verb = self.verb.clone().unwrap_or_default();
        for flag in &self.flags {
            let allowed = FLAGS.iter().find(|(known, _)| known == flag).is_some_and(|(_, verbs)| verbs.contains(&verb.as_str()));
            if !allowed {
                return Err(format!("{flag} does not go with `{verb}`; see `bootmigrate --help`"));
            }
        }
        if verb != "adopt" && (self.from.is_some() || self.at.is_some()) {
            return Err("--from and --at go with `adopt` alone".into());
        }
        let action = self.action(&verb)?;
        if !self.program.is_empty() && !matches!(action, Action::Run { .. }) {
            return Err(format!("`-- PROGRAM` goes with `run`, not with `{verb}`"));
        }
        let verbosity = match (self.has("-q"), self.verbose) {
            (true, 0) => Verbosity::Quiet,
            (true, _) => return Err("-q and -v exclude each other".into()),
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Migrations,
            (false, _) => Verbosity::Statements,
        };
        let json = self.has("--json");
        Ok(Command { action, config: self.config, root: self.root.unwrap_or_default(), verbosity, json, database: self.database })
    }

    fn action(&self, verb: &str) -> Result<Action, String> {
        if self.has("--help") || self.has("-h") {
            return Ok(Action::Help);
        }
        let run = |request| Ok(Action::Run { request, program: self.program.clone() });
        match verb {
            "" if self.has("--version") => Ok(Action::Version),
            "" if self.has("--purge-and-retry") => run(Request::PurgeAndRetry),
            "" => Ok(Action::Status { exit_code: false, with_plan: true }),
            "run" => match (self.has("--retry"), self.has("--purge-and-retry")) {
                (true, true) => Err("--retry and --purge-and-retry exclude each other".into()),
                (true, false) => run(Request::Retry),
                (false, true) => run(Request::PurgeAndRetry),
                (false, false) => run(Request::Boot),
            },
            "status" => Ok(Action::Status { exit_code: self.has("--exit-code"), with_plan: false }),
            "plan" => Ok(Action::Plan { sql: self.has("--sql") }),
            "ready" if self.database.is_none() => Err("`ready` needs --db NAME".into()),
            "ready" => Ok(Action::Ready),
            "mark-good" => Ok(Action::MarkGood),
            "adopt" if self.database.is_none() => Err("`adopt` needs --db NAME: the database must be named".into()),
            "adopt" => Ok(Action::Adopt { from: self.from.clone(), at: self.at }),
            "purge" if self.database.is_none() => Err("`purge` needs --db NAME: the database must be named".into()),
            "purge" if !self.has("--yes") => Err("`purge` gives up all rows of the database; say --yes".into()),
            "purge" => run(Request::Purge),
            other => Err(format!("`{other}` is not known; see `bootmigrate --help`")),
        }
    }
}

/// `RUN_MIGRATIONS=0|false|no|off`.
pub fn skips(value: Option<&str>) -> bool {
    value.is_some_and(|value| ["0", "false", "no", "off"].iter().any(|word| value.trim().eq_ignore_ascii_case(word)))
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
