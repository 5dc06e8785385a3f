//! Owns the shape of what a firmware image carries: configuration, migrations, directives, all
//! constants.
//! Promises: plain data, made by `bootmigrate-build` alone and already checked; versions strictly
//! increase.
//! Never parses or hashes anything at run time.

pub use bootmigrate_model::catalog::{Checksums, ForeignKeys, Versions};

/// Everything that one product embeds in its binary. Made by `bootmigrate_build::embed` and
/// [`embedded!`](crate::embedded); its parts are no promise.
///
/// ```
/// const FIRMWARE: bootmigrate::Embedded = bootmigrate::embedded!();
/// FIRMWARE.validate()?;
/// # Ok::<(), bootmigrate::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    /// Text of `bootmigrate.toml`.
    #[doc(hidden)]
    pub configuration: &'static str,
    /// The product's own version; empty where nobody says.
    #[doc(hidden)]
    pub version: &'static str,
    /// How a message names that file, for example `migrations/bootmigrate.toml`.
    #[doc(hidden)]
    pub configuration_file: &'static str,
    /// What the build has read in this text, as `config::packed` writes it; `None` where no build
    /// has.
    #[doc(hidden)]
    pub settings: Option<(&'static str, &'static [u8])>,
    /// One catalogue for each database, in the order of the configuration.
    #[doc(hidden)]
    pub databases: &'static [Catalog],
}

impl Embedded {
    /// Of the stock binary: its catalogue comes from a file of the image.
    #[doc(hidden)]
    pub const NOTHING: Embedded = Embedded {
        configuration: "",
        version: "",
        configuration_file: "",
        settings: None,
        databases: &[],
    };
}

/// All schema migrations of this firmware for one database, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Catalog {
    /// The database's name: its folder under `migrations/` and its table in the configuration.
    pub database: &'static str,
    /// How refinery's history is written where it is begun, or goes on beyond 32 bits.
    pub versions: Versions,
    /// First 16 bytes of SHA-256 over versions, names and LF-normalised up SQL. Counts of tries
    /// belong to it.
    pub fingerprint: [u8; 16],
    /// Oldest first; versions strictly increase.
    pub migrations: &'static [Migration],
    /// Data migrations (`data/`), run by command, with a history of their own.
    pub data: &'static [Migration],
}

/// One `V{version}__{name}.sql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// refinery's version number.
    pub version: i64,
    /// refinery's name: what stands between `__` and `.sql`.
    pub name: &'static str,
    /// refinery's checksums of the file.
    pub checksums: Checksums,
    /// How a message names the file, for example `settings/V4__wifi.sql`.
    pub file: &'static str,
    /// The SQL, byte for byte as the file has it.
    pub sql: &'static str,
    /// How many statements it has, for "statement 3 of 7".
    pub statements: u32,
    /// `V{version}__{name}.down.sql`, byte for byte.
    pub down: Option<&'static str>,
    /// What the comments at the head of the file ask for.
    pub directives: Directives,
    /// This file was released before bootmigrate (`baseline_version`): its own transaction words
    /// are skipped.
    pub adopted: bool,
}

impl Migration {
    /// What a history of this form gets.
    pub fn checksum(&self, versions: Versions) -> u64 {
        let [as_it_is, _] = self.checksums.of(versions);
        as_it_is
    }
}

/// The `-- bootmigrate:` comments of one migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directives {
    /// `no-transaction`: runs on a copy that is swapped in (VACUUM, page_size).
    pub no_transaction: bool,
    /// `foreign-keys = on|deferred|enforced|off`.
    pub foreign_keys: ForeignKeys,
    /// `compatible-from = V`: the oldest schema whose firmware can still use the result.
    pub compatible_from: Option<i64>,
    /// `irreversible`: there is no way back by SQL.
    pub irreversible: bool,
    /// `expect = <query>`: each must return no row, checked before the commit.
    pub expect: &'static [Expect],
    /// `batch`: run again until it changes no row (data migrations only).
    pub batch: bool,
    /// `needs-space = 2.0`, in per cent of the file's size (200), so that it stays comparable: see
    /// [`Directives::space_bytes`].
    pub needs_space_percent: Option<u32>,
    /// `code revision=1`: a Rust migration is registered under this version.
    pub code_revision: Option<u32>,
}

impl Directives {
    /// What a file without any directive asks for.
    pub const NONE: Directives = Directives {
        no_transaction: false,
        foreign_keys: ForeignKeys::Off,
        compatible_from: None,
        irreversible: false,
        expect: &[],
        batch: false,
        needs_space_percent: None,
        code_revision: None,
    };

    /// Bytes that must be free beside a database of this size before the migration begins; 0 where
    /// it does not say.
    pub fn space_bytes(&self, size: u64) -> u64 {
        let percent = u64::from(self.needs_space_percent.unwrap_or(0));
        (size / 100).saturating_mul(percent).saturating_add(size % 100 * percent / 100)
    }
}

/// A query that must return no row, and the line of the file it stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// The query.
    pub query: &'static str,
    /// Line in the file, from 1.
    pub line: u32,
}

impl Catalog {
    /// The version this firmware expects; 0 without any migration.
    pub fn target(&self) -> i64 {
        self.migrations.last().map_or(0, |migration| migration.version)
    }

    /// The part of it up to this version; tries still count under the whole one's fingerprint.
    pub fn up_to(&self, version: i64) -> Catalog {
        let known = self.migrations.partition_point(|migration| migration.version <= version);
        Catalog { migrations: self.migrations.get(..known).unwrap_or_default(), ..*self }
    }

    /// The migration with this version.
    pub fn find(&self, version: i64) -> Option<&'static Migration> {
        self.migrations
            .binary_search_by_key(&version, |migration| migration.version)
            .ok()
            .and_then(|at| self.migrations.get(at))
    }
}

/// The catalogue that the calling crate's build script made with `bootmigrate_build::embed`.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     bootmigrate::main(bootmigrate::embedded!())
/// }
/// ```
#[macro_export]
macro_rules! embedded {
    () => {{
        include!(concat!(env!("OUT_DIR"), "/bootmigrate_embedded.rs"))
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of sizes that a hundred does not divide, and of factors with a fraction.
    #[test]
    fn room_is_asked_for_to_the_byte() {
        let asked = |percent, size| {
            Directives { needs_space_percent: percent, ..Directives::NONE }.space_bytes(size)
        };
        for (percent, size, bytes) in [
            (None, 4096, 0),
            (Some(100), 4096, 4096),
            (Some(150), 4096, 6144),
            (Some(50), 12_345, 6172),
            (Some(250), 12_345, 30_862),
            (Some(1), 99, 0),
            (Some(1), 100, 1),
            (Some(200), u64::MAX, u64::MAX),
        ] {
            assert_eq!(asked(percent, size), bytes, "{percent:?} of {size}");
        }
    }
}
