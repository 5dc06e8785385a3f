//! Owns refinery's checksums and the fingerprint of what was read.
//! Promises: refinery itself computes the checksum of its own form and reads version and name;
//! where it contradicts us, nothing is embedded.
//! Never normalises a text.

use crate::name::Stem;
use crate::product::{Checksums, Migration};
use crate::sums;

/// refinery's checksums of a migration with this text, in both forms. This build's refinery has one
/// of them.
///
/// # Errors
/// The sentence that says where refinery reads a file otherwise than we do: a defect of one of the
/// two.
pub(crate) fn of_refinery(stem: &Stem, text: &str) -> Result<Checksums, String> {
    let (int4, int8) = sums::of_refinery(stem.version, &stem.name, text);
    let ours =
        if size_of::<refinery_core::SchemaVersion>() == size_of::<i64>() { int8 } else { int4 };
    match refinery_core::Migration::unapplied(&stem.text, text) {
        #[allow(clippy::useless_conversion)] // Of 32 or of 64 bits.
        Ok(theirs)
            if (i64::from(theirs.version()), theirs.name(), theirs.checksum())
                == (stem.version, &*stem.name, ours[0]) => {}
        // Its default knows no such version.
        Err(_) if i32::try_from(stem.version).is_err() => {}
        Ok(theirs) => {
            return Err(format!(
                "refinery reads it as {theirs} with another checksum than ours; rename it with \
                 plain letters"
            ))
        }
        Err(error) => {
            return Err(format!(
                "refinery does not read it ({error}); rename it with plain letters"
            ))
        }
    }
    Ok(Checksums { int4, int8 })
}

/// See [`sums::fingerprint`].
pub fn fingerprint(migrations: &[Migration]) -> [u8; 16] {
    sums::fingerprint(
        migrations.iter().map(|migration| (migration.version, &*migration.name, &*migration.sql)),
    )
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
        let plain: String = ('\0'..='\u{7f}')
            .filter(|character| character.is_ascii_alphanumeric() || *character == '_')
            .collect();
        for (version, name) in [
            (7, &*plain),
            (i64::from(i32::MAX), "x"),
            (0, "_"),
            (12, "größe"),
            (1 << 31, "y"),
            (i64::MAX, "z"),
        ] {
            let stem =
                Stem { text: format!("V00{version}__{name}"), version, name: name.to_owned() };
            for text in ["", "SELECT 1;\n", "SELECT 'ä\0';\r\n"] {
                let Checksums { int4: [int4, _], int8: [int8, _] } =
                    of_refinery(&stem, text).unwrap();
                let theirs = refinery_int8::Migration::unapplied(&stem.text, text).unwrap();
                assert_eq!(
                    (theirs.version(), theirs.name(), theirs.checksum()),
                    (version, name, int8),
                    "{text:?}"
                );
                match refinery::Migration::unapplied(&stem.text, text) {
                    Ok(theirs) => {
                        assert_eq!(
                            (i64::from(theirs.version()), theirs.name(), theirs.checksum()),
                            (version, name, int4),
                            "{text:?}"
                        );
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
        let hex: String = fingerprint(&[migration(1, "first", "SELECT 1;\n")])
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "3def45006a8dc59a34df2ea6b3cfcd2e");
    }
}
