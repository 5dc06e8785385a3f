//! Owns the pointers: SQLite's C interface for a VFS, turned into calls of `sqlite_file`, which has
//! no pointer in it.
//! Promises: names are registered once and used again by later simulations, so that a run leaks
//! nothing.
//! Never decides: every method converts its arguments, calls, and converts the answer.
//!
//! # Why this is sound
//! `unsafe` is allowed in this file of the lab alone. SQLite's contract, upheld by SQLite itself: a
//! `sqlite3_file` that `xOpen` filled in is passed to its methods until `xClose`, by one thread at
//! a time; buffers are as long as said; paths are NUL-terminated. Ours: (1) [`FileBox`] begins with
//! `sqlite3_file`, as `szOsFile` says, and holds one pointer made by `Box::into_raw` in `xOpen` and
//! taken back in `xClose`; `pMethods` is set only when that pointer is. (2) `pAppData` is a
//! `&'static Slot`, leaked once per name; what it leads to is found under a mutex and by a weak
//! reference, so a name whose simulation is gone opens nothing. (3) Everything behind is `Send +
//! Sync`. (4) A panic cannot cross into C: it aborts.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::ptr;
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use super::simulation::{Sim, WeakSim};
use super::sqlite_file::{Code, SqliteFile};
use super::state::Errno;

/// Bytes of the longest path.
const PATH_BYTES_MAX: c_int = 512;
/// Julian day number of 1970-01-01, in milliseconds.
const JULIAN_1970_MS: i64 = 210_866_760_000_000;

/// One registered name, and the process of a simulation that has it now.
struct Slot {
    name: CString,
    text: &'static str,
    sim: Mutex<Option<WeakSim>>,
}

impl Slot {
    fn sim(&self) -> MutexGuard<'_, Option<WeakSim>> {
        self.sim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A borrowed name; given back when dropped.
pub(super) struct VfsName(&'static Slot);

static FREE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

fn free_slots() -> MutexGuard<'static, Vec<&'static Slot>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VfsName {
    /// A name for this process of a simulation.
    pub(super) fn take(sim: &Sim) -> VfsName {
        let free = free_slots().pop();
        let slot = free.unwrap_or_else(register);
        *slot.sim() = Some(sim.downgrade());
        VfsName(slot)
    }

    pub(super) fn as_str(&self) -> &'static str {
        self.0.text
    }
}

impl Drop for VfsName {
    fn drop(&mut self) {
        *self.0.sim() = None;
        free_slots().push(self.0);
    }
}

/// From now on SQLite passes over this connection's virtual tables, as where their modules are
/// missing. None may have been used.
pub fn without_modules(connection: &rusqlite::Connection) {
    // SAFETY: the handle is open for as long as the connection is borrowed; the list of modules
    // that stay is empty.
    unsafe { ffi::sqlite3_drop_modules(connection.handle(), ptr::null_mut()) };
}

/// Makes SQLite's own random numbers (salts, nonces) start again from a seed. Call while no other
/// thread runs SQLite.
pub fn seed_sqlite(seed: u32) {
    let connection: *mut ffi::sqlite3 = ptr::null_mut();
    // SAFETY: this verb takes an int and a connection that may be null; it changes a seed and
    // nothing else.
    unsafe {
        ffi::sqlite3_test_control(ffi::SQLITE_TESTCTRL_PRNG_SEED, seed.max(1) as c_int, connection)
    };
}

/// Keeps freed memory in the process: SQLite's page caches come and go with every state, and giving
/// them back to the kernel each time takes as long as the check itself. Call once, at the start.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets three numbers of the allocator.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 20);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TOP_PAD, 16 << 20);
    }
}

/// Registers one more name, for the life of the process.
fn register() -> &'static Slot {
    static COUNT: Mutex<u32> = Mutex::new(0);
    let mut count = COUNT.lock().unwrap_or_else(PoisonError::into_inner);
    let text = format!("simulated-{count}");
    *count += 1;
    let name = CString::new(text.as_str()).unwrap_or_default();
    let slot: &'static Slot =
        Box::leak(Box::new(Slot { name, text: text.leak(), sim: Mutex::new(None) }));
    let vfs = Box::leak(Box::new(ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<FileBox>() as c_int,
        mxPathname: PATH_BYTES_MAX,
        pNext: ptr::null_mut(),
        zName: slot.name.as_ptr(),
        pAppData: ptr::from_ref(slot).cast_mut().cast(),
        xOpen: Some(x_open),
        xDelete: Some(x_delete),
        xAccess: Some(x_access),
        xFullPathname: Some(x_full_pathname),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(x_randomness),
        xSleep: Some(x_sleep),
        xCurrentTime: Some(x_current_time),
        xGetLastError: Some(x_get_last_error),
        xCurrentTimeInt64: Some(x_current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    }));
    // SAFETY: the structure and all that it points to live for ever.
    let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
    assert!(code == ffi::SQLITE_OK, "SQLite registers the simulated VFS");
    slot
}

