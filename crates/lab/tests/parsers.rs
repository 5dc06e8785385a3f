//! Owns the proof that no parser of ours panics: seeds, and twenty thousand damaged copies of them
//! for each.
//! Promises: the same inputs at every run; the name and the bytes of an input that panics are
//! printed.
//! Never needs a fuzzer: `crates/lab/fuzz/` runs the same functions for as long as one likes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs
)]

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;

use bootmigrate_lab::parsers::{Parser, ALL};
use bootmigrate_lab::sim::hash::Random;

/// Harmed copies for each parser.
const ROUNDS: u64 = 20_000;
/// Of those that look at a whole simulated device, which takes a hundred times as long.
const ROUNDS_ON_A_DISK: u64 = 2_000;
const ON_A_DISK: [&str; 4] = ["database_header", "history_row", "pages", "state_names"];

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("each parser has seeds")
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{name} has no seed");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn damaged(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let pick = |random: &mut Random, limit: usize| random.below(limit.max(1) as u64) as usize;
    let mut bytes = seeds[pick(random, seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = pick(random, bytes.len() + 1);
        match random.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.draw() as u8),
            2 if at < bytes.len() => bytes[at] = random.draw() as u8,
            3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            4 => {
                let end = bytes.len().min(at + pick(random, 24));
                bytes.drain(at..end);
            }
            5 => {
                let other = &seeds[pick(random, seeds.len())];
                let from = pick(random, other.len());
                let piece = other[from..other.len().min(from + pick(random, 40))].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let pieces: [&[u8]; 10] = [
                    b"'",
                    b"\"",
                    b";",
                    b"--",
                    b"/*",
                    b"=",
                    b"\n",
                    b"\0",
                    b"99999999999999999999",
                    "\u{e9}\u{1f600}".as_bytes(),
                ];
                bytes.splice(at..at, pieces[pick(random, pieces.len())].iter().copied());
            }
        }
    }
    bytes
}

fn survives(name: &str, parser: Parser, bytes: &[u8]) {
    let survived = catch_unwind(AssertUnwindSafe(|| parser(bytes))).is_ok();
    assert!(survived, "{name} panics on {:?}", String::from_utf8_lossy(bytes));
}

#[test]
fn no_parser_panics_on_seeds_or_on_harmed_copies_of_them() {
    for (number, (name, parser)) in ALL.iter().enumerate() {
        let seeds = seeds(name);
        seeds.iter().for_each(|seed| survives(name, *parser, seed));
        let mut random = Random::new(number as u64 + 1);
        let rounds = if ON_A_DISK.contains(name) { ROUNDS_ON_A_DISK } else { ROUNDS };
        for _ in 0..rounds {
            survives(name, *parser, &damaged(&seeds, &mut random));
        }
        println!("{name}: {} seeds, {rounds} damaged copies", seeds.len());
    }
}

#[test]
fn every_parser_has_a_fuzz_target_that_calls_it() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    for (name, _) in ALL {
        let text = std::fs::read_to_string(targets.join(format!("{name}.rs")))
            .expect("each parser has a target");
        assert!(text.contains(&format!("parsers::{name}(")), "{name}");
    }
    assert_eq!(
        std::fs::read_dir(targets).unwrap().count(),
        ALL.len(),
        "and no other target is there"
    );
}
