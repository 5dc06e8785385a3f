//! Owns the bytes of simulated files: copy-on-write blocks that many disks share, and the bytes
//! that one write carries.
//! Promises: a clone copies no byte; equal contents have equal hashes, a hole and a block of zeros
//! included.
//! Never knows a name, a folder or a sync.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::hash::Hash128;

/// Bytes in one block: what is shared between disks, and the unit in which space is used.
pub const BLOCK_BYTES: usize = 4096;
/// Bytes in one sector: a sector is written whole or not at all, a longer write can be torn between
/// two.
pub const SECTOR_BYTES: u64 = 512;

/// The same, for sums with offsets.
pub const BLOCK: u64 = BLOCK_BYTES as u64;

/// One block and its hash, computed at most once.
pub struct Block {
    bytes: [u8; BLOCK_BYTES],
    hash: OnceLock<u128>,
}

impl Clone for Block {
    fn clone(&self) -> Self {
        Block { bytes: self.bytes, hash: OnceLock::new() }
    }
}

impl Block {
    fn of(bytes: &[u8]) -> Arc<Block> {
        let mut block = Block { bytes: [0; BLOCK_BYTES], hash: OnceLock::new() };
        block.bytes[..bytes.len()].copy_from_slice(bytes);
        Arc::new(block)
    }

    fn hash(&self) -> u128 {
        *self.hash.get_or_init(|| Hash128::of(&self.bytes))
    }

    fn zeros() -> &'static Arc<Block> {
        static ZEROS: OnceLock<Arc<Block>> = OnceLock::new();
        ZEROS.get_or_init(|| Block::of(&[]))
    }
}

/// The bytes of one write. Whole aligned blocks are shared by every disk that they are written to.
#[derive(Clone)]
pub enum Payload {
    /// Starts at a block's start and holds whole blocks.
    Blocks(Arc<[Arc<Block>]>),
    /// Anything else.
    Bytes(Arc<[u8]>),
}

impl Payload {
    /// What a write of `bytes` at `offset` carries.
    pub fn new(offset: u64, bytes: &[u8]) -> Payload {
        if !bytes.is_empty()
            && offset.is_multiple_of(BLOCK)
            && bytes.len().is_multiple_of(BLOCK_BYTES)
        {
            Payload::Blocks(bytes.chunks(BLOCK_BYTES).map(Block::of).collect())
        } else {
            Payload::Bytes(bytes.into())
        }
    }

    /// Bytes written.
    pub fn len(&self) -> u64 {
        match self {
            Payload::Blocks(blocks) => blocks.len() as u64 * BLOCK,
            Payload::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Nothing is written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of all bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        match self {
            Payload::Blocks(blocks) => {
                blocks.iter().fold(Vec::with_capacity(self.len() as usize), |mut all, block| {
                    all.extend_from_slice(&block.bytes);
                    all
                })
            }
            Payload::Bytes(bytes) => bytes.to_vec(),
        }
    }
}

/// A file's bytes. Bytes beyond the size are kept zero, so that equal contents are equal block for
/// block.
#[derive(Clone, Default)]
pub struct Content {
    size: u64,
    blocks: Arc<Vec<Option<Arc<Block>>>>,
}

impl Content {
    /// A file that holds these bytes.
    pub fn of(bytes: &[u8]) -> Content {
        let mut content = Content::default();
        content.write_bytes(0, bytes);
        content
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Blocks that use space; a hole uses none.
    pub fn allocated_blocks(&self) -> u64 {
        self.blocks.iter().filter(|block| block.is_some()).count() as u64
    }

    /// Blocks from the first to the end, holes counted.
    pub fn blocks(&self) -> u64 {
        self.size.div_ceil(BLOCK)
    }

    /// The hash of one block; a hole's is that of zeros.
    pub fn block_hash(&self, index: u64) -> u128 {
        match self.blocks.get(index as usize) {
            Some(Some(block)) => block.hash(),
            _ => Block::zeros().hash(),
        }
    }

    /// The bytes of one block; `None` for a hole.
    pub fn block(&self, index: u64) -> Option<&[u8; BLOCK_BYTES]> {
        self.blocks.get(index as usize)?.as_ref().map(|block| &block.bytes)
    }

    /// How many blocks a write of this range would newly allocate.
    pub fn missing_blocks(&self, offset: u64, length: u64) -> u64 {
        if length == 0 {
            return 0;
        }
        let touched = offset / BLOCK..=(offset + length - 1) / BLOCK;
        touched.filter(|index| self.blocks.get(*index as usize).is_none_or(Option::is_none)).count()
            as u64
    }

    /// Reads at `offset`; fewer bytes only at the end of the file.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let wanted = self.size.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let mut done = 0;
        while done < wanted {
            let at = offset + done as u64;
            let start = (at % BLOCK) as usize;
            let length = (BLOCK_BYTES - start).min(wanted - done);
            match self.blocks.get((at / BLOCK) as usize) {
                Some(Some(block)) => {
                    buffer[done..done + length].copy_from_slice(&block.bytes[start..start + length])
                }
                _ => buffer[done..done + length].fill(0),
            }
            done += length;
        }
        wanted
    }

