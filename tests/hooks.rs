//! Owns the tests of a product's hooks: what they see of a run, and their last word on a migration
//! that failed.
//! Promises: rows are read by SQLite; each test has a root folder of its own.
//! Never looks into the library: it calls what a product may call.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

use bootmigrate::catalog::{Catalog, Embedded, Migration};
use bootmigrate::testing::Device;
use bootmigrate::{
    AfterFailure, DatabaseResult, FailureInfo, Hooks, MigrationInfo, Migrator, RunReport,
};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::tempdir;

/// What a product's hooks were told, a line each; and their answer, where it is not the policy's.
#[derive(Clone, Default)]
struct Notes {
    lines: Arc<Mutex<Vec<String>>>,
    answer: Option<AfterFailure>,
    panics: bool,
}

impl Notes {
    fn answering(answer: AfterFailure) -> Notes {
        Notes { answer: Some(answer), ..Notes::default() }
    }

    fn note(&self, line: String) {
        self.lines.lock().unwrap().push(line);
        assert!(!self.panics, "a guest may");
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }

    fn asked(&self) -> Vec<String> {
        self.taken().into_iter().filter(|line| line.contains(" failed, ")).collect()
    }
}

impl Hooks for Notes {
    fn before_database(&self, database: &str) {
        self.note(format!("before {database}"));
    }
    fn after_database(&self, result: &DatabaseResult<'_>) {
        self.note(format!(
            "after {} at {:?}, exit {}",
            result.database,
            result.version.unwrap(),
            result.exit
        ));
    }
    fn before_migration(&self, migration: &MigrationInfo<'_>) {
        self.note(format!("  {} {}", migration.version, migration.name));
    }
    fn after_migration(&self, migration: &MigrationInfo<'_>) {
        self.note(format!("  {} ran", migration.file));
    }
    fn after_failure(&self, failure: &FailureInfo<'_>) -> AfterFailure {
        let line = failure.place.map_or(0, |place| place.line);
        self.note(format!(
            "  {}:{line} failed, policy {:?}, allowed {:?}",
            failure.database, failure.policy, failure.allowed
        ));
        self.answer.unwrap_or(failure.policy)
    }
}

/// The example product with one more migration of `settings`: a site may not be called "bad".
/// `more` goes into its table of the configuration.
fn product(more: &str) -> Embedded {
    let product = bootmigrate::embedded!();
    let settings = product.databases[0];
    let sql = "CREATE TABLE good (name TEXT CHECK (name <> 'bad'));\nINSERT INTO good SELECT name \
               FROM site;\n";
    let newest = *settings.migrations.last().unwrap();
    let strict = Migration {
        version: 15,
        name: "strict",
        file: "settings/V15__strict.sql",
        sql,
        statements: 2,
        down: None,
        ..newest
    };
    let migrations: Vec<Migration> = settings.migrations.iter().copied().chain([strict]).collect();
    let catalog = Catalog { migrations: migrations.leak(), fingerprint: [15; 16], ..settings };
    let databases =
        [catalog].into_iter().chain(product.databases.iter().skip(1).copied()).collect::<Vec<_>>();
    let configuration = product
        .configuration
        .replace("[databases.settings]", &format!("[databases.settings]\n{more}"));
    Embedded { configuration: configuration.leak(), databases: databases.leak(), ..product }
}

/// A device at version 9 with a good site, then at 14 with a bad one, whose next boot tries version
/// 15.
fn with_a_bad_row(root: &Path, more: &str, notes: &Notes) -> Device {
    let mut device = Device::new(Migrator::new(product(more)).hooks(notes.clone()), root);
    assert_eq!(device.boot_at("settings", 9).unwrap().exit, 0);
    device.fill("settings", "INSERT INTO site (name) VALUES ('attic')").unwrap();
    assert_eq!(device.boot_at("settings", 14).unwrap().exit, 0);
    device.fill("settings", "INSERT INTO site (name) VALUES ('bad')").unwrap();
    notes.taken();
    device
}

