//! Owns [`Failure`]: which op, on what, because of whom; and its [`Class`], the only thing
//! decisions look at.
//! Promises: the class is a whitelist (docs/design.md, "The fallbacks"); what is not proven stops
//! and touches nothing.
//! Never repeats its source in its own text; never printed but by the report.

pub mod called;
pub mod exit;
pub mod kind;
pub mod printable;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use exit::Exit;
use kind::{Untrusted, WrongKind};

/// The name of one place in the protocol where something durable changes. A test breaks exactly one
/// place by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Op(pub &'static str);

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a failure means for the fallbacks and for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The migration's own statements, foreign keys or `expect` queries failed. Counted; may lead
    /// to a fallback. Exit 10.
    Failed,
    /// SQLite says that the file is corrupt. Proven only when seen twice over a fresh, locked
    /// connection. Exit 17.
    Damaged,
    /// Somebody has the database open. Exit 13.
    InUse,
    /// Not enough space. Exit 14.
    NoSpace,
    /// Read-only, an I/O error, no memory, or anything else that the storage or the system did.
    /// Exit 15.
    Storage,
    /// A path, link or file that is not ours to touch. Exit 16.
    NotOurs,
    /// A mount or folder is missing. Exit 18.
    Missing,
    /// Written by a firmware or an SQLite that is newer than this one. Exit 12.
    Newer,
    /// The catalogue does not fit the database. Exit 21.
    Catalogue,
    /// Nothing is wrong with it: it goes together with another that is not ready. Exit 3.
    Waits,
    /// Asked to stop. Exit 20.
    Interrupted,
    /// The configuration cannot be carried out on this device. Exit 2.
    Configuration,
    /// A defect of ours. Exit 1.
    Defect,
}

/// Every class.
const CLASSES: [Class; 13] = [
    Class::Failed,
    Class::Damaged,
    Class::InUse,
    Class::NoSpace,
    Class::Storage,
    Class::NotOurs,
    Class::Missing,
    Class::Newer,
    Class::Catalogue,
    Class::Waits,
    Class::Interrupted,
    Class::Configuration,
    Class::Defect,
];

impl Class {
    /// The class of a word; `None` for one of newer firmware.
    pub fn of(word: &str) -> Option<Class> {
        CLASSES.into_iter().find(|class| class.word() == word)
    }

    /// The one word for it in reports, frozen.
    pub fn word(self) -> &'static str {
        self.exit().word
    }

    /// The exit code that a run ends with.
    pub fn exit(self) -> Exit {
        match self {
            Class::Failed => exit::FAILED,
            Class::Damaged => exit::DAMAGED,
            Class::InUse => exit::IN_USE,
            Class::NoSpace => exit::NO_SPACE,
            Class::Storage => exit::STORAGE,
            Class::NotOurs => exit::NOT_OURS,
            Class::Missing => exit::MISSING,
            Class::Newer => exit::NEWER,
            Class::Catalogue => exit::CATALOGUE,
            Class::Waits => exit::PENDING,
            Class::Interrupted => exit::INTERRUPTED,
            Class::Configuration => exit::CONFIGURATION,
            Class::Defect => exit::DEFECT,
        }
    }
}

/// What a file system had too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Bytes: it shows fewer free than the op may have needed.
    Bytes,
    /// Inodes: no further file can be made.
    Inodes,
    /// A quota of the user, the group or the project is used up.
    Quota,
}

/// Where in a migration's text, or in the configuration, something happened. Line and column count
/// from 1, the column in characters.
///
/// ```
/// fn for_an_editor(place: &bootmigrate::Place) -> String {
///     format!("{}:{}:{}", place.file, place.line, place.column)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// The migration's file, for example `settings/V41__wifi.sql`.
    pub file: String,
    /// Its version; 0 in the configuration.
    pub version: i64,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// The text of that line, shortened around the column.
    pub text: String,
    /// The column's place in [`Place::text`], in characters, from 1.
    pub caret: u32,
    /// This statement's number in the file, from 1; 0 where no statement is meant.
    pub statement: u32,
    /// How many statements the file has; 0 where that is not known.
    pub statements: u32,
}

