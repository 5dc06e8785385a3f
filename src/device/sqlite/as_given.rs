//! Owns a VFS of SQLite that is the system's own but for two things: it takes a path as it is
//! given, and uses it with the rights of the database's owner.
//! Promises: a file opened through `/proc/self/fd/N/name`, and every side file of it, lies in the
//! folder of descriptor N. (The system's own VFS reads what that link says and opens the folder's
//! name again, which may lead elsewhere by then.) What SQLite opens, makes or removes by a name,
//! whichever name a file told it, the owner could have.
//! Never changes what a file does once it is open.
//!
//! # Why this is sound
//! A VFS is a copy of SQLite's own table of functions with what these need behind it, as the table
//! of a file's methods is: made once for each owner, never freed, so that SQLite's pointer to the
//! table is one to the whole. SQLite calls each function with what its contract says: a string that
//! ends with NUL and a buffer of the size that it says; a file that its own VFS has opened.
#![allow(unsafe_code)]

use std::cell::{OnceCell, UnsafeCell};
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use rusqlite::ffi;
use rustix::fs::FileType;

use super::{corrected, held};
use crate::device::disk::{Rights, UserAndGroup};

/// A VFS for each owner; `None` is whoever this process is.
static REGISTERED: Mutex<Vec<&'static AsGiven>> = Mutex::new(Vec::new());

/// SQLite's table is the first, so that a pointer to it is one to this.
#[repr(C)]
struct AsGiven {
    table: UnsafeCell<ffi::sqlite3_vfs>,
    system: *mut ffi::sqlite3_vfs,
    name: CString,
    owner: Option<UserAndGroup>,
    /// Tables of the system's methods that were met, each with ours in front.
    methods: Mutex<Vec<&'static Methods>>,
    /// Where temporary files go; `None` for where SQLite puts them.
    temporary: Mutex<Option<Temporary>>,
}

// SAFETY: SQLite alone changes the table, as its own are changed, and nobody here reads it again;
// what else may change is behind a mutex.
unsafe impl Sync for AsGiven {}
// SAFETY: as above.
unsafe impl Send for AsGiven {}

/// The methods of an open file; SQLite's table is the first here too.
#[repr(C)]
struct Methods {
    table: ffi::sqlite3_io_methods,
    system: *const ffi::sqlite3_io_methods,
    owner: UserAndGroup,
}

// SAFETY: never changed once it is made.
unsafe impl Sync for Methods {}
// SAFETY: as above.
unsafe impl Send for Methods {}

/// A state folder, and a name in it, which a temporary file has until it is open: one after
/// another. It is made up when there is one.
struct Temporary {
    place: PathBuf,
    /// Held, where it is an owner's.
    folder: Option<OwnedFd>,
    /// Never freed: SQLite keeps the name of a file that is open, and another place may come.
    name: OnceCell<Option<&'static CStr>>,
}

/// The name of the VFS that opens with this owner's rights; `None` where SQLite has no VFS to copy.
/// Temporary files go into `place` from now on, which `folder` holds for an owner.
pub(super) fn name(
    owner: Option<UserAndGroup>,
    place: Option<&Path>,
    folder: impl FnOnce(&Path, UserAndGroup) -> Option<OwnedFd>,
) -> Option<&'static str> {
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = registered.iter().copied().find(|one| one.owner == owner);
    let vfs = known.or_else(|| {
        let made = register(owner)?;
        registered.push(made);
        Some(made)
    })?;
    let mut temporary = vfs.temporary.lock().unwrap_or_else(PoisonError::into_inner);
    let known = temporary.as_ref().map(|known| known.place.as_path());
    if let Some(place) = place.filter(|place| known != Some(place)) {
        let at = |folder| Temporary { place: place.to_owned(), folder, name: OnceCell::new() };
        *temporary = match owner {
            Some(owner) => folder(place, owner).map(|folder| at(Some(folder))),
            None => Some(at(None)),
        };
    }
    vfs.name.to_str().ok()
}