/// The sites, as SQLite reads them.
fn sites(root: &Path) -> String {
    let database = rusqlite::Connection::open(root.join("var/lib/gateway/settings.db")).unwrap();
    database
        .query_row(
            "SELECT coalesce(group_concat(name), '') FROM (SELECT name FROM site ORDER BY id)",
            [],
            |row| row.get(0),
        )
        .unwrap()
}

/// Exit code, and of `settings` its own, its version and whether rows were lost.
fn end(report: &RunReport) -> (u8, u8, Option<i64>, bool) {
    let settings = &report.databases[0];
    (report.exit, settings.exit, settings.version, settings.data_loss)
}

#[test]
fn a_run_is_told_in_order() {
    let (root, notes) = (tempdir().unwrap(), Notes::default());
    let mut device = Device::new(Migrator::new(product("")).hooks(notes.clone()), root.path());
    assert_eq!(device.boot_at("settings", 13).unwrap().exit, 0);
    notes.taken();
    assert_eq!(device.boot().unwrap().exit, 0);
    let told = [
        "before settings",
        "  14 calibration_history",
        "  settings/V14__calibration_history.sql ran",
        "  15 strict",
        "  settings/V15__strict.sql ran",
        "after settings at 15, exit 0",
        "before telemetry",
        "after telemetry at 4, exit 0",
    ];
    assert_eq!(notes.taken(), told);
    assert_eq!(device.boot().unwrap().exit, 0);
    let quiet = [
        "before settings",
        "after settings at 15, exit 0",
        "before telemetry",
        "after telemetry at 4, exit 0",
    ];
    assert_eq!(notes.taken(), quiet);
}

#[test]
fn a_hook_that_panics_changes_nothing() {
    let (root, notes) = (
        tempdir().unwrap(),
        Notes { panics: true, answer: Some(AfterFailure::Stop), ..Notes::default() },
    );
    let mut device = with_a_bad_row(root.path(), "", &notes);
    // Its answer never came: the policy's counts, and telemetry has its turn.
    let report = device.boot().unwrap();
    assert_eq!(
        (end(&report), report.databases[1].exit),
        ((10, 10, Some(14), false), 0),
        "{}",
        report.databases[0].sentence
    );
    assert_eq!(notes.taken().len(), 6);
    assert_eq!(sites(root.path()), "attic,bad");
}

#[test]
fn without_an_answer_the_policy_counts() {
    let (root, notes) = (tempdir().unwrap(), Notes::default());
    let mut device = with_a_bad_row(root.path(), "", &notes);
    assert_eq!(end(&device.boot().unwrap()), (10, 10, Some(14), false));
    assert_eq!(notes.asked(), ["  settings:2 failed, policy Keep, allowed [Keep, Stop, Restore]"]);
    assert_eq!(sites(root.path()), "attic,bad");
    // The tries are counted as ever, and a refusal asks nobody.
    device.boot().unwrap();
    device.boot().unwrap();
    notes.taken();
    assert_eq!(end(&device.boot().unwrap()), (19, 19, Some(14), false));
    assert!(notes.asked().is_empty());
}

#[test]
fn a_purge_that_the_policy_does_not_have_is_not_allowed() {
    let (root, notes) = (tempdir().unwrap(), Notes::answering(AfterFailure::Purge));
    let mut device = with_a_bad_row(root.path(), "", &notes);
    assert_eq!(end(&device.boot().unwrap()), (10, 10, Some(14), false));
    assert_eq!(sites(root.path()), "attic,bad");
}

#[test]
fn a_purge_of_the_policy_may_be_declined() {
    let (root, notes) = (tempdir().unwrap(), Notes::answering(AfterFailure::Keep));
    let mut device = with_a_bad_row(root.path(), "on_failure = \"purge\"\n", &notes);
    assert_eq!(end(&device.boot().unwrap()), (10, 10, Some(14), false));
    assert_eq!(sites(root.path()), "attic,bad");
    assert_eq!(
        notes.asked(),
        ["  settings:2 failed, policy Purge, allowed [Keep, Stop, Purge, Restore]"]
    );
    // The same device without a word of the product's.
    let mut by_policy =
        Device::new(Migrator::new(product("on_failure = \"purge\"\n")), root.path());
    assert_eq!(end(&by_policy.boot().unwrap()), (11, 11, Some(15), true));
}

