//! Owns reading one file of the configuration into what the files before it have said.
//! Promises: every key goes through the one list of them.
//! Never compares two keys.

use std::cell::Cell;

use super::draft::Draft;
use super::entry::{FileReader, Origin};
use super::keys::{DATABASE_KEYS, TOP_KEYS};
use super::known::read_entry;
use super::{ConfigError, Source, UnknownKey};

/// Reads one more file over what is there.
pub(super) fn read_source(
    draft: &mut Draft,
    source: Source<'_>,
    origin: Origin,
    unknown: UnknownKey,
) -> Result<(), ConfigError> {
    let reader = FileReader { source, origin, unknown, warnings: Cell::default() };
    reader.check_length()?;
    let document = reader.parse()?;
    for entry in reader.entries(document.get_ref()) {
        if let Some(key) = read_entry(&entry, TOP_KEYS, draft, misplaced_at_top)? {
            draft.places.insert(key, entry.place());
        }
    }
    draft.settings.warnings.append(&mut reader.warnings.take());
    Ok(())
}

fn misplaced_at_top(key: &str) -> Option<String> {
    let known = DATABASE_KEYS.iter().any(|known| known.name == key);
    known.then(|| format!("write {key} below a header [databases.NAME]"))
}
