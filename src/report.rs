//! Owns what happened, in one sentence with its code, as JSON and as an exit code.
//! Promises: the exit code answers one question, "may the application start?", and is decided here
//! alone.
//! Never grepped by us, and never different in text and in JSON.

mod by_hand;
mod last;
mod losses;
mod run;
mod sentence;

use serde::Serialize;

pub use crate::decide::facts::version_of;
use crate::decide::facts::Facts;
use crate::decide::plan::{Plan, Refusal, RefusalClass};
use crate::decide::record::OperationKind;
use crate::device::files::SnapshotName;
use crate::device::Device;
use crate::error::exit;
use crate::error::printable::printable;
use crate::error::{Class, Failure, Place};
use crate::hooks::DatabaseResult;
use crate::ops::replace::Replaced;
pub use last::LastFailure;
pub use run::{Identity, RunReport, SCHEMA};
pub use sentence::lacking;
use sentence::Sentence;

/// How a run ended for a database, in one word.
///
/// ```
/// use bootmigrate::{DatabaseReport, Outcome};
///
/// fn factory_fresh(database: &DatabaseReport) -> bool {
///     matches!(database.outcome, Outcome::Created | Outcome::Purged)
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing was to be done.
    #[default]
    Quiet,
    /// A first database was made.
    Created,
    /// Migrations were applied.
    Migrated,
    /// Newer, and usable as it is.
    Compatible,
    /// Another tool's work was taken over.
    Adopted,
    /// A snapshot took the damaged one's place.
    Restored,
    /// The indexes were rebuilt.
    Reindexed,
    /// What could be read of a damaged one stands in its place.
    Salvaged,
    /// Gone back by the down SQL that newer firmware stored.
    Downgraded,
    /// A fresh database took the old one's place.
    Purged,
    /// A migration, or something under it, failed.
    Failed,
    /// Nothing can or may be done.
    Refused,
    /// Stopped on the way; the next boot goes on.
    Interrupted,
    /// `RUN_MIGRATIONS` said no, or `mode = "observe"`.
    Skipped,
}

impl Outcome {
    /// Of a database that was replaced; a record that is lost no longer knows by what.
    pub(crate) fn of_replacement(kind: Option<OperationKind>) -> Outcome {
        match kind {
            Some(OperationKind::Reindex) => Outcome::Reindexed,
            Some(OperationKind::Salvage) => Outcome::Salvaged,
            Some(OperationKind::ReplaceSnapshot) => Outcome::Restored,
            Some(OperationKind::Downgrade) => Outcome::Downgraded,
            _ => Outcome::Purged,
        }
    }
}

/// How carrying a plan out ended.
#[derive(Debug)]
pub enum Ending {
    /// It did what it says.
    Finished(Box<Finished>),
    /// The facts have changed: decide again.
    LookAgain,
    /// Taken over from another tool, in words: go on with what is pending.
    Adopted(String),
    /// Repaired without losing a row: go on with what is pending.
    Repaired(Replaced),
    /// The plan was to do nothing.
    Refused(Refusal),
}

