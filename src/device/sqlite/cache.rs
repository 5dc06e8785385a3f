//! Owns the page cache of a connection.
//! Promises: it fits the work, and its memory is given back when the connection is closed.
//! Never asks how much memory there is.

use super::Database;
use crate::device::disk::Op;
use crate::device::memory::Share;
use crate::error::Failure;

impl Database {
    /// From now on the page cache fits work that goes through a file of this size more than once.
    ///
    /// # Errors
    /// As SQLite.
    pub fn cache(&self, op: Op, bytes: u64) -> Result<(), Failure> {
        self.cache_of(op, bytes, 1)
    }

    /// The same where as many connections work on as much at once.
    ///
    /// # Errors
    /// As SQLite.
    pub fn cache_of(&self, op: Op, bytes: u64, connections: u64) -> Result<(), Failure> {
        drop(self.cache.take());
        let Some(share) = Share::of(bytes, connections) else { return Ok(()) };
        self.run(op, &format!("PRAGMA cache_size = -{}", share.bytes() >> 10))?;
        self.cache.set(Some(share));
        Ok(())
    }

    /// Writes pages that have changed and were kept in memory, into the journal or the WAL that the
    /// open transaction has.
    ///
    /// # Errors
    /// As SQLite: full, where there is no room for them.
    pub fn write_changed_pages(&self, op: Op) -> Result<(), Failure> {
        self.connection.cache_flush().map_err(|error| self.failure(op, &error))
    }
}
