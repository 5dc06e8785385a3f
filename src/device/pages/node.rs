//! Owns one page of a b-tree: its header, its cells, and what of a payload lies on it.
//! Promises: a cell is read only where all of it lies on the page; a page is sound where its parts
//! fill it to the byte.
//! Never follows a number of another page.

use super::record::varint;

/// What a page of a b-tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKind {
    /// Rows by their number.
    TableLeaf,
    /// Numbers that lead to rows.
    TableInterior,
    /// Entries of an index, or rows by their key.
    IndexLeaf,
    /// The same, that lead to more of them.
    IndexInterior,
}

/// A page of a b-tree.
#[derive(Debug, Clone, Copy)]
pub struct Node<'p> {
    page: &'p [u8],
    /// Where its header begins: behind the file's own on the first page.
    at: usize,
    /// What it holds.
    pub kind: PageKind,
    /// How many cells it says it has, as far as it has room for their pointers.
    pub cells: usize,
    usable: usize,
}

/// A cell.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'p> {
    /// The page that it leads to; 0 on a leaf.
    pub child: u32,
    /// The row number; 0 in an index.
    pub number: i64,
    /// Its record; of no byte on an interior page of a table.
    pub payload: Payload<'p>,
    /// Bytes on the page.
    size: usize,
}

/// A record, or the beginning of one.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'p> {
    /// All of its bytes.
    pub bytes: u64,
    /// Those on this page.
    pub local: &'p [u8],
    /// The page with the next ones; 0 where there are none.
    pub overflow: u32,
}

/// Four big-endian bytes; 0 where they are not there.
pub fn number(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at.saturating_add(4))
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

fn short(bytes: &[u8], at: usize) -> usize {
    bytes
        .get(at..at.saturating_add(2))
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, |bytes| usize::from(u16::from_be_bytes(bytes)))
}

impl<'p> Node<'p> {
    /// `None` where it is no page of a b-tree.
    pub fn of(page: &'p [u8], first: bool, usable: usize) -> Option<Node<'p>> {
        let at = if first { 100 } else { 0 };
        let kind = match page.get(at)? {
            2 => PageKind::IndexInterior,
            5 => PageKind::TableInterior,
            10 => PageKind::IndexLeaf,
            13 => PageKind::TableLeaf,
            _ => return None,
        };
        let mut node = Node { page, at, kind, cells: 0, usable };
        let room = node.usable.saturating_sub(node.pointers()) / 2;
        node.cells = short(page, at + 3);
        (node.cells <= room).then_some(node)
    }

    /// Where the pointers to its cells begin.
    fn pointers(&self) -> usize {
        self.at + if self.is_leaf() { 8 } else { 12 }
    }

    /// It leads to no other page.
    pub fn is_leaf(&self) -> bool {
        matches!(self.kind, PageKind::TableLeaf | PageKind::IndexLeaf)
    }

    /// It belongs to an index, or to a table whose rows are kept by their key.
    pub fn is_of_index(&self) -> bool {
        matches!(self.kind, PageKind::IndexLeaf | PageKind::IndexInterior)
    }

    /// The page that its last pointer leads to.
    pub fn right(&self) -> u32 {
        if self.is_leaf() {
            0
        } else {
            number(self.page, self.at + 8)
        }
    }

    /// The cell at this place; `None` where it is not whole.
    pub fn cell(&self, index: usize) -> Option<Cell<'p>> {
        let start = self.start(index);
        let first = self.pointers() + 2 * self.cells;
        // A page at the end of the file may be cut off.
        let end = self.usable.min(self.page.len());
        let bytes = self.page.get(start..end).filter(|_| index < self.cells && start >= first)?;
        let none = Payload { bytes: 0, local: &[], overflow: 0 };
        let (child, mut at) = if self.is_leaf() { (0, 0) } else { (number(bytes, 0), 4) };
        if self.kind == PageKind::TableInterior {
            let (key, size) = varint(bytes.get(at..)?)?;
            return Some(Cell { child, number: key as i64, payload: none, size: at + size });
        }
        let (all, size) = varint(bytes.get(at..)?)?;
        at += size;
        let mut key = 0;
        if self.kind == PageKind::TableLeaf {
            let (number, size) = varint(bytes.get(at..)?)?;
            (key, at) = (number as i64, at + size);
        }
        let here = self.local(all);
        let local = bytes.get(at..at + here)?;
        let more = all > here as u64;
        let overflow = if more { number(bytes.get(..at + here + 4)?, at + here) } else { 0 };
        let size = at + here + if more { 4 } else { 0 };
        Some(Cell { child, number: key, payload: Payload { bytes: all, local, overflow }, size })
    }

    /// How much of a payload of this size lies on the page itself.
    fn local(&self, all: u64) -> usize {
        let usable = self.usable as u64;
        let most = if self.kind == PageKind::TableLeaf {
            usable.saturating_sub(35)
        } else {
            (usable.saturating_sub(12) * 64 / 255).saturating_sub(23)
        };
        if all <= most {
            return all as usize;
        }
        let least = (usable.saturating_sub(12) * 32 / 255).saturating_sub(23);
        let part = least + (all - least) % usable.saturating_sub(4).max(1);
        (if part <= most { part } else { least }) as usize
    }

    /// Where its content ends, by what it says of its cells and of the space between them; `None`
    /// where that is impossible.
    pub fn end(&self) -> Option<usize> {
        let content = match short(self.page, self.at + 5) {
            0 => 65_536,
            at => at,
        };
        if content < self.pointers() + 2 * self.cells {
            return None;
        }
        let mut sum = content + usize::from(*self.page.get(self.at + 7)?);
        let mut block = short(self.page, self.at + 1);
        while block != 0 {
            let (next, size) = (short(self.page, block), short(self.page, block + 2));
            if block < content || size < 4 || (next != 0 && next < block + size) {
                return None;
            }
            sum += size;
            block = next;
        }
        for index in 0..self.cells {
            sum += self.cell(index)?.size.max(4);
        }
        (sum <= self.page.len()).then_some(sum)
    }

    /// Bytes that another cell and its pointer could take.
    pub fn room(&self) -> usize {
        let cells: usize =
            (0..self.cells).filter_map(|index| self.cell(index)).map(|cell| cell.size.max(4)).sum();
        self.usable.saturating_sub(self.pointers() + 2 * self.cells + cells)
    }

    /// Cells that share no byte with another one, in order.
    pub fn cells_alone(&self) -> Vec<usize> {
        let place = |index| {
            self.cell(index).map(|cell| (self.start(index), self.start(index) + cell.size, index))
        };
        let mut places: Vec<(usize, usize, usize)> = (0..self.cells).filter_map(place).collect();
        places.sort_unstable();
        let (mut alone, mut end) = (Vec::new(), 0);
        let next = places.iter().skip(1).map(|(start, ..)| *start).chain([usize::MAX]);
        for ((start, stop, index), next) in places.iter().zip(next) {
            if *start >= end && *stop <= next {
                alone.push(*index);
            }
            end = end.max(*stop);
        }
        alone.sort_unstable();
        alone
    }

    fn start(&self, index: usize) -> usize {
        short(self.page, self.pointers() + 2 * index)
    }

    /// Its cells and the space between them fill it.
    pub fn is_sound(&self) -> bool {
        self.end() == Some(self.usable)
    }
}
