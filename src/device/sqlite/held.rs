//! Owns SQLite's reading of a file that this run has open already: through that descriptor, and
//! without a name.
//! Promises: what is read is the file that was opened and looked at, whatever has its name by now;
//! each read is one system call, and nothing else is called but to learn the size.
//! Never writes, never locks, and knows no side files: for a file beside which none has content.
//!
//! # Why this is sound
//! SQLite calls each method with a file that [`open`] has filled in, and a buffer of the size that
//! it says. The descriptor is open for as long as the connection is: whoever opens by it borrows
//! it until the connection is closed ([`super::Sqlite::read_held`]).
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void, CStr};
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use rusqlite::ffi;

/// Before the number of the descriptor: a name that no file of ours has.
const BEFORE: &str = "/proc/self/fd/";
/// Pages have 512 bytes or more, and the system's VFS says this too.
const SECTOR_BYTES: c_int = 4096;
/// What SQLite's own VFS takes for a file system that is damaged.
pub(super) const DAMAGED: [c_int; 3] = [libc::ERANGE, libc::EIO, libc::ENXIO];

/// SQLite's part comes first, so that a pointer to it is one to this.
#[repr(C)]
struct HeldFile {
    base: ffi::sqlite3_file,
    descriptor: c_int,
}

/// Room for one, in SQLite's terms.
pub(super) const BYTES: usize = size_of::<HeldFile>();

static METHODS: ffi::sqlite3_io_methods = READ_ONLY;

/// What every file has that is only read, of a descriptor where it reads.
pub(super) const READ_ONLY: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(flag),
    xFileSize: Some(file_size),
    xLock: Some(flag),
    xUnlock: Some(flag),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// The name by which [`open`] knows it.
pub(super) fn name(descriptor: BorrowedFd<'_>) -> String {
    format!("{BEFORE}{}", descriptor.as_raw_fd())
}

/// The descriptor in such a name.
pub(super) fn descriptor_in(path: &CStr) -> Option<c_int> {
    let number = path.to_str().ok()?.strip_prefix(BEFORE)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok()).flatten()
}

/// `xOpen` of a name that is a descriptor.
///
/// # Safety
/// `file` has room for [`BYTES`]; `out` is null or a number's place; the descriptor stays open for
/// as long as the file.
pub(super) unsafe fn open(descriptor: c_int, file: *mut ffi::sqlite3_file, out: *mut c_int) {
    let held = HeldFile { base: ffi::sqlite3_file { pMethods: &METHODS }, descriptor };
    // SAFETY: as the caller says.
    unsafe { file.cast::<HeldFile>().write(held) };
    if !out.is_null() {
        // SAFETY: as the caller says.
        unsafe { *out = ffi::SQLITE_OPEN_READONLY | ffi::SQLITE_OPEN_MAIN_DB };
    }
}

/// # Safety
/// [`open`] has filled it in.
unsafe fn descriptor_of(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as the caller says.
    unsafe { (*file.cast::<HeldFile>()).descriptor }
}

/// `xClose`: whoever opened the descriptor closes it.
unsafe extern "C" fn close(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_OK
}

/// `xRead`.
unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    size: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: a file of ours.
    let descriptor = unsafe { descriptor_of(file) };
    let size = usize::try_from(size).unwrap_or(0);
    let mut done = 0usize;
    while done < size {
        let at = offset.saturating_add(i64::try_from(done).unwrap_or(i64::MAX));
        // SAFETY: what is left of the buffer.
        let rest = unsafe { buffer.cast::<u8>().add(done) };
        // SAFETY: as above; the C library's call leaves its error where SQLite looks for it.
        let got = unsafe { libc::pread64(descriptor, rest.cast(), size - done, at) };
        match usize::try_from(got) {
            Ok(0) => {
                // SAFETY: what is left of the buffer.
                unsafe { ptr::write_bytes(rest, 0, size - done) };
                return ffi::SQLITE_IOERR_SHORT_READ;
            }
            Ok(bytes) => done += bytes,
            Err(_) => match std::io::Error::last_os_error().raw_os_error().unwrap_or(0) {
                libc::EINTR => {}
                error if DAMAGED.contains(&error) => return ffi::SQLITE_IOERR_CORRUPTFS,
                _ => return ffi::SQLITE_IOERR_READ,
            },
        }
    }
    ffi::SQLITE_OK
}

