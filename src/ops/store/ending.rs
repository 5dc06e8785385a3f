//! Owns how an operation ends in the record: with a failure, or with its report.
//! Promises: what must end is counted, and what did not happen is not; a loss is kept until it was
//! reported.
//! Never begins an operation.

use super::{Operation, RecordStore};
use crate::decide::asked::by_an_operator;
use crate::decide::record::{FailedAt, Needs, OpenOperation, OperationKind, RecordedFailure};
use crate::device::Device;
use crate::error::{without_row, Class, Failure, Place};

/// What a run has reported of a database that may be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportEnd {
    /// The schema is this firmware's: what this run did has ended.
    pub at_target: bool,
    /// A loss or a replacement was part of the report.
    pub said: bool,
    /// The operations whose losses were part of it.
    pub losses: Vec<u64>,
}

impl RecordStore {
    /// Closes an operation that failed: counted only for [`Class::Failed`], left open for
    /// [`Class::Interrupted`] unless an operator asked for it, else (and for [`Class::Waits`]) as
    /// if it had never begun.
    pub fn close_failed(&mut self, device: &Device<'_>, operation: Operation, failure: &Failure) {
        let asked = self.record.open.as_ref().is_some_and(|open| by_an_operator(&open.reason));
        if failure.class == Class::Interrupted && !asked {
            return;
        }
        let mut next = self.record.clone();
        let mut kept = self.kept(device, operation.number, failure);
        if let Some(kept) = kept.as_mut().filter(|_| {
            matches!(operation.kind, OperationKind::ReplaceFresh | OperationKind::ReplaceCarried)
        }) {
            // Built from zero, whatever stands there.
            kept.from = None;
        }
        kept.into_iter().for_each(|kept| next.keep_failure(kept));
        if let (Class::Waits, Some(open)) =
            (failure.class, next.open.as_mut().filter(|open| open.starts > 1))
        {
            // What was going on before this run goes on after it.
            open.starts -= 1;
            return self.update_or_say(device, next);
        }
        let open = next.open.take();
        if operation.counted {
            // It was not built.
            next.change_counts(&self.fingerprint, |counts| {
                counts.purges = counts.purges.saturating_sub(1)
            });
        }
        let token = open.map(|open| open.token).unwrap_or_default();
        next.losses.retain(|loss| loss.operation != operation.number);
        match failure.class {
            // It says nothing of a whole file that may be put there.
            Class::Failed | Class::Damaged if operation.repairs => {
                next.count_failed_repair(&self.fingerprint);
            }
            Class::Failed => next.count_failed(&self.fingerprint),
            // One that finds its source damaged will find it so at every boot: counted, so that it
            // ends.
            Class::Damaged if operation.kind.replaces() => next.count_failed(&self.fingerprint),
            _ => {}
        }
        // A repair in vain would be begun anew at each boot with the word still there.
        let tried = failure.class == Class::Failed
            || failure.class == Class::Damaged && operation.kind.replaces();
        if tried && !token.is_empty() {
            next.remember_token(&token);
        }
        if failure.class == Class::NoSpace {
            next.needs =
                failure.bytes_needed.map(|bytes| Needs { fingerprint: self.fingerprint, bytes });
        }
        self.update_or_say(device, next);
    }

    /// What is kept of a failure; `None` where it says nothing of this firmware or of its storage.
    fn kept(
        &self,
        device: &Device<'_>,
        operation: u64,
        failure: &Failure,
    ) -> Option<RecordedFailure> {
        if matches!(failure.class, Class::InUse | Class::Waits | Class::Interrupted) {
            return None;
        }
        // It says less than why a migration or a repair failed.
        let is_known = self.record.failures.iter().any(|known| {
            known.fingerprint == self.fingerprint && known.class != Class::NoSpace.word()
        });
        if failure.class == Class::NoSpace && is_known {
            return None;
        }
        let place = failure.place.as_ref();
        let at = |place: &Place| FailedAt {
            file: place.file.clone(),
            version: place.version,
            line: place.line,
            column: place.column,
        };
        Some(RecordedFailure {
            operation,
            fingerprint: self.fingerprint,
            class: failure.class.word().to_owned(),
            from: self.version,
            target: device.catalog.target(),
            place: place.map(at),
            firmware: device.environment.firmware.clone(),
            what: without_row(&failure.words()),
        })
    }

    /// This run came to no end for want of room, or because somebody had the database open: what
    /// failed on its way says nothing of what was still to be tried, and counts no more.
    pub fn take_back_failed(&mut self, device: &Device<'_>) {
        if self.record.failed(&self.fingerprint) == self.failed_before || self.file.is_none() {
            return;
        }
        let mut next = self.record.clone();
        next.take_back_failed(&self.fingerprint, self.failed_before);
        self.update_or_say(device, next);
    }

    /// A failure that no check of the file explains is the migration's: counted, so that it ends.
    pub fn count_failure(&mut self, device: &Device<'_>, failure: &Failure) {
        let mut next = self.record.clone();
        self.kept(device, self.record.last_operation, failure)
            .into_iter()
            .for_each(|kept| next.keep_failure(kept));
        next.count_failed(&self.fingerprint);
        self.update_or_say(device, next);
    }

    /// The report holds something that the record must learn; `false` at every boot after the one
    /// that has written it.
    pub fn must_learn(&self, reported: &ReportEnd) -> bool {
        let open = self.record.open.as_ref();
        let ended =
            open.is_some_and(|open| !open.token.is_empty() || self.has_ended(open, reported));
        reported.said
            || ended
            || (reported.at_target && self.record.remembers_tries(&self.fingerprint))
    }

    /// It is in the database, or nothing is left for this catalogue to do.
    fn has_ended(&self, open: &OpenOperation, reported: &ReportEnd) -> bool {
        self.is_done(open) || (reported.at_target && open.fingerprint == self.fingerprint)
    }

    /// It was when this run looked.
    fn is_done(&self, open: &OpenOperation) -> bool {
        Some(open.number) <= self.committed
    }

    /// The report is written: the operation in it has ended, whatever database stands under the
    /// name at a later boot. Its token is handled, and its loss, where it had one, has been
    /// reported.
    ///
    /// # Errors
    /// The record cannot be written: the loss is reported once more, and the next boot closes the
    /// operation.
    pub fn close_reported(
        &mut self,
        device: &Device<'_>,
        reported: &ReportEnd,
    ) -> Result<(), Failure> {
        let mut next = self.record.clone();
        let ended =
            next.open.take_if(|open| !open.token.is_empty() || self.has_ended(open, reported));
        if let Some(open) = ended {
            if !self.is_done(&open) {
                next.losses.retain(|loss| loss.operation != open.number);
                if open.fingerprint != self.fingerprint && !open.kind.replaces() {
                    next.change_counts(&open.fingerprint, |counts| {
                        counts.interrupted = counts.interrupted.saturating_add(1)
                    });
                }
            }
            if !open.token.is_empty() {
                next.remember_token(&open.token);
            }
        }
        if reported.at_target && next.remembers_tries(&self.fingerprint) {
            // What stood in the way is gone.
            next.forget_tries(&self.fingerprint);
        }
        next.losses.retain(|loss| !reported.losses.contains(&loss.operation));
        next.held_data = true;
        self.update(device, next)
    }
}
