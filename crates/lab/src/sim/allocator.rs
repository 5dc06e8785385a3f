//! Owns SQLite's memory: every allocation is counted, and one of them, or all from one on, can be
//! refused.
//! Promises: the system's own allocator behind it; what is refused is refused as SQLite's
//! documentation says, with a null pointer.
//! Never refuses anything that was not asked for; never touches memory that Rust allocates.
//!
//! # Why this is sound
//! `unsafe` is needed because SQLite takes its allocator as C functions. Ours call the ones that
//! SQLite itself would have used, with the same arguments, or answer null, which both may always
//! answer. They are set once, before SQLite starts.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::OnceLock;

use rusqlite::ffi;

/// What SQLite would have used.
struct Behind {
    allocate: unsafe extern "C" fn(c_int) -> *mut c_void,
    reallocate: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
}

static BEHIND: OnceLock<Behind> = OnceLock::new();
static COUNT: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);
static REFUSE_AT: AtomicU64 = AtomicU64::new(u64::MAX);
static FOR_EVER: AtomicBool = AtomicBool::new(false);

/// Puts the counter between SQLite and its allocator. Call once, before anything uses SQLite.
///
/// # Errors
/// SQLite has started already.
pub fn install() -> Result<(), String> {
    let none = ffi::sqlite3_mem_methods {
        xMalloc: None,
        xFree: None,
        xRealloc: None,
        xSize: None,
        xRoundup: None,
        xInit: None,
        xShutdown: None,
        pAppData: ptr::null_mut(),
    };
    let mut methods = none;
    // SAFETY: this verb takes a pointer to such a struct and fills it.
    let got = unsafe {
        ffi::sqlite3_config(
            ffi::SQLITE_CONFIG_GETMALLOC,
            &mut methods as *mut ffi::sqlite3_mem_methods,
        )
    };
    let (Some(allocate_behind), Some(reallocate_behind)) = (methods.xMalloc, methods.xRealloc)
    else {
        return Err(format!("SQLite does not say which allocator it has (code {got})"));
    };
    BEHIND.get_or_init(|| Behind { allocate: allocate_behind, reallocate: reallocate_behind });
    methods.xMalloc = Some(allocate);
    methods.xRealloc = Some(reallocate);
    // SAFETY: this verb takes a pointer to such a struct and copies it; the functions in it live as
    // long as the process.
    let set = unsafe {
        ffi::sqlite3_config(
            ffi::SQLITE_CONFIG_MALLOC,
            &mut methods as *mut ffi::sqlite3_mem_methods,
        )
    };
    if (got, set) == (ffi::SQLITE_OK, ffi::SQLITE_OK) {
        return Ok(());
    }
    Err(format!(
        "SQLite refuses another allocator (codes {got} and {set}): something has started it already"
    ))
}

/// From now on allocations are counted from 0, and this one is refused; with `for_ever` every later
/// one too.
pub fn refuse(at: u64, for_ever: bool) {
    COUNT.store(0, Ordering::Relaxed);
    REFUSED.store(0, Ordering::Relaxed);
    FOR_EVER.store(for_ever, Ordering::Relaxed);
    REFUSE_AT.store(at, Ordering::Relaxed);
}

/// Nothing is refused any more. How many allocations there were since, and how many of them were
/// refused.
pub fn stop() -> (u64, u64) {
    REFUSE_AT.store(u64::MAX, Ordering::Relaxed);
    (COUNT.load(Ordering::Relaxed), REFUSED.load(Ordering::Relaxed))
}

fn is_refused() -> bool {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let at = REFUSE_AT.load(Ordering::Relaxed);
    let refused = number == at || number > at && FOR_EVER.load(Ordering::Relaxed);
    if refused {
        REFUSED.fetch_add(1, Ordering::Relaxed);
    }
    refused
}

unsafe extern "C" fn allocate(bytes: c_int) -> *mut c_void {
    match BEHIND.get() {
        // SAFETY: the arguments that SQLite gave.
        Some(behind) if !is_refused() => unsafe { (behind.allocate)(bytes) },
        _ => ptr::null_mut(),
    }
}

unsafe extern "C" fn reallocate(old: *mut c_void, bytes: c_int) -> *mut c_void {
    match BEHIND.get() {
        // SAFETY: the arguments that SQLite gave; `old` came from the same allocator.
        Some(behind) if !is_refused() => unsafe { (behind.reallocate)(old, bytes) },
        _ => ptr::null_mut(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_allocation_is_refused_once_or_for_ever() {
        let refused = |for_ever| {
            refuse(2, for_ever);
            let answers = [(); 5].map(|()| is_refused());
            (answers, stop())
        };
        assert_eq!(refused(false), ([false, false, true, false, false], (5, 1)));
        assert_eq!(refused(true), ([false, false, true, true, true], (5, 3)));
        assert!(!is_refused());
    }
}
