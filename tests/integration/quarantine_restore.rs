//! Owns the tests of `quarantine restore`: what is put back, and what is refused.
//! Promises: every restored row is compared with what stood under the database's name before; a
//! refusal leaves the database and the files in quarantine as they are.
//! Never takes a file in quarantine for whole because the program says so.

use crate::device::TestDevice;
use crate::mount::Mount;
use crate::oracle;
use crate::quarantine::{bytes, content_of, numbers, only_reads, purged, quarantined, runs, PURGE};
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::FileExt;

#[test]
fn a_purge_by_mistake_is_taken_back() {
    let device = TestDevice::booted_at(40);
    let old = purged(&device);
    let fresh = oracle::content(&device.main()).unwrap();
    assert_ne!(fresh, old);
    let said = only_reads(&device, "quarantine restore 1 --db settings", "2");
    assert!(said.contains("say --yes. [BM-2]"), "{said}");
    let said = runs(&device, "quarantine restore 1 --db settings --yes", "11");
    assert!(
        said.contains(
            "restored from quarantine and migrated to 40, because `quarantine restore` was asked \
             for"
        ),
        "{said}"
    );
    assert!(
        said.contains(
            "lost: the rows of the database that stood there; it is kept in quarantine. [BM-11 \
             settings 40]"
        ),
        "{said}"
    );
    assert_eq!(oracle::content(&device.main()).unwrap(), old);
    assert!(device.root().join("run/bootmigrate/ready/settings").exists());
    let newest = numbers(&device).into_iter().max().unwrap();
    assert_eq!(content_of(&quarantined(&device, newest)), fresh);
    assert!(runs(&device, "run", "0").contains("at version 40, nothing to do"));
    // And back again.
    runs(&device, &format!("quarantine restore {newest} --db settings --yes"), "11");
    assert_eq!(oracle::content(&device.main()).unwrap(), fresh);
}

/// Rows that only its WAL has, or half a transaction that only its journal undoes.
#[test]
fn what_lies_beside_the_file_is_restored_with_it() {
    let changes =
        ["sql PRAGMA cache_size = 2", "sql BEGIN", "sql UPDATE parent SET reading = reading + 1"];
    for wal in [true, false] {
        let device = if wal { TestDevice::wal_at(40) } else { TestDevice::at(40) };
        runs(&device, "run", "0");
        let old = oracle::content(&device.main()).unwrap();
        let device = if wal {
            device
                .application(&[
                    "sql PRAGMA wal_autocheckpoint = 0",
                    "sql UPDATE parent SET reading = reading + 7",
                ])
                .killed()
        } else {
            device.application(&changes).killed()
        };
        let old = if wal { oracle::content(&device.main()).unwrap() } else { old };
        let ran = device.run(PURGE);
        assert_eq!(ran.exit, "11", "{}", ran.stderr);
        let number = numbers(&device)[0];
        let beside = if wal { "settings.db-wal" } else { "settings.db-journal" };
        let kept = bytes(&quarantined(&device, number));
        assert!(
            kept.get(beside).is_some_and(|bytes| !bytes.is_empty()),
            "{beside}: {:?}",
            kept.keys()
        );
        let said = only_reads(&device, &format!("quarantine show {number} --db settings"), "0");
        assert!(said.contains("known once the WAL or journal beside it is recovered"), "{said}");
        runs(&device, &format!("quarantine restore {number} --db settings --yes"), "11");
        assert_eq!(oracle::content(&device.main()).unwrap(), old, "{beside}");
        if quarantined(&device, number).exists() {
            assert_eq!(
                bytes(&quarantined(&device, number)),
                kept,
                "what lies in quarantine is not changed"
            );
        }
    }
}

/// It goes to this firmware's version on the way.
#[test]
fn what_an_older_firmware_set_aside_is_migrated_when_it_is_restored() {
    let device = TestDevice::booted_at(40);
    purged(&device);
    let device = device.firmware(41);
    runs(&device, "run", "0");
    let wanted = {
        let older = TestDevice::booted_at(40).firmware(41);
        runs(&older, "run", "0");
        oracle::content(&older.main()).unwrap()
    };
    runs(&device, "quarantine restore 1 --db settings --yes", "11");
    assert_eq!(oracle::content(&device.main()).unwrap(), wanted);
}

#[test]
fn a_damaged_set_is_not_put_back() {
    let device = TestDevice::booted_at(40);
    purged(&device);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(quarantined(&device, 1).join("settings.db"))
        .unwrap();
    file.write_all_at(&[0xa5; 3 * 4096], 4 * 4096).unwrap();
    drop(file);
    let rows = oracle::content(&device.main());
    let said = only_reads_names(&device, "quarantine restore 1 --db settings --yes", "17");
    assert!(
        said.contains("settings: quarantine/1 cannot be put back: it is no good copy: "),
        "{said}"
    );
    assert!(
        said.contains(
            "nothing was changed. Next: `bootmigrate quarantine export 1 DIR --db settings` copies \
             it for support. [BM-17 settings]"
        ),
        "{said}"
    );
    assert_eq!(oracle::content(&device.main()), rows);
    assert!(
        device.root().join("run/bootmigrate/ready/settings").exists(),
        "its application may go on"
    );
}

