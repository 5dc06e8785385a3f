//! Owns the rights that a call on a path is made with: the ids of this thread that the kernel
//! compares with a file's owner.
//! Promises: while a [`Rights`] of an owner lives, the kernel allows this thread, on files, what it
//! allows that user, who is in the one group and in no other; when it is dropped the thread has
//! again what it had.
//! Never touches another thread (one that is made meanwhile would begin with them), nor the user
//! whom signals, limits of resources and reserved blocks look at.
//!
//! `setfsuid` takes the capabilities over files out of the thread's effective set while the id is
//! not root's, and gives them back with root's.
#![allow(unsafe_code)] // System calls with integers, no memory.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use rustix::process::{getgroups, Gid};
use rustix::thread::set_thread_groups;

/// Says nothing but the id as it is: nobody has this one.
const NOBODY: u32 = u32::MAX;

/// A user who is not root, with the one group that he needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserAndGroup {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The names of a database, and whose it is.
#[derive(Debug, Clone)]
pub struct Owned {
    /// The paths of its files.
    pub files: Vec<PathBuf>,
    /// The folder of what belongs to it.
    pub state: PathBuf,
    /// Whose it is.
    pub owner: UserAndGroup,
}

impl Owned {
    /// The path is one of these names, or below the folder.
    pub fn has(&self, path: &Path) -> bool {
        path.starts_with(&self.state) || self.files.iter().any(|file| file == path)
    }
}

/// The thread has an owner's rights until this is dropped. Dropped on the thread that made it: it
/// cannot be sent.
#[must_use = "they end when this is dropped"]
pub struct Rights {
    before: Option<Before>,
    on_this_thread: PhantomData<*const ()>,
}

struct Before {
    uid: u32,
    gid: u32,
    /// `None` where it was in none.
    groups: Option<Vec<Gid>>,
}

impl Rights {
    /// Of this owner; with `None` nothing changes, nor where the kernel, or a filter of system
    /// calls, does not let this process.
    pub fn of(owner: Option<UserAndGroup>) -> Rights {
        Rights { before: owner.and_then(become_owner), on_this_thread: PhantomData }
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        // The kernel lets root have its own ids, and of its own groups nothing is needed: what is
        // not given back is a right too few.
        if let Some(Before { uid, gid, groups }) = &self.before {
            set_user(*uid);
            set_group(*gid);
            if let Some(groups) = groups {
                let _ = set_thread_groups(groups);
            }
        }
    }
}

fn become_owner(owner: UserAndGroup) -> Option<Before> {
    let gid = set_group(owner.gid);
    let uid = set_user(owner.uid);
    if set_user(NOBODY) != owner.uid {
        set_user(uid);
        set_group(gid);
        return None;
    }
    // What root's groups may read is none of the owner's business.
    let groups = if is_in_groups() { getgroups().unwrap_or_default() } else { Vec::new() };
    let in_some = !groups.is_empty() && set_thread_groups(&[]).is_ok();
    Some(Before { uid, gid, groups: in_some.then_some(groups) })
}

/// One call, where the list takes two.
fn is_in_groups() -> bool {
    // SAFETY: without room it writes nothing, and says how many there are.
    unsafe { libc::getgroups(0, std::ptr::null_mut()) != 0 }
}

/// Returns the id that it was before, as the kernel does.
fn set_user(uid: u32) -> u32 {
    // SAFETY: an integer goes in and one comes out; the C library makes the call for this thread
    // alone.
    unsafe { libc::setfsuid(uid) }.cast_unsigned()
}

/// As [`set_user`].
fn set_group(gid: u32) -> u32 {
    // SAFETY: as above.
    unsafe { libc::setfsgid(gid) }.cast_unsigned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::fs::{read, write, Permissions};
    use std::os::unix::fs::PermissionsExt;

    /// Cargo runs the tests as whoever runs Cargo: root sees the change, everybody else that
    /// nothing changes.
    #[test]
    fn rights_end_with_the_block_even_by_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let file = folder.path().join("of whoever runs this");
        write(&file, "x").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        let owner = UserAndGroup { uid: 65534, gid: 65534 };
        let groups = getgroups().unwrap();
        {
            let (may, other) = (std::sync::mpsc::channel(), file.clone());
            let thread = std::thread::spawn(move || may.1.recv().is_ok() && read(other).is_ok());
            let _rights = Rights::of(Some(owner));
            assert_eq!(read(&file).is_err(), is_root);
            may.0.send(()).unwrap();
            assert!(thread.join().unwrap(), "a thread that was there before");
        }
        assert_eq!((read(&file).is_ok(), getgroups().unwrap()), (true, groups.clone()));
        let panicked = std::panic::catch_unwind(|| {
            let _rights = Rights::of(Some(owner));
            std::panic::resume_unwind(Box::new(()));
        });
        assert_eq!(
            (panicked.is_err(), read(&file).is_ok(), getgroups().unwrap()),
            (true, true, groups)
        );
        {
            let _rights = Rights::of(None);
            assert!(read(&file).is_ok());
        }
    }
}
