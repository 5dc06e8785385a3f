//! Owns the 128-bit hash by which states of the disk are told apart, and the small random generator
//! of the seeds.
//! Promises: the same on every machine and in every run; ten million states without an expected
//! collision.
//! Never used against an adversary.

const KEYS: [u64; 4] =
    [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03, 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

/// Two lanes of folded multiplications; long inputs go through four first.
#[derive(Clone)]
pub struct Hash128 {
    low: u64,
    high: u64,
}

impl Default for Hash128 {
    fn default() -> Self {
        Self::new()
    }
}

impl Hash128 {
    /// Of nothing yet.
    pub fn new() -> Hash128 {
        Hash128 { low: KEYS[0], high: KEYS[1] }
    }

    /// Of these bytes alone.
    pub fn of(bytes: &[u8]) -> u128 {
        let mut hash = Hash128::new();
        hash.bytes(bytes);
        hash.finish()
    }

    /// Adds bytes and their number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let mut wide = bytes.chunks_exact(64);
        let mut lanes = KEYS;
        for chunk in &mut wide {
            for (lane, pair) in lanes.iter_mut().zip(chunk.chunks_exact(16)) {
                let (first, second) = (word(&pair[..8]), word(&pair[8..]));
                *lane = fold(first ^ KEYS[3], second ^ *lane).wrapping_add(first);
            }
        }
        // Never the keys themselves: a factor of zero would wipe out what came before.
        if lanes != KEYS {
            self.pair(lanes[0], lanes[1]);
            self.pair(lanes[2], lanes[3]);
        }
        let mut chunks = wide.remainder().chunks_exact(16);
        for chunk in &mut chunks {
            self.pair(word(&chunk[..8]), word(&chunk[8..]));
        }
        let rest = chunks.remainder();
        let (first, second) = rest.split_at(rest.len().min(8));
        self.pair(word(first), word(second));
        self.number(bytes.len() as u64);
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) {
        self.pair(number, KEYS[2]);
    }

    /// Adds another hash.
    pub fn wide(&mut self, hash: u128) {
        self.pair(hash as u64, (hash >> 64) as u64);
    }

    /// The hash.
    pub fn finish(&self) -> u128 {
        let low = fold(self.low ^ KEYS[3], self.high ^ KEYS[0]);
        let high = fold(self.high ^ KEYS[2], self.low.rotate_left(32) ^ KEYS[1]);
        u128::from(low) | u128::from(high) << 64
    }

    fn pair(&mut self, first: u64, second: u64) {
        self.low = fold(first ^ KEYS[0], second ^ self.low).wrapping_add(first);
        self.high = fold(first ^ self.high, second ^ KEYS[3]).wrapping_add(second);
    }
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

fn fold(first: u64, second: u64) -> u64 {
    let product = u128::from(first) * u128::from(second);
    product as u64 ^ (product >> 64) as u64
}

/// A small repeatable generator (SplitMix64).
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(KEYS[0]);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }
}
