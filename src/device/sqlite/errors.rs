//! Owns what an error of SQLite means: its class, its code, its words.
//! Promises: only what a migration's own statement did is a failed migration; what is not known
//! stops with a class of its own.
//! Never reads a database.

use rusqlite::ffi::ErrorCode;

use crate::device::sqlite::missing::Missing;
use crate::error::{Class, Failure, ROW_LEFT_OUT};

/// What SQLite 3.54 says of a value that a statement works with when it runs; the value follows.
const BEFORE_A_VALUE: [&str; 8] = [
    "bad JSON path: ",
    "fts5: syntax error near ",
    "fts5vocab: unknown table type: ",
    "malformed MATCH expression: ",
    "not an array element: ",
    "unknown special query: ",
    "unknown tokenizer: ",
    "unrecognized matchinfo request: ",
];
/// `RAISE` in a trigger, whose text may be made of a row.
const BY_A_TRIGGER: &str = "a trigger's RAISE: ";

/// Bytes of names and texts of a schema that are read together at most, far above what migrations
/// make.
pub(super) const TEXT_BYTES_MAX: usize = 64 << 20;
/// What SQLite says of a text of the schema that is longer than a statement may be; the name of
/// what it makes stands between.
const TEXT_TOO_LONG: [&str; 2] = ["malformed database schema (", ") - string or blob too big"];

/// The whitelist: which class an error of a *migration's own statement* has.
pub fn class_of(error: &rusqlite::Error) -> Class {
    let Some(failure) = sqlite_error(error) else {
        // SQLite takes any bytes for text: the file may be whole, and the storage has nothing to do
        // with it.
        return if is_not_utf8(error) { Class::Failed } else { Class::Storage };
    };
    match failure.code {
        // rusqlite calls SQLITE_ERROR "Unknown", and every code that it does not know.
        ErrorCode::Unknown if failure.extended_code & 0xff == rusqlite::ffi::SQLITE_ERROR => {
            Class::Failed
        }
        ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::ParameterOutOfRange => Class::Failed,
        ErrorCode::AuthorizationForStatementDenied | ErrorCode::TooBig => Class::Failed,
        ErrorCode::DatabaseCorrupt if has_a_text_too_long(error) => Class::Catalogue,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Class::Damaged,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Class::InUse,
        ErrorCode::DiskFull => Class::NoSpace,
        ErrorCode::OperationInterrupted => Class::Interrupted,
        _ => Class::Storage,
    }
}

/// The same where a statement of ours reads rows of a file: no row is as long as this one claims to
/// be.
pub(super) fn class_of_reading(error: &rusqlite::Error) -> Class {
    if is_too_big(error) {
        return Class::Damaged;
    }
    class_of(error)
}

/// A value is longer than this connection may have it.
pub(super) fn is_too_big(error: &rusqlite::Error) -> bool {
    sqlite_error(error).is_some_and(|failure| failure.code == ErrorCode::TooBig)
}

/// One text of the schema is longer than any statement may be here: SQLite reads no further, and
/// calls corrupt what another connection of its own reads.
fn has_a_text_too_long(error: &rusqlite::Error) -> bool {
    let words = match error {
        rusqlite::Error::SqliteFailure(_, Some(words)) => words,
        rusqlite::Error::SqlInputError { msg, .. } => msg,
        _ => return false,
    };
    let [begin, end] = TEXT_TOO_LONG;
    words.strip_prefix(begin).is_some_and(|rest| rest.contains(end))
}

pub(super) fn too_much_text() -> String {
    format!(
        "its schema has more than {} MiB of text, which no migration makes",
        TEXT_BYTES_MAX >> 20
    )
}

/// Told by its words: SQLite could read nothing of the file.
pub fn is_of_too_much_text(failure: &Failure) -> bool {
    failure.class == Class::Catalogue && failure.cause == too_much_text()
}

/// There was no memory, or more was asked for than `memory_mib` and SQLite itself allow.
pub(super) fn is_out_of_memory(error: &rusqlite::Error) -> bool {
    sqlite_error(error).is_some_and(|failure| failure.code == ErrorCode::OutOfMemory)
}