impl Ending {
    /// Did what it says.
    pub fn finished(finished: Finished) -> Ending {
        Ending::Finished(Box::new(finished))
    }
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Finished {
    /// In one word.
    pub outcome: Outcome,
    /// Version before; `None` where it could not be read.
    pub from: Option<i64>,
    /// Version after.
    pub to: i64,
    /// Versions applied, oldest first.
    pub applied: Vec<i64>,
    /// The snapshot before.
    pub backup: Option<SnapshotName>,
    /// The operation.
    pub operation: Option<u64>,
    /// The folder in quarantine.
    pub quarantine: Option<u64>,
    /// What was lost, in words.
    pub loss: Option<String>,
    /// Why, for a replacement.
    pub reason: Option<String>,
    /// Worth knowing, a sentence each.
    pub notes: Vec<String>,
}

impl Finished {
    /// Nothing was done: it is at this version.
    pub fn at(outcome: Outcome, version: i64) -> Finished {
        Finished { outcome, from: Some(version), to: version, ..Finished::default() }
    }
}

/// What happened to one database.
///
/// ```
/// use bootmigrate::DatabaseReport;
///
/// fn for_the_display(database: &DatabaseReport) -> String {
///     match (&database.next, database.usable) {
///         (Some(next), false) => format!("{}: {next}", database.code),
///         _ => database.code.clone(),
///     }
/// }
/// ```
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseReport {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: String,
    /// In one word.
    pub outcome: Outcome,
    /// Its own exit code.
    pub exit: u8,
    /// May the application open it?
    pub usable: bool,
    /// Rows were lost.
    pub data_loss: bool,
    /// A non-empty table or column went with a downgrade.
    pub reduced: bool,
    /// Version before; `null` where it could not be read.
    pub from: Option<i64>,
    /// Version now; `null` where it could not be read.
    pub version: Option<i64>,
    /// What this firmware expects.
    pub target: i64,
    /// Versions applied by this run.
    pub applied: Vec<i64>,
    /// `snapshots/v10-3.db`, or `none`.
    pub backup: String,
    /// `quarantine/3`, where files were set aside.
    pub quarantine: Option<String>,
    /// What was lost, in words.
    pub loss: Option<String>,
    /// Why it is not usable, in one word (`docs/status-json.md` has them).
    pub cause: Option<&'static str>,
    /// The sentence's first clause: what happened.
    pub what: Option<String>,
    /// Its second: what state the database is in now.
    pub state: Option<String>,
    /// Its third: what to do.
    pub next: Option<String>,
    /// SQLite's extended code, where SQLite said it.
    pub sqlite_code: Option<i32>,
    /// Where in a migration.
    pub place: Option<Place>,
    /// Rows or processes that belong to the sentence.
    pub details: Vec<String>,
    /// Things worth knowing that change nothing.
    pub notes: Vec<String>,
    /// One sentence, with its code.
    pub sentence: String,
    /// The code alone: `BM-10 settings 40>41 V41:12`.
    pub code: String,
    /// The operation of this run, if it began one that ended well.
    pub operation: Option<u64>,
    /// Why the last operation that failed did so, where the database is not usable.
    pub last_failure: Option<LastFailure>,
    /// A loss or a token in this report is still open in the record.
    #[doc(hidden)]
    #[serde(skip)]
    pub must_be_closed: bool,
    /// The operations whose losses are in this report.
    #[doc(hidden)]
    #[serde(skip)]
    pub told: Vec<u64>,
    /// What takes the database's place may be ready, and the next boot then goes on with it.
    #[doc(hidden)]
    #[serde(skip)]
    pub ready_left: bool,
}

/// The exit code of a refusal.
pub fn exit_of_refusal(class: RefusalClass) -> u8 {
    match class {
        RefusalClass::As(class) => class.exit().code,
        RefusalClass::TriesUsedUp => exit::TRIES_USED_UP.code,
    }
}

/// What a purge without `carry_over` loses.
pub const ALL_ROWS: &str = "all rows of the old database; it is kept in quarantine";

impl DatabaseReport {
    /// A run that ended as its plan says.
    pub(crate) fn ended(
        device: &Device<'_>,
        facts: &Facts,
        plan: &Plan,
        ended: Ending,
        rolled: &[Replaced],
    ) -> DatabaseReport {
        match ended {
            Ending::Finished(done) => DatabaseReport::finished(device, facts, *done, rolled),
            Ending::Refused(refusal) => DatabaseReport::refused(device, facts, &refusal),
            Ending::LookAgain | Ending::Repaired(_) | Ending::Adopted(_) => {
                let failure = Failure::new(
                    Class::Defect,
                    crate::device::LOOK,
                    format!("the plan \"{plan}\" did not end"),
                );
                DatabaseReport::failed(device, Some(facts), &failure)
            }
        }
    }

