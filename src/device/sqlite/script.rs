//! Owns running a migration's SQL, statement by statement, under an authorizer.
//! Promises: every error names line, column and statement; nothing runs after SQLite has rolled
//! back by itself.
//! Never commits, and never lets a migration do so.

use std::sync::PoisonError;
use std::time::Instant;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};
use rusqlite::{Batch, Statement};

use crate::catalog::Migration;
use crate::device::disk::Op;
use crate::device::sqlite::missing::Missing;
pub use crate::device::sqlite::refusal::Mode;
use crate::device::sqlite::refusal::{is_vacuum, Answer, Rules};
use crate::device::sqlite::session::{Noted, Session, LIKE};
use crate::device::sqlite::stand_ins::{read_with_stand_ins, vacuum};
use crate::device::sqlite::weight;
use crate::device::sqlite::{class_of, extended_code, system_error, Database};
use crate::error::{Class, Failure, Place};
use crate::pragma::{self, Effect};

/// Characters of a line that a message shows.
const LINE_SHOWN_CHARS_MAX: usize = 120;

/// One statement that ran, for `-vv`.
#[derive(Debug)]
pub struct StatementRun<'a> {
    /// Its number in the file, from 1.
    pub statement: u32,
    /// Its line, from 1.
    pub line: u32,
    /// Its text.
    pub sql: &'a str,
    /// Rows inserted, updated or deleted.
    pub rows: u64,
    /// Wall time.
    pub took: std::time::Duration,
}

/// Runs a migration's up SQL, as a part of its file.
///
/// # Errors
/// With the place and the class of the first statement that failed.
pub fn run(
    database: &mut Database,
    session: &Session,
    migration: &Migration,
    seen: &mut dyn FnMut(&StatementRun<'_>),
) -> Result<(), Failure> {
    let source = ScriptSource {
        file: migration.file,
        version: migration.version,
        sql: migration.sql,
        statements: migration.statements,
    };
    run_text(database, session, &source, seen)
}

/// Runs any text by a migration's rules.
///
/// # Errors
/// As [`run`].
pub fn run_text(
    database: &mut Database,
    session: &Session,
    source: &ScriptSource<'_>,
    seen: &mut dyn FnMut(&StatementRun<'_>),
) -> Result<(), Failure> {
    authorize(database, session, session.adopted)?;
    let result = statements(database, session, source, seen);
    let cleared = database.connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>);
    result?;
    cleared.map_err(|error| database.failure(session.op, &error))
}

/// The text being run, for places.
pub struct ScriptSource<'a> {
    /// How a message names it.
    pub file: &'a str,
    /// The migration's version.
    pub version: i64,
    /// The text.
    pub sql: &'a str,
    /// How many statements it has; 0 where nobody has counted them.
    pub statements: u32,
}

