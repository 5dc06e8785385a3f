//! Owns what a simulated device is: its size, its file system and its clock.
//! Promises: without special wishes a large disk of an ordinary file system.
//! Never changes while a simulation runs.

/// What a device without special wishes is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Bytes of the storage device; `None`: never full.
    pub total_bytes: Option<u64>,
    /// Files, folders and links that the storage device can hold; `None`: no limit.
    pub total_inodes: Option<u64>,
    /// Bytes that whoever owns these files may use, which `statvfs` does not show; `None`: no
    /// quota.
    pub quota_bytes: Option<u64>,
    /// An overwrite needs new blocks too (a copy-on-write file system).
    pub copy_on_write: bool,
    /// Mounted read-only.
    pub read_only: bool,
    /// A file can have a second name; not so on FAT and its like.
    pub links: bool,
    /// What the kernel says to a process that asks for a lease.
    pub leases: LeaseSupport,
    /// Paths that are mounts of their own: renaming over them or unlinking them is EBUSY.
    pub busy_paths: Vec<String>,
    /// Keep the log. Without it effects are only counted.
    pub log: bool,
    /// Seed of SQLite's `xRandomness`.
    pub seed: u64,
    /// Nanoseconds since 1970 at the start.
    pub clock_ns: i128,
}

/// What the kernel says to a process that asks for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseSupport {
    /// Granted where nobody else has the file open.
    Granted,
    /// EACCES: not the owner and no CAP_LEASE.
    Denied,
    /// EINVAL: this file system has none.
    Unsupported,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            total_bytes: None,
            total_inodes: None,
            quota_bytes: None,
            copy_on_write: false,
            read_only: false,
            links: true,
            leases: LeaseSupport::Granted,
            busy_paths: Vec::new(),
            log: true,
            seed: 1,
            clock_ns: 1_000_000_000,
        }
    }
}
