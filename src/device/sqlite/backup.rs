//! Owns SQLite's backup: a whole copy of a database that applications go on using.
//! Promises: the copy is of one instant; writers that keep coming in between end the patience, not the copy.
//! Never locks an application out for longer than a part of the copy, but for the last try.

use rusqlite::backup::{Backup, StepResult};

use crate::device::clock::{poll, Clock};
use crate::device::disk::Step;
use crate::device::sqlite::{class_of, describe, Database};
use crate::error::{Class, Failure};
use std::time::Duration;

/// Pages copied between two chances for a writer: 4 MiB of the usual 4 KiB pages.
const PAGES_A_PART: i32 = 1024;
/// Times that SQLite may begin anew because somebody wrote; then the rest is copied in one part.
const RESTARTS_MAX: u32 = 3;

impl Database {
    /// Copies everything into `target`, which nobody else knows.
    ///
    /// # Errors
    /// In use where a writer holds it for longer than `limit`; else as SQLite.
    pub fn back_up_into(&self, step: Step, target: &mut Database, clock: &dyn Clock, limit: Duration) -> Result<(), Failure> {
        let failed = |error: rusqlite::Error| {
            let mut failure = Failure::new(class_of(&error), step, describe(&error)).at(&self.path);
            if failure.class == Class::Failed {
                failure.class = Class::Storage;
            }
            failure
        };
        let backup = Backup::new(&self.connection, &mut target.connection).map_err(failed)?;
        let (mut restarts, mut remaining) = (0, i32::MAX);
        loop {
            let pages = if restarts < RESTARTS_MAX { PAGES_A_PART } else { -1 };
            let part = poll(clock, limit, || match backup.step(pages).map_err(failed)? {
                StepResult::Busy | StepResult::Locked => Ok(None),
                result => Ok(Some(result)),
            })?;
            match part {
                None => return Err(Failure::new(Class::InUse, step, "a writer has kept it locked").at(&self.path)),
                Some(StepResult::Done) => return Ok(()),
                Some(_) => {}
            }
            let left = backup.progress().remaining;
            restarts += u32::from(left > remaining);
            remaining = left;
        }
    }
}
