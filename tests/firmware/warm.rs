//! Owns starting this program where starting is dear: an emulator translates what a start runs, and forgets it when the process ends.
//! Promises: one process runs a few boots of its own and then waits; each start that is asked for is a child of it, with the arguments,
//!   environment, folder and standard streams of who asked. What was translated is there already; so is what a first boot sets up once in
//!   a process: SQLite, and the handler of SIGIO.
//! Never used by a start in another world (user, name spaces, limits, signals that are ignored; streams that are files): that one is
//!   refused, and its caller starts the program itself.

#![allow(unsafe_code)] // Each of the blocks says why.
#![allow(clippy::disallowed_methods)] // What it writes need not survive a power cut.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process;

use crate::firmware::firmware;

/// What of `/proc/PID/status` must be the same.
const WORLD: [&str; 11] =
    ["Umask:", "Uid:", "Gid:", "Groups:", "CapInh:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:", "TracerPid:", "SigBlk:"];
/// Signals of programs; those from 32 on are the C library's, and an emulator has others there.
const SIGNALS: u64 = 0x7FFF_FFFF;

/// Waits for starts at `FOLDER/socket`, and returns in each of them with its arguments. `FOLDER/starts` has a byte for each. Before that it
/// boots with the migrations of `FOLDER/older` and `FOLDER/newer`: databases are made, found as they should be, upgraded, replaced.
///
/// # Errors
/// As `bind`, `fork` and the like.
pub fn until_asked(folder: &Path) -> io::Result<Vec<OsString>> {
    let root = folder.join("root");
    let boot = |migrations: &str| {
        std::env::set_var("BOOTMIGRATE_TEST_FOLDER", folder.join(migrations));
        firmware().and_then(|migrator| migrator.root(&root).boot()).map_err(io::Error::other)
    };
    for migrations in ["older", "older", "newer", "newer"] {
        boot(migrations)?;
    }
    // Damaged, this one is replaced.
    fs::write(root.join("var/lib/gateway/telemetry.db"), [0x5A; 8192])?;
    boot("newer")?;
    let here = world("self")?;
    let listener = UnixListener::bind(folder.join("socket"))?;
    // Nobody waits for those who attend to one start.
    children_are(libc::SIG_IGN);
    for stream in listener.incoming() {
        let stream = stream?;
        if fork()? == 0 {
            drop(listener);
            children_are(libc::SIG_DFL);
            return attend(stream, folder, &here);
        }
    }
    Err(io::Error::other("nobody can ask any more"))
}

/// One start: it runs in a child, and its end is told to who asked.
fn attend(mut stream: UnixStream, own: &Path, here: &World) -> io::Result<Vec<OsString>> {
    let mut asked = Vec::new();
    stream.read_to_end(&mut asked)?;
    let mut words = asked.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    let mut word = || words.next().ok_or_else(|| io::Error::other("half a question"));
    let asker = word()?.to_string_lossy().into_owned();
    let processes = word()?;
    if processes != fs::read_link("/proc/self/ns/pid")? || !streams_can_be_opened(&asker)? || world(&asker)? != *here {
        stream.write_all(b"elsewhere")?;
        process::exit(0);
    }
    let folder = word()?;
    let count: usize = word()?.to_string_lossy().parse().map_err(io::Error::other)?;
    let arguments: Vec<OsString> = words.by_ref().take(count).collect();
    let environment: Vec<OsString> = words.collect();
    File::options().create(true).append(true).open(own.join("starts"))?.write_all(b".")?;
    let child = fork()?;
    if child == 0 {
        drop(stream);
        become_one(&asker, &folder, &environment)?;
        return Ok(arguments);
    }
    stream.write_all(end_of(child)?.as_bytes())?;
    process::exit(0);
}

/// A file would begin at its start again, and a socket cannot be opened.
fn streams_can_be_opened(process: &str) -> io::Result<bool> {
    let mut all = (0..3).map(|stream| fs::metadata(format!("/proc/{process}/fd/{stream}")).map(|found| found.file_type()));
    all.try_fold(true, |can, found| found.map(|found| can && (found.is_fifo() || found.is_char_device())))
}

/// Name space, limits, and of the status the lines above and what is ignored.
type World = (OsString, String, Vec<String>, u64);

/// What a child of somebody's inherits, and we could not give it.
fn world(process: &str) -> io::Result<World> {
    let of = |file: &str| format!("/proc/{process}/{file}");
    let status = fs::read_to_string(of("status"))?;
    let same = status.lines().filter(|line| WORLD.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    let ignored = ignored.ok_or_else(|| io::Error::other("a status without SigIgn"))? & SIGNALS;
    Ok((fs::read_link(of("ns/mnt"))?.into(), fs::read_to_string(of("limits"))?, same, ignored))
}

/// The streams, the folder and the environment of who asked.
fn become_one(asker: &str, folder: &OsString, environment: &[OsString]) -> io::Result<()> {
    for stream in 0..3 {
        let file = File::options().read(stream == 0).write(stream != 0).open(format!("/proc/{asker}/fd/{stream}"))?;
        // SAFETY: both are open; what the second was is closed, and nobody holds it as a value of Rust's.
        if unsafe { libc::dup2(file.as_raw_fd(), stream) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    std::env::set_current_dir(folder)?;
    std::env::vars_os().for_each(|(name, _)| std::env::remove_var(name));
    for variable in environment {
        let mut parts = variable.as_bytes().splitn(2, |byte| *byte == b'=').map(OsStr::from_bytes);
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { return Err(io::Error::other("a variable without a value")) };
        std::env::set_var(name, value);
    }
    Ok(())
}

/// Waits for its end: `exit N` or `signal N`.
fn end_of(child: libc::pid_t) -> io::Result<String> {
    let mut status = 0;
    // SAFETY: the pointer is to a variable of the right type.
    if unsafe { libc::waitpid(child, &mut status, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(if libc::WIFSIGNALED(status) { format!("signal {}", libc::WTERMSIG(status)) } else { format!("exit {}", libc::WEXITSTATUS(status)) })
}

fn fork() -> io::Result<libc::pid_t> {
    // SAFETY: there is one thread, so no lock is held by another that would be missing in the child.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(child),
    }
}

/// What happens when a child ends: nothing, or it waits to be waited for.
fn children_are(handled: libc::sighandler_t) {
    // SAFETY: neither of the two is a function.
    unsafe { libc::signal(libc::SIGCHLD, handled) };
}
