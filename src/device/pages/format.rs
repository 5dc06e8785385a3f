//! Owns how a database file is written: page size, reserved bytes, encoding, from its header or
//! from its pages.
//! Promises: a header is believed where pages are as it says; where it is gone, what most of the
//! pages looked at agree on counts.
//! Never looks at more than [`SAMPLES`] places for each page size.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::node::{number, Node};
use super::record::{types, values, Type, Value};
use super::Pages;
use crate::error::Failure;

/// Places that are looked at for each page size.
const SAMPLES: u64 = 256;
/// SQLite's least and most.
const PAGE_BYTES: [usize; 8] = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
/// SQLite takes no less for content.
const USABLE_BYTES_MIN: usize = 480;

/// How text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16, the low byte first.
    Utf16le,
    /// UTF-16, the high byte first.
    Utf16be,
}

impl Encoding {
    /// A letter takes two bytes.
    pub fn is_wide(self) -> bool {
        self != Encoding::Utf8
    }

    /// The text in UTF-8.
    pub fn text(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        let unit = |pair: &[u8]| {
            let pair: [u8; 2] = pair.try_into().unwrap_or_default();
            if self == Encoding::Utf16be {
                u16::from_be_bytes(pair)
            } else {
                u16::from_le_bytes(pair)
            }
        };
        if self == Encoding::Utf8 {
            return Cow::Borrowed(bytes);
        }
        let units: Vec<u16> = bytes.chunks_exact(2).map(unit).collect();
        Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Not known yet.
    Unread,
    /// As its header says.
    Said(Layout, Lists),
    /// As its pages look.
    Seen(Layout),
}

/// What is needed to read a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    page_bytes: usize,
    usable: usize,
    encoding: Encoding,
}

/// What a header says of pages that no tree has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lists {
    /// The first page that lists free ones; 0 for none.
    pub free_head: u32,
    /// How many pages are free.
    pub free_count: u32,
    /// There are pages that say what each page is for.
    pub pointer_maps: bool,
}

impl Format {
    fn layout(&self) -> Option<&Layout> {
        match self {
            Format::Unread => None,
            Format::Said(layout, _) | Format::Seen(layout) => Some(layout),
        }
    }

    pub(super) fn page_bytes(&self) -> usize {
        self.layout().map_or(0, |layout| layout.page_bytes)
    }

    pub(super) fn usable(&self) -> usize {
        self.layout().map_or(0, |layout| layout.usable)
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.layout().map_or(Encoding::Utf8, |layout| layout.encoding)
    }

    pub(super) fn lists(&self) -> Option<&Lists> {
        match self {
            Format::Said(_, lists) => Some(lists),
            Format::Unread | Format::Seen(_) => None,
        }
    }
}

/// A file, before any page of it is read.
pub struct Found {
    /// How it is written.
    pub format: Format,
    /// Pages that it has.
    pub count: u64,
    /// Pages that its header says it has, where SQLite would believe it.
    pub counted: Option<u64>,
}

/// How the file is written, and how many pages it has.
pub fn find(pages: &mut Pages<'_>, size: u64) -> Result<Option<Found>, Failure> {
    let logged = pages
        .frames
        .as_ref()
        .map(|frames| (frames.page_bytes, frames.pages, frames.held.get(&1).copied()));
    let mut header = Vec::new();
    match (logged, pages.source.log) {
        (Some((_, _, Some(at))), Some(log)) => pages.read_at(log, at, 100, &mut header)?,
        _ => pages.read_at(pages.source.main, 0, 100, &mut header)?,
    };
    let said = said(&header)
        .filter(|(layout, _)| logged.is_none_or(|(bytes, ..)| bytes == layout.page_bytes as u64));
    let count = |bytes: usize| logged.map_or(size.div_ceil(bytes as u64), |(_, pages, _)| pages);
    if let Some((layout, lists)) = said {
        let votes = vote(pages, size, layout.page_bytes)?;
        // A file of a few pages may have none that is sound.
        let sound = votes.ends.get(&layout.usable).copied().unwrap_or(0);
        if sound > 0 && sound * 4 >= votes.nodes
            || size <= layout.page_bytes as u64
            || logged.is_some()
        {
            let counted = number(&header, 24) == number(&header, 92)
                && number(&header, 28) > 0
                && logged.is_none();
            let counted = counted.then(|| u64::from(number(&header, 28)));
            let count = count(layout.page_bytes).min(counted.unwrap_or(u64::MAX));
            return Ok(Some(Found { format: Format::Said(layout, lists), count, counted }));
        }
    }
    let mut best: Option<(u64, Layout)> = None;
    for page_bytes in
        PAGE_BYTES.into_iter().filter(|bytes| logged.is_none_or(|(page, ..)| page == *bytes as u64))
    {
        let votes = vote(pages, size, page_bytes)?;
        let least = (page_bytes - 255).max(USABLE_BYTES_MIN);
        let Some((usable, sound)) =
            votes.ends.iter().filter(|(end, _)| **end >= least).max_by_key(|(_, votes)| **votes)
        else {
            continue;
        };
        // As many samples of larger pages stand for more bytes.
        let weight = sound.saturating_mul(page_bytes as u64)
            * (size / page_bytes as u64).clamp(1, u64::MAX)
            / votes.places.max(1);
        if best.as_ref().is_none_or(|(most, _)| weight > *most) {
            best =
                Some((weight, Layout { page_bytes, usable: *usable, encoding: votes.encoding() }));
        }
    }
    Ok(best.map(|(_, layout)| Found {
        format: Format::Seen(layout),
        count: count(layout.page_bytes),
        counted: None,
    }))
}

