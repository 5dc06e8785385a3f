//! Owns how a line reaches an operator: plain on a terminal, with `<priority>` under systemd.
//! Promises: one sentence a line; nothing is logged below the asked level.
//! Never decides what is worth saying.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use log::{Level, LevelFilter};

use crate::device::progress;
use crate::error::printable::printable;

/// Looks at a descriptor that does not block and whose reader is slow: a quarter of a minute.
const FULL_PIPE_LOOKS_MAX: u32 = 1500;
/// Between two of them.
const FULL_PIPE_LOOK: Duration = Duration::from_millis(10);

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

/// Writes whole lines to standard output.
///
/// # Errors
/// As `write`; standard output that was opened for reading counts too.
pub fn to_stdout(text: &str) -> io::Result<()> {
    put(io::stdout().as_fd(), text.as_bytes())
}

/// Writes whole lines to standard error.
///
/// # Errors
/// As `write`.
pub fn to_stderr(text: &str) -> io::Result<()> {
    put(io::stderr().as_fd(), text.as_bytes())
}

/// Without the library's buffer, which takes a descriptor that cannot be written for one that was written.
fn put(descriptor: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    let mut looks = 0;
    while !bytes.is_empty() {
        match rustix::io::write(descriptor, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => (bytes, looks) = (bytes.get(written..).unwrap_or_default(), 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) if looks < FULL_PIPE_LOOKS_MAX => {
                looks += 1;
                std::thread::sleep(FULL_PIPE_LOOK);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
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
