//! Owns a set of page numbers.
//! Promises: one bit for each page of the file; a number that no page has is not in it.
//! Never grows.

/// Some of a file's pages.
#[derive(Debug, Clone, Default)]
pub struct Bits {
    words: Vec<u64>,
    count: u32,
}

impl Bits {
    pub(super) fn new(count: u32) -> Bits {
        Bits { words: vec![0; count as usize / 64 + 1], count }
    }

    /// The page is in it.
    pub fn has(&self, page: u32) -> bool {
        self.words.get(page as usize / 64).is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    /// Adds a page.
    pub fn set(&mut self, page: u32) {
        if let Some(word) = self.words.get_mut(page as usize / 64).filter(|_| page <= self.count) {
            *word |= 1 << (page % 64);
        }
    }

    /// Takes a page out.
    pub fn clear(&mut self, page: u32) {
        if let Some(word) = self.words.get_mut(page as usize / 64) {
            *word &= !(1 << (page % 64));
        }
    }

    /// Adds a page, and tells whether it was not in it.
    pub fn add(&mut self, page: u32) -> bool {
        let new = !self.has(page);
        self.set(page);
        new
    }
}
