//! Any bytes as `state_names`: the parser must answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bootmigrate_lab::parsers::state_names(bytes));
