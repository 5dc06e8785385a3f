//! Owns what a product may observe of a run, and its word on what follows a migration that failed.
//! Promises: plain data and callbacks that do nothing by default; an answer that is not allowed
//! gives way to the policy's.
//! Never has an effect of its own: `boot` and `ops` call them, `decide` bounds the answer.

use crate::error::Place;

/// Callbacks of a product, registered with [`Migrator::hooks`](crate::Migrator::hooks). Each has a
/// default that does nothing.
///
/// All but [`Hooks::after_failure`] only observe: what they return or do changes nothing, and a
/// panic is logged and forgotten. They run in the middle of a boot, so they should be quick, and
/// must leave the databases alone. Commands that only look, and `rehearse`, call none.
///
/// ```
/// use bootmigrate::{DatabaseResult, Hooks, MigrationInfo, Migrator};
///
/// struct Screen;
///
/// impl Hooks for Screen {
///     fn before_migration(&self, migration: &MigrationInfo<'_>) {
///         println!("updating {}: {}", migration.database, migration.name);
///     }
///     fn after_database(&self, result: &DatabaseResult<'_>) {
///         println!("{}", result.sentence);
///     }
/// }
///
/// let root = tempfile::tempdir()?;
/// let report = Migrator::new(bootmigrate::embedded!()).root(root.path()).hooks(Screen).boot()?;
/// assert!(report.usable);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Hooks: Send {
    /// A database is looked at next.
    fn before_database(&self, database: &str) {
        let _ = database;
    }

    /// A database is done with, its ready file is written. The whole report is what
    /// [`Migrator::boot`](crate::Migrator::boot) returns.
    fn after_database(&self, result: &DatabaseResult<'_>) {
        let _ = result;
    }

    /// The statements of a migration run next.
    fn before_migration(&self, migration: &MigrationInfo<'_>) {
        let _ = migration;
    }

    /// The statements of a migration have run. Nothing is committed yet: a later one, or the
    /// verification, may still undo it.
    fn after_migration(&self, migration: &MigrationInfo<'_>) {
        let _ = migration;
    }

    /// A migration failed, and everything of it was rolled back: the last word on what follows. The
    /// default is the policy's own answer.
    ///
    /// An answer that is not in [`FailureInfo::allowed`] counts as the policy's: a purge follows
    /// only where the configuration or the operator allowed one, and a snapshot is restored only
    /// where one of an earlier version is kept and `on_damage` names it. Whatever is answered, the
    /// failure is counted, data that goes is reported (exit code 11), and the old files are kept in
    /// quarantine.
    ///
    /// ```
    /// use bootmigrate::{AfterFailure, FailureInfo, Hooks};
    ///
    /// /// Telemetry that was uploaded may go; the rest of the policy stands.
    /// struct Uploaded(bool);
    ///
    /// impl Hooks for Uploaded {
    ///     fn after_failure(&self, failure: &FailureInfo<'_>) -> AfterFailure {
    ///         match failure.policy {
    ///             AfterFailure::Purge if !self.0 => AfterFailure::Keep,
    ///             policy => policy,
    ///         }
    ///     }
    /// }
    /// ```
    fn after_failure(&self, failure: &FailureInfo<'_>) -> AfterFailure {
        failure.policy
    }
}

/// What follows a migration that failed; [`Hooks::after_failure`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AfterFailure {
    /// The database stays as it was, whole, at its old version (exit code 10). Always allowed.
    Keep,
    /// The newest good snapshot of an earlier version takes its place and is migrated; changes made
    /// after it are lost, and reported. Where that fails too, the database stays as with
    /// [`AfterFailure::Keep`].
    Restore,
    /// A fresh database takes its place, with the rows that `carry_over` names.
    Purge,
    /// As [`AfterFailure::Keep`], and the run ends: the databases that come after it are left for
    /// the next boot (exit code 20). Always allowed.
    Stop,
}

/// A migration that failed, for [`Hooks::after_failure`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FailureInfo<'a> {
    /// The database's name.
    pub database: &'a str,
    /// The version that it has now, and keeps until something follows.
    pub version: Option<i64>,
    /// What failed, in one clause.
    pub sentence: &'a str,
    /// Where in a migration.
    pub place: Option<&'a Place>,
    /// What the configuration says.
    pub policy: AfterFailure,
    /// What may be answered.
    pub allowed: &'a [AfterFailure],
}

/// A migration that runs next, or has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationInfo<'a> {
    /// The database's name.
    pub database: &'a str,
    /// Its version.
    pub version: i64,
    /// What stands between `__` and `.sql` in the file's name.
    pub name: &'a str,
    /// The file, as `settings/V4__wifi.sql`.
    pub file: &'a str,
}

/// How a database came out of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseResult<'a> {
    /// The database's name.
    pub database: &'a str,
    /// Its version now; `None` where it could not be read.
    pub version: Option<i64>,
    /// May the application open it?
    pub usable: bool,
    /// Rows were lost.
    pub data_loss: bool,
    /// Its own exit code.
    pub exit: u8,
    /// What happened, in one sentence with its code.
    pub sentence: &'a str,
}
