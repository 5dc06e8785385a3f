//! Owns the tests' firmware on another processor: `examples/firmware`, with nothing but what a
//! product's own would be made of.
//! Promises: the same program, argument for argument.
//! Never knows what a test does with it.

#[path = "../../examples/firmware.rs"]
mod firmware;

use std::process::ExitCode;

fn main() -> ExitCode {
    firmware::run(std::env::args_os().skip(1))
}
