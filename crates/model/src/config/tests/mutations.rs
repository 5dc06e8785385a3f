//! Owns the search for texts that break the reader: ten thousand damaged copies of a good file.
//! Promises: the same ones at every run; each ends in settings or in one sentence inside the text.
//! Never looks at which mistake was found.

use super::*;

const ROUNDS: u32 = 10_000;

/// Where a round takes long, in an emulator, fewer are asked for.
fn rounds() -> u32 {
    let most = std::env::var("BOOTMIGRATE_ROUNDS_MAX")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(ROUNDS);
    ROUNDS.min(most)
}

/// What a slip of the keyboard, an editor or a broken disk may leave in a text.
const PIECES: &[&str] = &[
    "",
    " ",
    "\n",
    "\r",
    "\t",
    "\"",
    "\"\"\"",
    "'",
    "=",
    "[",
    "]",
    "[[",
    "{",
    "}",
    ",",
    ".",
    "#",
    "-",
    "_",
    "0x",
    "0o9",
    "1e999",
    "99999999999999999999",
    "nan",
    "true",
    "2024-01-01T25:00:00Z",
    "\\",
    "\\u",
    "\\U0010FFFF",
    "\\uD800",
    "\u{0}",
    "\u{feff}",
    "ü",
    "🦀",
    "e\u{301}",
    "databases",
    "[databases.a]\n",
    "a.b.c = 1\n",
    "*",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// xorshift64: the same numbers everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap_or_default()
    }
}

/// Replaces, doubles or moves a few stretches of the text.
fn mutate(good: &str, numbers: &mut Numbers) -> String {
    let mut text: Vec<char> = good.chars().collect();
    for _ in 0..=numbers.below(3) {
        let start = numbers.below(text.len() + 1);
        let end = (start + numbers.below(8)).min(text.len());
        let removed: Vec<char> = text.drain(start..end).collect();
        match numbers.below(4) {
            0 => {
                let elsewhere = numbers.below(text.len() + 1);
                text.splice(elsewhere..elsewhere, removed);
            }
            1 => {
                let twice = [removed.clone(), removed].concat();
                text.splice(start..start, twice);
            }
            _ => {
                let piece = PIECES[numbers.below(PIECES.len())];
                text.splice(start..start, piece.chars());
            }
        }
    }
    text.into_iter().collect()
}

#[test]
fn no_mutation_of_a_good_file_panics() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut right, mut wrong) = (0, 0);
    for _ in 0..rounds() {
        let text = mutate(FULL, &mut numbers);
        let damaged = source("m.toml", &text);
        // These keys would end every reading of FULL as the device's file.
        let of_the_image =
            ["example", "baseline_version", "baseline_foreign_keys", "versions = 64"];
        let over = of_the_image.iter().fold(text.clone(), |over, key| over.replacen(key, "#", 1));
        let device = [source("m.toml", &over)];
        for result in [
            read(damaged, &[], UnknownKey::Refuse),
            read(source("b.toml", FULL), &device, UnknownKey::Warn),
        ] {
            let Err(error) = result else {
                right += 1;
                continue;
            };
            wrong += 1;
            let shown = error.to_string();
            assert!(!error.sentence.is_empty() && !shown.contains('\n'), "{shown:?} for {text:?}");
            let lines: Vec<&str> = text.split('\n').collect();
            assert!(error.line as usize <= lines.len(), "{shown:?} for {text:?}");
        }
    }
    let enough = rounds() / 10;
    assert!(
        right > enough && wrong > enough,
        "{right} right and {wrong} wrong: both have to be seen"
    );
}
