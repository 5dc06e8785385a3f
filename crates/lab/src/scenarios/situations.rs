//! Owns the situations before a boot: a device that older firmware has run on, its application's
//! rows, and what a cut left of both.
//! Promises: made by the older firmware's own boot and by plain SQLite; rows that count as
//! committed are those SQLite acknowledged.
//! Never contains anything that the scenario's text does not say.

use rusqlite::{Connection, OpenFlags};

use super::catalogues::{checksum, code_of, sql_of, Version, ENFORCED};
use crate::device::switch_on;
use crate::dump::{take, Dump};
use crate::firmware::{Firmware, MAIN};
use crate::scenario::plain;
use crate::sim::{Sim, State};
use bootmigrate::boot::BootRequest;

/// The application's rows at schema 1.
pub const ROWS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \
                        4) INSERT INTO sensor SELECT i, 'sensor ' || i FROM n; WITH RECURSIVE n(i) \
                        AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24) INSERT INTO \
                        reading(id, sensor, value, note) SELECT i, 1 + i % 4, i * i, \
                        printf('%0220d', i) FROM n;";
/// A change that the application was making when the power went.
const UNFINISHED: &str =
    "UPDATE reading SET value = -value, note = note || 'unfinished'; INSERT INTO sensor(id, name) \
     VALUES (9, 'unfinished');";
/// A change that the application made later.
pub const LATER: &str =
    "INSERT INTO sensor VALUES (5, 'later'); UPDATE reading SET value = value + 7 WHERE id < 9;";

/// The application gives its file a pointer map.
pub const AUTO_VACUUM: &str = "PRAGMA auto_vacuum = FULL; VACUUM;";

/// A device with an empty folder for data.
pub fn empty() -> State {
    let mut state = State::new();
    state.put_folder("/data");
    state.put_folder("/proc");
    state.put_mount("/run", crate::sim::state::VOLATILE);
    state
}

/// Boots from this state until nothing is left to do; the last exit code must be one of these.
pub fn booted(
    state: &State,
    firmware: Firmware,
    asked: &BootRequest,
    times: u32,
    exit: u8,
) -> State {
    let mut state = state.clone();
    for _ in 0..times {
        let sim = Sim::from_state(&state);
        let booted = switch_on(firmware, &sim, asked);
        assert!(
            booted.report.exit == exit,
            "this situation should have exit {exit}: {}",
            booted.report.sentence
        );
        state = sim.state().swept();
    }
    state
}

/// The application on this state: it runs SQL, each text acknowledged, and closes.
pub fn applied(state: &State, journal: &str, texts: &[&str]) -> State {
    applied_to(MAIN, state, journal, texts)
}

/// The same on another database.
pub fn applied_to(path: &str, state: &State, journal: &str, texts: &[&str]) -> State {
    let sim = Sim::from_state(state);
    let connection = open(path, &sim, journal);
    for sql in texts {
        connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    connection.close().unwrap_or_else(|(_, error)| panic!("close: {error}"));
    sim.state().swept()
}

/// The application on this state: its last change is cut off in the middle, with the journal
/// written.
pub fn cut_off(state: &State, journal: &str, texts: &[&str]) -> State {
    let sim = Sim::from_state(state);
    let connection = open(MAIN, &sim, journal);
    for sql in texts {
        connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    connection
        .execute_batch(
            "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN",
        )
        .unwrap();
    connection.execute_batch(UNFINISHED).unwrap();
    sim.state().swept()
}

fn open(path: &str, sim: &Sim, journal: &str) -> Connection {
    let connection = Connection::open_with_flags_and_vfs(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE,
        sim.vfs_name(),
    )
    .unwrap();
    connection.pragma_update(None, "journal_mode", journal).unwrap();
    connection.pragma_update(None, "synchronous", "EXTRA").unwrap();
    connection
}

/// A device on which firmware `version` made the database and the application wrote its rows.
pub fn managed(firmware: Firmware, journal: &str) -> State {
    let made = booted(&empty(), firmware, &plain(), 1, 0);
    applied(&made, journal, &[ROWS])
}

/// What plain SQLite makes of the same: migrations up to `rows_at`, the texts, and the later
/// migrations.
pub fn expected(version: Version, rows_at: usize, texts: &[&str]) -> String {
    dump(version, rows_at, texts, usize::MAX).text
}

/// As [`expected`], with migrations up to `up_to`.
pub fn dump(version: Version, rows_at: usize, texts: &[&str], up_to: usize) -> Dump {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let run =
        |sql: &str| connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    run("CREATE TABLE refinery_schema_history(version INTEGER PRIMARY KEY, name TEXT, applied_on \
         TEXT, checksum TEXT)");
    for (index, (name, sql)) in sql_of(version).into_iter().enumerate() {
        if index == rows_at {
            texts.iter().for_each(|text| run(text));
        }
        if index < up_to {
            if name == ENFORCED {
                run(&format!(
                    "PRAGMA foreign_keys = ON; BEGIN; {sql} COMMIT; PRAGMA foreign_keys = OFF"
                ));
            } else {
                run(sql);
            }
            // As on the connection of its own that each file has.
            run("DROP TABLE IF EXISTS temp.sensor; PRAGMA case_sensitive_like = OFF");
            run(code_of(name).unwrap_or(""));
            run(&format!(
                "INSERT INTO refinery_schema_history VALUES ({}, '{name}', '', '{}')",
                index + 1,
                checksum(index + 1, name, sql)
            ));
        }
    }
    if rows_at >= sql_of(version).len() {
        texts.iter().for_each(|text| run(text));
    }
    take(&connection).unwrap()
}

/// A database that plain refinery has run on, up to `recorded` rows of history and `done`
/// migrations.
pub fn of_refinery(version: Version, recorded: usize, done: usize) -> State {
    let mut folder = empty();
    folder.put_folder("/data/product");
    folder.put_file(MAIN, b"");
    let all = sql_of(version);
    // As on a device whose product keeps them off: the rebuild would take every reading with it.
    let mut texts = vec![
        "PRAGMA foreign_keys = OFF".to_owned(),
        "CREATE TABLE refinery_schema_history(version INT4 PRIMARY KEY, name VARCHAR(255), \
         applied_on VARCHAR(255), checksum VARCHAR(255))"
            .to_owned(),
    ];
    for (index, (name, sql)) in all.iter().copied().enumerate().take(done) {
        texts.push(sql.to_owned());
        if index < recorded {
            let row = format!(
                "{}, '{name}', '2024-05-01T10:00:00Z', '{}'",
                index + 1,
                checksum(index + 1, name, sql)
            );
            texts.push(format!("INSERT INTO refinery_schema_history VALUES ({row})"));
        }
        if index == 0 {
            texts.push(ROWS.to_owned());
        }
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    applied(&folder, "delete", &texts)
}

/// The dump of a database in which plain refinery did more than it recorded.
pub fn half_done(version: Version, recorded: usize, done: usize, texts: &[&str]) -> String {
    let mut dump = dump(version, 1, texts, done).text;
    for (index, (name, sql)) in sql_of(version).into_iter().enumerate().take(done).skip(recorded) {
        dump = dump
            .replace(&format!("  {}|{name}|{}\n", index + 1, checksum(index + 1, name, sql)), "");
    }
    dump.replace(
        &format!("refinery_schema_history: {done} rows"),
        &format!("refinery_schema_history: {recorded} rows"),
    )
}
