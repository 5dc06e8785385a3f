//! Owns the ways in which a file is damaged: what a worn flash, a half-written block or a careless
//! copy leaves.
//! Promises: the same generator gives the same bytes; forged sums are made here, with no code of
//! the product.
//! Never judges.

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use super::fields::{header, reseal_record, reseal_wal, PAGE};
use super::situations::{Kind, Situation};
use crate::firmware::MAIN;
use crate::sim::hash::Random;
use crate::sim::{Sim, State};

/// Bytes of the shared memory that SQLite would make.
const SHARED_MEMORY_BYTES: usize = 32 << 10;

/// How a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mutation {
    /// Some bits are others.
    Bits,
    /// A run of bytes is zero.
    Zeroed,
    /// A run of bytes is anything.
    Garbage,
    /// One part is of this file, the other of another.
    Torn,
    /// Two pages have changed places.
    SwappedPages,
    /// It ends early, at any byte.
    Truncated,
    /// It goes on with anything.
    Extended,
    /// One field of its header is another.
    Header,
    /// Its content is another and its sums are right.
    Resealed,
    /// All of it is anything.
    Replaced,
    /// Its rows say something else.
    Rows,
    /// One page is of an earlier time: a write that flash lost.
    Stale,
    /// An index has more, fewer or other entries than its table has rows.
    Entries,
}

impl Mutation {
    /// The ways in which a file of this kind is damaged.
    pub fn of(kind: Kind) -> &'static [Mutation] {
        use Mutation::{
            Bits, Entries, Extended, Garbage, Header, Replaced, Resealed, Rows, Stale,
            SwappedPages, Torn, Truncated, Zeroed,
        };
        match kind {
            Kind::Database => &[
                Bits,
                Zeroed,
                Garbage,
                Torn,
                SwappedPages,
                Truncated,
                Extended,
                Header,
                Header,
                Replaced,
                Stale,
                Stale,
                Stale,
                Entries,
            ],
            Kind::Snapshot | Kind::Ready | Kind::Journal => &[
                Bits,
                Zeroed,
                Garbage,
                Torn,
                SwappedPages,
                Truncated,
                Extended,
                Header,
                Header,
                Replaced,
            ],
            Kind::Wal => &[
                Bits,
                Zeroed,
                Garbage,
                Torn,
                SwappedPages,
                Truncated,
                Extended,
                Header,
                Resealed,
                Replaced,
            ],
            Kind::Record => &[
                Bits,
                Zeroed,
                Garbage,
                Torn,
                SwappedPages,
                Truncated,
                Extended,
                Header,
                Resealed,
                Resealed,
                Replaced,
            ],
            Kind::SharedMemory | Kind::Staging | Kind::Quarantine => {
                &[Bits, Zeroed, Garbage, Truncated, Extended, Replaced]
            }
            Kind::History => &[Rows, Rows, Rows, Rows],
        }
    }
}

/// Damages one file of a situation, and says how.
pub fn damage(
    situation: &Situation,
    kind: Kind,
    path: &str,
    mutation: Mutation,
    random: &mut Random,
) -> (State, String) {
    let mut state = situation.state.clone();
    let recovered = !["-wal", "-journal"].iter().any(|side| {
        state.read_file(&format!("{MAIN}{side}")).is_some_and(|bytes| !bytes.is_empty())
    });
    // What SQL would recover is damaged as it lies there.
    let mutation = if mutation == Mutation::Entries && !(recovered && situation.of_the_lab) {
        Mutation::Stale
    } else {
        mutation
    };
    if let Mutation::Rows | Mutation::Entries = mutation {
        let sql = if mutation == Mutation::Rows { rows(random) } else { entries(random) };
        return match rewritten(&state, &sql) {
            Ok(state) => (state, sql),
            Err(error) => (state, format!("{sql} (which SQLite refused: {error})")),
        };
    }
    let mut bytes = state.read_file(path).unwrap_or_else(|| vec![0; SHARED_MEMORY_BYTES]);
    let how = match mutation {
        Mutation::Bits => bits(&mut bytes, random),
        Mutation::Zeroed | Mutation::Garbage => run(&mut bytes, mutation, random),
        Mutation::Torn => torn(&mut bytes, &other(situation, kind, path), random),
        Mutation::SwappedPages => swapped(&mut bytes, random),
        Mutation::Truncated => {
            let end = if random.below(4) == 0 { random.below(600) } else { random.draw() } as usize
                % bytes.len().max(1);
            bytes.truncate(end);
            format!("ends at byte {end}")
        }
        Mutation::Extended => {
            let more = 1 + random.below(3 * PAGE as u64) as usize;
            bytes.extend(garbage(more, random));
            format!("{more} bytes more")
        }
        Mutation::Header => header(&mut bytes, kind, random),
        Mutation::Resealed if kind == Kind::Wal => reseal_wal(&mut bytes, random),
        Mutation::Resealed => reseal_record(&mut bytes, random),
        Mutation::Replaced => {
            bytes = garbage(random.below(2 * bytes.len() as u64 + 1) as usize, random);
            format!("{} bytes of anything", bytes.len())
        }
        Mutation::Stale => stale(&mut bytes, &other(situation, kind, path), random),
        Mutation::Rows | Mutation::Entries => String::new(),
    };
    state.put_file(path, &bytes);
    (state, how)
}