impl Temporary {
    fn name(&self) -> Option<&'static CStr> {
        let made = || {
            let mut random = [0u8; 8];
            // SAFETY: SQLite fills as many bytes as there are.
            unsafe { ffi::sqlite3_randomness(8, random.as_mut_ptr().cast()) };
            let place = match &self.folder {
                Some(folder) => PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())),
                None => self.place.clone(),
            };
            let name = place.join(format!("etilqs_{:016x}", u64::from_ne_bytes(random)));
            let name = CString::new(name.into_os_string().into_vec()).ok()?;
            Some(&*Box::leak(name.into_boxed_c_str()))
        };
        *self.name.get_or_init(made)
    }
}

fn register(owner: Option<UserAndGroup>) -> Option<&'static AsGiven> {
    // SAFETY: a null name asks for the default VFS, which lives as long as the process.
    let system = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
    // SAFETY: as above; null where there is none.
    let table = unsafe { system.as_ref() }?;
    let suffix =
        owner.map_or_else(String::new, |UserAndGroup { uid, gid }| format!("-{uid}-{gid}"));
    let name = CString::new(format!("bootmigrate-as-given{suffix}")).ok()?;
    let mut table = ffi::sqlite3_vfs {
        pNext: ptr::null_mut(),
        zName: name.as_ptr(),
        szOsFile: table.szOsFile.max(c_int::try_from(held::BYTES.max(corrected::BYTES)).ok()?),
        xFullPathname: Some(as_given),
        xOpen: Some(open),
        ..*table
    };
    if owner.is_some() {
        table.xDelete = Some(delete);
        table.xAccess = Some(access);
    }
    let made = AsGiven {
        table: UnsafeCell::new(table),
        system,
        name,
        owner,
        methods: Mutex::default(),
        temporary: Mutex::default(),
    };
    let made: *mut AsGiven = Box::into_raw(Box::new(made));
    // SAFETY: it is never freed, so it outlives every connection, and begins with the table; it is
    // not the default. SQLite alone writes to it, and to `pNext` alone.
    if unsafe { ffi::sqlite3_vfs_register(made.cast(), 0) } != ffi::SQLITE_OK {
        return None;
    }
    // SAFETY: as above.
    unsafe { made.as_ref() }
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

/// `xOpen`.
unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite has the table from an [`AsGiven`], which lives as long as the process.
    let this = unsafe { &*vfs.cast::<AsGiven>() };
    // SAFETY: the system's own table.
    let Some(system_open) = (unsafe { (*this.system).xOpen }) else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: SQLite's contract, above.
    if let Some(descriptor) = unsafe { held::asked_for(path) } {
        // SAFETY: there is room for it ([`register`]), and whoever names it holds it.
        unsafe { held::open(descriptor, file, out) };
        return ffi::SQLITE_OK;
    }
    // SAFETY: SQLite's contract, above.
    if let Some(of) = unsafe { corrected::asked_for(path) } {
        // SAFETY: there is room for it ([`register`]), and whoever offers it holds it.
        unsafe { corrected::open(of, file, out) };
        return ffi::SQLITE_OK;
    }
    // A journal names it: SQLite would wait for whoever writes into a FIFO.
    if flags & ffi::SQLITE_OPEN_SUPER_JOURNAL != 0 && !path.is_null() {
        let _rights = Rights::of(this.owner);
        // SAFETY: SQLite's contract, above.
        if !is_a_file(unsafe { CStr::from_ptr(path) }) {
            return ffi::SQLITE_CANTOPEN;
        }
    }
    let temporary =
        path.is_null().then(|| this.temporary.lock().unwrap_or_else(PoisonError::into_inner));
    let named =
        |place: &Option<Temporary>| place.as_ref().and_then(Temporary::name).map(CStr::as_ptr);
    let (path, rights) = match temporary.as_deref().map(named) {
        None => (path, Rights::of(this.owner)),
        Some(Some(name)) => (name, Rights::of(this.owner)),
        // Where SQLite's own choice is this process's own.
        Some(None) => (path, Rights::of(None)),
    };
    // SAFETY: SQLite's own arguments; a name that is ours lives as long as the process.
    let mut code = unsafe { system_open(this.system, path, file, flags, out) };
    if code != ffi::SQLITE_OK && temporary.is_some() && this.owner.is_none() {
        // A file system that takes no writes: where SQLite itself finds a place.
        // SAFETY: as above; without a name SQLite makes one.
        code = unsafe { system_open(this.system, ptr::null(), file, flags, out) };
    }
    drop(rights);
    drop(temporary);
    // SAFETY: the system's VFS has filled in the file.
    unsafe { this.take_over(&mut (*file).pMethods) };
    code
}

