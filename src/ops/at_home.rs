//! Owns the question whether a page belongs where a tree has it: by the numbers or keys of its
//! rows, and by what they look like.
//! Promises: the tree that leads to a page is believed first: where its rows lie between those
//! around it, another table's look counts only with a sign that pages were mixed up.
//! Never says where a page belongs that is not at home.

use std::cell::OnceCell;

use crate::device::pages::keys::Keys;
use crate::device::pages::node::Node;
use crate::device::pages::record::Type;
use crate::device::pages::tree::{Gap, Met, Range};
use crate::device::pages::unreached::Records;
use crate::device::pages::{Encoding, Pages};
use crate::device::sqlite::by_page::indexed::{Entries, Indexed};
use crate::device::sqlite::by_page::shapes::KnownTree;
use crate::error::Failure;

/// Places of strange pages, of one tree, that are told apart; beyond them any place is one.
const STRANGE_MAX: usize = 10_000;

/// What the pages that a tree leads to look like, all of them together.
#[derive(Debug, Clone, Default)]
struct Habit {
    /// Pages whose rows are what the schema says.
    plain: u64,
    /// Pages that lie where they should, with rows that look like another tree's.
    odd: u64,
    /// Where a page can be read that looks like another tree's, or has rows of another place.
    strange: Vec<Gap>,
    /// Where rows may be missing.
    gaps: Vec<Gap>,
    /// It leads to a page that looks like its own and has rows of another place.
    leads_astray: bool,
}

/// Of each tree, once a page is met that looks like another tree's.
#[derive(Debug, Default)]
pub struct Habits(OnceCell<Vec<Habit>>);

/// The trees of a file, and where its pages are asked for.
#[derive(Clone, Copy)]
pub struct Homes<'a, 'p> {
    /// The file.
    pub pages: &'a Pages<'p>,
    /// What its trees look like.
    pub trees: &'a [KnownTree],
    /// What is known of their pages.
    pub habits: &'a Habits,
}

/// What a page looks like where a tree has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// One of that tree.
    Plain,
    /// As a whole one of another tree, and of this one for the lesser part.
    Odd,
    /// None of that tree.
    Strange,
}

impl Homes<'_, '_> {
    /// It belongs there.
    ///
    /// # Errors
    /// As [`Pages::read`].
    pub fn is_at_home(
        &self,
        met: &Met<'_>,
        records: &Records,
        tree: &KnownTree,
    ) -> Result<bool, Failure> {
        match look(met, records, tree, self.trees, self.pages.encoding()) {
            Look::Plain => Ok(true),
            Look::Strange => Ok(false),
            Look::Odd => {
                let others = self.trees.iter().filter(|other| {
                    other.shape.of_index == tree.shape.of_index && records.fit(&other.shape)
                });
                if !lie_there(met, records, tree, self.pages.encoding())
                    || self.are_mixed_up(&met.node, records, tree, others)?
                {
                    return Ok(false);
                }
                let habit = self.habits()?.iter().zip(self.trees);
                let habit = habit.filter(|(_, known)| std::ptr::eq(*known, tree)).map(|(it, _)| it);
                let is_usual = habit.into_iter().any(|habit| habit.odd >= habit.plain);
                Ok(is_usual || is_bounded(met) || goes_on(met, records, tree))
            }
        }
    }

    /// A page of a table that is kept by its key holds entries of an index, which its pages do not
    /// hold of themselves: their rows may be the very same.
    ///
    /// # Errors
    /// As [`Pages::read`], and as SQLite, but for corruption.
    pub fn are_entries(
        &self,
        met: &Met<'_>,
        records: &Records,
        tree: &KnownTree,
        indexed: &mut Indexed<'_>,
    ) -> Result<bool, Failure> {
        if indexed.judge(&met.node, records)? != Entries::All {
            return Ok(false);
        }
        let others = self.trees.iter().filter(|other| other.is_index && records.fit(&other.shape));
        if !lie_there(met, records, tree, self.pages.encoding())
            || self.are_mixed_up(&met.node, records, tree, others)?
        {
            return Ok(true);
        }
        if is_bounded(met) {
            return Ok(false);
        }
        let (mut entries, mut all) = (0u64, 0u64);
        let encoding = self.pages.encoding();
        self.pages.walk(tree.tree(encoding), &mut self.pages.bits(), &mut |met, _| {
            let records = Records::of(&met.node);
            if look(met, &records, tree, self.trees, encoding) == Look::Strange {
                return Ok(false);
            }
            all += 1;
            entries += u64::from(indexed.judge(&met.node, &records)? == Entries::All);
            Ok(true)
        })?;
        Ok(entries * 2 < all)
    }

