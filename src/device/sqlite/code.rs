//! Owns running a migration in Rust inside the transaction of all the others.
//! Promises: whatever it does (fail, panic, go on after an error), the transaction is ended by us
//! alone.
//! Never runs one outside a transaction.

use rusqlite::hooks::{AuthContext, Authorization};

use crate::catalog::Migration;
use crate::device::disk::Op;
use crate::device::sqlite::registered::{as_guest, missing, words_of, Code, CodeError, Registered};
use crate::device::sqlite::script::authorize;
use crate::device::sqlite::session::Session;
use crate::device::sqlite::{class_of, extended_code, system_error, Database};
use crate::error::{Class, Failure, Place};

/// Runs the code of a migration that has some; in the caller's transaction, or for a database in
/// memory in one of its own.
///
/// # Errors
/// The catalogue's where none is registered; failed where it fails or panics; else as SQLite said
/// to it.
pub fn run(
    database: &mut Database,
    session: &Session,
    registered: Option<&Registered>,
    name: &str,
    migration: &Migration,
) -> Result<(), Failure> {
    let op = session.op;
    if let Some(what) = missing(registered, name, migration) {
        return Err(Failure::new(Class::Catalogue, op, what));
    }
    let wanted = migration.directives.code_revision.and(registered);
    let Some(code) = wanted.and_then(|registered| registered.find(name, migration.version)) else {
        return Ok(());
    };
    let alone = !database.in_transaction();
    if alone {
        database.run(op, "BEGIN")?;
    }
    let ran = guarded(database, session, code, migration);
    match (alone, &ran) {
        (false, _) => {}
        (true, Ok(())) => database.commit(op)?,
        (true, Err(_)) => database.rollback(),
    }
    ran
}

fn guarded(
    database: &mut Database,
    session: &Session,
    code: &Code,
    migration: &Migration,
) -> Result<(), Failure> {
    let op = session.op;
    authorize(database, session, false)?;
    // Code that goes on after SQLite has rolled back by itself would commit each statement: a
    // commit becomes a rollback.
    let failed = |database: &Database, error: &rusqlite::Error| database.failure(op, error);
    database.connection.commit_hook(Some(|| true)).map_err(|error| failed(database, &error))?;
    // All of its statements together.
    let timed = database.watch.statement();
    let ran = as_guest(|| code(&database.connection));
    drop(timed);
    let cleared = database.connection.commit_hook(None::<fn() -> bool>);
    let cleared =
        cleared.and(database.connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>));
    let denied = session.noted().denied.take();
    let ended = !database.in_transaction();
    let failure = match ran {
        Err(panic) => {
            Failure::new(Class::Failed, op, format!("the code panicked: {}", words_of(&*panic)))
        }
        Ok(Err(error)) => {
            let words = |error: &rusqlite::Error| database.describe(error, migration.sql);
            database.limited(failure_of(op, &error, denied, &words))
        }
        Ok(Ok(())) if ended => Failure::new(
            Class::Failed,
            op,
            "SQLite ended the transaction by itself, and the code went on after the error that \
             said so",
        ),
        // It was refused something, and did not say so.
        Ok(Ok(())) => match denied {
            Some(why) => Failure::new(Class::Failed, op, why),
            None => return cleared.map_err(|error| failed(database, &error)),
        },
    };
    Err(database.timed_out(failure).place(place_of_directive(migration, "code")))
}

fn failure_of(
    op: Op,
    error: &CodeError,
    denied: Option<String>,
    words: &dyn Fn(&rusqlite::Error) -> String,
) -> Failure {
    match error.downcast_ref::<rusqlite::Error>() {
        Some(error) => {
            let system = system_error(error);
            Failure::new(class_of(error), op, denied.unwrap_or_else(|| words(error)))
                .code(extended_code(error))
                .because(system)
        }
        None => Failure::new(Class::Failed, op, denied.unwrap_or_else(|| error.to_string())),
    }
}

/// Where a migration's file says this directive.
pub fn place_of_directive(migration: &Migration, directive: &str) -> Place {
    let is_it = |line: &str| {
        line.starts_with("--") && line.contains("bootmigrate") && line.contains(directive)
    };
    let (index, text) =
        migration.sql.lines().enumerate().find(|(_, line)| is_it(line)).unwrap_or((0, ""));
    Place {
        file: migration.file.to_owned(),
        version: migration.version,
        line: u32::try_from(index + 1).unwrap_or(u32::MAX),
        column: 1,
        text: text.to_owned(),
        caret: 1,
        statement: 0,
        statements: migration.statements,
    }
}
