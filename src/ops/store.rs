//! Owns the record on disk: which operation is open, what was tried, what must still be said.
//! Promises: an operation is durable before its danger begins; every update is synced; an
//! interrupted operation is counted with the next update.
//! Never writes at a quiet boot, and never again after an update failed.

mod ending;
mod wipe;

use std::io;

use crate::decide::asked::by_an_operator;
use crate::decide::facts::EarlierOperation;
use crate::decide::record::{
    self, Counts, FailedTries, Fingerprint, Loss, OpenOperation, OperationKind, Record,
    RecordSlots, RecordedFailure, SLOT_BYTES,
};
use crate::device::disk::{File, Op, Open};
use crate::device::files::OPERATION_MAX;
use crate::device::Device;
use crate::error::{Class, Failure};
use crate::ops::group::Others;
use crate::ops::lock::Locked;
use crate::ops::state_folder::make_record;

pub use ending::ReportEnd;

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
    /// What had failed when this run began.
    failed_before: FailedTries,
    /// Both slots are zeros.
    blank: bool,
    /// No slot was whole, of a record that had been there: counts are 0, and a token present now is
    /// taken as handled.
    pub lost: bool,
    /// The format of another firmware: nothing may be touched.
    pub unknown_format: Option<u32>,
    /// The tokens of whoever asks for something now.
    pub present: Vec<String>,
    /// The last operation that committed in the database, known after inspection; `None` where it
    /// cannot be read.
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
    /// It repairs a database that is damaged or lost.
    repairs: bool,
}

impl RecordStore {
    /// Reads the record; makes an empty one where state may be written and none is there.
    ///
    /// # Errors
    /// As `open`, `read`, and (making it) `write` and `fsync`; waits where a wipe was cut off,
    /// since a boot comes first.
    pub fn open(device: &Device<'_>, locked: &Locked) -> Result<RecordStore, Failure> {
        let store = RecordStore::open_to_begin(device, locked)?;
        store.no_wipe_waits(device)?;
        Ok(store)
    }

