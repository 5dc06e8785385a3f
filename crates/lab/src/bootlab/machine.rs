//! Owns a machine of another processor: QEMU without acceleration, a small initramfs, the data
//! partition as its disk.
//! Promises: a machine that is dropped is killed; the console is read only up to a full stop, so
//! that no half line counts.
//! Never lets a machine run longer than its limit.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use clap::Args;

use super::judge::Acknowledged;

/// Longer than any boot of the small machine on a busy computer.
pub const BOOT_LIMIT: Duration = Duration::from_secs(900);

/// The processor and what it boots.
#[derive(Debug, Clone, Args)]
pub struct Hardware {
    /// arm64 or armhf
    #[arg(long, default_value = "arm64")]
    pub architecture: String,
    /// A folder with `kernel` and `initramfs`
    #[arg(long)]
    pub machine: PathBuf,
    /// Memory in MiB
    #[arg(long, default_value_t = 128)]
    pub memory: u32,
}

/// A machine that is switched on.
pub struct Machine {
    child: Child,
    input: ChildStdin,
    output: Receiver<Vec<u8>>,
    /// What its console has shown.
    pub console: String,
}

/// A disk whose image is `path`, as words for QEMU; `more` goes to the drive.
pub fn plain_disk(path: &Path, more: &str) -> Vec<String> {
    let drive =
        format!("if=none,id=data,file={},format=raw,cache=none,aio=threads{more}", path.display());
    vec!["-drive".into(), drive, "-device".into(), "virtio-blk-device,drive=data".into()]
}

impl Hardware {
    /// Switches a machine on.
    pub fn start(&self, words: &str, disk: &[String], more: &[String]) -> Machine {
        let arm64 = self.architecture == "arm64";
        let (program, processor) = if arm64 {
            ("qemu-system-aarch64", "cortex-a53")
        } else {
            ("qemu-system-arm", "cortex-a15")
        };
        let mut command = Command::new(program);
        command.args([
            "-M",
            "virt,highmem=off",
            "-accel",
            "tcg",
            "-cpu",
            processor,
            "-m",
            &self.memory.to_string(),
        ]);
        command.args(["-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio"]);
        command
            .arg("-kernel")
            .arg(self.machine.join("kernel"))
            .arg("-initrd")
            .arg(self.machine.join("initramfs"));
        command
            .args(["-append", &format!("console=ttyAMA0 quiet panic=-1 {words}")])
            .args(disk)
            .args(more);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (sender, output) = channel();
        let mut stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take().unwrap();
        Machine { child, input, output, console: String::new() }
    }
}

impl Machine {
    /// Waits for these words on the console; `false` when the machine ended or the limit passed
    /// before.
    pub fn wait(&mut self, words: &str, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while !self.console.contains(words) {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.console.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// Types a line on the console.
    pub fn type_line(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Pulls the plug, and reads what the console still had.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_secs(1)) {
            self.console.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// Waits until it has switched itself off.
    pub fn ended(&mut self, limit: Duration) -> bool {
        let ended = self.wait("LAB END.", limit);
        if ended {
            // Its last words are on the console; the process needs a moment to go.
            let _ = self.child.wait();
        }
        self.kill();
        ended
    }

    /// The program's exit code as the console has it.
    pub fn exit_of(&self, name: &str) -> Option<i32> {
        let (_, rest) = self.console.split_once(&format!("LAB EXIT {name} "))?;
        rest.split_once('.')?.0.parse().ok()
    }

    /// What the console shows as acknowledged.
    pub fn acknowledged(&self) -> Acknowledged {
        let mut known = Acknowledged::default();
        known.hear(&self.console);
        for (at, mark) in self.console.match_indices("LAB READY FILE ") {
            let rest = &self.console[at + mark.len()..];
            known.ready.extend(rest.split_once('.').map(|(name, _)| name.to_owned()));
        }
        known
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}
