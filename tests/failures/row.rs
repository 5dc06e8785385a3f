//! Owns one row's observation: exit, sentence, database and changed names of a real run, beside
//! docs/failures.md.
//! Promises: what does not fit the document fails the test at once; a row that was seen whole
//! leaves a file for the table.
//! Never writes that file with another program in the binary's place.

use crate::device::{Expectations, TestDevice};
use crate::oracle::{self, Entry};
use crate::program::{self, RunResult};
use crate::strace::{self, calls, Call};
use crate::table::{self, Line};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// A row that is being observed.
pub struct Row {
    number: usize,
    wanted: Vec<Line>,
    seen: Vec<Line>,
}

/// A device before a run.
pub struct Before {
    names: BTreeMap<String, Entry>,
    expected: Expectations,
}

impl Before {
    /// Looks at the device; run what is to be seen after this.
    pub fn of(device: &TestDevice) -> Before {
        Before {
            names: oracle::folder(&device.root()),
            expected: device.expectations(&device.databases[0]),
        }
    }

    /// The rows expected are those of an earlier look.
    pub fn again(self, device: &TestDevice) -> Before {
        Before { names: oracle::folder(&device.root()), ..self }
    }

    /// `new` is this content.
    pub fn towards(self, new: oracle::Content) -> Before {
        Before { expected: Expectations { new: Some(new), ..self.expected }, ..self }
    }

    /// The names compared are those of an earlier look.
    pub fn with_names_of(self, other: Before) -> Before {
        Before { names: other.names, ..self }
    }
}

/// The row of the document with this number.
pub fn row(number: usize) -> Row {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/failures.md");
    let rows =
        table::read(&fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{error}"));
    let row = rows
        .into_iter()
        .find(|row| row.number == number)
        .unwrap_or_else(|| panic!("docs/failures.md has no row {number}"));
    Row {
        number,
        wanted: row.lines.into_iter().filter(|line| !line.is_not_yet()).collect(),
        seen: Vec::new(),
    }
}

impl Row {
    /// One boot, which is the next line of the row.
    #[track_caller]
    pub fn boot(&mut self, device: &TestDevice) -> RunResult {
        self.run(device, &["run"])
    }

    /// One run, which is the next line of the row.
    #[track_caller]
    pub fn run(&mut self, device: &TestDevice, arguments: &[&str]) -> RunResult {
        let before = Before::of(device);
        let ran = device.run(arguments);
        self.saw(device, before, "", &ran);
        ran
    }

    /// The power goes at this call of a boot; the next boot is the next line of the row.
    #[track_caller]
    pub fn cut(&mut self, device: &TestDevice, choose: impl Fn(&[Call]) -> &Call) -> RunResult {
        self.cut_run(device, &["run"], choose)
    }

    /// As [`Row::cut`], for another run than a boot.
    #[track_caller]
    pub fn cut_run(
        &mut self,
        device: &TestDevice,
        arguments: &[&str],
        choose: impl Fn(&[Call]) -> &Call,
    ) -> RunResult {
        let before = Before::of(device);
        cut_at(device, arguments, choose);
        let before = before.again(device);
        let ran = device.run(&["run"]);
        self.saw(device, before, "cut, then ", &ran);
        ran
    }

    /// What was seen is the next line of the row.
    #[track_caller]
    pub fn saw(&mut self, device: &TestDevice, before: Before, how: &str, ran: &RunResult) {
        let seen = Line {
            exit: format!("{how}{}", ran.exit),
            said: tidy(device, &ran.stderr),
            database: which(&before.expected, device),
            changed: changed(device, &before.names),
        };
        let number = self.number;
        let Some(wanted) = self.wanted.get(self.seen.len()) else {
            panic!("row {number} has no line for {seen:#?}")
        };
        assert!(
            wanted.fits(&seen),
            "row {number}: the document says {wanted:#?}, seen was {seen:#?}"
        );
        self.seen.push(seen);
    }

    /// Every line of the row was seen: it is kept for the table.
    #[track_caller]
    pub fn whole(self) {
        assert_eq!(
            self.seen.len(),
            self.wanted.len(),
            "row {}: lines of the document that nothing has observed",
            self.number
        );
        if std::env::var_os("BOOTMIGRATE_UNDER_TEST").is_some() {
            return;
        }
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("failures");
        fs::create_dir_all(&folder).unwrap();
        let text: String = self.seen.iter().map(table::write_line).collect();
        let unfinished = folder.join(format!("{}.tmp", self.number));
        fs::write(&unfinished, text).unwrap();
        fs::rename(unfinished, folder.join(self.number.to_string())).unwrap();
    }
}

/// A device of its own that is as this one is.
pub fn duplicate(device: &TestDevice) -> TestDevice {
    device.duplicate()
}

/// Runs the program and kills it as it enters the chosen call, counted on a duplicate.
#[track_caller]
pub fn cut_at(device: &TestDevice, arguments: &[&str], choose: impl Fn(&[Call]) -> &Call) {
    let (all, ran) = calls(&duplicate(device), arguments);
    assert!(
        all.len() >= 5,
        "only {} write-like calls: exit {} {}",
        all.len(),
        ran.exit,
        ran.stderr
    );
    cut_at_call(device, arguments, choose(&all));
}

/// Runs the program and kills it as it enters this call; the call does not happen.
#[track_caller]
pub fn cut_at_call(device: &TestDevice, arguments: &[&str], call: &Call) {
    let log = device.folder().join("cut.log");
    let inject = format!("{}:signal=SIGKILL:when={}", call.name, call.nth);
    let ran =
        program::finish(device.command(&strace::words(device, arguments, &log, Some(inject))));
    assert_eq!(ran.exit, "signal 9", "not killed at {call:?}: {}", ran.stderr);
}

/// The first call of this name with these words in its line.
#[track_caller]
pub fn first<'a>(all: &'a [Call], name: &str, words: &[&str]) -> &'a Call {
    &all[position(all, name, words)]
}

