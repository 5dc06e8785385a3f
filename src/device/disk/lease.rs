//! Owns the three `fcntl` calls for write leases, which no safe library offers.
//! Promises: asks as the file's owner where the kernel refuses root without CAP_LEASE.
//! Never waits, and never leaves the thread with another user's rights.
#![allow(unsafe_code)] // A system call with three integers, no memory.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::process::Uid;

use super::Lease;

/// F_SETLEASE with F_WRLCK; held after return when the answer is [`Lease::Held`].
pub fn take(file: &std::fs::File, owner: u32) -> io::Result<Lease> {
    match answer(fcntl(file, libc::F_SETLEASE, libc::F_WRLCK))? {
        Lease::Denied if rustix::process::geteuid().is_root() => {
            as_user(owner, || answer(fcntl(file, libc::F_SETLEASE, libc::F_WRLCK)))
        }
        other => Ok(other),
    }
}

/// F_GETLEASE: a write lease that nobody has begun to break.
pub fn state(file: &std::fs::File) -> io::Result<Lease> {
    match fcntl(file, libc::F_GETLEASE, 0)? {
        libc::F_WRLCK => Ok(Lease::Held),
        _ => Ok(Lease::Busy),
    }
}

/// F_SETLEASE with F_UNLCK.
pub fn give_up(file: &std::fs::File) -> io::Result<()> {
    fcntl(file, libc::F_SETLEASE, libc::F_UNLCK).map(drop)
}

fn answer(result: io::Result<i32>) -> io::Result<Lease> {
    match result {
        Ok(_) => Ok(Lease::Held),
        Err(error) => match error.raw_os_error() {
            Some(libc::EAGAIN) => Ok(Lease::Busy),
            Some(libc::EACCES | libc::EPERM) => Ok(Lease::Denied),
            Some(libc::EINVAL) => Ok(Lease::Unsupported),
            _ => Err(error),
        },
    }
}

fn fcntl(file: &std::fs::File, command: i32, argument: i32) -> io::Result<i32> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and these commands take an
    // integer.
    match unsafe { libc::fcntl(file.as_fd().as_raw_fd(), command, argument) } {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

/// Runs one call with another effective user; this program has one thread, and gets its rights back
/// before it goes on.
fn as_user(owner: u32, call: impl FnOnce() -> io::Result<Lease>) -> io::Result<Lease> {
    let effective = |uid: Uid| rustix::thread::set_thread_res_uid(None, Some(uid), None);
    if effective(Uid::from_raw(owner)).is_err() {
        return Ok(Lease::Denied);
    }
    let result = call();
    effective(Uid::ROOT)?;
    result
}
