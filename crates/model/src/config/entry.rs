//! Owns one `key = value` of a configuration file and where it stands.
//! Promises: every complaint has file, line and column (characters, from 1), and says what to
//! write.
//! Never knows which keys exist or what they mean.

use std::cell::Cell;

use toml::de::{DeInteger, DeTable, DeValue, Error};
use toml::Spanned;

use super::{ConfigError, PathPlace, Source, UnknownKey, FILE_BYTES_MAX};

/// Longest value that a message quotes, in characters: a sentence stays readable on a serial
/// console.
const QUOTED_CHARACTERS_MAX: usize = 60;

/// Who wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Embedded in the firmware image.
    Image,
    /// On the device, over the embedded one.
    Device,
}

/// One file while it is read.
pub(super) struct FileReader<'a> {
    pub source: Source<'a>,
    pub origin: Origin,
    pub unknown: UnknownKey,
    pub warnings: Cell<Vec<String>>,
}

impl<'a> FileReader<'a> {
    /// Line and column of a byte of the text; a byte-order mark is not a column.
    pub fn place(&self, byte: usize) -> PathPlace {
        let text = self.source.text;
        let mut ends = (0..=byte.min(text.len())).rev();
        let before = ends.find_map(|end| text.get(..end)).unwrap_or_default();
        let line = before.matches('\n').count();
        let last = before.rsplit('\n').next().unwrap_or_default();
        let column = last.chars().filter(|character| *character != '\u{feff}').count();
        let from_one = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
        PathPlace {
            file: self.source.file.to_owned(),
            line: from_one(line),
            column: from_one(column),
        }
    }

    /// No longer than what a device reads.
    pub fn check_length(&self) -> Result<(), ConfigError> {
        if self.source.text.len() <= FILE_BYTES_MAX {
            return Ok(());
        }
        Err(self
            .place(FILE_BYTES_MAX)
            .error(format!("the file is longer than {FILE_BYTES_MAX} bytes; write a shorter one")))
    }

    /// The whole file as a table.
    pub fn parse(&self) -> Result<Spanned<DeTable<'a>>, ConfigError> {
        DeTable::parse(self.source.text).map_err(|error| self.not_toml(&error))
    }

    fn not_toml(&self, error: &Error) -> ConfigError {
        let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        let start = error.span().map_or(self.source.text.len(), |span| span.start);
        let sentence = match message.as_str() {
            "duplicate key" => "this key is written twice; write it once".to_owned(),
            message if message.starts_with("string values") && self.line_ends_at(start) => {
                "this key has no value; write one after =".to_owned()
            }
            message if message.starts_with("string values must be quoted") => {
                "this value has no quotes; write text between \" and \"".to_owned()
            }
            message => {
                format!(
                    "not TOML: {message}; write key = value, or a table header such as \
                     [databases.settings]"
                )
            }
        };
        self.place(start).error(sentence)
    }

    fn line_ends_at(&self, byte: usize) -> bool {
        let rest = self.source.text.get(byte..).unwrap_or_default();
        rest.lines()
            .next()
            .is_none_or(|line| line.trim().is_empty() || line.trim().starts_with('#'))
    }

    /// The keys of a table, in the order of the file.
    pub fn entries<'t>(&'t self, table: &'t DeTable<'a>) -> Vec<Entry<'a, 't>> {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| Entry {
                reader: self,
                table,
                key: key.get_ref(),
                key_start: key.span().start,
                value: value.get_ref(),
                value_start: value.span().start,
                item: false,
                example: "",
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_start);
        entries
    }

    /// An unknown key or table: an error, or a warning where the file may be the other slot's.
    pub fn unknown(&self, error: ConfigError, what: &str) -> Result<(), ConfigError> {
        match self.unknown {
            UnknownKey::Refuse => Err(error),
            UnknownKey::Warn => {
                self.note(format!("{error}; this firmware ignores the {what}"));
                Ok(())
            }
        }
    }

    /// Nothing that stops a boot.
    pub fn warn(&self, error: &ConfigError) {
        self.note(error.to_string());
    }

    fn note(&self, sentence: String) {
        let mut warnings = self.warnings.take();
        warnings.push(sentence);
        self.warnings.set(warnings);
    }
}

/// One `key = value`.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a, 't> {
    pub reader: &'t FileReader<'a>,
    table: &'t DeTable<'a>,
    pub key: &'t str,
    key_start: usize,
    pub value: &'t DeValue<'a>,
    value_start: usize,
    /// It is one entry of the key's list, not the whole value.
    item: bool,
    /// A value that would be right, as it is written in the file.
    example: &'t str,
}

impl<'a, 't> Entry<'a, 't> {
    /// The same entry, with a value that would be right.
    pub fn with_example(self, example: &'t str) -> Self {
        Entry { example, ..self }
    }

    /// Where the key stands.
    pub fn place(&self) -> PathPlace {
        self.reader.place(self.key_start)
    }

    /// Its table has this key too, and they say different things.
    pub fn contradicts(&self, other: &str) -> bool {
        let found = self.table.iter().find(|(key, _)| key.get_ref() == other);
        found.is_some_and(|(_, other)| !is_same(self.value, other.get_ref()))
    }

    /// A mistake in the key itself.
    pub fn key_error(&self, sentence: String) -> ConfigError {
        self.place().error(sentence)
    }

    /// A mistake in the value: `key = value` and then `problem`.
    pub fn refuse(&self, problem: &str) -> ConfigError {
        let sentence = format!("{} = {} {problem}", shown_key(self.key), shown(self.value));
        self.reader.place(self.value_start).error(sentence)
    }

    /// As [`Entry::refuse`], with what to write instead.
    pub fn refuse_for_example(&self, problem: &str) -> ConfigError {
        self.refuse(&format!("{problem}; write {} = {}", shown_key(self.key), self.example))
    }

