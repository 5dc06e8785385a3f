//! Owns what the keys of a database mean for what is allowed, and what a way back may give up.
//! Promises: read from the text of the keys; a default is the one that docs/configuration.md names.
//! Never knows a file or a boot.

use super::book::{Book, Entry};
use crate::lives::content::loses;
use crate::lives::product::Database;

/// Of one database.
pub struct Policy {
    /// `on_failure = "purge"`.
    pub purges_failure: bool,
    /// `carry_over = []`.
    pub carries_nothing: bool,
    /// `on_newer`, in order.
    pub on_newer: Vec<String>,
    /// `together`.
    pub together: Option<String>,
    /// A snapshot comes before an upgrade.
    pub copies: bool,
    /// `user_version = "ours"`.
    pub numbers: bool,
    /// `journal_mode`, where it is not kept.
    pub journal: Option<String>,
}

impl Policy {
    /// By its keys.
    pub fn of(database: &Database, two_slots: bool) -> Policy {
        let word = |key: &str| database.key(key).map(|value| value.trim_matches('"').to_owned());
        let rebuildable = word("kind").as_deref() == Some("rebuildable");
        let list = |key: &str| database.key(key).map(words);
        let on_newer = list("on_newer").unwrap_or_else(|| {
            let names: &[&str] = match (rebuildable, two_slots) {
                (true, _) => &["compatible", "downgrade", "purge"],
                (false, true) => &["compatible", "downgrade", "trial-snapshot"],
                (false, false) => &["compatible", "downgrade"],
            };
            names.iter().map(|name| (*name).to_owned()).collect()
        });
        Policy {
            purges_failure: word("on_failure").map_or(rebuildable, |value| value == "purge"),
            carries_nothing: database.key("carry_over").map_or(rebuildable, |value| value == "[]"),
            on_newer,
            together: word("together"),
            copies: word("copy").map_or(!rebuildable, |value| value != "never"),
            numbers: word("user_version").as_deref() == Some("ours"),
            journal: word("journal_mode").filter(|mode| mode != "keep"),
        }
    }
}

/// The strings of a list.
fn words(value: &str) -> Vec<String> {
    value.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Exit codes of a way back: 11 where a table with rows, rows, or a column with anything but its default goes.
pub fn reduced(from: &Book, to: &Book, gone: &[Entry]) -> Vec<u8> {
    // What has another name now is there all the same: whether that counts is not promised.
    if gone.iter().any(|entry| entry.down.as_ref().is_some_and(|down| down.contains(" RENAME "))) {
        return vec![0, 11];
    }
    match loses(from.connection(), to.connection()) {
        Ok(Some(true)) => vec![11],
        Ok(Some(false)) => vec![0],
        Ok(None) | Err(_) => vec![0, 11],
    }
}
