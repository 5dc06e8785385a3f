//! Owns the record on disk: which operation is open, what was tried, what must still be said.
//! Promises: an operation is durable before its danger begins; every update is synced; an interrupted operation is counted with the next update.
//! Never writes at a quiet boot, and never again after an update failed.

use std::io;

use crate::decide::facts::OpenOperation as OpenOperationFact;
use crate::decide::record::{
    self, Counts, FailedAt, Fingerprint, LastFailure, Loss, Needs, OpenOperation, OperationKind,
    Record, RecordSlots, SLOT_BYTES,
};
use crate::device::disk::{parent, File, Op, Open};
use crate::device::Device;
use crate::error::{Class, Failure, Place};
use crate::ops::lock::Locked;
use crate::ops::together::Others;
use crate::ops::verify::ROW_FOLLOWS;

const READ: Op = Op("read the record");
const MAKE: Op = Op("make the record");
const UPDATE: Op = Op("update the record");

/// The record of one database, open for this run.
pub struct RecordStore {
    file: Option<Box<dyn File>>,
    record: Record,
    sequence: u64,
    next_slot: usize,
    fingerprint: Fingerprint,
    /// Both slots are zeros.
    blank: bool,
    /// The state folder was there and no slot was whole: counts are 0, and a token present now is taken as handled.
    pub lost: bool,
    /// The format of another firmware: nothing may be touched.
    pub unknown_format: Option<u32>,
    /// The last operation that committed in the database, known after inspection; `None` where it cannot be read.
    pub committed: Option<u64>,
    /// The database's version, known after inspection; `None` where it cannot be read.
    pub version: Option<i64>,
}

/// An operation that is durable in the record. Made only by [`RecordStore::begin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Its number.
    pub number: u64,
    /// What it does.
    pub kind: OperationKind,
    /// It is counted as a purge.
    counted: bool,
}

