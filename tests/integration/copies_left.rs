//! Owns the tests of copies that speak for a database: after a lost record, on trial beside a daily
//! timer, on a small disk, under a changed text, and of rows that were put aside twice.
//! Promises: rows are compared with those that plain SQLite wrote; small disks are real ones.
//! Never takes a snapshot's name for its content.

use std::fs;

use rusqlite::Connection;

use crate::carry_over::rows;
use crate::device::TestDevice;
use crate::mount::Mount;
use crate::oracle::{self, Copy};
use crate::quarantine::runs;

fn write(device: &TestDevice, sql: &str) {
    Connection::open(device.main()).unwrap().execute_batch(sql).unwrap();
}

fn now(device: &TestDevice, table: &str) -> Vec<String> {
    rows(&Copy::of(&device.main()).unwrap().open(), table)
}

fn snapshots(device: &TestDevice) -> Vec<String> {
    let folder = device.state("settings").join("snapshots");
    let names = fs::read_dir(folder).map_or(Vec::new(), |names| names.collect());
    let mut names: Vec<String> =
        names.into_iter().map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Neither the file nor the record is there, and a snapshot or a set in quarantine is.
#[test]
fn a_first_boot_does_not_hide_data_that_copies_speak_of() {
    for (empty, record) in [(false, None), (true, None), (false, Some([0u8; 8192]))] {
        let device = TestDevice::booted_at(40);
        runs(&device, "snapshot create", "0");
        let old = oracle::content(&device.main()).unwrap();
        match empty {
            true => fs::write(device.main(), "").unwrap(),
            false => fs::remove_file(device.main()).unwrap(),
        }
        let file = device.state("settings").join("record");
        match record {
            Some(bytes) => fs::write(file, bytes).unwrap(),
            None => fs::remove_file(file).unwrap(),
        }
        let said = runs(&device, "run", "11");
        assert!(said.contains("restored from a snapshot"), "{said}");
        assert_eq!(oracle::content(&device.main()).unwrap(), old);
    }
}

/// The shipped timer makes one each day, and the trial begins with the newest.
#[test]
fn the_other_slot_keeps_the_newest_snapshot_before_the_trial() {
    let v1 = ("V1__a.sql", "CREATE TABLE a (day INTEGER PRIMARY KEY);\n");
    let v2 = ("V2__b.sql", "CREATE TABLE b (x);\n");
    let device = TestDevice::empty(0).slots("ab").file(v1);
    runs(&device, "run", "0");
    runs(&device, "mark-good", "0");
    for day in 1..=4 {
        write(&device, &format!("INSERT INTO a VALUES ({day})"));
        runs(&device, "snapshot create", "0");
    }
    write(&device, "INSERT INTO a VALUES (5)");
    let device = device.file(v2);
    runs(&device, "run", "0");
    for _ in 0..2 {
        runs(&device, "snapshot create", "0");
    }
    // The new slot does not prove itself.
    let device = device.without("V2__b.sql").key("on_newer = [\"trial-snapshot\"]");
    runs(&device, "run", "11");
    let days: Vec<String> = (1..=5).map(|day| format!("integer:{day}")).collect();
    assert_eq!(now(&device, "a"), days);
}

/// Of two updates on trial each has its own slot to go back to.
#[test]
fn each_slot_on_trial_has_its_snapshot() {
    let v1 = ("V1__a.sql", "CREATE TABLE a (x INTEGER PRIMARY KEY);\n");
    let device = TestDevice::empty(0).slots("ab").file(v1);
    runs(&device, "run", "0");
    runs(&device, "mark-good", "0");
    for (name, sql) in
        [("V2__b.sql", "CREATE TABLE b (x);\n"), ("V3__c.sql", "CREATE TABLE c (x);\n")]
    {
        write(&device, "INSERT INTO a VALUES (NULL)");
        fs::write(device.firmware_folder().join("settings").join(name), sql).unwrap();
        runs(&device, "run", "0");
    }
    for _ in 0..2 {
        runs(&device, "snapshot create", "0");
    }
    let versions: Vec<String> =
        snapshots(&device).iter().map(|name| name[..2].to_owned()).collect();
    assert_eq!(versions, ["v1", "v2", "v3"]);
}

/// The copy fits, and what the migration writes does not fit beside it.
#[test]
fn a_disk_with_room_for_the_migration_alone_is_migrated() {
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2400) INSERT \
                INTO a SELECT randomblob(1000) FROM n";
    for (policy, ends_well) in [("auto", true), ("never", true), ("always", false)] {
        let device = TestDevice::empty(0)
            .file(("V1__a.sql", "CREATE TABLE a (x BLOB);\n"))
            .key(&format!("snapshot = \"{policy}\""))
            .on(|at, _| Mount::tmpfs(at, 10 << 10));
        runs(&device, "run", "0");
        write(&device, fill);
        let grows = "CREATE TABLE b (x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 \
                     FROM n WHERE i < (SELECT count(*) FROM a) * 5 / 2) INSERT INTO b SELECT \
                     randomblob(1000) FROM n;\n";
        let device = device.file(("V2__b.sql", grows));
        let boots: Vec<String> = (0..3).map(|_| device.run(&["run"]).exit).collect();
        assert_eq!(boots.last().unwrap() == "0", ends_well, "{policy}: {boots:?}");
        if ends_well {
            assert_eq!(now(&device, "b").len(), 6000, "{policy}");
        }
    }
}

