//! Owns the start of `bootmigrate-workbench`.
//! Promises: nothing but the library's `main`.
//! Never goes into an image.

use std::process::ExitCode;

fn main() -> ExitCode {
    bootmigrate_workbench::main(std::env::args_os().skip(1))
}
