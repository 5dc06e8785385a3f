//! Owns the tests of storage that does not take writes: read-only folder, read-only mount, missing
//! mount, full from the start.
//! Promises: real mounts, unmounted also when the test fails.
//! Never pretends: the kernel refuses, not a wrapper.

use crate::device::TestDevice;
use crate::dump::{check, check_op, dump};
use crate::mount::{require_root, Mount};
use crate::oracle;
use expect_test::expect;
use std::fs;
use std::os::unix::fs::{chown, PermissionsExt};

/// The program runs as an unprivileged user, to whom the folder is read-only.
fn in_a_read_only_folder(mut device: TestDevice) -> TestDevice {
    require_root();
    fs::set_permissions(device.main(), fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(device.home(), fs::Permissions::from_mode(0o555)).unwrap();
    chown(device.root().join("run"), Some(65534), Some(65534)).unwrap();
    device.user = Some(65534);
    device
}

/// The file system is mounted read-only before the boot.
fn on_a_read_only_mount(device: TestDevice) -> TestDevice {
    let device = device.on(|at, _| Mount::tmpfs(at, 8192));
    device.mount.as_ref().unwrap().read_only();
    device
}

#[test]
fn read_only_folder_with_work_pending() {
    check(
        in_a_read_only_folder(TestDevice::at(40).firmware(41)),
        "run",
        expect![[r#"
            plan:     settings: migrate 40 to 41: V41 rebuild_parents, in one transaction, after a snapshot
            exit:     15
            settings: refused 40>40 of 41, applied [], not usable, exit 15
            code:     BM-15 settings 40>41
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 15, refused, touched nothing
        "#]],
    );
}

#[test]
fn read_only_folder_with_nothing_pending() {
    check(
        in_a_read_only_folder(TestDevice::at(40)),
        "run",
        expect![[r#"
            plan:     settings: nothing to do: at version 40
            exit:     0
            settings: quiet 40>40 of 40, applied [], usable, exit 0
            code:     BM-0 settings 40
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn read_only_mount_with_work_pending() {
    check(
        on_a_read_only_mount(TestDevice::at(40).firmware(41)),
        "run",
        expect![[r#"
            plan:     settings: refuse: work is pending and the file system is read-only
            exit:     15
            settings: refused 40>40 of 41, applied [], not usable, exit 15
            code:     BM-15 settings 40>41
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 15, refused, touched nothing
        "#]],
    );
}

#[test]
fn read_only_mount_with_nothing_pending() {
    check(
        on_a_read_only_mount(TestDevice::at(40)),
        "run",
        expect![[r#"
            plan:     settings: nothing to do: at version 40
            exit:     0
            settings: quiet 40>40 of 40, applied [], usable, exit 0
            code:     BM-0 settings 40
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn read_only_mount_with_a_wal_is_not_called_malformed() {
    let lines =
        ["sql PRAGMA wal_autocheckpoint = 0", "sql UPDATE parent SET name = name || ' kept'"];
    let device =
        TestDevice::wal_at(40).on(|at, _| Mount::tmpfs(at, 8192)).application(&lines).killed();
    device.mount.as_ref().unwrap().read_only();
    check(
        device,
        "run",
        expect![[r#"
            plan:     settings: refuse: a WAL lies beside it, and the file system is read-only
            exit:     15
            settings: refused null>null of 40, applied [], not usable, exit 15
            code:     BM-15 settings ?>40
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 15, refused, touched nothing
        "#]],
    );
}

#[test]
fn full_file_system_with_nothing_pending() {
    let device = TestDevice::wal_at(40).on(|at, folder| Mount::ext4(at, folder, 8192));
    assert_eq!(device.run(&["run"]).exit, "0");
    device.mount.as_ref().unwrap().fill();
    check(
        device,
        "run",
        expect![[r#"
            plan:     settings: nothing to do: at version 40
            exit:     0
            settings: quiet 40>40 of 40, applied [], usable, exit 0
            code:     BM-0 settings 40
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 0, quiet, touched nothing
        "#]],
    );
}

#[test]
fn full_before_the_snapshot() {
    let device = TestDevice::at(40).on(|at, folder| Mount::ext4(at, folder, 8192));
    assert_eq!(device.run(&["run"]).exit, "0");
    let device = device.firmware(41).key("snapshot = \"always\"");
    device.mount.as_ref().unwrap().fill();
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: refuse: a copy needs 554393 bytes free and 0 are
            exit:     14
            settings: refused 40>40 of 41, applied [], not usable, exit 14
            code:     BM-14 settings 40>41
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 14, refused, touched nothing
        "#]],
    );
    device.mount.as_ref().unwrap().empty();
    check(
        device,
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
fn full_before_the_first_boot() {
    let device = TestDevice::empty(41).on(|at, folder| Mount::ext4(at, folder, 8192));
    device.mount.as_ref().unwrap().fill();
    // A block that ext4 kept back may still hold the state folder: that is no matter.
    let seen = dump(&device, "run").replace("touched:  state\n", "touched:  nothing\n");
    expect![[r#"
        plan:     settings: first boot: build version 41 beside, then put it in place
        exit:     14
        settings: failed null>null of 41, applied [], not usable, exit 14
        code:     BM-14 settings ?>41
        database: absent
        touched:  nothing
        again:    exit 14, failed, touched nothing
    "#]]
    .assert_eq(&seen);
}

#[test]
fn missing_mount_is_no_first_boot() {
    check(
        TestDevice::empty(41).without_root(),
        "run",
        expect![[r#"
            plan:     settings: refuse: ROOT/var/lib/gateway is not mounted, and require_mount says that it must be (ROOT/var/lib/gateway, while: take the lock)
            exit:     18
            settings: refused null>null of 41, applied [], not usable, exit 18
            code:     BM-18 settings ?>41
            database: absent
            touched:  nothing
            again:    exit 18, refused, touched nothing
        "#]],
    );
}

#[test]
fn mount_that_cannot_be_seen() {
    check(
        TestDevice::at(40).firmware(41).on(|at, _| Mount::tmpfs(at, 4096)).without_proc(),
        "run",
        expect![[r#"
            plan:     settings: refuse: whether ROOT/var/lib/gateway is mounted cannot be seen without /proc (/proc/self/mountinfo: No such file or directory (os error 2)), and require_mount says that it must be (ROOT/var/lib/gateway, while: take the lock)
            exit:     18
            settings: refused null>null of 41, applied [], not usable, exit 18
            code:     BM-18 settings ?>41
            database: old, 2000 parents, 2000 children
            touched:  nothing
            again:    exit 18, refused, touched nothing
        "#]],
    );
}

#[test]
fn folder_that_a_sandbox_mounted_on_itself_is_no_mount() {
    check(
        TestDevice::empty(41).on(|at, _| Mount::on_itself(at)).without_root(),
        "run",
        expect![[r#"
            plan:     settings: refuse: ROOT/var/lib/gateway is not mounted, and require_mount says that it must be (ROOT/var/lib/gateway, while: take the lock)
            exit:     18
            settings: refused null>null of 41, applied [], not usable, exit 18
            code:     BM-18 settings ?>41
            database: absent
            touched:  nothing
            again:    exit 18, refused, touched nothing
        "#]],
    );
}

#[test]
fn mount_that_a_sandbox_mounted_on_itself_is_used() {
    check(
        TestDevice::at(40)
            .firmware(41)
            .on(|at, _| Mount::tmpfs(at, 8192).and_on_itself())
            .without_root(),
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
fn mount_that_is_there_is_used() {
    let device = TestDevice::at(40).firmware(41).on(|at, _| Mount::tmpfs(at, 8192)).without_root();
    check_op(
        &device,
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
    assert!(oracle::complaints(&device.main(), &device.firmware_folder(), "settings").is_empty());
}
