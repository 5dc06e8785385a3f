//! Owns the lab's command line.
//! Promises: exit 1 if anything is bad; every number can be had again from the command and seed
//! that are printed.
//! Never judges.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command_line;

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{bail, Context as _, Error};
use bootmigrate_lab::power_cuts::{replay, sweep, Extent, Tally};
use bootmigrate_lab::scenario::Scenario;
use bootmigrate_lab::scenarios::{named, ALL};
use bootmigrate_lab::sim::lying::{self, Flaw};
use bootmigrate_lab::sim::{allocator, keep_freed_memory};
use bootmigrate_lab::workers::by_workers;
use bootmigrate_lab::{
    bootlab, concurrent, corrupt, faults, lives, memory, mutants, other_slot, salvage,
};
use clap::Parser;
use serde::{de::DeserializeOwned, Serialize};

use command_line::{Action, Arguments, Concurrent, CorruptFiles, Faults, Lives, Memory, PowerCuts};

/// From now on; a name that is none is no lie.
fn lie(name: Option<&str>) {
    if let Some(flaw) = name.and_then(Flaw::named) {
        lying::choose(flaw);
    }
}

fn main() -> ExitCode {
    keep_freed_memory();
    run(Arguments::parse().action).unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::from(2)
    })
}

fn run(action: Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::PowerCuts(wanted) => power_cuts(&wanted),
        Action::Faults(wanted) => run_faults(&wanted),
        Action::Concurrent(wanted) => run_concurrent(&wanted),
        Action::Memory(wanted) => run_memory(&wanted),
        Action::Mutants(wanted) => Ok(mutants::run(&wanted)),
        Action::CorruptFiles(wanted) => corrupt_files(&wanted),
        Action::Lives(wanted) => run_lives(&wanted),
        Action::CompareSalvage(wanted) => compare_salvage(&wanted),
        Action::OtherSlot(wanted) => Ok(other_slot::run(&wanted)),
        Action::Shutdowns(options) => Ok(bootlab::shutdowns::run(&options)),
        Action::Machines(wanted) => Ok(bootlab::machines::run(
            &wanted.machine.options,
            &wanted.machine.hardware,
            wanted.trouble,
        )),
        Action::Containers(wanted) => {
            Ok(bootlab::containers::run(&wanted.options, &wanted.root_image))
        }
        Action::WriteLog(wanted) => Ok(bootlab::write_log::run(&wanted.options, &wanted.hardware)),
    }
}