impl AsGiven {
    fn take_over(&self, methods: &mut *const ffi::sqlite3_io_methods) {
        let Some(owner) = self.owner.filter(|_| !methods.is_null()) else { return };
        let mut known = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().copied().find(|one| one.system == *methods);
        let ours = found.unwrap_or_else(|| {
            // SAFETY: not null, and a constant of the system's VFS.
            let table = unsafe { ffi::sqlite3_io_methods { ..**methods } };
            let table = ffi::sqlite3_io_methods {
                xShmMap: table.xShmMap.and(Some(shm_map)),
                xShmUnmap: table.xShmUnmap.and(Some(shm_unmap)),
                ..table
            };
            let made: &'static Methods =
                Box::leak(Box::new(Methods { table, system: *methods, owner }));
            known.push(made);
            made
        });
        *methods = ptr::from_ref(ours).cast();
    }
}

/// `xDelete`.
unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, path: *const c_char, sync: c_int) -> c_int {
    // SAFETY: as in [`open`].
    let this = unsafe { &*vfs.cast::<AsGiven>() };
    let _rights = Rights::of(this.owner);
    // SAFETY: the system's own table, and SQLite's own arguments.
    unsafe {
        (*this.system)
            .xDelete
            .map_or(ffi::SQLITE_IOERR_DELETE, |system| system(this.system, path, sync))
    }
}

/// `xAccess`.
unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: as in [`open`].
    let this = unsafe { &*vfs.cast::<AsGiven>() };
    let _rights = Rights::of(this.owner);
    // SAFETY: as in [`delete`].
    unsafe {
        (*this.system)
            .xAccess
            .map_or(ffi::SQLITE_IOERR_ACCESS, |system| system(this.system, path, flags, out))
    }
}

/// The methods that [`open`] has given this file.
unsafe fn methods_of<'a>(file: *mut ffi::sqlite3_file) -> &'a Methods {
    // SAFETY: nobody calls a function of ours but through the table of a [`Methods`], which lives
    // as long as the process.
    unsafe { &*(*file).pMethods.cast::<Methods>() }
}

/// `xShmMap`: opens the file of shared memory, or makes it.
unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite's own file.
    let methods = unsafe { methods_of(file) };
    let _rights = Rights::of(Some(methods.owner));
    // SAFETY: the system's own table, and SQLite's own arguments.
    unsafe {
        (*methods.system)
            .xShmMap
            .map_or(ffi::SQLITE_IOERR_SHMMAP, |system| system(file, page, size, extend, out))
    }
}

/// `xShmUnmap`: may remove it.
unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, remove: c_int) -> c_int {
    // SAFETY: SQLite's own file.
    let methods = unsafe { methods_of(file) };
    let _rights = Rights::of(Some(methods.owner));
    // SAFETY: as in [`shm_map`].
    unsafe { (*methods.system).xShmUnmap.map_or(ffi::SQLITE_OK, |system| system(file, remove)) }
}

/// What has this name, and is no link.
fn is_a_file(path: &CStr) -> bool {
    rustix::fs::lstat(path)
        .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
}
