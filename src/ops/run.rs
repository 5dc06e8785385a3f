//! Owns what the operations of one run have in common: the device, the proof of the lock, the
//! record; and what one of them builds.
//! Promises: plain references; nothing is read or written by making one.
//! Never outlives the lock.

use crate::catalog::Migration;
use crate::device::Device;
use crate::ops::lock::Locked;
use crate::ops::store::{Operation, RecordStore};

/// A run on one database.
pub struct Run<'r> {
    /// The database, its settings and its catalogue.
    pub device: &'r Device<'r>,
    /// Nobody else migrates it.
    pub locked: &'r Locked,
    /// The record.
    pub store: &'r mut RecordStore,
}

impl<'r> Run<'r> {
    /// What this operation builds.
    pub fn build<'b>(
        &'b self,
        operation: Operation,
        migrations: &'b [&'static Migration],
    ) -> Build<'b>
    where
        'r: 'b,
    {
        Build {
            device: self.device,
            locked: self.locked,
            operation,
            migrations,
            token: self.store.open_token(),
        }
    }
}

/// A database that an operation builds beside the live one.
#[derive(Clone, Copy)]
pub struct Build<'b> {
    /// As the run's.
    pub device: &'b Device<'b>,
    /// As the run's.
    pub locked: &'b Locked,
    /// For which operation.
    pub operation: Operation,
    /// Applied to it, oldest first.
    pub migrations: &'b [&'static Migration],
    /// The token that asked for it, which the new database remembers; empty for none.
    pub token: &'b str,
}
