//! Owns the workbench's command line.
//! Promises: exit 1 if anything is bad; every number can be had again from the command and seed that are printed.
//! Never judges.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use bootmigrate_lab::power_cuts::{replay, sweep, Extent, Tally};
use bootmigrate_lab::scenarios::{named, ALL};
use bootmigrate_lab::sim::crooked::{self, Crook};
use bootmigrate_lab::sim::{allocator, keep_freed_memory};
use bootmigrate_lab::{bootlab, corrupt, faults, memory, neighbours, other_slot, planted};
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "bootmigrate-lab", about = "The workbench, and the simulated disk that judges bootmigrate")]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Cut the power at every operation of every scenario, with every fate of what was not synced
    PowerCuts(PowerCuts),
    /// Let every operation of every scenario fail, once and for ever
    Faults(Faults),
    /// At every operation of every scenario let an application, or a second bootmigrate, come in between
    Neighbours(Neighbours),
    /// Refuse SQLite the memory it asks for, at every allocation of every scenario, once and for ever
    Memory(Memory),
    /// Plant one-line bugs in a copy of the device's sources and see each one caught
    PlantedBugs(planted::Wanted),
    /// Harm every kind of file in every way, and see what the boots make of it
    CorruptFiles(CorruptFiles),
    /// Let an earlier commit's firmware wake up on half-done work of today's, and today's after it
    OtherSlot(other_slot::Wanted),
    /// Shut down this machine's own ext4 under the running program
    Shutdowns(bootlab::Bench),
    /// Boot an ARM machine, log every write of its disk, and replay the log
    WriteLog(InMachine),
    /// Pull the plug of an ARM machine, or give it another trouble
    Machines(Machines),
    /// Boot the whole system in a container, cut it off, and boot it again
    Containers(Containers),
}

#[derive(Args)]
struct InMachine {
    #[command(flatten)]
    bench: bootlab::Bench,
    #[command(flatten)]
    hardware: bootlab::machine::Hardware,
}

#[derive(Args)]
struct Machines {
    /// Which
    #[arg(long)]
    trouble: bootlab::machines::Trouble,
    #[command(flatten)]
    machine: InMachine,
}

#[derive(Args)]
struct Containers {
    /// The mounted root of the image
    #[arg(long)]
    root_image: std::path::PathBuf,
    #[command(flatten)]
    bench: bootlab::Bench,
}

#[derive(Args)]
struct PowerCuts {
    /// Only scenarios with this in their name
    #[arg(long)]
    scenario: Option<String>,
    /// Distinct states of each scenario
    #[arg(long, default_value_t = 8000)]
    states: u64,
    /// States of each scenario that are really booted, at most (the others are recalled)
    #[arg(long, default_value_t = u64::MAX)]
    boots: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object a scenario
    #[arg(long)]
    json: bool,
    /// Show one state step by step: its name as a bad state is printed
    #[arg(long)]
    replay: Option<String>,
    /// Stop at the first bad state
    #[arg(long)]
    stop: bool,
    /// The storage tells this lie
    #[arg(long, hide = true)]
    crook: Option<String>,
    /// Scenarios at a time, each in a process of its own
    #[arg(long, default_value_t = 2)]
    workers: u64,
    /// This is such a process
    #[arg(long, hide = true)]
    one: bool,
}

#[derive(Args)]
struct Faults {
    /// Of all calls, reads and looks too, every n-th fails; 0 is none
    #[arg(long, default_value_t = 1)]
    calls: u64,
    /// Stop at the first scenario that is bad
    #[arg(long)]
    stop: bool,
    /// Only scenarios with this in their name
    #[arg(long)]
    scenario: Option<String>,
    /// One JSON object a scenario
    #[arg(long)]
    json: bool,
    /// The storage tells this lie
    #[arg(long, hide = true)]
    crook: Option<String>,
}

/// From now on; a name that is none is no lie.
fn lie(name: Option<&str>) {
    if let Some(crook) = name.and_then(Crook::named) {
        crooked::choose(crook);
    }
}

#[derive(Args)]
struct CorruptFiles {
    /// Cases
    #[arg(long, default_value_t = 20_000)]
    count: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Show one case step by step: SEED/NUMBER, as a bad case is printed
    #[arg(long)]
    replay: Option<String>,
    /// Worker processes
    #[arg(long, default_value_t = 2)]
    workers: u64,
    /// Which of them this is
    #[arg(long, hide = true)]
    worker: Option<u64>,
}

