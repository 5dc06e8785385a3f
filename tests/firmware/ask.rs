//! Owns asking the warm firmware (`warm.rs`) for a start, in the place of the emulator:
//!   `ask SOCKET FIRMWARE EMULATOR -L FOLDER PROGRAM ARGUMENT…`.
//! Promises: ends as the start ends, with its exit code or by its signal. A command of another program, or from another world than the
//!   warm one's (user, name spaces, limits), is run as it stands.
//! Never runs a command twice: from the question on, what goes wrong is said.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitCode};

const USAGE: &str = "usage: ask SOCKET FIRMWARE EMULATOR -L FOLDER PROGRAM ARGUMENT…";
/// The warm one, or its answer, is not what it should be.
const EXIT_DEFECT: u8 = 99;

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let [socket, firmware, emulator, rest @ ..] = words.as_slice() else { return refuse(USAGE) };
    let [_, _, program, arguments @ ..] = rest else { return refuse(USAGE) };
    if program == firmware {
        let answer = match ask(socket, arguments) {
            Ok(answer) => answer,
            Err(error) => return refuse(&format!("{}: {error}", socket.to_string_lossy())),
        };
        match answer.split_once(' ').map(|(how, number)| (how, number.parse::<u8>())) {
            None if answer == "elsewhere" => {}
            Some(("exit", Ok(code))) => return ExitCode::from(code),
            Some(("signal", Ok(number))) => return end_by(number),
            _ => return refuse(&format!("how it ended was not said, but \"{answer}\"")),
        }
    }
    refuse(&Command::new(emulator).args(rest).exec().to_string())
}

/// The question, and the answer.
fn ask(socket: &OsStr, arguments: &[OsString]) -> io::Result<String> {
    // Without a /proc we are elsewhere.
    let processes = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let mut words: Vec<OsString> = vec![process::id().to_string().into(), processes.into()];
    words.extend([env::current_dir()?.into_os_string(), arguments.len().to_string().into()]);
    words.extend_from_slice(arguments);
    words.extend(env::vars_os().map(|(name, value)| [name, value].join(OsStr::new("="))));
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(&words.join(&0))?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// By the shell's own `kill`, which every machine has.
fn end_by(signal: u8) -> ExitCode {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", process::id())).status();
    refuse(&format!("signal {signal} did not end this process: {status:?}"))
}

fn refuse(sentence: &str) -> ExitCode {
    eprintln!("ask: {sentence}");
    ExitCode::from(EXIT_DEFECT)
}
