//! Owns the reasons that are an operator's own word: what `purge`, `snapshot restore` and `quarantine restore` write beside the old files.
//! Promises: a loss that a person asked for is told from one that a failure or damage led to.
//! Never changes a word: `reason.txt` of an earlier version is read for them.

/// Why an operator's `purge` replaces what is there.
pub const PURGE_ASKED: &str = "`purge` was asked for";
/// Why an operator's `snapshot restore` replaces what is there.
pub const RESTORE_ASKED: &str = "`snapshot restore` was asked for";
/// Why an operator's `quarantine restore` replaces what is there.
pub const QUARANTINE_RESTORE_ASKED: &str = "`quarantine restore` was asked for";

/// A person asked for what was done for this reason.
pub fn by_a_person(reason: &str) -> bool {
    [PURGE_ASKED, RESTORE_ASKED, QUARANTINE_RESTORE_ASKED].contains(&reason)
}