#[derive(Args)]
struct Neighbours {
    /// Only scenarios with this in their name
    #[arg(long)]
    scenario: Option<String>,
    /// Power cuts of each run beside an application
    #[arg(long, default_value_t = 2)]
    cuts: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object a scenario
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Memory {
    /// Only scenarios with this in their name
    #[arg(long)]
    scenario: Option<String>,
    /// Every n-th allocation; 1 is all of them
    #[arg(long, default_value_t = 1)]
    stride: u64,
    /// Chooses the first one
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One JSON object a scenario
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    keep_freed_memory();
    match Arguments::parse().action {
        Action::PowerCuts(wanted) => power_cuts(&wanted),
        Action::Faults(wanted) => run_faults(&wanted),
        Action::Neighbours(wanted) => run_neighbours(&wanted),
        Action::Memory(wanted) => run_memory(&wanted),
        Action::PlantedBugs(wanted) => planted::run(&wanted),
        Action::CorruptFiles(wanted) => corrupt_files(&wanted),
        Action::OtherSlot(wanted) => other_slot::run(&wanted),
        Action::Shutdowns(bench) => bootlab::shutdowns::run(&bench),
        Action::Machines(wanted) => bootlab::machines::run(&wanted.machine.bench, &wanted.machine.hardware, wanted.trouble),
        Action::Containers(wanted) => bootlab::containers::run(&wanted.bench, &wanted.root_image),
        Action::WriteLog(wanted) => bootlab::write_log::run(&wanted.bench, &wanted.hardware),
    }
}

fn power_cuts(wanted: &PowerCuts) -> ExitCode {
    if let Some(name) = &wanted.replay {
        return show(name, wanted.crook.as_deref());
    }
    let names: Vec<&str> = match &wanted.scenario {
        Some(part) => named(Some(part)).iter().map(|scenario| scenario.name).collect(),
        None => ALL.iter().map(|(name, _)| *name).collect(),
    };
    if names.is_empty() {
        eprintln!("no scenario has that name; there is {}", ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "));
        return ExitCode::from(2);
    }
    if wanted.one {
        let extent = Extent { states: wanted.states, boots: wanted.boots, seed: wanted.seed, stop: wanted.stop };
        let scenario = &named(Some(names[0]))[0];
        // The world before it was made on an honest storage.
        lie(wanted.crook.as_deref());
        println!("{}", serde_json::to_string(&sweep(scenario, extent)).unwrap());
        return ExitCode::SUCCESS;
    }
    let mut all = Tally { scenario: "all".into(), ..Tally::default() };
    let began = Instant::now();
    by_workers(wanted, &names, &mut |tally| {
        print(&tally, wanted.json);
        all.add(tally);
        !(wanted.stop && all.bad > 0)
    });
    all.seconds = began.elapsed().as_secs_f64();
    print(&all, wanted.json);
    if !wanted.json {
        println!("seed {}, {} states a scenario, {} workers", wanted.seed, wanted.states, wanted.workers);
    }
    ExitCode::from(u8::from(all.bad > 0))
}

/// Each scenario in a process, so many at a time; `found` hears of them in their order and says whether to go on.
///
/// Processes, not threads: SQLite's generator of random numbers is one a process, and a state must boot the same way each time.
fn by_workers(wanted: &PowerCuts, names: &[&str], found: &mut dyn FnMut(Tally) -> bool) {
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..wanted.workers.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(name) = names.get(number) else { return };
                if sender.send((number, by_itself(wanted, name))).is_err() {
                    return;
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        for number in 0..names.len() {
            while !early.contains_key(&number) {
                let Ok((done, tally)) = results.recv() else { return };
                early.insert(done, tally);
            }
            if !early.remove(&number).is_none_or(&mut *found) {
                next.store(names.len(), Ordering::Relaxed);
                return;
            }
        }
    });
}

/// One scenario in a process of its own.
fn by_itself(wanted: &PowerCuts, name: &str) -> Tally {
    let mut command = Command::new(std::env::current_exe().expect("this program has a name"));
    command.args(["power-cuts", "--one", "--scenario", name]).stderr(Stdio::inherit());
    command.args(["--states", &wanted.states.to_string(), "--boots", &wanted.boots.to_string(), "--seed", &wanted.seed.to_string()]);
    if let Some(crook) = &wanted.crook {
        command.args(["--crook", crook]);
    }
    if wanted.stop {
        command.arg("--stop");
    }
    let output = command.output().expect("a worker starts");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let what = format!("a worker died: {} ({error})", output.status);
        Tally { scenario: name.to_owned(), bad: 1, described: vec![(name.to_owned(), "no panic".to_owned(), what)], ..Tally::default() }
    })
}

