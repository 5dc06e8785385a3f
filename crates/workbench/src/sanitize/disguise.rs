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
/// Where there are more values of a shape than shapes: so many letters longer at most.
const LONGER_MAX: usize = 8;
/// Days by which dates are moved at most.
const DAYS_MAX: u64 = 3000;

/// Values of these never stand for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Text,
    Bytes,
    Number,
}

/// The disguises of one run.
pub struct Disguise {
    key: u64,
    words: BTreeSet<String>,
    known: HashMap<(Of, Vec<u8>), Vec<u8>>,
    taken: HashSet<(Of, Vec<u8>)>,
}

impl Disguise {
    /// Without a seed nobody can find the values again.
    pub fn new(seed: Option<u64>, words: BTreeSet<String>) -> Disguise {
        let key = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        // They stay, so nothing else may become one of them.
        let taken =
            words.iter().map(|word| (Of::Text, word.to_ascii_lowercase().into_bytes())).collect();
        Disguise { key, words, known: HashMap::new(), taken }
    }

    /// What stands for this value.
    pub fn of(&mut self, value: Value) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.text(&text)),
            Value::Blob(bytes) => {
                let drawn = |state| Some(drawn_bytes(bytes.len(), state));
                Value::Blob(self.unique(Of::Bytes, &bytes, drawn))
            }
            Value::Integer(number) if number.unsigned_abs() >= NUMBER_MIN => {
                Value::Integer(self.integer(number))
            }
            Value::Real(number) => Value::Real(self.real(number)),
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
        let json = serde_json::from_str(text);
        if let Ok(serde_json::Value::Object(_) | serde_json::Value::Array(_)) = json {
            return self.json(text);
        }
        // The same letters whatever their case, so that NOCASE finds the same rows equal.
        let folded = text.to_ascii_lowercase();
        let drawn = |state| Some(letters(&folded, state).into_bytes());
        let letters = self.unique(Of::Text, folded.as_bytes(), drawn);
        let letters = String::from_utf8_lossy(&letters).into_owned();
        let mut old = text.chars();
        let cased = letters.chars().map(|new| match old.next() {
            Some(old) if old.is_ascii_uppercase() => new.to_ascii_uppercase(),
            _ => new,
        });
        cased.collect()
    }

    /// Strings and numbers in their places; keys, blanks and everything else as it is.
    fn json(&mut self, text: &str) -> String {
        let (mut made, mut rest) = (String::new(), text);
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' => string_length(rest),
                '-' | '0'..='9' => rest
                    .find(|letter: char| !"+-.eE0123456789".contains(letter))
                    .unwrap_or(rest.len()),
                other => other.len_utf8(),
            };
            let (part, after) = rest.split_at(length.min(rest.len()));
            match first {
                '"' if after.trim_start().starts_with(':') => made.push_str(part),
                '"' => {
                    let string: String = serde_json::from_str(part).unwrap_or_default();
                    made.push_str(&serde_json::Value::String(self.text(&string)).to_string());
                }
                '-' | '0'..='9' => made.push_str(&self.json_number(part)),
                _ => made.push_str(part),
            }
            rest = after;
        }
        made
    }

    fn json_number(&mut self, text: &str) -> String {
        match (text.parse::<i64>(), text.parse::<u64>(), text.parse::<f64>()) {
            (Ok(number), ..) if number.unsigned_abs() < NUMBER_MIN => text.to_owned(),
            (Ok(number), ..) => self.integer(number).to_string(),
            (_, Ok(number), _) => self.digits(&number.to_string(), |_| true),
            (.., Ok(number)) => serde_json::Number::from_f64(self.real(number))
                .map_or_else(|| "0".to_owned(), |number| number.to_string()),
            _ => "0".to_owned(),
        }
    }

    fn real(&self, number: f64) -> f64 {
        let share = (self.draw(&number.to_le_bytes(), 0) % 2000) as f64 / 1000.0;
        number * (1.0 + REAL_SHARE * share - REAL_SHARE)
    }

    /// As many digits, the first of them the same.
    fn integer(&mut self, number: i64) -> i64 {
        let fits = |digits: &str| digits.parse::<i64>().is_ok();
        let drawn = self.digits(&number.unsigned_abs().to_string(), fits);
        let drawn = drawn.parse::<i64>().unwrap_or(i64::MAX);
        if number < 0 {
            -drawn
        } else {
            drawn
        }
    }

    fn digits(&mut self, digits: &str, fits: impl Fn(&str) -> bool) -> String {
        let drawn = self.unique(Of::Number, digits.as_bytes(), |mut state| {
            let mut drawn = String::new();
            for digit in digits.chars() {
                state = mixed(state);
                drawn.push(if drawn.is_empty() { digit } else { shaped(digit, state) });
            }
            fits(&drawn).then(|| drawn.into_bytes())
        });
        String::from_utf8_lossy(&drawn).into_owned()
    }

    /// A text that begins with a day is moved by the same number of days as all others.
    fn date(&self, text: &str) -> Option<String> {
        let (day, rest) = (text.get(..10)?, text.get(10..)?);
        let dashes = day.char_indices().all(|(place, letter)| {
            if place == 4 || place == 7 {
                letter == '-'
            } else {
                letter.is_ascii_digit()
            }
        });
        if !is_time(rest) || !dashes {
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

    /// The same for the same bytes of a kind, and never another's. `of` gives nothing where what
    /// was drawn is no value.
    fn unique(&mut self, kind: Of, bytes: &[u8], of: impl Fn(u64) -> Option<Vec<u8>>) -> Vec<u8> {
        let key = (kind, bytes.to_vec());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut drawn = None;
        for longer in 0..=LONGER_MAX {
            for attempt in 0..DRAWS_MAX {
                let Some(mut one) = of(self.draw(bytes, attempt)) else { continue };
                one.extend(vec![b'0'; longer]);
                if drawn.is_none() && self.taken.insert((kind, one.clone())) {
                    drawn = Some(one);
                    break;
                }
            }
            if drawn.is_some() {
                break;
            }
        }
        let drawn = drawn.unwrap_or_default();
        self.known.insert(key, drawn.clone());
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

/// The bytes of the JSON string that this begins with, quotes and all.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (place, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return place + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Nothing, or `T10:00`, ` 10:00:00.5`, with `Z` or `+01:00` behind it.
fn is_time(rest: &str) -> bool {
    if rest.is_empty() {
        return true;
    }
    let Some(time) = rest.strip_prefix(['T', ' ']) else { return false };
    let end = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(end);
    let two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = clock.split(':');
    let seconds = |part: &str| {
        let (whole, fraction) = part.split_once('.').unwrap_or((part, ""));
        two(whole) && fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_clock = parts.next().is_some_and(two)
        && parts.next().is_some_and(two)
        && parts.next().is_none_or(seconds)
        && parts.next().is_none();
    let is_zone = zone.is_empty()
        || zone == "Z"
        || zone.get(1..).is_some_and(|zone| match zone.split_once(':') {
            Some((hours, minutes)) => two(hours) && two(minutes),
            None => zone.len() == 4 && zone.bytes().all(|byte| byte.is_ascii_digit()),
        });
    is_clock && is_zone
}

/// A letter for each of a text.
fn letters(text: &str, mut state: u64) -> String {
    let mut drawn = String::new();
    for letter in text.chars() {
        state = mixed(state);
        drawn.push(shaped(letter, state));
    }
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
        (_, 2) => from(0x400, 128),
        (_, 3) => from(0x4e00, 20_000),
        _ => from(0x2_0000, 40_000),
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

    /// Bytes and a text may be the same, and no other value is one of the schema's words.
    #[test]
    fn kinds_do_not_meet() {
        let mut disguise = Disguise::new(Some(5), ["0".to_owned()].into());
        let bytes = disguise.of(Value::Blob(b"familie mueller".to_vec()));
        let text = of(&mut disguise, "Familie Mueller");
        assert!(bytes != Value::Blob(text.clone().into_bytes()) && text != "Familie Mueller");
        let digits: BTreeSet<String> =
            ('0'..='9').map(|digit| of(&mut disguise, &digit.to_string())).collect();
        assert_eq!(digits.len(), 10);
        let letters: BTreeSet<String> =
            ('а'..='я').map(|letter| of(&mut disguise, &letter.to_string())).collect();
        assert_eq!(letters.len(), 32);
        assert_ne!(of(&mut disguise, "Äpfel"), of(&mut disguise, "äpfel"));
        let large: BTreeSet<i64> = (0..32)
            .filter_map(|one| match disguise.of(Value::Integer(9_100_000_000_000_000_000 + one)) {
                Value::Integer(number) => Some(number),
                _ => None,
            })
            .collect();
        assert_eq!(large.len(), 32);
    }

    #[test]
    fn numbers_in_json_and_behind_a_date_go() {
        let mut disguise = Disguise::new(Some(9), BTreeSet::new());
        let old = "{\"card\": 18446744073709551610, \"lat\": 48.1371541, \"phone\": \
                   [4915123456789.0, 7]}";
        let json = of(&mut disguise, old);
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
        for gone in ["18446744073709551610", "48.1371541", "4915123456789"] {
            assert!(!json.contains(gone), "{json}");
        }
        assert!(json.starts_with("{\"card\": 1") && json.ends_with(", 7]}"), "{json}");
        assert_ne!(of(&mut disguise, "[100001,2]"), of(&mut disguise, "[100001, 2]"));
        let phone = of(&mut disguise, "2001-01-01 0170 5551234");
        assert!(!phone.ends_with("0170 5551234"), "{phone}");
        let number = of(&mut disguise, "1985-03-12-4711");
        assert!(!number.ends_with("4711"), "{number}");
        for whole in ["", "T10:00", " 10:00:00.123", "T10:00:00Z", "T10:00:00+01:00", " 10:00-0130"]
        {
            assert!(is_time(whole), "{whole}");
        }
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
