//! Any bytes as `pages`: the parser must answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bootmigrate_lab::parsers::pages(bytes));