fn power_cuts(wanted: &PowerCuts) -> anyhow::Result<ExitCode> {
    if let Some(name) = &wanted.replay {
        return show(name, wanted.flaw.as_deref());
    }
    let names = names(wanted.scenario.as_deref())?;
    if wanted.one {
        let extent = Extent {
            states: wanted.states,
            boots: wanted.boots,
            seed: wanted.seed,
            stop: wanted.stop,
        };
        let scenario = &named(Some(names[0]))[0];
        // The situation before it was made on an honest storage.
        lie(wanted.flaw.as_deref());
        println!("{}", serde_json::to_string(&sweep(scenario, extent))?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut all = Tally { scenario: "all".into(), ..Tally::default() };
    let began = Instant::now();
    let mut command = words(&[
        "power-cuts",
        "--states",
        &wanted.states.to_string(),
        "--boots",
        &wanted.boots.to_string(),
    ]);
    command.extend(words(&["--seed", &wanted.seed.to_string()]));
    command.extend(wanted.flaw.iter().flat_map(|flaw| words(&["--flaw", flaw])));
    command.extend(wanted.stop.then(|| "--stop".to_owned()));
    by_workers(wanted.workers, &command, &names, &mut |ended| {
        match ended {
            Ok(tally) => {
                print(&tally, wanted.json);
                all.add(tally);
            }
            Err(died) => {
                println!("{died}");
                all.bad += 1;
            }
        }
        !(wanted.stop && all.bad > 0)
    });
    all.seconds = began.elapsed().as_secs_f64();
    print(&all, wanted.json);
    if !wanted.json {
        println!(
            "seed {}, {} states a scenario, {} workers",
            wanted.seed, wanted.states, wanted.workers
        );
    }
    Ok(ExitCode::from(u8::from(all.bad > 0)))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The scenarios that are meant; says which there are where none is.
fn names(part: Option<&str>) -> anyhow::Result<Vec<&'static str>> {
    let names: Vec<&str> = match part {
        Some(part) => named(Some(part)).iter().map(|scenario| scenario.name).collect(),
        None => ALL.iter().map(|(name, _)| *name).collect(),
    };
    if names.is_empty() {
        bail!(
            "no scenario has that name; there is {}",
            ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        );
    }
    Ok(names)
}

/// One of the sweeps whose runs are made one after another.
struct Side<'a> {
    scenario: Option<&'a str>,
    workers: u64,
    json: bool,
    stop: bool,
    /// This process is a worker, for the one scenario that is named.
    one: bool,
}

impl Side<'_> {
    fn run<T: Serialize + DeserializeOwned + Send + Display>(
        &self,
        command: &[String],
        bad: fn(&T) -> u64,
        sweep: &dyn Fn(&Scenario) -> T,
    ) -> anyhow::Result<ExitCode> {
        let names = names(self.scenario)?;
        if self.one {
            println!("{}", serde_json::to_string(&sweep(&named(Some(names[0]))[0]))?);
            return Ok(ExitCode::SUCCESS);
        }
        let mut sum = 0;
        by_workers(self.workers, command, &names, &mut |ended: Result<T, String>| {
            sum += ended.as_ref().map_or(1, bad);
            match ended {
                Ok(tally) if self.json => println!("{}", serde_json::to_string(&tally).unwrap()),
                Ok(tally) => println!("{tally}"),
                Err(died) => println!("{died}"),
            }
            !(self.stop && sum > 0)
        });
        println!("{sum} bad");
        Ok(ExitCode::from(u8::from(sum > 0)))
    }
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
        "{:<24} {:>5} effects {:>8} distinct states ({} second cuts) {:>4} bad {:>6.0} states/s",
        tally.scenario,
        tally.effects,
        tally.distinct,
        tally.second_cuts,
        tally.bad,
        tally.distinct as f64 / tally.seconds.max(0.001)
    );
    println!("    ends: {}", list(&tally.by_end));
    println!("    data/names: {}", list(&tally.by_outcome));
    for (name, rule, what) in tally.described.iter().filter(|_| tally.scenario != "all") {
        println!("    BAD {rule}: {what}\n        --replay '{name}'");
    }
}

fn show(name: &str, flaw: Option<&str>) -> anyhow::Result<ExitCode> {
    allocator::install().map_err(Error::msg)?;
    let state = name.split_once('@').with_context(|| {
        format!("{name} is not the name of a state; write SCENARIO@POINT as a bad state is printed")
    });
    let (scenario, points) = state?;
    let scenario = named(Some(scenario))
        .into_iter()
        .next()
        .with_context(|| format!("there is no scenario {scenario}"))?;
    lie(flaw);
    let shown = if let Some(fault) = points.strip_prefix("fault:") {
        faults::replay(&scenario, fault, &mut |line| println!("{line}"))
    } else if let Some(allocation) = points.strip_prefix("memory:") {
        memory::replay(&scenario, allocation, &mut |line| println!("{line}"))
    } else if points.starts_with("application:") || points.starts_with("migrator:") {
        concurrent::replay(&scenario, points, &mut |line| println!("{line}"))
    } else {
        replay(&scenario, points, &mut |line| println!("{line}"))
    };
    let good = shown.map_err(Error::msg).with_context(|| format!("--replay {name}"))?;
    Ok(ExitCode::from(u8::from(!good)))
}

fn run_faults(wanted: &Faults) -> anyhow::Result<ExitCode> {
    lie(wanted.flaw.as_deref());
    let side = Side {
        scenario: wanted.scenario.as_deref(),
        workers: wanted.workers,
        json: wanted.json,
        stop: wanted.stop,
        one: wanted.one,
    };
    let mut command = words(&["faults", "--calls", &wanted.calls.to_string()]);
    command.extend(wanted.share.arguments());
    command.extend(wanted.flaw.iter().flat_map(|flaw| words(&["--flaw", flaw])));
    side.run(&command, |tally: &faults::Tally| tally.bad, &|scenario| {
        faults::sweep(scenario, wanted.calls, wanted.share)
    })
}