/// Its journal is as large as the file, and the snapshot has the room.
#[test]
fn a_snapshot_that_is_in_the_way_is_left_out_by_the_same_boot() {
    for (wal, kib) in [(false, 11 << 10), (false, 9 << 10), (true, 11 << 10)] {
        let device = TestDevice::empty(0)
            .file(("V1__a.sql", "CREATE TABLE a (x BLOB);\n"))
            .on(|at, _| Mount::tmpfs(at, kib));
        runs(&device, "run", "0");
        write(&device, if wal { "PRAGMA journal_mode = WAL" } else { "SELECT 1" });
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1900) \
                    INSERT INTO a SELECT randomblob(2000) FROM n";
        write(&device, fill);
        write(&device, "PRAGMA wal_checkpoint(TRUNCATE)");
        let device = device.file(("V2__b.sql", "UPDATE a SET x = randomblob(2000);\n"));
        let said = runs(&device, "run", "0");
        assert!(said.contains("migrated from 1 to 2"), "{said}");
        assert_eq!(now(&device, "a").len(), 1900);
        assert!(runs(&device, "run", "0").contains("nothing to do"));
    }
}

/// What was free when it failed, and a little more, is enough for another try.
#[test]
fn a_small_disk_that_was_full_once_is_not_full_for_ever() {
    let device = TestDevice::booted_at(40)
        .key("snapshot = \"never\"")
        .firmware(40)
        .on(|at, _| Mount::tmpfs(at, 4 << 10));
    let size = fs::metadata(device.main()).unwrap().len() / 1024;
    let mount = device.mount.as_ref().unwrap();
    mount.fill_but(16);
    let grows = "CREATE TABLE large AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 \
                 FROM n WHERE i < 150) SELECT zeroblob(900) AS a FROM n;\n";
    fs::write(device.firmware_folder().join("settings/V41__large.sql"), grows).unwrap();
    runs(&device, "run", "14");
    // Less than a MiB more than was free.
    mount.empty();
    mount.fill_but(700);
    let said = runs(&device, "run", "0");
    assert!(said.contains("migrated from 40 to 41"), "{size} KiB: {said}");
}

