//! Owns the lab's command line.
//! Promises: exit 1 if anything is bad; every number can be had again from the command and seed
//! that are printed.
//! Never judges.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command_line;

use std::process::ExitCode;

use anyhow::{Context as _, Error};
use bootmigrate_lab::power_cuts::{replay, sweep, Extent};
use bootmigrate_lab::scenarios::named;
use bootmigrate_lab::sim::lying::{self, Flaw};
use bootmigrate_lab::sim::{allocator, keep_freed_memory};
use bootmigrate_lab::workers::ByNumber;
use bootmigrate_lab::{
    bootlab, concurrent, corrupt, faults, lives, memory, mutants, other_slot, salvage,
};
use clap::Parser;

use command_line::{Action, Arguments, Concurrent, Faults, Lives, Memory, PowerCuts};

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
    let PowerCuts { states, boots, seed, .. } = *wanted;
    let extent = Extent { states, boots, seed, stop: wanted.by.stop };
    let mut command = words("power-cuts", &[("states", states), ("boots", boots), ("seed", seed)]);
    command.extend(flaw(wanted.flaw.as_deref()));
    command.extend(wanted.by.stop.then(|| "--stop".to_owned()));
    wanted.by.run(&command, &|scenario| {
        // The situation before it was made on an honest storage.
        lie(wanted.flaw.as_deref());
        sweep(scenario, extent)
    })
}

/// A command with these numbers.
fn words(command: &str, numbers: &[(&str, u64)]) -> Vec<String> {
    let numbers =
        numbers.iter().flat_map(|(name, number)| [format!("--{name}"), number.to_string()]);
    std::iter::once(command.to_owned()).chain(numbers).collect()
}

fn flaw(name: Option<&str>) -> impl Iterator<Item = String> + '_ {
    name.into_iter().flat_map(|name| ["--flaw".to_owned(), name.to_owned()])
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
    let good = if let Some(fault) = points.strip_prefix("fault:") {
        faults::replay(&scenario, fault, &mut |line| println!("{line}"))
    } else if let Some(allocation) = points.strip_prefix("memory:") {
        memory::replay(&scenario, allocation, &mut |line| println!("{line}"))
    } else if points.starts_with("application:") || points.starts_with("migrator:") {
        concurrent::replay(&scenario, points, &mut |line| println!("{line}"))
    } else {
        replay(&scenario, points, &mut |line| println!("{line}"))
    };
    shown(name, good)
}

fn run_faults(wanted: &Faults) -> anyhow::Result<ExitCode> {
    lie(wanted.flaw.as_deref());
    let mut command = words("faults", &[("calls", wanted.calls)]);
    command.extend(wanted.share.arguments());
    command.extend(flaw(wanted.flaw.as_deref()));
    wanted.by.run(&command, &|scenario| faults::sweep(scenario, wanted.calls, wanted.share))
}

fn run_concurrent(wanted: &Concurrent) -> anyhow::Result<ExitCode> {
    let mut command = words("concurrent", &[("cuts", wanted.cuts)]);
    command.extend(wanted.share.arguments());
    let extent = concurrent::Extent { cuts: wanted.cuts, share: wanted.share };
    wanted.by.run(&command, &|scenario| concurrent::sweep(scenario, extent))
}

fn run_memory(wanted: &Memory) -> anyhow::Result<ExitCode> {
    allocator::install().map_err(Error::msg)?;
    // A panic is counted and described; its own lines would stand between those of the table.
    std::panic::set_hook(Box::new(|_| {}));
    let command = words("memory", &[("stride", wanted.stride), ("seed", wanted.seed)]);
    wanted.by.run(&command, &|scenario| memory::sweep(scenario, wanted.stride, wanted.seed))
}

fn corrupt_files(wanted: &ByNumber) -> anyhow::Result<ExitCode> {
    match &wanted.replay {
        Some(name) => shown(name, corrupt::replay(name, &mut |line| println!("{line}"))),
        None => wanted.run(&words("corrupt-files", &[]), corrupt::sweep),
    }
}

fn run_lives(wanted: &Lives) -> anyhow::Result<ExitCode> {
    let cuts = wanted.cuts;
    match &wanted.by.replay {
        Some(name) => shown(name, lives::replay(name, cuts, &mut |line| println!("{line}"))),
        None => wanted.by.run(&words("lives", &[("cuts", cuts)]), |part| lives::sweep(part, cuts)),
    }
}

fn compare_salvage(wanted: &ByNumber) -> anyhow::Result<ExitCode> {
    if let Some(name) = &wanted.replay {
        return shown(name, salvage::replay(name, &mut |line| println!("{line}")).map(|()| true));
    }
    let Some(parts) = wanted.parts(&words("compare-salvage", &[]), salvage::sweep)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let tally = salvage::sum(parts);
    match wanted.json {
        true => println!("{}", serde_json::to_string(&tally)?),
        false => println!(
            "{tally}seed {}, {} workers, {:.0} s",
            wanted.seed, wanted.workers, tally.seconds
        ),
    }
    Ok(ExitCode::from(u8::from(!tally.strange.is_empty() || !tally.unsaid.is_empty())))
}

/// What a replay came to.
fn shown(name: &str, good: Result<bool, String>) -> anyhow::Result<ExitCode> {
    let good = good.map_err(Error::msg).with_context(|| format!("--replay {name}"))?;
    Ok(ExitCode::from(u8::from(!good)))
}
