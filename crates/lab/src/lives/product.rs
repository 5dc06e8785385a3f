//! Owns what a life is made of: a product, its firmware images, and the events that its device
//! meets.
//! Promises: plain data that prints as a short script; the files of a firmware are the text that a
//! team would write.
//! Never runs anything.

use std::fmt::Write as _;

/// One migration of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its number.
    pub version: i64,
    /// What stands between `__` and `.sql`.
    pub name: String,
    /// The directives at its head.
    pub directives: Vec<String>,
    /// Its statements, without the semicolon.
    pub statements: Vec<String>,
    /// The statements of its down file.
    pub down: Option<Vec<String>>,
    /// Its line ends are CRLF.
    pub crlf: bool,
}

impl Migration {
    /// `V3__name`.
    pub fn stem(&self) -> String {
        format!("V{}__{}", self.version, self.name)
    }

    /// The up file.
    pub fn text(&self) -> String {
        let directives = self.directives.iter().map(|line| format!("-- bootmigrate: {line}\n"));
        let text: String = directives
            .chain(self.statements.iter().map(|statement| format!("{statement};\n")))
            .collect();
        self.with_line_ends(text)
    }

    /// The down file.
    pub fn down_text(&self) -> Option<String> {
        let down = self.down.as_ref()?;
        Some(self.with_line_ends(down.iter().map(|statement| format!("{statement};\n")).collect()))
    }

    /// The same file, checked out with the other kind of line ends.
    pub fn turned(&self) -> Migration {
        Migration { crlf: !self.crlf, ..self.clone() }
    }

    fn with_line_ends(&self, text: String) -> String {
        if self.crlf {
            text.replace('\n', "\r\n")
        } else {
            text
        }
    }

    /// The value of a directive.
    pub fn directive(&self, name: &str) -> Option<&str> {
        self.directives.iter().find_map(|line| match line.split_once(" = ") {
            Some((key, value)) => (key == name).then_some(value),
            None => (line == name).then_some(""),
        })
    }
}

/// One database of a product.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Its keys in the configuration, but for `path` and `busy_timeout_s`.
    pub keys: Vec<(&'static str, String)>,
    /// Oldest first.
    pub migrations: Vec<Migration>,
    /// Its folder and the one above it are missing.
    pub nowhere: bool,
}

impl Database {
    /// The value of a key as it is written; `None` where the default counts.
    pub fn key(&self, name: &str) -> Option<&str> {
        self.keys.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// The database's file.
    pub fn path(&self) -> String {
        format!("{}/{}.db", self.folder(), self.name)
    }

    /// Its state folder.
    pub fn state(&self) -> String {
        format!("{}/.bootmigrate/{}.db", self.folder(), self.name)
    }

    /// The folder of both. `/data` alone is there: one level may be missing.
    pub fn folder(&self) -> &'static str {
        if self.nowhere {
            "/data/product/deeper"
        } else {
            "/data/product"
        }
    }

    /// The tool that `baseline` names.
    pub fn tool(&self) -> Option<&str> {
        let adopt = self.key("baseline")?;
        adopt.split('"').nth(1)
    }
}

/// All firmware images of one device.
#[derive(Debug, Clone)]
pub struct Product {
    /// Two slots share the data.
    pub two_slots: bool,
    /// In the order of the configuration.
    pub databases: Vec<Database>,
}

impl Product {
    /// `bootmigrate.toml`.
    pub fn configuration(&self) -> String {
        let mut text = format!("slots = \"{}\"\n", if self.two_slots { "ab" } else { "single" });
        for database in &self.databases {
            let _ = write!(
                text,
                "[databases.{}]\npath = \"{}\"\nbusy_timeout_s = 1\n",
                database.name,
                database.path()
            );
            for (key, value) in &database.keys {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }
}

/// What one firmware image has of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// This many of the product's migrations.
    pub known: usize,
    /// And one that only this image has: a bad one, or a sister's.
    pub own: Option<Migration>,
}

impl Part {
    /// The first so many of them.
    pub fn up_to(&self, count: usize) -> Part {
        if count > self.known {
            self.clone()
        } else {
            Part { known: count, own: None }
        }
    }

