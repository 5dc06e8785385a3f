//! Owns the words of the lab's command line: a command each, with its options.
//! Promises: each option has its default here, and its help.
//! Never runs anything.

#![allow(missing_docs)]

use bootmigrate_lab::share::Share;
use bootmigrate_lab::workers::{ByNumber, ByScenario};
use bootmigrate_lab::{bootlab, mutants, other_slot};
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "bootmigrate-lab", about = "The simulated disk that judges bootmigrate")]
pub struct Arguments {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Subcommand)]
pub enum Action {
    /// Cut the power at every effect of every scenario, with every outcome of what was not synced
    PowerCuts(PowerCuts),
    /// Let every effect of every scenario fail, once and for ever
    Faults(Faults),
    /// At every effect of every scenario let an application, or a second bootmigrate, come in
    /// between
    Concurrent(Concurrent),
    /// Refuse SQLite the memory it asks for, at every allocation of every scenario, once and for
    /// ever
    Memory(Memory),
    /// Apply one-line bugs in a copy of the device's sources and see each one caught
    Mutants(mutants::Wanted),
    /// Harm every kind of file in every way, and see what the boots make of it
    CorruptFiles(ByNumber),
    /// Live generated lives of generated products, and compare each event with an independent
    /// reference
    Lives(Lives),
    /// Compare what comes back from damaged databases with what SQLite's own `.recover` finds
    CompareSalvage(ByNumber),
    /// Let an earlier commit's firmware wake up on half-done work of today's, and today's after it
    OtherSlot(other_slot::Wanted),
    /// Shut down this machine's own ext4 under the running program
    Shutdowns(bootlab::Options),
    /// Boot an ARM machine, log every write of its disk, and replay the log
    WriteLog(InMachine),
    /// Pull the plug of an ARM machine, or give it another trouble
    Machines(Machines),
    /// Boot the whole system in a container, cut it off, and boot it again
    Containers(Containers),
}

#[derive(Args)]
pub struct InMachine {
    #[command(flatten)]
    pub options: bootlab::Options,
    #[command(flatten)]
    pub hardware: bootlab::machine::Hardware,
}

#[derive(Args)]
pub struct Machines {
    /// Which
    #[arg(long)]
    pub trouble: bootlab::machines::Trouble,
    #[command(flatten)]
    pub machine: InMachine,
}

#[derive(Args)]
pub struct Containers {
    /// The mounted root of the image
    #[arg(long)]
    pub root_image: std::path::PathBuf,
    #[command(flatten)]
    pub options: bootlab::Options,
}

#[derive(Args)]
pub struct PowerCuts {
    /// Distinct states of each scenario
    #[arg(long, default_value_t = 8000)]
    pub states: u64,
    /// States of each scenario that are really booted, at most (the others are recalled)
    #[arg(long, default_value_t = u64::MAX)]
    pub boots: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Show one state step by step: its name as a bad state is printed
    #[arg(long)]
    pub replay: Option<String>,
    /// The storage tells this lie
    #[arg(long, hide = true)]
    pub flaw: Option<String>,
    #[command(flatten)]
    pub by: ByScenario,
}

#[derive(Args)]
pub struct Faults {
    /// Of all calls, reads and looks too, every n-th fails; 0 is none
    #[arg(long, default_value_t = 1)]
    pub calls: u64,
    #[command(flatten)]
    pub share: Share,
    /// The storage tells this lie
    #[arg(long, hide = true)]
    pub flaw: Option<String>,
    #[command(flatten)]
    pub by: ByScenario,
}

#[derive(Args)]
pub struct Lives {
    /// Power cuts of each boot that changes something
    #[arg(long, default_value_t = 0)]
    pub cuts: u64,
    #[command(flatten)]
    pub by: ByNumber,
}

#[derive(Args)]
pub struct Concurrent {
    /// Power cuts of each run beside an application
    #[arg(long, default_value_t = 2)]
    pub cuts: u64,
    #[command(flatten)]
    pub share: Share,
    #[command(flatten)]
    pub by: ByScenario,
}

#[derive(Args)]
pub struct Memory {
    /// Every n-th allocation; 1 is all of them
    #[arg(long, default_value_t = 1)]
    pub stride: u64,
    /// Chooses the first one
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    #[command(flatten)]
    pub by: ByScenario,
}
