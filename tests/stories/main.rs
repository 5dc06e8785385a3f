//! Owns the stories: what a device looks like before and after one run of the real program.
//! Promises: each world has 1,000 parents and 1,000 children or more, every row compared, every folder its own.
//! Never calls the code under test; `BOOTMIGRATE_UNDER_TEST` names the program, and with a wrong one every story fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

mod adoption;
mod after_2038;
mod application;
mod asked;
mod attributes;
mod becomes;
mod bench;
mod beside;
mod boots;
mod carry_over;
mod code;
mod commands;
mod damage;
mod data;
mod directives;
mod doctor;
mod errors;
mod failures;
mod full;
mod in_c;
mod kinds;
mod last_failure;
mod limits;
mod looking;
mod manual;
mod mistakes;
mod mount;
mod neighbours;
mod older;
mod oracle;
mod own_tables;
mod owners;
mod paths;
mod picture;
mod policies;
mod printed;
mod product;
mod program;
mod purge;
mod put_back;
mod registered;
mod rehearsed;
mod reports;
mod restores;
mod salvage;
mod schema;
mod sentences;
mod slots;
mod space;
mod stale;
mod stops;
mod storage;
mod strace;
mod swaps;
mod takeover;
mod together;
mod tools;
mod transcripts;
mod virtual_tables;
mod ways_back;