    /// The same for a boot and for `wipe`, which finish a wipe that was cut off.
    ///
    /// # Errors
    /// As `open`, `read`, `write` and `fsync`.
    pub fn open_to_begin(device: &Device<'_>, locked: &Locked) -> Result<RecordStore, Failure> {
        let path = device.state.record();
        let failed = |migration, error: &io::Error| Failure::io(migration, &path, error);
        let disk = device.disk();
        let mut there = true;
        let file = if locked.writable() {
            match disk.open(READ, &path, Open::ReadWrite) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    there = false;
                    let made = make_record(device, locked.ownership);
                    Some(made.map_err(|error| failed(MAKE, &error))?)
                }
                opened => Some(opened.map_err(|error| failed(READ, &error))?),
            }
        } else {
            open_to_read(device)?
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
        // Whoever makes the folder makes the record, of zeros: one that is absent or torn is lost.
        let blank = there && store.blank;
        store.lost =
            store.sequence == 0 && store.unknown_format.is_none() && locked.writable() && !blank;
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
    /// As `open` and `read`.
    pub fn look(device: &Device<'_>) -> Result<RecordStore, Failure> {
        let file = open_to_read(device)?;
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
            failed_before: FailedTries::default(),
            blank: bytes.iter().all(|byte| *byte == 0),
            lost: false,
            unknown_format: None,
            present: Vec::new(),
            committed: None,
            version: None,
        };
        match record::read_slots(&bytes) {
            RecordSlots::Valid { record, sequence, next_slot } => {
                let record = without_strange_numbers(*record);
                (store.record, store.sequence, store.next_slot) = (record, sequence, next_slot);
            }
            RecordSlots::UnknownFormat(format) => store.unknown_format = Some(format),
            RecordSlots::Nothing => {}
        }
        store.failed_before = store.record.failed(&store.fingerprint);
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

    /// The open operation is not done: its number is not in the database. Of a database that cannot
    /// be read only a replacement is known to be open, since one that is done closes the record.
    fn interrupted(&self) -> Option<&OpenOperation> {
        self.record.open.as_ref().filter(|open| match self.committed {
            Some(committed) => open.number > committed,
            None => open.kind.replaces(),
        })
    }

    /// The open operation, for a decision. What an operator asked for is asked for again: a boot
    /// goes on with none of it.
    pub fn open_operation(&self) -> EarlierOperation {
        match self.interrupted().filter(|open| !by_an_operator(&open.reason)) {
            None => EarlierOperation::None,
            Some(open) => EarlierOperation::Interrupted {
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
        let ours = |open: &&OpenOperation| open.fingerprint == self.fingerprint;
        let migrates = self.interrupted().filter(ours).filter(|open| !open.kind.replaces());
        counts.interrupted = counts.interrupted.saturating_add(u8::from(migrates.is_some()));
        counts
    }

    /// Repairs by this catalogue that failed.
    pub fn failed_repairs(&self) -> u8 {
        self.record.failed_repairs(&self.fingerprint)
    }

    /// Losses of operations that are done and that no run has reported, oldest first.
    pub fn losses(&self) -> impl Iterator<Item = &Loss> {
        self.record.losses.iter().filter(|loss| self.has_happened(loss))
    }

    /// Its operation is in the database; or another was begun after it, which forgets what was not
    /// done.
    fn has_happened(&self, loss: &Loss) -> bool {
        let open = self.record.open.as_ref().map(|open| open.number);
        open != Some(loss.operation)
            || self.committed.is_some_and(|committed| loss.operation <= committed)
    }

    /// Why the last operation that failed did so, unless one after it ended well: this catalogue's,
    /// unless `others_only`, else another's.
    pub fn last_failure(&self, others_only: bool) -> Option<&RecordedFailure> {
        let counts = |failure: &&RecordedFailure| {
            self.committed.is_none_or(|committed| failure.operation > committed)
        };
        let ours = |failure: &&RecordedFailure| failure.fingerprint == self.fingerprint;
        let mut failures = self.record.failures.iter().filter(counts);
        let other = failures.clone().find(|failure| !ours(failure));
        failures.find(|failure| ours(failure) && !others_only).or(other)
    }

    /// This token was honoured to its end, or may have been before the record was lost. One whose
    /// operation was cut off was not.
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

    /// Makes an operation durable before its danger begins. An interrupted one before it is counted
    /// and closed by the same update; a replacement that was interrupted goes on under its own
    /// number.
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
            open.fingerprint == self.fingerprint
                && open.kind == kind
                && kind.replaces()
                && by_an_operator(&open.reason) == by_an_operator(order.reason)
        });
        let (number, starts, token) = match going_on {
            Some(open) => (open.number, open.starts.saturating_add(1), open.token.clone()),
            None => (self.next_number(device)?, 1, order.token.to_owned()),
        };
        let mut next = self.record.clone();
        next.keep_tokens(&self.present);
        if let Some(open) = self.interrupted().filter(|open| !open.kind.replaces()) {
            next.change_counts(&open.fingerprint.clone(), |counts| {
                counts.interrupted = counts.interrupted.saturating_add(1)
            });
        }
        if order.forget_tries {
            next.change_counts(&self.fingerprint, |counts| {
                (counts.failed, counts.interrupted) = (0, 0)
            });
            next.forget_failed_repairs(&self.fingerprint);
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
        // What was lost before stays until it was reported, whatever becomes of this operation.
        next.losses.retain(|loss| loss.operation != number && self.has_happened(loss));
        let loss = order.loss.map(|text| Loss { operation: number, text: text.to_owned() });
        next.losses.extend(loss);
        self.update(device, next)?;
        let repairs = order.repairs && kind.replaces() && !kind.purges();
        Ok(Operation { number, kind, counted, repairs })
    }

    /// 1 + the largest number that record, database, snapshots or quarantine have seen.
    ///
    /// # Errors
    /// As `readdir`; not ours where the numbers are used up.
    pub fn next_number(&self, device: &Device<'_>) -> Result<u64, Failure> {
        let last = self.last_number(device)?;
        if last >= OPERATION_MAX {
            let cause = "the numbers of operations are used up, which no device does by itself; \
                         `bootmigrate wipe` begins again at 1";
            return Err(Failure::new(Class::NotOurs, READ, cause).at(&device.state.root));
        }
        Ok(last.saturating_add(1))
    }

    fn last_number(&self, device: &Device<'_>) -> Result<u64, Failure> {
        let disk = device.disk();
        let failed = |error: io::Error| Failure::io(READ, &device.state.root, &error);
        let snapshots = device.state.list_snapshots(disk).map_err(failed)?;
        let quarantine = device.state.list_quarantine(disk).map_err(failed)?;
        let seen = snapshots.iter().map(|name| name.operation).chain(quarantine);
        let known = [self.record.last_operation, self.committed.unwrap_or(0)];
        Ok(seen.chain(known).max().unwrap_or(0))
    }

    /// What this operation lost, as far as the record knows.
    pub fn loss_of(&self, operation: u64) -> Option<&str> {
        let mut losses = self.record.losses.iter();
        losses.find(|loss| loss.operation == operation).map(|loss| loss.text.as_str())
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
        // Newer firmware's record has its own losses, and is not this firmware's to write.
        if self.unknown_format.is_some() || self.loss_of(operation).is_some() {
            return Ok(());
        }
        let mut next = self.record.clone();
        next.losses.push(Loss { operation, text: text.to_owned() });
        next.last_operation = next.last_operation.max(operation);
        self.update(device, next)
    }

    /// What was begun until now is proven: snapshots of it are for no way back any more. The last
    /// operation that was proven before; `None` where all of them were, and nothing is written.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn mark_good(&mut self, device: &Device<'_>) -> Result<Option<Record>, Failure> {
        let good_operation = self.next_number(device)?.saturating_sub(1);
        let before = self.record.clone();
        if before.good_operation >= good_operation {
            return Ok(None);
        }
        let mut next = Record { good_operation, ..before.clone() };
        // What works does not purge at each boot.
        next.forget_purges(&self.fingerprint);
        self.update(device, next).map(|()| Some(before))
    }

    /// The slot is not proven after all: another of its databases could not be marked.
    pub fn take_back_good(&mut self, device: &Device<'_>, before: Record) {
        if let Err(failure) = self.update(device, before) {
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
            next.keep_tokens(&self.present);
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
                "{}: the record could not be updated: {failure}; the next boot counts this \
                 operation as interrupted.",
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
    /// A fresh database counts towards the bound on purges: not where nothing was left to lose, or
    /// an operator named the database.
    pub purge_counts: bool,
    /// The database is damaged or lost.
    pub repairs: bool,
    /// Which databases go together with it.
    pub others: &'a dyn Others,
}

/// What no bootmigrate has counted to counts as absent.
fn without_strange_numbers(mut record: Record) -> Record {
    let known = |operation: u64| if operation > OPERATION_MAX { 0 } else { operation };
    record.last_operation = known(record.last_operation);
    record.good_operation = known(record.good_operation);
    record.open.take_if(|open| open.number > OPERATION_MAX);
    record.losses.retain(|loss| loss.operation <= OPERATION_MAX);
    record.failures.retain(|failure| failure.operation <= OPERATION_MAX);
    record
}

/// For somebody who may not write it; `None` where it is absent, or not theirs to read.
fn open_to_read(device: &Device<'_>) -> Result<Option<Box<dyn File>>, Failure> {
    let path = device.state.record();
    match device.disk().open(READ, &path, Open::Read) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        opened => opened.map(Some).map_err(|error| Failure::io(READ, &path, &error)),
    }
}
