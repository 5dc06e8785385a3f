//! Owns the tests of the reader against files that SQLite itself has written.
//! Promises: page sizes, encodings, reserved bytes, tables of both kinds and long rows; each row
//! compared.
//! Never damages a file that it has not made.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::collections::BTreeSet;

use super::record::{values, Value};
use super::tree::Tree;
use super::*;
use crate::device::disk::{Disk, Open, SystemDisk};

const OP: Op = Op("test");
const ROWS: &str =
    "CREATE TABLE gap(a); CREATE TABLE t(id INTEGER PRIMARY KEY, word TEXT, number, long BLOB);
    CREATE TABLE k(word TEXT PRIMARY KEY, number) WITHOUT ROWID;
    WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 700)
    INSERT INTO t SELECT i, 'wörd ' || i, i * 1000003 - 5, zeroblob(0) FROM n;
    UPDATE t SET long = randomblob(20000) WHERE id % 100 = 0;
    INSERT INTO k SELECT word, number FROM t; DELETE FROM t WHERE id BETWEEN 300 AND 400;";

struct Made {
    folder: tempfile::TempDir,
    roots: Vec<u32>,
}

fn made(pragmas: &str) -> Made {
    made_with_reserved(pragmas, 0)
}

/// At the end of each page so many bytes are somebody else's.
fn made_with_reserved(pragmas: &str, reserved: u8) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(&format!("{pragmas}; PRAGMA user_version = 1")).unwrap();
    drop(connection);
    let mut bytes = std::fs::read(&path).unwrap();
    let end = u16::from_be_bytes([bytes[16], bytes[17]]).wrapping_sub(u16::from(reserved));
    if reserved > 0 {
        bytes[20] = reserved;
        bytes[105..107].copy_from_slice(&end.to_be_bytes());
        std::fs::write(&path, &bytes).unwrap();
    }
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(ROWS).unwrap();
    let root = |name: &str| {
        connection
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .unwrap()
    };
    let roots = vec![root("t"), root("k")];
    Made { folder, roots }
}

/// What is done with an open file.
type Work<'w, T> = &'w dyn Fn(&Pages<'_>) -> T;

fn read<T>(made: &Made, work: Work<'_, T>) -> T {
    let path = made.folder.path().join("made.db");
    let open = |path: &Path| SystemDisk::default().open(OP, path, Open::Read).unwrap();
    let log = made.folder.path().join("made.db-wal");
    let log = log.exists().then(|| open(&log));
    let main = open(&path);
    let stop = AtomicBool::new(false);
    let source = PageSource { main: &*main, log: log.as_deref(), path: &path, op: OP, stop: &stop };
    work(&Pages::open(source).unwrap().unwrap())
}

/// Word and number of every row of a tree, and the bytes of its long values.
fn rows(pages: &Pages<'_>, tree: Tree) -> (BTreeSet<(String, i64)>, usize, u64) {
    let (mut found, mut long, mut used) = (BTreeSet::new(), 0, pages.bits());
    let faults = pages
        .walk(tree, &mut used, &mut |met, used| {
            let mut payload = Vec::new();
            for cell in (0..met.node.cells).filter_map(|index| met.node.cell(index)) {
                assert!(met.node.is_of_index() || met.range.has(cell.number));
                assert!(pages.payload(&cell.payload, used, &mut payload).unwrap());
                let mut all = values(&payload).unwrap();
                if !tree.of_index {
                    assert_eq!(all.remove(0), Value::Null);
                }
                let (Value::Text(word), Value::Integer(number)) = (all[0], all[1]) else {
                    return Ok(false);
                };
                found.insert((
                    String::from_utf8(pages.encoding().text(word).into_owned()).unwrap(),
                    number,
                ));
                long += all.get(2).map_or(0, |value| {
                    if let Value::Blob(bytes) = value {
                        bytes.len()
                    } else {
                        0
                    }
                });
            }
            Ok(true)
        })
        .unwrap();
    (found, long, faults.pages)
}

fn wanted(without: impl Fn(i64) -> bool) -> BTreeSet<(String, i64)> {
    (1..=700)
        .filter(|id| !without(*id))
        .map(|id| (format!("wörd {id}"), id * 1_000_003 - 5))
        .collect()
}

#[track_caller]
fn check(pragmas: &str, made: &Made) {
    let (t, k) = (
        Tree { root: made.roots[0], of_index: false, order: keys::Ordered::UNKNOWN },
        Tree { root: made.roots[1], of_index: true, order: keys::Ordered::UNKNOWN },
    );
    let (numbered, keyed) = read(made, &|pages| (rows(pages, t), rows(pages, k)));
    let deleted = |id: i64| (300..=400).contains(&id);
    assert_eq!(numbered, (wanted(deleted), 5 * 20_000, 0), "{pragmas}");
    assert_eq!(keyed, (wanted(|_| false), 0, 0), "{pragmas}");
}

#[test]
fn every_row_is_read_as_it_was_written() {
    for size in [512, 1024, 4096, 65_536] {
        for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
            let pragmas = format!(
                "PRAGMA page_size = {size}; PRAGMA encoding = '{encoding}'; PRAGMA auto_vacuum = \
                 {}",
                size % 3
            );
            let made = made(&pragmas);
            check(&pragmas, &made);
            let free = read(&made, &|pages| pages.free_pages().unwrap());
            assert!(free.complete && !free.broken, "{pragmas}");
        }
    }
}

