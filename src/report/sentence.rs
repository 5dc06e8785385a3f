//! Owns the sentences: what happened, what state the database is in now, what to do next.
//! Promises: one line each, ending with a code that can be read over the phone.
//! Never knows an exit code that [`super`] has not decided.

use crate::decide::asked::QUARANTINE_RESTORE_ASKED;
use crate::decide::facts::{Facts, OwnCopies};
use crate::decide::policy::FAILED_MAX;
use crate::decide::space::{free_space, RUN_AGAIN};
use crate::device::disk::Space;
use crate::error::{Class, Failure, Lack};
use crate::report::{DatabaseReport, Outcome, ALL_ROWS};

/// With less than this nobody wonders that storage is full.
const ROOM_FOR_A_WRITE_BYTES: u64 = 1 << 16;

/// A run that did what its plan says.
pub fn finished(report: &DatabaseReport, reason: Option<&str>) -> String {
    let version = report.version.unwrap_or(0);
    let backup = if report.backup == "none" {
        "without a snapshot".to_owned()
    } else {
        format!("snapshot {}", report.backup)
    };
    let reason = reason.unwrap_or("an earlier run said why");
    let kept = report.quarantine.as_deref().unwrap_or("quarantine");
    let sentence = match report.outcome {
        Outcome::Quiet if report.data_loss => {
            format!(
                "at version {version}; an earlier run lost {}.",
                report.loss.as_deref().unwrap_or("data")
            )
        }
        Outcome::Quiet => format!("at version {version}, nothing to do."),
        Outcome::Compatible => format!(
            "at version {version}, newer than this firmware's {}, which can use it as it is.",
            report.target
        ),
        Outcome::Adopted => format!("taken over from {reason} at version {version}, as it is."),
        Outcome::Created => format!("created at version {version}."),
        Outcome::Migrated => {
            format!(
                "migrated from {} to {version} ({} applied, {backup}).",
                report.from.unwrap_or(0),
                report.applied.len()
            )
        }
        Outcome::Reindexed => reindexed(report, reason, kept),
        Outcome::Downgraded if report.reduced => format!(
            "gone back to {version} by its stored down SQL, because {reason}; the newer file is in \
             {kept}, alone with: {}.",
            report.loss.as_deref().unwrap_or("nothing")
        ),
        Outcome::Downgraded => {
            format!(
                "gone back to {version} by its stored down SQL, no row lost, because {reason}; the \
                 newer file is in {kept}."
            )
        }
        Outcome::Restored => format!(
            "restored from {} and migrated to {version}, because {reason}; lost: {}.",
            if reason == QUARANTINE_RESTORE_ASKED { "quarantine" } else { "a snapshot" },
            report.loss.as_deref().unwrap_or("nothing")
        ),
        Outcome::Salvaged => format!(
            "rebuilt at version {version} with what could be read, because {reason}; the old file \
             is in {kept}; lost: {}.",
            report.loss.as_deref().unwrap_or("nothing")
        ),
        Outcome::Purged => purged(report, reason, kept),
        Outcome::Failed | Outcome::Refused | Outcome::Interrupted | Outcome::Skipped => {
            reason.to_owned()
        }
    };
    let before = match report.outcome {
        Outcome::Migrated | Outcome::Compatible | Outcome::Created | Outcome::Adopted => true,
        Outcome::Downgraded => !report.reduced,
        _ => false,
    };
    match &report.loss {
        Some(loss) if before => format!("{sentence} Lost before: {loss}."),
        _ => sentence,
    }
}

fn reindexed(report: &DatabaseReport, reason: &str, kept: &str) -> String {
    match &report.loss {
        None => format!("rebuilt on a copy, no row lost ({reason}); the old file is in {kept}."),
        Some(loss) => {
            format!("rebuilt on a copy, because {reason}; the old file is in {kept}; lost: {loss}.")
        }
    }
}

