//! Owns how the program under test is started, and what one run of it was.
//! Promises: nothing of the caller's environment reaches it but PATH; a run that hangs is ended and
//! said.
//! Never knows what the program is: `BOOTMIGRATE_UNDER_TEST`, `BOOTMIGRATE_PROGRAMS`,
//! `BOOTMIGRATE_RUNNER` (what starts it) say another.

use crate::device::{Program, TestDevice};
use std::env;
use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A run that takes longer has hung: the longest wait that the design allows is `busy_timeout_s`,
/// 10 seconds.
const HUNG_AFTER_S: u64 = 120;

/// How a run ended.
#[derive(Debug, Clone)]
pub struct RunResult {
    /// The exit code, or `signal N`.
    pub exit: String,
    /// Standard output, whole.
    pub stdout: String,
    /// Standard error, whole.
    pub stderr: String,
}

/// The folder of the programs for another processor than this test's.
pub fn foreign() -> Option<PathBuf> {
    env::var_os("BOOTMIGRATE_PROGRAMS").map(PathBuf::from)
}

/// The program is built as for an image, with `panic = "abort"`: what panics is not caught.
pub fn a_panic_ends_it() -> bool {
    env::var_os("BOOTMIGRATE_PANICS").is_some_and(|how| how == "abort")
}

/// An example that cargo built beside this test.
#[track_caller]
pub fn example(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let beside = || test.parent().and_then(|deps| deps.parent()).unwrap().to_path_buf();
    let path = foreign().unwrap_or_else(beside).join("examples").join(name);
    assert!(path.exists(), "{} is not built: run `cargo build --examples` first", path.display());
    assert!(
        foreign().is_some() || !is_stale(&path),
        "{} is older than its sources: run `cargo build --bins --examples` first",
        path.display()
    );
    path
}

/// A file that it was compiled of was written later: what it does is not what the sources say.
/// cargo lists those files beside it; without a list nobody can tell.
fn is_stale(program: &Path) -> bool {
    let written = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let list = std::fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let sources = list.split_once(": ").map_or("", |(_, sources)| sources);
    let newest = sources.split_whitespace().filter_map(|path| written(Path::new(path))).max();
    newest > written(program)
}

/// What must stand before a program of another processor: an emulator and its options, or who asks
/// for a start, with blanks between them.
pub fn runner() -> Vec<OsString> {
    let words = env::var("BOOTMIGRATE_RUNNER").unwrap_or_default();
    words.split_whitespace().map(OsString::from).collect()
}

/// How often a test that repeats itself does so: an emulator, which needs a second and more for a
/// run, asks for fewer.
pub fn rounds(usual: usize) -> usize {
    let most = env::var("BOOTMIGRATE_ROUNDS_MAX").map_or(usual, |number| number.parse().unwrap());
    assert!(most > 0, "BOOTMIGRATE_ROUNDS_MAX=0");
    usual.min(most)
}

impl TestDevice {
    /// The program under test.
    pub fn executable(&self) -> PathBuf {
        match (env::var_os("BOOTMIGRATE_UNDER_TEST"), self.program) {
            (Some(path), _) => path.into(),
            (None, Program::Firmware) => example("firmware"),
            (None, Program::Product) => foreign().map_or_else(
                || env!("CARGO_BIN_EXE_bootmigrate").into(),
                |programs| programs.join("bootmigrate"),
            ),
        }
    }

    /// The migrations that this program carries.
    pub fn catalogue_folder(&self) -> PathBuf {
        match self.program {
            Program::Firmware => self.firmware_folder(),
            Program::Product => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("migrations"),
        }
    }

    /// Its command line, the first word is the program's.
    pub fn words(&self, arguments: &[&str]) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let executable =
            if self.user.is_some() { self.copied_executable() } else { self.executable() };
        if self.namespace {
            let hide = if self.without_proc { "mount -t tmpfs none /proc && " } else { "" };
            let script = format!("mount --bind \"$1\" /run && {hide}shift && exec \"$@\"");
            words.extend(["unshare", "--mount", "sh", "-c", &script, "sh"].map(OsString::from));
            words.push(self.root().join("run").into());
        }
        words.extend(runner());
        words.push(executable.into());
        let (command, rest) = arguments
            .split_first()
            .map_or((&[][..], &[][..]), |(first, rest)| (std::slice::from_ref(first), rest));
        words.extend(command.iter().map(OsString::from));
        if !self.namespace {
            words.extend([OsString::from("--root"), self.root().into()]);
        }
        words.extend(rest.iter().map(OsString::from));
        words
    }

    /// Another user may not reach the folder that the program was built in.
    fn copied_executable(&self) -> PathBuf {
        let copy = self.folder().join("program");
        if !copy.exists() {
            let copied = Command::new("cp").arg(self.executable()).arg(&copy).status().unwrap();
            assert!(copied.success(), "cp of the program");
        }
        copy
    }

    /// A command with the test's environment; `words` may put another program before it.
    pub fn command(&self, words: &[OsString]) -> Command {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
        command
            .env("BOOTMIGRATE_TEST_FOLDER", self.catalogue_folder())
            .envs(self.environment.iter().cloned());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> RunResult {
        finish(self.command(&self.words(arguments)))
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn finish(mut command: Command) -> RunResult {
    let child = command.spawn().unwrap();
    let id = child.id();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    match receive.recv_timeout(Duration::from_secs(HUNG_AFTER_S)) {
        Ok(output) => RunResult::from(output.unwrap()),
        Err(_) => {
            if let Some(pid) = rustix::process::Pid::from_raw(id as i32) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            panic!("{command:?} has not ended after {HUNG_AFTER_S} s");
        }
    }
}

impl From<Output> for RunResult {
    fn from(output: Output) -> RunResult {
        let exit = match (output.status.code(), output.status.signal()) {
            (Some(code), _) => code.to_string(),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "unknown".into(),
        };
        RunResult {
            exit,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