fn garbage(length: usize, random: &mut Random) -> Vec<u8> {
    (0..length).map(|_| random.draw() as u8).collect()
}

fn place(bytes: &[u8], random: &mut Random) -> usize {
    // Half of the damage meets the beginning, where the meaning is.
    let limit = if random.below(2) == 0 { bytes.len().min(PAGE) } else { bytes.len() };
    random.below(limit.max(1) as u64) as usize
}

fn bits(bytes: &mut [u8], random: &mut Random) -> String {
    let mut how = "bits".to_owned();
    for _ in 0..=random.below(4) {
        let (at, bit) = (place(bytes, random), random.below(8));
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << bit;
        }
        how.push_str(&format!(" {at}.{bit}"));
    }
    how
}

fn run(bytes: &mut [u8], mutation: Mutation, random: &mut Random) -> String {
    let at = place(bytes, random);
    let lengths = [1, 4, 16, 100, 512, 4096];
    let end = (at + lengths[random.below(6) as usize]).min(bytes.len());
    for byte in &mut bytes[at..end] {
        *byte = if mutation == Mutation::Zeroed { 0 } else { random.draw() as u8 };
    }
    format!("bytes {at} to {end}")
}

/// What the other half is of: the same file in an earlier state, or the earlier main.
fn other(situation: &Situation, kind: Kind, path: &str) -> Vec<u8> {
    let main = || situation.earlier.read_file(MAIN);
    let other = if kind == Kind::Record { situation.earlier.read_file(path) } else { main() };
    other.or_else(main).unwrap_or_default()
}

fn torn(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) -> String {
    let at = random.below(bytes.len().max(1) as u64) as usize;
    let at = if random.below(2) == 0 { at } else { at / 512 * 512 };
    if random.below(2) == 0 {
        let mut new = other.get(..at.min(other.len())).unwrap_or(&[]).to_vec();
        new.extend(bytes.get(new.len()..).unwrap_or(&[]));
        *bytes = new;
        return format!("of another file up to byte {at}");
    }
    bytes.truncate(at);
    bytes.extend(other.get(at..).unwrap_or(&[]));
    format!("of another file from byte {at}")
}

/// A page of an earlier time whose content has changed since.
fn stale(bytes: &mut [u8], earlier: &[u8], random: &mut Random) -> String {
    let pages = bytes.len().min(earlier.len()) / PAGE;
    let page = |number: usize| number * PAGE..(number + 1) * PAGE;
    let changed: Vec<usize> =
        (0..pages).filter(|number| bytes[page(*number)] != earlier[page(*number)]).collect();
    if changed.is_empty() {
        return "no page has changed".to_owned();
    }
    let number = changed[random.below(changed.len() as u64) as usize];
    bytes[page(number)].copy_from_slice(&earlier[page(number)]);
    format!("page {} is of an earlier time", number + 1)
}

