//! Owns the shape of a product's folder once it has been read: the owned form of the device's
//! catalogue.
//! Promises: versions strictly increase, all texts have LF line ends, no path is absolute.
//! Never reads a file.

pub use bootmigrate_model::catalog::{Checksums, ForeignKeys, Versions};

use crate::config::Settings;
use crate::Problem;

/// All that one product embeds, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Text of `bootmigrate.toml`.
    pub configuration: String,
    /// How a message names that file, for example `migrations/bootmigrate.toml`.
    pub configuration_file: String,
    /// The same, validated.
    pub settings: Settings,
    /// In the order of the configuration.
    pub databases: Vec<Database>,
    /// Worth knowing, and no reason to refuse; sorted.
    pub warnings: Vec<Problem>,
}

/// All migrations of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// The folder's name, which is the name in the configuration.
    pub name: String,
    /// First 16 bytes of SHA-256 over the schema migrations, see
    /// [`fingerprint`](crate::fingerprint).
    pub fingerprint: [u8; 16],
    /// How its history is written.
    pub versions: Versions,
    /// Schema migrations, oldest first.
    pub migrations: Vec<Migration>,
    /// Data migrations (`data/`), oldest first.
    pub data: Vec<Migration>,
}

/// One `V{version}__{name}.sql`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// refinery's version number.
    pub version: i64,
    /// refinery's name: what stands between `__` and `.sql`.
    pub name: String,
    /// refinery's checksums of the file.
    pub checksums: Checksums,
    /// For example `settings/V4__wifi.sql`.
    pub file: String,
    /// The SQL, byte for byte as the file has it.
    pub sql: String,
    /// How many statements it has.
    pub statements: u32,
    /// The text of `V{version}__{name}.down.sql`.
    pub down: Option<String>,
    /// What the comments at the head of the file ask for.
    pub directives: Directives,
    /// At or below `baseline_version`.
    pub adopted: bool,
    /// Stands in `migrations.lock`.
    pub released: bool,
}

impl Migration {
    /// refinery's checksum of the text with LF line ends, which does not depend on how a checkout
    /// writes lines. It is of a 32-bit version where that fits, whatever the history is written
    /// with.
    pub(crate) fn checksum_lf(&self) -> u64 {
        let [as_it_is, other] = self.checksums.int4;
        if self.sql.contains("\r\n") {
            other
        } else {
            as_it_is
        }
    }
}

/// The `-- bootmigrate:` comments of one migration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives {
    /// `no-transaction`.
    pub no_transaction: bool,
    /// `foreign-keys = on|deferred|enforced|off`; of a file up to `baseline_version` what
    /// `baseline_foreign_keys` says.
    pub foreign_keys: ForeignKeys,
    /// `compatible-from = V`.
    pub compatible_from: Option<i64>,
    /// `irreversible`.
    pub irreversible: bool,
    /// `expect = <query>`, in the order of the file.
    pub expect: Vec<Expect>,
    /// `batch`.
    pub batch: bool,
    /// `needs-space = 2.0`, in per cent of the file's size (200).
    pub needs_space_percent: Option<u32>,
    /// `code revision=1`.
    pub code_revision: Option<u32>,
    /// `allow = BM012 because REASON`, in the order of the file. The workbench reads it; no device
    /// has it.
    pub allow: Vec<Allow>,
}

/// A lint that a file is allowed to break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// For example `BM012`.
    pub code: String,
    /// The reason, as it is written.
    pub because: String,
    /// Line in the file, from 1.
    pub line: u32,
}

/// A query that must return no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// The query.
    pub query: String,
    /// Line in the file, from 1.
    pub line: u32,
}
