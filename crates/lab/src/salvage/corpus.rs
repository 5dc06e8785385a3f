//! Owns the databases of the comparison: a gateway's, in every page size and encoding, with rows
//! that were deleted and changed.
//! Promises: the same generator gives the same rows; the history is what the product's own first
//! boot has written.
//! Never damages anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use rusqlite::types::Value;
use rusqlite::{params_from_iter, Connection};

use super::rows::{table_rows, Rows};
use crate::corrupt::plain;
use crate::device::switch_on;
use crate::firmware::{Firmware, MAIN};
use crate::scenarios::catalogues::firmware_of;
use crate::scenarios::situations::empty;
use crate::sim::hash::Random;
use crate::sim::Sim;

const FIRST: &str = "CREATE TABLE device(id INTEGER PRIMARY KEY CHECK (id = 1), serial TEXT NOT \
                     NULL UNIQUE, model TEXT NOT NULL, made_on TEXT NOT NULL);\n\
                     CREATE TABLE parameter(name TEXT PRIMARY KEY, value TEXT NOT NULL, changed \
                     INTEGER NOT NULL) WITHOUT ROWID;\n\
                     CREATE TABLE sensor(id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, \
                     label TEXT, gain REAL NOT NULL);\n\
                     CREATE TABLE reading(id INTEGER PRIMARY KEY, sensor INTEGER NOT NULL \
                     REFERENCES sensor(id), at INTEGER NOT NULL, value REAL, note TEXT);\n\
                     CREATE INDEX reading_by_sensor ON reading(sensor, at);\n\
                     CREATE TABLE event(kind TEXT NOT NULL, code INTEGER, detail);\n\
                     CREATE TABLE document(id INTEGER PRIMARY KEY, title TEXT NOT NULL, body \
                     BLOB);\n\
                     CREATE TABLE sample(series INTEGER NOT NULL, at INTEGER NOT NULL, value REAL, \
                     PRIMARY KEY (series, at)) WITHOUT ROWID;\n";
const SECOND: &str = "ALTER TABLE reading ADD COLUMN unit TEXT NOT NULL DEFAULT 'C';\n";

/// The tables whose rows are compared.
pub const TABLES: &[&str] =
    &["device", "document", "event", "parameter", "reading", "sample", "sensor"];
/// Tables of the histories.
const HISTORIES: &[&str] = &["refinery_schema_history", "bootmigrate_steps", "bootmigrate_state"];

/// A database before the damage.
pub struct Made {
    /// In words.
    pub how: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Those of an earlier time.
    pub earlier: Vec<u8>,
    /// Bytes of a page.
    pub page: usize,
    /// By table, sorted.
    pub truth: Rows,
    /// Rows of earlier times, that were changed or deleted.
    pub old: BTreeMap<String, BTreeSet<String>>,
    /// Pages of tables and indexes: number, name, `leaf`, `internal` or `overflow`.
    pub pages: Vec<(usize, String, String)>,
}

/// The firmware that all of them belong to.
pub fn firmware() -> Firmware {
    static MADE: OnceLock<Firmware> = OnceLock::new();
    *MADE.get_or_init(|| firmware_of(&[("first", FIRST), ("second", SECOND)], ""))
}

/// The schema of the histories, and their rows.
type Histories = Vec<(String, Vec<Vec<Value>>)>;

fn histories() -> &'static Histories {
    static MADE: OnceLock<Histories> = OnceLock::new();
    MADE.get_or_init(|| {
        let sim = Sim::from_state(&empty());
        let booted = switch_on(firmware(), &sim, &plain());
        assert_eq!(booted.report.exit, 0, "{}", booted.report.sentence);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("first.db");
        std::fs::write(&path, sim.state().swept().read_file(MAIN).expect("a database"))
            .expect("a file");
        let connection = Connection::open(path).expect("a database");
        let read = |table: &&str| {
            let sql = connection
                .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [table], |row| {
                    row.get(0)
                })
                .expect("its schema");
            let mut statement =
                connection.prepare(&format!("SELECT * FROM {table}")).expect("a table");
            let width = statement.column_count();
            let rows = statement
                .query_map([], |row| (0..width).map(|at| row.get(at)).collect())
                .expect("rows");
            (sql, rows.collect::<rusqlite::Result<Vec<Vec<Value>>>>().expect("rows"))
        };
        HISTORIES.iter().map(read).collect()
    })
}

