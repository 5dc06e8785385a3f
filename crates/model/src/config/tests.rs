//! Owns the tests of the configuration: what is read, and every sentence that a mistake earns.
//! Promises: a mistake is compared with its whole sentence and place; no mutation of a good file
//! panics.
//! Never reads a file.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;

use super::*;

const FULL: &str = r#"# Gerät größer
slots = "ab"
mode = "observe"
example = true
memory_mib = 256
marker = "/boot/bootmigrate-request"

[databases.settings]
path = "/var/lib/gateway/settings.db"
kind = "precious"
owner = "gateway:data"
mode = "0660"
require_mount = "/var/lib/gateway"
user_version = "ours"
on_failure = "purge"
on_damage = ["reindex", "snapshot", "purge"]
on_newer = ["downgrade", "trial-snapshot"]
carry_over = ["wifi", "größe"]
snapshot = "always"
journal_mode = "wal"
on_checksum_mismatch = "warn"
group = "core"
baseline = { from = "user_version", versions = { 7 = 12, 8 = 13 } }
baseline_version = 12
baseline_foreign_keys = "enforced"
versions = 64
busy_timeout_s = 0
statement_timeout_s = 600
snapshots_max = 0x2
quarantine_max = 3
quick_check_max_mib = 1_024
show_rows = true
history_table = "history"
sqlite_min = "3.40.1"

[databases.abc]
path = "/var/lib/gateway/"
kind = "rebuildable"
group = "core"
"#;

fn source<'a>(file: &'a str, text: &'a str) -> Source<'a> {
    Source { file, text }
}

/// The whole file `b.toml` has this mistake.
#[track_caller]
fn check(text: &str, expected: &str) {
    match read(source("b.toml", text), &[], UnknownKey::Refuse) {
        Ok(_) => panic!("no mistake was found in {text:?}"),
        Err(error) => assert_eq!(error.to_string(), format!("b.toml:{expected}"), "in {text:?}"),
    }
}

/// These lines below `[databases.settings]`, from line 2 on, have this mistake.
#[track_caller]
fn check_keys(cases: &[(&str, &str)]) {
    for (lines, expected) in cases {
        check(&format!("[databases.settings] # größer\n{lines}"), expected);
    }
}

/// The device's file `e.toml` over a good one has this mistake.
#[track_caller]
fn check_over(over: &str, expected: &str) {
    let good = source("b.toml", "[databases.settings]");
    match read(good, &[source("e.toml", over)], UnknownKey::Warn) {
        Ok(_) => panic!("no mistake was found in {over:?}"),
        Err(error) => assert_eq!(error.to_string(), format!("e.toml:{expected}"), "in {over:?}"),
    }
}

#[track_caller]
fn good(embedded: &str, over: &[&str]) -> Settings {
    let over: Vec<_> = over.iter().map(|text| source("e.toml", text)).collect();
    read(source("b.toml", embedded), &over, UnknownKey::Refuse).expect("a good file")
}

#[track_caller]
fn only_database(text: &str) -> DatabaseSettings {
    good(text, &[]).databases.pop().expect("one database")
}

#[test]
fn precious_data_has_careful_defaults() {
    let database = only_database("[databases.settings]");
    assert_eq!(database.path, Path::new("/var/lib/settings/settings.db"));
    assert_eq!(database.kind, Kind::Precious);
    assert_eq!(database.on_failure, OnFailure::Restore);
    assert_eq!(database.carry_over, ["*"]);
    assert_eq!(database.snapshot, SnapshotPolicy::Auto);
    assert_eq!(database.on_damage, [Repair::Reindex, Repair::Salvage, Repair::Snapshot]);
    assert_eq!(database.on_newer, [OnNewer::Compatible, OnNewer::Downgrade]);
    assert_eq!(database.mode, 0o640);
    assert_eq!((database.busy_timeout_s, database.quick_check_max_mib), (10, 64));
    assert_eq!((database.snapshots_max, database.quarantine_max), (1, 2));
    assert_eq!(database.history_table, "refinery_schema_history");
    assert_eq!(database.user_version, UserVersion::Product);
    assert_eq!(database.journal_mode, JournalMode::Keep);
    assert_eq!(database.on_checksum_mismatch, OnChecksumMismatch::Refuse);
    assert_eq!((database.owner, database.require_mount, database.group), (None, None, None));
    assert_eq!(
        (database.baseline, database.baseline_version, database.sqlite_min),
        (None, None, None)
    );
    assert!(!database.versions_64);
    assert!(database.sources.is_empty());
}

