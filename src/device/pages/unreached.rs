//! Owns what a page's rows look like as a whole, and the pages that no tree leads to.
//! Promises: a page that is free, or holds no row that can be read, is not handed on.
//! Never says whose rows they are.

use std::collections::BTreeSet;

use super::bits::Bits;
use super::free::{FreePages, Use};
use super::node::{Node, PageKind};
use super::record::{types, Type};
use super::shape::Shape;
use super::tree::Range;
use super::Pages;
use crate::error::Failure;

/// Pages that are not there, as far as they are told apart.
const ABSENT_MAX: usize = 100_000;

/// The records of one page, by their types.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// The place of each, its row number, and its types.
    pub found: Vec<(usize, i64, Vec<Type>)>,
    /// Cells that hold none.
    pub bad: usize,
    /// The page is whole.
    pub sound: bool,
}

impl Records {
    /// Reads the headers of all records of a page.
    pub fn of(node: &Node<'_>) -> Records {
        let mut records = Records { sound: node.is_sound(), ..Records::default() };
        let alone = if records.sound { Vec::new() } else { node.cells_alone() };
        for index in 0..node.cells {
            let cell =
                node.cell(index).filter(|_| records.sound || alone.binary_search(&index).is_ok());
            match cell.and_then(|cell| {
                types(cell.payload.local, cell.payload.bytes)
                    .map(|types| (index, cell.number, types))
            }) {
                Some(record) => records.found.push(record),
                None => records.bad += 1,
            }
        }
        records
    }

    /// Every one of them can be a row of this shape.
    pub fn fit(&self, shape: &Shape) -> bool {
        !self.found.is_empty() && self.found.iter().all(|(_, _, types)| shape.fits(types))
    }

    /// How many can.
    pub fn fitting(&self, shape: &Shape) -> usize {
        self.found.iter().filter(|(_, _, types)| shape.fits(types)).count()
    }

    /// All of their row numbers lie in there.
    pub fn lie_in(&self, range: &Range) -> bool {
        self.found.iter().all(|(_, number, _)| range.has(*number))
    }

    /// More of its cells can be read than not, in the order of their numbers.
    fn is_plausible(&self, kind: PageKind) -> bool {
        let ascend =
            kind != PageKind::TableLeaf || self.found.is_sorted_by_key(|(_, number, _)| *number);
        self.found.len() > self.bad && (ascend || !self.sound)
    }
}

/// A page that no tree leads to.
pub struct Unreached<'p> {
    /// Its number.
    pub page: u32,
    /// What it holds.
    pub node: Node<'p>,
    /// Its rows.
    pub records: Records,
}

/// Takes one of them.
pub type TakeUnreached<'t> = dyn FnMut(&Unreached<'_>, &mut Bits) -> Result<(), Failure> + 't;

impl Pages<'_> {
    /// It leads to other pages, and has no row of its own.
    pub fn is_interior(&self, page: &[u8]) -> bool {
        Node::of(page, false, self.usable())
            .is_some_and(|node| node.kind == PageKind::TableInterior)
    }

    /// How many pages that the file does not have are named by those that no tree leads to.
    ///
    /// # Errors
    /// As [`Pages::read`].
    pub fn named_absent(
        &self,
        used: &Bits,
        free: &FreePages,
        has_rows: &dyn Fn(&Node<'_>) -> bool,
    ) -> Result<u64, Failure> {
        let (mut named, mut bytes) = (BTreeSet::new(), Vec::new());
        for page in 2..=self.count {
            if used.has(page) || free.pages.has(page) || !self.read(page, &mut bytes)? {
                continue;
            }
            let Some(node) = Node::of(&bytes, false, self.usable())
                .filter(|node| !node.is_leaf() && node.is_sound() && has_rows(node))
            else {
                continue;
            };
            let cells = (0..node.cells).filter_map(|index| node.cell(index)).map(|cell| cell.child);
            named.extend(cells.chain([node.right()]).filter(|child| *child > self.count));
            if named.len() > ABSENT_MAX {
                break;
            }
        }
        Ok(named.len() as u64)
    }

    /// Hands on every page with rows that is not in `used` and not free.
    ///
    /// # Errors
    /// As [`Pages::read`], and the visitor's.
    pub fn each_unreached(
        &self,
        used: &mut Bits,
        free: &FreePages,
        take: &mut TakeUnreached<'_>,
    ) -> Result<(), Failure> {
        self.each_with_rows(used, (free, false), take)
    }

    /// Hands on every page that had rows, is not in `used`, and holds none now as the lists of free
    /// pages or the maps say.
    ///
    /// # Errors
    /// As [`Pages::read`], and the visitor's.
    pub fn each_freed(
        &self,
        used: &mut Bits,
        free: &FreePages,
        take: &mut TakeUnreached<'_>,
    ) -> Result<(), Failure> {
        self.each_with_rows(used, (free, true), take)
    }

    fn each_with_rows(
        &self,
        used: &mut Bits,
        (free, freed): (&FreePages, bool),
        take: &mut TakeUnreached<'_>,
    ) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        for page in 2..=self.count {
            if used.has(page) || free.pages.has(page) && !freed || !self.read(page, &mut bytes)? {
                continue;
            }
            let Some(node) = Node::of(&bytes, false, self.usable())
                .filter(|node| node.kind != PageKind::TableInterior)
            else {
                continue;
            };
            let by_map = matches!(self.use_of(page)?, Some(Use::Free | Use::Overflow));
            if (free.pages.has(page) || by_map) != freed {
                continue;
            }
            let records = Records::of(&node);
            if records.is_plausible(node.kind) {
                used.set(page);
                take(&Unreached { page, node, records }, used)?;
            }
        }
        Ok(())
    }
}
