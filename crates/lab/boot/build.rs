//! Owns turning the folder beside it into the catalogue of the boot lab's program.
//! Promises: as the build of the package above.
//! Never has a rule of its own.

fn main() {
    bootmigrate_build::embed("migrations");
}
