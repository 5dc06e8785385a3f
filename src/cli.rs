//! Owns argv and two environment variables: words to a [`Command`].
//! Promises: pure, so that every mistake has one sentence that names the word.
//! Never looks at anything outside its arguments.

mod action;
pub mod describe;
pub mod help;
pub mod set_aside;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::describe::{
    command, is_group, option_text, CommandText, COMMANDS, EVERYWHERE, OPTIONS,
};
use crate::cli::set_aside::{LostVerb, QuarantineVerb};
use crate::config::words::nearest;
use crate::decide::facts::Request;

/// Takes the words of another command, whose text it prints; it is in no list of commands.
const HELP: &str = "help";

/// What an operator or a unit asks for.
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
    /// `--json`, or `--format json`.
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
        /// `--format`.
        format: StatusFormat,
    },
    /// `plan`.
    Plan {
        /// `--sql`.
        sql: bool,
    },
    /// `rehearse`.
    Rehearse,
    /// `ready`.
    Ready,
    /// `mark-good`.
    MarkGood,
    /// `baseline`.
    Adopt {
        /// `--from`.
        from: Option<String>,
        /// `--at`.
        at: Option<i64>,
    },
    /// `migrate`.
    Migrate(Extent),
    /// `rollback`.
    Rollback(Extent),
    /// `data ...`.
    Data(DataVerb),
    /// `snapshot ...`, but for `restore`.
    Snapshot(SnapshotVerb),
    /// `snapshot restore`: a name of ours, or a file.
    Restore(String),
    /// `quarantine ...`.
    Quarantine(QuarantineVerb),
    /// `lost ...`.
    Lost(LostVerb),
    /// `doctor`.
    Doctor {
        /// `--full`.
        full: bool,
    },
    /// `scrub`.
    Scrub,
    /// `bundle`: to this file; `-` is standard output.
    Bundle(PathBuf),
    /// `salvage`: what can be read, into this file.
    Salvage(PathBuf),
    /// `wipe`; with `--yes`.
    Wipe {
        /// Else it is only listed.
        agreed: bool,
    },
    /// `--help`, of these words.
    Help(String),
    /// `--version`.
    Version,
}

/// How `status` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFormat {
    /// For an operator.
    Text,
    /// `--json`.
    Json,
    /// For a Prometheus textfile collector.
    Prometheus,
    /// For a Mender inventory script.
    Mender,
}

/// How far `migrate` and `rollback` go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    All,
    /// This many migrations.
    Step(u32),
    /// To this version, itself included.
    To(i64),
    /// To the version before this one.
    ToExclusive(i64),
}

/// What is done with data migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataVerb {
    /// `status`.
    Status {
        /// `--exit-code`.
        exit_code: bool,
    },
    /// `run`.
    Run(Extent),
}

/// What is done with snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotVerb {
    /// `list`.
    List,
    /// `create`.
    Create,
    /// `verify`.
    Verify,
    /// `prune`.
    Prune,
}

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
        if text.starts_with('-') && text.len() > 1 {
            draft.option(text, &mut words)?;
        } else {
            draft.words.push(text.to_owned());
        }
    }
    draft.finish()
}

#[derive(Default)]
struct Draft {
    words: Vec<String>,
    given: Vec<(&'static str, Option<String>)>,
    program: Vec<OsString>,
}

impl Draft {
    fn option(
        &mut self,
        word: &str,
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), String> {
        let (name, mut value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
            _ => (word, None),
        };
        let Some(option) = option_text(name) else {
            // One letter is near to every other.
            let long = OPTIONS
                .iter()
                .map(|option| option.name)
                .filter(|known| known.starts_with("--") && name.starts_with("--"));
            return Err(unknown(name, long, ""));
        };
        if option.value.is_none() {
            if value.is_some() {
                return Err(format!("{name} takes no value"));
            }
            self.given.push((option.name, None));
            return Ok(());
        }
        let value = value.take().or_else(|| rest.next()).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| format!("{name} needs a value"))?;
        let Ok(value) = value.into_string() else {
            return Err(format!("the value of {name} is not UTF-8"));
        };
        if self.value(option.name).is_some() {
            return Err(format!("{name} is given twice"));
        }
        self.given.push((option.name, Some(value)));
        Ok(())
    }

