//! Owns what the files read so far have said, and where: later files over earlier ones, key by key.
//! Promises: a key that is not known is named with the nearest one that is.
//! Never applies a default that depends on another key, and never compares two keys: that is
//! `check`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::entry::{shown_key, Entry, Origin};
use super::words;
use super::*;

/// The settings so far, and where each key was written.
pub(super) struct Draft {
    pub settings: Settings,
    pub databases: Vec<DatabaseDraft>,
    pub places: BTreeMap<&'static str, PathPlace>,
}

/// One `[databases.NAME]` so far. Keys whose default depends on `kind` hold it for precious data
/// until `check`.
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
            memory_mib: 512,
            marker: None,
            databases: Vec::new(),
            overridden: false,
            warnings: Vec::new(),
            sources: BTreeMap::new(),
        };
        Draft { settings, databases: Vec::new(), places: BTreeMap::new() }
    }

    /// The database with the entry's name: the one that is there, or, in the image's own file, a
    /// new one; `None` where a device's file names one that only the other slot may have.
    pub fn database(
        &mut self,
        entry: &Entry<'_, '_>,
    ) -> Result<Option<&mut DatabaseDraft>, ConfigError> {
        let known = self.databases.iter().position(|draft| draft.settings.name == entry.key);
        let position = match (known, entry.reader.origin) {
            (Some(position), _) => position,
            (None, Origin::Image) => {
                words::check_name(entry.key).map_err(|problem| {
                    entry.key_error(format!("the database name {} {problem}", shown_key(entry.key)))
                })?;
                self.databases.push(DatabaseDraft::new(entry.key, entry.place()));
                self.databases.len() - 1
            }
            (None, Origin::Device) => {
                let error = self.no_such_database(entry);
                return entry.reader.unknown(error, "table").map(|()| None);
            }
        };
        Ok(self.databases.get_mut(position))
    }

    fn no_such_database(&self, entry: &Entry<'_, '_>) -> ConfigError {
        let names: Vec<&str> =
            self.databases.iter().map(|draft| draft.settings.name.as_str()).collect();
        let remedy = match words::nearest(entry.key, names.iter().copied()) {
            Some(name) => format!("write [databases.{name}]"),
            None if names.is_empty() => "remove the table".to_owned(),
            None => format!("its databases are {}", names.join(", ")),
        };
        entry.key_error(format!(
            "this firmware has no database {}: the image carries no migrations for it; {remedy}",
            shown_key(entry.key)
        ))
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
            snapshot: SnapshotPolicy::Auto,
            journal_mode: JournalMode::Keep,
            on_checksum_mismatch: OnChecksumMismatch::Refuse,
            group: None,
            baseline: None,
            baseline_version: None,
            baseline_foreign_keys: None,
            versions_64: false,
            busy_timeout_s: 10,
            statement_timeout_s: None,
            snapshots_max: 1,
            quarantine_max: 2,
            quick_check_max_mib: 64,
            show_rows: false,
            history_table: "refinery_schema_history".to_owned(),
            sqlite_min: None,
            sources: BTreeMap::new(),
        };
        DatabaseDraft { settings, place, places: BTreeMap::new() }
    }
}
