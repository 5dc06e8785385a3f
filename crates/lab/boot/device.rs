//! Owns nothing: the program of the boot lab's devices is a product's own.
//! Promises: carries the migrations beside it, and is built with the profile of an image.
//! Never has anything that a product's binary has not.

fn main() -> std::process::ExitCode {
    bootmigrate::main(bootmigrate::embedded!())
}
