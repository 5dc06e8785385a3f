//! Owns copying a file of which the medium has lost some of the content.
//! Promises: what can be read is copied byte for byte; a page of which a part cannot be read is
//! zeros as a whole, which no reader takes for a page; each is counted.
//! Never tries a place again: a medium that fails gets worse with every read.

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::device::disk::{go_on, Disk, File, Op, Open};

/// What is read at once where nothing is known to be lost, and of a file without a header that says
/// how long its pages are.
const BLOCK_BYTES: usize = 4096;
/// Pages of a database and their offset in its header.
const PAGE_BYTES_AT: usize = 16;
const PAGE_BYTES_MAX: usize = 65_536;

/// What could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// Pages of main.
    pub pages: u64,
    /// Bytes of each.
    pub page_bytes: u64,
    /// The byte of main at which the first begins.
    pub first: u64,
    /// The WAL or the journal has such a place: its name.
    pub beside: Option<String>,
    /// What the system said.
    pub said: String,
}

impl Unread {
    /// Of main, in words; `None` where all of it was read.
    pub fn of_main(&self) -> Option<String> {
        let pages = if self.pages == 1 { "page" } else { "pages" };
        (self.pages > 0).then(|| {
            format!(
                "{} {pages} of {} bytes cannot be read from the medium, the first at byte {}, and \
                 count as damaged ({})",
                self.pages, self.page_bytes, self.first, self.said
            )
        })
    }

    /// What is lost with a WAL or a journal that ends too early.
    pub fn lost_beside(&self) -> Option<String> {
        self.beside.as_ref().map(|name| {
            format!("what {name} has from the place on that cannot be read ({})", self.said)
        })
    }
}

/// The medium, and nothing else, refuses the bytes.
pub fn is_lost(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}

/// Copies `from` to `to`, which is not there. `main`: it is a database file.
///
/// # Errors
/// As `open`, `write` and any failure of `read` but that of the medium; interrupted.
pub fn copy_readable(
    disk: &dyn Disk,
    op: Op,
    (from, to): (&Path, &Path),
    stop: &AtomicBool,
    (main, unread): (bool, &mut Unread),
) -> io::Result<()> {
    let source = disk.open(op, from, Open::Read)?;
    let copy = disk.open(op, to, Open::CreateNew { mode: 0o600 })?;
    let size = source.stat()?.size;
    let unit = if main { page_bytes(&*source) } else { BLOCK_BYTES };
    let mut block = vec![0; unit];
    let mut at = 0;
    while at < size {
        go_on(stop)?;
        let wanted = usize::try_from(size - at).unwrap_or(unit).min(unit);
        let part = block.get_mut(..wanted).unwrap_or_default();
        match source.read_at(at, part) {
            Ok(bytes) if bytes == wanted => {}
            Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if is_lost(&error) => {
                part.fill(0);
                lost(unread, main, from, (at, unit), &error);
            }
            Err(error) => return Err(error),
        }
        copy.write_at(op, at, part)?;
        at += wanted as u64;
    }
    Ok(())
}

fn lost(unread: &mut Unread, main: bool, from: &Path, (at, unit): (u64, usize), error: &io::Error) {
    unread.said = crate::error::describe(error);
    if !main {
        unread.beside = Some(from.file_name().unwrap_or_default().to_string_lossy().into_owned());
        return;
    }
    if unread.pages == 0 {
        unread.first = at;
    }
    unread.pages += 1;
    unread.page_bytes = unit as u64;
}

/// A page, or a block where that is longer: a medium loses whole blocks.
fn page_bytes(main: &dyn File) -> usize {
    let mut header = [0; PAGE_BYTES_AT + 2];
    let read = main.read_at(0, &mut header).is_ok_and(|bytes| bytes == header.len());
    let said = match header.get(PAGE_BYTES_AT..) {
        Some([0, 1]) => PAGE_BYTES_MAX,
        Some([high, low]) => usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    };
    let is_size = read && said.is_power_of_two();
    if is_size {
        said.max(BLOCK_BYTES)
    } else {
        BLOCK_BYTES
    }
}