fn statements(
    database: &Database,
    session: &Session,
    source: &ScriptSource<'_>,
    seen: &mut dyn FnMut(&StatementRun<'_>),
) -> Result<(), Failure> {
    let (op, mode) = (session.op, session.mode);
    let heavy = |cause: String, start: usize, number: u32| {
        Err(Failure::new(Class::Failed, op, cause).place(source.place(start, number)))
    };
    if let Some(cause) = weight::text_too_heavy(source.sql) {
        return heavy(cause, 0, 1);
    }
    let mut batch = Batch::new(&database.connection, source.sql);
    let (mut position, mut number) = (0usize, 0u32);
    loop {
        number += 1;
        let start = position + first_token(source.sql.get(position..).unwrap_or(""));
        if database.in_transaction() && changes_like(source.sql.get(start..).unwrap_or("")) {
            database.recover_virtual_tables(op)?;
        }
        let statement = match batch.next() {
            Ok(Some(statement)) => statement,
            Ok(None) => return Ok(()),
            Err(error) => {
                let at = (number, offset_of(&error, source, start));
                return Err(failed(database, session, source, at, &error));
            }
        };
        let text = statement.expanded_sql().unwrap_or_default();
        // An empty statement (`;;`) is passed over by SQLite: find the text where it really stands.
        let begin = source
            .sql
            .get(position..)
            .and_then(|rest| rest.find(&text))
            .map_or(position, |found| position + found);
        let start = begin + first_token(&text);
        position = begin + text.len();
        if session.adopted && pragma::is_left_out(&text, mode != Mode::NoTransaction) {
            tell_left_out(mode, source, start, &text);
            continue;
        }
        let began = Instant::now();
        let before = database.connection.total_changes();
        run_one(database, session, statement, &text).map_err(|error| {
            let failed = failed(database, session, source, (number, start), &error);
            database.limited(database.timed_out(failed))
        })?;
        if let Some(cause) = heavy_view(database, op, &text)? {
            return heavy(cause, start, number);
        }
        if mode != Mode::NoTransaction && !database.in_transaction() {
            let cause = "SQLite ended the transaction by itself (a conflict clause ROLLBACK, or a \
                         lack of space or memory)";
            return Err(Failure::new(Class::Failed, op, cause).place(source.place(start, number)));
        }
        let rows = database.connection.total_changes().saturating_sub(before);
        seen(&StatementRun {
            statement: number,
            line: line_of(source.sql, start).0,
            sql: text.trim(),
            rows,
            took: began.elapsed(),
        });
    }
}

/// Runs a statement that is compiled, to its end.
fn run_one(
    database: &Database,
    session: &Session,
    mut statement: Statement<'_>,
    text: &str,
) -> rusqlite::Result<()> {
    session.noted().vacuum_runs = is_vacuum(text);
    let timed = database.watch.statement();
    let outcome = finish(&mut statement);
    drop(statement);
    let outcome = outcome.or_else(|error| without_the_applications(database, text, error));
    drop(timed);
    session.noted().vacuum_runs = false;
    outcome
}

/// What makes a view too heavy that this statement has made.
fn heavy_view(database: &Database, op: Op, text: &str) -> Result<Option<String>, Failure> {
    if !makes_a_view(text) {
        return Ok(None);
    }
    weight::too_heavy(&database.connection).map_err(|error| database.failure(op, &error))
}

/// A statement of a file of before bootmigrate that is not run.
fn tell_left_out(mode: Mode, source: &ScriptSource<'_>, start: usize, text: &str) {
    // Outside a transaction such a file runs in memory alone, where schemas are compared: the
    // device is told once.
    let level = if mode == Mode::NoTransaction { log::Level::Debug } else { log::Level::Warn };
    log::log!(
        level,
        "{}:{}: skipped in a file of before bootmigrate: {}",
        source.file,
        line_of(source.sql, start).0,
        text.trim()
    );
}

/// Runs once more, with stand-ins for what only the application has, a statement that failed for
/// the lack of it and does not need it.
fn without_the_applications(
    database: &Database,
    text: &str,
    error: rusqlite::Error,
) -> rusqlite::Result<()> {
    match Missing::of(&error) {
        Some(_) if changes_names_alone(text) => {
            read_with_stand_ins(&database.connection, || database.connection.execute_batch(text))
                .map(drop)
        }
        Some(_) if is_vacuum(text) => vacuum(&database.connection, text),
        _ => Err(error),
    }
}

/// The next statement gives the connection another `LIKE`, when it is compiled. Where SQLite counts
/// a statement as running it keeps the old one and marks that as case-sensitive for the whole
/// process: from then on `LIKE` passes over rows in an index.
fn changes_like(rest: &str) -> bool {
    let begins = rest.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("PRAGMA"));
    begins
        && rest
            .split(';')
            .next()
            .is_some_and(|statement| statement.to_ascii_lowercase().contains(LIKE))
}

/// `ALTER TABLE … RENAME` and `DROP COLUMN` compile the whole schema and evaluate nothing of it: an
/// index of another table in an order that only the application has does not matter to them.
fn makes_a_view(statement: &str) -> bool {
    let mut words = statement.get(first_token(statement)..).unwrap_or("").split_whitespace();
    words.next().is_some_and(|word| word.eq_ignore_ascii_case("CREATE"))
        && words.take(2).any(|word| word.eq_ignore_ascii_case("VIEW"))
}

fn changes_names_alone(statement: &str) -> bool {
    let words: Vec<&str> =
        statement.get(first_token(statement)..).unwrap_or("").split_whitespace().collect();
    let has = |word: &str| words.iter().any(|one| one.eq_ignore_ascii_case(word));
    words.first().is_some_and(|word| word.eq_ignore_ascii_case("ALTER"))
        && (has("RENAME") || has("DROP"))
        && !has("ADD")
}

/// Steps through all rows of a statement.
fn finish(statement: &mut rusqlite::Statement<'_>) -> rusqlite::Result<()> {
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}

/// The statement of this number, which begins at this byte, has failed.
fn failed(
    database: &Database,
    session: &Session,
    source: &ScriptSource<'_>,
    (number, start): (u32, usize),
    error: &rusqlite::Error,
) -> Failure {
    let system = system_error(error);
    let reason = session.noted().denied.take();
    let cause = reason.unwrap_or_else(|| database.describe(error, source.sql));
    Failure::new(class_of(error), session.op, cause)
        .place(source.place(start, number))
        .code(extended_code(error))
        .because(system)
}

/// The byte of the file that an error of the parser names; else the start of the statement.
fn offset_of(error: &rusqlite::Error, source: &ScriptSource<'_>, start: usize) -> usize {
    match error {
        rusqlite::Error::SqlInputError { sql, offset, .. } => {
            let tail = source.sql.len().saturating_sub(sql.len());
            usize::try_from(*offset).map_or(start, |offset| tail + offset)
        }
        _ => start,
    }
}

impl ScriptSource<'_> {
    fn place(&self, byte: usize, statement: u32) -> Place {
        let (line, column) = line_of(self.sql, byte);
        let text = self.sql.lines().nth(line.saturating_sub(1) as usize).unwrap_or("");
        let (text, caret) = window(text, column);
        Place {
            file: self.file.to_owned(),
            version: self.version,
            line,
            column,
            text,
            caret,
            statement,
            statements: self.statements,
        }
    }
}

