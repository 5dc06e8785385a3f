//! Owns the log's line: one effect that changes what is durable or may become so.
//! Promises: holds all that is needed to carry it out again on another disk; prints as one readable
//! line.
//! Never an effect of a volatile file system, a read, or a lock.

use std::fmt;
use std::sync::Arc;

use bootmigrate::device::disk::Op;

use super::content::Payload;
use super::state::{Body, NodeId};

/// The op of everything that SQLite does.
pub const SQLITE: Op = Op("sqlite");

/// One effect, in the order in which all processes of the simulation made them.
#[derive(Clone)]
pub struct Effect {
    /// Which process made it; 0 is the first.
    pub process: u32,
    /// The product's name for the place in its protocol, or [`SQLITE`].
    pub op: Op,
    /// The path it was called with.
    pub path: Arc<str>,
    /// What it does.
    pub change: Change,
}

/// What an effect does to the tree.
#[derive(Clone)]
pub enum Change {
    /// Bytes in a file.
    Write {
        /// The file.
        node: NodeId,
        /// From its start, in bytes.
        offset: u64,
        /// What is written.
        payload: Payload,
    },
    /// A file's size.
    Truncate {
        /// The file.
        node: NodeId,
        /// Bytes.
        size: u64,
    },
    /// `fsync` or `fdatasync` of a file.
    Sync {
        /// The file.
        node: NodeId,
    },
    /// An `fsync` that failed: the kernel takes what it held for clean, and no later one writes it.
    SyncFailed {
        /// The file.
        node: NodeId,
    },
    /// `fsync` of a folder.
    SyncFolder {
        /// The folder.
        folder: NodeId,
    },
    /// A new node under a new name.
    Create {
        /// Where.
        folder: NodeId,
        /// Its name.
        name: Arc<str>,
        /// The new node.
        node: NodeId,
        /// Empty file or folder.
        body: Body,
        /// Permission bits.
        mode: u32,
    },
    /// A second name.
    Link {
        /// Where.
        folder: NodeId,
        /// The name.
        name: Arc<str>,
        /// What it stands for.
        node: NodeId,
    },
    /// A name goes, of a file or of an empty folder.
    Unlink {
        /// Where.
        folder: NodeId,
        /// The name.
        name: Arc<str>,
    },
    /// A name moves.
    Rename {
        /// From where.
        from: (NodeId, Arc<str>),
        /// To where; what had this name loses it.
        to: (NodeId, Arc<str>),
        /// What moves.
        node: NodeId,
    },
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<24} ", self.op.0)?;
        match &self.change {
            Change::Write { offset, payload, .. } => {
                write!(f, "write {} bytes at {offset}: {}", payload.len(), self.path)
            }
            Change::Truncate { size, .. } => write!(f, "truncate to {size}: {}", self.path),
            Change::Sync { .. } => write!(f, "sync {}", self.path),
            Change::SyncFailed { .. } => write!(f, "sync {} FAILED", self.path),
            Change::SyncFolder { .. } => write!(f, "sync folder {}", self.path),
            Change::Create { body: Body::Folder(_), .. } => write!(f, "make folder {}", self.path),
            Change::Create { .. } => write!(f, "create {}", self.path),
            Change::Link { name, .. } => write!(f, "link {} as {name}", self.path),
            Change::Unlink { .. } => write!(f, "unlink {}", self.path),
            Change::Rename { to, .. } => write!(f, "rename {} to {}", self.path, to.1),
        }?;
        if self.process == 0 {
            return Ok(());
        }
        write!(f, " (process {})", self.process)
    }
}