#[test]
fn bytes_that_are_reserved_on_each_page_are_no_content() {
    for (size, reserved) in [(512, 32), (1024, 200), (4096, 12)] {
        let pragmas = format!("PRAGMA page_size = {size}");
        let made = made_with_reserved(&pragmas, reserved);
        let path = made.folder.path().join("made.db");
        check(&pragmas, &made);
        let mut bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[20], reserved);
        bytes[..size].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        check(&pragmas, &made);
        assert_eq!(read(&made, &|pages| pages.usable()), size - usize::from(reserved));
    }
}

#[test]
fn a_file_without_its_first_page_shows_how_it_is_written() {
    for (size, encoding) in
        [(512, "UTF-8"), (1024, "UTF-16le"), (4096, "UTF-8"), (8192, "UTF-16be"), (65_536, "UTF-8")]
    {
        let pragmas = format!("PRAGMA page_size = {size}; PRAGMA encoding = '{encoding}'");
        let made = made(&pragmas);
        let path = made.folder.path().join("made.db");
        let mut bytes = std::fs::read(&path).unwrap();
        let known = read(&made, &|pages| {
            (pages.format.page_bytes(), pages.usable(), pages.encoding(), pages.count)
        });
        bytes[..size].fill(0);
        std::fs::write(&path, &bytes).unwrap();
        let seen = read(&made, &|pages| {
            assert!(pages.format.lists().is_none());
            (pages.format.page_bytes(), pages.usable(), pages.encoding(), pages.count)
        });
        assert_eq!(seen, known, "{pragmas}");
        check(&pragmas, &made);
    }
}

#[test]
fn what_a_log_has_committed_is_newer_and_what_it_has_not_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; {ROWS}; PRAGMA wal_checkpoint(TRUNCATE);"
        ))
        .unwrap();
    connection.execute_batch("UPDATE t SET number = -1; BEGIN; UPDATE t SET number = -2;").unwrap();
    let roots = vec![connection
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 't'", [], |row| row.get(0))
        .unwrap()];
    let copy = tempfile::tempdir().unwrap();
    for name in ["made.db", "made.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let made = Made { folder: copy, roots };
    let (found, ..) = read(&made, &|pages| {
        rows(pages, Tree { root: made.roots[0], of_index: false, order: keys::Ordered::UNKNOWN })
    });
    assert_eq!(
        found.iter().map(|(_, number)| *number).collect::<BTreeSet<_>>(),
        BTreeSet::from([-1])
    );
}

#[test]
fn pages_that_the_header_counts_and_the_file_has_not_are_counted() {
    let made = made("PRAGMA page_size = 512");
    let path = made.folder.path().join("made.db");
    let before = read(&made, &|pages| (pages.missing, pages.count));
    assert_eq!(before.0, Some(0));
    let half = u64::from(before.1 / 2);
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(half * 512).unwrap();
    let (missing, absent) = read(&made, &|pages| {
        let tree = Tree { root: made.roots[0], of_index: false, order: keys::Ordered::UNKNOWN };
        (pages.missing, pages.walk(tree, &mut pages.bits(), &mut |_, _| Ok(true)).unwrap().absent)
    });
    assert!(missing == Some(u64::from(before.1) - half) && absent > 0, "{missing:?} {absent}");
    // Where the header is gone, the pages that are left name those that are not.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..100].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    let (missing, named) = read(&made, &|pages| {
        let free = pages.free_pages().unwrap();
        (pages.missing, pages.named_absent(&pages.bits(), &free, &|_| true).unwrap())
    });
    assert!(missing.is_none() && named > 0, "{named}");
}

