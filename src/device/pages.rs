//! Owns reading a database file page by page, without SQLite: the newest committed copy of a page,
//! and the payload of a cell.
//! Promises: any bytes are read to an answer; a claimed size is checked against the file; at most
//! [`PAYLOAD_BYTES_MAX`] of it at once.
//! Never writes, and never says which table a page belongs to.

pub mod bits;
mod format;
pub mod free;
pub mod header;
pub mod keys;
pub mod node;
pub mod record;
pub mod shape;
pub mod soundness;
pub mod tree;
pub mod unreached;

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::device::disk::{File, Op};
use crate::device::wal::{self, Frames};
use crate::error::{Class, Failure};
use bits::Bits;
pub use format::Encoding;
use format::{Format, Found};
use node::{Node, Payload};

/// The longest row that is put together from its overflow pages. It, and some bits for each page,
/// is what the reader holds in memory.
pub const PAYLOAD_BYTES_MAX: u64 = 16 << 20;
/// How often, for each page of the file, an overflow page is read for a payload that is not whole;
/// after that none is put together. Of many cells that lead into one long chain each reads all of
/// it.
const FAILED_PAGES_EACH: u64 = 4;
/// The same for any file: one of few pages has as many chains that were left behind on each of
/// them.
const FAILED_PAGES_MIN: u64 = 4096;
/// Pages of the largest file that is read: a bit for each is 2 MiB.
const PAGES_MAX: u64 = 1 << 24;

/// What is read, and how that ends before its end.
#[derive(Clone, Copy)]
pub struct PageSource<'a> {
    /// The main file.
    pub main: &'a dyn File,
    /// Its write-ahead log; `None` where there is none.
    pub log: Option<&'a dyn File>,
    /// Where the main file lies, for failures.
    pub path: &'a Path,
    /// For failures.
    pub op: Op,
    /// Raised by a stop signal.
    pub stop: &'a AtomicBool,
}

/// A database file as numbered pages.
pub struct Pages<'a> {
    source: PageSource<'a>,
    frames: Option<Frames>,
    /// How it is written.
    pub(super) format: Format,
    /// The number of the last page.
    pub count: u32,
    /// Overflow pages of payloads that were not whole.
    failed: Cell<u64>,
    /// Pages that its header counts and that are not there; `None` where it counts none.
    pub missing: Option<u64>,
}

