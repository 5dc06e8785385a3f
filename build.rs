//! Owns turning `migrations/` (or `BOOTMIGRATE_MIGRATIONS`) into the catalogue of this crate's own binary.
//! Promises: a folder that must not reach a device stops the build, with file, line, column and what to write.
//! Never has a rule of its own: they are bootmigrate-build's.

fn main() {
    bootmigrate_build::embed("migrations");
}