#[test]
fn pages_that_lead_to_each_other_are_visited_once() {
    let made = made("PRAGMA page_size = 512");
    let path = made.folder.path().join("made.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let root = (made.roots[0] as usize - 1) * 512;
    assert_eq!(bytes[root], 5);
    // Its last pointer leads to itself.
    bytes[root + 8..root + 12].copy_from_slice(&made.roots[0].to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let (found, _, faults) = read(&made, &|pages| {
        rows(pages, Tree { root: made.roots[0], of_index: false, order: keys::Ordered::UNKNOWN })
    });
    assert!(faults == 1 && found.len() < 599, "{faults} {}", found.len());
}

#[test]
fn a_page_that_is_no_ones_is_handed_on_once() {
    let made = made("PRAGMA page_size = 512");
    let path = made.folder.path().join("made.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let root = (made.roots[0] as usize - 1) * 512;
    let cells = usize::from(u16::from_be_bytes([bytes[root + 3], bytes[root + 4]]));
    assert!(bytes[root] == 5 && cells > 1);
    // Every pointer leads to the last one's page.
    let last: [u8; 4] = bytes[root + 8..root + 12].try_into().unwrap();
    for cell in 0..cells {
        let at = root
            + usize::from(u16::from_be_bytes([
                bytes[root + 12 + 2 * cell],
                bytes[root + 13 + 2 * cell],
            ]));
        bytes[at..at + 4].copy_from_slice(&last);
    }
    std::fs::write(&path, &bytes).unwrap();
    let (handed, faults) = read(&made, &|pages| {
        let mut handed = BTreeSet::new();
        let mut count = 0;
        let faults = pages.walk(
            Tree { root: made.roots[0], of_index: false, order: keys::Ordered::UNKNOWN },
            &mut pages.bits(),
            &mut |met, _| {
                handed.insert(met.page);
                count += 1;
                Ok(false)
            },
        );
        assert_eq!(count, handed.len());
        (handed.len(), faults.unwrap().pages)
    });
    assert!(handed > 0 && faults >= cells as u64, "{handed} {faults}");
}

#[test]
fn chains_that_lead_nowhere_are_followed_within_a_budget() {
    let made = made("PRAGMA page_size = 512");
    let path = made.folder.path().join("made.db");
    let tree = Tree { root: made.roots[0], of_index: false, order: keys::Ordered::UNKNOWN };
    let long = |pages: &Pages<'_>, work: &mut dyn FnMut(&Payload<'_>)| {
        let walked = pages.walk(tree, &mut pages.bits(), &mut |met, _| {
            let cells = (0..met.node.cells).filter_map(|index| met.node.cell(index));
            cells.filter(|cell| cell.payload.overflow != 0).for_each(|cell| work(&cell.payload));
            Ok(true)
        });
        walked.unwrap();
    };
    let mut first = Vec::new();
    let mut noted = std::cell::RefCell::new(Vec::new());
    read(&made, &|pages| long(pages, &mut |payload| noted.borrow_mut().push(payload.overflow)));
    first.append(noted.get_mut());
    assert!(!first.is_empty());
    let mut bytes = std::fs::read(&path).unwrap();
    for page in first {
        let second = node::number(&bytes, (page as usize - 1) * 512) as usize;
        bytes[(second - 1) * 512..(second - 1) * 512 + 4].copy_from_slice(&page.to_be_bytes());
    }
    std::fs::write(&path, &bytes).unwrap();
    let (failed, count) = read(&made, &|pages| {
        for _ in 0..3000 {
            long(pages, &mut |payload| {
                assert!(!pages.payload(payload, &mut pages.bits(), &mut Vec::new()).unwrap())
            });
        }
        (pages.failed.get(), u64::from(pages.count))
    });
    assert!(
        failed > count && failed <= FAILED_PAGES_EACH * count + FAILED_PAGES_MIN + 4,
        "{failed} of {count}"
    );
}