/// A comment in a released migration was changed, and the owner goes on with it.
#[test]
fn a_changed_text_that_is_passed_over_spoils_no_copy() {
    let device = TestDevice::empty(0)
        .file(("V1__a.sql", "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT);\n"))
        .key("on_checksum_mismatch = \"warn\"")
        .key("carry_over = [\"*\"]");
    runs(&device, "run", "0");
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 400) INSERT \
                INTO a SELECT i, printf('%0100d', i) FROM n";
    write(&device, fill);
    let device = device
        .file(("V1__a.sql", "-- of 2024\nCREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT);\n"))
        .file(("V2__b.sql", "CREATE TABLE b (x);\n"));
    runs(&device, "run", "0");
    runs(&device, "snapshot create", "0");
    let said = runs(&device, "snapshot verify", "0");
    assert!(!said.contains("NOT GOOD"), "{said}");
    assert!(runs(&device, "status", "0").contains("version 2"));
    let all = now(&device, "a");
    // One leaf, and no snapshot is left.
    let leaf: u32 = {
        let copy = Copy::of(&device.main()).unwrap();
        let sql = "SELECT pageno FROM dbstat WHERE name = 'a' AND pagetype = 'leaf' ORDER BY path";
        copy.open().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    device.put_page(&(u64::from(leaf), vec![0xa5; 4096]));
    for name in snapshots(&device) {
        fs::remove_file(device.state("settings").join("snapshots").join(name)).unwrap();
    }
    runs(&device, "run --purge-and-retry", "11");
    let kept = now(&device, "a");
    assert!(kept.len() > 300 && kept.iter().all(|row| all.contains(row)), "{} rows", kept.len());
}

/// `lost_a_2` has the rows of a table `a_2`, where there is one.
#[test]
fn rows_that_are_put_aside_twice_keep_their_origin() {
    let none = |table: &str| {
        format!(
            "CREATE TABLE {table} (y CHECK (y IS NULL)); INSERT INTO {table} SELECT id FROM a;\n"
        )
    };
    let device = TestDevice::empty(0)
        .file(("V1__a.sql", "CREATE TABLE a (id INTEGER PRIMARY KEY, x);\n"))
        .file(("V2__a_2.sql", "CREATE TABLE a_2 (id INTEGER PRIMARY KEY, x);\n"))
        .key("on_failure = \"purge\"");
    runs(&device, "run", "0");
    write(&device, "INSERT INTO a VALUES (1, 'first')");
    let device = device.file(("V3__u.sql", &none("u")));
    runs(&device, "run", "11");
    write(&device, "INSERT INTO a VALUES (11, 'second')");
    let device = device.file(("V4__w.sql", &none("w")));
    runs(&device, "run", "11");
    let said = runs(&device, "lost list", "0");
    assert_eq!(
        said.matches("row of a\n").count() + said.matches("rows of a\n").count(),
        2,
        "{said}"
    );
    device.run(&["lost", "retry", "--db", "settings"]);
    assert_eq!(now(&device, "a_2"), Vec::<String>::new());
}

/// The shipped timer runs on a device that was never booted, too.
#[test]
fn there_is_nothing_to_copy_before_the_first_boot() {
    let device = TestDevice::empty(40);
    let said = runs(&device, "snapshot create", "0");
    assert!(said.contains("there is no database yet"), "{said}");
    assert!(runs(&device, "run", "0").contains("created at version 40"));
}

/// A slot of the record, as docs/format.md has it.
fn slot(format: u32, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut counted = [format, payload.len() as u32].map(u32::to_le_bytes).concat();
    counted.extend(sequence.to_le_bytes());
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    let summed = counted.iter().chain(payload);
    let crc =
        !summed.fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)));
    let mut slot = b"BMRECORD".to_vec();
    slot.extend(counted);
    slot.extend(crc.to_le_bytes());
    slot.resize(32, 0);
    slot.extend(payload);
    slot.resize(4096, 0);
    slot
}

/// A power cut came after newer firmware's ready file, and this firmware's is the next boot.
#[test]
fn a_record_of_newer_firmware_is_left_as_it_is() {
    for older in [slot(1, 10, &[0; 24]), slot(2, 10, b"older, of newer firmware")] {
        let device = TestDevice::booted_at(40);
        runs(&device, "purge --db settings --yes", "11");
        let state = device.state("settings");
        fs::copy(device.main(), state.join("ready-9.db")).unwrap();
        let record = [slot(2, 11, b"of newer firmware, with a loss"), older].concat();
        fs::write(state.join("record"), &record).unwrap();
        for _ in 0..2 {
            runs(&device, "run", "12");
            assert!(fs::read(state.join("record")).unwrap() == record, "the record was written");
        }
    }
}
