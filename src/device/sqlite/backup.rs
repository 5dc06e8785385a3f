//! Owns SQLite's backup: a whole copy of a database that applications go on using.
//! Promises: the copy is of one instant; writers that keep coming in between end the patience, not
//! the copy.
//! Never locks an application out for longer than a part of the copy, but for the last try.

use std::sync::atomic::Ordering;

use rusqlite::backup::{Backup, StepResult};

use crate::device::clock::Wait;
use crate::device::disk::Op;
use crate::device::sqlite::{class_of, describe, extended_code, system_error, Database};
use crate::error::{Class, Failure};

/// Pages copied between two chances for a writer: 4 MiB of the usual 4 KiB pages.
const PAGES_A_PART: i32 = 1024;
/// Times that SQLite may begin again because another process wrote; then nobody may until the rest
/// is copied.
const RESTARTS_MAX: u32 = 3;

impl Database {
    /// Copies everything into `target`, which nobody else knows.
    ///
    /// # Errors
    /// In use where a writer holds it for longer than `wait` allows; interrupted; else as SQLite.
    pub fn back_up_into(
        &self,
        op: Op,
        target: &mut Database,
        wait: &Wait<'_>,
    ) -> Result<(), Failure> {
        let failed = |error: rusqlite::Error| {
            let system = system_error(&error);
            let mut failure = Failure::new(class_of(&error), op, describe(&error));
            failure = failure.at(&self.path).code(extended_code(&error)).because(system);
            if failure.class == Class::Failed {
                failure.class = Class::Storage;
            }
            failure
        };
        let backup = Backup::new(&self.connection, &mut target.connection).map_err(failed)?;
        let (mut restarts, mut remaining) = (0, i32::MAX);
        loop {
            if wait.stop.load(Ordering::Relaxed) {
                return Err(Failure::stopped(op));
            }
            let part = wait.until(op, || match backup.step(PAGES_A_PART).map_err(failed)? {
                StepResult::Busy | StepResult::Locked => Ok(None),
                result => Ok(Some(result)),
            })?;
            match part {
                None => {
                    return Err(Failure::new(Class::InUse, op, "a writer has kept it locked")
                        .at(&self.path))
                }
                Some(StepResult::Done) => return Ok(()),
                Some(_) => {}
            }
            let left = backup.progress().remaining;
            restarts += u32::from(left > remaining);
            remaining = left;
            if restarts == RESTARTS_MAX && !self.in_transaction() {
                self.keep_writers_out(op, wait)?;
            }
        }
    }

    /// Nobody commits from now on until this connection is closed: in WAL mode, nothing that it
    /// would see.
    fn keep_writers_out(&self, op: Op, wait: &Wait<'_>) -> Result<(), Failure> {
        let read = || match self.run(op, "BEGIN; SELECT count(*) FROM sqlite_schema") {
            Err(failure) if failure.class == Class::InUse => {
                self.rollback();
                Ok(None)
            }
            read => read.map(Some),
        };
        wait.until(op, read)?.ok_or_else(|| {
            Failure::new(Class::InUse, op, "a writer has kept it locked").at(&self.path)
        })
    }
}
