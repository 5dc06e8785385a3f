//! Owns [`Error`]: why a call of the library could not do what it is for.
//! Promises: each variant has the exit code that the command line has for it; the sentence is the
//! command line's.
//! Never stands for a boot that went wrong: that is a [`RunReport`](crate::RunReport).

use std::fmt;

use crate::commands;
use crate::device::sqlite::application::Problem;
use crate::error::Place;

/// Why a call could not be carried out. A migration that fails on a device is no error of the call:
/// [`RunReport`](crate::RunReport) says it.
///
/// ```
/// use bootmigrate::{Error, Migrator};
///
/// let root = tempfile::tempdir()?;
/// let migrator = Migrator::new(bootmigrate::embedded!()).root(root.path());
/// let error = migrator.open("settings").unwrap_err();
/// assert!(matches!(error, Error::NotReady { .. }));
/// assert_eq!(error.exit_code(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The configuration, or what was asked for, cannot be carried out; nothing was touched.
    Configuration {
        /// What is wrong and what to write.
        sentence: String,
        /// Where in the file.
        place: Option<Place>,
    },
    /// The product's migrations do not run on an empty database, or leave one that an application
    /// could not use.
    Migrations {
        /// Every problem, each with file, line and column where it has them.
        problems: Vec<String>,
        /// Where the first of them is.
        place: Option<Place>,
    },
    /// The database may not be opened now.
    NotReady {
        /// Its name.
        database: String,
        /// Why.
        why: String,
    },
    /// SQLite or the system refused something.
    System {
        /// In their words.
        sentence: String,
    },
}

impl Error {
    /// The exit code that the command line has for it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Configuration { .. } => 2,
            Error::NotReady { .. } => 3,
            Error::Migrations { .. } => 10,
            Error::System { .. } => 15,
        }
    }

    /// The file and line to look at, where there is one.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Error::Configuration { place, .. } | Error::Migrations { place, .. } => place.as_ref(),
            Error::NotReady { .. } | Error::System { .. } => None,
        }
    }

    pub(super) fn configuration(sentence: impl Into<String>) -> Error {
        Error::Configuration { sentence: sentence.into(), place: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Configuration { sentence, .. } | Error::System { sentence } => {
                f.write_str(sentence)
            }
            Error::Migrations { problems, .. } => f.write_str(&problems.join("\n")),
            Error::NotReady { database, why } => write!(f, "{database} is not ready: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Vec<Problem>> for Error {
    fn from(problems: Vec<Problem>) -> Error {
        let place = problems.iter().find_map(|problem| problem.place.clone());
        Error::Migrations {
            problems: problems.into_iter().map(|problem| problem.text).collect(),
            place,
        }
    }
}

impl From<commands::Mistake> for Error {
    fn from(mistake: commands::Mistake) -> Error {
        let place = mistake.at.map(|(file, line, column)| Place {
            file,
            version: 0,
            line,
            column,
            text: String::new(),
            caret: column,
            statement: 0,
            statements: 0,
        });
        Error::Configuration { sentence: mistake.sentence, place }
    }
}