fn purged(report: &DatabaseReport, reason: &str, kept: &str) -> String {
    let version = report.version.unwrap_or(0);
    match report.loss.as_deref() {
        None => format!(
            "replaced by a fresh database at version {version} with every row, because {reason}; \
             the old files are in {kept}."
        ),
        Some(ALL_ROWS) => format!(
            "replaced by a fresh database at version {version}, because {reason}; the old files \
             are in {kept}; lost: all its rows."
        ),
        Some(loss) => format!(
            "replaced by a fresh database at version {version}, because {reason}; the old files \
             are in {kept}; lost: {loss}."
        ),
    }
}

/// What happened, what state the database is in now, what to do next: each a clause without a final
/// dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// What happened.
    pub what: String,
    /// The state now.
    pub state: String,
    /// What to do.
    pub next: String,
}

impl Sentence {
    /// The three clauses.
    pub fn new(
        what: impl Into<String>,
        state: impl Into<String>,
        next: impl Into<String>,
    ) -> Sentence {
        Sentence { what: what.into(), state: state.into(), next: next.into() }
    }
}

impl std::fmt::Display for Sentence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}. Next: {}.", self.what, self.state, self.next)
    }
}

/// The state of a database that a run has left alone.
pub const NOTHING_CHANGED: &str = "nothing was changed";
/// The state of a database whose replacement waits for its name.
const READY_LEFT: &str =
    "what takes its place may be ready, and the next boot then goes on with it";
/// What follows an interruption.
const NEXT_BOOT: &str = "the next boot goes on";

/// A run that ended with a failure.
///
/// `is_copy`: of a rehearsal, which counts nothing.
pub fn failed(
    report: &DatabaseReport,
    facts: Option<&Facts>,
    failure: &Failure,
    is_copy: bool,
) -> Sentence {
    let what = failure.words();
    let whole = state(report, failure);
    let said = match failure.class {
        Class::Failed => Sentence::new(what, whole, after_failed_try(report, facts, is_copy)),
        Class::InUse => Sentence::new(what, "nothing was written", "stop it, then run again"),
        Class::NoSpace => no_space(report, facts, failure, None),
        Class::Storage => Sentence::new(
            what,
            whole,
            "look at the storage and at who owns the files, then run again",
        ),
        Class::NotOurs => {
            Sentence::new(what, NOTHING_CHANGED, "move it away, or correct `path`, then run again")
        }
        Class::Missing => Sentence::new(
            what,
            "nothing was made",
            "bring it there, or move away what is in its place, then run again",
        ),
        Class::Newer => Sentence::new(what, NOTHING_CHANGED, "boot the newer firmware"),
        Class::Catalogue => Sentence::new(
            what,
            NOTHING_CHANGED,
            "build the firmware with the migrations that this database was made by",
        ),
        Class::Waits => {
            Sentence::new(what, whole, "do what is said of the database that it waits for")
        }
        Class::Interrupted => Sentence::new(format!("interrupted ({what})"), whole, NEXT_BOOT),
        Class::Damaged => {
            let next = format!("run `bootmigrate run --purge-and-retry --db {}`", report.name);
            Sentence::new(format!("damaged: {what}"), NOTHING_CHANGED, next)
        }
        Class::Configuration => Sentence::new(what, NOTHING_CHANGED, "correct bootmigrate.toml"),
        Class::Defect => Sentence::new(
            format!("a defect of bootmigrate: {what}"),
            "nothing was lost",
            "send the log to its makers",
        ),
    };
    let state = if failure.ready_left { READY_LEFT.to_owned() } else { said.state };
    Sentence { state, ..said }
}

/// What state the database is in after a failure.
fn state(report: &DatabaseReport, failure: &Failure) -> String {
    match (failure.unconfirmed, report.version) {
        _ if failure.ready_left => READY_LEFT.to_owned(),
        (Some(version), _) => format!(
            "it reads as version {version}, and only the next boot knows what storage has kept"
        ),
        (None, Some(0) | None) => NOTHING_CHANGED.to_owned(),
        (None, Some(version)) => format!("the database is whole at version {version}"),
    }
}

