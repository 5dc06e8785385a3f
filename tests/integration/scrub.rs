//! Owns the tests of `scrub`: what it finds beside an application, what the next boot makes of it,
//! and what a quiet night costs.
//! Promises: damage is put into the file past SQLite, and the rows are compared by plain SQLite.
//! Never waits for a night.

use crate::device::TestDevice;
use crate::oracle;
use crate::quarantine::runs;
use crate::strace::{calls, stopped_after};
use rustix::process::{kill_process, Signal};
use std::fs;
use std::os::unix::fs::FileExt;

/// The file of page `number`, of which these bytes are overwritten.
fn harm(device: &TestDevice, number: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(device.main()).unwrap();
    file.write_all_at(bytes, (number - 1) * 4096).unwrap();
}

fn note(device: &TestDevice) -> Option<String> {
    fs::read_to_string(device.state("settings").join("scrub")).ok()
}

#[test]
fn a_quiet_night_writes_nothing() {
    let device = TestDevice::booted_at(40);
    let said = runs(&device, "scrub", "0");
    assert!(said.contains(" pages read, nothing found."), "{said}");
    assert!(note(&device).unwrap().starts_with("ended: "), "the first one says when");
    // In the week from then.
    let before = oracle::folder(&device.home());
    runs(&device, "scrub", "0");
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing");
    // A boot is as quiet as before, and an upgrade tells it.
    assert!(runs(&device, "run", "0").contains("nothing to do"));
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing");
    let device = device.firmware(41);
    let said = runs(&device, "run", "0");
    assert!(
        said.contains("  note: before it a scrub had ended well, in the week from 2"),
        "{said}"
    );
}

#[test]
fn nothing_is_found_in_a_database_that_is_whole() {
    for (device, pages) in [
        (TestDevice::booted_at(42), ""),
        (TestDevice::booted_at(42), "PRAGMA auto_vacuum = 1; PRAGMA page_size = 512; VACUUM;"),
        (TestDevice::booted_at(42), "PRAGMA page_size = 65536; VACUUM;"),
        (TestDevice::wal_at(42), ""),
    ] {
        let device = device
            .after(|device| {
                let connection = rusqlite::Connection::open(device.main()).unwrap();
                connection.execute_batch(pages).unwrap();
                // Free pages, overflow pages, an index, a table without row numbers.
                connection
                    .execute_batch(
                        "CREATE TABLE big (a, b); CREATE INDEX of_big ON big (b);
                         CREATE TABLE keyed (k PRIMARY KEY, v) WITHOUT ROWID;
                         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000)
                         INSERT INTO big SELECT randomblob(i % 9000), hex(randomblob(20)) FROM n;
                         INSERT INTO keyed SELECT b, a FROM big WHERE rowid % 3 = 0;
                         DELETE FROM big WHERE rowid % 2 = 0;",
                    )
                    .unwrap();
            })
            .application(&["sql BEGIN", "sql SELECT count(*) FROM child"]);
        let said = runs(&device, "scrub", "0");
        assert!(said.contains(" pages read, nothing found."), "{said}");
    }
}

/// Does something to the file.
type Harm = fn(&TestDevice);

