//! Owns the question whether a page belongs where a tree has it: by the numbers or keys of its rows, and by what they look like.
//! Promises: one that holds other keys, or another table's rows alone, does not.
//! Never says where it belongs.

use crate::device::pages::keys::Keys;
use crate::device::pages::node::Node;
use crate::device::pages::tree::Met;
use crate::device::pages::unreached::Records;
use crate::device::pages::Encoding;
use crate::device::sqlite::by_page::shapes::KnownTree;

/// It belongs there.
pub fn is_at_home(
    met: &Met<'_>,
    records: &Records,
    tree: &KnownTree,
    trees: &[KnownTree],
    encoding: Encoding,
) -> bool {
    if records.found.is_empty() {
        return met.node.cells == 0;
    }
    let lies_there = if tree.shape.of_index {
        lie_in(&met.node, records, &met.keys, tree, encoding)
    } else {
        records.found.iter().any(|(_, number, _)| met.range.has(*number))
    };
    if !lies_there {
        return false;
    }
    // SQLite stores in any column what an application insists on: only a page that another tree fits as a whole, and this one for the
    // lesser part, is not this one's.
    let others = || {
        trees
            .iter()
            .any(|other| other.shape.of_index == tree.shape.of_index && records.fit(&other.shape))
    };
    let fitting = records.fitting(&tree.shape);
    fitting * 2 >= records.found.len() || !others() && (records.sound || fitting > 0)
}

/// Not most of the keys of a page of an index lie elsewhere.
pub fn lie_in(
    node: &Node<'_>,
    records: &Records,
    keys: &Keys,
    tree: &KnownTree,
    encoding: Encoding,
) -> bool {
    let cells = records.found.iter().filter_map(|(index, ..)| node.cell(*index));
    let whole = cells.filter(|cell| cell.payload.overflow == 0).map(|cell| cell.payload.local);
    !keys.exclude_most(whole, tree.order(encoding))
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
    fn a_page_is_another_tables_where_most_of_its_rows_are() {
        let database = Sqlite::default().scratch(Op("test")).unwrap();
        database
            .run(
                Op("test"),
                "CREATE TABLE here(id INTEGER PRIMARY KEY, a INTEGER); CREATE TABLE other(a, b)",
            )
            .unwrap();
        let trees = database.known_trees(Op("test")).unwrap();
        let here = trees.iter().find(|tree| tree.table == "here").unwrap();
        let at_home = |texts: usize| {
            let page = leaf(texts);
            let node = Node::of(&page, false, 512).unwrap();
            let met = Met { page: 2, node, range: Default::default(), keys: Keys::default() };
            let records = Records::of(&node);
            assert!(records.sound && records.found.len() == 4);
            is_at_home(&met, &records, here, &trees, Encoding::Utf8)
        };
        // An application may insist on a text, once.
        assert_eq!([0, 1, 3, 4].map(at_home), [true, true, false, false]);
    }
}
