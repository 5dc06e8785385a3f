//! Owns the one list of every key of bootmigrate.toml, with an example and how its value is read.
//! Promises: what is not in these lists is not known; what is in them is read in one place.
//! Never compares one key with another, and never looks at the file system.

use std::path::PathBuf;

use toml::de::DeValue;

use super::draft::{DatabaseDraft, Draft};
use super::entry::Entry;
use super::known::{known, of_the_image, read_entry, Known};
use super::words;
use super::*;

/// Above the tables.
pub(super) const TOP_KEYS: &[Known<Draft>] = &[
    known("slots", "\"single\"", |draft, entry| {
        entry.choice(&SLOTS).map(|slots| draft.settings.slots = slots)
    }),
    known("mode", "\"observe\"", |draft, entry| {
        run_mode(entry).map(|observe| draft.settings.observe = observe)
    }),
    of_the_image("example", "true", |draft, entry| {
        entry.boolean().map(|example| draft.settings.example = example)
    }),
    known("marker", "\"/boot/bootmigrate-request\"", |draft, entry| {
        let marker = checked(entry, words::check_file_path)?;
        draft.settings.marker = Some(PathBuf::from(marker));
        Ok(())
    }),
    known("memory_mib", "512", |draft, entry| {
        let why = "SQLite needs some for its page caches, and no device has more";
        draft.settings.memory_mib = entry.number(MEMORY_MAX_MIB_MIN, MEMORY_MAX_MIB_MAX, why)?;
        Ok(())
    }),
    known("databases", "{}", read_databases),
];

