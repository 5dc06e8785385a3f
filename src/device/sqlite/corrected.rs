//! Owns SQLite's reading of a file whose header is damaged, by a corrected one.
//! Promises: of the file itself not a byte is changed; what is behind its end is read as zeros, as
//! far as the header counts pages.
//! Never writes, never locks, and knows no side files: for a file beside which none has content.
//!
//! # Why this is sound
//! SQLite calls each method with a file that [`open`] has filled in, and a buffer of the size that
//! it says. What is offered lives for as long as the connection: whoever opens it borrows it until
//! the connection is closed ([`super::Sqlite::read_corrected`]).
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::mem::size_of;
use std::{ptr, slice};

use rusqlite::ffi;

use super::held::{DAMAGED, READ_ONLY};
use crate::device::disk::File;
use crate::device::files::HEADER_BYTES;

/// A name that no file of ours has.
const NAME: &str = "/proc/self/corrected-header";

/// A file, and the header by which it is read.
pub struct Corrected<'a> {
    /// Its bytes behind the header.
    pub file: &'a dyn File,
    /// In place of its own.
    pub header: [u8; HEADER_BYTES],
    /// Bytes that the header counts.
    pub size: u64,
}

thread_local! {
    /// What [`NAME`] stands for.
    static OFFERED: Cell<Option<*const Corrected<'static>>> = const { Cell::new(None) };
}

/// SQLite's part comes first, so that a pointer to it is one to this.
#[repr(C)]
struct CorrectedFile {
    base: ffi::sqlite3_file,
    of: *const Corrected<'static>,
}

/// Room for one, in SQLite's terms.
pub(super) const BYTES: usize = size_of::<CorrectedFile>();

static METHODS: ffi::sqlite3_io_methods =
    ffi::sqlite3_io_methods { xRead: Some(read), xFileSize: Some(file_size), ..READ_ONLY };

impl Corrected<'_> {
    /// While `open` runs, its argument is the name of this for the VFS.
    pub(super) fn offered<T>(&self, open: impl FnOnce(&str) -> T) -> T {
        let this: *const Corrected<'_> = self;
        let before = OFFERED.replace(Some(this.cast()));
        let opened = open(NAME);
        OFFERED.set(before);
        opened
    }

    /// The bytes at `offset`; `false` where the file ends before, and zeros follow.
    fn fill(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<bool> {
        let got = self.file.read_at(offset, buffer)?;
        if let Some(rest) = buffer.get_mut(got..) {
            rest.fill(0);
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        for (byte, of_header) in buffer.iter_mut().zip(self.header.iter().skip(from)) {
            *byte = *of_header;
        }
        Ok(got == buffer.len())
    }
}

/// What is offered under this name, as SQLite has it; `None` where it is another.
///
/// # Safety
/// Null, or a string that ends with NUL.
pub(super) unsafe fn asked_for(path: *const c_char) -> Option<*const Corrected<'static>> {
    if path.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    let name = unsafe { CStr::from_ptr(path) };
    OFFERED.get().filter(|_| name.to_bytes() == NAME.as_bytes())
}

/// `xOpen` of what is offered.
///
/// # Safety
/// `file` has room for [`BYTES`]; `out` is null or a number's place; `of` lives as long as the
/// file.
pub(super) unsafe fn open(
    of: *const Corrected<'static>,
    file: *mut ffi::sqlite3_file,
    out: *mut c_int,
) {
    let opened = CorrectedFile { base: ffi::sqlite3_file { pMethods: &METHODS }, of };
    // SAFETY: as the caller says.
    unsafe { file.cast::<CorrectedFile>().write(opened) };
    if !out.is_null() {
        // SAFETY: as the caller says.
        unsafe { *out = ffi::SQLITE_OPEN_READONLY | ffi::SQLITE_OPEN_MAIN_DB };
    }
}

/// `xRead`.
unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    size: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: a file of ours, and what it is of lives as long.
    let of = unsafe { &*(*file.cast::<CorrectedFile>()).of };
    let (size, offset) = (usize::try_from(size).unwrap_or(0), u64::try_from(offset).unwrap_or(0));
    // SAFETY: SQLite's buffer has as many bytes; it is filled before it is read.
    let buffer = unsafe {
        ptr::write_bytes(buffer.cast::<u8>(), 0, size);
        slice::from_raw_parts_mut(buffer.cast::<u8>(), size)
    };
    match of.fill(offset, buffer) {
        Ok(true) => ffi::SQLITE_OK,
        Ok(false) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(error) if error.raw_os_error().is_some_and(|code| DAMAGED.contains(&code)) => {
            ffi::SQLITE_IOERR_CORRUPTFS
        }
        Err(_) => ffi::SQLITE_IOERR_READ,
    }
}

/// `xFileSize`.
unsafe extern "C" fn file_size(
    file: *mut ffi::sqlite3_file,
    size: *mut ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: a file of ours, and what it is of lives as long; SQLite's own place for the answer.
    unsafe {
        *size = i64::try_from((*(*file.cast::<CorrectedFile>()).of).size).unwrap_or(i64::MAX)
    };
    ffi::SQLITE_OK
}
