//! Owns argv and two environment variables: words to a [`Command`].
//! Promises: pure, so that every mistake has one sentence that names the word.
//! Never looks at anything outside its arguments.

pub mod describe;
pub mod help;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::describe::{command, is_group, option_text, CommandText, COMMANDS, EVERYWHERE, HELP, OPTIONS};
use crate::decide::facts::Request;

/// Wrong characters of a word for which another one is proposed.
const SLIPS_MAX: usize = 2;
/// Characters of a word that are compared.
const SLIP_CHARS_MAX: usize = 32;

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
        format: Format,
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
    /// `adopt`.
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
    /// `doctor`.
    Doctor {
        /// `--full`.
        full: bool,
    },
    /// `bundle`: to this file; `-` is standard output.
    Bundle(PathBuf),
    /// `--help`, of these words.
    Help(String),
    /// `--version`.
    Version,
}

/// How `status` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a person.
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
    /// So many migrations.
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
    fn option(&mut self, word: &str, rest: &mut impl Iterator<Item = OsString>) -> Result<(), String> {
        let (name, mut value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
            _ => (word, None),
        };
        let Some(option) = option_text(name) else {
            return Err(unknown(name, OPTIONS.iter().map(|option| option.name), ""));
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
        let Ok(value) = value.into_string() else { return Err(format!("the value of {name} is not UTF-8")) };
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
                let (known, argument) = self.command(&self.words)?;
                self.check_options(known)?;
                self.action(known, argument)?
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
            Some((first, rest)) if first == "help" => Some(rest),
            _ => self.asks_for_help().then_some(self.words.as_slice()),
        }
    }

    fn help(&self, words: &[String]) -> Result<Action, String> {
        let known = match words {
            [group] if is_group(group) => return self.check_options(&HELP).map(|()| Action::Help(group.clone())),
            _ => self.command(words)?.0,
        };
        self.check_options(if self.asks_for_help() { known } else { &HELP })?;
        Ok(Action::Help(known.name.to_owned()))
    }

    /// The command that these words name, and the word after it.
    fn command(&self, words: &[String]) -> Result<(&'static CommandText, Option<String>), String> {
        let mut words = words.iter();
        let first = words.next().map_or("", String::as_str);
        let known = if is_group(first) {
            let second = words.next().map_or("", String::as_str);
            if second.is_empty() {
                return Err(format!("`{first}` needs another word; see `bootmigrate {first} --help`"));
            }
            let verbs = COMMANDS.iter().map(|one| one.name).filter(|name| name.split(' ').next() == Some(first));
            let name = format!("{first} {second}");
            command(&name).ok_or_else(|| unknown(&name, verbs, &format!("{first} ")))?
        } else {
            let names = COMMANDS.iter().map(|one| one.name.split(' ').next().unwrap_or(""));
            command(first).ok_or_else(|| unknown(first, names, ""))?
        };
        let argument = known.argument.and_then(|_| words.next().cloned()).filter(|word| !word.is_empty());
        match (known.argument, words.next()) {
            (_, Some(more)) => Err(format!("`{more}` is one word too many; see `bootmigrate --help`")),
            (Some((name, true)), None) if argument.is_none() && self.wants_help().is_none() => {
                Err(format!("`{}` needs a {name}; see `bootmigrate {} --help`", known.name, known.name))
            }
            _ => Ok((known, argument)),
        }
    }

    fn check_options(&self, known: &CommandText) -> Result<(), String> {
        for (flag, _) in &self.given {
            if !EVERYWHERE.contains(flag) && !known.options.contains(flag) {
                return Err(format!("{flag} does not go with `{}`; see `bootmigrate --help`", known.name));
            }
        }
        if !self.program.is_empty() && known.name != "run" {
            return Err(format!("`-- PROGRAM` goes with `run`, not with `{}`", known.name));
        }
        Ok(())
    }

    fn action(&self, known: &CommandText, argument: Option<String>) -> Result<Action, String> {
        let run = |request| Ok(Action::Run { request, program: self.program.clone() });
        match known.name {
            "" if self.has("--version") || self.has("-V") => Ok(Action::Version),
            "" if self.has("--purge-and-retry") => run(Request::PurgeAndRetry),
            "" => Ok(Action::Status { exit_code: false, format: self.format()? }),
            "run" => match (self.has("--retry"), self.has("--purge-and-retry")) {
                (true, true) => Err("--retry and --purge-and-retry exclude each other".into()),
                (true, false) => run(Request::Retry),
                (false, true) => run(Request::PurgeAndRetry),
                (false, false) => run(Request::Boot),
            },
            "status" => Ok(Action::Status { exit_code: self.has("--exit-code"), format: self.format()? }),
            "plan" => Ok(Action::Plan { sql: self.has("--sql") }),
            "rehearse" => Ok(Action::Rehearse),
            "ready" => self.named("ready", "`ready` needs --db NAME").map(|()| Action::Ready),
            "mark-good" => Ok(Action::MarkGood),
            "adopt" => {
                self.named("adopt", "`adopt` needs --db NAME: the database must be named")?;
                if self.has("--from") && self.has("--at") {
                    return Err("--from and --at exclude each other".into());
                }
                Ok(Action::Adopt { from: self.value("--from").map(str::to_owned), at: self.number("--at")? })
            }
            "migrate" => self.extent("migrate").map(Action::Migrate),
            "rollback" => {
                self.named("rollback", "`rollback` needs --db NAME: the database must be named")?;
                self.extent("rollback").map(Action::Rollback)
            }
            "data status" => Ok(Action::Data(DataVerb::Status { exit_code: self.has("--exit-code") })),
            "data run" => self.extent("data run").map(|extent| Action::Data(DataVerb::Run(extent))),
            "snapshot list" => Ok(Action::Snapshot(SnapshotVerb::List)),
            "snapshot create" => Ok(Action::Snapshot(SnapshotVerb::Create)),
            "snapshot verify" => Ok(Action::Snapshot(SnapshotVerb::Verify)),
            "snapshot prune" => Ok(Action::Snapshot(SnapshotVerb::Prune)),
            "snapshot restore" => {
                self.named("snapshot restore", "`snapshot restore` needs --db NAME: the database must be named")?;
                if !self.has("--yes") {
                    return Err("`snapshot restore` gives up what was written after the copy; say --yes".into());
                }
                Ok(Action::Restore(argument.unwrap_or_default()))
            }
            "doctor" => Ok(Action::Doctor { full: self.has("--full") }),
            "bundle" => Ok(Action::Bundle(PathBuf::from(argument.unwrap_or_default()))),
            "purge" => {
                self.named("purge", "`purge` needs --db NAME: the database must be named")?;
                if !self.has("--yes") {
                    return Err("`purge` gives up all rows of the database; say --yes".into());
                }
                run(Request::Purge)
            }
            other => Err(format!("`{other}` is not known; see `bootmigrate --help`")),
        }
    }

    fn named(&self, _verb: &str, sentence: &str) -> Result<(), String> {
        self.value("--db").map(drop).ok_or_else(|| sentence.to_owned())
    }

    fn format(&self) -> Result<Format, String> {
        match (self.value("--format"), self.has("--json")) {
            (None, false) | (Some("text"), false) => Ok(Format::Text),
            (None | Some("json"), _) => Ok(Format::Json),
            (Some("prometheus"), false) => Ok(Format::Prometheus),
            (Some("mender"), false) => Ok(Format::Mender),
            (Some("text" | "prometheus" | "mender"), true) => Err("--json and --format exclude each other".into()),
            (Some(other), _) => Err(format!("--format {other} is not known; write text, json, prometheus or mender")),
        }
    }

    /// A version or a count.
    fn number(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(text) = self.value(name) else { return Ok(None) };
        let number = text.parse::<i64>().ok().filter(|number| *number >= 0);
        number.map(Some).ok_or_else(|| format!("{name} {text} is not a whole number"))
    }

    /// Exactly one of the options that say how far.
    fn extent(&self, verb: &str) -> Result<Extent, String> {
        let mut extents = Vec::new();
        if self.has("--all") {
            extents.push(Extent::All);
        }
        if let Some(steps) = self.number("--step")? {
            match steps.unsigned_abs() {
                0 => return Err("--step 0 does nothing; write 1 or more".into()),
                steps => extents.push(Extent::Step(u32::try_from(steps).unwrap_or(u32::MAX))),
            }
        }
        if let Some(version) = self.number("--to")? {
            extents.push(Extent::To(version));
        }
        if let Some(version) = self.number("--to-exclusive")? {
            extents.push(Extent::ToExclusive(version));
        }
        let choices = match verb {
            "rollback" => "--to V or --step N",
            "data run" => "--all, --step N or --to V",
            _ => "--all, --step N, --to V or --to-exclusive V",
        };
        match (extents.as_slice(), extents.len()) {
            ([extent], _) => Ok(*extent),
            (_, 0) => Err(format!("`{verb}` needs one of {choices}")),
            _ => Err(format!("`{verb}` takes only one of {choices}")),
        }
    }
}

