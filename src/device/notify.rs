//! Owns what is told to systemd while a run goes on: the line of `systemctl status`.
//! Promises: nothing waits for who listens, and nothing fails where nobody does.
//! Never says that the run is ready or done: the exit code does.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use crate::error::printable::printable;

/// One line for `systemctl status`, where a supervisor listens.
pub fn status(text: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let message = format!("STATUS={}", printable(text));
    let Ok(sender) = std::os::unix::net::UnixDatagram::unbound() else { return };
    // An abstract socket's name begins with @.
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(Path::new(&socket)),
    };
    if let Ok(address) = address {
        let _ = sender.send_to_addr(message.as_bytes(), &address);
    }
}
