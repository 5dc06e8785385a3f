//! Owns the lints that are found by running a file with rows in every table.
//! Promises: each is a statement that SQLite has refused; the rows were ones that the schema before
//! allows.
//! Never alarms where a file runs.

use crate::lint::case::{Case, Hit, Trial};

const CHECK: i32 = 275;
const FOREIGN_KEY: i32 = 787;
const NOT_NULL: i32 = 1299;
const PRIMARY_KEY: i32 = 1555;
const UNIQUE: i32 = 2067;
const ROWID: i32 = 2579;

/// What kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    AddNotNull,
    AddDefault,
    AddStored,
    NotNull,
    Unique,
    Check,
    Other,
}

fn kind(trial: &Trial) -> Kind {
    let says = |words: &str| trial.words.contains(words);
    match trial.code {
        NOT_NULL => Kind::NotNull,
        UNIQUE | PRIMARY_KEY | ROWID => Kind::Unique,
        CHECK => Kind::Check,
        _ if says("Cannot add a NOT NULL column") => Kind::AddNotNull,
        _ if says("Cannot add a column with non-constant default") => Kind::AddDefault,
        _ if says("cannot add a STORED column") => Kind::AddStored,
        _ => Kind::Other,
    }
}

fn found(case: &Case<'_>, wanted: Kind) -> Vec<Hit> {
    let Some(trial) = case.trial.as_ref().filter(|trial| kind(trial) == wanted) else {
        return Vec::new();
    };
    let Some(first) =
        case.up.statements.get(trial.statement).and_then(|statement| statement.token(0))
    else {
        return Vec::new();
    };
    let words = if trial.code == FOREIGN_KEY { "a row refers to no row" } else { &trial.words };
    vec![Hit::at(first, format!("with rows in the table this statement fails: {words}"))]
}

pub fn add_not_null(case: &Case<'_>) -> Vec<Hit> {
    found(case, Kind::AddNotNull)
}

pub fn add_default(case: &Case<'_>) -> Vec<Hit> {
    found(case, Kind::AddDefault)
}

pub fn add_stored(case: &Case<'_>) -> Vec<Hit> {
    found(case, Kind::AddStored)
}

pub fn not_null(case: &Case<'_>) -> Vec<Hit> {
    found(case, Kind::NotNull)
}

pub fn unique(case: &Case<'_>) -> Vec<Hit> {
    found(case, Kind::Unique)
}

pub fn check(case: &Case<'_>) -> Vec<Hit> {
    found(case, Kind::Check)
}

pub fn other(case: &Case<'_>) -> Vec<Hit> {
    found(case, Kind::Other)
}