/// In `[databases.NAME]`.
pub(super) const DATABASE_KEYS: &[Known<DatabaseDraft>] = &[
    known("path", "\"/var/lib/gateway/settings.db\"", |draft, entry| {
        database_path(entry, &draft.settings.name).map(|path| draft.settings.path = path)
    }),
    known("kind", "\"precious\"", |draft, entry| {
        entry.choice(&KINDS).map(|kind| draft.settings.kind = kind)
    }),
    known("owner", "\"gateway:gateway\"", |draft, entry| {
        let owner = words::parse_owner(entry.text()?).map_err(|problem| entry.refuse(&problem))?;
        draft.settings.owner = Some(owner);
        Ok(())
    }),
    known("mode", "\"0640\"", |draft, entry| {
        let mode = words::parse_mode(entry.text()?).map_err(|problem| entry.refuse(&problem))?;
        draft.settings.mode = mode;
        Ok(())
    }),
    known("require_mount", "\"/var/lib/gateway\"", |draft, entry| {
        let mount = checked(entry, words::check_path)?;
        draft.settings.require_mount = Some(PathBuf::from(mount));
        Ok(())
    }),
    known("user_version", "\"product\"", |draft, entry| {
        entry.choice(&USER_VERSIONS).map(|value| draft.settings.user_version = value)
    }),
    known("on_failure", "\"restore\"", |draft, entry| {
        entry.choice(&ON_FAILURE).map(|value| draft.settings.on_failure = value)
    }),
    known("on_damage", "[\"reindex\", \"salvage\", \"snapshot\"]", |draft, entry| {
        entry.choices(&CURES).map(|repairs| draft.settings.on_damage = repairs)
    }),
    known("on_newer", "[\"compatible\", \"downgrade\"]", |draft, entry| {
        entry.choices(&ON_NEWER).map(|answers| draft.settings.on_newer = answers)
    }),
    known("carry_over", "[\"*\"]", |draft, entry| {
        carry_over(entry).map(|tables| draft.settings.carry_over = tables)
    }),
    known("snapshot", "\"auto\"", |draft, entry| {
        entry.choice(&SNAPSHOT).map(|policy| draft.settings.snapshot = policy)
    }),
    known("journal_mode", "\"keep\"", |draft, entry| {
        entry.choice(&JOURNAL_MODES).map(|mode| draft.settings.journal_mode = mode)
    }),
    known("on_checksum_mismatch", "\"refuse\"", |draft, entry| {
        entry.choice(&ON_CHECKSUM_MISMATCH).map(|value| draft.settings.on_checksum_mismatch = value)
    }),
    known("group", "\"core\"", |draft, entry| {
        let group = checked(entry, words::check_name)?;
        draft.settings.group = Some(group.to_owned());
        Ok(())
    }),
    known("baseline", "\"sqlx\"", |draft, entry| {
        adopt(entry).map(|adopt| draft.settings.baseline = Some(adopt))
    }),
    of_the_image("baseline_version", "12", |draft, entry| {
        entry.version().map(|version| draft.settings.baseline_version = Some(version))
    }),
    of_the_image("baseline_foreign_keys", "\"enforced\"", |draft, entry| {
        entry
            .choice(&BASELINE_FOREIGN_KEYS)
            .map(|enforced| draft.settings.baseline_foreign_keys = Some(enforced))
    }),
    of_the_image("versions", "64", |draft, entry| {
        versions(entry).map(|()| draft.settings.versions_64 = true)
    }),
    known("busy_timeout_s", "10", |draft, entry| {
        let why = "a longer wait outlasts a service manager's patience at boot";
        let seconds = entry.number(0, BUSY_TIMEOUT_S_MAX, why)?;
        draft.settings.busy_timeout_s = seconds;
        Ok(())
    }),
    known("statement_timeout_s", "600", |draft, entry| {
        let why = "a statement takes some time, and no boot waits for longer than a day";
        draft.settings.statement_timeout_s = Some(entry.number(1, STATEMENT_TIMEOUT_S_MAX, why)?);
        Ok(())
    }),
    known("snapshots_max", "1", |draft, entry| {
        let why = "each snapshot may be a whole copy of the database";
        draft.settings.snapshots_max = entry.number(0, SNAPSHOTS_MAX_MAX, why)?;
        Ok(())
    }),
    known("quarantine_max", "2", |draft, entry| {
        let why = "each files in quarantine is a whole copy of the database";
        draft.settings.quarantine_max = entry.number(0, QUARANTINE_MAX_MAX, why)?;
        Ok(())
    }),
    known("quick_check_max_mib", "64", |draft, entry| {
        let why = "a file of more than 1 TiB cannot be checked at boot";
        draft.settings.quick_check_max_mib = entry.number(0, QUICK_CHECK_MAX_MIB_MAX, why)?;
        Ok(())
    }),
    known("show_rows", "true", |draft, entry| {
        entry.boolean().map(|show| draft.settings.show_rows = show)
    }),
    known("history_table", "\"refinery_schema_history\"", |draft, entry| {
        let table = checked(entry, words::check_history_table)?;
        draft.settings.history_table = table.to_owned();
        Ok(())
    }),
    known("sqlite_min", "\"3.40\"", |draft, entry| {
        let minor =
            words::parse_sqlite_version(entry.text()?).map_err(|problem| entry.refuse(&problem))?;
        draft.settings.sqlite_min = Some(minor);
        Ok(())
    }),
];

/// In `baseline = { … }`.
const ADOPT_KEYS: &[Known<AdoptDraft>] = &[
    known("from", "\"user_version\"", |draft, entry| {
        entry.choice(&ADOPT_FROM).map(|from| draft.from = Some(from))
    }),
    known("version_query", "\"SELECT max(version) FROM migrations\"", |draft, entry| {
        let query = checked(entry, words::check_query)?;
        draft.query = Some(query.to_owned());
        Ok(())
    }),
    known("versions", "{ 7 = 12 }", |draft, entry| {
        version_map(entry).map(|versions| draft.versions = Some(versions))
    }),
];

const SLOTS: [(&str, Slots); 2] = [("ab", Slots::Ab), ("single", Slots::Single)];
const RUN_MODES: [(&str, bool); 2] = [("observe", true), ("normal", false)];
const KINDS: [(&str, Kind); 2] = [("precious", Kind::Precious), ("rebuildable", Kind::Rebuildable)];
const BASELINE_FOREIGN_KEYS: [(&str, bool); 2] = [("off", false), ("enforced", true)];
const USER_VERSIONS: [(&str, UserVersion); 2] =
    [("product", UserVersion::Product), ("ours", UserVersion::Ours)];
