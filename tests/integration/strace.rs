//! Owns the breaking of a run at each of its write-like system calls: stopped at one of them, or
//! killed.
//! Promises: the calls are counted first, then each is broken in turn; a kill that did not kill
//! fails the test.
//! Never uses `--seccomp-bpf`: with it an injection never fires.

use crate::device::TestDevice;
use crate::program::{finish, RunResult};
use rustix::fs::{mknodat, FileType, Mode, CWD};
use rustix::process::Pid;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// Every call that can change what is on disk. `openat` counts where it creates.
const WRITE_LIKE: &str = "write,pwrite64,writev,pwritev,pwritev2,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,mkdir,mkdirat,rmdir,ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,copy_file_range,sendfile,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,utimensat,setxattr,fsetxattr,open,openat,creat";

/// One write-like call of a run: its name, and the how-manieth of that name it is (strace counts by
/// name).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The system call.
    pub name: String,
    /// From 1.
    pub nth: usize,
    /// Its line in the log, for messages.
    pub line: String,
}

/// strace's command line before the program's own; `inject` as its option says.
pub fn words(
    device: &TestDevice,
    arguments: &[&str],
    log: &Path,
    inject: Option<String>,
) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["strace", "-f", "-qq", "-y", "-o"].map(OsString::from).into();
    words.push(log.into());
    words.extend([OsString::from("-e"), format!("trace={WRITE_LIKE}").into()]);
    if let Some(inject) = inject {
        words.extend([OsString::from("-e"), format!("inject={inject}").into()]);
    }
    words.push("--".into());
    words.extend(device.words(arguments));
    words
}

/// Runs the program once and lists its write-like calls in their order, but those to its own
/// standard output and error.
#[track_caller]
pub fn calls(device: &TestDevice, arguments: &[&str]) -> (Vec<Call>, RunResult) {
    let log = device.folder().join("calls.log");
    let ran = finish(device.command(&words(device, arguments, &log, None)));
    let text = fs::read_to_string(&log)
        .unwrap_or_else(|error| panic!("strace left no log ({error}): {}", ran.stderr));
    let mut counts = std::collections::HashMap::new();
    let mut found = Vec::new();
    let mut process = None;
    for line in text.lines() {
        let (pid, rest) = line.split_once(char::is_whitespace).unwrap();
        let rest = rest.trim_start();
        let Some((name, operands)) = rest.split_once('(') else { continue };
        if rest.starts_with("---") || rest.starts_with("<...") {
            continue;
        }
        // strace counts each thread's calls on its own: a second one would make the numbers lie.
        assert_eq!(*process.get_or_insert(pid), pid, "calls of two threads: {line}");
        let in_a_folder = name.ends_with("at") || name.ends_with("at2");
        let line = if in_a_folder { with_paths(rest) } else { rest.to_owned() };
        let nth = counts.entry(name.to_string()).and_modify(|count| *count += 1).or_insert(1_usize);
        let opens = name.starts_with("open") && !operands.contains("O_CREAT");
        let speaks =
            name.starts_with("write") && (operands.starts_with("1<") || operands.starts_with("2<"));
        if !opens && !speaks {
            found.push(Call { name: name.into(), nth: *nth, line });
        }
    }
    (found, ran)
}

/// A name in a folder that is held open, `7</data>, "x.db"`, as the path that it is:
/// `"/data/x.db"`.
fn with_paths(line: &str) -> String {
    let mut told = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(">, \"") {
        match before.rsplit_once('<').filter(|(_, folder)| folder.starts_with('/')) {
            Some((before, folder)) => told.push_str(&format!(
                "{}\"{folder}/",
                before.trim_end_matches(|digit: char| digit.is_ascii_digit())
            )),
            None => told.push_str(&format!("{before}>, \"")),
        }
        rest = after;
    }
    told + rest
}

/// Runs the program, stops it right after this call, does something to the device, and lets it go
/// on.
#[track_caller]
pub fn stopped_after(
    device: &TestDevice,
    arguments: &[&str],
    call: &Call,
    event: impl FnOnce(Pid),
) -> RunResult {
    let log = device.folder().join("stop.log");
    let _ = fs::remove_file(&log);
    mknodat(CWD, &log, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let inject = format!("{}:signal=SIGSTOP:when={}", call.name, call.nth);
    let child = device.command(&words(device, arguments, &log, Some(inject))).spawn().unwrap();
    let Some(pid) = stopped(&follow(log)) else {
        let ran = RunResult::from(child.wait_with_output().unwrap());
        panic!("not stopped at {call:?}: exit {} {}", ran.exit, ran.stderr);
    };
    until_it_waits(child.id());
    event(pid);
    // Killed by the event, it needs no word to go on.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::CONT);
    RunResult::from(child.wait_with_output().unwrap())
}

/// The lines of a log that is a FIFO, as they come. It is read to its end whoever listens, or
/// strace would be ended by a signal.
fn follow(log: PathBuf) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(File::open(log).unwrap()).lines() {
            let _ = send.send(line.unwrap());
        }
    });
    receive
}

/// Waits until the log says that the program is stopped; `None` where it ended instead.
fn stopped(lines: &mpsc::Receiver<String>) -> Option<Pid> {
    let line = lines.iter().find(|line| line.contains("--- stopped by SIGSTOP"))?;
    Pid::from_raw(line.split_whitespace().next()?.parse().ok()?)
}

/// Until strace, which says first that the program is stopped and then leaves it so
/// (`PTRACE_LISTEN`), waits for what comes next: a program that is killed between the two makes
/// strace itself fail.
fn until_it_waits(strace: u32) {
    let state = || fs::read_to_string(format!("/proc/{strace}/stat")).unwrap();
    while !state().rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S')) {
        std::thread::yield_now();
    }
}
