//! Owns `bootmigrate.toml`: the embedded file, then `/etc/bootmigrate.toml` over it, into validated
//! [`Settings`].
//! Promises: every error is one sentence with file, line and column; every limit has its unit in
//! its name.
//! Never touches the file system and knows nothing of the rest of the context: the build crate
//! reads the same file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

mod check;
mod draft;
mod entry;
mod keys;
mod known;
pub mod names;
pub mod packed;
mod read;
#[cfg(test)]
mod tests;
pub mod words;

/// Reads the embedded file and then single keys of the files over it, in order.
///
/// A file over it changes keys of databases that the embedded file names; it can add none, and it
/// cannot change what was decided when the firmware was built (`example`, `baseline_version`,
/// `baseline_foreign_keys`).
///
/// # Errors
/// Not TOML, a wrong type or value, an impossible combination, or (with [`UnknownKey::Refuse`]) an
/// unknown key.
pub fn read(
    embedded: Source<'_>,
    over: &[Source<'_>],
    unknown: UnknownKey,
) -> Result<Settings, ConfigError> {
    let mut draft = draft::Draft::new();
    read::read_source(&mut draft, embedded, entry::Origin::Image, unknown)?;
    for source in over {
        draft.settings.overridden = true;
        read::read_source(&mut draft, *source, entry::Origin::Device, unknown)?;
    }
    check::finish(draft, embedded.file)
}

/// Largest configuration file, in bytes: a file with every key and long comments has a hundredth of
/// it.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Longest path, in bytes: SQLite opens at most 512, and `--root` and the state folder come on top.
pub const PATH_BYTES_MAX: usize = 400;
/// Longest file name, in bytes: 255 is the file system's limit, and SQLite appends `-journal`.
pub const FILE_NAME_BYTES_MAX: usize = 240;
/// Longest name of a database, a group, a table, a user, in bytes: it is a file name, and stands in
/// one log line.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest wait for another process, in seconds: more outlasts a service manager's patience at
/// boot.
pub const BUSY_TIMEOUT_S_MAX: u32 = 300;
/// Most snapshots kept: each may be a whole copy of the database.
pub const SNAPSHOTS_MAX_MAX: u32 = 16;
/// Most sets kept in quarantine: each is a whole copy of the database.
pub const QUARANTINE_MAX_MAX: u32 = 16;
/// Longest time for one statement of a migration, in seconds: a day is longer than any boot.
pub const STATEMENT_TIMEOUT_S_MAX: u32 = 86_400;
/// Least memory for SQLite, in MiB: its page caches alone take four.
pub const MEMORY_MAX_MIB_MIN: u32 = 16;
/// Most memory for SQLite, in MiB (1 TiB): more is a slip of the keyboard.
pub const MEMORY_MAX_MIB_MAX: u32 = 1_048_576;
/// Largest file that is checked in full at a migration, in MiB (1 TiB): more is a slip of the
/// keyboard.
pub const QUICK_CHECK_MAX_MIB_MAX: u32 = 1_048_576;

/// Oldest SQLite that `sqlite_min` can name, 3.24 of 2018: of what came before it nothing is looked
/// for.
pub const SQLITE_MIN_MIN: u32 = 24;

/// The whole configuration, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many firmware slots share the data partition.
    pub slots: Slots,
    /// `mode = "observe" | "normal"`: `true`: look, decide, report, change nothing.
    pub observe: bool,
    /// `example = true`: this is the example product; it runs only under `--root`. Of the embedded
    /// file alone.
    pub example: bool,
    /// `memory_mib`: what SQLite may have in memory, all databases together.
    pub memory_mib: u32,
    /// `marker`: a file whose content is the token of a purge-and-retry, for a technician without a
    /// shell.
    pub marker: Option<PathBuf>,
    /// In the order of the file.
    pub databases: Vec<DatabaseSettings>,
    /// A file over the embedded one was read.
    pub overridden: bool,
    /// Sentences about keys that this firmware does not know (the other slot may be newer).
    pub warnings: Vec<String>,
    /// Where each key above the tables was written; a key that is absent here has its default.
    pub sources: BTreeMap<String, PathPlace>,
}

/// `slots = "ab" | "single"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {
    /// Two firmware images take turns on one data partition.
    Ab,
    /// One firmware image.
    Single,
}