/// A text of the database is not UTF-8 or no text, where our own statement or a product's code must
/// have UTF-8.
pub(super) fn is_not_utf8(error: &rusqlite::Error) -> bool {
    match error {
        // A name or a text of the schema that is a BLOB: SQLite takes its bytes for text.
        rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(_, _, rusqlite::types::Type::Blob) => true,
        rusqlite::Error::FromSqlConversionFailure(_, rusqlite::types::Type::Text, cause) => {
            cause.is::<std::str::Utf8Error>()
        }
        _ => false,
    }
}

/// SQLite's own error inside rusqlite's; an error of the parser carries it too.
fn sqlite_error(error: &rusqlite::Error) -> Option<rusqlite::ffi::Error> {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => Some(*failure),
        rusqlite::Error::SqlInputError { error, .. } => Some(*error),
        _ => None,
    }
}

/// SQLite's extended code.
pub fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    sqlite_error(error).map(|error| error.extended_code)
}

/// A statement met a constraint: its text is right, and rows are in its way.
pub fn is_constraint(failure: &Failure) -> bool {
    failure.sqlite_code.is_some_and(|code| code & 0xff == rusqlite::ffi::SQLITE_CONSTRAINT)
}

/// SQLite does not take a statement of ours, as it stands, on this schema.
pub fn is_of_a_statement(failure: &Failure) -> bool {
    failure.class == Class::Storage
        && failure.sqlite_code.is_some_and(|code| code & 0xff == rusqlite::ffi::SQLITE_ERROR)
}

/// What the operating system said to SQLite, which keeps it to itself: the thread's last error,
/// where SQLite has an I/O error of it. To be asked for before anything else is done.
pub(in crate::device) fn system_error(error: &rusqlite::Error) -> Option<std::io::Error> {
    let system = std::io::Error::last_os_error();
    sqlite_error(error).filter(|error| error.code == ErrorCode::SystemIoFailure).map(|_| system)
}

/// What is said, and what follows.
pub(super) fn parted<'m>(
    begins: &[&'static str],
    message: &'m str,
) -> Option<(&'static str, &'m str)> {
    begins.iter().find_map(|begin| message.strip_prefix(begin).map(|value| (*begin, value)))
}

/// What is said, and the value after it. An error of the parser is about the statement's text.
pub(super) fn parts<'m>(
    error: &rusqlite::Error,
    message: &'m str,
) -> Option<(&'static str, &'m str)> {
    if !matches!(error, rusqlite::Error::SqliteFailure(..)) {
        return None;
    }
    if extended_code(error) == Some(rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER) {
        return Some((BY_A_TRIGGER, message));
    }
    parted(&BEFORE_A_VALUE, message)
}

/// A value follows, and is left out.
pub(super) fn without(said: &str) -> String {
    format!("{said}{ROW_LEFT_OUT}")
}

/// The message without a value.
fn left_out(error: &rusqlite::Error, message: &str) -> Option<String> {
    parts(error, message).map(|(said, _)| without(said))
}

/// SQLite's words and its extended code; no contents of a row.
pub fn describe(error: &rusqlite::Error) -> String {
    describe_as(error, None)
}

/// The same with other words than SQLite's, where there are some.
pub(super) fn describe_as(error: &rusqlite::Error, instead: Option<String>) -> String {
    let code = extended_code(error);
    match sqlite_error(error).map(|error| error.code) {
        Some(ErrorCode::OutOfMemory) => {
            return "out of memory, of which SQLite may have memory_mib (SQLite 7)".to_owned()
        }
        Some(ErrorCode::OperationInterrupted) => return "a stop signal came (SQLite 9)".to_owned(),
        Some(ErrorCode::DatabaseCorrupt) if has_a_text_too_long(error) => return too_much_text(),
        _ => {}
    }
    let words = match error {
        rusqlite::Error::SqliteFailure(failure, None) => {
            rusqlite::ffi::code_to_str(failure.extended_code).to_owned()
        }
        rusqlite::Error::SqliteFailure(_, Some(words)) => {
            instead.or_else(|| left_out(error, words)).unwrap_or_else(|| words.clone())
        }
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other if is_not_utf8(other) => format!("a text in the database is not UTF-8 ({other})"),
        rusqlite::Error::IntegralValueOutOfRange(column, _) => {
            format!("the number in column {column} of a row is out of range")
        }
        rusqlite::Error::FromSqlConversionFailure(column, kind, _) => {
            format!("the {kind} in column {column} of a row cannot be converted")
        }
        other => other.to_string(),
    };
    // What is missing has no name where the name was left out.
    let missing = Missing::of(error)
        .filter(|_| !words.ends_with(ROW_LEFT_OUT))
        .map(|missing| format!("; {}", missing.advice()))
        .unwrap_or_default();
    match code {
        Some(code) => format!("{words} (SQLite {code}){missing}"),
        None => words,
    }
}

