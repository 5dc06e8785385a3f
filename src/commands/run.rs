//! Owns `run`: every database in turn, ready files, the report on /run.
//! Promises: a ready file is removed first and made last; each database is dealt with whatever
//! became of the one before.
//! Never changes an outcome because a report could not be written.

use std::ffi::OsString;
use std::path::Path;

use crate::boot::group::{boot_together, go_together, others, version_there, Member};
use crate::boot::{look, BootRequest, PendingReport};
use crate::cli::{skips, Command, Verbosity};
use crate::commands::status::pending_exit;
use crate::commands::{Lines, Printed};
use crate::config::Settings;
use crate::decide::facts::Request;
use crate::decide::record::{clip, TOKEN_BYTES_MAX};
use crate::device::descriptors::{self, Rlimit};
use crate::device::disk::{put_text, system_text, Op};
use crate::device::sqlite::registered::Registered;
use crate::device::supervisor::{place, RunFolder};
use crate::device::{notify, Device, Environment, TEMPORARY_FOLDER};
use crate::error::exit;
use crate::error::printable::json;
use crate::error::{Class, Failure, Place};
use crate::report::{DatabaseReport, Identity, Outcome, RunReport};

const MARKER: Op = Op("read the marker file");
/// Bytes of a marker file or the kernel's command line: no kernel has a longer one, and a longer
/// file is no request.
const TOKEN_SOURCE_BYTES_MAX: usize = 4096;

/// Runs; the report has a sentence for each database, and what comes with it is closed once those
/// are printed.
///
/// `only` this database, and as at every boot those that go together with it.
pub fn run<'d>(
    settings: &Settings,
    environment: &Environment<'_>,
    all: &'d [Device<'d>],
    only: Option<&str>,
    request: &Request,
) -> (RunReport, Vec<PendingReport<'d>>) {
    let wanted = |device: &&Device<'_>| only.is_none_or(|only| device.settings.name == only);
    let devices: Vec<&'d Device<'d>> = all
        .iter()
        .filter(|device| all.iter().filter(wanted).any(|named| go_together(named, device)))
        .collect();
    let session = CommandSession::begin(settings, environment, &devices, all);
    if let Some(why) = skip_reason(settings) {
        let mut reports: Vec<DatabaseReport> =
            devices.iter().map(|device| skip(device, &why)).collect();
        session.ready(&mut reports);
        return (session.end(&reports), Vec::new());
    }
    let asked = asked(settings, environment, request);
    // What holds up the others of its group is tried once more with it, where an operator is there;
    // to purge them nobody asked. A word that stays would do so at each boot.
    let beside = match asked.request {
        Request::Retry | Request::PurgeAndRetry if asked.token.is_empty() => {
            BootRequest::of(Request::Retry)
        }
        _ => BootRequest::of(Request::Boot),
    };
    let members: Vec<Member<'_, 'd>> = devices
        .into_iter()
        .map(|device| (device, if wanted(&device) { &asked } else { &beside }))
        .collect();
    let (reports, pending_report) = session.boot_each(&members);
    (session.end(&reports), pending_report)
}

/// What every command that changes databases has around it: ready files, the report on /run.
pub struct CommandSession<'a> {
    environment: &'a Environment<'a>,
    folder: RunFolder<'a>,
    /// Every database of this device: a member of a group is ready when all of them are.
    all: &'a [Device<'a>],
    written_before: u64,
}

