//! Owns the reasons that are an operator's own word: what `purge`, `snapshot restore`,
//! `quarantine restore` and `rollback` write beside the old files.
//! Promises: a loss that an operator asked for is told from one that a failure or damage led to.
//! Never changes a word: `reason.txt` of an earlier version is read for them.

/// Why an operator's `purge` replaces what is there.
pub const PURGE_ASKED: &str = "`purge` was asked for";
/// Why an operator's `snapshot restore` replaces what is there.
pub const RESTORE_ASKED: &str = "`snapshot restore` was asked for";
/// Why an operator's `quarantine restore` replaces what is there.
pub const QUARANTINE_RESTORE_ASKED: &str = "`quarantine restore` was asked for";

/// Why an operator's `rollback` replaces what is there.
pub const ROLLBACK_ASKED: &str = "`rollback` was asked for";

/// An operator asked for what was done for this reason.
pub fn by_an_operator(reason: &str) -> bool {
    [PURGE_ASKED, RESTORE_ASKED, QUARANTINE_RESTORE_ASKED, ROLLBACK_ASKED].contains(&reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_that_damage_led_to_was_not_asked_for() {
        assert!(by_an_operator(PURGE_ASKED));
        assert!(by_an_operator(RESTORE_ASKED));
        assert!(by_an_operator(QUARANTINE_RESTORE_ASKED));
        assert!(!by_an_operator("page 7 is torn"));
        assert!(!by_an_operator(""));
    }
}