/// The call after the first of this name with these words in its line.
#[track_caller]
pub fn after<'a>(all: &'a [Call], name: &str, words: &[&str]) -> &'a Call {
    &all[position(all, name, words) + 1]
}

#[track_caller]
fn position(all: &[Call], name: &str, words: &[&str]) -> usize {
    let fits = |call: &Call| {
        call.name.starts_with(name) && words.iter().all(|word| call.line.contains(word))
    };
    let lines = || all.iter().map(|call| call.line.as_str()).collect::<Vec<_>>().join("\n");
    all.iter()
        .position(fits)
        .unwrap_or_else(|| panic!("no {name} with {words:?} among\n{}", lines()))
}

/// A sentence without what differs from machine to machine, in one line.
fn tidy(device: &TestDevice, text: &str) -> String {
    let text =
        text.replace(&*device.root().to_string_lossy(), "ROOT").trim_end().replace('\n', " / ");
    match device.application.as_ref().map(|application| application.id().to_string()) {
        Some(id) => text.replace(&id, "PID"),
        None => text,
    }
}

/// Which of the contents that the database may have it has.
fn which(expected: &Expectations, device: &TestDevice) -> String {
    let now = match oracle::content(&device.main()) {
        Ok(now) => now,
        Err(error) => return error.split(' ').next().unwrap().into(),
    };
    let same = |other: &Option<oracle::Content>| other.as_ref() == Some(&now);
    match (same(&expected.old), same(&expected.new), same(&expected.fresh)) {
        (true, ..) => "old",
        (_, true, _) => "new",
        (_, _, true) => "fresh",
        _ => "other",
    }
    .into()
}

/// The names that differ: files beside the database by their name, those of the state folder by
/// their place in it.
fn changed(device: &TestDevice, before: &BTreeMap<String, Entry>) -> String {
    let after = oracle::folder(&device.root());
    let mut names = BTreeSet::new();
    for name in
        before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name))
    {
        let existed = before.contains_key(name) && after.contains_key(name);
        // A folder's own times, and the lock's, change with what is done in it.
        if existed && (device.root().join(name).is_dir() || name.ends_with("/lock")) {
            continue;
        }
        let short = match name
            .rsplit_once("/settings.db/")
            .filter(|(above, _)| above.ends_with(".bootmigrate"))
        {
            Some((_, inside)) => inside.to_string(),
            None => name.rsplit('/').next().unwrap().to_string(),
        };
        let operation = |path: &str| path.split('/').take(2).collect::<Vec<_>>().join("/");
        let short = if short.starts_with("quarantine/") { operation(&short) } else { short };
        if [".bootmigrate", "settings.db", "snapshots", "quarantine"].contains(&short.as_str())
            && device.root().join(name).is_dir()
        {
            continue;
        }
        names.insert(if after.contains_key(name) { short } else { format!("{short} gone") });
    }
    if names.is_empty() {
        "nothing".into()
    } else {
        names.into_iter().collect::<Vec<_>>().join(", ")
    }
}
