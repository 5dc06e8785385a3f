//! Owns the workbench's command line.
//! Promises: exit 1 if anything is bad; every number can be had again from the command and seed that are printed.
//! Never judges.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::{Command, ExitCode, Stdio};

use bootmigrate_lab::power_cuts::{replay, sweep, Extent, Tally};
use bootmigrate_lab::scenarios::{named, ALL};
use bootmigrate_lab::sim::keep_freed_memory;
use bootmigrate_lab::{bootlab, faults, planted};
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
    /// Plant one-line bugs in a copy of the device's sources and see each one caught
    PlantedBugs(planted::Wanted),
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
    /// Worker processes
    #[arg(long, default_value_t = 2)]
    workers: u64,
    /// Which of them this is
    #[arg(long, hide = true)]
    worker: Option<u64>,
}

#[derive(Args)]
struct Faults {
    /// Stop at the first scenario that is bad
    #[arg(long)]
    stop: bool,
    /// Only scenarios with this in their name
    #[arg(long)]
    scenario: Option<String>,
    /// One JSON object a scenario
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    keep_freed_memory();
    match Arguments::parse().action {
        Action::PowerCuts(wanted) => power_cuts(&wanted),
        Action::Faults(wanted) => run_faults(&wanted),
        Action::PlantedBugs(wanted) => planted::run(&wanted),
        Action::Shutdowns(bench) => bootlab::shutdowns::run(&bench),
        Action::Machines(wanted) => bootlab::machines::run(&wanted.machine.bench, &wanted.machine.hardware, wanted.trouble),
        Action::Containers(wanted) => bootlab::containers::run(&wanted.bench, &wanted.root_image),
        Action::WriteLog(wanted) => bootlab::write_log::run(&wanted.bench, &wanted.hardware),
    }
}

fn power_cuts(wanted: &PowerCuts) -> ExitCode {
    if let Some(name) = &wanted.replay {
        return show(name);
    }
    let names: Vec<&str> = match &wanted.scenario {
        Some(part) => named(Some(part)).iter().map(|scenario| scenario.name).collect(),
        None => ALL.iter().map(|(name, _)| *name).collect(),
    };
    if names.is_empty() {
        eprintln!("no scenario has that name; there is {}", ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "));
        return ExitCode::from(2);
    }
    if let Some(worker) = wanted.worker {
        for name in names {
            let extent = Extent { states: wanted.states, seed: wanted.seed, worker, workers: wanted.workers, stop: wanted.stop };
            println!("{}", serde_json::to_string(&sweep(&named(Some(name))[0], extent)).unwrap());
        }
        return ExitCode::SUCCESS;
    }
    let mut all = Tally { scenario: "all".into(), ..Tally::default() };
    for name in names {
        let tally = by_workers(wanted, name);
        print(&tally, wanted.json);
        let seconds = all.seconds + tally.seconds;
        all.add(tally);
        all.seconds = seconds;
        if wanted.stop && all.bad > 0 {
            break;
        }
    }
    print(&all, wanted.json);
    if !wanted.json {
        println!("seed {}, {} states a scenario, {} workers", wanted.seed, wanted.states, wanted.workers);
    }
    ExitCode::from(u8::from(all.bad > 0))
}

/// Processes, not threads: SQLite's generator of random numbers is one a process, and a state must boot the same way each time.
fn by_workers(wanted: &PowerCuts, name: &str) -> Tally {
    let program = std::env::current_exe().expect("this program has a name");
    let start = |worker: u64| {
        let numbers = [("--states", wanted.states), ("--seed", wanted.seed), ("--workers", wanted.workers), ("--worker", worker)];
        let mut command = Command::new(&program);
        command.args(["power-cuts", "--scenario", name]).stdout(Stdio::piped());
        if wanted.stop {
            command.arg("--stop");
        }
        for (flag, number) in numbers {
            command.args([flag, &number.to_string()]);
        }
        command.spawn().expect("a worker starts")
    };
    let workers: Vec<_> = (0..wanted.workers.max(1)).map(start).collect();
    let mut tally = Tally { scenario: name.to_owned(), ..Tally::default() };
    for worker in workers {
        let output = worker.wait_with_output().expect("a worker ends");
        match serde_json::from_slice(&output.stdout) {
            Ok(part) => tally.add(part),
            Err(error) => {
                tally.bad += 1;
                tally.described.push((name.to_owned(), "no panic".into(), format!("a worker died: {} ({error})", output.status)));
            }
        }
    }
    tally
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

fn show(name: &str) -> ExitCode {
    let Some((scenario, points)) = name.split_once('@') else {
        eprintln!("{name} is not the name of a state; write SCENARIO@POINT as a bad state is printed");
        return ExitCode::from(2);
    };
    let Some(scenario) = named(Some(scenario)).into_iter().next() else {
        eprintln!("there is no scenario {scenario}");
        return ExitCode::from(2);
    };
    let shown = if let Some(fault) = points.strip_prefix("fault:") {
        faults::replay(&scenario, fault, &mut |line| println!("{line}"))
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
    let mut bad = 0;
    for scenario in named(wanted.scenario.as_deref()) {
        let tally = faults::sweep(&scenario);
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
