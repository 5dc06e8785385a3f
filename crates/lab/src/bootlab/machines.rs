//! Owns whole machines in trouble: the plug pulled at a random instant, storage that fails, is full
//! or slow, little memory.
//! Promises: after each the partition is judged as after a cut; what the machine's console had
//! acknowledged must stand.
//! Never counts a machine that did not come to the program under test.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::data_partition::{DataPartition, HOME};
use super::judge::judge;
use super::machine::{plain_disk, Hardware, Machine, BOOT_LIMIT};
use super::partition::Mounted;
use super::{Figures, Options, Program};
use crate::sim::hash::Random;

/// Room that is too little for a snapshot, in KiB.
const NEARLY_FULL_KIB: [u64; 3] = [16, 96, 400];

/// What is done to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Trouble {
    /// Nothing: one boot, and a second that is quiet
    Boot,
    /// Pull the plug at random instants, from a saved state of the machine
    Plug,
    /// A write or a flush of the disk fails, once or from then on
    Errors,
    /// The data partition is nearly full
    Full,
    /// 64 MiB of memory
    Memory,
    /// 100 effects a second
    Slow,
}

struct Lab<'a> {
    data_partition: DataPartition,
    program: Program,
    hardware: &'a Hardware,
    folder: PathBuf,
}

/// Does it, judges and prints.
pub fn run(options: &Options, hardware: &Hardware, trouble: Trouble) -> ExitCode {
    let folder = options.folder();
    let program = Program::new(&options.program);
    let data_partition = DataPartition::make(&folder, &program, &options.migrations);
    fs::create_dir_all(folder.join("root/run")).unwrap();
    let lab = Lab { data_partition, program, hardware, folder };
    let started = Instant::now();
    let mut figures = Figures::default();
    match trouble {
        Trouble::Boot => figures.judged("boot", lab.boot(hardware, "", true)),
        Trouble::Memory => figures
            .judged("64 MiB", lab.boot(&Hardware { memory: 64, ..hardware.clone() }, "", false)),
        Trouble::Slow => figures.judged(
            "100 effects a second",
            lab.boot(hardware, ",throttling.iops-total=100", false),
        ),
        Trouble::Plug => lab.plug(options, &mut figures),
        Trouble::Errors => lab.errors(options, &mut figures),
        Trouble::Full => NEARLY_FULL_KIB
            .iter()
            .for_each(|kib| figures.judged(&format!("{kib} KiB free"), lab.full(*kib))),
    }
    let method = format!("{} machine: {}", hardware.architecture, name(trouble));
    figures.finish(&method, false, started.elapsed().as_secs_f64())
}

fn name(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Boot => "a boot and a quiet one",
        Trouble::Plug => "QEMU killed",
        Trouble::Errors => "I/O errors",
        Trouble::Full => "nearly full",
        Trouble::Memory => "64 MiB of memory",
        Trouble::Slow => "100 effects a second",
    }
}

