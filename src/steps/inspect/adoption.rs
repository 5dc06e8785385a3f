//! Owns looking at a database that another tool made: which version it is, and whether its schema is this firmware's at that version.
//! Promises: a version is believed only where the schema that our own migrations make up to it is there, and nothing of a later one.
//! Never writes, and never adopts: it says what could be.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Adopt;
use crate::decide::facts::{Adoption, Migration};
use crate::device::sqlite::{foreign, Database};
use crate::device::{Device, LOOK};
use crate::error::Failure;
use crate::steps::scratch::{name_of, Scratch};

/// Differences that a sentence shows; the rest is counted.
const DIFFERENCES_SHOWN_MAX: usize = 3;
/// Characters of a text that a difference shows.
const TEXT_SHOWN_CHARS_MAX: usize = 40;

/// What becomes of a database without our history, where the configuration says whose it is.
///
/// # Errors
/// As SQLite.
pub fn adoption(device: &Device<'_>, database: &Database, adopt: &Adopt) -> Result<Adoption, Failure> {
    let by = foreign::name_of(&adopt.from);
    let version = match database.foreign_version(LOOK, &adopt.from)?.and_then(|theirs| ours(device, adopt, by, theirs)) {
        Ok(version) => version,
        Err(why) => return Ok(Adoption::Refused(why)),
    };
    let Some(wanted) = Scratch::schema_at(device, version)? else {
        return Ok(Adoption::Refused(format!("this firmware's migrations up to {version} do not work on an empty database")));
    };
    let later = Scratch::schema_of_pending(device, version)?.unwrap_or_default();
    let live = database.schema(LOOK, &device.settings.history_table)?;
    // Before any migration there is no table: what stands here is somebody else's.
    let foreign_table =
        |entry: &&String| entry.starts_with("table ") && !foreign::table_of(&adopt.from).is_some_and(|own| is_of(entry, own));
    if let Some(table) = live.iter().find(foreign_table).filter(|_| version == 0) {
        let table = name_of(table).split(" on ").next().unwrap_or(table);
        return Ok(Adoption::Refused(format!("{by} left no version, and {table} is there")));
    }
    let differences = differences(&live, &wanted, &later);
    if differences.is_empty() {
        let pending = device.catalog.migrations.iter().filter(|step| step.version > version);
        let migration = |step: &crate::catalog::Migration| Migration {
            version: step.version,
            name: step.name.to_owned(),
            no_transaction: step.directives.no_transaction,
        };
        return Ok(Adoption::At { version, by: by.to_owned(), pending: pending.map(migration).collect() });
    }
    let shown: Vec<&str> = differences.iter().take(DIFFERENCES_SHOWN_MAX).map(String::as_str).collect();
    let more = differences.len().saturating_sub(shown.len());
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Ok(Adoption::Refused(format!("{by} left it at our version {version}, and its schema is another: {}{more}", shown.join("; "))))
}

fn is_of(entry: &str, table: &str) -> bool {
    name_of(entry).strip_prefix("table ").and_then(|name| name.strip_suffix(table)).is_some_and(|name| name == format!("{table} on "))
}

/// Our version for theirs.
fn ours(device: &Device<'_>, adopt: &Adopt, by: &str, theirs: i64) -> Result<i32, String> {
    if let Some(version) = adopt.versions.get(&theirs) {
        return match device.catalog.find(*version) {
            Some(_) => Ok(*version),
            None => Err(format!("`versions` maps {by}'s version {theirs} to {version}, which is no migration of this firmware")),
        };
    }
    let same = i32::try_from(theirs).ok().filter(|version| *version == 0 || device.catalog.find(*version).is_some());
    match same.filter(|_| adopt.versions.is_empty() || theirs == 0) {
        Some(version) => Ok(version),
        None => Err(format!("{by} left version {theirs}, which is no migration of this firmware; map it in `versions`")),
    }
}

