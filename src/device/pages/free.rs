//! Owns which pages hold nothing any more: the list of free pages, and the maps of what each page
//! is for.
//! Promises: a page that is known to be free gives no row back; whether all of them are known is
//! said.
//! Never believes a list that names pages the file does not have.

use super::bits::Bits;
use super::node::number;
use super::Pages;
use crate::error::Failure;

/// The free pages that are known.
#[derive(Debug)]
pub struct FreePages {
    /// Lists and what they name.
    pub pages: Bits,
    /// No list is missing: as many are known as the header counts.
    pub complete: bool,
    /// A list leads to one that is not there.
    pub broken: bool,
}

/// What a page is for, by its entry in a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A page of a tree.
    Tree,
    /// It is free.
    Free,
    /// An overflow page.
    Overflow,
}

impl Pages<'_> {
    /// Looks for them: by the header, and where that is gone, or its list is broken, on every page
    /// that looks like a list.
    ///
    /// # Errors
    /// As [`Pages::read`].
    pub fn free_pages(&self) -> Result<FreePages, Failure> {
        let mut free = FreePages { pages: self.bits(), complete: false, broken: false };
        let mut known = 0u64;
        if let Some(lists) = self.format.lists() {
            let mut next = lists.free_head;
            let mut page = Vec::new();
            while next != 0 {
                // The header's own list is believed as SQLite believes it.
                if free.pages.has(next) || !self.read(next, &mut page)? {
                    free.broken = true;
                    break;
                }
                let Some(named) = self.named(&page) else {
                    free.broken = true;
                    break;
                };
                known += 1 + named.iter().filter(|page| free.pages.add(**page)).count() as u64;
                free.pages.set(next);
                next = number(&page, 0);
            }
            free.complete = !free.broken && known == u64::from(lists.free_count);
        }
        if !free.complete {
            self.look_for_lists(&mut free)?;
            let all = (1..=self.count).filter(|page| free.pages.has(*page)).count() as u64;
            free.complete =
                self.format.lists().is_some_and(|lists| all == u64::from(lists.free_count));
        }
        Ok(free)
    }

    /// The pages that a list names; `None` where it can be none.
    fn named(&self, page: &[u8]) -> Option<Vec<u32>> {
        let (next, count) = (number(page, 0), number(page, 4) as usize);
        if next > self.count || next == 1 || count > self.usable() / 4 - 2 {
            return None;
        }
        let named: Vec<u32> = (0..count).map(|index| number(page, 8 + 4 * index)).collect();
        named.iter().all(|page| (2..=self.count).contains(page)).then_some(named)
    }

    fn look_for_lists(&self, free: &mut FreePages) -> Result<(), Failure> {
        let mut page = Vec::new();
        let (mut lists, mut led_to) = (self.bits(), self.bits());
        for at in 2..=self.count {
            if !self.read(at, &mut page)? {
                continue;
            }
            let Some(named) = self.named(&page).filter(|named| !named.is_empty()) else { continue };
            let mut distinct = named.clone();
            distinct.sort_unstable();
            distinct.dedup();
            if distinct.len() < named.len() || distinct.contains(&at) {
                continue;
            }
            lists.set(at);
            led_to.set(number(&page, 0));
            free.pages.set(at);
            named.into_iter().for_each(|page| free.pages.set(page));
        }
        free.broken |= (2..=self.count).any(|page| led_to.has(page) && !lists.has(page));
        Ok(())
    }

    /// It says what other pages are for.
    pub(super) fn is_map(&self, page: u32) -> bool {
        let each = u32::try_from(self.usable() / 5).unwrap_or(u32::MAX).saturating_add(1);
        let maps = self.format.lists().is_some_and(|lists| lists.pointer_maps);
        maps && page >= 2 && (page - 2).is_multiple_of(each)
    }

    /// What the map of its page says; `None` where there are no maps, or this one is damaged.
    ///
    /// # Errors
    /// As [`Pages::read`].
    pub fn use_of(&self, page: u32) -> Result<Option<Use>, Failure> {
        if !self.format.lists().is_some_and(|lists| lists.pointer_maps) || page < 3 {
            return Ok(None);
        }
        let each = u32::try_from(self.usable() / 5).unwrap_or(u32::MAX).saturating_add(1);
        let map = (page - 2) / each * each + 2;
        let mut bytes = Vec::new();
        if map == page || !self.read(map, &mut bytes)? {
            return Ok(None);
        }
        let entry = usize::try_from(page - map - 1).unwrap_or(usize::MAX).saturating_mul(5);
        Ok(match bytes.get(entry) {
            Some(1 | 5) => Some(Use::Tree),
            Some(2) => Some(Use::Free),
            Some(3 | 4) => Some(Use::Overflow),
            _ => None,
        })
    }
}
