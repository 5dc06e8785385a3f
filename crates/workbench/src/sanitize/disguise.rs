//! Owns what stands for a value: a text of the same shape, a number of as many digits, bytes of the
//! same length, a date some days away.
//! Promises: one value has one disguise in the whole file, whatever its case; two values never
//! share one.
//! Never keeps a key: without a seed each run draws another.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, Hasher as _};

use rusqlite::types::Value;

/// Numbers below it are counts, flags and settings, and stay.
const NUMBER_MIN: u64 = 100_000;
/// A share of a real number by which it is changed at most, either way.
const REAL_SHARE: f64 = 0.01;
/// Draws for one value: a shape of one letter has few, and each may be taken.
const DRAWS_MAX: u64 = 100_000;
/// Days by which dates are moved at most.
const DAYS_MAX: u64 = 3000;

/// The disguises of one run.
pub struct Disguise {
    key: u64,
    words: BTreeSet<String>,
    known: HashMap<Vec<u8>, Vec<u8>>,
    taken: HashSet<Vec<u8>>,
}

impl Disguise {
    /// Without a seed nobody can find the values again.
    pub fn new(seed: Option<u64>, words: BTreeSet<String>) -> Disguise {
        let key = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Disguise { key, words, known: HashMap::new(), taken: HashSet::new() }
    }

    /// What stands for this value.
    pub fn of(&mut self, value: Value) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.text(&text)),
            Value::Blob(bytes) => {
                Value::Blob(self.unique(&bytes, |state| drawn_bytes(bytes.len(), state)))
            }
            Value::Integer(number) if number.unsigned_abs() >= NUMBER_MIN => {
                Value::Integer(self.integer(number))
            }
            Value::Real(number) => Value::Real(
                number
                    * (1.0
                        + REAL_SHARE * (self.draw(&number.to_le_bytes(), 0) % 2000) as f64
                            / 1000.0
                        - REAL_SHARE),
            ),
            other => other,
        }
    }

    fn text(&mut self, text: &str) -> String {
        if self.words.contains(text) || text.is_empty() {
            return text.to_owned();
        }
        if let Some(moved) = self.date(text) {
            return moved;
        }
        if let Ok(json @ (serde_json::Value::Object(_) | serde_json::Value::Array(_))) =
            serde_json::from_str(text)
        {
            return self.json(json).to_string();
        }
        // The same letters whatever their case, so that NOCASE finds the same rows equal.
        let folded = text.to_lowercase();
        let letters = self.unique(folded.as_bytes(), |mut state| {
            let mut drawn = String::new();
            for letter in folded.chars() {
                state = mixed(state);
                drawn.push(shaped(letter, state));
            }
            drawn.into_bytes()
        });
        let letters = String::from_utf8(letters).unwrap_or(folded);
        let cased = text.chars().zip(letters.chars()).map(|(old, new)| {
            if old.is_ascii_uppercase() {
                new.to_ascii_uppercase()
            } else {
                new
            }
        });
        // A letter whose small form is two: the case is given up.
        if letters.chars().count() == text.chars().count() {
            cased.collect()
        } else {
            letters
        }
    }

    fn json(&mut self, json: serde_json::Value) -> serde_json::Value {
        match json {
            serde_json::Value::String(text) => serde_json::Value::String(self.text(&text)),
            serde_json::Value::Array(all) => all.into_iter().map(|one| self.json(one)).collect(),
            serde_json::Value::Object(all) => {
                all.into_iter().map(|(key, one)| (key, self.json(one))).collect()
            }
            serde_json::Value::Number(number) => {
                match number.as_i64().filter(|number| number.unsigned_abs() >= NUMBER_MIN) {
                    Some(long) => self.integer(long).into(),
                    None => number.into(),
                }
            }
            other => other,
        }
    }

    /// As many digits, the first of them the same.
    fn integer(&mut self, number: i64) -> i64 {
        let digits = number.unsigned_abs().to_string();
        let drawn = self.unique(digits.as_bytes(), |mut state| {
            let mut drawn = String::new();
            for digit in digits.chars() {
                state = mixed(state);
                drawn.push(if drawn.is_empty() { digit } else { shaped(digit, state) });
            }
            drawn.into_bytes()
        });
        let drawn = String::from_utf8(drawn)
            .ok()
            .and_then(|text| text.parse::<i64>().ok())
            .unwrap_or(i64::MAX);
        if number < 0 {
            -drawn
        } else {
            drawn
        }
    }

    /// A text that begins with a day is moved by the same number of days as all others.
    fn date(&self, text: &str) -> Option<String> {
        let (day, rest) = (text.get(..10)?, text.get(10..)?);
        let plain =
            rest.chars().all(|letter| letter.is_ascii_digit() || "T :.Z+-".contains(letter));
        let dashes = day.char_indices().all(|(place, letter)| {
            if place == 4 || place == 7 {
                letter == '-'
            } else {
                letter.is_ascii_digit()
            }
        });
        if !plain || !dashes {
            return None;
        }
        let number =
            |from: usize, to: usize| day.get(from..to).and_then(|part| part.parse::<i64>().ok());
        let days = days_of(number(0, 4)?, number(5, 7)?, number(8, 10)?);
        // What is no day of the calendar is a text like any other.
        (day_of(days) == day).then(|| {
            format!("{}{rest}", day_of(days - 1 - i64::try_from(self.key % DAYS_MAX).unwrap_or(0)))
        })
    }

    /// The same for the same bytes, and never another's.
    fn unique(&mut self, bytes: &[u8], of: impl Fn(u64) -> Vec<u8>) -> Vec<u8> {
        if let Some(known) = self.known.get(bytes) {
            return known.clone();
        }
        let mut drawn = Vec::new();
        for attempt in 0..DRAWS_MAX {
            drawn = of(self.draw(bytes, attempt));
            if self.taken.insert(drawn.clone()) {
                break;
            }
        }
        self.known.insert(bytes.to_vec(), drawn.clone());
        drawn
    }

    fn draw(&self, bytes: &[u8], attempt: u64) -> u64 {
        bytes.iter().fold(mixed(self.key ^ attempt), |state, byte| mixed(state ^ u64::from(*byte)))
    }
}

