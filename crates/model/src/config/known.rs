//! Owns what is known of a key: its name, an example, and how its value is read.
//! Promises: a key that is not known is named with the nearest one that is.
//! Never knows which keys exist.

use super::entry::{shown_key, Entry, Origin};
use super::{words, ConfigError};

/// A key, a value that would be right, and the way into the draft.
pub(super) struct Known<D> {
    pub name: &'static str,
    pub example: &'static str,
    /// It says what the image is; a device cannot say otherwise.
    pub image_only: bool,
    pub set: Set<D>,
}

pub(super) type Set<D> = fn(&mut D, &Entry<'_, '_>) -> Result<(), ConfigError>;

pub(super) const fn known<D>(name: &'static str, example: &'static str, set: Set<D>) -> Known<D> {
    Known { name, example, image_only: false, set }
}

pub(super) const fn of_the_image<D>(
    name: &'static str,
    example: &'static str,
    set: Set<D>,
) -> Known<D> {
    Known { name, example, image_only: true, set }
}

/// Former names of keys: a file in `/etc` may have been written for earlier firmware.
const FORMER_NAMES: [(&str, &str); 7] = [
    ("adopt", "baseline"),
    ("adopted_foreign_keys", "baseline_foreign_keys"),
    ("adopted_up_to", "baseline_version"),
    ("changed_text", "on_checksum_mismatch"),
    ("copy", "snapshot"),
    ("memory_max_mib", "memory_mib"),
    ("together", "group"),
];

/// Reads one key into `target`; `None` where it is not known and only warned about.
pub(super) fn read_entry<D>(
    entry: &Entry<'_, '_>,
    known: &[Known<D>],
    target: &mut D,
    misplaced: fn(&str) -> Option<String>,
) -> Result<Option<&'static str>, ConfigError> {
    let former = FORMER_NAMES.iter().find(|(name, _)| *name == entry.key);
    let name = former.map_or(entry.key, |(_, name)| name);
    let Some(known_key) = known.iter().find(|known| known.name == name) else {
        let remedy = misplaced(entry.key).unwrap_or_else(|| suggestion(entry.key, known));
        let sentence = format!("{} is not a known key here; {remedy}", shown_key(entry.key));
        entry.reader.unknown(entry.key_error(sentence), "key")?;
        return Ok(None);
    };
    if entry.reader.origin == Origin::Device && known_key.image_only {
        return Err(entry.key_error(format!(
            "{} is decided when the firmware is built; write it in the image's own \
             bootmigrate.toml",
            known_key.name
        )));
    }
    if former.is_some() {
        if entry.contradicts(name) {
            let sentence = format!(
                "{} is the former name of {name}, which says something else; write {name} alone",
                entry.key
            );
            return Err(entry.key_error(sentence));
        }
        let sentence = format!("{} is now called {name}; write {name}", entry.key);
        entry.reader.warn(&entry.key_error(sentence));
    }
    (known_key.set)(target, &entry.with_example(known_key.example))?;
    Ok(Some(known_key.name))
}

fn suggestion<D>(key: &str, known: &[Known<D>]) -> String {
    let names: Vec<&str> = known.iter().map(|known| known.name).collect();
    match words::nearest(key, names.iter().copied()) {
        Some(name) => format!("write {name}"),
        None => format!("the keys known here are {}", names.join(", ")),
    }
}
