//! Owns the bound of SQLite's memory, which is the process's and no connection's.
//! Promises: one call; no database is opened for it.
//! Never raises a bound that a product has set lower.
#![allow(unsafe_code)] // A function of SQLite with one integer, which no safe library offers.

use rusqlite::ffi;

/// At most this many bytes from now on; an allocation beyond them fails.
///
/// # Errors
/// SQLite cannot begin.
pub(super) fn bound(bytes: i64) -> Result<(), String> {
    // SAFETY: it takes an integer, and may be called at any time and by any thread; it begins
    // SQLite where nobody has.
    let limit = |bytes: i64| unsafe { ffi::sqlite3_hard_heap_limit64(bytes) };
    match limit(-1) {
        before if before < 0 => Err("SQLite cannot begin".to_owned()),
        before if before == 0 || before > bytes => {
            limit(bytes);
            Ok(())
        }
        _ => Ok(()),
    }
}
