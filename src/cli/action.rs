//! Owns what a command's options and arguments ask of it: a known command to its [`Action`].
//! Promises: options that exclude each other, and one that is missing, have a sentence that names
//! them.
//! Never decides which command is meant.

use std::path::PathBuf;

use super::{Action, DataVerb, Draft, Extent, SnapshotVerb, StatusFormat};
use crate::cli::describe::CommandText;
use crate::cli::set_aside::Words;
use crate::decide::facts::Request;

impl Draft {
    pub(super) fn action(
        &self,
        known: &CommandText,
        mut arguments: Vec<String>,
    ) -> Result<Action, String> {
        if let Some((group, verb)) = known.name.split_once(' ') {
            let words = Words {
                verb,
                arguments: &arguments,
                named: self.value("--db").is_some(),
                agreed: self.has("--yes"),
            };
            match group {
                "quarantine" => return words.quarantine().map(Action::Quarantine),
                "lost" => return words.lost().map(Action::Lost),
                _ => {}
            }
        }
        let argument = arguments.pop();
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
            "status" => {
                Ok(Action::Status { exit_code: self.has("--exit-code"), format: self.format()? })
            }
            "plan" => Ok(Action::Plan { sql: self.has("--sql") }),
            "rehearse" => Ok(Action::Rehearse),
            "ready" => self.named("ready", "`ready` needs --db NAME").map(|()| Action::Ready),
            "mark-good" => Ok(Action::MarkGood),
            "baseline" => self.adopt(),
            "migrate" => self.extent("migrate").map(Action::Migrate),
            "rollback" => {
                self.named("rollback", "`rollback` needs --db NAME: the database must be named")?;
                self.extent("rollback").map(Action::Rollback)
            }
            "data status" => {
                Ok(Action::Data(DataVerb::Status { exit_code: self.has("--exit-code") }))
            }
            "data run" => self.extent("data run").map(|extent| Action::Data(DataVerb::Run(extent))),
            "snapshot list" => Ok(Action::Snapshot(SnapshotVerb::List)),
            "snapshot create" => Ok(Action::Snapshot(SnapshotVerb::Create)),
            "snapshot verify" => Ok(Action::Snapshot(SnapshotVerb::Verify)),
            "snapshot prune" => Ok(Action::Snapshot(SnapshotVerb::Prune)),
            "snapshot restore" => self.restore(argument.unwrap_or_default()),
            "doctor" => Ok(Action::Doctor { full: self.has("--full") }),
            "scrub" => Ok(Action::Scrub),
            "bundle" => Ok(Action::Bundle(PathBuf::from(argument.unwrap_or_default()))),
            "purge" => {
                self.named("purge", "`purge` needs --db NAME: the database must be named")?;
                if !self.has("--yes") {
                    return Err("`purge` discards all rows of the database; say --yes".into());
                }
                run(Request::Purge)
            }
            "wipe" => self.wipe(),
            "salvage" => self.salvage(),
            other => Err(format!("`{other}` is not known; see `bootmigrate --help`")),
        }
    }

    fn adopt(&self) -> Result<Action, String> {
        self.named("baseline", "`baseline` needs --db NAME: the database must be named")?;
        if self.has("--from") && self.has("--at") {
            return Err("--from and --at exclude each other".into());
        }
        Ok(Action::Adopt {
            from: self.value("--from").map(str::to_owned),
            at: self.number("--at")?,
        })
    }

    fn restore(&self, copy: String) -> Result<Action, String> {
        self.named(
            "snapshot restore",
            "`snapshot restore` needs --db NAME: the database must be named",
        )?;
        if !self.has("--yes") {
            return Err(
                "`snapshot restore` discards what was written after the copy; say --yes".into()
            );
        }
        Ok(Action::Restore(copy))
    }

    fn salvage(&self) -> Result<Action, String> {
        self.named("salvage", "`salvage` needs --db NAME: the database must be named")?;
        let into = self
            .value("--into")
            .ok_or("`salvage` needs --into FILE, which must not be there yet")?;
        Ok(Action::Salvage(PathBuf::from(into)))
    }

    fn wipe(&self) -> Result<Action, String> {
        match (self.value("--db").is_some(), self.has("--all")) {
            (true, true) => Err("--db and --all exclude each other".into()),
            (false, false) => {
                Err("`wipe` needs --db NAME or --all: what goes must be named".into())
            }
            (true, false) | (false, true) => Ok(Action::Wipe { agreed: self.has("--yes") }),
        }
    }

    fn named(&self, _verb: &str, sentence: &str) -> Result<(), String> {
        self.value("--db").map(drop).ok_or_else(|| sentence.to_owned())
    }

    fn format(&self) -> Result<StatusFormat, String> {
        match (self.value("--format"), self.has("--json")) {
            (None, false) | (Some("text"), false) => Ok(StatusFormat::Text),
            (None | Some("json"), _) => Ok(StatusFormat::Json),
            (Some("prometheus"), false) => Ok(StatusFormat::Prometheus),
            (Some("mender"), false) => Ok(StatusFormat::Mender),
            (Some("text" | "prometheus" | "mender"), true) => {
                Err("--json and --format exclude each other".into())
            }
            (Some(other), _) => Err(format!(
                "--format {other} is not known; write text, json, prometheus or mender"
            )),
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
