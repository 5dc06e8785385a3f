//! Owns how often a catalogue's repairs of a damaged database failed.
//! Promises: it is apart from its migrations' failures, so that a whole file that is put in the
//! damaged one's place is migrated.
//! Never a field of its own: it is the `failed` of a fingerprint that no catalogue has.

use super::{Fingerprint, Record};

/// How often a catalogue's migrations and its repairs failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FailedTries {
    migrations: u8,
    repairs: u8,
}

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

    /// Failures of its migrations and of its repairs, for [`Record::take_back_failed`].
    pub fn failed(&self, fingerprint: &Fingerprint) -> FailedTries {
        let migrations = self.counts_of(fingerprint).failed;
        FailedTries { migrations, repairs: self.failed_repairs(fingerprint) }
    }

    /// What failed since counts no more; what was forgotten since stays forgotten.
    pub fn take_back_failed(&mut self, fingerprint: &Fingerprint, before: FailedTries) {
        for (whose, before) in
            [(*fingerprint, before.migrations), (of_repairs(fingerprint), before.repairs)]
        {
            if self.counts_of(&whose).failed > before {
                self.change_counts(&whose, |counts| counts.failed = before);
            }
        }
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