/// What a header says, where it can be one.
fn said(header: &[u8]) -> Option<(Layout, Lists)> {
    let byte = |at: usize| header.get(at).copied().unwrap_or(0);
    let page_bytes = match usize::from(u16::from_be_bytes([byte(16), byte(17)])) {
        1 => 65_536,
        bytes => bytes,
    };
    let usable = page_bytes.checked_sub(usize::from(byte(20)))?;
    // SQLite looks at no other bits of it.
    let encoding = match number(header, 56) & 3 {
        2 => Encoding::Utf16le,
        3 => Encoding::Utf16be,
        _ => Encoding::Utf8,
    };
    let known = header.get(21..24) == Some(&[64, 32, 32])
        && PAGE_BYTES.contains(&page_bytes)
        && usable >= USABLE_BYTES_MIN;
    let lists = Lists {
        free_head: number(header, 32),
        free_count: number(header, 36),
        pointer_maps: number(header, 52) != 0,
    };
    known.then_some((Layout { page_bytes, usable, encoding }, lists))
}

/// What some places of the file look like, taken for pages of one size.
#[derive(Default)]
struct Votes {
    places: u64,
    /// Those that look like pages of a tree.
    nodes: u64,
    /// By where their content ends.
    ends: BTreeMap<usize, u64>,
    /// Texts that cannot be UTF-16; with the low byte first; with the high byte first.
    texts: [u64; 3],
}

impl Votes {
    fn encoding(&self) -> Encoding {
        match self.texts {
            [plain, low, high] if low > plain && low >= high => Encoding::Utf16le,
            [plain, _, high] if high > plain => Encoding::Utf16be,
            _ => Encoding::Utf8,
        }
    }
}

fn vote(pages: &Pages<'_>, size: u64, page_bytes: usize) -> Result<Votes, Failure> {
    let all = size / page_bytes as u64;
    let stride = (all / SAMPLES).max(1);
    let mut votes = Votes::default();
    let mut page = Vec::new();
    for place in (0..all).step_by(usize::try_from(stride).unwrap_or(usize::MAX)) {
        pages.read_at(pages.source.main, place * page_bytes as u64, page_bytes, &mut page)?;
        votes.places += 1;
        let Some(node) = Node::of(&page, place == 0, page_bytes).filter(|node| node.cells > 0)
        else {
            continue;
        };
        votes.nodes += 1;
        // Cells with overflow pages depend on the reserved bytes; what they leave on the page is
        // not asked of them here.
        if let Some(end) = node.end() {
            *votes.ends.entry(end).or_default() += 1;
            votes.count_texts(&node);
        }
    }
    Ok(votes)
}

impl Votes {
    fn count_texts(&mut self, node: &Node<'_>) {
        for cell in (0..node.cells).filter_map(|index| node.cell(index)) {
            let Some(record) =
                Some(cell.payload).filter(|payload| payload.bytes == payload.local.len() as u64)
            else {
                continue;
            };
            if types(record.local, record.bytes).is_none_or(|types| !types.contains(&Type::Text)) {
                continue;
            }
            for value in values(record.local).unwrap_or_default() {
                if let Value::Text(text) = value {
                    self.count_text(text);
                }
            }
        }
    }

    /// Latin text in UTF-16 has a zero in every other byte, and text in UTF-8 has none.
    fn count_text(&mut self, text: &[u8]) {
        let zeros =
            |from: usize| text.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
        let [plain, low, high] = &mut self.texts;
        match (zeros(0), zeros(1)) {
            (0, 0) if text.len() > 3 => *plain += 1,
            (0, odd) if text.len().is_multiple_of(2) && odd > 0 => *low += 1,
            (even, 0) if text.len().is_multiple_of(2) && even > 0 => *high += 1,
            _ => {}
        }
    }
}