/// `[databases.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// The table's name.
    pub name: String,
    /// `path`: absolute, without `--root`. `/var/lib/NAME/NAME.db` where it is absent;
    /// `NAME.db` in that folder where what is written ends in `/`.
    pub path: PathBuf,
    /// `kind`.
    pub kind: Kind,
    /// `owner = "user:group"`; the folder's owner where it is absent.
    pub owner: Option<Owner>,
    /// `mode = "0640"`, for a new file.
    pub mode: u32,
    /// `require_mount`: must be a mount point before anything is made.
    pub require_mount: Option<PathBuf>,
    /// `user_version`.
    pub user_version: UserVersion,
    /// `on_failure`.
    pub on_failure: OnFailure,
    /// `on_damage`, in order.
    pub on_damage: Vec<Repair>,
    /// `on_newer`, in order; refuse comes after the last.
    pub on_newer: Vec<OnNewer>,
    /// `carry_over`: tables to keep when purging; `["*"]` is all.
    pub carry_over: Vec<String>,
    /// `snapshot`.
    pub snapshot: SnapshotPolicy,
    /// `journal_mode`.
    pub journal_mode: JournalMode,
    /// `on_checksum_mismatch`.
    pub on_checksum_mismatch: OnChecksumMismatch,
    /// `group = "group"`.
    pub group: Option<String>,
    /// `baseline`: how the version of a database without our history is found, once.
    pub baseline: Option<Adopt>,
    /// `baseline_version`: files up to this version were released before bootmigrate. Of the
    /// embedded file alone.
    pub baseline_version: Option<i64>,
    /// `baseline_foreign_keys`: those files run with foreign keys enforced; `None` where nobody has
    /// said. Of the embedded file alone.
    pub baseline_foreign_keys: Option<bool>,
    /// `versions = 64`: the history is written as by refinery's feature `int8-versions`, even where
    /// 32 bits would do. Of the embedded file alone.
    pub versions_64: bool,
    /// `busy_timeout_s`.
    pub busy_timeout_s: u32,
    /// `statement_timeout_s`: a statement of a migration that takes longer has failed; `None` for
    /// no limit.
    pub statement_timeout_s: Option<u32>,
    /// `snapshots_max`, after `mark-good`.
    pub snapshots_max: u32,
    /// `quarantine_max`, sets.
    pub quarantine_max: u32,
    /// `quick_check_max_mib`: larger files are not checked in full at a migration.
    pub quick_check_max_mib: u32,
    /// `show_rows`: a sentence, the report and the journal may have the contents of a row.
    pub show_rows: bool,
    /// `history_table`.
    pub history_table: String,
    /// `sqlite_min = "3.40"`: the oldest SQLite of the applications, as its second number.
    pub sqlite_min: Option<u32>,
    /// Where each key was written; a key that is absent here has its default.
    pub sources: BTreeMap<String, PathPlace>,
}

/// `kind = "precious" | "rebuildable"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Never lost to a failed migration.
    Precious,
    /// May be rebuilt.
    Rebuildable,
}

/// `owner = "user:group"`, names or numbers, resolved on the device; `"user"` alone is
/// `"user:user"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// User name or number.
    pub user: String,
    /// Group name or number.
    pub group: String,
}

/// `user_version = "product" | "ours"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserVersion {
    /// Belongs to the application.
    Product,
    /// Set to the schema version by every commit.
    Ours,
}

/// `on_failure = "restore" | "purge"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The old database stays.
    Restore,
    /// A fresh one is built beside it and swapped in.
    Purge,
}

/// An entry of `on_damage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Rebuild the indexes on a copy.
    Reindex,
    /// Read what can be read.
    Salvage,
    /// Put the newest good snapshot in place.
    Snapshot,
    /// Rebuild.
    Purge,
}

/// An entry of `on_newer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnNewer {
    /// Use it as it is where the newer firmware said that this one can.
    Compatible,
    /// Go back with the stored down SQL.
    Downgrade,
    /// Until `mark-good`: the snapshot of this firmware's own version.
    TrialSnapshot,
    /// Set it aside and rebuild (what `kind = "rebuildable"` means by default).
    Purge,
}