impl<'a> CommandSession<'a> {
    /// Ready files go first.
    pub fn begin(
        settings: &Settings,
        environment: &'a Environment<'a>,
        devices: &[&Device<'_>],
        all: &'a [Device<'a>],
    ) -> CommandSession<'a> {
        for warning in &settings.warnings {
            log::warn!("{warning}.");
        }
        let folder = RunFolder::new(environment.disk, &environment.root);
        // One that may not be opened keeps its whole group from being opened.
        for device in all.iter().filter(|one| devices.iter().any(|device| go_together(device, one)))
        {
            if let Err(error) = folder.remove_ready(&device.settings.name) {
                log::warn!(
                    "{}: its old ready file could not be removed: {error}.",
                    device.settings.name
                );
            }
        }
        temporary_files_beside(devices.first().copied());
        CommandSession {
            environment,
            folder,
            all,
            written_before: environment.disk.bytes_written(),
        }
    }

    /// Boots each, those that go together as one. What may be opened gets its ready file at once:
    /// its application need not wait for the others. What an operator stopped short of this
    /// firmware's version may not.
    pub fn boot_each<'d>(
        &self,
        members: &[Member<'_, 'd>],
    ) -> (Vec<DatabaseReport>, Vec<PendingReport<'d>>) {
        let (mut reports, mut pending_report) = (Vec::new(), Vec::new());
        let mut left = members.to_vec();
        self.environment.code.iter().for_each(|product| product.begin());
        while let Some((first, _)) = left.first().copied() {
            let (group, others): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(device, _)| go_together(first, device));
            left = others;
            if self.environment.code.is_some_and(Registered::stopped) {
                reports.extend(group.iter().map(|(device, _)| ended_by_hook(device)));
                continue;
            }
            for (device, _) in &group {
                device.tell(|hooks| hooks.before_database(&device.settings.name));
                // A product's code may mount its partition.
                if self.environment.code.is_some_and(Registered::has_hooks) {
                    device.disk().walk_anew(device.files.folder());
                }
            }
            let (booted, rest): (Vec<_>, Vec<_>) = boot_together(&group).into_iter().unzip();
            let mut booted: Vec<DatabaseReport> =
                booted.into_iter().map(|report| self.as_expected(report)).collect();
            self.ready(&mut booted);
            for ((device, _), report) in group.iter().zip(&booted) {
                device.tell(|hooks| hooks.after_database(&report.result()));
            }
            // A loss of one that waits is reported again by the run after which it may be opened.
            // So is one whose exit code hides that of the loss; `rollback` has one of its own.
            let hides = |report: &DatabaseReport| {
                report.data_loss
                    && report.exit != exit::DATA_LOSS.code
                    && report.outcome != Outcome::Downgraded
            };
            let told = |report: &DatabaseReport| !report.waits() && !hides(report);
            let said = rest.into_iter().zip(&booted).filter(|(_, report)| told(report));
            // What has nothing left to say is done: its lock and its files are closed here.
            pending_report
                .extend(said.filter_map(|(rest, _)| rest).filter(PendingReport::is_needed));
            reports.extend(booted);
        }
        reports.sort_by_cached_key(|report| {
            self.all.iter().position(|device| device.settings.name == report.name)
        });
        (reports, pending_report)
    }

    fn as_expected(&self, report: DatabaseReport) -> DatabaseReport {
        match self.all.iter().find(|device| device.settings.name == report.name) {
            Some(device) => report.short_of(device.catalog.target()),
            None => report,
        }
    }

    /// What may be opened gets its ready file; a member of a group of which one may not be opened
    /// waits for that one.
    pub fn ready(&self, reports: &mut [DatabaseReport]) {
        let recovered: Vec<Result<Vec<(String, i64)>, String>> =
            reports.iter().map(|report| self.group_of(report, reports)).collect();
        for (report, group) in reports.iter_mut().zip(recovered).filter(|(report, _)| report.usable)
        {
            match group {
                Err(missing) => *report = report.clone().waiting_for(&missing),
                Ok(group) => {
                    group.iter().for_each(|(name, version)| self.make_ready(name, *version))
                }
            }
        }
    }

    fn make_ready(&self, name: &str, version: i64) {
        if let Err(error) = self.folder.make_ready(name, version) {
            log::warn!("{name}: its ready file could not be made: {error}.");
        }
    }

    /// This database and whoever goes together with it, each with its version; or which of those is
    /// not there.
    fn group_of(
        &self,
        report: &DatabaseReport,
        reports: &[DatabaseReport],
    ) -> Result<Vec<(String, i64)>, String> {
        let mut group = vec![(report.name.clone(), report.version.unwrap_or(0))];
        let this = self.all.iter().find(|device| device.settings.name == report.name);
        for other in this.iter().flat_map(|this| others(this, self.all)) {
            let name = other.settings.name.clone();
            let version = match reports.iter().find(|report| report.name == name) {
                Some(report) => report.version.filter(|_| report.usable),
                None => version_there(other),
            };
            match version {
                Some(version) => group.push((name, version)),
                None => return Err(name),
            }
        }
        Ok(group)
    }

    /// The report of all of them, on /run and for the supervisor.
    pub fn end(&self, reports: &[DatabaseReport]) -> RunReport {
        let disk = self.environment.disk;
        let written = disk
            .counts_bytes_written()
            .then(|| disk.bytes_written().saturating_sub(self.written_before));
        let mut report = RunReport::of(reports, Identity::of(self.environment), written);
        report.published = publish_report(&self.folder, &report);
        notify::status(&summary(&report));
        report
    }
}

