//! Owns the proof that migrations have left our own tables alone: what they were, and what they
//! must be before the commit.
//! Promises: looks inside the open transaction; rows that triggers changed are seen as well as what
//! the authorizer cannot see.
//! Never writes.

use std::collections::BTreeSet;

use super::{read, Applied, History};
use crate::catalog::Migration;
use crate::device::disk::Op;
use crate::device::sqlite::refusal::ours;
use crate::device::sqlite::Database;
use crate::error::{Class, Failure};

/// Our tables when the first migration was about to run.
pub struct Ours {
    applied: Vec<Applied>,
    objects: BTreeSet<String>,
}

/// What the run itself has changed in them.
pub struct Change<'a> {
    /// Recorded by it.
    pub added: &'a [&'a Migration],
    /// Taken out by it.
    pub removed: &'a [i64],
    /// Its operation.
    pub operation: u64,
}

impl Ours {
    /// To be asked for after the tables were made.
    ///
    /// # Errors
    /// As SQLite.
    pub fn of(database: &Database, op: Op, table: &str) -> Result<Ours, Failure> {
        Ok(Ours {
            applied: read(database, op, table)?.applied,
            objects: objects(database, op, table)?,
        })
    }

    /// The history of data migrations was brought along: from now on it is one of them.
    ///
    /// # Errors
    /// As SQLite.
    pub fn accept_data(&mut self, database: &Database, op: Op, table: &str) -> Result<(), Failure> {
        let now = objects(database, op, table)?;
        let of_data = |object: &String| object.starts_with("table bootmigrate_data ");
        self.objects.extend(now.into_iter().filter(of_data));
        Ok(())
    }

    /// They are what they were, and what the run has changed.
    ///
    /// # Errors
    /// Failed: a migration has changed them; with what differs.
    pub fn unharmed(
        &self,
        database: &Database,
        op: Op,
        table: &str,
        change: &Change<'_>,
    ) -> Result<(), Failure> {
        let differs = |what: String| {
            let cause = format!(
                "the migrations have changed bootmigrate's own tables, which tell what was \
                 applied: {what}"
            );
            Failure::new(Class::Failed, op, cause)
        };
        let now = match read(database, op, table) {
            // The statements that read it are right.
            Err(failure) if failure.class == Class::Catalogue => {
                return Err(differs(failure.cause))
            }
            now => now?,
        };
        if let Some(what) = self.in_the_history(&now, table, change) {
            return Err(differs(what));
        }
        let objects = objects(database, op, table)?;
        match self.objects.symmetric_difference(&objects).next() {
            None => Ok(()),
            Some(object) if objects.contains(object) => {
                Err(differs(format!("there is a new {object}")))
            }
            Some(object) => Err(differs(format!("{object} is gone, or another"))),
        }
    }

    fn in_the_history(&self, now: &History, table: &str, change: &Change<'_>) -> Option<String> {
        if let Some(what) = &now.malformed {
            return Some(what.clone());
        }
        let removed: BTreeSet<i64> = change.removed.iter().copied().collect();
        let kept: Vec<&Applied> =
            self.applied.iter().filter(|row| !removed.contains(&row.version)).collect();
        let lost = kept.iter().find(|row| now.row(row.version) != Some(row)).map(|row| row.version);
        let added = |migration: &&&Migration| {
            let recorded = now.row(migration.version).is_some_and(|row| row.is(migration))
                && now.said(migration.version).is_some();
            !recorded
        };
        match lost.or_else(|| change.added.iter().find(added).map(|migration| migration.version)) {
            Some(version) => {
                Some(format!("what was recorded of version {version} is gone, or another"))
            }
            None if now.applied.len() != kept.len() + change.added.len() => {
                Some(format!("{table} has rows that nobody recorded"))
            }
            None if now.operation != Some(change.operation) => {
                Some("the number of this run is gone, or another".to_owned())
            }
            None => None,
        }
    }
}

