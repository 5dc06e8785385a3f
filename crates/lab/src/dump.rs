//! Owns the dump of a database: schema, rows as multisets and history, as text that can be
//! compared.
//! Promises: made with plain SQLite on a copy of the files, journal or WAL included; two dumps are
//! equal iff the databases are.
//! Never uses the device's code to look at what the device's code has done.

use std::collections::{BTreeSet, HashMap};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::sim::hash::Hash128;
use crate::sim::{Sim, State};

/// What a dump leaves out: the date of a row of the history, and what a run itself wrote as the
/// time.
#[derive(Debug, Clone)]
pub struct LeftOut {
    /// The history's table.
    pub history: String,
    /// Seconds since 1970 on the device's clock as it is switched on: every time of that day is the
    /// same.
    pub day_of: Option<i64>,
}

impl Default for LeftOut {
    fn default() -> LeftOut {
        LeftOut { history: "refinery_schema_history".to_owned(), day_of: None }
    }
}

/// Our tables; everything else belongs to the product.
const OURS: [&str; 3] = ["bootmigrate_steps", "bootmigrate_state", "bootmigrate_data"];
/// Where a copy is looked at.
const COPY: &str = "/copy/main.db";

/// The Julian day on which 1970 began.
const JULIAN_1970: f64 = 2_440_587.5;
/// Letters of a number that may be a time: seconds since 1970 have ten, a Julian day seven and a
/// point.
const NUMBER_OF_A_TIME_MIN: usize = 9;
/// Longer texts are in a dump by their hash.
const SHOWN_BYTES_MAX: usize = 60;

/// One whole database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// Schema, rows and history of the product.
    pub text: String,
    /// Versions in the history, oldest first.
    pub versions: Vec<i64>,
    /// Versions that our own table tells of.
    pub migrations: Vec<i64>,
    /// The last operation that committed; `None` where none did.
    pub operation: Option<i64>,
    /// `journal_mode`.
    pub journal: String,
}

/// What stands under a database's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// Nothing.
    Absent,
    /// A whole database.
    Whole(Dump),
    /// Something else: the hash of main's bytes, and why it is not one.
    Broken(u128, String),
}

impl Dump {
    /// Its rows are some of those in this text; what was put aside stands for itself.
    pub fn is_part_of(&self, whole: &str) -> bool {
        let rows = rows_by_table(whole);
        rows_by_table(&self.text)
            .iter()
            .all(|(table, row)| table.starts_with("lost_") || rows.contains(&(*table, *row)))
    }
}

/// Each row with its table's name.
fn rows_by_table(text: &str) -> BTreeSet<(&str, &str)> {
    let mut table = "";
    let mut rows = BTreeSet::new();
    for line in text.lines() {
        match line.strip_prefix("  ") {
            Some(row) => {
                rows.insert((table, row));
            }
            None => table = line.split(':').next().unwrap_or(""),
        }
    }
    rows
}

/// Rows of this id and above are those of an application that ran in the middle of a boot.
pub const GUESTS_FROM: i64 = 1000;
/// Where such rows can be: a purge that puts newer rows aside takes them along.
const GUEST_TABLES: [&str; 4] = ["reading", "sensor", "lost_reading", "lost_sensor"];

/// Dumps by the hash of the files' bytes.
#[derive(Default)]
pub struct Album {
    known: HashMap<u128, Stands>,
    without_guests: bool,
    left_out: LeftOut,
    /// The medium has lost a page: what is salvaged of it may be less.
    pub lost_page: bool,
}

impl Album {
    /// Its dumps leave out the rows of an application that ran in the middle of a boot, and an
    /// empty file that it made.
    pub fn without_guests() -> Album {
        Album { without_guests: true, ..Album::default() }
    }

    /// Its dumps leave this out.
    pub fn leaving_out(left_out: LeftOut) -> Album {
        Album { left_out, ..Album::default() }
    }

