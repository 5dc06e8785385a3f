//! Owns looking at a page by itself: its cells, and where they lead.
//! Promises: what is said to be wrong is wrong for SQLite too, if nobody wrote meanwhile; a page
//! that is in no tree is not judged by what lies on it.
//! Never follows more than one step, and never reads a row.

use super::free::{FreePages, Use};
use super::node::Node;
use super::Pages;
use crate::error::Failure;

/// The byte that locks are taken on; its page is never written.
const LOCK_BYTE: u64 = 0x4000_0000;

impl Pages<'_> {
    /// What is wrong with this page; `None` where nothing is, or it is in no tree.
    ///
    /// # Errors
    /// As [`Pages::read`].
    pub fn unsound(&self, at: u32, free: &FreePages) -> Result<Option<String>, Failure> {
        let mut page = Vec::new();
        if !self.read(at, &mut page)? || self.is_in_no_tree(at, free)? {
            return Ok(None);
        }
        let Some(node) = self.node(&page, at) else {
            // An overflow page, for all that can be known here.
            return Ok((at == 1).then(|| "page 1 is no page of the schema".to_owned()));
        };
        if !node.is_sound() {
            return Ok(Some(format!("the cells of page {at} do not fill it")));
        }
        let mut index = 0;
        while let Some(cell) = node.cell(index) {
            index += 1;
            if !node.is_leaf() {
                if let Some(wrong) = self.wrong_child(at, &node, cell.child, free)? {
                    return Ok(Some(wrong));
                }
            }
            let overflow = cell.payload.overflow;
            if overflow != 0 && !self.may_be_used(overflow, free) {
                return Ok(Some(format!(
                    "page {at} leads to page {overflow} for the rest of a row, and that is none"
                )));
            }
        }
        if node.is_leaf() {
            return Ok(None);
        }
        self.wrong_child(at, &node, node.right(), free)
    }

    /// What is wrong with the first page of a table or an index.
    ///
    /// # Errors
    /// As [`Pages::read`].
    pub fn unsound_root(&self, name: &str, root: u32) -> Result<Option<String>, Failure> {
        let mut page = Vec::new();
        let there = self.read(root, &mut page)? && self.node(&page, root).is_some();
        Ok((!there).then(|| format!("page {root}, the first of {name}, is no page of a tree")))
    }

    fn wrong_child(
        &self,
        at: u32,
        parent: &Node<'_>,
        child: u32,
        free: &FreePages,
    ) -> Result<Option<String>, Failure> {
        let mut page = Vec::new();
        let fits = self.may_be_used(child, free)
            && self.read(child, &mut page)?
            && self
                .node(&page, child)
                .is_some_and(|node| node.is_of_index() == parent.is_of_index());
        Ok((!fits).then(|| format!("page {at} leads to page {child}, which is not of its tree")))
    }

    fn may_be_used(&self, page: u32, free: &FreePages) -> bool {
        (2..=self.count).contains(&page) && !free.pages.has(page)
    }

    /// Free, a map of pages, an overflow page by such a map, or that of the locks.
    fn is_in_no_tree(&self, at: u32, free: &FreePages) -> Result<bool, Failure> {
        let bytes = self.format.page_bytes() as u64;
        let lock = u32::try_from(LOCK_BYTE / bytes.max(1) + 1).unwrap_or(u32::MAX);
        if free.pages.has(at) || at == lock || self.is_map(at) {
            return Ok(true);
        }
        Ok(matches!(self.use_of(at)?, Some(Use::Free | Use::Overflow)))
    }
}

/// The root pages that a schema's rows name, for [`Pages::unsound_root`]: of their text.
pub fn root_of(text: &str) -> Option<(u32, &str)> {
    let (root, name) = text.split_once(' ')?;
    root.parse().ok().filter(|root| *root > 1).map(|root| (root, name))
}
