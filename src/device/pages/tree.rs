//! Owns the walk over one b-tree: every page that it leads to, with the row numbers that belong
//! there.
//! Promises: a page is visited once for all trees together; what could not be followed is counted,
//! with the row numbers it may have had.
//! Never holds more than [`STEPS_MAX`] pages that wait for their turn.

use std::rc::Rc;

use super::bits::Bits;
use super::keys::{Keys, Ordered};
use super::node::{Node, PageKind};
use super::Pages;
use crate::error::Failure;

/// Deeper than any tree of SQLite's.
const DEPTH_MAX: u32 = 32;
/// A tree of the largest file has some ten thousand on each of its levels.
const STEPS_MAX: usize = 200_000;
/// Gaps that are told apart; beyond them any row number may be missing.
const GAPS_MAX: usize = 10_000;

/// Row numbers: above `low`, up to `high`. `None` for no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// The last number before it.
    pub low: Option<i64>,
    /// Its last number.
    pub high: Option<i64>,
}

impl Range {
    /// The number lies in it.
    pub fn has(&self, number: i64) -> bool {
        self.low.is_none_or(|low| number > low) && self.high.is_none_or(|high| number <= high)
    }
}

/// What a walk could not follow.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// How many pages.
    pub pages: u64,
    /// Of them, those that the file does not have.
    pub absent: u64,
    /// Pages lead to each other.
    pub shared: bool,
    /// Of them, one that can be read is not this tree's.
    pub strange: bool,
    /// Where rows may be missing.
    pub gaps: Vec<Gap>,
    /// Of them, those where a whole page of a tree of the other kind stands.
    pub of_other_kind: Vec<Gap>,
}

/// Row numbers, or keys, that may be missing.
#[derive(Debug, Clone, Default)]
pub struct Gap {
    /// Of a table.
    pub range: Range,
    /// Of an index.
    pub keys: Keys,
}

impl Gap {
    /// The same with short keys alone.
    fn shortened(&self) -> Gap {
        Gap { range: self.range, keys: self.keys.shortened() }
    }
}

impl Faults {
    /// A tree of which nothing is known.
    pub fn everywhere() -> Faults {
        Faults { pages: 1, gaps: vec![Gap::default()], ..Faults::default() }
    }

    /// Something may be missing.
    pub fn any(&self) -> bool {
        self.pages > 0
    }

    fn add(&mut self, gap: &Gap) {
        self.pages = self.pages.saturating_add(1);
        if self.gaps.len() < GAPS_MAX {
            self.gaps.push(gap.shortened());
        } else {
            self.gaps = vec![Gap::default()];
        }
    }
}

/// A page with rows, where the tree has it.
#[derive(Debug, Clone)]
pub struct Met<'p> {
    /// Its number.
    pub page: u32,
    /// What it holds.
    pub node: Node<'p>,
    /// The row numbers that belong there.
    pub range: Range,
    /// The keys that do, in an index.
    pub keys: Keys,
}

struct Step {
    page: u32,
    gap: Gap,
    depth: u32,
}

/// A tree.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'o> {
    /// Its first page.
    pub root: u32,
    /// It is an index, or a table whose rows are kept by their key.
    pub of_index: bool,
    /// What its keys are ordered by.
    pub order: Ordered<'o>,
}

/// Takes the rows of a page, and marks what overflow pages they use; `false` where they are not
/// this tree's.
pub type Take<'t> = dyn FnMut(&Met<'_>, &mut Bits) -> Result<bool, Failure> + 't;

impl Pages<'_> {
    /// Visits every page with rows. Pages in `used` belong to a tree that was walked before.
    ///
    /// # Errors
    /// As [`Pages::read`], and the visitor's.
    pub fn walk(
        &self,
        tree: Tree<'_>,
        used: &mut Bits,
        take: &mut Take<'_>,
    ) -> Result<Faults, Failure> {
        let mut faults = Faults::default();
        let mut steps = vec![Step { page: tree.root, gap: Gap::default(), depth: 0 }];
        let (mut page, mut rejected) = (Vec::new(), self.bits());
        while let Some(step) = steps.pop() {
            let there = (1..=self.count).contains(&step.page);
            if step.depth > DEPTH_MAX || !there || !used.add(step.page) {
                faults.shared |= there;
                faults.absent = faults.absent.saturating_add(u64::from(!there));
                faults.add(&step.gap);
                continue;
            }
            // Read once, whoever else names it.
            if rejected.has(step.page) {
                used.clear(step.page);
                faults.add(&step.gap);
                continue;
            }
            self.read(step.page, &mut page)?;
            let found = Node::of(&page, step.page == 1, self.usable());
            let node = found.filter(|node| node.is_of_index() == tree.of_index);
            let taken = match &node {
                None => false,
                Some(node) if node.kind == PageKind::TableInterior => true,
                Some(node) => take(
                    &Met {
                        page: step.page,
                        node: *node,
                        range: step.gap.range,
                        keys: step.gap.keys.clone(),
                    },
                    used,
                )?,
            };
            match node.filter(|_| taken) {
                None => {
                    used.clear(step.page);
                    rejected.set(step.page);
                    faults.strange |= node.is_some();
                    let of_other_kind = node.is_none() && found.is_some_and(|it| it.is_sound());
                    if of_other_kind && faults.of_other_kind.len() < GAPS_MAX {
                        faults.of_other_kind.push(step.gap.shortened());
                    }
                    faults.add(&step.gap);
                }
                Some(node) if node.is_leaf() => {}
                Some(node) => lead_on(&node, &step, tree.order, &mut steps, &mut faults),
            }
        }
        Ok(faults)
    }
}

/// The pages that an interior page leads to, the first one on top.
fn lead_on(
    node: &Node<'_>,
    from: &Step,
    order: Ordered<'_>,
    steps: &mut Vec<Step>,
    faults: &mut Faults,
) {
    let first = steps.len();
    let mut rest = from.gap.clone();
    let mut add = |page: u32, gap: Gap, faults: &mut Faults| {
        if steps.len() < STEPS_MAX {
            steps.push(Step { page, gap, depth: from.depth + 1 });
        } else {
            faults.add(&gap);
        }
    };
    for index in 0..node.cells {
        let Some(cell) = node.cell(index) else {
            faults.add(&rest);
            continue;
        };
        let mut gap = rest.clone();
        // A number or a key that cannot be right bounds nothing.
        if node.kind == PageKind::TableInterior && rest.range.has(cell.number) {
            gap.range.high = Some(cell.number);
            rest.range.low = Some(cell.number);
        }
        let whole = node.kind == PageKind::IndexInterior
            && cell.payload.overflow == 0
            && !rest.keys.excludes(cell.payload.local, order);
        if let Some(key) = Keys::bound(cell.payload.local).filter(|_| whole) {
            gap.keys.high = Some(Rc::clone(&key));
            rest.keys.low = Some(key);
        }
        add(cell.child, gap, faults);
    }
    add(node.right(), rest, faults);
    if let Some(new) = steps.get_mut(first..) {
        new.reverse();
    }
}