/// No boot would have looked there: the firmware has nothing to migrate.
#[test]
fn what_is_found_is_repaired_by_the_next_boot() {
    let harms: [(&str, Harm); 3] = [
        ("a leaf of zeros", |device| harm(device, device.root_page("child").0 + 3, &[0; 4096])),
        ("a root of zeros", |device| harm(device, device.root_page("child").0, &[0; 4096])),
        ("cells that do not fit", |device| {
            harm(device, device.root_page("parent").0 + 3, &[13, 0, 0, 0, 7])
        }),
    ];
    for (name, harm) in harms {
        let device = TestDevice::booted_at(40);
        harm(&device);
        assert_eq!(device.run(&["run"]).exit, "0", "{name}: a boot does not look there");
        let ran = device.run(&["scrub"]);
        assert_eq!(ran.exit, "17", "{name}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("; the next boot checks the whole database"), "{}", ran.stderr);
        assert!(note(&device).unwrap().contains("found: "), "{name}: {:?}", note(&device));
        // A second night says it again, and changes nothing.
        let before = oracle::folder(&device.home());
        assert_eq!(device.run(&["scrub"]).exit, "17");
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing");
        let ran = device.run(&["run"]);
        assert!(
            ran.exit == "11" && ran.stderr.contains("  note: a scrub had found: "),
            "{name}: {} {}",
            ran.exit,
            ran.stderr
        );
        assert_eq!(note(&device), None, "{name}");
        assert!(oracle::content(&device.main()).is_ok(), "{name}");
        let before = oracle::folder(&device.home());
        assert!(runs(&device, "run", "0").contains("nothing to do"), "{name}");
        assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing", "{name}");
    }
}

/// Whoever asks what the next boot will do learns that it looks first.
#[test]
fn a_plan_and_a_rehearsal_know_what_a_scrub_found() {
    let device = TestDevice::booted_at(40).file(("V41__more.sql", "CREATE TABLE more (x);\n"));
    harm(&device, device.root_page("child").0 + 3, &[0; 4096]);
    let said = runs(&device, "rehearse", "11");
    assert!(!said.contains("a scrub had found"), "{said}");
    runs(&device, "scrub", "17");
    let plan = runs(&device, "plan", "0");
    assert!(plan.contains("check everything, since a scrub found: "), "{plan}");
    let said = runs(&device, "rehearse", "11");
    assert!(said.contains("of child") && said.contains("  note: a scrub had found: "), "{said}");
    assert!(note(&device).is_some(), "it was only rehearsed");
    let said = runs(&device, "run", "11");
    assert!(said.contains("of child"), "{said}");
}

/// A scrub reads to the end: the last page as well as the first.
#[test]
fn what_is_wrong_on_the_last_page_is_found() {
    let device = TestDevice::booted_at(40);
    // A leaf: the root of a table is looked at first.
    rusqlite::Connection::open(device.main())
        .unwrap()
        .execute_batch("INSERT INTO child (parent_id, label) SELECT parent_id, label FROM child")
        .unwrap();
    let pages = fs::metadata(device.main()).unwrap().len() / 4096;
    // Of its tree it still is: the page above it does not tell.
    let kind = fs::read(device.main()).unwrap()[(pages as usize - 1) * 4096];
    harm(&device, pages, &[kind, 0, 0, 0, 7]);
    let ran = device.run(&["scrub"]);
    assert_eq!(ran.exit, "17", "{}{}", ran.stdout, ran.stderr);
    let found = note(&device).unwrap();
    assert!(found.contains(&format!("page {pages}")), "{found}");
}

/// A note of what is not there any more costs one check.
#[test]
fn a_note_that_is_out_of_date_is_forgotten() {
    let device = TestDevice::booted_at(40);
    let old = oracle::content(&device.main()).unwrap();
    fs::write(device.state("settings").join("scrub"), "found: page 7 is of an earlier file\n")
        .unwrap();
    let said = runs(&device, "run", "0");
    assert!(said.contains("  note: a scrub had found: page 7 is of an earlier file"), "{said}");
    assert_eq!((note(&device), oracle::content(&device.main()).unwrap()), (None, old));
}

/// A device whose file has more parts than one.
fn large() -> TestDevice {
    TestDevice::booted_at(40).after(|device| {
        let connection = rusqlite::Connection::open(device.main()).unwrap();
        let rows = "CREATE TABLE big (a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 \
                    FROM n LIMIT 1500) INSERT INTO big SELECT randomblob(3000) FROM n;";
        connection.execute_batch(rows).unwrap();
    })
}

fn pages(device: &TestDevice) -> u64 {
    fs::metadata(device.main()).unwrap().len() / 4096
}

/// A scrub that is told to stop in the middle of its third part.
#[track_caller]
fn stop_a_scrub(device: &TestDevice) {
    let (all, _) = calls(&device.duplicate(), &["scrub"]);
    let third = all.iter().filter(|call| call.line.contains("/lock\"")).nth(2);
    let third = third.expect("each part is read under the lock");
    let ran =
        stopped_after(device, &["scrub"], third, |pid| kill_process(pid, Signal::TERM).unwrap());
    assert_eq!(ran.exit, "20", "{}{}", ran.stdout, ran.stderr);
}

fn read(device: &TestDevice, count: u64) -> bool {
    runs(device, "scrub", "0").contains(&format!(" {count} pages read, nothing found."))
}

#[test]
fn a_scrub_that_was_stopped_goes_on_there() {
    let device = large();
    let all = pages(&device);
    stop_a_scrub(&device);
    assert_eq!(note(&device), None, "it did not come to its end");
    assert!(read(&device, all - 512), "two parts of 256 pages were read before");
    assert!(note(&device).unwrap().starts_with("ended: "));
    assert!(read(&device, all), "the next one begins again");
}

#[test]
fn another_file_is_read_from_its_first_page() {
    let others: [(&str, Harm); 3] = [
        ("made smaller", |device| {
            let connection = rusqlite::Connection::open(device.main()).unwrap();
            connection.execute_batch("DELETE FROM big WHERE rowid > 10; VACUUM;").unwrap();
        }),
        ("made larger", |device| {
            let connection = rusqlite::Connection::open(device.main()).unwrap();
            connection.execute_batch("INSERT INTO big SELECT a FROM big;").unwrap();
        }),
        ("replaced", |device| {
            let new = device.home().join("new");
            fs::copy(device.main(), &new).unwrap();
            fs::rename(&new, device.main()).unwrap();
        }),
    ];
    for (name, becomes) in others {
        let device = large();
        stop_a_scrub(&device);
        becomes(&device);
        assert!(read(&device, pages(&device)), "{name}");
        let device = large();
        stop_a_scrub(&device);
        becomes(&device);
        harm(&device, device.root_page("child").0 + 3, &[0; 4096]);
        let ran = device.run(&["scrub"]);
        assert_eq!(ran.exit, "17", "{name}: {}{}", ran.stdout, ran.stderr);
        assert!(note(&device).unwrap().contains("found: "), "{name}: {:?}", note(&device));
    }
}
