//! Owns the numbers that tell texts apart: refinery's checksum and the catalogue's fingerprint.
//! Promises: the checksum is the one that refinery computes, which its test asks; the fingerprint depends on contents alone, and no
//!   content can slide into another.
//! Never normalises a text.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher13;

use crate::name::Stem;
use crate::product::{Checksums, Migration};

/// refinery's checksums of a migration with this text, and of the same text with the other line ends.
pub(crate) fn of_refinery(stem: &Stem, text: &str, other: &str) -> Checksums {
    // What 32 bits cannot hold refinery's default does not have, and no history of it has such a row.
    let int4 = |text| i32::try_from(stem.version).map_or_else(|_| sip(stem, stem.version, text), |version| sip(stem, version, text));
    let int8 = |text| sip(stem, stem.version, text);
    Checksums { int4: [int4(text), int4(other)], int8: [int8(text), int8(other)] }
}

/// SipHash-1-3 over name, version and text, each as Rust hashes it: the version's bytes are those of its type.
fn sip<V: Hash>(stem: &Stem, version: V, text: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    (stem.name.as_str(), version, text).hash(&mut hasher);
    hasher.finish()
}

/// The text with LF line ends, which the fingerprint and `migrations.lock` go by: they must not depend on how a checkout writes lines.
pub(crate) fn with_lf(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// First 16 bytes of SHA-256 over all migrations in order. Of each: the version (4 bytes, big end first; one that needs more is 80000000
/// and then 8 bytes), then name and SQL with LF line ends, each behind its length in bytes (8 bytes, big end first).
pub fn fingerprint(migrations: &[Migration]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for migration in migrations {
        match i32::try_from(migration.version) {
            Ok(version) => hasher.update(version.to_be_bytes()),
            Err(_) => {
                // No version is negative.
                hasher.update(i32::MIN.to_be_bytes());
                hasher.update(migration.version.to_be_bytes());
            }
        }
        for text in [&migration.name, &with_lf(&migration.sql)] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
    }
    let mut first = [0; 16];
    first.iter_mut().zip(hasher.finalize()).for_each(|(byte, hashed)| *byte = hashed);
    first
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn migration(version: i64, name: &str, sql: &str) -> Migration {
        Migration {
            version,
            name: name.to_owned(),
            sql: sql.to_owned(),
            checksums: Checksums::default(),
            file: String::new(),
            statements: 1,
            down: None,
            directives: crate::product::Directives::default(),
            adopted: false,
            released: false,
        }
    }

    #[test]
    fn refinery_computes_the_same() {
        let plain: String = ('\0'..='\u{7f}').filter(|character| character.is_ascii_alphanumeric() || *character == '_').collect();
        for (version, name) in [(7, &*plain), (i64::from(i32::MAX), "x"), (0, "_"), (12, "größe"), (1 << 31, "y"), (i64::MAX, "z")] {
            let stem = Stem { text: format!("V00{version}__{name}"), version, name: name.to_owned() };
            for text in ["", "SELECT 1;\n", "SELECT 'ä\0';\r\n"] {
                let Checksums { int4: [int4, _], int8: [int8, _] } = of_refinery(&stem, text, "");
                let theirs = refinery_int8::Migration::unapplied(&stem.text, text).unwrap();
                assert_eq!((theirs.version(), theirs.name(), theirs.checksum()), (version, name, int8), "{text:?}");
                match refinery::Migration::unapplied(&stem.text, text) {
                    Ok(theirs) => {
                        assert_eq!((i64::from(theirs.version()), theirs.name(), theirs.checksum()), (version, name, int4), "{text:?}");
                    }
                    Err(_) => assert!(version > i64::from(i32::MAX) && int4 == int8, "{version}"),
                }
            }
        }
    }

    #[test]
    fn nothing_slides_from_one_field_into_another() {
        let all = [
            fingerprint(&[]),
            fingerprint(&[migration(1, "ab", "c")]),
            fingerprint(&[migration(1, "a", "bc")]),
            fingerprint(&[migration(1, "a", "b"), migration(1, "", "c")]),
            fingerprint(&[migration(2, "ab", "c")]),
            fingerprint(&[migration(20_240_101_120_000, "ab", "c")]),
            fingerprint(&[migration(i64::MAX, "ab", "c")]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| one != other), "{index}");
        }
    }

    #[test]
    fn the_fingerprint_is_frozen() {
        // Two devices' slots compare it: another value here is another format.
        let hex: String = fingerprint(&[migration(1, "first", "SELECT 1;\n")]).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "3def45006a8dc59a34df2ea6b3cfcd2e");
    }
}
