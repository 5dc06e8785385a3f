//! Owns the record's part of a wipe: begun durably with the tokens that were handled, and closed
//! once nothing is left.
//! Promises: from the update that begins it every boot finishes it; it and the one that closes it
//! leave nothing of the old record.
//! Never forgets a token that was handled.

use super::RecordStore;
use crate::decide::record::{OpenOperation, OperationKind, Record};
use crate::device::disk::Op;
use crate::device::files::OPERATION_MAX;
use crate::device::Device;
use crate::error::{Class, Failure};

const OP: Op = Op("begin what was asked for");
/// Why it was begun.
const ASKED: &str = "`wipe` was asked for";

impl RecordStore {
    /// A wipe was begun, and is not known to have ended.
    pub fn is_wiping(&self) -> bool {
        self.record.open.as_ref().is_some_and(|open| open.kind == OperationKind::Wipe)
    }

    /// Nothing is read or kept of a database that is being removed.
    ///
    /// # Errors
    /// Waits.
    pub fn no_wipe_waits(&self, device: &Device<'_>) -> Result<(), Failure> {
        if !self.is_wiping() {
            return Ok(());
        }
        let cause =
            "a wipe was cut off, and `bootmigrate run` or `bootmigrate wipe` finishes it first";
        Err(Failure::new(Class::Waits, OP, cause).at(&device.state.root))
    }

    /// From this update on everything goes. Tokens stay handled, and so do those of now: of a
    /// record that was lost they are all that is known, and a token asks for less than this.
    ///
    /// # Errors
    /// The record cannot be written: nothing is begun.
    pub fn begin_wipe(&mut self, device: &Device<'_>, present: &[String]) -> Result<(), Failure> {
        // Where the numbers are used up, all that has one goes now.
        let (number, good_operation) = match self.last_number(device)? {
            OPERATION_MAX.. => (1, 0),
            last => (last.saturating_add(1), self.record.good_operation),
        };
        let mut next = Record {
            last_operation: number,
            good_operation,
            tokens: self.record.tokens.clone(),
            open: Some(OpenOperation {
                number,
                kind: OperationKind::Wipe,
                fingerprint: self.fingerprint,
                starts: 1,
                token: String::new(),
                reason: ASKED.to_owned(),
            }),
            ..Record::default()
        };
        let open = self.open_token().to_owned();
        for token in std::iter::once(&open).chain(present).filter(|token| !token.is_empty()) {
            next.remember_token(token);
        }
        self.update(device, next)
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// The record cannot be written: the next boot looks once more, and closes it.
    pub fn end_wipe(&mut self, device: &Device<'_>) -> Result<(), Failure> {
        self.lost = false;
        self.update(device, Record { open: None, ..self.record.clone() })
    }
}
