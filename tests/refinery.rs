//! Owns the comparison of our rules for a history with those of refinery itself.
//! Promises: every history of three migrations, kept, left out, renamed, edited or foreign, is
//! judged by both.
//! Never touches a file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use bootmigrate::catalog::{Catalog, Checksums, Directives, Migration, Versions};
use bootmigrate::device::history::{missing, refusal, Applied};
use refinery::{Migration as Theirs, Runner};
use rusqlite::Connection;

/// What became of one migration in a history.
#[derive(Clone, Copy, PartialEq)]
enum Row {
    Absent,
    Kept,
    Renamed,
    Edited,
    /// Under a number that no file has.
    Foreign,
}

const ROWS: [Row; 5] = [Row::Absent, Row::Kept, Row::Renamed, Row::Edited, Row::Foreign];

fn files() -> Vec<Theirs> {
    (1..=3)
        .map(|number| {
            Theirs::unapplied(
                &format!("V{}__step", number * 10),
                &format!("CREATE TABLE t{number} (a)"),
            )
            .unwrap()
        })
        .collect()
}

fn ours(file: &Theirs) -> Migration {
    let checksums = [file.checksum(); 2];
    Migration {
        version: i64::from(file.version()),
        name: "step",
        checksums: Checksums { int4: checksums, int8: checksums },
        file: "settings/V__step.sql",
        sql: "",
        statements: 1,
        down: None,
        directives: Directives::NONE,
        adopted: false,
    }
}

/// What refinery would apply; `None` where it refuses.
fn theirs(files: &[Theirs], applied: &[Applied]) -> Option<Vec<i64>> {
    let mut connection = Connection::open_in_memory().unwrap();
    Runner::new(&[]).run(&mut connection).unwrap();
    let sql = "INSERT INTO refinery_schema_history VALUES (?1, ?2, '2024-01-01T00:00:00Z', ?3)";
    for row in applied {
        connection.execute(sql, (row.version, &row.name, row.checksum.to_string())).unwrap();
    }
    let report = Runner::new(files).run(&mut connection).ok()?;
    Some(report.applied_migrations().iter().map(|one| i64::from(one.version())).collect())
}

#[test]
fn our_rules_for_a_history_are_refinerys() {
    let files = files();
    let migrations: Vec<Migration> = files.iter().map(ours).collect();
    let catalog = Catalog {
        database: "settings",
        versions: Versions::Int4,
        fingerprint: [0; 16],
        migrations: migrations.leak(),
        data: &[],
    };
    let (mut agreed, mut refused) = (0, 0);
    for one in ROWS {
        for two in ROWS {
            for three in ROWS {
                let row = |(file, row): (&Theirs, Row)| {
                    let same = Applied {
                        version: i64::from(file.version()),
                        name: "step".into(),
                        checksum: file.checksum(),
                    };
                    match row {
                        Row::Absent => None,
                        Row::Kept => Some(same),
                        Row::Renamed => Some(Applied { name: "other".into(), ..same }),
                        Row::Edited => Some(Applied { checksum: same.checksum ^ 1, ..same }),
                        Row::Foreign => Some(Applied { version: same.version + 1, ..same }),
                    }
                };
                let applied: Vec<Applied> =
                    files.iter().zip([one, two, three]).filter_map(row).collect();
                let ours = match refusal(&catalog, &applied, false) {
                    Some(_) => None,
                    None => Some(
                        missing(&catalog, &applied).map(|step| step.version).collect::<Vec<_>>(),
                    ),
                };
                assert_eq!(ours, theirs(&files, &applied), "{applied:?}");
                agreed += u32::from(ours.is_some());
                refused += u32::from(ours.is_none());
            }
        }
    }
    assert_eq!((agreed, refused), (4, 121));
}
