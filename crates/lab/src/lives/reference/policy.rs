//! Owns what the keys of a database mean for what is allowed, and what a way back may give up.
//! Promises: read from the text of the keys; a default is the one that docs/configuration.md names.
//! Never knows a file or a boot.

use super::replica::{Entry, Replica};
use crate::lives::content::loses;
use crate::lives::product::Database;

/// Of one database.
#[derive(Clone)]
pub struct Policy {
    /// `on_failure = "purge"`.
    pub purges_failure: bool,
    /// `carry_over = []`.
    pub carries_nothing: bool,
    /// The tables that `carry_over` names, in small letters; `None` for all.
    pub carries: Option<Vec<String>>,
    /// `versions` of `baseline`: theirs and ours.
    pub adopts: Vec<(i64, i64)>,
    /// `on_newer`, in order.
    pub on_newer: Vec<String>,
    /// `group`.
    pub group: Option<String>,
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
            carries: list_of_tables(database),
            adopts: database.key("baseline").map(pairs).unwrap_or_default(),
            on_newer,
            group: word("group"),
            copies: word("snapshot").map_or(!rebuildable, |value| value != "never"),
            numbers: word("user_version").as_deref() == Some("ours"),
            journal: word("journal_mode").filter(|mode| mode != "keep"),
        }
    }
}

impl Policy {
    /// A purge keeps the rows of this table.
    pub fn keeps(&self, table: &str) -> bool {
        let name = table.to_ascii_lowercase();
        // What was put aside of a table goes where its rows go.
        let of = name.strip_prefix("lost_").unwrap_or(&name).to_owned();
        let carried = |names: &Vec<String>| names.contains(&name) || names.contains(&of);
        !self.carries_nothing && self.carries.as_ref().is_none_or(carried)
    }
}

/// Each name stands in quotes, in which a quote or a backslash has a backslash before it.
fn list_of_tables(database: &Database) -> Option<Vec<String>> {
    let value = database.key("carry_over").filter(|value| value.starts_with('['))?;
    let names: Vec<String> = serde_json::from_str(value).unwrap_or_default();
    Some(names.into_iter().map(|name| name.to_ascii_lowercase()).collect())
}

/// `versions = { 7 = 12 }`.
fn pairs(value: &str) -> Vec<(i64, i64)> {
    let inside = value
        .split_once("versions = {")
        .and_then(|(_, rest)| rest.split_once('}'))
        .map_or("", |(inside, _)| inside);
    let number = |text: &str| text.trim().parse::<i64>().ok();
    inside
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(one, other)| number(one).zip(number(other)))
        .collect()
}

/// The strings of a list.
fn words(value: &str) -> Vec<String> {
    value.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Exit codes of a way back: 11 where a table with rows, rows, or a column with anything but its
/// default goes.
pub fn reduced(from: &Replica, to: &Replica, gone: &[Entry]) -> Vec<u8> {
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
