//! Owns a product's application in a process of its own: `examples/application`, told what to do
//! line by line.
//! Promises: a line is answered before the test goes on; dropped, the process is killed, as by a
//! power cut.
//! Never opens a database in the test's own process.

use crate::program;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running application.
pub struct Application {
    child: Child,
    lines: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Application {
    /// Starts it as `user` (root where absent), from a copy in `folder` that every user may run.
    pub fn start(folder: &Path, user: Option<u32>) -> Application {
        let executable = folder.join("application");
        if !executable.exists() {
            // Not by this process: another thread's child would inherit the open copy, and it could
            // not be run ("text file busy").
            let copied = Command::new("cp")
                .arg(program::example("application"))
                .arg(&executable)
                .status()
                .unwrap();
            assert!(copied.success(), "cp of the application");
        }
        let words = [program::runner(), vec![executable.into()]].concat();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn().unwrap();
        let lines = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Application { child, lines, answers }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says one line and waits for its answer.
    pub fn tell(&mut self, line: &str) -> String {
        writeln!(self.lines, "{line}").unwrap();
        self.lines.flush().unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim_end().to_string()
    }

    /// Says one line; the answer must begin with `ok`.
    #[track_caller]
    pub fn expect_ok(&mut self, line: &str) {
        let answer = self.tell(line);
        assert!(answer.starts_with("ok"), "the application was told {line:?} and said {answer:?}");
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