impl RecordStore {
    /// Reads the record; makes an empty one where state may be written and none is there.
    ///
    /// # Errors
    /// As `open`, `read`, and (making it) `write` and `fsync`.
    pub fn open(device: &Device<'_>, locked: &Locked) -> Result<RecordStore, Failure> {
        let path = device.state.record();
        let failed = |migration, error: &io::Error| Failure::io(migration, &path, error);
        let disk = device.disk();
        let mut there = true;
        let file = if locked.writable() {
            match disk.open(READ, &path, Open::ReadWrite) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    there = false;
                    Some(make(device, locked).map_err(|error| failed(MAKE, &error))?)
                }
                opened => Some(opened.map_err(|error| failed(READ, &error))?),
            }
        } else {
            disk.open(READ, &path, Open::Read).ok()
        };
        if let Some(file) = &file {
            // What was opened, whatever had the name before.
            let opened = file.stat_when_opened().map_err(|error| failed(READ, &error))?;
            locked
                .trust
                .accept_alone(device, &path, &opened)
                .map_err(|error| failed(READ, &error))?;
        }
        let mut store = RecordStore::read(device, file.as_deref())?;
        // A record of zeros was made and never updated; one that is absent or torn, in a folder that was there, is lost.
        let blank = there && store.blank;
        store.lost = store.sequence == 0
            && store.unknown_format.is_none()
            && locked.writable()
            && !locked.first_run
            && !blank;
        if store.lost {
            log::warn!(
                "{}: the record of earlier tries was lost; they count as none.",
                device.settings.name
            );
        }
        store.file = file.filter(|_| locked.writable());
        Ok(store)
    }

    /// Reads the record for somebody who only looks; one that is absent is empty.
    ///
    /// # Errors
    /// As `read`.
    pub fn look(device: &Device<'_>) -> Result<RecordStore, Failure> {
        let file = device.disk().open(READ, &device.state.record(), Open::Read).ok();
        RecordStore::read(device, file.as_deref())
    }

    fn read(device: &Device<'_>, file: Option<&dyn File>) -> Result<RecordStore, Failure> {
        let mut bytes = vec![0; 2 * SLOT_BYTES];
        if let Some(file) = file {
            let failed = |error: io::Error| Failure::io(READ, &device.state.record(), &error);
            if file.stat_when_opened().map_err(failed)?.size > bytes.len() as u64 {
                log::warn!(
                    "{}: the record is longer than its two slots; what follows them is not used.",
                    device.settings.name
                );
            }
            file.read_at(0, &mut bytes).map_err(failed)?;
        }
        let mut store = RecordStore {
            file: None,
            record: Record::default(),
            sequence: 0,
            next_slot: 0,
            fingerprint: device.catalog.fingerprint,
            blank: bytes.iter().all(|byte| *byte == 0),
            lost: false,
            unknown_format: None,
            committed: None,
            version: None,
        };
        match record::read_slots(&bytes) {
            RecordSlots::Valid { record, sequence, next_slot } => {
                (store.record, store.sequence, store.next_slot) = (*record, sequence, next_slot);
            }
            RecordSlots::UnknownFormat(format) => store.unknown_format = Some(format),
            RecordSlots::Nothing => {}
        }
        Ok(store)
    }

    /// What the record says.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// It was read whole: an operation that it does not know was not begun.
    pub fn is_whole(&self) -> bool {
        !self.lost && self.unknown_format.is_none()
    }

    /// The open operation is not done: its number is not in the database. Of a database that cannot be read only a replacement is
    /// known to be open, since one that is done closes the record.
    fn interrupted(&self) -> Option<&OpenOperation> {
        self.record.open.as_ref().filter(|open| match self.committed {
            Some(committed) => open.number > committed,
            None => open.kind.replaces(),
        })
    }

    /// The open operation, for a decision.
    pub fn open_operation(&self) -> OpenOperationFact {
        match self.interrupted() {
            None => OpenOperationFact::None,
            Some(open) => OpenOperationFact::Interrupted {
                kind: open.kind,
                ours: open.fingerprint == self.fingerprint,
                starts: open.starts,
                reason: open.reason.clone(),
            },
        }
    }

    /// Tries of this catalogue, with an interrupted operation of its own counted.
    pub fn tries(&self) -> Counts {
        let mut counts = self.record.counts_of(&self.fingerprint);
        let migrates = self
            .interrupted()
            .filter(|open| open.fingerprint == self.fingerprint && !open.kind.replaces());
        counts.interrupted = counts.interrupted.saturating_add(u8::from(migrates.is_some()));
        counts
    }

    /// A loss of an operation that is done and that no run has reported.
    pub fn loss(&self) -> Option<&Loss> {
        self.record
            .loss
            .as_ref()
            .filter(|loss| self.committed.is_some_and(|committed| loss.operation <= committed))
    }

    /// Why the last operation that failed did so, unless one after it ended well: this catalogue's, unless `others_only`, else another's.
    pub fn last_failure(&self, others_only: bool) -> Option<&LastFailure> {
        let counts = |failure: &&LastFailure| {
            self.committed.is_none_or(|committed| failure.operation > committed)
        };
        let ours = |failure: &&LastFailure| failure.fingerprint == self.fingerprint;
        let mut failures = self.record.failures.iter().filter(counts);
        let other = failures.clone().find(|failure| !ours(failure));
        failures.find(|failure| ours(failure) && !others_only).or(other)
    }

    /// This token was honoured to its end, or may have been before the record was lost. One whose operation was cut off was not.
    pub fn knows_token(&self, token: &str) -> bool {
        match &self.record.open {
            Some(open) if open.token == token => self.interrupted().is_none(),
            _ => self.lost || self.record.knows_token(token),
        }
    }

    /// Bytes that this catalogue found missing.
    pub fn needed(&self) -> Option<u64> {
        self.record
            .needs
            .as_ref()
            .filter(|needs| needs.fingerprint == self.fingerprint)
            .map(|needs| needs.bytes)
    }

    /// Makes an operation durable before its danger begins. An interrupted one before it is counted and closed by the same update;
    /// a replacement that was interrupted goes on under its own number.
    ///
    /// # Errors
    /// The record cannot be written: nothing is begun.
    pub fn begin(
        &mut self,
        device: &Device<'_>,
        kind: OperationKind,
        order: &Order<'_>,
    ) -> Result<Operation, Failure> {
        let going_on = self.interrupted().filter(|open| {
            open.fingerprint == self.fingerprint && open.kind == kind && kind.replaces()
        });
        let (number, starts, token) = match going_on {
            Some(open) => (open.number, open.starts.saturating_add(1), open.token.clone()),
            None => (self.next_number(device)?, 1, order.token.to_owned()),
        };
        let mut next = self.record.clone();
        if let Some(open) = self.interrupted().filter(|open| !open.kind.replaces()) {
            next.change_counts(&open.fingerprint.clone(), |counts| {
                counts.interrupted = counts.interrupted.saturating_add(1)
            });
        }
        if order.forget_tries {
            next.change_counts(&self.fingerprint, |counts| {
                (counts.failed, counts.interrupted) = (0, 0)
            });
        }
        let counted = kind.purges() && order.purge_counts;
        if counted && starts == 1 {
            next.change_counts(&self.fingerprint, |counts| {
                counts.purges = counts.purges.saturating_add(1)
            });
        }
        let reason = order.reason.to_owned();
        next.open = Some(OpenOperation {
            number,
            kind,
            fingerprint: self.fingerprint,
            starts,
            token,
            reason,
        });
        next.last_operation = next.last_operation.max(number);
        next.needs = None;
        // One that is done and not yet reported stays until it was reported, whatever becomes of this operation.
        if self.loss().is_none() {
            next.loss = order.loss.map(|text| Loss { operation: number, text: text.to_owned() });
        }
        self.update(device, next)?;
        Ok(Operation { number, kind, counted })
    }

    /// 1 + the largest number that record, database, snapshots or quarantine have seen.
    ///
    /// # Errors
    /// As `readdir`.
    pub fn next_number(&self, device: &Device<'_>) -> Result<u64, Failure> {
        let disk = device.disk();
        let failed = |error: io::Error| Failure::io(READ, &device.state.root, &error);
        let snapshots = device.state.list_snapshots(disk).map_err(failed)?;
        let quarantine = device.state.list_quarantine(disk).map_err(failed)?;
        let seen = snapshots.iter().map(|name| name.operation).chain(quarantine);
        Ok(seen
            .chain([self.record.last_operation, self.committed.unwrap_or(0)])
            .max()
            .unwrap_or(0)
            .saturating_add(1))
    }

    /// Closes an operation that failed: counted only for [`Class::Failed`], left open for [`Class::Interrupted`], else (and for [`Class::Waits`]) as if it had never begun.
    pub fn close_failed(&mut self, device: &Device<'_>, operation: Operation, failure: &Failure) {
        if failure.class == Class::Interrupted {
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
        next.loss = next.loss.filter(|loss| loss.operation != operation.number);
        // A repair that finds its source damaged will find it so at every boot: counted, so that it ends.
        let vain_repair = failure.class == Class::Damaged && operation.kind.replaces();
        if vain_repair {
            next.change_counts(&self.fingerprint, |counts| {
                counts.failed = counts.failed.saturating_add(1)
            });
        }
        if failure.class == Class::Failed {
            next.change_counts(&self.fingerprint, |counts| {
                counts.failed = counts.failed.saturating_add(1)
            });
            if !token.is_empty() {
                next.remember_token(&token);
            }
        }
        if failure.class == Class::NoSpace {
            next.needs =
                failure.bytes_needed.map(|bytes| Needs { fingerprint: self.fingerprint, bytes });
        }
        self.update_or_say(device, next);
    }

    /// What is kept of a failure; `None` where it says nothing of this firmware or of its storage.
    fn kept(&self, device: &Device<'_>, operation: u64, failure: &Failure) -> Option<LastFailure> {
        if matches!(failure.class, Class::InUse | Class::Waits | Class::Interrupted) {
            return None;
        }
        let place = failure.place.as_ref();
        let at = |place: &Place| FailedAt {
            file: place.file.clone(),
            version: place.version,
            line: place.line,
            column: place.column,
        };
        Some(LastFailure {
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

    /// A failure that no check of the file explains is the migration's: counted, so that it ends.
    pub fn count_failure(&mut self, device: &Device<'_>, failure: &Failure) {
        let mut next = self.record.clone();
        self.kept(device, self.record.last_operation, failure)
            .into_iter()
            .for_each(|kept| next.keep_failure(kept));
        next.change_counts(&self.fingerprint, |counts| {
            counts.failed = counts.failed.saturating_add(1)
        });
        self.update_or_say(device, next);
    }

    /// Keeps a loss that is known only from a ready file, before that file takes main's name.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn keep_loss(
        &mut self,
        device: &Device<'_>,
        operation: u64,
        text: &str,
    ) -> Result<(), Failure> {
        if self.record.loss.is_some() {
            return Ok(());
        }
        let mut next = self.record.clone();
        next.loss = Some(Loss { operation, text: text.to_owned() });
        next.last_operation = next.last_operation.max(operation);
        self.update(device, next)
    }

    /// The report holds something that the record must learn; `false` at every boot after the one that has written it.
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

    /// The report is written: the operation in it has ended, whatever database stands under the name at a later boot. Its token is
    /// handled, and its loss, where it had one, has been reported.
    ///
    /// # Errors
    /// The record cannot be written: the loss is reported once more, and the next boot closes the operation.
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
                next.loss = next.loss.filter(|loss| loss.operation != open.number);
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
        if reported.said {
            next.loss = None;
        }
        next.held_data = true;
        self.update(device, next)
    }

    /// What was begun until now is proven: snapshots of it are for no way back any more. The last operation that was proven before;
    /// `None` where all of them were, and nothing is written.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn mark_good(&mut self, device: &Device<'_>) -> Result<Option<u64>, Failure> {
        let good_operation = self.next_number(device)?.saturating_sub(1);
        let before = self.record.good_operation;
        if before >= good_operation {
            return Ok(None);
        }
        self.update(device, Record { good_operation, ..self.record.clone() }).map(|()| Some(before))
    }

    /// The slot is not proven after all: another of its databases could not be marked.
    pub fn take_back_good(&mut self, device: &Device<'_>, before: u64) {
        if let Err(failure) =
            self.update(device, Record { good_operation: before, ..self.record.clone() })
        {
            log::warn!("{}: it stays marked good: {failure}.", device.settings.name);
        }
    }

    /// A database with content stands under the name; remembered once.
    pub fn remember_data(&mut self, device: &Device<'_>) {
        if !self.record.held_data && self.file.is_some() {
            let next = Record { held_data: true, ..self.record.clone() };
            self.update_or_say(device, next);
        }
    }

    /// A token that asked for nothing that was to be done is handled.
    pub fn remember_token(&mut self, device: &Device<'_>, token: &str) {
        if !token.is_empty() && !self.record.knows_token(token) {
            let mut next = self.record.clone();
            next.remember_token(token);
            self.update_or_say(device, next);
        }
    }

    /// The token of the open operation.
    pub fn open_token(&self) -> &str {
        self.record.open.as_ref().map_or("", |open| &open.token)
    }

    fn update_or_say(&mut self, device: &Device<'_>, next: Record) {
        if let Err(failure) = self.update(device, next) {
            log::warn!(
                "{}: the record could not be updated: {failure}; the next boot counts this operation as interrupted.",
                device.settings.name
            );
        }
    }

    /// Rewrites the older slot and syncs it; what is in memory changes only then.
    fn update(&mut self, device: &Device<'_>, next: Record) -> Result<(), Failure> {
        let Some(file) = &self.file else {
            return Err(Failure::new(Class::Storage, UPDATE, "the record cannot be written")
                .at(&device.state.record()));
        };
        let bytes = record::write_slot(&next, self.sequence.saturating_add(1));
        let offset = (self.next_slot * SLOT_BYTES) as u64;
        let written = file.write_at(UPDATE, offset, &bytes).and_then(|()| file.sync_data(UPDATE));
        if let Err(error) = written {
            // What a failed sync left is unknown, so nothing more is written to it by this run.
            self.file = None;
            return Err(Failure::io(UPDATE, &device.state.record(), &error));
        }
        self.sequence = self.sequence.saturating_add(1);
        self.next_slot = 1 - self.next_slot;
        self.record = next;
        Ok(())
    }
}

