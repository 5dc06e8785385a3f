//! Owns what follows a round of a data migration: finished, again, or refused because it would go
//! on for ever.
//! Promises: pure; every batch ends, by itself or by a refusal.
//! Never looks at a row.

/// Rounds in a row that changed the very same rows: one may be an accident of a cursor, this many
/// are not.
const ALIKE_MAX: u32 = 3;
/// No row takes fewer bytes of the file, so a batch that has changed more rows than fit has changed
/// some of them again and again.
const BYTES_PER_ROW_MIN: u64 = 4;
/// A small file proves nothing: this many rows may be changed in any.
const ROWS_FREE: u64 = 10_000;

/// A round that has run and is not yet committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// `batch`; anything else has one round.
    pub batch: bool,
    /// Rows that it changed.
    pub rows: u64,
    /// How many rounds in a row changed the very same rows, this one counted.
    pub alike: u32,
    /// Rows that all rounds of this run changed, this one counted.
    pub rows_in_all: u64,
    /// Bytes of the database before the first round of this run.
    pub bytes: u64,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextRound {
    /// Nothing is left to do.
    Finished,
    /// Another round.
    Again,
    /// It makes no progress; why, in words. This round must not be committed.
    NoProgress(String),
}

/// Facts of a round in, what follows out.
pub fn after_round(round: &Round) -> NextRound {
    match round {
        Round { batch: false, .. } | Round { batch: true, rows: 0, .. } => NextRound::Finished,
        Round { alike, rows, .. } if *alike >= ALIKE_MAX => NextRound::NoProgress(format!(
            "`batch` makes no progress: {alike} rounds in a row changed the very same {rows} rows; \
             let its WHERE leave out what is done"
        )),
        Round { rows_in_all, bytes, .. }
            if *rows_in_all > ROWS_FREE.max(bytes / BYTES_PER_ROW_MIN) =>
        {
            NextRound::NoProgress(format!(
            "`batch` comes to no end: it has changed {rows_in_all} rows, more than {bytes} bytes \
             can hold; let its WHERE leave out what is done"
        ))
        }
        Round { .. } => NextRound::Again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Round =
        Round { batch: true, rows: 500, alike: 1, rows_in_all: 500, bytes: 1 << 20 };

    #[track_caller]
    fn refused(round: Round, words: &str) {
        assert!(
            matches!(after_round(&round), NextRound::NoProgress(why) if why.contains(words)),
            "{round:?}"
        );
    }

    #[test]
    fn a_batch_goes_on_until_it_changes_nothing() {
        assert_eq!(after_round(&ROUND), NextRound::Again);
        assert_eq!(after_round(&Round { rows: 0, ..ROUND }), NextRound::Finished);
        assert_eq!(after_round(&Round { batch: false, ..ROUND }), NextRound::Finished);
    }

    #[test]
    fn the_very_same_rows_three_times_are_no_progress() {
        assert_eq!(after_round(&Round { alike: 2, ..ROUND }), NextRound::Again);
        refused(Round { alike: 3, ..ROUND }, "3 rounds in a row changed the very same 500 rows");
    }

    #[test]
    fn more_rows_than_the_file_holds_are_no_progress() {
        assert_eq!(
            after_round(&Round { rows_in_all: 10_000, bytes: 4096, ..ROUND }),
            NextRound::Again
        );
        refused(
            Round { rows_in_all: 10_001, bytes: 4096, ..ROUND },
            "it has changed 10001 rows, more than 4096 bytes can hold",
        );
        assert_eq!(after_round(&Round { rows_in_all: (1 << 20) / 4, ..ROUND }), NextRound::Again);
        refused(Round { rows_in_all: (1 << 20) / 4 + 1, ..ROUND }, "comes to no end");
    }
}
