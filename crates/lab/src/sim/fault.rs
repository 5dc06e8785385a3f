//! Owns what can be made to fail: which call, how, once or for ever.
//! Promises: an error is given only to a call that can really meet it; each firing is noted.
//! Never changes the tree: a failed call has done nothing, but for a short write.

use std::fmt;

/// What a call does, as far as failing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// Opens what is there.
    Open,
    /// Opens and may make.
    Create,
    /// Makes a folder.
    MakeFolder,
    /// Reads bytes.
    Read,
    /// Writes bytes.
    Write,
    /// Changes a size.
    Truncate,
    /// Syncs a file.
    Sync,
    /// Syncs a folder.
    SyncFolder,
    /// Renames.
    Rename,
    /// Makes a second name.
    Link,
    /// Takes a name away.
    Unlink,
    /// Looks: stat, list, resolve, statvfs.
    Look,
    /// Changes owner or mode.
    Owner,
    /// Locks and leases.
    Lock,
}

impl Call {
    /// It may add a line to the log.
    pub fn changes(self) -> bool {
        match self {
            Call::Create
            | Call::MakeFolder
            | Call::Write
            | Call::Truncate
            | Call::Sync
            | Call::SyncFolder => true,
            Call::Rename | Call::Link | Call::Unlink => true,
            Call::Open | Call::Read | Call::Look | Call::Owner | Call::Lock => false,
        }
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// EIO.
    InputOutput,
    /// ENOSPC.
    Full,
    /// EROFS; with `for_ever` the device says that it is read-only too.
    ReadOnly,
    /// EACCES.
    Denied,
    /// About half of the bytes are written, then ENOSPC.
    ShortWrite,
    /// The process dies: this call and all later ones of it do nothing.
    Kill,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [FaultKind; 6] = [
        FaultKind::InputOutput,
        FaultKind::Full,
        FaultKind::ReadOnly,
        FaultKind::Denied,
        FaultKind::ShortWrite,
        FaultKind::Kill,
    ];

    /// Can this call meet this failure?
    pub fn fits(self, call: Call) -> bool {
        match self {
            FaultKind::InputOutput | FaultKind::Kill => true,
            FaultKind::Full => match call {
                Call::Create | Call::MakeFolder | Call::Write | Call::Rename | Call::Link => true,
                Call::Sync | Call::SyncFolder => true,
                Call::Open
                | Call::Read
                | Call::Truncate
                | Call::Unlink
                | Call::Look
                | Call::Owner
                | Call::Lock => false,
            },
            FaultKind::ReadOnly => match call {
                Call::Create | Call::MakeFolder | Call::Write | Call::Truncate | Call::Rename => {
                    true
                }
                Call::Link | Call::Unlink | Call::Owner => true,
                Call::Open
                | Call::Read
                | Call::Sync
                | Call::SyncFolder
                | Call::Look
                | Call::Lock => false,
            },
            FaultKind::Denied => match call {
                Call::Open | Call::Create | Call::MakeFolder | Call::Rename | Call::Link => true,
                Call::Unlink | Call::Look | Call::Owner | Call::Lock => true,
                Call::Read | Call::Write | Call::Truncate | Call::Sync | Call::SyncFolder => false,
            },
            FaultKind::ShortWrite => call == Call::Write,
        }
    }

    pub(super) fn errno(self) -> i32 {
        match self {
            FaultKind::InputOutput | FaultKind::Kill => libc::EIO,
            FaultKind::Full | FaultKind::ShortWrite => libc::ENOSPC,
            FaultKind::ReadOnly => libc::EROFS,
            FaultKind::Denied => libc::EACCES,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FaultKind::InputOutput => "EIO",
            FaultKind::Full => "ENOSPC",
            FaultKind::ReadOnly => "EROFS",
            FaultKind::Denied => "EACCES",
            FaultKind::ShortWrite => "short write",
            FaultKind::Kill => "kill",
        })
    }
}

/// When it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Instead of the effect that would have had this place in the log.
    Effect(u64),
    /// At the call with this number, reads and looks counted too.
    Call(u64),
}

/// One thing that goes wrong, for the process that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: Moment,
    /// How.
    pub kind: FaultKind,
    /// Every later call that the kind fits fails too.
    pub for_ever: bool,
}

impl Fault {
    /// At an effect of the log.
    pub fn at_effect(effect: u64, kind: FaultKind, for_ever: bool) -> Fault {
        Fault { at: Moment::Effect(effect), kind, for_ever }
    }

    /// At a call of any kind.
    pub fn at_call(call: u64, kind: FaultKind, for_ever: bool) -> Fault {
        Fault { at: Moment::Call(call), kind, for_ever }
    }

    /// Is this the moment? `effects` and `calls` are those made so far; `logged` says whether this
    /// one may be logged.
    pub(super) fn is_due(&self, effects: u64, calls: u64, logged: bool) -> bool {
        match self.at {
            Moment::Effect(at) => logged && (effects == at || self.for_ever && effects > at),
            Moment::Call(at) => calls == at || self.for_ever && calls > at,
        }
    }
}
