//! Owns the tests of lost data: purge, purge and retry, and a purge that finds no fresh database.
//! Promises: the old files lie in quarantine with their own bytes, or still stand under their
//! names.
//! Never ends a loss with exit 0.

use crate::device::TestDevice;
use crate::dump::{check, check_op};
use crate::oracle;
use crate::product::{BROKEN, UNIQUE_BADGE};
use expect_test::expect;
use std::fs;
use std::os::unix::fs::FileExt;

/// Only an operator's word purges it, and no row is carried over.
fn no_row_is_kept(device: TestDevice) -> TestDevice {
    device.key("kind = \"rebuildable\"").key("on_failure = \"restore\"").key("snapshot = \"auto\"")
}

fn journal(device: &TestDevice) -> &'static str {
    match std::fs::read(device.main()).unwrap()[18..20] {
        [2, 2] => "wal",
        _ => "delete",
    }
}

/// The application set it once, when it made its first database.
#[test]
fn a_purge_keeps_the_journal_mode() {
    for (made, wanted) in
        [(TestDevice::wal_at as fn(i32) -> TestDevice, "wal"), (TestDevice::at, "delete")]
    {
        let of_a_kind = |device: TestDevice| device.key("kind = \"rebuildable\"");
        let failed = of_a_kind(made(40).firmware(40).file(UNIQUE_BADGE));
        let newer = of_a_kind(made(41)).older(40);
        // Beyond what can be read again.
        let damaged =
            of_a_kind(made(40).firmware(40)).key("on_damage = [\"purge\"]").after(|device| {
                let mut bytes = std::fs::read(device.main()).unwrap();
                bytes[4096..].fill(0x5a);
                std::fs::write(device.main(), bytes).unwrap();
            });
        let asked = of_a_kind(made(40).firmware(40));
        for (device, arguments, what) in [
            (failed, "run", "a migration that fails"),
            (newer, "run", "newer data"),
            (damaged, "run --retry", "damage"),
            (asked, "purge --db settings --yes", "an operator's word"),
        ] {
            assert_eq!(journal(&device), wanted, "{what}");
            let arguments: Vec<&str> = arguments.split(' ').collect();
            let ran = device.run(&arguments);
            assert_eq!(ran.exit, "11", "{what}: {}", ran.stderr);
            assert_eq!(journal(&device), wanted, "{what}");
        }
    }
}

#[test]
fn precious_data_is_never_purged_by_itself() {
    check(
        TestDevice::at(40).firmware(40).file(UNIQUE_BADGE),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 unique_badge, in one transaction, after a snapshot
            exit:     10
            settings: failed 40>40 of 41, applied [], not usable, exit 10
            code:     BM-10 settings 40>41 V41:1
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 10, failed, touched state
        "#]],
    );
}

