//! Owns the connections that files are run on: each new, with the settings of the device's, and
//! what a file may not do denied.
//! Promises: a file finds nothing of an earlier one but the database; an error has its line and
//! column.
//! Never writes a file.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::functions::FunctionFlags;
use rusqlite::hooks::{AuthContext, Authorization};
use rusqlite::{Batch, Connection};

use super::actions::{Fires, Watch};
use super::refusal::{is_vacuum, Answer, Mode, Rules};
use crate::{folder, pragma, sql};

/// A database between two files.
pub type Image = Vec<u8>;

/// More functions than this, and something else is wrong.
const STAND_INS_MAX: usize = 1000;

/// Functions and collations that the product registers, which do nothing here.
#[derive(Debug, Default)]
pub struct StandIns {
    functions: Vec<String>,
    collations: Vec<String>,
}

impl StandIns {
    /// For what this error misses; `false` where nothing can stand in for it, or something does
    /// already.
    pub fn take(&mut self, words: &str) -> bool {
        let missing = |beginning: &str| {
            words.strip_prefix(beginning).map(|name| name.trim_end_matches("()").to_owned())
        };
        let function = missing("no such function: ").or_else(|| missing("unknown function: "));
        let (names, name) = match (function, missing("no such collation sequence: ")) {
            (Some(name), _) => (&mut self.functions, name),
            (None, Some(name)) => (&mut self.collations, name),
            (None, None) => return false,
        };
        let new = names.len() < STAND_INS_MAX && !names.contains(&name);
        if new {
            names.push(name);
        }
        new
    }

    /// `the function hash, the collation german`; empty where there is none.
    pub fn names(&self) -> String {
        let functions = self.functions.iter().map(|name| format!("the function {name}"));
        let collations = self.collations.iter().map(|name| format!("the collation {name}"));
        functions.chain(collations).collect::<Vec<_>>().join(", ")
    }

    fn register(&self, connection: &Connection) -> rusqlite::Result<()> {
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS;
        for name in &self.functions {
            connection
                .create_scalar_function(name.as_str(), -1, flags, |_| Ok(rusqlite::types::Null))?;
        }
        for name in &self.collations {
            connection.create_collation(name.as_str(), |one: &str, other: &str| -> Ordering {
                one.cmp(other)
            })?;
        }
        Ok(())
    }
}

/// Why a file fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// SQLite's, with its code.
    pub words: String,
    /// A module or tokenizer of the product is missing.
    pub of_the_product: bool,
    /// Nothing that only a device has could make it run: it is refused, or no SQL.
    pub certain: bool,
}

/// What SQLite says of a text that is no SQL, whatever tables there are.
pub const UNREADABLE: [&str; 3] = ["syntax error", "unrecognized token", "incomplete input"];

/// Opens the database as a file finds it; of the history there is the name.
pub fn open(image: &Image, stand_ins: &StandIns, history: &str) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    if !image.is_empty() {
        connection.deserialize_read_exact("main", image.as_slice(), image.len(), false)?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    stand_ins.register(&connection)?;
    if image.is_empty() {
        let name = history.replace('"', "\"\"");
        connection.execute_batch(&format!(
            "CREATE TABLE \"{name}\"(version int4 PRIMARY KEY, name VARCHAR(255), applied_on \
             VARCHAR(255), checksum VARCHAR(255));
             CREATE TABLE bootmigrate_steps(version INTEGER PRIMARY KEY);
             CREATE TABLE bootmigrate_state(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
        ))?;
    }
    Ok(connection)
}

/// What the next file finds.
pub fn image(connection: &mut Connection) -> rusqlite::Result<Image> {
    Ok(connection.serialize("main")?.to_vec())
}

/// How a file meets foreign keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// SQLite enforces them.
    pub enforced: bool,
    /// Statements that would do more if it did.
    pub watch: Watch,
}

impl Keys {
    /// They are off, and nobody asks.
    pub const OFF: Keys = Keys { enforced: false, watch: Watch::Nothing };
}

/// What the authorizer has noted, and knows of the statement that runs.
#[derive(Debug, Default)]
struct Noted {
    denied: Option<String>,
    vacuum_runs: bool,
}

