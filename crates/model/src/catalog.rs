//! Owns the parts of a catalogue that the build writes and the device reads in the same words.
//! Promises: plain values.
//! Never a text or a path: the build owns them, and a device has them as constants.

/// The type that versions have in refinery's checksums and in its table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Versions {
    /// 32 bits, its default.
    #[default]
    Int4,
    /// 64 bits, its feature `int8-versions`.
    Int8,
}

/// refinery's checksum of one file in each form that a history may have. Of each pair the first is
/// that of the file as it is, the second that of the same text with the other kind of line ends (LF
/// or CRLF).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checksums {
    /// Over a 32-bit version. The same as `int8` for a version that needs more.
    pub int4: [u64; 2],
    /// Over a 64-bit version.
    pub int8: [u64; 2],
}

impl Checksums {
    /// Those of one form.
    pub fn of(&self, versions: Versions) -> [u64; 2] {
        match versions {
            Versions::Int4 => self.int4,
            Versions::Int8 => self.int8,
        }
    }

    /// It is one of them.
    pub fn contain(&self, checksum: u64) -> bool {
        self.int4.contains(&checksum) || self.int8.contains(&checksum)
    }
}

/// When foreign keys are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForeignKeys {
    /// Before the commit, once for all migrations. The default: SQLite's own enforcement is off
    /// while migrating.
    #[default]
    Off,
    /// Also right after this migration.
    On,
    /// The same check as [`ForeignKeys::On`], written by teams who think of `DEFERRABLE`.
    Deferred,
    /// SQLite enforces them while this migration runs, with ON DELETE and ON UPDATE; and the same
    /// check.
    Enforced,
}
