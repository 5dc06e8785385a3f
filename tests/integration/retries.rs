//! Owns the tests of an operator's word that meets something else: damage, a group, a loss that
//! waits, a repair in vain.
//! Promises: what was lost is compared with the rows that plain SQLite wrote; words are given at
//! the console and on the kernel's command line.
//! Never lets a word hide what was known before it.

use std::fs;

use rustix::process::{kill_process, Signal};

use crate::device::{Mode, TestDevice};
use crate::oracle;
use crate::quarantine::runs;
use crate::strace::{calls, stopped_after};

/// Words on the kernel's command line.
fn kernel_words(device: &TestDevice, words: &str) {
    let file = device.root().join("proc/cmdline");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, words).unwrap();
}

fn break_a_leaf_of_child(device: &TestDevice) {
    let (root, page) = device.root_page("child");
    device.put_page(&(root + 3, vec![0; page.len()]));
}

#[test]
fn a_retry_looks_for_what_a_scrub_found() {
    for by_kernel in [false, true] {
        let device = TestDevice::booted_at(40);
        break_a_leaf_of_child(&device);
        runs(&device, "scrub", "17");
        let said = if by_kernel {
            kernel_words(&device, "quiet bootmigrate.retry=7\n");
            runs(&device, "run", "11")
        } else {
            runs(&device, "run --retry", "11")
        };
        assert!(said.contains("  note: a scrub had found: "), "{said}");
        assert!(!device.state("settings").join("scrub").exists(), "it was looked for");
        assert!(oracle::content(&device.main()).is_ok());
    }
}

/// Each boot with the word still there would build it anew.
#[test]
fn a_word_that_stays_does_not_repair_in_vain_for_ever() {
    let device = TestDevice::empty(0).file(("V1__a.sql", "CREATE TABLE a (x TEXT);\n"));
    runs(&device, "run", "0");
    // No row can be read: every page but those of the schema and the history is gone.
    let connection = rusqlite::Connection::open(device.main()).unwrap();
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500) INSERT \
                INTO a SELECT printf('%0100d', i) FROM n";
    connection.execute_batch(rows).unwrap();
    let sql = "SELECT pageno FROM dbstat WHERE name = 'a'";
    let mut statement = connection.prepare(sql).unwrap();
    let pages: Vec<u32> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(statement);
    drop(connection);
    pages.iter().for_each(|page| device.put_page(&(u64::from(*page), vec![0xa5; 4096])));
    let device = device.file(("V2__b.sql", "CREATE TABLE b (x);\n"));
    kernel_words(&device, "bootmigrate.retry=7\n");
    for _ in 0..6 {
        assert_ne!(device.run(&["run"]).exit, "0");
    }
    let before = oracle::folder(&device.home());
    assert_ne!(device.run(&["run"]).exit, "0");
    assert_eq!(oracle::touched(&before, &oracle::folder(&device.home())), "nothing");
}

/// A cut leaves the operations of all members interrupted.
#[test]
fn a_retry_of_one_member_frees_the_group() {
    for named in ["settings", "log"] {
        let device = TestDevice::at(40).together_with_log(40, Mode::Delete);
        runs(&device, "run", "0");
        let device = device.firmware(41);
        for _ in 0..5 {
            let (all, _) = calls(&device.duplicate(), &["run"]);
            let last = all
                .iter()
                .rfind(|call| call.name.starts_with("openat") && call.line.contains("-journal"))
                .unwrap();
            let kill = |pid| kill_process(pid, Signal::KILL).unwrap();
            assert_eq!(stopped_after(&device, &["run"], last, kill).exit, "signal 9");
        }
        runs(&device, "run", "19");
        let said = runs(&device, &format!("run --retry --db {named}"), "0");
        assert_eq!(said.matches("migrated from 40 to 41").count(), 2, "{named}: {said}");
    }
}

/// An exit code of its own hides that of the loss.
#[test]
fn a_loss_is_told_by_a_run_that_ends_with_11() {
    let device = TestDevice::booted_at(40).key("on_damage = [\"salvage\"]");
    break_a_leaf_of_child(&device);
    let fails = "CREATE TABLE none (x CHECK (x < 0)); INSERT INTO none SELECT id FROM parent;\n";
    let device = device.firmware(41).file(("V42__fails.sql", fails));
    runs(&device, "run", "10");
    let said = runs(&device, "migrate --db settings --step 1", "3");
    assert!(said.contains("of child"), "{said}");
    let device = device.file(("V42__fails.sql", "CREATE TABLE none (x);\n"));
    let said = runs(&device, "run", "11");
    assert!(said.contains("of child"), "{said}");
    runs(&device, "run", "0");
}
