//! Owns what a command prints: lines for an operator, JSON for a program, and what becomes of them
//! where nobody takes them.
//! Promises: the one way to standard output and standard error, and each line on it is printable,
//! whatever a name in it holds.
//! Never changes the outcome of what was done: only a command that is nothing but its answer fails
//! with it.

use serde::Serialize;

use crate::device::output::{to_stderr, to_stdout};
use crate::error::called::program;
use crate::error::printable::{json, printable};
use crate::error::Class;

/// Text, a line at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines(String);

impl Lines {
    /// One line.
    pub fn of(line: &str) -> Lines {
        std::iter::once(line).collect()
    }

    /// A document.
    pub fn json(value: &impl Serialize) -> Lines {
        Lines::verbatim(&json(value))
    }

    /// What this binary itself carries, as it is: help, and the SQL of its migrations.
    pub fn verbatim(text: &str) -> Lines {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        Lines(format!("{text}{end}"))
    }

    /// One more line.
    pub fn line(&mut self, line: &str) {
        self.0.push_str(&printable(line));
        self.0.push('\n');
    }

    /// More of them.
    pub fn extend(&mut self, more: &Lines) {
        self.0.push_str(&more.0);
    }

    /// All of them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: AsRef<str>> FromIterator<S> for Lines {
    fn from_iter<I: IntoIterator<Item = S>>(lines: I) -> Lines {
        let mut text = Lines::default();
        lines.into_iter().for_each(|line| text.line(line.as_ref()));
        text
    }
}

/// What a command prints, and its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// For standard output: what was asked for.
    pub text: Lines,
    /// For standard error: what happened, for the console and the journal, in order with the log.
    pub sentences: Lines,
    /// The exit code.
    pub exit: u8,
    /// The answer is all that the command is for.
    pub must_arrive: bool,
}

impl Printed {
    /// An answer, which fails where it cannot be delivered.
    pub fn answer(text: Lines, exit: u8) -> Printed {
        Printed { text, sentences: Lines::default(), exit, must_arrive: true }
    }

    /// What was done; it stands whether or not anybody can be told.
    pub fn outcome(text: Lines, sentences: Lines, exit: u8) -> Printed {
        Printed { text, sentences, exit, must_arrive: false }
    }

    /// Writes both. The exit code, and whether the sentences arrived.
    pub fn write(&self) -> (u8, bool) {
        crate::device::progress::end();
        let told = to_stderr(self.sentences.as_str()).is_ok();
        let Err(error) = to_stdout(self.text.as_str()) else { return (self.exit, told) };
        let why = format!("standard output took no answer: {error}");
        let (exit, words) = match (self.must_arrive, self.exit) {
            (false, exit) => (exit, format!("{}: {why}; what was done stands.", program())),
            (true, 0) => {
                let exit = Class::Storage.exit().code;
                (exit, format!("{}: {why}. [BM-{exit}]", program()))
            }
            (true, exit) => (exit, format!("{}: {why}. [BM-{exit}]", program())),
        };
        let _ = to_stderr(Lines::of(&words).as_str());
        (exit, told)
    }
}