    /// The tree leads astray, or one of these other trees has a page that is not its own just where
    /// these rows would be, or lacks just them.
    fn are_mixed_up<'t>(
        &self,
        node: &Node<'_>,
        records: &Records,
        tree: &KnownTree,
        mut others: impl Iterator<Item = &'t KnownTree>,
    ) -> Result<bool, Failure> {
        let (habits, encoding) = (self.habits()?, self.pages.encoding());
        let lies_in = |gap: &Gap, other: &KnownTree| {
            if other.shape.of_index {
                whole(node, records).any(|record| !gap.keys.excludes(record, other.order(encoding)))
            } else {
                records.found.iter().any(|(_, number, _)| gap.range.has(*number))
            }
        };
        let own = habits.iter().zip(self.trees).find(|(_, known)| std::ptr::eq(*known, tree));
        let astray = own.is_some_and(|(habit, _)| habit.leads_astray);
        Ok(astray
            || others.any(|other| {
                let at = self.trees.iter().position(|known| std::ptr::eq(known, other));
                let habit = at.filter(|_| !std::ptr::eq(other, tree)).and_then(|at| habits.get(at));
                habit.is_some_and(|habit| {
                    habit.strange.iter().any(|gap| lies_in(gap, other))
                        || !other.shape.of_index
                            && habit.gaps.iter().any(|gap| fills(records, &gap.range))
                })
            }))
    }

    /// Walks every tree, each by itself.
    fn habits(&self) -> Result<&[Habit], Failure> {
        if let Some(known) = self.habits.0.get() {
            return Ok(known);
        }
        let encoding = self.pages.encoding();
        let mut habits = Vec::new();
        for tree in self.trees {
            let mut habit = Habit::default();
            if tree.root != 0 {
                let faults = self.pages.walk(
                    tree.tree(encoding),
                    &mut self.pages.bits(),
                    &mut |met, _| {
                        let records = Records::of(&met.node);
                        let look = look(met, &records, tree, self.trees, encoding);
                        match look {
                            Look::Plain => habit.plain += 1,
                            Look::Odd => {
                                habit.odd += u64::from(lie_there(met, &records, tree, encoding));
                                habit.add(met);
                            }
                            Look::Strange => {
                                habit.leads_astray |= records.fit(&tree.shape);
                                habit.add(met);
                            }
                        }
                        Ok(look != Look::Strange)
                    },
                )?;
                habit.strange.extend(faults.of_other_kind);
                habit.gaps = faults.gaps;
            }
            habits.push(habit);
        }
        Ok(self.habits.0.get_or_init(|| habits))
    }
}

impl Habit {
    fn add(&mut self, met: &Met<'_>) {
        if self.strange.len() < STRANGE_MAX {
            self.strange.push(Gap { range: met.range, keys: met.keys.shortened() });
        } else {
            self.strange = vec![Gap::default()];
        }
    }
}

fn look(
    met: &Met<'_>,
    records: &Records,
    tree: &KnownTree,
    trees: &[KnownTree],
    encoding: Encoding,
) -> Look {
    if records.found.is_empty() {
        return if met.node.cells == 0 { Look::Plain } else { Look::Strange };
    }
    let some_lie_there = if tree.shape.of_index {
        lie_in(&met.node, records, &met.keys, tree, encoding)
    } else {
        records.found.iter().any(|(_, number, _)| met.range.has(*number))
    };
    if !some_lie_there {
        return Look::Strange;
    }
    // SQLite stores in any column what an application insists on.
    let fitting = records.fitting(&tree.shape);
    if fitting * 2 >= records.found.len() {
        return Look::Plain;
    }
    let is_anothers = trees
        .iter()
        .any(|other| other.shape.of_index == tree.shape.of_index && records.fit(&other.shape));
    match is_anothers {
        true => Look::Odd,
        false if records.sound || fitting > 0 => Look::Plain,
        false => Look::Strange,
    }
}

