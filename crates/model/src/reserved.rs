//! Owns which names in a database are the runner's: the migration history and the tables beside it.
//! Promises: one answer for the build's rules and for the device's authorizer, whatever the case of
//! the letters.
//! Never judges a statement.

/// The history's name unless `history_table` says another.
pub const HISTORY: &str = "refinery_schema_history";
/// What every other table of ours begins with.
pub const PREFIX: &str = "bootmigrate_";

/// A table, view, index or trigger of this name is the runner's, or would stand in its place.
pub fn is_reserved(name: &str, history_table: &str) -> bool {
    name.eq_ignore_ascii_case(history_table)
        || name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// What a migration that touches one is told.
pub fn refusal(name: &str) -> String {
    format!(
        "`{name}` belongs to bootmigrate, which could not tell any more what was applied: no \
         migration may write to it, change it, hang anything on it or take its name; remove this \
         statement"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_letters_are_known() {
        for name in [
            "refinery_schema_history",
            "Refinery_Schema_History",
            "bootmigrate_state",
            "BOOTMIGRATE_later",
            "bootmigrate_",
        ] {
            assert!(is_reserved(name, HISTORY), "{name}");
        }
        for name in ["refinery_schema_history_2", "bootmigrate", "my_bootmigrate_state", "hist", ""]
        {
            assert!(!is_reserved(name, HISTORY), "{name}");
        }
        assert!(is_reserved("HIST", "hist") && !is_reserved(HISTORY, "hist"));
    }
}
