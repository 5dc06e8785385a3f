//! Owns the end of a run whose SQL does not answer a stop signal: a single call of a function of
//! SQLite's or the product's may take minutes, and has no steps at which it could be asked.
//! Promises: ends the process only while such SQL runs, only after a stop signal, and only where
//! SQLite has looked at it not once since.
//! Never ends a process whose owner is somebody else's program.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

/// Between two looks of the thread.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Looks without a sign of life, after which the run ends: within a second of the signal.
const LOOKS_MAX: u32 = 6;

/// What ends the process. Set by the command line alone.
static END: OnceLock<fn()> = OnceLock::new();
static THREAD: Once = Once::new();
/// Texts of SQL that are being evaluated, one inside the other.
static RUNNING: AtomicU64 = AtomicU64::new(0);
/// Counts what shows that it goes on, or comes to its end.
static SIGNS: AtomicU64 = AtomicU64::new(0);
/// SQLite was told to end the statement, and undoes it.
static TOLD: AtomicBool = AtomicBool::new(false);

/// From now on a run that a stop signal cannot end is ended by this.
pub fn end_by(end: fn()) {
    let _ = END.set(end);
}

/// SQLite asks whether it has to end.
pub(super) fn looked(must_end: bool) {
    SIGNS.fetch_add(1, Ordering::Relaxed);
    if must_end {
        TOLD.store(true, Ordering::Relaxed);
    }
}

/// SQL that is not ours is evaluated.
pub(super) struct Evaluating;

impl Evaluating {
    pub fn begin(stop: Option<&Arc<AtomicBool>>) -> Evaluating {
        SIGNS.fetch_add(1, Ordering::Relaxed);
        TOLD.store(false, Ordering::Relaxed);
        RUNNING.fetch_add(1, Ordering::Relaxed);
        if let (Some(end), Some(stop)) = (END.get(), stop) {
            THREAD.call_once(|| {
                let stop = Arc::clone(stop);
                // Without a thread such a call is waited for.
                let _ = std::thread::Builder::new().spawn(move || watch(&stop, *end));
            });
        }
        Evaluating
    }
}

impl Drop for Evaluating {
    fn drop(&mut self) {
        SIGNS.fetch_add(1, Ordering::Relaxed);
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

fn watch(stop: &AtomicBool, end: fn()) {
    let mut silence = Silence::default();
    loop {
        std::thread::park_timeout(LOOK_EVERY);
        let runs = RUNNING.load(Ordering::Relaxed) > 0 && !TOLD.load(Ordering::Relaxed);
        let asked = stop.load(Ordering::Relaxed);
        if silence.goes_on(asked && runs, SIGNS.load(Ordering::Relaxed)) {
            end();
        }
    }
}

/// How long nothing was heard.
#[derive(Default)]
struct Silence {
    looks: u32,
    signs: u64,
}

impl Silence {
    /// Too long.
    fn goes_on(&mut self, asked: bool, signs: u64) -> bool {
        self.looks = if asked && signs == self.signs { self.looks + 1 } else { 0 };
        self.signs = signs;
        self.looks >= LOOKS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_shows_no_sign_is_ended() {
        let ends = |looks: &[(bool, u64)]| {
            let mut silence = Silence::default();
            looks.iter().any(|(asked, signs)| silence.goes_on(*asked, *signs))
        };
        assert!(ends(&[(true, 7); 8]));
        assert!(!ends(&[(false, 7); 100]), "no stop signal came");
        let going_on: Vec<(bool, u64)> = (0..100).map(|number| (true, number / 4)).collect();
        assert!(!ends(&going_on), "SQLite looks, and will end by itself");
        let begun_late: Vec<(bool, u64)> = (0..20).map(|number| (number % 5 != 0, 7)).collect();
        assert!(!ends(&begun_late), "it was not running all the time");
    }
}