#[test]
fn rebuildable_data_is_built_anew_by_default() {
    let database = only_database("slots = \"ab\"\n[databases.t]\nkind = \"rebuildable\"");
    assert_eq!(database.on_failure, OnFailure::Purge);
    assert_eq!(database.on_damage, [Repair::Purge]);
    assert_eq!(database.on_newer, [OnNewer::Compatible, OnNewer::Downgrade, OnNewer::Purge]);
    assert_eq!(database.snapshot, SnapshotPolicy::Never);
    assert!(database.carry_over.is_empty());
}

#[test]
fn what_is_written_wins_over_the_defaults_of_the_kind() {
    let database = only_database(
        "[databases.t]\nkind = \"rebuildable\"\non_failure = \"restore\"\ncarry_over = \"*\"\n\
         snapshot = \"auto\"\non_damage = []\non_newer = []\nquarantine_max = 0",
    );
    assert_eq!(database.on_failure, OnFailure::Restore);
    assert_eq!(database.carry_over, ["*"]);
    assert_eq!(database.snapshot, SnapshotPolicy::Auto);
    assert!(database.on_damage.is_empty() && database.on_newer.is_empty());
    assert_eq!(database.quarantine_max, 0);
}

#[test]
fn two_slots_add_the_trial_snapshot_last() {
    let database = only_database("slots = \"ab\"\n[databases.settings]");
    let expected = [OnNewer::Compatible, OnNewer::Downgrade, OnNewer::TrialSnapshot];
    assert_eq!(database.on_newer, expected);
}

#[test]
fn every_key_is_read() {
    let settings = good(FULL, &[]);
    assert_eq!(settings.slots, Slots::Ab);
    assert!(settings.observe && settings.example && settings.warnings.is_empty());
    assert_eq!(settings.memory_mib, 256);
    assert_eq!(settings.marker.as_deref(), Some(Path::new("/boot/bootmigrate-request")));
    // All but `databases`.
    assert_eq!(settings.sources.len(), keys::TOP_KEYS.len() - 1, "FULL has every key");
    let sources: Vec<_> = settings.sources.keys().map(String::as_str).collect();
    assert_eq!(sources, ["example", "marker", "memory_mib", "mode", "slots"]);

    let [database, folder] = settings.databases.as_slice() else { panic!("two databases") };
    assert_eq!(folder.name, "abc", "in the order of the file");
    assert_eq!(folder.path, Path::new("/var/lib/gateway/abc.db"));
    assert_eq!(database.sources.len(), keys::DATABASE_KEYS.len(), "FULL has every key");
    let owner = Owner { user: "gateway".to_owned(), group: "data".to_owned() };
    let adopt = Adopt { from: AdoptFrom::UserVersion, versions: [(7, 12), (8, 13)].into() };
    let expected = DatabaseSettings {
        name: "settings".to_owned(),
        path: "/var/lib/gateway/settings.db".into(),
        kind: Kind::Precious,
        owner: Some(owner),
        mode: 0o660,
        require_mount: Some("/var/lib/gateway".into()),
        user_version: UserVersion::Ours,
        on_failure: OnFailure::Purge,
        on_damage: vec![Repair::Reindex, Repair::Snapshot, Repair::Purge],
        on_newer: vec![OnNewer::Downgrade, OnNewer::TrialSnapshot],
        carry_over: vec!["wifi".to_owned(), "größe".to_owned()],
        snapshot: SnapshotPolicy::Always,
        journal_mode: JournalMode::Wal,
        on_checksum_mismatch: OnChecksumMismatch::Warn,
        group: Some("core".to_owned()),
        baseline: Some(adopt),
        baseline_version: Some(12),
        baseline_foreign_keys: Some(true),
        versions_64: true,
        busy_timeout_s: 0,
        statement_timeout_s: Some(600),
        snapshots_max: 2,
        quarantine_max: 3,
        quick_check_max_mib: 1024,
        show_rows: true,
        history_table: "history".to_owned(),
        sqlite_min: Some(40),
        sources: database.sources.clone(),
    };
    assert_eq!(*database, expected);
}

#[test]
fn every_example_is_right() {
    for known in keys::TOP_KEYS.iter().filter(|known| known.name != "databases") {
        let text = format!("{} = {}\n[databases.settings]", known.name, known.example);
        assert_eq!(good(&text, &[]).sources.len(), 1, "{text}");
    }
    for known in keys::DATABASE_KEYS {
        // A group has two members.
        let of_both = if known.name == "group" { "[databases.log]\ngroup = \"core\"" } else { "" };
        let lines = format!("{of_both}\n[databases.settings]\n{} = {}", known.name, known.example);
        assert_eq!(only_database(&lines).sources.len(), 1, "{lines}");
    }
}

