//! Any bytes as `lock_file`: the parser must answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bootmigrate_lab::parsers::lock_file(bytes));
