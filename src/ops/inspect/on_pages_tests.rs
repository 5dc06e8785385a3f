//! Owns the tests of the version that the pages of a history give.
//! Promises: refinery's table and ours as they are written, on pages of 512 bytes, with a page lost
//! or another firmware's rows.
//! Never opens a file by SQLite after it was damaged.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::sync::atomic::AtomicBool;

use super::*;
use crate::catalog::{Checksums, Directives, Migration, Versions};
use crate::device::disk::{Disk, Open, SystemDisk};

const OP: Op = Op("test");
const HISTORY: &str =
    "CREATE TABLE refinery_schema_history(version INT4 PRIMARY KEY, name VARCHAR(255), applied_on \
     VARCHAR(255), checksum VARCHAR(255));";

fn checksum(version: i64) -> u64 {
    u64::MAX / 2 + version as u64
}

/// A firmware with so many migrations, none with a way back.
fn firmware(last: i64) -> Catalog {
    let migration = |version: i64| {
        let sums = [checksum(version); 2];
        let checksums = Checksums { int4: sums, int8: sums };
        let (name, file, sql, down) = ("a_name", "a_file", "SELECT 1;", None);
        Migration {
            version,
            name,
            checksums,
            file,
            sql,
            statements: 1,
            down,
            directives: Directives::NONE,
            adopted: false,
        }
    };
    let migrations =
        Box::leak((1..=last).map(migration).collect::<Vec<Migration>>().into_boxed_slice());
    Catalog { database: "", fingerprint: [0; 16], versions: Versions::Int4, migrations, data: &[] }
}

fn rows(versions: std::ops::RangeInclusive<i64>) -> String {
    let row = |version: i64| {
        format!(
            "INSERT INTO refinery_schema_history VALUES ({version}, 'a_name', \
             '2026-11-30T10:00:00Z', '{}');",
            checksum(version)
        )
    };
    versions.map(row).collect()
}

/// The version that these statements leave, as firmware of `last` migrations sees it, where `lose`
/// says which pages are zeros.
fn seen(last: i64, sql: &str, lose: &dyn Fn(&rusqlite::Connection) -> Vec<i64>) -> Option<i64> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(&format!("PRAGMA page_size = 512; BEGIN; {sql}; COMMIT;")).unwrap();
    let lost = lose(&connection);
    drop(connection);
    let mut bytes = std::fs::read(&path).unwrap();
    lost.into_iter().for_each(|page| bytes[(page as usize - 1) * 512..page as usize * 512].fill(0));
    std::fs::write(&path, &bytes).unwrap();
    let main = SystemDisk::default().open(OP, &path, Open::Read).unwrap();
    let stop = AtomicBool::new(false);
    let pages =
        Pages::open(PageSource { main: &*main, log: None, path: &path, op: OP, stop: &stop })
            .unwrap()
            .unwrap();
    let (free, catalog, mut found) =
        (pages.free_pages().unwrap(), firmware(last), Found::default());
    pages
        .each_unreached(&mut pages.bits(), &free, &mut |page, used| {
            found.look(&catalog, &pages, page, used)
        })
        .unwrap();
    found
        .version(&catalog)
        .filter(|version| found.ends_with(&catalog, &pages, &free, *version).unwrap())
}

/// A page of the history's table, by its place: the last one.
fn last_leaf(connection: &rusqlite::Connection) -> i64 {
    let sql = "SELECT pageno FROM dbstat WHERE name = 'refinery_schema_history' AND pagetype = \
               'leaf' ORDER BY path DESC LIMIT 1";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn root(connection: &rusqlite::Connection) -> i64 {
    connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'refinery_schema_history'",
            [],
            |row| row.get(0),
        )
        .unwrap()
}

#[test]
fn the_last_version_is_believed_where_none_can_follow() {
    let whole = format!("{HISTORY}{}", rows(1..=60));
    assert_eq!(
        seen(60, &whole, &|_| vec![1]),
        Some(60),
        "its leaf is the last one below its table's first page"
    );
    assert_eq!(
        seen(60, &whole, &|connection| vec![1, last_leaf(connection)]),
        None,
        "versions of the last page may be pending, or applied"
    );
    assert_eq!(
        seen(60, &whole, &|connection| vec![1, root(connection), last_leaf(connection)]),
        None,
        "a full page that none leads to was not the last"
    );
    let short = format!("{HISTORY}{}", rows(1..=2));
    assert_eq!(
        seen(60, &short, &|_| vec![1]),
        Some(2),
        "a page with room for a further row is the only one"
    );
}

#[test]
fn rows_of_newer_firmware_alone_on_a_page_leave_no_version() {
    let newer = format!("{HISTORY}{}", rows(1..=60));
    let first_newer = |connection: &rusqlite::Connection| -> i64 {
        let sql = "SELECT min(version) FROM refinery_schema_history WHERE version > 40";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(
        seen(40, &newer, &|connection| {
            assert_eq!(first_newer(connection), 41);
            vec![1]
        }),
        None
    );
}

#[test]
fn a_table_of_an_application_with_seven_columns_gives_no_version() {
    let table =
        "CREATE TABLE measured(id INTEGER PRIMARY KEY, sensor INTEGER NOT NULL, note TEXT, kind \
         INTEGER, a INTEGER, b INTEGER, unit TEXT);
        INSERT INTO measured VALUES (1, 7, NULL, 1, 5, 6, 'C'), (2, 7, NULL, 0, 5, 6, 'C');";
    assert_eq!(seen(2, table, &|_| vec![1]), None);
    // Of a database that is ours by its own word, they stand for refinery's where those are lost.
    let steps =
        "CREATE TABLE bootmigrate_steps(version INTEGER PRIMARY KEY, act INTEGER NOT NULL, \
         down_sql TEXT, irreversible INTEGER NOT NULL DEFAULT 0, compatible_from INTEGER, \
         duration_ms INTEGER, firmware TEXT);
        INSERT INTO bootmigrate_steps VALUES (1, 1, NULL, 0, NULL, 5, '1.0'), (2, 1, NULL, 0, \
         NULL, 6, '1.0');";
    let state =
        "CREATE TABLE bootmigrate_state(key TEXT PRIMARY KEY, value) WITHOUT ROWID; INSERT INTO \
         bootmigrate_state VALUES ('act', 1), ('format', 1);";
    assert_eq!(seen(2, steps, &|_| vec![1]), None);
    assert_eq!(seen(2, &format!("{steps}{state}"), &|_| vec![1]), Some(2));
    // Beside refinery's own rows they are what they look like, or nothing.
    assert_eq!(seen(2, &format!("{table}{HISTORY}{}", rows(1..=2)), &|_| vec![1]), Some(2));
}
