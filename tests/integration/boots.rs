//! Owns the tests of the everyday: first boot, quiet boot, upgrade.
//! Promises: each ends with the next boot, which must be quiet and touch nothing.
//! Never has a fault in it.

use crate::device::{Program, TestDevice};
use crate::dump::{check, check_op};
use expect_test::expect;

#[test]
fn first_boot_makes_the_database() {
    check(
        TestDevice::empty(42),
        "run",
        expect![[r#"
            plan:     settings: first boot: build version 42 beside, then put it in place
            exit:     0
            settings: created 0>42 of 42, applied [10,20,30,40,41,42], usable, exit 0
            code:     BM-0 settings 0>42
            database: fresh, 1000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn first_boot_into_a_root_that_is_empty() {
    check(
        TestDevice::empty(40)
            .after(|device| std::fs::remove_dir_all(device.root().join("var")).unwrap()),
        "run",
        expect![[r#"
            plan:     settings: first boot: build version 40 beside, then put it in place
            exit:     0
            settings: created 0>40 of 40, applied [10,20,30,40], usable, exit 0
            code:     BM-0 settings 0>40
            database: fresh, 1000 parents, 1000 children
            touched:  database, state, var, var/lib, var/lib/gateway
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn quiet_boot_touches_nothing() {
    let device = TestDevice::at(41);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: nothing to do: at version 41
            exit:     0
            settings: quiet 41>41 of 41, applied [], usable, exit 0
            code:     BM-0 settings 41
            database: old, 2000 parents, 1000 children
            touched:  state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    check(
        device,
        "run",
        expect![[r#"
            plan:     settings: nothing to do: at version 41
            exit:     0
            settings: quiet 41>41 of 41, applied [], usable, exit 0
            code:     BM-0 settings 41
            database: old, 2000 parents, 1000 children
            touched:  nothing
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn quiet_boot_in_wal_mode_touches_nothing() {
    check(
        TestDevice::wal_at(41).after(|device| assert_eq!(device.run(&["run"]).exit, "0")),
        "run",
        expect![[r#"
            plan:     settings: nothing to do: at version 41
            exit:     0
            settings: quiet 41>41 of 41, applied [], usable, exit 0
            code:     BM-0 settings 41
            database: old, 2000 parents, 1000 children
            touched:  nothing
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn upgrade_by_one() {
    check(
        TestDevice::at(40).firmware(41),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
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
fn upgrade_by_one_in_wal_mode() {
    check(
        TestDevice::wal_at(40).firmware(41),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
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
fn upgrade_by_many() {
    check(
        TestDevice::at(20).firmware(42),
        "run",
        expect![[r#"
            plan:     settings: migrate 20 to 42: V30 look, V40 stamp, V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
            exit:     0
            settings: migrated 20>42 of 42, applied [30,40,41,42], usable, exit 0
            code:     BM-0 settings 20>42
            backup:   snapshots/v20-1.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn upgrade_by_many_in_wal_mode() {
    check(
        TestDevice::wal_at(20).firmware(42),
        "run",
        expect![[r#"
            plan:     settings: migrate 20 to 42: V30 look, V40 stamp, V41 rebuild_parents, V42 preferences, in one transaction, after a snapshot
            exit:     0
            settings: migrated 20>42 of 42, applied [30,40,41,42], usable, exit 0
            code:     BM-0 settings 20>42
            backup:   snapshots/v20-1.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn upgrade_with_a_migration_outside_any_transaction() {
    check(
        TestDevice::at(41).firmware(50),
        "run",
        expect![[r#"
            plan:     settings: migrate a copy 41 to 50: V42 preferences, V50 compact, then put it in place
            exit:     0
            settings: migrated 41>50 of 50, applied [42,50], usable, exit 0
            code:     BM-0 settings 41>50
            backup:   snapshots/v41-1.db old, 2000 parents, 1000 children
            database: new, 2000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn two_databases_in_one_run() {
    check(
        TestDevice::at(40).with_telemetry(20).firmware(41),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
                      telemetry: migrate 20 to 41: V30 look, V40 stamp, V41 rebuild_parents, in one transaction, without a snapshot (snapshot = "never")
            exit:     0
            settings: migrated 40>41 of 41, applied [41], usable, exit 0
            code:     BM-0 settings 40>41
            backup:   snapshots/v40-1.db old, 2000 parents, 2000 children
            database: new, 2000 parents, 2000 children
            telemetry:migrated 20>41 of 41, applied [30,40,41], usable, exit 0
            code:     BM-0 telemetry 20>41
            database: new, 2000 parents, 2000 children
            touched:  database, state
            again:    exit 0, quiet and quiet, touched nothing
        "#]],
    );
}

#[test]
fn a_table_rebuild_loses_no_child() {
    // DROP TABLE with foreign keys on fires ON DELETE CASCADE: the children would be gone.
    check(
        TestDevice::at(40).firmware(41).after(|device| {
            let rows = crate::oracle::content(&device.main()).unwrap().rows;
            assert_eq!((rows["parent"], rows["child"]), (2000, 2000));
        }),
        "run -v",
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

/// Runs of the product whose second may turn in the middle.
const SECONDS_TRIED: u32 = 40;

/// The example product after its first boot.
fn made_product() -> TestDevice {
    let mut device = TestDevice::empty(10);
    device.program = Program::Product;
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    device
}

/// It holds what SQLite alone makes of its files; its tables are its own.
fn is_fresh(device: &TestDevice, name: &str) -> bool {
    let now = crate::oracle::content(&device.path(name)).unwrap();
    Some(now) == crate::oracle::fresh(&device.catalogue_folder(), name)
}

#[test]
fn the_example_product_boots() {
    // A trigger of its V9 writes the second it runs in: the oracle's copy has to be made in the
    // same one.
    let device =
        (0..SECONDS_TRIED).map(|_| made_product()).find(|device| is_fresh(device, "settings"));
    let device = device.expect("what a fresh database holds is what SQLite makes of its files");
    for name in ["settings", "telemetry"] {
        let path = device.path(name);
        assert!(
            name == "settings" || is_fresh(&device, name),
            "{name} holds what SQLite makes of its files"
        );
        assert_eq!(
            crate::oracle::complaints(&path, &device.catalogue_folder(), name),
            Vec::<String>::new(),
            "{name}"
        );
    }
    let before = crate::oracle::folder(&device.root());
    assert_eq!(device.run(&["run"]).exit, "0");
    assert_eq!(crate::oracle::touched(&before, &crate::oracle::folder(&device.root())), "nothing");
}