fn print(tally: &Tally, json: bool) {
    if json {
        println!("{}", serde_json::to_string(tally).unwrap());
        return;
    }
    let list = |counts: &std::collections::BTreeMap<String, u64>| {
        counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    println!(
        "{:<24} {:>5} operations {:>8} distinct states ({} second cuts) {:>4} bad {:>6.0} states/s",
        tally.scenario,
        tally.operations,
        tally.distinct,
        tally.second_cuts,
        tally.bad,
        tally.distinct as f64 / tally.seconds.max(0.001)
    );
    println!("    ends: {}", list(&tally.by_end));
    println!("    data/names: {}", list(&tally.by_fate));
    for (name, rule, what) in tally.described.iter().filter(|_| tally.scenario != "all") {
        println!("    BAD {rule}: {what}\n        --replay '{name}'");
    }
}

fn show(name: &str, crook: Option<&str>) -> ExitCode {
    if let Err(sentence) = allocator::install() {
        eprintln!("{sentence}");
        return ExitCode::from(2);
    }
    let Some((scenario, points)) = name.split_once('@') else {
        eprintln!("{name} is not the name of a state; write SCENARIO@POINT as a bad state is printed");
        return ExitCode::from(2);
    };
    let Some(scenario) = named(Some(scenario)).into_iter().next() else {
        eprintln!("there is no scenario {scenario}");
        return ExitCode::from(2);
    };
    lie(crook);
    let shown = if let Some(fault) = points.strip_prefix("fault:") {
        faults::replay(&scenario, fault, &mut |line| println!("{line}"))
    } else if let Some(allocation) = points.strip_prefix("memory:") {
        memory::replay(&scenario, allocation, &mut |line| println!("{line}"))
    } else if points.starts_with("application:") || points.starts_with("migrator:") {
        neighbours::replay(&scenario, points, &mut |line| println!("{line}"))
    } else {
        replay(&scenario, points, &mut |line| println!("{line}"))
    };
    match shown {
        Ok(good) => ExitCode::from(u8::from(!good)),
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::from(2)
        }
    }
}

fn run_faults(wanted: &Faults) -> ExitCode {
    let scenarios = named(wanted.scenario.as_deref());
    lie(wanted.crook.as_deref());
    let mut bad = 0;
    for scenario in scenarios {
        let tally = faults::sweep(&scenario, wanted.calls);
        bad += tally.bad;
        if wanted.json {
            println!("{}", serde_json::to_string(&tally).unwrap());
        } else {
            println!("{tally}");
        }
        if wanted.stop && bad > 0 {
            break;
        }
    }
    println!("{bad} bad");
    ExitCode::from(u8::from(bad > 0))
}

fn corrupt_files(wanted: &CorruptFiles) -> ExitCode {
    if let Some(name) = &wanted.replay {
        return match corrupt::replay(name, &mut |line| println!("{line}")) {
            Ok(good) => ExitCode::from(u8::from(!good)),
            Err(sentence) => {
                eprintln!("{sentence}");
                ExitCode::from(2)
            }
        };
    }
    if let Some(worker) = wanted.worker {
        let tally = corrupt::sweep(corrupt::Extent { count: wanted.count, seed: wanted.seed, worker, workers: wanted.workers });
        println!("{}", serde_json::to_string(&tally).unwrap());
        return ExitCode::SUCCESS;
    }
    let tally = corrupt::by_workers(wanted.count, wanted.seed, wanted.workers.max(1));
    if wanted.json {
        println!("{}", serde_json::to_string(&tally).unwrap());
    } else {
        print!("{tally}");
        println!("seed {}, {} workers, {:.0} s", wanted.seed, wanted.workers, tally.seconds);
        println!("{} harmed files, {} bad", tally.cases, tally.bad);
    }
    ExitCode::from(u8::from(tally.bad > 0))
}

fn run_neighbours(wanted: &Neighbours) -> ExitCode {
    let mut bad = 0;
    for scenario in named(wanted.scenario.as_deref()) {
        let tally = neighbours::sweep(&scenario, neighbours::Extent { cuts: wanted.cuts, seed: wanted.seed });
        bad += tally.bad;
        if wanted.json {
            println!("{}", serde_json::to_string(&tally).unwrap());
        } else {
            println!("{tally}");
        }
    }
    println!("{bad} bad");
    ExitCode::from(u8::from(bad > 0))
}

fn run_memory(wanted: &Memory) -> ExitCode {
    if let Err(sentence) = allocator::install() {
        eprintln!("{sentence}");
        return ExitCode::from(2);
    }
    // A panic is counted and described; its own lines would stand between those of the table.
    std::panic::set_hook(Box::new(|_| {}));
    let mut bad = 0;
    for scenario in named(wanted.scenario.as_deref()) {
        let tally = memory::sweep(&scenario, wanted.stride, wanted.seed);
        bad += tally.bad;
        if wanted.json {
            println!("{}", serde_json::to_string(&tally).unwrap());
        } else {
            println!("{tally}");
        }
    }
    println!("{bad} bad");
    ExitCode::from(u8::from(bad > 0))
}
