//! Owns counting what a transaction changes, and telling whether it was the same as before.
//! Promises: the mark depends on which rows were changed, not on their order.
//! Never changes a row, and never stops a statement.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use rusqlite::hooks::Action;

use crate::device::disk::Op;
use crate::device::sqlite::Database;
use crate::error::Failure;

/// What was changed since it was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changes {
    /// Rows inserted, updated or deleted, by triggers and foreign keys too.
    pub rows: u64,
    /// Two times the same: the very same rows. `None` where not every row could be told (tables
    /// WITHOUT ROWID).
    pub mark: Option<u64>,
}

/// Changes are being watched.
pub struct Watch {
    before: u64,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    rows: AtomicU64,
    mark: AtomicU64,
}

impl Database {
    /// From now on changes are told apart by their rows.
    ///
    /// # Errors
    /// As SQLite.
    pub fn watch_changes(&mut self, op: Op) -> Result<Watch, Failure> {
        let told = Arc::new(Told::default());
        let heard = Arc::clone(&told);
        let hook = move |action: Action, _: &str, table: &str, row: i64| {
            let mut hasher = DefaultHasher::new();
            (action as i32, table, row).hash(&mut hasher);
            heard.rows.fetch_add(1, Ordering::Relaxed);
            // A sum does not depend on the order.
            heard.mark.fetch_add(hasher.finish(), Ordering::Relaxed);
        };
        let set = self.connection.update_hook(Some(hook));
        set.map_err(|error| self.failure(op, &error))?;
        Ok(Watch { before: self.connection.total_changes(), told })
    }

    /// What was changed.
    ///
    /// # Errors
    /// As SQLite.
    pub fn changes(&mut self, op: Op, watch: &Watch) -> Result<Changes, Failure> {
        let cleared = self.connection.update_hook(None::<fn(Action, &str, &str, i64)>);
        cleared.map_err(|error| self.failure(op, &error))?;
        let rows = self.connection.total_changes().saturating_sub(watch.before);
        let all = watch.told.rows.load(Ordering::Relaxed) == rows;
        Ok(Changes { rows, mark: all.then(|| watch.told.mark.load(Ordering::Relaxed)) })
    }
}