#[test]
fn a_stop_leaves_the_rest_for_the_next_boot() {
    let (root, notes) = (tempdir().unwrap(), Notes::answering(AfterFailure::Stop));
    let mut device = with_a_bad_row(root.path(), "", &notes);
    let report = device.boot().unwrap();
    assert_eq!(
        (end(&report), report.databases[1].exit),
        ((10, 10, Some(14), false), 20),
        "{}",
        report.databases[1].sentence
    );
    assert!(device.open("telemetry").is_err());
    assert!(!notes.taken().iter().any(|line| line == "before telemetry"));
    device.fill("settings", "DELETE FROM site WHERE name = 'bad'").unwrap_err();
    let database =
        rusqlite::Connection::open(root.path().join("var/lib/gateway/settings.db")).unwrap();
    database.execute("DELETE FROM site WHERE name = 'bad'", []).unwrap();
    drop(database);
    assert_eq!(end(&device.boot().unwrap()), (0, 0, Some(15), false));
    assert!(device.open("telemetry").is_ok());
}

/// Lets another folder take the databases' place between two of them, as a mount does.
struct Mounts(std::path::PathBuf);

impl Hooks for Mounts {
    fn after_database(&self, result: &DatabaseResult<'_>) {
        let (folder, below) = (self.0.join("gateway"), self.0.join("below"));
        if result.database == "settings" {
            std::fs::rename(&folder, &below).unwrap();
            std::fs::create_dir(&folder).unwrap();
        }
    }
}

#[test]
fn a_folder_that_is_mounted_during_a_run_counts_for_the_next_database() {
    let root = tempdir().unwrap();
    let data = root.path().join("var/lib");
    std::fs::create_dir_all(data.join("gateway")).unwrap();
    let migrator = || Migrator::new(product("")).root(root.path());
    let report = migrator().hooks(Mounts(data.clone())).boot().unwrap();
    assert!(report.usable, "{}", report.databases[1].sentence);
    let there = |folder: &str, name: &str| data.join(folder).join(name).exists();
    assert!(
        there("below", "settings.db")
            && there("gateway", "telemetry.db")
            && !there("below", "telemetry.db")
    );
    assert!(migrator().open("telemetry").is_ok());
}

#[test]
fn a_snapshot_is_restored_where_the_product_asks_for_it() {
    let (root, notes) = (tempdir().unwrap(), Notes::answering(AfterFailure::Restore));
    let mut device = with_a_bad_row(root.path(), "snapshots_max = 2\n", &notes);
    let report = device.boot().unwrap();
    assert_eq!(end(&report), (11, 11, Some(15), true), "{}", report.databases[0].sentence);
    assert_eq!(sites(root.path()), "attic");
    let quarantine = report.databases[0].quarantine.as_deref().unwrap();
    let kept = root.path().join("var/lib/gateway/.bootmigrate/settings.db").join(quarantine);
    assert!(kept.join("settings.db").exists(), "{}", kept.display());
    assert_eq!(end(&device.boot().unwrap()), (0, 0, Some(15), false));
}

#[test]
fn a_snapshot_that_fails_too_ends_the_run() {
    let (root, notes) = (tempdir().unwrap(), Notes::answering(AfterFailure::Restore));
    let mut device = Device::new(
        Migrator::new(product("snapshots_max = 2\n")).hooks(notes.clone()),
        root.path(),
    );
    assert_eq!(device.boot_at("settings", 9).unwrap().exit, 0);
    device.fill("settings", "INSERT INTO site (name) VALUES ('bad')").unwrap();
    assert_eq!(device.boot_at("settings", 14).unwrap().exit, 0);
    notes.taken();
    let report = device.boot().unwrap();
    assert_eq!(end(&report), (10, 10, Some(14), false), "{}", report.databases[0].sentence);
    assert_eq!(notes.asked().len(), 1);
    assert_eq!(sites(root.path()), "bad");
}

#[test]
fn a_migrator_may_go_to_another_thread() {
    fn sent<T: Send>() {}
    sent::<Migrator>();
    sent::<Device>();
}
