//! Owns the methods to get rows out of a damaged database: the product's purge, SQLite's
//! `.recover`, reading it, and VACUUM INTO.
//! Promises: each works on a copy of its own; what it leaves is read by plain SQLite.
//! Never helps one of them.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::process::{Command, Stdio};

use bootmigrate::boot::BootRequest;
use bootmigrate::decide::facts::Request;
use rusqlite::{Connection, OpenFlags};

use super::corpus::{firmware, TABLES};
use super::rows::{table_rows, words, Rows};
use crate::device::switch_on;
use crate::firmware::MAIN;
use crate::scenarios::situations::empty;
use crate::sim::Sim;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `bootmigrate run --purge-and-retry`.
    Ours,
    /// `sqlite3 FILE .recover`.
    Recover,
    /// `INSERT .. SELECT` of each table, up to where it stops.
    Reading,
    /// `VACUUM INTO`.
    Vacuum,
}

impl Method {
    /// All of them.
    pub const ALL: &'static [Method] =
        &[Method::Ours, Method::Recover, Method::Reading, Method::Vacuum];

    /// As a table names it.
    pub fn words(self) -> &'static str {
        match self {
            Method::Ours => "`bootmigrate run --purge-and-retry`",
            Method::Recover => "`sqlite3 FILE .recover`",
            Method::Reading => "`INSERT .. SELECT` of each table",
            Method::Vacuum => "`VACUUM INTO`",
        }
    }
}

/// What one of them found.
#[derive(Debug, Default)]
pub struct Found {
    /// In its tables.
    pub tables: Rows,
    /// In tables beside them that have their columns.
    pub beside: Rows,
    /// Rows of no table, with the number of their values.
    pub anywhere: Vec<(usize, String)>,
    /// The last boot's exit code.
    pub exit: Option<u8>,
    /// The file has every byte that it had: nobody has looked at all of it, and nothing was given
    /// up.
    pub untouched: bool,
    /// It panicked.
    pub panicked: bool,
    /// What it said.
    pub said: String,
}

/// Gets out what it can.
pub fn rescue(method: Method, bytes: &[u8]) -> Found {
    let folder = tempfile::tempdir().expect("a folder");
    let (damaged, rescued) = (folder.path().join("damaged.db"), folder.path().join("rescued.db"));
    std::fs::write(&damaged, bytes).expect("a file");
    let mut found = Found::default();
    match method {
        Method::Ours => return ours(bytes, &rescued),
        Method::Recover => {
            recover(&damaged, &rescued).expect("sqlite3 is installed, or named by SQLITE3")
        }
        Method::Reading => {
            read_into(&damaged, &mut found);
            return found;
        }
        Method::Vacuum => {
            let opened = Connection::open_with_flags(&damaged, OpenFlags::SQLITE_OPEN_READ_WRITE);
            opened
                .and_then(|connection| {
                    connection.execute("VACUUM INTO ?1", [rescued.display().to_string()])
                })
                .ok();
        }
    }
    read_into(&rescued, &mut found);
    found
}

/// How long `.recover` may take for one file; it takes less than a second for any that it ends
/// with.
const RECOVER_SECONDS: &str = "60";

/// The `sqlite3` that `SQLITE3` names, or the machine's: Debian 12's is built without what
/// `.recover` needs.
fn recover(damaged: &Path, rescued: &Path) -> std::io::Result<()> {
    let program = std::env::var("SQLITE3").unwrap_or_else(|_| "sqlite3".to_owned());
    // Of some pages that lead to each other it goes on for ever; what it has printed until then
    // counts.
    let mut said = Command::new("timeout")
        .arg(RECOVER_SECONDS)
        .arg(&program)
        .arg(damaged)
        .arg(".recover")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let sql = said.stdout.take().expect("its output");
    Command::new(&program)
        .arg(rescued)
        .stdin(sql)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    said.wait().map(drop)
}

fn ours(bytes: &[u8], rescued: &Path) -> Found {
    let mut found = Found::default();
    let mut state = empty();
    state.put_folder("/data/product");
    state.put_file(MAIN, bytes);
    let sim = Sim::from_state(&state);
    let asked = BootRequest::of(Request::PurgeAndRetry);
    let Ok(booted) = catch_unwind(AssertUnwindSafe(|| switch_on(firmware(), &sim, &asked))) else {
        return Found { panicked: true, ..found };
    };
    (found.exit, found.said) = (Some(booted.report.exit), booted.report.sentence);
    if booted.report.usable {
        let main = sim.state().swept().read_file(MAIN).unwrap_or_default();
        found.untouched = main == bytes;
        std::fs::write(rescued, main).expect("a file");
        read_into(rescued, &mut found);
    }
    found
}

/// SQLite's own check finds nothing wrong with the rows of this table and with its indexes. What
/// says which page is whose is no row.
pub fn looks_whole(bytes: &[u8], table: &str) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("looked-at.db");
    std::fs::write(&path, bytes).expect("a file");
    let check = || {
        let connection = Connection::open(&path)?;
        let mut statement = connection.prepare(&format!("PRAGMA integrity_check({table})"))?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect::<rusqlite::Result<Vec<String>>>()
    };
    let of_no_row = |line: &str| {
        line == "ok" || line.starts_with("*** in database") || line.contains("ptr map")
    };
    check().is_ok_and(|said| said.iter().flat_map(|row| row.lines()).all(of_no_row))
}

/// Every row of a database.
fn read_into(path: &Path, found: &mut Found) {
    let Ok(connection) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    else {
        return;
    };
    let mut stopped = |_| {};
    for table in TABLES {
        found.tables.insert((*table).to_owned(), table_rows(&connection, table, &mut stopped));
        found.beside.insert(
            (*table).to_owned(),
            table_rows(&connection, &format!("lost_{table}"), &mut stopped),
        );
    }
    // The row number stands apart: where it is a column, the record has NULL in its place.
    loose(&connection, "SELECT * FROM lost_pages", 2, &mut found.anywhere);
    loose(&connection, "SELECT * FROM lost_and_found", 4, &mut found.anywhere);
}

/// Rows of no table, whose values begin at this column, and whose row number stands before them.
fn loose(connection: &Connection, sql: &str, first: usize, found: &mut Vec<(usize, String)>) {
    let mut read = || -> rusqlite::Result<()> {
        let mut statement = connection.prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for width in 1..=columns - first {
                let plain = words(row, first..first + width)?;
                if let Some(rest) = plain.strip_prefix("NULL|") {
                    found.push((width, format!("{}|{rest}", words(row, first - 1..first)?)));
                }
                found.push((width, plain));
            }
        }
        Ok(())
    };
    read().ok();
}

#[cfg(test)]
mod tests {
    use super::super::{corpus, score};
    use super::*;
    use crate::sim::hash::Random;
    use std::collections::BTreeMap;

    #[test]
    fn a_file_without_damage_gives_every_row_by_every_way() {
        let made = corpus::make(&mut Random::new(7), 2);
        let truth: u64 = made.truth.values().map(|rows| rows.len() as u64).sum();
        let methods: BTreeMap<&str, u64> = [Method::Ours, Method::Reading, Method::Vacuum]
            .iter()
            .map(|method| {
                (method.words(), score::score(&made, &rescue(*method, &made.bytes)).in_place)
            })
            .collect();
        assert!(
            truth > 500 && methods.values().all(|found| *found == truth),
            "{truth}: {methods:?}"
        );
    }
}
