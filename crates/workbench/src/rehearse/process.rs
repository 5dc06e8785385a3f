//! Owns one run of a device's program: how long it took, what it said, and the most room and memory
//! it had.
//! Promises: what it prints is read to the end while it runs.
//! Never ends it: a device has all the time that it needs.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::calibrate::processor_time;

/// How often room and memory are looked at. A snapshot or a journal that is there for less is not
/// seen.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How a run ended.
pub struct Ran {
    /// 128 and the signal's number where one ended it.
    pub exit: u8,
    pub out: String,
    pub err: String,
    pub duration: Duration,
    /// Of a processor.
    pub processor: Duration,
    /// Bytes below the root at most.
    pub space: u64,
    pub memory: u64,
}

/// Runs it, and looks at the root meanwhile.
///
/// # Errors
/// It cannot be started.
pub fn run(command: &mut Command, root: &Path) -> Result<Ran> {
    let began = Instant::now();
    let program = command.get_program().to_os_string();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in ["RUN_MIGRATIONS", "JOURNAL_STREAM", "NOTIFY_SOCKET"] {
        command.env_remove(variable);
    }
    let mut child = command
        .spawn()
        .with_context(|| format!("{} cannot be started", Path::new(&program).display()))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let reading = [thread::spawn(move || text(out)), thread::spawn(move || text(err))];
    let (mut space, mut memory) = (bytes_below(root), 0);
    let (mut processor, process) = (Duration::ZERO, child.id().to_string());
    let status = loop {
        memory = memory.max(peak_memory(&child));
        processor = processor.max(processor_time(&process).unwrap_or_default());
        space = space.max(bytes_below(root));
        match child.try_wait()? {
            Some(status) => break status,
            None => thread::sleep(LOOK_EVERY),
        }
    };
    let duration = began.elapsed();
    space = space.max(bytes_below(root));
    let [out, err] = reading.map(|thread| thread.join().unwrap_or_default());
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0);
    let exit = status.code().unwrap_or(128 + signal);
    let exit = u8::try_from(exit).unwrap_or(u8::MAX);
    Ok(Ran { exit, out, err, duration, processor, space, memory })
}

fn text(from: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    // What was printed before an error counts.
    let _ = from.map(|mut from| from.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The most memory that it has had at once, as the kernel counts; 0 where it does not say.
fn peak_memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .map_or(0, |kib| kib << 10)
}

/// Bytes of every file below a folder; one that goes meanwhile counts nothing.
pub fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.fold(0, |sum: u64, entry| {
        let bytes = match entry.file_type() {
            Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
            Ok(_) => entry.metadata().map_or(0, |metadata| metadata.len()),
            Err(_) => 0,
        };
        sum.saturating_add(bytes)
    })
}