/// What a run has reported of a database that may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportEnd {
    /// The schema is this firmware's: what this run did has ended.
    pub at_target: bool,
    /// A loss or a replacement was part of the report.
    pub said: bool,
}

/// What an operation is begun with.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// Why.
    pub reason: &'a str,
    /// The token that asked for it; empty for none.
    pub token: &'a str,
    /// `--retry` and `--purge-and-retry`: tries so far are forgotten.
    pub forget_tries: bool,
    /// What is lost, in words.
    pub loss: Option<&'a str>,
    /// A fresh database counts towards the bound on purges: not where nothing was left to lose, or an operator named the database.
    pub purge_counts: bool,
    /// Which databases go together with it.
    pub others: &'a dyn Others,
}

/// What is shown for as long as it lasts, and goes into a bundle, has no row of a table in it.
fn without_row(what: &str) -> String {
    what.split_once(ROW_FOLLOWS)
        .map_or_else(|| what.to_owned(), |(before, _)| format!("{before}{ROW_FOLLOWS}(left out)"))
}

/// Written with zeros and synced when made, so that an update never allocates on a file system that rewrites in place.
fn make(device: &Device<'_>, locked: &Locked) -> io::Result<Box<dyn File>> {
    let disk = device.disk();
    let path = device.state.record();
    let file = disk.open(MAKE, &path, Open::CreateNew { mode: 0o600 })?;
    file.write_at(MAKE, 0, &vec![0; 2 * SLOT_BYTES])?;
    file.take_owner(MAKE, locked.ownership.uid, locked.ownership.gid, 0o600)?;
    file.sync(MAKE)?;
    disk.sync_folder(MAKE, parent(&path))?;
    Ok(file)
}
