//! Owns boots of the whole system in a container, with the real unit under the real systemd, cut
//! off in the middle of the run.
//! Promises: file system shut down, every process killed; the next boot of the container must bring
//! the application up; then it is judged.
//! Never leaves a container running.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::data_partition::{DataPartition, HOME, NAMES};
use super::judge::{after_cuts, judge, Acknowledged};
use super::partition::Mounted;
use super::{Figures, Options, Program};
use crate::sim::hash::Random;

/// Longer than any boot of the container on a busy computer.
const BOOT_LIMIT: Duration = Duration::from_secs(300);
/// The longest time from the unit's first write to a cut.
const CUT_LATEST_MS: u64 = 500;
/// Between two looks at the booting container.
const LOOK: Duration = Duration::from_millis(2);

/// What the run has said.
const JOURNAL: [&str; 4] =
    ["journalctl", "--unit=bootmigrate.service", "--output=cat", "--no-pager"];

/// A container that runs.
struct Container {
    supervisor: Child,
    leader: Option<u32>,
}

/// Cuts, judges and prints. `root_image`: the mounted, read-only root.
pub fn run(options: &Options, root_image: &Path) -> ExitCode {
    assert!(!options.control, "the control of this method is that of `shutdowns`");
    let folder = options.folder();
    let program = Program::new(&options.program);
    let data_partition = DataPartition::make(&folder, &program, &options.migrations);
    fs::create_dir_all(folder.join("root/run")).unwrap();
    let mut random = Random::new(options.seed);
    let (mut figures, started) = (Figures::default(), Instant::now());
    for cut in 0..options.cuts {
        let after = Duration::from_millis(random.below(CUT_LATEST_MS));
        figures.judged(
            &format!("cut {cut} after {after:?}"),
            one(&data_partition, &program, root_image, &folder, after),
        );
    }
    figures.finish("container with systemd, cut and killed", false, started.elapsed().as_secs_f64())
}

fn one(
    data_partition: &DataPartition,
    program: &Program,
    root_image: &Path,
    folder: &Path,
    after: Duration,
) -> Result<Vec<String>, String> {
    let (image, root) = (folder.join("partition.img"), folder.join("root"));
    let home = root.join(HOME);
    fs::copy(&data_partition.image, &image).unwrap();
    let mounted = Mounted::new(&image, &home);
    let mut known = Acknowledged::default();
    let mut container = Container::boot(root_image, &home)?;
    // The run's first name on the partition: from here on every instant is worth a cut.
    container.wait_for(|_| home.join(".bootmigrate/settings.db").exists())?;
    sleep(after);
    known.see(&container.run_folder());
    mounted.shut_down();
    // What the run has said stands in a journal that goes with the container. What it says from now
    // on is said again.
    container.asks(&["journalctl", "--sync"]);
    known.hear(&container.asks(&JOURNAL));
    container.kill();
    drop(mounted);
    let _mounted = Mounted::new(&image, &home);
    let stood = after_cuts(data_partition, &home, &known)?;
    let mut container = Container::boot(root_image, &home)?;
    container.wait_for(|container| {
        container.asks(&["systemctl", "is-active", "gateway.service"]).trim() == "active"
    })?;
    known.hear(&container.asks(&JOURNAL));
    known.see(&container.run_folder());
    container.kill();
    if known.ready.len() != NAMES.len() {
        return Err(format!(
            "usable means ready: after the container's boot only {:?}",
            known.ready
        ));
    }
    judge(data_partition, program, &root, known).map(|_| stood)
}

impl Container {
    fn boot(root_image: &Path, home: &Path) -> Result<Container, String> {
        let mut command = Command::new("systemd-nspawn");
        command.args([
            "--quiet",
            "--boot",
            "--register=no",
            "--keep-unit",
            "--private-network",
            "--link-journal=no",
            "--console=pipe",
        ]);
        command.args(["--machine=bootlab", "--volatile=overlay", "--directory"]).arg(root_image);
        command.arg(format!("--bind={}:/{HOME}", home.display())).arg("systemd.show_status=0");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let supervisor = command.spawn().map_err(|error| format!("systemd-nspawn: {error}"))?;
        let mut container = Container { supervisor, leader: None };
        container.wait_for(|container| {
            container.leader = leader(container.supervisor.id());
            container.leader.is_some()
        })?;
        Ok(container)
    }

    fn wait_for(&mut self, mut seen: impl FnMut(&mut Container) -> bool) -> Result<(), String> {
        let end = Instant::now() + BOOT_LIMIT;
        while !seen(self) {
            if Instant::now() > end || self.supervisor.try_wait().unwrap().is_some() {
                let state = self.asks(&[
                    "systemctl",
                    "status",
                    "--no-pager",
                    "bootmigrate.service",
                    "gateway.service",
                ]);
                return Err(format!("the container's boot comes to its end: it did not: {state}"));
            }
            sleep(LOOK);
        }
        Ok(())
    }

    /// The container's `/run`, as this machine sees it.
    fn run_folder(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/run", self.leader.unwrap_or(0)))
    }

    /// What a program inside says.
    fn asks(&self, words: &[&str]) -> String {
        let leader = self.leader.unwrap_or(0).to_string();
        let output = Command::new("nsenter")
            .args(["--all", "--target", &leader, "--"])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Kills every process in it.
    fn kill(&mut self) {
        if let Some(leader) = self.leader.take() {
            let _ = Command::new("kill")
                .args(["-9", &leader.to_string()])
                .stderr(Stdio::null())
                .status();
            let end = Instant::now() + Duration::from_secs(10);
            while self.supervisor.try_wait().unwrap().is_none() && Instant::now() < end {
                sleep(LOOK);
            }
        }
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The container's first process: the child of the supervisor that has become systemd.
fn leader(supervisor: u32) -> Option<u32> {
    let children =
        fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).ok()?;
    let child = |word: &str| {
        word.parse()
            .ok()
            .filter(|child: &u32| comm(*child).is_some_and(|comm| comm.trim() == "systemd"))
    };
    children.split_whitespace().find_map(child)
}

fn comm(process: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/comm")).ok()
}
