//! Owns [`PendingMigration`]: a migration that a plan runs, and how a sentence lists several.
//! Promises: a long list is shortened, and says by how many.
//! Never knows its SQL.

use std::borrow::Cow;
use std::fmt;

/// One migration, as far as a decision needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMigration {
    /// Its version.
    pub version: i64,
    /// Its name; of a migration of this firmware, the catalogue's own text.
    pub name: Cow<'static, str>,
    /// It cannot run inside a transaction.
    pub no_transaction: bool,
}

/// Versions and names, the end of a long list as a number.
pub struct Names<'a>(pub &'a [PendingMigration]);

/// Names shown of a long list.
const NAMES_SHOWN_MAX: usize = 6;

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self
            .0
            .iter()
            .take(NAMES_SHOWN_MAX)
            .map(|migration| format!("V{} {}", migration.version, migration.name));
        f.write_str(&names.collect::<Vec<_>>().join(", "))?;
        match self.0.len().checked_sub(NAMES_SHOWN_MAX) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " and {more} more"),
        }
    }
}