#[test]
fn adoption_is_a_tool_or_a_query() {
    let adopt = |value: &str| only_database(&format!("[databases.a]\nbaseline = {value}")).baseline;
    let none = BTreeMap::new();
    let ecto = Adopt { from: AdoptFrom::Ecto, versions: none.clone() };
    assert_eq!(adopt("\"ecto\""), Some(ecto.clone()));
    assert_eq!(adopt("{ from = \"ecto\" }"), Some(ecto));
    let query = AdoptFrom::Query("SELECT max(v) FROM m;".to_owned());
    let expected = Adopt { from: query, versions: [(20_240_101_120_000, 1)].into() };
    let written =
        "{ version_query = \"SELECT max(v) FROM m;\", versions = { 20240101120000 = 1 } }";
    assert_eq!(adopt(written), Some(expected));
    assert_eq!(adopt("\"refinery\""), Some(Adopt { from: AdoptFrom::Refinery, versions: none }));
}

#[test]
fn an_owner_is_a_user_with_or_without_a_group() {
    let owner = |text: &str| {
        let owner = only_database(&format!("[databases.a]\nowner = \"{text}\"")).owner;
        owner.map(|owner| format!("{}:{}", owner.user, owner.group)).unwrap_or_default()
    };
    assert_eq!(owner("gateway"), "gateway:gateway");
    assert_eq!(owner("1000:0"), "1000:0");
    assert_eq!(owner("_www:dialout"), "_www:dialout");
}

#[test]
fn the_device_overrides_single_keys() {
    let embedded =
        "slots = \"ab\"\nmode = \"observe\"\n[databases.b]\nsnapshot = \"auto\"\n[databases.a]";
    let over = [
        "mode = \"normal\"\n[databases.a]\nkind = \"rebuildable\"",
        "[databases.b]\nsnapshot = \"never\"",
    ];
    let settings = good(embedded, &over);
    assert!(!settings.observe);
    let [b, a] = settings.databases.as_slice() else { panic!("two databases") };
    assert_eq!((b.name.as_str(), b.snapshot), ("b", SnapshotPolicy::Never));
    assert_eq!(
        (a.name.as_str(), a.on_failure),
        ("a", OnFailure::Purge),
        "defaults follow the kind"
    );
    let source = |sources: &BTreeMap<String, PathPlace>, key| {
        sources.get(key).map(|place| place.file.clone()).unwrap_or_default()
    };
    assert_eq!(source(&settings.sources, "slots"), "b.toml");
    assert_eq!(source(&settings.sources, "mode"), "e.toml");
    assert_eq!(source(&b.sources, "snapshot"), "e.toml");
}

#[test]
fn unknown_keys_are_warnings_on_the_device() {
    let embedded = "[databases.a]\nbaseline = { from = \"sqlx\", \"größe\" = 1 }";
    let over = "slot = \"ab\"\n[databases.a]\n\"ü\" = 1\nslots = \"ab\"\nsnapshot = \"never\"";
    let settings = read(source("b.toml", embedded), &[source("e.toml", over)], UnknownKey::Warn);
    let settings = settings.expect("only warnings");
    assert_eq!(settings.databases.first().map(|a| a.snapshot), Some(SnapshotPolicy::Never));
    let warnings: Vec<_> = settings.warnings.iter().map(|text| text.split(';').next()).collect();
    let expected = [
        "b.toml:2:29: \"größe\" is not a known key here",
        "e.toml:1:1: slot is not a known key here",
        "e.toml:3:1: \"ü\" is not a known key here",
        "e.toml:4:1: slots is not a known key here",
    ];
    assert_eq!(warnings, expected.map(Some));
    assert!(settings.warnings.iter().all(|text| text.ends_with("; this firmware ignores the key")));
}

/// The firmware of the other slot may have it; in the build nobody else reads the file.
#[test]
fn a_database_that_the_image_does_not_name_is_a_warning_on_the_device() {
    for (over, remedy) in [
        ("[databases.setings]\nsnapshot = \"never\"", "write [databases.settings]"),
        ("[databases.telemetry]\nkind = 7", "its databases are settings"),
    ] {
        let read = |unknown| {
            let over =
                [source("e.toml", over), source("f.toml", "[databases.settings]\nmode = \"0600\"")];
            read(source("b.toml", "[databases.settings]"), &over, unknown)
        };
        let settings = read(UnknownKey::Warn).expect("only a warning");
        let name = over.split(['.', ']']).nth(1).unwrap_or_default();
        let sentence = format!(
            "e.toml:1:12: this firmware has no database {name}: the image carries no migrations for \
             it; {remedy}"
        );
        assert_eq!(settings.warnings, [format!("{sentence}; this firmware ignores the table")]);
        assert_eq!(settings.databases.len(), 1);
        assert_eq!(settings.databases.first().map(|database| database.mode), Some(0o600));
        assert_eq!(read(UnknownKey::Refuse).expect_err(name).to_string(), sentence);
    }
}

mod database_keys;
mod former;
mod mistakes;
mod mutations;
mod taken_names;
