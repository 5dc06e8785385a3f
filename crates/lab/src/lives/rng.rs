//! Owns drawing: numbers, choices, identifiers and values.
//! Promises: the same seed draws the same; a swarm of features is drawn once a life.
//! Never reads a clock or the system's randomness.

use std::fmt::Write as _;

use crate::sim::hash::Random;

/// A source of choices.
pub struct Rng(Random);

/// Identifiers that need no quotes.
const PLAIN: [&str; 16] = [
    "item",
    "note",
    "sensor",
    "place",
    "reading",
    "badge",
    "site",
    "label",
    "amount",
    "state",
    "kind",
    "parent",
    "Owner",
    "sensorLog",
    "EVENT",
    "Unit_2",
];
/// Identifiers that do.
const ODD: [&str; 18] = [
    "order",
    "group",
    "select",
    "a b",
    "naïve",
    "Größe",
    "x\"y",
    "1st",
    "ta-ble",
    "semi;colon",
    "per%cent",
    "it's",
    "[br]",
    "`tick`",
    "UPPER",
    "table",
    "日本",
    "a.b",
];

impl Rng {
    /// From this seed.
    pub fn new(seed: u64) -> Rng {
        Rng(Random::new(seed))
    }

    /// 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0.draw()
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit.max(1) as u64) as usize
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high + 1 - low)
    }

    /// So often in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A name that is not among these, which SQLite compares without case.
    pub fn name(&mut self, odd: bool, taken: &[String]) -> String {
        for round in 0.. {
            let base = if odd && self.chance(50) { *self.pick(&ODD) } else { *self.pick(&PLAIN) };
            let name =
                if round < 4 { base.to_owned() } else { format!("{base}{}", self.below(1000)) };
            if !taken.iter().any(|known| known.to_lowercase() == name.to_lowercase()) {
                return name;
            }
        }
        unreachable!("names do not end")
    }

    /// A literal of any type.
    pub fn value(&mut self) -> String {
        match self.below(10) {
            0 => "NULL".into(),
            1 | 2 => (self.below(7) as i64 - 2).to_string(),
            3 => self
                .pick(&["9007199254740993", "-9223372036854775808", "1e300", "-0.0", "0.1", "4.0"])
                .to_string(),
            4 => format!("{}.5", self.below(5)),
            5 | 6 => quoted_text(self.pick(&[
                "",
                "a",
                "A",
                "a ",
                "ä",
                "it's",
                "12",
                "1.0",
                "NULL",
                "x\"y",
                "line\nend",
                "日本",
            ])),
            7 => format!("X'{}'", self.pick(&["", "00", "ff00", "61", "000102030405"])),
            8 => quoted_text(format!("t{}", self.below(40))),
            _ => quoted_text("long ".repeat(self.between(1, 120))),
        }
    }

    /// A literal that a column of this type takes, most of the time.
    pub fn value_for(&mut self, kind: &str) -> String {
        if self.chance(12) {
            return self.value();
        }
        match kind.to_ascii_uppercase().as_str() {
            "INTEGER" | "INT" => self.below(60).to_string(),
            "REAL" => format!("{}.25", self.below(60)),
            "BLOB" => format!("X'{:04x}'", self.below(60)),
            "TEXT" => quoted_text(format!("t{}", self.below(60))),
            _ => self.value(),
        }
    }
}

/// A string literal; a line end in it is computed, since a file may be written with others.
pub fn quoted_text(text: impl AsRef<str>) -> String {
    let literal = format!("'{}'", text.as_ref().replace('\'', "''"));
    match literal.contains('\n') {
        true => format!("({})", literal.replace('\n', "' || char(10) || '")),
        false => literal,
    }
}

/// An identifier in quotes.
pub fn quoted(name: impl AsRef<str>) -> String {
    format!("\"{}\"", name.as_ref().replace('"', "\"\""))
}

/// Identifiers in quotes, with commas.
pub fn list(names: &[String]) -> String {
    let mut text = String::new();
    for name in names {
        let _ = write!(text, "{}{}", if text.is_empty() { "" } else { ", " }, quoted(name));
    }
    text
}

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident $percent:literal),* $(,)?) => {
        /// What a life may use. Most of it is off, so that the rest meets more often.
        #[derive(Debug, Clone, Copy, Default)]
        #[allow(clippy::struct_excessive_bools)]
        pub struct Features { $($(#[$doc])* pub $name: bool),* }

        impl Features {
            /// Drawn once a life.
            pub fn draw(rng: &mut Rng) -> Features {
                Features { $($name: rng.chance($percent)),* }
            }
        }
    };
}

features! {
    /// Identifiers that need quotes.
    odd_names 30,
    /// WITHOUT ROWID.
    without_rowid 30,
    /// STRICT.
    strict 25,
    /// Generated columns.
    generated 25,
    /// CHECK.
    check 25,
    /// UNIQUE, NOT NULL, COLLATE.
    constraints 40,
    /// Indexes, partial and on expressions too.
    indexes 45,
    /// Views.
    views 25,
    /// Triggers.
    triggers 25,
    /// Foreign keys.
    references 30,
    /// AUTOINCREMENT.
    autoincrement 20,
    /// ADD, DROP and RENAME COLUMN, RENAME TO.
    alter 45,
    /// Tables that are built again.
    rebuilds 25,
    /// Rows that migrations insert, update and delete.
    data 45,
    /// Objects that go again.
    drops 25,
    /// Directives.
    directives 30,
    /// VACUUM on a copy.
    no_transaction 10,
    /// Down files.
    downs 35,
    /// Down files that lead elsewhere or fail.
    wrong_downs 10,
    /// CRLF.
    crlf 15,
    /// Older images boot.
    older 40,
    /// An image with a migration that fails on rows.
    bad 30,
    /// A sister image.
    sister 15,
    /// Other journal modes.
    wal 35,
    /// Applications that are killed.
    killed 30,
    /// Commands.
    commands 30,
    /// Copies that are put back.
    put_back 15,
    /// Damage.
    damage 15,
    /// Keys of the configuration.
    policy 50,
    /// Two databases or three.
    many 20,
    /// Groups of them.
    groups 40,
    /// refinery was there first.
    refinery 12,
    /// Little room.
    tight 20,
    /// TEMP objects and PRAGMAs that a file leaves.
    leaves 15,
    /// Newer migrations say which older firmware can use their result.
    compatible 15,
    /// Situations that need several events in their order.
    bursts 35,
    /// The record is lost.
    forgets 12,
    /// Tables of many pages.
    large 10,
    /// Applications that do not turn foreign keys on.
    careless 12,
    /// Tables with the names that rows without a place get.
    lost_names 10,
    /// Tables that refer to each other in chains.
    chains 12,
    /// Another tool was there first.
    tools 10,
    /// The folder of the database, and the one above it, are missing.
    nowhere 2,
    /// FTS5 and R*Tree.
    virtual_tables 10,
}