const ON_FAILURE: [(&str, OnFailure); 2] =
    [("restore", OnFailure::Restore), ("purge", OnFailure::Purge)];
const CURES: [(&str, Repair); 4] = [
    ("reindex", Repair::Reindex),
    ("salvage", Repair::Salvage),
    ("snapshot", Repair::Snapshot),
    ("purge", Repair::Purge),
];
const ON_NEWER: [(&str, OnNewer); 4] = [
    ("compatible", OnNewer::Compatible),
    ("downgrade", OnNewer::Downgrade),
    ("trial-snapshot", OnNewer::TrialSnapshot),
    ("purge", OnNewer::Purge),
];
const SNAPSHOT: [(&str, SnapshotPolicy); 3] = [
    ("auto", SnapshotPolicy::Auto),
    ("always", SnapshotPolicy::Always),
    ("never", SnapshotPolicy::Never),
];
const JOURNAL_MODES: [(&str, JournalMode); 3] =
    [("keep", JournalMode::Keep), ("wal", JournalMode::Wal), ("delete", JournalMode::Delete)];
const ON_CHECKSUM_MISMATCH: [(&str, OnChecksumMismatch); 2] =
    [("refuse", OnChecksumMismatch::Refuse), ("warn", OnChecksumMismatch::Warn)];
const ADOPT_FROM: [(&str, AdoptFrom); 9] = [
    ("user_version", AdoptFrom::UserVersion),
    ("refinery", AdoptFrom::Refinery),
    ("ecto", AdoptFrom::Ecto),
    ("sqlx", AdoptFrom::Sqlx),
    ("diesel", AdoptFrom::Diesel),
    ("rusqlite_migration", AdoptFrom::RusqliteMigration),
    ("golang-migrate", AdoptFrom::GolangMigrate),
    ("goose", AdoptFrom::Goose),
    ("dbmate", AdoptFrom::Dbmate),
];

/// The tool with this name, as `baseline` writes it.
pub(super) fn tool(name: &str) -> Option<AdoptFrom> {
    ADOPT_FROM.iter().find(|(known, _)| *known == name).map(|(_, from)| from.clone())
}

/// Its name there.
pub(super) fn name_of(tool: &AdoptFrom) -> Option<&'static str> {
    ADOPT_FROM.iter().find(|(_, from)| from == tool).map(|(name, _)| *name)
}

/// The tools that `baseline` knows.
pub(super) fn tools() -> String {
    ADOPT_FROM.map(|(name, _)| name).join(", ")
}

/// The text, where the rule allows it.
fn checked<'t>(
    entry: &Entry<'_, 't>,
    rule: fn(&str) -> Result<(), String>,
) -> Result<&'t str, ConfigError> {
    let text = entry.text()?;
    rule(text).map_err(|problem| entry.refuse(&problem))?;
    Ok(text)
}

/// The run's mode; a database's mode is easily written at the same place.
fn run_mode(entry: &Entry<'_, '_>) -> Result<bool, ConfigError> {
    if words::parse_mode(entry.text()?).is_ok() {
        let remedy = "write it below a header [databases.NAME], and here \"observe\" or \"normal\"";
        return Err(entry.refuse(&format!("is the mode of a file; {remedy}")));
    }
    entry.choice(&RUN_MODES)
}

/// 64 alone: without the key the catalogue decides.
fn versions(entry: &Entry<'_, '_>) -> Result<(), ConfigError> {
    let remedy = "is not known; write 64, or leave it out: versions have 64 bits where one needs \
                  them, and else 32";
    entry.number(64, 64, "").map(drop).map_err(|_| entry.refuse(remedy))
}

/// A file, or a folder (it ends in `/`) in which the file is `NAME.db`.
fn database_path(entry: &Entry<'_, '_>, name: &str) -> Result<PathBuf, ConfigError> {
    let written = entry.text()?;
    let path = match written.strip_suffix('/') {
        Some(folder) => format!("{folder}/{name}.db"),
        None => written.to_owned(),
    };
    words::check_database_path(&path).map_err(|problem| entry.refuse(&problem))?;
    Ok(PathBuf::from(path))
}