fn objects(database: &Database, op: Op, table: &str) -> Result<BTreeSet<String>, Failure> {
    ours(&database.connection, table).map_err(|error| database.failure(op, &error))
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Versions};
    use crate::device::history::create_tables;
    use crate::device::sqlite::script::{run_text, Mode, ScriptSource};
    use crate::device::sqlite::session::FileOptions;
    use crate::device::sqlite::Sqlite;
    use crate::reserved::HISTORY;

    const OP: Op = Op("test");

    /// What is said of this text, by the authorizer or before the commit.
    fn said(table: &str, before: &str, sql: &str, mode: Mode) -> Option<String> {
        let mut database =
            Sqlite::default().scratch(OP).unwrap_or_else(|failure| panic!("{failure}"));
        database.reserve(table);
        let run = |database: &Database, sql: &str| {
            database.run(OP, sql).unwrap_or_else(|failure| panic!("{failure}"))
        };
        run(&database, "CREATE TABLE a (b)");
        let catalog = Catalog {
            database: "",
            fingerprint: [0; 16],
            versions: Versions::Int4,
            migrations: &[],
            data: &[],
        };
        create_tables(&mut database, OP, table, &catalog)
            .unwrap_or_else(|failure| panic!("{failure}"));
        run(&database, before);
        if mode == Mode::Transaction {
            run(&database, "BEGIN");
        }
        let ours = Ours::of(&database, OP, table).unwrap_or_else(|failure| panic!("{failure}"));
        let source = ScriptSource { file: "a.sql", version: 1, sql, statements: 0 };
        let ran = database.file(OP, mode, FileOptions::default(), |database, session| {
            run_text(database, session, &source, &mut |_| {})
        });
        run(&database, "REPLACE INTO bootmigrate_state VALUES ('act', 7)");
        let change = Change { added: &[], removed: &[], operation: 7 };
        ran.and_then(|()| ours.unharmed(&database, OP, table, &change))
            .err()
            .map(|failure| failure.to_string())
    }

    #[test]
    fn what_touches_them_is_refused() {
        for sql in [
            "DELETE FROM refinery_schema_history",
            "UPDATE main.Refinery_Schema_History SET name = 'other'",
            "INSERT INTO refinery_schema_history VALUES (99, 'later', '2026-01-01T00:00:00Z', '1')",
            "REPLACE INTO bootmigrate_state VALUES ('act', 700)",
            "DROP TABLE refinery_schema_history",
            "ALTER TABLE refinery_schema_history ADD COLUMN note",
            "ALTER TABLE bootmigrate_steps RENAME TO gone",
            "CREATE INDEX i ON refinery_schema_history (name)",
            "CREATE TRIGGER t AFTER INSERT ON bootmigrate_steps BEGIN SELECT 1; END",
            "CREATE TEMP TRIGGER t AFTER INSERT ON bootmigrate_steps BEGIN SELECT 1; END",
            "CREATE TEMP TABLE bootmigrate_state (a)",
            "CREATE TABLE bootmigrate_data (a)",
            "CREATE VIEW bootmigrate_later AS SELECT 1",
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM bootmigrate_steps; END; INSERT \
             INTO a VALUES (1)",
        ] {
            let said = said(HISTORY, "", sql, Mode::Transaction).unwrap_or_default();
            assert!(said.contains("belongs to bootmigrate"), "{sql}: {said}");
        }
        let hooked = "CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM bootmigrate_state; END";
        let said =
            |mode| said(HISTORY, hooked, "INSERT INTO a VALUES (1)", mode).unwrap_or_default();
        assert!([Mode::Transaction, Mode::NoTransaction]
            .map(said)
            .iter()
            .all(|said| said.contains("belongs to bootmigrate")));
    }

    #[test]
    fn what_no_statement_says_is_found() {
        for sql in [
            "CREATE TABLE x (a); ALTER TABLE x RENAME TO bootmigrate_data",
            "CREATE TRIGGER t AFTER UPDATE ON a BEGIN DELETE FROM Refinery_Schema_History; END",
        ] {
            let said = said(HISTORY, "", sql, Mode::Transaction).unwrap_or_default();
            assert!(said.contains("have changed bootmigrate's own tables"), "{sql}: {said}");
        }
        let stays = "CREATE TRIGGER t AFTER INSERT ON bootmigrate_state BEGIN UPDATE \
                     bootmigrate_state SET value = 8; END";
        let said = said(HISTORY, stays, "SELECT 1", Mode::Transaction).unwrap_or_default();
        assert!(said.contains("the number of this run is gone"), "{said}");
    }

    #[test]
    fn reading_them_and_other_names_are_allowed() {
        for (table, sql, mode) in [
            (
                HISTORY,
                "INSERT INTO a SELECT version FROM refinery_schema_history",
                Mode::Transaction,
            ),
            (HISTORY, "CREATE TABLE bootmigrated (a); DROP TABLE bootmigrated", Mode::Transaction),
            (HISTORY, "VACUUM", Mode::NoTransaction),
            (
                "past",
                "CREATE TABLE refinery_schema_history (a); INSERT INTO refinery_schema_history \
                 VALUES (1)",
                Mode::Transaction,
            ),
        ] {
            assert_eq!(said(table, "", sql, mode), None, "{sql}");
        }
        assert!(said("past", "", "DELETE FROM Past", Mode::Transaction)
            .is_some_and(|said| said.contains("`past` belongs")));
    }
}
