//! Owns what is drawn: numbers and words from a seed.
//! Promises: the same seed draws the same, on every machine.
//! Never the machine's own randomness.

/// SplitMix64.
pub struct Dice(u64);

impl Dice {
    /// Of one of the things that a seed makes.
    pub fn of(seed: u64, number: u64) -> Dice {
        let mut dice = Dice(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        dice.next();
        dice
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0, below this.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Small ones as often as large ones.
    pub fn size(&mut self, smallest: u64, largest: u64) -> u64 {
        let share = self.below(1 << 20) as f64 / (1 << 20) as f64;
        let (small, large) = ((smallest as f64).ln(), (largest as f64).ln());
        (small + share * (large - small)).exp() as u64
    }

    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    pub fn word(&mut self, longest: u64) -> String {
        let letters = b"abcdefghijklmnopqrstuvwxyz -'ABC0123456789";
        (0..self.below(longest + 1)).map(|_| char::from(*self.one(letters))).collect()
    }
}
