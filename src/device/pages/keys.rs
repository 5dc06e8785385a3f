//! Owns the order of the records of an index, as SQLite compares them, and the keys between two of
//! them.
//! Promises: what cannot be compared here (another collation, numbers that a floating-point one
//! cannot tell apart) lies nowhere outside.
//! Never holds a key of more than [`KEY_BYTES_MAX`] bytes.

use std::cmp::Ordering;
use std::rc::Rc;

use super::record::{values, Value};
use super::Encoding;

/// A longer key bounds nothing: the one of the page above does.
const KEY_BYTES_MAX: usize = 1024;
/// The same, of what is kept to the end of a walk.
const GAP_KEY_BYTES_MAX: usize = 256;
/// Up to here every whole number is a floating-point one.
const EXACT_MAX: u64 = 1 << 52;

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collation {
    /// Byte for byte, as they are stored.
    Binary,
    /// ASCII letters without their case.
    NoCase,
    /// Without spaces at the end.
    Rtrim,
    /// An application's own.
    Unknown,
}

/// The order of one column of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyOrder {
    /// From the last to the first.
    pub descending: bool,
    /// Of its texts.
    pub collation: Collation,
}

/// What the keys of a tree are ordered by.
#[derive(Debug, Clone, Copy)]
pub struct Ordered<'o> {
    /// By column; empty where nothing is known.
    pub columns: &'o [KeyOrder],
    /// Of its texts.
    pub encoding: Encoding,
}

impl Ordered<'_> {
    /// Of a table by its row numbers, or of an index of which nothing is known.
    pub const UNKNOWN: Ordered<'static> = Ordered { columns: &[], encoding: Encoding::Utf8 };
}

/// Keys above `low` and below `high`, which are records. `None` for no bound.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// The last one before them.
    pub low: Option<Rc<[u8]>>,
    /// The first one after them.
    pub high: Option<Rc<[u8]>>,
}

impl Keys {
    /// The key can be a bound.
    pub(super) fn bound(record: &[u8]) -> Option<Rc<[u8]>> {
        (record.len() <= KEY_BYTES_MAX).then(|| Rc::from(record))
    }

    /// The same with short keys alone.
    pub fn shortened(&self) -> Keys {
        let short =
            |key: &Option<Rc<[u8]>>| key.clone().filter(|key| key.len() <= GAP_KEY_BYTES_MAX);
        Keys { low: short(&self.low), high: short(&self.high) }
    }

    /// This key is not among them.
    pub fn excludes(&self, record: &[u8], order: Ordered<'_>) -> bool {
        self.exclude_most(std::iter::once(record), order)
    }

    /// Of these keys most are not among them.
    pub fn exclude_most<'r>(
        &self,
        records: impl Iterator<Item = &'r [u8]>,
        order: Ordered<'_>,
    ) -> bool {
        let (low, high) =
            (self.low.as_deref().and_then(values), self.high.as_deref().and_then(values));
        if low.is_none() && high.is_none() {
            return false;
        }
        let (mut outside, mut all) = (0usize, 0usize);
        for record in records.filter_map(values) {
            let side = |bound: &Option<Vec<Value<'_>>>, wanted: Ordering| match bound {
                Some(bound) => compare(&record, bound, order).map(|found| found == wanted),
                None => Some(true),
            };
            match (side(&low, Ordering::Greater), side(&high, Ordering::Less)) {
                (Some(false), _) | (_, Some(false)) => (outside, all) = (outside + 1, all + 1),
                (Some(true), Some(true)) => all += 1,
                _ => {}
            }
        }
        outside * 2 > all
    }
}

