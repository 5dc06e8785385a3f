//! Owns reading a write-ahead log by its format: which pages its commits hold, and of which main
//! file they are the continuation.
//! Promises: a frame counts as SQLite counts it, by salts and checksums up to the last commit;
//! reads in pieces of one page.
//! Never writes, and never decides what a log that does not fit means.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicBool;

use crate::device::disk::{go_on, File};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// Checksums are of little-endian words; of big-endian ones where the last bit is set.
const MAGIC: u32 = 0x377f_0682;
/// Where the lock bytes are: the page that has them is never written.
const LOCK_BYTE: u64 = 0x4000_0000;
const PAGE_BYTES_MAX: usize = 65_536;

/// What the commits of a log say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Commits {
    page_bytes: u64,
    /// Pages of the database after the last commit; 0 without one.
    pages: u64,
    /// Pages that it holds, and where the newest copy of each lies.
    held: BTreeMap<u64, u64>,
    /// The change counters of its first and last page 1.
    counters: Option<(u32, u32)>,
}

/// The newest committed copies of pages in a log.
#[derive(Debug)]
pub struct Frames {
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Pages of the database after the last commit.
    pub pages: u64,
    /// Where each page lies in the log.
    pub held: BTreeMap<u64, u64>,
}

/// Where a log has pages that count; `None` where it has no commit.
///
/// # Errors
/// As `read`.
pub fn frames(wal: &dyn File, stop: &AtomicBool) -> io::Result<Option<Frames>> {
    let Commits { page_bytes, pages, held, .. } = read(wal, stop)?;
    Ok((pages > 0).then_some(Frames { page_bytes, pages, held }))
}

/// Why a main file of this header and size cannot be what the log was written beside; `None` where
/// it can, or where the log has no commit.
///
/// # Errors
/// As `read`.
pub fn misfit(
    wal: &dyn File,
    main_header: &[u8],
    main_bytes: u64,
    stop: &AtomicBool,
) -> io::Result<Option<String>> {
    let commits = read(wal, stop)?;
    if commits.pages == 0 {
        return Ok(None);
    }
    // Main grows only by a checkpoint of what the log held, so that every page is in one of both.
    let missing = commits.missing(main_bytes / commits.page_bytes);
    if missing > 0 {
        return Ok(Some(format!("{missing} pages are neither in it nor in its WAL")));
    }
    let main_counter = number(main_header, 24);
    Ok(commits.counters.and_then(|(first, last)| {
        // The first page 1 of a log counts one up from main's, or has the same count; a checkpoint
        // copies any of them.
        let (since, until) = (
            main_counter.wrapping_sub(first.wrapping_sub(1)),
            last.wrapping_sub(first.wrapping_sub(1)),
        );
        (since > until).then(|| {
            format!(
                "its change counter is {main_counter}, and its WAL goes on from {}",
                first.wrapping_sub(1)
            )
        })
    }))
}

impl Commits {
    /// Pages behind the end of a main file of so many that it does not hold. A commit may claim
    /// four thousand million of them.
    fn missing(&self, main_pages: u64) -> u64 {
        if self.pages <= main_pages {
            return 0;
        }
        let behind = main_pages + 1..=self.pages;
        let lock_page = LOCK_BYTE / self.page_bytes.max(1) + 1;
        let never_written =
            u64::from(behind.contains(&lock_page) && !self.held.contains_key(&lock_page));
        (self.pages - main_pages)
            .saturating_sub(self.held.range(behind).count() as u64)
            .saturating_sub(never_written)
    }
}

/// What its commits say; `Interrupted` where `stop` is raised meanwhile.
fn read(wal: &dyn File, stop: &AtomicBool) -> io::Result<Commits> {
    let mut header = [0; HEADER_BYTES];
    let mut commits = Commits::default();
    if wal.read_at(0, &mut header)? < HEADER_BYTES {
        return Ok(commits);
    }
    let page_bytes = number(&header, 8) as usize;
    let magic = number(&header, 0);
    let sum = Sum::default().of(header.get(..24).unwrap_or(&[]), magic & 1 == 1);
    let sealed = (number(&header, 24), number(&header, 28)) == (sum.0, sum.1);
    if magic & !1 != MAGIC
        || !sealed
        || !page_bytes.is_power_of_two()
        || !(512..=PAGE_BYTES_MAX).contains(&page_bytes)
    {
        return Ok(commits);
    }
    commits.page_bytes = page_bytes as u64;
    let (mut sum, mut offset) = (sum, HEADER_BYTES as u64);
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
    let (mut held, mut counters) = (Vec::new(), commits.counters);
    while wal.read_at(offset, &mut frame)? == frame.len() {
        go_on(stop)?;
        let (head, page) = frame.split_at(FRAME_HEADER_BYTES);
        let (pgno, pages) = (u64::from(number(head, 0)), u64::from(number(head, 4)));
        sum = sum.of(head.get(..8).unwrap_or(&[]), magic & 1 == 1).of(page, magic & 1 == 1);
        if head.get(8..16) != header.get(16..24)
            || (number(head, 16), number(head, 20)) != (sum.0, sum.1)
            || pgno == 0
        {
            break;
        }
        held.push((pgno, offset + FRAME_HEADER_BYTES as u64));
        if pgno == 1 {
            let counter = number(page, 24);
            counters = Some((counters.map_or(counter, |(first, _)| first), counter));
        }
        if pages > 0 {
            commits.pages = pages;
            commits.held.extend(held.drain(..));
            commits.counters = counters;
        }
        offset += frame.len() as u64;
    }
    Ok(commits)
}

/// Four big-endian bytes; 0 where they are not there.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// The running checksum of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum(u32, u32);

impl Sum {
    fn of(self, bytes: &[u8], big_endian: bool) -> Sum {
        let word = |bytes: &[u8]| {
            let bytes: [u8; 4] = bytes.try_into().unwrap_or_default();
            if big_endian {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
        };
        bytes.chunks_exact(8).fold(self, |Sum(one, two), pair| {
            let (first, second) = pair.split_at(4);
            let one = one.wrapping_add(word(first)).wrapping_add(two);
            Sum(one, two.wrapping_add(word(second)).wrapping_add(one))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::device::disk::{Disk, Op, Open, SystemDisk};

    #[test]
    fn pages_that_a_commit_claims_are_counted_and_not_looked_up_one_by_one() {
        let commits = |pages: u64, held: &[u64]| Commits {
            page_bytes: 4096,
            pages,
            held: held.iter().map(|page| (*page, 0)).collect(),
            counters: None,
        };
        assert_eq!(commits(10, &[8, 9, 10]).missing(7), 0);
        assert_eq!(commits(10, &[8, 10]).missing(7), 1);
        assert_eq!(commits(7, &[]).missing(9), 0);
        assert_eq!(
            commits(u64::from(u32::MAX), &[3]).missing(2),
            u64::from(u32::MAX) - 4,
            "all but one, and the page of the lock"
        );
    }

    #[test]
    fn a_log_is_left_when_a_stop_signal_comes() {
        let folder = tempfile::tempdir().unwrap();
        let connection = rusqlite::Connection::open(folder.path().join("made.db")).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(a);").unwrap();
        let log = SystemDisk::default()
            .open(Op("test"), &folder.path().join("made.db-wal"), Open::Read)
            .unwrap();
        assert!(read(&*log, &AtomicBool::new(false)).unwrap().pages > 0);
        assert_eq!(
            read(&*log, &AtomicBool::new(true)).unwrap_err().kind(),
            io::ErrorKind::Interrupted
        );
    }
}