/// `xWrite`.
unsafe extern "C" fn write(
    _: *mut ffi::sqlite3_file,
    _: *const c_void,
    _: c_int,
    _: ffi::sqlite3_int64,
) -> c_int {
    ffi::SQLITE_READONLY
}

/// `xTruncate`.
unsafe extern "C" fn truncate(_: *mut ffi::sqlite3_file, _: ffi::sqlite3_int64) -> c_int {
    ffi::SQLITE_READONLY
}

/// `xSync`, `xLock` and `xUnlock`: nothing is written, and nobody is kept out.
unsafe extern "C" fn flag(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

/// `xFileSize`.
unsafe extern "C" fn file_size(
    file: *mut ffi::sqlite3_file,
    size: *mut ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: a file of ours, whose descriptor is open.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor_of(file)) };
    // With times of 64 bits, which the C library's call has not on 32-bit processors.
    let Ok(found) = rustix::fs::fstat(descriptor) else { return ffi::SQLITE_IOERR_FSTAT };
    // SAFETY: SQLite's own place for the answer.
    unsafe { *size = found.st_size };
    ffi::SQLITE_OK
}

/// `xCheckReservedLock`.
unsafe extern "C" fn check_reserved_lock(_: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: SQLite's own place for the answer.
    unsafe { *out = 0 };
    ffi::SQLITE_OK
}

/// `xFileControl`.
unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

/// `xSectorSize`.
unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    SECTOR_BYTES
}

/// `xDeviceCharacteristics`: no lock is taken and no side file looked for.
unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_IMMUTABLE
}

/// A name of [`name`], as SQLite has it; `None` where it has none.
///
/// # Safety
/// Null, or a string that ends with NUL.
pub(super) unsafe fn asked_for(path: *const c_char) -> Option<c_int> {
    if path.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    descriptor_in(unsafe { CStr::from_ptr(path) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::device::disk::{Op, SystemDisk};
    use crate::device::sqlite::Sqlite;
    use crate::error::Class;
    use rusqlite::Connection;
    use std::fs::{self, File};
    use std::os::fd::AsFd;

    const OP: Op = Op("test");

    /// Whatever has its name by now; one that ends in the middle of a page is damaged, as it is for
    /// SQLite's own VFS; and nothing is written.
    #[test]
    fn what_is_read_is_the_file_that_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let sql = "CREATE TABLE t (a); INSERT INTO t VALUES ('held'); CREATE TABLE u (a)";
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let open = File::open(&path).unwrap();
        fs::rename(&path, folder.path().join("b.db")).unwrap();
        let disk = SystemDisk::default();
        let sqlite = Sqlite { disk: Some(&disk), ..Sqlite::default() };
        let read = |sql: &str| {
            let read = |database: &super::super::Database| database.texts(OP, sql);
            sqlite.read_held(OP, &path, open.as_fd(), read).unwrap()
        };
        assert_eq!(read("SELECT a FROM t").unwrap(), ["held"]);
        assert_eq!(read("INSERT INTO t VALUES (1)").unwrap_err().class, Class::Storage);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let short = fs::OpenOptions::new().write(true).open(folder.path().join("b.db")).unwrap();
        short.set_len(4096 + 100).unwrap();
        assert_eq!(read("SELECT a FROM u").unwrap_err().class, Class::Damaged);
    }

    #[test]
    fn a_descriptor_is_known_by_its_name_and_nothing_else_is_one() {
        for (name, descriptor) in [
            (c"/proc/self/fd/12", Some(12)),
            (c"/proc/self/fd/12/a.db", None),
            (c"/proc/self/fd/", None),
            (c"/proc/self/fd/-1", None),
            (c"/var/lib/a.db", None),
        ] {
            assert_eq!(descriptor_in(name), descriptor, "{name:?}");
        }
    }
}