/// `snapshot = "auto" | "always" | "never"`: the snapshot before migrating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotPolicy {
    /// Where there is room.
    Auto,
    /// Or refuse.
    Always,
    /// None.
    Never,
}

/// `journal_mode = "keep" | "wal" | "delete"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalMode {
    /// As it is found.
    Keep,
    /// Write-ahead log.
    Wal,
    /// Rollback journal.
    Delete,
}

/// `on_checksum_mismatch = "refuse" | "warn"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChecksumMismatch {
    /// Exit 21.
    Refuse,
    /// Said, and used as it is.
    Warn,
}

/// `baseline = "sqlx"`, `baseline = { from = "user_version", versions = { 7 = 12 } }` or with
/// `version_query`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopt {
    /// Where the version that the earlier tool left is read.
    pub from: AdoptFrom,
    /// The earlier tool's version to ours; empty where the numbers are the same.
    pub versions: BTreeMap<i64, i64>,
}

/// Versions beyond 32 bits ask for the history of refinery's feature `int8-versions`, and so does
/// `versions = 64`. Else its default, since more histories are like that.
pub fn history_needs_64_bits(newest: i64, database: Option<&DatabaseSettings>) -> bool {
    is_long(newest) || database.is_some_and(|database| database.versions_64)
}

fn is_long(version: i64) -> bool {
    i32::try_from(version).is_err()
}

impl DatabaseSettings {
    /// SQLite's own number is to be the version, and is too short for the newest one: a sentence.
    pub fn user_version_cannot_hold(&self, newest: i64) -> Option<String> {
        let sentence = || {
            format!(
                "in [databases.{}], user_version = \"ours\" cannot hold {newest}: SQLite's \
                 user_version has 32 bits; write user_version = \"product\", and read the version \
                 from {}",
                self.name, self.history_table
            )
        };
        (self.user_version == UserVersion::Ours && is_long(newest)).then(sentence)
    }
}

impl Adopt {
    /// What an operator said instead of the configuration: the tool, or our version itself.
    ///
    /// # Errors
    /// One sentence.
    pub fn by_hand(tool: Option<&str>, version: Option<i64>) -> Result<Adopt, String> {
        let from = match (tool, version) {
            (_, Some(version)) => AdoptFrom::Stated(version),
            (Some(name), None) => keys::tool(name).ok_or_else(|| {
                format!("--from {name} is no tool that is known; there is {}", keys::tools())
            })?,
            (None, None) => return Err(
                "`baseline` needs --from TOOL or --at VERSION where `baseline` is not configured"
                    .to_owned(),
            ),
        };
        Ok(Adopt { from, versions: BTreeMap::new() })
    }
}

/// `from = "…"`: whose history an adopted database carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdoptFrom {
    /// An operator says our version; no key of the configuration does.
    Stated(i64),
    /// `PRAGMA user_version`.
    UserVersion,
    /// refinery: its history is used as it is.
    Refinery,
    /// Ecto.
    Ecto,
    /// sqlx.
    Sqlx,
    /// Diesel.
    Diesel,
    /// `rusqlite_migration`.
    RusqliteMigration,
    /// golang-migrate.
    GolangMigrate,
    /// goose.
    Goose,
    /// dbmate.
    Dbmate,
    /// `version_query`: a SELECT whose one row and column is the version.
    Query(String),
}

/// Where a key or a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPlace {
    /// The file as it was named to the reader.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl PathPlace {
    /// A mistake there.
    pub fn error(&self, sentence: String) -> ConfigError {
        let PathPlace { file, line, column } = self.clone();
        ConfigError { file, line, column, sentence }
    }
}

/// A mistake in a configuration file: one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as it was named to the reader.
    pub file: String,
    /// From 1; 0 where the whole file is meant.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What is wrong and what to write.
    pub sentence: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.sentence)
        } else {
            write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.sentence)
        }
    }
}

impl std::error::Error for ConfigError {}

/// One configuration file: its text, and how messages name it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// For example `/etc/bootmigrate.toml`.
    pub file: &'a str,
    /// The whole text.
    pub text: &'a str,
}

/// What an unknown key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownKey {
    /// An error: in the build and in `check`, which alone ask for it.
    Refuse,
    /// A warning: on the device, where the file may be the other slot's.
    Warn,
}
