//! Owns the search for one bug: what `scripts/test --long` runs, in an order that finds most bugs
//! early, until the first bad state.
//! Promises: nothing of the slice is left out before a bug counts as survived.
//! Never looks at the bug itself.

use std::path::Path;
use std::process::Output;

use super::mutant_set::{bounded, timed_out, MutantSet};
use super::Hints;
use crate::scenarios::ALL;
use crate::sim::lying::Flaw;
use crate::tally::Tally;

/// Failing calls, until the first scenario that is bad.
const FAULTS: [&str; 5] = ["faults", "--json", "--stop", "--calls", "11"];
/// The same where a head names the scenario: `scripts/test --long` lets every call of that one
/// fail.
const EVERY_CALL: [&str; 5] = ["faults", "--json", "--stop", "--calls", "1"];
/// Exit code of a command line that the lab does not know.
const USAGE: i32 = 2;
/// Characters of a panic that a line shows.
const SHOWN_CHARS_MAX: usize = 60;

/// How a bug was caught.
#[derive(Debug, Clone)]
pub struct Caught {
    /// The rule that did not hold.
    pub rule: String,
    /// The command and the scenario, or the test.
    pub by: String,
    /// States and failing runs judged until then; 0 for a test.
    pub states: u64,
}

/// The program with the bug in it, and the slice.
pub struct Search<'a> {
    /// The lab.
    pub program: &'a Path,
    /// Distinct states of each scenario.
    pub states: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// What the storage lies about.
    pub flaw: Option<Flaw>,
    /// For tests.
    pub set: Option<&'a MutantSet>,
}

/// What a sweep over damaged files has found. One that hangs in a case ends itself; one that only
/// takes too long has judged nothing.
fn files_of(output: &Output, by: String, before: &mut u64) -> Result<Option<Caught>, String> {
    if timed_out(output) || output.status.code() == Some(USAGE) {
        let why = if timed_out(output) {
            "it did not end in time"
        } else {
            "the lab does not know this command line"
        };
        return Err(format!("{by}: {why}"));
    }
    let Ok(tally) = serde_json::from_slice::<Tally>(&output.stdout) else {
        return Ok(Some(Caught { rule: "no panic".into(), by, states: *before }));
    };
    Ok(caught(&tally, by, before))
}

/// What a tally has found, and how much was judged until then.
fn caught(tally: &Tally, by: String, before: &mut u64) -> Option<Caught> {
    *before += tally.first_bad_after.unwrap_or(tally.judged);
    let rule = tally.findings.first().map_or("a rule", |finding| &finding.rule).to_owned();
    (tally.bad > 0).then_some(Caught { rule, by, states: *before })
}