/// All of its rows lie where the tree has it, in their order, and it is whole.
fn lie_there(met: &Met<'_>, records: &Records, tree: &KnownTree, encoding: Encoding) -> bool {
    let all = if tree.shape.of_index {
        !whole(&met.node, records).any(|record| met.keys.excludes(record, tree.order(encoding)))
    } else {
        records.lie_in(&met.range) && records.found.is_sorted_by_key(|(_, number, _)| *number)
    };
    all && records.sound && records.bad == 0
}

/// There are rows of the same tree behind it: it has room for few others.
fn is_bounded(met: &Met<'_>) -> bool {
    met.range.high.is_some() || met.keys.high.is_some()
}

/// Its first row is the one after the last row before it.
fn goes_on(met: &Met<'_>, records: &Records, tree: &KnownTree) -> bool {
    let first = records.found.first().map(|(_, number, _)| *number);
    !tree.shape.of_index
        && met.range.low.and_then(|low| low.checked_add(1)).is_some_and(|next| first == Some(next))
}

/// Its rows lie in there, up to the very number that the page above has for the last one, or from
/// the very next one on.
fn fills(records: &Records, range: &Range) -> bool {
    let (first, last) = (records.found.first(), records.found.last());
    let number = |row: Option<&(usize, i64, Vec<Type>)>| row.map(|(_, number, _)| *number);
    let next = range.low.and_then(|low| low.checked_add(1));
    records.lie_in(range)
        && (range.high.is_some() && range.high == number(last)
            || next.is_some() && next == number(first))
}

fn whole<'n>(node: &'n Node<'n>, records: &'n Records) -> impl Iterator<Item = &'n [u8]> {
    let cells = records.found.iter().filter_map(|(index, ..)| node.cell(*index));
    cells.filter(|cell| cell.payload.overflow == 0).map(|cell| cell.payload.local)
}

/// Not most of the keys of a page of an index lie elsewhere.
pub fn lie_in(
    node: &Node<'_>,
    records: &Records,
    keys: &Keys,
    tree: &KnownTree,
    encoding: Encoding,
) -> bool {
    !keys.exclude_most(whole(node, records), tree.order(encoding))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::device::disk::Op;
    use crate::device::sqlite::Sqlite;

    /// A leaf with rows 1 to 4 of two columns, of which so many have a text in the second one.
    fn leaf(texts: usize) -> Vec<u8> {
        let mut page = vec![0u8; 512];
        page[..8].copy_from_slice(&[13, 0, 0, 0, 4, 0, 0, 0]);
        let mut end = 512;
        for number in 0..4usize {
            let serial = if number < texts { 15 } else { 1 };
            let cell = [4, number as u8 + 1, 3, 0, serial, b'7'];
            end -= cell.len();
            page[end..end + cell.len()].copy_from_slice(&cell);
            page[8 + 2 * number..10 + 2 * number].copy_from_slice(&(end as u16).to_be_bytes());
        }
        page[5..7].copy_from_slice(&(end as u16).to_be_bytes());
        page
    }

    #[test]
    fn a_page_looks_like_another_tables_where_most_of_its_rows_do() {
        let database = Sqlite::default().scratch(Op("test")).unwrap();
        database
            .run(
                Op("test"),
                "CREATE TABLE here(id INTEGER PRIMARY KEY, a INTEGER); CREATE TABLE other(a, b)",
            )
            .unwrap();
        let trees = database.known_trees(Op("test")).unwrap();
        let here = trees.iter().find(|tree| tree.table == "here").unwrap();
        let seen = |texts: usize| {
            let page = leaf(texts);
            let node = Node::of(&page, false, 512).unwrap();
            let met = Met { page: 2, node, range: Default::default(), keys: Keys::default() };
            let records = Records::of(&node);
            assert!(records.sound && records.found.len() == 4);
            look(&met, &records, here, &trees, Encoding::Utf8)
        };
        // An application may insist on a text, once.
        assert_eq!([0, 1, 3, 4].map(seen), [Look::Plain, Look::Plain, Look::Odd, Look::Odd]);
    }
}
