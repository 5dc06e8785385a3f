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
pub fn is_at_home(met: &Met<'_>, records: &Records, tree: &KnownTree, trees: &[KnownTree], encoding: Encoding) -> bool {
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
    // SQLite stores in any column what an application insists on: only a page that another tree fits as a whole is not this one's.
    let others = || trees.iter().any(|other| other.shape.of_index == tree.shape.of_index && records.fit(&other.shape));
    records.fit(&tree.shape) || !others() && (records.sound || records.some_fit(&tree.shape))
}

/// Not most of the keys of a page of an index lie elsewhere.
pub fn lie_in(node: &Node<'_>, records: &Records, keys: &Keys, tree: &KnownTree, encoding: Encoding) -> bool {
    let cells = records.found.iter().filter_map(|(index, ..)| node.cell(*index));
    let whole = cells.filter(|cell| cell.payload.overflow == 0).map(|cell| cell.payload.local);
    !keys.exclude_most(whole, tree.order(encoding))
}
