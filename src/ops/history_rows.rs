//! Owns what a row of a history looks like where it is read from a page: refinery's, and ours
//! beside it.
//! Promises: a row is one of this firmware's only where refinery's checksum or the way back says
//! so.
//! Never believes a row of numbers alone.

use crate::catalog::{Catalog, Migration};
use crate::device::history::Applied;
use crate::device::pages::record::Value::{self, Integer, Null, Text};
use crate::device::pages::Encoding;

/// Columns of refinery's table.
pub const REFINERYS_COLUMNS: usize = 4;
/// Columns of ours beside it.
pub const OUR_COLUMNS: usize = 7;

/// What a row says of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryRow {
    /// It was applied: refinery's row, or ours with the way back.
    Applied(i64),
    /// It looks like ours, but has nothing that another table's row could not have.
    Plausible(i64),
    /// refinery's, of a migration that is not this firmware's.
    Foreign,
    /// It is of no history.
    Other,
}

impl HistoryRow {
    /// Of a row with this number.
    pub fn of(
        catalog: &Catalog,
        number: i64,
        values: &[Value<'_>],
        encoding: Encoding,
    ) -> HistoryRow {
        let text = |bytes: &[u8]| String::from_utf8_lossy(&encoding.text(bytes)).into_owned();
        let find = |version: &Value<'_>| {
            catalog.find(if let Integer(version) = version { *version } else { number })
        };
        match values {
            [version, Text(name), _, Text(checksum)] if values.len() == REFINERYS_COLUMNS => {
                let is_ours = |ours: &&Migration| {
                    let checksum = text(checksum).parse().ok();
                    checksum.is_some_and(|checksum| {
                        Applied { version: ours.version, name: text(name).into(), checksum }
                            .is(ours)
                    })
                };
                match find(version).filter(is_ours) {
                    Some(ours) => HistoryRow::Applied(ours.version),
                    None if is_refinerys(values, encoding) => HistoryRow::Foreign,
                    None => HistoryRow::Other,
                }
            }
            [version, Integer(1..), down, Integer(said @ (0 | 1)), oldest, duration, Text(_)] => {
                let numbers =
                    [oldest, duration].iter().all(|value| matches!(value, Integer(_) | Null));
                let compatible = if let Integer(version) = oldest { Some(*version) } else { None };
                let is_said = |ours: &Migration| {
                    (ours.directives.irreversible, ours.directives.compatible_from)
                        == (*said == 1, compatible)
                };
                match (find(version).filter(|_| numbers), down) {
                    // A way back is as good as a checksum.
                    (Some(ours), Text(down)) if ours.down.is_some_and(|own| own == text(down)) => {
                        HistoryRow::Applied(ours.version)
                    }
                    (Some(ours), Null) if ours.down.is_none() && is_said(ours) => {
                        HistoryRow::Plausible(ours.version)
                    }
                    _ => HistoryRow::Other,
                }
            }
            _ => HistoryRow::Other,
        }
    }
}

/// An entry of our table of what the database itself remembers: no other table has it.
pub fn is_our_format(values: &[Value<'_>], encoding: Encoding) -> bool {
    matches!(values, [Text(key), Integer(1)] if *encoding.text(key) == *b"format")
}

/// Digits of a number of 64 bits that is spread evenly: one of ten million has fewer.
const CHECKSUM_DIGITS_MIN: usize = 13;

/// A version, a name, a time and a checksum, as refinery writes them.
pub fn is_refinerys(values: &[Value<'_>], encoding: Encoding) -> bool {
    let [Integer(_) | Null, Text(_), Text(time), Text(checksum)] = values else {
        return false;
    };
    let (time, checksum) = (encoding.text(time), encoding.text(checksum));
    time.get(10) == Some(&b'T')
        && checksum.len() >= CHECKSUM_DIGITS_MIN
        && checksum.iter().all(u8::is_ascii_digit)
}
