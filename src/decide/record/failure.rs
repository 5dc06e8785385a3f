//! Owns why the last operation of a firmware that failed did so: what the record keeps of it, and
//! its bytes.
//! Promises: it fits beside the fullest record; it counts until an operation with a larger number
//! ends well, so a success writes nothing.
//! Never more than the first bytes of a long text, cut between two characters.

use super::{clip, put_text, put_version, Fingerprint, Reader};

/// Failures that are kept, one a fingerprint: the two slots of firmware.
pub const FAILURES_MAX: usize = 2;
/// Bytes of what happened: an error of SQLite's, with a file, a name and a value, fits; both fit
/// beside the fullest record.
pub const WHAT_BYTES_MAX: usize = 700;
/// Bytes of the path of a migration's file.
pub const FILE_BYTES_MAX: usize = 160;
/// Bytes of a firmware's version, and of the word for a class.
pub const WORD_BYTES_MAX: usize = 64;

/// Why an operation failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedFailure {
    /// The operation.
    pub operation: u64,
    /// Whose.
    pub fingerprint: Fingerprint,
    /// The word for its class.
    pub class: String,
    /// The version that the database had; `None` where it could not be read.
    pub from: Option<i64>,
    /// The version that the firmware expects.
    pub target: i64,
    /// Where in a migration.
    pub place: Option<FailedAt>,
    /// The firmware's version, as its os-release has it; empty where it has none.
    pub firmware: String,
    /// What happened, in words.
    pub what: String,
}

/// Where in a migration an operation failed; line and column count from 1.
///
/// ```
/// fn for_an_editor(place: &bootmigrate::FailedAt) -> String {
///     format!("{}:{}:{}", place.file, place.line, place.column)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FailedAt {
    /// The migration's file.
    pub file: String,
    /// Its version.
    pub version: i64,
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

pub(super) fn put_all(out: &mut Vec<u8>, failures: &[RecordedFailure]) {
    out.push(failures.len().min(FAILURES_MAX) as u8);
    failures.iter().take(FAILURES_MAX).for_each(|failure| put(out, failure));
}

pub(super) fn read_all(reader: &mut Reader<'_>) -> Option<Vec<RecordedFailure>> {
    (0..reader.count(FAILURES_MAX)?).map(|_| read(reader)).collect()
}

fn put(out: &mut Vec<u8>, failure: &RecordedFailure) {
    out.extend(failure.operation.to_le_bytes());
    out.extend(failure.fingerprint);
    put_text(out, clip(&failure.class, WORD_BYTES_MAX));
    out.push(u8::from(failure.from.is_some()));
    put_version(out, failure.from.unwrap_or(0));
    put_version(out, failure.target);
    out.push(u8::from(failure.place.is_some()));
    if let Some(place) = &failure.place {
        put_text(out, clip(&place.file, FILE_BYTES_MAX));
        put_version(out, place.version);
        out.extend(place.line.to_le_bytes());
        out.extend(place.column.to_le_bytes());
    }
    put_text(out, clip(&failure.firmware, WORD_BYTES_MAX));
    put_text(out, clip(&failure.what, WHAT_BYTES_MAX));
}

fn read(reader: &mut Reader<'_>) -> Option<RecordedFailure> {
    let (operation, fingerprint, class) =
        (reader.u64()?, reader.array()?, reader.text(WORD_BYTES_MAX)?);
    let (known, from) = (reader.flag()?, reader.version()?);
    let target = reader.version()?;
    let place = match reader.flag()? {
        false => None,
        true => Some(FailedAt {
            file: reader.text(FILE_BYTES_MAX)?,
            version: reader.version()?,
            line: reader.u32()?,
            column: reader.u32()?,
        }),
    };
    let (firmware, what) = (reader.text(WORD_BYTES_MAX)?, reader.text(WHAT_BYTES_MAX)?);
    Some(RecordedFailure {
        operation,
        fingerprint,
        class,
        from: known.then_some(from),
        target,
        place,
        firmware,
        what,
    })
}
