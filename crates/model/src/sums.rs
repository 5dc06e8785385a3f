//! Owns the numbers that tell texts apart: refinery's checksums and the catalogue's fingerprint.
//! Promises: the checksums are those that refinery computes, built either way; the fingerprint
//! depends on contents alone, and no content can slide into another.
//! Never knows where a text comes from.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher13;

/// refinery's checksums of the text as it is and with the other line ends: over a 32-bit version,
/// then over a 64-bit one.
pub fn of_refinery(version: i64, name: &str, text: &str) -> ([u64; 2], [u64; 2]) {
    let other = other_line_ends(text);
    // What 32 bits cannot hold refinery's default does not have, and no history of it has such a
    // row.
    let int4 = |text| {
        i32::try_from(version)
            .map_or_else(|_| sip(name, version, text), |version| sip(name, version, text))
    };
    let int8 = |text| sip(name, version, text);
    ([int4(text), int4(&other)], [int8(text), int8(&other)])
}

/// SipHash-1-3 over name, version and text, each as Rust hashes it: the version's bytes are those
/// of its type.
fn sip<V: Hash>(name: &str, version: V, text: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    (name, version, text).hash(&mut hasher);
    hasher.finish()
}

/// The text with LF line ends, which the fingerprint and `migrations.lock` go by: they must not
/// depend on how a checkout writes lines.
pub fn with_lf(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// The text as a checkout with the other kind of line ends has it: LF for a file with CRLF or both
/// kinds, else CRLF.
fn other_line_ends(text: &str) -> String {
    if text.contains("\r\n") {
        with_lf(text)
    } else {
        text.replace('\n', "\r\n")
    }
}

/// First 16 bytes of SHA-256 over all migrations (version, name, SQL) in order. Of each: the
/// version (4 bytes, big end first; one that needs more is 80000000 and then 8 bytes), then name
/// and SQL with LF line ends, each behind its length in bytes (8 bytes, big end first).
pub fn fingerprint<'m>(migrations: impl Iterator<Item = (i64, &'m str, &'m str)>) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for (version, name, sql) in migrations {
        match i32::try_from(version) {
            Ok(version) => hasher.update(version.to_be_bytes()),
            Err(_) => {
                // No version is negative.
                hasher.update(i32::MIN.to_be_bytes());
                hasher.update(version.to_be_bytes());
            }
        }
        for text in [name, &with_lf(sql)] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
    }
    let mut first = [0; 16];
    first.iter_mut().zip(hasher.finalize()).for_each(|(byte, hashed)| *byte = hashed);
    first
}