/// One thing that went wrong, in words that a technician can read.
#[derive(Debug)]
pub struct Failure {
    /// What it means.
    pub class: Class,
    /// The place in the protocol.
    pub op: Op,
    /// The file or folder.
    pub path: Option<PathBuf>,
    /// One clause, no final dot.
    pub cause: String,
    /// Where in a migration.
    pub place: Option<Place>,
    /// COMMIT failed, and the database reads as this version all the same: only the next boot knows
    /// what storage has kept.
    pub unconfirmed: Option<i64>,
    /// A ready file is left, whoever stands in its way: the next boot goes on with it.
    pub ready_left: bool,
    /// Rows or names that belong to the cause, one a line (foreign keys, holders).
    pub details: Vec<String>,
    /// For [`Class::NoSpace`]: bytes that must be free before it is worth another try.
    pub bytes_needed: Option<u64>,
    /// For [`Class::NoSpace`]: what there was too little of, where that is known.
    pub lack: Option<Lack>,
    /// Bytes that the file could have at most, where a migration has set such a limit (`PRAGMA
    /// max_page_count`).
    pub size_limit: Option<u64>,
    /// SQLite's extended code, where SQLite said it.
    pub sqlite_code: Option<i32>,
}

impl Failure {
    /// A failure of this class in this op.
    pub fn new(class: Class, op: Op, cause: impl Into<String>) -> Failure {
        Failure {
            class,
            op,
            path: None,
            cause: cause.into(),
            place: None,
            unconfirmed: None,
            ready_left: false,
            details: Vec::new(),
            bytes_needed: None,
            lack: None,
            size_limit: None,
            sqlite_code: None,
        }
    }

    /// A stop signal came, and this op ended for it.
    pub fn stopped(op: Op) -> Failure {
        Failure::new(Class::Interrupted, op, "a stop signal came")
    }

    /// What an operation on one of our own files said: full is [`Class::NoSpace`], a file in a
    /// folder's place [`Class::Missing`], anything but a file in a file's place or what somebody
    /// else has put there [`Class::NotOurs`], everything else [`Class::Storage`].
    pub fn io(op: Op, path: &Path, error: &io::Error) -> Failure {
        if let Some(wrong) = WrongKind::of(error) {
            let class = if wrong.wants_folder() { Class::Missing } else { Class::NotOurs };
            return Failure::new(class, op, wrong.to_string()).at(&wrong.path);
        }
        if let Some(untrusted) = Untrusted::of(error) {
            return Failure::new(Class::NotOurs, op, untrusted.to_string()).at(&untrusted.path);
        }
        let class = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Class::NoSpace,
            // Something else stands where a folder has to be.
            io::ErrorKind::NotADirectory => Class::Missing,
            io::ErrorKind::IsADirectory => Class::NotOurs,
            // Somebody holds a lease on a file that is opened.
            io::ErrorKind::WouldBlock => Class::InUse,
            // Every call goes on after a signal; a long copy ends for one that asks to stop.
            io::ErrorKind::Interrupted => Class::Interrupted,
            _ => Class::Storage,
        };
        let lack = (error.kind() == io::ErrorKind::QuotaExceeded).then_some(Lack::Quota);
        Failure { lack, ..Failure::new(class, op, describe(error)).at(path) }
    }

    /// Names the file or folder.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Failure {
        self.path = Some(path.to_path_buf());
        self
    }

    /// Names the place in a migration.
    #[must_use]
    pub fn place(mut self, place: Place) -> Failure {
        self.place = Some(place);
        self
    }

    /// Adds what belongs to the cause, one a line.
    #[must_use]
    pub fn details(mut self, details: Vec<String>) -> Failure {
        self.details = details;
        self
    }

    /// Says that a ready file is left.
    #[must_use]
    pub fn leaving_ready(mut self) -> Failure {
        self.ready_left = true;
        self
    }

    /// Keeps SQLite's extended code.
    #[must_use]
    pub fn code(mut self, code: Option<i32>) -> Failure {
        self.sqlite_code = code;
        self
    }

    /// Adds what the operating system said to SQLite, where that is a lack of room: SQLite makes an
    /// I/O error of a quota.
    #[must_use]
    pub fn because(mut self, system: Option<io::Error>) -> Failure {
        let Some(error) = system else { return self };
        match error.kind() {
            io::ErrorKind::QuotaExceeded => self.lack = Some(Lack::Quota),
            io::ErrorKind::StorageFull => {}
            _ => return self,
        }
        self.class = Class::NoSpace;
        self.cause = format!("{}, {}", self.cause, describe(&error));
        self
    }

    /// It was the limit that a migration has set, where there is one: the migration's failure, not
    /// the disk's.
    #[must_use]
    pub fn of_its_limit(mut self) -> Failure {
        if let Some(limit) = self.size_limit {
            self.class = Class::Failed;
            self.cause = format!(
                "the database would be larger than the {limit} bytes that PRAGMA max_page_count \
                 allows"
            );
        }
        self
    }

    /// Says how many bytes must be free before another try.
    #[must_use]
    pub fn needs(mut self, bytes: u64) -> Failure {
        self.bytes_needed = Some(bytes);
        self
    }
}

