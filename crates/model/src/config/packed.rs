//! Owns validated settings as bytes: what the build has read of the embedded file, so that a device
//! without a file over it parses no text.
//! Promises: what is written is read back equal, every field of it; bytes that are none are `None`.
//! Never a format of its own: one build writes and reads it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;

/// The settings as bytes.
pub fn write(settings: &Settings) -> Vec<u8> {
    let mut bytes = Vec::new();
    settings.put(&mut bytes);
    bytes
}

/// The settings in these bytes, all of them.
pub fn read(bytes: &[u8]) -> Option<Settings> {
    let mut rest = bytes;
    Settings::take(&mut rest).filter(|_| rest.is_empty())
}

/// A value on its way into bytes and out of them.
trait Packed: Sized {
    fn put(&self, bytes: &mut Vec<u8>);
    fn take(rest: &mut &[u8]) -> Option<Self>;
}

macro_rules! number {
    ($($type:ty),*) => { $(
        impl Packed for $type {
            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }

            fn take(rest: &mut &[u8]) -> Option<Self> {
                let (number, after) = rest.split_first_chunk()?;
                *rest = after;
                Some(Self::from_le_bytes(*number))
            }
        }
    )* };
}

/// Every field, in the order that is written here.
macro_rules! fields {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl Packed for $type {
            fn put(&self, bytes: &mut Vec<u8>) {
                $(self.$field.put(bytes);)*
            }

            fn take(rest: &mut &[u8]) -> Option<Self> {
                Some($type { $($field: Packed::take(rest)?),* })
            }
        }
    };
}

/// One byte, by the variant's place in its declaration.
macro_rules! variants {
    ($type:ident { $($variant:ident),* }) => {
        impl Packed for $type {
            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.push(match self { $($type::$variant => $type::$variant as u8),* });
            }

            fn take(rest: &mut &[u8]) -> Option<Self> {
                let byte = u8::take(rest)?;
                [$($type::$variant),*].into_iter().find(|one| *one as u8 == byte)
            }
        }
    };
}

number!(u8, u32, i64);

impl Packed for bool {
    fn put(&self, bytes: &mut Vec<u8>) {
        u8::from(*self).put(bytes);
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        u8::take(rest).map(|byte| byte != 0)
    }
}

impl Packed for String {
    fn put(&self, bytes: &mut Vec<u8>) {
        length(self.len()).put(bytes);
        bytes.extend(self.as_bytes());
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        let length = usize::try_from(u32::take(rest)?).ok()?;
        let (text, after) = rest.split_at_checked(length)?;
        *rest = after;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }
}

impl Packed for PathBuf {
    fn put(&self, bytes: &mut Vec<u8>) {
        // It was read from a text.
        self.to_string_lossy().into_owned().put(bytes);
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        String::take(rest).map(PathBuf::from)
    }
}

impl<T: Packed> Packed for Option<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.is_some().put(bytes);
        self.iter().for_each(|value| value.put(bytes));
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        if bool::take(rest)? {
            T::take(rest).map(Some)
        } else {
            Some(None)
        }
    }
}

impl<T: Packed> Packed for Vec<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        length(self.len()).put(bytes);
        self.iter().for_each(|value| value.put(bytes));
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        let length = u32::take(rest)?;
        (0..length).map(|_| T::take(rest)).collect()
    }
}

impl<K: Packed + Ord, V: Packed> Packed for BTreeMap<K, V> {
    fn put(&self, bytes: &mut Vec<u8>) {
        length(self.len()).put(bytes);
        self.iter().for_each(|(key, value)| {
            key.put(bytes);
            value.put(bytes);
        });
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        let length = u32::take(rest)?;
        (0..length).map(|_| Some((K::take(rest)?, V::take(rest)?))).collect()
    }
}

impl Packed for AdoptFrom {
    fn put(&self, bytes: &mut Vec<u8>) {
        let (name, version, query) = match self {
            AdoptFrom::Stated(version) => (None, Some(*version), None),
            AdoptFrom::Query(query) => (None, None, Some(query.clone())),
            tool => (keys::name_of(tool).map(str::to_owned), None, None),
        };
        name.put(bytes);
        version.put(bytes);
        query.put(bytes);
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        let name: Option<String> = Packed::take(rest)?;
        let (version, query): (Option<i64>, Option<String>) =
            (Packed::take(rest)?, Packed::take(rest)?);
        match (name, version, query) {
            (Some(name), _, _) => keys::tool(&name),
            (None, Some(version), _) => Some(AdoptFrom::Stated(version)),
            (None, None, query) => query.map(AdoptFrom::Query),
        }
    }
}

fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fields!(Settings {
    slots,
    observe,
    example,
    memory_mib,
    marker,
    databases,
    overridden,
    warnings,
    sources
});
fields!(DatabaseSettings {
    name,
    path,
    kind,
    owner,
    mode,
    require_mount,
    user_version,
    on_failure,
    on_damage,
    on_newer,
    carry_over,
    snapshot,
    journal_mode,
    on_checksum_mismatch,
    group,
    baseline,
    baseline_version,
    baseline_foreign_keys,
    versions_64,
    busy_timeout_s,
    statement_timeout_s,
    snapshots_max,
    quarantine_max,
    quick_check_max_mib,
    history_table,
    sqlite_min,
    show_rows,
    sources,
});
fields!(Owner { user, group });
fields!(Adopt { from, versions });
fields!(PathPlace { file, line, column });
variants!(Slots { Ab, Single });
variants!(Kind { Precious, Rebuildable });
variants!(UserVersion { Product, Ours });
variants!(OnFailure { Restore, Purge });
variants!(Repair { Reindex, Salvage, Snapshot, Purge });
variants!(OnNewer { Compatible, Downgrade, TrialSnapshot, Purge });
variants!(SnapshotPolicy { Auto, Always, Never });
variants!(JournalMode { Keep, Wal, Delete });
variants!(OnChecksumMismatch { Refuse, Warn });

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const EVERYTHING: &str = r#"
slots = "ab"
mode = "observe"
example = true
marker = "/boot/request"
memory_max_mib = 64

[databases.settings]
path = "/var/lib/gateway/"
kind = "precious"
owner = "gateway:1000"
mode = "0600"
require_mount = "/var/lib/gateway"
user_version = "ours"
on_failure = "purge"
on_damage = ["snapshot", "purge"]
on_newer = ["downgrade", "trial-snapshot"]
carry_over = ["site", "sensor"]
snapshot = "always"
journal_mode = "wal"
on_checksum_mismatch = "warn"
group = "core"
baseline = { from = "goose", versions = { 7 = 12, 9 = 14 } }
baseline_version = 12
baseline_foreign_keys = "enforced"
versions = 64
busy_timeout_s = 1
statement_timeout_s = 2
snapshots_max = 3
quarantine_max = 4
quick_check_max_mib = 5
history_table = "history"
sqlite_min = "3.40"
show_rows = true

[databases.telemetry]
kind = "rebuildable"
group = "core"
baseline = { version_query = "SELECT 1" }
"#;

    /// Of every key, of each of their defaults, and of a warning.
    #[test]
    fn settings_come_back_as_they_were_and_cut_off_ones_do_not() {
        for text in [EVERYTHING, "[databases.a]\n[databases.b]\nkind = \"rebuildable\"\n"] {
            let source = Source { file: "migrations/bootmigrate.toml", text };
            let settings = super::super::read(source, &[], UnknownKey::Refuse).unwrap();
            let bytes = write(&settings);
            assert_eq!(read(&bytes), Some(settings));
            for length in 0..bytes.len() {
                assert_eq!(read(&bytes[..length]), None, "{length}");
            }
            assert_eq!(read(&[bytes.as_slice(), b"x"].concat()), None);
        }
        let source = Source { file: "bootmigrate.toml", text: EVERYTHING };
        let settings = super::super::read(source, &[], UnknownKey::Refuse).unwrap();
        assert_eq!(settings.warnings.len(), 1);
        // All but `databases`.
        let top = keys::TOP_KEYS.len() - 1;
        assert_eq!(settings.sources.len(), top, "a key above the tables that is not tried here");
        let [first, _] = settings.databases.as_slice() else { unreachable!() };
        assert_eq!(first.sources.len(), keys::DATABASE_KEYS.len(), "a key that is not tried here");
    }
}
