//! Owns the shape of what is said about a product's folder: file, line, column, one sentence.
//! Promises: the same folder gives the same problems in the same order, wherever it lies.
//! Never decides what is a problem.

use std::fmt;

use crate::config::ConfigError;

/// One thing that is wrong, or worth knowing, in the migrations folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// For example `migrations/settings/V4__wifi.sql`: begins with the folder's own name, never
    /// absolute.
    pub file: String,
    /// From 1; 0 where the whole file or folder is meant.
    pub line: u32,
    /// In characters, from 1; 0 where the whole file or folder is meant.
    pub column: u32,
    /// What is wrong and what to write instead.
    pub sentence: String,
}

impl Problem {
    /// About one place in a file.
    pub(crate) fn at(file: &str, line: u32, column: u32, sentence: impl Into<String>) -> Problem {
        Problem { file: file.to_owned(), line, column, sentence: sentence.into() }
    }

    /// About a file or folder as a whole.
    pub(crate) fn whole(file: &str, sentence: impl Into<String>) -> Problem {
        Problem::at(file, 0, 0, sentence)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, sentence) = (on_one_line(&self.file), on_one_line(&self.sentence));
        if self.line == 0 {
            write!(f, "{file}: {sentence}")
        } else {
            write!(f, "{file}:{}:{}: {sentence}", self.line, self.column)
        }
    }
}

impl std::error::Error for Problem {}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Problem {
        Problem {
            file: error.file,
            line: error.line,
            column: error.column,
            sentence: error.sentence,
        }
    }
}

/// A name or a piece of SQL in it may hold line ends and control characters.
fn on_one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}