#[test]
fn rebuildable_data_is_purged_when_its_migration_fails() {
    check(
        TestDevice::at(40).firmware(40).file(UNIQUE_BADGE).key("kind = \"rebuildable\""),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 unique_badge, in one transaction, without a snapshot (snapshot = "never")
            exit:     11
            settings: purged 40>41 of 41, applied [10,20,30,40,41], data lost, usable, exit 11
            code:     BM-11 settings 40>41
            kept:     quarantine/2 the old files, with a reason
            database: fresh, 1000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn purge_and_retry_after_the_tries_are_used_up() {
    let device = no_row_is_kept(TestDevice::wal_at(40).firmware(40).file(UNIQUE_BADGE));
    let exits: Vec<String> = (0..4).map(|_| device.run(&["run"]).exit).collect();
    assert_eq!(exits, ["10", "10", "10", "19"]);
    check(
        device,
        "run --purge-and-retry",
        expect![[r#"
            exit:     11
            settings: purged 40>41 of 41, applied [10,20,30,40,41], data lost, usable, exit 11
            code:     BM-11 settings 40>41
            kept:     quarantine/5 the old files, with a reason
            database: fresh, 1000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn purge_and_retry_leaves_a_healthy_database_alone() {
    let device = TestDevice::booted_at(40);
    check_op(
        &device,
        "run --purge-and-retry",
        expect![[r#"
            exit:     0
            settings: quiet 40>40 of 40, applied [], usable, exit 0
            code:     BM-0 settings 40
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    check(
        device.firmware(41),
        "run --purge-and-retry",
        expect![[r#"
            exit:     0
            settings: migrated 40>41 of 41, applied [41], usable, exit 0
            code:     BM-0 settings 40>41
            backup:   snapshots/v40-1.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn the_short_spelling_does_the_same() {
    let device = no_row_is_kept(TestDevice::at(40).firmware(40).file(UNIQUE_BADGE));
    check(
        device,
        "--purge-and-retry",
        expect![[r#"
            exit:     11
            settings: purged 40>41 of 41, applied [10,20,30,40,41], data lost, usable, exit 11
            code:     BM-11 settings 40>41
            kept:     quarantine/2 the old files, with a reason
            database: fresh, 1000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn purge_whose_fresh_build_fails_costs_nothing() {
    check(
        TestDevice::at(40).firmware(40).file(BROKEN).key("on_failure = \"purge\""),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 x, in one transaction, after a snapshot
            exit:     19
            settings: failed 40>40 of 41, applied [], not usable, exit 19
            code:     BM-19 settings 40>41 V41:12
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 19, failed, touched state
        "#]],
    );
}

#[test]
fn purge_and_retry_whose_fresh_build_fails_costs_nothing() {
    check(
        TestDevice::at(40).firmware(40).file(BROKEN),
        "run --purge-and-retry",
        expect![[r#"
            exit:     19
            settings: failed 40>40 of 41, applied [], not usable, exit 19
            code:     BM-19 settings 40>41 V41:12
            database: old, 2000 parents, 2000 children
            touched:  state
            again:    exit 10, failed, touched state
        "#]],
    );
}

#[test]
fn a_token_on_the_kernels_command_line_is_honoured_once() {
    let device = TestDevice::at(40).firmware(40).file(UNIQUE_BADGE);
    let old = device.folder().join("old.db");
    std::fs::copy(device.main(), &old).unwrap();
    std::fs::create_dir_all(device.root().join("proc")).unwrap();
    std::fs::write(
        device.root().join("proc/cmdline"),
        "quiet bootmigrate.purge-and-retry=ticket-4711 root=/dev/mmcblk0p2\n",
    )
    .unwrap();
    let purged = device.run(&["run"]);
    assert_eq!(purged.exit, "11", "{}", purged.stderr);
    assert_eq!(device.run(&["run"]).exit, "0");
    // The word is still there at every boot. What fails now fails as it does without it.
    std::fs::copy(&old, device.main()).unwrap();
    let rows = oracle::content(&device.main()).unwrap();
    let failed = device.run(&["run"]);
    assert_eq!(failed.exit, "10", "{}", failed.stderr);
    assert_eq!(oracle::content(&device.main()).unwrap(), rows, "{}", failed.stderr);
    // Another ticket is another word.
    std::fs::write(
        device.root().join("proc/cmdline"),
        "quiet bootmigrate.purge-and-retry=ticket-4712\n",
    )
    .unwrap();
    let again = device.run(&["run"]);
    assert_eq!(again.exit, "11", "{}", again.stderr);
}

/// A word that stays on the command line hides neither another one behind it nor the marker file.
#[test]
fn a_token_that_was_handled_hides_no_other() {
    for by_marker in [false, true] {
        let device = TestDevice::at(40).firmware(40).file(UNIQUE_BADGE);
        let marker = format!("marker = \"/{}/marker\"", crate::device::HOME);
        let device = if by_marker { device.top(&marker) } else { device };
        std::fs::create_dir_all(device.root().join("proc")).unwrap();
        let line = |words: &str| {
            std::fs::write(device.root().join("proc/cmdline"), format!("quiet {words}\n")).unwrap()
        };
        line("bootmigrate.retry=first");
        for exit in ["10", "10"] {
            let failed = device.run(&["run"]);
            assert_eq!(failed.exit, exit, "{}", failed.stderr);
        }
        if by_marker {
            std::fs::write(device.home().join("marker"), "second").unwrap();
        } else {
            line("bootmigrate.retry=first bootmigrate.purge-and-retry=second");
        }
        let purged = device.run(&["run"]);
        assert_eq!(purged.exit, "11", "{}", purged.stderr);
        // Both stay, and ask for nothing any more.
        assert_eq!(device.run(&["run"]).exit, "0");
        let rows = oracle::content(&device.main()).unwrap();
        assert_eq!(device.run(&["run"]).exit, "0");
        assert_eq!(oracle::content(&device.main()).unwrap(), rows);
    }
}

/// A cache whose file is damaged again and again; between the second and the third time it was used
/// for a year, or not.
#[test]
fn a_third_purge_is_refused_until_what_works_is_marked_good() {
    for is_marked in [true, false] {
        let device = TestDevice::at(40).slots("ab").firmware(40).key("kind = \"rebuildable\"");
        for purge in 1..=5 {
            let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
            file.write_all_at(b"no database here", 0).unwrap();
            drop(file);
            let ran = device.run(&["run"]);
            let exit = if is_marked || purge < 3 { "11" } else { "19" };
            assert_eq!(ran.exit, exit, "{purge}: {}", ran.stderr);
            if is_marked {
                assert_eq!(device.run(&["mark-good"]).exit, "0");
            }
        }
    }
}