/// The part of a line around a column, with blanks for tabs, and the column's place in it: a
/// terminal shows both alike.
fn window(line: &str, column: u32) -> (String, u32) {
    let at = column.saturating_sub(1) as usize;
    let from = if at < LINE_SHOWN_CHARS_MAX { 0 } else { at - LINE_SHOWN_CHARS_MAX / 2 };
    let shown: String = line
        .chars()
        .skip(from)
        .take(LINE_SHOWN_CHARS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let (before, caret) = if from == 0 { ("", at) } else { ("...", at - from + 3) };
    (format!("{before}{shown}"), u32::try_from(caret + 1).unwrap_or(u32::MAX))
}

/// Line and column (characters) of a byte, both from 1.
pub fn line_of(text: &str, byte: usize) -> (u32, u32) {
    let before = text.get(..byte.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// Bytes of white space and comments before the first word.
fn first_token(text: &str) -> usize {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c', ';', '\u{feff}']);
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
        } else {
            return text.len() - rest.len();
        }
    }
}

/// The statement may insert, update or delete rows of a table.
pub fn may_change_rows(statement: &str) -> bool {
    let statement = statement.get(first_token(statement)..).unwrap_or("");
    let mut words = statement
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty());
    match words.next().map(str::to_ascii_uppercase).as_deref() {
        Some("INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "WITH") => true,
        // CREATE TABLE … AS, before any parenthesis.
        Some("CREATE") => {
            let head = statement.split('(').next().unwrap_or("");
            ["TABLE", "AS"]
                .iter()
                .all(|wanted| head.split_whitespace().any(|word| word.eq_ignore_ascii_case(wanted)))
        }
        _ => false,
    }
}

/// The statement changes no row that was there: rows of it that are there prove that it ran, or
/// that nothing of it is missing.
pub fn only_inserts(statement: &str) -> bool {
    let statement = statement.get(first_token(statement)..).unwrap_or("");
    let first = statement.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
    ["INSERT", "REPLACE", "CREATE"].iter().any(|word| first.eq_ignore_ascii_case(word))
}

/// What a migration may not do is denied from now on, and noted with its reason. In a file of
/// before bootmigrate its own transaction words are let through: they are not run.
pub(super) fn authorize(
    database: &mut Database,
    session: &Session,
    adopted: bool,
) -> Result<(), Failure> {
    let noted = session.share();
    let rules =
        Rules { mode: session.mode, adopted, history_table: database.history_table.clone() };
    let ask = move |context: AuthContext<'_>| {
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        match rules.answer(&context, noted.vacuum_runs) {
            Answer::LeftOut => Authorization::Ignore,
            Answer::Allowed => {
                note(&context.action, &mut noted);
                Authorization::Allow
            }
            Answer::Refused(reason) => {
                noted.denied.get_or_insert(reason);
                Authorization::Deny
            }
        }
    };
    let set = database.connection.authorizer(Some(ask));
    set.map_err(|error| database.failure(session.op, &error))
}

/// What must be taken back after the file.
fn note(action: &AuthAction<'_>, noted: &mut Noted) {
    match action {
        AuthAction::Savepoint { operation: TransactionOperation::Begin, savepoint_name } => {
            noted.opens_savepoint(savepoint_name)
        }
        AuthAction::Pragma { pragma_name, pragma_value: Some(_) }
            if pragma::effect(pragma_name) == Effect::Vacuum =>
        {
            noted.sets_next_vacuum();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_characters_not_bytes() {
        assert_eq!(line_of("a\nüb c", "a\nüb ".len()), (2, 4));
        assert_eq!(line_of("", 0), (1, 1));
    }

    #[test]
    fn a_caret_stands_below_its_character_also_in_a_long_line() {
        assert_eq!(window("\tSELECT x", 9), (" SELECT x".into(), 9));
        let line = format!("{}HERE{}", "a".repeat(300), "b".repeat(300));
        let (text, caret) = window(&line, 301);
        assert_eq!(text.chars().skip(caret as usize - 1).take(4).collect::<String>(), "HERE");
        assert!(text.chars().count() <= LINE_SHOWN_CHARS_MAX + 3);
        assert_eq!(window("", 1), (String::new(), 1));
    }

    #[test]
    fn comments_before_a_statement_are_not_its_start() {
        assert_eq!(first_token("  -- x\n /* y\n */ SELECT 1"), 17);
        assert_eq!(first_token("-- only a comment"), 17);
        assert_eq!(first_token(";;\nSELECT"), 3);
    }

    #[test]
    fn only_renaming_goes_on_without_what_the_application_has() {
        for statement in [
            "ALTER TABLE a RENAME TO b",
            "-- x\nalter table a rename column b TO c",
            "ALTER TABLE a DROP COLUMN b",
        ] {
            assert!(changes_names_alone(statement), "{statement}");
        }
        for statement in [
            "ALTER TABLE a ADD COLUMN x",
            "ALTER TABLE a ADD COLUMN \"rename\"",
            "DROP TABLE a",
            "UPDATE a SET rename = 1",
        ] {
            assert!(!changes_names_alone(statement), "{statement}");
        }
    }
}
