//! Owns cuts on this machine's own ext4: the file system is shut down under the running program, at
//! a random instant.
//! Promises: un-synced data and metadata are gone, what the program had acknowledged before is
//! known; then the partition is judged.
//! Never counts a cut that came after the run, but for what the run had acknowledged.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::data_partition::{DataPartition, HOME};
use super::judge::{judge, Acknowledged};
use super::partition::Mounted;
use super::{Figures, Options, Program};
use crate::sim::hash::Random;

/// Workers side by side: one waits for the disk while the other judges.
const WORKERS: u64 = 2;
/// The control: the tracer says that the sync was done, and does not do it.
const WITHOUT_SYNC: [&str; 7] = [
    "strace",
    "-f",
    "-qq",
    "-o/dev/null",
    "-etrace=fsync,fdatasync,sync_file_range",
    "-einject=fsync:retval=0",
    "-einject=fdatasync:retval=0",
];

/// One worker's part of the method.
struct Worker<'a> {
    data_partition: &'a DataPartition,
    program: &'a Program,
    before: &'a [&'a str],
    folder: std::path::PathBuf,
    /// How long a run takes that nobody cuts.
    span: Duration,
}

/// Cuts, judges and prints.
pub fn run(options: &Options) -> ExitCode {
    let folder = options.folder();
    let program = Program::new(&options.program);
    let data_partition = DataPartition::make(&folder, &program, &options.migrations);
    let before: &[&str] = if options.control { &WITHOUT_SYNC } else { &[] };
    let started = Instant::now();
    let mut all = Figures::default();
    std::thread::scope(|scope| {
        let work = |number: u64| {
            let (data_partition, program, folder) =
                (&data_partition, &program, folder.join(format!("worker-{number}")));
            scope.spawn(move || {
                let mut worker =
                    Worker { data_partition, program, before, folder, span: Duration::ZERO };
                worker.span = worker.uncut();
                let mut random = Random::new(options.seed.wrapping_mul(WORKERS) + number);
                let mut figures = Figures::default();
                for cut in (number..options.cuts).step_by(WORKERS as usize) {
                    let after = worker.span.mul_f64(random.below(1050) as f64 / 1000.0);
                    figures.judged(&format!("cut {cut} after {after:?}"), worker.cut(after));
                }
                figures
            })
        };
        for worker in (0..WORKERS).map(work).collect::<Vec<_>>() {
            all.add(worker.join().expect("a worker ends"));
        }
    });
    let method = if options.control {
        "ext4 shut down, syncs dropped (control)"
    } else {
        "ext4 shut down under the program"
    };
    all.finish(method, options.control, started.elapsed().as_secs_f64())
}

impl Worker<'_> {
    /// The device as [`super::data_partition`] has made it, its partition mounted.
    fn device(&self) -> Mounted {
        fs::create_dir_all(self.folder.join("root")).unwrap();
        let _ = fs::remove_dir_all(self.folder.join("root/run"));
        fs::create_dir_all(self.folder.join("root/run")).unwrap();
        fs::copy(&self.data_partition.image, self.image()).unwrap();
        self.mount()
    }

    fn image(&self) -> std::path::PathBuf {
        self.folder.join("partition.img")
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.join("root")
    }

    fn mount(&self) -> Mounted {
        Mounted::new(&self.image(), &self.root().join(HOME))
    }

    /// A run to its end, which must do everything.
    fn uncut(&self) -> Duration {
        let mounted = self.device();
        let started = Instant::now();
        let output = self.program.command(self.before, &self.root(), &[]).output().unwrap();
        let span = started.elapsed();
        assert_eq!(
            output.status.code(),
            Some(11),
            "the run without a cut: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        drop(mounted);
        span
    }

    fn cut(&self, after: Duration) -> Result<Vec<String>, String> {
        let mounted = self.device();
        let said = self.folder.join("said");
        let mut command = self.program.command(self.before, &self.root(), &[]);
        let mut child = command.stderr(fs::File::create(&said).unwrap()).spawn().unwrap();
        sleep(after);
        let mut known = Acknowledged::default();
        known.see(&self.root().join("run"));
        mounted.shut_down();
        finish(&mut child, !self.before.is_empty());
        drop(mounted);
        known.hear(&sentences(&said));
        let _mounted = self.mount();
        judge(self.data_partition, self.program, &self.root(), known)
    }
}

/// Nothing of it reaches the disk any more; a tracer is left to end with its child.
fn finish(child: &mut std::process::Child, traced: bool) {
    if !traced {
        let _ = child.kill();
    }
    child.wait().unwrap();
}

/// What had been said. A loss counts as said only by whole sentences.
fn sentences(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