/// What stands before the contents of a row, which `show_rows` lets a sentence have.
const ROW_FOLLOWS: &str = ", and a row has: ";
/// What stands in their place.
pub const ROW_LEFT_OUT: &str = "(content of a row, left out; see show_rows)";

/// A cause with the contents of a row, for a sentence and the report of this run alone.
pub fn with_row(cause: &str, row: &str) -> String {
    format!("{cause}{ROW_FOLLOWS}{row}")
}

/// The same without them: what is kept, or leaves the device, has no row of a table in it.
pub fn without_row(words: &str) -> String {
    words.split_once(ROW_FOLLOWS).map_or_else(
        || words.to_owned(),
        |(before, _)| format!("{before}{ROW_FOLLOWS}{ROW_LEFT_OUT}"),
    )
}

impl Failure {
    /// What happened, with the statement's number.
    pub fn words(&self) -> String {
        match &self.place {
            Some(place) if place.statement > 0 => {
                let of = if place.statements > 0 {
                    format!(" of {}", place.statements)
                } else {
                    String::new()
                };
                format!("{self}, in statement {}{of}", place.statement)
            }
            _ => self.to_string(),
        }
    }
}

/// An operating system error in words, with its number, which is what support asks for.
pub(crate) fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text).to_lowercase();
    match error.raw_os_error() {
        Some(number) => format!("{words} (errno {number})"),
        None => words,
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{}:{}:{}: ", place.file, place.line, place.column)?;
        }
        write!(f, "{}", self.cause)?;
        match (&self.path, &self.place) {
            (Some(path), None) => write!(f, " ({}, while: {})", path.display(), self.op),
            (None, None) => write!(f, " (while: {})", self.op),
            (_, Some(_)) => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_space_and_nothing_else_is() {
        for (errno, class) in [
            (28, Class::NoSpace),
            (122, Class::NoSpace),
            (5, Class::Storage),
            (30, Class::Storage),
            (13, Class::Storage),
        ] {
            let failure =
                Failure::io(Op("test"), Path::new("/x"), &io::Error::from_raw_os_error(errno));
            assert_eq!(failure.class, class, "errno {errno}");
        }
    }

    #[test]
    fn the_number_of_the_operating_system_is_kept() {
        let failure =
            Failure::io(Op("copy"), Path::new("/data/x.db"), &io::Error::from_raw_os_error(5));
        assert_eq!(failure.to_string(), "input/output error (errno 5) (/data/x.db, while: copy)");
    }
}
