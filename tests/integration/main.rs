//! Owns the tests: what a device looks like before and after one run of the real program.
//! Promises: each situation has 1,000 parents and 1,000 children or more, every row compared, every
//! folder its own.
//! Never calls the code under test; `BOOTMIGRATE_UNDER_TEST` names the program, and with a wrong
//! one every test fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

mod adoption;
mod after_2038;
mod application;
mod asked;
mod attributes;
mod becomes;
mod bench;
mod beside;
mod boots;
mod boundaries;
mod build_and_device;
mod carry_over;
mod checked;
mod code;
mod commands;
mod concurrent;
mod copies_left;
mod costs;
mod damage;
mod data;
mod data_again;
mod device;
mod directives;
mod doctor;
mod doctor_file;
mod dump;
mod enforced;
mod errors;
mod failures;
mod flipped;
mod from_refinery;
mod full;
mod generated;
mod given_back;
mod group;
mod in_c;
mod int8;
mod kept_out;
mod kinds;
mod last_failure;
mod left_wal;
mod limits;
mod looking;
mod losses;
mod lost;
mod manual;
mod mistakes;
mod mount;
mod names;
mod names_of_ours;
mod numbers;
mod older;
mod one_boot;
mod oracle;
mod other_modes;
mod own_tables;
mod owners;
mod packed;
mod past_the_header;
mod paths;
mod planted;
mod policies;
mod printed;
mod product;
mod program;
mod purge;
mod put_back;
mod quarantine;
mod quarantine_restore;
mod quiet;
mod registered;
mod rehearsed;
mod remembered;
mod repairs;
mod reports;
mod restores;
mod retries;
mod rights;
mod room;
mod row_contents;
mod ruins;
mod salvage;
mod schema;
mod scrub;
mod sentences;
mod several;
mod slots;
mod space;
mod stale;
mod stops;
mod storage;
mod strace;
mod strangers;
mod swaps;
mod swept;
mod taken_for;
mod takeover;
mod together_by_hand;
mod tools;
mod transcripts;
mod unfit;
mod violations;
mod virtual_tables;
mod ways_back;
mod wipe;