/// What SQLite allocates for a file: its part first, then our pointer.
#[repr(C)]
struct FileBox {
    base: ffi::sqlite3_file,
    file: *mut SqliteFile,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xSync: Some(x_sync),
    xFileSize: Some(x_file_size),
    xLock: Some(x_lock),
    xUnlock: Some(x_unlock),
    xCheckReservedLock: Some(x_check_reserved_lock),
    xFileControl: Some(x_file_control),
    xSectorSize: Some(x_sector_size),
    xDeviceCharacteristics: Some(x_device_characteristics),
    xShmMap: Some(x_shm_map),
    xShmLock: Some(x_shm_lock),
    xShmBarrier: Some(x_shm_barrier),
    xShmUnmap: Some(x_shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The process that this VFS stands for, while its simulation lives.
///
/// # Safety
/// `vfs` is one that [`register`] made.
unsafe fn sim_of(vfs: *mut ffi::sqlite3_vfs) -> Option<Sim> {
    let slot = unsafe { &*(*vfs).pAppData.cast::<Slot>() };
    let weak = slot.sim().clone();
    weak.and_then(|weak| weak.upgrade())
}

/// Our part of an open file.
///
/// # Safety
/// `file` is between a successful [`x_open`] and [`x_close`], and no other reference to it is in
/// use.
unsafe fn file_of<'a>(file: *mut ffi::sqlite3_file) -> &'a mut SqliteFile {
    unsafe { &mut *(*file.cast::<FileBox>()).file }
}

/// # Safety
/// `path` is NUL-terminated and outlives the answer.
unsafe fn path_of<'a>(path: *const c_char) -> &'a str {
    unsafe { CStr::from_ptr(path) }.to_str().unwrap_or("/not UTF-8")
}

unsafe extern "C" fn x_open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let place = file.cast::<FileBox>();
    // SAFETY: SQLite allocated szOsFile bytes; null methods tell it not to call xClose.
    unsafe { (*place).base.pMethods = ptr::null() };
    // SAFETY: the VFS is ours.
    let Some(sim) = (unsafe { sim_of(vfs) }) else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: a name, where there is one, is NUL-terminated.
    let path = (!name.is_null()).then(|| unsafe { path_of(name) });
    match sim.sqlite_open(path, flags) {
        Err(code) => code,
        Ok((opened, opened_flags)) => {
            // SAFETY: as above; `out_flags` may be null.
            unsafe {
                (*place).file = Box::into_raw(Box::new(opened));
                (*place).base.pMethods = &raw const METHODS;
                if let Some(out) = out_flags.as_mut() {
                    *out = opened_flags;
                }
            }
            ffi::SQLITE_OK
        }
    }
}

unsafe extern "C" fn x_close(file: *mut ffi::sqlite3_file) -> c_int {
    let place = file.cast::<FileBox>();
    // SAFETY: the pointer is the one that xOpen made; the methods go with it, so nothing uses it
    // again.
    unsafe {
        drop(Box::from_raw((*place).file));
        (*place).file = ptr::null_mut();
        (*place).base.pMethods = ptr::null();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_read(
    file: *mut ffi::sqlite3_file,
    out: *mut c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite's buffer has `amount` bytes.
    let buffer = unsafe { slice::from_raw_parts_mut(out.cast::<u8>(), amount as usize) };
    // SAFETY: the file is open.
    unsafe { file_of(file) }.read(buffer, offset as u64)
}

unsafe extern "C" fn x_write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite's buffer has `amount` bytes.
    let bytes = unsafe { slice::from_raw_parts(from.cast::<u8>(), amount as usize) };
    // SAFETY: the file is open.
    unsafe { file_of(file) }.write(bytes, offset as u64)
}

unsafe extern "C" fn x_truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: the file is open.
    unsafe { file_of(file) }.truncate(size as u64)
}

unsafe extern "C" fn x_sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: the file is open. FULL, NORMAL and DATAONLY are one fsync or fdatasync on Linux.
    unsafe { file_of(file) }.sync()
}

/// Stores an answer behind a pointer, or returns its code.
///
/// # Safety
/// `out` may be written.
unsafe fn store<T>(out: *mut T, answer: Result<T, Code>) -> c_int {
    match answer {
        Ok(value) => {
            unsafe { out.write(value) };
            ffi::SQLITE_OK
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn x_file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: the file is open, SQLite's variable may be written.
    unsafe { store(out, file_of(file).size().map(|size| size as i64)) }
}

unsafe extern "C" fn x_lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { file_of(file) }.lock(level)
}

unsafe extern "C" fn x_unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { file_of(file) }.unlock(level)
}

unsafe extern "C" fn x_check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: the file is open, SQLite's variable may be written.
    unsafe { store(out, file_of(file).is_reserved().map(c_int::from)) }
}

