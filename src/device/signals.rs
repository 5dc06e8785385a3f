//! Owns the signals that a run watches: those that ask it to stop, and those whose default kills
//! though the call that they come with says all that matters.
//! Promises: a handler raises a flag and does nothing else, but for calling the one that was there
//! before; one system call a signal where nobody had a handler.
//! Never lets a signal go by that a handler of the program's own was waiting for.
//!
//! # Why this is sound
//! A handler runs at any instant: ours reads what was stored before it was installed (a flag, and
//! a handler of earlier) and stores into an atomic, which is all that may be done there. What it
//! calls was installed by the program as a handler of this signal, and is called as the kernel
//! would have called it.
#![allow(unsafe_code)] // `sigaction`, which takes a function of C's.

use std::io;
use std::mem::{transmute, MaybeUninit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use libc::{c_int, c_void, sigaction, siginfo_t, SA_RESTART, SA_SIGINFO, SIG_DFL, SIG_IGN};

/// Those that ask to stop; SIGXCPU is a limit on time.
const STOPPING: [c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGXCPU];

/// Raised by those that ask to stop; one for the process, as its handlers are.
static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();
/// Most signals that there are.
const SIGNALS_MAX: usize = 65;
/// The handlers that the program had, by signal.
static EARLIER: [OnceLock<sigaction>; SIGNALS_MAX] = [const { OnceLock::new() }; SIGNALS_MAX];

/// The flag that SIGTERM, SIGINT and SIGXCPU (whose default kills) raise from now on; what
/// [`forget`] names is caught and forgotten.
///
/// # Errors
/// As `sigaction`.
pub fn watch() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::clone(STOP.get_or_init(Arc::default));
    // Of a run before this one in the same process.
    stop.store(false, Ordering::Relaxed);
    STOPPING.iter().try_for_each(|signal| catch(*signal))?;
    forget()?;
    Ok(stop)
}

/// Signals whose default kills, though the call that they come with says all that matters: SIGIO,
/// which a broken lease sends, and SIGXFSZ, where a file would become larger than a limit allows.
///
/// # Errors
/// As `sigaction`.
pub fn forget() -> io::Result<()> {
    for signal in [libc::SIGIO, libc::SIGXFSZ] {
        catch(signal)?;
    }
    Ok(())
}

fn catch(signal: c_int) -> io::Result<()> {
    // SAFETY: numbers and pointers, for which zeros are valid: no flag, an empty mask.
    let mut ours: sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    ours.sa_sigaction = ours_as_number();
    ours.sa_flags = SA_RESTART | SA_SIGINFO;
    let mut before = MaybeUninit::<sigaction>::zeroed();
    // SAFETY: both pointers are to structures of the right type, which live until the call is over;
    // the handler does what a handler may (above).
    if unsafe { libc::sigaction(signal, &ours, before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeros are valid, and what the call leaves is.
    let before = unsafe { before.assume_init() };
    if ![SIG_DFL, SIG_IGN, ours_as_number()].contains(&before.sa_sigaction) {
        if let Some(place) = place(signal) {
            let _ = place.set(before);
        }
    }
    Ok(())
}

fn ours_as_number() -> usize {
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = caught;
    handler as usize
}

fn place(signal: c_int) -> Option<&'static OnceLock<sigaction>> {
    usize::try_from(signal).ok().and_then(|signal| EARLIER.get(signal))
}

extern "C" fn caught(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    if STOPPING.contains(&signal) {
        STOP.get().into_iter().for_each(|stop| stop.store(true, Ordering::Relaxed));
    }
    let Some(earlier) = place(signal).and_then(OnceLock::get) else { return };
    if earlier.sa_flags & SA_SIGINFO != 0 {
        // SAFETY: it was installed as a handler of this kind, and is neither of the two numbers
        // that are none.
        let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
            unsafe { transmute(earlier.sa_sigaction) };
        handler(signal, info, context);
    } else {
        // SAFETY: as above.
        let handler: extern "C" fn(c_int) = unsafe { transmute(earlier.sa_sigaction) };
        handler(signal);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::ptr;
    use std::sync::atomic::AtomicU32;

    static CALLED: AtomicU32 = AtomicU32::new(0);

    extern "C" fn the_programs(_: c_int) {
        CALLED.fetch_add(1, Ordering::Relaxed);
    }

    /// SIGXFSZ, which no other test is sent.
    #[test]
    fn a_handler_of_the_program_is_called_still_and_once() {
        let handler: extern "C" fn(c_int) = the_programs;
        // SAFETY: as in `catch`.
        let mut own: sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        own.sa_sigaction = handler as usize;
        // SAFETY: as in `catch`.
        assert_eq!(unsafe { libc::sigaction(libc::SIGXFSZ, &own, ptr::null_mut()) }, 0);
        let raise = || {
            // SAFETY: it takes a number.
            assert_eq!(unsafe { libc::raise(libc::SIGXFSZ) }, 0);
            CALLED.load(Ordering::Relaxed)
        };
        forget().unwrap();
        assert_eq!(raise(), 1);
        // A second run of this process finds its own handler.
        forget().unwrap();
        assert_eq!(raise(), 2);
    }

    #[test]
    fn a_signal_to_stop_raises_the_flag_of_the_run() {
        let stop = watch().unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { libc::raise(libc::SIGXCPU) }, 0);
        assert!(stop.load(Ordering::Relaxed));
        assert!(!watch().unwrap().load(Ordering::Relaxed), "of the run before");
    }
}
