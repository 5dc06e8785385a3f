//! Owns how much of a history is read at most, so that a hostile one costs no more memory than a
//! long one.
//! Promises: what is longer is not read at all, and counts as absent or malformed.
//! Never cuts a value.

/// Most rows of a history: a product that releases a migration a day needs fifty years for them.
pub const ROWS_MAX: usize = 20_000;
/// Longest name, checksum, date or token, in bytes: refinery's columns are declared with 255
/// characters.
const TEXT_BYTES_MAX: u32 = 1024;
/// Longest down SQL, in bytes.
const SQL_BYTES_MAX: u32 = 16 << 20;

/// This column, NULL where it is longer than a word of a history may be.
pub fn word(column: &str) -> String {
    at_most(column, TEXT_BYTES_MAX)
}

/// This column, NULL where it is no integer: those are all that is read of it.
pub fn number(column: &str) -> String {
    format!("iif(typeof({column}) = 'integer', {column}, NULL)")
}

/// This column, NULL where it is longer than down SQL may be.
pub fn sql(column: &str) -> String {
    at_most(column, SQL_BYTES_MAX)
}

/// SQLite knows a value's length without reading it.
fn at_most(column: &str, bytes: u32) -> String {
    format!("iif(octet_length({column}) <= {bytes}, {column}, NULL)")
}
