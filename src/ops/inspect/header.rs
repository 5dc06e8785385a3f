//! Owns what the first 100 bytes of a database tell without SQLite.
//! Promises: a header of a later SQLite is told from a damaged one: by its file format, which is
//! there to say so, and by a schema format close to those that are known.
//! Never reads a byte itself.

use crate::decide::facts::DatabaseState;
use crate::device::pages::header::MAGIC;

/// SQLite's own limit since 3.3.0: a file with more was made by a later one.
const SCHEMA_FORMAT_MAX: u32 = 4;
/// A later format would be the next one or two; SQLite itself has had four in twenty years.
const SCHEMA_FORMAT_PLAUSIBLE_MAX: u32 = 15;

/// What 100 bytes tell without SQLite.
pub(in crate::ops) fn bad_header(header: &[u8], size: u64, has_wal: bool) -> Option<DatabaseState> {
    let damaged = |what: &str| {
        Some(DatabaseState::Damaged { what: what.to_owned(), tables_whole: false, version: None })
    };
    if header.get(..16) != Some(MAGIC.as_slice()) || header.len() < 100 {
        return damaged("its header is not that of an SQLite database");
    }
    let byte = |at: usize| header.get(at).copied().unwrap_or(0);
    let number = |at: usize| number_at(header, at);
    if byte(19) > 2 {
        return Some(DatabaseState::NewerSqlite {
            what: format!("its file format is {}, this SQLite reads up to 2", byte(19)),
        });
    }
    if byte(18) > 2 {
        return Some(DatabaseState::NewerSqlite {
            what: format!("its file format is {}, this SQLite writes up to 2", byte(18)),
        });
    }
    // SQLite looks at its last byte alone.
    let schema_format = number(44) & 0xff;
    if schema_format > SCHEMA_FORMAT_PLAUSIBLE_MAX {
        return damaged("its header has an impossible schema format");
    }
    if schema_format > SCHEMA_FORMAT_MAX {
        let what = format!(
            "its schema format is {schema_format}, this SQLite reads up to {SCHEMA_FORMAT_MAX}"
        );
        return Some(DatabaseState::NewerSqlite { what });
    }
    let page = page_bytes(header);
    if page < 512 || !page.is_power_of_two() {
        return damaged("its header has an impossible page size");
    }
    if !has_wal && counted_bytes(header).is_some_and(|bytes| bytes > size) {
        return damaged("the file is shorter than its header says");
    }
    None
}

/// Big-endian, as SQLite writes them.
fn number_at(header: &[u8], at: usize) -> u32 {
    header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Bytes of a page, as the header says.
pub(super) fn page_bytes(header: &[u8]) -> u64 {
    match number_at(header, 16) >> 16 {
        1 => 65536,
        bytes => u64::from(bytes),
    }
}

/// The database's size by its header, which counts only where the change counter was written
/// together with it.
pub fn counted_bytes(header: &[u8]) -> Option<u64> {
    let pages = number_at(header, 28);
    (number_at(header, 24) == number_at(header, 92) && pages > 0)
        .then(|| u64::from(pages) * page_bytes(header))
}
