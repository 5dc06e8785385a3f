//! Owns the write log of a machine's disk: every write and flush in order, and the states that a
//! cut could have left.
//! Promises: a state is made at every flush, at every write, and with random parts of what was not
//! flushed; each is mounted and judged.
//! Never takes a mark for a write of the file system: marks say what had been acknowledged by then.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use super::data_partition::{DataPartition, FILE_SYSTEM_MIB, HOME, NAMES};
use super::judge::{judge, Acknowledged};
use super::machine::{Hardware, BOOT_LIMIT};
use super::partition::Mounted;
use super::{Figures, Options, Program};
use crate::sim::hash::Random;

/// "jsfwsh" and more: the magic number of dm-log-writes, which QEMU's blklogwrites writes too.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FORCED: u64 = 2;
const DISCARD: u64 = 4;
const SECTOR: usize = 512;
/// Marks are written past the page cache, which takes whole blocks.
const MARK_BYTES: u64 = 4096;
/// The first bytes of a slot of the record.
const RECORD: &[u8] = b"BMRECORD";
/// Random parts of what was not flushed, at each flush.
const PARTS_A_FLUSH: u64 = 2;
/// Room for the log; it is sparse.
const LOG_BYTES: u64 = 1 << 30;

/// One entry of the log.
struct Entry {
    sector: u64,
    flags: u64,
    sectors: u64,
    data: Vec<u8>,
}

/// A state that a cut could have left: what was flushed before `entry`, and some of what was not.
#[derive(Debug, Clone, Copy)]
struct State {
    entry: usize,
    /// `None`: everything up to here in order. Else each pending write by a coin of this seed.
    part: Option<u64>,
}

/// Runs the machine with its disk's log, replays, judges and prints.
pub fn run(options: &Options, hardware: &Hardware) -> ExitCode {
    let folder = options.folder();
    let program = Program::new(&options.program);
    let data_partition = DataPartition::make(&folder, &program, &options.migrations);
    let log = record(&folder, &data_partition, hardware, options.control);
    let entries = read(&log);
    let mut states = states(&entries, options.control);
    let all = states.len();
    thin_out(&mut states, options.cuts as usize);
    let flushes = entries.iter().filter(|entry| entry.flags & (FLUSH | FORCED) != 0).count();
    println!(
        "    {} entries in the log, {flushes} of them flushes; {all} states, {} of them judged",
        entries.len(),
        states.len()
    );
    let started = Instant::now();
    let mut figures = Figures::default();
    std::thread::scope(|scope| {
        let (data_partition, program, entries, states) =
            (&data_partition, &program, &entries, &states);
        let workers: Vec<_> = (0..2)
            .map(|number| {
                let folder = folder.join(format!("replay-{number}"));
                scope.spawn(move || {
                    replay(
                        data_partition,
                        program,
                        entries,
                        &states[number * states.len() / 2..(number + 1) * states.len() / 2],
                        &folder,
                    )
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| figures.add(worker.join().expect("a worker ends")));
    });
    let method = if options.control {
        "write log, flushes dropped (control)"
    } else {
        "write log of the disk, replayed"
    };
    let method = format!("{method}, {}", hardware.architecture);
    figures.finish(&method, options.control, started.elapsed().as_secs_f64())
}

/// One boot of the machine; every write of it is logged. The control mounts without barriers: no
/// flush reaches the disk.
fn record(
    folder: &Path,
    data_partition: &DataPartition,
    hardware: &Hardware,
    control: bool,
) -> PathBuf {
    let (disk, log) = (folder.join("disk.img"), folder.join("disk.log"));
    fs::copy(&data_partition.image, &disk).unwrap();
    File::create(&log).unwrap().set_len(LOG_BYTES).unwrap();
    let file = |name: &str, path: &Path| {
        format!("driver=file,node-name={name},filename={},discard=unmap", path.display())
    };
    let logged = "driver=blklogwrites,node-name=data,file=image,log=log,log-super-update-interval=1,log-sector-size=512";
    let words = [file("image", &disk), file("log", &log), logged.into()];
    let mut words: Vec<String> =
        words.into_iter().flat_map(|word| ["-blockdev".to_owned(), word]).collect();
    words.extend(["-device".into(), "virtio-blk-device,drive=data".into()]);
    let options = if control { "barrier=0" } else { "noatime" };
    let mark = FILE_SYSTEM_MIB * ((1 << 20) / MARK_BYTES);
    let mut machine = hardware.start(
        &format!("lab.phase=mark lab.options={options} lab.mark={mark}"),
        &words,
        &[],
    );
    let ended = machine.ended(BOOT_LIMIT);
    let exits: Vec<Option<i32>> = NAMES.iter().map(|name| machine.exit_of(name)).collect();
    let wanted: Vec<Option<i32>> = NAMES
        .iter()
        .map(|name| Some(if data_partition.database(name).loss { 11 } else { 0 }))
        .collect();
    assert!(ended && exits == wanted, "the machine's boot: {exits:?}\n{}", machine.console);
    log
}

fn read(log: &Path) -> Vec<Entry> {
    let log = File::open(log).unwrap();
    let mut head = [0; SECTOR];
    log.read_exact_at(&mut head, 0).unwrap();
    let number =
        |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at * 8..at * 8 + 8].try_into().unwrap());
    assert_eq!(
        (number(&head, 0), number(&head, 1)),
        (MAGIC, 1),
        "the log's magic number and version"
    );
    assert_eq!(
        u32::from_le_bytes(head[24..28].try_into().unwrap()) as usize,
        SECTOR,
        "the log's sector size"
    );
    let mut at = SECTOR as u64;
    let mut entries = Vec::new();
    for _ in 0..number(&head, 2) {
        let mut entry = [0; 32];
        log.read_exact_at(&mut entry, at).unwrap();
        at += SECTOR as u64;
        let (sector, sectors, flags) = (number(&entry, 0), number(&entry, 1), number(&entry, 2));
        let mut data = vec![0; if flags & DISCARD == 0 { sectors as usize * SECTOR } else { 0 }];
        log.read_exact_at(&mut data, at).unwrap();
        at += data.len() as u64;
        entries.push(Entry { sector, flags, sectors, data });
    }
    entries
}

impl Entry {
    /// `LAB ACKNOWLEDGED NAME CODE.`, behind the file system.
    fn mark(&self) -> Option<(String, i32)> {
        let text = self.data.strip_prefix(b"LAB ACKNOWLEDGED ")?;
        let text = String::from_utf8_lossy(text.split(|byte| *byte == b'.').next()?).into_owned();
        let (name, code) = text.split_once(' ')?;
        Some((name.to_owned(), code.parse().ok()?))
    }

    fn flushes(&self) -> bool {
        self.flags & (FLUSH | FORCED) != 0
    }

    fn apply(&self, image: &File) {
        let at = self.sector * SECTOR as u64;
        if self.flags & DISCARD != 0 {
            image.write_all_at(&vec![0; self.sectors as usize * SECTOR], at).unwrap();
        } else if self.mark().is_none() {
            image.write_all_at(&self.data, at).unwrap();
        }
    }
}

/// Every state of this log.
fn states(entries: &[Entry], control: bool) -> Vec<State> {
    let mut states = Vec::new();
    let mut pending = 0;
    for (number, entry) in entries.iter().enumerate() {
        if entry.mark().is_some() {
            continue;
        }
        states.push(State { entry: number, part: None });
        pending += 1;
        // Nothing is ever flushed in the control, so its parts are drawn at any write.
        if (entry.flushes() || control && number % 16 == 0) && pending > 1 {
            states.extend((0..PARTS_A_FLUSH).map(|part| State {
                entry: number,
                part: Some(number as u64 * PARTS_A_FLUSH + part),
            }));
            pending = 0;
        }
    }
    states
}

/// Leaves about this many, evenly.
fn thin_out(states: &mut Vec<State>, wanted: usize) {
    let all = states.len();
    if all > wanted {
        let mut number = 0;
        states.retain(|_| {
            number += 1;
            number * wanted / all != (number - 1) * wanted / all
        });
    }
}

/// From which entry on a loss had been said: the sentence comes before the record is closed, that
/// before the mark.
fn said(entries: &[Entry]) -> Vec<(usize, String)> {
    let mut closed = 0;
    let mut said = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        if entry.data.starts_with(RECORD) {
            closed = number;
        }
        said.extend(entry.mark().filter(|(_, code)| *code == 11).map(|(name, _)| (closed, name)));
    }
    said
}

