//! Owns the simulated storage device: one model in memory that is both our own `Disk` and SQLite's
//! VFS.
//! Promises: every effect of both is in one log, from which every state that a power cut can leave
//! is made.
//! Never touches a real file, the clock or a random source: the same scenario gives the same log.
//!
//! # The fault model
//!
//! **Running.** Reads see every write at once, whoever made it. Losing power is what makes a
//! difference, so the log is replayed up to the cut, and what was not yet synced then meets one of
//! the outcomes of [`outcome::CrashOutcome`].
//!
//! **Content.** A write or a truncation is *pending* until `fsync` or `fdatasync` of that file
//! returns; both make content and size durable, and (to be strict) never a name. At a cut each
//! pending write is by itself kept, lost, or torn: any of its sectors (512 bytes, aligned in the
//! file) new and the others old. Writes between two syncs are so reordered freely. Within a sector
//! the bytes outside a write are never damaged, and a sector is never garbage (SQLite's "powersafe
//! overwrite"). Where a file grew and the bytes did not come, zeros are read; also when only the
//! size came (delayed allocation).
//!
//! **Names.** Creating, linking, renaming and unlinking are *pending* until `fsync` of the folder
//! returns, each folder by itself. A new file's inode exists as soon as a durable name leads to it,
//! empty until its own sync. A folder whose own name is lost takes everything below it with it. Two
//! variants ([`replay::Order`]):
//! - *Kept*: a journalled file system. What is durable of the pending name effects is a prefix in
//!   the order of all of them; a rename is one effect, between two folders too; the sync of a
//!   folder makes all earlier ones durable.
//! - *Free*: any subset, but effects on the same name of the same folder keep their order. A rename
//!   within one folder is one effect; between two folders each half is durable by itself, so the
//!   file may stand under both names or under none. The sync of a folder makes the effects on that
//!   folder durable and no other.
//!
//! **Owner, mode and times** are changed in the running system and are not part of a state. Inode
//! numbers are the lowest free ones, used again at once, and start afresh after every cut; times
//! are coarse (4 ms) on a clock that only calls move.
//!
//! **Volatile.** Mounts given to device [`state::VOLATILE`] (`/run`) are empty after a cut; effects
//! there are not logged. Temporary files of SQLite have no name, use space, and are not logged.
//!
//! **Processes.** One simulation can hold several; each has its own handles. An unlinked file lives
//! as long as a handle. SQLite's locks are those of its unix VFS, between all connections; another
//! handle of the same process on the same file that is closed drops them for other processes, as
//! POSIX has it, and that is noted as a hazard. `flock` is held by a handle. A write lease is
//! granted iff the asker's handle is the only one on that inode and nobody waits to open it; an
//! opener breaks it and is turned away, or (`begin_open`) waits and goes on later with the inode
//! that the name stood for when it asked.
//!
//! **Failing.** At a chosen call or effect, once or from then on: EIO, ENOSPC, EROFS, EACCES where
//! that system call can give it, a short write, or the death of the process (every later call of it
//! fails, nothing more reaches the disk). A device can be small, fill up, have no inode left while
//! bytes are free, have a quota of which `statvfs` knows nothing (EDQUOT), be read-only, or be one
//! where an overwrite needs new blocks. A sync of a file that fails loses what was pending of it
//! for good, though reads still see it; each other handle that was open on it then has its next
//! sync fail, once (`errseq_t`, Linux 4.13). A page that is lost fails at every read, whoever
//! reads.

pub mod allocator;
pub mod content;
mod disk;
pub mod effect;
pub mod fault;
mod handles;
pub mod hash;
mod locks;
pub mod lying;
mod model;
mod options;
pub mod outcome;
pub mod reads;
pub mod replay;
mod room;
mod shared_memory;
mod simulation;
mod sqlite_file;
pub mod state;
mod vfs;

pub use effect::{Change, Effect};
pub use fault::{Fault, FaultKind, Moment};
pub use options::{LeaseSupport, Options};
pub use outcome::{CrashOutcome, CrashPoint, Enumerator, OutcomePlan, SeenStates};
pub use replay::{Order, Replay};
pub use room::Lack;
pub use simulation::Sim;
pub use state::State;
pub use vfs::{keep_freed_memory, seed_sqlite, without_modules};
