//! Owns nothing: argv, run, print, exit code are in the library, so that a product's own binary is three lines.
//! Promises: carries the migrations that this crate was built with (`BOOTMIGRATE_MIGRATIONS`, else the example product).
//! Never decides.

fn main() -> std::process::ExitCode {
    bootmigrate::main(bootmigrate::embedded!())
}