    fn finished(
        device: &Device<'_>,
        facts: &Facts,
        done: Finished,
        rolled: &[Replaced],
    ) -> DatabaseReport {
        let mut report = DatabaseReport::blank(device, done.outcome);
        (report.from, report.version) = (done.from, Some(done.to));
        let earlier = rolled.last();
        let losses = losses::of(facts, &done, rolled);
        let folder = done.quarantine.or(earlier.map(|replaced| replaced.operation));
        report.loss = losses::words(&losses, folder);
        if let (Outcome::Quiet, Some(_)) = (done.outcome, earlier) {
            report.outcome = Outcome::of_replacement(earlier.and_then(|replaced| replaced.kind));
        }
        report.data_loss = report.loss.is_some();
        report.told = losses.iter().map(|loss| loss.operation).collect();
        report.reduced = report.outcome == Outcome::Downgraded
            && folder.is_some_and(|folder| report.told.contains(&folder));
        report.exit = if report.data_loss { exit::DATA_LOSS.code } else { 0 };
        report.usable = true;
        let operation = done.operation.or(earlier.map(|replaced| replaced.operation));
        report.quarantine = folder.map(|operation| format!("quarantine/{operation}"));
        report.backup = done.backup.as_ref().map_or_else(
            || "none".to_owned(),
            |name| format!("snapshots/v{}-{}.db", name.version, name.operation),
        );
        report.operation = operation;
        report.must_be_closed = report.data_loss || done.quarantine.is_some() || earlier.is_some();
        report.applied.clone_from(&done.applied);
        let earlier_notes = rolled.iter().flat_map(|replaced| &replaced.notes);
        for note in earlier_notes.chain(&done.notes) {
            if !report.notes.contains(note) {
                report.notes.push(note.clone());
            }
        }
        let reason =
            done.reason.clone().or_else(|| earlier.map(|replaced| replaced.reason.clone()));
        let words = sentence::finished(&report, reason.as_deref());
        report.say(&words)
    }

    /// For the product's hooks.
    pub(crate) fn result(&self) -> DatabaseResult<'_> {
        DatabaseResult {
            database: &self.name,
            version: self.version,
            usable: self.usable,
            data_loss: self.data_loss,
            exit: self.exit,
            sentence: &self.sentence,
        }
    }

    /// The same, with what was noted on the way to it.
    #[must_use]
    pub(crate) fn after(mut self, mut notes: Vec<String>) -> DatabaseReport {
        notes.append(&mut self.notes);
        DatabaseReport { notes, ..self }
    }

    /// The same of a run that has replaced the file before it ended badly: that is no run that
    /// changed nothing.
    #[must_use]
    pub(crate) fn after_replacement(mut self, rolled: &[Replaced]) -> DatabaseReport {
        let Some(done) = rolled.last() else { return self };
        let folder = format!("quarantine/{}", done.operation);
        self.quarantine = Some(folder.clone());
        if self.state.as_deref() != Some(sentence::NOTHING_CHANGED) {
            return self;
        }
        let state = format!(
            "it was replaced before that ({}), and the old files are in {folder}",
            done.reason
        );
        let (what, next) =
            (self.what.take().unwrap_or_default(), self.next.take().unwrap_or_default());
        self.tell(Sentence::new(what, state, next))
    }

    fn refused(device: &Device<'_>, facts: &Facts, refusal: &Refusal) -> DatabaseReport {
        let mut report = DatabaseReport::blank(device, Outcome::Refused);
        report.exit = exit_of_refusal(refusal.class);
        report.from = version_of(facts);
        report.version = report.from;
        report.cause = Some(match refusal.class {
            RefusalClass::As(class) => class.word(),
            RefusalClass::TriesUsedUp => exit::TRIES_USED_UP.word,
        });
        report.tell(Sentence::new(
            refusal.what.clone(),
            sentence::NOTHING_CHANGED,
            refusal.next.clone(),
        ))
    }

    /// A run that ended with a failure.
    #[doc(hidden)]
    pub fn failed(device: &Device<'_>, facts: Option<&Facts>, failure: &Failure) -> DatabaseReport {
        let outcome = match failure.class {
            Class::Interrupted => Outcome::Interrupted,
            Class::Failed | Class::Damaged | Class::NoSpace | Class::Storage | Class::Defect => {
                Outcome::Failed
            }
            Class::InUse
            | Class::NotOurs
            | Class::Missing
            | Class::Newer
            | Class::Catalogue
            | Class::Configuration
            | Class::Waits => Outcome::Refused,
        };
        let mut report = DatabaseReport::blank(device, outcome);
        report.exit = failure.class.exit().code;
        report.from = facts.and_then(version_of);
        report.version = report.from.filter(|_| failure.unconfirmed.is_none());
        report.place.clone_from(&failure.place);
        report.details.clone_from(&failure.details);
        (report.cause, report.sqlite_code) = (Some(failure.class.word()), failure.sqlite_code);
        report.ready_left = failure.ready_left;
        let said = match failure.class {
            Class::NoSpace => sentence::no_space(&report, facts, failure, device.space().ok()),
            _ => sentence::failed(&report, facts, failure, device.is_copy),
        };
        report.tell(said)
    }