    /// What stands under this path.
    pub fn look(&mut self, state: &State, main: &str) -> Stands {
        if state.follow(main).is_err() {
            return Stands::Absent;
        }
        let mut hash = Hash128::new();
        for name in files(main) {
            let content = state
                .follow(&name)
                .and_then(|(node, _)| state.content(node).map(|content| content.hash()));
            hash.wide(content.unwrap_or(0));
        }
        let (without_guests, left_out) = (self.without_guests, &self.left_out);
        self.known
            .entry(hash.finish())
            .or_insert_with(|| look(state, main, without_guests, left_out))
            .clone()
    }
}

/// Main and the side files that hold data.
fn files(main: &str) -> [String; 3] {
    [main.to_owned(), format!("{main}-wal"), format!("{main}-journal")]
}

fn look(state: &State, main: &str, without_guests: bool, left_out: &LeftOut) -> Stands {
    let sizes = files(main).map(|name| state.read_file(&name).map_or(0, |bytes| bytes.len()));
    if without_guests && sizes == [0, 0, 0] {
        return Stands::Absent;
    }
    let taken = copied(state, main, |connection| {
        if without_guests {
            // Where there are no such tables, there are no such rows.
            for table in GUEST_TABLES {
                let _ = connection
                    .execute(&format!("DELETE FROM {table} WHERE id >= {GUESTS_FROM}"), []);
            }
        }
        take_without(connection, left_out)
    });
    match taken {
        Ok(dump) => Stands::Whole(dump),
        Err(why) => Stands::Broken(bytes_hash(state, main), why),
    }
}

/// Opens a private copy of the files with plain SQLite.
fn copied<T>(
    state: &State,
    main: &str,
    look: impl FnOnce(&Connection) -> Result<T, String>,
) -> Result<T, String> {
    let mut copy = State::new();
    copy.put_folder("/copy");
    for (from, to) in files(main).iter().zip(files(COPY)) {
        if let Some(bytes) = state.read_file(from) {
            copy.put_file(&to, &bytes);
        }
    }
    let sim = Sim::from_state(&copy);
    Connection::open_with_flags_and_vfs(COPY, OpenFlags::SQLITE_OPEN_READ_WRITE, sim.vfs_name())
        .map_err(|error| error.to_string())
        .and_then(|connection| look(&connection))
}

/// Rows of an application that ran in the middle of a boot, by their ids; none where this is no
/// database.
pub fn guests(state: &State, main: &str) -> Vec<i64> {
    let found = copied(state, main, |connection| {
        let mut ids = Vec::new();
        for table in GUEST_TABLES {
            let sql = format!("SELECT id FROM {table} WHERE id >= {GUESTS_FROM}");
            ids.extend(
                strings(connection, &sql)
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|id| id.parse::<i64>().ok()),
            );
        }
        Ok(ids)
    });
    found.unwrap_or_default()
}

/// The hash of a file's bytes; 0 where it is absent.
pub fn bytes_hash(state: &State, path: &str) -> u128 {
    state.read_file(path).map_or(0, |bytes| Hash128::of(&bytes))
}

/// The dump of an open database.
///
/// # Errors
/// It is not whole, or cannot be read.
pub fn take(connection: &Connection) -> Result<Dump, String> {
    take_without(connection, &LeftOut::default())
}

