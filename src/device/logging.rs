//! Owns how a line reaches an operator: plain on a terminal, with `<priority>` under systemd.
//! Promises: one sentence a line; nothing is logged below the asked level.
//! Never decides what is worth saying.

use std::io::Write;

use log::{Level, LevelFilter};

use crate::device::progress;
use crate::error::printable::printable;

/// Sets the logger up, once; a second call is ignored.
pub fn start(level: LevelFilter) {
    // systemd sets JOURNAL_STREAM for a service whose stderr is the journal.
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let mut builder = env_logger::Builder::new();
    builder.filter_module("bootmigrate", level).format(move |out, record| {
        progress::clear();
        if journal {
            write!(out, "<{}>", priority(record.level()))?;
        }
        writeln!(out, "{}", printable(&record.args().to_string()))
    });
    let _ = builder.try_init();
}

/// syslog's numbers.
pub fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
