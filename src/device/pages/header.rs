//! Owns the header of a file as it should be: what its pages say of it, and what is left of its
//! own.
//! Promises: a field that SQLite reads pages by is what the pages agree on; the application's own
//! fields count only where what stands around them is untouched.
//! Never reads a file.

use super::format::{Encoding, Format};
use super::node::number;
use super::{Pages, PAGES_MAX};
use crate::device::files::HEADER_BYTES;

/// First bytes of every SQLite file.
pub const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Parts of a page that SQLite has never written otherwise.
const FRACTIONS: [u8; 3] = [64, 32, 32];
/// The schema format of what SQLite writes today, and its greatest.
const SCHEMA_FORMAT: u32 = 4;

/// How pages are made, and how free ones are given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Bytes of a page.
    pub page_bytes: u32,
    /// As `PRAGMA auto_vacuum` has it.
    pub auto_vacuum: u8,
}

/// What an application has put into a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// As `PRAGMA application_id` has it.
    pub application: i32,
    /// As `PRAGMA user_version` has it.
    pub user: i32,
}

/// Those of a header, damaged or not; `None` where what stands around them is not as it was.
pub fn numbers(header: &[u8]) -> Option<Numbers> {
    let at = |at: usize| number(header, at).cast_signed();
    is_untouched(header).then(|| Numbers { application: at(68), user: at(60) })
}

/// A whole header of a file in WAL mode.
pub fn is_wal(header: &[u8]) -> bool {
    header.get(..16) == Some(MAGIC.as_slice()) && header.get(18..20) == Some([2, 2].as_slice())
}

/// What a whole header says of it; `None` where the header is not whole.
pub fn made(header: &[u8]) -> Option<Made> {
    let page_bytes = match number(header, 16) >> 16 {
        1 => 65_536,
        bytes => bytes,
    };
    let whole = header.get(..16) == Some(MAGIC.as_slice())
        && is_untouched(header)
        && page_bytes.is_power_of_two()
        && (512..=65_536).contains(&page_bytes);
    let auto_vacuum = match (number(header, 52), number(header, 64)) {
        (0, _) => 0,
        (_, 0) => 1,
        _ => 2,
    };
    whole.then_some(Made { page_bytes, auto_vacuum })
}

/// What is the same in every header is there, before and behind the application's own fields.
fn is_untouched(header: &[u8]) -> bool {
    header.get(21..24) == Some(&FRACTIONS)
        && header.get(72..92).is_some_and(|reserved| reserved.iter().all(|byte| *byte == 0))
}

/// A header by which SQLite can read the pages.
pub struct Header {
    /// In place of the first bytes of the file.
    pub bytes: [u8; HEADER_BYTES],
    /// Bytes of the pages that it counts.
    pub size: u64,
    /// The application's own fields are as they were; else they are zeros.
    pub own_fields: bool,
}

impl Pages<'_> {
    /// The header that the file should have. Pages that the damaged one counts and the file does
    /// not have are counted too: what leads to them is damaged, and nothing else is.
    pub fn header(&self, damaged: &[u8]) -> Header {
        let own_fields = is_untouched(damaged);
        let mut bytes = [0; HEADER_BYTES];
        if own_fields {
            bytes.iter_mut().zip(damaged).for_each(|(byte, old)| *byte = *old);
        }
        let page_bytes = self.format.page_bytes();
        let there = u64::from(self.count);
        let all = Some(there.saturating_add(self.missing.unwrap_or(0)));
        let count = all.filter(|all| *all <= PAGES_MAX).unwrap_or(there);
        let mut put = |at: usize, field: &[u8]| {
            bytes.iter_mut().skip(at).zip(field).for_each(|(byte, new)| *byte = *new);
        };
        put(0, MAGIC);
        // 65536 does not fit, and is written as 1.
        put(16, &u16::try_from(page_bytes).unwrap_or(1).to_be_bytes());
        // A rollback journal's: beside it lies no WAL.
        put(18, &[1, 1]);
        put(20, &[u8::try_from(page_bytes.saturating_sub(self.format.usable())).unwrap_or(0)]);
        put(21, &FRACTIONS);
        put(28, &u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        put(92, &number(damaged, 24).to_be_bytes());
        put(24, &number(damaged, 24).to_be_bytes());
        let free = match &self.format {
            Format::Said(_, lists)
                if u64::from(lists.free_head) <= count && u64::from(lists.free_count) < count =>
            {
                (lists.free_head, lists.free_count)
            }
            _ => (0, 0),
        };
        put(32, &free.0.to_be_bytes());
        put(36, &free.1.to_be_bytes());
        let schema_format = match number(damaged, 44) {
            format @ 1..=SCHEMA_FORMAT if own_fields => format,
            _ => SCHEMA_FORMAT,
        };
        put(44, &schema_format.to_be_bytes());
        let encoding: u32 = match self.format.encoding() {
            Encoding::Utf8 => 1,
            Encoding::Utf16le => 2,
            Encoding::Utf16be => 3,
        };
        put(56, &encoding.to_be_bytes());
        Header { bytes, size: count * page_bytes as u64, own_fields }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_how_pages_are_made_where_it_is_whole() {
        let mut header = [0; HEADER_BYTES];
        header[..16].copy_from_slice(MAGIC);
        header[16..24].copy_from_slice(&[2, 0, 1, 1, 0, 64, 32, 32]);
        assert_eq!(made(&header), Some(Made { page_bytes: 512, auto_vacuum: 0 }));
        header[55] = 9;
        assert_eq!(made(&header), Some(Made { page_bytes: 512, auto_vacuum: 1 }));
        header[67] = 1;
        assert_eq!(made(&header), Some(Made { page_bytes: 512, auto_vacuum: 2 }));
        header[16..18].copy_from_slice(&[0, 1]);
        assert_eq!(made(&header), Some(Made { page_bytes: 65_536, auto_vacuum: 2 }));
        for (at, byte) in [(0, b'x'), (16, 3), (17, 3), (22, 31), (80, 1)] {
            let mut damaged = header;
            damaged[at] = byte;
            assert_eq!(made(&damaged), None, "byte {at}");
        }
    }
}
