//! Owns what plain SQLite says of a damaged database: its rows by table and by index, its history,
//! and what is damaged.
//! Promises: what can be read counts, whatever the rest is; the files that are asked are a copy.
//! Never calls the device's code.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OpenFlags};

use super::situations::{Situation, Watched};
use crate::firmware::MAIN;
use crate::sim::{without_modules, Options, Sim, State};

/// What plain SQLite says of a database.
#[derive(Debug, Default)]
pub struct Contents {
    /// The hash of main's bytes; `None` where it is absent.
    pub main: Option<u128>,
    /// Bytes of main.
    pub size: u64,
    /// A side file holds something.
    pub side: bool,
    /// What `integrity_check` says but "ok", without rules of the schema that rows break and
    /// without virtual tables.
    pub damage: Option<String>,
    /// Virtual tables that do not fit their content, or that SQLite cannot open.
    pub unfit: Vec<String>,
    /// The product's rows that can be read, as a multiset.
    pub rows: BTreeMap<String, u64>,
    /// The keys of the product's rows, as its tables have them and as their indexes do.
    pub by_table: BTreeSet<String>,
    /// The same by index.
    pub by_index: BTreeSet<String>,
    /// Rows of the history; `None` where it cannot be read.
    pub history: Option<Vec<String>>,
}

impl Contents {
    /// It is there, and SQLite finds no fault.
    pub fn whole(&self) -> bool {
        self.main.is_some() && self.damage.is_none()
    }

    /// The first row of the other that this one does not have.
    pub fn lacks(&self, other: &Contents) -> Option<String> {
        let gone = other.rows.iter().find(|(row, count)| self.rows.get(*row).unwrap_or(&0) < count);
        gone.map(|(row, _)| row.clone())
    }

    /// The first row that the other's tables or indexes knew, and of which neither is here.
    pub fn knows_less_than(&self, other: &Contents) -> Option<String> {
        let known = |row: &&String| self.by_table.contains(*row) || self.by_index.contains(*row);
        other.by_table.iter().chain(&other.by_index).find(|row| !known(row)).cloned()
    }
}

/// The bytes of a file; `None` where there is none.
pub fn bytes_hash(state: &State, path: &str) -> Option<u128> {
    let (node, _) = state.follow(path).ok()?;
    state.content(node).ok().map(|content| content.hash())
}

/// A copy of the files in the hands of plain SQLite.
pub fn look(situation: &Situation, state: &State) -> Contents {
    let mut copy = State::new();
    copy.put_folder("/copy");
    let mut seen = Contents { main: bytes_hash(state, MAIN), ..Contents::default() };
    let Some(main) = state.read_file(MAIN) else { return seen };
    seen.size = main.len() as u64;
    copy.put_file("/copy/main.db", &main);
    for suffix in ["-wal", "-journal"] {
        let bytes = state.read_file(&format!("{MAIN}{suffix}")).unwrap_or_default();
        // A header of zeros is what PERSIST leaves for ever.
        let holds = if suffix == "-wal" {
            !bytes.is_empty()
        } else {
            bytes.first().is_some_and(|byte| *byte != 0)
        };
        seen.side |= holds;
        if holds {
            copy.put_file(&format!("/copy/main.db{suffix}"), &bytes);
        }
    }
    if main.is_empty() {
        return seen;
    }
    let sim = Sim::with(&copy, Options { log: false, ..Options::default() });
    let open = || {
        Connection::open_with_flags_and_vfs(
            "/copy/main.db",
            OpenFlags::SQLITE_OPEN_READ_WRITE,
            sim.vfs_name(),
        )
    };
    match open() {
        Ok(connection) => ask(&connection, situation, &mut seen),
        Err(error) => seen.damage = Some(error.to_string()),
    }
    if let Ok(connection) = open() {
        ask_virtual_tables(&connection, &mut seen);
    }
    seen
}

/// Each by itself: in a check of the whole file one that cannot be opened ends it.
fn ask_virtual_tables(connection: &Connection, seen: &mut Contents) {
    let mut names = Vec::new();
    strings(
        connection,
        "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'",
        &mut |name| names.push(name),
    )
    .ok();
    for name in names {
        let mut fits = true;
        let checked = strings(connection, &format!("PRAGMA integrity_check({name})"), &mut |row| {
            fits &= row == "ok"
        });
        if checked.is_err() || !fits {
            seen.unfit.push(name);
        }
    }
}

fn ask(connection: &Connection, situation: &Situation, seen: &mut Contents) {
    // Virtual tables are asked by themselves; what they keep their content in are tables like all
    // others.
    without_modules(connection);
    // Its rows are read before anything is checked: what can be read counts, whatever the rest is.
    for Watched { table, text, .. } in situation.watched.iter() {
        let sql = format!("SELECT '{table} ' || {text} FROM \"{table}\" NOT INDEXED");
        strings(connection, &sql, &mut |row| *seen.rows.entry(row).or_default() += 1).ok();
    }
    for (table, (id, index)) in
        situation.watched.iter().filter_map(|watched| Some((&watched.table, watched.key.as_ref()?)))
    {
        // Where the schema's text is damaged, `id` may be another column; what is no number says
        // nothing of which row it is.
        let key = |from: &str| {
            format!(
                "SELECT '{table} of id ' || \"{id}\" FROM \"{table}\" {from} WHERE \
                 typeof(\"{id}\") = 'integer'"
            )
        };
        strings(connection, &key("NOT INDEXED"), &mut |row| seen.by_table.extend([row])).ok();
        strings(connection, &key(&format!("INDEXED BY \"{index}\"")), &mut |row| {
            seen.by_index.extend([row])
        })
        .ok();
    }
    let mut lines = Vec::new();
    match strings(connection, "PRAGMA integrity_check(1000)", &mut |line| lines.push(line)) {
        Err(error) => seen.damage = Some(error.to_string()),
        Ok(()) => {
            let rule = |line: &&String| {
                line.contains(" value in ") || line.starts_with("CHECK constraint failed")
            };
            seen.damage = lines.iter().find(|line| *line != "ok" && !rule(line)).cloned();
        }
    }
    let mut history = Vec::new();
    let table = &situation.firmware.settings.history_table;
    let sql = format!(
        "SELECT version || '|' || name || '|' || checksum FROM \"{table}\" ORDER BY version"
    );
    if strings(connection, &sql, &mut |row| history.push(row)).is_ok() {
        seen.history = Some(history);
    }
}

/// One column, as text; what was read before an error counts.
fn strings(
    connection: &Connection,
    sql: &str,
    each: &mut dyn FnMut(String),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let value = row.get_ref(0)?;
        each(
            String::from_utf8_lossy(value.as_bytes_or_null().ok().flatten().unwrap_or(b"NULL"))
                .into_owned(),
        );
    }
    Ok(())
}
