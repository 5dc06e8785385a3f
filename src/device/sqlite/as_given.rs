//! Owns a VFS of SQLite that is the system's own in all but one thing: it takes a path as it is given.
//! Promises: a file opened through `/proc/self/fd/N/name`, and every side file of it, lies in the folder of descriptor N. (The system's
//!   own VFS reads what that link says and opens the folder's name again, which may lead elsewhere by then.)
//! Never changes what a file does once it is open.
//!
//! # Why this is sound
//! The VFS is a copy of SQLite's own table of functions, made once, never changed and never freed; its name is a constant. SQLite calls
//! `xFullPathname` with a string that ends with NUL and a buffer of the size that it says, as its contract has it.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, CStr};
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi;

const NAME: &CStr = c"bootmigrate-as-given";

/// Its name; `None` where SQLite has no VFS to copy.
pub(super) fn name() -> Option<&'static str> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    REGISTERED.get_or_init(register).then(|| NAME.to_str().ok()).flatten()
}

fn register() -> bool {
    // SAFETY: a null name asks for the default VFS, which lives as long as the process.
    let system = unsafe { ffi::sqlite3_vfs_find(ptr::null()).as_ref() };
    let Some(system) = system else { return false };
    let copy = ffi::sqlite3_vfs {
        pNext: ptr::null_mut(),
        zName: NAME.as_ptr(),
        xFullPathname: Some(as_given),
        ..*system
    };
    // SAFETY: the table is leaked, so it outlives every connection; it is not the default.
    unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(copy)), 0) == ffi::SQLITE_OK }
}

/// `xFullPathname`.
unsafe extern "C" fn as_given(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    size: c_int,
    full: *mut c_char,
) -> c_int {
    // SAFETY: SQLite's contract, above.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes_with_nul();
    if usize::try_from(size).map_or(true, |size| path.len() > size) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: the buffer has room for it, and is SQLite's own.
    unsafe { ptr::copy_nonoverlapping(path.as_ptr().cast(), full, path.len()) };
    ffi::SQLITE_OK
}