/// One that comes after a database for which the product's hook ended the run.
fn ended_by_hook(device: &Device<'_>) -> DatabaseReport {
    let failure = Failure::new(
        Class::Interrupted,
        Op("begin"),
        "the product's hook ended this run after another database had failed",
    );
    DatabaseReport::failed(device, None, &failure)
}

/// SQLite's own default may be a small or read-only /tmp. Read once, when SQLite starts; no thread
/// runs yet.
pub fn temporary_files_beside(first: Option<&Device<'_>>) {
    if let Some(first) = first {
        std::env::set_var(TEMPORARY_FOLDER, &first.state.root);
    }
}

fn publish_report(folder: &RunFolder<'_>, report: &RunReport) -> bool {
    let written = folder.write_report(&json(report));
    if let Err(error) = &written {
        log::warn!("The report could not be written to /run: {error}; the outcome stands.");
    }
    written.is_ok()
}

fn summary(report: &RunReport) -> String {
    let worst = report.databases.iter().find(|database| database.exit == report.exit);
    worst.map_or_else(String::new, |database| database.sentence.clone())
}

/// Why this run changes nothing, where it must not.
fn skip_reason(settings: &Settings) -> Option<String> {
    let value = std::env::var("RUN_MIGRATIONS").ok();
    if skips(value.as_deref()) {
        return Some(format!("RUN_MIGRATIONS={} skips this run", value.unwrap_or_default()));
    }
    settings.observe.then(|| "mode = \"observe\" changes nothing".to_owned())
}

fn skip(device: &Device<'_>, why: &str) -> DatabaseReport {
    match look(device, Request::Boot) {
        Ok((facts, plan)) => {
            DatabaseReport::skipped(device, &facts, &plan, why, pending_exit(device, &plan))
        }
        Err(failure) => DatabaseReport::failed(device, None, &failure),
    }
}

/// An operator's word counts; else a token on the kernel's command line, or in the marker file.
fn asked(settings: &Settings, environment: &Environment<'_>, request: &Request) -> BootRequest {
    if *request != Request::Boot {
        return BootRequest::of(request.clone());
    }
    let (kernel_words, marker) = words(settings, environment);
    asked_by(&kernel_words, &marker)
}

/// The tokens of whoever asks for something now.
pub fn present_tokens(settings: &Settings, environment: &Environment<'_>) -> Vec<String> {
    let (kernel_words, marker) = words(settings, environment);
    asked_by(&kernel_words, &marker).tokens()
}

/// The kernel's command line, and the marker file's text.
fn words(settings: &Settings, environment: &Environment<'_>) -> (String, String) {
    let at = |path: &Path| place(&environment.root, path);
    let read = |path: &Path| put_text(environment.disk, MARKER, &at(path), TOKEN_SOURCE_BYTES_MAX);
    let marker = settings.marker.as_deref().map(read).unwrap_or_default();
    (system_text(environment.disk, &at(Path::new("/proc/cmdline")), TOKEN_SOURCE_BYTES_MAX), marker)
}

/// Words that count: a record knows some more tokens than these, and forgets none of them while it
/// stays.
const WORDS_MAX: usize = 3;

/// What the kernel's command line asks for, and then what the marker file's text does: the next
/// where the one before was handled.
pub fn asked_by(kernel_words: &str, marker: &str) -> BootRequest {
    let by_kernel = kernel_words.split_whitespace().filter_map(|word| match word.split_once('=') {
        Some((_, "")) => None,
        Some(("bootmigrate.purge-and-retry", token)) => Some((Request::PurgeAndRetry, token)),
        Some(("bootmigrate.retry", token)) => Some((Request::Retry, token)),
        _ => None,
    });
    let by_marker = Some(marker.trim()).filter(|token| !token.is_empty());
    let mut all: Vec<BootRequest> = by_kernel
        .take(WORDS_MAX)
        .chain(by_marker.map(|token| (Request::PurgeAndRetry, token)))
        .map(|(request, token)| with(request, token))
        .collect();
    let mut asked = None;
    while let Some(one) = all.pop() {
        asked = Some(BootRequest { next: asked.map(Box::new), ..one });
    }
    asked.unwrap_or_else(|| BootRequest::of(Request::Boot))
}

fn with(request: Request, token: &str) -> BootRequest {
    let kept = clip(token, TOKEN_BYTES_MAX);
    if kept.len() < token.len() {
        log::warn!(
            "The request is longer than {TOKEN_BYTES_MAX} bytes: one that begins alike counts as \
             the same."
        );
    }
    BootRequest { token: kept.to_owned(), ..BootRequest::of(request) }
}