/// The table is changed while its indexes are not in the schema, so that they stay as they were.
fn entries(random: &mut Random) -> String {
    let number = random.below(7);
    let changes = [
        format!("DELETE FROM reading WHERE id % 7 = {number}"),
        format!(
            "INSERT INTO reading(id, sensor, value, note) SELECT id + 5000, sensor, value, note \
             FROM reading WHERE id % 7 = {number}"
        ),
        format!("UPDATE reading SET value = -1 - value WHERE id % 7 = {number}"),
        format!("UPDATE reading SET id = id + 7000 WHERE id % 7 = {number}"),
    ];
    let change = &changes[random.below(changes.len() as u64) as usize];
    let indexes = "type = 'index' AND sql IS NOT NULL";
    format!(
        "CREATE TEMP TABLE hidden AS SELECT * FROM sqlite_schema WHERE {indexes}; PRAGMA \
         writable_schema = ON; DELETE FROM sqlite_schema WHERE {indexes}; PRAGMA writable_schema = \
         RESET; {change}; PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM \
         hidden; PRAGMA writable_schema = RESET"
    )
}

fn swapped(bytes: &mut [u8], random: &mut Random) -> String {
    let size = if bytes.len() >= 2 * PAGE { PAGE } else { 512 };
    let pages = (bytes.len() / size) as u64;
    if pages < 2 {
        bytes.reverse();
        return "reversed".to_owned();
    }
    let one = random.below(pages) as usize;
    let two = (one + 1 + random.below(pages - 1) as usize) % pages as usize;
    for byte in 0..size {
        bytes.swap(one * size + byte, two * size + byte);
    }
    format!("pages {one} and {two} of {size} bytes")
}

const TABLES: [(&str, &[&str]); 3] = [
    ("refinery_schema_history", &["version", "name", "applied_on", "checksum"]),
    (
        "bootmigrate_steps",
        &[
            "version",
            "act",
            "down_sql",
            "irreversible",
            "compatible_from",
            "duration_ms",
            "firmware",
        ],
    ),
    ("bootmigrate_state", &["key", "value"]),
];

/// Values that a row of a history never has.
const VALUES: [&str; 24] = [
    "NULL",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "4",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "1.5",
    "9e999",
    "''",
    "'x'",
    "' 1'",
    "'18446744073709551616'",
    "x'ff'",
    "CAST(x'fffe00' AS TEXT)",
    "x''",
    "'a' || char(0) || 'b'",
    "'|1__x'",
    "printf('%01000d', 7)",
    "'2024-13-45T99:99:99Z'",
    "randomblob(3)",
];

/// A change of what the history says; each leaves a whole database.
fn rows(random: &mut Random) -> String {
    let mut pick = |limit: usize| random.below(limit as u64) as usize;
    let (table, columns) = TABLES[[0, 0, 0, 1, 2][pick(5)]];
    let (column, value) = (columns[pick(columns.len())], VALUES[pick(VALUES.len())]);
    let one = format!("rowid = (SELECT rowid FROM {table} LIMIT 1 OFFSET {})", pick(3));
    let one = if table == "bootmigrate_state" { "key >= 'a'".to_owned() } else { one };
    let list = columns.join(", ");
    match pick(14) {
        0..=5 => format!("UPDATE OR REPLACE {table} SET {column} = {value} WHERE {one}"),
        6 => format!("UPDATE OR IGNORE {table} SET {column} = {value}"),
        7 => format!("DELETE FROM {table} WHERE {one}"),
        8 => format!("DELETE FROM {table}"),
        9 => format!("DROP TABLE {table}"),
        10 => format!("ALTER TABLE {table} RENAME COLUMN {column} TO other"),
        11 => format!(
            "CREATE TABLE t AS SELECT * FROM {table}; DROP TABLE {table}; ALTER TABLE t RENAME TO \
             {table}; INSERT INTO {table} SELECT * FROM {table}"
        ),
        12 => format!(
            "CREATE TABLE t AS SELECT * FROM {table}; DROP TABLE {table}; CREATE VIEW {table} AS \
             SELECT {list} FROM t"
        ),
        _ => {
            let values: Vec<&str> = columns.iter().map(|_| VALUES[pick(VALUES.len())]).collect();
            format!("INSERT OR REPLACE INTO {table}({list}) VALUES ({})", values.join(", "))
        }
    }
}

fn rewritten(state: &State, sql: &str) -> rusqlite::Result<State> {
    let sim = Sim::from_state(state);
    let connection = Connection::open_with_flags_and_vfs(
        MAIN,
        OpenFlags::SQLITE_OPEN_READ_WRITE,
        sim.vfs_name(),
    )?;
    connection.execute_batch("PRAGMA foreign_keys = OFF")?;
    connection.execute_batch(sql)?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(sim.state().swept())
}