/// `["*"]`, `"*"`, or a list of tables, each once (SQLite does not tell upper from lower case).
fn carry_over(entry: &Entry<'_, '_>) -> Result<Vec<String>, ConfigError> {
    let items = match entry.value {
        DeValue::String(text) if text == "*" => vec![*entry],
        DeValue::String(_) => return Err(entry.refuse_for_example("is not a list")),
        _ => entry.items()?,
    };
    let mut tables: Vec<String> = Vec::new();
    for item in &items {
        let table = checked(item, words::check_carried_table)?;
        if table == "*" && items.len() > 1 {
            return Err(item.refuse("means every table; write it alone, or only the names"));
        }
        if tables.iter().any(|other| other.eq_ignore_ascii_case(table)) {
            return Err(item.refuse("stands in the list twice; write it once"));
        }
        tables.push(table.to_owned());
    }
    Ok(tables)
}

#[derive(Default)]
struct AdoptDraft {
    from: Option<AdoptFrom>,
    query: Option<String>,
    versions: Option<BTreeMap<i64, i64>>,
}

/// A preset's name alone, or a table.
fn adopt(entry: &Entry<'_, '_>) -> Result<Adopt, ConfigError> {
    let table = match entry.value {
        DeValue::String(_) => {
            let from = entry.choice(&ADOPT_FROM)?;
            return Ok(Adopt { from, versions: BTreeMap::new() });
        }
        DeValue::Table(table) => table,
        _ => return Err(entry.refuse_for_example("is neither a tool's name nor a table")),
    };
    let mut draft = AdoptDraft::default();
    for key in entry.reader.entries(table) {
        read_entry(&key, ADOPT_KEYS, &mut draft, |_| None)?;
    }
    let from = match (draft.from, draft.query) {
        (Some(from), None) => from,
        (None, Some(query)) => AdoptFrom::Query(query),
        (Some(_), Some(_)) => {
            return Err(entry.refuse("has both from and version_query; write one of them"));
        }
        (None, None) => {
            return Err(entry.refuse_for_example("names no tool"));
        }
    };
    if from == AdoptFrom::Refinery && draft.versions.is_some() {
        return Err(entry.refuse(
            "maps versions of refinery, whose history is used as it is; leave versions out",
        ));
    }
    Ok(Adopt { from, versions: draft.versions.unwrap_or_default() })
}

/// `{ 7 = 12 }`: the earlier tool's version to ours.
fn version_map(entry: &Entry<'_, '_>) -> Result<BTreeMap<i64, i64>, ConfigError> {
    let mut versions = BTreeMap::new();
    for version in entry.reader.entries(entry.table()?) {
        let Ok(theirs) = version.key.parse::<i64>() else {
            return Err(
                version.refuse("has no version number on its left; write for example 7 = 12")
            );
        };
        let version = version.with_example("12");
        if versions.insert(theirs, version.version()?).is_some() {
            return Err(
                version.key_error(format!("version {theirs} is written twice; write it once"))
            );
        }
    }
    if versions.is_empty() {
        return Err(entry.refuse(
            "is empty; write for example { 7 = 12 }, or leave it out where the numbers are the \
             same",
        ));
    }
    Ok(versions)
}

/// `[databases.*]`.
fn read_databases(draft: &mut Draft, entry: &Entry<'_, '_>) -> Result<(), ConfigError> {
    for database in entry.reader.entries(entry.headed_table("databases.settings")?) {
        let keys = database.headed_table(&format!("databases.{}", database.key))?;
        let Some(draft) = draft.database(&database)? else { continue };
        for entry in database.reader.entries(keys) {
            if let Some(key) = read_entry(&entry, DATABASE_KEYS, draft, misplaced_in_database)? {
                draft.places.insert(key, entry.place());
            }
        }
    }
    Ok(())
}

fn misplaced_in_database(key: &str) -> Option<String> {
    let known = TOP_KEYS.iter().any(|known| known.name == key);
    known.then(|| format!("write {key} at the top of the file, above the first [databases.NAME]"))
}
