//! Owns turning `migrations/` (or `BOOTMIGRATE_MIGRATIONS`) into the catalogue of this crate's own
//! binary; `/dev/null` as the folder embeds nothing, for the stock binary.
//! Promises: a folder that must not reach a device stops the build, with file, line, column and
//! what to write.
//! Never has a rule of its own: they are bootmigrate-build's.

use bootmigrate_build::FOLDER_VARIABLE;
use std::path::Path;

/// Also a container that builds has it.
const NOTHING: &str = "/dev/null";

fn main() {
    if std::env::var_os(FOLDER_VARIABLE).is_some_and(|named| named == NOTHING) {
        bootmigrate_build::embed_nothing();
        return;
    }
    // A product that depends on this crate names its own folder, as it stands to its own build
    // script.
    if std::env::var_os(FOLDER_VARIABLE)
        .is_some_and(|named| !named.is_empty() && Path::new(&named).is_relative())
    {
        println!(
            "cargo:warning={FOLDER_VARIABLE} is relative, and names no folder of this crate's: its \
             own binary has the example product; write an absolute path to build it with another"
        );
        std::env::remove_var(FOLDER_VARIABLE);
    }
    bootmigrate_build::embed("migrations");
}
