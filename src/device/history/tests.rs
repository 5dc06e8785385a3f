//! Owns the proof that histories are compared in one pass and say what a search for each row would
//! say.
//! Promises: every history of six versions beside every catalogue of six.
//! Never opens a file.

use super::*;
use crate::catalog::{Checksums, Directives, Versions};
use crate::device::history::{History, StoredMigration};

fn migration(version: i64) -> Migration {
    Migration {
        version,
        name: "step",
        checksums: Checksums {
            int4: [version.unsigned_abs(); 2],
            int8: [version.unsigned_abs(); 2],
        },
        file: "V__step.sql",
        sql: "",
        statements: 0,
        down: None,
        directives: Directives::NONE,
        adopted: false,
    }
}

/// The versions of a set, written as bits.
fn versions(bits: u32) -> Vec<i64> {
    (0..6).filter(|bit| bits >> bit & 1 == 1).map(|bit| i64::from(bit) * 10 + 5).collect()
}

#[test]
fn one_pass_finds_what_a_search_for_each_row_would() {
    for catalogue in 0..64 {
        let ours: &'static [Migration] =
            Vec::leak(versions(catalogue).into_iter().map(migration).collect());
        let catalog = Catalog {
            database: "",
            fingerprint: [0; 16],
            versions: Versions::Int4,
            migrations: ours,
            data: &[],
        };
        for version in 0..70 {
            assert_eq!(catalog.find(version), ours.iter().find(|one| one.version == version));
            assert_eq!(
                catalog.up_to(version).migrations.len(),
                ours.iter().filter(|one| one.version <= version).count()
            );
        }
        for history in 0..64 {
            let known = versions(history);
            let row = |version: &i64| Applied {
                version: *version,
                name: "step".into(),
                checksum: version.unsigned_abs(),
            };
            let applied: Vec<Applied> = known.iter().map(row).collect();
            let left: Vec<i64> = missing(&catalog, &applied).map(|one| one.version).collect();
            let wanted: Vec<i64> = ours
                .iter()
                .map(|one| one.version)
                .filter(|version| !known.contains(version))
                .collect();
            assert_eq!(left, wanted, "{catalogue:b} {history:b}");
            let said = |version: &i64| StoredMigration {
                version: *version,
                compatible_from: None,
                has_down: false,
                irreversible: false,
            };
            let history = History {
                applied,
                migrations: known.iter().map(said).collect(),
                ..History::default()
            };
            for version in 0..70 {
                assert_eq!(
                    history.row(version).map(|row| row.version),
                    known.iter().copied().find(|one| *one == version)
                );
                assert_eq!(
                    history.said(version).map(|said| said.version),
                    known.iter().copied().find(|one| *one == version)
                );
            }
        }
    }
}