/// Says that this word is not known, and which known one it may be a slip of.
fn unknown(word: &str, known: impl Iterator<Item = &'static str>, group: &str) -> String {
    let near = known.filter(|known| known.len() > 2).map(|known| (slips(word, known), known)).min();
    match near {
        Some((slips, near)) if slips <= SLIPS_MAX && slips * 2 < word.len() => format!("`{word}` is not known; perhaps `{near}` is meant"),
        _ => format!("`{word}` is not known; see `bootmigrate {group}--help`"),
    }
}

/// How many characters are wrong, missing, too many, or swapped with the next one.
fn slips(typed: &str, meant: &str) -> usize {
    let (typed, meant): (Vec<char>, Vec<char>) = (typed.chars().take(SLIP_CHARS_MAX).collect(), meant.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=meant.len()).collect()];
    for (at, letter) in typed.iter().enumerate() {
        let mut row = vec![at + 1];
        for (column, other) in meant.iter().enumerate() {
            let before = |rows_up: usize, columns_left: usize| {
                let row = rows.len().checked_sub(rows_up).and_then(|row| rows.get(row));
                (column + 1)
                    .checked_sub(columns_left)
                    .and_then(|column| row.and_then(|row| row.get(column)).copied())
                    .unwrap_or(usize::MAX / 2)
            };
            let left = row.last().copied().unwrap_or(0);
            let swapped = at > 0 && column > 0 && typed.get(at - 1) == Some(other) && meant.get(column - 1) == Some(letter);
            let swap = if swapped { before(2, 2) + 1 } else { usize::MAX };
            row.push((before(1, 1) + usize::from(letter != other)).min(before(1, 0) + 1).min(left + 1).min(swap));
        }
        rows.push(row);
    }
    rows.last().and_then(|row| row.last()).copied().unwrap_or(0)
}

/// `RUN_MIGRATIONS=0|false|no|off`.
pub fn skips(value: Option<&str>) -> bool {
    value.is_some_and(|value| ["0", "false", "no", "off"].iter().any(|word| value.trim().eq_ignore_ascii_case(word)))
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
