//! Owns the proof that the simulated disk can fail and can pass: plain SQLite on it, without a line
//! of the product.
//! Promises: each journal mode and `synchronous` level ends as SQLite's documentation and real file
//! systems say.
//! Never judges the product.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::ops::ControlFlow;

use bootmigrate_lab::sim::{
    seed_sqlite, Effect, Enumerator, Lack, Order, OutcomePlan, SeenStates, Sim, State,
};
use rusqlite::{Connection, OpenFlags};

const DATABASE: &str = "/data/app.db";
const TRANSACTIONS: i64 = 4;

/// What came of all states of one setting.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    states: usize,
    corrupt: usize,
    lost: usize,
    mixed: usize,
}

fn open(sim: &Sim) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags_and_vfs(DATABASE, flags, sim.vfs_name())
}

/// A database of a few pages, recovered; then transactions of an application, each acknowledged at
/// an effect.
fn scenario(journal: &str, synchronous: &str) -> (State, Vec<Effect>, Vec<usize>) {
    seed_sqlite(7);
    let setup = Sim::from_state(&State::new());
    setup.prepare(|state| {
        state.put_folder("/data");
    });
    let connection = open(&setup).unwrap();
    connection.pragma_update(None, "journal_mode", journal).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE counter(n INTEGER); INSERT INTO counter VALUES (0);
             CREATE TABLE row(id INTEGER PRIMARY KEY, n INTEGER, text TEXT); CREATE INDEX row_n ON \
             row(n);
             WITH RECURSIVE i(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM i WHERE k < 6)
             INSERT INTO row SELECT -k, 0, hex(zeroblob(300)) FROM i;",
        )
        .unwrap();
    connection.close().unwrap();
    let sim = Sim::from_state(&setup.state());
    let connection = open(&sim).unwrap();
    connection.pragma_update(None, "journal_mode", journal).unwrap();
    connection.pragma_update(None, "synchronous", synchronous).unwrap();
    connection.pragma_update(None, "wal_autocheckpoint", 14).unwrap();
    let mut acknowledged = vec![0];
    for n in 1..=TRANSACTIONS {
        connection
            .execute_batch(&format!(
                "BEGIN; UPDATE counter SET n = {n}; UPDATE row SET n = {n} WHERE id < 0;
                 INSERT INTO row VALUES ({n}, {n}, hex(zeroblob({}))); COMMIT;",
                n * 300
            ))
            .unwrap();
        acknowledged.push(sim.effects() as usize);
    }
    connection.close().unwrap();
    (sim.initial(), sim.log(), acknowledged)
}

/// Old or new, whole? Gives what is wrong.
fn judge(state: &State, acknowledged: i64, begun: i64, counts: &mut Counts) {
    let sim = Sim::from_state(state);
    let looked = open(&sim).and_then(|connection| {
        let whole: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let n: i64 = connection.query_row("SELECT n FROM counter", [], |row| row.get(0))?;
        let rows: i64 = connection.query_row(
            "SELECT count(*) FROM row WHERE id > 0 AND n = id",
            [],
            |row| row.get(0),
        )?;
        let old: i64 = connection.query_row(
            "SELECT count(*) FROM row WHERE id < 0 AND n = ?1",
            [n],
            |row| row.get(0),
        )?;
        Ok((whole == "ok", n, rows == n && old == 6))
    });
    match looked {
        Err(_) | Ok((false, _, _)) => counts.corrupt += 1,
        Ok((true, _, false)) => counts.mixed += 1,
        Ok((true, n, true)) if n < acknowledged || n > begun => counts.lost += 1,
        Ok((true, _, true)) => {}
    }
}

