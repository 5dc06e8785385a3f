//! Owns the transcripts: each error that an operator can cause, its exit code and its sentence,
//! word by word.
//! Promises: the folder is byte for byte as it was, times too, after every one of them.
//! Never shortens what was said: standard error is compared whole.

use crate::device::TestDevice;
use crate::dump::tidy;
use crate::oracle;
use crate::product::ORPHANS;
use expect_test::{expect, Expect};
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::symlink;

/// Runs `run` and compares the transcript; nothing may be touched.
#[track_caller]
fn transcript(device: &TestDevice, expect: Expect) {
    let before = oracle::folder(&device.root());
    let rows = oracle::content(&device.main());
    let ran = device.run(&["run"]);
    let touched = oracle::touched(&before, &oracle::folder(&device.root()));
    expect.assert_eq(&format!(
        "{}exit {}, touched {touched}\n",
        tidy(device, &ran.stderr),
        ran.exit
    ));
    assert_eq!(oracle::content(&device.main()), rows);
}

/// The device's own configuration file.
fn configured(device: TestDevice, text: &str) -> TestDevice {
    fs::create_dir_all(device.root().join("etc")).unwrap();
    fs::write(device.root().join("etc/bootmigrate.toml"), text).unwrap();
    device
}

#[test]
fn configuration_with_a_wrong_type() {
    let device = configured(
        TestDevice::at(40).firmware(41),
        "[databases.settings]\nbusy_timeout_s = \"ten\"\n",
    );
    transcript(
        &device,
        expect![[r#"
            bootmigrate: ROOT/etc/bootmigrate.toml:2:18: busy_timeout_s is text, not a whole number; write busy_timeout_s = 10. [BM-2]
            exit 2, touched nothing
        "#]],
    );
}

#[test]
fn configuration_that_is_no_toml() {
    let device = configured(TestDevice::at(40).firmware(41), "[databases.settings\n");
    transcript(
        &device,
        expect![[r#"
            bootmigrate: ROOT/etc/bootmigrate.toml:1:20: not TOML: unclosed table, expected `]`; write key = value, or a table header such as [databases.settings]. [BM-2]
            exit 2, touched nothing
        "#]],
    );
}

#[test]
fn configuration_with_an_unknown_word() {
    let device = configured(
        TestDevice::at(40).firmware(41),
        "[databases.settings]\non_failure = \"pray\"\n",
    );
    transcript(
        &device,
        expect![[r#"
            bootmigrate: ROOT/etc/bootmigrate.toml:2:14: on_failure = "pray" is not known; write "restore" or "purge". [BM-2]
            exit 2, touched nothing
        "#]],
    );
}

#[test]
fn command_line_with_an_unknown_option() {
    let device = TestDevice::at(40).firmware(41);
    let before = oracle::folder(&device.root());
    let ran = device.run(&["run", "--purge-and-retri"]);
    expect![[r#"
        bootmigrate: `--purge-and-retri` is not known; perhaps `--purge-and-retry` is meant. [BM-2]
        exit 2
    "#]]
    .assert_eq(&format!("{}exit {}\n", tidy(&device, &ran.stderr), ran.exit));
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
}

#[test]
fn path_is_a_dangling_link() {
    let device = TestDevice::empty(41);
    symlink("/nowhere/settings.db", device.main()).unwrap();
    transcript(
        &device,
        expect![[r#"
            settings: ROOT/var/lib/gateway/settings.db is a symbolic link to nothing; nothing was changed. Next: give bootmigrate a plain file of its own in `path`. [BM-16 settings ?>41]
            exit 16, touched nothing
        "#]],
    );
}

#[test]
fn path_is_a_folder() {
    let device = TestDevice::empty(41);
    fs::create_dir(device.main()).unwrap();
    transcript(
        &device,
        expect![[r#"
            settings: ROOT/var/lib/gateway/settings.db is a folder; nothing was changed. Next: give bootmigrate a plain file of its own in `path`. [BM-16 settings ?>41]
            exit 16, touched nothing
        "#]],
    );
}

#[test]
fn path_has_a_second_name() {
    let device = TestDevice::at(40).firmware(41);
    fs::hard_link(device.main(), device.home().join("another-name")).unwrap();
    transcript(
        &device,
        expect![[r#"
            settings: ROOT/var/lib/gateway/settings.db has 2 names (hard links); a swap would split them; nothing was changed. Next: give bootmigrate a plain file of its own in `path`. [BM-16 settings ?>41]
            exit 16, touched nothing
        "#]],
    );
}

#[test]
fn path_runs_through_a_file() {
    let device = TestDevice::empty(41);
    fs::remove_dir_all(device.home()).unwrap();
    fs::write(device.home(), "a file where the folder should be").unwrap();
    transcript(
        &device,
        expect![[r#"
            settings: ROOT/var/lib/gateway is not a folder (ROOT/var/lib/gateway, while: make the state folder); nothing was made. Next: bring it there, or move away what is in its place, then run again. [BM-18 settings ?>41]
            exit 18, touched nothing
        "#]],
    );
}

#[test]
fn owner_that_does_not_exist() {
    let device = TestDevice::empty(41).key("owner = \"nosuchuser:nosuchgroup\"");
    transcript(
        &device,
        expect![[r#"
            settings: owner = "nosuchuser:nosuchgroup" is not in /etc/passwd and /etc/group (while: take the lock); nothing was changed. Next: correct bootmigrate.toml. [BM-2 settings ?>41]
            exit 2, touched nothing
        "#]],
    );
}

#[test]
fn owner_is_another_user() {
    let mut device = TestDevice::at(40).firmware(41);
    crate::mount::require_root();
    std::os::unix::fs::chown(device.root().join("run"), Some(65534), Some(65534)).unwrap();
    fs::set_permissions(device.main(), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    device.user = Some(65534);
    transcript(
        &device,
        expect![[r#"
            settings: it belongs to 0:0 with mode 0600, and uid 65534 may not read and write it (ROOT/var/lib/gateway/settings.db, while: look at the database); nothing was changed. Next: look at the storage and at who owns the files, then run again. [BM-15 settings ?>41]
            exit 15, touched nothing
        "#]],
    );
}

#[test]
fn not_a_database() {
    let device = TestDevice::empty(41);
    fs::write(device.main(), "some notes that somebody saved under this name\n".repeat(200))
        .unwrap();
    transcript(
        &device,
        expect![[r#"
            settings: its header is not that of an SQLite database; nothing was changed. Next: keep the file for support, then run `bootmigrate run --purge-and-retry --db settings` to start with an empty one. [BM-17 settings ?>41]
            exit 17, touched nothing
        "#]],
    );
}

/// A database that somebody made, with 1,000 parents and 1,000 children.
fn foreign(device: TestDevice, head: &str) -> TestDevice {
    let connection = Connection::open(device.main()).unwrap();
    connection.execute_batch(head).unwrap();
    crate::product::FILES[..2].iter().for_each(|(_, sql)| connection.execute_batch(sql).unwrap());
    device
}

#[test]
fn another_applications_database() {
    let head = "PRAGMA application_id = 0x47504B47; CREATE TABLE gpkg_contents (table_name TEXT);";
    transcript(
        &foreign(TestDevice::empty(41), head),
        expect![[r#"
            settings: this is another application's database (application_id 1196444487, 3 tables, no migration history); nothing was changed. Next: correct `path`, or move that file away. [BM-16 settings ?>41]
            exit 16, touched nothing
        "#]],
    );
}

#[test]
fn tables_without_a_history() {
    transcript(
        &foreign(TestDevice::empty(41), ""),
        expect![[r#"
            settings: it has 2 tables and no migration history; nothing was changed. Next: correct `path`; or, for what another tool made, write `baseline`, or run `bootmigrate baseline --db settings --from TOOL`. [BM-16 settings ?>41]
            exit 16, touched nothing
        "#]],
    );
}

#[test]
fn history_that_is_malformed() {
    // refinery panics on such a row.
    let device = TestDevice::at(40).firmware(41).after(|device| {
        let connection = Connection::open(device.main()).unwrap();
        connection
            .execute_batch(
                "UPDATE refinery_schema_history SET applied_on = 'yesterday', checksum = 'x' WHERE \
                 version = 20",
            )
            .unwrap();
    });
    transcript(
        &device,
        expect![[r#"
            settings: the history cannot be read: row 2 has no whole version, name and checksum; nothing was changed. Next: build the firmware with the migrations that this database was made by. [BM-21 settings ?>41]
            exit 21, touched nothing
        "#]],
    );
}

#[test]
fn newer_than_the_firmware() {
    transcript(
        &TestDevice::at(42).firmware(40),
        expect![[r#"
            settings: the database is at version 42, this firmware knows 40; no down SQL is stored for V42 preferences; nothing was changed. Next: boot the newer firmware. [BM-12 settings 42>40]
            exit 12, touched nothing
        "#]],
    );
}

#[test]
fn text_that_was_changed_after_release() {
    let device = TestDevice::at(40)
        .firmware(41)
        .file(("V20__children.sql", "CREATE TABLE child (id INTEGER);\n"));
    transcript(
        &device,
        expect![[r#"
            settings: the text of settings/V20__children.sql differs from what was applied; nothing was changed. Next: build the firmware with the migrations that this database was made by. [BM-21 settings ?>41]
            exit 21, touched nothing
        "#]],
    );
}

#[test]
fn several_texts_that_were_changed_are_all_named() {
    let changed = "CREATE TABLE other (id INTEGER);\n";
    let device = TestDevice::at(40)
        .firmware(41)
        .file(("V20__children.sql", changed))
        .file(("V30__look.sql", changed));
    transcript(
        &device,
        expect![[r#"
            settings: the text of settings/V20__children.sql, settings/V30__look.sql differs from what was applied; nothing was changed. Next: build the firmware with the migrations that this database was made by. [BM-21 settings ?>41]
            exit 21, touched nothing
        "#]],
    );
}

#[test]
fn a_migration_that_this_firmware_does_not_have() {
    let device = TestDevice::at(40).firmware(41).without("V30__look.sql");
    transcript(
        &device,
        expect![[r#"
            settings: V30__look was applied and is not in this firmware, which knows 41; nothing was changed. Next: build the firmware with the migrations that this database was made by. [BM-21 settings ?>41]
            exit 21, touched nothing
        "#]],
    );
}

#[test]
fn another_migration_under_a_number() {
    let device = TestDevice::at(40)
        .firmware(41)
        .without("V30__look.sql")
        .file(("V30__hotfix.sql", "CREATE TABLE hotfix (id);\n"));
    transcript(
        &device,
        expect![[r#"
            settings: version 30 is "look" in the database and "hotfix" in this firmware; nothing was changed. Next: build the firmware with the migrations that this database was made by. [BM-21 settings ?>41]
            exit 21, touched nothing
        "#]],
    );
}

#[test]
fn migration_out_of_order() {
    let device = TestDevice::at(40)
        .firmware(41)
        .file(("V25__late.sql", "CREATE TABLE late (id INTEGER);\n"));
    transcript(
        &device,
        expect![[r#"
            settings: settings/V25__late.sql was never applied and version 40 was; nothing was changed. Next: build the firmware with the migrations that this database was made by. [BM-21 settings ?>41]
            exit 21, touched nothing
        "#]],
    );
}

#[test]
fn foreign_keys_with_their_rows() {
    // The try is counted in the record, so the state folder is touched; the database is not.
    transcript(
        &TestDevice::booted_at(40).file(ORPHANS),
        expect![[r#"
            settings: foreign keys are violated after migrating: child rowid 2 names no row of parent (while: verify); the database is whole at version 40. Next: install firmware in which this migration works; this one is tried 2 more times. [BM-10 settings 40>41]
              child rowid 2 names no row of parent
              child rowid 4 names no row of parent
              child rowid 6 names no row of parent
            exit 10, touched state
        "#]],
    );
}

#[test]
fn in_use_by_an_application() {
    let device = TestDevice::booted_at(40).firmware(41).key("busy_timeout_s = 0").application(&[]);
    transcript(
        &device,
        expect![[r#"
            settings: the database is open in application (pid PID) (ROOT/var/lib/gateway/settings.db, while: ask whether the application has it open); nothing was written. Next: stop it, then run again. [BM-13 settings 40>41]
            exit 13, touched nothing
        "#]],
    );
}

#[test]
fn the_example_product_outside_a_root() {
    let mut device = TestDevice::empty(10).without_root();
    device.program = crate::device::Program::Product;
    let before = oracle::folder(&device.root());
    let ran = device.run(&["run"]);
    expect![[r#"
        bootmigrate: this binary carries the example product, which runs only under --root DIR; build it with your own migrations. [BM-2]
        exit 2
    "#]]
    .assert_eq(&format!("{}exit {}\n", tidy(&device, &ran.stderr), ran.exit));
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
}