/// One of them; `number` goes through the page sizes and encodings.
pub fn make(random: &mut Random, number: u64) -> Made {
    let page = [4096, 512, 1024, 4096, 8192, 16_384, 65_536, 4096][(number % 8) as usize];
    let encoding = ["UTF-8", "UTF-8", "UTF-16le", "UTF-8", "UTF-16be"][(number % 5) as usize];
    let vacuum = ["NONE", "NONE", "FULL", "INCREMENTAL"][random.below(4) as usize];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("made.db");
    let connection = Connection::open(&path).expect("a database");
    let run =
        |sql: &str| connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    run(&format!(
        "PRAGMA page_size = {page}; PRAGMA encoding = '{encoding}'; PRAGMA auto_vacuum = {vacuum}; \
         PRAGMA synchronous = OFF"
    ));
    run("PRAGMA foreign_keys = OFF");
    let scale = 1 + random.below(6);
    for (table, (sql, rows)) in HISTORIES.iter().zip(histories()) {
        run(sql);
        for row in rows {
            let marks = vec!["?"; row.len()].join(", ");
            connection
                .execute(&format!("INSERT INTO {table} VALUES ({marks})"), params_from_iter(row))
                .expect("a row of the history");
        }
    }
    run(FIRST);
    run(&fill(1, scale, random));
    run(SECOND);
    let mut old = BTreeMap::<String, BTreeSet<String>>::new();
    let mut keep = |connection: &Connection| {
        for (table, rows) in all_rows(connection) {
            old.entry(table).or_default().extend(rows);
        }
    };
    keep(&connection);
    let earlier = std::fs::read(&path).expect("a file");
    run(&fill(2, scale, random));
    keep(&connection);
    run(&change(scale, random));
    let pages = pages_of(&connection);
    let truth = all_rows(&connection);
    drop(connection);
    let bytes = std::fs::read(&path).expect("a file");
    let how =
        format!("pages of {page}, {encoding}, auto_vacuum {vacuum}, {} pages", bytes.len() / page);
    Made { how, bytes, earlier, page, truth, old, pages }
}

fn all_rows(connection: &Connection) -> Rows {
    TABLES
        .iter()
        .map(|table| ((*table).to_owned(), table_rows(connection, table, &mut |_| {})))
        .collect()
}

fn pages_of(connection: &Connection) -> Vec<(usize, String, String)> {
    let mut statement =
        connection.prepare("SELECT pageno, name, pagetype FROM dbstat").expect("dbstat");
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)? as usize, row.get(1)?, row.get(2)?)))
        .expect("dbstat");
    rows.collect::<rusqlite::Result<_>>().expect("dbstat")
}

/// Rows of the first or second half of its life.
fn fill(half: u64, scale: u64, random: &mut Random) -> String {
    let base = (half - 1) * 100_000;
    let to = |count: u64| {
        format!(
            "WITH n(i) AS (SELECT {} UNION ALL SELECT i + 1 FROM n WHERE i < {})",
            base + 1,
            base + count.max(1)
        )
    };
    let seed = random.below(1 << 30);
    let mut sql = "BEGIN;".to_owned();
    if half == 1 {
        sql.push_str(&format!(
            "INSERT INTO device VALUES (1, 'GW-{seed}', 'gateway mk2', '2024-11-05');"
        ));
    }
    let blobs = [0, 300, 3_000, 60_000, 1_500_000][random.below(5) as usize];
    let documents = if blobs > 100_000 { 2 } else { 6 * scale };
    sql.push_str(&format!(
        "{} INSERT INTO sensor SELECT i, '28-' || (i * 7919 + {seed}), iif(i % 5, 'label ' || i, \
         NULL), i / 8.0 FROM n;{} INSERT INTO parameter SELECT 'parameter.' || (i * 31) || '.' || \
         (i % 11), 'value ' || (i * {seed} % 10007), i FROM n;{} INSERT INTO reading(id, sensor, \
         at, value, note) SELECT i, {base} + 1 + i % {}, 1700000000 + i * 60, (i * {seed} % 9973) \
         / 10.0, iif(i % 7, NULL, 'nöte ' || i) FROM n;{} INSERT INTO event SELECT 'kind ' || (i % \
         9), i * {seed} % 1009, CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN i WHEN 2 THEN 'detail ' || \
         i ELSE x'00ff' END FROM n;{} INSERT INTO sample SELECT i % 13, i, i / 16.0 FROM n;{} \
         INSERT INTO document SELECT i, 'document ' || i, randomblob(1 + (i * {seed} % 7) * \
         {blobs} / 7) FROM n; COMMIT;",
        to(20 * scale),
        to(30 * scale),
        to(200 * scale),
        20 * scale,
        to(80 * scale),
        to(150 * scale),
        to(documents),
    ));
    sql
}

/// Rows that are deleted and changed.
fn change(scale: u64, random: &mut Random) -> String {
    let (low, parts) = (random.below(100 * scale), 2 + random.below(3));
    let high = low + random.below(200 * scale);
    let mut sql = format!(
        "BEGIN; DELETE FROM reading WHERE id BETWEEN {low} AND {high}; DELETE FROM event WHERE \
         code % {parts} = 0; UPDATE parameter SET value = value || ' changed' WHERE changed % 6 = \
         1; DELETE FROM sample WHERE series = {};",
        random.below(13)
    );
    if random.below(2) == 0 {
        sql.push_str(
            "DELETE FROM document WHERE id % 3 = 1; DELETE FROM sample WHERE at % 100000 < 40;",
        );
    }
    sql + "COMMIT;"
}