    /// Its migrations, oldest first.
    pub fn migrations<'a>(&'a self, database: &'a Database) -> Vec<&'a Migration> {
        database.migrations.iter().take(self.known).chain(&self.own).collect()
    }
}

/// One firmware image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firmware {
    /// For each database.
    pub parts: Vec<Part>,
    /// Its files were checked out with the other kind of line ends.
    pub turned: bool,
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: a boot.
    Boot,
    /// Nothing, with so much free, in per cent of the database.
    Tight(u64),
    /// `run --retry`.
    Retry,
    /// `run --purge-and-retry`.
    PurgeAndRetry,
    /// Nothing, with this token on the kernel's command line, where it stays for some boots.
    Word(String),
    /// `purge --db NAME --yes`.
    Purge(usize),
    /// `rollback --db NAME --to V`.
    Rollback(usize, i64),
    /// `migrate`, or `migrate --db NAME --step 1`.
    Migrate(bool),
    /// `mark-good`.
    MarkGood,
    /// `snapshot create`.
    SnapshotCreate,
    /// `rehearse`.
    Rehearse,
}

/// How a file is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A bit of one byte.
    Flip,
    /// A page of zeros.
    Zero,
    /// Its end is gone.
    Truncate,
    /// A page of an earlier time.
    Stale,
    /// All of it is gone, its side files too.
    Gone,
}

/// One event of a life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This firmware is switched on, and asked for this.
    Boot {
        /// Which of the life's images.
        firmware: usize,
        /// What it is asked for.
        asked: Asked,
    },
    /// The application changes rows.
    Rows {
        /// Which database.
        database: usize,
        /// Chooses the statements, where none are fixed.
        seed: u64,
        /// How many.
        count: usize,
        /// The journal mode that it chooses.
        journal: Option<&'static str>,
        /// It is cut off at its end: its journal or WAL stays.
        killed: bool,
        /// It leaves foreign keys off.
        careless: bool,
        /// It writes many rows.
        large: bool,
        /// The statements, where they are fixed.
        fixed: Option<Vec<String>>,
    },
    /// Somebody remembers the database's file, and later puts it back, without side files.
    Keep {
        /// Which database.
        database: usize,
    },
    /// See [`Event::Keep`].
    PutBack {
        /// Which database.
        database: usize,
    },
    /// The file is damaged.
    Damage {
        /// Which database.
        database: usize,
        /// How.
        damage: Damage,
        /// Where.
        seed: u64,
    },
    /// The record of a database is lost while the device is off.
    Forget {
        /// Which database.
        database: usize,
    },
    /// Before anything else: plain refinery has made this many migrations of the first database.
    Refinery {
        /// How many.
        done: usize,
        /// With its feature `int8-versions`.
        wide: bool,
    },
    /// Before anything else: the tool that `baseline` names has made this many migrations of the
    /// first database.
    Tool {
        /// How many.
        done: usize,
        /// The versions of its history before the last.
        before: Vec<i64>,
        /// The version that its history says.
        said: i64,
        /// It says that it is not finished.
        unfinished: bool,
    },
}

/// A product and what happens to one device of it.
#[derive(Debug, Clone)]
pub struct Life {
    /// The product.
    pub product: Product,
    /// Its images.
    pub images: Vec<Firmware>,
    /// In order.
    pub events: Vec<Event>,
}

impl Life {
    /// A script for a reader.
    pub fn script(&self) -> String {
        let mut text = String::new();
        for line in self.product.configuration().lines() {
            let _ = writeln!(text, "  | {line}");
        }
        for database in &self.product.databases {
            for migration in &database.migrations {
                file(&mut text, &database.name, migration);
            }
        }
        for (number, image) in self.images.iter().enumerate() {
            if !self
                .events
                .iter()
                .any(|event| matches!(event, Event::Boot { firmware, .. } if *firmware == number))
            {
                continue;
            }
            let known: Vec<String> = image
                .parts
                .iter()
                .zip(&self.product.databases)
                .map(|(part, one)| part_words(part, one))
                .collect();
            let turned = if image.turned { ", with the other kind of line ends" } else { "" };
            let _ = writeln!(text, "image {number}: {}{turned}", known.join("; "));
            for (part, database) in image.parts.iter().zip(&self.product.databases) {
                part.own.iter().for_each(|migration| file(&mut text, &database.name, migration));
            }
        }
        for (number, event) in self.events.iter().enumerate() {
            let _ = writeln!(text, "{number}. {}", event.words(&self.product));
        }
        text
    }
}

fn part_words(part: &Part, database: &Database) -> String {
    let own = if part.own.is_some() { " and one of its own" } else { "" };
    let to = part.migrations(database).last().map_or(0, |migration| migration.version);
    format!("{} to V{to}{own}", database.name)
}

