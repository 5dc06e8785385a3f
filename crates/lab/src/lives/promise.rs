//! Owns the names of the promises that a life can break: their number in the design, and their
//! first words.
//! Promises: a finding always has one of these.
//! Never says what a promise means: that is the reference.

/// Old or new.
pub const OLD_OR_NEW: &str = "1 old or new";
/// No silent loss.
pub const NO_SILENT_LOSS: &str = "2 no silent loss";
/// No brick, no boot loop.
pub const NO_LOOP: &str = "3 no brick, no boot loop";
/// The right cure.
pub const RIGHT_REPAIR: &str = "4 the right repair";
/// A quiet boot costs nothing.
pub const QUIET: &str = "5 a quiet boot costs nothing";
/// Old firmware on newer data has an answer.
pub const NEWER: &str = "7 old firmware on newer data has an answer";
/// It says what happened.
pub const SAYS: &str = "8 it says what happened";
/// A bad migration does not reach the device; and a good one does.
pub const BUILD: &str = "9 a bad migration does not reach the device";
/// No panic.
pub const NO_PANIC: &str = "10 no panic";
/// What failed last is said until something succeeds.
pub const LAST_FAILURE: &str = "13 what failed last is said";
