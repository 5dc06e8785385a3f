//! Owns which keys of a table came from pages that no tree leads to.
//! Promises: a key that was added is known again, by whatever collation it is one; another one may
//! be taken for it.
//! Never holds more than [`WORDS`] words.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::PageRow;
use crate::device::pages::record::Value;
use crate::device::sqlite::rows::Table;

/// A hundred thousand keys leave one bit of ten set.
const WORDS: usize = 1 << 14;

/// Hashes of keys.
#[derive(Default)]
pub(super) struct KeysWritten(Vec<u64>);

impl KeysWritten {
    pub(super) fn add(&mut self, row: &PageRow<'_>, table: &Table) {
        self.0.resize(WORDS, 0);
        let (word, bit) = place(row, table);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    pub(super) fn may_have(&self, row: &PageRow<'_>, table: &Table) -> bool {
        let (word, bit) = place(row, table);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// Where the hash of a row's key is. Its columns are stored first.
fn place(row: &PageRow<'_>, table: &Table) -> (usize, u64) {
    let mut hasher = DefaultHasher::new();
    if table.is_kept_by_key() {
        row.values.iter().take(table.key.len()).for_each(|value| hash_value(value, &mut hasher));
    } else {
        row.number.hash(&mut hasher);
    }
    let hash = hasher.finish();
    ((hash >> 6) as usize % WORDS, 1 << (hash % 64))
}

/// Values that some collation takes for equal have one hash.
fn hash_value(value: &Value<'_>, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0u8.hash(hasher),
        Value::Integer(number) => (*number as f64).to_bits().hash(hasher),
        Value::Real(number) => number.to_bits().hash(hasher),
        // An application's own may take any two for equal.
        Value::Text(_) => 1u8.hash(hasher),
        Value::Blob(bytes) => bytes.hash(hasher),
    }
}