fn file(text: &mut String, database: &str, migration: &Migration) {
    let crlf = if migration.crlf { " (CRLF)" } else { "" };
    let _ = writeln!(text, "{database}/{}.sql{crlf}", migration.stem());
    for line in migration.text().lines() {
        let _ = writeln!(text, "  | {line}");
    }
    if let Some(down) = migration.down_text() {
        let _ = writeln!(text, "{database}/{}.down.sql", migration.stem());
        for line in down.lines() {
            let _ = writeln!(text, "  | {line}");
        }
    }
}

impl Event {
    /// The database that it is about, where it is about one.
    pub fn database(&self) -> Option<usize> {
        self.clone().place().map(|place| *place)
    }

    /// Databases have other numbers now.
    pub fn renumber(&mut self, number: &dyn Fn(usize) -> usize) {
        if let Some(place) = self.place() {
            *place = number(*place);
        }
    }

    fn place(&mut self) -> Option<&mut usize> {
        match self {
            Event::Rows { database, .. }
            | Event::Keep { database }
            | Event::PutBack { database }
            | Event::Forget { database }
            | Event::Damage { database, .. } => Some(database),
            Event::Boot {
                asked: Asked::Purge(database) | Asked::Rollback(database, _), ..
            } => Some(database),
            Event::Boot { .. } | Event::Refinery { .. } | Event::Tool { .. } => None,
        }
    }

    /// One line or more.
    pub fn words(&self, product: &Product) -> String {
        let name = |database: &usize| product.databases[*database].name.clone();
        match self {
            Event::Boot { firmware, asked } => asked.words(*firmware, &name),
            Event::Forget { database } => format!("the record of {} is lost", name(database)),
            Event::Tool { done, said, unfinished, .. } => {
                let first = &product.databases[0];
                let tool = first.tool().unwrap_or("a tool");
                format!(
                    "{tool} has made {done} migrations of {}, and says version {said}{}",
                    first.name,
                    if *unfinished { ", unfinished" } else { "" }
                )
            }
            Event::Rows { database, seed, count, journal, killed, careless, large, fixed } => {
                let careless = if *careless { ", foreign keys off" } else { "" };
                let large = if *large { ", many rows" } else { "" };
                let journal = journal
                    .map_or_else(String::new, |journal| format!(", journal_mode = {journal}"));
                let killed = if *killed { ", and is killed" } else { "" };
                let mut text = match fixed {
                    Some(_) => {
                        format!("application on {}{journal}{careless}{killed}:", name(database))
                    }
                    None => {
                        format!(
                            "application on {}{journal}{careless}{killed}: {count} statements of \
                             seed {seed}{large}",
                            name(database)
                        )
                    }
                };
                for statement in fixed.iter().flatten() {
                    let _ = write!(text, "\n  | {statement};");
                }
                text
            }
            Event::Keep { database } => format!("keep a copy of {}", name(database)),
            Event::PutBack { database } => format!("put the copy of {} back", name(database)),
            Event::Damage { database, damage, seed } => {
                format!("damage {}: {damage:?} by seed {seed}", name(database))
            }
            Event::Refinery { done, wide } => {
                let wide = if *wide { " with int8-versions" } else { "" };
                format!(
                    "refinery{wide} has made {done} migrations of {}",
                    product.databases[0].name
                )
            }
        }
    }
}

impl Asked {
    /// What this image is asked, in one line.
    fn words(&self, firmware: usize, name: &dyn Fn(&usize) -> String) -> String {
        match self {
            Asked::Boot => format!("boot image {firmware}"),
            Asked::Tight(percent) => {
                format!("boot image {firmware}, with {percent} % of the database's size free")
            }
            Asked::Retry => {
                format!("image {firmware}: run --retry")
            }
            Asked::PurgeAndRetry => {
                format!("image {firmware}: run --purge-and-retry")
            }
            Asked::Word(token) => {
                format!(
                    "boot image {firmware} again and again, with \
                     bootmigrate.purge-and-retry={token}"
                )
            }
            Asked::Purge(one) => {
                format!("image {firmware}: purge --db {} --yes", name(one))
            }
            Asked::Rollback(one, to) => {
                format!("image {firmware}: rollback --db {} --to {to}", name(one))
            }
            Asked::Migrate(all) => {
                format!("image {firmware}: migrate{}", if *all { "" } else { " --step 1" })
            }
            Asked::MarkGood => {
                format!("image {firmware}: mark-good")
            }
            Asked::SnapshotCreate => {
                format!("image {firmware}: snapshot create")
            }
            Asked::Rehearse => {
                format!("image {firmware}: rehearse")
            }
        }
    }
}