/// The error is about an object of the schema and not about the file: a function, collation, module
/// or tokenizer is missing, or a virtual table does not work.
pub(super) fn is_an_objects(error: &rusqlite::Error) -> bool {
    Missing::of(error).is_some()
        || class_of(error) == Class::Failed
        || extended_code(error) == Some(rusqlite::ffi::SQLITE_CORRUPT_VTAB)
}

/// The header's text encoding has bits that SQLite reads over only where it attaches nothing.
pub fn is_of_another_encoding(failure: &Failure) -> bool {
    failure.class == Class::Failed && failure.cause.contains("must use the same text encoding")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_not_utf8_is_neither_damage_nor_the_storage() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let read =
            |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap_err();
        let error = read("SELECT CAST(x'61ff' AS TEXT)");
        assert_eq!(class_of(&error), Class::Failed);
        assert!(
            describe(&error).starts_with("a text in the database is not UTF-8"),
            "{}",
            describe(&error)
        );
        assert_eq!(class_of(&read("SELECT 1")), Class::Storage);
        assert_eq!(class_of(&read("SELECT x'61'")), Class::Failed);
    }

    /// Every result code that SQLite has, each with every extension that it may get.
    #[test]
    fn every_result_code_has_its_class() {
        use rusqlite::ffi;
        let classes = [
            (
                Class::Failed,
                &[
                    ffi::SQLITE_ERROR,
                    ffi::SQLITE_CONSTRAINT,
                    ffi::SQLITE_MISMATCH,
                    ffi::SQLITE_RANGE,
                    ffi::SQLITE_AUTH,
                ][..],
            ),
            (Class::Failed, &[ffi::SQLITE_TOOBIG]),
            (Class::Damaged, &[ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB]),
            (Class::InUse, &[ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED]),
            (Class::NoSpace, &[ffi::SQLITE_FULL]),
            (Class::Interrupted, &[ffi::SQLITE_INTERRUPT]),
            (
                Class::Storage,
                &[
                    ffi::SQLITE_INTERNAL,
                    ffi::SQLITE_PERM,
                    ffi::SQLITE_ABORT,
                    ffi::SQLITE_NOMEM,
                    ffi::SQLITE_READONLY,
                ],
            ),
            (
                Class::Storage,
                &[
                    ffi::SQLITE_IOERR,
                    ffi::SQLITE_NOTFOUND,
                    ffi::SQLITE_CANTOPEN,
                    ffi::SQLITE_PROTOCOL,
                    ffi::SQLITE_EMPTY,
                ],
            ),
            (
                Class::Storage,
                &[
                    ffi::SQLITE_SCHEMA,
                    ffi::SQLITE_MISUSE,
                    ffi::SQLITE_NOLFS,
                    ffi::SQLITE_FORMAT,
                    ffi::SQLITE_NOTICE,
                ],
            ),
            (Class::Storage, &[ffi::SQLITE_WARNING]),
        ];
        let mut known: Vec<i32> =
            classes.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
        known.sort_unstable();
        assert_eq!(known, (1..=28).collect::<Vec<i32>>());
        for (class, code) in
            classes.iter().flat_map(|(class, codes)| codes.iter().map(move |code| (class, *code)))
        {
            for extension in 0..36 {
                let error =
                    rusqlite::Error::SqliteFailure(ffi::Error::new(code | extension << 8), None);
                assert_eq!(class_of(&error), *class, "{code}, extended by {extension}");
                let reading = if code == ffi::SQLITE_TOOBIG { Class::Damaged } else { *class };
                assert_eq!(class_of_reading(&error), reading, "{code}, extended by {extension}");
            }
        }
    }
}
