//! Owns the stories of a stop signal: SIGTERM at every write-like call of a run.
//! Promises: the run ends with 20 and the old rows, or it had committed and says so; the next boot goes on.
//! Never sends the signal by the clock: the program is stopped at the call, told, and let go on.

use crate::bench::{copy_tree, Bench};
use crate::oracle;
use crate::strace::{calls, stopped_after};
use rustix::process::{kill_process, Signal};
use std::collections::BTreeMap;

/// What a run is broken into, and how it ends when nobody stops it.
fn stopped_at_every_call(template: &Bench, firmware: i32, arguments: &[&str]) {
    let old = oracle::content(&template.main()).unwrap();
    let bench = Bench::empty(firmware);
    let reset = || {
        for name in ["var", "run"] {
            let _ = std::fs::remove_dir_all(bench.root().join(name));
        }
        std::fs::create_dir_all(bench.home()).unwrap();
        copy_tree(&template.home(), &bench.home());
    };
    reset();
    let (points, whole) = calls(&bench, arguments);
    assert_eq!(whole.exit, "0", "the run that counts: {}", whole.stderr);
    let new = oracle::content(&bench.main()).unwrap();
    assert!(whole.stderr.contains("migrated"), "the run that counts did nothing: {}", whole.stderr);
    let mut ends = BTreeMap::new();
    for call in &points {
        reset();
        let ran = stopped_after(&bench, arguments, call, |pid| kill_process(pid, Signal::TERM).unwrap());
        let now = oracle::content(&bench.main()).unwrap_or_else(|error| panic!("stopped after {call:?}: {error}"));
        match ran.exit.as_str() {
            "20" => assert_eq!(now, old, "stopped after {call:?}: {}", ran.stderr),
            "0" => assert_eq!(now, new, "stopped after {call:?}: {}", ran.stderr),
            other => panic!("stopped after {call:?}: exit {other}: {}", ran.stderr),
        }
        *ends.entry(ran.exit).or_insert(0_usize) += 1;
        let next = bench.run(&["run"]);
        assert_eq!(
            (next.exit.as_str(), oracle::content(&bench.main()).unwrap()),
            ("0", new.clone()),
            "the boot after {call:?}: {}",
            next.stderr
        );
        let before = oracle::folder(&bench.root());
        assert_eq!(bench.run(&["run"]).exit, "0", "the boot after that, {call:?}");
        assert_eq!(oracle::touched(&before, &oracle::folder(&bench.root())), "nothing", "the boot after that, {call:?}");
    }
    println!("SIGTERM after each of {} write-like calls of {arguments:?}: ends {ends:?}", points.len());
    assert!(ends.contains_key("20"), "no signal stopped it: {ends:?}");
}

#[test]
fn stopped_in_an_upgrade() {
    stopped_at_every_call(&Bench::at(40), 41, &["run"]);
}

#[test]
fn stopped_in_a_migration_outside_any_transaction() {
    stopped_at_every_call(&Bench::at(42), 50, &["run"]);
}
