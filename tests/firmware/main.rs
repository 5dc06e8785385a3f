//! Owns the stories' firmware on another processor: `examples/firmware`, which an emulator may keep warm.
//! Promises: `BOOTMIGRATE_TEST_WARM=FOLDER` says so; without it, it is started as every program is.
//! Never knows what a story does with it.

#[path = "../../examples/firmware.rs"]
mod firmware;
mod warm;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::var_os("BOOTMIGRATE_TEST_WARM") {
        None => firmware::run(std::env::args_os().skip(1)),
        // Whoever comes back from there is a child, and has become a start of this program.
        Some(folder) => match warm::until_asked(folder.as_ref()) {
            Ok(arguments) => firmware::run(arguments),
            Err(error) => {
                // No exit code of the program's.
                eprintln!("warm: {error}");
                ExitCode::from(99)
            }
        },
    }
}
