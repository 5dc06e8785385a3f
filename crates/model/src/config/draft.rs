//! Owns what the files read so far have said, and where: later files over earlier ones, key by key.
//! Promises: a key that is not known is named with the nearest one that is.
//! Never applies a default that depends on another key, and never compares two keys: that is `check`.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::entry::{shown_key, Entry, Reader};
use super::keys::{Known, DATABASE_KEYS, TOP_KEYS};
use super::words;
use super::*;

/// Who wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Embedded in the firmware image.
    Image,
    /// On the device, over the embedded one.
    Device,
}

/// The settings so far, and where each key was written.
pub(super) struct Draft {
    pub settings: Settings,
    pub databases: Vec<DatabaseDraft>,
    pub places: BTreeMap<&'static str, PathPlace>,
}

/// One `[databases.NAME]` so far. Keys whose default depends on `kind` hold it for precious data until `check`.
pub(super) struct DatabaseDraft {
    pub settings: DatabaseSettings,
    pub place: PathPlace,
    pub places: BTreeMap<&'static str, PathPlace>,
}

impl Draft {
    pub fn new() -> Draft {
        let settings = Settings {
            slots: Slots::Single,
            observe: false,
            example: false,
            memory_max_mib: 512,
            marker: None,
            databases: Vec::new(),
            warnings: Vec::new(),
            sources: BTreeMap::new(),
        };
        Draft { settings, databases: Vec::new(), places: BTreeMap::new() }
    }

    /// Reads one more file over what is there.
    pub fn read_source(&mut self, source: Source<'_>, origin: Origin, unknown: UnknownKey) -> Result<(), ConfigError> {
        let reader = Reader { source, origin, unknown, warnings: Cell::default() };
        reader.check_length()?;
        let document = reader.parse()?;
        for entry in reader.entries(document.get_ref()) {
            if let Some(key) = read_entry(&entry, TOP_KEYS, self, misplaced_at_top)? {
                self.places.insert(key, entry.place());
            }
        }
        self.settings.warnings.append(&mut reader.warnings.take());
        Ok(())
    }

    /// `[databases.*]`.
    pub fn read_databases(&mut self, entry: &Entry<'_, '_>) -> Result<(), ConfigError> {
        for database in entry.reader.entries(entry.headed_table("databases.settings")?) {
            let draft = self.database(&database)?;
            let keys = database.headed_table(&format!("databases.{}", database.key))?;
            for entry in database.reader.entries(keys) {
                if let Some(key) = read_entry(&entry, DATABASE_KEYS, draft, misplaced_in_database)? {
                    draft.places.insert(key, entry.place());
                }
            }
        }
        Ok(())
    }

    /// The database with the entry's name: the one that is there, or, in the image's own file, a new one.
    fn database(&mut self, entry: &Entry<'_, '_>) -> Result<&mut DatabaseDraft, ConfigError> {
        let known = self.databases.iter().position(|draft| draft.settings.name == entry.key);
        let position = match (known, entry.reader.origin) {
            (Some(position), _) => position,
            (None, Origin::Image) => {
                words::check_name(entry.key)
                    .map_err(|problem| entry.key_error(format!("the database name {} {problem}", shown_key(entry.key))))?;
                self.databases.push(DatabaseDraft::new(entry.key, entry.place()));
                self.databases.len() - 1
            }
            (None, Origin::Device) => return Err(self.no_such_database(entry)),
        };
        // The position was found or made just above; the error cannot be reached.
        self.databases.get_mut(position).ok_or_else(|| entry.key_error(format!("{} was not found", entry.key)))
    }

    fn no_such_database(&self, entry: &Entry<'_, '_>) -> ConfigError {
        let names: Vec<&str> = self.databases.iter().map(|draft| draft.settings.name.as_str()).collect();
        let remedy = match words::nearest(entry.key, names.iter().copied()) {
            Some(name) => format!("write [databases.{name}]"),
            None if names.is_empty() => "remove the table".to_owned(),
            None => format!("its databases are {}", names.join(", ")),
        };
        entry.key_error(format!("this firmware has no database {}: the image carries no migrations for it; {remedy}", shown_key(entry.key)))
    }
}

impl DatabaseDraft {
    fn new(name: &str, place: PathPlace) -> DatabaseDraft {
        let settings = DatabaseSettings {
            name: name.to_owned(),
            path: PathBuf::from(format!("/var/lib/{name}/{name}.db")),
            kind: Kind::Precious,
            owner: None,
            mode: 0o640,
            require_mount: None,
            user_version: UserVersion::Product,
            on_failure: OnFailure::Restore,
            on_damage: vec![Repair::Reindex, Repair::Salvage, Repair::Snapshot],
            on_newer: vec![OnNewer::Compatible, OnNewer::Downgrade],
            carry_over: vec!["*".to_owned()],
            copy: CopyPolicy::Auto,
            journal_mode: JournalMode::Keep,
            changed_text: ChangedText::Refuse,
            together: None,
            adopt: None,
            adopted_up_to: None,
            adopted_foreign_keys: None,
            versions_64: false,
            busy_timeout_s: 10,
            statement_timeout_s: None,
            snapshots_max: 1,
            quarantine_max: 2,
            quick_check_max_mib: 64,
            history_table: "refinery_schema_history".to_owned(),
            sqlite_min: None,
            sources: BTreeMap::new(),
        };
        DatabaseDraft { settings, place, places: BTreeMap::new() }
    }
}

/// Reads one key into `target`; `None` where it is not known and only warned about.
pub(super) fn read_entry<D>(
    entry: &Entry<'_, '_>,
    known: &[Known<D>],
    target: &mut D,
    misplaced: fn(&str) -> Option<String>,
) -> Result<Option<&'static str>, ConfigError> {
    let Some(known_key) = known.iter().find(|known| known.name == entry.key) else {
        let remedy = misplaced(entry.key).unwrap_or_else(|| suggestion(entry.key, known));
        let sentence = format!("{} is not a known key here; {remedy}", shown_key(entry.key));
        entry.reader.unknown(entry.key_error(sentence))?;
        return Ok(None);
    };
    if entry.reader.origin == Origin::Device && known_key.image_only {
        return Err(entry
            .key_error(format!("{} is decided when the firmware is built; write it in the image's own bootmigrate.toml", known_key.name)));
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

fn misplaced_at_top(key: &str) -> Option<String> {
    let known = DATABASE_KEYS.iter().any(|known| known.name == key);
    known.then(|| format!("write {key} below a header [databases.NAME]"))
}

fn misplaced_in_database(key: &str) -> Option<String> {
    let known = TOP_KEYS.iter().any(|known| known.name == key);
    known.then(|| format!("write {key} at the top of the file, above the first [databases.NAME]"))
}
