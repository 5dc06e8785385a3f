//! Owns the tests of files that an operator brings to `snapshot restore` and that are refused.
//! Promises: one sentence that names the file; not a byte, time or name of the device is another,
//! and its application goes on.
//! Never a file that is taken: those are in `commands.rs`.

use crate::device::TestDevice;
use crate::dump::tidy;
use crate::oracle;
use crate::transcripts::unchanged;
use expect_test::expect;
use rusqlite::Connection;
use std::fs;
use std::path::Path;

/// What is said of a file that may not be restored; not a byte, time or name of the device is
/// another afterwards.
#[track_caller]
fn refused(device: &TestDevice, file: &std::path::Path, expect: expect_test::Expect) {
    let (folder, rows) = (oracle::folder(&device.root()), oracle::content(&device.main()));
    let ran =
        device.run(&["snapshot", "restore", &file.to_string_lossy(), "--db", "settings", "--yes"]);
    let said = tidy(device, &ran.stderr).replace(&*device.folder().to_string_lossy(), "FOLDER");
    expect.assert_eq(&format!("{}{said}exit {}\n", ran.stdout, ran.exit));
    assert_eq!(oracle::touched(&folder, &oracle::folder(&device.root())), "nothing");
    unchanged(device, &rows);
    assert!(
        device.root().join("run/bootmigrate/ready/settings").exists(),
        "its application may go on"
    );
}

/// With a migration in its history that no firmware of this test has.
fn newer_copy(device: &TestDevice, file: &Path) {
    fs::copy(device.main(), file).unwrap();
    let later =
        "INSERT INTO refinery_schema_history SELECT 99, 'later', applied_on, checksum FROM \
         refinery_schema_history LIMIT 1";
    Connection::open(file).unwrap().execute_batch(later).unwrap();
}

#[test]
fn files_that_are_not_restored() {
    let device = TestDevice::booted_at(40);
    let file = |name: &str| device.folder().join(name);
    fs::write(file("text"), "some text, longer than the header of a database would be: ".repeat(4))
        .unwrap();
    refused(
        &device,
        &file("text"),
        expect![[r#"
        settings: it is no good copy: its header is not that of an SQLite database (FOLDER/text, while: take the file in); nothing was changed. [BM-17 settings]
        exit 17
    "#]],
    );
    fs::write(file("nothing"), "").unwrap();
    refused(
        &device,
        &file("nothing"),
        expect![[r#"
        settings: it is no good copy: its header is not that of an SQLite database (FOLDER/nothing, while: take the file in); nothing was changed. [BM-17 settings]
        exit 17
    "#]],
    );
    refused(
        &device,
        device.folder(),
        expect![[r#"
        bootmigrate: FOLDER is not a plain file. [BM-2]
        exit 2
    "#]],
    );
    refused(
        &device,
        &device.main(),
        expect![[r#"
        bootmigrate: ROOT/var/lib/gateway/settings.db is the database itself. [BM-2]
        exit 2
    "#]],
    );
    std::os::unix::fs::symlink(device.main(), file("link")).unwrap();
    refused(
        &device,
        &file("link"),
        expect![[r#"
        bootmigrate: FOLDER/link is the database itself. [BM-2]
        exit 2
    "#]],
    );
    Connection::open(file("stranger"))
        .unwrap()
        .execute_batch("CREATE TABLE playlist (id)")
        .unwrap();
    refused(
        &device,
        &file("stranger"),
        expect![[r#"
        settings: it is no good copy: it has tables and no migration history (FOLDER/stranger, while: take the file in); nothing was changed. [BM-17 settings]
        exit 17
    "#]],
    );
    newer_copy(&device, &file("newer"));
    refused(
        &device,
        &file("newer"),
        expect![[r#"
            settings: it is no good copy: its history is not the beginning of this firmware's (FOLDER/newer, while: take the file in); nothing was changed. [BM-17 settings]
            exit 17
        "#]],
    );
}

#[test]
fn files_of_which_a_part_lies_beside_are_not_restored() {
    let device = TestDevice::booted_at(40);
    let home = device.folder().join("from-support");
    fs::create_dir(&home).unwrap();
    for (mode, name) in [("delete", "journal"), ("wal", "wal")] {
        let file = home.join(format!("{name}.db"));
        fs::copy(device.main(), &file).unwrap();
        let mut application = crate::application::Application::start(device.folder(), None);
        application.expect_ok(&format!("open {}", file.display()));
        application.expect_ok(&format!("sql PRAGMA journal_mode = {mode}"));
        application.expect_ok("sql PRAGMA cache_size = 2");
        application.expect_ok("sql BEGIN");
        application.expect_ok("sql UPDATE child SET label = 'half', amount = zeroblob(300)");
        drop(application);
        assert!(fs::metadata(oracle::beside(&file, &format!("-{name}"))).unwrap().len() > 0);
    }
    refused(
        &device,
        &home.join("journal.db"),
        expect![[r#"
        settings: FOLDER/from-support/journal.db-journal has content that a copy of the file alone would leave out; open it with sqlite3 first (FOLDER/from-support/journal.db, while: take the file in); nothing was changed. [BM-16 settings]
        exit 16
    "#]],
    );
    refused(
        &device,
        &home.join("wal.db"),
        expect![[r#"
        settings: FOLDER/from-support/wal.db-wal has content that a copy of the file alone would leave out; open it with sqlite3 first (FOLDER/from-support/wal.db, while: take the file in); nothing was changed. [BM-16 settings]
        exit 16
    "#]],
    );
}

#[test]
fn a_file_for_a_device_that_never_booted_is_refused_before_anything_is_made() {
    let device = TestDevice::at(40);
    let rows = oracle::content(&device.main());
    fs::write(device.folder().join("text"), "no database").unwrap();
    let told =
        format!("snapshot restore {} --db settings --yes", device.folder().join("text").display());
    let before = oracle::folder(&device.root());
    assert_eq!(device.run(&told.split(' ').collect::<Vec<_>>()).exit, "17");
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.root())), "nothing");
    unchanged(&device, &rows);
}
