//! Owns the tests of a file system that fills up at every point of a run: before, within and after
//! each write.
//! Promises: a real file system, filled to the last byte after each write-like call in turn, while
//! the program stands still.
//! Never accepts a purge, a half, or a word like "corrupt" for a disk that is full.

use crate::device::{copy_tree, TestDevice};
use crate::dump::check_op;
use crate::mount::Mount;
use crate::oracle::{self, Content};
use crate::product::UNIQUE_BADGE;
use crate::strace::{calls, stopped_after};
use expect_test::expect;
use std::collections::BTreeMap;
use std::fs;

const KIB: u64 = 8192;

struct Sweep {
    arguments: &'static [&'static str],
    /// What a run that finds room leaves.
    goal: Content,
    goal_exit: &'static str,
}

/// Puts the mount's content back to the template's.
fn reset(device: &TestDevice, template: &TestDevice) {
    for entry in fs::read_dir(device.home()).unwrap() {
        let path = entry.unwrap().path();
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
    let _ = fs::remove_dir_all(device.root().join("run"));
    copy_tree(&template.home(), &device.home());
}

/// After each call in turn the disk is full: the run ends old with 14 or new; with room again the
/// next boot ends new.
#[track_caller]
fn full_at_every_call(template: &TestDevice, device: &TestDevice, sweep: &Sweep) {
    let old = oracle::content(&template.main()).unwrap();
    let mount = device.mount.as_ref().unwrap();
    reset(device, template);
    let (points, ran) = calls(device, sweep.arguments);
    assert_eq!(ran.exit, sweep.goal_exit, "the run that counts: {}", ran.stderr);
    assert_eq!(oracle::content(&device.main()).unwrap(), sweep.goal, "the run that counts");
    assert!(points.len() >= 20, "only {} write-like calls: this did not migrate", points.len());
    let mut ends = BTreeMap::new();
    for call in &points {
        reset(device, template);
        let ran = stopped_after(device, sweep.arguments, call, |_| mount.fill());
        let now = oracle::content(&device.main())
            .unwrap_or_else(|error| panic!("full after {call:?}: {error}"));
        let whole = match ran.exit.as_str() {
            "14" => now == old || (sweep.goal_exit == "11" && now == sweep.goal),
            exit => exit == sweep.goal_exit && now == sweep.goal,
        };
        assert!(
            whole,
            "full after {call:?}: exit {}, rows {:?}: {}",
            ran.exit, now.rows, ran.stderr
        );
        *ends.entry(ran.exit.clone()).or_insert(0_usize) += 1;
        mount.empty();
        let next = device.run(&["run"]);
        let next = if ran.exit == "14" && sweep.goal_exit == "11" && next.exit != "11" {
            device.run(sweep.arguments)
        } else {
            next
        };
        assert!(
            ["0", sweep.goal_exit].contains(&next.exit.as_str()),
            "room again after {call:?}: {}",
            next.stderr
        );
        assert_eq!(
            oracle::content(&device.main()).unwrap(),
            sweep.goal,
            "room again after {call:?}: {}",
            next.stderr
        );
        let before = oracle::folder(&device.root());
        assert_eq!(device.run(&["run"]).exit, "0", "the boot after that, {call:?}");
        assert_eq!(
            oracle::touched(&before, &oracle::folder(&device.root())),
            "nothing",
            "the boot after that, {call:?}"
        );
    }
    println!(
        "full after each of {} write-like calls of {:?}: ends {ends:?}",
        points.len(),
        sweep.arguments
    );
    assert!(ends.contains_key("14"), "the disk was never full for it: {ends:?}");
}

fn upgrade(template: TestDevice) {
    let template = template.firmware(41);
    let device = TestDevice::empty(41).on(|at, _| Mount::tmpfs(at, KIB));
    let goal = template.expectations(&template.databases[0]).new.unwrap();
    full_at_every_call(&template, &device, &Sweep { arguments: &["run"], goal, goal_exit: "0" });
}

#[test]
fn full_at_every_call_of_an_upgrade() {
    upgrade(TestDevice::at(40));
}

#[test]
fn full_at_every_call_of_an_upgrade_in_wal_mode() {
    upgrade(TestDevice::wal_at(40));
}

#[test]
fn full_at_every_call_of_a_replace() {
    let template = TestDevice::at(40).firmware(40).file(UNIQUE_BADGE);
    let no_row_is_kept = TestDevice::empty(40)
        .key("kind = \"rebuildable\"")
        .key("on_failure = \"restore\"")
        .key("snapshot = \"auto\"");
    let device = no_row_is_kept.file(UNIQUE_BADGE).on(|at, _| Mount::tmpfs(at, KIB));
    let goal = oracle::fresh(&device.firmware_folder(), "settings").unwrap();
    let sweep = Sweep { arguments: &["run", "--purge-and-retry"], goal, goal_exit: "11" };
    full_at_every_call(&template, &device, &sweep);
}

#[test]
fn full_at_every_call_of_a_swap() {
    let template = TestDevice::at(42).firmware(50);
    let device = TestDevice::empty(50).on(|at, _| Mount::tmpfs(at, KIB));
    let goal = template.expectations(&template.databases[0]).new.unwrap();
    full_at_every_call(&template, &device, &Sweep { arguments: &["run"], goal, goal_exit: "0" });
}

#[test]
fn a_migration_that_asks_for_room() {
    let asks =
        ("V41__asks.sql", "-- bootmigrate: needs-space = 5.0\nUPDATE child SET label = 'asked';\n");
    let device = TestDevice::at(40).file(asks).on(|at, _| Mount::tmpfs(at, KIB));
    let mount = device.mount.as_ref().unwrap();
    mount.fill_but(400);
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: refuse: `needs-space` asks for 1085440 bytes beside the database's 217088, 409600 are free: 675840 are missing
        exit:     14
        settings: refused 40>40 of 41, applied [], not usable, exit 14
        code:     BM-14 settings 40>41
        database: old, 2000 parents, 2000 children
        touched:  nothing
        again:    exit 14, refused, touched nothing
    "#]],
    );
    // Enough for it, and not for a snapshot too.
    mount.fill_but(1200);
    check_op(
        &device,
        "run",
        expect![[r#"
        plan:     settings: migrate 40 to 41: V41 asks, in one transaction, without a snapshot (no room)
        exit:     0
        settings: migrated 40>41 of 41, applied [41], usable, exit 0
        code:     BM-0 settings 40>41
        database: new, 2000 parents, 2000 children
        touched:  database, state
        again:    exit 0, quiet, touched nothing
    "#]],
    );
}

#[test]
fn less_and_less_room_on_ext4() {
    // What is free when the run begins, in KiB: from nothing to plenty.
    let template = TestDevice::at(40).firmware(41);
    let old = oracle::content(&template.main()).unwrap();
    let goal = template.expectations(&template.databases[0]).new.unwrap();
    let device = TestDevice::empty(41).on(|at, folder| Mount::ext4(at, folder, KIB));
    let mount = device.mount.as_ref().unwrap();
    let mut ends = BTreeMap::new();
    for free in [0, 1, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096] {
        reset(&device, &template);
        mount.fill_but(free);
        let ran = device.run(&["run"]);
        let now = oracle::content(&device.main()).unwrap();
        let whole = (ran.exit == "14" && now == old) || (ran.exit == "0" && now == goal);
        assert!(whole, "{free} KiB free: exit {}, rows {:?}: {}", ran.exit, now.rows, ran.stderr);
        ends.entry(ran.exit).or_insert_with(Vec::new).push(free);
        mount.empty();
        let next = device.run(&["run"]);
        assert_eq!(
            (next.exit.as_str(), oracle::content(&device.main()).unwrap()),
            ("0", goal.clone()),
            "{}",
            next.stderr
        );
    }
    println!("KiB free, by exit: {ends:?}");
    assert!(ends.contains_key("14") && ends.contains_key("0"), "{ends:?}");
}
