//! Owns the question whether a page that no tree leads to is still in use, where not every free
//! page is known.
//! Promises: a page is in use where a page above it names it, where an index has its rows, or where
//! it is its table's only one.
//! Never holds more of an index than [`WORDS`] words of hashes.

use crate::device::pages::bits::Bits;
use crate::device::pages::free::FreePages;
use crate::device::pages::node::{Node, PageKind};
use crate::device::pages::record::{self, Value};
use crate::device::pages::tree::Range;
use crate::device::pages::unreached::{Records, Unreached};
use crate::device::pages::Pages;
use crate::device::sqlite::by_page::shapes::KnownTree;
use crate::error::Failure;

/// A million row numbers of indexes leave one bit of eight set.
const WORDS: usize = 1 << 17;
/// Pages below one that are looked at for a leaf.
const BELOW_MAX: usize = 16;
/// Pages above others that are told apart.
const ABOVE_MAX: usize = 20_000;

/// Is it in use?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// It is.
    InUse,
    /// Its rows were deleted, or have moved.
    Free,
    /// Nothing says so, and nothing says that it is not.
    Unknown,
}

/// What speaks for a page.
pub struct Signs {
    /// Pages that others name.
    named: Bits,
    /// The row numbers between the first and the last of a page that leads to leaves, and the trees
    /// that those fit.
    above: Vec<(Range, Vec<usize>)>,
    /// Hashes of the row numbers that indexes have.
    numbers: Vec<u64>,
    /// Bits that are set in them.
    set: u64,
}

impl Signs {
    /// None yet.
    pub fn new(pages: &Pages<'_>) -> Signs {
        Signs { named: pages.bits(), above: Vec::new(), numbers: vec![0; WORDS], set: 0 }
    }

    /// Looks at every page that no tree leads to.
    ///
    /// # Errors
    /// As `read`.
    pub fn gather(
        &mut self,
        pages: &Pages<'_>,
        used: &Bits,
        free: &FreePages,
        trees: &[KnownTree],
    ) -> Result<(), Failure> {
        let mut bytes = Vec::new();
        for page in 2..=pages.count {
            if used.has(page) || free.pages.has(page) || !pages.read(page, &mut bytes)? {
                continue;
            }
            let Some(node) = pages.node(&bytes, page) else { continue };
            if node.is_of_index() {
                let records = Records::of(&node);
                let fitting = trees
                    .iter()
                    .enumerate()
                    .filter(|(_, tree)| tree.is_index && records.fit(&tree.shape));
                fitting.for_each(|(_, tree)| self.add_entries(tree, &node, &records));
            }
            if !node.is_leaf() {
                self.add_above(pages, &node, trees)?;
            }
        }
        Ok(())
    }

    fn add_above(
        &mut self,
        pages: &Pages<'_>,
        node: &Node<'_>,
        trees: &[KnownTree],
    ) -> Result<(), Failure> {
        let cells: Vec<_> = (0..node.cells).filter_map(|index| node.cell(index)).collect();
        cells.iter().for_each(|cell| self.named.set(cell.child));
        self.named.set(node.right());
        let (first, last) =
            (cells.first().map(|cell| cell.number), cells.last().map(|cell| cell.number));
        if node.kind == PageKind::TableInterior && self.above.len() < ABOVE_MAX {
            self.above.push((Range { low: first, high: last }, below(pages, node, trees)?));
        }
        Ok(())
    }

    /// The row numbers of a page of an index.
    pub fn add_entries(&mut self, tree: &KnownTree, node: &Node<'_>, records: &Records) {
        for (index, ..) in &records.found {
            let cell = node.cell(*index).filter(|cell| cell.payload.overflow == 0);
            if let Some(Value::Integer(number)) =
                cell.and_then(|cell| record::values(cell.payload.local)?.last().copied())
            {
                self.add_number(&tree.table, number);
            }
        }
    }

    fn add_number(&mut self, table: &str, number: i64) {
        let (word, bit) = place(table, number);
        if let Some(word) = self.numbers.get_mut(word) {
            self.set += u64::from(*word & bit == 0);
            *word |= bit;
        }
    }

    /// Where more bits are set, a number that no index has would be taken for one too often.
    fn has_entry(&self, table: &str, number: i64) -> bool {
        let (word, bit) = place(table, number);
        self.set <= WORDS as u64 * 8 && self.numbers.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Of a page that fits `trees[at]`. `only`: no other page does.
    pub fn of(&self, page: &Unreached<'_>, trees: &[KnownTree], at: usize, only: bool) -> Usage {
        let Some(tree) = trees.get(at) else { return Usage::Unknown };
        if self.named.has(page.page) {
            return Usage::InUse;
        }
        // What stands there has another number.
        if self.above.iter().any(|(range, below)| {
            range.low.is_some() && below.contains(&at) && page.records.lie_in(range)
        }) {
            return Usage::Free;
        }
        let entries = page
            .records
            .found
            .iter()
            .filter(|(_, number, _)| self.has_entry(&tree.table, *number))
            .count();
        let in_use =
            only || !tree.shape.of_index && entries.saturating_mul(4) >= page.records.found.len();
        if in_use {
            Usage::InUse
        } else {
            Usage::Unknown
        }
    }
}

/// The trees that the first leaf below a page fits.
fn below(pages: &Pages<'_>, node: &Node<'_>, trees: &[KnownTree]) -> Result<Vec<usize>, Failure> {
    let mut bytes = Vec::new();
    let cells = (0..node.cells).filter_map(|index| node.cell(index)).map(|cell| cell.child);
    for child in cells.chain([node.right()]).take(BELOW_MAX) {
        if pages.read(child, &mut bytes)? {
            let leaf = pages
                .node(&bytes, child)
                .filter(|leaf| leaf.kind == PageKind::TableLeaf && leaf.cells > 0);
            if let Some(records) = leaf.map(|leaf| Records::of(&leaf)) {
                return Ok(trees
                    .iter()
                    .enumerate()
                    .filter(|(_, tree)| records.fit(&tree.shape))
                    .map(|(at, _)| at)
                    .collect());
            }
        }
    }
    Ok(Vec::new())
}

/// Where the hash of a row number is.
fn place(table: &str, number: i64) -> (usize, u64) {
    let seed = table.bytes().fold(0xcbf2_9ce4_8422_2325u64, |sum, byte| {
        (sum ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x100_0000_01b3)
    });
    let mut hash = seed ^ number.unsigned_abs().rotate_left(u32::from(number < 0));
    for _ in 0..2 {
        hash = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    ((hash >> 6) as usize % WORDS, 1 << (hash % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_known_until_too_many_were_added() {
        let mut signs =
            Signs { named: Bits::default(), above: Vec::new(), numbers: vec![0; WORDS], set: 0 };
        let add = |signs: &mut Signs, numbers: std::ops::Range<i64>| {
            numbers.for_each(|number| signs.add_number("t", number))
        };
        add(&mut signs, 0..500_000);
        assert!(signs.has_entry("T", 7) && signs.has_entry("t", 499_999));
        let wrong = (1_000_000..1_001_000).filter(|number| signs.has_entry("t", *number)).count();
        assert!(wrong < 100, "{wrong} of a thousand");
        add(&mut signs, 500_000..2_000_000);
        assert!(!signs.has_entry("t", 7), "a full filter says nothing");
    }
}