/// Prints, and only then counts a loss as reported: where neither standard error nor the report on
/// /run took it, the next run does it.
pub fn said(
    report: &RunReport,
    command: &Command,
    pending_report: Vec<PendingReport<'_>>,
) -> Printed {
    let (exit, told) = printed(report, command.json, command.verbosity == Verbosity::Quiet).write();
    if told || report.published {
        pending_report.into_iter().for_each(PendingReport::delivered);
    }
    Printed::outcome(Lines::default(), Lines::default(), exit)
}

/// The sentences, each with its details below.
pub fn printed(report: &RunReport, json: bool, quiet: bool) -> Printed {
    let json = if json { Lines::json(report) } else { Lines::default() };
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let mut sentences = Lines::default();
    for database in report.databases.iter().filter(|database| !quiet || !database.usable) {
        let priority = match (database.usable, database.data_loss) {
            (true, false) => 6,
            (true, true) => 4,
            (false, _) => 3,
        };
        for line in lines(database) {
            let prefix = if journal { format!("<{priority}>") } else { String::new() };
            sentences.line(&format!("{prefix}{line}"));
        }
    }
    Printed::outcome(json, sentences, report.exit)
}

/// One sentence; below it the line of SQL with a caret, and rows or processes.
pub fn lines(database: &DatabaseReport) -> Vec<String> {
    let mut lines = vec![database.sentence.clone()];
    lines.extend(database.place.iter().flat_map(line_of));
    lines.extend(database.details.iter().map(|detail| format!("  {detail}")));
    lines.extend(database.notes.iter().map(|note| format!("  note: {note}")));
    lines
}

/// The line of SQL, and a caret below its column.
pub fn line_of(place: &Place) -> Vec<String> {
    if place.text.trim().is_empty() {
        return Vec::new();
    }
    let caret = " ".repeat(place.caret.saturating_sub(1) as usize);
    vec![format!("  {:>5} | {}", place.line, place.text), format!("        | {caret}^")]
}

/// What SQLite's own variable for temporary files was before a run set it.
pub fn temporary_folder() -> Option<OsString> {
    std::env::var_os(TEMPORARY_FOLDER)
}

/// Becomes the program, with the folder for temporary files and the limit of open files that were
/// meant for it; returns only when that failed.
pub fn become_program(
    program: &[OsString],
    temporary_folder: Option<OsString>,
    limit: Option<Rlimit>,
) -> String {
    use std::os::unix::process::CommandExt;
    let Some((name, arguments)) = program.split_first() else {
        return "no program was named".into();
    };
    let mut command = std::process::Command::new(name);
    limit.into_iter().for_each(descriptors::give_back);
    match temporary_folder {
        Some(folder) => command.env(TEMPORARY_FOLDER, folder),
        None => command.env_remove(TEMPORARY_FOLDER),
    };
    let error = command.args(arguments).exec();
    format!("{} cannot be started: {error}", name.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_or_a_marker_asks_with_what_the_record_keeps_of_its_token() {
        let long = "t".repeat(TOKEN_BYTES_MAX + 6);
        let cut = "t".repeat(TOKEN_BYTES_MAX);
        for (words, marker, request, token) in [
            ("quiet", "", Request::Boot, ""),
            ("quiet bootmigrate.retry=7 panic=5", "8", Request::Retry, "7"),
            ("bootmigrate.purge-and-retry=7", "", Request::PurgeAndRetry, "7"),
            ("bootmigrate.retry=", " 8\n", Request::PurgeAndRetry, "8"),
            (&format!("bootmigrate.retry={long}"), "", Request::Retry, &cut),
            ("", &long, Request::PurgeAndRetry, &cut),
        ] {
            let asked = asked_by(words, marker);
            assert_eq!(
                (asked.request, asked.token.as_str()),
                (request, token),
                "{words} and {marker}"
            );
        }
    }

    #[test]
    fn as_many_words_as_count_hide_no_marker() {
        let words: Vec<String> =
            (0..=WORDS_MAX).map(|word| format!("bootmigrate.retry={word}")).collect();
        let asked = asked_by(&words.join(" "), "marker");
        let tokens = std::iter::successors(Some(&asked), |asked| asked.next.as_deref())
            .map(|asked| asked.token.as_str());
        assert_eq!(tokens.collect::<Vec<_>>(), ["0", "1", "2", "marker"]);
    }
}
