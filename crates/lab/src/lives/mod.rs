//! Owns the judge that makes what nobody thought of: products and lives drawn from a seed, each
//! compared with an independent reference.
//! Promises: a life is named by seed and number and comes back the same; a finding names the
//! promise that is broken, and is made smaller.
//! Never asks the device's code what is right.

mod content;
mod cuts;
mod damage;
mod firmware;
mod generate;
mod grammar;
mod interventions;
mod metrics;
mod operator;
mod policies;
mod product;
mod promise;
mod reference;
mod rng;
mod run;
mod shrink;
mod simulated;
mod tables;
mod tools;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Instant;

use crate::finding::Bad;
use crate::tally::Tally;
use crate::workers::{numbered, Part};
use run::Ended;

/// Lives, of which more is counted than of what is judged.
fn take(tally: &mut Tally, name: &str, ended: Ended) {
    tally.judged += 1;
    tally.count("boots", ended.boots);
    tally.count("images not built", ended.unbuilt.len() as u64);
    ended.unbuilt.iter().for_each(|why| tally.by("not built", why));
    ended.exits.iter().for_each(|exit| tally.by("exit", exit));
    if let Some((number, Bad { rule, what })) = ended.bad {
        tally.note(name, Bad { rule, what: format!("event {number}: {what}") });
    }
}

/// The life with this number.
fn seed_of(seed: u64, number: u64) -> u64 {
    seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Lives it; a panic is a finding.
fn lived(life: &product::Life, cuts: u64, tell: &mut dyn FnMut(&str)) -> Ended {
    catch_unwind(AssertUnwindSafe(|| run::run(life, cuts, tell))).unwrap_or_else(|panic| {
        let words = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
        let what = words.unwrap_or_else(|| "a panic".to_owned());
        Ended { bad: Some((0, Bad { rule: promise::NO_PANIC, what })), ..Ended::default() }
    })
}

/// Judges this worker's part, with so many power cuts of each boot that changes something.
pub fn sweep(part: Part, cuts: u64) -> Tally {
    let began = Instant::now();
    std::panic::set_hook(Box::new(|_| {}));
    let mut tally = Tally::new("", "lives", &["boots", "images not built"]);
    let with_cuts = if cuts > 0 { format!(" --cuts {cuts}") } else { String::new() };
    for number in part.numbers() {
        let life = generate::life(seed_of(part.seed, number));
        let ended = lived(&life, cuts, &mut |_| {});
        take(&mut tally, &format!("{}/{number}{with_cuts}", part.seed), ended);
    }
    tally.seconds = began.elapsed().as_secs_f64();
    tally
}

/// Shows one life step by step.
///
/// # Errors
/// The name is not known.
pub fn replay(name: &str, cuts: u64, out: &mut dyn FnMut(&str)) -> Result<bool, String> {
    let (seed, number) = numbered(name)?;
    let life = generate::life(seed_of(seed, number));
    std::panic::set_hook(Box::new(|_| {}));
    out(&life.script());
    let ended = lived(&life, cuts, out);
    if ended.bad.is_none() {
        out("good");
        return Ok(true);
    }
    if let Some((smaller, _, _)) = shrink::shrunk(&life, cuts) {
        out("\nThe smallest that is bad in the same way:");
        out(&smaller.script());
        lived(&smaller, cuts, out);
    }
    Ok(false)
}
