//! Owns the exit codes: the number, the word in reports, the meaning in the help, and which of two
//! is graver.
//! Promises: one table; a run of several databases ends with the gravest of theirs.
//! Never changes a number or a word: supervisors and fleets read them.

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The number.
    pub code: u8,
    /// The word for it in reports (`cause`).
    pub word: &'static str,
    /// What it answers, as the help says it.
    pub meaning: &'static str,
}

const fn exit(code: u8, word: &'static str, meaning: &'static str) -> Exit {
    Exit { code, word, meaning }
}

/// Usable, and nothing was lost.
pub const USABLE: Exit = exit(0, "usable", "usable, nothing was lost");
/// A defect of ours.
pub const DEFECT: Exit = exit(1, "defect", "a defect of bootmigrate");
/// Usage or configuration.
pub const CONFIGURATION: Exit = exit(2, "configuration", "usage or configuration");
/// Work is pending.
pub const PENDING: Exit = exit(3, "waits", "work is pending");
/// A migration failed.
pub const FAILED: Exit =
    exit(10, "migration-failed", "a migration failed; the database is whole at its old version");
/// Usable, and data was lost.
pub const DATA_LOSS: Exit =
    exit(11, "data-loss", "usable, and data was lost; the report says what");
/// Of newer firmware.
pub const NEWER: Exit = exit(12, "newer", "newer than this firmware, and no way back");
/// Another process has it.
pub const IN_USE: Exit = exit(13, "in-use", "in use by another process");
/// Not enough space.
pub const NO_SPACE: Exit = exit(14, "no-space", "not enough space");
/// The storage or the system.
pub const STORAGE: Exit = exit(15, "storage", "read-only, or an I/O error");
/// Somebody else's.
pub const NOT_OURS: Exit = exit(16, "not-ours", "not our database");
/// Damaged.
pub const DAMAGED: Exit = exit(17, "damaged", "damaged, not recovered");
/// Not there.
pub const MISSING: Exit = exit(18, "missing", "a mount or folder is missing");
/// No more tries.
pub const TRIES_USED_UP: Exit = exit(19, "tries-used-up", "tries used up");
/// Asked to stop.
pub const INTERRUPTED: Exit = exit(20, "interrupted", "interrupted; the next boot goes on");
/// Another product's, or another history.
pub const CATALOGUE: Exit = exit(21, "catalogue", "the migrations do not fit the database");

/// Gravest first: any unusable database outranks any usable one.
const GRAVEST_FIRST: [Exit; 16] = [
    DEFECT,
    CONFIGURATION,
    DAMAGED,
    NOT_OURS,
    MISSING,
    NEWER,
    CATALOGUE,
    STORAGE,
    NO_SPACE,
    IN_USE,
    TRIES_USED_UP,
    FAILED,
    INTERRUPTED,
    PENDING,
    DATA_LOSS,
    USABLE,
];

/// The exit code of a run with these.
pub fn gravest(codes: impl Iterator<Item = u8>) -> u8 {
    let rank = |code: &u8| GRAVEST_FIRST.iter().position(|known| known.code == *code).unwrap_or(0);
    codes.min_by_key(rank).unwrap_or(0)
}

/// All of them, as a reader looks for them: what may be opened, then the refusals, then what never
/// was a run.
pub fn all() -> Vec<Exit> {
    let mut all = GRAVEST_FIRST.to_vec();
    all.sort_by_key(|exit| match *exit {
        USABLE | DATA_LOSS => (0, exit.code),
        CONFIGURATION => (2, 0),
        DEFECT => (2, 1),
        _ => (1, exit.code),
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each pair, written out: nobody derives it from the list.
    #[test]
    fn of_any_two_the_graver_counts() {
        let order = [1u8, 2, 17, 16, 18, 12, 21, 15, 14, 13, 19, 10, 20, 3, 11, 0];
        for (graver, one) in order.iter().enumerate() {
            for other in order.iter().skip(graver) {
                assert_eq!(
                    (gravest([*one, *other].into_iter()), gravest([*other, *one].into_iter())),
                    (*one, *one),
                    "{one} and {other}"
                );
            }
        }
        assert_eq!(gravest(std::iter::empty()), 0);
    }

    #[test]
    fn each_number_and_each_word_is_there_once() {
        let mut codes: Vec<u8> = all().iter().map(|exit| exit.code).collect();
        assert_eq!(codes, [0, 11, 3, 10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 2, 1]);
        codes.sort_unstable();
        codes.dedup();
        let words: std::collections::BTreeSet<&str> = all().iter().map(|exit| exit.word).collect();
        assert_eq!((codes.len(), words.len()), (16, 16));
    }
}
