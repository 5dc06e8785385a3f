//! Owns which of the bytes that a device was switched on with a run has seen, or left in place,
//! sector by sector.
//! Promises: never too few. Names, sizes and kinds are not its matter: [`State::shape`] has all of
//! them.
//! Never changes what a run sees.

use std::collections::BTreeMap;

use super::content::{BLOCK_BYTES, SECTOR_BYTES};
use super::hash::Hash128;
use super::state::{NodeId, State};

const BLOCK: u64 = BLOCK_BYTES as u64;
const SECTORS: u64 = BLOCK / SECTOR_BYTES;
/// Every sector of a block.
const ALL: u8 = u8::MAX;

/// What a run did with the bytes of one file.
#[derive(Default)]
struct File {
    /// Ranges that it has written or cut off itself, in order, apart from each other.
    own: Vec<(u64, u64)>,
    /// For each block the sectors of which it has seen a byte that was not its own.
    seen: Vec<u8>,
}

/// What a run did with the bytes that it began with.
#[derive(Default)]
pub struct Reads {
    files: BTreeMap<NodeId, File>,
}

/// Sectors of files: the file's number in the walk, the block's in the file, a bit for each sector.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mask(Vec<(u32, u32, u8)>);

impl File {
    fn add_own(&mut self, mut start: u64, mut end: u64) {
        let first = self.own.partition_point(|range| range.1 < start);
        let last = self.own.partition_point(|range| range.0 <= end);
        if let (Some(left), Some(right)) =
            (self.own.get(first), last.checked_sub(1).and_then(|last| self.own.get(last)))
        {
            if first < last {
                (start, end) = (start.min(left.0), end.max(right.1));
            }
        }
        self.own.splice(first..last, [(start, end)]);
    }

    fn is_own(&self, start: u64, end: u64) -> bool {
        let index = self.own.partition_point(|range| range.1 < end);
        start >= end || self.own.get(index).is_some_and(|range| range.0 <= start)
    }

    /// Marks the sectors of this range that still hold a byte of the beginning.
    fn mark(&mut self, size: u64, start: u64, end: u64) {
        let end = end.min(size);
        self.seen.resize(size.div_ceil(BLOCK) as usize, 0);
        let mut at = start;
        while at < end {
            let next = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
            if !self.is_own(at, next.min(end)) {
                self.seen[(at / BLOCK) as usize] |= 1 << (at / SECTOR_BYTES % SECTORS);
            }
            at = next;
        }
    }
}

impl Reads {
    /// A read of this range. Also a copy: what is copied lives on under another name.
    pub(super) fn read(&mut self, initial: &State, node: NodeId, offset: u64, length: u64) {
        if let Ok(then) = initial.content(node) {
            self.files.entry(node).or_default().mark(then.size(), offset, offset + length);
        }
    }

    /// A write over this range.
    pub(super) fn overwritten(&mut self, node: NodeId, offset: u64, length: u64) {
        self.files.entry(node).or_default().add_own(offset, offset + length);
    }

    /// What lies beyond is gone, whatever size the file has later.
    pub(super) fn truncated(&mut self, node: NodeId, size: u64) {
        self.files.entry(node).or_default().add_own(size, u64::MAX);
    }

    /// What was read, and what still stands where it stood.
    pub(super) fn mask(&mut self, initial: &State, now: &State) -> Mask {
        let mut mask = Vec::new();
        for (number, node) in initial.shape().1.into_iter().enumerate() {
            let Ok(then) = initial.content(node) else { continue };
            let file = self.files.entry(node).or_default();
            if now.content(node).is_ok() {
                file.mark(then.size(), 0, then.size());
            }
            let marked = file.seen.iter().enumerate().filter(|(_, sectors)| **sectors > 0);
            mask.extend(marked.map(|(index, sectors)| (number as u32, index as u32, *sectors)));
        }
        Mask(mask)
    }
}

impl Mask {
    /// The hash of these sectors alone; `files` as [`State::shape`] gives them.
    pub fn hash(&self, state: &State, files: &[NodeId]) -> u128 {
        let mut hash = Hash128::new();
        for (file, index, sectors) in &self.0 {
            let index = u64::from(*index);
            let Some(content) = files.get(*file as usize).and_then(|id| state.content(*id).ok())
            else {
                continue;
            };
            match content.block(index) {
                Some(bytes) if *sectors != ALL => {
                    for (number, sector) in bytes.chunks(SECTOR_BYTES as usize).enumerate() {
                        if sectors >> number & 1 == 1 {
                            hash.bytes(sector);
                        }
                    }
                }
                None if *sectors != ALL => {
                    (0..sectors.count_ones()).for_each(|_| hash.bytes(&[0; SECTOR_BYTES as usize]))
                }
                _ => hash.wide(content.block_hash(index)),
            }
        }
        hash.finish()
    }
}