    fn wrong_type(&self, expected: &str) -> ConfigError {
        let key = shown_key(self.key);
        let subject = if self.item { format!("an entry of {key}") } else { key.clone() };
        let found = type_of(self.value);
        let sentence =
            format!("{subject} is {found}, not {expected}; write {key} = {}", self.example);
        self.reader.place(self.value_start).error(sentence)
    }

    pub fn text(&self) -> Result<&'t str, ConfigError> {
        match self.value {
            DeValue::String(text) => Ok(text),
            _ => Err(self.wrong_type("text in quotes")),
        }
    }

    pub fn boolean(&self) -> Result<bool, ConfigError> {
        match self.value {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    /// The keys of a table that is written as `[header]`.
    pub fn headed_table(&self, header: &str) -> Result<&'t DeTable<'a>, ConfigError> {
        match self.value {
            DeValue::Table(table) => Ok(table),
            other => {
                let (key, found) = (shown_key(self.key), type_of(other));
                Err(self.key_error(format!(
                    "{key} is {found}, not a table; write the header [{header}]"
                )))
            }
        }
    }

    pub fn table(&self) -> Result<&'t DeTable<'a>, ConfigError> {
        match self.value {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.wrong_type("a table")),
        }
    }

    /// A whole number from `least` to `most`; `why` says what is wrong with any other.
    pub fn number(&self, least: u32, most: u32, why: &str) -> Result<u32, ConfigError> {
        let number = self.whole(i64::from(least), i64::from(most), why)?;
        u32::try_from(number).map_err(|_| self.refuse(why))
    }

    /// A version number of a migration.
    pub fn version(&self) -> Result<i64, ConfigError> {
        self.whole(0, i64::MAX, "versions of migrations are 64-bit numbers without a sign")
    }

    fn whole(&self, least: i64, most: i64, why: &str) -> Result<i64, ConfigError> {
        let DeValue::Integer(number) = self.value else {
            return Err(self.wrong_type("a whole number"));
        };
        i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| {
                self.refuse(&format!(
                    "is out of range: {why}; write a number from {least} to {most}"
                ))
            })
    }

    /// One of the known words.
    pub fn choice<T: Clone>(&self, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text()?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(value.clone()),
            None => Err(self.refuse(&format!("is not known; write {}", one_of(words)))),
        }
    }

    /// A list of known words, each once.
    pub fn choices<T: Clone + PartialEq>(
        &self,
        words: &[(&str, T)],
    ) -> Result<Vec<T>, ConfigError> {
        let mut chosen = Vec::new();
        for item in self.items()? {
            let value = item.choice(words)?;
            if chosen.contains(&value) {
                return Err(item.refuse("stands in the list twice; write it once"));
            }
            chosen.push(value);
        }
        Ok(chosen)
    }

    /// The items of a list, each to be read as if it were written alone.
    pub fn items(&self) -> Result<Vec<Entry<'a, 't>>, ConfigError> {
        let DeValue::Array(items) = self.value else {
            return Err(self.wrong_type("a list"));
        };
        let items = items.iter();
        Ok(items
            .map(|item| Entry {
                value: item.get_ref(),
                value_start: item.span().start,
                item: true,
                ..*self
            })
            .collect())
    }
}

/// The words in quotes, with "or" before the last.
fn one_of<T>(words: &[(&str, T)]) -> String {
    let mut sentence = String::new();
    for (position, (word, _)) in words.iter().enumerate() {
        let between = match position {
            0 => "",
            _ if position + 1 == words.len() => " or ",
            _ => ", ",
        };
        sentence.push_str(&format!("{between}\"{word}\""));
    }
    sentence
}

/// A key as it has to be written: in quotes where TOML wants them.
pub(super) fn shown_key(key: &str) -> String {
    let bare = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    if !key.is_empty() && key.len() <= QUOTED_CHARACTERS_MAX && key.chars().all(bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}

fn quoted(text: &str) -> String {
    let mut shortened: String = text.chars().take(QUOTED_CHARACTERS_MAX).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    format!("{shortened:?}")
}

/// They are one value, however each is written.
fn is_same(one: &DeValue<'_>, other: &DeValue<'_>) -> bool {
    match (one, other) {
        (DeValue::Integer(one), DeValue::Integer(other)) => {
            let number = |one: &DeInteger<'_>| i64::from_str_radix(one.as_str(), one.radix()).ok();
            number(one) == number(other)
        }
        (DeValue::Array(one), DeValue::Array(other)) => {
            let mut pairs = one.iter().zip(other.iter());
            one.len() == other.len() && pairs.all(|(a, b)| is_same(a.get_ref(), b.get_ref()))
        }
        (DeValue::Table(one), DeValue::Table(other)) => {
            let mut pairs = one.iter().zip(other.iter());
            one.len() == other.len()
                && pairs.all(|((key, a), (same, b))| {
                    key.get_ref() == same.get_ref() && is_same(a.get_ref(), b.get_ref())
                })
        }
        (DeValue::String(one), DeValue::String(other)) => one == other,
        (DeValue::Boolean(one), DeValue::Boolean(other)) => one == other,
        _ => false,
    }
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => {
            number.to_string().chars().take(QUOTED_CHARACTERS_MAX).collect()
        }
        DeValue::Float(number) => number.to_string().chars().take(QUOTED_CHARACTERS_MAX).collect(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(value) => value.to_string(),
        DeValue::Array(items) if items.is_empty() => "[]".to_owned(),
        DeValue::Array(_) => "[…]".to_owned(),
        DeValue::Table(table) if table.is_empty() => "{}".to_owned(),
        DeValue::Table(_) => "{…}".to_owned(),
    }
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
