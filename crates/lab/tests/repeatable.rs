//! Owns the proof that a run can be repeated: alone in its process, because SQLite's random numbers
//! are one source for all threads.
//! Promises: the same seed gives the same log, states and names of states.
//! Never judges the product.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use bootmigrate_lab::sim::{
    seed_sqlite, CrashPoint, Enumerator, Options, Order, OutcomePlan, Sim, State,
};
use rusqlite::{Connection, OpenFlags};

#[test]
fn the_same_scenario_gives_the_same_log_and_a_named_state_comes_back() {
    let run = || {
        seed_sqlite(5);
        let sim = Sim::new(Options::default());
        sim.prepare(|state| {
            state.put_folder("/data");
        });
        let connection = Connection::open_with_flags_and_vfs(
            "/data/app.db",
            OpenFlags::default(),
            sim.vfs_name(),
        )
        .unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; CREATE TABLE t(n); INSERT INTO t VALUES (random());",
            )
            .unwrap();
        (sim.initial(), sim.log())
    };
    let hashes = |(initial, log): &(State, Vec<_>)| {
        let mut hashes = Vec::new();
        let mut contents: HashMap<u128, Vec<u8>> = HashMap::new();
        let enumerator =
            Enumerator { initial, log, order: Order::Free, plan: OutcomePlan::default() };
        enumerator.each(|point, state| {
            let again: CrashPoint = point.to_string().parse().unwrap();
            assert_eq!(enumerator.state_at(again).hash(), state.hash(), "{point}");
            let paths = state.walk().into_iter().map(|(path, _)| path);
            let all: Vec<u8> = paths
                .flat_map(|path| {
                    [path.as_bytes(), b"=", &state.read_file(&path).unwrap_or_default()].concat()
                })
                .collect();
            let same = contents.entry(state.hash()).or_insert_with(|| all.clone());
            assert!(*same == all, "{point}: two states with one hash");
            hashes.push(state.hash());
            ControlFlow::Continue(())
        });
        let distinct: HashSet<&Vec<u8>> = contents.values().collect();
        assert_eq!(distinct.len(), contents.len(), "one state with two hashes");
        hashes
    };
    assert!(hashes(&run()) == hashes(&run()), "the same states in the same order");
    assert!("12/kept/names=kept".parse::<CrashPoint>().is_err());
}
