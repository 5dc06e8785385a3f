//! Owns how often a catalogue's repairs of a damaged database failed.
//! Promises: it is apart from its migrations' failures, so that a whole file that is put in the
//! damaged one's place is migrated.
//! Never a field of its own: it is the `failed` of a fingerprint that no catalogue has.

use super::{Fingerprint, Record};

impl Record {
    /// Repairs that failed since this catalogue last succeeded.
    pub fn failed_repairs(&self, fingerprint: &Fingerprint) -> u8 {
        self.counts_of(&of_repairs(fingerprint)).failed
    }

    /// One more failure of its migrations.
    pub fn count_failed(&mut self, fingerprint: &Fingerprint) {
        self.change_counts(fingerprint, |counts| counts.failed = counts.failed.saturating_add(1));
    }

    /// One more of its repairs failed.
    pub fn count_failed_repair(&mut self, fingerprint: &Fingerprint) {
        self.count_failed(&of_repairs(fingerprint));
    }

    /// No failed repair of it counts any more.
    pub fn forget_failed_repairs(&mut self, fingerprint: &Fingerprint) {
        self.counts.retain(|counts| counts.fingerprint != of_repairs(fingerprint));
    }
}

/// Every bit of it inverted.
fn of_repairs(fingerprint: &Fingerprint) -> Fingerprint {
    fingerprint.map(|byte| !byte)
}
