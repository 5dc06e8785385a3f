//! Owns the kernel's count of what this process has sent to storage.
//! Promises: one system call, and no file of `/proc` opened.
//! Never a reason to fail: what the kernel does not say is 0.
#![allow(unsafe_code)] // A system call that fills one structure.

use std::mem::MaybeUninit;

/// Of `ru_oublock`, whatever the file system's own blocks are.
const BLOCK_BYTES: u64 = 512;

/// Bytes, of all threads; 0 where the kernel does not count.
pub(super) fn bytes() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a structure of the right type, which lives until the call is over.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    // SAFETY: it is numbers alone, for which zeros are valid, and what the call leaves is.
    let usage = unsafe { usage.assume_init() };
    u64::try_from(usage.ru_oublock).unwrap_or(0).saturating_mul(BLOCK_BYTES)
}