/// The same, of a product with a history's table and a clock of its own.
///
/// # Errors
/// As [`take`].
pub fn take_without(connection: &Connection, left_out: &LeftOut) -> Result<Dump, String> {
    let history = &left_out.history;
    let words = |error: rusqlite::Error| error.to_string();
    let checked = strings(connection, "PRAGMA integrity_check").map_err(words)?;
    if checked != ["ok"] {
        return Err(format!(
            "integrity_check says: {}",
            checked.first().map_or("nothing", String::as_str)
        ));
    }
    let mut dump = Dump {
        text: String::new(),
        versions: Vec::new(),
        migrations: Vec::new(),
        operation: None,
        journal: String::new(),
    };
    dump.journal = strings(connection, "PRAGMA journal_mode").map_err(words)?.concat();
    let schema = format!(
        "SELECT type || ' ' || name || ' on ' || tbl_name || ': ' || coalesce(sql, '') FROM \
         sqlite_schema WHERE tbl_name NOT LIKE 'bootmigrate%' AND tbl_name <> '{history}' ORDER BY \
         1"
    );
    for line in strings(connection, &schema).map_err(words)? {
        dump.text.push_str(&line);
        dump.text.push('\n');
    }
    let tables =
        strings(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .map_err(words)?;
    for table in tables.iter().filter(|table| !OURS.contains(&table.as_str())) {
        // The date of a history's row is the clock's, and no part of what must be kept.
        let columns = if table == history { "version, name, checksum" } else { "*" };
        let mut rows =
            rows(connection, &format!("SELECT {columns} FROM \"{table}\"")).map_err(words)?;
        if let Some(day) = left_out.day_of {
            rows.iter_mut().for_each(|row| *row = without_times(row, day));
        }
        rows.sort_unstable();
        dump.text.push_str(&format!("{table}: {} rows\n", rows.len()));
        for row in rows {
            dump.text.push_str(&format!("  {row}\n"));
        }
    }
    let numbers = |sql: &str| -> Vec<i64> {
        let numbers = strings(connection, sql).unwrap_or_default();
        numbers.iter().filter_map(|number| number.parse().ok()).collect()
    };
    dump.versions = numbers(&format!("SELECT version FROM \"{history}\" ORDER BY version"));
    dump.migrations = numbers("SELECT version FROM bootmigrate_steps ORDER BY version");
    dump.operation =
        numbers("SELECT value FROM bootmigrate_state WHERE key = 'act'").first().copied();
    Ok(dump)
}

fn strings(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    rows(connection, sql)
}

fn rows(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let values: Result<Vec<String>, _> =
            (0..columns).map(|column| row.get_ref(column).map(show)).collect();
        found.push(values?.join("|"));
    }
    Ok(found)
}

fn show(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) if text.len() > SHOWN_BYTES_MAX => {
            format!("{} bytes {:032x}", text.len(), Hash128::of(text))
        }
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{bytes:?}"),
    }
}

/// Seconds, milliseconds, Julian days and dates of this day become `now`.
fn without_times(row: &str, day: i64) -> String {
    let is_now = |word: &str| {
        let number: Option<f64> = word.parse().ok().filter(|_| word.len() >= NUMBER_OF_A_TIME_MIN);
        let seconds = [|n: f64| n, |n: f64| n / 1000.0, |n: f64| (n - JULIAN_1970) * 86_400.0];
        number.is_some_and(|number| {
            seconds.iter().any(|of| (day as f64..day as f64 + 86_400.0).contains(&of(number)))
        })
    };
    let date = date_of(day);
    let part = |letter: char| letter.is_ascii_digit() || letter == '.';
    let mut out = String::new();
    let mut rest = row;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(date.as_str()) {
            out.push_str("now");
            rest = after.trim_start_matches(|letter: char| part(letter) || "T: Z".contains(letter));
            continue;
        }
        let length = rest.find(|letter| !part(letter)).unwrap_or(rest.len()).max(first.len_utf8());
        out.push_str(if is_now(&rest[..length]) { "now" } else { &rest[..length] });
        rest = &rest[length..];
    }
    out
}

/// As SQLite writes it.
fn date_of(seconds: i64) -> String {
    let written = Connection::open_in_memory().and_then(|connection| {
        connection.query_row("SELECT date(?1, 'unixepoch')", [seconds], |row| row.get(0))
    });
    written.unwrap_or_default()
}

impl Dump {
    /// What our own tables say does not contradict the history.
    ///
    /// # Errors
    /// The contradiction.
    pub fn consistent(&self) -> Result<(), String> {
        if let Some(stray) =
            self.migrations.iter().find(|migration| !self.versions.contains(migration))
        {
            return Err(format!(
                "bootmigrate_steps tells of version {stray}, which the history does not have"
            ));
        }
        if !self.migrations.is_empty() && self.operation.is_none() {
            return Err("bootmigrate_steps has rows and bootmigrate_state has no act".into());
        }
        Ok(())
    }
}

/// The lines in which two dumps differ.
pub fn difference(one: &str, two: &str) -> String {
    let only = |one: &str, two: &str, mark: char| {
        let lines = one.lines().filter(|line| !two.lines().any(|other| other == *line));
        lines.take(8).map(|line| format!("\n      {mark} {line}")).collect::<String>()
    };
    format!("{}{}", only(one, two, '-'), only(two, one, '+'))
}