/// No name and no byte is another; a folder in which a copy was tried has another time.
#[track_caller]
fn only_reads_names(device: &TestDevice, typed: &str, exit: &str) -> String {
    let names = || oracle::folder(&device.root()).into_keys().collect::<Vec<_>>();
    let (before, main) = (names(), fs::read(device.main()).unwrap());
    let said = runs(device, typed, exit);
    assert_eq!(names(), before, "{typed}: {said}");
    assert_eq!(fs::read(device.main()).unwrap(), main, "{typed}: {said}");
    said
}

#[test]
fn nothing_is_put_back_under_an_application() {
    let device = TestDevice::booted_at(40).key("busy_timeout_s = 0");
    purged(&device);
    let rows = oracle::content(&device.main());
    let device = device.application(&["sql SELECT count(*) FROM parent"]);
    let said = only_reads_names(&device, "quarantine restore 1 --db settings --yes", "13");
    assert!(said.contains("the database is open in application"), "{said}");
    // It may be listed, copied and deleted meanwhile.
    only_reads(&device, "quarantine list", "0");
    runs(
        &device,
        &format!("quarantine export 1 {}/out --db settings", device.folder().display()),
        "0",
    );
    runs(&device, "quarantine delete 1 --db settings --yes", "0");
    let device = device.killed();
    assert_eq!(oracle::content(&device.main()), rows);
}

/// The copy that was made to be put back would be taken for the latest snapshot.
#[test]
fn a_copy_that_cannot_be_brought_forward_is_not_left_among_the_snapshots() {
    let device = TestDevice::booted_at(40);
    let number = {
        purged(&device);
        numbers(&device)[0]
    };
    let device =
        device.file(("V41__unique.sql", "CREATE UNIQUE INDEX child_amount ON child (amount);\n"));
    Connection::open(device.main()).unwrap().execute_batch("DELETE FROM child").unwrap();
    runs(&device, "run", "0");
    let snapshots = || {
        let names = fs::read_dir(device.state("settings").join("snapshots"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    let before = snapshots();
    runs(&device, &format!("quarantine restore {number} --db settings --yes"), "10");
    assert_eq!(snapshots(), before);
}

/// Each of the two copies has room, and both together have not: asked before the first is made.
#[test]
fn a_restore_asks_for_the_room_of_both_copies() {
    let device = TestDevice::booted_at(40);
    purged(&device);
    let size = fs::metadata(quarantined(&device, 1).join("settings.db")).unwrap().len();
    let there = |device: &TestDevice| {
        rustix::fs::statvfs(device.home()).map(|at| at.f_bavail * at.f_frsize).unwrap()
    };
    let device = device.on(|at, _| Mount::tmpfs(at, 8192));
    // One copy with the reserve that every copy leaves, and not another one.
    let ballast = there(&device).saturating_sub(2 * size + size / 2);
    fs::write(device.home().join("ballast"), vec![1; usize::try_from(ballast).unwrap()]).unwrap();
    let said = only_reads(&device, "quarantine restore 1 --db settings --yes", "14");
    assert!(
        said.contains("a snapshot of it and the database that is built from that need ")
            && said.contains("nothing was changed"),
        "{said}"
    );
    fs::remove_file(device.home().join("ballast")).unwrap();
    runs(&device, "quarantine restore 1 --db settings --yes", "11");
}

/// Nothing is to be kept, and yet a mistake can be taken back, until something else is done.
#[test]
fn what_a_restore_sets_aside_stays_where_nothing_is_kept() {
    let device = TestDevice::booted_at(40).key("kind = \"rebuildable\"");
    let old = purged(&device);
    let fresh = oracle::content(&device.main()).unwrap();
    let device = device.key("quarantine_max = 0");
    runs(&device, "quarantine restore 1 --db settings --yes", "11");
    assert_eq!(oracle::content(&device.main()).unwrap(), old);
    let kept = numbers(&device);
    assert_eq!((kept.len(), content_of(&quarantined(&device, kept[0]))), (1, fresh.clone()));
    runs(&device, "snapshot prune", "0");
    runs(&device, &format!("quarantine restore {} --db settings --yes", kept[0]), "11");
    assert_eq!(oracle::content(&device.main()).unwrap(), fresh);
    runs(&device, "purge --db settings --yes", "11");
    assert_eq!(numbers(&device), Vec::<u64>::new());
}
