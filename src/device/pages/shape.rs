//! Owns what the rows of a table look like in its pages: columns in the order in which they are
//! stored, and what each can hold.
//! Promises: a record fits only where SQLite could have written it into this table, and an
//! application would have.
//! Never decides between two tables that a record fits.

use super::keys::KeyOrder;
use super::record::Type;

/// What a column makes of a value that is stored in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    /// Whole numbers.
    Integer,
    /// Numbers, but also dates in text.
    Numeric,
    /// Floating-point numbers.
    Real,
    /// Text.
    Text,
    /// Anything.
    Blob,
    /// The number of a row, in an index.
    RowNumber,
}

impl Affinity {
    /// By SQLite's rules for a declared type.
    pub fn of(declared: &str) -> Affinity {
        let declared = declared.to_ascii_uppercase();
        let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        match () {
            () if has(&["INT"]) => Affinity::Integer,
            () if has(&["CHAR", "CLOB", "TEXT"]) => Affinity::Text,
            () if declared.is_empty() || declared == "ANY" || has(&["BLOB"]) => Affinity::Blob,
            () if has(&["REAL", "FLOA", "DOUB"]) => Affinity::Real,
            () => Affinity::Numeric,
        }
    }

    fn can_hold(self, kind: Type) -> bool {
        match (self, kind) {
            (Affinity::RowNumber, kind) => kind == Type::Integer,
            (_, Type::Null | Type::Blob) | (Affinity::Blob, _) | (Affinity::Text, Type::Text) => {
                true
            }
            (Affinity::Text, Type::Integer | Type::Real) => false,
            (
                Affinity::Integer | Affinity::Numeric | Affinity::Real,
                Type::Integer | Type::Real,
            ) => true,
            (Affinity::Numeric, Type::Text) => true,
            (Affinity::Integer | Affinity::Real, Type::Text) => false,
        }
    }
}

/// A column, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredColumn {
    /// Its place among the table's columns; `None` where its value is computed, or is not a
    /// column's.
    pub place: Option<usize>,
    /// What it makes of a value.
    pub affinity: Affinity,
    /// It holds no NULL.
    pub not_null: bool,
    /// A record may end before it: it was added to a table that had rows.
    pub optional: bool,
}

/// What the rows of a table, or the entries of an index, look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// In the order in which they are stored.
    pub columns: Vec<StoredColumn>,
    /// The stored column that is the row number: NULL in each record.
    pub alias: Option<usize>,
    /// A record has at least so many of them: the others were added when it was there.
    pub least: usize,
    /// It stands on pages of an index.
    pub of_index: bool,
    /// What its keys are ordered by, there.
    pub order: Vec<KeyOrder>,
}

impl Shape {
    /// A record with these types can be one of its rows.
    pub fn fits(&self, types: &[Type]) -> bool {
        (self.least..=self.columns.len()).contains(&types.len())
            && self
                .columns
                .iter()
                .enumerate()
                .all(|(at, column)| self.takes(at, column, types.get(at)))
    }

    fn takes(&self, at: usize, column: &StoredColumn, kind: Option<&Type>) -> bool {
        match kind {
            None => column.optional,
            Some(Type::Null) if self.alias == Some(at) => true,
            Some(_) if self.alias == Some(at) => false,
            Some(Type::Null) => !column.not_null,
            Some(kind) => column.affinity.can_hold(*kind),
        }
    }
}
