//! Owns the tests of users: root migrates, an unprivileged application opens and writes.
//! Promises: the application is a process of its own under another user.
//! Never relaxes the modes that the program chose.

use crate::application::Application;
use crate::device::TestDevice;
use crate::dump::check_op;
use crate::mount::require_root;
use crate::product::UNIQUE_BADGE;
use expect_test::expect;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// `nobody`, by number: the name may be missing.
const USER: u32 = 65534;

/// The application opens the database and writes a row, as its own user.
#[track_caller]
fn written_by_the_application(device: &TestDevice) {
    let mut application = Application::start(device.folder(), Some(USER));
    application.expect_ok(&format!("open {}", device.main().display()));
    application.expect_ok("sql INSERT INTO parent (name) VALUES ('by the application')");
    assert_eq!(
        application.tell("row SELECT count(*) FROM parent WHERE name = 'by the application'"),
        "ok Integer(1)"
    );
}

/// `data` is a user and a group, with other numbers.
#[test]
fn a_user_is_looked_up_among_users_and_a_group_among_groups() {
    require_root();
    let device = TestDevice::empty(41).key("owner = \"gateway:data\"");
    fs::create_dir_all(device.root().join("etc")).unwrap();
    fs::write(
        device.root().join("etc/passwd"),
        "data:x:77:78::/:/bin/false\ngateway:x:1234:78::/:/bin/false\n",
    )
    .unwrap();
    fs::write(device.root().join("etc/group"), "gateway:x:79:\ndata:x:4321:gateway\n").unwrap();
    let ran = device.run(&["run"]);
    assert_eq!(ran.exit, "0", "{}", ran.stderr);
    let file = fs::metadata(device.main()).unwrap();
    assert_eq!((file.uid(), file.gid()), (1234, 4321));
}

#[test]
fn first_boot_by_root_is_the_applications() {
    require_root();
    let device = TestDevice::empty(41).home_of(USER);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: first boot: build version 41 beside, then put it in place
            exit:     0
            settings: created 0>41 of 41, applied [10,20,30,40,41], usable, exit 0
            code:     BM-0 settings 0>41
            database: fresh, 1000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    written_by_the_application(&device);
}

#[test]
fn first_boot_in_wal_mode_by_root_is_the_applications() {
    require_root();
    let device = TestDevice::empty(41).home_of(USER).key("journal_mode = \"wal\"");
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: first boot: build version 41 beside, then put it in place
            exit:     0
            settings: created 0>41 of 41, applied [10,20,30,40,41], usable, exit 0
            code:     BM-0 settings 0>41
            database: fresh, 1000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    written_by_the_application(&device);
}

#[test]
fn upgrade_by_root_is_the_applications() {
    require_root();
    for device in [TestDevice::at(40), TestDevice::wal_at(40)] {
        let device = device.firmware(41).home_of(USER);
        check_op(
            &device,
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
        written_by_the_application(&device);
    }
}

#[test]
fn swap_by_root_is_the_applications() {
    require_root();
    let device = TestDevice::at(42).firmware(50).home_of(USER);
    check_op(
        &device,
        "run",
        expect![[r#"
            plan:     settings: migrate a copy 42 to 50: V50 compact, then put it in place
            exit:     0
            settings: migrated 42>50 of 50, applied [50], usable, exit 0
            code:     BM-0 settings 42>50
            backup:   snapshots/v42-1.db old, 2000 parents, 1000 children
            database: old, 2000 parents, 1000 children
            touched:  database, state
            again:    exit 0, quiet, touched nothing
        "#]],
    );
    written_by_the_application(&device);
}

#[test]
fn purge_by_root_is_the_applications() {
    require_root();
    for device in [TestDevice::at(40), TestDevice::wal_at(40)] {
        let device =
            device.firmware(40).file(UNIQUE_BADGE).key("kind = \"rebuildable\"").home_of(USER);
        check_op(
            &device,
            "run --purge-and-retry",
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
        written_by_the_application(&device);
    }
}

/// A folder that was made for an owner who is nobody would be root's for ever.
#[test]
fn a_misspelt_owner_leaves_no_folder() {
    require_root();
    let device = TestDevice::empty(40).key("owner = \"gatway\"");
    std::fs::remove_dir(device.home()).unwrap();
    let refused = device.run(&["run"]);
    assert_eq!(refused.exit, "2", "{}", refused.stderr);
    assert!(refused.stderr.contains("owner = \"gatway\" is not in"), "{}", refused.stderr);
    assert!(!device.home().exists());
    let device = device.key("owner = \"4711:4712\"");
    let made = device.run(&["run"]);
    assert_eq!(made.exit, "0", "{}", made.stderr);
    let of = |path: &std::path::Path| {
        let found = std::fs::metadata(path).unwrap();
        (std::os::unix::fs::MetadataExt::uid(&found), std::os::unix::fs::MetadataExt::gid(&found))
    };
    assert_eq!((of(&device.home()), of(&device.main())), ((4711, 4712), (4711, 4712)));
    assert_ne!(of(device.home().parent().unwrap()), (4711, 4712));
    let unfinished = std::fs::read_dir(device.home().parent().unwrap()).unwrap().count();
    assert_eq!(unfinished, 1, "what was begun under another name is gone");
}