    /// A purge whose fresh build failed too.
    pub(crate) fn fresh_build_failed(
        device: &Device<'_>,
        facts: &Facts,
        failure: &Failure,
    ) -> DatabaseReport {
        let mut report = DatabaseReport::failed(device, Some(facts), failure);
        report.exit = exit::TRIES_USED_UP.code;
        let said = sentence::fresh_build_failed(&report, failure);
        report.tell(said)
    }

    /// Work that is pending and was not done.
    pub(crate) fn skipped(
        device: &Device<'_>,
        facts: &Facts,
        plan: &Plan,
        why: &str,
        exit: u8,
    ) -> DatabaseReport {
        let mut report = DatabaseReport::blank(device, Outcome::Skipped);
        report.exit = exit;
        report.from = version_of(facts);
        report.version = report.from;
        report.usable = exit == 0;
        report.say(&format!("{why}; the plan is: {plan}. Nothing was changed."))
    }

    fn blank(device: &Device<'_>, outcome: Outcome) -> DatabaseReport {
        DatabaseReport {
            name: device.settings.name.clone(),
            path: device.files.main.display().to_string(),
            outcome,
            exit: 0,
            usable: false,
            data_loss: false,
            reduced: false,
            from: None,
            version: None,
            target: device.catalog.target(),
            applied: Vec::new(),
            backup: "none".into(),
            quarantine: None,
            loss: None,
            cause: None,
            what: None,
            state: None,
            next: None,
            sqlite_code: None,
            place: None,
            details: Vec::new(),
            notes: Vec::new(),
            sentence: String::new(),
            code: String::new(),
            operation: None,
            last_failure: None,
            must_be_closed: false,
            told: Vec::new(),
            ready_left: false,
        }
    }

    /// The schema is older than this firmware's though the command did what it was told: nobody may
    /// open it before the next run.
    #[must_use]
    pub(crate) fn short_of(mut self, target: i64) -> DatabaseReport {
        self.target = target;
        if !self.usable || self.version >= Some(target) {
            return self;
        }
        (self.usable, self.exit) = (false, exit::PENDING.code);
        let words = match self.outcome {
            Outcome::Quiet => format!("at version {}, nothing to do.", self.version.unwrap_or(0)),
            _ => self.words().to_owned(),
        };
        self.say(&format!(
            "{words} This firmware expects {target}: not ready, and its next run goes there."
        ))
    }

    /// It is at this firmware's version; but it goes together with another that is not ready, so
    /// nobody may open it yet.
    #[must_use]
    pub(crate) fn waiting_for(mut self, other: &str) -> DatabaseReport {
        (self.usable, self.exit, self.cause) =
            (false, exit::PENDING.code, Some(Class::Waits.word()));
        let words = format!(
            "{} It goes together with {other}, which is not ready: not ready either.",
            self.words()
        );
        self.say(&words)
    }

    /// Nothing is wrong with it, and it may not be opened.
    pub(crate) fn waits(&self) -> bool {
        self.cause == Some(Class::Waits.word())
    }

    /// The sentence without the name before it and the code after it.
    fn words(&self) -> &str {
        self.sentence
            .split_once(": ")
            .and_then(|(_, rest)| rest.rsplit_once(" ["))
            .map_or("", |(words, _)| words)
    }

    fn tell(mut self, said: Sentence) -> DatabaseReport {
        let words = said.to_string();
        (self.what, self.state, self.next) = (Some(said.what), Some(said.state), Some(said.next));
        self.say(&words)
    }

    fn say(mut self, words: &str) -> DatabaseReport {
        self.code = sentence::code(&self);
        // Whoever prints it prints one line.
        self.sentence = printable(&format!("{}: {words} [{}]", self.name, self.code)).into_owned();
        self
    }
}