fn enumerate(journal: &str, synchronous: &str) -> Counts {
    let (initial, log, acknowledged) = scenario(journal, synchronous);
    let mut counts = Counts::default();
    let started = std::time::Instant::now();
    for order in Order::ALL {
        let seen = SeenStates::default();
        let plan = OutcomePlan::default();
        Enumerator { initial: &initial, log: &log, order, plan }.each(|point, state| {
            // What was acknowledged by then is part of what makes two states different.
            let known = acknowledged.iter().rposition(|at| *at <= point.cut).unwrap() as i64;
            if seen.insert(state.hash() ^ known as u128) {
                counts.states += 1;
                judge(&state, known, known + 1, &mut counts);
            }
            ControlFlow::Continue(())
        });
    }
    let rate = counts.states as f64 / started.elapsed().as_secs_f64();
    println!(
        "{journal:>8} {synchronous:>6}: {} effects, {counts:?}, {rate:.0} states a second",
        log.len()
    );
    counts
}

#[test]
fn settings_that_are_whole_and_durable() {
    for (journal, synchronous) in [
        ("DELETE", "EXTRA"),
        ("TRUNCATE", "EXTRA"),
        ("TRUNCATE", "FULL"),
        ("PERSIST", "EXTRA"),
        ("PERSIST", "FULL"),
        ("WAL", "FULL"),
        ("WAL", "EXTRA"),
    ] {
        let counts = enumerate(journal, synchronous);
        assert!(counts.states > 500, "{counts:?}");
        assert_eq!(
            (counts.corrupt, counts.lost, counts.mixed),
            (0, 0, 0),
            "{journal} {synchronous}"
        );
    }
}

#[test]
fn delete_with_full_loses_acknowledged_commits_and_nothing_else() {
    let counts = enumerate("DELETE", "FULL");
    assert!(counts.lost > 0, "{counts:?}");
    assert_eq!((counts.corrupt, counts.mixed), (0, 0));
}

#[test]
fn wal_with_normal_loses_acknowledged_commits_and_nothing_else() {
    let counts = enumerate("WAL", "NORMAL");
    assert!(counts.lost > 0, "{counts:?}");
    assert_eq!((counts.corrupt, counts.mixed), (0, 0));
}

#[test]
fn synchronous_off_destroys() {
    for journal in ["DELETE", "TRUNCATE", "PERSIST", "WAL"] {
        let counts = enumerate(journal, "OFF");
        assert!(counts.corrupt + counts.mixed > 0, "{journal}: {counts:?}");
    }
}

#[test]
fn normal_with_a_rollback_journal_is_not_whole() {
    let bad: usize = ["DELETE", "TRUNCATE", "PERSIST"]
        .iter()
        .map(|journal| enumerate(journal, "NORMAL"))
        .map(|counts| counts.corrupt + counts.mixed)
        .sum();
    assert!(bad > 0);
}

/// A sort that does not fit into memory writes into a file without a name.
#[test]
fn a_temporary_file_needs_room_too() {
    let sorted = |sim: &Sim| {
        let connection = open(sim).unwrap();
        connection.execute_batch("PRAGMA cache_size = 1").unwrap();
        let sql = "WITH RECURSIVE i(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM i WHERE k < 9000) \
                   SELECT count(*) FROM (SELECT printf('%0900d', k * 7919 % 9001) AS t FROM i \
                   ORDER BY t LIMIT 8999)";
        let ended = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let errno = std::io::Error::last_os_error().raw_os_error();
        ended.map_err(|error| (error.sqlite_error_code(), errno))
    };
    let sim = Sim::from_state(&scenario("delete", "full").0);
    assert_eq!(sorted(&sim), Ok(8999));
    for (lack, errno) in
        [(Lack::Bytes, libc::ENOSPC), (Lack::Inodes, libc::ENOSPC), (Lack::Quota, libc::EDQUOT)]
    {
        let sim = Sim::from_state(&scenario("delete", "full").0);
        sim.leave(lack, 0);
        assert_eq!(
            sorted(&sim),
            Err((Some(rusqlite::ErrorCode::CannotOpen), Some(errno))),
            "{lack:?}"
        );
    }
    // It can be made, and not be filled.
    let sim = Sim::from_state(&scenario("delete", "full").0);
    sim.leave(Lack::Bytes, 64 << 10);
    assert_eq!(sorted(&sim).map_err(|(code, _)| code), Err(Some(rusqlite::ErrorCode::DiskFull)));
}