/// What is not as it should be, a line each. Tables that no migration of ours makes are the application's own, or the tool's.
fn differences(live: &BTreeSet<String>, wanted: &BTreeSet<String>, later: &BTreeSet<String>) -> Vec<String> {
    let by_name = |schema: &BTreeSet<String>| -> BTreeMap<String, String> {
        schema.iter().map(|entry| (name_of(entry).to_owned(), plain(entry.split_once(": ").map_or("", |(_, text)| text)))).collect()
    };
    let (live, wanted, later) = (by_name(live), by_name(wanted), by_name(later));
    let said = |name: &str| name.split(" on ").next().unwrap_or(name).to_owned();
    let mut found = Vec::new();
    for (name, text) in &wanted {
        match live.get(name) {
            None => found.push(format!("{} is missing", said(name))),
            Some(here) if here != text => {
                let (here, text) = where_they_part(here, text);
                found.push(format!("{} has `{here}` where `{text}` should be", said(name)));
            }
            Some(_) => {}
        }
    }
    let tables: BTreeSet<String> =
        wanted.keys().filter_map(|name| name.strip_prefix("column ")?.rsplit_once('.')).map(|(t, _)| t.to_owned()).collect();
    let of_ours =
        |name: &str| name.strip_prefix("column ").and_then(|name| name.rsplit_once('.')).is_some_and(|(table, _)| tables.contains(table));
    for name in live.keys().filter(|name| !wanted.contains_key(*name)) {
        if later.contains_key(name) {
            found.push(format!("{} is there already, and a later migration makes it", said(name)));
        } else if of_ours(name) {
            found.push(format!("{} is there, and no migration makes it", said(name)));
        }
    }
    found
}

/// Both texts from the word on in which they differ, shortened.
fn where_they_part<'t>(one: &'t str, other: &'t str) -> (&'t str, &'t str) {
    let same = one.char_indices().zip(other.chars()).find(|((_, a), b)| a != b).map_or(one.len().min(other.len()), |((at, _), _)| at);
    let word = one.get(..same).map_or(0, |before| before.trim_end_matches(is_word).len());
    let shown = |text: &'t str| {
        let rest = text.get(word..).unwrap_or("");
        rest.char_indices().nth(TEXT_SHOWN_CHARS_MAX).map_or(rest, |(end, _)| rest.get(..end).unwrap_or(""))
    };
    (shown(one), shown(other))
}

/// The text without comments, letters' case, white space and quotes of names, which tools and hands write differently.
fn plain(sql: &str) -> String {
    let mut out = String::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let tail = rest.get(first.len_utf8()..).unwrap_or("");
        let until = |end: char| tail.split_once(end).unwrap_or((tail, ""));
        rest = match first {
            '-' if tail.starts_with('-') => until('\n').1,
            '/' if tail.starts_with('*') => tail.split_once("*/").map_or("", |(_, after)| after),
            '\'' => {
                out.push_str(&format!("'{}'", until('\'').0));
                until('\'').1
            }
            '"' | '`' | '[' => {
                let (name, after) = until(if first == '[' { ']' } else { first });
                push_word(&mut out, name);
                after
            }
            blank if blank.is_whitespace() => {
                if out.ends_with(is_word) {
                    out.push(' ');
                }
                tail
            }
            letter if is_word(letter) => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let (word, after) = rest.split_at(length);
                push_word(&mut out, word);
                after
            }
            sign => {
                out.truncate(out.trim_end().len());
                out.push(sign);
                tail
            }
        };
    }
    out.trim_end_matches([' ', ';']).to_owned()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn push_word(out: &mut String, word: &str) {
    if out.ends_with(is_word) {
        out.push(' ');
    }
    out.push_str(&word.to_lowercase());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_table_in_other_dress() {
        let ours = "CREATE TABLE wifi (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'Home  X')";
        let theirs = "CREATE TABLE \"wifi\"(\n  `id` integer primary key, -- number\n  [name] text not null default 'Home  X'\n);";
        assert_eq!(plain(theirs), plain(ours));
        assert_ne!(plain(&theirs.replace("not null", "")), plain(ours));
        assert_ne!(plain(&theirs.replace("Home  X", "home  x")), plain(ours), "a value is no matter of dress");
    }

    #[test]
    fn what_differs_is_named() {
        let set = |entries: &[&str]| entries.iter().map(|entry| (*entry).to_owned()).collect::<BTreeSet<String>>();
        let wanted = set(&["table a on a: CREATE TABLE a(x)", "column a.x: ", "table b on b: CREATE TABLE b(y)"]);
        let later = set(&["table c on c: CREATE TABLE c(z)"]);
        let live = set(&["table a on a: CREATE TABLE a(x INT)", "column a.x: ", "column a.w: ", "table c on c: C", "table own on own: C"]);
        assert_eq!(
            differences(&live, &wanted, &later),
            [
                "table a has `x int)` where `x)` should be",
                "table b is missing",
                "column a.w is there, and no migration makes it",
                "table c is there already, and a later migration makes it",
            ]
        );
        assert_eq!(differences(&wanted, &wanted, &later), Vec::<String>::new());
    }
}
