//! Owns the choice of every n-th trial of a sweep that would take too long as a whole.
//! Promises: the same seed and scenario choose the same trials; every trial is chosen by some seed.
//! Never knows what a trial is.

use crate::sim::hash::{Hash128, Random};

/// One trial in `one_in`, drawn with `seed`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Share {
    /// Of all trials, one in so many is made
    #[arg(long, default_value_t = 1)]
    pub one_in: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Share {
    /// The choices for one scenario: `true` for a trial that is made.
    pub fn of(self, scenario: &str) -> impl FnMut() -> bool {
        let mut random = Random::new(self.seed ^ Hash128::of(scenario.as_bytes()) as u64);
        move || self.one_in <= 1 || random.below(self.one_in) == 0
    }

    /// As arguments of a worker.
    pub fn arguments(self) -> [String; 4] {
        ["--one-in".to_owned(), self.one_in.to_string(), "--seed".to_owned(), self.seed.to_string()]
    }
}