    fn has(&self, flag: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == flag)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| *given == name).and_then(|(_, value)| value.as_deref())
    }

    fn count(&self, flag: &str) -> usize {
        self.given.iter().filter(|(given, _)| *given == flag).count()
    }

    fn finish(self) -> Result<Command, String> {
        let action = match self.wants_help() {
            Some(words) => self.help(words)?,
            None => {
                let (known, arguments) = self.command(&self.words)?;
                self.check_options(known.name, known.options)?;
                self.action(known, arguments)?
            }
        };
        let verbose = self.count("-v") + self.count("--verbose") + 2 * self.count("-vv");
        let verbosity = match (self.has("-q") || self.has("--quiet"), verbose) {
            (true, 0) => Verbosity::Quiet,
            (true, _) => return Err("-q and -v exclude each other".into()),
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Migrations,
            (false, _) => Verbosity::Statements,
        };
        Ok(Command {
            config: self.value("--config").map(PathBuf::from),
            root: self.value("--root").map(PathBuf::from).unwrap_or_default(),
            verbosity,
            json: self.has("--json") || self.value("--format") == Some("json"),
            database: self.value("--db").map(str::to_owned),
            action,
        })
    }

    fn asks_for_help(&self) -> bool {
        self.has("--help") || self.has("-h")
    }

    /// The words that help is asked for: those after `help`, or those before `--help`.
    fn wants_help(&self) -> Option<&[String]> {
        match self.words.split_first() {
            Some((first, rest)) if first == HELP => Some(rest),
            _ => self.asks_for_help().then_some(self.words.as_slice()),
        }
    }

    fn help(&self, words: &[String]) -> Result<Action, String> {
        let (name, options): (&str, &[&str]) = match words {
            [group] if is_group(group) => (group, &[]),
            _ => self.command(words).map(|(known, _)| (known.name, known.options))?,
        };
        let (asked, options) = if self.asks_for_help() { (name, options) } else { (HELP, &[][..]) };
        self.check_options(asked, options)?;
        Ok(Action::Help(name.to_owned()))
    }

    /// The command that these words name, and the words after it.
    fn command(&self, words: &[String]) -> Result<(&'static CommandText, Vec<String>), String> {
        let mut words = words.iter();
        let first = words.next().map_or("", String::as_str);
        let known = if is_group(first) {
            let second = words.next().map_or("", String::as_str);
            if second.is_empty() {
                return Err(format!(
                    "`{first}` needs another word; see `bootmigrate {first} --help`"
                ));
            }
            let verbs = COMMANDS
                .iter()
                .filter_map(|one| one.name.split_once(' '))
                .filter(|(group, _)| *group == first)
                .map(|(_, verb)| verb);
            command(&format!("{first} {second}"))
                .ok_or_else(|| unknown(second, verbs, &format!("{first} ")))?
        } else {
            let names = COMMANDS
                .iter()
                .filter_map(|one| one.name.split(' ').next())
                .filter(|name| !name.is_empty());
            command(first).ok_or_else(|| unknown(first, names.chain([HELP]), ""))?
        };
        let wanted = known.argument.map_or(0, |(names, _)| names.split(' ').count());
        let arguments: Vec<String> =
            words.by_ref().take(wanted).filter(|word| !word.is_empty()).cloned().collect();
        match (known.argument, words.next()) {
            (_, Some(more)) => {
                Err(format!("`{more}` is one word too many; see `bootmigrate --help`"))
            }
            (Some((names, true)), None)
                if arguments.len() < wanted && self.wants_help().is_none() =>
            {
                let names = names.replace(' ', " and a ");
                Err(format!(
                    "`{}` needs a {names}; see `bootmigrate {} --help`",
                    known.name, known.name
                ))
            }
            _ => Ok((known, arguments)),
        }
    }

    fn check_options(&self, name: &str, options: &[&str]) -> Result<(), String> {
        for (flag, _) in &self.given {
            if !EVERYWHERE.contains(flag) && !options.contains(flag) {
                return Err(format!("{flag} does not go with `{name}`; see `bootmigrate --help`"));
            }
        }
        if !self.program.is_empty() && name != "run" {
            return Err(format!("`-- PROGRAM` goes with `run`, not with `{name}`"));
        }
        Ok(())
    }
}

/// Says that this word is not known, and which known one may be meant.
fn unknown(word: &str, known: impl Iterator<Item = &'static str>, group: &str) -> String {
    match nearest(word, known) {
        Some(near) => format!("`{group}{word}` is not known; perhaps `{group}{near}` is meant"),
        None => format!("`{group}{word}` is not known; see `bootmigrate {group}--help`"),
    }
}

/// `RUN_MIGRATIONS=0|false|no|off`.
pub fn skips(value: Option<&str>) -> bool {
    value.is_some_and(|value| {
        ["0", "false", "no", "off"].iter().any(|word| value.trim().eq_ignore_ascii_case(word))
    })
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
