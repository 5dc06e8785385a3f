//! Owns the start as `cargo bootmigrate`.
//! Promises: the same as `bootmigrate-workbench`; cargo's own first argument is left out.
//! Never goes into an image.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    arguments.next_if(|first| first == "bootmigrate");
    bootmigrate_workbench::main(arguments)
}
