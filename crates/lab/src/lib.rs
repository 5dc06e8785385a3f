//! Owns the lab on the firmware team's machine, and the simulated disk that judges the device's
//! code.
//! Promises: everything is repeatable from a printed seed or the printed name of a state.
//! Never reaches a firmware image.

// The rules against panics are for the device. Here a broken assumption shall stop the run at once.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::expect_used, clippy::unwrap_used)]

pub mod bootlab;
pub mod by_operator;
pub mod concurrent;
pub mod corrupt;
pub mod device;
pub mod dump;
pub mod faults;
pub mod finding;
pub mod firmware;
pub mod judge;
pub mod lives;
pub mod logged;
pub mod memory;
pub mod mutants;
pub mod other_slot;
pub mod own;
pub mod parsers;
pub mod power_cuts;
pub mod real_files;
pub mod recall;
pub mod record;
pub mod salvage;
pub mod scenario;
pub mod scenarios;
pub mod share;
pub mod sim;
pub mod tally;
pub mod workers;