/// The finaliser of SplitMix64.
fn mixed(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

fn drawn_bytes(count: usize, mut state: u64) -> Vec<u8> {
    let mut drawn = Vec::new();
    while drawn.len() < count {
        state = mixed(state);
        drawn.extend(state.to_le_bytes());
    }
    drawn.truncate(count);
    drawn
}

/// Another letter of the same kind and of as many bytes; what is neither letter nor digit stays.
fn shaped(letter: char, state: u64) -> char {
    let from = |first: u32, count: u64| {
        char::from_u32(first + u32::try_from(state % count).unwrap_or(0)).unwrap_or(letter)
    };
    match (letter, letter.len_utf8()) {
        ('0'..='9', _) => from(0x30, 10),
        ('a'..='z', _) => from(0x61, 26),
        _ if !letter.is_alphanumeric() => letter,
        (_, 2) => from(0xe0, 23),
        (_, 3) => from(0x4e00, 2000),
        _ => from(0x2_0000, 2000),
    }
}

/// Days since 1970-01-01, by counting from the March of a year that 400 divides.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// As `2026-01-31`.
fn day_of(days: i64) -> String {
    let digits = crate::time::written(days * 86_400).to_string();
    match (digits.get(..4), digits.get(4..6), digits.get(6..8)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(disguise: &mut Disguise, text: &str) -> String {
        match disguise.of(Value::Text(text.to_owned())) {
            Value::Text(text) => text,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_text_keeps_its_shape() {
        let mut disguise = Disguise::new(Some(7), ["open".to_owned()].into());
        let mail = of(&mut disguise, "Ada.Lovelace@Example.org");
        let shape = |text: &str| -> String {
            text.chars()
                .map(|one| {
                    if one.is_ascii_uppercase() {
                        'A'
                    } else if one.is_ascii_lowercase() {
                        'a'
                    } else {
                        one
                    }
                })
                .collect()
        };
        assert_eq!(shape(&mail), "Aaa.Aaaaaaaa@Aaaaaaa.aaa");
        assert_ne!(mail, "Ada.Lovelace@Example.org");
        assert_eq!(of(&mut disguise, "Ada.Lovelace@Example.org"), mail);
        assert_eq!(
            of(&mut disguise, "ADA.lovelace@example.org").to_lowercase(),
            mail.to_lowercase()
        );
        assert_eq!(of(&mut disguise, "open"), "open");
        assert_eq!(of(&mut disguise, "Zoë Müller").len(), "Zoë Müller".len());
        let json = of(&mut disguise, "{\"name\":\"Ada\",\"age\":36}");
        assert!(
            json.contains("\"age\":36") && json.contains("\"name\":") && !json.contains("Ada"),
            "{json}"
        );
    }

    #[test]
    fn a_date_stays_one() {
        let mut disguise = Disguise::new(Some(400), BTreeSet::new());
        assert_eq!(of(&mut disguise, "2024-03-01T10:00:00Z"), "2023-01-25T10:00:00Z");
        assert_eq!(of(&mut disguise, "2024-02-29"), "2023-01-24");
        assert_eq!(
            (days_of(1970, 1, 1), days_of(2000, 2, 29), day_of(11_016)),
            (0, 11_016, "2000-02-29".to_owned())
        );
        let no_day = of(&mut disguise, "2024-02-31");
        assert!(no_day.len() == 10 && no_day != "2024-02-31", "{no_day}");
    }

    /// Every letter has its own, though there are no more of them.
    #[test]
    fn two_values_never_share_a_disguise() {
        let mut disguise = Disguise::new(Some(3), BTreeSet::new());
        let all: BTreeSet<String> =
            ('a'..='z').map(|letter| of(&mut disguise, &letter.to_string())).collect();
        assert_eq!(all.len(), 26);
        let numbers: BTreeSet<i64> = (1_000_000..1_002_000)
            .filter_map(|number| match disguise.of(Value::Integer(number)) {
                Value::Integer(number) => Some(number),
                _ => None,
            })
            .collect();
        assert!(
            numbers.len() == 2000 && numbers.iter().all(|number| number.to_string().len() == 7)
        );
        assert_eq!(disguise.of(Value::Integer(99_999)), Value::Integer(99_999));
    }
}
