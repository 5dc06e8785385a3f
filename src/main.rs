//! Owns nothing: argv, run, print, exit code are in the library, so that a product's own binary is
//! three lines.
//! Promises: carries the migrations that this crate was built with (`BOOTMIGRATE_MIGRATIONS`, else
//! the example product; `/dev/null` for nothing); a packed catalogue of the image counts instead.
//! Never decides.

fn main() -> std::process::ExitCode {
    bootmigrate::stock(bootmigrate::embedded!())
}
