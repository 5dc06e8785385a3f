//! Owns reading where a function or a collation is missing: something takes its place while a
//! statement is prepared or run.
//! Promises: a stand-in exists only while something is read, and is gone before anything is
//! written.
//! Never decides what follows from something that is missing.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::device::disk::Op;
use crate::device::sqlite::findings::{FindingKind, Findings};
use crate::device::sqlite::missing::Missing;
use crate::device::sqlite::Database;
use crate::error::Failure;
use crate::lex::quote;

/// An index whose collation was missing once is not used for queries until the schema is read
/// again: a table WITHOUT ROWID has no other. Virtual tables keep changes in memory until a
/// savepoint or a commit, and would be opened a second time without them.
pub(super) const RELOAD: &str =
    "SAVEPOINT bootmigrate_written; RELEASE bootmigrate_written; PRAGMA writable_schema = RESET";
/// What SQLite says of such a table.
const DEACTIVATED: &str = "no query solution";

impl Database {
    /// Stand-ins for everything that its tables and indexes need and this program does not have,
    /// until the connection is closed. What could not be checked without them, index by index.
    ///
    /// # Errors
    /// As SQLite, but for what is missing.
    pub fn stand_in_for_reading(&self, op: Op) -> Result<Findings, Failure> {
        let (mut findings, mut missing) = (Findings::default(), BTreeSet::new());
        for index in self
            .strings(op, "SELECT name FROM sqlite_schema WHERE type = 'index' AND rootpage > 0")?
        {
            // To prepare it asks for all that its entries are made with; it is not run.
            let reindex = self.connection.prepare(&format!("REINDEX main.{}", quote(&index)));
            if let Some(missing) = reindex.err().as_ref().and_then(Missing::of) {
                findings.add_of(
                    FindingKind::NotChecked,
                    &Findings::index(&index),
                    &missing.is_not_here(),
                );
            }
        }
        stand_in_for_all(&self.connection, |_| true, &mut missing)
            .map_err(|error| self.failure(op, &error))?;
        Ok(findings)
    }
}

/// For everything that tables, their CHECKs and their indexes need.
fn stand_in_for_all(
    connection: &Connection,
    may_be: impl Fn(&Missing) -> bool,
    missing: &mut BTreeSet<Missing>,
) -> rusqlite::Result<()> {
    // To prepare it asks for all of that, table by table, and for virtual tables at last; it is not
    // run.
    while let Err(error) = connection.prepare("PRAGMA integrity_check") {
        match Missing::of(&error) {
            Some(one) if may_be(&one) && !missing.contains(&one) && one.stand_in(connection)? => {
                missing.insert(one);
            }
            _ => break,
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    connection.execute_batch(RELOAD)
}

/// Reads, with stand-ins for functions and collations that are missing; they are removed again.
/// What they stood in for, beside the answer.
pub fn read_with_stand_ins<T>(
    connection: &Connection,
    read: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<(T, BTreeSet<Missing>)> {
    with_stand_ins(connection, |_| true, read)
}

/// VACUUM, which compiles every CHECK and index and evaluates none: it copies their content. An
/// order it needs: no stand-in has it.
///
/// # Errors
/// As SQLite.
pub fn vacuum(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    let function = |missing: &Missing| matches!(missing, Missing::Function(_));
    with_stand_ins(connection, function, || connection.execute_batch(statement)).map(drop)
}

fn with_stand_ins<T>(
    connection: &Connection,
    may_be: impl Fn(&Missing) -> bool,
    mut read: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<(T, BTreeSet<Missing>)> {
    let (mut missing, mut all) = (BTreeSet::new(), false);
    let answer = loop {
        let error = match read() {
            Ok(answer) => break Ok(answer),
            Err(error) => error,
        };
        match Missing::of(&error) {
            Some(one) if may_be(&one) && !missing.contains(&one) && one.stand_in(connection)? => {
                missing.insert(one);
            }
            None if !all && error.to_string().contains(DEACTIVATED) => {
                all = true;
                stand_in_for_all(connection, &may_be, &mut missing)?;
            }
            _ => break Err(error),
        }
    };
    let removed = missing.iter().try_for_each(|one| one.remove_stand_in(connection));
    answer.and_then(|answer| removed.map(|()| (answer, missing)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_gone_after_the_reading() {
        let connection = Connection::open_in_memory().unwrap();
        connection.create_collation("backwards", |one, other| other.cmp(one)).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t(a TEXT COLLATE backwards); INSERT INTO t VALUES('x'); CREATE INDEX \
                 i ON t(a)",
            )
            .unwrap();
        connection.remove_collation("backwards").unwrap();
        let count = || {
            connection.query_row(
                "SELECT count(slug(a)) + count(*) FROM t WHERE a = 'x'",
                [],
                |row| row.get::<_, i64>(0),
            )
        };
        assert!(count().is_err());
        let (answer, missing) = read_with_stand_ins(&connection, count).unwrap();
        assert_eq!((answer, missing.len()), (1, 2));
        assert!(count().is_err());
    }
}