/// Which of two keys comes first; `None` where that cannot be said.
fn compare(one: &[Value<'_>], two: &[Value<'_>], order: Ordered<'_>) -> Option<Ordering> {
    if order.columns.is_empty() {
        return None;
    }
    for (at, column) in order.columns.iter().enumerate() {
        let found = match (one.get(at)?, two.get(at)?) {
            (Value::Integer(one), Value::Integer(two)) => one.cmp(two),
            (Value::Real(one), Value::Real(two)) => one.partial_cmp(two)?,
            (Value::Integer(one), Value::Real(two)) => exact(*one)?.partial_cmp(two)?,
            (Value::Real(one), Value::Integer(two)) => one.partial_cmp(&exact(*two)?)?,
            (Value::Text(one), Value::Text(two)) => {
                texts(one, two, column.collation, order.encoding)?
            }
            (Value::Blob(one), Value::Blob(two)) => one.cmp(two),
            (one, two) => rank(one).cmp(&rank(two)),
        };
        if found != Ordering::Equal {
            return Some(if column.descending { found.reverse() } else { found });
        }
    }
    Some(Ordering::Equal)
}

fn exact(number: i64) -> Option<f64> {
    (number.unsigned_abs() <= EXACT_MAX).then_some(number as f64)
}

fn rank(value: &Value<'_>) -> u8 {
    match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Blob(_) => 3,
    }
}

fn texts(one: &[u8], two: &[u8], collation: Collation, encoding: Encoding) -> Option<Ordering> {
    match collation {
        Collation::Binary => Some(one.cmp(two)),
        Collation::NoCase => Some(
            encoding.text(one).to_ascii_lowercase().cmp(&encoding.text(two).to_ascii_lowercase()),
        ),
        Collation::Rtrim => {
            Some(without_spaces(&encoding.text(one)).cmp(without_spaces(&encoding.text(two))))
        }
        Collation::Unknown => (one == two).then_some(Ordering::Equal),
    }
}

fn without_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().rev().take_while(|byte| **byte == b' ').count();
    text.get(..text.len() - spaces).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of one value of a serial type.
    fn record(serial: u8, bytes: &[u8]) -> Vec<u8> {
        [&[2, serial], bytes].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        record(13 + 2 * text.len() as u8, text.as_bytes())
    }

    fn outside(
        low: &[u8],
        high: &[u8],
        key: &[u8],
        descending: bool,
        collation: Collation,
    ) -> bool {
        let columns = [KeyOrder { descending, collation }];
        let keys = Keys { low: Some(Rc::from(low)), high: Some(Rc::from(high)) };
        keys.excludes(key, Ordered { columns: &columns, encoding: Encoding::Utf8 })
    }

    #[test]
    fn a_key_lies_between_two_as_sqlite_orders_them() {
        let number = |value: u8| record(1, &[value]);
        assert!(!outside(&number(3), &number(9), &number(5), false, Collation::Binary));
        assert!(outside(&number(3), &number(9), &number(5), true, Collation::Binary));
        assert!(!outside(&number(9), &number(3), &number(5), true, Collation::Binary));
        // A separator stands on the page above, and nowhere else.
        assert!(outside(&number(3), &number(9), &number(3), false, Collation::Binary));
        assert!(!outside(
            &number(3),
            &text("a"),
            &record(7, &4.5f64.to_be_bytes()),
            false,
            Collation::Binary
        ));
        assert!(outside(&number(3), &text("a"), &record(0, &[]), false, Collation::Binary));
        assert!(outside(&text("a"), &text("c"), &text("B"), false, Collation::Binary));
        assert!(!outside(&text("a"), &text("c"), &text("B"), false, Collation::NoCase));
        assert!(outside(&text("a"), &text("c"), &text("a  "), false, Collation::Rtrim));
    }

    #[test]
    fn what_cannot_be_compared_is_not_outside() {
        assert!(!outside(&text("a"), &text("c"), &text("x"), false, Collation::Unknown));
        let (large, near) =
            (record(6, &(i64::MAX - 1).to_be_bytes()), record(7, &9.2e18f64.to_be_bytes()));
        assert!(!outside(
            &near,
            &record(7, &9.3e18f64.to_be_bytes()),
            &large,
            false,
            Collation::Binary
        ));
    }
}