impl Search<'_> {
    /// Where the hints point, then every scenario: with the outcomes that are not random, with
    /// failing calls, with all states.
    pub fn everywhere(&self, hints: &Hints) -> Result<Option<Caught>, String> {
        let mut before = 0;
        for name in &hints.tests {
            let set = self.set.ok_or("a storage that lies has no test")?;
            if let Some(rule) = set.test(name)? {
                return Ok(Some(Caught { rule, by: format!("test {name}"), states: 0 }));
            }
        }
        let all = || ALL.iter().map(|(name, _)| *name);
        if let Some(count) = hints.files {
            if let Some(caught) = self.files(count, &mut before)? {
                return Ok(Some(caught));
            }
        }
        for name in &hints.scenarios {
            if let Some(caught) = self.cuts(name, self.states, &mut before)? {
                return Ok(Some(caught));
            }
        }
        for (command, name) in &hints.others {
            let alone = [command.as_str(), "--json"];
            let words = if command == EVERY_CALL[0] { &EVERY_CALL[..] } else { &alone[..] };
            if let Some(caught) = self.command(words, name, &mut before)? {
                return Ok(Some(caught));
            }
        }
        for name in all() {
            if let Some(caught) = self.cuts(name, 1, &mut before)? {
                return Ok(Some(caught));
            }
        }
        for name in all() {
            if let Some(caught) = self.command(&FAULTS, name, &mut before)? {
                return Ok(Some(caught));
            }
        }
        for name in all() {
            if let Some(caught) = self.cuts(name, self.states, &mut before)? {
                return Ok(Some(caught));
            }
        }
        Ok(None)
    }

    /// Every scenario with the outcomes that are not random.
    pub fn plain(&self) -> Result<Option<Caught>, String> {
        let mut before = 0;
        for (name, _) in ALL {
            if let Some(caught) = self.cuts(name, 1, &mut before)? {
                return Ok(Some(caught));
            }
        }
        Ok(None)
    }

    /// Damaged files in every situation.
    fn files(&self, count: u64, before: &mut u64) -> Result<Option<Caught>, String> {
        let numbers = [count.to_string(), self.seed.to_string()];
        let mut command = bounded(self.program);
        command.args([
            "corrupt-files",
            "--count",
            &numbers[0],
            "--seed",
            &numbers[1],
            "--workers",
            "1",
            "--worker",
            "0",
        ]);
        let output = command.output().map_err(|error| error.to_string())?;
        files_of(&output, format!("corrupt-files {count}"), before)
    }

    fn cuts(
        &self,
        scenario: &str,
        states: u64,
        before: &mut u64,
    ) -> Result<Option<Caught>, String> {
        let numbers = [states.to_string(), self.seed.to_string()];
        let arguments = [
            "power-cuts",
            "--json",
            "--stop",
            "--workers",
            "1",
            "--states",
            &numbers[0],
            "--seed",
            &numbers[1],
        ];
        self.command(&arguments, scenario, before)
    }

    /// One command on one scenario, until its first bad state.
    fn command(
        &self,
        arguments: &[&str],
        scenario: &str,
        before: &mut u64,
    ) -> Result<Option<Caught>, String> {
        let mut command = bounded(self.program);
        command.args(arguments).args(["--scenario", scenario]);
        if let Some(flaw) = self.flaw {
            command.args(["--flaw", flaw.name()]);
        }
        let output = command.output().map_err(|error| error.to_string())?;
        let by = format!("{} {scenario}", arguments[0]);
        let words = String::from_utf8_lossy(&output.stderr);
        let said = words
            .lines()
            .find(|line| !line.trim().is_empty() && !line.starts_with("thread"))
            .unwrap_or("it died")
            .trim();
        if timed_out(&output) {
            return Ok(Some(Caught { rule: "every boot ends".into(), by, states: *before }));
        }
        if output.status.code() == Some(USAGE) {
            return Err(format!("{by}: {said}"));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(tally) = text.lines().find_map(|line| serde_json::from_str::<Tally>(line).ok())
        else {
            // A scenario whose situation cannot even be made: an older firmware's boot or the judge
            // has stopped.
            let said: String = said.chars().take(SHOWN_CHARS_MAX).collect();
            return Ok(Some(Caught {
                rule: format!("the situation can be made: {said}"),
                by,
                states: *before,
            }));
        };
        Ok(caught(&tally, by, before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Bad;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    /// What a sweep that ended so is taken for: the rule, nothing, or an error of the judge.
    fn found(code: i32, stdout: &str) -> Result<Option<String>, String> {
        let status = ExitStatus::from_raw(code << 8);
        let output = Output { status, stdout: stdout.as_bytes().to_vec(), stderr: Vec::new() };
        files_of(&output, "corrupt-files 7".into(), &mut 0)
            .map(|caught| caught.map(|caught| caught.rule))
    }

    #[test]
    fn only_a_bad_file_or_a_death_catches_a_bug() {
        let well = Tally { judged: 7, ..Tally::default() };
        let mut bad = well.clone();
        bad.note("1/2", Bad { rule: "no silent loss", what: String::new() });
        let json = |tally: &Tally| serde_json::to_string(tally).unwrap();
        assert_eq!(found(0, &json(&well)), Ok(None));
        assert_eq!(found(1, &json(&bad)), Ok(Some("no silent loss".into())));
        bad.findings.clear();
        assert_eq!(found(1, &json(&bad)), Ok(Some("a rule".into())));
        assert_eq!(found(134, ""), Ok(Some("no panic".into())));
        assert_eq!(
            found(USAGE, ""),
            Err("corrupt-files 7: the lab does not know this command line".into())
        );
        assert_eq!(found(124, ""), Err("corrupt-files 7: it did not end in time".into()));
    }
}
