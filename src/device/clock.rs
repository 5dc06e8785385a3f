//! Owns time: how long to wait for somebody, and a date to show.
//! Promises: waiting is bounded by the caller, and ends when a stop signal comes; a date is shown
//! and never decided on (devices boot in 1970).
//! Never read by `decide`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use crate::device::disk::Op;
use crate::error::Failure;

/// Waiting, and the date.
pub trait Clock {
    /// Waits.
    fn sleep(&self, time: Duration);
    /// Seconds since 1970, as the device believes.
    fn unix_seconds(&self) -> i64;
    /// Time since some moment before the run, never set back: for differences alone.
    fn monotonic(&self) -> Duration;
}

/// The kernel's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn unix_seconds(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        FIRST.get_or_init(Instant::now).elapsed()
    }
}

/// A moment as RFC 3339 writes it, to be shown.
pub fn rfc3339(unix_seconds: i64) -> String {
    let date =
        OffsetDateTime::from_unix_timestamp(unix_seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    date.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".into())
}

/// Pause between two questions to somebody who holds what we need.
pub const POLL: Duration = Duration::from_millis(50);

/// How somebody who holds what we need is waited for.
pub struct Wait<'a> {
    /// What passes the time.
    pub clock: &'a dyn Clock,
    /// For this long.
    pub limit: Duration,
    /// Raised by SIGTERM and SIGINT: it ends the wait.
    pub stop: &'a AtomicBool,
}

impl Wait<'_> {
    /// Asks until the answer is there or the time is over; `None` then. At least one question is
    /// asked.
    ///
    /// # Errors
    /// The question's own; interrupted where a stop signal came.
    pub fn until<T>(
        &self,
        op: Op,
        mut ask: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(answer) = ask()? {
                return Ok(Some(answer));
            }
            if waited >= self.limit {
                return Ok(None);
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Failure::stopped(op));
            }
            self.clock.sleep(POLL);
            waited += POLL;
        }
    }
}
