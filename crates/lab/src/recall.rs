//! Owns the boots that were judged good, and which states are certain to boot in the same way.
//! Promises: a state is recalled only where names, sizes and every block that such a boot reads or
//! leaves in place are equal; then the boot gets the same answers to the same calls, does the same,
//! and leaves the same disk. Some are booted all the same.
//! Never recalls what depends on more than that: a disk that can be full.

use std::collections::HashMap;

use crate::sim::hash::Hash128;
use crate::sim::reads::Mask;
use crate::sim::state::NodeId;
use crate::sim::State;

/// One in this many recalled states is booted nevertheless, and must end as the one that it was
/// taken for.
const TESTED_ONE_OF: u64 = 256;
/// Different ways to boot from one set of names and sizes that are tried.
const WAYS_MAX: usize = 48;

/// One way to boot: what it looks at, and what it has left for each content of that.
struct Way {
    mask: Mask,
    left: HashMap<u128, u128>,
}

/// A state as it is looked up: everything but the content of files, and the files.
pub struct Question {
    shape: u128,
    files: Vec<NodeId>,
}

/// What is known of a state.
pub enum Answer {
    /// Nothing: boot it.
    Unknown,
    /// It boots as one that was good.
    Good,
    /// The same; but boot it: the state left after the first boot must have this hash.
    Test(u128),
}

/// The boots of one scenario.
#[derive(Default)]
pub struct Recall {
    ways: HashMap<u128, Vec<Way>>,
    recalled: u64,
}

impl Question {
    /// `said`, `cuts` and `copies_more`: what the judge goes by beside the disk.
    pub fn new(state: &State, said: bool, cuts: u32, copies_more: usize) -> Question {
        let (shape, files) = state.shape();
        let mut hash = Hash128::new();
        hash.wide(shape);
        hash.number(u64::from(cuts) << 1 | u64::from(said));
        hash.number(copies_more as u64);
        Question { shape: hash.finish(), files }
    }
}

impl Recall {
    /// Does it boot as another one did?
    pub fn ask(&mut self, question: &Question, state: &State) -> Answer {
        let Some(ways) = self.ways.get_mut(&question.shape) else { return Answer::Unknown };
        let found = ways.iter().enumerate().find_map(|(number, way)| {
            let left = way.left.get(&way.mask.hash(state, &question.files))?;
            Some((number, *left))
        });
        let Some((number, left)) = found else { return Answer::Unknown };
        // The one that fits is likely to fit again.
        ways[..=number].rotate_right(1);
        self.recalled += 1;
        if self.recalled.is_multiple_of(TESTED_ONE_OF) {
            Answer::Test(left)
        } else {
            Answer::Good
        }
    }

    /// This state's first boot looked at `mask` and left a disk with this hash; everything was
    /// good.
    pub fn learn(&mut self, question: Question, state: &State, mask: Mask, left: u128) {
        let key = mask.hash(state, &question.files);
        let ways = self.ways.entry(question.shape).or_default();
        if let Some(way) = ways.iter_mut().find(|way| way.mask == mask) {
            way.left.insert(key, left);
        } else if ways.len() < WAYS_MAX {
            ways.push(Way { mask, left: HashMap::from([(key, left)]) });
        }
    }
}
