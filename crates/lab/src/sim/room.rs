//! Owns the room on the storage device: blocks, inodes and a quota, and which of them a write or a
//! new file is refused for.
//! Promises: a quota refuses with EDQUOT while `statvfs` has room; no inode with ENOSPC while bytes
//! are free.
//! Never refuses a second name of a file, or the removal of one.

use super::content::BLOCK_BYTES;
use super::model::Model;
use super::options::Options;
use super::simulation::Sim;
use super::state::{Errno, STORAGE};

/// What there can be too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Bytes of the file system.
    Bytes,
    /// Inodes of the file system.
    Inodes,
    /// Bytes of the one whose files these are.
    Quota,
}

impl Lack {
    /// What a run that ends for want of it says; and it asks for no bytes, which are there.
    pub fn is_named(self, sentence: &str) -> bool {
        let words = match self {
            Lack::Bytes => return true,
            Lack::Inodes => "inodes left for new files",
            Lack::Quota => "the disk quota is used up",
        };
        sentence.contains(words)
            && !sentence.contains("must be free")
            && !sentence.contains("bytes are free, then")
    }

    /// The device has so much of it altogether.
    fn set(self, options: &mut Options, total: Option<u64>) {
        match self {
            Lack::Bytes => options.total_bytes = total,
            Lack::Inodes => options.total_inodes = total,
            Lack::Quota => options.quota_bytes = total,
        }
    }
}

impl Model {
    fn used(&self, lack: Lack) -> u64 {
        match lack {
            Lack::Bytes | Lack::Quota => self.used_bytes(),
            Lack::Inodes => self.state.inodes(STORAGE),
        }
    }

    /// Blocks that a writer may still use, and what it is told when they are too few.
    pub fn free_blocks(&self) -> (u64, Errno) {
        let left = |total: Option<u64>| {
            total
                .map_or(u64::MAX, |bytes| bytes / BLOCK_BYTES as u64)
                .saturating_sub(self.used_blocks)
        };
        let (disk, quota) = (left(self.options.total_bytes), left(self.options.quota_bytes));
        if quota < disk {
            (quota, libc::EDQUOT)
        } else {
            (disk, libc::ENOSPC)
        }
    }

    /// Bytes that are still free on the storage device, as `statvfs` has it: it knows of no quota.
    pub fn available_bytes(&self) -> u64 {
        let total = self.options.total_bytes.unwrap_or(u64::MAX);
        (total / BLOCK_BYTES as u64)
            .saturating_sub(self.used_blocks)
            .saturating_mul(BLOCK_BYTES as u64)
    }

    /// Files that can still be made, as `statvfs` has it; `None` where the device has no limit.
    pub fn available_inodes(&self) -> Option<u64> {
        self.options.total_inodes.map(|total| total.saturating_sub(self.used(Lack::Inodes)))
    }

    /// An inode, and a block for the folder's entry.
    pub fn room_for_a_file(&self) -> Result<(), Errno> {
        match self.free_blocks() {
            (0, errno) => Err(errno),
            _ if self.available_inodes() == Some(0) => Err(libc::ENOSPC),
            _ => Ok(()),
        }
    }
}

impl Sim {
    /// Leaves just this many bytes, inodes or bytes of the quota from now on.
    pub fn leave(&self, lack: Lack, left: u64) {
        let mut model = self.lock();
        let total = model.used(lack) + left;
        lack.set(&mut model.options, Some(total));
    }

    /// A device like that of these wishes which has just so much more of it than is used now.
    pub fn with_left(&self, lack: Lack, left: u64, options: &Options) -> Options {
        let mut options = options.clone();
        lack.set(&mut options, Some(self.lock().used(lack) + left));
        options
    }
}