unsafe extern "C" fn x_file_control(
    file: *mut ffi::sqlite3_file,
    verb: c_int,
    argument: *mut c_void,
) -> c_int {
    if verb == ffi::SQLITE_FCNTL_HAS_MOVED {
        // SAFETY: the file is open; this verb's argument is an int.
        return unsafe {
            store(argument.cast::<c_int>(), Ok(c_int::from(file_of(file).has_moved())))
        };
    }
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn x_sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn x_device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE | ffi::SQLITE_IOCAP_SUBPAGE_READ
}

unsafe extern "C" fn x_shm_map(
    file: *mut ffi::sqlite3_file,
    index: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: the file is open.
    let region = unsafe { file_of(file) }.map_shared(index as usize, bytes as usize, extend != 0);
    let (pointer, code) = match region {
        Ok(region) => (region.unwrap_or(ptr::null()), ffi::SQLITE_OK),
        Err(code) => (ptr::null(), code),
    };
    // SAFETY: SQLite's variable may be written. A region is made of atomics, so writing to it
    // through a shared pointer is sound; it is freed only after the last connection's xShmUnmap or
    // xClose.
    unsafe { out.write(pointer.cast_mut().cast()) };
    code
}

unsafe extern "C" fn x_shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the file is open.
    unsafe { file_of(file) }.lock_shared(first as u16, count as u16, flags)
}

unsafe extern "C" fn x_shm_barrier(_file: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn x_shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { file_of(file) }.unmap_shared(delete != 0);
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: the VFS is ours, the name NUL-terminated.
    let (sim, path) = unsafe { (sim_of(vfs), path_of(name)) };
    sim.map_or(ffi::SQLITE_IOERR_DELETE, |sim| sim.sqlite_delete(path, sync_folder & 1 != 0))
}

unsafe extern "C" fn x_access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: the VFS is ours, the name NUL-terminated.
    let (sim, path) = unsafe { (sim_of(vfs), path_of(name)) };
    let found = sim.is_some_and(|sim| sim.sqlite_access(path, flags));
    // SAFETY: SQLite's variable may be written.
    unsafe { store(out, Ok(c_int::from(found))) }
}

unsafe extern "C" fn x_full_pathname(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: the VFS is ours, the name NUL-terminated.
    let (sim, path) = unsafe { (sim_of(vfs), path_of(name)) };
    let Some(sim) = sim else { return ffi::SQLITE_CANTOPEN };
    let (full, followed) = sim.sqlite_full_path(path);
    if full.len() >= length as usize {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: SQLite's buffer has `length` bytes, more than the path and its NUL.
    unsafe {
        ptr::copy_nonoverlapping(full.as_ptr(), out.cast(), full.len());
        out.add(full.len()).write(0);
    }
    if followed {
        ffi::SQLITE_OK_SYMLINK
    } else {
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn x_randomness(
    vfs: *mut ffi::sqlite3_vfs,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite's buffer has `length` bytes; it is filled before it is read.
    let bytes = unsafe {
        ptr::write_bytes(out, 0, length as usize);
        slice::from_raw_parts_mut(out.cast::<u8>(), length as usize)
    };
    // SAFETY: the VFS is ours.
    if let Some(sim) = unsafe { sim_of(vfs) } {
        sim.sqlite_random(bytes);
    }
    length
}

unsafe extern "C" fn x_sleep(vfs: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    // SAFETY: the VFS is ours.
    if let Some(sim) = unsafe { sim_of(vfs) } {
        sim.sleep_ns(microseconds as u64 * 1000);
    }
    microseconds
}

/// # Safety
/// `vfs` is ours.
unsafe fn julian_ms(vfs: *mut ffi::sqlite3_vfs) -> i64 {
    let now = unsafe { sim_of(vfs) }.map_or(0, |sim| sim.now_ns());
    JULIAN_1970_MS + (now / 1_000_000) as i64
}

unsafe extern "C" fn x_current_time(vfs: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: the VFS is ours, SQLite's variable may be written.
    unsafe { store(out, Ok(julian_ms(vfs) as f64 / 86_400_000.0)) }
}

unsafe extern "C" fn x_current_time_int64(vfs: *mut ffi::sqlite3_vfs, out: *mut i64) -> c_int {
    // SAFETY: the VFS is ours, SQLite's variable may be written.
    unsafe { store(out, Ok(julian_ms(vfs))) }
}

/// A system call has failed: the thread's `errno`, which callers of SQLite may ask for.
pub(super) fn failed(errno: Errno) -> Errno {
    // SAFETY: the thread's own variable, for as long as the thread lives.
    unsafe { *libc::__errno_location() = errno };
    errno
}

unsafe extern "C" fn x_get_last_error(
    _vfs: *mut ffi::sqlite3_vfs,
    _length: c_int,
    _out: *mut c_char,
) -> c_int {
    0
}
