//! Owns the rows about names and files that are not, or not only, ours.
//! Promises: each device is refused before anything is written, unless the document says otherwise.
//! Never leaves a link behind that leads out of the test's folder.

use crate::device::TestDevice;
use crate::mount::Mount;
use crate::oracle;
use crate::row::{row, Before};
use rusqlite::Connection;
use rustix::fs::{mknodat, FileType, Mode, CWD};
use std::fs;
use std::os::unix::fs::symlink;

/// A database that somebody else made, with 1,000 parents and 1,000 children.
fn foreign(device: TestDevice, head: &str) -> TestDevice {
    let connection = Connection::open(device.main()).unwrap();
    connection.execute_batch(head).unwrap();
    crate::product::FILES[..2].iter().for_each(|(_, sql)| connection.execute_batch(sql).unwrap());
    device
}

#[test]
fn row_26_another_applications_database() {
    let mut row = row(26);
    row.boot(&foreign(TestDevice::empty(41), "PRAGMA application_id = 0x47504B47;"));
    row.whole();
}

#[test]
fn row_27_tables_and_no_history() {
    let mut row = row(27);
    row.boot(&foreign(TestDevice::empty(41), ""));
    let theirs = "DROP TABLE refinery_schema_history; PRAGMA user_version = 30";
    let device = TestDevice::at(30).after(|device| {
        rusqlite::Connection::open(device.main()).unwrap().execute_batch(theirs).unwrap()
    });
    row.boot(&device.key("baseline = \"rusqlite_migration\""));
    // Ours was lost, and an application has made another before the next boot.
    let device = TestDevice::booted_at(40).after(|device| {
        fs::remove_file(device.main()).unwrap();
        rusqlite::Connection::open(device.main())
            .unwrap()
            .execute_batch("CREATE TABLE cache (k, v)")
            .unwrap()
    });
    row.boot(&device);
    row.whole();
}

#[test]
fn row_38_links() {
    let mut row = row(38);
    let device = TestDevice::at(40).firmware(41);
    fs::rename(device.main(), device.home().join("real.db")).unwrap();
    symlink("real.db", device.main()).unwrap();
    row.boot(&device);
    let device = TestDevice::empty(41);
    symlink("/nowhere/settings.db", device.main()).unwrap();
    row.boot(&device);
    let device = TestDevice::at(40).firmware(41);
    fs::hard_link(device.main(), device.home().join("another-name")).unwrap();
    row.boot(&device);
    row.whole();
}

#[test]
fn row_39_two_names_for_one_file() {
    let mut row = row(39);
    let device = TestDevice::at(40).with_telemetry(0).firmware(41);
    fs::create_dir_all(device.root().join("etc")).unwrap();
    let text = "[databases.telemetry]\npath = \"/var/lib/gateway/settings.db\"\n";
    fs::write(device.root().join("etc/bootmigrate.toml"), text).unwrap();
    row.boot(&device);
    // The state folder lies on another file system than the database.
    let device = TestDevice::at(40).firmware(41);
    let state = device.home().join(".bootmigrate");
    fs::create_dir(&state).unwrap();
    let mounted = Mount::tmpfs(&state, 8192);
    let before = Before::of(&device);
    let ran = device.run(&["run"]);
    row.saw(&device, before, "", &ran);
    drop(mounted);
    row.whole();
}

#[test]
fn row_83_a_fifo_where_a_side_file_belongs() {
    let mut row = row(83);
    for side in ["settings.db-journal", "settings.db-wal"] {
        let device = TestDevice::at(40).firmware(41);
        let fifo = device.home().join(side);
        let before = Before::of(&device);
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let with_it = oracle::folder(&device.root());
        let ran = device.run(&["run"]);
        assert!(
            !oracle::touched(&with_it, &oracle::folder(&device.root())).contains("settings.db"),
            "{side}: {}",
            ran.stderr
        );
        // The judge would wait for it.
        fs::remove_file(&fifo).unwrap();
        row.saw(&device, before, "", &ran);
    }
    row.whole();
}
