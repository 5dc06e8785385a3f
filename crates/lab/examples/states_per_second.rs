//! Owns the measurement of the simulated disk: crash states a second on one core, for a small
//! scenario.
//! Promises: each state is materialised, opened with SQLite, checked by `integrity_check` and two
//! queries.
//! Never a test: `cargo run --profile lab -p bootmigrate-lab --example states_per_second
//! [JOURNAL_MODE]`.

use std::ops::ControlFlow;
use std::time::Instant;

use bootmigrate_lab::sim::{
    keep_freed_memory, Enumerator, Order, OutcomePlan, SeenStates, Sim, State,
};
use rusqlite::{Connection, OpenFlags};

fn open(sim: &Sim) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags_and_vfs("/data/app.db", flags, sim.vfs_name())
}

fn scenario(journal: &str) -> rusqlite::Result<Sim> {
    let mut folder = State::new();
    folder.put_folder("/data");
    let sim = Sim::from_state(&folder);
    let connection = open(&sim)?;
    connection.pragma_update(None, "journal_mode", journal)?;
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.execute_batch(
        "CREATE TABLE row(id INTEGER PRIMARY KEY, text TEXT); CREATE INDEX text ON row(text);",
    )?;
    for id in 1..=5 {
        connection.execute("INSERT INTO row VALUES (?1, hex(randomblob(200)))", [id])?;
    }
    Ok(sim)
}

fn check(state: &State) -> rusqlite::Result<bool> {
    let sim = Sim::from_state(state);
    let connection = open(&sim)?;
    let whole: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 {
        connection.query_row("SELECT count(*) FROM row", [], |row| row.get::<_, i64>(0))?;
    }
    Ok(whole == "ok")
}

fn main() -> rusqlite::Result<()> {
    keep_freed_memory();
    for journal in std::env::args()
        .nth(1)
        .map_or_else(|| vec!["DELETE".into(), "WAL".into()], |mode| vec![mode])
    {
        let sim = scenario(&journal)?;
        let (initial, log) = (sim.initial(), sim.log());
        let (mut made, mut bad) = (0_u64, 0_u64);
        let seen = SeenStates::default();
        let start = Instant::now();
        let mut checking = std::time::Duration::ZERO;
        for order in Order::ALL {
            let plan = OutcomePlan { random: 200, ..OutcomePlan::default() };
            Enumerator { initial: &initial, log: &log, order, plan }.each(|_, state| {
                made += 1;
                if seen.insert(state.hash()) {
                    let from = Instant::now();
                    bad += u64::from(!check(&state).unwrap_or(false));
                    checking += from.elapsed();
                }
                ControlFlow::Continue(())
            });
        }
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{journal}: {} effects, {made} states made, {} distinct, {bad} bad, {:.0} distinct \
             states a second ({:.0} us in checks each)",
            log.len(),
            seen.len(),
            seen.len() as f64 / seconds,
            checking.as_secs_f64() * 1e6 / seen.len() as f64
        );
    }
    Ok(())
}
