//! Owns what an error of SQLite means: its class, its code, its words.
//! Promises: only what a migration's own statement did is a failed migration; what is not known stops with a class of its own.
//! Never reads a database.

use rusqlite::ffi::ErrorCode;

use crate::device::sqlite::missing::Missing;
use crate::error::{Class, Failure};

/// The whitelist: which class an error of a *migration's own statement* has.
pub fn class_of(error: &rusqlite::Error) -> Class {
    let Some(failure) = sqlite_error(error) else {
        // SQLite takes any bytes for text: the file may be whole, and the storage has nothing to do with it.
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
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Class::Damaged,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Class::InUse,
        ErrorCode::DiskFull => Class::NoSpace,
        ErrorCode::OperationInterrupted => Class::Interrupted,
        _ => Class::Storage,
    }
}

/// The same where a statement of ours reads rows of a file: no row is as long as this one claims to be.
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

/// There was no memory, or more was asked for than `memory_max_mib` and SQLite itself allow.
pub(super) fn is_out_of_memory(error: &rusqlite::Error) -> bool {
    sqlite_error(error).is_some_and(|failure| failure.code == ErrorCode::OutOfMemory)
}

/// A text of the database is not UTF-8 or no text, where our own statement or a product's code must have UTF-8.
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

/// What the operating system said to SQLite, which keeps it to itself: the thread's last error, where SQLite has an I/O error of it.
/// To be asked for before anything else is done.
pub(in crate::device) fn system_error(error: &rusqlite::Error) -> Option<std::io::Error> {
    let system = std::io::Error::last_os_error();
    sqlite_error(error).filter(|error| error.code == ErrorCode::SystemIoFailure).map(|_| system)
}

/// SQLite's words and its extended code.
pub fn describe(error: &rusqlite::Error) -> String {
    let code = extended_code(error);
    match sqlite_error(error).map(|error| error.code) {
        Some(ErrorCode::OutOfMemory) => {
            return "out of memory, of which SQLite may have memory_max_mib (SQLite 7)".to_owned()
        }
        Some(ErrorCode::OperationInterrupted) => return "a stop signal came (SQLite 9)".to_owned(),
        _ => {}
    }
    let words = match error {
        rusqlite::Error::SqliteFailure(failure, None) => {
            rusqlite::ffi::code_to_str(failure.extended_code).to_owned()
        }
        rusqlite::Error::SqliteFailure(_, Some(words)) => words.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other if is_not_utf8(other) => format!("a text in the database is not UTF-8 ({other})"),
        other => other.to_string(),
    };
    let missing =
        Missing::of(error).map(|missing| format!("; {}", missing.advice())).unwrap_or_default();
    match code {
        Some(code) => format!("{words} (SQLite {code}){missing}"),
        None => words,
    }
}

/// The error is about an object of the schema and not about the file: a function, collation, module or tokenizer is missing, or a
/// virtual table does not work.
pub(super) fn is_an_objects(error: &rusqlite::Error) -> bool {
    Missing::of(error).is_some()
        || class_of(error) == Class::Failed
        || extended_code(error) == Some(rusqlite::ffi::SQLITE_CORRUPT_VTAB)
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
}
