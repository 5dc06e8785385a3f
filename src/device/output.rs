//! Owns standard output and standard error: whole lines, without the library's buffer.
//! Promises: what could not be written is an error, and a reader that is slow is waited for, for a
//! while.
//! Never makes text printable: whoever has text does.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Looks at a descriptor that does not block and whose reader is slow: a quarter of a minute.
const FULL_PIPE_LOOKS_MAX: u32 = 1500;
/// Between two of them.
const FULL_PIPE_LOOK: Duration = Duration::from_millis(10);

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

/// Without the library's buffer, which takes a descriptor that cannot be written for one that was
/// written.
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