/// Makes and judges these states, which are in order.
fn replay(
    data_partition: &DataPartition,
    program: &Program,
    entries: &[Entry],
    states: &[State],
    folder: &Path,
) -> Figures {
    let root = folder.join("root");
    fs::create_dir_all(root.join("run")).unwrap();
    let (stable, image) = (folder.join("stable.img"), folder.join("partition.img"));
    fs::copy(&data_partition.image, &stable).unwrap();
    let flushed = OpenOptions::new().write(true).open(&stable).unwrap();
    let mut figures = Figures::default();
    let mut known = Acknowledged::default();
    let mut pending: Vec<&Entry> = Vec::new();
    let said = said(entries);
    let mut states = states.iter().peekable();
    for (number, entry) in entries.iter().enumerate() {
        match entry.mark() {
            Some((name, _)) => {
                known.ready.insert(name);
                continue;
            }
            None => pending.push(entry),
        }
        known
            .said
            .extend(said.iter().filter(|(at, _)| *at == number).map(|(_, name)| name.clone()));
        while let Some(state) = states.next_if(|state| state.entry == number) {
            fs::copy(&stable, &image).unwrap();
            let now = OpenOptions::new().write(true).open(&image).unwrap();
            let mut coin = Random::new(state.part.unwrap_or(0));
            pending
                .iter()
                .filter(|_| state.part.is_none() || coin.below(2) == 0)
                .for_each(|entry| entry.apply(&now));
            drop(now);
            let _mounted = Mounted::new(&image, &root.join(HOME));
            figures.judged(
                &format!("{state:?}"),
                judge(data_partition, program, &root, known.clone()),
            );
        }
        if entry.flushes() {
            pending.drain(..).for_each(|entry| entry.apply(&flushed));
        }
    }
    figures
}
