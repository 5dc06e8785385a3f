//! Owns the record format: a header of serial types, and the values after it.
//! Promises: a record is read only where its sizes agree with each other to the byte.
//! Never believes a size beyond the bytes that are there.

/// A value as it lies in a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text, in the encoding of its database.
    Text(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// NULL.
    Null,
    /// A whole number.
    Integer,
    /// A floating-point number.
    Real,
    /// Text.
    Text,
    /// Bytes.
    Blob,
}

/// More columns than a table can have.
const COLUMNS_MAX: usize = 32_768;

/// A variable-length number and how many bytes it takes.
pub fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        if index == 8 {
            return Some((value << 8 | u64::from(*byte), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// What a serial type stands for, and how many bytes its value takes.
fn meaning(serial: u64) -> Option<(Type, u64)> {
    Some(match serial {
        0 => (Type::Null, 0),
        1..=4 => (Type::Integer, serial),
        5 => (Type::Integer, 6),
        6 => (Type::Integer, 8),
        7 => (Type::Real, 8),
        8 | 9 => (Type::Integer, 0),
        10 | 11 => return None,
        _ if serial.is_multiple_of(2) => (Type::Blob, (serial - 12) / 2),
        _ => (Type::Text, (serial - 13) / 2),
    })
}

/// The serial types of a record of `bytes` bytes, of which `local` are there; and the size of its
/// header. `None` where the sizes do not agree.
fn serials(local: &[u8], bytes: u64) -> Option<(Vec<u64>, usize)> {
    let (header, mut at) = varint(local)?;
    let header =
        usize::try_from(header).ok().filter(|header| *header >= at && *header <= local.len())?;
    let mut found = Vec::new();
    let mut body = 0u64;
    while at < header {
        let (serial, size) = varint(local.get(at..header)?)?;
        body = body.checked_add(meaning(serial)?.1)?;
        at += size;
        found.push(serial);
        if found.len() > COLUMNS_MAX {
            return None;
        }
    }
    (at == header && (header as u64).checked_add(body) == Some(bytes)).then_some((found, header))
}

/// The types of a record's values.
pub fn types(local: &[u8], bytes: u64) -> Option<Vec<Type>> {
    let (serials, _) = serials(local, bytes)?;
    serials.into_iter().map(|serial| meaning(serial).map(|(kind, _)| kind)).collect()
}

/// All values of a record.
pub fn values(record: &[u8]) -> Option<Vec<Value<'_>>> {
    let (serials, mut at) = serials(record, record.len() as u64)?;
    let mut found = Vec::with_capacity(serials.len());
    for serial in serials {
        let (kind, size) = meaning(serial)?;
        let bytes = record.get(at..at.checked_add(usize::try_from(size).ok()?)?)?;
        at += bytes.len();
        found.push(match kind {
            Type::Null => Value::Null,
            Type::Integer if serial >= 8 => Value::Integer(i64::from(serial == 9)),
            Type::Integer => Value::Integer(signed(bytes)),
            Type::Real => Value::Real(f64::from_bits(signed(bytes) as u64)),
            Type::Text => Value::Text(bytes),
            Type::Blob => Value::Blob(bytes),
        });
    }
    Some(found)
}

/// Big-endian, of up to eight bytes.
fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    bytes
        .iter()
        .fold(if negative { -1 } else { 0 }, |number: i64, byte| number << 8 | i64::from(*byte))
}
