//! Owns telling whoever watches how far long work is: systemd's `STATUS=`, and a bar on a terminal.
//! Promises: says nothing where nobody watches; a line of the log never lands inside the bar.
//! Never changes what is done, and never decides by the clock: it only shows it.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::device::notify;
use crate::device::output::to_stderr;
use crate::error::printable::printable;

/// Between two signs of life of the same step on a terminal.
const REDRAW: Duration = Duration::from_millis(250);
/// Between two signs of life of the same step to systemd.
const REMIND: Duration = Duration::from_secs(5);
/// Cells of the bar: with the text beside it the line stays in 80 columns.
const BAR_CELLS: usize = 20;
/// Characters of the text beside the bar.
const TEXT_CHARS_MAX: usize = 44;

#[derive(Default)]
struct Watched {
    terminal: bool,
    supervisor: bool,
    drawn: bool,
    done: usize,
    of: usize,
    text: String,
    began: Option<Instant>,
    redrawn: Option<Instant>,
    reminded: Option<Instant>,
}

static WATCHED: Mutex<Option<Watched>> = Mutex::new(None);

fn watched() -> MutexGuard<'static, Option<Watched>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on work is shown: on standard error where it is a terminal that can, and to a
/// supervisor that listens.
pub fn watch(wanted: bool) {
    let can = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    let terminal = wanted && can && std::io::stderr().is_terminal();
    let supervisor = std::env::var_os("NOTIFY_SOCKET").is_some();
    *watched() =
        (terminal || supervisor).then(|| Watched { terminal, supervisor, ..Watched::default() });
}

/// This many steps follow.
pub fn expect(migrations: usize) {
    if let Some(watched) = watched().as_mut() {
        (watched.done, watched.of) = (0, migrations);
    }
}

/// A step begins.
pub fn begin(text: &str) {
    if let Some(watched) = watched().as_mut() {
        watched.done += 1;
        watched.text = printable(text).into_owned();
        let now = Instant::now();
        (watched.began, watched.redrawn, watched.reminded) = (Some(now), Some(now), Some(now));
        watched.remind();
        watched.draw();
    }
}

/// The same step, in other words.
pub fn detail(text: &str) {
    if let Some(watched) = watched().as_mut().filter(|watched| watched.began.is_some()) {
        watched.text = printable(text).into_owned();
    }
    tick();
}

/// The step goes on: called often, by SQLite's own progress.
pub fn tick() {
    let mut guard = watched();
    let Some(watched) = guard.as_mut().filter(|watched| watched.began.is_some()) else { return };
    let over = |since: Option<Instant>, limit| since.is_none_or(|since| since.elapsed() >= limit);
    if over(watched.reminded, REMIND) {
        watched.reminded = Some(Instant::now());
        watched.remind();
    }
    if over(watched.redrawn, REDRAW) {
        watched.redrawn = Some(Instant::now());
        watched.draw();
    }
}

/// Nothing goes on any more, or something else is about to be printed.
pub fn clear() {
    if let Some(watched) = watched().as_mut().filter(|watched| watched.drawn) {
        watched.drawn = false;
        let _ = to_stderr("\r\x1b[K");
    }
}

/// Nothing goes on any more.
pub fn end() {
    clear();
    if let Some(watched) = watched().as_mut() {
        watched.began = None;
    }
}

impl Watched {
    fn remind(&self) {
        if self.supervisor {
            let seconds = self.began.map_or(0, |began| began.elapsed().as_secs());
            let since = if seconds > 0 { format!(", for {seconds} s") } else { String::new() };
            let count = if self.of > 0 {
                format!(" ({} of {})", self.done, self.of)
            } else {
                String::new()
            };
            notify::status(&format!("{}{count}{since}", self.text));
        }
    }

    fn draw(&mut self) {
        if !self.terminal {
            return;
        }
        self.drawn = true;
        let _ = to_stderr(&format!("\r\x1b[K{}", self.line()));
    }

    fn line(&self) -> String {
        let seconds = self.began.map_or(0, |began| began.elapsed().as_secs());
        let text: String = self.text.chars().take(TEXT_CHARS_MAX).collect();
        let of = self.of.max(self.done).max(1);
        // What is being done now is not yet done.
        let full = self.done.saturating_sub(1).saturating_mul(BAR_CELLS) / of;
        format!(
            "[{}{}] {}/{of} {text} {seconds} s",
            "#".repeat(full),
            ".".repeat(BAR_CELLS.saturating_sub(full)),
            self.done
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fits_a_console_and_fills_from_left_to_right() {
        let line = |done, of| {
            Watched {
                done,
                of,
                text: "settings: settings/V41__rebuild_parents.sql and more".into(),
                ..Watched::default()
            }
            .line()
        };
        assert_eq!(
            line(1, 4),
            "[....................] 1/4 settings: settings/V41__rebuild_parents.sql  0 s"
        );
        assert_eq!(line(3, 4).matches('#').count(), 10);
        assert!(line(200, 200).chars().count() < 80, "{}", line(200, 200));
    }
}