    /// All bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.size as usize];
        self.read(0, &mut bytes);
        bytes
    }

    /// Writes a whole payload, sharing its blocks where it has any.
    pub fn write(&mut self, offset: u64, payload: &Payload) {
        match payload {
            Payload::Bytes(bytes) => self.write_bytes(offset, bytes),
            Payload::Blocks(new) => {
                let first = (offset / BLOCK) as usize;
                let blocks = Arc::make_mut(&mut self.blocks);
                if blocks.len() < first + new.len() {
                    blocks.resize(first + new.len(), None);
                }
                for (place, block) in blocks[first..].iter_mut().zip(new.iter()) {
                    *place = Some(block.clone());
                }
                self.size = self.size.max(offset + payload.len());
            }
        }
    }

    /// Writes only the part of a payload that lies in `kept`, a range of offsets in the file.
    pub fn write_part(&mut self, offset: u64, payload: &Payload, kept: Range<u64>) {
        let start = kept.start.max(offset);
        let end = kept.end.min(offset + payload.len());
        match payload {
            Payload::Bytes(bytes) if start < end => {
                self.write_bytes(start, &bytes[(start - offset) as usize..(end - offset) as usize]);
            }
            Payload::Blocks(blocks) => {
                for (block, at) in blocks.iter().zip((offset..).step_by(BLOCK_BYTES)) {
                    let (from, to) = (start.max(at), end.min(at + BLOCK));
                    if from < to {
                        self.write_bytes(
                            from,
                            &block.bytes[(from - at) as usize..(to - at) as usize],
                        );
                    }
                }
            }
            Payload::Bytes(_) => {}
        }
    }

    fn write_bytes(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len() as u64;
        let blocks = Arc::make_mut(&mut self.blocks);
        let needed = end.div_ceil(BLOCK) as usize;
        if blocks.len() < needed {
            blocks.resize(needed, None);
        }
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let start = (at % BLOCK) as usize;
            let length = (BLOCK_BYTES - start).min(bytes.len() - done);
            let block = blocks[(at / BLOCK) as usize].get_or_insert_with(|| Block::of(&[]));
            let block = Arc::make_mut(block);
            block.hash = OnceLock::new();
            block.bytes[start..start + length].copy_from_slice(&bytes[done..done + length]);
            done += length;
        }
        self.size = self.size.max(end);
    }

    /// Shortens, or lengthens with a hole.
    pub fn truncate(&mut self, size: u64) {
        if size < self.size {
            let blocks = Arc::make_mut(&mut self.blocks);
            blocks.truncate(size.div_ceil(BLOCK) as usize);
            let tail = (size % BLOCK) as usize;
            if tail > 0 {
                if let Some(Some(block)) = blocks.get_mut((size / BLOCK) as usize) {
                    let block = Arc::make_mut(block);
                    block.hash = OnceLock::new();
                    block.bytes[tail..].fill(0);
                }
            }
        }
        self.size = size;
    }

    /// What a copy of this range to the same offset of another file carries.
    pub fn payload(&self, offset: u64, length: u64) -> Payload {
        let length = length.min(self.size.saturating_sub(offset));
        if length > 0 && offset.is_multiple_of(BLOCK) && length.is_multiple_of(BLOCK) {
            let indices = offset / BLOCK..(offset + length) / BLOCK;
            let block = |index: u64| self.blocks.get(index as usize).cloned().flatten();
            return Payload::Blocks(
                indices.map(|i| block(i).unwrap_or_else(|| Block::zeros().clone())).collect(),
            );
        }
        let mut bytes = vec![0; length as usize];
        self.read(offset, &mut bytes);
        Payload::Bytes(bytes.into())
    }

    /// Size and bytes in 128 bits.
    pub fn hash(&self) -> u128 {
        let mut hash = Hash128::new();
        hash.number(self.size);
        for index in 0..self.blocks() {
            hash.wide(self.block_hash(index));
        }
        hash.finish()
    }
}