fn corrupt_files(wanted: &CorruptFiles) -> anyhow::Result<ExitCode> {
    if let Some(name) = &wanted.replay {
        let shown = corrupt::replay(name, &mut |line| println!("{line}"));
        let good = shown.map_err(Error::msg).with_context(|| format!("--replay {name}"))?;
        return Ok(ExitCode::from(u8::from(!good)));
    }
    if let Some(worker) = wanted.worker {
        let tally = corrupt::sweep(corrupt::Extent {
            count: wanted.count,
            seed: wanted.seed,
            worker,
            workers: wanted.workers,
        });
        println!("{}", serde_json::to_string(&tally)?);
        return Ok(ExitCode::SUCCESS);
    }
    let tally = corrupt::by_workers(wanted.count, wanted.seed, wanted.workers.max(1));
    if wanted.json {
        println!("{}", serde_json::to_string(&tally)?);
    } else {
        print!("{tally}");
        println!("seed {}, {} workers, {:.0} s", wanted.seed, wanted.workers, tally.seconds);
        println!("{} damaged files, {} bad", tally.cases, tally.bad);
    }
    Ok(ExitCode::from(u8::from(tally.bad > 0)))
}

fn run_lives(wanted: &Lives) -> anyhow::Result<ExitCode> {
    if let Some(name) = &wanted.replay {
        let shown = lives::replay(name, wanted.cuts, &mut |line| println!("{line}"));
        let good = shown.map_err(Error::msg).with_context(|| format!("--replay {name}"))?;
        return Ok(ExitCode::from(u8::from(!good)));
    }
    if let Some(worker) = wanted.worker {
        let tally = lives::sweep(lives::Extent {
            count: wanted.count,
            seed: wanted.seed,
            cuts: wanted.cuts,
            worker,
            workers: wanted.workers,
        });
        println!("{}", serde_json::to_string(&tally)?);
        return Ok(ExitCode::SUCCESS);
    }
    let tally = lives::by_workers(wanted.count, wanted.seed, wanted.cuts, wanted.workers.max(1));
    print!("{tally}");
    println!("seed {}, {} workers, {:.0} s", wanted.seed, wanted.workers, tally.seconds);
    println!("{} lives, {} bad", tally.lives, tally.bad);
    Ok(ExitCode::from(u8::from(tally.bad > 0)))
}

fn compare_salvage(wanted: &CorruptFiles) -> anyhow::Result<ExitCode> {
    if let Some(name) = &wanted.replay {
        let shown = salvage::replay(name, &mut |line| println!("{line}"));
        shown.map_err(Error::msg).with_context(|| format!("--replay {name}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(worker) = wanted.worker {
        let tally = salvage::sweep(salvage::Extent {
            count: wanted.count,
            seed: wanted.seed,
            worker,
            workers: wanted.workers,
        });
        println!("{}", serde_json::to_string(&tally)?);
        return Ok(ExitCode::SUCCESS);
    }
    let tally = salvage::by_workers(wanted.count, wanted.seed, wanted.workers.max(1));
    if wanted.json {
        println!("{}", serde_json::to_string(&tally)?);
    } else {
        print!("{tally}");
        println!("seed {}, {} workers, {:.0} s", wanted.seed, wanted.workers, tally.seconds);
    }
    Ok(ExitCode::from(u8::from(!tally.strange.is_empty() || !tally.unsaid.is_empty())))
}

fn run_concurrent(wanted: &Concurrent) -> anyhow::Result<ExitCode> {
    let side = Side {
        scenario: wanted.scenario.as_deref(),
        workers: wanted.workers,
        json: wanted.json,
        stop: false,
        one: wanted.one,
    };
    let mut command = words(&["concurrent", "--cuts", &wanted.cuts.to_string()]);
    command.extend(wanted.share.arguments());
    let extent = concurrent::Extent { cuts: wanted.cuts, share: wanted.share };
    side.run(&command, |tally: &concurrent::Tally| tally.bad, &|scenario| {
        concurrent::sweep(scenario, extent)
    })
}

fn run_memory(wanted: &Memory) -> anyhow::Result<ExitCode> {
    allocator::install().map_err(Error::msg)?;
    // A panic is counted and described; its own lines would stand between those of the table.
    std::panic::set_hook(Box::new(|_| {}));
    let side = Side {
        scenario: wanted.scenario.as_deref(),
        workers: wanted.workers,
        json: wanted.json,
        stop: false,
        one: wanted.one,
    };
    let command = words(&[
        "memory",
        "--stride",
        &wanted.stride.to_string(),
        "--seed",
        &wanted.seed.to_string(),
    ]);
    side.run(&command, |tally: &memory::Tally| tally.bad, &|scenario| {
        memory::sweep(scenario, wanted.stride, wanted.seed)
    })
}