/// A run that ended for want of space: of bytes, of inodes or of a quota.
pub fn no_space(
    report: &DatabaseReport,
    facts: Option<&Facts>,
    failure: &Failure,
    space: Option<Space>,
) -> Sentence {
    let (why, next) =
        lacking(facts.map_or(&[][..], |facts| &facts.kept), failure, space, RUN_AGAIN);
    Sentence::new(
        format!("not enough space: {why}{}", failure.words()),
        state(report, failure),
        next,
    )
}

/// What there was too little of, as words that end with a colon where there are any, and what an
/// operator can do; `then` comes last.
pub fn lacking(
    kept: &[OwnCopies],
    failure: &Failure,
    space: Option<Space>,
    then: &str,
) -> (String, String) {
    let known = space.filter(Space::is_known);
    let out_of_inodes = space.is_some_and(|space| space.inodes == Some(0)).then_some(Lack::Inodes);
    let free = known.map_or_else(String::new, |space| format!("{} bytes", space.available));
    match (failure.lack.or(out_of_inodes), failure.bytes_needed) {
        (Some(Lack::Inodes), _) => {
            let left = space.and_then(|space| space.inodes).unwrap_or(0);
            let bytes = known.map_or_else(String::new, |_| format!(", though {free} are free"));
            (
                format!("the file system has {left} inodes left for new files{bytes}: "),
                format!("remove files from it, then {then}"),
            )
        }
        (Some(Lack::Quota), _) => {
            let next = format!(
                "raise the quota (`repquota` shows it) or remove files that count towards it, then \
                 {then}"
            );
            ("the disk quota is used up: ".to_owned(), next)
        }
        (None, None) if known.is_some_and(|space| space.available >= ROOM_FOR_A_WRITE_BYTES) => {
            (format!("the storage says so, though {free} are free: "), free_space(kept, None, then))
        }
        (Some(Lack::Bytes) | None, needed) => (String::new(), free_space(kept, needed, then)),
    }
}

fn after_failed_try(report: &DatabaseReport, facts: Option<&Facts>, is_copy: bool) -> String {
    if is_copy {
        return "install firmware in which this migration works; this was a copy, and no try was \
                counted"
            .to_owned();
    }
    // An operator's word has forgotten the tries before this one.
    let before =
        facts.filter(|facts| !facts.request.forgets_tries()).map_or(0, |facts| facts.tries.failed);
    match FAILED_MAX.saturating_sub(before.saturating_add(1)) {
        0 => format!(
            "it is not tried again before `bootmigrate run --retry --db {}` or other firmware",
            report.name
        ),
        left => {
            let times = if left == 1 { "time" } else { "times" };
            format!(
                "install firmware in which this migration works; this one is tried {left} more \
                 {times}"
            )
        }
    }
}

/// A purge whose fresh build failed too.
pub fn fresh_build_failed(report: &DatabaseReport, failure: &Failure) -> Sentence {
    Sentence::new(
        format!("a fresh database could not be built either: {}", failure.words()),
        "the old one is still in its place",
        format!("install other firmware, then run `bootmigrate run --retry --db {}`", report.name),
    )
}

/// `BM-10 settings 40>41 V41:12`: exit code, database, versions, migration and line.
pub fn code(report: &DatabaseReport) -> String {
    let place = report.place.as_ref().map(|place| (place.version, place.line));
    code_of(report.exit, &report.name, report.from, report.target, place)
}

/// The same of its parts.
pub fn code_of(
    exit: u8,
    name: &str,
    from: Option<i64>,
    target: i64,
    place: Option<(i64, u32)>,
) -> String {
    let versions = match from {
        Some(from) if from == target => from.to_string(),
        Some(from) => format!("{from}>{target}"),
        None => format!("?>{target}"),
    };
    let place = place.map_or_else(String::new, |(version, line)| format!(" V{version}:{line}"));
    format!("BM-{exit} {name} {versions}{place}")
}