impl Lab<'_> {
    fn disk(&self) -> PathBuf {
        let disk = self.folder.join("disk.img");
        fs::copy(&self.data_partition.image, &disk).unwrap();
        disk
    }

    fn judge(&self, disk: &Path, machine: &Machine) -> Result<Vec<String>, String> {
        let root = self.folder.join("root");
        let _mounted = Mounted::new(disk, &root.join(HOME));
        judge(&self.data_partition, &self.program, &root, machine.acknowledged())
            .map_err(|why| format!("{why}\n{}", machine.console))
    }

    /// One boot, a second that is quiet, and the console if it is wanted.
    fn boot(&self, hardware: &Hardware, drive: &str, show: bool) -> Result<Vec<String>, String> {
        let disk = self.disk();
        let mut machine = hardware.start("lab.phase=twice", &plain_disk(&disk, drive), &[]);
        let ended = machine.ended(BOOT_LIMIT);
        if show {
            println!("{}", machine.console.replace('\r', ""));
        }
        let exits = (machine.exit_of("all"), machine.exit_of("again"));
        if !ended || exits != (Some(11), Some(0)) {
            return Err(format!("exit codes: {exits:?}\n{}", machine.console));
        }
        self.judge(&disk, &machine)
    }

    /// From a machine that was saved before it looked at its disk.
    fn plug(&self, options: &Options, figures: &mut Figures) {
        let saved = self.folder.join("saved");
        self.save(&saved);
        let mut random = Random::new(options.seed);
        let mut span = None;
        while figures.cuts < options.cuts {
            let disk = self.disk();
            let incoming = ["-incoming".to_owned(), format!("exec:cat {}", saved.display())];
            let mut machine =
                self.hardware.start("lab.phase=saved", &plain_disk(&disk, ""), &incoming);
            // The first letter after a restore is lost.
            machine.type_line("#### go");
            if !machine.wait("LAB START.", BOOT_LIMIT) {
                figures.judged(
                    "restored",
                    Err(format!("the machine did not start: {}", machine.console)),
                );
                continue;
            }
            let started = Instant::now();
            let Some(span) = span else {
                // The first one is not cut: it tells how long a run takes here.
                assert!(
                    machine.ended(BOOT_LIMIT) && machine.exit_of("all") == Some(11),
                    "{}",
                    machine.console
                );
                span = Some(started.elapsed());
                continue;
            };
            let after = Duration::mul_f64(span, random.below(1000) as f64 / 1000.0);
            sleep(after);
            machine.kill();
            figures.judged(
                &format!("cut {} after {after:?}", figures.cuts),
                self.judge(&disk, &machine),
            );
        }
    }

    fn save(&self, saved: &Path) {
        let socket = self.folder.join("monitor");
        let disk = self.disk();
        let monitor = ["-qmp".to_owned(), format!("unix:{},server=on,wait=off", socket.display())];
        let mut machine = self.hardware.start("lab.phase=saved", &plain_disk(&disk, ""), &monitor);
        assert!(
            machine.wait("LAB READY.", BOOT_LIMIT),
            "the machine to be saved: {}",
            machine.console
        );
        let stream = UnixStream::connect(&socket).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut ask = |words: &str| loop {
            (&stream).write_all(words.as_bytes()).unwrap();
            if let Some(answer) = answers
                .by_ref()
                .map(Result::unwrap)
                .find(|answer| answer.contains("\"return\"") || answer.contains("\"error\""))
            {
                return answer;
            }
        };
        ask("{\"execute\":\"qmp_capabilities\"}\n");
        ask(&format!(
            "{{\"execute\":\"migrate\",\"arguments\":{{\"uri\":\"exec:cat > {}\"}}}}\n",
            saved.display()
        ));
        let end = Instant::now() + BOOT_LIMIT;
        while !ask("{\"execute\":\"query-migrate\"}\n").contains("\"completed\"") {
            assert!(Instant::now() < end, "the machine's state was not saved in time");
            sleep(Duration::from_millis(50));
        }
    }

    /// The n-th write or flush fails, once or from then on, for n spread over the run.
    fn errors(&self, options: &Options, figures: &mut Figures) {
        let mut random = Random::new(options.seed);
        for number in 0..options.cuts {
            let (event, kind, most) = if number % 2 == 0 {
                ("pwritev", "write", 300)
            } else {
                ("flush_to_disk", "flush", 100)
            };
            let (nth, once) = (1 + random.below(most), number % 4 < 2);
            let disk = self.disk();
            let states: Vec<String> = (1..nth)
                .map(|state| {
                    format!(
                        "{{\"event\":\"{event}\",\"state\":{state},\"new_state\":{}}}",
                        state + 1
                    )
                })
                .collect();
            let debug = format!(
                "{{\"driver\":\"raw\",\"node-name\":\"data\",\"file\":{{\"driver\":\"blkdebug\",\"image\":{{\"driver\":\"file\",\"filename\":\"{}\"}},\"set-state\":[{}],\"inject-error\":[{{\"event\":\"{event}\",\"state\":{nth},\"iotype\":\"{kind}\",\"errno\":5,\"once\":{once}}}]}}}}",
                disk.display(),
                states.join(",")
            );
            let device = "virtio-blk-device,drive=data,werror=report,rerror=report";
            let words = ["-blockdev".to_owned(), debug, "-device".into(), device.into()];
            let mut machine = self.hardware.start("lab.phase=run", &words, &[]);
            let ended = machine.ended(BOOT_LIMIT);
            let exit = machine.exit_of("all");
            let name = format!(
                "{kind} {nth} fails {}, exit {exit:?}",
                if once { "once" } else { "from then on" }
            );
            let verdict = match exit {
                Some(11 | 15) if ended => self.judge(&disk, &machine),
                // The mount itself may have failed.
                None if machine.console.contains("LAB NO PARTITION.") => {
                    self.judge(&disk, &machine)
                }
                other => Err(format!("exit code: {other:?}\n{}", machine.console)),
            };
            println!("    {name}");
            figures.judged(&name, verdict);
        }
    }

    /// A boot with so little room; then there is room again.
    fn full(&self, kib: u64) -> Result<Vec<String>, String> {
        let disk = self.disk();
        let at = self.folder.join("root").join(HOME);
        Mounted::new(&disk, &at).fill_but(kib);
        let mut machine = self.hardware.start("lab.phase=run", &plain_disk(&disk, ""), &[]);
        let ended = machine.ended(BOOT_LIMIT);
        let exit = machine.exit_of("all");
        println!("    {kib} KiB free: exit {exit:?}");
        if !ended || exit != Some(14) {
            return Err(format!("exit code: {exit:?}\n{}", machine.console));
        }
        Mounted::new(&disk, &at).empty();
        self.judge(&disk, &machine)
    }
}
