//! Owns the connection that an application gets from the library, and databases in memory for a
//! product's own tests.
//! Promises: an application's connection makes no file, keeps foreign keys, and waits for locks.
//! Never used by a run.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::OpenFlags;

use crate::catalog::{Catalog, Migration};
use crate::device::disk::Op;
use crate::device::sqlite::code;
use crate::device::sqlite::compile::Compiled;
use crate::device::sqlite::references::References;
use crate::device::sqlite::registered::Registered;
use crate::device::sqlite::script::{self, Mode};
use crate::device::sqlite::{describe, Database, Sqlite};
use crate::error::{Failure, Place};

const TEST: Op = Op("try the migrations");

/// The library that a connection is of, so that a product need not name its version twice.
pub use rusqlite;

/// What an application is handed: rusqlite's connection.
///
/// ```
/// fn sites(settings: &bootmigrate::Connection) -> bootmigrate::rusqlite::Result<i64> {
///     settings.query_row("SELECT count(*) FROM site", [], |row| row.get(0))
/// }
/// ```
pub type Connection = rusqlite::Connection;

/// One thing that is wrong with a catalogue.
#[derive(Debug)]
pub struct Problem {
    /// With file, line and column where it has them.
    pub text: String,
    /// The same place.
    pub place: Option<Place>,
}

impl From<String> for Problem {
    fn from(text: String) -> Problem {
        Problem { text, place: None }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        Problem { text: failure.to_string(), place: failure.place }
    }
}

/// Opens what is there, with what the product registers.
///
/// # Errors
/// SQLite's words.
pub fn open(path: &Path, busy: Duration, registered: &Registered) -> Result<Connection, String> {
    let open = || {
        let mut connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(busy)?;
        registered.prepare(&mut connection);
        connection.pragma_update(None, "foreign_keys", true)?;
        Ok(connection)
    };
    open().map_err(|error: rusqlite::Error| describe(&error))
}

/// Runs statements as an application would.
///
/// # Errors
/// SQLite's words.
pub fn run(connection: &Connection, sql: &str) -> Result<(), String> {
    connection.execute_batch(sql).map_err(|error| describe(&error))
}

/// Every migration up to a version on an empty database in memory, and what is wrong, for
/// applications whose SQLite is 3.`oldest`; the database where nothing stopped it.
pub fn problems(
    catalog: &Catalog,
    version: i64,
    code: Option<&Registered>,
    oldest: Option<u32>,
) -> (Option<Connection>, Vec<Problem>) {
    let sqlite = Sqlite { registered: code, ..Sqlite::default() };
    let mut database = match sqlite.scratch(TEST) {
        Ok(database) => database,
        Err(failure) => return (None, vec![failure.into()]),
    };
    let mut given = Given { sqlite, ..Given::default() };
    for migration in catalog.migrations.iter().filter(|migration| migration.version <= version) {
        let ran =
            database.file(TEST, Mode::NoTransaction, migration.into(), |database, session| {
                script::run(database, session, migration, &mut |_| {})?;
                code::run(database, session, code, catalog.database, migration)?;
                Ok(expectation(database, migration))
            });
        match ran {
            Ok(None) => {}
            Ok(Some(problem)) => return (None, vec![problem]),
            Err(failure) => return (None, vec![failure.into()]),
        }
        if migration.adopted {
            if let Err(failure) = given.accept(&database) {
                return (None, vec![failure.into()]);
            }
        }
    }
    let problems = match given.problems(&database, catalog.database, oldest) {
        Ok(problems) => problems,
        Err(failure) => return (None, vec![failure.into()]),
    };
    if let Err(error) = database.connection.pragma_update(None, "foreign_keys", true) {
        return (None, vec![describe(&error).into()]);
    }
    (Some(database.connection), problems)
}

/// What files released before bootmigrate have made: nobody can correct it.
#[derive(Default)]
struct Given<'a> {
    sqlite: Sqlite<'a>,
    references: References,
    compiled: Compiled,
}

impl Given<'_> {
    fn accept(&mut self, database: &Database) -> Result<(), Failure> {
        self.references.accept(database.references(TEST)?, true);
        self.compiled.accept(database.compiled(TEST, self.sqlite)?);
        Ok(())
    }

    /// What an application would meet, and those files have not made.
    fn problems(
        &self,
        database: &Database,
        name: &str,
        oldest: Option<u32>,
    ) -> Result<Vec<Problem>, Failure> {
        let worse = database.references(TEST)?.worse_than(&self.references);
        let tables: BTreeSet<String> =
            worse.violated.into_iter().map(|violated| violated.child).collect();
        let mut found: Vec<String> = tables
            .iter()
            .map(|table| format!("rows of {table} refer to rows that are not there"))
            .collect();
        found.extend(worse.broken);
        let compiled = database.compiled(TEST, self.sqlite)?;
        found.extend(compiled.broken_since(&self.compiled));
        found.extend(
            oldest.map(|oldest| compiled.too_new_since(&self.compiled, oldest)).unwrap_or_default(),
        );
        Ok(found.into_iter().map(|sentence| format!("{name}: {sentence}").into()).collect())
    }
}

/// The first `expect` query of a migration that does not hold.
fn expectation(database: &Database, migration: &Migration) -> Option<Problem> {
    migration.directives.expect.iter().find_map(|expect| {
        let wrong = match database.first_row(TEST, expect.query) {
            Ok(None) => return None,
            Ok(Some(row)) => format!("`expect` returned: {row}"),
            Err(failure) => failure.cause,
        };
        let place = Place {
            file: migration.file.to_owned(),
            version: migration.version,
            line: expect.line,
            column: 1,
            text: expect.query.to_owned(),
            caret: 1,
            statement: 0,
            statements: migration.statements,
        };
        Some(Problem {
            text: format!("{}:{}: {wrong}", migration.file, expect.line),
            place: Some(place),
        })
    })
}
