//! Any bytes as `mount_table`: the parser must answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bootmigrate_lab::parsers::mount_table(bytes));