/// Runs a file's statements, and commits them.
pub fn run(
    connection: &mut Connection,
    text: &str,
    rules: &Rules,
    keys: Keys,
) -> Result<Vec<Fires>, Fault> {
    let shared = Arc::new(Mutex::new(Noted::default()));
    let whole = |error: rusqlite::Error| fault(text, 0, &error, None);
    if keys.enforced {
        connection.execute_batch("PRAGMA foreign_keys = ON").map_err(whole)?;
    }
    if rules.mode != Mode::NoTransaction {
        connection.execute_batch("BEGIN IMMEDIATE").map_err(whole)?;
    }
    let (noted, asked) = (Arc::clone(&shared), rules.clone());
    let ask = move |context: AuthContext<'_>| {
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        match asked.answer(&context, noted.vacuum_runs) {
            Answer::Allowed => Authorization::Allow,
            Answer::LeftOut => Authorization::Ignore,
            Answer::Refused(reason) => {
                noted.denied.get_or_insert(reason);
                Authorization::Deny
            }
        }
    };
    connection.authorizer(Some(ask)).map_err(whole)?;
    let ran = statements(connection, text, rules, keys.watch, &shared);
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>).map_err(whole)?;
    let fires = ran?;
    if rules.mode != Mode::NoTransaction {
        connection.execute_batch("COMMIT").map_err(whole)?;
    }
    Ok(fires)
}

fn statements(
    connection: &Connection,
    text: &str,
    rules: &Rules,
    watch: Watch,
    shared: &Mutex<Noted>,
) -> Result<Vec<Fires>, Fault> {
    let noted = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let in_transaction = rules.mode != Mode::NoTransaction;
    let mut fires = Vec::new();
    let mut batch = Batch::new(connection, text);
    for number in 0.. {
        let mut statement = match batch.next() {
            Ok(Some(statement)) => statement,
            Ok(None) => break,
            Err(error) => return Err(fault(text, number, &error, noted().denied.take())),
        };
        let sql = statement.expanded_sql().unwrap_or_default();
        if rules.adopted && pragma::is_left_out(&sql, in_transaction) {
            continue;
        }
        // What cannot be compiled with the switch on is not what runs.
        let tables = watch.tables(connection, &sql).unwrap_or_default();
        if !tables.is_empty() {
            let (line, column) = start_of(text, number);
            fires.push(Fires { line, column, tables });
        }
        noted().denied = None;
        noted().vacuum_runs = is_vacuum(&sql);
        let mut rows = statement.raw_query();
        let ran = loop {
            match rows.next() {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        noted().vacuum_runs = false;
        ran.map_err(|error| fault(text, number, &error, noted().denied.take()))?;
        if in_transaction && connection.is_autocommit() {
            let error = rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(1),
                Some("this statement ends the transaction".to_owned()),
            );
            return Err(fault(text, number, &error, None));
        }
    }
    Ok(fires)
}

/// An error as a place in the file. `number` is the statement's, from 0.
fn fault(text: &str, number: usize, error: &rusqlite::Error, denied: Option<String>) -> Fault {
    let (code, mut words, offset) = match error {
        rusqlite::Error::SqlInputError { error, msg, sql, offset } => {
            let byte = usize::try_from(*offset)
                .ok()
                .map(|offset| text.len().saturating_sub(sql.len()) + offset);
            (error.extended_code, msg.clone(), byte)
        }
        rusqlite::Error::SqliteFailure(error, words) => {
            (error.extended_code, words.clone().unwrap_or_else(|| error.to_string()), None)
        }
        other => (0, other.to_string(), None),
    };
    let of_the_product = ["no such module: ", "no such tokenizer: ", "unknown tokenizer: "]
        .iter()
        .any(|one| words.starts_with(one));
    let certain = denied.is_some() || UNREADABLE.iter().any(|one| words.contains(one));
    if let Some(why) = denied {
        words = why;
    } else if code != 0 {
        words.push_str(&format!(" (SQLite {code})"));
    }
    let (line, column) = match offset.and_then(|byte| text.get(..byte)) {
        Some(before) => folder::place_after(before),
        None => start_of(text, number),
    };
    Fault { line, column, words, of_the_product, certain }
}

fn start_of(text: &str, number: usize) -> (u32, u32) {
    let lexed = sql::lex(text);
    let (statements, _) = sql::statements(&lexed.tokens);
    statements
        .get(number)
        .and_then(|statement| statement.token(0))
        .map_or((1, 1), |token| (token.line, token.column))
}

/// What an error says, without its code: for [`StandIns::take`].
pub fn bare(words: &str) -> &str {
    words.split_once(" (SQLite ").map_or(words, |(bare, _)| bare)
}