impl<'a> Pages<'a> {
    /// Finds out how the file is written: from its header, or from its pages where that is gone.
    /// `None` where neither can say.
    ///
    /// # Errors
    /// As `read`.
    pub fn open(source: PageSource<'a>) -> Result<Option<Pages<'a>>, Failure> {
        let failed = |error: std::io::Error| Failure::io(source.op, source.path, &error);
        let size = source.main.stat().map_err(failed)?.size;
        let frames =
            source.log.map_or(Ok(None), |log| wal::frames(log, source.stop)).map_err(failed)?;
        let format = Format::Unread;
        let mut pages =
            Pages { source, frames, format, count: 0, failed: Cell::new(0), missing: None };
        let Some(Found { format, count, counted }) = format::find(&mut pages, size)? else {
            return Ok(None);
        };
        if count == 0 || count > PAGES_MAX {
            return Ok(None);
        }
        (pages.format, pages.count) = (format, u32::try_from(count).unwrap_or(u32::MAX));
        pages.missing = counted.map(|counted| counted.saturating_sub(count));
        Ok(Some(pages))
    }

    /// One bit for each page, none of them set.
    pub fn bits(&self) -> Bits {
        Bits::new(self.count)
    }

    /// Text is written so.
    pub fn encoding(&self) -> Encoding {
        self.format.encoding()
    }

    /// Bytes of a page.
    pub fn page_bytes(&self) -> u64 {
        self.format.page_bytes() as u64
    }

    /// Bytes of a page that hold content.
    pub(super) fn usable(&self) -> usize {
        self.format.usable()
    }

    /// The page, as the last commit left it, no longer than the file has it; `false` where it has
    /// none of this number.
    ///
    /// # Errors
    /// As `read`; interrupted.
    pub fn read(&self, number: u32, page: &mut Vec<u8>) -> Result<bool, Failure> {
        if number == 0 || number > self.count {
            return Ok(false);
        }
        let bytes = self.format.page_bytes();
        let logged =
            self.frames.as_ref().and_then(|frames| frames.held.get(&u64::from(number)).copied());
        let (file, at) = match (self.source.log, logged) {
            (Some(log), Some(at)) => (log, at),
            _ => (self.source.main, u64::from(number - 1) * bytes as u64),
        };
        // What a file that ends within a page does not have is no content: zeros would be.
        let there = self.read_at(file, at, bytes, page)?;
        page.truncate(there);
        Ok(true)
    }

    /// What was read as a page of a tree; `None` where it is none.
    pub fn node<'p>(&self, page: &'p [u8], number: u32) -> Option<Node<'p>> {
        Node::of(page, number == 1, self.usable())
    }

    /// So many bytes, zeros behind the end of the file; and how many are there.
    fn read_at(
        &self,
        file: &dyn File,
        at: u64,
        bytes: usize,
        into: &mut Vec<u8>,
    ) -> Result<usize, Failure> {
        let source = &self.source;
        if source.stop.load(Ordering::Relaxed) {
            return Err(Failure::new(Class::Interrupted, source.op, "a stop signal came"));
        }
        into.clear();
        into.resize(bytes, 0);
        file.read_at(at, into).map_err(|error| Failure::io(source.op, source.path, &error))
    }

    /// All bytes of a cell's payload, its overflow pages in `used`; `false` where they are not all
    /// there, or others use them.
    ///
    /// # Errors
    /// As [`Pages::read`].
    pub fn payload(
        &self,
        cell: &Payload<'_>,
        used: &mut Bits,
        into: &mut Vec<u8>,
    ) -> Result<bool, Failure> {
        into.clear();
        let room = u64::from(self.count).saturating_mul(self.usable() as u64);
        let budget = FAILED_PAGES_EACH * u64::from(self.count) + FAILED_PAGES_MIN;
        let exhausted = cell.overflow != 0 && self.failed.get() > budget;
        if cell.bytes > PAYLOAD_BYTES_MAX.min(room) || exhausted {
            return Ok(false);
        }
        let wanted = usize::try_from(cell.bytes).unwrap_or(usize::MAX);
        into.extend_from_slice(cell.local);
        let mut chain = Vec::new();
        let whole =
            self.follow(cell.overflow, wanted, &mut Chain { pages: &mut chain, used }, into)?;
        if !whole {
            self.failed.set(self.failed.get().saturating_add(chain.len() as u64 + 1));
            chain.into_iter().for_each(|page| used.clear(page));
        }
        Ok(whole)
    }

    fn follow(
        &self,
        mut next: u32,
        wanted: usize,
        chain: &mut Chain<'_>,
        into: &mut Vec<u8>,
    ) -> Result<bool, Failure> {
        let mut page = Vec::new();
        while into.len() < wanted {
            // A page of zeros is one that was lost: SQLite would take it for the end.
            if chain.used.has(next)
                || !self.read(next, &mut page)?
                || page.iter().all(|byte| *byte == 0)
            {
                return Ok(false);
            }
            chain.used.set(next);
            chain.pages.push(next);
            let part = self.usable().saturating_sub(4).min(wanted - into.len());
            next = node::number(&page, 0);
            into.extend_from_slice(page.get(4..4 + part).unwrap_or(&[]));
            if part == 0 {
                return Ok(false);
            }
        }
        // SQLite ends each chain so.
        Ok(next == 0)
    }
}

/// Overflow pages that one payload has met.
struct Chain<'a> {
    pages: &'a mut Vec<u32>,
    used: &'a mut Bits,
}

#[cfg(test)]
#[path = "pages/tests.rs"]
mod tests;
